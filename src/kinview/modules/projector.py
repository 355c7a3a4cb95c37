"""The projector between a representation and a contrastive loss."""

from __future__ import annotations

from torch import nn

from kinview.parameters import check_integer

__all__ = ["projector"]


def projector(in_features: int, hidden_dim: int, out_features: int) -> nn.Sequential:
    """Linear layer, batch normalisation, ReLU, linear layer (SimCLR's non-linear projection; TS-TCC's and TF-C's too).

    Raises
    ------
    ValueError
        For a size below 1.

    Examples
    --------
    >>> projector(8, 16, 4)
    Sequential(
      (0): Linear(in_features=8, out_features=16, bias=True)
      (1): BatchNorm1d(16, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)
      (2): ReLU()
      (3): Linear(in_features=16, out_features=4, bias=True)
    )
    """
    for name, size in (("hidden_dim", hidden_dim), ("projection_dim", out_features)):
        check_integer(size, name, at_least=1)
    return nn.Sequential(
        nn.Linear(in_features, hidden_dim), nn.BatchNorm1d(hidden_dim), nn.ReLU(), nn.Linear(hidden_dim, out_features)
    )
