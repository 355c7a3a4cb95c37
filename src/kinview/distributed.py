"""Rows of all processes in one loss, with correct gradients.

Under ``torch.distributed`` each process has a part of the batch. Every process computes the same loss, that of the
whole batch, from its own rows and everyone's gathered rows; what flows back to a row is the sum over the processes.
Averaging the parameters' gradients over the processes, as DistributedDataParallel does, then gives the gradient of one
process with the whole batch. Without an initialised process group all of this is the identity.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

__all__ = ["gather", "global_mean", "is_distributed", "place"]


def is_distributed() -> bool:
    """Is there a process group of more than one process."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def gather(tensor: Tensor) -> Tensor:
    """Rows of all processes, in the order of their ranks; the processes may hold different numbers of rows.

    The gradient of a row is the sum of what all processes send back to it.

    Examples
    --------
    >>> gather(torch.tensor([1.0, 2.0]))
    tensor([1., 2.])
    """
    if not is_distributed():
        return tensor
    gathered: Tensor = _Gather.apply(tensor.contiguous(), _counts(tensor))  # type: ignore[no-untyped-call]
    return gathered


def place(n: int, device: torch.device) -> tuple[int, int]:
    """First gathered row of this process, which holds ``n`` rows, and the number of rows of all."""
    if not is_distributed():
        return 0, n
    counts = _counts(torch.empty(n, device=device))
    return sum(counts[: dist.get_rank()]), sum(counts)


def global_mean(values: Tensor, valid: Tensor | None = None) -> Tensor:
    """Mean over the valid entries of all processes; zero, connected to the graph, where there is none.

    Parameters
    ----------
    values : Tensor
        One value an anchor; what stands at invalid places does not matter, its gradient is zero.
    valid : Tensor, optional
        Boolean, of the shape of ``values``; all by default.

    Examples
    --------
    >>> global_mean(torch.tensor([1.0, 2.0, float("nan")]), torch.tensor([True, True, False]))
    tensor(1.5000)
    """
    if valid is None and not is_distributed():
        return values.mean()
    if valid is None:
        valid = torch.ones_like(values, dtype=torch.bool)
    total, count = values.masked_fill(~valid, 0.0).sum(), valid.sum().to(values.dtype)
    if is_distributed():
        dist.all_reduce(count)
        total = _Sum.apply(total)  # type: ignore[no-untyped-call]
    return total / count.clamp_min(1)


def _counts(tensor: Tensor) -> list[int]:
    """Rows of each process."""
    own = torch.tensor([len(tensor)], device=tensor.device)
    counts = [torch.empty_like(own) for _ in range(dist.get_world_size())]
    dist.all_gather(counts, own)
    return [int(count) for count in counts]


class _Gather(torch.autograd.Function):
    """All-gather of unequal numbers of rows; backward, the sum over processes of what belongs to one's own rows."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, counts: list[int]) -> Tensor:
        ctx.counts = counts
        padded = tensor.new_zeros((max(counts), *tensor.shape[1:]))
        padded[: len(tensor)] = tensor
        parts = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(parts, padded)
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        grad = grad.contiguous().clone()
        dist.all_reduce(grad)
        start = sum(ctx.counts[: dist.get_rank()])
        return grad[start : start + ctx.counts[dist.get_rank()]], None


class _Sum(torch.autograd.Function):
    """Sum over the processes, forward and backward."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        total = grad.clone()
        dist.all_reduce(total)
        return total
