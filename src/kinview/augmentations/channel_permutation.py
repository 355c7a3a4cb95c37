"""Channels in another order."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import torch

from kinview.augmentations import augmentations
from kinview.augmentations._random import changed_orders
from kinview.augmentations._series import SeriesAugmentation
from kinview.data.batch import Batch

__all__ = ["ChannelPermutation"]


@augmentations.register(
    "channel_permutation", modality="time_series", family="time domain", reference="Saeed et al., IMWUT 2019"
)
@dataclasses.dataclass(frozen=True)
class ChannelPermutation(SeriesAugmentation):
    """Put the channels of a series in another order, drawn for each row among those that are not the old one.

    Notes
    -----
    Saeed et al. draw among all orders, so that one of C! views is the series itself. A channel's gaps go with it, so
    gaps appear in other channels. With one channel nothing changes.

    References
    ----------
    .. [1] Saeed et al., Multi-task self-supervised learning for human activity detection, IMWUT 2019.

    Examples
    --------
    >>> x = torch.tensor([[[1.0, 1.0], [2.0, 2.0]]])
    >>> ChannelPermutation()(x, torch.Generator().manual_seed(0))
    tensor([[[2., 2.],
             [1., 1.]]])
    """

    makes_gaps: ClassVar[bool] = True
    mixes_channels: ClassVar[bool] = True

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """``(n, C, T)`` series with their channels reordered."""
        n, channels, _ = batch.x.shape
        order = changed_orders(torch.full((n,), channels, device=batch.x.device), channels, generator)
        row = torch.arange(0, n * channels, max(1, channels), device=order.device)[:, None]
        return batch.replace(x=batch.x.flatten(0, 1).index_select(0, (row + order).flatten()).view(batch.x.shape))
