"""CLIP's symmetric InfoNCE with a learnable temperature."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kinview.distributed import gather, global_mean, is_distributed, place
from kinview.losses import losses
from kinview.losses._blockwise import Diagonal, Mask, logsumexp_both, logsumexp_rows
from kinview.losses._two_views import unit
from kinview.losses.base import Loss
from kinview.tensor_checks import check_temperature, check_views, full_precision, softplus

__all__ = ["CLIP", "both_ways", "clip", "pair_losses"]


def clip(
    a: Float[Tensor, "n d"], b: Float[Tensor, "n d"], temperature: float | Float[Tensor, ""] = 0.07
) -> Float[Tensor, ""]:
    r"""InfoNCE in both directions: each row finds its partner among the other side's rows.

    .. math:: L = \frac{1}{2n} \sum_i \Big( -\log \frac{e^{s_{ii}/\tau}}{\sum_k e^{s_{ik}/\tau}}
              - \log \frac{e^{s_{ii}/\tau}}{\sum_k e^{s_{ki}/\tau}} \Big), \quad s_{ik} = \cos(a_i, b_k)

    Parameters
    ----------
    a, b : Tensor
        The two sides ``(n, d)``; normalised here.
    temperature : float or scalar Tensor, default 0.07
        τ (CLIP's first value); a tensor gets its gradient.

    References
    ----------
    .. [1] Radford et al., Learning Transferable Visual Models From Natural Language Supervision, ICML 2021,
       arXiv 2103.00020.

    Examples
    --------
    >>> collapsed = torch.ones(4, 3)
    >>> round(clip(collapsed, collapsed).item(), 4)  # log 4
    1.3863
    """
    check_views("clip", a=a, b=b)
    check_temperature(temperature)
    with full_precision(a):
        first, second = unit(a), unit(b)
        forth, back = pair_losses(first, second, 1 / temperature)
        return global_mean((forth + back) / 2)


def pair_losses(
    a: Float[Tensor, "n d"], b: Float[Tensor, "n d"], scale: float | Tensor
) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """InfoNCE of each pair of this process: ``a`` among everyone's ``b``, and ``b`` among everyone's ``a``."""
    start, _ = place(len(a), a.device)
    forth, back = both_ways(a, b, scale, (Diagonal(start),))
    positives = (a * b).sum(dim=1) * scale
    return softplus(forth - positives), softplus(back - positives)


def both_ways(
    a: Float[Tensor, "n d"], b: Float[Tensor, "n d"], scale: float | Tensor, masks: tuple[Mask, ...] = ()
) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """Normalisers of the rows of this process: of ``a`` over everyone's ``b``, and of ``b`` over everyone's ``a``."""
    if not is_distributed():
        return logsumexp_both(a, b, scale, masks=masks)
    return logsumexp_rows(a, gather(b), scale, masks=masks), logsumexp_rows(b, gather(a), scale, masks=masks)


@losses.register("clip", modality="any", reference="Radford et al., CLIP, ICML 2021")
class CLIP(Loss):
    """Module form of :func:`clip`, which learns the logarithm of 1/τ as ``log_scale``.

    Parameters
    ----------
    temperature : float, default 0.07
        First τ (CLIP; 0.1 to 0.2 suits some hundred pairs).
    max_scale : float, default 100.0
        Upper limit of 1/τ (CLIP; 30 keeps small data from being memorised). The parameter itself is limited, each time
        before it is used, so that it never gets stuck beyond the limit.
    learnable : bool, default True
        False keeps τ as it is.

    Notes
    -----
    Leave ``log_scale`` out of the weight decay, as CLIP does.

    Examples
    --------
    >>> loss = CLIP()
    >>> round(loss.log_scale.item(), 3)  # log(1 / 0.07)
    2.659
    """

    needs_negatives = True
    symmetric = True
    gathers = True

    def __init__(self, temperature: float = 0.07, max_scale: float = 100.0, learnable: bool = True) -> None:
        super().__init__()
        check_temperature(temperature)
        if not max_scale >= 1 / temperature:
            raise ValueError(f"max_scale={max_scale!r} is below 1 / temperature = {1 / temperature:g}; raise either")
        self.temperature = temperature
        self.max_scale = max_scale
        self.learnable = learnable
        self.log_scale = nn.Parameter(torch.tensor(-math.log(temperature)), requires_grad=learnable)

    def forward(self, a: Float[Tensor, "n d"], b: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
        """The loss of the two sides ``(n, d)`` at the present temperature."""
        with torch.no_grad():
            self.log_scale.clamp_(max=math.log(self.max_scale))
        return clip(a, b, torch.exp(-self.log_scale))
