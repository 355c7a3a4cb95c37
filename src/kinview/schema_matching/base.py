"""The contract of a matcher."""

from __future__ import annotations

import abc
import dataclasses
from typing import ClassVar

from jaxtyping import Float64
from numpy import ndarray

from kinview.parameters import check_parameters
from kinview.schema_matching.tables import TwoTables

__all__ = ["Matcher"]


@dataclasses.dataclass(frozen=True)
class Matcher(abc.ABC):
    """A way of saying how alike a column of one table and a column of the other are.

    Attributes
    ----------
    needs_mapped : bool
        Whether it needs columns of which it is known what they are in the other table.
    reads_categories : bool
        Whether it compares columns of categories; those that it does not read are refused by name.
    """

    needs_mapped: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Check the parameters; a subclass that overrides this calls it first."""
        check_parameters(self)

    @property
    def reads_categories(self) -> bool:
        """Whether columns of categories are compared; no by default."""
        return False

    @abc.abstractmethod
    def similarity(self, tables: TwoTables, seed: int) -> Float64[ndarray, "a b"]:
        """Similarity of each unknown column of A with each of B, finite; equal columns have the highest."""
