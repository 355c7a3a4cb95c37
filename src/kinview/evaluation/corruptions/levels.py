"""Levels: the place of values in the distribution of their column in the training part, from 0 to 1."""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from kinview.evaluation.corruptions.cells import Cells

__all__ = ["Known", "known_values", "levels_of", "limits_between"]

Known = tuple[Float[np.ndarray, " known"], ...]
"""Sorted values of each column of the training part; none of a column without an order."""


def known_values(cells: Cells) -> Known:
    """Sorted values of each column of a training part."""
    assert cells.values is not None and cells.kinds is not None
    return tuple(
        np.sort(cells.values[cells.observed[:, column], column]) if kind == "numeric" else np.empty(0)
        for column, kind in enumerate(cells.kinds)
    )


def levels_of(cells: Cells, known: Known) -> Float[np.ndarray, "rows columns"]:
    r"""Level of each value, :math:`(P(X < x) + P(X \le x)) / 2`; a half in a column without an order."""
    assert cells.values is not None
    levels = np.empty_like(cells.values)
    for column, values in enumerate(known):
        levels[:, column] = _level(cells.values[:, column], values)
    return levels


def limits_between(
    values: Float[np.ndarray, "rows columns"],
    gone: Bool[np.ndarray, "rows columns"],
    kept: Bool[np.ndarray, "rows columns"],
    known: Known,
    level: float,
    side: Literal["lower", "upper"],
) -> Float[np.ndarray, " columns"]:
    """Limit of each column at a level; NaN where nothing was observed in the training part.

    A limit may lie anywhere between two values of the training part: here between what is gone and what was kept.
    """
    lower = side == "lower"
    limits = np.full(values.shape[1], np.nan)
    for column, sorted_values in enumerate(known):
        if len(sorted_values):
            own = _level(sorted_values, sorted_values)
            place = np.searchsorted(own, level, "left") if lower else np.searchsorted(own, level, "right") - 1
            limits[column] = sorted_values[np.clip(place, 0, len(sorted_values) - 1)]
    least = np.where(gone if lower else kept, values, -np.inf).max(axis=0)
    most = np.where(kept if lower else gone, values, np.inf).min(axis=0)
    return np.asarray(np.minimum(np.maximum(limits, least), most))


def _level(values: Float[np.ndarray, " rows"], known: Float[np.ndarray, " known"]) -> Float[np.ndarray, " rows"]:
    """Place of each value among the known ones, from 0 to 1."""
    if not len(known):
        return np.full(len(values), 0.5)
    ranks = np.searchsorted(known, values, "left") + np.searchsorted(known, values, "right")
    return ranks / (2 * len(known))
