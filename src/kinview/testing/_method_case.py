"""A method under test, its data, and the comparisons that the checks are written in."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from kinview.methods import methods

__all__ = ["Case", "close", "finite", "rows_of"]

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

    def fitted(self, X: Any = None, y: Any = None, **trainer: Any) -> Any:
        """An estimator fitted with two steps, or as the keywords say; with labels if it uses any, or if some are given.

        They are always those of the first samples.
        """
        estimator = self.build(**({"max_steps": 2} | trainer))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # weights kept, channels dropped: said to people, not here
            return self.fit(estimator, self.X if X is None else X, y)

    def fit(self, estimator: Any, X: Any, y: Any = None) -> Any:
        """Fit an estimator to the samples or the first of them, with labels as :meth:`fitted`."""
        if y is None and estimator.uses_labels:
            y = self.labels
        return estimator.fit(X) if y is None else estimator.fit(X, y[: len(X)])

    def embedded(self, estimator: Any, X: Any = None) -> np.ndarray:
        """Embeddings in float64."""
        return np.asarray(estimator.transform(self.X if X is None else X), dtype=np.float64)

    def with_gaps(self, share: float = 0.3) -> Any:
        """The data with a share of the values missing, and nothing observed in the first sample."""
        hidden = np.random.default_rng(0).random(np.shape(self.X)) < share
        hidden[0] = True
        if isinstance(self.X, pd.DataFrame):
            return self.X.mask(hidden)
        gappy = np.array(self.X, dtype=np.float64)
        gappy[hidden] = np.nan
        return gappy


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
