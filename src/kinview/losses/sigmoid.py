"""SigLIP's sigmoid loss: each pair of rows is its own yes-or-no question."""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kinview.distributed import gather, global_mean, place
from kinview.losses import losses
from kinview.losses._tiles import Diagonal, tiles
from kinview.losses._two_views import unit
from kinview.losses.base import Loss
from kinview.tensor_checks import check_bool, check_number, check_temperature, check_views, full_precision, softplus

__all__ = ["Sigmoid", "sigmoid"]


def sigmoid(
    a: Float[Tensor, "n d"],
    b: Float[Tensor, "n d"],
    temperature: float | Float[Tensor, ""] = 0.1,
    bias: float | Float[Tensor, ""] = -10.0,
) -> Float[Tensor, ""]:
    r"""Binary logistic loss over all n² pairs of rows: partners yes, all others no.

    .. math:: L = -\frac{1}{n} \sum_i \sum_k \log \sigma\big(y_{ik} (s_{ik}/\tau + \beta)\big), \quad
              s_{ik} = \cos(a_i, b_k), \quad y_{ik} = 2 [i = k] - 1

    Parameters
    ----------
    a, b : Tensor
        The two sides ``(n, d)``; normalised here.
    temperature : float or scalar Tensor, default 0.1
        τ (SigLIP's first value); a tensor gets its gradient.
    bias : float or scalar Tensor, default −10.0
        β (SigLIP's first value): at first nearly every pair is rightly called none.

    Notes
    -----
    A sum over k and a mean over i, as the paper and its code have it; some texts print a mean over both. No normaliser
    couples the rows, which suits small batches.

    References
    ----------
    .. [1] Zhai et al., Sigmoid Loss for Language Image Pre-Training, ICCV 2023, arXiv 2303.15343.

    Examples
    --------
    >>> collapsed = torch.ones(4, 3)
    >>> round(sigmoid(collapsed, collapsed).item(), 4)  # 4 log 2
    2.7726
    """
    check_views("sigmoid", a=a, b=b)
    check_temperature(temperature)
    check_number(bias.item() if isinstance(bias, Tensor) else bias, "bias")
    with full_precision(a):
        first, second = unit(a), unit(b)
        start, _ = place(len(a), a.device)
        offset = bias if isinstance(bias, Tensor) else first.new_tensor(bias)
        logits = first / temperature
        wrong = _SoftplusRows.apply(logits, gather(second), offset.to(first.dtype), start)  # type: ignore[no-untyped-call]
        return global_mean(wrong + softplus(-((first * second).sum(dim=1) / temperature + offset)))


class _SoftplusRows(torch.autograd.Function):
    """Sum of softplus(logit + bias) over each row's columns, without its partner, in tiles."""

    @staticmethod
    def forward(ctx: Any, queries: Tensor, keys: Tensor, bias: Tensor, start: int) -> Tensor:
        ctx.save_for_backward(queries, keys, bias)
        ctx.partner = Diagonal(start)
        total = torch.zeros(len(queries), dtype=torch.float64, device=queries.device)
        for tile in tiles((1, len(queries), len(keys)), queries.device):
            block = queries[tile.rows] @ keys[tile.cols].T + bias
            ctx.partner.fill(block.unsqueeze(0), tile, -torch.inf)
            total[tile.rows] += softplus(block).sum(dim=1)
        return total.to(queries.dtype)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        queries, keys, bias = ctx.saved_tensors
        grad_queries, grad_keys = torch.zeros_like(queries), torch.zeros_like(keys)
        grad_bias = torch.zeros((), dtype=torch.float64, device=queries.device)
        for tile in tiles((1, len(queries), len(keys)), queries.device):
            block = queries[tile.rows] @ keys[tile.cols].T + bias
            ctx.partner.fill(block.unsqueeze(0), tile, -torch.inf)
            block.sigmoid_().mul_(grad[tile.rows, None])
            grad_queries[tile.rows].addmm_(block, keys[tile.cols])
            grad_keys[tile.cols].addmm_(block.T, queries[tile.rows])
            grad_bias += block.sum()
        return grad_queries, grad_keys, grad_bias.to(bias.dtype), None


@losses.register("sigmoid", modality="any", reference="Zhai et al., SigLIP, ICCV 2023")
class Sigmoid(Loss):
    """Module form of :func:`sigmoid`, which learns the logarithm of 1/τ (``log_scale``) and the bias.

    Parameters
    ----------
    temperature : float, default 0.1
        First τ (SigLIP).
    bias : float, default −10.0
        First bias (SigLIP).
    learnable : bool, default True
        False keeps both as they are.

    Examples
    --------
    >>> loss = Sigmoid()
    >>> round(loss.log_scale.item(), 3), loss.logit_bias.item()
    (2.303, -10.0)
    """

    needs_negatives = True
    symmetric = True
    gathers = True

    def __init__(self, temperature: float = 0.1, bias: float = -10.0, learnable: bool = True) -> None:
        super().__init__()
        check_temperature(temperature)
        check_number(bias, "bias")
        check_bool(learnable, "learnable")
        self.temperature = temperature
        self.bias = bias
        self.learnable = learnable
        self.log_scale = nn.Parameter(torch.tensor(-math.log(temperature)), requires_grad=learnable)
        self.logit_bias = nn.Parameter(torch.tensor(float(bias)), requires_grad=learnable)

    def forward(self, a: Float[Tensor, "n d"], b: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
        """The loss of the two sides ``(n, d)`` at the present temperature and bias."""
        return sigmoid(a, b, torch.exp(-self.log_scale), self.logit_bias)
