"""ARFF files: tables, and the time series of the UEA archive (a relational attribute, or one attribute a step)."""

from __future__ import annotations

import csv
import dataclasses
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd

from kinview.data.labels import as_labels
from kinview.datasets.dataset import Samples, stack
from kinview.datasets.dates import declared_dates
from kinview.datasets.text import numbers, parse_csv, read_text

__all__ = ["is_relational", "read_arff", "read_arff_table"]

_NUMERIC = {"numeric", "real", "integer"}
_NAME = re.compile(r"""@attribute\s+(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|([^\s{]+))\s*(.*)$""", re.IGNORECASE)
_VALUE = re.compile(r"""\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|([^,]*?))\s*(?:,|$)""")


@dataclasses.dataclass(frozen=True)
class _Attribute:
    name: str
    kind: str  # "numeric", "nominal", "string", "date" or "relational"
    values: tuple[str, ...] = ()
    format: str = ""  # of a date, as declared


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
        If the file is not an ARFF file, or not one of time series.

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
    attributes, rows = _parse(source)
    if attributes[0].kind != "relational":
        frame = _table(attributes, rows, source)
        text = [a.name for a in attributes[:-1] if a.kind != "numeric"]
        if text:
            raise ValueError(f"{source} holds no time series: attribute {text[0]!r} is not numeric; read it as a table")
        return Samples(frame.iloc[:, :-1].to_numpy(dtype=np.float64)[:, None, :], as_labels(frame.iloc[:, -1]))
    if [a.kind for a in attributes].count("relational") != 1 or len(attributes) > 2:
        raise ValueError(f"{source} has {len(attributes)} attributes; expected one relational attribute and the label")
    series, labels = [], []
    for number, row in _quoted_rows(rows):
        if len(row) != len(attributes):
            raise ValueError(f"{source}, data line {number} has {len(row)} cells, expected {len(attributes)}")
        channels = [numbers(c.split(","), source, number) for c in row[0].split("\\n")]
        if len({len(channel) for channel in channels}) > 1:
            raise ValueError(f"{source}, data line {number} has channels of unequal length; pad them with NaN")
        series.append(np.stack(channels))
        labels += row[1:]
    if len({len(values) for values in series}) > 1:
        raise ValueError(f"{source} has series with different numbers of channels")
    return Samples(stack(series), as_labels(labels) if labels else None)


def read_arff_table(path: str | os.PathLike[str]) -> pd.DataFrame:
    """Read a dense ARFF table; nominal attributes become categories in their declared order, ``?`` is missing.

    Raises
    ------
    ValueError
        If the file is not a dense ARFF table, or a nominal value is not among the declared ones.
    """
    source = Path(path)
    attributes, rows = _parse(source)
    relational = [a.name for a in attributes if a.kind == "relational"]
    if relational:
        raise ValueError(f"{source} holds time series (relational attribute {relational[0]!r}), not a table")
    return _table(attributes, rows, source)


def is_relational(path: str | os.PathLike[str]) -> bool:
    """Whether an ARFF file has a relational attribute, that is: holds time series."""
    return any(attribute.kind == "relational" for attribute in _parse(Path(path))[0])


def _parse(source: Path) -> tuple[list[_Attribute], list[str]]:
    """Attributes (what a relational one contains is left out) and the data lines."""
    lines = [line for line in read_text(source).splitlines() if line.strip() and not line.lstrip().startswith("%")]
    attributes: list[_Attribute] = []
    inside = False
    for number, line in enumerate(map(str.strip, lines)):
        keyword = line.split(None, 1)[0].lower()
        if keyword == "@data":
            rows = lines[number + 1 :]
            if not attributes or not rows:
                raise ValueError(
                    f"{source} has {len(attributes)} attributes and {len(rows)} data lines; nothing to read"
                )
            return attributes, rows
        if keyword == "@end":
            inside = False
        elif keyword == "@attribute" and not inside:
            attributes.append(_attribute(line, source))
            inside = attributes[-1].kind == "relational"
    raise ValueError(f"{source} has no @data line, so it is not an ARFF file")


def _attribute(line: str, source: Path) -> _Attribute:
    match = _NAME.match(line)
    if match is None:
        raise ValueError(f"{source}: cannot read the line {line!r}")
    name = _unescape(next(part for part in match.groups()[:3] if part is not None))
    kind = match.group(4).strip()
    if kind.startswith("{"):
        return _Attribute(name, "nominal", _nominal_values(kind.strip("{} \t")))
    word = kind.split(None, 1)[0].lower() if kind else ""
    if word in _NUMERIC:
        return _Attribute(name, "numeric")
    if word == "date":
        return _Attribute(name, word, format=_unquoted(kind[len(word) :].strip()))
    if word in ("string", "relational"):
        return _Attribute(name, word)
    raise ValueError(f"{source}: attribute {name!r} has the unknown type {kind!r}")


def _nominal_values(text: str) -> tuple[str, ...]:
    values, end = [], 0
    while end < len(text):
        match = _VALUE.match(text, end)
        if match is None or match.end() == end:
            break
        values.append(_unescape(next(part for part in match.groups() if part is not None)))
        end = match.end()
    return tuple(dict.fromkeys(values))


def _table(attributes: list[_Attribute], rows: list[str], source: Path) -> pd.DataFrame:
    if rows[0].lstrip().startswith("{"):
        raise ValueError(f"{source} is a sparse ARFF file; only dense ones are read")
    names = [attribute.name for attribute in attributes]
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise ValueError(f"{source} declares the attribute {repeated[0]!r} more than once")
    types = {a.name: np.float64 if a.kind == "numeric" else str for a in attributes}
    frame = parse_csv(
        "\n".join(rows),
        source,
        missing=("?", ""),
        header=None,
        names=names,
        dtype=types,
        index_col=False,
        quotechar=_quote(rows),
        escapechar="\\",
        doublequote=False,
    )
    for attribute in attributes:
        column = frame[attribute.name]
        if attribute.kind == "nominal":
            column = column.str.strip()
            unknown = column[column.notna() & ~column.isin(attribute.values)]
            if len(unknown):
                raise ValueError(
                    f"{source}: {unknown.iloc[0]!r} in data line {unknown.index[0] + 1} is not a value of "
                    f"attribute {attribute.name!r}: {', '.join(attribute.values)}"
                )
            frame[attribute.name] = pd.Categorical(column, categories=list(attribute.values))
        elif attribute.kind == "date":
            frame[attribute.name] = declared_dates(column, attribute.format, attribute.name, str(source))
    return frame


def _quoted_rows(rows: list[str]) -> list[tuple[int, list[str]]]:
    cells = csv.reader(rows, quotechar=_quote(rows), skipinitialspace=True)
    return [(number, [cell.strip() for cell in row]) for number, row in enumerate(cells, 1)]


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] in "'\"" and text[-1] == text[0] else text


def _quote(rows: list[str]) -> str:
    return '"' if any(re.search(r'(^|,)\s*"', row) for row in rows[:100]) else "'"


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text).strip()
