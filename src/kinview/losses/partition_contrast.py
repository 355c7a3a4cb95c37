"""Contrast of vertical partitions of rows (VPCL): dot products, every partition of the same row or class a positive."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from kinview.tensor_checks import check_positive

__all__ = ["partition_contrast"]


def partition_contrast(
    views: Sequence[Float[Tensor, "n d"]], temperature: float = 10.0, *, labels: Int64[Tensor, " n"] | None = None
) -> Float[Tensor, ""]:
    r"""Supervised contrast of K views by dot product, without normalisation.

    .. math:: L = \frac{1}{|A|} \sum_{i \in A} \frac{-1}{|P(i)|} \sum_{p \in P(i)} \log
              \frac{e^{v_i \cdot v_p / \tau}}{\sum_{k \ne i} e^{v_i \cdot v_k / \tau}}

    over the K n vectors of all views; P(i) are the others of the same row, or of all rows with its label, and A are the
    anchors with a positive.

    Parameters
    ----------
    views : sequence of Tensor
        K tensors ``(n, d)``, row by row of the same samples.
    temperature : float, default 10.0
        τ (official code).
    labels : Tensor, optional
        Class of each row ``(n,)``; by default each row is one of its own.

    Notes
    -----
    :func:`sup_con` is the same of unit vectors. Official code divides by the number of positives of an anchor that has
    none; here it is left out.

    References
    ----------
    .. [1] Wang, Sun: TransTab: Learning Transferable Tabular Transformers Across Tables, NeurIPS 2022, arXiv
       2205.09328.

    Examples
    --------
    >>> collapsed = torch.ones(4, 3)
    >>> round(partition_contrast([collapsed, collapsed]).item(), 4)  # log 7
    1.9459
    """
    check_positive(temperature, "temperature")
    rows = torch.cat(list(views))
    own = torch.arange(len(views[0]), device=rows.device) if labels is None else labels
    classes = own.repeat(len(views))
    itself = torch.eye(len(rows), dtype=torch.bool, device=rows.device)
    scores = (rows @ rows.T / temperature).masked_fill(itself, -torch.inf)
    log_p = scores - torch.logsumexp(scores, dim=1, keepdim=True)
    positive = (classes[:, None] == classes[None, :]) & ~itself
    counts = positive.sum(dim=1)
    of_anchor = -torch.where(positive, log_p, 0).sum(dim=1) / counts.clamp_min(1)
    return of_anchor.sum() / (counts > 0).sum().clamp_min(1)
