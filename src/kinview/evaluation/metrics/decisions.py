"""Metrics of predicted labels, of weighted samples, for many sets of weights at once."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from kinview.evaluation.metrics.outputs import Classification, mean_defined, ratio

__all__ = ["accuracy", "balanced_accuracy", "macro_f1", "mcc"]


def accuracy(said: Classification, weights: Float[np.ndarray, "draws n"]) -> Float[np.ndarray, " draws"]:
    """Fraction of the samples whose label is the predicted one."""
    return ratio(weights @ (said.y == said.predicted).astype(np.float64), weights.sum(axis=1))


def balanced_accuracy(said: Classification, weights: Float[np.ndarray, "draws n"]) -> Float[np.ndarray, " draws"]:
    """Mean recall over the classes that occur."""
    hits, true, _ = _counts(said, weights)
    return mean_defined(ratio(hits, true))


def macro_f1(said: Classification, weights: Float[np.ndarray, "draws n"]) -> Float[np.ndarray, " draws"]:
    """Mean F1 over the classes that occur; a class that is predicted but does not occur is left out."""
    hits, true, predicted = _counts(said, weights)
    return mean_defined(np.where(true > 0, ratio(2 * hits, true + predicted), np.nan))


def mcc(said: Classification, weights: Float[np.ndarray, "draws n"]) -> Float[np.ndarray, " draws"]:
    r"""Matthews correlation coefficient of two classes or more.

    With :math:`c` the correct samples, :math:`s` all, :math:`t_k` those of class k, :math:`p_k` those predicted as k,

    .. math:: \frac{c\,s - \sum_k p_k t_k}{\sqrt{(s^2 - \sum_k p_k^2)(s^2 - \sum_k t_k^2)}}

    0 where one class alone is predicted, as in scikit-learn; NaN (there: 0) where one class alone occurs.

    References
    ----------
    .. [1] Gorodkin, J. (2004). Comparing two K-category assignments by a K-category correlation coefficient.
       Computational Biology and Chemistry 28, 367-374.
    """
    hits, true, predicted = _counts(said, weights)
    total = weights.sum(axis=1)
    several = ((true > 0).sum(axis=0) > 1, (predicted > 0).sum(axis=0) > 1)
    spread = (total**2 - (predicted**2).sum(axis=0)) * (total**2 - (true**2).sum(axis=0))
    covariance = hits.sum(axis=0) * total - (predicted * true).sum(axis=0)
    found = ratio(covariance, np.sqrt(np.where(several[0] & several[1], spread, 1.0)))
    return np.where(several[0], np.where(several[1], found, 0.0), np.nan)


def _counts(
    said: Classification, weights: Float[np.ndarray, "draws n"]
) -> tuple[Float[np.ndarray, "codes draws"], Float[np.ndarray, "codes draws"], Float[np.ndarray, "codes draws"]]:
    """Weight of the correct, the true and the predicted samples of each class, unknown classes included."""
    codes = np.arange(max(len(said.classes), said.y.max() + 1))
    true, predicted = (values[:, None] == codes for values in (said.y, said.predicted))
    hits, occurring, called = (
        (weights @ member.astype(np.float64)).T for member in (true & predicted, true, predicted)
    )
    return hits, occurring, called
