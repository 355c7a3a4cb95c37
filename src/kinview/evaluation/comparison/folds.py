"""Tests on the folds of one data set, whose training parts overlap: the corrected t test and its Bayesian reading."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from kinview.evaluation.comparison.signed_rank import Probabilities, check_rope, observed
from kinview.evaluation.statistics import CONDITION, check_cells

__all__ = ["CorrectedTest", "bayesian_correlated_t", "compare_folds", "corrected_resampled_t_test"]


@dataclasses.dataclass(frozen=True)
class CorrectedTest:
    """Outcome of :func:`corrected_resampled_t_test`.

    Attributes
    ----------
    difference : float
        Mean over folds.
    standard_error : float
        Corrected standard error of that mean.
    statistic : float
        Difference in standard errors; NaN where there is no spread and no difference.
    p : float
        Two-sided p-value; 0 or 1 where there is no spread.
    low, high : float
        95 % interval of the difference.
    folds : int
        Number of folds.
    """

    difference: float
    standard_error: float
    statistic: float
    p: float
    low: float
    high: float
    folds: int


def corrected_resampled_t_test(difference: ArrayLike, test_fraction: float) -> CorrectedTest:
    r"""Test that two methods are alike on one data set, with the variance of folds that share training samples.

    .. math:: t = \frac{\bar d}{\sqrt{\bigl(\frac 1 n + \frac{\rho}{1 - \rho}\bigr)\, s^2}}, \qquad
              \rho = \frac{n_\text{test}}{n_\text{test} + n_\text{train}}

    with :math:`n - 1` degrees of freedom. The uncorrected test has :math:`1/n` alone, and rejects far too often.

    Parameters
    ----------
    difference : array-like of shape (n,)
        One difference a fold, of all repeats; seeds averaged before. At least two.
    test_fraction : float
        :math:`\rho`, the fraction of the samples that is tested in a fold: 0.2 for five folds, however often repeated.

    Returns
    -------
    CorrectedTest
        Difference, standard error, statistic, p-value and interval.

    Raises
    ------
    ValueError
        If there are fewer than two differences, one is missing or infinite, or the fraction is not between 0 and 1.

    References
    ----------
    .. [1] Nadeau, C., Bengio, Y. (2003). Inference for the generalization error. Machine Learning 52, 239-281.

    Examples
    --------
    >>> found = corrected_resampled_t_test([0.02, 0.03, 0.01, 0.04, 0.02], test_fraction=0.2)
    >>> round(found.statistic, 3), round(found.p, 4), round(found.low, 4), round(found.high, 4)
    (3.138, 0.0349, 0.0028, 0.0452)
    """
    from scipy.stats import t

    mean, error, n = _moments(difference, test_fraction)
    half = float(t.ppf(0.975, n - 1)) * error
    if error == 0:
        statistic = float(np.sign(mean) * np.inf) if mean else float("nan")
        return CorrectedTest(mean, error, statistic, 0.0 if mean else 1.0, mean, mean, n)
    statistic = mean / error
    return CorrectedTest(mean, error, statistic, float(2 * t.sf(abs(statistic), n - 1)), mean - half, mean + half, n)


def bayesian_correlated_t(difference: ArrayLike, test_fraction: float, *, rope: float = 0.01) -> Probabilities:
    r"""Probabilities that a method is better, practically equal, or worse on one data set, from its folds.

    The posterior of the mean difference is Student's t with :math:`n - 1` degrees of freedom, location
    :math:`\bar d` and the scale :math:`\sqrt{(1/n + \rho / (1 - \rho))\, s^2}` of
    :func:`corrected_resampled_t_test`, where :math:`\rho`, the correlation between folds, is the test fraction. The
    regions are :math:`(-\infty, -r)`, :math:`[-r, r]` and :math:`(r, \infty)`.

    Parameters
    ----------
    difference, test_fraction
        As :func:`corrected_resampled_t_test`.
    rope : float
        Half width :math:`r` of the region of practical equivalence. Default 0.01, as Corani and Benavoli (2015).

    Returns
    -------
    Probabilities
        ``better``, ``equivalent``, ``worse``; they add up to 1. Without spread all of it is where the difference is.

    Raises
    ------
    ValueError
        As :func:`corrected_resampled_t_test`, or if ``rope`` is negative.

    References
    ----------
    .. [1] Corani, G., Benavoli, A. (2015). A Bayesian approach for comparing cross-validated algorithms on multiple
       data sets. Machine Learning 100, 285-304.

    Examples
    --------
    >>> found = bayesian_correlated_t([0.02, 0.03, 0.01, 0.04, 0.02], test_fraction=0.2)
    >>> [round(probability, 3) for probability in found]
    [0.929, 0.065, 0.006]
    """
    from scipy.stats import t

    check_rope(rope)
    mean, error, n = _moments(difference, test_fraction)
    if error == 0:
        return Probabilities(float(mean > rope), float(abs(mean) <= rope), float(mean < -rope))
    worse, better = float(t.cdf(-rope, n - 1, mean, error)), float(t.sf(rope, n - 1, mean, error))
    return Probabilities(better, max(0.0, 1 - better - worse), worse)


def compare_folds(
    frame: pd.DataFrame,
    reference: str,
    *,
    test_fraction: float,
    metric: str = "accuracy",
    rope: float = 0.01,
) -> pd.DataFrame:
    """Compare every method with a reference on each data set by itself, from its folds.

    Cells are paired by data set, probe, condition, seed and fold. Their differences are averaged over seeds, probes and
    conditions within a fold first, so that each fold is one case.

    Parameters
    ----------
    frame : DataFrame
        Frame of the results store, one row per cell; rows of status ``"failed"`` are left out.
    reference : str
        Method to compare with.
    test_fraction, rope
        As :func:`corrected_resampled_t_test` and :func:`bayesian_correlated_t`.
    metric : str
        Column to compare.

    Returns
    -------
    DataFrame
        A row a data set and method: ``folds``, ``difference``, ``low``, ``high`` and ``p`` of the corrected test, and
        the probabilities ``better``, ``equivalent``, ``worse``; NaN with a single fold.

    Raises
    ------
    ValueError
        If the reference was not run, a column is absent, a cell occurs twice, or a parameter is out of range.

    Examples
    --------
    >>> cells = pd.DataFrame([
    ...     {"dataset": "wine", "probe": "svm", "seed": 0, "split": "stratified_kfold", "fold": f, "method": m,
    ...      "accuracy": 0.9 + 0.01 * f * (m == "ours")} for f in range(5) for m in ("raw", "ours")
    ... ])
    >>> compare_folds(cells, "raw", test_fraction=0.2).round(3).iloc[0].to_dict()
    {'dataset': 'wine', 'method': 'ours', 'folds': 5, 'difference': 0.02, 'low': -0.009, 'high': 0.049, 'p': 0.132, \
'better': 0.8, 'equivalent': 0.176, 'worse': 0.024}
    """
    cells = check_cells(frame, metric).dropna(subset=[metric])
    chosen = cells["method"] == reference
    if not chosen.any():
        known = ", ".join(sorted(map(str, cells["method"].unique()))) or "none"
        raise ValueError(f"no result of the reference {reference!r} to compare with; methods with results: {known}")
    key = ["dataset", "probe", "seed", "split", "fold", *CONDITION]
    pairs = cells[~chosen].merge(cells.loc[chosen, [*key, metric]], on=key, suffixes=("", "_reference"))
    pairs["difference"] = pairs[metric].astype(np.float64) - pairs[f"{metric}_reference"].astype(np.float64)
    within = pairs.groupby(["dataset", "method", "fold", "probe", *CONDITION], dropna=False)["difference"].mean()
    folds = within.groupby(["dataset", "method", "fold"]).mean()
    rows = []
    for (dataset, method), values in folds.groupby(["dataset", "method"]):
        row = {"dataset": dataset, "method": method, "folds": len(values), "difference": float(values.mean())}
        if len(values) > 1:
            test = corrected_resampled_t_test(values, test_fraction)
            row |= {"low": test.low, "high": test.high, "p": test.p}
            row |= bayesian_correlated_t(values, test_fraction, rope=rope)._asdict()
        rows.append(row)
    columns = ["dataset", "method", "folds", "difference", "low", "high", "p", *Probabilities._fields]
    return pd.DataFrame(rows, columns=columns)


def _moments(difference: ArrayLike, test_fraction: float) -> tuple[float, float, int]:
    """Mean, corrected standard error (zero where it is rounding) and number of differences."""
    values = observed(difference)
    if len(values) < 2:
        raise ValueError(f"a test on folds needs two folds; got {len(values)} difference")
    if not 0 < test_fraction < 1:
        raise ValueError(
            f"test_fraction={test_fraction!r} is not between 0 and 1; give the fraction of the samples that a fold "
            "tests: 0.2 for five folds"
        )
    mean, spread = float(values.mean()), float(values.std(ddof=1))
    if spread <= 1e-12:
        return (mean if abs(mean) > 1e-12 else 0.0), 0.0, len(values)
    return mean, spread * float(np.sqrt(1 / len(values) + test_fraction / (1 - test_fraction))), len(values)
