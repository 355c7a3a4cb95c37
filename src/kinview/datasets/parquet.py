"""Parquet as a DataFrame whose numbers are numbers and whose codes are exact."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from kinview.datasets.delimited import column_position

__all__ = ["read_parquet"]


def read_parquet(source: Path, codes: Sequence[str | int] = ()) -> pd.DataFrame:
    """Read a Parquet file; decimals are floats, and whole numbers with a gap in the columns of ``codes`` stay whole.

    An index with a name is a column that pandas had set aside; one without is a first column "", the names of the rows.

    Raises
    ------
    ValueError
        If it is none.
    """
    import pyarrow.parquet as pq
    from pyarrow import types

    try:
        frame = pd.read_parquet(source)
        schema = pq.read_schema(source)
    except (ValueError, OSError) as error:
        raise ValueError(f"{source} cannot be read as Parquet: {error}") from None
    if any(name is not None for name in frame.index.names) or isinstance(frame.index, pd.MultiIndex):
        frame = frame.reset_index()
    elif not isinstance(frame.index, pd.RangeIndex):
        names = frame.index
        frame = frame.reset_index(drop=True)
        frame.insert(0, "", names)
    columns = [str(name) for name in frame.columns]
    exact = {frame.columns[column_position(columns, column, source)] for column in codes}
    for name in frame.columns:
        place = schema.get_field_index(str(name))
        kind = None if place < 0 else schema.field(place).type
        if kind is None:
            continue
        if types.is_integer(kind) and name in exact and frame[name].dtype.kind == "f":
            cells = pq.read_table(source, columns=[str(name)]).column(0).to_pylist()  # pandas made them floats
            frame[name] = pd.array(cells, dtype="UInt64" if str(kind).startswith("u") else "Int64")
        elif types.is_decimal(kind) and name not in exact:
            frame[name] = frame[name].astype(np.float64)
    return frame
