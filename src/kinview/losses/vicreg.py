"""VICReg: invariance between views, variance and decorrelation within each."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from kinview.distributed import gather
from kinview.losses import losses
from kinview.losses._checks import check_not_negative
from kinview.losses.base import Loss
from kinview.tensor_checks import check_positive, check_views, full_precision, widen

__all__ = ["VICReg", "vicreg"]


def vicreg(
    a: Float[Tensor, "n d"],
    b: Float[Tensor, "n d"],
    invariance_weight: float = 25.0,
    variance_weight: float = 25.0,
    covariance_weight: float = 1.0,
    target_std: float = 1.0,
    eps: float = 1e-4,
) -> Float[Tensor, ""]:
    r"""VICReg: views agree, each dimension keeps its spread, and dimensions do not repeat each other.

    .. math:: L = \lambda \frac{\|a - b\|^2}{n d}
              + \frac{\mu}{2} \sum_{z \in \{a, b\}} \frac{1}{d} \sum_j \big[\gamma - \sqrt{\operatorname{Var} z_j
              + \epsilon}\big]_+
              + \nu \sum_{z \in \{a, b\}} \frac{1}{d} \sum_{j \ne k} \operatorname{Cov}(z)_{jk}^2

    with variances and covariances that divide by n − 1.

    Parameters
    ----------
    a, b : Tensor
        Embeddings ``(n, d)``, not normalised.
    invariance_weight : float, default 25
        λ, of the distance of the views (Bardes et al.).
    variance_weight : float, default 25
        μ, of standard deviations below ``target_std`` (Bardes et al.).
    covariance_weight : float, default 1
        ν, of covariances between dimensions (Bardes et al.).
    target_std : float, default 1.0
        γ.
    eps : float, default 1e-4
        ε.

    Notes
    -----
    The halves of the variance term, and the covariance term without them, are those of the official code, which divides
    the covariance by the configured batch size less one; here it is the actual number of rows. One row has neither
    variance nor covariance: only the invariance term is left.

    References
    ----------
    .. [1] Bardes et al., VICReg, ICLR 2022, arXiv 2105.04906.

    Examples
    --------
    >>> collapsed = torch.ones(4, 3)
    >>> round(vicreg(collapsed, collapsed).item(), 4)  # 25 (1 − √ε)
    24.75
    """
    check_views("vicreg", a=a, b=b)
    _check(invariance_weight, variance_weight, covariance_weight, target_std, eps)
    with full_precision(a):
        a, b = gather(widen(a)), gather(widen(b))
        invariance = (a - b).square().mean()
        if len(a) == 1:
            return invariance_weight * invariance
        covariances = [torch.cov(z.T, correction=1).reshape(z.shape[1], z.shape[1]) for z in (a, b)]
        variances = [torch.diagonal(covariance) for covariance in covariances]
        spread = sum(F.relu(target_std - torch.sqrt(variance + eps)).mean() / 2 for variance in variances)
        repeated = sum(
            (covariance - torch.diag(variance)).square().sum() / len(variance)
            for covariance, variance in zip(covariances, variances, strict=True)
        )
        return invariance_weight * invariance + variance_weight * spread + covariance_weight * repeated


def _check(invariance: float, variance: float, covariance: float, target_std: float, eps: float) -> None:
    check_not_negative(invariance_weight=invariance, variance_weight=variance, covariance_weight=covariance)
    check_positive(target_std, "target_std")
    check_positive(eps, "eps")


@losses.register("vicreg", modality="any", reference="Bardes et al., ICLR 2022")
class VICReg(Loss):
    """Module form of :func:`vicreg`."""

    symmetric = True
    gathers = True

    def __init__(
        self,
        invariance_weight: float = 25.0,
        variance_weight: float = 25.0,
        covariance_weight: float = 1.0,
        target_std: float = 1.0,
        eps: float = 1e-4,
    ) -> None:
        super().__init__()
        _check(invariance_weight, variance_weight, covariance_weight, target_std, eps)
        self.invariance_weight = invariance_weight
        self.variance_weight = variance_weight
        self.covariance_weight = covariance_weight
        self.target_std = target_std
        self.eps = eps

    def forward(self, a: Float[Tensor, "n d"], b: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
        """The loss of two views ``(n, d)``."""
        return vicreg(
            a,
            b,
            self.invariance_weight,
            self.variance_weight,
            self.covariance_weight,
            self.target_std,
            self.eps,
        )
