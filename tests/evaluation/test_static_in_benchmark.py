"""Static columns in a benchmark: appended for the probe, further features of an encoder, subgroups, or nowhere."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import kinview
from kinview.cli import main
from kinview.datasets import Dataset
from kinview.evaluation import Benchmark, Store, subgroup_metrics
from kinview.evaluation.benchmark.runner import run
from kinview.evaluation.benchmark.static import StaticFeatures
from kinview.evaluation.benchmark.steps import Chain
from kinview.yaml_text import write_yaml

EXPERT = {
    "joint_embedding": {"loss": "exp_clr", "encoder": {"resnet1d": {}}, "trainer": {"max_steps": 1, "batch_size": 8}}
}
N = 60


@pytest.fixture
def options(tmp_path: Path) -> dict[str, Any]:
    """Noise as values, with a static column that knows the label, and one of ages with gaps."""
    draw = np.random.default_rng(0)
    rows = [
        f"{i},{t},{draw.normal():.3f},{'no' if i % 2 else 'yes'},{20 + i if i % 5 else ''},{'AB'[i % 3 == 0]},{i % 2}"
        for i in range(N)
        for t in range(4)
    ]
    path = tmp_path / "stays.csv"
    path.write_text("\n".join(["stay,hour,hr,smokes,age,site,died", *rows]))
    return {
        "path": str(path), "id": "stay", "time": "hour", "label": "died", "static": ["smokes", "age", "site"],
    }  # fmt: skip


def benchmark(options: dict[str, Any], to: Any = None, **changes: Any) -> Benchmark:
    given = {**options, **({} if to is None else {"static_to": to})}
    values: dict[str, Any] = {"methods": ["raw"], "controls": "none", "probes": ["linear"], "seeds": [0], **changes}
    return Benchmark("b", [{"stays": given}], **values)


def test_numbers_and_levels_are_those_of_training_rows() -> None:
    train = pd.DataFrame({"age": [30.0, 50.0, np.nan], "sex": ["f", None, "m"], "n": [1, 1, 4]})
    test = pd.DataFrame({"age": [np.nan, 1e6], "sex": ["x", "f"], "n": [2, 3]})
    features = StaticFeatures.of(train, ["sex", "age", "n"])
    np.testing.assert_allclose(features(train)[:, 0], [-np.sqrt(1.5), np.sqrt(1.5), 0], rtol=1e-6)
    np.testing.assert_allclose(features(train)[:, 1], (np.array([1, 1, 4]) - 2) / np.sqrt(2), rtol=1e-6)
    found = features(test)
    assert found.dtype == np.float32 and found.shape == (2, 2 + 1 + 3) and np.isfinite(found).all()
    assert found[0, 3:].tolist() == [0, 0, 0]  # a level that no training row has
    np.testing.assert_allclose(found[1, 0], (1e6 - 40) / 10 / np.sqrt(2 / 3), rtol=1e-5)
    kept = features(test, keep_missing=True)
    assert np.isnan(kept[0, 0]) and kept.shape == (2, 2 + 3)
    np.testing.assert_allclose(kept[1, 0], (1e6 - 40) / 10, rtol=1e-5)


def test_a_column_that_names_the_samples_is_refused() -> None:
    names = pd.DataFrame({"who": [f"p{i}" for i in range(30)]})
    with pytest.raises(ValueError, match="'who' has 30 different texts in 30 training samples"):
        StaticFeatures.of(names, ["who"])


def test_the_probe_sees_what_it_is_sent_and_nothing_else(options: dict[str, Any], tmp_path: Path) -> None:
    found = {}
    for name, to in {"none": None, "probe": {"probe": ["smokes"]}, "subgroups": {"subgroups": "smokes"}}.items():
        frame = run(
            benchmark(options, to), f"sqlite:///{tmp_path}/{name}.db", cache_dir=tmp_path / "cache", progress=False
        )
        assert frame["status"].tolist() == ["ok"]
        found[name] = float(frame["accuracy"].iloc[0])
    assert found["none"] == found["subgroups"] < 0.8 and found["probe"] == 1


def test_what_bears_on_a_result_is_in_its_key_and_nothing_else(options: dict[str, Any]) -> None:
    def keys(to: Any, method: Any = "raw") -> tuple[str, str]:
        (cell,) = [one for one in benchmark(options, to, methods=["raw", EXPERT]).cells() if one.method == method] or [
            one for one in benchmark(options, to, methods=["raw", EXPERT]).cells() if one.method != "raw"
        ]
        return cell.key, cell.pretrain_key

    encoder = {"encoder": ["age"]}
    one, two = keys(encoder), keys({**encoder, "probe": ["age"]})
    assert one[0] != two[0] and one[1] == two[1]  # the probe's columns leave the model alone
    assert keys({**encoder, "subgroups": ["site"]}) == one
    expert, other = keys(encoder, "expert"), keys({"encoder": ["age", "site"]}, "expert")
    assert expert[0] != other[0] and expert[1] != other[1]
    assert keys({"encoder": ["age", "site"]}) == one  # raw gets none
    plain = benchmark(options).cells()[0]
    assert "static_to" not in plain.spec and plain.key == benchmark(options, {"subgroups": ["site"]}).cells()[0].key


def test_folds_learn_from_their_training_rows_and_an_encoder_gets_those(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = benchmark(
        options,
        {"probe": ["age"], "encoder": ["age", "site"]},
        methods=[EXPERT],
        split={"stratified_kfold": {"folds": 3}},
    )
    learned: list[pd.DataFrame] = []
    real = StaticFeatures.of

    def noted(train: pd.DataFrame, columns: Any) -> StaticFeatures:
        learned.append(train)
        return real(train, columns)

    cells = plan.cells()
    monkeypatch.setattr(StaticFeatures, "of", noted)
    chain = Chain(cells[1], None, tmp_path)
    row = chain.probe(cells[1])
    assert row["status"] == "ok" and len(learned) == 2
    for train in learned:  # once for the encoder, once for the probe
        pd.testing.assert_frame_equal(train, chain.dataset.static_train)
    assert len(chain.dataset.static_train) == 40  # type: ignore[arg-type]
    _, given = chain._training_samples()
    assert given["extra"]["features"].shape == (40, 2 + 2)  # age, whether it is missing, two sites


def test_what_takes_no_static_columns_is_refused_or_named(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"to the encoder, and none of the methods .*\(raw, ts2vec\)"):
        benchmark(options, {"encoder": ["age"]}, methods=["raw", "ts2vec"]).cells()
    with pytest.raises(ValueError, match=r"uses further features of each row, and the data set 'stays' sends it none"):
        benchmark(options, methods=[EXPERT]).cells()
    plan = benchmark(
        options, {"encoder": ["age"], "probe": ["age"]}, methods=[EXPERT, "ts2vec"], probes=["linear", "finetune"]
    )
    assert {cell.probe for cell in plan.cells()} == {"linear"}
    said = plan.left_out()
    assert "finetune on stays: it trains the network itself and takes no static columns beside it" in said
    assert "static columns of stays in ts2vec: no such method takes further features" in said


@pytest.mark.parametrize(
    ("to", "message"),
    [
        ({"probe": ["agee"]}, "sends 'agee' to probe; its static columns are smokes, age, site"),
        ({"probes": ["age"]}, "has no 'probes'; did you mean 'probe'?"),
        ({"probe": ["age", "age"]}, "names a column twice for probe: age, age"),
        ({"probe": [{"age": [0, 1]}]}, "must name columns for probe"),
        (["age"], "must say where static columns go"),
    ],
)
def test_where_static_columns_cannot_go_is_refused(options: dict[str, Any], to: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kinview.load("stays", **options, static_to=to)
    X = np.zeros((2, 1, 3))
    with pytest.raises(ValueError, match="sends 'age' to probe; it has none: name them when it is read"):
        Dataset(X, np.array([0, 1]), X, np.array([0, 1]), "d", static_to={"probe": "age"})


def test_subgroups_of_a_study_are_those_that_its_data_sets_send(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    bands = [{"age": [0, 50, 120]}, "site"]
    plan = benchmark(options, {"subgroups": bands})
    values = {field.name: getattr(plan, field.name) for field in dataclasses.fields(plan)}
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
    Path("study.yaml").write_text(write_yaml(json.loads(json.dumps(plain))))
    store = Store("sqlite:///results.db")
    run(plan, store, cache_dir="cache", progress=False)
    words = [
        "metrics",
        "--study",
        "study.yaml",
        "--store",
        "results.db",
        "--metrics",
        "accuracy",
        "--n_resamples",
        "20",
    ]
    assert main([*words, "--output", "out.csv"]) == 0
    found = pd.read_csv("out.csv").query("table == 'subgroups'")
    data = kinview.load("stays", **options)
    static = data.pooled().static
    assert static is not None
    said = store.predictions(benchmark="b")
    expected = subgroup_metrics(
        said, static.set_axis(data.sample_names(), axis=0), bands, ["accuracy"], by=["dataset"], n_resamples=20,
        undefined="leave_out",
    ).table  # fmt: skip
    assert found["level"].tolist() == expected["level"].astype(str).tolist() and len(found) >= 4
    np.testing.assert_allclose(found["value"], expected["value"])
    capsys.readouterr()
    assert main([*words, "--benchmark", "b"]) == 2
    assert "--study names benchmark, data and subgroups" in capsys.readouterr().err


def test_the_probe_command_appends_them_too(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = [
        "--data",
        options["path"],
        "--id",
        "stay",
        "--time",
        "hour",
        "--label",
        "died",
        "--static",
        "smokes,age,site",
    ]
    assert main(["pretrain", *data, "--split", "holdout", "--method", "raw", "--output", "m.safetensors"]) == 0
    accuracy = []
    for further in ([], ["--static_to", "{probe: [smokes]}"]):
        given = [*data, "--split", "holdout", *further, "--model", "m.safetensors", "--output", "o.json"]
        assert main(["probe", *given]) == 0
        accuracy.append(json.loads(Path("o.json").read_text())["metrics"]["accuracy"])
    assert accuracy[0] < accuracy[1] == 1
