"""Cells of text tables: which are numbers, which are nearly numbers, and what type a column has."""

from __future__ import annotations

import dataclasses
import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kinview.data.codes import as_codes
from kinview.datasets.rows import Rows, is_footer
from kinview.datasets.text import MISSING
from kinview.datasets.written import MANY, is_many, is_written_date, uniform_unit, written_number

__all__ = [
    "EXACT",
    "ISO_DATE",
    "cell_kind",
    "code_column",
    "is_text",
    "number_column",
    "refuse_infinite",
    "refuse_nearly_numbers",
    "refuse_rounded",
    "remedy_for",
    "settle",
]

Kind = Literal["missing", "number", "boolean", "date", "nearly", "text"]

EXACT = 2**53  # beyond it a float does not hold every whole number
_INT64 = 2**63
_NOWHERE = Rows()
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
    frame: pd.DataFrame,
    source: str,
    remedy: str = "drop=",
    *,
    decimal: str = ".",
    thousands: str | None = None,
    rows: Rows = _NOWHERE,
) -> None:
    """Refuse a text column that is numeric but for a few cells; the message has the first of them and the remedy.

    A column of text is numeric but for a few cells where it has numbers, and either all its other cells are nearly
    numbers (``98%``, ``1,234``, ``<5``, ``-``, ``n.a.``, ``5.1 mmol/l``), or at most one in ten observed cells is
    neither. Where no cell is a plain number, those with a comma, grouped thousands or a percent sign count as numbers;
    so do those with a unit, a currency, a sign behind and the like (see :func:`written_number`), where they are many.

    Raises
    ------
    ValueError
        That names the column, the cell and its row.

    Warns
    -----
    UserWarning
        If a column has few distinct cells, all with a unit, a currency, a sign behind and the like.
    """
    for name in frame.columns:
        column = frame[name]
        if isinstance(column.dtype, pd.CategoricalDtype) or not is_text(column):
            continue
        found = _first_odd(column, decimal, thousands)
        if found is None:
            continue
        place = f"{found.cell!r} in {rows.name(found.row)}"
        if found.levels:
            warnings.warn(
                f"{source}: column {str(name)!r} holds numbers with something more, such as {place}, and is a category "
                f"now (distinct cells: {found.levels}); write plain numbers if it is a measurement",
                UserWarning,
                stacklevel=4,
            )
            continue
        but = f"numeric but for {place}" if found.others else f"{place}, nearly a number"
        footer = "remove the line if it is a total or a note; " if found.row == len(column) - 1 and found.text else ""
        raise ValueError(
            f"{source}: column {str(name)!r} is {but}; {footer}{_hint(found.cell)} or leave the column out ({remedy})"
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
    return any(pattern.fullmatch(cell) for pattern in (_COMMA, _GROUPED, _SIGNED, _NO_VALUE))


@dataclasses.dataclass(frozen=True)
class _Odd:
    """A cell that keeps a column from being numeric."""

    row: int
    cell: str
    others: bool  # whether other cells are plain numbers
    text: bool  # whether the cell is no number at all
    levels: int = 0  # of a category that is only warned about


def _first_odd(column: pd.Series, decimal: str, thousands: str | None) -> _Odd | None:
    """The first cell that keeps a column from being numeric; None where it is no column of numbers."""
    codes, distinct = pd.factorize(column)
    sampled = np.linspace(0, len(distinct) - 1, min(len(distinct), 10_000), dtype=np.int64)
    kinds = [_kind(str(distinct[i]), decimal, thousands) for i in sampled]
    if len(distinct) == 0 or ("text" in kinds and kinds.count("text") > 0.5 * len(kinds)):
        return None  # many texts: no need to look at each
    if len(sampled) < len(distinct):
        kinds = [_kind(str(cell), decimal, thousands) for cell in distinct]
    counts = np.bincount(codes[codes >= 0], minlength=len(distinct))
    tally = {kind: int(counts[[k == kind for k in kinds]].sum()) for kind in ("number", "nearly", "written", "text")}
    if all(kind in ("number", "missing") for kind in kinds) or any(kind in ("boolean", "date") for kind in kinds):
        return None

    def first(odd: list[bool], levels: int = 0) -> _Odd:
        row = int(np.asarray((codes >= 0) & np.array(odd)[np.maximum(codes, 0)]).argmax())
        return _Odd(row, str(distinct[codes[row]]), tally["number"] > 0, kinds[codes[row]] == "text", levels)

    if tally["number"]:
        doubtful = tally["text"] + sum(
            int(n) for n, k, c in zip(counts, kinds, distinct) if k == "written" and not _sure(c)
        )
        footer = doubtful == 1 and is_footer(str(column.iloc[-1]))
        few = doubtful <= _FEW * sum(tally.values()) or footer
        return first([kind not in ("number", "missing") for kind in kinds]) if few else None
    grouped = [_is_written_number(str(cell)) for cell in distinct]
    if any(grouped) and tally["text"] + tally["written"] == 0:
        return first(grouped)
    return _first_written(distinct, kinds, counts, grouped, first)


def _first_written(
    distinct: Any,
    kinds: list[str],
    counts: NDArray[np.int64],
    grouped: list[bool],
    first: Callable[..., _Odd],
) -> _Odd | None:
    """The first cell with a unit or the like, where nearly all cells are numbers with something more."""
    written = [kind == "written" or is_grouped for kind, is_grouped in zip(kinds, grouped)]
    number, observed = int(counts[written].sum()), int(counts.sum())
    forms = [written_number(str(cell)) for cell, kind in zip(distinct, kinds) if kind == "written"]
    if not forms or number < (1 - _FEW) * observed or not uniform_unit(forms):
        return None
    sure = all(form is not None and form[0] not in ("suffix", "pair") for form in forms)
    levels = sum(written)
    if levels > MANY or (sure and is_many(levels, number)):
        return first(written)
    return first(written, levels) if sure else None


def _kind(cell: str, decimal: str, thousands: str | None) -> str:
    """As :func:`cell_kind`, with a number with a unit, a currency, a sign behind and the like as ``"written"``."""
    kind = cell_kind(cell, decimal=decimal, thousands=thousands)
    if kind == "text" or (kind == "nearly" and not _is_written_number(cell)):
        return "written" if written_number(cell) is not None and not is_written_date(cell) else kind
    return kind


def _sure(cell: Any) -> bool:
    """Whether such a cell among numbers is one itself; a category 2a or 1/2 among 1, 2, 3 may be none."""
    form = written_number(str(cell))
    return form is not None and form[0] not in ("suffix", "pair")


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
    if any(sign.isdigit() or sign.isnumeric() for sign in cell):
        form = written_number(cell)
        unit = f" (without {form[1]!r})" if form is not None and form[1] else ""
        return f"write it as a plain number{unit}, name it as missing (na_values={cell!r})"
    return f"name it as missing (na_values={cell!r})"
