"""Where results are written: an array that is given, a new one, or a Parquet file."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kinview.data.modality import SAMPLE, Modality
from kinview.files import atomic_file

__all__ = ["Written", "checked_out", "is_path", "write_frame", "written_to"]

_ENDINGS = (".parquet", ".pq")


def is_path(out: Any) -> bool:
    """Whether results go to a file.

    Raises
    ------
    ValueError
        If the file is none of Parquet.
    """
    if not isinstance(out, str | os.PathLike):
        return False
    if Path(out).suffix.lower() not in _ENDINGS:
        raise ValueError(f"out={os.fspath(out)!r} must end in .parquet or .pq, or be an array")
    return True


def checked_out(out: Any, shape: tuple[int, ...]) -> np.ndarray:
    """The array that results are written into.

    Raises
    ------
    ValueError
        If it is no array of floating-point numbers that can be written to, or of another shape.
    """
    if not isinstance(out, np.ndarray) or out.dtype.kind != "f" or not out.flags.writeable:
        kind = f"one of {out.dtype}" if isinstance(out, np.ndarray) else type(out).__name__
        raise ValueError(
            f"out must be a NumPy array of floating-point numbers that can be written to (a memmap is one); got {kind}"
        )
    if out.shape != shape:
        raise ValueError(f"out must be of the shape of the result, {shape}; it is {out.shape}")
    return out


class Written:
    """Rows of a result, which come in parts: call it with each.

    Attributes
    ----------
    result : ndarray or Path
        The array of all, or the file.
    """

    def __init__(self, rows: int, out: Any, to_file: Callable[[np.ndarray, int], None] | None) -> None:
        self._rows, self._out, self._to_file, self._done = rows, out, to_file, 0
        self.result: Any = Path(out) if to_file is not None else None

    def __call__(self, part: np.ndarray) -> None:
        """Write further rows."""
        if self._to_file is not None:
            self._to_file(part, self._done)
        else:
            if self.result is None:
                shape = (self._rows, *part.shape[1:])
                self.result = np.empty(shape, np.float32) if self._out is None else checked_out(self._out, shape)
            self.result[self._done : self._done + len(part)] = part
        self._done += len(part)


def write_frame(frame: pd.DataFrame, out: Any, modality: Modality = "time_series") -> Path:
    """Write a table of representations to a Parquet file, its index as the first columns."""
    with written_to(out, len(frame), frame.index, SAMPLE[modality], lambda _: list(frame.columns)) as written:
        written(frame.to_numpy())
    return Path(out)


@contextlib.contextmanager
def written_to(
    out: Any, rows: int, names: pd.Index, noun: str, columns: Callable[[int], list[str]]
) -> Iterator[Written]:
    """Where results of so many rows are written, part by part.

    Parameters
    ----------
    out : ndarray, path or None
        An array; a Parquet file, which is there when all is written and not before; or None for a new array.
    rows : int
        Number of rows.
    names : Index
        Name of each row: the first columns of a file, under the names of its levels.
    noun : str
        Name of that column where the index has none.
    columns : callable
        Names of so many further columns.
    """
    if not is_path(out):
        yield Written(rows, out, None)
        return
    with atomic_file(out) as stream:
        writer: Any = None

        def write(part: np.ndarray, done: int) -> None:
            nonlocal writer
            import pyarrow as pa
            import pyarrow.parquet as pq

            here = names[done : done + len(part)]
            levels = [str(level or (noun if here.nlevels == 1 else f"level_{i}")) for i, level in enumerate(here.names)]
            table = pa.table(
                {
                    **{level: pa.array(here.get_level_values(i)) for i, level in enumerate(levels)},
                    **dict(zip(columns(part.shape[1]), map(pa.array, part.T.copy()), strict=True)),
                }
            )
            if writer is None:
                writer = pq.ParquetWriter(stream, table.schema)
            writer.write_table(table)

        try:
            yield Written(rows, out, write)
        finally:
            if writer is not None:
                writer.close()
