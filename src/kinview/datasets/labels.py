"""Labels as a reader finds them, and whether they are classes that a probe can predict."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["as_labels", "check_classes", "distinct"]

_MANY_CLASSES = 20  # whole-number labels with more, some of them unique, are rather a regression target


def as_labels(values: Any) -> NDArray[Any]:
    """Labels as one array: integers where all are whole numbers (also written as text), floats, booleans or text.

    Missing labels are NaN among floats and None among others; the array then holds objects.

    Examples
    --------
    >>> as_labels(["1", "0", None]), as_labels([0.5, None])
    (array([1, 0, None], dtype=object), array([0.5, nan]))
    """
    column = pd.Series(values).reset_index(drop=True)
    missing = column.isna().to_numpy()
    if missing.any():
        observed = as_labels(column[~missing])
        is_float = observed.dtype.kind == "f"
        y = np.full(len(column), np.nan if is_float else None, dtype=np.float64 if is_float else object)
        y[~missing] = observed.tolist()
        return y
    if pd.api.types.is_bool_dtype(column.dtype):
        return column.to_numpy(dtype=bool)
    numbers = pd.to_numeric(column.astype(str), errors="coerce").to_numpy(dtype=np.float64)
    if np.isnan(numbers).any():
        return np.asarray(column.astype(str).str.strip().to_numpy(), dtype=np.str_)
    return numbers.astype(np.int64) if (numbers == np.round(numbers)).all() and _safe(numbers) else numbers


def distinct(labels: NDArray[Any]) -> NDArray[Any]:
    """Sorted distinct labels ``(K,)``; missing ones do not count.

    Examples
    --------
    >>> distinct(np.array([1, None, 0], dtype=object))
    array([0, 1])
    """
    return np.unique(labels if labels.dtype != object else np.array(labels[~pd.isna(labels)].tolist()))


def check_classes(name: str, y_train: NDArray[Any] | None, y_test: NDArray[Any] | None) -> None:
    """Check that every sample of a data set has a class; see :meth:`kinview.datasets.Dataset.require_classes`."""
    if y_train is None or y_test is None:
        raise ValueError(f"{name} has no labels: name their column (label=, --label); a probe needs classes to predict")
    for part, y in (("training", y_train), ("test", y_test)):
        missing = pd.isna(y)
        if missing.any():
            raise ValueError(
                f"{name} has no label in {int(missing.sum())} of {len(y)} {part} samples, the first is number "
                f"{int(missing.argmax())}; a probe needs them all: fill them in or remove these samples from the "
                f"file (pretrain and embed take them as they are)"
            )
    if "f" in (y_train.dtype.kind, y_test.dtype.kind):
        raise ValueError(f"{name} has numbers with fractions as labels; a probe needs classes to predict")
    classes = len(distinct(np.concatenate([y_train, y_test])))
    counts = np.unique(y_train, return_counts=True)[1]
    if y_train.dtype.kind in "iu" and classes > _MANY_CLASSES and (counts == 1).any():
        warnings.warn(
            f"the labels of {name} look like a regression target (whole numbers, some in one training sample only); "
            f"they are scored as {classes} classes",
            UserWarning,
            stacklevel=3,
        )


def _safe(numbers: NDArray[np.float64]) -> bool:
    return bool(np.abs(numbers).max(initial=0.0) < 2**53)
