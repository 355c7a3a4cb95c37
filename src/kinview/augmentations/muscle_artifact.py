"""Bursts of muscle activity."""

from __future__ import annotations

import dataclasses

import torch

from kinview.augmentations import augmentations
from kinview.augmentations._clinical import peak_to_peak
from kinview.augmentations._random import normal, uniform
from kinview.augmentations._series import SeriesAugmentation
from kinview.data.batch import Batch
from kinview.data.gaps import valid_lengths
from kinview.parameters import interval, real

__all__ = ["MuscleArtifact"]


@augmentations.register(
    "muscle_artifact", modality="time_series", family="clinical", reference="Friesen et al., IEEE TBME 1990"
)
@dataclasses.dataclass(frozen=True)
class MuscleArtifact(SeriesAugmentation):
    r"""Add a burst of muscle activity: white noise that swells and fades.

    .. math:: v_s = x_s + A\,P\,\sin^2\!\left(\pi \frac{s + 1/2 - b}{d}\right) \epsilon_s \quad (b < s + 1/2 < b + d),
              \quad \epsilon_s \sim N(0, 1)

    with P the series' own peak-to-peak amplitude. Each row has one burst: d is a fraction of its length drawn from
    ``duration`` (one step at least), b uniform so that the burst lies within the series. The channels of a row share
    the burst's place, each with its own noise.

    Parameters
    ----------
    amplitude : float, default 0.1
        A, the standard deviation at the height of the burst as a fraction of the peak-to-peak amplitude of each series
        and channel (10 % in [1]_). 0 is the identity.
    duration : (float, float), default (0.25, 1.0)
        Shortest and longest burst, as a fraction of the series (kinview: from a quarter of it to all of it).

    Notes
    -----
    Synthesised, with the character of the record ``ma`` of the MIT-BIH noise stress test [2]_: surface EMG is broad
    against the band of a recording, so its noise is white, as in [1]_ and in the public code of Mehari and Strodthoff
    [3]_, which lets it last over the whole recording. Gaps stay as they are and nothing is read beyond the end; a
    constant series has no amplitude and stays as it is.

    References
    ----------
    .. [1] Clifford, Azuaje, McSharry (eds.), Advanced Methods and Tools for ECG Data Analysis, Artech House 2006,
       section 3.6, after Friesen et al., IEEE Transactions on Biomedical Engineering 37(1), 1990.
    .. [2] Moody, Muldrow, Mark, A noise stress test for arrhythmia detectors, Computers in Cardiology 1984.
    .. [3] Mehari and Strodthoff, Self-supervised representation learning from 12-lead ECG data, Computers in Biology
       and Medicine 2022, arXiv 2103.12676.

    Examples
    --------
    >>> x = torch.sin(torch.linspace(0, 60, 1000)).expand(1, 1, 1000)
    >>> burst = MuscleArtifact(duration=(0.5, 0.5))(x, torch.Generator().manual_seed(0)) != x
    >>> int(burst.sum())
    500
    """

    amplitude: float = real(0.1, low=0, neutral=0)
    duration: tuple[float, float] = interval((0.25, 1.0), low=0, high=1)

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Series ``(n, C, T)`` with a burst each."""
        if self.amplitude == 0:
            return batch
        x = batch.x.to(torch.promote_types(batch.x.dtype, torch.float32))
        n, _, steps = x.shape
        fraction = uniform((n, 1), generator, x, *self.duration)
        place = uniform((n, 1), generator, x)
        noise = normal(tuple(x.shape), generator, x)
        length = valid_lengths(batch.x, batch.times)[:, None].to(x.dtype)
        long = (fraction * length).clamp_min(1.0)
        start = place * (length - long).clamp_min(0)
        middle = torch.arange(steps, dtype=x.dtype, device=x.device) + 0.5
        within = ((middle - start) / long).clamp_(0, 1)
        envelope = within.mul_(torch.pi).sin_().square_().mul_(self.amplitude)
        envelope = torch.where((middle > start) & (middle < start + long), envelope, 0)[:, None, :]
        return batch.replace(x=noise.mul_(envelope).mul_(peak_to_peak(x)).add_(x).to(batch.x.dtype))
