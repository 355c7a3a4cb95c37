"""The options that say which subgroups metrics are computed of."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from kinview._cli.data import DataOptions
from kinview._cli.study import named_study

if TYPE_CHECKING:
    import pandas as pd
    from jsonargparse import ArgumentParser, Namespace

    from kinview.datasets.dataset import Dataset

__all__ = ["AskedSubgroups", "SubgroupOptions"]


@dataclasses.dataclass(frozen=True)
class SubgroupOptions:
    """Which subgroups.

    Parameters
    ----------
    subgroups : list, optional
        Static columns, as they are or cut into bands: '[sex, {age: [0, 40, 65, 120]}]'. Give the data set that has
        them too (--dataset or --data, --static).
    study : str, optional
        The benchmark's study file: subgroups are the columns that its data sets send there (static_to), and the
        benchmark is the one that it names.
    source : DataOptions, optional
        The data set with the static columns that subgroups go by, read as in the benchmark.
    """

    subgroups: list[dict[str, Any] | str] | None = None
    study: str | None = None
    source: DataOptions | None = None

    @classmethod
    def add_to(cls, parser: ArgumentParser, *, but: set[str] | None = None) -> None:
        """Add these options to a parser, with those of the data set but for some that the command itself has."""
        parser.add_class_arguments(cls, skip={"source"})
        parser.add_class_arguments(DataOptions, skip=but)

    @classmethod
    def taken_from(cls, options: Namespace) -> SubgroupOptions:
        """Take these options, and those of the data set, out of the options of a command."""
        given = options.dataset is not None or options.data is not None
        of_data = {field.name: options.pop(field.name) for field in dataclasses.fields(DataOptions)}
        return cls(options.pop("subgroups"), options.pop("study"), DataOptions(**of_data) if given else None)

    def read(self, benchmark: str | None) -> AskedSubgroups:
        """What is asked for; reads the data sets.

        Parameters
        ----------
        benchmark : str or None
            The benchmark that is asked for.

        Raises
        ------
        ValueError
            If the options contradict each other, or a data set has no static columns.
        """
        if self.study is not None:
            if self.subgroups or self.source is not None or benchmark is not None:
                raise ValueError("--study names benchmark, data and subgroups; leave these options out")
            return AskedSubgroups(*_of_study(self.study))
        if self.subgroups and self.source is None:
            raise ValueError(
                "--subgroups goes by static columns of a data set: give --dataset or --data too, with its options, or "
                "--study with a study file that sends them there"
            )
        if self.source is None:
            return AskedSubgroups(benchmark)
        if not self.subgroups:
            raise ValueError("--dataset and --data are for --subgroups; give these too")
        data = self.source.load()[0]
        return AskedSubgroups(benchmark, self.subgroups, _static(data), data.name)


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
