"""What a corruption does to the cells of a data set, and how it is written into the container that held them."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float
from numpy.typing import NDArray

from kinview.evaluation.corruptions.cells import holds_numbers, is_tensor

__all__ = ["Change", "Corrupted", "why_no_moves", "written"]


@dataclasses.dataclass(frozen=True, eq=False)
class Change:
    """What becomes of the cells of a data set.

    Parameters
    ----------
    removed : bool ndarray of shape (rows, columns)
        Observed cells that no longer hold what they did.
    values : float ndarray of shape (rows, columns), optional
        What stands there; NaN, or no values at all: nothing does, the cell is missing.
    moves : float ndarray of shape (rows,), optional
        How far the time of each row moves, in the unit of the times of the cells. The rows are those of a panel frame.
    """

    removed: Bool[np.ndarray, "rows columns"]
    values: Float[np.ndarray, "rows columns"] | None = None
    moves: Float[np.ndarray, " rows"] | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Corrupted:
    """Corrupted values, and how far they are from what they were.

    Parameters
    ----------
    X : as the raw values
        A copy.
    removed : bool array of the shape of X
        As :func:`kinview.evaluation.corrupt` returns it.
    realised : float
        The severity as it came out, see :meth:`kinview.evaluation.Corruption.realised`.
    static : DataFrame, optional
        Static columns of the samples, where the corruption changes them.
    """

    X: Any
    removed: Any
    realised: float
    static: pd.DataFrame | None = None


def why_no_moves(X: Any) -> str | None:
    """Why no time of a step can move, as the end of a sentence; None where it can."""
    if not isinstance(X, pd.DataFrame) or not isinstance(X.index, pd.MultiIndex):
        return "its steps have no time stamps; give a frame with a MultiIndex (series, time)"
    if isinstance(X.index.get_level_values(-1).dtype, pd.PeriodDtype):
        return "its times are periods, inside which nothing moves; give dates"
    return None


def written(X: Any, change: Change) -> tuple[Any, Any]:
    """Copy of ``X`` with a change; where cells no longer hold what they did, in the same kind of container.

    The mask of a frame is an array. Other values are written into columns of numbers alone: in others (text,
    categories, booleans, dates) the cells are missing.

    Raises
    ------
    ValueError
        If times are to move, and there are none.
    """
    if change.moves is not None and (problem := why_no_moves(X)):
        raise ValueError(f"the times of X cannot be moved: {problem}")
    shape = tuple(X.shape)
    removed = _in_shape(change.removed, shape)
    values = None if change.values is None else _in_shape(change.values, shape)
    if isinstance(X, pd.DataFrame):
        result = X.copy()
        for i in map(int, np.flatnonzero(removed.any(axis=0))):
            column: Any = _nullable(X.iloc[:, i])
            if values is None or not holds_numbers(column):
                result.isetitem(i, column.mask(removed[:, i]))
            else:
                result.isetitem(i, _with_values(column, removed[:, i], values[:, i]))
        return (result if change.moves is None else _moved(result, change.moves)), removed
    if is_tensor(X):
        torch = sys.modules["torch"]
        mask, kept = torch.from_numpy(removed).to(X.device), X if X.is_floating_point() else X.double()
        if values is None:
            return kept.masked_fill(mask, float("nan")), mask
        return torch.where(mask, torch.from_numpy(values).to(kept), kept), mask
    kept = X.astype(np.result_type(X.dtype, np.float32))
    kept[removed] = np.nan if values is None else values[removed]
    return kept, removed


def _in_shape(rows: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """``(rows, columns)`` in the shape of ``X``: the inverse of :func:`by_rows` of the cells."""
    rows = rows.reshape(shape[0], *shape[2:], shape[1])  # (n, time, channels) or (rows, columns)
    return np.ascontiguousarray(np.moveaxis(rows, -1, 1))


def _nullable(column: pd.Series[Any]) -> pd.Series[Any]:
    """The column in a dtype that can hold a missing value without a change to those that stay."""
    if not isinstance(column.dtype, np.dtype) or column.dtype.kind not in "biu":
        return column
    if column.dtype.kind == "b":
        return column.astype("boolean")
    digits = int(max(abs(int(column.min())), abs(int(column.max()))))
    return column.astype(np.float64) if digits <= 2**53 else column.convert_dtypes()


def _with_values(column: pd.Series[Any], removed: Bool[np.ndarray, " rows"], values: Float[np.ndarray, " rows"]) -> Any:
    """The column with other numbers, in its own dtype; whole ones become real where fractions stand among them."""
    fractions = (values[removed] % 1 != 0).any()
    if pd.api.types.is_integer_dtype(column.dtype) and fractions:
        numpy_dtype = isinstance(column.dtype, np.dtype)
        arrow = isinstance(column.dtype, pd.ArrowDtype)
        column = column.astype("float64" if numpy_dtype else "double[pyarrow]" if arrow else "Float64")
    instead = pd.Series(values, index=column.index)
    own = isinstance(column.dtype, np.dtype) and column.dtype.kind == "f"
    return column.mask(removed, instead.astype(column.dtype) if own else instead)


def _moved(panel: pd.DataFrame, moves: Float[np.ndarray, " rows"]) -> pd.DataFrame:
    """The panel with the time of each row moved: dates and durations by seconds, numbers in their unit."""
    index = panel.index
    levels = [index.get_level_values(level) for level in range(index.nlevels)]
    stamps: Any = levels[-1]
    if pd.api.types.is_numeric_dtype(stamps.dtype):
        stamps = stamps.astype(np.float64) + moves
    else:
        seconds = pd.to_timedelta(np.round(moves * 1e6).astype(np.int64), unit="us")
        stamps = (stamps if stamps.unit == "ns" else stamps.as_unit("us")) + seconds
    return panel.set_axis(pd.MultiIndex.from_arrays([*levels[:-1], stamps], names=index.names), axis=0)
