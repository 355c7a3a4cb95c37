"""SCARF's corruption: cells replaced by draws from their column's training marginal."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from kinview.augmentations import augmentations
from kinview.augmentations.base import Augmentation
from kinview.data.batch import Batch

if TYPE_CHECKING:
    from kinview.data.table import TableSchema

__all__ = ["ColumnCorruption"]


@augmentations.register("column_corruption", modality="tabular", reference="Bahri et al., SCARF, ICLR 2022")
@dataclasses.dataclass(frozen=True)
class ColumnCorruption(Augmentation):
    r"""In every row exactly q columns, drawn afresh, take independent draws from their training marginals.

    :math:`q = \max(1, \lfloor c M \rfloor)` of the M columns; each drawn cell takes the value that a training row,
    chosen uniformly among those where the column was observed, has in that column. A category moves as one unit. A
    missing cell stays missing, and a column never observed in training stays as it is.

    Parameters
    ----------
    corruption_rate : float, default 0.6
        c (paper). 0 is the identity.

    Notes
    -----
    ``fit`` learns the marginals from training rows. They are no parameter: a config, a repr and a saved model hold none
    of them. Public re-implementations differ from the paper, in the share of replaced cells (1 − c), the law (uniform
    between the extremes, or one donor row for all columns) and the count (Bernoulli); this one follows the paper.

    Raises
    ------
    ValueError
        At construction for a rate outside [0, 1]; when called before ``fit``, or on another number of columns.

    References
    ----------
    .. [1] Bahri et al., SCARF: Self-Supervised Contrastive Learning using Random Feature Corruption, ICLR 2022,
       arXiv 2106.15147.

    Examples
    --------
    >>> train = Batch.of(torch.arange(12.0).reshape(4, 3))
    >>> corrupt = ColumnCorruption(0.6).fit(train)
    >>> rows = Batch.of(torch.full((2, 3), -1.0))
    >>> (corrupt(rows, torch.Generator().manual_seed(0)).x != -1).sum(dim=1)  # q = 1 of 3 columns
    tensor([1, 1])
    """

    corruption_rate: float = 0.6
    _marginals: Float[Tensor, "rows columns"] | None = dataclasses.field(
        default=None, init=False, repr=False, compare=False
    )
    _counts: Int64[Tensor, " columns"] | None = dataclasses.field(default=None, init=False, repr=False, compare=False)

    needs: ClassVar[frozenset[str]] = frozenset({"schema"})

    def __post_init__(self) -> None:
        if not 0.0 <= self.corruption_rate <= 1.0:
            raise ValueError(f"corruption_rate must be in [0, 1]; got {self.corruption_rate!r}")

    def fit(self, batch: Batch, schema: TableSchema | None = None) -> ColumnCorruption:
        """Learn the observed training values of every column; returns a fitted copy."""
        values, _ = torch.sort(batch.x, dim=0)  # NaN last; sorted apart, no training row can be put together again
        fitted = dataclasses.replace(self)
        object.__setattr__(fitted, "_marginals", values)
        object.__setattr__(fitted, "_counts", (~torch.isnan(values)).sum(dim=0))
        return fitted

    def __call__(self, batch: Batch, generator: torch.Generator | None = None) -> Batch:
        """Corrupted copy of a table ``(n, columns)``."""
        if self._marginals is None or self._counts is None:
            raise ValueError("column_corruption draws from training marginals: call fit(batch) on training rows first")
        n, columns = batch.x.shape
        if columns != self._marginals.shape[1]:
            raise ValueError(f"column_corruption was fitted on {self._marginals.shape[1]} columns; got {columns}")
        if self.corruption_rate == 0 or columns == 0:
            return batch
        device = batch.x.device
        q = max(1, math.floor(self.corruption_rate * columns + 1e-9))  # 0.29 · 100 is 28.999… in binary
        chosen = torch.zeros(n, columns, dtype=torch.bool)
        chosen.scatter_(1, torch.rand(n, columns, generator=generator).topk(q, dim=1).indices, True)
        # one uniform draw a cell picks the donor row of that cell's own column
        donors = (torch.rand(n, columns, generator=generator, dtype=torch.float64) * self._counts.cpu()).long()
        replacement = self._marginals.to(device).gather(0, donors.to(device))
        replace = chosen.to(device) & ~torch.isnan(batch.x) & (self._counts > 0).to(device)
        return batch.replace(x=torch.where(replace, replacement, batch.x))
