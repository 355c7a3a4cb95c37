"""The weight of a completion against a line, by the length of a gap and the distance to what was observed."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from kinview.data.few_rows import FEWEST_ROWS
from kinview.data.gaps import neighbours, observed_std

__all__ = ["PLACES", "Errors", "drawn_cells", "places", "spread_of"]

_GAPS = (2, 8)  # missing steps up to which a gap is short, and up to which it is of middle length
_REACHES = (1, 2, 4, 8, 16, 32)  # distances up to which a weight holds; one more for what is farther
PLACES = (len(_GAPS) + 1) * (len(_REACHES) + 1)
_HIDDEN = 0.15
_BETTER = 0.9
_ERRORS_SHOWN = 1.0  # a gain is more than so many times the root of the sum of its squares


class Errors(NamedTuple):
    """Sums over hidden cells (n, c, places): squared errors of a line, these times what changes, its square; cells."""

    line: Tensor
    common: Tensor
    change: Tensor
    cells: Tensor

    @classmethod
    def of(cls, missed: Tensor, change: Tensor, place: Tensor) -> Errors:
        """Of what a line misses (n, c, t), what a completion would change, and the place in a gap, or one beyond."""
        sums = missed.new_zeros(4, *missed.shape[:2], PLACES + 1)
        parts = (missed.square(), missed * change, change.square(), torch.ones_like(missed))
        for total, part in zip(sums, parts, strict=True):
            total.scatter_add_(2, place, part)
        return cls(*sums[..., :-1])

    def plus(self, other: Errors) -> Errors:
        """Of the rows of both."""
        return Errors(*(torch.cat(both) for both in zip(self, other, strict=True)))

    def weights(self) -> Tensor:
        """Weights (c, places); of too few rows that of the next shorter distance, or 0."""
        weight, _, few = self._shown()
        for place in range(weight.shape[1]):
            shorter = weight[:, place - 1] if place % (len(_REACHES) + 1) else torch.zeros_like(weight[:, 0])
            weight[:, place] = torch.where(few[:, place], shorter, weight[:, place])
        return weight

    def score(self) -> float:
        """Mean over channels and places of what is left of the squared errors of a line."""
        _, left, few = self._shown()
        return float(left.masked_fill(few, torch.nan).nanmean().nan_to_num(1.0))

    def _shown(self) -> tuple[Tensor, Tensor, Tensor]:
        """Weights (c, places), what they leave of the squared errors of a line, and where too few rows say so."""
        line, common, change, _ = (each.sum(dim=0) for each in self)
        weight = (common / change).nan_to_num(0.0, 0.0, 0.0).clamp(0.0, 1.0)
        gains = 2 * weight * self.common - weight.square() * self.change  # of each row
        left = 1 - (gains.sum(dim=0) / line).nan_to_num(0.0)
        shown = (left < _BETTER) & (gains.sum(dim=0) > _ERRORS_SHOWN * gains.square().sum(dim=0).sqrt())
        few = (self.cells > 0).sum(dim=0) < FEWEST_ROWS
        return torch.where(shown, weight, 0.0), torch.where(shown, left, 1.0), few


def places(x: Float[Tensor, "n c t"]) -> Int64[Tensor, "n c t"]:
    """Class (n, c, t) of a step by the length of its gap, then by the distance to the nearest observed step.

    A gap at an end of a series, of which one side was observed, is a long one.
    """
    steps = x.shape[2]
    position = torch.arange(steps, device=x.device)
    left, right, never = neighbours(~torch.isnan(x))
    distance = torch.minimum((position - left).abs(), (position - right).abs()).masked_fill(never, steps)
    length = torch.where(left < right, right - left - 1, steps + _GAPS[-1])
    gap, reach = (
        torch.bucketize(each, torch.tensor(bounds, device=x.device))
        for each, bounds in ((length, _GAPS), (distance, _REACHES))
    )
    return gap * (len(_REACHES) + 1) + reach


def spread_of(x: Float[Tensor, "n c t"]) -> Float[Tensor, "n c 1"]:
    """Standard deviation (n, c, 1) of each series, at least a tenth of the typical one; 1 where all are 0."""
    square = observed_std(x).square()
    typical = square.mean(dim=0, keepdim=True)
    spread: Tensor = torch.maximum(square, typical / 100).sqrt()
    return torch.where(spread > 0, spread, 1.0)


def drawn_cells(shape: torch.Size, generator: torch.Generator) -> Bool[Tensor, "n c t"]:
    """Cells (n, c, t) that are hidden: single ones, and in each series and channel a run of up to half of its steps."""
    steps = shape[2]
    single = torch.rand(shape, generator=generator, dtype=torch.float64) < _HIDDEN
    length = torch.randint(0, steps // 2 + 1, (*shape[:2], 1), generator=generator)
    start = torch.rand(*shape[:2], 1, generator=generator, dtype=torch.float64) * (steps - length + 1)
    place = torch.arange(steps) - start.floor()
    return single | ((place >= 0) & (place < length))
