"""Metrics of predicted numbers, of weighted samples, for many sets of weights at once."""

from __future__ import annotations

from typing import Any, TypedDict

import numpy as np
from jaxtyping import Float

from kinview.evaluation.metrics.outputs import Regression, ratio

__all__ = ["NumberMetrics", "evaluate_numbers", "mae", "r2", "rmse"]


class NumberMetrics(TypedDict):
    """Result of :func:`evaluate_numbers`; NaN where a metric is not defined."""

    mae: float
    rmse: float
    r2: float
    notes: list[str]


def evaluate_numbers(y_true: Any, y_pred: Any) -> NumberMetrics:
    r"""Mean absolute error, root mean squared error and R² of predicted numbers.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n,)
        Targets and predictions.

    Returns
    -------
    dict
        The three metrics, and ``notes``: why one of them is not defined.

    Raises
    ------
    ValueError
        If there is not one prediction a target, there are none, or one is not finite.

    Examples
    --------
    >>> evaluate_numbers([1.0, 2.0, 3.0], [1.0, 2.0, 6.0])
    {'mae': 1.0, 'rmse': 1.7320508075688772, 'r2': -3.5, 'notes': []}
    """
    said = Regression.of(y_true, y_pred)
    weights = np.ones((1, len(said)))
    found = {name: float(metric(said, weights)[0]) for name, metric in (("mae", mae), ("rmse", rmse), ("r2", r2))}
    notes = ["R² is not defined: all test targets are the same"] if np.isnan(found["r2"]) else []
    return NumberMetrics(mae=found["mae"], rmse=found["rmse"], r2=found["r2"], notes=notes)


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
