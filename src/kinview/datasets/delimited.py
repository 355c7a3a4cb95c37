"""Delimited text as a DataFrame: the separator, the header, the types of the columns."""

from __future__ import annotations

import codecs
import csv
import dataclasses
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from kinview.datasets.cells import EXACT, settle
from kinview.datasets.header import has_header
from kinview.datasets.rows import number_records
from kinview.datasets.text import MISSING, parse_csv

__all__ = ["NA", "TextFormat", "column_position", "read_delimited"]

NA = str | Sequence[str] | Mapping[str, Any]

_SEPARATORS = ("\t", ";", "|", ",")
_BLANKS = r"\s+"
_HEAD = 1 << 20  # bytes from which separator and header are told
_ROWS = 1000  # rows of them that are looked at
_LINES = 30  # lines of them in which separators are counted


@dataclasses.dataclass(frozen=True)
class TextFormat:
    """How a text file is written, in pandas' words; :func:`kinview.datasets.read_wide` documents them.

    Parameters
    ----------
    header : bool, optional
    sep : str, optional
    na_values : str, sequence of str, or mapping from columns to these
    decimal : {".", ","}
    thousands : str, optional

    Raises
    ------
    ValueError
        If one of them is not what it can be, or two of them are the same sign.
    """

    header: bool | None = None
    sep: str | None = None
    na_values: NA = ()
    decimal: str = "."
    thousands: str | None = None

    def __post_init__(self) -> None:
        if self.sep is not None:
            object.__setattr__(self, "sep", {"\\t": "\t", " ": _BLANKS}.get(self.sep, self.sep))
            if self.sep != _BLANKS and (len(str(self.sep)) != 1 or str(self.sep) in '"\r\n' or str(self.sep).isalnum()):
                raise ValueError(
                    f"sep={self.sep!r} must be one sign such as ',', ';', '|' or '\\t', or '\\s+' for blanks"
                )
        if self.decimal not in (".", ","):
            raise ValueError(f"decimal={self.decimal!r} must be '.' or ','")
        if self.thousands is not None and (len(self.thousands) != 1 or self.thousands in '+-0123456789eE"'):
            raise ValueError(f"thousands={self.thousands!r} must be one sign such as ',', '.', ' ' or \"'\"")
        if self.thousands == self.decimal:
            raise ValueError(f"decimal and thousands are both {self.decimal!r}; they must differ")

    @property
    def is_default(self) -> bool:
        """Whether nothing is said."""
        return self == TextFormat()

    def missing(self, names: Sequence[str], source: Path) -> list[tuple[str, ...]]:
        """The cells that are missing, of each column: empty ones, the usual signs, and ``na_values``."""
        if not isinstance(self.na_values, Mapping):
            return [(*MISSING, *_texts(self.na_values))] * len(names)
        found: list[tuple[str, ...]] = [MISSING] * len(names)
        for name, cells in self.na_values.items():
            found[column_position(names, name, source)] = (*MISSING, *_texts(cells))
        return found


def read_delimited(source: Path, format: TextFormat, codes: Sequence[str | int] = ()) -> pd.DataFrame:
    """Read delimited text; the columns in ``codes`` are categories of text, the others have the type of their cells.

    The name of a first column may be empty: it holds the names of the rows. Columns after it without name and cells
    (a separator at the ends of the lines) are left out.

    Raises
    ------
    ValueError
        If the file is not UTF-8, is empty, two columns share a name, one has cells but no name, or separator or header
        cannot be told; the message says what to give.
    """
    head, whole = _head(source)
    separator = format.sep or _separator(head, source, format.decimal)
    rows = _rows(head, separator, source, complete=whole)
    header = format.header
    if header is None:
        header = has_header(rows, str(source), decimal=format.decimal, thousands=format.thousands)
    names = [cell.strip() for cell in rows[0]] if header else [f"x{i}" for i in range(len(rows[0]))]
    extra = max(map(len, rows)) - len(names)
    if extra == 1 and not any("".join(row[len(names) :]).strip() for row in rows):
        names.append("")  # a separator at the ends of the lines
    _check_names(names, source)
    kept = [i for i, name in enumerate(names) if i == 0 or name]
    known = [names[i] for i in kept]
    coded = {kept[column_position(known, column, source)] for column in codes} | ({0} if names[0] == "" else set())
    missing = format.missing(known, source)
    by_place = {place: missing[kept.index(place)] if place in kept else MISSING for place in range(len(names))}
    frame = _parse(source, separator, header, by_place, coded, format)
    _check_nameless(frame, set(range(len(names))) - set(kept), source)
    columns = [
        frame[place] if place in coded else settle(frame[place], by_place[place], format.decimal, format.thousands)
        for place in kept
    ]
    found = pd.DataFrame(dict(enumerate(columns)), index=frame.index)
    found = found.set_axis(pd.Index(known, dtype=object), axis=1)
    return number_records(found, source, separator, header=header, places=kept)


def column_position(names: Sequence[str], column: str | int, source: Path) -> int:
    """Position of a column given by its name or position (-1 is the last); the message of a miss lists what there is.

    Raises
    ------
    ValueError
        If there is no such column.

    Examples
    --------
    >>> [column_position(["age", "died"], column, Path("x.csv")) for column in ("died", -1, "0")]
    [1, 1, 0]
    """
    if isinstance(column, str) and column in names:
        return list(names).index(column)
    text = str(column)
    if re.fullmatch("-?[0-9]+", text) and -len(names) <= int(text) < len(names):
        return int(text) % len(names)
    shown = ", ".join(names[:20]) + (f", ... ({len(names)} in all)" if len(names) > 20 else "")
    raise ValueError(f"{source.name} has no column {column!r}; its columns are: {shown}")


def _parse(
    source: Path, separator: str, header: bool, missing: dict[int, tuple[str, ...]], coded: set[int], format: TextFormat
) -> pd.DataFrame:
    """The file with columns 0, 1, ...; whole numbers that a float with a gap would round are left as text."""
    spelled = format.decimal != "." or format.thousands is not None
    options: dict[str, Any] = {"sep": separator, "header": 0 if header else None, "names": range(len(missing))}
    options |= {"index_col": False, "compression": None}
    alike = len(set(missing.values())) == 1
    options["missing"] = list(missing[0]) if alike else {place: list(cells) for place, cells in missing.items()}
    dtypes: dict[int, Any] = dict.fromkeys(missing, str) if spelled else {}
    frame = parse_csv(source, source, dtype=dtypes | dict.fromkeys(coded, "category"), **options)
    large = [
        name for name in frame.columns if frame[name].dtype.kind == "f" and bool((frame[name].abs() >= EXACT).any())
    ]
    if large:
        texts = parse_csv(source, source, dtype=dict.fromkeys(large, str), usecols=large, **options)
        whole = [name for name in large if texts[name].dropna().str.fullmatch(r"[+-]?\d+\s*").all()]
        for name in whole:
            frame[name] = texts[name]
    return frame


def _head(source: Path) -> tuple[str, bool]:
    """The first lines of a file, and whether they are all of it; all of it is checked to be UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    first, position = "", 0
    with source.open("rb") as file:
        while chunk := file.read(_HEAD):
            try:
                text = decoder.decode(chunk)
            except UnicodeDecodeError as error:
                raise ValueError(
                    f"{source} is not UTF-8 text ({error.reason} at byte {position + error.start}); convert it first"
                ) from None
            first = first if position else text
            position += len(chunk)
    if decoder.getstate()[0]:
        raise ValueError(f"{source} is not UTF-8 text (unexpected end of data at byte {position}); convert it first")
    if position <= _HEAD and not first.strip():
        raise ValueError(f"{source} is empty")
    return first, position <= _HEAD


def _separator(head: str, source: Path, decimal: str) -> str:
    r"""Separator of a text: what stands equally often, outside quotes, in each of the first lines, else ``\s+``."""
    lines = _lines(head, _LINES)
    counts = {sign: [_unquoted(line).count(sign) for line in lines] for sign in _SEPARATORS if sign != decimal}
    even = [sign for sign, count in counts.items() if len(set(count)) == 1 and count[0] > 0]
    if len(even) > 1:
        raise ValueError(
            f"{source}: the columns could be separated by {' or '.join(map(repr, even))}; say which with sep="
        )
    if even:
        return even[0]
    everywhere = [sign for sign, count in counts.items() if min(count) > 0]
    if everywhere:
        return max(everywhere, key=lambda sign: min(counts[sign]))
    blank = {len(_unquoted(line).split()) for line in lines}
    if len(blank) == 1 and blank != {1}:
        return _BLANKS
    return max(counts, key=lambda sign: (sum(count > 0 for count in counts[sign]), counts[sign][0]))


def _lines(head: str, number: int) -> list[str]:
    """The first lines that are not blank; one that breaks within quotes goes on in the next."""
    lines: list[str] = []
    held = ""
    for line in io.StringIO(head, newline=None):
        held += line
        if not held.strip():
            held = ""
        elif held.count('"') % 2 == 0 or len(held) > 100_000:
            lines.append(held.rstrip("\n"))
            held = ""
            if len(lines) == number:
                return lines
    return lines or [held]


def _unquoted(line: str) -> str:
    """A line with an x for each cell in quotes; a quote begins a cell, so inches stay."""
    return re.sub(r'(^|[\t;|,\s])"(?:[^"]|"")*"', r"\1x", line)


def _rows(head: str, separator: str, source: Path, *, complete: bool) -> list[list[str]]:
    """Cells of the first rows."""
    lines = _lines(head, _ROWS + 1)
    lines = lines[:-1] if not complete and 1 < len(lines) <= _ROWS else lines  # the last may be cut off
    try:
        if separator != _BLANKS:
            return list(csv.reader(lines, delimiter=separator, skipinitialspace=True))
        return list(csv.reader([re.sub(r"\s+", " ", line.strip()) for line in lines], delimiter=" "))
    except csv.Error as error:
        raise ValueError(f"{source} cannot be read: {error}") from None


def _check_names(names: list[str], source: Path) -> None:
    seen: set[str] = set()
    for name in names:
        if name and name in seen:
            raise ValueError(f"{source} has two columns named {name!r}; rename one (header=False if these are data)")
        seen.add(name)


def _check_nameless(frame: pd.DataFrame, places: set[int], source: Path) -> None:
    for place in sorted(places):
        observed = frame[place].notna()
        if observed.any():
            row = int(observed.to_numpy().argmax())
            cell = str(frame[place].iloc[row])
            raise ValueError(
                f"{source}: column {place} (the first is 0) has no name, but {cell!r} in row {row}; "
                f"give it a name in the first line"
            )


def _texts(cells: Any) -> tuple[str, ...]:
    given = (cells,) if isinstance(cells, str | int | float) else tuple(cells)
    return tuple(str(cell) for cell in given)
