"""Figures of methods over data sets: the critical-difference diagram, and the paired differences of each data set."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from kinview.evaluation.report.cells import within_sentence
from kinview.evaluation.report.figures import Style
from kinview.evaluation.report.svg import Drawn, colour, printable

__all__ = ["critical_difference", "paired_values"]

_WIDTH = 9.3  # inches
_LINE = 0.25  # inches of a line of text
_LABEL_WIDTH = 56  # characters of a line of two names
_NAME_WIDTH = 34  # characters of a line of a name
_OVERHANG = 0.04  # of a bar beyond its outermost methods, in ranks


def critical_difference(ranks: pd.Series, cliques: Sequence[Sequence[str]], styles: Mapping[str, Style]) -> Drawn:
    """Draw average ranks on a line, and bars that join methods which no test tells apart.

    The best rank stands on the left. A bar has a dot at each of its methods: one without is not among them, even if it
    lies between.

    Parameters
    ----------
    ranks : Series
        Average rank by method, ascending.
    cliques : sequence of sequence of str
        As :func:`kinview.evaluation.cliques`.
    styles : mapping of str to Style
        The colour of each method.
    """
    from matplotlib.figure import Figure

    k = len(ranks)
    left = -(-k // 2)
    names = [textwrap.fill(printable(name), _NAME_WIDTH, subsequent_indent="  ") for name in ranks.index]
    tall = 0.6 * (max(name.count("\n") for name in names) + 1) + 0.4  # lines that a name takes
    bars = len(cliques)
    depth = 0.5 * bars + 0.8  # in lines, from the axis down to the first name
    figure = Figure(figsize=(_WIDTH, _LINE * (left * tall + depth + 2)))
    axes = figure.add_axes((0.28, 0, 0.44, 1))
    axes.set(xlim=(1 - 0.05 * k, k + 0.05 * k), ylim=(-(left * tall + depth), 2))
    axes.axis("off")
    ink, muted, line = colour("ink"), colour("muted"), colour("line")
    axes.plot([1, k], [0, 0], color=ink, lw=1)
    for rank in range(1, k + 1):
        axes.plot([rank, rank], [0, 0.3], color=ink, lw=1)
        axes.text(rank, 0.45, str(rank), ha="center", va="bottom", color=muted, fontsize=8)
    axes.text((1 + k) / 2, 1.35, "average rank (1 is the best)", ha="center", va="bottom", color=muted, fontsize=8)
    low, high = axes.get_xlim()
    for place, (name, (method, rank)) in enumerate(zip(names, ranks.items(), strict=True)):
        on_left = place < left
        y = -(depth + tall * (place if on_left else k - 1 - place))
        edge, side = (low, "right") if on_left else (high, "left")
        axes.plot([rank, rank, edge], [0, y, y], color=line, lw=1, zorder=1)
        axes.plot([rank], [0], color=colour(styles[str(method)].colour), marker="o", ms=4, zorder=4)
        text = f"{name}  {rank:.2f}" if on_left else f"{rank:.2f}  {name}"
        own = colour(styles[str(method)].colour)
        axes.text(edge + (-0.01 if on_left else 0.01) * k, y, text, ha=side, va="center", color=own, fontsize=8.5)
    for place, clique in enumerate(cliques):
        y = -0.5 * (place + 1)
        members = [ranks[name] for name in clique]
        axes.plot([min(members) - _OVERHANG, max(members) + _OVERHANG], [y, y], color=ink, lw=3, zorder=3)
        axes.plot(members, [y] * len(members), color=colour("paper"), marker="o", ls="none", ms=3, mew=0, zorder=4)
    order = ", ".join(f"{name} {rank:.2f}" for name, rank in ranks.items())
    joined = "; ".join(" and ".join(clique) for clique in cliques) or "none"
    return Drawn(figure, f"critical-difference diagram of average ranks: {order}. Not told apart: {joined}.")


def paired_values(
    verdicts: Sequence[Mapping[str, Any]], styles: Mapping[str, Style], metric: str, *, average: str = "mean"
) -> Drawn | None:
    """Draw each data set's difference of a method to a control, with their average and its interval.

    Parameters
    ----------
    verdicts : sequence of mapping
        As :func:`kinview.evaluation.report.verdicts.verdicts`.
    styles : mapping of str to Style
        How each method is drawn.
    metric : str
        What the metric is called.
    average : str
        What the average over data sets is called.
    """
    from matplotlib.figure import Figure

    if not verdicts:
        return None
    n = len(verdicts)
    labels = [
        textwrap.fill(printable(f"{row['method']} − {row['control']}"), _LABEL_WIDTH, subsequent_indent="  ")
        for row in verdicts
    ]
    tall = 0.5 + 0.6 * max(label.count("\n") + 1 for label in labels)  # lines that a row takes
    figure = Figure(figsize=(_WIDTH, _LINE * tall * n + 0.7), layout="constrained")
    axes = figure.add_subplot()
    axes.axvline(0, color=colour("muted"), lw=1)
    for place, row in enumerate(verdicts):
        style = styles[row["method"]]
        values = [one["difference"] for one in row["values"]]
        look: dict[str, Any] = {"color": colour(style.colour), "marker": style.marker, "ls": "none"}
        look |= {"ms": 4.5, "mew": 0, "alpha": 0.6}
        axes.plot(values, [place] * len(values), **look)
        if not np.isnan(row["low"]):
            axes.plot([row["low"], row["high"]], [place + 0.28] * 2, color=colour("ink"), lw=1.2, solid_capstyle="butt")
        axes.plot([row["difference"]], [place + 0.28], color=colour("ink"), marker="D", ms=3.6, mew=0, zorder=4)
    axes.set_yticks(range(n), labels)
    axes.set(ylim=(n - 0.4, -0.6), xlabel=f"difference in {within_sentence(printable(metric))}, a mark a data set")
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0)
    about = "; ".join(f"{row['method']} minus {row['control']}: {row['difference']:+.3f}" for row in verdicts)
    return Drawn(figure, f"paired differences in {metric} of each data set, {average} {about}")
