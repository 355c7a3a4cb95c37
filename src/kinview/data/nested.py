"""Series of a long frame as one row each, for what counts, shuffles and cuts samples by rows."""

from __future__ import annotations

import numpy as np
import pandas as pd

__all__ = ["to_nested"]


def to_nested(X: pd.DataFrame | pd.Series) -> pd.DataFrame:
    """Series in long format as a nested frame: one row a series, its cells hold the channels over time.

    scikit-learn takes a row for a sample. In a long frame (a MultiIndex of series and time, as
    :func:`kinview.datasets.read_long` returns it) it counts time steps, and refuses labels of the series for their
    number; the frame that this function returns can be split, cross-validated and searched with ``y`` and ``groups``.
    Estimators read both alike, to the bit.

    Parameters
    ----------
    X : DataFrame or Series
        Index ``(series, time)`` or ``(..., series, time)``; not modified.

    Returns
    -------
    DataFrame
        The channels of X as columns, and the series as index, in the order of their first row; names of several levels
        as tuples, because a MultiIndex stands for time steps. Each cell is a Series over the time stamps of its series
        in order. Groups that an outer level names are given by ``groups=`` from here on.

    Raises
    ------
    TypeError
        If X is no DataFrame or Series.
    ValueError
        If its index is no MultiIndex, or a time stamp stands twice in a series.

    Examples
    --------
    >>> steps = pd.MultiIndex.from_tuples([("anna", 0), ("anna", 5), ("ben", 0)], names=["patient", "minute"])
    >>> nested = to_nested(pd.DataFrame({"hr": [70.0, 72.0, 81.0]}, index=steps))
    >>> nested.index.tolist(), nested.loc["anna", "hr"].to_dict()
    (['anna', 'ben'], {0: 70.0, 5: 72.0})
    """
    if not isinstance(X, pd.DataFrame | pd.Series):
        raise TypeError(
            f"to_nested takes a DataFrame in long format, got {type(X).__name__}; arrays have a row a series"
        )
    if isinstance(X, pd.Series):
        X = X.to_frame("channel_0" if X.name is None else X.name)
    if not isinstance(X.index, pd.MultiIndex) or X.index.nlevels < 2:
        raise ValueError("to_nested takes series in long format: a MultiIndex (series, time), one row a step")
    if not X.index.is_unique:
        *series, stamp = X.index[X.index.duplicated()][0]
        raise ValueError(f"series {', '.join(map(str, series))} has the time stamp {stamp} more than once")
    instance = X.index.droplevel(-1)
    codes, names = pd.factorize(instance)
    order = np.lexsort((pd.factorize(X.index.get_level_values(-1), sort=True)[0], codes))
    X, ends = X.iloc[order], np.cumsum(np.bincount(codes))[:-1]
    stamps = X.index.get_level_values(-1)
    rows = np.split(np.arange(len(X)), ends)
    columns = []
    for place in range(X.shape[1]):
        values, cells = X.iloc[:, place].array, np.empty(len(names), dtype=object)
        cells[:] = [pd.Series(values[row], index=stamps[row]) for row in rows]
        columns.append(pd.Series(cells, dtype=object))
    nested = pd.concat(columns, axis=1) if columns else pd.DataFrame(index=range(len(names)))
    several = isinstance(names, pd.MultiIndex)
    label = tuple(instance.names) if several else instance.name
    return nested.set_axis(X.columns, axis=1).set_axis(
        pd.Index(names.tolist() if several else names, tupleize_cols=False, name=label), axis=0
    )
