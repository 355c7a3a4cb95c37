"""Gaps in series: where a series ends, values across its gaps, and statistics of what was observed."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from kinview.data.batch import Batch

__all__ = [
    "bridge_gaps",
    "complete",
    "none_ends_early",
    "observed_bounds",
    "observed_mean",
    "observed_peak",
    "observed_std",
    "trimmed",
    "valid_lengths",
    "with_something_observed",
]


def complete(x: Float[Tensor, " ..."]) -> bool:
    """Whether nothing is missing.

    Examples
    --------
    >>> complete(torch.ones(2, 1, 3)), complete(torch.tensor([1.0, float("nan")]))
    (True, False)
    """
    # a sum takes a tenth of the time of a look at every value; infinities of both signs ask for that look
    return not bool(torch.isnan(x.sum())) or not bool(torch.isnan(x).any())


def none_ends_early(x: Float[Tensor, "n c t"]) -> bool:
    """Whether every series has a value at its last step, so that all are T steps long: one look at n · C values.

    Examples
    --------
    >>> nan = float("nan")
    >>> none_ends_early(torch.tensor([[[nan, 2.0]]])), none_ends_early(torch.tensor([[[1.0, nan]]]))
    (True, False)
    """
    return min(x.shape[1:]) > 0 and not bool(torch.isnan(x[:, :, -1]).all(dim=1).any())


def valid_lengths(x: Float[Tensor, "n c t"], times: Float[Tensor, "n t"] | None = None) -> Int64[Tensor, " n"]:
    """Number of steps up to the end of each series.

    A trailing run of all-NaN steps lies beyond the end, unless a finite time stamp keeps it as a gap.

    Examples
    --------
    >>> nan = float("nan")
    >>> valid_lengths(torch.tensor([[[1.0, nan, 2.0, nan]], [[nan, nan, nan, nan]]]))
    tensor([3, 0])
    """
    if none_ends_early(x):
        return torch.full((x.shape[0],), x.shape[2], device=x.device)
    inside = ~torch.isnan(x).all(dim=1)
    if times is not None:
        inside = inside | torch.isfinite(times)
    steps = torch.arange(1, x.shape[2] + 1, device=x.device)
    return (inside * steps).amax(dim=1) if x.shape[2] else inside.sum(dim=1)


def bridge_gaps(x: Float[Tensor, "n c t"]) -> Float[Tensor, "n c t"]:
    """Fill the gaps of each series and channel: linearly between its observed neighbours, held at both ends.

    A channel without an observed value becomes 0. The values that were observed stay as they are, bit by bit.

    Examples
    --------
    >>> nan = float("nan")
    >>> bridge_gaps(torch.tensor([[[nan, 1.0, nan, 3.0, nan], [nan, nan, nan, nan, nan]]]))
    tensor([[[1., 1., 2., 3., 3.],
             [0., 0., 0., 0., 0.]]])
    """
    if complete(x):
        return x
    seen = ~torch.isnan(x)
    steps = x.shape[2]
    position = torch.arange(steps, device=x.device).expand(x.shape)
    before = torch.where(seen, position, -1).cummax(dim=2).values
    after = torch.where(seen, position, steps).flip(2).cummin(dim=2).values.flip(2)
    never = before[:, :, -1:] < 0
    left = torch.where(before < 0, after, before).clamp(0, steps - 1)
    right = torch.where(after >= steps, before, after).clamp(0, steps - 1)
    value = torch.where(seen, x, torch.zeros((), dtype=x.dtype, device=x.device))
    start, stop = value.gather(2, left), value.gather(2, right)
    wide = torch.promote_types(x.dtype, torch.float32)  # positions have no place in half precision
    weight = (position - left).to(wide) / (right - left).clamp_min(1).to(wide)
    filled = torch.where(seen, value, torch.lerp(start, stop, weight.to(x.dtype)))
    return torch.where(never, torch.zeros((), dtype=x.dtype, device=x.device), filled)


def observed_mean(x: Float[Tensor, "n c t"]) -> Float[Tensor, "n c 1"]:
    """Mean over the observed steps of each series and channel; 0 where there is none."""
    return torch.nan_to_num(x.nanmean(dim=2, keepdim=True))


def observed_std(x: Float[Tensor, "n c t"]) -> Float[Tensor, "n c 1"]:
    """Standard deviation (by n) over the observed steps of each series and channel; 0 where there is none.

    Examples
    --------
    >>> observed_std(torch.tensor([[[1.0, float("nan"), 3.0]]])).item()
    1.0
    """
    return torch.nan_to_num((x - x.nanmean(dim=2, keepdim=True)).square().nanmean(dim=2, keepdim=True)).sqrt()


def observed_peak(x: Float[Tensor, "n c t"]) -> Float[Tensor, "n c 1"]:
    """Largest absolute value over the observed steps of each series and channel; 0 where there is none."""
    if x.shape[2] == 0:
        return x.new_zeros(*x.shape[:2], 1)
    return torch.nan_to_num(x.abs(), nan=0.0, posinf=torch.inf).amax(dim=2, keepdim=True)


def observed_bounds(x: Float[Tensor, "n c t"]) -> tuple[Float[Tensor, "n c 1"], Float[Tensor, "n c 1"]]:
    """Smallest and largest value over the observed steps of each series and channel; 0 where there is none.

    Examples
    --------
    >>> [bound.item() for bound in observed_bounds(torch.tensor([[[1.0, float("nan"), -3.0]]]))]
    [-3.0, 1.0]
    """
    if x.shape[2] == 0:
        return x.new_zeros(*x.shape[:2], 1), x.new_zeros(*x.shape[:2], 1)
    if complete(x):
        return x.amin(dim=2, keepdim=True), x.amax(dim=2, keepdim=True)
    missing = torch.isnan(x)
    low = x.masked_fill(missing, torch.inf).amin(dim=2, keepdim=True)
    high = x.masked_fill(missing, -torch.inf).amax(dim=2, keepdim=True)
    never = missing.all(dim=2, keepdim=True)
    return low.masked_fill_(never, 0), high.masked_fill_(never, 0)


def with_something_observed(views: list[Batch]) -> list[Batch]:
    """Rows that have an observation in every view; possibly none.

    Examples
    --------
    >>> batch = Batch.of(torch.tensor([[[1.0, float("nan")]], [[float("nan"), float("nan")]]]))
    >>> len(with_something_observed([batch])[0])
    1
    """
    seen = torch.stack([(~torch.isnan(view.x)).flatten(1).any(dim=1) for view in views]).all(dim=0)
    if bool(seen.all()):
        return views
    return [view.rows(seen.nonzero()[:, 0]) for view in views]


def trimmed(batch: Batch) -> Batch:
    """Cut off steps that lie beyond the end of every series; at least one stays."""
    longest = max(1, int(valid_lengths(batch.x, batch.times).max()))
    if longest == batch.x.shape[2]:
        return batch
    times = None if batch.times is None else batch.times[:, :longest]
    return batch.replace(x=batch.x[:, :, :longest], times=times)
