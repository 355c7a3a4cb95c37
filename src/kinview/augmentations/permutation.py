"""Segments of a series in another order."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import torch
from jaxtyping import Int64
from torch import Tensor

from kinview.augmentations import augmentations
from kinview.augmentations._random import changed_orders, integers
from kinview.augmentations._resampling import move_steps
from kinview.augmentations._series import SeriesAugmentation
from kinview.data.batch import Batch
from kinview.data.gaps import valid_lengths
from kinview.parameters import choice, whole

__all__ = ["Permutation"]


@augmentations.register("permutation", modality="time_series", family="time domain", reference="Um et al., ICMI 2017")
@dataclasses.dataclass(frozen=True)
class Permutation(SeriesAugmentation):
    r"""Cut a series into k segments and put them in another order; all channels move together.

    For each row :math:`k \sim U\{min\_segments \dots max\_segments\}`, but at most its number of steps; the order is
    uniform among those that are not the old one.

    Parameters
    ----------
    max_segments : int, default 5
        Largest number of segments, inclusive (default of TS-TCC's code; its strong views take 8 for human activities
        and 5 for EEG). 1 is the identity.
    min_segments : int, default 2
        Smallest number of segments: fewer change nothing. TS-TCC draws from 1; Um et al. take 4 always, which is
        ``min_segments = max_segments = 4``.
    segments : {"random", "equal"}, default "random"
        Cuts drawn uniformly among all choices of k − 1 places between steps (TS-TCC), or segments whose lengths differ
        by at most one step.

    Notes
    -----
    The public code of TS-TCC leaves ``max_segments`` itself out, may cut off an empty segment, lets the order be the
    old one, and copies channel 0 into every channel; none of it is repeated. Gaps and time stamps move with their
    steps; steps beyond the end of a series stay where they are, and segments are cut within its own length. A series of
    one step stays as it is.

    References
    ----------
    .. [1] Um et al., Data augmentation of wearable sensor data for Parkinson's disease monitoring, ICMI 2017.
    .. [2] Eldele et al., TS-TCC, IJCAI 2021.

    Examples
    --------
    >>> x = torch.arange(8.0).reshape(1, 1, 8)
    >>> Permutation()(x, torch.Generator().manual_seed(0)).tolist()
    [[[2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 0.0, 1.0]]]
    """

    max_segments: int = whole(5, low=1, neutral=1)
    min_segments: int = whole(2, low=1, neutral=1)
    segments: str = choice("random", ("random", "equal"))

    moves_time: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.min_segments > self.max_segments:
            raise ValueError(f"min_segments must be at most max_segments={self.max_segments}; got {self.min_segments}")

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """``(n, C, T)`` series in their new order."""
        if self.max_segments == 1:
            return batch
        lengths = valid_lengths(batch.x, batch.times)
        device = batch.x.device
        number = integers((len(batch),), self.min_segments, self.max_segments + 1, generator).to(device)
        number = torch.minimum(number, lengths.clamp_min(1))
        if self.segments == "equal":
            starts = _equal_starts(lengths, number, self.max_segments)
        else:
            draws = torch.rand(
                len(batch), self.max_segments - 1, generator=generator, dtype=torch.float64, device=generator.device
            )
            starts = _random_starts(lengths, number, draws.to(device))
        order = changed_orders(number, self.max_segments, generator)
        return move_steps(batch, _source(starts, lengths, order, batch.x.shape[2]))


def _equal_starts(lengths: Tensor, number: Tensor, most: int) -> Int64[Tensor, "n k"]:
    """First steps of segments of equal length; those that are not used start, empty, at the end."""
    segment = torch.minimum(torch.arange(most, device=lengths.device), number[:, None])
    short = (lengths // number)[:, None]
    return segment * short + torch.minimum(segment, (lengths % number)[:, None])


def _random_starts(lengths: Tensor, number: Tensor, draws: Tensor) -> Int64[Tensor, "n k"]:
    """The same with cuts at a uniform subset of the places between steps (Floyd's algorithm)."""
    i = torch.arange(draws.shape[1], device=draws.device)
    top = (lengths - number + 1)[:, None] + i
    cuts = (draws * top).long() + 1
    for k in range(1, draws.shape[1]):
        taken = (cuts[:, :k] == cuts[:, k : k + 1]).any(dim=1)
        cuts[:, k] = torch.where(taken, top[:, k], cuts[:, k])
    cuts = torch.where(i + 1 < number[:, None], cuts, lengths[:, None]).sort(dim=1).values
    return torch.nn.functional.pad(cuts, (1, 0))


def _source(starts: Tensor, lengths: Tensor, order: Tensor, steps: int) -> Int64[Tensor, "n t"]:
    """Step that each step of the view is taken from."""
    own = lengths[:, None]
    bounds = torch.cat([starts, own], dim=1)
    first, stop = bounds.gather(1, order), bounds.gather(1, order + 1)
    place = torch.nn.functional.pad((stop - first).cumsum_(dim=1), (1, 0))  # where they begin now, and the end
    # one step on from each to the next, and a jump where a segment begins; beyond the end every step is its own
    jump = torch.cat([first, own], dim=1)
    jump[:, 1:] -= stop
    source = jump.new_ones(len(jump), steps + 1)
    source[:, 0] = 0
    return source.scatter_add_(1, place, jump).cumsum_(dim=1)[:, :-1]
