"""Time series or tables: which of the two data are, what people call them, and who reads which."""

from __future__ import annotations

from typing import Any, Final, Literal

import numpy as np
import pandas as pd

__all__ = [
    "FEATURE",
    "NOUNS",
    "PAIRED",
    "SAMPLE",
    "SERIES",
    "TABLE",
    "Modality",
    "check_modality",
    "check_samples",
    "is_nested",
    "is_series",
    "modality_of",
]

Modality = Literal["time_series", "tabular"]

SERIES: Final = "time_series"
TABLE: Final = "tabular"
PAIRED: Final = "paired"  # samples with two sides: what methods of pairs read

NOUNS = {SERIES: "time series", TABLE: "tables", PAIRED: "pairs", "embedding": "embeddings", "any": "any data"}
SAMPLE = {SERIES: "series", TABLE: "row"}
FEATURE = {SERIES: "channel", TABLE: "column", "embedding": "dimension"}

_EXPECTED = {
    SERIES: "give series as (n, channels, time) (write X[:, None, :] for an array of n series of one channel), or a "
    "method of tables such as 'scarf'",
    TABLE: "give rows as (n, columns), or a method of time series such as 'ts2vec'",
}


def modality_of(X: Any) -> Modality:
    """Modality of the data in a container.

    Series are 3-D arrays, lists of arrays or frames, and frames with a MultiIndex or nested cells; everything else is a
    table. Lists of numbers of one length are rows of a table too, as everywhere in scikit-learn.

    Examples
    --------
    >>> modality_of([[1.0, 2.0], [3.0, 4.0]]), modality_of([[1.0, 2.0], [3.0]])
    ('tabular', 'time_series')
    """
    if isinstance(X, pd.DataFrame | pd.Series):
        return SERIES if isinstance(X.index, pd.MultiIndex) or is_nested(X) else TABLE
    if getattr(X, "modality", None) in (SERIES, TABLE):  # a source
        return SERIES if X.modality == SERIES else TABLE
    if isinstance(X, list | tuple):
        return TABLE if _are_rows(X) else SERIES
    return SERIES if getattr(X, "ndim", 2) == 3 else TABLE


def is_nested(X: Any) -> bool:
    """Whether X is a frame whose cells are series."""
    return isinstance(X, pd.DataFrame) and any(_holds_series(X.iloc[:, i]) for i in range(X.shape[1]))


def _holds_series(column: pd.Series) -> bool:
    """Whether some cell is a series; cells are looked at one by one only where pandas finds no kind that all have."""
    if column.dtype != object or len(column) == 0:
        return False
    if is_series(column.iloc[0]):
        return True
    return pd.api.types.infer_dtype(column, skipna=True).startswith("mixed") and any(map(is_series, column))


def is_series(cell: Any) -> bool:
    """Whether a cell of a frame holds a series and not a value."""
    return isinstance(cell, pd.Series | np.ndarray | list | tuple)


def check_modality(name: str, reads: str | None, found: str, where: str, verb: str = "reads", hint: str = "") -> None:
    """Refuse data of another modality than what a part reads; one that declares none (None) is taken at its word.

    Raises
    ------
    ValueError
        What the part reads, and what there is.
    """
    if reads not in (None, "any", found):
        raise ValueError(f"{name} {verb} {NOUNS[reads]}, and {where} holds {NOUNS[found]}{hint}")


def check_samples(name: str, reads: str, X: Any, n_labels: int) -> None:
    """Refuse labelled samples of another modality, as :func:`check_modality`, before they are misread.

    A frame whose MultiIndex names the rows (patient, visit) may be a table; then it has a label a row.
    """
    found, shape = modality_of(X), getattr(X, "shape", None)
    long_table = isinstance(X, pd.DataFrame) and isinstance(X.index, pd.MultiIndex) and len(X) == n_labels
    no_table = found == TABLE and not isinstance(X, pd.DataFrame | list | tuple) and getattr(X, "ndim", 0) != 2
    if not long_table and not no_table:  # what is neither is refused by the reader
        container = type(X).__name__ + ("" if shape is None else f" of shape {tuple(shape)}")
        check_modality(name, reads, found, f"X, a {container},", hint=f": {_EXPECTED.get(reads)}")


def _are_rows(X: Any) -> bool:
    first = X[0] if len(X) else None
    return (
        isinstance(first, list | tuple)
        and len(first) > 0
        and all(isinstance(value, str) or np.ndim(value) == 0 for value in first)
        and all(isinstance(row, list | tuple) and len(row) == len(first) for row in X)
    )
