"""A store that is passed on says the same of every cell, and of no sample who it is."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from kinview.cli import main
from kinview.evaluation import Predictions, Store, evaluate, export_store

NAMES = [f"patient-{i:02d}" for i in range(12)]
CELL = {"method": "raw", "probe": "linear", "status": "ok", "accuracy": 0.5}


def said(seed: int, names: list[str] = NAMES) -> Predictions:
    draw = np.random.default_rng(seed)
    scores = draw.random((len(names), 2))
    y = np.arange(len(names)) % 2
    return Predictions(
        names,
        y,
        scores.argmax(axis=1),
        scores,
        np.array([0, 1]),
        np.array([f"ward-{i // 3}" for i in range(len(names))]),
    )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(f"{tmp_path}/results.db")
    for seed in (0, 1):
        made.add(f"a{seed}", {**CELL, "dataset": "ward", "seed": seed}, benchmark="b", predictions=said(seed))
    made.add("c", {**CELL, "dataset": "other", "seed": 0}, predictions=said(5, NAMES[:6]))
    made.add("f", {**CELL, "dataset": "ward", "seed": 9, "status": "failed", "message": "y lacks 'patient-07'"})
    made.plan("b", ["a0", "a1", "f"])
    return made


def test_a_copy_is_the_store(store: Store, tmp_path: Path) -> None:
    copy = Store(str(export_store(store, tmp_path / "copy.db")))
    pd.testing.assert_frame_equal(copy.frame(benchmark="b"), store.frame(benchmark="b"))
    pd.testing.assert_frame_equal(copy.predictions(), store.predictions())
    assert copy.benchmarks() == ["b"]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["copy.db", "results.db"]  # no log, nothing half done


def test_no_name_is_in_a_file_without_ids(store: Store, tmp_path: Path) -> None:
    path = export_store(store, tmp_path / "shared.db", without_ids=True)
    content, whole = path.read_bytes(), Path(f"{tmp_path}/results.db").read_bytes()
    with sqlite3.connect(path) as connection:  # compressed blobs as they are read
        text = Store(str(path)).predictions().to_string() + Store(str(path)).frame().to_string()
        assert connection.execute("select count(*) from predictions").fetchone() == (3,)
    for name in [*NAMES, "ward-1", "lacks"]:
        assert name.encode() not in content and name not in text
    assert b"lacks 'patient-07'" in whole
    assert "left out, because a message may quote the data" in text


def test_codes_pair_the_cells_of_a_data_set_and_lead_nowhere_else(store: Store, tmp_path: Path) -> None:
    shared = Store(str(export_store(store, tmp_path / "shared.db", without_ids=True))).predictions()
    mine = store.predictions()
    by_cell = {key: part.set_index("sample") for key, part in shared.groupby("hash")}
    assert by_cell["a0"].index.tolist() == by_cell["a1"].index.tolist() == sorted(by_cell["a0"].index)
    assert by_cell["a0"]["group"].tolist() == by_cell["a1"]["group"].tolist()
    assert not set(by_cell["a0"].index) & set(by_cell["c"].index)  # another data set has other codes
    again = Store(str(export_store(store, tmp_path / "again.db", without_ids=True))).predictions()
    assert not set(again["sample"]) & set(shared["sample"])  # and another export
    # Each sample keeps what belongs to it: scores of both cells, label and group.
    columns = ["y", "predicted", "score:0", "score:1"]
    pairs = [
        pd.merge(*(part[part["hash"] == key][["sample", "group", *columns]] for key in ("a0", "a1")), on="sample")
        for part in (mine, shared)
    ]
    values = [
        pair.drop(columns=["sample", "group_x", "group_y"]).sort_values("score:0_x", ignore_index=True)
        for pair in pairs
    ]
    pd.testing.assert_frame_equal(*values)
    assert sorted(by_cell["a0"].groupby("group").size()) == [3, 3, 3, 3]


def test_what_is_computed_from_predictions_stays(store: Store, tmp_path: Path) -> None:
    shared = Store(str(export_store(store, tmp_path / "shared.db", without_ids=True)))
    for key in ("a0", "c"):
        results = [
            evaluate(
                part["y"].tolist(), part[["score:0", "score:1"]].to_numpy(), ["0", "1"], part["predicted"].tolist()
            )
            for part in (one.predictions(keys=[key]) for one in (store, shared))
        ]
        assert results[0] == results[1]


@pytest.mark.parametrize("where", ["ward-1", ["x", "patient-07"], {"site": "ward-1"}, "seen-in-training-alone"])
def test_a_condition_that_names_a_group_cannot_be_shared(store: Store, tmp_path: Path, where: Any) -> None:
    spec = {"corruption": {"subgroup": {"where": where, "mechanism": "mcar"}}, "label_noise": None}
    row = {**CELL, "dataset": "ward", "seed": 3, "spec": spec, "corruption": f"subgroup(where={where})"}
    store.add("n", row, predictions=said(3))
    with pytest.raises(ValueError, match="the corruption of cell n names a sample or a group") as error:
        export_store(store, tmp_path / "shared.db", without_ids=True)
    assert "ward-1" not in str(error.value) and "patient-07" not in str(error.value)
    assert not (tmp_path / "shared.db").exists()
    assert export_store(store, tmp_path / "mine.db").exists()  # for those who may have the names


def test_a_condition_that_names_a_site_is_shared(store: Store, tmp_path: Path) -> None:
    spec = {"corruption": {"subgroup": {"where": {"site": "B"}}}, "label_noise": "symmetric"}
    store.add("s", {**CELL, "dataset": "ward", "seed": 3, "spec": spec}, predictions=said(3))
    assert len(Store(str(export_store(store, tmp_path / "shared.db", without_ids=True))).frame()) == 5


@pytest.mark.parametrize(
    ("benchmark", "shown"),
    [
        ("patient-07", {}),
        ("b", {"method": "ward-1"}),
        ("b", {"probe": "patient-07"}),
        ("b", {"sweeps": [{"of": "ward-1", "values": {"temperature": 0.1}}]}),
    ],
)
def test_a_name_that_is_a_samples_cannot_be_shared(
    store: Store, tmp_path: Path, benchmark: str, shown: dict[str, Any]
) -> None:
    store.plan(benchmark, ["a0"], shown={"a0": shown} if shown else None)
    with pytest.raises(ValueError, match="of a0 is the name of a sample or a group") as error:
        export_store(store, tmp_path / "shared.db", without_ids=True)
    assert "ward-1" not in str(error.value) and "patient-07" not in str(error.value)
    assert not (tmp_path / "shared.db").exists()
    assert export_store(store, tmp_path / "mine.db").exists()


def test_names_that_are_no_samples_are_shared(store: Store, tmp_path: Path) -> None:
    store.plan("b", ["a0"], shown={"a0": {"method": "SCARF 0.3"}})
    shared = Store(str(export_store(store, tmp_path / "shared.db", without_ids=True)))
    assert shared.frame(benchmark="b")["method"].tolist() == ["SCARF 0.3"]


def test_no_file_is_replaced(store: Store, tmp_path: Path) -> None:
    (tmp_path / "mine.db").write_text("precious")
    with pytest.raises(FileExistsError, match=r"mine\.db is there already, and an export replaces no file"):
        export_store(store, tmp_path / "mine.db")
    assert (tmp_path / "mine.db").read_text() == "precious"


def test_damaged_predictions_leave_no_file(store: Store, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "results.db") as connection:
        connection.execute("update predictions set content = x'00' where hash = 'a1'")
    with pytest.raises(ValueError, match="the predictions of cell a1 cannot be read"):
        export_store(store, tmp_path / "shared.db", without_ids=True)
    assert not [file.name for file in tmp_path.iterdir() if "shared" in file.name or "export" in file.name]


def test_the_command_says_what_it_wrote(store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["export", "--store", store.url, "--output", str(tmp_path / "s.db")]
    assert main([*words, "--without_ids", "true"]) == 0
    assert capsys.readouterr().out == f"saved {tmp_path / 's.db'}: 4 cells, without the names of samples\n"
    assert main(words) == 2 and "is there already" in capsys.readouterr().err
    assert main([*words[:-1], str(tmp_path / "s.csv")]) == 2 and "must end in .db or .sqlite" in capsys.readouterr().err
    assert main(["export", "--store", f"{tmp_path}/none.db", "--output", str(tmp_path / "t.db")]) == 2
    assert "there is no result store" in capsys.readouterr().err and not (tmp_path / "none.db").exists()
