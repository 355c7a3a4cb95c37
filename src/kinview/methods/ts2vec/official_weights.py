"""Checkpoints of the official TS2Vec code, under our names."""

from __future__ import annotations

import os
import re

from torch import Tensor

from kinview.methods.estimators.official_weights import check_dimensions, read_checkpoint, state_dict_of

__all__ = ["official_state", "renamed"]

_BLOCK = re.compile(r"feature_extractor\.net\.(\d+)\.(conv1\.conv|conv2\.conv|projector)\.(weight|bias)")


def official_state(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, int]]:
    """State dict of our encoder and its sizes, from an official checkpoint.

    Raises
    ------
    ValueError
        If the file is not a state dict of the official network or of its AveragedModel.
    """
    official = state_dict_of(read_checkpoint(path))
    if official is None:
        raise ValueError(f"{os.fspath(path)} is not a TS2Vec checkpoint: it holds no state dict")
    official.pop("n_averaged", None)
    return renamed(official, os.fspath(path))


def renamed(official: dict[str, Tensor], source: str) -> tuple[dict[str, Tensor], dict[str, int]]:
    """Parameters of the official network under our names, and the sizes that they imply.

    Raises
    ------
    ValueError
        If an entry is unknown or one is missing; ``source`` is named.
    """
    state: dict[str, Tensor] = {}
    blocks: set[int] = set()
    for name, value in official.items():
        match = _BLOCK.fullmatch(name)
        if match is not None:
            blocks.add(int(match[1]))
            state[f"blocks.{match[1]}.{match[2].removesuffix('.conv')}.{match[3]}"] = value
        elif name in ("input_fc.weight", "input_fc.bias"):
            state[name] = value
        else:
            raise ValueError(f"{source} is not a TS2Vec checkpoint: it has an entry {name!r}")
    last = f"blocks.{max(blocks, default=0)}.conv2.weight"
    if "input_fc.weight" not in state or last not in state or blocks != set(range(len(blocks))):
        raise ValueError(f"{source} is not a complete TS2Vec checkpoint: {len(blocks)} blocks, {len(official)} entries")
    check_dimensions(state, {"input_fc.weight": 2, last: 3}, source, "TS2Vec")
    hidden, channels = state["input_fc.weight"].shape
    sizes = {
        "channels": int(channels),
        "hidden_dim": int(hidden),
        "repr_dim": int(state[last].shape[0]),
        "depth": len(blocks) - 1,
    }
    return state, sizes
