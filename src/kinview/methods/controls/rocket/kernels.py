"""Kernels of MiniRocket: which there are, how they are dilated, and what they make of series."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

__all__ = [
    "KERNELS",
    "TAPS",
    "Dilation",
    "channel_subsets",
    "convolutions",
    "dilations_for",
    "quantile_levels",
    "span",
    "time_first",
]

Array = NDArray[Any]

TAPS: Final = 9
KERNELS: Final = tuple(itertools.combinations(range(TAPS), 3))
"""The 84 kernels: which three of nine weights are 2; the others are −1, so that the weights sum to 0."""

_MIDDLE = TAPS // 2
_AT_MOST_CHANNELS = 9  # of one kernel (official code)


@dataclasses.dataclass(frozen=True)
class Dilation:
    """A dilation, the number of thresholds of each of its kernels, and its place among those of a transform."""

    dilation: int
    thresholds: int
    index: int

    @property
    def padding(self) -> int:
        """Steps at either end of a series at which a kernel reaches beyond it."""
        return _MIDDLE * self.dilation

    def padded(self, kernel: int) -> bool:
        """Whether a kernel is pooled over every step, with zeros beyond the ends, or only where it fits inside.

        These alternate over the kernels, beginning with the other one at each dilation.
        """
        return (self.index + kernel) % 2 == 0


@functools.lru_cache
def dilations_for(length: int, features: int, most: int) -> tuple[Dilation, ...]:
    """Dilations of kernels for series of a length, and how the thresholds are shared out among them.

    Parameters
    ----------
    length : int
        T. Kernels of nine taps need at least nine steps: shorter series count as nine, with zeros beyond their end.
    features : int
        Thresholds over all 84 kernels; rounded down to a multiple of 84.
    most : int
        Dilations of a kernel, before those that round to the same number become one.

    Examples
    --------
    >>> [(one.dilation, one.thresholds) for one in dilations_for(24, 420, 32)]
    [(1, 3), (2, 2)]
    """
    a_kernel = max(1, features // len(KERNELS))
    drawn = min(a_kernel, most)
    exponent = math.log2((max(length, TAPS) - 1) / (TAPS - 1))
    sizes, counts = np.unique(np.logspace(0, exponent, drawn, base=2).astype(np.int32), return_counts=True)
    counts = (counts * (a_kernel / drawn)).astype(np.int32)
    for i in range(a_kernel - int(counts.sum())):
        counts[i % len(counts)] += 1
    return tuple(Dilation(int(d), int(k), i) for i, (d, k) in enumerate(zip(sizes, counts, strict=True)))


def quantile_levels(number: int) -> Float[Tensor, " number"]:
    """Fractional parts of 1φ, 2φ, ... with the golden ratio φ: they cover [0, 1) evenly, however many are taken."""
    return torch.arange(1, number + 1, dtype=torch.float64).mul((math.sqrt(5) + 1) / 2).remainder(1)


def channel_subsets(combinations: int, channels: int, generator: torch.Generator) -> Bool[Tensor, "combinations c"]:
    """Channels that the kernel of each combination of dilation and kernel sums over.

    Their number is ⌊2^u⌋ with u uniform on [0, log₂(min(C, 9) + 1)), so that small ones are frequent; the channels are
    drawn without replacement (official code for several channels).
    """
    exponent = math.log2(min(channels, _AT_MOST_CHANNELS) + 1)
    sizes = torch.rand(combinations, generator=generator, dtype=torch.float64).mul(exponent).exp2().long()
    rank = torch.rand(combinations, channels, generator=generator).argsort(dim=1).argsort(dim=1)
    return rank < sizes[:, None]


def time_first(x: Float[Tensor, "n c t"]) -> Float[Array, "c t n"]:
    """Series as they are convolved: one step of all rows lies together, and 0 stands beyond the ends."""
    return np.ascontiguousarray(torch.nan_to_num(x).permute(1, 2, 0).cpu().numpy())


def span(length: int, dilation: Dilation, kernel: int) -> slice:
    """Steps of a series that a kernel is pooled over; every one where it fits nowhere inside."""
    reach = 0 if dilation.padded(kernel) or length <= 2 * dilation.padding else dilation.padding
    return slice(reach, length - reach)


def convolutions(
    x: Float[Array, "c t n"], dilation: int, subsets: Bool[Array, "84 c"] | None, *, early: bool = False
) -> Iterator[tuple[int, Float[Array, "k t n"]]]:
    r"""Convolutions of series with the 84 kernels of a dilation: the first kernel of each block, and its block.

    :math:`C(t) = 3 (x_{t + (i - 4) d} + x_{t + (j - 4) d} + x_{t + (l - 4) d}) - \sum_{s=0}^{8} x_{t + (s - 4) d}` for
    the kernel (i, j, l), with 0 beyond the ends. Every value is made by the same sums in the same order, whatever the
    other rows are.

    Parameters
    ----------
    x : ndarray
        Of :func:`time_first`.
    dilation : int
        d.
    subsets : ndarray, optional
        Channels that each kernel sums over. None: there is one.
    early : bool
        Take the first four taps one step late: what the official code of MultiRocket does on the differences.
    """
    if subsets is None:
        yield from _of_one_channel(x[0], dilation, early)
        return
    for kernel, places in enumerate(KERNELS):
        series = x[subsets[kernel]].sum(axis=0)
        result = np.zeros_like(series)
        for tap in range(TAPS):
            target, source = _shifted(result, series, _offset(tap, dilation, early))
            np.add(target, 2 * source, out=target) if tap in places else np.subtract(target, source, out=target)
        yield kernel, result[None]


def _of_one_channel(x: Float[Array, "t n"], dilation: int, early: bool) -> Iterator[tuple[int, Array]]:
    """The sums that kernels have in common are made once: kernels (i, j, j + 1), ..., (i, j, 8) are one block."""
    threefold = 3 * x
    minus = np.zeros_like(x)
    shifted = np.zeros((TAPS, *x.shape), x.dtype)
    for tap in (_MIDDLE, *range(_MIDDLE), *range(_MIDDLE + 1, TAPS)):  # the order of the official sums
        offset = _offset(tap, dilation, early)
        target, source = _shifted(minus, x, offset)
        np.subtract(target, source, out=target)
        target, source = _shifted(shifted[tap], threefold, offset)
        target[...] = source
    block = 0
    for i in range(TAPS - 2):
        first = minus + shifted[i]
        for j in range(i + 1, TAPS - 1):
            yield block, (first + shifted[j]) + shifted[j + 1 :]
            block += TAPS - 1 - j


def _offset(tap: int, dilation: int, early: bool) -> int:
    offset = (tap - _MIDDLE) * dilation
    return offset + 1 if early and tap < _MIDDLE else offset


def _shifted(total: Array, x: Array, offset: int) -> tuple[Array, Array]:
    """Steps t of a total, and x(t + offset) for these; those whose tap lies beyond the ends are left out."""
    steps = len(x)
    if abs(offset) >= steps:
        return total[:0], x[:0]
    return (total[: steps - offset], x[offset:]) if offset >= 0 else (total[-offset:], x[:offset])
