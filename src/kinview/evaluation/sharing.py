"""A copy of a result store to pass on, with or without the names of the samples."""

from __future__ import annotations

import hashlib
import os
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kinview.evaluation._database import (
    checked_predictions,
    explained,
    make_engine,
    missing_columns,
    predictions_row,
    tables,
)
from kinview.evaluation.predictions import SCORE, Predictions
from kinview.evaluation.store import Store

if TYPE_CHECKING:
    import pandas as pd
    import sqlalchemy as sa

__all__ = ["export_store"]

_LEFT_OUT = "left out, because a message may quote the data"


def export_store(store: Store, path: str | os.PathLike[str], *, without_ids: bool = False) -> Path:
    """Write a copy of a store as one SQLite file, whole or not at all.

    Parameters
    ----------
    store : Store
        The results, in SQLite or PostgreSQL.
    path : path
        The new file. One that is there is never replaced.
    without_ids : bool, default False
        Put a code in place of the name of each sample and of each group, the same in all cells of a data set, and sort
        the samples of a cell by it; leave out the messages of failed cells, which may quote the data. The codes are
        hashes under a key that is kept nowhere, so they lead back to no name.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    FileExistsError
        If the file is there.
    ValueError
        If a cell's predictions are damaged.

    Notes
    -----
    Labels, predictions and scores of each sample stay: everything that is computed from predictions comes out the same,
    intervals over patients too. Where few people could have been among the samples, an outcome may tell who one is.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = Store(f"{folder}/results.db")
    ...     cell = dict(dataset="ward", method="raw", probe="linear", seed=0, status="ok", accuracy=1.0)
    ...     said = Predictions(["anna", "ben"], np.array([0, 1]), np.array([0, 1]), np.eye(2), np.array([0, 1]))
    ...     store.add("0a", cell, predictions=said)
    ...     copy = Store(export_store(store, f"{folder}/shared.db", without_ids=True).as_posix())
    ...     copy.frame()["accuracy"].tolist(), sorted(copy.predictions()["y"]), "anna" in copy.predictions().to_string()
    ([1.0], ['0', '1'], False)
    """
    target = Path(path)
    _refuse_existing(target)
    key = secrets.token_bytes(32)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".kinview-export-") as folder:
        copy = Store(str(Path(folder, "store.db")))
        source, destination = make_engine(store.url), make_engine(copy.url)
        with explained(store.url), source.connect() as reading, destination.begin() as writing:
            datasets = {row["hash"]: row["dataset"] for row in _rows(reading, tables()["cells"])}
            for name in ("cells", "plans", "predictions"):
                for row in _rows(reading, tables()[name]):
                    if without_ids and name == "cells" and row["message"] is not None:
                        row["message"] = _LEFT_OUT
                    if without_ids and name == "predictions":
                        row = _without_names(row, str(datasets.get(row["hash"])), key, source)
                    writing.execute(tables()[name].insert(), row)
        with destination.connect() as connection:  # one file, without a log beside it
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.exec_driver_sql("PRAGMA journal_mode = DELETE")
        _refuse_existing(target)  # one may have appeared meanwhile
        Path(folder, "store.db").replace(target)
    return target


def _refuse_existing(target: Path) -> None:
    if target.exists():
        raise FileExistsError(f"{target} is there already, and an export replaces no file; give another name")


def _rows(connection: sa.Connection, table: sa.Table) -> Iterator[dict[str, Any]]:
    """The rows of a table; a store to read only may be of an earlier schema, and lack some columns or the table."""
    import sqlalchemy as sa

    if not sa.inspect(connection).has_table(table.name):
        return
    absent = missing_columns(connection) if table.name == "cells" else []
    columns = [column for column in table.columns if column.name not in absent]
    for row in connection.execute(sa.select(*columns)):
        yield dict(row._mapping)


def _without_names(row: Mapping[str, Any], dataset: str, key: bytes, source: sa.Engine) -> dict[str, Any]:
    """The predictions of a cell with codes for names, sorted by them."""
    from types import SimpleNamespace

    table = checked_predictions(SimpleNamespace(**row), source.url.render_as_string())

    def codes(column: pd.Series, what: str) -> list[Any]:
        return [None if one is None else _code(key, dataset, what, str(one)) for one in column.tolist()]

    samples = np.array(codes(table["sample"], "sample"))
    order = np.argsort(samples, kind="stable")
    scores = [name for name in table.columns if name.startswith(SCORE)]
    groups = None if table["group"].isna().all() else np.array(codes(table["group"], "group"), dtype=object)[order]
    made = Predictions(
        samples[order].tolist(),
        table["y"].to_numpy()[order],
        table["predicted"].to_numpy()[order],
        table[scores].to_numpy(dtype=np.float64)[order],
        np.array([name.removeprefix(SCORE) for name in scores]),
        groups,
    )
    return predictions_row(row["hash"], made)


def _code(key: bytes, *parts: str) -> str:
    content = "".join(f"{len(part)}:{part}" for part in parts).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(content, key=key, digest_size=8).hexdigest()
