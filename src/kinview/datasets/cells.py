"""Cells of text tables: which are numbers, which are nearly numbers, and what type a column has."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from kinview.data.codes import as_codes
from kinview.datasets.text import MISSING

__all__ = [
    "EXACT",
    "ISO_DATE",
    "cell_kind",
    "code_column",
    "is_text",
    "number_column",
    "refuse_nearly_numbers",
    "refuse_rounded",
    "remedy_for",
    "settle",
]

Kind = Literal["missing", "number", "boolean", "date", "nearly", "text"]

EXACT = 2**53  # beyond it a float does not hold every whole number
_INT64 = 2**63
_FEW = 0.1  # fraction of the observed cells up to which text among numbers counts as a few cells

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?inf(?:inity)?", re.ASCII | re.IGNORECASE)
_BOOLEAN = ("True", "TRUE", "true", "False", "FALSE", "false")
ISO_DATE = re.compile(
    r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?:Z|[+-]\d{2}(?::?\d{2})?)?)?", re.ASCII
)
# a number with a comma or grouped thousands, a percent sign, a currency, a limit of detection; or a sign of no value
_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?", re.ASCII)
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:[ ,.'\u00a0\u202f]\d{3})+(?:[.,]\d+)?", re.ASCII)
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
    plain = [_plain(str(cell), decimal, thousands) for cell in distinct]
    if any(cell is None for cell in plain):
        return column
    whole = all(re.fullmatch(r"[+-]?\d+", str(cell)) for cell in plain)
    if whole and any(abs(int(str(cell))) >= _INT64 for cell in plain):
        return column
    if whole and (codes >= 0).all():
        return pd.Series(np.array([int(str(cell)) for cell in plain], dtype=np.int64)[codes], index=column.index)
    if whole and any(abs(int(str(cell))) > EXACT for cell in plain):
        return column
    values = np.array([float(str(cell)) for cell in plain] + [np.nan])  # exact, as Python reads them
    return pd.Series(values[codes], index=column.index)


def settle(column: pd.Series, missing: Sequence[str], decimal: str = ".", thousands: str | None = None) -> pd.Series:
    """A column that pandas left as objects with the type that its observed cells have, blanks around them removed.

    Booleans with a gap are of pandas' nullable type; whole numbers beyond 64 bits are text.
    """
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
    elif decimal == "." and thousands is None:
        return column  # pandas has tried these
    if len(observed := column.dropna()) and observed.isin(_BOOLEAN).all():
        return column.str.lower().map({"true": True, "false": False}).astype("boolean" if column.isna().any() else bool)
    return number_column(column, decimal, thousands)


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


def remedy_for(cell: str) -> str:
    """What to do about a cell that is no number where one should be.

    Examples
    --------
    >>> remedy_for("<0.1")
    "write it as a plain number, name it as missing (na_values='<0.1')"
    """
    return _hint(cell)


def refuse_nearly_numbers(
    frame: pd.DataFrame, source: str, remedy: str = "drop=", *, decimal: str = ".", thousands: str | None = None
) -> None:
    """Refuse a text column that is numeric but for a few cells; the message has the first of them and the remedy.

    A column of text is numeric but for a few cells where it has numbers, and either all its other cells are nearly
    numbers (``98%``, ``1,234``, ``<5``, ``-``, ``n.a.``), or at most one in ten observed cells is neither. Where no
    cell is a plain number, those with a comma, grouped thousands or a percent sign count as numbers.

    Raises
    ------
    ValueError
        That names the column, the cell and its row.
    """
    for name in frame.columns:
        column = frame[name]
        if isinstance(column.dtype, pd.CategoricalDtype) or not is_text(column):
            continue
        found = _first_odd(column, decimal, thousands)
        if found is not None:
            row, cell, example = found
            but = f"numeric but for {cell!r} in row {row}" if example else f"{cell!r} in row {row}, nearly a number"
            raise ValueError(
                f"{source}: column {str(name)!r} is {but}; {_hint(cell)} or leave the column out ({remedy})"
            )


def refuse_rounded(frame: pd.DataFrame, source: str, remedy: str = "index= or drop=") -> None:
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
                f"{source}: column {str(name)!r} is {column.iloc[row]} in row {row}, a whole number beyond 2^53, which "
                f"would be rounded: rather an id than a feature; leave it out ({remedy})"
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
    return any(pattern.fullmatch(cell) for pattern in (_COMMA, _GROUPED, _SIGNED, _NO_VALUE))


def _first_odd(column: pd.Series, decimal: str, thousands: str | None) -> tuple[int, str, bool] | None:
    """Row and text of the first cell that keeps a column from being numeric, and whether others are plain numbers."""
    codes, distinct = pd.factorize(column)
    sampled = np.linspace(0, len(distinct) - 1, min(len(distinct), 10_000), dtype=np.int64)
    kinds = [cell_kind(str(distinct[i]), decimal=decimal, thousands=thousands) for i in sampled]
    if len(distinct) == 0 or ("text" in kinds and kinds.count("text") > 0.5 * len(kinds)):
        return None  # many texts: no need to look at each
    if len(sampled) < len(distinct):
        kinds = [cell_kind(str(cell), decimal=decimal, thousands=thousands) for cell in distinct]
    counts = np.bincount(codes[codes >= 0], minlength=len(distinct))
    tally = {kind: int(counts[[k == kind for k in kinds]].sum()) for kind in ("number", "nearly", "text")}
    odd = np.array([kind not in ("number", "missing") for kind in kinds])
    if not odd.any() or any(kind in ("boolean", "date") for kind in kinds):
        return None
    plain = tally["number"]
    if plain == 0:
        if tally["text"] or not any(_is_written_number(str(cell)) for cell in distinct):
            return None
        odd = np.array([_is_written_number(str(cell)) for cell in distinct])
    elif tally["text"] > _FEW * sum(tally.values()):
        return None
    row = int(np.asarray((codes >= 0) & odd[np.maximum(codes, 0)]).argmax())
    return row, str(distinct[codes[row]]), plain > 0


def _is_written_number(cell: str) -> bool:
    cell = cell.strip()
    return bool(_COMMA.fullmatch(cell) or _GROUPED.fullmatch(cell) or re.fullmatch(r"[+-]?[\d.,]*\d\s*%", cell))


def _hint(cell: str) -> str:
    """What to do about such a cell."""
    cell = cell.strip()
    readings = []
    if _COMMA.fullmatch(cell):
        readings.append("decimal=','")
    if match := _GROUPED.fullmatch(cell):
        sign = re.search(r"\d([^\d+-])", match.group())
        readings.append(f"thousands={sign.group(1)!r}" if sign else "thousands=")
    if readings:
        return f"say how it is written ({' or '.join(readings)})"
    if any(sign.isdigit() for sign in cell):
        return f"write it as a plain number, name it as missing (na_values={cell!r})"
    return f"name it as missing (na_values={cell!r})"
