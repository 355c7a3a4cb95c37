"""The debiased contrastive loss, and its version with hard negatives."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from kinview.distributed import global_mean
from kinview.losses import losses
from kinview.losses._two_views import TwoViews
from kinview.losses.base import Loss
from kinview.tensor_checks import check_fraction, check_positive, check_views, connected_zero, full_precision, softplus

__all__ = ["Debiased", "HardNegative", "debiased", "hard_negative"]


def debiased(
    a: Float[Tensor, "n d"], b: Float[Tensor, "n d"], temperature: float = 0.5, tau_plus: float = 0.1
) -> Float[Tensor, ""]:
    r"""NT-Xent with the negatives corrected for the positives that hide among them.

    .. math:: L = -\frac{1}{2n} \sum_i \log \frac{e^{s_{ip}/\tau}}{e^{s_{ip}/\tau} + G_i}, \quad
              G_i = \max\Big\{ N' e^{-1/\tau},\;
              \frac{\sum_{k \notin \{i, p\}} e^{s_{ik}/\tau} - N' \tau^+ e^{s_{ip}/\tau}}{1 - \tau^+} \Big\}

    with :math:`N' = 2n - 2` negatives of each of the 2n rows. A single pair has none: the loss is zero.

    Parameters
    ----------
    a, b : Tensor
        Two views ``(n, d)``; normalised here.
    temperature : float, default 0.5
        τ (official code).
    tau_plus : float, default 0.1
        τ⁺, the probability that a negative is of the anchor's class, about 1 / classes (official code). At 0 the loss
        is NT-Xent.

    Notes
    -----
    Computed in the log domain throughout, so that τ = 0.01 neither overflows nor loses the difference.

    References
    ----------
    .. [1] Chuang et al., Debiased Contrastive Learning, NeurIPS 2020, arXiv 2007.00224.

    Examples
    --------
    >>> collapsed = torch.ones(4, 3)
    >>> round(debiased(collapsed, collapsed).item(), 4)  # log(1 + 6): the correction cancels where all are alike
    1.9459
    """
    return _debiased("debiased", a, b, temperature, tau_plus, beta=0.0)


def hard_negative(
    a: Float[Tensor, "n d"],
    b: Float[Tensor, "n d"],
    temperature: float = 0.5,
    tau_plus: float = 0.1,
    beta: float = 1.0,
) -> Float[Tensor, ""]:
    r"""The debiased loss with each negative weighted by how hard it is.

    .. math:: \sum_k e^{s_{ik}/\tau} \to \sum_k w_{ik} e^{s_{ik}/\tau}, \quad
              w_{ik} = \frac{e^{\beta s_{ik}/\tau}}{\frac{1}{N'} \sum_{l \notin \{i, p\}} e^{\beta s_{il}/\tau}}

    in :func:`debiased`; the gradient flows through the weights.

    Parameters
    ----------
    a, b : Tensor
        Two views ``(n, d)``; normalised here.
    temperature : float, default 0.5
        τ (official code).
    tau_plus : float, default 0.1
        τ⁺, see :func:`debiased` (official code).
    beta : float, default 1.0
        Concentration of the weights (official code; 0.5 to 2). At 0 the loss is :func:`debiased`.

    Notes
    -----
    The weight is exp(β s/τ) as in the official code; the paper's notation leaves τ out of the similarity.

    References
    ----------
    .. [1] Robinson et al., Contrastive Learning with Hard Negative Samples, ICLR 2021, arXiv 2010.04592.

    Examples
    --------
    >>> collapsed = torch.ones(4, 3)
    >>> round(hard_negative(collapsed, collapsed).item(), 4)
    1.9459
    """
    return _debiased("hard_negative", a, b, temperature, tau_plus, beta)


def _debiased(loss: str, a: Tensor, b: Tensor, temperature: float, tau_plus: float, beta: float) -> Tensor:
    check_views(loss, a=a, b=b)
    check_positive(temperature, "temperature")
    _check_correction(tau_plus, beta)
    with full_precision(a):
        views = TwoViews(a, b)
        count = 2 * views.n - 2
        if count == 0:
            return connected_zero(a, b)
        negatives = views.negatives(temperature / (1 + beta))
        if beta > 0:
            negatives = negatives - views.negatives(temperature / beta) + math.log(count)
        positives = views.positives(temperature)
        return global_mean(softplus(_corrected(negatives, positives, count, temperature, tau_plus) - positives))


def _corrected(negatives: Tensor, positives: Tensor, count: int, temperature: float, tau_plus: float) -> Tensor:
    """Log of G; where the difference falls below its floor, the floor, without a gradient."""
    floor = math.log(count) - 1 / temperature
    if tau_plus == 0:
        return negatives.clamp_min(floor)
    # log(e^x − e^y) = x + log(1 − e^(y − x)), for y < x; the choice is made first, so that no branch meets log(0)
    log_ratio = math.log(count * tau_plus) + positives - negatives
    rest = 1 - torch.exp(log_ratio.detach())
    above = torch.log(rest.clamp_min(0)) + negatives.detach() - math.log1p(-tau_plus) > floor
    safe = log_ratio.where(above, log_ratio.new_tensor(-1.0))
    difference = negatives + torch.log1p(-torch.exp(safe)) - math.log1p(-tau_plus)
    return difference.where(above, difference.new_tensor(floor))


def _check_correction(tau_plus: float, beta: float = 0.0) -> None:
    check_fraction(tau_plus, "tau_plus", below=True)
    if not 0 <= beta < math.inf:
        raise ValueError(f"beta must be finite and not negative; got {beta!r}")


@losses.register("debiased", modality="any", reference="Chuang et al., NeurIPS 2020")
class Debiased(Loss):
    """Module form of :func:`debiased`."""

    needs_negatives = True
    symmetric = True
    gathers = True

    def __init__(self, temperature: float = 0.5, tau_plus: float = 0.1) -> None:
        super().__init__()
        check_positive(temperature, "temperature")
        _check_correction(tau_plus)
        self.temperature = temperature
        self.tau_plus = tau_plus

    def forward(self, a: Float[Tensor, "n d"], b: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
        """The loss of two views ``(n, d)``."""
        return debiased(a, b, self.temperature, self.tau_plus)


@losses.register("hard_negative", modality="any", reference="Robinson et al., ICLR 2021")
class HardNegative(Loss):
    """Module form of :func:`hard_negative`."""

    needs_negatives = True
    symmetric = True
    gathers = True

    def __init__(self, temperature: float = 0.5, tau_plus: float = 0.1, beta: float = 1.0) -> None:
        super().__init__()
        check_positive(temperature, "temperature")
        _check_correction(tau_plus, beta)
        self.temperature = temperature
        self.tau_plus = tau_plus
        self.beta = beta

    def forward(self, a: Float[Tensor, "n d"], b: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
        """The loss of two views ``(n, d)``."""
        return hard_negative(a, b, self.temperature, self.tau_plus, self.beta)
