"""Randomness that leaves the caller's alone."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

_ONE_AT_A_TIME = threading.RLock()  # the global generators are those of all threads

__all__ = [
    "check_seed",
    "forked_generators",
    "generator_states",
    "global_states",
    "resolve_seed",
    "restore_generator_states",
    "restore_global_states",
]


def check_seed(random_state: Any, name: str = "random_state") -> None:
    """Refuse what :func:`resolve_seed` makes no seed of, without drawing from a generator; the argument is named."""
    whole = isinstance(random_state, int | np.integer) and not isinstance(random_state, bool)
    if random_state is None or isinstance(random_state, np.random.Generator | np.random.RandomState):
        return
    if not whole or random_state < 0:
        raise ValueError(f"{name} must be None, a non-negative integer or a NumPy generator; got {random_state!r}")


def resolve_seed(random_state: Any) -> int:
    """Seed in [0, 2^31) from an int, a NumPy RandomState or Generator, or fresh entropy for None.

    Raises
    ------
    ValueError
        For anything else, or a negative integer.
    """
    check_seed(random_state)
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0]) % 2**31
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**31))
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31 - 1))
    return int(random_state) % 2**31


@contextlib.contextmanager
def forked_generators(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's global generators inside the block and give the caller's back after it.

    Dropout and layer initialisation take no generator; this is the only place where the global ones are used. Blocks in
    other threads wait, so that none draws from the numbers of another.
    """
    cuda = device.type == "cuda"
    devices = [torch.cuda.current_device() if device.index is None else device.index] if cuda else []
    with _ONE_AT_A_TIME, torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed devices that are not forked
        for index in devices:
            torch.cuda.default_generators[index].manual_seed(seed)
        yield


def generator_states(generator: torch.Generator, device: torch.device) -> dict[str, Tensor]:
    """States of the passed generator and of the forked global ones."""
    return {"passed": generator.get_state(), **global_states(device)}


def restore_generator_states(states: dict[str, Tensor], generator: torch.Generator, device: torch.device) -> None:
    """Inverse of :func:`generator_states`."""
    generator.set_state(states["passed"])
    restore_global_states(states, device)


def global_states(device: torch.device) -> dict[str, Tensor]:
    """States of torch's global generators that what runs on a device may draw from."""
    states = {"global": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def restore_global_states(states: dict[str, Tensor], device: torch.device) -> None:
    """Inverse of :func:`global_states`."""
    torch.set_rng_state(states["global"])
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)
