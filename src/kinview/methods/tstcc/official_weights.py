"""Checkpoints of the official TS-TCC code, under our names."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

import torch
from torch import Tensor

from kinview.methods.estimators.official_weights import check_dimensions, read_checkpoint, state_dict_of

__all__ = ["official_state", "renamed"]

_LAYER = r"seq_transformer\.transformer\.layers\.(\d+)\."
_OURS = r"predictor.context.layers.\1."
_NAMES = [  # (entry of the official encoder or temporal module, our name)
    (r"conv_block1\.([01])\.(\w+)", r"encoder.blocks.0.\1.\2"),
    (r"conv_block2\.([01])\.(\w+)", r"encoder.blocks.1.\1.\2"),
    (r"conv_block3\.([01])\.(\w+)", r"encoder.blocks.2.\1.\2"),
    (r"seq_transformer\.patch_to_embedding\.(\w+)", r"predictor.context.projection.\1"),
    (r"seq_transformer\.c_token", r"predictor.context.token"),
    (_LAYER + r"0\.fn\.norm\.(\w+)", _OURS + r"norm1.\2"),
    (_LAYER + r"0\.fn\.fn\.to_qkv\.weight", _OURS + r"qkv.weight"),
    (_LAYER + r"0\.fn\.fn\.to_out\.0\.(\w+)", _OURS + r"out.\2"),
    (_LAYER + r"1\.fn\.norm\.(\w+)", _OURS + r"norm2.\2"),
    (_LAYER + r"1\.fn\.fn\.net\.0\.(\w+)", _OURS + r"linear1.\2"),
    (_LAYER + r"1\.fn\.fn\.net\.3\.(\w+)", _OURS + r"linear2.\2"),
    (r"projection_head\.(\d)\.(\w+)", r"projector.\1.\2"),
]
_PREDICTION = re.compile(r"Wk\.(\d+)\.(weight|bias)")
_DIMENSIONS = {"encoder.blocks.0.0.weight": 3, "encoder.blocks.2.0.weight": 3, "predictor.heads.weight": 2}


def official_state(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, int]]:
    """State dict of our method and its sizes, from an official checkpoint.

    Raises
    ------
    ValueError
        If the file is not a checkpoint of the official encoder and its temporal module.
    """
    stored = read_checkpoint(path)
    given = stored if isinstance(stored, Mapping) else {}
    model, temporal = (
        state_dict_of(given.get(name)) for name in ("model_state_dict", "temporal_contr_model_state_dict")
    )
    if model is None or temporal is None:
        raise ValueError(
            f"{os.fspath(path)} is not a TS-TCC checkpoint: it has to hold the state dicts model_state_dict and "
            f"temporal_contr_model_state_dict"
        )
    return renamed(model, temporal, os.fspath(path))


def renamed(
    model: dict[str, Tensor], temporal: dict[str, Tensor], source: str
) -> tuple[dict[str, Tensor], dict[str, int]]:
    """Parameters of the official networks under our names, and the sizes that they imply.

    Of the classifier on top (``logits``) only the number of steps that it reads is kept, as ``segments``.

    Raises
    ------
    ValueError
        If an entry is unknown or one is missing; ``source`` is named.
    """
    state: dict[str, Tensor] = {}
    predictions: dict[str, dict[int, Tensor]] = {"weight": {}, "bias": {}}
    for name, value in {**model, **temporal}.items():
        prediction = _PREDICTION.fullmatch(name)
        if prediction is not None:
            predictions[prediction[2]][int(prediction[1])] = value
        elif not name.startswith("logits."):
            state[_our_name(name, source)] = value
    heads = range(len(predictions["weight"]))
    shapes = {kind: {tuple(part.shape) for part in parts.values()} for kind, parts in predictions.items()}
    token = state.get("predictor.context.token")
    if token is None or not heads or any(set(p) != set(heads) for p in predictions.values()):
        raise ValueError(f"{source} is not a complete TS-TCC checkpoint: {len(model) + len(temporal)} entries")
    if [len(shape) for kind in ("weight", "bias") for shape in shapes[kind]] != [2, 1]:
        raise ValueError(f"{source} is not a TS-TCC checkpoint: the predictions Wk have the shapes {shapes}")
    for kind, parts in predictions.items():
        state[f"predictor.heads.{kind}"] = torch.cat([parts[k] for k in heads])
    state["predictor.context.token"] = token.flatten()
    check_dimensions(state, _DIMENSIONS, source, "TS-TCC")
    first, last = state["encoder.blocks.0.0.weight"], state["encoder.blocks.2.0.weight"]
    depth = {name.split(".")[3] for name in state if name.startswith("predictor.context.layers.")}
    sizes = {
        "channels": first.shape[1],
        "hidden_dim": first.shape[0],
        "kernel_size": first.shape[2],
        "repr_dim": last.shape[0],
        "prediction_steps": len(heads),
        "context_dim": token.numel(),
        "context_depth": len(depth),
        "segments": _segments(model, last.shape[0], source),
    }
    return state, {name: int(size) for name, size in sizes.items()}


def _segments(model: Mapping[str, Tensor], repr_dim: int, source: str) -> int:
    """Number of steps whose features the classifier on top reads side by side; 1 without it."""
    if "logits.weight" not in model:
        return 1
    check_dimensions(model, {"logits.weight": 2}, source, "TS-TCC")
    columns = model["logits.weight"].shape[1]
    if columns % repr_dim:
        raise ValueError(
            f"{source} is not a TS-TCC checkpoint: its classifier reads {columns} values (logits.weight), not a "
            f"multiple of the {repr_dim} features of a step"
        )
    return columns // repr_dim


def _our_name(name: str, source: str) -> str:
    for pattern, ours in _NAMES:
        match = re.fullmatch(pattern, name)
        if match is not None:
            return match.expand(ours)
    raise ValueError(f"{source} is not a TS-TCC checkpoint: it has an entry {name!r}")
