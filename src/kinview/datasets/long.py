"""Long format: one row a measurement or a time step, many rows a series."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kinview.data.labels import as_labels
from kinview.datasets.dataset import Samples
from kinview.datasets.steps import bin_edges, bin_numbers, bin_width, fill_bins, to_steps
from kinview.datasets.tables import column_name, read_frame
from kinview.datasets.text import utc_dates

__all__ = ["from_long", "read_long"]


def read_long(
    path: str | os.PathLike[str],
    *,
    id: str | Sequence[str],
    time: str,
    columns: Sequence[str] | None = None,
    value: str | None = None,
    variable: str | None = None,
    label: str | None = None,
    group: str | None = None,
    resample: float | str | None = None,
) -> Samples:
    r"""Read time series in long format from CSV or Parquet.

    Two shapes are read: one column a channel (``columns``; a row is a time step), or one row a measurement
    (``variable`` names the channel, ``value`` holds the number). Series are in the order of their sorted ids, the steps
    of a series in the order of time, whatever the order of the file.

    Parameters
    ----------
    path : path
        CSV, TSV or Parquet file whose columns have names.
    id : str or sequence of str
        Column that tells the series apart. With several (patient, recording) all of them together do, and the first is
        the group unless ``group`` is given.
    time : str
        Column of the time stamps: numbers (in any unit), or dates (ISO 8601; with a time zone they become UTC).
    columns : sequence of str, optional
        Channels. Default without ``value``: every numeric column that has no other part to play.
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
        Width of a time bin: a number in the unit of ``time``, or for dates a duration (``"1h"``, ``"30min"``). The bins
        begin at the multiples of the width (dates: counted from 1970-01-01), a value is the mean of the observations
        in its bin (its left edge included), and each series runs from its first to its last bin; bins without an
        observation are NaN. Default: the observed steps as they are, that is the union of the time stamps of a
        series, NaN in the channels that were not measured.

    Returns
    -------
    Samples
        X is a DataFrame with MultiIndex ``(id, time)``, one float64 column a channel.

    Raises
    ------
    ValueError
        If a column does not exist, a label or group differs within an id, a group or time stamp is missing, a stamp is
        unreadable or twice in one id, or a value is not numeric. The message names the id.

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
    frame = read_frame(source, header=True)
    return from_long(
        frame, id=id, time=time, columns=columns, value=value, variable=variable, label=label, group=group,
        resample=resample, source=source.name,
    )  # fmt: skip


def from_long(
    frame: pd.DataFrame,
    *,
    id: str | Sequence[str],
    time: str,
    columns: Sequence[str] | None = None,
    value: str | None = None,
    variable: str | None = None,
    label: str | None = None,
    group: str | None = None,
    resample: float | str | None = None,
    source: str = "frame",
) -> Samples:
    """Time series from a DataFrame in long format; parameters as :func:`read_long`, the frame is not modified."""
    ids = [id] if isinstance(id, str) else list(id)
    where = Path(source)
    channels = _channels(frame, ids, time, columns, value, variable, label, group, where)
    for name in [*ids, time, *channels, *(n for n in (variable, label, group) if n is not None)]:
        column_name(frame, name, where)
    series, keys = _series(frame, ids, where)
    stamps = _stamps(frame[time], time, series, keys)
    y = None if label is None else as_labels(_constant(frame[label], label, series, keys, complete=False))
    if group is None and len(ids) > 1:
        group = ids[0]
    groups = None if group is None else _constant(frame[group], group, series, keys).to_numpy()
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
        width = bin_width(resample, time, dates=stamps.dtype.kind == "M")
        values, series, bins = to_steps(measured, series, bin_numbers(stamps, width), codes, len(names))
        values, series, bins = fill_bins(values, series, bins, resample)
        stamps = bin_edges(bins, width)
    arrays = [keys.get_level_values(level).take(series) for level in range(keys.nlevels)]
    index = pd.MultiIndex.from_arrays([*arrays, stamps], names=[*ids, time])
    return Samples(pd.DataFrame(values, index=index, columns=names.rename(variable)), y, groups)


def _channels(
    frame: pd.DataFrame,
    ids: list[str],
    time: str,
    columns: Sequence[str] | None,
    value: str | None,
    variable: str | None,
    label: str | None,
    group: str | None,
    source: Path,
) -> list[str]:
    """Columns that hold the measurements."""
    if variable is not None and value is None:
        raise ValueError(f"variable={variable!r} needs value=, the column of the measured values")
    if value is not None and columns is not None:
        raise ValueError("give either columns= (one column a channel) or value= (one row a measurement), not both")
    if value is not None:
        return [value]
    if columns is not None:
        chosen = [columns] if isinstance(columns, str) else list(columns)
    else:
        taken = {*ids, time, label, group}
        chosen = [c for c in frame.columns if c not in taken and pd.api.types.is_numeric_dtype(frame[c].dtype)]
    if not chosen:
        raise ValueError(f"{source} has no numeric column besides id, time, label and group; name the channels")
    return chosen


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
    if pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype):
        stamps = column.to_numpy(dtype=np.float64)
        if not np.isfinite(stamps).all():
            row = int((~np.isfinite(stamps)).argmax())
            raise ValueError(
                f"time {name!r} is {stamps[row]} in row {row} (id {keys[series[row]]!r}); it must be finite"
            )
        return stamps
    dates = utc_dates(column)
    unread = dates.isna().to_numpy()
    if unread.any():
        row = int(unread.argmax())
        raise ValueError(
            f"time {name!r} is {column.iloc[row]!r} in row {row} (id {keys[series[row]]!r}), which is neither a number "
            f"nor an ISO 8601 date (2024-05-31 13:30)"
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
        if pd.api.types.is_numeric_dtype(frame[name].dtype) or frame[name].isna().all():
            continue
        bad = frame[name][pd.to_numeric(frame[name], errors="coerce").isna() & frame[name].notna()]
        if len(bad):
            raise ValueError(
                f"{source}: column {name!r} is {bad.iloc[0]!r} in row {bad.index[0]}; values must be numbers"
            )
    numeric = frame[channels].apply(pd.to_numeric)
    return np.asarray(numeric.to_numpy(dtype=np.float64, na_value=np.nan))


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
