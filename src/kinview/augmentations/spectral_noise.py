"""Random amplitudes and phases of the lines of a spectrum."""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from kinview.augmentations import augmentations
from kinview.augmentations._random import normal, uniform
from kinview.augmentations._series import SeriesAugmentation
from kinview.augmentations._spectral import Lines, lines_of, with_change
from kinview.data.batch import Batch
from kinview.parameters import flag, real

__all__ = ["AmplitudeJitter", "PhaseJitter", "Surrogate"]


class _LineNoise(SeriesAugmentation):
    """A random change of every line of the spectrum."""

    _strength: ClassVar[str] = "sigma"  # the parameter that is 0 where nothing changes

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """View of ``(n, C, T)`` series."""
        if getattr(self, self._strength) == 0:
            return batch
        spectra = lines_of(batch)
        return with_change(batch, spectra.values * self._factor(spectra, generator), spectra)

    @abstractmethod
    def _factor(self, spectra: Lines, generator: torch.Generator) -> Tensor:
        """What is added to each line, as a multiple of it."""

    def _size(self, spectra: Lines) -> tuple[int, ...]:
        return self._each(spectra.values, spectra.values.shape[2])


@augmentations.register(
    "amplitude_jitter",
    modality="time_series",
    family="frequency domain",
    reference="after Gao et al., RobustTAD, 2020 (arXiv 2002.09545)",
)
@dataclasses.dataclass(frozen=True)
class AmplitudeJitter(_LineNoise):
    r"""Multiply the amplitude of every line of the spectrum by a random factor, and keep its phase.

    :math:`|X_k| \leftarrow |X_k| \, e^{\sigma \varepsilon_k}`, :math:`\varepsilon_k \sim N(0, 1)`, for the lines
    :math:`k = 1 \dots \lfloor L / 2 \rfloor` of a series of L steps.

    Parameters
    ----------
    sigma : float, default 0.2
        σ, standard deviation of the logarithm of the factor (kinview: amplitudes change by about a fifth).
    shared : bool, default False
        Whether the channels of a row share their factors.

    Notes
    -----
    The paper replaces amplitudes within a random stretch of the spectrum by normal draws, which may be negative; a
    log-normal factor is not, and leaves weak lines weak. The mean of the series stays. The spectrum is that of the
    series over its own length, gaps bridged linearly; gaps stay gaps. A series of one step stays as it is.

    References
    ----------
    .. [1] Gao et al., RobustTAD: Robust Time Series Anomaly Detection via Decomposition and Convolutional Neural
       Networks, 2020, arXiv 2002.09545.

    Examples
    --------
    >>> x = torch.sin(2 * torch.pi * 3 * torch.arange(50) / 50).reshape(1, 1, 50)
    >>> view = AmplitudeJitter()(x, torch.Generator().manual_seed(0))
    >>> ratio = view / x
    >>> bool(torch.allclose(ratio[x.abs() > 0.1], ratio[0, 0, 1], atol=1e-4))  # one line: louder or softer as a whole
    True
    """

    sigma: float = real(0.2, low=0, neutral=0)
    shared: bool = flag(False)

    def _factor(self, spectra: Lines, generator: torch.Generator) -> Tensor:
        drawn = normal(self._size(spectra), generator, spectra.like).mul_(self.sigma)
        return drawn.expm1_().masked_fill_(~spectra.oscillating, 0.0)


@augmentations.register(
    "phase_jitter",
    modality="time_series",
    family="frequency domain",
    reference="after Gao et al., RobustTAD, 2020 (arXiv 2002.09545)",
)
@dataclasses.dataclass(frozen=True)
class PhaseJitter(_LineNoise):
    r"""Turn the phase of every line of the spectrum by a random angle, and keep its amplitude.

    :math:`\theta_k \leftarrow \theta_k + \sigma \varepsilon_k`, :math:`\varepsilon_k \sim N(0, 1)`, for the lines of a
    series of L steps that have a phase, :math:`0 < k < L / 2`.

    Parameters
    ----------
    sigma : float, default 0.3
        σ in radians (kinview: the view keeps a correlation of about e^(−σ²/2) = 0.96 with the series).
    shared : bool, default False
        Whether the channels of a row share their angles, which keeps the cross-spectra between them.

    Notes
    -----
    The paper turns the phases within a random stretch of the spectrum; here it is all of them. The mean and, at an even
    length, the Nyquist line are real and stay. The spectrum is that of the series over its own length, gaps bridged
    linearly; gaps stay gaps. A series of two steps or fewer stays as it is.

    References
    ----------
    .. [1] Gao et al., RobustTAD: Robust Time Series Anomaly Detection via Decomposition and Convolutional Neural
       Networks, 2020, arXiv 2002.09545.

    Examples
    --------
    >>> x = torch.randn(1, 1, 100, generator=torch.Generator().manual_seed(0))
    >>> view = PhaseJitter()(x, torch.Generator().manual_seed(1))
    >>> bool(torch.allclose(torch.fft.rfft(view).abs(), torch.fft.rfft(x).abs(), atol=1e-3)), bool((view != x).any())
    (True, True)
    """

    sigma: float = real(0.3, low=0, neutral=0)
    shared: bool = flag(False)

    def _factor(self, spectra: Lines, generator: torch.Generator) -> Tensor:
        return _turn(spectra, normal(self._size(spectra), generator, spectra.like).mul_(self.sigma))


@augmentations.register(
    "surrogate", modality="time_series", family="frequency domain", reference="Theiler et al., Physica D 1992"
)
@dataclasses.dataclass(frozen=True)
class Surrogate(_LineNoise):
    r"""Series with the same amplitude spectrum and random phases: the linear correlations stay, all else goes.

    :math:`\theta_k \leftarrow \theta_k + \phi_k`, :math:`\phi_k \sim U(-\pi s, \pi s)`, for the lines of a series of L
    steps that have a phase, :math:`0 < k < L / 2`. With s = 1 the phases are uniform.

    Parameters
    ----------
    spread : float, default 1.0
        s in [0, 1] (paper: 1).
    shared : bool, default True
        Whether the channels of a row turn by the same angles, which keeps the cross-correlations between them (Prichard
        and Theiler). With False each channel is a surrogate of its own.

    Notes
    -----
    Amplitudes, and with them the mean, the variance and the circular autocorrelation, are kept exactly. The Nyquist
    line of an even length is real and stays. The spectrum is that of the series over its own length, gaps bridged
    linearly; gaps stay gaps, so with gaps it is the spectrum of the bridged series that is kept. A series of two steps
    or fewer stays as it is.

    References
    ----------
    .. [1] Theiler et al., Testing for nonlinearity in time series: the method of surrogate data, Physica D, 1992.
    .. [2] Prichard and Theiler, Generating surrogate data for time series with several simultaneously measured
       variables, Physical Review Letters, 1994.

    Examples
    --------
    >>> x = torch.randn(1, 1, 100, generator=torch.Generator().manual_seed(0))
    >>> view = Surrogate()(x, torch.Generator().manual_seed(1))
    >>> bool(torch.allclose(torch.fft.rfft(view).abs(), torch.fft.rfft(x).abs(), atol=1e-3))
    True
    """

    spread: float = real(1.0, low=0, high=1, neutral=0)
    shared: bool = flag(True)

    _strength: ClassVar[str] = "spread"

    def _factor(self, spectra: Lines, generator: torch.Generator) -> Tensor:
        limit = torch.pi * self.spread
        return _turn(spectra, uniform(self._size(spectra), generator, spectra.like, low=-limit, high=limit))


def _turn(spectra: Lines, angle: Tensor) -> Tensor:
    """Change of each line as a factor, where its phase turns; the mean and the Nyquist line have none."""
    return torch.complex(angle.cos().sub_(1.0), angle.sin()).masked_fill_(~spectra.turning, 0.0)
