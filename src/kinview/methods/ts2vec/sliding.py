"""Sliding windows of TS2Vec's ``encode``."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from kinview.data.batch import Batch
from kinview.data.gaps import valid_lengths

__all__ = ["slide"]

_WINDOWS_AT_ONCE = 256  # in one forward pass


def slide(
    encode: Callable[[Batch], Tensor], batch: Batch, length: int, before: int, after: int, *, official: bool
) -> Float[Tensor, "n d t"]:
    """Representations of each step, from windows of ``length`` steps encoded each by itself with its context.

    Parameters
    ----------
    encode : callable
        Representations ``(n, D, width)`` of windows.
    batch : Batch
        Series ``(n, C, T)``.
    length, before, after : int
        Steps of a window that are kept, and of its context on either side.
    official : bool
        Overwrite missing steps as the official code does.
    """
    x, times = batch.x, batch.times
    n, channels, steps = x.shape
    count = -(-steps // length)
    if times is None:
        times = torch.arange(steps, dtype=torch.float64, device=x.device).expand(n, steps)
    times = torch.where(_steps_inside(batch), times, torch.nan)
    around = (before, count * length - steps + after)
    width = before + length + after
    windows = F.pad(x, around, value=torch.nan).unfold(2, width, length).transpose(1, 2)  # a view (n, count, C, width)
    stamps = F.pad(times, around, value=torch.nan).unfold(1, width, length)
    parts = []
    for k in torch.split(torch.arange(count, device=x.device), max(1, _WINDOWS_AT_ONCE // n)):
        some = windows[:, k]
        if official:
            some = _with_official_overwriting(some, k, steps, length, before, after)
        place = {"offset": (k * length - before).repeat(n)}
        rows = Batch.of(some.reshape(-1, channels, width), times=stamps[:, k].reshape(-1, width), extra=place)
        z = encode(rows)[:, :, before : before + length]
        parts.append(z.reshape(n, len(k), -1, length).transpose(1, 2).flatten(2))
    return torch.cat(parts, dim=2)[:, :, :steps]


def _steps_inside(batch: Batch) -> Tensor:
    lengths = valid_lengths(batch.x, batch.times)
    return torch.arange(batch.x.shape[2], device=batch.x.device) < lengths[:, None]


def _with_official_overwriting(windows: Tensor, k: Tensor, steps: int, length: int, before: int, after: int) -> Tensor:
    """Missing steps as the official code sees them after it wrote zeros into its input.

    It encodes the windows one after the other, as views of one tensor, and its network sets missing steps of that
    tensor to zero. So a missing step is an observed zero for every window after the first that held it without padding.
    """
    k, width = k[:, None], windows.shape[3]
    first, last = -(-before // length), (steps - length - after) // length  # windows that need no padding
    step = k * length - before + torch.arange(width, device=windows.device)
    written_to = ((k - 1).clamp(max=last) + 1) * length + after
    overwritten = (k > first) & (last >= first) & (step >= first * length - before) & (step < written_to)
    missing = torch.isnan(windows).any(dim=2, keepdim=True)
    return windows.masked_fill(missing & overwritten[None, :, None, :], 0.0)  # windows: (n, len(k), C, width)
