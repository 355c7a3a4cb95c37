"""A method under test, its data, and the comparisons that the checks are written in."""

from __future__ import annotations

import copy
import dataclasses
import functools
import warnings
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.base import clone

from kinview.data.batch import Batch
from kinview.data.paired import PairedData
from kinview.data.panel import Panel
from kinview.methods import methods

__all__ = [
    "TOLERANCE",
    "Case",
    "close",
    "finite",
    "fit_views_of",
    "repeated",
    "rows_of",
    "same_samples",
    "values_of",
    "with_channels",
]

TOLERANCE = 1e-5


@dataclasses.dataclass(frozen=True)
class Case:
    """One method with data of its modality."""

    spec: Any
    X: Any
    modality: str
    labels: Any = None

    @property
    def name(self) -> str:
        """Name of the method's class."""
        return type(methods.build(self.spec)).__name__

    @property
    def n(self) -> int:
        """Number of samples."""
        return len(self.X)

    @property
    def pretrains(self) -> bool:
        """Whether fit trains a network by the parameter ``trainer``."""
        estimator = methods.build(self.spec)
        return bool(estimator.trains and not estimator.trained_by_probe)

    @property
    def labelled(self) -> bool:
        """Whether fit needs labels."""
        return bool(methods.build(self.spec).uses_labels)

    def build(self, **trainer: Any) -> Any:
        """A fresh estimator with the seed 0; keywords are fields of its trainer."""
        estimator = clone(methods.build(self.spec))
        parameters = estimator.get_params(deep=False)
        changed: dict[str, Any] = {}
        if "random_state" in parameters:
            changed["random_state"] = 0
        if trainer and "trainer" in parameters:  # whether a flag says so too is what a check asks
            given = parameters["trainer"]
            fields = {} if given is None else (given if isinstance(given, dict) else given.get_params(deep=False))
            changed["trainer"] = {**{k: v for k, v in fields.items() if v is not None}, **trainer}
        return estimator.set_params(**changed)

    @functools.cached_property
    def trained(self) -> Any:
        """The estimator of :meth:`fitted` without arguments, for checks that leave it as it is."""
        return self.fitted()

    def fitted(self, X: Any = None, y: Any = None, **trainer: Any) -> Any:
        """An estimator fitted with two steps, or as the keywords say, with what it uses; labels are used if given."""
        estimator = self.build(**({"max_steps": 2} | trainer))
        return self.fit(estimator, self.X if X is None else X, **({} if y is None else {"y": y}))

    def fit(self, estimator: Any, X: Any, **metadata: Any) -> Any:
        """Fit an estimator to the samples or the first of them, with what it uses of :attr:`metadata`, or is given.

        What goes along is always that of the first samples.
        """
        uses = getattr(estimator, "uses", {"y"} if estimator.uses_labels else ())
        metadata = {name: value for name, value in self.metadata.items() if name in uses} | metadata
        n = len(X)
        given = {
            name: {feature: rows[:n] for feature, rows in value.items()} if name == "extra" else value[:n]
            for name, value in metadata.items()
            if value is not None
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # weights kept, channels dropped: for users, not for a check
            return estimator.fit(X, **given)

    @functools.cached_property
    def metadata(self) -> dict[str, Any]:
        """Labels of the samples, groups of four, first values as features and times, for what uses them."""
        if isinstance(self.X, PairedData):
            first: Any = np.arange(self.n)[:, None]
        elif isinstance(self.X, pd.DataFrame):
            first = self.X.iloc[:, :2].rank() / self.n
        else:
            first = np.asarray(self.X)[:, 0, :3]
        return {
            "y": self.labels,
            "groups": np.arange(self.n) // 4,
            "extra": {
                "features": np.asarray(first, dtype=np.float64),
                "time": np.array([0.0, 10.0, 15.0, 80.0])[np.arange(self.n) % 4],
            },
        }

    def training_rows(self, estimator: Any) -> Batch:
        """The samples as the method of a fitted estimator trains on them, with what it uses."""
        groups = self.metadata["groups"] if "groups" in estimator.uses else None
        if isinstance(self.X, PairedData):  # some know more of training samples than of others
            batch = estimator._read_training(self.X, groups, train=False)
        else:
            batch = estimator.to_batch(self.X, groups=groups)
        batch = estimator._with_metadata(batch, self.metadata["y"], self.metadata["extra"])
        rows: Batch = estimator._training_rows(batch)
        return rows

    def embedded(self, estimator: Any, X: Any = None) -> np.ndarray:
        """Embeddings in float64."""
        return np.asarray(estimator.transform(self.X if X is None else X), dtype=np.float64)

    def with_gaps(self, fraction: float = 0.3) -> Any:
        """The data with a fraction of the values missing, and nothing observed in the first sample."""
        if isinstance(self.X, PairedData):
            return PairedData({name: _with_gaps(values_of(self.X, name), fraction) for name in self.X.names})
        return _with_gaps(self.X, fraction)


def with_channels(X: Any, spec: Any) -> Any:
    """Series with as many channels as the views of a method are made of: those of the next series."""
    needed = methods.build(spec).min_channels
    if needed == 1 or np.shape(X)[1] >= needed:
        return X
    first = np.asarray(X)[:, :1]
    return np.concatenate([np.roll(first, i, axis=0) for i in range(needed)], axis=1)


def rows_of(X: Any, i: Any) -> Any:
    """Some samples."""
    return X.iloc[i] if isinstance(X, pd.DataFrame) else X[i]


def close(seen: np.ndarray, expected: np.ndarray, promise: str, tolerance: float = TOLERANCE) -> None:
    """Assert that embeddings agree."""
    assert seen.shape == expected.shape, f"{promise}; shapes are {seen.shape} and {expected.shape}"
    difference = float(np.abs(seen - expected).max(initial=0.0))
    assert difference <= tolerance, f"{promise}; they differ by {difference:.2g}"


def finite(Z: np.ndarray, n: int, promise: str) -> None:
    """Assert one finite vector a sample."""
    assert Z.ndim == 2 and len(Z) == n, f"{promise}: embeddings must be ({n}, D); their shape is {Z.shape}"
    assert np.isfinite(Z).all(), f"{promise}: {int((~np.isfinite(Z)).sum())} values of the embeddings are not finite"


def _with_gaps(X: Any, fraction: float) -> Any:
    hidden = np.random.default_rng(0).random(np.shape(X)) < fraction
    hidden[0] = True
    if isinstance(X, pd.DataFrame):
        return X.mask(hidden)
    gappy = np.array(X, dtype=np.float64)
    gappy[hidden] = np.nan
    return gappy


def values_of(X: PairedData, name: str) -> Any:
    """One side of pairs, all of which have it, as a container whose samples have no names."""
    rows = X.side(name).rows()
    return rows.batch.x.numpy() if isinstance(rows, Panel) else rows.reset_index(drop=True)


def same_samples(X: Any, Y: Any) -> bool:
    """Whether two containers of one kind hold the same samples."""
    if isinstance(X, PairedData):
        return all(same_samples(values_of(X, name), values_of(Y, name)) for name in X.names)
    return bool(X.equals(Y)) if isinstance(X, pd.DataFrame) else np.array_equal(X, Y, equal_nan=True)


def repeated(X: Any, times: int) -> Any:
    """The samples so many times."""
    if isinstance(X, PairedData):
        return X[np.tile(np.arange(len(X)), times)]
    return pd.concat([X] * times, ignore_index=True) if isinstance(X, pd.DataFrame) else np.tile(X, (times, 1, 1))


def fit_views_of(estimator: Any, method: Any, rows: Batch, generator: torch.Generator) -> Any:
    """Let the views of a method learn as the estimator's do; what forgets them afterwards."""
    twin = copy.copy(estimator)
    twin.method_ = method
    twin._fit_views(rows, generator)
    return twin._forget_views
