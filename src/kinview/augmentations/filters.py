"""Frequencies taken out by zero-phase Butterworth filters."""

from __future__ import annotations

import dataclasses
import functools
from abc import abstractmethod
from typing import ClassVar

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from kinview.augmentations import augmentations
from kinview.augmentations._random import uniform
from kinview.augmentations._series import SeriesAugmentation
from kinview.augmentations._spectral import in_range, out_of_range
from kinview.data.batch import Batch
from kinview.data.gaps import bridge, complete, valid_lengths
from kinview.data.spectrum import inverse_spectrum, spectrum
from kinview.parameters import interval, real, whole

__all__ = ["BandStop", "HighPass", "LowPass"]

_SLOW, _TREND, _CENTERS, _WIDTH = (0.1, 0.5), (0.01, 0.1), (0.028, 0.825), 0.05  # fractions of the Nyquist frequency


class _Filter(SeriesAugmentation):
    """A gain for each frequency, drawn for each row."""

    sampling_rate: float | None
    _band: ClassVar[str] = "cutoff"  # the parameter that holds a range of frequencies

    @abstractmethod
    def _gain(self, frequency: Tensor, generator: torch.Generator) -> Tensor:
        """Gain ``(n, bins)`` at frequencies that the bilinear transform has mapped to the analogue axis."""

    def __post_init__(self) -> None:
        """Check the parameters, and that frequencies are below the Nyquist frequency."""
        super().__post_init__()
        nyquist, given = self._nyquist, getattr(self, self._band)
        if given is not None and given[1] >= nyquist:
            unit = "" if self.sampling_rate is None else " Hz, half the sampling_rate"
            raise ValueError(
                f"{self._band} must be below the Nyquist frequency, {nyquist:g}{unit}; got {given[1]!r}"
                + (": frequencies are fractions of it, unless a sampling_rate is given" if not unit else "")
            )

    @property
    def _nyquist(self) -> float:
        return 1.0 if self.sampling_rate is None else self.sampling_rate / 2

    def _in_unit(self, given: tuple[float, float] | None, fractions: tuple[float, float]) -> tuple[float, float]:
        """A range of frequencies in the unit of the parameters; by default these fractions of the Nyquist frequency."""
        return (fractions[0] * self._nyquist, fractions[1] * self._nyquist) if given is None else given

    def _analogue(self, frequency: Tensor) -> Tensor:
        """Analogue counterpart of a digital frequency in the unit of the parameters."""
        return torch.tan(frequency * (torch.pi / 2 / self._nyquist))

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """``(n, C, T)`` series, each filtered."""
        x = batch.x
        if x.shape[2] == 0:
            return batch
        lengths = valid_lengths(x, batch.times)
        wide = torch.promote_types(x.dtype, torch.float32)
        own = lengths[:1] if bool((lengths == lengths[:1]).all()) else lengths  # what rows share is computed once
        periods, frame = _periods(own, x.shape[2])
        bins = torch.arange(frame // 2 + 1, device=x.device, dtype=torch.float64)
        frequency = torch.tan((bins / periods[:, None]).clamp_max_(0.5) * torch.pi)
        gain = self._gain(frequency.to(wide).expand(len(x), -1), generator)[:, None, :]
        series, unit = in_range(bridge(x).to(wide))
        view = out_of_range(_filtered(series, gain, own, periods, frame), unit).to(x.dtype)
        if complete(x) and x.shape[2] > 2:
            return batch.replace(x=view)
        stays = torch.isnan(x) | (lengths < 3)[:, None, None]
        return batch.replace(x=torch.where(stays, x, view))


@augmentations.register("low_pass", modality="time_series", family="time domain", reference="Butterworth, 1930")
@dataclasses.dataclass(frozen=True)
class LowPass(_Filter):
    r"""Keep what is slower than a random cut-off, by a Butterworth filter run forwards and backwards.

    .. math:: |H(f)|^2 = \frac{1}{1 + (\omega / \omega_c)^{2N}}, \quad \omega = \tan(\pi f / f_s)

    with cut-off :math:`f_c \sim U(cutoff)` for each row, and order N; no phase is shifted.

    Parameters
    ----------
    cutoff : tuple of float, optional
        Smallest and largest frequency at which half of the amplitude is left: fractions of the Nyquist frequency (as in
        ``scipy.signal``), or Hz where ``sampling_rate`` is given. Default: 0.1 and 0.5 of the Nyquist frequency in
        either case (kinview: half of the spectrum goes at least, and the slow tenth stays).
    order : int, default 4
        N, the order of the filter (kinview; the usual choice in biosignal processing).
    sampling_rate : float, optional
        Steps per second, which makes frequencies Hz.

    Notes
    -----
    The response is that of ``scipy.signal.butter(N, f_c, output="sos")`` applied by ``scipy.signal.sosfiltfilt``, with
    which the view agrees away from the ends. It is applied to the spectrum of the series continued oddly about both its
    ends, over its own length. Gaps are bridged before, and a missing value stays missing. Series of one or two steps
    stay as they are. All channels share the cut-off.

    Raises
    ------
    ValueError
        At construction for a cut-off that is not below the Nyquist frequency.

    References
    ----------
    .. [1] Butterworth, On the theory of filter amplifiers, 1930.

    Examples
    --------
    >>> t = torch.arange(200.0)
    >>> x = (torch.sin(0.02 * torch.pi * t) + torch.sin(0.9 * torch.pi * t)).reshape(1, 1, 200)
    >>> slow = LowPass(cutoff=(0.2, 0.2))(x)[0, 0]
    >>> round((slow - torch.sin(0.02 * torch.pi * t))[20:-20].abs().max().item(), 2)
    0.0
    """

    cutoff: tuple[float, float] | None = interval(None, above=0)
    order: int = whole(4, low=1, high=20)
    sampling_rate: float | None = real(None, above=0)

    def _gain(self, frequency: Tensor, generator: torch.Generator) -> Tensor:
        cutoff = self._analogue(uniform((len(frequency), 1), generator, frequency, *self._in_unit(self.cutoff, _SLOW)))
        return 1 / (1 + (frequency / cutoff) ** (2 * self.order))


@augmentations.register("high_pass", modality="time_series", family="time domain", reference="Butterworth, 1930")
@dataclasses.dataclass(frozen=True)
class HighPass(_Filter):
    r"""Keep what is faster than a random cut-off, by a Butterworth filter run forwards and backwards.

    .. math:: |H(f)|^2 = \frac{1}{1 + (\omega_c / \omega)^{2N}}, \quad \omega = \tan(\pi f / f_s)

    with cut-off :math:`f_c \sim U(cutoff)` for each row, and order N; no phase is shifted.

    Parameters
    ----------
    cutoff : tuple of float, optional
        Smallest and largest frequency at which half of the amplitude is left: fractions of the Nyquist frequency (as in
        ``scipy.signal``), or Hz where ``sampling_rate`` is given. Default: 0.01 and 0.1 of the Nyquist frequency in
        either case (kinview: level and trend go, nine tenths of the spectrum stay).
    order : int, default 4
        N, the order of the filter (kinview; the usual choice in biosignal processing).
    sampling_rate : float, optional
        Steps per second, which makes frequencies Hz.

    Notes
    -----
    As for :class:`LowPass`. The mean of a series goes with its slow part.

    Raises
    ------
    ValueError
        At construction for a cut-off that is not below the Nyquist frequency.

    References
    ----------
    .. [1] Butterworth, On the theory of filter amplifiers, 1930.

    Examples
    --------
    >>> HighPass()(torch.full((1, 1, 4), 7.0))
    tensor([[[0., 0., 0., 0.]]])
    """

    cutoff: tuple[float, float] | None = interval(None, above=0)
    order: int = whole(4, low=1, high=20)
    sampling_rate: float | None = real(None, above=0)

    def _gain(self, frequency: Tensor, generator: torch.Generator) -> Tensor:
        cutoff = self._analogue(uniform((len(frequency), 1), generator, frequency, *self._in_unit(self.cutoff, _TREND)))
        return 1 / (1 + (cutoff / frequency) ** (2 * self.order))


@augmentations.register(
    "band_stop", modality="time_series", family="time domain", reference="Mohsenvand et al., ML4H 2020"
)
@dataclasses.dataclass(frozen=True)
class BandStop(_Filter):
    r"""Take out a random band of frequencies, by a Butterworth filter run forwards and backwards.

    .. math:: |H(f)|^2 = \frac{1}{1 + (b \omega / |\omega_1 \omega_2 - \omega^2|)^{2N}}, \quad
              \omega = \tan(\pi f / f_s), \quad b = \omega_2 - \omega_1

    The band :math:`[f_1, f_2]` has its ``width`` around a centre drawn from U(centre) for each row.

    Parameters
    ----------
    center : tuple of float, optional
        Smallest and largest centre of the band: fractions of the Nyquist frequency (as in ``scipy.signal``), or Hz
        where ``sampling_rate`` is given. Default: 0.028 and 0.825 of the Nyquist frequency in either case (Mohsenvand
        et al.: 2.8 to 82.5 Hz of EEG at 200 Hz).
    width : float, optional
        Width of the band, in the same unit. 0 is the identity. Default: 0.05 of the Nyquist frequency in either case
        (Mohsenvand et al.: 5 Hz).
    order : int, default 4
        N, the order of the filter (kinview; the usual choice in biosignal processing).
    sampling_rate : float, optional
        Steps per second, which makes frequencies Hz.

    Notes
    -----
    As for :class:`LowPass`; ``scipy.signal.butter(N, (f_1, f_2), "bandstop")`` is the filter. A band that would reach
    below 0 or beyond the Nyquist frequency ends there.

    Raises
    ------
    ValueError
        At construction for a centre that is not below the Nyquist frequency.

    References
    ----------
    .. [1] Mohsenvand et al., Contrastive representation learning for electroencephalogram classification, ML4H 2020.

    Examples
    --------
    >>> t = torch.arange(500.0) / 250  # seconds, at 250 Hz
    >>> hum = torch.sin(2 * torch.pi * 50 * t).reshape(1, 1, 500)
    >>> y = BandStop(center=(50.0, 50.0), width=10.0, sampling_rate=250.0)(hum)
    >>> round(y[0, 0, 100:-100].abs().max().item(), 2)
    0.0
    """

    center: tuple[float, float] | None = interval(None, above=0)
    width: float | None = real(None, low=0, neutral=0)
    order: int = whole(4, low=1, high=20)
    sampling_rate: float | None = real(None, above=0)

    _band: ClassVar[str] = "center"

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """``(n, C, T)`` series, each without its band."""
        return batch if self.width == 0 else super().apply(batch, generator)

    def _explicit(self) -> BandStop:
        """With the width of the band written out."""
        return self if self.width is not None else self._with(width=_WIDTH * self._nyquist)

    def _gain(self, frequency: Tensor, generator: torch.Generator) -> Tensor:
        center = uniform((len(frequency), 1), generator, frequency, *self._in_unit(self.center, _CENTERS))
        width = _WIDTH * self._nyquist if self.width is None else self.width
        low = self._analogue((center - width / 2).clamp_min_(0))
        high = self._analogue((center + width / 2).clamp_max_(self._nyquist * (1 - 1e-4)))
        ratio = (high - low) / (low * high / frequency - frequency).abs()
        return 1 / (1 + ratio.nan_to_num_(nan=torch.inf, posinf=torch.inf) ** (2 * self.order))


def _periods(lengths: Tensor, steps: int) -> tuple[Int64[Tensor, " n"], int]:
    """Steps after which the odd continuation of each series repeats, of a kind that an FFT is fast for; the largest."""
    at_least = 2 * (lengths - 1).clamp_min(1)
    fast = torch.tensor(_fast_lengths((4 * max(steps, 2)).bit_length()), device=lengths.device)
    frame = int(fast[torch.searchsorted(fast, 2 * max(steps - 1, 1))])
    return fast[torch.searchsorted(fast, at_least)], frame


@functools.lru_cache(maxsize=64)
def _fast_lengths(bits: int) -> list[int]:
    """Even numbers without prime factors above 5, below 2^bits."""
    powers = [2**two * 3**three * 5**five for two in range(1, bits) for three in range(bits) for five in range(bits)]
    return sorted(number for number in powers if number < 1 << bits)


def _filtered(
    x: Float[Tensor, "n c t"],
    gain: Float[Tensor, "n 1 bins"],
    lengths: Int64[Tensor, "#n"],
    periods: Int64[Tensor, "#n"],
    frame: int,
) -> Float[Tensor, "n c t"]:
    """Zero-phase filtering of series continued oddly about both ends.

    The line through both ends passes a zero-phase filter unchanged but for the gain at frequency 0. Without it the odd
    continuation has the period 2 (L - 1), and no end is left to disturb the filter; what a faster period has more is
    filled where it is farthest from both ends.
    """
    n, channels, steps = x.shape
    last = (lengths - 1).clamp_min(0)[:, None]
    step = torch.arange(steps, device=x.device)
    weight = (step.to(x.dtype) / last.clamp_min(1)).clamp_max_(1)[:, None, :]
    line = torch.lerp(x[:, :, :1], x.gather(2, last[:, :, None].expand(n, channels, 1)), weight)
    place = torch.arange(frame, device=x.device)
    half = last // 2
    before = (periods[:, None] - place).clamp_min(0)  # steps that are left to the first step of the next period
    mirrored = torch.where(before < last - half, before, (2 * last - place).maximum(last - half))
    source = torch.where(place <= last, place, mirrored).clamp_(0, steps - 1)
    odd = (x - line).gather(2, source[:, None, :].expand(n, channels, frame))
    odd *= torch.where(place <= last, 1, -1).to(x.dtype)[:, None, :]
    periods = periods.expand(n)
    filtered = inverse_spectrum(spectrum(odd, periods).mul_(gain), periods, frame)[:, :, :steps]
    return torch.addcmul(filtered, line, gain[:, :, :1])
