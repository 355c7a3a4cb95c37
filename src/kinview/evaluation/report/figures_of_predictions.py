"""Curves of stored predictions: receiver operating characteristic, precision against recall, calibration."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from kinview.evaluation.metrics.cells import Cell, read_samples
from kinview.evaluation.metrics.outputs import Classification
from kinview.evaluation.report.figures import Style, legend, look_of
from kinview.evaluation.report.svg import Drawn, colour, printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "ProbeCurves",
    "calibration_curve",
    "curves_of_predictions",
    "precision_recall_curve",
    "read_curves",
    "roc_curve",
]

_GRID = np.linspace(0, 1, 101)
_BINS = 10
_MARKED = 20  # points of a curve of which one has a marker
_PANEL = (3.1, 2.9)  # inches

Ranked = tuple[Float[np.ndarray, " n"], Bool[np.ndarray, " n"]]
"""A score a sample, and whether the event occurred."""
Curve = tuple[Float[np.ndarray, " points"], Float[np.ndarray, " points"]]


class ProbeCurves(NamedTuple):
    """What the predictions of one probe on one data set say, by method."""

    probe: str
    positive: str | None
    roc: Mapping[str, Curve]
    precision_recall: Mapping[str, Curve]
    calibration: Mapping[str, Curve]
    prevalence: float


def roc_curve(score: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"]) -> Curve:
    """False positive rate 0, 0.01, ... 1 and the true positive rate at each, between thresholds along a line.

    Examples
    --------
    >>> false, true = roc_curve(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))
    >>> false[[0, 49, 51, 100]].round(2).tolist(), true[[0, 49, 51, 100]].tolist()
    ([0.0, 0.49, 0.51, 1.0], [0.5, 0.5, 1.0, 1.0])
    """
    true, false = (np.r_[0, counts] / counts[-1] for counts in _counted(score, positive))
    at = np.interp(_GRID, false, true)
    at[0] = true[false == 0].max()  # what no false positive buys
    return _GRID, at


def precision_recall_curve(score: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"]) -> Curve:
    """Recall 0.01, 0.02, ... 1 and the precision at the highest threshold that reaches each.

    Between thresholds nothing is interpolated, as average precision has it.

    Examples
    --------
    >>> recall, precision = precision_recall_curve(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1], dtype=bool))
    >>> precision[[0, 49, 50, 99]].round(3).tolist()
    [1.0, 1.0, 0.667, 0.667]
    """
    true, false = _counted(score, positive)
    place = np.searchsorted(true / true[-1], _GRID[1:] - 1e-9)
    return _GRID[1:], true[place] / (true + false)[place]


def calibration_curve(probability: Float[np.ndarray, " n"], occurred: Bool[np.ndarray, " n"]) -> Curve:
    """Mean probability and observed frequency in bins that hold equally many samples, ten at most.

    Equal probabilities share a bin.

    Examples
    --------
    >>> p, observed = calibration_curve(np.array([0.2] * 10 + [0.9] * 10), np.arange(20) % 5 == 0)
    >>> p.round(2).tolist(), observed.tolist()
    ([0.2, 0.9], [0.2, 0.2])
    """
    edges = np.unique(np.quantile(probability, np.linspace(0, 1, _BINS + 1)[1:-1]))
    place = np.searchsorted(edges, probability, side="left")
    count = np.bincount(place, minlength=len(edges) + 1).astype(np.float64)
    filled = count > 0
    means = [
        np.bincount(place, weights=values, minlength=len(count)) for values in (probability, occurred.astype(float))
    ]
    x, y = (total[filled] / count[filled] for total in means)
    return x, y


def read_curves(predictions: pd.DataFrame, methods: Sequence[str], probes: Sequence[str]) -> list[ProbeCurves]:
    """Curves of the predictions of one data set under one condition, a probe each.

    Of two classes the event is the second. Of more, curves are those of each class against the rest, averaged over
    classes, and calibration is that of the predicted class. Curves are averaged over seeds and folds at each false
    positive rate and recall, so that the area under a mean is the mean of the areas; calibration is that of all their
    predictions together. Decision values are no probabilities and have none.
    """
    found = []
    for probe in probes:
        chosen = predictions[predictions["probe"] == probe]
        if chosen.empty:
            continue
        (samples,), by = read_samples(chosen, by=["method"])
        cells = {str(key["method"]): group for key, group in samples.compared(by)}
        said = {name: _classified(cells[name]) for name in methods if name in cells}
        ranked = {name: [_ranked(one) for one in group] for name, group in said.items()}
        sure = {name: group for name, group in said.items() if group and all(o.gives_probabilities for o in group)}
        events = [is_event.mean() for group in ranked.values() for pairs in group for _, is_event in pairs]
        binary = [one for group in said.values() for one in group if one.binary]
        curves = ProbeCurves(
            probe,
            binary[0].classes[1] if binary else None,
            _averaged(roc_curve, ranked),
            _averaged(precision_recall_curve, ranked),
            {name: calibration_curve(*_calibrated(group)) for name, group in sure.items()},
            float(np.mean(events)) if events else float("nan"),
        )
        if curves.roc or curves.calibration:
            found.append(curves)
    return found


def curves_of_predictions(
    curves: Sequence[ProbeCurves], styles: Mapping[str, Style], *, with_legend: bool = False
) -> Drawn | None:
    """Draw the curves of one data set: a row a probe, a panel a curve.

    Parameters
    ----------
    curves : sequence of ProbeCurves
        As :func:`read_curves`.
    styles : mapping of str to Style
        How each method is drawn.
    with_legend : bool
        Say in the figure which line is which method.
    """
    from matplotlib.figure import Figure

    if not curves:
        return None
    two = any(one.positive is not None for one in curves)
    figure = Figure(figsize=(_PANEL[0] * 3, _PANEL[1] * len(curves)), layout="constrained")
    grid = figure.subplots(len(curves), 3, squeeze=False)
    shown: set[str] = set()
    for panels, one in zip(grid, curves, strict=True):
        titles = [("false positive rate", "true positive rate"), ("recall", "precision"), _CALIBRATION[two]]
        for axes, lines, (x, y) in zip(panels, (one.roc, one.precision_recall, one.calibration), titles, strict=True):
            if not lines:
                axes.remove()
                continue
            axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel=x, ylabel=y)
            axes.set_title(f"probe {printable(one.probe)}", loc="left")
            _lines(axes, lines, styles, dots=lines is one.calibration)
            shown |= set(lines)
        if one.roc:
            panels[1].axhline(one.prevalence, color=colour("muted"), lw=0.8, ls=":")
        for axes in (panels[0], panels[2]):
            if axes.lines:
                axes.plot([0, 1], [0, 1], color=colour("muted"), lw=0.8, ls=":")
    if with_legend:
        legend(figure, {name: style for name, style in styles.items() if name in shown})
    some = any(one.roc for one in curves)
    what = "receiver operating characteristic, precision against recall and calibration" if some else "calibration"
    return Drawn(figure, f"{what} of {', '.join(name for name in styles if name in shown)}")


_CALIBRATION = {
    True: ("predicted probability", "observed frequency"),
    False: ("probability of the predicted class", "fraction that is right"),
}


def _lines(axes: Axes, lines: Mapping[str, Curve], styles: Mapping[str, Style], *, dots: bool) -> None:
    for place, (name, (x, y)) in enumerate(lines.items()):
        every = 1 if dots else (place * _MARKED // len(lines), _MARKED)  # apart, where curves lie on each other
        axes.plot(x, y, **{**look_of(styles[name]), "lw": 1.3, "ms": 3.6}, markevery=every)


def _classified(cells: Sequence[Cell]) -> list[Classification]:
    return [cell.said for cell in cells if isinstance(cell.said, Classification)]


def _ranked(one: Classification) -> list[Ranked]:
    """Score and event of the second of two classes, or of each of several; nothing of one that is all or nothing."""
    events = [(one.scores[:, 1], one.positive)] if one.binary else []
    if not one.binary:
        events = [(one.scores[:, k], one.y == k) for k in range(one.scores.shape[1])]
    return [(score, is_event) for score, is_event in events if 0 < is_event.sum() < len(is_event)]


def _calibrated(group: Sequence[Classification]) -> tuple[Any, Any]:
    """Probabilities and what occurred: of the second of two classes, else of the predicted one."""
    pairs = [
        (one.scores[:, 1], one.positive) if one.binary else (one.scores.max(axis=1), one.scores.argmax(axis=1) == one.y)
        for one in group
    ]
    return np.concatenate([p for p, _ in pairs]), np.concatenate([occurred for _, occurred in pairs])


def _counted(
    score: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, " thresholds"], Float[np.ndarray, " thresholds"]]:
    """True and false positives at each distinct score, the highest first."""
    order = np.argsort(-score, kind="stable")
    last = np.r_[np.flatnonzero(np.diff(score[order])), len(score) - 1]
    true = np.cumsum(positive[order])[last].astype(np.float64)
    return true, last + 1 - true


def _averaged(curve: Callable[..., Curve], ranked: Mapping[str, Sequence[Sequence[Ranked]]]) -> dict[str, Curve]:
    """The mean curve of each method that has any: over classes, then over seeds and folds."""
    found: dict[str, Curve] = {}
    for name, group in ranked.items():
        lines = [[curve(*one) for one in pairs] for pairs in group if pairs]
        if lines:
            found[name] = lines[0][0][0], np.mean([np.mean([y for _, y in one], axis=0) for one in lines], axis=0)
    return found
