"""Training rows that are read when a step needs them, and drawn from a window of blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Int64
from numpy.typing import NDArray
from torch import Tensor

from kinview.data.batch import Batch, concatenated

__all__ = ["StreamedRows"]


class StreamedRows:
    """Training rows of a source: some blocks of them are in memory, the others are read when they are asked for.

    Parameters
    ----------
    read : callable
        Rows of a block, ready for training; the same whenever it is asked.
    sizes : sequence of int
        Number of rows of each block.
    blocks_in_memory : int
        Blocks that :meth:`permutation` mixes with one another, and of which the latest stay in memory.
    groups : Tensor, optional
        Group of each row.
    positions : Tensor, optional
        Rows of the blocks that these are, sorted; all by default.

    Examples
    --------
    >>> rows = StreamedRows(lambda block: Batch.of(torch.full((2, 1), float(block))), [2, 2, 2], blocks_in_memory=2)
    >>> rows.rows(torch.tensor([5, 0, 1])).x.flatten()
    tensor([2., 0., 0.])
    >>> sorted(rows.permutation(torch.Generator().manual_seed(0)).tolist())
    [0, 1, 2, 3, 4, 5]
    """

    def __init__(
        self,
        read: Callable[[int], Batch],
        sizes: Sequence[int],
        *,
        blocks_in_memory: int,
        groups: Int64[Tensor, " n"] | None = None,
        positions: Int64[Tensor, " n"] | None = None,
    ) -> None:
        self._read = read
        self._sizes = [int(size) for size in sizes]
        self._starts: NDArray[np.int64] = np.append(0, np.cumsum(self._sizes, dtype=np.int64))
        self._window = blocks_in_memory
        self._positions = torch.arange(int(self._starts[-1])) if positions is None else positions
        self._held: dict[int, Batch] = {}  # the latest that was used comes last
        self.groups = groups

    def __len__(self) -> int:
        return len(self._positions)

    def subset(self, i: Int64[Tensor, " m"]) -> StreamedRows:
        """The given rows alone, which have to be sorted."""
        return StreamedRows(
            self._read,
            self._sizes,
            blocks_in_memory=self._window,
            groups=None if self.groups is None else self.groups[i],
            positions=self._positions[i],
        )

    def rows(self, i: Int64[Tensor, " m"]) -> Batch:
        """The given rows, in the given order."""
        wanted = self._positions[i].numpy()
        blocks = np.searchsorted(self._starts, wanted, side="right") - 1
        needed = np.unique(blocks)
        parts, places = [], []
        for block in sorted(needed.tolist(), key=lambda block: block not in self._held):  # before others take its room
            here = np.flatnonzero(blocks == block)
            parts.append(self._block(block).rows(torch.from_numpy(wanted[here] - self._starts[block])))
            places.append(here)
        found = concatenated(parts)
        return found if len(parts) == 1 else found.rows(torch.from_numpy(np.argsort(np.concatenate(places))))

    def all_rows(self) -> Batch:
        """All rows, in memory."""
        return self.rows(torch.arange(len(self)))

    def permutation(self, generator: torch.Generator) -> Int64[Tensor, " n"]:
        """All rows in random order: blocks are permuted, and then the rows of so many of them that follow one another.

        Where all blocks are in memory at once this is a permutation of all rows, the one of rows in memory.
        """
        starts = np.searchsorted(self._positions.numpy(), self._starts)
        filled = np.flatnonzero(np.diff(starts))
        if len(filled) <= self._window:
            return torch.randperm(len(self), generator=generator)
        blocks = filled[torch.randperm(len(filled), generator=generator).numpy()]
        windows = []
        for first in range(0, len(blocks), self._window):
            held = blocks[first : first + self._window]
            rows = torch.from_numpy(np.concatenate([np.arange(starts[k], starts[k + 1]) for k in held]))
            windows.append(rows[torch.randperm(len(rows), generator=generator)])
        return torch.cat(windows)

    def _block(self, block: int) -> Batch:
        """Rows of a block; those of the blocks that were used last stay in memory."""
        found = self._held.pop(block, None)
        if found is None:
            while len(self._held) >= self._window:
                del self._held[next(iter(self._held))]
            found = self._read(block)
            if len(found) != self._sizes[block]:
                raise ValueError(
                    f"block {block} of the data has {len(found)} training rows now, and had {self._sizes[block]} "
                    f"before training: it has changed, or is not the same whenever it is read"
                )
        self._held[block] = found
        return found
