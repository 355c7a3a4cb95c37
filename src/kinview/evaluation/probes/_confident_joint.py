"""Counts of recorded against right labels, estimated from out-of-fold probabilities (confident learning)."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int64

__all__ = ["calibrated", "confident_joint", "joint_distribution", "prune_by_noise_rate", "transition_of"]


def confident_joint(
    codes: Int64[np.ndarray, " n"], probabilities: Float[np.ndarray, "n classes"]
) -> tuple[Int64[np.ndarray, "classes classes"], Float[np.ndarray, " classes"]]:
    r"""Confident joint and thresholds of Northcutt et al. (2021), equations 1 and 2.

    The threshold :math:`t_j` is the mean probability of class j over the rows recorded as j. A row counts for the class
    with the largest probability (the first of equals) among those whose probability reaches their threshold; a row that
    reaches none is not counted.

    Returns
    -------
    joint : ndarray of shape (K, K)
        Rows recorded as i that count for class j.
    thresholds : ndarray of shape (K,)
        The :math:`t_j`.
    """
    n_classes = probabilities.shape[1]
    thresholds = np.array([probabilities[codes == j, j].mean() for j in range(n_classes)])
    # cleanlab's allowance for rounding: a class all of whose rows have the same probability reaches its own mean.
    reaches = probabilities >= thresholds - 1e-6
    best = np.where(reaches, probabilities, -np.inf).argmax(axis=1)
    counted = reaches.any(axis=1)
    joint = np.zeros((n_classes, n_classes), dtype=np.int64)
    np.add.at(joint, (codes[counted], best[counted]), 1)
    return joint, thresholds


def calibrated(
    joint: Int64[np.ndarray, "classes classes"], counts: Int64[np.ndarray, " classes"]
) -> Float[np.ndarray, "classes classes"]:
    """The joint distribution (equation 3): rows scaled to the counts of the recorded labels, in all to 1.

    A recorded class none of whose rows was counted has its labels taken for right.
    """
    totals = joint.sum(axis=1, keepdims=True)
    shares = np.where(totals > 0, joint / np.maximum(totals, 1), np.eye(len(joint)))
    scaled: Float[np.ndarray, "classes classes"] = shares * counts[:, None] / counts.sum()
    return scaled


def joint_distribution(
    codes: Int64[np.ndarray, " n"], probabilities: Float[np.ndarray, "n classes"]
) -> Float[np.ndarray, "classes classes"]:
    """Estimated joint distribution of recorded (rows) and right labels (columns), from out-of-fold probabilities."""
    counts = np.bincount(codes, minlength=probabilities.shape[1])
    return calibrated(confident_joint(codes, probabilities)[0], counts)


def prune_by_noise_rate(
    codes: Int64[np.ndarray, " n"],
    probabilities: Float[np.ndarray, "n classes"],
    distribution: Float[np.ndarray, "classes classes"],
) -> Bool[np.ndarray, " n"]:
    r"""Rows to keep: for each pair i, j of classes, those recorded as i go whose margin for j is largest.

    That is the paper's "prune by noise rate": :math:`\operatorname{round}(n Q_{ij})` rows with the largest :math:`p_j -
    p_i`, the first of equals. Of each class, the row with the largest own probability stays.
    """
    keep, n = np.ones(len(codes), dtype=bool), len(codes)
    for i in range(len(distribution)):
        rows = np.flatnonzero(codes == i)
        for j in range(len(distribution)):
            if i != j:
                margin = probabilities[rows, j] - probabilities[rows, i]
                going = np.argsort(-margin, kind="stable")[: int(np.rint(n * distribution[i, j]))]
                keep[rows[going]] = False
        if not keep[rows].any():
            keep[rows[probabilities[rows, i].argmax()]] = True
    return keep


def transition_of(distribution: Float[np.ndarray, "classes classes"]) -> Float[np.ndarray, "classes classes"]:
    """P(recorded | right) from the joint distribution of recorded (rows) and right labels (columns)."""
    totals = distribution.sum(axis=0)
    with np.errstate(invalid="ignore"):
        transition: Float[np.ndarray, "classes classes"] = (distribution / totals).T
    transition[totals == 0] = np.eye(len(totals))[totals == 0]  # a class that no row counts for
    return transition
