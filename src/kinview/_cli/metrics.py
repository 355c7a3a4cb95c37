"""``kinview metrics``: metrics of stored predictions with their intervals, differences and subgroups."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from kinview._cli.arguments import new_parser, parse as parse_words
from kinview._cli.models import benchmark_of, check_output
from kinview._cli.subgroups import SubgroupOptions
from kinview._cli.text import count, say
from kinview.files import atomic_write

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from jsonargparse import Namespace

__all__ = ["metrics", "parse", "run"]


def metrics(
    subgroups: SubgroupOptions,
    *,
    store: str = "sqlite:///kinview-results/results.db",
    benchmark: str | None = None,
    metrics: list[dict[str, Any] | str] | None = None,
    reference: str | None = None,
    positive: str | int | None = None,
    n_resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
    output: str | None = None,
) -> None:
    """What to compute.

    Parameters
    ----------
    subgroups : SubgroupOptions
        The subgroups, and the data set that has them.
    store : str
        Database of the results: a URL (sqlite:///FILE, postgresql+psycopg://user@host/name) or a SQLite file.
    benchmark : str, optional
        Name of the benchmark; needed where the store holds several.
    metrics : list, optional
        Metrics by name, or as {net_benefit: {threshold: 0.1}}; by default all that need no parameter.
    reference : str, optional
        METHOD or METHOD/PROBE: differences to it on the same patients.
    positive : str or int, optional
        The event, where there are two classes; the second of the sorted labels unless given.
    n_resamples : int
        Resamples of the test patients.
    confidence : float
        Coverage of the intervals.
    seed : int
        Seed of the resamples.
    output : str, optional
        File to write: Markdown (.md), or all rows as .csv or .parquet. Without it Markdown is printed.
    """
    from kinview.evaluation.report.from_predictions import render_predictions, tables_of_predictions
    from kinview.evaluation.store import Store

    file = None if output is None else check_output(output, (".md", ".csv", ".parquet"))
    asked = subgroups.read(benchmark)
    results = Store(store, create=False)
    name = benchmark_of(results, asked.benchmark)
    tables = tables_of_predictions(
        results, benchmark=name, metrics=metrics, reference=reference,
        **asked.for_results(results.frame(benchmark=name)), positive=None if positive is None else str(positive),
        n_resamples=n_resamples, confidence=confidence, seed=seed,
    )  # fmt: skip
    if file is None:
        return say(*render_predictions(tables, title=name or "Results").rstrip("\n").split("\n"))
    if file.suffix.lower() == ".md":
        atomic_write(file, render_predictions(tables, title=name or "Results"))
    else:
        atomic_write(file, _as_bytes(tables.as_one(), file))
    return say(f"saved {file}: {count(len(tables.as_one()), 'row')} of metrics with their intervals")


def _as_bytes(frame: pd.DataFrame, file: Path) -> bytes:
    import io

    if file.suffix.lower() == ".csv":
        return frame.to_csv(index=False).encode()
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()


def parse(words: Sequence[str]) -> Namespace:
    """Options of the command."""
    parser = new_parser(
        "metrics", "[--store URL] [--metrics LIST] [--reference METHOD/PROBE] [--subgroups LIST --dataset NAME |\n"
        "                       --study FILE] [--output FILE.md|FILE.csv|FILE.parquet]",
        "Compute metrics from stored predictions, with intervals over test patients, differences and subgroups.",
    )  # fmt: skip
    parser.add_function_arguments(metrics, as_positional=False, skip={"subgroups"})
    SubgroupOptions.add_to(parser)
    return parse_words(parser, words)


def run(options: Namespace) -> None:
    """Run the command."""
    metrics(SubgroupOptions.taken_from(options), **options.as_dict())
