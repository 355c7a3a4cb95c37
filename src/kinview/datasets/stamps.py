"""Time stamps of files in long format: numbers, dates and durations that can be subtracted."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kinview.datasets.ambiguous import are_days, are_days_and_months, are_months
from kinview.datasets.cells import EXACT, is_text
from kinview.datasets.dates import refuse_mixed_zones, utc_dates
from kinview.datasets.rows import Rows

__all__ = ["time_stamps"]


def time_stamps(column: pd.Series, name: str, series: NDArray[np.int64], keys: pd.Index, rows: Rows) -> NDArray[Any]:
    """Time stamps as float64, as whole numbers beyond 2^53, or as datetime64 without a zone.

    Parameters
    ----------
    column : Series
        Numbers, dates or durations.
    name : str
        Of the column.
    series : ndarray of shape (n,)
        Number of the series of each row.
    keys : Index
        Ids of the series.
    rows : Rows
        Where the rows stand in the file.

    Raises
    ------
    ValueError
        If a stamp is missing or unreadable, is rounded, is a day or month written as a whole number, or has a time zone
        where others have none; the message names the row and the id.

    Examples
    --------
    >>> time_stamps(pd.Series([0, 2]), "hour", np.array([0, 0]), pd.Index(["a"]), Rows()).tolist()
    [0.0, 2.0]
    """

    def place(row: int) -> str:
        return f"in {rows.name(row)} (id {str(keys[series[row]])!r})"

    missing = column.isna().to_numpy()
    if missing.any():
        raise ValueError(f"time {name!r} is missing {place(int(missing.argmax()))}; every row needs a time stamp")
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
            raise ValueError(f"time {name!r} is {stamps[row]} {place(row)}; it must be finite")
        if (np.abs(stamps) > EXACT).any():
            row = int((np.abs(stamps) > EXACT).argmax())
            raise ValueError(
                f"time {name!r} is {stamps[row]} {place(row)}, a float beyond 2^53, where stamps would be rounded; "
                f"write all of them as whole numbers, or subtract the first"
            )
        _check_days(stamps, name, place)
        return stamps
    if is_text(column):
        refuse_mixed_zones(column, f"time {name!r}", rows)
    dates = utc_dates(column)
    unread = dates.isna().to_numpy()
    if unread.any():
        row = int(unread.argmax())
        raise ValueError(
            f"time {name!r} is {column.iloc[row]!r} {place(row)}, which is neither a number nor an ISO 8601 date "
            f"(2024-05-31 13:30; a time of day alone has no day, and is not given today's)"
        )
    return np.asarray(dates.to_numpy())


def _check_days(stamps: NDArray[np.float64], name: str, place: Callable[[int], str]) -> None:
    """Refuse days written as whole numbers, since 20200131 and 20200201 are a day apart; warn of days and months."""
    if are_days(stamps) or are_months(stamps):
        digits, format = ("2024-05-31", "%Y%m%d") if are_days(stamps) else ("2024-05-01", "%Y%m")
        raise ValueError(
            f"time {name!r} is {stamps[0]:.0f} {place(0)}, and all stamps look like dates written as whole numbers, "
            f"whose differences are no durations; write {digits} (pandas.to_datetime(..., format={format!r}) reads "
            f"them), or subtract the first if they are numbers"
        )
    if are_days_and_months(stamps):
        warnings.warn(
            f"time {name!r} is {stamps[0]:.2f} {place(0)}, and all stamps look like days and months (31.12) but are "
            f"read as numbers; write whole dates (2024-12-31) if they are",
            UserWarning,
            stacklevel=5,
        )
