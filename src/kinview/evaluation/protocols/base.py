"""The contract of a protocol."""

from __future__ import annotations

import abc
import dataclasses
from typing import Any

from jaxtyping import Int64
from numpy.typing import NDArray

from kinview.datasets.dataset import Dataset
from kinview.old_pickles import FromPickle

__all__ = ["Protocol", "Rows"]

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
        train, test = self.cut(data)[number]
        names = data.sample_names()
        return data.fold(train, test), [names[row] for row in sorted(test.tolist())]
