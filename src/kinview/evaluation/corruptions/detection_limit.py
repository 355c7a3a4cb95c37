"""Detection limits: what is too low or too high to be measured."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Bool, Float

from kinview.evaluation.corruptions import corruptions
from kinview.evaluation.corruptions.base import Cells, Corruption
from kinview.evaluation.corruptions.levels import Known, known_values, levels_of, limits_between
from kinview.evaluation.corruptions.ordering import beginning
from kinview.evaluation.corruptions.scale import Scale

__all__ = ["DetectionLimit"]


@corruptions.register("detection_limit", modality="any", reference="Helsel 2012")
@dataclasses.dataclass(frozen=True)
class DetectionLimit(Corruption):
    r"""Remove values beyond a limit of their column, as an assay that cannot measure them: not at random.

    Column :math:`j` has its limit at the quantile :math:`F_j^{-1}(q)` of its values in the training part: below a lower
    limit, or above an upper one, nothing is measured. The level :math:`q` is the same for all columns, and the one at
    which exactly :math:`\mathrm{round}(\mathrm{rate} \cdot N)` of the :math:`N` observed values go: in the training
    part every column loses about the same fraction, in a test part more where its values have shifted beyond the limit.

    Parameters
    ----------
    rate : float
        Fraction of the observed values to remove.
    limit : {"lower", "upper"}
        Whether values below or above the limit go. Default: below, the limit of quantification of an assay.
    replace : {"missing", "limit"}
        What stands where a value was: nothing, or the limit of its column, as laboratories report it. Default: nothing.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    Notes
    -----
    Which cells go is decided by the value alone. Values that are equal to the limit go in random order until the rate
    is reached: where many are equal (counts, rounded values) a real instrument would take all of them or none. Values
    outside the range of the training part go in the order of their distance to the median.

    The level of a value is the middle of the steps of its column's distribution function,
    :math:`(P(X < x) + P(X \le x)) / 2`. A column without an order (text, categories), or one never observed in the
    training part, has no limit: its cells count as a value at the median.

    With ``replace="limit"`` no gaps are made: the values beyond the limit are the limit, and the rate is the fraction
    of them. In columns that hold no numbers, and where nothing was observed in the training part, they are missing.

    References
    ----------
    .. [1] Helsel, D. R. (2012). Statistics for censored environmental data using Minitab and R. Wiley.

    Examples
    --------
    >>> X = np.stack([np.arange(10.0), np.arange(10.0) ** 3])[None]  # two channels
    >>> _, removed = DetectionLimit(rate=0.3).apply(X, seed=0)
    >>> removed.astype(int).tolist()
    [[[1, 1, 1, 0, 0, 0, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0, 0, 0, 0, 0]]]
    >>> DetectionLimit(rate=0.3, replace="limit").apply(X, seed=0)[0][0].astype(int).tolist()
    [[2, 2, 2, 3, 4, 5, 6, 7, 8, 9], [8, 8, 8, 27, 64, 125, 216, 343, 512, 729]]
    """

    needs: ClassVar[frozenset[str]] = frozenset({"values"})

    limit: Literal["lower", "upper"] = "lower"
    replace: Literal["missing", "limit"] = "missing"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.limit not in ("lower", "upper"):
            raise ValueError(f"limit={self.limit!r} is unknown; use 'lower' or 'upper'")
        if self.replace not in ("missing", "limit"):
            raise ValueError(f"replace={self.replace!r} is unknown; use 'missing' or 'limit'")

    def fit(self, cells: Cells, generator: np.random.Generator) -> tuple[Scale, Known]:
        """Scale of the columns, and the values of each in order; none of a column without an order."""
        return Scale.of(cells), known_values(cells)

    def remove(self, cells: Cells, generator: np.random.Generator) -> Bool[np.ndarray, "rows columns"]:
        """Which observed cells go."""
        assert cells.values is not None
        scale, level = cells.learned[0], levels_of(cells, cells.learned[1])
        places = generator.permutation(np.flatnonzero(cells.observed))
        # the level first; beyond the range of the training part, where it is 0 or 1, the distance to the median
        keys = np.stack([scale.standardised(cells.values).ravel()[places], level.ravel()[places]])
        order = places[np.lexsort(keys if self.limit == "lower" else -keys)]
        return beginning(order, self.rate, cells.observed.shape)

    def replacement(
        self, cells: Cells, removed: Bool[np.ndarray, "rows columns"]
    ) -> Float[np.ndarray, "rows columns"] | None:
        """The limit of each column, with ``replace="limit"``."""
        if self.replace == "missing" or not removed.any():
            return None
        assert cells.values is not None
        known = cells.learned[1]
        gone = levels_of(cells, known)[removed]
        last = gone.max() if self.limit == "lower" else gone.min()
        limits = limits_between(cells.values, removed, cells.observed & ~removed, known, last, self.limit)
        return np.broadcast_to(limits, removed.shape)
