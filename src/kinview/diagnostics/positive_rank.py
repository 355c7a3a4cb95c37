"""Rank of the positive: where a view stands among all candidates of its partner."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from kinview.diagnostics.pairs import both_sides, partner_places, unit

__all__ = ["PositiveRank", "positive_rank"]


class PositiveRank(NamedTuple):
    """Average rank of the positive among n candidates, n being best, and the rank at chance."""

    rank: float
    chance: float


def positive_rank(A: Float[np.ndarray, "n d"], B: Float[np.ndarray, "n d"]) -> PositiveRank:
    r"""Average rank of the positive: of all rows of B, how near row i is to row i of A.

    The cosines of row i of A with all rows of B are ranked from the least, 1, to the largest, n; equal ones share their
    mean rank. The average over i of the rank of row i of B is n where each view is nearest to its partner, and
    :math:`(n + 1) / 2` at chance.

    Parameters
    ----------
    A, B : array ``(n, D)``
        Representations of two views of the same samples.

    Raises
    ------
    ValueError
        For anything but two finite matrices of one shape.

    Examples
    --------
    >>> positive_rank(np.eye(4), np.eye(4))
    PositiveRank(rank=4.0, chance=2.5)
    >>> positive_rank(np.ones((4, 2)), np.ones((4, 2)))
    PositiveRank(rank=2.5, chance=2.5)
    """
    A, B, known = both_sides(A, B, "positive_rank")
    n = len(known)
    if not known.all() or not (np.isfinite(A).all() and np.isfinite(B).all()):
        raise ValueError("positive_rank needs a finite number in each place")
    found = partner_places(unit(A, zero=True), unit(B, zero=True), np.arange(n))
    return PositiveRank(float((n - found.nearer - (found.alike - 1) / 2).mean()), (n + 1) / 2)
