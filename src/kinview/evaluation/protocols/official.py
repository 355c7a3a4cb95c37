"""The split that a data set comes with."""

from __future__ import annotations

import dataclasses

import numpy as np

from kinview.datasets.dataset import Dataset
from kinview.evaluation.protocols import splits
from kinview.evaluation.protocols.base import Protocol, Rows

__all__ = ["Official"]


@splits.register("official", modality="any", reference="its publishers")
@dataclasses.dataclass(frozen=True)
class Official(Protocol):
    """The training and test part that a data set was loaded with, as its one fold.

    Archives publish theirs; a reader draws one for data without (``test_fraction``, ``split_seed`` of
    :func:`kinview.load`).

    Examples
    --------
    >>> import kinview
    >>> data = kinview.load("iris")
    >>> [(len(train), len(test)) for train, test in Official().cut(data)]
    [(105, 45)]
    """

    def cut(self, data: Dataset) -> list[Rows]:
        """The one fold."""
        n_train, n_test = data.sizes
        return [(np.arange(n_train), np.arange(n_train, n_train + n_test))]

    def fold(self, data: Dataset, number: int) -> tuple[Dataset, list[str]]:
        """The data set as it is, and the names of its test samples."""
        return data, data.sample_names()[data.sizes[0] :]
