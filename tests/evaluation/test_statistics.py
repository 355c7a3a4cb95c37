"""Statistics over seeds: closed forms, slow oracles and invariants."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats

from kinview.evaluation import confidence_interval, paired_differences, scoreboard, summarize
from kinview.evaluation.statistics import CONDITION, median_interval, normalise_conditions

SCORES = st.lists(st.integers(0, 200).map(lambda hits: hits / 200), min_size=2, max_size=8)


def cells(**scores):
    """Results of some methods on one data set with one probe, one value per seed."""
    return pd.DataFrame(
        [
            {"dataset": "wine", "method": method, "probe": "svm", "seed": seed, "accuracy": value}
            for method, values in scores.items()
            for seed, value in enumerate(values)
        ]
    )


@pytest.mark.parametrize(("n", "quantile"), [(2, 12.7062), (3, 4.3027), (5, 2.7764)])
def test_interval_has_the_tabulated_t_quantile(n, quantile):
    values = np.arange(n, dtype=float)
    low, high = confidence_interval(values)
    assert (high - low) / 2 == pytest.approx(quantile * values.std(ddof=1) / np.sqrt(n), rel=1e-4)
    assert (high + low) / 2 == pytest.approx(values.mean())


@given(SCORES, st.sampled_from([0.8, 0.95, 0.99]))
@settings(deadline=None, max_examples=50)
def test_interval_agrees_with_scipy_and_ignores_nan(values, confidence):
    found = confidence_interval([*values, float("nan")], confidence)
    if np.ptp(values) == 0:
        assert np.isnan(found).all()
    else:
        expected = stats.t.interval(confidence, len(values) - 1, np.mean(values), stats.sem(values))
        assert found == pytest.approx(expected)


def test_interval_covers_the_mean_as_often_as_promised():
    draws = np.random.default_rng(0).normal(size=(4000, 4))
    hits = [low <= 0 <= high for low, high in map(confidence_interval, draws)]
    assert np.mean(hits) == pytest.approx(0.95, abs=0.012)


def test_one_value_or_none_has_no_interval():
    assert np.isnan(confidence_interval([0.9])).all()
    assert np.isnan(confidence_interval([])).all()


@pytest.mark.parametrize("confidence", [0, 1, 95])
def test_confidence_must_be_a_fraction(confidence):
    with pytest.raises(ValueError, match="not between 0 and 1"):
        confidence_interval([0.9, 0.8], confidence)


def test_summary_is_the_sample_mean_and_standard_deviation_without_nan():
    frame = pd.DataFrame({"method": ["a", "a", "a", "b", "c"], "accuracy": [0.8, 0.9, np.nan, 0.7, np.nan]})
    found = summarize(frame, ["method"]).set_index("method")
    assert found["n"].tolist() == [2, 1, 0]
    assert found.loc["a", "mean"] == pytest.approx(0.85)
    assert found.loc["a", "std"] == pytest.approx(np.std([0.8, 0.9], ddof=1))
    assert found.loc["b", "mean"] == 0.7
    assert np.isnan(found.loc["b", ["std", "low", "high"]].astype(float)).all()
    assert np.isnan(found.loc["c", "mean"])


def test_summary_names_an_absent_column():
    with pytest.raises(ValueError, match="no column 'f2'"):
        summarize(cells(raw=[0.5]), ["method"], metric="f2")


@given(SCORES, st.data())
@settings(deadline=None, max_examples=20)
def test_paired_difference_is_the_one_sample_t_interval_of_the_differences(control, data):
    other = data.draw(
        st.lists(st.integers(0, 200).map(lambda k: k / 200), min_size=len(control), max_size=len(control))
    )
    frame = cells(raw=control, scarf=other).sample(frac=1, random_state=1)
    (row,) = paired_differences(frame, "raw").to_dict("records")
    difference = np.subtract(other, control)
    assert row["n"] == len(control)
    assert row["difference"] == pytest.approx(difference.mean())
    assert (row["low"], row["high"]) == pytest.approx(confidence_interval(difference), nan_ok=True)
    (back,) = paired_differences(frame, "scarf").to_dict("records")
    assert back["difference"] == pytest.approx(-row["difference"])


def test_pairing_removes_what_the_seeds_have_in_common():
    hard_and_easy = np.array([0.5, 0.7, 0.9])
    frame = cells(raw=hard_and_easy, scarf=hard_and_easy + np.array([0.02, 0.021, 0.019]))
    assert paired_differences(frame, "raw")["verdict"].tolist() == ["better"]
    assert paired_differences(frame, "scarf")["verdict"].tolist() == ["worse"]


@pytest.mark.parametrize(
    ("control", "other", "verdict"),
    [
        ([0.8, 0.8, 0.8], [0.9, 0.7, 0.9], "higher"),
        ([0.8, 0.8, 0.8], [0.7, 0.9, 0.7], "lower"),
        ([0.8, 0.9], [0.8, 0.9], "equal"),
        ([0.1 + 0.2], [0.3], "equal"),
        ([0.5], [0.9], "higher"),
        ([0.5, 0.6], [0.7, 0.8], "higher"),  # two seeds that happen to agree
        ([0.9, 0.9], [0.7, 0.7], "lower"),
    ],
)
def test_verdict_is_cautious_where_the_interval_holds_zero_or_is_missing(control, other, verdict):
    assert paired_differences(cells(raw=control, scarf=other), "raw")["verdict"].tolist() == [verdict]


def test_seeds_that_agree_have_no_interval():
    (row,) = paired_differences(cells(raw=[0.5, 0.6], scarf=[0.7, 0.8]), "raw").to_dict("records")
    assert row["difference"] == pytest.approx(0.2) and np.isnan([row["low"], row["high"]]).all()
    assert np.isnan(median_interval([0.2] * 8)).all()


def test_only_equal_conditions_and_seeds_are_paired():
    clean = cells(raw=[0.9, 0.9], scarf=[0.8, 0.8, 0.1])  # seed 2 has no partner
    missing = cells(raw=[0.5, 0.5], scarf=[0.6, 0.6]).assign(corruption="mcar", severity=0.4, corrupt="both")
    found = paired_differences(pd.concat([clean, missing]), "raw").set_index("severity")
    assert found["difference"].to_dict() == pytest.approx({0.0: -0.1, 0.4: 0.1})
    assert found["n"].tolist() == [2, 2]
    pooled = paired_differences(pd.concat([clean, missing]), "raw", by=["method"])
    assert pooled["n"].tolist() == [4]
    assert pooled["difference"].tolist() == pytest.approx([0.0])


def test_failed_and_undefined_results_are_not_paired():
    frame = cells(raw=[0.9, 0.9, 0.9], scarf=[0.8, np.nan, 0.1])
    frame["status"] = ["ok"] * 5 + ["failed"]
    assert paired_differences(frame, "raw")[["n", "difference"]].to_numpy().tolist() == [[1, pytest.approx(-0.1)]]


def test_a_control_that_was_not_run_is_named_with_those_that_were():
    with pytest.raises(ValueError, match=r"no result of the control 'raw'.*scarf"):
        paired_differences(cells(scarf=[0.9]), "raw")


def test_cells_that_occur_twice_are_refused():
    frame = cells(raw=[0.9], scarf=[0.8])
    with pytest.raises(ValueError, match="wine, raw, svm, seed 0 occurs more than once"):
        paired_differences(pd.concat([frame, frame]), "raw")


def test_conditions_are_spelled_in_one_way_and_the_input_is_not_changed():
    frame = pd.DataFrame(
        {
            "corruption": [None, "mcar", float("nan")],
            "severity": [None, 0.0, float("nan")],
            "corrupt": ["both", "train", None],
            "label_noise": ["symmetric", None, None],
            "label_noise_rate": [0.0, None, 0.0],
            "label_fraction": [1, None, 1.0],
        }
    )
    before = frame.copy(deep=True)
    found = normalise_conditions(frame)
    assert len(found[list(CONDITION)].drop_duplicates()) == 1
    assert found.loc[0, list(CONDITION)].tolist() == ["none", 0.0, 0.0, "none", "clean", "none", 0.0, 1.0]
    pd.testing.assert_frame_equal(frame, before)


def test_scoreboard_counts_verdicts_and_weighs_data_sets_equally():
    differences = pd.DataFrame(
        {
            "method": ["scarf"] * 4 + ["ts2vec"],
            "dataset": ["iris", "iris", "iris", "wine", "gunpoint"],
            "difference": [0.3, 0.3, 0.3, -0.1, 0.2],
            "verdict": ["better", "better", "higher", "worse", "higher"],
        }
    )
    found = scoreboard(differences).set_index("method")
    assert found.loc["scarf", ["comparisons", "better", "higher", "equal", "lower", "worse"]].tolist() == [
        4,
        2,
        1,
        0,
        0,
        1,
    ]
    assert found.loc["scarf", "difference"] == pytest.approx(0.1)
    assert found.loc["scarf", ["low", "high"]].tolist() == pytest.approx(confidence_interval([0.3, -0.1]))
    assert found.loc["ts2vec", "datasets"] == 1
    assert np.isnan(found.loc["ts2vec", "low"])
