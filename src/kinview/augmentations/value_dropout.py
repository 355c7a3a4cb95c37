"""Whole channels blanked, and observed values made missing."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import torch
from torch import Tensor

from kinview.augmentations import augmentations
from kinview.augmentations._masking import FILLS, Masking
from kinview.augmentations._random import bernoulli, uniform
from kinview.augmentations._series import SeriesAugmentation
from kinview.data.batch import Batch
from kinview.parameters import choice, flag, real

__all__ = ["ChannelDropout", "ObservationDropout"]


@augmentations.register(
    "channel_dropout",
    modality="time_series",
    family="masking",
    reference="Yèche et al., Neighborhood Contrastive Learning, ICML 2021",
)
@dataclasses.dataclass(frozen=True)
class ChannelDropout(Masking):
    """Blank whole channels: each of a row with probability p, independently.

    Parameters
    ----------
    p : float, default 0.2
        Probability that a channel is blanked, in [0, 1] (paper, where it is called spatial dropout).
    some : bool, default True
        Whether of two or more channels at least one is blanked and at least one kept, so that every row has a view that
        is neither a copy nor empty (kinview): where none was drawn, one channel goes, and where all were, one stays,
        chosen at random. With False the draws count as they are (paper).
    fill : {"zero", "mean", "missing"}, default "zero"
        What takes the place of a value (paper: zero, the mean of its standardised channels).

    Notes
    -----
    "mean" is that of the observed values of the series and channel; what was missing stays missing. With ``some`` a
    series of one channel stays as it is.

    References
    ----------
    .. [1] Yèche et al., Neighborhood Contrastive Learning Applied to Online Patient Monitoring, ICML 2021, arXiv
       2106.05142.

    Examples
    --------
    >>> ChannelDropout()(torch.ones(1, 3, 4), torch.Generator().manual_seed(0))
    tensor([[[1., 1., 1., 1.],
             [1., 1., 1., 1.],
             [0., 0., 0., 0.]]])
    """

    p: float = real(0.2, low=0, high=1, neutral=0)
    some: bool = flag(True)
    fill: str = choice("zero", FILLS)

    def hidden(self, batch: Batch, generator: torch.Generator) -> Tensor | None:
        """Whole channels."""
        n, channels, _ = batch.x.shape
        if self.p == 0 or (self.some and channels < 2):
            return None
        drawn = uniform((n, channels, 1), generator, torch.empty((), dtype=torch.float64, device=batch.x.device))
        gone = drawn < self.p
        if self.some:
            # the drawn numbers order the channels at random: the lowest goes in any case, the highest stays
            gone = (gone | (drawn == drawn.amin(dim=1, keepdim=True))) & (drawn < drawn.amax(dim=1, keepdim=True))
        return gone.float()


@augmentations.register("observation_dropout", modality="time_series", family="masking", reference="kinview")
@dataclasses.dataclass(frozen=True)
class ObservationDropout(SeriesAugmentation):
    r"""Make observed values missing: each with probability p, independently.

    Parameters
    ----------
    p : float, default 0.2
        Probability that an observed value becomes missing, in [0, 1] (kinview).
    shared : bool, default False
        Whether whole steps become missing, in all channels.

    Notes
    -----
    Two views of a series with values missing at different places tell an encoder that the pattern of missingness is no
    identity. Every observed value of a series may go; the encoders of this package take a series without one.

    Examples
    --------
    >>> ObservationDropout(0.5)(torch.arange(1.0, 9.0).reshape(1, 1, 8), torch.Generator().manual_seed(0))
    tensor([[[nan, 2., nan, nan, nan, 6., nan, 8.]]])
    """

    p: float = real(0.2, low=0, high=1, neutral=0)
    shared: bool = flag(False)

    makes_gaps: ClassVar[bool] = True

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """View of ``(n, C, T)`` series with more gaps."""
        if self.p == 0:
            return batch
        gone = bernoulli(self._each(batch.x, batch.x.shape[2]), self.p, generator, batch.x)
        return batch.replace(x=batch.x.masked_fill(gone, torch.nan))
