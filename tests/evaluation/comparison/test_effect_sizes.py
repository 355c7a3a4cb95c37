"""Wins, Cliff's delta and SCARF's matrix of wins."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats

from kinview.evaluation import cliffs_delta, win_matrix, win_tie_loss

values = st.lists(st.integers(0, 9).map(lambda x: x / 10), min_size=1, max_size=8)


@settings(max_examples=50, deadline=None)
@given(values, values)
def test_cliffs_delta_is_a_scaled_mann_whitney_statistic(x, y):
    u = stats.mannwhitneyu(x, y, method="asymptotic").statistic if len(set(x + y)) > 1 else len(x) * len(y) / 2
    assert cliffs_delta(x, y) == pytest.approx(2 * u / (len(x) * len(y)) - 1)
    assert cliffs_delta(y, x) == pytest.approx(-cliffs_delta(x, y))


def test_wins_ties_and_losses():
    assert win_tie_loss([0.1, -0.2, 0.3 - 0.2 - 0.1, 0.4]) == (2, 1, 1)
    with pytest.raises(ValueError, match="finite numbers, one at least"):
        win_tie_loss([np.nan])


def trials(means, seeds=10, spread=0.01):
    """Accuracy of {method: mean of each data set} over seeds."""
    random = np.random.default_rng(0)
    return pd.DataFrame([
        {"dataset": f"set {d}", "method": m, "probe": "svm", "seed": s, "accuracy": mean + random.normal(0, spread)}
        for m, per_set in means.items() for d, mean in enumerate(per_set) for s in range(seeds)
    ])  # fmt: skip


def test_the_matrix_counts_welch_tests_and_leaves_ties_apart():
    frame = trials({"a": [0.8, 0.8, 0.8, 0.8, 0.8], "b": [0.9, 0.801, 0.7, 0.84, 0.85], "c": [0.6] * 5})
    found = win_matrix(frame).set_index(["method", "other"])
    by = frame.groupby(["dataset", "method"])["accuracy"].apply(list)
    for method, other in found.index:
        counted = np.zeros(3, int)
        for dataset in frame["dataset"].unique():
            x, y = by[dataset, method], by[dataset, other]
            differs = stats.ttest_ind(x, y, equal_var=False).pvalue < 0.05
            counted[1 if not differs else 0 if np.mean(x) > np.mean(y) else 2] += 1
        row = found.loc[(method, other)]
        assert row[["wins", "ties", "losses"]].tolist() == counted.tolist()
        assert row["ratio"] == pytest.approx(counted[0] / (counted[0] + counted[2]))
    assert found.loc[("b", "a"), ["wins", "ties", "losses"]].tolist() == [3, 1, 1]
    assert len(found) == 6


def test_trials_without_spread_are_not_told_apart():
    frame = trials({"a": [0.8, 0.8], "b": [0.8, 0.7]}, spread=0.0)
    row = win_matrix(frame).iloc[0]
    assert (row["method"], row["wins"], row["ties"], row["losses"]) == ("a", 0, 2, 0)
    assert np.isnan(win_matrix(frame)["ratio"]).all()  # neither ever wins


def test_folds_are_averaged_within_a_seed():
    frame = trials({"a": [0.8], "b": [0.82]}).assign(split="stratified_kfold", fold=0)
    again = pd.concat([frame, frame.assign(fold=1)])
    pd.testing.assert_frame_equal(win_matrix(again), win_matrix(frame))


def test_a_level_out_of_range_is_refused():
    with pytest.raises(ValueError, match="level=5 is not between 0 and 1"):
        win_matrix(trials({"a": [0.8], "b": [0.8]}), level=5)
