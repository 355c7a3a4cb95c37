"""Whether the first line of a text file names its columns or is data."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal

from kinview.datasets.cells import cell_kind

__all__ = ["counts_rows", "has_header", "names_columns"]

_FEW_ROWS = 5  # from which texts that come again tell that another is none of them
_COUNTED = 3  # columns from which a first line 0, 1, 2, ... may be names


def has_header(rows: Sequence[Sequence[str]], source: str, *, decimal: str = ".", thousands: str | None = None) -> bool:
    """Whether the first row is names: a name is a text over a column of numbers, and whatever is unlike its column.

    That is text, a number, date or boolean over a column all of another kind (but not what is nearly a number), and a
    text that is none of the few texts below it (at most half as many as rows, of which there are five or more). A
    number with a sign or a fraction, a date or a boolean over a column of its own kind is data. Where no column
    says so, a first line of distinct texts is names, one of numbers is data, and one whose first cell is empty over
    distinct texts is names, the first of which belongs to the names of the rows. An empty cell over 0, 1, 2, ... or
    1, 2, 3, ... is names whatever follows.

    Parameters
    ----------
    rows : sequence of rows
        The first rows of the file as cells of text.
    source : str
        What messages call it.
    decimal, thousands : str
        How numbers are written.

    Raises
    ------
    ValueError
        If it could be either; the message says how to tell.

    Examples
    --------
    >>> has_header([["age", "NA"], ["61", "140"]], "x"), has_header([["M", "0.5"], ["F", "0.7"]], "x")
    (True, False)
    """
    first, body = [cell.strip() for cell in rows[0]], rows[1:]
    width = len(first)
    columns = [[row[place].strip() for row in body if place < len(row)] for place in range(width)]
    rows_are_named = not first[0] and any(first) and len(columns[0]) > 0 and all(columns[0])
    if rows_are_named and counts_rows(columns[0]) and int(columns[0][0]) in (0, 1):
        return True
    kinds = [cell_kind(cell, decimal=decimal, thousands=thousands) for cell in first]
    said = [_evidence(*c, decimal, thousands) for c in zip(first, kinds, columns)]
    names, data = said.count("name"), said.count("datum")
    if names and data:
        raise _unclear(
            first,
            f"{first[said.index('name')]!r} looks like a name and {first[said.index('datum')]!r} like data",
            source,
        )
    if names or data:
        return names > 0
    if rows_are_named and all(first[1:]) and len(set(columns[0])) == len(columns[0]):
        return True
    repeated = sum(cell in column for cell, column in zip(first, columns) if cell)
    if all(kind in ("text", "nearly") for kind in kinds):
        if len(set(first)) < width:
            return repeated == 0  # and then refused: two columns share a name
        if 2 * repeated > width:
            raise _unclear(first, "most of its cells stand in the lines below too", source)
        return True
    if all(kind in ("number", "missing") for kind in kinds):
        if width >= _COUNTED and counts_rows(first) and not any(counts_rows(row) for row in body):
            raise _unclear(first, "it counts the columns", source)
        return False
    if repeated or not body:
        return False
    raise _unclear(first, "no column tells", source)


def names_columns(
    rows: Sequence[Sequence[str]],
    source: str,
    columns: Sequence[str | int],
    *,
    decimal: str = ".",
    thousands: str | None = None,
) -> Literal[True]:
    """Refuse a first row of a long file, whose first line names its columns, that looks like data.

    It does where no column is given by a name in it, and either its cells say so or all of them are numbers.

    Parameters
    ----------
    rows : sequence of rows
        The first rows of the file as cells of text.
    source : str
        What messages call it.
    columns : sequence of str or int
        Columns that are given: by name or by position.
    decimal, thousands : str
        How numbers are written.

    Raises
    ------
    ValueError
        That asks for ``header``.

    Examples
    --------
    >>> names_columns([["id", "2020"], ["a", "5"]], "x", [0])
    True
    """
    first = [cell.strip() for cell in rows[0]]
    if any(isinstance(column, str) and column in first for column in columns):
        return True
    kinds = {cell_kind(cell, decimal=decimal, thousands=thousands) for cell in first}
    try:
        named = has_header(rows, source, decimal=decimal, thousands=thousands)
    except ValueError:
        named = not kinds <= {"number", "missing"}
    if not named:
        raise _unclear(first, "the columns are given by position, and it looks like the rows below it", source)
    return True


def counts_rows(cells: Sequence[str]) -> bool:
    """Whether cells are whole numbers each of which is one more than that before it.

    Examples
    --------
    >>> counts_rows(["0", "1", "2"]), counts_rows(["0", "2"])
    (True, False)
    """
    if not all(cell.strip().isascii() and cell.strip().isdigit() for cell in cells):
        return False
    numbers = [int(cell) for cell in cells]
    return all(later == number + 1 for number, later in itertools.pairwise(numbers))


def _evidence(
    cell: str, kind: str, column: list[str], decimal: str, thousands: str | None
) -> Literal["name", "datum", ""]:
    """What a first cell says over its column."""
    observed = [other for other in column if cell_kind(other) != "missing"]
    below = {cell_kind(other, decimal=decimal, thousands=thousands) for other in observed}
    if kind in ("missing", "nearly"):
        return ""
    if kind == "text" and "text" in below:
        few = len(observed) >= _FEW_ROWS and 2 * len(set(observed)) <= len(observed)
        return "name" if few and cell not in observed else ""
    if len(below) != 1 or below == {"nearly"}:
        return ""
    if kind not in below:
        return "name"
    return "" if cell.isdigit() else "datum"


def _unclear(first: list[str], why: str, source: str) -> ValueError:
    shown = ", ".join(first[:6]) + (", ..." if len(first) > 6 else "")
    return ValueError(
        f"{source}: the first line ({shown}) could be names or data: {why}; say header=True or header=False"
    )
