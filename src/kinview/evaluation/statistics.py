"""Means over seeds, confidence intervals, and paired differences between a method and a control.

All functions take the frame of the results store: one row per cell, with the columns ``dataset``, ``method``,
``probe``, ``seed``, the columns in :data:`CONDITION`, and one column per metric.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float
from numpy.typing import ArrayLike

from kinview.evaluation.metrics.table import is_unbounded, lower_is_better

__all__ = [
    "CONDITION",
    "FOLD",
    "check_cells",
    "check_confidence",
    "confidence_interval",
    "holm",
    "median_interval",
    "normalise_conditions",
    "paired_differences",
    "scoreboard",
    "summarize",
]

CONDITION = (
    "corruption", "severity", "severity_test", "corrupt", "pretrain_on", "label_noise", "label_noise_rate",
    "label_fraction",
)  # fmt: skip
"""The columns that together say under which condition a cell was run."""

FOLD = ("split", "fold")
"""The columns that say how the data set was cut, and which fold a cell is."""

_PAIR = ("dataset", "probe", "seed", *FOLD, *CONDITION)
_EQUAL = 1e-12  # spread of values that are the same but for their last bits
_NEUTRAL: dict[str, str | float] = {
    "corruption": "none",
    "severity": 0.0,
    "severity_test": 0.0,
    "corrupt": "none",
    "pretrain_on": "clean",
    "label_noise": "none",
    "label_noise_rate": 0.0,
    "label_fraction": 1.0,
}
_UNCUT: dict[str, str | int] = {"split": "official", "fold": 0}


def confidence_interval(values: ArrayLike, confidence: float = 0.95) -> tuple[float, float]:
    r"""Student-t confidence interval of a mean.

    .. math:: \bar x \pm t_{n-1,\,(1+c)/2}\; s / \sqrt n

    with the standard deviation :math:`s` taken with ``ddof=1``.

    Parameters
    ----------
    values : array-like, shape (n,)
        Observations, for example one score per seed. NaN is left out.
    confidence : float
        Coverage :math:`c`, between 0 and 1.

    Returns
    -------
    low, high : float
        NaN with fewer than two observations, and where all are equal to 12 decimals: one seed, and seeds that happen
        to agree, say nothing about the spread.

    Raises
    ------
    ValueError
        If ``confidence`` is not between 0 and 1.

    Examples
    --------
    >>> low, high = confidence_interval([0.90, 0.92, 0.94])
    >>> round(low, 4), round(high, 4)
    (0.8703, 0.9697)
    """
    observed = np.asarray(values, dtype=np.float64).ravel()
    observed = observed[~np.isnan(observed)]
    if observed.size < 2:
        check_confidence(confidence)
        return float("nan"), float("nan")
    half = float(_half_width(observed.std(ddof=1), observed.size, confidence))
    return float(observed.mean()) - half, float(observed.mean()) + half


def median_interval(values: ArrayLike, confidence: float = 0.95) -> tuple[float, float]:
    r"""Distribution-free confidence interval of a median.

    Of the ordered values :math:`x_{(1)} \le \dots \le x_{(n)}` it is :math:`[x_{(k)}, x_{(n+1-k)}]` with the largest
    :math:`k` for which

    .. math:: 2 \, \Pr(B \le k - 1) \le 1 - c, \qquad B \sim \mathrm{Binomial}(n, \tfrac12)

    so that single values, however far out, do not move it.

    Parameters
    ----------
    values : array-like, shape (n,)
        Observations. NaN is left out.
    confidence : float
        Coverage :math:`c` at least, between 0 and 1.

    Returns
    -------
    low, high : float
        NaN where no two of the values cover the median so surely, of 95 % with fewer than six, and where all values
        are equal to 12 decimals.

    Raises
    ------
    ValueError
        If ``confidence`` is not between 0 and 1.

    Examples
    --------
    >>> median_interval([1, 2, 3, 4, 5, 1000]), median_interval([1, 2, 3, 4, 5])
    ((1.0, 1000.0), (nan, nan))
    >>> median_interval([*range(1, 10), 1000])
    (2.0, 9.0)
    """
    from scipy.stats import binom

    check_confidence(confidence)
    observed = np.sort(np.asarray(values, dtype=np.float64).ravel())
    observed = observed[~np.isnan(observed)]
    if not len(observed) or observed[-1] - observed[0] <= _EQUAL:
        return float("nan"), float("nan")
    below = np.arange(len(observed) // 2)
    k = int((2 * binom.cdf(below, len(observed), 0.5) <= 1 - confidence).sum())
    return (float(observed[k - 1]), float(observed[-k])) if k else (float("nan"), float("nan"))


def summarize(
    frame: pd.DataFrame, by: Sequence[str], *, metric: str = "accuracy", confidence: float = 0.95
) -> pd.DataFrame:
    """Mean, standard deviation (``ddof=1``) and t interval of a metric, per group.

    Parameters
    ----------
    frame : DataFrame
        One row per cell.
    by : sequence of str
        Columns that name a group; what is not named (usually ``seed``) is what the mean runs over.
    metric : str
        Column to summarise. NaN is left out and not counted.
    confidence : float
        Coverage of the interval.

    Returns
    -------
    DataFrame
        The columns of ``by``, then ``n``, ``mean``, ``std``, ``low``, ``high``. ``std`` and the interval are NaN with
        fewer than two values, the interval also where all are equal to 12 decimals, the mean with none.

    Raises
    ------
    ValueError
        If a column is absent, or ``confidence`` is not between 0 and 1.

    Examples
    --------
    >>> cells = pd.DataFrame({"method": ["raw", "raw", "scarf"], "accuracy": [0.5, 0.7, 0.8]})
    >>> summarize(cells, ["method"])[["method", "n", "mean", "std"]].round(3)
      method  n  mean    std
    0    raw  2   0.6  0.141
    1  scarf  1   0.8    NaN
    """
    _check_columns(frame, [*by, metric])
    grouped = frame.astype({metric: np.float64}).groupby(list(by), sort=True, dropna=False)[metric]
    result = grouped.agg(n="count", mean="mean", std="std").reset_index()
    half = _half_width(result["std"].to_numpy(), result["n"].to_numpy(), confidence)
    return result.assign(low=result["mean"] - half, high=result["mean"] + half)


def normalise_conditions(frame: pd.DataFrame) -> pd.DataFrame:
    """Spell each condition in one way: a factor that is absent, missing or of rate zero is ``"none"`` and 0.

    ``severity_test`` is what the test part has: that of the training part where it says nothing, 0 where it is clean.
    A cell that does not say how its data set was cut is of the official split.

    Returns
    -------
    DataFrame
        A copy in which the :data:`CONDITION` columns hold no missing value, so that equal conditions compare equal.

    Examples
    --------
    >>> cells = pd.DataFrame({"corruption": [None, "mcar"], "severity": [None, 0.2], "corrupt": "both"})
    >>> normalise_conditions(cells)[["corruption", "severity", "corrupt", "label_fraction"]].values.tolist()
    [['none', 0.0, 'none', 1.0], ['mcar', 0.2, 'both', 1.0]]
    """
    result = frame.copy()
    for column, neutral in _NEUTRAL.items():
        if column not in result:
            result[column] = neutral
        elif isinstance(neutral, float):
            result[column] = pd.to_numeric(result[column]).astype(np.float64).fillna(neutral)
        else:
            result[column] = result[column].astype(object).where(result[column].notna(), neutral).map(str)
    for column, neutral in _UNCUT.items():
        result[column] = result[column].where(result[column].notna(), neutral) if column in result else neutral
    untouched = (result["severity"] == 0) | (result["corruption"] == "none")
    for column in ("corruption", "severity", "severity_test", "corrupt", "pretrain_on"):
        result[column] = result[column].mask(untouched, _NEUTRAL[column])
    same = (result["severity_test"] == 0) & (result["corrupt"] != "train")  # as the training part, where none is given
    result["severity_test"] = result["severity_test"].mask(same, result["severity"])
    true_labels = (result["label_noise_rate"] == 0) | (result["label_noise"] == "none")
    for column in ("label_noise", "label_noise_rate"):
        result[column] = result[column].mask(true_labels, _NEUTRAL[column])
    return result


def paired_differences(
    frame: pd.DataFrame,
    control: str,
    *,
    metric: str = "accuracy",
    by: Sequence[str] = ("dataset", "method", "probe", *CONDITION),
    confidence: float = 0.95,
) -> pd.DataFrame:
    r"""Difference of every other method to a control, paired by data set, probe, condition and seed.

    .. math:: d_i = m_i^{\text{method}} - m_i^{\text{control}}

    for each pair :math:`i` of cells that differ in the method alone; within a group :math:`\bar d` and its t interval
    are taken over the pairs. Folds of one seed are averaged first: they share training rows, so that their spread says
    too little. Of a metric without a bound (``"r2"``, ``"rmse"``, ``"mae"``) both averages are medians, and the
    interval is that of a median (:func:`median_interval`), which needs six pairs.

    Parameters
    ----------
    frame : DataFrame
        One row per cell; rows of status ``"failed"`` are left out.
    control : str
        Name in the column ``method`` of what to compare with.
    metric : str
        Column to compare; a pair with NaN on either side is left out.
    by : sequence of str
        Columns that name a group. By default everything but the seed, so that the pairs of a group are its seeds.
    confidence : float
        Coverage of the interval.

    Returns
    -------
    DataFrame
        The columns of ``by``, then ``n`` (pairs), ``difference``, ``std``, ``low``, ``high`` and ``verdict``:
        ``"better"`` or ``"worse"`` where the interval excludes zero, ``"higher"``, ``"lower"`` or ``"equal"`` where it
        does not (or where there is no interval: of one pair, or of pairs whose differences are all equal).
        ``"higher"`` is the side of ``"better"``: of an error (``"mae"``, ``"rmse"``) a difference below zero.

    Raises
    ------
    ValueError
        If the control was not run, a column is absent, or a cell occurs twice.

    Notes
    -----
    The interval covers what differs between seeds (initialisation, batches, masks, flipped labels). It does not cover
    the sampling of the test set, and it is not corrected for the number of comparisons.

    Examples
    --------
    >>> cells = pd.DataFrame({
    ...     "dataset": "gunpoint", "probe": "svm", "seed": [0, 1, 2] * 2,
    ...     "method": ["raw"] * 3 + ["ts2vec"] * 3, "accuracy": [0.90, 0.91, 0.92, 0.95, 0.97, 0.96],
    ... })
    >>> paired_differences(cells, "raw", by=["method"]).round(3)
       method  n  difference   std    low   high verdict
    0  ts2vec  3        0.05  0.01  0.025  0.075  better
    """
    cells, median = check_cells(frame, metric), is_unbounded(metric)
    key = list(_PAIR)
    reference = cells.loc[cells["method"] == control, [*key, metric]]
    if reference.empty:
        known = ", ".join(sorted(map(str, cells["method"].unique()))) or "none"
        raise ValueError(f"no result of the control {control!r} to compare with; methods with results: {known}")
    others = cells[cells["method"] != control]
    pairs = others.merge(reference.rename(columns={metric: "_control"}), on=key, how="inner")
    pairs["difference"] = pairs[metric].astype(np.float64) - pairs["_control"].astype(np.float64)
    pairs = pairs.dropna(subset=["difference"])
    if pairs["fold"].nunique() > 1:
        whole = list(dict.fromkeys([*by, "dataset", "method", "probe", "seed", "split", *CONDITION]))
        grouped = pairs.groupby([name for name in whole if name != "fold"], dropna=False)
        pairs = grouped[["difference"]].agg("median" if median else "mean").reset_index()
    result = summarize(pairs, by, metric="difference", confidence=confidence)
    if median:
        differences = [group.to_numpy() for _, group in pairs.groupby(list(by), sort=True, dropna=False)["difference"]]
        result["mean"] = [float(np.median(z)) for z in differences]
        result[["low", "high"]] = np.reshape([median_interval(z, confidence) for z in differences], (-1, 2))
    result = result.rename(columns={"mean": "difference"})
    turn = -1.0 if lower_is_better(metric) else 1.0
    sign = turn * np.sign(result["difference"].round(12))
    verdict = sign.map({1.0: "higher", 0.0: "equal", -1.0: "lower"})
    excludes = (result["low"] > 0) | (result["high"] < 0)
    verdict = verdict.mask((sign > 0) & excludes, "better").mask((sign < 0) & excludes, "worse")
    return result.assign(verdict=verdict)


def check_cells(frame: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The cells that have a result, conditions spelled in one way.

    Raises
    ------
    ValueError
        If a column is absent, or a cell occurs twice.
    """
    _check_columns(frame, ["dataset", "method", "probe", "seed", metric])
    cells = normalise_conditions(frame)
    if "status" in cells:
        cells = cells[cells["status"] != "failed"]
    twice = cells.duplicated([*_PAIR, "method"])
    if twice.any():
        row = cells[twice].iloc[0]
        raise ValueError(
            f"the cell {row['dataset']}, {row['method']}, {row['probe']}, seed {row['seed']} occurs more than once: "
            "pairs need one row per cell; keep the newest of each"
        )
    return cells


def scoreboard(differences: pd.DataFrame, *, confidence: float = 0.95) -> pd.DataFrame:
    """Count the verdicts of each method, and average its differences over data sets.

    Parameters
    ----------
    differences : DataFrame
        What :func:`paired_differences` returns when its groups name ``method`` and ``dataset``.
    confidence : float
        Coverage of the interval.

    Returns
    -------
    DataFrame
        One row per method: ``comparisons``, how many of them are ``better``, ``higher``, ``equal``, ``lower``,
        ``worse``, the number of ``datasets``, and the mean ``difference`` with its interval ``low``, ``high``. The
        mean is over data sets of the mean within a data set, because the comparisons within one are not independent.

    Examples
    --------
    >>> rows = pd.DataFrame({"method": "scarf", "dataset": ["iris", "iris", "wine"], "difference": [0.02, 0.04, -0.01],
    ...                      "verdict": ["better", "higher", "lower"]})
    >>> scoreboard(rows)[["method", "comparisons", "better", "worse", "datasets", "difference"]]
      method  comparisons  better  worse  datasets  difference
    0  scarf            3       1      0         2        0.01
    """
    _check_columns(differences, ["method", "dataset", "difference", "verdict"])
    verdicts = ["better", "higher", "equal", "lower", "worse"]
    counts = pd.crosstab(differences["method"], differences["verdict"]).reindex(columns=verdicts, fill_value=0)
    counts.insert(0, "comparisons", counts.sum(axis=1))
    per_dataset = differences.groupby(["method", "dataset"])["difference"].mean().reset_index()
    mean = summarize(per_dataset, ["method"], metric="difference", confidence=confidence).set_index("method")
    mean = mean.rename(columns={"n": "datasets", "mean": "difference"}).drop(columns="std")
    result = counts.join(mean).reset_index()
    result.columns.name = None
    return result


def holm(p: ArrayLike) -> Float[np.ndarray, " n"]:
    r"""Holm's step-down correction of p-values.

    With the p-values in ascending order, :math:`\tilde p_{(i)} = \max_{j \le i} \min(1, (n - j + 1)\, p_{(j)})`. NaN
    stays NaN and is not counted.

    Parameters
    ----------
    p : array-like of shape (n,)
        p-values.

    Returns
    -------
    ndarray of shape (n,)
        Corrected p-values, in the same order.

    References
    ----------
    .. [1] Holm, S. (1979). A simple sequentially rejective multiple test procedure. Scandinavian Journal of Statistics
       6, 65-70.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03, 0.005]).round(6).tolist()
    [0.03, 0.06, 0.06, 0.02]
    """
    values = np.asarray(p, dtype=np.float64)
    result = np.full(values.shape, np.nan)
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.argsort(values[known], kind="stable")]
    steps = np.minimum(1.0, (len(order) - np.arange(len(order))) * values[order])
    result[order] = np.maximum.accumulate(steps) if len(order) else steps
    return result


def _half_width(std: ArrayLike, n: ArrayLike, confidence: float) -> np.ndarray:
    from scipy.stats import t

    check_confidence(confidence)
    count = np.asarray(n, dtype=np.float64)
    freedom = np.where(count > 1, count - 1, np.nan)
    spread = np.asarray(std, dtype=np.float64)
    spread = np.where(spread > _EQUAL, spread, np.nan)
    half: np.ndarray = t.ppf((1 + confidence) / 2, freedom) * spread / np.sqrt(freedom + 1)
    return half


def check_confidence(confidence: float) -> None:
    """Refuse a coverage that is not between 0 and 1.

    Raises
    ------
    ValueError
        If it is not.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence!r} is not between 0 and 1; use for example 0.95")


def _check_columns(frame: pd.DataFrame, needed: Sequence[str]) -> None:
    absent = [column for column in needed if column not in frame.columns]
    if absent:
        raise ValueError(
            f"the results have no column {', '.join(map(repr, absent))}; they have {', '.join(map(str, frame))}"
        )
