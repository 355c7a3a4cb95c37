"""A store that is damaged, or whose disk is full: an error that names it and says what to do, never a raw SQL one."""

from __future__ import annotations

import errno
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kinview.cli import main
from kinview.evaluation import Store

CELL = {"dataset": "wine", "method": "raw", "probe": "linear", "seed": 0, "status": "ok", "accuracy": 0.5}
USES: dict[str, Callable[[Store], Any]] = {
    "add": lambda store: store.add("z", CELL),
    "plan": lambda store: store.plan("demo", ["a", "b"]),
    "known": lambda store: store.known(["a"]),
    "benchmarks": lambda store: store.benchmarks(),
    "frame": lambda store: store.frame(),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "results.db"
    store = Store(str(file))
    for i in range(200):
        store.add(f"{i:03}", {**CELL, "seed": i, "message": "x" * 200}, benchmark="demo")
    store.plan("demo", [f"{i:03}" for i in range(200)])
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return file


def _run(path: Path, statement: str) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    connection.close()


def test_a_store_that_is_overwritten_is_damaged(path: Path) -> None:
    store = Store(str(path))
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)
    for name, use in USES.items():
        with pytest.raises(ValueError, match=r"results\.db is damaged \(.*\); use a backup of it, or start a new") as e:
            use(store)
        assert "SELECT" not in str(e.value) and "sqlalche" not in str(e.value), name


def test_every_damage_is_an_error_for_people(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw, data = random.Random(0), path.read_bytes()
    read = 0
    for _ in range(40):
        damaged = bytearray(data[: draw.randrange(len(data))] if draw.random() < 0.3 else data)
        for _ in range(draw.choice((1, 10, 1000))):
            damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        path.write_bytes(damaged)
        for leftover in (path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
            leftover.unlink(missing_ok=True)
        try:
            Store(str(path), create=False).frame()
            read += 1
        except (ValueError, FileNotFoundError) as error:
            assert "results.db" in str(error) and "[SQL:" not in str(error)
        code = main(["report", "--store", str(path)])
        err = capsys.readouterr().err
        assert code in (0, 2) and "Traceback" not in err and "[SQL:" not in err and "--verbose" not in err
    assert read < 40


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE cells SET created_at = 'yesterday'",
        "UPDATE cells SET message = CAST(X'ff00ff' AS TEXT)",
        "DROP TABLE plans",
        "ALTER TABLE cells DROP COLUMN hash_of_nothing",
    ],
)
def test_values_and_tables_that_are_none(path: Path, statement: str) -> None:
    try:
        _run(path, statement)
    except sqlite3.OperationalError:
        pytest.skip("this SQLite refuses the damage")
    with pytest.raises(ValueError, match=r"results\.db is damaged") as caught:
        store = Store(str(path))
        store.frame()
        store.benchmarks()
    assert "[SQL:" not in str(caught.value)


def test_a_config_that_is_no_json_is_told(path: Path) -> None:
    _run(path, "UPDATE cells SET method_config = '{'")
    _run(path, "UPDATE kinview_schema SET version = 1")
    with pytest.raises(ValueError, match="the store is damaged: a method_config is not JSON"):
        Store(str(path))


def test_a_full_disk_names_the_store(path: Path) -> None:
    import sqlalchemy as sa

    store = Store(str(path))

    def full(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA max_page_count = 1")  # raised to the present number of pages

    sa.event.listen(store._engine, "connect", full)
    with pytest.raises(
        OSError, match=r"cannot write .*results\.db: its disk is full \(.* are free\); free some"
    ) as caught:
        for i in range(1000):
            store.add(f"new {i}", {**CELL, "message": "y" * 5000})
    assert caught.value.errno == errno.ENOSPC
    assert len(Store(str(path)).frame()) >= 200


def test_a_store_to_read_only_says_so(path: Path) -> None:
    import sqlalchemy as sa

    store = Store(str(path))
    sa.event.listen(store._engine, "connect", lambda connection, _: connection.execute("PRAGMA query_only = 1"))
    with pytest.raises(ValueError, match=r"results\.db may not be written to \(.*\); change its permissions"):
        store.add("z", CELL)
    assert len(store.frame()) == 200
