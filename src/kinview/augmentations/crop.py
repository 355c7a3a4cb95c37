"""Two overlapping crops with the steps that they share (TS2Vec)."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import torch
from torch import Tensor

from kinview.augmentations import augmentations
from kinview.augmentations._random import integers
from kinview.augmentations._series import SeriesAugmentation
from kinview.data.batch import Batch
from kinview.parameters import whole

__all__ = ["CropPair"]


@augmentations.register(
    "crop_pair", modality="time_series", family="time domain", reference="Yue et al., TS2Vec, AAAI 2022"
)
@dataclasses.dataclass(frozen=True)
class CropPair(SeriesAugmentation):
    r"""Two random crops of the same series that overlap; one draw of lengths a batch, one shift a row.

    With T steps: :math:`l \sim U\{2^{u+1} \dots T\}`, :math:`left \sim U\{0 \dots T-l\}`,
    :math:`eleft \sim U\{0 \dots left\}`, :math:`eright \sim U\{left+l \dots T\}`, and for each row a shift
    :math:`o \sim U\{-eleft \dots T-eright\}`. View 1 is steps [eleft, left + l) + o, view 2 is [left, eright) + o; they
    share the steps [left, left + l) + o: the last l of view 1 and the first l of view 2.

    Parameters
    ----------
    temporal_unit : int, default 0
        u: the shared region has at least 2^(u+1) steps (official code).

    Notes
    -----
    ``extra["shared"]`` of each view holds first and last-plus-one of the shared steps in that view's own positions,
    ``(n, 2)``; ``extra["offset"]`` the position of the view's first step in the series, ``(n,)``. Gaps and time stamps
    move with their steps. One draw of lengths serves all rows, so that the crops of a series that ends early may hold
    steps beyond its end, which are missing there as they were.

    Raises
    ------
    ValueError
        At construction for a negative ``temporal_unit``; on a batch shorter than 2^(u+1) steps.

    References
    ----------
    .. [1] Yue et al., TS2Vec, AAAI 2022, arXiv 2106.10466.

    Examples
    --------
    >>> batch = Batch.of(torch.arange(8.0).reshape(1, 1, 8))
    >>> one, two = CropPair()(batch, torch.Generator().manual_seed(0))
    >>> (a, b), (c, d) = one.extra["shared"][0], two.extra["shared"][0]
    >>> bool((one.x[0, 0, a:b] == two.x[0, 0, c:d]).all())
    True
    """

    temporal_unit: int = whole(0, low=0)

    n_views: ClassVar[int] = 2
    changes_length: ClassVar[bool] = True
    moves_time: ClassVar[bool] = True

    @property
    def shortest(self) -> int:
        """Fewest steps a series must have."""
        return int(2 ** (self.temporal_unit + 1))

    def apply(self, batch: Batch, generator: torch.Generator) -> tuple[Batch, Batch]:
        """The two crops of ``(n, C, T)`` series."""
        n, _, steps = batch.x.shape
        if steps < self.shortest:
            raise ValueError(
                f"crop_pair with temporal_unit={self.temporal_unit} needs series of at least {self.shortest} steps; "
                f"these have {steps}"
            )
        length = int(integers((), self.shortest, steps + 1, generator))
        left = int(integers((), 0, steps - length + 1, generator))
        outer_left = int(integers((), 0, left + 1, generator))
        outer_right = int(integers((), left + length, steps + 1, generator))
        offsets = integers((n,), -outer_left, steps - outer_right + 1, generator)
        return crop_pair(batch, length, left, outer_left, outer_right, offsets)


def crop_pair(
    batch: Batch, length: int, left: int, outer_left: int, outer_right: int, offsets: Tensor
) -> tuple[Batch, Batch]:
    """The two views of :class:`CropPair` for given draws."""
    right = left + length
    one = _crop(batch, offsets + outer_left, right - outer_left, shared=(left - outer_left, right - outer_left))
    two = _crop(batch, offsets + left, outer_right - left, shared=(0, length))
    return one, two


def _crop(batch: Batch, start: Tensor, length: int, shared: tuple[int, int]) -> Batch:
    n, channels, _ = batch.x.shape
    start = start.to(batch.x.device)
    steps = start[:, None] + torch.arange(length, device=batch.x.device)
    x = batch.x.gather(2, steps[:, None, :].expand(n, channels, length))
    times = None if batch.times is None else batch.times.gather(1, steps)
    extra = {**batch.extra, "shared": torch.tensor(shared, device=start.device).expand(n, 2), "offset": start}
    return batch.replace(x=x, times=times, extra=extra)
