"""DeLong's variance, interval and test against a slow oracle, closed forms and simulation."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats

from kinview.evaluation import delong, delong_interval, delong_test


def oracle(positive, scores):
    """All pairs, one by one, in float64."""
    positive, scores = np.asarray(positive, dtype=bool), np.asarray(scores, dtype=np.float64)
    x, y = scores[positive], scores[~positive]  # (m, k), (n, k)
    wins = (x[:, None] > y[None]) + 0.5 * (x[:, None] == y[None])  # (m, n, k)
    of_x, of_y = wins.mean(axis=1), wins.mean(axis=0)
    k = scores.shape[1]
    covariance = np.zeros((k, k))
    for components in (of_x, of_y):
        deviations = components - components.mean(axis=0)
        for a in range(k):
            for b in range(k):
                product = (deviations[:, a] * deviations[:, b]).sum() / (len(components) - 1)
                covariance[a, b] += product / len(components)
    return wins.mean(axis=(0, 1)), covariance


def drawn(m, n, k, seed, levels=6):
    """Scores with ties; of several classifiers that share what is hard."""
    random = np.random.default_rng(seed)
    positive = random.permutation(np.repeat([True, False], [m, n]))
    shared = random.normal(size=(m + n, 1)) + positive[:, None]
    return positive, np.round((shared + random.normal(size=(m + n, k))) * levels / 4)


@settings(max_examples=80, deadline=None)
@given(m=st.integers(2, 12), n=st.integers(2, 12), k=st.integers(1, 3), seed=st.integers(0, 9999))
def test_equal_to_all_pairs_with_ties(m, n, k, seed):
    positive, scores = drawn(m, n, k, seed)
    auroc, covariance = delong(positive, scores)
    expected, expected_covariance = oracle(positive, scores)
    np.testing.assert_allclose(auroc, expected, rtol=1e-12)
    np.testing.assert_allclose(covariance, expected_covariance, rtol=1e-9, atol=1e-14)


def test_four_samples():
    auroc, covariance = delong([1, 0, 1, 0], [3, 2, 1, 0])
    assert auroc[0] == 0.75
    assert covariance[0, 0] == pytest.approx(0.125 / 2 + 0.125 / 2)


@pytest.mark.parametrize(("hits", "m", "alarms", "n"), [(7, 10, 3, 20), (1, 2, 1, 2), (5, 5, 4, 9)])
def test_of_a_yes_or_no_it_is_the_mean_of_two_fractions(hits, m, alarms, n):
    """AUROC of a binary score is the mean of sensitivity and specificity, and so is its variance."""
    positive = np.repeat([True, False], [m, n])
    score = np.concatenate([np.arange(m) < hits, np.arange(n) < alarms]).astype(float)
    auroc, covariance = delong(positive, score)
    sensitivity, specificity = hits / m, 1 - alarms / n
    assert auroc[0] == pytest.approx((sensitivity + specificity) / 2)
    spread = sensitivity * (1 - sensitivity) / (m - 1) + specificity * (1 - specificity) / (n - 1)
    assert covariance[0, 0] == pytest.approx(spread / 4)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999))
def test_neither_the_order_of_samples_nor_the_scale_of_scores_counts(seed):
    positive, scores = drawn(9, 14, 2, seed)
    expected = delong_test(positive, *scores.T)
    order = np.random.default_rng(seed).permutation(len(positive))
    assert delong_test(positive[order], *scores[order].T) == pytest.approx(expected, nan_ok=True)
    stretched = np.exp(scores / 3)
    assert delong_test(positive, *stretched.T) == pytest.approx(expected, nan_ok=True)
    back = delong_test(positive, *scores.T[::-1])
    assert (back.difference, back.z, back.p) == pytest.approx(
        (-expected.difference, -expected.z, expected.p), nan_ok=True
    )


def test_what_both_find_hard_does_not_count_as_spread():
    positive, scores = drawn(60, 60, 2, 0, levels=100)
    _, covariance = delong(positive, scores)
    unpaired = covariance[0, 0] + covariance[1, 1]
    found = delong_test(positive, *scores.T)
    error = (found.high - found.low) / 2 / stats.norm.ppf(0.975)
    assert error**2 == pytest.approx(unpaired - 2 * covariance[0, 1])
    assert error**2 < 0.8 * unpaired
    assert found.p == pytest.approx(2 * stats.norm.sf(abs(found.difference / error)))


def test_the_same_ranking_has_no_difference():
    positive, scores = drawn(8, 8, 1, 3)
    found = delong_test(positive, scores[:, 0], np.exp(scores[:, 0]))
    assert found == (0, 0, 0, 0, 1)


def test_a_difference_without_spread_is_not_tested():
    found = delong_test([0, 0, 1, 1], [1, 2, 3, 4], [4, 3, 2, 1])
    assert found.difference == 1 and np.isnan([found.low, found.high, found.z, found.p]).all()


@pytest.mark.parametrize("scale", ["logit", "plain"])
def test_the_interval_holds_the_estimate_and_widens_with_the_coverage(scale):
    positive, scores = drawn(20, 30, 1, 1)
    auroc, low, high = delong_interval(positive, scores, scale=scale)
    assert 0 < low < auroc < high < 1
    _, lower, higher = delong_interval(positive, scores, scale=scale, confidence=0.99)
    assert lower < low and higher > high
    error = float(delong(positive, scores)[1][0, 0]) ** 0.5
    spread = np.diff(np.log([low / (1 - low), high / (1 - high)]))[0] if scale == "logit" else high - low
    slope = 1 / (auroc * (1 - auroc)) if scale == "logit" else 1
    assert spread == pytest.approx(2 * stats.norm.ppf(0.975) * error * slope)


def test_the_plain_interval_is_cut_at_one_and_the_logit_one_is_not():
    positive, score = np.repeat([0, 1], 6), np.array([0, 1, 2, 3, 4, 6, 5, 7, 8, 9, 10, 11])
    assert delong_interval(positive, score, scale="plain")[2] == 1
    assert delong_interval(positive, score)[2] < 1


def test_no_spread_and_a_single_sample_of_a_class_have_no_interval():
    for positive, score, auroc in [([0, 0, 1, 1], [1, 2, 3, 4], 1), ([0, 0, 1], [1, 3, 2], 0.5)]:
        found = delong_interval(positive, score)
        assert found[0] == auroc and np.isnan(found[1:]).all()
    assert np.isnan(delong_test([0, 0, 1], [1, 3, 2], [1, 2, 3]).p)


@pytest.mark.parametrize(
    ("positive", "score", "message"),
    [
        ([1, 1], [0.1, 0.2], "AUROC needs samples of both classes; all 2 are True"),
        ([0, 0], [0.1, 0.2], "all 2 are False"),
        ([0, 1], [0.1, np.nan], "scores must be finite; 1 of 2"),
        ([0, 1], [0.1, 0.2, 0.3], "one score a sample"),
        (["ill", "well"], [0.1, 0.2], r"True and False .*write y == 'ill'"),
        ([1, 2], [0.1, 0.2], "True and False"),
    ],
)
def test_what_cannot_be_ranked_is_refused(positive, score, message):
    with pytest.raises(ValueError, match=message):
        delong(positive, score)


def test_options_are_checked():
    with pytest.raises(ValueError, match="scale='log' is unknown"):
        delong_interval([0, 1], [0, 1], scale="log")
    for function in (delong_interval, lambda *a, **k: delong_test(*a, a[1], **k)):
        with pytest.raises(ValueError, match="confidence=95"):
            function([0, 1], [0, 1], confidence=95)


@pytest.mark.slow
@pytest.mark.parametrize(("m", "n", "shift"), [(25, 25, 1.0), (15, 60, 1.5)])
def test_the_logit_interval_covers_as_often_as_promised(m, n, shift):
    random = np.random.default_rng(0)
    truth = stats.norm.cdf(shift / np.sqrt(2))
    positive = np.repeat([True, False], [m, n])
    found = [delong_interval(positive, random.normal(size=m + n) + shift * positive) for _ in range(3000)]
    covered = np.mean([np.isnan(low) or low <= truth <= high for _, low, high in found])
    assert covered == pytest.approx(0.95, abs=0.015)


@pytest.mark.slow
def test_the_test_rejects_equal_classifiers_as_seldom_as_promised():
    random = np.random.default_rng(0)
    positive = np.repeat([True, False], 50)
    p = []
    for _ in range(2000):
        shared = random.normal(size=100) + positive
        p.append(delong_test(positive, *(shared + random.normal(size=100) for _ in range(2))).p)
    for level in (0.01, 0.05, 0.2, 0.5):  # within four standard errors of a fraction of 2,000
        assert np.mean(np.array(p) < level) == pytest.approx(level, abs=4 * (level * (1 - level) / 2000) ** 0.5)
