"""Both parts of a data set in one container, and the names of its samples."""

from __future__ import annotations

import json
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kinview.data.modality import SERIES, TABLE, Modality

__all__ = ["joined", "names_of", "same_categories", "series_names", "together"]


def together(train: NDArray[Any] | None, test: NDArray[Any] | None) -> NDArray[Any] | None:
    """Labels or groups of both parts; None where a part has none."""
    return None if train is None or test is None else np.concatenate([train, test])


def joined(train: Any, test: Any, modality: Modality) -> Any:
    """The samples of both parts in one container."""
    if not isinstance(train, pd.DataFrame):
        if train.ndim == 3:
            length = max(train.shape[2], test.shape[2])
            train, test = (_padded(X, length) for X in (train, test))
        return np.concatenate([train, test])
    train, test = same_categories(train, test)
    if modality == TABLE:
        return pd.concat([train, test], ignore_index=train.index.name is None or test.index.name is None)
    if set(series_names(train)) & set(series_names(test)):
        train, test = _renamed(train, "train"), _renamed(test, "test")
    return pd.concat([train, test])


def _renamed(X: pd.DataFrame, part: str) -> pd.DataFrame:
    """The frame with the part in the name of each series; what stands before it (a group) stays."""
    index = cast(pd.MultiIndex, X.index)
    place = index.nlevels - 2
    levels = [f"{part}[{name}]" for name in index.levels[place]]
    return X.set_axis(index.set_levels(levels, level=place), axis=0)


def same_categories(train: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both frames with the same categories in each categorical column, which pandas would otherwise make objects."""
    changed: dict[int, tuple[Any, Any]] = {}
    for i in range(train.shape[1]):
        one, other = train.iloc[:, i].dtype, test.iloc[:, i].dtype
        if not isinstance(one, pd.CategoricalDtype) or not isinstance(other, pd.CategoricalDtype):
            continue
        if one != other and not (one.ordered or other.ordered):
            kind = pd.CategoricalDtype(one.categories.append(other.categories.difference(one.categories)))
            changed[i] = (train.iloc[:, i].astype(kind), test.iloc[:, i].astype(kind))
    for place in (0, 1) if changed else ():
        frame = (train, test)[place].copy()
        for i, columns in changed.items():
            frame.isetitem(i, columns[place])
        train, test = (frame, test) if place == 0 else (train, frame)
    return train, test


def series_names(X: pd.DataFrame) -> pd.Index:
    """Name of each series, in the order of first appearance."""
    names = cast(pd.MultiIndex, X.index).droplevel(-1)
    return names[~names.duplicated()]


def names_of(X: Any, modality: Modality) -> list[str] | None:
    """Names of the samples as text; None where nothing names them."""
    if not isinstance(X, pd.DataFrame) or (modality == TABLE and X.index.name is None):
        return None
    names = series_names(X) if modality == SERIES else X.index
    plain = [name if isinstance(name, tuple) else (name,) for name in names]
    return [str(name[0]) if len(name) == 1 else json.dumps([str(level) for level in name]) for name in plain]


def _padded(X: NDArray[Any], length: int) -> NDArray[Any]:
    return np.pad(X, ((0, 0), (0, 0), (0, length - X.shape[2])), constant_values=np.nan) if X.shape[2] < length else X
