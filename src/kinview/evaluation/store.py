"""The results of benchmarks, one row a cell, in SQLite or PostgreSQL."""

from __future__ import annotations

import contextlib
import datetime
import io
import os
import shutil
import threading
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kinview.evaluation._database import (
    INTEGERS,
    JSON,
    METRICS,
    NUMBERS,
    TEXT,
    absolute_url,
    checked_frame,
    checked_predictions,
    checked_row,
    explained,
    insert_into,
    make_engine,
    predictions_row,
    result_statements,
    tables,
)
from kinview.evaluation._migrations import SCHEMA_VERSION, opened
from kinview.evaluation.shown import read_shown, with_drawn_splits, with_names, write_shown
from kinview.files import atomic_write, canonical_json

if TYPE_CHECKING:
    import pandas as pd

    from kinview.evaluation.predictions import Predictions

__all__ = ["DEFAULT_URL", "METRICS", "SCHEMA_VERSION", "Store"]

DEFAULT_URL = "sqlite:///kinview-results/results.db"
_COLUMNS = dict.fromkeys((*TEXT, *JSON, *NUMBERS, *INTEGERS, "message"))  # missing unless a result says them
_WHICH = ("hash", "dataset", "method", "probe", "split", "fold", "seed")  # and the condition: which cell it is
_CHUNK = 500  # hashes per query: SQLite limits the number of bound values


class Store:
    """Results of benchmarks, one row a cell, keyed by the content hash of everything that determined it.

    Beside each row stand the cell's predictions, written in the same transaction (:meth:`predictions`). They hold the
    names and labels of test samples: a store of patients' data is itself such data.

    Rows are inserted one by one, each in a transaction of its own, by any number of processes at once. A cell that
    is there stays as it is; only a failed one is replaced. SQLite needs a local disk (it runs in WAL mode with
    ``synchronous = NORMAL``: a process that is killed loses nothing that it has stored, a failure of power may lose the
    last cells, which the next run computes again); a team shares a PostgreSQL database.

    Parameters
    ----------
    url : str
        SQLAlchemy URL (``sqlite:///results.db``, ``postgresql+psycopg://user@host/database``), or the path of a SQLite
        file. Default ``sqlite:///kinview-results/results.db``.
    create : bool
        Make the database (and its folder) when it does not exist.

    Raises
    ------
    FileNotFoundError
        If there is no such SQLite file and ``create`` is false.
    ValueError
        If the database belongs to another program or to a later version of kinview, or is of an earlier one and may not
        be changed, or the URL is not one.

    Notes
    -----
    A store of an earlier schema is brought up to date when it is opened, for good, in one transaction and after a
    backup: a copy beside a SQLite file (``results.schema-3.db``), copies of the tables in PostgreSQL
    (``kinview_schema_3_cells``). Columns that are new are empty in its rows, and their ``method_config`` is completed
    with the defaults of the kinview that wrote them. Keys and results stay as they are. Of a SQLite file that may not
    be written to a migrated copy is read, and it stays as it is; in PostgreSQL a role that may has to open it first.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = Store(f"sqlite:///{folder}/results.db")
    ...     cell = dict(dataset="wine", method="raw", probe="linear", seed=0, status="ok", accuracy=0.97)
    ...     store.add("0a1b", cell, benchmark="demo")
    ...     store.add("0a1b", {**cell, "accuracy": 0.1}, benchmark="demo")
    ...     store.frame()[["dataset", "method", "accuracy", "attempts"]].values.tolist()
    [['wine', 'raw', 0.97, 2]]
    """

    def __init__(self, url: str = DEFAULT_URL, *, create: bool = True) -> None:
        self.url = absolute_url(url)
        self._kept: dict[int, Any] = {}  # the connection that a thread keeps open
        with explained(self.url, opening=True):
            self._engine, folder = opened(make_engine(self.url), create=create)
        if folder is not None:
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)

    @property
    def shown_url(self) -> str:
        """The URL without its password."""
        import sqlalchemy as sa

        return sa.make_url(self.url).render_as_string()

    def __repr__(self) -> str:
        return f"Store({self.shown_url!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (Store, (self.url,))

    def add(
        self,
        key: str,
        row: Mapping[str, Any],
        *,
        benchmark: str | None = None,
        predictions: Predictions | None = None,
    ) -> None:
        """Insert the result of one cell; one that is there already stays, unless it had failed.

        Parameters
        ----------
        key : str
            Content hash of the cell.
        row : mapping
            Columns of the table ``cells``; ``metrics``, ``method_config``, ``method_of``, ``realised_transition``,
            ``spec`` and ``versions`` are plain data. Numbers that are not finite are stored as missing.
        benchmark : str, optional
            Name of the benchmark that computed it.
        predictions : Predictions, optional
            What was said of each test sample: written in the same transaction, where the row is.

        Raises
        ------
        ValueError
            If a column is unknown, a required one is absent, or a value has the wrong type. Nothing is written then.
        """
        values = checked_row(row) | {"hash": str(key), "attempts": 1, "created_at": _now()}
        if benchmark is not None:
            values["benchmark"] = benchmark
        insert, replace = result_statements(self._engine.dialect.name)
        row_of = None if predictions is None else predictions_row(str(key), predictions)
        with self.connected(write=True) as connection:
            written = connection.execute(insert, _COLUMNS | values).scalar()
            if row_of is not None and written == values["created_at"]:  # else the row of an earlier one stays
                connection.execute(replace, row_of)

    def plan(self, benchmark: str, keys: Sequence[str], shown: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        """Record which cells a benchmark consists of; the plan of an earlier run under this name is replaced.

        So ``frame(benchmark=...)`` never mixes results of an older configuration or an older version into a table.
        ``shown`` names methods and probes of its cells, as frames and predictions of this benchmark show them, and
        says how test parts were drawn.
        """
        plans = tables()["plans"]
        rows: list[dict[str, Any]] = [
            {"benchmark": benchmark, "hash": key, "position": i} for i, key in enumerate(dict.fromkeys(keys))
        ]
        insert = insert_into(self._engine.dialect.name)(plans)
        insert = insert.on_conflict_do_update(  # another run may write the same plan at the same time
            index_elements=["benchmark", "hash"], set_={"position": insert.excluded.position}
        )
        with self.connected(write=True) as connection:
            connection.execute(plans.delete().where(plans.c.benchmark == benchmark))
            if rows:
                by_hash = sorted(rows, key=lambda row: str(row["hash"]))  # so that none waits for the other
                connection.execute(insert, by_hash)
            write_shown(connection, benchmark, shown or {})

    def known(self, keys: Iterable[str]) -> set[str]:
        """Those of the given cells that have a result (a failed cell has none)."""
        return {key for key, (status, _) in self.states(keys).items() if status == "ok"}

    def planned(self, benchmark: str) -> int:
        """Number of cells in the recorded plan of a benchmark."""
        import sqlalchemy as sa

        plans = tables()["plans"]
        with self.connected() as connection:
            query = sa.select(sa.func.count()).select_from(plans).where(plans.c.benchmark == benchmark)
            return int(connection.execute(query).scalar_one())

    def states(self, keys: Iterable[str]) -> dict[str, tuple[str, int]]:
        """Status of those of the given cells that were computed, ``"ok"`` or ``"failed"``, and how often they were."""
        import sqlalchemy as sa

        cells = tables()["cells"]
        found: dict[str, tuple[str, int]] = {}
        with self.connected() as connection:
            for part in _chunks(list(keys)):
                query = sa.select(cells.c.hash, cells.c.status, cells.c.attempts).where(cells.c.hash.in_(part))
                found.update({row.hash: (row.status, row.attempts) for row in connection.execute(query)})
        return found

    def note_step(
        self,
        key: str,
        *,
        kind: str,
        dataset: str,
        method: str,
        seconds: float | None = None,
        parameters: int | None = None,
        history: Mapping[str, Any] | None = None,
    ) -> None:
        """Note that a model or an embedding is begun, or with ``seconds`` that it is there and what it took.

        Parameters
        ----------
        key : str
            Content hash of the step.
        kind : str
            ``"pretrain"``, ``"embed"``, or ``"source"``: pre-training on other data sets.
        dataset, method : str
            As the cells name them.
        seconds : float, optional
            Wall time.
        parameters : int, optional
            Of a model: weights of its network that training changes.
        history : mapping, optional
            Of a model: what its training recorded, see :func:`kinview.training.history.thinned_history`.
        """
        steps = tables()["steps"]
        with self.connected(write=True) as connection:
            if seconds is not None:
                text = canonical_json(dict(history)) if history else None
                made = {"seconds": seconds, "parameters": parameters, "history": text}
                connection.execute(steps.update().where(steps.c.hash == key).values(**made))
                return
            values = {"hash": key, "kind": kind, "dataset": dataset, "method": method, "attempts": 1}
            insert = insert_into(connection.dialect.name)(steps).values(**values)
            again = {"attempts": steps.c.attempts + 1}
            connection.execute(insert.on_conflict_do_update(index_elements=["hash"], set_=again))

    def steps(self) -> pd.DataFrame:
        """Models and embeddings that runs on this store made, one row a step.

        Returns
        -------
        DataFrame
            ``hash``, ``kind`` (``"pretrain"``, ``"embed"``, or ``"source"``: pre-training on other data sets, noted
            with the first data set that the model is taken to), ``dataset``, ``method``, ``attempts`` (how often it was
            begun: once more for each time that its process was killed, or its file was deleted), ``seconds`` of wall
            time (missing where it was not finished), and of a model ``parameters`` (weights that training changes) and
            ``history`` (JSON text: what its training recorded, as means over at most 100 runs of steps). What a probe
            took is in ``seconds`` of :meth:`frame`.
        """
        import pandas as pd

        table = tables()["steps"]
        with self.connected() as connection:
            rows = [tuple(row) for row in connection.execute(table.select().order_by(table.c.hash))]
        return pd.DataFrame(rows, columns=[column.name for column in table.columns])

    def benchmarks(self) -> list[str]:
        """Names of the benchmarks whose plan is recorded."""
        import sqlalchemy as sa

        plans = tables()["plans"]
        with self.connected() as connection:
            query = sa.select(plans.c.benchmark).distinct().order_by(plans.c.benchmark)
            return list(connection.execute(query).scalars())

    def frame(self, *, keys: Iterable[str] | None = None, benchmark: str | None = None) -> pd.DataFrame:
        """Results as a DataFrame, one row a cell, in the order of the plan, or of the given keys, or of insertion.

        Parameters
        ----------
        keys : iterable of str, optional
            Only these cells.
        benchmark : str, optional
            Only the cells of the recorded plan of this benchmark.

        Returns
        -------
        DataFrame
            The columns of the table ``cells``; ``metrics``, ``method_config``, ``method_of``, ``realised_transition``,
            ``spec`` and ``versions`` are JSON text. ``model_hash`` names the cell's model in :meth:`steps`.
            ``labelled_samples`` and ``labelled_groups`` count the training samples whose label was known and their
            groups; ``realised_transition`` holds their classes, and how many were of each (rows of ``counts``) and were
            labelled as each (columns). Cells of earlier versions lack them.
            Of a benchmark ``method`` and ``probe`` hold the names that it gives them, and else labels of configurations
            (``method_name`` is always the registered name). With sweeps there is ``sweeps``: of which a method is a
            variant, and by which values; and where a reader drew the test part of a data set ``drawn_split``: JSON text
            of ``test_fraction`` and ``split_seed``, missing where a data set has parts of its own.
        """
        import pandas as pd
        import sqlalchemy as sa

        cells, plans = tables()["cells"], tables()["plans"]
        columns = [column.name for column in cells.columns]
        rows: list[Any] = []
        with self.connected() as connection:
            names = {} if benchmark is None else read_shown(connection, benchmark)
            if keys is not None:
                wanted = list(dict.fromkeys(keys))
                for part in _chunks(wanted):
                    rows += connection.execute(sa.select(cells).where(cells.c.hash.in_(part))).all()
                position = {key: i for i, key in enumerate(wanted)}
                rows.sort(key=lambda row: position[row.hash])
            else:
                query = sa.select(cells).select_from(cells)
                if benchmark is not None:
                    query = query.join(plans, plans.c.hash == cells.c.hash).where(plans.c.benchmark == benchmark)
                    query = query.order_by(plans.c.position)
                else:
                    query = query.order_by(cells.c.created_at, cells.c.hash)
                rows = list(connection.execute(query).all())
        frame = checked_frame(pd.DataFrame([tuple(row) for row in rows], columns=columns), self.url)
        if benchmark is not None:
            frame["benchmark"] = benchmark
            frame = with_drawn_splits(with_names(frame, names), names)
        types = dict.fromkeys(("hash", *TEXT, *JSON, "status", "message"), "str") | dict.fromkeys(NUMBERS, "float64")
        types |= dict.fromkeys(("seed", *INTEGERS, "attempts"), "Int64")
        return frame.astype(types).where(frame.notna())  # before pandas 3 a missing text became the text "None"

    def predictions(self, *, keys: Iterable[str] | None = None, benchmark: str | None = None) -> pd.DataFrame:
        """What was said of each test sample, one row a sample and cell, in the order of :meth:`frame`.

        Parameters
        ----------
        keys : iterable of str, optional
            Only these cells.
        benchmark : str, optional
            Only the cells of the recorded plan of this benchmark.

        Returns
        -------
        DataFrame
            The columns of :meth:`frame` that say which cell it is (``hash``, ``dataset``, ``method``, ``probe``,
            ``split``, ``fold``, ``seed``, the condition), ``sample``, ``group``, ``y`` and ``predicted`` as text, and
            ``score:CLASS`` for each class of any of the cells (NaN where a cell does not know the class). Cells that
            failed, and those of stores before schema 3, have no rows.

        Raises
        ------
        ValueError
            If the predictions of a cell are damaged.

        Notes
        -----
        It names samples and their labels: think before you share it. No report, and no other method of the store, does.
        """
        import numpy as np
        import pandas as pd
        import sqlalchemy as sa

        from kinview.evaluation.statistics import CONDITION

        which_cell = [*_WHICH, *CONDITION]
        stored = tables()["predictions"]
        cells = self.frame(keys=keys, benchmark=benchmark)[which_cell]
        found: dict[str, pd.DataFrame] = {}
        with self.connected() as connection:
            for part in _chunks(cells["hash"].tolist()):
                for row in connection.execute(sa.select(stored).where(stored.c.hash.in_(part))):
                    found[row.hash] = checked_predictions(row, self.shown_url)
        cells = cells[cells["hash"].isin(found)]
        if cells.empty:
            return pd.DataFrame(columns=[*which_cell, "sample", "group", "y", "predicted"])
        parts = [found[key] for key in cells["hash"]]
        which = cells.iloc[np.repeat(np.arange(len(cells)), [len(part) for part in parts])].reset_index(drop=True)
        return pd.concat([which, pd.concat(parts, ignore_index=True)], axis=1)

    def write_predictions(self, path: str | os.PathLike[str], *, benchmark: str | None = None) -> Path:
        """Write :meth:`predictions` as Parquet, whole or not at all."""
        buffer = io.BytesIO()
        self.predictions(benchmark=benchmark).to_parquet(buffer, index=False)
        return atomic_write(path, buffer.getvalue())

    def write_csv(self, path: str | os.PathLike[str], *, benchmark: str | None = None) -> Path:
        """Write the results as CSV, whole or not at all."""
        return atomic_write(path, self.frame(benchmark=benchmark).to_csv(index=False))

    def write_parquet(self, path: str | os.PathLike[str], *, benchmark: str | None = None) -> Path:
        """Write the results as Parquet, whole or not at all."""
        buffer = io.BytesIO()
        self.frame(benchmark=benchmark).to_parquet(buffer, index=False)
        return atomic_write(path, buffer.getvalue())

    @contextlib.contextmanager
    def kept_open(self) -> Iterator[None]:
        """Use one connection for all that this thread does in the block: a new one each time costs more than a cell."""
        with explained(self.url):
            connection = self._engine.connect()
        self._kept[threading.get_ident()] = connection
        try:
            with connection:
                yield
        finally:
            del self._kept[threading.get_ident()]

    @contextlib.contextmanager
    def connected(self, *, write: bool = False) -> Iterator[Any]:
        """A connection of SQLAlchemy, in a transaction where it writes; a driver's error becomes one for people."""
        kept = self._kept.get(threading.get_ident())
        with explained(self.url), contextlib.nullcontext(kept) if kept else self._engine.connect() as connection:
            try:
                yield connection
                if write:
                    connection.commit()
            finally:
                connection.rollback()  # what was read or not committed; a reader keeps no transaction open


def _chunks(keys: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(keys), _CHUNK):
        yield keys[start : start + _CHUNK]


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC).replace(tzinfo=None)  # databases differ in time zones: UTC throughout
