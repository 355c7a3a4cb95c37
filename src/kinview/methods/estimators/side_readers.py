"""What is known of each side of pairs since fit, and reads its samples for a network."""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol, runtime_checkable

import pandas as pd
import torch
from torch import Tensor

from kinview.data.batch import Batch
from kinview.data.panel import Panel, TimeUnit, with_channels
from kinview.data.scaling import Scaler, fit_scaler
from kinview.data.table import TableSchema
from kinview.methods.estimators.model_file import inner_state
from kinview.training.method import Sizes

__all__ = ["ModelReader", "SeriesReader", "SideReader", "TableReader", "reader_from"]

_LONGEST = 2**22  # steps of the series that a model in a file was fitted to


@runtime_checkable
class SideReader(Protocol):
    """What is known of a side since fit, and reads its samples for the network."""

    @property
    def holds_series(self) -> bool:
        """Whether its samples are series."""

    def batch(self, rows: Any) -> Batch:
        """Samples that have the side, as the network takes them."""

    def nothing(self, n: int) -> Batch:
        """So many samples of which nothing was observed."""

    def sizes(self, rows: int) -> Sizes:
        """Sizes of what the network is given."""

    def to_config(self) -> dict[str, Any]:
        """Plain data for a model file."""


@dataclasses.dataclass(frozen=True)
class SeriesReader:
    """What is known of a side of series since fit: its channels, their scales, the unit of its time stamps."""

    channels: tuple[str, ...]
    scaler: Scaler
    time_unit: TimeUnit | None
    length: int

    @property
    def holds_series(self) -> bool:
        """Whether its samples are series."""
        return True

    @classmethod
    def fit(cls, panel: Panel, scaling: Any) -> SeriesReader:
        """Learn it of training samples."""
        x = panel.batch.x
        return cls(panel.channels, fit_scaler(x, scaling), panel.time_unit, x.shape[2])

    def batch(self, rows: Panel) -> Batch:
        """Series with the channels of fit, scaled."""
        rows = with_channels(rows, self.channels)
        return rows.batch.replace(x=self.scaler.apply(rows.batch.x), groups=None)

    def nothing(self, n: int) -> Batch:
        """So many series of which nothing was observed."""
        # one row for all, so that no memory is taken for a length that a file merely claims
        times = None
        if self.time_unit is not None:
            times = torch.full((1, self.length), torch.nan, dtype=torch.float64).expand(n, -1)
        return Batch.of(torch.full((1, len(self.channels), self.length), torch.nan).expand(n, -1, -1), times=times)

    def sizes(self, rows: int) -> Sizes:
        """Sizes of what the network is given."""
        return Sizes(channels=len(self.channels), length=self.length, rows=rows)

    def to_config(self) -> dict[str, Any]:
        """Plain data for a model file."""
        return {
            "channels": list(self.channels), "scaler": self.scaler.to_config(), "time_unit": self.time_unit,
            "length": self.length,
        }  # fmt: skip


@dataclasses.dataclass(frozen=True)
class TableReader:
    """What is known of a side of tables since fit: its columns."""

    schema: TableSchema

    @property
    def holds_series(self) -> bool:
        """Whether its samples are series."""
        return False

    @classmethod
    def fit(cls, rows: pd.DataFrame, text: Any, scaling: Any) -> TableReader:
        """Learn it of training samples."""
        return cls(TableSchema.fit(rows, text=text, scaling=scaling))

    def batch(self, rows: pd.DataFrame) -> Batch:
        """Rows with the columns of fit, encoded."""
        return self.schema.to_batch(rows)

    def nothing(self, n: int) -> Batch:
        """So many rows of which nothing was observed."""
        return Batch.of(torch.full((n, len(self.schema.columns)), torch.nan))

    def sizes(self, rows: int) -> Sizes:
        """Sizes of what the network is given."""
        return Sizes(cardinalities=self.schema.cardinalities, rows=rows)

    def to_config(self) -> dict[str, Any]:
        """Plain data for a model file."""
        return {"schema": self.schema.to_config()}


@dataclasses.dataclass(frozen=True, eq=False)
class ModelReader:
    """A side that the network is given as a fitted model says it, which stays as it is.

    A subclass asks the model, in ``batch``.

    Parameters
    ----------
    model : estimator
        Fitted.
    width : int
        Numbers that it makes of a sample.
    place : str
        What the names of its tensors begin with in a model file.
    """

    model: Any
    width: int
    place: str

    def nothing(self, n: int) -> Batch:
        """So many samples of which nothing was observed."""
        return Batch.of(torch.full((n, self.width), torch.nan))

    def sizes(self, rows: int) -> Sizes:
        """Sizes of what the model says: a column a number."""
        return Sizes(cardinalities=(0,) * self.width, rows=rows)

    def to_config(self) -> dict[str, Any]:
        """Plain data for a model file."""
        return {**inner_state(self.model)[0], "width": self.width}

    def tensors(self) -> dict[str, Tensor]:
        """Tensors of the model for a model file."""
        return inner_state(self.model, f"{self.place}/")[1]


def reader_from(config: dict[str, Any]) -> SideReader:
    """Inverse of ``to_config`` of readers of series and of tables.

    Raises
    ------
    ValueError
        For a length that no series has.
    """
    if "schema" in config:
        return TableReader(TableSchema.from_config(config["schema"]))
    length = config["length"]
    if not isinstance(length, int) or not 0 < length <= _LONGEST:
        raise ValueError(f"its series are said to be of {length!r} steps; at most {_LONGEST:,}")
    return SeriesReader(tuple(config["channels"]), Scaler.from_config(config["scaler"]), config["time_unit"], length)
