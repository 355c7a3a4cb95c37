"""Which modality a data set has, by its container."""

from __future__ import annotations

from typing import Any, Literal

import pandas as pd

__all__ = ["modality_of"]


def modality_of(X: Any) -> Literal["time_series", "tabular"]:
    """Series are 3-D arrays, lists, and frames with a MultiIndex or nested cells; everything else is a table."""
    if isinstance(X, pd.DataFrame):
        nested = X.shape[0] > 0 and X.shape[1] > 0 and isinstance(X.iloc[0, 0], pd.Series)
        return "time_series" if isinstance(X.index, pd.MultiIndex) or nested else "tabular"
    if isinstance(X, list | tuple):
        return "time_series"
    return "time_series" if getattr(X, "ndim", 2) == 3 else "tabular"
