"""What a report says, computed once for every form that it is written in."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from numpy.typing import ArrayLike

from kinview.evaluation.map_names import MapName
from kinview.evaluation.report import described, figures, reproduce, sections
from kinview.evaluation.report.all_methods import AllMethods, compare_all
from kinview.evaluation.report.beside_metrics import side_figures
from kinview.evaluation.report.cells import METRICS, Results, average_word, read_results
from kinview.evaluation.report.embedding_maps import check_maps, embedding_scatter, map_figure
from kinview.evaluation.report.figures_of_predictions import ProbeCurves, curves_of_predictions, read_curves
from kinview.evaluation.report.figures_over_datasets import critical_difference, paired_values
from kinview.evaluation.report.label_errors import label_errors
from kinview.evaluation.report.methods_paragraph import methods_paragraph
from kinview.evaluation.report.over_datasets import against_reference
from kinview.evaluation.report.published import beside_published, read_published
from kinview.evaluation.report.sweeps import sweep_figures, sweep_sections
from kinview.evaluation.report.table import check_metric
from kinview.evaluation.report.trainings import loss_figures, model_rows, training_figures, trainings_of
from kinview.registry import to_config

if TYPE_CHECKING:
    from kinview.evaluation.report.from_predictions import PredictionTables
    from kinview.evaluation.report.svg import Build

__all__ = ["Report"]

_POINTS = 60_000  # in all scatters together; more makes the page slow to open


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Report:
    """Report of a benchmark, which can be written as a page, as tables, and as figures.

    Parameters
    ----------
    frame : DataFrame
        Frame of the results store, one row per cell.
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
        ``"macro_f1"``, ``"auroc"`` or ``"auprc"``; ``"mae"``, ``"rmse"`` or ``"r2"`` of numbers. The others stand in
        tables of their own.
    reference : str, optional
        ``METHOD`` or ``METHOD/PROBE``: a section compares each method and probe with it over data sets (mean, paired
        difference with its interval, wins, ties and losses).
    published : path-like, optional
        CSV file of published results of the same metric, a row a data set and a column a method, in percent or as
        fractions: a section lays them beside the results on clean data.
    predictions : DataFrame, optional
        What :meth:`kinview.evaluation.Store.predictions` gives of these cells: curves (receiver operating
        characteristic, precision against recall, calibration) of those on clean data, and how many test samples and
        classes there are. No sample is named.
    subgroups : PredictionTables, optional
        What :func:`kinview.evaluation.report.from_predictions.tables_of_predictions` gives: tables of subgroups.
    steps : DataFrame, optional
        What :meth:`kinview.evaluation.Store.steps` gives: sizes and training curves of the models.
    maps : sequence of str
        How the embeddings are drawn in two dimensions: ``"pca"``, ``"tsne"``, or ``"umap"`` (needs umap-learn).
    left_out : sequence of str
        What the benchmark asked for and has no cells, and why, as :meth:`kinview.evaluation.Benchmark.left_out` says.

    Raises
    ------
    ValueError
        If the frame holds no results or not this metric or reference, or the file is no such table, or there is no
        such map.
    ModuleNotFoundError
        If the map ``"umap"`` is asked for and umap-learn is not installed.
    """

    frame: pd.DataFrame
    benchmark: Any = None
    embeddings: Mapping[tuple[str, str], tuple[ArrayLike, ArrayLike]] | None = None
    title: str | None = None
    description: str = ""
    metric: str = "accuracy"
    reference: str | None = None
    published: str | os.PathLike[str] | None = None
    predictions: pd.DataFrame | None = None
    subgroups: PredictionTables | None = None
    steps: pd.DataFrame | None = None
    maps: Sequence[MapName] = ("pca",)
    left_out: Sequence[str] = ()

    def __post_init__(self) -> None:
        _ = self.results, self.config  # what is wrong with the input is said now
        check_metric(self.frame, self.metric)
        check_maps(self.maps)
        _ = self.against, self.beside

    @functools.cached_property
    def results(self) -> Results:
        """The results in reading order."""
        return read_results(self.frame)

    @functools.cached_property
    def config(self) -> dict[str, Any] | None:
        """The benchmark as plain data."""
        return _plain(self.benchmark)

    @property
    def heading(self) -> str:
        """The title."""
        name = self.config.get("name") if self.config else ", ".join(self.made["names"])
        return self.title or f"Benchmark {name or 'results'}"

    @property
    def metric_title(self) -> str:
        """What a report calls the metric."""
        return METRICS[self.metric]

    @functools.cached_property
    def compared(self) -> dict[str, Any]:
        """Verdicts and paired differences, see :func:`kinview.evaluation.report.sections.comparison`."""
        return sections.comparison(self.results, self.metric)

    @functools.cached_property
    def all_methods(self) -> list[AllMethods]:
        """All methods of each modality compared over data sets."""
        return compare_all(self.results, self.metric)

    @functools.cached_property
    def against(self) -> dict[str, Any] | None:
        """The comparison with the reference."""
        return None if self.reference is None else against_reference(self.results, self.metric, self.reference)

    @functools.cached_property
    def beside(self) -> dict[str, Any] | None:
        """The results beside published ones."""
        if self.published is None:
            return None
        return beside_published(self.results, self.metric, read_published(self.published, self.metric))

    @functools.cached_property
    def tables(self) -> list[dict[str, Any]]:
        """The results, a table a probe."""
        return sections.result_tables(self.results, self.metric, self.compared["lookup"])

    @functools.cached_property
    def sweeps(self) -> list[dict[str, Any]]:
        """The sweeps of the benchmark, see :func:`kinview.evaluation.report.sweeps.sweep_sections`."""
        return sweep_sections(self.results, self.metric)

    @functools.cached_property
    def others(self) -> list[tuple[str, list[dict[str, Any]]]]:
        """The tables of the other metrics, with their titles."""
        cells = self.results.cells
        names = [name for name in METRICS if name in cells and name != self.metric and cells[name].notna().any()]
        return [(METRICS[name], sections.result_tables(self.results, name)) for name in names]

    @functools.cached_property
    def checks(self) -> dict[str, Any]:
        """Realised rates, convergence and failed cells."""
        return {**sections.checks(self.results), "sources": reproduce.sources_of(self.results)}

    @functools.cached_property
    def made(self) -> dict[str, Any]:
        """With what the results were made."""
        return reproduce.provenance(self.results, self.config, self.steps)

    @functools.cached_property
    def methods_paragraph(self) -> list[str]:
        """What was run, in sentences, and the references of what they name; nothing where no cell has a result."""
        return methods_paragraph(self.results, self.metric, self.made, self.compared["verdicts"], self.all_methods)

    @functools.cached_property
    def data_sets(self) -> list[dict[str, Any]]:
        """What the store holds of each data set."""
        return described.data_sets(self.results, self.predictions)

    @functools.cached_property
    def transitions(self) -> list[dict[str, Any]]:
        """Realised noise of the labels."""
        return described.transitions(self.results)

    @functools.cached_property
    def label_errors(self) -> list[dict[str, Any]]:
        """Recorded labels that look wrong, see :func:`kinview.evaluation.report.label_errors.label_errors`."""
        return label_errors(self.clean_predictions, self.results.methods, self.results.probes)

    @property
    def label_error_rows(self) -> list[tuple[str, ...]]:
        """The same as text."""
        return [
            (row["dataset"], f"{100 * row['rate']:.1f} %", f"{row['method']}, {row['probe']}",
             f"{100 * row['highest']:.1f} %", str(row["estimates"]))
            for row in self.label_errors
        ]  # fmt: skip

    @functools.cached_property
    def costs(self) -> list[dict[str, Any]]:
        """Seconds by method and probe."""
        return described.costs(self.results)

    @functools.cached_property
    def trainings(self) -> pd.DataFrame:
        """Models of the clean cells, see :func:`kinview.evaluation.report.trainings.trainings_of`."""
        return trainings_of(self.results, self.steps)

    @functools.cached_property
    def model_rows(self) -> list[tuple[str, ...]]:
        """Sizes and trainings of the models, as text."""
        return model_rows(self.results, self.trainings)

    @property
    def cost_rows(self) -> tuple[tuple[Any, ...], ...]:
        """The same as text."""
        names = ("median", "highest", "total")
        return tuple(
            (row["method"], row["probe"], row["cells"], *(f"{row[name]:.3f}" for name in names)) for row in self.costs
        )

    @functools.cached_property
    def subgroup_tables(self) -> list[dict[str, Any]]:
        """Tables of subgroups, as text."""
        from kinview.evaluation.report.from_predictions import subgroup_tables

        return [] if self.subgroups is None else subgroup_tables(self.subgroups)

    @functools.cached_property
    def clean_predictions(self) -> dict[str, pd.DataFrame]:
        """Predictions on clean data with all labels, by data set, under the names that the report has."""
        if self.predictions is None:
            return {}
        clean = self.results.cells[self.results.cells["condition"] == "clean"]
        said = self.predictions
        if "hash" in clean:  # stored names and labels of a report may differ
            said = said.drop(columns=["method", "probe"]).merge(clean[["hash", "method", "probe"]], on="hash")
        else:
            key = ["dataset", "method", "probe", "seed", "fold"]
            said = said.merge(clean[key].drop_duplicates(), on=key)
        return {dataset: said[said["dataset"] == dataset] for dataset in self.results.modalities}

    @functools.cached_property
    def prediction_curves(self) -> dict[str, list[ProbeCurves]]:
        """Curves of the predictions on clean data, by data set."""
        found = {
            dataset: read_curves(said, self.results.methods, self.results.probes)
            for dataset, said in self.clean_predictions.items()
        }
        return {dataset: curves for dataset, curves in found.items() if curves}

    @functools.cached_property
    def scatters(self) -> dict[str, dict[str, tuple[ArrayLike, ArrayLike]]]:
        """Embeddings by data set and method."""
        return sections.scatter_groups(self.embeddings or {}, self.results)

    @property
    def scatter_points(self) -> int:
        """Points of each scatter."""
        return min(400, max(60, _POINTS // max(len(self.embeddings or {}), 1)))

    def figures(self, *, with_legend: bool = True) -> dict[str, Build]:
        """Every figure of the report by name, in reading order; a page has its legends beside them.

        Examples
        --------
        >>> cells = pd.DataFrame({"dataset": "wine", "probe": "svm", "seed": [0, 1] * 2,
        ...                       "method": ["raw"] * 2 + ["scarf"] * 2, "accuracy": [0.90, 0.92, 0.93, 0.97]})
        >>> list(Report(cells).figures())
        ['paired_differences']
        """
        styles = figures.method_styles(self.results)
        found: dict[str, Build] = {}
        rows = [row for row in self.compared["verdicts"] if row["difference"] == row["difference"]]
        if rows:
            found["paired_differences"] = functools.partial(
                paired_values, rows, styles, self.metric_title, average=average_word(self.metric)
            )
        for one in self.all_methods:
            if one.found.testable:
                drawn = functools.partial(critical_difference, one.found.ranks, one.found.cliques, styles)
                found[f"critical_difference_{one.modality}"] = drawn
        found |= sweep_figures(self.results, self.metric)
        found |= side_figures(self.results, styles, with_legend=with_legend)
        for dataset in sections.with_curves(self.results):
            found[f"degradation_{dataset}"] = functools.partial(
                figures.degradation_curves, self.results, dataset, metric=self.metric, with_legend=with_legend
            )
        found |= loss_figures(self.results, self.trainings, self.metric)
        found |= training_figures(self.results, self.trainings, with_legend=with_legend)
        for dataset, curves in self.prediction_curves.items():
            found[f"predictions_{dataset}"] = functools.partial(
                curves_of_predictions, curves, styles, with_legend=with_legend
            )
        for dataset, group in self.scatters.items():
            for kind in self.maps:
                found[map_figure(kind, dataset)] = functools.partial(
                    embedding_scatter, group, kind=kind, max_points=self.scatter_points, with_legend=with_legend
                )
        return found

    def write_figures(self, folder: str | os.PathLike[str], *, figure_format: str = "pdf") -> list[Path]:
        """Write every figure of the report into a folder, as ``pdf``, ``svg`` or ``png``; gives the files."""
        from kinview.evaluation.report.files import write_figures

        return write_figures(self.figures(), folder, figure_format)

    def write(self, path: str | os.PathLike[str], *, format: str | None = None) -> Path:
        """Write the report, in the format that the name of the file or ``format`` says; gives the file."""
        from kinview.evaluation.report.files import write_document

        return write_document(self, path, format)


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
