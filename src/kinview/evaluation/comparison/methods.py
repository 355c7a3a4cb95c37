"""All methods of a benchmark compared over data sets: ranks, tests, and the methods that they do not tell apart."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from kinview.evaluation.comparison.effect_sizes import cliffs_delta
from kinview.evaluation.comparison.ranks import FriedmanTest, average_ranks, check_scores, cliques, friedman_test
from kinview.evaluation.comparison.signed_rank import Probabilities, bayesian_signed_rank
from kinview.evaluation.metrics.table import has_units, is_unbounded, lower_is_better as is_lower_better
from kinview.evaluation.over_datasets import (
    LEAST_DATASETS,
    averages_within_datasets,
    difference_over_datasets,
    side,
    verdict,
)
from kinview.evaluation.statistics import CONDITION, check_cells, holm

__all__ = ["MethodComparison", "compare_methods", "compare_scores", "dataset_scores", "paired_scores"]


@dataclasses.dataclass(frozen=True, eq=False)
class MethodComparison:
    """Methods compared over data sets.

    Attributes
    ----------
    scores : DataFrame
        A row a data set, a column a method: the best average rank first.
    ranks : Series
        Average rank of each method, 1 the best, ascending.
    friedman : FriedmanTest or None
        The test that all methods are alike; None with two methods, or too few data sets.
    pairs : DataFrame
        A row a pair, ``method`` the one with the better average rank: ``datasets``, the mean ``difference`` over them
        with ``std`` and the 95 % t interval ``low``, ``high`` (of a metric without a bound the median of the paired
        differences and its interval; of one in units of its own NaN); ``wins``, ``ties``, ``losses``;
        ``cliffs_delta``; ``p`` of the signed-rank test (with units of the sign test) and ``p_holm``, corrected for all
        pairs; ``verdict``, as :func:`against_controls`; and the probabilities ``better``, ``equivalent``, ``worse`` of
        the Bayesian test, where a generator was given.
    cliques : tuple of tuple of str
        Largest groups of methods of which no pair differs; none with too few data sets.
    left_out : tuple of str
        Data sets on which some method has no score.
    """

    scores: pd.DataFrame
    ranks: pd.Series
    friedman: FriedmanTest | None
    pairs: pd.DataFrame
    cliques: tuple[tuple[str, ...], ...]
    left_out: tuple[str, ...] = ()

    @property
    def testable(self) -> bool:
        """Whether there are the 6 data sets that a test needs."""
        return len(self.scores) >= LEAST_DATASETS

    def pair(self, method: str, other: str) -> pd.Series:
        """The row of a pair, read from the side of ``method``: the signs are turned where it stands second.

        Raises
        ------
        KeyError
            If there is no such pair.
        """
        for one, two, sign in ((method, other, 1), (other, method, -1)):
            found = self.pairs[(self.pairs["method"] == one) & (self.pairs["other"] == two)]
            if len(found):
                return found.iloc[0] if sign == 1 else _turned(found.iloc[0])
        raise KeyError(f"no pair of {method!r} and {other!r}; the methods are {', '.join(self.ranks.index)}")


def compare_methods(
    frame: pd.DataFrame,
    *,
    metric: str = "accuracy",
    by: Sequence[str] = ("method",),
    level: float = 0.05,
    rope: float = 0.01,
    generator: np.random.Generator | None = None,
) -> MethodComparison:
    """Compare all methods of a frame over data sets: average ranks, Friedman test, all pairs, cliques.

    Scores are averaged over seeds, folds, probes and conditions within a data set first, each method over the same
    cells (:func:`dataset_scores`), so that a data set is one case and a seed more is no evidence more.

    Parameters
    ----------
    frame : DataFrame
        Frame of the results store, one row per cell; rows of status ``"failed"`` are left out. To compare under one
        condition or probe, give its rows.
    metric : str
        Column to compare.
    by : sequence of str
        Columns that name what is compared: ``("method",)``, or ``("method", "probe")``, joined as ``raw / svm``.
    level, rope, generator
        As :func:`compare_scores`.

    Returns
    -------
    MethodComparison
        With fewer than 6 data sets there are ranks and differences, and no test: ``testable`` is false.

    Raises
    ------
    ValueError
        If there are fewer than two methods, no data set with all of them, a column is absent, or a cell occurs twice.

    References
    ----------
    .. [1] Demšar, J. (2006). Statistical comparisons of classifiers over multiple data sets. JMLR 7, 1-30.
    .. [2] Benavoli, A., Corani, G., Mangili, F. (2016). Should we really use post-hoc tests based on mean-ranks? JMLR
       17, 1-10.

    Examples
    --------
    >>> cells = pd.DataFrame([
    ...     {"dataset": f"set {d}", "probe": "svm", "seed": s, "method": m, "accuracy": 0.7 + 0.01 * d + gain}
    ...     for d in range(10) for s in range(2)
    ...     for m, gain in [("raw", 0.0), ("pca", 0.001 * (-1) ** d * (d + 1)), ("ours", 0.02 + 0.001 * d)]
    ... ])
    >>> found = compare_methods(cells)
    >>> found.ranks.to_dict(), found.cliques, f"{found.friedman.p:.1g}"
    ({'ours': 1.0, 'pca': 2.5, 'raw': 2.5}, (('pca', 'raw'),), '4e-06')
    >>> found.pairs[["method", "other", "difference", "p_holm", "wins", "verdict"]].round(3).values.tolist()[0]
    ['ours', 'pca', 0.025, 0.006, 10, 'better']
    """
    scores = dataset_scores(frame, metric=metric, by=by)
    complete = scores.dropna()
    if complete.empty:
        lacking = "; ".join(f"{name} on {scores[name].notna().sum()} of {len(scores)}" for name in scores)
        raise ValueError(f"no data set has a score of every method: {lacking}; compare fewer methods")
    lower = is_lower_better(metric)
    found = compare_scores(
        complete, level=level, rope=rope, generator=generator, lower_is_better=lower, median=is_unbounded(metric),
        units=has_units(metric), differences=paired_scores(frame, metric=metric, by=by).loc[complete.index],
    )  # fmt: skip
    left_out = tuple(str(name) for name in scores.index.difference(complete.index))
    return dataclasses.replace(found, left_out=left_out)


def dataset_scores(frame: pd.DataFrame, *, metric: str = "accuracy", by: Sequence[str] = ("method",)) -> pd.DataFrame:
    """One score for each data set and method, over the cells that all methods have there.

    Within a data set only the combinations of probe, condition, seed and fold count in which every method that was run
    on it has a score. They are averaged over seeds, then over folds, then over probes and conditions: by the mean,
    or by the median of a metric without a bound.

    Parameters
    ----------
    frame, metric, by
        As :func:`compare_methods`. With ``probe`` among ``by``, combinations are those of condition, seed and fold.

    Returns
    -------
    DataFrame
        A row a data set, a column a method, in alphabetical order; NaN where a method was not run.

    Raises
    ------
    ValueError
        If a column is absent, or a cell occurs twice.

    Examples
    --------
    >>> cells = pd.DataFrame({"dataset": "wine", "probe": "svm", "seed": [0, 1, 0], "method": ["raw", "raw", "scarf"],
    ...                       "accuracy": [0.90, 0.50, 0.95]})
    >>> dataset_scores(cells).to_dict("records")  # seed 1 of raw has no counterpart
    [{'raw': 0.9, 'scarf': 0.95}]
    """
    shared, datasets, entries, _ = _shared_cells(frame, metric, by)
    averages = averages_within_datasets(shared, ["entry"], [metric], median=is_unbounded(metric))
    scores: pd.DataFrame = averages.pivot(index="dataset", columns="entry", values=metric)
    return scores.reindex(index=datasets, columns=entries).rename_axis(index=None, columns=None)


def paired_scores(frame: pd.DataFrame, *, metric: str = "accuracy", by: Sequence[str] = ("method",)) -> pd.DataFrame:
    """Difference of every two methods on each data set, over the cells that all methods have there.

    Differences are taken cell by cell and averaged as :func:`dataset_scores` averages scores. Of a metric without a
    bound that is the median of the differences, which is not the difference of the medians.

    Parameters
    ----------
    frame, metric, by
        As :func:`compare_methods`.

    Returns
    -------
    DataFrame
        A row a data set, a column a pair ``(method, other)`` in alphabetical order; NaN where one was not run.

    Examples
    --------
    >>> cells = pd.DataFrame({"dataset": "stays", "probe": "ridge", "seed": [0, 1, 2] * 2,
    ...                       "method": ["raw"] * 3 + ["scarf"] * 3, "r2": [0.1, 0.5, 0.6, 0.5, 0.7, 0.2]})
    >>> paired_scores(cells, metric="r2").round(3).to_dict("records")  # medians of raw and scarf: 0.5 and 0.5
    [{('raw', 'scarf'): -0.2}]
    """
    shared, datasets, entries, key = _shared_cells(frame, metric, by)
    average = "median" if is_unbounded(metric) else "mean"
    wide = shared.groupby([*key, "entry"], dropna=False)[metric].agg(average).unstack("entry")
    constant = {name: "" for name in ("probe", *CONDITION) if name in by}  # told apart by the entry
    pairs = list(combinations(entries, 2))
    found = {}
    for one, other in pairs:
        if {one, other} <= set(wide):
            differences = (wide[one] - wide[other]).rename("difference").reset_index().assign(**constant)
            averages = averages_within_datasets(differences, [], ["difference"], median=is_unbounded(metric))
            found[one, other] = averages.set_index("dataset")["difference"]
    return pd.DataFrame({pair: found.get(pair, pd.Series(dtype=np.float64)) for pair in pairs}, index=datasets)


def _shared_cells(
    frame: pd.DataFrame, metric: str, by: Sequence[str]
) -> tuple[pd.DataFrame, list[str], list[str], list[str]]:
    """Cells in whose place every method of the data set has a value; data sets, entries, columns that name a place."""
    cells = check_cells(frame, metric).dropna(subset=[metric]).astype({metric: np.float64})
    entry = cells[list(by)].astype(str).agg(" / ".join, axis=1) if len(by) > 1 else cells[by[0]].astype(str)
    cells = cells.assign(entry=entry)
    stages = [name for name in ("probe", *CONDITION) if name not in by]
    key = ["dataset", *stages, "split", "fold", "seed"]
    run = cells.groupby("dataset")["entry"].transform("nunique")
    shared = cells.groupby(key, dropna=False)["entry"].transform("nunique") == run
    datasets, entries = (sorted(cells[column].unique()) for column in ("dataset", "entry"))
    return cells[shared], datasets, entries, key


def compare_scores(
    scores: pd.DataFrame,
    *,
    level: float = 0.05,
    rope: float = 0.01,
    generator: np.random.Generator | None = None,
    lower_is_better: bool = False,
    median: bool = False,
    units: bool = False,
    differences: pd.DataFrame | None = None,
) -> MethodComparison:
    """Compare methods by one score a data set, such as published ones.

    Parameters
    ----------
    scores : DataFrame of shape (N, k)
        A row a data set, a column a method, without a gap.
    level : float
        Level at which a pair differs, after Holm's correction. Default 0.05.
    rope : float
        Half width of the region of practical equivalence of the Bayesian test. Default 0.01.
    generator : numpy.random.Generator, optional
        Draws for the Bayesian signed-rank test of each pair; without it there is none.
    lower_is_better : bool
        Whether a lower value of the score is better. Default False.
    median : bool
        Whether differences are averaged by their median, as is right of scores without a bound. Default False: by the
        mean.
    units : bool
        Whether scores are in units of each data set, which are not averaged: pairs are then tested by the sign test.
        Default False.
    differences : DataFrame, optional
        Difference of each pair on each data set, as :func:`paired_scores`; by default that of the scores.

    Returns
    -------
    MethodComparison

    Raises
    ------
    ValueError
        If there are no two methods, a method stands twice, a score is missing, or the level is not between 0 and 1.

    Examples
    --------
    >>> compare_scores(pd.DataFrame({"raw": [0.7, 0.8], "ours": [0.75, 0.81]})).pairs["verdict"].tolist()
    ['not testable']
    """
    if not 0 < level < 1:
        raise ValueError(f"level={level!r} is not between 0 and 1; use for example 0.05")
    table = check_scores(scores).rename(columns=str)
    ranks = average_ranks(table, lower_is_better=lower_is_better).sort_values(kind="stable")
    table = table[list(ranks.index)]
    within = {
        (one, other): _difference(table, differences, one, other) for one, other in combinations(table.columns, 2)
    }
    found = _pairs(table, within, lower_is_better, median, units)
    testable = len(table) >= LEAST_DATASETS
    found["p_holm"] = holm(found["p"].to_numpy())
    found["verdict"] = [
        verdict(row["p_holm"], side(row, lower_is_better), testable, level, lower_is_better=lower_is_better)
        for row in found.to_dict("records")
    ]
    if generator is not None and testable and not units:
        turn = -1.0 if lower_is_better else 1.0
        drawn = [bayesian_signed_rank(turn * values, generator, rope=rope) for values in within.values()]
        found[list(Probabilities._fields)] = np.array(drawn)
    alike = found.loc[~(found["p_holm"] < level), ["method", "other"]]
    return MethodComparison(
        scores=table,
        ranks=ranks,
        friedman=friedman_test(table) if testable and table.shape[1] > 2 else None,
        pairs=found,
        cliques=cliques(ranks, [(one, other) for one, other in alike.to_numpy()]) if testable else (),
    )


def _difference(table: pd.DataFrame, differences: pd.DataFrame | None, one: str, other: str) -> np.ndarray:
    """Difference of a pair on each data set of a table."""
    if differences is None:
        found = table[one] - table[other]
    elif (one, other) in differences:
        found = differences[one, other].reindex(table.index)
    else:
        found = -differences[other, one].reindex(table.index)
    return found.to_numpy(dtype=np.float64)


def _pairs(
    table: pd.DataFrame,
    within: Mapping[tuple[str, str], np.ndarray],
    lower_is_better: bool,
    median: bool,
    units: bool,
) -> pd.DataFrame:
    """Differences of every pair of methods, in the order of the columns."""
    names = list(within)
    long = pd.concat([
        pd.DataFrame({"pair": place, "dataset": table.index, "difference": values})
        for place, values in enumerate(within.values())
    ])  # fmt: skip
    found = difference_over_datasets(long, ["pair"], lower_is_better=lower_is_better, median=median, units=units)
    found = found.drop(columns=["testable", "pair"])
    found.insert(0, "method", [one for one, _ in names])
    found.insert(1, "other", [other for _, other in names])
    pooled = not units or len(table) == 1
    delta = [cliffs_delta(table[one], table[other]) if pooled else np.nan for one, other in names]
    return found.assign(cliffs_delta=delta)


def _turned(pair: pd.Series) -> pd.Series:
    """A pair read from the other side."""
    swapped = {"method": "other", "low": "high", "wins": "losses", "better": "worse"}
    swapped |= {new: old for old, new in swapped.items()}
    turned = pair.rename(swapped).reindex(pair.index)
    for name in ("difference", "low", "high", "cliffs_delta"):
        turned[name] = -turned[name]
    turned["verdict"] = {"better": "worse", "worse": "better"}.get(pair["verdict"], pair["verdict"])
    return turned
