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
from kinview.methods.estimators.side_readers import ModelReader

__all__ = ["ProjectionReader", "memory_of"]


@dataclasses.dataclass(frozen=True, eq=False)
class ProjectionReader(ModelReader):
    """A side that the network is given as a fitted model of pairs projects it."""

    side: str

    @property
    def holds_series(self) -> bool:
        """Whether its samples are series."""
        return bool(self.model.reader_of(self.side).holds_series)

    def batch(self, rows: Any) -> Batch:
        """Unit projections of the samples; NaN where nothing was observed."""
        kind: Modality = SERIES if isinstance(rows, Panel) else TABLE
        side = Side(kind, rows, np.arange(len(rows.index)), rows.index)
        return Batch.of(torch.from_numpy(self.model.project({self.side: side}, self.side)))

    def to_config(self) -> dict[str, Any]:
        """Plain data for a model file."""
        return {**super().to_config(), "side": self.side, "place": self.place}


def memory_of(model: Any, name: str, pairs: PairedData, place: str) -> Float[Tensor, "m d"]:
    """Projections of the samples with the side that a model does not share."""
    side = pairs.side(name)
    if not side.present.any():
        raise ValueError(f"no sample of {place} has the side {name!r}; the memory of its space is made of these")
    found = torch.from_numpy(model.project({name: side}, name))
    return found[~found.isnan().any(dim=1)]
