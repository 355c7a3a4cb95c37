"""Text files as lines: their encoding, the lines that are left out, comments, and what separates the cells."""

from __future__ import annotations

import codecs
import contextlib
import csv
import dataclasses
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

__all__ = [
    "BLANKS",
    "Head",
    "Line",
    "TextLines",
    "cells",
    "check_encoding",
    "excel_separator",
    "records",
    "refuse_other_separator",
    "separator_of",
    "unquoted",
]

BLANKS = r"\s+"

Line = tuple[int, str]  # its number, the first is 1, and its text

_UTF8 = "utf-8-sig"  # of which a byte order mark is no part of the text
_SEPARATORS = ("\t", ";", "|", ",")
_CHUNK = 1 << 20  # bytes from which separator and header are told
_LONGEST = 100_000  # characters after which a quote that is never closed is none
_BREAK = re.compile("\r\n?|\n")
_EXCEL = re.compile(r'"?sep=([^"\r\n])"?\s*', re.IGNORECASE)
# a cell in quotes, to the end of the text where they are not closed; a quote begins a cell, so inches stay
_QUOTED = r'(?:^|(?<=[\t;|,\s]))"(?:[^"]|"")*("|\Z)'
_BOMS = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32", codecs.BOM_UTF16_LE: "utf-16",
         codecs.BOM_UTF16_BE: "utf-16"}  # fmt: skip


class Head(NamedTuple):
    """The first part of a text, whether that is all of it, and whether a quote stands anywhere in the text."""

    text: str
    is_whole: bool
    has_quotes: bool


@dataclasses.dataclass(frozen=True)
class TextLines:
    """The lines of a text file that are read: decoded, without those that are skipped, without comments.

    Parameters
    ----------
    path : Path
        The file.
    encoding : str
        As :func:`check_encoding` has it; UTF-16 is recognised by its byte order mark.
    skipped : int or frozenset of int
        How many lines at the top, or which lines (the first is 0) are left out.
    comment : str, optional
        The sign with which a comment begins, which goes on to the end of the line; within quotes it is none.
    """

    path: Path
    encoding: str
    skipped: int | frozenset[int] = 0
    comment: str | None = None

    def __post_init__(self) -> None:
        if self.encoding == _UTF8:
            with self.path.open("rb") as file:
                start = file.read(4)
            found = [name for mark, name in _BOMS.items() if start.startswith(mark)]
            object.__setattr__(self, "encoding", found[0] if found else _UTF8)

    def head(self) -> Head:
        """The first part of the text; all of it is checked to be text.

        Raises
        ------
        ValueError
            If the file is of another encoding, or empty; the message has the encoding that it may be of.
        """
        decoder = codecs.getincrementaldecoder(self.encoding)()
        first, position, chunk, line, quoted = "", 0, b"", 1, False
        with self.path.open("rb") as file:
            while position == 0 or chunk:
                held = len(decoder.getstate()[0])
                chunk = file.read(_CHUNK)
                try:
                    text = decoder.decode(chunk, final=not chunk)
                except UnicodeError as error:
                    at = f" at byte {position - held + error.start}" if isinstance(error, UnicodeDecodeError) else ""
                    why = f"{getattr(error, 'reason', None) or error}{at}"
                    raise ValueError(self._other(f" is not {self._name} text ({why})", chunk)) from None
                if "\0" in text:
                    line += len(_BREAK.findall(text[: text.index("\0")]))
                    what = f", line {line}: it holds NUL characters, so the file is damaged, or of another encoding"
                    raise ValueError(self._other(what, chunk))
                line += len(_BREAK.findall(text)) if "\r" in text else text.count("\n")
                first = first if position else text
                quoted = quoted or '"' in text
                position += len(chunk)
                if not position:
                    break
        if position <= _CHUNK and not first.strip():
            raise ValueError(f"{self.path} is empty")
        return Head(first, position <= _CHUNK, quoted)

    def lines(self) -> Iterator[Line]:
        """All lines that are read."""
        with self.path.open(encoding=self.encoding, newline="") as file:
            yield from self.kept(file)

    def kept(self, lines: Iterable[str]) -> Iterator[Line]:
        """Those of these lines, from the first of the file on, that are read."""
        skipped = range(self.skipped) if isinstance(self.skipped, int) else self.skipped
        numbered = ((number, line) for number, line in enumerate(lines, 1) if number - 1 not in skipped)
        return numbered if self.comment is None else _uncommented(numbered, self.comment)

    @contextlib.contextmanager
    def opened(self) -> Iterator[Path | io.TextIOBase]:
        """What a reader of UTF-8 text takes: the file itself where its lines are read as they are, else these lines."""
        if (self.encoding, self.skipped, self.comment) == (_UTF8, 0, None):
            yield self.path
        else:
            with contextlib.closing(self.lines()) as lines:  # type: ignore[type-var]  # a generator
                yield _Reader(lines)

    @property
    def _name(self) -> str:
        return "UTF-8" if self.encoding == _UTF8 else self.encoding

    def _other(self, what: str, chunk: bytes) -> str:
        """Message that what is read is no text, with the encoding that it may be of."""
        with self.path.open("rb") as file:
            start = file.read(_CHUNK)
        return f"{self.path}{what}; say how it is encoded (encoding={_guess(start, chunk, self.encoding)!r}, perhaps)"


def check_encoding(encoding: str) -> str:
    """Name of an encoding as Python has it.

    Raises
    ------
    ValueError
        If there is no such encoding of text.

    Examples
    --------
    >>> check_encoding("utf8"), check_encoding("Latin-1")
    ('utf-8-sig', 'iso8859-1')
    """
    try:
        found = codecs.lookup(encoding)
        known = isinstance(codecs.getincrementaldecoder(encoding)().decode(b""), str)
    except (LookupError, TypeError, ValueError):
        known = False
    if not known or found.name == "undefined":
        raise ValueError(
            f"encoding={encoding!r} is no encoding of text; expected one such as 'utf-8', 'latin-1', 'cp1252' "
            f"(Windows) or 'utf-16'"
        )
    return _UTF8 if found.name in ("utf-8", _UTF8) else found.name


def excel_separator(line: str) -> str | None:
    """The sign that a line ``sep=;`` names, with which spreadsheets begin a text file; None where it is no such line.

    Examples
    --------
    >>> excel_separator("sep=;"), excel_separator("sep,age")
    (';', None)
    """
    found = _EXCEL.fullmatch(line)
    return found and found[1]


def records(lines: Iterable[Line], most: int | None = None) -> list[Line]:
    """The first lines that are not blank, with their numbers; one that breaks within quotes goes on in the next."""
    found: list[Line] = []
    held, start = "", 0
    for number, line in lines:
        start = start if held else number
        held += line.rstrip("\r\n") + "\n"
        if not held.strip():
            held = ""
        elif not _breaks_within_quotes(held):
            found.append((start, held.rstrip("\n")))
            held = ""
            if len(found) == most:
                return found
    return [*found, (start, held)] if held and not found else found


def cells(texts: Iterable[str], separator: str) -> Iterator[list[str]]:
    """Cells of each line of text.

    Examples
    --------
    >>> list(cells(['a, "b,c"', "1,2"], ",")), list(cells(["a   b"], BLANKS))
    ([['a', 'b,c'], ['1', '2']], [['a', 'b']])
    """
    if separator != BLANKS:
        return csv.reader(texts, delimiter=separator, skipinitialspace=True)
    return csv.reader((re.sub(r"\s+", " ", text.strip()) for text in texts), delimiter=" ")


def separator_of(texts: Sequence[str], source: Path, decimal: str = ".", remedy: str = "say which with sep=") -> str:
    r"""Separator of lines: what stands equally often, outside quotes, in each of them, else ``\s+``.

    Raises
    ------
    ValueError
        If it could be either of two; the message ends in the remedy.

    Examples
    --------
    >>> separator_of(["a;b", "1,5;2"], Path("x.csv")), separator_of(["a  b", "1 2"], Path("x.csv"))
    (';', '\\s+')
    """
    counts = _counts(texts, decimal)
    even = _even(texts, decimal)
    if len(even) > 1:
        raise ValueError(f"{source}: the columns could be separated by {' or '.join(map(repr, even))}; {remedy}")
    if even:
        return even[0]
    everywhere = [sign for sign, count in counts.items() if min(count) > 0]
    if everywhere:
        return max(everywhere, key=lambda sign: min(counts[sign]))
    blank = {len(unquoted(text).split()) for text in texts}
    if len(blank) == 1 and blank != {1}:
        return BLANKS
    return max(counts, key=lambda sign: (sum(count > 0 for count in counts[sign]), counts[sign][0]))


def _even(texts: Sequence[str], decimal: str) -> list[str]:
    """Signs that may be separators and stand equally often, outside quotes, in each of these lines."""
    return [sign for sign, count in _counts(texts, decimal).items() if len(set(count)) == 1 and count[0] > 0]


def _counts(texts: Sequence[str], decimal: str) -> dict[str, list[int]]:
    return {sign: [unquoted(text).count(sign) for text in texts] for sign in _SEPARATORS if sign != decimal}


def refuse_other_separator(given: str, texts: Sequence[str], source: Path, decimal: str) -> None:
    """Refuse a given separator that the first line has not, where another stands equally often in all lines.

    Raises
    ------
    ValueError
        That has both.
    """
    if given == BLANKS or len(texts) < 2 or given in unquoted(texts[0]):
        return
    for sign in _even(texts, decimal):
        raise ValueError(
            f"{source}: sep={given!r} does not stand in the first line ({texts[0][:60]!r}), and {sign!r} equally often "
            f"in all of the first lines: give sep={sign!r}, or put cells that hold {sign!r} in quotes"
        )


class _Reader(io.TextIOBase):
    """Lines as a file that is read."""

    def __init__(self, lines: Iterator[Line]) -> None:
        self._lines = lines

    def read(self, size: int | None = -1, /) -> str:
        """Whole lines of at least so many characters, fewer only at the end."""
        found, length = [], 0
        for _, line in self._lines:
            found.append(line)
            length += len(line)
            if size is not None and 0 <= size <= length:
                break
        return "".join(found)


def _uncommented(lines: Iterable[Line], sign: str) -> Iterator[Line]:
    """Lines without what follows the sign outside quotes; one that breaks within quotes and those after it are one."""
    either = re.compile(f"{_QUOTED}|{re.escape(sign)}")
    held, start = "", 0
    for number, line in lines:
        start = start if held else number
        held += line
        opened = False
        if sign in held or '"' in held:
            for match in either.finditer(held):
                if match[1] is None:
                    held = held[: match.start()] + held[len(held.rstrip("\r\n")) :]
                    break
                opened = match[1] == "" and len(held) <= _LONGEST
        if not opened:
            yield start, held
            held = ""
    if held:
        yield start, held


def _breaks_within_quotes(text: str) -> bool:
    """Whether a cell in quotes is not closed."""
    return '"' in text and len(text) <= _LONGEST and any(match[1] == "" for match in re.finditer(_QUOTED, text))


def unquoted(line: str) -> str:
    """A line with an x for each cell in quotes."""
    return re.sub(r'(^|[\t;|,\s])"(?:[^"]|"")*"', r"\1x", line)


def _guess(start: bytes, chunk: bytes, said: str) -> str:
    """Encoding that a file of this start may be of; ``chunk`` is where it is not of the one that is said."""
    for mark, name in _BOMS.items():
        if start.startswith(mark):
            return name
    even, odd = start[::2].count(0), start[1::2].count(0)
    if even or odd:
        return "utf-16-le" if odd >= even else "utf-16-be"
    if said != _UTF8:
        with contextlib.suppress(UnicodeDecodeError):
            codecs.getincrementaldecoder("utf-8")().decode(start)
            return "utf-8"
    return "cp1252" if any(0x80 <= byte <= 0x9F for byte in chunk or start) else "latin-1"
