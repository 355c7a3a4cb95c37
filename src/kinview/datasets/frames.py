"""Whole tables from files, and options that name their columns."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from kinview.datasets.arff import read_arff_table
from kinview.datasets.delimited import TextFormat, read_delimited
from kinview.datasets.foreign_files import refuse_foreign, refuse_foreign_content
from kinview.datasets.parquet import read_parquet
from kinview.datasets.rows import without_blank_rows

__all__ = ["PARQUET", "is_typed", "read_frame", "refuse_twice", "several"]

PARQUET = (".parquet", ".pq")


def read_frame(source: Path, format: TextFormat | None = None, codes: Sequence[str | int] = ()) -> pd.DataFrame:
    """Read a whole table as a DataFrame with text column names; "" is a first column that holds the names of the rows.

    The columns in ``codes`` (ids, groups, labels, names of rows) are exact: categories of text in delimited text, whole
    numbers with a gap as such in Parquet.

    Raises
    ------
    ValueError
        If the file is not readable as a table, two columns share a name, or ``format`` says how the text of a file is
        written that is no text.

    Warns
    -----
    UserWarning
        If rows of a text file are empty, which are left out, or points could part thousands.
    """
    format = format or TextFormat()
    if not source.is_file():
        raise FileNotFoundError(f"there is no file {source}")
    refuse_foreign(source)
    refuse_foreign_content(source)
    if not is_typed(source):
        return without_blank_rows(read_delimited(source, format, codes), source)
    if not format.is_default and format != TextFormat(header=True):
        given = ", ".join(
            f"{field.name}="
            for field in dataclasses.fields(format)
            if field.compare and getattr(format, field.name) != field.default
        )
        raise ValueError(f"{source.name} is not delimited text, so {given} says nothing about it; leave it out")
    frame = read_parquet(source, codes) if source.suffix.lower() in PARQUET else read_arff_table(source)
    frame.columns = pd.Index([str(name) for name in frame.columns], dtype=object)
    if not frame.columns.is_unique:
        raise ValueError(f"{source} has two columns named {frame.columns[frame.columns.duplicated()][0]!r}; rename one")
    if "" in frame.columns[1:]:
        place = list(frame.columns).index("", 1)
        raise ValueError(f"{source}: column {place} (the first is 0) has no name; give it one")
    return frame


def refuse_twice(columns: Sequence[Any], option: str, source: str) -> None:
    """Refuse an option that names one column twice, by its name or its position.

    Raises
    ------
    ValueError
        That names the option and the column.

    Examples
    --------
    >>> refuse_twice(["hr", "hr"], "columns", "x.csv")
    Traceback (most recent call last):
    ...
    ValueError: columns= names column 'hr' of x.csv twice; name it once
    """
    twice = next((column for place, column in enumerate(columns) if column in columns[:place]), None)
    if twice is not None:
        raise ValueError(f"{option}= names column {str(twice)!r} of {source} twice; name it once")


def several(columns: str | int | Sequence[str | int]) -> list[str | int]:
    """One column or several as a list."""
    return [columns] if isinstance(columns, str | int) else list(columns)


def is_typed(source: Path) -> bool:
    """Whether a file declares the types of its columns."""
    return source.suffix.lower() in (*PARQUET, ".arff")
