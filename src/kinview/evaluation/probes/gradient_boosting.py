"""The gradient-boosting probe."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float, Int64
from sklearn.preprocessing import StandardScaler

from kinview.evaluation.probes import probes
from kinview.evaluation.probes.base import Probe

__all__ = ["XGBoost"]


@probes.register("xgboost", modality="any", reference="Chen & Guestrin 2016")
@dataclasses.dataclass(eq=False)
class XGBoost(Probe):
    """Gradient-boosted trees on standardised features; missing values stay missing.

    100 trees of depth 3 with learning rate 0.1, for raw features and embeddings alike, on one thread. Scores are the
    predicted probabilities.

    Parameters
    ----------
    random_state : int
        Seed of XGBoost.

    References
    ----------
    .. [1] Chen, T., Guestrin, C. (2016). XGBoost: a scalable tree boosting system. KDD.

    Examples
    --------
    >>> probe = XGBoost().fit([[0.0], [np.nan], [4.0], [5.0]] * 5, [3, 3, 7, 7] * 5)
    >>> probe.predict([[0.0], [4.5]]).tolist(), probe.predict_scores([[0.0]]).shape
    ([3, 7], (1, 2))
    """

    accepts_missing: ClassVar[bool] = True

    _scaler: StandardScaler = dataclasses.field(init=False, repr=False)
    _classifier: Any = dataclasses.field(init=False, repr=False)

    def _fit(
        self, Z: Float[np.ndarray, "n dim"], codes: Int64[np.ndarray, " n"], groups: Int64[np.ndarray, " n"] | None
    ) -> None:
        from xgboost import XGBClassifier

        with np.errstate(divide="ignore", invalid="ignore"):  # a column without a value has no mean, and stays missing
            self._scaler = StandardScaler().fit(Z)
        self._classifier = XGBClassifier(
            n_estimators=100, max_depth=3, learning_rate=0.1, n_jobs=1, random_state=self.random_state
        )
        self._classifier.fit(self._scaler.transform(Z), codes)

    def _scores(self, Z: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, "n classes"]:
        return np.asarray(self._classifier.predict_proba(self._scaler.transform(Z)), dtype=np.float64)
