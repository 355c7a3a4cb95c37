"""Differences between methods over data sets: averages over seeds and folds first, then intervals, tests and verdicts.

Data sets are what a claim about a method is drawn from; seeds and folds of one data set only make its value surer. So
each data set has one value, however many seeds it was run with, and the spread is the spread between data sets.

An average is a mean. Of a metric without a bound (R², RMSE, MAE) it is a median at each step, because one cell in which
a model went astray would decide a mean, however many others there are.

An error in the units of what is predicted (RMSE, MAE) is not averaged over data sets at all, because days and mmol/l
have no average: methods are counted as better or worse on each, and tested by the sign test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from kinview.evaluation.comparison.ranks import DECIMALS
from kinview.evaluation.comparison.signed_rank import Probabilities, bayesian_signed_rank, sign_test, signed_rank
from kinview.evaluation.metrics.table import has_units, is_unbounded, lower_is_better as is_lower_better
from kinview.evaluation.statistics import CONDITION, FOLD, check_cells, holm, median_interval, summarize

__all__ = [
    "LEAST_DATASETS",
    "against_controls",
    "averages_within_datasets",
    "difference_over_datasets",
    "judged",
    "paired_difference_over_datasets",
    "paired_within_datasets",
    "side",
    "verdict",
]

LEAST_DATASETS = 6
"""With fewer data sets nothing is tested: a signed-rank test of 5 pairs cannot reach p < 0.05."""

_LEVEL = 0.05


def paired_difference_over_datasets(
    frame: pd.DataFrame,
    reference: str | tuple[str, str],
    *,
    metric: str = "accuracy",
    by: Sequence[str] = ("method", "probe", *CONDITION),
    confidence: float = 0.95,
    rope: float = 0.01,
    generator: np.random.Generator | None = None,
) -> pd.DataFrame:
    r"""Difference of every method to a reference, paired within a data set, with its interval over data sets.

    With :math:`m_{dsf}` the value of a method on data set :math:`d` with seed :math:`s` and fold :math:`f`, and
    :math:`r_{dsf}` that of the reference under the same condition,

    .. math:: \delta_d = \operatorname{mean}_{f}\,\operatorname{mean}_{s}\,(m_{dsf} - r_{dsf}), \qquad
              \bar\delta \pm t_{n-1,\,(1+c)/2}\; s_\delta / \sqrt n

    over the :math:`n` data sets, and :math:`p` is that of Wilcoxon's signed-rank test of the :math:`\delta_d`. Of a
    metric without a bound (``"r2"``, ``"rmse"``, ``"mae"``) every mean is a median instead, and the interval the
    distribution-free one of the median (:func:`kinview.evaluation.statistics.median_interval`). Of an error in the
    units of what is predicted (``"rmse"``, ``"mae"``) several data sets have no average: it is NaN, and :math:`p` that
    of the sign test, which has no need of units.

    Parameters
    ----------
    frame : DataFrame
        Frame of the results store, one row per cell; rows of status ``"failed"`` are left out.
    reference : str or (str, str)
        A method, which each method is compared with under the same probe; or a method and a probe, which every method
        with every probe is compared with: ``("minirocket", "ridge")``.
    metric : str
        Column to compare.
    by : sequence of str
        Columns that name a comparison; what they leave out is averaged within a data set: seeds first, then folds, then
        probes and conditions.
    confidence : float
        Coverage :math:`c` of the interval.
    rope, generator
        As :func:`kinview.evaluation.bayesian_signed_rank`; without a generator there are no probabilities.

    Returns
    -------
    DataFrame
        The columns of ``by``; ``datasets``, how many :math:`n`; ``mean`` and ``reference``, the averages of both over
        these data sets; ``difference`` with ``std``, ``low``, ``high`` (NaN with one data set; of a median with fewer
        than 6); ``p``; ``wins``,
        ``ties``, ``losses``, the data sets on which the method is better, equal and worse; the probabilities
        ``better``, ``equivalent`` and ``worse`` where a generator was given; ``testable``, whether there are at least 6
        data sets: with fewer the interval stands, and p and the probabilities are NaN.

    Raises
    ------
    ValueError
        If the reference was not run, a column is absent, or a cell occurs twice.

    Notes
    -----
    Only pairs count: a cell without its counterpart (one that failed, a data set that the reference was not run on) is
    left out of both means. The interval takes the differences as normal, the test as symmetric; of few data sets look
    at each one (:func:`paired_within_datasets`). The difference of two medians is not the median of the differences,
    so that of a metric without a bound ``difference`` need not be ``mean`` minus ``reference``.

    Examples
    --------
    >>> cells = pd.DataFrame({
    ...     "dataset": ["a", "b", "c"] * 2, "probe": "svm", "seed": 0,
    ...     "method": ["raw"] * 3 + ["ts2vec"] * 3, "accuracy": [0.90, 0.80, 0.70, 0.91, 0.83, 0.72],
    ... })
    >>> found = paired_difference_over_datasets(cells, "raw")
    >>> found[["method", "datasets", "difference", "low", "high", "p", "wins", "losses", "testable"]].round(3)
       method  datasets  difference    low   high   p  wins  losses  testable
    0  ts2vec         3        0.02 -0.005  0.045 NaN     3       0     False
    """
    within = paired_within_datasets(frame, reference, metric=metric, by=by)
    return difference_over_datasets(
        within,
        by,
        confidence=confidence,
        means=("mean", "reference"),
        rope=rope,
        generator=generator,
        lower_is_better=is_lower_better(metric),
        median=is_unbounded(metric),
        units=has_units(metric),
    )


def paired_within_datasets(
    frame: pd.DataFrame,
    reference: str | tuple[str, str],
    *,
    metric: str = "accuracy",
    by: Sequence[str] = ("method", "probe", *CONDITION),
) -> pd.DataFrame:
    """Difference of every method to a reference on each data set, over the cells that both have.

    Parameters
    ----------
    frame, reference, metric, by
        As :func:`paired_difference_over_datasets`.

    Returns
    -------
    DataFrame
        The columns of ``by``, ``dataset``, ``mean`` and ``reference``, the averages of both, and that of
        their ``difference``: means, or medians of a metric without a bound.
    """
    cells = check_cells(frame, metric)
    method, probe = (reference, None) if isinstance(reference, str) else reference
    chosen = cells["method"] == method
    chosen &= True if probe is None else cells["probe"] == probe
    if not chosen.any():
        known = sorted({f"{m} / {p}" if probe else str(m) for m, p in cells[["method", "probe"]].to_numpy()})
        name = method if probe is None else f"{method} / {probe}"
        raise ValueError(
            f"no result of the reference {name!r} to compare with; there are: {', '.join(known) or 'none'}"
        )
    key = ["dataset", "seed", *FOLD, *CONDITION, *(["probe"] if probe is None else [])]
    counterpart = cells.loc[chosen, [*key, metric]].rename(columns={metric: "reference"})
    pairs = cells[~chosen].merge(counterpart, on=key, how="inner")
    pairs = pairs.assign(mean=pairs[metric].astype(np.float64), reference=pairs["reference"].astype(np.float64))
    pairs = pairs.dropna(subset=["mean", "reference"])
    pairs["difference"] = pairs["mean"] - pairs["reference"]
    return averages_within_datasets(pairs, by, ["mean", "reference", "difference"], median=is_unbounded(metric))


def averages_within_datasets(
    cells: pd.DataFrame, by: Sequence[str], values: Sequence[str], *, median: bool = False
) -> pd.DataFrame:
    """Averages of each data set and group: over seeds first, then over folds, then over probes and conditions.

    Parameters
    ----------
    cells : DataFrame
        One row a cell, conditions normalised.
    by : sequence of str
        Columns that name a group.
    values : sequence of str
        Columns to average.
    median : bool
        Whether each average is the median. Default False: the mean.

    Returns
    -------
    DataFrame
        The columns of ``by``, ``dataset`` and the values.
    """
    kept = list(dict.fromkeys([*by, "dataset"]))
    key = list(dict.fromkeys([*kept, "probe", *CONDITION, *FOLD]))
    average = "median" if median else "mean"
    over_seeds = cells.groupby(key, dropna=False)[list(values)].agg(average)
    over_folds = over_seeds.groupby([name for name in key if name not in FOLD], dropna=False).agg(average)
    return over_folds.groupby(kept, dropna=False).agg(average).reset_index()


def difference_over_datasets(
    within: pd.DataFrame,
    by: Sequence[str],
    *,
    confidence: float = 0.95,
    means: Sequence[str] = (),
    rope: float = 0.01,
    generator: np.random.Generator | None = None,
    lower_is_better: bool = False,
    median: bool = False,
    units: bool = False,
) -> pd.DataFrame:
    """Average the differences of data sets, with interval, test and wins, ties and losses.

    Parameters
    ----------
    within : DataFrame
        One row a group and data set, as :func:`paired_within_datasets`: the columns of ``by`` and ``means``,
        ``dataset`` and ``difference``.
    by, confidence, rope, generator
        As :func:`paired_difference_over_datasets`, whose result this has.
    means : sequence of str
        Further columns to average.
    lower_is_better : bool
        Whether a difference below zero is a win, as it is of an error.
    median : bool
        Whether the average is the median, with its distribution-free interval. Default False: the mean.
    units : bool
        Whether each data set has units of its own: then several have no average, no interval and no probabilities, and
        the test is the sign test. Default False.
    """
    names = list(by)
    found = summarize(within, names, metric="difference", confidence=confidence)
    found = found.rename(columns={"n": "datasets", "mean": "difference"})
    grouped = within.groupby(names, sort=True, dropna=False)
    for place, name in enumerate(means):
        found.insert(len(names) + 1 + place, name, grouped[name].agg("median" if median else "mean").to_numpy())
    differences = [group["difference"].to_numpy(dtype=np.float64) for _, group in grouped]
    if median:
        found["difference"] = [np.nanmedian(z) for z in differences]
        found[["low", "high"]] = np.reshape([median_interval(z, confidence) for z in differences], (-1, 2))
    found["testable"] = found["datasets"] >= LEAST_DATASETS
    test = sign_test if units else signed_rank
    gains = [(-z if lower_is_better else z).round(DECIMALS) for z in differences]  # as the tests take them
    tested = list(zip(gains, found["testable"], strict=True))
    found["p"] = np.array([test(z) if testable else np.nan for z, testable in tested], dtype=np.float64)
    for name, counted in (
        ("wins", [z > 0 for z in gains]),
        ("ties", [z == 0 for z in gains]),
        ("losses", [z < 0 for z in gains]),
    ):
        found[name] = np.array([member.sum() for member in counted], dtype=np.int64)
    if units:
        several = found["datasets"] > 1
        found[[*means, "difference", "std", "low", "high"]] = found[[*means, "difference", "std", "low", "high"]].mask(
            several, axis=0
        )
    if generator is not None:
        unknown = Probabilities(np.nan, np.nan, np.nan)
        drawn = [
            bayesian_signed_rank(z, generator, rope=rope) if testable and not units else unknown
            for z, testable in tested
        ]
        found[list(Probabilities._fields)] = np.array(drawn, dtype=np.float64).reshape(-1, 3)
    return found


def against_controls(
    frame: pd.DataFrame,
    controls: Sequence[str | tuple[str, str]],
    *,
    metric: str = "accuracy",
    by: Sequence[str] = ("method", "probe", *CONDITION),
    confidence: float = 0.95,
    rope: float = 0.01,
    generator: np.random.Generator | None = None,
) -> pd.DataFrame:
    """Compare every method with every control, and say whether it beats them all.

    Parameters
    ----------
    frame, metric, by, confidence, rope, generator
        As :func:`paired_difference_over_datasets`.
    controls : sequence of str or (str, str)
        Methods, or methods with their probe. None is compared with itself.

    Returns
    -------
    DataFrame
        One row a comparison and control: the columns of :func:`paired_difference_over_datasets`, ``control``, and

        - ``p_holm``: ``p``, corrected with Holm's step-down procedure for the controls that the method has;
        - ``verdict``: ``"better"`` or ``"worse"`` where that is below 0.05, ``"open"`` where it is not, ``"not
          testable"`` with fewer than 6 data sets;
        - ``beats_all``: whether the verdict is ``"better"`` against each of them.

    Examples
    --------
    >>> cells = pd.DataFrame([
    ...     {"dataset": d, "probe": "svm", "seed": 0, "method": m, "accuracy": 0.8 + gain + 0.001 * (d % 3)}
    ...     for d in range(8) for m, gain in [("raw", 0.0), ("pca", 0.01 * (-1) ** d), ("ours", 0.02 + 0.002 * d)]
    ... ])
    >>> found = against_controls(cells, ["raw", "pca"], by=["method"])
    >>> found[["method", "control", "difference", "verdict", "beats_all"]].round(3)
      method control  difference verdict  beats_all
    0   ours     pca       0.027  better       True
    1   ours     raw       0.027  better       True
    2    pca     raw       0.000    open      False
    3    raw     pca       0.000    open      False
    """
    parts = []
    for control in controls:
        name = control if isinstance(control, str) else " / ".join(control)
        found = paired_difference_over_datasets(
            frame, control, metric=metric, by=by, confidence=confidence, rope=rope, generator=generator
        )
        parts.append(found.assign(control=name))
    return judged(pd.concat(parts, ignore_index=True), by, lower_is_better=is_lower_better(metric))


def judged(compared: pd.DataFrame, by: Sequence[str], *, lower_is_better: bool = False) -> pd.DataFrame:
    """Comparisons with several controls, with ``p_holm``, ``verdict`` and ``beats_all`` for each group of ``by``."""
    result = compared.sort_values([*by, "control"], kind="stable").reset_index(drop=True)
    groups = result.groupby(list(by), sort=False, dropna=False)
    result["p_holm"] = result["p"].groupby(groups.ngroup()).transform(lambda p: holm(p.to_numpy()))
    result["verdict"] = [
        verdict(row["p_holm"], side(row, lower_is_better), bool(row["testable"]), lower_is_better=lower_is_better)
        for row in result.to_dict("records")
    ]
    result["beats_all"] = (result["verdict"] == "better").groupby(groups.ngroup()).transform("all")
    return result


def side(row: Mapping[Any, Any], lower_is_better: bool = False) -> float:
    """A number with the sign of the difference: that itself, or, where units have no average, which won more often."""
    if not np.isnan(row["difference"]):
        return float(row["difference"])
    return float(row["losses"] - row["wins"] if lower_is_better else row["wins"] - row["losses"])


def verdict(
    p: float, difference: float, testable: bool, level: float = _LEVEL, *, lower_is_better: bool = False
) -> str:
    """What a corrected p-value says of a difference: better, worse, open, or not testable."""
    if not testable:
        return "not testable"
    if not p < level:
        return "open"
    return "better" if (difference < 0) == lower_is_better else "worse"
