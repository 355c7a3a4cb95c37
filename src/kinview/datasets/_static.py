"""Static columns: what is known of a sample besides what its encoder sees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from kinview.data.alignment import in_order_of
from kinview.datasets._pooling import same_categories, series_names
from kinview.datasets.cells import code_column
from kinview.datasets.class_names import labels_of
from kinview.datasets.rows import Rows

__all__ = ["joined_static", "named_static", "static_columns", "static_table"]


def static_columns(
    frame: pd.DataFrame, names: Sequence[str], source: str, rows: Rows | None = None, **written: Any
) -> pd.DataFrame | None:
    """Static columns of a file, one row a sample, each read as labels are: whole numbers, numbers, or text.

    Text that is not one to one with a number stays text (``01`` is no 1). Whole numbers with a gap become floats with
    NaN.

    Parameters
    ----------
    frame : DataFrame
        Cells, exact (see :func:`kinview.datasets.frames.read_frame`), one row a sample.
    names : sequence of str
        The columns; None is returned without any.
    source : str
        What messages call the file.
    rows : Rows, optional
        Where the samples stand in the file, where each has a row of its own.
    **written : Any
        ``decimal`` and ``thousands`` of a text file.

    Raises
    ------
    ValueError
        As :func:`kinview.datasets.class_names.labels_of`.
    """
    if not names:
        return None
    columns = {}
    for name in names:
        values = labels_of(code_column(frame[name]), f"static column {name!r}", source, rows=rows, **written)
        observed = [value for value in values.tolist() if value is not None]
        if values.dtype == object and observed and all(isinstance(value, int) for value in observed):
            values = np.array([np.nan if value is None else value for value in values.tolist()], dtype=np.float64)
        columns[name] = values
    return pd.DataFrame(columns)


def static_table(X: Any, given: Any, n: int, name: str) -> pd.DataFrame | None:
    """Static columns of n samples in their order, their index the names of the samples; None without any.

    Raises
    ------
    ValueError
        If they are no table of one row a sample, two columns share a name, or their index holds other samples.
    """
    if given is None:
        return None
    if not isinstance(given, pd.DataFrame):
        raise ValueError(f"{name} must be a DataFrame of one row a sample; got {type(given).__name__}")
    ordered = in_order_of(X, given, name)
    if len(ordered) != n:
        raise ValueError(f"{name} has {len(ordered)} rows for {n} samples")
    if not ordered.columns.is_unique:
        raise ValueError(f"{name} has two columns named {ordered.columns[ordered.columns.duplicated()][0]!r}")
    return named_static(X, ordered)


def named_static(X: Any, static: pd.DataFrame | None) -> pd.DataFrame | None:
    """The static columns of these samples, by position, with the names of the samples as index."""
    if static is None:
        return None
    if not isinstance(X, pd.DataFrame):
        return static.reset_index(drop=True)
    return static.set_axis(series_names(X) if isinstance(X.index, pd.MultiIndex) else X.index, axis=0)


def joined_static(X: Any, train: pd.DataFrame | None, test: pd.DataFrame | None) -> pd.DataFrame | None:
    """Static columns of both parts, whose samples X holds; None where a part has none.

    Raises
    ------
    ValueError
        If the parts have different columns.
    """
    if train is None or test is None:
        return None
    if set(train.columns) != set(test.columns):
        other = sorted(map(str, set(train.columns) ^ set(test.columns)))
        raise ValueError(f"the static columns of both parts must be the same; only one part has {', '.join(other)}")
    return named_static(X, pd.concat(same_categories(train, test[train.columns])))
