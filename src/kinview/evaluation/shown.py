"""What a benchmark says of its cells, their names and splits: beside the results in the store, and no part of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kinview.evaluation._database import insert_into, tables
from kinview.files import canonical_json, parse_json

if TYPE_CHECKING:
    import pandas as pd
    import sqlalchemy as sa

__all__ = ["NAMED", "read_shown", "with_drawn_splits", "with_names", "write_shown"]

NAMED = ("method", "probe")
"""Columns that may hold a name in place of the label of a configuration."""


def write_shown(connection: sa.Connection, benchmark: str, shown: Mapping[str, Mapping[str, Any]]) -> None:
    """Replace what a benchmark shows."""
    table = tables()["shown"]
    connection.execute(table.delete().where(table.c.benchmark == benchmark))
    rows = [
        {"benchmark": benchmark, "hash": key, "content": canonical_json(value)} for key, value in sorted(shown.items())
    ]
    if rows:
        insert = insert_into(connection.dialect.name)(table)  # another run may write the same names at the same time
        content = {"content": insert.excluded.content}
        connection.execute(insert.on_conflict_do_update(index_elements=["benchmark", "hash"], set_=content), rows)


def read_shown(connection: sa.Connection, benchmark: str) -> dict[str, dict[str, Any]]:
    """What a benchmark shows of its cells, by their hash."""
    import sqlalchemy as sa

    table = tables()["shown"]
    found = connection.execute(sa.select(table.c.hash, table.c.content).where(table.c.benchmark == benchmark))
    return {row.hash: parse_json(row.content, "what a benchmark shows of a cell") for row in found}


def with_names(frame: pd.DataFrame, shown: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """The frame of a benchmark with its names in ``method`` and ``probe``.

    Where it has sweeps, the column ``sweeps`` says in JSON of which a method is a variant, and by which values.
    """
    known = [shown.get(key, {}) for key in frame["hash"]]
    for column in NAMED:
        if any(column in one for one in known):
            frame[column] = [one.get(column, label) for one, label in zip(known, frame[column], strict=True)]
    if any("sweeps" in one for one in known):
        frame["sweeps"] = [canonical_json(one["sweeps"]) if "sweeps" in one else None for one in known]
    return frame


def with_drawn_splits(frame: pd.DataFrame, shown: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """The frame of a benchmark with ``drawn_split``, in JSON how a test part was drawn, where one was."""
    drawn = [shown.get(key, {}).get("drawn_split") for key in frame["hash"]]
    if any(one is not None for one in drawn):
        frame["drawn_split"] = [None if one is None else canonical_json(one) for one in drawn]
    return frame
