"""What the augmentations of series share."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from kinview.augmentations.base import Augmentation, Modality

__all__ = ["SeriesAugmentation"]


class SeriesAugmentation(Augmentation):
    """An augmentation of series ``(n, C, T)``; one with a parameter ``shared`` can draw once for all channels."""

    modality: ClassVar[Modality] = "time_series"
    shared: bool

    def _each(self, x: Tensor, *more: int) -> tuple[int, ...]:
        """Size of what is drawn for each row and channel, or once for all channels: ``(n, C or 1, *more)``."""
        return (x.shape[0], 1 if self.shared else x.shape[1], *more)
