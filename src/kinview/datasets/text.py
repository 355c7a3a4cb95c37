"""Delimited text files: reading them with errors that name the file."""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kinview.datasets.foreign_files import refuse_foreign_content

__all__ = ["MISSING", "is_number", "numbers", "parse_csv", "read_text", "split_lines"]

# What stands for "not observed" in a text cell. "None" is left out: tables use it as an ordinary category.
MISSING = ("", "?", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "-nan", "NULL", "null", "<NA>", "\\N")


def read_text(path: Path) -> str:
    """Content of a UTF-8 file (with or without a byte order mark).

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is empty, of another encoding, or no text but a file of another program.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    refuse_foreign_content(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text ({error.reason} at byte {error.start}); convert it first") from None
    if not text.strip():
        raise ValueError(f"{path} is empty")
    return text


def is_number(cell: str) -> bool:
    """Whether a text cell is a number or a sign of a missing value.

    Examples
    --------
    >>> is_number("1e-3"), is_number("age")
    (True, False)
    """
    cell = cell.strip().strip("'\"")
    if cell in MISSING:
        return True
    try:
        float(cell)
    except ValueError:
        return False
    return True


def parse_csv(
    text: str | Path | io.TextIOBase,
    source: Path,
    *,
    missing: Sequence[str] | Mapping[Any, Sequence[str]] = MISSING,
    **options: Any,
) -> pd.DataFrame:
    """Parse delimited text (or the file that holds it) with pandas; only the given cells count as missing.

    Errors name the file.

    Raises
    ------
    ValueError
        If the text has no regular rows, or a cell is not of the type asked for.
    """
    try:
        with warnings.catch_warnings():
            # pandas only warns when it cuts lines that are longer than the first.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame: pd.DataFrame = pd.read_csv(
                io.StringIO(text) if isinstance(text, str) else text,
                keep_default_na=False,
                na_values=dict(missing) if isinstance(missing, Mapping) else list(missing),
                skipinitialspace=True,
                low_memory=False,
                float_precision="round_trip",
                **options,
            )
    except pd.errors.ParserWarning:
        raise ValueError(
            f"{source} has lines with more cells than its first line (where the rows have names, their column needs "
            f"one too, which may be empty: R's write.csv writes it, write.table does not)"
        ) from None
    except (ValueError, IndexError) as error:
        raise ValueError(f"{source} cannot be read: {str(error).strip()}") from None
    return frame


def numbers(cells: list[str], source: Path, line: int) -> NDArray[np.float64]:
    """Numbers of one line of text; missing ones become NaN.

    Raises
    ------
    ValueError
        If a cell is neither a number nor missing; the message names the line.
    """
    if not any("_" in cell for cell in cells):  # which Python allows inside a number
        with contextlib.suppress(ValueError):
            return np.array(cells, dtype=np.float64)
    values = np.full(len(cells), np.nan)
    for place, cell in enumerate(cells):
        if cell.strip() not in MISSING:
            try:
                values[place] = float("" if "_" in cell else cell)
            except ValueError:
                raise ValueError(f"{source}, line {line}: {cell[:80]!r} is not a number") from None
    return values


def split_lines(text: str) -> list[str]:
    r"""Lines of a text, which end in a line feed, a carriage return, or both, and in no other sign.

    Examples
    --------
    >>> split_lines("a\r\nb\rc\u2028d\n")
    ['a', 'b', 'c\u2028d']
    """
    lines = re.split("\r\n|\r|\n", text)
    return lines if lines[-1] else lines[:-1]
