"""Metrics by which probes choose on left-out training rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Int64

from kinview.evaluation.metrics.point_values import evaluate

__all__ = ["INNER_METRICS", "inner_score"]

INNER_METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "auroc", "auprc")
"""What any probe that chooses can choose by; higher is better."""


def inner_score(
    metric: str, codes: Int64[np.ndarray, " n"], scores: Float[np.ndarray, "n classes"], predicted: Any = None
) -> float:
    """A metric of left-out rows, as a cell of a benchmark has it; minus infinity where it is not defined.

    Parameters
    ----------
    metric : str
        One of :data:`INNER_METRICS`.
    codes : ndarray of shape (n,)
        Labels 0..K-1.
    scores : ndarray of shape (n, K)
        Score of each class.
    predicted : ndarray of shape (n,), optional
        Predicted labels; by default the class with the largest score.
    """
    value = float(evaluate(codes, scores, np.arange(scores.shape[1]), predicted)[metric])  # type: ignore[literal-required]
    return -np.inf if np.isnan(value) else value
