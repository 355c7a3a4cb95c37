"""ARFF files: tables, and the time series of the UEA archive (a relational attribute, or one attribute a step)."""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kinview.datasets._arff_text import Attribute, cells_of, parse_arff, unescaped
from kinview.datasets._padding import check_padding
from kinview.datasets.class_names import labels_of
from kinview.datasets.dataset import stack
from kinview.datasets.dates import declared_dates
from kinview.datasets.samples import Samples
from kinview.datasets.text import MISSING, is_number, numbers, parse_csv

__all__ = ["is_relational", "read_arff", "read_arff_table"]

_NO_LABEL = "write ? for it"


def read_arff(path: str | os.PathLike[str]) -> Samples:
    r"""Read time series from an archive's ARFF file.

    Multivariate series are one quoted relational value a line, channels separated by ``\n``; univariate ones have one
    numeric attribute a step. The label is the last attribute.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    Samples
        X ``(n, C, T)`` float64, padded with NaN to the longest series.

    Raises
    ------
    ValueError
        If the file is not an ARFF file, or not one of time series; the message names the line. If a label is a sign of
        no value (``.``, ``-``) among names.

    Warns
    -----
    UserWarning
        If labels differ in letter case or blanks only, or one reads like no value (``unknown``, -999).

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "demo.arff")
    >>> _ = path.write_text("@relation d\n@attribute s relational\n@attribute t0 numeric\n@attribute t1 numeric\n"
    ...                     "@end s\n@attribute class {a,b}\n@data\n'1,2\\n3,4',a\n'5,6\\n7,?',b\n")
    >>> samples = read_arff(path)
    >>> samples.X[1].tolist(), samples.y.tolist()
    ([[5.0, 6.0], [7.0, nan]], ['a', 'b'])
    """
    source = Path(path)
    attributes, rows = parse_arff(source)
    if attributes[0].kind != "relational":
        text = [a.name for a in attributes[:-1] if a.kind != "numeric"]
        if text:
            raise ValueError(f"{source} holds no time series: attribute {text[0]!r} is not numeric; read it as a table")
        if len(attributes) < 2:
            raise ValueError(f"{source} holds no time series: it has one attribute, and needs one a step and the label")
        frame = _table(attributes, rows, source)
        return Samples(
            frame.iloc[:, :-1].to_numpy(dtype=np.float64)[:, None, :],
            labels_of(frame.iloc[:, -1], f"label {attributes[-1].name!r}", source.name, _NO_LABEL),
        )
    if [a.kind for a in attributes].count("relational") != 1 or len(attributes) > 2:
        raise ValueError(f"{source} has {len(attributes)} attributes; expected one relational attribute and the label")
    series: list[NDArray[np.float64]] = []
    labels: list[str] = []
    for number, row in rows:
        values, *label = cells_of(row, number, source, expected=len(attributes))
        channels = [numbers(c.split(","), source, number) for c in values.split("\\n")]
        if len({len(channel) for channel in channels}) > 1:
            raise ValueError(f"{source}, line {number} has channels of unequal length; pad them with NaN")
        series.append(np.stack(channels))
        if len(series[-1]) != len(series[0]):
            raise ValueError(
                f"{source} has series with different numbers of channels: line {number} has {len(series[-1])}, the "
                f"first {len(series[0])}"
            )
        labels += map(unescaped, label)
    check_padding([values.shape[1] for values in series], len(series[0]), source)
    if not labels:
        return Samples(stack(series))
    given = [None if label.strip() in MISSING else label for label in labels]
    return Samples(stack(series), labels_of(given, f"label {attributes[-1].name!r}", source.name, _NO_LABEL))


def read_arff_table(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Read a dense ARFF table; nominal attributes become categories in their declared order, ``?`` is missing.

    Dates are read by their declared format, in Java's letters (``dd.MM.yyyy HH:mm``), and without one as ISO 8601.

    Raises
    ------
    ValueError
        If the file is not a dense ARFF table, a nominal value is not among the declared ones, or a number or date is
        none; the message names the line.
    """
    source = Path(path)
    attributes, rows = parse_arff(source)
    relational = [a.name for a in attributes if a.kind == "relational"]
    if relational:
        raise ValueError(f"{source} holds time series (relational attribute {relational[0]!r}), not a table")
    return _table(attributes, rows, source)


def is_relational(path: str | os.PathLike[str]) -> bool:
    """Whether an ARFF file has a relational attribute, that is: holds time series."""
    return any(attribute.kind == "relational" for attribute in parse_arff(Path(path))[0])


def _table(attributes: list[Attribute], rows: list[tuple[int, str]], source: Path) -> pd.DataFrame:
    names = [attribute.name for attribute in attributes]
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise ValueError(f"{source} declares the attribute {repeated[0]!r} more than once")
    types = {a.name: np.float64 if a.kind == "numeric" else str for a in attributes}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for number, row in rows:
        writer.writerow(map(unescaped, cells_of(row, number, source, expected=len(attributes))))
    try:
        frame = parse_csv(
            text.getvalue(), source, missing=("?", ""), header=None, names=names, dtype=types, index_col=False
        )
    except ValueError:
        _refuse_text(attributes, rows, source)
        raise
    for attribute in attributes:
        column = frame[attribute.name]
        if attribute.kind == "nominal":
            frame[attribute.name] = _categories(column.str.strip(), attribute, rows, source)
        elif attribute.kind == "date":
            lines = [number for number, _ in rows]
            frame[attribute.name] = declared_dates(column, attribute.format, attribute.name, str(source), lines)
    return frame


def _refuse_text(attributes: list[Attribute], rows: list[tuple[int, str]], source: Path) -> None:
    """Name the first cell of a numeric attribute that is not a number."""
    for number, row in rows:
        cells = map(unescaped, cells_of(row, number, source, expected=len(attributes)))
        for attribute, cell in zip(attributes, cells, strict=True):
            if attribute.kind == "numeric" and not is_number(cell):
                raise ValueError(
                    f"{source} cannot be read: {cell[:80]!r} in line {number} is not a number, as attribute "
                    f"{attribute.name!r} has to be"
                )


def _categories(column: pd.Series, attribute: Attribute, rows: list[tuple[int, str]], source: Path) -> pd.Categorical:
    """Nominal values as categories in their declared order."""
    unknown = column[column.notna() & ~column.isin(attribute.values)]
    if len(unknown):
        row = unknown.index[0]
        raise ValueError(
            f"{source}, line {rows[row][0]}: {unknown.iloc[0]!r} in data line {row + 1} is not a value of "
            f"attribute {attribute.name!r}: {', '.join(attribute.values)}"
        )
    return pd.Categorical(column, categories=list(attribute.values))
