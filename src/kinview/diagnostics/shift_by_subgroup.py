"""Whom it helps to close the gap between two sides: retrieval by subgroup as both sides are moved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from kinview.diagnostics.modality_gap import shifted
from kinview.diagnostics.pairs import both_sides
from kinview.diagnostics.retrieval import hits
from kinview.parameters import check_integer

__all__ = ["shift_by_subgroup"]

_RESAMPLES = 2000


def shift_by_subgroup(
    A: Float[np.ndarray, "n d"],
    B: Float[np.ndarray, "n d"],
    subgroups: Any,
    *,
    distances: Sequence[float] = (-0.5, 0.0, 0.5, 1.0),
    k: int = 10,
    random_state: int = 0,
) -> pd.DataFrame:
    r"""Recall at k in each subgroup after both sides were moved towards each other, with intervals.

    The experiment of the paper on the gap asks what moving does to subgroups (sex, age band): a gain on average may be
    a loss to some. Candidates are all samples, whatever subgroup they are of; recall is the mean of both directions.

    Parameters
    ----------
    A, B : array ``(n, d)``
        Projections of both sides of the same samples; rows with NaN (a side is lacking) are left out.
    subgroups : array-like ``(n,)``
        Subgroup of each sample; those without one are left out of the rows, and stay candidates.
    distances : sequence of float
        How far both sides are moved, δ of :func:`shifted`; 0 leaves them where they are.
    k : int
        How many of the nearest are looked at.
    random_state : int
        Seed of the resamples.

    Returns
    -------
    DataFrame
        One row for each subgroup and distance: ``subgroup``, ``n``, ``distance``, ``recall``, ``low`` and ``high``
        (95 % of 2,000 resamples of the samples of a subgroup), ``change`` against distance 0 with ``change_low`` and
        ``change_high`` from the same resamples. The intervals are of these samples as they were trained on; another
        training is not in them.

    Raises
    ------
    ValueError
        As :func:`kinview.diagnostics.retrieval`, or for subgroups that are not one a sample.

    References
    ----------
    .. [1] Liang, Zhang, Kwon, Yeung, Zou: Mind the Gap: Understanding the Modality Gap in Multi-modal Contrastive
       Representation Learning, NeurIPS 2022, arXiv 2203.02053.

    Examples
    --------
    >>> A = np.eye(6)
    >>> found = shift_by_subgroup(A, A + 0.1, list("ffmmmm"), distances=[0.0, 0.2], k=1)
    >>> found[["subgroup", "n", "distance", "recall"]].to_numpy().tolist()
    [['f', 2, 0.0, 1.0], ['f', 2, 0.2, 1.0], ['m', 4, 0.0, 1.0], ['m', 4, 0.2, 1.0]]
    """
    check_integer(k, "k", at_least=1)
    A, B, known = both_sides(A, B, "a shift")
    codes, names = pd.factorize(np.asarray(subgroups, dtype=object), sort=True)
    if len(codes) != len(known):
        raise ValueError(f"subgroups has {len(codes)} entries for {len(known)} samples; give one a sample")
    if len(names) > max(2, len(codes) // 2):
        raise ValueError(
            f"subgroups has {len(names)} values for {len(codes)} samples, which names nearly each of them; cut numbers "
            "into bands (pandas.cut)"
        )
    codes = codes[known]
    still = hits(A, B, k)
    moved = {distance: still if distance == 0 else hits(*shifted(A, B, distance), k) for distance in distances}
    draw = np.random.default_rng(random_state)
    rows = []
    for code, name in enumerate(names):
        inside = np.flatnonzero(codes == code)
        if not len(inside):
            continue
        drawn = inside[draw.integers(len(inside), size=(_RESAMPLES, len(inside)))]
        for distance, found in moved.items():
            change = found - still
            low, high = np.quantile(found[drawn].mean(axis=1), [0.025, 0.975])
            change_low, change_high = np.quantile(change[drawn].mean(axis=1), [0.025, 0.975])
            rows.append({
                "subgroup": name, "n": len(inside), "distance": float(distance), "recall": float(found[inside].mean()),
                "low": float(low), "high": float(high), "change": float(change[inside].mean()),
                "change_low": float(change_low), "change_high": float(change_high),
            })  # fmt: skip
    return pd.DataFrame(rows)
