"""A report as a LaTeX document, its tables ready to be taken into a paper."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from kinview.evaluation.report.document import Block, Code, Heading, Items, Paragraph, Strong, Table, blocks
from kinview.printable import printable

if TYPE_CHECKING:
    from kinview.evaluation.report.content import Report

__all__ = ["as_latex", "render_latex"]

_PREAMBLE = r"""\documentclass{article}
\usepackage[a4paper,landscape,margin=1.5cm]{geometry}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage{textcomp,array,booktabs,longtable}
\setlength{\parindent}{0pt}
\setlength{\emergencystretch}{3cm}
\begin{document}
"""
_SECTIONS = {1: "section*", 2: "subsection*", 3: "subsubsection*"}
_MARKS = {
    **{mark: f"\\{mark}" for mark in "&%$#_{}"},
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}", "'": r"\textquotesingle{}",
    "`": r"\textasciigrave{}",
    "\N{NO-BREAK SPACE}": "~", "\N{MINUS SIGN}": "$-$", "\N{EN DASH}": "--", "\N{PLUS-MINUS SIGN}": r"$\pm$",
    "\N{RIGHTWARDS ARROW}": r"$\rightarrow$", "\N{GREEK SMALL LETTER RHO}": r"$\rho$",
    "[": "{[}", "]": "{]}",
}  # fmt: skip
_LETTERS = 0x180  # Latin letters end here
_PINNED = 2  # columns that are repeated where a table is too wide for a page
_HEAD = 20  # characters of a line of a head over shorter texts
_LONG = 36  # characters of a line of any other text
_LETTER = 0.165  # centimetres of a character of the size of tables, bold ones too
_BETWEEN = 0.43  # centimetres between two columns
_ACROSS = 26.4  # centimetres of a page


def render_latex(report: Report) -> str:
    """Text of the report as a document that compiles by itself, with ``booktabs`` and ``longtable``."""
    return _PREAMBLE + "\n\n".join(_written(block) for block in blocks(report)) + "\n\\end{document}\n"


def as_latex(value: Any) -> str:
    r"""One line of text in which nothing is a command.

    Examples
    --------
    >>> as_latex("50 % of a_b")
    '50 \\% of a\\_b'
    """
    return "".join(_MARKS.get(mark) or _plain(mark) for mark in re.sub(r"[ \t\r\n]+", " ", printable(str(value))))


def _plain(mark: str) -> str:
    """A character that the fonts of a plain installation have: of others the letter without its accents, or ``?``."""
    if ord(mark) < _LETTERS:
        return mark
    plain = unicodedata.normalize("NFKD", mark).encode("ascii", "ignore").decode()
    return plain if plain.isalnum() else "?"


def _written(block: Block) -> str:
    match block:
        case Heading(level, text):
            return f"\\{_SECTIONS[level]}{{{as_latex(text)}}}"
        case Paragraph(text):
            return as_latex(text)
        case Items(texts):
            return "\\begin{itemize}\n" + "\n".join(f"\\item {as_latex(t)}" for t in texts) + "\n\\end{itemize}"
        case Code(text):
            lines = (_indented(line) for line in text.split("\n"))
            return "{\\ttfamily\\raggedright " + "\\\\\n".join(f"\\mbox{{}}{as_latex(line)}" for line in lines) + "\n}"
        case Table(name, heads, rows):
            return "\n\n".join(_tables(name, heads, rows))


def _tables(name: str, heads: Sequence[Any], rows: Sequence[Sequence[Any]]) -> Iterator[str]:
    """A table, in as many parts as its columns need; the first two stand in each."""
    widths = [_width(heads[column], [row[column] for row in rows]) for column in range(len(heads))]
    parts = _parts(widths)
    for number, part in enumerate(parts):
        columns = [*range(min(_PINNED, len(heads))), *part]
        caption = as_latex(name) + (f" ({number + 1} of {len(parts)})" if len(parts) > 1 else "")
        head = " & ".join(as_latex(heads[column]) for column in columns)
        yield "\n".join([
            f"{{\\footnotesize\n\\begin{{longtable}}{{{''.join(_kind(widths[column]) for column in columns)}}}",
            f"\\multicolumn{{{len(columns)}}}{{l}}{{\\textbf{{{caption}}}}}\\\\",
            f"\\toprule\n{head} \\\\\n\\midrule\n\\endhead\n\\bottomrule\n\\endfoot",
            *(" & ".join(_cell(row[column]) for column in columns) + r" \\" for row in rows),
            "\\end{longtable}}",
        ])  # fmt: skip


def _width(head: Any, values: Sequence[Any]) -> float:
    """Centimetres of a column: what its longest text takes, or less where texts are long and are broken into lines."""
    texts = [str(head), *map(str, values)]
    longest = max(map(len, texts[1:]), default=0)
    words = max(len(word) for text in texts for word in text.split(" "))  # the sign stays with its number
    return _LETTER * min(_LONG, max(longest, min(len(texts[0]), _HEAD), min(words, _LONG)))


def _parts(widths: Sequence[float]) -> list[list[int]]:
    """Columns beside the pinned ones, in as many parts as the page is too narrow for them."""
    room = _ACROSS - sum(width + _BETWEEN for width in widths[:_PINNED])
    parts: list[list[int]] = [[]]
    left = room
    for column in range(_PINNED, len(widths)):
        if parts[-1] and widths[column] + _BETWEEN > left:
            parts.append([])
            left = room
        parts[-1].append(column)
        left -= widths[column] + _BETWEEN
    return parts


def _kind(width: float) -> str:
    """How a column is set: its lines as wide as the page has room for, not stretched to both sides."""
    return f">{{\\raggedright\\arraybackslash}}p{{{width:.2f}cm}}"


def _indented(line: str) -> str:
    """A line of code whose indent stays, and which may be broken at its other spaces."""
    return line.replace(" ", "\N{NO-BREAK SPACE}", len(line) - len(line.lstrip(" ")))


def _cell(value: Any) -> str:
    text = as_latex(re.sub(r"(?<![\w.-])-(?=\d)", "\N{MINUS SIGN}", str(value)))  # of a number, not a hyphen
    return f"\\textbf{{{text}}}" if isinstance(value, Strong) else text
