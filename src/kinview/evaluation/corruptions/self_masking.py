"""Self-masking: the value alone decides, without chance."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Bool

from kinview.evaluation.corruptions import corruptions
from kinview.evaluation.corruptions.base import Cells, Corruption
from kinview.evaluation.corruptions.ordering import beginning, by_score
from kinview.evaluation.corruptions.scale import Scale

__all__ = ["SelfMasking"]

_SCORES = {"high": np.positive, "low": np.negative, "extreme": np.abs}


@corruptions.register("self_masking", modality="any", reference="Ipsen et al. 2021; PyGrinder's mnar_x")
@dataclasses.dataclass(frozen=True)
class SelfMasking(Corruption):
    r"""Remove the highest, lowest or most extreme values, without chance: missing not at random.

    Of column :math:`j` the values above :math:`m_j + c\, s_j` go (``values="high"``), with the median :math:`m_j` and
    standard deviation :math:`s_j` of the column in the training part; with ``"low"`` those below
    :math:`m_j - c\, s_j`, with ``"extreme"`` those farther than :math:`c\, s_j` from the median. The offset :math:`c`,
    one for all columns, is the one at which exactly :math:`\mathrm{round}(\mathrm{rate} \cdot N)` of the :math:`N`
    observed values go. It is :class:`MNARHigh`, :class:`MNARLow` or :class:`MNARExtreme` with infinite steepness.

    Parameters
    ----------
    rate : float
        Fraction of the observed values to remove.
    values : {"high", "low", "extreme"}
        Which values go. Default: the high ones, as in [1]_ and PyGrinder.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    Notes
    -----
    Equal values at the threshold go in random order. A cell of a column without a scale (text, categories, a column
    that is constant in the training part) counts as a value at the median: it stays until the threshold is
    there.

    :class:`DetectionLimit` has its thresholds at the same quantile of each column, which all lose the same fraction;
    here they are at the same number of standard deviations, and columns of other shapes lose other fractions.

    PyGrinder's ``mnar_x`` takes mean and standard deviation of each series, the test series' own too, and a given
    offset (0), so that the rate follows from the data; a missing value in its input removes the whole channel [2]_.

    References
    ----------
    .. [1] Ipsen, N. B., Mattei, P.-A., Frellsen, J. (2021). not-MIWAE: deep generative modelling with missing not at
       random data. ICLR.
    .. [2] Du, W. et al. PyGrinder. https://github.com/WenjieDu/PyGrinder

    Examples
    --------
    >>> X = np.arange(10.0).reshape(1, 1, 10)
    >>> for values in ("high", "low", "extreme"):
    ...     _, removed = SelfMasking(rate=0.4, values=values).apply(X, seed=0)
    ...     print("".join(map(str, removed.astype(int).ravel())))
    0000001111
    1111000000
    1100000011
    """

    needs: ClassVar[frozenset[str]] = frozenset({"values"})

    values: Literal["high", "low", "extreme"] = "high"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.values not in _SCORES:
            raise ValueError(f"values={self.values!r} is unknown; use 'high', 'low' or 'extreme'")

    def fit(self, cells: Cells, generator: np.random.Generator) -> Scale:
        """Median and standard deviation of each column."""
        return Scale.of(cells)

    def remove(self, cells: Cells, generator: np.random.Generator) -> Bool[np.ndarray, "rows columns"]:
        """Which observed cells go."""
        places = np.flatnonzero(cells.observed)
        distance = cells.learned.standardised(cells.values).ravel()[places]
        order = by_score(places, _SCORES[self.values](distance), generator)
        return beginning(order, self.rate, cells.observed.shape)
