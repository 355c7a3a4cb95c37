"""Rules of scaling that series and tables share: how they are written, and what they learn of training values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

import numpy as np
from jaxtyping import Float64
from scipy.special import ndtri

from kinview.data.few_rows import FEWEST_ROWS

__all__ = ["MOST_KNOTS", "normal_scores", "quantile_knots", "read_scaling", "robust_moments"]

MOST_KNOTS = 100
"""Quantiles that a column or channel keeps at most."""

_IQR_OF_NORMAL = float(ndtri(0.75) - ndtri(0.25))


def read_scaling(scaling: Any, known: Any, name: str = "scaling") -> tuple[Any, float | None]:
    """Rule of a scaling, and where scaled values are cut.

    Parameters
    ----------
    scaling : str, None or mapping
        The name of a rule, or ``{name: {"clip": number}}``: scaled values beyond ``-clip`` and ``clip`` are set there.
    known : Literal
        The rules that there are.
    name : str
        Of the parameter, for errors.

    Raises
    ------
    ValueError
        If it is none of these, or ``clip`` is not above zero.

    Examples
    --------
    >>> from typing import Literal
    >>> rules = Literal["dataset", "robust", None]
    >>> read_scaling("robust", rules), read_scaling({"robust": {"clip": 5}}, rules), read_scaling(None, rules)
    (('robust', None), ('robust', 5.0), (None, None))
    """
    names = get_args(known)
    rule: Any = scaling
    parameters: Any = {}
    if isinstance(scaling, Mapping) and len(scaling) == 1:
        ((rule, parameters),) = scaling.items()
    said = ", ".join(map(repr, names))
    if not any(rule is one or (isinstance(rule, str) and rule == one) for one in names):
        raise ValueError(f"{name} must be one of {said}, or {{robust: {{clip: 5}}}}; got {scaling!r}")
    if not isinstance(parameters, Mapping) or set(parameters) - {"clip"} or (parameters and rule is None):
        raise ValueError(
            f"{name} must be a rule, which takes clip and nothing else, {{robust: {{clip: 5}}}}; got {scaling!r}"
        )
    clip = parameters.get("clip")
    number = isinstance(clip, int | float) and not isinstance(clip, bool)
    if clip is not None and not (number and 0 < clip < float("inf")):
        raise ValueError(f"{name} must have a clip above 0, in scaled units; got {scaling!r}")
    return rule, None if clip is None else float(clip)


def robust_moments(observed: Float64[np.ndarray, " n"], rows: int) -> tuple[float, float] | None:
    r"""Median, and interquartile range over that of a standard normal distribution.

    .. math:: \mu = q_{1/2}, \qquad \sigma = \frac{q_{3/4} - q_{1/4}}{\Phi^{-1}(3/4) - \Phi^{-1}(1/4)}

    Parameters
    ----------
    observed : ndarray of shape (n,)
        Observed training values.
    rows : int
        How many rows or series they are of.

    Returns
    -------
    tuple or None
        None where they are of fewer than 5 rows, or half of them are equal so that the range is zero: these are
        standardised by mean and standard deviation.

    Examples
    --------
    >>> location, scale = robust_moments(np.array([1.0, 2.0, 3.0, 4.0, 1000.0]), 5)
    >>> location, round(scale, 4)
    (3.0, 1.4826)
    """
    if rows < FEWEST_ROWS:
        return None
    low, middle, high = np.quantile(observed, [0.25, 0.5, 0.75])
    scale = float(high - low) / _IQR_OF_NORMAL
    return (float(middle), scale) if np.isfinite(scale) and scale > 0 else None


def quantile_knots(
    observed: Float64[np.ndarray, " n"], rows: int, *, most: int = MOST_KNOTS
) -> Float64[np.ndarray, " K"] | None:
    r"""Quantiles of training values at :math:`(k - 1/2)/K`, :math:`k = 1, \dots, K`.

    :math:`K` is the number of rows over 5, at least 2 and at most ``most`` (100): no quantile tells of fewer than 5
    rows. None where there are fewer than 5 rows, or all quantiles are equal.

    Examples
    --------
    >>> quantile_knots(np.arange(10.0), 10)
    array([2.25, 6.75])
    """
    if rows < FEWEST_ROWS:
        return None
    number = max(2, min(most, rows // FEWEST_ROWS))
    knots = np.quantile(observed, _places(number))
    return knots if knots[0] < knots[-1] else None


def normal_scores(values: Float64[np.ndarray, " n"], knots: Float64[np.ndarray, " K"]) -> Float64[np.ndarray, " n"]:
    r"""Values at their quantile, on the scale of a standard normal distribution; NaN stays NaN.

    .. math:: z = \Phi^{-1}(F(x))

    with :math:`F` linear between the knots; where several are equal, the mean of what is reached from both sides.
    Beyond the outermost knots :math:`F` stays at :math:`1/2K` and :math:`1 - 1/2K`: no value is further out than that.

    Examples
    --------
    >>> normal_scores(np.array([-50.0, 2.25, 4.5, np.nan]), np.array([2.25, 6.75])).round(3)
    array([-0.674, -0.674,  0.   ,    nan])
    """
    places = _places(len(knots))
    below = np.interp(values, knots, places)
    above = -np.interp(-values, -knots[::-1], -places[::-1])
    scores: Float64[np.ndarray, " n"] = ndtri((below + above) / 2)
    return np.where(np.isnan(values), np.nan, scores)


def _places(number: int) -> Float64[np.ndarray, " K"]:
    return (np.arange(number) + 0.5) / number
