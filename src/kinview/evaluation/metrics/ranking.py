"""AUROC and AUPRC of weighted samples, for many sets of weights at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float

from kinview.evaluation.metrics.outputs import Classification, mean_defined, ratio

__all__ = ["auprc", "auroc", "weighted_auprc", "weighted_auroc"]

Area = Callable[
    [Bool[np.ndarray, " n"], Float[np.ndarray, " n"], Float[np.ndarray, "draws n"]], Float[np.ndarray, " draws"]
]


def auroc(said: Classification, weights: Float[np.ndarray, "draws n"]) -> Float[np.ndarray, " draws"]:
    """Area under the ROC curve: of the second of two classes; of more, the mean of one-versus-rest."""
    return _one_versus_rest(said, weights, weighted_auroc)


def auprc(said: Classification, weights: Float[np.ndarray, "draws n"]) -> Float[np.ndarray, " draws"]:
    """Average precision: of the second of two classes; of more, the mean of one-versus-rest.

    A score without information has the prevalence of the class, which has to stand beside it.
    """
    return _one_versus_rest(said, weights, weighted_auprc)


def weighted_auroc(
    positive: Bool[np.ndarray, " n"], score: Float[np.ndarray, " n"], weights: Float[np.ndarray, "draws n"]
) -> Float[np.ndarray, " draws"]:
    r"""Probability that a positive sample has the higher score, ties counted half.

    .. math:: \frac{\sum_{i \in P} \sum_{j \in N} w_i w_j \left([s_j < s_i] + \tfrac12 [s_j = s_i]\right)}
              {\sum_{i \in P} w_i \sum_{j \in N} w_j}

    The scores are ordered once for all sets of weights, and the inner sum is read from a running sum: the effort is
    :math:`O(n \log n)` and :math:`O(n)` a set.

    Parameters
    ----------
    positive : bool ndarray of shape (n,)
        Which samples are positive.
    score : ndarray of shape (n,)
        Larger = more likely positive.
    weights : ndarray of shape (draws, n)
        Sets of weights, at least zero.

    Returns
    -------
    ndarray of shape (draws,)
        NaN where positive or negative samples have no weight.

    Examples
    --------
    >>> positive, score = np.array([True, False, True]), np.array([0.9, 0.5, 0.5])
    >>> weighted_auroc(positive, score, np.array([[1.0, 1.0, 1.0], [1.0, 1.0, 3.0], [1.0, 0.0, 1.0]])).tolist()
    [0.75, 0.625, nan]
    """
    (s_pos, w_pos), (s_neg, w_neg) = (_ordered(score, weights, rows) for rows in (positive, ~positive))
    below = _running(w_neg)
    won = below[:, np.searchsorted(s_neg, s_pos, "left")] + below[:, np.searchsorted(s_neg, s_pos, "right")]
    return ratio((w_pos * won).sum(axis=1) / 2, w_pos.sum(axis=1) * below[:, -1])


def weighted_auprc(
    positive: Bool[np.ndarray, " n"], score: Float[np.ndarray, " n"], weights: Float[np.ndarray, "draws n"]
) -> Float[np.ndarray, " draws"]:
    r"""Average precision :math:`\sum_i (R_i - R_{i-1}) P_i` over the distinct scores in descending order.

    Parameters
    ----------
    positive, score, weights
        As :func:`weighted_auroc`.

    Returns
    -------
    ndarray of shape (draws,)
        NaN where positive or negative samples have no weight. scikit-learn gives 1 without negative samples.

    Examples
    --------
    >>> weighted_auprc(np.array([True, False, True]), np.array([0.9, 0.5, 0.1]), np.ones((1, 3))).round(4).tolist()
    [0.8333]
    """
    (s_pos, w_pos), (s_neg, w_neg) = (_ordered(score, weights, rows) for rows in (positive, ~positive))
    running_pos, running_neg = _running(w_pos), _running(w_neg)
    total_pos, total_neg = running_pos[:, -1:], running_neg[:, -1:]
    hits = total_pos - running_pos[:, np.searchsorted(s_pos, s_pos, "left")]  # (draws, positives): with such a score
    alarms = total_neg - running_neg[:, np.searchsorted(s_neg, s_pos, "left")]
    precision = np.nan_to_num(ratio(hits, hits + alarms))
    area = ratio((w_pos * precision).sum(axis=1), total_pos[:, 0])
    return np.where(total_neg[:, 0] > 0, area, np.nan)


def _one_versus_rest(
    said: Classification, weights: Float[np.ndarray, "draws n"], area: Area
) -> Float[np.ndarray, " draws"]:
    classes = [1] if said.binary else range(len(said.classes))
    return mean_defined(np.stack([area(said.y == k, said.scores[:, k], weights) for k in classes]))


def _ordered(
    score: Float[np.ndarray, " n"], weights: Float[np.ndarray, "draws n"], rows: Bool[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, "draws k"]]:
    """Scores of these rows in ascending order, and their weights."""
    chosen = np.flatnonzero(rows)
    chosen = chosen[np.argsort(score[chosen], kind="stable")]
    return score[chosen], weights[:, chosen]


def _running(weights: Float[np.ndarray, "draws k"]) -> Float[np.ndarray, "draws k_plus_1"]:
    """Sum of the first 0, 1, ..., k weights."""
    return np.pad(weights.cumsum(axis=1), ((0, 0), (1, 0)))
