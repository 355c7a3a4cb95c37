"""Missing data made on purpose, at an exact rate.

A corruption removes observed cells of raw values: never padding, never a cell that is missing already. One seed gives
one order in which cells go, so that the cells missing at 20 % are also missing at 40 %. The order is drawn over the
observed cells alone (series by series, step by step, column by column): arrays and frames that hold the same data lose
the same cells, however far they are padded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kinview.evaluation.corruptions.base import (
    Cells,
    Corruption,
    Data,
    Learned,
    observed_mask,
    realised_rate,
)
from kinview.registry import Registry

__all__ = ["Cells", "Corruption", "Learned", "corrupt", "corruptions", "observed_mask", "realised_rate"]

corruptions = Registry(
    "corruptions",
    members=(
        "kinview.evaluation.corruptions.mcar",
        "kinview.evaluation.corruptions.mar",
        "kinview.evaluation.corruptions.mnar",
        "kinview.evaluation.corruptions.self_masking",
        "kinview.evaluation.corruptions.detection_limit",
        "kinview.evaluation.corruptions.block",
        "kinview.evaluation.corruptions.sequence",
        "kinview.evaluation.corruptions.irregular",
        "kinview.evaluation.corruptions.sensor",
        "kinview.evaluation.corruptions.censoring",
        "kinview.evaluation.corruptions.natural",
        "kinview.evaluation.corruptions.informative",
        "kinview.evaluation.corruptions.subgroup",
        "kinview.evaluation.corruptions.static_columns",
        "kinview.evaluation.corruptions.modality_missing",
        "kinview.evaluation.corruptions.jittered_times",
        "kinview.evaluation.corruptions.noise",
        "kinview.evaluation.corruptions.clipping",
        "kinview.evaluation.corruptions.resolution",
        "kinview.evaluation.corruptions.drift",
    ),
)


def corrupt(
    X: Data,
    corruption: Any,
    seed: int | Sequence[int],
    *,
    rate: float | None = None,
    times: Any = None,
    groups: Any = None,
    y: Any = None,
    static: Any = None,
    learned: Learned | None = None,
) -> tuple[Data, Any]:
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
    times : array-like of shape (n, time), optional
        Time of each step of an array, for a corruption that needs times; default 0, 1, 2, ... A frame has its own.
    groups, y : array-like of shape (n,), optional
        Group and label of each sample, for a corruption that needs them. Where X is a frame, a Series whose index names
        the samples may be in any order.
    static : DataFrame of n rows, optional
        Static columns of each sample (sex, age, site), for a corruption that needs them.
    learned : Learned, optional
        What the corruption has learned from the training part (:meth:`Corruption.learn`): a test part is corrupted with
        the thresholds of the training part. By default it learns from ``X``.

    Returns
    -------
    X_corrupted : as X
        Integers become floats and booleans become nullable booleans where a cell had to go.
    removed : bool ndarray (Tensor for a Tensor) of the shape of X
        True where a cell was observed and no longer holds what it did: it is missing, or holds what the corruption puts
        there (:meth:`Corruption.replacement`).

    Raises
    ------
    TypeError, ValueError
        If ``X`` is of another kind, the corruption's parameters make no sense for it, or what it needs is not given.

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
    if part.changes_static:
        raise ValueError(
            f"{type(part).__name__} changes static columns, which corrupt() does not give back: "
            "corruptions.build(spec, rate=...).corrupted(X, seed, static=table).static has them"
        )
    return part.apply(X, seed, times=times, groups=groups, y=y, static=static, learned=learned)
