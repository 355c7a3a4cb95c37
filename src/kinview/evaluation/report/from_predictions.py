"""Metrics of predictions with intervals over test patients, differences and subgroups, as tables and as Markdown."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import pandas as pd

from kinview.evaluation.metrics.intervals import differences_with_intervals, metrics_with_intervals
from kinview.evaluation.metrics.subgroups import subgroup_metrics
from kinview.evaluation.metrics.table import METRICS
from kinview.evaluation.report.cells import Results, read_results
from kinview.evaluation.report.markdown import as_text, markdown_table
from kinview.evaluation.report.over_datasets import find_reference
from kinview.evaluation.report.verdicts import p_words
from kinview.evaluation.statistics import CONDITION, normalise_conditions
from kinview.evaluation.store import Store

__all__ = ["PredictionTables", "render_predictions", "subgroup_tables", "tables_of_predictions"]

_BY = ("dataset", "condition", "method", "probe")
_CLEAN = "clean"
_ACROSS = 4  # metrics that a table of subgroups has beside each other
_NO_GAPS = "No gap between the groups of {column} is defined: no metric has a value in two of them."


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
    subgroups: Sequence[Any] | Mapping[str, Sequence[Any]] = (),
    static: pd.DataFrame | Mapping[str, pd.DataFrame] | None = None,
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
        As for :func:`subgroup_metrics`, of all data sets, or by the name of each; needs ``static``.
    static : DataFrame or mapping, optional
        Static columns of the samples, named by its index; by the name of the data set where ``subgroups`` are.
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
        asked = {"": subgroups} if not isinstance(subgroups, Mapping) else subgroups
        parts = []
        for name, columns in asked.items():
            known = static[name] if isinstance(static, Mapping) else static
            own = clean[clean["dataset"] == name] if isinstance(subgroups, Mapping) else clean
            parts.append(subgroup_metrics(own, known, columns, metrics, by=_BY, **shared))
        table, gaps = (pd.concat(found, ignore_index=True) for found in zip(*parts, strict=True))
    found = metrics_with_intervals(said, metrics, by=_BY, **shared)
    return PredictionTables(found, differences, table, gaps, reference, confidence, n_resamples)


def render_predictions(tables: PredictionTables, *, title: str) -> str:
    """The tables as Markdown: per data set and condition a row a method and probe, a column a metric."""
    interval = f"{tables.confidence:.0%} intervals over {tables.n_resamples:,} resamples of test patients"
    parts = [
        f"# {as_text(title)}",
        f"Computed from predictions; in brackets {interval}, the same for all methods. A metric stays empty where it "
        "is not defined, as a Brier score is for decision values. Values are means over seeds and folds.",
    ]
    for (dataset, condition), rows in tables.metrics.groupby(["dataset", "condition"], sort=False):
        most = int(tables.metrics.loc[tables.metrics["dataset"] == dataset, "cells"].max())
        parts += [f"## {as_text(dataset)}, {as_text(condition)}", _facts(rows, most), _by_metric(rows, "value")]
        if tables.differences is not None:
            same = (tables.differences["dataset"] == dataset) & (tables.differences["condition"] == condition)
            if same.any():
                parts += [f"Difference to {as_text(tables.reference)}, with p (not corrected for their number):"]
                parts += [_by_metric(tables.differences[same], "difference")]
    groups = subgroup_tables(tables)
    if groups:
        parts += ["# Subgroups", "Of the clean condition."]
    for one in groups:
        parts += [
            f"## {as_text(one['dataset'])}, by {as_text(one['column'])}",
            *(markdown_table(part["heads"], part["rows"]) for part in one["parts"]),
        ]
        if one["gaps"]:
            parts += ["Gap between the highest and the lowest, p corrected by Holm for all gaps of a row's method:"]
            parts += [markdown_table(one["gap_heads"], one["gaps"])]
        parts += [as_text(one["no_gaps"])] if one["no_gaps"] else []
        parts += [f"- {as_text(note)}" for note in one["notes"]]
    return "\n\n".join(parts) + "\n"


def _with_conditions(said: pd.DataFrame, results: Results) -> pd.DataFrame:
    """Predictions with the label of their condition, in reading order."""
    labels = results.conditions.reset_index(names="condition")[["condition", *CONDITION]]
    labels = labels.assign(order=range(len(labels)))
    merged = normalise_conditions(said).merge(labels, on=list(CONDITION), how="left", validate="many_to_one")
    return merged.sort_values("order", kind="stable").drop(columns="order").reset_index(drop=True)


def _facts(rows: pd.DataFrame, most: int) -> str:
    """What the values rest on, and that some rest on fewer seeds and folds than others, because cells failed."""
    row = rows.iloc[int(rows["n"].to_numpy().argmax())]
    patients = f", {int(row['groups']):,} patients" if row["groups"] != row["n"] else ""
    events = ""
    if not pd.isna(row["events"]):
        events = f"; {int(row['events']):,} of {as_text(row['positive'])} ({row['prevalence']:.1%})"
    fewest = int(rows["cells"].min())
    lacking = f" **Some values are of {fewest} seeds and folds instead of {most}.**" if fewest < most else ""
    return f"{int(row['n']):,} samples{patients}{events}.{lacking}"


def subgroup_tables(tables: PredictionTables) -> list[dict[str, Any]]:
    """Tables of each column that subgroups go by, as text.

    Returns
    -------
    list of dict
        ``dataset``, ``column``; ``parts``, tables of a few metrics each: ``heads`` and ``rows``, a row a method, probe
        and subgroup, and ``words``, which part it is; ``gap_heads`` and ``gaps``; ``no_gaps``, a sentence where no gap
        is defined; ``notes`` on what was too small.
    """
    if tables.subgroups is None or tables.gaps is None:
        return []
    found = []
    for (dataset, column), rows in tables.subgroups.groupby(["dataset", "subgroup"], sort=False):
        gaps = tables.gaps[(tables.gaps["dataset"] == dataset) & (tables.gaps["subgroup"] == column)]
        notes = [f"{level}: {note}" for level, note in zip(rows["level"], rows["note"], strict=True) if note]
        notes += [note for note in gaps["note"] if note]
        metrics = list(dict.fromkeys(rows["metric"]))
        number = -(-len(metrics) // _ACROSS)
        bounds = [len(metrics) * place // number for place in range(number + 1)]
        parts: list[dict[str, Any]] = []
        for start, stop in pairwise(bounds):
            heads, lines = _lines(rows[rows["metric"].isin(metrics[start:stop])], "value", ("level", "n", "events"))
            parts.append({"heads": heads, "rows": lines, "words": f", part {len(parts) + 1}" if number > 1 else ""})
        defined = bool(gaps["gap"].notna().any())
        found.append({
            "dataset": dataset, "column": column, "parts": tuple(parts), "gap_heads": _GAP_HEADS,
            "gaps": _gaps(gaps) if defined else (), "notes": tuple(dict.fromkeys(notes)),
            "no_gaps": "" if defined else _NO_GAPS.format(column=column),
        })  # fmt: skip
    return found


def _by_metric(rows: pd.DataFrame, value: str) -> str:
    return markdown_table(*_lines(rows, value))


def _lines(
    rows: pd.DataFrame, value: str, further: Sequence[str] = ()
) -> tuple[tuple[str, ...], tuple[tuple[Any, ...], ...]]:
    """Heads, and one row a method, probe and what else tells rows apart; one column a metric."""
    metrics = list(dict.fromkeys(rows["metric"]))
    heads = ("method", "probe", *further, *(_title(name) for name in metrics))
    lines = []
    for key, part in rows.groupby(["method", "probe", *further], sort=False, dropna=False):
        by_name = part.set_index("metric")
        cells = (_cell(by_name.loc[name], value) if name in by_name.index else "" for name in metrics)
        names: tuple[Any, ...] = key
        lines.append((*("" if pd.isna(one) else one for one in names), *cells))
    return heads, tuple(lines)


def _cell(row: Any, value: str) -> str:
    if pd.isna(row[value]):
        return "not defined"
    sign = "+" if value == "difference" else ""
    text = f"{row[value]:{sign}.3f}"
    if not pd.isna(row["low"]):
        text += f" [{row['low']:{sign}.3f}, {row['high']:{sign}.3f}]"
    return f"{text}, p {p_words(row['p'])}" if value == "difference" else text


_GAP_HEADS = ("method", "probe", "metric", "worst", "highest", "lowest", "gap", "p")


def _gaps(gaps: pd.DataFrame) -> tuple[tuple[Any, ...], ...]:
    return tuple(
        (
            row["method"], row["probe"], _title(row["metric"]), row["worst"], row["highest"], row["lowest"],
            _cell(row, "gap"), p_words(row["p_holm"]),
        )
        for row in gaps.to_dict("records")
    )  # fmt: skip


def _title(label: str) -> str:
    """What a report calls a metric, with the parameters that it was given."""
    name, mark, given = label.partition("(")
    return f"{METRICS[name].title}{' ' if mark else ''}{mark}{given}"
