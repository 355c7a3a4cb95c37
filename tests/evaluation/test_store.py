"""The result store: first result wins, bad input never gets in, foreign files are refused, many writers at once."""

import json
import pickle
import sqlite3
import subprocess
import sys
import tempfile

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from helpers import NEEDS_POSTGRESQL, postgresql_database
from kinview.evaluation import Predictions, Store
from kinview.evaluation.store import SCHEMA_VERSION

CELL = {"dataset": "wine", "method": "raw", "probe": "linear", "seed": 0, "status": "ok", "accuracy": 0.5}


@pytest.fixture
def store(tmp_path):
    return Store(f"sqlite:///{tmp_path}/results/results.db")


def test_row_comes_back_as_it_went_in(store):
    row = {
        **CELL,
        "corruption": "mcar",
        "severity": 0.2,
        "corrupt": "both",
        "pretrain_on": "clean",
        "label_fraction": 1.0,
        "realised_missing_train": 0.2001,
        "metrics": {"accuracy": 0.5, "note": "ü"},
        "spec": {"method": {"ts2vec": {"repr_dim": 64}}},
        "versions": {"torch": "2.13.0"},
        "convergence_failures": 1,
        "seconds": 0.25,
    }
    store.add("a", row, benchmark="demo")
    (back,) = store.frame().to_dict("records")
    for name in ("metrics", "spec", "versions"):
        assert json.loads(back.pop(name)) == row.pop(name)
    for name, value in row.items():
        assert back[name] == value
    assert (back["hash"], back["benchmark"], back["attempts"]) == ("a", "demo", 1)
    assert pd.isna(back["label_noise"])
    assert pd.isna(back["message"])


def test_numbers_that_are_not_finite_are_missing(store):
    store.add(
        "a", {**CELL, "auroc": float("nan"), "auprc": float("inf"), "metrics": {"auroc": float("nan"), "x": [1.0]}}
    )
    frame = store.frame()
    assert frame[["auroc", "auprc"]].isna().all(axis=None)
    assert json.loads(frame["metrics"][0]) == {"auroc": None, "x": [1.0]}


def test_first_result_wins_and_every_computation_is_counted(store):
    store.add("a", CELL, benchmark="one")
    store.add("a", {**CELL, "accuracy": 0.9}, benchmark="two")
    store.add("a", {**CELL, "accuracy": None, "status": "failed", "message": "no"}, benchmark="two")
    frame = store.frame()
    assert frame[["accuracy", "status", "benchmark", "attempts"]].to_numpy().tolist() == [[0.5, "ok", "one", 3]]


def test_failed_cell_is_not_known_and_is_replaced_by_a_result(store):
    store.add("a", {**CELL, "accuracy": None, "status": "failed", "message": "ValueError: loss is nan"})
    assert store.known(["a"]) == set()
    assert store.frame()["message"][0] == "ValueError: loss is nan"
    store.add("a", CELL)
    assert store.known(["a", "b"]) == {"a"}
    frame = store.frame()
    assert frame[["accuracy", "status", "attempts"]].to_numpy().tolist() == [[0.5, "ok", 2]]
    assert frame["message"].isna().all()


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.integers(0, 9)), max_size=8))
def test_any_order_of_insertions_equals_the_model(steps):
    with tempfile.TemporaryDirectory() as folder:
        store = Store(f"{folder}/r.db")
        model: dict[str, tuple[str, float]] = {}
        for key, ok, value in steps:
            status = "ok" if ok else "failed"
            store.add(key, {**CELL, "status": status, "accuracy": value / 10})
            if key not in model or model[key][0] == "failed":
                model[key] = (status, value / 10)
        frame = store.frame(keys="abc")
        assert dict(zip(frame["hash"], zip(frame["status"], frame["accuracy"], strict=True), strict=True)) == model
        assert store.known("abc") == {key for key, (status, _) in model.items() if status == "ok"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"acuracy": 0.5}, "unknown \\['acuracy'\\]"),
        ({"dataset": None}, "absent \\['dataset'\\]"),
        ({"status": "done"}, "'ok' or 'failed'"),
        ({"accuracy": "high"}, "column 'accuracy' cannot hold 'high'"),
        ({"metrics": {"x": object()}}, "column 'metrics'"),
        ({"seed": "first"}, "column 'seed'"),
    ],
)
def test_bad_row_is_refused_and_nothing_is_written(store, change, message):
    store.add("good", CELL)
    with pytest.raises(ValueError, match=message):
        store.add("bad", {**CELL, **change})
    assert store.frame()["hash"].tolist() == ["good"]


def test_text_is_data_never_sql(store):
    name = "x'); DROP TABLE cells; --"
    store.add(name, {**CELL, "dataset": name}, benchmark=name)
    store.plan(name, [name])
    assert store.frame(benchmark=name)["dataset"].tolist() == [name]
    assert store.benchmarks() == [name]


def test_plan_decides_what_a_benchmark_shows(store):
    for key in "abcd":
        store.add(key, CELL, benchmark="first")
    store.plan("quick", ["c", "a", "c", "not computed yet"])
    store.plan("other", ["b"])
    frame = store.frame(benchmark="quick")
    assert frame["hash"].tolist() == ["c", "a"]
    assert set(frame["benchmark"]) == {"quick"}
    store.plan("quick", ["d"])
    assert store.frame(benchmark="quick")["hash"].tolist() == ["d"]
    assert store.benchmarks() == ["other", "quick"]
    assert len(store.frame()) == 4


def test_empty_frame_has_the_columns_and_kinds_of_a_full_one(store):
    empty = store.frame()
    store.add("a", CELL)
    full = store.frame()
    assert len(empty) == 0
    assert (empty.dtypes.drop("created_at") == full.dtypes.drop("created_at")).all()


def test_more_keys_than_a_query_may_hold(store):
    keys = [f"{i:064x}" for i in range(1203)]
    store.plan("many", keys)
    store.add(keys[0], CELL)
    store.add(keys[-1], CELL)
    assert store.known(keys) == {keys[0], keys[-1]}
    assert store.frame(keys=reversed(keys))["hash"].tolist() == [keys[-1], keys[0]]


def test_exports_are_whole_and_equal_the_frame(store, tmp_path):
    store.add("a", CELL, benchmark="demo")
    store.add("b", {**CELL, "accuracy": 0.1 + 0.2}, benchmark="demo")
    store.plan("demo", ["b"])
    store.write_csv(tmp_path / "all.csv")
    store.write_parquet(tmp_path / "one.parquet", benchmark="demo")
    assert pd.read_csv(tmp_path / "all.csv", float_precision="round_trip")["accuracy"].tolist() == [0.5, 0.1 + 0.2]
    assert pd.read_parquet(tmp_path / "one.parquet")["hash"].tolist() == ["b"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all.csv", "one.parquet", "results"]


def test_store_survives_pickling_and_a_change_of_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = Store("relative.db")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    pickle.loads(pickle.dumps(store)).add("a", CELL)
    assert store.known(["a"]) == {"a"}
    assert list(elsewhere.iterdir()) == []


def test_password_is_not_shown():
    with pytest.raises(ValueError, match=r"postgresql|driver") as caught:
        Store("postgresql+psycopg://me:secret@127.0.0.1:1/none")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://host/database", "sqlite or postgresql, not 'mysql'"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("://", "not a database URL"),
    ],
)
def test_urls_that_cannot_hold_results(url, message):
    with pytest.raises(ValueError, match=message):
        Store(url)


def test_reading_a_store_that_is_not_there_makes_none(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no result store"):
        Store(f"sqlite:///{tmp_path}/none.db", create=False)
    assert list(tmp_path.iterdir()) == []


def test_foreign_database_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "app.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE patients (id INTEGER)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(ValueError, match="belongs to another program: it holds the tables patients"):
        Store(str(path))
    assert path.read_bytes() == before


def test_file_that_is_no_database_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("these are my notes, not a database " * 50)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="cannot be used as a result store"):
        Store(str(path))
    assert path.read_bytes() == before


def test_other_schema_version_is_refused(store):
    path = store.url.removeprefix("sqlite:///")
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE kinview_schema SET version = 0")
    connection.close()
    with pytest.raises(ValueError, match=f"result schema 0, this kinview reads up to schema {SCHEMA_VERSION}"):
        Store(store.url)


WRITER = """
import sys
from kinview.evaluation import Store
store = Store(sys.argv[1])
for i in range(40):
    cell = dict(dataset="wine", method="raw", probe="linear", seed=i, status="ok", accuracy=float(sys.argv[2]))
    store.add(f"shared {i}", cell)
    store.add(f"{sys.argv[2]} {i}", cell)
"""


def test_processes_create_and_write_at_once_without_loss(tmp_path):
    url = f"sqlite:///{tmp_path}/shared.db"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, url, str(n)]) for n in range(3)]
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0, 0]
    frame = Store(url).frame()
    shared = frame["hash"].str.startswith("shared")
    assert (shared.sum(), (~shared).sum()) == (40, 120)
    assert set(frame.loc[shared, "attempts"]) == {3}
    assert set(frame.loc[~shared, "attempts"]) == {1}


@pytest.fixture
def database():
    """A PostgreSQL database of its own."""
    with postgresql_database() as url:
        yield url


@NEEDS_POSTGRESQL
def test_postgresql_behaves_as_sqlite_does(database):
    url = database
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, url, str(n)]) for n in range(3)]
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0, 0]
    store = Store(url, create=False)
    store.add("a", {**CELL, "status": "failed", "accuracy": None, "message": "zero \0 byte"}, benchmark="demo")
    store.add("a", {**CELL, "auroc": float("nan"), "metrics": {"accuracy": 0.5}}, benchmark="demo")
    store.add("a", {**CELL, "accuracy": 0.9}, benchmark="demo")
    store.plan("demo", ["a"])
    frame = store.frame(benchmark="demo")
    assert frame[["accuracy", "status", "attempts"]].to_numpy().tolist() == [[0.5, "ok", 3]]
    assert store.known(["a", "shared 0", "none"]) == {"a", "shared 0"}
    assert len(store.frame()) == 161
    said = Predictions(["p1"], np.array([1]), np.array([0]), np.array([[0.5, 0.25]]), np.array([0, 1]))
    store.add("said", {**CELL, "status": "failed"}, predictions=None)
    for seed in range(2):  # replaces the failed row, and then stays
        store.add("said", {**CELL, "seed": seed}, predictions=said)
    assert store.predictions()[["hash", "seed", "sample", "y", "score:1"]].to_numpy().tolist() == [
        ["said", 0, "p1", "1", 0.25]
    ]
