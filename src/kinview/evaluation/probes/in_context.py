"""What the probes share that ask a pre-trained transformer of another library, the training rows being its context."""

from __future__ import annotations

import dataclasses
import importlib
from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float, Int64

from kinview.evaluation.probes.base import Probe, stratified_rows
from kinview.parameters import check_integer

__all__ = ["InContext"]


@dataclasses.dataclass(eq=False)
class InContext(Probe):
    """A classifier of another library, whose weights were trained elsewhere and are never changed.

    A subclass names the library and its classifier, says what it downloads, and builds it in :meth:`_build`. Missing
    values stay missing; a column without any value in the training rows is left out.
    """

    accepts_missing: ClassVar[bool] = True
    library: ClassVar[str]
    classifier: ClassVar[str]
    weights: ClassVar[str]  # what would be downloaded, and from where
    most_classes: ClassVar[int | None] = None

    n_estimators: int = 8
    model_path: str | None = None
    download: bool = False
    device: str = "cpu"
    max_rows: int = 10_000
    max_features: int = 500
    _classifier: Any = dataclasses.field(init=False, repr=False)
    _columns: Any = dataclasses.field(init=False, repr=False)

    @abstractmethod
    def _build(self, kind: Any) -> Any:
        """The library's classifier with the parameters of the probe."""

    def _fit(
        self, Z: Float[np.ndarray, "n dim"], codes: Int64[np.ndarray, " n"], groups: Int64[np.ndarray, " n"] | None
    ) -> None:
        for name in ("n_estimators", "max_rows", "max_features"):
            check_integer(getattr(self, name), name, at_least=1)
        kind = self._kind()
        self._check_weights()
        self._columns = ~np.isnan(Z).all(axis=0)
        self._check_sizes(int(self._columns.sum()), len(self.classes_))
        rows = stratified_rows(codes, self.max_rows, self.random_state)
        self._classifier = self._build(kind).fit(Z[rows][:, self._columns], codes[rows])

    def _scores(self, Z: Float[np.ndarray, "n dim"]) -> Float[np.ndarray, "n classes"]:
        found = np.asarray(self._classifier.predict_proba(Z[:, self._columns]), dtype=np.float64)
        scores = np.zeros((len(Z), len(self.classes_)))
        scores[:, np.asarray(self._classifier.classes_, dtype=np.int64)] = found  # its columns follow its own classes
        return scores

    def _kind(self) -> Any:
        try:
            return getattr(importlib.import_module(self.library), self.classifier)
        except (ImportError, AttributeError) as error:
            raise ValueError(
                f"the probe {self.library!r} needs the library {self.library} with its {self.classifier}, and there is "
                f"none ({error}): pip install 'kinview[{self.library}]', or leave this probe out"
            ) from error

    def _check_weights(self) -> None:
        if self.model_path is not None and Path(self.model_path).is_file():
            return
        if self.download:
            return
        given = "no model_path is given" if self.model_path is None else f"there is no file {self.model_path}"
        raise ValueError(
            f"the probe {self.library!r} needs weights, and {given}. {self.library} would download {self.weights}; to "
            f"let it, set download=True, else give model_path=... the file of weights that you have"
        )

    def _check_sizes(self, columns: int, classes: int) -> None:
        if not 0 < columns <= self.max_features:
            raise ValueError(
                f"the probe {self.library!r} takes 1 to max_features={self.max_features:,} columns, and Z has "
                f"{columns:,} with a value: use a method with fewer (pca, or repr_dim), or raise max_features"
            )
        if self.most_classes is not None and classes > self.most_classes:
            raise ValueError(
                f"the probe {self.library!r} tells at most {self.most_classes} classes apart, and there are {classes}: "
                f"use another probe (tabicl, xgboost)"
            )
