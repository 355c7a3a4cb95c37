"""The text of an ARFF file: its declared attributes, and the cells of its rows with the line of each."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from kinview.datasets.text import read_text, split_lines

__all__ = ["Attribute", "cells_of", "parse_arff", "unescaped"]

_NUMERIC = {"numeric", "real", "integer"}
_QUOTED = r"""'([^'\\]*(?:\\.[^'\\]*)*)'|"([^"\\]*(?:\\.[^"\\]*)*)\""""
_NAME = re.compile(rf"@attribute\s+(?:{_QUOTED}|([^\s{{]+))(.*)$", re.IGNORECASE)
_CELL = re.compile(rf"\s*+(?:(?:{_QUOTED})\s*+(?=,|$)|([^,\\]*(?:\\.[^,\\]*)*))")


@dataclasses.dataclass(frozen=True)
class Attribute:
    """A declared attribute; ``format`` is that of a date, in Java's letters, or empty."""

    name: str
    kind: str  # "numeric", "nominal", "string", "date" or "relational"
    values: tuple[str, ...] = ()
    format: str = ""


def parse_arff(source: Path) -> tuple[list[Attribute], list[tuple[int, str]]]:
    """Attributes (what a relational one contains is left out) and the data lines, each with its number in the file.

    Raises
    ------
    ValueError
        If it is not an ARFF file, there is nothing to read, or a declaration cannot be read; it names the line.
    """
    text = read_text(source)
    if "\0" in text:
        raise ValueError(f"{source} holds NUL characters, so it is not an ARFF file")
    lines = [(number, line.strip()) for number, line in enumerate(split_lines(text), 1)]
    lines = [(number, line) for number, line in lines if line and not line.startswith("%")]
    attributes: list[Attribute] = []
    inside = ""
    for place, (number, line) in enumerate(lines):
        keyword = line.split(None, 1)[0].lower()
        if keyword == "@data":
            rows = lines[place + 1 :]
            if inside:
                raise ValueError(f"{source}, line {number}: the relational attribute {inside!r} has no @end line")
            if not attributes or not rows:
                raise ValueError(
                    f"{source} has {len(attributes)} attributes and {len(rows)} data lines; nothing to read"
                )
            return attributes, rows
        if keyword == "@end":
            if not inside:
                raise ValueError(f"{source}, line {number}: @end without a relational attribute before it")
            inside = ""
        elif keyword == "@attribute":
            attribute = _attribute(line, f"{source}, line {number}")
            if inside and attribute.kind == "relational":
                raise ValueError(
                    f"{source}, line {number}: the relational attribute {attribute.name!r} lies inside {inside!r}; "
                    f"only one level is read, of which each line is a channel"
                )
            if not inside:
                attributes.append(attribute)
                inside = attribute.name or "?" if attribute.kind == "relational" else ""
    raise ValueError(f"{source} has no @data line, so it is not an ARFF file")


def cells_of(row: str, number: int, source: Path, *, expected: int) -> list[str]:
    """Cells of a data line, without their quotes but with their escapes; a comma at its end adds none.

    Raises
    ------
    ValueError
        If a quote does not end, or there are more or fewer cells than expected; it names the line.
    """
    where = f"{source}, line {number}"
    if row.startswith("{"):
        raise ValueError(f"{where}: this is a sparse ARFF file; only dense ones are read")
    cells = [cell.strip() for cell in row.split(",")] if not re.search(r"""['"\\]""", row) else _cells(row, where)
    if len(cells) == expected + 1 and not cells[-1]:
        cells.pop()
    if len(cells) != expected:
        more = "more" if len(cells) > expected else "fewer"
        raise ValueError(f"{where} has {more} cells, {len(cells)}, than there are attributes, {expected}")
    return cells


def unescaped(text: str) -> str:
    r"""Text without its escapes: ``\'`` is a quote.

    Examples
    --------
    >>> unescaped("it\\'s")
    "it's"
    """
    return re.sub(r"\\(.)", r"\1", text).strip()


def _cells(row: str, where: str) -> list[str]:
    cells, end = [], 0
    while True:
        match = _CELL.match(row, end)
        bare = None if match is None else match[3]
        if match is None or (bare and bare[0] in "'\"") or (match.end() < len(row) and row[match.end()] != ","):
            raise ValueError(
                f"{where}: the cell that begins with {row[end : end + 40].strip()!r} has a quote without end"
            )
        cells.append(bare.strip() if bare is not None else match[1] if match[1] is not None else match[2])
        if match.end() == len(row):
            return cells
        end = match.end() + 1


def _attribute(line: str, where: str) -> Attribute:
    match = _NAME.match(line)
    if match is None:
        raise ValueError(f"{where}: cannot read {line[:200]!r}")
    name = unescaped(next(part for part in match.groups()[:3] if part is not None))
    kind = match.group(4).strip()
    if kind.startswith("{"):
        inner, closed, after = kind[1:].rpartition("}")
        if not closed or (after.strip() and not after.lstrip().startswith("%")):
            raise ValueError(
                f"{where}: the values of attribute {name!r} must be written {{a, b, c}}; got {kind[-40:]!r}"
            )
        values = [unescaped(value) for value in _cells(inner.strip(), where)] if inner.strip() else []
        return Attribute(name, "nominal", tuple(dict.fromkeys(value for value in values if value)))
    word, *rest = kind.split(None, 1) or [""]
    if word.lower() in _NUMERIC:
        return Attribute(name, "numeric")
    if word.lower() in ("string", "date", "relational"):
        return Attribute(name, word.lower(), format=rest[0].strip("'\" ") if rest and word.lower() == "date" else "")
    raise ValueError(f"{where}: attribute {name!r} has the unknown type {kind[:80]!r}")
