"""Variance, interval and paired test of AUROC after DeLong, of two classes."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy.stats import norm, rankdata

from kinview.evaluation.metrics.outputs import check_finite
from kinview.evaluation.statistics import check_confidence

__all__ = ["DeLongTest", "delong", "delong_interval", "delong_test"]

_NO_SPREAD = 1e-12  # of a difference, as a part of either variance: rounding


class DeLongTest(NamedTuple):
    """Result of :func:`delong_test`."""

    difference: float
    low: float
    high: float
    z: float
    p: float


def delong(positive: Any, scores: Any) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, "k k"]]:
    r"""AUROC of k classifiers on the same samples, and the covariance matrix of these estimates.

    With :math:`m` positive scores :math:`x_i`, :math:`n` negative scores :math:`y_j` and
    :math:`\psi = [x > y] + \tfrac12 [x = y]`, the structural components are

    .. math:: V_{10}(x_i) = \frac1n \sum_j \psi(x_i, y_j), \qquad V_{01}(y_j) = \frac1m \sum_i \psi(x_i, y_j),

    AUROC is the mean of either, and the covariance is :math:`S_{10}/m + S_{01}/n` with their sample covariances
    (divided by m - 1 and n - 1). The components come from midranks [2]_, exactly where scores are tied, in :math:`O((m
    + n) \log (m + n))` a classifier.

    Parameters
    ----------
    positive : bool array-like of shape (n,)
        Which samples are positive.
    scores : array-like of shape (n,) or (n, k)
        Scores of one classifier, or of each; larger = more likely positive. Only their order counts.

    Returns
    -------
    auroc : ndarray of shape (k,)
    covariance : ndarray of shape (k, k)
        NaN with fewer than two positive or two negative samples: one says nothing about the spread.

    Raises
    ------
    ValueError
        If shapes do not fit, a score is not finite, or one class alone occurs.

    Notes
    -----
    Samples have to be independent. Where patients have several, their scores are not: use the bootstrap over patients
    (:func:`kinview.evaluation.metrics_with_intervals`).

    References
    ----------
    .. [1] DeLong, E. R., DeLong, D. M. & Clarke-Pearson, D. L. (1988). Comparing the areas under two or more correlated
       receiver operating characteristic curves: a nonparametric approach. Biometrics 44, 837-845.
    .. [2] Sun, X. & Xu, W. (2014). Fast implementation of DeLong's algorithm for comparing the areas under correlated
       receiver operating characteristic curves. IEEE Signal Processing Letters 21, 1389-1393.

    Examples
    --------
    >>> auroc, covariance = delong([True, False, True, False], [3, 2, 1, 0])
    >>> auroc.tolist(), covariance.tolist()
    ([0.75], [[0.125]])
    """
    member, values = _checked(positive, scores)
    x, y = values[member], values[~member]
    m, n = len(x), len(y)
    overall = rankdata(values, axis=0)
    won = (overall[member] - rankdata(x, axis=0)) / n  # (m, k): V10
    lost = 1 - (overall[~member] - rankdata(y, axis=0)) / m  # (n, k): V01
    auroc = won.mean(axis=0)
    if min(m, n) < 2:
        return auroc, np.full((values.shape[1], values.shape[1]), np.nan)
    covariance = sum(np.atleast_2d(np.cov(part, rowvar=False)) / len(part) for part in (won, lost))
    return auroc, np.asarray(covariance)


def delong_interval(
    positive: Any, score: Any, *, confidence: float = 0.95, scale: Literal["logit", "plain"] = "logit"
) -> tuple[float, float, float]:
    r"""AUROC with its DeLong interval.

    On the logit scale, the default, :math:`\operatorname{logit} A \pm z\, \frac{s}{A (1 - A)}` is carried back: the
    interval stays within (0, 1), and covers better where AUROC is high or the sample small [1]_. On the plain scale it
    is :math:`A \pm z s`, cut at 0 and 1.

    Parameters
    ----------
    positive, score
        As :func:`delong`, of one classifier; where ``score`` has several columns, of the mean of their AUROC.
    confidence : float
        Coverage, between 0 and 1.
    scale : {"logit", "plain"}
        Scale on which the estimate is taken as normal.

    Returns
    -------
    auroc, low, high : float
        The bounds are NaN with fewer than two samples of a class, and where the variance is zero, as at an AUROC of 1:
        the sample says nothing about the spread.

    Raises
    ------
    ValueError
        As :func:`delong`; and if ``confidence`` or ``scale`` is none.

    References
    ----------
    .. [1] Pepe, M. S. (2003). The statistical evaluation of medical tests for classification and prediction. Oxford
       University Press, section 5.2.

    Examples
    --------
    >>> [round(x, 3) for x in delong_interval([0, 0, 1, 1, 0, 1], [0.1, 0.4, 0.35, 0.8, 0.2, 0.7])]
    [0.889, 0.261, 0.995]
    """
    check_confidence(confidence)
    if scale not in ("logit", "plain"):
        raise ValueError(f"scale={scale!r} is unknown; use 'logit' or 'plain'")
    values, covariance = delong(positive, score)
    auroc, error = float(values.mean()), float(np.sqrt(max(covariance.mean(), 0.0)))
    if not error > 0:
        return auroc, float("nan"), float("nan")
    half = float(norm.ppf((1 + confidence) / 2)) * error
    if scale == "plain":
        return auroc, max(auroc - half, 0.0), min(auroc + half, 1.0)
    centre, spread = np.log(auroc / (1 - auroc)), half / (auroc * (1 - auroc))
    low, high = (float(1 / (1 + np.exp(-(centre + side * spread)))) for side in (-1, 1))
    return auroc, low, high


def delong_test(positive: Any, score: Any, other: Any, *, confidence: float = 0.95) -> DeLongTest:
    r"""Test whether two classifiers have the same AUROC on the same samples.

    .. math:: z = \frac{A_1 - A_2}{\sqrt{s_{11} + s_{22} - 2 s_{12}}}, \qquad p = 2\,(1 - \Phi(|z|))

    with the covariance of :func:`delong`, so that what both find hard does not count as spread.

    Parameters
    ----------
    positive : bool array-like of shape (n,)
        Which samples are positive.
    score, other : array-like of shape (n,)
        Scores of both classifiers, in the order of ``positive``.
    confidence : float
        Coverage of the interval of the difference.

    Returns
    -------
    difference, low, high, z, p : float
        Where both rank alike the difference and z are 0 and p is 1. Where the variance is zero and they do not, or
        cannot be told, bounds, z and p are NaN.

    Raises
    ------
    ValueError
        As :func:`delong`.

    Examples
    --------
    >>> found = delong_test([0, 0, 1, 1, 0, 1], [0.1, 0.4, 0.35, 0.8, 0.2, 0.7], [0.3, 0.2, 0.1, 0.4, 0.6, 0.5])
    >>> round(found.difference, 3), round(found.p, 3)
    (0.444, 0.157)
    """
    check_confidence(confidence)
    (first, second), covariance = delong(positive, np.stack([np.asarray(score), np.asarray(other)], axis=1))
    difference = float(first - second)
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    if np.isnan(variance) or variance <= _NO_SPREAD * max(covariance[0, 0], covariance[1, 1]):
        same = difference == 0 and not np.isnan(variance)
        none = 0.0 if same else float("nan")
        return DeLongTest(difference, none, none, none, 1.0 if same else float("nan"))
    error = variance**0.5
    half = float(norm.ppf((1 + confidence) / 2)) * error
    z = difference / error
    return DeLongTest(difference, difference - half, difference + half, z, float(2 * norm.sf(abs(z))))


def _checked(positive: Any, scores: Any) -> tuple[Bool[np.ndarray, " n"], Float[np.ndarray, "n k"]]:
    given, values = np.asarray(positive), np.asarray(scores, dtype=np.float64)
    values = values[:, None] if values.ndim == 1 else values
    if given.ndim != 1 or values.ndim != 2 or len(given) != len(values):
        raise ValueError(f"give one score a sample, (n,) or (n, k); got {len(given)} samples and shape {values.shape}")
    if given.dtype != bool and not np.isin(given, (0, 1)).all():
        raise ValueError(
            f"positive must hold True and False (or 1 and 0), got {given.dtype} such as {given.tolist()[0]!r}; write "
            "y == 'ill'"
        )
    member = given.astype(bool)
    check_finite(values, "scores")
    if member.all() or not member.any():
        raise ValueError(f"AUROC needs samples of both classes; all {len(member)} are {bool(member.any())}")
    return member, values
