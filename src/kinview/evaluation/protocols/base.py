"""The contract of a protocol."""

from __future__ import annotations

import abc
import dataclasses
import warnings
from typing import Any, Literal

import numpy as np
from jaxtyping import Int64, Shaped
from numpy.typing import NDArray

from kinview.data.labels import encode_labels
from kinview.data.splits import quantile_codes
from kinview.datasets.dataset import Dataset
from kinview.datasets.samples import Samples
from kinview.old_pickles import FromPickle

__all__ = ["Pool", "Protocol", "Rows", "check_pool", "groups_by", "refuse_parted_groups", "static_column", "strata_of"]

Pool = Literal["all", "train"]
"""Which samples are cut: those of both parts, or the training part alone."""

Rows = tuple[Int64[NDArray[Any], " train"], Int64[NDArray[Any], " test"]]
"""Rows of the training and of the test part of a fold, in the order of :meth:`Dataset.pooled`."""


@dataclasses.dataclass(frozen=True)
class Protocol(FromPickle, abc.ABC):
    """A way of cutting a data set into folds, each with a training and a test part."""

    @abc.abstractmethod
    def cut(self, data: Dataset) -> list[Rows]:
        """Rows of each fold, among the training rows of the data set followed by its test rows.

        The same data set gives the same folds: seeds of a benchmark vary the training, the masks and the noise.

        Raises
        ------
        ValueError
            If the data set cannot be cut in this way.
        """

    def fold(self, data: Dataset, number: int) -> tuple[Dataset, list[str]]:
        """A fold as a data set of its own, and the names of its test samples.

        Parameters
        ----------
        data : Dataset
            The data set as it was loaded.
        number : int
            Which fold, from 0.
        """
        with warnings.catch_warnings():  # whoever planned the folds has heard what is to say about the cut
            warnings.simplefilter("ignore", UserWarning)
            train, test = self.cut(data)[number]
        names = data.sample_names()
        return data.fold(train, test), [names[row] for row in sorted(test.tolist())]


def strata_of(data: Dataset, samples: Samples, parts: int) -> Int64[np.ndarray, " n"] | None:
    """Number of each sample's stratum: its class, or which part of the sorted targets of a regression it is in.

    Parameters
    ----------
    data : Dataset
        The data set that is cut.
    samples : Samples
        Those of its samples that are cut.
    parts : int
        How many parts of a numeric target.

    Returns
    -------
    ndarray of shape (n,), or None
        None where there are no labels, or numbers that are not to be predicted.
    """
    if samples.y is None:
        return None
    if data.task == "regression":
        return quantile_codes(samples.y, parts)
    return None if samples.strata is None else encode_labels(samples.strata)[0]


def check_pool(pool: str) -> None:
    """Refuse a pool that there is not."""
    if pool not in ("all", "train"):
        raise ValueError(f"pool={pool!r} is unknown; use 'all' or 'train'")


def groups_by(data: Dataset, samples: Samples, column: str | None, who: str) -> Int64[np.ndarray, " n"]:
    """Number of each sample's group: by a static column, or the groups of the data set.

    Raises
    ------
    ValueError
        If there is no such column or no groups, or a sample has none.
    """
    if column is not None:
        values = static_column(data, samples, column, "group")
    elif samples.groups is not None:
        values = samples.groups
    else:
        raise ValueError(
            f"{who} needs groups, and the data set {data.name!r} has none: name their column when it is read (group=), "
            "or a static column here"
        )
    return encode_labels(values, name="groups")[0]


def static_column(data: Dataset, samples: Samples, column: str, option: str) -> Shaped[np.ndarray, " n"]:
    """Values of a static column; every sample has one.

    Raises
    ------
    ValueError
        If there is no such column, or a sample has no value.
    """
    known = [] if samples.static is None else list(samples.static.columns)
    if samples.static is None or column not in known:
        held = f"it has {', '.join(map(str, known))}" if known else "it has none: name them when it is read (static=)"
        raise ValueError(f"{option}={column!r} is no static column of the data set {data.name!r}; {held}")
    values = samples.static[column]
    if values.isna().any():
        raise ValueError(
            f"{option}={column!r}: {int(values.isna().sum())} of the {len(values)} samples of the data set "
            f"{data.name!r} have no value there; every sample needs one to be on one side of a cut"
        )
    return values.to_numpy()


def refuse_parted_groups(data: Dataset, samples: Samples, by: Int64[np.ndarray, " n"], what: str) -> None:
    """Refuse to cut by what parts the groups (patients) of a data set: one would be learned from and tested."""
    if samples.groups is None:
        return
    codes, known = encode_labels(samples.groups, name="groups")
    names = known.tolist()
    first = np.full(len(names), -1)
    first[codes[::-1]] = by[::-1]
    parted = np.unique(codes[by != first[codes]])
    if len(parted):
        raise ValueError(
            f"{len(parted)} groups of the data set {data.name!r}, such as {names[parted[0]]!r}, are in more than one "
            f"{what}, and a group is never parted between training and test"
        )
