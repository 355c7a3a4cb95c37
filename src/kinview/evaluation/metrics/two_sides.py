"""How well the two sides of test samples find each other, and how far apart they stand, without a probe."""

from __future__ import annotations

from typing import Any, TypedDict

import numpy as np
from jaxtyping import Float

from kinview.diagnostics.modality_gap import modality_gap, shifted
from kinview.diagnostics.pairs import both_sides
from kinview.diagnostics.retrieval import retrieval

__all__ = ["SIDE_METRICS", "SideMetrics", "side_metrics"]

SIDE_METRICS = {
    "recall_at_1": "Recall@1",
    "recall_at_10": "Recall@10",
    "chance_at_10": "Chance@10",
    "relative_rank": "Relative rank",
    "gap": "Modality gap",
    "within_first": "Cosine within first",
    "within_second": "Cosine within second",
    "between": "Cosine of partners",
}
"""What a report shows of :func:`side_metrics` in a table, and what it calls it."""

_SHIFTS = tuple(np.linspace(-1.0, 1.0, 9).round(2).tolist())


class SideMetrics(TypedDict):
    """Result of :func:`side_metrics`."""

    recall_at_1: float
    recall_at_10: float
    chance_at_10: float
    relative_rank: float
    gap: float
    within_first: float
    within_second: float
    between: float
    shifts: dict[str, float]


def side_metrics(A: Float[np.ndarray, "n d"], B: Float[np.ndarray, "n d"], *, names: Any = None) -> SideMetrics:
    r"""Retrieval, as the mean of both directions, and the modality gap, of projections of both sides.

    Parameters
    ----------
    A, B : array ``(n, d)``
        Projections of both sides of the same samples; rows with NaN (a side is lacking) are left out.
    names : array-like ``(n,)``, optional
        Which rows are of one thing, as for :func:`kinview.diagnostics.retrieval`.

    Returns
    -------
    dict
        ``recall_at_1``, ``recall_at_10``, and what chance gives for the latter; ``relative_rank``,
        :math:`(\bar r - 1) / (n - 1)` of the partner: 0 where each is the nearest, 0.5 at chance; ``gap`` and the three
        cosines of :func:`kinview.diagnostics.modality_gap`; ``shifts``: recall at 10 after both sides were moved
        towards each other by so much, from -1 to 1 (:func:`kinview.diagnostics.shifted`).

    Raises
    ------
    ValueError
        As :func:`kinview.diagnostics.retrieval`.

    Examples
    --------
    >>> A = np.eye(4)
    >>> found = side_metrics(A, A)
    >>> found["recall_at_1"], found["relative_rank"], found["gap"], len(found["shifts"])
    (1.0, 0.0, 0.0, 9)
    """
    A, B, known = both_sides(A, B, "the metrics of two sides")
    names = None if names is None else np.asarray(names)[known]
    found = retrieval(A, B, names=names, k=(1, 10)).mean()
    gap = modality_gap(A, B)
    moved = {f"{by:g}": retrieval(*shifted(A, B, by), names=names, k=10)["recall@10"].mean() for by in _SHIFTS}
    return {
        "recall_at_1": float(found["recall@1"]),
        "recall_at_10": float(found["recall@10"]),
        "chance_at_10": float(found["chance@10"]),
        "relative_rank": float((found["mean_rank"] - 1) / max(found["n"] - 1, 1)),
        "gap": gap.gap,
        "within_first": gap.within_first,
        "within_second": gap.within_second,
        "between": gap.between,
        "shifts": {by: float(value) for by, value in moved.items()},
    }
