"""What was run and how it was compared, as a paragraph for a paper, with the references that it cites."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from kinview.evaluation.metrics.table import is_unbounded
from kinview.evaluation.over_datasets import LEAST_DATASETS
from kinview.evaluation.report.all_methods import AllMethods
from kinview.evaluation.report.cells import METRICS, Results, texts, within_sentence
from kinview.evaluation.report.corruption_words import corruption_words, noise_words
from kinview.evaluation.report.figures import counts_of
from kinview.evaluation.report.reproduce import sources_of, static_columns_of
from kinview.evaluation.report.verdicts import test_name

__all__ = ["methods_paragraph"]

_DONE = {  # what was done, and what its rates are of
    "values": ("Values were removed from the {where}", "of the observed values"),
    "samples": ("A whole side was taken from samples of the {where}", "of the samples"),
    "severity": ("Values of the {where} were changed", "severity"),
}
_READ = {  # how static columns are read
    "pairs": "as the other side of the samples",
    "encoder": "as further features of the encoder",
    "probe": "in the probe, beside the representation",
}
_DEMSAR = "Demšar, J. (2006). Statistical comparisons of classifiers over multiple data sets. JMLR 7, 1-30."
_HOLM = "Holm, S. (1979). A simple sequentially rejective multiple test procedure. Scand. J. Statistics 6, 65-70."
_BENAVOLI = (
    "Benavoli, A., Corani, G., Demšar, J., Zaffalon, M. (2017). Time for a change: a tutorial for comparing multiple "
    "classifiers through Bayesian analysis. JMLR 18, 1-36."
)


class _Cited(dict[str, int]):
    """References and their numbers, in the order in which they are first cited."""

    def mark(self, *references: str) -> str:
        """Where a sentence cites them: ``[1, 2]``."""
        return f"[{', '.join(str(self.setdefault(one, len(self) + 1)) for one in references)}]"

    def named(self, results: Results, methods: Sequence[str]) -> str:
        """Methods, each with the reference of its registered name."""
        return _listed([self._named(method, results.identity(method).name) for method in methods])

    def _named(self, method: str, name: str) -> str:
        from kinview.methods import methods as known

        reference = known[name].reference if name in known else None
        return f"{method} {self.mark(f'{name}: {reference}')}" if reference else method


def methods_paragraph(
    results: Results,
    metric: str,
    made: Mapping[str, Any],
    verdicts: Sequence[Mapping[str, Any]],
    all_methods: Sequence[AllMethods],
) -> list[str]:
    """What was run and how it was compared, in sentences for a paper, and the references of what they name.

    Only what has a result is named, and only tests that were computed are.

    Parameters
    ----------
    results : Results
        The results.
    metric : str
        The metric of the report.
    made : mapping
        What :func:`kinview.evaluation.report.reproduce.provenance` gives.
    verdicts : sequence of mapping
        What :func:`kinview.evaluation.report.verdicts.verdicts` gives.
    all_methods : sequence of AllMethods
        What :func:`kinview.evaluation.report.all_methods.compare_all` gives.

    Returns
    -------
    list of str
        The paragraph and its references; nothing where no cell has a result.
    """
    cells = results.cells[results.cells[metric].notna()]
    if cells.empty:
        return []
    cited = _Cited()
    datasets, methods, probes = (
        [name for name in names if name in set(cells[column])]
        for names, column in ((results.modalities, "dataset"), (results.methods, "method"), (results.probes, "probe"))
    )
    learned = [name for name in methods if name not in results.controls]
    controls = [name for name in methods if name in results.controls]
    version = ", ".join(made["versions"].get("kinview", []))
    what = f"Representations of {cited.named(results, learned or controls)}"
    what = what if learned else f"The controls {cited.named(results, controls)}"
    said = [
        f"{what} were evaluated on {_counted(len(datasets), 'data set')} ({_listed(datasets)}) with kinview"
        f"{f' {version}' if version else ''}."
    ]
    if learned and controls:
        said.append(f"Controls were {cited.named(results, controls)}.")
    said += _static(results)
    said += _cuts(results, cells, datasets)
    said += _conditions(results, results.conditions[results.conditions.index.isin(set(cells["condition"]))])
    said.append(
        f"{'Representations' if learned else 'They'} were scored by {within_sentence(METRICS[metric])} of the "
        f"probe{'s' if len(probes) > 1 else ''} {_listed(probes)} on true test labels, with {results.repetitions}."
    )
    said += _comparison(metric, verdicts, all_methods, cited)
    return [" ".join(said), *(f"[{number}] {reference}" for reference, number in cited.items())]


def _static(results: Results) -> list[str]:
    """Which methods read static columns, which and how."""
    found: dict[tuple[str, tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for (use, columns, dataset), methods in static_columns_of(results).items():
        found.setdefault((use, columns, tuple(methods)), []).append(dataset)
    return [
        f"With {_listed(methods)} the static column{'s' if len(columns) > 1 else ''} {_listed(columns)} of "
        f"{_listed(datasets)} {'were' if len(columns) > 1 else 'was'} read {_READ.get(use, use)}."
        for (use, columns, methods), datasets in found.items()
    ]


def _cuts(results: Results, cells: pd.DataFrame, datasets: Sequence[str]) -> list[str]:
    """How training and test part came about: what the store says of each data set."""
    alone = "Everything that learns saw training samples alone."
    if results.split != "official":
        return [f"Each data set was cut by {results.split}.", alone]
    drawn: dict[str, list[str]] = {}
    own = []
    for dataset in datasets:
        rows = cells[cells["dataset"] == dataset]
        text = next((one for one in texts(rows, "drawn_split") if one), "") if "drawn_split" in rows else ""
        if text:
            cut = json.loads(text)
            how = (
                f"{100 * cut['test_fraction']:g} % of the samples were drawn at random as the test part, "
                f"{'whole groups at a time' if rows['labelled_groups'].notna().any() else 'sample by sample'}"
                f"{'' if dataset in results.regressions else ', stratified by label'} (seed {cut['split_seed']})"
            )
            drawn.setdefault(how, []).append(dataset)
        else:
            own.append(dataset)
    found = [f"Of {_listed(names)} {how}." for how, names in drawn.items()]
    if own:
        whose = "Each data set" if not drawn else _listed(own)
        its = "its" if not drawn or len(own) == 1 else "their"
        found.append(f"{whose} kept {its} own training and test part.")
    return [*found, alone]


def _comparison(
    metric: str, verdicts: Sequence[Mapping[str, Any]], all_methods: Sequence[AllMethods], cited: _Cited
) -> list[str]:
    """How methods were compared: the tests that were computed, or why there was none."""
    if not verdicts and not all_methods:
        return []
    paired = (
        "Differences between methods were paired by condition, probe, fold and seed and averaged within each data set"
    )
    if is_unbounded(metric):
        paired += " by the median, because the metric has no bound"
    signed = any(row["testable"] for row in verdicts) or any(one.found.testable for one in all_methods)
    if not signed:
        most = max([*(row["datasets"] for row in verdicts), *(len(one.found.scores) for one in all_methods)])
        return [
            f"{paired}.",
            f"No test over data sets was made: methods were compared on {_counted(most, 'data set')}, and a test needs "
            f"{LEAST_DATASETS}.",
        ]
    tests = [f"pairs were compared by {test_name(metric)} with Holm's correction {cited.mark(_DEMSAR, _HOLM)}"]
    if any(one.found.testable and one.found.friedman is not None for one in all_methods):
        tests.append(f"all methods by Friedman's test with Iman and Davenport's correction {cited.mark(_DEMSAR)}")
    if any(row["testable"] and pd.notna(row.get("better")) for row in verdicts):
        tests.append(
            "the probabilities of practical equivalence (within 0.01) are those of the Bayesian signed-rank test "
            f"{cited.mark(_BENAVOLI)}"
        )
    found = [f"{paired}; over data sets, {_listed(tests)}."]
    if not all(row["testable"] for row in verdicts) or not all(one.found.testable for one in all_methods):
        found.append(f"Where fewer than {LEAST_DATASETS} data sets were compared no test was made.")
    return found


def _conditions(results: Results, conditions: pd.DataFrame) -> list[str]:
    """A sentence for each factor that was varied."""
    found = []
    touched = conditions[conditions["corruption"] != "none"]
    sources = sources_of(results)
    said = touched["corruption"].map(corruption_words)
    counted = touched["corruption"].map(counts_of).rename("counted")
    partly = said.map(lambda words: bool(words.whom)).rename("partly")
    for (side, counts, some), rows in touched.groupby(["corrupt", counted, partly], sort=False):
        pretrained = "" if sources else _pretrained(rows)
        found.append(_corrupted(str(side), rows, pretrained, counts=str(counts), some=bool(some)))
    if sources:
        found.append(
            f"What trains without labels was pre-trained on {_listed(sources)} instead of the data set itself."
        )
    noisy = conditions[conditions["label_noise"] != "none"]
    if len(noisy):
        kinds = _listed(sorted({noise_words(label) for label in noisy["label_noise"]}))
        found.append(f"Training labels were made wrong by {kinds} noise at {_percents(noisy['label_noise_rate'])}.")
    few = conditions[conditions["label_fraction"] < 1]
    if len(few):
        found.append(f"Budgets kept {_percents(few['label_fraction'])} of the training labels.")
    if len(found) - bool(sources) > 1:
        crossed = (conditions["factors"] > 1).any()
        found.append("The factors were crossed." if crossed else "One factor was varied at a time, the others clean.")
    return found


def _corrupted(side: str, rows: pd.DataFrame, pretrained: str, *, counts: str, some: bool) -> str:
    """What was done to which part, at which rates; where the parts differ in rate, that of each."""
    where = {"both": "training and test part", "train": "training part", "test": "test part"}.get(side, side)
    kinds = _listed(sorted({str(corruption_words(label)) for label in rows["corruption"]}))
    done, unit = _DONE[counts]
    unit += " there alone" if some else ""
    rates = f"{_percents(rows['severity'])} {unit}"
    if side == "both" and (rows["severity"] != rows["severity_test"]).any():
        rates += (
            f" in the training part and {_percents(rows['severity_test'])} in the test part, unequal rates included"
        )
    return f"{done.format(where=where)} by {kinds} at {rates}{pretrained}."


def _pretrained(rows: pd.DataFrame) -> str:
    return f", with pre-training on {_listed(sorted(set(rows['pretrain_on'])))} data"


def _percents(rates: pd.Series) -> str:
    return _listed([f"{100 * rate:g}" for rate in sorted(set(rates))]) + " %"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
