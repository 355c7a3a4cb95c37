"""Detection limits: what is too low or too high to be measured."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Bool, Float

from kinview.evaluation.corruptions import corruptions
from kinview.evaluation.corruptions.base import Cells, Corruption
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

    What is beyond the limit becomes missing; that it is reported as the limit, as some laboratories do, is another
    corruption, which would change values in place of removing them.

    References
    ----------
    .. [1] Helsel, D. R. (2012). Statistics for censored environmental data using Minitab and R. Wiley.

    Examples
    --------
    >>> X = np.stack([np.arange(10.0), np.arange(10.0) ** 3])[None]  # two channels
    >>> _, removed = DetectionLimit(rate=0.3).apply(X, seed=0)
    >>> removed.astype(int).tolist()
    [[[1, 1, 1, 0, 0, 0, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0, 0, 0, 0, 0]]]
    """

    needs: ClassVar[frozenset[str]] = frozenset({"values"})

    limit: Literal["lower", "upper"] = "lower"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.limit not in ("lower", "upper"):
            raise ValueError(f"limit={self.limit!r} is unknown; use 'lower' or 'upper'")

    def fit(
        self, cells: Cells, generator: np.random.Generator
    ) -> tuple[Scale, tuple[Float[np.ndarray, " known"], ...]]:
        """Scale of the columns, and the values of each in order; none of a column without an order."""
        assert cells.values is not None and cells.kinds is not None
        known = tuple(
            np.sort(cells.values[cells.observed[:, column], column]) if kind == "numeric" else np.empty(0)
            for column, kind in enumerate(cells.kinds)
        )
        return Scale.of(cells), known

    def remove(self, cells: Cells, generator: np.random.Generator) -> Bool[np.ndarray, "rows columns"]:
        """Which observed cells go."""
        assert cells.values is not None
        scale, known = cells.learned
        level = np.empty_like(cells.values)
        for column, values in enumerate(known):
            level[:, column] = _level(cells.values[:, column], values)
        places = generator.permutation(np.flatnonzero(cells.observed))
        # the level first; beyond the range of the training part, where it is 0 or 1, the distance to the median
        keys = np.stack([scale.standardised(cells.values).ravel()[places], level.ravel()[places]])
        order = places[np.lexsort(keys if self.limit == "lower" else -keys)]
        return beginning(order, self.rate, cells.observed.shape)


def _level(values: Float[np.ndarray, " rows"], known: Float[np.ndarray, " known"]) -> Float[np.ndarray, " rows"]:
    """Place of each value among the known ones, from 0 to 1."""
    if not len(known):
        return np.full(len(values), 0.5)
    ranks = np.searchsorted(known, values, "left") + np.searchsorted(known, values, "right")
    return ranks / (2 * len(known))
