"""What an expert would read off a series, where nobody gives features: level, spread, shape, rhythm and spectrum."""

from __future__ import annotations

import numpy as np
import scipy.signal
import scipy.stats
import torch
from jaxtyping import Float
from torch import Tensor

from kinview.data.gaps import bridge, valid_lengths

__all__ = ["EXPERT_FEATURES", "expert_features", "standardised"]

EXPERT_FEATURES = (
    "mean", "sd", "min", "max", "median", "iqr", "skewness", "kurtosis", "slope", "autocorrelation", "mean_change",
    "crossings", "peaks", "dominant_frequency", "spectral_centroid", "spectral_entropy",
)  # fmt: skip
"""The features of a channel, in this order."""

_FLAT = 1e-9  # a standard deviation of no more is that of a constant


def expert_features(
    x: Float[Tensor, "n c t"], times: Float[Tensor, "n t"] | None = None
) -> Float[Tensor, "n features"]:
    """Sixteen features of each channel ``(n, 16 C)`` in float64, by scipy; NaN where one is not defined.

    Of the observed values: mean, standard deviation, minimum, maximum, median, interquartile range, skewness, excess
    kurtosis. Of the series with its gaps bridged by lines, over its own length: the slope a step; and of what is left
    when the mean is taken away, in units of the standard deviation: autocorrelation at one step, mean absolute change a
    step, fraction of steps that cross the mean, peaks a step (of a prominence of one standard deviation), and of the
    periodogram the strongest frequency, the centroid (both in cycles a step) and the entropy (of 1 for a flat one).

    Parameters
    ----------
    x : Tensor
        Series ``(n, C, T)``, NaN where nothing was observed.
    times : Tensor, optional
        Time stamps ``(n, T)``; a finite stamp keeps an unobserved trailing step as a gap. Steps count, not times.

    Examples
    --------
    >>> wave = torch.sin(2 * torch.pi * torch.arange(40.0) / 10)[None, None]
    >>> found = dict(zip(EXPERT_FEATURES, expert_features(wave)[0].tolist()))
    >>> round(found["dominant_frequency"], 3), round(found["peaks"], 3)
    (0.1, 0.1)
    """
    known, lengths = x.detach().cpu().double(), valid_lengths(x, times).tolist()
    bridged = bridge(known, times).numpy()
    rows = [
        np.concatenate([_of_channel(own[:length], whole[:length]) for own, whole in zip(row, filled, strict=True)])
        for row, filled, length in zip(known.numpy(), bridged, lengths, strict=True)
    ]
    width = x.shape[1] * len(EXPERT_FEATURES)
    return torch.from_numpy(np.stack(rows) if rows else np.empty((0, width)))


def standardised(features: Float[Tensor, "n f"]) -> Float[Tensor, "n f"]:
    """Each feature with mean 0 and standard deviation 1 over the rows; 0 where it is not defined or is a constant.

    Examples
    --------
    >>> standardised(torch.tensor([[1.0, 5.0], [3.0, 5.0], [float("nan"), 5.0]])).tolist()
    [[-1.0, 0.0], [1.0, 0.0], [0.0, 0.0]]
    """
    values = features.double()
    defined = torch.isfinite(values)
    count = defined.sum(dim=0).clamp_min(1)
    away = torch.where(defined, values, 0.0)
    away = torch.where(defined, away - away.sum(dim=0) / count, 0.0)
    spread = (away.square().sum(dim=0) / count).sqrt()
    constant = spread <= _FLAT * torch.where(defined, values, 0.0).abs().amax(dim=0)
    return torch.where(constant, 0.0, away / torch.where(constant, 1.0, spread)).float()


def _of_channel(values: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Features of one channel: its observed values, and the same without gaps."""
    observed = values[np.isfinite(values)]
    features = np.full(len(EXPERT_FEATURES), np.nan)
    if len(observed) == 0:
        return features
    mean, sd = observed.mean(), observed.std()
    features[:6] = mean, sd, observed.min(), observed.max(), np.median(observed), scipy.stats.iqr(observed)
    if sd <= _FLAT * np.abs(observed).max():
        return features  # a constant has no shape
    features[6:8] = scipy.stats.skew(observed), scipy.stats.kurtosis(observed)
    steps = len(whole)
    if steps < 3:
        return features
    unit = (whole - whole.mean()) / sd
    clock = np.arange(steps) - (steps - 1) / 2
    power = scipy.signal.periodogram(unit, detrend="constant")[1][1:]
    frequency = np.arange(1, len(power) + 1) / steps
    fraction = power / max(power.sum(), np.finfo(float).tiny)
    features[8:] = (
        sd * (clock @ unit) / (clock @ clock),
        (unit[1:] @ unit[:-1]) / max(unit @ unit, np.finfo(float).tiny),
        np.abs(np.diff(unit)).mean(),
        np.mean(np.diff(np.sign(unit)) != 0),
        len(scipy.signal.find_peaks(unit, prominence=1.0)[0]) / steps,
        frequency[power.argmax()],
        fraction @ frequency,
        scipy.stats.entropy(fraction) / np.log(len(fraction)) if len(fraction) > 1 else np.nan,
    )
    return features
