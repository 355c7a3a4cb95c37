"""Ridge regression on one set of rows for many targets and penalties, with what leaving rows out would give."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int64
from sklearn.preprocessing import StandardScaler

__all__ = ["RidgePath", "scaled_product", "scaled_rows", "targets_of"]

_BLOCK = 2**20  # numbers of a block of rows, 8 MB: wide rows are scaled where they stay in the cache


def scaled_rows(Z: Float[np.ndarray, "n dim"]) -> tuple[StandardScaler, Float[np.ndarray, "n dim"]]:
    """Scaler to mean 0 and standard deviation 1 (a constant feature to 0), and the rows through it."""
    scaler = StandardScaler().fit(Z)
    rows: Float[np.ndarray, "n dim"] = scaler.transform(Z)
    return scaler, rows


def scaled_product(
    scaler: StandardScaler, Z: Float[np.ndarray, "n dim"], weights: Float[np.ndarray, "dim classes"]
) -> Float[np.ndarray, "n classes"]:
    """The rows through the scaler, times weights: in blocks, so that no scaled copy of all rows is made."""
    rows = max(1, _BLOCK // Z.shape[1])
    return np.concatenate([scaler.transform(Z[i : i + rows]) @ weights for i in range(0, len(Z), rows)])


def targets_of(codes: Int64[np.ndarray, " n"], n_classes: int) -> Float[np.ndarray, "n classes"]:
    """1 in the column of a row's class, -1 in the others."""
    return np.where(codes[:, None] == np.arange(n_classes), 1.0, -1.0)


class RidgePath:
    r"""Ridge regression with an intercept that is not penalised, for any target and penalty, from one decomposition.

    .. math:: \min_{w, b} \sum_i (y_i - w^\top x_i - b)^2 + \alpha \lVert w \rVert^2

    With centred rows :math:`X`, the residual is :math:`R = M (y - \bar y)`, where
    :math:`M = I - \frac1n 1 1^\top - X (X^\top X + \alpha I)^{-1} X^\top`. Leaving out the rows g and fitting anew, the
    intercept too, misses them by exactly :math:`M_{gg}^{-1} R_g` (for one row, :math:`R_i / M_{ii}`).

    For n <= D the n x n kernel is decomposed (:math:`n^2 D + n^3`), else the D x D covariance (:math:`n D^2 + D^3`);
    each target and penalty then costs :math:`n r K` with r = min(n - 1, D), no new fit.

    Parameters
    ----------
    X : ndarray of shape (n, D)
        Rows whose columns have mean 0.
    groups : ndarray of shape (n,), optional
        Rows of one group are left out together. Default: each row alone.
    """

    def __init__(self, X: Float[np.ndarray, "n dim"], groups: Int64[np.ndarray, " n"] | None = None) -> None:
        n, dim = X.shape
        self._X, self.n = X, n
        self._dual = n <= dim
        if self._dual:
            kernel = X @ X.T
            # The ones are an eigenvector with eigenvalue 0. As the largest, they are told from others of eigenvalue 0.
            lift = np.trace(kernel) + 1.0
            values, vectors = np.linalg.eigh(kernel + lift / n)
            self._values, self._basis = np.maximum(values[:-1], 0.0), vectors[:, :-1]  # (r,), (n, r)
        else:
            values, self._rotation = np.linalg.eigh(X.T @ X)
            self._values, self._basis = np.maximum(values, 0.0), X @ self._rotation
        self._squares = self._basis**2 if groups is None else None
        self._parts = None if groups is None else [np.flatnonzero(groups == g) for g in np.unique(groups)]

    @property
    def leaves_some(self) -> bool:
        """Whether any row stays when others are left out: False with a single group."""
        return self._parts is None or len(self._parts) > 1

    def coefficients(self, targets: Float[np.ndarray, "n k"], alpha: float) -> Float[np.ndarray, "dim k"]:
        """Weights of the features; the intercept is the mean of the targets."""
        projected = (self._basis.T @ (targets - targets.mean(axis=0))) / (self._values + alpha)[:, None]
        weights: Float[np.ndarray, "dim k"] = (
            self._X.T @ (self._basis @ projected) if self._dual else self._rotation @ projected
        )
        return weights

    def left_out(
        self, targets: Float[np.ndarray, "n k"], alpha: float
    ) -> tuple[Float[np.ndarray, "n k"], Float[np.ndarray, "n k"]]:
        r"""Predictions for each row by the fit without its group, in two parts that add up.

        Returns
        -------
        signal : ndarray of shape (n, k)
            :math:`w^\top (x_i - \bar x)`, with weights and mean of the rows that stay.
        level : ndarray of shape (n, k)
            The intercept: the mean of the targets that stay.
        """
        centred = targets - targets.mean(axis=0)
        projected = self._basis.T @ centred
        if self._dual:
            shrinkage = alpha / (self._values + alpha)  # M = Q shrinkage Q'
            residual = self._basis @ (shrinkage[:, None] * projected)
        else:
            shrinkage = 1.0 / (self._values + alpha)  # M = I - 11'/n - B shrinkage B'
            residual = centred - self._basis @ (shrinkage[:, None] * projected)
        if self._squares is not None:
            diagonal = self._squares @ shrinkage
            if not self._dual:
                diagonal = 1.0 - 1.0 / self.n - diagonal
            missed = residual / np.maximum(diagonal, np.finfo(float).tiny)[:, None]
            level = (targets.sum(axis=0) - targets) / (self.n - 1)
            return targets - missed - level, level
        return self._groups_left_out(targets, residual, shrinkage)

    def _groups_left_out(
        self, targets: Float[np.ndarray, "n k"], residual: Float[np.ndarray, "n k"], shrinkage: Float[np.ndarray, " r"]
    ) -> tuple[Float[np.ndarray, "n k"], Float[np.ndarray, "n k"]]:
        missed, level, total = np.empty_like(targets), np.empty_like(targets), targets.sum(axis=0)
        for rows in self._parts or ():
            basis = self._basis[rows]
            block = (basis * shrinkage) @ basis.T  # (g, g)
            if not self._dual:
                block = np.eye(len(rows)) - 1.0 / self.n - block
            missed[rows] = np.linalg.solve(block, residual[rows])
            level[rows] = (total - targets[rows].sum(axis=0)) / (self.n - len(rows))
        return targets - missed - level, level
