"""Features of catch22 on the distribution of values, on outliers, and on runs."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from kinview.methods.controls.catch22.shared import (
    bin_edges,
    bins_of,
    letters,
    longest_run,
    pair_counts,
    sequential_mean,
)

__all__ = [
    "entropy_pairs",
    "high_fluctuation",
    "mode",
    "outlier_timing",
    "stretch_decreasing",
    "stretch_high",
]

_STEP = 0.01  # between thresholds of outliers, in standard deviations


def mode(z: Float[np.ndarray, "n t"], bins: int) -> Float[np.ndarray, " n"]:
    """Centre of the fullest of some bins; the mean centre of those that are equally full."""
    edges = bin_edges(z, bins)
    index = bins_of(z, edges)
    counts = np.bincount((np.arange(len(z))[:, None] * bins + index).ravel(), minlength=len(z) * bins)
    fullest = (counts := counts.reshape(-1, bins)) == counts.max(axis=1, keepdims=True)
    centres = (edges[:, :-1] + edges[:, 1:]) / 2
    found: np.ndarray = np.where(fullest, centres, 0.0).sum(axis=1) / fullest.sum(axis=1)
    return found


def outlier_timing(z: Float[np.ndarray, "n t"], sign: int) -> Float[np.ndarray, " n"]:
    r"""When extreme values occur: −1 early, 1 late.

    For thresholds j/100 (j = 0, 1, ..., up to the maximum) let :math:`S_j` be the places of values at or above one, and
    :math:`m_j` their median as :math:`2 \operatorname{median}(S_j)/T - 1`, places counted from 1. The feature is the
    median of :math:`m_0, \dots, m_J`; J is the last threshold with more than 2 % of those that are at least 0 (less one
    value), or the first that a single value reaches, if that comes earlier.
    """
    v = sign * z
    result = np.zeros(len(z))
    rows = np.flatnonzero(v.max(axis=1) >= _STEP)
    if len(rows):
        result[rows] = _outlier_timing(v[rows])
    return result


def _outlier_timing(v: Float[np.ndarray, "n t"]) -> Float[np.ndarray, " n"]:
    n, steps = v.shape
    level = _levels(v)
    order = np.argsort(level, axis=1, kind="stable")  # places, those that no threshold takes first
    ordered = np.take_along_axis(level, order, axis=1)
    taken = (ordered >= 0).sum(axis=1)
    order = _left_aligned(order, taken)
    ordered = _left_aligned(ordered, taken)
    last = _last_threshold(ordered, taken, np.trunc(v.max(axis=1) / _STEP + 1).astype(np.int64) - 1)
    medians = _medians_as_lowest_leave(order, taken) / (steps / 2) - 1
    # how many thresholds see the set from which the r lowest values are gone
    before = np.concatenate([np.full((n, 1), -1), ordered[:, :-1]], axis=1)
    present = np.arange(steps) < taken[:, None]
    weight = np.where(present, np.maximum(np.minimum(ordered, last[:, None]) - before, 0), 0)
    return _weighted_median(medians, weight)


def _levels(v: Float[np.ndarray, "n t"]) -> Int[np.ndarray, "n t"]:
    """Highest threshold that each value reaches, by its number; −1 below 0."""
    highest = np.trunc(v.max(axis=1, keepdims=True) / _STEP + 1) - 1
    level = np.clip(np.floor(v / _STEP), -1, highest)
    level += (level + 1 <= highest) & (v >= (level + 1) * _STEP)  # a quotient may be rounded past a whole number
    level -= (level >= 0) & (v < level * _STEP)
    return level.astype(np.int64)


def _left_aligned(x: Int[np.ndarray, "n t"], taken: Int[np.ndarray, " n"]) -> Int[np.ndarray, "n t"]:
    """The last ``taken`` entries of each row first; what follows is of no meaning."""
    steps = x.shape[1]
    return np.take_along_axis(x, np.minimum(np.arange(steps) + (steps - taken)[:, None], steps - 1), axis=1)


def _last_threshold(
    ordered: Int[np.ndarray, "n t"], taken: Int[np.ndarray, " n"], highest: Int[np.ndarray, " n"]
) -> Int[np.ndarray, " n"]:
    """J: up to which threshold the medians count."""
    row = np.arange(len(ordered))
    counts = np.arange(1, ordered.shape[1] + 1)
    many = (counts - 1) * 100.0 / taken[:, None] > 2
    fewest = np.where(many.any(axis=1), many.argmax(axis=1) + 1, 0)  # values that are more than 2 %
    enough = (fewest > 0) & (fewest <= taken)
    with_many = np.where(enough, ordered[row, np.clip(taken - fewest, 0, None) % ordered.shape[1]], 0)
    top, second = ordered[row, taken - 1], np.where(taken > 1, ordered[row, np.maximum(taken - 2, 0)], -1)
    with_one = np.where(second < top, second + 1, highest)
    return np.minimum(with_many, with_one)


def _medians_as_lowest_leave(order: Int[np.ndarray, "n t"], taken: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n t"]:
    """Median place, from 1, of what is left when the r lowest values are gone, for r = 0, 1, ...

    Places that are left are a linked list, from which one place leaves in each round, in all rows at once; the lower
    middle one moves by at most one.
    """
    n, steps = order.shape
    row = np.arange(n)
    there = np.zeros((n, steps + 2), dtype=bool)
    present = np.arange(steps) < taken[:, None]
    there[np.broadcast_to(row[:, None], order.shape)[present], order[present] + 1] = True
    place = np.arange(steps + 2)
    before = np.concatenate(
        [np.zeros((n, 1), dtype=np.int64), np.maximum.accumulate(np.where(there, place, 0), axis=1)[:, :-1]], axis=1
    )
    end = steps + 1
    after = np.minimum.accumulate(np.where(there, place, end)[:, ::-1], axis=1)[:, ::-1]
    after = np.concatenate([after[:, 1:], np.full((n, 1), end)], axis=1)
    number = np.cumsum(there, axis=1)
    middle = (number == ((taken - 1) // 2 + 1)[:, None]).argmax(axis=1)
    medians: np.ndarray = np.zeros((n, steps))
    for gone in range(steps):
        left = taken - gone
        rows = np.flatnonzero(left > 0)
        if not len(rows):
            break
        odd = left[rows] % 2 == 1
        at = middle[rows]
        upper = np.where(odd, at, after[rows, at])
        medians[rows, gone] = (at + upper) / 2
        leaves = order[rows, gone] + 1
        back, on = odd & (leaves >= at), ~odd & (leaves <= at)
        middle[rows] = np.where(back, before[rows, at], np.where(on, after[rows, at], at))
        previous, following = before[rows, leaves], after[rows, leaves]
        after[rows, previous], before[rows, following] = following, previous
    return medians


def _weighted_median(x: Float[np.ndarray, "n t"], weight: Int[np.ndarray, "n t"]) -> Float[np.ndarray, " n"]:
    """Median of values of which each occurs ``weight`` times."""
    order = np.argsort(x, axis=1, kind="stable")
    x, weight = np.take_along_axis(x, order, axis=1), np.take_along_axis(weight, order, axis=1)
    upto = np.cumsum(weight, axis=1)
    total = upto[:, -1:]
    row = np.arange(len(x))
    low, high = (x[row, (upto > place).argmax(axis=1)] for place in ((total - 1) // 2, total // 2))
    median: np.ndarray = np.where(low == high, low, (low + high) / 2)
    return median


def high_fluctuation(z: Float[np.ndarray, "n t"]) -> Float[np.ndarray, " n"]:
    """Fraction of steps by more than 0.04 standard deviations."""
    if z.shape[1] < 2:
        return np.full(len(z), np.nan)
    found: np.ndarray = (np.abs(np.diff(z, axis=1)) * 1000 > 40).mean(axis=1)
    return found


def stretch_high(z: Float[np.ndarray, "n t"]) -> Float[np.ndarray, " n"]:
    """Longest run of values above the mean, in steps."""
    return longest_run(z - sequential_mean(z)[:, None] > 0).astype(np.float64)


def stretch_decreasing(z: Float[np.ndarray, "n t"]) -> Float[np.ndarray, " n"]:
    """Longest run of steps that do not go up."""
    if z.shape[1] < 2:
        return np.full(len(z), np.nan)
    return longest_run(~(np.diff(z, axis=1) > 0)).astype(np.float64)


def entropy_pairs(z: Float[np.ndarray, "n t"]) -> Float[np.ndarray, " n"]:
    r"""Entropy of pairs of neighbours, each value one of three letters (its tercile).

    :math:`-\sum_{ab} p_{ab} \ln p_{ab} + \max(0, K - 5) / (2 (T - 1))`, K the number of pairs that occur: Miller and
    Madow's correction, less the 4 degrees of freedom of the terciles.
    """
    index = letters(z)
    p = pair_counts(index[:, :-1], index[:, 1:], 3) / (z.shape[1] - 1)
    entropy = -(p * np.log(np.where(p > 0, p, 1.0))).sum(axis=(1, 2))
    free = (p > 0).sum(axis=(1, 2)) - 1 - 4
    corrected: np.ndarray = entropy + np.maximum(free, 0) / (2.0 * (z.shape[1] - 1))
    return corrected
