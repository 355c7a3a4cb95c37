"""Whether the first line of a text file names its columns or is data."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Literal

from kinview.datasets.cells import cell_kind

__all__ = ["counts_rows", "has_header"]

_COUNTED = 3  # columns from which a first line 0, 1, 2, ... may be names


def has_header(rows: Sequence[Sequence[str]], source: str, *, decimal: str = ".", thousands: str | None = None) -> bool:
    """Whether the first row is names: text over a column of numbers, dates or booleans is a name.

    A number with a sign or a fraction, a date or a boolean over a column of its own kind is data. Where no column
    says so, a first line of distinct texts is names, one of numbers is data, and one whose first cell is empty over
    the numbers or distinct texts of the rows is the names of a table with names of rows.

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
    if not first[0] and width > 1 and all(first[1:]) and _names_rows(columns[0]):
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
    below = {cell_kind(other, decimal=decimal, thousands=thousands) for other in column} - {"missing"}
    if len(below) != 1 or below <= {"text", "nearly"}:
        return ""
    if kind == "text":
        return "name"
    return "datum" if kind in below and not cell.isdigit() else ""


def _names_rows(cells: list[str]) -> bool:
    if not cells or not all(cells):
        return False
    return counts_rows(cells) and int(cells[0]) in (0, 1) if cells[0].isdigit() else len(set(cells)) == len(cells)


def _unclear(first: list[str], why: str, source: str) -> ValueError:
    shown = ", ".join(first[:6]) + (", ..." if len(first) > 6 else "")
    return ValueError(
        f"{source}: the first line ({shown}) could be names or data: {why}; say header=True or header=False"
    )
