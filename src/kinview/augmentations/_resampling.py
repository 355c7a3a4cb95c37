"""Series read at other steps, whole ones or in between, each within its own length."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from kinview.data.batch import Batch
from kinview.data.gaps import bridge

__all__ = ["at_positions", "at_stamps", "fine", "move_steps", "stay_at_end"]


def move_steps(batch: Batch, source: Int64[Tensor, "n s"]) -> Batch:
    """Batch whose step t is step ``source[:, t]`` of the given one: values, gaps and time stamps move together."""
    n, channels, _ = batch.x.shape
    x = batch.x.gather(2, source[:, None, :].expand(n, channels, source.shape[1]))
    times = None if batch.times is None else batch.times.gather(1, source)
    return batch.replace(x=x, times=times)


def at_positions(x: Float[Tensor, "n c t"], position: Float[Tensor, "n s"]) -> Float[Tensor, "n c s"]:
    """Values at positions between steps, interpolated linearly; missing where the step nearest to it was missing.

    Gaps are bridged before, so that a value beside one does not become missing too. Positions lie in [0, T − 1]; for a
    step beyond the end of a series give the step itself, and it stays missing (:func:`stay_at_end`).

    Examples
    --------
    >>> x = torch.tensor([[[0.0, 10.0, float("nan"), 30.0]]])
    >>> at_positions(x, torch.tensor([[0.5, 1.25, 1.75, 3.0]]))
    tensor([[[ 5.0000, 12.5000,     nan, 30.0000]]])
    """
    n, channels, steps = x.shape
    if steps < 2:
        return x[:, :, torch.zeros(position.shape[1], dtype=torch.int64, device=x.device)]
    shape = (n, channels, position.shape[1])
    whole = position.clamp(0, steps - 2).floor_()
    weight = (position - whole).to(torch.promote_types(x.dtype, torch.float32))[:, None, :]
    left = whole.long()[:, None, :].expand(shape)
    bridged = bridge(x)
    values = bridged.to(weight.dtype)
    found = values.gather(2, left).lerp_(values[:, :, 1:].gather(2, left), weight).to(x.dtype)
    if bridged is x:  # nothing is missing
        return found
    nearest = position.round().long().clamp_(0, steps - 1)[:, None, :].expand(shape)
    return found.masked_fill_(torch.isnan(x).gather(2, nearest), torch.nan)


def at_stamps(times: Float[Tensor, "n t"], position: Float[Tensor, "n s"]) -> Float[Tensor, "n s"]:
    """Time stamps at positions between steps, interpolated linearly."""
    left, right = position.floor(), position.ceil()
    return torch.lerp(times.gather(1, left.long()), times.gather(1, right.long()), (position - left).to(times.dtype))


def stay_at_end(position: Float[Tensor, "n t"], lengths: Int64[Tensor, " n"]) -> Float[Tensor, "n t"]:
    """Positions kept within each series; its own step for every step beyond the end."""
    steps = position.shape[1]
    if bool((lengths == steps).all()):
        return position.clamp(0, steps - 1)
    step = torch.arange(steps, device=position.device, dtype=position.dtype)
    last = (lengths - 1).clamp_min(0)[:, None].to(position.dtype)
    inside = torch.minimum(position.clamp_min(0), last)
    return torch.where(step < lengths[:, None], inside, step)


def fine(x: Tensor) -> torch.dtype:
    """Type in which positions are computed: float32 has no steps between steps in very long series."""
    return torch.float64 if x.shape[-1] > 1 << 14 else torch.promote_types(x.dtype, torch.float32)
