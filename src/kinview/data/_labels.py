"""Labels and groups that travel with the rows, as integer codes and tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Int64
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["encode_groups", "encode_labels", "integer_codes"]


def integer_codes(values: Any, n: int, name: str) -> NDArray[np.int64]:
    """Distinct values as 0, 1, ... in the order of first appearance.

    Raises
    ------
    ValueError
        If there is not one value a row, or one is missing.
    """
    codes, _ = pd.factorize(_column(values, n, name))
    if (codes < 0).any():
        raise ValueError(f"{name} is missing for {int((codes < 0).sum())} of {n} rows; every row needs one")
    return codes.astype(np.int64)


def encode_groups(groups: Any, n: int) -> Int64[Tensor, " n"] | None:
    """Groups as :func:`integer_codes`; None stays None."""
    return None if groups is None else torch.from_numpy(integer_codes(groups, n, "groups"))


def encode_labels(y: Any, n: int) -> Tensor | None:
    """Labels as a tensor: numbers as they are, anything else as codes of the sorted distinct values; None stays None.

    Raises
    ------
    ValueError
        If there is not one label a row, or a label that is no number is missing.
    """
    if y is None:
        return None
    values = _column(y, n, "y")
    if isinstance(values.dtype, np.dtype) and values.dtype.kind in "biuf":
        return torch.from_numpy(np.array(values, dtype=values.dtype.newbyteorder("=")))
    if values.isna().any():
        raise ValueError(f"y is missing for {int(values.isna().sum())} of {n} rows; every row needs one")
    codes, _ = pd.factorize(values.astype(str), sort=True)
    return torch.from_numpy(codes.astype(np.int64))


def _column(values: Any, n: int, name: str) -> pd.Series:
    if isinstance(values, Tensor):
        values = values.detach().cpu().numpy()
    extension = isinstance(values, pd.Series | pd.Index | pd.api.extensions.ExtensionArray)
    column = pd.Series(values if extension else np.asarray(values).ravel()).reset_index(drop=True)
    if len(column) != n:
        raise ValueError(f"{name} has {len(column)} entries for {n} rows; give one a row (a series counts as one)")
    return column
