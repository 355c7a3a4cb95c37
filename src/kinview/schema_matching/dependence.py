"""How much columns of a table say of each other, over the rows in which both are observed."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Float64

from kinview.data.few_rows import FEWEST_ROWS

__all__ = ["Correlation", "correlations", "equal_bins", "informational_correlations"]

Correlation = Literal["spearman", "pearson"]


def correlations(x: Float64[np.ndarray, "n columns"], kind: Correlation) -> Float64[np.ndarray, "columns columns"]:
    """Correlation of each two columns; 0 where fewer than 5 rows have both, or one of them does not vary.

    Examples
    --------
    >>> x = np.array([[1.0, 1.0], [2.0, 4.0], [3.0, 9.0], [4.0, np.nan], [5.0, 25.0], [6.0, 36.0]])
    >>> correlations(x, "spearman")[0, 1].round(3), correlations(x[:4], "spearman")[0, 1]
    (np.float64(1.0), np.float64(0.0))
    """
    found = pd.DataFrame(x).corr(method=kind, min_periods=FEWEST_ROWS).to_numpy(dtype=np.float64)
    clipped: Float64[np.ndarray, "columns columns"] = np.clip(np.nan_to_num(found, nan=0.0), -1.0, 1.0)
    return clipped


def equal_bins(x: Float64[np.ndarray, " n"], bins: int) -> Float64[np.ndarray, " n"]:
    """Number of the quantile bin of each value, from 1; equal values share one, NaN stays.

    Examples
    --------
    >>> equal_bins(np.array([5.0, 1.0, np.nan, 3.0, 9.0]), 2)
    array([ 2.,  1., nan,  1.,  2.])
    """
    observed = x[~np.isnan(x)]
    if not len(observed):
        return x
    edges = np.unique(np.quantile(observed, np.arange(1, bins) / bins))
    return np.where(np.isnan(x), np.nan, 1.0 + np.searchsorted(edges, x, side="left"))


def informational_correlations(
    codes: Float64[np.ndarray, "n columns"],
) -> Float64[np.ndarray, "columns columns"]:
    r"""Mutual information of each two columns of codes, on the scale of a correlation; of one with itself its entropy.

    .. math:: r_{ij} = \sqrt{1 - e^{-2 I_{ij}}}, \qquad
              I_{ij} = \sum_{kl} p_{kl} \log \frac{p_{kl}}{p_k p_l} - \frac{(K - 1)(L - 1)}{2 n_{ij}}

    in nats, at least 0, over the :math:`n_{ij}` rows that have both; 0 where these are fewer than 5. The last term is
    what independent columns with K and L codes have on average (Miller); a column is not corrected with itself. Of two
    normal variables :math:`r` is the absolute correlation (Linfoot).

    References
    ----------
    .. [1] Linfoot: An informational measure of correlation, Information and Control 1957.
    .. [2] Miller: Note on the bias of information estimates, 1955.

    Examples
    --------
    >>> codes = np.array([[1.0, 1.0, 1.0], [1.0, 1.0, 2.0], [2.0, 2.0, 1.0], [2.0, 2.0, 2.0]] * 50)
    >>> informational_correlations(codes).round(2)
    array([[0.87, 0.87, 0.  ],
           [0.87, 0.87, 0.  ],
           [0.  , 0.  , 0.87]])
    """
    blocks = [_indicators(column) for column in codes.T]
    starts = np.cumsum([0, *(block.shape[1] for block in blocks)])
    stacked = np.concatenate(blocks, axis=1)
    counts = stacked.T @ stacked  # all contingency tables side by side
    size = len(blocks)
    found = np.zeros((size, size))
    for i in range(size):
        for j in range(i, size):
            table = counts[starts[i] : starts[i + 1], starts[j] : starts[j + 1]]
            found[i, j] = found[j, i] = _information(table, corrected=i != j)
    scaled: Float64[np.ndarray, "columns columns"] = np.sqrt(1 - np.exp(-2 * found))
    return scaled


def _indicators(codes: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, "n K"]:
    """1 where a row has each code; a row without one has none."""
    known = np.unique(codes[~np.isnan(codes)])
    found: Float64[np.ndarray, "n K"] = (codes[:, None] == known[None, :]).astype(np.float64)
    return found


def _information(table: Float64[np.ndarray, "K L"], *, corrected: bool) -> float:
    n = table.sum()
    if n < FEWEST_ROWS:
        return 0.0
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / n
    filled = table > 0
    value = float((table[filled] * np.log(table[filled] / expected[filled])).sum() / n)
    bias = (table.shape[0] - 1) * (table.shape[1] - 1) / (2 * n) if corrected else 0.0
    return max(0.0, value - float(bias))
