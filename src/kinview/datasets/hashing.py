"""Feeding arrays and DataFrames to a hash, so that equal contents hash equally and no two others read alike."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from hashlib import _Hash

__all__ = ["update"]


def update(digest: _Hash, values: Any) -> None:
    """Feed an array, a DataFrame or None to a hash, with its type and shape so that no two contents read alike.

    Cells of one column are told apart by type and value: ``1``, ``"1"``, ``True``, ``1.0`` and ``b"1"`` are five. What
    is missing (None, NaN, NaT, ``pd.NA``) is one: not observed.
    """
    if values is None:
        digest.update(b"none")
    elif isinstance(values, pd.DataFrame):
        digest.update(json.dumps([str(name) for name in values.columns]).encode())
        for name in range(values.shape[1]):
            _update_column(digest, values.iloc[:, name])
        if isinstance(values.index, pd.MultiIndex):
            for level in range(values.index.nlevels):
                _update_column(digest, values.index.get_level_values(level).to_series())
    else:
        _update_column(digest, pd.Series(np.asarray(values).ravel()))
        digest.update(str(np.shape(values)).encode())


def _update_column(digest: _Hash, column: pd.Series) -> None:
    dtype = column.dtype
    if isinstance(dtype, np.dtype) and not dtype.isnative:
        column = pd.Series(column.to_numpy().astype(dtype.newbyteorder("=")))
        dtype = column.dtype
    digest.update(f"{dtype} {len(column)}".encode())
    if isinstance(dtype, np.dtype) and dtype.kind in "biufmM":
        digest.update(np.ascontiguousarray(column.to_numpy()).tobytes())
        return
    codes, levels = pd.factorize(column)
    if (
        isinstance(dtype, np.dtype) and dtype.kind == "O" and not _are_texts(levels)
    ):  # where 1, True and 1.0 are equal, and so one level
        codes, levels = pd.factorize(column.map(_typed, na_action="ignore"))
        texts: list[Any] = [json.loads(level) for level in levels]
    elif isinstance(dtype, pd.CategoricalDtype) and not _are_texts(levels):
        texts = [json.loads(_typed(level)) for level in levels]
    else:  # text, or a type that says with its name what the text of a value means
        texts = [str(level) for level in levels]
    digest.update(codes.astype(np.int64).tobytes())
    digest.update(json.dumps(texts, ensure_ascii=False).encode())


def _are_texts(levels: Any) -> bool:
    return all(isinstance(level, str) for level in levels)


def _typed(value: Any) -> str:
    """A value as JSON: text as itself, all else as its type and how Python writes it, so that no two are alike."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        return json.dumps(str(value), ensure_ascii=False)
    return json.dumps([type(value).__name__, repr(value)], ensure_ascii=False)
