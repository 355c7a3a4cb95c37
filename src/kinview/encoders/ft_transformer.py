"""FT-Transformer: every column of a table a token."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from kinview.encoders import encoders
from kinview.encoders.base import TableEncoder
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

    Examples
    --------
    >>> FeatureTokenizer([0, 3], dim=8)(torch.tensor([[1.5, 2.0], [float("nan"), 0.0]])).shape
    torch.Size([2, 2, 8])
    """

    starts: Tensor
    categorical: Tensor

    def __init__(self, cardinalities: Sequence[int], dim: int) -> None:
        super().__init__()
        sizes = torch.tensor([max(1, size) for size in cardinalities])
        self.register_buffer("starts", sizes.cumsum(0) - sizes, persistent=False)
        self.register_buffer("categorical", torch.tensor([size > 0 for size in cardinalities]), persistent=False)
        self.bias = _uniform(len(cardinalities), dim)
        self.missing = _uniform(len(cardinalities), dim)
        self.weight = _uniform(int(sizes.sum()), dim)  # a number's direction, or the vector of each code

    def forward(self, x: Float[Tensor, "n columns"]) -> Float[Tensor, "n columns dim"]:
        """Tokens of cells."""
        absent = torch.isnan(x)
        value = torch.where(absent, torch.zeros((), dtype=x.dtype, device=x.device), x)
        code = torch.where(self.categorical, value, 0).long()
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
    ) -> None:
        rates = {
            "attention_dropout": attention_dropout,
            "feed_forward_dropout": feed_forward_dropout,
            "residual_dropout": residual_dropout,
        }
        super().__init__(cardinalities, {"repr_dim": repr_dim, "depth": depth, "heads": heads}, **rates)
        for name, rate in rates.items():
            check_fraction(rate, name, below=True)
        if repr_dim % heads:
            raise ValueError(f"repr_dim must be a multiple of heads={heads}; got {repr_dim}")
        self.repr_dim = repr_dim
        self.tokenizer = FeatureTokenizer(cardinalities, repr_dim)
        self.cls = _uniform(1, repr_dim)
        self.layers = nn.ModuleList(
            _Layer(repr_dim, heads, attention_dropout, feed_forward_dropout, residual_dropout, first=i == 0)
            for i in range(depth)
        )
        self.norm = nn.LayerNorm(repr_dim)

    def forward(self, x: Float[Tensor, "n columns"]) -> Float[Tensor, "n d"]:
        """Representations ``(n, D)``."""
        tokens = torch.cat([self.cls.expand(len(x), 1, -1), self.tokenizer(x)], dim=1)
        for layer in self.layers:
            tokens = layer(tokens)
        return F.relu(self.norm(tokens[:, 0]))


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
