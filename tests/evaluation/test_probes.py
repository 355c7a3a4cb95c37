import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from xgboost import XGBClassifier

from kinview.evaluation import SVM
from kinview.evaluation.probes import probes, svm as svm_module
from kinview.evaluation.probes.base import stratified_rows
from kinview.registry import to_config

NAMES = [
    *("selected", "centroid", "confident", "forward_corrected", "knn", "lda", "linear", "logistic", "ridge"),
    *("robust_ridge", "svm", "xgboost"),
]
GRID = [1e-4, 1e-3, 1e-2, 1e-1, 1, 10, 100, 1000, 10000, np.inf]


def blobs(n=90, n_classes=3, dim=5, seed=0, spread=2.0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % n_classes
    Z = rng.normal(size=(n_classes, dim))[y] * spread + rng.normal(size=(n, dim))
    return Z * rng.uniform(0.5, 4, size=dim), y


def test_all_probes_are_registered():
    # finetune has tests of its own, since it reads samples; so have those that need another library
    assert sorted([*NAMES, "finetune", "tabicl", "tabpfn"]) == list(probes)
    for name in NAMES:
        assert probes.build({name: {"random_state": 3}}).random_state == 3
        assert to_config(probes.build(name)) == name
        assert probes[name].target.accepts_missing == (name == "xgboost")


def test_linear_is_standardised_logistic_regression():
    for load in (load_iris, load_breast_cancer):
        Z, y = load(return_X_y=True)
        classifier = LogisticRegression(max_iter=1_000_000)
        reference = make_pipeline(StandardScaler(), OneVsRestClassifier(classifier) if y.max() > 1 else classifier)
        reference.fit(Z[::2], y[::2])
        probe = probes.build("linear").fit(Z[::2], y[::2])
        np.testing.assert_allclose(probe.predict_scores(Z), reference.predict_proba(Z), rtol=1e-9, atol=1e-15)
        np.testing.assert_array_equal(probe.predict(Z), reference.predict(Z))
        assert probe.convergence_failures == 0


def test_linear_scores_stay_defined_far_from_every_class():
    Z, y = blobs(n_classes=3)
    probe = probes.build("linear").fit(Z, y)
    directions = np.random.default_rng(0).normal(size=(200, Z.shape[1])) * 1e6
    scores = probe.predict_scores(directions)
    np.testing.assert_allclose(scores.sum(axis=1), 1.0)


def test_linear_counts_fits_that_hit_max_iter():
    Z, y = blobs(n_classes=3)
    assert probes.build({"linear": {"max_iter": 1}}).fit(Z, y).convergence_failures == 3
    assert probes.build({"linear": {"max_iter": 1}}).fit(Z, y == 0).convergence_failures == 1


def test_knn_is_one_nearest_neighbour_and_ranks():
    Z, y = blobs(n=120, n_classes=3, spread=0.7)
    reference = make_pipeline(StandardScaler(), KNeighborsClassifier(n_neighbors=1)).fit(Z[:80], y[:80])
    probe = probes.build("knn").fit(Z[:80], y[:80])
    np.testing.assert_array_equal(probe.predict(Z[80:]), reference.predict(Z[80:]))
    scores = probe.predict_scores(Z[80:])
    assert (np.sort(scores, axis=1)[:, -1] >= 0).all() and (np.sort(scores, axis=1)[:, -2] <= 0).all()
    two = probes.build("knn").fit(Z[:80], y[:80] == 0).predict_scores(Z[80:])
    np.testing.assert_allclose(two[:, 0], -two[:, 1])
    assert len(np.unique(two[:, 1])) == 40  # a vote of one neighbour would have two values


def test_knn_predicts_the_first_of_classes_at_equal_distance():
    probe = probes.build("knn").fit([[0.0], [2.0]], ["left", "right"])
    assert probe.predict([[1.0]]).tolist() == ["left"]


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("k", [2, 5, 40])
def test_knn_scores_are_the_class_fractions_of_the_k_nearest(k, n_classes):
    Z, y = blobs(n=120, n_classes=n_classes, spread=0.7)
    reference = make_pipeline(StandardScaler(), KNeighborsClassifier(n_neighbors=k)).fit(Z[:80], y[:80])
    probe = probes.build({"knn": {"k": k}}).fit(Z[:80], y[:80])
    np.testing.assert_allclose(probe.predict_scores(Z[80:]), reference.predict_proba(Z[80:]))
    np.testing.assert_array_equal(probe.predict(Z[80:]), reference.predict(Z[80:]))


def test_knn_finds_more_neighbours_than_a_class_has_rows():
    probe = probes.build({"knn": {"k": 3}}).fit([[0.0], [1.0], [2.0], [3.0]], ["a", "b", "b", "b"])
    np.testing.assert_allclose(probe.predict_scores([[0.0], [3.0]]), [[1 / 3, 2 / 3], [0, 1]])


def test_knn_ties_go_to_the_first_class_in_any_order_of_rows():
    Z, y = np.array([[-1.0], [1.0], [-1.0], [1.0]]), np.array([0, 1, 0, 1])
    for order in ([0, 1, 2, 3], [3, 1, 2, 0], [1, 3, 0, 2]):
        probe = probes.build({"knn": {"k": 3}}).fit(Z[order], y[order])
        np.testing.assert_allclose(probe.predict_scores([[0.0]]), [[2 / 3, 1 / 3]])
        assert probes.build({"knn": {"k": 4}}).fit(Z[order], y[order]).predict([[0.0]]).tolist() == [0]


def test_knn_with_k_1_is_the_default_and_wrong_k_is_refused():
    assert to_config(probes.build({"knn": {"k": 1}})) == "knn"
    for k, message in ((0, "k must be at least 1; got 0"), (1.5, "k must be a whole number; got 1.5")):
        with pytest.raises(ValueError, match=message):
            probes.build({"knn": {"k": k}})
    with pytest.raises(ValueError, match="k=5 neighbours cannot be found among 4 training rows"):
        probes.build({"knn": {"k": 5}}).fit(np.arange(4.0)[:, None], [0, 0, 1, 1])


def test_xgboost_takes_missing_values_and_is_the_stated_model():
    Z, y = blobs(n_classes=3)
    Z[np.random.default_rng(0).random(Z.shape) < 0.3] = np.nan
    Z[:, 1] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        probe = probes.build("xgboost").fit(Z[:60], y[:60] * 10)
        scores = probe.predict_scores(Z[60:])
    with np.errstate(invalid="ignore"):
        scaler = StandardScaler().fit(Z[:60])
    reference = XGBClassifier(n_estimators=100, max_depth=3, learning_rate=0.1, random_state=0, n_jobs=1)
    reference.fit(scaler.transform(Z[:60]), y[:60])
    np.testing.assert_array_equal(scores, reference.predict_proba(scaler.transform(Z[60:])))


@pytest.mark.parametrize("n, n_classes, searched", [(49, 2, False), (50, 2, True), (50, 11, False), (55, 11, True)])
def test_svm_searches_from_50_rows_and_5_a_class(n, n_classes, searched):
    Z, y = blobs(n=n, n_classes=n_classes)
    probe = SVM().fit(Z, y)
    assert (probe.cv_scores_ is not None) == searched
    if not searched:
        assert np.inf == probe.C_
        reference = SVC(C=np.inf, gamma="scale").fit(Z, y)
        np.testing.assert_array_equal(probe.predict(Z), reference.predict(Z))


@pytest.mark.parametrize("kernel_rows", [4000, 0], ids=["shared kernel", "direct"])
@pytest.mark.parametrize("seed, n_classes", [(0, 2), (1, 3), (2, 5)])
def test_svm_search_is_grid_search_cv(seed, n_classes, kernel_rows, monkeypatch):
    monkeypatch.setattr(svm_module, "_KERNEL_ROWS", kernel_rows)
    Z, y = blobs(n=100, n_classes=n_classes, seed=seed, spread=0.8)
    reference = GridSearchCV(SVC(gamma="scale"), {"C": GRID}, cv=5).fit(Z[:70], y[:70])
    probe = SVM().fit(Z[:70], y[:70])
    np.testing.assert_allclose(probe.cv_scores_, reference.cv_results_["mean_test_score"], rtol=1e-12)
    assert reference.best_params_["C"] == probe.C_
    np.testing.assert_array_equal(probe.predict(Z[70:]), reference.predict(Z[70:]))
    decision = reference.decision_function(Z[70:])
    scores = probe.predict_scores(Z[70:])
    np.testing.assert_array_equal(scores[:, 1] if n_classes == 2 else scores, decision)
    if n_classes == 2:
        np.testing.assert_array_equal(scores[:, 0], -decision)


def test_svm_search_by_group_is_grid_search_cv_by_group():
    Z, y = blobs(n=100, n_classes=2, spread=0.6)
    groups = np.array([f"patient {i // 4}" for i in range(100)])
    reference = GridSearchCV(SVC(gamma="scale"), {"C": GRID}, cv=StratifiedGroupKFold(5)).fit(Z, y, groups=groups)
    probe = SVM().fit(Z, y, groups)
    np.testing.assert_allclose(probe.cv_scores_, reference.cv_results_["mean_test_score"], rtol=1e-12)
    assert reference.best_params_["C"] == probe.C_


def test_svm_folds_never_part_a_group():
    y = np.arange(60) % 2
    groups = np.repeat(np.arange(20), 3)
    for train, valid in svm_module._folds(y, groups):
        assert not set(groups[train]) & set(groups[valid])
    assert len(svm_module._folds(y, np.arange(60) // 20)) == 3


def test_svm_takes_the_next_smaller_c_where_libsvm_overflows():
    random = np.random.default_rng(0)
    Z = np.column_stack([0.1 * random.normal(size=60), 0.3 * random.normal(size=(60, 2)), np.full(60, 275.0)])
    y = random.integers(0, 2, 60)
    few, many = SVM().fit(Z[:40], y[:40]), SVM().fit(Z, y)
    assert few.cv_scores_ is None and few.C_ == 1e4 and few.convergence_failures == 1
    assert many.cv_scores_[-1] < many.cv_scores_[0] and many.C_ == 1e-4 and many.convergence_failures == 5
    assert np.isfinite(few.predict_scores(Z)).all()


@pytest.mark.filterwarnings("ignore:overflow encountered")
def test_svm_refuses_a_scale_at_which_nothing_is_finite():
    Z = 1e200 * np.random.default_rng(0).normal(size=(40, 1))
    with pytest.raises(ValueError, match="scale the features first"):
        SVM().fit(Z, np.arange(40) % 2)


def test_svm_with_one_group_does_not_search():
    Z, y = blobs(n=60, n_classes=2)
    probe = SVM().fit(Z, y, np.zeros(60, dtype=int))
    assert probe.cv_scores_ is None and np.inf == probe.C_


def test_groups_shield_the_choice_of_c_from_copies():
    # Noise features, three copies of each row: a fold that parts the copies makes an overfit C look perfect.
    rng = np.random.default_rng(0)
    Z, y = np.repeat(rng.normal(size=(30, 40)), 3, axis=0), np.repeat(np.arange(30) % 2, 3)
    shuffled = rng.permutation(90)
    Z, y, groups = Z[shuffled], y[shuffled], np.repeat(np.arange(30), 3)[shuffled]
    assert SVM().fit(Z, y).cv_scores_.max() > 0.95
    assert SVM().fit(Z, y, groups).cv_scores_.max() < 0.8


def test_svm_takes_the_smallest_of_equally_good_cs():
    Z, y = blobs(n=60, n_classes=2, spread=50.0)
    probe = SVM().fit(Z, y)
    best = np.flatnonzero(probe.cv_scores_ == probe.cv_scores_.max())
    assert len(best) > 1 and GRID[best[0]] == probe.C_


def test_svm_counts_the_fits_that_hit_max_iter():
    Z, y = blobs(n=60, n_classes=2, spread=0.3)
    assert SVM(max_iter=1).fit(Z, y).convergence_failures == 51  # 5 folds x 10 C, and the final fit
    probe = SVM()
    assert probe.fit(Z, y).convergence_failures == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SVM(max_iter=1).fit(Z, y)


def test_svm_counts_are_of_the_last_fit():
    Z, y = blobs(n=60, n_classes=2)
    probe = SVM(max_iter=1).fit(Z, y)
    probe.max_iter = 1_000_000
    assert probe.fit(Z, y).convergence_failures == 0


def test_large_sets_are_subsampled_in_proportion():
    codes = np.repeat([0, 1, 2], [600, 399, 1])
    rows = stratified_rows(codes, 101, random_state=0)
    assert len(rows) == len(set(rows.tolist())) == 101
    np.testing.assert_array_equal(np.bincount(codes[rows]), [60, 40, 1])
    np.testing.assert_array_equal(rows, stratified_rows(codes, 101, random_state=0))
    assert set(rows) != set(stratified_rows(codes, 101, random_state=1))
    np.testing.assert_array_equal(stratified_rows(codes, 1000, random_state=0), np.arange(1000))


@pytest.mark.parametrize("name", ["svm", "linear"])
def test_subsampling_probes_fit_on_the_rows_drawn(name):
    Z, y = blobs(n=300, n_classes=3)
    rows = stratified_rows(y, 90, random_state=0)
    small = probes.build(name).fit(Z[rows], y[rows])
    probe = probes.build({name: {"max_rows": 90}}).fit(Z, y)
    np.testing.assert_array_equal(probe.predict_scores(Z), small.predict_scores(Z))


def test_wrong_input_is_refused_in_words():
    Z, y = blobs(n=20, n_classes=2)
    probe = probes.build("linear")
    with pytest.raises(ValueError, match="not fitted yet"):
        probe.predict_scores(Z)
    with pytest.raises(ValueError, match="all 20 training labels are ill: a probe needs more than one class"):
        probe.fit(Z, ["ill"] * 20)
    with pytest.raises(ValueError, match="20 rows and y 19 labels"):
        probe.fit(Z, y[:19])
    with pytest.raises(ValueError, match="20 rows and groups 2 entries"):
        probe.fit(Z, y, groups=[1, 2])
    with pytest.raises(ValueError, match="y is missing for 1 of 20 rows"):
        probe.fit(Z, [None, *["a", "b"] * 9, "a"])
    with pytest.raises(ValueError, match=r"shape \(n, D\) without a zero; got \(20,\)"):
        probe.fit(Z[:, 0], y)
    with pytest.raises(ValueError, match="Z has 4 columns; the probe was fitted with 5"):
        probe.fit(Z, y).predict(Z[:, :4])
    Z[3, 1] = np.nan
    with pytest.raises(ValueError, match=r"missing values in 1 of 20 rows.*use the probe 'xgboost'"):
        probe.fit(Z, y)
    with pytest.raises(ValueError, match="random_state must be a whole number; got"):
        probes.build({"linear": {"random_state": "abc"}})


@pytest.mark.skipif("KINVIEW_DATA" not in os.environ, reason="set KINVIEW_DATA to a folder with ECG200")
def test_svm_on_raw_ecg200_gives_the_known_accuracy():
    folder = Path(os.environ["KINVIEW_DATA"]) / "ECG200"
    train, test = (np.loadtxt(folder / f"ECG200_{part}.tsv") for part in ("TRAIN", "TEST"))
    probe = SVM().fit(train[:, 1:], train[:, 0])
    assert np.mean(probe.predict(test[:, 1:]) == test[:, 0]) == pytest.approx(0.92)


@pytest.mark.parametrize("above", [1, 2, 3, 50])
@pytest.mark.parametrize("counts", [(40, 30, 30), (96, 2, 2), (98, 1, 1), (34, 33, 33)])
def test_a_set_a_little_larger_than_max_rows_is_subsampled_too(above, counts):
    codes = np.repeat([0, 1, 2], counts)
    rows = stratified_rows(codes, len(codes) - above, random_state=0)
    assert len(rows) == len(np.unique(rows)) == len(codes) - above
    drawn = np.bincount(codes[rows], minlength=3)
    assert drawn.min() >= 1 and np.abs(drawn - np.array(counts) * len(rows) / len(codes)).max() <= 2


@pytest.mark.parametrize("probe", [probes.build({name: {"max_rows": 50}}) for name in ("linear", "svm")])
def test_a_subsample_loses_no_class(probe):
    codes = np.r_[np.repeat([0, 1], 500), 2, 2]
    Z = np.random.default_rng(0).normal(size=(len(codes), 2)) + codes[:, None]
    assert probe.fit(Z, codes).predict_scores(Z[:3]).shape == (3, 3)
    with pytest.raises(ValueError, match="max_rows=2 rows cannot hold one of each of 3 classes; raise max_rows"):
        type(probe)(max_rows=2).fit(Z, codes)
