"""Checks of the parameters of losses, which function and module make with the same words."""

from __future__ import annotations

from typing import Any, get_args

__all__ = ["check_not_negative", "check_one_of"]


def check_not_negative(**numbers: float) -> None:
    """Refuse a number that is negative or not finite, by its name."""
    for name, value in numbers.items():
        if not 0 <= value < float("inf"):
            raise ValueError(f"{name} must not be negative; got {value!r}")


def check_one_of(words: Any, **given: str) -> None:
    """Refuse a word that the ``Literal`` does not have, by the name of the parameter."""
    for name, word in given.items():
        if word not in get_args(words):
            raise ValueError(f"{name} must be one of {', '.join(get_args(words))}; got {word!r}")
