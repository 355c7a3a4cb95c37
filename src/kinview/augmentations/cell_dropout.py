"""Cells of a table at a chance made missing."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import torch

from kinview.augmentations import augmentations
from kinview.augmentations._random import bernoulli
from kinview.augmentations.base import Augmentation, Modality
from kinview.data.batch import Batch
from kinview.parameters import real

__all__ = ["CellDropout"]


@augmentations.register("cell_dropout", modality="tabular", family="tables", reference="kinview")
@dataclasses.dataclass(frozen=True)
class CellDropout(Augmentation):
    r"""Make each observed cell of a table missing with probability p.

    .. math:: v_{ij} = x_{ij} \text{ where } m_{ij} = 0, \text{ else not observed}, \quad m_{ij} \sim
              \mathrm{Bernoulli}(p)

    Parameters
    ----------
    p : float, default 0.3
        Probability that a cell becomes missing (VIME's rate of its mask). 0 is the identity.

    Notes
    -----
    What :class:`ObservationDropout` is for series. Encoders of tables are told which cells are missing, so that a cell
    that is hidden differs from every value, as it does not under ``zero_out``, ``mean_mask`` or ``swap_noise``. Every
    cell of a row may go.

    Examples
    --------
    >>> CellDropout(0.5)(torch.arange(1.0, 9.0).reshape(2, 4), torch.Generator().manual_seed(0))
    tensor([[nan, 2., nan, nan],
            [nan, 6., nan, 8.]])
    """

    p: float = real(0.3, low=0, high=1, neutral=0)

    modality: ClassVar[Modality] = "tabular"
    makes_gaps: ClassVar[bool] = True

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """View of a table ``(n, columns)`` with more missing cells."""
        if self.p == 0:
            return batch
        gone = bernoulli(tuple(batch.x.shape), self.p, generator, batch.x)
        return batch.replace(x=batch.x.masked_fill(gone, torch.nan))
