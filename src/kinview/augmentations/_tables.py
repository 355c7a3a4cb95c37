"""What the corruptions of tables share: which cells, which columns hold codes, and draws from training marginals."""

from __future__ import annotations

import dataclasses
import math
from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from kinview.augmentations._random import among_largest, integers
from kinview.augmentations.base import Augmentation, Modality
from kinview.data.batch import Batch

if TYPE_CHECKING:
    from kinview.data.table import TableSchema

__all__ = [
    "FittedToColumns",
    "Marginals",
    "check_columns",
    "chosen_cells",
    "column_count",
    "discrete_columns",
    "exactly",
]


def column_count(rate: float, columns: int) -> int:
    """Columns that a rate replaces in a row: ⌊rate · columns⌋, one at least; 0 at rate 0."""
    return 0 if rate == 0 else max(1, math.floor(rate * columns + 1e-9))  # 0.29 · 100 is 28.999… in binary


def exactly(n: int, columns: int, q: int, generator: torch.Generator) -> Float[Tensor, "n columns"]:
    """1 at q columns of each of n rows, every choice equally likely, else 0; on the device of the generator."""
    drawn = torch.rand(n, columns, generator=generator, device=generator.device)
    return among_largest(drawn, torch.full((n,), q, device=drawn.device))


def chosen_cells(x: Tensor, weight: Tensor, replacement: Tensor) -> Tensor:
    """The replacement where the weight is 1, x where it is 0 and where either is missing; all of the type of x."""
    mixed = torch.lerp(x, replacement, weight)  # exact at 0 and 1, and ten times as fast as a choice at random
    if bool(torch.isfinite(mixed.sum())):
        return mixed
    return torch.where((weight > 0) & ~torch.isnan(x) & ~torch.isnan(replacement), replacement, x)


def discrete_columns(batch: Batch, schema: TableSchema | None) -> Bool[Tensor, " columns"]:
    """Columns whose values have nothing in between: categories and booleans. None of them without a schema."""
    columns, device = batch.x.shape[1], batch.x.device
    if schema is None:
        return torch.zeros(columns, dtype=torch.bool, device=device)
    if len(schema.columns) != columns:
        raise ValueError(f"the schema has {len(schema.columns)} columns, the rows have {columns}")
    kinds = [column.kind in ("categorical", "boolean") for column in schema.columns]
    return torch.tensor(kinds, dtype=torch.bool, device=device)


def check_columns(name: str, fitted: Tensor | None, x: Tensor) -> Tensor:
    """Returns what was learned (its last dimension is the columns), on the device of x.

    Raises
    ------
    ValueError
        Before ``fit``, or on another number of columns.
    """
    if fitted is None:
        raise ValueError(f"{name} learns from training rows: call fit(batch, schema) on them first")
    if fitted.shape[-1] != x.shape[1]:
        raise ValueError(f"{name} was fitted on {fitted.shape[-1]} columns; got {x.shape[1]}")
    return fitted.to(x.device)


class FittedToColumns(Augmentation):
    """An augmentation of tables that learns something of each column from training rows."""

    modality: ClassVar[Modality] = "tabular"
    needs: ClassVar[frozenset[str]] = frozenset({"schema"})

    def fit(
        self, batch: Batch, schema: TableSchema | None = None, generator: torch.Generator | None = None
    ) -> FittedToColumns:
        """Learn from training rows; returns a fitted copy."""
        self._check(batch)
        return self._with(**self._learned(batch, schema))

    @abstractmethod
    def _learned(self, batch: Batch, schema: TableSchema | None) -> dict[str, Tensor]:
        """Values of the fitted copy's fields."""


@dataclasses.dataclass(frozen=True)
class Marginals(FittedToColumns):
    """An augmentation that learns the observed training values of every column, each sorted on its own.

    Values are drawn as they are, codes too, so that it needs no schema to know which they are.
    """

    _marginals: Float[Tensor, "rows columns"] | None = dataclasses.field(
        default=None, init=False, repr=False, compare=False
    )
    _counts: Int64[Tensor, " columns"] | None = dataclasses.field(default=None, init=False, repr=False, compare=False)

    def _learned(self, batch: Batch, schema: TableSchema | None) -> dict[str, Tensor]:
        """Observed training values of every column."""
        values, _ = torch.sort(batch.x, dim=0)  # NaN last; sorted apart, no training row can be put together again
        return {"_marginals": values, "_counts": (~torch.isnan(values)).sum(dim=0)}

    def _replaced(self, name: str, x: Tensor, weight: Tensor, generator: torch.Generator) -> Tensor:
        """The cells of weight 1 redrawn, each from the column's training values; gaps and unknown columns stay."""
        marginals = check_columns(name, self._marginals, x)
        counts = self._counts
        assert counts is not None
        # one uniform draw a cell picks the donor row of that cell's own column
        donors = integers(tuple(x.shape), 0, counts.to(generator.device), generator).to(x.device)
        # a column never observed has NaN alone to offer, which replaces nothing
        return chosen_cells(x, weight, marginals.gather(0, donors).to(x.dtype))
