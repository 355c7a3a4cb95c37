"""Neighbourhood contrastive learning (NCL)."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from kinview.distributed import gather, global_mean, place
from kinview.losses import losses
from kinview.losses._blockwise import Diagonal, SameGroup, logsumexp_rows
from kinview.losses._tiles import tiles
from kinview.losses._two_views import unit
from kinview.losses.base import Loss
from kinview.tensor_checks import (
    check_bool,
    check_fraction,
    check_positive,
    check_queue,
    check_rows,
    check_views,
    full_precision,
    softplus,
)

__all__ = ["Neighbourhood", "neighbourhood"]


def neighbourhood(
    a: Float[Tensor, "n d"],
    b: Float[Tensor, "n d"],
    temperature: float = 0.1,
    alpha: float = 0.3,
    window: float | None = None,
    both_ways: bool = True,
    *,
    groups: Shaped[Tensor, " n"],
    times: Shaped[Tensor, " n"] | None = None,
    queue: Float[Tensor, "m d"] | None = None,
    queue_groups: Shaped[Tensor, " m"] | None = None,
    queue_times: Shaped[Tensor, " m"] | None = None,
) -> Float[Tensor, ""]:
    r"""Align each row with its neighbours, and tell it from them: α · alignment + (1 − α) · discrimination.

    .. math:: L_{NA} = \operatorname*{mean}_i \Big[ \log \sum_k e^{l_{ik}}
              - \frac{1}{|N(i)|} \sum_{k \in N(i)} l_{ik} \Big], \quad
              L_{ND} = \operatorname*{mean}_i \Big[ \log \sum_{k \in N(i)} e^{l_{ik}} - l_{i,p(i)} \Big]

    with :math:`l_{ik} = \cos(a_i, b_k)/\tau` over the rows of the other view and of the queue, N(i) those of the same
    group (and at most ``window`` apart in time), p(i) the row's own other view. The mean of both directions, or the one
    from ``a`` to ``b`` alone.

    Parameters
    ----------
    a, b : Tensor
        Two views ``(n, d)``; normalised here. With a momentum encoder, give the loss (a, momentum b) and
        (b, momentum a) in turn, with ``both_ways=False``.
    temperature : float, default 0.1
        τ (paper).
    alpha : float, default 0.3
        Weight of the alignment (paper, MIMIC-III; 0.4 on PhysioNet 2019, 1 for classes as groups).
    window : float, optional
        Largest distance in time between neighbours, in the unit of ``times`` (paper: 16 and 12 steps).
    both_ways : bool, default True
        Whether rows of ``b`` look for those of ``a`` too. The keys of a momentum encoder and of its queue are no
        anchors (paper): then it is False.
    groups : Tensor
        Patient (or class) of each row ``(n,)``.
    times : Tensor, optional
        Time of each row ``(n,)``; needed with ``window``, and only then.
    queue, queue_groups, queue_times : Tensor, optional
        Older rows ``(m, d)`` with their groups and times, the same on every process; they get no gradient.

    Notes
    -----
    α = 1 is the supervised contrastive loss across views; α = 0 with one group is InfoNCE. The official queue starts
    with random groups, which makes false neighbours: give only entries that have been filled.

    References
    ----------
    .. [1] Yèche et al., Neighborhood Contrastive Learning Applied to Online Patient Monitoring, ICML 2021,
       arXiv 2106.05142.

    Examples
    --------
    >>> collapsed = torch.ones(4, 3)
    >>> loss = neighbourhood(collapsed, collapsed, groups=torch.tensor([0, 0, 1, 1]))
    >>> round(loss.item(), 4)  # 0.3 log 4 + 0.7 log 2
    0.9011
    """
    check_views("neighbourhood", a=a, b=b)
    check_positive(temperature, "temperature")
    _check_options(alpha, window)
    _check_neighbours(len(a), window, groups, times)
    if queue is not None:
        check_queue("neighbourhood", a, queue=queue)
        if queue_groups is None:
            raise ValueError("queue_groups is missing: neighbours in the queue are found by group")
        _check_neighbours(len(queue), window, queue_groups, queue_times, "queue_")
    with full_precision(a):
        first, second = unit(a), unit(b)
        every, when = gather(groups), None if times is None else gather(times)
        older = None
        if queue is not None and queue_groups is not None:
            older = unit(queue.detach()).to(first.dtype)
            every = torch.cat([every, queue_groups])
            when = None if when is None or queue_times is None else torch.cat([when, queue_times])
        neighbours = SameGroup(groups, every, True, times, when, window)
        positives = (first * second).sum(dim=1) / temperature
        values = torch.zeros_like(positives)
        ways = ((first, second), (second, first)) if both_ways else ((first, second),)
        for anchors, others in ways:
            keys = gather(others) if older is None else torch.cat([gather(others), older])
            values = values + _one_way(anchors, keys, positives, neighbours, temperature, alpha) / len(ways)
        return global_mean(values)


def _one_way(
    anchors: Tensor, keys: Tensor, positives: Tensor, neighbours: SameGroup, temperature: float, alpha: float
) -> Tensor:
    """Loss of each anchor. A positive is left out of a sum and comes back in the softplus, so that nothing cancels."""
    loss = torch.zeros_like(positives)
    start, _ = place(len(anchors), anchors.device)
    if alpha > 0:
        sums, counts = _NeighbourSums.apply(keys, neighbours, len(anchors))  # type: ignore[no-untyped-call]
        alone = counts == 1
        every = torch.arange(len(keys), device=keys.device)
        itself = SameGroup(every[start : start + len(anchors)].where(alone, -1), every)
        near = (anchors * sums).sum(dim=1) / (counts * temperature)
        gap = logsumexp_rows(anchors, keys, 1 / temperature, masks=(itself,)) - near
        loss = loss + alpha * softplus(gap).where(alone, gap)
    if alpha < 1:
        near = logsumexp_rows(anchors, keys, 1 / temperature, masks=(neighbours, Diagonal(start)))
        loss = loss + (1 - alpha) * softplus(near - positives)
    return loss


class _NeighbourSums(torch.autograd.Function):
    """Sum of the keys in each anchor's neighbourhood and their number, in tiles."""

    @staticmethod
    def forward(ctx: Any, keys: Tensor, neighbours: SameGroup, n: int) -> tuple[Tensor, Tensor]:
        ctx.neighbours, ctx.shape = neighbours, (1, n, len(keys))
        sums, counts = keys.new_zeros(n, keys.shape[1]), keys.new_zeros(n)
        for tile in tiles(ctx.shape, keys.device):
            same = neighbours.same(tile).to(keys.dtype)
            sums[tile.rows].addmm_(same, keys[tile.cols])
            counts[tile.rows] += same.sum(dim=1)
        ctx.mark_non_differentiable(counts)
        return sums, counts

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor, None, None]:
        grad_keys = grad.new_zeros(ctx.shape[2], grad.shape[1])
        for tile in tiles(ctx.shape, grad.device):
            same = ctx.neighbours.same(tile).to(grad.dtype)
            grad_keys[tile.cols].addmm_(same.T, grad[tile.rows])
        return grad_keys, None, None


def _check_options(alpha: float, window: float | None) -> None:
    check_fraction(alpha, "alpha")
    if window is not None and not window >= 0:
        raise ValueError(f"window must not be negative; got {window!r}")


def _check_neighbours(n: int, window: float | None, groups: Tensor, times: Tensor | None, prefix: str = "") -> None:
    check_rows("neighbourhood", n, **{f"{prefix}groups": groups})
    if (times is None) != (window is None):
        raise ValueError(f"{prefix}times and window go together: give both for a neighbourhood in time, or neither")
    if times is not None:
        check_rows("neighbourhood", n, **{f"{prefix}times": times})


@losses.register("neighbourhood", modality="any", reference="Yèche et al., NCL, ICML 2021")
class Neighbourhood(Loss):
    """Module form of :func:`neighbourhood`."""

    needs_groups = True
    needs_negatives = True
    symmetric = True
    gathers = True

    def __init__(
        self, temperature: float = 0.1, alpha: float = 0.3, window: float | None = None, both_ways: bool = True
    ) -> None:
        super().__init__()
        check_positive(temperature, "temperature")
        check_bool(both_ways, "both_ways")
        _check_options(alpha, window)
        self.temperature = temperature
        self.alpha = alpha
        self.window = window
        self.both_ways = both_ways

    @property
    def needs_times(self) -> bool:
        """Whether it needs the time of each row: for a window."""
        return self.window is not None

    def forward(
        self,
        a: Float[Tensor, "n d"],
        b: Float[Tensor, "n d"],
        *,
        groups: Shaped[Tensor, " n"],
        times: Shaped[Tensor, " n"] | None = None,
        queue: Float[Tensor, "m d"] | None = None,
        queue_groups: Shaped[Tensor, " m"] | None = None,
        queue_times: Shaped[Tensor, " m"] | None = None,
    ) -> Float[Tensor, ""]:
        """The loss of two views ``(n, d)`` with their groups, and times where there is a window."""
        return neighbourhood(
            a,
            b,
            self.temperature,
            self.alpha,
            self.window,
            self.both_ways,
            groups=groups,
            times=times,
            queue=queue,
            queue_groups=queue_groups,
            queue_times=queue_times,
        )
