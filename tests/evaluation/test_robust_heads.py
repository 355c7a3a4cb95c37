"""Heads that stand wrong labels: closed forms against slow ones, invariances, and what each promises."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.covariance import ledoit_wolf
from sklearn.linear_model import LogisticRegression, RidgeClassifierCV
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.preprocessing import StandardScaler

from kinview.evaluation.label_noise import label_noise
from kinview.evaluation.probes import _confident_joint, _logistic_algebra, probes, selected as selected_module
from kinview.evaluation.probes._inner_folds import inner_folds, out_of_fold
from kinview.evaluation.probes._ridge_algebra import RidgePath, targets_of
from kinview.registry import to_config

LINEAR = ["centroid", "confident", "forward_corrected", "lda", "logistic", "ridge", "robust_ridge"]
ROCKET = np.logspace(-3, 3, 10)


def blobs(n=60, n_classes=3, dim=5, seed=0, spread=2.0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % n_classes
    return rng.normal(size=(n_classes, dim))[y] * spread + rng.normal(size=(n, dim)), y


def noisy(y, rate, seed=0):
    return label_noise.build("symmetric", rate=rate).apply(y, seed=seed).y


def ridge_by_hand(X, targets, alpha):
    """Weights and intercept from the normal equations of [1, X], with the intercept free."""
    design = np.column_stack([np.ones(len(X)), X])
    penalty = np.diag([0.0, *[alpha] * X.shape[1]])
    solution = np.linalg.solve(design.T @ design + penalty, design.T @ targets)
    return solution[1:], solution[0]


# --- ridge -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n, dim", [(12, 4), (12, 12), (12, 30), (2, 3)])
@pytest.mark.parametrize("grouped", [False, True])
def test_left_out_predictions_are_those_of_really_leaving_out(n, dim, grouped):
    rng = np.random.default_rng(0)
    X, targets = rng.normal(size=(n, dim)), rng.normal(size=(n, 3))
    X -= X.mean(axis=0)
    X[:, 0] = 0.0
    groups = rng.permutation(np.arange(n) // 3) if grouped and n > 2 else np.arange(n)
    path = RidgePath(X, groups if grouped else None)
    for alpha in (1e-2, 1.0, 1e3):
        signal, level = path.left_out(targets, alpha)
        weights = path.coefficients(targets, alpha)
        expected_weights, intercept = ridge_by_hand(X, targets, alpha)
        np.testing.assert_allclose(weights, expected_weights, atol=1e-8)
        np.testing.assert_allclose(targets.mean(axis=0), intercept, atol=1e-8)
        for i in range(n):
            stay = groups != groups[i]
            w, b = ridge_by_hand(X[stay], targets[stay], alpha)
            np.testing.assert_allclose(signal[i] + level[i], X[i] @ w + b, rtol=1e-8, atol=1e-8)
            np.testing.assert_allclose(level[i], targets[stay].mean(axis=0), atol=1e-12)


def test_left_out_predictions_survive_equal_rows_and_tiny_penalties():
    X = np.repeat(np.random.default_rng(0).normal(size=(5, 40)), 2, axis=0)
    X -= X.mean(axis=0)
    targets = targets_of(np.arange(10) // 2 % 2, 2)
    signal, level = RidgePath(X).left_out(targets, 1e-6)
    np.testing.assert_allclose(signal + level, targets, atol=1e-4)  # the twin of each row tells its target


@pytest.mark.parametrize("n, dim, n_classes", [(60, 5, 2), (60, 5, 4), (40, 200, 2), (40, 200, 3)])
def test_ridge_is_ridge_classifier_cv(n, dim, n_classes):
    Z, y = blobs(n, n_classes, dim, spread=0.4)
    X = StandardScaler().fit_transform(Z)
    reference = RidgeClassifierCV(alphas=ROCKET).fit(X, y)
    probe = probes.build("ridge").fit(Z, y)
    assert probe.alpha_ == reference.alpha_
    assert probe.cv_scores_.max() == pytest.approx(reference.best_score_, abs=1e-8)
    decisions = probe._decisions(Z)
    expected = reference.decision_function(X)
    np.testing.assert_allclose(decisions[:, 1] if n_classes == 2 else decisions, expected, atol=1e-8)
    np.testing.assert_array_equal(probe.predict(Z), reference.predict(X))


def test_ridge_does_as_the_official_pipeline_without_centring():
    Z, y = blobs(40, 3, 100, spread=0.4)
    scaler = StandardScaler(with_mean=False).fit(Z)
    reference = RidgeClassifierCV(alphas=ROCKET).fit(scaler.transform(Z), y)
    probe = probes.build("ridge").fit(Z, y)
    np.testing.assert_allclose(probe._decisions(Z), reference.decision_function(scaler.transform(Z)), atol=1e-8)


def test_ridge_grids_and_own_penalties():
    Z, y = blobs(40, 2, 50, spread=0.3)
    wide = probes.build({"ridge": {"grid": "wide", "inner_metric": "log_loss"}}).fit(Z, y)
    assert wide.cv_scores_.shape == (13,)
    assert min(abs(np.logspace(-4, 2, 13) * 50 - wide.alpha_)) < 1e-9
    own = probes.build({"ridge": {"alphas": [7.0]}})
    assert own.fit(Z, y).alpha_ == 7.0 and to_config(own) == {"ridge": {"alphas": [7.0]}}
    for bad, message in (
        ({"alphas": []}, "alphas must be a sequence of positive numbers"),
        ({"alphas": [1.0, -1.0]}, "each of alphas must be positive; got -1.0"),
        ({"grid": "narrow"}, "grid must be 'rocket' or 'wide'; got 'narrow'"),
        ({"inner_metric": "auc"}, "inner_metric must be .*; got .auc."),
    ):
        with pytest.raises(ValueError, match=message):
            probes.build({"ridge": bad})


def test_ridge_by_group_chooses_by_leaving_groups_out():
    rng = np.random.default_rng(0)  # noise features, three copies of each row
    Z, y = np.repeat(rng.normal(size=(30, 40)), 3, axis=0), np.repeat(np.arange(30) % 2, 3)
    groups = np.repeat(np.arange(30), 3)
    alone, grouped = (probes.build("ridge").fit(Z, y, g) for g in (None, groups))
    assert alone.alpha_ < grouped.alpha_ and alone.cv_scores_.max() > grouped.cv_scores_.max()
    assert alone.sharpness_ > grouped.sharpness_


@pytest.mark.parametrize("name", [*LINEAR, "knn", "selected"])
def test_with_a_single_group_nothing_is_left_out_and_the_fit_stands(name):
    Z, y = blobs(30, 2)
    config = {"k": "loo"} if name == "knn" else {}
    probe = probes.build({name: config}).fit(Z, y, np.zeros(30, dtype=int))
    assert np.isfinite(probe.predict_scores(Z)).all() and np.mean(probe.predict(Z) == y) > 0.8


# --- robust ridge ----------------------------------------------------------------------------------------------------


def test_robust_ridge_is_plain_ridge_where_labels_are_right_and_classes_unequal():
    Z, y = blobs(90, 2, 20, spread=3.0)
    rows = np.r_[np.flatnonzero(y == 0), np.flatnonzero(y == 1)[:12]]
    Z, y = Z[rows], y[rows]
    probe = probes.build("robust_ridge").fit(Z, y)
    assert probe.noise_rate_ == 0 and (probe.label_probability_ == 1).all()
    plain = probes.build({"ridge": {"alphas": [probe.alpha_]}}).fit(Z, y)
    expected = plain._decisions(Z) + (probe.level_ - 1) * targets_of(y, 2).mean(axis=0)
    np.testing.assert_allclose(probe._decisions(Z), expected, atol=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_robust_ridge_finds_wrong_labels_and_the_rate(seed):
    Z, y = blobs(300, 4, 100, seed, spread=1.5)
    recorded = noisy(y[:200], 0.3, seed)
    probe = probes.build("robust_ridge").fit(Z[:200], recorded)
    plain = probes.build("ridge").fit(Z[:200], recorded)
    right = recorded == y[:200]
    assert probe.noise_rate_ == pytest.approx(0.3, abs=0.1)
    assert np.mean((probe.label_probability_ > 0.5) == right) > 0.95
    assert np.mean(probe.predict(Z[200:]) == y[200:]) >= np.mean(plain.predict(Z[200:]) == y[200:])
    assert np.mean(probe.predict(Z[200:]) == y[200:]) > 0.95


def test_robust_ridge_does_not_doubt_labels_that_the_features_cannot_tell():
    rng = np.random.default_rng(0)
    probe = probes.build("robust_ridge").fit(rng.normal(size=(80, 200)), np.arange(80) % 4)
    assert probe.noise_rate_ == 0


def test_robust_ridge_refuses_wrong_parameters():
    with pytest.raises(ValueError, match="gain must be at least 0; got -1"):
        probes.build({"robust_ridge": {"gain": -1}})
    with pytest.raises(ValueError, match="iterations must be at least 1; got 0"):
        probes.build({"robust_ridge": {"iterations": 0}})


# --- centroid, lda, knn ----------------------------------------------------------------------------------------------


def test_centroid_is_nearest_centroid():
    Z, y = blobs(60, 4, 7, spread=0.8)
    X = StandardScaler().fit_transform(Z)
    probe = probes.build("centroid").fit(Z, y)
    np.testing.assert_array_equal(probe.predict(Z), NearestCentroid().fit(X, y).predict(X))
    np.testing.assert_allclose(probe.predict_scores(Z).sum(axis=1), 1.0)


def test_centroid_leaves_out_as_if_refitted():
    from kinview.evaluation.probes.centroid import _left_out_distances

    Z, y = blobs(14, 3, 4)
    groups = np.arange(14) // 2
    found = _left_out_distances(Z, np.eye(3)[y], groups)
    for i in range(14):
        stay = groups != groups[i]
        for c in range(3):
            expected = np.square(Z[i] - Z[stay & (y == c)].mean(axis=0)).sum()
            assert found[i, c] == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("n, dim", [(60, 5), (20, 50), (30, 30)])
def test_lda_is_the_gaussian_posterior_with_the_ledoit_wolf_covariance(n, dim):
    Z, y = blobs(n, 3, dim, spread=0.5)
    X = StandardScaler().fit_transform(Z)
    means = np.stack([X[y == c].mean(axis=0) for c in range(3)])
    covariance, shrinkage = ledoit_wolf(X - means[y], assume_centered=True)
    probe = probes.build("lda").fit(Z, y)
    assert probe.shrinkage_ == pytest.approx(shrinkage, abs=1e-10)
    inverse = np.linalg.inv(covariance)
    logs = np.stack([-0.5 * np.einsum("nd,de,ne->n", X - m, inverse, X - m) for m in means], axis=1)
    logs += np.log(np.bincount(y) / n)
    expected = np.exp(logs - logs.max(axis=1, keepdims=True))
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probe.predict_scores(Z), expected, atol=1e-8)


@pytest.mark.parametrize("name", ["lda", "centroid"])
def test_no_spread_within_classes_is_legal(name):
    probe = probes.build(name).fit([[0.0, 0.0], [0.0, 0.0], [1.0, 2.0]], ["a", "a", "b"])
    assert probe.predict([[0.1, 0.0], [1.0, 1.5]]).tolist() == ["a", "b"]


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_knn_chooses_k_by_really_leaving_out(seed, grouped):
    Z, y = blobs(48, 3, 4, seed, spread=0.5)
    groups = np.random.default_rng(seed).permutation(48) // 2 if grouped else np.arange(48)
    X, right = StandardScaler().fit_transform(Z), []
    for k in (1, 3, 5, 7, 11, 15, 21, 31):
        hits = [
            KNeighborsClassifier(k).fit(X[groups != groups[i]], y[groups != groups[i]]).predict(X[i : i + 1])[0] == y[i]
            for i in range(48)
        ]
        right.append(np.sum(hits))
    probe = probes.build({"knn": {"k": "loo"}}).fit(Z, y, groups if grouped else None)
    assert probe.k_ == (1, 3, 5, 7, 11, 15, 21, 31)[int(np.argmax(right))]
    fixed = probes.build({"knn": {"k": probe.k_}}).fit(Z, y)
    np.testing.assert_array_equal(probe.predict_scores(Z), fixed.predict_scores(Z))


def test_knn_by_loo_is_stated_in_the_config_and_other_words_are_refused():
    assert to_config(probes.build({"knn": {"k": "loo"}})) == {"knn": {"k": "loo"}}
    with pytest.raises(ValueError, match="k must be a whole number; got the text 'best'"):
        probes.build({"knn": {"k": "best"}})


def test_a_fitted_knn_of_an_earlier_version_predicts():
    Z, y = blobs(20, 2)
    probe = probes.build({"knn": {"k": 3}}).fit(Z, y)
    expected = probe.predict_scores(Z)
    state = dict(probe.__dict__)
    del state["k_"]
    old = type(probe).__new__(type(probe))
    old.__setstate__(state)
    np.testing.assert_array_equal(old.predict_scores(Z), expected)


# --- logistic, forward_corrected, confident ---------------------------------------------------------------------------


@pytest.mark.parametrize("n, dim, n_classes", [(60, 5, 3), (40, 120, 3), (60, 5, 2)])
def test_logistic_fits_as_scikit_learn_does(n, dim, n_classes):
    Z, y = blobs(n, n_classes, dim, spread=0.5)
    X = StandardScaler().fit_transform(Z)
    for C in (0.01, 1.0):
        (model,) = _logistic_algebra.fit_logistic(Z, y, [C], max_iter=10_000)
        # scikit-learn has one column of weights for two classes, of which the penalty is half that of the two here
        reference = LogisticRegression(C=2 * C if n_classes == 2 else C, tol=1e-8, max_iter=10_000).fit(X, y)
        found = np.exp(model.decisions(Z))
        found /= found.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(found, reference.predict_proba(X), atol=2e-4)


def test_logistic_chooses_c_by_the_out_of_fold_log_loss():
    Z, y = blobs(60, 3, 30, spread=0.4)
    probe = probes.build({"logistic": {"Cs": [1e-3, 1e-1, 1e1]}}).fit(Z, y)
    losses = []
    for C in (1e-3, 1e-1, 1e1):
        p = np.zeros((60, 3))
        for train, valid in inner_folds(y, None):
            scaler = StandardScaler().fit(Z[train])
            reference = LogisticRegression(C=C, tol=1e-8, max_iter=10_000).fit(scaler.transform(Z[train]), y[train])
            p[valid] = reference.predict_proba(scaler.transform(Z[valid]))
        losses.append(-np.log(p[np.arange(60), y]).mean())
    np.testing.assert_allclose(probe.cv_losses_, losses, rtol=1e-2)
    assert (1e-3, 1e-1, 1e1)[int(np.argmin(losses))] == probe.C_


@pytest.mark.parametrize("name", ["logistic", "confident", "forward_corrected"])
def test_fits_that_hit_max_iter_are_counted(name):
    Z, y = blobs(60, 3, 8, spread=0.5)
    assert probes.build({name: {"max_iter": 1}}).fit(Z, y).convergence_failures > 10
    assert probes.build(name).fit(Z, y).convergence_failures == 0


def test_the_gradient_with_a_transition_matrix_is_that_of_the_loss():
    Z, y = blobs(30, 3, 4, spread=0.7)
    transition = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.0, 0.3, 0.7]])
    (model,) = _logistic_algebra.fit_logistic(Z, y, [0.5], max_iter=10_000, transition=transition)
    X = StandardScaler().fit_transform(Z)

    def loss(weights, intercept):
        logits = X @ weights + intercept
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        return -np.log((p @ transition)[np.arange(30), y]).sum() + np.square(weights).sum() / (2 * 0.5)

    best, rng = loss(model.weights, model.intercept), np.random.default_rng(0)
    for _ in range(50):
        step = 1e-2 * rng.normal(size=(5, 3))
        assert loss(model.weights + step[1:], model.intercept + step[0]) > best


def test_without_noise_the_identity_makes_forward_correction_plain():
    Z, y = blobs(60, 3, 5)
    plain, same = (
        _logistic_algebra.fit_logistic(Z, y, [0.1], max_iter=1000, transition=T)[0] for T in (None, np.eye(3))
    )
    np.testing.assert_allclose(plain.decisions(Z), same.decisions(Z), atol=1e-4)


def test_forward_correction_estimates_noise_that_depends_on_the_class():
    Z, y = blobs(400, 3, 6, spread=3.0)
    recorded = np.where((y == 1) & (np.random.default_rng(0).random(400) < 0.4), 2, y)
    probe = probes.build("forward_corrected").fit(Z, recorded)
    np.testing.assert_allclose(probe.transition_.sum(axis=1), 1.0)
    off = probe.transition_ - np.diag(np.diag(probe.transition_))
    assert off.argmax() == 1 * 3 + 2 and 0.15 < off[1, 2] < 0.5  # too low: a logistic fit is surer than 60 %
    assert np.mean(probe.predict(Z) == y) > 0.95


def test_anchors_are_the_out_of_fold_probabilities_of_the_surest_rows():
    Z, y = blobs(90, 3, 6)
    probe = probes.build({"forward_corrected": {"transition": "anchor"}}).fit(Z, y)
    _, _, unseen = _logistic_algebra.search(Z, y, None, probe.Cs, probe.max_iter)
    np.testing.assert_array_equal(probe.transition_, [unseen[unseen[:, c].argmax()] for c in range(3)])
    np.testing.assert_allclose(probe.transition_.sum(axis=1), 1.0)


def test_the_confident_joint_by_hand():
    codes = np.array([0, 0, 0, 1, 1])
    p = np.array([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.4, 0.6], [0.35, 0.65]])
    joint, thresholds = _confident_joint.confident_joint(codes, p)
    np.testing.assert_allclose(thresholds, [0.6, 0.625])
    assert joint.tolist() == [[2, 1], [0, 1]]  # the fourth row reaches neither threshold
    distribution = _confident_joint.calibrated(joint, np.array([3, 2]))
    np.testing.assert_allclose(distribution, [[0.4, 0.2], [0.0, 0.4]])
    np.testing.assert_allclose(_confident_joint.transition_of(distribution), [[1, 0], [1 / 3, 2 / 3]])
    keep = _confident_joint.prune_by_noise_rate(codes, p, distribution)
    assert keep.tolist() == [True, True, False, True, True]


def test_pruning_leaves_a_row_of_each_class_and_uncounted_classes_alone():
    p = np.array([[0.2, 0.8], [0.4, 0.6], [0.3, 0.7]])
    keep = _confident_joint.prune_by_noise_rate(np.array([0, 0, 1]), p, np.array([[0.0, 2 / 3], [0.0, 1 / 3]]))
    assert keep.tolist() == [False, True, True]
    np.testing.assert_allclose(
        _confident_joint.calibrated(np.array([[0, 0], [1, 3]]), np.array([2, 4])), [[1 / 3, 0], [1 / 6, 1 / 2]]
    )
    assert _confident_joint.transition_of(np.array([[0.0, 0.0], [0.0, 1.0]])).tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize("seed", range(5))
def test_the_confident_joint_is_that_of_cleanlab(seed):
    count = pytest.importorskip("cleanlab.count", reason="cleanlab is not installed")
    rng = np.random.default_rng(seed)
    codes, p = np.arange(200) % 4, rng.dirichlet(np.ones(4), size=200)
    p = 0.5 * p + 0.5 * np.eye(4)[noisy(codes, 0.3, seed)]
    joint, thresholds = _confident_joint.confident_joint(codes, p)
    np.testing.assert_allclose(thresholds, count.get_confident_thresholds(codes, p))
    np.testing.assert_array_equal(joint, count.compute_confident_joint(codes, p, calibrate=False))


@pytest.mark.parametrize("seed", range(3))
def test_confident_drops_wrong_labels(seed):
    Z, y = blobs(300, 3, 10, seed, spread=2.5)
    recorded = noisy(y, 0.25, seed)
    probe = probes.build("confident").fit(Z, recorded)
    assert np.mean(probe.kept_ == (recorded == y)) > 0.95
    assert np.mean(probe.predict(Z) == y) > 0.95
    np.testing.assert_allclose(np.diag(probe.noise_matrix_), 0.75, atol=0.15)


# --- selected, folds -----------------------------------------------------------------------------------------------


def test_folds_stay_away_where_there_is_nothing_to_part():
    assert inner_folds(np.arange(4), None) == []
    assert inner_folds(np.arange(20) % 2, np.zeros(20)) == []
    p = out_of_fold(lambda train: lambda rows: np.full((len(rows), 2), 0.5), np.array([0, 1, 0, 1]), [])
    assert p.shape == (4, 2)


def test_auto_scores_candidates_on_rows_they_did_not_see():
    Z, y = blobs(60, 3, 5, spread=0.6)
    probe = probes.build({"selected": {"candidates": ["knn", "lda", {"knn": {"k": 7}}]}}).fit(Z, y)
    expected = []
    for spec in ("knn", "lda", {"knn": {"k": 7}}):
        hits = [
            np.mean(probes.build(spec).fit(Z[train], y[train]).predict(Z[valid]) == y[valid]) * len(valid)
            for train, valid in inner_folds(y, None)
        ]
        expected.append(np.sum(hits) / 60)
    np.testing.assert_allclose(list(probe.inner_scores_.values()), expected)
    assert list(probe.inner_scores_) == ["knn", "lda", "knn(k=7)"]
    assert probe.picked_ == ("knn", "lda", {"knn": {"k": 7}})[int(np.argmax(expected))]
    np.testing.assert_array_equal(probe.predict(Z), probes.build(probe.picked_).fit(Z, y).predict(Z))
    assert probe.findings()[0].startswith("picked ") and "knn(k=7) 0." in probe.findings()[0]


def test_auto_by_group_is_not_deceived_by_copies():
    rng = np.random.default_rng(0)
    Z, y = np.repeat(rng.normal(size=(40, 30)), 3, axis=0), np.repeat(np.arange(40) % 2, 3)
    groups = np.repeat(np.arange(40), 3)
    candidates = {"selected": {"candidates": ["knn", "centroid"]}}
    shuffled = rng.permutation(120)
    alone = probes.build(candidates).fit(Z[shuffled], y[shuffled])
    grouped = probes.build(candidates).fit(Z[shuffled], y[shuffled], groups[shuffled])
    assert alone.inner_scores_["knn"] > 0.9 > 0.75 > grouped.inner_scores_["knn"]


def test_auto_refuses_what_is_no_candidate_and_counts_failures():
    for candidates, message in (
        ([], "candidates must be a list of probes"),
        ("ridge", "candidates must be a list of probes"),
        (["selected"], "would pick among itself; leave it out"),
        (["finetune"], "probes that read representations, which 'finetune' is not"),
        (["rigde"], "unknown probe 'rigde'; did you mean 'ridge'"),
    ):
        with pytest.raises(ValueError, match=message):
            probes.build({"selected": {"candidates": candidates}})
    Z, y = blobs(60, 2)
    probe = probes.build({"selected": {"candidates": [{"linear": {"max_iter": 1}}]}}).fit(Z, y)
    assert probe.convergence_failures == 6  # 5 folds and the final fit


def test_auto_is_the_same_by_config_and_says_when_it_did_not_search():
    given = {"selected": {"candidates": ["lda", "ridge"], "inner_metric": "balanced_accuracy"}}
    assert to_config(probes.build(given)) == given
    Z, _ = blobs(6, 3)
    probe = probes.build("selected").fit(Z, np.arange(6))
    assert probe.inner_scores_ is None and probe.picked_ == selected_module.Selected().candidates[0]
    assert probe.findings() == ["picked ridge, the first candidate: no training rows can be left out"]


# --- what all of them promise ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LINEAR)
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 1000))
def test_scaling_and_shifting_a_feature_changes_nothing(name, seed):
    Z, y = blobs(40, 3, 6, seed, spread=0.8)
    rng = np.random.default_rng(seed)
    moved = Z * rng.uniform(0.1, 10, size=6) + rng.normal(size=6)
    one, other = (probes.build(name).fit(X, y).predict_scores(X) for X in (Z, moved))
    np.testing.assert_allclose(one, other, atol=1e-3)


@pytest.mark.parametrize("name", LINEAR)
def test_turning_standardised_features_whose_covariance_is_the_identity_changes_nothing(name):
    Z, y = blobs(60, 3, 4, spread=0.8)
    Z -= Z.mean(axis=0)
    Z = Z @ np.linalg.inv(np.linalg.cholesky(Z.T @ Z / 60)).T  # white: standardising leaves it alone, turned or not
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0]
    one = probes.build(name).fit(Z, y, None)
    other = probes.build(name).fit(Z @ rotation, y, None)
    tolerance = 0.05 if name in ("confident", "forward_corrected", "logistic") else 1e-8  # folds scale by themselves
    np.testing.assert_allclose(one.predict_scores(Z), other.predict_scores(Z @ rotation), atol=tolerance)


@pytest.mark.parametrize("name", ["centroid", "lda", "ridge", "robust_ridge"])
def test_the_order_of_rows_and_the_names_of_classes_do_not_matter(name):
    Z, y = blobs(50, 4, 80, spread=0.6)
    recorded, order = noisy(y, 0.3), np.random.default_rng(0).permutation(50)
    scores = probes.build(name).fit(Z, recorded).predict_scores(Z)
    np.testing.assert_allclose(probes.build(name).fit(Z[order], recorded[order]).predict_scores(Z), scores, atol=1e-8)
    renamed = np.array([2, 0, 3, 1])
    other = probes.build(name).fit(Z, renamed[recorded]).predict_scores(Z)
    np.testing.assert_allclose(other[:, renamed], scores, atol=1e-8)


@pytest.mark.parametrize("name", LINEAR)
def test_scores_are_probabilities(name):
    Z, y = blobs(60, 3, 5, spread=0.5)
    scores = probes.build(name).fit(Z, y).predict_scores(np.vstack([Z, 1e8 * np.ones((1, 5))]))
    assert (scores >= 0).all()
    np.testing.assert_allclose(scores.sum(axis=1), 1.0)


@pytest.mark.parametrize("name", ["ridge", "robust_ridge", "centroid", "logistic"])
def test_probabilities_are_calibrated_on_new_rows(name):
    Z, y = blobs(3000, 3, 30, seed=1, spread=0.35)
    scores = probes.build(name).fit(Z[:300], y[:300]).predict_scores(Z[300:])
    confidence, right = scores.max(axis=1), scores.argmax(axis=1) == y[300:]
    assert abs(confidence.mean() - right.mean()) < 0.06
