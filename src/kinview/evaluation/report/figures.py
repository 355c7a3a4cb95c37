"""The figures of the report: degradation curves and embedding scatters, as inline SVG."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from kinview.evaluation.report.cells import METRICS, Results
from kinview.evaluation.report.svg import COLOURS, FIXED_COLOURS, drawing, printable, to_svg
from kinview.evaluation.statistics import CONDITION, summarize

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Style", "class_styles", "degradation_curves", "embedding_scatter", "legend_key", "method_styles"]

_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "h")
_DASHES = ((4, 2), (1.2, 1.8), (4, 1.4, 1.2, 1.4))
_FACTORS = {
    "severity": ["corruption", "corrupt", "pretrain_on"],
    "label_noise_rate": ["label_noise"],
    "label_fraction": [],
}
_PANEL = (3.1, 2.3)  # inches


@dataclass(frozen=True)
class Style:
    """How one series is drawn, the same way in each figure."""

    colour: str
    marker: str
    dashes: tuple[float, ...] = ()


def method_styles(results: Results) -> dict[str, Style]:
    """Controls grey and dashed, one kind of dashes for each kind of control; all other methods in colour."""
    coloured = iter(class_styles(len(results.methods)))
    kinds: dict[bool, dict[str, int]] = {False: {}, True: {}}  # of controls without and with a network: how many so far
    styles = {}
    for method in results.methods:
        identity = results.identity(method)
        if not identity.is_control:
            styles[method] = next(coloured)
            continue
        has_network = identity.of_name is not None
        seen = kinds[has_network]
        again = seen[identity.name] = seen.get(identity.name, -1) + 1
        kind = list(seen).index(identity.name) + has_network
        colour = FIXED_COLOURS["muted" if has_network else "ink"]
        styles[method] = Style(colour, _MARKERS[(1 + 2 * (kind + again)) % len(_MARKERS)], _DASHES[kind % len(_DASHES)])
    return styles


def class_styles(number: int) -> list[Style]:
    """Colours, and after they are used up other markers in the same colours."""
    return [Style(f"#0200{i % COLOURS:02x}", _MARKERS[i // COLOURS % len(_MARKERS)]) for i in range(number)]


def legend_key(style: Style, name: str, *, line: bool = True) -> str:
    """The small drawing that stands before a name in a legend; ``name`` begins its ids."""
    return _legend_key(style, line).replace('"key-', f'"{name}-').replace("#key-", f"#{name}-")


@functools.lru_cache(maxsize=256)
def _legend_key(style: Style, line: bool) -> str:
    from matplotlib.figure import Figure

    with drawing("key"):
        figure = Figure(figsize=((34 if line else 14) / 72, 12 / 72))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.axis("off")
        axes.set(xlim=(0, 2), ylim=(0, 2))
        look = {**_look(style), "ms": 4.6 if line else 7}
        x = [0.1, 1, 1.9] if line else [1]
        axes.plot(x, [1] * len(x), markevery=[len(x) // 2], **look)
        return to_svg(figure, "key", "")


def degradation_curves(results: Results, dataset: str, *, metric: str = "accuracy", name: str = "curves") -> str | None:
    """Draw how a metric falls with missing values, wrong labels and fewer labels on one data set.

    One panel per factor that was varied alone and per probe; mean over seeds, bars of one standard deviation.

    Parameters
    ----------
    results : Results
        Results in reading order.
    dataset : str
        Name of the data set.
    metric : str
        Column to draw.
    name : str
        Begins the ids of the figure; unique on its page.

    Returns
    -------
    str or None
        An ``<svg>`` element; None where no factor was varied or nothing has a value.
    """
    from matplotlib.figure import Figure

    cells = results.cells[results.cells["dataset"] == dataset]
    summary = summarize(cells, ["method", "probe", *CONDITION], metric=metric).dropna(subset=["mean"])
    factors = _factors(summary)
    probes = [probe for probe in results.probes if probe in set(summary["probe"])]
    if not factors or not probes:
        return None
    columns = max(len(probes), 3)
    rows = -(-len(factors) // columns) if len(probes) == 1 else len(factors)
    with drawing(name):
        figure = Figure(layout="constrained")
        grid = _grid(figure, rows, columns)
        free = {(row, column) for row in range(rows) for column in range(columns)}
        for index, ((label, factor, chosen), (number, probe)) in enumerate(product(factors, enumerate(probes))):
            place = divmod(index, columns) if len(probes) == 1 else (index // len(probes), number)
            axes = grid[place[0]][place[1]]
            free.remove(place)
            _curves(axes, chosen[chosen["probe"] == probe], factor, method_styles(results))
            axes.set_title(f"probe {printable(probe)}", loc="left")
            axes.set_xlabel(label)
            if place[1] == 0:
                axes.set_ylabel(METRICS.get(metric, metric))
        for row, column in free:
            grid[row][column].remove()
        _share_limits([axes for axes in figure.axes if axes.lines])
        about = f"{METRICS.get(metric, metric)} on {dataset} against " + ", ".join(label for label, _, _ in factors)
        return to_svg(figure, name, about)


def embedding_scatter(
    embeddings: Mapping[str, tuple[ArrayLike, ArrayLike]], *, name: str = "scatter", max_points: int = 400
) -> str | None:
    """Draw the embeddings of one test set, one panel per method, coloured by class.

    Each panel shows the first two principal components of that method's embedding, centred and not rescaled.

    Parameters
    ----------
    embeddings : mapping of str to (array-like (n, D), array-like (n,))
        Method → test embeddings and classes. Rows that are not finite are left out.
    name : str
        Begins the ids of the figure; unique on its page.
    max_points : int
        Points drawn per panel at most; of more, a random sample with a fixed seed.

    Returns
    -------
    str or None
        An ``<svg>`` element; None without embeddings.

    Raises
    ------
    ValueError
        If an embedding is not a matrix with one row per class label.
    """
    from matplotlib.figure import Figure

    if not embeddings:
        return None
    classes = embedding_classes(embeddings)
    styles = dict(zip(classes, class_styles(len(classes))))
    columns = 3 if len(embeddings) <= 3 else 4
    rows = -(-len(embeddings) // columns)
    with drawing(name):
        figure = Figure(layout="constrained")
        panels = [axes for row in _grid(figure, rows, columns, square=True) for axes in row]
        for axes, (method, (z, y)) in zip(panels, embeddings.items()):
            points, labels, explained = _project(method, z, y, max_points)
            for label in classes:
                chosen = points[labels == label]
                if len(chosen):
                    axes.plot(*chosen.T, **{**_look(styles[label]), "ls": "none", "ms": 3.2, "mew": 0, "alpha": 0.75})
            axes.set_title(printable(method), loc="left")
            axes.set(xticks=[], yticks=[])
            axes.set_xlabel(f"PC 1 ({explained[0]:.0%})")
            axes.set_ylabel(f"PC 2 ({explained[1]:.0%})")
        for axes in panels[len(embeddings) :]:
            axes.remove()
        return to_svg(figure, name, f"first two principal components of the embeddings of {', '.join(embeddings)}")


def embedding_classes(embeddings: Mapping[str, tuple[ArrayLike, ArrayLike]]) -> list[str]:
    """All class names of some embeddings, numbers in numerical order."""
    found = {str(label) for _, y in embeddings.values() for label in np.asarray(y).ravel()}

    def rank(label: str) -> tuple[int, float, str]:
        try:
            return (0, float(label), label)
        except ValueError:
            return (1, 0.0, label)

    return sorted(found, key=rank)


def _factors(summary: pd.DataFrame) -> list[tuple[str, str, pd.DataFrame]]:
    """The factors that were varied with the others clean: axis label, column, and the cells of the curve."""
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
                label = f"missing values (%), {printable(corruption)}" + ("" if side == "both" else f", in {side}")
                label += f", pre-trained {pretrained}" if several else ""
            elif column == "label_noise_rate":
                label = f"wrong training labels (%), {printable(kind[0])}"
            found.append((label, column, pd.concat([clean, chosen])))
    return found


def _curves(axes: Axes, cells: pd.DataFrame, column: str, styles: Mapping[str, Style]) -> None:
    present = [method for method in styles if method in set(cells["method"])]
    levels = np.sort(cells[column].unique())
    step = float(np.diff(levels).min()) if len(levels) > 1 else 0.1
    for index, method in enumerate(present):
        curve = cells[cells["method"] == method].sort_values(column)
        # Moved sideways by a little, so that the bars of different methods do not hide each other.
        shift = 0.12 * step * ((index + 0.5) / len(present) - 0.5)
        x = 100 * (curve[column].to_numpy() + shift)
        look = _look(styles[method])
        axes.vlines(
            x, curve["mean"] - curve["std"], curve["mean"] + curve["std"], color=look["color"], lw=0.9, alpha=0.55
        )
        axes.plot(x, curve["mean"], zorder=3, **look)
    axes.set_xticks(100 * levels, [f"{100 * level:g}" for level in levels])
    axes.grid(axis="x", visible=False)


def _look(style: Style) -> dict[str, Any]:
    line = (0, style.dashes) if style.dashes else "-"
    return {"color": style.colour, "marker": style.marker, "ls": line, "lw": 1.6, "ms": 4.2, "mew": 0}


def _grid(figure: Figure, rows: int, columns: int, *, square: bool = False) -> list[list[Axes]]:
    """Panels of one size, three to the width of the page or smaller."""
    wide = _PANEL[0] * 3 / columns
    figure.set_size_inches(wide * columns, (wide if square else _PANEL[1]) * rows)
    grid: list[list[Axes]] = figure.subplots(rows, columns, squeeze=False).tolist()
    return grid


def _share_limits(panels: Sequence[Axes]) -> None:
    low = min(axes.get_ylim()[0] for axes in panels)
    high = max(axes.get_ylim()[1] for axes in panels)
    for axes in panels:
        axes.set_ylim(low, high)


def _project(
    method: str, z: ArrayLike, y: ArrayLike, max_points: int
) -> tuple[NDArray[np.float64], NDArray[np.str_], NDArray[np.float64]]:
    """First two principal components, class names as text, and the fractions of variance explained."""
    points, labels = np.asarray(z, dtype=np.float64), np.asarray(y).ravel()
    if points.ndim != 2 or len(points) != len(labels):
        raise ValueError(
            f"the embedding of {method!r} has shape {points.shape} and {len(labels)} classes; "
            f"it must be a matrix (n, D) with one class per row"
        )
    rows = np.flatnonzero(np.isfinite(points).all(axis=1))
    if len(rows) > max_points:
        rows = np.sort(np.random.default_rng(0).choice(rows, max_points, replace=False))
    names = np.array([str(label) for label in labels[rows]], dtype=str)
    centred = points[rows] - points[rows].mean(axis=0) if len(rows) else points[rows]
    scores, explained = np.zeros((len(rows), 2)), np.zeros(2)
    if min(centred.shape) > 0 and np.any(centred):
        u, s, vt = np.linalg.svd(centred, full_matrices=False)
        signs = np.sign(vt[np.arange(len(s)), np.abs(vt).argmax(axis=1)])  # else the picture may come out mirrored
        kept = min(2, len(s))
        scores[:, :kept] = (u * (s * signs))[:, :kept]
        explained[:kept] = (s**2 / np.sum(s**2))[:kept]
    return scores, names, explained
