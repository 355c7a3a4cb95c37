"""The probe ``finetune`` and the control ``supervised`` in a benchmark."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import BaseEstimator, TransformerMixin

import kinview
from helpers import SIZES
from kinview import FineTunedClassifier
from kinview.complete_configs import complete_config
from kinview.evaluation import Benchmark, FineTune, Store, evaluate, run
from kinview.evaluation.benchmark import scoring, steps
from kinview.evaluation.benchmark.steps import Chain
from kinview.evaluation.probes import probes
from kinview.evaluation.report import format_table, write_report
from kinview.evaluation.report.cells import read_results
from kinview.methods import RandomInit, methods
from kinview.methods.estimators.capabilities import Capabilities
from kinview.methods.estimators.model_file import save_model

NETWORK = {"ts2vec": SIZES["ts2vec"]}
TS2VEC = {"ts2vec": {**NETWORK["ts2vec"], "trainer": {"max_steps": 3}}}
SUPERVISED = {"supervised": {"method": NETWORK}}
FINETUNE = {"finetune": {"trainer": {"max_epochs": 3, "lr": 0.01}}}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    for part in ("TRAIN", "TEST"):
        labels = np.repeat([1, 2], 10)
        values = random.normal(size=(20, 12)) + labels[:, None] * np.sin(np.arange(12))
        path = folder / "Toy" / f"Toy_{part}.tsv"
        path.parent.mkdir(exist_ok=True)
        pd.DataFrame(np.column_stack([labels, values])).to_csv(path, sep="\t", header=False, index=False)
    return str(folder)


@pytest.fixture(scope="module")
def tiny(data) -> Benchmark:
    return Benchmark(
        name="tiny",
        datasets=["toy"],
        methods=["raw", {"random_init": {"method": NETWORK}}, SUPERVISED, TS2VEC],
        corruptions=["mcar"],
        severities=[0.3],
        label_noise=["symmetric"],
        label_noise_rates=[0.25],
        label_fractions=[0.5],
        pretrain_on="clean",
        controls="none",
        probes=["knn", FINETUNE],
        data_dir=data,
    )


@pytest.fixture(scope="module")
def finished(tiny, tmp_path_factory) -> tuple[pd.DataFrame, Path]:
    folder = tmp_path_factory.mktemp("finished")
    return go(tiny, folder), folder


def go(benchmark: Benchmark, folder: Path, **options) -> pd.DataFrame:
    return run(benchmark, f"{folder}/results.db", cache_dir=folder / "cache", progress=False, **options)


def tuned(benchmark: Benchmark) -> list:
    return [cell for cell in benchmark.cells() if cell.probe == FINETUNE]


def kind(config) -> str:
    return config if isinstance(config, str) else next(iter(config))


def test_the_grid_holds_the_pairs_that_mean_something(tiny):
    pairs = {(kind(cell.method), kind(cell.probe)) for cell in tiny.cells()}
    assert pairs == {
        ("raw", "knn"), ("random_init", "knn"), ("ts2vec", "knn"), ("ts2vec", "finetune"), ("supervised", "finetune"),
    }  # fmt: skip
    assert len(tiny.cells()) == 5 * 4
    sentences = tiny.left_out()
    assert len(sentences) == 3
    assert [
        s
        for s in sentences
        if s.startswith("raw with the probe finetune") and s.endswith(": it has no network to train")
    ]
    assert [s for s in sentences if "random_init" in s and s.endswith("it would be the method 'supervised'")]
    assert [s for s in sentences if "supervised" in s and "probe knn: its network has seen no label" in s]


def test_a_method_without_any_probe_is_refused_before_anything_runs(tiny):
    for change, message in (
        ({"probes": ["knn"]}, r"none of the probes \(knn\) can be asked of supervised.*add a probe for it"),
        ({"probes": ["finetune"]}, r"none of the probes \(finetune\) can be asked of raw: it has no network"),
        (
            {"probes": [{"finetune": {"trainer": {"device": "cuda"}}}]},
            "finetune: the benchmark sets the trainer's device",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            dataclasses.replace(tiny, **change).cells()


def test_what_is_left_out_is_said(tiny, finished, capfd):
    run(tiny, f"{finished[1]}/results.db", cache_dir=finished[1] / "cache")
    said = capfd.readouterr().err
    assert said.count("not in the grid: ") == 3


def test_every_cell_has_a_result_with_its_rates(tiny, finished):
    frame, _ = finished
    assert set(frame["status"]) == {"ok"}, frame["message"].dropna().tolist()
    assert frame["hash"].tolist() == [cell.key for cell in tiny.cells()]
    rows = frame[frame["probe"].str.startswith("finetune")]
    assert sorted(set(rows["method"].map(lambda name: name.split("(")[0]))) == ["supervised", "ts2vec"]
    for _, part in rows.groupby("method"):
        assert sorted(part["realised_missing_train"]) == sorted(part["realised_missing_test"]) == [0, 0, 0, 0.3]
        assert sorted(part["realised_noise"]) == [0, 0, 0, 0.25]
    assert rows[["accuracy", "auroc"]].notna().all(axis=None)


def test_nothing_is_computed_twice(tiny, finished, tmp_path, monkeypatch):
    frame, folder = finished
    with monkeypatch.context() as patch:
        patch.setattr(steps, "run_chain", lambda *_, **__: pytest.fail("something was computed again"))
        pd.testing.assert_frame_equal(go(tiny, folder), frame)
    fits, trainings = [], []
    initialise, fit = RandomInit.initialise, FineTunedClassifier.fit
    monkeypatch.setattr(RandomInit, "initialise", lambda self, *a, **k: fits.append(self) or initialise(self, *a, **k))
    monkeypatch.setattr(FineTunedClassifier, "fit", lambda self, *a, **k: trainings.append(self) or fit(self, *a, **k))
    go(dataclasses.replace(tiny, methods=[SUPERVISED]), tmp_path)
    assert (len(fits), len(trainings)) == (1, 4)
    # one model a method, and no embedding for a probe that reads the samples
    assert len(list((folder / "cache" / "models").iterdir())) == 4
    assert len(list((tmp_path / "cache" / "models").iterdir())) == 1
    assert not (tmp_path / "cache" / "embeddings").exists()


def test_an_interrupted_run_continues_to_the_same_numbers(tiny, finished, tmp_path, monkeypatch):
    few = dataclasses.replace(tiny, methods=[SUPERVISED, TS2VEC], probes=[FINETUNE])
    add, written = Store.add, []

    def add_some(self, key, row, *, benchmark=None, **more):
        if len(written) == 3:
            raise KeyboardInterrupt
        add(self, key, row, benchmark=benchmark, **more)
        written.append(key)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "add", add_some)
        with pytest.raises(KeyboardInterrupt):
            go(few, tmp_path)
    resumed = go(few, tmp_path)
    assert set(resumed["attempts"]) == {1} and len(resumed) == 8
    whole = finished[0].set_index("hash").loc[resumed["hash"]].reset_index()
    columns = ["hash", "accuracy", "auroc", "auprc"]
    pd.testing.assert_frame_equal(resumed[columns], whole[columns], check_exact=True)


def test_a_probe_sees_the_labels_and_the_corruption_of_its_cell(tiny, data, finished, monkeypatch):
    seen = []
    fit = FineTune.fit
    monkeypatch.setattr(FineTune, "fit", lambda self, X, y, **k: seen.append((X, y, k)) or fit(self, X, y, **k))
    for cell in tuned(tiny):
        chain = Chain(cell, data, finished[1] / "cache")
        row = chain.probe(cell)
        X, y, given = seen.pop()
        rows, labels = chain._training_labels(cell)
        assert np.array_equal(y, labels.y) and len(X) == len(rows) == round(20 * cell.label_fraction)
        assert (y != chain.dataset.y_train[rows]).sum() == round(20 * row["realised_noise"])
        expected = chain.data("train", cell.corruption_of("train")).X
        np.testing.assert_array_equal(X, expected[rows])
        assert np.isnan(X).sum() == round(cell.severity * X.size)
        assert given["trainer"] == {"device": "cpu", "precision": "float32", "progress": False}


def test_test_samples_and_labels_do_not_reach_the_training(tiny, data, finished, monkeypatch):
    cell = tuned(tiny)[0]
    scores = []
    monkeypatch.setattr(scoring, "evaluate", lambda y, s, *rest: scores.append(s) or evaluate(y, s, *rest))
    for poison in (None, 1e3):
        chain = Chain(cell, data, finished[1] / "cache")
        if poison is not None:
            half = np.concatenate([chain.dataset.X_test[:10], np.full((10, 1, 12), poison)])
            chain.dataset = dataclasses.replace(chain.dataset, X_test=half, y_test=chain.dataset.y_test[::-1])
        chain.probe(cell)
    np.testing.assert_array_equal(scores[0][:10], scores[1][:10])


def test_groups_of_the_cell_reach_the_split(tiny, data, finished, monkeypatch):
    seen = []
    fit = FineTunedClassifier.fit
    monkeypatch.setattr(
        FineTunedClassifier,
        "fit",
        lambda self, X, y, groups=None: seen.append(groups) or fit(self, X, y, groups=groups),
    )
    for cell in tuned(tiny):
        chain = Chain(cell, data, finished[1] / "cache")
        groups = np.arange(20) // 2
        chain.dataset = dataclasses.replace(chain.dataset, groups_train=groups)
        chain.probe(cell)
        assert np.array_equal(seen.pop(), groups[chain._training_labels(cell)[0]])


def test_the_model_of_the_chain_is_not_changed_by_the_probe(tiny, data, finished):
    (cell, *_) = (cell for cell in tuned(tiny) if kind(cell.method) == "ts2vec")
    chain = Chain(cell, data, finished[1] / "cache")
    before = {name: value.clone() for name, value in chain.model().method_.state_dict().items()}
    first = chain.probe(cell)
    after = chain.model().method_.state_dict()
    assert all(bool((before[name] == after[name]).all()) for name in before)
    assert chain.probe(cell)["metrics"] == first["metrics"]


def test_supervised_is_the_network_trained_from_scratch_and_nothing_else(tiny, data, finished, monkeypatch):
    scores = []
    monkeypatch.setattr(scoring, "evaluate", lambda y, s, *rest: scores.append(s) or evaluate(y, s, *rest))
    for cell in (cell for cell in tuned(tiny) if kind(cell.method) == "supervised"):
        chain = Chain(cell, data, finished[1] / "cache")
        chain.probe(cell)
        rows, labels = chain._training_labels(cell)
        scratch = FineTunedClassifier(
            RandomInit(NETWORK, cell.seed).fit(chain.dataset.X_train), random_state=cell.seed, **FINETUNE["finetune"]
        )
        X = chain.data("train", cell.corruption_of("train")).X[rows]
        expected = scratch.fit(X, labels.y).predict_proba(chain.data("test", cell.corruption_of("test")).X)
        np.testing.assert_array_equal(scores.pop(), expected)


def test_the_tables_show_each_method_where_it_was_run(finished, tiny, tmp_path):
    frame, folder = finished
    texts = {probe.split("(")[0]: format_table(frame, probe=probe) for probe in frame["probe"].unique()}
    assert "supervised" not in texts["knn"].split("\n\n*")[0] and "raw" in texts["knn"]
    table = texts["finetune"]
    assert "\n  supervised" in table and "\n  ts2vec" in table
    assert "\n  raw" not in table and "\n  random_init" not in table
    assert "supervised(" in " ".join(table.split("\n\n")[-1].split())  # the verdict: beaten or not
    page = tmp_path / "report.html"
    write_report(frame, page, benchmark=tiny, embeddings=tiny.embeddings(folder / "cache"))
    html = page.read_text(encoding="utf-8")
    assert "cells of the grid have no result" not in html and "supervised" in html


def test_a_row_says_what_its_method_is(finished):
    frame, _ = finished
    rows = {row["method_name"]: row for _, row in frame.iterrows()}
    assert sorted(rows) == ["random_init", "raw", "supervised", "ts2vec"]
    assert {name: row["is_control"] for name, row in rows.items()} == {
        "random_init": 1, "raw": 1, "supervised": 1, "ts2vec": 0,
    }  # fmt: skip
    assert pd.isna(rows["raw"]["method_of"]) and pd.isna(rows["ts2vec"]["method_of"])
    network = complete_config(methods, NETWORK)
    assert all(json.loads(rows[name]["method_of"]) == network for name in ("random_init", "supervised"))


class Means(Capabilities, TransformerMixin, BaseEstimator):
    """Mean of each channel: a control as another package would bring it."""

    control: ClassVar[bool] = True

    def fit(self, X, y=None, *, groups=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        return np.nan_to_num(np.nanmean(np.asarray(X), axis=2))

    def fitted_state(self):
        return {}, {"fitted": torch.ones(1)}

    def restore_fitted_state(self, facts, tensors):
        self.fitted_ = True

    def save(self, path):
        return save_model(self, path)


def test_a_control_of_another_package_is_a_control_in_the_report(data, tmp_path):
    list(methods)
    methods.register("means", modality="time_series")(Means)
    try:
        benchmark = Benchmark(
            name="plug", datasets=["toy"], methods=["means", TS2VEC], controls="none", probes=["knn"], data_dir=data
        )
        frame = go(benchmark, tmp_path, workers=1)
    finally:
        del methods._entries["means"]
    assert set(frame["status"]) == {"ok"}  # and from here on nothing knows the class any more
    results = read_results(Store(f"{tmp_path}/results.db").frame())
    assert results.controls == ("means",) and results.methods[0] == "means"
    assert results.controls_of(results.methods[1], "Toy") == ["means"]
    assert " means (mean difference" in " ".join(format_table(frame, width=200).split())
    html = write_report(frame, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "means <small>control</small>" in html and "No control was run" not in html


def test_the_probe_says_what_it_needs():
    probe = probes.build("finetune")
    X, y = np.random.default_rng(0).normal(size=(12, 1, 9)), np.arange(12) % 2
    with pytest.raises(ValueError, match=r"call fit\(X, y, model=...\) first"):
        probe.predict_scores(X)
    for model in (None, methods.build("raw").fit(X)):
        with pytest.raises(ValueError, match="trains the network of a fitted model"):
            probe.fit(X, y, model=model)
    model = RandomInit(NETWORK, 0).fit(X)
    with pytest.raises(ValueError, match="all 12 training labels are 0: a probe needs more than one class"):
        probe.fit(X, np.zeros(12, dtype=int), model=model)
    named = np.where(y, "ill", "well")
    fitted = probes.build(FINETUNE).fit(X, named, model=model)
    assert fitted.classes_.tolist() == ["ill", "well"] and set(fitted.predict(X)) <= {"ill", "well"}
    assert fitted.predict_scores(X).shape == (12, 2) and fitted.convergence_failures == 0


def test_a_saved_model_is_probed_by_training_it(tmp_path, data, capsys):
    from kinview.cli import main

    set_ = kinview.load("toy", data_dir=data)
    path = methods.build(TS2VEC, random_state=0).fit(set_.X_train).save(tmp_path / "model.safetensors")
    words = ["probe", "--model", str(path), "--dataset", "toy", "--data_dir", data, "--probe", "finetune"]
    assert main([*words, "--probe_parameters", "{trainer: {max_epochs: 2}}"]) == 0
    assert "probe finetune" in capsys.readouterr().out
    classifier = FineTunedClassifier(kinview.load_model(path), trainer={"max_epochs": 1}).fit(
        set_.X_train, set_.y_train
    )
    words[2] = str(classifier.save(tmp_path / "classifier.safetensors"))
    assert main(words) != 0
    assert "needs one that embeds: save its encoder_" in capsys.readouterr().err


def test_the_configured_benchmark_can_be_planned():
    benchmark = Benchmark.from_yaml("fine_tuning")
    cells = benchmark.cells()
    # 4 data sets x 3 seeds x (clean, noise, few labels) x (learned: 3 probes; supervised: 2)
    assert len(cells) == 4 * 3 * 3 * (3 + 2)
    assert {kind(cell.probe) for cell in cells if kind(cell.method) == "supervised"} == {"finetune"}
