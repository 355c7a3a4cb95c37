"""Response curves: a metric against the values that the grids of a benchmark put into a method."""

from __future__ import annotations

import dataclasses
import functools
import json
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from tabulate import tabulate

from kinview.data.modality import NOUNS
from kinview.evaluation.benchmark.sweeps import shown_value
from kinview.evaluation.metrics import table as metrics_table
from kinview.evaluation.metrics.table import has_units, is_unbounded
from kinview.evaluation.report.cells import METRICS, Results, average_word, records
from kinview.evaluation.report.figures import class_styles, folded, look_of
from kinview.evaluation.report.over_datasets import interval_name, units_note, value_words
from kinview.evaluation.report.svg import Build, Drawn, colour, printable
from kinview.evaluation.statistics import confidence_interval, median_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Sweep", "response", "sweep_figures", "sweep_lines", "sweep_sections", "sweeps_of"]

_COLUMNS = (
    "sweep", "probe", "condition", "values", "x", "line", "mean", "low", "high", "datasets", "repetitions",
)  # fmt: skip
_PANEL = (3.1, 2.3)  # inches
_ACROSS = 96  # characters across all panels of a row
_UPRIGHT = 30  # characters of a line that stands upright
_UPRIGHT_LETTER = 0.06  # inches of one of them
_WIDE = 16  # an axis whose ends are this many times apart is drawn by ratios


@dataclasses.dataclass(frozen=True)
class Sweep:
    """Variants of one method on data of one modality.

    Parameters
    ----------
    of : str
        Label of the method that is varied.
    modality : str
        Of the data sets.
    parameters : tuple of str
        What varies, that with the most values first: it is the axis of the curve.
    variants : dict
        Label of a method to its value of each parameter; in the order of their values.
    """

    of: str
    modality: str
    parameters: tuple[str, ...]
    variants: Mapping[str, tuple[Any, ...]]

    @property
    def name(self) -> str:
        """Name of its figure, and of the file of that."""
        return "_".join(["sweep", self.modality, self.of, *self.parameters])

    @property
    def title(self) -> str:
        """What is varied of which method."""
        return f"{self.of}: {', '.join(self.parameters)}"


def sweeps_of(results: Results) -> list[Sweep]:
    """The sweeps of some results; the column ``sweeps`` of their frame names them."""
    if "sweeps" not in results.cells:
        return []
    found: dict[tuple[str, str, tuple[str, ...]], dict[str, Mapping[str, Any]]] = {}
    rows = results.cells[["method", "modality", "sweeps"]].dropna().drop_duplicates()
    for row in records(rows):
        for one in json.loads(row["sweeps"]):
            key = (one["of"], row["modality"], tuple(sorted(one["values"])))
            found.setdefault(key, {})[row["method"]] = one["values"]
    made = []
    for (of, modality, names), by_method in found.items():
        many = {name: len({shown_value(values[name]) for values in by_method.values()}) for name in names}
        parameters = tuple(sorted(names, key=lambda name: (-many[name], name)))
        chosen = {method: tuple(values[name] for name in parameters) for method, values in by_method.items()}
        ordered = dict(sorted(chosen.items(), key=lambda item: [_rank(value) for value in item[1]]))
        made.append(Sweep(of, modality, parameters, ordered))
    return sorted(made, key=lambda sweep: (sweep.modality != "time_series", sweep.of, sweep.parameters))


def response(results: Results, metric: str) -> pd.DataFrame:
    r"""Mean of each variant of each sweep, with its interval.

    With :math:`m_{dsf}(v)` the metric of the variant with value :math:`v` on data set :math:`d` with seed :math:`s` and
    fold :math:`f`,

    .. math:: \bar m_d(v) = \operatorname{mean}_s \operatorname{mean}_f\, m_{dsf}(v), \qquad
              \bar m(v) = \operatorname{mean}_d\, \bar m_d(v)

    over the data sets on which every variant has a value, so that a curve does not change its data sets on the way. The
    interval is Student's, over data sets where there are several, over the seeds of the one data set otherwise. Of a
    metric without a bound each mean is a median, and the interval that of a median; of an error in the
    units of what is predicted several data sets have no average.

    Parameters
    ----------
    results : Results
        Results in reading order.
    metric : str
        Column to average.

    Returns
    -------
    DataFrame
        A row a sweep (its number in :func:`sweeps_of`), probe, condition and variant: ``values`` as text, ``x`` and
        ``line`` (the values of the first parameter and of the others), ``mean``, ``low``, ``high`` (NaN with one data
        set and seed), ``datasets``, and ``repetitions``, the seeds of the single data set, 0 with several.
    """
    rows = []
    for number, sweep in enumerate(sweeps_of(results)):
        cells = results.cells[(results.cells["modality"] == sweep.modality)].dropna(subset=[metric])
        cells = cells[cells["method"].isin(sweep.variants)]
        for probe in results.probes:
            for condition in results.conditions.index:
                chosen = cells[(cells["probe"] == probe) & (cells["condition"] == condition)]
                variants = chosen.groupby("dataset")["method"].nunique()
                chosen = chosen[chosen["dataset"].isin(variants.index[variants == len(sweep.variants)])]
                for method, values in sweep.variants.items() if len(chosen) else ():
                    mine = chosen[chosen["method"] == method]
                    rows.append((number, probe, condition, *_described(values), *_averaged(mine, metric)))
    found = pd.DataFrame(rows, columns=list(_COLUMNS))
    found["x"] = pd.Series([row[_COLUMNS.index("x")] for row in rows], dtype=object)  # 8 is not to become 8.0
    return found


def sweep_lines(results: Results, metric: str, probes: Sequence[str], width: int = 100) -> list[str]:
    """Text tables of the sweeps, one a sweep and probe: values down, conditions across, as many as the width takes."""
    found, sweeps = response(results, metric), sweeps_of(results)
    blocks = []
    groups: Any = found[found["probe"].isin(probes)].groupby(["sweep", "probe"], sort=False)
    for (number, probe), rows in groups:
        sweep = sweeps[number]
        conditions, table = _table(rows)
        heads = [", ".join(sweep.parameters), *conditions]
        shown = f"{average_word(metric)}, {_interval_of(rows, metric)}"
        head = f"{metric.replace('_', ' ')} of {sweep.title}, probe {probe}, {shown}"
        bodies, first = list[str](), 1
        while first < len(heads):
            fitting = [_columns(heads, table, first, last) for last in range(first + 1, len(heads) + 1)]
            narrow = [body for body in fitting if max(map(len, body.split("\n"))) <= width] or fitting[:1]
            bodies.append(narrow[-1])
            first += len(narrow)
        blocks.append("\n\n".join([head, *bodies]).replace("\N{NO-BREAK SPACE}", " "))
    return blocks


def _columns(heads: Sequence[str], table: Sequence[Sequence[str]], first: int, last: int) -> str:
    """The column of values and some of the conditions, as text."""
    rows = [[row[0], *row[first:last]] for row in table]
    return tabulate(rows, [heads[0], *heads[first:last]], tablefmt="plain", disable_numparse=True)


def sweep_sections(results: Results, metric: str) -> list[dict[str, Any]]:
    """What a page shows of each sweep: title, name of its figure, and a table a probe."""
    found = response(results, metric)
    sections = []
    for number, sweep in enumerate(sweeps_of(results)):
        rows = found[found["sweep"] == number]
        tables = []
        for probe, mine in rows.groupby("probe", sort=False):
            conditions, table = _table(mine)
            tables.append(
                {"probe": probe, "conditions": conditions, "rows": table, "interval": _interval_of(mine, metric)}
            )
        if tables:
            sections.append({
                "title": sweep.title, "data": NOUNS.get(sweep.modality, sweep.modality), "tables": tables,
                "parameters": ", ".join(sweep.parameters), "figure": sweep.name, "loss_figure": f"loss_{sweep.name}",
            })  # fmt: skip
    return sections


def sweep_figures(results: Results, metric: str) -> dict[str, Build]:
    """The curve of each sweep of several variants that was run on clean data, by the name that its section has."""
    found = response(results, metric)
    drawn: dict[str, Build] = {}
    for number, sweep in enumerate(sweeps_of(results)):
        clean = found[(found["sweep"] == number) & (found["condition"] == "clean")]
        if clean["mean"].notna().any() and len(sweep.variants) > 1:
            drawn[sweep.name] = functools.partial(_drawn, sweep, clean, metric)
    return drawn


def _described(values: Sequence[Any]) -> tuple[str, Any, str]:
    texts = [shown_value(value) for value in values]
    return ", ".join(texts), values[0], ", ".join(texts[1:])


def _averaged(cells: pd.DataFrame, metric: str) -> tuple[float, float, float, int, int]:
    """Mean (or median), interval, data sets, and seeds of a single data set."""
    average = average_word(metric)
    interval = median_interval if is_unbounded(metric) else confidence_interval
    over_folds = cells.groupby(["dataset", "seed"])[metric].agg(average)
    by_dataset = over_folds.groupby("dataset").agg(average)
    middle = float(by_dataset.agg(average))
    if len(by_dataset) > 1 and has_units(metric):
        return (float("nan"), float("nan"), float("nan"), len(by_dataset), 0)
    if len(by_dataset) > 1:
        return (middle, *interval(by_dataset.to_numpy()), len(by_dataset), 0)
    return (middle, *interval(over_folds.to_numpy()), len(by_dataset), len(over_folds))


def _table(rows: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    """Conditions, and a line a variant: its values, and of each condition the mean and its interval."""
    conditions = list(dict.fromkeys(rows["condition"]))
    lookup = {(row["values"], row["condition"]): row for row in records(rows)}
    lines = []
    for values in dict.fromkeys(rows["values"]):
        cells = [lookup.get((values, condition)) for condition in conditions]
        lines.append([values, *("–" if cell is None else _entry(cell) for cell in cells)])
    return conditions, lines


def _entry(row: Mapping[str, Any]) -> str:
    interval = f" [{row['low']:.3f}, {row['high']:.3f}]" if row["low"] == row["low"] else ""
    return f"{value_words(row['mean'])}{interval}"


def _interval_of(rows: pd.DataFrame, metric: str) -> str:
    """What the interval is over."""
    datasets, seeds = int(rows["datasets"].max()), int(rows["repetitions"].max())
    if datasets > 1 and has_units(metric):
        return units_note(metric)[0].lower() + units_note(metric)[1:].removesuffix(".")
    if datasets > 1:
        return f"{interval_name(metric)} over {datasets} data sets"
    return (
        f"{interval_name(metric)} over {seeds} seeds of one data set"
        if seeds > 1
        else "no interval (one data set and seed)"
    )


def _drawn(sweep: Sweep, clean: pd.DataFrame, metric: str) -> Drawn:
    """A panel a probe: the clean condition, a line for each combination of the other parameters."""
    from matplotlib.figure import Figure

    probes = list(dict.fromkeys(clean["probe"]))
    columns = max(3, min(len(probes), 4))
    lines = -(-len(probes) // columns)
    others = list(dict.fromkeys(clean["line"]))
    styles = dict(zip(others, class_styles(len(others)), strict=True))
    texts, upright = _tick_texts(list(dict.fromkeys(clean["x"].map(shown_value))), columns)
    below = _UPRIGHT_LETTER * max(len(line) for text in texts for line in text.split("\n")) if upright else 0.0
    figure = Figure(layout="constrained", figsize=(3 * _PANEL[0], (_PANEL[1] * 3 / columns + below) * lines))
    panels = figure.subplots(lines, columns, squeeze=False, sharey=True).ravel().tolist()
    for axes, probe in zip(panels, probes):
        mine = clean[clean["probe"] == probe]
        place, ticks = _axis(axes, list(dict.fromkeys(mine["x"].map(shown_value))), mine)
        for other, style in styles.items():
            curve = mine[mine["line"] == other]
            x = [place[shown_value(value)] for value in curve["x"]]
            label = f"{', '.join(sweep.parameters[1:])} = {other}" if other else None
            axes.vlines(x, curve["low"], curve["high"], color=colour(style.colour), lw=0.9, alpha=0.55)
            axes.plot(x, curve["mean"], label=label, **look_of(style))
        texts, upright = _tick_texts(list(ticks.values()), columns)
        axes.set_xticks(list(ticks), texts, **({"rotation": 90, "fontsize": 7} if upright else {}))
        axes.minorticks_off()
        axes.grid(axis="x", visible=False)
        axes.set_title(folded(f"probe {probe}", columns), loc="left")
        axes.set_xlabel(folded(sweep.parameters[0], columns))
    low, high = panels[0].get_ylim()
    least, most = metrics_table.METRICS[metric].range  # which an interval over few data sets leaves
    panels[0].set_ylim(max(low, least - 0.02), min(high, most + 0.02))
    panels[0].set_ylabel(METRICS.get(metric, metric))
    if len(others) > 1:
        panels[0].legend(fontsize=7, frameon=False, labelcolor=colour("ink"))
    for axes in panels[len(probes) :]:
        axes.remove()
    return Drawn(figure, f"{METRICS.get(metric, metric)} of {sweep.title}")


def _axis(axes: Axes, texts: list[str], rows: pd.DataFrame) -> tuple[dict[str, float], dict[float, str]]:
    """Place of each value, and the labels of the places: numbers by their size, all else evenly."""
    values = list(rows["x"])
    if not all(_is_number(value) for value in values):
        place = {text: float(index) for index, text in enumerate(texts)}
    else:
        place = {shown_value(value): float(value) for value in values}
        low, high = min(place.values()), max(place.values())
        if low > 0 and high / low >= _WIDE:
            axes.set_xscale("log")
    return place, {number: text for text, number in place.items()}


def _tick_texts(texts: Sequence[str], columns: int) -> tuple[list[str], bool]:
    """Labels of an axis, and whether they stand upright, folded, because they would run into each other."""
    shown = [printable(text) for text in texts]
    upright = max(map(len, shown), default=0) > _ACROSS // columns // max(1, len(shown))
    return [textwrap.fill(text, _UPRIGHT, break_on_hyphens=False) if upright else text for text in shown], upright


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _rank(value: Any) -> tuple[bool, float, str]:
    """Numbers by their size, and before them all else by its text."""
    number = _is_number(value)
    return number, float(value) if number else 0.0, "" if number else shown_value(value)
