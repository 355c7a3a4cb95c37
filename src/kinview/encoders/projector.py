"""The projector between a representation and a contrastive loss."""

from __future__ import annotations

from torch import nn

__all__ = ["projector"]


def projector(in_features: int, hidden_dim: int, out_features: int) -> nn.Sequential:
    """Linear layer, batch normalisation, ReLU, linear layer (SimCLR's non-linear projection; TS-TCC's and TF-C's too).

    Raises
    ------
    ValueError
        For a size below 1.

    Examples
    --------
    >>> [type(layer).__name__ for layer in projector(8, 16, 4)]
    ['Linear', 'BatchNorm1d', 'ReLU', 'Linear']
    """
    for name, size in (("hidden_dim", hidden_dim), ("projection_dim", out_features)):
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise ValueError(f"{name} must be an integer of at least 1; got {size!r}")
    return nn.Sequential(
        nn.Linear(in_features, hidden_dim), nn.BatchNorm1d(hidden_dim), nn.ReLU(), nn.Linear(hidden_dim, out_features)
    )
