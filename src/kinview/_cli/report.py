"""``kinview report``: what a store holds, as a table, a page and a CSV file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kinview._cli.arguments import Metric, new_parser, parse as parse_words
from kinview._cli.text import count, say, terminal_width

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jsonargparse import Namespace

__all__ = ["parse", "report", "run"]


def report(
    *,
    store: str = "sqlite:///kinview-results/results.db",
    benchmark: str | None = None,
    output: str | None = None,
    csv: str | None = None,
    predictions: str | None = None,
    metric: Metric = "accuracy",
    reference: str | None = None,
) -> None:
    """What to show.

    Parameters
    ----------
    store : str
        Database of the results: a URL (sqlite:///FILE, postgresql+psycopg://user@host/name) or a SQLite file.
    benchmark : str, optional
        Name of the benchmark; needed where the store holds several.
    output : str, optional
        File to write: HTML, or the main tables as Markdown where its name ends in .md.
    csv : str, optional
        CSV file to write, one row a cell.
    predictions : str, optional
        Parquet file to write, one row a test sample and cell: labels and scores with the names of the
        samples, which nothing else here shows.
    metric : str
        Metric of the table and of the main figures.
    reference : str, optional
        METHOD or METHOD/PROBE, such as raw/svm: compare each method and probe with it over data sets.
    """
    from kinview._cli.models import check_output, shown_url
    from kinview.evaluation.report import format_table, write_report
    from kinview.evaluation.store import Store

    page = None if output is None else check_output(output, (".html", ".htm", ".md"))
    samples = None if predictions is None else check_output(predictions, (".parquet",))
    results = Store(store, create=False)
    shown = shown_url(results)
    names = results.benchmarks()
    if benchmark is None and len(names) > 1:
        raise ValueError(f"{shown} holds the benchmarks {', '.join(names)}; choose one with --benchmark")
    if benchmark is not None and benchmark not in names:
        raise ValueError(f"{shown} has no benchmark {benchmark!r}; it holds {', '.join(names) or 'none'}")
    name = benchmark or next(iter(names), None)
    frame = results.frame(benchmark=name)
    say(*format_table(frame, metric, width=terminal_width(), reference=reference).split("\n"))
    if page is not None or csv is not None or samples is not None:
        say("")
    if csv is not None:
        say(f"saved {results.write_csv(Path(csv), benchmark=name)}: {count(len(frame), 'cell')}")
    if samples is not None:
        say(f"saved {results.write_predictions(samples, benchmark=name)}: the test samples of each cell, by name")
    if page is not None:
        title = name and f"Benchmark {name}"
        say(f"saved {write_report(frame, page, title=title, metric=metric, reference=reference)}")


def parse(words: Sequence[str]) -> Namespace:
    """Options of the command."""
    parser = new_parser(
        "report", "[--store URL] [--benchmark NAME] [--output FILE.html|FILE.md] [--csv FILE.csv]\n"
        "                      [--predictions FILE.parquet]",
        "Show the results in a store, and write them as a report (HTML or Markdown), CSV, or test sample by sample.",
    )  # fmt: skip
    parser.add_function_arguments(report)
    return parse_words(parser, words)


def run(options: Namespace) -> None:
    """Run the command."""
    report(**options.as_dict())
