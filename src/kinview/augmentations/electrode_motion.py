"""Electrodes that move on the skin: the baseline jumps and recovers."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import torch

from kinview.augmentations import augmentations
from kinview.augmentations._clinical import peak_to_peak
from kinview.augmentations._random import integers, uniform
from kinview.augmentations._sampling import of_known_rate, sampling_rates
from kinview.augmentations._series import SeriesAugmentation
from kinview.data.batch import Batch
from kinview.data.gaps import valid_lengths
from kinview.parameters import interval, real, whole

__all__ = ["ElectrodeMotion"]


@augmentations.register(
    "electrode_motion", modality="time_series", family="clinical", reference="Moody et al., Comput. Cardiol. 1984"
)
@dataclasses.dataclass(frozen=True)
class ElectrodeMotion(SeriesAugmentation):
    r"""Add jumps of the baseline that decay exponentially.

    .. math:: v_s = x_s + A\,P \sum_{e=1}^{E} g_e \exp\!\left(-\frac{s - b_e}{r\,\tau_e}\right) [s \ge b_e],
              \quad g_e \sim U(-1, 1)

    with sampling rate r and P the series' own peak-to-peak amplitude. Onset b_e, uniform over the steps of the series,
    and time constant τ_e are the row's; each channel has its own gain g_e.

    Parameters
    ----------
    amplitude : float, default 1.0
        A, the largest jump as a fraction of the peak-to-peak amplitude of each series and channel (kinview: as large as
        the signal; recordings show any size up to saturation [2]_). 0 is the identity.
    events : int, default 2
        E, jumps in a series (kinview).
    duration : (float, float), default (0.1, 0.5)
        Shortest and longest time constant τ, in seconds (kinview; jumps of up to half a second
        in [2]_).
    sampling_rate : float, optional
        Steps a second. Default: from the time stamps of the batch, in seconds (median step of each row).

    Notes
    -----
    Synthesised, with the character of the record ``em`` of the MIT-BIH noise stress test [1]_, the most troublesome of
    the three since a jump resembles an ectopic beat. Gaps stay as they are and nothing is read beyond the end; a
    constant series, which has no amplitude, and one whose time stamps tell no rate stay as they are.

    Raises
    ------
    ValueError
        When called without a sampling rate and without time stamps that tell it of any row.

    References
    ----------
    .. [1] Moody, Muldrow, Mark, A noise stress test for arrhythmia detectors, Computers in Cardiology 1984.
    .. [2] Clifford, Azuaje, McSharry (eds.), Advanced Methods and Tools for ECG Data Analysis, Artech House 2006,
       section 3.6, after Friesen et al., IEEE Transactions on Biomedical Engineering 37(1), 1990.

    Examples
    --------
    >>> x = torch.sin(torch.linspace(0, 60, 1000)).expand(1, 1, 1000)
    >>> motion = ElectrodeMotion(events=1, sampling_rate=100)(x, torch.Generator().manual_seed(0)) - x
    >>> onset = int(motion.abs().argmax())
    >>> bool((motion[0, 0, :onset] == 0).all() and (motion[0, 0, onset:].abs().diff()[:20] < 0).all())
    True
    """

    amplitude: float = real(1.0, low=0, neutral=0)
    events: int = whole(2, low=1, high=64)
    duration: tuple[float, float] = interval((0.1, 0.5), above=0)
    sampling_rate: float | None = real(None, above=0)

    needs: ClassVar[frozenset[str]] = frozenset({"sampling_rate"})

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Series ``(n, C, T)`` with jumps."""
        rates, known = sampling_rates(batch, self.sampling_rate, "electrode_motion")
        if self.amplitude == 0:
            return batch
        x = batch.x.to(torch.promote_types(batch.x.dtype, torch.float32))
        n, channels, steps = x.shape
        lengths = valid_lengths(batch.x, batch.times)[:, None]
        onset = integers((n, self.events), 0, lengths.to(generator.device), generator).to(x.device)
        decay = uniform((n, self.events), generator, x, *self.duration) * rates[:, None].to(x.dtype)
        gains = uniform((n, channels, self.events), generator, x, -1.0, 1.0).mul_(self.amplitude)
        gains = gains.mul_(peak_to_peak(x))
        step = torch.arange(steps, dtype=x.dtype, device=x.device)
        view = x.clone()
        for event in range(self.events):  # a few; all at once they would take events times the memory
            since = step - onset[:, event, None]
            since = since.masked_fill_(since < 0, torch.inf).mul_(-1 / decay[:, event, None]).exp_()
            view.addcmul_(gains[:, :, event, None], since[:, None, :])
        return batch.replace(x=of_known_rate(view, batch.x, known))
