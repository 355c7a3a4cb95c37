"""Groups of similar rows, none so small that its mean might point to a person."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from kinview.data.few_rows import FEWEST_ROWS

__all__ = ["row_groups"]

_MOST_ROWS = 10_000  # that the centres are found with


def row_groups(features: Float[Tensor, "n d"], most: int, generator: torch.Generator) -> Int64[Tensor, " n"]:
    """Group of each row, by k-means, each of at least 5 rows; −1 for every row where there are fewer than 5.

    Parameters
    ----------
    features : Tensor
        Rows ``(n, d)`` without NaN, on the CPU.
    most : int
        Number of groups, at most; there is no more than one for 5 rows.
    generator : torch.Generator
        Source of the first centres, and of the 10,000 rows that the centres of a larger table are found with.

    Notes
    -----
    Rows of a group that turns out smaller go to the nearest centre of the others. Groups are numbered 0, 1, ...

    Examples
    --------
    >>> rows = torch.tensor([0.0, 0.1, 0.2, 0.1, 0.3, 9.0, 9.1, 9.2, 9.1, 9.3])[:, None]
    >>> groups = row_groups(rows, 4, torch.Generator().manual_seed(0))
    >>> [len(set(groups[:5].tolist())), len(set(groups[5:].tolist())), len(set(groups.tolist()))]
    [1, 1, 2]
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    n, number = len(features), min(most, len(features) // FEWEST_ROWS)
    if number < 1:
        return torch.full((n,), -1)
    rows = features.double().numpy()
    chosen = torch.randperm(n, generator=generator)[:_MOST_ROWS].sort().values.numpy()
    seed = int(torch.randint(2**31 - 1, (1,), generator=generator))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different rows than groups: some stay empty
        centres = KMeans(number, n_init=1, random_state=seed).fit(rows[chosen]).cluster_centers_
    while True:
        groups = np.concatenate([_nearest(part, centres) for part in np.array_split(rows, 1 + n // _MOST_ROWS)])
        large = np.bincount(groups, minlength=len(centres)) >= FEWEST_ROWS
        if large.all():
            return torch.from_numpy(groups)
        centres = centres[large]  # one is left: n rows in at most n / 5 groups


def _nearest(rows: np.ndarray, centres: np.ndarray) -> np.ndarray:
    distances = (centres**2).sum(axis=1) - 2 * rows @ centres.T
    nearest: np.ndarray = distances.argmin(axis=1)
    return nearest
