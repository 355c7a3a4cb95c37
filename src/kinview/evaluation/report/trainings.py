"""How the models of a benchmark were trained: size, time, curves, and the last loss beside the score of a probe."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kinview.evaluation.benchmark.sweeps import shown_value
from kinview.evaluation.report.cells import METRICS, Results
from kinview.evaluation.report.figures import Style, class_styles, legend, look_of, method_styles
from kinview.evaluation.report.svg import Build, Drawn, printable
from kinview.evaluation.report.sweeps import Sweep, sweeps_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["last_value", "loss_figures", "model_rows", "training_figures", "trainings_of"]

_COLUMNS = ("hash", "seconds", "parameters", "history")
_PANEL = (3.1, 2.3)  # inches
_LAST = 0.1  # fraction of a training whose mean is its last value
_FEWEST = 4  # models from which on a correlation is said


def trainings_of(results: Results, steps: pd.DataFrame | None) -> pd.DataFrame:
    """Models that cells on clean data with all labels rest on, one row each.

    Parameters
    ----------
    results : Results
        Results in reading order.
    steps : DataFrame, optional
        What :meth:`kinview.evaluation.Store.steps` gives.

    Returns
    -------
    DataFrame
        ``hash``, ``dataset``, ``method``, ``seed``, ``fold``, ``seconds``, ``parameters`` and ``history``, a dict of
        lists (empty where nothing was trained).
    """
    if steps is None or "model_hash" not in results.cells or not set(_COLUMNS) <= set(steps):
        return pd.DataFrame(columns=["dataset", "method", "seed", "fold", *_COLUMNS])
    clean = results.cells[results.cells["condition"] == "clean"].dropna(subset=["model_hash"])
    models = clean[["model_hash", "dataset", "method", "seed", "fold"]].drop_duplicates("model_hash")
    made = steps.loc[steps["kind"] == "pretrain", list(_COLUMNS)]
    found = models.merge(made, left_on="model_hash", right_on="hash").drop(columns="model_hash")
    read: list[Any] = [json.loads(text) if isinstance(text, str) else {} for text in found["history"]]
    return found.assign(history=read)


def model_rows(results: Results, trainings: pd.DataFrame) -> list[tuple[str, ...]]:
    """A row a data set and method with a network: models, weights, median seconds, steps, first and last loss."""
    rows = list[tuple[str, ...]]()
    for dataset in results.modalities:
        for method in results.methods_on(dataset):
            models = trainings[(trainings["dataset"] == dataset) & (trainings["method"] == method)]
            sizes = sorted({int(number) for number in models["parameters"].dropna()})
            if not sizes:
                continue
            trained = [one for one in models["history"] if one.get("loss")]
            steps = sorted({int(one["step"][-1]) for one in trained})
            ends = [_mean_of("loss", end, trained) for end in (0, -1)]
            rows.append((
                dataset, method, str(len(models)), _span(sizes), f"{models['seconds'].median():.1f}",
                _span(steps) if steps else "none", " \N{RIGHTWARDS ARROW} ".join(ends) if any(ends) else "",
            ))  # fmt: skip
    return rows


def last_value(history: Mapping[str, Sequence[float | None]], name: str = "loss") -> float:
    """Mean of a quantity over the last tenth of a training; NaN where it was not recorded there."""
    if name not in history:
        return float("nan")
    pairs = np.array([history["step"], history[name]], dtype=np.float64)  # None becomes NaN
    late = pairs[1, pairs[0] > (1 - _LAST) * pairs[0, -1]]
    return float(np.nanmean(late)) if np.isfinite(late).any() else float("nan")


def training_figures(results: Results, trainings: pd.DataFrame, *, with_legend: bool = True) -> dict[str, Build]:
    """A figure a data set: what the trainings recorded against the step, a panel a quantity and method."""
    drawn: dict[str, Build] = {}
    for dataset in results.modalities:
        trained = trainings[(trainings["dataset"] == dataset) & trainings["history"].map(bool)]
        if len(trained):
            drawn[f"training_{dataset}"] = functools.partial(_curves, results, trained, dataset, with_legend)
    return drawn


def loss_figures(results: Results, trainings: pd.DataFrame, metric: str) -> dict[str, Build]:
    """A figure a sweep of trained variants: the last loss of each model beside the score of a probe on it."""
    drawn: dict[str, Build] = {}
    for sweep in sweeps_of(results):
        points = _points(results, trainings, sweep, metric)
        if len(points):
            drawn[f"loss_{sweep.name}"] = functools.partial(_scatter, sweep, points, metric)
    return drawn


def _mean_of(name: str, end: int, trained: Sequence[Mapping[str, Any]]) -> str:
    """First value of a quantity, or its last one, averaged over models."""
    found = [last_value(one, name) if end else one[name][0] for one in trained]
    known = [value for value in found if value is not None and value == value]
    return f"{np.mean(known):.4g}" if known else ""


def _span(numbers: Sequence[int]) -> str:
    return f"{numbers[0]:,}" if len(numbers) == 1 else f"{numbers[0]:,} to {numbers[-1]:,}"


def _curves(results: Results, trained: pd.DataFrame, dataset: str, with_legend: bool) -> Drawn:
    """A panel a method, which its variants share, with its loss; after these what else was recorded."""
    from matplotlib.figure import Figure

    styles = method_styles(results)
    names = [method for method in results.methods_on(dataset) if method in set(trained["method"])]
    families: dict[str, list[str]] = {}
    for method in names:
        families.setdefault(results.identity(method).name, []).append(method)
    histories = {name: list(trained.loc[trained["method"] == name, "history"]) for name in names}
    recorded = dict.fromkeys(key for kept in histories.values() for one in kept for key in one if key != "step")
    panels = [
        (quantity, family)
        for quantity in recorded
        for family, methods in families.items()
        if any(quantity in one for method in methods for one in histories[method])
    ]
    columns = max(3, min(len(families), 4))
    rows = -(-len(panels) // columns)
    figure = Figure(layout="constrained", figsize=(3 * _PANEL[0], _PANEL[1] * rows * 3 / columns))
    grid = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for axes, (quantity, family) in zip(grid, panels):
        for method in families[family]:
            kept = [one for one in histories[method] if quantity in one]
            if kept:
                x, mean = _average(kept, quantity)
                axes.plot(x, mean, **{**look_of(styles[method]), "marker": "none", "lw": 1.2})
        axes.set_title(printable(family), loc="left")
        axes.set_xlabel("step")
        axes.set_ylabel(printable(quantity.replace("_", " ")))
    for axes in grid[len(panels) :]:
        axes.remove()
    if with_legend:
        legend(figure, {name: styles[name] for name in names})
    return Drawn(figure, f"what the trainings on {dataset} recorded, against the step: {', '.join(recorded)}")


def _average(histories: Sequence[Mapping[str, Any]], quantity: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean of several histories at the steps of the longest one; each counts as far as it goes."""
    longest = max(histories, key=lambda one: len(one["step"]))
    x = np.asarray(longest["step"], dtype=np.float64)
    values = np.full((len(histories), len(x)), np.nan)
    for row, one in zip(values, histories, strict=True):
        known = [(step, value) for step, value in zip(one["step"], one[quantity], strict=True) if value is not None]
        if known:
            steps, numbers = np.asarray(known, dtype=np.float64).T
            row[:] = np.interp(x, steps, numbers, left=np.nan, right=np.nan)
    some = np.isfinite(values).any(axis=0)
    return x[some], np.nanmean(values[:, some], axis=0)


def _points(results: Results, trainings: pd.DataFrame, sweep: Sweep, metric: str) -> pd.DataFrame:
    """Data set, probe, variant, last loss and score of each model of a sweep."""
    mine = trainings[trainings["method"].isin(sweep.variants)]
    mine = mine.assign(loss=[last_value(one) for one in mine["history"]]).dropna(subset=["loss"])
    cells = results.cells[(results.cells["condition"] == "clean") & (results.cells["modality"] == sweep.modality)]
    if not len(mine) or "model_hash" not in cells:
        return pd.DataFrame()
    scores = cells[["model_hash", "probe", metric]].dropna()
    found = mine.merge(scores, left_on="hash", right_on="model_hash")
    return found[["dataset", "probe", "method", "loss", metric]]


def _scatter(sweep: Sweep, points: pd.DataFrame, metric: str) -> Drawn:
    """A panel a data set and probe, a point a model, coloured by variant, with the rank correlation."""
    from matplotlib.figure import Figure
    from scipy.stats import spearmanr

    panels: list[tuple[Any, pd.DataFrame]] = list(points.groupby(["dataset", "probe"], sort=False))
    columns = max(3, min(len(panels), 4))
    rows = -(-len(panels) // columns)
    figure = Figure(layout="constrained", figsize=(3 * _PANEL[0], _PANEL[1] * rows * 3 / columns + 0.3))
    grid = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    by_method = dict(zip(sweep.variants, class_styles(len(sweep.variants)), strict=True))
    styles = {
        f"{', '.join(sweep.parameters)} = {', '.join(map(shown_value, sweep.variants[method]))}": style
        for method, style in by_method.items()
        if method in set(points["method"])
    }
    for axes, ((dataset, probe), shown) in zip(grid, panels):
        _dots(axes, shown, metric, by_method)
        varied = len(shown) >= _FEWEST and shown["loss"].nunique() > 1 and shown[metric].nunique() > 1
        rho = f", ρ = {spearmanr(shown['loss'], shown[metric]).statistic:+.2f}" if varied else ""
        axes.set_title(
            f"{printable(dataset)}\nprobe {printable(probe)}" + rho.replace("-", "\N{MINUS SIGN}"), loc="left"
        )
        axes.set_xlabel("last loss")
        axes.set_ylabel(METRICS.get(metric, metric))
    for axes in grid[len(panels) :]:
        axes.remove()
    legend(figure, styles)
    return Drawn(figure, f"{METRICS.get(metric, metric)} against the last loss of the models of {sweep.title}")


def _dots(axes: Axes, shown: pd.DataFrame, metric: str, styles: Mapping[str, Style]) -> None:
    for method, style in styles.items():
        mine = shown[shown["method"] == method]
        axes.plot(mine["loss"], mine[metric], **{**look_of(style), "ls": "none"})
