"""Multi-layer perceptron for tables, with its own front-end for categories and missing cells."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from kinview.encoders import encoders
from kinview.encoders.base import TableEncoder
from kinview.encoders.numerical_embedding import NumericalEmbedding

__all__ = ["MLPEncoder", "TableFrontEnd", "mlp"]


class TableFrontEnd(nn.Module):
    """Cells to features: numbers as they are, categories one-hot, and one missing indicator a column.

    A missing number is 0 (the column's training mean), a missing category is all zeros, and so is an unseen one (code
    0): the indicator tells them apart.

    Parameters
    ----------
    cardinalities : sequence of int
        For each column the number of codes (with the code 0 of unseen categories), or 0 where it is a number.
    numbers : NumericalEmbedding, optional
        Makes a vector of each number, which takes its place; that of a missing one is zero.

    Examples
    --------
    >>> front = TableFrontEnd([0, 3])
    >>> front(torch.tensor([[1.5, 2.0], [float("nan"), 0.0]])).tolist()
    [[1.5, 0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0, 0.0]]
    """

    numeric: Tensor
    categorical: Tensor

    def __init__(self, cardinalities: Sequence[int], numbers: NumericalEmbedding | None = None) -> None:
        super().__init__()
        self.numbers = numbers
        self.cardinalities = tuple(cardinalities)
        columns = range(len(self.cardinalities))
        self.register_buffer(
            "numeric", torch.tensor([j for j in columns if self.cardinalities[j] == 0], dtype=torch.int64), False
        )
        self.register_buffer(
            "categorical", torch.tensor([j for j in columns if self.cardinalities[j] > 0], dtype=torch.int64), False
        )
        of_number = 1 if numbers is None else numbers.dim
        self.out_features = sum(max(1, size - 1) if size else of_number for size in self.cardinalities) + len(
            self.cardinalities
        )

    def learn(self, x: Float[Tensor, "n columns"]) -> None:
        """Learn what the vectors of numbers rest on, of training rows ``(n, columns)``."""
        numbers = self._modules.get("numbers")
        if isinstance(numbers, NumericalEmbedding):
            numbers.learn(x[:, self.numeric])

    def forward(self, x: Float[Tensor, "n columns"]) -> Float[Tensor, "n features"]:
        """Encode ``(n, columns)`` with NaN and codes as ``(n, features)`` without NaN."""
        missing = torch.isnan(x)
        filled = torch.where(missing, torch.zeros((), dtype=x.dtype, device=x.device), x)
        parts = [filled[:, self.numeric]]
        numbers = self._modules.get("numbers")  # pickles of earlier versions know none
        if numbers is not None:
            vectors = numbers(parts[0]).masked_fill(missing[:, self.numeric, None], 0)
            parts = [vectors.flatten(1)]  # (n, numbers · dim)
        for column in self.categorical.tolist():
            size = max(2, self.cardinalities[column])
            parts.append(F.one_hot(filled[:, column].long(), size)[:, 1:].to(x.dtype))
        return torch.cat([*parts, missing.to(x.dtype)], dim=1)


@encoders.register("mlp", modality="tabular", reference="Bahri et al., SCARF, ICLR 2022")
class MLPEncoder(TableEncoder):
    """Table front-end and a multi-layer perceptron with ReLU after every layer.

    Parameters
    ----------
    cardinalities : sequence of int
        See :class:`TableFrontEnd`.
    hidden_dim : int, default 256
        Width of every layer; the last one's output is the representation (SCARF).
    depth : int, default 4
        Number of layers (SCARF).

    Notes
    -----
    Shapes: ``(n, columns) -> (n, hidden_dim)``. No normalisation layer, so rows are independent in every mode.
    """

    def __init__(self, cardinalities: Sequence[int], hidden_dim: int = 256, depth: int = 4) -> None:
        super().__init__(cardinalities, {"hidden_dim": hidden_dim, "depth": depth})
        self.front_end = TableFrontEnd(cardinalities)
        self.repr_dim = hidden_dim
        self.layers = mlp(self.front_end.out_features, hidden_dim, depth, last_activation=True)

    def forward(self, x: Float[Tensor, "n columns"]) -> Float[Tensor, "n d"]:
        """Representations ``(n, hidden_dim)``."""
        out: Tensor = self.layers(self.front_end(x))
        return out


def mlp(in_features: int, width: int, depth: int, *, last_activation: bool) -> nn.Sequential:
    """``depth`` linear layers of one width with ReLU between them (and after the last, if asked)."""
    layers: list[nn.Module] = []
    for i in range(depth):
        layers.append(nn.Linear(in_features if i == 0 else width, width))
        if i < depth - 1 or last_activation:
            layers.append(nn.ReLU())
    return nn.Sequential(*layers)
