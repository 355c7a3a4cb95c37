"""Gaps in series: where a series ends, values across its gaps, and statistics of what was observed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from kinview.data.batch import Batch

if TYPE_CHECKING:
    from kinview.data.completion import Completion

__all__ = [
    "Fill",
    "bridge",
    "complete",
    "ends_marked",
    "neighbours",
    "none_ends_early",
    "observed_bounds",
    "observed_mean",
    "observed_peak",
    "observed_std",
    "offset_of",
    "something_observed",
    "trimmed",
    "valid_lengths",
    "with_ends_of",
    "with_something_observed",
]

Fill = Literal["zero", "hold", "linear", "completion"]


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


def bridge(
    x: Float[Tensor, "n c t"],
    times: Float[Tensor, "n t"] | None = None,
    how: Fill = "linear",
    completion: Completion | None = None,
    offset: Int64[Tensor, " n"] | None = None,
) -> Float[Tensor, "n c t"]:
    r"""Fill the gaps of each series and channel; what was observed stays as it is, bit by bit.

    With a and b the observed steps next to a gap on its left and right, at the times :math:`s_a < s_t < s_b`,

    .. math:: \text{linear:}\; x_a + \frac{s_t - s_a}{s_b - s_a} (x_b - x_a), \qquad
              \text{hold:}\; x_a, \qquad \text{zero:}\; 0,

    and ``completion`` the mean of what is missing given what was observed, as learned from training series.

    Parameters
    ----------
    x : Tensor
        Series ``(n, C, T)`` with NaN where nothing was observed.
    times : Tensor, optional
        Time stamps ``(n, T)`` in any unit, not decreasing, NaN beyond the end of a series; ``linear`` then goes by
        time. Without them, and between equal stamps, it goes by position.
    how : {"linear", "zero", "hold", "completion"}
        ``hold`` carries the last observed value on. ``linear`` and ``hold`` hold the first observed value before it,
        and the last one after it.
    completion : Completion, optional
        What :class:`~kinview.data.Completion` has learned; ``completion`` needs it.
    offset : Tensor, optional
        Position ``(n,)`` of the first step of each row in the series that it is cut from; ``completion`` reads it.

    Returns
    -------
    Tensor
        Series without NaN. A channel without an observed value is 0. What lies beyond the end of a series is filled as
        its last steps are (0, or the last observed value), so that no value before the end depends on the padding; who
        needs something else there asks :func:`valid_lengths`.

    Raises
    ------
    ValueError
        For an unknown ``how``, or ``completion`` without what it has learned.

    Notes
    -----
    Any device. The result is differentiable in the observed values.

    Examples
    --------
    >>> nan = float("nan")
    >>> x = torch.tensor([[[nan, 1.0, nan, 3.0, nan], [nan, nan, nan, nan, nan]]])
    >>> bridge(x)
    tensor([[[1., 1., 2., 3., 3.],
             [0., 0., 0., 0., 0.]]])
    >>> bridge(x, times=torch.tensor([[0.0, 1.0, 4.0, 5.0, 9.0]]))[0, 0]
    tensor([1.0000, 1.0000, 2.5000, 3.0000, 3.0000])
    >>> bridge(x, how="hold")[0, 0], bridge(x, how="zero")[0, 0]
    (tensor([1., 1., 1., 3., 3.]), tensor([0., 1., 0., 3., 0.]))
    """
    if how not in get_args(Fill):
        raise ValueError(f"how must be one of {', '.join(get_args(Fill))}; got {how!r}")
    if complete(x):
        return x
    if how == "completion":
        if completion is None:
            raise ValueError("how='completion' needs what training series teach: completion=Completion.of(x_train)")
        completed: Tensor = completion(x, times=times, offset=offset)
        return completed
    seen = ~torch.isnan(x)
    zero = torch.zeros((), dtype=x.dtype, device=x.device)
    value = torch.where(seen, x, zero)
    if how == "zero":
        return value
    left, right, never = neighbours(seen)
    start = value.gather(2, left)
    if how == "hold":
        filled = start
    else:
        filled = torch.lerp(start, value.gather(2, right), _share_passed(left, right, times, x.dtype))
    return torch.where(never, zero, torch.where(seen, value, filled))


def neighbours(seen: Bool[Tensor, "n c t"]) -> tuple[Tensor, Tensor, Tensor]:
    """For each step the observed ones on its left and right, the same one where there is one alone; (n, c, 1) none."""
    steps = seen.shape[2]
    position = torch.arange(steps, device=seen.device).expand(seen.shape)
    before = torch.where(seen, position, -1).cummax(dim=2).values
    after = torch.where(seen, position, steps).flip(2).cummin(dim=2).values.flip(2)
    left = torch.where(before < 0, after, before).clamp(0, steps - 1)
    right = torch.where(after >= steps, before, after).clamp(0, steps - 1)
    return left, right, before[:, :, -1:] < 0


def _share_passed(left: Tensor, right: Tensor, times: Tensor | None, dtype: torch.dtype) -> Tensor:
    """Fraction (n, c, t) of the way from the left neighbour to the right one that a step has passed."""
    position = torch.arange(left.shape[2], device=left.device)
    wide = torch.promote_types(dtype, torch.float32)  # positions have no place in half precision
    by_position = ((position - left).to(wide) / (right - left).clamp_min(1).to(wide)).to(dtype)
    if times is None:
        return by_position
    stamps = bridge(torch.where(torch.isfinite(times), times, torch.nan)[:, None, :])  # (n, 1, t)
    clock = stamps.expand(left.shape)
    first = clock.gather(2, left)
    span = clock.gather(2, right) - first
    apart = span > 0
    by_time = ((clock - first) / torch.where(apart, span, 1)).clamp(0, 1)
    return torch.where(apart, by_time.to(dtype), by_position)


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


def something_observed(batch: Batch) -> Bool[Tensor, " n"]:
    """Whether each row has an observation.

    Examples
    --------
    >>> something_observed(Batch.of(torch.tensor([[1.0, float("nan")], [float("nan"), float("nan")]])))
    tensor([ True, False])
    """
    return (~torch.isnan(batch.x)).flatten(1).any(dim=1)


def with_something_observed(views: list[Batch]) -> list[Batch]:
    """Rows that have an observation in every view; possibly none.

    Examples
    --------
    >>> batch = Batch.of(torch.tensor([[[1.0, float("nan")]], [[float("nan"), float("nan")]]]))
    >>> len(with_something_observed([batch])[0])
    1
    """
    seen = torch.stack([something_observed(view) for view in views]).all(dim=0)
    if bool(seen.all()):
        return views
    return [view.rows(seen.nonzero()[:, 0]) for view in views]


def offset_of(batch: Batch) -> Int64[Tensor, " n"] | None:
    """Position of the first step of each row in the series that it is cut from, where a view says so."""
    offset = batch.extra.get("offset")
    return offset if isinstance(offset, Tensor) else None


def ends_marked(batch: Batch) -> Batch:
    """Series that keep their ends where the last steps become missing: time stamps, which are the positions.

    To an encoder they say what it takes for granted without any. Tables stay as they are.

    Examples
    --------
    >>> ends_marked(Batch.of(torch.tensor([[[1.0, 2.0, float("nan")]]]))).times.tolist()
    [[0.0, 1.0, nan]]
    """
    if batch.x.ndim != 3 or batch.times is not None:
        return batch
    precision = torch.float64 if batch.x.device.type == "cpu" else torch.float32  # as stamps have there
    step = torch.arange(batch.x.shape[2], device=batch.x.device, dtype=precision)
    inside = step < valid_lengths(batch.x)[:, None]
    return batch.replace(times=torch.where(inside, step, torch.nan))


def with_ends_of(seen: Batch, batch: Batch) -> Batch:
    """Samples of a batch in which gaps were made, no step moved, with their ends as they were: see :func:`ends_marked`.

    The positions are marked afterwards: what made the gaps would take them for time stamps with a sampling rate.
    """
    return seen.replace(times=ends_marked(batch).times)


def trimmed(batch: Batch) -> Batch:
    """Cut off steps that lie beyond the end of every series; at least one stays."""
    longest = max(1, int(valid_lengths(batch.x, batch.times).max()))
    if longest == batch.x.shape[2]:
        return batch
    times = None if batch.times is None else batch.times[:, :longest]
    return batch.replace(x=batch.x[:, :, :longest], times=times)
