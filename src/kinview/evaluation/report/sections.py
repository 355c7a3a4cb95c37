"""What the sections of the HTML report show, as plain data for the template."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from kinview.data.modality import NOUNS
from kinview.evaluation.corruptions import corruptions
from kinview.evaluation.report.cells import METRICS, Results, records
from kinview.evaluation.report.table import NOTHING, Entry, compare_with_controls, entries, verdicts
from kinview.files import write_yaml

__all__ = ["checks", "comparison", "facts", "notices", "provenance", "result_tables"]

GLYPHS = {"better": "▲", "higher": "△", "equal": "=", "lower": "▽", "worse": "▼"}
_SETTINGS = ("device", "threads", "precision")


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
            f"{len(results.failed):,} of {len(results.failed) + len(results.cells):,} cells failed; see Checks."
        )
    lacking = _asked(results) - len(results.cells) - len(results.failed)
    if lacking > 0:
        found.append(f"{lacking:,} cells of the grid have no result (– in the tables, or n below the number of seeds).")
    informative = [label for label in sorted(set(results.conditions["corruption"]) - {"none"}) if _uses_labels(label)]
    if informative:
        found.append(
            f"What {', '.join(informative)} removes depends on the labels, of the test part too: that something is "
            "missing tells of the class."
        )
    undefined = int(results.cells[metric].isna().sum())
    if undefined:
        found.append(f"{undefined:,} results have no {METRICS[metric].lower()} (n/a where it is so for every seed).")
    if results.replaced:
        found.append(
            f"{results.replaced:,} older or failed rows describe a cell that has a newer result; the newest is shown."
        )
    return found


def _uses_labels(corruption: str) -> bool:
    """Whether a corruption, by its label, declares that it needs the labels; one that is not installed does not say."""
    name = corruption.split("(", 1)[0]
    return name in corruptions and "y" in getattr(corruptions[name].target, "needs", ())


def _asked(results: Results) -> int:
    """Cells of a whole grid: methods on each data set x the conditions that data of its modality have x repetitions."""
    kinds: dict[str, set[str]] = {}
    for part in (results.cells, results.failed):
        for dataset, condition in part[["dataset", "condition"]].drop_duplicates().to_numpy():
            kinds.setdefault(results.modalities[dataset], set()).add(condition)
    return results.n_repetitions * sum(
        len(results.methods_on(dataset, probe)) * len(kinds[modality])
        for dataset, modality in results.modalities.items()
        for probe in results.probes
    )


def comparison(results: Results, metric: str) -> dict[str, Any]:
    """Whether the learned methods beat the controls: the verdict, and each paired difference."""
    found = compare_with_controls(results, metric)
    judged = []
    for row in verdicts(results, found):
        counts = [(verdict, row[verdict], 100 * row[verdict] / row["comparisons"]) for verdict in GLYPHS]
        lost = row["verdict"] == "worse" or (row["verdict"] == "open" and not row["difference"] > 0)
        state = "good" if row["verdict"] == "better" else "bad" if lost else "open"
        judged.append({**row, "state": state, "counts": [part for part in counts if part[1]]})
    lookup: dict[tuple[str, ...], dict[str, Any]] = {
        (row["dataset"], row["method"], row["probe"], row["condition"], row["control"]): row for row in records(found)
    }
    return {"verdicts": judged, "lookup": lookup, "tables": _difference_tables(results, lookup)}


def _difference_tables(results: Results, lookup: Mapping[tuple[str, ...], Any]) -> list[dict[str, Any]]:
    tables = []
    for probe in results.probes:
        groups = []
        for dataset in results.modalities:
            rows = []
            for method in results.methods_on(dataset, probe):
                for control in results.controls:
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
    tables = []
    for probe in results.probes:
        groups = _averages(results, table, probe)
        for dataset, modality in results.modalities.items():
            rows = []
            for method in results.methods_on(dataset, probe):
                cells = []
                for condition in conditions:
                    key = (dataset, method, probe, condition)
                    marks = [(lookup or {}).get((*key, control)) for control in results.controls]
                    entry = table.get(key, NOTHING)
                    cells.append({"entry": entry, "marks": [mark for mark in marks if mark and entry.n]})
                rows.append({"method": method, "control": method in results.controls, "cells": cells})
            if rows:
                groups.append(
                    {"name": dataset, "modality": NOUNS.get(modality, modality), "rows": rows, "average": False}
                )
        tables.append({"probe": probe, "groups": groups})
    return tables


def _averages(results: Results, table: Mapping[tuple[str, str, str, str], Entry], probe: str) -> list[dict[str, Any]]:
    """Per modality the mean over the data sets on which each method has a value under each condition."""
    groups = []
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
        shown = means[complete].mean(axis=0).round(3)
        best = (shown == shown.max(axis=0)) & (len(methods) > 1)
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
        name = f"mean over {complete.sum()} data sets" + (f" of {len(datasets)}" if not complete.all() else "")
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
    texts = [text or "no message was recorded" for text in _texts(results.failed, "message")]
    for names, rows in results.failed.assign(message=texts).groupby(["dataset", "method", "message"]):
        failed.append({**dict(zip(("dataset", "method", "message"), names)), **_where(rows, labels)})
    corrupted = touched[(touched["corruption"] != "none") & (touched["corrupt"] != "test")]
    pretrained = sorted(set(corrupted["pretrain_on"]))
    return {
        "pretrained": pretrained,
        "conditions": list(touched.index),
        "realised": realised,
        "convergence": convergence,
        "failed": failed,
    }


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


def provenance(results: Results, config: Mapping[str, Any] | None) -> dict[str, Any]:
    """With what the results were made, and how to make them again."""
    cells = pd.concat([results.cells, results.failed]) if len(results.failed) else results.cells
    stamps = [text for text in _texts(cells, "created_at") if text]
    specs = _mappings(cells, "spec")
    settings = {key: _distinct({**spec, **spec.get("environment", {})}.get(key) for spec in specs) for key in _SETTINGS}
    versions: dict[str, list[str]] = {}
    for installed in _mappings(cells, "versions"):
        for package in installed:
            versions.setdefault(str(package), [])
    for package in versions:
        versions[package] = _distinct(installed.get(package) for installed in _mappings(cells, "versions"))
    seconds = float(pd.to_numeric(cells["seconds"]).sum())
    return {
        "newest": max(stamps)[:19] if stamps else "",
        "seeds": ", ".join(map(str, results.seeds)),
        "names": _distinct(_texts(cells, "benchmark")),
        "settings": {key: value for key, value in settings.items() if value},
        "versions": dict(sorted(versions.items())),
        "mixed": any(len(found) > 1 for found in versions.values()),
        "seconds": _duration(seconds),
        "config": write_yaml(dict(config)).strip() if config else "",
    }


def _texts(frame: pd.DataFrame, column: str) -> list[str]:
    return ["" if pd.isna(value) else str(value) for value in frame[column]]


def _mappings(frame: pd.DataFrame, column: str) -> list[Mapping[str, Any]]:
    """A column of mappings or of JSON text, each different one once; what is neither is left out."""
    found: dict[str, Mapping[str, Any]] = {}
    for value in frame[column]:
        text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
        if text in found:
            continue
        try:
            parsed = json.loads(text)
        except ValueError:
            continue
        if isinstance(parsed, dict):
            found[text] = parsed
    return list(found.values())


def _distinct(values: Any) -> list[str]:
    return sorted({str(value) for value in values if value is not None and value != ""})


def _duration(seconds: float) -> str:
    if not seconds > 0:
        return ""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


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
