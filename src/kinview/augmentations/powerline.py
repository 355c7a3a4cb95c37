"""Mains hum."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

import torch

from kinview.augmentations import augmentations
from kinview.augmentations._clinical import lead_gains, peak_to_peak, sines
from kinview.augmentations._random import uniform
from kinview.augmentations._sampling import of_known_rate, sampling_rates
from kinview.augmentations._series import SeriesAugmentation
from kinview.data.batch import Batch
from kinview.parameters import real, whole

__all__ = ["Powerline"]

_SLACK = 0.01  # stamps in single precision tell the rate no better


@augmentations.register(
    "powerline", modality="time_series", family="clinical", reference="Friesen et al., IEEE TBME 1990"
)
@dataclasses.dataclass(frozen=True)
class Powerline(SeriesAugmentation):
    r"""Add mains hum: a sine of 50 or 60 Hz and its harmonics.

    .. math:: v_s = x_s + g\,A\,P\,\frac{1}{K} \sum_{k=1}^{K} a_k \cos(2\pi k f s / r + \phi),
              \quad a_k \sim U(0, 1),\ \phi \sim U(0, 2\pi),\ g \sim U(-1, 1)

    with sampling rate r and P the series' own peak-to-peak amplitude. The channels of a row share phase and harmonics,
    each with its own gain g (1 where there is one channel).

    Parameters
    ----------
    amplitude : float, default 0.5
        A, the largest hum as a fraction of the peak-to-peak amplitude of each series and channel ("up to 50 %" in
        [1]_). 0 is the identity.
    frequency : float, default 50.0
        f in hertz; 60 in the Americas.
    harmonics : int, default 3
        K (public code of [2]_).
    sampling_rate : float, optional
        Steps a second. Default: from the time stamps of the batch, in seconds (median step of each row).

    Notes
    -----
    A harmonic above half the sampling rate is left out, as the filter of a recorder leaves it out (the public code
    folds it back to a frequency that no mains has). Gaps stay as they are; a constant series, which has no amplitude,
    and one whose time stamps tell no rate stay as they are.

    Raises
    ------
    ValueError
        When called without a sampling rate and without time stamps that tell it of any row, or on series
        sampled at less than 2 f.

    References
    ----------
    .. [1] Clifford, Azuaje, McSharry (eds.), Advanced Methods and Tools for ECG Data Analysis, Artech House 2006,
       section 3.6, after Friesen et al., IEEE Transactions on Biomedical Engineering 37(1), 1990.
    .. [2] Mehari and Strodthoff, Self-supervised representation learning from 12-lead ECG data, Computers in Biology
       and Medicine 2022, arXiv 2103.12676.

    Examples
    --------
    >>> x = torch.sin(torch.linspace(0, 60, 1000)).expand(1, 1, 1000)
    >>> hum = Powerline(sampling_rate=500)(x, torch.Generator().manual_seed(0)) - x
    >>> torch.fft.rfft(hum[0, 0]).abs().topk(3).indices.sort().values / 2  # bins of 0.5 Hz
    tensor([ 50., 100., 150.])
    """

    amplitude: float = real(0.5, low=0, neutral=0)
    frequency: float = real(50.0, above=0)
    harmonics: int = whole(3, low=1, high=64)
    sampling_rate: float | None = real(None, above=0)

    needs: ClassVar[frozenset[str]] = frozenset({"sampling_rate"})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sampling_rate is not None and self.sampling_rate < 2 * self.frequency * (1 - _SLACK):
            raise ValueError(
                f"frequency={self.frequency:g} is above half the sampling_rate={self.sampling_rate:g}, where nothing "
                f"is heard; give a frequency of at most {self.sampling_rate / 2:g}, or leave powerline out"
            )

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Series ``(n, C, T)`` with hum."""
        rates, known = sampling_rates(batch, self.sampling_rate, "powerline")
        slowest = float(rates.min()) if bool(known.any()) else math.inf
        if slowest < 2 * self.frequency * (1 - _SLACK):
            raise ValueError(
                f"series sampled at {slowest:g} Hz hold nothing above {slowest / 2:g} Hz, so no hum of frequency="
                f"{self.frequency:g}; sample at {2 * self.frequency:g} Hz or more, or leave powerline out (time stamps "
                "are taken as seconds; sampling_rate= overrules them)"
            )
        if self.amplitude == 0 or not bool(known.any()):
            return batch
        x = batch.x.to(torch.promote_types(batch.x.dtype, torch.float32))
        n, channels, steps = x.shape
        frequencies = self.frequency * torch.arange(1, self.harmonics + 1, dtype=torch.float64, device=x.device)
        heard = frequencies * (1 - _SLACK) <= rates[:, None] / 2
        amplitudes = uniform((n, 1, self.harmonics), generator, x).mul_(self.amplitude / self.harmonics)
        phases = uniform((n, 1, 1), generator, x, 0.0, 2 * math.pi).expand(n, channels, self.harmonics)
        gains = lead_gains(uniform((n, channels, 1), generator, x, -1.0, 1.0))
        hum = sines(amplitudes * gains * heard[:, None, :], phases, frequencies, rates, steps)
        return batch.replace(x=of_known_rate(hum.mul_(peak_to_peak(x)).add_(x), batch.x, known))
