"""The blocks in which a matrix of similarities is walked, and the rules that leave entries out of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Diagonal", "Mask", "SameGroup", "Tile", "tiles"]

_TILE = {"cpu": 512}  # 512 x 512 float32 is 1 MB: tile and scratch stay in a core's cache; accelerators want more
_ACCELERATOR_TILE = 4096


class Tile(NamedTuple):
    """A block of the matrices: which problems, rows and columns."""

    problems: slice
    rows: slice
    cols: slice

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of problems, rows and columns."""
        return tuple(int(part.stop - part.start) for part in self)

    @property
    def numel(self) -> int:
        """Number of entries."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Diagonal:
    """Leaves out column ``row + shift`` for the rows from ``start`` to before ``stop`` (all rows by default)."""

    shift: int = 0
    start: int = 0
    stop: int | None = None

    def fill(self, block: Tensor, tile: Tile, value: float) -> None:
        """Write ``value`` over the left-out entries of a block ``(problems, rows, columns)``."""
        first = max(tile.rows.start, self.start, tile.cols.start - self.shift)
        last = min(tile.rows.stop, tile.rows.stop if self.stop is None else self.stop, tile.cols.stop - self.shift)
        if first < last:
            corner = block[:, first - tile.rows.start :, first + self.shift - tile.cols.start :]
            corner.diagonal(dim1=1, dim2=2)[:, : last - first].fill_(value)


@dataclass(frozen=True, eq=False)
class SameGroup:
    """Leaves out columns of the row's own group (``keep=False``), or all others (``keep=True``).

    With ``window``, a column is of the row's group only if their times differ by at most that much.
    """

    row_groups: Tensor
    col_groups: Tensor
    keep: bool = False
    row_times: Tensor | None = None
    col_times: Tensor | None = None
    window: float | None = None

    def same(self, tile: Tile) -> Tensor:
        """Boolean block ``(rows, columns)``: are row and column of one group."""
        same = self.row_groups[tile.rows, None] == self.col_groups[None, tile.cols]
        if self.window is not None and self.row_times is not None and self.col_times is not None:
            apart = (self.row_times[tile.rows, None] - self.col_times[None, tile.cols]).abs()
            same &= apart <= self.window
        return same

    def fill(self, block: Tensor, tile: Tile, value: float) -> None:
        """Write ``value`` over the left-out entries of a block ``(problems, rows, columns)``."""
        same = self.same(tile)
        block.masked_fill_(~same if self.keep else same, value)


Mask = Diagonal | SameGroup  # a rule by index that leaves entries out


def tiles(shape: tuple[int, int, int], device: torch.device, *, upper: bool = False) -> Iterator[Tile]:
    """Blocks that cover ``(problems, rows, columns)``: whole problems where they are small, else parts of one.

    With ``upper``, only the blocks on and above the diagonal.
    """
    side = _TILE.get(device.type, _ACCELERATOR_TILE)
    problems, n, m = shape
    if n * m <= side * side:
        step = max(1, side * side // max(1, n * m))
        for first in range(0, problems, step):
            yield Tile(slice(first, min(first + step, problems)), slice(0, n), slice(0, m))
        return
    height, width = side * side // min(m, side), side * side // min(n, side)
    for problem in range(problems):
        for row in range(0, n, height):
            for col in range(row if upper else 0, m, width):
                rows, cols = slice(row, min(row + height, n)), slice(col, min(col + width, m))
                yield Tile(slice(problem, problem + 1), rows, cols)
