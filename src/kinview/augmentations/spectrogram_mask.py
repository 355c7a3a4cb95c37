"""Bands and times of a spectrogram masked (SpecAugment)."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from kinview.augmentations import augmentations
from kinview.augmentations._series import SeriesAugmentation
from kinview.augmentations._spans import drawn_spans
from kinview.augmentations._spectral import centred, out_of_range
from kinview.data.batch import Batch
from kinview.parameters import flag, real, whole

__all__ = ["SpectrogramMask"]

_OVERLAP = 4  # frames over each step: with it, squared Hann windows add up to a constant
_WEIGHT = 1.5  # that constant


@augmentations.register(
    "spectrogram_mask",
    modality="time_series",
    family="frequency domain",
    reference="Park et al., SpecAugment, Interspeech 2019",
)
@dataclasses.dataclass(frozen=True)
class SpectrogramMask(SeriesAugmentation):
    r"""Mask bands of frequencies and stretches of time in the short-time Fourier transform, and go back to the series.

    The transform of the series less its mean has Hann windows of ``window`` steps, a quarter of that apart. Of its K
    frequencies a band of :math:`w \sim U\{1 \dots \max(1, \lfloor frequency\_width \cdot K \rfloor)\}` becomes 0
    wherever it fits, and likewise a stretch of its frames; then overlap and add with the same window gives the series,
    least squares.

    Parameters
    ----------
    window : int, default 64
        Steps of a window, a multiple of 4 (kinview; of half a second at 125 Hz).
    frequency_width : float, default 0.3
        Largest fraction of the frequencies in one band, in [0, 1] (paper: 27 of 80). 0 masks none.
    frequency_masks : int, default 1
        Number of bands (paper: 1 and 2).
    time_width : float, default 0.1
        Largest fraction of the frames in one stretch, in [0, 1] (paper: 1 second of some 10). 0 masks none.
    time_masks : int, default 1
        Number of stretches (paper: 1 and 2).
    shared : bool, default False
        Whether the channels of a row share their masks.

    Notes
    -----
    The paper masks the mel spectrogram that its network reads, by zero, which is the mean there; here the view is a
    real series again, of the same length and about the same mean, and at least one band and one stretch go where the
    paper may draw a width of 0. Its time warping is left out: that is ``time_warp``.

    Only the masked part is transformed back, so without a mask the series is the same bit by bit. Frames reach over
    both ends of the series, where it is continued at its mean. Gaps are bridged linearly, and stay gaps.

    Raises
    ------
    ValueError
        At construction for a window that is not a multiple of 4.

    References
    ----------
    .. [1] Park et al., SpecAugment: A Simple Data Augmentation Method for Automatic Speech Recognition, Interspeech
       2019, arXiv 1904.08779.

    Examples
    --------
    >>> x = torch.randn(1, 1, 512, generator=torch.Generator().manual_seed(0))
    >>> view = SpectrogramMask(frequency_width=0.5, time_width=0)(x, torch.Generator().manual_seed(0))
    >>> spectrogram = lambda series: torch.stft(series[0], 64, window=torch.hann_window(64), return_complex=True).abs()
    >>> (spectrogram(view) / spectrogram(x)).median(dim=2).values.flatten()[::4].round(decimals=1)
    tensor([1.0000, 1.0000, 1.0000, 0.4000, 0.0000, 0.0000, 0.0000, 0.7000, 1.0000])
    """

    window: int = whole(64, low=4)
    frequency_width: float = real(0.3, low=0, high=1, neutral=0)
    frequency_masks: int = whole(1, low=1)
    time_width: float = real(0.1, low=0, high=1, neutral=0)
    time_masks: int = whole(1, low=1)
    shared: bool = flag(False)

    def __post_init__(self) -> None:
        """Check the parameters, the window's divisibility too."""
        super().__post_init__()
        if self.window % _OVERLAP:
            raise ValueError(f"window must be a multiple of {_OVERLAP}; got {self.window}")

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """View of ``(n, C, T)`` series."""
        n, channels, steps = batch.x.shape
        if (self.frequency_width == 0 and self.time_width == 0) or batch.x.numel() == 0:
            return batch
        series, lengths, unit = centred(batch)
        hop = self.window // _OVERLAP
        taper = torch.hann_window(self.window, dtype=series.dtype, device=series.device)
        frames = (steps - 1) // hop + _OVERLAP
        before = self.window - hop
        padded = torch.nn.functional.pad(series, (before, (frames + _OVERLAP - 1) * hop - before - steps))
        spectrogram = torch.fft.rfft(padded.unfold(2, self.window, hop) * taper)  # (n, C, frames, frequencies)
        masked = self._masked(lengths, (n, channels, frames, spectrogram.shape[3]), generator)
        removed = torch.fft.irfft(spectrogram.mul_(masked), n=self.window).mul_(taper / _WEIGHT)
        gone = out_of_range(_overlap_added(removed)[:, :, before : before + steps], unit)
        return batch.replace(x=batch.x - gone.to(batch.x.dtype))

    def _masked(self, lengths: Tensor, shape: tuple[int, int, int, int], generator: torch.Generator) -> Tensor:
        """1 where the spectrogram is masked, else 0: ``(n, C or 1, frames or 1, frequencies or 1)``."""
        n, channels, frames, frequencies = shape
        drawn = 1 if self.shared else channels
        own = torch.where(lengths > 0, (lengths - 1) // (self.window // _OVERLAP) + _OVERLAP, 0)
        masked = torch.zeros(n, drawn, 1, 1, device=lengths.device)
        if self.frequency_width:
            all_of_them = torch.full_like(lengths, frequencies)
            size = (n, drawn, self.frequency_masks)
            band = drawn_spans(size, all_of_them, self.frequency_width, frequencies, generator)
            masked = torch.maximum(masked, band[:, :, None, :])
        if self.time_width:
            stretch = drawn_spans((n, drawn, self.time_masks), own, self.time_width, frames, generator)
            masked = torch.maximum(masked, stretch[:, :, :, None])
        return masked


def _overlap_added(frames: Tensor) -> Tensor:
    """Sum of frames, each a quarter of its width after the one before: ``(..., frames, width)`` to ``(..., time)``."""
    *outer, count, width = frames.shape
    hop = width // _OVERLAP
    total = frames.new_zeros(*outer, count + _OVERLAP - 1, hop)
    for part in range(_OVERLAP):
        total[..., part : part + count, :] += frames[..., part * hop : (part + 1) * hop]
    return total.flatten(-2)
