"""Ranks of methods over data sets: their averages, the Friedman test, and the methods that no test tells apart."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float
from numpy.typing import ArrayLike

__all__ = ["FriedmanTest", "average_ranks", "check_scores", "cliques", "friedman_test"]

DECIMALS = 12  # to which scores are compared: means of the same numbers in another order are ties


@dataclasses.dataclass(frozen=True)
class FriedmanTest:
    r"""Outcome of :func:`friedman_test`.

    Attributes
    ----------
    chi_square : float
        Friedman's statistic, corrected for ties.
    statistic : float
        Iman and Davenport's :math:`F`; infinite where all data sets rank the methods alike.
    p : float
        Probability of an :math:`F` as large or larger if all methods are alike.
    datasets, methods : int
        How many of each.
    """

    chi_square: float
    statistic: float
    p: float
    datasets: int
    methods: int


def average_ranks(scores: pd.DataFrame | ArrayLike, *, lower_is_better: bool = False) -> pd.Series:
    r"""Average rank of each method over data sets; 1 is the best, ties share the mean of their ranks.

    .. math:: R_j = \frac 1 N \sum_{i=1}^N r_{ij}

    Parameters
    ----------
    scores : DataFrame or array-like of shape (N, k)
        A row a data set, a column a method. Seeds and folds are averaged before. Scores that agree to 12 decimals are
        ties.
    lower_is_better : bool
        Whether the lowest score has rank 1, as an error's has. Default False.

    Returns
    -------
    Series
        By method, in the order of the columns.

    Raises
    ------
    ValueError
        If there are no two methods, a method stands twice, or a score is missing or infinite.

    Examples
    --------
    >>> average_ranks(pd.DataFrame({"raw": [0.7, 0.8], "ours": [0.9, 0.8]})).to_dict()
    {'raw': 1.75, 'ours': 1.25}
    """
    return check_scores(scores).rank(axis=1, ascending=lower_is_better).mean()


def friedman_test(scores: pd.DataFrame | ArrayLike) -> FriedmanTest:
    r"""Test that all methods are alike, by their ranks within each data set, with Iman and Davenport's correction.

    With the ranks :math:`r_{ij}` of :math:`k` methods on :math:`N` data sets and their averages :math:`R_j`,

    .. math:: \chi^2_F = \frac{12 N}{k (k + 1)\, c} \Bigl(\sum_j R_j^2 - \frac{k (k + 1)^2}{4}\Bigr), \qquad
              F = \frac{(N - 1)\, \chi^2_F}{N (k - 1) - \chi^2_F}

    where :math:`c = 1 - \sum (t^3 - t) / (N k (k^2 - 1))` over the ties of :math:`t` methods; :math:`F` has
    :math:`k - 1` and :math:`(k - 1)(N - 1)` degrees of freedom.

    Parameters
    ----------
    scores : DataFrame or array-like of shape (N, k)
        As for :func:`average_ranks`: at least two data sets and three methods.

    Returns
    -------
    FriedmanTest
        Both statistics and the p-value of :math:`F`. Where every data set ties all methods, p is 1; where all data
        sets rank the methods alike, it is 0.

    Raises
    ------
    ValueError
        If there are fewer than two data sets or three methods, or a score is missing or infinite.

    Notes
    -----
    :math:`\chi^2_F` is that of :func:`scipy.stats.friedmanchisquare`. Its own p-value is undesirably conservative with
    few data sets, hence the correction. Demšar prints :math:`\chi^2_F` without :math:`c`.

    References
    ----------
    .. [1] Iman, R. L., Davenport, J. M. (1980). Approximations of the critical region of the Friedman statistic.
       Communications in Statistics 9, 571-595.
    .. [2] Demšar, J. (2006). Statistical comparisons of classifiers over multiple data sets. JMLR 7, 1-30.

    Examples
    --------
    >>> found = friedman_test([[0.7, 0.8, 0.9], [0.6, 0.8, 0.9], [0.5, 0.6, 0.7], [0.9, 0.6, 0.8]])
    >>> round(found.chi_square, 3), round(found.statistic, 3), round(found.p, 3)
    (3.5, 2.333, 0.178)
    """
    from scipy.stats import f, friedmanchisquare

    table = check_scores(scores)
    n, k = table.shape
    if n < 2 or k < 3:
        raise ValueError(f"the Friedman test needs two data sets and three methods; got {n} and {k}")
    if (table.nunique(axis=1) == 1).all():
        return FriedmanTest(0.0, 0.0, 1.0, n, k)
    chi_square = float(friedmanchisquare(*table.to_numpy().T).statistic)
    left = n * (k - 1) - chi_square
    if left <= 1e-9 * n * k:
        return FriedmanTest(chi_square, float("inf"), 0.0, n, k)
    statistic = (n - 1) * chi_square / left
    return FriedmanTest(chi_square, statistic, float(f.sf(statistic, k - 1, (k - 1) * (n - 1))), n, k)


def cliques(ranks: pd.Series, alike: Sequence[tuple[str, str]]) -> tuple[tuple[str, ...], ...]:
    """Largest groups of methods in which no pair differs: what a bar of a critical-difference diagram joins.

    Parameters
    ----------
    ranks : Series
        Average rank by method.
    alike : sequence of (str, str)
        Pairs of methods, in any order, that a test does not tell apart.

    Returns
    -------
    tuple of tuple of str
        Each group of two methods and more, best rank first, that no further method can join. Two methods stand in a
        common group if and only if they are not told apart.

    Notes
    -----
    Tests of pairs are not nested in ranks: of three methods the first and the last may be alike, and the one between
    them differ from one of both. A group then skips it; a bar from rank to rank would not.

    Examples
    --------
    >>> ranks = pd.Series({"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0})
    >>> cliques(ranks, [("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")])
    (('a', 'b', 'c'), ('c', 'd'))
    """
    order = [str(name) for name in ranks.sort_values(kind="stable").index]
    partners: dict[str, set[str]] = {name: set() for name in order}
    for one, other in alike:
        partners[one].add(other)
        partners[other].add(one)
    found: list[set[str]] = []

    def grow(group: set[str], open_: set[str], closed: set[str]) -> None:
        """Bron and Kerbosch's recursion: methods in ``open_`` join ``group``, with those in ``closed`` it was seen."""
        if not open_ and not closed:
            found.append(group)
            return
        pivot = max(order, key=lambda name: len(open_ & partners[name]) if name in open_ | closed else -1)
        for name in [name for name in order if name in open_ - partners[pivot]]:
            grow(group | {name}, open_ & partners[name], closed & partners[name])
            open_, closed = open_ - {name}, closed | {name}

    grow(set(), set(order), set())
    sorted_groups = [tuple(name for name in order if name in group) for group in found if len(group) > 1]
    return tuple(sorted(sorted_groups, key=lambda group: [order.index(name) for name in group]))


def check_scores(scores: pd.DataFrame | ArrayLike) -> pd.DataFrame:
    """Scores as a frame of rounded float64, a row a data set and a column a method.

    Raises
    ------
    ValueError
        If there are no two methods, a method stands twice, or a score is missing or infinite.
    """
    table = scores if isinstance(scores, pd.DataFrame) else pd.DataFrame(np.asarray(scores))
    if table.ndim != 2 or table.shape[0] < 1 or table.shape[1] < 2:
        raise ValueError(f"scores must be a table of data sets x methods, two methods at least; got {table.shape}")
    if not table.columns.is_unique:
        twice = ", ".join(sorted({str(name) for name in table.columns[table.columns.duplicated()]}))
        raise ValueError(f"a method stands twice among the scores: {twice}")
    values: Float[np.ndarray, "datasets methods"] = table.to_numpy(dtype=np.float64)
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        raise ValueError(
            f"the score of {table.columns[column]} on {table.index[row]} is {values[row, column]}: every method needs "
            "a finite score on every data set; leave out data sets or methods"
        )
    return pd.DataFrame(values.round(DECIMALS), index=table.index, columns=table.columns)
