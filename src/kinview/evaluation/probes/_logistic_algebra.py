"""Multinomial logistic regression on standardised features, with its penalty chosen on inner folds."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, Int64
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_sample_weight

from kinview.evaluation.probes._inner_folds import inner_folds, out_of_fold
from kinview.evaluation.probes._inner_metrics import inner_score
from kinview.evaluation.probes._ridge_algebra import scaled_rows

__all__ = ["PENALTIES", "Model", "fit_logistic", "search"]

PENALTIES = tuple(float(C) for C in np.logspace(-4, 4, 10))
"""scikit-learn's grid of ``LogisticRegressionCV``."""
_TOLERANCE = 1e-5  # of the gradient of the mean loss

Transition = Float[np.ndarray, "classes classes"]


@dataclasses.dataclass(frozen=True, eq=False)
class Model:
    """A fitted logistic regression: probabilities are the softmax of :meth:`decisions`."""

    scaler: StandardScaler
    weights: Float[np.ndarray, "dim classes"]
    intercept: Float[np.ndarray, " classes"]

    def decisions(self, Z: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, "n classes"]:
        """Unnormalised log-probabilities."""
        found: Float[np.ndarray, "n classes"] = self.scaler.transform(Z) @ self.weights + self.intercept
        return found


class _Rows:
    """Standardised training rows in the fewest coordinates that hold them: at most n, whatever D is.

    The penalty is a norm, so the solution lies in the span of the rows, and turning the axes does not change it.
    """

    def __init__(self, Z: Float[np.ndarray, "n dim"]) -> None:
        self.scaler, X = scaled_rows(Z)
        self._axes = None
        if len(X) < X.shape[1]:
            values, vectors = np.linalg.eigh(X @ X.T)
            kept = values > values[-1] * 1e-14
            self._axes = X.T @ (vectors[:, kept] / np.sqrt(values[kept]))  # (D, r), orthonormal
            X = X @ self._axes
        self.X = X

    def model(self, solution: Float[np.ndarray, "rank classes"]) -> Model:
        weights = solution[1:] if self._axes is None else self._axes @ solution[1:]
        return Model(self.scaler, weights, solution[0])


def fit_logistic(
    Z: Float[np.ndarray, "n dim"],
    codes: Int64[np.ndarray, " n"],
    Cs: Sequence[float],
    *,
    max_iter: int,
    transition: Transition | None = None,
    class_weight: str | None = None,
) -> list[Model]:
    r"""Logistic regression for each C, ascending; a fit starts from the one before it.

    .. math:: \min_{W, b} -\sum_i v_i \log \sum_k T_{k \tilde y_i} p_k(z_i) + \frac{1}{2 C} \lVert W \rVert^2,
        \qquad p = \operatorname{softmax}(W^\top z + b)

    Without a transition matrix, T = I. The weights v are 1, or with ``class_weight="balanced"`` n / (K n_c), n_c the
    rows of the class. A fit that hits ``max_iter`` warns of it.
    """
    rows, n_classes = _Rows(Z), int(codes.max()) + 1
    weights = row_weights(codes, class_weight)
    solution = np.zeros((rows.X.shape[1] + 1, n_classes))
    models = []
    for C in sorted(Cs):
        solution = _minimum(rows.X, codes, 1.0 / C, solution, max_iter, None, weights)
        if transition is not None:  # not convex: it starts from the plain solution
            solution = _minimum(rows.X, codes, 1.0 / C, solution, max_iter, transition, weights)
        models.append(rows.model(solution))
    return models


def _minimum(
    X: Float[np.ndarray, "n rank"],
    codes: Int64[np.ndarray, " n"],
    ridge: float,
    start: Float[np.ndarray, "rank_1 classes"],
    max_iter: int,
    transition: Transition | None,
    weights: Float[np.ndarray, "n 1"] | None,
) -> Float[np.ndarray, "rank_1 classes"]:
    n, own = len(codes), codes[:, None] == np.arange(start.shape[1])

    def loss(flat: Float[np.ndarray, " size"]) -> tuple[float, Float[np.ndarray, " size"]]:
        solution = flat.reshape(start.shape)
        logits = X @ solution[1:] + solution[0]
        log_p = log_softmax(logits, axis=1)
        p = np.exp(log_p)
        if transition is None:
            terms, wanted = log_p[own], own
        else:  # wanted: P(right class | row, recorded label)
            seen = transition[:, codes].T  # (n, K): P(recorded label | class)
            joint = p * seen
            total = np.maximum(joint.sum(axis=1, keepdims=True), np.finfo(float).tiny)
            terms, wanted = np.log(total)[:, 0], joint / total
        value, error = (terms if weights is None else terms * weights[:, 0]).sum(), (p - wanted) / n
        error = error if weights is None else error * weights
        gradient = np.concatenate([error.sum(axis=0)[None], X.T @ error + ridge / n * solution[1:]])
        return -value / n + ridge / (2 * n) * np.square(solution[1:]).sum(), gradient.ravel()

    found = minimize(
        loss, start.ravel(), jac=True, method="L-BFGS-B",
        options={"maxiter": max_iter, "maxfun": 2 * max_iter, "gtol": _TOLERANCE, "ftol": 0.0},
    )  # fmt: skip
    if found.nit >= max_iter or found.nfev >= 2 * max_iter:
        warnings.warn(f"L-BFGS stopped after {max_iter} iterations", ConvergenceWarning, stacklevel=2)
    solution: Float[np.ndarray, "rank_1 classes"] = found.x.reshape(start.shape)
    return solution


def row_weights(codes: Int64[np.ndarray, " n"], class_weight: str | None) -> Float[np.ndarray, "n 1"] | None:
    """Weight of each row, as a column; None where all count the same."""
    return None if class_weight is None else np.asarray(compute_sample_weight(class_weight, codes))[:, None]


def search(
    Z: Float[np.ndarray, "n dim"],
    codes: Int64[np.ndarray, " n"],
    groups: Int64[np.ndarray, " n"] | None,
    Cs: Sequence[float],
    max_iter: int,
    inner_metric: str = "log_loss",
    class_weight: str | None = None,
) -> tuple[float, Float[np.ndarray, " grid"] | None, Float[np.ndarray, "n classes"] | None]:
    """The C with the best out-of-fold inner metric (the smallest of equals), the losses, and its probabilities.

    Losses are log losses, weighted as the rows are, or the negative of another metric. Losses and probabilities are
    None where there is nothing to part: C is then 1.
    """
    folds, ascending = inner_folds(codes, groups), sorted(Cs)
    if not folds:
        return 1.0, None, None
    found: dict[bytes, list[Model]] = {}

    def probabilities_at(index: int) -> Callable[..., Callable[..., Float[np.ndarray, "n classes"]]]:
        def fit(train: Int64[np.ndarray, " train"]) -> Callable[..., Float[np.ndarray, "n classes"]]:
            if train.tobytes() not in found:
                codes_in = np.unique(codes[train], return_inverse=True)[1]
                found[train.tobytes()] = fit_logistic(
                    Z[train], codes_in, ascending, max_iter=max_iter, class_weight=class_weight
                )
            return lambda rows: softmax(found[train.tobytes()][index].decisions(Z[rows]), axis=1)

        return fit

    every = [out_of_fold(probabilities_at(index), codes, folds) for index in range(len(ascending))]
    own = np.arange(len(codes)), codes
    # A class that a fold's training part lacks has probability 0 there, whatever C is: such a row cannot choose.
    weights = row_weights(codes, class_weight)
    if inner_metric == "log_loss":
        by = None if weights is None else weights[:, 0]
        losses = np.array([np.average(-np.log(np.maximum(p[own], 1e-12)), weights=by) for p in every])
    else:
        losses = np.array([-inner_score(inner_metric, codes, p) for p in every])
    best = int(np.argmin(losses))
    return ascending[best], losses, every[best]
