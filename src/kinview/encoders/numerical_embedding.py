"""Numbers of a table as vectors: piecewise linear, periodic, or by a perceptron, with weights for each column."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from scipy.special import ndtri
from torch import Tensor, nn

from kinview.data.scaling_rules import quantile_knots
from kinview.modules.column_perceptrons import ColumnPerceptrons
from kinview.parameters import check_integer, check_positive

__all__ = ["NumericalEmbedding", "NumericalKind", "embedding_of"]

NumericalKind = Literal["piecewise_linear", "periodic", "perceptron"]
"""Forms of :class:`NumericalEmbedding`."""

_PERCEPTRON_WIDTH = 100  # SAINT's official code


class NumericalEmbedding(nn.Module):
    r"""Vectors of numbers, ``(n, F) -> (n, F, dim)``, by a function of its own for each of F columns.

    *Piecewise linear*: with bins :math:`b_0 < b_1 < \dots < b_T` between quantiles of the column's training values,

    .. math:: e_t(x) = \begin{cases} 0 & x < b_{t-1},\; t > 1 \\ 1 & x \ge b_t,\; t < T \\
              (x - b_{t-1}) / (b_t - b_{t-1}) & \text{otherwise} \end{cases}

    and the vector is a linear map of :math:`(e_1, \dots, e_T)`. *Periodic*: :math:`v = (\sin 2 \pi c_1 x, \cos 2 \pi
    c_1 x, \dots, \cos 2 \pi c_k x)` with learned frequencies, at first :math:`c \sim N(0, \sigma^2)`; the vector is
    :math:`\max(0, W v + b)`. *Perceptron*: two linear layers with ReLU between them, the hidden one 100 wide (SAINT).

    Parameters
    ----------
    columns : int
        Number of columns F.
    dim : int
        Size of a vector.
    kind : {"piecewise_linear", "periodic", "perceptron"}
        Which of these.
    bins : int, default 48
        T, at most (rtdl_num_embeddings, recalled). A column has no more than its training rows over 5, less one.
    frequencies : int, default 48
        k (rtdl_num_embeddings, recalled).
    frequency_scale : float, default 0.01
        σ (rtdl_num_embeddings, recalled).

    Raises
    ------
    ValueError
        If there is no such ``kind``, ``bins`` or ``frequencies`` is no whole number from 1, or ``frequency_scale``
        is not above 0.

    Notes
    -----
    Numbers are standardised by the schema of the table; a missing one is the caller's to replace. Until :meth:`learn`,
    and for a column with fewer than 5 training values or one single value, the bins are between quantiles of the
    standard normal distribution. The outermost bins go on beyond their edges, as in the paper; the edges themselves
    are quantiles at :math:`(k - 1/2)/K`, so that none is the value of a single row.

    References
    ----------
    .. [1] Gorishniy, Rubachev, Babenko: On Embeddings for Numerical Features in Tabular Deep Learning, NeurIPS 2022,
       arXiv 2203.05556.
    .. [2] Somepalli et al., SAINT, 2021, arXiv 2106.01342.

    Examples
    --------
    >>> embedding = NumericalEmbedding(2, 8, "piecewise_linear", bins=4)
    >>> embedding.learn(torch.arange(82.0).reshape(41, 2))
    >>> embedding(torch.zeros(5, 2)).shape
    torch.Size([5, 2, 8])
    >>> embedding.edges[0].tolist()  # of 0, 2, ..., 80
    [8.0, 24.0, 40.0, 56.0, 72.0]
    """

    edges: Tensor

    def __init__(
        self,
        columns: int,
        dim: int,
        kind: NumericalKind,
        bins: int = 48,
        frequencies: int = 48,
        frequency_scale: float = 0.01,
    ) -> None:
        super().__init__()
        if kind not in get_args(NumericalKind):
            raise ValueError(f"kind must be {', '.join(map(repr, get_args(NumericalKind)))}; got {kind!r}")
        check_integer(bins, "bins", at_least=1)
        check_integer(frequencies, "frequencies", at_least=1)
        check_positive(frequency_scale, "frequency_scale")
        self.kind, self.dim = kind, dim
        if kind == "perceptron":
            self.perceptrons = ColumnPerceptrons(columns, 1, _PERCEPTRON_WIDTH, dim)
            return
        inputs = bins if kind == "piecewise_linear" else 2 * frequencies
        if kind == "piecewise_linear":
            normal = [float(ndtri((k + 0.5) / (bins + 1))) for k in range(bins + 1)]
            self.register_buffer("edges", torch.tensor([normal] * columns).reshape(columns, bins + 1))
        else:
            self.frequencies = nn.Parameter(nn.init.normal_(torch.empty(columns, frequencies), std=frequency_scale))
        bound = inputs**-0.5
        self.weight = nn.Parameter(nn.init.uniform_(torch.empty(columns, inputs, dim), -bound, bound))
        self.bias = nn.Parameter(nn.init.uniform_(torch.empty(columns, dim), -bound, bound))

    @torch.no_grad()
    def learn(self, x: Float[Tensor, "n columns"]) -> None:
        """Learn the bins of training values ``(n, F)``, NaN where one is missing; the other kinds learn none."""
        if self.kind != "piecewise_linear":
            return
        for column, values in enumerate(x.double().cpu().numpy().T):
            observed = values[~np.isnan(values)]
            knots = quantile_knots(observed, len(observed), most=self.edges.shape[1])
            if knots is None:
                continue
            knots = np.unique(knots.astype(np.float32))  # as the edges are: two that are one there bound no bin
            if len(knots) < 2:
                continue
            padded = np.concatenate([knots, np.full(self.edges.shape[1] - len(knots), knots[-1])])
            self.edges[column] = torch.from_numpy(padded).to(self.edges)

    def forward(self, x: Float[Tensor, "n columns"]) -> Float[Tensor, "n columns dim"]:
        """Vectors of numbers without NaN."""
        if self.kind == "perceptron":
            out: Tensor = self.perceptrons(x[:, :, None])
            return out
        if self.kind == "piecewise_linear":
            return self._linear(self.encoded(x))
        angles = 2 * math.pi * x[:, :, None] * self.frequencies
        return F.relu(self._linear(torch.cat([angles.sin(), angles.cos()], dim=2)))

    def encoded(self, x: Float[Tensor, "n columns"]) -> Float[Tensor, "n columns bins"]:
        """Piecewise linear encoding e of numbers; 0 in the bins that a column does not have."""
        low, width = self.edges[:, :-1], self.edges.diff(dim=1)
        real = width > 0
        place = (x[:, :, None] - low) / torch.where(real, width, 1)
        first = torch.arange(width.shape[1], device=x.device) == 0
        last = torch.arange(width.shape[1], device=x.device) == real.sum(dim=1, keepdim=True) - 1  # padding is behind
        inside = torch.where(first, place, place.clamp_min(0))
        return torch.where(real, torch.where(last, inside, inside.clamp_max(1)), 0)

    def _linear(self, features: Tensor) -> Tensor:
        return torch.baddbmm(self.bias[:, None], features.transpose(0, 1), self.weight).transpose(0, 1)


def embedding_of(
    cardinalities: Sequence[int], dim: int, kind: str, plain: str, bins: int, frequencies: int, frequency_scale: float
) -> NumericalEmbedding | None:
    """Embedding that an encoder's parameter ``numerical_embedding`` describes; None for that which it has without one.

    Parameters
    ----------
    cardinalities : sequence of int
        See :class:`kinview.encoders.TableFrontEnd`.
    dim : int
        Size of a vector.
    kind : str
        "piecewise_linear", "periodic", or the name that the encoder has for none.
    plain : str
        That name.
    bins, frequencies, frequency_scale : int, int, float
        See :class:`NumericalEmbedding`.

    Raises
    ------
    ValueError
        For another kind.
    """
    if kind not in (plain, "piecewise_linear", "periodic"):
        raise ValueError(f"numerical_embedding must be {plain!r}, 'piecewise_linear' or 'periodic'; got {kind!r}")
    numbers = sum(size == 0 for size in cardinalities)
    if kind == plain or not numbers:
        check_positive(frequency_scale, "frequency_scale")
        return None
    chosen: NumericalKind = "periodic" if kind == "periodic" else "piecewise_linear"
    return NumericalEmbedding(numbers, dim, chosen, bins, frequencies, frequency_scale)
