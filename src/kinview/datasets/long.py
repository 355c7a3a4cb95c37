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

from kinview.data.labels import as_labels
from kinview.datasets.cells import EXACT, code_column, refuse_nearly_numbers, refuse_rounded, remedy_for
from kinview.datasets.dataset import Samples
from kinview.datasets.dates import utc_dates
from kinview.datasets.delimited import NA, TextFormat, column_position
from kinview.datasets.features import constant_within, numbers_rows, warn_of_persons
from kinview.datasets.steps import bin_edges, bin_numbers, bin_width, fill_bins, to_steps
from kinview.datasets.tables import read_frame, several

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
    resample: float | str | None = None,
    header: bool = True,
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
    measurements. Left out, with a warning by name, are columns that are no numbers, and in a file of five rows or more
    those that hold one value in each id, where an id has several rows (an outcome, a static value, another id), and
    those that number the rows: they count them from 0 or 1; or no whole number stands twice, and either the name is
    that of a key (``row_id``, ``index``) or numbers drawn at random from their range would hold at least ten equal
    pairs; or they only grow over the whole file across at least five changes of the id.
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
    resample : float or str, optional
        Width of a time bin: a number in the unit of ``time``, or for dates and durations ``"1h"``, ``"30min"``. The
        bins begin at the multiples of the width (dates: counted from 1970-01-01), a value is the mean of the
        observations in its bin (its left edge included), and each series runs from its first to its last bin; bins
        without an observation are NaN. Default: the observed steps as they are, that is the union of the time stamps
        of a series, NaN in the channels that were not measured.
    header : bool, default True
        Whether the first line of a text file names the columns; else they are called ``x0``, ``x1``, ...
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
        unreadable or twice in one id, or a value is not numeric. The message names the id.

    Warns
    -----
    UserWarning
        If columns are left out, or no group is given although a column looks like the patient of several series.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "demo.csv")
    >>> _ = path.write_text("patient,t,what,x,died\nb,0,hr,80,1\na,0,hr,70,0\na,0,temp,37.5,0\na,2,hr,72,0\n")
    >>> samples = read_long(path, id="patient", time="t", variable="what", value="x", label="died")
    >>> samples.X.index.tolist(), samples.X["hr"].tolist(), samples.y.tolist()
    ([('a', 0.0), ('a', 2.0), ('b', 0.0)], [70.0, 72.0, 80.0], [0, 1])
    """
    source = Path(path)
    parts = [column for column in (*several(id), variable, label, group) if column is not None]
    format = TextFormat(header, sep, na_values, decimal, thousands, comment, skiprows, encoding)
    frame = read_frame(source, format, codes=parts)
    names = list(frame.columns)
    for place in {column_position(names, column, source) for column in parts}:
        frame[names[place]] = code_column(frame[names[place]])
    return _from_long(frame, id, time, columns, value, variable, label, group, resample, source.name, format)


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
    resample: float | str | None = None,
    source: str = "frame",
) -> Samples:
    """Time series from a DataFrame in long format; parameters as :func:`read_long`, the frame is not modified."""
    return _from_long(frame, id, time, columns, value, variable, label, group, resample, source, TextFormat())


def _from_long(
    frame: pd.DataFrame,
    id: str | int | Sequence[str | int],
    time: str | int,
    columns: str | Sequence[str | int] | None,
    value: str | int | None,
    variable: str | int | None,
    label: str | int | None,
    group: str | int | None,
    resample: float | str | None,
    source: str,
    format: TextFormat,
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
    series, keys = _series(frame, ids, where)
    chosen = several(value) if value is not None else None if columns is None else several(columns)
    taken = {*ids, stamp, label, group}
    channels = _measurements(frame, series, taken, source, format) if chosen is None else [name(c) for c in chosen]
    refuse_rounded(frame[channels], source, "columns= names the others")
    if group is None and len(ids) == 1:
        others = [column for column in frame.columns if column not in (*channels, *taken, "")]
        warn_of_persons(_one_a_series(frame[others], series), others, source, "series")
    stamps = _stamps(frame[stamp], stamp, series, keys)
    durations = frame[stamp].dtype.kind == "m"
    y = None if label is None else as_labels(_constant(frame[label], label, series, keys, complete=False))
    if group is None and len(ids) > 1:
        group = ids[0]
    groups = None if group is None else _constant(frame[group], str(group), series, keys).to_numpy()
    if variable is not None:
        codes, names = pd.factorize(frame[variable], sort=True)
        if (codes < 0).any():
            raise ValueError(f"column {variable!r} is empty in row {int((codes < 0).argmax())}; it names the channel")
    else:
        codes, names = None, pd.Index(channels)
    measured = _values(frame, channels, where)
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
    return Samples(pd.DataFrame(values, index=index, columns=names.rename(variable)), y, groups)


def _measurements(
    frame: pd.DataFrame, series: NDArray[np.int64], taken: set[Any], source: str, format: TextFormat
) -> list[Any]:
    """Numeric columns that may be measurements; a warning lists the others."""
    free = [column for column in frame.columns if column not in taken and column != ""]
    numeric = [column for column in free if _is_numeric(frame[column])]
    texts = frame[[column for column in free if column not in numeric]]
    refuse_nearly_numbers(
        texts, source, "columns= names the others", decimal=format.decimal, thousands=format.thousands
    )
    constant = constant_within(frame[numeric], series)
    rows = [
        column
        for column in numeric
        if column not in constant and numbers_rows(frame[column].to_numpy(dtype=np.float64, na_value=np.nan), series)
    ]
    left_out = {
        "no numbers": [column for column in free if column not in numeric],
        "one value in each id": constant,
        "numbers of rows": rows,
    }
    why = "; ".join(f"{', '.join(map(str, names))} ({reason})" for reason, names in left_out.items() if names)
    channels = [column for column in numeric if column not in (*constant, *rows)]
    if not channels:
        also = f"; left out: {why}" if why else ""
        raise ValueError(
            f"{source} has no numeric column besides id, time, label and group; name the channels (columns=){also}"
        )
    if why:
        warnings.warn(
            f"{source}: these columns are no channels: {why}; name the channels to choose them yourself (columns=)",
            UserWarning,
            stacklevel=4,
        )
    return channels


def _is_numeric(column: pd.Series) -> bool:
    """Whether a column holds numbers or booleans, also as objects (decimals, booleans with a gap)."""
    if pd.api.types.is_numeric_dtype(column.dtype):
        return True
    return column.dtype == object and pd.api.types.infer_dtype(column, skipna=True) in ("decimal", "boolean", "empty")


def _one_a_series(frame: pd.DataFrame, series: NDArray[np.int64]) -> pd.DataFrame:
    """The first row of each series."""
    return frame.iloc[np.unique(series, return_index=True)[1]]


def _series(frame: pd.DataFrame, ids: list[str], source: Path) -> tuple[NDArray[np.int64], pd.Index]:
    """Number of the series of each row, and the id of each series, sorted."""
    for name in ids:
        if frame[name].isna().any():
            raise ValueError(
                f"{source}: id column {name!r} is empty in row {int(frame[name].isna().to_numpy().argmax())}"
            )
    if len(frame) == 0:
        raise ValueError(f"{source} has no rows")
    if len(ids) == 1:
        codes, keys = pd.factorize(frame[ids[0]], sort=True)
        return codes.astype(np.int64), pd.Index(keys, name=ids[0])
    rows = pd.MultiIndex.from_frame(frame[ids])
    codes, keys = pd.factorize(rows, sort=True)
    return codes.astype(np.int64), pd.MultiIndex.from_tuples(keys.tolist(), names=ids)


def _stamps(column: pd.Series, name: str, series: NDArray[np.int64], keys: pd.Index) -> NDArray[Any]:
    """Time stamps as float64, or as datetime64 without a zone."""
    missing = column.isna().to_numpy()
    if missing.any():
        row = int(missing.argmax())
        raise ValueError(
            f"time {name!r} is missing in row {row} (id {keys[series[row]]!r}); every row needs a time stamp"
        )
    if column.dtype.kind == "m":
        return np.asarray(column.dt.total_seconds().to_numpy(dtype=np.float64))
    if pd.api.types.is_integer_dtype(column.dtype) and int(column.abs().max()) > EXACT:
        if int(column.max()) > np.iinfo(np.int64).max:
            raise ValueError(f"time {name!r} is {column.max()}, beyond 64 bits; subtract the first of the stamps")
        return np.asarray(column.to_numpy(dtype=np.int64))
    if pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype):
        stamps = column.to_numpy(dtype=np.float64)
        if not np.isfinite(stamps).all():
            row = int((~np.isfinite(stamps)).argmax())
            raise ValueError(
                f"time {name!r} is {stamps[row]} in row {row} (id {keys[series[row]]!r}); it must be finite"
            )
        if (np.abs(stamps) > EXACT).any():
            row = int((np.abs(stamps) > EXACT).argmax())
            raise ValueError(
                f"time {name!r} is {stamps[row]} in row {row} (id {keys[series[row]]!r}), a float beyond 2^53, where "
                f"stamps would be rounded; write all of them as whole numbers, or subtract the first"
            )
        return stamps
    dates = utc_dates(column)
    unread = dates.isna().to_numpy()
    if unread.any():
        row = int(unread.argmax())
        raise ValueError(
            f"time {name!r} is {column.iloc[row]!r} in row {row} (id {keys[series[row]]!r}), which is neither a number "
            f"nor an ISO 8601 date (2024-05-31 13:30; a time of day alone has no day, and is not given today's)"
        )
    return np.asarray(dates.to_numpy())


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
            f"column {name!r} is not constant for id {keys[number]!r}: {found}; it must be one value a series"
        )
    values = pairs.set_index("series")["value"].reindex(range(len(keys)))
    if len(pairs) < len(keys) and not complete:
        return values
    if len(pairs) < len(keys):
        absent = int(values.isna().to_numpy().argmax())
        raise ValueError(f"column {name!r} has no value for id {keys[absent]!r} (and {len(keys) - len(pairs)} in all)")
    # The gaps that reindexing could have made are excluded, so whole numbers stay whole.
    return values.astype(column.dtype) if values.dtype != column.dtype else values


def _values(frame: pd.DataFrame, channels: list[str], source: Path) -> NDArray[np.float64]:
    for name in channels:
        if _is_numeric(frame[name]) or frame[name].isna().all():
            continue
        bad = frame[name][pd.to_numeric(frame[name], errors="coerce").isna() & frame[name].notna()]
        if len(bad):
            raise ValueError(
                f"{source}: column {name!r} is {bad.iloc[0]!r} in row {bad.index[0]}; values must be numbers: "
                f"{remedy_for(str(bad.iloc[0]))}"
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
            f"id {keys[series[row]]!r} has time {cells['stamp'].iloc[row]} more than once{what}; remove the "
            f"duplicates, or average them with resample="
        )
