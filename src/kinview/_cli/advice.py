"""Advice of errors and warnings in the words of the command line.

The library advises in Python, ``header=False``. Options have the names of the parameters, so that the same advice is
``--header false`` where a command was given, and ``header: false`` where the value stands in a study file.
"""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Collection, Mapping
from typing import Any

from kinview.yaml_text import write_yaml

__all__ = ["in_options"]

_GIVEN = re.compile(r"(?<![\w.'\"`-])([A-Za-z]\w*)=(?!=)")
_TEXT = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_SCALAR = re.compile(rf"{_TEXT}|(?:True|False|None)\b|-?\d[\d_]*(?:\.\d+)?(?:e[+-]?\d+)?\b")
_BRACKETS = {"[": "]", "{": "}"}
_NOTHING: Any = object()  # where no value stands behind a name


def in_options(text: str, options: Mapping[str, str], keys: Collection[str] = (), given: Collection[str] = ()) -> str:
    """Text with ``name=value`` as an option, or as a key of YAML.

    What stands in the brackets of a call (``load(..., as_classes=True)``) is Python, and stays.

    Parameters
    ----------
    text : str
        An error or a warning.
    options : mapping of str to str
        The option of each parameter: ``{"header": "header"}``, or ``{"header": "read_A.header"}``.
    keys : collection of str
        Names that stand in a file for the command.
    given : collection of str
        Options that were given. A text that begins with ``name=value`` refuses that value: unless the option was given,
        it is a parameter of the same name inside another option, and stays.

    Examples
    --------
    >>> in_options("no rows; header=False if that line is a row", {"header": "read_A.header"})
    'no rows; --read_A.header false if that line is a row'
    >>> in_options("no rows; header=False if that line is a row", {}, keys={"header"})
    'no rows; header: false if that line is a row'
    >>> options = {"static": "static", "columns": "columns", "sep": "sep"}
    >>> in_options("name them (static=['age', 'sex'], columns=); got load(static=[1]), sep=' '", options)
    "name them (--static age,sex, --columns); got load(static=[1]), --sep ' '"
    >>> in_options("time='year' is no static column", {"time": "time"})
    "time='year' is no static column"
    """
    parts, done = [], 0
    for found in _GIVEN.finditer(text):
        name, start = found[1], found.start()
        of_another = start == 0 and name not in given
        if start < done or name not in {*options, *keys} or of_another or _in_a_call(text[:start]):
            continue
        value, end = _value(text, found.end())
        parts += [text[done:start], _as_option(options[name], value) if name in options else _as_key(name, value)]
        done = end
    return "".join([*parts, text[done:]])


def _in_a_call(before: str) -> bool:
    """Whether text ends inside the brackets of a call."""
    depth = 0
    for place in range(len(before) - 1, -1, -1):
        depth += {")": 1, "(": -1}.get(before[place], 0)
        if depth < 0:
            return bool(re.search(r"\w$", before[:place]))
    return False


def _value(text: str, start: int) -> tuple[Any, int]:
    """The literal that begins at a place of a text, and where it ends."""
    end = _end_of_brackets(text, start)
    if found := _SCALAR.match(text, start):
        end = found.end()
    try:
        return ast.literal_eval(text[start:end]), end
    except (ValueError, SyntaxError):
        return _NOTHING, start


def _end_of_brackets(text: str, start: int) -> int:
    """Place after the bracket that closes the one at a place; the place itself where there is none."""
    closing: list[str] = []
    for found in re.compile(rf"{_TEXT}|.", re.DOTALL).finditer(text, start):
        sign = found[0]
        if sign in _BRACKETS:
            closing.append(_BRACKETS[sign])
        elif closing and sign == closing[-1]:
            closing.pop()
        if not closing:
            return found.end() if found.start() > start else start
    return start


def _as_option(name: str, value: Any) -> str:
    if value is _NOTHING:
        return f"--{name}"
    listed = isinstance(value, list) and all(isinstance(one, str) and "," not in one for one in value)
    written = ",".join(value) if listed else value if isinstance(value, str) else _yaml(value)
    return f"--{name} {shlex.quote(written)}"


def _as_key(name: str, value: Any) -> str:
    return f"{name}:" if value is _NOTHING else f"{name}: {_yaml(value)}"


def _yaml(value: Any) -> str:
    return write_yaml(value, in_one_line=True).strip()
