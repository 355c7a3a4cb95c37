"""The results of benchmarks, one row a cell, in SQLite or PostgreSQL."""

from __future__ import annotations

import contextlib
import datetime
import io
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kinview.evaluation._database import (
    INTEGERS,
    JSON,
    METRICS,
    NUMBERS,
    OFFICIAL,
    TEXT,
    absolute_url,
    checked_predictions,
    checked_row,
    completed_config,
    explained,
    insert_into,
    make_engine,
    may_not_write,
    missing_columns,
    predictions_row,
    tables,
    upgrade,
)
from kinview.files import atomic_write

if TYPE_CHECKING:
    import pandas as pd

    from kinview.evaluation.predictions import Predictions

__all__ = ["DEFAULT_URL", "METRICS", "SCHEMA_VERSION", "Store"]

DEFAULT_URL = "sqlite:///kinview-results/results.db"
SCHEMA_VERSION = 3
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
        If the database belongs to another program or to a later version of kinview, or the URL is not one.

    Notes
    -----
    A store of an earlier version is brought up to date when it is opened, for good: columns that are new are empty in
    its rows, and their ``method_config`` is completed with the defaults of the kinview that wrote them. Keys and
    results stay as they are. One that may not be written to is read in the same way and stays as it is.

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
        self._engine = make_engine(self.url)
        self._absent: frozenset[str] = frozenset()  # columns that a store to read only lacks
        self._completes = False  # and whether its configs are those of schema 1
        with explained(self.url, opening=True):
            self._open(create)

    def __repr__(self) -> str:
        return f"Store({self._engine.url.render_as_string()!r})"

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
        import sqlalchemy as sa

        cells = tables()["cells"]
        values = checked_row(row) | {"hash": str(key), "attempts": 1, "created_at": _now()}
        if benchmark is not None:
            values["benchmark"] = benchmark
        insert = insert_into(self._engine.dialect.name)(cells).values(**values)
        failed = cells.c.status == "failed"
        replaced = {
            column.name: sa.case((failed, getattr(insert.excluded, column.name)), else_=column)
            for column in cells.columns
            if column.name not in ("hash", "attempts")
        }
        statement = insert.on_conflict_do_update(
            index_elements=["hash"], set_={**replaced, "attempts": cells.c.attempts + 1}
        )
        with self._connected(write=True) as connection:
            written = connection.execute(statement.returning(cells.c.created_at)).scalar()
            if predictions is not None and written == values["created_at"]:  # else the row of an earlier one stays
                one = insert_into(self._engine.dialect.name)(tables()["predictions"])
                row_of = predictions_row(str(key), predictions)
                connection.execute(one.values(**row_of).on_conflict_do_update(index_elements=["hash"], set_=row_of))

    def plan(self, benchmark: str, keys: Sequence[str]) -> None:
        """Record which cells a benchmark consists of; the plan of an earlier run under this name is replaced.

        So ``frame(benchmark=...)`` never mixes results of an older configuration or an older version into a table.
        """
        plans = tables()["plans"]
        rows = [{"benchmark": benchmark, "hash": key, "position": i} for i, key in enumerate(dict.fromkeys(keys))]
        with self._connected(write=True) as connection:
            connection.execute(plans.delete().where(plans.c.benchmark == benchmark))
            if rows:
                connection.execute(plans.insert(), rows)

    def known(self, keys: Iterable[str]) -> set[str]:
        """Those of the given cells that have a result (a failed cell has none)."""
        import sqlalchemy as sa

        cells = tables()["cells"]
        found: set[str] = set()
        with self._connected() as connection:
            for part in _chunks(list(keys)):
                query = sa.select(cells.c.hash).where(cells.c.hash.in_(part), cells.c.status == "ok")
                found.update(connection.execute(query).scalars())
        return found

    def benchmarks(self) -> list[str]:
        """Names of the benchmarks whose plan is recorded."""
        import sqlalchemy as sa

        plans = tables()["plans"]
        with self._connected() as connection:
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
            ``spec`` and ``versions`` are JSON text. ``labelled_samples`` and ``labelled_groups`` count the training
            samples whose label was known and their groups; ``realised_transition`` holds their classes, and how many
            were of each (rows of ``counts``) and were labelled as each (columns). Cells of earlier versions lack them.
        """
        import pandas as pd
        import sqlalchemy as sa

        cells, plans = tables()["cells"], tables()["plans"]
        columns = [column.name for column in cells.columns]
        selected = [sa.null().label(one.name) if one.name in self._absent else one for one in cells.columns]
        rows: list[Any] = []
        with self._connected() as connection:
            if keys is not None:
                wanted = list(dict.fromkeys(keys))
                for part in _chunks(wanted):
                    rows += connection.execute(sa.select(*selected).where(cells.c.hash.in_(part))).all()
                position = {key: i for i, key in enumerate(wanted)}
                rows.sort(key=lambda row: position[row.hash])
            else:
                query = sa.select(*selected).select_from(cells)
                if benchmark is not None:
                    query = query.join(plans, plans.c.hash == cells.c.hash).where(plans.c.benchmark == benchmark)
                    query = query.order_by(plans.c.position)
                else:
                    query = query.order_by(cells.c.created_at, cells.c.hash)
                rows = list(connection.execute(query).all())
        frame = pd.DataFrame([tuple(row) for row in rows], columns=columns)
        for name, value in OFFICIAL.items():  # which all cells of earlier schemas are
            frame[name] = frame[name].where(frame[name].notna(), value)
        if self._completes:
            frame["method_config"] = frame["method_config"].map(completed_config, na_action="ignore")
        if benchmark is not None:
            frame["benchmark"] = benchmark
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
        with self._connected() as connection:
            there = sa.inspect(connection).has_table(stored.name)  # a store to read only may be of an earlier schema
            for part in _chunks(cells["hash"].tolist() if there else []):
                for row in connection.execute(sa.select(stored).where(stored.c.hash.in_(part))):
                    found[row.hash] = checked_predictions(row, self._engine.url.render_as_string())
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
        """Keep a connection while many rows are written: SQLite puts its log into the file when the last one closes."""
        with explained(self.url):
            connection = self._engine.connect()
        try:
            yield
        finally:
            connection.close()

    @contextlib.contextmanager
    def _connected(self, *, write: bool = False) -> Iterator[Any]:
        """A connection, in a transaction where it writes; a driver's error becomes one for people."""
        with explained(self.url), self._engine.begin() if write else self._engine.connect() as connection:
            yield connection

    def _open(self, create: bool) -> None:
        """Prepare; while another process turns a new SQLite file into WAL mode, SQLite refuses instead of waiting."""
        import sqlalchemy as sa

        for pause in (0.05, 0.1, 0.2, 0.5, 1.0, 2.0):  # seconds
            try:
                return self._prepare(create)
            except sa.exc.OperationalError as error:
                if "locked" not in str(error.orig):
                    raise
                time.sleep(pause)
        return self._prepare(create)

    def _prepare(self, create: bool) -> None:
        """Check that the database is ours, or make the tables in an empty one."""
        import sqlalchemy as sa

        shown = self._engine.url.render_as_string()
        database = self._engine.url.database
        if self._engine.dialect.name == "sqlite" and database:
            if not create and not Path(database).is_file():
                raise FileNotFoundError(f"there is no result store {shown}; run a benchmark first, or check the URL")
            Path(database).parent.mkdir(parents=True, exist_ok=True)
        names = sa.inspect(self._engine).get_table_names()  # asked once: another process may be making the tables now
        if names and tables()["kinview_schema"].name not in names:
            raise ValueError(
                f"{shown} belongs to another program: it holds the tables {', '.join(sorted(names)[:5])} and no "
                f"kinview_schema; give the URL of an empty or new database"
            )
        if not names:
            if not create:
                raise FileNotFoundError(f"{shown} is empty, no result store; run a benchmark first, or check the URL")
            self._create()
        version = self._version()
        if version is None or not 1 <= version <= SCHEMA_VERSION:
            raise ValueError(
                f"{shown} was written with result schema {version}, this kinview reads up to schema {SCHEMA_VERSION}; "
                f"use the version of kinview that wrote it, or start a new store with another URL"
            )
        if version < SCHEMA_VERSION or missing_columns(self._engine):
            absent = missing_columns(self._engine)
            try:
                upgrade(self._engine, SCHEMA_VERSION)
            except (sa.exc.OperationalError, sa.exc.ProgrammingError) as error:
                if not may_not_write(error):
                    raise
                self._absent, self._completes = frozenset(absent), version == 1

    def _version(self) -> int | None:
        import sqlalchemy as sa

        schema = tables()["kinview_schema"]
        if not sa.inspect(self._engine).has_table(schema.name):
            return None
        with self._engine.connect() as connection:
            return connection.execute(sa.select(sa.func.max(schema.c.version))).scalar()

    def _create(self) -> None:
        """Make the tables; several processes may try at once, and the first one wins."""
        import sqlalchemy as sa

        schema = tables()["kinview_schema"]
        try:
            with self._engine.begin() as connection:
                if self._engine.dialect.name == "sqlite":
                    connection.exec_driver_sql("PRAGMA journal_mode = WAL")  # kept in the file: readers never block
                    connection.exec_driver_sql("BEGIN IMMEDIATE")  # its driver would make each table on its own
                tables()["cells"].metadata.create_all(connection)
                connection.execute(schema.insert().values(version=SCHEMA_VERSION))
        except (sa.exc.OperationalError, sa.exc.ProgrammingError, sa.exc.IntegrityError):
            if self._version() is None:
                raise


def _chunks(keys: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(keys), _CHUNK):
        yield keys[start : start + _CHUNK]


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC).replace(tzinfo=None)  # databases differ in time zones: UTC throughout
