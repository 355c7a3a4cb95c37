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
    """Feed an array, a DataFrame or None to a hash, with its type and shape so that no two contents read alike."""
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
    else:
        codes, levels = pd.factorize(column)
        digest.update(codes.astype(np.int64).tobytes())
        digest.update(json.dumps([str(level) for level in levels], ensure_ascii=False).encode())
