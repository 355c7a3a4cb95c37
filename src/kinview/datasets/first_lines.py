"""What stands at the top of a text file beside names and data: titles, comments, units; names that lack one."""

from __future__ import annotations

import collections
import contextlib
from collections.abc import Sequence
from pathlib import Path

from kinview.datasets.cells import cell_kind
from kinview.datasets.header import counts_rows, has_header
from kinview.datasets.text import MISSING

__all__ = ["lacks_one_name", "refuse_comment", "refuse_title", "refuse_units"]

Rows = Sequence[Sequence[str]]

_SHOWN = 60  # characters of a line


def lacks_one_name(rows: Rows, *, sure: bool = False) -> bool:
    """Whether the names lack only that of the first column, the names of the rows, as R's write.table writes them.

    That is one cell more in every row than there are names, and names of rows of which none stands twice. Unless it is
    ``sure`` (all of them are in quotes, or it is said that the first line has names), the names are texts, one of them
    over a column of numbers, and the rows are named by texts, or count from 1. A line of names below a title is none.

    Examples
    --------
    >>> lacks_one_name([["age", "hr"], ["r1", "61", "80"]]), lacks_one_name([["age", "hr"], ["r1", "61"]])
    (True, False)
    """
    names, body = [cell.strip() for cell in rows[0]], rows[1:]
    if not body or any(len(row) != len(names) + 1 for row in body):
        return False
    first = [row[0].strip() for row in body]
    if not all(names) or len(set(names)) < len(names) or not all(first) or len(set(first)) < len(first):
        return False
    columns = [[cell_kind(cell) for cell in column] for column in zip(*body)]
    if any(column[0] == "text" and _are_numbers(column[1:]) for column in columns):
        return False  # names, below a title
    if sure:
        return True
    counted = len(first) > 1 and first[0] == "1" and counts_rows(first)
    texts = {cell_kind(name) for name in names} == {"text"} and (counted or set(columns[0]) == {"text"})
    return texts and any(_are_numbers(column) for column in columns[1:])


def refuse_title(rows: Rows, numbers: Sequence[int], source: Path, header: bool | None = None) -> None:
    """Refuse a first line of fewer cells than most of those below it.

    Parameters
    ----------
    rows : sequence of rows
        Cells of the first lines that are not blank.
    numbers : sequence of int
        Of these lines, the first of the file is 1.
    source : Path
        The file.
    header : bool, optional
        Whether the first line names the columns, where that is said.

    Raises
    ------
    ValueError
        That says how many lines to leave out.
    """
    width = collections.Counter(len(row) for row in rows[1:]).most_common(1)[0][0] if len(rows) > 1 else 0
    short = len(rows[0]) < width
    alone = header is not False and cell_kind(rows[0][0]) == "text" and not _beyond_the_first(rows[0])
    padded = len(rows[0]) == width > 2 and alone  # as spreadsheets write a title
    table = [
        place for place, row in enumerate(rows) if place and len(row) >= width and (short or _beyond_the_first(row))
    ]
    if not table or not (short or padded):
        return
    cells = len(rows[0]) if short else sum(bool(cell.strip()) for cell in rows[0])
    comment = "comment='#' or " if rows[0][0].strip().startswith("#") else ""
    named = (
        "; header=True if it names all columns but the first, which names each row once" if cells + 1 == width else ""
    )
    raise ValueError(
        f"{source}: line {numbers[0]} ({_shown(rows[0])}) has {cells} {'cell' if cells == 1 else 'cells'}, most of "
        f"those below it {width}: if it is a title or a comment, leave out what stands above the table "
        f"({comment}skiprows={numbers[table[0]] - 1}); if it names the columns, each needs a name{named}"
    )


def refuse_comment(rows: Rows, source: Path) -> None:
    """Refuse a first line that begins with ``#`` above one that looks like names.

    Raises
    ------
    ValueError
        That says how to tell which it is.
    """
    if len(rows) < 3 or not rows[0][0].strip().startswith("#"):
        return
    with contextlib.suppress(ValueError):  # it could be either
        if not has_header(rows[1:], str(source)):
            return
    raise ValueError(
        f"{source}: the first line ({_shown(rows[0])}) begins with '#', and the one below it ({_shown(rows[1])}) could "
        f"be names: leave out comments (comment='#'), or say header=True if the first line names the columns"
    )


def refuse_units(
    body: Rows, missing: Sequence[Sequence[str]], number: int, source: Path, **written: str | None
) -> None:
    """Refuse a line below the names that is text over two columns of numbers or more, and over none of them a number.

    Parameters
    ----------
    body : sequence of rows
        Cells of the first lines below the names.
    missing : sequence of sequences of str
        The cells that are missing, of each column.
    number : int
        Of the first of these lines, the first of the file is 1.
    source : Path
        The file.
    **written : str
        How numbers are written: ``decimal`` and ``thousands``.

    Raises
    ------
    ValueError
        That says how to leave it out.
    """
    if len(body) < 2:
        return
    over: list[str] = []
    for place, cell in enumerate(body[0]):
        signs = missing[place] if place < len(missing) else MISSING
        below = [cell_kind(row[place], signs, **written) for row in body[1:] if place < len(row)]  # type: ignore[arg-type]
        if _are_numbers(below):
            over.append(cell_kind(cell, signs, **written))  # type: ignore[arg-type]
    said = [kind for kind in over if kind != "missing"]
    if len(said) > 1 and "text" in said and set(said) <= {"text", "nearly"}:
        raise ValueError(
            f"{source}: line {number} ({_shown(body[0])}) is text over columns of numbers: if it holds the units, "
            f"leave it out (skiprows=[{number - 1}]), if these cells are missing, name them (na_values=)"
        )


def _beyond_the_first(row: Sequence[str]) -> bool:
    """Whether a cell after the first is filled in."""
    return any(cell.strip() for cell in row[1:])


def _are_numbers(kinds: Sequence[str]) -> bool:
    """Whether observed cells are numbers, of which there are some."""
    return set(kinds) - {"missing"} == {"number"}


def _shown(row: Sequence[str]) -> str:
    text = ",".join(row)
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")
