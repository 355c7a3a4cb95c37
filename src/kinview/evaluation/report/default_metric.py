"""Which metric a report shows first where none is named."""

from __future__ import annotations

import pandas as pd

__all__ = ["default_metric"]


def default_metric(frame: pd.DataFrame) -> str:
    """Accuracy, or R² where only numbers were predicted.

    Parameters
    ----------
    frame : DataFrame
        Frame of the results store.

    Examples
    --------
    >>> default_metric(pd.DataFrame({"accuracy": [None], "r2": [0.4]}))
    'r2'
    """
    numbers = "r2" in frame and frame["r2"].notna().any()
    return "r2" if numbers and not ("accuracy" in frame and frame["accuracy"].notna().any()) else "accuracy"
