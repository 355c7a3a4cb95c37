"""What the losses over pairs of rows share: distances, which rows are positives, and means over pairs that count."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from kinview.distributed import gather, place
from kinview.losses.base import Loss
from kinview.tensor_checks import check_positive, check_rows

__all__ = ["PairLoss", "distances", "identities", "masked_mean", "same_identity"]


class PairLoss(Loss):
    """Module form of a loss over all pairs of rows, which a margin and an optional normalisation describe."""

    needs_negatives = True
    symmetric = True
    gathers = True
    function: ClassVar[Callable[..., Tensor]]

    def __init__(self, margin: float = 1.0, normalize: bool = False) -> None:
        super().__init__()
        check_positive(margin, "margin")
        self.margin = margin
        self.normalize = normalize

    def forward(
        self, a: Float[Tensor, "n d"], b: Float[Tensor, "n d"], *, labels: Shaped[Tensor, " n"] | None = None
    ) -> Float[Tensor, ""]:
        """The loss of two views ``(n, d)``; rows of one label are positives of each other."""
        return self.function(a, b, self.margin, self.normalize, labels=labels)


def identities(loss: str, n: int, labels: Tensor | None, device: torch.device) -> Tensor:
    """One code a row of all processes: its label, or its own number where every row is alone with its other view."""
    if labels is None:
        return torch.arange(place(n, device)[1], device=device)
    check_rows(loss, n, labels=labels)
    return gather(labels)


def same_identity(codes: Tensor) -> tuple[Bool[Tensor, "2n 2n"], Bool[Tensor, "2n 2n"]]:
    """Positives (same code, not the row itself) and negatives (another code) of both views, stacked."""
    both = torch.cat([codes, codes])
    same = both[:, None] == both[None, :]
    itself = torch.eye(len(both), dtype=torch.bool, device=codes.device)
    return same & ~itself, ~same


def distances(x: Float[Tensor, "n d"], y: Float[Tensor, "m d"]) -> Float[Tensor, "n m"]:
    """Euclidean distances, by differences: exact for close rows, with gradient 0 (not NaN) for equal ones."""
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")


def masked_mean(values: Tensor, mask: Tensor) -> Float[Tensor, ""]:
    """Mean of the values under the mask; 0, still connected to the graph, where there is none."""
    return torch.where(mask, values, 0.0).sum() / mask.sum().clamp(min=1)
