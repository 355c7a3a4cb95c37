"""What is explained: samples as a fitted estimator reads them, with what embeds any copy of them."""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from kinview.data.batch import Batch
from kinview.data.gaps import ends_marked, valid_lengths
from kinview.data.modality import SERIES, TABLE, check_samples, modality_of
from kinview.data.paired import PairedData
from kinview.data.panel import Panel
from kinview.data.table import named_columns
from kinview.methods.estimators.base import EstimatorCore
from kinview.methods.estimators.paired import OTHER_SIDE, PairedEstimator, other_side
from kinview.methods.estimators.series import SeriesEstimator
from kinview.methods.estimators.side_readers import ModelReader, TableReader

__all__ = ["Embed", "ReadSamples", "read_samples"]

Embed = Callable[[Batch], Float[Tensor, "n d"]]


@dataclasses.dataclass(frozen=True, eq=False)
class ReadSamples:
    """Samples of one kind, as a fitted estimator reads them.

    Parameters
    ----------
    batch : Batch
        Values as the network takes them, NaN = not observed. Series are marked with their ends, so that the last steps
        of a series, hidden, are a gap in it and do not make it shorter.
    embed : callable
        Representation of each row of such a batch, without gradient.
    names : tuple of str
        Channels or columns.
    index : Index
        Name of each sample.
    given : ndarray (n, channels, time) or DataFrame (n, columns)
        The values in their own units, for pictures and words.
    steps : tuple of Index
        Of series: what each step is called, within the length of each series.
    categorical : tuple of bool
        Which columns of a table hold categories.
    network : callable, optional
        Makes what embeds with a gradient, on the CPU in float64; None where no gradient could flow.
    """

    batch: Batch
    embed: Embed
    names: tuple[str, ...]
    index: pd.Index
    given: Float64[np.ndarray, "n c t"] | pd.DataFrame
    steps: tuple[pd.Index, ...] = ()
    categorical: tuple[bool, ...] = ()
    network: Callable[[], Embed] | None = None

    def __len__(self) -> int:
        return len(self.batch)

    @property
    def modality(self) -> str:
        """Series or tables."""
        return SERIES if self.batch.x.ndim == 3 else TABLE

    @functools.cached_property
    def embedded(self) -> Float64[Tensor, "n d"]:
        """Representation of each sample as it is."""
        return self.embed(self.batch).double()

    @functools.cached_property
    def observed(self) -> Bool[Tensor, "n ..."]:
        """Which cells hold a value."""
        return ~torch.isnan(self.batch.x)

    @functools.cached_property
    def lengths(self) -> Int64[Tensor, " n"]:
        """Steps of each series."""
        return valid_lengths(self.batch.x, self.batch.times)


def read_samples(model: Any, X: Any, side: str | None = None) -> ReadSamples:
    """Samples as a fitted estimator reads them.

    Parameters
    ----------
    model : estimator
        Fitted: of series, of tables, or of pairs.
    X : panel, table or PairedData
        As its ``transform`` takes it.
    side : str, optional
        Of an estimator of pairs: whose representation is explained.

    Raises
    ------
    ValueError
        If it has no representation to explain, the side is not said, or X is what it does not read.
    """
    if isinstance(model, PairedEstimator):
        return _read_side(model, X, side)
    name = type(model).__name__
    if side is not None:
        raise ValueError(f"side={side!r} names a side of pairs, and {name} does not read pairs; leave it out")
    inner = getattr(model, "fitted_network", None) or model
    if hasattr(model, "predict") or not hasattr(inner, "to_batch"):
        raise ValueError(
            f"{name} has no representation to explain: give a fitted estimator that embeds, of a classifier its "
            f"encoder_"
        )
    reads = getattr(inner, "modality_", None) or inner.modality
    check_samples(name, reads, X, -1)
    return (_read_series if modality_of(X) == SERIES else _read_table)(inner, X)


def _read_series(model: Any, X: Any) -> ReadSamples:
    panel = model.to_panel(X)
    batch = model.scaled(panel) if isinstance(model, SeriesEstimator) else panel.batch  # raw features: as they are
    return ReadSamples(
        batch=ends_marked(batch.replace(groups=None)),
        embed=model.embed_batch,
        names=panel.channels,
        index=panel.index,
        given=panel.batch.x.numpy(),
        steps=_steps(X, panel),
        network=_network_of(model),
    )


def _read_table(model: Any, X: Any) -> ReadSamples:
    batch = model.to_batch(X)
    schema = model.schema_of(batch) if hasattr(model, "schema_of") else model.schema_
    frame = named_columns(X)
    named = set(frame.columns) == set(schema.names)
    frame = frame[list(schema.names)] if named else frame.set_axis(list(schema.names), axis=1)
    return ReadSamples(
        batch=batch.replace(groups=None),
        embed=model.embed_batch,
        names=schema.names,
        index=X.index if isinstance(X, pd.DataFrame) else pd.RangeIndex(len(batch)),
        given=frame,
        categorical=schema.categorical,
        network=_network_of(model),
    )


def _read_side(model: PairedEstimator, X: Any, side: str | None) -> ReadSamples:
    """One side of pairs: only what its own representation rests on."""
    number = None if side is None else model.number_of(side)
    if side is None or number is None:
        raise ValueError(f"side says whose representation is explained: {' or '.join(map(repr, model.names_))}")
    reader = model.reader_of(side)
    if isinstance(reader, ModelReader):
        raise ValueError(
            f"the side {side!r} is read by a fitted {type(reader.model).__name__}, which stays as it is: explain that "
            "model, on samples of its own kind"
        )
    pairs = PairedData.of(X, model.names_)
    whole = model.to_batch(pairs)
    own = (other_side(whole) if number else whole.replace(extra={})).replace(groups=None)
    held, method = pairs.side(model.names_[number]), model.method_

    def paired(rows: Batch) -> Batch:
        return rows.replace(extra={OTHER_SIDE: rows})

    def network() -> Embed:
        precise = copy.deepcopy(method).cpu().double().eval().requires_grad_(False)
        return lambda rows: precise.side(paired(rows), number)

    facts: dict[str, Any] = {
        "batch": ends_marked(own),
        "embed": lambda rows: model.embed_side(paired(rows), number),
        "names": held.features,
        "index": pairs.index,
        "network": network,
    }
    if isinstance(held.data, Panel):
        given = np.full((len(pairs), *held.data.batch.x.shape[1:]), np.nan)
        given[held.present] = held.rows().batch.x.numpy()
        steps = tuple(pd.RangeIndex(int(length), name="step") for length in valid_lengths(own.x, own.times))
        return ReadSamples(**facts, given=given, steps=steps)
    if held.data is None:
        raise ValueError(f"no sample of X has the side {side!r}, so that there is nothing to explain")
    assert isinstance(reader, TableReader)
    frame = held.data[list(reader.schema.names)].reset_index(drop=True).reindex(held.place)
    return ReadSamples(**facts, given=frame, categorical=reader.schema.categorical)


def _network_of(model: Any) -> Callable[[], Embed] | None:
    if not isinstance(model, EstimatorCore) or model.fitted_network is None:
        return None

    def network() -> Embed:
        precise: Any = copy.deepcopy(model.method_).cpu().double().eval().requires_grad_(False)
        return precise.embed  # type: ignore[no-any-return]

    return network


def _steps(X: Any, panel: Panel) -> tuple[pd.Index, ...]:
    """What the steps of each series are called: the stamps as they were given, or their numbers."""
    if isinstance(X, pd.DataFrame) and isinstance(X.index, pd.MultiIndex):
        codes = pd.factorize(X.index.droplevel(-1))[0]
        stamps = X.index.get_level_values(-1)
        order = stamps.argsort()
        order = order[np.argsort(codes[order], kind="stable")]
        ends = np.cumsum(np.bincount(codes))[:-1]
        return tuple(stamps[part] for part in np.split(order, ends))
    times = panel.batch.times
    if times is not None:
        return tuple(pd.Index(row[np.isfinite(row)], name="time") for row in times.numpy())
    return tuple(pd.RangeIndex(int(length), name="step") for length in valid_lengths(panel.batch.x))
