"""The contract of an augmentation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

import torch

from kinview.data.batch import Batch

if TYPE_CHECKING:
    from kinview.data.table import TableSchema

__all__ = ["Augmentation", "randint"]


class Augmentation(ABC):
    """Makes one view of a batch, or several.

    A subclass is a frozen dataclass: its fields are its parameters, its repr and its YAML. It works on a whole batch at
    once, out of place, on any device, keeps NaN where it was, and draws from the generator it is given.

    Attributes
    ----------
    n_views : int
        Number of views returned; a tuple of batches where it is more than one.
    moves_time, makes_gaps, mixes_rows, changes_length : bool
        What the augmentation does beyond changing values.
    needs : frozenset of str
        What it needs of a batch or of training: "groups", "y", "schema", "sampling_rate", "loss".
    """

    n_views: ClassVar[int] = 1
    moves_time: ClassVar[bool] = False
    makes_gaps: ClassVar[bool] = False
    mixes_rows: ClassVar[bool] = False
    changes_length: ClassVar[bool] = False
    needs: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def __call__(self, batch: Batch, generator: torch.Generator | None = None) -> Batch | tuple[Batch, ...]:
        """Views of a batch."""

    def fit(self, batch: Batch, schema: TableSchema | None = None) -> Augmentation:
        """Learn from training rows what the augmentation needs; most need nothing."""
        return self


def randint(low: int, high: int, generator: torch.Generator | None, size: tuple[int, ...] = ()) -> torch.Tensor:
    """Integers uniform on [low, high), on the CPU."""
    return torch.randint(low, high, size, generator=generator)
