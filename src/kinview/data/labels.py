"""Labels and groups of samples: read, checked, and as integer codes."""

from __future__ import annotations

import datetime
import re
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from jaxtyping import Int64, Shaped
from numpy.typing import NDArray

from kinview.data.codes import factorize, is_int64

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "as_labels",
    "batch_labels",
    "check_classes",
    "check_labels",
    "check_shared",
    "common_labels",
    "distinct",
    "encode_classes",
    "encode_labels",
    "encode_partial_target",
    "encode_target",
    "integer_codes",
    "positions",
]

_MANY_CLASSES = 20  # whole-number labels with more, some of them unique, are rather a regression target
_DATES = (datetime.date, datetime.timedelta, pd.Period, np.datetime64, np.timedelta64)
_NUMBERS = {"integer", "floating", "mixed-integer-float", "boolean", "decimal"}  # of pandas' infer_dtype
_DIGITS = re.compile(r"[+-]?[0-9]+")
_PADDED = re.compile(r"[+-]?0[0-9].*")
_AS_CLASSES = "if they are classes, such as grades in half points, give them as text"


# --- of a file and of a batch: labels may be missing -----------------------------------------------------------------


def as_labels(values: Any) -> NDArray[Any]:
    """Labels as one array: integers where all are whole numbers (also written as text), floats, booleans or text.

    A whole number written as text is one where text and number are one to one: ``7``, not ``07`` (nor ``+7``, nor one
    beyond int64). Where one label has a zero in front, all are text. Bytes are text in UTF-8. Missing labels are NaN
    among floats and None among others; the array then holds objects.

    Raises
    ------
    ValueError
        If a text ends with a NUL character: NumPy's text would drop it, and two labels could become one. If bytes are
        not UTF-8.

    Examples
    --------
    >>> as_labels(["1", "0", None]), as_labels([0.5, None])
    (array([1, 0, None], dtype=object), array([0.5, nan]))
    >>> as_labels(["07", "7"]).tolist(), as_labels(["1.0", "2.0"]).tolist()
    (['07', '7'], [1, 2])
    """
    column = pd.Series(_native(values)).reset_index(drop=True)
    missing = column.isna().to_numpy()
    if missing.any():
        observed = as_labels(column[~missing])
        is_float = observed.dtype.kind == "f"
        y = np.full(len(column), np.nan if is_float else None, dtype=np.float64 if is_float else object)
        y[~missing] = observed.tolist()
        return y
    if pd.api.types.is_bool_dtype(column.dtype) or pd.api.types.infer_dtype(column) == "boolean":
        return column.to_numpy(dtype=bool)
    if column.dtype == object:
        column = column.map(_decoded)
    text = column.astype(str).str.strip()
    if text.map(_DIGITS.fullmatch).notna().all():
        return text.astype(np.int64).to_numpy() if all(map(is_int64, text)) else _texts(text)
    numbers = pd.to_numeric(text, errors="coerce").to_numpy(dtype=np.float64)
    if np.isnan(numbers).any() or text.map(_PADDED.fullmatch).notna().any():
        return _texts(text)
    exact = (numbers == np.round(numbers)).all() and bool(np.abs(numbers).max(initial=0.0) < 2**53)
    return numbers.astype(np.int64) if exact else numbers


def common_labels(*parts: NDArray[Any] | None) -> tuple[NDArray[Any] | None, ...]:
    """Labels of the parts of one data set, all of one type; parts that agree, and None, are returned as they are.

    Whole numbers and fractions become floats, numbers and text become text, and booleans beside 0 and 1 become these.

    Examples
    --------
    >>> train, test = common_labels(np.array([7, 12]), np.array(["07", "12"]))
    >>> train.tolist(), test.tolist()
    (['7', '12'], ['07', '12'])
    """
    given = [part for part in parts if part is not None]
    observed = [part[~np.asarray(pd.isna(part))] for part in given]
    kinds = {_kind(values) for values in observed if len(values)}
    if len(kinds) < 2:
        return parts
    values = [value for part in given for value in part.tolist()]
    if kinds == {"b", "i"} and all(value in (0, 1) for value in values if not pd.isna(value)):
        values = [value if pd.isna(value) else int(value) for value in values]
    labels = as_labels(pd.Series(values, dtype=object))
    ends = np.cumsum([len(part) for part in given])
    pieces = iter(np.split(labels, ends[:-1]))
    return tuple(None if part is None else next(pieces) for part in parts)


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
    return factorize(column)[0]


def _label_values(y: Any, n: int) -> NDArray[Any]:
    values = _column(y, n, "y")
    if isinstance(values.dtype, np.dtype) and values.dtype.kind in "biuf":
        return np.array(values)
    if pd.api.types.infer_dtype(values, skipna=True) in _NUMBERS:  # in a nullable column or as objects
        return values.to_numpy(dtype=np.float64, na_value=np.nan) if values.isna().any() else np.array(values.tolist())
    _check_complete(values, "y")
    return factorize(values.astype(str), sort=True)[0]


def _column(values: Any, n: int, name: str) -> pd.Series:
    if hasattr(values, "detach"):  # a tensor
        values = values.detach().cpu().numpy()
    extension = isinstance(values, pd.Series | pd.Index | pd.api.extensions.ExtensionArray)
    column = pd.Series(_native(values if extension else np.asarray(values).ravel())).reset_index(drop=True)
    if len(column) != n:
        raise ValueError(
            f"{name} has {len(column)} entries for {n} rows; give one a row (a series counts as one: where "
            f"scikit-learn cuts a long frame, kinview.data.to_nested makes a row of each)"
        )
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
        raise ValueError(
            f"{name} holds real numbers such as {labels[labels != np.floor(labels)][0]}, not class labels; "
            f"{_AS_CLASSES}: {name}.astype(str)"
        )
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

    Labels are compared as values, whatever array holds them: text in any container and bytes (UTF-8) alike, numbers of
    any size and byte order alike, False and True as 0 and 1. Text is no number.

    Raises
    ------
    ValueError
        If a class is given twice.
    """
    index = pd.Index(_comparable(np.asarray(classes)), dtype=object)
    if not index.is_unique:
        raise ValueError(f"classes must be distinct; given twice: {index[index.duplicated()].tolist()}")
    return np.asarray(index.get_indexer(pd.Index(_comparable(labels), dtype=object)), dtype=np.int64)


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
    try:
        check_classification_targets(labels)
    except ValueError as error:
        raise ValueError(f"{error} In y: {_AS_CLASSES}, y.astype(str)") from None
    return encode_classes(labels, "a classifier")


def encode_partial_target(y: Any) -> tuple[Int64[np.ndarray, " n"], Shaped[np.ndarray, " classes"]]:
    """Codes and classes, as :func:`encode_target`, where labels may be missing: their code is -1.

    Raises
    ------
    ValueError
        As there, if every label is missing, and if y is a single label.

    Examples
    --------
    >>> codes, classes = encode_partial_target(["ill", None, "well"])
    >>> codes.tolist(), classes.tolist()
    ([0, -1, 1], ['ill', 'well'])
    """
    if y is None:
        return encode_target(y)
    if hasattr(y, "detach"):  # a tensor
        y = y.detach().cpu().numpy()
    values = y.to_numpy(dtype=object) if isinstance(y, pd.Series | pd.Index) else np.asarray(y, dtype=object)
    if values.ndim == 0:
        raise ValueError(f"y must have one label a sample, some of them missing; got {y!r}")
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    missing = np.asarray(pd.isna(values))
    if values.ndim != 1 or not missing.any():
        return encode_target(y)
    if missing.all():
        raise ValueError(f"all {len(values)} labels are missing; give y for two samples of different classes or more")
    codes = np.full(len(values), -1, dtype=np.int64)
    codes[~missing], classes = encode_target(values[~missing].tolist())
    return codes, classes


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
        raise ValueError(
            f"{name} has numbers with fractions as labels; a probe needs classes to predict: {_AS_CLASSES} "
            f"(as_classes() of the data set, load(..., as_classes=True), --as_classes true); if they are numbers to "
            f"predict, ask for a regression (as_regression(), load(..., task='regression'), --task regression)"
        )
    check_shared(y_train, y_test, f"the training labels of {name}", "the test labels")
    classes = len(distinct(np.concatenate([y_train, y_test])))
    counts = np.unique(y_train, return_counts=True)[1]
    if y_train.dtype.kind in "iu" and classes > _MANY_CLASSES and (counts == 1).any():
        warnings.warn(
            f"the labels of {name} look like a regression target (whole numbers, some in one training sample only); "
            f"they are scored as {classes} classes",
            UserWarning,
            stacklevel=3,
        )


def check_shared(known: Any, labels: Any, known_name: str, name: str) -> None:
    """Check that at least one of the labels is among the known ones: else all of them would count as wrong.

    Raises
    ------
    ValueError
        If they share none; the message shows both.
    """
    ours, theirs = (np.asarray(distinct(np.asarray(values))) for values in (known, labels))
    if len(theirs) and (positions(theirs, ours) < 0).all():
        raise ValueError(
            f"{known_name} and {name} have no class in common: {_some(ours)} against {_some(theirs)}; give both the "
            f"same labels, of one type"
        )


def _some(labels: NDArray[Any]) -> str:
    shown = ", ".join(map(repr, labels.tolist()[:5]))
    return shown if len(labels) <= 5 else f"{shown}, ... ({len(labels)} in all)"


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


def _native(values: Any) -> Any:
    """Numbers in the byte order of this machine, which pandas asks for; all else as it is."""
    dtype = getattr(values, "dtype", None)
    if not isinstance(dtype, np.dtype) or dtype.isnative:
        return values
    return np.asarray(values).astype(dtype.newbyteorder("="))


def _decoded(value: Any) -> Any:
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"the label {value!r} is not UTF-8 text; decode the labels first") from None


def _texts(text: pd.Series) -> NDArray[np.str_]:
    _check_ends(text, "the label")
    return np.asarray(text.to_numpy(), dtype=np.str_)


def _kind(labels: NDArray[Any]) -> str:
    """Kind of observed labels: b for booleans, i for integers, f for floats, U for text, S for bytes, O for others."""
    kind = labels.dtype.kind if labels.dtype != object else np.array(labels.tolist()).dtype.kind
    return {"u": "i"}.get(kind, kind)


def _comparable(labels: NDArray[Any]) -> list[Any]:
    """Labels as Python's own values, of which equal ones are the same label."""
    if labels.dtype.kind in "Mm":
        return list(pd.Series(_native(labels)))
    return [
        value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value for value in labels.tolist()
    ]
