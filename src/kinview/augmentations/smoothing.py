"""Detail taken away: averages with neighbours, blocks of equal values."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from kinview.augmentations import augmentations
from kinview.augmentations._random import uniform
from kinview.augmentations._series import SeriesAugmentation
from kinview.data.batch import Batch
from kinview.data.gaps import bridge, complete, valid_lengths
from kinview.parameters import choice, interval, whole

__all__ = ["Convolve", "Pool", "Smooth"]

_WINDOWS: dict[str, Callable[[Tensor], Tensor]] = {  # by the angle from -π to π
    "hann": lambda angle: 0.5 + 0.5 * angle.cos(),
    "hamming": lambda angle: 0.54 + 0.46 * angle.cos(),
    "blackman": lambda angle: 0.42 + 0.5 * angle.cos() + 0.08 * (2 * angle).cos(),
    "bartlett": lambda angle: 1 - angle.abs() / torch.pi,
    "boxcar": torch.ones_like,
}
_DIRECT = 256  # weights up to which a sum takes less time than transforms


@augmentations.register(
    "smooth", modality="time_series", family="time domain", reference="Chen et al., SimCLR, ICML 2020"
)
@dataclasses.dataclass(frozen=True)
class Smooth(SeriesAugmentation):
    r"""Blur a series by a Gaussian window of random width, one for all its channels.

    :math:`y_t = \sum_k w_k x_{t+k}`, :math:`w_k \propto \exp(-k^2 / 2\sigma^2)` for :math:`|k| \le 4 \max(sigma)`, with
    :math:`\sigma \sim U(sigma)` for each row.

    Parameters
    ----------
    sigma : tuple of float, default (0.5, 2.0)
        Smallest and largest standard deviation of the window in steps. SimCLR blurs images with 0.1 to 2 pixels; below
        0.5 next to nothing happens. (0, 0) is the identity.

    Notes
    -----
    The values at both ends of a series are held beyond them. Gaps are bridged before, and a missing value stays
    missing.

    References
    ----------
    .. [1] Chen et al., A simple framework for contrastive learning of visual representations, ICML 2020.

    Examples
    --------
    >>> y = Smooth(sigma=(1.0, 1.0))(torch.tensor([[[0.0, 0.0, 1.0, 0.0, 0.0]]]))
    >>> [round(value, 3) for value in y[0, 0].tolist()]
    [0.054, 0.242, 0.399, 0.242, 0.054]
    """

    sigma: tuple[float, float] = interval((0.5, 2.0), low=0, high=1000, neutral=0)

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """``(n, C, T)`` series, each blurred by its own width."""
        low, high = self.sigma
        if high == 0:
            return batch
        wide = batch.x.new_empty(0, dtype=torch.float64)
        sigma = uniform((len(batch), 1), generator, wide, low, high)
        reach = math.ceil(4 * high)
        step = torch.arange(-reach, reach + 1, device=batch.x.device)
        weights = torch.exp(-0.5 * (step / sigma.clamp_min(1e-3)) ** 2)
        return batch.replace(x=_weighted(batch.x, weights / weights.sum(dim=1, keepdim=True)))


@augmentations.register("convolve", modality="time_series", family="time domain", reference="tsaug, 2020")
@dataclasses.dataclass(frozen=True)
class Convolve(SeriesAugmentation):
    r"""Convolve a series with a window: :math:`y_t = \sum_k w_k x_{t-k}`, :math:`\sum w = 1`.

    Parameters
    ----------
    window : {"hann", "hamming", "blackman", "bartlett", "boxcar"}, default "hann"
        Its shape (tsaug, which takes any window of SciPy; a "flattop" has negative weights, and sharpens).
    size : int, default 7
        Number of steps in the window (tsaug). 1 is the identity. In a series of L steps a larger one than 2 L − 1 is
        that.

    Notes
    -----
    The window is that of ``scipy.signal.get_window(window, size + 2, fftbins=False)`` without its first and last
    weight: so all weights are positive, where a window of ``size`` steps that ends in zeros (tsaug's "hann") reaches
    one step less on either side, and with 3 steps changes nothing. The values at both ends of a series are held beyond
    them (tsaug reflects the series). Gaps are bridged before, and a missing value stays missing. Nothing is drawn: the
    view is the same every time.

    References
    ----------
    .. [1] Arundo Analytics, tsaug: a Python package for time series augmentation, 2020.

    Examples
    --------
    >>> Convolve(window="boxcar", size=3)(torch.tensor([[[0.0, 3.0, 0.0, 6.0]]]))
    tensor([[[1., 1., 3., 4.]]])
    """

    window: str = choice("hann", tuple(_WINDOWS))
    size: int = whole(7, low=1, neutral=1)

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """``(n, C, T)`` series, each convolved."""
        x = batch.x
        if self.size == 1 or x.numel() == 0:
            return batch
        largest = min(self.size, 2 * x.shape[2] - 1)
        size = (2 * valid_lengths(x, batch.times) - 1).clamp(1, largest)[:, None]  # of the row's own window
        step = torch.arange(-((largest - 1) // 2), largest // 2 + 1, dtype=torch.float64, device=x.device)
        place = (2 * step - (size + 1) % 2) / (size + 1)  # from -1 to 1; a window of even size lies half a step off
        weights = torch.where(place.abs() < 1, _WINDOWS[self.window](torch.pi * place), 0)
        return batch.replace(x=_weighted(x, weights / weights.sum(dim=1, keepdim=True)))


@augmentations.register("pool", modality="time_series", family="time domain", reference="tsaug, 2020")
@dataclasses.dataclass(frozen=True)
class Pool(SeriesAugmentation):
    r"""Lower the resolution, not the length: every block of steps takes the mean, largest or smallest of its values.

    Parameters
    ----------
    size : int, default 2
        Steps in a block, counted from the start of the series; the last may be shorter (tsaug). 1 is the identity.
    kind : {"mean", "max", "min"}, default "mean"
        What a block becomes (tsaug, where the mean is called "ave").

    Notes
    -----
    Over the observed values of a block; a missing value stays missing. Nothing is drawn: the view is the same every
    time.

    References
    ----------
    .. [1] Arundo Analytics, tsaug: a Python package for time series augmentation, 2020.

    Examples
    --------
    >>> Pool()(torch.tensor([[[1.0, 3.0, 5.0, float("nan"), 9.0]]]))
    tensor([[[2., 2., 5., nan, 9.]]])
    """

    size: int = whole(2, low=1, neutral=1)
    kind: str = choice("mean", ("mean", "max", "min"))

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """``(n, C, T)`` series in blocks."""
        x = batch.x
        if self.size == 1 or x.numel() == 0:
            return batch
        n, channels, steps = x.shape
        size = min(self.size, steps)
        blocks = torch.nn.functional.pad(x, (0, -steps % size), value=torch.nan).view(n, channels, -1, size)
        if self.kind == "mean":
            observed = size if complete(blocks) else (~torch.isnan(blocks)).sum(dim=3, keepdim=True)
            pooled = (blocks.sum if complete(blocks) else blocks.nansum)(dim=3, keepdim=True) / observed
        elif self.kind == "max":
            pooled = blocks.nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf).amax(dim=3, keepdim=True)
        else:
            pooled = blocks.nan_to_num(nan=torch.inf, posinf=torch.inf, neginf=-torch.inf).amin(dim=3, keepdim=True)
        view = pooled.expand(blocks.shape).reshape(n, channels, -1)[:, :, :steps]
        return batch.replace(x=view if complete(x) else torch.where(torch.isnan(x), x, view))


def _weighted(x: Float[Tensor, "n c t"], weights: Float[Tensor, "n k"]) -> Float[Tensor, "n c t"]:
    """Weighted sum of each value with its neighbours, the weights of a row centred at k // 2 of the window reversed."""
    if x.numel() == 0:
        return x
    n, channels, steps = x.shape
    k = weights.shape[1]
    wide = torch.promote_types(x.dtype, torch.float32)
    values = bridge(x).to(wide)
    before = values[:, :, :1].expand(n, channels, (k - 1) // 2)
    padded = torch.cat([before, values, values[:, :, -1:].expand(n, channels, k // 2)], dim=2)
    if k > _DIRECT:
        view = _transformed(padded.double(), weights.double()[:, None, :])[:, :, :steps].to(x.dtype)
    else:
        kernels = weights.to(wide).repeat_interleave(channels, dim=0)[:, None, :]
        # one group for each series and channel
        view = torch.nn.functional.conv1d(padded.view(1, n * channels, -1), kernels, groups=n * channels)
        view = view.view(n, channels, steps).to(x.dtype)
    return view if complete(x) else view.masked_fill_(torch.isnan(x), torch.nan)


def _transformed(x: Float[Tensor, "n c t"], weights: Float[Tensor, "n 1 k"]) -> Float[Tensor, "n c t"]:
    """Weighted sums from each value on, through the spectrum; the last k - 1 wrap around."""
    steps = x.shape[2]
    sums: Tensor = torch.fft.irfft(torch.fft.rfft(x) * torch.fft.rfft(weights, n=steps).conj(), n=steps)
    return sums
