"""Tables as scikit-learn's transformers take them: their columns are counted and named at fit, and found again."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import validate_data

from kinview.data.batch import Batch
from kinview.data.table import TableSchema

__all__ = ["TableColumns", "tags_of_tables"]


class TableColumns:
    """What estimators share that read tables.

    Attributes
    ----------
    schema_ : TableSchema
        Columns of fit, and how each is encoded.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str
        Their names, where they are all text.
    """

    schema_: TableSchema
    n_features_in_: int
    feature_names_in_: np.ndarray

    def _learn_columns(self, X: Any, **reading: Any) -> None:
        """Learn the columns of training rows; ``reading`` says how, as of :meth:`TableSchema.fit`."""
        self._forget_columns()
        self.schema_ = TableSchema.fit(X, **reading)
        validate_data(self, X, skip_check_array=True)  # records the number and the names of the columns

    def _forget_columns(self) -> None:
        for name in ("schema_", "n_features_in_", "feature_names_in_"):
            self.__dict__.pop(name, None)

    def _rows(self, X: Any, *, groups: Any = None) -> Batch:
        """Rows, encoded with the columns of fit."""
        # the columns of a frame are found by name, those of an array are counted; pickles of 0.1.0 counted none
        if not hasattr(X, "columns") and hasattr(self, "n_features_in_"):
            validate_data(self, X, reset=False, dtype=None, ensure_all_finite="allow-nan")
        return self.schema_.to_batch(X, groups=groups)

    def _columns_state(self) -> dict[str, Any]:
        """Facts about the columns for a model file."""
        return {"schema": self.schema_.to_config(), "named": hasattr(self, "feature_names_in_")}

    def _restore_columns(self, facts: dict[str, Any]) -> None:
        """Inverse of :meth:`_columns_state`; files of 0.1.0 do not always say whether the columns were named."""
        self.schema_ = TableSchema.from_config(facts["schema"])
        self.n_features_in_ = len(self.schema_.columns)
        if facts.get("named", False):
            self.feature_names_in_ = np.asarray(self.schema_.names, dtype=object)

    def __sklearn_tags__(self) -> Any:
        return tags_of_tables(super().__sklearn_tags__())  # type: ignore[misc]


def tags_of_tables(tags: Any) -> Any:
    """scikit-learn's tags of what reads gaps, categories and text, and gives float32 whatever comes in."""
    tags.input_tags.allow_nan = True
    tags.input_tags.categorical = True
    tags.input_tags.string = True
    if tags.transformer_tags is not None:
        tags.transformer_tags.preserves_dtype = []
    return tags
