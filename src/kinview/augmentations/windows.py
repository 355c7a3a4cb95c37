"""A window of a series stretched: within it, or over its whole length."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from kinview.augmentations import augmentations
from kinview.augmentations._random import bernoulli, uniform
from kinview.augmentations._resampling import at_positions, at_stamps, fine, stay_at_end
from kinview.augmentations._series import SeriesAugmentation
from kinview.data.batch import Batch
from kinview.data.gaps import valid_lengths
from kinview.parameters import interval, real

__all__ = ["RandomCropResize", "Resample", "WindowSlice", "WindowWarp"]


@augmentations.register(
    "window_warp", modality="time_series", family="time domain", reference="Le Guennec et al., AALTD 2016"
)
@dataclasses.dataclass(frozen=True)
class WindowWarp(SeriesAugmentation):
    r"""Stretch or squeeze one random window of a series, and bring the whole back to its length.

    A window of w = ``window`` · (L − 1) begins uniformly within the series and takes s times as long, s one of the two
    ``scales`` with equal chance; then everything runs at the speed that fits it into the L steps again. All channels
    share window and scale.

    Parameters
    ----------
    window : float, default 0.1
        Fraction of the series that is warped (Iwana & Uchida), less than all of it.
    scales : tuple of float, default (0.5, 2.0)
        The two factors, the smaller first (Le Guennec et al.). (1, 1) is the identity.

    Notes
    -----
    The window is a piece of continuous time, where public code cuts at whole steps. Time stamps stay: the signal is
    distorted against the clock. Gaps are bridged before values are interpolated (linearly), and a value is missing
    where the step nearest to its source was missing.

    References
    ----------
    .. [1] Le Guennec et al., Data augmentation for time series classification using CNNs, AALTD 2016.
    .. [2] Iwana and Uchida, An empirical survey of data augmentation for time series classification, PLoS ONE 2021.

    Examples
    --------
    >>> x = torch.arange(7.0).reshape(1, 1, 7)
    >>> y = WindowWarp(window=0.5, scales=(2.0, 2.0))(x, torch.Generator().manual_seed(0))
    >>> [round(value, 2) for value in y[0, 0].tolist()]
    [0.0, 1.49, 2.24, 2.99, 3.74, 4.5, 6.0]
    """

    window: float = real(0.1, above=0, below=1)
    scales: tuple[float, float] = interval((0.5, 2.0), above=0, neutral=1)

    makes_gaps: ClassVar[bool] = True

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """``(n, C, T)`` series, each with its warped window."""
        if self.scales == (1, 1):
            return batch
        x = batch.x
        wide = x.new_empty(0, dtype=fine(x))
        begin = uniform((len(batch), 1), generator, wide)
        longer = bernoulli((len(batch), 1), 0.5, generator, wide)
        scale = torch.where(longer, self.scales[1], self.scales[0]).to(wide)
        lengths = valid_lengths(x, batch.times)
        last = (lengths - 1).clamp_min(0)[:, None].to(wide)
        width = self.window * last
        begin *= last - width
        step = torch.arange(x.shape[2], device=x.device, dtype=wide.dtype)
        position = step * (1 + self.window * (scale - 1))  # as if the rest kept its speed
        inside = (position - begin).clamp_min_(0)
        torch.minimum(inside, width * scale, out=inside)
        position.addcmul_(inside, 1 / scale - 1)
        return batch.replace(x=at_positions(x, stay_at_end(position, lengths)))


@augmentations.register(
    "window_slice", modality="time_series", family="time domain", reference="Le Guennec et al., AALTD 2016"
)
@dataclasses.dataclass(frozen=True)
class WindowSlice(SeriesAugmentation):
    r"""Take a random slice of a series and stretch it over the whole length.

    :math:`y_t = x(b + r t)` with ratio r and begin :math:`b \sim U(0, (1 - r)(L - 1))`; all channels share the slice.

    Parameters
    ----------
    ratio : float, default 0.9
        r, the fraction of the series in the slice (Le Guennec et al.). 1 is the identity.

    Notes
    -----
    The slice is a piece of continuous time, where public code cuts at whole steps. Time stamps stay: the signal is
    distorted against the clock. Gaps are bridged before values are interpolated (linearly), and a value is missing
    where the step nearest to its source was missing.

    References
    ----------
    .. [1] Le Guennec et al., Data augmentation for time series classification using CNNs, AALTD 2016.

    Examples
    --------
    >>> y = WindowSlice(ratio=0.5)(torch.arange(5.0).reshape(1, 1, 5), torch.Generator().manual_seed(0))
    >>> y.diff()[0, 0].tolist()
    [0.5, 0.5, 0.5, 0.5]
    """

    ratio: float = real(0.9, above=0, high=1, neutral=1)

    makes_gaps: ClassVar[bool] = True

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """``(n, C, T)`` series, each a slice of itself."""
        if self.ratio == 1:
            return batch
        return batch.replace(x=at_positions(batch.x, _slice(batch, (self.ratio, self.ratio), generator)))


@augmentations.register(
    "random_crop_resize", modality="time_series", family="time domain", reference="Mehari & Strodthoff, CBM 2022"
)
@dataclasses.dataclass(frozen=True)
class RandomCropResize(SeriesAugmentation):
    r"""Take a random slice of random length and stretch it over the whole length.

    :math:`y_t = x(b + r t)` with :math:`r \sim U(ratio)` and begin :math:`b \sim U(0, (1 - r)(L - 1))`; all channels
    share the slice.

    Parameters
    ----------
    ratio : tuple of float, default (0.5, 1.0)
        Smallest and largest fraction of the series in the slice (Mehari & Strodthoff). (1, 1) is the identity.

    Notes
    -----
    The slice is a piece of continuous time, where public code cuts at whole steps. Time stamps stay: the signal is
    distorted against the clock (:class:`Resample` takes them along). Gaps are bridged before values are interpolated
    (linearly), and a value is missing where the step nearest to its source was missing.

    References
    ----------
    .. [1] Mehari and Strodthoff, Self-supervised representation learning from 12-lead ECG data, Computers in Biology
       and Medicine 2022.

    Examples
    --------
    >>> y = RandomCropResize()(torch.arange(5.0).reshape(1, 1, 5), torch.Generator().manual_seed(0))
    >>> 0.5 <= y.diff().min().item() <= 1
    True
    """

    ratio: tuple[float, float] = interval((0.5, 1.0), above=0, high=1, neutral=1)

    makes_gaps: ClassVar[bool] = True

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """``(n, C, T)`` series, each a slice of itself."""
        if self.ratio == (1, 1):
            return batch
        return batch.replace(x=at_positions(batch.x, _slice(batch, self.ratio, generator)))


@augmentations.register("resample", modality="time_series", family="time domain", reference="Qian et al., KDD 2022")
@dataclasses.dataclass(frozen=True)
class Resample(SeriesAugmentation):
    r"""Read the same signal at other instants, closer together, from a random one on.

    :math:`y_t = x(b + r t)` with :math:`r \sim U(rate)` and begin :math:`b \sim U(0, (1 - r)(L - 1))`; the time stamps
    are interpolated along with the values. All channels share the instants.

    Parameters
    ----------
    rate : tuple of float, default (0.5, 0.75)
        Smallest and largest distance between the new instants, in old steps. Qian et al. draw from 1/2, 2/3 and 3/4:
        they interpolate M values between every two and then keep each (N + 1)-th of T steps. (1, 1) is the identity.

    Notes
    -----
    Public code interpolates by a cubic spline; here it is linear, like in all members that move between steps. Gaps are
    bridged before, and a value is missing where the step nearest to its instant was missing.

    References
    ----------
    .. [1] Qian et al., What makes good contrastive learning on small-scale wearable-based tasks?, KDD 2022.

    Examples
    --------
    >>> times = 10 * torch.arange(5.0, dtype=torch.float64)[None]
    >>> batch = Batch.of(torch.arange(5.0).reshape(1, 1, 5), times=times)
    >>> view = Resample(rate=(0.5, 0.5))(batch, torch.Generator().manual_seed(0))
    >>> view.times.diff().tolist(), bool(torch.allclose(view.times, 10 * view.x[:, 0].double()))
    ([[5.0, 5.0, 5.0, 5.0]], True)
    """

    rate: Sequence[float] = interval((0.5, 0.75), above=0, high=1, neutral=1)

    moves_time: ClassVar[bool] = True
    makes_gaps: ClassVar[bool] = True

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """``(n, C, T)`` series at their new instants."""
        if self.rate == (1, 1):
            return batch
        position = _slice(batch, self.rate, generator)
        times = None if batch.times is None else at_stamps(batch.times, position)
        return batch.replace(x=at_positions(batch.x, position), times=times)


def _slice(batch: Batch, ratio: Sequence[float], generator: torch.Generator) -> Tensor:
    """Positions ``(n, T)`` of a random slice of each series, its fraction of the series drawn from ``ratio``."""
    x = batch.x
    wide = x.new_empty(0, dtype=fine(x))
    fraction = uniform((len(batch), 1), generator, wide, *ratio) if ratio[0] < ratio[1] else ratio[0]
    begin = uniform((len(batch), 1), generator, wide)
    lengths = valid_lengths(x, batch.times)
    begin *= (lengths - 1).clamp_min(0)[:, None] * (1 - fraction)
    step = torch.arange(x.shape[2], device=x.device, dtype=wide.dtype)
    return stay_at_end(step * fraction + begin, lengths)
