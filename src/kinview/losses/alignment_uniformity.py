"""Alignment and uniformity on the sphere, as a loss."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from kinview.distributed import gather, global_mean
from kinview.losses import losses
from kinview.losses._blockwise import logsumexp_self
from kinview.losses._checks import check_not_negative
from kinview.losses._two_views import unit
from kinview.losses.base import Loss
from kinview.tensor_checks import check_positive, check_views, full_precision

__all__ = ["AlignmentUniformity", "alignment", "alignment_uniformity", "uniformity"]


def alignment(a: Float[Tensor, "n d"], b: Float[Tensor, "n d"], exponent: float = 2.0) -> Float[Tensor, ""]:
    r"""Alignment: how far apart the views of a row are, on the unit sphere.

    .. math:: \ell = \frac{1}{n} \sum_i \| \bar a_i - \bar b_i \|^\alpha

    Parameters
    ----------
    a, b : Tensor
        Embeddings ``(n, d)``; normalised here.
    exponent : float, default 2.0
        α, at least 1 (Wang and Isola).

    Examples
    --------
    >>> alignment(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 3.0]])).item()
    2.0
    """
    check_views("alignment", a=a, b=b)
    _check(exponent, 1.0)
    with full_precision(a):
        difference = unit(a) - unit(b)
        if exponent == 2:
            return global_mean(difference.square().sum(dim=1))
        return global_mean(torch.linalg.vector_norm(difference, dim=1).pow(exponent))


def uniformity(a: Float[Tensor, "n d"], scale: float = 2.0) -> Float[Tensor, ""]:
    r"""Uniformity: how evenly rows cover the unit sphere; 0 when they coincide, lower when they spread.

    .. math:: \ell = \log \frac{2}{n (n-1)} \sum_{i < j} \exp(-t \| \bar a_i - \bar a_j \|^2)

    Parameters
    ----------
    a : Tensor
        Embeddings ``(n, d)``; normalised here.
    scale : float, default 2.0
        t (Wang and Isola).

    Notes
    -----
    Memory is linear in n. One row has no pairs: 0.

    Examples
    --------
    >>> round(uniformity(torch.tensor([[1.0, 0.0], [-1.0, 0.0]])).item(), 4)  # −4 t
    -8.0
    """
    check_views("uniformity", a=a)
    _check(2.0, scale)
    with full_precision(a):
        rows = gather(unit(a))
        n = len(rows)
        if n == 1:
            return rows.sum() * 0.0
        pairs = torch.logsumexp(logsumexp_self(rows, 2 * scale), dim=0)
        return pairs - 2 * scale - math.log(n * (n - 1))


def alignment_uniformity(
    a: Float[Tensor, "n d"],
    b: Float[Tensor, "n d"],
    alignment_weight: float = 1.0,
    uniformity_weight: float = 1.0,
    exponent: float = 2.0,
    scale: float = 2.0,
) -> Float[Tensor, ""]:
    r"""Alignment of two views plus the mean uniformity of each.

    .. math:: L = \lambda_a \, \ell_{align}(a, b)
              + \frac{\lambda_u}{2} \big[ \ell_{uniform}(a) + \ell_{uniform}(b) \big]

    with :func:`alignment` and :func:`uniformity`.

    Parameters
    ----------
    a, b : Tensor
        Embeddings ``(n, d)``; normalised here.
    alignment_weight : float, default 1.0
        Weight of the alignment (Wang and Isola; 0.98 in their STL-10 runs).
    uniformity_weight : float, default 1.0
        Weight of the uniformity (Wang and Isola; 0.96 in their STL-10 runs).
    exponent : float, default 2.0
        α of the alignment.
    scale : float, default 2.0
        t of the uniformity.

    References
    ----------
    .. [1] Wang and Isola, Understanding Contrastive Representation Learning through Alignment and Uniformity on the
       Hypersphere, ICML 2020, arXiv 2005.10242.

    Examples
    --------
    >>> collapsed = torch.ones(4, 3)
    >>> abs(round(alignment_uniformity(collapsed, collapsed).item(), 4))
    0.0
    """
    check_views("alignment_uniformity", a=a, b=b)
    check_not_negative(alignment_weight=alignment_weight, uniformity_weight=uniformity_weight)
    spread = (uniformity(a, scale) + uniformity(b, scale)) / 2
    return alignment_weight * alignment(a, b, exponent) + uniformity_weight * spread


def _check(exponent: float, scale: float) -> None:
    if not 1 <= exponent < math.inf:
        raise ValueError(f"exponent must be at least 1; got {exponent!r}")
    check_positive(scale, "scale")


@losses.register("alignment_uniformity", modality="any", reference="Wang and Isola, ICML 2020")
class AlignmentUniformity(Loss):
    """Module form of :func:`alignment_uniformity`; its uniformity pushes every pair of rows apart."""

    needs_negatives = True
    symmetric = True
    gathers = True

    def __init__(
        self,
        alignment_weight: float = 1.0,
        uniformity_weight: float = 1.0,
        exponent: float = 2.0,
        scale: float = 2.0,
    ) -> None:
        super().__init__()
        check_not_negative(alignment_weight=alignment_weight, uniformity_weight=uniformity_weight)
        _check(exponent, scale)
        self.alignment_weight = alignment_weight
        self.uniformity_weight = uniformity_weight
        self.exponent = exponent
        self.scale = scale

    def forward(self, a: Float[Tensor, "n d"], b: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
        """The loss of two views ``(n, d)``."""
        weights = self.alignment_weight, self.uniformity_weight
        return alignment_uniformity(a, b, *weights, self.exponent, self.scale)
