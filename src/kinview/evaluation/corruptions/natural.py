"""Natural gaps: those of other samples."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool, Int64

from kinview.evaluation.corruptions import corruptions
from kinview.evaluation.corruptions.base import Cells, Corruption
from kinview.evaluation.corruptions.ordering import first
from kinview.evaluation.corruptions.stretches import lengths_of_series

__all__ = ["Natural"]


@corruptions.register("natural", modality="any", reference="masks of the data themselves")
@dataclasses.dataclass(frozen=True)
class Natural(Corruption):
    r"""Remove the values that other samples lack: gaps are transplanted from the training part.

    Each sample is given a donor of the training part, at random, and loses what the donor lacks at the same place, step
    and channel, or column. Samples take their turn in a random order. When all have had one donor, each is given a
    second one, and so on, until :math:`\mathrm{round}(\mathrm{rate} \cdot N)` of the :math:`N` observed values are
    gone; the last mask goes only as far as the rate asks, from its beginning.

    Parameters
    ----------
    rate : float
        Fraction of the observed values to remove, beside what was missing already.

    Raises
    ------
    ValueError
        If the rate is out of range, the training part has no gaps, or they all together do not reach the rate.

    Notes
    -----
    What belongs together in the data is missing together: the channels of one laboratory panel, the nights. At a low
    rate some samples have the gaps of one donor and others stay as they are; at a high one masks are laid over each
    other, and what is never missing in the training part still is not.

    A donor's gaps end with its last observed step: that it is shorter is no gap. Steps are matched by their number in
    the series, whatever their times. In a table a row without any value is a donor as others are.

    Examples
    --------
    >>> X = np.ones((4, 2, 6))
    >>> X[0, 1, 2:4] = np.nan  # the only gap there is
    >>> _, removed = Natural(rate=0.1).apply(X, seed=0)
    >>> removed[:, 1].astype(int).tolist(), int(removed[:, 0].sum())
    ([[0, 0, 0, 0, 0, 0], [0, 0, 1, 1, 0, 0], [0, 0, 1, 0, 0, 0], [0, 0, 1, 1, 0, 0]], 0)
    """

    needs: ClassVar[frozenset[str]] = frozenset({"samples"})

    def why_not(self, X: Any, *, groups: Any = None, static: Any = None) -> str | None:
        """Why these samples have no gaps to transplant."""
        return None if self.learn(X, 0).state.any() else "no sample has a gap"

    def fit(self, cells: Cells, generator: np.random.Generator) -> Bool[np.ndarray, "donors time columns"]:
        """The gaps of each sample."""
        assert cells.sample is not None and cells.step is not None
        n = int(cells.sample.max(initial=-1)) + 1
        lengths = lengths_of_series(cells) if cells.time_series else np.ones(n, dtype=np.int64)
        gaps = np.zeros((n, int(lengths.max(initial=0)), cells.observed.shape[1]), dtype=bool)
        inside = cells.step < lengths[cells.sample]
        gaps[cells.sample[inside], cells.step[inside]] = ~cells.observed[inside]
        return gaps

    def remove(self, cells: Cells, generator: np.random.Generator) -> Bool[np.ndarray, "rows columns"]:
        """Which observed cells go."""
        assert cells.sample is not None and cells.step is not None
        gaps = cells.learned
        wanted = round(self.rate * int(cells.observed.sum()))
        if wanted and not gaps.any():
            raise ValueError("the training part has no gaps that natural could transplant; use another corruption")
        n = int(cells.sample.max(initial=-1)) + 1
        donors = generator.permutation(len(gaps))
        begin = generator.integers(max(1, len(gaps)), size=n)
        left, orders, count = cells.observed.copy(), [np.empty(0, dtype=np.int64)], 0
        for number in range(len(gaps)):
            if count >= wanted:
                break
            turn = generator.permutation(n)  # drawn round by round: a higher rate draws the same, and more
            donor = donors[(begin + number) % len(gaps)]  # (n,); none twice, after all rounds each has been once
            orders.append(self._order_of(cells, left, donor, turn))
            left.ravel()[orders[-1]] = False
            count += len(orders[-1])
        if count < wanted:
            raise ValueError(
                f"rate={self.rate} is {wanted} values, and the gaps of the training part together reach {count}: the "
                "others are missing in no training sample; give a lower rate or another corruption"
            )
        return first(np.concatenate(orders), wanted, cells.observed.shape)

    def _order_of(
        self, cells: Cells, left: Bool[np.ndarray, "rows columns"], donor: Int64[np.ndarray, " n"],
        turn: Int64[np.ndarray, " n"],
    ) -> Int64[np.ndarray, " m"]:  # fmt: skip
        """Places among those left that the donors lack: sample by sample in their turn, each from its beginning."""
        assert cells.sample is not None and cells.step is not None
        gaps = cells.learned
        inside = np.flatnonzero(cells.step < gaps.shape[1])
        lacking = np.zeros_like(left)
        lacking[inside] = gaps[donor[cells.sample[inside]], cells.step[inside]]
        rows, columns = np.nonzero(left & lacking)
        order = np.lexsort((columns, cells.step[rows], turn[cells.sample[rows]]))
        return np.asarray((rows * left.shape[1] + columns)[order])
