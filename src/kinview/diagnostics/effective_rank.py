"""Effective ranks: how many dimensions a representation really uses."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

__all__ = ["effective_rank", "rank_me"]

_EPS = 1e-7  # of RankMe (paper)


def effective_rank(Z: Float[np.ndarray, "n d"]) -> float:
    r"""Effective rank of representations.

    :math:`\exp\big(-\sum_i p_i \log p_i\big)` with :math:`p_i = \sigma_i / \sum_j \sigma_j` for the singular values
    :math:`\sigma` of the centred representations: 1 where all lie on a line, min(n − 1, D) where they spread alike in
    all directions, 0 where all are equal.

    Parameters
    ----------
    Z : array ``(n, D)``
        Representations.

    Raises
    ------
    ValueError
        For anything but a finite matrix with at least one row.

    References
    ----------
    .. [1] Roy, Vetterli: The effective rank: a measure of effective dimensionality, EUSIPCO 2007.

    Examples
    --------
    >>> effective_rank(np.array([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]]))
    1.0
    >>> effective_rank(np.ones((4, 3)))
    0.0
    """
    Z = _checked(Z, "effective_rank")
    values = np.linalg.svd(Z - Z.mean(axis=0), compute_uv=False)
    values = values[values > values.max(initial=0.0) * max(Z.shape) * np.finfo(np.float64).eps]
    if len(values) == 0 or values[0] <= np.abs(Z).max() * 1e-12:
        return 0.0
    fraction = values / values.sum()
    return round(float(np.exp(-(fraction * np.log(fraction)).sum())), 12)


def rank_me(Z: Float[np.ndarray, "n d"]) -> float:
    r"""RankMe of representations: the effective rank of the matrix as it is, not centred.

    :math:`\exp\big(-\sum_i p_i \log p_i\big)` with :math:`p_i = \sigma_i / \sum_j \sigma_j + 10^{-7}` for the singular
    values :math:`\sigma` of Z: 1 where all rows are multiples of one, min(n, D) where they spread alike in all
    directions. A mean that all rows share counts as a direction; :func:`effective_rank` takes it away first.

    Parameters
    ----------
    Z : array ``(n, D)``
        Representations. The number says little beyond n rows; the paper takes 25,600.

    Raises
    ------
    ValueError
        For anything but a finite matrix with at least one row.

    References
    ----------
    .. [1] Garrido, Balestriero, Najman, LeCun: RankMe: Assessing the Downstream Performance of Pretrained
       Self-Supervised Representations by Their Rank, ICML 2023, arXiv 2210.02885.

    Examples
    --------
    >>> round(rank_me(np.eye(4)), 3), round(rank_me(np.ones((4, 3))), 3)
    (4.0, 1.0)
    """
    values = np.linalg.svd(_checked(Z, "rank_me"), compute_uv=False)
    total = values.sum()
    if total == 0:
        return 0.0
    fraction = values / total + _EPS
    return float(np.exp(-(fraction * np.log(fraction)).sum()))


def _checked(Z: Float[np.ndarray, "n d"], name: str) -> Float[np.ndarray, "n d"]:
    Z = np.asarray(Z, dtype=np.float64)
    if Z.ndim != 2 or len(Z) == 0 or not np.isfinite(Z).all():
        raise ValueError(f"{name} needs a finite matrix (n, D) with n of at least 1; got shape {Z.shape}")
    return Z
