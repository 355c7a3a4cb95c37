"""A copy of a network that follows it slowly: the keys of MoCo, the targets of BYOL."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

__all__ = ["MomentumEncoder", "momentum_at"]


def momentum_at(momentum: float | Sequence[float], progress: float) -> float:
    r"""Momentum at a point of training, :math:`m_1 - (m_1 - m_0) (\cos(\pi p) + 1) / 2`; a single number is constant.

    Parameters
    ----------
    momentum : float or two floats
        m, or m₀ at the start and m₁ at the end (BYOL: 0.996 and 1).
    progress : float
        p, from 0 to 1.

    Examples
    --------
    >>> momentum_at((0.5, 1.0), 0.0), momentum_at((0.5, 1.0), 0.5), momentum_at((0.5, 1.0), 1.0)
    (0.5, 0.75, 1.0)
    """
    if isinstance(momentum, Sequence):
        start, end = momentum
        return float(end - (end - start) * (math.cos(math.pi * progress) + 1) / 2)
    return float(momentum)


class MomentumEncoder(nn.Module):
    r"""Copies of modules whose weights follow the originals, :math:`\bar w \leftarrow m \bar w + (1 - m) w`.

    They get no gradient, and are in eval mode whatever mode is set: no dropout, and batch normalisation by running
    statistics, which are those of the originals. (The official code of MoCo keeps the copy in train mode and shuffles
    the rows among devices, so that batch statistics give nothing away; running statistics give nothing away either.)

    Parameters
    ----------
    *modules : nn.Module
        What is copied, in the order in which they are applied.

    References
    ----------
    .. [1] He et al., Momentum Contrast for Unsupervised Visual Representation Learning, CVPR 2020, arXiv 1911.05722.

    Examples
    --------
    >>> layer = nn.Linear(1, 1, bias=False)
    >>> _ = layer.weight.data.fill_(0.0)
    >>> follower = MomentumEncoder(layer)
    >>> _ = layer.weight.data.fill_(1.0)
    >>> follower.follow(0.9, layer)
    >>> round(follower.copies[0].weight.item(), 4), follower.train().copies[0].training
    (0.1, False)
    >>> follower(torch.ones(1, 1)).requires_grad
    False
    """

    def __init__(self, *modules: nn.Module) -> None:
        super().__init__()
        self.copies = nn.ModuleList(copy.deepcopy(module) for module in modules).requires_grad_(False).eval()

    @torch.no_grad()
    def forward(self, *inputs: Any) -> Any:
        """Output of the copies, one after the other; the first takes the inputs."""
        first, *others = self.copies
        out = first(*inputs)
        for module in others:
            out = module(out)
        return out

    def train(self, mode: bool = True) -> MomentumEncoder:
        """Stay in eval mode."""
        return super().train(False)

    @torch.no_grad()
    def follow(self, momentum: float, *modules: nn.Module) -> None:
        """Take a step towards the originals; buffers (running statistics) become theirs."""
        for own, original in zip(self.copies, modules, strict=True):
            for slow, weight in zip(own.parameters(), original.parameters(), strict=True):
                slow.lerp_(weight, 1.0 - momentum)
            for kept, buffer in zip(own.buffers(), original.buffers(), strict=True):
                kept.copy_(buffer)
