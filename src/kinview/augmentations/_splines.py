"""Smooth random curves: cubic splines through evenly spaced knots."""

from __future__ import annotations

import functools

import numpy as np
import scipy.interpolate
import torch
from jaxtyping import Float, Int64
from torch import Tensor

__all__ = ["spline_curves"]


def spline_curves(knots: Float[Tensor, "n c k"], lengths: Int64[Tensor, " n"], steps: int) -> Float[Tensor, "n c t"]:
    """Not-a-knot cubic splines through knots spaced evenly from the first to the last step of each series.

    Equal to :class:`scipy.interpolate.CubicSpline` (a parabola through three knots, a line through two); held beyond
    the end of a series.

    Examples
    --------
    >>> knots = torch.tensor([[[0.0, 1.0, 8.0, 27.0]], [[0.0, 1.0, 8.0, 27.0]]])
    >>> spline_curves(knots, torch.tensor([7, 4]), 7)[:, 0]
    tensor([[ 0.0000,  0.1250,  1.0000,  3.3750,  8.0000, 15.6250, 27.0000],
            [ 0.0000,  1.0000,  8.0000, 27.0000, 27.0000, 27.0000, 27.0000]])
    """
    n, channels, k = knots.shape
    cardinal = torch.from_numpy(_cardinal(k)).to(knots)
    same = n > 0 and bool((lengths == lengths[0]).all())
    own = (lengths[:1] if same else lengths)[:, None]
    step = torch.arange(steps, device=knots.device).to(knots.dtype)
    position = (step * ((k - 1) / (own - 1).clamp_min(1).to(knots.dtype))).clamp_max_(k - 1)
    piece = position.long().clamp_max_(k - 2)
    fraction = position - piece
    if same:  # every row has the same basis
        basis = _horner([power[piece[0]] for power in cardinal], fraction[0, :, None])
        return knots @ basis.T
    index = piece[:, None, :].expand(n, channels, steps)
    pieces = torch.einsum("pik,nck->pnci", cardinal, knots)
    return _horner([power.gather(2, index) for power in pieces], fraction[:, None, :])


def _horner(coefficients: list[Tensor], at: Tensor) -> Tensor:
    value = coefficients[0]
    for coefficient in coefficients[1:]:
        value = value.mul_(at).add_(coefficient)
    return value


@functools.lru_cache(maxsize=64)
def _cardinal(k: int) -> np.ndarray:
    """Coefficients ``(4, k - 1, k)``, cubes first, of the splines that are 1 at one knot and 0 at the others."""
    return np.ascontiguousarray(scipy.interpolate.CubicSpline(np.arange(k), np.eye(k)).c)
