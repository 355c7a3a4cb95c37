"""A loss under test, its inputs, and the comparisons that the checks are written in."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from kinview.registry import to_config

__all__ = [
    "DIM",
    "ROWS",
    "Case",
    "Inputs",
    "call",
    "close",
    "config_of",
    "default_inputs",
    "differs",
    "doubled",
    "finite",
    "generator",
    "refuses",
]

Inputs = Callable[[int, torch.Generator], Mapping[str, Tensor]]
ROWS = 6
DIM = 8


@dataclasses.dataclass(frozen=True)
class Case:
    """One loss with its inputs; every evaluation is made on a copy that nobody has called before."""

    name: str
    loss: Any
    inputs: Inputs
    views: tuple[str, str] | None

    def draw(self, n: int = ROWS, seed: int = 0, dtype: torch.dtype = torch.float64) -> dict[str, Tensor]:
        """Arguments for n rows, floating ones in ``dtype``."""
        drawn = self.inputs(n, torch.Generator().manual_seed(seed))
        return {name: value.to(dtype) if value.is_floating_point() else value for name, value in drawn.items()}

    def fresh(self, dtype: torch.dtype = torch.float64) -> Any:
        """A copy of the loss with parameters in ``dtype``, float32 at least, that nobody has called before."""
        return copy.deepcopy(self.loss).to(torch.promote_types(dtype, torch.float32))

    def value(self, arguments: Mapping[str, Tensor], dtype: torch.dtype = torch.float64) -> Tensor:
        """The loss of a fresh copy."""
        value = call(self.fresh(dtype), arguments)
        assert isinstance(value, Tensor), f"forward must return a tensor; got {type(value).__name__}"
        return value.detach()

    def gradients(
        self, arguments: Mapping[str, Tensor], dtype: torch.dtype = torch.float64
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Value and the gradients with respect to the views that have one."""
        leaves = {name: value.clone().requires_grad_(name in self.embeddings()) for name, value in arguments.items()}
        value = call(self.fresh(dtype), leaves)
        assert value.requires_grad, "the value is not connected to the graph"
        views = [name for name, leaf in leaves.items() if leaf.requires_grad]
        found = torch.autograd.grad(value, [leaves[name] for name in views], allow_unused=True)
        return value.detach(), {name: grad for name, grad in zip(views, found, strict=True) if grad is not None}

    def embeddings(self) -> tuple[str, ...]:
        """The floating arguments with more than one number a row."""
        return tuple(name for name, value in self.draw().items() if value.is_floating_point() and value.ndim > 1)

    def rows(self) -> tuple[str, ...]:
        """The arguments that hold one entry a row."""
        return tuple(name for name, value in self.draw().items() if value.ndim and len(value) == ROWS)

    def map_rows(
        self, arguments: Mapping[str, Tensor], change: Callable[[Tensor], Tensor], only: tuple[str, ...] | None = None
    ) -> dict[str, Tensor]:
        """The arguments with a change applied to those that hold one entry a row."""
        chosen = self.rows() if only is None else only
        return {name: change(value) if name in chosen else value for name, value in arguments.items()}


def call(loss: Any, arguments: Mapping[str, Tensor]) -> Tensor:
    """The loss of named arguments, those that ``forward`` does not name being its ``*views``."""
    named = inspect.signature(loss.forward).parameters
    views = [value for name, value in arguments.items() if name not in named]
    value: Tensor = loss(*views, **{name: value for name, value in arguments.items() if name in named})
    return value


def default_inputs(loss: Any) -> Inputs:
    """Views ``(n, 8)`` for the required arguments of ``forward``, with labels and groups where they are needed."""
    parameters = inspect.signature(loss.forward).parameters
    required = [p.name for p in parameters.values() if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    needed = [name for name in ("labels", "groups") if getattr(loss, f"needs_{name}", False)]
    unknown = [
        p.name
        for p in parameters.values()
        if p.default is p.empty and p.kind is p.KEYWORD_ONLY and p.name not in ("labels", "groups")
    ]
    if any(p.kind is p.VAR_POSITIONAL for p in parameters.values()):
        required += ["a", "b"]
    if unknown or not required:
        raise ValueError(
            f"check_loss cannot make the arguments {', '.join(unknown) or 'of forward'} of {type(loss).__name__}: "
            "give inputs=, a function of (n, generator) that returns them by name"
        )
    if "b" in parameters and "b" not in required:
        required.append("b")

    def draw(n: int, generator: torch.Generator) -> dict[str, Tensor]:
        # close enough for margins of 1 to be felt
        noise = [0.2 * torch.randn(n, DIM, generator=generator, dtype=torch.float64) for _ in range(len(required) + 1)]
        drawn = {name: noise[-1] + 0.5 * own for name, own in zip(required, noise)}
        for name in needed:
            drawn[name] = torch.arange(n) // 2
        return drawn

    return draw


def close(seen: Tensor, expected: Tensor, promise: str, rtol: float = 1e-9) -> None:
    """Assert that a promised equality holds."""
    assert torch.allclose(seen.double(), expected.double(), rtol=rtol, atol=rtol), (
        f"{promise}; got {seen.item()!r} and {expected.item()!r}"
    )


def differs(one: Tensor, other: Tensor) -> bool:
    """Is the difference of two values more than rounding."""
    return not torch.allclose(one.double(), other.double(), rtol=1e-6, atol=1e-9)


def finite(case: Case, arguments: Mapping[str, Tensor], promise: str, dtype: torch.dtype = torch.float64) -> None:
    """Assert that value and gradients are finite."""
    value, gradients = case.gradients(arguments, dtype)
    assert bool(torch.isfinite(value).all()), f"{promise}: the value is {value.item()}"
    for name, gradient in gradients.items():
        assert bool(torch.isfinite(gradient).all()), f"{promise}: the gradient of {name} is not finite"


def refuses(case: Case, arguments: Mapping[str, Tensor], name: str, what: str) -> None:
    """Assert that arguments are refused with an error that names the culprit."""
    try:
        case.value(arguments)
    except ValueError as error:
        # not any word "a": the argument, followed by what is wrong with it
        named = re.search(rf"\b{name}(=|:| is\b| has\b| holds\b| must\b)", str(error))
        assert named, f"{what}: the error must say what {name} is, has, holds or must be; it says {error}"
        return
    except TypeError as error:
        missing = name not in arguments and name in str(error)
        assert missing, f"{what}: raise a ValueError that names {name}; got TypeError: {error}"
        return
    raise AssertionError(f"{what}: {name} must be refused")


def config_of(case: Case) -> tuple[str, dict[str, Any]]:
    """Name and parameters of the loss."""
    config = to_config(case.loss)
    if isinstance(config, str):
        return config, {}
    ((name, parameters),) = config.items()
    return name, dict(parameters)


def doubled(arguments: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same numbers in float64."""
    return {name: value.double() if value.is_floating_point() else value for name, value in arguments.items()}


def generator(seed: int = 2) -> torch.Generator:
    """A seeded source for what a check itself draws."""
    return torch.Generator().manual_seed(seed)
