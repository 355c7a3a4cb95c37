"""torch's optimisers without the compiler that they would import."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import torch

__all__ = ["uncompiled"]

_WRAPPED = ("step", "zero_grad", "add_param_group", "state_dict", "load_state_dict")


@functools.cache
def uncompiled(kind: type[torch.optim.Optimizer]) -> Callable[..., torch.optim.Optimizer]:
    """Subclass of one of torch's optimisers that does the same and does not import ``torch._dynamo``.

    torch wraps the methods of an optimiser so that ``torch.compile`` leaves them alone. Without a compiler these
    wrappers change nothing, but the first call imports it: some 800 modules. Each method here is torch's own below
    those wrappers; of what they do otherwise, ``step`` keeps that gradients are off. Where a version of torch wraps a
    method in another way it stays as torch has it.

    Parameters
    ----------
    kind : type
        Such as ``torch.optim.AdamW``. A step that is itself to be differentiated (``differentiable=True``) needs
        torch's own class.

    Examples
    --------
    >>> weight = torch.nn.Parameter(torch.tensor([1.0]))
    >>> optimizer = uncompiled(torch.optim.SGD)([weight], lr=0.5)
    >>> weight.square().sum().backward()
    >>> optimizer.step()
    >>> weight.detach()
    tensor([0.])
    """
    members: dict[str, Any] = {name: _below_the_compiler(getattr(kind, name)) for name in _WRAPPED}
    members["step"] = torch.no_grad()(members["step"])
    made: type[torch.optim.Optimizer] = type(kind.__name__, (kind,), members)
    return made


def _below_the_compiler(method: Callable[..., Any]) -> Callable[..., Any]:
    found: Callable[..., Any] = inspect.unwrap(method, stop=lambda wrapper: "torch._dynamo" not in _names_in(wrapper))
    return found


def _names_in(function: Callable[..., Any]) -> tuple[str, ...]:
    """Names that the code of a function reads or imports."""
    code = getattr(function, "__code__", None)
    return () if code is None else code.co_names
