"""Completion of series: the mean of what is missing given what was observed, learned without labels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from kinview.data._conditional_mean import (
    conditional_mean,
    moments,
    positive_definite,
    stationary_moments,
    windows,
)
from kinview.data.few_rows import FEWEST_ROWS
from kinview.data.gaps import bridge, complete, valid_lengths

__all__ = ["Completion"]

_LONGEST_GRID = 1000  # steps with a covariance for each pair of them
_MOST_ACROSS = 1024  # values of all channels together, each pair with a covariance
_CORE, _AROUND = 256, 128  # steps of a window that are completed, and that are read on either side
_ALPHAS = (0.0, 0.25, 0.5, 0.75, 0.95)  # α
_RIDGES = (1e-3, 1e-2, 1e-1)  # λ
_HIDDEN = 0.15
_BETTER = 0.9
_CELLS_TRIED = 2**15  # on which α and λ are chosen


class Completion(nn.Module):
    r"""Fill gaps with a Gaussian conditional mean, where that predicts hidden observed values better than a line does.

    On the grid of steps of the training series, with the means :math:`\mu_t`, the covariances :math:`S_{st}` over the
    series in which both steps were observed, and :math:`\rho_\ell`, their average over the pairs at lag ℓ,

    .. math:: C = \mathrm{PSD}\big(\alpha S + (1 - \alpha) \mathrm{Toeplitz}(\rho)\big), \qquad
              \hat x_m = \mu_m + C_{mo} \big(C_{oo} + \lambda \tfrac{\mathrm{tr}\, C}{T} I\big)^{-1} (x_o - \mu_o)

    for the missing steps m and the observed steps o of a series. PSD raises eigenvalues to 1e-6 of the largest one.

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
    *Choice.* 15 % of the observed values are hidden, μ, S and ρ are estimated without them, and
    :math:`\alpha \in \{0, .25, .5, .75, .95\}` and :math:`\lambda \in \{10^{-3}, 10^{-2}, 10^{-1}\}` are those of the
    least mean squared error on them (on a sample of the series of 32,768 values, or of 16 series). A channel whose
    error is not below 0.9 of that of linear interpolation is interpolated linearly; ``completed`` says which are not.

    *Small samples.* No statistic of fewer than 5 series is kept: :math:`S_{st}` then is ρ at this lag, ρ is 0 and
    :math:`\mu_t` the mean over all steps. With fewer than 5 series there is nothing but linear interpolation.

    *Long series.* Beyond 1,000 steps S is not estimated (α = 0), and a step is completed from a window that reaches 128
    to 384 steps to either side; a window in which nothing was observed is interpolated. *Longer* series than those of
    training are interpolated beyond step T.

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
    trusted: Tensor
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
        self.windowed = length > _LONGEST_GRID
        groups, size = (1, channels * length) if across else (channels, length)
        size = _CORE + 2 * _AROUND if self.windowed else size
        self.register_buffer("mean", torch.zeros(channels, length))
        self.register_buffer("covariance", torch.eye(size).repeat(groups, 1, 1))
        self.register_buffer("trusted", torch.zeros(channels))  # 1 where a channel is completed
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
        """Channels that are completed; the others are interpolated linearly."""
        return self.trusted > 0.5

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
        least = FEWEST_ROWS * (x.shape[1] if self.channels != x.shape[1] else 1)
        x, times = self._each_channel_alone(x, times)
        rows = x.to("cpu", torch.float64)
        if even is not None:
            keep = even.cpu().repeat_interleave(len(rows) // len(even))
            rows, times = rows[keep], None
        grid = _moved(rows, torch.zeros(len(rows), dtype=torch.int64), self.length)
        self.mean.zero_(), self.trusted.zero_()
        self.covariance.copy_(torch.eye(self.covariance.shape[1]).expand_as(self.covariance))
        hidden = _drawn_cells(grid, generator)
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
        wanted = torch.isnan(x) & _before_the_end(x, times)
        wanted = wanted & ~torch.isnan(x).all(dim=2, keepdim=True) & self._trusted_channels(x)
        if even is not None:
            wanted = wanted & even[:, None, None]
        rows = wanted.flatten(1).any(dim=1).nonzero()[:, 0]
        if not len(rows):
            return line
        start = torch.zeros(len(x), dtype=torch.int64, device=x.device) if offset is None else offset
        found = self._on_series(x[rows], start[rows])
        use = wanted[rows] & ~torch.isnan(found)
        return line.index_copy(0, rows, torch.where(use, found, line[rows]))

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
                found[:, channels] = _predicted(grid[:, channels], self.mean[channels].to(grid), covariance)
        return _moved(found, -start, x.shape[2]).to(x).reshape(x.shape)

    def _fit_group(
        self, group: int, channels: list[int], x: Tensor, hidden: Tensor, enough: Tensor, generator: torch.Generator
    ) -> None:
        """Mean and covariance of channels with one covariance, and which of them are completed by it."""
        x = torch.where(enough[:, None], x, torch.nan)
        kept = x.masked_fill(hidden, torch.nan)
        tried = hidden & ~torch.isnan(x)
        rows = tried.flatten(1).any(dim=1).nonzero()[:, 0]
        rows = rows[torch.randperm(len(rows), generator=generator)][: max(16, _CELLS_TRIED // x[0].numel())]
        truth, kept_rows, tried = x[rows], kept[rows], tried[rows]
        line = _mean_squares(bridge(kept_rows) - truth, tried)
        best, errors = None, torch.full_like(line, torch.inf)
        for alpha, (mean, covariance) in self._candidates(kept):
            for ridge in _RIDGES:
                found = _predicted(kept_rows, mean, _with_ridge(covariance, ridge))
                error = _mean_squares(torch.where(torch.isnan(found), bridge(kept_rows), found) - truth, tried)
                if float((error / line).nanmean()) < float((errors / line).nanmean()):
                    best, errors = (alpha, ridge), error
        trusted = enough & (errors < _BETTER * line)
        if best is None or not bool(trusted.any()):
            return
        mean, covariance = dict(self._candidates(x, best[0]))[best[0]]
        self.mean[channels] = mean.to(self.mean)
        self.covariance[group] = _with_ridge(covariance, best[1]).to(self.covariance)
        self.trusted[channels] = trusted.to(self.trusted)

    def _candidates(self, x: Tensor, only: float | None = None) -> Iterator[tuple[float, tuple[Tensor, Tensor]]]:
        """For each α the mean, and a covariance whose trace is positive."""
        if self.windowed:
            mean, stationary = stationary_moments(x, self.covariance.shape[1])
            mixed = {0.0: stationary}
        else:
            mean, pairwise, stationary = moments(x)
            alphas = _ALPHAS if only is None else (only,)
            mixed = {alpha: alpha * pairwise + (1 - alpha) * stationary for alpha in alphas}
        for alpha, covariance in mixed.items():
            covariance = positive_definite(covariance)
            if float(covariance.trace()) > 0:
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

    def _trusted_channels(self, x: Tensor) -> Tensor:
        """(c or 1, 1) whether a channel is completed."""
        if x.shape[1] != self.channels and self.channels != 1:
            self._each_channel_alone(x, None)
        return self.completed[:, None]

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
        times = times.masked_fill(~torch.isfinite(times), torch.nan)
        own = torch.diff(times, dim=1).nanmedian(dim=1, keepdim=True).values
        unit = torch.where(step > 0, step.to(times), own)
        place = torch.arange(times.shape[1], device=times.device)
        apart = (times - times.nanmedian(dim=1, keepdim=True).values) / unit - place
        apart = apart - apart.nanmedian(dim=1, keepdim=True).values
        return (unit[:, 0] > 0) & ~(apart.abs() >= 0.5).any(dim=1)


def _predicted(x: Tensor, mean: Tensor, covariance: Tensor) -> Tensor:
    """Conditional means (n, c, t) of series on the grid; NaN where a window holds no observation."""
    residual = x - mean
    shape = residual.shape
    windowed = shape[2] > _LONGEST_GRID
    pieces = windows(residual, _CORE, _AROUND) if windowed else residual  # (n, 1, w, k) or (n, c, t)
    rows = pieces.reshape(-1, covariance.shape[0])
    seen = ~torch.isnan(rows)
    index = (seen.any(dim=1) & ~seen.all(dim=1)).nonzero()[:, 0]
    found = torch.full_like(rows, torch.nan)
    if len(index):
        found = found.index_copy(0, index, conditional_mean(rows[index], covariance))
    if windowed:
        found = found.reshape(pieces.shape)[..., _AROUND:-_AROUND].flatten(2)[:, :, : shape[2]]
    return found.reshape(shape) + mean


def _with_ridge(covariance: Tensor, ridge: float) -> Tensor:
    return covariance + torch.eye(len(covariance), dtype=covariance.dtype) * (ridge * covariance.diagonal().mean())


def _mean_squares(difference: Tensor, where: Tensor) -> Tensor:
    """Mean square (c,) over chosen cells; NaN where there is none."""
    return torch.where(where, difference, 0.0).square().sum(dim=(0, 2)) / where.sum(dim=(0, 2))


def _drawn_cells(x: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(x.shape, generator=generator, dtype=torch.float64) < _HIDDEN


def _moved(x: Tensor, start: Tensor, length: int) -> Tensor:
    """Series (n, c, length) whose step t is step t − start of the given ones; NaN where these have none."""
    step = torch.arange(length, device=x.device) - start[:, None]
    outside = (step < 0) | (step >= x.shape[2])
    index = step.clamp(0, max(0, x.shape[2] - 1))[:, None, :].expand(-1, x.shape[1], -1)
    return x.gather(2, index).masked_fill(outside[:, None, :], torch.nan)


def _before_the_end(x: Tensor, times: Tensor | None) -> Tensor:
    """Steps (n, 1, t) that belong to a series."""
    return (torch.arange(x.shape[2], device=x.device) < valid_lengths(x, times)[:, None])[:, None, :]
