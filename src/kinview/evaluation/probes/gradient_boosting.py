"""The gradient-boosting probe."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float, Int64
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_sample_weight

from kinview.evaluation.probes import probes
from kinview.evaluation.probes.base import Probe
from kinview.parameters import choice

__all__ = ["XGBoost"]

_TREES: dict[str, Any] = {"n_estimators": 100, "max_depth": 3, "learning_rate": 0.1, "n_jobs": 1}


@probes.register("xgboost", modality="any", reference="Chen & Guestrin 2016")
@dataclasses.dataclass(eq=False)
class XGBoost(Probe):
    """Gradient-boosted trees on standardised features; missing values stay missing.

    100 trees of depth 3 with learning rate 0.1, for raw features and embeddings alike, on one thread. Scores are the
    predicted probabilities.

    Where numbers are predicted the trees regress onto the squared error.

    Parameters
    ----------
    random_state : int
        Seed of XGBoost.
    calibration : {"platt", "isotonic"}, optional
        Make the scores probabilities by left-out training rows, see :class:`Probe`.
    class_weight : {"balanced"}, optional
        Weigh each training row by n / (K n_c), n_c the rows of its class among n of K classes: rare classes count as
        much as frequent ones. Default: each row counts the same.

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
    regresses: ClassVar[bool] = True

    _: dataclasses.KW_ONLY
    class_weight: str | None = choice(None, ["balanced"])
    _scaler: StandardScaler = dataclasses.field(init=False, repr=False)
    _classifier: Any = dataclasses.field(init=False, repr=False)

    def _fit(
        self, Z: Float[np.ndarray, "n dim"], codes: Int64[np.ndarray, " n"], groups: Int64[np.ndarray, " n"] | None
    ) -> None:
        from xgboost import XGBClassifier

        self._scaler = _scaler_of(Z)
        self._classifier = XGBClassifier(**_TREES, random_state=self.random_state)
        weights = None if self.class_weight is None else compute_sample_weight(self.class_weight, codes)
        self._classifier.fit(self._scaler.transform(Z), codes, sample_weight=weights)

    def _scores(self, Z: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, "n classes"]:
        return np.asarray(self._classifier.predict_proba(self._scaler.transform(Z)), dtype=np.float64)

    def _fit_numbers(
        self, Z: Float[np.ndarray, "n dim"], y: Float[np.ndarray, " n"], groups: Int64[np.ndarray, " n"] | None
    ) -> None:
        from xgboost import XGBRegressor

        self._scaler = _scaler_of(Z)
        self._classifier = XGBRegressor(**_TREES, random_state=self.random_state).fit(self._scaler.transform(Z), y)

    def _numbers(self, Z: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, " n"]:
        return np.asarray(self._classifier.predict(self._scaler.transform(Z)), dtype=np.float64)


def _scaler_of(Z: Float[np.ndarray, "n dim"]) -> StandardScaler:
    with np.errstate(divide="ignore", invalid="ignore"):  # a column without a value has no mean, and stays missing
        return StandardScaler().fit(Z)
