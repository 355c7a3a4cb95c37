"""Training by several processes: each has the whole batch, and only the network divides the rows.

All processes have the same rows, weights and generators. So all of them draw the same permutation and the same views of
the whole batch: what a view is depends on the seed, the step and the row, and on no process. The network, which costs
most, then computes representations of a part of the rows in each process (:func:`representations_of_all`); these are
gathered, and every process computes the loss of all of them, with projectors, queues and all in which rows meet. The
mean over the processes of the weights' gradients (:func:`average_gradients`) is the gradient of one process.

Inside the network two things know of the other processes (:class:`_RowsOfAll`): batch normalisation takes its
statistics over the rows of all, and dropout is drawn for these and cut to one's own.
"""

from __future__ import annotations

import hashlib
import math
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from kinview.distributed import gather, laid_out_as, number_of_processes, own_part, own_rows, place, total

if TYPE_CHECKING:
    from kinview.data.batch import Batch

__all__ = ["average_gradients", "check_alike", "representations_of_all"]


def representations_of_all(represent: Callable[[list[Batch]], list[Tensor]], views: list[Batch]) -> list[Tensor]:
    """Representations of all rows of the views, of which each process has computed a part.

    Parameters
    ----------
    represent : callable
        Makes of views a list of tensors with one row a row, each of the row alone.
    views : list of Batch
        The whole batch, the same in each process. Outside of :func:`~kinview.distributed.whole_batches`, and where it
        has fewer than two rows a process, each process computes all of it.

    Returns
    -------
    list of Tensor
        In the order of the rows. What flows back to a row is the sum over the processes of what each sends back.
    """
    own = own_part(len(views[0]))
    if own is None:
        return represent(views)
    with own_rows():
        with _RowsOfAll():
            part = represent([view.rows(own) for view in views])
        return [gather(h) for h in part]


@torch.no_grad()
def average_gradients(parameters: Iterable[nn.Parameter], stop: bool) -> bool:
    """Replace gradients by their mean over the processes; whether any of these wants to stop.

    A parameter that has a gradient in one process has one in all of them afterwards.
    """
    parameters = list(parameters)
    own = [float(stop), *(float(p.grad is not None) for p in parameters)]
    flags = torch.tensor(own, device=parameters[0].device)
    dist.all_reduce(flags)
    wanted, *held = flags.tolist()
    used = [p for p, count in zip(parameters, held, strict=True) if count]
    for p in used:
        if p.grad is None:
            p.grad = torch.zeros_like(p)
    for together in _of_one_kind([p.grad for p in used if p.grad is not None]):
        flat = torch.cat([gradient.flatten() for gradient in together])
        dist.all_reduce(flat)
        flat /= dist.get_world_size()
        parts = torch.split(flat, [gradient.numel() for gradient in together])
        for gradient, part in zip(together, parts, strict=True):
            gradient.copy_(part.view_as(gradient))
    return bool(wanted)


def check_alike(parts: Mapping[str, Iterable[Tensor | None] | str]) -> None:
    """Refuse processes that have not begun alike, by the name of what differs.

    Parameters
    ----------
    parts : mapping of str to tensors or str
        What has to be the same in all processes.

    Raises
    ------
    ValueError
        In all processes, if it differs in one of them.
    """
    own = {name: _digest(value) for name, value in parts.items()}
    everyones: list[Any] = [None] * number_of_processes()
    dist.all_gather_object(everyones, own)
    differing = [name for name in own if any(other[name] != own[name] for other in everyones)]
    if differing:
        raise ValueError(
            f"the {len(everyones)} processes have different {', '.join(differing)}: start each with the same command "
            "on the same data and with the same random_state; kinview divides the rows of a batch itself"
        )


def _digest(value: Iterable[Tensor | None] | str) -> str:
    digest = hashlib.sha256()
    if isinstance(value, str):
        digest.update(value.encode())
    else:
        for tensor in value:
            digest.update(b"-" if tensor is None else str((tuple(tensor.shape), tensor.dtype)).encode())
            if tensor is not None:
                digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _of_one_kind(tensors: Sequence[Tensor]) -> list[list[Tensor]]:
    """Tensors that can travel in one message."""
    kinds: dict[tuple[torch.dtype, torch.device], list[Tensor]] = {}
    for tensor in tensors:
        kinds.setdefault((tensor.dtype, tensor.device), []).append(tensor)
    return list(kinds.values())


class _RowsOfAll(TorchFunctionMode):
    """Inside, torch's functions in which rows meet, or that draw random numbers, reckon with the rows of all processes.

    In place of a swap of layers: so the layers of any encoder are reached, one's own too, and none has to know.
    """

    def __torch_function__(self, func: Any, kinds: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in _REPLACED:
            return _REPLACED[func](*args, **kwargs)
        if func is F.multi_head_attention_forward:
            return _multi_head_attention(*args, **kwargs)
        if func in _DRAW and kwargs.get("generator") is None:
            name = getattr(func, "__name__", str(func))
            raise ValueError(
                f"the network draws random numbers by torch's {name}, and several processes cannot draw them alike: "
                f"draw them in the views, or by dropout, or train with one process"
            )
        return func(*args, **kwargs)


def _batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """``F.batch_norm`` with the statistics of the rows of all processes."""
    if not training:
        return F.batch_norm(x, running_mean, running_var, weight, bias, training, momentum, eps)
    with torch.no_grad():
        mean, variance, count = _moments(x)
        if count < 2:
            raise ValueError(f"batch normalisation needs at least 2 values of a channel in training; got {count}")
        if running_mean is not None and running_var is not None:
            # without a new version, as torch's kernel does it: an earlier pass holds them, and its backward is to come
            running_mean.data.lerp_(mean.to(running_mean.dtype), momentum)
            running_var.data.lerp_(variance.to(running_var.dtype) * (count / (count - 1)), momentum)
    normalised: Tensor = _Normalised.apply(x, weight, bias, mean, variance, count, eps)  # type: ignore[no-untyped-call]
    return normalised


def _moments(x: Tensor) -> tuple[Tensor, Tensor, int]:
    """Mean and variance of each channel over the rows of all processes, and the number of values of a channel."""
    _, mean, inverse = torch.native_batch_norm(x, None, None, None, None, True, 0.0, 0.0)  # the fastest way to both
    number = torch.full_like(mean, x.numel() // x.shape[1])
    everyones = gather(torch.stack([mean, inverse.square().reciprocal(), number])[None]).double()  # in one message
    means, variances, numbers = everyones.unbind(1)
    count = numbers.sum(dim=0)
    mean_of_these = (means * numbers).sum(dim=0) / count
    variance = ((variances + (means - mean_of_these).square()) * numbers).sum(dim=0) / count
    return mean_of_these.to(mean.dtype), variance.to(mean.dtype), int(count[0])


class _Normalised(torch.autograd.Function):
    """Normalisation by the moments of all processes, by torch's kernel for moments that are given.

    The gradient is that of this kernel, less what flows back through the moments:
    w σ⁻¹ (mean of dy + x̂ · mean of dy x̂), with means over the rows of all processes.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        mean: Tensor,
        variance: Tensor,
        count: int,
        eps: float,
    ) -> Tensor:
        ctx.save_for_backward(x, weight, mean, variance)
        ctx.count, ctx.eps, ctx.has_bias = count, eps, bias is not None
        return F.batch_norm(x, mean, variance, weight, bias, False, 0.0, eps)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, variance = ctx.saved_tensors
        inverse = torch.rsqrt(variance + ctx.eps)
        given, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
            grad, x, weight, mean, variance, mean, inverse, False, ctx.eps, [True, True, True]
        )
        with own_rows():
            of_moments = total(torch.stack([of_bias, of_weight])) / ctx.count
        scale = inverse if weight is None else inverse * weight
        slope = scale * inverse * of_moments[1]
        start = scale * of_moments[0] - slope * mean
        channels = (-1, *(1,) * (x.ndim - 2))
        through = torch.addcmul(start.view(channels).to(x.dtype), x, slope.view(channels).to(x.dtype))
        return (
            given - through,
            None if weight is None else of_weight,
            of_bias if ctx.has_bias else None,
            *(None,) * 4,
        )


def _dropout(x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """``F.dropout`` whose draw is that of the rows of all processes, cut to those of this one."""
    if not training or p == 0:
        return x
    start, rows = place(len(x), x.device)
    shape, strides = laid_out_as(x, rows)
    kept = F.dropout(torch.empty_strided(shape, strides, dtype=x.dtype, device=x.device).fill_(1), p)
    kept = kept[start : start + len(x)]
    return x.mul_(kept) if inplace else x * kept


def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """``F.scaled_dot_product_attention`` by its definition, where weights are dropped."""
    if dropout_p == 0:
        return F.scaled_dot_product_attention(
            query, key, value, attn_mask, 0.0, is_causal, scale=scale, enable_gqa=enable_gqa
        )
    if is_causal or enable_gqa:
        raise ValueError(
            "the network has attention with dropout and is_causal or enable_gqa, which several processes cannot drop "
            "alike: give a mask in place of is_causal, leave the dropout out, or train with one process"
        )
    half = math.sqrt(1 / math.sqrt(query.shape[-1]) if scale is None else scale)  # on both sides, as torch does it
    scores = (query * half) @ (key * half).transpose(-2, -1)
    if attn_mask is not None:
        scores = scores.masked_fill(~attn_mask, -torch.inf) if attn_mask.dtype == torch.bool else scores + attn_mask
    return _dropout(scores.softmax(dim=-1), dropout_p) @ value


def _multi_head_attention(*args: Any, **kwargs: Any) -> Any:
    """Torch's own function, which is written in Python, with these functions in place of those that it calls."""
    names = {"dropout": _dropout, "scaled_dot_product_attention": _attention, "has_torch_function": lambda _: False}
    torchs = F.multi_head_attention_forward
    function = types.FunctionType(torchs.__code__, {**vars(F), **names}, argdefs=torchs.__defaults__)
    return function(*args, **kwargs)


_REPLACED: dict[Any, Callable[..., Tensor]] = {
    F.batch_norm: _batch_norm,
    F.dropout: _dropout,
    F.scaled_dot_product_attention: _attention,
}
_DRAW = frozenset({
    torch.rand, torch.randn, torch.randint, torch.randperm, torch.rand_like, torch.randn_like, torch.randint_like,
    torch.normal, torch.bernoulli, torch.multinomial, torch.poisson, torch.dropout, torch.feature_dropout,
    Tensor.bernoulli, Tensor.bernoulli_, Tensor.multinomial, Tensor.normal_, Tensor.uniform_, Tensor.random_,
    Tensor.exponential_, Tensor.geometric_, Tensor.cauchy_, Tensor.log_normal_,
    F.alpha_dropout, F.feature_alpha_dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.rrelu, F.gumbel_softmax,
})  # fmt: skip
