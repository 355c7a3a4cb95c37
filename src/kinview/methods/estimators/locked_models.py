"""Fitted models of one kind of samples inside methods of pairs: they embed a side, and stay as they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from sklearn.base import clone

from kinview.data.modality import NOUNS, SERIES, TABLE
from kinview.data.panel import Panel
from kinview.methods import methods
from kinview.methods.default_methods import DEFAULT_METHODS
from kinview.methods.estimators.base import EstimatorCore, own_copy, unfrozen
from kinview.methods.estimators.series import SeriesEstimator
from kinview.methods.estimators.tabular import TabularEstimator

__all__ = ["as_container", "embedded", "locked_model"]


def embedded(model: Any, rows: Panel | pd.DataFrame) -> Float[np.ndarray, "n d"]:
    """Representations of samples by a fitted model of series or of tables, in float32."""
    Z = model.embed_panel(rows).numpy() if isinstance(rows, Panel) else model.transform(rows)
    return np.array(Z, dtype=np.float32, order="C")


def locked_model(parameter: str, given: Any, rows: Panel | pd.DataFrame, seed: int, *, train: bool) -> EstimatorCore:
    """Fitted model for the samples of a side: own copy of one that is fitted, or one that is trained on them.

    Raises
    ------
    ValueError
        If it reads samples of another kind, or is no model of kinview with representations; the parameter is named.
    """
    modality = SERIES if isinstance(rows, Panel) else TABLE
    given = unfrozen(given)
    built = methods.build(DEFAULT_METHODS[modality] if given is None else given, for_modality=modality)
    fitted = getattr(built, "fitted_network", None)
    model = fitted or built
    kinds = {SERIES: SeriesEstimator, TABLE: TabularEstimator}
    if not isinstance(model, tuple(kinds.values())) or not isinstance(model, EstimatorCore):
        raise ValueError(
            f"{parameter} must be a method that makes a representation of {NOUNS[modality]}, such as "
            f"{DEFAULT_METHODS[modality]!r}, or a fitted one; got {given!r}"
        )
    if not isinstance(model, kinds[modality]):
        raise ValueError(f"{parameter} must read {NOUNS[modality]}, as its side holds; got {type(model).__name__}")
    if fitted is not None:
        return own_copy(fitted)
    estimator: Any = clone(model)
    if getattr(estimator, "random_state", 0) is None:
        estimator.set_params(random_state=seed)
    X = as_container(rows)
    made: EstimatorCore = estimator.fit(X) if train else estimator.initialise(X)
    return made


def as_container(rows: Panel | pd.DataFrame) -> Any:
    """Samples as the estimators of series or tables take them."""
    if not isinstance(rows, Panel):
        return rows
    x, times = rows.batch.x.numpy(), rows.batch.times
    if times is None:
        return x
    inside = torch.isfinite(times).numpy()
    index = pd.MultiIndex.from_arrays([np.nonzero(inside)[0], times.numpy()[inside]], names=["sample", "time"])
    frame = pd.DataFrame(x.swapaxes(1, 2)[inside], index=index, columns=list(rows.channels))
    if rows.time_unit == "seconds":
        stamps = pd.to_timedelta(index.get_level_values(1), unit="s")
        frame.index = pd.MultiIndex.from_arrays([index.get_level_values(0), stamps], names=index.names)
    return frame
