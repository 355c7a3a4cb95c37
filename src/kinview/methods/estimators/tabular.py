"""Tabular estimators: scikit-learn transformers from mixed-type tables to one vector a row."""

from __future__ import annotations

import copy
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from kinview.data.batch import Batch
from kinview.data.modality import TABLE, check_modality
from kinview.data.sources.base import Source, is_source
from kinview.data.table import TableSchema
from kinview.encoders.base import TableEncoder
from kinview.methods.estimators.base import EstimatorCore
from kinview.methods.estimators.outputs import is_path, write_frame
from kinview.methods.estimators.streaming import TableSurvey
from kinview.methods.estimators.table_columns import TableColumns
from kinview.training.method import Sizes

__all__ = ["TabularEstimator"]


class TabularEstimator(TableColumns, EstimatorCore, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A scikit-learn transformer around a method for tables.

    Accepts DataFrames with numeric, boolean, categorical, string, datetime and missing columns, and 2-D arrays.

    Attributes
    ----------
    modality : str
        What it reads; its entry in the registry takes it from here.
    text : {"refuse", "categorical"}
        What becomes of text that is no category; "refuse" unless a field or the body of the class says another.
    scaling : {"dataset", "robust", "quantile"} or mapping
        How numbers and dates are scaled; "dataset" unless a field or the body of the class says another.
    schema_ : TableSchema
        Kinds, categories and scales of the columns, learned at fit.
    n_features_in_ : int
        Number of columns at fit.
    feature_names_in_ : ndarray of str
        Their names, where the input has string names.
    """

    __metadata_request__transform: ClassVar[dict[str, str]] = {"out": UNUSED}  # no metadata of samples

    modality: ClassVar[str] = TABLE
    text: Any = "refuse"
    scaling: Any = "dataset"
    schema_: TableSchema

    def fit(self, X: Any, y: Any = None, *, groups: Any = None, extra: Any = None) -> Self:
        """Pre-train on rows.

        Parameters
        ----------
        X : DataFrame, array (n, columns) or Source
            Missing cells are legal in every column. A :class:`~kinview.data.Source` is read block by block, and never
            in memory as a whole.
        y : array-like of shape (n,), optional
            Labels; only a method that uses labels (:attr:`uses`) gets them, others are not changed by them. With an
            index that names the rows of X, as ``groups`` too, they may be in any order.
        groups : array-like, optional
            Group (patient) of each row: held-out rows never share one with the others; for methods that use them too.
        extra : mapping of str to array-like (n, ...), optional
            Further features of each sample, for a method that uses them: ``{"features": expert_features}``.

        Raises
        ------
        ValueError
            For columns that cannot be encoded (named), infinite values, no rows, or labels or groups with an index of
            other rows.
        """
        return self._fit_or_initialise(X, y, groups, extra, train=True)

    def fit_transform(self, X: Any, y: Any = None, *, groups: Any = None, extra: Any = None) -> Float[Any, "n d"]:
        """Representations of the rows that it is fitted to; parameters as :meth:`fit`."""
        return self.fit(X, y, groups=groups, extra=extra).transform(X)

    def initialise(self, X: Any, *, groups: Any = None) -> Self:
        """Fit all but the weights: the network as it is before training (the control ``random_init``)."""
        return self._fit_or_initialise(X, None, groups, None, train=False)

    def _fit_or_initialise(self, X: Any, y: Any, groups: Any, extra: Any, *, train: bool) -> Self:
        self.__dict__.pop("_n_features_out", None)  # not fitted until all of this has succeeded
        self.check_parameters()
        if is_source(X):
            return self._fit_source(X, y, groups, extra, train)
        y, groups, extra = self._in_order_of(X, y, groups, extra)
        self._learn_columns(X, text=self.text, scaling=self.scaling)
        batch = self.schema_.to_batch(X, groups=groups)
        self._fit_batch(self._with_metadata(batch, y, extra) if train else batch, train=train)
        self._n_features_out = int(self.method_.embed(self._one_row()).shape[1])
        return self

    def _fit_source(self, source: Source, y: Any, groups: Any, extra: Any, train: bool) -> Self:
        """Learn of all rows in one pass, then train on blocks of them."""
        self._check_source(source)
        y, groups, extra = self._in_order_of(source.names, y, groups, extra)
        seed = self._seed()
        found = self._surveyed(TableSurvey, source, y, groups, extra, seed, train)
        self._learn_columns(found.sample, text=self.text, scaling=self.scaling, totals=found.totals)
        sample = found.fields.replace(x=self.schema_.to_batch(found.sample).x)
        del found.sample
        streamed = found.streamed(self.schema_.to_batch, self._training_rows)
        self._fit_batch(sample, train=train, seed=seed, streamed=streamed)
        self._n_features_out = int(self.method_.embed(self._one_row()).shape[1])
        return self

    def transform(self, X: Any, *, out: Any = None) -> Any:
        """Representations ``(n, D)`` of rows, or the file that they were written to.

        Parameters
        ----------
        X : DataFrame, array (n, columns) or Source
            With the columns of fit. A :class:`~kinview.data.Source` is read and embedded block by block.
        out : ndarray (n, D) or path, optional
            Where to write them, a ``numpy.memmap`` for example; it is returned. By default a new array of float32. A
            Parquet file (``.parquet``) gets the names of the rows as its first columns; of a source it is written block
            by block, and is there when it is whole.
        """
        if is_source(X):
            check_is_fitted(self)
            check_modality(type(self).__name__, self.modality, X.modality, f"X, a {type(X).__name__},")
            return self._embed_blocks(X, (self.to_batch(X.read(k)) for k in range(len(X.starts) - 1)), out)
        if is_path(out):
            index = X.index if isinstance(X, pd.DataFrame) else None
            frame = pd.DataFrame(self.transform(X), index=index)
            return write_frame(frame.set_axis(self._feature_names(frame.shape[1]), axis=1), out, TABLE)
        embedded = self.embed_batch(self.to_batch(X), out)
        return embedded.numpy() if out is None else out

    def to_batch(self, X: Any, *, groups: Any = None) -> Batch:
        """Rows as the network takes them: encoded with the columns of fit; ``groups`` as in :meth:`fit`."""
        check_is_fitted(self)
        return self._rows(X, groups=groups)

    def schema_of(self, batch: Batch) -> TableSchema:
        """Columns of the table that rows are of, as :meth:`to_batch` gives them."""
        return self.schema_

    def embed_batch(self, batch: Batch, out: np.ndarray | None = None) -> Float[Tensor, "n d"]:
        """As of every estimator; in float64, then rounded: in float32 the last bit would depend on a row's place."""
        if next(self.method_.parameters()).device.type == "mps":  # has no float64
            return super().embed_batch(batch, out)
        precise = copy.deepcopy(self.method_).double()
        return self._in_chunks(batch, lambda rows: precise.embed(rows.replace(x=rows.x.double())), out)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_n_features_out")

    def _sizes_of_0_1(self) -> Sizes:
        return Sizes(cardinalities=self.schema_.cardinalities)

    def _sizes(self, batch: Batch) -> Sizes:
        return Sizes(cardinalities=self.schema_.cardinalities, rows=len(batch))

    def _prepare_method(self, batch: Batch, rows: Batch) -> None:
        """What encoders of tables learn of training rows, such as bins."""
        for part in self.method_.modules():
            if isinstance(part, TableEncoder):
                part.learn(rows.x)

    def _one_row(self) -> Batch:
        return Batch.of(torch.full((1, len(self.schema_.columns)), torch.nan))

    def fitted_state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Facts and tensors for a model file."""
        check_is_fitted(self)
        return {**self._columns_state(), "sizes": self.sizes_.to_config()}, self.method_.inference_state()

    def restore_fitted_state(self, facts: dict[str, Any], tensors: dict[str, Tensor]) -> None:
        """Inverse of :meth:`fitted_state`."""
        self._restore_columns(facts)
        self.training_ = None
        sizes = Sizes.from_config(facts["sizes"]) if "sizes" in facts else self._sizes_of_0_1()
        self._restore_network(sizes, tensors)
        self._n_features_out = int(self.method_.embed(self._one_row()).shape[1])
