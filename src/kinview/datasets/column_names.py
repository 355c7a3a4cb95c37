"""What YAML makes of a word without quotes that was to name a column."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

__all__ = ["OF_COLUMNS", "check_column_names", "quoting", "quoting_a_cell"]

OF_COLUMNS = (
    "label",
    "group",
    "static",
    "index",
    "drop",
    "categorical",
    "id",
    "time",
    "columns",
    "value",
    "variable",
)  # options of the readers


def check_column_names(options: Mapping[str, Any]) -> None:
    """Check that options which name columns, and ``na_values``, hold no value that YAML reads instead of a word.

    Columns are text, or whole numbers (positions); cells of ``na_values`` are text or numbers.

    Raises
    ------
    ValueError
        That says which word to quote.

    Examples
    --------
    >>> check_column_names({"label": False})
    Traceback (most recent call last):
    ...
    ValueError: label=False is no name of a column; YAML reads no, off or false without quotes as False: to name a \
column so, quote it, as in label: 'no'
    """
    for option in OF_COLUMNS:
        for name in _several(options.get(option)):
            if isinstance(name, bool | float | datetime.date):
                raise ValueError(quoting(option, name))
    cells = options.get("na_values", ())
    if isinstance(cells, Mapping):
        for name, missing in cells.items():
            if isinstance(name, bool | float | datetime.date):
                raise ValueError(quoting("na_values", name, "the key "))
            _check_cells(missing)
    else:
        _check_cells(cells)


def quoting(option: str, value: Any, part: str = "") -> str:
    """Message that says to quote what names a column.

    Examples
    --------
    >>> quoting("drop", 1.5)
    "drop=1.5 is no name of a column; YAML reads 1.5 without quotes as a number: to name a column so, quote it, as in \
drop: '1.5'"
    """
    words, kind, example = _read_as(value)
    shown = f"{option}={value}" if not part else f"{part}{value} of {option}"
    colon = f"{option}: '{example}'" if not part else f"{option}: {{'{example}': ...}}"
    return (
        f"{shown} is no name of a column; YAML reads {words} without quotes as {kind}: to name a column so, quote it, "
        f"as in {colon}"
    )


def quoting_a_cell(cell: Any) -> str:
    """Message that says to quote a cell of ``na_values``.

    Examples
    --------
    >>> quoting_a_cell(False)
    "na_values holds False, which is no cell; YAML reads no, off or false without quotes as False: to name a cell so, \
quote it, as in na_values: ['no']"
    """
    words, kind, example = _read_as(cell)
    return (
        f"na_values holds {cell}, which is no cell; YAML reads {words} without quotes as {kind}: to name a cell so, "
        f"quote it, as in na_values: ['{example}']"
    )


def _check_cells(cells: Any) -> None:
    for cell in _several(cells):
        if isinstance(cell, bool | datetime.date) or cell is None:
            raise ValueError(quoting_a_cell(cell))


def _read_as(value: Any) -> tuple[str, str, str]:
    """Words that YAML reads so, what it makes of them, and one that may have been meant."""
    if value is None:
        return "null and ~", "nothing", "null"
    if isinstance(value, bool):
        return ("yes, on or true" if value else "no, off or false"), str(value), "yes" if value else "no"
    return str(value), "a date" if isinstance(value, datetime.date) else "a number", str(value)


def _several(given: Any) -> list[Any]:
    if given is None:
        return []
    return list(given) if isinstance(given, list | tuple | set) else [given]
