"""How large and how regular a difference between methods is: wins, Cliff's delta, and SCARF's matrix of wins."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from kinview.evaluation.comparison.ranks import DECIMALS
from kinview.evaluation.comparison.signed_rank import observed
from kinview.evaluation.metrics.table import lower_is_better
from kinview.evaluation.statistics import CONDITION, check_cells

__all__ = ["WinTieLoss", "cliffs_delta", "win_matrix", "win_tie_loss"]


class WinTieLoss(NamedTuple):
    """On how many data sets a method is above, equal and below another."""

    wins: int
    ties: int
    losses: int


def win_tie_loss(difference: ArrayLike) -> WinTieLoss:
    """Count the data sets on which a method is above, equal and below another.

    Parameters
    ----------
    difference : array-like of shape (n,)
        One difference a data set, seeds and folds averaged before; zero to 12 decimals is a tie.

    Returns
    -------
    WinTieLoss

    Raises
    ------
    ValueError
        If there is no difference, or one is missing or infinite.

    Examples
    --------
    >>> win_tie_loss([0.02, 0.0, -0.01, 0.03])
    WinTieLoss(wins=2, ties=1, losses=1)
    """
    sign = np.sign(observed(difference).round(DECIMALS))
    return WinTieLoss(*(int((sign == one).sum()) for one in (1, 0, -1)))


def cliffs_delta(method: ArrayLike, other: ArrayLike) -> float:
    r"""Cliff's delta: how much more often a value of one method exceeds a value of the other than the reverse.

    .. math:: \delta = \frac{\#\{(i, j): x_i > y_j\} - \#\{(i, j): x_i < y_j\}}{n\, m}

    Parameters
    ----------
    method, other : array-like of shape (n,) and (m,)
        One score a data set, or one a seed of one data set.

    Returns
    -------
    float
        From -1 (every value is below) to 1 (every value is above).

    Raises
    ------
    ValueError
        If there is no value on either side, or one is missing or infinite.

    Notes
    -----
    Values are not paired. Over data sets of different difficulty the delta is therefore small although one method wins
    on each of them: read it beside wins and losses. Values that agree to 12 decimals are ties.

    References
    ----------
    .. [1] Cliff, N. (1993). Dominance statistics: ordinal analyses to answer ordinal questions. Psychological Bulletin
       114, 494-509.

    Examples
    --------
    >>> round(cliffs_delta([0.9, 0.8, 0.7], [0.75, 0.6]), 3)
    0.667
    """
    x, y = (observed(values).round(DECIMALS) for values in (method, other))
    return float(np.sign(x[:, None] - y[None, :]).mean())


def win_matrix(frame: pd.DataFrame, *, metric: str = "accuracy", level: float = 0.05) -> pd.DataFrame:
    r"""How often each method beats each other where they differ: the matrix of wins of the SCARF paper.

    On each data set two methods are compared by Welch's t test over seeds. With the data sets that the row's method
    wins or loses at the given level,

    .. math:: W_{ij} = \frac{\text{wins}}{\text{wins} + \text{losses}}

    and data sets on which they do not differ are left out.

    Parameters
    ----------
    frame : DataFrame
        Frame of the results store, one row per cell; rows of status ``"failed"`` are left out.
    metric : str
        Column to compare.
    level : float
        Level of the test, between 0 and 1. Default 0.05, as the paper.

    Returns
    -------
    DataFrame
        A row a pair ``method`` and ``other``, in both orders: ``wins``, ``ties`` (no significant difference),
        ``losses``, over data sets, probes and conditions, and ``ratio``, NaN where neither ever wins.

    Raises
    ------
    ValueError
        If a column is absent, a cell occurs twice, or the level is not between 0 and 1.

    Notes
    -----
    It describes. Here, as nowhere else, the seeds of a data set are the cases of the test: many seeds make small
    differences count, and repeated seeds count twice. Folds are averaged within a seed. A pair in which one method has
    no spread (raw features with one split) is tested as it is; two without spread are not told apart, however far they
    are from each other: a seed that changes nothing is no case, and seeds that agree by chance tell no spread.

    References
    ----------
    .. [1] Bahri, D., Jiang, H., Tay, Y., Metzler, D. (2022). SCARF: self-supervised contrastive learning using random
       feature corruption. ICLR.

    Examples
    --------
    >>> cells = pd.DataFrame([
    ...     {"dataset": d, "probe": "svm", "seed": s, "method": m, "accuracy": 0.8 + gain + 0.001 * s}
    ...     for d, ours in [("a", 0.1), ("b", 0.1), ("c", -0.1), ("d", 0.0)] for s in range(5)
    ...     for m, gain in [("raw", 0.0), ("ours", ours)]
    ... ])
    >>> win_matrix(cells).round(3).values.tolist()
    [['ours', 'raw', 2, 1, 1, 0.667], ['raw', 'ours', 1, 1, 2, 0.333]]
    """
    from scipy.stats import ttest_ind_from_stats

    if not 0 < level < 1:
        raise ValueError(f"level={level!r} is not between 0 and 1; use for example 0.05")
    cells = check_cells(frame, metric).dropna(subset=[metric])
    place = ["dataset", "probe", "split", *CONDITION]
    seeds = cells.astype({metric: np.float64}).groupby([*place, "method", "seed"], dropna=False)[metric].mean()
    trials = seeds.groupby([*place, "method"], dropna=False).agg(["mean", "std", "count"]).round(DECIMALS).reset_index()
    pairs = trials.merge(trials, on=place, suffixes=("", "_other"))
    pairs = pairs[(pairs["method"] != pairs["method_other"]) & (pairs[["count", "count_other"]].min(axis=1) > 1)]
    sides = [pairs[f"{name}{side}"].to_numpy() for side in ("", "_other") for name in ("mean", "std", "count")]
    flat = (pairs["std"] == 0) & (pairs["std_other"] == 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = ttest_ind_from_stats(*sides, equal_var=False).pvalue
    differs = ~flat & (p < level)
    turn = -1.0 if lower_is_better(metric) else 1.0
    sign = turn * np.sign(pairs["mean"] - pairs["mean_other"]) * differs
    counted = pairs.assign(wins=sign > 0, ties=sign == 0, losses=sign < 0)
    counts = counted.groupby(["method", "method_other"])[["wins", "ties", "losses"]].sum().astype(int).reset_index()
    decided = (counts["wins"] + counts["losses"]).where(lambda total: total > 0)
    return counts.assign(ratio=counts["wins"] / decided).rename(columns={"method_other": "other"})
