"""Parquet files as sources: row groups are read as they are needed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kinview.data._panel_readers import frame_numbers
from kinview.data.modality import SERIES, TABLE, Modality
from kinview.data.sources.base import BLOCK_VALUES, BLOCKS_IN_MEMORY
from kinview.parameters import check_integer

__all__ = ["LongParquetSource", "WideParquetSource"]

_EXACT = 2**53  # from here on not every whole number is a float


class WideParquetSource:
    """Rows of a wide Parquet file: one row a sample, of a table or a series of one channel.

    Parameters
    ----------
    path : path
        A block is a row group, or several small ones. A row group is read whole, so a file of few large ones takes the
        memory of these: write it with ``row_group_size``.
    columns : list of str, optional
        Columns that are features, or the steps of a series in their order; all by default.
    index : str, optional
        Column that names the rows, and is no feature.
    modality : {"tabular", "time_series"}
        What a row is.
    blocks_in_memory : int, default 16
        Blocks that training draws from at once, and the size of the sample; see :class:`~kinview.data.Source`.

    Raises
    ------
    ValueError
        If the file is no Parquet, has no rows or no such column, or two of one name.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        columns: Sequence[str] | None = None,
        index: str | None = None,
        modality: Modality = "tabular",
        blocks_in_memory: int = BLOCKS_IN_MEMORY,
    ) -> None:
        if modality not in (SERIES, TABLE):
            raise ValueError(f"modality must be 'tabular' or 'time_series'; got {modality!r}")
        self._file = _Parquet(path)
        self._columns = self._file.columns(columns, without=[] if index is None else [index])
        self.modality = modality
        self.length = len(self._columns) if modality == SERIES else 0
        sizes = self._file.group_rows
        self._groups = _together(sizes * len(self._columns))
        self.starts = np.append(0, np.cumsum(sizes))[self._groups]
        check_integer(blocks_in_memory, "blocks_in_memory", at_least=1)
        self.blocks_in_memory = blocks_in_memory
        self.names: pd.Index = pd.RangeIndex(len(self))
        if index is not None:
            every = range(len(sizes))
            self.names = pd.Index(self._file.frame(every, [index])[index], name=index)

    def __len__(self) -> int:
        return int(self._file.group_rows.sum())

    def read(self, block: int) -> Any:
        """Rows of a block: a frame, or series ``(n, 1, time)``."""
        frame = self._file.frame(range(self._groups[block], self._groups[block + 1]), self._columns)
        if self.modality == TABLE:
            return frame
        return frame_numbers(frame)[:, None, :]


class LongParquetSource:
    """Series of a long Parquet file: one row a time step, one column a channel, the rows of a series together.

    Parameters
    ----------
    path : path
        A block holds the series that begin in a row group, or in several small ones.
    id : str or list of str
        Column, or columns, that name the series; the first of several is the group (patient).
    time : str
        Column of the time stamps: numbers, dates or durations.
    columns : list of str, optional
        Columns that are channels; by default all others, which have to be numbers.
    blocks_in_memory : int, default 16
        Blocks that training draws from at once, and the size of the sample; see :class:`~kinview.data.Source`.

    Raises
    ------
    ValueError
        If the rows of a series do not stand together, an id or a time is missing, or the file is no Parquet, has no
        rows or no such column.

    Notes
    -----
    Ids and times of the whole file are read once, a row group at a time, to find where each series stands. Dates become
    durations since the first of the file.
    """

    modality: Modality = "time_series"

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        id: str | Sequence[str],
        time: str,
        columns: Sequence[str] | None = None,
        blocks_in_memory: int = BLOCKS_IN_MEMORY,
    ) -> None:
        self._file = _Parquet(path)
        self._ids = [id] if isinstance(id, str) else list(id)
        self._time = time
        self._file.columns([*self._ids, time], without=[])
        self._columns = self._file.columns(columns, without=[*self._ids, time])
        self._group_starts = np.append(0, np.cumsum(self._file.group_rows))
        self._first_rows, self.names, self._from = self._series()
        lengths = np.diff(self._first_rows)
        self.length = int(lengths.max())
        begin = np.searchsorted(self._first_rows[:-1], self._group_starts)  # first series of each row group
        padded = np.diff(begin) * len(self._columns) * self.length
        self.starts = np.unique(begin[_together(padded)])
        check_integer(blocks_in_memory, "blocks_in_memory", at_least=1)
        self.blocks_in_memory = blocks_in_memory

    def __len__(self) -> int:
        return len(self._first_rows) - 1

    def read(self, block: int) -> pd.DataFrame:
        """Series of a block, as a frame with the index (series, time)."""
        start, stop = self._first_rows[self.starts[block]], self._first_rows[self.starts[block + 1]]
        first = int(np.searchsorted(self._group_starts, start, side="right")) - 1
        last = int(np.searchsorted(self._group_starts, stop, side="left"))
        frame = self._file.frame(range(first, last), [*self._ids, self._time, *self._columns])
        frame = frame.iloc[start - self._group_starts[first] : stop - self._group_starts[first]]
        frame = frame.assign(**{self._time: _since(frame[self._time], self._from)})
        return frame.set_index([*self._ids, self._time])

    def _series(self) -> tuple[NDArray[np.int64], pd.Index, Any]:
        """First row of each series, and last the number of rows; their names; the first stamp where times count it."""
        firsts, names, earliest, latest, before = [], [], [], [], None
        for group in range(len(self._file.group_rows)):
            frame = self._file.frame([group], [*self._ids, self._time])
            if frame.empty:
                continue
            absent = [name for name in frame if frame[name].isna().any()]
            if absent:
                row = int(frame[absent[0]].isna().to_numpy().argmax()) + int(self._group_starts[group])
                raise ValueError(
                    f"{self._file.where}: column {absent[0]!r} is missing in row {row}; every row needs it"
                )
            ids = frame[self._ids]
            changes = (ids != ids.shift()).any(axis=1).to_numpy(copy=True)
            changes[0] = before is None or tuple(ids.iloc[0]) != before
            before = tuple(ids.iloc[-1])
            firsts.append(np.flatnonzero(changes) + self._group_starts[group])
            names.append(ids[changes])
            earliest.append(frame[self._time].min())
            latest.append(frame[self._time].max())
        if not names:
            raise ValueError(f"{self._file.where} has no rows")
        table = pd.concat(names, ignore_index=True)
        index = pd.MultiIndex.from_frame(table) if len(self._ids) > 1 else pd.Index(table[self._ids[0]])
        if not index.is_unique:
            twice = index[index.duplicated()][0]
            raise ValueError(
                f"{self._file.where}: the rows of series {twice!r} do not stand together; sort the file by "
                f"{', '.join(self._ids)}"
            )
        first, last = min(earliest), max(latest)
        large = isinstance(first, int | np.integer) and max(-int(first), int(last)) > _EXACT
        counted = first if large or isinstance(first, pd.Timestamp) else None
        return np.append(np.concatenate(firsts), self._group_starts[-1]), index, counted


class _Parquet:
    """A Parquet file, of which row groups are read."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        import pyarrow.parquet as pq

        self.where = os.fspath(path)
        try:
            self._file = pq.ParquetFile(path, memory_map=True)
        except FileNotFoundError:
            raise
        except (ValueError, OSError) as error:
            raise ValueError(f"{self.where} cannot be read as Parquet: {error}") from None
        described = self._file.metadata
        self.group_rows = np.array([described.row_group(i).num_rows for i in range(described.num_row_groups)], np.int64)
        if self.group_rows.sum() == 0:
            raise ValueError(f"{self.where} has no rows")

    def columns(self, asked: Sequence[str] | None, without: Sequence[str]) -> list[str]:
        """Columns that are asked for, or all but some."""
        names = list(self._file.schema_arrow.names)
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{self.where} has two columns named {twice[0]!r}; rename one")
        absent = [name for name in [*(asked or []), *without] if name not in names]
        if absent:
            raise ValueError(f"{self.where} has no column {absent[0]!r}; it has {', '.join(map(repr, names[:20]))}")
        kept = [name for name in names if name not in without] if asked is None else list(asked)
        unnamed = [name for name in kept if asked is None and name.startswith("__index_level_")]
        if unnamed:
            raise ValueError(
                f"{self.where} holds an index without a name, as column {unnamed[0]!r}; name the columns to read"
            )
        if not kept:
            raise ValueError(f"{self.where} has no column beside {', '.join(map(repr, without))}")
        return kept

    def frame(self, groups: Sequence[int], columns: list[str]) -> pd.DataFrame:
        """Rows of some row groups."""
        table = self._file.read_row_groups(list(groups), columns=columns, use_threads=False)
        found: pd.DataFrame = table.to_pandas(ignore_metadata=True)
        return found[columns]


def _together(values: NDArray[Any]) -> NDArray[np.int64]:
    """Where blocks begin among row groups of so many values, and last their number: small ones are read together."""
    starts, held = [0], 0
    for group, size in enumerate(values.tolist()):
        if held and held + size > BLOCK_VALUES:
            starts.append(group)
            held = 0
        held += size
    return np.array([*starts, len(values)], dtype=np.int64)


def _since(stamps: pd.Series, first: Any) -> pd.Series:
    """Time stamps counted from the first one of the file, where they have to be."""
    return stamps if first is None else stamps - first
