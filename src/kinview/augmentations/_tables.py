"""What the corruptions of tables share: which cells, which columns hold codes, and draws from training marginals."""

from __future__ import annotations

import dataclasses
import math
from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from kinview.augmentations import augmentations
from kinview.augmentations._random import among_largest, integers, weights
from kinview.augmentations.base import Augmentation, Modality
from kinview.data.batch import Batch
from kinview.data.sorted_columns import sorted_columns

if TYPE_CHECKING:
    from kinview.data.table import TableSchema

__all__ = [
    "CellCorruption",
    "ExactCorruption",
    "FittedToColumns",
    "Marginals",
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


class CellCorruption(Augmentation):
    """An augmentation of tables that replaces each cell with probability ``corruption_rate``."""

    modality: ClassVar[Modality] = "tabular"
    corruption_rate: float

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Corrupted copy of a table ``(n, columns)``."""
        x, known = batch.x, self._known(batch.x)
        if self._keeps_all(x, known):
            return batch
        weight = self._weight(x, generator)
        return batch.replace(x=chosen_cells(x, weight, self._replacement(batch, known, generator)))

    def _known(self, x: Tensor) -> tuple[Tensor, ...]:
        """What was learned, on the device of x."""
        return ()

    def _keeps_all(self, x: Tensor, known: tuple[Tensor, ...]) -> bool:
        """Whether no cell is replaced, so that nothing is drawn."""
        return self.corruption_rate == 0 or x.shape[1] == 0

    def _weight(self, x: Tensor, generator: torch.Generator) -> Float[Tensor, "n columns"]:
        """1 for the cells to replace, else 0."""
        return weights(tuple(x.shape), self.corruption_rate, generator, x)

    @abstractmethod
    def _replacement(self, batch: Batch, known: tuple[Tensor, ...], generator: torch.Generator) -> Tensor:
        """Values ``(n, columns)`` to take the place of cells; what is missing replaces nothing."""


class FittedToColumns(CellCorruption):
    """A corruption of tables that learns something of each column from training rows.

    What it learns are the fields that its constructor does not take; the last dimension of the first is the columns.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"schema"})

    def fit(
        self, batch: Batch, schema: TableSchema | None = None, generator: torch.Generator | None = None
    ) -> FittedToColumns:
        """Learn from training rows; returns a fitted copy.

        Raises
        ------
        ValueError
            If there is no row.
        """
        self._check(batch)
        if len(batch.x) == 0:
            raise ValueError(f"{self._name} learns from training rows, and these are none: fit it on one row at least")
        return self._with(**self._learned(batch, schema))

    @abstractmethod
    def _learned(self, batch: Batch, schema: TableSchema | None) -> dict[str, Tensor]:
        """Values of the fitted copy's fields."""

    def _known(self, x: Tensor) -> tuple[Tensor, ...]:
        """What was learned, in the order of the fields.

        Raises
        ------
        ValueError
            Before ``fit``, or on another number of columns.
        """
        fields = dataclasses.fields(self)  # type: ignore[arg-type]  # every subclass is a dataclass
        known = [getattr(self, field.name) for field in fields if not field.init]
        if known[0] is None:
            raise ValueError(f"{self._name} learns from training rows: call fit(batch, schema) on them first")
        if known[0].shape[-1] != x.shape[1]:
            raise ValueError(f"{self._name} was fitted on {known[0].shape[-1]} columns; got {x.shape[1]}")
        return tuple(value.to(x.device) for value in known)

    @property
    def _name(self) -> str:
        """Name under which it, or what it derives from, is registered."""
        names = {entry.target: entry.name for entry in augmentations.imported()}
        return next((names[kind] for kind in type(self).__mro__ if kind in names), type(self).__name__)


class ExactCorruption(FittedToColumns):
    """One that replaces the same number of cells, q = max(1, ⌊rate · columns⌋), in every row."""

    def _weight(self, x: Tensor, generator: torch.Generator) -> Float[Tensor, "n columns"]:
        n, columns = x.shape
        return exactly(n, columns, column_count(self.corruption_rate, columns), generator).to(x)


@dataclasses.dataclass(frozen=True)
class Marginals(FittedToColumns):
    """A corruption that draws from the observed training values of every column, each sorted on its own.

    Values are drawn as they are, codes too, so that it needs no schema to know which they are.
    """

    _marginals: Float[Tensor, "rows columns"] | None = dataclasses.field(
        default=None, init=False, repr=False, compare=False
    )
    _counts: Int64[Tensor, " columns"] | None = dataclasses.field(default=None, init=False, repr=False, compare=False)

    def _learned(self, batch: Batch, schema: TableSchema | None) -> dict[str, Tensor]:
        """Observed training values of every column."""
        values = sorted_columns(batch.x)  # NaN last; sorted apart, no training row can be put together again
        return {"_marginals": values, "_counts": (~torch.isnan(values)).sum(dim=0)}

    def _replacement(self, batch: Batch, known: tuple[Tensor, ...], generator: torch.Generator) -> Tensor:
        marginals, counts = known
        # one uniform draw a cell picks the donor row of that cell's own column
        donors = integers(tuple(batch.x.shape), 0, counts.to(generator.device), generator).to(batch.x.device)
        # a column never observed has NaN alone to offer, which replaces nothing
        return marginals.gather(0, donors).to(batch.x.dtype)
