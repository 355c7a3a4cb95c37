"""Tables of every column type in, one batch ``(n, columns)`` out, by a schema learned on training rows."""

from __future__ import annotations

import dataclasses
import datetime
import sys
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float32
from torch import Tensor

from kinview.data._column_totals import ColumnTotals
from kinview.data._columns import Column, encode_column, fit_column, looks_like_ids
from kinview.data.alignment import in_order_of
from kinview.data.batch import Batch
from kinview.data.few_rows import FEWEST_ROWS
from kinview.data.labels import batch_labels
from kinview.data.scaling_rules import read_scaling
from kinview.data.sorted_columns import sorted_columns
from kinview.data.sources.base import refuse_source

__all__ = ["Column", "OtherColumnsError", "Rules", "TableSchema", "named_columns"]

Rules = Literal["dataset", "robust", "quantile"]
"""How numbers and dates are scaled."""

_GAINED = {"knots", "clip"}  # of a column, since kinview 0.1.0: in a description only where they say something
_OWN_CELLS = (str, Decimal, datetime.date, datetime.timedelta, np.datetime64, np.timedelta64, type(pd.NaT), type(pd.NA))


class OtherColumnsError(ValueError):
    """A table has other columns than the one that was fitted."""


@dataclasses.dataclass(frozen=True, eq=False)
class TableSchema:
    r"""Columns of a table, learned on training rows; turns tables into batches.

    Numbers, dates and booleans become :math:`(x - \mu)/\sigma`, computed in float64 and then cast, so dates and ids
    keep their digits; categories become the codes 1, ..., K, a category not seen at fit 0; missing is NaN in every
    column.

    Categories of fewer than 5 training rows share one code, the last of their column, because a name so rare might
    point to a person and is not to be in a saved model. Since such a name cannot be told from one never seen, every
    category that is not listed has this code in such a column. So a schema and its file encode alike, bit for bit.

    Parameters
    ----------
    columns : tuple of Column
        Kind, categories and statistics of each column.
    marginals : tuple of Tensor or None
        Observed training values of each column as they stand in ``Batch.x``, sorted, so that no row can be rebuilt;
        empty for a column never observed. None in a schema that was loaded: a saved model holds no training value.

    Examples
    --------
    >>> import pandas as pd
    >>> train = pd.DataFrame({"age": [40.0, None, 60.0] * 5, "sex": ["f", "m", None] * 5})
    >>> schema = TableSchema.fit(train)
    >>> schema.to_batch(pd.DataFrame({"sex": ["m", "x"], "age": [50, 70]})).x
    tensor([[0., 2.],
            [2., 0.]])
    >>> schema.cardinalities
    (0, 3)
    """

    columns: tuple[Column, ...]
    marginals: tuple[Float32[Tensor, " _"], ...] | None = None

    @classmethod
    def fit(
        cls,
        X: Any,
        *,
        text: Literal["refuse", "categorical"] = "refuse",
        scaling: Any = "dataset",
        feature_names: Sequence[str] | None = None,
        totals: Sequence[ColumnTotals] | None = None,
    ) -> Self:
        """Learn the schema of a training table.

        Parameters
        ----------
        X : DataFrame or array ``(n, columns)``
            DataFrame columns may be numeric, boolean, categorical, text, dates or durations, in numpy, nullable and
            Arrow dtypes; objects are looked at. Anything that offers ``to_pandas`` is accepted too.
        text : {"refuse", "categorical"}, default "refuse"
            What to do with text that is nearly all distinct (10 rows or more, 90 % distinct): ids and free text.
            Columns that are declared categorical are never refused.
        scaling : {"dataset", "robust", "quantile"} or mapping, default "dataset"
            Of numbers and dates: by mean and standard deviation, by median and interquartile range
            (:func:`~kinview.data.scaling_rules.robust_moments`), or by their quantile on the scale of a normal
            distribution (:func:`~kinview.data.scaling_rules.normal_scores`). ``{"robust": {"clip": 5}}`` cuts scaled
            values at ±5. A column observed in fewer than 5 rows, or whose quantiles are all equal, is standardised.
        feature_names : sequence of str, optional
            Column names of an array. Default ``x0``, ``x1``, ... A DataFrame has its own.
        totals : sequence of ColumnTotals, optional
            What all training rows say of each column, where X is a sample of them: kinds, categories, means and
            deviations are those of all, quantiles and ``marginals`` those of the sample.

        Raises
        ------
        ValueError
            No rows or columns, infinite or complex values, duplicate names, text as above.
        TypeError
            Sparse input, and objects that are not a number, text, date or boolean.

        Warns
        -----
        UserWarning
            If several categories of a column are all rarer than 5 rows: as one, they say nothing.
        """
        if text not in ("refuse", "categorical"):
            raise ValueError(f"text={text!r} is unknown; use 'refuse' or 'categorical'")
        rule, clip = read_scaling(scaling, Rules)
        names, values = _read(X)
        if feature_names is not None:
            _check_names(tuple(feature_names), names, len(values))
            names = tuple(feature_names)
        names = names or _default_names(len(values))
        known: list[dict[str, Any]] = [{}] * len(values) if totals is None else [column.known for column in totals]
        columns = tuple(
            fit_column(name, column, rule, clip, **of_all)
            for name, column, of_all in zip(names, values, known, strict=True)
        )
        ids = [c for c, column in zip(columns, values, strict=True) if text == "refuse" and looks_like_ids(c, column)]
        if ids:
            held = ", ".join(f"{c.name!r} ({len(c.categories)} distinct texts in {sum(c.counts)} rows)" for c in ids)
            raise ValueError(
                f"ids or free text in column(s) {held}: drop them, convert them (pandas.to_numeric, "
                f"pandas.to_datetime), or keep them as categories with text='categorical' (command line: "
                f"--drop {','.join(c.name for c in ids)}; kinview pretrain also takes --parameters.text categorical)"
            )
        columns = tuple(map(_with_rare_as_one, columns))
        encoded = _encode(columns, values)
        return cls(columns, tuple(sorted_columns(column[~column.isnan()]) for column in encoded.unbind(dim=1)))

    def to_batch(self, X: Any, *, y: Any = None, groups: Any = None) -> Batch:
        """Encode a table.

        Parameters
        ----------
        X : DataFrame or array ``(n, columns)``
            Columns are found by name where both sides have names, by position otherwise.
        y, groups : array-like, optional
            Label and group of each row; with an index that names the rows of X, in any order.

        Returns
        -------
        Batch
            ``x`` is ``(n, columns)`` float32.

        Raises
        ------
        ValueError
            Columns missing or extra, a column of another kind than at fit, infinite values.
        """
        names, values = _read(X)
        values = self._in_order(names, values)
        n = len(values[0])
        y, groups = in_order_of(X, y, "y"), in_order_of(X, groups, "groups")
        return Batch.of(_encode(self.columns, values), **batch_labels(y, groups, n))

    @property
    def names(self) -> tuple[str, ...]:
        """Column names."""
        return tuple(column.name for column in self.columns)

    @property
    def categorical(self) -> tuple[bool, ...]:
        """Whether each column holds category codes."""
        return tuple(column.kind == "categorical" for column in self.columns)

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """Codes of each categorical column, K + 1 with the one for unseen; 0 for the others."""
        return tuple(len(c.categories) + 1 if c.kind == "categorical" else 0 for c in self.columns)

    def to_config(self) -> dict[str, Any]:
        """Plain data for a saved model: no marginals, and no category of fewer than 5 training rows.

        Warns
        -----
        UserWarning
            If there are such categories, each with a code of its own: in a schema out of a pickle of kinview 0.1.0. In
            the file they share the code of the most frequent among them.
        """
        told_apart = [
            column.name for column in self.columns if sum(0 < count < FEWEST_ROWS for count in column.counts) > 1
        ]
        if told_apart:
            warnings.warn(
                f"column(s) {_listed(told_apart)}: the file does not tell categories of fewer than {FEWEST_ROWS} "
                f"training rows apart, as this model of kinview 0.1.0 does, so their rows get other embeddings; fit it "
                f"again",
                UserWarning,
                stacklevel=2,
            )
        return {"columns": [_without_rare(column) for column in self.columns]}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_config`, as far as that stores it.

        Raises
        ------
        ValueError
            If the description does not hold together.
        """
        columns = tuple(_column_from(dict(entry)) for entry in config["columns"])
        if not columns:
            raise ValueError("a schema needs at least one column")
        return cls(columns)

    def _in_order(self, names: tuple[str, ...] | None, values: list[pd.Series]) -> list[pd.Series]:
        expected = self.names  # made once: it walks over all columns
        anonymous = expected == _default_names(len(expected))
        if names is None or (anonymous and not set(names) & set(expected)):
            if len(values) != len(self.columns):
                raise ValueError(f"X has {len(values)} columns, but {len(self.columns)} at fit; give the same columns")
            return values
        position, known = {name: i for i, name in enumerate(names)}, set(expected)
        missing = [name for name in expected if name not in position]
        extra = [name for name in names if name not in known]
        if missing or extra:
            parts = [f"lacks the column(s) {_listed(missing)}"] if missing else []
            parts += [f"has the column(s) {_listed(extra)} that fit did not see"] if extra else []
            raise OtherColumnsError(f"X {' and '.join(parts)}; give the columns of fit: {_listed(expected)}")
        return [values[position[name]] for name in expected]


def _read(X: Any) -> tuple[tuple[str, ...] | None, list[pd.Series]]:
    """Names (None for an array) and columns."""
    refuse_source(X)
    if not isinstance(X, pd.DataFrame) and not isinstance(X, pd.Series) and hasattr(X, "to_pandas"):
        X = X.to_pandas()
    if isinstance(X, Tensor):
        X = X.detach().cpu().numpy()
    if isinstance(X, np.ma.MaskedArray):  # whose mask says what is missing
        kept = object if X.dtype.kind not in "biuf" else np.float64
        X = np.ma.filled(X.astype(kept), np.nan)
    if not isinstance(X, pd.DataFrame):
        if _has_cells_of_its_own(X):
            return None, [pd.Series(column, dtype=object) for column in np.asarray(X, dtype=object).T]
        from sklearn.utils.validation import check_array

        array = check_array(X, dtype="numeric", ensure_all_finite="allow-nan", input_name="X")
        return None, [pd.Series(column) for column in array.T]
    for axis, noun in enumerate(("sample", "feature")):
        if X.shape[axis] == 0:
            raise ValueError(f"Found array with 0 {noun}(s) (shape={X.shape}) while a minimum of 1 is required.")
    names = tuple(str(name) for name in X.columns)
    if len(set(names)) < len(names):
        twice = [name for name, count in Counter(names).items() if count > 1]
        raise ValueError(f"X has more than one column named {_listed(twice)}; rename them")
    return names, [X.iloc[:, i] for i in range(X.shape[1])]


def named_columns(X: Any) -> pd.DataFrame:
    """A table as a DataFrame whose columns are named by text, ``x0``, ``x1``, ... where the container has no names.

    Raises
    ------
    ValueError
        For two columns of one name, no row or no column, and what is no table.
    """
    names, columns = _read(X)
    return pd.DataFrame(dict(zip(names or _default_names(len(columns)), columns, strict=True)))


def _check_names(given: tuple[str, ...], found: tuple[str, ...] | None, number: int) -> None:
    if len(set(given)) != number:
        raise ValueError(f"feature_names has {len(set(given))} different names for {number} columns; give one a column")
    if found is not None and found != given:
        raise ValueError(f"feature_names {_listed(given)} are not the columns of X, {_listed(found)}; leave them out")


def _has_cells_of_its_own(X: Any) -> bool:
    """Whether an array holds cells that scikit-learn cannot read as numbers, and a column can: text, dates, NA, ..."""
    array = X if isinstance(X, np.ndarray) else np.asarray(X, dtype=object) if isinstance(X, list | tuple) else None
    if array is None or array.ndim != 2 or array.size == 0:
        return False
    return array.dtype.kind in "US" or (array.dtype == object and any(map(_is_of_its_own, array.flat)))


def _is_of_its_own(cell: Any) -> bool:
    return isinstance(cell, _OWN_CELLS) or (isinstance(cell, int) and abs(cell) > sys.float_info.max)


def _encode(columns: Sequence[Column], values: Sequence[pd.Series]) -> Float32[Tensor, "n F"]:
    x = np.empty((len(values[0]), len(columns)), dtype=np.float32)
    for i, (column, series) in enumerate(zip(columns, values, strict=True)):
        x[:, i] = encode_column(column, series)
    return torch.from_numpy(x)


def _with_rare_as_one(column: Column) -> Column:
    """The column with one code, the last, for all categories of fewer than 5 rows; it has no name."""
    kept = [(name, count) for name, count in zip(column.categories, column.counts, strict=True) if count >= FEWEST_ROWS]
    rare = len(column.categories) - len(kept)
    if not rare:
        return column
    if not kept and rare > 1:
        warnings.warn(
            f"column {column.name!r} has {rare} categories, none of {FEWEST_ROWS} training rows or more: they count as "
            f"one, so the column says no more than where it is missing; merge categories, or drop it",
            UserWarning,
            stacklevel=4,
        )
    names, counts = [name for name, _ in kept], [count for _, count in kept]
    return dataclasses.replace(column, categories=(*names, None), counts=(*counts, 0), other=len(kept) + 1)


def _without_rare(column: Column) -> dict[str, Any]:
    entry = {name: value for name, value in dataclasses.asdict(column).items() if name not in _GAINED or value}
    rare = [code for code, count in enumerate(column.counts, start=1) if 0 < count < FEWEST_ROWS]
    if rare:
        gone = set(rare)
        codes = range(1, len(column.categories) + 1)
        entry["other"] = max(rare, key=lambda code: (column.counts[code - 1], -code))
        entry["categories"] = [None if code in gone else column.categories[code - 1] for code in codes]
        entry["counts"] = [0 if code in gone else column.counts[code - 1] for code in codes]
    return entry | {"categories": list(entry["categories"]), "counts": list(entry["counts"])}


def _column_from(entry: dict[str, Any]) -> Column:
    known = {field.name for field in dataclasses.fields(Column)}
    if set(entry) | _GAINED != known:
        raise ValueError(f"a column is described by {_listed(sorted(known))}, got {_listed(sorted(entry))}")
    for name in ("categories", "counts", "knots"):
        entry[name] = tuple(entry.get(name, ()))
    column = Column(**entry)
    sound = (
        column.kind in ("numeric", "boolean", "categorical", "datetime")
        and len(column.categories) == len(column.counts)
        and 0 <= column.other <= len(column.categories)
        and bool(np.isfinite([column.median, column.mean, column.scale]).all())
        and column.scale > 0
        and bool(np.isfinite(column.knots).all() and (np.diff(column.knots) >= 0).all())
        and (column.clip is None or column.clip > 0)
    )
    if not sound:
        raise ValueError(f"the description of column {column.name!r} does not hold together: {column}")
    return column


def _default_names(number: int) -> tuple[str, ...]:
    return tuple(f"x{i}" for i in range(number))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))
