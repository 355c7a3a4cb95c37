"""Runs of neighbouring positions, drawn for each row; as ones among zeros, since a product is cheaper than a choice."""

from __future__ import annotations

import torch
from torch import Tensor

from kinview.augmentations._random import integers

__all__ = ["drawn_spans", "spans"]


def drawn_spans(
    size: tuple[int, ...], lengths: Tensor, fraction: float, positions: int, generator: torch.Generator
) -> Tensor:
    """1 within spans of random width and place, each inside its row, 0 elsewhere: ``(n, channels or 1, positions)``.

    The last number of ``size`` is that of spans. A width is uniform from 1 to that fraction of the row's length
    (rounded down, at least 1), and the place uniform among those where it fits; a row of length 0 has none.
    """
    own = lengths[:, None, None].to(generator.device).expand(size)
    most = torch.maximum((fraction * own + 1e-9).long(), own.clamp_max(1))
    width = integers(size, torch.ones_like(most), most + 1, generator).minimum(own)
    start = integers(size, torch.zeros_like(own), own - width + 1, generator)
    return spans(start.to(lengths.device), (start + width).to(lengths.device), positions)


def spans(start: Tensor, stop: Tensor, positions: int) -> Tensor:
    """1 from start to before stop of any of the last axis' spans, else 0: ``(..., spans)`` to ``(..., positions)``."""
    kind = torch.float32 if positions < 2**22 else torch.float64  # holds every position, doubled, exactly
    if start.shape[-1] == 1:
        doubled = torch.arange(0, 2 * positions, 2, dtype=kind, device=start.device)
        return doubled.sub((start + stop - 1).to(kind)).abs_().lt_((stop - start).to(kind))
    edges = torch.zeros(*start.shape[:-1], positions + 1, dtype=kind, device=start.device)
    edges.scatter_add_(-1, start.clamp(0, positions), torch.ones_like(start, dtype=kind))
    edges.scatter_add_(-1, stop.clamp(0, positions), -torch.ones_like(stop, dtype=kind))
    return edges.cumsum(dim=-1)[..., :positions].clamp_max_(1.0)
