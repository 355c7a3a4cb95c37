"""What results hold beside the metrics of probes: clusters and neighbours of embeddings, and how two sides meet."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from kinview.evaluation.metrics.embeddings import EMBEDDING_METRICS
from kinview.evaluation.metrics.two_sides import SIDE_METRICS
from kinview.evaluation.report.cells import Results, mean_words, records
from kinview.evaluation.report.figures import Style, legend, look_of
from kinview.evaluation.report.svg import Drawn, colour
from kinview.evaluation.statistics import summarize

if TYPE_CHECKING:
    from kinview.evaluation.report.svg import Build

__all__ = ["embedding_tables", "side_figures", "side_tables"]


def embedding_tables(results: Results) -> list[dict[str, Any]]:
    """How well test embeddings cluster and find their own class: one table a data set and condition.

    Returns
    -------
    list of dict
        ``dataset``, ``condition``, ``heads`` (titles of the metrics), and ``rows``: ``method``, ``control``, ``cells``
        (text: mean ± standard deviation over seeds and folds). Empty where no cell has them.
    """
    return _tables(results, "embedding", EMBEDDING_METRICS)


def side_tables(results: Results) -> list[dict[str, Any]]:
    """How well the two sides of test samples find each other, and how far apart they stand; as the tables above."""
    return _tables(results, "sides", SIDE_METRICS)


def _held(results: Results, kind: str) -> pd.DataFrame:
    """Measurements of a kind, one row an embedding: every probe of a method has the same one."""
    held = [(row, _mapping(row.get("metrics")).get(kind)) for row in records(results.cells)]
    rows = [{**{name: row[name] for name in _PLACE}, **found} for row, found in held if found]
    return pd.DataFrame(rows, columns=None if rows else list(_PLACE)).drop_duplicates(list(_PLACE))


def _tables(results: Results, kind: str, titles: Mapping[str, str]) -> list[dict[str, Any]]:
    frame = _held(results, kind)
    found: list[dict[str, Any]] = []
    for dataset in results.modalities:
        for condition in results.conditions.index:
            own = frame[(frame["dataset"] == dataset) & (frame["condition"] == condition)]
            if own.empty:
                continue
            parts = {name: summarize(own, ["method"], metric=name).set_index("method") for name in titles}
            methods = [method for method in results.methods if method in set(own["method"])]
            lines = [
                {
                    "method": method, "control": method in results.controls,
                    "cells": [mean_words(*part.loc[method, ["mean", "std"]]) for part in parts.values()],
                }
                for method in methods
            ]  # fmt: skip
            heads = list(titles.values())
            found.append({"dataset": dataset, "condition": condition, "heads": heads, "rows": lines})
    return found


def side_figures(results: Results, styles: Mapping[str, Style], *, with_legend: bool = True) -> dict[str, Build]:
    """A figure a data set: how often a side finds the other as both are moved along the gap between them."""
    frame = _held(results, "sides")
    clean = frame[frame["condition"] == "clean"]
    return {
        f"gap_{dataset}": functools.partial(_gap, str(dataset), own, styles, with_legend)
        for dataset, own in clean.groupby("dataset", sort=False)
    }


def _gap(dataset: str, cells: pd.DataFrame, styles: Mapping[str, Style], with_legend: bool) -> Drawn:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.3, 3.2), layout="constrained")
    axes = figure.subplots()
    drawn = {method: styles[method] for method in styles if method in set(cells["method"])}
    for method, style in drawn.items():
        own = cells[cells["method"] == method]
        curve = pd.DataFrame([_mapping(one) for one in own["shifts"]]).rename(columns=float).mean().sort_index()
        look = look_of(style)
        axes.plot(curve.index, curve, **look)
        axes.axvline(own["gap"].mean(), color=look["color"], lw=0.9, ls=(0, (2, 2)), alpha=0.7)
    axes.axhline(cells["chance_at_10"].mean(), color=colour("muted"), lw=0.9)
    axes.annotate("chance", (-1, cells["chance_at_10"].mean()), (2, 2), textcoords="offset points", size=7.5)
    axes.set(xlabel="both sides moved towards each other by", ylabel="Recall@10", ylim=(0, None))
    if with_legend:
        legend(figure, drawn)
    return Drawn(figure, f"Recall@10 of the two sides on {dataset} as the gap between them is closed and widened")


_PLACE = ("dataset", "condition", "method", "seed", "fold")


def _mapping(value: Any) -> Mapping[str, Any]:
    """Plain data from a column, which holds JSON text or, in a frame that no store gave, the data themselves."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return {}
    return value if isinstance(value, Mapping) else {}
