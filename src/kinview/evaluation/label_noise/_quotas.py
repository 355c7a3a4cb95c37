"""An order in which cases get wrong labels, such that every beginning of it follows a matrix of rates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int64

__all__ = ["Matrix", "check_scale", "check_transition", "in_proportion"]

Matrix = tuple[tuple[float, ...], ...]

_ROUNDING = 1e-6  # that a row of a matrix written by hand may miss 1 by: thirds as 0.333333


def in_proportion(
    strata: Int64[np.ndarray, " n"], rates: Float[np.ndarray, "strata classes"], generator: np.random.Generator
) -> tuple[Int64[np.ndarray, " order"], Int64[np.ndarray, " order"]]:
    r"""Order of cases and the class that each gets, in proportion to rates, whatever number of them is taken.

    With :math:`n_s` cases in stratum s, the k-th of them that goes to class j (k = 0, 1, ...) stands at

    .. math:: \frac{k + 1/2}{n_s r_{sj}},

    ties at random: every beginning holds each pair of stratum and class in proportion to :math:`n_s r_{sj}`, up to
    about one case. Which case of a stratum goes is drawn uniformly. A case stands in the order once.

    Parameters
    ----------
    strata : int ndarray of shape (n,)
        Stratum of each case.
    rates : ndarray of shape (S, K)
        How much of a stratum goes to each class, in any unit; 0 for what it never gets (the own class).
    generator : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    order, drawn : int ndarray of shape (m,)
        Numbers of the cases whose stratum has somewhere to go, and the class of each.
    """
    sizes = np.bincount(strata, minlength=len(rates))
    shuffled = generator.permutation(len(strata))
    shuffled = shuffled[np.argsort(strata[shuffled], kind="stable")]  # stratum by stratum
    start = np.cumsum(sizes) - sizes
    pairs, classes = np.nonzero((rates > 0) & (sizes[:, None] > 0))
    stratum, drawn = np.repeat(pairs, sizes[pairs]), np.repeat(classes, sizes[pairs])
    ends = np.cumsum(sizes[pairs])
    k = np.arange(len(stratum)) - np.repeat(ends - sizes[pairs], sizes[pairs])
    place = (k + 0.5) / (sizes[stratum] * rates[stratum, drawn])
    turn = np.lexsort((generator.permutation(len(place)), place))
    stratum, drawn = stratum[turn], drawn[turn]
    within = pd.Series(stratum).groupby(stratum).cumcount().to_numpy()
    there = within < sizes[stratum]  # a stratum has a place for each class and case, and each case goes once
    stratum, drawn, within = stratum[there], drawn[there], within[there]
    return shuffled[start[stratum] + within], drawn.astype(np.int64)


def check_transition(matrix: Any, name: str) -> Matrix:
    """A transition matrix as tuples.

    Raises
    ------
    ValueError
        If it is not square, an entry is no probability, or a row does not add up to 1.
    """
    try:
        values = np.array([[float(entry) for entry in row] for row in matrix], dtype=np.float64)
    except (TypeError, ValueError):
        values = np.empty(0)
    if values.ndim != 2 or values.shape[0] != values.shape[1] or len(values) < 2:
        raise ValueError(f"{name} must have one row and one column a class, at least 2 of each; got {matrix!r}")
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f"{name} must hold probabilities, from 0 to 1; got {values.tolist()}")
    off = np.abs(values.sum(axis=1) - 1)
    if off.max() > _ROUNDING:
        row = int(off.argmax())
        transposed = np.abs(values.sum(axis=0) - 1).max() <= _ROUNDING
        advice = "its columns do: give the transpose (cleanlab's noise_matrix has true labels in columns)"
        raise ValueError(
            f"the rows of {name} must add up to 1: row i holds P(noisy label | true label i); row {row} adds up to "
            f"{values[row].sum():g}; {advice if transposed else 'mend this row'}"
        )
    return tuple(tuple(row) for row in values.tolist())


def check_scale(rates: Float[np.ndarray, "strata classes"], wanted: float, own: float, name: str) -> None:
    """Check that rates of wrong labels, scaled from the rate that they make to a wanted one, are probabilities still.

    Raises
    ------
    ValueError
        If they are not; the message says how far the wanted rate may go.
    """
    most = own / max(float(rates.sum(axis=1).max()), np.finfo(float).tiny)
    if wanted > most * (1 + _ROUNDING):
        raise ValueError(
            f"rate={wanted} is more than {name} can be scaled to: as it stands it makes {100 * own:.3g} % of these "
            f"labels wrong, and at {100 * most:.3g} % a class has no right label left; use a rate up to {most:.3g}"
        )
