"""NNCLR: the positive is the nearest neighbour among earlier rows."""

from __future__ import annotations

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from kinview.losses import losses
from kinview.losses._checks import check_queue_index
from kinview.losses._two_views import unit
from kinview.losses.base import Loss
from kinview.losses.info_nce import info_nce
from kinview.tensor_checks import check_queue, check_temperature, check_views, full_precision, widen

__all__ = ["NNCLR", "nearest", "nnclr"]

_ELEMENTS = 2**22  # similarities to the queue held at once: 16 MB


def nnclr(
    a: Float[Tensor, "n d"],
    b: Float[Tensor, "n d"],
    temperature: float = 0.1,
    *,
    queue: Float[Tensor, "m d"] | None = None,
    index: Shaped[Tensor, " n"] | None = None,
    queue_index: Shaped[Tensor, " m"] | None = None,
) -> Float[Tensor, ""]:
    r"""InfoNCE from the nearest neighbour of each row in a queue of earlier rows, in one direction.

    .. math:: L = -\frac{1}{n} \sum_i
              \log \frac{\exp(\cos(NN(a_i), b_i) / \tau)}{\sum_k \exp(\cos(NN(a_i), b_k) / \tau)}, \quad
              NN(a) = \arg\max_{q \in Q} \cos(a, q)

    The published loss is the mean of ``nnclr(z1, p2)`` and ``nnclr(z2, p1)`` with projections z and predictions p.

    Parameters
    ----------
    a : Tensor
        Projections ``(n, d)`` of one view; no gradient flows through the search.
    b : Tensor
        Predictions ``(n, d)`` of the other view.
    temperature : float, default 0.1
        τ (published default).
    queue : Tensor, optional
        Q, earlier projections ``(m, d)``, as :class:`~kinview.losses.FeatureQueue` holds them. Search
        before the present rows are queued, and queue one view only: otherwise each row is its own neighbour. Without a
        queue, or while it is empty, a row stands for itself.
    index, queue_index : Tensor, optional
        Which sample each row and each entry of the queue is: an older projection of the row's own sample is no
        neighbour of it. A row that has no other stands for itself. Give both or none.

    Raises
    ------
    ValueError
        If the shapes differ, a value is not finite, the temperature is not positive, or one index comes alone.

    References
    ----------
    .. [1] Dwibedi et al., With a Little Help from My Friends, ICCV 2021, arXiv 2104.14548.

    Examples
    --------
    >>> z = torch.eye(4)
    >>> round(nnclr(2 * z, z, queue=z[[2, 0, 1, 3]]).item(), 4)  # every row finds itself
    0.0001
    """
    check_views("nnclr", a=a, b=b)
    check_temperature(temperature)
    check_queue_index("nnclr", len(a), queue, index, queue_index)
    with full_precision(a):
        neighbours = a.detach()
        if queue is not None:
            check_queue("nnclr", a, queue=queue)
            if len(queue):
                queue = queue.detach().to(widen(a).dtype)  # not to half precision, which it may exceed
                found, exists = _nearest_other(neighbours, queue, index, queue_index)
                neighbours = torch.where(exists[:, None], queue[found], widen(neighbours))
        return info_nce(neighbours, b, temperature)


@torch.no_grad()
def nearest(rows: Float[Tensor, "n d"], queue: Float[Tensor, "m d"]) -> Tensor:
    """Index of the queue's row with the largest cosine to each row, in memory linear in n and m.

    Examples
    --------
    >>> nearest(torch.tensor([[3.0, 1.0]]), torch.tensor([[0.0, 1.0], [0.5, 0.0]]))
    tensor([1])
    """
    return _nearest_other(rows, queue, None, None)[0]


@torch.no_grad()
def _nearest_other(
    rows: Float[Tensor, "n d"], queue: Float[Tensor, "m d"], index: Tensor | None, queue_index: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Nearest entry to each row among those of other samples, and whether there is one."""
    rows, keys = unit(rows), unit(queue)
    step = max(1, _ELEMENTS // len(keys))
    found, exists = [], []
    for start in range(0, len(rows), step):
        similarity = rows[start : start + step] @ keys.T
        if index is not None and queue_index is not None:
            similarity.masked_fill_(index[start : start + step, None] == queue_index, -torch.inf)
        largest, which = similarity.max(dim=1)
        found.append(which)
        exists.append(largest > -torch.inf)
    return torch.cat(found), torch.cat(exists)


@losses.register("nnclr", modality="any", reference="Dwibedi et al., NNCLR, ICCV 2021")
class NNCLR(Loss):
    """Module form of :func:`nnclr`."""

    needs_negatives = True
    gathers = True
    target_first = True

    def __init__(self, temperature: float = 0.1) -> None:
        super().__init__()
        check_temperature(temperature)
        self.temperature = temperature

    def forward(
        self,
        a: Float[Tensor, "n d"],
        b: Float[Tensor, "n d"],
        *,
        queue: Float[Tensor, "m d"] | None = None,
        index: Shaped[Tensor, " n"] | None = None,
        queue_index: Shaped[Tensor, " m"] | None = None,
    ) -> Float[Tensor, ""]:
        """The loss of projections ``a`` and predictions ``b``, both ``(n, d)``."""
        return nnclr(a, b, self.temperature, queue=queue, index=index, queue_index=queue_index)
