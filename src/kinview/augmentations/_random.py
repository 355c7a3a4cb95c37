"""Draws from a passed generator, on its device, brought to where the values are."""

from __future__ import annotations

import functools
import math

import numpy as np
import torch
from torch import Tensor

__all__ = [
    "among_largest",
    "argsorted",
    "bernoulli",
    "beta",
    "changed_orders",
    "given_or_fresh",
    "integers",
    "largest",
    "normal",
    "orders",
    "partners",
    "uniform",
    "weights",
]

_LISTED = 7  # all orders of so few things are listed once: 5,040
_EXACT = 18  # k! - 1 is a whole number in float64 up to here; beyond, a random order is the old one once in 10^17


def given_or_fresh(generator: torch.Generator | None) -> torch.Generator:
    """The generator that is given, or else a new one that the operating system seeds; the global one is not moved."""
    if generator is None:
        generator = torch.Generator()
        generator.seed()
    return generator


def uniform(
    size: tuple[int, ...], generator: torch.Generator, like: Tensor, low: float = 0.0, high: float = 1.0
) -> Tensor:
    """Uniform on [low, high), in the type and on the device of ``like``."""
    drawn = torch.rand(size, generator=generator, dtype=_wide(like), device=generator.device)
    if (low, high) != (0.0, 1.0):
        drawn = drawn.mul_(high - low).add_(low)
    return drawn.to(like)


def normal(size: tuple[int, ...], generator: torch.Generator, like: Tensor) -> Tensor:
    """Standard normal, in the type and on the device of ``like``."""
    return torch.randn(size, generator=generator, dtype=_wide(like), device=generator.device).to(like)


def bernoulli(size: tuple[int, ...], p: float, generator: torch.Generator, like: Tensor) -> Tensor:
    """True with probability p, on the device of ``like``; p = 0 is never and p = 1 always true."""
    return (torch.rand(size, generator=generator, device=generator.device) < p).to(like.device)


def weights(size: tuple[int, ...], p: float, generator: torch.Generator, like: Tensor) -> Tensor:
    """The same draws as 1 for true and 0, in the type of ``like``: arithmetic is far faster than a random choice."""
    return torch.rand(size, generator=generator, device=generator.device).lt_(p).to(like)


def argsorted(keys: Tensor) -> Tensor:
    """Ascending order along the last dimension of keys without NaN; on the CPU by NumPy, whose sort is vectorised."""
    if keys.device.type != "cpu":
        return keys.argsort(dim=-1)
    return torch.from_numpy(np.argsort(keys.numpy(), axis=-1))


def among_largest(keys: Tensor, number: Tensor) -> Tensor:
    """1 at the ``number`` largest keys along the last dimension, at exactly so many, and 0 at the others.

    Examples
    --------
    >>> among_largest(torch.tensor([[0.3, 0.1, 0.2], [0.5, 0.5, 0.5]]), torch.tensor([2, 1])).sum(dim=1)
    tensor([2., 1.])
    """
    most = int(number.max()) if number.numel() else 0
    if keys.device.type == "cpu" and most and bool((number == most).all()):
        rest = keys.shape[-1] - most  # NumPy's partition is vectorised: a tenth of the time of topk
        found = keys.clone().ge_(torch.from_numpy(np.partition(keys.numpy(), rest, axis=-1)[..., rest, None]))
        if bool((found.sum(dim=-1) == most).all()):  # else two keys are alike
            return found
    taken = torch.arange(most, device=keys.device) < number[..., None]
    where = keys.topk(most, dim=-1).indices
    return torch.zeros_like(keys).scatter_(-1, where, taken.to(keys.dtype).expand(where.shape))


def largest(keys: Tensor, k: int) -> Tensor:
    """Positions of the k largest keys along the last dimension, in no order; on the CPU by NumPy, as above."""
    rest = keys.shape[-1] - k
    if keys.device.type != "cpu" or rest == 0 or k == 0:
        return keys.topk(k, dim=-1, sorted=False).indices
    return torch.from_numpy(np.argpartition(keys.numpy(), rest, axis=-1)[..., rest:])


def beta(size: tuple[int, ...], alpha: float, generator: torch.Generator, like: Tensor) -> Tensor:
    """Beta(α, α), drawn in float64 as one of two gamma variables over their sum (in logarithms where α is small)."""
    both = torch.full((2, *size), alpha, dtype=torch.float64, device=generator.device)
    if alpha >= 1:
        first, second = torch._standard_gamma(both, generator=generator)
        fraction: Tensor = first / (first + second)
        return fraction.to(like)
    # G(α) = G(α + 1) · U^(1/α), so that small α does not underflow
    gamma = torch._standard_gamma(both + 1, generator=generator)
    lift = torch.rand(both.shape, generator=generator, dtype=torch.float64, device=generator.device).log() / alpha
    return torch.softmax(gamma.log() + lift, dim=0)[0].to(like)


def integers(size: tuple[int, ...], low: int | Tensor, high: int | Tensor, generator: torch.Generator) -> Tensor:
    """Whole numbers uniform on [low, high), on the device of the generator; the bounds may be tensors of that size."""
    if isinstance(low, int) and isinstance(high, int):
        return torch.randint(low, high, size, generator=generator, device=generator.device)
    span = torch.as_tensor(high, device=generator.device) - torch.as_tensor(low, device=generator.device)
    drawn = torch.rand(size, generator=generator, dtype=torch.float64, device=generator.device)
    return (drawn * span).long().clamp_max(span - 1).clamp_min(0) + torch.as_tensor(low, device=generator.device)


def orders(n: int, k: int, generator: torch.Generator) -> Tensor:
    """A random order of k things for each of n rows, ``(n, k)``, on the device of the generator."""
    return argsorted(torch.rand(n, k, generator=generator, dtype=torch.float64, device=generator.device))


def changed_orders(sizes: Tensor, k: int, generator: torch.Generator) -> Tensor:
    """Orders of k things for each row, uniform among those that move at least one of the first ``sizes`` and no other.

    Examples
    --------
    >>> changed_orders(torch.tensor([1, 2, 2]), 3, torch.Generator().manual_seed(0))
    tensor([[0, 1, 2],
            [1, 0, 2],
            [1, 0, 2]])
    """
    n, small = len(sizes), min(k, _EXACT)
    device = sizes.device
    rank = torch.rand(n, generator=generator, dtype=torch.float64, device=generator.device).to(device)
    keys = orders(n, k, generator).to(device) if k > _EXACT else None
    factorials = torch.arange(small + 1, device=device).clamp_min(1).cumprod(0)
    # rank 0, in which nothing moves, is left out
    number = factorials[sizes.clamp(0, small)]
    rank = (rank * (number - 1)).long() + (number > 1)
    order = _ranked_orders(rank, k) if k > _LISTED else _all_orders(k).to(device)[rank]
    if keys is None:
        return order
    place = torch.arange(k, device=device)
    shuffled = torch.where(place < sizes[:, None], keys, k + place).argsort(dim=1)
    return torch.where((sizes > _EXACT)[:, None], shuffled, order)


def _ranked_orders(rank: Tensor, k: int) -> Tensor:
    """Orders ``(n, k)`` by their rank in the factorial number system: rank < s! moves none but the first s things."""
    order = torch.arange(k, device=rank.device).repeat(len(rank), 1)
    factorial = 1
    for last in range(1, min(k, _EXACT)):
        factorial *= last
        partner = (last - (rank // factorial) % (last + 1))[:, None]
        mine, others = order[:, last : last + 1].clone(), order.gather(1, partner)
        order[:, last : last + 1] = others
        order.scatter_(1, partner, mine)
    return order


@functools.cache
def _all_orders(k: int) -> Tensor:
    return _ranked_orders(torch.arange(math.factorial(k)), k)


def partners(n: int, generator: torch.Generator) -> Tensor:
    """Another row for each of n rows, never itself where there is another: one random cycle through all."""
    order = torch.randperm(n, generator=generator, device=generator.device)
    partner = torch.empty_like(order)
    partner[order] = order.roll(1)
    return partner


def _wide(like: Tensor) -> torch.dtype:
    """Half precision is drawn in float32: its own grid is too coarse for tails."""
    return torch.promote_types(like.dtype, torch.float32)
