"""The support-vector probe, with its grid over C."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Float, Int64
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.svm import SVC

from kinview.evaluation.probes import probes
from kinview.evaluation.probes._inner_folds import inner_folds as _folds
from kinview.evaluation.probes.base import Probe, stratified_rows

__all__ = ["SVM"]

_GRID = (1e-4, 1e-3, 1e-2, 1e-1, 1e0, 1e1, 1e2, 1e3, 1e4, np.inf)
_KERNEL_ROWS = 4000  # a fold's kernel matrix of this size takes 128 MB; larger folds compute rows as they are needed


@probes.register("svm", modality="any", reference="Franceschi et al. 2019; Yue et al. 2022, official evaluation")
@dataclasses.dataclass(eq=False)
class SVM(Probe):
    r"""Support-vector machine with a radial kernel, its C chosen by cross-validation on the training rows.

    The kernel is :math:`\exp(-\gamma \lVert z - z' \rVert^2)` with :math:`\gamma = 1 / (D \operatorname{Var}(Z))`
    (scikit-learn's ``gamma="scale"``); features are not scaled. C is the one of 1e-4, 1e-3, ..., 1e4, infinity with the
    best mean accuracy in 5 stratified folds (the smallest of equals). With fewer than 5 rows a class or fewer than 50
    rows in all, C is infinite without a search. Scores are the one-versus-rest decision values; predictions are
    libsvm's votes.

    Parameters
    ----------
    random_state : int
        Seed of the sub-sample.
    max_rows : int
        A larger training set is sub-sampled to this size, classes in proportion. Default: official evaluation.
    max_iter : int
        Most libsvm iterations; a fit that hits it is counted in ``convergence_failures``. Default 1e6 (the official
        evaluation has 1e7: an infinite C on classes that overlap then runs for minutes, to the same effect).

    Raises
    ------
    ValueError
        If libsvm finds no finite coefficients for any C, as with features of 1e200.

    Attributes
    ----------
    C_ : float
        The chosen C.
    cv_scores_ : ndarray of shape (10,) or None
        Mean accuracy of each C; None where there was no search.

    Notes
    -----
    With ``groups``, folds keep groups together (at most as many folds as groups; with one group there is no search). A
    class with fewer rows than folds is missing from some of them. A fold whose training part has one class predicts it.

    Where libsvm's coefficients overflow, as they may with an infinite C on classes that overlap, the fit is a
    convergence failure and its accuracy 0, and the last fit takes the next smaller C.

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

    max_rows: int = 10_000
    max_iter: int = 1_000_000
    C_: float = dataclasses.field(init=False, repr=False)
    cv_scores_: Float[np.ndarray, " grid"] | None = dataclasses.field(init=False, repr=False)
    _classifier: Any = dataclasses.field(init=False, repr=False)

    def _fit(
        self, Z: Float[np.ndarray, "n dim"], codes: Int64[np.ndarray, " n"], groups: Int64[np.ndarray, " n"] | None
    ) -> None:
        n, n_classes = len(codes), len(self.classes_)
        n_groups = n if groups is None else len(np.unique(groups))
        self.C_, self.cv_scores_ = np.inf, None
        if n // n_classes >= 5 and n >= 50 and n_groups > 1:
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
        classifier = SVC(C=C, max_iter=self.max_iter, **parameters)
        with self._counting_convergence_failures():
            try:
                return classifier.fit(Z, codes)
            except ValueError as error:
                if "not finite" not in str(error):
                    raise
        self.convergence_failures += 1
        return None

    def _scores(self, Z: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, "n classes"]:
        decision = np.asarray(self._classifier.decision_function(Z))
        return np.stack([-decision, decision], axis=1) if decision.ndim == 1 else decision

    def _codes(self, Z: Float[np.ndarray, "n dim"]) -> Int64[np.ndarray, " n"]:
        return np.asarray(self._classifier.predict(Z), dtype=np.int64)

    def _search(
        self, Z: Float[np.ndarray, "n dim"], codes: Int64[np.ndarray, " n"], groups: Int64[np.ndarray, " n"] | None
    ) -> Float[np.ndarray, " grid"]:
        """Mean accuracy over the folds of each C."""
        folds = _folds(codes, groups)
        return np.asarray(np.mean([self._fold_scores(Z, codes, train, valid) for train, valid in folds], axis=0))

    def _fold_scores(
        self,
        Z: Float[np.ndarray, "n dim"],
        codes: Int64[np.ndarray, " n"],
        train: Int64[np.ndarray, " train"],
        valid: Int64[np.ndarray, " valid"],
    ) -> Float[np.ndarray, " grid"]:
        """Accuracy of each C in one fold. All of them share gamma, hence one kernel matrix."""
        if len(np.unique(codes[train])) == 1:
            return np.full(len(_GRID), np.mean(codes[valid] == codes[train[0]]))
        gamma = _scale_gamma(Z[train])
        if len(train) <= _KERNEL_ROWS:
            kernel, parameters = "precomputed", {}
            seen, unseen = rbf_kernel(Z[train], gamma=gamma), rbf_kernel(Z[valid], Z[train], gamma=gamma)
        else:
            kernel, parameters = "rbf", {"gamma": gamma}
            seen, unseen = Z[train], Z[valid]
        fits = (self._fitted(seen, codes[train], C, kernel=kernel, **parameters) for C in _GRID)
        return np.array([0.0 if fit is None else np.mean(fit.predict(unseen) == codes[valid]) for fit in fits])


def _scale_gamma(Z: Float[np.ndarray, "n dim"]) -> float:
    """scikit-learn's ``gamma="scale"``."""
    variance = float(Z.var())
    return 1.0 / (Z.shape[1] * variance) if variance > 0 else 1.0
