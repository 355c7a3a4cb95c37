"""Checks at the boundary of the losses, each done once and named after the argument it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from kinview.parameters import check_bool, check_fraction, check_integer, check_number, check_positive

__all__ = [
    "NonFiniteError",
    "check_bool",
    "check_finite",
    "check_fraction",
    "check_integer",
    "check_number",
    "check_positive",
    "check_precision",
    "check_queue",
    "check_rows",
    "check_temperature",
    "check_tensors",
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
    check_tensors(loss, **views)
    shapes = {tuple(view.shape) for view in views.values()}
    shape = next(iter(shapes))
    if len(shapes) != 1 or len(shape) != 2:
        number = "two " if len(views) == 2 else ""
        given = ", ".join(f"{name} is {tuple(view.shape)}" for name, view in views.items())
        raise ValueError(f"{loss} needs {number}(n, d) views of one shape; {given}")
    if 0 in shape:
        raise ValueError(f"{loss} needs at least one row and one dimension; {next(iter(views))} is {shape}")
    check_finite(loss, **views)
    check_precision(loss, **views)


def check_precision(loss: str, **views: Tensor) -> None:
    """Refuse float32 beside float64, naming both; half precision is computed in float32 and goes with it."""
    if len({torch.promote_types(view.dtype, torch.float32) for view in views.values()}) > 1:
        given = ", ".join(f"{name} is {view.dtype}" for name, view in views.items())
        raise ValueError(f"{loss} needs views of one precision; {given}: convert one with .to(...)")


def check_tensors(loss: str, **tensors: Any) -> None:
    """Refuse what is not a tensor, naming the argument and the way to make one."""
    for name, tensor in tensors.items():
        if tensor is None:
            raise ValueError(f"{name} must be a tensor for {loss}; got None: give {name}=")
        if not isinstance(tensor, Tensor):
            kind = type(tensor)
            given = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
            raise ValueError(f"{name} must be a tensor for {loss}; got {given}: give torch.as_tensor({name})")


class NonFiniteError(ValueError, FloatingPointError):
    """An input holds NaN or infinity: a wrong argument by itself, a numerical failure in a training."""


def check_finite(loss: str, **tensors: Tensor) -> None:
    """Refuse tensors that are not floating point or hold NaN or infinity, naming the argument."""
    check_tensors(loss, **tensors)
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
    check_tensors(loss, **tensors)
    for name, tensor in tensors.items():
        if tensor.shape != (n,):
            raise ValueError(f"{name} must hold one entry a row, shape ({n},), for {loss}; got {tuple(tensor.shape)}")
        if tensor.is_complex():
            raise ValueError(f"{name} must be real for {loss}; got {tensor.dtype}")
        if tensor.is_floating_point() and not _is_finite(tensor):
            raise ValueError(f"{name} holds non-finite values; {loss} needs one known entry a row")


def check_temperature(temperature: float | Tensor, name: str = "temperature") -> None:
    """Refuse a temperature (a number or a scalar tensor) that is not positive and finite."""
    check_positive(temperature.item() if isinstance(temperature, Tensor) else temperature, name)


def check_queue(loss: str, like: Tensor, **queues: Tensor) -> None:
    """Refuse stored rows that are not ``(m, d)`` with the d of ``like``, or not finite, naming the argument."""
    check_tensors(loss, **queues)
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
