"""Wide tables: one row a sample, from CSV, Parquet or ARFF."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from kinview.data.labels import as_labels
from kinview.data.modality import TABLE, Modality
from kinview.datasets.arff import read_arff_table
from kinview.datasets.dataset import Samples
from kinview.datasets.text import delimiter, is_number, parse_csv, read_text, utc_dates

__all__ = ["PARQUET", "column_name", "read_frame", "read_wide"]

PARQUET = (".parquet", ".pq")

_DATE = r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?:Z|[+-]\d{2}(?::?\d{2})?)?)?"


def read_wide(
    path: str | os.PathLike[str],
    label: str | int | None = None,
    drop: str | Sequence[str] = (),
    *,
    group: str | None = None,
    index: str | Sequence[str] = (),
    header: bool | None = None,
    modality: Modality = TABLE,
    channels: int = 1,
    interleaved: bool = False,
) -> Samples:
    r"""Read a wide table: one row a sample, one column a feature, a label column among them.

    Empty cells, ``?``, ``NA``, ``NaN`` and ``null`` are missing; ``None`` is a category. In delimited text, a feature
    whose observed cells are all ISO 8601 dates (``2024-05-31``, ``2024-05-31 13:30``, ``2024-05-31T13:30:00Z``) becomes
    a date, in UTC where it has a time zone; numbers and years stay numbers. Parquet and ARFF keep their types.

    Parameters
    ----------
    path : path
        ``.parquet``/``.pq``, ``.arff``, or delimited text (any other extension; tabs, semicolons, commas or spaces).
    label : str or int, optional
        Column of the labels: its name, or its position (``-1`` is the last). Rows with an empty cell have no label.
        Default: no labels, all are features.
    drop : str or sequence of str, optional
        Columns to leave out (identifiers, free text).
    group : str, optional
        Column of the group (patient, subject) of each row; it is not a feature.
    index : str or sequence of str, optional
        Columns that name the rows (record, patient and visit): no features, but the index of X; of several columns an
        index of tuples, because a MultiIndex stands for time series. Tables only.
    header : bool, optional
        Whether the first line of a text file names the columns. Default: it does if no cell of it is a number or
        empty and no two are equal. Columns without names are called ``x0``, ``x1``, ...
    modality : {"tabular", "time_series"}, default "tabular"
        ``"time_series"``: each row is one series, its columns in order are its values.
    channels : int, default 1
        Channels of a time series; the columns hold channel after channel.
    interleaved : bool, default False
        The columns of a time series hold step after step instead (x1, y1, x2, y2, ...).

    Returns
    -------
    Samples
        X is a DataFrame, or ``(n, channels, T)`` float64 for time series.

    Raises
    ------
    ValueError
        If a named column does not exist, a group is missing, or a time series has a column that is not numeric, an
        index, or columns that do not divide by the number of channels.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "demo.csv")
    >>> _ = path.write_text("age,sex,outcome\n61,F,1\n,M,0\n")
    >>> samples = read_wide(path, label="outcome")
    >>> samples.X["age"].tolist(), samples.y.tolist()
    ([61.0, nan], [1, 0])
    """
    source = Path(path)
    frame = read_frame(source, header=header)
    dropped = [column_name(frame, name, source) for name in ([drop] if isinstance(drop, str) else drop)]
    y_name = None if label is None else column_name(frame, label, source)
    group_name = None if group is None else column_name(frame, group, source)
    keys = [column_name(frame, name, source) for name in ([index] if isinstance(index, str) else index)]
    y = None if y_name is None else as_labels(frame[y_name])
    groups = None
    if group_name is not None:
        if frame[group_name].isna().any():
            raise ValueError(f"column {group_name!r} of {source.name} has rows without a group; every row needs one")
        groups = frame[group_name].to_numpy()
    X = frame.drop(columns=[name for name in {*dropped, *keys, y_name, group_name} if name is not None])
    if X.shape[1] == 0:
        raise ValueError(f"{source.name} has no feature columns left (columns: {', '.join(frame.columns)})")
    if modality == TABLE:
        if source.suffix.lower() not in (*PARQUET, ".arff"):
            X = _with_dates(X)
        return Samples(X if not keys else X.set_axis(_names_of_rows(frame[keys]), axis=0), y, groups, TABLE)
    if keys:
        raise ValueError(f"index={keys} names the rows of a table; with modality='time_series' use drop, or group")
    return Samples(_as_series(X, channels, interleaved, source), y, groups)


def read_frame(source: Path, *, header: bool | None = None) -> pd.DataFrame:
    """Read a whole table as a DataFrame with text column names.

    Raises
    ------
    ValueError
        If the file is not readable as a table, or two columns share a name.
    """
    suffix = source.suffix.lower()
    if not source.is_file():
        raise FileNotFoundError(f"there is no file {source}")
    if suffix in PARQUET:
        frame = _read_parquet(source)
    elif suffix == ".arff":
        frame = read_arff_table(source)
    else:
        frame = _read_delimited(source, header)
    frame.columns = pd.Index([str(name) for name in frame.columns], dtype=object)
    return frame


def column_name(frame: pd.DataFrame, column: str | int, source: Path) -> str:
    """Name of a column given by name or position; the message of a miss lists what there is.

    Raises
    ------
    ValueError
        If there is no such column.
    """
    if isinstance(column, str) and column in frame.columns:
        return column
    text = str(column)
    if text.lstrip("-").isdigit() and -frame.shape[1] <= int(text) < frame.shape[1]:
        return str(frame.columns[int(text)])
    names = [str(name) for name in frame.columns]
    shown = ", ".join(names[:20]) + (f", ... ({len(names)} in all)" if len(names) > 20 else "")
    raise ValueError(f"{source.name} has no column {column!r}; its columns are: {shown}")


def _read_parquet(source: Path) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(source)
    except (ValueError, OSError) as error:
        raise ValueError(f"{source} cannot be read as Parquet: {error}") from None
    # An index with a name is a column that pandas had set aside.
    return frame.reset_index() if any(name is not None for name in frame.index.names) else frame


def _read_delimited(source: Path, header: bool | None) -> pd.DataFrame:
    text = read_text(source)
    first = text.lstrip("\n").split("\n", 1)[0].rstrip("\r")
    separator = delimiter(first)
    cells = first.split() if separator == r"\s+" else next(csv.reader([first], delimiter=separator))
    cells = [cell.strip() for cell in cells]
    distinct = len(set(cells)) == len(cells)
    if header is None:
        header = distinct and not any(is_number(cell) for cell in cells)
    if header and not distinct:
        repeated = next(cell for cell in cells if cells.count(cell) > 1)
        raise ValueError(f"{source} has two columns named {repeated!r}; rename one")
    if header:
        return parse_csv(text, source, sep=separator, header=0, index_col=False)
    names = [f"x{i}" for i in range(len(cells))]
    return parse_csv(text, source, sep=separator, header=None, names=names, index_col=False)


def _with_dates(X: pd.DataFrame) -> pd.DataFrame:
    """Text columns whose observed cells are all ISO 8601 dates as dates in UTC, the others as they are."""
    found: dict[str, pd.Series] = {}
    for name in (str(name) for name, dtype in X.dtypes.items() if dtype.kind == "O"):  # text, before pandas 3 and after
        observed = X[name].dropna()
        if len(observed) and observed.str.fullmatch(_DATE).all():
            dates = utc_dates(X[name])
            if int(dates.notna().sum()) == len(observed):  # 2024-13-40 looks like a date and is none
                found[name] = dates
    return X.assign(**found)


def _names_of_rows(keys: pd.DataFrame) -> pd.Index:
    index: pd.Index = pd.Index(keys.iloc[:, 0], name=keys.columns[0])
    if keys.shape[1] > 1:
        rows = np.empty(len(keys), dtype=object)
        rows[:] = list(keys.itertuples(index=False, name=None))
        index = pd.Index(rows, tupleize_cols=False, name=tuple(keys.columns))
    return index


def _as_series(X: pd.DataFrame, channels: int, interleaved: bool, source: Path) -> np.ndarray:
    text = [name for name in X.columns if not pd.api.types.is_numeric_dtype(X[name].dtype)]
    if text:
        raise ValueError(f"{source.name}: column {text[0]!r} is not numeric, so it is not a step of a series; drop it")
    if channels < 1 or X.shape[1] % channels:
        raise ValueError(f"channels={channels} does not divide the {X.shape[1]} value columns of {source.name}")
    values = X.to_numpy(dtype=np.float64)
    if interleaved:
        return np.ascontiguousarray(values.reshape(len(X), -1, channels).transpose(0, 2, 1))
    return values.reshape(len(X), channels, -1)
