"""Pooling of per-timestamp representations over what was observed."""

from __future__ import annotations

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from kinview.data.gaps import valid_lengths
from kinview.encoders.base import SeriesEncoder

__all__ = ["PoolingName", "multiscale", "pool", "pool_segments", "pooled", "window_max"]

PoolingName = Literal["max", "mean", "last"]


def pool(
    z: Float[Tensor, "n d t"], inside: Bool[Tensor, "n t"] | None = None, how: PoolingName = "max"
) -> Float[Tensor, "n d"]:
    """One vector a row from its per-timestamp representations.

    Parameters
    ----------
    z : Tensor
        Representations ``(n, D, T)``.
    inside : Tensor, optional
        Steps ``(n, T)`` that take part; all by default. A row without any gets zeros.
    how : {"max", "mean", "last"}
        Maximum (TS2Vec), mean, or the last step that takes part.

    Examples
    --------
    >>> z = torch.tensor([[[1.0, 5.0, 9.0]]])
    >>> inside = torch.tensor([[True, True, False]])
    >>> pool(z, inside).item(), pool(z, inside, "mean").item(), pool(z, inside, "last").item()
    (5.0, 3.0, 5.0)
    """
    if how not in get_args(PoolingName):
        raise ValueError(f"pooling must be one of {', '.join(get_args(PoolingName))}; got {how!r}")
    if inside is None:
        inside = torch.ones(z.shape[0], z.shape[2], dtype=torch.bool, device=z.device)
    where = inside[:, None, :]
    zero = torch.zeros((), dtype=z.dtype, device=z.device)
    if how == "max":
        pooled = z.masked_fill(~where, -torch.inf).amax(dim=2)
    elif how == "mean":
        pooled = torch.where(where, z, zero).sum(dim=2) / inside.sum(dim=1, keepdim=True).clamp_min(1)
    else:
        last = (inside * torch.arange(z.shape[2], device=z.device)).amax(dim=1)
        pooled = z.gather(2, last[:, None, None].expand(-1, z.shape[1], 1))[:, :, 0]
    return torch.where(inside.any(dim=1, keepdim=True), pooled, zero)


def pool_segments(
    z: Float[Tensor, "n d t"], lengths: Int64[Tensor, " n"], segments: int, how: PoolingName = "mean"
) -> Float[Tensor, "n pooled"]:
    """Pool each of so many equal parts of a row's own length, and put them side by side: ``(n, D·segments)``.

    Part s of L steps is ⌊sL/S⌋ … ⌈(s+1)L/S⌉ − 1, as in adaptive pooling; where L = S, a row's features are laid out
    flat, channel by channel. A row of length 0 gets zeros.

    Examples
    --------
    >>> z = torch.tensor([[[1.0, 3.0, 5.0, 7.0], [2.0, 4.0, 0.0, 0.0]]])
    >>> pool_segments(z, torch.tensor([4]), 2).tolist(), pool_segments(z, torch.tensor([2]), 2).tolist()
    ([[2.0, 6.0, 3.0, 0.0]], [[1.0, 3.0, 2.0, 4.0]])
    """
    steps = torch.arange(z.shape[2], device=z.device)
    parts = []
    for segment in range(segments):
        first = segment * lengths // segments
        end = -(-(segment + 1) * lengths // segments)
        parts.append(pool(z, (steps >= first[:, None]) & (steps < end[:, None]), how))
    return torch.stack(parts, dim=2).flatten(1)


def pooled(
    encoder: nn.Module,
    x: Float[Tensor, "n c t"],
    times: Float[Tensor, "n t"] | None = None,
    how: PoolingName = "max",
    offset: Int64[Tensor, " n"] | None = None,
) -> Float[Tensor, "n d"]:
    """One vector a series from any series encoder, over the features that belong to it.

    For an encoder that says by ``feature_lengths(lengths)`` how many features a series has, over these; for one that
    keeps every step, over the steps that count (:meth:`SeriesEncoder.shown`). What is one vector already stays. A
    series without observations gets zeros. ``offset`` is the position of the first step of each row in its series.

    Raises
    ------
    ValueError
        For an encoder that changes the length and does not say how.
    """
    ours = encoder if isinstance(encoder, SeriesEncoder) else None
    z: Tensor = encoder(x, times=times) if ours is None else ours(x, times=times, offset=offset)
    if z.ndim == 2:
        return z
    if hasattr(encoder, "feature_lengths"):
        lengths: Tensor = encoder.feature_lengths(valid_lengths(x, times))  # type: ignore[operator]
        return pool(z, torch.arange(z.shape[2], device=z.device) < lengths[:, None], how)
    if z.shape[2] != x.shape[2]:
        raise ValueError(
            f"{type(encoder).__name__} makes {z.shape[2]} features of {x.shape[2]} steps: give it a method "
            "feature_lengths(lengths) that says how many belong to a series of so many steps"
        )
    return pool(z, ~torch.isnan(x).all(dim=1) if ours is None else ours.shown(x, times, offset), how)


def window_max(
    z: Float[Tensor, "n d t"], width: int, inside: Bool[Tensor, "n t"] | None = None
) -> Float[Tensor, "n d t"]:
    """Maximum over a window of ``width`` steps centred on each step (an even one reaches one step further back).

    Steps that are not ``inside`` take no part and come out as zero.
    """
    if inside is not None:
        z = z.masked_fill(~inside[:, None, :], -torch.inf)
    pooled = F.max_pool1d(z, kernel_size=width, stride=1, padding=width // 2)[:, :, : z.shape[2]]
    return pooled if inside is None else torch.where(inside[:, None, :], pooled, torch.zeros_like(pooled))


def multiscale(z: Float[Tensor, "n d t"], inside: Bool[Tensor, "n t"] | None = None) -> Float[Tensor, "n pooled t"]:
    """Window maxima of widths 2^k + 1 for k = 1, 2, ... while 2^(k−1) + 1 < T, side by side (TS2Vec).

    Raises
    ------
    ValueError
        If the series has fewer than 3 steps, for which no such window exists.
    """
    steps = z.shape[2]
    if steps < 3:
        raise ValueError(f"multiscale pooling needs series of at least 3 steps; these have {steps}")
    scales = []
    power = 0
    while 2**power + 1 < steps:
        scales.append(window_max(z, 2 ** (power + 1) + 1, inside))
        power += 1
    return torch.cat(scales, dim=1)
