"""Long format: one row a measurement or a time step, many rows a series."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kinview.datasets._static import named_static, static_columns
from kinview.datasets.ambiguous import (
    are_days,
    warn_of_months,
    warn_of_sentinels,
    warn_of_thousands,
)
from kinview.datasets.cells import code_column, refuse_infinite, refuse_nul, refuse_rounded
from kinview.datasets.class_names import labels_of, warn_of_alike
from kinview.datasets.column_names import check_column_names
from kinview.datasets.delimited import NA, TextFormat, column_position
from kinview.datasets.features import constant_within, is_row_number, numbers_rows, warn_of_persons
from kinview.datasets.nearly import refuse_nearly_numbers, remedy_for
from kinview.datasets.rows import Rows, warn_of_footers, warn_of_odd_code
from kinview.datasets.samples import Samples
from kinview.datasets.stamps import time_stamps
from kinview.datasets.steps import bin_edges, bin_numbers, bin_width, fill_bins, to_steps
from kinview.datasets.tables import read_frame, refuse_twice, several

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
    return _from_long(
        frame, id, time, columns, value, variable, label, group, static, resample, source.name, format, rows
    )  # fmt: skip


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
    source: str = "frame",
) -> Samples:
    """Time series from a DataFrame in long format; parameters as :func:`read_long`, the frame is not modified."""
    return _from_long(
        frame, id, time, columns, value, variable, label, group, static, resample, source, TextFormat(), Rows()
    )  # fmt: skip


def _from_long(
    frame: pd.DataFrame,
    id: str | int | Sequence[str | int],
    time: str | int,
    columns: str | Sequence[str | int] | None,
    value: str | int | None,
    variable: str | int | None,
    label: str | int | None,
    group: str | int | None,
    static: str | int | Sequence[str | int],
    resample: float | str | None,
    source: str,
    format: TextFormat,
    rows: Rows,
) -> Samples:
    if variable is not None and value is None:
        raise ValueError(f"variable={variable!r} needs value=, the column of the measured values")
    if value is not None and columns is not None:
        raise ValueError("give either columns= (one column a channel) or value= (one row a measurement), not both")
    where = Path(source)

    def name(column: Any) -> Any:
        known = frame.columns.tolist()
        return column if column in known else known[column_position(list(map(str, known)), column, where)]

    ids, stamp = [name(column) for column in several(id)], name(time)
    variable, label, group = (None if column is None else name(column) for column in (variable, label, group))
    aside = [name(column) for column in several(static)]
    refuse_twice(aside, "static", source)
    keys_of = dict.fromkeys(part for part in (*ids, stamp, variable, label, group, *aside) if part is not None)
    refuse_nul(frame[list(keys_of)], source)
    series, keys = _series(frame, ids, where, rows)
    chosen = several(value) if value is not None else None if columns is None else several(columns)
    taken = {*ids, stamp, label, group, *aside}
    refuse_twice(ids, "id", source)
    channels = (
        _measurements(frame, series, taken, source, format, rows) if chosen is None else [name(c) for c in chosen]
    )
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
    written: dict[str, Any] = {"decimal": format.decimal, "thousands": format.thousands}
    y = None
    if label is not None:
        given = _constant(frame[label], label, series, keys, complete=False)
        y = labels_of(given, f"label {label!r}", source, **written)
    known = {column: _constant(frame[column], str(column), series, keys, complete=False) for column in aside}
    if group is None and len(ids) > 1:
        group = ids[0]
    groups = None if group is None else _constant(frame[group], str(group), series, keys).to_numpy()
    if variable is not None:
        codes, names = pd.factorize(frame[variable], sort=True)
        if (codes < 0).any():
            raise ValueError(
                f"column {variable!r} is empty in {rows.name(int((codes < 0).argmax()))}; it names the channel"
            )
    else:
        codes, names = None, pd.Index(channels)
    _warn_of_alike_codes(keys, group, groups, None if variable is None else names, variable, source)
    measured = _values(frame, channels, where, rows)
    if resample is None:
        _refuse_duplicates(series, stamps, codes, keys, names)
        values, series, stamps = to_steps(measured, series, stamps, codes, len(names))
    else:
        width = bin_width(resample, stamp, stamps, durations=durations)
        values, series, bins = to_steps(measured, series, bin_numbers(stamps, width), codes, len(names))
        values, series, bins = fill_bins(values, series, bins, resample)
        stamps = bin_edges(bins, width, stamps)
    arrays = [keys.get_level_values(level).take(series) for level in range(keys.nlevels)]
    index = pd.MultiIndex.from_arrays([*arrays, stamps], names=[*ids, stamp])
    X = pd.DataFrame(values, index=index, columns=names.rename(variable))
    return Samples(X, y, groups, static=named_static(X, static_columns(pd.DataFrame(known), aside, source, **written)))


def _warn_of_alike_codes(
    keys: pd.Index, group: Any, groups: NDArray[Any] | None, names: pd.Index | None, variable: Any, source: str
) -> None:
    for level, name in enumerate(keys.names):
        warn_of_alike(keys.get_level_values(level).unique(), f"id {name!r}", source, "ids")
    if groups is not None and group not in keys.names:
        warn_of_alike(pd.unique(groups), f"group {group!r}", source, "groups")
    if names is not None:
        warn_of_alike(names, f"variable {variable!r}", source, "channels")


def _measurements(
    frame: pd.DataFrame, series: NDArray[np.int64], taken: set[Any], source: str, format: TextFormat, rows: Rows
) -> list[Any]:
    """Numeric columns that may be measurements; a warning lists the others."""
    free = [column for column in frame.columns if column not in taken and column != ""]
    numeric = [column for column in free if _is_numeric(frame[column])]
    texts = frame[[column for column in free if column not in numeric]]
    refuse_nearly_numbers(
        texts,
        source,
        "or leave the column out (columns= names the others)",
        decimal=format.decimal,
        thousands=format.thousands,
        rows=rows,
        categories=False,
    )
    constant = constant_within(frame[numeric], series)
    numbering = [
        column for column in numeric if column not in constant and is_row_number(_floats(frame[column]), str(column))
    ]
    days = [column for column in numeric if column not in (*constant, *numbering) and are_days(_floats(frame[column]))]
    left_out = {
        "no numbers": [column for column in free if column not in numeric],
        "one value in each id": constant,
        "numbers of rows": numbering,
        "days written as whole numbers": days,
    }
    why = "; ".join(f"{', '.join(map(str, names))} ({reason})" for reason, names in left_out.items() if names)
    channels = [column for column in numeric if column not in (*constant, *numbering, *days)]
    if not channels:
        also = f"; left out: {why}" if why else ""
        raise ValueError(
            f"{source} has no numeric column besides id, time, label and group; name the channels (columns=){also}"
        )
    unsure = [str(column) for column in channels if numbers_rows(_floats(frame[column]), series, str(column))]
    if unsure:
        warnings.warn(
            f"{source}: {', '.join(map(repr, unsure))} may number the rows, since no whole number stands twice or they "
            f"only grow over the file, and {'is a channel' if len(unsure) == 1 else 'are channels'} now; name the "
            f"channels to leave out what is no measurement (columns=)",
            UserWarning,
            stacklevel=4,
        )
    if why:
        warnings.warn(
            f"{source}: these columns are no channels: {why}; name the channels to choose them yourself (columns=)",
            UserWarning,
            stacklevel=4,
        )
    return channels


def _floats(column: pd.Series) -> NDArray[np.float64]:
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def _is_numeric(column: pd.Series) -> bool:
    """Whether a column holds numbers or booleans, also as objects (decimals, booleans with a gap)."""
    if pd.api.types.is_numeric_dtype(column.dtype):
        return True
    return column.dtype == object and pd.api.types.infer_dtype(column, skipna=True) in ("decimal", "boolean", "empty")


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
            f"column {name!r} is not constant for id {_shown(keys[number])}: {found}; it must be one value a series"
        )
    values = pairs.set_index("series")["value"].reindex(range(len(keys)))
    if len(pairs) < len(keys) and not complete:
        return values
    if len(pairs) < len(keys):
        absent = int(values.isna().to_numpy().argmax())
        raise ValueError(
            f"column {name!r} has no value for id {_shown(keys[absent])} (and {len(keys) - len(pairs)} in all)"
        )
    # The gaps that reindexing could have made are excluded, so whole numbers stay whole.
    return values.astype(column.dtype) if values.dtype != column.dtype else values


def _shown(key: Any) -> str:
    """An id as people write it, without the types of NumPy."""
    parts = [
        part.item() if isinstance(part, np.generic) else part for part in (key if isinstance(key, tuple) else [key])
    ]
    return repr(tuple(parts) if isinstance(key, tuple) else parts[0])


def _values(frame: pd.DataFrame, channels: list[str], source: Path, rows: Rows) -> NDArray[np.float64]:
    for name in channels:
        if _is_numeric(frame[name]) or frame[name].isna().all():
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
        column = frame[name] if _is_numeric(frame[name]) else pd.to_numeric(frame[name])
        values[:, place] = column.to_numpy(dtype=np.float64, na_value=np.nan)
    return values


def _refuse_duplicates(
    series: NDArray[np.int64], stamps: NDArray[Any], variable: NDArray[np.int64] | None, keys: pd.Index, names: pd.Index
) -> None:
    cells = pd.DataFrame({"series": series, "stamp": stamps, "variable": 0 if variable is None else variable})
    twice = cells.duplicated().to_numpy()
    if twice.any():
        row = int(twice.argmax())
        what = "" if variable is None else f" for {names[variable[row]]!r}"
        raise ValueError(
            f"id {_shown(keys[series[row]])} has time {cells['stamp'].iloc[row]} more than once{what}; remove the "
            f"duplicates, or average them with resample="
        )
