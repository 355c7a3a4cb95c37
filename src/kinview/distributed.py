"""Rows of all processes in one loss, with correct gradients.

Under ``torch.distributed`` each process has a part of the batch. Every process computes the same loss, that of the
whole batch, from its own rows and everyone's gathered rows; what flows back to a row is the sum over the processes.
Averaging the parameters' gradients over the processes, as DistributedDataParallel does, then gives the gradient of one
process with the whole batch. Without an initialised process group all of this is the identity.

That is how a loop of one's own divides its rows. The trainer does it otherwise (:mod:`kinview.training.processes`):
there every process has the whole batch, and only its network divides the rows.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

__all__ = [
    "alone",
    "from_first",
    "gather",
    "generator_in_step",
    "global_mean",
    "in_step",
    "is_distributed",
    "is_first",
    "laid_out_as",
    "mean_of_all",
    "number_of_processes",
    "own_part",
    "own_rows",
    "place",
    "process_group",
    "rows_in_step",
    "sum_of_work",
    "total",
    "whole_batches",
    "work",
]

T = TypeVar("T")
_Rows = Literal["own", "all", "shared", "part"]  # of a batch: what this process has of it, see the contexts below
_rows: ContextVar[_Rows] = ContextVar("_rows", default="own")


def is_distributed() -> bool:
    """Is there a process group of more than one process, of whose rows this process has a part."""
    return _rows.get() in ("own", "part") and number_of_processes() > 1


def number_of_processes() -> int:
    """Processes that take part: those of the process group; 1 without one, and within :func:`alone`.

    Examples
    --------
    >>> number_of_processes()
    1
    """
    joined = dist.is_available() and dist.is_initialized() and _rows.get() != "all"
    return dist.get_world_size() if joined else 1


def is_first() -> bool:
    """Is this the process that writes files and talks: the first of those that take part.

    Examples
    --------
    >>> is_first()
    True
    """
    return number_of_processes() == 1 or dist.get_rank() == 0


@contextmanager
def alone() -> Iterator[None]:
    """Compute as if there were no other process: the rows that this one has are all rows.

    Examples
    --------
    >>> with alone():
    ...     is_distributed()
    False
    """
    with _having("all"):
        yield


@contextmanager
def whole_batches() -> Iterator[None]:
    """Hold the rows of all processes in each of them: losses and queues see all rows; :func:`own_part` divides work.

    Examples
    --------
    >>> with whole_batches():
    ...     is_distributed()
    False
    """
    with _having("shared"):
        yield


@contextmanager
def own_rows() -> Iterator[None]:
    """Within :func:`whole_batches`, work on this process's :func:`own_part` of the rows, in step with the others."""
    with _having("part"):
        yield


def in_step() -> bool:
    """Are all processes at this place, each with its part of one batch, as the trainer sees to it.

    Where they are, a layer may ask the others about their rows; in a loop of one's own a process may be alone in it.

    Examples
    --------
    >>> in_step()
    False
    """
    return _rows.get() == "part" and number_of_processes() > 1


def own_part(n: int) -> slice | None:
    """Part of this process in ``n`` rows that every process has; None where each computes all of them.

    That is so outside of :func:`whole_batches`, and of fewer than two rows a process: how a single row lies in memory
    does not tell how several do, and dropout is drawn in that order (:func:`laid_out_as`).

    Examples
    --------
    >>> with whole_batches():
    ...     own_part(10) is None
    True
    """
    return slice(*work(n)) if _is_shared() and n >= 2 * number_of_processes() else None


def work(n: int) -> tuple[int, int]:
    """First of this process's part of ``n`` pieces of work that each process could do, and the one after its last.

    All of them outside of :func:`whole_batches`. What comes of the parts goes through :func:`sum_of_work`.

    Examples
    --------
    >>> work(10)
    (0, 10)
    """
    if not _is_shared():
        return 0, n
    rank, processes = dist.get_rank(), number_of_processes()
    return n * rank // processes, n * (rank + 1) // processes


@torch.no_grad()
def sum_of_work(part: Tensor) -> Tensor:
    """Sum of what each process made of its part of the :func:`work`; no gradient flows through it.

    Examples
    --------
    >>> sum_of_work(torch.tensor(3.0))
    tensor(3.)
    """
    if _is_shared():
        dist.all_reduce(part)
    return part


def _is_shared() -> bool:
    return _rows.get() == "shared" and number_of_processes() > 1


@contextmanager
def process_group() -> Iterator[None]:
    """Join the processes that a launcher (``torchrun``, ``accelerate launch``) has started; nothing without one.

    They find each other by the environment that it sets: ``RANK``, ``WORLD_SIZE``, ``MASTER_ADDR``, ``MASTER_PORT``;
    the process ``LOCAL_RANK`` of a machine takes the GPU of that number as "cuda". Tensors on the CPU go by gloo, those
    on GPUs by NCCL. A process group that exists already is used as it is.

    Examples
    --------
    >>> with process_group():
    ...     number_of_processes()
    1
    """
    launched = "RANK" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1
    if not launched or not dist.is_available() or dist.is_initialized():
        yield
        return
    gpus = torch.cuda.device_count()
    if gpus:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")) % gpus)
    dist.init_process_group("cpu:gloo,cuda:nccl" if gpus else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def from_first(value: T) -> T:
    """What the first process has, for all of them; plain data.

    Examples
    --------
    >>> from_first(3)
    3
    """
    if number_of_processes() == 1:
        return value
    shared = [value]
    dist.broadcast_object_list(shared, src=0)
    return shared[0]


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
    summed, count = values.masked_fill(~valid, 0.0).sum(), valid.sum().to(values.dtype)
    return total(summed) / total(count).clamp_min(1)


def total(values: Tensor) -> Tensor:
    """Sum over the processes, entry by entry; the gradient of a process is the sum of what all send back.

    Examples
    --------
    >>> total(torch.tensor([1.0, 2.0]))
    tensor([1., 2.])
    """
    if not is_distributed():
        return values
    summed: Tensor = _Sum.apply(values)  # type: ignore[no-untyped-call]
    return summed


def mean_of_all(sums: Tensor, count: Tensor) -> tuple[Tensor, int]:
    """Mean of values of which each process has sums over its own, and their number; and the number over all.

    Examples
    --------
    >>> mean_of_all(torch.tensor([4.0, 6.0]), torch.tensor(2))
    (tensor([2., 3.]), 2)
    """
    if not is_distributed():
        number = int(count)
        return sums / number, number
    both = total(torch.cat([sums.double(), count.double().reshape(1)]))  # one message for both
    number = int(both[-1])
    return (both[:-1] / number).to(sums.dtype), number


def rows_in_step(n: int, device: torch.device) -> tuple[int, int]:
    """First of the ``n`` own rows among those that are computed together, and the number of these: all own, or all.

    What a layer draws at random for each row it draws for all of them, and takes its own: so the draw is that of one
    process (:func:`generator_in_step`).

    Examples
    --------
    >>> rows_in_step(5, torch.device("cpu"))
    (0, 5)
    """
    return place(n, device) if in_step() else (0, n)


def generator_in_step(device: torch.device) -> torch.Generator | None:
    """Torch's global generator by name, which says that a draw is one for all rows; None where there are no others.

    Examples
    --------
    >>> generator_in_step(torch.device("cpu")) is None
    True
    """
    if not in_step():
        return None
    if device.type == "cpu":
        return torch.default_generator
    return torch.cuda.default_generators[torch.cuda.current_device() if device.index is None else device.index]


def laid_out_as(x: Tensor, rows: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shape and strides of a tensor of so many rows that lies in memory as this one does, channels-last or not.

    Examples
    --------
    >>> laid_out_as(torch.zeros(2, 5, 3).transpose(1, 2), 4)
    ((4, 3, 5), (15, 1, 3))
    """
    shape, strides = (rows, *x.shape[1:]), list(torch.empty_like(x, device="meta").stride())
    step = 1
    inwards = sorted(range(x.ndim), key=lambda dim: (strides[dim], -dim))
    for dim in inwards if rows != len(x) else ():
        strides[dim], step = step, step * shape[dim]
    return shape, tuple(strides)


@contextmanager
def _having(rows: _Rows) -> Iterator[None]:
    token = _rows.set(rows)
    try:
        yield
    finally:
        _rows.reset(token)


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
        summed = value.clone()
        dist.all_reduce(summed)
        return summed

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        summed = grad.clone()
        dist.all_reduce(summed)
        return summed
