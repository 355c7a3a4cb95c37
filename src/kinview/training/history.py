"""The history of a training, short enough to be kept beside a result."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

__all__ = ["thinned_history"]


def thinned_history(history: Sequence[Mapping[str, float]], points: int = 100) -> dict[str, list[float | None]]:
    r"""Means of what a training has recorded over runs of steps.

    With :math:`v_1 \dots v_n` one recorded quantity and :math:`m = \min(n, points)`, its value :math:`j` is

    .. math:: \bar v_j = \operatorname{mean} \{ v_i : e_{j-1} < i \le e_j \}, \qquad
              e_j = \operatorname{round}(j n / m)

    over those steps at which it was recorded.

    Parameters
    ----------
    history : sequence of mapping of str to float
        One record a step, as :class:`~kinview.training.TrainingState` has them; a quantity may be absent from some.
    points : int, default 100
        Most runs of steps; a training of fewer steps is kept as it is.

    Returns
    -------
    dict of str to list of float or None
        ``"step"``, the last step of each run, and of each quantity its means: None where a run has no record of it, and
        where its mean is not finite. Empty for an empty history.

    Examples
    --------
    >>> thinned_history([{"loss": 3.0}, {"loss": 2.0}, {"loss": 1.5, "rank": 2.0}, {"loss": 0.5}], points=2)
    {'step': [2, 4], 'loss': [2.5, 1.0], 'rank': [None, 2.0]}
    """
    if not history:
        return {}
    edges = np.rint(np.linspace(0, len(history), min(len(history), points) + 1)).astype(int)
    runs = [history[start:end] for start, end in itertools.pairwise(edges)]
    names = dict.fromkeys(name for record in history for name in record)
    return {"step": edges[1:].tolist(), **{name: [_mean(run, name) for run in runs] for name in names}}


def _mean(records: Sequence[Mapping[str, float]], name: str) -> float | None:
    values = [float(record[name]) for record in records if name in record]
    mean = float(np.mean(values)) if values else float("nan")
    return mean if np.isfinite(mean) else None
