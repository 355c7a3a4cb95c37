"""Averages over the seeds and folds of a cell's condition, with their spread, as tables and curves show them."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from kinview.evaluation.metrics.table import is_unbounded
from kinview.evaluation.over_datasets import averages_within_datasets
from kinview.evaluation.report.cells import Results
from kinview.evaluation.statistics import summarize

__all__ = ["over_repetitions", "spread_name"]


def over_repetitions(cells: pd.DataFrame, by: Sequence[str], metric: str) -> pd.DataFrame:
    """Average of a metric over the seeds and folds of each group, with its spread.

    Parameters
    ----------
    cells : DataFrame
        One row a cell, conditions normalised.
    by : sequence of str
        Columns that name a group of one data set.
    metric : str
        Column to average: by its mean; without a bound by its median over seeds, then over folds.

    Returns
    -------
    DataFrame
        The columns of ``by``, ``n``, ``mean`` (the average), ``std`` (NaN of a median), and ``low`` and ``high``, the
        ends of the spread: one standard deviation around a mean, the lowest and the highest value around a median;
        NaN with one value.
    """
    found = summarize(cells, by, metric=metric)
    if not is_unbounded(metric):
        return found.assign(low=found["mean"] - found["std"], high=found["mean"] + found["std"])
    typed = cells.astype({metric: float})
    medians = averages_within_datasets(typed, by, [metric], median=True)
    if medians.duplicated(list(by)).any():
        raise ValueError(f"a group of {', '.join(by)} holds several data sets; average them one by one")
    ends = typed.groupby(list(by), dropna=False)[metric].agg(low="min", high="max").reset_index()
    found = found[[*by, "n"]].merge(medians.rename(columns={metric: "mean"})[[*by, "mean"]], on=list(by))
    found = found.merge(ends, on=list(by)).assign(std=float("nan"))
    found[["low", "high"]] = found[["low", "high"]].where(found["n"] > 1)
    return found[[*by, "n", "mean", "std", "low", "high"]]


def spread_name(results: Results, metric: str) -> str:
    """What tables of a metric show of the repetitions: ``"mean ± standard deviation over 5 seeds"``."""
    if is_unbounded(metric):
        return f"median (lowest to highest) over {results.repetitions}"
    return f"mean ± standard deviation over {results.repetitions}"
