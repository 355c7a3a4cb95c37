"""Checkpoints of the official TF-C code, under our names."""

from __future__ import annotations

import os
from collections.abc import Mapping

import torch
from torch import Tensor

from kinview.methods.estimators.official_weights import check_dimensions, read_checkpoint, state_dict_of

__all__ = ["official_state", "renamed"]

_PREFIXES = {
    "transformer_encoder_t.": "time_encoder.transformer.",
    "transformer_encoder_f.": "frequency_encoder.transformer.",
    "projector_t.": "time_projector.",
    "projector_f.": "frequency_projector.",
}


def official_state(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, int]]:
    """State dict of our method and its sizes, from an official checkpoint.

    Raises
    ------
    ValueError
        If the file is not a state dict of the official network, bare or under ``model_state_dict``.
    """
    stored = read_checkpoint(path)
    if isinstance(stored, Mapping) and isinstance(stored.get("model_state_dict"), Mapping):
        stored = stored["model_state_dict"]
    official = state_dict_of(stored)
    if official is None:
        raise ValueError(f"{os.fspath(path)} is not a TF-C checkpoint: it holds no state dict")
    return renamed(official, os.fspath(path))


def renamed(official: dict[str, Tensor], source: str) -> tuple[dict[str, Tensor], dict[str, int]]:
    """Parameters of the official network under our names, and the sizes that they imply.

    Raises
    ------
    ValueError
        If an entry is unknown or one is missing; ``source`` is named.
    """
    state: dict[str, Tensor] = {}
    for name, value in official.items():
        prefix = next((prefix for prefix in _PREFIXES if name.startswith(prefix)), None)
        if prefix is None:
            raise ValueError(f"{source} is not a TF-C checkpoint: it has an entry {name!r}")
        state[_PREFIXES[prefix] + name.removeprefix(prefix)] = value
    # the official files written by torch before 0.4.1 lack the counter, which eval mode does not read
    for domain in ("time", "frequency"):
        state.setdefault(f"{domain}_projector.1.num_batches_tracked", torch.tensor(0))
    layers = {name.split(".")[3] for name in state if name.startswith("time_encoder.transformer.layers.")}
    if layers != {str(i) for i in range(len(layers))} or not layers:
        raise ValueError(f"{source} is not a complete TF-C checkpoint: {len(layers)} layers, {len(official)} entries")
    projections = [f"{domain}_projector.{layer}.weight" for domain in ("time", "frequency") for layer in (0, 3)]
    check_dimensions(state, dict.fromkeys(projections, 2), source, "TF-C")
    sizes = {
        "length": int(state["time_projector.0.weight"].shape[1]),
        "hidden_dim": int(state["time_projector.0.weight"].shape[0]),
        "projection_dim": int(state["time_projector.3.weight"].shape[0]),
        "depth": len(layers),
    }
    return state, sizes
