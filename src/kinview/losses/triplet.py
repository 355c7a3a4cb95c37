"""The triplet loss with its ways of choosing negatives."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from kinview.distributed import gather
from kinview.losses import losses
from kinview.losses._checks import check_one_of
from kinview.losses._pairs import distances, identities, masked_mean, same_identity
from kinview.losses.base import Loss
from kinview.tensor_checks import check_bool, check_positive, check_views, full_precision, widen

__all__ = ["Mining", "Triplet", "triplet"]

Mining = Literal["all", "hard", "semi_hard"]


def triplet(
    a: Float[Tensor, "n d"],
    b: Float[Tensor, "n d"],
    margin: float = 0.2,
    mining: Mining = "semi_hard",
    normalize: bool = True,
    *,
    labels: Shaped[Tensor, " n"] | None = None,
) -> Float[Tensor, ""]:
    r"""Triplet loss: a row lies closer to its positive than to a negative, by a margin.

    .. math:: L = \operatorname*{mean}_{(i,p,k)} \left[ \|z_i - z_p\|^2 - \|z_i - z_k\|^2 + \alpha \right]_+

    over the 2n rows of both views: p is the other view of i (or any other row of its label), k a row of another label.

    Parameters
    ----------
    a, b : Tensor
        Embeddings ``(n, d)``.
    margin : float, default 0.2
        α, in units of the squared distance (FaceNet).
    mining : {"semi_hard", "hard", "all"}
        Negatives of a pair (i, p): ``"all"`` of them; ``"hard"``, the closest to i; ``"semi_hard"`` (FaceNet), the
        closest among those farther from i than p is, or the farthest one where there is none.
    normalize : bool, default True
        Whether rows are first brought to length 1 (FaceNet).
    labels : Tensor, optional
        One code a row ``(n,)``; rows of one code are positives of each other. Without it every row is its own.

    Notes
    -----
    FaceNet sums; here the mean over all chosen triplets is taken, satisfied ones included. With one row, or one label,
    there is no triplet and the loss is 0. Memory is quadratic in n, not cubic.

    References
    ----------
    .. [1] Schroff et al., FaceNet, CVPR 2015, arXiv 1503.03832.

    Examples
    --------
    >>> collapsed = torch.ones(4, 3)
    >>> round(triplet(collapsed, collapsed, margin=0.25).item(), 4)  # the margin
    0.25
    """
    check_views("triplet", a=a, b=b)
    _check(margin, mining)
    codes = identities("triplet", len(a), labels, a.device)
    with full_precision(a):
        rows = torch.cat([gather(widen(a)), gather(widen(b))])
        if normalize:
            rows = F.normalize(rows, dim=1)
        squared = distances(rows, rows).square()
        positive, negative = same_identity(codes)
        ordered = squared.masked_fill(~negative, torch.inf).sort(dim=1).values
        counts = negative.sum(dim=1, keepdim=True)
        if mining == "all":
            return _all_hinges(squared, ordered, positive, margin) / (positive * counts).sum().clamp(min=1)
        chosen = ordered[:, :1] if mining == "hard" else _semi_hard(squared, ordered, counts)
        return masked_mean(F.relu(squared - chosen + margin), positive & (counts > 0))


def _all_hinges(
    squared: Float[Tensor, "rows rows"],
    ordered: Float[Tensor, "rows rows"],
    positive: Bool[Tensor, "rows rows"],
    margin: float,
) -> Float[Tensor, ""]:
    """Sum over all triplets, from running sums over the sorted negatives: no triplet is ever written down."""
    limit = squared + margin
    reached = torch.searchsorted(ordered.detach(), limit.detach())
    # in float64, because what is left of the difference is small where negatives crowd at the limit
    running = ordered.masked_fill(torch.isinf(ordered), 0.0).cumsum(dim=1, dtype=torch.float64)
    running = F.pad(running, (1, 0))
    hinges = reached * limit.double() - running.gather(1, reached)
    return torch.where(positive, hinges, 0.0).sum().to(squared.dtype)


def _semi_hard(
    squared: Float[Tensor, "rows rows"], ordered: Float[Tensor, "rows rows"], counts: Int[Tensor, "rows 1"]
) -> Float[Tensor, "rows rows"]:
    """For each pair, the distance of the closest negative beyond it, or else of the farthest one."""
    beyond = torch.searchsorted(ordered.detach(), squared.detach(), right=True)
    return ordered.gather(1, torch.minimum(beyond, counts - 1).clamp(min=0))


def _check(margin: float, mining: str) -> None:
    check_positive(margin, "margin")
    check_one_of(Mining, mining=mining)


@losses.register("triplet", modality="any", reference="Schroff et al., FaceNet, CVPR 2015")
class Triplet(Loss):
    """Module form of :func:`triplet`."""

    needs_negatives = True
    symmetric = True
    gathers = True

    def __init__(self, margin: float = 0.2, mining: Mining = "semi_hard", normalize: bool = True) -> None:
        super().__init__()
        _check(margin, mining)
        check_bool(normalize, "normalize")
        self.margin = margin
        self.mining: Mining = mining
        self.normalize = normalize

    def forward(
        self, a: Float[Tensor, "n d"], b: Float[Tensor, "n d"], *, labels: Shaped[Tensor, " n"] | None = None
    ) -> Float[Tensor, ""]:
        """The loss of two views ``(n, d)``."""
        return triplet(a, b, self.margin, self.mining, self.normalize, labels=labels)
