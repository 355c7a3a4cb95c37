"""Smooth random curves applied to a series: its magnitude, its clock, its level."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import torch
from torch import Tensor

from kinview.augmentations import augmentations
from kinview.augmentations._random import normal
from kinview.augmentations._resampling import at_positions, fine, stay_at_end
from kinview.augmentations._series import SeriesAugmentation
from kinview.augmentations._splines import spline_curves
from kinview.data.batch import Batch
from kinview.data.gaps import observed_bounds, valid_lengths
from kinview.parameters import choice, flag, real, whole

__all__ = ["Drift", "MagnitudeWarp", "TimeWarp"]

_FEW = 64  # knots
_SLOWEST = 0.1  # of the usual speed: a slower clock stands still in places, and the warp cannot be inverted


@augmentations.register(
    "magnitude_warp", modality="time_series", family="time domain", reference="Um et al., ICMI 2017"
)
@dataclasses.dataclass(frozen=True)
class MagnitudeWarp(SeriesAugmentation):
    r"""Multiply a series by a smooth random curve: :math:`y_t = a(t)\, x_t`.

    a is the cubic spline (not-a-knot) through ``knots`` + 2 values drawn from :math:`N(1, \sigma^2)`, spaced evenly
    from the first to the last step of the series.

    Parameters
    ----------
    sigma : float, default 0.2
        Standard deviation of the values at the knots (Um et al.). 0 is the identity.
    knots : int, default 4
        Number of knots between the two ends (Um et al.).
    shared : bool, default False
        One curve for all channels of a series, instead of one for each (Um et al.).

    Notes
    -----
    The curve spans the series' own length. A missing value stays missing.

    References
    ----------
    .. [1] Um et al., Data augmentation of wearable sensor data for Parkinson's disease monitoring, ICMI 2017.

    Examples
    --------
    >>> y = MagnitudeWarp()(torch.ones(1, 1, 5), torch.Generator().manual_seed(0))
    >>> [round(value, 2) for value in y[0, 0].tolist()]
    [1.31, 0.78, 0.84, 0.92, 0.72]
    """

    sigma: float = real(0.2, low=0, neutral=0)
    knots: int = whole(4, low=0, high=1000)
    shared: bool = flag(False)

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """``(n, C, T)`` series, each times its curve."""
        if self.sigma == 0:
            return batch
        x = batch.x
        values = _drawn(x, self._each(x, self.knots + 2), generator).mul_(self.sigma).add_(1)
        curve = spline_curves(values, valid_lengths(x, batch.times), x.shape[2])
        return batch.replace(x=curve.mul_(x).to(x.dtype) if curve.shape == x.shape else x * curve.to(x.dtype))


@augmentations.register("time_warp", modality="time_series", family="time domain", reference="Um et al., ICMI 2017")
@dataclasses.dataclass(frozen=True)
class TimeWarp(SeriesAugmentation):
    r"""Run a series by a clock whose speed changes smoothly: :math:`y_t = x(\tau(t))`, all channels together.

    .. math:: \tau(t) = (L - 1) \frac{\int_0^t v}{\int_0^{L-1} v}

    The speed v is the cubic spline (not-a-knot) through ``knots`` + 2 values drawn from :math:`N(1, \sigma^2)`, spaced
    evenly over the L steps of the series; it is integrated by the trapezoidal rule. The first and the last step stay.

    Parameters
    ----------
    sigma : float, default 0.2
        Standard deviation of the speed at the knots (Um et al.). 0 is the identity.
    knots : int, default 4
        Number of knots between the two ends (Um et al.).

    Notes
    -----
    :math:`\tau` increases strictly: a curve that would fall below a tenth of the usual speed is drawn towards 1 as a
    whole until it does not, which keeps it smooth. Public code (Um et al., Iwana & Uchida) lets large ``sigma`` turn
    the clock back, and gives each channel a clock of its own, which tears simultaneous events apart; neither is
    repeated.

    Time stamps stay: the signal is distorted against the clock. Gaps are bridged before values are interpolated
    (linearly), and a value is missing where the step nearest to its source was missing.

    References
    ----------
    .. [1] Um et al., Data augmentation of wearable sensor data for Parkinson's disease monitoring, ICMI 2017.
    .. [2] Iwana and Uchida, An empirical survey of data augmentation for time series classification, PLoS ONE 2021.

    Examples
    --------
    >>> y = TimeWarp()(torch.arange(5.0).reshape(1, 1, 5), torch.Generator().manual_seed(0))
    >>> [round(value, 2) for value in y[0, 0].tolist()]
    [0.0, 1.17, 2.08, 3.07, 4.0]
    """

    sigma: float = real(0.2, low=0, neutral=0)
    knots: int = whole(4, low=0, high=1000)

    makes_gaps: ClassVar[bool] = True

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """``(n, C, T)`` series by their warped clocks."""
        if self.sigma == 0 or batch.x.shape[2] == 0:
            return batch
        x = batch.x
        values = _drawn(x, (len(x), self.knots + 2), generator).mul_(self.sigma).add_(1)
        lengths = valid_lengths(x, batch.times)
        return batch.replace(x=at_positions(x, stay_at_end(_clock(values, lengths, x.shape[2]), lengths)))


def _drawn(x: Tensor, size: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Standard normal values at knots, as fine as positions in series like x have to be."""
    return normal(size, generator, x.new_empty(0, dtype=fine(x)))


def _clock(values: Tensor, lengths: Tensor, steps: int) -> Tensor:
    """Warped time of each step, ``(n, T)``, for the speed of a clock at its knots; held beyond a series' end."""
    n, knots = values.shape
    if n and knots <= _FEW and bool((lengths == lengths[0]).all()):  # integrals of a few curves give those of all rows
        basis = spline_curves(torch.eye(knots).to(values)[None], lengths[:1], steps)[0]
        time = _nearer_one(values, values @ basis) @ _integral(basis)
    else:
        speed = spline_curves(values[:, None, :], lengths, steps)[:, 0]
        time = _integral(_nearer_one(speed, speed))
    last = (lengths - 1).clamp_min(0)[:, None]
    total = time.gather(1, last)
    return time.div_(torch.where(total > 0, total, 1)).mul_(last)


def _nearer_one(values: Tensor, speed: Tensor) -> Tensor:
    """Values drawn towards 1, as far as it takes that the speed they stand for is nowhere too slow."""
    slowest = speed.amin(dim=1, keepdim=True)
    factor = (1 - _SLOWEST) / (1 - slowest).clamp_min(1 - _SLOWEST)
    return (values - 1).mul_(factor).add_(1)


def _integral(speed: Tensor) -> Tensor:
    """Twice the integral from the first step on, by the trapezoidal rule."""
    return torch.nn.functional.pad((speed[:, 1:] + speed[:, :-1]).cumsum_(dim=1), (1, 0))


@augmentations.register("drift", modality="time_series", family="time domain", reference="tsaug, 2020")
@dataclasses.dataclass(frozen=True)
class Drift(SeriesAugmentation):
    r"""Let the level of a series drift smoothly away from where it begins.

    A random walk of ``points`` + 2 Gaussian steps, spaced evenly from the first to the last step of the series, becomes
    a smooth curve by a cubic spline; d is this curve moved and scaled to :math:`d_0 = 0` and
    :math:`\max_t |d_t| = max\_drift`. The view is :math:`y = x + d\,(\max x - \min x)`, or :math:`y = x\,(1 + d)`.

    Parameters
    ----------
    max_drift : float, default 0.5
        Largest distance from the original, as a fraction of the range of the observed values, or of each value (tsaug).
        0 is the identity.
    points : int, default 3
        Number of points between the two ends where the walk may turn (tsaug's ``n_drift_points``).
    kind : {"additive", "multiplicative"}, default "additive"
        What the drift does (tsaug).
    shared : bool, default False
        One curve for all channels of a series, instead of one for each (tsaug).

    Notes
    -----
    tsaug puts the last point one step beyond the series; here it lies on the last step. A missing value stays missing,
    and so does a constant series under additive drift, whose range is 0: it stays as it is.

    References
    ----------
    .. [1] Arundo Analytics, tsaug: a Python package for time series augmentation, 2020.

    Examples
    --------
    >>> y = Drift()(torch.tensor([[[0.0, 0.0, 1.0, 1.0]]]), torch.Generator().manual_seed(0))
    >>> y[0, 0, 0].item(), (y - torch.tensor([0.0, 0.0, 1.0, 1.0])).abs().max().item()
    (0.0, 0.5)
    """

    max_drift: float = real(0.5, low=0, neutral=0)
    points: int = whole(3, low=0, high=1000)
    kind: str = choice("additive", ("additive", "multiplicative"))
    shared: bool = flag(False)

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """``(n, C, T)`` series with their drift."""
        if self.max_drift == 0 or batch.x.shape[2] == 0:
            return batch
        x = batch.x
        walk = _drawn(x, self._each(x, self.points + 2), generator).cumsum(dim=2)
        curve = spline_curves(walk - walk[:, :, :1], valid_lengths(x, batch.times), x.shape[2])
        largest = torch.linalg.vector_norm(curve, ord=torch.inf, dim=2, keepdim=True)
        scale = self.max_drift / torch.where(largest > 0, largest, 1)
        if self.kind == "multiplicative":
            return batch.replace(x=x * curve.mul_(scale).add_(1).to(x.dtype))
        low, high = observed_bounds(x)
        return batch.replace(x=x + (curve * (scale * (high - low).to(scale.dtype))).to(x.dtype))
