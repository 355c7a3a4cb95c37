"""Amplitudes and phases of two rows mixed apart (Finding Order in Chaos)."""

from __future__ import annotations

import dataclasses

import torch
from jaxtyping import Float
from torch import Tensor

from kinview.augmentations import augmentations
from kinview.augmentations._mixing import Mixed, Mixing, realised
from kinview.augmentations._random import uniform
from kinview.augmentations._spectral import Lines, centred, with_change
from kinview.data.batch import Batch
from kinview.data.spectrum import spectrum
from kinview.parameters import interval

__all__ = ["AmplitudePhaseMixup", "mixed_apart"]


@augmentations.register(
    "amplitude_phase_mixup",
    modality="time_series",
    family="frequency domain",
    reference="Demirel and Holz, Finding Order in Chaos, NeurIPS 2023",
)
@dataclasses.dataclass(frozen=True)
class AmplitudePhaseMixup(Mixing):
    r"""Mix the amplitudes of two spectra, and turn the own phases towards the other's along the shortest arc.

    For each line :math:`k = 1 \dots \lfloor L / 2 \rfloor` of the spectra :math:`X, X'` of a row and its partner, with
    :math:`\Delta_k = \arg(X'_k \bar X_k) \in (-\pi, \pi]`:

    .. math::
        |\tilde X_k| = \lambda_A |X_k| + (1 - \lambda_A) |X'_k|, \quad
        \arg \tilde X_k = \arg X_k + (1 - \lambda_P) \Delta_k

    so that, other than in a linear mixup, what both share cannot cancel. :math:`\lambda_A` and :math:`\lambda_P` are
    uniform, one each for a row.

    Parameters
    ----------
    amplitude_share : (float, float), default (0.7, 1.0)
        Range of λ_A, the own row's weight in the amplitudes, in [0, 1] (paper, of similar pairs). (1, 1) keeps them.
    phase_share : (float, float), default (0.9, 1.0)
        Range of λ_P, the own row's weight in the phases, in [0, 1] (paper, of similar pairs). (1, 1) keeps them.

    Notes
    -----
    ``extra`` holds the partner, λ_A as ``coefficient`` and λ_P as ``phase_coefficient``, both as realised:
    1 − (1 − λ) r, with r the fraction of the row's observed values where the partner has one too. Partners are drawn at
    random, and all pairs have the weights of the paper's similar ones; :class:`~kinview.augmentations.TailoredMixup`
    chooses partners and weights by a similarity that it learns.

    The own mean stays. The Nyquist line of an even length is real, and keeps its sign (the partner's, for λ_P below a
    half); a line without own amplitude takes the partner's phase. Spectra are those over the own row's length, gaps
    bridged linearly; of a longer partner only that many steps are read, a shorter one is continued at its mean. A
    channel that the partner lacks stays as it is, and gaps stay gaps.

    References
    ----------
    .. [1] Demirel and Holz, Finding Order in Chaos: A Novel Data Augmentation Method for Time Series in Contrastive
       Learning, NeurIPS 2023, arXiv 2309.13439.

    Examples
    --------
    >>> steps = 2 * torch.pi * torch.arange(50) / 50
    >>> x = torch.stack([torch.sin(3 * steps), -torch.sin(3 * steps)])[:, None]
    >>> view = AmplitudePhaseMixup()(x, torch.Generator().manual_seed(0))
    >>> view.abs().amax(dim=2).flatten().round()  # opposite phases, and yet nothing is lost
    tensor([1., 1.])
    """

    amplitude_share: tuple[float, float] = interval((0.7, 1.0), low=0, high=1, neutral=1)
    phase_share: tuple[float, float] = interval((0.9, 1.0), low=0, high=1, neutral=1)

    def mixed(self, batch: Batch, partner: Tensor, generator: torch.Generator) -> Mixed:
        """Spectra mixed line by line."""
        like = batch.x if batch.x.dtype in (torch.float32, torch.float64) else batch.x.float()
        amplitude, phase = (
            uniform((len(batch),), generator, like, low=low, high=high)
            for low, high in (self.amplitude_share, self.phase_share)
        )
        return mixed_apart(batch, partner, amplitude, phase)


def mixed_apart(batch: Batch, partner: Tensor, amplitude: Float[Tensor, " n"], phase: Float[Tensor, " n"]) -> Mixed:
    """Series mixed with their partners, spectra line by line, and the weights as realised.

    Parameters
    ----------
    batch : Batch
        Series ``(n, C, T)``.
    partner : Tensor
        Position of each row's partner, ``(n,)``.
    amplitude, phase : Tensor
        λ_A and λ_P of each row; where all are 1, the series stay as they are.
    """
    told = {
        name: realised(weight, batch.x, partner).to(batch.x.dtype)
        for name, weight in (("coefficient", amplitude), ("phase_coefficient", phase))
    }
    if bool((amplitude == 1).all()) and bool((phase == 1).all()):
        return batch.x, told
    series, lengths, unit = centred(batch)
    own = spectrum(series, lengths)
    even = bool((lengths == lengths[partner]).all())
    other = own[partner] if even else spectrum(series[partner], lengths)
    if unit is not None:  # of both units the larger one, in which neither overflows
        own_unit, unit = unit, torch.maximum(unit, unit[partner])
        own, other = own * (own_unit / unit), other * (own_unit[partner] / unit)
    change = _mixed_spectra(own, other, lengths, amplitude[:, None, None], 1 - phase[:, None, None]).sub_(own)
    change[:, :, :1] = 0
    absent = torch.isnan(batch.x).all(dim=2, keepdim=True)[partner]
    return with_change(batch, change.masked_fill_(absent, 0), Lines(own, lengths, unit)).x, told


def _mixed_spectra(own: Tensor, other: Tensor, lengths: Tensor, weight: Tensor, turn: Tensor) -> Tensor:
    """Amplitudes weighted, phases turned by that fraction of the shortest arc."""
    before, amplitude = own.abs(), other.abs()
    mixed = torch.lerp(amplitude, before, weight)
    line = torch.arange(own.shape[2], device=own.device)
    nyquist = (2 * line == lengths[:, None])[:, None, :]
    angle = (other * own.conj()).angle().mul_(torch.where(nyquist, turn.round(), turn))
    directed = before > 1e-20 * mixed  # otherwise the own line has no phase to speak of
    scale = mixed.div_(torch.where(directed, before, amplitude).clamp_min(torch.finfo(mixed.dtype).tiny))
    return torch.where(directed, torch.complex(angle.cos().mul_(scale), angle.sin().mul_(scale)) * own, other * scale)
