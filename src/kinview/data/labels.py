"""Labels and groups of samples: read, checked, and as integer codes."""

from __future__ import annotations

import datetime
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from jaxtyping import Int64, Shaped
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "as_labels",
    "batch_labels",
    "check_classes",
    "check_labels",
    "distinct",
    "encode_classes",
    "encode_labels",
    "encode_target",
    "integer_codes",
    "positions",
]

_MANY_CLASSES = 20  # whole-number labels with more, some of them unique, are rather a regression target
_DATES = (datetime.date, datetime.timedelta, pd.Period, np.datetime64, np.timedelta64)


# --- of a file and of a batch: labels may be missing -----------------------------------------------------------------


def as_labels(values: Any) -> NDArray[Any]:
    """Labels as one array: integers where all are whole numbers (also written as text), floats, booleans or text.

    Missing labels are NaN among floats and None among others; the array then holds objects.

    Raises
    ------
    ValueError
        If a text ends with a NUL character: NumPy's text would drop it, and two labels could become one.

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
        text = column.astype(str).str.strip()
        _check_ends(text, "the label")
        return np.asarray(text.to_numpy(), dtype=np.str_)
    exact = (numbers == np.round(numbers)).all() and bool(np.abs(numbers).max(initial=0.0) < 2**53)
    return numbers.astype(np.int64) if exact else numbers


def distinct(labels: NDArray[Any]) -> NDArray[Any]:
    """Sorted distinct labels ``(K,)``; missing ones do not count.

    Examples
    --------
    >>> distinct(np.array([1, None, 0], dtype=object))
    array([0, 1])
    """
    return np.unique(labels if labels.dtype != object else np.array(labels[~pd.isna(labels)].tolist()))


def batch_labels(y: Any, groups: Any, n: int) -> dict[str, Tensor | None]:
    """Fields ``y`` and ``groups`` of a batch of n rows; None stays None.

    Groups become :func:`integer_codes`. Labels that are numbers stay as they are, missing ones too; others become codes
    of their sorted distinct values.

    Raises
    ------
    ValueError
        If there is not one value a row, or a group, or a label that is not a number, is missing.
    """
    import torch

    codes = {"y": None if y is None else _label_values(y, n)}
    codes["groups"] = None if groups is None else integer_codes(groups, n, "groups")
    return {name: None if values is None else torch.from_numpy(values) for name, values in codes.items()}


def integer_codes(values: Any, n: int, name: str) -> Int64[np.ndarray, " n"]:
    """Distinct values as 0, 1, ... in the order of first appearance.

    Raises
    ------
    ValueError
        If there is not one value a row, or one is missing.
    """
    column = _column(values, n, name)
    _check_complete(column, name)
    return pd.factorize(column)[0].astype(np.int64)


def _label_values(y: Any, n: int) -> NDArray[Any]:
    values = _column(y, n, "y")
    if isinstance(values.dtype, np.dtype) and values.dtype.kind in "biuf":
        return np.array(values, dtype=values.dtype.newbyteorder("="))
    _check_complete(values, "y")
    return pd.factorize(values.astype(str), sort=True)[0].astype(np.int64)


def _column(values: Any, n: int, name: str) -> pd.Series:
    if hasattr(values, "detach"):  # a tensor
        values = values.detach().cpu().numpy()
    extension = isinstance(values, pd.Series | pd.Index | pd.api.extensions.ExtensionArray)
    column = pd.Series(values if extension else np.asarray(values).ravel()).reset_index(drop=True)
    if len(column) != n:
        raise ValueError(f"{name} has {len(column)} entries for {n} rows; give one a row (a series counts as one)")
    return column


# --- of classes: every row has one -----------------------------------------------------------------------------------


def check_labels(y: Any, name: str = "y") -> Shaped[np.ndarray, " n"]:
    """Class labels as a one-dimensional array.

    Raises
    ------
    ValueError
        If there is not one label a row, there are none, one is missing or ends with a NUL character, or they are real
        numbers.
    """
    labels = np.asarray(y)
    if labels.dtype.kind == "U" and not isinstance(y, np.ndarray):
        _check_ends(np.asarray(y, dtype=object).ravel(), name)
    if labels.ndim != 1:
        raise ValueError(f"{name} must hold one label a row, shape (n,); got shape {labels.shape}")
    if len(labels) == 0:
        raise ValueError(f"{name} is empty; give one label a row")
    _check_complete(labels, name)
    if labels.dtype.kind == "f" and not np.array_equal(labels, np.floor(labels)):
        raise ValueError(f"{name} holds real numbers such as {labels[labels != np.floor(labels)][0]}, not class labels")
    return labels


def encode_labels(
    y: Any, classes: Any = None, name: str = "y"
) -> tuple[Int64[np.ndarray, " n"], Shaped[np.ndarray, " classes"]]:
    """Position of each label in ``classes``, and the classes.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels of one type.
    classes : array-like of shape (K,), optional
        All classes, in the order of the codes. Default: the sorted distinct labels.
    name : str
        What error messages call the labels.

    Raises
    ------
    ValueError
        If the labels are not valid (see :func:`check_labels`), cannot be sorted, or are not among ``classes``.

    Examples
    --------
    >>> codes, classes = encode_labels(["ill", "well", "ill"])
    >>> codes.tolist(), classes.tolist()
    ([0, 1, 0], ['ill', 'well'])
    """
    labels = check_labels(y, name)
    if classes is None:
        try:
            known, codes = np.unique(labels, return_inverse=True)
        except TypeError:
            types = ", ".join(sorted({type(label).__name__ for label in labels}))
            raise ValueError(f"{name} mixes labels of several types ({types}); convert them to one type") from None
        return codes.astype(np.int64), known
    known = np.asarray(classes)
    codes = positions(labels, known)
    if (codes < 0).any():
        unknown = sorted({repr(label) for label in labels[codes < 0].tolist()})
        raise ValueError(f"{name} has labels that are not among the classes {known.tolist()}: {', '.join(unknown)}")
    return codes, known


def positions(labels: Shaped[np.ndarray, " n"], classes: Any) -> Int64[np.ndarray, " n"]:
    """Position of each label in ``classes``, -1 where it is not one of them.

    Raises
    ------
    ValueError
        If a class is given twice.
    """
    index = pd.Index(np.asarray(classes))
    if not index.is_unique:
        raise ValueError(f"classes must be distinct; given twice: {index[index.duplicated()].tolist()}")
    return np.asarray(index.get_indexer(pd.Index(labels)), dtype=np.int64)


def encode_classes(y: Any, user: str) -> tuple[Int64[np.ndarray, " n"], Shaped[np.ndarray, " classes"]]:
    """Codes and classes, as :func:`encode_labels`; a single class is refused in the name of the user ("a probe")."""
    codes, classes = encode_labels(y)
    if len(classes) < 2:
        raise ValueError(
            f"all {len(codes)} training labels are {classes[0]!s}: {user} needs more than one class; "
            "use more labels, or less label noise"
        )
    return codes, classes


def encode_target(y: Any) -> tuple[Int64[np.ndarray, " n"], Shaped[np.ndarray, " classes"]]:
    """Codes and classes, as :func:`encode_classes`, for a classifier of scikit-learn: converts what it converts.

    Raises
    ------
    ValueError
        If there are none, one is missing, they are of a single class, or no labels of classes (dates, real numbers).
    """
    from sklearn.utils import check_array, column_or_1d
    from sklearn.utils.multiclass import check_classification_targets

    if y is None:
        raise ValueError("FineTunedClassifier requires y to be passed, but the target y is None; give one label a row")
    labels = column_or_1d(check_array(_of_own_kind(y), ensure_2d=False, dtype=None, ensure_all_finite=False), warn=True)
    _check_complete(labels, "Input y contains NaN: y")
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
    return encode_classes(labels, "a classifier")


def check_classes(name: str, y_train: NDArray[Any] | None, y_test: NDArray[Any] | None) -> None:
    """Check that every sample of a data set has a class; see :meth:`kinview.datasets.Dataset.require_classes`."""
    if y_train is None or y_test is None:
        raise ValueError(f"{name} has no labels: name their column (label=, --label); a probe needs classes to predict")
    remedy = (
        "a probe needs them all: fill them in or remove these samples from the file (pretrain and embed take them as "
        "they are)"
    )
    _check_complete(y_train, f"the label of {name}", "training samples", remedy)
    _check_complete(y_test, f"the label of {name}", "test samples", remedy)
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


def _check_complete(
    values: Any, name: str, rows: str = "rows", remedy: str = "leave these rows out, or fill them in"
) -> None:
    missing = np.asarray(pd.isna(values))
    if missing.any():
        raise ValueError(
            f"{name} is missing for {int(missing.sum())} of {len(missing)} {rows}, the first is number "
            f"{int(missing.argmax())}; {remedy}"
        )


def _check_ends(texts: Any, name: str) -> None:
    for row, text in enumerate(texts):
        if isinstance(text, str) and text.endswith("\0"):
            raise ValueError(
                f"{name} of row {row} ends with a NUL character, {text!r}, which NumPy's text drops: labels that differ"
                " in it alone would become one; remove it"
            )


def _of_own_kind(y: Any) -> Any:
    """Labels of a nullable column of pandas as NumPy's of the same kind; scikit-learn would make them real numbers."""
    own = getattr(getattr(y, "dtype", None), "numpy_dtype", None)
    if own is None or own.kind not in "biuf" or bool(pd.isna(y).any()):
        return y
    return y.to_numpy(dtype=own)
