"""Values hidden by a mask: what masking members share."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from kinview.augmentations._series import SeriesAugmentation
from kinview.data.batch import Batch
from kinview.data.gaps import observed_mean

__all__ = ["FILLS", "Filling", "Masking"]

FILLS = ("zero", "mean", "missing")


class Filling(SeriesAugmentation):
    """An augmentation that puts something in the place of values, which the parameter ``fill`` says.

    "zero" puts 0, "mean" the mean of the observed values of that series and channel, "missing" a gap (NaN). What was
    missing before stays missing. ``makes_gaps`` says of the class that it may, of an instance whether it does.
    """

    fill: str
    makes_gaps: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Check the parameters, and say of this instance whether it makes gaps."""
        super().__post_init__()
        self._set(makes_gaps=self.fill == "missing")


class Masking(Filling):
    """An augmentation that hides values: :meth:`hidden` says which."""

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """View of ``(n, C, T)`` series with the hidden values replaced."""
        x = batch.x
        hidden = self.hidden(batch, generator)
        if hidden is None:
            return batch
        if self.fill == "missing":
            kept = 1 - hidden
            return batch.replace(x=x - (1 - kept / kept).to(x.dtype))  # 0 / 0 is NaN; a difference has a gradient
        if self.fill == "zero" and bool(torch.isfinite(x.sum())):  # else 0 would meet a gap or an infinity
            return batch.replace(x=x * (1 - hidden).to(x.dtype))
        value = observed_mean(x).to(x.dtype) if self.fill == "mean" else x.new_zeros(())
        return batch.replace(x=torch.where((hidden > 0) & ~torch.isnan(x), value, x))

    @abstractmethod
    def hidden(self, batch: Batch, generator: torch.Generator) -> Tensor | None:
        """1 where a value is hidden, 0 where not, ``(n or 1, C or 1, T or 1)``; None for nowhere."""
