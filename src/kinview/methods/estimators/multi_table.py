"""Estimators of tables whose network reads the names of columns: of several tables, and for other columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from sklearn.utils.validation import check_is_fitted, validate_data

from kinview.data.batch import Batch
from kinview.data.table import OtherColumnsError, TableSchema
from kinview.methods.estimators.base import own_copy
from kinview.methods.estimators.tabular import TabularEstimator
from kinview.training.method import Sizes

__all__ = ["MultiTableEstimator"]


class MultiTableEstimator(TabularEstimator):
    """A tabular estimator that is fitted on one table or several, and can be taken to a table with other columns.

    Its method has ``read(schemas)``, which takes the tables with these schemas for those that rows come from; of which
    of them a row is, ``extra["table"]`` of a batch says.

    Attributes
    ----------
    schema_ : TableSchema
        Columns of the table that it was fitted on, the first of several.
    further_schemas_ : tuple of TableSchema
        Columns of the others.
    """

    further_schemas_: tuple[TableSchema, ...]

    @property
    def schemas_(self) -> tuple[TableSchema, ...]:
        """Columns of all tables that it was fitted on."""
        return (self.schema_, *self.further_schemas_)

    def fit(self, X: Any, y: Any = None, *, groups: Any = None, extra: Any = None) -> Self:
        """Pre-train on the rows of one table, or of several.

        Parameters
        ----------
        X : DataFrame, array (n, columns), or sequence of DataFrames
            Missing cells are legal in every column.
        y, groups : array-like of shape (n,), or sequence of these
            Labels for a method that uses them, and groups of rows that are held out together; of several tables one
            array each. The groups of two tables are never the same.
        extra : mapping of str to array-like (n, ...), optional
            Further features, of one table.

        Raises
        ------
        ValueError
            As for one table; for several with ``extra``, with two that have the same columns, or without one ``y`` a
            table.
        """
        return super().fit(X, y, groups=groups, extra=extra)

    def adapt(self, X: Any) -> Self:
        """A copy for a table with other columns, with the same weights: kinds, categories and scales are those of X.

        No weight is trained; to train further with labels, give the estimator to
        :class:`~kinview.FineTunedClassifier` with ``transfer=True``.

        Parameters
        ----------
        X : DataFrame or array (n, columns)
            Training rows of the other table.
        """
        check_is_fitted(self)
        twin: Any = own_copy(self)
        twin.schema_ = TableSchema.fit(X, text=self.text, scaling=self.scaling)
        twin.further_schemas_ = ()
        twin.__dict__.pop("feature_names_in_", None)
        validate_data(twin, X, skip_check_array=True)
        twin.sizes_ = Sizes(cardinalities=twin.schema_.cardinalities, rows=len(X))
        twin.method_.sizes = twin.sizes_
        twin.method_.read(twin.schemas_)
        return twin  # type: ignore[no-any-return]

    def to_batch(self, X: Any, *, groups: Any = None) -> Batch:
        """Rows of one of the tables of fit, found by the names of its columns, as the network takes them.

        Raises
        ------
        ValueError
            For other columns, or several tables; the message says what to do.
        """
        check_is_fitted(self)
        if isinstance(X, list | tuple) and len(X) > 0 and all(isinstance(table, pd.DataFrame) for table in X):
            raise ValueError(f"one table is embedded at a time; got a list of {len(X)}: call transform for each")
        number = self._table_of(X)
        if number == 0:
            try:
                return super().to_batch(X, groups=groups)
            except OtherColumnsError as error:
                raise OtherColumnsError(
                    f"{error}. To take the model to a table with other columns: model.adapt(X_train), or "
                    f"FineTunedClassifier(model, transfer=True) to train it on with labels"
                ) from None
        batch = self.schemas_[number].to_batch(X, groups=groups)
        return batch.replace(extra={"table": torch.full((len(batch),), number)})

    def schema_of(self, batch: Batch) -> TableSchema:
        """Columns of the table that these rows are of."""
        table = batch.extra.get("table")
        return self.schemas_[int(table[0])] if isinstance(table, torch.Tensor) and len(table) else self.schema_

    def _table_of(self, X: Any) -> int:
        names = {str(name) for name in getattr(X, "columns", ())}
        known = (number for number, schema in enumerate(self.schemas_) if set(schema.names) == names)
        return next(known, 0)

    def _fit_or_initialise(self, X: Any, y: Any, groups: Any, extra: Any, *, train: bool) -> Self:
        self.check_parameters()
        self.further_schemas_ = ()
        several = isinstance(X, list | tuple) and len(X) > 0 and all(isinstance(table, pd.DataFrame) for table in X)
        if not several:
            return super()._fit_or_initialise(X, y, groups, extra, train=train)
        self.__dict__.pop("_n_features_out", None)
        if extra is not None:
            raise ValueError("extra goes with the rows of one table; fit several tables without it")
        schemas = [TableSchema.fit(table, text=self.text, scaling=self.scaling) for table in X]
        if len({frozenset(schema.names) for schema in schemas}) < len(schemas):
            raise ValueError("two of the tables have the same columns; put their rows into one")
        self.schema_, self.further_schemas_ = schemas[0], tuple(schemas[1:])
        self.__dict__.pop("feature_names_in_", None)
        validate_data(self, X[0], skip_check_array=True)
        batch = self._joined(X, self._one_each(y, "y", len(X)), self._one_each(groups, "groups", len(X)), train)
        self._fit_batch(batch, train=train)
        self._n_features_out = int(self.method_.embed(self._one_row()).shape[1])
        return self

    def _one_each(self, values: Any, name: str, tables: int) -> Sequence[Any]:
        if values is None:
            return [None] * tables
        listed = isinstance(values, list | tuple) and len(values) == tables
        if not listed or any(np.ndim(value) != 1 for value in values):
            raise ValueError(f"{name} must be a sequence of {tables} arrays, one a table, as X is of tables")
        each: Sequence[Any] = values
        return each

    def _joined(self, tables: Sequence[pd.DataFrame], ys: Sequence[Any], groups: Sequence[Any], train: bool) -> Batch:
        """The rows of all tables as one batch, filled up with missing cells to the widest."""
        parts, watched = [], []
        for table, schema, y, group in zip(tables, self.schemas_, ys, groups, strict=True):
            y, group, _ = self._in_order_of(table, y, group, None)
            batch = schema.to_batch(table, groups=group)
            parts.append(self._with_metadata(batch, y, None) if train else batch)
            watched.append(self.__dict__.pop("_watched_labels", None))
        if any(labels is not None for labels in watched):
            self._watched_labels = _codes(watched)
        width = max(part.x.shape[1] for part in parts)
        x = torch.cat([F.pad(part.x, (0, width - part.x.shape[1]), value=torch.nan) for part in parts])
        number = torch.cat([torch.full((len(part),), table) for table, part in enumerate(parts)])
        return Batch.of(
            x,
            y=_codes([part.y for part in parts]),
            groups=_codes([part.groups for part in parts]),
            extra={"table": number},
        )

    def _build(self, sizes: Sizes) -> Any:
        method = super()._build(sizes)
        if hasattr(self, "schema_"):
            method.read(self.schemas_)
        return method

    def fitted_state(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        """Facts and tensors for a model file."""
        facts, tensors = super().fitted_state()
        return {**facts, "further_schemas": [schema.to_config() for schema in self.further_schemas_]}, tensors

    def restore_fitted_state(self, facts: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
        """Inverse of :meth:`fitted_state`."""
        self.further_schemas_ = tuple(TableSchema.from_config(entry) for entry in facts["further_schemas"])
        super().restore_fitted_state(facts, tensors)


def _codes(parts: Sequence[torch.Tensor | None]) -> torch.Tensor | None:
    """Codes of the distinct values of each part, no code in two of them; None where one of them has no values."""
    codes, used = [], 0
    for part in parts:
        if part is None:
            return None
        found, own = torch.unique(part, return_inverse=True)
        codes.append(own + used)
        used += len(found)
    return torch.cat(codes)
