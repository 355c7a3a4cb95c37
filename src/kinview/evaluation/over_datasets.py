"""Differences between methods over data sets: averages over seeds and folds first, then intervals, tests and verdicts.

Data sets are what a claim about a method is drawn from; seeds and folds of one data set only make its value surer. So
each data set has one value, however many seeds it was run with, and the spread is the spread between data sets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from numpy.typing import ArrayLike

from kinview.evaluation.statistics import CONDITION, FOLD, check_cells, summarize

__all__ = [
    "LEAST_DATASETS",
    "against_controls",
    "difference_over_datasets",
    "holm",
    "paired_difference_over_datasets",
    "verdict",
]

LEAST_DATASETS = 6
"""With fewer data sets nothing is tested: a signed-rank test of 5 pairs cannot reach p < 0.05."""

_LEVEL = 0.05
_TIE = 1e-12  # differences of two means of the same numbers


def paired_difference_over_datasets(
    frame: pd.DataFrame,
    reference: str | tuple[str, str],
    *,
    metric: str = "accuracy",
    by: Sequence[str] = ("method", "probe", *CONDITION),
    confidence: float = 0.95,
) -> pd.DataFrame:
    r"""Difference of every method to a reference, paired within a data set, with its interval over data sets.

    With :math:`m_{dsf}` the value of a method on data set :math:`d` with seed :math:`s` and fold :math:`f`, and
    :math:`r_{dsf}` that of the reference under the same condition,

    .. math:: \delta_d = \operatorname{mean}_{s, f}\,(m_{dsf} - r_{dsf}), \qquad
              \bar\delta \pm t_{n-1,\,(1+c)/2}\; s_\delta / \sqrt n

    over the :math:`n` data sets, and :math:`p` is that of the two-sided t test of :math:`\bar\delta = 0`.

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
        Columns that name a comparison; what they leave out is averaged within a data set.
    confidence : float
        Coverage :math:`c` of the interval.

    Returns
    -------
    DataFrame
        The columns of ``by``; ``datasets``, how many :math:`n`; ``mean`` and ``reference``, the means of both over
        these data sets; ``difference`` with ``std``, ``low``, ``high`` and ``p`` (NaN with one data set); ``wins``,
        ``ties``, ``losses``, the data sets on which the method is above, equal and below; ``testable``, whether there
        are at least 6 data sets: with fewer the interval stands, and nothing is to be concluded from ``p``.

    Raises
    ------
    ValueError
        If the reference was not run, a column is absent, or a cell occurs twice.

    Notes
    -----
    Only pairs count: a cell without its counterpart (one that failed, a data set that the reference was not run on) is
    left out of both means. The t test takes the differences as normal; with few data sets look at each of them.

    Examples
    --------
    >>> cells = pd.DataFrame({
    ...     "dataset": ["a", "b", "c"] * 2, "probe": "svm", "seed": 0,
    ...     "method": ["raw"] * 3 + ["ts2vec"] * 3, "accuracy": [0.90, 0.80, 0.70, 0.91, 0.83, 0.72],
    ... })
    >>> found = paired_difference_over_datasets(cells, "raw")
    >>> found[["method", "datasets", "difference", "low", "high", "p", "wins", "losses", "testable"]].round(3)
       method  datasets  difference    low   high      p  wins  losses  testable
    0  ts2vec         3        0.02 -0.005  0.045  0.074     3       0     False
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
    return difference_over_datasets(pairs, by, confidence=confidence, means=("mean", "reference"))


def difference_over_datasets(
    pairs: pd.DataFrame, by: Sequence[str], *, confidence: float = 0.95, means: Sequence[str] = ()
) -> pd.DataFrame:
    """Average paired differences within each data set, then over data sets.

    Parameters
    ----------
    pairs : DataFrame
        ``dataset``, ``difference``, the columns of ``by`` and of ``means``.
    by, confidence
        As :func:`paired_difference_over_datasets`, whose result this has.
    means : sequence of str
        Further columns to average in the same way.
    """
    names = list(by)
    within = pairs.groupby([*names, "dataset"], sort=True, dropna=False)[["difference", *means]].mean().reset_index()
    found = summarize(within, names, metric="difference", confidence=confidence)
    found = found.rename(columns={"n": "datasets", "mean": "difference"})
    grouped = within.groupby(names, sort=True, dropna=False)
    for place, name in enumerate(means):
        found.insert(len(names) + 1 + place, name, grouped[name].mean().to_numpy())
    found["p"] = _p_values(found["difference"], found["std"], found["datasets"])
    sign = within.assign(
        wins=within["difference"] > _TIE,
        ties=within["difference"].abs() <= _TIE,
        losses=within["difference"] < -_TIE,
    ).groupby(names, sort=True, dropna=False)[["wins", "ties", "losses"]]
    counts = sign.sum().reset_index(drop=True).astype(int)
    return pd.concat([found, counts], axis=1).assign(testable=found["datasets"] >= LEAST_DATASETS)


def against_controls(
    frame: pd.DataFrame,
    controls: Sequence[str | tuple[str, str]],
    *,
    metric: str = "accuracy",
    by: Sequence[str] = ("method", "probe", *CONDITION),
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Compare every method with every control, and say whether it beats them all.

    Parameters
    ----------
    frame, metric, by, confidence
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
        found = paired_difference_over_datasets(frame, control, metric=metric, by=by, confidence=confidence)
        parts.append(found.assign(control=name))
    return judged(pd.concat(parts, ignore_index=True), by)


def judged(compared: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Comparisons with several controls, with ``p_holm``, ``verdict`` and ``beats_all`` for each group of ``by``."""
    result = compared.sort_values([*by, "control"], kind="stable").reset_index(drop=True)
    groups = result.groupby(list(by), sort=False, dropna=False)
    testable = result["p"].where(result["testable"])
    result["p_holm"] = testable.groupby(groups.ngroup()).transform(lambda p: holm(p.to_numpy()))
    result["verdict"] = [
        verdict(p, difference, bool(testable))
        for p, difference, testable in zip(result["p_holm"], result["difference"], result["testable"], strict=True)
    ]
    result["beats_all"] = (result["verdict"] == "better").groupby(groups.ngroup()).transform("all")
    return result


def verdict(p: float, difference: float, testable: bool, level: float = _LEVEL) -> str:
    """What a corrected p-value says of a difference: better, worse, open, or not testable."""
    if not testable:
        return "not testable"
    if not p < level:
        return "open"
    return "better" if difference > 0 else "worse"


def holm(p: ArrayLike) -> Float[np.ndarray, " n"]:
    r"""Holm's step-down correction of p-values.

    With the p-values in ascending order, :math:`\tilde p_{(i)} = \max_{j \le i} \min(1, (n - j + 1)\, p_{(j)})`. NaN
    stays NaN and is not counted.

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


def _p_values(difference: Any, std: Any, n: Any) -> Float[np.ndarray, " groups"]:
    """Two-sided p of the t test that a mean is zero; 0 or 1 where there is no spread, NaN with one value."""
    from scipy.stats import t

    mean, spread, count = (np.asarray(values, dtype=np.float64) for values in (difference, std, n))
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.abs(mean) / (spread / np.sqrt(count))
        p = 2 * t.sf(statistic, np.where(count > 1, count - 1, np.nan))
    flat = (count > 1) & ~(spread > _TIE)
    return np.where(flat, np.where(np.abs(mean) > _TIE, 0.0, 1.0), p)
