"""Centre and scale of the columns of the training part, by which values are high, low or extreme."""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Float, Int64

from kinview.evaluation.corruptions.cells import Cells

__all__ = ["Scale"]


@dataclasses.dataclass(frozen=True, eq=False)
class Scale:
    """Median and standard deviation of each column, over its finite values.

    Parameters
    ----------
    centre : ndarray of shape (columns,)
        The medians; 0 where nothing was observed.
    spread : ndarray of shape (columns,)
        The standard deviations; infinite where a column has none: it is categorical, constant or was never observed.
    """

    centre: Float[np.ndarray, " columns"]
    spread: Float[np.ndarray, " columns"]

    @classmethod
    def of(cls, cells: Cells) -> Scale:
        """Scale of the columns of a training part."""
        assert cells.values is not None and cells.kinds is not None
        centre, spread = np.zeros(len(cells.kinds)), np.full(len(cells.kinds), np.inf)
        for column, kind in enumerate(cells.kinds):
            known = cells.values[cells.observed[:, column], column]
            known = known[np.isfinite(known)]
            if kind == "numeric" and len(known) and known.min() < known.max():
                centre[column] = np.median(known)
                with np.errstate(over="ignore"):
                    spread[column] = known.std()
        return cls(centre, spread)

    def of_columns(self, columns: Int64[np.ndarray, " some"]) -> Scale:
        """Scale of some of the columns."""
        return Scale(self.centre[columns], self.spread[columns])

    def standardised(self, values: Float[np.ndarray, "rows columns"]) -> Float[np.ndarray, "rows columns"]:
        """Distance of each value to the median of its column, in standard deviations; 0 in a column without spread.

        NaN where nothing was observed.
        """
        scaled = np.isfinite(self.spread)
        with np.errstate(over="ignore"):
            found = (values - self.centre) / np.where(scaled, self.spread, 1.0)
        found[:, ~scaled] = np.where(np.isnan(values[:, ~scaled]), np.nan, 0.0)
        return np.asarray(found)
