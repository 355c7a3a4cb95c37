"""The control that methods of pairs must beat: each side by a method of its own, neither of which knows the other."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from jaxtyping import Float
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from kinview.data.few_rows import FEWEST_ROWS
from kinview.data.modality import PAIRED, SERIES, TABLE
from kinview.data.paired import PairedData, Side
from kinview.methods import methods
from kinview.methods.estimators import shared_parameters as shared
from kinview.methods.estimators.capabilities import Capabilities
from kinview.methods.estimators.locked_models import as_container
from kinview.methods.estimators.model_file import inner_state, restored_inner, save_model
from kinview.old_pickles import FromPickle
from kinview.parameters import checked_parameters, parameterised, spec

__all__ = ["SideBySide"]

_USUAL = {SERIES: "summary", TABLE: "raw"}
_NONE = "none"


@methods.register("side_by_side", modality="paired")
@parameterised
class SideBySide(FromPickle, Capabilities, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Each side by a method of its own, one beside the other; or one side alone.

    Examples
    --------
    >>> import pandas as pd
    >>> waves = np.sin(np.arange(120.0)).reshape(6, 1, 20)
    >>> pairs = PairedData(series=waves, table=pd.DataFrame({"age": [61, 54, 70, 48, 66, 59]}))
    >>> SideBySide().fit(pairs).transform(pairs).shape, SideBySide(second="none").fit(pairs).transform(pairs).shape
    ((6, 8), (6, 7))
    """

    first: Any = spec(
        None,
        "method",
        words="estimator, str or mapping",
        doc="Method of the first side, such as ``minirocket``; ``none`` leaves the side out. By default the statistics "
        "of each channel (``summary``) of series, and the columns of a table as they are (``raw``).",
    )
    second: Any = spec(
        None, "method", words="estimator, str or mapping", doc="Method of the second side, as ``first``."
    )
    random_state: Any = shared.random_state("Seed of methods that draw.")

    __metadata_request__transform: ClassVar[dict[str, str]] = {"out": UNUSED, "side": UNUSED}

    modality: ClassVar[str] = PAIRED
    control: ClassVar[bool] = True

    def fit(self, X: Any, y: Any = None, *, groups: Any = None) -> Self:
        """Fit the method of each side to the samples that have it; labels are not used.

        Parameters
        ----------
        X : PairedData, mapping or tuple
            Samples with two sides.
        y : array-like, optional
            Not used.
        groups : array-like, optional
            Not used.

        Raises
        ------
        ValueError
            If both sides are left out, a method reads samples of another kind or uses labels, or no sample has a side.
        """
        checked_parameters(self)
        self.__dict__.pop("models_", None)
        pairs = PairedData.of(X)
        specs = (self.first, self.second)
        if specs == (_NONE, _NONE):
            raise ValueError("first and second are both 'none': there would be no representation; leave one side in")
        made = [self._fitted(name, pairs.side(name), spec) for name, spec in zip(pairs.names, specs, strict=True)]
        self.names_, self.models_ = pairs.names, made
        return self

    def _fitted(self, name: str, side: Side, given: Any) -> tuple[Any, Tensor] | None:
        """Model of a side, and what stands for it in a sample that lacks it: its mean, from five samples on."""
        if given == _NONE:
            return None
        if not side.present.any():
            raise ValueError(f"no training sample has the side {name!r}; leave it out ('none')")
        assert side.modality is not None
        model = clone(methods.build(_USUAL[side.modality] if given is None else given, for_modality=side.modality))
        reads = methods[methods.name_of(model)].modality
        if model.uses_labels or reads not in ("any", side.modality):
            raise ValueError(
                f"the side {name!r} must be given a method that reads it and uses no labels; got {given!r}"
            )
        if getattr(model, "random_state", 0) is None:  # one that was asked for stays
            model.set_params(random_state=self.random_state)
        rows = as_container(side.rows())
        Z = np.asarray(model.fit(rows).transform(rows), dtype=np.float64)
        mean = Z.mean(axis=0) if len(Z) >= FEWEST_ROWS else np.zeros(Z.shape[1])
        return model, torch.from_numpy(mean.astype(np.float32))

    def transform(self, X: Any, *, side: str | None = None, out: np.ndarray | None = None) -> Float[np.ndarray, "n d"]:
        """Representations ``(n, D)`` of samples, the first side's before the second's.

        Parameters
        ----------
        X : PairedData, mapping or tuple
            With the sides of fit; a mapping may have one alone. What a sample lacks has the mean of the training
            samples in its place.
        side : str, optional
            Name of a side, which is embedded alone; by default both.
        out : ndarray (n, D), optional
            Where to write them; it is returned.
        """
        check_is_fitted(self)
        pairs = PairedData.of(X, self.names_)
        if side not in (None, "both", *self.names_):
            raise ValueError(f"side must be 'both', {' or '.join(map(repr, self.names_))}; got {side!r}")
        found = [
            self._embedded(pairs.side(name), *made)
            for name, made in zip(self.names_, self.models_, strict=True)
            if made is not None and side in (None, "both", name)
        ]
        if not found:
            raise ValueError(f"the side {side!r} was left out at fit")
        Z: np.ndarray = np.hstack(found)
        if out is None:
            return Z
        out[:] = Z
        return out

    def _embedded(self, side: Side, model: Any, mean: Tensor) -> Float[np.ndarray, "n d"]:
        Z: np.ndarray = np.tile(mean.numpy(), (len(side.place), 1))
        if side.present.any():
            Z[side.present] = np.asarray(model.transform(as_container(side.rows())), dtype=np.float32)
        return Z

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "models_")

    def fitted_state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Facts and tensors for a model file."""
        check_is_fitted(self)
        sides: list[Any] = []
        tensors: dict[str, Tensor] = {}
        for number, made in enumerate(self.models_):
            if made is None:
                sides.append(None)
                continue
            model, mean = made
            facts, own = inner_state(model, f"{number}/model/")
            sides.append(facts)
            tensors |= {f"{number}/mean": mean, **own}
        return {"names": list(self.names_), "sides": sides}, tensors

    def restore_fitted_state(self, facts: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        """Inverse of :meth:`fitted_state`."""
        first, second = facts["names"]
        self.names_ = (str(first), str(second))
        self.models_ = [
            None if side is None else (restored_inner(side, tensors, f"{number}/model/"), tensors[f"{number}/mean"])
            for number, side in enumerate(facts["sides"])
        ]

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the fitted estimator to a file; :func:`kinview.load_model` reads it."""
        return save_model(self, path)
