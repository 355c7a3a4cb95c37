"""A trainer's fields, checked and made effective."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from kinview.training.trainer import Trainer

__all__ = ["Settings", "settings_of"]


@dataclasses.dataclass(frozen=True)
class Settings:
    """Effective values of one training; see :class:`~kinview.Trainer` for what they mean."""

    max_steps: int | None
    max_epochs: int | None
    batch_size: int
    lr: float
    optimizer: str
    weight_decay: float
    scheduler: str
    warmup_steps: int
    gradient_clip: float | None
    averaging: str
    drop_last: bool
    validation_fraction: float
    validation_passes: int
    patience: int | None
    precision: str
    device: torch.device
    checkpoint_dir: str | None
    checkpoint_every: int
    resume: str
    progress: bool

    def identity(self) -> dict[str, Any]:
        """What has to be equal for a checkpoint to be continued.

        How long to train, where to save and what to show may change; a schedule over the whole length may not.
        """
        values = dataclasses.asdict(self) | {"device": self.device.type}
        for free in ("checkpoint_dir", "checkpoint_every", "resume", "progress"):
            values.pop(free)
        if self.scheduler == "constant":
            values.pop("max_steps")
            values.pop("max_epochs")
        return values

    def total_steps(self, rows: int) -> int | None:
        """Number of steps if no early stopping ends the training."""
        size = min(self.batch_size, rows)
        an_epoch = rows // size if self.drop_last else math.ceil(rows / size)
        limits = [self.max_steps] if self.max_steps is not None else []
        limits += [self.max_epochs * an_epoch] if self.max_epochs is not None else []
        return min(limits) if limits else None

    def lr_factor(self, step: int, total: int | None) -> float:
        """Learning rate at a step as a share of ``lr``: linear warm-up, then constant or half a cosine down to 0."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        if self.scheduler == "constant" or total is None:
            return 1.0
        share = (step - self.warmup_steps) / max(1, total - self.warmup_steps)
        return 0.5 * (1.0 + math.cos(math.pi * min(1.0, share)))

    def make_optimizer(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """The optimiser over a method's parameter groups."""
        common: dict[str, Any] = {"lr": self.lr, "weight_decay": self.weight_decay}
        if self.optimizer == "sgd":
            return torch.optim.SGD(groups, momentum=0.9, **common)
        kind = torch.optim.AdamW if self.optimizer == "adamw" else torch.optim.Adam
        fused = self.device.type in ("cpu", "cuda")
        return kind(groups, fused=fused, **common)


_FALLBACK: dict[str, Any] = {
    "optimizer": "adam",
    "weight_decay": 0.0,
    "scheduler": "constant",
    "warmup_steps": 0,
    "averaging": "none",
    "drop_last": False,
    "validation_fraction": 0.0,
    "validation_passes": 1,
    "precision": "float32",
    "device": "cpu",
    "checkpoint_every": 100,
    "resume": "auto",
    "progress": True,
}
_CHOICES = {
    "optimizer": ("adam", "adamw", "sgd"),
    "scheduler": ("constant", "cosine"),
    "averaging": ("none", "swa", "ema"),
    "precision": ("float32", "bfloat16", "float16"),
    "resume": ("auto", "never"),
}
_POSITIVE_INTEGERS = ("max_steps", "max_epochs", "batch_size", "validation_passes", "patience", "checkpoint_every")


def settings_of(trainer: Trainer) -> Settings:
    """Check a trainer's fields and fill in what neither the user nor the method gave.

    Raises
    ------
    ValueError
        For a value out of range, with the range.
    """
    given = {k: v for k, v in trainer.get_params(deep=False).items() if v is not None and k != "callbacks"}
    values: dict[str, Any] = {field.name: None for field in dataclasses.fields(Settings)} | _FALLBACK | given
    for name in ("batch_size", "lr"):
        if values[name] is None:
            raise ValueError(f"Trainer needs {name}: the method has no published value for it")
    if values["max_steps"] is None and values["max_epochs"] is None:
        raise ValueError("Trainer needs max_steps or max_epochs, otherwise training never ends")
    for name, choices in _CHOICES.items():
        if values[name] not in choices:
            raise ValueError(f"Trainer({name}=...) must be one of {', '.join(choices)}; got {values[name]!r}")
    for name in _POSITIVE_INTEGERS:
        value = values[name]
        if value is not None and (isinstance(value, bool) or int(value) != value or value < 1):
            raise ValueError(f"Trainer({name}=...) must be a positive integer; got {value!r}")
    for name, least in (("weight_decay", 0.0), ("warmup_steps", 0)):
        if not values[name] >= least:
            raise ValueError(f"Trainer({name}=...) must not be negative; got {values[name]!r}")
    for name in ("lr", "gradient_clip"):
        if values[name] is not None and not (math.isfinite(values[name]) and values[name] > 0):
            raise ValueError(f"Trainer({name}=...) must be a positive number; got {values[name]!r}")
    if not 0.0 <= values["validation_fraction"] < 1.0:
        raise ValueError(f"Trainer(validation_fraction=...) must be in [0, 1); got {values['validation_fraction']!r}")
    values["device"] = resolve_device(values["device"])
    if values["precision"] == "float16" and values["device"].type != "cuda":
        raise ValueError("Trainer(precision='float16') needs a CUDA device; use 'bfloat16' on the CPU")
    return Settings(**values)


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
