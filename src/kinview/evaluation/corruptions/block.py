"""Missing blocks: contiguous stretches of time."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Bool

from kinview.evaluation.corruptions import corruptions
from kinview.evaluation.corruptions.base import Cells, Corruption
from kinview.evaluation.corruptions.stretches import check_length, lengths_of_stretches, require_series

__all__ = ["Block"]


@corruptions.register("block", modality="time_series", reference="Khayati et al. 2020; PyGrinder's block_missing")
@dataclasses.dataclass(frozen=True)
class Block(Corruption):
    r"""Remove contiguous stretches of time: a sensor that is off, a patient who is away.

    Each channel of each series (or all channels together) is cut into stretches of :math:`L` steps, from a start that
    is drawn; the stretches of the whole data set go in a random order until :math:`\mathrm{round}(\mathrm{rate} \cdot
    N)` of the :math:`N` observed values are gone. The last one goes only as far as the rate asks, from its beginning;
    with all channels together its last step may lose some channels and keep others. Two stretches may touch, and those
    at the ends of a series are shorter.

    Parameters
    ----------
    rate : float
        Fraction of the observed values to remove.
    length : int or float
        Length :math:`L` of a block: steps (int, at least 1), or a fraction of each series' length (float, between 0 and
        1, at least one step). Default 0.1: the 10 % of the series of the benchmark of [1]_.
    channels : {"each", "together"}
        Whether each channel has blocks of its own, or a block takes all of them. Default: each.

    Raises
    ------
    ValueError
        If a parameter is out of range, the data are a table, or the blocks are longer than every series.

    Notes
    -----
    A series ends with its last observed step. Steps count whether something was observed in them or not, so a block may
    lie over a gap that was there before; it then removes fewer values, and the rate counts only what was observed.

    PyGrinder's ``block_missing`` [2]_ draws the starts of rectangles of ``block_len`` steps and ``block_width``
    channels, which may overlap: its rate is approximate, and it takes no seed. In [1]_ the blocks have 10 steps in the
    scenario MCAR and 10 % of the series in the others.

    As with :class:`MCAR`, the last steps of a series in an array may go, and by the data convention a trailing run of
    steps without a value is the end of the series.

    References
    ----------
    .. [1] Khayati, M. et al. (2020). Mind the gap: an experimental evaluation of imputation of missing values
       techniques in time series. PVLDB 13(5), 768-782.
    .. [2] Du, W. et al. PyGrinder. https://github.com/WenjieDu/PyGrinder

    Examples
    --------
    >>> X = np.arange(20.0).reshape(1, 1, 20)
    >>> X_corrupted, removed = Block(rate=0.3, length=3).apply(X, seed=5)
    >>> "".join(map(str, removed.astype(int).ravel()))
    '00000001110001110000'
    """

    needs: ClassVar[frozenset[str]] = frozenset({"samples"})

    length: int | float = 0.1
    channels: Literal["each", "together"] = "each"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_length(self.length, "block")
        if self.channels not in ("each", "together"):
            raise ValueError(f"channels={self.channels!r} is unknown; use 'each' or 'together'")

    def remove(self, cells: Cells, generator: np.random.Generator) -> Bool[np.ndarray, "rows columns"]:
        """Which observed cells go."""
        require_series(cells, "block")
        assert cells.sample is not None and cells.step is not None
        observed, n_columns = cells.observed, cells.observed.shape[1]
        size = lengths_of_stretches(cells, self.length, self.rate, "block")  # (n,)
        rows, columns = np.nonzero(observed)
        sample, step = cells.sample[rows], cells.step[rows]
        lane = sample * n_columns + columns if self.channels == "each" else sample
        start = generator.random(len(size) * (n_columns if self.channels == "each" else 1))
        shift = np.floor(start[lane] * size[sample]).astype(np.int64)
        place = (step + shift) // size[sample]
        block = np.unique(lane * (int(place.max(initial=0)) + 1) + place, return_inverse=True)[1]
        # The order of all blocks is drawn whatever the rate, so that a lower rate takes a beginning of it.
        turn = generator.permutation(int(block.max(initial=-1)) + 1)
        order = np.lexsort((columns, step, turn[block]))[: round(self.rate * len(rows))]
        removed = np.zeros_like(observed)
        removed[rows[order], columns[order]] = True
        return removed
