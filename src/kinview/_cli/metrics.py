"""``kinview metrics``: metrics of stored predictions with their intervals, differences and subgroups."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kinview._cli.arguments import new_parser, parse as parse_words
from kinview._cli.data import DataOptions
from kinview._cli.models import benchmark_of, check_output
from kinview._cli.study import named_study
from kinview._cli.text import count, say
from kinview.files import atomic_write

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from jsonargparse import Namespace

    from kinview.datasets.dataset import Dataset

__all__ = ["AskedSubgroups", "metrics", "parse", "run"]


def metrics(
    source: DataOptions | None,
    *,
    store: str = "sqlite:///kinview-results/results.db",
    benchmark: str | None = None,
    metrics: list[dict[str, Any] | str] | None = None,
    reference: str | None = None,
    positive: str | int | None = None,
    subgroups: list[dict[str, Any] | str] | None = None,
    study: str | None = None,
    n_resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
    output: str | None = None,
) -> None:
    """What to compute.

    Parameters
    ----------
    source : DataOptions
        The data set with the static columns that subgroups go by, read as in the benchmark.
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
    subgroups : list, optional
        Static columns, as they are or cut into bands: '[sex, {age: [0, 40, 65, 120]}]'. Give the data set that has
        them too (--dataset or --data, --static).
    study : str, optional
        The benchmark's study file: subgroups are the columns that its data sets send there (static_to), and the
        benchmark is the one that it names.
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
    asked = AskedSubgroups.of(subgroups, source, study, benchmark)
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


@dataclasses.dataclass(frozen=True)
class AskedSubgroups:
    """Subgroups that a command was asked for: those of one data set, or those of a study's data sets, by their names.

    Parameters
    ----------
    benchmark : str or None
        Name of the benchmark that was asked for, or of the study.
    subgroups : sequence or mapping
        Columns and bands; of a study by the name of the data set.
    static : DataFrame or mapping or None
        Static columns of the samples, likewise.
    dataset : str or None
        Name of the data set where one was given.
    """

    benchmark: str | None
    subgroups: Any = ()
    static: Any = None
    dataset: str | None = None

    @classmethod
    def of(
        cls, subgroups: list[Any] | None, source: DataOptions | None, study: str | None, benchmark: str | None
    ) -> AskedSubgroups:
        """What these options ask for; reads the data sets.

        Raises
        ------
        ValueError
            If the options contradict each other, or a data set has no static columns.
        """
        if study is not None:
            if subgroups or source is not None or benchmark is not None:
                raise ValueError("--study names benchmark, data and subgroups; leave these options out")
            return cls(*_of_study(study))
        if subgroups and source is None:
            raise ValueError(
                "--subgroups goes by static columns of a data set: give --dataset or --data too, with its options, or "
                "--study with a study file that sends them there"
            )
        if source is None:
            return cls(benchmark)
        if not subgroups:
            raise ValueError("--dataset and --data are for --subgroups; give these too")
        data = source.load()[0]
        return cls(benchmark, subgroups, _static(data), data.name)

    def for_results(self, frame: pd.DataFrame) -> dict[str, Any]:
        """Arguments of :func:`tables_of_predictions`, for the cells of a store.

        Raises
        ------
        ValueError
            If the cells are of several data sets, and none of them is the one that was given.
        """
        held = sorted(set(frame["dataset"]))
        if self.dataset is None or len(held) < 2:  # a file may be called otherwise than in the study
            return {"subgroups": self.subgroups, "static": self.static}
        if self.dataset not in held:
            raise ValueError(
                f"the data set that was given is {self.dataset!r}, and the results are of {', '.join(held)}: give one "
                "of these as the study names it, or the study itself (--study)"
            )
        return {"subgroups": {self.dataset: self.subgroups}, "static": {self.dataset: self.static}}


def _of_study(study: str) -> tuple[str, dict[str, Any], dict[str, pd.DataFrame]]:
    """Name of a study, the subgroups of its data sets, and their static columns."""
    from kinview.evaluation.benchmark.data import loaded
    from kinview.evaluation.benchmark.plan import Benchmark

    plan = Benchmark.from_config(named_study(study))
    found = {data.name: data for data in loaded(plan) if "subgroups" in data.static_to}
    if not found:
        raise ValueError(
            f"no data set of {study} sends static columns to subgroups, as static_to: {{subgroups: [sex]}} does"
        )
    subgroups = {name: data.static_to["subgroups"] for name, data in found.items()}
    return plan.name, subgroups, {name: _static(data) for name, data in found.items()}


def _static(data: Dataset) -> pd.DataFrame:
    """Static columns of all samples of a data set, by the names that predictions have."""
    static = data.pooled().static
    if static is None:
        raise ValueError(f"{data.name} has no static columns; name them when it is read (--static)")
    return static.set_axis(data.sample_names(), axis=0)


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
    parser.add_function_arguments(metrics, as_positional=False, skip={"source"})
    parser.add_class_arguments(DataOptions)
    return parse_words(parser, words)


def run(options: Namespace) -> None:
    """Run the command."""
    asked = options.dataset is not None or options.data is not None
    if not asked:
        for name in DataOptions.__dataclass_fields__:
            options.pop(name)
    metrics(DataOptions.taken_from(options) if asked else None, **options.as_dict())
