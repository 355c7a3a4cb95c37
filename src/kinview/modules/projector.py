"""Small perceptrons on top of a representation: the projector before a loss, the predictor of its targets."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from torch import nn

from kinview.parameters import check_parameters, flag, whole

__all__ = ["Perceptron", "projector"]


@dataclasses.dataclass(frozen=True)
class Perceptron:
    """Sizes of a perceptron: hidden layers of one width with ReLU after each, then a linear layer.

    Parameters
    ----------
    hidden_dim : int, optional
        Width of the hidden layers; that of the input by default.
    out_dim : int, default 128
        Size of the output.
    depth : int, default 2
        Number of linear layers; with 0 the input is the output.
    batch_norm : bool, default True
        Whether a batch normalisation follows each hidden layer.
    bias : bool, default True
        Whether the last layer has a bias.
    last_batch_norm : bool, default False
        Whether a batch normalisation without scale and shift follows the last layer (SimSiam, MoCo v3); with a depth of
        0 it is all there is.

    Raises
    ------
    ValueError
        For a value out of range.

    Examples
    --------
    >>> Perceptron(hidden_dim=16, out_dim=4, batch_norm=False).build(8)
    Sequential(
      (0): Linear(in_features=8, out_features=16, bias=True)
      (1): ReLU()
      (2): Linear(in_features=16, out_features=4, bias=True)
    )
    """

    hidden_dim: int | None = whole(None, low=1)
    out_dim: int = whole(128, low=1)
    depth: int = whole(2, low=0)
    batch_norm: bool = flag(True)
    bias: bool = flag(True)
    last_batch_norm: bool = flag(False)

    def __post_init__(self) -> None:
        check_parameters(self)

    @classmethod
    def of(cls, spec: Any, parameter: str, **defaults: Any) -> Perceptron:
        """Sizes from a mapping, over defaults; a key that does not exist is refused under the parameter's name."""
        if not isinstance(spec, Mapping):
            raise ValueError(f"{parameter} must be a mapping of sizes, such as {{out_dim: 128}}, or None; got {spec!r}")
        known = [field.name for field in dataclasses.fields(cls)]
        unknown = [key for key in spec if key not in known]
        if unknown:
            raise ValueError(f"{parameter} has no size {unknown[0]!r}; it has {', '.join(known)}")
        try:
            return cls(**{**defaults, **spec})
        except ValueError as error:
            raise ValueError(f"{parameter}: {error}") from None

    def build(self, in_features: int) -> nn.Sequential:
        """The layers, for an input of this size."""
        width, hidden = in_features, self.hidden_dim or in_features
        layers: list[nn.Module] = []
        for _ in range(self.depth - 1):
            layers += [nn.Linear(width, hidden), *([nn.BatchNorm1d(hidden)] if self.batch_norm else []), nn.ReLU()]
            width = hidden
        if self.depth:
            layers.append(nn.Linear(width, self.out_dim, bias=self.bias))
            width = self.out_dim
        if self.last_batch_norm:
            layers.append(nn.BatchNorm1d(width, affine=False))
        return nn.Sequential(*layers)


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
    return Perceptron(hidden_dim=hidden_dim, out_dim=out_features).build(in_features)
