"""What is kept of a convolution: the fraction of steps above a threshold, and three more pools of MultiRocket."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy.typing import NDArray
from torch import Tensor

from kinview.methods.controls.rocket.kernels import KERNELS, Dilation, convolutions, span, time_first

__all__ = ["DefinitionName", "Pooling", "pooled_features"]

DefinitionName = Literal["official", "paper"]
Array = NDArray[Any]

_ROWS_TIMES_STEPS = 2**16  # of one chunk of rows: its convolutions fit into a processor's cache
_COMPARED = 2**18  # comparisons made at once
_NEVER = np.finfo(np.float32).min  # above no threshold, and finite
_BYTE = 255
_STRETCH = 16  # steps whose runs are joined in bytes


@dataclasses.dataclass(frozen=True)
class Pooling:
    """Pools of each threshold.

    Parameters
    ----------
    four : bool
        All four pools of MultiRocket instead of the fraction alone.
    definition : {"official", "paper"}
        What the official code computes or what the paper defines, where these differ.
    early : bool
        As of :func:`~kinview.methods.controls.rocket.kernels.convolutions`.
    """

    four: bool = False
    definition: DefinitionName = "official"
    early: bool = False

    @property
    def number(self) -> int:
        """Features a threshold."""
        return 4 if self.four else 1


_SHARE = Pooling()


def pooled_features(
    x: Float[Tensor, "n c t"],
    lengths: Int64[Tensor, " n"],
    dilations: Sequence[Dilation],
    thresholds: Float[Tensor, " f"],
    subsets: Bool[Tensor, "combinations c"] | None,
    pooling: Pooling = _SHARE,
) -> Float[Tensor, "n p_f"]:
    r"""Pools of all convolutions of series.

    With C the convolution, b a threshold and steps t = 0, ..., L − 1 of the span that a kernel is pooled over, these
    are in this order, each over all thresholds:

    - PPV, the fraction of steps with C > b;
    - LSPV, the longest run of steps with C > b. Official: the longest t − t′ where t′ is the last step before t with
      C < b, or 0: a run inside counts one more than it is long, and C = b does not end it;
    - MPV, the mean of C − b over the steps with C > b; 0 without any. Official: the mean of C + b;
    - MIPV, the mean of t over these steps; −1 without any.

    It is computed on the CPU, in as many threads as torch has; the bits do not depend on their number.

    Parameters
    ----------
    x : Tensor
        Series without gaps; NaN beyond the end of a series.
    lengths : Tensor
        Steps of each series.
    dilations : sequence of Dilation
        Of :func:`~kinview.methods.controls.rocket.kernels.dilations_for`.
    thresholds : Tensor
        b, by dilation, then kernel.
    subsets : Tensor, optional
        Channels of each kernel, by dilation, then kernel; None for one channel.
    pooling : Pooling
        Which pools.
    """
    n, _, steps = x.shape
    result = np.empty((n, pooling.number, len(thresholds)), np.float32)
    levels, members = thresholds.cpu().numpy(), None if subsets is None else subsets.cpu().numpy()
    chunk = max(1, _ROWS_TIMES_STEPS // max(steps, 1))
    ends = itertools.accumulate(len(KERNELS) * dilation.thresholds for dilation in dilations)
    places = [
        slice(end - len(KERNELS) * dilation.thresholds, end) for dilation, end in zip(dilations, ends, strict=True)
    ]
    parts = [slice(first, min(first + chunk, n)) for first in range(0, n, chunk)]
    series = [(time_first(x[part]), lengths[part].cpu().numpy()) for part in parts]

    def work(task: tuple[int, int]) -> None:
        at, of_rows = task
        place, kernels = places[at], slice(at * len(KERNELS), (at + 1) * len(KERNELS))
        rows = parts[of_rows]
        into = np.empty((pooling.number, len(KERNELS), dilations[at].thresholds, rows.stop - rows.start), np.float32)
        of_kernel = levels[place].reshape(len(KERNELS), -1)
        _pool_dilation(
            *series[of_rows], dilations[at], of_kernel, None if members is None else members[kernels], pooling, into
        )
        result[rows, :, place] = into.reshape(pooling.number, -1, into.shape[-1]).transpose(2, 0, 1)

    tasks = list(itertools.product(range(len(dilations)), range(len(parts))))
    with ThreadPoolExecutor(min(torch.get_num_threads(), len(tasks))) as pool:
        list(pool.map(work, tasks))
    return torch.from_numpy(result.reshape(n, -1)).to(x.device)


def _pool_dilation(
    x: Float[Array, "c t n"],
    lengths: Int64[Array, " n"],
    dilation: Dilation,
    levels: Float[Array, "84 f"],
    subsets: Bool[Array, "84 c"] | None,
    pooling: Pooling,
    into: Float[Array, "p 84 f n"],
) -> None:
    """Pools of the kernels of one dilation."""
    longest = x.shape[1]
    equal = bool((lengths == longest).all())
    inside = None if equal else {padded: _inside(lengths, longest, dilation, padded) for padded in (True, False)}
    pool = _pool_four if pooling.four else _pool_share
    for first, block in convolutions(x, dilation.dilation, subsets, early=pooling.early):
        for kernel in range(first, first + min(2, len(block))):  # every other one is pooled over the same span
            kernels = slice(kernel, first + len(block), 2)
            taken, ends = block[kernel - first :: 2], None
            if inside is None:
                taken = taken[:, span(longest, dilation, kernel)]
            else:
                ends = inside[dilation.padded(kernel)]
                taken = np.where(ends.steps, taken, _NEVER)
            for some, part in _parts(taken.shape, levels.shape[1]):
                pool(taken[some], levels[kernels][some, part], ends, pooling, into[:, kernels][:, some, part])


def _parts(shape: tuple[int, ...], thresholds: int) -> list[tuple[slice, slice]]:
    """Kernels and thresholds that are compared at once."""
    kernels, steps, n = shape
    at_once = max(1, _COMPARED // max(1, steps * n))
    width = min(thresholds, at_once)
    height = max(1, at_once // width)
    tops, lefts = range(0, kernels, height), range(0, thresholds, width)
    return [(slice(top, top + height), slice(left, left + width)) for top in tops for left in lefts]


@dataclasses.dataclass(frozen=True)
class _Ends:
    """Which steps of each row a kernel is pooled over, the first of them, and how many they are."""

    steps: Bool[Array, "t n"]
    first: Int64[Array, " n"]
    number: Int64[Array, " n"]


def _inside(lengths: Int64[Array, " n"], longest: int, dilation: Dilation, padded: bool) -> _Ends:
    """As :func:`span` says it, for rows of unequal length."""
    fits = (lengths > 2 * dilation.padding) & (not padded)
    reach = np.where(fits, dilation.padding, 0)
    t = np.arange(longest)[:, None]
    return _Ends((t >= reach) & (t < lengths - reach), reach, np.maximum(lengths - 2 * reach, 1))


def _pool_share(
    block: Float[Array, "k t n"],
    levels: Float[Array, "k f"],
    ends: _Ends | None,
    pooling: Pooling,
    into: Float[Array, "1 k f n"],
) -> None:
    """PPV."""
    above = block[:, None] > levels[:, :, None, None]  # (k, f, t, n)
    np.divide(_counted(above, 2), block.shape[1] if ends is None else ends.number, out=into[0], casting="same_kind")


def _counted(above: Bool[Array, ...], axis: int) -> Array:
    """Number of True along an axis; overwrites what it is given.

    The second half is added to the first, byte by byte, as long as a byte can hold the sum: that is many times as fast
    as a sum along the axis.
    """
    counts = np.moveaxis(above.view(np.uint8), axis, 0)
    steps = rows = len(counts)
    most = 1
    while rows > 1 and min(2 * most, steps) <= _BYTE:
        half = (rows + 1) // 2
        np.add(counts[: rows - half], counts[half:rows], out=counts[: rows - half])
        rows, most = half, min(2 * most, steps)
    result: Array = counts[0] if rows == 1 else counts[:rows].sum(axis=0, dtype=np.int32)
    return result


def _pool_four(
    block: Float[Array, "k t n"],
    levels: Float[Array, "k f"],
    ends: _Ends | None,
    pooling: Pooling,
    into: Float[Array, "4 k f n"],
) -> None:
    """PPV, LSPV, MPV and MIPV."""
    official = pooling.definition == "official"
    by_step, b = block.swapaxes(0, 1)[:, :, None], levels[:, :, None]  # (t, k, 1, n), (k, f, 1)
    above = by_step > b  # (t, k, f, n)
    number = len(above) if ends is None else ends.number
    into[1] = _official_run(by_step >= b, ends) if official else _longest_run(above)
    of_step = np.einsum("t,t...->...", np.arange(len(above), dtype=np.float32), above.astype(np.float32))
    count = _counted(above, 0).astype(np.float32)
    excess = by_step - b
    np.maximum(excess, 0, out=excess)
    none, some = count == 0, np.maximum(count, 1)
    np.divide(count, number, out=into[0], casting="same_kind")
    mean = excess.sum(axis=0) / some  # step after step, so that zeros beyond the ends change no bit
    into[2] = np.where(none, 0, mean + 2 * b if official else mean)
    into[3] = np.where(none, -1, (of_step if ends is None else of_step - count * ends.first) / some)


def _official_run(goes_on: Bool[Array, "t k f n"], ends: _Ends | None) -> Array:
    """Largest distance from a step back to the last one with C < b, or to the first: one more than a run between them.

    Neither the first step of the span nor its last one counts towards that run.
    """
    if ends is None:
        return _longest_run(goes_on[1:-1]) + 1 if len(goes_on) > 1 else np.zeros(goes_on.shape[1:], np.float32)
    inner = np.zeros_like(ends.steps)
    inner[1:-1] = ends.steps[:-2] & ends.steps[1:-1] & ends.steps[2:]
    return np.where(ends.number > 1, _longest_run(goes_on & inner[:, None, None]) + 1, 0)


def _longest_run(mask: Bool[Array, "t ..."]) -> NDArray[np.int64]:
    """Length of the longest run of True over the first axis.

    Neighbouring stretches are joined pair by pair: the run at the start of each, that at its end, and the longest.
    """
    steps, shape = len(mask), mask.shape[1:]
    start = np.zeros((-(-max(steps, 1) // _STRETCH) * _STRETCH, *shape), np.uint8)
    start[:steps] = mask
    end = longest = start
    length = 1
    while length < _STRETCH:
        across = end[0::2] + start[1::2]
        longest = np.maximum(np.maximum(longest[0::2], longest[1::2]), across)
        start, end = (
            start[0::2] + (start[0::2] == length) * start[1::2],
            end[1::2] + (end[1::2] == length) * end[0::2],
        )
        length *= 2
    best, running = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    for first, last, inside in zip(start, end, longest, strict=True):
        np.maximum(best, np.maximum(running + first, inside), out=best)
        running = np.where(last == length, running + length, last)
    return best
