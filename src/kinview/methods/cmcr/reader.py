"""Sides of pairs as fitted models project them."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from kinview.data.batch import Batch
from kinview.data.modality import SERIES, TABLE, Modality
from kinview.data.paired import PairedData, Side
from kinview.data.panel import Panel
from kinview.methods.estimators.model_file import described
from kinview.training.method import Sizes

__all__ = ["ProjectionReader", "memory_of"]


@dataclasses.dataclass(frozen=True, eq=False)
class ProjectionReader:
    """A side that the network is given as a fitted model projects it."""

    model: Any
    side: str
    place: str
    width: int

    @property
    def holds_series(self) -> bool:
        """Whether its samples are series."""
        return bool(self.model._readers[self.model.names_.index(self.side)].holds_series)

    def batch(self, rows: Any) -> Batch:
        """Unit projections of the samples; NaN where nothing was observed."""
        kind: Modality = SERIES if isinstance(rows, Panel) else TABLE
        side = Side(kind, rows, np.arange(len(rows.index)), rows.index)
        return Batch.of(torch.from_numpy(self.model.project({self.side: side}, self.side)))

    def nothing(self, n: int) -> Batch:
        """So many samples of which nothing was observed."""
        return Batch.of(torch.full((n, self.width), torch.nan))

    def sizes(self, rows: int) -> Sizes:
        """Sizes of the projections, a number each."""
        return Sizes(cardinalities=(0,) * self.width, rows=rows)

    def to_config(self) -> dict[str, Any]:
        """Plain data for a model file; the model's tensors stand beside it."""
        facts, _ = self.model.fitted_state()
        of = {"of": described(self.model, facts), "facts": facts}
        return {**of, "side": self.side, "place": self.place, "width": self.width}


def memory_of(model: Any, name: str, pairs: PairedData, place: str) -> Float[Tensor, "m d"]:
    """Projections of the samples with the side that a model does not share."""
    side = pairs.side(name)
    if not side.present.any():
        raise ValueError(f"no sample of {place} has the side {name!r}; the memory of its space is made of these")
    found = torch.from_numpy(model.project({name: side}, name))
    return found[~found.isnan().any(dim=1)]
