"""Cells of text tables: which are numbers, which are nearly numbers, and what type a column has."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from kinview.data.codes import as_codes
from kinview.datasets.rows import Rows
from kinview.datasets.text import MISSING

__all__ = [
    "COMMA",
    "EXACT",
    "GROUPED",
    "ISO_DATE",
    "category_column",
    "cell_kind",
    "code_column",
    "is_text",
    "number_column",
    "refuse_infinite",
    "refuse_nul",
    "refuse_rounded",
    "settle",
]

Kind = Literal["missing", "number", "boolean", "date", "nearly", "text"]

EXACT = 2**53  # beyond it a float does not hold every whole number
_INT64 = 2**63
_NOWHERE = Rows()

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?inf(?:inity)?", re.ASCII | re.IGNORECASE)
_BOOLEAN = ("True", "TRUE", "true", "False", "FALSE", "false")
ISO_DATE = re.compile(
    r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?:Z|[+-]\d{2}(?::?\d{2})?)?)?", re.ASCII
)
# a number with a comma or grouped thousands, a percent sign, a currency, a limit of detection; or a sign of no value
COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?", re.ASCII)
GROUPED = re.compile(r"[+-]?\d{1,3}(?:[ ,.'\u00a0\u202f]\d{3})+(?:[.,]\d+)?", re.ASCII)
_SIGNED = re.compile(r"[<>=~≤≥$€£]*\s*[+-]?[\d.,]*\d[\d.,]*\s*%?", re.ASCII)
_NO_VALUE = re.compile(
    r"[^\w]+|n\.?\s*[ad]\.?|n/d|none|nil|missing|unknown|not (?:done|available|measured|known)|#\w+[/!?\w]*",
    re.IGNORECASE,
)


def cell_kind(cell: str, missing: Sequence[str] = MISSING, *, decimal: str = ".", thousands: str | None = None) -> Kind:
    """What a cell of text is; ``"nearly"`` is a number with something more, or a sign that there is none.

    Examples
    --------
    >>> [cell_kind(cell) for cell in ("1e-3", "NA", "2024-05-31", "98%", "1,5", "-", "age")]
    ['number', 'missing', 'date', 'nearly', 'nearly', 'nearly', 'text']
    """
    cell = cell.strip()
    if cell in missing:
        return "missing"
    if cell in _BOOLEAN:
        return "boolean"
    if _plain(cell, decimal, thousands) is not None:
        return "number"
    if ISO_DATE.fullmatch(cell):
        return "date"
    return "nearly" if _is_nearly(cell) else "text"


def is_text(column: pd.Series) -> bool:
    """Whether a column holds text, before pandas 3 and after."""
    return bool(column.dtype.kind == "O" and pd.api.types.infer_dtype(column, skipna=True) == "string")


def number_column(column: pd.Series, decimal: str, thousands: str | None) -> pd.Series:
    """Text as numbers, written with this decimal sign and these thousands; unchanged unless all cells are numbers.

    Whole numbers that float64 would round stay text.

    Examples
    --------
    >>> number_column(pd.Series(["1.234,5", None, "-7"]), ",", ".").tolist()
    [1234.5, nan, -7.0]
    """
    observed = column.dropna()
    if len(observed) == 0:
        return column.astype(np.float64)
    codes, distinct = pd.factorize(column)
    plain: list[str] = []
    for cell in distinct:
        number = _plain(str(cell), decimal, thousands)
        if number is None:
            return column
        plain.append(number)
    whole = all(re.fullmatch(r"[+-]?\d+", cell) for cell in plain)
    if whole and any(abs(int(cell)) >= _INT64 for cell in plain):
        return column
    if whole and (codes >= 0).all():
        return pd.Series(np.array([int(cell) for cell in plain], dtype=np.int64)[codes], index=column.index)
    if whole and any(abs(int(cell)) > EXACT for cell in plain):
        return column
    values = np.array([float(cell) for cell in plain] + [np.nan])  # exact, as Python reads them
    return pd.Series(values[codes], index=column.index)


def settle(column: pd.Series, missing: Sequence[str], decimal: str = ".", thousands: str | None = None) -> pd.Series:
    """A column that pandas left as objects with the type that its observed cells have, blanks around them removed.

    Booleans with a gap are of pandas' nullable type; whole numbers beyond 64 bits are text. A number in ``missing``
    stands for every number of that value, a text for the cells that are written so.

    Examples
    --------
    >>> settle(pd.Series(["-9,0", "-9", "3,5"]), ["-9"], decimal=",").tolist()
    [nan, nan, 3.5]
    """
    return _without(_settled(column, missing, decimal, thousands), missing, decimal, thousands)


def _settled(column: pd.Series, missing: Sequence[str], decimal: str, thousands: str | None) -> pd.Series:
    if column.dtype.kind not in "Ou":
        return column
    kind = pd.api.types.infer_dtype(column, skipna=True)
    if kind == "boolean":
        return column.astype("boolean")
    if column.dtype.kind == "u" or kind in ("integer", "mixed-integer"):  # beyond int64
        return column.map(str, na_action="ignore").astype(object)
    if kind == "empty":
        return column
    codes, distinct = pd.factorize(column)
    stripped = [str(cell).strip() for cell in distinct]
    blank = [cell != text for cell, text in zip(distinct, stripped)]
    if any(blank):
        cells = np.array([None if cell in missing else cell for cell in stripped] + [None], dtype=object)
        column = pd.Series(cells[codes], index=column.index, dtype=column.dtype)
    elif decimal == "." and thousands is None and _plain(stripped[0], decimal, thousands) is None:
        return column  # pandas has tried these; before 3.0 it leaves numbers as text where one is beyond 1.8e308
    if len(observed := column.dropna()) and observed.isin(_BOOLEAN).all():
        return column.str.lower().map({"true": True, "false": False}).astype("boolean" if column.isna().any() else bool)
    return number_column(column, decimal, thousands)


def _without(column: pd.Series, missing: Sequence[str], decimal: str, thousands: str | None) -> pd.Series:
    """A column of numbers without those that ``missing`` names, as the file writes numbers or as Python does."""
    if column.dtype.kind not in "if" or not isinstance(column.dtype, np.dtype):
        return column
    plain = [_plain(cell, decimal, thousands) or _plain(cell, ".", None) for cell in missing]
    signs = [int(cell) if re.fullmatch(r"[+-]?\d+", cell) else float(cell) for cell in plain if cell is not None]
    named = column.isin(signs)
    if not named.any():
        return column
    if column.dtype.kind == "i" and int(column.abs().max()) > EXACT:
        return column.map(str).astype(object).mask(named, None)
    return column.astype(np.float64).mask(named)


def code_column(column: pd.Series, missing: Sequence[str] = MISSING) -> pd.Series:
    """Ids, groups or names of a text file as :func:`as_codes` has them, blanks around them removed.

    Examples
    --------
    >>> code_column(pd.Series(["7", "12 ", "NA"], dtype="category")).tolist()
    [7, 12, None]
    """
    if not isinstance(column.dtype, pd.CategoricalDtype):  # a typed file, whose own types are exact
        gapped = pd.api.types.is_integer_dtype(column.dtype) and not isinstance(column.dtype, np.dtype)
        exact = gapped or pd.api.types.infer_dtype(column, skipna=True) == "decimal"
        return pd.Series(as_codes(column), index=column.index, name=column.name) if exact else column
    texts = [str(text).strip() for text in column.cat.categories]
    distinct = as_codes(np.array([None if text in missing else text for text in texts] + [None], dtype=object))
    codes = column.cat.codes.to_numpy()
    values = pd.Series(distinct[codes], index=column.index, name=column.name)
    if values.isna().any() or not isinstance(distinct[0], str):
        whole = not values.isna().any()
        return values.astype(np.int64) if whole and len(values) and not isinstance(values.iloc[0], str) else values
    return values.astype(column.cat.categories.dtype)


def category_column(column: pd.Series) -> pd.Series:
    """A column as a category, whatever its cells hold: text as it is written, blanks around it removed.

    Examples
    --------
    >>> category_column(pd.Series(["07", "7 ", None, "E8"], dtype="category")).tolist()
    ['07', '7', nan, 'E8']
    """
    return code_column(column).map(str, na_action="ignore").astype("category")


def refuse_nul(frame: pd.DataFrame, source: str) -> None:
    """Refuse text with a NUL character, at which pandas ends a text among objects: two could become one."""
    for place, name in enumerate(frame.columns):
        cells = frame.iloc[:, place]
        texts = pd.Series(cells.cat.categories) if isinstance(cells.dtype, pd.CategoricalDtype) else cells
        if is_text(texts) and (found := texts.str.contains("\0", regex=False, na=False)).any():
            raise ValueError(
                f"{source}, column {str(name)!r} holds NUL characters, the first in {texts[found].iloc[0][:80]!r}: "
                f"texts may be cut short there; remove them, .str.replace('\\0', '', regex=False)"
            )


def refuse_infinite(frame: pd.DataFrame, source: str, rows: Rows = _NOWHERE) -> None:
    """Refuse features that are infinite, as tables and panels do, here by the line.

    Raises
    ------
    ValueError
        That names the column and the row.
    """
    for name, column in frame.items():
        if column.dtype.kind != "f":
            continue
        own = isinstance(column.dtype, np.dtype)
        infinite = np.isinf(column.to_numpy() if own else column.to_numpy(dtype=np.float64, na_value=np.nan))
        if infinite.any():
            raise ValueError(
                f"{source}: column {str(name)!r} is infinite in {rows.name(int(infinite.argmax()))} (written so, or a "
                f"number beyond 1.8e308); name the cell as missing (na_values=) or correct it"
            )


def refuse_rounded(frame: pd.DataFrame, source: str, remedy: str = "index= or drop=", rows: Rows = _NOWHERE) -> None:
    """Refuse whole numbers that a float does not hold, so that two would become one: they are ids, not measurements.

    In text files, whole numbers beyond 64 bits are columns of text (see :func:`settle`).

    Raises
    ------
    ValueError
        That names the column, the cell and its row.
    """
    for name in frame.columns:
        column = frame[name]
        if column.dtype.kind in "iu":
            large = (column > EXACT) | (column < -EXACT)
        elif is_text(column):
            large = column.str.fullmatch(r"[+-]?\d{16,}", na=False).astype(bool)
            if not large.any() or not column.dropna().str.fullmatch(r"[+-]?\d+").all():
                continue
        else:
            continue
        if large.any():
            row = int(np.asarray(large).argmax())
            raise ValueError(
                f"{source}: column {str(name)!r} is {column.iloc[row]} in {rows.name(row)}, a whole number beyond "
                f"2^53, which would be rounded: rather an id than a feature; leave it out ({remedy})"
            )


def _plain(cell: str, decimal: str, thousands: str | None) -> str | None:
    """The number as Python writes it, None where the cell is no number."""
    cell = cell.strip()
    if thousands is not None and thousands in cell:
        whole, sign, rest = cell.partition(decimal)
        if re.fullmatch(rf"[+-]?\d{{1,3}}(?:{re.escape(thousands)}\d{{3}})+", whole, re.ASCII) is None:
            return None
        cell = whole.replace(thousands, "") + sign + rest
    if decimal != ".":
        if "." in cell:
            return None
        cell = cell.replace(decimal, ".", 1)
    return cell if _NUMBER.fullmatch(cell) else None


def _is_nearly(cell: str) -> bool:
    return any(pattern.fullmatch(cell) for pattern in (COMMA, GROUPED, _SIGNED, _NO_VALUE))
