"""Lost sensors: whole channels."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Literal

import numpy as np
from jaxtyping import Bool, Int64

from kinview.data.modality import SERIES, modality_of
from kinview.evaluation.corruptions import corruptions
from kinview.evaluation.corruptions.base import Cells, Corruption
from kinview.evaluation.corruptions.ordering import beginning

__all__ = ["Sensor"]


@corruptions.register("sensor", modality="any", reference="channel dropout")
@dataclasses.dataclass(frozen=True)
class Sensor(Corruption):
    r"""Remove whole channels: of single series, or columns of the whole data set.

    Of :math:`N` units, :math:`\mathrm{round}(\mathrm{rate} \cdot N)` are drawn at random, each with all its observed
    values.

    Parameters
    ----------
    rate : float
        Fraction of the units to remove.
    scope : {"sample", "set"}
        What a unit is. ``"sample"``: one channel of one series, a sensor that was not attached to this patient.
        ``"set"``: one column, a device that a hospital does not have: the same columns are lost in the training and the
        test part. A unit counts where something of it was observed. Default: of a sample.

    Raises
    ------
    ValueError
        If a parameter is out of range, or a channel of single samples is to go from a table.

    Notes
    -----
    The rate counts channels; the fraction of values that it removes is the same where all are observed equally often.
    With ``"sample"`` a series may lose all its channels: with one channel a series is there or is not.

    Examples
    --------
    >>> X = np.zeros((3, 4, 5))
    >>> _, removed = Sensor(rate=0.5).apply(X, seed=0)
    >>> removed[:, :, 0].astype(int).tolist()
    [[0, 0, 1, 0], [1, 1, 0, 1], [0, 1, 0, 1]]
    >>> Sensor(rate=0.5, scope="set").apply(X, seed=0)[1][:, :, 0].astype(int).tolist()
    [[0, 1, 1, 0], [0, 1, 1, 0], [0, 1, 1, 0]]
    """

    needs: ClassVar[frozenset[str]] = frozenset({"samples"})  # of an object that loses columns of the set: nothing

    scope: Literal["sample", "set"] = "sample"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scope not in ("sample", "set"):
            raise ValueError(f"scope={self.scope!r} is unknown; use 'sample' or 'set'")
        if self.scope == "set":
            object.__setattr__(self, "needs", frozenset())

    def why_not(self, X: Any, *, groups: Any = None, static: Any = None) -> str | None:
        """Why these samples have no channels to lose."""
        table = self.scope == "sample" and modality_of(X) != SERIES
        return "scope='sample' is of time series: a row of a table has one value of each column" if table else None

    def fit(self, cells: Cells, generator: np.random.Generator) -> Int64[np.ndarray, " columns"]:
        """The order in which columns are lost, the same for training and test part."""
        return generator.permutation(cells.observed.shape[1])

    def remove(self, cells: Cells, generator: np.random.Generator) -> Bool[np.ndarray, "rows columns"]:
        """Which observed cells go."""
        observed, n_columns = cells.observed, cells.observed.shape[1]
        if self.scope == "set":
            order = cells.learned[np.isin(cells.learned, np.flatnonzero(observed.any(axis=0)))]
            return np.asarray(observed & beginning(order, self.rate, (n_columns,)))
        if not cells.time_series:
            raise ValueError(
                "scope='sample' needs time series, and X is a table: a row has one value of each column, use mcar, or "
                "scope='set' for columns of the whole table"
            )
        assert cells.sample is not None
        rows, columns = np.nonzero(observed)
        units = np.unique(cells.sample[rows] * n_columns + columns)
        shape = (int(cells.sample.max(initial=-1)) + 1, n_columns)
        lost = beginning(generator.permutation(units), self.rate, shape)  # (n, channels)
        return np.asarray(observed & lost[cells.sample])
