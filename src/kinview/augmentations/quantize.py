"""Values on a few levels."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from kinview.augmentations import augmentations
from kinview.augmentations._series import SeriesAugmentation
from kinview.data.batch import Batch
from kinview.data.gaps import observed_bounds
from kinview.parameters import choice, whole

__all__ = ["Quantize"]


@augmentations.register("quantize", modality="time_series", family="time domain", reference="tsaug, 2020")
@dataclasses.dataclass(frozen=True)
class Quantize(SeriesAugmentation):
    r"""Round the values of each series and channel to a few levels.

    "uniform": the range of the observed values is cut into ``levels`` bins of equal width; a value becomes the middle
    of its bin. "quantile": the bins hold equally many observed values; a value becomes the median of its bin, the
    quantile :math:`(j + ½) / levels`.

    Parameters
    ----------
    levels : int, default 10
        Number of levels (tsaug's ``n_levels``).
    how : {"uniform", "quantile"}, default "uniform"
        Where the levels lie (tsaug, whose third choice, k-means, is not offered).

    Notes
    -----
    tsaug rounds where it has to cut off, so that its lowest bin is half as wide as the others and its highest half as
    wide again; its quantiles are off by one bin, and it moves a constant series. None of it is repeated: no value moves
    by more than half a bin, and a constant series stays. A missing value stays missing. Nothing is drawn: the view is
    the same every time.

    References
    ----------
    .. [1] Arundo Analytics, tsaug: a Python package for time series augmentation, 2020.

    Examples
    --------
    >>> Quantize(levels=2)(torch.tensor([[[0.0, 1.0, 2.0, 8.0]]]))
    tensor([[[2., 2., 2., 6.]]])
    >>> Quantize(levels=2, how="quantile")(torch.tensor([[[0.0, 1.0, 2.0, 8.0]]]))
    tensor([[[0.7500, 0.7500, 3.5000, 3.5000]]])
    """

    levels: int = whole(10, low=1, high=100_000)
    how: str = choice("uniform", ("uniform", "quantile"))

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """``(n, C, T)`` series on their levels."""
        x = batch.x
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        view = self._uniform(wide) if self.how == "uniform" else self._quantile(wide)
        return batch.replace(x=view.to(x.dtype))

    def _uniform(self, x: Tensor) -> Tensor:
        low, high = observed_bounds(x)
        width = (high - low) / self.levels
        # NaN passes through all of it
        level = (x - low).div_(torch.where(width > 0, width, 1)).floor_().clamp_(0, self.levels - 1)
        return level.add_(0.5).mul_(width).add_(low)

    def _quantile(self, x: Tensor) -> Tensor:
        if x.shape[2] == 0:
            return x
        ordered = x.sort(dim=2).values  # NaN last
        count = (~torch.isnan(x)).sum(dim=2, keepdim=True)
        # whole numbers tell exactly which quantiles are values
        position = torch.arange(1, 2 * self.levels, device=x.device) * (count - 1).clamp_min(0)
        below, rest = position // (2 * self.levels), position % (2 * self.levels)
        weight = rest.to(x.dtype) / (2 * self.levels)
        quantiles = torch.lerp(ordered.gather(2, below), ordered.gather(2, below + (rest > 0)), weight)
        middles, edges = quantiles[:, :, ::2].contiguous(), quantiles[:, :, 1::2].contiguous()
        level = torch.searchsorted(edges, x.contiguous(), right=True)
        return middles.gather(2, level).masked_fill_(torch.isnan(x), torch.nan)
