"""LiDAR: how many directions tell samples apart, beside what their views differ by."""

from __future__ import annotations

import numpy as np
import scipy.linalg
from jaxtyping import Float

from kinview.parameters import check_positive

__all__ = ["lidar"]

_EPS = 1e-7


def lidar(Z: Float[np.ndarray, "n views d"], delta: float = 1e-4) -> float:
    r"""LiDAR of representations of several views of each sample: a rank by linear discriminant analysis.

    With the mean :math:`\mu_i` of a sample's views and the mean :math:`\mu` of these,

    .. math:: \Sigma_b = \frac1n \sum_i (\mu_i - \mu)(\mu_i - \mu)^\top, \quad
              \Sigma_w = \frac{1}{nq} \sum_{i, v} (z_{iv} - \mu_i)(z_{iv} - \mu_i)^\top + \delta I,

    it is :math:`\exp\big(-\sum_k p_k \log p_k\big)` with :math:`p_k = \lambda_k / \sum_j \lambda_j + 10^{-7}` for the
    eigenvalues :math:`\lambda` of :math:`\Sigma_w^{-1/2} \Sigma_b \Sigma_w^{-1/2}`: a direction in which views of one
    sample differ as much as samples do counts little.

    Parameters
    ----------
    Z : array ``(n, q, D)``
        Representations of q views of each of n samples, two or more of both. The paper takes 1,000 samples of 50 views.
    delta : float, default 1e-4
        δ (paper, recalled). It is in squared units of Z.

    Returns
    -------
    float
        Between 1 and min(n − 1, D); 0 where all samples have the same mean.

    Raises
    ------
    ValueError
        For anything but a finite array of that shape.

    References
    ----------
    .. [1] Thilak et al.: LiDAR: Sensing Linear Probing Performance in Joint Embedding SSL Architectures, ICLR 2024,
       arXiv 2312.04000.

    Examples
    --------
    >>> samples = np.concatenate([np.eye(4), -np.eye(4)])[:, None, :]
    >>> round(lidar(np.repeat(samples, 2, axis=1)), 3)
    4.0
    """
    Z = np.asarray(Z, dtype=np.float64)
    if Z.ndim != 3 or min(Z.shape[:2], default=0) < 2 or Z.shape[2] == 0 or not np.isfinite(Z).all():
        raise ValueError(
            f"lidar needs a finite array (n, views, D), two samples and two views or more; got shape {Z.shape}"
        )
    check_positive(delta, "delta")
    n, views, dim = Z.shape
    means = Z.mean(axis=1)
    between = (means - means.mean(axis=0)) / np.sqrt(n)  # (n, D)
    within = (Z - means[:, None]).reshape(n * views, dim) / np.sqrt(n * views)
    if not np.abs(between).max() > 1e-12 * np.abs(Z).max():
        return 0.0
    if dim > n + n * views:  # in coordinates of the span of both, beside which nothing lies between samples
        stacked = np.asarray(np.linalg.qr(np.concatenate([between, within]).T, mode="r")).T
        between, within = stacked[:n], stacked[n:]
    noise = within.T @ within + delta * np.eye(within.shape[1])
    values = np.clip(scipy.linalg.eigh(between.T @ between, noise, eigvals_only=True), 0.0, None)
    fraction = values / values.sum() + _EPS
    return float(np.exp(-(fraction * np.log(fraction)).sum()))
