"""Checks at the boundary of the losses, each done once and named after the argument it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = [
    "NonFiniteError",
    "check_finite",
    "check_fraction",
    "check_positive",
    "check_queue",
    "check_rows",
    "check_temperature",
    "check_views",
    "connected_zero",
    "full_precision",
    "softplus",
    "widen",
]


def check_views(loss: str, **views: Tensor) -> None:
    """Refuse views that are not ``(n, d)``, floating, finite and of one shape, naming the argument.

    Examples
    --------
    >>> check_views("nt_xent", a=torch.zeros(4, 3), b=torch.zeros(4, 2))
    Traceback (most recent call last):
    ...
    ValueError: nt_xent needs two (n, d) views of one shape; a is (4, 3), b is (4, 2)
    """
    shapes = {tuple(view.shape) for view in views.values()}
    shape = next(iter(shapes))
    if len(shapes) != 1 or len(shape) != 2:
        number = "two " if len(views) == 2 else ""
        given = ", ".join(f"{name} is {tuple(view.shape)}" for name, view in views.items())
        raise ValueError(f"{loss} needs {number}(n, d) views of one shape; {given}")
    if 0 in shape:
        raise ValueError(f"{loss} needs at least one row and one dimension; {next(iter(views))} is {shape}")
    check_finite(loss, **views)


class NonFiniteError(ValueError, FloatingPointError):
    """An input holds NaN or infinity: a wrong argument by itself, a numerical failure in a training."""


def check_finite(loss: str, **tensors: Tensor) -> None:
    """Refuse tensors that are not floating point or hold NaN or infinity, naming the argument."""
    for name, tensor in tensors.items():
        if not tensor.is_floating_point():
            raise ValueError(f"{name} must be floating point for {loss}; got {tensor.dtype}")
        if not _is_finite(tensor):
            raise NonFiniteError(
                f"{name} holds non-finite values; {loss} needs finite embeddings "
                "(encoders and pooling leave no NaN behind: look for a diverged step or an input scaled by zero)"
            )


def _is_finite(tensor: Tensor) -> bool:
    """Whether all entries are finite; a finite sum proves it in one pass (a sum may overflow, hence the second)."""
    tensor = tensor.detach()
    return bool(torch.isfinite(tensor.sum())) or bool(torch.isfinite(tensor).all())


def check_rows(loss: str, n: int, **tensors: Tensor) -> None:
    """Refuse per-row tensors (labels, groups, index) without one known entry a row, naming the argument."""
    for name, tensor in tensors.items():
        if tensor.shape != (n,):
            raise ValueError(f"{name} must hold one entry a row, shape ({n},), for {loss}; got {tuple(tensor.shape)}")
        if tensor.is_floating_point() and not _is_finite(tensor):
            raise ValueError(f"{name} holds non-finite values; {loss} needs one known entry a row")


def check_temperature(temperature: float | Tensor, name: str = "temperature") -> None:
    """Refuse a temperature (a number or a scalar tensor) that is not positive and finite."""
    check_positive(temperature.item() if isinstance(temperature, Tensor) else temperature, name)


def check_positive(value: float, name: str) -> None:
    """Refuse a number that is not positive and finite, naming the argument."""
    if not 0 < value < float("inf"):
        raise ValueError(f"{name} must be positive; got {value!r}")


def check_fraction(value: float, name: str, *, below: bool = False) -> None:
    """Refuse a number outside [0, 1], or outside [0, 1) with ``below``, naming the argument."""
    if not 0 <= value <= 1 or (below and value == 1):
        raise ValueError(f"{name} must be in [0, 1{')' if below else ']'}; got {value!r}")


def check_queue(loss: str, like: Tensor, **queues: Tensor) -> None:
    """Refuse stored rows that are not ``(m, d)`` with the d of ``like``, or not finite, naming the argument."""
    for name, queue in queues.items():
        if queue.ndim != 2 or queue.shape[1] != like.shape[1]:
            raise ValueError(
                f"{name} must hold rows of the embeddings' dimension, shape (m, {like.shape[1]}), for {loss}; "
                f"got {tuple(queue.shape)}"
            )
        if len(queue):
            check_finite(loss, **{name: queue})


def connected_zero(*tensors: Tensor) -> Tensor:
    """Zero with a zero gradient: the loss of a batch from which nothing can be learned."""
    return torch.stack([(widen(tensor) * 0).sum() for tensor in tensors]).sum()


def softplus(x: Tensor) -> Tensor:
    """log(1 + exp(x)), exact to the last digit: torch's default goes over to x at 20 already."""
    return F.softplus(x, threshold=50.0)


def widen(tensor: Tensor) -> Tensor:
    """The tensor in float32 at least: half precision cannot resolve exp(s/τ) at small τ."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


@contextmanager
def full_precision(tensor: Tensor) -> Iterator[None]:
    """Autocast off on the tensor's device, so that a loss is never computed in half precision."""
    with torch.autocast(tensor.device.type, enabled=False):
        yield
