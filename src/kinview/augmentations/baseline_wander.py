"""Slow wander of the baseline, as breathing and poor contacts make it."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from kinview.augmentations import augmentations
from kinview.augmentations._clinical import lead_gains, peak_to_peak, sines
from kinview.augmentations._random import bernoulli, normal, uniform
from kinview.augmentations._sampling import of_known_rate, sampling_rates
from kinview.augmentations._series import SeriesAugmentation
from kinview.data.batch import Batch
from kinview.parameters import flag, real

__all__ = ["BaselineWander"]


@augmentations.register(
    "baseline_wander",
    modality="time_series",
    family="clinical",
    reference="Lenis et al., Comput. Math. Methods Med. 2017",
)
@dataclasses.dataclass(frozen=True)
class BaselineWander(SeriesAugmentation):
    r"""Add a slow wander: a sum of sines below half a hertz with random amplitudes and phases.

    .. math:: v_s = x_s + g\,A\,P \sqrt{\tfrac{3}{4K}} \sum_{k=1}^{K} a_k \cos(2\pi k f_\Delta s / r + \phi_k),
              \quad a_k \sim U(0, 1),\ \phi_k \sim U(0, 2\pi),\ K = f_{max}/f_\Delta

    with sampling rate r and P the series' own peak-to-peak amplitude, so that the wander is as strong (root mean
    square, at gain 1) as a sine whose peak-to-peak amplitude is A·P. The channels of a row share one wander, each with
    a gain g that is normal around 1 with standard deviation 1 and has a random sign.

    Parameters
    ----------
    amplitude : float, default 0.15
        A, as a fraction of the peak-to-peak amplitude of each series and channel (around 15 % [2]_). 0 is the
        identity.
    highest : float, default 0.5
        f_max in hertz (Lenis et al. [1]_).
    resolution : float, default 0.01
        f_Δ in hertz (public code of Mehari and Strodthoff [3]_).
    shared : bool, default True
        One wander for all channels of a row, up to its gain (same code); False draws one for each channel, at gain 1.
    sampling_rate : float, optional
        Steps a second. Default: from the time stamps of the batch, in seconds (median step of each row).

    Notes
    -----
    The wander is synthesised, not recorded: it has the character of the record ``bw`` of the MIT-BIH noise stress test
    [4]_. The public code scales by the unit of the recording and starts one of its versions at frequency 0, an offset;
    here the amplitude is relative and the mean is left to ``offset``. Gaps stay as they are and nothing is read beyond
    the end; a constant series, which has no amplitude, and one whose time stamps tell no rate stay as they are.

    Raises
    ------
    ValueError
        When called without a sampling rate and without time stamps that tell it of any row.

    References
    ----------
    .. [1] Lenis et al., Comparison of Baseline Wander Removal Techniques considering the Preservation of ST Changes in
       the Ischemic ECG: A Simulation Study, Computational and Mathematical Methods in Medicine 2017.
    .. [2] Clifford, Azuaje, McSharry (eds.), Advanced Methods and Tools for ECG Data Analysis, Artech House 2006,
       section 3.6, after Friesen et al., IEEE Transactions on Biomedical Engineering 37(1), 1990.
    .. [3] Mehari and Strodthoff, Self-supervised representation learning from 12-lead ECG data, Computers in Biology
       and Medicine 2022, arXiv 2103.12676.
    .. [4] Moody, Muldrow, Mark, A noise stress test for arrhythmia detectors, Computers in Cardiology 1984.

    Examples
    --------
    >>> x = torch.sin(torch.linspace(0, 60, 1000)).expand(1, 1, 1000)
    >>> wander = BaselineWander(sampling_rate=100)(x, torch.Generator().manual_seed(0)) - x
    >>> power = torch.fft.rfft(wander[0, 0]).abs() ** 2  # bins of 0.1 Hz
    >>> bool(power[:8].sum() / power.sum() > 0.98)
    True
    """

    amplitude: float = real(0.15, low=0, neutral=0)
    highest: float = real(0.5, above=0)
    resolution: float = real(0.01, above=0)
    shared: bool = flag(True)
    sampling_rate: float | None = real(None, above=0)

    needs: ClassVar[frozenset[str]] = frozenset({"sampling_rate"})

    def __post_init__(self) -> None:
        """Check the parameters."""
        super().__post_init__()
        if not 1 <= round(self.highest / self.resolution) <= 10_000:
            raise ValueError(
                f"resolution={self.resolution} must divide highest={self.highest} into 1 to 10000 frequencies; got "
                f"{round(self.highest / self.resolution)}"
            )

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Series ``(n, C, T)`` with wander."""
        rates, known = sampling_rates(batch, self.sampling_rate, "baseline_wander")
        if self.amplitude == 0:
            return batch
        x = batch.x.to(torch.promote_types(batch.x.dtype, torch.float32))
        wander = self._wander(x, rates, generator)
        return batch.replace(x=of_known_rate(wander.mul_(peak_to_peak(x)).add_(x), batch.x, known))

    def _wander(self, x: Float[Tensor, "n c t"], rates: Tensor, generator: torch.Generator) -> Tensor:
        n, channels, steps = x.shape
        number = round(self.highest / self.resolution)
        size = self._each(x, number)
        amplitudes = uniform(size, generator, x).mul_(self.amplitude * math.sqrt(0.75 / number))
        phases = uniform(size, generator, x, 0.0, 2 * math.pi)
        if self.shared:
            gains = normal((n, channels, 1), generator, x).add_(1)
            gains = torch.where(bernoulli((n, channels, 1), 0.5, generator, x), gains, -gains)
            amplitudes, phases = amplitudes * lead_gains(gains), phases.expand(n, channels, number)
        frequencies = self.resolution * torch.arange(1, number + 1, dtype=torch.float64, device=x.device)
        return sines(amplitudes, phases, frequencies, rates, steps)
