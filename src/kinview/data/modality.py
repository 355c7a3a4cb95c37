"""Which modality a data set has, by its container."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pandas as pd

__all__ = ["modality_of"]


def modality_of(X: Any) -> Literal["time_series", "tabular"]:
    """Series are 3-D arrays, lists, and frames with a MultiIndex or nested cells; everything else is a table."""
    if isinstance(X, pd.DataFrame | pd.Series):
        nested = isinstance(X, pd.DataFrame) and X.size > 0 and any(map(_is_series, X.iloc[0]))
        return "time_series" if isinstance(X.index, pd.MultiIndex) or nested else "tabular"
    if isinstance(X, list | tuple):
        return "time_series"
    return "time_series" if getattr(X, "ndim", 2) == 3 else "tabular"


def _is_series(cell: Any) -> bool:
    return isinstance(cell, pd.Series | np.ndarray | list | tuple)
