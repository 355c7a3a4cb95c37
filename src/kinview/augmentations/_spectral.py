"""Spectra of series, and changes of their lines brought back to time."""

from __future__ import annotations

import dataclasses

import torch
from jaxtyping import Float
from torch import Tensor

from kinview.data.batch import Batch
from kinview.data.gaps import bridge, valid_lengths
from kinview.data.spectrum import inverse_spectrum, spectrum

__all__ = ["Lines", "centred", "in_range", "lines_of", "out_of_range", "with_change"]

_LARGE = 1e15  # beyond it, and below its inverse, sums of squares leave the range of single precision


@dataclasses.dataclass(frozen=True, eq=False)
class Lines:
    """The lines of a batch of series: line k of a row of L steps turns k times in L steps, k = 0 … L // 2.

    Parameters
    ----------
    values : Tensor
        Complex ``(n, C, bins)``, of the bridged series less their mean; zero beyond each row's own lines.
    lengths : Tensor
        L of each row, ``(n,)``.
    unit : Tensor or None
        What one stands for in the lines of each series and channel, ``(n, C, 1)``; None where that is 1 for all.
    """

    values: Tensor
    lengths: Tensor
    unit: Tensor | None = None

    @property
    def oscillating(self) -> Tensor:
        """True for the lines 1 … L // 2, ``(n, 1, bins)``: all but the mean."""
        return self._below(self.lengths // 2 + 1)

    @property
    def turning(self) -> Tensor:
        """True for the lines that have a phase, ``(n, 1, bins)``: not the mean, nor the Nyquist line of an even L."""
        return self._below((self.lengths + 1) // 2)

    @property
    def like(self) -> Tensor:
        """A real tensor of the type and device that draws are to have."""
        return self.values.real

    def _below(self, end: Tensor) -> Tensor:
        line = torch.arange(self.values.shape[2], device=self.values.device)
        return ((line > 0) & (line < end[:, None]))[:, None, :]


def lines_of(batch: Batch) -> Lines:
    """Spectrum of each series over its own length, gaps bridged, less its mean (so that an offset costs no digits)."""
    series, lengths, unit = centred(batch)
    return Lines(spectrum(series, lengths), lengths, unit)


def centred(batch: Batch) -> tuple[Tensor, Tensor, Tensor | None]:
    """Series with gaps bridged less their mean, zero beyond the end of each, in float32 at least.

    Also their lengths, and their unit: see :func:`in_range`.
    """
    x = batch.x if batch.x.dtype in (torch.float32, torch.float64) else batch.x.float()
    lengths = valid_lengths(x, batch.times)
    (bridged, unit), steps = in_range(bridge(x)), x.shape[2]
    if bool((lengths == steps).all()):
        return (bridged - bridged.mean(dim=2, keepdim=True) if steps else bridged), lengths, unit
    inside = (torch.arange(steps, device=bridged.device) < lengths[:, None])[:, None, :]
    kept = torch.where(inside, bridged, 0.0)
    mean = kept.sum(dim=2, keepdim=True) / lengths.clamp_min(1)[:, None, None]
    return torch.where(inside, bridged - mean, 0.0), lengths, unit


def in_range(x: Float[Tensor, "n c t"]) -> tuple[Float[Tensor, "n c t"], Tensor | None]:
    """Series whose sums and products neither overflow nor vanish, and the unit ``(n, C, 1)`` they are counted in.

    A series and channel without gaps whose peak is far from 1 is divided by the power of two next to its peak; where
    there is none such, the values are left alone and the unit is None.

    Examples
    --------
    >>> series, unit = in_range(torch.tensor([[[3 * 2.0**120, -(2.0**120)]], [[5.0, 1.0]]]))
    >>> series.tolist(), unit.log2().flatten().tolist()
    ([[[0.75, -0.25]], [[5.0, 1.0]]], [122.0, 0.0])
    """
    if x.numel() == 0:
        return x, None
    norm = torch.linalg.vector_norm(x.detach(), dim=2)  # between the peak and √T times the peak
    if bool(((norm < _LARGE) & (norm > 1 / _LARGE)).all()):
        return x, None
    peak = x.detach().abs().amax(dim=2, keepdim=True)
    far = ((peak > _LARGE) | (peak < 1 / _LARGE)) & (peak > 0) & torch.isfinite(peak)
    if not bool(far.any()):
        return x, None
    power = torch.frexp(torch.where(far, peak, 0.5)).exponent.clamp(-126, 126)
    unit = torch.ldexp(torch.ones_like(peak), power)
    return x / unit, unit


def out_of_range(x: Float[Tensor, "n c t"], unit: Tensor | None) -> Float[Tensor, "n c t"]:
    """Series back from the unit that :func:`in_range` gave them."""
    return x if unit is None else x * unit


def with_change(batch: Batch, change: Tensor, lines: Lines) -> Batch:
    """The batch plus the series of a change of its lines: what did not change is not computed, and gaps stay gaps."""
    added = out_of_range(inverse_spectrum(change, lines.lengths, batch.x.shape[2]), lines.unit)
    return batch.replace(x=added.to(batch.x.dtype).add_(batch.x))
