"""What stands at the top of a text file beside names and data: titles, comments, units; names that lack one."""

from __future__ import annotations

import collections
import contextlib
import re
import warnings
from collections.abc import Sequence
from pathlib import Path

from kinview.datasets.cells import cell_kind
from kinview.datasets.header import counts_rows, has_header
from kinview.datasets.text import MISSING

__all__ = [
    "lacks_one_name",
    "otherwise_written",
    "refuse_comment",
    "refuse_decimal_commas",
    "refuse_title",
    "refuse_units",
    "warn_of_decimal_commas",
]

Rows = Sequence[Sequence[str]]

_SHOWN = 60  # characters of a line
_WHOLE = re.compile(r"[+-]?\d+")
_FRACTION = re.compile(r"\d+")  # what may stand behind a decimal comma


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


def refuse_decimal_commas(rows: Rows, source: Path) -> None:
    """Refuse rows parted by commas that are named by numbers without a name above, where a comma may be decimal.

    For rows that :func:`lacks_one_name` takes for named, in a file without the quotes that R writes around names.

    Raises
    ------
    ValueError
        That has both readings.
    """
    if {cell_kind(row[0]) for row in rows[1:]} != {"text"}:
        raise ValueError(
            f"{_one_cell_more(rows, source)}: if a comma is the decimal sign, {_decimal_remedy(rows[0])}; if the first "
            f"cell names the row, say header=True, or name its column in the first line too"
        )


def warn_of_decimal_commas(rows: Rows, source: Path) -> None:
    """Warn of rows parted by commas that are named by texts, where a comma could be decimal instead."""
    width, cells = len(rows[0]), [row[1:] for row in rows[1:]]
    if any("." in cell for row in cells for cell in row) or not any(
        has_decimal_commas(row, width - 1) for row in cells
    ):
        return
    warnings.warn(
        f"{_one_cell_more(rows, source)}; the first is read as the name of the row (header=True says so): if a comma "
        f"is the decimal sign instead, {_decimal_remedy(rows[0])}",
        UserWarning,
        stacklevel=5,
    )


def _one_cell_more(rows: Rows, source: Path) -> str:
    names = rows[0]
    columns = "1 column" if len(names) == 1 else f"{len(names)} columns"
    return (
        f"{source}: the first line ({_shown(names)}) names {columns}, the lines below it have {len(names) + 1} cells "
        f"({_shown(rows[1])})"
    )


def has_decimal_commas(row: Sequence[str], width: int) -> bool:
    """Whether a row parted by commas has more cells than columns because numbers may have decimal commas.

    Examples
    --------
    >>> has_decimal_commas(["1", "5", "x"], 2), has_decimal_commas(["1.5", "5", "x"], 2)
    (True, False)
    """
    cells = [cell.strip() for cell in row]
    if any("." in cell and cell_kind(cell) == "number" for cell in cells):
        return False
    pairs, place = 0, 0
    while place + 1 < len(cells):
        if _WHOLE.fullmatch(cells[place]) and _FRACTION.fullmatch(cells[place + 1]):
            pairs, place = pairs + 1, place + 1
        place += 1
    return width < len(cells) <= width + pairs


def otherwise_written(rows: Rows, width: int, separator: str, names: Sequence[str]) -> str:
    """How rows of more cells than there are columns may be written, as the begin of an advice, else no text.

    Examples
    --------
    >>> otherwise_written([["'x", " y'", "2"]], 2, ",", ["a", "b"])[:55]
    "cells in single quotes ('x) are parted as others are: p"
    """
    longer = [row for row in rows if len(row) > width]
    for row in longer:
        opened = next((place for place, cell in enumerate(row) if re.match(r"\s*'[^']*$", cell)), None)
        if opened is not None and any(re.search(r"'\s*$", cell) for cell in row[opened + 1 :]):
            return (
                f"cells in single quotes ({row[opened].strip()[:_SHOWN]}) are parted as others are: put double quotes "
                f'around them ("); '
            )
    if separator == "," and longer and all(has_decimal_commas(row, width) for row in longer):
        return f"if a comma is the decimal sign, {_decimal_remedy(names)}; "
    return ""


def _decimal_remedy(names: Sequence[str]) -> str:
    if len(names) == 1:
        return "say decimal=',' (sep=';' and thousands=',' if it parts thousands)"
    return (
        "save the file with another sign between the cells, such as ';' (and read it with sep=';', decimal=','), or "
        "with decimal points"
    )


def refuse_title(
    rows: Rows, numbers: Sequence[int], source: Path, header: bool | None = None, separator: str = ";"
) -> None:
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
    separator : str
        Between the cells.

    Raises
    ------
    ValueError
        That says how many lines to leave out, or how the lines may be written otherwise.
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
    otherwise = otherwise_written(rows[1:], len(rows[0]), separator, rows[0]) if short else ""
    raise ValueError(
        f"{source}: line {numbers[0]} ({_shown(rows[0])}) has {cells} {'cell' if cells == 1 else 'cells'}, most of "
        f"those below it {width}: {otherwise}if it is a title or a comment, leave out what stands above the table "
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
