"""The 22 features of many series of one length, in their published order."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

from kinview.methods.controls.catch22 import dependence, distribution, scaling
from kinview.methods.controls.catch22.shared import autocorrelation, sequential_mean, sequential_sum

__all__ = ["NAMES", "catch22", "mean_and_std"]

NAMES = (
    "mode_5", "mode_10", "outlier_timing_pos", "outlier_timing_neg", "acf_timescale", "acf_first_min", "low_freq_power",
    "median_freq", "forecast_error", "whiten_timescale", "high_fluctuation", "stretch_high", "stretch_decreasing",
    "entropy_pairs", "ami2", "trev", "ami_timescale", "transition_variance", "periodicity", "embedding_dist",
    "rs_range", "dfa",
)  # fmt: skip


def catch22(x: Float[np.ndarray, "n t"]) -> Float[np.ndarray, "n 22"]:
    """The 22 features of complete series of one length, as pycatch22 1.0 gives them; always finite.

    Parameters
    ----------
    x : ndarray (n, T)
        Series in any unit, float64; they are z-scored (standard deviation by T - 1).

    Examples
    --------
    >>> found = catch22(np.sin(np.arange(100.0))[None] + [[0.0], [5.0]])
    >>> found.shape, dict(zip(NAMES, found[0].round(3).tolist()))["periodicity"]
    ((2, 22), 6.0)
    """
    result = np.full((len(x), len(NAMES)), np.nan)
    varies = (x != x[:, :1]).any(axis=1)
    if varies.any():
        result[varies] = _of_scored(_scored(x[varies]))
    return np.where(np.isnan(result), _where_undefined(x.shape[1]), result)


def mean_and_std(x: Float[np.ndarray, "n t"]) -> Float[np.ndarray, "n 2"]:
    """Mean and standard deviation (by T - 1, 0 for a single step) in the unit of the series: the rest of catch24."""
    mean = sequential_mean(x)
    away = (x - mean[:, None]) ** 2
    return np.stack([mean, np.sqrt(sequential_sum(away) / max(1, x.shape[1] - 1))], axis=1)


def _scored(x: Float[np.ndarray, "n t"]) -> Float[np.ndarray, "n t"]:
    mean, std = mean_and_std(x).T
    scored: np.ndarray = (x - mean[:, None]) / std[:, None]
    return scored


def _of_scored(z: Float[np.ndarray, "n t"]) -> Float[np.ndarray, "n 22"]:
    correlations = autocorrelation(z)
    low_freq_power, median_freq = dependence.spectrum(z)
    columns = [
        distribution.mode(z, 5),
        distribution.mode(z, 10),
        distribution.outlier_timing(z, 1),
        distribution.outlier_timing(z, -1),
        dependence.acf_timescale(correlations),
        dependence.acf_first_min(correlations),
        low_freq_power,
        median_freq,
        dependence.forecast_error(z),
        dependence.whiten_timescale(z, correlations),
        distribution.high_fluctuation(z),
        distribution.stretch_high(z),
        distribution.stretch_decreasing(z),
        distribution.entropy_pairs(z),
        dependence.ami2(z),
        dependence.trev(z),
        dependence.ami_timescale(z),
        dependence.transition_variance(z, correlations),
        scaling.periodicity(z),
        dependence.embedding_dist(z, correlations),
        scaling.rs_range(z),
        scaling.dfa(z),
    ]
    return np.stack(columns, axis=1)


def _where_undefined(steps: int) -> Float[np.ndarray, " 22"]:
    """What a feature is where it cannot be computed: that of an endlessly slow series, as pycatch22 1.0 has it."""
    values = dict.fromkeys(NAMES, 0.0)
    values["acf_timescale"], values["acf_first_min"] = steps - 1.0, float(steps)
    values["ami_timescale"] = float(min(40, (steps + 1) // 2))
    values["low_freq_power"] = values["rs_range"] = values["dfa"] = 1.0
    values["transition_variance"] = 1.0 / 9.0
    slow = (steps - 2) / (math.sqrt(2.0) * math.sqrt((steps - 1.0) / steps)) if steps > 2 else 0.0
    values["embedding_dist"] = 1.0 / (math.sqrt(2.0) * 0.001) + slow
    return np.asarray([values[name] for name in NAMES])
