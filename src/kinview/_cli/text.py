"""Words and tables for the terminal."""

from __future__ import annotations

import functools
import re
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from kinview.printable import printable

__all__ = ["complain", "count", "plain", "say", "size", "table", "terminal_width", "without_markup"]


def say(*lines: str) -> None:
    """Write lines to standard output; what in them would act on a terminal is shown, not sent."""
    sys.stdout.write("".join(f"{_one_line(line)}\n" for line in lines))
    sys.stdout.flush()


def complain(text: str) -> None:
    """Write one line to standard error, in the same way."""
    sys.stdout.flush()
    sys.stderr.write(f"kinview: {_one_line(text)}\n")


def _one_line(text: str) -> str:
    return printable(text).replace("\n", r"\n")


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


def table(
    rows: Sequence[Sequence[str]], header: Sequence[str] = (), folded: Mapping[int, float] | None = None
) -> list[str]:
    """Lines of a table that fits the terminal.

    Columns in ``folded`` share what the others leave of its width in these proportions; by default the last one.

    Examples
    --------
    >>> table([("method", "ts2vec"), ("weights", "640,000")])
    ['method   ts2vec', 'weights  640,000']
    """
    from tabulate import tabulate

    rows = [[printable(cell) for cell in row] for row in rows]
    names = [[f"{name}  " for name in header]] if header else []  # tabulate gives a heading two blanks more
    widths = [max(map(len, column)) for column in zip(*rows, *names)]
    folded = {len(widths) - 1: 1.0} if folded is None else folded
    room = terminal_width() - sum(width + 2 for i, width in enumerate(widths) if i not in folded) - 2 * len(folded) + 2
    widths = [max(12, int(room * folded[i])) if i in folded else width for i, width in enumerate(widths)]
    # Wrapped here: tabulate takes text like "640,000" for a number where it wraps. Prose is broken anywhere if it must
    # be, what stands without a header (paths, values) is not.
    fold = functools.partial(textwrap.fill, break_long_words=bool(header), break_on_hyphens=False)
    cells = [[fold(cell, width) for cell, width in zip(row, widths)] for row in rows]
    return tabulate(cells, header, tablefmt="plain", disable_numparse=True, preserve_whitespace=True).splitlines()
