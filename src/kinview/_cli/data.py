"""The options that say which data a command works on."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from kinview._cli.text import count, say

if TYPE_CHECKING:
    from jsonargparse import Namespace
    from numpy.typing import NDArray

    from kinview.datasets.dataset import Dataset
    from kinview.datasets.samples import Samples

__all__ = ["DataOptions", "Source", "inputs"]

_TEST_FRACTION = 0.3
_LISTS = ("drop", "static", "index", "categorical", "id", "columns")
_ROLES = (
    "label",
    "group",
    "static",
    "drop",
    "index",
    "id",
    "time",
    "variable",
)  # options that name columns and make no feature
_READER = (
    *_ROLES, "categorical", "columns", "value", "resample", "duplicates", "censored", "modality", "header", "sep",
    "na_values", "decimal",
    "thousands", "comment", "skiprows", "encoding",
)  # fmt: skip
_MOST_NAMES = 40
_MOST_CLASSES = 10


@dataclasses.dataclass(frozen=True)
class Source:
    """Samples to work on: the parts "train" and "test", or "all" of a file without a split.

    ``group_name`` is what the groups are called where an option named their column.
    """

    name: str
    parts: dict[str, Samples]
    group_name: str = "group"


@dataclasses.dataclass(frozen=True)
class DataOptions:
    """Which data: --dataset, or --data with the options of its format.

    Parameters
    ----------
    dataset : str, optional
        A data set by name: a registered one (kinview list datasets) or a folder in the data folder.
    data_dir : str, optional
        The data folder, instead of the environment variable KINVIEW_DATA.
    data : str, optional
        A file, or a folder that holds one data set.
    format : str
        Format of a file; auto goes by its extension, and takes a table for long format where --id is given.
    label : str or int, optional
        Column of the labels, or its position, -1 for the last.
    group : str, optional
        Column of the group (patient, subject); groups are never parted by a split. Any column may also be given by its
        position, the first is 0.
    static : list of str, optional
        Columns of what is known of each sample besides (sex, age, site), for subgroups and splits: no channels, no
        features.
    static_to : mapping, optional
        Where static columns go: '{probe: [age, sex]}' appends them to what the probe sees, '{pairs: [age, sex]}' makes
        them the other side of the samples for a method of pairs (all of them unless given), subgroups are those of
        kinview metrics.
    drop : list of str, optional
        Wide table: columns to leave out (identifiers, free text).
    index : list of str, optional
        Wide table: columns that name the rows; no features, but embed writes them beside the representations.
    categorical : list of str, optional
        Wide table: features that are categories whatever their cells hold (room 101, 103A; codes such as 07919).
    modality : str, optional
        Wide table: what a row is, a sample of a table or a time series.
    header : bool, optional
        Text file: whether its first line names the columns; told by its cells unless given.
    sep : str, optional
        Text file: sign between the columns, such as ; or |; told by the first lines unless given.
    na_values : list of str or mapping, optional
        Text file: further cells that are missing, such as n.d. or -999; by column '{lactate: [-]}'.
    decimal : str, optional
        Text file: the decimal sign, "," where it is a comma.
    thousands : str, optional
        Text file: the sign between thousands.
    comment : str, optional
        Text file: the sign that begins a comment, such as '#'.
    skiprows : int or list of int, optional
        Text file: lines to leave out, how many at the top, or which: [1] is that below the names (units).
    encoding : str, optional
        Text file: how it is encoded, such as latin-1 or cp1252; utf-8 unless given.
    id : list of str, optional
        Long format: column or columns that tell the series apart; the first of several is the group.
    time : str, optional
        Long format: column of the time stamps.
    columns : list of str, optional
        Long format: columns that are channels; every numeric one that may be a measurement unless given.
    value : str, optional
        Long format with one row a measurement: column of the values.
    variable : str, optional
        Long format with one row a measurement: column of the channels' names.
    resample : float or str, optional
        Long format: width of a time bin, in the unit of --time, or for dates as in 1h or 30min.
    duplicates : str, optional
        Long format: what becomes of several values of a channel at one time: mean, first, last, or error.
    censored : str or mapping, optional
        What a value beyond a limit becomes, such as <0.5 or >100: limit, half or missing; by column '{crp: half}'.
    reader_options : mapping, optional
        Any further parameter of the reader, as kinview.datasets.read_wide or read_wfdb documents it; of recordings:
        --reader_options.signals '[MLII]', --reader_options.seconds 10.
    as_classes : bool
        Whether labels that are numbers with fractions, such as grades in half points, are the names of classes.
    task : str
        What is predicted: classes (classification), or numbers (regression).
    test_fraction : float, optional
        Fraction of the samples in the test part where the data have no official split, 0.3 for data sets. A file given
        by --data is split by probe, and by pretrain and embed only where this is given.
    split_seed : int
        Seed of that split.
    split : str or mapping, optional
        How all samples are cut instead, as in a benchmark (kinview list splits): holdout, or
        '{leave_one_group_out: {group: site}}'. With the same cut in pretrain and in probe, no model has seen what it is
        tested on.
    fold : int
        Which fold of that cut, from 0.
    """

    dataset: str | None = None
    data_dir: str | None = None
    data: str | None = None
    format: Literal["auto", "ucr", "ts", "arff", "wide", "long", "physionet2012", "wfdb"] = "auto"
    label: str | int | None = None
    group: str | None = None
    static: list[str] | str | None = None
    static_to: dict[str, Any] | None = None
    drop: list[str] | str | None = None
    index: list[str] | str | None = None
    categorical: list[str] | str | None = None
    modality: Literal["tabular", "time_series"] | None = None
    header: bool | None = None
    sep: str | None = None
    na_values: list[str | int | float] | dict[str, Any] | str | int | float | None = None
    decimal: Literal[".", ","] | None = None
    thousands: str | None = None
    comment: str | None = None
    skiprows: int | list[int] | None = None
    encoding: str | None = None
    id: list[str] | str | None = None
    time: str | None = None
    columns: list[str] | str | None = None
    value: str | None = None
    variable: str | None = None
    resample: float | str | None = None
    duplicates: Literal["mean", "first", "last", "error"] | None = None
    censored: dict[str, Any] | str | None = None
    reader_options: dict[str, Any] | None = None
    as_classes: bool = False
    task: Literal["classification", "regression"] = "classification"
    test_fraction: float | None = None
    split_seed: int = 0
    split: dict[str, Any] | str | None = None
    fold: int = 0

    def __post_init__(self) -> None:
        for name in _LISTS:
            if isinstance(getattr(self, name), str):
                object.__setattr__(self, name, [getattr(self, name)])
        if (self.dataset is None) == (self.data is None):
            given = "both are given" if self.data is not None else "none is given"
            raise ValueError(
                f"give one of --dataset NAME (kinview list datasets) and --data FILE|FOLDER to say which data; {given}"
            )
        if self.dataset is not None and self.format != "auto":
            raise ValueError(f"--format {self.format} describes a file: give --data FILE instead of --dataset")
        if self.data is not None and self.data_dir is not None:
            raise ValueError("--data_dir is where --dataset looks for names; it has no effect on --data")
        if self.split is not None and self.test_fraction is not None:
            raise ValueError("give --split or --test_fraction: each says how the samples are cut")
        if self.split is None and self.fold:
            raise ValueError(f"--fold {self.fold} is a fold of --split; give that too")

    @classmethod
    def taken_from(cls, options: Namespace) -> DataOptions:
        """Take the fields of this class out of the options of a command."""
        return cls(**{field.name: options.pop(field.name) for field in dataclasses.fields(cls)})

    def load(self) -> tuple[Dataset, list[str]]:
        """The data set with its training and test part, and the names of the test samples.

        What its samples are made of is printed.
        """
        from kinview.datasets.folders import load_path
        from kinview.datasets.named import load
        from kinview.datasets.samples import Samples

        fraction = _TEST_FRACTION if self.test_fraction is None else self.test_fraction
        split: dict[str, Any] = {"split_seed": self.split_seed, "test_fraction": fraction, "task": self.task}
        if self.dataset is not None:
            data = load(self.dataset, data_dir=self.data_dir, **split, **self._reader)
        else:
            data = load_path(str(self.data), self.format, **split, **self._reader)
        data = data if self.static_to is None else dataclasses.replace(data, static_to=self.static_to)
        labels = [y for y in (data.y_train, data.y_test) if y is not None]
        groups = [values for values in (data.groups_train, data.groups_test) if values is not None]
        self._say_inputs(data.name, Samples(data.X_train, modality=data.modality), labels, groups)
        return self._cut(data)

    def _cut(self, data: Dataset) -> tuple[Dataset, list[str]]:
        """The fold of the cut that was asked for."""
        from kinview.evaluation.protocols import Protocol, splits

        protocol: Protocol = splits.build(self.split or "official")
        number = len(protocol.cut(data))
        if not 0 <= self.fold < number:
            raise ValueError(
                f"--fold {self.fold} is none of {data.name}, which --split cuts into {count(number, 'fold')}"
            )
        return protocol.fold(data, self.fold)

    def source(self) -> Source:
        """The parts of the data; a file stays whole unless a test fraction is given."""
        from kinview.datasets.folders import read_path

        if set(self.static_to or ()) - {"pairs"}:
            raise ValueError(
                "--static_to says what a probe or a benchmark does with static columns; here they go to pairs alone, "
                f"--static_to '{{pairs: [{', '.join(map(str, self.static or ['...']))}]}}'"
            )
        whole = self.test_fraction is None and self.split is None
        if self.data is not None and whole and not Path(self.data).is_dir():
            name, parts = Path(self.data).name, {"all": read_path(self.data, self.format, **self._reader)}
            labels, groups = ([] if values is None else [values] for values in (parts["all"].y, parts["all"].groups))
            self._say_inputs(name, parts["all"], labels, groups)
        else:
            data, _ = self.load()
            name, parts = data.name, {"train": data.part("train"), "test": data.part("test")}
        by_position = self.group is not None and self.group.removeprefix("-").isdigit()
        return Source(name, parts, "group" if self.group is None or by_position else self.group)

    def _say_inputs(self, name: str, samples: Samples, labels: list[NDArray[Any]], groups: list[NDArray[Any]]) -> None:
        """Say which columns are read as channels or features and which are not, and the classes, before the work."""
        if not hasattr(samples.X, "columns") and (self.data is None or not labels):
            return
        roles = [(role, getattr(self, role)) for role in _ROLES if getattr(self, role) is not None]
        others = [
            f"{column} ({role})" for role, given in roles for column in (given if isinstance(given, list) else [given])
        ]
        facts = [inputs(samples, most=_MOST_NAMES)]
        facts += [f"apart from these: {', '.join(others)}"] if others else []
        facts += [_classes(labels)] if labels else []
        facts += [_groups(groups)] if groups else []
        say(f"read {name}: {'; '.join(facts)}")

    @property
    def pairs(self) -> list[str] | None:
        """Static columns beside X, for methods of pairs; None where none are named."""
        asked = (self.static_to or {}).get("pairs")
        return [one.strip() for one in asked.split(",")] if isinstance(asked, str) else asked

    @property
    def _reader(self) -> dict[str, Any]:
        given = {name: getattr(self, name) for name in _READER if getattr(self, name) is not None}
        if "id" in given and len(given["id"]) == 1:
            given["id"] = given["id"][0]
        given |= {"as_classes": True} if self.as_classes else {}
        return given | (self.reader_options or {})


def _classes(labels: list[NDArray[Any]]) -> str:
    """Classes of all parts with the number of their samples, or the range of a numeric target."""
    import numpy as np
    import pandas as pd

    from kinview.data.labels import distinct

    missing = sum(int(np.asarray(pd.isna(part)).sum()) for part in labels)
    without = f", {missing:,} without a label" if missing else ""
    observed: NDArray[Any] = np.concatenate([part[~np.asarray(pd.isna(part))] for part in labels])
    if len(observed) == 0:
        return "no label is given" + without
    if observed.dtype.kind == "f":
        return f"numeric target from {observed.min():g} to {observed.max():g}{without}"
    known = distinct(observed)
    counts = [f"{label} ({int((observed == label).sum()):,})" for label in known[:_MOST_CLASSES]]
    more = f", ... ({len(known):,} in all)" if len(known) > _MOST_CLASSES else ""
    return f"{count(len(known), 'class')}: {', '.join(counts)}{more}{without}"


def _groups(groups: list[NDArray[Any]]) -> str:
    import pandas as pd

    return count(len(pd.unique(pd.concat([pd.Series(part) for part in groups]))), "group")


def inputs(samples: Samples, most: int = 8) -> str:
    """Number of the channels or columns that a method sees, and the names of so many."""
    from kinview.data.modality import FEATURE

    kind = FEATURE[samples.modality]
    if not hasattr(samples.X, "columns"):
        return count(samples.X.shape[1], kind)
    names = [str(name) for name in samples.X.columns]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{count(len(names), kind)}: {', '.join(names[:most])}{more}"
