"""The control that every pre-training must beat: the same network, never trained."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from kinview.data.modality import modality_of
from kinview.methods import methods
from kinview.methods.default_methods import DEFAULT_METHODS
from kinview.methods.estimators import shared_parameters as shared
from kinview.methods.estimators.capabilities import Capabilities
from kinview.methods.estimators.model_file import inner_state, restored_inner, save_model
from kinview.methods.estimators.table_columns import tags_of_tables
from kinview.old_pickles import FromPickle
from kinview.parameters import checked_parameters, parameterised

if TYPE_CHECKING:
    from kinview.methods.estimators.base import EstimatorCore

__all__ = ["RandomInit"]


@methods.register("random_init", modality="any")
@parameterised
class RandomInit(FromPickle, Capabilities, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A method's network with its initial weights; scaling and column encoding are fitted as usual.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.sin(np.arange(60.0)).reshape(4, 1, 15)
    >>> RandomInit({"ts2vec": {"repr_dim": 8, "depth": 2}}, random_state=0).fit(X).transform(X).shape
    (4, 8)
    """

    method: Any = shared.network_of()
    random_state: Any = shared.random_state("Seed of the initial weights.")

    __metadata_request__transform: ClassVar[dict[str, str]] = {"out": UNUSED}  # no metadata of samples

    control: ClassVar[bool] = True
    network_of: ClassVar[str | None] = "method"

    @property
    def modality(self) -> str:
        """Modality it works on: that of the method whose network it is."""
        return "any" if self.method is None else str(methods[methods.name_of(self.method)].modality)

    def network_method(self, modality: str) -> Any:
        """Spec of the method whose network it has on data of a modality."""
        return DEFAULT_METHODS.get(modality) if self.method is None else self.method

    @property
    def fitted_network(self) -> EstimatorCore | None:
        """The estimator of the method whose network it is, once this is fitted."""
        return self.estimator_ if hasattr(self, "estimator_") else None

    @property
    def n_features_in_(self) -> int:
        """Number of columns, once it is fitted to a table."""
        return int(self.estimator_.n_features_in_)

    @property
    def feature_names_in_(self) -> np.ndarray:
        """Names of the columns, once it is fitted to a table whose names are text."""
        return np.asarray(self.estimator_.feature_names_in_)

    def __sklearn_tags__(self) -> Any:
        return tags_of_tables(super().__sklearn_tags__())

    def fit(self, X: Any, y: Any = None, *, groups: Any = None) -> Self:
        """Fit scaling and encoding, and initialise the network; labels are not used."""
        return self.initialise(X, groups=groups)

    def initialise(self, X: Any, *, groups: Any = None) -> Self:
        """Fit all but the weights."""
        checked_parameters(self)
        modality = modality_of(X)
        estimator = clone(methods.build(self.network_method(modality), for_modality=modality))
        estimator.set_params(random_state=self.random_state)
        self.estimator_ = estimator.initialise(X, groups=groups)
        return self

    def transform(self, X: Any, *, out: np.ndarray | None = None) -> Any:
        """Representations by the untrained network; ``out`` is the array that they are written into."""
        check_is_fitted(self)
        return self.estimator_.transform(X) if out is None else self.estimator_.transform(X, out=out)

    def fitted_state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Facts and tensors for a model file."""
        check_is_fitted(self)
        return inner_state(self.estimator_)

    def restore_fitted_state(self, facts: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        """Inverse of :meth:`fitted_state`."""
        self.estimator_ = restored_inner(facts, tensors)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the fitted estimator to a file; :func:`kinview.load_model` reads it."""
        return save_model(self, path)
