"""Columns by the graph of how all columns of a table depend on each other."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy.optimize import quadratic_assignment
from scipy.spatial.distance import cdist

from kinview.parameters import choice, whole
from kinview.schema_matching import matchers
from kinview.schema_matching.base import Matcher
from kinview.schema_matching.dependence import correlations, equal_bins, informational_correlations
from kinview.schema_matching.matches import assigned
from kinview.schema_matching.tables import Side, TwoTables

__all__ = ["KangNaughtonMatcher"]

_PASSES = 20  # in which every column is compared anew; they end as soon as nothing changes


@matchers.register("kang_naughton", modality="tabular", reference="Kang & Naughton, SIGMOD 2003")
@dataclasses.dataclass(frozen=True)
class KangNaughtonMatcher(Matcher):
    r"""Columns are alike that depend alike on the other columns; the two tables are matched as graphs.

    With :math:`G_{ij}` the dependence of columns i and j of a table, known ones among them, the matching :math:`\pi`
    is sought that keeps the known pairs and has the smallest Euclidean distance of the graphs,

    .. math:: \min_\pi \sum_{i,j} \big(G^A_{ij} - G^B_{\pi(i)\pi(j)}\big)^2

    by the Frank-Wolfe method (FAQ; ``scipy.optimize.quadratic_assignment``). The similarity of two columns is one less
    the root mean square difference of their dependence on the columns that are matched, these as they are matched:

    .. math:: s_{ij} = 1 - \sqrt{\operatorname{mean}_{k \ne i,\, \pi(k) \ne j} \big(G^A_{ik} - G^B_{j\pi(k)}\big)^2}

    and matching by it is repeated until nothing changes.

    Parameters
    ----------
    dependence : {"spearman", "pearson", "mutual_information"}, default "spearman"
        Correlation of ranks, of values, or mutual information on the scale of a correlation
        (:func:`~kinview.schema_matching.dependence.informational_correlations`), which has no sign, reads categories
        too, and needs more rows. The paper has mutual information; kinview's default has no need of many rows.
    bins : int, default 8
        Quantile bins of a number for mutual information (kinview).

    Notes
    -----
    No known column is needed, but without one a graph may fit another in several ways. Where a table has fewer columns,
    columns that depend on nothing are added to it. Dependence is over the rows in which both columns are observed.

    ============ =========================================== ===================================================
    what         paper (recalled)                            kinview
    ============ =========================================== ===================================================
    graph        mutual information, entropies at the nodes  correlations of ranks; or that, bias removed, on the
                                                             scale of a correlation
    distance     Euclidean, or "normal" (relative)           Euclidean
    search       exhaustive, or hill climbing                FAQ, then one column at a time
    known pairs  none                                        kept
    ============ =========================================== ===================================================

    References
    ----------
    .. [1] Kang, Naughton: On Schema Matching with Opaque Column Names and Data Values, SIGMOD 2003.
    .. [2] Vogelstein et al.: Fast Approximate Quadratic Programming for Graph Matching, PLOS ONE 2015.

    Examples
    --------
    >>> matchers.build("kang_naughton").reads_categories
    False
    """

    dependence: Literal["spearman", "pearson", "mutual_information"] = choice(
        "spearman", ("spearman", "pearson", "mutual_information")
    )
    bins: int = whole(8, low=2)

    @property
    def reads_categories(self) -> bool:
        """With mutual information."""
        return self.dependence == "mutual_information"

    def similarity(self, tables: TwoTables, seed: int) -> Float64[np.ndarray, "a b"]:
        """Of the dependence on the columns as they are matched."""
        if self.dependence == "mutual_information":
            first, second = (informational_correlations(self._codes(side)) for side in (tables.A, tables.B))
        else:
            first, second = (
                correlations(np.concatenate([known, side.columns(side.unknown)], axis=1), self.dependence)
                for side, known in zip((tables.A, tables.B), tables.known_features(), strict=True)
            )
        q = len(first) - len(tables.A.unknown)
        return matched_graphs(first, second, q, tables.comparable)

    def _codes(self, side: Side) -> Float64[np.ndarray, "n columns"]:
        """Categories as they are, numbers as bins, known columns first."""
        names = (*side.known, *side.unknown)
        columns = zip(names, side.columns(names).T, strict=True)
        return np.stack(
            [x if side.kind(name) == "categories" else equal_bins(x, self.bins) for name, x in columns], axis=1
        )


def matched_graphs(
    A: Float64[np.ndarray, "a a"], B: Float64[np.ndarray, "b b"], q: int, comparable: Bool[np.ndarray, "i j"]
) -> Float64[np.ndarray, "i j"]:
    """Similarity of the columns after the first q, which are matched in order, under the best matching found."""
    matching = _faq(A, B, q)
    seen = []
    for _ in range(_PASSES):
        found = _similarity(A, B, q, matching)
        rows, columns = assigned(np.where(comparable, found, np.nan))
        better = np.full(len(A), -1)
        better[:q] = np.arange(q)
        better[q + rows] = q + columns
        seen.append(matching)
        if any(np.array_equal(better, one) for one in seen):
            break
        matching = better
    return found


def _faq(A: Float64[np.ndarray, "a a"], B: Float64[np.ndarray, "b b"], q: int) -> Int64[np.ndarray, " a"]:
    """The column of B for each column of A, -1 for none."""
    size = max(len(A), len(B))
    padded = [np.pad(graph, (0, size - len(graph))) for graph in (A, B)]
    known = np.stack([np.arange(q), np.arange(q)], axis=1)
    options = {"maximize": True, "partial_match": known, "rng": np.random.default_rng(0)}  # which draws nothing here
    found = quadratic_assignment(*padded, method="faq", options=options)
    matching = found.col_ind[: len(A)]
    partners: Int64[np.ndarray, " a"] = np.where(matching < len(B), matching, -1)
    return partners


def _similarity(
    A: Float64[np.ndarray, "a a"], B: Float64[np.ndarray, "b b"], q: int, matching: Int64[np.ndarray, " a"]
) -> Float64[np.ndarray, "i j"]:
    own = np.flatnonzero(matching >= 0)
    partners = matching[own]
    first, second = A[q:][:, own], B[q:][:, partners]
    total = cdist(first, second, "sqeuclidean")
    count = np.full(total.shape, float(len(own)))
    for place, (i, j) in enumerate(zip(own, partners)):  # what a column is itself matched with says nothing of it
        terms = (first[:, [place]] - second[:, place]) ** 2
        rows, columns = np.arange(len(A) - q) == i - q, np.arange(len(B) - q) == j - q
        left_out = rows[:, None] | columns[None, :]
        total -= np.where(left_out, terms, 0.0)
        count -= left_out
    found: Float64[np.ndarray, "i j"] = 1 - np.sqrt(np.maximum(total, 0.0) / np.maximum(count, 1.0))
    return found
