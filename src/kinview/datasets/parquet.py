"""Parquet as a DataFrame whose numbers are numbers and whose codes are exact."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from kinview.datasets.cells import is_text, refuse_nul
from kinview.datasets.delimited import column_position

__all__ = ["read_parquet"]


def read_parquet(source: Path, codes: Sequence[str | int] = ()) -> pd.DataFrame:
    """Read a Parquet file; decimals are floats, and whole numbers with a gap in the columns of ``codes`` stay whole.

    Dates with a time zone are in UTC, as those of text are. Empty texts in the columns of ``codes`` are missing.
    An index with a name is a column that pandas had set aside; one without is a first column "", the names of the rows.

    Raises
    ------
    ValueError
        If it is none, has no rows, two columns of one name, or a text with a NUL character, at which many programs
        (pandas among objects) end a text: two could become one.
    """
    import pyarrow.parquet as pq
    from pyarrow import types

    try:
        schema = pq.read_schema(source)
        twice = [name for name, number in Counter(schema.names).items() if number > 1]
        frame = pd.DataFrame() if twice else pd.read_parquet(source)
    except (ValueError, OSError) as error:
        raise ValueError(f"{source} cannot be read as Parquet: {error}") from None
    if twice:
        raise ValueError(f"{source} has two columns named {twice[0]!r}; rename one")
    if len(frame) == 0:
        held = f"no rows (columns: {', '.join(map(str, frame.columns[:20]))})" if len(frame.columns) else "no columns"
        raise ValueError(f"{source} has {held}")
    if any(name is not None for name in frame.index.names) or isinstance(frame.index, pd.MultiIndex):
        frame = frame.reset_index()
    elif not (isinstance(frame.index, pd.RangeIndex) and frame.index.start in (0, 1) and frame.index.step == 1):
        names = frame.index
        frame = frame.reset_index(drop=True)
        frame.insert(0, "", names)
    for name, dtype in frame.dtypes.items():
        if isinstance(dtype, pd.DatetimeTZDtype):
            frame[name] = frame[name].dt.tz_convert(None)
    refuse_nul(frame, str(source))
    columns = [str(name) for name in frame.columns]
    exact = {frame.columns[column_position(columns, column, source)] for column in codes}
    for name in exact:
        if is_text(frame[name]):
            frame[name] = frame[name].mask(frame[name].str.strip() == "", None)
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
