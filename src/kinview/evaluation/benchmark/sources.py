"""The data sets that a benchmark pre-trains on: what identifies them, and which data sets they go with."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import pandas as pd

from kinview.data.modality import FEATURE, NOUNS, SERIES
from kinview.datasets.seen import Seen
from kinview.evaluation.benchmark.fingerprint import part_code
from kinview.evaluation.benchmark.grid import Part, SourceSet, name_and_options, part_label

if TYPE_CHECKING:
    from kinview.datasets.dataset import Dataset
    from kinview.evaluation.protocols import Protocol

__all__ = ["Sources", "is_transferred", "not_transferred"]


def is_transferred(method: Part) -> bool:
    """Whether a method is pre-trained on other data sets where these are named: it trains, and without labels."""
    built = method.built
    return bool(built.trains and not built.uses_labels and not built.trained_by_probe)


def not_transferred(pretrain_on: Any, methods: Sequence[Part]) -> list[str]:
    """Methods that are fitted on the target itself although other data sets are named, as sentences."""
    if not isinstance(pretrain_on, Mapping):
        return []
    return [
        f"{part_label(one.config)} pre-trained on other data sets: it {_why_on_target(one)}, and is fitted on each "
        "data set itself"
        for one in methods
        if not is_transferred(one)
    ]


def _why_on_target(method: Part) -> str:
    return "uses labels" if method.built.uses_labels else "trains nothing before its probe"


class Sources:
    """The training parts of the data sets that methods are pre-trained on.

    Parameters
    ----------
    sets : sequence of SourceSet
        What identifies them.
    data : sequence of Dataset
        Their content.
    """

    def __init__(self, sets: Sequence[SourceSet], data: Sequence[Dataset]) -> None:
        self.sets, self.data = tuple(sets), tuple(data)
        self._seen = [Seen.of(one.part("train")) for one in self.data]

    @classmethod
    def of(cls, pretrain_on: Any, data_dir: str | None) -> Self:
        """Load what a benchmark pre-trains on; no sets where that is each data set itself.

        Raises
        ------
        ValueError
            If samples of the sets do not go into one training.
        """
        from kinview.datasets import datasets
        from kinview.evaluation.benchmark.steps import load_dataset

        if not isinstance(pretrain_on, Mapping):
            return cls((), ())
        specs = list(map(name_and_options, pretrain_on["datasets"]))
        data = [load_dataset(name, data_dir, options) for name, options in specs]
        sets = [
            SourceSet(name, options, one.fingerprint(), part_code(datasets, name) if name in datasets else "")
            for (name, options), one in zip(specs, data, strict=True)
        ]
        for other in data[1:]:
            _check_alike(data[0], other)
        return cls(sets, data)

    def check(self, target: Dataset, protocol: Protocol) -> None:
        """Make sure that what is learned here can be asked of a data set, and has seen none of its test samples.

        Raises
        ------
        ValueError
            If the data set has other channels or columns, or a test sample of any fold has the values of a training
            sample here.
        """
        if not self.sets:
            return
        _check_alike(self.data[0], target)
        with warnings.catch_warnings():  # who plans the folds hears what is to say about the cut
            warnings.simplefilter("ignore", UserWarning)
            cuts = protocol.cut(target)
        pool = target.pooled()
        for one, seen in zip(self.data, self._seen, strict=True):
            known = seen.has_values_of(pool)
            for fold, (_, test) in enumerate(cuts):
                found, where = int(known[test].sum()), "" if len(cuts) == 1 else f" of fold {fold}"
                if found:
                    raise ValueError(
                        f"{found:,} of {len(test):,} test samples{where} of {target.name!r} have the values of samples "
                        f"in the training part of {one.name!r}, which pretrain_on names: a method would be tested on "
                        "what it has seen; take one of them out, or cut the data set so that they are not tested"
                    )

    def of_method(self, method: Part) -> dict[str, Any]:
        """Field of the cells of a method that says on what it was pre-trained."""
        return {"sources": self.sets} if self.sets and is_transferred(method) else {}


def _names(data: Dataset) -> list[str]:
    """Names of channels or columns, where they have names."""
    return list(map(str, data.X_train.columns)) if isinstance(data.X_train, pd.DataFrame) else []


def _check_alike(source: Dataset, other: Dataset) -> None:
    """Refuse data sets whose samples one network cannot read."""
    if source.modality != other.modality:
        raise ValueError(
            f"pretrain_on names {source.name!r}, which is {NOUNS[source.modality]}, and {other.name!r} is "
            f"{NOUNS[other.modality]}: one method cannot read both"
        )
    if isinstance(source.X_train, pd.DataFrame) != isinstance(other.X_train, pd.DataFrame):
        stamped, plain = (source, other) if isinstance(source.X_train, pd.DataFrame) else (other, source)
        raise ValueError(
            f"{stamped.name!r} has names and time stamps of its own and {plain.name!r} has none, so that a method "
            "pre-trained on one cannot be taken to the other"
        )
    noun = FEATURE[source.modality]
    widths = [one.X_train.shape[1] for one in (source, other)]
    if widths[0] != widths[1]:
        raise ValueError(
            f"{source.name!r}, which pretrain_on names, has {widths[0]} {noun}(s) and {other.name!r} has {widths[1]}: "
            "weights that read another number would start anew, untrained; leave one of them out"
        )
    named = widths[0] > 1 or source.modality != SERIES
    if named and set(_names(source)) != set(_names(other)):
        only = sorted(set(_names(source)) ^ set(_names(other)))
        raise ValueError(
            f"{source.name!r}, which pretrain_on names, and {other.name!r} have other {noun}s: only one of them has "
            f"{', '.join(only[:8])}"
        )
