"""Cells replaced together by those of one training row."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from kinview.augmentations import augmentations
from kinview.augmentations._random import integers
from kinview.augmentations._tables import ExactCorruption
from kinview.data.batch import Batch
from kinview.parameters import real

if TYPE_CHECKING:
    from kinview.data.table import TableSchema

__all__ = ["JointRowSwap"]


@augmentations.register(
    "joint_row_swap", modality="tabular", family="tables", reference="Bahri et al., SCARF, ICLR 2022"
)
@dataclasses.dataclass(frozen=True)
class JointRowSwap(ExactCorruption):
    r"""In every row exactly q columns, drawn afresh, take the values of one training row.

    :math:`q = \max(1, \lfloor c M \rfloor)` of the M columns; the donor is one training row, uniform, for all of them,
    so that what goes together in training goes together in the corrupted cells. A category moves as one unit. A missing
    cell stays missing, and a cell that the donor misses stays as it is.

    Parameters
    ----------
    corruption_rate : float, default 0.6
        c (SCARF's rate, for its ablation "joint sampling"). 0 is the identity.

    Notes
    -----
    ``fit`` keeps the training rows as they are: of all corruptions of tables this one alone holds rows that can be read
    back while it is in memory. No config, repr or saved model holds them, and :meth:`forget` drops them. The donor may
    be the row itself, once in as many rows as there were in training.

    Raises
    ------
    ValueError
        When called before ``fit``, or on another number of columns.

    References
    ----------
    .. [1] Bahri et al., SCARF: Self-Supervised Contrastive Learning using Random Feature Corruption, ICLR 2022,
       arXiv 2106.15147.

    Examples
    --------
    >>> swap = JointRowSwap(0.5).fit(Batch.of(torch.arange(8.0).reshape(2, 4)))
    >>> swap(torch.full((2, 4), -1.0), torch.Generator().manual_seed(0))
    tensor([[ 4.,  5., -1., -1.],
            [-1.,  5., -1.,  7.]])
    """

    corruption_rate: float = real(0.6, low=0, high=1, neutral=0)
    _rows: Float[Tensor, "rows columns"] | None = dataclasses.field(default=None, init=False, repr=False, compare=False)

    def _learned(self, batch: Batch, schema: TableSchema | None) -> dict[str, Tensor]:
        """The training rows themselves."""
        return {"_rows": batch.x.clone()}

    def _keeps_all(self, x: Tensor, known: tuple[Tensor, ...]) -> bool:
        return super()._keeps_all(x, known) or len(known[0]) == 0

    def _replacement(self, batch: Batch, known: tuple[Tensor, ...], generator: torch.Generator) -> Tensor:
        (rows,) = known
        donors = integers((len(batch),), 0, len(rows), generator).to(rows.device)
        return rows.index_select(0, donors).to(batch.x.dtype)
