"""Logistic losses on single pairs: T-Loss, and TNC's variant for negatives that may be positives."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from kinview.distributed import gather
from kinview.losses import losses
from kinview.losses._checks import check_not_negative
from kinview.losses.base import Loss
from kinview.tensor_checks import check_finite, check_fraction, check_views, full_precision, widen

__all__ = ["BinaryLogistic", "binary_logistic", "binary_logistic_scores"]


def binary_logistic_scores(
    positive: Float[Tensor, " n"],
    negative: Float[Tensor, " m"],
    negative_weight: float = 1.0,
    positive_rate: float = 0.0,
) -> Float[Tensor, ""]:
    r"""Logistic loss of scores: positives high, negatives low, save for a fraction of them.

    .. math:: L = -\operatorname{mean} \log \sigma(s^+)
              - \lambda \operatorname{mean} \big[ (1-w) \log \sigma(-s^-) + w \log \sigma(s^-) \big]

    Parameters
    ----------
    positive, negative : Tensor
        Scores (logits) of the positive ``(n,)`` and the negative pairs ``(m,)``, any other shape likewise.
    negative_weight : float, default 1.0
        λ (T-Loss; its code averages the negatives, its paper sums them: there λ is their number).
    positive_rate : float, default 0.0
        w, the fraction of negatives expected to be positives in truth (TNC: 0.05, and half of this loss).

    References
    ----------
    .. [1] Franceschi et al., Unsupervised Scalable Representation Learning for Multivariate Time Series, NeurIPS 2019,
       arXiv 1901.10738.
    .. [2] Tonekaboni et al., Unsupervised Representation Learning for Time Series with Temporal Neighborhood Coding,
       ICLR 2021, arXiv 2106.00750.

    Examples
    --------
    >>> round(binary_logistic_scores(torch.zeros(3), torch.zeros(5), positive_rate=0.05).item(), 4)  # 2 log 2
    1.3863
    """
    check_finite("binary_logistic", positive=positive, negative=negative)
    _check(negative_weight, positive_rate)
    with full_precision(positive):
        positive, negative = widen(positive), widen(negative)
        risk = (1 - positive_rate) * F.softplus(negative) + positive_rate * F.softplus(-negative)
        return F.softplus(-positive).mean() + negative_weight * risk.sum() / max(negative.numel(), 1)


def binary_logistic(
    a: Float[Tensor, "n d"],
    b: Float[Tensor, "n d"],
    negative_weight: float = 1.0,
    positive_rate: float = 0.0,
    *,
    negatives: Float[Tensor, "n k d"] | None = None,
) -> Float[Tensor, ""]:
    r"""Logistic loss of dot products: an anchor with its positive against its negatives.

    The scores of :func:`binary_logistic_scores` are :math:`s^+_i = a_i \cdot b_i` and :math:`s^-_{ik} = a_i \cdot
    n_{ik}`, where the negatives of a row are given, or are the other rows of ``b``.

    Parameters
    ----------
    a, b : Tensor
        Anchors and positives ``(n, d)``; not normalised.
    negative_weight : float, default 1.0
        λ (T-Loss).
    positive_rate : float, default 0.0
        w, the fraction of negatives expected to be positives in truth (TNC: 0.05).
    negatives : Tensor, optional
        Negatives of each anchor ``(n, k, d)``.

    References
    ----------
    .. [1] Franceschi et al., NeurIPS 2019, arXiv 1901.10738.
    .. [2] Tonekaboni et al., ICLR 2021, arXiv 2106.00750.

    Examples
    --------
    >>> zero = torch.zeros(3, 2)
    >>> round(binary_logistic(zero, zero).item(), 4)  # 2 log 2
    1.3863
    """
    check_views("binary_logistic", a=a, b=b)
    if negatives is not None:
        if negatives.ndim != 3 or negatives.shape[0] != len(a) or negatives.shape[2] != a.shape[1]:
            raise ValueError(
                f"negatives must be (n, k, d) with n={len(a)} and d={a.shape[1]}; got {tuple(negatives.shape)}"
            )
        check_finite("binary_logistic", negatives=negatives)
    _check(negative_weight, positive_rate)
    with full_precision(a):
        a, b = gather(widen(a)), gather(widen(b))
        positive = (a * b).sum(dim=1)
        if negatives is not None:
            negative = torch.einsum("nd,nkd->nk", a, gather(widen(negatives)))
        else:
            others = ~torch.eye(len(a), dtype=torch.bool, device=a.device)
            negative = (a @ b.T)[others]
        return binary_logistic_scores(positive, negative, negative_weight, positive_rate)


def _check(negative_weight: float, positive_rate: float) -> None:
    check_not_negative(negative_weight=negative_weight)
    check_fraction(positive_rate, "positive_rate", below=True)


@losses.register("binary_logistic", modality="any", reference="Franceschi et al., T-Loss, NeurIPS 2019")
class BinaryLogistic(Loss):
    """Module form of :func:`binary_logistic`; symmetric while the negatives are the other rows."""

    needs_negatives = True
    symmetric = True
    gathers = True

    def __init__(self, negative_weight: float = 1.0, positive_rate: float = 0.0) -> None:
        super().__init__()
        _check(negative_weight, positive_rate)
        self.negative_weight = negative_weight
        self.positive_rate = positive_rate

    def forward(
        self, a: Float[Tensor, "n d"], b: Float[Tensor, "n d"], *, negatives: Float[Tensor, "n k d"] | None = None
    ) -> Float[Tensor, ""]:
        """The loss of anchors and positives ``(n, d)``."""
        return binary_logistic(a, b, self.negative_weight, self.positive_rate, negatives=negatives)
