"""Quotes in delimited text that would take rows of the table into a cell without a word."""

from __future__ import annotations

import collections
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from kinview.datasets.cells import cell_kind
from kinview.datasets.text_lines import BLANKS, Line, TextLines

__all__ = ["check_quotes"]

_PART = 1 << 20  # characters that are looked at together
_LONGEST = 1 << 24  # characters after which a quote is taken for one that is never closed
_SHOWN = 40  # characters of a cell in a message
_BREAK = re.compile("\r\n?|\n")
_LINE = re.compile("[^\r\n]+")
# groups are not possessive: Python before 3.11.5 matches these wrongly; a quote before another one closes nothing
_QUOTED = re.compile(r' *"([^"]*+(?:""[^"]*+)*)("(?!")|\Z)')
_FEW = 2  # lines of a cell, up to which their separators alone do not tell rows of the table
_MOST = 0.75  # part of the lines of a cell that must look like rows where others have other separators
_TOLD = ("number", "date", "boolean")


def check_quotes(file: TextLines, separator: str, rows: Sequence[Sequence[str]]) -> None:
    r"""Refuse a quote that is never closed, one closed amid a cell, and a cell that holds rows of the table.

    A cell in quotes may hold line breaks. It holds rows of the table, because a quote is missing or one too many, where
    each of its lines has the separators of a row, and in the columns of numbers, dates or booleans mostly these; in a
    table of texts alone, where at least two lines follow its first. So it does where three in four lines have such
    numbers, whatever the others are.

    Parameters
    ----------
    file : TextLines
        The lines that are read.
    separator : str
        Between their cells.
    rows : sequence of rows
        Cells of the first lines, which say how many a row has, and which columns are numbers.

    Raises
    ------
    ValueError
        That names the line of the quote.
    """
    table = _Table.of(rows, separator)
    space = " \t" if separator == BLANKS else re.escape(separator)
    blank = " " if separator in (BLANKS, "\t") else " \t"
    ends = re.compile(rf"[{blank}]*(?:[{space}\r\n]|\Z)")
    fine = re.compile(
        rf'(?:(?: *"[^"\r\n]*+(?:""[^"\r\n]*+)*" *(?=[{space}\r\n]|\Z)|(?! *")[^{space}\r\n]*+)(?:[{space}\r\n]|\Z))*'
    )
    parts = _parts(file)
    for part in parts:
        text = "".join(line for _, line in part)
        position = _end(fine, text, 0) if '"' in text else len(text)
        while position < len(text):
            cell = _QUOTED.match(text, position)
            if cell is None:
                raise AssertionError("only cells in quotes are looked at")
            begin = text.index('"', position)
            if not cell[2]:
                more = next(parts, None) if len(text) - begin < _LONGEST else None
                if more is None:
                    raise _unclosed(file.path, _number(part, begin), cell[1])
                part += more
                text += "".join(line for _, line in more)
                continue
            end = ends.match(text, cell.end())
            if end is None:
                raise _closed_amid(file.path, part, text, begin, cell, separator)
            if _BREAK.search(cell[1]):
                table.refuse_rows(file.path, part, text, begin, cell.end())
            position = _end(fine, text, end.end())


def _end(pattern: re.Pattern[str], text: str, position: int) -> int:
    """Where a match that may be empty ends."""
    found = pattern.match(text, position)
    return position if found is None else found.end()


class _Table:
    """How many cells a row has, and what the columns hold that are no text."""

    def __init__(self, width: int, kinds: dict[int, str], separator: str) -> None:
        self.width, self.kinds, self.separator = width, kinds, separator

    @classmethod
    def of(cls, rows: Sequence[Sequence[str]], separator: str) -> _Table:
        """What the first rows say, those whose cells have no breaks."""
        plain = [row for row in rows if not any("\n" in cell for cell in row)] or list(rows)
        width = collections.Counter(map(len, plain)).most_common(1)[0][0] if plain else 0
        columns = zip(*(row for row in plain[1:] if len(row) == width))
        found = [{cell_kind(cell) for cell in column} - {"missing"} for column in columns]
        told = {place: next(iter(kinds)) for place, kinds in enumerate(found) if len(kinds) == 1}
        return cls(width, {place: kind for place, kind in told.items() if kind in _TOLD}, separator)

    def refuse_rows(self, path: Path, part: list[Line], text: str, begin: int, end: int) -> None:
        """Refuse a cell from its opening to behind its closing quote that holds rows of the table."""
        start = max(text.rfind("\n", 0, begin), text.rfind("\r", 0, begin)) + 1
        stop = _BREAK.search(text, end)
        told: list[int | None] = []
        for line in _LINE.finditer(text, start, stop.start() if stop else len(text)):
            if line[0].strip():
                told.append(self._evidence(line[0], begin - line.start(), end - line.start()))
        alike = sum(bool(evidence) for evidence in told)
        if None in told:
            if alike <= _FEW or alike < _MOST * len(told):
                return
        elif (self.kinds or len(told) <= _FEW) and not alike:
            return
        first, last = _number(part, begin), _number(part, end)
        raise ValueError(
            f"{path}: a quote in line {first} is closed in line {last} only, and the lines between look like rows of "
            f"the table, which would be lost in one cell: remove the quote that is one too many; if it is one cell, "
            f"remove its line breaks"
        )

    def _evidence(self, line: str, begin: int, end: int) -> int | None:
        """How many cells between two places of a line are as their columns are; None where it is no row."""
        pattern = (
            r"\S+"
            if self.separator == BLANKS
            else rf"(?:^|(?<={re.escape(self.separator)}))[^{re.escape(self.separator)}]*"
        )
        cells = list(re.finditer(pattern, line))
        if len(cells) != self.width or self.width < 2:
            return None
        within = {
            place: kind
            for place, kind in self.kinds.items()
            if begin < cells[place].start() and cells[place].end() < end
        }
        seen = [(cell_kind(cells[place][0]), kind) for place, kind in within.items()]
        alike = [found == kind for found, kind in seen if found != "missing"]
        return sum(alike) if 2 * sum(alike) >= len(alike) else None


def _parts(file: TextLines) -> Iterator[list[Line]]:
    """Lines of the file, some together."""
    part: list[Line] = []
    length = 0
    for line in file.lines():
        part.append(line)
        length += len(line[1])
        if length >= _PART:
            yield part
            part, length = [], 0
    if part:
        yield part


def _number(part: list[Line], position: int) -> int:
    """Number of the line of a part in which a character stands."""
    for number, line in part:
        if position < len(line):
            return number + len(_BREAK.findall(line[:position]))
        position -= len(line)
    return part[-1][0]


def _unclosed(path: Path, line: int, cell: str) -> ValueError:
    return ValueError(
        f"{path}, line {line}: the quote before {_short(cell)} is never closed, so all that follows would be one cell: "
        f'close it, or remove it (within quotes a quote is written twice, "5""")'
    )


def _closed_amid(
    path: Path, part: list[Line], text: str, begin: int, cell: re.Match[str], separator: str
) -> ValueError:
    """Error of a quote that ends amid what looks like a cell."""
    first, last = _number(part, begin), _number(part, cell.end() - 1)
    behind = _BREAK.split(text[cell.end() : cell.end() + _SHOWN])[0]
    where = f"{path}, line {last}: the quote that closes a cell"
    if first != last:
        where += f" begun in line {first}"
    if cell[1].endswith("\\"):
        return ValueError(
            f'{where} has a backslash before it, and {behind!r} behind it: write a quote within quotes twice, "", '
            f'instead of \\"'
        )
    sign = "a blank" if separator == BLANKS else repr(separator)
    rows = "; the lines between would be lost in one cell" if first != last else ""
    return ValueError(
        f"{where} has {behind!r} behind it instead of the separator {sign} or the end of the line{rows}: remove a "
        f'quote that is one too many, write one within quotes twice (""), or name the separator (sep=)'
    )


def _short(cell: str) -> str:
    text = _BREAK.split(cell)[0]
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")
