"""Metrics of predictions with intervals over test patients, differences and subgroups, as tables and as Markdown."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import pandas as pd

from kinview.evaluation.metrics.intervals import differences_with_intervals, metrics_with_intervals
from kinview.evaluation.metrics.subgroups import subgroup_metrics
from kinview.evaluation.metrics.table import METRICS
from kinview.evaluation.report.cells import Results, read_results
from kinview.evaluation.report.markdown import as_text, markdown_table
from kinview.evaluation.report.over_datasets import find_reference
from kinview.evaluation.statistics import CONDITION, normalise_conditions
from kinview.evaluation.store import Store

__all__ = ["PredictionTables", "render_predictions", "tables_of_predictions"]

_BY = ("dataset", "condition", "method", "probe")
_CLEAN = "clean"


@dataclasses.dataclass(frozen=True, eq=False)
class PredictionTables:
    """What was computed from the predictions of a benchmark.

    Parameters
    ----------
    metrics : DataFrame
        One row a data set, condition, method, probe and metric, as :func:`metrics_with_intervals`.
    differences : DataFrame, optional
        To the reference, as :func:`differences_with_intervals`.
    subgroups, gaps : DataFrame, optional
        As :func:`subgroup_metrics`, of the clean condition.
    reference : str, optional
        What the differences are to.
    confidence : float
        Coverage of the intervals.
    n_resamples : int
        Resamples of each interval.
    """

    metrics: pd.DataFrame
    differences: pd.DataFrame | None
    subgroups: pd.DataFrame | None
    gaps: pd.DataFrame | None
    reference: str | None
    confidence: float
    n_resamples: int

    def as_one(self) -> pd.DataFrame:
        """All rows, with the column ``table``: ``metrics``, ``differences``, ``subgroups`` or ``gaps``."""
        parts = {name: getattr(self, name) for name in ("metrics", "differences", "subgroups", "gaps")}
        rows: pd.DataFrame = pd.concat([part.assign(table=name) for name, part in parts.items() if part is not None])
        return rows


def tables_of_predictions(
    store: Store,
    *,
    benchmark: str | None = None,
    metrics: Sequence[Any] | None = None,
    reference: str | None = None,
    subgroups: Sequence[Any] = (),
    static: pd.DataFrame | None = None,
    positive: str | None = None,
    n_resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> PredictionTables:
    """Metrics of the predictions in a store, with intervals over test patients.

    Parameters
    ----------
    store : Store
        The results, with their predictions.
    benchmark : str, optional
        Only the cells of its recorded plan.
    metrics : sequence, optional
        As for :func:`metrics_with_intervals`.
    reference : str, optional
        ``METHOD`` or ``METHOD/PROBE``: differences to it, on the same patients and resamples.
    subgroups : sequence of str or mapping, optional
        As for :func:`subgroup_metrics`; needs ``static``.
    static : DataFrame, optional
        Static columns of the samples, named by its index.
    positive, n_resamples, confidence, seed
        As for :func:`metrics_with_intervals`.

    Raises
    ------
    ValueError
        If the store has no predictions, or as the functions above.
    """
    results = read_results(store.frame(benchmark=benchmark))
    said = store.predictions(benchmark=benchmark)
    if said.empty:
        raise ValueError(
            "the store has no predictions: its cells failed, or an earlier version computed them; run again"
        )
    said = _with_conditions(said, results)
    shared: dict[str, Any] = {
        "positive": positive,
        "undefined": "leave_out",
        "n_resamples": n_resamples,
        "confidence": confidence,
        "seed": seed,
    }
    differences = table = gaps = None
    if reference is not None:
        method, probe = find_reference(results, reference)
        given: Any = method if probe is None else (method, probe)
        differences = differences_with_intervals(said, given, metrics, by=_BY, **shared)
        reference = method if probe is None else f"{method} with the probe {probe}"
    if subgroups:
        if static is None:
            raise ValueError("subgroups go by static columns of the samples; give the data set that has them")
        clean = said[said["condition"] == _CLEAN]
        table, gaps = subgroup_metrics(clean, static, subgroups, metrics, by=_BY, **shared)
    found = metrics_with_intervals(said, metrics, by=_BY, **shared)
    return PredictionTables(found, differences, table, gaps, reference, confidence, n_resamples)


def render_predictions(tables: PredictionTables, *, title: str) -> str:
    """The tables as Markdown: per data set and condition a row a method and probe, a column a metric."""
    interval = f"{tables.confidence:.0%} intervals over {tables.n_resamples:,} resamples of test patients"
    parts = [
        f"# {as_text(title)}",
        f"Computed from predictions; in brackets {interval}, the same for all methods. A metric stays empty where it "
        "is not defined, as a Brier score is for decision values.",
    ]
    for (dataset, condition), rows in tables.metrics.groupby(["dataset", "condition"], sort=False):
        parts += [f"## {as_text(dataset)}, {as_text(condition)}", _facts(rows.iloc[0]), _by_metric(rows, "value")]
        if tables.differences is not None:
            same = (tables.differences["dataset"] == dataset) & (tables.differences["condition"] == condition)
            if same.any():
                parts += [f"Difference to {as_text(tables.reference)}, with p (not corrected for their number):"]
                parts += [_by_metric(tables.differences[same], "difference")]
    if tables.subgroups is not None and tables.gaps is not None:
        parts += ["# Subgroups", "Of the clean condition."]
        for (dataset, column), rows in tables.subgroups.groupby(["dataset", "subgroup"], sort=False):
            parts += [
                f"## {as_text(dataset)}, by {as_text(column)}",
                _by_metric(rows, "value", ("level", "n", "events")),
            ]
            own = (tables.gaps["dataset"] == dataset) & (tables.gaps["subgroup"] == column)
            parts += ["Gap between the highest and the lowest, p corrected by Holm for all gaps of a row's method:"]
            parts += [_gaps(tables.gaps[own])]
            notes = [note for note in dict.fromkeys([*rows["note"], *tables.gaps[own]["note"]]) if note]
            parts += [f"- {as_text(note)}" for note in notes]
    return "\n\n".join(parts) + "\n"


def _with_conditions(said: pd.DataFrame, results: Results) -> pd.DataFrame:
    """Predictions with the label of their condition, in reading order."""
    labels = results.conditions.reset_index(names="condition")[["condition", *CONDITION]]
    labels = labels.assign(order=range(len(labels)))
    merged = normalise_conditions(said).merge(labels, on=list(CONDITION), how="left", validate="many_to_one")
    return merged.sort_values("order", kind="stable").drop(columns="order").reset_index(drop=True)


def _facts(row: pd.Series[Any]) -> str:
    patients = f", {int(row['groups']):,} patients" if row["groups"] != row["n"] else ""
    if pd.isna(row["events"]):
        return f"{int(row['n']):,} samples{patients}."
    return (
        f"{int(row['n']):,} samples{patients}; {int(row['events']):,} of {as_text(row['positive'])} "
        f"({row['prevalence']:.1%})."
    )


def _by_metric(rows: pd.DataFrame, value: str, further: Sequence[str] = ()) -> str:
    """One row a method, probe and what else tells rows apart; one column a metric."""
    metrics = list(dict.fromkeys(rows["metric"]))
    heads = ["method", "probe", *further, *(_title(name) for name in metrics)]
    lines = []
    for key, part in rows.groupby(["method", "probe", *further], sort=False, dropna=False):
        by_name = part.set_index("metric")
        lines.append([*key, *(_cell(by_name.loc[name], value) if name in by_name.index else "" for name in metrics)])
    return markdown_table(heads, lines)


def _cell(row: Any, value: str) -> str:
    if pd.isna(row[value]):
        return "not defined"
    sign = "+" if value == "difference" else ""
    text = f"{row[value]:{sign}.3f}"
    if not pd.isna(row["low"]):
        text += f" [{row['low']:{sign}.3f}, {row['high']:{sign}.3f}]"
    return f"{text}, p {_p(row['p'])}" if value == "difference" else text


def _gaps(gaps: pd.DataFrame) -> str:
    lines = [
        [
            row["method"], row["probe"], _title(row["metric"]), row["worst"], row["highest"], row["lowest"],
            _cell(row, "gap"), _p(row["p_holm"]),
        ]
        for row in gaps.to_dict("records")
    ]  # fmt: skip
    return markdown_table(["method", "probe", "metric", "worst", "highest", "lowest", "gap", "p"], lines)


def _title(label: str) -> str:
    """What a report calls a metric, with the parameters that it was given."""
    name, mark, given = label.partition("(")
    return f"{METRICS[name].title}{' ' if mark else ''}{mark}{given}"


def _p(value: float) -> str:
    return "not tested" if pd.isna(value) else "<0.001" if value < 0.001 else f"{value:.3f}"
