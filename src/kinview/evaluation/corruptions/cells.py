"""The cells of a data set as a corruption sees them, whatever container held them."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int64, Shaped
from numpy.typing import NDArray

from kinview.data.alignment import in_order_of
from kinview.data.modality import SERIES, modality_of
from kinview.datasets._static import static_table

__all__ = [
    "NEEDS",
    "Categories",
    "Cells",
    "Kind",
    "categories_of",
    "holds_numbers",
    "is_tensor",
    "numbers_of",
    "observed_mask",
    "read_cells",
    "static_of_samples",
]

NEEDS = ("samples", "values", "times", "groups", "y", "static")
"""What a corruption may declare that it needs."""

Kind = Literal["numeric", "categorical"]
Categories = tuple[tuple[str, ...] | None, ...]
"""Sorted categories of each column, None for a numeric one."""

_PER_SECOND = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
_ACCEPTED = (
    "an array or tensor (n, channels, time) or (n, columns), a table as DataFrame, "
    "or a panel as DataFrame with a MultiIndex (series, time)"
)


@dataclasses.dataclass(frozen=True, eq=False)
class Cells:
    """The cells of a data set, whatever held them.

    Rows are the time steps of all series, one series after the other, or the rows of a table. In an array the padding
    behind a series has rows too, in which nothing is observed: what is removed must not depend on them. A corruption
    finds what it declares in ``needs``; the rest is None.

    Parameters
    ----------
    observed : bool ndarray of shape (rows, columns)
        True where a value was observed.
    time_series : bool
        Whether rows are time steps.
    sample : int ndarray of shape (rows,), optional
        Number of each row's sample: 0, 1, ... in their order (``"samples"``).
    step : int ndarray of shape (rows,), optional
        Place of each row in its series in the order of time, from 0; 0 in a table (``"samples"``).
    values : float64 ndarray of shape (rows, columns), optional
        NaN where nothing was observed. Dates and durations are seconds (dates since 1970), booleans 0 and 1. A
        categorical column holds the number of its category among the sorted ones of the training part, from 1; one
        that is not in the training part is 0 (``"values"``).
    kinds : tuple of {"numeric", "categorical"}, optional
        Kind of each column (``"values"``).
    numbers : bool ndarray of shape (columns,), optional
        Whether a column holds numbers, among which another one can stand: not text, categories, booleans or dates
        (``"values"``).
    names : tuple, optional
        Name of each column; its number, from 0, in an array (``"values"``).
    times : float64 ndarray of shape (rows,), optional
        Time of each row: the number of the step in an array without times; dates and durations in seconds (dates since
        1970), periods and numbers as they are; NaN for padding that has no time (``"times"``).
    groups, y : ndarray of shape (rows,), optional
        Group and label of each row's sample (``"groups"``, ``"y"``).
    static : DataFrame of rows rows, optional
        Static columns (sex, age, site) of each row's sample (``"static"``).
    learned : object
        What :meth:`Corruption.fit` has returned for the training part.
    """

    observed: Bool[np.ndarray, "rows columns"]
    time_series: bool
    sample: Int64[np.ndarray, " rows"] | None = None
    step: Int64[np.ndarray, " rows"] | None = None
    values: Float[np.ndarray, "rows columns"] | None = None
    kinds: tuple[Kind, ...] | None = None
    numbers: Bool[np.ndarray, " columns"] | None = None
    names: tuple[Any, ...] | None = None
    times: Float[np.ndarray, " rows"] | None = None
    groups: Shaped[np.ndarray, " rows"] | None = None
    y: Shaped[np.ndarray, " rows"] | None = None
    static: pd.DataFrame | None = None
    learned: Any = None


def read_cells(
    X: Any,
    needs: frozenset[str],
    who: str,
    *,
    times: Any = None,
    groups: Any = None,
    y: Any = None,
    static: Any = None,
    categories: Categories | None = None,
) -> Cells:
    """Cells of ``X`` with what a corruption needs; parameters as :func:`kinview.evaluation.corrupt`.

    Raises
    ------
    TypeError, ValueError
        If ``X`` is of another kind, or what is needed was not given or does not fit.
    """
    observed = by_rows(observed_mask(X))
    time_series = modality_of(X) == SERIES
    found: dict[str, Any] = {}
    if needs - {"values"}:
        sample, n = _samples_of(X)
        if "samples" in needs:
            found |= {"sample": sample, "step": _steps_of(X, sample)}
        if "times" in needs:
            found["times"] = _times_of(X, times, who)
        for name, given in (("groups", groups), ("y", y)):
            if name in needs:
                found[name] = _of_samples(X, given, name, n, who)[sample]
        if "static" in needs:
            found["static"] = static_of_samples(X, static, who).iloc[sample].reset_index(drop=True)
    if "values" in needs:
        found |= _values_of(X, observed, categories_of(X) if categories is None else categories)
    return Cells(observed, time_series, **found)


def by_rows(values: NDArray[Any]) -> NDArray[Any]:
    """``(n, channels, time)`` or ``(rows, columns)`` as ``(rows, columns)``."""
    rows = np.moveaxis(values, 1, -1)  # (n, time, channels) or (rows, columns)
    return rows.reshape(int(np.prod(rows.shape[:-1])), values.shape[1])


def observed_mask(X: Any) -> Bool[np.ndarray, "n ..."]:
    """Where a value was observed: a boolean array of the shape of ``X`` (parameters as :func:`corrupt`).

    Raises
    ------
    TypeError, ValueError
        If ``X`` is not a container of real values in a known layout.
    """
    if isinstance(X, pd.DataFrame):
        columns = [_observed_column(X.iloc[:, i]) for i in range(X.shape[1])]
        return np.stack(columns, axis=1) if columns else np.zeros(X.shape, dtype=bool)
    tensor = is_tensor(X)
    if not tensor and not isinstance(X, np.ndarray):
        raise TypeError(f"X must be {_ACCEPTED}; got {type(X).__name__}")
    if X.ndim not in (2, 3):
        raise ValueError(f"X must be {_ACCEPTED}; got shape {tuple(X.shape)}")
    if X.is_complex() if tensor else X.dtype.kind not in "fiub":
        raise TypeError(f"an array to corrupt must hold real numbers, got dtype {X.dtype}; give a DataFrame")
    return np.asarray((~X.isnan()).cpu().numpy() if tensor else ~np.isnan(X))


def is_tensor(X: Any) -> bool:
    """Whether ``X`` is a torch tensor; no tensor exists before torch is loaded, and arrays do not need it."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(X, torch.Tensor)


def _observed_column(column: pd.Series[Any]) -> Bool[np.ndarray, " rows"]:
    observed = ~np.asarray(column.isna(), dtype=bool)
    if pd.api.types.is_float_dtype(column.dtype):  # Arrow and nullable columns can hold NaN besides NA
        return np.asarray(observed & ~np.isnan(column.to_numpy(dtype=np.float64, na_value=np.nan)))
    if column.dtype == object and any(map(pd.api.types.is_list_like, column)):
        raise TypeError(
            f"column {column.name!r} holds arrays or series in its cells; bring nested data into one of: {_ACCEPTED}"
        )
    return observed


def _samples_of(X: Any) -> tuple[Int64[np.ndarray, " rows"], int]:
    """Number of each row's sample, and how many there are."""
    if isinstance(X, pd.DataFrame) and isinstance(X.index, pd.MultiIndex):
        codes = pd.factorize(X.index.droplevel(-1))[0].astype(np.int64)
        return codes, int(codes.max(initial=-1)) + 1
    n = len(X)
    repeats = 1 if isinstance(X, pd.DataFrame) or X.ndim == 2 else X.shape[2]
    return np.repeat(np.arange(n), repeats), n


def _steps_of(X: Any, sample: Int64[np.ndarray, " rows"]) -> Int64[np.ndarray, " rows"]:
    if not isinstance(X, pd.DataFrame):
        return np.tile(np.arange(X.shape[2]), len(X)) if X.ndim == 3 else np.zeros(len(X), dtype=np.int64)
    if not isinstance(X.index, pd.MultiIndex):
        return np.zeros(len(X), dtype=np.int64)
    stamps = pd.factorize(X.index.get_level_values(-1), sort=True)[0]
    order = np.lexsort((stamps, sample))
    first = np.concatenate([[0], np.cumsum(np.bincount(sample))])[sample[order]]
    step = np.empty(len(X), dtype=np.int64)
    step[order] = np.arange(len(X)) - first
    return step


def _times_of(X: Any, given: Any, who: str) -> Float[np.ndarray, " rows"]:
    if modality_of(X) != SERIES:
        raise ValueError(f"{who} needs time series, and X is a table: its rows have no times")
    if isinstance(X, pd.DataFrame):
        if given is not None:
            raise ValueError("times go with an array; the times of a frame are the last level of its index")
        return numbers_of(X.index.get_level_values(-1))
    shape = (len(X), X.shape[2])
    if given is None:
        return np.tile(np.arange(shape[1], dtype=np.float64), shape[0])
    values = np.asarray(given.cpu() if is_tensor(given) else given, dtype=np.float64)
    if values.shape != shape:
        raise ValueError(f"times must have one entry a step, shape (n, time) = {shape}; got {values.shape}")
    return values.ravel()


def _of_samples(X: Any, given: Any, name: str, n: int, who: str) -> Shaped[np.ndarray, " n"]:
    if given is None:
        raise ValueError(f"{who} needs the {'label' if name == 'y' else 'group'} of each sample; give {name}=")
    values = np.asarray(in_order_of(X, given, name))
    if values.shape != (n,):
        raise ValueError(f"{name} must have one entry a sample, shape ({n},); got {values.shape}")
    return values


def static_of_samples(X: Any, given: Any, who: str) -> pd.DataFrame:
    """Static columns of the samples, one row each, in their order.

    Raises
    ------
    ValueError
        If there are none, or they are of other samples.
    """
    n = _samples_of(X)[1]
    if given is None:
        raise ValueError(f"{who} needs the static columns of each sample; give static=, a DataFrame")
    table = static_table(X, given, n, "static")
    assert table is not None
    return table


def numbers_of(stamps: pd.Index | pd.Series[Any]) -> Float[np.ndarray, " rows"]:
    """Dates, durations, periods and numbers as float64."""
    dtype: Any = stamps.dtype
    if isinstance(dtype, pd.PeriodDtype):
        missing, numbers = np.asarray(stamps.isna()), np.asarray(pd.PeriodIndex(stamps).asi8, dtype=np.float64)
        return np.where(missing, np.nan, numbers)
    if pd.api.types.is_datetime64_any_dtype(dtype) or pd.api.types.is_timedelta64_dtype(dtype):
        plain: Any = (
            pd.DatetimeIndex(stamps) if pd.api.types.is_datetime64_any_dtype(dtype) else pd.TimedeltaIndex(stamps)
        )
        return np.where(np.asarray(plain.isna()), np.nan, plain.asi8 / _PER_SECOND[plain.unit])
    if pd.api.types.is_bool_dtype(dtype) or pd.api.types.is_numeric_dtype(dtype):
        return np.asarray(stamps.to_numpy(dtype=np.float64, na_value=np.nan))
    converted = stamps.infer_objects()
    if converted.dtype == dtype:
        raise ValueError(
            f"the last index level of X holds the time and has to be numbers, dates, periods or durations, got {dtype}"
        )
    return numbers_of(converted)


def categories_of(X: Any) -> Categories:
    """Sorted categories, as text, of each column that is not numeric; None for a numeric one."""
    if not isinstance(X, pd.DataFrame):
        return (None,) * int(X.shape[1])
    columns = [X.iloc[:, i] for i in range(X.shape[1])]
    found: list[tuple[str, ...] | None] = [
        None if _is_numeric(one) else tuple(sorted({str(value) for value in one.dropna()})) for one in columns
    ]
    return (*found,)


def _is_numeric(column: pd.Series[Any]) -> bool:
    kinds: Sequence[Any] = (
        pd.api.types.is_numeric_dtype, pd.api.types.is_bool_dtype, pd.api.types.is_datetime64_any_dtype,
        pd.api.types.is_timedelta64_dtype,
    )  # fmt: skip
    numeric = any(kind(column.dtype) for kind in kinds) or isinstance(column.dtype, pd.PeriodDtype)
    return numeric and not isinstance(column.dtype, pd.CategoricalDtype)


def _values_of(X: Any, observed: Bool[np.ndarray, "rows columns"], categories: Categories) -> dict[str, Any]:
    if len(categories) != observed.shape[1]:
        raise ValueError(
            f"X has {observed.shape[1]} columns, and {len(categories)} in the training part; give both the same columns"
        )
    if isinstance(X, pd.DataFrame):
        columns = [_column_values(X.iloc[:, i], known) for i, known in enumerate(categories)]
        values = np.stack(columns, axis=1) if columns else np.empty(X.shape)
    else:
        plain = X.detach().cpu().double().numpy() if is_tensor(X) else X.astype(np.float64)
        values = by_rows(plain)
    kinds = tuple("numeric" if known is None else "categorical" for known in categories)
    names = tuple(X.columns) if isinstance(X, pd.DataFrame) else tuple(range(observed.shape[1]))
    frame = isinstance(X, pd.DataFrame)
    numbers = [not frame or (kind == "numeric" and holds_numbers(X.iloc[:, i])) for i, kind in enumerate(kinds)]
    found = {"kinds": kinds, "numbers": np.array(numbers, dtype=bool), "names": names}
    return {"values": np.where(observed, values, np.nan), **found}


def holds_numbers(column: pd.Series[Any]) -> bool:
    """Whether a column holds numbers; booleans and dates are none."""
    return pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype)


def _column_values(column: pd.Series[Any], known: tuple[str, ...] | None) -> Float[np.ndarray, " rows"]:
    if known is None:
        if not _is_numeric(column):
            raise ValueError(f"column {column.name!r} is numeric in the training part and {column.dtype} here")
        return numbers_of(column)
    return pd.Index(known).get_indexer(pd.Index(column.map(str))).astype(np.float64) + 1
