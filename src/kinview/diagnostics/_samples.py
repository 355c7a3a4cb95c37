"""Samples of any container as the batches that a sheet is drawn from."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch

from kinview.data.batch import Batch
from kinview.data.modality import FEATURE, NOUNS, SERIES
from kinview.data.panel import Panel, read_panel
from kinview.data.scaling import fit_scaler
from kinview.data.table import TableSchema
from kinview.parameters import check_positive
from kinview.registry import suggestion

__all__ = ["Data", "Modality", "Scaling", "positions", "read_samples"]

Modality = Literal["time_series", "tabular", "embedding"]
Scaling = Literal["dataset", "sample", "none"]


@dataclasses.dataclass(frozen=True)
class Data:
    """Samples to draw, samples to fit on, and the names of things."""

    batch: Batch
    training: Batch
    names: tuple[str, ...]
    rows: tuple[str, ...]
    schema: TableSchema | None = None
    time_label: str = ""


def read_samples(
    X: Any,
    y: Any,
    groups: Any,
    X_train: Any,
    y_train: Any,
    groups_train: Any,
    modality: Modality,
    scaling: Scaling,
    sampling_rate: float | None,
) -> Data:
    """Read what is drawn and what is fitted on, which is the same where no training samples are given."""
    if X_train is None:
        X_train, y_train, groups_train = X, y, groups
    if modality == SERIES:
        return _read_series(X, y, groups, X_train, y_train, groups_train, scaling, sampling_rate)
    if sampling_rate is not None:
        raise ValueError(f"sampling_rate is about time series; these are {NOUNS[modality]}")
    if modality == "embedding":
        x, known = (torch.as_tensor(np.asarray(values, dtype=np.float32)) for values in (X, X_train))
        if x.ndim != 2:
            raise ValueError(f"embeddings are a matrix (n, D); got {tuple(x.shape)}")
        names = tuple(map(str, range(x.shape[1])))
        return Data(Batch.of(x), Batch.of(known), names, _row_names("row", range(len(x)), y))
    schema = TableSchema.fit(X_train)
    batch = schema.to_batch(X, y=y, groups=groups)
    training = schema.to_batch(X_train, y=y_train, groups=groups_train)
    index = X.index if isinstance(X, pd.DataFrame) else range(len(batch))
    return Data(batch, training, schema.names, _row_names("row", index, y), schema)


def _read_series(
    X: Any,
    y: Any,
    groups: Any,
    X_train: Any,
    y_train: Any,
    groups_train: Any,
    scaling: Scaling,
    sampling_rate: float | None,
) -> Data:
    if scaling not in ("dataset", "sample", "none"):
        raise ValueError(f"scaling must be 'dataset', 'sample' or 'none'; got {scaling!r}")
    known = read_panel(X_train, y=y_train, groups=groups_train, dtype=torch.float64)
    panel = read_panel(X, y=y, groups=groups, channels=known.channels, dtype=torch.float64)
    scaler = fit_scaler(known.batch.x, None if scaling == "none" else scaling)
    batch, training = (
        _clocked(one.batch.replace(x=scaler.apply(one.batch.x)), sampling_rate) for one in (panel, known)
    )
    index = panel.index if isinstance(X, pd.DataFrame) else range(len(batch))
    label = "time (s)" if sampling_rate is not None else _time_label(X, panel)
    return Data(batch, training, panel.channels, _row_names("series", index, y), None, label)


def _clocked(batch: Batch, sampling_rate: float | None) -> Batch:
    """Time stamps in seconds for series that have none."""
    if sampling_rate is None:
        return batch
    check_positive(sampling_rate, "sampling_rate")
    if batch.times is not None:
        raise ValueError("the series have time stamps of their own; leave out sampling_rate")
    seconds = torch.arange(batch.x.shape[2], dtype=torch.float64) / sampling_rate
    beyond = torch.isnan(batch.x).all(dim=1).flip(1).cummin(dim=1).values.flip(1)  # the end of a series stays its end
    return batch.replace(times=torch.where(beyond, torch.nan, seconds))


def _time_label(X: Any, panel: Panel) -> str:
    if panel.time_unit is None:
        return "step"
    if panel.time_unit == "seconds":
        return "time (s)"
    name = X.index.names[-1] if isinstance(X, pd.DataFrame) else None
    return str(name) if name is not None else "period" if panel.time_unit == "periods" else "time"


def _row_names(noun: str, index: Any, y: Any) -> tuple[str, ...]:
    keys = [" ".join(map(str, key)) if isinstance(key, tuple) else str(key) for key in index]
    labels = [None] * len(keys) if y is None else np.asarray(y, dtype=object).tolist()
    return tuple(
        f"{noun} {key}" + ("" if label is None or label != label else f", class {label}")
        for key, label in zip(keys, labels, strict=True)
    )


def positions(
    wanted: Sequence[str | int] | None, names: tuple[str, ...], most: int, modality: Modality
) -> tuple[int, ...]:
    """Positions of the channels or columns to draw.

    Raises
    ------
    ValueError
        If there is none of a name or position, saying what there is.
    """
    if wanted is None:
        return tuple(range(min(most, len(names))))
    if not wanted:
        raise ValueError(f"channels must name at least one {FEATURE[modality]}")
    found = []
    for one in wanted:
        if one in names:
            found.append(names.index(str(one)))
        elif str(one).isdigit() and int(one) < len(names):
            found.append(int(one))
        else:
            more = f" and {len(names) - 8} more" if len(names) > 8 else ""
            known = f"{', '.join(names[:8])}{more}, or positions 0-{len(names) - 1}"
            raise ValueError(f"there is no {FEATURE[modality]} {one!r}{suggestion(one, names)} Known: {known}")
    return tuple(dict.fromkeys(found))
