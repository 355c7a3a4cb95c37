"""Which columns of a file in long format are measurements."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kinview.datasets.ambiguous import are_days
from kinview.datasets.delimited import TextFormat
from kinview.datasets.features import constant_within, is_row_number, numbers_rows
from kinview.datasets.nearly import refuse_nearly_numbers
from kinview.datasets.rows import Rows

__all__ = ["is_numeric", "measurements"]


def measurements(
    frame: pd.DataFrame, series: NDArray[np.int64], taken: set[Any], source: str, format: TextFormat, rows: Rows
) -> list[Any]:
    """Numeric columns that may be measurements; a warning lists the others."""
    free = [column for column in frame.columns if column not in taken and column != ""]
    numeric = [column for column in free if is_numeric(frame[column])]
    texts = frame[[column for column in free if column not in numeric]]
    refuse_nearly_numbers(
        texts,
        source,
        "or leave the column out (columns= names the others)",
        decimal=format.decimal,
        thousands=format.thousands,
        rows=rows,
        categories=False,
    )
    constant = constant_within(frame[numeric], series)
    numbering = [
        column for column in numeric if column not in constant and is_row_number(_floats(frame[column]), str(column))
    ]
    days = [column for column in numeric if column not in (*constant, *numbering) and are_days(_floats(frame[column]))]
    left_out = {
        "no numbers": [column for column in free if column not in numeric],
        "one value in each id": constant,
        "numbers of rows": numbering,
        "days written as whole numbers": days,
    }
    why = "; ".join(f"{', '.join(map(str, names))} ({reason})" for reason, names in left_out.items() if names)
    channels = [column for column in numeric if column not in (*constant, *numbering, *days)]
    if not channels:
        also = f"; left out: {why}" if why else ""
        raise ValueError(
            f"{source} has no numeric column besides id, time, label and group; name the channels (columns=){also}"
        )
    unsure = [str(column) for column in channels if numbers_rows(_floats(frame[column]), series, str(column))]
    if unsure:
        warnings.warn(
            f"{source}: {', '.join(map(repr, unsure))} may number the rows, since no whole number stands twice or they "
            f"only grow over the file, and {'is a channel' if len(unsure) == 1 else 'are channels'} now; name the "
            f"channels to leave out what is no measurement (columns=)",
            UserWarning,
            stacklevel=4,
        )
    if why:
        warnings.warn(
            f"{source}: these columns are no channels: {why}; name the channels to choose them yourself (columns=)",
            UserWarning,
            stacklevel=4,
        )
    return channels


def _floats(column: pd.Series) -> NDArray[np.float64]:
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def is_numeric(column: pd.Series) -> bool:
    """Whether a column holds numbers or booleans, also as objects (decimals, booleans with a gap)."""
    if pd.api.types.is_numeric_dtype(column.dtype):
        return True
    return column.dtype == object and pd.api.types.infer_dtype(column, skipna=True) in ("decimal", "boolean", "empty")
