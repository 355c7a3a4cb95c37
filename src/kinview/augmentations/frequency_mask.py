"""Bands of the spectrum masked."""

from __future__ import annotations

import dataclasses

import torch

from kinview.augmentations import augmentations
from kinview.augmentations._series import SeriesAugmentation
from kinview.augmentations._spans import drawn_spans
from kinview.augmentations._spectral import lines_of, with_change
from kinview.data.batch import Batch
from kinview.parameters import flag, real, whole

__all__ = ["FrequencyMask"]


@augmentations.register(
    "frequency_mask",
    modality="time_series",
    family="frequency domain",
    reference="after Park et al., SpecAugment, Interspeech 2019",
)
@dataclasses.dataclass(frozen=True)
class FrequencyMask(SeriesAugmentation):
    r"""Remove bands of neighbouring lines from the spectrum of each series and channel.

    Of the K lines :math:`1 \dots \lfloor L / 2 \rfloor` of a series of L steps, a band of
    :math:`w \sim U\{1 \dots \max(1, \lfloor width \cdot K \rfloor)\}` lines becomes 0, wherever it fits; once for each
    mask, and bands may overlap.

    Parameters
    ----------
    width : float, default 0.2
        Largest fraction of the lines in one band, in [0, 1] (kinview; SpecAugment masks at most 27 of 80 mel bands).
    masks : int, default 1
        Number of bands (SpecAugment: 1 and 2).
    shared : bool, default False
        Whether the channels of a row share their bands.

    Notes
    -----
    It is SpecAugment's frequency mask on the whole series instead of on a spectrogram
    (:class:`~kinview.augmentations.SpectrogramMask` has that), and at least one line goes where
    SpecAugment may draw a width of 0. The mean of the series stays. The spectrum is that of the series over its own
    length, gaps bridged linearly; gaps stay gaps. A series of one step stays as it is.

    References
    ----------
    .. [1] Park et al., SpecAugment: A Simple Data Augmentation Method for Automatic Speech Recognition, Interspeech
       2019, arXiv 1904.08779.

    Examples
    --------
    >>> x = torch.randn(1, 1, 100, generator=torch.Generator().manual_seed(0))
    >>> view = FrequencyMask()(x, torch.Generator().manual_seed(0))
    >>> (torch.fft.rfft(view)[0, 0].abs() < 1e-4).nonzero().flatten()
    tensor([30, 31, 32, 33, 34, 35, 36, 37, 38, 39])
    """

    width: float = real(0.2, low=0, high=1, neutral=0)
    masks: int = whole(1, low=1)
    shared: bool = flag(False)

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """View of ``(n, C, T)`` series."""
        if self.width == 0:
            return batch
        spectra = lines_of(batch)
        lines = spectra.values.shape[2] - 1
        masked = drawn_spans(self._each(batch.x, self.masks), spectra.lengths // 2, self.width, lines, generator)
        change = torch.zeros_like(spectra.values)
        change[:, :, 1:] = spectra.values[:, :, 1:] * -masked
        return with_change(batch, change, spectra)
