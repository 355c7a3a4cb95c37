"""The contrastive loss with a margin, the first of the family."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor

from kinview.distributed import gather
from kinview.losses import losses
from kinview.losses._pairs import PairLoss, distances, identities, masked_mean
from kinview.tensor_checks import check_positive, check_views, full_precision, widen

__all__ = ["Contrastive", "contrastive"]


def contrastive(
    a: Float[Tensor, "n d"],
    b: Float[Tensor, "n d"],
    margin: float = 1.0,
    normalize: bool = False,
    *,
    labels: Shaped[Tensor, " n"] | None = None,
) -> Float[Tensor, ""]:
    r"""Contrastive loss: the views of a row attract, other rows repel until they are a margin apart.

    .. math:: L = \frac{1}{2} \operatorname*{mean}_{(i,j) \in P} D_{ij}^2
              + \frac{1}{2} \operatorname*{mean}_{(i,j) \in N} \max(0, m - D_{ij})^2, \quad D_{ij} = \|a_i - b_j\|

    P holds the pairs (i, i), or all pairs of one label; N holds the others.

    Parameters
    ----------
    a, b : Tensor
        Embeddings ``(n, d)``.
    margin : float, default 1.0
        m, in units of the distance (Hadsell et al.).
    normalize : bool, default False
        Whether rows are first brought to length 1, where useful margins lie in 0.5 to 1.5.
    labels : Tensor, optional
        One code a row ``(n,)``; rows of one code are positives of each other. Without it every row is its own.

    Notes
    -----
    The paper sums over a given list of pairs. Here all n² pairs of the two views are used, and positives and negatives
    are averaged apart: one mean over all pairs would leave the positives a weight of 1/n.

    References
    ----------
    .. [1] Chopra et al., Learning a Similarity Metric Discriminatively, with Application to Face Verification, CVPR
       2005.
    .. [2] Hadsell et al., Dimensionality Reduction by Learning an Invariant Mapping, CVPR 2006.

    Examples
    --------
    >>> import torch
    >>> collapsed = torch.ones(4, 3)
    >>> contrastive(collapsed, collapsed, margin=2.0).item()  # half of the squared margin
    2.0
    """
    check_views("contrastive", a=a, b=b)
    check_positive(margin, "margin")
    codes = identities("contrastive", len(a), labels, a.device)
    with full_precision(a):
        a, b = gather(widen(a)), gather(widen(b))
        if normalize:
            a, b = F.normalize(a, dim=1), F.normalize(b, dim=1)
        distance = distances(a, b)
        same = codes[:, None] == codes[None, :]
        attract = masked_mean(distance.square(), same)
        repel = masked_mean(F.relu(margin - distance).square(), ~same)
        return 0.5 * (attract + repel)


@losses.register("contrastive", modality="any", reference="Hadsell et al., CVPR 2006")
class Contrastive(PairLoss):
    """Module form of :func:`contrastive`."""

    function = staticmethod(contrastive)
