"""Open a database as a result store: make its tables, bring those of an earlier schema up to date, refuse the rest.

The steps from one schema to the next say by themselves what they add: they stay as they are when tables change again.
"""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from kinview.evaluation._database import RESTORE, make_engine, may_not_write, tables
from kinview.files import canonical_json, parse_json

if TYPE_CHECKING:
    import sqlalchemy as sa

__all__ = ["SCHEMA_VERSION", "opened"]

SCHEMA_VERSION = 5
_PAUSES = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)  # seconds


def opened(engine: sa.Engine, *, create: bool) -> tuple[sa.Engine, str | None]:
    """The engine of a store with the tables of today.

    Parameters
    ----------
    engine : Engine
        Of the database.
    create : bool
        Make the database (and its folder) when it does not exist.

    Returns
    -------
    Engine
        The given one; or, of a file of an earlier schema that may not be written to, that of a migrated copy.
    str or None
        Folder of this copy, to be removed with the store.

    Raises
    ------
    FileNotFoundError
        If there is no store, and none is to be made.
    ValueError
        If the database is another program's, of a later schema, or of an earlier one and may not be changed.
    """
    import sqlalchemy as sa

    for pause in _PAUSES:  # while another process turns a new SQLite file into WAL mode, SQLite refuses to wait
        try:
            return _opened(engine, create)
        except sa.exc.OperationalError as error:
            if "locked" not in str(error.orig):
                raise
            time.sleep(pause)
    return _opened(engine, create)


def _opened(engine: sa.Engine, create: bool) -> tuple[sa.Engine, str | None]:
    import sqlalchemy as sa

    _check_there(engine, create)
    version, shown = _version(engine), engine.url.render_as_string()
    if version is None or not 1 <= version <= SCHEMA_VERSION:
        raise ValueError(
            f"{shown} was written with result schema {version}, this kinview reads up to schema {SCHEMA_VERSION}; "
            f"use the version of kinview that wrote it, or start a new store with another URL"
        )
    if version == SCHEMA_VERSION:
        return engine, None
    try:
        _migrate(engine)
    except (sa.exc.OperationalError, sa.exc.ProgrammingError) as error:
        if not may_not_write(error):
            raise
        if engine.dialect.name != "sqlite":
            raise ValueError(
                f"{shown} has result schema {version}, this kinview reads schema {SCHEMA_VERSION}, and this role may "
                f"not change it; open it once with a role that may (kinview report --store URL does)"
            ) from None
        return _migrated_copy(engine)
    return engine, None


def _check_there(engine: sa.Engine, create: bool) -> None:
    """Check that the database is ours, or make the tables in an empty one."""
    import sqlalchemy as sa

    shown, database = engine.url.render_as_string(), engine.url.database
    if engine.dialect.name == "sqlite" and database:
        if not create and not Path(database).is_file():
            raise FileNotFoundError(f"there is no result store {shown}; run a benchmark first, or check the URL")
        Path(database).parent.mkdir(parents=True, exist_ok=True)
    names = sa.inspect(engine).get_table_names()  # asked once: another process may be making the tables now
    if names and tables()["kinview_schema"].name not in names:
        raise ValueError(
            f"{shown} belongs to another program: it holds the tables {', '.join(sorted(names)[:5])} and no "
            f"kinview_schema; give the URL of an empty or new database"
        )
    if not names:
        if not create:
            raise FileNotFoundError(f"{shown} is empty, no result store; run a benchmark first, or check the URL")
        _create(engine)


def _version(source: sa.Engine | sa.Connection) -> int | None:
    import sqlalchemy as sa

    schema = tables()["kinview_schema"]
    if not sa.inspect(source).has_table(schema.name):
        return None
    with contextlib.ExitStack() as stack:
        connection = stack.enter_context(source.connect()) if isinstance(source, sa.Engine) else source
        return connection.execute(sa.select(sa.func.max(schema.c.version))).scalar()


def _create(engine: sa.Engine) -> None:
    """Make the tables; several processes may try at once, and the first one wins."""
    import sqlalchemy as sa

    schema = tables()["kinview_schema"]
    try:
        with engine.begin() as connection:
            if engine.dialect.name == "sqlite":
                connection.exec_driver_sql("PRAGMA journal_mode = WAL")  # kept in the file: readers never block
                connection.exec_driver_sql("BEGIN IMMEDIATE")  # its driver would make each table on its own
            tables()["cells"].metadata.create_all(connection)
            connection.execute(schema.insert().values(version=SCHEMA_VERSION))
    except (sa.exc.OperationalError, sa.exc.ProgrammingError, sa.exc.IntegrityError):
        if _version(engine) is None:
            raise


def _migrate(engine: sa.Engine) -> None:
    """Take the steps to the schema of today in one transaction; of several processes the first one does.

    A backup stands before the transaction ends: beside a SQLite file a copy of it, in PostgreSQL copies of the tables.
    """
    sqlite = engine.dialect.name == "sqlite"
    with contextlib.ExitStack() as stack:
        connection = stack.enter_context(engine.begin())
        connection.exec_driver_sql("BEGIN IMMEDIATE" if sqlite else "LOCK TABLE kinview_schema IN EXCLUSIVE MODE")
        version = _version(connection)
        assert version is not None
        if version >= SCHEMA_VERSION:  # another process was here first
            return
        backup = stack.enter_context(_copied_file(engine, version)) if sqlite else None
        if not sqlite:
            _copy_tables(connection, version)
        for step in range(version, SCHEMA_VERSION):
            _STEPS[step](connection)
        connection.execute(tables()["kinview_schema"].insert().values(version=SCHEMA_VERSION))
        if backup is not None:
            backup()


@contextlib.contextmanager
def _copied_file(engine: sa.Engine, version: int) -> Iterator[Callable[[], None]]:
    """A copy of a SQLite file beside it, which takes its name when it is asked to; else it is removed."""
    source = Path(str(engine.url.database))
    made = source.with_name(f".{source.name}-{secrets.token_hex(4)}.part")

    def keep() -> None:
        with made.open("rb+") as file:
            os.fsync(file.fileno())
        number = 1
        while (target := _backup_name(source, version, number)).exists():
            number += 1
        made.replace(target)

    try:
        _copy_file(engine, made)
        yield keep
    finally:
        made.unlink(missing_ok=True)


def _backup_name(source: Path, version: int, number: int) -> Path:
    return source.with_name(f"{source.stem}.schema-{version}{'' if number == 1 else f'.{number}'}{source.suffix}")


def _copy_file(engine: sa.Engine, target: Path) -> None:
    """Write what a SQLite store holds into a new file."""
    import sqlalchemy as sa

    with engine.connect() as connection, contextlib.closing(sqlite3.connect(target)) as copy:
        try:
            connection.connection.driver_connection.backup(copy)  # type: ignore[union-attr]
        except sqlite3.Error as error:
            raise sa.exc.OperationalError("backup", {}, error) from error


def _copy_tables(connection: sa.Connection, version: int) -> None:
    """Copies of the tables of a PostgreSQL store, as ``kinview_schema_3_cells``, in the same transaction."""
    import sqlalchemy as sa

    there = set(sa.inspect(connection).get_table_names())
    for name in ("cells", "plans", "predictions"):
        copy = f"kinview_schema_{version}_{name}"
        if name in there and copy not in there:
            connection.exec_driver_sql(f"CREATE TABLE {copy} AS TABLE {name}")


def _migrated_copy(engine: sa.Engine) -> tuple[sa.Engine, str]:
    """An engine that reads a migrated copy of a SQLite file, and the folder of the copy."""
    import sqlalchemy as sa

    folder = tempfile.mkdtemp(prefix="kinview-store-")
    try:
        target = Path(folder, "results.db")
        _copy_file(engine, target)
        _migrate(make_engine(sa.URL.create("sqlite", database=str(target)).render_as_string()))
        copy = make_engine(sa.URL.create("sqlite", database=str(target)).render_as_string(), read_only=True)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return copy, folder


# --- the steps -------------------------------------------------------------------------------------------------------


_FLAGS = {"method_name": "TEXT", "method_of": "TEXT", "is_control": "INTEGER"}
_CUT = {"split": "TEXT", "fold": "INTEGER"}


def _to_2(connection: sa.Connection) -> None:
    """Configs of methods with the parameters that 0.1.0 left out, and what a method is."""
    import sqlalchemy as sa

    _add_columns(connection, _FLAGS)
    cells = sa.table("cells", sa.column("method_config", sa.Text))
    for config in connection.execute(sa.select(cells.c.method_config).distinct()).scalars().all():
        if config is not None:
            matches = cells.update().where(cells.c.method_config == config)
            connection.execute(matches.values(method_config=_completed_config(config)))


def _to_3(connection: sa.Connection) -> None:
    """How a data set was cut, and what was said of each sample."""
    import sqlalchemy as sa

    _add_columns(connection, _FLAGS | _CUT)
    predictions = sa.Table(
        "predictions",
        sa.MetaData(),
        sa.Column("hash", sa.String(64), primary_key=True),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
    )
    predictions.create(connection, checkfirst=True)


def _to_4(connection: sa.Connection) -> None:
    """What came of budgets and noise, numbers predicted, names shown, claims on work, and what its steps took.

    A cut that is not named was official.
    """
    import sqlalchemy as sa

    added = {"realised_transition": "TEXT", "own_probe": "INTEGER"}
    added |= {"labelled_samples": "INTEGER", "labelled_groups": "INTEGER"}
    number = str(sa.Double().compile(dialect=connection.dialect))
    _add_columns(connection, added | dict.fromkeys(("severity_test", "mae", "rmse", "r2"), number))
    connection.exec_driver_sql("UPDATE cells SET split = 'official' WHERE split IS NULL")
    connection.exec_driver_sql("UPDATE cells SET fold = 0 WHERE fold IS NULL")
    metadata = sa.MetaData()
    sa.Table(
        "claims",
        metadata,
        sa.Column("hash", sa.String(64), primary_key=True),
        sa.Column("owner", sa.String(32), nullable=False),
        sa.Column("machine", sa.Text, nullable=False),
        sa.Column("process", sa.Text, nullable=False),
        sa.Column("beats", sa.BigInteger, nullable=False),
    )
    sa.Table(
        "shown",
        metadata,
        sa.Column("benchmark", sa.Text, primary_key=True),
        sa.Column("hash", sa.String(64), primary_key=True),
        sa.Column("content", sa.Text, nullable=False),
    )
    sa.Table(
        "steps",
        metadata,
        sa.Column("hash", sa.String(64), primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("dataset", sa.Text, nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("seconds", sa.Double),
    )
    metadata.create_all(connection)


def _to_5(connection: sa.Connection) -> None:
    """Which model a cell rests on, and of each model its size and the history of its training."""
    _add_columns(connection, {"model_hash": "TEXT"})
    _add_columns(connection, {"parameters": "BIGINT", "history": "TEXT"}, table="steps")


# from a schema to the next
_STEPS: dict[int, Callable[[sa.Connection], None]] = {1: _to_2, 2: _to_3, 3: _to_4, 4: _to_5}


def _add_columns(connection: sa.Connection, columns: Mapping[str, str], table: str = "cells") -> None:
    """Add those columns that a store lacks: within schemas 1 to 3 kinview added columns as it went."""
    import sqlalchemy as sa

    there = {column["name"] for column in sa.inspect(connection).get_columns(table)}
    for name, kind in columns.items():
        if name not in there:
            connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN {name} {kind}")


@functools.cache
def _completed_config(config: str) -> str:
    """Config of a method as kinview 0.1.0 stored it, with the parameters that it left out."""
    from kinview.complete_configs import complete_config, frozen_defaults
    from kinview.methods import methods

    try:
        given = parse_json(config, "a method_config")
    except ValueError as error:
        raise ValueError(f"the store is damaged: {error}; {RESTORE}") from None
    return canonical_json(complete_config(methods, given, frozen=frozen_defaults("0.1.0")))
