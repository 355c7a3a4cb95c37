"""Each method and probe against one reference, over data sets: what the section of the report and the table show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from tabulate import tabulate

from kinview.evaluation.metrics.table import METRICS, has_units, is_unbounded
from kinview.evaluation.over_datasets import LEAST_DATASETS, averages_within_datasets, paired_difference_over_datasets
from kinview.evaluation.report.cells import Results, average_word, records, within_sentence

__all__ = [
    "against_reference", "difference_words", "few_datasets", "find_reference", "interval_name", "interval_words",
    "reference_lines", "units_note", "value_words",
]  # fmt: skip


def find_reference(results: Results, text: str) -> tuple[str, str | None]:
    """Method and probe that ``METHOD`` or ``METHOD/PROBE`` names: by their labels, or by a name that only one has.

    Raises
    ------
    ValueError
        If there is none of that name, or several.
    """
    method, _, probe = text.rpartition("/") if "/" in text and text not in results.methods else (text, "", "")
    named = {one: results.identity(one).name for one in results.methods}
    probes = {one: one.split("(", 1)[0] for one in results.probes}
    return _one_of(named, method.strip(), "method", text), _one_of(probes, probe.strip(), "probe", text) or None


def _one_of(named: Mapping[str, str], wanted: str, kind: str, text: str) -> str:
    if wanted in named or not wanted:
        return wanted
    found = [label for label, name in named.items() if name == wanted]
    if len(found) == 1:
        return found[0]
    known = ", ".join(found or named)
    why = f"names {len(found)} of the {kind}s" if found else f"has no {kind} of these results"
    raise ValueError(f"reference={text!r} {why}; give METHOD/PROBE with one of the {kind}s: {known}")


def against_reference(results: Results, metric: str, reference: str) -> dict[str, Any]:
    """Averages over data sets, paired differences, intervals, wins, ties and losses, a row a method and probe.

    Returns
    -------
    dict
        ``reference``, its name; ``conditions``; ``rows`` with ``method``, ``probe``, ``is_reference`` and a cell a
        condition, None where there is no pair; ``few``, whether fewer data sets were paired than a test needs.
    """
    method, probe = find_reference(results, reference)
    by = ("method", "probe", "condition")
    given: Any = method if probe is None else (method, probe)
    compared = paired_difference_over_datasets(results.cells, given, metric=metric, by=by)
    lookup = {(row["method"], row["probe"], row["condition"]): row for row in records(compared)}
    key = ["method", "probe", "condition", "dataset"]
    average = average_word(metric)
    within = averages_within_datasets(results.cells, key, [metric], median=is_unbounded(metric))
    own = within.groupby(["method", "probe", "condition"])[metric].agg([average, "count"])
    if has_units(metric):
        own[average] = own[average].where(own["count"] == 1)
    conditions = list(results.conditions.index)
    rows = []
    for name in results.methods:
        for one in results.probes:
            mine = name == method and probe in (None, one)
            cells: list[dict[str, Any] | None] = [lookup.get((name, one, condition)) for condition in conditions]
            if mine:
                keys = [(name, one, condition) for condition in conditions]
                cells = [
                    {"mean": own.loc[key, average], "datasets": int(own.loc[key, "count"])}
                    if key in own.index
                    else None
                    for key in keys
                ]
            if any(cells):
                rows.append({"method": name, "probe": one, "is_reference": mine, "cells": cells})
    return {
        "reference": method if probe is None else f"{method} with the probe {probe}",
        "conditions": conditions,
        "rows": rows,
        "few": bool((~compared["testable"]).any()),
    }


def reference_lines(found: Mapping[str, Any], metric: str) -> list[str]:
    """The comparison with the reference as text: a block a condition."""
    title = (
        f"{metric.replace('_', ' ')} over data sets, paired with {found['reference']} "
        f"({average_word(metric)} and its {interval_name(metric)} over data sets)"
    )
    blocks = [title]
    for place, condition in enumerate(found["conditions"]):
        rows = []
        for row in found["rows"]:
            cell = row["cells"][place]
            if cell is not None:
                plain = "reference" if row["is_reference"] else difference_words(cell)
                record = "" if row["is_reference"] else f"{cell['wins']}/{cell['ties']}/{cell['losses']}"
                rows.append([row["method"], row["probe"], cell["datasets"], value_words(cell["mean"]), plain, record])
        heads = [
            condition.replace("\N{NO-BREAK SPACE}", " "),
            "probe",
            "sets",
            average_word(metric),
            "difference",
            "win/tie/loss",
        ]
        if rows:
            blocks.append(tabulate(rows, heads, tablefmt="plain", disable_numparse=True))
    if has_units(metric):
        blocks.append(units_note(metric))
    if found["few"]:
        blocks.append(few_datasets())
    return blocks


def few_datasets() -> str:
    """What to say where there are too few data sets for a test."""
    return f"fewer than {LEAST_DATASETS} data sets: an interval, and no test; look at each data set"


def value_words(value: float) -> str:
    """An average as text; a dash where there is none."""
    return "\N{EN DASH}" if np.isnan(value) else f"{value:.3f}"


def units_note(metric: str) -> str:
    """Say that data sets are not averaged where each has units of its own; nothing of another metric."""
    if not has_units(metric):
        return ""
    return (
        f"No average over data sets: {within_sentence(METRICS[metric].title)} is in units of what is predicted, which "
        "no two data sets need share."
    )


def difference_words(cell: Mapping[str, Any]) -> str:
    """A difference with its interval, where there is one: ``+0.012 [+0.003, +0.021]``; a dash where it is unknown."""
    if np.isnan(cell["difference"]):
        return "\N{EN DASH}"
    return f"{cell['difference']:+.3f}{interval_words(cell)}"


def interval_words(cell: Mapping[str, Any]) -> str:
    """The interval of a difference, after a space; nothing where there is none."""
    return "" if np.isnan(cell["low"]) else f" [{cell['low']:+.3f}, {cell['high']:+.3f}]"


def interval_name(metric: str) -> str:
    """What the interval of an average over data sets is called."""
    return "95 % interval (order statistics)" if is_unbounded(metric) else "95 % t interval"
