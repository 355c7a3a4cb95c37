"""The modality gap: how far the two sides of paired data stand apart in the space that they share."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from kinview.diagnostics.pairs import both_sides, unit
from kinview.parameters import check_number

__all__ = ["ModalityGap", "modality_gap", "shifted"]


class ModalityGap(NamedTuple):
    """Distance of both sides' centres, mean cosine within each side, and between the sides of a sample."""

    gap: float
    within_first: float
    within_second: float
    between: float


def modality_gap(A: Float[np.ndarray, "n d"], B: Float[np.ndarray, "n d"]) -> ModalityGap:
    r"""Gap between two sides, and the cone that each stands in.

    On unit vectors u, v: :math:`\lVert \bar u - \bar v \rVert`; the mean cosine of two different samples of one side,
    which is far above 0 where they stand in a narrow cone; and the mean cosine :math:`u_i \cdot v_i` of partners.

    Parameters
    ----------
    A, B : array ``(n, d)``
        Projections of both sides of the same samples; rows with NaN (a side is lacking) are left out.

    Raises
    ------
    ValueError
        For anything but two matrices of one shape, fewer than two rows with both sides, or a zero row.

    References
    ----------
    .. [1] Liang, Zhang, Kwon, Yeung, Zou: Mind the Gap: Understanding the Modality Gap in Multi-modal Contrastive
       Representation Learning, NeurIPS 2022, arXiv 2203.02053.

    Examples
    --------
    >>> modality_gap(np.eye(2), -np.eye(2)).gap.__round__(4)
    1.4142
    """
    u, v = _unit_pairs(A, B)
    return ModalityGap(
        float(np.linalg.norm(u.mean(axis=0) - v.mean(axis=0))),
        _within(u),
        _within(v),
        float((u * v).sum(axis=1).mean()),
    )


def shifted(
    A: Float[np.ndarray, "n d"], B: Float[np.ndarray, "n d"], distance: float
) -> tuple[Float[np.ndarray, "n d"], Float[np.ndarray, "n d"]]:
    r"""Both sides moved towards each other along the line between their centres, on the unit sphere again.

    With :math:`\Delta = \bar u - \bar v` each side moves by half the distance, :math:`u' \propto u - \tfrac12 \delta
    \Delta / \lVert \Delta \rVert` and :math:`v' \propto v + \tfrac12 \delta \Delta / \lVert \Delta \rVert`: the
    experiment of the paper, which asks what the gap is good for. A distance of :math:`\lVert \Delta \rVert` closes it
    before the vectors are made unit ones; a negative one widens it.

    Parameters
    ----------
    A, B : array ``(n, d)``
        As for :func:`modality_gap`.
    distance : float
        δ.

    Examples
    --------
    >>> A, B = np.array([[1.0, 0.2], [1.0, -0.2]]), np.array([[-1.0, 0.2], [-1.0, -0.2]])
    >>> before = modality_gap(A, B).gap
    >>> round(before, 3), round(modality_gap(*shifted(A, B, before)).gap, 3)
    (1.961, 0.0)
    """
    check_number(distance, "distance")
    u, v = _unit_pairs(A, B)
    line = u.mean(axis=0) - v.mean(axis=0)
    length = float(np.linalg.norm(line))
    if length == 0:
        return u, v
    step = distance / 2 * line / length
    return unit(u - step), unit(v + step)


def _unit_pairs(
    A: Float[np.ndarray, "n d"], B: Float[np.ndarray, "n d"]
) -> tuple[Float[np.ndarray, "n d"], Float[np.ndarray, "n d"]]:
    A, B, _ = both_sides(A, B, "a gap")
    if len(A) < 2:
        raise ValueError(f"a gap is measured on two samples with both sides at least; there are {len(A)}")
    return unit(A), unit(B)


def _within(u: Float[np.ndarray, "n d"]) -> float:
    """Mean cosine of two different rows."""
    n, total = len(u), u.sum(axis=0)
    return float((total @ total - n) / (n * (n - 1)))
