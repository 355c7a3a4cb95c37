"""Retrieval: how often a sample is found among the nearest by its other side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int64
from scipy.stats import rankdata

from kinview.parameters import check_integer

__all__ = ["retrieval"]


def retrieval(
    A: Float[np.ndarray, "n d"],
    B: Float[np.ndarray, "n d"],
    *,
    names: Any = None,
    k: Sequence[int] = (1, 5, 10),
) -> pd.DataFrame:
    r"""Retrieval in both directions: recall at k, mean and median rank of the partner, and each at chance.

    With the cosines :math:`s_{ij}` of row i of A and row j of B, the rank of the partner is
    :math:`r_i = 1 + |\{j : s_{ij} > s_{ii}\}| + \tfrac12 |\{j \ne i : s_{ij} = s_{ii}\}|`, 1 being best; recall at k is
    the fraction of rows with :math:`r_i \le k`, and the mean reciprocal rank that of :math:`1 / r_i`. At chance recall
    at k is k/n, and the mean and median rank are (n + 1)/2.

    Parameters
    ----------
    A, B : array ``(n, d)``
        Projections of both sides of the same samples; rows with NaN (a side is lacking) are left out.
    names : array-like ``(n,)``, optional
        Which rows are of one thing, a patient for example: then the best of them is the partner, and chance is worked
        out for that.
    k : sequence of int
        How many of the nearest are looked at.

    Returns
    -------
    DataFrame
        Two rows, ``first to second`` and ``second to first``; columns ``n``, ``recall@k``, ``chance@k``, ``mean_rank``,
        ``median_rank``, ``chance_rank``, ``mean_reciprocal_rank``.

    Raises
    ------
    ValueError
        For anything but two matrices of one shape, a row that is infinite or zero, or no row with both sides.

    References
    ----------
    .. [1] Radford et al.: Learning Transferable Visual Models From Natural Language Supervision, ICML 2021.

    Examples
    --------
    >>> A = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    >>> retrieval(A, A[[0, 2, 1]], k=[1, 2])[["recall@1", "chance@1", "recall@2", "mean_rank"]].round(3)
                     recall@1  chance@1  recall@2  mean_rank
    first to second     0.333     0.333     0.667      1.833
    second to first     0.333     0.333     0.667      1.833
    """
    for number in k:
        check_integer(number, "k", at_least=1)
    A, B = (np.asarray(Z, dtype=np.float64) for Z in (A, B))
    if A.ndim != 2 or A.shape != B.shape:
        raise ValueError(f"retrieval needs two matrices (n, d) of one shape; got {A.shape} and {B.shape}")
    known = ~(np.isnan(A).any(axis=1) | np.isnan(B).any(axis=1))
    if not known.any():
        raise ValueError("no sample has both sides, so that none can be found by the other")
    codes = np.arange(len(A)) if names is None else pd.factorize(np.asarray(names), use_na_sentinel=False)[0]
    if len(codes) != len(A):
        raise ValueError(f"names has {len(codes)} entries for {len(A)} samples; give one a sample")
    A, B, codes = A[known], B[known], codes[known]
    lengths = [np.linalg.norm(Z, axis=1, keepdims=True) for Z in (A, B)]
    if not all(bool((np.isfinite(one) & (one > 0)).all()) for one in lengths):
        raise ValueError("a projection is zero or not finite, and has no direction")
    cosines = np.round((A / lengths[0]) @ (B / lengths[1]).T, 12)  # equal but for rounding is equal
    rows = {"first to second": _ranks(cosines, codes), "second to first": _ranks(cosines.T, codes)}
    return pd.DataFrame({name: _summary(ranks, codes, k) for name, ranks in rows.items()}).T.astype({"n": int})


def _ranks(cosines: Float[np.ndarray, "n n"], codes: Int64[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Rank of the best partner of each row; one that shares its place has the mean of the places."""
    places = rankdata(-cosines, axis=1)
    partners = codes[:, None] == codes[None, :]
    found: np.ndarray = np.where(partners, places, np.inf).min(axis=1)
    return found


def _summary(ranks: Float[np.ndarray, " n"], codes: Int64[np.ndarray, " n"], k: Sequence[int]) -> dict[str, float]:
    n = len(ranks)
    partners = np.bincount(codes)[codes]  # of each row, itself included
    found: dict[str, float] = {"n": n}
    for number in k:
        found[f"recall@{number}"] = float((ranks <= number).mean())
        found[f"chance@{number}"] = float(1 - np.mean([_none_among(n, int(m), min(number, n)) for m in partners]))
    found |= {"mean_rank": float(ranks.mean()), "median_rank": float(np.median(ranks))}
    found["chance_rank"] = float(((n + 1) / (partners + 1)).mean())
    found["mean_reciprocal_rank"] = float((1 / ranks).mean())
    return found


def _none_among(n: int, partners: int, k: int) -> float:
    """Probability that k of n places, drawn at random, hold none of the partners."""
    places = np.arange(k)
    return float(np.prod(np.maximum(n - partners - places, 0) / (n - places)))
