"""FT-Transformer: every column of a table a token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from kinview.encoders import encoders
from kinview.encoders.base import TableEncoder
from kinview.encoders.numerical_embedding import NumericalEmbedding, embedding_of
from kinview.parameters import check_fraction

__all__ = ["FTTransformer", "FeatureTokenizer"]


class FeatureTokenizer(nn.Module):
    r"""One token a column: :math:`b_j + x_j w_j` for a number, :math:`b_j + e_j[x_j]` for a category.

    A missing cell is :math:`b_j + m_j` with a learned :math:`m_j`; an unseen category (code 0) has a vector too.

    Parameters
    ----------
    cardinalities : sequence of int
        For each column the number of codes (with the code 0 of unseen categories), or 0 where it is a number.
    dim : int
        Width of a token.
    numbers : NumericalEmbedding, optional
        Makes the vectors of numbers, as many columns of them as there are, in the place of :math:`x_j w_j`.

    Examples
    --------
    >>> FeatureTokenizer([0, 3], dim=8)(torch.tensor([[1.5, 2.0], [float("nan"), 0.0]])).shape
    torch.Size([2, 2, 8])
    """

    starts: Tensor
    categorical: Tensor
    _coded: Tensor
    _plain: Tensor
    _place: Tensor

    def __init__(self, cardinalities: Sequence[int], dim: int, numbers: NumericalEmbedding | None = None) -> None:
        super().__init__()
        least = 1 if numbers is None else 0  # vectors of a number
        sizes = [max(least, size) for size in cardinalities]  # plain numbers: on the meta device a tensor holds none
        starts = [sum(sizes[:column]) for column in range(len(sizes))]
        self.register_buffer("starts", torch.tensor(starts, dtype=torch.int64), persistent=False)
        self.register_buffer("categorical", torch.tensor([size > 0 for size in cardinalities]), persistent=False)
        self.bias = _uniform(len(cardinalities), dim)
        self.missing = _uniform(len(cardinalities), dim)
        self.weight = _uniform(sum(sizes), dim)  # a number's direction, or the vector of each code
        self.numbers = numbers
        if numbers is not None:
            coded = [column for column, size in enumerate(cardinalities) if size]
            plain = [column for column, size in enumerate(cardinalities) if not size]
            place = [plain.index(j) if j in plain else len(plain) + coded.index(j) for j in range(len(sizes))]
            for name, columns in (("_coded", coded), ("_plain", plain), ("_place", place)):
                self.register_buffer(name, torch.tensor(columns, dtype=torch.int64), persistent=False)

    def learn(self, x: Float[Tensor, "n columns"]) -> None:
        """Learn what the vectors of numbers rest on, of training rows ``(n, columns)``."""
        numbers = self._modules.get("numbers")
        if isinstance(numbers, NumericalEmbedding):
            numbers.learn(x[:, self._plain])

    def forward(self, x: Float[Tensor, "n columns"]) -> Float[Tensor, "n columns dim"]:
        """Tokens of cells."""
        absent = torch.isnan(x)
        value = torch.where(absent, torch.zeros((), dtype=x.dtype, device=x.device), x)
        code = torch.where(self.categorical, value, 0).long()
        numbers = self._modules.get("numbers")  # pickles of earlier versions know none
        if numbers is not None:
            codes = self.weight[(self.starts + code)[:, self._coded]]
            tokens = torch.cat([numbers(value[:, self._plain]), codes], dim=1)[:, self._place]
            return self.bias + torch.where(absent[:, :, None], self.missing, tokens)
        factor = torch.where(self.categorical, torch.ones_like(value), value)
        tokens = self.weight[self.starts + code] * factor[:, :, None]
        return self.bias + torch.where(absent[:, :, None], self.missing, tokens)


@encoders.register("ft_transformer", modality="tabular", reference="Gorishniy et al., NeurIPS 2021")
class FTTransformer(TableEncoder):
    """Columns as tokens of a transformer; the row is what a further token, [CLS], has become.

    Parameters
    ----------
    cardinalities : sequence of int
        See :class:`FeatureTokenizer`.
    repr_dim : int, default 192
        Width of a token, and size D of a representation (paper's default configuration).
    depth : int, default 3
        Layers (paper).
    heads : int, default 8
        Attention heads (paper); must divide D.
    attention_dropout : float, default 0.2
        Dropout of attention weights (paper).
    feed_forward_dropout : float, default 0.1
        Dropout inside the feed-forward layers (paper).
    residual_dropout : float, default 0.0
        Dropout of what each sublayer adds (paper).
    numerical_embedding : {"linear", "piecewise_linear", "periodic"}, default "linear"
        How a number becomes a token: its multiple of a vector (paper), or as :class:`NumericalEmbedding` says.
    bins, frequencies, frequency_scale : int, int, float, default 48, 48, 0.01
        As :class:`NumericalEmbedding` has them.

    Raises
    ------
    ValueError
        If a size is no whole number from 1, a dropout is not in [0, 1), or ``repr_dim`` is no multiple of ``heads``.

    Notes
    -----
    Shapes: ``(n, columns) -> (n, D)``. Normalisation stands before the sublayers, and is left out before the first
    attention (official code). The feed-forward layer is ReGLU, 4/3 · D wide (paper). Missing cells have a learned token
    (the paper knows none). After the last layer [CLS] is normalised and rectified, which belongs to the head in the
    official code.

    References
    ----------
    .. [1] Gorishniy, Rubachev, Khrulkov, Babenko: Revisiting Deep Learning Models for Tabular Data, NeurIPS 2021,
       arXiv 2106.11959.
    .. [2] Gorishniy, Rubachev, Babenko: On Embeddings for Numerical Features in Tabular Deep Learning, NeurIPS 2022,
       arXiv 2203.05556.

    Examples
    --------
    >>> encoder = FTTransformer([0, 3], repr_dim=16).eval()
    >>> encoder(torch.tensor([[1.5, 2.0], [float("nan"), 0.0]])).shape
    torch.Size([2, 16])
    """

    def __init__(
        self,
        cardinalities: Sequence[int],
        repr_dim: int = 192,
        depth: int = 3,
        heads: int = 8,
        attention_dropout: float = 0.2,
        feed_forward_dropout: float = 0.1,
        residual_dropout: float = 0.0,
        numerical_embedding: Literal["linear", "piecewise_linear", "periodic"] = "linear",
        bins: int = 48,
        frequencies: int = 48,
        frequency_scale: float = 0.01,
    ) -> None:
        rates = {
            "attention_dropout": attention_dropout,
            "feed_forward_dropout": feed_forward_dropout,
            "residual_dropout": residual_dropout,
        }
        how = {"numerical_embedding": numerical_embedding, "frequency_scale": frequency_scale}
        sizes = {"repr_dim": repr_dim, "depth": depth, "heads": heads, "bins": bins, "frequencies": frequencies}
        super().__init__(cardinalities, sizes, **rates, **how)
        for name, rate in rates.items():
            check_fraction(rate, name, below=True)
        if repr_dim % heads:
            raise ValueError(f"repr_dim must be a multiple of heads={heads}; got {repr_dim}")
        self.repr_dim = repr_dim
        numbers = embedding_of(
            cardinalities, repr_dim, numerical_embedding, "linear", bins, frequencies, frequency_scale
        )
        self.tokenizer = FeatureTokenizer(cardinalities, repr_dim, numbers)
        self.cls = _uniform(1, repr_dim)
        self.layers = nn.ModuleList(
            _Layer(repr_dim, heads, attention_dropout, feed_forward_dropout, residual_dropout, first=i == 0)
            for i in range(depth)
        )
        self.norm = nn.LayerNorm(repr_dim)

    def learn(self, x: Float[Tensor, "n columns"]) -> None:
        """Learn the bins of a piecewise linear embedding."""
        self.tokenizer.learn(x)

    def forward(self, x: Float[Tensor, "n columns"]) -> Float[Tensor, "n d"]:
        """Representations ``(n, D)``."""
        return F.relu(self.norm(self._encoded(x)[:, 0]))

    def column_tokens(self, x: Float[Tensor, "n columns"]) -> Float[Tensor, "n columns d"]:
        """What the token of each column has become, normalised, ``(n, columns, D)``."""
        out: Tensor = self.norm(self._encoded(x)[:, 1:])
        return out

    def _encoded(self, x: Tensor) -> Tensor:
        """Tokens after the last layer, [CLS] first."""
        tokens = torch.cat([self.cls.expand(len(x), 1, -1), self.tokenizer(x)], dim=1)
        for layer in self.layers:
            tokens = layer(tokens)
        return tokens


class _Layer(nn.Module):
    """Self-attention and a ReGLU feed-forward layer, each added to its input."""

    def __init__(
        self, dim: int, heads: int, attention_dropout: float, inner_dropout: float, residual_dropout: float, first: bool
    ) -> None:
        super().__init__()
        hidden = int(dim * 4 / 3)
        self.attention_norm = nn.Identity() if first else nn.LayerNorm(dim)
        self.attention = nn.MultiheadAttention(dim, heads, attention_dropout, batch_first=True)
        self.feed_forward_norm = nn.LayerNorm(dim)
        self.gate = nn.Linear(dim, 2 * hidden)
        self.out = nn.Linear(hidden, dim)
        self.inner_dropout = nn.Dropout(inner_dropout)
        self.residual_dropout = nn.Dropout(residual_dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.attention_norm(tokens)
        tokens = tokens + self.residual_dropout(self.attention(h, h, h, need_weights=False)[0])
        value, gate = self.gate(self.feed_forward_norm(tokens)).chunk(2, dim=-1)
        added: Tensor = self.residual_dropout(self.out(self.inner_dropout(value * F.relu(gate))))
        return tokens + added


def _uniform(rows: int, dim: int) -> nn.Parameter:
    """Uniform on ±1/√dim (official code)."""
    return nn.Parameter(torch.nn.init.uniform_(torch.empty(rows, dim), -(dim**-0.5), dim**-0.5))
