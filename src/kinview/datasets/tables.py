"""Wide tables: one row a sample, from CSV, Parquet or ARFF."""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kinview.data.modality import TABLE, Modality
from kinview.datasets._static import named_static, static_columns
from kinview.datasets.ambiguous import warn_of_codes, warn_of_months, warn_of_sentinels, warn_of_thousands
from kinview.datasets.cells import category_column, code_column, refuse_infinite, refuse_rounded
from kinview.datasets.censored import Censored, read_censored
from kinview.datasets.class_names import labels_of, warn_of_alike
from kinview.datasets.column_names import check_column_names
from kinview.datasets.dates import date_columns, refuse_written_dates
from kinview.datasets.delimited import NA, TextFormat, column_position
from kinview.datasets.features import (
    numbers_in_order,
    refuse_named_steps,
    warn_of_long_format,
    warn_of_persons,
    warn_of_row_numbers,
)
from kinview.datasets.frames import PARQUET, is_typed, read_frame, refuse_twice, several
from kinview.datasets.nearly import refuse_nearly_numbers, warn_of_typed_texts
from kinview.datasets.rows import (
    Rows,
    warn_of_footers,
    warn_of_odd_code,
    warn_of_unnamed,
    warn_of_unobserved,
)
from kinview.datasets.samples import Samples

__all__ = ["read_wide"]


def read_wide(
    path: str | os.PathLike[str],
    label: str | int | None = None,
    drop: str | int | Sequence[str | int] = (),
    *,
    group: str | int | None = None,
    static: str | int | Sequence[str | int] = (),
    index: str | int | Sequence[str | int] = (),
    categorical: str | int | Sequence[str | int] = (),
    censored: Censored = None,
    header: bool | None = None,
    sep: str | None = None,
    na_values: NA = (),
    decimal: str = ".",
    thousands: str | None = None,
    comment: str | None = None,
    skiprows: int | Sequence[int] = 0,
    encoding: str = "utf-8",
    modality: Modality = TABLE,
    channels: int = 1,
    interleaved: bool = False,
) -> Samples:
    r"""Read a wide table: one row a sample, one column a feature, a label column among them.

    Empty cells, ``?``, ``NA``, ``NaN``, ``null`` and ``\N`` are missing; ``None`` is a category. In delimited text, a
    feature whose observed cells are all ISO 8601 dates (``2024-05-31``, ``2024-05-31 13:30``,
    ``2024-05-31T13:30:00Z``) becomes a date, in UTC where it has a time zone; numbers and years stay numbers. Parquet
    and ARFF keep their types, decimals become numbers.

    Groups and index columns are codes: text, and numbers only where text and number are one to one (``7``, not
    ``07``). A first column without a name holds the names of the rows: no feature, and the index of X, named
    ``index``, unless it counts the rows.

    Parameters
    ----------
    path : path
        ``.parquet``/``.pq``, ``.arff``, or delimited text (any other extension).
    label : str or int, optional
        Column of the labels: its name, or its position (``-1`` is the last). Rows with an empty cell have no label.
        Default: no labels, all are features.
    drop : str, int or sequence of these, optional
        Columns to leave out (identifiers, free text).
    group : str or int, optional
        Column of the group (patient, subject) of each row; it is not a feature.
    static : str, int or sequence of these, optional
        Columns of what is known of each row besides its features (sex, age, site): no features;
        :class:`kinview.datasets.Samples` has them as ``static``.
    index : str, int or sequence of these, optional
        Columns that name the rows (record, patient and visit): no features, but the index of X; of several columns an
        index of tuples, because a MultiIndex stands for time series. Tables only.
    categorical : str, int or sequence of these, optional
        Features that are categories, whatever their cells hold (``101`` and ``103A``; ``0``, ``1`` and ``>=3``; codes
        such as ``07919``): text as it is written. Tables only.
    censored : {"limit", "half", "missing"} or mapping, optional
        What a value beyond a limit of detection becomes (``<0.5``, ``>100``) in a feature that holds numbers besides:
        the limit, half of it (of what lies above a limit, the limit), or missing; by column as ``{"crp": "half"}``.
        Default: such a cell is refused.
    header : bool, optional
        Whether the first line of a text file names the columns. Default: it does where a text stands over a column of
        numbers, dates or booleans, or where all its cells are distinct texts; a line of numbers is data, and a line
        that could be either is refused. Columns without names are called ``x0``, ``x1``, ...
    sep : str, optional
        Sign between the columns of a text file, ``\s+`` for blanks. Default: the one of tab, semicolon, ``|`` and comma
        that stands equally often in the first lines, quoted cells apart, else blanks.
    na_values : str, sequence of str, or mapping, optional
        Further cells of a text file that are missing, such as ``"-"`` or ``-999``; by column as
        ``{"lactate": ["-", "n.d."]}``. In columns of numbers a number names every cell of that value, however it is
        written (``-999`` also ``-999.0``, ``0`` also ``00``); texts, categories and codes are compared as written.
    decimal : {".", ","}, default "."
        Decimal sign of a text file.
    thousands : str, optional
        Sign between the thousands of a text file, ``","`` for ``1,234``.
    comment : str, optional
        Sign that begins a comment in a text file, such as ``"#"``: what follows it in its line is left out, except in
        quotes.
    skiprows : int or sequence of int, default 0
        Lines of a text file to leave out: how many at the top (a title), or which (``[1]`` is that below the names).
    encoding : str, default "utf-8"
        How a text file is encoded: ``"latin-1"``, ``"cp1252"`` (Windows), ... UTF-16 with a byte order mark is told.
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
        If a named column does not exist, two share a name, a group is missing, or a line has too few cells or a NUL
        byte; if an option names a column twice; if a feature is numeric but for a few cells (``98%``, ``1,234``,
        ``-``), or holds numbers with something more (``110 mmHg``), dates that are not ISO 8601 (``31.12.2020``,
        ``20201231``) or have a time zone in some cells only, infinite numbers, or whole ones beyond 2^53; if a time
        series has a column that is not numeric or is called an id, an index, or columns that do not divide by the
        number of channels; or if a label is a sign of no value (``.``, ``-``, ``n.a.``) among names, or the labels
        are numbers with fractions but for such cells.

    Warns
    -----
    UserWarning
        If rows are blank (these are left out), have no observed feature, or look like a total or a note; if a feature
        numbers the rows, is written like codes (``07919``) or months (202001), has a number such as -999 in many cells
        far from all others, is a category of few levels some of which are numbers, or is text in Parquet that holds
        numbers or dates; if a wide time series has row names or a first column like an id; if points could part
        thousands (``1.100`` in a file with semicolons); if no group is given although a column looks like the patient
        or subject of several rows, or the index names several rows alike; if labels, groups or names of rows differ in
        letter case or blanks only, or a label reads like no value (``unknown``, -999) or is the one text among whole
        numbers.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "demo.csv")
    >>> _ = path.write_text("age;sex;outcome\n61,5;F;1\n;M;0\n")
    >>> samples = read_wide(path, label="outcome", decimal=",")
    >>> samples.X["age"].tolist(), samples.y.tolist()
    ([61.5, nan], [1, 0])
    """
    check_column_names(
        {
            "label": label,
            "group": group,
            "static": static,
            "index": index,
            "drop": drop,
            "na_values": na_values,
            "categorical": categorical,
        }
    )
    source = Path(path)
    keys, dropped, categories, aside = several(index), several(drop), several(categorical), several(static)
    named = [column for column in (label, group) if column is not None]
    format = TextFormat(header, sep, na_values, decimal, thousands, comment, skiprows, encoding)
    frame = read_frame(source, format, codes=[*named, *keys, *categories, *aside])
    rows = Rows.of(frame)
    columns = _Columns.found(list(frame.columns), label, group, keys, dropped, categories, aside, source)
    written: dict[str, Any] = {"decimal": decimal, "thousands": thousands}
    measured = [name for name in columns.features if name not in columns.categorical]
    frame = read_censored(frame, measured, censored, source, **written)
    y = groups = None
    if columns.label is not None:
        what = f"label {columns.label!r}"
        y = labels_of(frame[columns.label], what, source.name, **written, rows=rows)
    if columns.group is not None:
        codes = code_column(frame[columns.group])
        if codes.isna().any():
            row = rows.name(int(codes.isna().to_numpy().argmax()))
            raise ValueError(
                f"column {columns.group!r} of {source.name} has rows without a group, the first is {row}; every row "
                f"needs one"
            )
        groups = codes.to_numpy()
        warn_of_alike(codes.unique(), f"group {columns.group!r}", source.name, "groups")
    known = static_columns(frame, columns.static, source.name, rows, **written)
    X = frame[columns.features].assign(**{name: category_column(frame[name]) for name in columns.categorical})
    if X.shape[1] == 0:
        raise ValueError(f"{source.name} has no feature columns left (columns: {', '.join(frame.columns)})")
    _check_features(X, rows, source, format)
    _warn_of_rows(frame, X, columns, rows, source)
    head = rows.head(X)
    if rows.separator == ";" and format.decimal == "." and format.thousands is None:
        warn_of_thousands(X, head, source.name)
    warn_of_sentinels(X, source.name)
    if modality != TABLE:
        _check_steps(frame, X, columns, head, source)
        return Samples(_as_series(X, channels, interleaved, source), y, groups, static=known)
    if not is_typed(source):
        X = date_columns(X, source.name, rows)
    refuse_written_dates(X, source.name, rows, typed=source.suffix.lower() == ".arff")
    warn_of_months(X, source.name)
    warn_of_codes(X, head, source.name)
    warn_of_row_numbers(X, source.name)
    names = _names_of_rows(frame, columns.index)
    for key in columns.index:
        warn_of_alike(code_column(frame[key]).unique(), f"index {key or 'index'!r}", source.name, "names of rows")
    if group is None and not warn_of_long_format(frame[[*columns.features, *columns.dropped]], source.name):
        warn_of_persons(frame, [*columns.features, *columns.dropped], source.name)
        if keys and names is not None and not names.is_unique:
            warnings.warn(
                f"{source.name}: index {columns.index} names several rows alike, which a split may part; give the "
                f"patient or subject as the group (group=, --group)",
                UserWarning,
                stacklevel=2,
            )
    X = X.reset_index(drop=True) if names is None else X.set_axis(names, axis=0)
    return Samples(X, y, groups, TABLE, named_static(X, known))


@dataclasses.dataclass(frozen=True)
class _Columns:
    """Names of the columns by the part that they play; "" is a first column without a name."""

    label: str | None
    group: str | None
    index: list[str]
    dropped: list[str]
    categorical: list[str]
    static: list[str]
    features: list[str]

    @classmethod
    def found(
        cls,
        names: list[str],
        label: Any,
        group: Any,
        index: list[Any],
        dropped: list[Any],
        categorical: list[Any],
        static: list[Any],
        source: Path,
    ) -> _Columns:
        def name(column: str | int) -> str:
            return names[column_position(names, column, source)]

        parts = [None if column is None else name(column) for column in (label, group)]
        index, dropped = [name(column) for column in index], [name(column) for column in dropped]
        categorical, static = [name(column) for column in categorical], [name(column) for column in static]
        given_as = (("index", index), ("drop", dropped), ("categorical", categorical), ("static", static))
        for option, given in given_as:
            refuse_twice(given, option, source.name)
        features = [column for column in names if column and column not in (*parts, *index, *dropped, *static)]
        if not index and "" in names and "" not in (*parts, *dropped, *static):
            index = [""]
        if other := [column for column in categorical if column not in features]:
            raise ValueError(
                f"categorical={other[0]!r} is no feature of {source.name}: label=, group=, static=, index= or drop= "
                "names it too"
            )
        return cls(parts[0], parts[1], index, dropped, categorical, static, features)


def _check_features(X: pd.DataFrame, rows: Rows, source: Path, format: TextFormat) -> None:
    """Refuse features whose cells are no numbers, or not as they are written; ARFF declares what they are."""
    typed = is_typed(source)
    if source.suffix.lower() != ".arff":
        written: dict[str, Any] = {"decimal": format.decimal, "thousands": format.thousands}
        refuse_nearly_numbers(X, source.name, **written, rows=rows, typed=typed)
    if source.suffix.lower() in PARQUET:
        warn_of_typed_texts(X, source.name, rows)
    refuse_rounded(X, source.name, rows=rows)
    refuse_infinite(X, source.name, rows)


def _check_steps(
    frame: pd.DataFrame, X: pd.DataFrame, columns: _Columns, head: dict[str, list[str]], source: Path
) -> None:
    """Check that the features of a wide time series are steps, and say what is left out."""
    for option, given in (("index", [name for name in columns.index if name]), ("categorical", columns.categorical)):
        if given:
            raise ValueError(
                f"{option}={given} {'names the rows' if option == 'index' else 'names categories'} of a table; with "
                f"modality='time_series' use drop, or group"
            )
    refuse_named_steps(X, source.name)
    warn_of_codes(X, head, source.name)
    warn_of_row_numbers(X, source.name)
    names = _names_of_rows(frame, columns.index)
    if names is not None:
        warnings.warn(
            f"{source.name}: the names of the rows ({names[0]!r}, ...) in the first column are left out, because the "
            f"series of a wide file have no index; if they are the patients, give them as the group (group=0)",
            UserWarning,
            stacklevel=3,
        )


def _warn_of_rows(frame: pd.DataFrame, X: pd.DataFrame, columns: _Columns, rows: Rows, source: Path) -> None:
    """Warn of rows that may be no samples."""
    if source.suffix.lower() != ".arff":  # whose gaps are each written
        warn_of_unobserved(X, rows, source.name)
    warn_of_unnamed(frame[columns.index], rows, source.name)
    for name in dict.fromkeys(name for name in (columns.group, *columns.index) if name is not None):
        warn_of_odd_code(code_column(frame[name]), name, rows, source.name)
    warn_of_footers(frame, rows, source.name)


def _names_of_rows(frame: pd.DataFrame, keys: list[str]) -> pd.Index | None:
    """Index that these columns make; None without any, and for a nameless one that only counts the rows."""
    if not keys:
        return None
    columns = [code_column(frame[name]) for name in keys]
    if keys == [""]:
        counted = columns[0].dtype == np.int64 and numbers_in_order(columns[0].to_numpy())
        if counted or columns[0].isna().all():
            return None
    index: pd.Index = pd.Index(columns[0], name=keys[0] or "index")
    if len(keys) == 1:
        return index
    rows = np.empty(len(frame), dtype=object)
    rows[:] = list(pd.concat(columns, axis=1).itertuples(index=False, name=None))
    return pd.Index(rows, tupleize_cols=False, name=tuple(keys))


def _as_series(X: pd.DataFrame, channels: int, interleaved: bool, source: Path) -> np.ndarray:
    text = [name for name in X.columns if not pd.api.types.is_numeric_dtype(X[name].dtype)]
    if text:
        raise ValueError(f"{source.name}: column {text[0]!r} is not numeric, so it is not a step of a series; drop it")
    if channels < 1 or X.shape[1] % channels:
        raise ValueError(f"channels={channels} does not divide the {X.shape[1]} value columns of {source.name}")
    values = X.to_numpy(dtype=np.float64, na_value=np.nan)
    if interleaved:
        return np.ascontiguousarray(values.reshape(len(X), -1, channels).transpose(0, 2, 1))
    return values.reshape(len(X), channels, -1)
