"""What all readers of official checkpoints share: a file that executes nothing, state dicts, sizes that make sense."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

__all__ = ["check_dimensions", "read_checkpoint", "state_dict_of"]


def read_checkpoint(path: str | os.PathLike[str]) -> Any:
    """What a PyTorch file holds; nothing inside it is executed.

    Raises
    ------
    ValueError
        If it is not a PyTorch file, or holds more than tensors and plain containers.
    OSError
        If it cannot be opened.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # bytes of any kind: the reader of pickles fails on them in any way
        raise ValueError(
            f"{os.fspath(path)} is not a PyTorch checkpoint of plain tensors: {type(error).__name__}: {error}"
        ) from error


def state_dict_of(part: Any) -> dict[str, Tensor] | None:
    """Names and tensors, without the prefix that ``nn.DataParallel`` adds; None for what is not a state dict."""
    if not isinstance(part, Mapping):
        return None
    if not all(isinstance(name, str) and isinstance(value, Tensor) for name, value in part.items()):
        return None
    return {name.removeprefix("module."): value for name, value in part.items()}


def check_dimensions(state: Mapping[str, Tensor], dimensions: Mapping[str, int], source: str, method: str) -> None:
    """Refuse weights from which sizes are read if they lack, are empty, or have another number of dimensions.

    Raises
    ------
    ValueError
        With the source and our name of the weight.
    """
    for name, number in dimensions.items():
        if name not in state:
            raise ValueError(f"{source} is not a complete {method} checkpoint: {name} is missing")
        shape = tuple(state[name].shape)
        if len(shape) != number or 0 in shape:
            raise ValueError(
                f"{source} is not a {method} checkpoint: {name} has the shape {shape}, and {number} dimension(s) "
                f"expected"
            )
