"""Numpydoc docstrings as pages that GitHub shows; for the programs beside this file."""

from __future__ import annotations

import inspect
import itertools
import re
from collections.abc import Iterator, Sequence
from typing import Any

__all__ = [
    "allowed",
    "docstring_sections",
    "in_cell",
    "markdown",
    "paragraphs",
    "parameter_texts",
    "plain",
    "references",
    "rendered",
]

_BORDER = re.compile(r"=+(?: +=+)+\s*")  # of a simple table
_ITEM = re.compile(r"(?:[-*+]|\d+\.) +")


# --- sections --------------------------------------------------------------------------------------------------------


def docstring_sections(target: Any) -> dict[str, str]:
    """Sections of a numpydoc docstring by title; the text before the first one under "". Equal titles are joined."""
    parts = re.split(r"^([A-Z][\w ]*)\n-{3,}[ ]*(?:\n|\Z)", inspect.getdoc(target) or "", flags=re.MULTILINE)
    found = {"": parts[0]}
    for title, text in zip(parts[1::2], parts[2::2], strict=True):
        found[title] = f"{found[title].rstrip()}\n\n{text}" if title in found else text
    return found


def parameter_texts(section: str) -> dict[str, str]:
    """Description of each parameter of a numpydoc section; ``a, b : float`` describes both."""
    found: dict[str, str] = {}
    for block in re.split(r"\n(?=\S)", section.strip()):
        head, _, text = block.partition("\n")
        for name in head.split(" : ")[0].split(","):
            found[name.strip()] = " ".join(text.split())
    return found


def references(section: str) -> dict[str, str]:
    """References of a numpydoc section by the number that cites them."""
    parts = re.split(r"^\.\. \[(\d+)\]\s+", section.strip(), flags=re.MULTILINE)
    return {number: " ".join(text.split()) for number, text in zip(parts[1::2], parts[2::2], strict=True)}


def paragraphs(text: str) -> list[str]:
    return [part for part in re.split(r"\n\s*\n(?!\s)", text.strip()) if part]


# --- markup ----------------------------------------------------------------------------------------------------------


def markdown(text: str) -> str:
    """A paragraph of reStructuredText as GitHub reads it."""
    if match := re.match(r"\.\. math::\s*(.*)", text, re.DOTALL):
        return f"```math\n{inspect.cleandoc(match[1])}\n```"
    text = " ".join(text.split())
    text = re.sub(r":math:`([^`]*)`", r"$`\1`$", text)
    text = re.sub(r":[a-z]+:`~?(?:[\w.]*\.)?(\w+)`", r"`\1`", text)
    text = re.sub(r"``([^`]*)``", r"`\1`", text)
    return re.sub(r"(\$`.*?`\$)|\\\|", lambda found: found[1] or "|", text)  # \|r\| escapes what is not markup here


def in_cell(text: str) -> str:
    """Text that does not end a cell of a table."""
    return re.sub(r"\$`.*?`\$", lambda math: math[0].replace("|", r"\vert "), text).replace("|", r"\|")


def rendered(text: str) -> str:
    """Body of a section: paragraphs, formulas, tables, lists, examples and literal blocks.

    What is no such thing, a table whose text runs over its columns for example, is shown as it stands.
    """
    return "\n\n".join(_block(lines) for lines in _blocks(text.expandtabs().split("\n")))


def _blocks(lines: Sequence[str]) -> Iterator[list[str]]:
    """Lines that belong together; blank lines stay inside tables and before what is indented under a block."""
    at, end = 0, len(lines)
    while at < end:
        if not lines[at].strip():
            at += 1
            continue
        start, at = at, at + 1
        if _BORDER.fullmatch(lines[start]):
            closing = [
                i for i in range(at, end) if _BORDER.fullmatch(lines[i]) and (i + 1 == end or not lines[i + 1].strip())
            ]
            at = closing[0] + 1 if closing else at
        while at < end and lines[at].strip() and not _BORDER.fullmatch(lines[at]):
            at += 1
        if lines[start].startswith(".. ") or lines[at - 1].rstrip().endswith("::") or _ITEM.match(lines[start]):
            at = _end_of_indented(lines, at)
        yield list(lines[start:at])


def _end_of_indented(lines: Sequence[str], at: int) -> int:
    """Where what is indented under a block ends, with the items that follow in a list."""
    following = at
    while following < len(lines) and (not lines[following].strip() or lines[following][0] == " "):
        following += 1
        if following and lines[following - 1].strip():
            at = following
    return at


def _block(lines: list[str]) -> str:
    text = "\n".join(lines).rstrip()
    if _BORDER.fullmatch(lines[0]):
        return _table(lines) or f"```text\n{text}\n```"
    if lines[0].startswith("+-") or set(lines[0].strip()) == {"="}:
        return f"```text\n{text}\n```"
    if lines[0].startswith(">>>"):
        return f"```pycon\n{text}\n```"
    if match := re.match(r"\.\. (?:code-block|code)::[ ]*(\w*)[^\n]*\n(.*)", text, re.DOTALL):
        return f"```{match[1]}\n{inspect.cleandoc(match[2])}\n```"
    if match := re.match(r"\.\. (note|warning|tip|important|caution)::\s*(.*)", text, re.DOTALL):
        inner = rendered(inspect.cleandoc(match[2])).replace("\n", "\n> ")
        return f"> **{match[1].capitalize()}.** {inner}"
    if _ITEM.match(lines[0]):
        return _list(lines)
    if lines[0].startswith(" "):
        return "\n".join(f"> {line}" for line in rendered(inspect.cleandoc("\n" + text)).split("\n"))
    if match := re.match(r"(.*?)(:?):\n\s*\n?((?:[ ]+.*|\s*)(?:\n.*)*)\Z", text, re.DOTALL):
        before, double, literal = match.groups()
        if double:
            return f"{markdown(before + ':')}\n\n```text\n{inspect.cleandoc(chr(10) + literal)}\n```"
    return markdown(text)


def _list(lines: list[str]) -> str:
    items: list[list[str]] = []
    for line in lines:
        if _ITEM.match(line):
            items.append([line])
        elif items:
            items[-1].append(line)
    texts = []
    for first, *rest in items:
        mark = _ITEM.match(first)
        assert mark is not None
        body = inspect.cleandoc("\n".join([first[mark.end() :], *rest]))
        bullet = "1. " if mark[0][0].isdigit() else "- "
        texts.append(bullet + re.sub(r"\n(?!\n)", "\n" + " " * len(bullet), rendered(body)))
    return "\n".join(texts)


def _table(lines: Sequence[str]) -> str | None:
    """A simple table; None where the text of a row runs over the edge of a column."""
    borders = [i for i, line in enumerate(lines) if _BORDER.fullmatch(line)]
    starts = [found.start() for found in re.finditer(r"=+", lines[0])]
    if len(borders) < 2:
        return None
    groups = [lines[a + 1 : b] for a, b in itertools.pairwise(borders)]
    made = [_rows(group, starts) for group in groups]
    if any(rows is None for rows in made):
        return None
    head, *body = [rows or [] for rows in made]
    if not body:
        head, body = [], [head]
    title = head[0] if head else [""] * len(starts)
    for row in head[1:]:
        title = [f"{one} {other}".strip() for one, other in zip(title, row, strict=True)]
    shown = [title, ["---"] * len(starts), *(row for rows in body for row in rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in shown)


def _rows(lines: Sequence[str], starts: Sequence[int]) -> list[list[str]] | None:
    """Cells of each row; a line without text in the first column goes on with the row above."""
    rows: list[list[str]] = []
    for line in lines:
        if not line.strip(" -"):
            continue
        if any(len(line) > start and line[start - 1] != " " for start in starts[1:]):
            return None
        cells = [line[a:b].strip() for a, b in zip(starts, [*starts[1:], None], strict=True)]
        if cells[0] or not rows:
            rows.append(cells)
        else:
            rows[-1] = [f"{one} {other}".strip() for one, other in zip(rows[-1], cells, strict=True)]
    return [[in_cell(markdown(re.sub(r"^\\$", "", cell))) for cell in row] for row in rows]


# --- parameters ------------------------------------------------------------------------------------------------------


def allowed(rule: Any) -> str:
    """Range of a parameter in words, from the field that it is."""
    if rule is None:
        return ""
    if rule.kind is object:
        return f"{'an' if rule.noun[0] in 'aeiou' else 'a'} {rule.noun}" if rule.noun else rule.words
    if rule.kind is bool:
        return "true, false"
    if rule.kind is str:
        return ", ".join(f"`{option}`" for option in rule.options) + (", or none" if rule.optional else "")
    kind = {int: "whole, ", float: "", tuple: "two numbers, "}[rule.kind]
    bounds = rule._range()
    return kind + ("any" if bounds == "finite" else bounds) + (", or none" if rule.optional else "")


def plain(value: Any) -> str:
    """A default in one line, as YAML writes it."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {plain(one)}" for key, one in value.items()) + "}"
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(plain, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)
