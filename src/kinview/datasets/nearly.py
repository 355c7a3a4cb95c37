"""Columns of text that are rather numbers: which cell keeps them from it, and what to do about it."""

from __future__ import annotations

import dataclasses
import re
import warnings
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kinview.datasets.cells import COMMA, GROUPED, cell_kind, is_text
from kinview.datasets.rows import Rows, is_footer
from kinview.datasets.written import MANY, is_many, is_written_date, uniform_unit, written_number

__all__ = ["IN_A_TABLE", "refuse_nearly_numbers", "remedy_for", "warn_of_typed_texts"]

IN_A_TABLE = "leave the column out (drop=), or take it as a category (categorical=)"
_NOWHERE = Rows()
_LIMIT = re.compile(r"[<>≤≥]=?\s*[+-]?[\d.,]*\d")
_FEW = 0.1  # fraction of the observed cells up to which text among numbers counts as a few cells


def remedy_for(cell: str) -> str:
    """What to do about a cell that is no number where one should be.

    Examples
    --------
    >>> remedy_for("<0.1")
    "write it as a plain number, say what it becomes (censored=), name it as missing (na_values='<0.1')"
    """
    return _hint(cell)


def refuse_nearly_numbers(
    frame: pd.DataFrame,
    source: str,
    remedy: str = IN_A_TABLE,
    *,
    decimal: str = ".",
    thousands: str | None = None,
    rows: Rows = _NOWHERE,
    categories: bool = True,
    typed: bool = False,
) -> None:
    """Refuse a text column that is numeric but for a few cells; the message has the first of them and the remedy.

    A column of text is numeric but for a few cells where it has numbers, and they are eleven distinct ones or more and
    at least half of the distinct cells; or all its other cells are nearly numbers (``98%``, ``1,234``, ``-``, ``n.a.``,
    ``5.1 mmol/l``); or at most one in ten observed cells is neither. At most ten distinct numbers that come again, with
    limits (``<5``, ``5+``) or marks (``trace``) among them, are the levels of a category where there are
    ``categories``. Where no cell is a plain number, those with a comma, grouped thousands or a percent sign count as
    numbers; so do those with a unit, a currency, a sign behind and the like (see :func:`written_number`), where they
    are many. A ``typed`` file has no other options than its types. Numbers and booleans (``True``) do not mix.

    Raises
    ------
    ValueError
        That names the column, the cell and its row.

    Warns
    -----
    UserWarning
        If a column has few distinct cells, all with a unit, a currency, a sign behind and the like, or limits and
        marks among them.
    """
    for name in frame.columns:
        column = frame[name]
        if isinstance(column.dtype, pd.CategoricalDtype) or not is_text(column):
            continue
        found = _first_odd(column, decimal, thousands, categories)
        if found is None:
            continue
        place = f"{found.cell!r} in {rows.name(found.row)}"
        if found.levels:
            holds = "few distinct numbers and other cells" if found.others else "numbers with something more"
            warnings.warn(
                f"{source}: column {str(name)!r} holds {holds}, such as {place}, and is a category now (distinct "
                f"cells: {found.levels}); write plain numbers if it is a measurement, say that it is none by "
                f"categorical={str(name)!r}",
                UserWarning,
                stacklevel=4,
            )
            continue
        but = f"numeric but for {place}" if found.others else f"{place}, nearly a number"
        footer = "remove the line if it is a total or a note; " if found.row == len(column) - 1 and found.text else ""
        hint = "make the column numbers before it is written (pandas.to_numeric)" if typed else _hint(found.cell)
        raise ValueError(f"{source}: column {str(name)!r} is {but}; {footer}{hint}, {remedy}")


def warn_of_typed_texts(frame: pd.DataFrame, source: str, rows: Rows = _NOWHERE) -> None:
    """Warn of columns of a typed file that are text but hold only numbers or ISO 8601 dates; they are categories.

    Numbers with a zero in front (``07``) are codes, and meant as text.
    """
    for name in frame.columns:
        column = frame[name]
        if isinstance(column.dtype, pd.CategoricalDtype) or not is_text(column) or column.isna().all():
            continue
        texts = [str(cell).strip() for cell in column.dropna().unique()]
        kinds = {cell_kind(text) for text in texts} - {"missing"}
        if kinds not in ({"number"}, {"date"}) or any(re.match(r"[+-]?0\d", text) for text in texts):
            continue
        what, function = ("numbers", "to_numeric") if kinds == {"number"} else ("dates", "to_datetime")
        row = int(column.notna().to_numpy().argmax())
        warnings.warn(
            f"{source}: column {str(name)!r} holds {what} as text ({column.iloc[row]!r} in {rows.name(row)}), and is a "
            f"category now; if it is none, convert it before the file is written (pandas.{function}), else say so by "
            f"categorical={str(name)!r}",
            UserWarning,
            stacklevel=4,
        )


@dataclasses.dataclass(frozen=True)
class _Odd:
    """A cell that keeps a column from being numeric."""

    row: int
    cell: str
    others: bool  # whether other cells are plain numbers
    text: bool  # whether the cell is no number at all
    levels: int = 0  # of a category that is only warned about


def _first_odd(column: pd.Series, decimal: str, thousands: str | None, categories: bool) -> _Odd | None:
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
    if all(kind in ("number", "missing") for kind in kinds):
        return None
    if any(kind in ("boolean", "date") for kind in kinds) and not _mixed(kinds):
        return None

    def first(odd: list[bool], levels: int = 0) -> _Odd:
        row = int(np.asarray((codes >= 0) & np.array(odd)[np.maximum(codes, 0)]).argmax())
        return _Odd(row, str(distinct[codes[row]]), tally["number"] > 0, kinds[codes[row]] == "text", levels)

    if tally["number"]:
        odd = [kind not in ("number", "missing") for kind in kinds]
        verdict = _verdict(distinct, kinds, counts, footer=is_footer(str(column.iloc[-1])))
        if verdict == "text":
            return None
        return first(odd, len(distinct) if verdict == "levels" and categories else 0)
    grouped = [_is_written_number(str(cell)) for cell in distinct]
    if any(grouped) and tally["text"] + tally["written"] == 0:
        return first(grouped)
    return _first_written(distinct, kinds, counts, grouped, first)


def _mixed(kinds: list[str]) -> bool:
    """Whether numbers stand beside booleans, or more distinct numbers than dates beside dates."""
    numbers, dates = kinds.count("number"), kinds.count("date")
    booleans = "boolean" in kinds and set(kinds) <= {"boolean", "number", "nearly", "missing"}
    return numbers > 0 and (booleans if not dates else numbers > max(dates, MANY))


def _verdict(
    distinct: Any, kinds: list[str], counts: NDArray[np.int64], *, footer: bool
) -> Literal["numbers", "levels", "text"]:
    """What a column of numbers with other cells among them is: numbers but for these, levels of a category, or text."""
    of = np.array(kinds)
    unsure = np.array([kind == "written" and not _sure(cell) for kind, cell in zip(kinds, distinct)])
    pairs = sum(1 for cell in distinct[unsure] if (written_number(str(cell)) or ("",))[0] == "pair")
    other = (of == "text") | (of == "date") | unsure
    limits = np.array(
        [kind == "nearly" and _LIMIT.fullmatch(str(cell)) is not None for kind, cell in zip(kinds, distinct)]
    )
    numbers, number = int((of == "number").sum()), int(counts[of == "number"].sum())
    measured = numbers + pairs
    if "boolean" in kinds or (measured > MANY and measured >= int(other.sum()) - pairs):
        return "numbers"
    doubtful = int(counts[other].sum())
    few = doubtful <= _FEW * int(counts.sum())
    if footer and doubtful == 1:
        return "numbers"
    surely = ((of == "nearly") & ~limits) | ((of == "written") & ~unsure)
    if not is_many(numbers, number) and not surely.any():
        return "levels" if few or limits.any() else "text"
    return "numbers" if few else "text"


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
    return bool(COMMA.fullmatch(cell) or GROUPED.fullmatch(cell) or re.fullmatch(r"[+-]?[\d.,]*\d\s*%", cell))


def _hint(cell: str) -> str:
    """What to do about such a cell."""
    cell = cell.strip()
    readings = []
    if COMMA.fullmatch(cell):
        readings.append("decimal=','")
    if match := GROUPED.fullmatch(cell):
        sign = re.search(r"\d([^\d+-])", match.group())
        readings.append(f"thousands={sign.group(1)!r}" if sign else "thousands=")
    if readings:
        return f"say how it is written ({' or '.join(readings)})"
    if cell.casefold() in ("true", "false"):
        return "write 1 and 0, or True and False, but not both"
    if any(sign.isdigit() or sign.isnumeric() for sign in cell):
        if _LIMIT.fullmatch(cell):
            return (
                f"write it as a plain number, say what it becomes (censored=), name it as missing (na_values={cell!r})"
            )
        form = written_number(cell)
        unit = f" (without {form[1]!r})" if form is not None and form[1] else ""
        return f"write it as a plain number{unit}, name it as missing (na_values={cell!r})"
    return f"name it as missing (na_values={cell!r})"
