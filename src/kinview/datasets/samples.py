"""Samples as a reader returns them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kinview.data.alignment import in_order_of
from kinview.data.modality import SERIES, TABLE, Modality
from kinview.datasets._static import named_static, static_table

if TYPE_CHECKING:
    from kinview.data.paired import PairedData

__all__ = ["Samples", "n_samples", "named_classes", "plain", "series_codes"]


@dataclasses.dataclass(frozen=True, eq=False)
class Samples:
    """Samples as a reader finds them, not yet split.

    Parameters
    ----------
    X : ndarray or DataFrame
        Time series ``(n, C, T)``, NaN = not observed, shorter series padded with NaN at the end; or, where series have
        their own time stamps, a DataFrame with a MultiIndex ``(series, time)`` and one column a channel. Tables: a
        DataFrame with one row a sample; its index has a name (several: a tuple of names) where it names the samples.
    y : ndarray, optional
        Label of each sample ``(n,)``: integers, floats (regression), booleans or text. Where some samples have no
        label: floats with NaN, or objects with None. A Series whose index names the samples may be in any order.
    groups : ndarray, optional
        Group (patient, subject) of each sample ``(n,)``, as ``y``.
    modality : {"time_series", "tabular"}
    static : DataFrame, optional
        What is known of each sample besides X (sex, age, site), ``(n, columns)``: no encoder sees it. Where its index
        names the samples it may be in any order; its index becomes the names of the samples.
    """

    X: Any
    y: NDArray[Any] | None = None
    groups: NDArray[Any] | None = None
    modality: Modality = SERIES
    static: pd.DataFrame | None = None

    def __post_init__(self) -> None:
        for name in ("y", "groups"):
            object.__setattr__(self, name, plain(self.X, getattr(self, name), name))
        object.__setattr__(self, "static", static_table(self.X, self.static, len(self), "static"))

    def __len__(self) -> int:
        return n_samples(self.X, self.modality)

    def rows(self, i: NDArray[np.int64]) -> Samples:
        """The given samples, in their order in the file."""
        i = np.sort(i)
        X = _take(self.X, i, self.modality)
        return Samples(
            X,
            None if self.y is None else self.y[i],
            None if self.groups is None else self.groups[i],
            self.modality,
            named_static(X, None if self.static is None else self.static.iloc[i]),
        )

    def pairs(self, columns: Sequence[str] | None = None) -> PairedData:
        """The samples and what is known of them besides, as pairs: X, and static columns as a table.

        The sides are called ``series`` and ``table``; of a table ``table`` and ``static``. A channel or column of X
        that is among them too stays on their side alone: it would give the partner away (PhysioNet 2012: age).

        Parameters
        ----------
        columns : sequence of str, optional
            Static columns to take; by default all of them.

        Raises
        ------
        ValueError
            If there are no static columns, not those that are named, or X has no others.
        """
        from kinview.data.paired import PairedData

        if self.static is None:
            raise ValueError(
                "there are no static columns to make pairs with; name them when the data are read (static=['age', "
                "'sex'])"
            )
        if isinstance(columns, str):
            raise ValueError(
                f"columns must be a list of names of static columns, such as [{columns!r}]; got {columns!r}"
            )
        absent = [name for name in columns or () if name not in self.static.columns]
        if absent:
            there = ", ".join(map(str, self.static.columns))
            raise ValueError(f"there is no static column {absent[0]!r} to make pairs with; there are: {there}")
        other = self.static if columns is None else self.static[list(columns)]
        X = self.X
        if isinstance(X, pd.DataFrame):
            twice = [column for column in X.columns if str(column) in set(map(str, other.columns))]
            if len(twice) == X.shape[1]:
                shown = ", ".join(map(str, twice))
                raise ValueError(
                    f"each column of X is a static column of the other side too ({shown}), so there is one side alone; "
                    "leave some out of the static columns"
                )
            X = X.drop(columns=twice)
        names = ("series", "table") if self.modality == SERIES else ("table", "static")
        return PairedData(dict(zip(names, (X, other), strict=True)))

    @property
    def strata(self) -> NDArray[Any] | None:
        """What a cut is stratified by ``(n,)``: the class of each sample, those without one a class of their own.

        None without labels and for float labels (regression).
        """
        if self.y is None or self.y.dtype.kind == "f":
            return None
        return pd.factorize(self.y, use_na_sentinel=False)[0] if self.y.dtype == object else self.y

    def as_classes(self) -> Samples:
        """The samples with labels that are numbers as classes, which have their text as names: see :class:`Dataset`.

        Cut by :func:`split`, each class is then in both parts in proportion.
        """
        return dataclasses.replace(self, y=named_classes(self.y))


def plain(X: Any, values: Any, name: str) -> NDArray[Any] | None:
    """Labels or groups as an array in the order of the samples; missing ones among objects are None."""
    if values is None or type(values) is np.ndarray:
        return values
    ordered = in_order_of(X, values, name)
    nullable = pd.api.types.is_integer_dtype(ordered) and bool(pd.isna(ordered).any())  # which NumPy would make floats
    found = np.array(ordered, dtype=object) if nullable else np.array(ordered)
    if found.dtype == object:
        found[np.asarray(pd.isna(found))] = None
    return found


def named_classes(y: NDArray[Any] | None) -> NDArray[Any] | None:
    """Floats as text, a missing one as None; other labels as they are."""
    if y is None or y.dtype.kind != "f":
        return y
    names = np.array([None if np.isnan(label) else repr(label) for label in y.tolist()], dtype=object)
    return names if None in names.tolist() else names.astype(np.str_)


def n_samples(X: Any, modality: Modality) -> int:
    """Number of series or rows."""
    if modality == SERIES and isinstance(X, pd.DataFrame):
        return int(series_codes(X).max(initial=-1)) + 1
    return len(X)


def series_codes(X: pd.DataFrame) -> NDArray[np.int64]:
    """Number of the series of each row, in the order of first appearance."""
    if not isinstance(X.index, pd.MultiIndex):
        raise ValueError("time series in a DataFrame need a MultiIndex (series, time), one row a step")
    return pd.factorize(X.index.droplevel(-1))[0].astype(np.int64)


def _take(X: Any, i: NDArray[np.int64], modality: Modality) -> Any:
    if isinstance(X, np.ndarray):
        return X[i]
    if modality == TABLE:
        return X.iloc[i] if X.index.name is not None else X.iloc[i].reset_index(drop=True)
    kept = X[np.isin(series_codes(X), i)]
    return kept.set_axis(kept.index.remove_unused_levels(), axis=0)
