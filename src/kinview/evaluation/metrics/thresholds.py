"""Metrics of two classes at one threshold, of weighted samples, for many sets of weights at once.

A sample is called positive where its score is at least the threshold.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int64

from kinview.evaluation.metrics.outputs import Classification, ratio

__all__ = [
    "net_benefit",
    "npv",
    "ppv",
    "sensitivity",
    "sensitivity_at_specificity",
    "specificity",
    "specificity_at_sensitivity",
]

_ROUNDING = 1e-12  # of a fraction that is to be reached exactly


def sensitivity(
    said: Classification, weights: Float[np.ndarray, "draws n"], *, threshold: float | None = None
) -> Float[np.ndarray, " draws"]:
    """Fraction of the positive samples that are called positive: by the predicted label, or from a probability on."""
    return _fraction(_called(said, threshold), said.positive, weights)


def specificity(
    said: Classification, weights: Float[np.ndarray, "draws n"], *, threshold: float | None = None
) -> Float[np.ndarray, " draws"]:
    """Fraction of the negative samples that are called negative: by the predicted label, or below a probability."""
    return _fraction(~_called(said, threshold), ~said.positive, weights)


def ppv(
    said: Classification, weights: Float[np.ndarray, "draws n"], *, threshold: float | None = None
) -> Float[np.ndarray, " draws"]:
    """Positive predictive value: fraction of the samples called positive that are; NaN where none is called so."""
    return _fraction(said.positive, _called(said, threshold), weights)


def npv(
    said: Classification, weights: Float[np.ndarray, "draws n"], *, threshold: float | None = None
) -> Float[np.ndarray, " draws"]:
    """Negative predictive value: fraction of the samples called negative that are; NaN where none is called so."""
    return _fraction(~said.positive, ~_called(said, threshold), weights)


def sensitivity_at_specificity(
    said: Classification, weights: Float[np.ndarray, "draws n"], *, specificity: float
) -> Float[np.ndarray, " draws"]:
    """The highest sensitivity of a threshold whose specificity is at least the given one.

    The threshold is chosen among the scores, anew for each set of weights: the interval covers that choice.
    """
    sensitivities, specificities = _curve(said, weights)  # thresholds ascend: sensitivity falls, specificity rises
    return _at(sensitivities, specificities, (specificities >= specificity - _ROUNDING).argmax(axis=1))


def specificity_at_sensitivity(
    said: Classification, weights: Float[np.ndarray, "draws n"], *, sensitivity: float
) -> Float[np.ndarray, " draws"]:
    """The highest specificity of a threshold whose sensitivity is at least the given one.

    The threshold is chosen among the scores, anew for each set of weights: the interval covers that choice.
    """
    sensitivities, specificities = _curve(said, weights)
    return _at(specificities, sensitivities, (sensitivities >= sensitivity - _ROUNDING).sum(axis=1) - 1)


def net_benefit(
    said: Classification, weights: Float[np.ndarray, "draws n"], *, threshold: float
) -> Float[np.ndarray, " draws"]:
    r"""True positives a sample, less false positives weighed by the odds of the threshold probability.

    .. math:: \frac{TP}{n} - \frac{FP}{n} \cdot \frac{t}{1 - t}

    References
    ----------
    .. [1] Vickers, A. J. & Elkin, E. B. (2006). Decision curve analysis: a novel method for evaluating prediction
       models. Medical Decision Making 26, 565-574.
    """
    called = _called(said, threshold)
    worth = np.where(said.positive, 1.0, -threshold / (1 - threshold)) * called
    return ratio(weights @ worth, weights.sum(axis=1))


def _called(said: Classification, threshold: float | None) -> Bool[np.ndarray, " n"]:
    return np.asarray(said.predicted == 1 if threshold is None else said.scores[:, 1] >= threshold)


def _fraction(
    part: Bool[np.ndarray, " n"], whole: Bool[np.ndarray, " n"], weights: Float[np.ndarray, "draws n"]
) -> Float[np.ndarray, " draws"]:
    return ratio(weights @ (part & whole).astype(np.float64), weights @ whole.astype(np.float64))


def _curve(
    said: Classification, weights: Float[np.ndarray, "draws n"]
) -> tuple[Float[np.ndarray, "draws thresholds"], Float[np.ndarray, "draws thresholds"]]:
    """Sensitivity and specificity at each distinct score as threshold, in ascending order, and above all of them."""
    score = said.scores[:, 1]
    order = np.argsort(score, kind="stable")
    first = np.flatnonzero(np.diff(score[order], prepend=-np.inf))  # where a distinct score begins
    reached = []
    for member in (said.positive, ~said.positive):
        weight = np.where(member, weights, 0.0)[:, order]
        below = np.pad(np.add.reduceat(weight, first, axis=1).cumsum(axis=1), ((0, 0), (1, 0)))
        reached.append(ratio(below, np.broadcast_to(below[:, -1:], below.shape)))
    return 1 - reached[0], reached[1]


def _at(
    values: Float[np.ndarray, "draws thresholds"],
    given: Float[np.ndarray, "draws thresholds"],
    place: Int64[np.ndarray, " draws"],
) -> Float[np.ndarray, " draws"]:
    """The value at a threshold; NaN where there is no sample to measure what is given."""
    return np.where(np.isnan(given[:, 0]), np.nan, np.take_along_axis(values, place[:, None], axis=1)[:, 0])
