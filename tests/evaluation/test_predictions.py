"""Predictions of every cell: whole, in the cell's transaction, enough for every metric, and never in a report."""

import sqlite3
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings, strategies as st

from kinview.cli import main
from kinview.evaluation import Benchmark, Predictions, Store, evaluate, read_predictions, write_report
from kinview.evaluation.predictions import SCORE
from test_benchmark import go, write_data
from test_store import CELL


def made(n=4, seed=0, classes=("a", "b"), groups=None):
    random = np.random.default_rng(seed)
    names = np.array(classes, dtype=object)
    return Predictions(
        [f"p{i}" for i in range(n)],
        random.choice(names, n),
        random.choice(names, n),
        random.normal(size=(n, len(names))),
        names,
        groups,
    )


@pytest.fixture
def store(tmp_path):
    return Store(f"sqlite:///{tmp_path}/results.db")


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 12),
    st.lists(st.text(max_size=6).filter(lambda t: "\ud800" not in t), min_size=1, max_size=5, unique=True),
    st.booleans(),
    st.integers(0, 99),
)
def test_what_is_written_is_read(n, classes, grouped, seed):
    classes = [name.encode("utf-8", "ignore").decode() for name in classes]
    if len(set(classes)) < len(classes):
        return
    one = made(n, seed, classes, np.arange(n) % 3 if grouped else None)
    frame = read_predictions(one.to_bytes())
    assert frame["sample"].tolist() == list(one.samples)
    assert frame["y"].tolist() == one.y.tolist() and frame["predicted"].tolist() == one.predicted.tolist()
    assert frame["group"].tolist() == ([str(i % 3) for i in range(n)] if grouped else [None] * n)
    assert list(frame.columns[4:]) == [f"{SCORE}{name}" for name in classes]
    np.testing.assert_array_equal(frame.iloc[:, 4:].to_numpy().reshape(one.scores.shape), one.scores)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"one entry a sample \(2\) and scores of shape \(2, 2\); got 1 labels"):
        Predictions(["a", "b"], np.array([0]), np.array([0, 1]), np.zeros((2, 2)), np.array([0, 1]))


def test_content_that_is_none_is_refused():
    with pytest.raises(ValueError, match="these are no predictions"):
        read_predictions(b"nothing")
    sink = pa.BufferOutputStream()
    table = pa.table({"x": [1]})
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(ValueError, match="the table has the columns x"):
        read_predictions(sink.getvalue().to_pybytes())


def test_they_stand_and_fall_with_the_row(store):
    failed = {**CELL, "status": "failed", "accuracy": None}
    store.add("a", failed)
    assert store.predictions().empty
    store.add("a", CELL, predictions=made(seed=1))
    first = store.predictions()
    store.add("a", {**CELL, "accuracy": 0.9}, predictions=made(seed=2))  # the first result stays, and so do these
    pd.testing.assert_frame_equal(store.predictions(), first)
    store.add("b", {**CELL, "seed": 1}, predictions=made(seed=3, classes=("a", "b", "c")))
    both = store.predictions()
    assert both["hash"].tolist() == ["a"] * 4 + ["b"] * 4
    assert both.loc[both["hash"] == "a", "score:c"].isna().all()
    assert both.loc[both["hash"] == "b", "score:c"].notna().all()
    assert store.predictions(keys=["b"])["seed"].tolist() == [1] * 4
    store.plan("demo", ["b"])
    assert set(store.predictions(benchmark="demo")["hash"]) == {"b"}
    assert set(both["split"]) == {"official"} and set(both["fold"]) == {0}


def test_a_row_that_is_refused_leaves_no_predictions(store):
    with pytest.raises(ValueError, match="unknown"):
        store.add("a", {**CELL, "colour": "red"}, predictions=made())
    with sqlite3.connect(store.url.removeprefix("sqlite:///")) as connection:
        assert connection.execute("SELECT count(*) FROM predictions").fetchone() == (0,)
    connection.close()


def test_row_and_predictions_are_one_transaction(store, monkeypatch):
    monkeypatch.setattr(Predictions, "to_bytes", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        store.add("a", CELL, predictions=made())
    assert store.known(["a"]) == set()


def change(store, sql):
    with sqlite3.connect(store.url.removeprefix("sqlite:///")) as connection:
        connection.execute(sql)
    connection.close()


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE predictions SET content = substr(content, 1, length(content) - 9)",
        "UPDATE predictions SET content = X'00'",
        "UPDATE predictions SET sha256 = 'other'",
    ],
)
def test_damage_is_named_with_its_cell(store, damage):
    store.add("0123456789abcdef", CELL, predictions=made())
    change(store, damage)
    with pytest.raises(ValueError, match=r"is damaged: the predictions of cell 0123456789ab cannot be read .*backup"):
        store.predictions()
    assert len(store.frame()) == 1  # the results are read


WRITER = """
import sys, numpy as np
from kinview.evaluation import Store, Predictions
store = Store(sys.argv[1])
cell = {"dataset": "wine", "method": "raw", "probe": "linear", "seed": 0, "status": "ok"}
for i in range(30):
    said = np.full(3, int(sys.argv[2]))
    store.add(f"shared {i}", {**cell, "accuracy": float(sys.argv[2])},
              predictions=Predictions(list("abc"), said, said, np.zeros((3, 3)), np.arange(3)))
"""


def test_of_writers_at_once_row_and_predictions_are_of_one(tmp_path):
    url = f"sqlite:///{tmp_path}/results.db"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, url, str(n)]) for n in range(3)]
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0, 0]
    store = Store(url, create=False)
    accuracy = store.frame().set_index("hash")["accuracy"]
    said = store.predictions().groupby("hash")["y"].agg(["nunique", "first", "size"])
    assert len(said) == 30 and (said["nunique"] == 1).all() and (said["size"] == 3).all()
    assert (said["first"].astype(float) == accuracy[said.index]).all()


# --- of a benchmark --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    data = write_data(tmp_path_factory.mktemp("data"))
    ids = pd.DataFrame({"patient": [f"secret-{i}" for i in range(24)], "site": [f"ward-{i // 2}" for i in range(24)]})
    table = pd.read_csv(data / "table" / "table.csv")
    pd.concat([ids, table], axis=1).to_csv(data / "table" / "table.csv", index=False)
    benchmark = Benchmark(
        name="said",
        datasets=["toy", {"table": {"index": "patient", "group": "site"}}],
        methods=["raw"],
        controls="none",
        probes=["knn", "svm", "linear"],
        split={"stratified_kfold": {"folds": 3}},
        data_dir=str(data),
    )
    frame = go(benchmark, folder)
    assert set(frame["status"]) == {"ok"}, frame["message"].dropna().tolist()
    return frame, folder


def test_every_cell_has_them_and_every_metric_follows_from_them(finished):
    frame, folder = finished
    said = Store(f"{folder}/results.db").predictions(benchmark="said")
    assert set(said["hash"]) == set(frame["hash"])
    for _, cell in frame.iterrows():
        mine = said[said["hash"] == cell["hash"]].dropna(axis=1, how="all")
        scores = mine.filter(like=SCORE)
        classes = [name.removeprefix(SCORE) for name in scores]
        found = evaluate(mine["y"].to_numpy(), scores.to_numpy(), classes, mine["predicted"].to_numpy())
        for metric in ("accuracy", "balanced_accuracy", "macro_f1", "auroc", "auprc"):
            assert found[metric] == cell[metric], (cell["dataset"], cell["probe"], metric)


def test_each_sample_is_tested_once_by_each_method_and_has_its_group(finished):
    said = Store(f"{finished[1]}/results.db").predictions(benchmark="said")
    counts = said.groupby(["dataset", "probe", "sample"]).size()
    assert (counts == 1).all() and len(counts) == 3 * (32 + 24)
    table = said[said["dataset"] == "table"]
    assert (table["group"] == "ward-" + (table["sample"].str.removeprefix("secret-").astype(int) // 2).map(str)).all()
    assert table.groupby("group")["fold"].nunique().eq(1).all()


def test_no_report_and_no_frame_names_a_sample(finished, tmp_path):
    frame, folder = finished
    page = write_report(frame, tmp_path / "report.html").read_text()
    store = Store(f"{folder}/results.db")
    csv = store.write_csv(tmp_path / "cells.csv").read_text()
    for text in (page, csv, frame.to_csv()):
        assert "secret-" not in text and "ward-" not in text


def test_the_command_line_writes_them_where_asked(finished, tmp_path, capsys):
    file = tmp_path / "said.parquet"
    assert main(["report", "--store", f"{finished[1]}/results.db", "--predictions", str(file)]) == 0
    assert "secret-" not in capsys.readouterr().out
    back = pd.read_parquet(file)
    wanted = Store(f"{finished[1]}/results.db").predictions(benchmark="said")
    pd.testing.assert_frame_equal(back.fillna("none"), wanted.fillna("none"), check_dtype=False)
    assert main(["report", "--store", f"{finished[1]}/results.db", "--predictions", str(tmp_path / "x.csv")]) == 2
    assert ".parquet" in capsys.readouterr().err
