"""Folds of one data set: the corrected t test, its Bayesian reading, and cells averaged into folds."""

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

from kinview.evaluation import bayesian_correlated_t, compare_folds, corrected_resampled_t_test

FOLDS = np.array([0.02, 0.03, -0.01, 0.04, 0.02, 0.01, 0.0, 0.05, 0.03, 0.01])


def test_without_overlap_it_is_the_t_test_and_overlap_widens_it_by_the_known_factor():
    plain = stats.ttest_1samp(FOLDS, 0)
    nearly = corrected_resampled_t_test(FOLDS, 1e-12)
    assert (nearly.statistic, nearly.p) == pytest.approx((plain.statistic, plain.pvalue))
    found = corrected_resampled_t_test(FOLDS, 0.1)
    assert found.statistic == pytest.approx(plain.statistic / np.sqrt(1 + 10 / 9))  # 10 folds: 1/n + 1/9 for 1/n
    assert found.p == pytest.approx(2 * stats.t.sf(found.statistic, 9))
    assert found.high - found.difference == pytest.approx(stats.t.ppf(0.975, 9) * found.standard_error)
    assert found.folds == 10 and found.low < plain.confidence_interval().low


def test_it_holds_its_level_where_the_plain_test_does_not():
    """Differences of folds with correlation 1/K, as Nadeau and Bengio model them."""
    random = np.random.default_rng(0)
    n, rho, draws = 10, 0.1, 4000
    values = np.sqrt(rho) * random.normal(size=(draws, 1)) + np.sqrt(1 - rho) * random.normal(size=(draws, n))
    corrected = np.mean([corrected_resampled_t_test(row, rho).p < 0.05 for row in values])
    assert corrected == pytest.approx(0.05, abs=0.012)
    assert np.mean(stats.ttest_1samp(values, 0, axis=1).pvalue < 0.05) > 0.1


@pytest.mark.parametrize("rope", [0.0, 0.01, 0.03])
def test_probabilities_are_integrals_of_the_posterior(rope):
    found = bayesian_correlated_t(FOLDS, 0.2, rope=rope)
    scale = np.sqrt((0.1 + 0.25) * FOLDS.var(ddof=1))

    def density(mu):
        return stats.t.pdf((mu - FOLDS.mean()) / scale, 9) / scale

    for probability, (low, high) in zip(found, [(rope, 2), (-rope, rope), (-2, -rope)], strict=True):
        assert probability == pytest.approx(integrate.quad(density, low, high, points=[FOLDS.mean()])[0], abs=1e-6)
    assert sum(found) == pytest.approx(1)
    at_zero = bayesian_correlated_t(FOLDS, 0.2, rope=0.0)
    assert at_zero.worse == pytest.approx(corrected_resampled_t_test(FOLDS, 0.2).p / 2)  # one-sided p, read anew


def test_folds_without_spread():
    same = corrected_resampled_t_test([0.0] * 4, 0.25)
    assert (same.p, same.low, same.high) == (1.0, 0.0, 0.0) and np.isnan(same.statistic)
    assert corrected_resampled_t_test([0.02] * 4, 0.25).p == 0.0
    assert bayesian_correlated_t([0.02] * 4, 0.25) == (1.0, 0.0, 0.0)
    assert bayesian_correlated_t([0.005] * 4, 0.25) == (0.0, 1.0, 0.0)


def cells(folds=5, seeds=(0, 1), probes=("svm", "knn")):
    random = np.random.default_rng(0)
    return pd.DataFrame([
        {"dataset": d, "method": m, "probe": p, "seed": s, "split": "stratified_kfold", "fold": f,
         "accuracy": random.normal(0.8, 0.02)}
        for d in ("a", "b") for m in ("raw", "ours") for p in probes for s in seeds for f in range(folds)
    ])  # fmt: skip


def test_seeds_and_probes_are_averaged_within_a_fold():
    frame = cells()
    found = compare_folds(frame, "raw", test_fraction=0.2).set_index("dataset")
    means = frame.groupby(["dataset", "method", "fold"])["accuracy"].mean()
    for dataset in ("a", "b"):
        difference = means[dataset, "ours"] - means[dataset, "raw"]
        test = corrected_resampled_t_test(difference, 0.2)
        row = found.loc[dataset]
        assert (row["difference"], row["low"], row["high"]) == pytest.approx((test.difference, test.low, test.high))
        assert row["p"] == pytest.approx(test.p)
        assert tuple(row[["better", "equivalent", "worse"]]) == pytest.approx(bayesian_correlated_t(difference, 0.2))
        assert (row["method"], row["folds"]) == ("ours", 5)


def test_seeds_that_are_planted_again_move_nothing():
    frame = cells()
    again = pd.concat([frame, *(frame.assign(seed=frame["seed"] + 10 * k) for k in (1, 2))])
    columns = ["difference", "low", "high", "p", "better", "equivalent", "worse"]
    one, many = (compare_folds(f, "raw", test_fraction=0.2)[columns].to_numpy() for f in (frame, again))
    np.testing.assert_allclose(many, one, rtol=1e-9, atol=1e-12)
    partly = pd.concat([frame, frame[frame["fold"] < 2].assign(seed=frame["seed"] + 10)])
    np.testing.assert_allclose(compare_folds(partly, "raw", test_fraction=0.2)[columns], one, rtol=1e-9, atol=1e-12)


def test_one_fold_has_a_difference_and_no_interval():
    found = compare_folds(cells(folds=1), "raw", test_fraction=0.2)
    assert found["difference"].notna().all() and found[["low", "high", "p", "better"]].isna().all(axis=None)


def test_what_is_wrong_is_named():
    with pytest.raises(ValueError, match="needs two folds; got 1 difference"):
        corrected_resampled_t_test([0.1], 0.2)
    with pytest.raises(ValueError, match="test_fraction=1 is not between 0 and 1; give the fraction"):
        corrected_resampled_t_test([0.1, 0.2], 1)
    with pytest.raises(ValueError, match=r"reference 'pca' to compare with; methods with results: ours, raw"):
        compare_folds(cells(), "pca", test_fraction=0.2)
