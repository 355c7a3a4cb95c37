"""A window of a series, cut out at its own speed."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

import torch

from kinview.augmentations import augmentations
from kinview.augmentations._random import integers, uniform
from kinview.augmentations._series import SeriesAugmentation
from kinview.data.batch import Batch
from kinview.data.gaps import valid_lengths
from kinview.parameters import interval

__all__ = ["RandomWindow"]


@augmentations.register(
    "random_window", modality="time_series", family="time domain", reference="Caron et al., SwAV, NeurIPS 2020"
)
@dataclasses.dataclass(frozen=True)
class RandomWindow(SeriesAugmentation):
    r"""Cut out a window of the series; one draw of its length a batch, one of its place a row.

    With T steps the window has :math:`w = \max(1, \mathrm{round}(r T))` of them, :math:`r \sim U(fraction)`, and begins
    at :math:`b \sim U\{0 \dots \max(0, L_i - w)\}` in a series of :math:`L_i` steps.

    Parameters
    ----------
    fraction : tuple of float, default (0.5, 1.0)
        Smallest and largest length of the window, as a fraction of T (kinview; SwAV's long crops have 14 to 100 % of an
        image, its short ones 5 to 14 %). (1, 1) is the identity.

    Notes
    -----
    The crop of images as windows: nothing is stretched (:class:`RandomCropResize` does that), so that a short window
    costs little. Gaps and time stamps move with their steps. ``extra["offset"]`` (n,) is the place of the window's
    first step. A series shorter than the window keeps all its steps.

    References
    ----------
    .. [1] Caron et al., Unsupervised Learning of Visual Features by Contrasting Cluster Assignments, NeurIPS 2020,
       arXiv 2006.09882.

    Examples
    --------
    >>> y = RandomWindow(fraction=(0.5, 0.5))(torch.arange(6.0).reshape(1, 1, 6), torch.Generator().manual_seed(0))
    >>> y.shape, y.diff()[0, 0].tolist()
    (torch.Size([1, 1, 3]), [1.0, 1.0])
    """

    fraction: Sequence[float] = interval((0.5, 1.0), above=0, high=1, neutral=1)

    changes_length: ClassVar[bool] = True
    moves_time: ClassVar[bool] = True

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Windows of ``(n, C, T)`` series, all of one length."""
        if self.fraction == (1, 1):
            return batch
        n, channels, steps = batch.x.shape
        drawn = uniform((), generator, torch.empty((), dtype=torch.float64), *self.fraction)
        length = min(steps, max(1, round(float(drawn) * steps)))
        room = (valid_lengths(batch.x, batch.times) - length).clamp_min(0).to(generator.device)
        start = integers((n,), 0, room + 1, generator).to(batch.x.device)
        taken = start[:, None] + torch.arange(length, device=batch.x.device)
        x = batch.x.gather(2, taken[:, None, :].expand(n, channels, length))
        times = None if batch.times is None else batch.times.gather(1, taken)
        before = batch.extra.get("offset")
        offset = start if not isinstance(before, torch.Tensor) else before + start
        return batch.replace(x=x, times=times, extra={**batch.extra, "offset": offset})
