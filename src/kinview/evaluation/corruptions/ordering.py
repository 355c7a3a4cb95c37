"""Orders in which observed cells go: a severity is a beginning of the order, so that severities are nested."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int64, Shaped

__all__ = ["beginning", "by_log_odds", "by_score", "first"]


def beginning(order: Int64[np.ndarray, " m"], rate: float, shape: tuple[int, ...]) -> Bool[np.ndarray, " ..."]:
    r"""Mask of the first :math:`\mathrm{round}(\mathrm{rate} \cdot m)` places of an order."""
    return first(order, round(rate * len(order)), shape)


def first(order: Int64[np.ndarray, " m"], count: int, shape: tuple[int, ...]) -> Bool[np.ndarray, " ..."]:
    """Mask of the first places of an order; places are positions in an array of that shape, row by row."""
    removed = np.zeros(int(np.prod(shape)), dtype=bool)
    removed[order[:count]] = True
    return removed.reshape(shape)


def by_score(
    places: Int64[np.ndarray, " m"], score: Shaped[np.ndarray, " m"], generator: np.random.Generator
) -> Int64[np.ndarray, " m"]:
    """Places with the highest score first, those of equal score in random order."""
    shuffled = generator.permutation(len(places))
    return places[shuffled[np.argsort(-score[shuffled], kind="stable")]]


def by_log_odds(
    places: Int64[np.ndarray, " m"], log_odds: Float[np.ndarray, " m"], generator: np.random.Generator
) -> Int64[np.ndarray, " m"]:
    r"""Places in a random order in which the probability to have gone is logistic in the log-odds.

    Place :math:`i` has the key :math:`s_i + \varepsilon_i` with its log-odds :math:`s_i` and
    :math:`\varepsilon_i` from the standard logistic distribution; the highest key goes first. Which keys exceed
    :math:`-b` is independent from place to place, with probability :math:`\sigma(s_i + b)`, the logistic function: to
    take the first :math:`k` of the order is to take the intercept :math:`b` at which exactly :math:`k` have gone, in
    place of one found by bisection at which :math:`k` go on average. The keys do not depend on :math:`k`.
    """
    return places[np.argsort(-(log_odds + generator.logistic(size=len(places))), kind="stable")]
