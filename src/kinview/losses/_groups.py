"""What the losses with several positives share: sums over the rows of a group."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from kinview.distributed import gather
from kinview.losses._tiles import SameGroup

__all__ = ["Groups"]


class Groups:
    """The groups of all processes' rows, and the sums over each row's group.

    Parameters
    ----------
    labels : Tensor
        Group of each row of this process, ``(n,)``.
    start : int
        First of these rows among those of all processes.

    Attributes
    ----------
    counts : Tensor
        Size of the group of each row of this process, itself included, ``(n,)``.
    """

    def __init__(self, labels: Shaped[Tensor, " n"], start: int) -> None:
        self._codes: Int[Tensor, " total"] = torch.unique(gather(labels), return_inverse=True)[1]
        self._number = int(self._codes.max()) + 1
        self._own = self._codes[start : start + len(labels)]
        self._sizes = torch.bincount(self._codes, minlength=self._number)
        self.counts = self._sizes[self._own]

    @property
    def pairs(self) -> Tensor:
        """Number of ordered pairs of one group over all processes, a row with itself included."""
        return self._sizes.square().sum()

    def leaving_out(self, size: int) -> SameGroup:
        """Mask that leaves out the own group of each row, itself included, where that has ``size`` rows."""
        rows, cols = self.counts == size, self._sizes[self._codes] == size
        return SameGroup(self._own.where(rows, -1), self._codes.where(cols, -2))  # -1 and -2 never meet

    def sums(self, rows: Float[Tensor, "total d"]) -> Float[Tensor, "n d"]:
        """Sum of the rows of all processes over the group of each row of this process."""
        return rows.new_zeros(self._number, rows.shape[1]).index_add(0, self._codes, rows)[self._own]
