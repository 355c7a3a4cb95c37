"""The logistic probe, its penalty chosen by cross-validation."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float, Int64
from scipy.special import softmax

from kinview.evaluation.probes import probes
from kinview.evaluation.probes._inner_metrics import INNER_METRICS
from kinview.evaluation.probes._logistic_algebra import PENALTIES, Model, fit_logistic, search
from kinview.evaluation.probes.base import Probe, positive_numbers
from kinview.parameters import anything, choice, whole

__all__ = ["Logistic"]


@probes.register("logistic", modality="any", reference="scikit-learn's LogisticRegressionCV, by log loss")
@dataclasses.dataclass(eq=False)
class Logistic(Probe):
    r"""Multinomial logistic regression on standardised features, its C chosen on inner folds by log loss.

    .. math:: \min_{W, b} -\sum_i \log p_{y_i}(z_i) + \frac{1}{2C} \lVert W \rVert^2,
        \qquad p = \operatorname{softmax}(W^\top z + b)

    Scores are the probabilities p. Two classes have a column each, so that a C is what 2 C is in
    scikit-learn's fit of two classes (with more classes, C is C).

    Parameters
    ----------
    random_state : int
        Not drawn from: folds go by the order of the rows.
    Cs : sequence of float
        Candidates for C. Default ``np.logspace(-4, 4, 10)``: scikit-learn's.
    max_iter : int, default 1000
        Most L-BFGS iterations (the gradient of the mean loss below 1e-5 ends a fit); a fit that hits it is counted in
        ``convergence_failures``.
    calibration : {"platt", "isotonic"}, optional
        Make the scores probabilities by left-out training rows, see :class:`Probe`.
    inner_metric : {"log_loss", "accuracy", "balanced_accuracy", "macro_f1", "auroc", "auprc"}
        By what C is chosen out of fold. Default: log loss, in which rows count as they do in the fit.
    class_weight : {"balanced"}, optional
        Weigh each training row by n / (K n_c), n_c the rows of its class among n of K classes: rare classes count as
        much as frequent ones. Default: each row counts the same.

    Attributes
    ----------
    C_ : float
        The chosen C; 1 where there is nothing to part (one group, or no class with a second row).
    cv_losses_ : ndarray or None
        Out-of-fold log loss of each C, ascending, or the negative of another inner metric; None where there was no
        search.

    Notes
    -----
    5 stratified folds, by group where groups are given, each with a scaler of its own. LogisticRegressionCV chooses by
    accuracy, which does not change with C for long stretches and says nothing about probabilities. For D > n, fits run
    in the n-dimensional span of the rows, to the same solution.

    Examples
    --------
    >>> probe = Logistic().fit([[0.0], [1.0], [4.0], [5.0]] * 3, [0, 0, 1, 1] * 3)
    >>> probe.predict([[2.0], [3.0]]).tolist(), probe.predict_scores([[2.5]]).round(3).tolist()
    ([0, 1], [[0.5, 0.5]])
    """

    wide: ClassVar[bool] = True

    Cs: Sequence[float] = anything(PENALTIES, "sequence of float", check=positive_numbers, doc="")
    max_iter: int = whole(1000, low=1)
    _: dataclasses.KW_ONLY
    inner_metric: str = choice("log_loss", ["log_loss", *INNER_METRICS])
    class_weight: str | None = choice(None, ["balanced"])
    C_: float = dataclasses.field(init=False, repr=False)
    cv_losses_: Float[np.ndarray, " grid"] | None = dataclasses.field(init=False, repr=False)
    _model: Model = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.Cs = tuple(float(C) for C in self.Cs)

    def _fit(
        self, Z: Float[np.ndarray, "n dim"], codes: Int64[np.ndarray, " n"], groups: Int64[np.ndarray, " n"] | None
    ) -> None:
        with self._counting_convergence_failures():
            self.C_, self.cv_losses_, _ = self._search(Z, codes, groups)
            self._model = self._fitted_model(Z, codes)

    def _search(
        self, Z: Float[np.ndarray, "n dim"], codes: Int64[np.ndarray, " n"], groups: Int64[np.ndarray, " n"] | None
    ) -> tuple[float, Float[np.ndarray, " grid"] | None, Float[np.ndarray, "n classes"] | None]:
        """The chosen C, the losses, and out-of-fold probabilities at this C."""
        return search(Z, codes, groups, self.Cs, self.max_iter, self.inner_metric, self.class_weight)

    def _fitted_model(
        self, Z: Float[np.ndarray, "n dim"], codes: Int64[np.ndarray, " n"], transition: Any = None
    ) -> Model:
        """The regression at the chosen C."""
        options: dict[str, Any] = {"max_iter": self.max_iter, "class_weight": self.class_weight}
        return fit_logistic(Z, codes, [self.C_], transition=transition, **options)[0]

    def _scores(self, Z: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, "n classes"]:
        return np.asarray(softmax(self._model.decisions(Z), axis=1))

    def _codes(self, Z: Float[np.ndarray, "n dim"]) -> Int64[np.ndarray, " n"]:
        return np.asarray(self._model.decisions(Z).argmax(axis=1), dtype=np.int64)  # far off, probabilities round to 1
