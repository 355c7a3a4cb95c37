"""What estimators do with data larger than memory: learn of all rows in one pass, and read them block by block."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from jaxtyping import Int64
from torch import Tensor

from kinview.data._column_totals import ColumnTotals
from kinview.data.batch import Batch
from kinview.data.panel import Panel, read_panel
from kinview.data.scaling import ChannelMoments
from kinview.data.sources.base import Source
from kinview.data.sources.rows import StreamedRows
from kinview.data.table import named_columns

__all__ = ["SeriesSurvey", "Streamed", "TableSurvey", "block_panels", "padded", "sampled_rows"]

_MOST_SAMPLED = 10_000  # rows that are kept for what all rows have to say together


@dataclasses.dataclass(frozen=True, eq=False)
class Streamed:
    """A source while an estimator is fitted to it.

    Parameters
    ----------
    source : Source
        The data.
    fields : Batch
        Labels, groups and further features of all rows; ``x`` has no columns.
    encode : callable
        Rows of a block as the network takes them.
    prepare : callable
        Rows as the method trains on them, of some samples.
    sizes : sequence of int
        Training rows of each block.
    groups : Tensor or None
        Group of each training row.
    fingerprint : str
        Hash of all values and of what goes with them; empty where it was not asked for.
    """

    source: Source
    fields: Batch
    encode: Callable[[Any], Batch]
    prepare: Callable[[Batch], Batch]
    sizes: list[int]
    groups: Int64[Tensor, " m"] | None
    fingerprint: str

    def training_rows(self, with_groups: bool) -> StreamedRows:
        """Rows of all blocks as the method trains on them."""

        def read(block: int) -> Batch:
            rows = self.prepare(with_fields(self.encode(self.source.read(block)), self.fields, self.source, block))
            return rows if with_groups else rows.replace(groups=None)

        return StreamedRows(read, self.sizes, blocks_in_memory=self.source.blocks_in_memory, groups=self.groups)

    def all_in_shape(self, sample: Batch) -> Batch:
        """A batch of the shape of all samples, without values."""
        return Batch.of(torch.empty((len(self.source), *sample.x.shape[1:]), device="meta"))


class _Survey:
    """One pass over all blocks: the sample, and how many training rows there are."""

    def __init__(self, source: Source, fields: Batch, chosen: Int64[Tensor, " k"], hashed: bool) -> None:
        self.digest = hashlib.sha256() if hashed else None
        self.sizes: list[int] = []
        self._source, self._fields, self._chosen = source, fields, chosen
        self._groups: list[Tensor] = []

    def streamed(self, encode: Callable[[Any], Batch], prepare: Callable[[Batch], Batch]) -> Streamed:
        """The source, with what the pass has found."""
        return Streamed(
            self._source,
            self._fields,
            encode,
            prepare,
            self.sizes,
            torch.cat(self._groups) if self._groups else None,
            self._fingerprint(),
        )

    def _count(self, rows: Batch) -> None:
        """Training rows of a block."""
        self.sizes.append(len(rows))
        if rows.groups is not None:
            self._groups.append(rows.groups)

    def _chosen_in(self, block: int) -> Int64[Tensor, " _"]:
        """Rows of a block that are in the sample, counted from the first of the block."""
        start, stop = self._source.starts[block : block + 2].tolist()
        first, last = torch.searchsorted(self._chosen, torch.tensor([start, stop])).tolist()
        inside: Tensor = self._chosen[first:last] - start
        return inside

    def _fingerprint(self) -> str:
        if self.digest is None:
            return ""
        from kinview.methods.estimators.base import fingerprint

        source = self._source
        self.digest.update(fingerprint(self._fields).encode())
        self.digest.update(np.ascontiguousarray(source.starts).tobytes() + str(source.blocks_in_memory).encode())
        return self.digest.hexdigest()


class SeriesSurvey(_Survey):
    """What all series of a source say: moments of the channels, and a sample in float64."""

    def __init__(
        self, source: Source, fields: Batch, chosen: Tensor, hashed: bool, prepare: Callable[[Batch], Batch]
    ) -> None:
        super().__init__(source, fields, chosen, hashed)
        self.moments: ChannelMoments | None = None
        self.sample, filled = fields.rows(chosen), 0
        for block, panel in enumerate(block_panels(source, None)):
            x, times = panel.batch.x, panel.batch.times
            found = ChannelMoments.of(x)
            self.moments = found if self.moments is None else self.moments + found
            self._count(prepare(with_fields(panel.batch, fields, source, block)))
            if block == 0:
                self.channels, self.time_unit = panel.channels, panel.time_unit
                # room for all at once: small parts between blocks that come and go would leave holes in the memory
                self.sample = self.sample.replace(
                    x=x.new_empty((len(chosen), *x.shape[1:])),
                    times=None if times is None else times.new_empty((len(chosen), *times.shape[1:])),
                )
            inside = self._chosen_in(block)
            self.sample.x[filled : filled + len(inside)] = x[inside]
            if times is not None and self.sample.times is not None:
                self.sample.times[filled : filled + len(inside)] = times[inside]
            filled += len(inside)
            if self.digest is not None:
                for values in (x, times):
                    self.digest.update(b"" if values is None else values.numpy().tobytes())


class TableSurvey(_Survey):
    """What all rows of a table say: kinds, categories and moments of the columns, and a sample as a frame."""

    def __init__(
        self, source: Source, fields: Batch, chosen: Tensor, hashed: bool, prepare: Callable[[Batch], Batch]
    ) -> None:
        super().__init__(source, fields, chosen, hashed)
        self.totals: list[ColumnTotals] = []
        parts: list[Any] = []
        for block in range(len(source.starts) - 1):
            raw = source.read(block)
            columns = named_columns(raw)
            self.totals = self.totals or [ColumnTotals(str(name), self.digest) for name in columns]
            names = [totals.name for totals in self.totals]
            if list(columns) != names:
                raise ValueError(f"block {block} of the data has other columns than the first, or in another order")
            for totals, name in zip(self.totals, names, strict=True):
                totals.add(columns[name])
            self._count(prepare(with_fields(_no_values(len(columns)), fields, source, block)))
            inside = self._chosen_in(block).numpy()
            parts.append(raw.iloc[inside] if isinstance(raw, pd.DataFrame) else np.asarray(raw)[inside])
        self.sample: Any = _one_table(parts)
        self.fields = fields.rows(chosen)


def block_panels(source: Source, channels: tuple[str, ...] | None) -> Iterator[Panel]:
    """Series of each block, in float64 and padded to one length, all with the channels and time unit of the first.

    Raises
    ------
    ValueError
        If blocks differ in channels or the kind of their time stamps, or hold other series than the source says.
    """
    unit: Any = None
    for block in range(len(source.starts) - 1):
        panel = read_panel(source.read(block), channels=channels, dtype=torch.float64)
        channels = channels or panel.channels
        if block and panel.time_unit != unit:
            raise ValueError(
                f"block {block} of the data has time stamps of another kind than the first ({panel.time_unit}, {unit})"
            )
        unit = panel.time_unit
        yield dataclasses.replace(panel, batch=padded(panel.batch, source.length))


def padded(batch: Batch, length: int) -> Batch:
    """Series with so many steps, the further ones not observed."""
    more = length - batch.x.shape[2]
    if more < 0:
        raise ValueError(f"the data hold a series of {batch.x.shape[2]} steps, and say that the longest has {length}")
    if not more:
        return batch
    times = None if batch.times is None else F.pad(batch.times, (0, more), value=torch.nan)
    return batch.replace(x=F.pad(batch.x, (0, more), value=torch.nan), times=times)


def with_fields(batch: Batch, fields: Batch, source: Source, block: int) -> Batch:
    """Rows of a block with their number in the whole, and what goes with them.

    Raises
    ------
    ValueError
        If the block has other rows than the source says.
    """
    start, stop = source.starts[block : block + 2].tolist()
    if len(batch) != stop - start:
        raise ValueError(f"block {block} of the data has {len(batch)} rows, and says that it has {stop - start}")
    return fields.rows(slice(start, stop)).replace(x=batch.x, times=batch.times)


def _one_table(parts: list[Any]) -> Any:
    """The rows of all parts; a column that is declared categorical stays so where parts have other categories."""
    if not isinstance(parts[0], pd.DataFrame):
        return np.concatenate(parts)
    declared = [name for name, dtype in parts[0].dtypes.items() if isinstance(dtype, pd.CategoricalDtype)]
    table = pd.concat(parts, ignore_index=True)
    return table.astype(dict.fromkeys(declared, "category"))


def sampled_rows(source: Source, seed: int) -> Int64[Tensor, " k"]:
    """Sorted numbers of the rows that are kept in memory for what all rows have to say together.

    As many as the blocks in memory hold on average, 10,000 at most, drawn with equal chances; all where these blocks
    are all there are.
    """
    rows, blocks = len(source), len(source.starts) - 1
    if blocks <= source.blocks_in_memory:
        return torch.arange(rows)
    number = max(1, min(_MOST_SAMPLED, rows * source.blocks_in_memory // blocks))
    drawn = torch.randperm(rows, generator=torch.Generator().manual_seed(seed))[:number]
    return drawn.sort().values


def _no_values(rows: int) -> Batch:
    return Batch.of(torch.empty(rows, 0))
