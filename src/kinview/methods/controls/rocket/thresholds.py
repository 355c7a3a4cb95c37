"""Thresholds of MiniRocket: quantiles of convolutions of training rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from kinview.data.few_rows import FEWEST_ROWS
from kinview.methods.controls.rocket.kernels import KERNELS, TAPS, Dilation, quantile_levels
from kinview.parameters import choice

__all__ = ["ThresholdsName", "learned_thresholds", "published_rows", "thresholds"]

ThresholdsName = Literal["pooled", "published"]

_WEIGHTS: Final = torch.tensor([[2.0 if tap in places else -1.0 for places in KERNELS] for tap in range(TAPS)])


def thresholds() -> Any:
    """How many training rows a threshold rests on."""
    return choice(
        "pooled",
        ("pooled", "published"),
        doc='"published" takes the quantiles of one kernel from one training row, as the paper does; a model file '
        'would hold numbers of single rows, and save refuses it unless told otherwise. "pooled" takes the mean of '
        "these quantiles over 5 rows, and is as accurate (docs/methods/rocket.md).",
    )


def published_rows(how: ThresholdsName) -> str | None:
    """Why published thresholds are not saved; None for pooled ones."""
    return 'each of its thresholds="published" is a quantile of one training row' if how == "published" else None


def learned_thresholds(
    x: Float[Tensor, "n c t"],
    lengths: Int64[Tensor, " n"],
    dilations: Sequence[Dilation],
    subsets: Bool[Tensor, "combinations c"] | None,
    how: ThresholdsName,
    generator: torch.Generator,
) -> Float[Tensor, " f"]:
    """Threshold of each feature, by dilation, then kernel.

    For each dilation and kernel, rows are drawn, their convolution taken over all of their own steps (zeros beyond the
    ends), and its quantiles at the next levels of :func:`~kinview.methods.controls.rocket.kernels.quantile_levels`.

    Parameters
    ----------
    x, lengths, dilations, subsets
        As of :func:`~kinview.methods.controls.rocket.pools.pooled_features`, of training rows.
    how : {"pooled", "published"}
        The mean over five rows' quantiles, or one row's.
    generator : torch.Generator
        Draws the rows.
    """
    a_kernel = min(len(x), FEWEST_ROWS if how == "pooled" else 1)
    levels = quantile_levels(sum(len(KERNELS) * dilation.thresholds for dilation in dilations))
    found, start = [], 0
    for at, dilation in enumerate(dilations):
        drawn = torch.stack([torch.randperm(len(x), generator=generator)[:a_kernel] for _ in KERNELS])  # (84, r)
        taken = torch.nan_to_num(x[drawn.flatten().to(x.device)])  # (84·r, c, t)
        if subsets is None:
            series = taken[:, 0]
        else:
            members = subsets[at * len(KERNELS) : (at + 1) * len(KERNELS)].repeat_interleave(a_kernel, dim=0)
            series = (taken * members[:, :, None]).sum(dim=1)
        number = len(KERNELS) * dilation.thresholds
        own = levels[start : start + number].view(len(KERNELS), 1, -1).expand(-1, a_kernel, -1).flatten(0, 1)
        convolved = _convolved(series, dilation.dilation, a_kernel)
        quantiles = _quantiles(convolved, lengths[drawn.flatten().to(lengths.device)], own.to(x.device))
        found.append(quantiles.view(len(KERNELS), a_kernel, -1).mean(dim=1).flatten())
        start += number
    return torch.cat(found).to(x.dtype)


def _convolved(series: Float[Tensor, "k_r t"], dilation: int, rows: int) -> Float[Tensor, "k_r t"]:
    """Each series with the kernel that it is for."""
    result, steps = torch.zeros_like(series), series.shape[1]
    weights = _WEIGHTS.to(series).repeat_interleave(rows, dim=1)[:, :, None]  # (9, 84·r, 1)
    for tap in range(TAPS):
        offset = (tap - TAPS // 2) * dilation
        if abs(offset) < steps:
            low, high = max(0, -offset), min(steps, steps - offset)
            result[:, low:high] += weights[tap] * series[:, low + offset : high + offset]
    return result


def _quantiles(
    values: Float[Tensor, "m t"], lengths: Int64[Tensor, " m"], levels: Float[Tensor, "m q"]
) -> Float[Tensor, "m q"]:
    """Quantiles of the first values of each row, linear between two neighbours, in float64."""
    beyond = torch.arange(values.shape[1], device=values.device) >= lengths[:, None].clamp_min(1)
    ordered = values.double().masked_fill(beyond, torch.inf).sort(dim=1).values
    place = levels * (lengths[:, None].clamp_min(1) - 1)
    low = place.floor().long()
    high = place.ceil().long()
    return torch.lerp(ordered.gather(1, low), ordered.gather(1, high), place - low)
