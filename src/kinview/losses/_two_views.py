"""The 2n anchors of SimCLR and its descendants: rows of two views, each against everything else in the batch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from kinview.distributed import gather, is_distributed, place
from kinview.losses._blockwise import Diagonal, Mask, logsumexp_rows, logsumexp_self
from kinview.tensor_checks import widen

__all__ = ["TwoViews", "against_others", "unit"]


class TwoViews:
    """Unit rows of both views, ready for the normalisers of the InfoNCE family.

    Parameters
    ----------
    a, b : Tensor
        Two views ``(n, d)`` of this process.

    Attributes
    ----------
    n : int
        Pairs in the batches of all processes.
    similarity : Tensor
        Cosine of each pair of this process, ``(n,)``.
    """

    def __init__(self, a: Float[Tensor, "n d"], b: Float[Tensor, "n d"]) -> None:
        self._own = len(a)
        self._rows = unit(torch.cat([a, b]))
        self.similarity = (self._rows[: self._own] * self._rows[self._own :]).sum(dim=1)
        start, total = place(2 * self._own, a.device)
        self._start, self.n = start, total // 2

    def positives(self, temperature: float) -> Float[Tensor, " anchors"]:
        """Logit of the pair, for the anchors of ``a`` and then of ``b``."""
        return torch.cat([self.similarity, self.similarity]) / temperature

    def negatives(self, temperature: float) -> Float[Tensor, " anchors"]:
        """Log-sum-exp of each anchor's logits over all rows but itself and its positive; −inf where there is none."""
        own, start = self._own, self._start
        positives = Diagonal(start + own, 0, own), Diagonal(start - own, own, 2 * own)
        return against_others(self._rows, temperature, positives)


def against_others(rows: Float[Tensor, "n d"], temperature: float, masks: tuple[Mask, ...] = ()) -> Float[Tensor, " n"]:
    """Log-sum-exp of each row over the rows of all processes but itself and what the masks leave out."""
    if not is_distributed():
        return logsumexp_self(rows, 1 / temperature, masks=masks)
    start, _ = place(len(rows), rows.device)
    return logsumexp_rows(rows, gather(rows), 1 / temperature, masks=(Diagonal(start), *masks))


def unit(rows: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """Rows of length one, in float32 at least."""
    return F.normalize(widen(rows), dim=1)
