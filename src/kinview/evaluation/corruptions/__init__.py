"""Missing data made on purpose, at an exact rate.

A corruption removes observed cells of raw values: never padding, never a cell that is missing already. One seed gives
one order in which cells go, so that the cells missing at 20 % are also missing at 40 %. The order is drawn over the
observed cells alone (series by series, step by step, column by column): arrays and frames that hold the same data lose
the same cells, however far they are padded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kinview.evaluation.corruptions.base import Cells, Corruption, Data, observed_mask, realised_rate
from kinview.registry import Registry

__all__ = ["Cells", "Corruption", "corrupt", "corruptions", "observed_mask", "realised_rate"]

corruptions = Registry("corruptions", members=("kinview.evaluation.corruptions.mcar",))


def corrupt(X: Data, corruption: Any, seed: int | Sequence[int], *, rate: float | None = None) -> tuple[Data, Any]:
    """Remove observed cells of ``X`` and say which.

    Parameters
    ----------
    X : ndarray or Tensor of shape (n, channels, time) or (n, columns), or DataFrame
        Raw values, NaN = not observed. A frame with a row MultiIndex is a panel of time series whose rows are steps
        (last level: time); a frame with a plain index is a table, with columns of any type. Not modified.
    corruption : str, mapping or Corruption
        A part of the registry ``corruptions``, or its spec: ``"mcar"``, ``{"mcar": {"mode": "timestep"}}``.
    seed : int or sequence of int
        Determines the order in which cells go. A sequence tells apart what shares a seed: ``(seed, 0)`` for train and
        ``(seed, 1)`` for test.
    rate : float, optional
        Fraction to remove, for a spec that does not say.

    Returns
    -------
    X_corrupted : as X
        Integers become floats and booleans become nullable booleans where a cell had to go.
    removed : bool ndarray (Tensor for a Tensor) of the shape of X
        True where a cell was observed and is no longer.

    Raises
    ------
    TypeError, ValueError
        If ``X`` is of another kind, or the corruption's parameters make no sense for it.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.arange(20.0).reshape(2, 1, 10)
    >>> X_corrupted, removed = corrupt(X, "mcar", seed=0, rate=0.4)
    >>> int(removed.sum()), int(np.isnan(X_corrupted).sum()), realised_rate(X, removed)
    (8, 8, 0.4)
    """
    context = {} if rate is None else {"rate": rate}
    part = corruptions.build(corruption, **context)
    if not isinstance(part, Corruption):
        raise TypeError(
            f"corruption must be a part of the registry 'corruptions' or its spec, got {type(part).__name__}: {part!r}"
        )
    return part.apply(X, seed)
