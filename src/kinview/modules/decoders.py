"""Decoders: from a representation back to the series or the row that it is of."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from kinview.modules.column_perceptrons import ColumnPerceptrons
from kinview.modules.projector import Perceptron

__all__ = ["ColumnDecoder", "StepDecoder", "VectorDecoder", "feature_of_step"]


class VectorDecoder(nn.Module):
    """A perceptron from one vector a sample to values ``(n, outputs)``, or ``(n, channels, length)``.

    Parameters
    ----------
    in_features : int
        Size D of a representation.
    outputs : int or (int, int)
        Number of values, or channels and length of a series.
    hidden_dim : int, optional
        Width of the hidden layers; D by default.
    depth : int, default 2
        Number of linear layers, ReLU between them.

    Raises
    ------
    ValueError
        For a size below 1.

    Examples
    --------
    >>> VectorDecoder(8, (2, 30))(torch.zeros(5, 8)).shape
    torch.Size([5, 2, 30])
    """

    def __init__(
        self, in_features: int, outputs: int | tuple[int, int], hidden_dim: int | None = None, depth: int = 2
    ) -> None:
        super().__init__()
        self.shape = (outputs,) if isinstance(outputs, int) else tuple(outputs)
        total = 1
        for size in self.shape:
            total *= size
        self.layers = Perceptron(hidden_dim=hidden_dim, out_dim=total, depth=depth, batch_norm=False).build(in_features)

    def forward(self, z: Float[Tensor, "n d"]) -> Float[Tensor, "n ..."]:
        """Values of each sample."""
        out: Tensor = self.layers(z)
        return out.reshape(len(z), *self.shape)


class StepDecoder(nn.Module):
    r"""A perceptron from the features over time to the steps that each of them stands for, ``(n, D, T') -> (n, C, T)``.

    In a series of L steps with L' features, step t belongs to the feature :math:`j = \lfloor t L' / L \rfloor` and is
    the one at place :math:`t - \lceil j L / L' \rceil` among its steps; the perceptron makes the values of all of these
    at once. An encoder that keeps every step has one step a feature, a transformer of patches the steps of a patch.

    Parameters
    ----------
    in_features : int
        Size D of a feature.
    channels : int
        Channels C of the series.
    steps : int, default 1
        Largest number of steps that a feature stands for.
    hidden_dim : int, optional
        Width of the hidden layers; D by default.
    depth : int, default 2
        Number of linear layers, ReLU between them.

    Examples
    --------
    >>> decoder = StepDecoder(8, channels=2, steps=4)
    >>> decoder(torch.zeros(5, 8, 3), torch.full((5,), 12), torch.full((5,), 3), 12).shape
    torch.Size([5, 2, 12])
    """

    def __init__(
        self, in_features: int, channels: int, steps: int = 1, hidden_dim: int | None = None, depth: int = 2
    ) -> None:
        super().__init__()
        self.channels, self.steps = channels, steps
        sizes = Perceptron(hidden_dim=hidden_dim, out_dim=channels * steps, depth=depth, batch_norm=False)
        self.layers = sizes.build(in_features)

    def forward(
        self,
        z: Float[Tensor, "n d features"],
        lengths: Int64[Tensor, " n"],
        feature_lengths: Int64[Tensor, " n"],
        total: int,
    ) -> Float[Tensor, "n c t"]:
        """Values at each step.

        Parameters
        ----------
        z : Tensor
            Features ``(n, D, T')``.
        lengths, feature_lengths : Tensor
            Steps L and features L' of each series, ``(n,)``.
        total : int
            Number T of steps to make; what lies beyond the end of a series is of no meaning.
        """
        values: Tensor = self.layers(z.transpose(1, 2))  # (n, T', steps · C)
        last, own = feature_lengths.clamp(1, z.shape[2])[:, None], lengths.clamp_min(1)[:, None]
        step = torch.arange(total, device=z.device)
        feature = feature_of_step(lengths, feature_lengths, z.shape[2], total)
        place = (step + (-feature * own) // last).clamp(0, self.steps - 1)  # minus the ceiling of feature · L / L'
        flat = (feature * self.steps + place)[:, :, None].expand(-1, -1, self.channels)
        return values.reshape(len(z), -1, self.channels).gather(1, flat).transpose(1, 2)


class ColumnDecoder(ColumnPerceptrons):
    """A perceptron for each column from its token to its outputs, side by side: ``(n, columns, D) -> (n, outputs)``.

    Parameters
    ----------
    outputs : sequence of int
        Number of outputs of each column (:func:`kinview.losses.cell_outputs`).
    in_features, hidden_dim : int
        Size D of a token, and width of the hidden layer.

    Examples
    --------
    >>> ColumnDecoder([1, 3], 8, 16)(torch.zeros(5, 2, 8)).shape
    torch.Size([5, 4])
    """

    def __init__(self, outputs: Sequence[int], in_features: int, hidden_dim: int) -> None:
        super().__init__(len(outputs), in_features, hidden_dim, max(outputs))
        self.outputs = tuple(outputs)

    def forward(self, x: Float[Tensor, "n columns d"]) -> Float[Tensor, "n outputs"]:
        """Outputs of all columns; a column has no more of them than it needs."""
        decoded = super().forward(x)
        return torch.cat([decoded[:, column, :size] for column, size in enumerate(self.outputs)], dim=1)


def feature_of_step(
    lengths: Int64[Tensor, " n"], feature_lengths: Int64[Tensor, " n"], features: int, total: int
) -> Int64[Tensor, "n t"]:
    r"""Feature to which each step belongs, :math:`\lfloor t L' / L \rfloor`, the last one beyond the end of a series.

    Parameters
    ----------
    lengths, feature_lengths : Tensor
        Steps L and features L' of each series, ``(n,)``.
    features, total : int
        Number of features and of steps that there are in all.

    Examples
    --------
    >>> feature_of_step(torch.tensor([5]), torch.tensor([2]), 2, 6).tolist()
    [[0, 0, 0, 1, 1, 1]]
    """
    last = feature_lengths.clamp(1, features)[:, None]
    step = torch.arange(total, device=lengths.device)
    return torch.minimum(step * last // lengths.clamp_min(1)[:, None], last - 1)
