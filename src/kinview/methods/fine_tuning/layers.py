"""Which parts of a network make an embedding, from the input to the top."""

from __future__ import annotations

import dataclasses

import torch
from torch import nn

from kinview.data.batch import Batch
from kinview.training.method import Method

__all__ = ["Layer", "layers_of"]


@dataclasses.dataclass(frozen=True, eq=False)
class Layer:
    """A module that is called by itself, with those below it that are not.

    Parameters
    ----------
    modules : list of nn.Module
        The module first.
    parameters : list of nn.Parameter
        Their own parameters; those of modules that are called by themselves are in other layers.
    """

    modules: list[nn.Module]
    parameters: list[nn.Parameter]


def layers_of(method: Method, batch: Batch) -> tuple[list[Layer], int]:
    """Layers that an embedding rests on, in the order of their first call, and the size of an embedding.

    What an embedding does not rest on (a projector) is in none of them.

    Parameters
    ----------
    method : Method
        It is left in eval mode.
    batch : Batch
        A few rows, on the device of the method.

    Raises
    ------
    ValueError
        If no gradient flows from an embedding to a parameter.
    """
    called: dict[nn.Module, None] = {}

    def note(module: nn.Module, _: object) -> None:
        called.setdefault(module)

    hooks = [module.register_forward_pre_hook(note) for module in method.modules()]
    method.eval()
    flags = [(parameter, parameter.requires_grad) for parameter in method.parameters()]
    try:
        for parameter, _ in flags:
            parameter.requires_grad_(True)
        with torch.enable_grad():
            z = method.embed(batch)
            used = _used(z, [parameter for parameter, _ in flags])
    finally:
        for hook in hooks:
            hook.remove()
        for parameter, flag in flags:
            parameter.requires_grad_(flag)
    if not used:
        raise ValueError(
            f"no gradient flows from an embedding of {type(method).__name__} to its weights, so it cannot be trained "
            f"with labels; freeze='encoder' trains a head on top of it"
        )
    # what is used without any module around it being called counts as the layer next to the input
    layers = [_layer(module, called) for module in [method, *(m for m in called if m is not method)]]
    return [layer for layer in layers if any(p in used for p in layer.parameters)], int(z.shape[1])


def _used(z: torch.Tensor, parameters: list[nn.Parameter]) -> set[nn.Parameter]:
    if not z.requires_grad:
        return set()
    gradients = torch.autograd.grad(z.sum(), parameters, allow_unused=True)
    return {p for p, gradient in zip(parameters, gradients, strict=True) if gradient is not None}


def _layer(top: nn.Module, called: dict[nn.Module, None]) -> Layer:
    modules, waiting = [], [top]
    while waiting:
        module = waiting.pop(0)
        modules.append(module)
        waiting += [child for child in module.children() if child not in called]
    return Layer(modules, [p for module in modules for p in module.parameters(recurse=False)])
