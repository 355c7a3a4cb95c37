"""The contract of an explainer."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from typing import Any, Self

import torch
from jaxtyping import Float64
from torch import Tensor

from kinview.explanations.samples import ReadSamples
from kinview.parameters import check_parameters

__all__ = ["Explainer"]


class Explainer(ABC):
    """Says how important each observed cell of a sample is to its representation.

    A subclass is a frozen dataclass: its fields are its parameters. It implements :meth:`attribute`; what it learns of
    samples first it learns in :meth:`fit`, on a copy.
    """

    @property
    def fitted(self) -> bool:
        """Whether it has learned what it has to; True of one that learns nothing."""
        return True

    def __post_init__(self) -> None:
        """Check the parameters."""
        check_parameters(self)

    def fit(self, samples: ReadSamples, generator: torch.Generator) -> Self:
        """A copy that has learned of samples and of the model that reads them; most need not and return themselves."""
        return self

    @abstractmethod
    def attribute(self, samples: ReadSamples, generator: torch.Generator) -> Float64[Tensor, "n ..."]:
        """Importance of each cell, in the shape of ``samples.batch.x``; NaN where nothing was observed."""

    def _with(self, **learned: Any) -> Self:
        """Copy with what was learned."""
        twin = copy.copy(self)
        for name, value in learned.items():
            object.__setattr__(twin, name, value)
        return twin
