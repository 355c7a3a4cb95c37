"""The results as one HTML file that needs nothing else: no network, no script, no font."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from kinview.evaluation.report import figures, sections
from kinview.evaluation.report.cells import METRICS, Results, read_results
from kinview.evaluation.report.markdown import render_markdown
from kinview.evaluation.report.over_datasets import against_reference
from kinview.evaluation.report.table import check_metric
from kinview.files import atomic_write
from kinview.registry import to_config

__all__ = ["render_report", "write_report"]

_POINTS = 60_000  # in all scatters together; more makes the page slow to open


def write_report(
    frame: pd.DataFrame,
    path: str | os.PathLike[str],
    *,
    benchmark: Any = None,
    embeddings: Mapping[tuple[str, str], tuple[ArrayLike, ArrayLike]] | None = None,
    title: str | None = None,
    description: str = "",
    metric: str = "accuracy",
    reference: str | None = None,
) -> Path:
    """Write a self-contained report of a benchmark: HTML, or its main tables as Markdown.

    It opens with whether the learned representations beat the controls, then shows the results of each probe, the
    paired differences with their intervals, degradation curves, embeddings, checks (realised rates, probes that did
    not converge, failed cells), and how to reproduce it. The same arguments give the same bytes.

    Parameters
    ----------
    frame : DataFrame
        Frame of the results store, one row per cell.
    path : path-like
        The file to write; its folder must exist. A name that ends in ``.md`` makes Markdown.
    benchmark : dataclass or mapping, optional
        The configuration that was run, shown so that the report can be reproduced.
    embeddings : mapping of (data set, method) to (array-like (n, D), array-like (n,)), optional
        Test embeddings and classes for the scatters; without them there are none.
    title : str, optional
        Heading; by default the name of the benchmark.
    description : str
        A paragraph under the heading.
    metric : str
        The metric of the main tables, figures and comparisons: ``"accuracy"``, ``"balanced_accuracy"``,
        ``"macro_f1"``, ``"auroc"`` or ``"auprc"``. The others stand in tables of their own.
    reference : str, optional
        ``METHOD`` or ``METHOD/PROBE``: a section compares each method and probe with it over data sets (mean, paired
        difference with its interval, wins, ties and losses).

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ValueError
        If the frame holds no results or not this metric or reference, or an embedding has another shape.
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
    shown: dict[str, Any] = {
        "title": title, "description": description, "metric": metric, "reference": reference,
    }  # fmt: skip
    if Path(path).suffix.lower() == ".md":
        return atomic_write(path, render_markdown(frame, config=_plain(benchmark), **shown))
    return atomic_write(path, render_report(frame, benchmark=benchmark, embeddings=embeddings, **shown))


def render_report(
    frame: pd.DataFrame,
    *,
    benchmark: Any = None,
    embeddings: Mapping[tuple[str, str], tuple[ArrayLike, ArrayLike]] | None = None,
    title: str | None = None,
    description: str = "",
    metric: str = "accuracy",
    reference: str | None = None,
) -> str:
    """Text of the report that :func:`write_report` writes; the parameters are the same."""
    results = read_results(frame)
    check_metric(frame, metric)
    config = _plain(benchmark)
    compared = sections.comparison(results, metric)
    made = sections.provenance(results, config)
    others = [name for name in METRICS if name in frame and name != metric and results.cells[name].notna().any()]
    name = config.get("name") if config else ", ".join(made["names"])
    page: str = _template().render(
        title=title or f"Benchmark {name or 'results'}",
        description=description,
        metric=METRICS[metric],
        results=results,
        conditions=list(results.conditions.index),
        facts=sections.facts(results),
        notices=sections.notices(results, metric),
        compared=compared,
        against=None if reference is None else against_reference(results, metric, reference),
        tables=sections.result_tables(results, metric, compared["lookup"]),
        others=[(METRICS[other], sections.result_tables(results, other)) for other in others],
        curves=_curves(results, metric),
        method_keys=_method_keys(results),
        scatters=_scatters(results, embeddings or {}),
        checks=sections.checks(results),
        made=made,
        glyphs=sections.GLYPHS,
    )
    return page


def _template() -> Any:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("kinview.evaluation.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["signed"] = _signed
    return environment.get_template("report.html.j2")


def _signed(value: float) -> str:
    text = f"{value:+.3f}".replace("-", "\N{MINUS SIGN}")
    return text if text.strip("+\N{MINUS SIGN}0.") else text[1:]


def _plain(benchmark: Any) -> dict[str, Any] | None:
    if benchmark is None:
        return None
    if isinstance(benchmark, Mapping):
        return {str(key): to_config(value) for key, value in benchmark.items()}
    if dataclasses.is_dataclass(benchmark):
        return {
            field.name: to_config(getattr(benchmark, field.name))
            for field in dataclasses.fields(benchmark)
            if getattr(benchmark, field.name) is not None
        }
    raise TypeError(f"benchmark must be a Benchmark or a mapping of its fields, got {type(benchmark).__name__}")


def _curves(results: Results, metric: str) -> list[tuple[str, Any]]:
    drawn = [
        (dataset, figures.degradation_curves(results, dataset, metric=metric, name=f"curves-{index}"))
        for index, dataset in enumerate(results.modalities)
    ]
    return [(dataset, _safe(svg)) for dataset, svg in drawn if svg]


def _method_keys(results: Results) -> list[tuple[str, Any]]:
    styles = figures.method_styles(results)
    return [
        (method, _safe(figures.legend_key(styles[method], f"key-{index}")))
        for index, method in enumerate(results.methods)
    ]


def _scatters(
    results: Results, embeddings: Mapping[tuple[str, str], tuple[ArrayLike, ArrayLike]]
) -> list[dict[str, Any]]:
    points = min(400, max(60, _POINTS // max(len(embeddings), 1)))
    drawn = []
    for index, (dataset, group) in enumerate(sections.scatter_groups(embeddings, results).items()):
        classes = figures.embedding_classes(group)
        keys = [
            (label, _safe(figures.legend_key(style, f"class-{index}-{number}", line=False)))
            for number, (label, style) in enumerate(zip(classes, figures.class_styles(len(classes))))
        ]
        svg = figures.embedding_scatter(group, name=f"scatter-{index}", max_points=points)
        rows = max(np.size(y) for _, y in group.values())
        drawn.append({"name": dataset, "svg": _safe(svg), "keys": keys, "rows": rows, "points": min(points, rows)})
    return drawn


def _safe(svg: str | None) -> Any:
    """Mark a drawing as finished markup: its text was escaped when it was written."""
    from markupsafe import Markup

    return Markup(svg or "")
