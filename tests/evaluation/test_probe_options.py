"""Calibration, class weights and the metric of the inner selection."""

import dataclasses
import warnings

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, brier_score_loss, recall_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.class_weight import compute_sample_weight

from kinview.evaluation import SVM, Benchmark, FineTune, Linear, Store, run
from kinview.evaluation.probes import probes
from kinview.evaluation.probes._calibrators import Calibrator
from kinview.evaluation.probes._inner_folds import inner_folds
from kinview.evaluation.probes.base import Probe

CALIBRATED = ("linear", "svm", "knn", "ridge", "robust_ridge", "centroid", "lda", "logistic", "xgboost", "selected")
WEIGHTED = ("linear", "svm", "xgboost", "logistic", "forward_corrected", "confident")
CHOOSING = {
    "svm": {},
    "knn": {"k": "loo"},
    "ridge": {},
    "logistic": {},
    "selected": {"candidates": ["lda", "centroid"]},
}


def two_classes(n=300, rare=0.5, dim=4, seed=0, distance=1.2):
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < rare).astype(int)
    return rng.normal(size=(n, dim)) + distance * y[:, None] * np.array([1.0, *([0.0] * (dim - 1))]), y


def built(name, **options):
    return probes.build({name: {**options}})


@pytest.mark.parametrize("name", sorted(probes))
def test_defaults_are_neutral(name):
    probe = built(name)
    assert probe.calibration is None
    if name in WEIGHTED:
        assert probe.class_weight is None
    for option, value in (("calibration", "beta"), ("class_weight", "inverse"), ("inner_metric", "r2")):
        if hasattr(probe, option):
            with pytest.raises(ValueError, match=option):
                built(name, **{option: value})


@pytest.mark.parametrize("kind", ["platt", "isotonic"])
def test_two_classes_are_calibrated_as_scikit_learn_does(kind):
    Z, y = two_classes()
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    method = "sigmoid" if kind == "platt" else "isotonic"
    reference = CalibratedClassifierCV(pipeline, method=method, cv=inner_folds(y, None), ensemble=False).fit(Z, y)
    probe = Linear(calibration=kind).fit(Z, y)
    np.testing.assert_allclose(probe.predict_scores(Z), reference.predict_proba(Z), atol=2e-4)


def test_more_classes_are_calibrated_as_scikit_learn_does():
    rng = np.random.default_rng(1)
    y = np.arange(240) % 3
    Z = rng.normal(size=(240, 2)) + np.array([[0, 0], [2, 0], [0, 2]])[y]
    folds = inner_folds(y, None)
    reference = CalibratedClassifierCV(SVC(C=1.0), method="sigmoid", cv=folds, ensemble=False).fit(Z, y)
    scores = np.empty((240, 3))
    for train, valid in folds:
        scores[valid] = SVC(C=1.0).fit(Z[train], y[train]).decision_function(Z[valid])
    calibrator = Calibrator.fitted("platt", scores, y)
    found = calibrator.probabilities(SVC(C=1.0).fit(Z, y).decision_function(Z))
    np.testing.assert_allclose(found, reference.predict_proba(Z), atol=2e-3)
    assert np.allclose(found.sum(axis=1), 1)
    assert (calibrator.probabilities(np.full((2, 3), -1e9)) == calibrator.probabilities(np.full((2, 3), -1e9))).all()


@pytest.mark.parametrize("kind", ["platt", "isotonic"])
@pytest.mark.parametrize("name", CALIBRATED)
def test_every_probe_gives_probabilities_that_its_predictions_follow(name, kind):
    Z, y = two_classes(160)
    labels = np.array(["well", "ill"])[y]
    options = {"candidates": ["lda", "centroid"]} if name == "selected" else {}
    probe = built(name, calibration=kind, **options).fit(Z, labels)
    scores = probe.predict_scores(Z)
    assert (scores >= 0).all() and np.allclose(scores.sum(axis=1), 1)
    np.testing.assert_array_equal(probe.predict(Z), probe.classes_[scores.argmax(axis=1)])
    assert not any("not calibrated" in finding for finding in probe.findings())
    again = built(name, calibration=kind, **options).fit(Z, labels)
    np.testing.assert_array_equal(scores, again.predict_scores(Z))


def test_calibration_repairs_scores_that_are_too_sharp():
    Z, y = two_classes(400, dim=30, distance=1.0)
    test, truth = two_classes(2000, dim=30, seed=9, distance=1.0)
    plain, platt = (built("xgboost", **given).fit(Z, y) for given in ({}, {"calibration": "platt"}))
    losses = [brier_score_loss(truth, probe.predict_scores(test)[:, 1]) for probe in (plain, platt)]
    assert losses[1] < losses[0] - 0.005
    np.testing.assert_array_equal(  # one monotone function: the ranking stays
        plain.predict_scores(test)[:, 1].argsort(), platt.predict_scores(test)[:, 1].argsort()
    )


def test_the_folds_of_a_calibration_part_no_group_and_see_no_validation_row():
    Z, y = two_classes(60)
    groups = np.arange(60) // 4
    seen = []

    class Spied(Linear):
        def fit(self, Z, y, groups=None):
            seen.append((Z, groups))
            return super().fit(Z, y, groups)

    Spied(calibration="platt").fit(Z, y, groups)
    assert len(seen) == 6 and all(len(part) < 60 for part, _ in seen[1:])
    for part, own in seen[1:]:
        left_out = {tuple(row) for row in Z} - {tuple(row) for row in part}
        assert not {groups[i] for i, row in enumerate(Z) if tuple(row) in left_out} & set(groups[np.isin(groups, own)])


def test_where_nothing_can_be_left_out_the_scores_stay_and_it_is_said():
    Z, y = two_classes(20)
    probe = Linear(calibration="platt").fit(Z, y, np.zeros(20))
    np.testing.assert_array_equal(probe.predict_scores(Z), Linear().fit(Z, y).predict_scores(Z))
    assert probe.findings() == ["scores are not calibrated: no training rows of all classes can be left out"]
    with pytest.raises(ValueError, match="finetune cannot be calibrated"):
        FineTune(calibration="platt")


def test_balanced_weights_are_those_of_scikit_learn():
    Z, y = two_classes(200, rare=0.15)
    scaled = StandardScaler().fit_transform(Z)
    linear = LogisticRegression(class_weight="balanced", max_iter=1000).fit(scaled, y)
    np.testing.assert_array_equal(Linear(class_weight="balanced").fit(Z, y).predict(Z), linear.predict(scaled))
    found = SVM(class_weight="balanced").fit(Z, y)
    reference = SVC(C=found.C_, class_weight="balanced").fit(Z, y)
    np.testing.assert_allclose(found.predict_scores(Z)[:, 1], reference.decision_function(Z))
    logistic = built("logistic", class_weight="balanced", Cs=[0.5]).fit(Z, y)
    weights = compute_sample_weight("balanced", y)
    reference = LogisticRegression(C=1.0, tol=1e-10, max_iter=5000).fit(scaled, y, sample_weight=weights)  # 2 C
    np.testing.assert_allclose(logistic.predict_scores(Z), reference.predict_proba(scaled), atol=1e-4)


@pytest.mark.parametrize("name", WEIGHTED)
def test_balanced_weights_find_more_of_a_rare_class(name):
    Z, y = two_classes(300, rare=0.12, seed=3)
    test, truth = two_classes(1500, rare=0.12, seed=4)
    plain, weighted = (built(name, **given).fit(Z, y) for given in ({}, {"class_weight": "balanced"}))
    recalls = [recall_score(truth, probe.predict(test)) for probe in (plain, weighted)]
    assert recalls[1] > recalls[0] + 0.1


def test_the_inner_metric_decides_whether_a_machine_predicts_that_nobody_dies():
    Z, y = two_classes(250, rare=0.08, distance=1.3, dim=8, seed=5)
    test, truth = two_classes(2000, rare=0.08, distance=1.3, dim=8, seed=6)
    nobody, fair = SVM().fit(Z, y), SVM(inner_metric="balanced_accuracy").fit(Z, y)
    assert not nobody.predict(test).any() and 0.04 < fair.predict(test).mean() < 0.16
    found = [balanced_accuracy_score(truth, probe.predict(test)) for probe in (nobody, fair)]
    assert found[1] > found[0] + 0.05 and fair.C_ > nobody.C_
    assert fair.cv_scores_.max() < nobody.cv_scores_.max()


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "macro_f1", "auroc", "auprc"])
@pytest.mark.parametrize("name", sorted(CHOOSING))
def test_every_probe_that_chooses_takes_every_metric(name, metric):
    rng = np.random.default_rng(0)
    y = rng.choice(3, 90, p=[0.7, 0.2, 0.1])
    Z = rng.normal(size=(90, 3)) + y[:, None]
    groups = np.arange(90) // 3
    probe = built(name, inner_metric=metric, **CHOOSING[name]).fit(Z, y, groups)
    assert np.isfinite(probe.predict_scores(Z)).all()
    if name == "ridge":
        assert probe.alpha_ == probe.__class__().fit(Z, y).alpha_ or probe.cv_scores_.max() <= 1
    if name == "selected":
        assert probe.findings()[0].startswith(f"picked {probe.picked_} by {metric.replace('_', ' ')}")


def test_the_chosen_penalty_is_the_best_by_its_own_account():
    Z, y = two_classes(120, rare=0.2)
    for name, attribute in (("ridge", "cv_scores_"), ("svm", "cv_scores_"), ("logistic", "cv_losses_")):
        by = {}
        for metric in ("auroc", "balanced_accuracy"):
            probe = built(name, inner_metric=metric).fit(Z, y)
            values = getattr(probe, attribute) * (-1 if name == "logistic" else 1)
            assert 0 <= values.max() <= 1
            by[metric] = values
        assert not np.allclose(by["auroc"], by["balanced_accuracy"])


def test_a_metric_for_a_choice_that_is_not_made_is_refused():
    with pytest.raises(ValueError, match="chooses k, and k=3 is given"):
        built("knn", k=3, inner_metric="auroc")


def test_a_benchmark_takes_the_options_and_stores_probabilities(tmp_path):
    asked = Benchmark(
        name="calibrated", datasets=["iris"], methods=["raw"], controls="none",
        probes=["knn", {"knn": {"k": "loo", "calibration": "platt", "inner_metric": "balanced_accuracy"}}],
    )  # fmt: skip
    store = Store(f"sqlite:///{tmp_path}/r.db")
    frame = run(asked, store, cache_dir=tmp_path, progress=False)
    assert (frame["status"] == "ok").all() and frame["probe"].nunique() == 2
    said = store.predictions()
    sums = said.filter(like="score:").sum(axis=1).groupby(said["probe"]).agg(["min", "max"])
    assert (sums.loc[[name for name in sums.index if "platt" in name]].round(6) == 1).all(axis=None)
    assert not (sums.loc["knn"].round(6) == 1).all()


def test_a_probe_of_ones_own_is_calibrated_too():
    @dataclasses.dataclass(eq=False)
    class Mean(Probe):
        """Nearest mean along the first column."""

        def _fit(self, Z, codes, groups):
            self.middle = np.array([Z[codes == k, 0].mean() for k in range(len(self.classes_))])

        def _scores(self, Z):
            return -np.abs(Z[:, :1] - self.middle)

    Z, y = two_classes(100)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.allclose(Mean(calibration="isotonic").fit(Z, y).predict_scores(Z).sum(axis=1), 1)
