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

from kinview.evaluation._database import checked_predictions, predictions_row, tables
from kinview.evaluation.predictions import SCORE, Predictions
from kinview.evaluation.store import Store
from kinview.evaluation.validation import text_of
from kinview.files import parse_json

if TYPE_CHECKING:
    import pandas as pd

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
        If a cell's predictions are damaged; or, without ids, if the configuration of a cell names a group or a sample
        (``subgroup`` with a patient in ``where``): it is what the cell's key is made of, and cannot be taken out; or if
        a benchmark, or a method or probe in one, is called by such a name.

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
        names = set[str]()
        with store.connected() as reading, copy.connected(write=True) as writing:
            cells = {row.hash: row for row in reading.execute(tables()["cells"].select())}
            for row in reading.execute(tables()["predictions"].select()):
                content = row._mapping
                if without_ids:
                    said = checked_predictions(row, store.shown_url)
                    names.update(said["sample"].dropna(), said["group"].dropna())
                    dataset = str(cells[row.hash].dataset) if row.hash in cells else ""
                    content = predictions_row(row.hash, _coded(said, dataset, key))
                writing.execute(tables()["predictions"].insert(), dict(content))
            for row in cells.values():
                content = dict(row._mapping)
                if without_ids:
                    _refuse_named(row, names)
                    _refuse_shown(row, names)
                    content["message"] = None if row.message is None else _LEFT_OUT
                writing.execute(tables()["cells"].insert(), content)
            for name in ("plans", "shown", "steps"):
                for row in reading.execute(tables()[name].select()):
                    if without_ids:
                        _refuse_shown(row, names)
                    writing.execute(tables()[name].insert(), dict(row._mapping))
        with copy.connected() as connection:  # one file, without a log beside it
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.exec_driver_sql("PRAGMA journal_mode = DELETE")
        _refuse_existing(target)  # one may have appeared meanwhile
        Path(folder, "store.db").replace(target)
    return target


def _refuse_existing(target: Path) -> None:
    if target.exists():
        raise FileExistsError(f"{target} is there already, and an export replaces no file; give another name")


def _refuse_named(row: Any, names: set[str]) -> None:
    """Refuse a cell whose corruption or label noise names a sample or a group."""
    spec = {} if row.spec is None else parse_json(row.spec, "the spec of a cell")
    for role in ("corruption", "label_noise"):
        if names.intersection(_texts(spec.get(role))) or _by_group(spec.get(role)):
            raise ValueError(
                f"the {role.replace('_', ' ')} of cell {row.hash[:12]} names a sample or a group (in `where`, say), "
                "and a store without ids cannot hold it: run without such conditions, or go by static columns instead"
            )


def _refuse_shown(row: Any, names: set[str]) -> None:
    """Refuse a benchmark that is called as a sample or a group is, or calls a method or probe so."""
    content = getattr(row, "content", None)
    told = [getattr(row, "benchmark", None), *_texts(None if content is None else parse_json(content, "what is shown"))]
    if names.intersection(told):
        raise ValueError(
            f"the benchmark, or the name that it gives a method or probe, of {row.hash[:12]} is the name of a sample "
            "or a group, and a store without ids cannot hold it: run it under other names, which changes no result"
        )


def _by_group(config: Any) -> bool:
    """Whether a configuration goes by the names of groups: its ``where`` names no static column."""
    if isinstance(config, Mapping):
        return any(
            not isinstance(value, Mapping) if key == "where" and value is not None else _by_group(value)
            for key, value in config.items()
        )
    return isinstance(config, list) and any(map(_by_group, config))


def _texts(config: Any) -> Iterator[str]:
    """Values in a configuration that may name something, as text: texts, and all that stands under ``where``."""
    if isinstance(config, Mapping):
        for key, value in config.items():
            yield from map(text_of, _leaves(value)) if key == "where" else _texts(value)
    elif isinstance(config, list):
        for value in config:
            yield from _texts(value)
    elif isinstance(config, str):
        yield config


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping | list):
        for one in value.values() if isinstance(value, Mapping) else value:
            yield from _leaves(one)
    else:
        yield value


def _coded(said: pd.DataFrame, dataset: str, key: bytes) -> Predictions:
    """Predictions with codes for names, sorted by them."""

    def codes(column: str) -> np.ndarray:
        texts = said[column].tolist()
        return np.array([None if one is None else _code(key, dataset, column, str(one)) for one in texts])

    samples = codes("sample")
    order = np.argsort(samples, kind="stable")
    ordered = said.iloc[order]
    scores = [name for name in said.columns if name.startswith(SCORE)]
    return Predictions(
        samples[order].tolist(),
        ordered["y"].to_numpy(),
        ordered["predicted"].to_numpy(),
        ordered[scores].to_numpy(dtype=np.float64),
        np.array([name.removeprefix(SCORE) for name in scores]),
        None if said["group"].isna().all() else codes("group")[order],
    )


def _code(key: bytes, *parts: str) -> str:
    content = "".join(f"{len(part)}:{part}" for part in parts).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(content, key=key, digest_size=8).hexdigest()
