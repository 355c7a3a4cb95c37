"""``kinview report``: what a store holds, as a table, a page, figures and files of other programs."""

from __future__ import annotations

import typing
from pathlib import Path
from typing import TYPE_CHECKING

from kinview._cli.arguments import Metric, new_parser, parse as parse_words
from kinview._cli.subgroups import SubgroupOptions
from kinview._cli.text import complain, count, say, terminal_width

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd
    from jsonargparse import Namespace

    from kinview.evaluation.store import Store

__all__ = ["clean_predictions", "parse", "report", "run"]

Format = typing.Literal["html", "markdown", "latex", "csv", "parquet", "xlsx"]
FigureFormat = typing.Literal["pdf", "svg", "png"]


def report(
    subgroups: SubgroupOptions,
    *,
    store: str = "sqlite:///kinview-results/results.db",
    benchmark: str | None = None,
    output: str | None = None,
    format: Format | None = None,
    figures: str | None = None,
    figure_format: FigureFormat = "pdf",
    csv: str | None = None,
    predictions: str | None = None,
    metric: Metric | None = None,
    reference: str | None = None,
    published: str | None = None,
) -> None:
    """What to show.

    Parameters
    ----------
    subgroups : SubgroupOptions
        The subgroups, and the data set that has them.
    store : str
        Database of the results: a URL (sqlite:///FILE, postgresql+psycopg://user@host/name) or a SQLite file.
    benchmark : str, optional
        Name of the benchmark; needed where the store holds several.
    output : str, optional
        File to write; its ending says the format: a page (.html), the tables as Markdown (.md) or LaTeX (.tex), one
        row a cell (.csv, .parquet), or a workbook with tables and cells (.xlsx).
    format : str, optional
        Format of the file, which must be that of its ending; without a file markdown, latex and csv are printed.
    figures : str, optional
        Folder to write every figure of the page into.
    figure_format : str
        Kind of these files.
    csv : str, optional
        CSV file to write, one row a cell.
    predictions : str, optional
        Parquet file to write, one row a test sample and cell: labels and scores with the names of the
        samples, which nothing else here shows.
    metric : str, optional
        Metric of the table and of the main figures; accuracy unless given, or r2 where only numbers were predicted.
    reference : str, optional
        METHOD or METHOD/PROBE, such as raw/svm: compare each method and probe with it over data sets.
    published : str, optional
        CSV file of published results, a row a data set and a column a method, laid beside those on clean data.
    """
    from kinview._cli.models import benchmark_of
    from kinview.evaluation.report import Report, format_table
    from kinview.evaluation.report.default_metric import default_metric
    from kinview.evaluation.report.files import format_of, rendered, write_document
    from kinview.evaluation.report.from_predictions import tables_of_predictions
    from kinview.evaluation.report.workbook import cells_as_csv
    from kinview.evaluation.store import Store
    from kinview.files import atomic_write

    page, cells, samples = _files(output, format, csv, predictions)
    asked = subgroups.read(benchmark)
    results = Store(store, create=False)
    name = benchmark_of(results, asked.benchmark)
    frame = results.frame(benchmark=name)
    chosen = metric or default_metric(frame)
    kind = format if page is None else format_of(page)
    drawn = figures is not None or kind not in (None, "csv", "parquet")
    made = Report(
        frame,
        title=name and f"Benchmark {name}",
        metric=chosen,
        reference=reference,
        published=published,
        predictions=clean_predictions(results, frame) if drawn else None,
        steps=results.steps(),
        subgroups=tables_of_predictions(results, benchmark=name, **asked.for_results(frame))
        if asked.subgroups
        else None,
    )
    tell: Callable[[str], None] = say
    if format is not None and page is None:
        tell = complain  # the document alone goes to standard output
        say(*str(rendered(made, format)).rstrip("\n").split("\n"))
    else:
        say(*format_table(frame, chosen, width=terminal_width(), reference=reference).split("\n"))
        if any(file is not None for file in (page, cells, samples, figures)):
            say("")
    if cells is not None:
        tell(f"saved {atomic_write(cells, cells_as_csv(frame))}: {count(len(frame), 'cell')}")
    if samples is not None:
        tell(f"saved {results.write_predictions(samples, benchmark=name)}: the test samples of each cell, by name")
    if figures is not None:
        written = made.write_figures(figures, figure_format=figure_format)
        tell(f"saved {count(len(written), 'figure')} in {figures}")
    if page is not None:
        tell(f"saved {write_document(made, page, format)}")


def _files(
    output: str | None, format: str | None, csv: str | None, predictions: str | None
) -> tuple[Path | None, Path | None, Path | None]:
    """The files to write, checked before anything is read."""
    from kinview._cli.models import check_output
    from kinview.evaluation.report.files import ENDINGS, PRINTED, format_of

    if output is not None:
        format_of(output, format)
    elif format is not None and format not in PRINTED:
        raise ValueError(f"--format {format} is no text to print: give --output FILE{ENDINGS[format][0]} too")
    endings = [ending for endings in ENDINGS.values() for ending in endings]
    page = None if output is None else check_output(output, endings)
    if csv is not None and Path(csv).suffix.lower() == ".parquet":
        raise ValueError(f"--csv {csv} must end in .csv; --output {csv} writes Parquet")
    cells = None if csv is None else check_output(csv, (".csv", ".tsv", ".txt"), "csv")
    return page, cells, None if predictions is None else check_output(predictions, (".parquet",), "predictions")


def clean_predictions(store: Store, frame: pd.DataFrame) -> pd.DataFrame | None:
    """Predictions on clean data, which the curves are of; None where the store has none."""
    from kinview.evaluation.report.cells import read_results

    cells = read_results(frame).cells
    found = store.predictions(keys=cells.loc[cells["condition"] == "clean", "hash"])
    return found if len(found) else None


def parse(words: Sequence[str]) -> Namespace:
    """Options of the command."""
    parser = new_parser(
        "report", "[--store URL] [--benchmark NAME] [--output FILE] [--figures FOLDER]\n"
        "                      [--published FILE.csv] [--subgroups LIST --dataset NAME | --study FILE]",
        "Show the results in a store, and write them as a page, as tables, as cells, as figures, or sample by sample.",
    )  # fmt: skip
    parser.add_function_arguments(report, as_positional=False, skip={"subgroups"})
    SubgroupOptions.add_to(parser, but={"format"})
    return parse_words(parser, words)


def run(options: Namespace) -> None:
    """Run the command; the format of --data goes by its extension, since --format is that of the report."""
    shown_as, options.format = options.format, "auto"
    report(SubgroupOptions.taken_from(options), format=shown_as, **options.as_dict())
