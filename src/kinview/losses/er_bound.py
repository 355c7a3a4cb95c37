"""Entropy and reconstruction: a lower bound of mutual information that does not saturate with the batch."""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from kinview.distributed import gather, global_mean, place
from kinview.losses import losses
from kinview.losses._blockwise import Diagonal, logsumexp_rows
from kinview.losses._checks import check_one_of
from kinview.losses._two_views import unit
from kinview.losses.base import Loss
from kinview.tensor_checks import check_temperature, check_views, full_precision, widen

__all__ = ["ERBound", "er_bound"]

Density = Literal["von_mises_fisher", "gaussian"]


def er_bound(
    a: Float[Tensor, "n d"],
    b: Float[Tensor, "n d"],
    temperature: float = 0.1,
    density: Density = "von_mises_fisher",
) -> Float[Tensor, ""]:
    r"""Negative of a lower bound of I(A; B): the entropy of ``b`` and how well ``a`` reconstructs it.

    .. math:: I(A; B) \ge H(B) + E[\log q(B \mid A)], \quad
              L = \frac{1}{n} \sum_i \Big[ \log \frac{1}{n-1} \sum_{j \ne i} q(b_i \mid b_j)
              - \log q(b_i \mid a_i) \Big]

    The entropy is estimated by kernels placed on the other rows, with the density q of the reconstruction as the
    kernel, so that its normaliser cancels.

    Parameters
    ----------
    a, b : Tensor
        Embeddings ``(n, d)`` of two views; ``a`` predicts ``b``.
    temperature : float, default 0.1
        Width of q: 1/κ of the von Mises-Fisher density, or the variance of the Gaussian. The paper leaves it to the
        method; 0.1 is the temperature of SwAV's and DINO's students.
    density : {'von_mises_fisher', 'gaussian'}, default 'von_mises_fisher'
        q ∝ exp(cos(a, b) / τ), or q ∝ exp(−‖a − b‖² / 2τ) without normalisation of the rows.

    Raises
    ------
    ValueError
        If the views differ in shape, hold non-finite values, or a parameter is out of its range.

    Notes
    -----
    The row itself is left out of its entropy, which would otherwise be bounded by log n as InfoNCE is. One row alone
    has no other: its kernel is placed on itself, and the loss is the reconstruction.

    References
    ----------
    .. [1] Rodríguez-Gálvez et al., The Role of Entropy and Reconstruction in Multi-View Self-Supervised Learning,
           ICML 2023, arXiv 2307.10907.

    Examples
    --------
    >>> collapsed = torch.ones(4, 3)
    >>> abs(round(er_bound(collapsed, collapsed).item(), 4))  # no information
    0.0
    >>> round(er_bound(torch.eye(4), torch.eye(4)).item(), 4)  # 1 / τ, more than the log 4 of InfoNCE
    -10.0
    """
    check_views("er_bound", a=a, b=b)
    check_temperature(temperature)
    check_one_of(Density, density=density)
    with full_precision(a):
        first, total = place(len(b), b.device)
        itself = Diagonal(first)
        if density == "von_mises_fisher":
            a, b = unit(a), unit(b)
            reconstruction = (a * b).sum(dim=1) / temperature
            own = (b * b).sum(dim=1) / temperature
            entropy = logsumexp_rows(b, gather(b), 1 / temperature, masks=[itself])
        else:
            a, b = widen(a), widen(b)
            reconstruction = -(a - b).square().sum(dim=1) / (2 * temperature)
            own = reconstruction.new_zeros(len(b))
            entropy = _gaussian_entropy(b, temperature, itself)
        if total == 1:
            return global_mean(own - reconstruction)
        return global_mean(entropy - math.log(total - 1) - reconstruction)


def _gaussian_entropy(b: Tensor, temperature: float, itself: Diagonal) -> Float[Tensor, " n"]:
    """Log-sum-exp of −‖b_i − b_j‖² / 2τ as that of a dot product with one more column."""
    keys = gather(b)
    centre = keys.detach().mean(dim=0)  # distances do not see it, and small numbers keep their digits
    b, keys = b - centre, keys - centre
    half = -b.square().sum(dim=1, keepdim=True) / 2
    keys = torch.cat([keys, -keys.square().sum(dim=1, keepdim=True) / 2], dim=1)
    queries = torch.cat([b, torch.ones_like(half)], dim=1)
    return logsumexp_rows(queries, keys, 1 / temperature, masks=[itself]) + half.squeeze(1) / temperature


@losses.register("er_bound", modality="any", reference="Rodríguez-Gálvez et al., ER bound, ICML 2023")
class ERBound(Loss):
    """Module form of :func:`er_bound`."""

    needs_negatives = True
    gathers = True

    def __init__(self, temperature: float = 0.1, density: Density = "von_mises_fisher") -> None:
        super().__init__()
        check_temperature(temperature)
        check_one_of(Density, density=density)
        self.temperature = temperature
        self.density: Density = density

    def forward(self, a: Float[Tensor, "n d"], b: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
        """The loss of two views ``(n, d)``."""
        return er_bound(a, b, self.temperature, self.density)
