"""FLO: a contrastive bound of mutual information that is tight at any batch size, with a critic of its own."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kinview.distributed import global_mean
from kinview.losses import losses
from kinview.losses._two_views import unit
from kinview.losses.base import Loss, linear, own_generator
from kinview.losses.flat_nce import log_contrasts
from kinview.tensor_checks import (
    check_bool,
    check_finite,
    check_integer,
    check_number,
    check_rows,
    check_temperature,
    check_views,
    connected_zero,
    full_precision,
    widen,
)

__all__ = ["FLO", "flo"]

_STEEPEST = 10.0  # beyond it the exponential goes on as its tangent


def flo(
    a: Float[Tensor, "n d"],
    b: Float[Tensor, "n d"],
    u: Float[Tensor, " n"],
    temperature: float | Float[Tensor, ""] = 0.2,
) -> Float[Tensor, ""]:
    r"""FLO: the negative Fenchel-Legendre bound of the information between two views.

    .. math:: L = \frac{1}{n} \sum_i \big[ u_i + e^{c_i - u_i} - 1 \big], \quad
              c_i = \log \frac{1}{n - 1} \sum_{j \ne i} e^{(s_{ij} - s_{ii}) / \tau}

    with :math:`s_{ij} = \cos(a_i, b_j)`. One row alone has nothing to tell it from: zero.

    Parameters
    ----------
    a, b : Tensor
        Two views ``(n, d)``; normalised here.
    u : Tensor
        What a critic says of each pair ``(n,)``. The best one is c: then L is
        :func:`~kinview.losses.flat_nce`, which it never falls below.
    temperature : float or scalar Tensor, default 0.2
        τ (kinview); a tensor gets its gradient.

    Notes
    -----
    −L is a lower bound of the information in expectation, with no log n above it. Where c − u exceeds 10 the
    exponential goes on as its tangent: it would overflow in float32, and the gradient of its first steps would undo the
    network.

    References
    ----------
    .. [1] Guo et al., Tight Mutual Information Estimation with Contrastive Fenchel-Legendre Optimization, NeurIPS 2022,
       arXiv 2107.01131.

    Examples
    --------
    >>> flo(torch.eye(4), torch.eye(4), torch.full((4,), -5.0)).item()  # the best critic: −1 / τ
    -5.0
    """
    check_views("flo", a=a, b=b)
    check_rows("flo", len(a), u=u)
    check_finite("flo", u=u)
    check_temperature(temperature)
    with full_precision(a):
        contrasts = log_contrasts(a, b, temperature)
        if contrasts is None:
            return connected_zero(a, b, u)
        u = widen(u).to(contrasts.dtype)
        excess = contrasts - u
        steep = excess.clamp(max=_STEEPEST)
        return global_mean(u + steep.exp() * (1 + excess - steep) - 1)


@losses.register("flo", modality="any", reference="Guo et al., FLO, NeurIPS 2022")
class FLO(Loss):
    """:func:`flo` with its critic u, a perceptron on both unit rows of a pair, and the temperature learned.

    Parameters
    ----------
    dim : int, default 128
        Dimension d of the embeddings.
    hidden_dim : int, default 128
        Hidden layer of the critic (official code).
    temperature : float, default 0.2
        First τ (kinview); the logarithm of 1/τ is the parameter ``log_scale``.
    learnable : bool, default True
        False keeps τ as it is (official code: learned).
    max_scale : float, default 100.0
        Upper limit of 1/τ, as in :class:`~kinview.losses.CLIP`.

    Examples
    --------
    >>> loss = FLO(dim=8)
    >>> loss(torch.eye(8), torch.eye(8)).shape
    torch.Size([])
    """

    needs_negatives = True
    gathers = True

    def __init__(
        self,
        dim: int = 128,
        hidden_dim: int = 128,
        temperature: float = 0.2,
        learnable: bool = True,
        max_scale: float = 100.0,
    ) -> None:
        super().__init__()
        check_integer(dim, "dim", at_least=1)
        check_integer(hidden_dim, "hidden_dim", at_least=1)
        check_temperature(temperature)
        check_bool(learnable, "learnable")
        check_number(max_scale, "max_scale", finite=False)
        if not max_scale >= 1 / temperature:
            raise ValueError(f"max_scale={max_scale!r} is below 1 / temperature = {1 / temperature:g}; raise either")
        self.dim, self.hidden_dim = dim, hidden_dim
        self.temperature, self.learnable, self.max_scale = temperature, learnable, max_scale
        draw = own_generator()
        self.critic = nn.Sequential(linear(2 * dim, hidden_dim, draw), nn.ReLU(), linear(hidden_dim, 1, draw))
        self.log_scale = nn.Parameter(torch.tensor(-math.log(temperature)), requires_grad=learnable)

    def forward(self, a: Float[Tensor, "n d"], b: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
        """The loss of two views ``(n, d)``."""
        check_views("flo", a=a, b=b)
        if a.shape[1] != self.dim:
            raise ValueError(f"flo is for embeddings of dim={self.dim}; a has {a.shape[1]}: give FLO(dim={a.shape[1]})")
        with torch.no_grad():
            self.log_scale.clamp_(max=math.log(self.max_scale))
        with full_precision(a):
            u = self.critic(torch.cat([unit(a), unit(b)], dim=1))[:, 0]
            return flo(a, b, u, torch.exp(-self.log_scale))
