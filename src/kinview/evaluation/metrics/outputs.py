"""What a classifier or a regressor said of n samples, checked once for all metrics."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int64, Shaped

from kinview.data.labels import check_labels, check_shared, positions
from kinview.evaluation.metrics.point_values import predicted_positions

__all__ = ["Classification", "Regression", "check_finite", "mean_defined", "ratio"]

_SUM_OF_PROBABILITIES = 1e-4  # how far a row of float32 probabilities may be from 1


@dataclasses.dataclass(frozen=True, eq=False)
class Classification:
    """Labels, predicted labels and scores of n samples.

    Parameters
    ----------
    y, predicted : ndarray of shape (n,)
        True and predicted label, as its position among the classes; labels that the classifier does not know follow as
        K, K + 1, ...
    scores : ndarray of shape (n, K)
        Score of each class, larger = more likely.
    classes : tuple of str
        The K classes that the classifier knows. Of two, the second is the positive one.
    binary : bool
        Whether there are two classes, and every label is one of them. Rows that are taken of it keep this.

    Examples
    --------
    >>> said = Classification.of(["a", "b", "b"], [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], ["a", "b"])
    >>> said.y.tolist(), said.predicted.tolist(), said.binary
    ([0, 1, 1], [0, 1, 0], True)
    """

    y: Int64[np.ndarray, " n"]
    predicted: Int64[np.ndarray, " n"]
    scores: Float[np.ndarray, "n classes"]
    classes: tuple[str, ...]
    binary: bool

    @classmethod
    def of(cls, y_true: Any, scores: Any, classes: Any = None, y_pred: Any = None) -> Classification:
        """Check and encode.

        Parameters
        ----------
        y_true : array-like of shape (n,)
            Labels.
        scores : array-like of shape (n, K) or (n,)
            Score of each class. One column is the score of the second of two classes: where all of it lies in [0, 1]
            the first one has 1 - score, else -score.
        classes : array-like of shape (K,), optional
            The classes, in the order of the columns. Default: the sorted distinct labels.
        y_pred : array-like of shape (n,), optional
            Predicted labels. Default: the class with the largest score (the first one of equals).

        Raises
        ------
        ValueError
            If shapes do not fit, a label is missing, a score is not finite, a prediction is not among the classes, or
            no label is.
        """
        labels = check_labels(y_true, "y_true")
        known = np.unique(labels) if classes is None else np.asarray(classes)
        values = np.asarray(scores, dtype=np.float64)
        if values.ndim == 1 and len(known) == 2:
            values = np.stack([1 - values if ((values >= 0) & (values <= 1)).all() else -values, values], axis=1)
        if values.shape != (len(labels), len(known)):
            raise ValueError(
                f"scores must have one row a label and one column a class, shape {(len(labels), len(known))}; "
                f"got {values.shape}"
            )
        check_finite(values, "scores")
        check_shared(known, labels, "the classes", "y_true")
        predicted = values.argmax(axis=1) if y_pred is None else predicted_positions(y_pred, known, len(labels))
        y = positions(labels, known)
        unknown = y < 0
        if unknown.any():
            y = y.copy()
            y[unknown] = len(known) + np.unique(labels[unknown], return_inverse=True)[1]
        names = tuple(map(str, known.tolist()))
        return cls(y, predicted, values, names, len(known) == 2 and not unknown.any())

    def rows(self, chosen: Shaped[np.ndarray, " rows"]) -> Classification:
        """Some of the samples."""
        return dataclasses.replace(self, y=self.y[chosen], predicted=self.predicted[chosen], scores=self.scores[chosen])

    @property
    def positive(self) -> Bool[np.ndarray, " n"]:
        """Which samples are of the second of two classes."""
        return np.asarray(self.y == 1)

    @property
    def gives_probabilities(self) -> bool:
        """Whether the scores are probabilities: in [0, 1], and 1 in sum over the classes."""
        in_range = ((self.scores >= 0) & (self.scores <= 1)).all()
        return bool(in_range and np.allclose(self.scores.sum(axis=1), 1, rtol=0, atol=_SUM_OF_PROBABILITIES))

    @property
    def notes(self) -> list[str]:
        """Classes without a sample, and labels that the classifier does not know."""
        absent = [name for k, name in enumerate(self.classes) if not (self.y == k).any()]
        notes = [f"class {', '.join(absent)} is not among these samples"] if absent else []
        unknown = int((self.y >= len(self.classes)).sum())
        return notes + ([f"{unknown} samples are of a class that has no score: wrong by definition"] if unknown else [])

    def __len__(self) -> int:
        return len(self.y)


@dataclasses.dataclass(frozen=True, eq=False)
class Regression:
    """Targets and predicted values of n samples.

    Examples
    --------
    >>> len(Regression.of([1.0, 2.0], [1.5, 2.0]))
    2
    """

    y: Float[np.ndarray, " n"]
    predicted: Float[np.ndarray, " n"]

    @classmethod
    def of(cls, y_true: Any, y_pred: Any) -> Regression:
        """Check.

        Raises
        ------
        ValueError
            If there is not one prediction a target, there are none, or one is not finite.
        """
        y, predicted = (np.asarray(values, dtype=np.float64) for values in (y_true, y_pred))
        if y.ndim != 1 or y.shape != predicted.shape or not len(y):
            raise ValueError(
                f"give one predicted value a target, shapes (n,) and (n,) with n >= 1; got {y.shape}, {predicted.shape}"
            )
        check_finite(y[:, None], "y_true")
        check_finite(predicted[:, None], "y_pred")
        return cls(y, predicted)

    def rows(self, chosen: Shaped[np.ndarray, " rows"]) -> Regression:
        """Some of the samples."""
        return Regression(self.y[chosen], self.predicted[chosen])

    @property
    def notes(self) -> list[str]:
        """Nothing: every target has a prediction."""
        return []

    def __len__(self) -> int:
        return len(self.y)


def ratio(above: Float[np.ndarray, "*shape"], below: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Quotient, NaN where the denominator is zero."""
    result = np.full(np.broadcast(above, below).shape, np.nan)
    np.divide(above, below, out=result, where=below != 0)
    return result


def mean_defined(values: Float[np.ndarray, "k draws"]) -> Float[np.ndarray, " draws"]:
    """Mean over the first axis of what is not NaN; NaN where nothing is.

    Examples
    --------
    >>> mean_defined(np.array([[1.0, np.nan], [3.0, np.nan]])).tolist()
    [2.0, nan]
    """
    known = ~np.isnan(values)
    return ratio(np.where(known, values, 0.0).sum(axis=0), known.sum(axis=0).astype(np.float64))


def check_finite(values: Float[np.ndarray, "n columns"], name: str) -> None:
    """Refuse NaN and infinity, saying in how many rows.

    Raises
    ------
    ValueError
        If there are any.
    """
    bad = int((~np.isfinite(values)).any(axis=1).sum())
    if bad:
        raise ValueError(f"{name} must be finite; {bad} of {len(values)} rows hold NaN or infinity")
