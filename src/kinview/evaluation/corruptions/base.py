"""The contract of a corruption, and how raw values of any container are read and written."""

from __future__ import annotations

import abc
import dataclasses
import sys
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from jaxtyping import Bool

from kinview.data.modality import SERIES, modality_of
from kinview.evaluation.validation import check_rate, check_seed
from kinview.old_pickles import FromPickle

__all__ = ["Cells", "Corruption", "Data", "observed_mask", "realised_rate"]

Data = TypeVar("Data")

_ACCEPTED = (
    "an array or tensor (n, channels, time) or (n, columns), a table as DataFrame, "
    "or a panel as DataFrame with a MultiIndex (series, time)"
)


@dataclasses.dataclass(frozen=True, eq=False)
class Cells:
    """The cells of a data set, whatever held them.

    Parameters
    ----------
    observed : bool ndarray of shape (rows, columns)
        True where a value was observed. Rows are the time steps of all series, one series after the other, or the rows
        of a table.
    time_series : bool
        Whether rows are time steps.
    """

    observed: Bool[np.ndarray, "rows columns"]
    time_series: bool


@dataclasses.dataclass(frozen=True)
class Corruption(FromPickle, abc.ABC):
    """A mechanism that makes observed values missing.

    Parameters
    ----------
    rate : float
        Fraction to remove, in [0, 1].
    """

    rate: float

    def __post_init__(self) -> None:
        check_rate(self.rate)

    @abc.abstractmethod
    def remove(self, cells: Cells, generator: np.random.Generator) -> Bool[np.ndarray, "rows columns"]:
        """Which observed cells go. The draws must not depend on ``rate``, so that severities are nested."""

    def apply(self, X: Data, seed: int | Sequence[int]) -> tuple[Data, Any]:
        """Corrupt raw values; parameters, results and errors as :func:`kinview.evaluation.corrupt`."""
        generator = np.random.default_rng(check_seed(seed))
        observed = observed_mask(X)
        time_series = modality_of(X) == SERIES
        n_columns = observed.shape[1]
        rows = np.moveaxis(observed, 1, -1)  # (n, time, channels) or (rows, columns)
        removed = self.remove(Cells(rows.reshape(int(np.prod(rows.shape[:-1])), n_columns), time_series), generator)
        removed = np.ascontiguousarray(np.moveaxis(removed.reshape(rows.shape), -1, 1))
        return _without(X, removed)


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
    is_tensor = _is_tensor(X)
    if not is_tensor and not isinstance(X, np.ndarray):
        raise TypeError(f"X must be {_ACCEPTED}; got {type(X).__name__}")
    if X.ndim not in (2, 3):
        raise ValueError(f"X must be {_ACCEPTED}; got shape {tuple(X.shape)}")
    if X.is_complex() if is_tensor else X.dtype.kind not in "fiub":
        raise TypeError(f"an array to corrupt must hold real numbers, got dtype {X.dtype}; give a DataFrame")
    return np.asarray((~X.isnan()).cpu().numpy() if is_tensor else ~np.isnan(X))


def realised_rate(X: Any, removed: Any) -> float:
    """Fraction of the observed cells of ``X`` that were removed; 0 where nothing was observed.

    Parameters
    ----------
    X : ndarray, Tensor or DataFrame
        The values before corruption.
    removed : bool array of the shape of X
        As :func:`corrupt` returns it.
    """
    observed = int(observed_mask(X).sum())
    return float(int(removed.sum()) / observed) if observed else 0.0


def _observed_column(column: pd.Series[Any]) -> Bool[np.ndarray, " rows"]:
    observed = ~np.asarray(column.isna(), dtype=bool)
    if pd.api.types.is_float_dtype(column.dtype):  # Arrow and nullable columns can hold NaN besides NA
        return np.asarray(observed & ~np.isnan(column.to_numpy(dtype=np.float64, na_value=np.nan)))
    if column.dtype == object and any(map(pd.api.types.is_list_like, column)):
        raise TypeError(
            f"column {column.name!r} holds arrays or series in its cells; bring nested data into one of: {_ACCEPTED}"
        )
    return observed


def _without(X: Any, removed: Bool[np.ndarray, "n ..."]) -> tuple[Any, Any]:
    """Copy of ``X`` without the removed cells, and the mask in the same kind of container (an array for a frame)."""
    if isinstance(X, pd.DataFrame):
        result = X.copy()
        for i in map(int, np.flatnonzero(removed.any(axis=0))):
            column: Any = _nullable(X.iloc[:, i]).mask(removed[:, i])
            result.isetitem(i, column)
        return result, removed
    if _is_tensor(X):
        mask = sys.modules["torch"].from_numpy(removed).to(X.device)
        values = X if X.is_floating_point() else X.double()
        return values.masked_fill(mask, float("nan")), mask
    values = X.astype(np.result_type(X.dtype, np.float32))
    values[removed] = np.nan
    return values, removed


def _nullable(column: pd.Series[Any]) -> pd.Series[Any]:
    """The column in a dtype that can hold a missing value without a change to those that stay."""
    if not isinstance(column.dtype, np.dtype) or column.dtype.kind not in "biu":
        return column
    if column.dtype.kind == "b":
        return column.astype("boolean")
    digits = int(max(abs(int(column.min())), abs(int(column.max()))))
    return column.astype(np.float64) if digits <= 2**53 else column.convert_dtypes()


def _is_tensor(X: Any) -> bool:
    torch = sys.modules.get("torch")  # no tensor exists before torch is loaded, and arrays do not need it
    return torch is not None and isinstance(X, torch.Tensor)
