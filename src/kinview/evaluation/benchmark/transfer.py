"""A method pre-trained on other data sets than the one that it is tested on."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kinview.data.modality import SERIES
from kinview.datasets.dataset import pad
from kinview.datasets.samples import Samples
from kinview.evaluation.benchmark.cached import checkpoints_path, fit_and_save, model_path, read_model
from kinview.evaluation.benchmark.grid import Cell
from kinview.evaluation.benchmark.spent import Spent
from kinview.files import alone

__all__ = ["pretrained_on_sources", "taken_to"]

Timed = Callable[[str, str], contextlib.AbstractContextManager[Spent]]


def pretrained_on_sources(
    cell: Cell, unfitted: Callable[[], Any], *, cache: Path, data_dir: str | None, timed: Timed
) -> Any:
    """The method of a cell, pre-trained on its sources: from the cache, else fitted and written there.

    Parameters
    ----------
    cell : Cell
        With ``sources``.
    unfitted : callable
        Gives the method to fit, which keeps its checkpoints under the key of the sources.
    cache : Path
        Where the model of the sources is kept: it serves every data set, fold and corruption.
    data_dir : str, optional
        For :func:`kinview.load`.
    timed : callable
        Times a step, by its kind and key.
    """
    path = model_path(cache, cell.source_key)

    def fit() -> Any:
        method = unfitted()
        return method.fit(*_pooled(cell, method, data_dir))

    with alone(path):  # other workers want the same model
        found = read_model(path)
        if found is not None:
            return found
        with timed("source", cell.source_key) as spent:
            return fit_and_save(fit, path, checkpoints_path(cache, cell.source_key), spent)


def taken_to(model: Any, X: Any) -> Any:
    """A pre-trained model taken to the training part of another data set, corrupted where the cell's is.

    A model of series keeps its weights and learns channels, scaling and what fills gaps from X
    (:meth:`SeriesEstimator.adapt`); one of tables reads the same columns, and stays as it is.
    """
    if not hasattr(model, "adapt"):
        return model
    if isinstance(X, pd.DataFrame) and X.shape[1] > 1:
        X = X[list(model.channels_)]  # weights go by the place of a channel
    return model.adapt(X)


def _pooled(cell: Cell, estimator: Any, data_dir: str | None) -> tuple[Any]:
    """Training parts of the sources as one, each scaled by itself where the method scales by its data set."""
    from kinview.evaluation.benchmark.steps import load_dataset

    assert cell.sources is not None
    data = [load_dataset(one.dataset, data_dir, one.options) for one in cell.sources]
    for one, loaded in zip(cell.sources, data, strict=True):
        if loaded.fingerprint() != one.fingerprint:
            raise ValueError(f"data set {one.dataset!r} changed on disk while the benchmark ran; run it again")
    parts = [one.part("train") for one in data]
    rule = getattr(estimator, "scaling", None)
    if len(parts) > 1 and data[0].modality == SERIES and rule not in (None, "sample"):
        parts = [dataclasses.replace(part, X=_standardised(part.X)) for part in parts]
    if isinstance(parts[0].X, np.ndarray):
        length = max(part.X.shape[2] for part in parts) if parts[0].X.ndim == 3 else 0
        return (np.concatenate([pad(part.X, length) if length else part.X for part in parts]),)
    columns = list(parts[0].X.columns)
    frames = [_named(part, name.dataset, columns) for part, name in zip(parts, cell.sources, strict=True)]
    return (frames[0] if len(frames) == 1 else pd.concat(frames),)


def _named(part: Samples, name: str, columns: Sequence[Any]) -> pd.DataFrame:
    """A frame with the columns of the first one, and names of samples that tell its data set."""
    X: pd.DataFrame = part.X if len(columns) == 1 else part.X[list(columns)]
    X = X.set_axis(list(columns), axis=1)
    if part.modality != SERIES:
        return X.reset_index(drop=True)
    ids = part.X.index.droplevel(-1)
    told = pd.Index([f"{name}[{one}]" for one in ids.tolist()], name="series")
    X = X.set_axis(pd.MultiIndex.from_arrays([told, X.index.get_level_values(-1)]), axis=0)
    return X


def _standardised(X: Any) -> Any:
    """Series with each channel centred and scaled by what was observed of it."""
    if isinstance(X, pd.DataFrame):
        mean, scale = _location_and_scale(X)
        return (X - mean) / scale
    rows = X.transpose(1, 0, 2).reshape(X.shape[1], -1)
    mean, scale = _location_and_scale(pd.DataFrame(rows.T))
    return (X - mean[:, None]) / scale[:, None]


def _location_and_scale(table: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each column, that of a constant 1."""
    low, high = table.min().to_numpy(dtype=np.float64), table.max().to_numpy(dtype=np.float64)
    mean, scale = table.mean().to_numpy(dtype=np.float64), table.std(ddof=0).to_numpy(dtype=np.float64)
    varies = (high > low) & (scale > 0)  # the mean of a constant may be off by a rounding: take the value itself
    return np.where(varies, mean, low), np.where(varies, scale, 1.0)
