"""The tables of the result store, and how to reach them in SQLite and PostgreSQL."""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kinview.evaluation.predictions import Predictions, read_predictions
from kinview.files import canonical_json, no_space_left, parse_json

if TYPE_CHECKING:
    import pandas as pd
    import sqlalchemy as sa

METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "auroc", "auprc")
# A column that is added to these is added to existing stores too, empty in their rows; no other step is needed.
TEXT = (
    "benchmark", "dataset", "modality", "method", "method_name", "corruption", "corrupt", "pretrain_on", "label_noise",
    "probe", "split",
)  # fmt: skip
JSON = ("method_config", "method_of", "metrics", "realised_transition", "spec", "versions")
INTEGERS = ("convergence_failures", "is_control", "own_probe", "fold", "labelled_samples", "labelled_groups")
NUMBERS = (
    "severity", "label_noise_rate", "label_fraction", *METRICS,
    "realised_missing_train", "realised_missing_test", "realised_noise", "seconds",
)  # fmt: skip
OFFICIAL = {"split": "official", "fold": 0}  # of a cell that does not say how its data set was cut
_REQUIRED = ("dataset", "method", "probe", "seed", "status")


@functools.cache
def tables() -> Mapping[str, sa.Table]:
    """The tables of a store.

    ``cells`` (results), ``predictions`` (one Arrow table a cell), ``plans`` (which cells a benchmark consists of) and
    ``kinview_schema``.
    """
    import sqlalchemy as sa

    metadata = sa.MetaData()
    columns: list[sa.Column[Any]] = [
        sa.Column(name, sa.Text, nullable=name not in _REQUIRED) for name in (*TEXT, "status", "message")
    ]
    columns += [sa.Column(name, sa.Text) for name in JSON]
    columns += [sa.Column(name, sa.Double) for name in NUMBERS]
    columns += [sa.Column("seed", sa.BigInteger, nullable=False), *(sa.Column(name, sa.Integer) for name in INTEGERS)]
    columns += [sa.Column("attempts", sa.Integer, nullable=False), sa.Column("created_at", sa.DateTime, nullable=False)]
    sa.Table("cells", metadata, sa.Column("hash", sa.String(64), primary_key=True), *columns)
    sa.Table(
        "plans",
        metadata,
        sa.Column("benchmark", sa.Text, primary_key=True),
        sa.Column("hash", sa.String(64), primary_key=True),
        sa.Column("position", sa.Integer, nullable=False),
    )
    sa.Table(
        "predictions",
        metadata,
        sa.Column("hash", sa.String(64), primary_key=True),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
    )
    sa.Table("kinview_schema", metadata, sa.Column("version", sa.Integer, primary_key=True, autoincrement=False))
    return metadata.tables


def missing_columns(engine: sa.Engine | sa.Connection) -> list[str]:
    """Columns of ``cells`` that a store of an earlier version lacks."""
    import sqlalchemy as sa

    there = {column["name"] for column in sa.inspect(engine).get_columns("cells")}
    return [column.name for column in tables()["cells"].columns if column.name not in there]


def upgrade(engine: sa.Engine, version: int) -> None:
    """Bring a store of an earlier version up to date, whole or not at all; of several processes the first one does."""
    import sqlalchemy as sa

    cells, schema = tables()["cells"], tables()["kinview_schema"]
    with engine.begin() as connection:
        lock = "BEGIN IMMEDIATE" if engine.dialect.name == "sqlite" else "LOCK TABLE kinview_schema IN EXCLUSIVE MODE"
        connection.exec_driver_sql(lock)
        for name in missing_columns(connection):
            kind = cells.columns[name].type.compile(engine.dialect)
            connection.exec_driver_sql(f"ALTER TABLE cells ADD COLUMN {name} {kind}")
        tables()["predictions"].create(connection, checkfirst=True)
        written = connection.execute(sa.select(sa.func.max(schema.c.version))).scalar()
        if written == 1:
            configs = connection.execute(sa.select(cells.c.method_config).distinct()).scalars().all()
            for config in configs:
                if config is not None:
                    matches = cells.update().where(cells.c.method_config == config)
                    connection.execute(matches.values(method_config=completed_config(config)))
        if written != version:
            connection.execute(schema.insert().values(version=version))


def may_not_write(error: sa.exc.DBAPIError) -> bool:
    """Whether a database has refused to be changed: a file or a transaction to read only, or no right to it."""
    name, state = (getattr(error.orig, key, None) for key in ("sqlite_errorname", "sqlstate"))
    return str(name).startswith("SQLITE_READONLY") or state in ("25006", "42501")


def completed_config(config: str) -> str:
    """Config of a method as kinview 0.1.0 stored it, with the parameters that it left out."""
    from kinview.complete_configs import complete_config, frozen_defaults
    from kinview.methods import methods

    try:
        given = parse_json(config, "a method_config")
    except ValueError as error:
        raise ValueError(f"the store is damaged: {error}; {_RESTORE}") from None
    return canonical_json(complete_config(methods, given, frozen=frozen_defaults("0.1.0")))


def predictions_row(key: str, predictions: Predictions) -> dict[str, Any]:
    """The columns of the predictions of one cell."""
    content = predictions.to_bytes()
    return {"hash": key, "content": content, "sha256": hashlib.sha256(content).hexdigest()}


def checked_predictions(row: Any, shown: str) -> pd.DataFrame:
    """The predictions in a row of the table.

    Raises
    ------
    ValueError
        If they are not what was written.
    """
    try:
        content = bytes(row.content)  # some drivers return a memoryview
        if hashlib.sha256(content).hexdigest() != row.sha256:
            raise ValueError("they are not what was written")
        return read_predictions(content)
    except ValueError as error:
        raise ValueError(
            f"{shown} is damaged: the predictions of cell {row.hash[:12]} cannot be read ({error}); {_RESTORE}"
        ) from None


def checked_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of one row, as what the database holds."""
    unknown = set(row) - {*TEXT, *JSON, *NUMBERS, *INTEGERS, "seed", "status", "message"}
    absent = [name for name in _REQUIRED if row.get(name) is None]
    if unknown or absent:
        raise ValueError(
            f"a cell needs {', '.join(_REQUIRED)} and may not have other columns than the table's: "
            f"absent {absent or 'none'}, unknown {sorted(unknown) or 'none'}"
        )
    if row["status"] not in ("ok", "failed"):
        raise ValueError(f"the status of a cell is 'ok' or 'failed', got {row['status']!r}")
    values: dict[str, Any] = {}
    for name, value in row.items():
        try:
            if name in JSON:
                values[name] = None if value is None else canonical_json(_finite(value))
            elif name in NUMBERS:
                values[name] = None if value is None else _finite(float(value))
            elif name in ("seed", *INTEGERS):
                values[name] = None if value is None else int(value)
            else:
                values[name] = None if value is None else str(value).replace("\0", "")
        except (TypeError, ValueError) as error:
            raise ValueError(f"column {name!r} cannot hold {value!r}: {error}") from None
    return values


def _finite(value: Any) -> Any:
    """Plain data with None in place of NaN and infinities, which neither JSON nor every database holds."""
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def insert_into(dialect: str) -> Any:
    """INSERT with ON CONFLICT, which each database spells in its own dialect."""
    if dialect == "sqlite":
        from sqlalchemy.dialects.sqlite import insert as sqlite_insert

        return sqlite_insert
    from sqlalchemy.dialects.postgresql import insert as postgresql_insert

    return postgresql_insert


def absolute_url(url: str) -> str:
    """The URL with an absolute SQLite path, so that it means the same file in every process; a bare path is SQLite."""
    import sqlalchemy as sa

    try:
        parsed = sa.make_url(url) if "://" in url else sa.URL.create("sqlite", database=url)
    except (sa.exc.ArgumentError, ValueError) as error:
        raise ValueError(f"{url!r} is not a database URL ({error}); write sqlite:///results.db for a file") from None
    name = parsed.get_backend_name()
    if name not in ("sqlite", "postgresql"):
        raise ValueError(f"results are stored in sqlite or postgresql, not {name!r}: got {url!r}")
    if name == "sqlite":
        if not parsed.database or parsed.database == ":memory:" or parsed.database.startswith("file:"):
            raise ValueError(f"{url!r} names no file; results need one that outlives the process: sqlite:///results.db")
        parsed = parsed.set(database=str(Path(parsed.database).expanduser().absolute()))
    return parsed.render_as_string(hide_password=False)


def make_engine(url: str) -> sa.Engine:
    """An engine that keeps no connection open, so that it may cross into other processes and threads."""
    import sqlalchemy as sa

    try:
        engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    except (sa.exc.NoSuchModuleError, ModuleNotFoundError) as error:
        raise ValueError(
            f"the database driver is not installed ({error}); for PostgreSQL: pip install psycopg"
        ) from None
    if engine.dialect.name == "sqlite":

        @sa.event.listens_for(engine, "connect")
        def _set_up(connection: Any, _record: Any) -> None:
            cursor = connection.cursor()
            cursor.execute("PRAGMA busy_timeout = 60000")  # milliseconds that a writer waits for another one
            cursor.execute("PRAGMA synchronous = NORMAL")  # in WAL mode a killed process loses nothing, see Store
            cursor.close()

    return engine


@contextlib.contextmanager
def explained(url: str, *, opening: bool = False) -> Iterator[None]:
    """Turn a driver's error into one that names the store and says what to do.

    Raises
    ------
    OSError
        Where the disk is full or fails.
    ValueError
        Where the store is damaged, may not be written to, or is none.
    """
    import sqlalchemy as sa

    try:
        yield
    except sa.exc.DBAPIError as error:
        raise _in_words(error, url, opening=opening) from None
    except (sa.exc.SQLAlchemyError, ValueError, TypeError) as error:
        if opening and type(error) is ValueError:  # our own
            raise
        shown = sa.make_url(url).render_as_string()
        raise ValueError(f"{shown} is damaged: a value in it cannot be read ({error}); {_RESTORE}") from None


_RESTORE = "use a backup of it, or start a new store with another URL (its results are computed again)"
_DAMAGED = ("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_FORMAT")


def _in_words(error: sa.exc.DBAPIError, url: str, *, opening: bool) -> Exception:
    """A driver's error as one for people."""
    import sqlalchemy as sa

    parsed = sa.make_url(url)
    shown, name = parsed.render_as_string(), str(getattr(error.orig, "sqlite_errorname", ""))
    reason = " ".join(str(error.orig).split())
    if name.startswith("SQLITE_FULL") or getattr(error.orig, "sqlstate", None) == "53100":
        file = parsed.database if parsed.get_backend_name() == "sqlite" else None
        told = no_space_left(file) if file else f"{shown}: the disk of the database is full ({reason}); free some space"
        return OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)}: {told}")
    if name.startswith("SQLITE_IOERR"):
        return OSError(errno.EIO, f"the disk of {shown} fails ({reason}); is it full, or no longer there?")
    if name.startswith("SQLITE_NOTADB") or (opening and not name.startswith(_DAMAGED)):
        return ValueError(
            f"{shown} cannot be used as a result store ({reason}); give the URL of a kinview store or of a new one"
        )
    if name.startswith(_DAMAGED) or "Could not decode to UTF-8" in reason or "no such" in reason:
        return ValueError(f"{shown} is damaged ({reason}); {_RESTORE}")
    if may_not_write(error):
        return ValueError(f"{shown} may not be written to ({reason}); change its permissions, or give another URL")
    return ValueError(f"{shown} cannot be read or written ({reason}); try again, or use a backup of it")
