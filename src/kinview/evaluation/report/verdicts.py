"""Whether each method beats its controls: paired differences within data sets, and the verdict over data sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from kinview.evaluation.metrics.table import METRICS, has_units, is_unbounded, lower_is_better
from kinview.evaluation.over_datasets import difference_over_datasets, judged, paired_within_datasets, side
from kinview.evaluation.report.cells import Results, records
from kinview.evaluation.statistics import paired_differences

__all__ = [
    "compare_with_controls", "control_names", "has_rope", "median_note", "p_words", "probability_words", "test_name",
    "verdict_words", "verdicts", "with_own_probes",
]  # fmt: skip

_COMPARISON = ("dataset", "method", "probe", "condition")


def compare_with_controls(results: Results, metric: str) -> pd.DataFrame:
    """Paired differences of each learned method to its controls, with the columns ``control`` and ``condition``.

    A control that was asked with a probe of its own is compared under it with every probe; one that was asked with
    other probes too is a further control there, named with its probe.

    Which controls are those of a method on a data set, :meth:`~kinview.evaluation.report.cells.Results.controls_of`
    says.
    """
    parts = [
        paired_differences(cells, control, metric=metric, by=_COMPARISON).assign(control=control)
        for control, cells in _by_control(results)
    ]
    if not parts:
        return pd.DataFrame(columns=[*_COMPARISON, "control", "difference", "verdict"])
    return pd.concat(parts, ignore_index=True)


def verdicts(
    results: Results, metric: str, *, probes: Sequence[str] | None = None, generator: np.random.Generator | None = None
) -> list[dict[str, Any]]:
    """How each method stands to each of its controls, over data sets; methods and controls in reading order.

    Parameters
    ----------
    results : Results
        The results.
    metric : str
        Column to compare.
    probes : sequence of str, optional
        Only these probes.
    generator : numpy.random.Generator, optional
        Draws for the posterior; of a metric in units of its own (:func:`has_rope`) there is none.

    Returns
    -------
    list of dict
        What :func:`kinview.evaluation.paired_difference_over_datasets` says of the method against the control, with
        ``control``, ``p_holm``, ``verdict`` and ``beats_all``; ``ahead``, whether its average is the better one;
        ``words``; and ``values``, a row a data set with ``mean``, ``reference`` and ``difference``.
    """
    lower = lower_is_better(metric)
    generator = generator if has_rope(metric) else None
    parts, values = [], dict[tuple[str, str], list[dict[str, Any]]]()
    for control, cells in _by_control(results, probes):
        within = paired_within_datasets(cells, control, metric=metric, by=("method",))
        if within.empty:
            continue
        for method, rows in within.groupby("method"):
            values[str(method), control] = records(rows)
        over = difference_over_datasets(
            within, ["method"], means=("mean", "reference"), generator=generator, lower_is_better=lower,
            median=is_unbounded(metric), units=has_units(metric),
        )  # fmt: skip
        parts.append(over.assign(control=control))
    if not parts:
        return []
    found = records(judged(pd.concat(parts, ignore_index=True), ["method"], lower_is_better=lower))
    found = [{**row, "ahead": side(row, lower) < 0 if lower else side(row, lower) > 0} for row in found]
    order, controls = list(results.methods), control_names(results)
    found.sort(key=lambda row: (order.index(row["method"]), controls.index(row["control"])))
    return [
        {**row, "words": verdict_words(row, row["control"]), "values": values[row["method"], row["control"]]}
        for row in found
    ]


def verdict_words(row: Mapping[str, Any], control: str) -> str:
    """Say in words whether a method beats a control over data sets; a difference that is not shown may be of chance."""
    if row["verdict"] == "not testable":
        return f"is not testable against {control}"
    if row["verdict"] in ("better", "worse"):
        return f"beats {control}" if row["verdict"] == "better" else f"is worse than {control}"
    return f"is not shown to beat {control}" if row["ahead"] else f"does not beat {control}"


def has_rope(metric: str) -> bool:
    """Whether 0.01 is a practical equivalence for a metric: not for an error in the units of what is predicted."""
    return metric not in METRICS or not np.isinf(METRICS[metric].range[1])


def median_note(metric: str) -> str:
    """Say that averages are medians, after a space, where they are; nothing of a metric with bounds."""
    if not is_unbounded(metric):
        return ""
    if has_units(metric):
        return (
            f" {METRICS[metric].title} is in units of what is predicted, which no two data sets need share, so that "
            "several have no average difference: on each the methods are better, equal or worse by the median of the "
            "paired differences over seeds, folds, probes and conditions, and these are counted."
        )
    return (
        f" {METRICS[metric].title} has no bound, so that one cell in which a model went astray would decide a mean: "
        "every average here, over seeds, folds, probes, conditions and data sets, is the median of the paired "
        "differences, and the interval over data sets is that of a median, from their order."
    )


def test_name(metric: str) -> str:
    """What the test over data sets is called."""
    return "the exact sign test" if has_units(metric) else "Wilcoxon's signed-rank test"


def p_words(value: float) -> str:
    """A p-value as text; empty where there is none."""
    return "" if pd.isna(value) else "<0.001" if value < 0.001 else f"{value:.3f}"


def probability_words(row: Mapping[str, Any]) -> str:
    """The posterior as text, better / equivalent / worse in percent; empty where there is none."""
    values = [row.get(name, float("nan")) for name in ("better", "equivalent", "worse")]
    return "" if any(map(pd.isna, values)) else " / ".join(f"{100 * value:.0f}" for value in values)


def with_own_probes(cells: pd.DataFrame) -> pd.DataFrame:
    """Cells in which a control that was asked with a probe of its own stands for every other probe of its data set.

    One with several probes of its own has none that stands for the others; :func:`control_names` has each.
    """
    own = cells[cells["own_probe"].fillna(0).astype(bool)]
    others = cells.drop(own.index)
    parts = [cells]
    for (dataset, method), there in own.groupby(["dataset", "method"]):
        if there["probe"].nunique() > 1:
            continue
        asked = set(cells.loc[(cells["dataset"] == dataset) & (cells["method"] == method), "probe"])
        wanted = sorted(set(others.loc[others["dataset"] == dataset, "probe"]) - asked)
        parts += [there.assign(probe=probe) for probe in wanted]
    return pd.concat(parts, ignore_index=True)


def _by_control(results: Results, probes: Sequence[str] | None = None) -> Iterator[tuple[str, pd.DataFrame]]:
    """Each control with its cells and those of the methods that it is a control of, under the probes that are given."""
    cells = with_own_probes(results.cells)
    apart = _controls_apart(results.cells)
    if probes is not None:
        cells = cells[cells["probe"].isin(probes)]
        apart = {name: (control, rows[rows["probe"].isin(probes)]) for name, (control, rows) in apart.items()}
    learned = cells[~cells["method"].isin(results.controls)]
    pairs = learned[["dataset", "method"]].drop_duplicates()
    answered = {(dataset, method): results.controls_of(method, dataset) for dataset, method in pairs.to_numpy()}
    for control in results.controls:
        chosen = [control in answered[pair] for pair in zip(learned["dataset"], learned["method"], strict=True)]
        compared = learned[chosen]
        references = {control: cells[cells["method"] == control]}
        references |= {name: rows for name, (of, rows) in apart.items() if of == control}
        for name, reference in references.items():
            if len(reference) and len(compared):
                yield name, pd.concat([compared, reference])


def control_names(results: Results) -> list[str]:
    """Controls in reading order, each before those of its kind that have a probe of their own: ``raw / xgboost``."""
    apart = _controls_apart(results.cells)
    return [
        name
        for control in results.controls
        for name in (control, *sorted(name for name, (of, _) in apart.items() if of == control))
    ]


def _controls_apart(cells: pd.DataFrame) -> dict[str, tuple[str, pd.DataFrame]]:
    """Controls with a probe of their own that were asked with others too, by a name of their own, under every other.

    Under the other probes the control without its own stands already, and to beat the controls is to beat both. Of
    several probes of a control's own none stands for the rest, so that each has a name here.
    """
    own = cells[cells["own_probe"].fillna(0).astype(bool)]
    others = cells.drop(own.index)
    parts: dict[str, tuple[str, list[pd.DataFrame]]] = {}
    several = own.groupby(["dataset", "method"])["probe"].transform("nunique") > 1
    for (dataset, method, probe), there in own.groupby(["dataset", "method", "probe"]):
        here = others[others["dataset"] == dataset]
        if here.empty or not ((here["method"] == method).any() or several[there.index].any()):
            continue
        name = f"{method} / {probe}"
        made = [there.assign(method=name, probe=wanted) for wanted in sorted(set(here["probe"]))]
        parts.setdefault(name, (str(method), []))[1].extend(made)
    return {name: (method, pd.concat(rows, ignore_index=True)) for name, (method, rows) in parts.items()}
