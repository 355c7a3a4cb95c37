"""Means with their 95 % intervals, as the tables of the benchmarks show them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from kinview.evaluation import confidence_interval, corrected_resampled_t_test

__all__ = ["interval", "mean_and_ends"]


def mean_and_ends(values: ArrayLike, test_fraction: float | None = None) -> tuple[float, float, float]:
    """Mean of values with the ends of its interval; a value that is missing is left out.

    Parameters
    ----------
    values : array-like
        One of each seed, set, sample or fold.
    test_fraction : float, optional
        Of folds, or of splits drawn anew: the fraction of the samples that is tested in each. Their training parts
        overlap, and the interval is that of the corrected resampled t test; without it values count as independent.

    Returns
    -------
    mean, low, high : float
        The ends are NaN of fewer than two values, and where all are equal: these say nothing about the spread.
    """
    known = np.asarray(values, dtype=np.float64)
    known = known[~np.isnan(known)]
    mean = float(known.mean()) if len(known) else np.nan
    low, high = confidence_interval(known)
    if test_fraction is None or np.isnan(low):
        return mean, low, high
    corrected = corrected_resampled_t_test(known, test_fraction)
    return mean, corrected.low, corrected.high


def interval(values: ArrayLike, test_fraction: float | None = None, *, form: str = ".3f") -> str:
    """Mean and interval in words, ``0.761 [0.683, 0.839]``; the mean alone where there is no interval."""
    mean, low, high = mean_and_ends(values, test_fraction)
    if np.isnan(mean):
        return "-"
    return f"{mean:{form}}" if np.isnan(low) else f"{mean:{form}} [{low:{form}}, {high:{form}}]"
