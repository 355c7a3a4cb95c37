"""InfoNCE across two views, in one direction, with an optional queue of negatives."""

from __future__ import annotations

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from kinview.distributed import gather, global_mean, place
from kinview.losses import losses
from kinview.losses._blockwise import Diagonal, SameGroup, logsumexp_rows
from kinview.losses._checks import check_queue_index
from kinview.losses._two_views import unit
from kinview.losses.base import Loss
from kinview.tensor_checks import (
    check_bool,
    check_queue,
    check_temperature,
    check_views,
    full_precision,
    softplus,
)

__all__ = ["InfoNCE", "info_nce"]


def info_nce(
    a: Float[Tensor, "n d"],
    b: Float[Tensor, "n d"],
    temperature: float = 1.0,
    *,
    queue: Float[Tensor, "m d"] | None = None,
    index: Shaped[Tensor, " n"] | None = None,
    queue_index: Shaped[Tensor, " m"] | None = None,
    in_batch: bool = True,
    rescaled: bool = False,
) -> Float[Tensor, ""]:
    r"""InfoNCE: row i of ``a`` has to find row i of ``b`` among all rows of ``b`` and of the queue.

    .. math:: L = -\frac{1}{n} \sum_i \log \frac{\exp(s_{ii}/\tau)}
              {\sum_k \exp(s_{ik}/\tau) + \sum_{q \in Q_i} \exp(\cos(a_i, q)/\tau)}, \quad
              s_{ik} = \cos(a_i, b_k)

    Parameters
    ----------
    a, b : Tensor
        Embeddings ``(n, d)``; normalised here.
    temperature : float, default 1.0
        τ (SCARF; MoCo has 0.07, MoCo v2 0.2). The value at chance is the logarithm of the number of candidates.
    queue : Tensor, optional
        Further negatives ``(m, d)``, the same on every process; they get no gradient.
    index, queue_index : Tensor, optional
        Which sample each row and each entry of the queue is: an older embedding of the anchor's own sample is no
        negative of it, so Q_i leaves it out. Give both or none.
    in_batch : bool, default True
        Whether the other rows of ``b`` are negatives too. MoCo compares with the queue alone (False); while the queue
        holds no negative of an anchor, its term is zero.
    rescaled : bool, default False
        Whether the value is multiplied by 2 τ (MoCo v3), which keeps the gradient from growing as τ falls.

    Notes
    -----
    SCARF prints the sum in the denominator as a mean, which shifts the value by −log n and changes no gradient.

    References
    ----------
    .. [1] van den Oord et al., Representation Learning with Contrastive Predictive Coding, 2018, arXiv 1807.03748.
    .. [2] Bahri et al., SCARF, ICLR 2022, arXiv 2106.15147.
    .. [3] He et al., Momentum Contrast for Unsupervised Visual Representation Learning, CVPR 2020, arXiv 1911.05722.
    .. [4] Chen, Xie, He, An Empirical Study of Training Self-Supervised Vision Transformers, ICCV 2021, arXiv
       2104.02057.

    Examples
    --------
    >>> collapsed = torch.ones(4, 3)
    >>> round(info_nce(collapsed, collapsed).item(), 4)  # log 4
    1.3863
    >>> round(info_nce(collapsed, collapsed, queue=torch.ones(6, 3)).item(), 4)  # log 10
    2.3026
    """
    check_views("info_nce", a=a, b=b)
    check_temperature(temperature)
    if queue is not None:
        check_queue("info_nce", a, queue=queue)
    masks = _not_itself(len(a), queue, index, queue_index)
    with full_precision(a):
        anchors, own = unit(a), unit(b)
        negatives = anchors.new_full((len(anchors),), -torch.inf)
        if in_batch:
            start, _ = place(len(a), a.device)
            negatives = logsumexp_rows(anchors, gather(own), 1 / temperature, masks=(Diagonal(start),))
        if queue is not None and len(queue):
            older = logsumexp_rows(anchors, unit(queue.detach()).to(anchors.dtype), 1 / temperature, masks=masks)
            # each of both may be −inf, or both
            negatives = torch.logsumexp(torch.stack([negatives, older]), dim=0) if in_batch else older
        value = global_mean(softplus(negatives - (anchors * own).sum(dim=1) / temperature))
        return 2 * temperature * value if rescaled else value


def _not_itself(
    n: int, queue: Tensor | None, index: Tensor | None, queue_index: Tensor | None
) -> tuple[SameGroup, ...]:
    """Mask of the queue's entries that come from the anchor's own sample."""
    check_queue_index("info_nce", n, queue, index, queue_index)
    return () if index is None or queue_index is None else (SameGroup(index, queue_index),)


@losses.register("info_nce", modality="any", reference="van den Oord et al., CPC, 2018")
class InfoNCE(Loss):
    """Module form of :func:`info_nce`."""

    needs_negatives = True
    gathers = True

    def __init__(self, temperature: float = 1.0, in_batch: bool = True, rescaled: bool = False) -> None:
        super().__init__()
        check_temperature(temperature)
        check_bool(in_batch, "in_batch")
        check_bool(rescaled, "rescaled")
        self.temperature = temperature
        self.in_batch = in_batch
        self.rescaled = rescaled

    def forward(
        self,
        a: Float[Tensor, "n d"],
        b: Float[Tensor, "n d"],
        *,
        queue: Float[Tensor, "m d"] | None = None,
        index: Shaped[Tensor, " n"] | None = None,
        queue_index: Shaped[Tensor, " m"] | None = None,
    ) -> Float[Tensor, ""]:
        """The loss of two views ``(n, d)``."""
        return info_nce(
            a,
            b,
            self.temperature,
            queue=queue,
            index=index,
            queue_index=queue_index,
            in_batch=self.in_batch,
            rescaled=self.rescaled,
        )
