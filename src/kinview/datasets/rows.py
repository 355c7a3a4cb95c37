"""Rows of files: where each stands, and which are no samples: cut short, blank, a total or a note below the table."""

from __future__ import annotations

import dataclasses
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kinview.datasets.text_lines import BLANKS, TextLines

__all__ = [
    "Rows",
    "is_footer",
    "number_records",
    "warn_of_footers",
    "warn_of_odd_code",
    "warn_of_unnamed",
    "warn_of_unobserved",
    "without_blank_rows",
]

_FILE, _SEPARATOR, _HEADER, _PLACES = "file", "separator", "header", "places"  # what a frame of delimited text carries
_SHOWN = 5  # rows that a message names
_HEAD = 1000  # rows whose cells are looked at as they are written, fewer where there are many columns
_HEAD_CELLS = 200_000
_FOOTERS = 5  # rows at the end that may be totals or notes
_NEARLY_EMPTY = 4  # in such a part of the columns, or fewer, has a note below the table its cells
_FEWEST_CODES = 3  # whole numbers among which a text is odd
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?")
_FOOTER = re.compile(
    r"(?:(?:grand|sub)[ -]?)?totals?|sum|summe|gesamt|insgesamt|mean|average|avg|mittelwert|median|std\.?(?: ?dev\.?)?|"
    r"s\.?d\.?|standard deviation|n ?= ?\d+|(?:source|quelle|notes?|footnote|legend|copyright|exported|generated|"
    r"created|printed)\b.*|©.*|\(\d+ rows?(?: affected)?\)|end of (?:file|report|data)|eof",
    re.IGNORECASE | re.DOTALL,
)


@dataclasses.dataclass(frozen=True)
class Rows:
    """Where the rows of a frame stand: in which lines of a text file, else which row it is, counted from 1.

    Examples
    --------
    >>> Rows().name(0), Rows().names([0, 2])
    ('row 1 (counted from 1)', 'rows 1 and 3 (counted from 1)')
    """

    file: TextLines | None = None  # of delimited text
    separator: str = ","
    header: bool = True
    records: NDArray[np.int64] | None = None  # number of each row's record in the file, the first of which is 0
    places: Mapping[str, int] = dataclasses.field(default_factory=dict)  # of the columns in the file

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Rows:
        """The rows of a frame as :func:`number_records` left it; what it carries for that is taken off."""
        carried = frame.attrs
        frame.attrs = {}
        if _SEPARATOR not in carried:
            return cls()
        places = carried[_PLACES] or range(frame.shape[1])
        return cls(
            carried[_FILE],
            carried[_SEPARATOR],
            carried[_HEADER],
            frame.index.to_numpy(dtype=np.int64),
            dict(zip(map(str, frame.columns), places)),
        )

    def name(self, row: int) -> str:
        """Where one row stands, ``line 7``."""
        return self.names([row])

    def names(self, rows: Sequence[int]) -> str:
        """Where these rows stand, the first of them by number."""
        shown = [int(row) for row in rows[:_SHOWN]]
        if self.file is None or self.records is None:
            return f"{_listed('row', [row + 1 for row in shown], len(rows))} (counted from 1)"
        lines = _lines_of([int(self.records[row]) for row in shown], self.file, self.separator)
        return _listed("line", lines, len(rows))

    def head(self, frame: pd.DataFrame) -> dict[str, list[str]]:
        """Observed cells of the first rows of the numeric columns of a frame of this file, as they are written."""
        numeric = [str(name) for name, dtype in frame.dtypes.items() if dtype.kind in "iuf"]
        if self.file is None or self.records is None or not numeric:
            return {}
        number = max(20, min(_HEAD, _HEAD_CELLS // len(numeric)))
        records = self.records[:number]
        observed = frame.iloc[:number].notna().to_numpy()
        wanted = frozenset(records.tolist())
        cells: list[list[str]] = []
        for record, (_, text) in enumerate(_records(self.file, self.separator)):
            if len(cells) == len(records):
                break
            if record in wanted:
                cells.append(_split(text, self.separator))
        taken = set(numeric)
        columns = [(place, str(name)) for place, name in enumerate(frame.columns) if str(name) in taken]
        return {
            name: [row[self.places[name]].strip() for row, seen in zip(cells, observed[:, place]) if seen]
            for place, name in columns
        }


def number_records(
    frame: pd.DataFrame, file: TextLines, separator: str, *, header: bool, places: Sequence[int]
) -> pd.DataFrame:
    """A frame of delimited text whose index is the number of each row's record in the file (the first is 0).

    Parameters
    ----------
    frame : DataFrame
        All rows in order. It is changed in place; what :meth:`Rows.of` needs is in its ``attrs``.
    file : TextLines
        The lines that are read.
    separator : str
        Between their cells.
    header : bool
        Whether the first record names the columns.
    places : sequence of int
        Of the columns in the file; each line must reach the last of them.

    Raises
    ------
    ValueError
        If lines have fewer cells; the message names them.
    """
    frame.index = pd.RangeIndex(int(header), len(frame) + int(header))
    given = None if list(places) == list(range(frame.shape[1])) else list(places)
    frame.attrs = {_FILE: file, _SEPARATOR: separator, _HEADER: header, _PLACES: given}
    ends = frame.iloc[:, -1].isna().to_numpy()
    if places[-1] and ends.any():  # only lines whose last cell is missing can be short
        last = int(np.flatnonzero(ends)[-1]) + int(header)
        _refuse_short_lines(file, separator, places[-1] + 1, int(header), last)
    return frame


def without_blank_rows(frame: pd.DataFrame, source: Path) -> pd.DataFrame:
    """The frame without rows in which no cell is filled, which a warning names."""
    blank = _unobserved(frame)
    if not blank.any():
        return frame
    attrs = dict(frame.attrs)
    rows = Rows.of(frame)
    frame.attrs = attrs
    found = np.flatnonzero(blank).tolist()
    was = "was" if len(found) == 1 else "were"
    warnings.warn(
        f"{source.name}: {rows.names(found)} {was} empty, and left out; remove what is no sample, and name "
        f"samples without a value in a column of ids",
        UserWarning,
        stacklevel=4,
    )
    kept = frame[~blank]
    kept.attrs = attrs
    return kept


def warn_of_unobserved(X: pd.DataFrame, rows: Rows, source: str) -> None:
    """Warn of rows without a value in any feature."""
    found = np.flatnonzero(_unobserved(X)).tolist()
    if len(found):
        has, count = ("has", "counts as a sample") if len(found) == 1 else ("have", "count as samples")
        warnings.warn(
            f"{source}: {rows.names(found)} {has} no observed cell among the features, but {count}; remove what "
            f"is none",
            UserWarning,
            stacklevel=4,
        )


def warn_of_unnamed(keys: pd.DataFrame, rows: Rows, source: str) -> None:
    """Warn of rows that have no name in a column which names the others, as the line of a total has none."""
    for name in keys.columns:
        missing = keys[name].isna().to_numpy()
        found = np.flatnonzero(missing).tolist()
        if not found or missing.all():
            continue
        has, count = ("has", "counts as a sample") if len(found) == 1 else ("have", "count as samples")
        warnings.warn(
            f"{source}: {rows.names(found)} {has} no name in column {name or 'index'!r}, but {count}; remove what is "
            f"none, such as a total, or fill in the name",
            UserWarning,
            stacklevel=4,
        )


def warn_of_footers(frame: pd.DataFrame, rows: Rows, source: str) -> None:
    """Warn of last rows that look like a total or a note (``Total``, ``Mean``, ``n = 120``, ``Source: ...``).

    Such a cell stands in the first column, among numbers, in a row that is nearly empty otherwise, or beside the sum or
    mean of a column; elsewhere it is a category or a remark.
    """
    texts = [place for place in range(frame.shape[1]) if frame.dtypes.iloc[place].kind == "O"]
    found: list[tuple[int, str]] = []
    for row in range(len(frame) - 1, max(len(frame) - 1 - _FOOTERS, 0), -1):
        cell = next((cell for place in texts if (cell := _footer(frame, place, row)) is not None), None)
        if cell is None:
            break
        found.append((row, cell))
    if found:
        row, cell = found[-1]
        warnings.warn(
            f"{source}: {cell!r} in {rows.name(row)} looks like a total or a note below the table, and is read as a "
            f"sample; remove the line if it is none",
            UserWarning,
            stacklevel=4,
        )


def warn_of_odd_code(codes: Any, name: str, rows: Rows, source: str) -> None:
    """Warn of ids, groups or labels that are whole numbers but for one cell of text, a line that may be no sample."""
    column = pd.Series(np.asarray(codes, dtype=object)) if not isinstance(codes, pd.Series) else codes
    if column.dtype.kind in "iufb" or len(column) == 0:
        return
    places, distinct = pd.factorize(column)
    odd = [i for i, code in enumerate(distinct) if isinstance(code, str) and not re.fullmatch(r"[+-]?\d+(\.0*)?", code)]
    if len(odd) != 1 or len(distinct) <= _FEWEST_CODES:
        return
    at = np.flatnonzero(places == odd[0])
    is_warned = is_footer(str(distinct[odd[0]])) and int(at[0]) >= len(column) - _FOOTERS
    if len(at) == 1 and not is_warned:
        warnings.warn(
            f"{source}: column {name!r} holds whole numbers but for {str(distinct[odd[0]])!r} in "
            f"{rows.name(int(at[0]))}; remove the line if it is no sample",
            UserWarning,
            stacklevel=4,
        )


def is_footer(cell: str) -> bool:
    """Whether a cell is that of a total or a note below a table.

    Examples
    --------
    >>> is_footer("Total"), is_footer("n = 120"), is_footer("Source: hospital X"), is_footer("meander")
    (True, True, True, False)
    """
    return _FOOTER.fullmatch(cell.strip()) is not None


def _footer(frame: pd.DataFrame, place: int, row: int) -> str | None:
    """The cell where it looks like a footer, stands only there, and its row is no sample by its other cells."""
    column = frame.iloc[:, place]
    cell = column.iloc[row]
    if not isinstance(cell, str) or not is_footer(cell) or int((column == cell).sum()) > 1:
        return None
    above = column.iloc[: max(len(frame) - _FOOTERS, 0)].iloc[:_HEAD]
    if any(isinstance(other, str) and is_footer(other) for other in above):  # a column of notes
        return None
    others = int(frame.iloc[row].notna().sum()) - 1
    among_numbers = [isinstance(other, str) and _NUMBER.fullmatch(other) is None for other in above.dropna()]
    if place == 0 or (among_numbers and not any(among_numbers)):
        return cell
    if _NEARLY_EMPTY * others < frame.shape[1] - 1 or _sums_up(frame, row):
        return cell
    return None


def _sums_up(frame: pd.DataFrame, row: int) -> bool:
    """Whether a number of a row is the sum or the mean of those above it, of which there are two or more."""
    for place in range(frame.shape[1]):
        column = frame.iloc[:, place]
        if column.dtype.kind not in "iuf" or pd.isna(column.iloc[row]):
            continue
        above = column.iloc[:row].dropna().to_numpy(dtype=np.float64)
        value = float(column.iloc[row])
        if len(above) > 1 and value and np.isclose([above.sum(), above.mean()], value, rtol=1e-6).any():
            return True
    return False


def _unobserved(frame: pd.DataFrame) -> NDArray[np.bool_]:
    """Rows without an observed cell; most frames are told by their first columns."""
    left = np.arange(len(frame) if frame.shape[1] else 0)
    for place in range(frame.shape[1]):
        if len(left) == 0:
            break
        left = left[frame.iloc[:, place].isna().to_numpy()[left]]
    found = np.zeros(len(frame), dtype=np.bool_)
    found[left] = True
    return found


def _refuse_short_lines(file: TextLines, separator: str, width: int, first: int, last: int) -> None:
    short: list[tuple[int, int, str]] = []
    for number, (line, text) in enumerate(_records(file, separator)):
        if number > last:
            break
        if number >= first and (cells := _cells(text, separator)) < width:
            short.append((line, cells, text))
    if not short:
        return
    line, cells, text = short[0]
    what = "a Ctrl-Z, with which old programs end a file" if text.strip() == "\x1a" else repr(text.strip()[:80])
    counted = f"line {line} has {cells} cell{'s' if cells > 1 else ''} ({what}) instead of {width}"
    others = (
        f"; so have too few {_listed('line', [n for n, _, _ in short[1:_SHOWN]], len(short) - 1)}" if short[1:] else ""
    )
    raise ValueError(
        f"{file.path}: {counted}{others}; complete what was cut short (an empty cell needs its separator too), and "
        f"remove what is no sample"
    )


def _records(lines: TextLines, separator: str) -> Iterator[tuple[int, str]]:
    """Number of the first line and text of each record; blank lines are none, and a cell in quotes may hold breaks."""
    opening = r"(?:^|\s)" if separator == BLANKS else rf"(?:^|{re.escape(separator)}) *"
    # a quote before another one closes nothing; possessive groups are matched wrongly by Python before 3.11.5
    whole = re.compile(rf'({opening})"[^"]*+(?:""[^"]*+)*"(?!")')
    begun = re.compile(rf'{opening}"')
    blank = " \t\r\n" if separator != "\t" else " \r\n"
    held: list[str] = []
    start = 0
    for number, line in lines.lines():
        if not held:
            if not line.strip(blank):
                continue
            start = number
            if '"' not in line:
                yield number, line
                continue
        held.append(line)
        if '"' not in line:
            continue
        text = "".join(held)
        if begun.search(whole.sub(r"\1x", text)) is None:
            held = []
            yield start, text
    if held:
        yield start, "".join(held)


def _cells(text: str, separator: str) -> int:
    """Number of cells of a record."""
    if '"' in text:
        return len(_split(text, separator))
    return len(text.split()) if separator == BLANKS else text.count(separator) + 1


def _split(text: str, separator: str) -> list[str]:
    """Cells of a record; a separator within quotes becomes an x."""
    opening = r"(^|\s)" if separator == BLANKS else rf"((?:^|{re.escape(separator)}) *)"
    inner = re.compile(r"\s" if separator == BLANKS else re.escape(separator))
    if '"' in text:
        quoted = rf'{opening}"([^"]*+(?:""[^"]*+)*)"(?!")'
        text = re.sub(quoted, lambda cell: cell[1] + (inner.sub("x", cell[2]) or "x"), text)
    return text.split() if separator == BLANKS else text.rstrip("\r\n").split(separator)


def _lines_of(records: Sequence[int], file: TextLines, separator: str) -> list[int]:
    """Numbers of the lines in which these records begin."""
    wanted, last = dict.fromkeys(records, 0), max(records)
    for number, (line, _) in enumerate(_records(file, separator)):
        if number in wanted:
            wanted[number] = line
        if number >= last:
            break
    return [wanted[record] for record in records]


def _listed(word: str, numbers: Iterable[int], total: int) -> str:
    shown = [str(number) for number in numbers]
    if total == 1:
        return f"{word} {shown[0]}"
    if total > len(shown):
        return f"{word}s {', '.join(shown)}, ... ({total} in all)"
    return f"{word}s {', '.join(shown[:-1])} and {shown[-1]}"
