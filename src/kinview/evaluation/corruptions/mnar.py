"""Missing not at random: whether a value is missing depends on the value itself."""

from __future__ import annotations

import abc
import dataclasses
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float

from kinview.evaluation.corruptions import corruptions
from kinview.evaluation.corruptions.base import Cells, Corruption
from kinview.evaluation.corruptions.ordering import beginning, by_log_odds
from kinview.evaluation.corruptions.scale import Scale
from kinview.parameters import check_positive

__all__ = ["MNARExtreme", "MNARHigh", "MNARLow"]


@dataclasses.dataclass(frozen=True)
class _NotAtRandom(Corruption):
    """Remove cells with log-odds that are linear in how high, low or extreme the value is."""

    needs: ClassVar[frozenset[str]] = frozenset({"values"})

    steepness: float = 2.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self.steepness, "steepness")

    def fit(self, cells: Cells, generator: np.random.Generator) -> Scale:
        """Median and standard deviation of each column."""
        return Scale.of(cells)

    def remove(self, cells: Cells, generator: np.random.Generator) -> Bool[np.ndarray, "rows columns"]:
        """Which observed cells go."""
        places = np.flatnonzero(cells.observed)
        distance = cells.learned.standardised(cells.values).ravel()[places]
        order = by_log_odds(places, self.steepness * self._score(distance), generator)
        return beginning(order, self.rate, cells.observed.shape)

    @staticmethod
    @abc.abstractmethod
    def _score(distance: Float[np.ndarray, " m"]) -> Float[np.ndarray, " m"]:
        """What the log-odds are proportional to, of the distance to the median in standard deviations."""


@corruptions.register("mnar_high", modality="any", reference="Rubin 1976; cf. PyGrinder's mnar_x")
@dataclasses.dataclass(frozen=True)
class MNARHigh(_NotAtRandom):
    r"""Remove high values more often than low ones: missing not at random.

    A value :math:`x` of column :math:`j` is missing with probability

    .. math:: P(\mathrm{missing} \mid x) = \sigma(\beta z + b), \qquad z = \frac{x - m_j}{s_j},

    with the logistic function :math:`\sigma`, the steepness :math:`\beta`, and the median :math:`m_j` and standard
    deviation :math:`s_j` of the column in the training part. The intercept :math:`b`, one for all columns, is the one
    at which exactly :math:`\mathrm{round}(\mathrm{rate} \cdot N)` of the :math:`N` observed values are missing.

    Parameters
    ----------
    rate : float
        Fraction of the observed values to remove.
    steepness : float
        Log-odds :math:`\beta` of being missing per standard deviation. Default 2: the odds of a value one standard
        deviation above the median are :math:`e^2 = 7.4` times those of the median. Our choice; there is no convention.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    Notes
    -----
    A test part whose values are higher than those of the training part has the same number of missing values, and they
    are the higher ones by the scale of the training part: a column that has shifted upwards loses more than others.

    A cell of a column that has no scale counts as a value at the median (:math:`z = 0`): text and categories, which
    have no order, and columns that are constant in the training part. Booleans are 0 and 1, dates are seconds.

    PyGrinder's ``mnar_x`` is deterministic (see :class:`SelfMasking`).

    References
    ----------
    .. [1] Rubin, D. B. (1976). Inference and missing data. Biometrika 63, 581-592.

    Examples
    --------
    >>> X = np.arange(1000.0).reshape(1, 1, 1000)
    >>> _, removed = MNARHigh(rate=0.3).apply(X, seed=0)
    >>> [int(part.sum()) for part in np.split(removed[0, 0], 4)]  # of the lowest to the highest quarter
    [6, 22, 85, 187]
    """

    @staticmethod
    def _score(distance: Float[np.ndarray, " m"]) -> Float[np.ndarray, " m"]:
        return distance


@corruptions.register("mnar_low", modality="any", reference="Rubin 1976; cf. PyGrinder's mnar_x")
@dataclasses.dataclass(frozen=True)
class MNARLow(_NotAtRandom):
    r"""Remove low values more often than high ones: missing not at random.

    As :class:`MNARHigh`, with :math:`P(\mathrm{missing} \mid x) = \sigma(-\beta z + b)`.

    Parameters
    ----------
    rate : float
        Fraction of the observed values to remove.
    steepness : float
        Log-odds :math:`\beta` of being missing per standard deviation below the median. Default 2: our choice.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    Examples
    --------
    >>> X = np.arange(1000.0).reshape(1, 1, 1000)
    >>> _, removed = MNARLow(rate=0.3).apply(X, seed=0)
    >>> [int(part.sum()) for part in np.split(removed[0, 0], 4)]
    [189, 86, 21, 4]
    """

    @staticmethod
    def _score(distance: Float[np.ndarray, " m"]) -> Float[np.ndarray, " m"]:
        return -distance


@corruptions.register("mnar_extreme", modality="any", reference="Rubin 1976")
@dataclasses.dataclass(frozen=True)
class MNARExtreme(_NotAtRandom):
    r"""Remove values far from the median more often than those near it: missing not at random.

    As :class:`MNARHigh`, with :math:`P(\mathrm{missing} \mid x) = \sigma(\beta |z| + b)`.

    Parameters
    ----------
    rate : float
        Fraction of the observed values to remove.
    steepness : float
        Log-odds :math:`\beta` of being missing per standard deviation of distance to the median. Default 2: our choice.

    Raises
    ------
    ValueError
        If a parameter is out of range.

    Examples
    --------
    >>> X = np.arange(1000.0).reshape(1, 1, 1000)
    >>> _, removed = MNARExtreme(rate=0.3).apply(X, seed=0)
    >>> [int(part.sum()) for part in np.split(removed[0, 0], 4)]
    [117, 37, 32, 114]
    """

    @staticmethod
    def _score(distance: Float[np.ndarray, " m"]) -> Float[np.ndarray, " m"]:
        return np.asarray(np.abs(distance))
