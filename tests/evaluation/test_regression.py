"""Data sets whose labels are numbers: read, cut, probed, scored and shown."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, RidgeCV
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBRegressor

import kinview
from kinview._cli.arguments import Metric
from kinview.data.splits import quantile_codes
from kinview.datasets.dataset import Dataset
from kinview.datasets.folders import load_path
from kinview.evaluation import (
    SVM,
    Benchmark,
    Holdout,
    Linear,
    Ridge,
    Store,
    StratifiedKFold,
    XGBoost,
    metrics_with_intervals,
    run,
    write_report,
)
from kinview.evaluation.metrics.regression import evaluate_numbers
from kinview.evaluation.probes import probes
from kinview.evaluation.report.cells import METRICS
from kinview.evaluation.report.default_metric import default_metric

REGRESSING = [name for name in probes if probes[name].target.regresses]


def diabetes():
    data = kinview.load("diabetes")
    return data.X_train.to_numpy(), data.y_train, data.X_test.to_numpy(), data.y_test


@pytest.fixture(scope="module")
def series_folder(tmp_path_factory):
    """Series whose target is the frequency of a sine, as a long file with whole numbers as labels."""
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("data")
    rows = []
    for patient in range(80):
        target = int(rng.integers(10, 60))
        wave = np.sin(np.arange(30) * target / 60 + rng.uniform(0, 6)) + 0.1 * rng.normal(size=30)
        rows += [(f"p{patient:02d}", t, value, target) for t, value in enumerate(wave)]
    (folder / "waves").mkdir()
    frame = pd.DataFrame(rows, columns=["patient", "hour", "pulse", "days"])
    frame.to_csv(folder / "waves" / "waves.csv", index=False)
    return folder


OPTIONS = {"id": "patient", "time": "hour", "label": "days", "task": "regression"}


def test_which_probes_predict_numbers_is_declared():
    assert REGRESSING == ["linear", "ridge", "svm", "xgboost"]
    for name in set(probes) - set(REGRESSING):
        with pytest.raises(ValueError, match="predicts classes; linear, ridge, svm and xgboost predict numbers"):
            probes.build(name).fit_numbers(np.zeros((4, 1)), np.arange(4.0))


def test_regression_forms_are_those_of_the_libraries():
    Z, y, test, _ = diabetes()
    scaled, scaled_test = (StandardScaler().fit(Z).transform(part) for part in (Z, test))
    reference = RidgeCV(alphas=np.logspace(-3, 3, 10)).fit(scaled, y)
    ridge = Ridge().fit_numbers(Z, y)
    assert ridge.alpha_ == pytest.approx(reference.alpha_)
    np.testing.assert_allclose(ridge.predict_numbers(test), reference.predict(scaled_test), rtol=1e-6)
    linear = make_pipeline(StandardScaler(), LinearRegression()).fit(Z, y)
    np.testing.assert_allclose(Linear().fit_numbers(Z, y).predict_numbers(test), linear.predict(test), rtol=1e-9)
    trees = XGBRegressor(n_estimators=100, max_depth=3, learning_rate=0.1, n_jobs=1, random_state=0).fit(scaled, y)
    np.testing.assert_allclose(XGBoost().fit_numbers(Z, y).predict_numbers(test), trees.predict(scaled_test), rtol=1e-6)


@pytest.mark.parametrize("name", REGRESSING)
def test_they_predict_numbers_follow_their_scale_and_repeat(name):
    Z, y, test, truth = diabetes()
    found = probes.build(name).fit_numbers(Z, y).predict_numbers(test)
    assert found.shape == (len(test),) and r2_score(truth, found) > 0.3
    np.testing.assert_array_equal(found, probes.build(name).fit_numbers(Z, y).predict_numbers(test))
    moved = probes.build(name).fit_numbers(Z, 1000 + 20 * y).predict_numbers(test)
    assert np.corrcoef(moved, found)[0, 1] > (0.99 if name == "xgboost" else 0.999)
    grouped = probes.build(name).fit_numbers(Z, y, np.arange(len(y)) // 3).predict_numbers(test)
    assert np.isfinite(grouped).all()
    constant = probes.build(name).fit_numbers(Z[:20], np.full(20, 7.0)).predict_numbers(test)
    np.testing.assert_allclose(constant, 7.0, atol=1e-4)


def test_the_penalty_of_svm_has_the_smallest_left_out_error():
    Z, y, _, _ = diabetes()
    probe = SVM().fit_numbers(Z, y)
    assert np.logspace(-3, 3, 7)[probe.cv_scores_.argmax()] == probe.C_ and -1 < probe.cv_scores_.max() < 0
    assert SVM().fit_numbers(Z[:30], y[:30]).cv_scores_ is None


@pytest.mark.parametrize(
    ("options", "y", "message"),
    [
        ({"calibration": "platt"}, [1.0, 2.0, 3.0], "calibration='platt' is an option of classes"),
        ({"inner_metric": "auroc"}, [1.0, 2.0, 3.0], "inner_metric='auroc' is an option of classes"),
        ({}, [1.0, np.nan, 3.0], "missing or not finite in 1 of 3 rows"),
        ({}, [1.0, 2.0], "give one number a row"),
    ],
)
def test_what_makes_no_sense_for_numbers_is_refused(options, y, message):
    with pytest.raises(ValueError, match=message):
        probes.build({"ridge": options}).fit_numbers(np.arange(3.0)[:, None], y)


def test_values_of_a_cell_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    y, found = rng.normal(size=50), rng.normal(size=50)
    values = evaluate_numbers(y, found)
    assert values["mae"] == pytest.approx(mean_absolute_error(y, found))
    assert values["rmse"] == pytest.approx(root_mean_squared_error(y, found))
    assert values["r2"] == pytest.approx(r2_score(y, found)) and values["notes"] == []
    assert "all test targets are the same" in evaluate_numbers([2.0, 2.0], [1.0, 2.0])["notes"][0]


def test_whole_numbers_are_classes_unless_a_regression_is_asked_for(series_folder):
    options = {name: value for name, value in OPTIONS.items() if name != "task"}
    with pytest.warns(UserWarning, match="regression target"):
        kinview.load("waves", data_dir=series_folder, **options).require_target()
    data = kinview.load("waves", data_dir=series_folder, **OPTIONS)
    assert data.task == "regression" and data.y_train.dtype == float and data.classes is None
    data.require_target()
    file = load_path(series_folder / "waves" / "waves.csv", "long", **OPTIONS)
    assert file.task == "regression" and "numeric target" in file.describe()
    assert file.as_classes().task == "classification"
    with pytest.raises(ValueError, match="give one"):
        kinview.load("waves", data_dir=series_folder, as_classes=True, **OPTIONS)
    with pytest.raises(ValueError, match="task='ranking' is unknown"):
        kinview.load("iris", task="ranking")
    X, y = np.zeros((2, 1, 3)), np.array(["ill", "well"])
    with pytest.raises(ValueError, match="needs a number for each sample, and demo has labels such as 'ill'"):
        Dataset(X, y, X, y, "demo").as_regression()


def test_folds_and_held_out_parts_have_the_targets_in_proportion():
    data = kinview.load("diabetes")
    y = data.pooled().y
    for protocol in (StratifiedKFold(folds=5), Holdout(test_fraction=0.2, repeats=3)):
        for fold in data.split(protocol):
            assert fold.task == "regression"
            low = np.quantile(y, [0.25, 0.5, 0.75])
            assert np.abs([(fold.y_test < edge).mean() for edge in low] - np.array([0.25, 0.5, 0.75])).max() < 0.04
    parts = np.bincount(quantile_codes(y, 10))
    assert len(parts) == 10 and parts.min() >= 40


def test_a_grid_of_numbers_is_run_stored_measured_and_shown(tmp_path, capsys, series_folder):
    asked = Benchmark(
        name="numbers", datasets=["diabetes", {"waves": OPTIONS}], methods=["raw", "summary"], controls="none",
        probes=["ridge", "xgboost", "lda"], corruptions=["mcar", "informative"], severities=[0.3],
        label_noise=["symmetric"], label_noise_rates=[0.2], label_fractions=[0.5], data_dir=str(series_folder),
        split={"stratified_kfold": {"folds": 2}},
    )  # fmt: skip
    store = Store(f"sqlite:///{tmp_path}/r.db")
    frame = run(asked, store, cache_dir=tmp_path)
    told = capsys.readouterr().err
    assert (frame["status"] == "ok").all(), frame["message"].tolist()
    assert set(frame["probe"]) == {"ridge", "xgboost"} and frame["label_noise"].isna().all()
    assert "raw with the probe lda on diabetes: the probe predicts classes" in told
    assert "symmetric on diabetes: its labels are numbers, and label noise is of classes" in told
    assert "informative on waves: its labels are numbers, and it goes by classes" in told
    assert frame[["mae", "rmse", "r2"]].notna().all(axis=None) and frame["accuracy"].isna().all()
    clean = frame[frame["corruption"].isna() & (frame["label_fraction"] == 1)]
    assert clean.groupby("dataset")["r2"].max().min() > 0.3
    few = frame[frame["label_fraction"] == 0.5]
    assert (few["labelled_samples"].isin([110, 111, 20])).all()
    said = store.predictions()
    assert not any(column.startswith("score:") for column in said)
    table = metrics_with_intervals(said, n_resamples=50, undefined="leave_out")
    assert set(table["metric"]) == {"mae", "rmse", "r2"}
    assert ((table["low"] <= table["value"]) & (table["value"] <= table["high"])).mean() > 0.95
    one = table[(table["dataset"] == "diabetes") & (table["method"] == "raw") & (table["probe"] == "ridge")]
    mine = clean[(clean["dataset"] == "diabetes") & (clean["method"] == "raw") & (clean["probe"] == "ridge")]
    value = one[(one["metric"] == "mae") & (one["corruption"] == "none") & (one["label_fraction"] == 1)]["value"]
    assert value.item() == pytest.approx(mine["mae"].mean())
    assert default_metric(frame) == "r2"
    page = write_report(frame, tmp_path / "page.html", benchmark=asked, metric="r2").read_text(encoding="utf-8")
    assert "Mean absolute error" in page and "task: regression" in page


def test_the_command_line_probes_numbers(tmp_path, series_folder, capsys):
    from kinview.cli import main

    model, file = tmp_path / "m.safetensors", series_folder / "waves" / "waves.csv"
    data = load_path(file, "long", **OPTIONS)
    kinview.methods.methods.build("summary", for_modality="time_series").fit(data.X_train).save(model)
    words = ["--model", str(model), "--data", str(file), "--id", "patient", "--time", "hour", "--label", "days"]
    result, said = tmp_path / "r.json", tmp_path / "p.parquet"
    more = ["--task", "regression", "--probe", "ridge", "--output", str(result), "--predictions", str(said)]
    assert main(["probe", *words, *more]) in (0, None)
    told = capsys.readouterr().out
    assert "Mean absolute error" in told and "R²" in told and "Accuracy" not in told
    metrics = json.loads(result.read_text(encoding="utf-8"))["metrics"]
    assert set(metrics) == {"mae", "rmse", "r2"}
    frame = pd.read_parquet(said)
    error = mean_absolute_error(frame["y"].astype(float), frame["predicted"].astype(float))
    assert error == pytest.approx(metrics["mae"])
    assert metrics_with_intervals(frame, n_resamples=20)["metric"].tolist() == ["mae", "rmse", "r2"]


def test_metrics_of_numbers_can_be_asked_for_by_name():
    assert {"mae", "rmse", "r2"} < set(METRICS) == set(Metric.__args__)


@pytest.mark.parametrize("name", ["linear", "ridge", "svm", "xgboost"])
def test_a_probe_says_what_it_was_fitted_to(name):
    Z, y = np.random.default_rng(0).normal(size=(30, 2)), np.arange(30) % 2
    probe = probes.build(name).fit(Z, y)
    with pytest.raises(ValueError, match=r"was fitted to classes; call fit_numbers\(Z, y\) first"):
        probe.predict_numbers(Z)
    probe.fit_numbers(Z, Z[:, 0])
    assert probe.predict_numbers(Z).shape == (30,)
    for ask in (probe.predict, probe.predict_scores):
        with pytest.raises(ValueError, match=r"was fitted to numbers; call fit\(Z, y\) first"):
            ask(Z)
    assert set(probe.fit(Z, y).predict(Z)) <= {0, 1}
