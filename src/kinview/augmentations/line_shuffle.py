"""Lines of a spectrum that change their places."""

from __future__ import annotations

import dataclasses

import torch

from kinview.augmentations import augmentations
from kinview.augmentations._random import argsorted, bernoulli, uniform
from kinview.augmentations._series import SeriesAugmentation
from kinview.augmentations._spectral import lines_of, with_change
from kinview.data.batch import Batch
from kinview.parameters import real, whole

__all__ = ["BandShuffle", "DominantShuffle"]


@augmentations.register("band_shuffle", modality="time_series", family="frequency domain", reference="kinview")
@dataclasses.dataclass(frozen=True)
class BandShuffle(SeriesAugmentation):
    r"""Shuffle the lines of the spectrum within each of several bands, drawn for each series and channel.

    The lines :math:`0 < k < L / 2` of a series of L steps are cut into bands of equal width (the last may be narrower).
    In every chosen band the complex values of the lines move on along a random cycle through the band: a line's
    amplitude and phase move together, and the energy of each band stays.

    Parameters
    ----------
    bands : int, default 16
        Number of bands, at least 1; fewer in a series with fewer than two lines for each. One band shuffles the whole
        spectrum.
    p : float, default 1.0
        Probability that a band is shuffled, in [0, 1].

    Notes
    -----
    Both defaults are kinview's: sixteen bands keep the shape of a spectrum. It keeps how energy is spread over the
    frequencies, and lies between a small shift of frequency and the shuffle of the dominant lines
    (:class:`DominantShuffle`). The mean and, at an even length, the Nyquist line stay, so that the result is a real
    series of the same energy. The spectrum is that of the series over its own length, gaps bridged linearly; gaps stay
    gaps. A series of four steps or fewer stays as it is.

    Examples
    --------
    >>> x = torch.randn(1, 1, 100, generator=torch.Generator().manual_seed(0))
    >>> view = BandShuffle(bands=4)(x, torch.Generator().manual_seed(1))
    >>> energy = lambda series: torch.fft.rfft(series)[0, 0, 1:14].abs().square().sum()
    >>> bool(torch.isclose(energy(view), energy(x), rtol=1e-4)), bool((view != x).any())
    (True, True)
    """

    bands: int = whole(16, low=1)
    p: float = real(1.0, low=0, high=1, neutral=0)

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """View of ``(n, C, T)`` series."""
        if self.p == 0:
            return batch
        spectra = lines_of(batch)
        n, channels, bins = spectra.values.shape
        own = ((spectra.lengths + 1) // 2 - 1).clamp_min(0)[:, None, None]  # lines with a phase
        turning = spectra.turning
        if n and bool((own == own[0]).all()):  # every row has the same bands
            own, turning = own[:1], turning[:1]
        width = torch.maximum(-(-own // self.bands), torch.full_like(own, 2))
        line = torch.arange(bins, device=own.device)
        band = (line - 1).clamp_min(0) // width
        chosen = bernoulli((n, channels, self.bands), self.p, generator, spectra.like)
        shuffled = turning
        if self.p < 1:
            shuffled = turning & chosen.gather(2, band.clamp_max(self.bands - 1).expand(n, channels, bins))
        # Sorted by these keys, each band is in random order and all other lines are in their place. Half a unit is far
        # above the resolution of the keys, so no line leaves its band.
        kind = torch.float32 if bins <= 4096 else torch.float64
        drawn = uniform((n, channels, bins), generator, torch.empty((), dtype=kind, device=own.device))
        start = band * width + 1
        inside = torch.minimum(width, own + 1 - start).clamp_min(1)  # the last band may be narrower
        order = argsorted(torch.where(shuffled, start + (inside - 0.5) * drawn, line.to(kind)))
        # each line takes the value of the one after it in that order, the last that of the first
        after = torch.where(line + 1 < start + inside, line + 1, start)
        after = torch.where(shuffled, after, line).expand(n, channels, bins)
        source = torch.empty_like(order).scatter_(2, order, order.gather(2, after))
        moved = spectra.values.gather(2, source)
        return with_change(batch, moved.sub_(spectra.values), spectra)


@augmentations.register(
    "dominant_shuffle", modality="time_series", family="mixing", reference="Zhao et al., Dominant Shuffle, 2024"
)
@dataclasses.dataclass(frozen=True)
class DominantShuffle(SeriesAugmentation):
    r"""Shuffle the k strongest lines of the spectrum of each series and channel among themselves.

    Of the lines :math:`0 < j < L / 2` of a series of L steps, the k with the largest amplitude pass their complex
    values on along a random cycle through all of them. No other row is read.

    Parameters
    ----------
    k : int, default 4
        Number of dominant lines, at least 2; all lines of a series that has fewer. (The paper tunes k for each data
        set, from 2 up; 4 is kinview's choice.)

    Notes
    -----
    The paper draws any permutation of the k lines, one in k! of which changes nothing; a cycle moves each of them. The
    mean is not among them, as in the paper, nor is the Nyquist line of an even length: they are real, and a complex
    value in their place would lose its imaginary part. The result is a real series of the same mean and energy. The
    paper shuffles the spectrum of a forecast's input and target joined; here it is that of the series over its own
    length, gaps bridged linearly; gaps stay gaps. A series of four steps or fewer stays as it is.

    References
    ----------
    .. [1] Zhao et al., Dominant Shuffle: A Simple Yet Powerful Data Augmentation for Time-series Prediction, 2024,
       arXiv 2405.16456.

    Examples
    --------
    >>> steps = 2 * torch.pi * torch.arange(100) / 100
    >>> x = (3 * torch.sin(5 * steps) + torch.sin(9 * steps)).reshape(1, 1, 100)
    >>> view = DominantShuffle(k=2)(x, torch.Generator().manual_seed(0))
    >>> torch.fft.rfft(view)[0, 0, [5, 9]].abs().round()  # 150 and 50 before
    tensor([ 50., 150.])
    """

    k: int = whole(4, low=2)

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """View of ``(n, C, T)`` series."""
        spectra = lines_of(batch)
        most = min(self.k, spectra.values.shape[2])
        amplitude = spectra.values.abs().masked_fill_(~spectra.turning, -1.0)
        found = amplitude.topk(most, dim=2)
        drawn = uniform(tuple(found.indices.shape), generator, spectra.like)
        # the lines in random order, those that are none of this series behind them
        where = found.indices.gather(2, drawn.masked_fill_(found.values < 0, 2.0).argsort(dim=2))
        number = (found.values >= 0).sum(dim=2, keepdim=True)
        place = torch.arange(most, device=where.device)
        source = torch.where(place < number, (place + 1) % number.clamp_min(1), place)
        before = spectra.values.gather(2, where)
        change = torch.zeros_like(spectra.values).scatter_(2, where, before.gather(2, source) - before)
        return with_change(batch, change, spectra)
