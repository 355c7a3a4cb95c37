"""Sides of samples that are known in two ways: one is a panel of series, or the rows of a table."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Int64

from kinview.data.alignment import says_nothing
from kinview.data.modality import SERIES, TABLE, Modality, modality_of
from kinview.data.paired_alignment import GivenSide, check_names, listed
from kinview.data.panel import Panel, read_panel
from kinview.data.table import named_columns

__all__ = ["Side", "named_sides", "read_side"]

_KINDS: dict[str, Modality] = {"series": SERIES, "table": TABLE}  # what these names say that a side holds
_USUAL = {SERIES: "series", TABLE: "table"}  # names of sides that were given without any


@dataclasses.dataclass(frozen=True, eq=False)
class Side:
    """One way in which samples are known.

    Parameters
    ----------
    modality : {"time_series", "tabular"} or None
        What it holds; None where no sample has it.
    data : Panel, DataFrame or None
        The samples that were read.
    place : ndarray (n,)
        Where each sample of the sequence stands in ``data``; -1 where it lacks this side.
    index : Index
        Name of each sample of the sequence.
    """

    modality: Modality | None
    data: Panel | pd.DataFrame | None
    place: Int64[np.ndarray, " n"]
    index: pd.Index

    @property
    def present(self) -> Bool[np.ndarray, " n"]:
        """Which samples have it."""
        there: np.ndarray = self.place >= 0
        return there

    @property
    def features(self) -> tuple[str, ...]:
        """Names of channels or columns."""
        if self.data is None:
            return ()
        return self.data.channels if isinstance(self.data, Panel) else tuple(map(str, self.data.columns))

    def rows(self) -> Panel | pd.DataFrame:
        """The samples that have it, in their order in the sequence.

        Raises
        ------
        ValueError
            If none has it.
        """
        places = self.place[self.present]
        if self.data is None or not len(places):
            raise ValueError("no sample has this side")
        if isinstance(self.data, Panel):
            rows = self.data.batch.rows(torch.from_numpy(places))
            return dataclasses.replace(self.data, batch=rows, index=self.index[self.present])
        frame: pd.DataFrame = self.data.iloc[places]
        return frame.set_axis(self.index[self.present], axis=0)

    def taken(self, i: Any) -> Side:
        """The side of some samples."""
        return dataclasses.replace(self, place=self.place[i], index=self.index[i])

    def alone(self) -> Side:
        """The same, holding what its own samples have and nothing of others."""
        if self.data is None or not self.present.any():
            return dataclasses.replace(self, data=None, place=np.full(len(self.place), -1))
        place = np.where(self.present, np.cumsum(self.present) - 1, -1)
        return dataclasses.replace(self, data=self.rows(), place=place)


def named_sides(first: Any, second: Any, sides: Mapping[str, Any]) -> dict[str, Any]:
    """The two sides by name."""
    if isinstance(first, Mapping) and second is None and not sides:
        given = {str(name): X for name, X in first.items()}
    elif sides and first is None and second is None:
        given = dict(sides)
    elif not sides and first is not None and second is not None:
        kinds = modality_of(first), modality_of(second)
        names = tuple(_USUAL[kind] for kind in kinds) if kinds[0] != kinds[1] else ("first", "second")
        given = dict(zip(names, (first, second), strict=True))
    else:
        raise ValueError("give both sides by name, PairedData(series=..., table=...), or both without names")
    if "both" in given:
        raise ValueError("a side cannot be called 'both', which is how both are asked for; give it another name")
    if len(given) != 2:
        raise ValueError(f"a pair has two sides; got {listed(given) or 'none'}")
    if all(X is None for X in given.values()):
        raise ValueError(f"neither side ({listed(given)}) holds a sample")
    return given


def read_side(name: str, X: Any) -> GivenSide:
    """What was given as a side of this name, or a side of other pairs; None holds no sample."""
    if X is None:
        return GivenSide(None, None, None, False, np.zeros(0, dtype=bool))
    try:
        if isinstance(X, Side):  # of other pairs
            rows: Any = X.rows()
            modality: Modality = SERIES if isinstance(rows, Panel) else TABLE
        else:
            modality = _KINDS.get(name) or modality_of(X)
            rows = read_panel(X, dtype=torch.float64) if modality == SERIES else named_columns(X)
    except (TypeError, ValueError) as error:
        raise type(error)(f"the side {name!r}: {error}") from error
    if isinstance(rows, Panel):
        observed = (~torch.isnan(rows.batch.x)).flatten(1).any(dim=1).numpy()
    else:
        observed = rows.notna().any(axis=1).to_numpy()
    framed = isinstance(X, Side | pd.DataFrame | pd.Series) or hasattr(X, "to_pandas")
    names = rows.index if framed else None
    long = isinstance(X, pd.DataFrame | pd.Series) and isinstance(X.index, pd.MultiIndex)
    # a side of other pairs has their names, even where these are numbers
    counted = names is not None and not long and not isinstance(X, Side) and says_nothing(names)
    if names is not None:
        check_names(name, names)
    return GivenSide(modality, rows, names, counted, observed)
