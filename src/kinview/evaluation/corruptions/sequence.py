"""Missing sequences: runs of time steps in one channel."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Int64
from scipy.ndimage import minimum_filter1d

from kinview.evaluation.corruptions import corruptions
from kinview.evaluation.corruptions.base import Cells, Corruption
from kinview.evaluation.corruptions.ordering import beginning
from kinview.evaluation.corruptions.stretches import (
    check_length,
    lengths_of_series,
    lengths_of_stretches,
    require_series,
)

__all__ = ["MissingSequence"]


@corruptions.register("sequence", modality="time_series", reference="PyGrinder's seq_missing")
@dataclasses.dataclass(frozen=True)
class MissingSequence(Corruption):
    r"""Remove runs of time steps in single channels, which start anywhere and may overlap.

    A run has :math:`L` steps of one channel of one series, all within the series. Every possible run is as likely as
    any other; they are drawn without replacement until :math:`\mathrm{round}(\mathrm{rate} \cdot N)` of the :math:`N`
    observed values are gone. The last one goes only as far as the rate asks, from its beginning.

    Parameters
    ----------
    rate : float
        Fraction of the observed values to remove.
    length : int or float
        Length :math:`L` of a run: steps (int, at least 1), or a fraction of each series' length (float, between 0 and
        1, at least one step). Default 0.1, as that of :class:`Block`.

    Raises
    ------
    ValueError
        If a parameter is out of range, the data are a table, or the runs are longer than every series.

    Notes
    -----
    :class:`Block` cuts each channel into stretches that cannot overlap; they are shorter at the ends of a series, and
    every step is as likely to go as any other. Here runs start independently of each other: each has its full length,
    two that overlap make a longer gap, and the first and last :math:`L - 1` steps of a series, over which fewer runs
    lie, go less often. A series shorter than :math:`L` goes as a whole.

    Steps count whether something was observed in them or not, as in :class:`Block`: a run over a gap that was there
    before removes fewer values.

    PyGrinder's ``seq_missing`` [1]_ draws starts alike, at most one run for each channel of a series while
    :math:`\mathrm{rate} \cdot T \le L`; it takes no seed and counts what was missing before, so that its rate is
    approximate.

    References
    ----------
    .. [1] Du, W. et al. PyGrinder. https://github.com/WenjieDu/PyGrinder

    Examples
    --------
    >>> X = np.arange(20.0).reshape(1, 1, 20)
    >>> X_corrupted, removed = MissingSequence(rate=0.3, length=3).apply(X, seed=0)
    >>> "".join(map(str, removed.astype(int).ravel()))
    '00001110000000001110'
    """

    needs: ClassVar[frozenset[str]] = frozenset({"samples"})

    length: int | float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_length(self.length, "sequence")

    def remove(self, cells: Cells, generator: np.random.Generator) -> Bool[np.ndarray, "rows columns"]:
        """Which observed cells go."""
        require_series(cells, "sequence")
        assert cells.sample is not None and cells.step is not None
        rows, columns = np.nonzero(cells.observed)
        sample, step = cells.sample[rows], cells.step[rows]
        turn = self._turns(cells, generator)[sample, columns, step]
        lane = sample * cells.observed.shape[1] + columns
        order = np.lexsort((step, lane, turn))
        places = rows * cells.observed.shape[1] + columns
        return beginning(places[order], self.rate, cells.observed.shape)

    def _turns(self, cells: Cells, generator: np.random.Generator) -> Int64[np.ndarray, "n columns time"]:
        """Turn of the first run that lies over each step; the order of all runs is drawn whatever the rate."""
        lengths = lengths_of_series(cells)
        sizes = np.minimum(lengths_of_stretches(cells, self.length, self.rate, "sequence"), np.maximum(lengths, 1))
        starts = np.where(lengths > 0, lengths - sizes + 1, 0)  # (n,): a run begins at 0, 1, ..., starts - 1
        shape = (len(lengths), cells.observed.shape[1], int(lengths.max(initial=0)))
        begins = np.broadcast_to((np.arange(shape[2]) < starts[:, None])[:, None, :], shape)
        turns = np.full(shape, begins.size, dtype=np.int64)
        turns[begins] = generator.permutation(int(begins.sum()))
        for size in np.unique(sizes):  # the least turn among the last `size` starts
            own = sizes == size
            turns[own] = minimum_filter1d(
                turns[own], int(size), axis=2, mode="constant", cval=begins.size, origin=(int(size) - 1) // 2
            )
        return turns
