"""The nearest-neighbour probe."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Float, Int64
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from kinview.evaluation.probes import probes
from kinview.evaluation.probes.base import Probe
from kinview.parameters import check_integer

__all__ = ["NearestNeighbour"]


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
    k : int
        Number of neighbours, from 1 to the number of training rows. Default 1: official evaluation.

    References
    ----------
    .. [1] Yue, Z. et al. (2022). TS2Vec: Towards universal representation of time series. AAAI.

    Examples
    --------
    >>> probe = NearestNeighbour().fit([[0.0], [1.0], [4.0], [5.0]], [False, False, True, True])
    >>> probe.predict([[2.0], [3.0]]).tolist()
    [False, True]
    """

    k: int = 1
    _scaler: StandardScaler = dataclasses.field(init=False, repr=False)
    _neighbours: list[Any] = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_integer(self.k, "k", at_least=1)

    def _fit(
        self, Z: Float[np.ndarray, "n dim"], codes: Int64[np.ndarray, " n"], groups: Int64[np.ndarray, " n"] | None
    ) -> None:
        if self.k > len(Z):
            raise ValueError(f"k={self.k} neighbours cannot be found among {len(Z)} training rows; lower k")
        self._scaler = StandardScaler().fit(Z)
        scaled = self._scaler.transform(Z)
        parts = [scaled[codes == c] for c in range(len(self.classes_))]
        self._neighbours = [NearestNeighbors(n_neighbors=min(self.k, len(part))).fit(part) for part in parts]

    def _scores(self, Z: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, "n classes"]:
        scaled = self._scaler.transform(Z)
        by_class = [index.kneighbors(scaled)[0] for index in self._neighbours]  # (n, k or all rows of the class), each
        distance = np.concatenate(by_class, axis=1)
        if self.k > 1:
            owner = np.repeat(np.arange(len(by_class)), [found.shape[1] for found in by_class])
            votes = owner[distance.argsort(axis=1, kind="stable")[:, : self.k]]  # (n, k)
            return np.stack([(votes == c).mean(axis=1) for c in range(len(by_class))], axis=1)
        nearest, second = np.partition(distance, 1, axis=1)[:, :2].T
        first = np.arange(distance.shape[1]) == distance.argmin(axis=1)[:, None]
        return np.asarray(np.where(first, second[:, None], nearest[:, None]) - distance)
