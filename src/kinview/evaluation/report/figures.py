"""Figures of a report: how methods look, and degradation curves."""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from kinview.evaluation.corruptions import corruptions
from kinview.evaluation.metrics.table import is_unbounded
from kinview.evaluation.report.averages import over_repetitions
from kinview.evaluation.report.cells import METRICS, Results, average_word, records
from kinview.evaluation.report.corruption_words import corruption_words, noise_words
from kinview.evaluation.report.svg import COLOURS, CONTROLS, Drawn, colour, page_svg, printable
from kinview.evaluation.statistics import CONDITION

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from kinview.evaluation.corruptions.base import Counts

__all__ = [
    "Style",
    "beyond_the_axis",
    "class_styles",
    "counts_of",
    "degradation_curves",
    "folded",
    "legend",
    "legend_key",
    "look_of",
    "method_styles",
    "panel_grid",
]

_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "h")
_DASHES = ((4, 2), (1.2, 1.8), (4, 1.4, 1.2, 1.4), (7, 1.6))
_FACTORS = {
    "severity": ["corruption", "corrupt", "pretrain_on"],
    "label_noise_rate": ["label_noise"],
    "label_fraction": [],
}
_PANEL = (3.1, 2.3)  # inches
_LEGEND = 130  # characters across a legend
_LINE = 108  # characters of a line across all panels of a row
_BULK = (0.1, 0.9)  # quantiles of averages; an axis without a bound ends as far beyond them as they are apart
_NAMED = 4  # points beyond an axis that are named
_AXES = {"values": "missing values", "samples": "samples without a side", "severity": "severity"}
_FEW = 0.1  # of the labels: from here on the axis of budgets is logarithmic


@dataclass(frozen=True)
class Style:
    """How one series is drawn, the same way in each figure; the colour is a name of :func:`colour`."""

    colour: str
    marker: str
    dashes: tuple[float, ...] = ()


def method_styles(results: Results) -> dict[str, Style]:
    """Controls dashed and in quiet colours, of each kind its own; all other methods in colour, without dashes."""
    coloured = iter(class_styles(len(results.methods)))
    seen: dict[str, int] = {}  # kind of control to how many of it so far
    styles = {}
    for method in results.methods:
        identity = results.identity(method)
        if not identity.is_control:
            styles[method] = next(coloured)
            continue
        again = seen[identity.name] = seen.get(identity.name, -1) + 1
        kind = list(seen).index(identity.name)
        marker = _MARKERS[(1 + 2 * (kind + again)) % len(_MARKERS)]
        styles[method] = Style(f"control-{kind % CONTROLS}", marker, _DASHES[kind % len(_DASHES)])
    return styles


def class_styles(number: int) -> list[Style]:
    """Styles of which no two share a colour and a marker, and of which neighbours share neither."""
    markers = (*_MARKERS[::2], *_MARKERS[1::2])  # controls have those of odd places first
    return [Style(f"series-{i % COLOURS}", markers[(i % COLOURS + i // COLOURS) % len(markers)]) for i in range(number)]


def legend_key(style: Style, name: str, *, line: bool = True) -> str:
    """The small drawing that stands before a name in a legend; ``name`` begins its ids."""
    return _legend_key(style, line).replace('"key-', f'"{name}-').replace("#key-", f"#{name}-")


@functools.lru_cache(maxsize=256)
def _legend_key(style: Style, line: bool) -> str:
    from matplotlib.figure import Figure

    def draw() -> Drawn:
        figure = Figure(figsize=((34 if line else 14) / 72, 12 / 72))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.axis("off")
        axes.set(xlim=(0, 2), ylim=(0, 2))
        look = {**look_of(style), "ms": 4.6 if line else 7}
        x = [0.1, 1, 1.9] if line else [1]
        axes.plot(x, [1] * len(x), markevery=[len(x) // 2], **look)
        return Drawn(figure, "")

    return page_svg("key", draw) or ""


def legend(figure: Figure, styles: Mapping[str, Style]) -> None:
    """Add a legend below a figure, which a file needs and a page has beside it."""
    from matplotlib.lines import Line2D

    keys = [Line2D([], [], label=printable(name), **look_of(style)) for name, style in styles.items()]
    columns = max(1, min(len(keys), 4, _LEGEND // (max(map(len, styles)) + 6)))
    figure.legend(handles=keys, loc="outside lower center", ncols=columns, frameon=False, fontsize=8)


def degradation_curves(
    results: Results, dataset: str, *, metric: str = "accuracy", with_legend: bool = False
) -> Drawn | None:
    """Draw how a metric falls with missing values, wrong labels and fewer labels on one data set.

    One panel per factor that was varied alone and per probe; mean over seeds, bars of one standard deviation. Of a
    metric without a bound median over seeds, bars from the lowest to the highest, and an axis of the bulk of the
    medians: what lies beyond it :func:`beyond_the_axis` says.

    Parameters
    ----------
    results : Results
        Results in reading order.
    dataset : str
        Name of the data set.
    metric : str
        Column to draw.
    with_legend : bool
        Say in the figure which line is which method.

    Returns
    -------
    Drawn or None
        None where no factor was varied or nothing has a value.
    """
    from matplotlib.figure import Figure

    cells = results.cells[results.cells["dataset"] == dataset]
    summary, factors = _varied(cells, metric)
    probes = [probe for probe in results.probes if probe in set(summary["probe"])]
    if not factors or not probes:
        return None
    columns = max(len(probes), 3)
    rows = -(-len(factors) // columns) if len(probes) == 1 else len(factors)
    figure = Figure(layout="constrained")
    grid = panel_grid(figure, rows, columns)
    styles = method_styles(results)
    free = {(row, column) for row in range(rows) for column in range(columns)}
    for index, ((label, factor, chosen), (number, probe)) in enumerate(product(factors, enumerate(probes))):
        place = divmod(index, columns) if len(probes) == 1 else (index // len(probes), number)
        axes = grid[place[0]][place[1]]
        free.remove(place)
        _curves(axes, chosen[chosen["probe"] == probe], factor, styles)
        axes.set_title(folded(f"probe {probe}", columns), loc="left")
        axes.set_xlabel(folded(label, columns))
        if place[1] == 0:
            axes.set_ylabel(METRICS.get(metric, metric))
    for row, column in free:
        grid[row][column].remove()
    panels = [axes for axes in figure.axes if axes.lines]
    _share_limits(panels)
    limits, beyond = _bulk(factors, metric), beyond_the_axis(results, dataset, metric)
    if limits is not None:
        margin = 0.04 * (limits[1] - limits[0])
        for axes in panels:
            axes.set_ylim(limits[0] - margin, limits[1] + margin)
    if with_legend and beyond:
        figure.suptitle(textwrap.fill(printable(beyond), _LEGEND), fontsize=7.5)
    if with_legend:
        legend(figure, {name: styles[name] for name in results.methods_on(dataset)})
    about = f"{METRICS.get(metric, metric)} on {dataset} against " + ", ".join(label for label, _, _ in factors)
    return Drawn(figure, f"{about}. {beyond}".removesuffix(". "))


def beyond_the_axis(results: Results, dataset: str, metric: str) -> str:
    """What of a data set's degradation curves lies beyond their axis, as sentences; empty where all is on it."""
    cells = results.cells[results.cells["dataset"] == dataset]
    _, factors = _varied(cells, metric)
    limits = _bulk(factors, metric)
    if limits is None:
        return ""
    labels = {
        tuple(row): label
        for label, row in zip(results.conditions.index, results.conditions[list(CONDITION)].to_numpy())
    }
    drawn = pd.concat([chosen for _, _, chosen in factors]).drop_duplicates(["method", "probe", *CONDITION])
    outside = drawn[(drawn["mean"] < limits[0]) | (drawn["mean"] > limits[1])]
    parts = [
        f"{row['method']} with the probe {row['probe']}, {labels[tuple(row[name] for name in CONDITION)]} "
        f"({row['mean']:.3g})"
        for row in records(outside)
    ]
    found = []
    if parts:
        more = f" and {len(parts) - _NAMED} more" if len(parts) > _NAMED else ""
        found.append(f"Beyond the axis lie the {average_word(metric)}s of {'; '.join(parts[:_NAMED])}{more}.")
    ends = drawn[["low", "high"]].to_numpy(dtype=np.float64)
    cut = int(((ends[:, 0] < limits[0]) | (ends[:, 1] > limits[1])).sum())
    if cut:
        found.append(
            f"Bars of {cut} points are cut off; values reach from {np.nanmin(ends):.3g} to {np.nanmax(ends):.3g}."
        )
    return " ".join(found)


def _varied(cells: pd.DataFrame, metric: str) -> tuple[pd.DataFrame, list[tuple[str, str, pd.DataFrame]]]:
    """Averages of one data set, and those of its factors that were varied alone."""
    summary = over_repetitions(cells, ["method", "probe", *CONDITION], metric).dropna(subset=["mean"])
    return summary, _factors(summary)


def _bulk(factors: Sequence[tuple[str, str, pd.DataFrame]], metric: str) -> tuple[float, float] | None:
    """Ends of an axis that holds the bulk of the averages of a metric without a bound; None where all fits on it."""
    if not is_unbounded(metric) or not factors:
        return None
    drawn = pd.concat([chosen for _, _, chosen in factors])
    averages, ends = drawn["mean"].to_numpy(), drawn[["mean", "low", "high"]].to_numpy(dtype=np.float64)
    low, high = np.quantile(averages, _BULK)
    reach = (high - low) or float(np.nanmedian(ends[:, 2] - ends[:, 1]))  # averages may all be one
    if not reach > 0:
        return None
    inside = (ends >= low - reach) & (ends <= high + reach)
    if (inside | np.isnan(ends)).all():
        return None
    return float(ends[inside].min()), float(ends[inside].max())


def counts_of(corruption: str) -> Counts:
    """What the rate of a corruption, by its label, is of; of one that is not installed it counts as a severity.

    Examples
    --------
    >>> counts_of("mcar(mode=timestep)"), counts_of("noise"), counts_of("of_another_package")
    ('values', 'severity', 'severity')
    >>> counts_of("subgroup(where=B)"), counts_of("static_columns(mechanism=noise)"), counts_of("modality_missing")
    ('values', 'severity', 'samples')
    """
    name = corruption_words(corruption).what.split("(", 1)[0]
    found: Counts = getattr(corruptions[name].target, "counts", "values") if name in corruptions else "severity"
    return found


def _factors(summary: pd.DataFrame) -> list[tuple[str, str, pd.DataFrame]]:
    """The factors that were varied with the others clean: axis label, column, and the cells of the curve."""
    summary = summary[(summary["corrupt"] != "both") | (summary["severity_test"] == summary["severity"])]
    touched = pd.DataFrame(
        {
            "severity": summary["corruption"] != "none",
            "label_noise_rate": summary["label_noise"] != "none",
            "label_fraction": summary["label_fraction"] != 1,
        }
    )
    clean = summary[~touched.any(axis=1)]
    found = []
    for column, kinds in _FACTORS.items():
        alone = summary[touched[column] & (touched.sum(axis=1) == 1)]
        groups: list[tuple[Any, pd.DataFrame]] = list(alone.groupby(kinds)) if kinds else [((), alone)]
        for kind, chosen in groups:
            if chosen.empty:
                continue
            label = "fraction of labels (%)"
            if column == "severity":
                corruption, side, pretrained = kind
                several = alone.loc[alone["corrupt"] == side, "pretrain_on"].nunique() > 1
                what = _AXES[counts_of(corruption)]
                label = f"{what} (%), {printable(corruption_words(corruption))}" + (
                    "" if side == "both" else f", in {side}"
                )
                label += f", pre-trained {pretrained}" if several else ""
            elif column == "label_noise_rate":
                label = f"wrong training labels (%), {printable(noise_words(kind[0]))}"
            found.append((label, column, pd.concat([clean, chosen])))
    return found


def _curves(axes: Axes, cells: pd.DataFrame, column: str, styles: Mapping[str, Style]) -> None:
    present = [method for method in styles if method in set(cells["method"])]
    levels = np.sort(cells[column].unique())
    by_factor = column == "label_fraction" and levels[0] <= _FEW * levels[-1]  # 1, 5, 10 % would lie on each other
    scale = np.log if by_factor else np.asarray
    step = float(np.diff(scale(levels)).min()) if len(levels) > 1 else 0.1
    for index, method in enumerate(present):
        curve = cells[cells["method"] == method].sort_values(column)
        # Moved sideways by a little, so that the bars of different methods do not hide each other.
        shift = 0.12 * step * ((index + 0.5) / len(present) - 0.5)
        x = 100 * (curve[column].to_numpy() * np.exp(shift) if by_factor else curve[column].to_numpy() + shift)
        look = look_of(styles[method])
        axes.vlines(x, curve["low"], curve["high"], color=look["color"], lw=0.9, alpha=0.55)
        axes.plot(x, curve["mean"], zorder=3, **look)
    if by_factor:
        axes.set_xscale("log")
    axes.set_xticks(100 * levels, [f"{100 * level:g}" for level in levels])
    axes.minorticks_off()
    axes.grid(axis="x", visible=False)


def look_of(style: Style) -> dict[str, Any]:
    """Keywords of a line in a style."""
    line = (0, style.dashes) if style.dashes else "-"
    return {"color": colour(style.colour), "marker": style.marker, "ls": line, "lw": 1.6, "ms": 4.2, "mew": 0}


def panel_grid(figure: Figure, rows: int, columns: int, *, square: bool = False) -> list[list[Axes]]:
    """Panels of one size, three to the width of the page or smaller."""
    wide = _PANEL[0] * 3 / columns
    figure.set_size_inches(wide * columns, (wide if square else _PANEL[1]) * rows)
    grid: list[list[Axes]] = figure.subplots(rows, columns, squeeze=False).tolist()
    return grid


def folded(text: str, columns: int) -> str:
    """Text in lines that are no wider than a panel, so that it does not run into that of the next."""
    return textwrap.fill(printable(text), max(12, _LINE // columns), break_on_hyphens=False)


def _share_limits(panels: Sequence[Axes]) -> None:
    low = min(axes.get_ylim()[0] for axes in panels)
    high = max(axes.get_ylim()[1] for axes in panels)
    for axes in panels:
        axes.set_ylim(low, high)
