"""Missing at random: whether a value is missing depends on what stays observed."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float, Int64

from kinview.evaluation.corruptions import corruptions
from kinview.evaluation.corruptions.base import Cells, Corruption
from kinview.evaluation.corruptions.ordering import by_log_odds, first
from kinview.evaluation.corruptions.scale import Scale
from kinview.parameters import check_positive
from kinview.registry import suggestion

__all__ = ["MAR"]


@dataclasses.dataclass(frozen=True, eq=False)
class _Drivers:
    """What decides, learned from the training part: columns, their scale, and the score that they give each target."""

    columns: Int64[np.ndarray, " drivers"]
    targets: Int64[np.ndarray, " targets"]
    scale: Scale
    weights: Float[np.ndarray, "features targets"]
    centre: Float[np.ndarray, " targets"]
    codes: tuple[int, ...]  # number of categories of each driver, 0 for a numeric one


@corruptions.register("mar", modality="any", reference="Rubin 1976; Muzellec et al. 2020; PyGrinder's mar_logistic")
@dataclasses.dataclass(frozen=True)
class MAR(Corruption):
    r"""Remove values by a logistic model of other columns, which stay observed: missing at random.

    Some columns are drivers and lose nothing. A value of another column :math:`j` is missing with probability

    .. math:: P(\mathrm{missing} \mid d) = \sigma(\beta\, w_j^\top (d - \bar d) / \sigma_j + b),

    with the logistic function :math:`\sigma`, the drivers' standardised values :math:`d` in the same row or step, and
    weights :math:`w_j` from the standard normal distribution, drawn once for training and test part. The scores
    :math:`w_j^\top d` are centred and have standard deviation 1 in the training part (:math:`\sigma_j` divides them).
    The intercept :math:`b`, one for all columns, is the one at which exactly
    :math:`\mathrm{round}(\mathrm{rate} \cdot N)` of all :math:`N` observed values are missing, drivers counted.

    Parameters
    ----------
    rate : float
        Fraction of all observed values to remove. Where the drivers hold a fraction :math:`p` of them, at most
        :math:`1 - p` can go.
    drivers : float or sequence
        Fraction of the columns that are drivers, drawn at random, at least one and rounded down as in PyGrinder; or
        their names (numbers, from 0, in an array). Default 0.3: our choice.
    steepness : float
        Log-odds :math:`\beta` of being missing per standard deviation of the score. Default 1, PyGrinder's.

    Raises
    ------
    ValueError
        If a parameter is out of range, a driver is no column, no column is left beside the drivers, or more is to go
        than the other columns hold.

    Notes
    -----
    Given the drivers, whether a value is missing does not depend on the value itself; without them it does wherever the
    value goes with a driver. In series the value of a driver is the last one observed up to that step. A driver that
    was not observed (yet), and a category that is not in the training part, add nothing to the score, as a value at the
    median does. Each category of a driver has a weight of its own; cells of categorical columns go as any others.

    PyGrinder's ``mar_logistic`` [3]_ takes complete tables. Its rate is that of the columns that are no drivers,
    :math:`\mathrm{rate} / (1 - p)` here, and holds on average, with an intercept found by bisection for each column.

    References
    ----------
    .. [1] Rubin, D. B. (1976). Inference and missing data. Biometrika 63, 581-592.
    .. [2] Muzellec, B., Josse, J., Boyer, C., Cuturi, M. (2020). Missing data imputation using optimal transport. ICML.
    .. [3] Du, W. et al. PyGrinder. https://github.com/WenjieDu/PyGrinder

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(1000, 3))
    >>> _, removed = MAR(rate=0.2, drivers=[0]).apply(X, seed=0)
    >>> removed.sum(axis=0).tolist()
    [0, 303, 297]
    """

    needs: ClassVar[frozenset[str]] = frozenset({"samples", "values"})

    drivers: float | Sequence[Any] = 0.3
    steepness: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self.steepness, "steepness")
        if isinstance(self.drivers, list):
            object.__setattr__(self, "drivers", tuple(self.drivers))
        named = isinstance(self.drivers, tuple) and len(self.drivers) > 0
        fraction = isinstance(self.drivers, int | float) and not isinstance(self.drivers, bool)
        if not named and not (fraction and 0 < self.drivers < 1):  # type: ignore[operator]
            raise ValueError(
                f"drivers={self.drivers!r} names no drivers; give a fraction of the columns (between 0 and 1), or a "
                "list of their names (numbers, from 0, in an array)"
            )

    def why_not(self, X: Any, *, groups: Any = None, static: Any = None) -> str | None:
        """Why these samples have no drivers."""
        return "it removes values by other columns, and there is one column" if X.shape[1] < 2 else None

    def fit(self, cells: Cells, generator: np.random.Generator) -> _Drivers:
        """Which columns are drivers, their scale, and the weights that they have for each other column."""
        assert cells.values is not None and cells.kinds is not None
        columns = self._columns(cells, generator)
        targets = np.setdiff1d(np.arange(len(cells.kinds)), columns)
        if not len(targets):
            which = "the only column" if len(columns) == 1 else "every column"
            raise ValueError(
                f"mar removes values by other columns, and {which} is a driver; name fewer drivers, or take data with "
                "more columns"
            )
        highest = [np.nanmax(cells.values[:, one], initial=0) for one in columns]
        codes = tuple(int(high) if cells.kinds[one] == "categorical" else 0 for one, high in zip(columns, highest))
        weights = generator.normal(size=(sum(max(1, many) for many in codes), len(targets)))
        drivers = _Drivers(
            columns, targets, Scale.of(cells).of_columns(columns), weights, np.zeros(len(targets)), codes
        )
        scores = _scores(drivers, cells)
        if not len(scores):
            return drivers
        spread = scores.std(axis=0)
        spread[spread <= 1e-12 * np.abs(scores).max(axis=0)] = 1.0  # constant drivers decide nothing
        return dataclasses.replace(drivers, weights=weights / spread, centre=scores.mean(axis=0) / spread)

    def remove(self, cells: Cells, generator: np.random.Generator) -> Bool[np.ndarray, "rows columns"]:
        """Which observed cells go."""
        drivers: _Drivers = cells.learned
        rows, nth = np.nonzero(cells.observed[:, drivers.targets])  # of the cells that may go: row and number of target
        count = round(self.rate * int(cells.observed.sum()))
        if count > len(rows):
            raise ValueError(
                f"rate={self.rate} is {count} values, and the columns that are no drivers hold {len(rows)} "
                f"({len(rows) / cells.observed.sum():.0%} of all); give a lower rate or fewer drivers"
            )
        score = _scores(drivers, cells)[np.cumsum(_seen(cells))[rows] - 1, nth]
        places = rows * cells.observed.shape[1] + drivers.targets[nth]
        return first(by_log_odds(places, self.steepness * score, generator), count, cells.observed.shape)

    def _columns(self, cells: Cells, generator: np.random.Generator) -> Int64[np.ndarray, " drivers"]:
        names = list(cells.names or ())
        if isinstance(self.drivers, int | float):
            # PyGrinder rounds down too; the tolerance keeps 0.3 of 10 columns from being 2
            count = max(1, int(self.drivers * len(names) + 1e-9))
            return np.sort(generator.choice(len(names), min(count, len(names)), replace=False))
        for name in self.drivers:
            if name not in names:
                raise ValueError(f"the driver {name!r} is no column of the data{suggestion(name, map(str, names))}")
        return np.array([column for column, name in enumerate(names) if name in self.drivers], dtype=np.int64)


def _seen(cells: Cells) -> Bool[np.ndarray, " rows"]:
    """Rows in which something was observed: padding is none."""
    return np.asarray(cells.observed.any(axis=1))


def _scores(drivers: _Drivers, cells: Cells) -> Float[np.ndarray, "seen targets"]:
    """Score of each target in the rows in which something was observed."""
    values = _last_observed(cells, drivers.columns)[_seen(cells)]
    distance = drivers.scale.standardised(values)
    features = [
        values[:, [nth]] == np.arange(1, many + 1) if many else distance[:, [nth]]
        for nth, many in enumerate(drivers.codes)
    ]
    known = np.nan_to_num(np.concatenate(features, axis=1), nan=0.0, posinf=0.0, neginf=0.0)
    return np.asarray(known @ drivers.weights - drivers.centre)


def _last_observed(cells: Cells, columns: Int64[np.ndarray, " drivers"]) -> Float[np.ndarray, "rows drivers"]:
    """Values of some columns, each the last one observed in its series up to that step."""
    assert cells.values is not None and cells.sample is not None and cells.step is not None
    order = np.lexsort((cells.step, cells.sample))
    values, sample = cells.values[order][:, columns], cells.sample[order]
    latest = np.where(np.isnan(values), -1, np.arange(len(values))[:, None])  # (rows, drivers): place of the last one
    latest = np.maximum.accumulate(latest, axis=0)
    own = (latest >= 0) & (sample[latest] == sample[:, None])
    held = np.empty_like(values)
    held[order] = np.where(own, np.take_along_axis(values, latest, axis=0), np.nan)
    return held
