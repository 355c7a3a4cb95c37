"""The time steps of the series of a long file: as they were observed, or in bins."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kinview.datasets.steps import Kept, bin_edges, bin_numbers, bin_width, fill_bins, n_steps, to_steps

__all__ = ["Duplicates", "series_steps", "shown_id"]

Duplicates = Literal[Kept, "error"] | None


def series_steps(
    measured: NDArray[np.float64],
    series: NDArray[np.int64],
    stamps: NDArray[Any],
    variable: NDArray[np.int64] | None,
    keys: pd.Index,
    channels: pd.Index,
    *,
    time: Any,
    durations: bool,
    resample: float | str | None,
    duplicates: Duplicates,
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[Any]]:
    """Values ``(steps, channels)`` of the time steps of all series, with the series and the stamp of each.

    Parameters
    ----------
    measured, series, stamps, variable : ndarray
        Of each row, as for :func:`kinview.datasets.steps.to_steps`.
    keys, channels : Index
        Id of each series and names of the channels.
    time : column name
        Of the stamps.
    durations : bool
        Whether the stamps were durations of Parquet.
    resample, duplicates : optional
        As :func:`kinview.datasets.read_long` documents them.

    Raises
    ------
    ValueError
        If stamps stand twice where they may not, or a width of bins fits neither stamps nor memory.
    """
    if duplicates not in (*get_args(Kept), "error", None):
        raise ValueError(f"duplicates={duplicates!r} must be mean, first, last or error")
    if duplicates == "error" or (duplicates is None and resample is None):
        _refuse_duplicates(series, stamps, variable, keys, channels)
    if duplicates in ("first", "last"):
        measured, series, stamps = to_steps(measured, series, stamps, variable, len(channels), duplicates)
        variable = None
    if resample is None:
        return to_steps(measured, series, stamps, variable, len(channels))
    width = bin_width(resample, time, stamps, durations=durations)
    observed = n_steps(series, stamps)
    values, series, bins = to_steps(measured, series, bin_numbers(stamps, width), variable, len(channels))
    values, series, bins = fill_bins(values, series, bins, resample, observed)
    return values, series, bin_edges(bins, width, stamps)


def shown_id(key: Any) -> str:
    """An id as people write it, without the types of NumPy.

    Examples
    --------
    >>> shown_id(np.int64(7)), shown_id(("p1", np.int64(2)))
    ('7', "('p1', 2)")
    """
    parts = [
        part.item() if isinstance(part, np.generic) else part for part in (key if isinstance(key, tuple) else [key])
    ]
    return repr(tuple(parts) if isinstance(key, tuple) else parts[0])


def _refuse_duplicates(
    series: NDArray[np.int64], stamps: NDArray[Any], variable: NDArray[np.int64] | None, keys: pd.Index, names: pd.Index
) -> None:
    cells = pd.DataFrame({"series": series, "stamp": stamps, "variable": 0 if variable is None else variable})
    twice = cells.duplicated().to_numpy()
    if twice.any():
        row = int(twice.argmax())
        what = "" if variable is None else f" for {names[variable[row]]!r}"
        raise ValueError(
            f"id {shown_id(keys[series[row]])} has time {cells['stamp'].iloc[row]} more than once{what}; remove the "
            f"duplicates, say which value counts (duplicates= mean, first or last), or average them with resample="
        )
