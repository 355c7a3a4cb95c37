"""The N-pair loss: one positive against all other pairs' positives at once."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from kinview.distributed import gather, global_mean, place
from kinview.losses import losses
from kinview.losses._blockwise import Diagonal, logsumexp_rows
from kinview.losses._checks import check_not_negative
from kinview.losses.base import Loss
from kinview.tensor_checks import check_views, full_precision, softplus, widen

__all__ = ["NPair", "n_pair"]


def n_pair(a: Float[Tensor, "n d"], b: Float[Tensor, "n d"], regularization: float = 0.002) -> Float[Tensor, ""]:
    r"""N-pair loss: the softmax form of the triplet loss, over dot products.

    .. math:: L = \frac{1}{n} \sum_i \log \Big( 1 + \sum_{j \ne i} e^{a_i \cdot b_j - a_i \cdot b_i} \Big)
              + \frac{\lambda}{4} \cdot \frac{1}{n} \sum_i \big( \|a_i\|^2 + \|b_i\|^2 \big)

    Parameters
    ----------
    a, b : Tensor
        Anchors and positives ``(n, d)``; not normalised, their lengths are held by λ.
    regularization : float, default 0.002
        λ, with the factor ¼ of the common implementation (TensorFlow Addons).

    Notes
    -----
    Without the regularisation this is ``info_nce`` with dot products and τ = 1, in one direction. Memory is linear
    in n.

    References
    ----------
    .. [1] Sohn, Improved Deep Metric Learning with Multi-class N-pair Loss Objective, NeurIPS 2016.

    Examples
    --------
    >>> import torch
    >>> zeros = torch.zeros(4, 3)
    >>> round(n_pair(zeros, zeros).item(), 4)  # log 4
    1.3863
    """
    check_views("n_pair", a=a, b=b)
    check_not_negative(regularization=regularization)
    with full_precision(a):
        a, b = widen(a), widen(b)
        start, _ = place(len(a), a.device)
        # log(1 + exp(negatives − positive)), as the formula has it: with the positive among them the sum would cancel
        gap = softplus(logsumexp_rows(a, gather(b), masks=(Diagonal(start),)) - (a * b).sum(dim=1))
        lengths = a.square().sum(dim=1) + b.square().sum(dim=1)
        return global_mean(gap + regularization / 4 * lengths)


@losses.register("n_pair", modality="any", reference="Sohn, NeurIPS 2016")
class NPair(Loss):
    """Module form of :func:`n_pair`."""

    needs_negatives = True
    gathers = True

    def __init__(self, regularization: float = 0.002) -> None:
        super().__init__()
        check_not_negative(regularization=regularization)
        self.regularization = regularization

    def forward(self, a: Float[Tensor, "n d"], b: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
        """The loss of anchors and positives ``(n, d)``."""
        return n_pair(a, b, self.regularization)
