"""Noise on every value."""

from __future__ import annotations

import dataclasses

import torch

from kinview.augmentations import augmentations
from kinview.augmentations._random import normal
from kinview.augmentations._series import SeriesAugmentation
from kinview.data.batch import Batch
from kinview.parameters import real

__all__ = ["Jitter"]


@augmentations.register("jitter", modality="time_series", family="time domain", reference="Um et al., ICMI 2017")
@dataclasses.dataclass(frozen=True)
class Jitter(SeriesAugmentation):
    r"""Add Gaussian noise, drawn for each value: :math:`y = x + \epsilon`, :math:`\epsilon \sim N(0, \sigma^2)`.

    Parameters
    ----------
    sigma : float, default 0.8
        Standard deviation of the noise in the units of the values, which should be standardised. 0.8 is TS-TCC's for
        human activities [2]_ (0.001 for its EEG); Um et al. take 0.05. 0 is the identity.

    Notes
    -----
    A missing value stays missing.

    References
    ----------
    .. [1] Um et al., Data augmentation of wearable sensor data for Parkinson's disease monitoring, ICMI 2017.
    .. [2] Eldele et al., TS-TCC, IJCAI 2021.

    Examples
    --------
    >>> x = torch.zeros(1, 1, 10_000)
    >>> round(Jitter(sigma=0.5)(x, torch.Generator().manual_seed(0)).std().item(), 1)
    0.5
    """

    sigma: float = real(0.8, low=0, neutral=0)

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Noisy copy of ``(n, C, T)`` series."""
        if self.sigma == 0:
            return batch
        return batch.replace(x=normal(tuple(batch.x.shape), generator, batch.x).mul_(self.sigma).add_(batch.x))
