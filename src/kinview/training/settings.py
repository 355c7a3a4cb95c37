"""A trainer's fields, checked and made effective."""

from __future__ import annotations

import dataclasses
import math
import os
import types
import warnings
from typing import Any

import torch

from kinview.training.optimizers import uncompiled

__all__ = ["RUN_FIELDS", "Settings", "check_fields", "general_values", "resolve_device", "settings_of", "warn_of_batch"]

# fields of a trainer that say where to save and what to show, and nothing of the model that comes out
RUN_FIELDS = ("checkpoint_dir", "checkpoint_every", "resume", "progress", "callbacks")


class Settings(types.SimpleNamespace):
    """Effective values of one training, under the names of :class:`~kinview.Trainer`'s fields."""

    def identity(self) -> dict[str, Any]:
        """Values that have to be equal for a checkpoint to be continued.

        How long to train, where to save and what to show may change; a schedule over the whole length may not.
        """
        values = vars(self) | {"device": self.device.type}
        for free in RUN_FIELDS:
            values.pop(free, None)
        if self.scheduler == "constant":
            values.pop("max_steps")
            values.pop("max_epochs")
        return values

    def least_rows(self, rows: int, min_rows: int = 1) -> int:
        """Fewest rows that make a step, of a training set and of a method that needs ``min_rows``."""
        return min(int(self.batch_size), rows) if self.drop_last else min_rows

    def total_steps(self, rows: int, min_rows: int = 1) -> int | None:
        """Number of steps if no early stopping ends the training."""
        whole, left = divmod(rows, min(self.batch_size, rows))
        an_epoch = whole + (left >= self.least_rows(rows, min_rows))
        limits = [self.max_steps] if self.max_steps is not None else []
        limits += [self.max_epochs * an_epoch] if self.max_epochs is not None else []
        return min(limits) if limits else None

    def lr_factor(self, step: int, total: int | None) -> float:
        """Learning rate at a step as a fraction of ``lr``: linear warm-up, then constant or half a cosine down to 0."""
        if step < self.warmup_steps:
            return (step + 1) / int(self.warmup_steps)
        if self.scheduler == "constant" or total is None:
            return 1.0
        fraction = (step - self.warmup_steps) / max(1, total - self.warmup_steps)
        return 0.5 * (1.0 + math.cos(math.pi * min(1.0, fraction)))

    def make_optimizer(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """The optimiser over a method's parameter groups."""
        common: dict[str, Any] = {"lr": self.lr, "weight_decay": self.weight_decay}
        if self.optimizer == "sgd":
            return uncompiled(torch.optim.SGD)(groups, momentum=0.9, **common)
        kind = torch.optim.AdamW if self.optimizer == "adamw" else torch.optim.Adam
        fused = self.device.type in ("cpu", "cuda")
        return uncompiled(kind)(groups, fused=fused, **common)


def general_values(trainer: Any) -> dict[str, Any]:
    """Values of a trainer's fields where neither the user nor the method gives one."""
    return {
        field.name: field.metadata["fallback"]
        for field in dataclasses.fields(trainer)
        if field.metadata["fallback"] is not None
    }


def check_fields(trainer: Any) -> dict[str, Any]:
    """Fields of a trainer that are given, each in its range.

    Raises
    ------
    ValueError
        For a value out of range, with the range.
    """
    return {
        field.name: field.metadata["rule"].checked(getattr(trainer, field.name), f"Trainer({field.name}=...)")
        for field in dataclasses.fields(trainer)
        if getattr(trainer, field.name) is not None
    }


def settings_of(trainer: Any) -> Settings:
    """Check a trainer's fields and fill in what neither the user nor the method gave.

    Raises
    ------
    ValueError
        For a value out of range, with the range.
    """
    nothing = dict.fromkeys(field.name for field in dataclasses.fields(trainer))
    values: dict[str, Any] = nothing | general_values(trainer) | check_fields(trainer)
    values.pop("callbacks")
    for name in ("batch_size", "lr"):
        if values[name] is None:
            raise ValueError(f"Trainer needs {name}: the method has no published value for it")
    if values["max_steps"] is None and values["max_epochs"] is None:
        raise ValueError("Trainer needs max_steps or max_epochs, otherwise training never ends")
    if values["checkpoint_dir"] is not None:
        values["checkpoint_dir"] = os.fspath(values["checkpoint_dir"])
    values["device"] = resolve_device(values["device"])
    if values["precision"] == "float16" and values["device"].type != "cuda":
        raise ValueError("Trainer(precision='float16') needs a CUDA device; use 'bfloat16' on the CPU")
    return Settings(**values)


def warn_of_batch(batch_size: int | None, rows: int, name: str) -> None:
    """Say that a batch that was asked for is larger than the training set; a published value is no request.

    Warns
    -----
    UserWarning
        If it is: every step then takes all rows.
    """
    if batch_size is not None and batch_size > rows:
        warnings.warn(
            f"{name}: batch_size={batch_size} is larger than the {rows} training rows, so every step takes all of them",
            UserWarning,
            stacklevel=2,
        )


def resolve_device(name: str) -> torch.device:
    """Device by name; "auto" takes the fastest there is.

    Raises
    ------
    ValueError
        If the device is unknown or not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"device must be 'cpu', 'cuda', 'cuda:0', 'mps' or 'auto'; got {name!r}") from error
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if not available.get(device.type, False):
        raise ValueError(f"device {name!r} is not available on this machine; 'auto' takes what there is")
    return device
