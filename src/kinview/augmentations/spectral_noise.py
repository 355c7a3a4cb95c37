"""Random amplitudes and phases of the lines of a spectrum."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import torch
from torch import Tensor

from kinview.augmentations import augmentations
from kinview.augmentations._random import normal, uniform
from kinview.augmentations._spectral import Lines, lines_of, with_change
from kinview.augmentations.base import Augmentation, Modality
from kinview.data.batch import Batch
from kinview.parameters import flag, real

__all__ = ["AmplitudeJitter", "PhaseJitter", "Surrogate"]


@augmentations.register(
    "amplitude_jitter",
    modality="time_series",
    family="frequency domain",
    reference="after Gao et al., RobustTAD, 2020 (arXiv 2002.09545)",
)
@dataclasses.dataclass(frozen=True)
class AmplitudeJitter(Augmentation):
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

    modality: ClassVar[Modality] = "time_series"

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """View of ``(n, C, T)`` series."""
        if self.sigma == 0:
            return batch
        spectra = lines_of(batch)
        factor = normal(_size(spectra, self.shared), generator, spectra.like).mul_(self.sigma).expm1_()
        return with_change(batch, spectra.values * factor.masked_fill_(~spectra.oscillating, 0.0), spectra)


@augmentations.register(
    "phase_jitter",
    modality="time_series",
    family="frequency domain",
    reference="after Gao et al., RobustTAD, 2020 (arXiv 2002.09545)",
)
@dataclasses.dataclass(frozen=True)
class PhaseJitter(Augmentation):
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

    modality: ClassVar[Modality] = "time_series"

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """View of ``(n, C, T)`` series."""
        if self.sigma == 0:
            return batch
        spectra = lines_of(batch)
        return _turned(batch, spectra, normal(_size(spectra, self.shared), generator, spectra.like).mul_(self.sigma))


@augmentations.register(
    "surrogate", modality="time_series", family="frequency domain", reference="Theiler et al., Physica D 1992"
)
@dataclasses.dataclass(frozen=True)
class Surrogate(Augmentation):
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

    modality: ClassVar[Modality] = "time_series"

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """View of ``(n, C, T)`` series."""
        if self.spread == 0:
            return batch
        spectra = lines_of(batch)
        limit = torch.pi * self.spread
        return _turned(
            batch, spectra, uniform(_size(spectra, self.shared), generator, spectra.like, low=-limit, high=limit)
        )


def _size(spectra: Lines, shared: bool) -> tuple[int, int, int]:
    n, channels, bins = spectra.values.shape
    return n, 1 if shared else channels, bins


def _turned(batch: Batch, spectra: Lines, angle: Tensor) -> Batch:
    """The batch with each line's phase turned; the mean and the Nyquist line have none."""
    turn = torch.complex(angle.cos().sub_(1.0), angle.sin()).masked_fill_(~spectra.turning, 0.0)
    return with_change(batch, spectra.values * turn, spectra)
