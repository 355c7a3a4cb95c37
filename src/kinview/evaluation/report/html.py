"""A report as one HTML file that needs nothing else: no network, no font, and no script to be read."""

from __future__ import annotations

import base64
import functools
import hashlib
import importlib.resources
import os
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from kinview.evaluation.metrics.table import lower_is_better
from kinview.evaluation.report import figures, sections
from kinview.evaluation.report.averages import spread_name
from kinview.evaluation.report.beside_metrics import embedding_tables, side_tables
from kinview.evaluation.report.cells import average_word, within_sentence
from kinview.evaluation.report.content import Report
from kinview.evaluation.report.document import (
    CONVERGENCE_NOTE,
    COST_HEADS,
    COST_NOTE,
    DATA_HEADS,
    ERRORS_HEADS,
    ERRORS_NOTE,
    MODEL_HEADS,
    MODEL_NOTE,
    RECONSTRUCTED_NOTE,
    WINS_NOTE,
    differences_note,
)
from kinview.evaluation.report.embedding_maps import MAPS, embedding_classes, map_figure
from kinview.evaluation.report.over_datasets import interval_name, units_note
from kinview.evaluation.report.shift_matrix import shift_matrices
from kinview.evaluation.report.svg import page_svg
from kinview.evaluation.report.verdicts import has_rope, median_note, p_words, probability_words, test_name

__all__ = ["render_html", "render_report", "write_report"]

_ACROSS = 6  # conditions that a table of a page has beside each other
_A4 = (210, 297)  # millimetres
_MARGIN = 12
_FIRST_COLUMN, _COLUMN = 70, 28  # millimetres that a column of names and one of numbers take in print


def write_report(
    frame: pd.DataFrame, path: str | os.PathLike[str], *, format: str | None = None, **options: Any
) -> Path:
    """Write a report of a benchmark: a self-contained page, its tables as Markdown, LaTeX or a workbook, or its cells.

    It opens with whether the learned representations beat the controls, then compares all methods over data sets, shows
    the results of each probe, the paired differences with their intervals, degradation curves, embeddings, checks
    (realised rates, labels that look wrong, probes that did not converge, failed cells), how models were trained,
    and how to reproduce it. The same arguments give the same bytes.

    Parameters
    ----------
    frame : DataFrame
        Frame of the results store, one row per cell.
    path : path-like
        The file to write; its folder must exist. Its ending says the format: ``.html``, ``.md``, ``.tex``; ``.csv`` and
        ``.parquet`` hold one row a cell, ``.xlsx`` these and the tables.
    format : str, optional
        ``"html"``, ``"markdown"``, ``"latex"``, ``"csv"``, ``"parquet"`` or ``"xlsx"``, which must be what the ending
        says.
    **options
        As :class:`kinview.evaluation.Report`.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ValueError
        If the frame holds no results or not this metric or reference, an embedding has another shape, or the ending is
        that of another format.
    FileNotFoundError
        If the folder does not exist.

    Examples
    --------
    >>> import tempfile
    >>> cells = pd.DataFrame({"dataset": "wine", "probe": "svm", "seed": [0, 1] * 2,
    ...                       "method": ["raw"] * 2 + ["scarf"] * 2, "accuracy": [0.90, 0.92, 0.93, 0.97]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = write_report(cells, Path(folder) / "report.html", title="Wine").read_text(encoding="utf-8")
    >>> "is not testable against raw" in page
    True
    """
    return Report(frame, **options).write(path, format=format)


def render_report(frame: pd.DataFrame, **options: Any) -> str:
    """Text of the page of a report; ``options`` as :class:`kinview.evaluation.Report`."""
    return render_html(Report(frame, **options))


def render_html(report: Report) -> str:
    """Text of the page of a report."""
    script = importlib.resources.files("kinview.evaluation.report").joinpath("templates/report.js")
    code = script.read_text(encoding="utf-8")
    results = report.results
    drawn, sides = _figures(report), side_tables(results)
    page: str = _template().render(
        report=report,
        title=report.heading,
        description=report.description,
        metric=report.metric_title,
        results=results,
        conditions=list(results.conditions.index),
        facts=sections.facts(results),
        notices=sections.notices(results, report.metric),
        compared=report.compared,
        controls=sections.controls_in_words(results),
        against=report.against,
        tables=report.tables,
        others=report.others,
        metric_notes=sections.metric_notes([report.metric_title, *(name for name, _ in report.others)]),
        figures=drawn,
        sweeps=report.sweeps,
        shift_matrices=shift_matrices(results, report.metric),
        embedding_tables=embedding_tables(results),
        side_tables=sides,
        gap_keys=_method_keys(report, "gap", {row["method"] for table in sides for row in table["rows"]}),
        gaps=[name for name in results.modalities if f"gap_{name}" in drawn],
        curves=[name for name in sections.with_curves(results) if f"degradation_{name}" in drawn],
        beyond={name: figures.beyond_the_axis(results, name, report.metric) for name in results.modalities},
        method_keys=_method_keys(report, "key"),
        prediction_keys=_method_keys(report, "curve"),
        training_keys=_method_keys(report, "training", set(report.trainings["method"])),
        scatters=_scatters(report),
        maps_shown=[MAPS[kind] for kind in report.maps],
        data_rows=[tuple(row.values()) for row in report.data_sets],
        cost_heads=COST_HEADS,
        errors_heads=ERRORS_HEADS,
        errors_note=ERRORS_NOTE,
        model_heads=MODEL_HEADS,
        model_note=MODEL_NOTE,
        training=[name for name in results.modalities if f"training_{name}" in drawn],
        data_heads=DATA_HEADS,
        cost_note=COST_NOTE,
        convergence_note=CONVERGENCE_NOTE,
        differences_note=differences_note(report),
        wins_note=WINS_NOTE,
        reconstructed_note=RECONSTRUCTED_NOTE,
        checks=report.checks,
        made=report.made,
        glyphs=sections.GLYPHS,
        has_rope=has_rope(report.metric),
        test=test_name(report.metric),
        units_note=units_note(report.metric),
        spread=spread_name(results, report.metric),
        average=average_word(report.metric),
        interval=interval_name(report.metric),
        has_intervals=any(row["low"] == row["low"] for row in report.compared["verdicts"]),
        lower=lower_is_better(report.metric),
        median_note=median_note(report.metric),
        paper=_paper(report),
        margin=_MARGIN,
        script=_safe(code),
        script_hash=base64.b64encode(hashlib.sha256(code.encode()).digest()).decode(),
    )
    return page


def _paper(report: Report) -> tuple[int, int]:
    """Millimetres of a printed page: A4, or as wide as the widest table, so that no column is lost."""
    columns = [min(len(report.results.conditions), _ACROSS), *(one.found.scores.shape[1] for one in report.all_methods)]
    columns += [len(one.found.scores) for one in report.all_methods if not one.found.testable]
    columns += [len(one["classes"]) for one in report.transitions]
    columns += [len(part["heads"]) for group in report.subgroup_tables for part in group["parts"]]
    columns += [len(group["gap_heads"]) for group in report.subgroup_tables if group["gaps"]]
    columns += [] if report.beside is None else [len(report.beside["datasets"]) + 2, len(report.beside["own"])]
    needed = 2 * _MARGIN + _FIRST_COLUMN + _COLUMN * max(columns)
    if needed <= _A4[0]:
        return _A4
    width = max(_A4[1], needed)
    return width, round(width / 2**0.5)


@functools.cache
def _template() -> Any:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("kinview.evaluation.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"parts": _parts, "signed": _signed, "p": p_words, "posterior": probability_words}
    environment.filters["inside"] = within_sentence
    return environment.get_template("report.html.j2")


class _Part(NamedTuple):
    """Conditions that one table shows: which of all they are, their labels, and in words where there are several."""

    start: int
    stop: int
    labels: tuple[str, ...]
    words: str


def _parts(conditions: Sequence[str]) -> list[_Part]:
    """Conditions in parts as equal as can be, each narrow enough that its table fits the page."""
    number = -(-len(conditions) // _ACROSS)
    bounds = [len(conditions) * place // number for place in range(number + 1)] if number else []
    return [
        _Part(
            start, stop, tuple(conditions[start:stop]),
            f", conditions {start + 1} to {stop} of {len(conditions)}" if number > 1 else "",
        )
        for start, stop in pairwise(bounds)
    ]  # fmt: skip


def _signed(value: float) -> str:
    if np.isnan(value):
        return "\N{EN DASH}"
    text = f"{value:+.3f}".replace("-", "\N{MINUS SIGN}")
    return text if text.strip("+\N{MINUS SIGN}0.") else text[1:]


def _figures(report: Report) -> dict[str, Any]:
    """Every figure as finished markup, by name; nothing where nothing is drawn."""
    drawn = {
        name: page_svg(f"figure-{index}", build)
        for index, (name, build) in enumerate(report.figures(with_legend=False).items())
    }
    return {name: _safe(svg) for name, svg in drawn.items() if svg}


def _method_keys(report: Report, name: str, only: Collection[str] | None = None) -> list[tuple[str, Any]]:
    styles = figures.method_styles(report.results)
    return [
        (method, _safe(figures.legend_key(styles[method], f"{name}-{index}")))
        for index, method in enumerate(report.results.methods)
        if only is None or method in only
    ]


def _scatters(report: Report) -> list[dict[str, Any]]:
    drawn = []
    groups: Mapping[str, Mapping[str, Any]] = report.scatters
    for index, (dataset, group) in enumerate(groups.items()):
        classes = embedding_classes(group)
        keys = [
            (label, _safe(figures.legend_key(style, f"class-{index}-{number}", line=False)))
            for number, (label, style) in enumerate(zip(classes, figures.class_styles(len(classes))))
        ]
        rows = max(np.size(y) for _, y in group.values())
        maps = [map_figure(kind, dataset) for kind in report.maps]
        drawn.append(
            {"name": dataset, "keys": keys, "rows": rows, "maps": maps, "points": min(report.scatter_points, rows)}
        )
    return drawn


def _safe(markup: str | None) -> Any:
    """Mark a drawing, or the page's own script, as finished markup: its text was escaped when it was written."""
    from markupsafe import Markup

    return Markup(markup or "")
