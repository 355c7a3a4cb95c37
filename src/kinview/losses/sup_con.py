"""The supervised contrastive loss."""

from __future__ import annotations

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from kinview.distributed import gather, global_mean, place
from kinview.losses import losses
from kinview.losses._groups import Groups
from kinview.losses._two_views import against_others, unit
from kinview.losses.base import Loss
from kinview.tensor_checks import check_positive, check_rows, check_views, full_precision, softplus

__all__ = ["SupCon", "sup_con"]


def sup_con(
    a: Float[Tensor, "n d"],
    b: Float[Tensor, "n d"] | None = None,
    temperature: float = 0.1,
    *,
    labels: Shaped[Tensor, " n"],
) -> Float[Tensor, ""]:
    r"""Supervised contrast: every row of the same class is a positive, each averaged outside the logarithm.

    .. math:: L = \frac{1}{|A|} \sum_{i \in A} \frac{-1}{|P(i)|} \sum_{p \in P(i)} \log
              \frac{e^{s_{ip}/\tau}}{\sum_{k \ne i} e^{s_{ik}/\tau}}

    over the rows of both views, P(i) those with the label of i but i itself, and A the anchors with a positive.

    Parameters
    ----------
    a : Tensor
        A view ``(n, d)``; normalised here.
    b : Tensor, optional
        A second view. Without it an anchor whose class has one row has no positive, and is left out of the mean (if
        all are, the loss is zero).
    temperature : float, default 0.1
        τ (paper; its code has 0.07).
    labels : Tensor
        Class of each row ``(n,)``.

    Notes
    -----
    The official code multiplies the loss by τ / 0.07, which only rescales the gradient, and counts anchors without
    positives as zeros in the mean; neither is done here.

    References
    ----------
    .. [1] Khosla et al., Supervised Contrastive Learning, NeurIPS 2020, arXiv 2004.11362.

    Examples
    --------
    >>> collapsed = torch.ones(4, 3)
    >>> round(sup_con(collapsed, collapsed, labels=torch.tensor([0, 0, 1, 1])).item(), 4)  # log 7
    1.9459
    """
    check_views("sup_con", **({"a": a} if b is None else {"a": a, "b": b}))
    check_positive(temperature, "temperature")
    check_rows("sup_con", len(a), labels=labels)
    with full_precision(a):
        rows = unit(a if b is None else torch.cat([a, b]))
        groups = Groups(labels if b is None else labels.repeat(2), place(len(rows), rows.device)[0])
        positives = groups.counts - 1
        pull = (rows * (groups.sums(gather(rows)) - rows)).sum(dim=1) / positives.clamp_min(1) / temperature
        gap = against_others(rows, temperature, (groups.leaving_out(2),)) - pull
        # an only positive is left out of the sum and comes back in the softplus, so that nothing cancels
        return global_mean(softplus(gap).where(positives == 1, gap), positives > 0)


@losses.register("sup_con", modality="any", reference="Khosla et al., NeurIPS 2020")
class SupCon(Loss):
    """Module form of :func:`sup_con`."""

    needs_labels = True
    needs_negatives = True
    symmetric = True
    gathers = True

    def __init__(self, temperature: float = 0.1) -> None:
        super().__init__()
        check_positive(temperature, "temperature")
        self.temperature = temperature

    def forward(
        self, a: Float[Tensor, "n d"], b: Float[Tensor, "n d"] | None = None, *, labels: Shaped[Tensor, " n"]
    ) -> Float[Tensor, ""]:
        """The loss of one or two views ``(n, d)`` with their classes."""
        return sup_con(a, b, self.temperature, labels=labels)
