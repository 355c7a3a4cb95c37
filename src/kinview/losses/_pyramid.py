"""The max-pooling pyramid of TS2Vec's loss, value and gradient together."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from kinview.distributed import sum_of_work, work
from kinview.losses._self_contrast import Targets, contrast, problems_at_once
from kinview.tensor_checks import full_precision, widen

__all__ = ["Mode", "Plan", "contrasted"]

Mode = Literal["auto", "dense", "tiled"]
# similarities kept for one problem in the dense mode: 2^26 floats are 256 MB, a series of 5,800 steps
_DENSE_ELEMENTS = 2**26


@dataclasses.dataclass(frozen=True)
class Plan:
    """The parameters of :func:`kinview.losses.hierarchical`; one level is a single term."""

    alpha: float
    temporal_unit: int = 0
    levels: int = 1
    instance_weights: Tensor | None = None
    temporal_sharpness: float | None = None
    mode: Mode = "auto"


def contrasted(z1: Float[Tensor, "n d t"], z2: Float[Tensor, "n d t"], plan: Plan) -> Float[Tensor, ""]:
    """The loss of two views."""
    with full_precision(z1):
        value: Tensor = _PyramidLoss.apply(widen(z1), widen(z2), plan)  # type: ignore[no-untyped-call]
        return value


class _PyramidLoss(torch.autograd.Function):
    """The value with its gradient, which needs the same products and is cheapest while they are there."""

    @staticmethod
    def forward(ctx: Any, z1: Tensor, z2: Tensor, plan: Plan) -> Tensor:
        views = torch.stack([z1, z2]).transpose(2, 3).contiguous()
        value, gradient = _pyramid(views, plan, with_gradient=any(ctx.needs_input_grad[:2]))
        value = sum_of_work(value)
        if gradient is not None:
            gradient = sum_of_work(gradient)
            ctx.save_for_backward(gradient)
        return value

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        one, other = (upstream * gradient).transpose(2, 3)
        return (one if ctx.needs_input_grad[0] else None), (other if ctx.needs_input_grad[1] else None), None


def _pyramid(
    views: Float[Tensor, "2 n t d"], plan: Plan, with_gradient: bool
) -> tuple[Float[Tensor, ""], Float[Tensor, "2 n t d"] | None]:
    """From the shortest level to the longest, so that one coarser gradient is alive beside the current one."""
    pyramid = [views]
    while len(pyramid) < plan.levels:
        even, odd = _halves(pyramid[-1])
        pyramid.append(torch.maximum(even, odd))
    value = views.new_zeros(())
    gradient = None
    for k in reversed(range(len(pyramid))):
        level = pyramid.pop()
        coarser, gradient = gradient, torch.zeros_like(level) if with_gradient else None
        value = value + _instance_term(level, plan, gradient) + _temporal_term(level, plan, k, gradient)
        if coarser is not None and gradient is not None:
            even, odd = _halves(level)
            first = even >= odd  # of two equal maxima the earlier one gets the gradient, as in max_pool1d
            for half, here in zip(_halves(gradient), (first, ~first), strict=True):
                half.add_(coarser * here)
    return value, gradient


def _halves(level: Float[Tensor, "2 n t d"]) -> tuple[Tensor, Tensor]:
    even = level.shape[2] // 2 * 2
    return level[:, :, 0:even:2], level[:, :, 1:even:2]


def _instance_term(level: Float[Tensor, "2 n t d"], plan: Plan, gradient: Tensor | None) -> Tensor:
    _, n, steps, d = level.shape
    value = level.new_zeros(())
    if plan.alpha == 0 or n == 1:
        return value
    weights = plan.instance_weights
    targets = Targets(None if weights is None else weights.to(level))
    scale = plan.alpha / (plan.levels * 2 * n * steps)
    stride = problems_at_once(2 * n, level.device)
    for part in _pieces(steps, stride):
        rows = level[:, :, part].permute(2, 0, 1, 3).reshape(-1, 2 * n, d)
        term, slope = contrast(rows, targets, _is_dense(plan, 2 * n), gradient is not None)
        value = value + scale * term
        if gradient is not None and slope is not None:
            slope = slope.reshape(-1, 2, n, d).permute(1, 2, 0, 3)
            gradient[:, :, part].add_(slope, alpha=scale)
    return value


def _temporal_term(level: Float[Tensor, "2 n t d"], plan: Plan, k: int, gradient: Tensor | None) -> Tensor:
    _, n, steps, d = level.shape
    value = level.new_zeros(())
    if plan.alpha == 1 or steps == 1 or k < plan.temporal_unit:
        return value
    targets = Targets()
    if plan.temporal_sharpness is not None:
        lags = torch.arange(steps, dtype=level.dtype, device=level.device)
        targets = Targets(2 * torch.sigmoid(-plan.temporal_sharpness * 2**k * lags))
    scale = (1 - plan.alpha) / (plan.levels * 2 * n * steps)
    stride = problems_at_once(2 * steps, level.device)
    for own in _pieces(n, stride):
        rows = level[:, own].transpose(0, 1).reshape(-1, 2 * steps, d)
        term, slope = contrast(rows, targets, _is_dense(plan, 2 * steps), gradient is not None)
        value = value + scale * term
        if gradient is not None and slope is not None:
            gradient[:, own].add_(slope.reshape(-1, 2, steps, d).transpose(0, 1), alpha=scale)
    return value


def _pieces(problems: int, stride: int) -> Iterator[slice]:
    """What is worked on together, of the problems of this process: processes with the same views share them."""
    first, stop = work(problems)
    for start in range(first, stop, stride):
        yield slice(start, min(start + stride, stop))


def _is_dense(plan: Plan, rows: int) -> bool:
    return plan.mode == "dense" or (plan.mode == "auto" and rows * rows // 2 <= _DENSE_ELEMENTS)
