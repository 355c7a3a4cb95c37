"""From measurements to the time steps of series: the union of their stamps, or bins of equal width."""

from __future__ import annotations

import warnings
from typing import Literal, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["Kept", "bin_edges", "bin_numbers", "bin_unit", "bin_width", "fill_bins", "n_steps", "to_steps"]

Kept = Literal["mean", "first", "last"]
Stamp = TypeVar("Stamp", bound=np.generic)

_GROWTH = 10  # times more steps than were observed, from which a width is rather given in the wrong unit
_MAX_STEPS = 50_000_000  # beyond this the width of a bin is surely given in the wrong unit


def to_steps(
    measured: NDArray[np.float64],
    series: NDArray[np.int64],
    stamps: NDArray[Stamp],
    variable: NDArray[np.int64] | None,
    n_channels: int,
    kept: Kept = "mean",
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[Stamp]]:
    """One row for each distinct (series, stamp), sorted; what falls into the same cell is averaged unless one is kept.

    Parameters
    ----------
    measured : ndarray
        ``(rows, n_channels)``, or ``(rows, 1)`` with the channel of each row in ``variable``; NaN = not observed.
    series, stamps : ndarray
        Number of the series and time stamp of each row.
    variable : ndarray or None
        Channel of each row.
    n_channels : int
        Number of channels.
    kept : {"mean", "first", "last"}
        What a cell holds of several observed values: their mean, or the first or last in the order of the rows.

    Returns
    -------
    values : ndarray
        ``(steps, n_channels)``, NaN = not observed.
    series, stamps : ndarray
        Of each step.

    Examples
    --------
    >>> rows = np.array([[1.0], [3.0], [5.0]])
    >>> to_steps(rows, np.array([0, 0, 0]), np.array([7, 7, 8]), np.array([0, 0, 1]), 2)[0]
    array([[ 2., nan],
           [nan,  5.]])
    """
    order = np.lexsort((stamps, series))
    series, stamps, measured = series[order], stamps[order], measured[order]
    new = np.concatenate([[True], (series[1:] != series[:-1]) | (stamps[1:] != stamps[:-1])])
    row = np.cumsum(new) - 1
    channel = np.arange(n_channels)[None] if variable is None else variable[order][:, None]
    cell = row[:, None] * n_channels + channel
    observed = ~np.isnan(measured)
    shape = (int(new.sum()), n_channels)
    if kept != "mean":
        cells, found = cell[observed], measured[observed]
        if kept == "first":
            cells, found = cells[::-1], found[::-1]
        values = np.full(shape, np.nan)
        values.ravel()[cells] = found  # of several for one cell NumPy keeps the last
        return values, series[new], stamps[new]
    total = np.bincount(cell[observed], weights=measured[observed], minlength=shape[0] * shape[1])
    count = np.bincount(cell[observed], minlength=shape[0] * shape[1])
    values = np.full(shape, np.nan)
    np.divide(total.reshape(shape), count.reshape(shape), out=values, where=count.reshape(shape) > 0)
    return values, series[new], stamps[new]


def bin_width(resample: float | str, time: str, stamps: NDArray[np.generic], *, durations: bool = False) -> float | int:
    """Width of a bin: in the unit of the stamps, or for dates in whole ticks of :func:`bin_unit`.

    Raises
    ------
    ValueError
        If it is not positive, or not of the kind of the time stamps.

    Examples
    --------
    >>> bin_width("30min", "charttime", np.array(["2024-05-31"], dtype="datetime64[s]"))
    1800000000000
    """
    if stamps.dtype.kind == "M":
        duration = _duration(resample)
        if duration is None:
            raise ValueError(
                f"resample={resample!r}: column {time!r} holds dates, so give a duration such as '1h' or '30min'"
            )
        return _ticks(duration, stamps, time, resample)
    if durations and (duration := _duration(resample)) is not None:
        return duration.total_seconds()
    try:
        width = float(resample)
    except ValueError:
        raise ValueError(
            f"resample={resample!r}: column {time!r} holds numbers, so give a number in its unit"
        ) from None
    if not (np.isfinite(width) and width > 0):
        raise ValueError(f"resample={resample!r} must be a positive number")
    if stamps.dtype.kind != "i":
        return width
    if width != int(width):
        raise ValueError(
            f"resample={resample!r}: column {time!r} holds whole numbers beyond 2^53, so give a whole number"
        )
    return int(width)


def bin_unit(stamps: NDArray[np.generic]) -> str:
    """Unit in which dates are binned: nanoseconds, or microseconds where some lie beyond 1678 to 2261.

    Examples
    --------
    >>> bin_unit(np.array(["2024-05-31"], dtype="datetime64[s]")), bin_unit(np.array(["2300"], dtype="datetime64[s]"))
    ('ns', 'us')
    """
    years = stamps.astype("datetime64[Y]")
    early, late = np.datetime64("1678", "Y"), np.datetime64("2261", "Y")  # whole years, so that an edge fits as well
    return "ns" if len(years) == 0 or (years.min() >= early and years.max() <= late) else "us"


def bin_numbers(stamps: NDArray[np.generic], width: float | int) -> NDArray[np.int64]:
    """Number k of the bin ``[k * width, (k + 1) * width)`` of each stamp.

    Examples
    --------
    >>> bin_numbers(np.array([-0.1, 0.0, 0.3, 0.39]), 0.1)
    array([-1,  0,  3,  3])
    """
    if stamps.dtype.kind == "M":
        return stamps.astype(f"datetime64[{bin_unit(stamps)}]").astype(np.int64) // int(width)
    if stamps.dtype.kind == "i":
        return stamps.astype(np.int64) // int(width)
    # 0.3 / 0.1 is 2.9999999999999996: without the small shift a stamp on an edge would fall into the bin before.
    return np.floor(stamps.astype(np.float64) / width + 1e-9).astype(np.int64)


def bin_edges(bins: NDArray[np.int64], width: float | int, stamps: NDArray[np.generic]) -> NDArray[np.generic]:
    """Left edges, of the kind of the stamps: numbers, or dates (see :func:`bin_width`)."""
    edges = bins * width
    return edges.astype(f"datetime64[{bin_unit(stamps)}]") if stamps.dtype.kind == "M" else edges


def _duration(resample: float | str) -> pd.Timedelta | None:
    """A positive duration that text names, else None."""
    try:
        duration = pd.Timedelta(resample) if isinstance(resample, str) else pd.NaT
    except ValueError:
        return None
    return None if pd.isna(duration) or duration <= pd.Timedelta(0) else duration


def _ticks(duration: pd.Timedelta, stamps: NDArray[np.generic], time: str, resample: float | str) -> int:
    nanoseconds = int(duration.as_unit("ns").value)
    if bin_unit(stamps) == "ns":
        return nanoseconds
    if nanoseconds % 1000:
        raise ValueError(
            f"resample={resample!r}: column {time!r} has dates beyond 1678 to 2261, so give whole microseconds"
        )
    return nanoseconds // 1000


def n_steps(series: NDArray[np.int64], stamps: NDArray[np.generic]) -> int:
    """Number of distinct pairs of series and stamp.

    Examples
    --------
    >>> n_steps(np.array([0, 0, 1]), np.array([5.0, 5.0, 5.0]))
    2
    """
    return int((~pd.DataFrame({"series": series, "stamp": stamps}).duplicated()).sum())


def fill_bins(
    values: NDArray[np.float64],
    series: NDArray[np.int64],
    bins: NDArray[np.int64],
    resample: float | str,
    observed: int | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Insert the empty bins between the first and the last of each series; ``series`` is sorted and counts from 0.

    Parameters
    ----------
    values, series, bins : ndarray
        Of the bins with an observation.
    resample : float or str
        The width that was asked for.
    observed : int, optional
        Number of time steps before they were put into bins; by default that of the bins.

    Raises
    ------
    ValueError
        If that would make an absurd number of steps.

    Warns
    -----
    UserWarning
        If it makes more than ten steps of each that was observed.

    Examples
    --------
    >>> fill_bins(np.array([[1.0], [2.0]]), np.array([0, 0]), np.array([4, 6]), 1.0)[0].ravel()
    array([ 1., nan,  2.])
    """
    first = np.flatnonzero(np.concatenate([[True], series[1:] != series[:-1]]))
    last = np.concatenate([first[1:], [len(series)]]) - 1
    lengths = bins[last] - bins[first] + 1
    steps = int(lengths.sum(dtype=np.float64))
    if steps > _MAX_STEPS:
        raise ValueError(
            f"resample={resample!r} would make {steps:,} steps (limit {_MAX_STEPS:,}); use a wider one, or check the "
            f"unit of the time column"
        )
    before = len(series) if observed is None else observed
    if steps > _GROWTH * before:
        warnings.warn(
            f"resample={resample!r} makes {steps:,} time steps of {before:,} that were observed, {steps / before:.0f} "
            f"times as many cells, most of them empty; use a wider one if that is not meant, or leave resample out: "
            f"series may be irregular",
            UserWarning,
            stacklevel=3,
        )
    start = np.concatenate([[0], np.cumsum(lengths)])[:-1] - bins[first]  # row of bin 0 of each series
    filled = np.full((steps, values.shape[1]), np.nan)
    filled[start[series] + bins] = values
    number = np.repeat(np.arange(len(first)), lengths)
    return filled, number, np.arange(steps) - start[number]
