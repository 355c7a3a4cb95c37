"""How sharp scores are as probabilities, judged on rows that the scores did not see."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int64
from scipy.special import logsumexp

__all__ = ["SHARPNESS", "best_sharpness", "log_loss"]

SHARPNESS = np.geomspace(0.2, 16.0, 12)
"""Candidates for the factor of scores whose targets are -1 and 1: from nearly equal classes to nearly certain ones."""


def log_loss(scores: Float[np.ndarray, "n classes"], codes: Int64[np.ndarray, " n"]) -> float:
    """Mean of ``-log softmax(scores)`` at the labels, in nats."""
    return float(np.mean(logsumexp(scores, axis=1) - scores[np.arange(len(codes)), codes]))


def best_sharpness(
    scores: Float[np.ndarray, "n classes"],
    codes: Int64[np.ndarray, " n"],
    candidates: Float[np.ndarray, " grid"] = SHARPNESS,
) -> tuple[float, float]:
    """The factor of the scores with the smallest log loss (the smallest factor of equals), and this loss."""
    losses = [log_loss(factor * scores, codes) for factor in candidates]
    best = int(np.argmin(losses))
    return float(candidates[best]), losses[best]
