"""The cells of a benchmark as CSV and Parquet, and with the tables of the report as an Excel workbook."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pandas as pd

from kinview.evaluation.report.document import Table, blocks
from kinview.printable import printable

if TYPE_CHECKING:
    from kinview.evaluation.report.content import Report

__all__ = ["cells_as_csv", "render_csv", "render_parquet", "render_xlsx"]

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet takes for the beginning of a formula
_LONGEST = 32_767  # characters of a cell of a workbook
_NAME = 31  # characters of the name of a sheet
_NAMES = 2  # columns of names at the front of a table, whatever they look like
_NUMBER = re.compile(r"[+-]?\d+\.\d+")


def render_csv(report: Report) -> str:
    """The cells, one a row."""
    return cells_as_csv(report.frame)


def cells_as_csv(frame: pd.DataFrame) -> str:
    """A frame as CSV in which no text is a formula to a spreadsheet: such text has an apostrophe before it.

    Examples
    --------
    >>> print(cells_as_csv(pd.DataFrame({"method": ["raw", "=1+1"], "difference": [0.5, -0.5]})), end="")
    method,difference
    raw,0.5
    '=1+1,-0.5
    """
    return frame.map(_harmless).rename(columns=_harmless).to_csv(index=False)


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def render_parquet(report: Report) -> bytes:
    """The cells, one a row, with their types."""
    buffer = io.BytesIO()
    report.frame.to_parquet(buffer, index=False)
    return buffer.getvalue()


def render_xlsx(report: Report) -> bytes:
    """A workbook: a sheet for each table of the report, and one with the cells.

    Raises
    ------
    ImportError
        If openpyxl is not installed.
    """
    try:
        from openpyxl import Workbook
    except ImportError:
        raise ImportError(
            'a workbook needs the package openpyxl, which is not installed: pip install "kinview[xlsx]", or write .csv'
        ) from None
    book = Workbook(write_only=True)
    taken: set[str] = set()
    tables = [block for block in blocks(report) if isinstance(block, Table)]
    frame = report.frame
    cells = Table("cells", tuple(map(str, frame)), tuple(frame.itertuples(index=False, name=None)))
    for table in (*tables, cells):
        sheet = book.create_sheet(_sheet_name(table.name, taken))
        sheet.freeze_panes = "B2"
        for row in (table.heads, *table.rows):
            sheet.append(list(_typed(sheet, row)))
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def _typed(sheet: Any, row: tuple[Any, ...]) -> Iterator[Any]:
    """Cells of a row: numbers as numbers, all other values as text, which no program runs."""
    from openpyxl.cell import WriteOnlyCell

    for place, value in enumerate(row):
        if place >= _NAMES and isinstance(value, str) and _NUMBER.fullmatch(value):
            yield float(value)
        elif isinstance(value, bool | int | float) and value == value:
            yield value
        elif pd.isna(value):
            yield None
        else:
            text = printable(str(value))
            cell = WriteOnlyCell(sheet, value="")
            cell.value = text if len(text) <= _LONGEST else f"({len(text):,} characters, more than a cell holds)"
            cell.data_type = "s"  # not "f", as openpyxl types what begins with =
            cell.quotePrefix = True
            yield cell


def _sheet_name(name: str, taken: set[str]) -> str:
    """Name that a sheet may have and no other has."""
    plain = re.sub(r"[\[\]:*?/\\]", " ", printable(name)).strip(" '")[:_NAME] or "table"
    number = 1
    found = plain
    while found.lower() in taken:
        number += 1
        found = f"{plain[: _NAME - len(str(number)) - 1]} {number}"
    taken.add(found.lower())
    return found
