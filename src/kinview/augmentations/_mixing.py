"""Rows mixed with other rows of the batch: what mixing members share."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from kinview.augmentations._random import partners
from kinview.augmentations.base import Augmentation, Modality
from kinview.data.batch import Batch
from kinview.data.gaps import complete

__all__ = ["Mixed", "Mixing", "neighbour_of", "realised", "with_partner"]

Mixed = tuple[Tensor, dict[str, Tensor]]


class Mixing(Augmentation):
    """An augmentation that mixes each row with another one, its partner.

    No row is its own partner, unless it is alone: then it is its own view. Where the partner has no value (a gap, or
    beyond its end) the own value stays, and where the own row has none, none appears. ``extra["partner"]`` holds the
    partner's position in the batch, ``extra["coefficient"]`` the weight of the own row in its observed values, as
    realised: it is the greater the more values the partner lacks, and 1 where the partner has none.
    """

    modality: ClassVar[Modality] = "time_series"
    mixes_rows: ClassVar[bool] = True

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """View of ``(n, ...)`` values, with partner and coefficient in ``extra``."""
        partner = partners(len(batch), generator).to(batch.x.device)
        return with_partner(batch, partner, self.mixed(batch, partner, generator))

    @abstractmethod
    def mixed(self, batch: Batch, partner: Tensor, generator: torch.Generator) -> Mixed:
        """Mixed values ``(n, ...)``, and weights of the own row ``(n,)``, "coefficient" among them."""


def with_partner(batch: Batch, partner: Tensor, mixed: Mixed) -> Batch:
    """View of mixed values, with the partner and the weights in ``extra``; a row that is alone is its own view."""
    x, weights = mixed
    if len(batch) == 1:
        x, weights = batch.x, {name: torch.ones_like(weight) for name, weight in weights.items()}
    return batch.replace(x=x, extra={**batch.extra, "partner": partner, **weights})


def neighbour_of(x: Tensor, partner: Tensor) -> Tensor:
    """Each row's partner, a fresh tensor; where the partner has no value, the own one."""
    other = x.index_select(0, partner)
    return other if complete(x) else torch.where(torch.isnan(other), x, other)


def realised(weight: Tensor, x: Tensor, partner: Tensor) -> Tensor:
    """Weight ``(n,)`` of the own rows over their observed values, as it is where the partner has a value, else 1.

    Examples
    --------
    >>> x = torch.tensor([[1.0, 2.0, 3.0, 4.0], [5.0, torch.nan, torch.nan, 8.0]])
    >>> realised(torch.tensor([0.5, 0.5]), x, torch.tensor([1, 0]))
    tensor([0.7500, 0.5000])
    """
    if complete(x):
        return weight
    observed = ~torch.isnan(x).flatten(1)
    mixed = (observed & observed.index_select(0, partner)).sum(dim=1).double() / observed.sum(dim=1).clamp_min(1)
    return torch.lerp(torch.ones_like(mixed), weight.double(), mixed).to(weight.dtype)
