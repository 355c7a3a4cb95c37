"""Checkpoints: all that an exact continuation needs, in one file that executes nothing."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kinview.files import atomic_write, dump_tensors, read_tensors, tensors_under
from kinview.own_parts import refuse_imports
from kinview.training.averaging import WeightAverage
from kinview.training.callbacks import TrainingState
from kinview.training.method import Method
from kinview.training.randomness import generator_states, restore_generator_states

__all__ = ["CHECKPOINT_NAME", "Running", "load_checkpoint", "save_checkpoint", "stored_identity"]

CHECKPOINT_NAME = "checkpoint.safetensors"
_FORMAT = "kinview-checkpoint"
_VERSION = 1
_LATER_KEYS = ("complete_parameters",)  # of an identity, that a file of an earlier kinview lacks


@dataclasses.dataclass
class Running:
    """Everything that changes while training: the checkpoint's content, live."""

    method: Method
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    average: WeightAverage | None
    generator: torch.Generator
    device: torch.device
    state: TrainingState
    permutation: Tensor
    best_weights: dict[str, Tensor] = dataclasses.field(default_factory=dict)
    written: GrowingRecords = dataclasses.field(init=False, default_factory=lambda: GrowingRecords())


class GrowingRecords:
    """JSON of a list of records that grows, each encoded once: of those it has seen only the last may still change.

    Examples
    --------
    >>> records, text = [{"loss": 2.0}], GrowingRecords()
    >>> text.of(records)
    b'[{"loss": 2.0}]'
    >>> records[-1]["rank"] = 1.0
    >>> text.of([*records, {"loss": 1.5}])
    b'[{"loss": 2.0, "rank": 1.0}, {"loss": 1.5}]'
    """

    def __init__(self) -> None:
        self._text, self._count = bytearray(), 0

    def of(self, records: list[dict[str, float]]) -> bytes:
        """All records; of a list that does not go on from the last one, such as a shorter one, take a new object."""
        for record in records[self._count : -1]:
            self._text += json.dumps(record).encode() + b", "
        self._count = max(self._count, len(records) - 1)
        return b"[" + self._text + b", ".join(json.dumps(record).encode() for record in records[-1:]) + b"]"


def save_checkpoint(folder: Path, running: Running, identity: dict[str, Any]) -> Path:
    """Write the state of a training, whole or not at all.

    Parameters
    ----------
    folder : Path
        Made if it does not exist.
    running : Running
        The training.
    identity : dict
        What the training is: data fingerprint, method config, trainer values. A checkpoint of another one is refused.
    """
    tensors = {f"method/{name}": value for name, value in running.method.state_dict().items()}
    tensors |= {f"best/{name}": value for name, value in running.best_weights.items()}
    if running.average is not None:
        tensors |= {f"average/{name}": value for name, value in running.average.tensors().items()}
    optimizer = running.optimizer.state_dict()
    for index, slots in optimizer["state"].items():
        tensors |= {f"optimizer/{index}/{slot}": torch.as_tensor(value) for slot, value in slots.items()}
    tensors |= {f"generator/{k}": v for k, v in generator_states(running.generator, running.device).items()}
    tensors["permutation"] = running.permutation
    state = running.state
    facts = {
        "state": {f.name: getattr(state, f.name) for f in dataclasses.fields(state)} | {"history": []},
        "averaged": running.average.count if running.average else 0,
        "scaler": running.scaler.state_dict(),
    }
    # a tensor of bytes: the history grows with every step, and a header has a limit
    before, after = json.dumps(facts).encode().split(b'"history": []', 1)
    text = bytearray(before + b'"history": ' + running.written.of(state.history) + after)
    tensors["facts"] = torch.frombuffer(text, dtype=torch.uint8)
    metadata = {"format": _FORMAT, "format_version": str(_VERSION), "identity": json.dumps(identity)}
    folder.mkdir(parents=True, exist_ok=True)
    return atomic_write(folder / CHECKPOINT_NAME, dump_tensors(tensors, metadata))


def load_checkpoint(path: Path, running: Running, identity: dict[str, Any]) -> None:
    """Put a training back where a checkpoint left it.

    Raises
    ------
    ValueError
        If the file is damaged or foreign, or belongs to another training: the differences are named.
    """
    tensors, stored = _read(path)
    given = {key: value for key, value in identity.items() if key in stored or key not in _LATER_KEYS}
    differences = _differences(stored, json.loads(json.dumps(given)))
    if differences:
        raise ValueError(
            f"{path} belongs to another training: {'; '.join(differences)}. "
            f"Fit with the same data and parameters to continue it, use another checkpoint_dir, or pass resume='never'"
        )
    facts = json.loads(tensors["facts"].numpy().tobytes())
    running.method.load_state_dict(tensors_under(tensors, "method/"))
    running.best_weights = tensors_under(tensors, "best/")
    if running.average is not None:
        names = running.average.tensors()
        averages = tensors_under(tensors, "average/")
        running.average.restore([averages[name] for name in names], facts["averaged"])
    _restore_optimizer(running.optimizer, tensors_under(tensors, "optimizer/"))
    running.scaler.load_state_dict(facts["scaler"])
    running.permutation = tensors["permutation"]
    running.state = TrainingState(**facts["state"])
    restore_generator_states(tensors_under(tensors, "generator/"), running.generator, running.device)


def stored_identity(path: Path) -> dict[str, Any]:
    """Identity of a checkpoint's training; errors as :func:`load_checkpoint` for a damaged or foreign file."""
    return _read(path)[1]


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    tensors, metadata = read_tensors(path)
    if metadata.get("format") != _FORMAT:
        raise ValueError(f"{path} is not a kinview checkpoint (its format is {metadata.get('format')!r})")
    if metadata["format_version"] != str(_VERSION):
        raise ValueError(
            f"{path} has checkpoint version {metadata['format_version']}, this kinview continues version {_VERSION}: "
            f"use the kinview that wrote it, or pass resume='never'"
        )
    identity: dict[str, Any] = json.loads(metadata["identity"])
    refuse_imports([metadata, identity], str(path))
    return tensors, identity


def _restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    # learning rates and the like are set anew at every step; the slots are all that has to be put back
    slots: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        index, slot = name.split("/")
        slots.setdefault(int(index), {})[slot] = value
    optimizer.load_state_dict({"state": slots, "param_groups": optimizer.state_dict()["param_groups"]})
    for parameter, state in optimizer.state.items():
        # torch's fused steps go through memory: a slot has to lie there as its parameter does, and a file has one order
        same = {slot: value for slot, value in state.items() if value.shape == parameter.shape}
        state.update({slot: torch.empty_like(parameter).copy_(value) for slot, value in same.items()})


def _differences(stored: Any, given: Any, path: str = "") -> list[str]:
    if isinstance(stored, dict) and isinstance(given, dict):
        found = []
        for key in [*stored, *(k for k in given if k not in stored)]:
            found += _differences(stored.get(key), given.get(key), f"{path}.{key}" if path else str(key))
        return found
    return [] if stored == given else [f"{path} was {stored!r} and is {given!r}"]
