"""Delimited text as a DataFrame: the separator, the header, the types of the columns."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from kinview.datasets.cells import EXACT, settle
from kinview.datasets.first_lines import (
    lacks_one_name,
    otherwise_written,
    refuse_comment,
    refuse_decimal_commas,
    refuse_title,
    refuse_units,
    warn_of_decimal_commas,
)
from kinview.datasets.foreign_files import refuse_drawn
from kinview.datasets.header import has_header, names_columns
from kinview.datasets.quotes import check_quotes
from kinview.datasets.rows import number_records
from kinview.datasets.text import MISSING, parse_csv
from kinview.datasets.text_lines import (
    BLANKS,
    TextLines,
    cells,
    check_encoding,
    excel_separator,
    records,
    refuse_other_separator,
    separator_of,
    unquoted,
)

__all__ = ["NA", "TextFormat", "column_position", "read_delimited"]

NA = str | Sequence[str] | Mapping[str, Any]

_ROWS = 1000  # rows of the first part that are looked at
_LINES = 30  # lines of it in which separators are counted


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
    comment : str, optional
    skiprows : int or sequence of int
    encoding : str
    named : bool
        Whether the first line names the columns where ``header`` is not given, as in long files; numbers do not.

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
    comment: str | None = None
    skiprows: int | Sequence[int] = 0
    encoding: str = "utf-8"
    named: bool = dataclasses.field(default=False, compare=False)

    def __post_init__(self) -> None:
        if self.sep is not None:
            object.__setattr__(self, "sep", {"\\t": "\t", " ": BLANKS}.get(self.sep, self.sep))
            if self.sep != BLANKS and (len(str(self.sep)) != 1 or str(self.sep) in '"\r\n' or str(self.sep).isalnum()):
                raise ValueError(
                    f"sep={self.sep!r} must be one sign such as ',', ';', '|' or '\\t', or '\\s+' for blanks"
                )
        if self.decimal not in (".", ","):
            raise ValueError(f"decimal={self.decimal!r} must be '.' or ','")
        if self.thousands is not None and (len(self.thousands) != 1 or self.thousands in '+-0123456789eE"'):
            raise ValueError(f"thousands={self.thousands!r} must be one sign such as ',', '.', ' ' or \"'\"")
        if self.thousands == self.decimal:
            raise ValueError(f"decimal and thousands are both {self.decimal!r}; they must differ")
        self._check_lines()

    def _check_lines(self) -> None:
        """Check what says which lines are read, and how."""
        check_encoding(self.encoding)
        lines = (self.skiprows,) if isinstance(self.skiprows, int | str) else tuple(self.skiprows)
        if not all(isinstance(line, int) and not isinstance(line, bool) and line >= 0 for line in lines):
            raise ValueError(
                f"skiprows={self.skiprows!r} must be how many lines at the top are left out, or a list of which (the "
                f"first is 0)"
            )
        if not isinstance(self.skiprows, int):
            object.__setattr__(self, "skiprows", lines)
        if self.comment is None:
            return
        if len(self.comment) != 1 or self.comment in "+-.\"'\r\n" or self.comment.isalnum() or self.comment.isspace():
            raise ValueError(f"comment={self.comment!r} must be one sign such as '#' or '%'")
        for name in ("sep", "decimal", "thousands"):
            if getattr(self, name) == self.comment:
                raise ValueError(f"{name} and comment are both {self.comment!r}; they must differ")

    @property
    def is_default(self) -> bool:
        """Whether nothing is said."""
        return self == TextFormat()

    def missing(self, names: Sequence[str], source: Path) -> list[tuple[str, ...]]:
        """The cells that are missing, of each column: empty ones, the usual signs, and ``na_values``."""
        if not isinstance(self.na_values, Mapping):
            self._check_columns_within(names)
            return [(*MISSING, *_texts(self.na_values))] * len(names)
        found: list[tuple[str, ...]] = [MISSING] * len(names)
        for name, signs in self.na_values.items():
            found[column_position(names, name, source)] = (*MISSING, *_texts(signs))
        return found

    def _check_columns_within(self, names: Sequence[str]) -> None:
        """Refuse an entry ``name:cell`` of ``na_values`` that begins with the name of a column."""
        for sign in _texts(self.na_values):
            name, colon, cell = sign.partition(":")
            if colon and cell and name.strip() in names and not name.strip().isdigit():
                name, cell = name.strip(), cell.strip()
                raise ValueError(
                    f"na_values={sign!r} begins with the name of a column: by column it is a mapping, "
                    f"na_values={{{name!r}: [{cell!r}]}} (in YAML na_values: {{{name}: ['{cell}']}}, on the "
                    f"command line --na_values \"{{{name}: ['{cell}']}}\")"
                )


def read_delimited(source: Path, format: TextFormat, codes: Sequence[str | int] = ()) -> pd.DataFrame:
    """Read delimited text; the columns in ``codes`` are categories of text, the others have the type of their cells.

    The name of a first column may be empty: it holds the names of the rows. Columns after it without name and cells
    (a separator at the ends of the lines) are left out.

    Names that lack one for the first column of all rows, as R's ``write.table`` writes them, are read so too. A first
    line ``sep=;``, as spreadsheets write it, says the separator.

    Raises
    ------
    ValueError
        If the file is not of the encoding, is empty or has no rows, two columns share a name, one has cells but no
        name, a row has more cells than there are names, a title or units stand among the lines, or separator or header
        cannot be told; the message says what to give.
    """
    top = _Top.read(source, format, codes)
    names = top.names
    _check_names(names, source)
    kept = [i for i, name in enumerate(names) if i == 0 or name]
    known = [names[i] for i in kept]
    coded = {kept[column_position(known, column, source)] for column in codes} | ({0} if names[0] == "" else set())
    missing = format.missing(known, source)
    by_place = {place: missing[kept.index(place)] if place in kept else MISSING for place in range(len(names))}
    top.check_rows(list(by_place.values()), format)
    frame = _parse(top, by_place, coded, format)
    _check_nameless(frame, set(range(len(names))) - set(kept), source)
    columns = [
        frame[place] if place in coded else settle(frame[place], by_place[place], format.decimal, format.thousands)
        for place in kept
    ]
    found = pd.DataFrame(dict(enumerate(columns)), index=frame.index)
    found = found.set_axis(pd.Index(known, dtype=object), axis=1)
    return number_records(found, top.file, top.separator, header=top.header, places=kept)


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


@dataclasses.dataclass(frozen=True)
class _Top:
    """What the first lines say: how to read the file, the names of its columns, and the first rows below them."""

    file: TextLines
    separator: str
    names: list[str]
    header: bool
    rows_are_named: bool  # but their column has no name
    commas_are_unsure: bool  # and one of them could be a decimal sign instead
    body: list[list[str]]
    line: int  # that of the first row

    @classmethod
    def read(cls, source: Path, format: TextFormat, codes: Sequence[str | int]) -> _Top:
        skipped = format.skiprows if isinstance(format.skiprows, int) else frozenset(format.skiprows)
        file = TextLines(source, check_encoding(format.encoding), skipped, format.comment)
        head = file.head()
        said = excel_separator(next(io.StringIO(head.text, newline="")))
        if said is not None:
            skipped = max(skipped, 1) if isinstance(skipped, int) else skipped | {0}
            file = dataclasses.replace(file, skipped=skipped)
        lines = records(file.kept(io.StringIO(head.text, newline="")), _ROWS + 1) or records(file.lines(), _ROWS + 1)
        lines = lines[:-1] if not head.is_whole and 1 < len(lines) <= _ROWS else lines  # the last may be cut off
        if not lines:
            raise ValueError(f"{source} has no lines beside those that are left out (skiprows=, comment=)")
        numbers, texts = [number for number, _ in lines], [text for _, text in lines]
        refuse_drawn(texts, source)
        if format.sep is not None:
            refuse_other_separator(format.sep, texts[:_LINES], source, format.decimal)
        separator = format.sep or said or _separator(texts[:_LINES], source, format.decimal)
        rows, failure = _cells_of(texts, separator)
        if head.has_quotes:
            check_quotes(file, separator, rows)
        if failure:
            raise ValueError(f"{source} cannot be read: {failure}")
        return cls._found(file, separator, rows, numbers, format, codes, quoted=_in_quotes(texts))

    @classmethod
    def _found(
        cls,
        file: TextLines,
        sep: str,
        rows: list[list[str]],
        numbers: list[int],
        format: TextFormat,
        codes: Sequence[str | int],
        *,
        quoted: bool,
    ) -> _Top:
        source, header, first = file.path, format.header, [cell.strip() for cell in rows[0]]
        ends = max(map(len, rows)) == len(first) + 1 and not any("".join(row[len(first) :]).strip() for row in rows)
        sure = quoted or header is True or (format.named and sep != ",")
        named = not ends and header is not False and lacks_one_name(rows, sure=sure)
        unsure = named and sep == "," and not sure
        if unsure:
            refuse_decimal_commas(rows, source)
        if not ends and not named:
            refuse_title(rows, numbers, source, header, sep)
        if header is None and not named and format.named:
            header = names_columns(rows, str(source), codes, decimal=format.decimal, thousands=format.thousands)
        if header is None and not named:
            refuse_comment(rows, source)
            header = has_header(rows, str(source), decimal=format.decimal, thousands=format.thousands)
        header = header or named
        names = first if header else [f"x{i}" for i in range(len(first))]
        names = ["", *names] if named else [*names, ""] if ends else names  # a separator at the ends of the lines
        body = rows[1:] if header else rows
        if not body:
            raise ValueError(
                f"{source} has no rows below the names in its first line ({', '.join(names[:6])}"
                f"{', ...' if len(names) > 6 else ''}); header=False if that line is a row"
            )
        return cls(file, sep, names, header, named, unsure, body, numbers[min(header, len(numbers) - 1)])

    def check_rows(self, missing: list[tuple[str, ...]], format: TextFormat) -> None:
        """Refuse units below the names, and in a file whose rows are named what is named twice or not at all.

        Warn where a comma could be a decimal sign.
        """
        if self.header:
            written = {"decimal": format.decimal, "thousands": format.thousands}
            refuse_units(self.body, missing, self.line, self.file.path, **written)
        if not self.rows_are_named:
            return
        seen: set[str] = set()
        rows = self.rows()
        next(rows)
        for number, row in rows:
            if len(row) != len(self.names) or row[0] in seen:
                why = f"names the row {row[0]!r} a second time" if row[0] in seen else f"has {_count(row)}"
                raise ValueError(
                    f"{self.file.path}, line {number} {why}: the first line has {_count(self.names[1:])}, so the first "
                    f"of {len(self.names)} should name the rows, each once; give each column a name in the first line"
                )
            seen.add(row[0])
        if self.commas_are_unsure:
            warn_of_decimal_commas([self.names[1:], *self.body], self.file.path)

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """The cells of every line that is not blank, and its number."""
        number = 0

        def texts() -> Iterator[str]:
            nonlocal number
            for at, text in self.file.lines():
                number = at
                if text.strip():
                    yield text

        for row in cells(texts(), self.separator):
            yield number, row

    def refuse_long_rows(self) -> None:
        """Refuse a row of more cells than there are columns."""
        width = len(self.names)
        for number, row in self.rows():
            if len(row) > width:
                otherwise = otherwise_written([row], width, self.separator, self.names)
                raise ValueError(
                    f"{self.file.path}, line {number} has {_count(row)}, the lines above it {width}: {otherwise}put a "
                    f"cell that holds the separator {self.separator!r} in quotes, name another separator (sep=), or, "
                    f"if that is no row of the table, leave it out (skiprows=[{number - 1}])"
                )


def _cells_of(texts: list[str], separator: str) -> tuple[list[list[str]], str]:
    """Cells of lines of text, up to one that cannot be parted, and why it cannot."""
    rows: list[list[str]] = []
    try:
        rows.extend(cells(texts, separator))
    except csv.Error as error:
        return rows, str(error)
    return rows, ""


def _separator(texts: list[str], source: Path, decimal: str) -> str:
    """Separator of the first lines; blanks also where the first has one cell fewer, as R's write.table writes it."""
    found = separator_of(texts, source, decimal)
    if found == BLANKS or any(found in unquoted(text) for text in texts):
        return found
    rows, quoted = list(cells(texts, BLANKS)), _in_quotes(texts)
    return BLANKS if (quoted or len(rows[0]) > 1) and lacks_one_name(rows, sure=quoted) else found


def _in_quotes(texts: Sequence[str]) -> bool:
    """Whether the names are in quotes, and the first cell of each row, as R writes them."""
    names = len(texts[0]) > 2 and texts[0].startswith('"') and texts[0].endswith('"')
    return names and all(text.startswith('"') for text in texts)


def _count(row: Sequence[str]) -> str:
    return f"{len(row)} {'cell' if len(row) == 1 else 'cells'}"


def _parse(top: _Top, missing: dict[int, tuple[str, ...]], coded: set[int], format: TextFormat) -> pd.DataFrame:
    """The file with columns 0, 1, ...; whole numbers that a float with a gap would round are left as text."""
    spelled = format.decimal != "." or format.thousands is not None
    options: dict[str, Any] = {"sep": top.separator, "header": 0 if top.header else None, "names": range(len(missing))}
    options |= {"index_col": False, "compression": None}
    alike = len(set(missing.values())) == 1
    options["missing"] = list(missing[0]) if alike else {place: list(cells) for place, cells in missing.items()}
    dtypes: dict[int, Any] = dict.fromkeys(missing, str) if spelled else {}
    try:
        with top.file.opened() as readable:
            frame = parse_csv(
                readable, top.file.path, dtype=dtypes | dict.fromkeys(coded, "category"), **options
            )  # fmt: skip
    except ValueError:
        with contextlib.suppress(csv.Error):
            top.refuse_long_rows()
        raise
    large = [
        name for name in frame.columns if frame[name].dtype.kind == "f" and bool((frame[name].abs() >= EXACT).any())
    ]
    if large:
        with top.file.opened() as readable:
            texts = parse_csv(readable, top.file.path, dtype=dict.fromkeys(large, str), usecols=large, **options)
        whole = [name for name in large if texts[name].dropna().str.fullmatch(r"[+-]?\d+\s*").all()]
        for name in whole:
            frame[name] = texts[name]
    return frame


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
                f"{source}: column {place} (the first is 0) has no name, but {cell!r} in row {row + 1} "
                f"(counted from 1); give it a name in the first line, or leave that line out if it is no part of the "
                f"table (skiprows=)"
            )


def _texts(cells: Any) -> tuple[str, ...]:
    given = (cells,) if isinstance(cells, str | int | float) else tuple(cells)
    return tuple(str(cell) for cell in given)
