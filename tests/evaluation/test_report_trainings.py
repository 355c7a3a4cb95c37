"""Training curves, the last loss beside the score, and labels that look wrong, in a report."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest

from kinview.evaluation import Benchmark, Report, Store, run
from kinview.evaluation.report.cells import read_results
from kinview.evaluation.report.html import render_html
from kinview.evaluation.report.label_errors import label_errors
from kinview.evaluation.report.markdown import render_markdown
from kinview.evaluation.report.sweeps import response, sweeps_of
from kinview.evaluation.report.trainings import _average, _points, last_value

ENCODER = {"dilated_conv": {"repr_dim": 4, "hidden_dim": 4, "depth": 1}}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A sweep that was really run: two batch sizes, two seeds."""
    folder = tmp_path_factory.mktemp("trainings")
    trainer = {"max_steps": 20, "batch_size": {"grid": [4, 8]}}
    methods = [{"simclr": {"encoder": ENCODER, "trainer": trainer}}, "raw"]
    benchmark = Benchmark(
        "sweep", ["italy_power_demand"], methods, probes=["centroid"], controls="none", severities=[], seeds=[0, 1],
        label_noise=["symmetric"], label_noise_rates=[0.2],
    )  # fmt: skip
    made = Store(f"{folder}/results.db")
    run(benchmark, made, cache_dir=folder / "cache", progress=False)
    return made


@pytest.fixture(scope="module")
def report(store):
    return Report(store.frame(benchmark="sweep"), steps=store.steps(), metric="auroc")


def test_each_model_of_a_clean_cell_is_there_once_with_its_training(store, report):
    models = report.trainings
    assert sorted(models["seed"]) == [0, 0, 0, 1, 1, 1] and models["hash"].is_unique
    learned = models[models["method"] != "raw"]
    assert all(len(one["loss"]) == 20 for one in learned["history"]) and (learned["parameters"] > 0).all()
    assert not any(models.loc[models["method"] == "raw", "history"])
    rows = {row[1]: row for row in report.model_rows}
    assert len(rows) == 2  # raw has no network
    for method, row in rows.items():
        own = learned[learned["method"] == method]
        first = np.mean([one["loss"][0] for one in own["history"]])
        last = np.mean([np.mean(one["loss"][-2:]) for one in own["history"]])
        assert row[-1] == f"{first:.4g} → {last:.4g}" and row[2] == "2" and row[5] == "20"


def test_points_pair_the_last_loss_of_a_model_with_its_own_score(store, report):
    (sweep,) = sweeps_of(report.results)
    points = _points(report.results, report.trainings, sweep, "auroc")
    cells = store.frame().set_index("model_hash")
    clean = cells[cells["label_noise"].isna()]
    expected = {
        (last_value(json.loads(row["history"])), clean.loc[row["hash"], "auroc"])
        for row in store.steps().to_dict("records")
        if isinstance(row["history"], str)
    }
    assert len(points) == 4 and set(zip(points["loss"], points["auroc"], strict=True)) == expected


def test_page_and_text_show_them(report):
    page, text = render_html(report), render_markdown(report)
    assert 'id="training"' in page and "Last loss and score" in page and "## Models and their training" in text
    assert {"training_italy_power_demand", f"loss_{report.sweeps[0]['figure']}"} <= set(report.figures())
    without = render_html(Report(report.frame, metric="auroc"))
    assert 'id="training"' not in without and "Last loss and score" not in without


def test_the_last_value_is_the_mean_over_the_last_tenth():
    steps = list(range(1, 101))
    assert last_value({"step": steps, "loss": [float(step) for step in steps]}) == pytest.approx(np.mean(steps[90:]))
    assert last_value({"step": [1, 2], "loss": [5.0, 1.0]}) == 1.0
    assert math.isnan(last_value({"step": [1, 2], "loss": [5.0, None]})) and math.isnan(last_value({}))


def test_a_mean_curve_takes_each_training_as_far_as_it_goes():
    x, mean = _average([{"step": [1, 2], "loss": [1.0, 3.0]}, {"step": [1, 2, 4], "loss": [3.0, 5.0, 7.0]}], "loss")
    assert x.tolist() == [1, 2, 4] and mean.tolist() == [2, 4, 7]


def test_a_curve_weighs_seeds_alike_where_one_has_fewer_folds():
    rows = [(0, 0, 0.5), (0, 1, 0.7), (1, 0, 0.9)]  # the second fold of the second seed failed
    frame = pd.DataFrame([
        {"dataset": "d", "modality": "tabular", "method": name, "probe": "ridge", "seed": seed, "fold": fold,
         "split": "stratified_kfold", "accuracy": value, "status": "ok",
         "sweeps": json.dumps([{"of": "m", "values": {"p": place}}])}
        for place, name in enumerate(["m(p=1)", "m(p=2)"]) for seed, fold, value in rows
    ])  # fmt: skip
    found = response(read_results(frame), "accuracy")
    assert found["mean"].tolist() == pytest.approx([(0.6 + 0.9) / 2] * 2)


def test_planted_wrong_labels_are_found_and_the_lowest_estimate_is_said():
    random = np.random.default_rng(0)
    right = random.integers(0, 2, 400)
    recorded = np.where(np.arange(400) < 40, 1 - right, right)

    def said(method, believed, sure):
        p = np.where(believed == 1, sure, 1 - sure) + random.uniform(-0.04, 0.04, 400)
        names = np.arange(400).astype(str)
        return pd.DataFrame({
            "dataset": "d", "method": method, "probe": "ridge", "seed": 0, "fold": 0, "sample": names,
            "group": None, "y": recorded.astype(str), "predicted": (p > 0.5).astype(int).astype(str), "score:0": 1 - p,
            "score:1": p,
        })  # fmt: skip

    weak = said("weak", np.where(np.arange(400) >= 360, 1 - right, right), 0.9)
    (found,) = label_errors({"d": pd.concat([said("strong", right, 0.95), weak])}, ["strong", "weak"], ["ridge"])
    assert found["method"] == "strong" and found["rate"] == pytest.approx(0.1, abs=0.01)
    assert found["highest"] > 0.15 and found["estimates"] == 2
    assert label_errors({"d": weak[weak["y"] == "1"]}, ["weak"], ["ridge"]) == []  # a single class
