"""Censoring in time: patients who drop out, or come late."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Bool

from kinview.evaluation.corruptions import corruptions
from kinview.evaluation.corruptions.base import Cells, Corruption
from kinview.evaluation.corruptions.ordering import beginning

__all__ = ["Censoring"]


@corruptions.register("censoring", modality="time_series", reference="dropout with a constant hazard")
@dataclasses.dataclass(frozen=True)
class Censoring(Corruption):
    r"""Remove the end of series after a time of dropout, or their beginning before a late start.

    Series :math:`i` is followed from its first observation on for a time :math:`D_i = E_i / \lambda`, with
    :math:`E_i` from the standard exponential distribution: dropout has the constant hazard :math:`\lambda`. All values
    later than that go. The hazard is the one at which exactly
    :math:`\mathrm{round}(\mathrm{rate} \cdot N)` of the :math:`N` observed values go; with a higher one every patient
    leaves earlier. ``side="left"`` is the same in reversed time: what is seen is the time :math:`D_i` before the last
    observation.

    Parameters
    ----------
    rate : float
        Fraction of the observed values to remove.
    side : {"right", "left"}
        Whether series lose their end or their beginning. Default: the end.

    Raises
    ------
    ValueError
        If a parameter is out of range, the data are a table, or an observed step has no time.

    Notes
    -----
    Times are those of a panel's index, ``times=`` of an array, or the numbers of the steps; their unit does not matter.
    A step goes with all its channels; the last one to go may lose some and keep others, so that the rate is exact. The
    first observed step of a series (the last one with ``"left"``) is its first time, and goes only after all others.

    In an array right-censored series are shorter series: by the data convention a trailing run of steps without a value
    is the end of a series. In a panel frame the rows stay, empty.

    Dropout here depends on nothing but time. A :class:`Subgroup` restricts it to a group; :class:`Informative` makes
    missing values depend on the outcome.

    Examples
    --------
    >>> X = np.zeros((5, 1, 12))
    >>> _, removed = Censoring(rate=0.3).apply(X, seed=1)
    >>> for series in removed[:, 0]:
    ...     print("".join(map(str, series.astype(int))))
    000000000000
    000000011111
    000000000000
    000000001111
    000111111111
    """

    needs: ClassVar[frozenset[str]] = frozenset({"samples", "times"})

    side: Literal["right", "left"] = "right"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.side not in ("right", "left"):
            raise ValueError(f"side={self.side!r} is unknown; use 'right' or 'left'")

    def remove(self, cells: Cells, generator: np.random.Generator) -> Bool[np.ndarray, "rows columns"]:
        """Which observed cells go."""
        assert cells.sample is not None and cells.times is not None
        rows, columns = np.nonzero(cells.observed)
        sample = cells.sample[rows]
        times = cells.times[rows] if self.side == "right" else -cells.times[rows]
        if np.isnan(times).any():
            raise ValueError("censoring needs the time of every observed step, and some have none (NaN or NaT)")
        n = int(cells.sample.max(initial=-1)) + 1
        start = np.full(n, np.inf)
        np.minimum.at(start, sample, times)
        followed = generator.exponential(size=n)
        turn = generator.permutation(n)
        early = (times - start[sample]) / followed[sample]  # the reciprocal of the hazard at which the cell goes
        order = np.lexsort((columns, turn[sample], -early))
        places = rows * cells.observed.shape[1] + columns
        return beginning(places[order], self.rate, cells.observed.shape)
