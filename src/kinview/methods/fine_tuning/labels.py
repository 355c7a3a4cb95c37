"""What a classifier is given: labels of any type, and samples of the modality that its encoder reads."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Shaped
from sklearn.utils import check_array, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from kinview.data.modality import modality_of
from kinview.methods import methods
from kinview.methods.estimators.capabilities import Capabilities
from kinview.methods.estimators.series import SeriesEstimator
from kinview.methods.estimators.tabular import TabularEstimator

__all__ = ["check_modality", "encoded_labels", "sample_modality"]

_DATES = (datetime.date, datetime.timedelta, pd.Period, np.datetime64, np.timedelta64)


def encoded_labels(y: Any) -> tuple[Shaped[np.ndarray, " classes"], Shaped[np.ndarray, " n"]]:
    """Sorted distinct labels, and the position of each sample's among them.

    Raises
    ------
    ValueError
        If there are none, one is missing, they are of a single class, or no labels of classes (dates, real numbers).
    """
    if y is None:
        raise ValueError("FineTunedClassifier requires y to be passed, but the target y is None; give one label a row")
    labels = column_or_1d(check_array(_of_own_kind(y), ensure_2d=False, dtype=None, ensure_all_finite=False), warn=True)
    missing = int(pd.isna(labels).sum())
    if missing:
        raise ValueError(f"Input y contains NaN: {missing} of {len(labels)} labels are missing; leave those rows out")
    dates = [label for label in labels if isinstance(label, _DATES)]
    if dates:
        raise ValueError(
            f"y holds dates or durations, the first {dates[0]!s}, which a saved classifier could not hold: a label is "
            f"text, a number or a boolean; give y.astype(str)"
        )
    check_array(labels, ensure_2d=False, dtype=None, input_name="y")
    if labels.dtype == object and np.array(labels.tolist()).dtype.kind in "biu":  # a nullable column of pandas
        labels = np.array(labels.tolist())
    check_classification_targets(labels)
    classes, codes = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"all {len(labels)} labels are of one class, {classes[0]!s}: a classifier needs two or more")
    return classes, codes.astype(np.int64)


def _of_own_kind(y: Any) -> Any:
    """Labels of a nullable column of pandas as NumPy's of the same kind; scikit-learn would make them real numbers."""
    own = getattr(getattr(y, "dtype", None), "numpy_dtype", None)
    if own is None or own.kind not in "biuf" or bool(pd.isna(y).any()):
        return y
    return y.to_numpy(dtype=own)


def check_modality(estimator: Any, X: Any, n_labels: int) -> None:
    """Refuse series for a method of tables, and the other way round, before a reader misreads them.

    A frame whose MultiIndex names the rows (patient, visit) may be a table; then it has a label a row.

    Raises
    ------
    ValueError
        What the method reads, and what X is.
    """
    found = sample_modality(X)
    if isinstance(estimator, Capabilities) and estimator.network_of is not None:
        estimator = methods.build(estimator.network_method(found), for_modality=found)
    container = type(X).__name__ + (f" of shape {tuple(X.shape)}" if hasattr(X, "shape") else "")
    name = methods.name_of(estimator)
    if isinstance(estimator, SeriesEstimator) and found == "tabular" and _holds_rows(X):
        raise ValueError(
            f"{name} reads time series, and X is a table, a {container}: give series as (n, channels, time) (write "
            f"X[:, None, :] for an array of n series of one channel), or a method of tables such as 'scarf'"
        )
    if isinstance(estimator, TabularEstimator) and found == "time_series" and not _is_long_table(X, n_labels):
        raise ValueError(
            f"{name} reads tables, and X holds time series, a {container}: give rows as (n, columns), or a method of "
            f"time series such as 'ts2vec'"
        )


def _holds_rows(X: Any) -> bool:
    return isinstance(X, pd.DataFrame | list | tuple) or getattr(X, "ndim", 0) == 2


def _is_long_table(X: Any, n_labels: int) -> bool:
    return isinstance(X, pd.DataFrame) and isinstance(X.index, pd.MultiIndex) and len(X) == n_labels


def sample_modality(X: Any) -> str:
    """As :func:`modality_of`, but nested lists of numbers are a table, as everywhere in scikit-learn."""
    first = X[0] if isinstance(X, list | tuple) and len(X) else None
    rows = isinstance(first, list | tuple) and all(isinstance(value, str) or np.ndim(value) == 0 for value in first)
    return "tabular" if rows else modality_of(X)
