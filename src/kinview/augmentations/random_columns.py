"""Some of the columns of each row, drawn anew."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import torch

from kinview.augmentations import augmentations
from kinview.augmentations._tables import column_count, exactly
from kinview.augmentations.base import Augmentation, Modality
from kinview.data.batch import Batch
from kinview.parameters import real

__all__ = ["RandomColumns"]


@augmentations.register(
    "random_columns", modality="tabular", family="tables", reference="Ucar et al., SubTab, NeurIPS 2021"
)
@dataclasses.dataclass(frozen=True)
class RandomColumns(Augmentation):
    r"""Keep :math:`\max(1, \lfloor r M \rfloor)` of the M columns of each row, drawn anew, and make the others missing.

    Parameters
    ----------
    fraction : float, default 0.5
        r, the fraction of the columns that is kept (kinview). 1 is the identity.

    Notes
    -----
    SubTab has fixed subsets of neighbouring columns (:class:`ColumnSubsets`); here each row has its own, so that a
    table of any number of columns has as many short views as are asked for.

    References
    ----------
    .. [1] Ucar et al., SubTab: Subsetting Features of Tabular Data for Self-Supervised Representation Learning,
       NeurIPS 2021, arXiv 2110.04361.

    Examples
    --------
    >>> RandomColumns(0.5)(torch.ones(3, 4), torch.Generator().manual_seed(0)).isnan().sum(dim=1)
    tensor([2, 2, 2])
    """

    fraction: float = real(0.5, above=0, high=1, neutral=1)

    modality: ClassVar[Modality] = "tabular"
    makes_gaps: ClassVar[bool] = True

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Rows ``(n, columns)`` with gaps."""
        n, columns = batch.x.shape
        if self.fraction == 1 or columns == 0:
            return batch
        kept = exactly(n, columns, column_count(self.fraction, columns), generator).to(batch.x.device)
        return batch.replace(x=batch.x.masked_fill(kept == 0, torch.nan))
