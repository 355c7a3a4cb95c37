"""QUANT: quantiles over fixed intervals of a series, its differences and its spectrum."""

from __future__ import annotations

import itertools
import math
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from kinview.data.batch import Batch
from kinview.data.gaps import valid_lengths
from kinview.encoders.front_end import FillRule
from kinview.methods import methods
from kinview.methods.controls import fixed_features
from kinview.methods.controls.as_measured import AsMeasured, AsMeasuredEstimator, brought_to_length
from kinview.parameters import parameterised, whole
from kinview.training.method import Sizes

__all__ = ["Quant", "QuantileFeatures", "intervals"]


def intervals(length: int, depth: int) -> list[tuple[int, int]]:
    r"""Dyadic intervals of a series, and the same shifted by half an interval.

    Level k = 0, 1, ..., up to ``depth`` levels while :math:`2^k \le` length, cuts the series into :math:`2^k` parts
    :math:`[\lfloor iL/2^k \rfloor, \lfloor (i+1)L/2^k \rfloor)`. From level 1 on, where a median part is longer than 1,
    all but the last come a second time, :math:`\lceil L / 2^{k+1} \rceil` steps later.

    Examples
    --------
    >>> intervals(8, 2)
    [(0, 8), (0, 4), (4, 8), (2, 6)]
    """
    found: list[tuple[int, int]] = []
    for level in range(min(depth, length.bit_length())):
        parts = 2**level
        edges = torch.linspace(0, length, parts + 1, device="cpu").long().tolist()  # in float32, as the official code
        own = list(itertools.pairwise(edges))
        found += own
        widths = sorted(stop - start for start, stop in own)
        if parts > 1 and widths[(parts - 1) // 2] > 1:
            shift = math.ceil(length / parts / 2)
            found += [(start + shift, stop + shift) for start, stop in own[:-1]]
    return found


class QuantileFeatures(AsMeasured):
    """Quantiles of every interval of four representations of a series; see :class:`Quant`."""

    def __init__(self, parameters: Any, sizes: Sizes) -> None:
        super().__init__(parameters, sizes)
        self.depth, self.divisor = parameters.depth, parameters.divisor
        self.length = max(1, sizes.length)
        # the series, its first and second differences, its spectrum; an empty one has no intervals
        self.lengths = (self.length, self.length - 1, self.length - 2, self.length // 2 + 1)
        self.intervals = [intervals(length, self.depth) if length > 0 else [] for length in self.lengths]
        self.reserve_components(parameters.repr_dim)

    @property
    def n_features(self) -> int:
        """Quantiles of all intervals, for each channel."""
        widths = [stop - start for own in self.intervals for start, stop in own]
        return self.sizes.channels * sum(1 + (width - 1) // int(self.divisor) for width in widths)

    def features(self, rows: Batch) -> Float[Tensor, "n f"]:
        """All quantiles of the first channel, then those of the second, and so on."""
        lengths = valid_lengths(rows.x, rows.times).clamp_min(1)
        x = brought_to_length(torch.nan_to_num(rows.x), lengths, self.length)
        made = [
            self._quantiles(part[:, :, start:stop])
            for part, own in zip(self._representations(x), self.intervals, strict=True)
            for start, stop in own
        ]
        return torch.cat(made, dim=2).flatten(1)  # (n, channels, quantiles) -> (n, features)

    def _representations(self, x: Float[Tensor, "n c l"]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        steps = x.diff()
        smoothed = F.avg_pool1d(F.pad(steps, (2, 2), "replicate"), 5, 1) if steps.shape[2] else steps
        return x, smoothed, steps.diff(), torch.fft.rfft(x).abs()

    def _quantiles(self, part: Float[Tensor, "n c w"]) -> Float[Tensor, "n c q"]:
        """Evenly spaced quantiles of an interval; every second one without the interval's mean."""
        width = part.shape[2]
        number = 1 + (width - 1) // self.divisor
        if width == 1:
            return part
        if number == 1:
            return _quantiles_of(part, torch.tensor([0.5], dtype=part.dtype, device=part.device))
        levels = torch.linspace(0, 1, number, dtype=part.dtype, device=part.device)
        found = _quantiles_of(part, levels)
        found[:, :, 1::2] -= part.mean(dim=2, keepdim=True)
        return found


def _quantiles_of(part: Float[Tensor, "n c w"], levels: Float[Tensor, " q"]) -> Float[Tensor, "n c q"]:
    """Quantiles between the sorted values, linearly, as ``torch.quantile``, which takes fewer values at once."""
    ordered = part.sort(dim=2).values
    rank = levels * (part.shape[2] - 1)
    below = rank.floor().long()
    above = rank.ceil().long()
    return torch.lerp(ordered[:, :, below], ordered[:, :, above], rank - below)


@methods.register(
    "quant",
    modality="time_series",
    reference="Dempster, Schmidt & Webb, Data Mining and Knowledge Discovery 2024",
)
@parameterised
class Quant(AsMeasuredEstimator):
    r"""QUANT: quantiles over fixed intervals of a series, its differences and its spectrum.

    Four representations of a series x of length L: x itself; its first differences, averaged over 5 neighbours (ends
    repeated); its second differences; the magnitudes :math:`|\operatorname{rfft}(x)|`. Each is cut into the dyadic
    :func:`intervals` of 6 levels and the same shifted by half an interval. Of an interval of w values come
    :math:`q = 1 + \lfloor (w - 1)/4 \rfloor` quantiles at levels :math:`0, \frac{1}{q-1}, \dots, 1` (the median where
    q = 1); every second one has the mean of its interval subtracted. About 10 L numbers a channel.

    Features are in the unit of their channel (those of the spectrum too, summed over L steps).

    Notes
    -----
    *Series of other lengths.* L is the longest training series, and any series is brought to it by linear
    interpolation over its own steps; one of L steps stays as it is.

    ============== ========================== ============= ==============================================
    what           paper                      official code kinview
    ============== ========================== ============= ==============================================
    precision      –                          float32       float64 until the result
    length         one                        one           brought to that of the longest training series
    channels, gaps one, none                  one, none     side by side; filled before
    classifier     extremely randomised trees the same      a probe
    ============== ========================== ============= ==============================================

    References
    ----------
    .. [1] Dempster, A., Schmidt, D. F., Webb, G. I. (2024). QUANT: a minimalist interval method for time series
       classification. Data Mining and Knowledge Discovery 38, 2377-2402.

    Examples
    --------
    >>> import numpy as np
    >>> from kinview.methods import Quant
    >>> X = np.sin(np.arange(160.0)).reshape(4, 1, 40)
    >>> Quant().fit(X).transform(X).shape
    (4, 471)
    """

    depth: int = whole(6, low=1, doc="Levels of intervals: at most 2^(depth - 1) of one length (paper).")
    divisor: int = whole(4, low=1, doc="One quantile for every so many values of an interval (paper: v = 4).")
    fill: FillRule = fixed_features.fill()
    repr_dim: int | None = fixed_features.repr_dim()

    method_class: ClassVar[type[QuantileFeatures]] = QuantileFeatures  # type: ignore[assignment]

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Parameters of a small instance, for sktime's checks."""
        return [{"depth": 3}, {"depth": 2, "divisor": 8}]
