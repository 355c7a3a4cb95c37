"""Stretches of time in series: how long a series is, and how long a stretch of it."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Int64

from kinview.evaluation.corruptions.cells import Cells

__all__ = ["check_length", "lengths_of_series", "lengths_of_stretches", "require_series"]


def check_length(length: Any, what: str) -> None:
    """Refuse what is neither a number of steps nor a fraction of a series; ``what`` names the stretch."""
    number = isinstance(length, int | float) and not isinstance(length, bool)
    if not number or not (length >= 1 if isinstance(length, int) else 0 < length < 1):
        raise ValueError(
            f"length={length!r} is no length of a {what}; give steps (an integer, 1 or more) or a fraction of the "
            "series (between 0 and 1)"
        )


def require_series(cells: Cells, who: str) -> None:
    """Refuse a table."""
    if not cells.time_series:
        raise ValueError(
            f"{who} needs time series: an array (n, channels, time) or a frame with a MultiIndex (series, time); "
            "the rows of a table have no order in time, use mcar"
        )


def lengths_of_series(cells: Cells) -> Int64[np.ndarray, " n"]:
    """Steps of each series up to its last observed one."""
    assert cells.sample is not None and cells.step is not None
    seen = cells.observed.any(axis=1)
    lengths = np.zeros(int(cells.sample.max(initial=-1)) + 1, dtype=np.int64)
    np.maximum.at(lengths, cells.sample[seen], cells.step[seen] + 1)
    return lengths


def lengths_of_stretches(cells: Cells, length: int | float, rate: float, what: str) -> Int64[np.ndarray, " n"]:
    """Steps of a stretch in each series, where ``length`` is steps or a fraction of the series."""
    lengths = lengths_of_series(cells)
    if isinstance(length, float):
        return np.maximum(1, np.round(length * lengths)).astype(np.int64)
    longest = int(lengths.max(initial=0))
    if rate > 0 and 0 < longest < length:
        raise ValueError(
            f"length={length} steps is longer than every series (the longest has {longest}): no such {what} can go; "
            "give a shorter one, or a fraction of the series"
        )
    return np.full(len(lengths), length, dtype=np.int64)
