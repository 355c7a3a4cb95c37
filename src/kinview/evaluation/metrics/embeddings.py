"""How well the neighbours and the clusters of embeddings agree with classes, without a probe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

import numpy as np
from jaxtyping import Float, Int64

from kinview.data.labels import encode_labels, integer_codes
from kinview.evaluation.metrics.outputs import check_finite
from kinview.evaluation.validation import check_seed
from kinview.parameters import check_integer

__all__ = [
    "EMBEDDING_METRICS",
    "ClusteringAgreement",
    "clustering_agreement",
    "embedding_metrics",
    "recall_at_k",
]

EMBEDDING_METRICS = {
    "nmi": "Normalised mutual information",
    "ari": "Adjusted Rand index",
    "recall_at_1": "Recall@1",
    "recall_at_5": "Recall@5",
}
"""What :func:`embedding_metrics` gives, and what a report calls it."""

_CELLS = 2**22  # similarities in memory at a time: 32 MB


class ClusteringAgreement(TypedDict):
    """Result of :func:`clustering_agreement`."""

    nmi: float
    ari: float


def clustering_agreement(
    Z: Any, y: Any, *, n_clusters: int | None = None, seed: int | Sequence[int] = 0
) -> ClusteringAgreement:
    """Agreement of k-means clusters of embeddings with classes.

    The embeddings are taken as they are: standardise them where their dimensions differ in scale.

    Parameters
    ----------
    Z : array-like of shape (n, D)
        Embeddings.
    y : array-like of shape (n,)
        Labels.
    n_clusters : int, optional
        How many clusters. Default: as many as there are classes.
    seed : int or sequence of int
        Determines where k-means starts; it starts 10 times, and the tightest clusters count.

    Returns
    -------
    dict
        ``nmi``, the normalised mutual information (arithmetic mean of the entropies), from 0 to 1; ``ari``, the
        adjusted Rand index: 1 for the same partition, 0 expected by chance.

    Raises
    ------
    ValueError
        If shapes do not fit, an embedding is not finite, or there are fewer samples than clusters.

    References
    ----------
    .. [1] Hubert, L. & Arabie, P. (1985). Comparing partitions. Journal of Classification 2, 193-218.
    .. [2] Vinh, N. X., Epps, J. & Bailey, J. (2010). Information theoretic measures for clusterings comparison. JMLR
    11.

    Examples
    --------
    >>> clustering_agreement([[0.0], [0.1], [5.0], [5.1]], ["a", "a", "b", "b"])
    {'nmi': 1.0, 'ari': 1.0}
    """
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    values, codes = _checked(Z, y)
    clusters = int(codes.max()) + 1 if n_clusters is None else n_clusters
    check_integer(clusters, "n_clusters", at_least=1)
    if clusters > len(values):
        raise ValueError(f"n_clusters={clusters} is more than there are samples, {len(values)}")
    state = int(np.random.default_rng(check_seed(seed)).integers(2**31))
    found = KMeans(clusters, n_init=10, random_state=state).fit_predict(values)
    nmi, ari = normalized_mutual_info_score(codes, found), adjusted_rand_score(codes, found)
    return ClusteringAgreement(nmi=float(nmi), ari=float(ari))


def recall_at_k(Z: Any, y: Any, *, k: int = 1, groups: Any = None) -> float:
    r"""Fraction of the samples with one of their own class among their k nearest neighbours.

    Neighbours are those of the largest cosine similarity; a sample is not its own neighbour, nor are others of its
    group. Of neighbours that are equally near those of another class come first, so that the order of the samples does
    not matter and embeddings that are all the same score 0.

    Parameters
    ----------
    Z : array-like of shape (n, D)
        Embeddings.
    y : array-like of shape (n,)
        Labels.
    k : int
        How many neighbours. Default 1, as Recall@1 of [1]_.
    groups : array-like of shape (n,), optional
        Group (patient) of each sample: without it the recordings of a patient find each other.

    Returns
    -------
    float
        Over the samples of which another one (of another group) has the class; NaN where there is none.

    Raises
    ------
    ValueError
        If shapes do not fit, an embedding is not finite, or ``k`` is no whole number of at least 1.

    References
    ----------
    .. [1] Oh Song, H. et al. (2016). Deep metric learning via lifted structured feature embedding. CVPR.

    Examples
    --------
    >>> Z = [[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.7, 0.4]]
    >>> recall_at_k(Z, ["a", "a", "b", "b"]), recall_at_k(Z, ["a", "a", "b", "b"], k=3)
    (0.75, 1.0)
    """
    check_integer(k, "k", at_least=1)
    values, codes = _checked(Z, y)
    own = np.arange(len(values)) if groups is None else integer_codes(groups, len(values), "groups")
    length = np.linalg.norm(values, axis=1, keepdims=True)
    directions = values / np.where(length > 0, length, 1.0)
    block = max(1, _CELLS // len(values))
    found: list[bool] = []
    for start in range(0, len(values), block):
        rows = slice(start, start + block)
        similarity = (directions[rows] @ directions.T).round(12)  # (block, n): rounding is no order
        similarity[own[rows, None] == own] = -np.inf
        same = codes[rows, None] == codes
        nearest = np.where(same, similarity, -np.inf).max(axis=1)
        nearer = (np.where(same, -np.inf, similarity) >= nearest[:, None]).sum(axis=1)
        found += (nearer < k)[nearest > -np.inf].tolist()
    return float(np.mean(found)) if found else float("nan")


def embedding_metrics(
    Z_train: Any, Z_test: Any, y: Any, *, groups: Any = None, seed: int | Sequence[int] = 0
) -> dict[str, float]:
    """How well test embeddings cluster by class and find their own class, without a probe.

    Parameters
    ----------
    Z_train : array-like of shape (m, D)
        Training embeddings, whose means and standard deviations scale the others.
    Z_test : array-like of shape (n, D)
        Test embeddings.
    y : array-like of shape (n,)
        Their labels.
    groups : array-like of shape (n,), optional
        Their groups: neighbours of the same group do not count.
    seed : int or sequence of int
        Of k-means.

    Returns
    -------
    dict
        ``nmi`` and ``ari`` of :func:`clustering_agreement`, ``recall_at_1`` and ``recall_at_5`` of :func:`recall_at_k`.

    Raises
    ------
    ValueError
        If shapes do not fit, or an embedding is not finite.

    Examples
    --------
    >>> Z = [[0.0, 1.0], [0.1, 1.2], [5.0, -3.0], [5.1, -3.1]]
    >>> embedding_metrics(Z, Z, ["a", "a", "b", "b"])
    {'nmi': 1.0, 'ari': 1.0, 'recall_at_1': 1.0, 'recall_at_5': 1.0}
    """
    from sklearn.preprocessing import StandardScaler

    scaled = StandardScaler().fit(np.asarray(Z_train, dtype=np.float64)).transform(np.asarray(Z_test, dtype=np.float64))
    agreement = clustering_agreement(scaled, y, seed=seed)
    found = {f"recall_at_{k}": recall_at_k(scaled, y, k=k, groups=groups) for k in (1, 5)}
    return {"nmi": agreement["nmi"], "ari": agreement["ari"], **found}


def _checked(Z: Any, y: Any) -> tuple[Float[np.ndarray, "n dim"], Int64[np.ndarray, " n"]]:
    values = np.asarray(Z, dtype=np.float64)
    codes, _ = encode_labels(y)
    if values.ndim != 2 or len(values) != len(codes):
        raise ValueError(
            f"embeddings must be of shape (n, D) with one row a label; got {values.shape} for {len(codes)}"
        )
    check_finite(values, "embeddings")
    return values, codes
