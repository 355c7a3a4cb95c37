"""What several features of catch22 compute with: autocorrelations, histograms, runs, letters, all by row."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

__all__ = [
    "autocorrelation",
    "bin_edges",
    "bins_of",
    "first",
    "first_crossing",
    "first_not_positive",
    "letters",
    "longest_run",
    "pair_counts",
    "power_of_two",
    "sequential_mean",
    "sequential_sum",
]


def sequential_sum(x: Float[np.ndarray, "n t"]) -> Float[np.ndarray, " n"]:
    """Sum of each row from left to right.

    Features compare values with their mean; in this order both have the bits that the published numbers rest on, and
    they do not depend on how many rows are summed at once.
    """
    total: np.ndarray = np.cumsum(x, axis=1)[:, -1]
    return total


def sequential_mean(x: Float[np.ndarray, "n t"]) -> Float[np.ndarray, " n"]:
    """Mean of each row, summed from left to right."""
    mean: np.ndarray = sequential_sum(x) / x.shape[1]
    return mean


def power_of_two(number: int) -> int:
    """Smallest power of two that is at least the number."""
    return 1 << (number - 1).bit_length()


def first(where: Bool[np.ndarray, "n t"], otherwise: int) -> Int[np.ndarray, " n"]:
    """First place of each row that holds, or another number where none does."""
    if where.shape[1] == 0:
        return np.full(len(where), otherwise)
    return np.where(where.any(axis=1), where.argmax(axis=1), otherwise)


def autocorrelation(x: Float[np.ndarray, "n t"]) -> Float[np.ndarray, "n t"]:
    r"""Autocorrelation at lags 0, ..., T − 1: :math:`\sum_i \tilde x_i \tilde x_{i+k} / \sum_i \tilde x_i^2`.

    :math:`\tilde x` is x without its mean. NaN for a constant row.
    """
    steps = x.shape[1]
    spectrum = np.fft.rfft(x - sequential_mean(x)[:, None], 2 * power_of_two(steps))
    power = np.fft.irfft(np.abs(spectrum) ** 2, 2 * power_of_two(steps))[:, :steps]
    with np.errstate(invalid="ignore", divide="ignore"):
        correlations: np.ndarray = power / power[:, :1]
    return correlations


def first_crossing(correlations: Float[np.ndarray, "n t"], threshold: float) -> Float[np.ndarray, " n"]:
    """Lag at which an autocorrelation falls below a threshold, between lags by a line; T − 1 where it never does."""
    n, steps = correlations.shape
    if steps < 2:
        return np.full(n, np.nan)
    lag = first(correlations[:, 1:] < threshold, steps - 2) + 1
    row = np.arange(n)
    before, after = correlations[row, lag - 1], correlations[row, lag]
    with np.errstate(invalid="ignore", divide="ignore"):
        crossing = lag - 1 + (before - threshold) / (before - after)
    found = np.where(after < threshold, crossing, steps - 1.0)
    return np.where(np.isfinite(correlations[:, 0]), found, np.nan)


def first_not_positive(correlations: Float[np.ndarray, "n t"]) -> Int[np.ndarray, " n"]:
    """First lag at which an autocorrelation is not positive; T where there is none."""
    return first(~(correlations > 0), correlations.shape[1])


def bin_edges(x: Float[np.ndarray, "n t"], bins: int) -> Float[np.ndarray, "n e"]:
    """Edges of bins of one width over the range of each row.

    All are lower, and the last is higher, by a millionth of the width: a value on an edge falls into the upper bin.
    """
    low, high = x.min(axis=1, keepdims=True), x.max(axis=1, keepdims=True)
    width = (high - low) / bins
    edges: np.ndarray = low + np.arange(bins + 1) * width - 1e-6 * width
    edges[:, -1:] = high + 1e-6 * width
    return edges


def bins_of(x: Float[np.ndarray, "n t"], edges: Float[np.ndarray, "n e"]) -> Int[np.ndarray, "n t"]:
    """Bin of each value, from 0."""
    index = np.zeros(x.shape, dtype=np.int64)
    for inner in range(1, edges.shape[1] - 1):
        index += x >= edges[:, inner : inner + 1]
    return index


def longest_run(where: Bool[np.ndarray, "n t"]) -> Int[np.ndarray, " n"]:
    """Length of the longest run of places that hold."""
    so_far = np.cumsum(where, axis=1)
    before_run = np.maximum.accumulate(np.where(where, 0, so_far), axis=1)
    longest: np.ndarray = (so_far - before_run).max(axis=1)
    return longest


def letters(x: Float[np.ndarray, "n t"]) -> Int[np.ndarray, "n t"]:
    """Each value as 0, 1 or 2: its third of the row's values, those on a tercile in the lower one."""
    ordered = np.sort(x, axis=1)
    steps = x.shape[1]
    index = np.zeros(x.shape, dtype=np.int64)
    third = 1.0 / 3.0
    for level in (third, third + third):
        place = steps * level - 0.5  # sorted values are the quantiles (i + 1/2) / T
        if level < 0.5 / steps:
            tercile = ordered[:, 0]
        elif level > 1 - 0.5 / steps:
            tercile = ordered[:, -1]
        else:
            left = int(np.floor(place))
            right = min(left + 1, steps - 1)
            tercile = ordered[:, left] + (place - left) * (ordered[:, right] - ordered[:, left])
        index += x > tercile[:, None]
    return index


def pair_counts(
    one: Int[np.ndarray, "n t"], other: Int[np.ndarray, "n t"], kinds: int
) -> Float[np.ndarray, "n kinds kinds"]:
    """How often each kind goes with each other kind, by row."""
    n = len(one)
    cell = (np.arange(n)[:, None] * kinds + one) * kinds + other
    counts = np.bincount(cell.ravel(), minlength=n * kinds * kinds)
    return counts.reshape(n, kinds, kinds).astype(np.float64)
