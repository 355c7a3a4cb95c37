"""Irregular sampling: a random subset of the time steps."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
from jaxtyping import Bool

from kinview.evaluation.corruptions import corruptions
from kinview.evaluation.corruptions.base import Cells, Corruption
from kinview.evaluation.corruptions.ordering import beginning
from kinview.evaluation.corruptions.stretches import require_series

__all__ = ["Irregular"]


@corruptions.register("irregular", modality="time_series", reference="cf. TS2Vec's irregular sampling")
@dataclasses.dataclass(frozen=True)
class Irregular(Corruption):
    r"""Remove time steps at random, all channels together, the same fraction of every series.

    Of the :math:`N` observed steps of all series exactly :math:`\mathrm{round}(\mathrm{rate} \cdot N)` go, and of the
    :math:`T_i` steps of series :math:`i` :math:`\mathrm{rate} \cdot T_i`, up or down to about one step. What stays is
    an irregularly sampled series whose steps keep their times.

    Parameters
    ----------
    rate : float
        Fraction of the observed time steps to remove. A step counts where a channel of it was observed.

    Raises
    ------
    ValueError
        If the rate is out of range, or the data are a table.

    Notes
    -----
    :class:`MCAR` with ``mode="timestep"`` draws from all series together, as the official TS2Vec code does: a short
    series may then lose nearly everything. Here each series loses the same fraction.

    In a panel frame the rows stay, empty, with their time stamps; in an array the steps stay in their places. By the
    data convention a trailing run of steps without a value is the end of a series in an array.

    Steps of each series go in a random order :math:`k = 0, 1, \dots`; over all series they go in the order of
    :math:`(k + u_i) / T_i` with :math:`u_i` uniform in [0, 1).

    Examples
    --------
    >>> X = np.zeros((2, 2, 10))
    >>> X[1, :, 5:] = np.nan  # a shorter series
    >>> _, removed = Irregular(rate=0.4).apply(X, seed=0)
    >>> removed[:, 0].sum(axis=1).tolist(), bool((removed[:, 0] == removed[:, 1]).all())
    ([4, 2], True)
    """

    needs: ClassVar[frozenset[str]] = frozenset({"samples"})

    def remove(self, cells: Cells, generator: np.random.Generator) -> Bool[np.ndarray, "rows columns"]:
        """Which observed cells go."""
        require_series(cells, "irregular")
        assert cells.sample is not None and cells.step is not None
        rows = np.flatnonzero(cells.observed.any(axis=1))
        rows = rows[np.lexsort((cells.step[rows], cells.sample[rows]))]
        sample = cells.sample[rows]
        steps = np.bincount(sample, minlength=int(cells.sample.max(initial=-1)) + 1)  # (n,)
        shuffled = np.lexsort((generator.random(len(rows)), sample))
        rank = np.empty(len(rows))
        rank[shuffled] = np.arange(len(rows)) - (np.cumsum(steps) - steps)[sample[shuffled]]
        place = (rank + generator.random(len(steps))[sample]) / steps[sample]
        gone = beginning(rows[np.argsort(place, kind="stable")], self.rate, (len(cells.observed),))
        return np.asarray(cells.observed & gone[:, None])
