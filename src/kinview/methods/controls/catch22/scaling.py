"""Features of catch22 on periods, and on how fluctuations grow with the time scale."""

from __future__ import annotations

import functools
import math

import numpy as np
from jaxtyping import Float, Int

from kinview.methods.controls.catch22.shared import power_of_two

__all__ = ["dfa", "periodicity", "rs_range"]

_SCALES = 50
_PROMINENT = 0.01  # least height of a peak of the autocovariance above the valley before it
_TIED = 1e-9  # relative difference of two errors that counts as none


def periodicity(z: Float[np.ndarray, "n t"]) -> Float[np.ndarray, " n"]:
    r"""Period in steps (Wang et al. 2007); 0 where there is none.

    A cubic spline with one inner knot in the middle is subtracted. The period is the first lag up to T/3 at which the
    autocovariance :math:`\frac{1}{T-k} \sum_i x_i x_{i+k}` has a peak that is not negative, after a valley and at least
    0.01 above it.
    """
    n, steps = z.shape
    if steps < 7:  # too short for a valley and a peak
        return np.zeros(n)
    basis = _spline_basis(steps)
    detrended = np.stack([row - basis @ (row @ basis) for row in z])
    size = 2 * power_of_two(steps)
    covariance = np.fft.irfft(np.abs(np.fft.rfft(detrended, size)) ** 2, size)
    lag = np.arange(1, math.ceil(steps / 3) + 1)
    covariance = covariance[:, lag] / (steps - lag)
    before, after = np.diff(covariance[:, :-1], axis=1), np.diff(covariance[:, 1:], axis=1)
    here = covariance[:, 1:-1]
    place = np.arange(here.shape[1])
    valley = np.maximum.accumulate(np.where((before < 0) & (after > 0), place, -1), axis=1)
    height = here - np.take_along_axis(here, np.maximum(valley, 0), axis=1)
    peak = (before > 0) & (after < 0) & (valley >= 0) & (height >= _PROMINENT) & (here >= 0)
    return np.where(peak.any(axis=1), lag[1 + peak.argmax(axis=1)], 0).astype(np.float64)


@functools.lru_cache(maxsize=32)
def _spline_basis(steps: int) -> Float[np.ndarray, "t 5"]:
    """Orthonormal basis of the cubic splines with a knot in the middle."""
    place = np.arange(steps) / (steps - 1)
    knot = (steps // 2 - 1) / (steps - 1)
    columns = [*(place**power for power in range(4)), np.maximum(place - knot, 0) ** 3]
    basis: np.ndarray = np.linalg.qr(np.stack(columns, axis=1)).Q
    return basis


def rs_range(z: Float[np.ndarray, "n t"]) -> Float[np.ndarray, " n"]:
    """Where scaling changes, of the ranges of the integrated series in windows: fraction of the scales before."""
    return _first_regime(z, ranges=True)


def dfa(z: Float[np.ndarray, "n t"]) -> Float[np.ndarray, " n"]:
    """Where scaling changes, of the standard deviations around a line in windows, of every second value integrated."""
    return _first_regime(z[:, ::2], ranges=False)


def _first_regime(x: Float[np.ndarray, "n t"], ranges: bool) -> Float[np.ndarray, " n"]:
    """Fraction of the time scales below the break of the best two lines through log fluctuation over log scale."""
    n, steps = x.shape
    if steps < 10:
        return np.full(n, np.nan)
    scales = _time_scales(steps)
    fewest = max(8, math.floor(0.25 * len(scales) + 0.5))
    if len(scales) < 2 * fewest:
        return np.full(n, np.nan)
    profile = np.cumsum(x, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        fluctuation = np.stack([np.log(_fluctuation(profile, int(scale), ranges)) for scale in scales], axis=1)
        scale = np.log(scales.astype(np.float64))
        splits = range(fewest, len(scales) - fewest + 1)
        error = np.stack(
            [
                _error_of_line(scale[:i], fluctuation[:, :i]) + _error_of_line(scale[i - 1 :], fluctuation[:, i - 1 :])
                for i in splits
            ],
            axis=1,
        )
        best = np.fmin.reduce(error, axis=1, initial=np.inf)[:, None]
        chosen = error <= best * (1 + _TIED)
    below: np.ndarray = (fewest + chosen.argmax(axis=1)) / len(scales)
    return below


def _time_scales(steps: int) -> Int[np.ndarray, " s"]:
    """Up to 50 window lengths from 5 to half the series, evenly spaced in their logarithm."""
    low, high = math.log(5.0), math.log(float(steps // 2))
    exact = np.exp(low + np.arange(_SCALES) * (high - low) / (_SCALES - 1))
    scales = np.floor(exact + 0.5).astype(np.int64)
    scales[-1] = steps // 2
    return np.unique(scales)


def _fluctuation(profile: Float[np.ndarray, "n t"], scale: int, ranges: bool) -> Float[np.ndarray, " n"]:
    """Root mean square, over whole windows, of the range or of the deviations around the window's line."""
    n, steps = profile.shape
    windows = profile[:, : steps // scale * scale].reshape(n, -1, scale)  # (n, windows, scale)
    at = np.arange(scale) - (scale - 1) / 2
    level = windows.mean(axis=2, keepdims=True)
    slope = (windows * at).sum(axis=2, keepdims=True) / (at * at).sum()
    rest = windows - level - slope * at
    squared = (rest.max(axis=2) - rest.min(axis=2)) ** 2 if ranges else (rest**2).mean(axis=2)
    found: np.ndarray = np.sqrt(squared.mean(axis=1))
    return found


def _error_of_line(x: Float[np.ndarray, " s"], y: Float[np.ndarray, "n s"]) -> Float[np.ndarray, " n"]:
    """Sum of squares around the line of least squares."""
    x = x - x.mean()
    y = y - y.mean(axis=1, keepdims=True)
    slope = (x * y).sum(axis=1, keepdims=True) / (x * x).sum()
    found: np.ndarray = ((y - slope * x) ** 2).sum(axis=1)
    return found
