"""The nearest-centroid probe."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int64
from scipy.special import softmax
from sklearn.preprocessing import StandardScaler

from kinview.evaluation.probes import probes
from kinview.evaluation.probes._calibration import best_sharpness
from kinview.evaluation.probes._ridge_algebra import scaled_rows
from kinview.evaluation.probes.base import Probe

__all__ = ["Centroid"]

_SHARPNESS = np.geomspace(1e-3, 1e3, 25)  # of squared distances, whose scale is not known beforehand
_NO_CLASS = 1e6  # as a squared distance, times the largest one: the class has no other row


@probes.register("centroid", modality="any", reference="Tibshirani et al. 2002, without shrinkage")
@dataclasses.dataclass(eq=False)
class Centroid(Probe):
    r"""Class with the nearest mean on standardised features.

    Scores are probabilities :math:`\operatorname{softmax}(-a \lVert z - \mu_c \rVert^2 / m)`, with m the mean squared
    distance of the training rows to their own class mean, and a, of 25 values from 1e-3 to 1e3, with the smallest log
    loss when each row (its group, where groups are given) is left out of the class means. Few parameters: it is steady
    under wrong labels and loses where classes are not compact.

    Parameters
    ----------
    random_state : int
        Not drawn from: there is nothing random.
    calibration : {"platt", "isotonic"}, optional
        Make the scores probabilities by left-out training rows, see :class:`Probe`.

    Attributes
    ----------
    sharpness_ : float
        The factor a; 1 with a single group, where nothing can be left out.

    Notes
    -----
    A row that is the only one of its class is left out of the choice of a. Equal distances go to the first class.

    References
    ----------
    .. [1] Tibshirani, R. et al. (2002). Diagnosis of multiple cancer types by shrunken centroids of gene expression.
       PNAS.

    Examples
    --------
    >>> probe = Centroid().fit([[0.0], [1.0], [4.0], [5.0]], ["low", "low", "high", "high"])
    >>> probe.predict([[2.0], [3.0]]).tolist()
    ['low', 'high']
    """

    wide: ClassVar[bool] = True

    sharpness_: float = dataclasses.field(init=False, repr=False)
    _scaler: StandardScaler = dataclasses.field(init=False, repr=False)
    _means: Float[np.ndarray, "classes dim"] = dataclasses.field(init=False, repr=False)
    _unit: float = dataclasses.field(init=False, repr=False)

    def _fit(
        self, Z: Float[np.ndarray, "n dim"], codes: Int64[np.ndarray, " n"], groups: Int64[np.ndarray, " n"] | None
    ) -> None:
        self._scaler, X = scaled_rows(Z)
        own = np.asarray(codes[:, None] == np.arange(len(self.classes_)), dtype=np.float64)
        self._means = (own.T @ X) / own.sum(axis=0)[:, None]
        mean = float(np.mean(_squared_distances(X, self._means)[np.arange(len(codes)), codes]))
        self._unit = mean if mean > 0 else 1.0
        parts = np.arange(len(codes)) if groups is None else groups
        self.sharpness_ = 1.0
        if len(np.unique(parts)) > 1:
            left_out = _left_out_distances(X, own, parts)
            judged = left_out[np.arange(len(codes)), codes] < np.inf
            if judged.any():
                finite = left_out[judged]
                finite[np.isinf(finite)] = _NO_CLASS * max(float(finite[np.isfinite(finite)].max()), self._unit)
                self.sharpness_, _ = best_sharpness(-finite / self._unit, codes[judged], _SHARPNESS)

    def _scores(self, Z: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, "n classes"]:
        return np.asarray(softmax(-self.sharpness_ * self._distances(Z) / self._unit, axis=1))

    def _codes(self, Z: Float[np.ndarray, "n dim"]) -> Int64[np.ndarray, " n"]:
        return np.asarray(self._distances(Z).argmin(axis=1), dtype=np.int64)  # far off, probabilities round to 1

    def _distances(self, Z: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, "n classes"]:
        return _squared_distances(self._scaler.transform(Z), self._means)


def _squared_distances(
    X: Float[np.ndarray, "n dim"], means: Float[np.ndarray, "classes dim"]
) -> Float[np.ndarray, "n classes"]:
    return np.stack([np.square(X - mean).sum(axis=1) for mean in means], axis=1)


def _left_out_distances(
    X: Float[np.ndarray, "n dim"], own: Float[np.ndarray, "n classes"], parts: Int64[np.ndarray, " n"]
) -> Float[np.ndarray, "n classes"]:
    """Squared distances to the class means without the row's group; infinite where none of the class stays."""
    sums, counts = own.T @ X, own.sum(axis=0)
    distances = np.empty_like(own)
    order = np.argsort(parts, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(parts[order])) + 1):
        stay = counts - own[rows].sum(axis=0)
        means = (sums - own[rows].T @ X[rows]) / np.maximum(stay, 1.0)[:, None]
        distances[rows] = np.where(stay > 0, _squared_distances(X[rows], means), np.inf)
    return distances
