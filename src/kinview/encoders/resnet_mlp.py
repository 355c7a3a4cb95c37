"""ResNet of tables: perceptron blocks with a residual."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from kinview.distributed import rows_in_step
from kinview.encoders import encoders
from kinview.encoders.base import TableEncoder
from kinview.encoders.mlp import TableFrontEnd
from kinview.encoders.numerical_embedding import embedding_of
from kinview.parameters import check_fraction

__all__ = ["ResNetMLP"]


@encoders.register("resnet_mlp", modality="tabular", reference="Gorishniy et al., NeurIPS 2021 and NeurIPS 2022")
class ResNetMLP(TableEncoder):
    r"""Table front-end and blocks of two linear layers, each added to what came in.

    .. math:: h \leftarrow h + \mathrm{dropout}(W_2\, \mathrm{dropout}(\max(0, W_1\, \mathrm{norm}(h))))

    and :math:`\max(0, \mathrm{norm}(h))` after the last block.

    Parameters
    ----------
    cardinalities : sequence of int
        See :class:`TableFrontEnd`.
    repr_dim : int, default 192
        Width of h, and size D of a representation (official code, recalled).
    depth : int, default 4
        Blocks (kinview; the paper tunes 1 to 8, recalled).
    expansion : int, default 2
        How many times as wide the hidden layer of a block is (official code, recalled).
    hidden_dropout : float, default 0.2
        Dropout after the hidden layer of a block (official code 0.15 to 0.4 by depth, recalled).
    residual_dropout : float, default 0.0
        Dropout of what a block adds (official code, recalled).
    normalisation : {"batch", "layer"}, default "batch"
        By batch statistics (paper), or over the features of each row.
    numerical_embedding : {"plain", "piecewise_linear", "periodic"}, default "plain"
        How numbers are seen: as they are (paper), or as :class:`NumericalEmbedding` says, side by side.
    embedding_dim : int, default 24
        Size of the vector of a number, where it becomes one (rtdl_num_embeddings, recalled).
    bins, frequencies, frequency_scale : int, int, float, default 48, 48, 0.01
        Of :class:`~kinview.encoders.numerical_embedding.NumericalEmbedding`.

    Raises
    ------
    ValueError
        If a size is no whole number from 1, a dropout is not in [0, 1), or there is no such ``normalisation``.

    Notes
    -----
    Shapes: ``(n, columns) -> (n, D)``. In eval mode rows are independent: batch normalisation goes by running
    statistics. Categories are one-hot (the paper has embeddings for some sets), and each column has an indicator of
    missing cells (the paper knows none).

    References
    ----------
    .. [1] Gorishniy, Rubachev, Khrulkov, Babenko: Revisiting Deep Learning Models for Tabular Data, NeurIPS 2021,
       arXiv 2106.11959.
    .. [2] Gorishniy, Rubachev, Babenko: On Embeddings for Numerical Features in Tabular Deep Learning, NeurIPS 2022,
       arXiv 2203.05556.

    Examples
    --------
    >>> import torch
    >>> encoder = ResNetMLP([0, 3], repr_dim=16, numerical_embedding="periodic").eval()
    >>> encoder(torch.tensor([[1.5, 2.0], [float("nan"), 0.0]])).shape
    torch.Size([2, 16])
    """

    def __init__(
        self,
        cardinalities: Sequence[int],
        repr_dim: int = 192,
        depth: int = 4,
        expansion: int = 2,
        hidden_dropout: float = 0.2,
        residual_dropout: float = 0.0,
        normalisation: Literal["batch", "layer"] = "batch",
        numerical_embedding: Literal["plain", "piecewise_linear", "periodic"] = "plain",
        embedding_dim: int = 24,
        bins: int = 48,
        frequencies: int = 48,
        frequency_scale: float = 0.01,
    ) -> None:
        sizes = {
            "repr_dim": repr_dim,
            "depth": depth,
            "expansion": expansion,
            "embedding_dim": embedding_dim,
            "bins": bins,
            "frequencies": frequencies,
        }
        super().__init__(
            cardinalities,
            sizes,
            hidden_dropout=hidden_dropout,
            residual_dropout=residual_dropout,
            normalisation=normalisation,
            numerical_embedding=numerical_embedding,
            frequency_scale=frequency_scale,
        )
        for name, rate in (("hidden_dropout", hidden_dropout), ("residual_dropout", residual_dropout)):
            check_fraction(rate, name, below=True)
        if normalisation not in ("batch", "layer"):
            raise ValueError(f"normalisation must be 'batch' or 'layer'; got {normalisation!r}")
        numbers = embedding_of(
            cardinalities, embedding_dim, numerical_embedding, "plain", bins, frequencies, frequency_scale
        )
        self.repr_dim = repr_dim
        self.front_end = TableFrontEnd(cardinalities, numbers)
        self.first = nn.Linear(self.front_end.out_features, repr_dim)
        norm = _BatchNorm if normalisation == "batch" else nn.LayerNorm
        self.blocks = nn.ModuleList(
            nn.Sequential(
                norm(repr_dim),
                nn.Linear(repr_dim, expansion * repr_dim),
                nn.ReLU(),
                nn.Dropout(hidden_dropout),
                nn.Linear(expansion * repr_dim, repr_dim),
                nn.Dropout(residual_dropout),
            )
            for _ in range(depth)
        )
        self.norm = norm(repr_dim)

    def learn(self, x: Float[Tensor, "n columns"]) -> None:
        """Learn the bins of a piecewise linear embedding."""
        self.front_end.learn(x)

    def forward(self, x: Float[Tensor, "n columns"]) -> Float[Tensor, "n d"]:
        """Representations ``(n, D)``."""
        h: Tensor = self.first(self.front_end(x))
        for block in self.blocks:
            h = h + block(h)
        return F.relu(self.norm(h))


class _BatchNorm(nn.BatchNorm1d):
    """Batch normalisation that a batch of one row passes by running statistics while training: it has no spread."""

    def forward(self, input: Tensor) -> Tensor:
        if self.training and rows_in_step(len(input), input.device)[1] < 2:
            return F.batch_norm(input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(input)
