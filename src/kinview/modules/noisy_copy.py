"""A network with noise on its weights: another view of the same samples, without changing them."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import nn

__all__ = ["noisy_copy"]

_Module = TypeVar("_Module", bound=nn.Module)


@torch.no_grad()
def noisy_copy(module: _Module, scale: float, generator: torch.Generator) -> _Module:
    r"""Copy of a module with Gaussian noise on its weights: :math:`\theta' = \theta + \eta\, \epsilon`.

    .. math:: \epsilon \sim N(0, s_\theta^2), \quad s_\theta\ \text{the standard deviation of the tensor's entries}

    Parameters
    ----------
    module : nn.Module
        It stays as it is; the copy is in its mode, and needs no gradient.
    scale : float
        η. 0 gives a plain copy.
    generator : torch.Generator
        Source of the noise, on the CPU.

    Notes
    -----
    A tensor whose entries are all alike (weights and biases of a normalisation at first), or of one entry, is copied as
    it is: it has no spread to go by.

    References
    ----------
    .. [1] Xia, Wu, Chen, Hu, Li: SimGRACE, WWW 2022, arXiv 2202.03104.

    Examples
    --------
    >>> layer = nn.Linear(3, 2)
    >>> torch.equal(noisy_copy(layer, 0.0, torch.Generator()).weight, layer.weight)
    True
    """
    noisy = copy.deepcopy(module).requires_grad_(False)
    for weight in noisy.parameters():
        if weight.numel() > 1:
            drawn = torch.randn(weight.shape, generator=generator, dtype=weight.dtype)
            weight.add_(drawn.to(weight.device) * (scale * weight.std()))
    return noisy
