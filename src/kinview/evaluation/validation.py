"""Checks and names that corruptions, label noise and metrics have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["check_rate", "check_seed", "text_of"]


def check_rate(rate: Any) -> None:
    """Refuse what is not a fraction in [0, 1].

    Raises
    ------
    ValueError
        If ``rate`` is not a number or out of range.
    """
    if isinstance(rate, bool | np.bool_) or not isinstance(rate, int | float | np.integer | np.floating):
        raise ValueError(f"rate must be a number between 0 and 1, got {rate!r}")
    if not 0 <= rate <= 1:
        raise ValueError(f"rate={rate} is not a fraction; use 0 <= rate <= 1 (20 % is 0.2)")


def check_seed(seed: Any) -> list[int]:
    """A seed as the list of integers that ``numpy.random.default_rng`` takes.

    Raises
    ------
    ValueError
        If ``seed`` is neither an integer >= 0 nor a sequence of them; ``None`` would not be repeatable.
    """
    parts = list(seed) if isinstance(seed, Sequence | np.ndarray) and not isinstance(seed, str) else [seed]
    if not parts or not all(isinstance(p, int | np.integer) and not isinstance(p, bool) and p >= 0 for p in parts):
        raise ValueError(f"seed must be an integer >= 0 or a sequence of them, got {seed!r}")
    return [int(part) for part in parts]


def text_of(value: Any) -> str:
    """Text by which a configuration names a value of the data: a whole number has no fraction, whatever holds it.

    Keys of YAML are text, and a gap in a column makes whole numbers floats.

    Examples
    --------
    >>> text_of(2.0), text_of(np.int64(2)), text_of(2.5), text_of("02")
    ('2', '2', '2.5', '02')
    """
    whole = isinstance(value, float | np.floating) and float(value).is_integer()
    return str(int(value)) if whole else str(value)
