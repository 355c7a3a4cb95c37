"""A perceptron for each column of a table, all computed at once."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["ColumnPerceptrons"]


class ColumnPerceptrons(nn.Module):
    r"""One hidden layer with ReLU and a linear layer for each column, with weights of its own.

    .. math:: y_{ij} = W^{(2)}_j \max(0, W^{(1)}_j x_{ij} + b^{(1)}_j) + b^{(2)}_j

    Parameters
    ----------
    columns : int
        Number of columns F.
    in_features, hidden_dim, out_features : int
        Sizes of each perceptron.

    Notes
    -----
    Shapes: ``(n, F, in_features) -> (n, F, out_features)``. Initial weights are uniform on ±1/√(inputs), as those of
    ``nn.Linear``.

    Examples
    --------
    >>> ColumnPerceptrons(3, 1, 16, 8)(torch.zeros(5, 3, 1)).shape
    torch.Size([5, 3, 8])
    """

    def __init__(self, columns: int, in_features: int, hidden_dim: int, out_features: int) -> None:
        super().__init__()
        self.hidden_weight = _uniform(columns, in_features, hidden_dim)
        self.hidden_bias = _uniform(columns, hidden_dim, inputs=in_features)
        self.out_weight = _uniform(columns, hidden_dim, out_features)
        self.out_bias = _uniform(columns, out_features, inputs=hidden_dim)

    def forward(self, x: Float[Tensor, "n columns inner"]) -> Float[Tensor, "n columns outer"]:
        """Outputs of each column's perceptron."""
        columns_first = x.transpose(0, 1)  # (F, n, in)
        hidden = F.relu(torch.baddbmm(self.hidden_bias[:, None], columns_first, self.hidden_weight))
        return torch.baddbmm(self.out_bias[:, None], hidden, self.out_weight).transpose(0, 1)


def _uniform(*shape: int, inputs: int | None = None) -> nn.Parameter:
    bound = (shape[1] if inputs is None else inputs) ** -0.5
    return nn.Parameter(nn.init.uniform_(torch.empty(*shape), -bound, bound))
