"""Codes: ids, groups, labels and names of rows, which are text that may look like numbers."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["as_codes", "factorize", "is_int64"]

_CANONICAL = re.compile(r"0|-?[1-9][0-9]{0,18}")  # as str(int) writes it, without a zero in front
_INT64 = np.iinfo(np.int64)
_UTF_8 = ("utf-8", "surrogatepass")  # of any text, and in the order of the texts
_WHOLE = 2.0**53  # from here on not every whole number is a float


def as_codes(values: Any) -> NDArray[Any]:
    """Codes as one array: int64 where text and number are one to one, else text; two that differ stay two.

    Text is one to one with a number where each observed cell is exactly what ``str`` makes of an int64: ``7``, not
    ``07``, ``+7``, ``7.0`` or a barcode of twenty digits. Integers are themselves, and floats that are all whole and
    below 2^53 are those integers, since pandas makes floats of integers with a gap. Nothing is stripped or rounded.

    Parameters
    ----------
    values : array-like of shape (n,)
        Text, numbers, booleans, bytes (UTF-8) or a categorical of them; missing ones are None, NaN, NaT or ``pd.NA``.

    Returns
    -------
    ndarray of shape (n,)
        int64; or objects: of text (``str``), and wherever some are missing, with None for those.

    Raises
    ------
    ValueError
        If the values are not one-dimensional, or bytes are not UTF-8.

    Examples
    --------
    >>> as_codes(["7", "12"]), as_codes(["07", "7"]), as_codes(["7", None])
    (array([ 7, 12]), array(['07', '7'], dtype=object), array([7, None], dtype=object))
    """
    if np.ndim(values) != 1:
        raise ValueError(f"codes must be one-dimensional, one a row; got shape {np.shape(values)}")
    column = pd.Series(values).reset_index(drop=True)
    positions, distinct = factorize(_own_kind(column))  # each distinct value is looked at once
    missing = positions < 0
    if len(distinct) == 0:
        return np.full(len(column), None, dtype=object) if len(column) else np.empty(0, dtype=np.int64)
    codes = _distinct_codes(distinct)
    if not missing.any():
        return np.asarray(codes[positions])
    found = np.full(len(column), None, dtype=object)
    found[~missing] = codes[positions[~missing]]
    return found


def factorize(column: pd.Series, sort: bool = False) -> tuple[NDArray[np.int64], Any]:
    r"""Code of each value, -1 where it is missing, and the distinct values: as ``pandas.factorize``, and always exact.

    In a column of objects pandas compares texts only up to a NUL character; here "a\0b" and "a\0c" are two.

    Returns
    -------
    codes : ndarray of shape (n,)
        int64, in the order of first appearance, or of the sorted values with ``sort``.
    distinct : array-like of shape (k,)
        Of the kind of the column.

    Raises
    ------
    TypeError
        If a value cannot be hashed.

    Examples
    --------
    >>> factorize(pd.Series(["a\0b", "a\0c", None, "a\0b"], dtype=object))[0]
    array([ 0,  1, -1,  0])
    """
    texts = column.dtype == object and pd.api.types.infer_dtype(column, skipna=True) == "string"
    if not texts or not column.str.contains("\0", regex=False, na=False).any():
        codes, distinct = pd.factorize(column, sort=sort)
        return codes.astype(np.int64), distinct
    codes, encoded = pd.factorize(column.map(lambda text: text.encode(*_UTF_8), na_action="ignore"), sort=sort)
    return codes.astype(np.int64), np.array([text.decode(*_UTF_8) for text in encoded], dtype=object)


def _own_kind(column: pd.Series) -> pd.Series:
    """Objects as text, so that what is equal in Python (1 and True) is told apart; numbers in native byte order."""
    if column.dtype == object:
        return column.map(_text, na_action="ignore")
    if isinstance(column.dtype, np.dtype) and not column.dtype.isnative:
        return pd.Series(column.to_numpy(dtype=column.dtype.newbyteorder("=")))
    return column


def _distinct_codes(distinct: Any) -> NDArray[Any]:
    values = pd.Series(distinct)
    kind = values.dtype.kind
    if pd.api.types.is_integer_dtype(values.dtype) and int(values.max()) <= _INT64.max:
        return np.asarray(values.to_numpy(dtype=np.int64))
    if kind == "f" and bool((values == values.round()).all()) and float(values.abs().max()) < _WHOLE:
        return np.asarray(values.to_numpy(dtype=np.int64))
    texts = [_text(value) for value in values.tolist()]
    if not pd.api.types.is_bool_dtype(values.dtype) and all(map(is_int64, texts)):
        return np.array([int(text) for text in texts], dtype=np.int64)
    found = np.empty(len(texts), dtype=object)
    found[:] = texts
    return found


def is_int64(text: str) -> bool:
    """Whether a text is what ``str`` makes of an int64, so that it and the number are one to one."""
    return _CANONICAL.fullmatch(text) is not None and _INT64.min <= int(text) <= _INT64.max


def _text(value: Any) -> str:
    if not isinstance(value, bytes):
        return str(value)
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"{value!r} is not UTF-8 text; decode ids, groups and labels first") from None
