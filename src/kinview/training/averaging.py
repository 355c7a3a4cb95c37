"""Averages of the weights over training."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

__all__ = ["WeightAverage"]


class WeightAverage:
    r"""Running average of a module's parameters.

    ``swa``: the mean over all steps *including the initial weights* (what TS2Vec's official code keeps);
    ``ema``: :math:`\bar w \leftarrow m \bar w + (1 - m) w` with momentum m.

    Parameters
    ----------
    module : nn.Module
        The module whose parameters are averaged; buffers are not.
    kind : {"swa", "ema"}
        Which average.
    momentum : float, default 0.999
        m of the exponential average (MoCo).

    Examples
    --------
    >>> module = nn.Linear(1, 1, bias=False)
    >>> _ = module.weight.data.fill_(0.0)
    >>> average = WeightAverage(module, "swa")
    >>> _ = module.weight.data.fill_(2.0)
    >>> average.update(); average.tensors()["weight"].item()
    1.0
    """

    def __init__(self, module: nn.Module, kind: str, momentum: float = 0.999) -> None:
        if kind not in ("swa", "ema"):
            raise ValueError(f"averaging must be 'swa', 'ema' or 'none'; got {kind!r}")
        self.kind = kind
        self.momentum = momentum
        self.count = 1
        self._names = [name for name, _ in module.named_parameters()]
        self._live = [p.detach() for _, p in module.named_parameters()]
        self._average = [p.clone() for p in self._live]

    @torch.no_grad()
    def update(self) -> None:
        """Take the present weights into the average."""
        weight = 1.0 / (self.count + 1) if self.kind == "swa" else 1.0 - self.momentum
        torch._foreach_lerp_(self._average, self._live, weight)
        self.count += 1

    @torch.no_grad()
    def copy_to(self, module: nn.Module) -> None:
        """Write the average into a module's parameters."""
        for parameter, average in zip(module.parameters(), self._average, strict=True):
            parameter.copy_(average)

    def tensors(self) -> dict[str, Tensor]:
        """The averages by parameter name."""
        return dict(zip(self._names, self._average, strict=True))

    @torch.no_grad()
    def restore(self, tensors: Iterable[Tensor], count: int) -> None:
        """Continue from stored averages, in the order of :meth:`tensors`."""
        for average, stored in zip(self._average, tensors, strict=True):
            average.copy_(stored)
        self.count = count
