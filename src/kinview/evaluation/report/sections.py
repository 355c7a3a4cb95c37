"""What the sections of the HTML report show, as plain data for the template."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from kinview.data.modality import NOUNS
from kinview.evaluation.corruptions import corruptions
from kinview.evaluation.metrics import table as metrics_table
from kinview.evaluation.metrics.table import has_units, lower_is_better
from kinview.evaluation.report.cells import METRICS, Results, average_word, records, texts, within_sentence
from kinview.evaluation.report.corruption_words import corruption_words
from kinview.evaluation.report.over_datasets import units_note
from kinview.evaluation.report.table import NOTHING, Entry, entries
from kinview.evaluation.report.verdicts import compare_with_controls, control_names, verdicts

__all__ = [
    "checks",
    "comparison",
    "controls_in_words",
    "facts",
    "metric_notes",
    "notices",
    "result_tables",
    "scatter_groups",
    "with_curves",
]

GLYPHS = {"better": "▲", "higher": "△", "equal": "=", "lower": "▽", "worse": "▼"}


def facts(results: Results) -> list[tuple[str, str]]:
    """The size of the benchmark, as (number, what it counts)."""
    counted = [
        (len(results.modalities), "data set"),
        (len(results.methods), "method"),
        (len(results.conditions), "condition"),
        (len(results.probes), "probe"),
        (len(results.seeds), "seed"),
        (len(results.cells), "result"),
    ]
    shown = [(f"{number:,}", noun if number == 1 else f"{noun}s") for number, noun in counted]
    if len(results.folds) > 1:
        shown.insert(-1, (f"{len(results.folds):,}", "folds"))
    return [*shown, (f"{len(results.failed):,}", "failed")] if len(results.failed) else shown


def notices(results: Results, metric: str) -> list[str]:
    """Warnings to read before trusting a number."""
    found = []
    if not results.controls:
        found.append(
            "No control was run (such as raw or random_init): nothing here can show whether pre-training helped. "
            "Add them to the methods of the benchmark."
        )
    if len(results.seeds) == 1:
        found.append(
            f"Only one seed was run ({results.seeds[0]}): there is no spread and there are no intervals. "
            "A difference may be chance; run at least five seeds."
        )
    if len(results.failed):
        found.append(
            f"{len(results.failed):,} of {len(results.failed) + len(results.cells):,} cells failed; see Failed cells."
        )
    lacking = _asked(results) - len(results.cells) - len(results.failed)
    if lacking > 0:
        found.append(f"{lacking:,} cells of the grid have no result (– in the tables, or n below the number of seeds).")
    informative = [label for label in sorted(set(results.conditions["corruption"]) - {"none"}) if _uses_labels(label)]
    if informative:
        found.append(
            f"What {', '.join(str(corruption_words(one)) for one in informative)} removes depends on the labels, of "
            "the test part too: that something is missing tells of the class."
        )
    found += [
        f"{label} changes no metric of {', '.join(methods)} with a probe in any cell."
        for label, methods in unseen_conditions(results).items()
    ]
    of_numbers = results.cells["dataset"].isin(results.regressions)
    asked = of_numbers == (metrics_table.METRICS[metric].task == "regression")  # a class has no error, a number no F1
    undefined = int(results.cells.loc[asked, metric].isna().sum())
    if undefined:
        found.append(
            f"{undefined:,} results have no {within_sentence(METRICS[metric])} (n/a where it is so for every seed)."
        )
    if results.replaced:
        found.append(
            f"{results.replaced:,} older or failed rows describe a cell that has a newer result; the newest is shown."
        )
    return found


def unseen_conditions(results: Results) -> dict[str, list[str]]:
    """Corruptions that leave every metric of every cell of a method exactly as it is on clean data, by condition.

    So it is with time stamps that move for a method that reads none, and where every prediction is right with and
    without.
    """
    key = ["dataset", "method", "probe", "seed", "fold"]
    metrics = [name for name in METRICS if name in results.cells and results.cells[name].notna().any()]
    clean = results.cells.loc[results.cells["condition"] == "clean", [*key, *metrics]]
    altered = results.cells[(results.cells["corruption"] != "none") & (results.cells["label_noise"] == "none")]
    altered = altered[altered["label_fraction"] == 1]
    pairs = altered[[*key, "condition", *metrics]].merge(clean, on=key, suffixes=("", " clean"))
    same = [
        (pairs[name] == pairs[f"{name} clean"]) | pairs[[name, f"{name} clean"]].isna().all(axis=1) for name in metrics
    ]
    pairs = pairs.assign(same=np.logical_and.reduce(same) if same else False)
    unseen = pairs.groupby(["condition", "method"], sort=False)["same"].all()
    found: dict[str, list[str]] = {}
    for condition, method in unseen.index[unseen]:
        found.setdefault(str(condition), []).append(str(method))
    order = list(results.conditions.index)
    return {name: found[name] for name in order if name in found}


def _uses_labels(corruption: str) -> bool:
    """Whether a corruption, by its label, declares that it needs the labels; one that is not installed does not say."""
    name = corruption.split("(", 1)[0]
    return name in corruptions and "y" in getattr(corruptions[name].target, "needs", ())


def _asked(results: Results) -> int:
    """Cells of a whole grid: methods on each data set x the conditions that data of its kind have x repetitions.

    Of one kind are data sets of a modality and task: numbers have no noise of labels.
    """
    kinds: dict[tuple[str, bool], set[str]] = {}
    of = {dataset: (kind, dataset in results.regressions) for dataset, kind in results.modalities.items()}
    for part in (results.cells, results.failed):
        for dataset, condition in part[["dataset", "condition"]].drop_duplicates().to_numpy():
            kinds.setdefault(of[dataset], set()).add(condition)
    return results.n_repetitions * sum(
        len(results.methods_on(dataset, probe)) * len(kinds[of[dataset]])
        for dataset in results.modalities
        for probe in results.probes
    )


def comparison(results: Results, metric: str) -> dict[str, Any]:
    """Whether the learned methods beat the controls: the verdict, and each paired difference."""
    found = compare_with_controls(results, metric)
    judged = []
    for row in verdicts(results, metric, generator=np.random.default_rng(0)):
        lost = row["verdict"] == "worse" or (row["verdict"] == "open" and not row["ahead"])
        state = "good" if row["verdict"] == "better" else "bad" if lost else "open"
        judged.append({**row, "state": state})
    lookup: dict[tuple[str, ...], dict[str, Any]] = {
        (row["dataset"], row["method"], row["probe"], row["condition"], row["control"]): row for row in records(found)
    }
    return {"verdicts": judged, "lookup": lookup, "tables": _difference_tables(results, lookup)}


_CONTROLS = {
    "raw": "the data themselves",
    "random_init": "an encoder before any training",
    "supervised": "the same encoder trained with the labels from scratch (with the probe finetune, where labels train "
    "every network)",
}


def controls_in_words(results: Results) -> list[dict[str, Any]]:
    """Each kind of control that was run: its ``name``, what it is in ``words``, and whether it ``has_network``."""
    found: dict[str, dict[str, Any]] = {}
    for control in results.controls:
        identity = results.identity(control)
        words = _CONTROLS.get(identity.name) or _first_line(identity.name)
        one = found.setdefault(identity.name, {"name": identity.name, "words": words, "has_network": False})
        one["has_network"] |= identity.of_name is not None
    return list(found.values())


def _first_line(method: str) -> str:
    """What a registered method says of itself, inside a sentence."""
    from kinview.methods import methods as registered

    line = (registered[method].target.__doc__ or "").partition("\n")[0] if method in registered else ""
    line = re.sub(r":[a-z]+:`~?([^`]*)`|``([^`]*)``", lambda found: found[1] or found[2], line).strip().rstrip(".")
    line = line.partition(": ")[2] or line  # behind its name
    first = line.split(" ", 1)[0]
    line = line[:1].lower() + line[1:] if first == first.capitalize() else line
    return line or "a method that learns nothing in pre-training"


def metric_notes(titles: Sequence[str]) -> str:
    """How the metrics of these titles are averaged over classes, in sentences; nothing of those that need no word."""
    shown = set(titles)
    notes = [sentence for title, sentence in _AVERAGED.items() if title in shown]
    ranked = [title for title in ("AUROC", "AUPRC") if title in shown]
    if ranked:
        verb = "is that" if len(ranked) == 1 else "are those"
        notes.append(
            f"{' and '.join(ranked)} of two classes {verb} of the second; of more, the mean of one class against the "
            "rest."
        )
    return " ".join(notes)


_AVERAGED = {
    "Balanced accuracy": "Balanced accuracy is the mean recall of the classes.",
    "Macro F1": "Macro F1 is the mean F1 of the classes.",
}


def _difference_tables(results: Results, lookup: Mapping[tuple[str, ...], Any]) -> list[dict[str, Any]]:
    tables, controls = [], control_names(results)
    for probe in results.probes:
        groups = []
        for dataset in results.modalities:
            rows = []
            for method in results.methods_on(dataset, probe):
                for control in controls:
                    cells = [lookup.get((dataset, method, probe, c, control)) for c in results.conditions.index]
                    if any(cells):
                        rows.append({"method": method, "control": control, "cells": cells})
            if rows:
                groups.append({"name": dataset, "rows": rows})
        if groups:
            tables.append({"probe": probe, "groups": groups})
    return tables


def result_tables(
    results: Results, metric: str, lookup: Mapping[tuple[str, ...], Any] | None = None
) -> list[dict[str, Any]]:
    """The results of one metric, one table per probe; with ``lookup`` each entry says how it stands to the controls."""
    table = entries(results, metric)
    conditions = list(results.conditions.index)
    tables, controls = [], control_names(results)
    for probe in results.probes:
        groups = _averages(results, table, probe, metric)
        for dataset, modality in results.modalities.items():
            rows = []
            for method in results.methods_on(dataset, probe):
                cells = []
                for condition in conditions:
                    key = (dataset, method, probe, condition)
                    marks = [(lookup or {}).get((*key, control)) for control in controls]
                    entry = table.get(key, NOTHING)
                    cells.append({"entry": entry, "marks": [mark for mark in marks if mark and entry.n]})
                rows.append({"method": method, "control": method in results.controls, "cells": cells})
            if rows:
                groups.append(
                    {"name": dataset, "modality": NOUNS.get(modality, modality), "rows": rows, "average": False}
                )
        several = sum(not group["average"] for group in groups) > 1
        tables.append({"probe": probe, "groups": groups, "note": units_note(metric) if several else ""})
    return tables


def _averages(
    results: Results, table: Mapping[tuple[str, str, str, str], Entry], probe: str, metric: str
) -> list[dict[str, Any]]:
    """Per modality the average over the data sets on which each method has a value; none of errors in their units."""
    groups: list[dict[str, Any]] = []
    if has_units(metric):
        return groups
    lower, average = lower_is_better(metric), average_word(metric)
    over = np.median if average == "median" else np.mean
    conditions = results.conditions.index
    for modality in dict.fromkeys(results.modalities.values()):
        datasets = [name for name, kind in results.modalities.items() if kind == modality]
        methods = [m for m in results.methods if any(m in results.methods_on(name, probe) for name in datasets)]
        if not methods:
            continue
        means = np.array(
            [[[table.get((d, m, probe, c), NOTHING).mean for c in conditions] for m in methods] for d in datasets]
        )
        complete = ~np.isnan(means).any(axis=(1, 2))
        if complete.sum() < 2:
            continue
        shown = np.round(over(means[complete], axis=0), 3)
        best = (shown == (shown.min(axis=0) if lower else shown.max(axis=0))) & (len(methods) > 1)
        rows = [
            {
                "method": method,
                "control": method in results.controls,
                "cells": [
                    {"entry": Entry(float(value), float("nan"), 1, 1, 1, 0, bool(mark), 0), "marks": []}
                    for value, mark in zip(shown[index], best[index])
                ],
            }
            for index, method in enumerate(methods)
        ]
        name = f"{average} over {complete.sum()} data sets" + (f" of {len(datasets)}" if not complete.all() else "")
        groups.append({"name": name, "modality": NOUNS.get(modality, modality), "rows": rows, "average": True})
    return groups


def checks(results: Results) -> dict[str, Any]:
    """Corruption and noise as realised, the probes that did not converge, and the cells that failed."""
    cells, touched = results.cells, results.conditions[results.conditions["factors"] > 0]
    labels = list(results.conditions.index)
    realised = []
    for dataset in results.modalities:
        rows = cells[cells["dataset"] == dataset]
        shown = [_realised(rows[rows["condition"] == label], touched.loc[label]) for label in touched.index]
        realised.append({"name": dataset, "cells": shown})
    convergence = []
    bad = cells[cells["convergence_failures"].fillna(0) > 0]
    for names, rows in bad.groupby(["dataset", "method", "probe"]):
        row = dict(zip(("dataset", "method", "probe"), names))
        row["fits"] = int(rows["convergence_failures"].sum())
        convergence.append({**row, **_where(rows, labels)})
    failed = []
    messages = [text or "no message was recorded" for text in texts(results.failed, "message")]
    for names, rows in results.failed.assign(message=messages).groupby(["dataset", "method", "message"]):
        failed.append({**dict(zip(("dataset", "method", "message"), names)), **_where(rows, labels)})
    corrupted = touched[(touched["corruption"] != "none") & (touched["corrupt"] != "test")]
    pretrained = sorted(set(corrupted["pretrain_on"]))
    return {
        "pretrained": pretrained,
        "conditions": list(touched.index),
        "meanings": _meanings(touched),
        "realised": realised,
        "convergence": convergence,
        "failed": failed,
    }


def _meanings(touched: pd.DataFrame) -> list[str]:
    """What a realised rate is, of each factor that was varied."""
    found = []
    if (touched["corruption"] != "none").any():
        found.append(
            "the fraction of the observed values that were removed from the training and the test set (of shifts of "
            "values or times the severity that came out, such as the root mean square of noise in standard deviations; "
            "of static columns the fraction of their values, of a missing modality that of the samples)"
        )
    if any(label.startswith("subgroup") for label in touched["corruption"]):
        found.append(
            "of a corruption of a group the head says the rate within the group, the cells that over all samples"
        )
    if (touched["label_noise"] != "none").any():
        found.append("the fraction of training labels that were replaced by a wrong one")
    if (touched["label_fraction"] < 1).any():
        found.append("how many training samples (and groups) kept their label")
    return found


def _where(rows: pd.DataFrame, labels: Sequence[str]) -> dict[str, Any]:
    return {
        "cells": len(rows),
        "probes": sorted(set(rows["probe"])),
        "conditions": [label for label in labels if label in set(rows["condition"])],
        "seeds": sorted(set(rows["seed"])),
    }


def _realised(rows: pd.DataFrame, condition: pd.Series) -> list[str]:
    parts = []
    wanted = {
        "realised_missing_train": ("train", condition["corruption"] != "none" and condition["corrupt"] != "test"),
        "realised_missing_test": ("test", condition["corruption"] != "none" and condition["corrupt"] != "train"),
        "realised_noise": ("labels", condition["label_noise"] != "none"),
    }
    for column, (where, applies) in wanted.items():
        values = rows[column].dropna() if applies else pd.Series(dtype=float)
        if len(values):
            low, high = (f"{100 * value:.1f}" for value in (values.min(), values.max()))
            parts.append(f"{where} {low} %" if low == high else f"{where} {low} to {high} %")
    for column, what in (("labelled_samples", "samples"), ("labelled_groups", "groups")):
        numbers = pd.to_numeric(rows[column]).dropna() if condition["label_fraction"] < 1 else pd.Series(dtype=float)
        if len(numbers):
            least, most = int(numbers.min()), int(numbers.max())
            parts.append(f"{least} {what}" if least == most else f"{least} to {most} {what}")
    return parts


def with_curves(results: Results) -> list[str]:
    """Data sets on which a factor was varied alone."""
    alone = results.conditions.index[results.conditions["factors"] == 1]
    cells = results.cells[results.cells["condition"].isin(alone)]
    return [dataset for dataset in results.modalities if (cells["dataset"] == dataset).any()]


def scatter_groups(embeddings: Mapping[tuple[str, str], Any], results: Results) -> dict[str, dict[str, Any]]:
    """Embeddings by data set and, within it, by method in reading order."""
    datasets: Sequence[str] = [*results.modalities, *sorted({d for d, _ in embeddings} - set(results.modalities))]
    grouped: dict[str, dict[str, Any]] = {}
    for dataset in datasets:
        methods = [method for name, method in embeddings if name == dataset]
        order = {method: index for index, method in enumerate(results.methods)}
        methods.sort(key=lambda method: (order.get(method, len(order)), method))
        if methods:
            grouped[dataset] = {method: embeddings[dataset, method] for method in methods}
    return grouped
