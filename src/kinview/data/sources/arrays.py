"""Arrays on disk, and data sets of PyTorch, as sources."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from kinview.data.modality import SERIES, TABLE, Modality
from kinview.data.sources.base import BLOCK_VALUES, BLOCKS_IN_MEMORY, block_starts
from kinview.parameters import check_integer

__all__ = ["DatasetSource", "NpySource", "ZarrSource"]

_DECODERS = {  # of Zarr, by their names in both formats: none of them makes objects or runs code
    *("bytes", "endian", "transpose", "sharding_indexed", "crc32c", "crc32", "adler32", "fletcher32"),
    *("blosc", "gzip", "zlib", "zstd", "lz4", "bz2", "lzma", "delta", "shuffle", "bitround", "fixedscaleoffset"),
    *("quantize", "packbits", "astype"),
}


class ArraySource:
    """Rows of an array that is indexed like one of NumPy: series ``(n, channels, time)`` or a table ``(n, columns)``.

    Parameters
    ----------
    array : array-like
        With ``shape``, ``dtype`` and slices of rows, which are read when they are taken.
    block_rows : int, optional
        Rows that are read at once; by default as many as take 4 MiB in float32.
    blocks_in_memory : int, default 16
        See :class:`~kinview.data.Source`.
    where : str
        What it is called in errors.
    """

    modality: Modality

    def __init__(self, array: Any, *, block_rows: int | None, blocks_in_memory: int, where: str) -> None:
        shape, kind = tuple(array.shape), np.dtype(array.dtype).kind
        if len(shape) not in (2, 3) or 0 in shape:
            raise ValueError(
                f"{where} has the shape {shape}; series are (n, channels, time), tables (n, columns), none of them 0"
            )
        if kind not in "biuf":
            raise ValueError(f"{where} is not numeric ({array.dtype}); give numbers, NaN where not observed")
        self._array = array
        self.modality = SERIES if len(shape) == 3 else TABLE
        self.length = shape[2] if len(shape) == 3 else 0
        self.starts = block_starts(shape[0], int(np.prod(shape[1:])), block_rows)
        check_integer(blocks_in_memory, "blocks_in_memory", at_least=1)
        self.blocks_in_memory = blocks_in_memory
        self.names: pd.Index = pd.RangeIndex(shape[0])

    def __len__(self) -> int:
        return int(self.starts[-1])

    def read(self, block: int) -> NDArray[Any]:
        """Rows of a block, copied into memory."""
        return np.array(self._array[int(self.starts[block]) : int(self.starts[block + 1])])


class NpySource(ArraySource):
    """Rows of a ``.npy`` file, which is mapped into memory and read as it is needed.

    Parameters
    ----------
    path : path
        A file of numbers, series ``(n, channels, time)`` or a table ``(n, columns)``; NaN means not observed.
    block_rows : int, optional
        Rows that are read at once; by default as many as take 4 MiB in float32.
    blocks_in_memory : int, default 16
        Blocks that training draws from at once, and the size of the sample; see :class:`~kinview.data.Source`.

    Raises
    ------
    ValueError
        If the file is no array of numbers of two or three dimensions, or shorter than it says. Pickled objects in it
        are never loaded.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(f"{folder}/x.npy", np.arange(30.0).reshape(5, 2, 3))
    ...     source = NpySource(f"{folder}/x.npy", block_rows=2)
    ...     len(source), source.modality, source.read(2).tolist()
    (5, 'time_series', [[[24.0, 25.0, 26.0], [27.0, 28.0, 29.0]]])
    """

    def __init__(
        self, path: str | os.PathLike[str], *, block_rows: int | None = None, blocks_in_memory: int = BLOCKS_IN_MEMORY
    ) -> None:
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except FileNotFoundError:
            raise
        except (ValueError, OSError, EOFError, TypeError) as error:
            raise ValueError(f"{os.fspath(path)} cannot be read as an array of numbers (.npy): {error}") from None
        if not isinstance(array, np.ndarray):  # an archive of several
            array.close()
            raise ValueError(f"{os.fspath(path)} holds several arrays (.npz); save the one to read with numpy.save")
        super().__init__(array, block_rows=block_rows, blocks_in_memory=blocks_in_memory, where=os.fspath(path))


class ZarrSource(ArraySource):
    """Rows of a Zarr array; needs the package ``zarr`` (``pip install kinview[zarr]``).

    Parameters
    ----------
    path : path
        Folder of an array of numbers, series ``(n, channels, time)`` or a table ``(n, columns)``.
    block_rows : int, optional
        Rows that are read at once; by default as many as take 4 MiB in float32, in whole chunks of the array.
    blocks_in_memory : int, default 16
        Blocks that training draws from at once, and the size of the sample; see :class:`~kinview.data.Source`.

    Raises
    ------
    ImportError
        If ``zarr`` is not installed.
    ValueError
        If it is no array of numbers, or one of its codecs is none of numbers: one that unpickles would run code.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, block_rows: int | None = None, blocks_in_memory: int = BLOCKS_IN_MEMORY
    ) -> None:
        try:
            import zarr
        except ImportError:
            raise ImportError("reading Zarr needs the package zarr: pip install 'kinview[zarr]'") from None
        where = os.fspath(path)
        if not Path(path).is_dir():
            raise FileNotFoundError(f"{where} is no folder of a Zarr array")
        try:
            array = zarr.open_array(where, mode="r")
            described = array.metadata.to_dict()
        except Exception as error:  # zarr has its own error for everything that may be wrong
            raise ValueError(f"{where} cannot be read as a Zarr array: {error}") from None
        unknown = sorted(_codecs(described) - _DECODERS)
        if unknown:
            raise ValueError(
                f"{where} is encoded by {', '.join(map(repr, unknown))}, which is not read, as it may run code; write "
                f"it anew with a codec of numbers (zstd, blosc, gzip)"
            )
        chunk, size = (array.chunks or (1,))[0], block_rows
        if size is None:
            wanted = BLOCK_VALUES // max(1, int(np.prod(array.shape[1:])))
            size = max(1, wanted // chunk) * chunk
        super().__init__(array, block_rows=size, blocks_in_memory=blocks_in_memory, where=where)


class DatasetSource(ArraySource):
    """Items of a map-style data set of PyTorch (``__len__`` and ``__getitem__``), all of one shape.

    Parameters
    ----------
    dataset : torch.utils.data.Dataset
        Its items are tensors or arrays, series ``(channels, time)`` or rows ``(columns,)``, or tuples that hold one:
        each has to be the same whenever it is asked for.
    item : int, default 0
        Which entry of a tuple is the sample; labels go to ``fit`` as ``y``.
    block_rows : int, optional
        Rows that are read at once; by default as many as take 4 MiB in float32.
    blocks_in_memory : int, default 16
        Blocks that training draws from at once, and the size of the sample; see :class:`~kinview.data.Source`.

    Raises
    ------
    TypeError
        If it has no length and no items, as an iterable data set.
    ValueError
        If an item is no array of numbers of the shape of the first; it is named.

    Examples
    --------
    >>> import torch
    >>> from torch.utils.data import TensorDataset
    >>> source = DatasetSource(TensorDataset(torch.zeros(6, 2, 8), torch.arange(6)), block_rows=4)
    >>> len(source), source.read(1).shape
    (6, (2, 2, 8))
    """

    def __init__(
        self, dataset: Any, *, item: int = 0, block_rows: int | None = None, blocks_in_memory: int = BLOCKS_IN_MEMORY
    ) -> None:
        if not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
            raise TypeError(
                f"{type(dataset).__name__} has no length or no items by number; give a map-style data set, with "
                f"__len__ and __getitem__"
            )
        super().__init__(
            _Items(dataset, item),
            block_rows=block_rows,
            blocks_in_memory=blocks_in_memory,
            where=type(dataset).__name__,
        )


class _Items:
    """A data set of PyTorch as an array whose rows are its items."""

    def __init__(self, dataset: Any, item: int) -> None:
        self._dataset, self._item = dataset, item
        if len(dataset) == 0:
            raise ValueError(f"{type(dataset).__name__} has no items; give at least one")
        first = self._get(0)
        self.dtype = first.dtype
        self.shape = (len(dataset), *first.shape)

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        found = []
        for i in range(*rows.indices(len(self._dataset))):
            value = self._get(i)
            if value.shape != self.shape[1:]:
                raise ValueError(
                    f"item {i} of {type(self._dataset).__name__} has the shape {value.shape}, the first "
                    f"{self.shape[1:]}; pad shorter series with NaN"
                )
            found.append(value)
        return np.stack(found)

    def _get(self, i: int) -> NDArray[Any]:
        value = self._dataset[i]
        if isinstance(value, tuple | list):
            value = value[self._item]
        if isinstance(value, Tensor):
            value = value.detach().cpu()
            value = value.float() if value.dtype.itemsize == 2 and value.is_floating_point() else value
        if not isinstance(value, Tensor | np.ndarray):
            raise ValueError(
                f"item {i} of {type(self._dataset).__name__} is a {type(value).__name__}; give a tensor or an array, "
                f"or a tuple that holds one (item says which)"
            )
        return np.asarray(value)


def _codecs(described: Any) -> set[str]:
    """Names of all codecs in the description of a Zarr array, those inside other codecs among them."""
    found: set[str] = set()
    if isinstance(described, Mapping):
        for key, value in described.items():
            if key in ("codecs", "index_codecs", "filters", "compressor", "compressors", "serializer"):
                entries = value if isinstance(value, list | tuple) else [] if value is None else [value]
                found |= {_codec_name(entry) for entry in entries}
            found |= _codecs(value)
    elif isinstance(described, list | tuple):
        for value in described:
            found |= _codecs(value)
    return found


def _codec_name(entry: Any) -> str:
    if not isinstance(entry, Mapping):
        entry = entry.get_config() if hasattr(entry, "get_config") else {"name": type(entry).__name__}
    return str(entry.get("name", entry.get("id", "?"))).removeprefix("numcodecs.")
