"""What a store knows of the data sets, of the labels that training saw, and of the time that was spent."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from kinview.data.modality import NOUNS
from kinview.evaluation.report.cells import Results, records

__all__ = ["costs", "data_sets", "transitions"]

_CLASSES = 12  # named with their counts; of more the number


def data_sets(results: Results, predictions: pd.DataFrame | None) -> list[dict[str, Any]]:
    """Each data set: kind of data, training samples, test samples, groups and classes, as far as they are stored.

    Training samples are those whose label was known where no budget took one, test samples those of one seed, all its
    folds together.
    """
    found = []
    for dataset, modality in results.modalities.items():
        rows = results.cells[results.cells["dataset"] == dataset]
        whole = rows[rows["label_fraction"] == 1]
        found.append({
            "name": dataset, "kind": NOUNS.get(modality, modality),
            "train": _range(whole["labelled_samples"]), "groups": _range(whole["labelled_groups"]),
            **_test_part(dataset, predictions, numbers=dataset in results.regressions),
        })  # fmt: skip
    return found


def _test_part(dataset: str, predictions: pd.DataFrame | None, *, numbers: bool) -> dict[str, str]:
    if predictions is None:
        return {"test": "", "test_groups": "", "classes": ""}
    said = predictions[predictions["dataset"] == dataset].drop_duplicates("sample")
    groups = said["group"].nunique()
    return {
        "test": f"{len(said):,}" if len(said) else "",
        "test_groups": f"{groups:,}" if groups else "",
        "classes": _numbers(said["y"]) if numbers else _classes(said["y"]),
    }


def _classes(y: pd.Series) -> str:
    counts = y.value_counts().sort_index()
    if len(counts) > _CLASSES:
        return f"{len(counts)}, of {counts.min():,} to {counts.max():,} samples"
    return ", ".join(f"{label}: {number:,}" for label, number in counts.items())


def _numbers(y: pd.Series) -> str:
    known = pd.to_numeric(y).dropna()
    return f"numbers, {known.min():g} to {known.max():g}" if len(known) else ""


def _range(values: pd.Series) -> str:
    numbers = pd.to_numeric(values).dropna()
    if not len(numbers):
        return ""
    low, high = int(numbers.min()), int(numbers.max())
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def transitions(results: Results) -> list[dict[str, Any]]:
    """Realised noise of the training labels, by data set and noise: how often a class was labelled as which.

    Counts are summed over seeds and folds, each counted once, whatever the methods and probes that saw these labels.

    Returns
    -------
    list of dict
        ``dataset``, ``condition``, ``classes``, ``rate`` (fraction of wrong labels), ``samples`` and ``rows``: a class,
        and for each class the fraction of it that was labelled so.
    """
    if "realised_transition" not in results.cells:
        return []
    noisy = results.cells[results.cells["realised_transition"].notna() & (results.cells["label_noise"] != "none")]
    found = []
    for dataset in results.modalities:
        for condition in results.conditions.index:
            rows = noisy[(noisy["dataset"] == dataset) & (noisy["condition"] == condition)]
            stored = rows.drop_duplicates(["seed", "fold"])["realised_transition"]
            drawn = [one for one in map(_parsed, stored) if one is not None]
            if drawn:
                found.append({"dataset": dataset, "condition": condition, **_summed(drawn)})
    return found


def _parsed(text: Any) -> Mapping[str, Any] | None:
    value = json.loads(text) if isinstance(text, str) else text
    return value if isinstance(value, Mapping) and {"classes", "counts"} <= set(value) else None


def _summed(drawn: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Transition matrix of several draws, whose classes may differ: a fold may lack one."""
    classes = sorted({str(label) for one in drawn for label in one["classes"]})
    total = np.zeros((len(classes), len(classes)))
    for one in drawn:
        place = [classes.index(str(label)) for label in one["classes"]]
        total[np.ix_(place, place)] += np.asarray(one["counts"], dtype=np.float64)
    of = total.sum(axis=1)
    rows = [
        {"label": label, "samples": int(of[k]), "fractions": (total[k] / of[k] if of[k] else np.nan * of).tolist()}
        for k, label in enumerate(classes)
    ]
    wrong = 1 - np.trace(total) / total.sum() if total.sum() else float("nan")
    return {"classes": classes, "rows": rows, "rate": float(wrong), "samples": int(total.sum())}


def costs(results: Results) -> list[dict[str, Any]]:
    """Seconds that a probe took on a method's features, by method and probe, in reading order.

    Returns
    -------
    list of dict
        ``method``, ``probe``, ``cells``, and the ``median``, ``highest`` and ``total`` of their seconds.
    """
    timed = results.cells.assign(seconds=pd.to_numeric(results.cells["seconds"]))
    timed = timed[timed["seconds"] > 0]
    grouped = timed.groupby(["method", "probe"])["seconds"]
    rows = records(grouped.agg(cells="size", median="median", highest="max", total="sum").reset_index())
    order = {name: place for place, name in enumerate([*results.methods, *results.probes])}
    return sorted(rows, key=lambda row: (order[row["method"]], order[row["probe"]]))
