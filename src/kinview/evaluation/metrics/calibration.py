"""Metrics of probabilities, of weighted samples, for many sets of weights at once."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int64
from scipy.special import expit, logit

from kinview.evaluation.metrics.outputs import Classification, ratio

__all__ = [
    "brier_score",
    "calibration_in_the_large",
    "calibration_intercept",
    "calibration_slope",
    "expected_calibration_error",
    "log_loss",
]

_SMALLEST = float(np.finfo(np.float64).eps)  # that of scikit-learn's log_loss
_STEPS = 50
_CONVERGED = 1e-8  # of the last step, with a covariate of standard deviation 1
_TINY = 1e-300  # of a probability in a logarithm
_SEPARABLE = 1e-12  # determinant of the information: a fit that runs away


def brier_score(said: Classification, weights: Float[np.ndarray, "draws n"]) -> Float[np.ndarray, " draws"]:
    r"""Mean squared error of the probabilities.

    Of two classes :math:`(p - y)^2` of the second one, between 0 and 1 (half of what the sum over both gives). Of more
    :math:`\sum_k (p_k - [y = k])^2`, between 0 and 2, as Brier had it; a class that the classifier does not know has
    the probability 0.

    References
    ----------
    .. [1] Brier, G. W. (1950). Verification of forecasts expressed in terms of probability. Monthly Weather Review 78,
       1-3.
    """
    if said.binary:
        error = (said.scores[:, 1] - said.positive) ** 2
    else:
        wanted = said.y[:, None] == np.arange(max(len(said.classes), said.y.max() + 1))
        given = np.pad(said.scores, ((0, 0), (0, wanted.shape[1] - said.scores.shape[1])))
        error = ((given - wanted) ** 2).sum(axis=1)
    return ratio(weights @ error, weights.sum(axis=1))


def log_loss(said: Classification, weights: Float[np.ndarray, "draws n"]) -> Float[np.ndarray, " draws"]:
    """Mean negative log-likelihood of the true class, in nats.

    A probability below 2.2e-16 counts as that, as in scikit-learn; so does that of a class that the classifier does not
    know.
    """
    known = said.y < said.scores.shape[1]
    probability = np.where(known, said.scores[np.arange(len(said)), np.where(known, said.y, 0)], 0.0)
    return ratio(weights @ -np.log(np.clip(probability, _SMALLEST, 1.0)), weights.sum(axis=1))


def expected_calibration_error(
    said: Classification, weights: Float[np.ndarray, "draws n"], *, n_bins: int = 10
) -> Float[np.ndarray, " draws"]:
    r"""Mean distance of observed from predicted frequency, over bins that hold equally many samples.

    .. math:: \sum_b \frac{|B_b|}{n} \left|\bar y_b - \bar p_b\right|

    Of two classes p is the probability of the second one and y whether it occurred; of more, p is the largest
    probability and y whether that class was the right one. The bins are cut at quantiles of p, by default deciles of
    risk [1]_; equal probabilities share a bin, so that the order of the samples does not matter. The bins stay those of
    all samples while these are weighed.

    The error is biased upwards: perfectly calibrated probabilities have a positive one, of the order of
    :math:`\sqrt{n_\text{bins} / n}`, and a bootstrap adds to it, so that an interval may lie above the value.

    References
    ----------
    .. [1] Hosmer, D. W. & Lemeshow, S. (1980). Goodness of fit tests for the multiple logistic regression model.
       Communications in Statistics 9, 1043-1069.
    .. [2] Nixon, J. et al. (2019). Measuring calibration in deep learning. CVPR Workshops.
    """
    best = said.scores.argmax(axis=1)
    p = said.scores[:, 1] if said.binary else said.scores.max(axis=1)
    right = said.positive if said.binary else said.y == best
    member = _equal_mass_bins(p, n_bins)[:, None] == np.arange(n_bins)
    gaps = weights @ (member * (right - p)[:, None])  # (draws, bins): |B| times the difference of the means
    return ratio(np.abs(gaps).sum(axis=1), weights.sum(axis=1))


def calibration_slope(said: Classification, weights: Float[np.ndarray, "draws n"]) -> Float[np.ndarray, " draws"]:
    r"""Slope b of the logistic recalibration :math:`\operatorname{logit} P(y = 1) = a + b \operatorname{logit} p`.

    1 is perfect; below 1 the probabilities are too extreme, above too timid. NaN where one class alone occurs, or where
    the scores part the classes, so that no slope fits best.

    References
    ----------
    .. [1] Cox, D. R. (1958). Two further applications of a model for binary regression. Biometrika 45, 562-565.
    .. [2] Van Calster, B. et al. (2019). Calibration: the Achilles heel of predictive analytics. BMC Medicine 17, 230.
    """
    return _recalibration(said, weights)[:, 1]


def calibration_intercept(said: Classification, weights: Float[np.ndarray, "draws n"]) -> Float[np.ndarray, " draws"]:
    """Intercept a of the logistic recalibration whose slope is fitted too (:func:`calibration_slope`); 0 is perfect."""
    return _recalibration(said, weights)[:, 0]


def calibration_in_the_large(
    said: Classification, weights: Float[np.ndarray, "draws n"]
) -> Float[np.ndarray, " draws"]:
    r"""Intercept a of :math:`\operatorname{logit} P(y = 1) = a + \operatorname{logit} p`, the slope fixed at 1.

    0 is perfect; above 0 the probabilities are too low on the whole. NaN where one class alone occurs, or where all
    probabilities are 0 or 1.
    """
    return _fit_logistic(np.ones((len(said), 1)), _log_odds(said), said.positive, weights)[:, 0]


def _recalibration(said: Classification, weights: Float[np.ndarray, "draws n"]) -> Float[np.ndarray, "draws 2"]:
    log_odds = _log_odds(said)
    mean, scale = log_odds.mean(), log_odds.std()
    if scale == 0:
        return np.full((len(weights), 2), np.nan)
    standard = np.stack([np.ones(len(said)), (log_odds - mean) / scale], axis=1)
    fitted = _fit_logistic(standard, np.zeros(len(said)), said.positive, weights)
    slope = fitted[:, 1] / scale
    return np.stack([fitted[:, 0] - slope * mean, slope], axis=1)


def _log_odds(said: Classification) -> Float[np.ndarray, " n"]:
    return np.asarray(logit(np.clip(said.scores[:, 1], _SMALLEST, 1 - _SMALLEST)))


def _equal_mass_bins(p: Float[np.ndarray, " n"], n_bins: int) -> Int64[np.ndarray, " n"]:
    """Bin of each value: as many in each as equal values allow."""
    last = (np.arange(1, n_bins) * len(p) + n_bins - 1) // n_bins - 1  # rank of the last value of each bin but one
    return np.searchsorted(np.sort(p)[np.maximum(last, 0)], p, "left")


def _fit_logistic(
    design: Float[np.ndarray, "n q"],
    offset: Float[np.ndarray, " n"],
    positive: Bool[np.ndarray, " n"],
    weights: Float[np.ndarray, "draws n"],
) -> Float[np.ndarray, "draws q"]:
    """Logistic regression for each set of weights; NaN where the likelihood has no maximum."""
    sign = np.where(positive, 1.0, -1.0)
    fitted = np.full((len(weights), design.shape[1]), np.nan)
    both = np.flatnonzero((weights @ (sign > 0) > 0) & (weights @ (sign < 0) > 0))
    if len(both):
        w = weights[both] / weights[both].sum(axis=1, keepdims=True)
        zero = np.zeros((1, design.shape[1]))
        start = np.nan_to_num(_newton(design, offset, sign, w.mean(axis=0, keepdims=True), zero))  # near all of them
        fitted[both] = _newton(design, offset, sign, w, np.repeat(start, len(both), axis=0))
    return fitted


def _newton(
    design: Float[np.ndarray, "n q"],
    offset: Float[np.ndarray, " n"],
    sign: Float[np.ndarray, " n"],
    w: Float[np.ndarray, "draws n"],
    beta: Float[np.ndarray, "draws q"],
) -> Float[np.ndarray, "draws q"]:
    """Maximum of the log-likelihoods, which are concave: a step that lowers one is halved; NaN where it runs away."""
    n, q = design.shape
    products = (design[:, :, None] * design[:, None, :]).reshape(n, q * q)
    fitted, active = np.full(beta.shape, np.nan), np.arange(len(beta))
    step, best = np.zeros(beta.shape), np.full(len(beta), -np.inf)
    for _ in range(_STEPS):
        right = expit(sign * (beta @ design.T + offset))  # (active, n): probability of the true class
        likelihood = (w * np.log(np.maximum(right, _TINY))).sum(axis=1)
        gradient = (w * sign * (1 - right)) @ design
        information = ((w * right * (1 - right)) @ products).reshape(-1, q, q)
        regular = np.linalg.det(information) > _SEPARABLE
        towards = np.linalg.solve(np.where(regular[:, None, None], information, np.eye(q)), gradient[:, :, None])[
            ..., 0
        ]
        worse = likelihood < best - _CONVERGED * np.abs(best)
        done = ~worse & regular & (np.abs(towards).max(axis=1) < _CONVERGED)
        fitted[active[done]] = beta[done] + towards[done]
        beta = np.where(worse[:, None], beta - step / 2, beta + towards)
        step = np.where(worse[:, None], step / 2, towards)
        best = np.where(worse, best, likelihood)
        keep = ~done & (regular | worse)
        active, w, beta, step, best = active[keep], w[keep], beta[keep], step[keep], best[keep]
        if not len(active):
            break
    return fitted
