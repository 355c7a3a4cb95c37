"""Wilcoxon's signed-rank test of pairs of methods over data sets, and its Bayesian counterpart."""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float
from numpy.typing import ArrayLike

from kinview.evaluation.comparison.ranks import DECIMALS, check_scores
from kinview.evaluation.statistics import holm
from kinview.parameters import check_integer

__all__ = [
    "Probabilities",
    "bayesian_signed_rank",
    "check_rope",
    "observed",
    "sign_test",
    "signed_rank",
    "wilcoxon_holm",
]

_EXACT = 50  # data sets up to which the signed-rank test counts all assignments of signs, as scipy
_CHUNK = 2_000_000  # numbers drawn at once


class Probabilities(NamedTuple):
    """Posterior probabilities that a difference lies above, inside or below the region of practical equivalence."""

    better: float
    equivalent: float
    worse: float


def signed_rank(difference: ArrayLike) -> float:
    """Two-sided p-value of Wilcoxon's signed-rank test that paired differences are symmetric around zero.

    Parameters
    ----------
    difference : array-like of shape (n,)
        One difference a data set, seeds and folds averaged before. Differences that agree to 12 decimals are ties.

    Returns
    -------
    float
        1 where all differences are zero.

    Raises
    ------
    ValueError
        If there is no difference, or one is missing or infinite.

    Notes
    -----
    The ranks of zeros are split between both signs, as Demšar has it. Up to 50 data sets the p-value is exact, with
    ties and zeros too, over all assignments of signs to the ranks of what is not zero; :func:`scipy.stats.wilcoxon`,
    equal to it without ties, approximates it with ties from 14 on. Beyond 50 it is scipy's normal approximation.

    References
    ----------
    .. [1] Demšar, J. (2006). Statistical comparisons of classifiers over multiple data sets. JMLR 7, 1-30.

    Examples
    --------
    >>> signed_rank([0.01, 0.02, 0.03, 0.04, 0.05, 0.06])
    0.03125
    """
    from scipy.stats import rankdata, wilcoxon

    values = observed(difference).round(DECIMALS)
    if not values.any():
        return 1.0
    if len(values) > _EXACT:
        return float(wilcoxon(values, zero_method="zsplit", method="asymptotic").pvalue)
    doubled = (2 * rankdata(np.abs(values))).astype(np.int64)[values != 0]  # ranks of ties end in a half
    positive = int(doubled[values[values != 0] > 0].sum())
    ways = np.zeros(int(doubled.sum()) + 1)  # to reach each sum of positive ranks; below 2^53, so exact
    ways[0] = 1
    for rank in doubled:
        ways[rank:] += ways[:-rank].copy()
    tail = min(ways[: positive + 1].sum(), ways[positive:].sum())
    return float(min(1.0, 2 * tail / 2 ** len(doubled)))


def sign_test(difference: ArrayLike) -> float:
    r"""Two-sided p-value of the exact sign test that paired differences are as often above zero as below.

    .. math:: p = \min\bigl(1,\; 2 \Pr(B \le \min(w, l))\bigr), \qquad B \sim \mathrm{Binomial}(w + l, \tfrac12)

    of :math:`w` differences above and :math:`l` below zero. It asks nothing of their sizes, so that they may be in
    different units.

    Parameters
    ----------
    difference : array-like of shape (n,)
        One difference a data set, seeds and folds averaged before. Zeros, to 12 decimals, are left out.

    Returns
    -------
    float
        1 where all differences are zero.

    Raises
    ------
    ValueError
        If there is no difference, or one is missing or infinite.

    Examples
    --------
    >>> sign_test([0.01, 20.0, 3.0, 0.4, 5.0, 0.06]), sign_test([1.0, -2.0, 0.0])
    (0.03125, 1.0)
    """
    from scipy.stats import binomtest

    values = observed(difference).round(DECIMALS)
    above, below = int((values > 0).sum()), int((values < 0).sum())
    return float(binomtest(above, above + below).pvalue) if above + below else 1.0


def wilcoxon_holm(scores: pd.DataFrame | ArrayLike) -> pd.DataFrame:
    """Wilcoxon's signed-rank test of every pair of methods, corrected by Holm's step-down procedure.

    Parameters
    ----------
    scores : DataFrame or array-like of shape (N, k)
        A row a data set, a column a method, as for :func:`average_ranks`.

    Returns
    -------
    DataFrame
        A row a pair in the order of the columns: ``method``, ``other``, ``p`` and ``p_holm``, corrected for all
        :math:`k (k - 1) / 2` pairs.

    Raises
    ------
    ValueError
        As :func:`average_ranks`.

    Notes
    -----
    A pair is tested by its own two methods. Tests of average ranks (Nemenyi's) let the verdict on two methods depend on
    the others in the table, which is why they are not here [1]_.

    References
    ----------
    .. [1] Benavoli, A., Corani, G., Mangili, F. (2016). Should we really use post-hoc tests based on mean-ranks? JMLR
       17, 1-10.

    Examples
    --------
    >>> raw, sign = np.arange(8) / 10, (-1) ** np.arange(8)
    >>> scores = pd.DataFrame({"raw": raw, "ours": raw + 0.01 * np.arange(1, 9), "pca": raw + 0.02 * sign})
    >>> wilcoxon_holm(scores).round(3).values.tolist()
    [['raw', 'ours', 0.008, 0.023], ['raw', 'pca', 1.0, 1.0], ['ours', 'pca', 0.023, 0.047]]
    """
    table = check_scores(scores)
    pairs = list(combinations(table.columns, 2))
    p = [signed_rank(table[one] - table[other]) for one, other in pairs]
    return pd.DataFrame(pairs, columns=["method", "other"]).assign(p=p, p_holm=holm(p))


def bayesian_signed_rank(
    difference: ArrayLike,
    generator: np.random.Generator,
    *,
    rope: float = 0.01,
    prior_strength: float = 0.5,
    draws: int = 50_000,
) -> Probabilities:
    r"""Probabilities that a method is better, practically equal, or worse over data sets.

    The differences :math:`z_1 \dots z_n` and a pseudo-observation :math:`z_0 = 0` get weights
    :math:`w \sim \operatorname{Dir}(s, 1, \dots, 1)`, the posterior of a Dirichlet process with prior strength
    :math:`s`. Each draw of weights gives the masses

    .. math:: \theta_{+} = \sum_{i, j} w_i w_j\, [z_i + z_j > 2 r], \quad
              \theta_{0} = \sum_{i, j} w_i w_j\, [|z_i + z_j| \le 2 r], \quad
              \theta_{-} = \sum_{i, j} w_i w_j\, [z_i + z_j < -2 r],

    and the probability of each region is the fraction of draws in which its mass is the largest.

    Parameters
    ----------
    difference : array-like of shape (n,)
        One difference a data set, seeds and folds averaged before.
    generator : numpy.random.Generator
        Draws the weights.
    rope : float
        Half width :math:`r` of the region of practical equivalence, in units of the score. Default 0.01, a point of
        accuracy, as Benavoli et al. (2017).
    prior_strength : float
        :math:`s`, above 0: how many data sets the pseudo-observation counts for. Default 0.5, as in the code that
        accompanies Benavoli et al. (2017).
    draws : int
        Draws of weights, at least 1. Default 50,000: the standard error of a probability is below 0.0023.

    Returns
    -------
    Probabilities
        ``better``, ``equivalent``, ``worse``; they add up to 1. Masses that tie for the largest share the draw.

    Raises
    ------
    ValueError
        If there is no difference, one is missing or infinite, or a parameter is out of range.

    Notes
    -----
    Unlike a p-value these are statements about the methods: a difference that is not significant may be practically
    equal with probability 0.99, or simply unknown. They rest on the prior and on the width of the region: choose both
    before the results are seen.

    References
    ----------
    .. [1] Benavoli, A., Mangili, F., Corani, G., Zaffalon, M., Ruggeri, F. (2014). A Bayesian Wilcoxon signed-rank test
       based on the Dirichlet process. ICML.
    .. [2] Benavoli, A., Corani, G., Demšar, J., Zaffalon, M. (2017). Time for a change: a tutorial for comparing
       multiple classifiers through Bayesian analysis. JMLR 18, 1-36.

    Examples
    --------
    >>> found = bayesian_signed_rank([0.03, 0.02, 0.04, -0.005, 0.025, 0.03], np.random.default_rng(0))
    >>> [round(probability, 2) for probability in found]
    [0.96, 0.04, 0.0]
    """
    z = np.concatenate([[0.0], observed(difference)])
    check_rope(rope)
    if not 0 < prior_strength < np.inf:
        raise ValueError(f"prior_strength={prior_strength!r} is not a finite number above 0; use for example 0.5")
    check_integer(draws, "draws", at_least=1)
    sums = (z[:, None] + z[None, :]).round(DECIMALS)  # z of "twice the half width" is equal, whatever the last bit
    above, below = (sums > 2 * rope).astype(np.float64), (sums < -2 * rope).astype(np.float64)
    strengths = np.concatenate([[prior_strength], np.ones(len(z) - 1)])
    won = np.zeros(3)
    chunk = max(1, _CHUNK // len(z))
    for start in range(0, draws, chunk):
        w = generator.dirichlet(strengths, size=min(chunk, draws - start))  # (draws, n + 1)
        better, worse = ((w @ region * w).sum(axis=1) for region in (above, below))
        masses = np.stack([better, 1 - better - worse, worse], axis=1).round(DECIMALS)
        largest = masses == masses.max(axis=1, keepdims=True)
        won += (largest / largest.sum(axis=1, keepdims=True)).sum(axis=0)
    return Probabilities(*(won / draws).tolist())


def observed(difference: ArrayLike) -> Float[np.ndarray, " n"]:
    """Differences as float64.

    Raises
    ------
    ValueError
        If there is none, or one is missing or infinite.
    """
    values = np.asarray(difference, dtype=np.float64).ravel()
    if not values.size or not np.isfinite(values).all():
        raise ValueError(f"the differences must be finite numbers, one at least; got {difference!r}")
    return values


def check_rope(rope: float) -> None:
    """Refuse a half width of the region of practical equivalence that is negative or no number."""
    if not 0 <= rope < np.inf:
        raise ValueError(f"rope={rope!r} is not the half width of a region: give 0 or a positive number such as 0.01")
