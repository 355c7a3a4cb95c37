"""Time stamps that are off: steps keep their order and their values."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float, Int64

from kinview.evaluation.corruptions import corruptions
from kinview.evaluation.corruptions.base import Cells, Change, Corruption, Counts
from kinview.evaluation.corruptions.changes import why_no_moves
from kinview.evaluation.corruptions.stretches import require_series

__all__ = ["JitteredTimes"]


@corruptions.register("jittered_times", modality="time_series", reference="uniform jitter of sampling times")
@dataclasses.dataclass(frozen=True)
class JitteredTimes(Corruption):
    r"""Move the time stamps of steps, as clocks that disagree and nurses who write down later do; their order stays.

    With :math:`t_1 \le \dots \le t_m` the times of a series, step k moves to

    .. math:: t'_k = t_k + \mathrm{rate} \cdot \tfrac12 u_k g_k, \qquad u_k \sim U(-1, 1)

    with :math:`g_k` the gap to the next step where :math:`u_k > 0`, and to the step before where :math:`u_k < 0` (the
    first and the last step have one neighbour, whose gap counts on both sides). No step moves further than half-way to
    its neighbour, so that none overtakes another, and every gap keeps at least the fraction 1 - rate of its length.

    Parameters
    ----------
    rate : float
        Severity: largest move, as a fraction of half the gap to the neighbour. 0 is the identity.

    Raises
    ------
    ValueError
        If the rate is out of range, the data have no time stamps (a table, an array), or a step has no time.

    Notes
    -----
    Values and gaps stay in their steps: no value is removed. One seed has one direction for each step, in which a
    higher severity moves it further. Steps at the same time do not move towards each other, and a series of one step
    stays as it is. Dates and durations move by whole microseconds; whole numbers become real ones. Methods that do not
    read time stamps do not see it. The realised severity is the mean move as a fraction of the mean gap: about a
    quarter of the rate where steps are evenly spaced.

    Examples
    --------
    >>> import pandas as pd
    >>> index = pd.MultiIndex.from_product([["a"], [0.0, 1.0, 5.0, 6.0]], names=["patient", "hour"])
    >>> X = pd.DataFrame({"pulse": [60.0, 61.0, 62.0, 63.0]}, index=index)
    >>> X_jittered, removed = JitteredTimes(rate=0.8).apply(X, seed=0)
    >>> X_jittered.index.get_level_values("hour").to_numpy().round(2).tolist(), int(removed.sum())
    ([0.11, 0.82, 3.53, 5.61], 0)
    """

    needs: ClassVar[frozenset[str]] = frozenset({"samples", "times"})
    counts: ClassVar[Counts] = "severity"

    def why_not(self, X: Any, *, groups: Any = None, static: Any = None) -> str | None:
        """That the samples have no time stamps."""
        return why_no_moves(X)

    def remove(self, cells: Cells, generator: np.random.Generator) -> Bool[np.ndarray, "rows columns"]:
        """No cell."""
        return np.zeros_like(cells.observed)

    def change(self, cells: Cells, generator: np.random.Generator) -> Change:
        """How far each step moves."""
        require_series(cells, "jittered_times")
        order, before, after = _gaps(cells)
        u = generator.uniform(-1.0, 1.0, size=len(order))
        moves = np.empty(len(order))
        moves[order] = self.rate / 2 * u * np.where(u > 0, after, before)
        return Change(self.remove(cells, generator), moves=moves)

    def realised(self, cells: Cells, change: Change) -> float:
        """Mean move, as a fraction of the mean gap between steps."""
        assert cells.sample is not None and change.moves is not None
        order, before, _ = _gaps(cells)
        within = np.diff(cells.sample[order], prepend=-1) == 0
        mean = float(before[within].mean()) if within.any() else 0.0
        return float(np.abs(change.moves).mean()) / mean if mean else 0.0


def _gaps(
    cells: Cells,
) -> tuple[Int64[np.ndarray, " rows"], Float[np.ndarray, " rows"], Float[np.ndarray, " rows"]]:
    """Rows in the order of sample and time, and the gap before and after each; the only one counts on both sides."""
    assert cells.sample is not None and cells.step is not None and cells.times is not None
    if np.isnan(cells.times).any():
        raise ValueError("jittered_times needs the time of every step, and some have none (NaN or NaT)")
    order = np.lexsort((cells.step, cells.sample))
    sample, times = cells.sample[order], cells.times[order]
    gap = np.where(sample[1:] == sample[:-1], np.diff(times), np.nan)  # (rows - 1,), NaN between two series
    before, after = np.append(np.nan, gap)[: len(order)], np.append(gap, np.nan)[: len(order)]
    before, after = np.where(np.isnan(before), after, before), np.where(np.isnan(after), before, after)
    return order, np.nan_to_num(before), np.nan_to_num(after)
