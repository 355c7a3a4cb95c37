"""The nearest-neighbour probe."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Float, Int64
from sklearn.metrics import pairwise_distances
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from kinview.evaluation.probes import probes
from kinview.evaluation.probes._inner_metrics import INNER_METRICS, inner_score
from kinview.evaluation.probes.base import Probe
from kinview.parameters import check_integer, choice

__all__ = ["NearestNeighbour"]

_CANDIDATES = np.array([1, 3, 5, 7, 11, 15, 21, 31, 51])
_CHUNK = 1024  # rows whose distances are held at once: 80 MB for 10,000 training rows


@probes.register("knn", modality="any", reference="Yue et al. 2022, official evaluation")
@dataclasses.dataclass(eq=False)
class NearestNeighbour(Probe):
    r"""Vote of the nearest neighbours on standardised features.

    With ``k=1`` and :math:`d_c` the Euclidean distance to the nearest training row of class c, the score of class c is
    the margin :math:`\min_{j \ne c} d_j - d_c`: it is largest for the class of the nearest neighbour, and unlike a vote
    of one it ranks the rows. With a larger ``k`` it is the fraction of class c among the k nearest training rows.
    Whatever is equal, distances or scores, goes to the first class; the order of the training rows has no effect.

    Parameters
    ----------
    random_state : int
        Not drawn from: there is nothing random.
    k : int or "loo", default 1
        Number of neighbours, from 1 to the number of training rows. Default 1: official evaluation. ``"loo"`` takes the
        one of 1, 3, 5, 7, 11, 15, 21, 31 and 51 (below n) whose vote is best by ``inner_metric`` when each training row
        is left out with its group, the smallest of equals; 1 where nothing can be left out.
    inner_metric : {"accuracy", "balanced_accuracy", "macro_f1", "auroc", "auprc"}, default "accuracy"
        By what ``k="loo"`` chooses.
    calibration : {"platt", "isotonic"}, optional
        Make the scores probabilities by left-out training rows, see :class:`Probe`.

    Attributes
    ----------
    k_ : int
        The number of neighbours that votes.

    Notes
    -----
    The scaler sees all training rows: leaving one out does not scale anew. ``"loo"`` takes time :math:`n^2 D`.

    References
    ----------
    .. [1] Yue, Z. et al. (2022). TS2Vec: Towards universal representation of time series. AAAI.

    Examples
    --------
    >>> probe = NearestNeighbour().fit([[0.0], [1.0], [4.0], [5.0]], [False, False, True, True])
    >>> probe.predict([[2.0], [3.0]]).tolist()
    [False, True]
    """

    k: int | str = 1
    _: dataclasses.KW_ONLY
    inner_metric: str = choice("accuracy", INNER_METRICS)
    k_: int = dataclasses.field(init=False, repr=False)
    _scaler: StandardScaler = dataclasses.field(init=False, repr=False)
    _neighbours: list[Any] = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.k == "loo":
            return
        if self.inner_metric != "accuracy":
            raise ValueError(f"inner_metric={self.inner_metric!r} chooses k, and k={self.k} is given; use k='loo'")
        check_integer(self.k, "k", at_least=1)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "_neighbours" in state and "k_" not in state:  # a pickle from before k could be chosen
            self.k_ = int(self.k)

    def _fit(
        self, Z: Float[np.ndarray, "n dim"], codes: Int64[np.ndarray, " n"], groups: Int64[np.ndarray, " n"] | None
    ) -> None:
        if self.k != "loo" and int(self.k) > len(Z):
            raise ValueError(f"k={self.k} neighbours cannot be found among {len(Z)} training rows; lower k")
        self._scaler = StandardScaler().fit(Z)
        scaled = self._scaler.transform(Z)
        self.k_ = _best_k(scaled, codes, groups, self.inner_metric) if self.k == "loo" else int(self.k)
        parts = [scaled[codes == c] for c in range(len(self.classes_))]
        self._neighbours = [NearestNeighbors(n_neighbors=min(self.k_, len(part))).fit(part) for part in parts]

    def _scores(self, Z: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, "n classes"]:
        scaled = self._scaler.transform(Z)
        by_class = [index.kneighbors(scaled)[0] for index in self._neighbours]  # (n, k or all rows of the class), each
        distance = np.concatenate(by_class, axis=1)
        if self.k_ > 1:
            owner = np.repeat(np.arange(len(by_class)), [found.shape[1] for found in by_class])
            votes = owner[distance.argsort(axis=1, kind="stable")[:, : self.k_]]  # (n, k)
            return np.stack([(votes == c).mean(axis=1) for c in range(len(by_class))], axis=1)
        nearest, second = np.partition(distance, 1, axis=1)[:, :2].T
        first = np.arange(distance.shape[1]) == distance.argmin(axis=1)[:, None]
        return np.asarray(np.where(first, second[:, None], nearest[:, None]) - distance)


def _best_k(
    X: Float[np.ndarray, "n dim"],
    codes: Int64[np.ndarray, " n"],
    groups: Int64[np.ndarray, " n"] | None,
    metric: str,
) -> int:
    """Number of neighbours whose vote is best for rows that are left out with their group."""
    parts = np.arange(len(codes)) if groups is None else groups
    candidates = _CANDIDATES[len(codes) > _CANDIDATES]
    order = np.argsort(codes, kind="stable")  # equal distances go to the first class, whatever the order of the rows
    fractions, judged = np.zeros((len(codes), len(candidates), int(codes.max()) + 1)), np.zeros(len(codes), dtype=bool)
    for start in range(0, len(codes), _CHUNK):
        rows = slice(start, start + _CHUNK)
        distance = pairwise_distances(X[rows], X[order])
        apart = parts[rows, None] != parts[None, order]
        distance[~apart] = np.inf
        nearest = distance.argsort(axis=1, kind="stable")[:, : candidates[-1]]
        owner = codes[order][nearest]  # (rows, k)
        counts = np.take_along_axis(apart, nearest, axis=1)
        votes = np.cumsum((owner[:, :, None] == np.arange(codes.max() + 1)) & counts[:, :, None], axis=1)
        voted = np.maximum(np.cumsum(counts, axis=1), 1)[:, candidates - 1, None]
        fractions[rows], judged[rows] = votes[:, candidates - 1] / voted, counts[:, 0]  # (rows, candidates, classes)
    if not judged.any():
        return int(candidates[0])
    scores = [inner_score(metric, codes[judged], fractions[judged, place]) for place in range(len(candidates))]
    return int(candidates[int(np.argmax(scores))])
