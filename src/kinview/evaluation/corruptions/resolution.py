"""Values on a few levels, as an instrument of coarser resolution gives them."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from kinview.evaluation.corruptions import corruptions
from kinview.evaluation.corruptions.base import Cells
from kinview.evaluation.corruptions.scale import Scale
from kinview.evaluation.corruptions.shifts import Shift

__all__ = ["Resolution"]

_MIDDLE = (0.01, 0.99)  # quantiles of the training part that make the range: one outlier does not decide


@dataclasses.dataclass(frozen=True, eq=False)
class _Learned:
    """Scale of the columns, and the range that steps are a fraction of."""

    scale: Scale
    ranges: Float[np.ndarray, " columns"]


@corruptions.register("resolution", modality="any", reference="uniform quantisation")
@dataclasses.dataclass(frozen=True)
class Resolution(Shift):
    r"""Put values on equal steps: each becomes the middle of the step that it is in.

    :math:`x' = m_j + w_j (\lfloor (x - m_j) / w_j \rfloor + \frac12)` with steps of :math:`w_j = \mathrm{rate} \cdot
    r_j`, from the median :math:`m_j` of column j in the training part; :math:`r_j` is the range there from its 1 % to
    its 99 % quantile.

    Parameters
    ----------
    rate : float
        Severity: the width of a step, as a fraction of that range; 0.1 leaves about 10 levels. 0 is the identity.

    Raises
    ------
    ValueError
        If the rate is out of range.

    Notes
    -----
    No value moves by more than half a step, and nothing is drawn. The levels of a severity are those of another one
    taken together where it is a whole multiple of it (0.1, 0.2, 0.4): what 0.1 does not tell apart, 0.2 does not.
    Unlike the augmentation ``quantize``, whose levels follow each series, one instrument measures all samples.

    Gaps stay gaps. Columns that hold no numbers, or whose middle 98 % in the training part are one value, stay as they
    are. The realised severity is the root mean square of the rounding errors, in standard deviations of the column.

    Examples
    --------
    >>> X = np.linspace(0.0, 100.0, 101)[None, None]
    >>> X_coarse, _ = Resolution(rate=0.25).apply(X, seed=0)
    >>> np.unique(X_coarse.round(2)).tolist()
    [-11.25, 13.25, 37.75, 62.25, 86.75, 111.25]
    """

    needs: ClassVar[frozenset[str]] = frozenset({"values"})

    def fit(self, cells: Cells, generator: np.random.Generator) -> _Learned:
        """Scale and range of each column."""
        assert cells.values is not None
        scale = Scale.of(cells)
        ranges = np.zeros(len(scale.spread))
        for column in np.flatnonzero(np.isfinite(scale.spread)):
            known = cells.values[cells.observed[:, column], column]
            low, high = np.quantile(known[np.isfinite(known)], _MIDDLE)
            ranges[column] = high - low
        return _Learned(scale, ranges)

    def scale(self, cells: Cells) -> Scale:
        """The scale of the training part."""
        found: Scale = cells.learned.scale
        return found

    def shifted(self, cells: Cells, generator: np.random.Generator) -> Float[np.ndarray, "rows columns"]:
        """Values on their steps."""
        assert cells.values is not None
        centre, width = self.scale(cells).centre, self.rate * cells.learned.ranges
        steps = np.where(width > 0, width, 1.0)
        coarse = centre + steps * (np.floor((cells.values - centre) / steps) + 0.5)
        return np.where(width > 0, coarse, cells.values)
