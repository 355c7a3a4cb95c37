"""Completion of series: the mean of what is missing given what was observed, learned without labels."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Self

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from kinview.data._completion_weights import PLACES, Errors, drawn_cells, places, spread_of
from kinview.data._conditional_mean import (
    conditional_mean,
    moments,
    positive_definite,
    stationary_moments,
    windows,
)
from kinview.data.few_rows import FEWEST_ROWS
from kinview.data.gaps import bridge, complete, valid_lengths

__all__ = ["LEAST_SERIES", "Completion"]

_LONGEST_GRID = 512  # steps with a covariance for each pair of them, and of the largest window
_LEAST_WINDOW = 64
_MOST_VALUES = 2**22  # of all covariances within channels: 16 MiB
_MOST_ACROSS = 1024  # values of all channels together, each pair with a covariance
_ALPHAS = (0.0, 0.25, 0.5, 0.75, 0.95)  # α
_RIDGES = (1e-3, 1e-2, 1e-1)  # λ
_FARTHEST = 3.0  # standard deviations that a completed value may lie from the mean
_FOLDS = 3
LEAST_SERIES = FEWEST_ROWS * _FOLDS // (_FOLDS - 1) + 1  # of which two thirds are enough for a statistic
_CELLS_TRIED = 2**15  # on which α, λ and w are chosen, where a covariance has up to 256 rows; fewer where it has more


class Completion(nn.Module):
    r"""Fill gaps with a Gaussian conditional mean, as far as it predicts hidden values better than a line does.

    On the grid of steps of the training series, with the means :math:`\mu_t`, the covariances :math:`S_{st}` over the
    series in which both steps were observed, and :math:`\rho_\ell`, their average over the pairs at lag ℓ,

    .. math:: C = \mathrm{PSD}\big(\alpha S + (1 - \alpha) \mathrm{Toeplitz}(\rho)\big), \qquad
              \hat x_m = \mu_m + C_{mo} \big(C_{oo} + \lambda \tfrac{\mathrm{tr}\, C}{T} I\big)^{-1} (x_o - \mu_o)

    for the missing steps m and the observed steps o of a series; PSD raises eigenvalues to 1e-6 of the largest one, and
    :math:`\hat x` is kept within three standard deviations of μ, since noise that training did not have would be
    amplified.
    With the linear interpolation :math:`\ell` of :func:`bridge`, a step is filled with

    .. math:: \ell_m + w_{p(m)} (\hat x_m - \ell_m), \qquad 0 \le w_p \le 1,

    where the place p is the length of the gap (up to 2 steps, up to 8, more) with the distance to the nearest observed
    step (up to 1, 2, 4, 8, 16, 32, more): next to an observed value a line is hard to beat, far from it easily.

    Parameters
    ----------
    channels, length : int
        C of the series, and T of the longest training series. A completion of one channel takes series of any number
        of channels, each by itself.
    across : bool, default False
        Complete a channel from the others too, with one covariance of all; at most 1,024 values C·T. By default from
        itself alone.

    Notes
    -----
    *Choice.* In each third of the series, 15 % of the observed values and a run of up to half of the steps are hidden;
    μ, S and ρ are estimated from the other two thirds. :math:`w_p` is the least-squares weight on the hidden values,
    each series divided by its standard deviation; it is 0 where 90 % or more of the squared error of a line is left, or
    where the gains :math:`g_i` of the series do not show: :math:`\sum g_i \le \sqrt{\sum g_i^2}`.
    :math:`\alpha \in \{0, .25, .5, .75, .95\}` and :math:`\lambda \in \{10^{-3}, 10^{-2}, 10^{-1}\}` are those that
    leave least on average over the places. (On series of 32,768 values, fewer where there are more than 256 steps.)
    Then μ, S and ρ are estimated from all. ``completed`` says which channels have a weight at all.

    *Small samples.* No statistic of fewer than 5 series is kept: :math:`S_{st}` then is ρ at this lag, ρ is 0,
    :math:`\mu_t` the mean over all steps, and :math:`w_p` that of the next shorter distance. With fewer than 8 series
    two thirds of them are too few, and there is nothing but linear interpolation.

    *Long series.* Beyond 512 steps S is not estimated (α = 0), and a step is completed from a window of 512 steps, 128
    of them or more on either side; a window in which nothing was observed is interpolated. Of more than 16 channels
    this length is 256 steps, then 128, and 64 of more than 256. *Longer* series than those of training are interpolated
    beyond step T.

    *Time stamps.* The grid is one of positions. A series whose stamps are not evenly spaced, each within half a typical
    step of its place, is interpolated in its own time, and takes no part in the fit.

    What lies beyond the end of a series, and a channel without an observed value, are as :func:`bridge` leaves them.
    Solved in float64, chunk by chunk; differentiable in the observed values.

    Examples
    --------
    >>> walks = torch.randn(200, 1, 30, generator=torch.Generator().manual_seed(0)).cumsum(dim=2)
    >>> waves = walks + 3 * torch.sin(torch.arange(30.0))
    >>> completion = Completion.of(waves)
    >>> completion.completed.tolist()
    [True]
    >>> gappy = waves.clone()
    >>> gappy[:, :, ::2] = torch.nan
    >>> filled = bridge(gappy, how="completion", completion=completion)
    >>> bool((filled - waves).square().mean() < (bridge(gappy) - waves).square().mean() / 2)
    True
    """

    mean: Tensor
    covariance: Tensor
    weight: Tensor
    step: Tensor

    def __init__(self, channels: int, length: int, across: bool = False) -> None:
        super().__init__()
        if across and channels * length > _MOST_ACROSS:
            raise ValueError(
                f"completion across channels holds a covariance of each pair of values, of at most {_MOST_ACROSS:,} "
                f"values a series; these have {channels} channels of {length} steps: complete within channels "
                f"(across=False), or take fewer channels or shorter series"
            )
        self.channels, self.length, self.across = channels, length, across
        window = _LONGEST_GRID
        while window > _LEAST_WINDOW and channels * window**2 > _MOST_VALUES:
            window //= 2
        self.windowed = not across and length > window
        groups, size = (1, channels * length) if across else (channels, window if self.windowed else length)
        self.register_buffer("mean", torch.zeros(channels, length))
        self.register_buffer("covariance", torch.eye(size).repeat(groups, 1, 1))
        self.register_buffer(
            "weight", torch.zeros(channels, PLACES)
        )  # w of each channel, by length of gap and distance
        self.register_buffer("step", torch.zeros(()))  # typical interval of the training series; 0 without time stamps

    @classmethod
    def of(
        cls,
        x: Float[Tensor, "n c t"],
        times: Float[Tensor, "n t"] | None = None,
        *,
        across: bool = False,
        generator: torch.Generator | None = None,
    ) -> Self:
        """Completion learned from training series; see :meth:`fit`."""
        return cls(x.shape[1], x.shape[2], across).fit(x, times, generator)

    @property
    def completed(self) -> Bool[Tensor, " c"]:
        """Channels that are completed at some distance; the others are interpolated linearly."""
        return (self.weight > 0).any(dim=1)

    @torch.no_grad()
    def fit(
        self,
        x: Float[Tensor, "n c t"],
        times: Float[Tensor, "n t"] | None = None,
        generator: torch.Generator | None = None,
    ) -> Self:
        """Learn from training series ``(n, C, T)`` with NaN where nothing was observed.

        Parameters
        ----------
        x, times : Tensor
            Series and their time stamps, as :func:`bridge` takes them; at most ``length`` steps count.
        generator : torch.Generator, optional
            Source of what is hidden and drawn; the same for every fit by default.
        """
        generator = torch.Generator().manual_seed(0) if generator is None else generator
        even = self._evenly_spaced(times, self._learned_step(times))
        least = LEAST_SERIES * (x.shape[1] if self.channels != x.shape[1] else 1)
        x, times = self._each_channel_alone(x, times)
        rows = x.to("cpu", torch.float64)
        if even is not None:
            keep = even.cpu().repeat_interleave(len(rows) // len(even))
            rows, times = rows[keep], None
        rows = rows[(~torch.isnan(rows)).flatten(1).any(dim=1)]  # what is drawn is that of the series that say anything
        grid = _moved(rows, torch.zeros(len(rows), dtype=torch.int64), self.length)
        self.mean.zero_(), self.weight.zero_()
        self.covariance.copy_(torch.eye(self.covariance.shape[1]).expand_as(self.covariance))
        hidden = drawn_cells(grid.shape, generator)
        for group, channels in enumerate(self._groups()):
            known = grid[:, channels]
            enough = (~torch.isnan(known)).any(dim=2).sum(dim=0) >= least
            if self.length and bool(enough.any()):
                self._fit_group(group, channels, known, hidden[:, channels], enough, generator)
        return self

    def forward(
        self,
        x: Float[Tensor, "n c t"],
        times: Float[Tensor, "n t"] | None = None,
        offset: Int64[Tensor, " n"] | None = None,
    ) -> Float[Tensor, "n c t"]:
        """Series without gaps; parameters as for :func:`bridge`."""
        line = bridge(x, times)
        if not self.length or complete(x) or not bool(self.completed.any()):
            return line
        even = self._evenly_spaced(times, self.step)
        weight = self._weight_at(places(x))
        wanted = torch.isnan(x) & _before_the_end(x, times) & (weight > 0) & ~torch.isnan(x).all(dim=2, keepdim=True)
        if even is not None:
            wanted = wanted & even[:, None, None]
        rows = wanted.flatten(1).any(dim=1).nonzero()[:, 0]
        if not len(rows):
            return line
        start = torch.zeros(len(x), dtype=torch.int64, device=x.device) if offset is None else offset
        found = self._on_series(x[rows], start[rows])
        use = wanted[rows] & ~torch.isnan(found)
        mixed = torch.lerp(line[rows], torch.where(use, found, 0.0), weight[rows].to(line))
        return line.index_copy(0, rows, torch.where(use, mixed, line[rows]))

    def extra_repr(self) -> str:
        """Sizes and the number of completed channels in the printed module."""
        return f"channels={self.channels}, length={self.length}, completed={int(self.completed.sum())}"

    def _on_series(self, x: Tensor, start: Tensor) -> Tensor:
        """Predictions at the steps of series that begin at their own step of the grid; NaN outside of it."""
        device = torch.device("cpu") if x.device.type == "mps" else x.device  # which has no float64
        alone, _ = self._each_channel_alone(x, None)
        start = start.to(device).repeat_interleave(len(alone) // len(x))
        grid = _moved(alone.to(device, torch.float64), start, self.length)
        found = torch.full_like(grid, torch.nan)
        for group, channels in enumerate(self._groups()):
            if bool(self.completed[channels].any()):
                covariance = self.covariance[group].to(device, torch.float64)
                found[:, channels] = _predicted(grid[:, channels], self.mean[channels].to(grid), covariance[None])[0]
        return _moved(found, -start, x.shape[2]).to(x).reshape(x.shape)

    def _fit_group(
        self, group: int, channels: list[int], x: Tensor, hidden: Tensor, enough: Tensor, generator: torch.Generator
    ) -> None:
        """Mean and covariance of channels with one covariance, and the weights of what is completed by it."""
        x = torch.where(enough[:, None], x, torch.nan)
        order = (~torch.isnan(x)).flatten(1).any(dim=1).nonzero()[:, 0]
        order = order[torch.randperm(len(order), generator=generator)]
        size = self.covariance.shape[1]
        most = max(FEWEST_ROWS, _CELLS_TRIED // x[0].numel() * 256**2 // max(256, size) ** 2 // _FOLDS)
        by_fold = [self._errors(x, order[fold::_FOLDS], most, hidden) for fold in range(_FOLDS)]
        errors = {
            choice: functools.reduce(Errors.plus, (each[choice] for each in by_fold))
            for choice in by_fold[0]
            if all(choice in each for each in by_fold)
        }
        if not errors:
            return
        (alpha, ridge), best = min(errors.items(), key=lambda item: item[1].score())
        weight = best.weights()
        if not bool(weight.any()):
            return
        found = dict(self._candidates(x, alpha)).get(alpha)
        if found is None:  # constant but for rounding errors
            return
        mean, covariance = found
        self.mean[channels] = mean.to(self.mean)
        self.covariance[group] = _with_ridge(covariance, ridge).to(self.covariance)
        self.weight[channels] = torch.where(enough[:, None], weight, 0.0).to(self.weight)

    def _errors(self, x: Tensor, fold: Tensor, most: int, hidden: Tensor) -> dict[tuple[float, float], Errors]:
        """Errors on the hidden cells of some rows of a fold for each α and λ, estimated from all rows of the others."""
        others = torch.ones(len(x), dtype=torch.bool).index_fill(0, fold, False)
        tried = fold[:most]
        truth, chosen = x[tried], hidden[tried] & ~torch.isnan(x[tried])
        kept = truth.masked_fill(chosen, torch.nan)
        line, spread, place = bridge(kept), spread_of(kept), torch.where(chosen, places(kept), PLACES)
        errors = {}
        for alpha, (mean, covariance) in self._candidates(x[others]):
            found = _predicted(kept, mean, torch.stack([_with_ridge(covariance, ridge) for ridge in _RIDGES]))
            for ridge, values in zip(_RIDGES, found, strict=True):
                change = torch.where(torch.isnan(values), 0.0, values - line)
                errors[alpha, ridge] = Errors.of((truth - line) / spread, change / spread, place)
        return errors

    def _candidates(self, x: Tensor, only: float | None = None) -> Iterator[tuple[float, tuple[Tensor, Tensor]]]:
        """For each α the mean, and a covariance that is not zero."""
        if self.windowed:
            mean, stationary = stationary_moments(x, self.covariance.shape[1])
            mixed = {0.0: stationary}
        else:
            mean, pairwise, stationary = moments(x)
            alphas = _ALPHAS if only is None else (only,)
            mixed = {alpha: alpha * pairwise + (1 - alpha) * stationary for alpha in alphas}
        for alpha, covariance in mixed.items():
            covariance = positive_definite(covariance)
            if 1e-30 < float(covariance.diagonal().mean()) < 1e30:  # what float32 holds
                yield alpha, (mean, covariance)

    def _groups(self) -> list[list[int]]:
        """Channels that have a covariance in common."""
        every = list(range(self.channels))
        return [every] if self.across else [[channel] for channel in every]

    def _each_channel_alone(self, x: Tensor, times: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Series of the channels that it has: as they are, or each channel as a series of its own."""
        channels = x.shape[1]
        if channels == self.channels:
            return x, times
        if self.channels != 1:
            raise ValueError(f"this completion is of {self.channels} channels; the series have {channels}")
        return x.reshape(-1, 1, x.shape[2]), None if times is None else times.repeat_interleave(channels, dim=0)

    def _weight_at(self, place: Tensor) -> Tensor:
        """Weights w (n, c, t) of channels at places in gaps."""
        if place.shape[1] != self.channels != 1:
            raise ValueError(f"this completion is of {self.channels} channels; the series have {place.shape[1]}")
        return self.weight.expand(place.shape[1], -1).expand(len(place), -1, -1).gather(2, place)

    def _learned_step(self, times: Tensor | None) -> Tensor:
        self.step.zero_()
        if times is not None:
            gaps = torch.diff(times.double(), dim=1)
            gaps = gaps[torch.isfinite(gaps) & (gaps > 0)]
            if gaps.numel():
                self.step.copy_(gaps.median())
        return self.step

    def _evenly_spaced(self, times: Tensor | None, step: Tensor) -> Tensor | None:
        """Whether all stamps of a row are within half a step of an even grid; None without stamps."""
        if times is None or times.shape[1] < 2:
            return None
        times = times.double().masked_fill(~torch.isfinite(times), torch.nan)
        own = torch.diff(times, dim=1).nanmedian(dim=1, keepdim=True).values
        unit = torch.where(step > 0, step.to(times), own)
        place = torch.arange(times.shape[1], device=times.device)
        apart = (times - times.nanmedian(dim=1, keepdim=True).values) / unit - place
        apart = apart - apart.nanmedian(dim=1, keepdim=True).values
        return (unit[:, 0] > 0) & ~(apart.abs() >= 0.5).any(dim=1)


def _predicted(x: Tensor, mean: Tensor, covariance: Tensor) -> Tensor:
    """Conditional means (l, n, c, t) of series on the grid by each covariance; NaN where a window was not observed."""
    residual = x - mean
    shape, size = residual.shape, covariance.shape[1]
    windowed, around = shape[1] * shape[2] != size, size // 4
    pieces = windows(residual, size // 2, around) if windowed else residual  # (n, 1, w, k) or (n, c, t)
    rows = pieces.reshape(-1, size)
    seen = ~torch.isnan(rows)
    index = (seen.any(dim=1) & ~seen.all(dim=1)).nonzero()[:, 0]
    found = torch.full((len(covariance), *rows.shape), torch.nan, dtype=rows.dtype, device=rows.device)
    if len(index):
        farthest = _FARTHEST * covariance.diagonal(dim1=1, dim2=2).sqrt()[:, None]
        found = found.index_copy(1, index, conditional_mean(rows[index], covariance).clamp(-farthest, farthest))
    if windowed:
        found = found.reshape(-1, *pieces.shape)[..., around:-around].flatten(3)[..., : shape[2]]
    return found.reshape(-1, *shape) + mean


def _with_ridge(covariance: Tensor, ridge: float) -> Tensor:
    return covariance + torch.eye(len(covariance), dtype=covariance.dtype) * (ridge * covariance.diagonal().mean())


def _moved(x: Tensor, start: Tensor, length: int) -> Tensor:
    """Series (n, c, length) whose step t is step t − start of the given ones; NaN where these have none."""
    step = torch.arange(length, device=x.device) - start[:, None]
    outside = (step < 0) | (step >= x.shape[2])
    index = step.clamp(0, max(0, x.shape[2] - 1))[:, None, :].expand(-1, x.shape[1], -1)
    return x.gather(2, index).masked_fill(outside[:, None, :], torch.nan)


def _before_the_end(x: Tensor, times: Tensor | None) -> Tensor:
    """Steps (n, 1, t) that belong to a series."""
    return (torch.arange(x.shape[2], device=x.device) < valid_lengths(x, times)[:, None])[:, None, :]
