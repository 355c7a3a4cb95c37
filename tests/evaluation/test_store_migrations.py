"""Stores of every earlier schema: migrated whole after a backup, read where they may not be written, or refused."""

from __future__ import annotations

import gc
import json
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa

from helpers import NEEDS_POSTGRESQL, postgresql_database
from kinview.evaluation import Store
from kinview.evaluation._database import make_engine, tables
from kinview.evaluation._migrations import _STEPS, SCHEMA_VERSION
from kinview.evaluation.report.cells import read_results
from kinview.evaluation.sharing import export_store

FIXTURES = Path(__file__).parents[1] / "fixtures"
# 0.1.0, and what kinview wrote since: within schemas 1 to 3 it added columns as it went
FILES = {"schema-1": FIXTURES / "0.1.0" / "results.db"} | {
    path.stem: path for path in sorted((FIXTURES / "stores").glob("*.db"))
}
every_schema = pytest.mark.parametrize("name", FILES)


@pytest.fixture
def old(tmp_path: Path, name: str) -> Path:
    return Path(shutil.copy(FILES[name], tmp_path / "results.db"))


def content(path: Path) -> dict[str, list[Any]]:
    """Every row of every table."""
    with sqlite3.connect(path) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found = {name: sorted(connection.execute(f"SELECT * FROM {name}"), key=repr) for name in sorted(names)}
    connection.close()
    return found


def columns(engine: sa.Engine) -> dict[str, dict[str, str]]:
    inspector = sa.inspect(engine)
    return {
        table: {column["name"]: str(column["type"]) for column in inspector.get_columns(table)}
        for table in inspector.get_table_names()
    }


def test_there_is_a_store_of_each_schema_and_a_step_from_each() -> None:
    assert {int(name.split("-")[1]) for name in FILES} == set(_STEPS) == set(range(1, SCHEMA_VERSION))


@every_schema
def test_a_store_of_an_earlier_schema_becomes_one_of_today_after_a_backup(old: Path, name: str) -> None:
    before, schema = content(old), int(name.split("-")[1])
    store = Store(str(old), create=False)
    backup = old.with_name(f"results.schema-{schema}.db")
    assert sorted(path.name for path in old.parent.iterdir()) == sorted([old.name, backup.name])
    assert content(backup) == before
    assert columns(store._engine) == columns(Store(str(old.with_name("new.db")))._engine)
    frame = store.frame(benchmark="small")
    assert store.known(frame["hash"]) == set(frame["hash"]) == {row[0] for row in before["cells"]}
    assert (frame["split"] == "official").all() and (frame["fold"] == 0).all()
    (scarf,) = {config for config in frame["method_config"] if config.startswith('{"scarf"')}
    assert json.loads(scarf)["scarf"]["corruption_rate"] == 0.6
    assert len(read_results(frame).methods) == 3
    said = store.predictions()
    assert set(said["hash"]) == (set(frame["hash"]) if schema >= 3 else set())
    Store(str(old)).add("a", {**frame.iloc[0][["dataset", "method", "probe", "seed", "status"]], "own_probe": 1})
    assert sorted(path.name for path in old.parent.glob("results*")) == sorted([old.name, backup.name])
    export_store(store, old.with_name("shared.db"))
    pd.testing.assert_frame_equal(Store(str(old.with_name("shared.db"))).frame(benchmark="small"), frame)


@every_schema
def test_a_store_that_may_only_be_read_reads_alike_and_stays_as_it_is(old: Path, name: str) -> None:
    bytes_before = old.read_bytes()

    def refuse_to_write(connection: sqlite3.Connection, _: Any) -> None:
        if str(old) in [file for _, _, file in connection.execute("PRAGMA database_list")]:
            connection.execute("PRAGMA query_only = ON")

    sa.event.listen(sa.Engine, "connect", refuse_to_write)
    try:
        store = Store(str(old), create=False)
        frame, said = store.frame(benchmark="small"), store.predictions()
        copy = Path(str(store._engine.url.database))
        with pytest.raises(ValueError, match=r"results\.db may not be written to"):
            store.plan("small", [])
        assert old.read_bytes() == bytes_before and list(old.parent.iterdir()) == [old]
        del store
        gc.collect()
        assert not copy.parent.exists()
    finally:
        sa.event.remove(sa.Engine, "connect", refuse_to_write)
    migrated = Store(str(old))
    pd.testing.assert_frame_equal(frame, migrated.frame(benchmark="small"))
    pd.testing.assert_frame_equal(said, migrated.predictions())


def test_a_step_that_fails_leaves_the_store_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = Path(shutil.copy(FILES["schema-1"], tmp_path / "results.db"))
    before = content(old)

    def fails(connection: sa.Connection) -> None:
        _STEPS_BEFORE[3](connection)
        raise RuntimeError("on the way")

    _STEPS_BEFORE = dict(_STEPS)
    monkeypatch.setitem(_STEPS, 3, fails)
    with pytest.raises(RuntimeError, match="on the way"):
        Store(str(old))
    assert content(old) == before and list(tmp_path.iterdir()) == [old]


def test_a_backup_of_before_is_never_replaced(tmp_path: Path) -> None:
    for number in ("", ".2"):
        Store(str(shutil.copy(FILES["schema-3-noise"], tmp_path / "results.db")))
        assert content(tmp_path / f"results.schema-3{number}.db") == content(FILES["schema-3-noise"])
    assert len(list(tmp_path.iterdir())) == 3


def test_a_later_schema_is_refused_in_a_sentence_and_left_alone(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "results.db"))
    with store.connected(write=True) as connection:
        connection.execute(tables()["kinview_schema"].insert().values(version=SCHEMA_VERSION + 1))
    del store
    before = content(tmp_path / "results.db")
    with pytest.raises(ValueError, match=rf"schema {SCHEMA_VERSION + 1}, this kinview reads up to schema") as caught:
        Store(str(tmp_path / "results.db"))
    assert "use the version of kinview that wrote it, or start a new store with another URL" in str(caught.value)
    assert content(tmp_path / "results.db") == before


MIGRATE = """
import sys
from kinview.evaluation import Store, _migrations
step = _migrations._STEPS[3]
def slowly(connection):
    step(connection)
    print("within", flush=True)
    import time; time.sleep(float(sys.argv[2]))
_migrations._STEPS[3] = slowly
print(len(Store(sys.argv[1]).frame()))
"""


@pytest.mark.slow
def test_a_process_killed_while_it_migrates_leaves_the_store_to_the_next(tmp_path: Path) -> None:
    old = Path(shutil.copy(FILES["schema-3-noise"], tmp_path / "results.db"))
    before = content(old)
    process = subprocess.Popen([sys.executable, "-c", MIGRATE, str(old), "60"], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "within\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert content(old) == before  # SQLite takes back what the journal says
    assert len(Store(str(old)).frame()) == 6
    assert content(tmp_path / "results.schema-3.db") == before


@pytest.mark.slow
def test_of_two_processes_one_migrates(tmp_path: Path) -> None:
    old = Path(shutil.copy(FILES["schema-3-noise"], tmp_path / "results.db"))
    both = [
        subprocess.Popen([sys.executable, "-c", MIGRATE, str(old), "1"], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=120)[0] for process in both]
    assert sorted(said) == ["6\n", "within\n6\n"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results.db", "results.schema-3.db"]


@pytest.fixture
def database() -> Iterator[str]:
    """A PostgreSQL database of its own."""
    with postgresql_database() as url:
        yield url


@NEEDS_POSTGRESQL
@every_schema
def test_postgresql_migrates_alike(old: Path, name: str, database: str) -> None:
    metadata, source, engine = sa.MetaData(), make_engine(f"sqlite:///{old}"), make_engine(database)
    metadata.reflect(source)
    for table in metadata.sorted_tables:
        for column in table.columns:
            column.type = column.type.as_generic()
    metadata.create_all(engine)  # its tables as kinview of that day made them
    with source.connect() as reading, engine.begin() as writing:
        for table in metadata.sorted_tables:
            if rows := [dict(row._mapping) for row in reading.execute(table.select())]:
                writing.execute(table.insert(), rows)
        role = sa.make_url(database).database + "_reader"  # roles are those of the server
        writing.exec_driver_sql(f"CREATE ROLE {role} LOGIN")
        writing.exec_driver_sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
    reader = sa.make_url(database).set(username=role).render_as_string(hide_password=False)
    schema = int(name.split("-")[1])
    with pytest.raises(ValueError, match=f"has result schema {schema}, .* this role may not change it; open it once"):
        Store(reader, create=False)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"DROP OWNED BY {role}")
        connection.exec_driver_sql(f"DROP ROLE {role}")
    migrated, expected = Store(database, create=False), Store(str(old))
    pd.testing.assert_frame_equal(migrated.frame(benchmark="small"), expected.frame(benchmark="small"))
    pd.testing.assert_frame_equal(migrated.predictions(), expected.predictions())
    backup = sa.Table(f"kinview_schema_{schema}_cells", sa.MetaData(), autoload_with=engine)
    with engine.connect() as connection:
        kept = sorted(tuple(row) for row in connection.execute(backup.select()))
    with make_engine(f"sqlite:///{FILES[name]}").connect() as connection:
        assert kept == sorted(tuple(row) for row in connection.execute(metadata.tables["cells"].select()))
