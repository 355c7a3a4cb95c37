"""What data larger than memory are to the rest of the package."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kinview.data.modality import Modality
from kinview.parameters import check_integer

__all__ = ["BLOCKS_IN_MEMORY", "BLOCK_VALUES", "Source", "block_starts", "is_source", "refuse_source"]

BLOCK_VALUES = 2**20
"""Values of a block where no other size is asked for: 4 MiB in float32."""
BLOCKS_IN_MEMORY = 16
"""Blocks that are held at once where no other number is asked for."""


@runtime_checkable
class Source(Protocol):
    """Samples that are read a block at a time; ``fit`` and ``transform`` take one in place of X.

    A block is a run of rows (series, or rows of a table) that is read at once. Rows keep their number in the whole, and
    each reading of a block gives the same.

    Attributes
    ----------
    modality : {"time_series", "tabular"}
        What its rows are.
    length : int
        Steps of the longest series, to which all are padded; 0 of tables.
    starts : ndarray of int64 (blocks + 1,)
        First row of each block, and last the number of all rows.
    blocks_in_memory : int
        Blocks that are held at once to draw from. As many rows as they hold on average, 10,000 at most, are the sample
        for what is learned of all rows together; all rows where these are all blocks.
    names : Index
        Name of each row; 0, 1, ... where they have none.

    Examples
    --------
    A source of one's own has these and ``read``; it need not derive from this class.

    >>> class Sines:
    ...     modality, length, blocks_in_memory = "time_series", 20, 2
    ...     starts, names = np.array([0, 4, 8, 12]), pd.RangeIndex(12)
    ...
    ...     def __len__(self):
    ...         return 12
    ...
    ...     def read(self, block):
    ...         rows = np.arange(self.starts[block], self.starts[block + 1])
    ...         return np.sin(rows[:, None, None] + np.arange(20.0))
    >>> from kinview import TS2Vec
    >>> TS2Vec(repr_dim=4, depth=1, trainer={"max_steps": 2}, random_state=0).fit(Sines()).transform(Sines()).shape
    (12, 4)
    """

    modality: Modality
    length: int
    starts: NDArray[np.int64]
    blocks_in_memory: int
    names: pd.Index

    def __len__(self) -> int:
        """Number of rows."""
        ...

    def read(self, block: int) -> Any:
        """Rows of a block in a container that ``fit`` takes too, of memory of its own.

        Series as an array ``(n, channels, time)`` or a frame with the index ``(series, time)``, and tables as an array
        or a frame. Time stamps that are dates have to be durations since a date that all blocks share.
        """
        ...


def is_source(X: Any) -> bool:
    """Whether data are read a block at a time."""
    return not isinstance(X, type) and isinstance(X, Source)


def refuse_source(X: Any, name: str = "What reads it here", why: str = "needs all rows at once") -> None:
    """Refuse data larger than memory where all rows are needed.

    Raises
    ------
    TypeError
        Who needs them, and what to do.
    """
    if is_source(X):
        raise TypeError(
            f"X is a {type(X).__name__}, which is read a block at a time, and {name} {why}: give the rows in memory, "
            f"or a part of them (X.read(0) is the first block)"
        )


def block_starts(rows: int, values_a_row: int, block_rows: int | None) -> NDArray[np.int64]:
    """First rows of blocks of equal size: as asked, or of :data:`BLOCK_VALUES` values.

    Raises
    ------
    ValueError
        If there is no row, or a block of none.

    Examples
    --------
    >>> block_starts(10, 3, 4).tolist()
    [0, 4, 8, 10]
    """
    if rows < 1:
        raise ValueError("the data have no rows; give at least one")
    if block_rows is not None:
        check_integer(block_rows, "block_rows", at_least=1)
    size = min(rows, block_rows or max(1, BLOCK_VALUES // max(1, values_a_row)))
    return np.append(np.arange(0, rows, size, dtype=np.int64), rows)
