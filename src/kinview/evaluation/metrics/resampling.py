"""Values of metrics, and their values in resamples that all comparisons on a test set share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from kinview.evaluation.metrics.bootstrap import Bootstrap
from kinview.evaluation.metrics.cells import Cell, Samples
from kinview.evaluation.metrics.outputs import Classification, mean_defined
from kinview.evaluation.metrics.table import METRICS, Metric, as_metric

__all__ = ["MetricSpec", "Resampled", "chosen_metrics", "described", "resampled"]

MetricSpec = str | Mapping[str, Any] | Metric


class Resampled(NamedTuple):
    """Values of some metrics, each the mean over some cells.

    ``values`` are of shape (metrics,), ``draws``, those in each resample, of shape (metrics, resamples).
    """

    values: Float[np.ndarray, " metrics"]
    draws: Float[np.ndarray, "metrics resamples"]


Undefined = Literal["refuse", "leave_out"]
"""What becomes of a metric that was asked for and is not defined for some predictions."""


def chosen_metrics(
    metrics: Sequence[MetricSpec] | None, cells: Sequence[Cell], undefined: Undefined = "refuse"
) -> list[Metric]:
    """The metrics that are asked for; by default all that are defined for these cells and need no parameter.

    Raises
    ------
    ValueError
        If one that is asked for is not defined for one of the cells, unless it is to be left out.
    """
    if undefined not in ("refuse", "leave_out"):
        raise ValueError(f"undefined={undefined!r} is unknown; use 'refuse' or 'leave_out'")
    if metrics is None:
        return [metric for metric in METRICS.values() if not any(metric.why_not(cell.said) for cell in cells)]
    if isinstance(metrics, str | Mapping | Metric) or not metrics:
        raise ValueError(f"metrics is a list of metrics, at least one; got {metrics!r}: write ['auroc'], for example")
    found = [as_metric(spec) for spec in metrics]
    if undefined == "leave_out":
        return [metric for metric in found if not any(metric.why_not(cell.said) for cell in cells)]
    for metric in found:
        for cell in cells:
            problem = metric.why_not(cell.said)
            if problem:
                raise ValueError(f"{problem} (predictions of {cell.shown})")
    return found


def resampled(bootstrap: Bootstrap, wanted: Sequence[tuple[Sequence[Cell], Sequence[Metric]]]) -> list[Resampled]:
    """Values of metrics, averaged over the cells in which they are defined, and the same in every resample."""
    values = [
        mean_defined(_stacked([[metric(cell.said) for metric in metrics] for cell in cells], len(metrics)))
        for cells, metrics in wanted
    ]
    draws = [np.empty((len(metrics), bootstrap.n_resamples)) for _, metrics in wanted]
    start = 0
    for weights in bootstrap.blocks():
        stop = start + len(weights)
        for place, (cells, metrics) in enumerate(wanted):
            of_cells = [[metric(cell.said, own) for metric in metrics] for cell, own in _own_weights(cells, weights)]
            draws[place][:, start:stop] = mean_defined(_stacked(of_cells, len(metrics), len(weights)))
        start = stop
    return [Resampled(*pair) for pair in zip(values, draws, strict=True)]


def _stacked(of_cells: list[Any], *shape: int) -> Float[np.ndarray, cells * shape]:
    """Values of each cell in one array, also where no metric is defined."""
    return np.array(of_cells, dtype=np.float64).reshape(len(of_cells), *shape)


def described(samples: Samples, cells: Sequence[Cell]) -> dict[str, Any]:
    """What the values rest on: cells that are averaged, distinct samples, groups, and of two classes the events."""
    rows = np.unique(np.concatenate([cell.rows for cell in cells]))
    said = [cell.said for cell in cells]
    events: int | None = None
    if all(isinstance(one, Classification) and one.binary for one in said):
        positive = np.concatenate([cell.rows[cell.said.positive] for cell in cells])  # type: ignore[union-attr]
        events = len(np.unique(positive))
    return {
        "cells": len(cells),
        "n": len(rows),
        "groups": len(np.unique(samples.groups[rows])),
        "positive": "" if events is None else cells[0].said.classes[1],  # type: ignore[union-attr]
        "events": events,
        "prevalence": float("nan") if events is None else events / len(rows),
    }


def _own_weights(cells: Sequence[Cell], weights: Float[np.ndarray, "draws n"]) -> Any:
    for cell in cells:
        yield cell, weights if len(cell.rows) == weights.shape[1] else weights[:, cell.rows]
