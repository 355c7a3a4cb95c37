"""A few lines of the spectrum removed or raised (TF-C)."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from kinview.augmentations import augmentations
from kinview.augmentations._random import among_largest, largest, uniform
from kinview.augmentations._series import SeriesAugmentation
from kinview.augmentations._spectral import Lines, lines_of, with_change
from kinview.data.batch import Batch
from kinview.parameters import choice, real, whole

__all__ = ["FrequencyAddition", "FrequencyDropout"]

_REFERENCE = "Zhang et al., TF-C, NeurIPS 2022"


@augmentations.register("frequency_dropout", modality="time_series", family="frequency domain", reference=_REFERENCE)
@dataclasses.dataclass(frozen=True)
class FrequencyDropout(SeriesAugmentation):
    r"""Remove E lines of the spectrum, drawn for each series and channel.

    Of the lines :math:`k = 1 \dots K`, :math:`K = \lfloor L / 2 \rfloor`, of the spectrum :math:`X` of a series of L
    steps, :math:`E = \max(lines, \lfloor share \cdot K + 1/2 \rfloor)` distinct ones, at most K, become 0.

    Parameters
    ----------
    lines : int, default 1
        Smallest number of lines removed (kinview: at least one, also from a short series).
    share : float, default 0.1
        Fraction of the lines removed, in [0, 1] (official code). With 0 the number is ``lines`` exactly (the paper's
        E).

    Notes
    -----
    The result is a real series of the same length with the same mean: the mean is not a line. The official code removes
    each bin with probability 0.1, the mean among them, from magnitudes that no series belongs to any more, and adds the
    outcome to that of its frequency addition; here each is a view of its own.

    The spectrum is that of the series over its own length, gaps bridged linearly; gaps stay gaps. A series of one step
    stays as it is.

    References
    ----------
    .. [1] Zhang et al., Self-Supervised Contrastive Pre-Training For Time Series via Time-Frequency Consistency,
       NeurIPS 2022, arXiv 2206.08496.

    Examples
    --------
    >>> x = torch.randn(1, 1, 100, generator=torch.Generator().manual_seed(0))
    >>> view = FrequencyDropout(share=0.1)(x, torch.Generator().manual_seed(1))
    >>> int((torch.fft.rfft(view).abs() < 1e-4).sum())
    5
    """

    lines: int = whole(1, low=0, neutral=0)
    share: float = real(0.1, low=0, high=1, neutral=0)

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """View of ``(n, C, T)`` series."""
        if self.lines == 0 and self.share == 0:
            return batch
        spectra = lines_of(batch)
        keys, number = _keys(spectra, spectra.oscillating, self.lines, self.share, generator)
        removed = among_largest(keys, number[:, None].expand(keys.shape[:2]))
        return with_change(batch, spectra.values * removed.neg_(), spectra)


@augmentations.register("frequency_addition", modality="time_series", family="frequency domain", reference=_REFERENCE)
@dataclasses.dataclass(frozen=True)
class FrequencyAddition(SeriesAugmentation):
    r"""Raise the amplitude of E weak lines of the spectrum, drawn for each series and channel.

    With :math:`A_{max}` the largest amplitude of the lines :math:`k = 1 \dots \lfloor L / 2 \rfloor` of a series of L
    steps: E of the lines with :math:`|X_k| < \alpha A_{max}` take the amplitude :math:`\alpha A_{max}` and keep their
    phase. The number E is that of :class:`FrequencyDropout`, and at most that of the weak lines.

    Parameters
    ----------
    lines : int, default 1
        Smallest number of lines raised (the paper's E; 1 is kinview's, the least that changes a series).
    share : float, default 0.0
        Fraction of the lines raised, in [0, 1], where that are more. With 0 the number is ``lines`` exactly, as in the
        paper; the official code has 0.1.
    alpha : float, optional
        α, amplitude as a fraction of the largest one. Default: 0.5 with mode "raise" (paper), 0.1 with mode "add"
        (official code).
    mode : {"raise", "add"}, default "raise"
        "raise" lifts weak lines to :math:`\alpha A_{max}` (paper); "add" adds :math:`U(0, \alpha A_{max})` to the
        amplitude of any line (official code, on a tenth of the lines: share 0.1).

    Notes
    -----
    Strength moves ``share`` and ``alpha``. The result is a real series of the same length with the same mean. The
    official code takes the maximum over the whole batch and adds to magnitudes without a phase; here it is each
    series' own, and a line without amplitude gets a random phase (the Nyquist line of an even length the phase 0, so
    that the series stays real).

    The spectrum is that of the series over its own length, gaps bridged linearly; gaps stay gaps. A series of one step
    and a constant one stay as they are.

    References
    ----------
    .. [1] Zhang et al., Self-Supervised Contrastive Pre-Training For Time Series via Time-Frequency Consistency,
       NeurIPS 2022, arXiv 2206.08496.

    Examples
    --------
    >>> x = torch.sin(2 * torch.pi * 3 * torch.arange(50) / 50).reshape(1, 1, 50)
    >>> view = FrequencyAddition(lines=2, share=0, alpha=0.4)(x, torch.Generator().manual_seed(0))
    >>> torch.fft.rfft(view).abs().flatten().topk(4).values.round()
    tensor([25., 10., 10.,  0.])
    """

    lines: int = whole(1, low=0)
    share: float = real(0.0, low=0, high=1, neutral=0)
    alpha: float | None = real(None, low=0, neutral=0)
    mode: str = choice("raise", ("raise", "add"))

    def _explicit(self) -> FrequencyAddition:
        """With α written out."""
        return self if self.alpha is not None else self._with(alpha=0.5 if self.mode == "raise" else 0.1)

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """View of ``(n, C, T)`` series."""
        alpha = self._explicit().alpha or 0.0
        if (self.lines == 0 and self.share == 0) or alpha == 0 or batch.x.numel() == 0:
            return batch
        spectra = lines_of(batch)
        oscillating = spectra.oscillating
        amplitude = spectra.values.abs()
        amplitude[:, :, :1] = 0  # the mean; lines that a series does not have are 0 already
        largest = amplitude.amax(dim=2, keepdim=True) * alpha
        allowed = oscillating & (amplitude < largest) if self.mode == "raise" else oscillating & (largest > 0)
        where, drawn = _draw_lines(spectra, allowed, self.lines, self.share, generator)
        angle = uniform(tuple(where.shape), generator, largest, 0.0, 2 * torch.pi)
        angle = torch.where(2 * where == spectra.lengths[:, None, None], 0.0, angle)
        before, size = spectra.values.gather(2, where), amplitude.gather(2, where)
        direction, silent = before / size, size == 0
        if bool(silent.any()):
            direction = torch.where(silent, torch.polar(torch.ones_like(angle), angle), direction)
        lift = largest * uniform(tuple(where.shape), generator, largest) if self.mode == "add" else largest - size
        added = torch.where(drawn, direction * lift, 0)
        return with_change(batch, torch.zeros_like(spectra.values).scatter_(2, where, added), spectra)


def _keys(
    spectra: Lines, allowed: Tensor, lines: int, fraction: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Random keys ``(n, C, bins)``, -1 where a line is not allowed, and how many of the largest each row takes."""
    own = spectra.lengths // 2
    number = torch.maximum((fraction * own + 0.5).long(), torch.full_like(own, lines)).minimum(own)
    return torch.where(allowed, uniform(tuple(spectra.values.shape), generator, spectra.like), -1.0), number


def _draw_lines(
    spectra: Lines, allowed: Tensor, lines: int, fraction: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Positions of distinct random lines ``(n, C, most)``, and which of these count for their row and channel."""
    keys, number = _keys(spectra, allowed, lines, fraction, generator)
    most = int(number.max()) if len(number) else 0
    even = bool((number == most).all())  # then their order is of no account
    where = largest(keys, most) if even else keys.topk(most, dim=2).indices
    drawn = keys.gather(2, where) >= 0
    return where, drawn if even else drawn & (torch.arange(most, device=number.device) < number[:, None, None])
