"""The frequency branch: magnitude spectra of series of any length, on one grid of bins, before an encoder."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from kinview.data.gaps import bridge, valid_lengths
from kinview.data.spectrum import spectrum
from kinview.encoders import encoders
from kinview.encoders.base import SeriesEncoder
from kinview.encoders.front_end import FillRule
from kinview.parameters import check_integer

__all__ = ["FrequencyEncoder", "magnitude_spectrum"]


def magnitude_spectrum(
    x: Float[Tensor, "n c t"], bins: int = 128, times: Float[Tensor, "n t"] | None = None
) -> Float[Tensor, "n c bins"]:
    r"""Magnitude spectrum of each series over its own length, on a fixed number of bins up to the Nyquist frequency.

    With L the length of a series, gaps bridged linearly inside it: :math:`m_k = |X_k| / \sqrt{L}` at the frequencies
    k / L. Bin j of B is the mean over :math:`[\frac{j}{2B}, \frac{j + 1}{2B}]` of the curve that joins these points.

    Parameters
    ----------
    x : Tensor
        Series ``(n, C, T)`` with NaN in gaps and beyond the end.
    bins : int, default 128
        B. A longer series has its bins averaged, a shorter one joined; so spectra of all lengths are comparable.
    times : Tensor, optional
        Time stamps ``(n, T)``; a finite stamp keeps an unobserved trailing step as a gap.

    Returns
    -------
    Tensor
        ``(n, C, B)``, zero for a channel without observations. White noise of variance 1 has the same level at all
        lengths.

    Examples
    --------
    >>> wave = torch.cos(torch.pi / 2 * torch.arange(16.0))[None, None]  # a quarter of the sampling rate
    >>> [round(value, 2) for value in magnitude_spectrum(wave, bins=4)[0, 0].tolist()]
    [0.0, 0.5, 0.5, 0.0]
    """
    return _magnitude_spectrum(bridge(x), bins, valid_lengths(x, times))


def _magnitude_spectrum(x: Tensor, bins: int, lengths: Tensor) -> Tensor:
    magnitude = spectrum(x, lengths).abs()
    own = lengths.clamp_min(1)
    magnitude = magnitude / own.to(magnitude.dtype).sqrt()[:, None, None]
    return _means_on_a_grid(magnitude.double(), own, bins).to(x.dtype)


def _means_on_a_grid(magnitude: Tensor, lengths: Tensor, bins: int) -> Tensor:
    """Mean of the piecewise linear curve over each cell, from its running integral (in float64)."""
    n, channels, known = magnitude.shape
    last = (lengths // 2)[:, None]
    column = torch.arange(known + 1, device=magnitude.device).expand(n, known + 1).minimum(last)  # held after the last
    curve = magnitude.gather(2, column[:, None, :].expand(n, channels, known + 1))
    area = torch.cumsum((curve[:, :, :-1] + curve[:, :, 1:]) / 2, dim=2)
    area = torch.nn.functional.pad(area, (1, 0))
    edge = torch.linspace(0.0, 0.5, bins + 1, dtype=torch.float64, device=magnitude.device) * lengths[:, None]
    left = edge.floor().clamp_max(known - 1)
    fraction = (edge - left)[:, None, :]
    index = left.long()[:, None, :].expand(n, channels, bins + 1)
    start, stop = curve.gather(2, index), curve.gather(2, index + 1)
    integral = area.gather(2, index) + fraction * start + fraction.square() / 2 * (stop - start)
    return integral.diff(dim=2) / edge.diff(dim=1)[:, None, :]


@encoders.register(
    "frequency",
    modality="time_series",
    reference="Zhang et al., TF-C, NeurIPS 2022",
    parts={"encoder": ("encoders", "front_end", "fill")},
)
class FrequencyEncoder(SeriesEncoder):
    """Magnitude spectrum of each series over its own length, read by an encoder as if its bins were steps.

    Parameters
    ----------
    channels : int
        Number of input channels C.
    encoder : str or mapping, default "resnet1d"
        Spec of the series encoder that reads the spectra (TF-C: the architecture of the time branch). Spectra have no
        gaps, so it is built with ``front_end="values"`` where it has that parameter and the spec does not set it, and
        a ``fill`` in it has nothing to fill.
    bins : int, default 128
        Bins of the spectrum; see :func:`magnitude_spectrum`.
    fill : {"linear", "zero", "hold", "completion", "completion+channels"}
        What stands in the gaps of a series before its spectrum is taken, by position; see :class:`Filling`.

    Notes
    -----
    Shapes: ``(n, C, T) -> (n, D, T')`` with T' that of ``bins`` steps (or ``(n, D)`` where the inner encoder flattens).
    Every feature sees the whole series. A series without observations gives zeros. The phase is dropped (TF-C). The
    official code takes the unnormalised spectrum with its mirror half, of series cut to one length.

    References
    ----------
    .. [1] Zhang et al., Self-Supervised Contrastive Pre-Training for Time Series via Time-Frequency Consistency,
       NeurIPS 2022, arXiv 2206.08496.

    Examples
    --------
    >>> encoder = FrequencyEncoder(channels=1, encoder={"resnet1d": {"widths": [4, 8], "kernel_sizes": [3, 3]}}).eval()
    >>> encoder(torch.zeros(3, 1, 20)).shape, encoder(torch.zeros(3, 1, 500)).shape
    (torch.Size([3, 8, 32]), torch.Size([3, 8, 32]))
    """

    def __init__(
        self,
        channels: int,
        encoder: str | Mapping[str, Any] = "resnet1d",
        bins: int = 128,
        fill: FillRule = "linear",
    ) -> None:
        super().__init__({"channels": channels, "bins": bins}, encoder=encoder, fill=fill)
        check_integer(bins, "bins", at_least=2)
        self.bins = bins
        self.encoder = encoders.build(_without_gaps(encoder), channels=channels)
        self.repr_dim = self.encoder.repr_dim
        self.row_independent = self.encoder.row_independent
        self.features_over_time = False

    def feature_lengths(self, lengths: Int64[Tensor, " n"]) -> Int64[Tensor, " n"]:
        """Number of features: all of them, but for a series without observations."""
        full = torch.full_like(lengths, self.bins)
        if hasattr(self.encoder, "feature_lengths"):
            full = self.encoder.feature_lengths(full)
        return full * (lengths > 0)

    def encode(
        self, features: Float[Tensor, "n c t"], lengths: Int64[Tensor, " n"], observed: Bool[Tensor, "n t"]
    ) -> Float[Tensor, "n d ..."]:
        """Features of the spectra."""
        out: Tensor = self.encoder(_magnitude_spectrum(features, self.bins, lengths))
        seen = lengths > 0
        return out if bool(seen.all()) else out * seen.view(-1, *(1,) * (out.ndim - 1))


def _without_gaps(spec: str | Mapping[str, Any]) -> dict[str, Any]:
    """Spec of an encoder for input without gaps: the front-end for that, where it leaves its own open, and no fill."""
    if not isinstance(spec, str | Mapping) or len(spec) == 0:
        raise ValueError(f"the encoder of spectra is given as a name or {{name: {{parameter: value}}}}; got {spec!r}")
    name = spec if isinstance(spec, str) else next(iter(spec))
    given = {} if isinstance(spec, str) else spec[name] or {}
    has_one = "front_end" in inspect.signature(encoders[name].target).parameters
    bare = {"front_end": "values", "fill": "zero"} if has_one else {}
    return {name: {**bare, **{k: v for k, v in given.items() if k != "fill"}}}
