"""All methods of a modality compared over data sets, and what the report says of each pair."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import pandas as pd

from kinview.data.modality import NOUNS
from kinview.evaluation.comparison.effect_sizes import win_matrix
from kinview.evaluation.comparison.methods import MethodComparison, compare_scores, dataset_scores, paired_scores
from kinview.evaluation.metrics.table import has_units, is_unbounded, lower_is_better
from kinview.evaluation.over_datasets import LEAST_DATASETS
from kinview.evaluation.report.cells import Results, records
from kinview.evaluation.report.verdicts import p_words, with_own_probes

__all__ = ["AllMethods", "compare_all"]


@dataclasses.dataclass(frozen=True, eq=False)
class AllMethods:
    """Comparison of all methods that read data of one modality.

    Attributes
    ----------
    modality : str
        ``"time_series"`` or ``"tabular"``.
    found : MethodComparison
        Ranks, tests and pairs over the data sets that every compared method has a score on.
    wins : DataFrame
        SCARF's matrix of wins (:func:`kinview.evaluation.win_matrix`); empty with one seed.
    few : tuple of str
        Methods that were run on fewer than half of the data sets, and are not compared.
    """

    modality: str
    found: MethodComparison
    wins: pd.DataFrame
    few: tuple[str, ...]

    @property
    def noun(self) -> str:
        """What the data are called."""
        return NOUNS.get(self.modality, self.modality)

    def win(self, method: str, other: str) -> dict[str, Any] | None:
        """The entry of the matrix of wins, None where the two were never compared."""
        return self._wins.get((method, other))

    @functools.cached_property
    def _wins(self) -> dict[tuple[str, str], dict[str, Any]]:
        return {(row["method"], row["other"]): row for row in records(self.wins)}

    @property
    def friedman(self) -> str:
        """The test that all methods are alike, in words."""
        test, (n, k) = self.found.friedman, self.found.scores.shape
        if not self.found.testable:
            there = f"{n} data set{'s' if n != 1 else ''} with every method"
            return f"Not testable: {there}, and a test needs {LEAST_DATASETS}."
        if test is None:
            return "With two methods there is no Friedman test."
        p = p_words(test.p)
        outcome = "the methods are not all alike" if test.p < 0.05 else "the methods are not told apart as a whole"
        return (
            f"Friedman's test with Iman and Davenport's correction: F({k - 1}, {(k - 1) * (n - 1)}) = "
            f"{test.statistic:.2f}, p {p if p.startswith('<') else f'= {p}'}; {outcome}."
        )

    @property
    def notes(self) -> list[str]:
        """What was left out, by name."""
        found = []
        if self.few:
            found.append(f"Not compared, because run on fewer than half of the data sets: {', '.join(self.few)}.")
        if self.found.left_out:
            found.append(f"Left out, because a method has no score there: {', '.join(self.found.left_out)}.")
        return found


def compare_all(results: Results, metric: str) -> list[AllMethods]:
    """Compare the methods of each modality; one with a single method, or no data set in common, is left out."""
    compared = []
    cells = with_own_probes(results.cells)
    for modality in dict.fromkeys(results.modalities.values()):
        own = cells[cells["dataset"].map(results.modalities) == modality]
        if own["method"].nunique() < 2:
            continue
        scores = dataset_scores(own, metric=metric)
        often = scores.notna().sum() * 2 >= max(scores.notna().any(axis=1).sum(), 1)
        complete = scores.loc[:, often].dropna()
        if complete.empty or complete.shape[1] < 2:
            continue
        found = compare_scores(
            complete, lower_is_better=lower_is_better(metric), median=is_unbounded(metric), units=has_units(metric),
            differences=paired_scores(own, metric=metric).loc[complete.index],
        )  # fmt: skip
        left_out = tuple(str(name) for name in scores.index.difference(complete.index))
        counted = own[own["dataset"].isin(complete.index) & own["method"].isin(complete.columns)]
        wins = win_matrix(counted, metric=metric) if len(results.seeds) > 1 else pd.DataFrame()
        few = tuple(name for name in results.methods if name in scores and not often[name])
        compared.append(AllMethods(modality, dataclasses.replace(found, left_out=left_out), wins, few))
    return compared
