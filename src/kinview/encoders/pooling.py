"""Pooling of per-timestamp representations over what was observed."""

from __future__ import annotations

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

__all__ = ["multiscale", "pool", "window_max"]

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
