"""Retrieval: how often a sample is found among the nearest by its other side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int64
from scipy.special import gammaln

from kinview.diagnostics.pairs import Places, both_sides, codes_of, partner_places, unit
from kinview.parameters import check_integer

__all__ = ["hits", "retrieval"]


def retrieval(
    A: Float[np.ndarray, "n d"],
    B: Float[np.ndarray, "n d"],
    *,
    names: Any = None,
    k: int | Sequence[int] = (1, 5, 10),
) -> pd.DataFrame:
    r"""Retrieval in both directions: recall at k, mean and median rank of the partner, and what chance would give.

    With the cosines :math:`s_{ij}` of row i of A and row j of B, the rank of the partner is
    :math:`r_i = 1 + |\{j : s_{ij} > s_{ii}\}|`, 1 being best; recall at k is the fraction of rows with
    :math:`r_i \le k`, and the mean reciprocal rank that of :math:`1 / r_i`. Rows that are equally near stand in any
    order: ranks are the mean over all orders, and a partner counts for recall by the fraction of the orders in which it
    is among the first k, so that equal projections have what chance has. At chance recall at k is k/n and the mean rank
    (n + 1)/2.

    Parameters
    ----------
    A, B : array ``(n, d)``
        Projections of both sides of the same samples; rows with NaN (a side is lacking) are left out.
    names : array-like ``(n,)``, optional
        Which rows are of one thing, a patient for example: then the best of them is the partner, and chance is worked
        out for that. A row without a name is of nothing else.
    k : int or sequence of int
        How many of the nearest are looked at.

    Returns
    -------
    DataFrame
        Two rows, ``first to second`` and ``second to first``; columns ``n``, ``recall@k``, ``chance@k``, ``mean_rank``,
        ``median_rank``, ``chance_rank`` (of the mean rank), ``mean_reciprocal_rank``. 1 is the best rank; of
        :func:`positive_rank` n is.

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
    first to second     0.333     0.333     0.833      1.833
    second to first     0.333     0.333     0.833      1.833
    """
    numbers: list[int] = np.atleast_1d(k).tolist()
    for number in numbers:
        check_integer(number, "k", at_least=1)
    A, B, known = both_sides(A, B, "retrieval")
    u, v = unit(A), unit(B)
    codes = np.unique(codes_of(names, len(known))[known], return_inverse=True)[1]
    rows = {"first to second": partner_places(u, v, codes), "second to first": partner_places(v, u, codes)}
    return pd.DataFrame({name: _summary(found, codes, numbers) for name, found in rows.items()}).T.astype({"n": int})


def hits(A: Float[np.ndarray, "n d"], B: Float[np.ndarray, "n d"], k: int) -> Float[np.ndarray, " n"]:
    """Whether the partner of each row is among its k nearest, as the mean of both directions; ties by their fraction.

    Parameters
    ----------
    A, B : array ``(n, d)``
        Projections of both sides, without NaN.
    k : int
        How many of the nearest are looked at.

    Examples
    --------
    >>> A = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    >>> hits(A, A[[0, 2, 1]], 1).tolist()
    [1.0, 0.0, 0.0]
    """
    u, v = unit(A), unit(B)
    codes = np.arange(len(u))
    found = [_within(partner_places(one, other, codes), k) for one, other in ((u, v), (v, u))]
    mean: np.ndarray = np.mean(found, axis=0)
    return mean


def _within(found: Places, k: int) -> Float[np.ndarray, " n"]:
    """Fraction of the orders of what is equally near in which a partner is among the first k."""
    return 1 - _none_among(found.alike, found.partners, np.clip(k - found.nearer, 0, found.alike))


def _summary(found: Places, codes: Int64[np.ndarray, " n"], k: Sequence[int]) -> dict[str, float]:
    n = len(codes)
    partners = np.bincount(codes)[codes]  # of each row, itself included
    ranks = found.nearer + (found.alike + 1) / (found.partners + 1)  # mean of the best of them over all orders
    values: dict[str, float] = {"n": n}
    for number in k:
        values[f"recall@{number}"] = float(np.mean(_within(found, number)))
        values[f"chance@{number}"] = float(1 - np.mean(_none_among(n, partners, np.full(n, min(number, n)))))
    values |= {"mean_rank": float(ranks.mean()), "median_rank": float(np.median(ranks))}
    values["chance_rank"] = float(((n + 1) / (partners + 1)).mean())
    values["mean_reciprocal_rank"] = float((1 / ranks).mean())
    return values


def _none_among(places: Any, partners: Any, k: Any) -> Float[np.ndarray, " n"]:
    """Probability that k of so many places, drawn at random, hold none of the partners."""
    places, k = np.broadcast_arrays(places, k)
    others = places - partners
    possible = k <= others
    rest = np.where(possible, others, k)
    logarithm = _log_choose(rest, k) - _log_choose(places, k)
    probability: np.ndarray = np.where(possible, np.exp(logarithm), 0.0)
    return probability


def _log_choose(n: Any, k: Any) -> Any:
    return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
