"""How well scores predict labels, for two classes or more."""

from __future__ import annotations

from typing import Any, TypedDict

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int64, Shaped

from kinview.data.alignment import in_order_of
from kinview.data.labels import check_labels, check_shared, positions

__all__ = ["Metrics", "evaluate", "predicted_positions"]


class Metrics(TypedDict):
    """Result of :func:`evaluate`. All metrics are in [0, 1]; NaN where a metric is not defined."""

    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    auroc: float
    auprc: float
    notes: list[str]


def evaluate(y_true: Any, scores: Any, classes: Any, y_pred: Any = None) -> Metrics:
    r"""Accuracy, balanced accuracy, macro-F1, AUROC and AUPRC.

    Balanced accuracy is the mean recall, macro-F1 the mean F1, each over the :math:`K'` classes present in ``y_true``.
    AUROC and AUPRC (average precision :math:`\sum_i (R_i - R_{i-1}) P_i`) of two classes rank the rows by the score of
    ``classes[1]``; of more, they are the mean of one-versus-rest over the classes present.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        Labels of the test set. Labels are compared as values, whatever holds them: text and bytes, numbers of any
        size, False and True beside 0 and 1.
    scores : array-like of shape (n, K)
        Score of each class, larger = more likely; a column per class, in the order of ``classes``, or a frame whose
        columns are the classes.
    classes : array-like of shape (K,)
        The classes that the classifier knows.
    y_pred : array-like of shape (n,), optional
        Predicted labels. Default: the class with the largest score (the first one of equals). Where the index of a
        frame of scores, or that of ``y_true``, names the samples, the others follow it.

    Returns
    -------
    dict
        The five metrics, and ``notes``: for each class that is left out of a mean, which and why.

    Raises
    ------
    ValueError
        If shapes do not fit, a score is not finite, a prediction is not among ``classes``, no label is, or an index
        holds other samples.

    Notes
    -----
    scikit-learn's macro-F1 counts a class that is predicted but never occurs as 0; here it is left out, as in balanced
    accuracy. A class that occurs in ``y_true`` without being among ``classes`` has no score: it counts as wrong
    in accuracy, balanced accuracy and macro-F1, and is left out of AUROC and AUPRC.

    Examples
    --------
    >>> result = evaluate(["a", "b", "b", "a"], [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.7, 0.3]], ["a", "b"])
    >>> result["accuracy"], result["auroc"], result["notes"]
    (0.75, 1.0, [])
    """
    samples, named = (scores, "the scores") if isinstance(scores, pd.DataFrame) else (y_true, "y_true")
    labels = check_labels(in_order_of(samples, y_true, "y_true", named), "y_true")
    y_pred = in_order_of(samples, y_pred, "y_pred", named)
    known = np.asarray(classes)
    if isinstance(scores, pd.DataFrame) and set(scores.columns) == set(known.tolist()):
        scores = scores[known.tolist()]
    values = np.asarray(scores, dtype=np.float64)
    if values.shape != (len(labels), len(known)):
        raise ValueError(
            f"scores must have one row a label and one column a class, shape {(len(labels), len(known))}; "
            f"got {values.shape}"
        )
    if not np.isfinite(values).all():
        bad = int((~np.isfinite(values)).any(axis=1).sum())
        raise ValueError(f"scores must be finite; {bad} of {len(values)} rows hold NaN or infinity")
    check_shared(known, labels, "the classes", "y_true")
    true = positions(labels, known)
    predicted = values.argmax(axis=1) if y_pred is None else predicted_positions(y_pred, known, len(labels))

    notes = [f"class {known[k]!s} is not in the test set" for k in range(len(known)) if not (true == k).any()]
    unknown = labels[true < 0]
    if len(unknown):
        # Each unknown class gets a code of its own, so that it counts once in the means over classes.
        names, codes = np.unique(unknown, return_inverse=True)
        true = true.copy()
        true[true < 0] = len(known) + codes
        notes += [f"class {name!s} was not in the training labels: wrong by definition, no score" for name in names]

    recall, f1 = _mean_recall_and_f1(true, predicted)
    auroc, auprc = _ranking(true, values, notes, known)
    return Metrics(
        accuracy=float(np.mean(true == predicted)),
        balanced_accuracy=recall,
        macro_f1=f1,
        auroc=auroc,
        auprc=auprc,
        notes=notes,
    )


def predicted_positions(y_pred: Any, known: Shaped[np.ndarray, " classes"], n: int) -> Int64[np.ndarray, " n"]:
    """Place of each of n predicted labels among the classes.

    Raises
    ------
    ValueError
        If there is not one prediction a label, or one is not among the classes.
    """
    labels = check_labels(y_pred, "y_pred")
    if len(labels) != n:
        raise ValueError(f"y_pred must have one prediction a label: expected {n}, got {len(labels)}")
    predicted = positions(labels, known)
    if (predicted < 0).any():
        raise ValueError(f"y_pred holds {labels[predicted < 0][0]!s}, which is not among the classes {known.tolist()}")
    return predicted


def _ranking(
    true: Int64[np.ndarray, " n"],
    scores: Float[np.ndarray, "n classes"],
    notes: list[str],
    known: Shaped[np.ndarray, " classes"],
) -> tuple[float, float]:
    """AUROC and AUPRC; appends why they are not defined."""
    n_classes = len(known)
    binary = n_classes == 2 and true.max() < 2
    ranked = [k for k in ([1] if binary else range(n_classes)) if _splits(true == k)]
    if not ranked:
        only = f"the test set holds only class {known[true[0]]!s}" if true[0] < n_classes else "no class has a score"
        notes.append(f"AUROC and AUPRC are not defined: {only}")
        return float("nan"), float("nan")
    areas = np.mean([_areas(true == k, scores[:, k]) for k in ranked], axis=0)
    return float(areas[0]), float(areas[1])


# scikit-learn has all of these, but checks its input for each class and metric: longer than all else of a cheap cell.


def _mean_recall_and_f1(true: Int64[np.ndarray, " n"], predicted: Int64[np.ndarray, " n"]) -> tuple[float, float]:
    """Means over the classes in ``true``."""
    size = int(max(true.max(), predicted.max())) + 1
    support, said = (np.bincount(codes, minlength=size) for codes in (true, predicted))
    hits = np.bincount(true[true == predicted], minlength=size)
    present = support > 0
    recall = hits[present] / support[present]
    return float(recall.mean()), float((2 * hits[present] / (support + said)[present]).mean())


def _areas(positive: Bool[np.ndarray, " n"], scores: Float[np.ndarray, " n"]) -> tuple[float, float]:
    """AUROC, ties counted half, and average precision over the distinct scores in descending order."""
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))  # of the samples with one score
    hits = np.cumsum(positive[order])[last]
    alarms = last + 1 - hits
    new_hits, new_alarms = np.diff(hits, prepend=0), np.diff(alarms, prepend=0)
    below = alarms[-1] - alarms + new_alarms / 2  # negative samples with a lower score, and half of those with this one
    return float(new_hits @ below / (hits[-1] * alarms[-1])), float(new_hits @ (hits / (hits + alarms)) / hits[-1])


def _splits(positive: Bool[np.ndarray, " n"]) -> bool:
    return bool(positive.any() and not positive.all())
