"""The soft nearest neighbour loss: how entangled the classes are."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from kinview.distributed import gather
from kinview.losses import losses
from kinview.losses._pairs import distances
from kinview.losses.base import Loss
from kinview.tensor_checks import check_rows, check_temperature, check_views, full_precision, softplus, widen

__all__ = ["SoftNearestNeighbour", "soft_nearest_neighbour"]


def soft_nearest_neighbour(
    a: Float[Tensor, "n d"],
    b: Float[Tensor, "n d"] | None = None,
    temperature: float | Float[Tensor, ""] = 100.0,
    *,
    labels: Shaped[Tensor, " n"],
) -> Float[Tensor, ""]:
    r"""Soft nearest neighbour loss: the neighbour that a row picks at random has its label.

    .. math:: L = -\operatorname*{mean}_i \log \frac{\sum_{j \ne i, y_j = y_i} \exp(-\|z_i - z_j\|^2 / T)}
              {\sum_{k \ne i} \exp(-\|z_i - z_k\|^2 / T)}

    over the rows of ``a``, or of both views.

    Parameters
    ----------
    a, b : Tensor
        Embeddings ``(n, d)``, not normalised; without ``b``, one view alone.
    temperature : float or Tensor, default 100.0
        T, in units of the squared distance (Frosst et al. start from 100 and learn it).
    labels : Tensor
        One code a row ``(n,)``.

    Notes
    -----
    Rows that have no other row of their label are left out of the mean. The sum lies inside the logarithm, so that one
    close row of the same label is enough; ``sup_con`` averages logarithms and wants all of them close.

    References
    ----------
    .. [1] Frosst et al., Analyzing and Improving Representations with the Soft Nearest Neighbor Loss, ICML 2019,
       arXiv 1902.01889.

    Examples
    --------
    >>> collapsed = torch.ones(4, 3)
    >>> round(soft_nearest_neighbour(collapsed, labels=torch.tensor([0, 0, 1, 1])).item(), 4)  # log 3
    1.0986
    """
    check_views("soft_nearest_neighbour", a=a, **({} if b is None else {"b": b}))
    check_temperature(temperature)
    check_rows("soft_nearest_neighbour", len(a), labels=labels)
    with full_precision(a):
        views = [a] if b is None else [a, b]
        rows = torch.cat([gather(widen(view)) for view in views])
        codes = gather(labels).repeat(len(views))
        closeness = -distances(rows, rows).square() / temperature
        itself = torch.eye(len(rows), dtype=torch.bool, device=rows.device)
        same = (codes[:, None] == codes[None, :]) & ~itself
        anchors = same.any(dim=1)
        if not bool(anchors.any()):
            return closeness.sum() * 0.0
        negatives = closeness.masked_fill(same | itself, -torch.inf)[anchors]
        positives = closeness.masked_fill(~same, -torch.inf)[anchors]
        # log(1 + negatives / positives): nothing cancels where the classes are far apart
        return softplus(torch.logsumexp(negatives, dim=1) - torch.logsumexp(positives, dim=1)).mean()


@losses.register("soft_nearest_neighbour", modality="any", reference="Frosst et al., ICML 2019")
class SoftNearestNeighbour(Loss):
    """Module form of :func:`soft_nearest_neighbour`.

    Parameters
    ----------
    temperature : float, default 100.0
        T, or where it starts.
    learn_temperature : bool, default False
        Whether T is trained (as the paper does), through the logarithm of its inverse.
    """

    needs_labels = True
    needs_negatives = True
    symmetric = True
    gathers = True

    def __init__(self, temperature: float = 100.0, learn_temperature: bool = False) -> None:
        super().__init__()
        check_temperature(temperature)
        self.temperature = temperature
        self.learn_temperature = learn_temperature
        if learn_temperature:
            self.log_inverse_temperature = nn.Parameter(torch.tensor(-math.log(temperature)))

    def forward(
        self,
        a: Float[Tensor, "n d"],
        b: Float[Tensor, "n d"] | None = None,
        *,
        labels: Shaped[Tensor, " n"],
    ) -> Float[Tensor, ""]:
        """The loss of one or two views ``(n, d)`` with labels ``(n,)``."""
        temperature = torch.exp(-self.log_inverse_temperature) if self.learn_temperature else self.temperature
        return soft_nearest_neighbour(a, b, temperature, labels=labels)
