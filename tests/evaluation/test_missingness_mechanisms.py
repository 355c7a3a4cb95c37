"""What tells mechanisms of missing data apart: logistic regressions on 20,000 rows, and where the values are lost."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.optimize import brentq
from scipy.special import expit

from kinview.evaluation import (
    MAR,
    MCAR,
    DetectionLimit,
    Informative,
    MNARExtreme,
    MNARHigh,
    MNARLow,
    SelfMasking,
    corrupt,
    observed_mask,
)
from test_corruptions import as_panel, gappy, mixed_table

ROWS = 20_000


def logistic_regression(features, outcome):
    """Coefficients, without that of the intercept, and their standard errors: Newton's method in float64."""
    design = np.column_stack([np.ones(len(features)), *np.atleast_2d(features.T)])
    beta = np.zeros(design.shape[1])
    for _ in range(30):
        p = expit(design @ beta)
        information = (design * (p * (1 - p))[:, None]).T @ design
        beta = beta + np.linalg.solve(information, design.T @ (outcome - p))
    return beta[1:], np.sqrt(np.diag(np.linalg.inv(information)))[1:]


def correlated(seed=0, rows=ROWS, columns=3, correlation=0.6):
    covariance = np.full((columns, columns), correlation) + (1 - correlation) * np.eye(columns)
    return np.random.default_rng(seed).multivariate_normal(np.zeros(columns), covariance, size=rows)


def standardised(x):
    return (x - np.median(x, axis=0)) / x.std(axis=0)


def close(found, wanted, error, errors=4):
    return np.all(np.abs(np.asarray(found) - wanted) < errors * np.asarray(error))


# --- completely at random, at random, not at random ------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0.15, 0.4])
def test_mcar_depends_on_nothing(rate):
    x = correlated()
    removed = corrupt(x, MCAR(rate), 0)[1]
    for column in range(3):
        beta, error = logistic_regression(standardised(x), removed[:, column])
        assert close(beta, 0, error)


@pytest.mark.parametrize("rate", [0.15, 0.4])
@pytest.mark.parametrize("steepness", [1.0, 2.5])
def test_mar_depends_on_the_driver_and_given_it_not_on_the_value(rate, steepness):
    x = correlated()
    removed = MAR(rate, drivers=[0], steepness=steepness).apply(x, 0)[1]
    assert not removed[:, 0].any()
    for column in (1, 2):
        beta, error = logistic_regression(standardised(x)[:, [0, column]], removed[:, column])
        assert close(beta[1], 0, error[1]), "given the driver the value itself does not matter"
        assert close(abs(beta[0]), steepness, error[0])
        alone, its_error = logistic_regression(standardised(x)[:, [column]], removed[:, column])
        assert abs(alone[0]) > 10 * its_error[0], "without the driver it does: they go together"


@pytest.mark.parametrize(("kind", "score"), [(MNARHigh, np.positive), (MNARLow, np.negative), (MNARExtreme, np.abs)])
@pytest.mark.parametrize("rate", [0.15, 0.4])
def test_mnar_depends_on_the_value_itself_whatever_else_is_known(kind, score, rate):
    x = correlated()
    removed = kind(rate, steepness=1.5).apply(x, 0)[1]
    beta, error = logistic_regression(np.column_stack([score(standardised(x))[:, 0], x[:, 1:]]), removed[:, 0])
    assert close(beta[0], 1.5, error[0])
    assert close(beta[1:], 0, error[1:])


def test_informative_depends_on_the_label_and_given_it_not_on_the_value():
    x = correlated()
    y = (x[:, 0] + np.random.default_rng(1).normal(size=ROWS) > 0.5).astype(int)
    removed = Informative(0.3, steepness=1.2).apply(x, 0, y=y)[1]
    beta, error = logistic_regression(np.column_stack([y, x[:, 0]]), removed[:, 0])
    assert close(beta[0], 1.2, error[0]) and close(beta[1], 0, error[1])
    turned = Informative(0.3, steepness=-1.2).apply(x, 0, y=y)[1]
    assert removed[y == 1].mean() > 0.35 > 0.25 > turned[y == 1].mean()
    assert abs(removed[y == 1].mean() - expit(1.2 + _log_odds(removed[y == 0].mean()))) < 0.01


def _log_odds(p):
    return np.log(p / (1 - p))


def test_informative_spreads_several_classes_evenly_in_log_odds():
    y = np.repeat(["a", "b", "c"], 4000)
    removed = Informative(0.4, steepness=3.0).apply(np.zeros((12000, 5)), 0, y=y)[1]
    odds = [_log_odds(removed[y == one].mean()) for one in "abc"]
    assert np.allclose(np.diff(odds), 1.5, atol=0.1)


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_an_order_of_keys_stands_for_an_intercept_found_by_bisection(rate):
    """The rate in each tenth of the scores is that of the model whose intercept gives the rate on average."""
    x = correlated(seed=3)
    removed = MNARHigh(rate, steepness=2.0).apply(x, 1)[1].ravel()
    log_odds = 2.0 * standardised(x).ravel()
    intercept = brentq(lambda b: expit(log_odds + b).mean() - rate, -50, 50)
    tenth = np.argsort(np.argsort(log_odds)) * 10 // log_odds.size
    for number in range(10):
        p = expit(log_odds[tenth == number] + intercept)
        error = np.sqrt((p * (1 - p)).sum()) / len(p)
        assert abs(removed[tenth == number].mean() - p.mean()) < 4 * error


# --- missing at random, further --------------------------------------------------------------------------------------


def test_scores_have_unit_spread_so_that_each_column_loses_about_the_same():
    x = correlated(columns=10) * np.logspace(-3, 3, 10) + 7
    mechanism = MAR(0.35)
    learned = mechanism.learn(x, 0)
    assert len(learned.state.columns) == 3
    removed = mechanism.apply(x, (0, 1), learned=learned)[1]
    lost = removed[:, learned.state.targets].mean(axis=0)
    assert removed.sum() == round(0.35 * x.size) and np.abs(lost - 0.5).max() < 0.02


def test_drivers_and_weights_are_those_of_the_training_part_in_the_test_part():
    train, test = correlated(1, 500), correlated(2, 5000)
    mechanism = MAR(0.3, drivers=[0], steepness=3.0)
    learned = mechanism.learn(train, 0)
    scale = train[:, 0].std()
    removed = mechanism.apply(test, (0, 1), learned=learned)[1]
    for column in (1, 2):
        beta, error = logistic_regression(test[:, [0]] / scale, removed[:, column])
        sign = np.sign(learned.state.weights[0, column - 1])
        assert close(beta, sign * 3.0, error)
    drawn = {tuple(MAR(0.3).learn(train, seed).state.columns) for seed in range(30)}
    assert drawn == {(0,), (1,), (2,)}


def test_in_series_the_last_observed_value_of_a_driver_decides():
    rng = np.random.default_rng(0)
    state = np.repeat([0.0, 10.0], 500)
    x = rng.normal(size=(1000, 2, 20))
    x[:, 0, 0] += state
    x[:, 0, 1:] = np.nan  # measured once, at the start
    x[:, 1, 0] = np.nan
    removed = MAR(0.4, drivers=[0], steepness=8.0).apply(x, 0)[1]
    assert not removed[:, 0].any()
    parts = sorted([removed[state == one, 1, 1:].mean() for one in (0.0, 10.0)])
    assert parts[0] < 0.02 and parts[1] > 0.8


def test_a_driver_that_was_not_observed_counts_as_its_median():
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.normal(size=ROWS), np.zeros(ROWS)])
    x[::2, 0] = np.nan
    removed = MAR(0.3, drivers=[0], steepness=2.0).apply(x, 0)[1][:, 1]
    near = np.abs(np.nan_to_num(x[:, 0], nan=9.0)) < 0.1
    assert abs(removed[::2].mean() - removed[near].mean()) < 0.05


def test_each_category_of_a_driver_has_a_weight_of_its_own():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"site": rng.choice(list("ABC"), 6000), "age": rng.normal(size=6000)})
    mechanism = MAR(0.25, drivers=["site"], steepness=2.0)
    learned = mechanism.learn(table, 0)
    removed = mechanism.apply(table, (0, 1), learned=learned)[1][:, 1]
    rates = [removed[table["site"] == one].mean() for one in "ABC"]
    assert np.ptp(rates) > 0.2
    score = learned.state.weights[:, 0]
    assert np.argsort(rates).tolist() == np.argsort(score).tolist()
    unseen = mechanism.apply(table.assign(site="D"), (0, 1), learned=learned)[1][:, 1]
    assert unseen.sum() == round(0.25 * 12000)


def test_constant_drivers_decide_nothing():
    table = pd.DataFrame({"site": ["A"] * 6000, "code": np.full(6000, 0.1), "age": np.arange(6000.0)})
    mechanism = MAR(0.2, drivers=["site", "code"], steepness=3.0)
    removed = mechanism.apply(table, 0)[1]
    assert removed.sum() == removed[:, 2].sum() == 3600
    beta, error = logistic_regression(table[["age"]].to_numpy() / 6000, removed[:, 2])
    assert close(beta, 0, error)


@pytest.mark.parametrize(
    ("drivers", "message"),
    [
        (["agee"], "the driver 'agee' is no column of the data; did you mean 'age'?"),
        (["age", "sex"], "every column is a driver"),
        ([], r"drivers=\(\) names no drivers; give a fraction"),
        (1.0, "drivers=1.0 names no drivers"),
        ("age", "drivers='age' names no drivers"),
        (True, "drivers=True names no drivers"),
    ],
)
def test_drivers_that_are_none_are_refused(drivers, message):
    table = pd.DataFrame({"age": [1.0, 2.0], "sex": ["f", "m"]})
    with pytest.raises(ValueError, match=message):
        corrupt(table, {"mar": {"drivers": drivers}}, 0, rate=0.1)


def test_more_than_the_drivers_leave_is_refused():
    with pytest.raises(
        ValueError, match=r"rate=0.6 is 12 values, .* hold 10 \(50% of all\); give a lower rate or fewer"
    ):
        MAR(0.6).apply(np.random.default_rng(0).normal(size=(10, 2)), 0)
    with pytest.raises(ValueError, match="the only column is a driver"):
        MAR(0.1).apply(np.zeros((3, 1, 5)), 0)


# --- thresholds ------------------------------------------------------------------------------------------------------


def skewed(rows=4000):
    rng = np.random.default_rng(0)
    return np.column_stack([rng.normal(size=rows), rng.exponential(size=rows) ** 2])


@pytest.mark.parametrize(
    ("values", "kind", "score"),
    [("high", MNARHigh, np.positive), ("low", MNARLow, np.negative), ("extreme", MNARExtreme, np.abs)],
)
def test_self_masking_is_a_threshold_and_the_limit_of_a_steep_mechanism(values, kind, score):
    x = skewed()
    removed = SelfMasking(0.2, values).apply(x, 0)[1]
    distance = score(standardised(x))
    assert distance[removed].min() > distance[~removed].max()
    np.testing.assert_array_equal(removed, kind(0.2, steepness=1e9).apply(x, 0)[1])
    soft = kind(0.2, steepness=1.0).apply(x, 0)[1]
    assert distance[soft].min() < distance[~soft].max()


def test_self_masking_of_one_series_is_mnar_x_at_the_offset_of_the_rate():
    """PyGrinder's rule, written out: what is above mean + offset * std of the series goes."""
    x = np.random.default_rng(0).gamma(2.0, size=(1, 1, 300))
    for offset in (0.0, 0.5, 1.5):
        theirs = x > x.mean() + offset * x.std()
        np.testing.assert_array_equal(SelfMasking(theirs.mean()).apply(x, 0)[1], theirs)


def test_a_detection_limit_takes_the_same_from_each_column_and_self_masking_does_not():
    x = skewed()
    upper = DetectionLimit(0.2, "upper").apply(x, 0)[1]
    assert np.abs(upper.mean(axis=0) - 0.2).max() < 1e-3
    for column in (0, 1):
        assert x[upper[:, column], column].min() > x[~upper[:, column], column].max()
    lower = DetectionLimit(0.2).apply(x, 0)[1]
    assert x[lower[:, 1], 1].max() < x[~lower[:, 1], 1].min()
    high = SelfMasking(0.2).apply(x, 0)[1]
    assert np.ptp(high.mean(axis=0)) > 0.05


@pytest.mark.parametrize("limit", ["lower", "upper"])
def test_values_beyond_a_limit_become_the_limit(limit):
    train, x = skewed(500), skewed(900)[500:]
    x[::9, 1] = np.nan
    mechanism = DetectionLimit(0.3, limit, replace="limit")
    learned = mechanism.learn(train, 0)
    result, removed = mechanism.apply(x, (0, 1), learned=learned)
    np.testing.assert_array_equal(removed, DetectionLimit(0.3, limit).apply(x, (0, 1), learned=learned)[1])
    np.testing.assert_array_equal(result[~removed], x[~removed])
    for column in (0, 1):
        (value,) = np.unique(result[removed[:, column], column])
        kept = result[~removed[:, column], column]
        assert value <= np.nanmin(kept) if limit == "lower" else value >= np.nanmax(kept)
        at = np.quantile(train[:, column], 0.3 if limit == "lower" else 0.7)
        assert abs((train[:, column] < value).mean() - (train[:, column] < at).mean()) < 0.05


def test_limits_are_written_into_every_container_and_columns_of_numbers():
    spec = {"detection_limit": {"replace": "limit"}}
    x = gappy()
    result, removed = corrupt(x, spec, 0, rate=0.3)
    tensor, _ = corrupt(torch.from_numpy(x), spec, 0, rate=0.3)
    frame, _ = corrupt(as_panel(x), spec, 0, rate=0.3)
    assert (
        result.dtype == np.float32 and (np.isnan(result) == np.isnan(x)).all() and (result[removed] > x[removed]).any()
    )
    np.testing.assert_array_equal(tensor.numpy(), result)
    np.testing.assert_array_equal(frame.to_numpy(), np.stack([result[i, :, t] for i, t in frame.index]))
    table = mixed_table(60)
    result, removed = corrupt(table, spec, 0, rate=0.4)
    lost = observed_mask(table) & ~observed_mask(result)
    numbers = ["float", "int", "big", "uint", "Int8", "Float64", "arrow_int", "arrow_nan", "sparse"]
    for place, name in enumerate(table):
        assert lost[:, place].sum() == (0 if name in numbers else removed[:, place].sum()), name
    assert str(result["big"].dtype) == "Int64" and removed[:, 2].any()
    np.testing.assert_array_equal(result["big"][~removed[:, 2]], table["big"][~removed[:, 2]])


def test_a_subgroup_reports_limits_too():
    x, site = np.random.default_rng(0).normal(size=(40, 2)), np.array(list("AB") * 20)
    mechanism = {"detection_limit": {"replace": "limit"}}
    result, removed = corrupt(x, {"subgroup": {"where": "A", "mechanism": mechanism}}, 0, rate=0.5, groups=site)
    assert removed.sum() == 20 and not np.isnan(result).any()
    np.testing.assert_array_equal(result[site == "B"], x[site == "B"])
    assert len(np.unique(result[removed[:, 0], 0])) == 1


@pytest.mark.parametrize("kind", [SelfMasking, DetectionLimit, MNARLow])
def test_limits_are_those_of_the_training_part(kind):
    x = skewed(1000)[:, [0, 0]]
    mechanism = kind(0.3, values="low") if kind is SelfMasking else kind(0.3)
    learned = mechanism.learn(x, 0)
    shifted = x.copy()
    shifted[:, 1] -= 10  # below everything that was seen in training
    own = mechanism.apply(shifted, (0, 1))[1]
    removed = mechanism.apply(shifted, (0, 1), learned=learned)[1]
    assert np.ptp(own.mean(axis=0)) < 0.05
    assert removed[:, 1].sum() == removed.sum() == 600
    if kind is not MNARLow:
        assert shifted[removed[:, 1], 1].max() < shifted[~removed[:, 1], 1].min()


def test_equal_values_at_a_limit_go_in_random_order():
    x = np.repeat([0.0, 1.0], [600, 400])[:, None]
    masks = [DetectionLimit(0.3).apply(x, seed)[1] for seed in (0, 1)]
    assert all(mask[:600].sum() == 300 and not mask[600:].any() for mask in masks) and (masks[0] != masks[1]).any()


@pytest.mark.parametrize("spec", ["mnar_high", {"self_masking": {"values": "low"}}, "detection_limit"])
def test_a_column_without_an_order_counts_as_its_median(spec):
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {"number": rng.normal(size=3000), "text": rng.choice(["a", "b"], 3000), "constant": np.full(3000, 0.1)}
    )
    removed = corrupt(table, spec, 0, rate=0.1)[1]
    assert abs(removed[table["text"] == "a", 1].mean() - removed[table["text"] == "b", 1].mean()) < 0.02
    if spec == "mnar_high":
        near = table["number"].sub(table["number"].median()).abs() < 0.2
        assert abs(removed[:, 1].mean() - removed[near, 0].mean()) < 0.05
        assert abs(removed[:, 1].mean() - removed[:, 2].mean()) < 0.02
    else:
        assert removed[:, 0].sum() == 900 and not removed[:, 1:].any()


def test_infinite_values_are_the_highest_and_do_not_spoil_the_scale():
    x = np.random.default_rng(0).normal(size=(1000, 1))
    x[:5] = np.inf
    x[5:8] = -np.inf
    for spec in ("mnar_high", "self_masking", {"detection_limit": {"limit": "upper"}}):
        removed = corrupt(x, spec, 0, rate=0.2)[1]
        assert removed[:5].all() and not removed[5:8].any()
    assert MAR(0.1, drivers=[0]).apply(np.column_stack([x, x]), 0)[1].sum() == 200


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"mnar_high": {"steepness": 0}}, "steepness must be positive; got 0"),
        ({"mnar_low": {"steepness": -1.0}}, "steepness must be positive; got -1.0"),
        ({"mar": {"steepness": "2"}}, "steepness must be a number; got the text '2'"),
        ({"informative": {"steepness": None}}, "steepness must be a number"),
        ({"self_masking": {"values": "top"}}, "values='top' is unknown; use 'high', 'low' or 'extreme'"),
        ({"detection_limit": {"limit": "below"}}, "limit='below' is unknown; use 'lower' or 'upper'"),
        ({"detection_limit": {"replace": "zero"}}, "replace='zero' is unknown; use 'missing' or 'limit'"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(spec, message):
    with pytest.raises(ValueError, match=message):
        corrupt(np.zeros((3, 2)), spec, 0, rate=0.1, y=[0, 1, 1])


def test_labels_that_are_none_or_unknown_are_refused():
    x = np.zeros((4, 2))
    learned = Informative(0.2).learn(x, 0, y=["a", "b", "a", "b"])
    with pytest.raises(ValueError, match="the training part has none of c; its classes are a, b"):
        Informative(0.2).apply(x, 0, y=["a", "b", "c", "c"], learned=learned)
    with pytest.raises(ValueError, match="some samples have no label"):
        Informative(0.2).apply(x, 0, y=np.array(["a", None, "b", "b"], dtype=object))
