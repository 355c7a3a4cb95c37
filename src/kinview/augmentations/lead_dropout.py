"""Leads that fall off."""

from __future__ import annotations

import dataclasses
import math

import torch
from jaxtyping import Bool
from torch import Tensor

from kinview.augmentations import augmentations
from kinview.augmentations._masking import FILLS, Filling
from kinview.augmentations._random import orders
from kinview.data.batch import Batch
from kinview.data.gaps import observed_mean
from kinview.parameters import choice, real

__all__ = ["LeadDropout"]


@augmentations.register("lead_dropout", modality="time_series", family="clinical", reference="Oh et al., CHIL 2022")
@dataclasses.dataclass(frozen=True)
class LeadDropout(Filling):
    r"""Blank leads of a recording at random; one at least falls off, and one at least stays.

    Every channel is dropped with probability p, given that neither none nor all are: of C channels a row loses a number
    k with :math:`P(k) \propto \binom{C}{k} p^k (1-p)^{C-k}, 1 \le k \le C - 1`, which ones being uniform.

    Parameters
    ----------
    p : float, default 0.5
        Probability of a channel (random lead masking [1]_). 0 is the identity.
    fill : {"zero", "mean", "missing"}, default "zero"
        What the steps of a dropped channel become: 0 ([1]_), the mean of its observed values, or missing.

    Notes
    -----
    The paper masks each lead on its own, so that a recording may lose all its leads or none; a view without a lead says
    nothing about its row, and one with all of them is not a view. So one lead falls however small p is; for less, wrap
    it in ``sometimes``. A single channel is left as it is. Missing steps stay missing. Where a dropped lead is the only
    one observed, the row is blank all the same.

    References
    ----------
    .. [1] Oh et al., Lead-agnostic Self-supervised Learning for Local and Global Representations of Electrocardiogram,
       CHIL 2022, arXiv 2203.06889.

    Examples
    --------
    >>> view = LeadDropout()(torch.ones(3, 4, 2), torch.Generator().manual_seed(0))
    >>> [1 <= dropped <= 3 for dropped in (view[:, :, 0] == 0).sum(dim=1).tolist()]
    [True, True, True]
    """

    p: float = real(0.5, low=0, high=1, neutral=0)
    fill: str = choice("zero", FILLS)

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Series ``(n, C, T)`` without some of their channels."""
        x = batch.x
        n, channels, _ = x.shape
        if self.p == 0 or channels < 2:
            return batch
        dropped = self._dropped(n, channels, generator).to(x.device)[:, :, None]
        if self.fill == "missing":
            return batch.replace(x=x.masked_fill(dropped, torch.nan))
        if self.fill == "zero":
            return batch.replace(x=x * (~dropped).to(x.dtype))  # NaN stays
        return batch.replace(x=torch.where(dropped & ~torch.isnan(x), observed_mean(x), x))

    def _dropped(self, n: int, channels: int, generator: torch.Generator) -> Bool[Tensor, "n channels"]:
        device = generator.device
        number = torch.arange(1, channels, dtype=torch.float64, device=device)
        if self.p == 1:
            many = torch.full((n, 1), channels - 1, device=device)
        else:
            odds = number * math.log(self.p / (1 - self.p))
            ways = torch.lgamma(number + 1) + torch.lgamma(channels - number + 1)
            chance = torch.softmax(odds - ways, dim=0).cumsum(dim=0)
            drawn = torch.rand(n, 1, generator=generator, dtype=torch.float64, device=device)
            many = (drawn >= chance[:-1]).sum(dim=1, keepdim=True) + 1
        return orders(n, channels, generator) < many
