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

__all__ = ["NearestNeighbour"]


@probes.register("knn", modality="any", reference="Yue et al. 2022, official evaluation")
@dataclasses.dataclass(eq=False)
class NearestNeighbour(Probe):
    r"""One nearest neighbour on standardised features.

    With :math:`d_k` the Euclidean distance to the nearest training row of class k, the score of class k is the margin
    :math:`\min_{j \ne k} d_j - d_k`: it is largest for the class of the nearest neighbour, and unlike a vote of one it
    ranks the rows. Of classes at equal distance the first is predicted.

    Parameters
    ----------
    random_state : int
        Not drawn from: there is nothing random.

    References
    ----------
    .. [1] Yue, Z. et al. (2022). TS2Vec: Towards universal representation of time series. AAAI.

    Examples
    --------
    >>> probe = NearestNeighbour().fit([[0.0], [1.0], [4.0], [5.0]], [False, False, True, True])
    >>> probe.predict([[2.0], [3.0]]).tolist()
    [False, True]
    """

    _scaler: StandardScaler = dataclasses.field(init=False, repr=False)
    _neighbours: list[Any] = dataclasses.field(init=False, repr=False)

    def _fit(
        self, Z: Float[np.ndarray, "n dim"], codes: Int64[np.ndarray, " n"], groups: Int64[np.ndarray, " n"] | None
    ) -> None:
        self._scaler = StandardScaler().fit(Z)
        scaled = self._scaler.transform(Z)
        self._neighbours = [NearestNeighbors(n_neighbors=1).fit(scaled[codes == k]) for k in range(len(self.classes_))]

    def _scores(self, Z: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, "n classes"]:
        scaled = self._scaler.transform(Z)
        distance = np.concatenate([index.kneighbors(scaled)[0] for index in self._neighbours], axis=1)
        nearest, second = np.partition(distance, 1, axis=1)[:, :2].T
        first = np.arange(distance.shape[1]) == distance.argmin(axis=1)[:, None]
        return np.asarray(np.where(first, second[:, None], nearest[:, None]) - distance)
