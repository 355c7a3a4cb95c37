"""Learned from the past, tested on what came later."""

from __future__ import annotations

import dataclasses
import itertools
import warnings
from typing import cast

import numpy as np
import pandas as pd
from jaxtyping import Float, Int64

from kinview.data.labels import encode_labels
from kinview.data.modality import SERIES
from kinview.datasets.dataset import Dataset
from kinview.datasets.dates import refuse_mixed_zones, utc_dates
from kinview.datasets.rows import Rows as FileRows
from kinview.datasets.samples import Samples
from kinview.evaluation.corruptions.cells import numbers_of
from kinview.evaluation.protocols import splits
from kinview.evaluation.protocols.base import Pool, Protocol, Rows, check_pool, static_column
from kinview.parameters import check_integer

__all__ = ["Temporal"]


@splits.register("temporal", modality="any", reference="Altman & Royston 2000; scikit-learn's TimeSeriesSplit")
@dataclasses.dataclass(frozen=True)
class Temporal(Protocol):
    """The later samples are tested by what was learned from the earlier ones: temporal validation.

    Samples in the order of their time are cut into :math:`K + 1` parts of about the same size, the first as large as
    ``test_fraction`` leaves it; fold :math:`k` learns from the first :math:`k` parts and is tested on the next one.
    Samples of one time are never parted: a part ends with all of them.

    Parameters
    ----------
    time : str, optional
        Static column of the time of each sample: numbers, or dates as ISO 8601 text (``2019-03-01``). Default: the
        first time stamp of each series, where series have stamps of their own.
    test_fraction : float
        Fraction of the samples in all test parts together, between 0 and 1. Default 0.3.
    folds : int
        Test parts :math:`K`. Default 1: one cut between past and future.
    pool : {"all", "train"}
        Which samples are cut, as for :class:`StratifiedKFold`.

    Raises
    ------
    ValueError
        If a parameter is out of range; if a data set has no such column, a sample without a value in it, values that
        are no times, dates with a zone beside dates without, or no time stamps; or if too few distinct times leave a
        part empty.

    Warns
    -----
    UserWarning
        If groups (patients) have samples before and after a cut: those after it are left out of the test part, so that
        no group is learned from and tested.

    References
    ----------
    .. [1] Altman, D. G., Royston, P. (2000). What do we mean by validating a prognostic model? Statistics in Medicine
       19, 453-473.

    Examples
    --------
    >>> years = pd.DataFrame({"year": [2021, 2019, 2020, 2019]})
    >>> data = Dataset(np.zeros((4, 1, 2)), [0, 1, 0, 1], np.zeros((4, 1, 2)), [1, 0, 1, 0], "demo",
    ...                static_train=years, static_test=years)
    >>> [(train.tolist(), test.tolist()) for train, test in Temporal("year", test_fraction=0.5).cut(data)]
    [([1, 3, 5, 7], [0, 2, 4, 6])]
    """

    time: str | None = None
    test_fraction: float = 0.3
    folds: int = 1
    pool: Pool = "all"

    def __post_init__(self) -> None:
        if not 0 < self.test_fraction < 1:
            raise ValueError(f"test_fraction={self.test_fraction} must lie between 0 and 1, both excluded")
        check_integer(self.folds, "folds", at_least=1)
        check_pool(self.pool)

    def cut(self, data: Dataset) -> list[Rows]:
        """Rows of each fold, the earliest test part first."""
        samples = data.pooled(self.pool)
        times = self._times(data, samples)
        n = len(times)
        distinct, first = np.unique(np.sort(times), return_index=True)
        # Each cut is moved to the nearest place at which the time changes.
        wanted = n * (1 - self.test_fraction * (1 - np.arange(self.folds) / self.folds))
        place = [int(np.abs(first - one).argmin()) for one in wanted]
        starts = [*distinct[place], np.inf]
        found: list[Rows] = []
        for begin, end in itertools.pairwise(starts):
            train, test = np.flatnonzero(times < begin), np.flatnonzero((times >= begin) & (times < end))
            if not len(train) or not len(test):
                raise ValueError(
                    f"the data set {data.name!r} has {len(distinct)} distinct times, too few for folds={self.folds} "
                    f"with test_fraction={self.test_fraction:g}: a part would be empty"
                )
            found.append((train, _without_known(data, samples, train, test)))
        return found

    def _times(self, data: Dataset, samples: Samples) -> Float[np.ndarray, " n"]:
        """Time of each sample as a number."""
        if self.time is not None:
            values = static_column(data, samples, self.time, "time")
            if values.dtype.kind in "iuf":
                return values.astype(np.float64)
            return numbers_of(_dates(pd.Series(values), f"time={self.time!r} of the data set {data.name!r}"))
        if samples.modality != SERIES or not isinstance(samples.X, pd.DataFrame):
            raise ValueError(
                f"the samples of the data set {data.name!r} have no time stamps of their own; name the static column "
                "of their time (time=)"
            )
        index = cast(pd.MultiIndex, samples.X.index)
        stamps, series = numbers_of(index.get_level_values(-1)), pd.factorize(index.droplevel(-1))[0]
        return np.asarray(pd.Series(stamps).groupby(series).min(), dtype=np.float64)


def _dates(values: pd.Series, what: str) -> pd.Series:
    """Text as dates of any year in UTC, as the readers of files have them."""
    refuse_mixed_zones(values, what, FileRows())
    dates = utc_dates(values)
    if dates.isna().any():
        odd = values[dates.isna()].iloc[0]
        raise ValueError(f"{what} holds {odd!r}: times are numbers, or dates as ISO 8601 (2019-03-01)")
    return dates


def _without_known(
    data: Dataset, samples: Samples, train: Int64[np.ndarray, " train"], test: Int64[np.ndarray, " test"]
) -> Int64[np.ndarray, " kept"]:
    """The test samples whose group is not in the training part."""
    if samples.groups is None:
        return test
    groups = encode_labels(samples.groups, name="groups")[0]
    known = np.isin(groups[test], groups[train])
    if known.all():
        raise ValueError(
            f"every group of the test part of the data set {data.name!r} is in its training part too: nothing is left "
            "to test"
        )
    if known.any():
        warnings.warn(
            f"the data set {data.name!r}, cut by time: {int(known.sum())} of {len(test)} test samples are left out, "
            "because their groups have earlier samples in the training part",
            UserWarning,
            stacklevel=3,
        )
    return test[~known]
