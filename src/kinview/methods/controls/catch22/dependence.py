"""Features of catch22 on what one value says of later ones, and on the spectrum."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float, Int

from kinview.methods.controls.catch22.shared import (
    autocorrelation,
    bin_edges,
    bins_of,
    first,
    first_crossing,
    first_not_positive,
    letters,
    pair_counts,
    power_of_two,
    sequential_mean,
    sequential_sum,
)

__all__ = [
    "acf_first_min",
    "acf_timescale",
    "ami2",
    "ami_timescale",
    "embedding_dist",
    "forecast_error",
    "spectrum",
    "transition_variance",
    "trev",
    "whiten_timescale",
]

_LAGS = 40  # of the automutual information
_SMALL = 1e-12  # what is below this fraction of a magnitude counts as nothing


def acf_timescale(correlations: Float[np.ndarray, "n t"]) -> Float[np.ndarray, " n"]:
    """Lag at which the autocorrelation falls below 1/e."""
    return first_crossing(correlations, 1.0 / math.exp(1))


def acf_first_min(correlations: Float[np.ndarray, "n t"]) -> Float[np.ndarray, " n"]:
    """First lag at which the autocorrelation is lower than at both neighbours; T where there is none."""
    n, steps = correlations.shape
    if steps < 3:
        return np.full(n, np.nan)
    here = correlations[:, 1:-1]
    return first((here < correlations[:, :-2]) & (here < correlations[:, 2:]), steps - 1).astype(np.float64) + 1


def spectrum(z: Float[np.ndarray, "n t"]) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    r"""Power in the lowest fifth of the frequencies, and the median frequency (radians a step).

    The spectrum is that of the series with zeros up to the next power of two, :math:`2 |F_k|^2 / (2 \pi T)` for
    :math:`k \ge 1`, not below :math:`10^{-12}` of its maximum.
    """
    n, steps = z.shape
    size = power_of_two(steps)
    bins = size // 2
    if bins < 2:
        return np.full(n, np.nan), np.full(n, np.nan)
    magnitude = np.abs(np.fft.rfft(z, size)[:, 1:])
    power = 2 * magnitude * magnitude / steps / (2 * np.pi)
    power = np.maximum(power, _SMALL * power.max(axis=1, keepdims=True))
    frequency = 2 * np.pi * np.arange(1, bins + 1) / size
    upto = np.cumsum(power, axis=1)
    low = upto[:, bins // 5 - 1] if bins >= 5 else np.zeros(n)
    return low * (frequency[1] - frequency[0]), frequency[(upto >= 0.5 * upto[:, -1:]).argmax(axis=1)]


def forecast_error(z: Float[np.ndarray, "n t"]) -> Float[np.ndarray, " n"]:
    """Standard deviation of the error of a forecast by the mean of the last three values."""
    if z.shape[1] < 5:  # of one error there is none
        return np.full(len(z), np.nan)
    error = z[:, 3:] - (z[:, :-3] + z[:, 1:-2] + z[:, 2:-1]) / 3
    found: np.ndarray = np.sqrt(sequential_sum((error - sequential_mean(error)[:, None]) ** 2) / (error.shape[1] - 1))
    return found


def whiten_timescale(z: Float[np.ndarray, "n t"], correlations: Float[np.ndarray, "n t"]) -> Float[np.ndarray, " n"]:
    """First zero of the differences' autocorrelation, as a fraction of that of the series itself."""
    if z.shape[1] < 3:
        return np.full(len(z), np.nan)
    own = first_crossing(correlations, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = first_crossing(autocorrelation(np.diff(z, axis=1)), 0.0) / own
    return np.where(np.isfinite(own) & (own != 0), ratio, np.nan)


def ami2(z: Float[np.ndarray, "n t"]) -> Float[np.ndarray, " n"]:
    r"""Mutual information of values two steps apart, in five bins each.

    :math:`\sum p_{ab} \ln \frac{p_{ab}}{p_a p_b} - \frac{K - K_a - K_b + 1}{2 (T - 2)}`, with the numbers K of
    pairs and values that occur (the bias by Panzeri and Treves).
    """
    pairs = z.shape[1] - 2
    if pairs < 1:
        return np.full(len(z), np.nan)
    index = bins_of(z, bin_edges(z, 5))
    p = pair_counts(index[:, :-2], index[:, 2:], 5) / pairs
    rows, columns = p.sum(axis=2), p.sum(axis=1)
    expected = rows[:, :, None] * columns[:, None, :]
    ratio = np.where(p > 0, p, 1.0) / np.where(p > 0, expected, 1.0)
    information = (p * np.log(ratio)).sum(axis=(1, 2))
    extra = (p > 0).sum(axis=(1, 2)) - (rows > 0).sum(axis=1) - (columns > 0).sum(axis=1) + 1
    found: np.ndarray = information - extra / (2.0 * pairs)
    return found


def trev(z: Float[np.ndarray, "n t"]) -> Float[np.ndarray, " n"]:
    """Mean cube of the steps: a series that rises slowly and falls fast is below 0."""
    if z.shape[1] < 2:
        return np.full(len(z), np.nan)
    return sequential_mean(np.diff(z, axis=1) ** 3)


def ami_timescale(z: Float[np.ndarray, "n t"]) -> Float[np.ndarray, " n"]:
    r"""First minimum of the mutual information over lags 1 to 40 (T/2 at most), of a Gaussian.

    :math:`-\frac12 \ln(1 - r^2)`, r the correlation of both parts; the largest lag where there is no minimum.
    """
    n, steps = z.shape
    largest = min(_LAGS, (steps + 1) // 2)
    if largest < 3:
        return np.full(n, float(largest))
    information = np.stack([_gaussian_information(z, lag) for lag in range(1, largest + 1)], axis=1)
    here = information[:, 1:-1]
    lowest = (here < information[:, :-2]) & (here < information[:, 2:])
    return first(lowest, largest - 2).astype(np.float64) + 2


def _gaussian_information(z: Float[np.ndarray, "n t"], lag: int) -> Float[np.ndarray, " n"]:
    one, other = (part - sequential_mean(part)[:, None] for part in (z[:, :-lag], z[:, lag:]))
    with np.errstate(invalid="ignore", divide="ignore"):
        r = sequential_sum(one * other) / np.sqrt(sequential_sum(one * one) * sequential_sum(other * other))
    found: np.ndarray = -0.5 * np.log(np.fmax(1.0 - r * r, _SMALL))  # a constant part counts as perfectly known
    return found


def transition_variance(z: Float[np.ndarray, "n t"], correlations: Float[np.ndarray, "n t"]) -> Float[np.ndarray, " n"]:
    """Sum of the variances of the columns of a transition matrix between terciles.

    The series is first thinned to every τ-th value, τ the first lag with a negative autocorrelation, T/50 at most.
    """
    n, steps = z.shape
    lag = np.minimum(first(correlations[:, 1:] < 0, steps - 2) + 1, steps // 50)
    result = np.empty(n)
    for each in np.unique(lag):
        rows = lag == each
        thinned = _thinned(z[rows], int(each)) if each > 1 else z[rows]
        number = thinned.shape[1]
        if number < 2:
            result[rows] = np.nan
            continue
        index = letters(thinned)
        p = pair_counts(index[:, :-1], index[:, 1:], 3) / (number - 1)
        result[rows] = p.var(axis=1, ddof=1).sum(axis=1)
    return result


def _thinned(z: Float[np.ndarray, "n t"], every: int) -> Float[np.ndarray, "n m"]:
    """Every q-th value after a low-pass filter: a sinc of 20 q + 1 taps in a Kaiser window (β = 5), zeros outside."""
    reach = 10 * every
    tap = np.arange(-reach, reach + 1)
    weights = np.sinc(tap / every) / every * np.kaiser(2 * reach + 1, 5.0)
    weights /= np.cumsum(weights)[-1]
    padded = np.pad(z, ((0, 0), (reach, reach)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=1)[:, ::every]
    return np.stack([(row * weights).sum(axis=1) for row in windows])


def embedding_dist(z: Float[np.ndarray, "n t"], correlations: Float[np.ndarray, "n t"]) -> Float[np.ndarray, " n"]:
    r"""How far the steps of a plane embedding are from being distributed exponentially.

    The points are :math:`(z_i, z_{i+\tau})`, τ the first lag without positive autocorrelation, T/10 at most; d are the
    lengths of the steps between successive points. The feature is the mean over the bins of a histogram of d of the
    difference between its density and :math:`e^{-d/\bar d} / \bar d` at the bin's centre, without sign.
    """
    steps = z.shape[1]
    lag = np.minimum(first_not_positive(correlations), steps // 10)
    return np.asarray([_from_exponential(_step_lengths(row, int(each))) for row, each in zip(z, lag, strict=True)])


def _step_lengths(z: Float[np.ndarray, " t"], lag: int) -> Float[np.ndarray, " m"]:
    step = np.diff(z)
    later = step[lag:]
    length: np.ndarray = np.sqrt(step[: len(later)] ** 2 + later**2)
    return length


def _from_exponential(d: Float[np.ndarray, " m"]) -> float:
    number = len(d)
    if number < 1 or d.max() - d.min() <= _SMALL * d.max():
        return math.nan
    mean = float(np.cumsum(d)[-1]) / number
    bins = _number_of_bins(d)
    edges = bin_edges(d[None], bins)[0]
    counts = _counts(d, edges)
    centres = (edges[:-1] + edges[1:]) / 2
    density = counts / (number * np.diff(edges))
    return float(np.abs(density - np.exp(-centres / mean) / mean).mean())


def _counts(d: Float[np.ndarray, " m"], edges: Float[np.ndarray, " e"]) -> Int[np.ndarray, " b"]:
    index = np.searchsorted(edges[1:-1], d, side="right")
    return np.bincount(index, minlength=len(edges) - 1)


def _number_of_bins(d: Float[np.ndarray, " m"]) -> int:
    """The larger number of Sturges' and of Freedman and Diaconis' rule, m at most."""
    number = len(d)
    sturges = math.ceil(math.log2(number) + 1)
    ordered = np.sort(d)
    low, high = (_percentile(ordered, level) for level in (0.25, 0.75))
    if high - low <= _SMALL * np.abs(d).max():
        return min(sturges, number)
    width = 2 * (high - low) * float(number) ** (-1.0 / 3.0)
    freedman = math.ceil(min(float(ordered[-1] - ordered[0]) / width, 1e9))
    return int(min(max(sturges, freedman), number))


def _percentile(ordered: Float[np.ndarray, " m"], level: float) -> float:
    """Quantile where the sorted values are those of (i + 1/2) / m."""
    place = min(max(len(ordered) * level - 0.5, 0.0), len(ordered) - 1.0)
    left = int(place)
    right = min(left + 1, len(ordered) - 1)
    return float(ordered[left] + (place - left) * (ordered[right] - ordered[left]))
