"""Values beyond what an instrument can show."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from kinview.evaluation.corruptions import corruptions
from kinview.evaluation.corruptions.base import Cells, Change, Corruption
from kinview.evaluation.corruptions.levels import Known, known_values, levels_of, limits_between
from kinview.evaluation.corruptions.ordering import beginning
from kinview.evaluation.corruptions.scale import Scale
from kinview.evaluation.corruptions.shifts import Shift

__all__ = ["Clipping"]

_ROUNDING = 1e-12  # of a level: a limit is a value that is not beyond it


@corruptions.register("clipping", modality="any", reference="saturation of an amplifier")
@dataclasses.dataclass(frozen=True)
class Clipping(Shift):
    r"""Cut high and low values off at limits of their column, as a saturated amplifier does.

    The limits of column j are the quantiles :math:`F_j^{-1}(q)` and :math:`F_j^{-1}(1 - q)` of its values in the
    training part; what is beyond becomes the limit. The level q is the same for all columns, and the one at which
    exactly :math:`\mathrm{round}(\mathrm{rate} \cdot N)` of the N observed values of the data set are beyond.

    Parameters
    ----------
    rate : float
        Severity: fraction of the observed values that are clipped. 0 is the identity.

    Raises
    ------
    ValueError
        If the rate is out of range.

    Notes
    -----
    The values are those of columns of numbers that are not constant in the training part; the others stay as they are,
    and gaps stay gaps. Values that are equal to a limit count as clipped, in random order, until the rate is reached.
    The realised severity is the fraction of the observed values that were clipped. :class:`DetectionLimit` cuts off on
    one side, and can make what is beyond missing.

    Examples
    --------
    >>> X = np.arange(10.0)[None, None]
    >>> Clipping(rate=0.4).apply(X, seed=0)[0].ravel().astype(int).tolist()
    [2, 2, 2, 3, 4, 5, 6, 7, 7, 7]
    """

    needs: ClassVar[frozenset[str]] = frozenset({"values"})

    def fit(self, cells: Cells, generator: np.random.Generator) -> tuple[Scale, Known]:
        """Scale of the columns, and the values of each in order."""
        return Scale.of(cells), known_values(cells)

    def scale(self, cells: Cells) -> Scale:
        """The scale of the training part."""
        found: Scale = cells.learned[0]
        return found

    def shifted(self, cells: Cells, generator: np.random.Generator) -> Float[np.ndarray, "rows columns"]:
        """Values within the limits."""
        values: Any = self.change(cells, generator).values
        return np.asarray(values)

    def change(self, cells: Cells, generator: np.random.Generator) -> Change:
        """Which values are beyond the limits, and the limits."""
        assert cells.values is not None
        free, known = self.may_change(cells), cells.learned[1]
        level = levels_of(cells, known)
        places = generator.permutation(np.flatnonzero(free))
        # the level first; beyond the range of the training part, where it is 0 or 1, the distance to the median
        extreme = np.abs(2 * level - 1)
        keys = np.stack([np.abs(self.scale(cells).standardised(cells.values)), extreme]).reshape(2, -1)[:, places]
        clipped = beginning(places[np.lexsort(-keys)], self.rate, free.shape)
        if not clipped.any():
            return Change(clipped, cells.values)
        last = float(extreme[clipped].min())
        high = clipped & (level > 0.5)
        kept = free & ~clipped
        low = limits_between(cells.values, clipped & ~high, kept, known, (1 - last + _ROUNDING) / 2, "lower")
        top = limits_between(cells.values, high, kept, known, (1 + last - _ROUNDING) / 2, "upper")
        return Change(clipped, np.where(clipped, np.where(high, top, low), cells.values))

    def realised(self, cells: Cells, change: Change) -> float:
        """Fraction of the observed values that were clipped."""
        return Corruption.realised(self, cells, change)
