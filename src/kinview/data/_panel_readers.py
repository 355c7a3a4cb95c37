"""One reader for each container of time series; all of them end in a plain padded array."""

from __future__ import annotations

import contextlib
import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal, cast

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from kinview.data.modality import is_nested, is_series
from kinview.data.sources.base import refuse_source

__all__ = ["RawPanel", "frame_numbers", "read_raw"]

_NUMBERS = {"floating", "integer", "mixed-integer-float", "boolean", "decimal", "empty"}  # of pandas' infer_dtype


TimeUnit = Literal["seconds", "numbers", "periods"]


@dataclasses.dataclass(frozen=True, eq=False)
class RawPanel:
    """Series before they become a batch; ``names`` is None where the container has no channel names."""

    values: NDArray[Any]  # (n, C, T)
    index: pd.Index
    names: tuple[str, ...] | None = None
    times: NDArray[np.float64] | None = None  # (n, T)
    groups: pd.Index | None = None
    time_unit: TimeUnit | None = None  # of ``times``


def read_raw(X: Any) -> RawPanel:
    """Read any container that :func:`kinview.data.read_panel` documents; the values may be views of the input."""
    refuse_source(X)
    if isinstance(X, pd.Series) and isinstance(X.index, pd.MultiIndex):
        X = X.to_frame()
    if isinstance(X, pd.DataFrame):
        if isinstance(X.index, pd.MultiIndex):
            return _from_multiindex(X)
        if is_nested(X):
            return _from_nested(X)
        _refuse_empty(X.shape, ("series", "channels"))
        raise ValueError(_two_readings(X.shape, "X.to_numpy()", "is a DataFrame without a MultiIndex,"))
    if isinstance(X, Tensor | np.ndarray) and not (isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1):
        return _from_array(X)
    if isinstance(X, list | tuple | np.ndarray):
        return _from_list(list(X))
    return _from_sktime(X)


def _from_array(X: Any) -> RawPanel:
    values = _numbers(X, "X")
    if values.ndim == 2:
        raise ValueError(_two_readings(values.shape, "X", "is 2-D"))
    if values.ndim != 3:
        raise ValueError(
            f"X has shape {values.shape}; series are (n, channels, time)"
            + (", one series of one channel is X[None, None, :]" if values.ndim == 1 else "")
        )
    _refuse_empty(values.shape, ("series", "channels", "time steps"))
    return RawPanel(values, pd.RangeIndex(len(values)))


def _from_list(items: list[Any]) -> RawPanel:
    if not items:
        raise ValueError("X holds no series (an empty list); give at least one")
    framed = [isinstance(item, pd.DataFrame | pd.Series) for item in items]
    if all(framed):
        return _from_frames([item.to_frame("channel_0") if isinstance(item, pd.Series) else item for item in items])
    if any(framed):
        raise ValueError("X mixes DataFrames (time, channels) with arrays (channels, time); give one kind")
    arrays = [_numbers(item, f"series {i}") for i, item in enumerate(items)]
    for i, array in enumerate(arrays):
        if array.ndim not in (1, 2):
            raise ValueError(f"series {i} has shape {array.shape}; a series in a list is (time,) or (channels, time)")
        _refuse_empty(np.atleast_2d(array).shape, ("channels", "time steps"), f"series {i}")
    arrays = [np.atleast_2d(array) for array in arrays]
    channels = arrays[0].shape[0]
    for i, array in enumerate(arrays):
        if array.shape[0] != channels:
            raise ValueError(
                f"series {i} has {array.shape[0]} channel(s), series 0 has {channels}: each series has shape "
                f"(channels, time), got {arrays[0].shape} and {array.shape}; transpose them where time came first"
            )
    lengths = np.array([array.shape[1] for array in arrays])
    series = np.repeat(np.arange(len(arrays)), lengths)
    steps = _count_within(lengths)
    values = _pad(np.concatenate(arrays, axis=1).T, series, steps, len(arrays), int(lengths.max()))
    return RawPanel(values, pd.RangeIndex(len(arrays)))


def _from_multiindex(X: pd.DataFrame) -> RawPanel:
    names = _column_names(X)
    _refuse_empty(X.shape, ("series", "channels"))
    series, index = _instances(cast(pd.MultiIndex, X.index))
    keys, times, unit = _time_numbers(X.index.get_level_values(-1))
    order = np.lexsort((keys, series))
    series, times = series[order], times[order]
    _refuse_alike(X.index, order, series, times)
    lengths = np.bincount(series)
    place = series, _count_within(lengths), len(lengths), int(lengths.max())
    groups = index.get_level_values(0) if index.nlevels > 1 else None
    return RawPanel(
        _pad(frame_numbers(X)[order], *place), index, names, _pad(times[:, None], *place)[:, 0], groups, unit
    )


def _instances(rows: pd.MultiIndex) -> tuple[NDArray[np.int64], pd.Index]:
    """Number of each row's series, in the order of first appearance, and the index of the series."""
    if rows.nlevels < 2:
        raise ValueError(
            f"the MultiIndex of X has one level, {rows.names[0]!r}; it needs the series and, last, the time"
        )
    for name, codes in zip(rows.names, rows.codes, strict=True):
        if (np.asarray(codes) < 0).any():
            raise ValueError(f"index level {name!r} of X has missing entries; every row needs its series and its time")
    if not rows.is_unique:
        *instance, stamp = rows[rows.duplicated()][0]
        raise ValueError(
            f"series {', '.join(map(str, instance))} has the time stamp {stamp} more than once; "
            f"aggregate or drop the duplicates"
        )
    # One number for each combination of the outer levels: much faster than hashing tuples.
    sizes = [len(level) for level in rows.levels[:-1]]
    series, _ = pd.factorize(np.ravel_multi_index([np.asarray(codes) for codes in rows.codes[:-1]], sizes))
    first = np.unique(series, return_index=True)[1]
    index = rows[first].droplevel(rows.nlevels - 1)
    return series.astype(np.int64), index.remove_unused_levels() if isinstance(index, pd.MultiIndex) else index


def _from_frames(frames: Sequence[pd.DataFrame], index: pd.Index | None = None) -> RawPanel:
    columns = frames[0].columns
    _column_names(frames[0])
    for i, frame in enumerate(frames):
        _refuse_empty(frame.shape, ("time steps", "channels"), f"series {i}")
        if not frame.columns.equals(columns) and (len(frame.columns) != len(columns) or set(frame) != set(columns)):
            raise ValueError(
                f"series {i} has the channels {list(frame.columns)}, series 0 has {list(columns)}; "
                f"every series needs the same channels"
            )
        if isinstance(frame.index, pd.MultiIndex):
            raise ValueError(f"series {i} has a MultiIndex; in a list of DataFrames the index of each is its time")
    frames = [frame.set_axis(_native(frame.index), axis=0) for frame in frames]
    raw = _from_multiindex(pd.concat(frames, keys=range(len(frames))))  # aligns channels by name
    return dataclasses.replace(raw, index=pd.RangeIndex(len(frames)) if index is None else index, groups=None)


def _from_nested(X: pd.DataFrame) -> RawPanel:
    names = _column_names(X)
    stamped = isinstance(X.iloc[0, 0], pd.Series)
    frames = []
    for i, row in enumerate(X.itertuples(index=False, name=None)):
        cells = [_nested_cell(cell, i, name) for cell, name in zip(row, names, strict=True)]
        if all(cell.index.equals(cells[0].index) for cell in cells[1:]):
            frames.append(pd.DataFrame({j: cell.array for j, cell in enumerate(cells)}, index=cells[0].index))
        else:  # channels observed at different times: union of their stamps, NaN in between
            frames.append(pd.concat(cells, axis=1, keys=range(len(cells)), sort=True))
    raw = _from_frames(frames, index=X.index)
    return dataclasses.replace(
        raw, names=names, times=raw.times if stamped else None, time_unit=raw.time_unit if stamped else None
    )


def _nested_cell(cell: Any, row: int, name: str) -> pd.Series:
    if not is_series(cell):
        raise ValueError(
            f"series {row} has no series in channel {name!r} but {cell!r}; write NaN steps where nothing was"
        )
    if isinstance(cell, pd.Series):
        series = cell.set_axis(_native(cell.index))
    else:
        values = _numbers(cell, f"series {row}, channel {name!r}")
        if values.ndim != 1:
            raise ValueError(f"series {row}, channel {name!r} has shape {values.shape}; a nested cell is (time,)")
        series = pd.Series(values)
    if not series.index.is_unique:
        stamp = series.index[series.index.duplicated()][0]
        raise ValueError(f"series {row}, channel {name!r} has the time stamp {stamp} more than once; aggregate or drop")
    return series


def _from_sktime(X: Any) -> RawPanel:
    """Containers known only to sktime (dask, polars, ...), by way of its own conversion."""
    converted = None
    if type(X).__module__ != "builtins":
        from sktime.datatypes import convert_to

        with contextlib.suppress(TypeError, ValueError, KeyError, NotImplementedError):
            converted = convert_to(X, to_type=["pd-multiindex", "pd_multiindex_hier"])
    if not isinstance(converted, pd.DataFrame):
        raise TypeError(
            f"X is a {type(X).__name__}, which holds no time series known here; give an array (n, channels, time), "
            f"a list of (channels, time) arrays, or a DataFrame with a MultiIndex (instance, time)"
        )
    return _from_multiindex(converted)


def _numbers(values: Any, what: str) -> NDArray[Any]:
    """Array of floats from any array-like, or an error that names what is not a number."""
    array: NDArray[Any]
    if isinstance(values, Tensor):
        plain = values.detach().cpu().resolve_conj().resolve_neg()
        array = (plain.float() if plain.dtype in (torch.bfloat16, torch.float16) else plain).numpy()
    elif isinstance(values, np.ma.MaskedArray):
        array = np.ma.filled(values.astype(np.float64), np.nan)
    else:
        try:
            array = np.asarray(values)
        except ValueError as error:
            raise ValueError(f"{what} is ragged: {error}; give a list of (channels, time) arrays") from None
    if array.dtype.kind == "c":
        raise ValueError(f"{what} is complex ({array.dtype}). Complex data not supported: give real and imaginary part")
    if array.dtype == object:
        kind = pd.api.types.infer_dtype(array.ravel(), skipna=True)
        if kind not in _NUMBERS:
            raise ValueError(f"{what} is not numeric (it holds {kind} objects); give numbers, NaN where not observed")
        flat = pd.Series(array.ravel(), dtype=object)
        return flat.where(flat.notna(), np.nan).to_numpy(dtype=np.float64).reshape(array.shape)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{what} is not numeric ({array.dtype}); give numbers, NaN where not observed")
    return array


def frame_numbers(X: pd.DataFrame) -> NDArray[np.float64]:
    """Values of a frame in float64, NaN = missing; a column that holds no numbers is refused by name."""
    for name, column in X.items():
        kind = pd.api.types.infer_dtype(column, skipna=True) if column.dtype.kind == "O" else ""
        if column.dtype.kind == "c" or kind == "complex":
            raise ValueError(f"column {name!r} is complex. Complex data not supported: give real and imaginary part")
        if column.dtype.kind not in "biuf" and kind not in _NUMBERS:
            held = f"it holds {kind} objects" if kind else str(column.dtype)
            raise ValueError(f"column {name!r} is not numeric ({held}); give numbers, NaN where not observed")
    return X.to_numpy(dtype=np.float64, na_value=np.nan)


def _dates(stamps: pd.Index) -> pd.DatetimeIndex:
    """Dates held as objects, of any year: pandas before 3.0 takes them for nanoseconds, which end in 1677 and 2262."""
    try:
        return pd.DatetimeIndex(pd.to_datetime(stamps))
    except pd.errors.OutOfBoundsDatetime:
        dates = [pd.Timestamp(stamp) for stamp in stamps]
        if len({date.tzinfo is None for date in dates}) > 1:
            raise
        micros = [date.as_unit("us").to_datetime64() for date in dates]  # of dates with a zone: in UTC
        return pd.DatetimeIndex(np.array(micros, dtype="datetime64[us]"))


def _time_numbers(stamps: pd.Index) -> tuple[NDArray[Any], NDArray[np.float64], TimeUnit]:
    """What orders time stamps exactly, and the stamps as numbers with their unit.

    The numbers are seconds for dates (since the first) and durations, and the number itself otherwise. Whole numbers
    beyond 2^53, of which float64 does not hold every one, count from the first.
    """
    if stamps.dtype.kind == "O" and not isinstance(stamps, pd.PeriodIndex):
        is_dates = pd.api.types.infer_dtype(stamps) in {"date", "datetime"}
        stamps = _dates(stamps) if is_dates else stamps.infer_objects()
    if isinstance(stamps, pd.PeriodIndex):
        return stamps.asi8, stamps.asi8.astype(np.float64), "periods"
    kind = stamps.dtype.kind
    if kind == "M":
        dates = pd.DatetimeIndex(stamps)
        return dates.asi8, np.asarray((dates - dates.min()).total_seconds(), dtype=np.float64), "seconds"
    if kind == "m":
        durations = pd.TimedeltaIndex(stamps)
        return durations.asi8, durations.total_seconds().to_numpy(dtype=np.float64), "seconds"
    if kind in "iu":
        whole = stamps.to_numpy(dtype=np.int64 if kind == "i" else np.uint64)
        first, last = int(whole.min()), int(whole.max())
        if max(-first, last) <= 2**53:
            return whole, whole.astype(np.float64), "numbers"
        return whole, (whole - whole.min()).view(np.uint64).astype(np.float64), "numbers"  # wraps, and is right so
    if kind == "f":
        numbers = stamps.to_numpy(dtype=np.float64)
        if np.isfinite(numbers).all():
            return numbers, numbers, "numbers"
        raise ValueError("the time stamps of X (last index level) are not all finite; every step needs its time")
    raise ValueError(
        f"the last index level of X holds the time and has to be numbers, dates, periods or durations, "
        f"got {stamps.dtype}, such as {stamps[0]!r}; convert it (pandas.to_datetime, pandas.to_numeric)"
    )


def _refuse_alike(
    rows: pd.Index, order: NDArray[np.int64], series: NDArray[np.int64], times: NDArray[np.float64]
) -> None:
    """Refuse different stamps of a series that are one number in float64."""
    alike = (np.diff(times) <= 0) & (np.diff(series) == 0)
    if alike.any():
        place = int(alike.argmax())
        *instance, stamp = rows[order[place]]
        raise ValueError(
            f"series {', '.join(map(str, instance))} has the time stamps {stamp} and {rows[order[place + 1]][-1]}, "
            f"which are one number in float64, as the stamps of X span too much for steps so small; read parts of X"
        )


def _native(index: pd.Index) -> pd.Index:
    """The index in this machine's byte order; pandas joins no other."""
    values = index.to_numpy() if isinstance(index.dtype, np.dtype) else None
    if values is None or values.dtype.isnative:
        return index
    half = values.dtype.kind == "f" and values.dtype.itemsize == 2  # of which pandas makes no index
    native: pd.Index = pd.Index(values.astype(np.float64 if half else values.dtype.newbyteorder("=")), name=index.name)
    return native


def _pad(rows: NDArray[Any], series: NDArray[Any], steps: NDArray[Any], n: int, length: int) -> NDArray[Any]:
    """Put row k, of shape (C,), at (series[k], :, steps[k]) of an array (n, C, length) of NaN."""
    kind = rows.dtype if rows.dtype.kind == "f" else np.float64
    padded = np.full((n, rows.shape[1], length), np.nan, dtype=kind)
    padded[series, :, steps] = rows
    return padded


def _count_within(lengths: NDArray[Any]) -> NDArray[Any]:
    """0, 1, ..., within each run: lengths (2, 3) give 0, 1, 0, 1, 2."""
    starts = np.cumsum(lengths) - lengths
    return np.asarray(np.arange(lengths.sum()) - np.repeat(starts, lengths))


def _column_names(X: pd.DataFrame) -> tuple[str, ...]:
    names = tuple(str(name) for name in X.columns)
    if len(set(names)) < len(names):
        twice = [name for name, count in Counter(names).items() if count > 1]
        raise ValueError(f"X has more than one column named {', '.join(map(repr, twice))}; rename them")
    return names


def _refuse_empty(shape: Sequence[int], nouns: Sequence[str], what: str = "X") -> None:
    for number, noun in zip(shape, nouns, strict=True):
        if number == 0:
            raise ValueError(
                f"{what} has no {noun} (shape {tuple(shape)}); at least one is needed (NaN where nothing was observed)"
            )


def _two_readings(shape: Sequence[int], spelled: str, is_what: str) -> str:
    return (
        f"X {is_what} with shape {tuple(shape)}, which has two readings: for {shape[0]} series of {shape[1]} steps "
        f"give {spelled}[:, None, :], for one series of {shape[0]} steps and {shape[1]} channels give {spelled}.T[None]"
    )
