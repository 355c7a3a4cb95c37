"""Three towers: two modalities learn from each other and from a frozen, pretrained third tower."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kinview.losses import losses
from kinview.losses.base import Loss, linear, own_generator
from kinview.losses.clip import clip
from kinview.tensor_checks import (
    check_finite,
    check_integer,
    check_number,
    check_precision,
    check_temperature,
    check_tensors,
    check_views,
    full_precision,
    widen,
)

__all__ = ["ThreeTowers", "three_towers"]


def three_towers(
    a: Float[Tensor, "n d"],
    b: Float[Tensor, "n d"],
    a_to_third: Float[Tensor, "n e"],
    third_to_a: Float[Tensor, "n e"],
    b_to_third: Float[Tensor, "n e"],
    third_to_b: Float[Tensor, "n e"],
    temperature: float | Float[Tensor, ""] = 0.07,
) -> Float[Tensor, ""]:
    r"""Mean of the three symmetric InfoNCE losses between two towers and a third.

    .. math:: L = \frac{1}{3} \big( L_{f \leftrightarrow g} + L_{f_h \leftrightarrow h_f}
              + L_{g_h \leftrightarrow h_g} \big)

    with L the loss of :func:`kinview.losses.clip`.

    Parameters
    ----------
    a, b : Tensor
        f and g, the two towers' embeddings ``(n, d)``.
    a_to_third, third_to_a : Tensor
        f_h and h_f ``(n, e)``: the first tower and the third, each through a head for the other.
    b_to_third, third_to_b : Tensor
        g_h and h_g ``(n, e)``.
    temperature : float or scalar Tensor, default 0.07
        τ of all three.

    References
    ----------
    .. [1] Kossen et al., Three Towers: Flexible Contrastive Learning with Pretrained Image Models, NeurIPS 2023,
       arXiv 2305.16999.

    Examples
    --------
    >>> collapsed = torch.ones(4, 3)
    >>> round(three_towers(*[collapsed] * 6).item(), 4)  # log 4
    1.3863
    """
    check_views("three_towers", a=a, b=b)
    check_views("three_towers", a_to_third=a_to_third, third_to_a=third_to_a)
    check_views("three_towers", b_to_third=b_to_third, third_to_b=third_to_b)
    towers = clip(a, b, temperature)
    return (towers + clip(a_to_third, third_to_a, temperature) + clip(b_to_third, third_to_b, temperature)) / 3


@losses.register("three_towers", modality="any", reference="Kossen et al., NeurIPS 2023")
class ThreeTowers(Loss):
    """Three towers with linear heads and a learned temperature; the third tower gets no gradient.

    Parameters
    ----------
    dim : int
        Dimension d of the two towers.
    third_dim : int
        Dimension of the third tower.
    head_dim : int, optional
        Dimension e in which the third tower is compared; d by default.
    temperature : float, default 0.07
        First τ; the logarithm of 1/τ is the parameter ``log_scale``.
    max_scale : float, default 100.0
        Upper limit of 1/τ, as in CLIP.

    Notes
    -----
    At test time the third tower and the heads are dropped.

    Examples
    --------
    >>> generator = torch.Generator().manual_seed(0)
    >>> a, b, third = torch.randn(3, 5, 4, generator=generator)
    >>> ThreeTowers(4, 4)(a, b, third).shape
    torch.Size([])
    """

    needs_negatives = True
    gathers = True

    def __init__(
        self,
        dim: int,
        third_dim: int,
        head_dim: int | None = None,
        temperature: float = 0.07,
        max_scale: float = 100.0,
    ) -> None:
        super().__init__()
        for name, size in (("dim", dim), ("third_dim", third_dim), ("head_dim", head_dim)):
            if name != "head_dim" or size is not None:
                check_integer(size, name, at_least=1)
        check_temperature(temperature)
        check_number(max_scale, "max_scale", finite=False)
        if not max_scale >= 1 / temperature:
            raise ValueError(f"max_scale={max_scale!r} is below 1 / temperature = {1 / temperature:g}; raise either")
        self.dim, self.third_dim, self.head_dim = dim, third_dim, head_dim
        self.temperature = temperature
        self.max_scale = max_scale
        shared = dim if head_dim is None else head_dim
        draw = own_generator()
        self.a_to_third, self.b_to_third = linear(dim, shared, draw), linear(dim, shared, draw)
        self.third_to_a, self.third_to_b = linear(third_dim, shared, draw), linear(third_dim, shared, draw)
        self.log_scale = nn.Parameter(torch.tensor(-math.log(temperature)))

    def forward(
        self, a: Float[Tensor, "n d"], b: Float[Tensor, "n d"], third: Float[Tensor, "n e"]
    ) -> Float[Tensor, ""]:
        """The loss of two towers ``(n, dim)`` and the third ``(n, third_dim)``."""
        check_views("three_towers", a=a, b=b)
        check_tensors("three_towers", third=third)
        if third.ndim != 2 or len(third) != len(a):
            shape = tuple(third.shape)
            raise ValueError(f"third must be (n, third_dim) with the n={len(a)} rows of a and b; got {shape}")
        check_finite("three_towers", third=third)
        check_precision("three_towers", a=a, third=third)
        with torch.no_grad():
            self.log_scale.clamp_(max=math.log(self.max_scale))
        with full_precision(a):
            a, b, third = widen(a), widen(b), widen(third).detach()
            heads = self.a_to_third(a), self.third_to_a(third), self.b_to_third(b), self.third_to_b(third)
            return three_towers(a, b, *heads, torch.exp(-self.log_scale))
