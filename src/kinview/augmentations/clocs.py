"""CLOCS' positives from one recording: neighbouring segments, and other leads."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import torch
from torch import Tensor

from kinview.augmentations import augmentations
from kinview.augmentations._random import integers, orders
from kinview.augmentations._series import SeriesAugmentation
from kinview.data.batch import Batch
from kinview.data.gaps import none_ends_early, valid_lengths
from kinview.parameters import whole

__all__ = ["AdjacentSegments", "LeadViews"]


@augmentations.register(
    "adjacent_segments", modality="time_series", family="clinical", reference="Kiyasseh et al., CLOCS, ICML 2021"
)
@dataclasses.dataclass(frozen=True)
class AdjacentSegments(SeriesAugmentation):
    r"""Segments of one recording that follow one another without overlap (CMSC): positives over time.

    View m = 0, ..., M − 1 holds the steps [b + m l, b + (m + 1) l). Without ``length`` a series of L steps is cut into
    M equal parts, l = ⌊L / M⌋ and b = 0; with it l is given and b uniform on 0, ..., L − M l, afresh for each row.

    Parameters
    ----------
    n_segments : int, default 2
        M, the number of views (the paper: both halves of a recording of 10 s).
    length : int, optional
        l in steps. Default: the longest that fits.

    Notes
    -----
    A series that ends before T is cut at its own length, and its shorter segments are filled up with missing steps. In
    one of fewer than M l steps (of fewer than M without ``length``) the last segments overlap, all within the series.
    Without ``length`` up to M − 1 steps at the end are in no segment. Time stamps move along.

    ``extra["segment"]`` (n,) holds m, ``extra["offset"]`` (n,) the first step of the segment in its series. Positives
    are all segments of a patient: give ``groups``, which travel along, to a loss that knows groups. The public code
    keeps the loss of the last pair only where there are more than two views; that is the loss's affair.

    References
    ----------
    .. [1] Kiyasseh et al., CLOCS: Contrastive Learning of Cardiac Signals Across Space, Time, and Patients, ICML 2021,
       arXiv 2005.13249.

    Examples
    --------
    >>> first, second = AdjacentSegments()(torch.arange(6.0).reshape(1, 1, 6))
    >>> first.tolist(), second.tolist()
    ([[[0.0, 1.0, 2.0]]], [[[3.0, 4.0, 5.0]]])
    """

    n_segments: int = whole(2, low=2, high=64)
    length: int | None = whole(None, low=1)

    n_views: ClassVar[int] = 2
    moves_time: ClassVar[bool] = True
    changes_length: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Check the parameters; there are as many views as segments."""
        super().__post_init__()
        self._set(n_views=self.n_segments)

    def apply(self, batch: Batch, generator: torch.Generator) -> tuple[Batch, ...]:
        """The segments of ``(n, C, T)`` series."""
        steps = batch.x.shape[2]
        if self.length is None and none_ends_early(batch.x):
            width = max(1, steps // self.n_segments)
            starts = [min(m * width, steps - width) for m in range(self.n_segments)]
            return tuple(_cut(batch, start, width, number) for number, start in enumerate(starts))
        lengths = valid_lengths(batch.x, batch.times)
        if self.length is None:
            width = max(min(1, steps), steps // self.n_segments)
            own, start = (lengths // self.n_segments).clamp_min(1).minimum(lengths), torch.zeros_like(lengths)
        else:
            width = min(self.length, steps)
            own = lengths.clamp_max(width)
            room = (lengths - self.n_segments * own).clamp_min(0) + 1
            start = integers((len(batch),), 0, room.to(generator.device), generator).to(lengths.device)
        last = lengths - own
        return tuple(_segment(batch, (start + m * own).minimum(last), own, width, m) for m in range(self.n_segments))


def _cut(batch: Batch, start: int, width: int, number: int) -> Batch:
    """The same cut through all rows."""
    x = batch.x[:, :, start : start + width].clone()
    times = None if batch.times is None else batch.times[:, start : start + width].clone()
    segment, offset = batch.index.new_full((2, len(batch)), number)
    extra = {**batch.extra, "segment": segment, "offset": offset.fill_(start)}
    return batch.replace(x=x, times=times, extra=extra)


def _segment(batch: Batch, start: Tensor, own: Tensor, width: int, number: int) -> Batch:
    extra = {**batch.extra, "segment": torch.full_like(start, number), "offset": start}
    n, channels, steps = batch.x.shape
    offset = torch.arange(width, device=batch.x.device)
    source = (start[:, None] + offset).clamp_max(max(0, steps - 1))
    outside = offset >= own[:, None]
    x = batch.x.gather(2, source[:, None, :].expand(n, channels, width))
    x = x.masked_fill_(outside[:, None, :], torch.nan)
    times = None if batch.times is None else batch.times.gather(1, source.to(batch.times.device))
    times = None if times is None else times.masked_fill_(outside.to(times.device), torch.nan)
    return batch.replace(x=x, times=times, extra=extra)


@augmentations.register(
    "lead_views", modality="time_series", family="clinical", reference="Kiyasseh et al., CLOCS, ICML 2021"
)
@dataclasses.dataclass(frozen=True)
class LeadViews(SeriesAugmentation):
    r"""Leads of one recording, one a view (CMLC): positives across space.

    Each view is ``(n, 1, T)``: of the C channels of a row M different ones, in random order, afresh for each row.

    Parameters
    ----------
    n_leads : int, default 4
        M, the number of views (the paper: II, V2, aVL and aVR, or all 12).

    Notes
    -----
    A recording of fewer than M channels is refused: two views would be the same lead. The encoder reads one channel, as
    in the paper, where view m is the same lead in all rows; here the order is random, so that all leads of a recording
    of many come to be seen, and no view has its own kind of lead.

    ``extra["lead"]`` (n,) holds the channel of each row. Positives are all leads of a patient: give ``groups``, which
    travel along, to a loss that knows groups.

    Raises
    ------
    ValueError
        When called on fewer than M channels.

    References
    ----------
    .. [1] Kiyasseh et al., CLOCS: Contrastive Learning of Cardiac Signals Across Space, Time, and Patients, ICML 2021,
       arXiv 2005.13249.

    Examples
    --------
    >>> x = torch.tensor([0.0, 1.0, 2.0]).reshape(1, 3, 1).expand(1, 3, 5)
    >>> views = LeadViews(3)(x, torch.Generator().manual_seed(0))
    >>> views[0].shape, sorted(int(view[0, 0, 0]) for view in views)
    (torch.Size([1, 1, 5]), [0, 1, 2])
    """

    n_leads: int = whole(4, low=2, high=256)

    n_views: ClassVar[int] = 4
    min_channels: ClassVar[int] = 4
    mixes_channels: ClassVar[bool] = True
    changes_length: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Check the parameters; there are as many views as leads."""
        super().__post_init__()
        self._set(n_views=self.n_leads, min_channels=self.n_leads)

    def apply(self, batch: Batch, generator: torch.Generator) -> tuple[Batch, ...]:
        """One lead of ``(n, C, T)`` series a view."""
        n, channels, _ = batch.x.shape
        order = orders(n, channels, generator).to(batch.x.device)
        leads, row = batch.x.flatten(0, 1), torch.arange(0, n * channels, channels, device=batch.x.device)
        picks = [order[:, m] for m in range(self.n_leads)]
        views = [leads.index_select(0, row + pick)[:, None] for pick in picks]
        return tuple(
            batch.replace(x=x, extra={**batch.extra, "lead": pick}) for x, pick in zip(views, picks, strict=True)
        )
