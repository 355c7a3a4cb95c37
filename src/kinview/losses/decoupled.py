"""Decoupled contrastive learning: DCL and DCLW."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from kinview.distributed import gather, global_mean
from kinview.losses import losses
from kinview.losses._two_views import TwoViews
from kinview.losses.base import Loss
from kinview.tensor_checks import check_bool, check_positive, check_views, connected_zero, full_precision

__all__ = ["Decoupled", "decoupled"]


def decoupled(
    a: Float[Tensor, "n d"],
    b: Float[Tensor, "n d"],
    temperature: float = 0.1,
    *,
    weighted: bool = False,
    sigma: float = 0.5,
) -> Float[Tensor, ""]:
    r"""NT-Xent without the positive in the denominator (DCL), optionally with weighted positives (DCLW).

    .. math:: L = \frac{1}{2n} \sum_{i=1}^{2n} \Big( -w_i \frac{s_{i,p(i)}}{\tau}
              + \log \sum_{k \notin \{i, p(i)\}} e^{s_{ik}/\tau} \Big), \quad
              w_i = 2 - \frac{e^{s_{i,p(i)}/\sigma}}{\frac{1}{n} \sum_j e^{s_{j,p(j)}/\sigma}}

    for DCLW, and :math:`w_i = 1` for DCL. A single pair has no negatives: the loss is zero.

    Parameters
    ----------
    a, b : Tensor
        Two views ``(n, d)``; normalised here.
    temperature : float, default 0.1
        τ (official code).
    weighted : bool, default False
        DCLW: pull the less similar pairs harder. The weights are constants to the gradient.
    sigma : float, default 0.5
        σ of the weights (official code).

    Notes
    -----
    The official code has one direction and is called twice; here both are averaged. The value may be negative, and says
    nothing about mutual information.

    References
    ----------
    .. [1] Yeh et al., Decoupled Contrastive Learning, ECCV 2022, arXiv 2110.06848.

    Examples
    --------
    >>> collapsed = torch.ones(4, 3)
    >>> round(decoupled(collapsed, collapsed).item(), 4)  # log 6
    1.7918
    """
    check_views("decoupled", a=a, b=b)
    check_positive(temperature, "temperature")
    check_positive(sigma, "sigma")
    with full_precision(a):
        views = TwoViews(a, b)
        if views.n == 1:
            return connected_zero(a, b)
        positives = views.positives(temperature)
        if weighted:
            positives = positives * _weights(views, sigma).repeat(2)
        return global_mean(views.negatives(temperature) - positives)


def _weights(views: TwoViews, sigma: float) -> Float[Tensor, " n"]:
    """Two minus each pair's von Mises-Fisher density over the mean of all pairs."""
    density = views.similarity.detach() / sigma
    mean = torch.logsumexp(gather(density), dim=0) - math.log(views.n)
    return 2 - torch.exp(density - mean)


@losses.register("decoupled", modality="any", reference="Yeh et al., ECCV 2022")
class Decoupled(Loss):
    """Module form of :func:`decoupled`."""

    needs_negatives = True
    symmetric = True
    gathers = True

    def __init__(self, temperature: float = 0.1, weighted: bool = False, sigma: float = 0.5) -> None:
        super().__init__()
        check_positive(temperature, "temperature")
        check_bool(weighted, "weighted")
        check_positive(sigma, "sigma")
        self.temperature = temperature
        self.weighted = weighted
        self.sigma = sigma

    def forward(self, a: Float[Tensor, "n d"], b: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
        """The loss of two views ``(n, d)``."""
        return decoupled(a, b, self.temperature, weighted=self.weighted, sigma=self.sigma)
