"""Metrics of predicted numbers, of weighted samples, for many sets of weights at once."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from kinview.evaluation.metrics.outputs import Regression, ratio

__all__ = ["mae", "r2", "rmse"]


def mae(said: Regression, weights: Float[np.ndarray, "draws n"]) -> Float[np.ndarray, " draws"]:
    """Mean absolute error, in units of the target."""
    return ratio(weights @ np.abs(said.y - said.predicted), weights.sum(axis=1))


def rmse(said: Regression, weights: Float[np.ndarray, "draws n"]) -> Float[np.ndarray, " draws"]:
    """Root mean squared error, in units of the target."""
    return np.asarray(np.sqrt(ratio(weights @ (said.y - said.predicted) ** 2, weights.sum(axis=1))))


def r2(said: Regression, weights: Float[np.ndarray, "draws n"]) -> Float[np.ndarray, " draws"]:
    r"""Coefficient of determination :math:`1 - \sum (y - \hat y)^2 / \sum (y - \bar y)^2`.

    The mean is that of these samples. NaN where the target is constant.
    """
    mean = ratio(weights @ said.y, weights.sum(axis=1))
    spread = weights * (said.y - mean[:, None]) ** 2
    drawn = weights > 0
    constant = np.where(drawn, said.y, -np.inf).max(axis=1) <= np.where(drawn, said.y, np.inf).min(axis=1)
    unexplained = ratio(weights @ (said.y - said.predicted) ** 2, np.where(constant, 0.0, spread.sum(axis=1)))
    return 1 - unexplained
