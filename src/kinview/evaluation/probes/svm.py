"""The support-vector probe, with its grid over C."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float, Int64
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.svm import SVC, SVR

from kinview.data.splits import quantile_codes
from kinview.evaluation.probes import probes
from kinview.evaluation.probes._inner_folds import inner_folds as _folds
from kinview.evaluation.probes._inner_metrics import INNER_METRICS, inner_score
from kinview.evaluation.probes.base import Probe, random_rows, stratified_rows
from kinview.parameters import choice, whole

__all__ = ["SVM"]

_GRID = (1e-4, 1e-3, 1e-2, 1e-1, 1e0, 1e1, 1e2, 1e3, 1e4, np.inf)
_REGRESSION_GRID = tuple(float(C) for C in np.logspace(-3, 3, 7))
_FIFTHS, _FEWEST = 5, 50
_KERNEL_ROWS = 4000  # a fold's kernel matrix of this size takes 128 MB; larger folds compute rows as they are needed


@probes.register("svm", modality="any", reference="Franceschi et al. 2019; Yue et al. 2022, official evaluation")
@dataclasses.dataclass(eq=False)
class SVM(Probe):
    r"""Support-vector machine with a radial kernel, its C chosen by cross-validation on the training rows.

    The kernel is :math:`\exp(-\gamma \lVert z - z' \rVert^2)` with :math:`\gamma = 1 / (D \operatorname{Var}(Z))`
    (scikit-learn's ``gamma="scale"``); features are not scaled. C is the one of 1e-4, 1e-3, ..., 1e4, infinity with the
    best mean accuracy (or ``inner_metric``) in 5 stratified folds (the smallest of equals). With fewer than 5 rows a
    class or fewer than 50 rows in all, C is infinite without a search. Scores are the one-versus-rest decision values;
    predictions are libsvm's votes.

    Where numbers are predicted it is support-vector regression with the same kernel on the standardised target, an
    error below 0.1 standard deviations free (scikit-learn's default); C is the one of 1e-3, 1e-2, ..., 1e3 with the
    smallest mean squared error in 5 folds, stratified by fifths of the target (the smallest of equals), and 1 with
    fewer than 50 rows.

    Parameters
    ----------
    random_state : int
        Seed of the sub-sample.
    max_rows : int
        A larger training set is sub-sampled to this size, classes in proportion. Default: official evaluation.
    max_iter : int
        Most libsvm iterations; a fit that hits it is counted in ``convergence_failures``. Default 1e6 (the official
        evaluation has 1e7: an infinite C on classes that overlap then runs for minutes, to the same effect).
    calibration : {"platt", "isotonic"}, optional
        Make the scores probabilities by left-out training rows, see :class:`Probe`.
    inner_metric : {"accuracy", "balanced_accuracy", "macro_f1", "auroc", "auprc"}, default "accuracy"
        What is best on left-out training rows. Default: official evaluation.
    class_weight : {"balanced"}, optional
        Weigh each training row by n / (K n_c), n_c the rows of its class among n of K classes: rare classes count as
        much as frequent ones. Default: each row counts the same.

    Raises
    ------
    ValueError
        If libsvm finds no finite coefficients for any C, as with features of 1e200.

    Attributes
    ----------
    C_ : float
        The chosen C.
    cv_scores_ : ndarray of shape (10,) or None
        Mean of the inner metric over the folds for each C; None where there was no search.

    Notes
    -----
    With ``groups``, folds keep groups together (at most as many folds as groups; with one group there is no search). A
    class with fewer rows than folds is missing from some of them. A fold whose training part has one class predicts it.

    Where libsvm's coefficients overflow, as they may with an infinite C on classes that overlap, the fit is a
    convergence failure and its accuracy 0 (any other metric: worse than every value), and the last fit takes the next
    smaller C. A fold where the metric is not defined, as AUROC with a single class, has no say.

    References
    ----------
    .. [1] Franceschi, J.-Y. et al. (2019). Unsupervised scalable representation learning for multivariate time series.
       NeurIPS.
    .. [2] Yue, Z. et al. (2022). TS2Vec: Towards universal representation of time series. AAAI.

    Examples
    --------
    >>> probe = SVM().fit([[0.0], [1.0], [4.0], [5.0]], [0, 0, 1, 1])
    >>> probe.C_, probe.predict([[0.5], [4.5]]).tolist(), probe.convergence_failures
    (inf, [0, 1], 0)
    """

    regresses: ClassVar[bool] = True

    max_rows: int = whole(10_000, low=1)
    max_iter: int = whole(1_000_000, low=1)
    _: dataclasses.KW_ONLY
    inner_metric: str = choice("accuracy", INNER_METRICS)
    class_weight: str | None = choice(None, ["balanced"])
    C_: float = dataclasses.field(init=False, repr=False)
    cv_scores_: Float[np.ndarray, " grid"] | None = dataclasses.field(init=False, repr=False)
    _classifier: Any = dataclasses.field(init=False, repr=False)
    _target: tuple[float, float] = dataclasses.field(init=False, repr=False, default=(0.0, 1.0))

    def _fit(
        self, Z: Float[np.ndarray, "n dim"], codes: Int64[np.ndarray, " n"], groups: Int64[np.ndarray, " n"] | None
    ) -> None:
        n, n_classes = len(codes), len(self.classes_)
        n_groups = n if groups is None else len(np.unique(groups))
        self.C_, self.cv_scores_ = np.inf, None
        if n // n_classes >= 5 and n >= _FEWEST and n_groups > 1:
            rows = stratified_rows(codes, self.max_rows, self.random_state)
            Z, codes = Z[rows], codes[rows]
            self.cv_scores_ = self._search(Z, codes, None if groups is None else groups[rows])
            self.C_ = _GRID[int(self.cv_scores_.argmax())]
        for C in (self.C_, *(C for C in reversed(_GRID) if self.C_ > C)):
            classifier = self._fitted(Z, codes, C, gamma="scale")
            if classifier is not None:
                self.C_, self._classifier = C, classifier
                return
        raise ValueError("libsvm finds no finite coefficients for any C of the grid: scale the features first")

    def _fitted(
        self, Z: Float[np.ndarray, "n dim"], codes: Int64[np.ndarray, " n"], C: float, **parameters: Any
    ) -> SVC | None:
        """Fitted classifier; None where libsvm's coefficients overflow, a convergence failure."""
        # the seed decides nothing here, and without one scikit-learn draws it from the global generator
        classifier = SVC(
            C=C, max_iter=self.max_iter, random_state=self.random_state, class_weight=self.class_weight, **parameters
        )
        with self._counting_convergence_failures():
            try:
                return classifier.fit(Z, codes)
            except ValueError as error:
                if "not finite" not in str(error):
                    raise
        self.convergence_failures += 1
        return None

    def _scores(self, Z: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, "n classes"]:
        return _score_columns(self._classifier.decision_function(Z))

    def _codes(self, Z: Float[np.ndarray, "n dim"]) -> Int64[np.ndarray, " n"]:
        return np.asarray(self._classifier.predict(Z), dtype=np.int64)

    def _fit_numbers(
        self, Z: Float[np.ndarray, "n dim"], y: Float[np.ndarray, " n"], groups: Int64[np.ndarray, " n"] | None
    ) -> None:
        rows = random_rows(len(y), self.max_rows, self.random_state)
        Z, y, groups = Z[rows], y[rows], None if groups is None else groups[rows]
        self._target = float(y.mean()), float(y.std()) or 1.0
        target = (y - self._target[0]) / self._target[1]
        folds = _folds(quantile_codes(y, _FIFTHS), groups) if len(y) >= _FEWEST else []
        self.C_, self.cv_scores_ = 1.0, None
        if folds:
            errors = [[self._squared_error(Z, target, C, *fold) for fold in folds] for C in _REGRESSION_GRID]
            self.cv_scores_ = -np.mean(errors, axis=1)
            self.C_ = _REGRESSION_GRID[int(self.cv_scores_.argmax())]
        self._classifier = self._regression(Z, target, self.C_)

    def _regression(self, Z: Float[np.ndarray, "n dim"], target: Float[np.ndarray, " n"], C: float) -> SVR:
        with self._counting_convergence_failures():
            return SVR(C=C, epsilon=0.1, gamma="scale", max_iter=self.max_iter).fit(Z, target)

    def _squared_error(
        self,
        Z: Float[np.ndarray, "n dim"],
        target: Float[np.ndarray, " n"],
        C: float,
        train: Int64[np.ndarray, " train"],
        valid: Int64[np.ndarray, " valid"],
    ) -> float:
        """Mean squared error of left-out rows."""
        return float(np.mean((self._regression(Z[train], target[train], C).predict(Z[valid]) - target[valid]) ** 2))

    def _numbers(self, Z: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, " n"]:
        centre, scale = self._target
        return np.asarray(self._classifier.predict(Z) * scale + centre)

    def _search(
        self, Z: Float[np.ndarray, "n dim"], codes: Int64[np.ndarray, " n"], groups: Int64[np.ndarray, " n"] | None
    ) -> Float[np.ndarray, " grid"]:
        """Mean of the inner metric over the folds for each C."""
        folds = [self._fold_scores(Z, codes, train, valid) for train, valid in _folds(codes, groups)]
        defined = [scores for scores in folds if np.isfinite(scores).any()]  # a metric is so for every C, or for none
        return np.asarray(np.mean(defined or np.zeros((1, len(_GRID))), axis=0))

    def _fold_scores(
        self,
        Z: Float[np.ndarray, "n dim"],
        codes: Int64[np.ndarray, " n"],
        train: Int64[np.ndarray, " train"],
        valid: Int64[np.ndarray, " valid"],
    ) -> Float[np.ndarray, " grid"]:
        """Inner metric of each C in one fold. All of them share gamma, hence one kernel matrix."""
        present = np.unique(codes[train])
        if len(present) == 1:
            own = float(np.mean(codes[valid] == codes[train[0]]))
            return np.full(len(_GRID), own if self.inner_metric == "accuracy" else -np.inf)
        gamma = _scale_gamma(Z[train])
        if len(train) <= _KERNEL_ROWS:
            kernel, parameters = "precomputed", {}
            seen, unseen = rbf_kernel(Z[train], gamma=gamma), rbf_kernel(Z[valid], Z[train], gamma=gamma)
        else:
            kernel, parameters = "rbf", {"gamma": gamma}
            seen, unseen = Z[train], Z[valid]
        fits = (self._fitted(seen, codes[train], C, kernel=kernel, **parameters) for C in _GRID)
        if self.inner_metric == "accuracy":
            return np.array([0.0 if fit is None else np.mean(fit.predict(unseen) == codes[valid]) for fit in fits])
        known = np.isin(codes[valid], present)  # a row of another class has no score
        if not known.any():
            return np.full(len(_GRID), -np.inf)
        places = np.searchsorted(present, codes[valid][known])
        return np.array([self._metric(fit, unseen[known], present, places) for fit in fits])

    def _metric(
        self,
        fit: SVC | None,
        unseen: Float[np.ndarray, "valid columns"],
        present: Int64[np.ndarray, " classes"],
        places: Int64[np.ndarray, " valid"],
    ) -> float:
        """Inner metric of a fit on rows that it did not see."""
        if fit is None:
            return -np.inf
        predicted = np.searchsorted(present, fit.predict(unseen))
        return inner_score(self.inner_metric, places, _score_columns(fit.decision_function(unseen)), predicted)


def _score_columns(decision: Any) -> Float[np.ndarray, "n classes"]:
    """A column for each class, also where libsvm has one for two of them."""
    decision = np.asarray(decision)
    return np.stack([-decision, decision], axis=1) if decision.ndim == 1 else decision


def _scale_gamma(Z: Float[np.ndarray, "n dim"]) -> float:
    """scikit-learn's ``gamma="scale"``."""
    variance = float(Z.var())
    return 1.0 / (Z.shape[1] * variance) if variance > 0 else 1.0
