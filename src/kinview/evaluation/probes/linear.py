"""The linear probe."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float, Int64
from scipy.special import log_expit, softmax
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from kinview.evaluation.probes import probes
from kinview.evaluation.probes.base import Probe, random_rows, stratified_rows
from kinview.parameters import choice, whole

__all__ = ["Linear"]


@probes.register("linear", modality="any", reference="Yue et al. 2022, official evaluation")
@dataclasses.dataclass(eq=False)
class Linear(Probe):
    r"""Logistic regression on standardised features, one class versus the rest.

    Scores are :math:`p_k \propto \sigma(w_k^\top z + b_k)`, with :math:`w_k` of the L2-penalised fit (C = 1).

    Where numbers are predicted it is least squares on standardised features, the smallest weights of equals.

    Parameters
    ----------
    random_state : int
        Seed of the sub-sample.
    max_rows : int
        A larger training set is sub-sampled to this size, classes in proportion. Default: official evaluation.
    max_iter : int
        Most L-BFGS iterations; a fit that hits it is counted. Default: official evaluation.
    calibration : {"platt", "isotonic"}, optional
        Make the scores probabilities by left-out training rows, see :class:`Probe`.
    class_weight : {"balanced"}, optional
        Let a class count as much as all others in each of the fits (scikit-learn's ``class_weight``). Default: each row
        counts the same.

    References
    ----------
    .. [1] Yue, Z. et al. (2022). TS2Vec: Towards universal representation of time series. AAAI.

    Examples
    --------
    >>> probe = Linear().fit([[0.0], [1.0], [4.0], [5.0]], ["low", "low", "high", "high"])
    >>> probe.classes_.tolist(), probe.predict([[-1.0], [6.0]]).tolist()
    (['high', 'low'], ['low', 'high'])
    """

    regresses: ClassVar[bool] = True

    max_rows: int = whole(100_000, low=1)
    max_iter: int = whole(1_000_000, low=1)
    _: dataclasses.KW_ONLY
    class_weight: str | None = choice(None, ["balanced"])
    _pipeline: Any = dataclasses.field(init=False, repr=False)

    def _fit(
        self, Z: Float[np.ndarray, "n dim"], codes: Int64[np.ndarray, " n"], groups: Int64[np.ndarray, " n"] | None
    ) -> None:
        rows = stratified_rows(codes, self.max_rows, self.random_state)
        regression = LogisticRegression(
            max_iter=self.max_iter, random_state=self.random_state, class_weight=self.class_weight
        )
        classifier = regression if len(self.classes_) == 2 else OneVsRestClassifier(regression)
        self._pipeline: Pipeline = make_pipeline(StandardScaler(), classifier)
        with self._counting_convergence_failures():
            self._pipeline.fit(Z[rows], codes[rows])

    def _scores(self, Z: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, "n classes"]:
        decision = self._pipeline.decision_function(Z)
        if decision.ndim == 1:
            return np.asarray(softmax(np.stack([np.zeros_like(decision), decision], axis=1), axis=1))
        # p_k / sum(p) by logarithms: far from every class, where each p underflows to 0, the quotient is still defined.
        return np.asarray(softmax(log_expit(decision), axis=1))

    def _fit_numbers(
        self, Z: Float[np.ndarray, "n dim"], y: Float[np.ndarray, " n"], groups: Int64[np.ndarray, " n"] | None
    ) -> None:
        rows = random_rows(len(y), self.max_rows, self.random_state)
        self._pipeline = make_pipeline(StandardScaler(), LinearRegression()).fit(Z[rows], y[rows])

    def _numbers(self, Z: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, " n"]:
        return np.asarray(self._pipeline.predict(Z))
