"""What measurements of pairs share: the samples that have both sides, unit vectors, and where a partner stands."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int64

__all__ = ["Places", "both_sides", "codes_of", "partner_places", "unit"]

_BLOCK = 1024  # rows that are compared with all others at once


def both_sides(
    A: Float[np.ndarray, "n d"], B: Float[np.ndarray, "n d"], name: str
) -> tuple[Float[np.ndarray, "k d"], Float[np.ndarray, "k d"], Bool[np.ndarray, " n"]]:
    """Rows of both matrices, in float64, where neither has NaN, and which rows these are.

    Raises
    ------
    ValueError
        For anything but two matrices of one shape, or no such row; ``name`` says what needs them.
    """
    A, B = (np.asarray(Z, dtype=np.float64) for Z in (A, B))
    if A.ndim != 2 or A.shape != B.shape:
        raise ValueError(f"{name} needs two matrices (n, d) of one shape; got {A.shape} and {B.shape}")
    known = np.asarray(~np.isnan(np.hstack([A, B])).any(axis=1))
    if not known.any():
        raise ValueError(f"{name} needs a sample with both sides, and there is none among {len(known)}")
    return A[known], B[known], known


def codes_of(names: Any, n: int) -> Int64[np.ndarray, " n"]:
    """Numbers that say which of n rows are of one thing: those of one name; a row without one is of nothing else.

    Raises
    ------
    ValueError
        If there is not one name a row.

    Examples
    --------
    >>> codes_of(["a", None, "b", "a"], 4).tolist(), codes_of(None, 3).tolist()
    ([0, 5, 1, 0], [0, 1, 2])
    """
    if names is None:
        return np.arange(n)
    codes = pd.factorize(np.asarray(names))[0]
    if len(codes) != n:
        raise ValueError(f"names has {len(codes)} entries for {n} samples; give one a sample")
    return np.where(codes < 0, n + np.arange(n), codes)


def unit(Z: Float[np.ndarray, "n d"], *, zero: bool = False) -> Float[np.ndarray, "n d"]:
    """Rows of length 1.

    Raises
    ------
    ValueError
        For a row that is infinite, or zero; with ``zero`` that one stays as it is.
    """
    length = np.linalg.norm(Z, axis=1, keepdims=True)
    if not zero and not bool((np.isfinite(length) & (length > 0)).all()):
        raise ValueError("a projection is zero or not finite, and has no direction")
    found: np.ndarray = Z / np.where(length > 0, length, 1.0)
    return found


class Places(NamedTuple):
    """Of each row: how many are nearer than its best partner, as near as it, and how many of these are partners."""

    nearer: Int64[np.ndarray, " n"]
    alike: Int64[np.ndarray, " n"]
    partners: Int64[np.ndarray, " n"]


def partner_places(u: Float[np.ndarray, "n d"], v: Float[np.ndarray, "n d"], codes: Int64[np.ndarray, " n"]) -> Places:
    """Where the best partner of each row of u stands among the rows of v by its cosine; partners share their code.

    In blocks, so that memory does not grow with n².
    """
    parts = []
    for start in range(0, len(u), _BLOCK):
        block = slice(start, start + _BLOCK)
        cosines = np.round(u[block] @ v.T, 12)  # equal but for rounding is equal
        partners = codes[block, None] == codes[None, :]
        best = np.where(partners, cosines, -np.inf).max(axis=1, keepdims=True)
        alike = cosines == best
        parts.append((
            (cosines > best).sum(axis=1), alike.sum(axis=1), (alike & partners).sum(axis=1),
        ))  # fmt: skip
    return Places(*(np.concatenate(each) for each in zip(*parts, strict=True)))
