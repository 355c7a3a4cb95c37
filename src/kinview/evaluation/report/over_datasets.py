"""Each method and probe against one reference, over data sets: what the section of the report and the table show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from tabulate import tabulate

from kinview.evaluation.over_datasets import LEAST_DATASETS, paired_difference_over_datasets
from kinview.evaluation.report.cells import Results, records

__all__ = ["against_reference", "difference_words", "find_reference", "interval_words", "reference_lines"]


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
    """Means, paired differences with their intervals, wins, ties and losses, of every method with every probe.

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
    means = results.cells.groupby(["method", "probe", "condition", "dataset"])[metric].mean().reset_index()
    own = means.groupby(["method", "probe", "condition"])[metric].agg(["mean", "count"])
    conditions = list(results.conditions.index)
    rows = []
    for name in results.methods:
        for one in results.probes:
            mine = name == method and probe in (None, one)
            cells: list[dict[str, Any] | None] = [lookup.get((name, one, condition)) for condition in conditions]
            if mine:
                keys = [(name, one, condition) for condition in conditions]
                cells = [
                    {"mean": own.loc[key, "mean"], "datasets": int(own.loc[key, "count"])} if key in own.index else None
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
        f"{metric.replace('_', ' ')} over data sets, paired with {found['reference']} (95 % t interval over data sets)"
    )
    blocks = [title]
    for place, condition in enumerate(found["conditions"]):
        rows = []
        for row in found["rows"]:
            cell = row["cells"][place]
            if cell is not None:
                plain = "reference" if row["is_reference"] else difference_words(cell)
                record = "" if row["is_reference"] else f"{cell['wins']}/{cell['ties']}/{cell['losses']}"
                rows.append([row["method"], row["probe"], cell["datasets"], f"{cell['mean']:.3f}", plain, record])
        heads = [condition.replace("\N{NO-BREAK SPACE}", " "), "probe", "sets", "mean", "difference", "win/tie/loss"]
        if rows:
            blocks.append(tabulate(rows, heads, tablefmt="plain", disable_numparse=True))
    if found["few"]:
        blocks.append(few_datasets())
    return blocks


def few_datasets() -> str:
    """What to say where there are too few data sets for a test."""
    return f"fewer than {LEAST_DATASETS} data sets: an interval, and no test; look at each data set"


def difference_words(cell: Mapping[str, Any]) -> str:
    """A difference with its interval, where there is one: ``+0.012 [+0.003, +0.021]``."""
    return f"{cell['difference']:+.3f}{interval_words(cell)}"


def interval_words(cell: Mapping[str, Any]) -> str:
    """The interval of a difference, after a space; nothing where there is none."""
    return "" if np.isnan(cell["low"]) else f" [{cell['low']:+.3f}, {cell['high']:+.3f}]"
