"""Resamples of patients within strata, as weights that whatever is compared shares."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float, Int64

from kinview.evaluation.statistics import check_confidence
from kinview.evaluation.validation import check_seed
from kinview.parameters import check_integer

__all__ = ["Bootstrap", "percentile_interval", "rarest_class"]

_CELLS = 2**22  # weights in memory at a time: 32 MB


@dataclasses.dataclass(frozen=True, eq=False)
class Bootstrap:
    r"""Stratified bootstrap of groups.

    Within each stratum as many groups are drawn, with replacement, as it has; a sample counts as often as its group was
    drawn. So the samples of a patient stay together, and every resample has as many patients of each outcome.

    Parameters
    ----------
    groups : ndarray of shape (n,)
        Group of each sample, as codes 0, 1, ..., each of which occurs.
    strata : ndarray of shape (number of groups,)
        Stratum of each group.
    n_resamples : int
        How many resamples. Default 2,000: the bounds of a 95 % interval then rest on 50 resamples each [1]_.
    seed : int or sequence of int
        Determines the resamples, together with sizes and order of groups and strata.

    Raises
    ------
    ValueError
        If ``n_resamples`` or ``seed`` is none.

    Notes
    -----
    A stratum of one group does not vary. With few groups the intervals are too narrow: look at their number.

    References
    ----------
    .. [1] Efron, B. & Tibshirani, R. J. (1993). An introduction to the bootstrap. Chapman & Hall, chapters 8 and 13.

    Examples
    --------
    >>> drawn = Bootstrap(np.array([0, 0, 1, 2]), np.array([0, 0, 1]), n_resamples=3, seed=0)
    >>> np.concatenate(list(drawn.blocks())).tolist()
    [[0.0, 0.0, 2.0, 1.0], [1.0, 1.0, 1.0, 1.0], [2.0, 2.0, 0.0, 1.0]]
    """

    groups: Int64[np.ndarray, " n"]
    strata: Int64[np.ndarray, " groups"]
    n_resamples: int = 2000
    seed: int | Sequence[int] = 0

    def __post_init__(self) -> None:
        check_integer(self.n_resamples, "n_resamples", at_least=1)
        check_seed(self.seed)

    def blocks(self) -> Iterator[Float[np.ndarray, "draws n"]]:
        """Weights of the samples in all resamples, some resamples at a time; how many does not change them."""
        size = max(1, _CELLS // len(self.groups))
        seed = check_seed(self.seed)
        members = [np.flatnonzero(self.strata == stratum) for stratum in np.unique(self.strata)]
        generators = [np.random.default_rng([*seed, place]) for place in range(len(members))]
        for start in range(0, self.n_resamples, size):
            draws = min(size, self.n_resamples - start)
            counts = np.empty((draws, len(self.strata)))
            for generator, groups in zip(generators, members, strict=True):
                counts[:, groups] = _counts(generator, draws, len(groups))
            yield counts[:, self.groups]


def rarest_class(y: Int64[np.ndarray, " n"], groups: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " groups"]:
    """The rarest of the classes of each group: with two, whether a patient ever had the rarer one.

    Examples
    --------
    >>> rarest_class(np.array([0, 0, 0, 1, 0]), np.array([0, 0, 1, 1, 2])).tolist()
    [0, 1, 0]
    """
    count = np.bincount(y)
    rank = np.empty(len(count), dtype=np.int64)
    rank[np.lexsort((np.arange(len(count)), count))] = np.arange(len(count))
    lowest = np.full(groups.max() + 1, len(count), dtype=np.int64)
    np.minimum.at(lowest, groups, rank[y])
    return np.argsort(rank)[lowest]


def percentile_interval(
    draws: Float[np.ndarray, "*shape draws"], confidence: float = 0.95
) -> tuple[Float[np.ndarray, "*shape"], Float[np.ndarray, "*shape"]]:
    """Quantiles (1 - c) / 2 and (1 + c) / 2 of the resamples in which a metric is defined; NaN where it never is.

    Raises
    ------
    ValueError
        If ``confidence`` is not between 0 and 1.
    """
    check_confidence(confidence)
    defined = ~np.isnan(draws)
    filled = np.where(defined.any(axis=-1, keepdims=True), draws, 0.0)
    low, high = np.nanquantile(filled, [(1 - confidence) / 2, (1 + confidence) / 2], axis=-1)
    never = ~defined.any(axis=-1)
    return np.where(never, np.nan, low), np.where(never, np.nan, high)


def _counts(generator: np.random.Generator, draws: int, m: int) -> Float[np.ndarray, "draws m"]:
    """How often each of m groups is among m that are drawn."""
    drawn = generator.integers(m, size=(draws, m)) + m * np.arange(draws)[:, None]
    return np.bincount(drawn.ravel(), minlength=draws * m).reshape(draws, m).astype(np.float64)
