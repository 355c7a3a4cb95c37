"""NT-Xent with a polynomial term, on which the official TF-C code trains."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from kinview.distributed import global_mean
from kinview.losses import losses
from kinview.losses._two_views import TwoViews
from kinview.losses.base import Loss
from kinview.tensor_checks import check_temperature, check_views, full_precision, softplus

__all__ = ["NTXentPoly", "nt_xent_poly"]


def nt_xent_poly(a: Float[Tensor, "n d"], b: Float[Tensor, "n d"], temperature: float = 0.2) -> Float[Tensor, ""]:
    r"""NT-Xent plus the first polynomial term of PolyLoss, as weighted in the official TF-C code.

    .. math:: L = -\frac{1}{2n} \sum_{i=1}^{2n} \log p_i + 1 - \frac{n}{2n - 1} \cdot \frac{1}{2n} \sum_{i=1}^{2n} p_i,
              \quad p_i = \frac{\exp(s_{i,p(i)}/\tau)}{\sum_{k \ne i} \exp(s_{ik}/\tau)}

    with the cosines and anchors of :func:`~kinview.losses.nt_xent`.

    Parameters
    ----------
    a, b : Tensor
        Two views ``(n, d)``; normalised here.
    temperature : float, default 0.2
        τ (TF-C).

    Notes
    -----
    The official code writes the term as n (1/n − mean of the one-hot targets times the softmax), a mean over the whole
    (2n, 2n − 1) matrix, hence the factor n / (2n − 1), about ½ where PolyLoss has a free ε. A single pair without
    negatives gives 0.

    References
    ----------
    .. [1] Leng et al., PolyLoss: A Polynomial Expansion Perspective of Classification Loss Functions, ICLR 2022,
       arXiv 2204.12511.
    .. [2] Zhang et al., Self-Supervised Contrastive Pre-Training for Time Series via Time-Frequency Consistency,
       NeurIPS 2022, arXiv 2206.08496.

    Examples
    --------
    >>> import torch
    >>> collapsed = torch.ones(4, 3)
    >>> round(nt_xent_poly(collapsed, collapsed).item(), 4)  # log 7 + 1 − 4 / 49
    2.8643
    """
    check_views("nt_xent_poly", a=a, b=b)
    check_temperature(temperature)
    with full_precision(a):
        views = TwoViews(a, b)
        missed = softplus(views.negatives(temperature) - views.positives(temperature))  # −log p
        return global_mean(missed - torch.exp(-missed) * (views.n / (2 * views.n - 1))) + 1


@losses.register("nt_xent_poly", modality="any", reference="Zhang et al., TF-C, NeurIPS 2022 (official code)")
class NTXentPoly(Loss):
    """Module form of :func:`nt_xent_poly`."""

    needs_negatives = True
    symmetric = True
    gathers = True

    def __init__(self, temperature: float = 0.2) -> None:
        super().__init__()
        check_temperature(temperature)
        self.temperature = temperature

    def forward(self, a: Float[Tensor, "n d"], b: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
        """The loss of two views ``(n, d)``."""
        return nt_xent_poly(a, b, self.temperature)
