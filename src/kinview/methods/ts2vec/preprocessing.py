"""Series as TS2Vec trains on them: split, centred, trimmed, and only where something was observed."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from kinview.data.batch import Batch
from kinview.data.gaps import offset_of

__all__ = ["centred", "split_long"]


def split_long(batch: Batch, limit: int | None) -> Batch:
    """Series of at least twice ``limit`` steps, cut into T // limit sections (the last padded) that become rows."""
    steps = batch.x.shape[2]
    sections = 1 if limit is None else steps // limit
    if sections < 2:
        return batch
    length = -(-steps // sections)
    pad = length * sections - steps
    x = F.pad(batch.x, (0, pad), value=torch.nan)
    parts = x.reshape(len(batch), -1, sections, length).transpose(1, 2).flatten(0, 1)
    source = torch.arange(len(batch)).repeat_interleave(sections)
    first = (torch.arange(sections) * length).repeat(len(batch))
    times = None
    if batch.times is not None:
        times = F.pad(batch.times, (0, pad), value=torch.nan).reshape(-1, length)
    return _moved(batch.rows(source), first).replace(x=parts, times=times)


def centred(batch: Batch) -> Batch:
    """Move the observed span of each series to the middle, where it does not fill the series."""
    observed = ~torch.isnan(batch.x).all(dim=1)
    steps = batch.x.shape[2]
    if bool(observed[:, 0].all()) and bool(observed[:, -1].all()):
        return batch
    first = observed.int().argmax(dim=1)
    trailing = observed.flip(1).int().argmax(dim=1)
    shift = (first + trailing) // 2 - first
    place = torch.arange(steps)[None, :] - shift[:, None]
    source = place % steps
    x = batch.x.gather(2, source[:, None, :].expand_as(batch.x))
    times = batch.times  # what comes round from the other end lies outside the series
    if times is not None:
        times = times.gather(1, source).masked_fill((place < 0) | (place >= steps), torch.nan)
    return _moved(batch, -shift).replace(x=x, times=times)


def _moved(batch: Batch, by: Tensor) -> Batch:
    """The same rows, which say, if they do, that they begin so many steps later in their series."""
    offset = offset_of(batch)
    return batch if offset is None else batch.replace(extra={**batch.extra, "offset": offset + by})
