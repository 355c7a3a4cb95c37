"""Long format: one row a measurement or a time step, many rows a series."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kinview.datasets._static import named_static, static_columns
from kinview.datasets.ambiguous import (
    warn_of_months,
    warn_of_sentinels,
    warn_of_thousands,
)
from kinview.datasets.cells import code_column, refuse_infinite, refuse_nul, refuse_rounded
from kinview.datasets.censored import Censored, read_censored
from kinview.datasets.class_names import labels_of, warn_of_alike
from kinview.datasets.column_names import check_column_names
from kinview.datasets.delimited import NA, TextFormat, column_position
from kinview.datasets.features import warn_of_persons
from kinview.datasets.frames import read_frame, refuse_twice, several
from kinview.datasets.long_steps import Duplicates, series_steps, shown_id
from kinview.datasets.measurements import is_numeric, measurements
from kinview.datasets.nearly import remedy_for
from kinview.datasets.rows import Rows, warn_of_footers, warn_of_odd_code
from kinview.datasets.samples import Samples
from kinview.datasets.stamps import time_stamps

__all__ = ["from_long", "read_long"]


def read_long(
    path: str | os.PathLike[str],
    *,
    id: str | int | Sequence[str | int],
    time: str | int,
    columns: str | Sequence[str | int] | None = None,
    value: str | int | None = None,
    variable: str | int | None = None,
    label: str | int | None = None,
    group: str | int | None = None,
    static: str | int | Sequence[str | int] = (),
    resample: float | str | None = None,
    duplicates: Duplicates = None,
    censored: Censored = None,
    header: bool | None = None,
    sep: str | None = None,
    na_values: NA = (),
    decimal: str = ".",
    thousands: str | None = None,
    comment: str | None = None,
    skiprows: int | Sequence[int] = 0,
    encoding: str = "utf-8",
) -> Samples:
    r"""Read time series in long format from CSV or Parquet.

    Two shapes are read: one column a channel (``columns``; a row is a time step), or one row a measurement
    (``variable`` names the channel, ``value`` holds the number). Series are in the order of their sorted ids, the steps
    of a series in the order of time, whatever the order of the file.

    Ids, groups and channel names are codes: text, and numbers only where text and number are one to one (``7``, not
    ``07``).

    Without ``columns`` and ``value`` the channels are the numeric columns that have no other part to play, and may be
    measurements. Left out, with a warning by name, are columns that are no numbers, days written as whole numbers
    (20200131), and in a file of five rows or more
    those that hold one value in each id, where an id has several rows (an outcome, a static value, another id), and
    those that number the rows: they count them from 0 or 1, or no whole number stands twice and the name is that of a
    key (``row_id``, ``index``). Channels, with a warning, are columns in which no whole number stands twice although
    numbers drawn at random from their range would hold at least ten equal pairs, and those that only grow over the
    whole file across at least five changes of the id.
    A column that is numeric but for a few cells is refused. A first column without a name is left out.

    Parameters
    ----------
    path : path
        Delimited text or Parquet. Any column may also be given by its position (``0``, or ``-1`` for the last).
    id : str or sequence of str
        Column that tells the series apart. With several (patient, recording) all of them together do, and the first is
        the group unless ``group`` is given.
    time : str
        Column of the time stamps: numbers (in any unit; whole ones beyond 2^53 stay whole), dates (ISO 8601; with a
        time zone they become UTC), or durations of Parquet, which become seconds.
    columns : sequence of str, optional
        Channels, whatever they hold. Default without ``value``: the measurements, as said above.
    value : str, optional
        Column of the measured values; without ``variable`` the only channel.
    variable : str, optional
        Column of the channel names, in sorted order the channels.
    label : str, optional
        Column of the label of the series: one value for each id, empty cells are ignored. A series without one has
        no label.
    group : str, optional
        Column of the group (patient) of the series: one value for each id.
    static : str or sequence of str, optional
        Columns of what is known of the series besides its channels (sex, age, site): one value for each id, empty cells
        are ignored. No channel; :class:`kinview.datasets.Samples` has them as ``static``.
    resample : float or str, optional
        Width of a time bin: a number in the unit of ``time``, or for dates and durations ``"1h"``, ``"30min"``. The
        bins begin at the multiples of the width (dates: counted from 1970-01-01), a value is the mean of the
        observations in its bin (its left edge included), and each series runs from its first to its last bin; bins
        without an observation are NaN. Default: the observed steps as they are, that is the union of the time stamps
        of a series, NaN in the channels that were not measured.
    duplicates : {"mean", "first", "last", "error"}, optional
        What becomes of several values of a channel with one time stamp in a series: their mean, the first or the last
        that was observed in the order of the file, or an error. Default: an error, with ``resample`` the mean.
    censored : {"limit", "half", "missing"} or mapping, optional
        What a value beyond a limit of detection becomes (``<0.5``, ``>100``) in a channel of numbers: the limit, half
        of it (of what lies above a limit, the limit), or missing; by column as ``{"crp": "half"}``. Default: such a
        cell is refused.
    header : bool, optional
        Whether the first line of a text file names the columns; else they are called ``x0``, ``x1``, ... Default: it
        does; one that looks like data is refused where no column is given by a name in it.
    sep, na_values, decimal, thousands, comment, skiprows, encoding : optional
        How a text file is written, as for :func:`read_wide`.

    Returns
    -------
    Samples
        X is a DataFrame with MultiIndex ``(id, time)``, one float64 column a channel.

    Raises
    ------
    ValueError
        If a column does not exist, a label or group differs within an id, a group or time stamp is missing, a stamp is
        unreadable, a day written as a whole number (20200131) or twice in one id, a value is not numeric or infinite,
        a line has too few cells or a NUL byte, or a label is a sign of no value (``.``, ``-``, ``n.a.``) among names.
        The message names the id or the line.

    Warns
    -----
    UserWarning
        If columns are left out, blank rows are, or no group is given although a column looks like the patient of
        several series; if the last rows look like totals or notes, stamps like days and months (31.12), or points in a
        file with semicolons could part thousands; if ids, groups, channels or
        labels differ in letter case or blanks only, or a label reads like no value (``unknown``, -999).

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "demo.csv")
    >>> _ = path.write_text("patient,t,what,x,died\nb,0,hr,80,1\na,0,hr,70,0\na,0,temp,37.5,0\na,2,hr,72,0\n")
    >>> samples = read_long(path, id="patient", time="t", variable="what", value="x", label="died")
    >>> samples.X.index.tolist(), samples.X["hr"].tolist(), samples.y.tolist()
    ([('a', 0.0), ('a', 2.0), ('b', 0.0)], [70.0, 72.0, 80.0], [0, 1])
    """
    named = {"id": id, "time": time, "columns": columns, "value": value, "variable": variable}
    check_column_names({**named, "label": label, "group": group, "static": static, "na_values": na_values})
    source = Path(path)
    parts = [column for column in (*several(id), variable, label, group, *several(static)) if column is not None]
    format = TextFormat(header, sep, na_values, decimal, thousands, comment, skiprows, encoding, named=True)
    frame = read_frame(source, format, codes=parts)
    rows = Rows.of(frame)
    names = list(frame.columns)
    for place in {column_position(names, column, source) for column in parts}:
        frame[names[place]] = code_column(frame[names[place]])
    asked = _Asked(id, time, columns, value, variable, label, group, static, resample, duplicates, censored)
    return _from_long(frame, asked, source.name, format, rows)


def from_long(
    frame: pd.DataFrame,
    *,
    id: str | int | Sequence[str | int],
    time: str | int,
    columns: str | Sequence[str | int] | None = None,
    value: str | int | None = None,
    variable: str | int | None = None,
    label: str | int | None = None,
    group: str | int | None = None,
    static: str | int | Sequence[str | int] = (),
    resample: float | str | None = None,
    duplicates: Duplicates = None,
    censored: Censored = None,
    source: str = "frame",
) -> Samples:
    """Time series from a DataFrame in long format; parameters as :func:`read_long`, the frame is not modified."""
    asked = _Asked(id, time, columns, value, variable, label, group, static, resample, duplicates, censored)
    return _from_long(frame, asked, source, TextFormat(), Rows())


@dataclasses.dataclass(frozen=True)
class _Asked:
    """Parameters of :func:`read_long` that say what the columns are, and how steps and values are made of them."""

    id: str | int | Sequence[str | int]
    time: str | int
    columns: str | Sequence[str | int] | None
    value: str | int | None
    variable: str | int | None
    label: str | int | None
    group: str | int | None
    static: str | int | Sequence[str | int]
    resample: float | str | None
    duplicates: Duplicates
    censored: Censored


def _from_long(frame: pd.DataFrame, asked: _Asked, source: str, format: TextFormat, rows: Rows) -> Samples:
    columns, value, variable, label, group = asked.columns, asked.value, asked.variable, asked.label, asked.group
    if variable is not None and value is None:
        raise ValueError(f"variable={variable!r} needs value=, the column of the measured values")
    if value is not None and columns is not None:
        raise ValueError("give either columns= (one column a channel) or value= (one row a measurement), not both")
    where = Path(source)

    def name(column: Any) -> Any:
        known = frame.columns.tolist()
        return column if column in known else known[column_position(list(map(str, known)), column, where)]

    ids, stamp = [name(column) for column in several(asked.id)], name(asked.time)
    variable, label, group = (None if column is None else name(column) for column in (variable, label, group))
    aside = [name(column) for column in several(asked.static)]
    refuse_twice(aside, "static", source)
    keys_of = dict.fromkeys(part for part in (*ids, stamp, variable, label, group, *aside) if part is not None)
    refuse_nul(frame[list(keys_of)], source)
    series, keys = _series(frame, ids, where, rows)
    chosen = several(value) if value is not None else None if columns is None else several(columns)
    taken = {*ids, stamp, variable, label, group, *aside}
    refuse_twice(ids, "id", source)
    written: dict[str, Any] = {"decimal": format.decimal, "thousands": format.thousands}
    free = [c for c in frame.columns if c not in taken] if chosen is None else [name(c) for c in chosen]
    frame = read_censored(frame, free, asked.censored, where, **written)
    channels = measurements(frame, series, taken, source, format, rows) if chosen is None else free
    refuse_twice(channels, "columns", source)
    warn_of_sentinels(frame[channels], source)
    warn_of_months(frame[channels], source)
    refuse_rounded(frame[channels], source, "columns= names the others", rows)
    refuse_infinite(frame[channels], source, rows)
    if rows.separator == ";" and format.decimal == "." and format.thousands is None:
        warn_of_thousands(frame, rows.head(frame[channels]), source)
    for part in dict.fromkeys(part for part in (*ids, group) if part is not None):
        warn_of_odd_code(frame[part], str(part), rows, source)
    warn_of_footers(frame, rows, source)
    if group is None and len(ids) == 1:
        others = [column for column in frame.columns if column not in (*channels, *taken, "")]
        warn_of_persons(_one_a_series(frame[others], series), others, source, "series")
    stamps = time_stamps(frame[stamp], stamp, series, keys, rows)
    durations = frame[stamp].dtype.kind == "m"
    y = None
    if label is not None:
        given = _constant(frame[label], label, series, keys, complete=False)
        y = labels_of(given, f"label {label!r}", source, **written)
    each = static_columns(frame, aside, source, **written)
    columns_of = () if each is None else each.items()
    known = {name: _constant(values, str(name), series, keys, complete=False) for name, values in columns_of}
    if group is None and len(ids) > 1:
        group = ids[0]
    groups = None if group is None else _constant(frame[group], str(group), series, keys).to_numpy()
    codes, names = _channels(frame, variable, channels, rows)
    _warn_of_alike_codes(keys, group, groups, None if variable is None else names, variable, source)
    measured = _values(frame, channels, where, rows)
    values, series, stamps = series_steps(
        measured, series, stamps, codes, keys, names,
        time=stamp, durations=durations, resample=asked.resample, duplicates=asked.duplicates,
    )  # fmt: skip
    arrays = [keys.get_level_values(level).take(series) for level in range(keys.nlevels)]
    index = pd.MultiIndex.from_arrays([*arrays, stamps], names=[*ids, stamp])
    X = pd.DataFrame(values, index=index, columns=names.rename(variable))
    return Samples(X, y, groups, static=named_static(X, pd.DataFrame(known) if aside else None))


def _channels(
    frame: pd.DataFrame, variable: Any, channels: list[Any], rows: Rows
) -> tuple[NDArray[np.int64] | None, pd.Index]:
    """Number of each row's channel where a column names it, and the names of the channels."""
    if variable is None:
        return None, pd.Index(channels)
    codes, names = pd.factorize(frame[variable], sort=True)
    if (codes < 0).any():
        row = rows.name(int((codes < 0).argmax()))
        raise ValueError(f"column {variable!r} is empty in {row}; it names the channel")
    return codes.astype(np.int64), pd.Index(names)


def _warn_of_alike_codes(
    keys: pd.Index, group: Any, groups: NDArray[Any] | None, names: pd.Index | None, variable: Any, source: str
) -> None:
    for level, name in enumerate(keys.names):
        warn_of_alike(keys.get_level_values(level).unique(), f"id {name!r}", source, "ids")
    if groups is not None and group not in keys.names:
        warn_of_alike(pd.unique(groups), f"group {group!r}", source, "groups")
    if names is not None:
        warn_of_alike(names, f"variable {variable!r}", source, "channels")


def _one_a_series(frame: pd.DataFrame, series: NDArray[np.int64]) -> pd.DataFrame:
    """The first row of each series."""
    return frame.iloc[np.unique(series, return_index=True)[1]]


def _series(frame: pd.DataFrame, ids: list[str], source: Path, rows: Rows) -> tuple[NDArray[np.int64], pd.Index]:
    """Number of the series of each row, and the id of each series, sorted."""
    for name in ids:
        if frame[name].isna().any():
            row = int(frame[name].isna().to_numpy().argmax())
            raise ValueError(f"{source}: id column {name!r} is empty in {rows.name(row)}")
    if len(frame) == 0:
        raise ValueError(f"{source} has no rows")
    if len(ids) == 1:
        codes, keys = pd.factorize(frame[ids[0]], sort=True)
        return codes.astype(np.int64), pd.Index(keys, name=ids[0])
    codes, keys = pd.factorize(pd.MultiIndex.from_frame(frame[ids]), sort=True)
    return codes.astype(np.int64), pd.MultiIndex.from_tuples(keys.tolist(), names=ids)


def _constant(
    column: pd.Series, name: str, series: NDArray[np.int64], keys: pd.Index, *, complete: bool = True
) -> pd.Series:
    """The one value of each series, or an error that names the id with several (or, where complete, none)."""
    pairs = pd.DataFrame({"series": series, "value": column.to_numpy()}).dropna().drop_duplicates()
    twice = pairs["series"].duplicated()
    if twice.any():
        number = int(pairs.loc[twice, "series"].iloc[0])
        found = ", ".join(repr(v) for v in pairs.loc[pairs["series"] == number, "value"].tolist()[:5])
        raise ValueError(
            f"column {name!r} is not constant for id {shown_id(keys[number])}: {found}; it must be one value a series"
        )
    values = pairs.set_index("series")["value"].reindex(range(len(keys)))
    if len(pairs) < len(keys) and not complete:
        return values
    if len(pairs) < len(keys):
        absent = int(values.isna().to_numpy().argmax())
        raise ValueError(
            f"column {name!r} has no value for id {shown_id(keys[absent])} (and {len(keys) - len(pairs)} in all)"
        )
    # The gaps that reindexing could have made are excluded, so whole numbers stay whole.
    return values.astype(column.dtype) if values.dtype != column.dtype else values


def _values(frame: pd.DataFrame, channels: list[str], source: Path, rows: Rows) -> NDArray[np.float64]:
    for name in channels:
        if is_numeric(frame[name]) or frame[name].isna().all():
            continue
        bad = (pd.to_numeric(frame[name], errors="coerce").isna() & frame[name].notna()).to_numpy()
        if bad.any():
            row = int(bad.argmax())
            cell = frame[name].iloc[row]
            raise ValueError(
                f"{source}: column {name!r} is {cell!r} in {rows.name(row)}; values must be numbers: "
                f"{remedy_for(str(cell))}"
            )
    values = np.empty((len(frame), len(channels)))
    for place, name in enumerate(channels):
        column = frame[name] if is_numeric(frame[name]) else pd.to_numeric(frame[name])
        values[:, place] = column.to_numpy(dtype=np.float64, na_value=np.nan)
    return values
