"""Checks of the parameters of losses, which function and module make with the same words."""

from __future__ import annotations

from typing import Any, get_args

import torch

from kinview.tensor_checks import check_rows

__all__ = ["check_not_negative", "check_one_of", "check_queue_index"]


def check_not_negative(**numbers: float) -> None:
    """Refuse a number that is negative or not finite, by its name."""
    for name, value in numbers.items():
        if not 0 <= value < float("inf"):
            raise ValueError(f"{name} must not be negative; got {value!r}")


def check_queue_index(
    owner: str, n: int, queue: torch.Tensor | None, index: torch.Tensor | None, queue_index: torch.Tensor | None
) -> None:
    """Refuse numbers of samples that come without those of the queue, or not one a row."""
    if (index is None) != (queue_index is None) or (queue is None and index is not None):
        raise ValueError("index and queue_index go together, and with a queue: give all three, or neither index")
    if queue is not None and index is not None and queue_index is not None:
        check_rows(owner, n, index=index)
        check_rows(owner, len(queue), queue_index=queue_index)


def check_one_of(words: Any, **given: str) -> None:
    """Refuse a word that the ``Literal`` does not have, by the name of the parameter."""
    for name, word in given.items():
        if word not in get_args(words):
            raise ValueError(f"{name} must be one of {', '.join(get_args(words))}; got {word!r}")
