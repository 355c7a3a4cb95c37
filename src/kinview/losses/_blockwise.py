r"""Log-sum-exp over the columns of a similarity matrix that is never materialised, with exact gradients.

.. math:: \mathrm{lse}_i = \log \sum_{k \text{ allowed}} \exp(s\, q_i \cdot k_k)

The matrix is walked in tiles that stay in the cache. The backward pass makes each tile again instead of keeping it:
one product more than the dense path, which is won back because no tile ever leaves the cache, because rows against
themselves need only the upper triangle, and because row and column sums come from the same tile. Where the whole
matrix is small it is kept, and where it is tiny plain autograd does it. What is excluded is excluded inside the tile:
subtracting it from a finished log-sum-exp cancels.

Two ways to exponentiate. If no logit can exceed ``_SAFE`` in absolute value (norms tell), ``exp`` needs no maximum:
neither the largest sum nor the smallest term leaves the range of the dtype. Otherwise a running maximum is kept for
each row and each column.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from kinview.losses._tiles import Diagonal, Mask, SameGroup, Tile, tiles
from kinview.tensor_checks import widen

__all__ = ["Diagonal", "Mask", "SameGroup", "logsumexp_both", "logsumexp_rows", "logsumexp_self"]

_SAFE = {torch.float32: 40.0, torch.float64: 300.0}  # exp(±bound), its sums and their quotients stay normal numbers
_DENSE = 2**14  # up to this many entries, plain autograd costs less than the walk over tiles
_KEEP = 2**24  # up to this many entries (64 MB in float32), tiles are kept for the backward pass, not made again


def logsumexp_rows(
    queries: Float[Tensor, "*problems n d"],
    keys: Float[Tensor, "*problems m d"],
    scale: float | Tensor = 1.0,
    *,
    masks: Sequence[Mask] = (),
) -> Float[Tensor, "*problems n"]:
    """Log-sum-exp of each row over the columns that no mask leaves out; −inf (and no gradient) where none is left.

    Parameters
    ----------
    queries, keys : Tensor
        ``(n, d)`` and ``(m, d)``, or a stack of such problems with one leading dimension.
    scale : float or scalar Tensor, default 1.0
        Factor of the similarities, 1/τ; a tensor gets its gradient.
    masks : sequence of Mask
        What is left out, the same in every problem of a stack.

    Examples
    --------
    >>> z = torch.eye(3)
    >>> logsumexp_rows(z, z, masks=[Diagonal()]).exp()
    tensor([2., 2., 2.])
    """
    rows, _ = _apply(widen(queries) * scale, widen(keys), _Plan("rows", tuple(masks)))
    return rows


def logsumexp_both(
    queries: Float[Tensor, "*problems n d"],
    keys: Float[Tensor, "*problems m d"],
    scale: float | Tensor = 1.0,
    *,
    masks: Sequence[Mask] = (),
) -> tuple[Float[Tensor, "*problems n"], Float[Tensor, "*problems m"]]:
    """Log-sum-exp of each row and of each column of one matrix, for little more than the price of the rows alone.

    Examples
    --------
    >>> rows, columns = logsumexp_both(torch.zeros(2, 1), torch.zeros(5, 1))
    >>> rows.exp(), columns.exp()
    (tensor([5., 5.]), tensor([2., 2., 2., 2., 2.]))
    """
    return _apply(widen(queries) * scale, widen(keys), _Plan("both", tuple(masks)))


def logsumexp_self(
    rows: Float[Tensor, "*problems n d"], scale: float | Tensor = 1.0, *, masks: Sequence[Mask] = ()
) -> Float[Tensor, "*problems n"]:
    """Log-sum-exp of each row over all other rows; the masks must be symmetric, and the row itself is left out anyway.

    Examples
    --------
    >>> logsumexp_self(torch.eye(3)).exp()
    tensor([2., 2., 2.])
    """
    root = scale.sqrt() if isinstance(scale, Tensor) else scale**0.5
    values, _ = _apply(widen(rows) * root, None, _Plan("self", (Diagonal(), *masks)))
    return values


@dataclass(eq=False)
class _Plan:
    """Kind of sum with its masks and flags: decided in the forward pass, used again in the backward pass."""

    kind: Literal["rows", "both", "self"]
    masks: tuple[Mask, ...]
    safe: bool = False
    keep: bool = False
    kept: list[Tensor] = field(default_factory=list)

    def blocks(self, q: Tensor, k: Tensor) -> Iterator[tuple[Tile, Tensor, Tensor]]:
        """Each tile with its content and a scratch buffer of its size.

        The content is exp(logit), 0 where left out, if that is safe; else the logit, −inf where left out. It is read
        only: a kept one is met again in the backward pass.
        """
        shape = (len(q), q.shape[1], k.shape[1])
        plan = list(tiles(shape, q.device, upper=self.kind == "self"))
        sizes = [tile.numel for tile in plan]
        buffer, spare = (q.new_empty(max(sizes)) for _ in range(2))
        for i, tile in enumerate(plan):
            form = tile.shape
            if i < len(self.kept):
                block = self.kept[i]
            else:
                block = q.new_empty(form) if self.keep else buffer[: sizes[i]].view(form)
                torch.bmm(q[tile.problems, tile.rows], k[tile.problems, tile.cols].mT, out=block)
                if self.safe:
                    block.exp_()
                for mask in self.masks:
                    mask.fill(block, tile, 0.0 if self.safe else -torch.inf)
                if self.keep:
                    self.kept.append(block)
            yield tile, block, spare[: sizes[i]].view(form)


class _LogSumExp(torch.autograd.Function):
    """Rows' and columns' log-sum-exp; with one input (``keys`` None), rows against themselves."""

    @staticmethod
    def forward(ctx: Any, queries: Tensor, keys: Tensor | None, plan: _Plan) -> tuple[Tensor, Tensor]:
        q, k = queries, queries if keys is None else keys
        bound = _longest(q) * _longest(k)
        plan.safe = bound <= _SAFE.get(q.dtype, 0.0)
        plan.keep = any(ctx.needs_input_grad) and len(q) * q.shape[1] * k.shape[1] <= _KEEP
        accumulate = torch.float64 if q.device.type != "mps" else torch.float32
        start = 0.0 if plan.safe else -torch.inf
        rows = torch.full(q.shape[:2], start, dtype=accumulate, device=q.device)
        cols = rows if keys is None else torch.full(k.shape[:2], start, dtype=accumulate, device=q.device)
        for tile, block, scratch in plan.blocks(q, k):
            _add(rows[tile.problems, tile.rows], block, scratch, 2, plan.safe)
            if plan.kind == "both" or (plan.kind == "self" and tile.rows != tile.cols):
                _add(cols[tile.problems, tile.cols], block, scratch, 1, plan.safe)
        if plan.safe:
            rows = rows.log_()
            cols = rows if keys is None else cols.log_()
        ctx.plan, ctx.alone = plan, keys is None
        ctx.save_for_backward(q, k, rows, cols)
        if plan.kind == "both":
            return rows.to(q.dtype), cols.to(q.dtype)
        nothing = q.new_empty(0)
        ctx.mark_non_differentiable(nothing)
        return rows.to(q.dtype), nothing

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad_rows: Tensor, grad_cols: Tensor) -> tuple[Tensor, Tensor | None, None]:
        q, k, rows, cols = ctx.saved_tensors
        plan: _Plan = ctx.plan
        centre = _centre(rows, cols) if plan.safe else None
        u, lse_rows = _weights(grad_rows, rows, centre, q.dtype)
        v, lse_cols = _weights(grad_cols, cols, centre, q.dtype) if plan.kind == "both" else (u, lse_rows)
        grad_q = torch.zeros_like(q)
        grad_k = grad_q if ctx.alone else torch.zeros_like(k)
        wanted_q, wanted_k = ctx.needs_input_grad[0], ctx.needs_input_grad[0 if ctx.alone else 1]
        uq = u.unsqueeze(2) * q if plan.kind == "rows" else q
        for tile, block, scratch in plan.blocks(q, k):
            p, i, j = tile
            if plan.kind == "rows":
                weight = block if plan.safe else torch.sub(block, lse_rows[p, i, None], out=scratch).exp_()
            elif plan.safe:
                weight = torch.add(u[p, i, None], v[p, None, j], out=scratch).mul_(block)
            else:
                weight = _two_sided(block, scratch, u[p, i], lse_rows[p, i], v[p, j], lse_cols[p, j])
            if wanted_q:
                grad_q[p, i].baddbmm_(weight, k[p, j])
            if wanted_k and not (plan.kind == "self" and i == j):
                grad_k[p, j].baddbmm_(weight.mT, uq[p, i])
        if plan.kind == "rows":
            grad_q.mul_(u.unsqueeze(2))
        if centre is not None:
            factor = torch.exp(-centre).to(q.dtype)
            grad_q.mul_(factor)
            if not ctx.alone:
                grad_k.mul_(factor)
        return grad_q, None if ctx.alone else grad_k, None


def _longest(rows: Tensor) -> float:
    """Largest norm of a row, 0 where there is none."""
    return float(torch.linalg.vector_norm(rows, dim=2).amax()) if rows.numel() else 0.0


def _add(total: Tensor, block: Tensor, scratch: Tensor, dim: int, safe: bool) -> None:
    """Add a block to running sums (safe) or to a running log-sum-exp, along one dimension, in place."""
    if safe:
        total.add_(block.sum(dim=dim))
        return
    top = block.amax(dim=dim, keepdim=True)
    top.masked_fill_(top == -torch.inf, 0.0)
    inner = torch.sub(block, top, out=scratch).exp_().sum(dim=dim).to(total.dtype).log_()
    torch.logaddexp(total, inner.add_(top.squeeze(dim)), out=total)


def _centre(rows: Tensor, cols: Tensor) -> Tensor:
    """Middle of the range of the log-sum-exps: exp(centre − lse) is then in range for all of them."""
    values = torch.cat([rows.flatten(), cols.flatten()])
    values = torch.where(torch.isfinite(values), values, values.new_zeros(()))
    low, high = torch.aminmax(values)
    return (low + high) / 2


def _weights(grad: Tensor, lse: Tensor, centre: Tensor | None, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Factor of exp(logit) in each row of the gradient, and the log-sum-exp to subtract from the logit before."""
    nothing = lse == -torch.inf
    lse = lse.masked_fill(nothing, 0.0)
    weight = grad.to(lse.dtype).masked_fill(nothing, 0.0)
    if centre is not None:
        weight = weight * torch.exp(centre - lse)
    return weight.to(dtype), lse.to(dtype)


def _two_sided(block: Tensor, scratch: Tensor, u: Tensor, lse_rows: Tensor, v: Tensor, lse_cols: Tensor) -> Tensor:
    """Softmax by rows times u plus softmax by columns times v, of a block of logits."""
    by_rows = torch.sub(block, lse_rows.unsqueeze(2), out=scratch).exp_().mul_(u.unsqueeze(2))
    return by_rows.add_((block - lse_cols.unsqueeze(1)).exp_().mul_(v.unsqueeze(1)))


def _apply(queries: Tensor, keys: Tensor | None, plan: _Plan) -> tuple[Tensor, Tensor]:
    """Run the kernel on stacks of problems, in full precision."""
    with torch.autocast(queries.device.type, enabled=False):
        stacked = queries.ndim == 3
        q, k = (x if x is None or stacked else x.unsqueeze(0) for x in (queries, keys))
        assert q is not None
        q, k = q.contiguous(), None if k is None else k.contiguous()
        if len(q) * q.shape[1] * (q if k is None else k).shape[1] <= _DENSE:
            rows, cols = _dense(q, q if k is None else k, plan)
        else:
            rows, cols = _LogSumExp.apply(q, k, plan)  # type: ignore[no-untyped-call]
        return (rows, cols) if stacked else (rows.squeeze(0), cols.squeeze(0) if plan.kind == "both" else cols)


def _dense(q: Tensor, k: Tensor, plan: _Plan) -> tuple[Tensor, Tensor]:
    """The whole matrix at once, differentiated by autograd."""
    logits = q @ k.mT
    if plan.masks:
        left_out = torch.zeros(1, *logits.shape[1:], dtype=torch.bool, device=q.device)
        everything = Tile(slice(0, 1), slice(0, q.shape[1]), slice(0, k.shape[1]))
        for mask in plan.masks:
            mask.fill(left_out, everything, 1.0)
        logits = logits.masked_fill(left_out, -torch.inf)
    rows = torch.logsumexp(logits, dim=2)
    return rows, torch.logsumexp(logits, dim=1) if plan.kind == "both" else rows
