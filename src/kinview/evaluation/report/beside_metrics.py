"""Tables of what results hold beside the metrics of probes: clusters and neighbours of test embeddings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd

from kinview.evaluation.metrics.embeddings import EMBEDDING_METRICS
from kinview.evaluation.report.cells import Results, mean_words, records
from kinview.evaluation.statistics import summarize

__all__ = ["embedding_tables"]


def embedding_tables(results: Results) -> list[dict[str, Any]]:
    """How well test embeddings cluster and find their own class: one table a data set and condition.

    Returns
    -------
    list of dict
        ``dataset``, ``condition``, ``heads`` (titles of the metrics), and ``rows``: ``method``, ``control``, ``cells``
        (text: mean ± standard deviation over seeds and folds). Empty where no cell has them.
    """
    held = [(row, _mapping(row.get("metrics")).get("embedding")) for row in records(results.cells)]
    rows = [{**{name: row[name] for name in _PLACE}, **found} for row, found in held if found]
    if not rows:
        return []
    frame = pd.DataFrame(rows).drop_duplicates(list(_PLACE))  # every probe of a method has the same embedding
    found = []
    for dataset in results.modalities:
        for condition in results.conditions.index:
            own = frame[(frame["dataset"] == dataset) & (frame["condition"] == condition)]
            if own.empty:
                continue
            parts = {name: summarize(own, ["method"], metric=name).set_index("method") for name in EMBEDDING_METRICS}
            methods = [method for method in results.methods if method in set(own["method"])]
            lines = [
                {
                    "method": method, "control": method in results.controls,
                    "cells": [mean_words(*part.loc[method, ["mean", "std"]]) for part in parts.values()],
                }
                for method in methods
            ]  # fmt: skip
            heads = list(EMBEDDING_METRICS.values())
            found.append({"dataset": dataset, "condition": condition, "heads": heads, "rows": lines})
    return found


_PLACE = ("dataset", "condition", "method", "seed", "fold")


def _mapping(value: Any) -> Mapping[str, Any]:
    """Plain data from a column, which holds JSON text or, in a frame that no store gave, the data themselves."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return {}
    return value if isinstance(value, Mapping) else {}
