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
from kinview.own_parts import refuse_imports

if TYPE_CHECKING:
    import pandas as pd
    import sqlalchemy as sa

METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "auroc", "auprc", "mae", "rmse", "r2")
# A column that is added to these needs a step in _migrations.py, which adds it to stores of before.
TEXT = (
    "benchmark", "dataset", "modality", "method", "method_name", "corruption", "corrupt", "pretrain_on", "label_noise",
    "probe", "split", "model_hash",
)  # fmt: skip
JSON = ("method_config", "method_of", "metrics", "realised_transition", "spec", "versions")
INTEGERS = ("convergence_failures", "is_control", "own_probe", "fold", "labelled_samples", "labelled_groups")
NUMBERS = (
    "severity", "severity_test", "label_noise_rate", "label_fraction", *METRICS,
    "realised_missing_train", "realised_missing_test", "realised_noise", "seconds",
)  # fmt: skip
OFFICIAL = {"split": "official", "fold": 0}  # of a cell that does not say how its data set was cut
_REQUIRED = ("dataset", "method", "probe", "seed", "status")


@functools.cache
def tables() -> Mapping[str, sa.Table]:
    """The tables of a store.

    ``cells`` (results), ``predictions`` (one Arrow table a cell), ``plans`` (which cells a benchmark consists of),
    ``shown`` (the names that it shows them under), ``claims`` (which process is at which work), ``steps`` (how often a
    model or an embedding was begun, the seconds that it took, and of a model its size and the history of its training)
    and ``kinview_schema``.
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
        "shown",
        metadata,
        sa.Column("benchmark", sa.Text, primary_key=True),
        sa.Column("hash", sa.String(64), primary_key=True),
        sa.Column("content", sa.Text, nullable=False),
    )
    sa.Table(
        "predictions",
        metadata,
        sa.Column("hash", sa.String(64), primary_key=True),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
    )
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
        "steps",
        metadata,
        sa.Column("hash", sa.String(64), primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("dataset", sa.Text, nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("seconds", sa.Double),
        sa.Column("parameters", sa.BigInteger),
        sa.Column("history", sa.Text),
    )
    sa.Table("kinview_schema", metadata, sa.Column("version", sa.Integer, primary_key=True, autoincrement=False))
    return metadata.tables


def may_not_write(error: sa.exc.DBAPIError) -> bool:
    """Whether a database has refused to be changed: a file or a transaction to read only, or no right to it."""
    name, state = (getattr(error.orig, key, None) for key in ("sqlite_errorname", "sqlstate"))
    return str(name).startswith("SQLITE_READONLY") or state in ("25006", "42501")


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
            f"{shown} is damaged: the predictions of cell {row.hash[:12]} cannot be read ({error}); {RESTORE}"
        ) from None


def checked_frame(frame: pd.DataFrame, url: str) -> pd.DataFrame:
    """The rows of a store, refused where one asks to import files; texts without that word are not parsed.

    Raises
    ------
    ValueError
        That names the store, without its password.
    """
    import sqlalchemy as sa

    shown = sa.make_url(url).render_as_string()
    for text in (text for name in JSON for text in frame[name].dropna()):
        if "imports" in str(text):
            refuse_imports(parse_json(text, "a cell of the store"), shown)
    return frame


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
    values: dict[str, Any] = dict(OFFICIAL)
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


@functools.cache
def result_statements(dialect: str) -> tuple[Any, Any]:
    """Statements that take a row as parameters: a result, which stays unless it had failed, and its predictions.

    The first one gives the time at which the row that is there now was made.
    """
    import sqlalchemy as sa

    cells, said = tables()["cells"], tables()["predictions"]
    insert = insert_into(dialect)(cells)
    failed = cells.c.status == "failed"
    replaced = {
        column.name: sa.case((failed, getattr(insert.excluded, column.name)), else_=column)
        for column in cells.columns
        if column.name not in ("hash", "attempts")
    }
    add = insert.on_conflict_do_update(
        index_elements=["hash"], set_={**replaced, "attempts": cells.c.attempts + 1}
    ).returning(cells.c.created_at)
    replace = insert_into(dialect)(said)
    content = {name: getattr(replace.excluded, name) for name in ("content", "sha256")}
    return add, replace.on_conflict_do_update(index_elements=["hash"], set_=content)


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


def make_engine(url: str, *, read_only: bool = False) -> sa.Engine:
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
            if read_only:
                cursor.execute("PRAGMA query_only = ON")
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
        raise ValueError(f"{shown} is damaged: a value in it cannot be read ({error}); {RESTORE}") from None


RESTORE = "use a backup of it, or start a new store with another URL (its results are computed again)"
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
        return ValueError(f"{shown} is damaged ({reason}); {RESTORE}")
    if may_not_write(error):
        return ValueError(f"{shown} may not be written to ({reason}); change its permissions, or give another URL")
    return ValueError(f"{shown} cannot be read or written ({reason}); try again, or use a backup of it")
