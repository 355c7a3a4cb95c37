"""Scores made probabilities, by scores of rows that a probe was fitted without."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Float, Int64
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

__all__ = ["CALIBRATIONS", "Calibrator"]

CALIBRATIONS = ("platt", "isotonic")
_TINY = 1e-12  # probabilities of 0 and 1 have finite log-odds


@dataclasses.dataclass(frozen=True, eq=False)
class Calibrator:
    """A map from scores to probabilities.

    Of two classes one function of the difference of their scores gives the probability of the second; of more, each
    class has one of its score against the others, and their values are divided by their sum. Scores that are
    probabilities count by their log-odds.
    """

    log_odds: bool
    functions: tuple[Any, ...]

    @classmethod
    def fitted(cls, kind: str, scores: Float[np.ndarray, "n classes"], codes: Int64[np.ndarray, " n"]) -> Calibrator:
        """Fit on scores of rows that the probe did not see, and their labels 0..K-1.

        Parameters
        ----------
        kind : {"platt", "isotonic"}
            Logistic regression with Platt's targets, or a step function that never falls.
        scores : ndarray of shape (n, K)
            Score of each class.
        codes : ndarray of shape (n,)
            Labels.
        """
        low, high, total = scores.min(), scores.max(), scores.sum(axis=1)
        log_odds = bool(low >= 0 and high <= 1 and np.allclose(total, 1, rtol=0, atol=1e-4))
        margins = _margins(scores, log_odds)
        own = np.arange(1, 2) if margins.shape[1] == 1 else np.arange(margins.shape[1])
        fit = _platt if kind == "platt" else _isotonic
        functions = tuple(fit(margins[:, column], codes == code) for column, code in enumerate(own))
        return cls(log_odds, functions)

    def probabilities(self, scores: Float[np.ndarray, "n classes"]) -> Float[np.ndarray, "n classes"]:
        """Probability of each class."""
        margins = _margins(scores, self.log_odds)
        found = np.stack([function(margins[:, column]) for column, function in enumerate(self.functions)], axis=1)
        if found.shape[1] == 1:
            return np.concatenate([1 - found, found], axis=1)
        total = found.sum(axis=1, keepdims=True)
        return np.where(total > 0, found / np.where(total > 0, total, 1.0), 1.0 / found.shape[1])


def _margins(scores: Float[np.ndarray, "n classes"], log_odds: bool) -> Float[np.ndarray, "n columns"]:
    """What a function of the calibrator takes: one column for two classes, else one a class."""
    if log_odds:
        p = np.clip(scores, _TINY, 1 - _TINY)
        scores = np.log(p) - np.log1p(-p)
        return scores[:, 1:] if scores.shape[1] == 2 else scores
    return scores[:, 1:] - scores[:, :1] if scores.shape[1] == 2 else scores


def _platt(margins: Float[np.ndarray, " n"], positive: Any) -> Any:
    n, n_positive = len(margins), int(positive.sum())
    target = np.where(positive, (n_positive + 1) / (n_positive + 2), 1 / (n - n_positive + 2))
    scale = float(np.abs(margins).max()) or 1.0
    rows = np.concatenate([margins, margins])[:, None] / scale
    regression = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-8).fit(
        rows, np.repeat([1, 0], n), sample_weight=np.concatenate([target, 1 - target])
    )
    return _Sigmoid(float(regression.coef_[0, 0]) / scale, float(regression.intercept_[0]))


@dataclasses.dataclass(frozen=True)
class _Sigmoid:
    slope: float
    intercept: float

    def __call__(self, margins: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        from scipy.special import expit

        return np.asarray(expit(self.slope * margins + self.intercept))


def _isotonic(margins: Float[np.ndarray, " n"], positive: Any) -> Any:
    return IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(margins, positive.astype(np.float64)).predict
