"""Cells at a chance replaced by a uniform draw between the extremes of their column."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from kinview.augmentations import augmentations
from kinview.augmentations._random import integers, uniform
from kinview.augmentations._tables import FittedToColumns, discrete_columns
from kinview.data.batch import Batch
from kinview.data.sorted_columns import sorted_columns
from kinview.parameters import real

if TYPE_CHECKING:
    from kinview.data.table import TableSchema

__all__ = ["UniformRange"]


@augmentations.register("uniform_range", modality="tabular", family="tables", reference="clabrugere/pytorch-scarf")
@dataclasses.dataclass(frozen=True)
class UniformRange(FittedToColumns):
    r"""Replace each cell with probability p by a uniform draw between the extremes of its column in training.

    .. math:: v_{ij} = (1 - m_{ij})\,x_{ij} + m_{ij}\,u_{ij}, \quad m_{ij} \sim \mathrm{Bernoulli}(p),\
              u_{ij} \sim U(\min_j, \max_j)

    A category or boolean is drawn uniformly from the different values seen in training. Missing cells stay missing, and
    a column never observed in training stays as it is.

    Parameters
    ----------
    corruption_rate : float, default 0.6
        p (the rate of SCARF, which pytorch-scarf re-implements). 0 is the identity.

    Notes
    -----
    The distribution of pytorch-scarf; SCARF itself draws from the marginal (``column_corruption``), which is another
    thing as soon as a column has a tail. That code replaces a fraction 1 − p, by a slip of sign that is not repeated
    here, and knows no categories. ``fit(batch, schema)`` learns the extremes and which columns hold codes; without a
    schema every column is taken as a number.

    Raises
    ------
    ValueError
        When called before ``fit``, or on another number of columns.

    References
    ----------
    .. [1] https://github.com/clabrugere/pytorch-scarf

    Examples
    --------
    >>> spread = UniformRange(1.0).fit(Batch.of(torch.tensor([[0.0, 10.0], [1.0, 30.0]])))
    >>> view = spread(torch.zeros(1000, 2), torch.Generator().manual_seed(0))
    >>> bool((view[:, 0] <= 1).all()), bool((view[:, 1] >= 10).all())
    (True, True)
    """

    corruption_rate: float = real(0.6, low=0, high=1, neutral=0)
    _range: Float[Tensor, "2 columns"] | None = dataclasses.field(default=None, init=False, repr=False, compare=False)
    _values: Float[Tensor, "values columns"] | None = dataclasses.field(
        default=None, init=False, repr=False, compare=False
    )
    _counts: Int64[Tensor, " columns"] | None = dataclasses.field(default=None, init=False, repr=False, compare=False)
    _discrete: Bool[Tensor, " columns"] | None = dataclasses.field(default=None, init=False, repr=False, compare=False)

    def _learned(self, batch: Batch, schema: TableSchema | None) -> dict[str, Tensor]:
        """Extremes of each number and values of each code column."""
        x, discrete = batch.x, discrete_columns(batch, schema)
        ends = x.new_full((2, x.shape[1]), torch.nan)
        if len(x):
            missing = torch.isnan(x)
            ends[0] = x.masked_fill(missing, torch.inf).amin(dim=0)
            ends[1] = x.masked_fill(missing, -torch.inf).amax(dim=0)
            ends = ends.masked_fill(missing.all(dim=0), torch.nan)
        values, counts = _distinct(x.masked_fill(~discrete, torch.nan))
        return {"_range": ends, "_values": values, "_counts": counts, "_discrete": discrete}

    def _replacement(self, batch: Batch, known: tuple[Tensor, ...], generator: torch.Generator) -> Tensor:
        x = batch.x
        ends, values, counts, discrete = known
        low, high = ends.to(x.dtype).unbind()
        drawn = torch.lerp(low, high, uniform(tuple(x.shape), generator, x))
        if len(values) == 0:
            return drawn
        pick = integers(tuple(x.shape), 0, counts.to(generator.device), generator).to(x.device)
        return torch.where(discrete, values.to(x.dtype).gather(0, pick), drawn)


def _distinct(x: Tensor) -> tuple[Tensor, Tensor]:
    """Different observed values of each column in front, ``(most, columns)``, and how many there are."""
    if len(x) == 0:
        return x, torch.zeros(x.shape[1], dtype=torch.int64, device=x.device)
    values = sorted_columns(x)
    repeated = torch.zeros_like(values, dtype=torch.bool)
    repeated[1:] = values[1:] == values[:-1]
    values = sorted_columns(values.masked_fill(repeated, torch.nan))
    counts = (~torch.isnan(values)).sum(dim=0)
    return values[: int(counts.max()) if len(counts) else 0], counts
