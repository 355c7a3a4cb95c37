"""Every metric of the table: scikit-learn with weights, closed forms, invariants, and what it refuses."""

import typing

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from scipy.optimize import brentq
from scipy.special import expit, logit
from sklearn import metrics as sk
from sklearn.linear_model import LogisticRegression

from kinview._cli import arguments
from kinview.evaluation import Classification, Regression, decision_curve, evaluate
from kinview.evaluation.metrics import METRICS, as_metric

GIVEN = {name: METRICS[name].at(**dict.fromkeys(METRICS[name].required, 0.6)) for name in METRICS}
BINARY = [name for name, metric in METRICS.items() if metric.task == "classification"]
MULTICLASS = [name for name in BINARY if not METRICS[name].binary]
REGRESSION = [name for name, metric in METRICS.items() if metric.task == "regression"]
FROM_THRESHOLD = ("sensitivity", "specificity", "ppv", "npv")


def said(n_classes=2, n=30, seed=0, ties=True):
    """What a classifier with probabilities said of n samples, of which each class has some."""
    random = np.random.default_rng(seed)
    y = np.concatenate([np.arange(n_classes), random.integers(n_classes, size=n)])
    decisions = random.normal(size=(len(y), n_classes)) + np.eye(n_classes)[y]
    decisions = np.round(decisions) if ties else decisions
    p = np.exp(decisions) / np.exp(decisions).sum(axis=1, keepdims=True)
    return Classification.of(y, p, range(n_classes))


def numbers(n=20, seed=0):
    random = np.random.default_rng(seed)
    y = random.normal(size=n)
    return Regression.of(y, y + random.normal(size=n))


def outputs_for(name, seed=0):
    return numbers(seed=seed) if name in REGRESSION else said(2 if METRICS[name].binary else 3, seed=seed)


def weights_for(output, seed=0, draws=3):
    """Whole weights, some of them zero, in which each class has some weight."""
    random = np.random.default_rng(seed)
    weights = random.integers(0, 4, size=(draws, len(output))).astype(float)
    weights[:, :3] += 1
    return weights


# --- the table -------------------------------------------------------------------------------------------------------


def test_the_table_is_complete():
    assert all(metric.name == name for name, metric in METRICS.items())
    assert len({metric.title for metric in METRICS.values()}) == len(METRICS)
    for metric in METRICS.values():
        low, high = metric.range
        assert low <= metric.best <= high and metric.direction in ("higher", "lower", "nearer")
        assert metric.function.__doc__


def test_metrics_of_a_cell_and_of_the_command_line_are_in_the_table():
    assert set(typing.get_args(arguments.Metric)) <= METRICS.keys()
    of_a_cell = evaluate([0, 1], [[1, 0], [0, 1]], [0, 1]).keys() - {"notes"}
    assert of_a_cell == set(typing.get_args(arguments.Metric)) - set(REGRESSION)


@pytest.mark.parametrize("n_classes", [2, 3, 5])
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), fewer=st.booleans(), unknown=st.booleans())
def test_values_are_those_that_a_cell_computes(n_classes, seed, fewer, unknown):
    one = said(n_classes, seed=seed)
    y = one.y.copy()
    y = np.where(y == 0, 1, y) if fewer and n_classes > 2 else y
    y[0] = 9 if unknown else y[0]
    of_a_cell = evaluate(y, one.scores, range(n_classes), one.predicted)
    again = Classification.of(y, one.scores, range(n_classes), one.predicted)
    for name in set(typing.get_args(arguments.Metric)) - set(REGRESSION):
        assert METRICS[name](again) == pytest.approx(of_a_cell[name], nan_ok=True), name


@pytest.mark.parametrize("spec", ["auroc", {"auroc": {}}, {"auroc": None}, METRICS["auroc"]])
def test_a_metric_is_named_or_given(spec):
    assert as_metric(spec).label == "auroc"


def test_parameters_are_in_the_label_and_checked():
    chosen = as_metric({"sensitivity_at_specificity": {"specificity": 0.9}})
    assert chosen.label == "sensitivity_at_specificity(specificity=0.9)" and METRICS[chosen.name].given == {}
    for spec, message in [
        ("aurok", "there is no metric 'aurok'; did you mean auroc"),
        (["auroc"], "a metric is a name, or a mapping of one name"),
        ({"auroc": {}, "mcc": {}}, "a mapping of one name"),
        ({"auroc": {"threshold": 0.5}}, "auroc has no parameter 'threshold'; it takes no parameters"),
        ({"net_benefit": {"threshold": 20}}, "threshold=20 of net_benefit is not a number between 0 and 1"),
        ({"net_benefit": {"threshold": True}}, "threshold=True of net_benefit"),
        ({"expected_calibration_error": {"n_bins": 0}}, "n_bins of expected_calibration_error must be at least 1"),
    ]:
        with pytest.raises(ValueError, match=message):
            as_metric(spec)
    with pytest.raises(ValueError, match="net_benefit has to be told threshold"):
        METRICS["net_benefit"](said())


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in BINARY if METRICS[name].needs == "probabilities"])
def test_metrics_of_probabilities_refuse_decision_values(name):
    decisions = Classification.of([0, 1, 1], [[1.5, -1.5], [-2, 2], [1, -1]])
    with pytest.raises(
        ValueError, match=r"needs probabilities.* between -2 and 2, as decision values do\. Use a probe"
    ):
        GIVEN[name](decisions)
    in_range = Classification.of([0, 1, 1], [[0.5, 0.1], [0.2, 0.9], [0.3, 0.3]])
    with pytest.raises(ValueError, match="sum to 1"):
        GIVEN[name](in_range)


@pytest.mark.parametrize("name", FROM_THRESHOLD)
def test_a_threshold_is_a_probability(name):
    decisions = Classification.of([0, 1, 1, 0], [[1.5, -1.5], [-2, 2], [1, -1], [-1, 1]])
    assert METRICS[name](decisions) == 0.5  # by the predicted label
    with pytest.raises(ValueError, match=rf"{name}\(threshold=0.5\) needs probabilities"):
        METRICS[name].at(threshold=0.5)(decisions)


@pytest.mark.parametrize("name", [name for name in BINARY if METRICS[name].binary])
def test_metrics_of_two_classes_refuse_more(name):
    with pytest.raises(
        ValueError, match="is defined for two classes, of which every label is one; these have 3 classes"
    ):
        GIVEN[name](said(3))
    with pytest.raises(ValueError, match="these have 2 classes, and 1 labels that are none of them"):
        GIVEN[name](Classification.of([0, 1, 7], [[1, 0], [0, 1], [0, 1]], [0, 1]))


def test_classification_and_regression_are_told_apart():
    with pytest.raises(ValueError, match="mae is a metric of regression"):
        METRICS["mae"](said())
    with pytest.raises(ValueError, match="auroc is a metric of classification"):
        METRICS["auroc"](numbers())


@pytest.mark.parametrize(
    ("y", "scores", "predicted", "message"),
    [
        ([0, 1], [[0.5, 0.5], [np.nan, 1]], None, "scores must be finite; 1 of 2 rows"),
        ([0, 1], [[0.5, 0.5]], None, r"shape \(2, 2\); got \(1, 2\)"),
        ([0, None], [[0.5, 0.5], [0, 1]], None, "y_true"),
        ([0, 1], [[0.5, 0.5], [0, 1]], [0, 5], "y_pred holds 5, which is not among the classes"),
        ([0, 1], [[0.5, 0.5], [0, 1]], [0], "one prediction a label: expected 2, got 1"),
        ([3, 4], [[0.5, 0.5], [0, 1]], None, "no class in common"),
    ],
)
def test_what_a_classifier_cannot_have_said_is_refused(y, scores, predicted, message):
    with pytest.raises(ValueError, match=message):
        Classification.of(y, scores, [0, 1], predicted)


def test_numbers_that_are_not_finite_or_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="y_true must be finite; 1 of 2"):
        Regression.of([1, np.nan], [1, 2])
    with pytest.raises(ValueError, match="y_pred must be finite; 1 of 2"):
        Regression.of([1, 2], [np.inf, 2])
    with pytest.raises(ValueError, match="one predicted value a target"):
        Regression.of([1, 2], [1])


@pytest.mark.parametrize("weights", [np.ones(5), np.ones((2, 5)), -np.ones((1, 32)), np.full((1, 32), np.nan)])
def test_weights_that_do_not_fit_are_refused(weights):
    with pytest.raises(ValueError, match=r"weights must be at least 0 and of shape \(draws, 32\)"):
        METRICS["auroc"](said(), weights)


# --- weights ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in METRICS if name != "expected_calibration_error"])
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_whole_weight_counts_a_sample_as_often(name, seed):
    output = outputs_for(name, seed)
    weights = weights_for(output, seed)
    found = GIVEN[name](output, weights)
    for weight, value in zip(weights, found, strict=True):
        repeated = output.rows(np.repeat(np.arange(len(output)), weight.astype(int)))
        assert value == pytest.approx(GIVEN[name](repeated), rel=1e-6, abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("name", METRICS)
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000), factor=st.sampled_from([0.25, 3.0, 1000.0]))
def test_order_and_scale_of_the_weights_do_not_matter(name, seed, factor):
    output = outputs_for(name, seed)
    weights = weights_for(output, seed)
    found = GIVEN[name](output, weights)
    order = np.random.default_rng(seed).permutation(len(output))
    np.testing.assert_allclose(GIVEN[name](output.rows(order), weights[:, order]), found, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(GIVEN[name](output, weights * factor), found, rtol=1e-6, atol=1e-9)
    for place in range(len(weights)):  # each set of weights by itself
        np.testing.assert_allclose(GIVEN[name](output, weights[[place]])[0], found[place], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", METRICS)
def test_values_are_in_the_range_and_no_better_than_the_best(name):
    metric = GIVEN[name]
    for seed in range(20):
        assert metric.range[0] <= metric(outputs_for(name, seed)) <= metric.range[1]
    if name in REGRESSION:
        assert metric(Regression.of([1, 2, 4], [1, 2, 4])) == metric.best
    elif metric.binary and name.startswith("calibration"):
        assert np.isnan(metric(Classification.of([0, 0, 1, 1], [0.0, 0.0, 1.0, 1.0])))  # no slope fits best
    elif name != "net_benefit":
        perfect = Classification.of([0, 1, 0, 1], [0.0, 1.0, 0.0, 1.0])
        assert metric(perfect) == pytest.approx(metric.best, abs=1e-12)


@pytest.mark.parametrize("name", METRICS)
def test_no_weight_at_all_gives_no_value(name):
    output = outputs_for(name)
    assert np.isnan(GIVEN[name](output, np.zeros((1, len(output))))).all()


@pytest.mark.parametrize(
    "name",
    [
        "auroc", "auprc", "mcc", "calibration_slope", "calibration_intercept", "calibration_in_the_large",
        "sensitivity_at_specificity", "specificity_at_sensitivity",
    ],
)  # fmt: skip
def test_one_class_alone_leaves_undefined_what_needs_both(name):
    output = said(2)
    for k in (0, 1):
        assert np.isnan(GIVEN[name](output, (output.y == k)[None].astype(float))).all()
    one = output.rows(np.flatnonzero(output.y == 0))
    assert one.binary and np.isnan(GIVEN[name](one))
    assert one.notes == ["class 1 is not among these samples"]


# --- scikit-learn ----------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), ties=st.booleans(), fractions=st.booleans())
def test_two_classes_are_as_in_scikit_learn(seed, ties, fractions):
    one = said(2, seed=seed, ties=ties)
    w = weights_for(one, seed, draws=1)
    w = w * np.random.default_rng(seed).uniform(0.5, 2, size=w.shape) if fractions else w
    y, p, called, (weight,) = one.y, one.scores[:, 1], one.predicted, w
    at = {"sample_weight": weight}
    alarms, hits, _ = sk.roc_curve(y, p, drop_intermediate=False, **at)
    expected = {
        "accuracy": sk.accuracy_score(y, called, **at),
        "balanced_accuracy": sk.balanced_accuracy_score(y, called, **at),
        "macro_f1": sk.f1_score(y, called, average="macro", zero_division=0, **at),
        "mcc": sk.matthews_corrcoef(y, called, **at),
        "auroc": sk.roc_auc_score(y, p, **at),
        "auprc": sk.average_precision_score(y, p, **at),
        "brier_score": sk.brier_score_loss(y, p, **at),
        "log_loss": sk.log_loss(y, p, **at),
        "sensitivity": sk.recall_score(y, called, **at),
        "specificity": sk.recall_score(y, called, pos_label=0, **at),
        "ppv": sk.precision_score(y, called, zero_division=np.nan, **at),
        "npv": sk.precision_score(y, called, pos_label=0, zero_division=np.nan, **at),
        "sensitivity_at_specificity": hits[1 - alarms >= 0.6 - 1e-12].max(),
        "specificity_at_sensitivity": (1 - alarms)[hits >= 0.6 - 1e-12].max(),
    }
    for name, value in expected.items():
        assert GIVEN[name](one, w)[0] == pytest.approx(value, rel=1e-9, abs=1e-9, nan_ok=True), name


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), n_classes=st.integers(3, 6))
def test_more_classes_are_as_in_scikit_learn(seed, n_classes):
    one = said(n_classes, seed=seed)
    weight = np.random.default_rng(seed).uniform(0.1, 2, size=len(one))
    y, p, at = one.y, one.scores, {"sample_weight": weight}
    one_hot = np.eye(n_classes)[y]
    expected = {
        "balanced_accuracy": sk.balanced_accuracy_score(y, one.predicted, **at),
        "macro_f1": sk.f1_score(y, one.predicted, labels=range(n_classes), average="macro", zero_division=0, **at),
        "mcc": sk.matthews_corrcoef(y, one.predicted, **at),
        "auroc": np.mean([sk.roc_auc_score(one_hot[:, k], p[:, k], **at) for k in range(n_classes)]),
        "auprc": np.mean([sk.average_precision_score(one_hot[:, k], p[:, k], **at) for k in range(n_classes)]),
        "brier_score": np.average(((p - one_hot) ** 2).sum(axis=1), weights=weight),
        "log_loss": sk.log_loss(y, p, **at),
    }
    for name, value in expected.items():
        assert METRICS[name](one, weight[None])[0] == pytest.approx(value), name


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_regression_is_as_in_scikit_learn(seed):
    one = numbers(seed=seed)
    weight = np.random.default_rng(seed).uniform(0.1, 2, size=len(one))
    for name, function in [("mae", sk.mean_absolute_error), ("rmse", sk.root_mean_squared_error), ("r2", sk.r2_score)]:
        expected = function(one.y, one.predicted, sample_weight=weight)
        assert METRICS[name](one, weight[None])[0] == pytest.approx(expected), name


def test_a_constant_target_has_no_r2():
    one = Regression.of([0.1, 0.1, 0.1, 0.7], [0.2, 0.1, 0.3, 0.4])
    assert np.mean([0.1, 0.1, 0.1]) != 0.1  # rounding is no spread
    assert np.isnan(METRICS["r2"](one, np.array([[1.0, 1, 1, 0], [0, 0, 0, 2]]))).all()


def test_a_fraction_that_is_just_reached_is_reached():
    one = Classification.of(np.arange(20) % 2, np.arange(20) / 20)
    for tenth in range(1, 10):
        for weights in (np.ones((1, 20)), np.full((1, 20), 1 / 3)):
            reverse = METRICS["specificity_at_sensitivity"].at(sensitivity=tenth / 10)(one, weights)[0]
            assert reverse == pytest.approx(1 - tenth / 10 + 0.1)
            value = METRICS["sensitivity_at_specificity"].at(specificity=tenth / 10)(one, weights)[0]
            assert value == pytest.approx(1 - tenth / 10 + 0.1)


def test_a_majority_vote_has_no_correlation_with_the_labels():
    one = Classification.of([0, 0, 0, 1], [[1, 0]] * 4)
    assert METRICS["mcc"](one) == 0 and METRICS["accuracy"](one) == 0.75
    assert METRICS["sensitivity"](one) == 0 and METRICS["balanced_accuracy"](one) == 0.5
    assert np.isnan(METRICS["ppv"](one))


def test_a_class_without_a_score_has_the_probability_zero():
    one = Classification.of(["a", "b", "c"], [[1, 0], [0, 1], [0.5, 0.5]], ["a", "b"])
    assert METRICS["brier_score"](one) == pytest.approx((0 + 0 + 1.5) / 3)
    assert METRICS["log_loss"](one) == pytest.approx(-np.log(np.finfo(float).eps) / 3)
    assert one.notes == ["1 samples are of a class that has no score: wrong by definition"]


# --- calibration -----------------------------------------------------------------------------------------------------


def planted(p, risk):
    """Probabilities p of which exactly ``risk`` occur: each stands once with either label, weighed."""
    p, risk = np.asarray(p), np.asarray(risk)
    one = Classification.of(np.repeat([1, 0], len(p)), np.concatenate([p, p]), [0, 1])
    return one, np.concatenate([risk, 1 - risk])[None]


@settings(max_examples=30, deadline=None)
@given(intercept=st.floats(-3, 3), slope=st.floats(-1, 3), seed=st.integers(0, 99))
def test_planted_slope_and_intercept_are_found(intercept, slope, seed):
    p = np.random.default_rng(seed).uniform(0.01, 0.99, size=15)
    one, weights = planted(p, expit(intercept + slope * logit(p)))
    assert METRICS["calibration_slope"](one, weights)[0] == pytest.approx(slope, abs=1e-6)
    assert METRICS["calibration_intercept"](one, weights)[0] == pytest.approx(intercept, abs=1e-6)
    shifted = planted(p, expit(intercept + logit(p)))
    assert METRICS["calibration_in_the_large"](*shifted)[0] == pytest.approx(intercept, abs=1e-6)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 999))
def test_recalibration_is_a_logistic_regression_on_the_log_odds(seed):
    one = said(2, n=60, seed=seed, ties=False)
    weight = np.random.default_rng(seed).uniform(0.2, 3, size=len(one))
    x = logit(one.scores[:, [1]])
    fitted = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(x, one.y, sample_weight=weight)
    assert METRICS["calibration_slope"](one, weight[None])[0] == pytest.approx(fitted.coef_[0, 0], rel=1e-4)
    assert METRICS["calibration_intercept"](one, weight[None])[0] == pytest.approx(fitted.intercept_[0], abs=1e-4)
    large = METRICS["calibration_in_the_large"](one, weight[None])[0]
    assert weight @ expit(x[:, 0] + large) == pytest.approx(weight @ one.y)  # as many as occurred


def test_extreme_probabilities_do_not_stop_the_fit():
    """Far leverage makes a full step of Newton's method overshoot."""
    p = np.array([1e-300, 1e-9, 0.2, 0.5, 0.7, 1 - 1e-12, 1.0])
    one = Classification.of(np.tile([0, 1, 0, 1, 0, 1, 0], 1), p)
    slope, intercept = METRICS["calibration_slope"](one), METRICS["calibration_intercept"](one)
    risk = expit(intercept + slope * logit(np.clip(p, np.finfo(float).eps, 1 - np.finfo(float).eps)))
    assert risk.sum() == pytest.approx(3, abs=1e-6)  # the score equation of the intercept


@pytest.mark.parametrize("shift", [-8, 0, 8])
def test_probabilities_that_are_far_off_are_recalibrated(shift):
    """A full step of Newton's method overshoots here and never comes back: the oracle is bisection."""
    for seed in range(15):
        random = np.random.default_rng(seed)
        log_odds = 5 * random.normal(size=12) + shift
        one = Classification.of(np.arange(12) % 3 == 0, expit(log_odds), [False, True])
        weights = random.integers(1, 4, size=(3, 12)).astype(float)
        found = METRICS["calibration_in_the_large"](one, weights)
        for weight, value in zip(weights, found, strict=True):
            root = brentq(_missing_events, -60, 60, args=(one.y, log_odds, weight), xtol=1e-12)
            assert value == pytest.approx(root, abs=1e-6)


def _missing_events(intercept, y, log_odds, weight):
    return weight @ (y - expit(log_odds + intercept))


def test_scores_that_part_the_classes_or_do_not_vary_have_no_slope():
    parted = Classification.of([0, 0, 1, 1], [0.1, 0.2, 0.7, 0.9])
    touching = Classification.of([0, 0, 1, 1], [0.1, 0.5, 0.5, 0.9])
    constant = Classification.of([0, 1, 1], [0.5, 0.5, 0.5])
    for one in (parted, touching, constant):
        assert np.isnan(METRICS["calibration_slope"](one)) and np.isnan(METRICS["calibration_intercept"](one))
    assert METRICS["calibration_in_the_large"](constant) == pytest.approx(np.log(2))


def test_closed_forms_of_the_calibration_error():
    calibrated, weights = planted([0.2, 0.4, 0.9], [0.2, 0.4, 0.9])
    error = METRICS["expected_calibration_error"]
    assert error(calibrated, weights)[0] == pytest.approx(0, abs=1e-12)
    shifted, weights = planted([0.2, 0.4, 0.8], [0.3, 0.3, 0.9])
    assert error(shifted, weights)[0] == pytest.approx(0.1)
    y = np.array([0, 0, 0, 1, 1, 1, 1, 0, 1, 1])
    p = np.arange(10) / 10
    one = Classification.of(y, p)
    assert error.at(n_bins=1)(one) == pytest.approx(abs(y.mean() - p.mean()))
    in_two = (abs(2 / 5 - 0.2) + abs(4 / 5 - 0.7)) / 2
    assert error.at(n_bins=2)(one) == pytest.approx(in_two)
    assert error(one) == pytest.approx(np.abs(y - p).mean())  # a bin for each
    assert error.at(n_bins=500)(one) == pytest.approx(np.abs(y - p).mean())


def test_bins_hold_equally_many():
    """Gaps of both signs that would cancel inside a bin show where the bins are cut."""
    one = Classification.of([1, 1, 0, 0], [0.1, 0.2, 0.7, 0.9])
    error = METRICS["expected_calibration_error"]
    assert error.at(n_bins=2)(one) == pytest.approx((0.9 + 0.8 + 0.7 + 0.9) / 4)
    assert error.at(n_bins=1)(one) == pytest.approx(abs(0.9 + 0.8 - 0.7 - 0.9) / 4)
    of_three = Classification.of([1, 0, 1, 0, 1, 0], [0.1, 0.3, 0.4, 0.6, 0.7, 0.9])
    assert error.at(n_bins=3)(of_three) == pytest.approx((0.6 + 0.0 + 0.6) / 6)


def test_equal_probabilities_share_a_bin():
    one = Classification.of([0, 1, 0, 1, 1, 1], [0.5, 0.5, 0.5, 0.5, 0.9, 0.9])
    assert METRICS["expected_calibration_error"].at(n_bins=3)(one) == pytest.approx(2 / 6 * 0.1)


def test_of_more_classes_the_calibration_error_is_that_of_the_largest_probability():
    p = np.array([[0.8, 0.1, 0.1], [0.2, 0.6, 0.2], [0.1, 0.2, 0.7], [0.9, 0.05, 0.05]])
    one = Classification.of([0, 1, 0, 2], p, [0, 1, 2])
    assert METRICS["expected_calibration_error"].at(n_bins=1)(one) == pytest.approx(abs(0.5 - p.max(axis=1).mean()))


# --- net benefit -----------------------------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999), threshold=st.sampled_from([0.05, 0.2, 0.5, 0.8]))
def test_net_benefit_is_counted(seed, threshold):
    one = said(2, seed=seed)
    called = one.scores[:, 1] >= threshold
    hits, alarms = (called & (one.y == 1)).sum(), (called & (one.y == 0)).sum()
    expected = hits / len(one) - alarms / len(one) * threshold / (1 - threshold)
    assert METRICS["net_benefit"].at(threshold=threshold)(one) == pytest.approx(expected)


def test_the_decision_curve_lies_between_treating_all_and_the_prevalence():
    y = np.array([0, 0, 0, 1])
    curve = decision_curve(Classification.of(y, [0.1, 0.2, 0.3, 0.9]), [0.05, 0.25, 0.5, 0.95])
    assert curve["treat_all"].tolist() == pytest.approx([0.25 - 0.75 * t / (1 - t) for t in curve["threshold"]])
    assert curve["net_benefit"][0] == curve["treat_all"][0]  # everyone is above 0.05
    assert curve["net_benefit"].tolist()[2:] == [0.25, 0]  # a threshold that parts the classes; no one is above 0.95
    no_information = decision_curve(Classification.of(y, [0.25] * 4), [0.25])
    assert no_information["net_benefit"][0] == pytest.approx(0)
    with pytest.raises(ValueError, match="threshold=1 of net_benefit"):
        decision_curve(said(), [1])
    assert isinstance(curve, pd.DataFrame)
