"""The ridge probe: the head that the Rocket family is published with."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int64
from scipy.special import softmax
from sklearn.preprocessing import StandardScaler

from kinview.evaluation.probes import probes
from kinview.evaluation.probes._calibration import best_sharpness
from kinview.evaluation.probes._inner_metrics import INNER_METRICS, inner_score
from kinview.evaluation.probes._ridge_algebra import RidgePath, scaled_product, scaled_rows, targets_of
from kinview.evaluation.probes.base import Probe, positive_numbers
from kinview.parameters import anything, choice

__all__ = ["Ridge"]

_ROCKET = np.logspace(-3, 3, 10)
_WIDE = np.logspace(-4, 2, 13)
_UNSEEN_SHARPNESS = 2.0  # where nothing can be left out to judge it


@probes.register("ridge", modality="any", reference="Dempster et al. 2021 (MiniRocket), official code")
@dataclasses.dataclass(eq=False)
class Ridge(Probe):
    r"""Ridge regression onto -1 and 1 per class, its penalty chosen by exact leave-one-out error.

    On standardised features, :math:`\min_{W, b} \sum_i \lVert y_i - W^\top z_i - b \rVert^2 + \alpha \lVert W
    \rVert^2` with targets 1 for the own class and -1 for the others. The error that leaving each row out would give has
    a closed form [1]_, so that one eigen-decomposition of n x n or D x D serves all penalties and there are no folds.
    Scores are probabilities :math:`\operatorname{softmax}(a f(z))` of the decision values f, the sharpness a (one of 12
    from 0.2 to 16) with the smallest log loss on the left-out decision values; predictions do not depend on it.

    Where numbers are predicted they are the targets, one column, and the penalty has the smallest left-out squared
    error.

    Parameters
    ----------
    random_state : int
        Not drawn from: there is nothing random.
    grid : {"rocket", "wide"}, default "rocket"
        Penalties: ``np.logspace(-3, 3, 10)`` whatever the number of features, the grid of the official Rocket codes; or
        D times ``np.logspace(-4, 2, 13)``, which means the same for any number of features.
    alphas : sequence of float, optional
        Penalties of your own in place of a grid.
    inner_metric : str, default "squared_error"
        What is best when left out: the mean squared error of the decision values (scikit-learn's RidgeClassifierCV,
        hence the official codes), the "log_loss" of the probabilities, or "accuracy", "balanced_accuracy", "macro_f1",
        "auroc" or "auprc" of the decision values. Of equals, the first penalty.
    calibration : {"platt", "isotonic"}, optional
        Make the scores probabilities by left-out training rows, see :class:`Probe`.

    Attributes
    ----------
    alpha_ : float
        The chosen penalty.
    cv_scores_ : ndarray of shape (alphas,) or None
        Left-out inner metric of each penalty, that of an error negative; None with a single group, where nothing can be
        left out: the penalty is then the middle one (the larger of two), and a = 2.
    sharpness_ : float
        The factor a.

    Notes
    -----
    With ``groups``, the rows of a group are left out together, exactly. The scaler sees all rows: leaving a row out
    does not scale anew. MiniRocket's official example has ``StandardScaler(with_mean=False)`` before RidgeClassifierCV:
    with an intercept that is not penalised, centring changes nothing. Penalty and decision values f are those of
    RidgeClassifierCV (tested to 1e-8).

    References
    ----------
    .. [1] Rifkin, R., Lippert, R. (2007). Notes on regularized least squares. MIT-CSAIL-TR-2007-025.
    .. [2] Dempster, A., Schmidt, D., Webb, G. (2021). MiniRocket: a very fast (almost) deterministic transform for time
       series classification. KDD.

    Examples
    --------
    >>> probe = Ridge().fit([[0.0], [1.0], [4.0], [5.0]], [0, 0, 1, 1])
    >>> probe.predict([[0.5], [4.5]]).tolist(), round(probe.alpha_, 3)
    ([0, 1], 0.464)
    """

    wide: ClassVar[bool] = True
    regresses: ClassVar[bool] = True

    grid: str = choice("rocket", ["rocket", "wide"])
    alphas: Sequence[float] | None = anything(None, "sequence of float", check=positive_numbers, doc="")
    inner_metric: str = choice("squared_error", ["squared_error", "log_loss", *INNER_METRICS])
    alpha_: float = dataclasses.field(init=False, repr=False)
    cv_scores_: Float[np.ndarray, " alphas"] | None = dataclasses.field(init=False, repr=False)
    sharpness_: float = dataclasses.field(init=False, repr=False)
    _scaler: StandardScaler = dataclasses.field(init=False, repr=False)
    _weights: Float[np.ndarray, "dim classes"] = dataclasses.field(init=False, repr=False)
    _intercept: Float[np.ndarray, " classes"] = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.alphas = None if self.alphas is None else tuple(float(alpha) for alpha in self.alphas)

    def _fit(
        self, Z: Float[np.ndarray, "n dim"], codes: Int64[np.ndarray, " n"], groups: Int64[np.ndarray, " n"] | None
    ) -> None:
        self._scaler, X = scaled_rows(Z)
        targets, path = targets_of(codes, len(self.classes_)), RidgePath(X, groups)
        self._choose(path, targets, codes, self._penalties(X.shape[1]))
        self._weights, self._intercept = path.coefficients(targets, self.alpha_), targets.mean(axis=0)

    def _fit_numbers(
        self, Z: Float[np.ndarray, "n dim"], y: Float[np.ndarray, " n"], groups: Int64[np.ndarray, " n"] | None
    ) -> None:
        self._scaler, X = scaled_rows(Z)
        targets, path, alphas = y[:, None], RidgePath(X, groups), self._penalties(X.shape[1])
        self.alpha_, self.cv_scores_, self.sharpness_ = float(np.sort(alphas)[len(alphas) // 2]), None, 1.0
        if path.leaves_some:
            left_out = [sum(path.left_out(targets, alpha)) for alpha in alphas]
            self.cv_scores_ = np.array([-float(np.mean((targets - found) ** 2)) for found in left_out])
            self.alpha_ = float(alphas[int(self.cv_scores_.argmax())])
        self._weights, self._intercept = path.coefficients(targets, self.alpha_), targets.mean(axis=0)

    def _numbers(self, Z: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, " n"]:
        return self._decisions(Z)[:, 0]

    def _penalties(self, dim: int) -> Float[np.ndarray, " alphas"]:
        if self.alphas is not None:
            return np.asarray(self.alphas, dtype=np.float64)
        return _ROCKET if self.grid == "rocket" else dim * _WIDE

    def _choose(
        self,
        path: RidgePath,
        targets: Float[np.ndarray, "n classes"],
        codes: Int64[np.ndarray, " n"],
        alphas: Float[np.ndarray, " alphas"],
    ) -> None:
        if not path.leaves_some:
            self.alpha_, self.cv_scores_ = float(np.sort(alphas)[len(alphas) // 2]), None
            self.sharpness_ = _UNSEEN_SHARPNESS
            return
        values, sharpness = [], []
        for alpha in alphas:
            signal, level = path.left_out(targets, alpha)
            left_out = signal + level
            factor, loss = best_sharpness(left_out, codes)
            sharpness.append(factor)
            if self.inner_metric in INNER_METRICS:
                values.append(inner_score(self.inner_metric, codes, left_out))
            else:
                values.append(-loss if self.inner_metric == "log_loss" else -float(np.mean((targets - left_out) ** 2)))
        best = int(np.argmax(values))
        self.cv_scores_ = np.array(values)
        self.alpha_, self.sharpness_ = float(alphas[best]), sharpness[best]

    def _scores(self, Z: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, "n classes"]:
        return np.asarray(softmax(self.sharpness_ * self._decisions(Z), axis=1))

    def _codes(self, Z: Float[np.ndarray, "n dim"]) -> Int64[np.ndarray, " n"]:
        return np.asarray(self._decisions(Z).argmax(axis=1), dtype=np.int64)  # far off, probabilities round to 1

    def _decisions(self, Z: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, "n classes"]:
        decisions: Float[np.ndarray, "n classes"] = scaled_product(self._scaler, Z, self._weights) + self._intercept
        return decisions
