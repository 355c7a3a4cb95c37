"""Pooling of per-timestamp representations over what was observed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from kinview.data.gaps import valid_lengths
from kinview.encoders.base import SeriesEncoder

__all__ = [
    "PoolingName",
    "encoded",
    "encoded_over_time",
    "feature_lengths",
    "fractions_above",
    "mean_quantiles",
    "multiscale",
    "pool",
    "pool_segments",
    "pooled",
    "require_features_over_time",
    "steps_of_a_feature",
    "window_max",
]

PoolingName = Literal["max", "mean", "last"]

_STEP = 0.125  # of the range of the levels: how wide the step is whose gradient stands for that of a count


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
    inside = _all_steps(z) if inside is None else inside
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


def mean_quantiles(
    chunks: Iterable[tuple[Float[Tensor, "n d t"], Bool[Tensor, "n t"] | None]], at: Float[Tensor, " levels"]
) -> Float[Tensor, "levels d"]:
    r"""Mean over rows of the quantiles over each row's own steps: :math:`\frac1n \sum_i Q_\alpha(z_{i d 1}, ...)`.

    Parameters
    ----------
    chunks : iterable of (Tensor, Tensor or None)
        Representations ``(n, D, T)`` of some rows, and the steps ``(n, T)`` that take part; all where it is None. A row
        without any is left out; at least one has some.
    at : Tensor
        Fractions α in [0, 1]; between two steps it is linear, as in ``numpy.quantile``.

    Examples
    --------
    >>> z = torch.tensor([[[0.0, 1.0, 2.0]], [[4.0, 6.0, 9.0]]])
    >>> inside = torch.tensor([[True, True, True], [True, True, False]])
    >>> mean_quantiles([(z, inside)], torch.tensor([0.0, 0.5, 1.0])).tolist()
    [[2.0], [3.0], [4.0]]
    """
    total: Tensor | float = 0.0
    rows = 0
    for z, inside in chunks:
        inside = _all_steps(z) if inside is None else inside
        counted = inside.any(dim=1)
        z, inside = z[counted], inside[counted]
        ordered = z.masked_fill(~inside[:, None], torch.inf).sort(dim=2).values
        position = at.to(z) * (inside.sum(dim=1)[:, None] - 1)  # (n, levels)
        low, high = (
            ordered.gather(2, end.long()[:, None].expand(-1, z.shape[1], -1))
            for end in (position.floor(), position.ceil())
        )
        of_rows = torch.lerp(low, high, position.frac()[:, None].expand_as(low))
        total = total + of_rows.double().sum(dim=0)
        rows += len(z)
    assert isinstance(total, Tensor)
    return (total / rows).T.to(at.dtype)


def fractions_above(
    z: Float[Tensor, "n d t"], levels: Float[Tensor, "levels d"], inside: Bool[Tensor, "n t"] | None = None
) -> Float[Tensor, "n pooled"]:
    r"""Fractions ``(n, L·D)`` of a row's steps above levels: :math:`\frac{1}{|S|} |\{t \in S : z_{dt} > b_{ld}\}|`.

    Parameters
    ----------
    z : Tensor
        Representations ``(n, D, T)``.
    levels : Tensor
        Levels b, ``(L, D)``; those of the first level come first.
    inside : Tensor, optional
        Steps S of each row, ``(n, T)``; all by default. A row without any gets zeros.

    Notes
    -----
    A count has no gradient; the one that is passed on to z is that of :math:`\sigma((z - b) / s)` with s an eighth of
    the range of the levels (straight through), so that labels can train a network through it. Levels get none.

    Examples
    --------
    >>> z = torch.tensor([[[1.0, 2.0, 3.0, 4.0]]])
    >>> fractions_above(z, torch.tensor([[1.5], [3.5]])).tolist()
    [[0.75, 0.25]]
    """
    inside = _all_steps(z) if inside is None else inside
    fractions: Tensor = _FractionsAbove.apply(z, levels, inside)  # type: ignore[no-untyped-call]
    return fractions


class _FractionsAbove(torch.autograd.Function):
    """Counts, which are flat, with the gradient of a logistic step; each way goes over the levels one by one."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, levels: Tensor, inside: Tensor) -> Tensor:
        ctx.save_for_backward(z, levels, inside)
        shown = z.masked_fill(~inside[:, None], -torch.inf)
        steps = inside.sum(dim=1, keepdim=True).clamp_min(1).to(z.dtype)
        return torch.cat([(shown > level[:, None]).sum(dim=2) / steps for level in levels], dim=1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        z, levels, inside = ctx.saved_tensors
        width = ((levels.amax(dim=0) - levels.amin(dim=0)) * _STEP).clamp_min(1e-3)[:, None]
        total = torch.zeros_like(z)
        for level, gradient in zip(levels, gradients[0].chunk(len(levels), dim=1), strict=True):
            above = torch.sigmoid((z - level[:, None]) / width)
            total += gradient[:, :, None] * above * (1 - above) / width
        steps = inside.sum(dim=1).clamp_min(1)[:, None, None]
        return (total / steps).masked_fill(~inside[:, None], 0.0), None, None


def _all_steps(z: Tensor) -> Tensor:
    return torch.ones(z.shape[0], z.shape[2], dtype=torch.bool, device=z.device)


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
    z = encoded(encoder, x, times, offset)
    if z.ndim == 2:
        return z
    if hasattr(encoder, "feature_lengths"):
        lengths = feature_lengths(encoder, valid_lengths(x, times))
        return pool(z, torch.arange(z.shape[2], device=z.device) < lengths[:, None], how)
    if z.shape[2] != x.shape[2]:
        raise ValueError(
            f"{type(encoder).__name__} makes {z.shape[2]} features of {x.shape[2]} steps: give it a method "
            "feature_lengths(lengths) that says how many belong to a series of so many steps"
        )
    return pool(z, ~torch.isnan(x).all(dim=1) if ours is None else ours.shown(x, times, offset), how)


def encoded(
    encoder: nn.Module,
    x: Float[Tensor, "n c t"],
    times: Float[Tensor, "n t"] | None = None,
    offset: Int64[Tensor, " n"] | None = None,
) -> Float[Tensor, "n d ..."]:
    """What any encoder of series makes of these, ``(n, D, T')`` or ``(n, D)``; only kinview's take an ``offset``."""
    ours = isinstance(encoder, SeriesEncoder)
    z: Tensor = encoder(x, times=times, offset=offset) if ours else encoder(x, times=times)
    return z


def feature_lengths(encoder: nn.Module, lengths: Int64[Tensor, " n"]) -> Int64[Tensor, " n"]:
    """Number of features of series of so many steps: as many as steps, where the encoder does not say."""
    if not hasattr(encoder, "feature_lengths"):
        return lengths
    out: Tensor = encoder.feature_lengths(lengths)  # type: ignore[operator]
    return out


def steps_of_a_feature(encoder: nn.Module, length: int) -> int:
    """Largest number of steps that a feature stands for, in series of up to so many steps.

    Of an encoder with a filled-up last feature it may be that of a shorter series.
    """
    own = torch.arange(1, max(1, length) + 1, device="cpu")
    return int((-(-own // feature_lengths(encoder, own).clamp_min(1))).max())


def require_features_over_time(encoder: nn.Module, wanted: str, instead: str) -> None:
    """Refuse an encoder whose features do not follow one another as the steps do.

    Raises
    ------
    ValueError
        That says what is ``wanted`` of the encoder, and what to give ``instead``.
    """
    if not getattr(encoder, "features_over_time", True):
        raise ValueError(
            f"{wanted} features over time, and those of {type(encoder).__name__} follow no steps; {instead}"
        )


def encoded_over_time(
    encoder: nn.Module,
    x: Float[Tensor, "n c t"],
    times: Float[Tensor, "n t"] | None,
    offset: Int64[Tensor, " n"] | None,
    *,
    wanted: str,
    instead: str,
) -> Float[Tensor, "n d features"]:
    """What an encoder makes of series, over time; one that makes one vector a series is refused.

    Raises
    ------
    ValueError
        As :func:`require_features_over_time`.
    """
    z = encoded(encoder, x, times, offset)
    if z.ndim != 3:
        raise ValueError(
            f"{wanted} features over time, and {type(encoder).__name__} makes one vector a series; {instead}"
        )
    return z


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
