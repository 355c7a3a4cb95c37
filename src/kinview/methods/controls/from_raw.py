"""Controls that are made of raw features: standardised, then taken to other directions."""

from __future__ import annotations

import os
from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from jaxtyping import Float
from torch import Tensor, from_numpy

from kinview.data.batch import Batch
from kinview.data.few_rows import FEWEST_ROWS
from kinview.methods.controls.raw import RawFeatures
from kinview.methods.estimators.model_file import save_model
from kinview.methods.estimators.outputs import checked_out
from kinview.parameters import checked_parameters

__all__ = ["FromRawFeatures"]

_CONSTANT = 1e-6  # a deviation below this fraction of the mean is rounding of float32


class FromRawFeatures(RawFeatures):
    """Raw features with their gaps filled, each centred and scaled by the training rows, in other directions.

    A subclass learns its directions in :meth:`_learn` and takes standardised rows to them in :meth:`_project`; it names
    its arrays in :attr:`arrays`.

    Attributes
    ----------
    mean_, std_ : ndarray (F,)
        Of each raw feature over the training rows; a constant one has the deviation 1.
    rows_ : int
        Training rows.
    """

    passes_missing: ClassVar[bool] = False
    arrays: ClassVar[tuple[str, ...]] = ()

    mean_: np.ndarray
    std_: np.ndarray
    rows_: int

    def fit(self, X: Any, y: Any = None, *, groups: Any = None) -> Self:
        """Learn raw features as ``raw`` does, their means and deviations, and the directions; labels are not used."""
        checked_parameters(self)
        super().fit(X)
        raw = np.asarray(super().transform(X), dtype=np.float64)
        self.rows_, self.mean_ = len(raw), raw.mean(axis=0)
        std = raw.std(axis=0)
        self.std_ = np.where(std > _CONSTANT * (1 + np.abs(self.mean_)), std, 1.0)
        self._learn((raw - self.mean_) / self.std_)
        return self

    def transform(self, X: Any, *, out: np.ndarray | None = None) -> Float[np.ndarray, "n d"]:  # type: ignore[override]
        """Features ``(n, D)`` of series or tables like those of fit; ``out`` is the array they are written into."""
        made = self.embed_batch(self.to_batch(X)).numpy()
        if out is None:
            return made
        checked_out(out, made.shape)[...] = made
        return out

    def embed_batch(self, batch: Batch) -> Float[Tensor, "n d"]:
        """Features ``(n, D)`` of what :meth:`to_batch` gives, in which cells may have been hidden since."""
        raw = np.asarray(self._features(batch, "interpolate"), dtype=np.float64)
        return from_numpy(self._project((raw - self.mean_) / self.std_).astype(np.float32))

    @abstractmethod
    def _learn(self, standardised: Float[np.ndarray, "n f"]) -> None:
        """Directions, from standardised training rows."""

    @abstractmethod
    def _project(self, standardised: Float[np.ndarray, "n f"]) -> Float[np.ndarray, "n d"]:
        """Rows in the directions."""

    def fitted_state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Facts and tensors for a model file."""
        facts, tensors = super().fitted_state()
        made = {name: from_numpy(np.ascontiguousarray(getattr(self, name))) for name in self._stored}
        return {**facts, "rows": self.rows_}, {**tensors, **made}

    def restore_fitted_state(self, facts: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        """Inverse of :meth:`fitted_state`."""
        super().restore_fitted_state(facts, tensors)
        self.rows_ = int(facts["rows"])
        for name in self._stored:
            setattr(self, name, tensors[name].numpy())
        widths = {name: getattr(self, name).shape[0] for name in self._stored}
        if any(getattr(self, name).shape != self.mean_.shape for name in ("mean_", "std_")):
            raise ValueError(f"the stored arrays do not fit together: they are for {widths} features")
        self._project(np.zeros((1, len(self.mean_))))  # refuses arrays that do not fit

    @property
    def _stored(self) -> tuple[str, ...]:
        return ("mean_", "std_", *self.arrays)

    def save(self, path: str | os.PathLike[str], *, allow_row_statistics: bool = False) -> Path:
        """Write the fitted estimator to a file; :func:`kinview.load_model` reads it.

        Parameters
        ----------
        path : path
            Where to write it.
        allow_row_statistics : bool
            Write it even if it was fitted to fewer than 5 rows, of which its numbers may tell something.

        Raises
        ------
        ValueError
            If it was fitted to fewer, and that was not allowed.
        """
        self.fitted_state()
        if self.rows_ < FEWEST_ROWS and not allow_row_statistics:
            raise ValueError(
                f"{type(self).__name__} is not saved: its means rest on {self.rows_} training row(s), and the file may "
                f"tell something of one of them. Where the training rows may be known: "
                f"save(path, allow_row_statistics=True)"
            )
        return save_model(self, path)
