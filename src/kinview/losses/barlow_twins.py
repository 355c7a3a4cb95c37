"""Barlow Twins: the two views' dimensions correlate one to one and with nothing else."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from kinview.distributed import gather
from kinview.losses import losses
from kinview.losses._checks import check_not_negative
from kinview.losses.base import Loss
from kinview.tensor_checks import check_positive, check_views, full_precision, widen

__all__ = ["BarlowTwins", "barlow_twins"]


def barlow_twins(
    a: Float[Tensor, "n d"], b: Float[Tensor, "n d"], off_diagonal_weight: float = 0.0051, eps: float = 1e-5
) -> Float[Tensor, ""]:
    r"""Barlow Twins: the cross-correlation of two views is the identity matrix.

    .. math:: L = \sum_j (1 - C_{jj})^2 + \lambda \sum_{j \ne k} C_{jk}^2, \quad
              C = \frac{1}{n} \hat a^\top \hat b, \quad
              \hat a_{ij} = \frac{a_{ij} - \bar a_j}{\sqrt{\operatorname{Var}_i a_{ij} + \epsilon}}

    with the variance over the batch that divides by n.

    Parameters
    ----------
    a, b : Tensor
        Embeddings ``(n, d)``; the published d is 8192, so scale λ with it.
    off_diagonal_weight : float, default 0.0051
        λ (Zbontar et al.).
    eps : float, default 1e-5
        ε, that of the batch normalisation in the official code.

    Notes
    -----
    A sum over dimensions, as published: its size grows with d. With one row C is 0 and so is the gradient.

    References
    ----------
    .. [1] Zbontar et al., Barlow Twins, ICML 2021, arXiv 2103.03230.

    Examples
    --------
    >>> collapsed = torch.ones(4, 3)
    >>> barlow_twins(collapsed, collapsed).item()  # d
    3.0
    """
    check_views("barlow_twins", a=a, b=b)
    _check(off_diagonal_weight, eps)
    with full_precision(a):
        a, b = gather(widen(a)), gather(widen(b))
        correlation = _standardise(a, eps).T @ _standardise(b, eps) / len(a)
        diagonal = torch.diagonal(correlation)
        off_diagonal = correlation - torch.diag(diagonal)
        return (1 - diagonal).square().sum() + off_diagonal_weight * off_diagonal.square().sum()


def _standardise(z: Float[Tensor, "n d"], eps: float) -> Float[Tensor, "n d"]:
    centred = z - z.mean(dim=0)
    return centred / torch.sqrt(centred.square().mean(dim=0) + eps)


def _check(off_diagonal_weight: float, eps: float) -> None:
    check_not_negative(off_diagonal_weight=off_diagonal_weight)
    check_positive(eps, "eps")


@losses.register("barlow_twins", modality="any", reference="Zbontar et al., ICML 2021")
class BarlowTwins(Loss):
    """Module form of :func:`barlow_twins`."""

    symmetric = True
    gathers = True

    def __init__(self, off_diagonal_weight: float = 0.0051, eps: float = 1e-5) -> None:
        super().__init__()
        _check(off_diagonal_weight, eps)
        self.off_diagonal_weight = off_diagonal_weight
        self.eps = eps

    def forward(self, a: Float[Tensor, "n d"], b: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
        """The loss of two views ``(n, d)``."""
        return barlow_twins(a, b, self.off_diagonal_weight, self.eps)
