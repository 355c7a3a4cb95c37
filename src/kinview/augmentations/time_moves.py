"""Whole series moved along time: reversed, or shifted."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import torch

from kinview.augmentations import augmentations
from kinview.augmentations._random import bernoulli
from kinview.augmentations._resampling import move_steps
from kinview.augmentations._series import SeriesAugmentation
from kinview.data.batch import Batch
from kinview.data.gaps import none_ends_early, valid_lengths
from kinview.parameters import choice, real

__all__ = ["TimeReverse", "TimeShift"]


@augmentations.register(
    "time_reverse", modality="time_series", family="time domain", reference="Saeed et al., IMWUT 2019"
)
@dataclasses.dataclass(frozen=True)
class TimeReverse(SeriesAugmentation):
    r"""Run a series backwards: :math:`y_t = x_{L-1-t}`.

    Notes
    -----
    Steps are reversed within the series' own length L, and those beyond stay. Gaps and time stamps move with their
    steps, so that stamps descend.

    References
    ----------
    .. [1] Saeed et al., Multi-task self-supervised learning for human activity detection, IMWUT 2019.

    Examples
    --------
    >>> nan = float("nan")
    >>> TimeReverse()(torch.tensor([[[1.0, 2.0, 3.0, nan]]]))
    tensor([[[3., 2., 1., nan]]])
    """

    moves_time: ClassVar[bool] = True

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """``(n, C, T)`` series backwards."""
        if none_ends_early(batch.x):
            return batch.replace(x=batch.x.flip(2), times=None if batch.times is None else batch.times.flip(1))
        last = valid_lengths(batch.x, batch.times)[:, None] - 1
        step = torch.arange(batch.x.shape[2], device=batch.x.device)
        return move_steps(batch, torch.where(step <= last, last - step, step))


@augmentations.register(
    "time_shift", modality="time_series", family="time domain", reference="Mohsenvand et al., ML4H 2020"
)
@dataclasses.dataclass(frozen=True)
class TimeShift(SeriesAugmentation):
    r"""Move a series by a random number of steps: :math:`y_t = x_{t-k}`, all channels together.

    :math:`|k| \sim U\{1 \dots m\}` with either sign, :math:`m = \lfloor max\_shift \cdot L \rfloor`, at least 1 and at
    most L − 1.

    Parameters
    ----------
    max_shift : float, default 0.1
        Largest shift as a fraction of the series' own length L. Mohsenvand et al. take 50 of 4,000 steps (0.0125),
        which would be one step for most series; hence more here. 0 is the identity.
    mode : {"circular", "edge"}, default "circular"
        What leaves at one end enters at the other, or the step at the edge is repeated.

    Notes
    -----
    Steps move whole: their gaps and time stamps go with them. Steps beyond the end of a series stay; a series of one
    step stays as it is.

    References
    ----------
    .. [1] Mohsenvand et al., Contrastive representation learning for electroencephalogram classification, ML4H 2020.

    Examples
    --------
    >>> x = torch.arange(6.0).reshape(1, 1, 6)
    >>> TimeShift(0.5)(x, torch.Generator().manual_seed(0))
    tensor([[[3., 4., 5., 0., 1., 2.]]])
    >>> TimeShift(0.5, mode="edge")(x, torch.Generator().manual_seed(0))
    tensor([[[3., 4., 5., 5., 5., 5.]]])
    """

    max_shift: float = real(0.1, low=0, high=1, neutral=0)
    mode: str = choice("circular", ("circular", "edge"))

    moves_time: ClassVar[bool] = True

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """``(n, C, T)`` series, each shifted."""
        if self.max_shift == 0:
            return batch
        x = batch.x
        n, _, steps = x.shape
        lengths = valid_lengths(x, batch.times)[:, None]
        level = torch.rand(n, 1, generator=generator, dtype=torch.float64, device=generator.device).to(x.device)
        back = bernoulli((n, 1), 0.5, generator, x)
        largest = torch.minimum((lengths * self.max_shift + 1e-9).long().clamp_min(1), (lengths - 1).clamp_min(0))
        shift = (level * largest).long() + (largest > 0)
        step = torch.arange(steps, device=x.device)
        source = step - torch.where(back, -shift, shift)
        if self.mode == "circular":
            source %= lengths.clamp_min(1)
        else:
            source = source.clamp_min(0).minimum(lengths - 1)
        return move_steps(batch, torch.where(step < lengths, source, step))
