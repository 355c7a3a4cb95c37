"""The linear-discriminant probe."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int64
from scipy.special import softmax
from sklearn.preprocessing import StandardScaler

from kinview.evaluation.probes import probes
from kinview.evaluation.probes._ridge_algebra import scaled_product, scaled_rows
from kinview.evaluation.probes.base import Probe

__all__ = ["LDA"]


@probes.register("lda", modality="any", reference="Fisher 1936; shrinkage: Ledoit & Wolf 2004")
@dataclasses.dataclass(eq=False)
class LDA(Probe):
    r"""Linear discriminant analysis with a shrunk covariance, on standardised features.

    Within a class, rows are Gaussian with the class's mean and the covariance :math:`\Sigma = (1 - \gamma) S +
    \gamma \frac{\operatorname{tr} S}{D} I`; S is the covariance of the rows around their class means (divided by n) and
    :math:`\gamma` the Ledoit-Wolf estimate from the same residuals. Scores are the posterior probabilities,
    :math:`\operatorname{softmax}_c(z^\top \Sigma^{-1} \mu_c - \frac12 \mu_c^\top \Sigma^{-1} \mu_c + \log \pi_c)`.

    For D > n the same numbers come from n x n matrices: :math:`\Sigma` is a multiple of the identity outside the span
    of the residuals, so no feature is dropped and no D x D matrix is made.

    Parameters
    ----------
    random_state : int
        Not drawn from: there is nothing random.
    calibration : {"platt", "isotonic"}, optional
        Make the scores probabilities by left-out training rows, see :class:`Probe`.

    Attributes
    ----------
    shrinkage_ : float
        The estimate of :math:`\gamma`, in [0, 1].

    Notes
    -----
    scikit-learn's ``LinearDiscriminantAnalysis(shrinkage="auto")`` shrinks the covariance of each class by itself, to
    each feature's own variance; here one :math:`\gamma` is estimated from all residuals, of which small classes have
    too few. Without any spread within classes, :math:`\Sigma = I`.

    References
    ----------
    .. [1] Ledoit, O., Wolf, M. (2004). A well-conditioned estimator for large-dimensional covariance matrices. Journal
       of Multivariate Analysis 88(2).

    Examples
    --------
    >>> probe = LDA().fit([[0.0], [1.0], [4.0], [5.0]], [0, 0, 1, 1])
    >>> probe.predict_scores([[2.5]]).round(3).tolist(), probe.predict([[2.0], [3.0]]).tolist()
    ([[0.5, 0.5]], [0, 1])
    """

    wide: ClassVar[bool] = True

    shrinkage_: float = dataclasses.field(init=False, repr=False)
    _scaler: StandardScaler = dataclasses.field(init=False, repr=False)
    _weights: Float[np.ndarray, "dim classes"] = dataclasses.field(init=False, repr=False)
    _intercept: Float[np.ndarray, " classes"] = dataclasses.field(init=False, repr=False)

    def _fit(
        self, Z: Float[np.ndarray, "n dim"], codes: Int64[np.ndarray, " n"], groups: Int64[np.ndarray, " n"] | None
    ) -> None:
        self._scaler, X = scaled_rows(Z)
        own = np.asarray(codes[:, None] == np.arange(len(self.classes_)), dtype=np.float64)
        means = (own.T @ X) / own.sum(axis=0)[:, None]
        residuals = X - means[codes]
        self.shrinkage_, level = _ledoit_wolf(residuals)
        self._weights = _solved(residuals, self.shrinkage_, level, means.T)
        quadratic = np.einsum("kd,dk->k", means, self._weights)
        self._intercept = np.log(own.mean(axis=0)) - quadratic / 2

    def _scores(self, Z: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, "n classes"]:
        return np.asarray(softmax(self._decisions(Z), axis=1))

    def _codes(self, Z: Float[np.ndarray, "n dim"]) -> Int64[np.ndarray, " n"]:
        return np.asarray(self._decisions(Z).argmax(axis=1), dtype=np.int64)  # far off, probabilities round to 1

    def _decisions(self, Z: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, "n classes"]:
        decisions: Float[np.ndarray, "n classes"] = scaled_product(self._scaler, Z, self._weights) + self._intercept
        return decisions


def _gram(R: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, "size size"]:
    """The smaller of R R' and R' R: they share their trace, their norm and their eigenvalues above 0."""
    product: Float[np.ndarray, "size size"] = np.dot(R, R.T) if len(R) <= R.shape[1] else np.dot(R.T, R)
    return product


def _ledoit_wolf(R: Float[np.ndarray, "n dim"]) -> tuple[float, float]:
    """Shrinkage and mean variance of residuals around a known mean, as in scikit-learn's ``ledoit_wolf_shrinkage``."""
    n, dim = R.shape
    level = float(np.square(R).sum()) / (n * dim)
    norm = float(np.square(_gram(R) / n).sum())  # of S
    spread = (norm - dim * level**2) / dim
    noise = (float(np.square(np.square(R).sum(axis=1)).sum()) / n - norm) / (n * dim)
    return (1.0 if spread <= 0 else min(max(noise, 0.0), spread) / spread), level


def _solved(
    R: Float[np.ndarray, "n dim"], shrinkage: float, level: float, right: Float[np.ndarray, "dim k"]
) -> Float[np.ndarray, "dim k"]:
    """Inverse of the shrunk covariance times the columns of ``right``."""
    n, dim = R.shape
    ridge = max(shrinkage * level, 1e-12 * level)  # a shrinkage of 0 with more features than rows has no inverse
    if ridge == 0:
        return right.copy()
    factor = (1 - shrinkage) / n
    if dim <= n:
        solved: Float[np.ndarray, "dim k"] = np.linalg.solve(factor * (R.T @ R) + ridge * np.eye(dim), right)
        return solved
    inner = np.linalg.solve(ridge * np.eye(n) + factor * (R @ R.T), R @ right)  # Woodbury's identity
    found: Float[np.ndarray, "dim k"] = (right - factor * (R.T @ inner)) / ridge
    return found
