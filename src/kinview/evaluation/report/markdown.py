"""A report as Markdown, for a page of documentation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from kinview.evaluation.report.document import Block, Code, Heading, Items, Paragraph, Strong, Table, blocks
from kinview.printable import printable

if TYPE_CHECKING:
    from kinview.evaluation.report.content import Report

__all__ = ["as_text", "markdown_table", "render_markdown"]


def render_markdown(report: Report) -> str:
    """Text of the report as Markdown."""
    return "\n\n".join(_written(block) for block in blocks(report)) + "\n"


def _written(block: Block) -> str:
    match block:
        case Heading(level, text):
            return f"{'#' * level} {as_text(text)}"
        case Paragraph(text, authored):
            return text if authored else as_text(text)
        case Items(texts):
            return "\n".join(f"- {as_text(text)}" for text in texts)
        case Code(text, language):
            return f"```{language}\n{text}\n```"
        case Table(_, heads, rows):
            return markdown_table(heads, rows)


def markdown_table(heads: Iterable[Any], rows: Iterable[Iterable[Any]]) -> str:
    """A table of texts, escaped."""
    names = [as_text(head) for head in heads]
    lines = [names, ["---"] * len(names), *([_cell(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def as_text(value: Any) -> str:
    """One line in which nothing is taken for a column or markup of its own."""
    plain = " ".join(printable(str(value)).split())
    for mark in ("\\", "|", "<", "`"):
        plain = plain.replace(mark, f"\\{mark}")
    return plain


def _cell(value: Any) -> str:
    return f"**{as_text(value)}**" if isinstance(value, Strong) else as_text(value)
