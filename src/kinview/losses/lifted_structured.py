"""The lifted structured loss: every positive pair against all negatives of both its rows."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor

from kinview.distributed import gather
from kinview.losses import losses
from kinview.losses._pairs import PairLoss, distances, identities, same_identity
from kinview.tensor_checks import check_positive, check_views, full_precision, widen

__all__ = ["LiftedStructured", "lifted_structured"]


def lifted_structured(
    a: Float[Tensor, "n d"],
    b: Float[Tensor, "n d"],
    margin: float = 1.0,
    normalize: bool = False,
    *,
    labels: Shaped[Tensor, " n"] | None = None,
) -> Float[Tensor, ""]:
    r"""Lifted structured loss.

    .. math:: L = \frac{1}{2|P|} \sum_{(i,j) \in P} \max(0, J_{ij})^2, \quad
              J_{ij} = D_{ij} + \log \Big( \sum_{(i,k) \in N} e^{\alpha - D_{ik}}
              + \sum_{(j,l) \in N} e^{\alpha - D_{jl}} \Big)

    over the 2n rows of both views: P pairs the views of a row (or all rows of one label), N pairs different labels.

    Parameters
    ----------
    a, b : Tensor
        Embeddings ``(n, d)``.
    margin : float, default 1.0
        α, in units of the Euclidean distance D (Oh Song et al.).
    normalize : bool, default False
        Whether rows are first brought to length 1.
    labels : Tensor, optional
        One code a row ``(n,)``; rows of one code are positives of each other. Without it every row is its own.

    Notes
    -----
    A batch without negatives (one row, one label) gives 0.

    References
    ----------
    .. [1] Oh Song et al., Deep Metric Learning via Lifted Structured Feature Embedding, CVPR 2016, arXiv 1511.06452.

    Examples
    --------
    >>> collapsed = torch.ones(3, 2)
    >>> round(lifted_structured(collapsed, collapsed).item(), 4)  # (1 + log 8)² / 2
    4.7415
    """
    check_views("lifted_structured", a=a, b=b)
    check_positive(margin, "margin")
    codes = identities("lifted_structured", len(a), labels, a.device)
    with full_precision(a):
        rows = torch.cat([gather(widen(a)), gather(widen(b))])
        if normalize:
            rows = F.normalize(rows, dim=1)
        distance = distances(rows, rows)
        positive, negative = same_identity(codes)
        if not bool(negative.any()):
            return rows.sum() * 0.0
        # two labels in the batch suffice for every row to have a negative
        reach = torch.logsumexp((margin - distance).masked_fill(~negative, -torch.inf), dim=1)
        one, other = positive.triu().nonzero(as_tuple=True)
        lifted = distance[one, other] + torch.logaddexp(reach[one], reach[other])
        return 0.5 * F.relu(lifted).square().mean()


@losses.register("lifted_structured", modality="any", reference="Oh Song et al., CVPR 2016")
class LiftedStructured(PairLoss):
    """Module form of :func:`lifted_structured`."""

    function = staticmethod(lifted_structured)
