"""Wilcoxon's test against full enumeration and Demšar's example; the Bayesian one against closed forms."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats

from kinview.evaluation import bayesian_signed_rank, holm, signed_rank, wilcoxon_holm


def enumerated(difference):
    """Two-sided p of the signed-rank sum over all assignments of signs, the ranks of zeros split between both."""
    d = np.asarray(difference, dtype=float).round(12)
    ranks = stats.rankdata(np.abs(d))
    fixed = ranks[d == 0].sum() / 2
    free = ranks[d != 0]
    observed = fixed + ranks[d > 0].sum()
    sums = [fixed + free[np.array(signs, bool)].sum() for signs in itertools.product([0, 1], repeat=len(free))]
    sums = np.array(sums)
    return min(1.0, 2 * min((sums <= observed + 1e-9).mean(), (sums >= observed - 1e-9).mean()))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-6, 6), min_size=1, max_size=9))
def test_signed_rank_is_exact_with_ties_and_zeros(steps):
    difference = np.array(steps) / 100
    assert signed_rank(difference) == pytest.approx(enumerated(difference), abs=1e-12)
    assert signed_rank(-difference) == pytest.approx(signed_rank(difference), abs=1e-12)


def test_signed_rank_of_demsars_example():
    """Table 2 there: C4.5 and C4.5+m on 14 data sets; the smaller sum of ranks is 12, z = -2.54."""
    plain = [.763, .599, .954, .628, .882, .936, .661, .583, .775, 1.0, .940, .619, .972, .957]  # fmt: skip
    tuned = [.768, .591, .971, .661, .888, .931, .668, .583, .838, 1.0, .962, .666, .981, .978]  # fmt: skip
    gain = np.subtract(tuned, plain).round(12)
    ranks = stats.rankdata(np.abs(gain))
    assert ranks[gain < 0].sum() + ranks[gain == 0].sum() / 2 == 12
    assert (12 - 14 * 15 / 4) / np.sqrt(14 * 15 * 29 / 24) == pytest.approx(-2.54, abs=0.005)
    assert signed_rank(gain) == pytest.approx(enumerated(gain), abs=1e-12)
    assert signed_rank(gain) == pytest.approx(2 * stats.norm.cdf(-2.54), abs=0.004)


@pytest.mark.parametrize("n", [20, 50, 51, 80])
def test_without_ties_it_is_scipys_test_and_meets_its_approximation_beyond(n):
    difference = np.random.default_rng(n).normal(0.2, 1, size=n)
    assert signed_rank(difference) == pytest.approx(stats.wilcoxon(difference).pvalue, rel=1e-9)
    rounded = difference.round(1)
    approximate = stats.wilcoxon(rounded, zero_method="zsplit", method="asymptotic").pvalue
    assert signed_rank(rounded) == pytest.approx(approximate, abs=0.01)


def test_five_data_sets_cannot_reach_significance_and_six_can():
    assert signed_rank([0.1] * 5) == 2 / 2**5
    assert signed_rank([0.1] * 6) == 2 / 2**6
    assert signed_rank([0.0] * 7) == 1.0
    assert signed_rank([0.3 - 0.2 - 0.1] * 3) == 1.0  # zero but for rounding


def test_all_pairs_are_corrected_together():
    scores = pd.DataFrame(np.random.default_rng(0).normal(size=(9, 4)), columns=list("abcd"))
    found = wilcoxon_holm(scores)
    assert list(zip(found["method"], found["other"], strict=True)) == list(itertools.combinations("abcd", 2))
    p = [stats.wilcoxon(scores[a], scores[b]).pvalue for a, b in itertools.combinations("abcd", 2)]
    assert found["p"].tolist() == pytest.approx(p)
    assert found["p_holm"].tolist() == pytest.approx(holm(p).tolist())


# --- the Bayesian test -----------------------------------------------------------------------------------------------


def bayesian(difference, seed=0, **options):
    return bayesian_signed_rank(difference, np.random.default_rng(seed), **options)


@pytest.mark.parametrize("strength", [0.5, 1.0, 3.0])
def test_one_data_set_has_a_closed_form(strength):
    """With w_0 ~ Beta(s, 1): beyond twice the rope all but w_0^2 is above it; within, w_1^2 alone."""
    half = np.sqrt(0.5)
    far = bayesian([0.5], prior_strength=strength)
    assert far.worse == 0 and far.better == pytest.approx(half**strength, abs=0.01)
    near = bayesian([-0.015], prior_strength=strength)  # its sum with the pseudo-observation is inside
    assert near.better == 0 and near.worse == pytest.approx((1 - half) ** strength, abs=0.01)


def test_masses_are_those_of_a_loop_over_draws():
    z, rope, strength = np.array([0.03, -0.02, 0.011, 0.0, 0.025]), 0.01, 0.5
    weights = np.random.default_rng(3).dirichlet([strength, *np.ones(len(z))], size=400)
    points, won = np.array([0.0, *z]), np.zeros(3)
    for w in weights:
        mass = np.zeros(3)
        for i, j in itertools.product(range(len(points)), repeat=2):
            place = 0 if points[i] + points[j] > 2 * rope else 2 if points[i] + points[j] < -2 * rope else 1
            mass[place] += w[i] * w[j]
        won[mass.argmax()] += 1
    assert bayesian(z, seed=3, rope=rope, prior_strength=strength, draws=400) == pytest.approx(won / 400)


def test_probabilities_say_equal_where_a_p_value_says_nothing():
    equal = bayesian(np.linspace(-0.004, 0.005, 20))
    assert equal.equivalent > 0.999 and sum(equal) == pytest.approx(1)
    assert bayesian(np.full(20, 0.05)).better > 0.999
    unknown = bayesian([0.2, -0.2, 0.3, -0.25, 0.1, -0.12])
    assert max(unknown) < 0.8


def test_signs_turn_with_the_order_and_draws_are_seeded():
    z = [0.02, 0.03, -0.01, 0.015, 0.05, 0.0]
    there, back = bayesian(z), bayesian(np.negative(z))
    assert (there.better, there.equivalent, there.worse) == (back.worse, back.equivalent, back.better)
    assert bayesian(z) == there != bayesian(z, seed=1)


def test_what_is_wrong_is_named():
    with pytest.raises(ValueError, match="finite numbers, one at least"):
        signed_rank([])
    with pytest.raises(ValueError, match=r"rope=-0\.1 is not the half width"):
        bayesian([0.1], rope=-0.1)
    with pytest.raises(ValueError, match="prior_strength=0 is not a finite number above 0"):
        bayesian([0.1], prior_strength=0)
    with pytest.raises(ValueError, match="draws must be at least 1"):
        bayesian([0.1], draws=0)
