"""Words and tables for the terminal."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["columns", "count", "plain", "say", "size", "terminal_width", "without_markup", "wrapped_table"]


def say(*lines: str) -> None:
    """Write lines to standard output."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def terminal_width() -> int:
    """Columns of the terminal, 120 where there is none."""
    return max(60, shutil.get_terminal_size(fallback=(120, 24)).columns)


def count(number: int, noun: str) -> str:
    """Number and noun.

    Examples
    --------
    >>> count(1, "class"), count(1200, "tensor"), count(2, "class"), count(5, "series")
    ('1 class', '1,200 tensors', '2 classes', '5 series')
    """
    if number == 1 or noun.endswith("series"):
        return f"{number:,} {noun}"
    return f"{number:,} {noun}es" if noun.endswith("s") else f"{number:,} {noun}s"


def size(number: int) -> str:
    """Bytes for people.

    Examples
    --------
    >>> size(312), size(2_570_000)
    ('312 bytes', '2.6 MB')
    """
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= factor:
            return f"{number / factor:.1f} {unit}"
    return f"{number} bytes"


def plain(value: Any) -> str:
    """Plain data in one line, as YAML writes it inside a line.

    Examples
    --------
    >>> plain({"lr": 0.001, "device": "cpu", "resume": None, "callbacks": []})
    '{lr: 0.001, device: cpu, resume: null, callbacks: []}'
    """
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {plain(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(plain(entry) for entry in value) + "]"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return str(value)


def without_markup(text: str) -> str:
    """Text of a docstring as it reads in a terminal.

    Examples
    --------
    >>> without_markup("for :func:`kinview.load`, a :class:`~kinview.Trainer` or ``None``")
    'for kinview.load, a kinview.Trainer or None'
    """
    return re.sub(r":[a-z]+:`~?([^`]*)`|``([^`]*)``", lambda match: match[1] or match[2], text)


def columns(rows: Sequence[tuple[str, str]], indent: int = 0, width: int | None = None) -> list[str]:
    """Lines of two columns; the second is folded to the width of the terminal.

    Examples
    --------
    >>> columns([("method", "ts2vec"), ("weights", "640,000")])
    ['method   ts2vec', 'weights  640,000']
    """
    first = max((len(name) for name, _ in rows), default=0) + 2
    room = max(20, (width or terminal_width()) - indent - first)
    lines = []
    for name, text in rows:
        parts = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False) or [""]
        for position, part in enumerate(parts):
            lines.append((" " * indent + f"{name if position == 0 else '':<{first}}{part}").rstrip())
    return lines


def wrapped_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], folded: Mapping[int, float], width: int | None = None
) -> list[str]:
    """Lines of a table; the columns in ``folded`` share the rest of the width in these proportions.

    Examples
    --------
    >>> for line in wrapped_table(("name", "summary"), [("raw", "The values themselves.")], {1: 1.0}, width=24):
    ...     line
    'name  summary'
    'raw   The values'
    '      themselves.'
    """
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    room = (width or terminal_width()) - sum(widths[i] for i in range(len(header)) if i not in folded)
    room -= 2 * (len(header) - 1)
    for i, share in folded.items():
        widths[i] = min(widths[i], max(12, int(room * share)))
    lines = []
    for row in [header, *rows]:
        cells = [textwrap.wrap(cell, widths[i], break_on_hyphens=False) or [""] for i, cell in enumerate(row)]
        for line in range(max(map(len, cells))):
            parts = [cell[line] if line < len(cell) else "" for cell in cells]
            lines.append("  ".join(f"{part:<{widths[i]}}" for i, part in enumerate(parts)).rstrip())
    return lines
