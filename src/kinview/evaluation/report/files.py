"""The forms that a report is written in: which one a name asks for, and the files."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from kinview.evaluation.report.svg import FORMATS as FIGURE_FORMATS, figure_bytes
from kinview.files import atomic_write

if TYPE_CHECKING:
    from kinview.evaluation.report.content import Report
    from kinview.evaluation.report.svg import Build

__all__ = ["ENDINGS", "PRINTED", "format_of", "rendered", "write_document", "write_figures"]

ENDINGS: Mapping[str, tuple[str, ...]] = {
    "html": (".html", ".htm"),
    "markdown": (".md", ".markdown"),
    "latex": (".tex",),
    "csv": (".csv",),
    "parquet": (".parquet",),
    "xlsx": (".xlsx",),
}
"""Formats of a report, and the endings of their files."""

PRINTED = ("markdown", "latex", "csv")
"""Formats that can be printed, where no file is named."""


def format_of(path: str | os.PathLike[str], format: str | None = None) -> str:
    """The format that a file is to have, by its ending.

    Parameters
    ----------
    path : path-like
        The file.
    format : str, optional
        The format that was asked for.

    Returns
    -------
    str
        One of :data:`ENDINGS`.

    Raises
    ------
    ValueError
        If the ending is that of no format, or that of another one than was asked for.

    Examples
    --------
    >>> format_of("cells.parquet")
    'parquet'
    """
    ending = Path(path).suffix.lower()
    named = next((name for name, endings in ENDINGS.items() if ending in endings), None)
    if format is not None and format not in ENDINGS:
        raise ValueError(f"format={format!r} is none of the formats of a report: {', '.join(ENDINGS)}")
    if named is None:
        known = ", ".join(endings[0] for endings in ENDINGS.values())
        wanted = f"end it in {' or '.join(ENDINGS[format])}" if format else f"a report ends in one of: {known}"
        raise ValueError(f"{path} does not say its format by its ending {ending!r}; {wanted}")
    if format not in (None, named):
        raise ValueError(
            f"format={format!r} and the file {path} contradict: {ending} is {named}; leave the format out, or end the "
            f"name in {' or '.join(ENDINGS[str(format)])}"
        )
    return named


def rendered(report: Report, format: str) -> str | bytes:
    """A report in a format of :data:`ENDINGS`."""
    from kinview.evaluation.report import html, latex, markdown, workbook

    makers: Mapping[str, Any] = {
        "html": html.render_html,
        "markdown": markdown.render_markdown,
        "latex": latex.render_latex,
        "csv": workbook.render_csv,
        "parquet": workbook.render_parquet,
        "xlsx": workbook.render_xlsx,
    }
    return cast("str | bytes", makers[format](report))


def write_document(report: Report, path: str | os.PathLike[str], format: str | None = None) -> Path:
    """Write a report whole or not at all; see :meth:`kinview.evaluation.Report.write`."""
    return atomic_write(path, rendered(report, format_of(path, format)))


def write_figures(figures: Mapping[str, Build], folder: str | os.PathLike[str], figure_format: str) -> list[Path]:
    """Write figures into a folder, which is made where it does not exist; gives the files.

    Raises
    ------
    ValueError
        If the format is none that figures are written in.
    NotADirectoryError
        If the folder is a file.
    """
    if figure_format not in FIGURE_FORMATS:
        raise ValueError(f"figure_format={figure_format!r} is none of: {', '.join(FIGURE_FORMATS)}")
    target = Path(folder)
    if target.exists() and not target.is_dir():
        raise NotADirectoryError(f"cannot write figures into {target}: it is a file; name a folder")
    target.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for name, build in figures.items():
        content = figure_bytes(name, build, cast("Any", figure_format))
        if content is not None:
            written.append(atomic_write(_free(target, name, figure_format, written), content))
    return written


def _free(folder: Path, name: str, ending: str, written: list[Path]) -> Path:
    """A file that every system takes, and that none of this report's figures has, whatever the case."""
    stem = re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip(".-") or "figure"
    taken = {path.name.lower() for path in written}
    names = (f"{stem}{'' if number == 1 else f'-{number}'}.{ending}" for number in range(1, len(written) + 2))
    return folder / next(one for one in names if one.lower() not in taken)
