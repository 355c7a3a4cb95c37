"""Average ranks, the Friedman test and cliques: published numbers, closed forms, and exhaustive searches."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats

from kinview.evaluation import average_ranks, cliques, friedman_test

# Demšar (2006), table 6: AUC of C4.5, C4.5+m, C4.5+cf, C4.5+m+cf on 14 data sets, and the ranks printed beside them
DEMSAR_RANKS = pd.DataFrame(
    [
        (4, 3, 2, 1), (1, 2, 3, 4), (4, 1, 2, 3), (4, 1, 3, 2), (4, 2, 3, 1), (1, 2.5, 4, 2.5), (3, 2, 4, 1),
        (2.5, 2.5, 4, 1), (4, 3, 2, 1), (2.5, 2.5, 2.5, 2.5), (4, 2.5, 1, 2.5), (3, 2, 4, 1), (4, 1, 2, 3),
        (3, 1, 4, 2),
    ],
    columns=["C4.5", "C4.5+m", "C4.5+cf", "C4.5+m+cf"],
)  # fmt: skip


def test_average_ranks_of_demsars_example():
    found = average_ranks(-DEMSAR_RANKS)
    assert found.round(3).to_dict() == {"C4.5": 3.143, "C4.5+m": 2.0, "C4.5+cf": 2.893, "C4.5+m+cf": 1.964}


def test_friedman_of_demsars_example():
    """He prints 9.28 without the correction for ties, and F = 3.69 from that."""
    found = friedman_test(-DEMSAR_RANKS)
    ties = 1 - (3 * (2**3 - 2) + (4**3 - 4)) / (14 * 4 * (4**2 - 1))
    uncorrected = found.chi_square * ties
    assert uncorrected == pytest.approx(9.28, abs=0.005)
    assert 13 * uncorrected / (14 * 3 - uncorrected) == pytest.approx(3.69, abs=0.005)
    assert found.statistic == pytest.approx(13 * found.chi_square / (14 * 3 - found.chi_square))
    assert found.p == pytest.approx(stats.f.sf(found.statistic, 3, 39))
    assert (found.datasets, found.methods) == (14, 4)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 9), st.integers(3, 6), st.integers(2, 30))
def test_friedman_is_an_analysis_of_variance_of_ranks(seed, n, k, levels):
    """Iman and Davenport's F is the F of a two-way layout whose observations are the ranks, ties included."""
    scores = np.random.default_rng(seed).integers(0, levels, size=(n, k)) / levels
    ranks = stats.rankdata(-scores, axis=1)
    between = n * ((ranks.mean(axis=0) - (k + 1) / 2) ** 2).sum()
    within = ((ranks - (k + 1) / 2) ** 2).sum() - between
    found = friedman_test(scores)
    if within < 1e-9 and between > 1e-9:
        assert (found.statistic, found.p) == (np.inf, 0.0)
    elif between < 1e-9 and within < 1e-9:
        assert (found.statistic, found.p) == (0.0, 1.0)
    else:
        wanted = between / (k - 1) / (within / ((n - 1) * (k - 1)))
        assert found.statistic == pytest.approx(wanted, rel=1e-6, abs=1e-9)
        assert found.p == pytest.approx(stats.f.sf(wanted, k - 1, (n - 1) * (k - 1)), abs=1e-9)


def test_scores_that_differ_by_rounding_are_ties():
    scores = pd.DataFrame({"a": [0.1 + 0.2, 0.5], "b": [0.3, 0.4], "c": [0.2, 0.3]})
    assert average_ranks(scores).to_dict() == {"a": 1.25, "b": 1.75, "c": 3.0}


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 7), st.floats(0, 1))
def test_cliques_are_the_largest_groups_without_a_difference(seed, k, share):
    random = np.random.default_rng(seed)
    names = [f"m{i}" for i in range(k)]
    alike = [pair for pair in itertools.combinations(names, 2) if random.random() < share]
    random.shuffle(alike)
    together = {frozenset(pair) for pair in alike}
    groups = [
        set(group) for size in range(2, k + 1) for group in itertools.combinations(names, size)
        if all(frozenset(pair) in together for pair in itertools.combinations(group, 2))
    ]  # fmt: skip
    largest = [group for group in groups if not any(group < other for other in groups)]
    found = cliques(pd.Series(np.arange(k, dtype=float), names), [tuple(pair) for pair in alike])
    assert sorted(map(sorted, found)) == sorted(map(sorted, largest))
    assert all(list(group) == sorted(group) for group in found)  # best rank first
    joined = {frozenset(pair) for group in found for pair in itertools.combinations(group, 2)}
    assert joined == together


def test_cliques_skip_a_method_that_differs():
    ranks = pd.Series({"first": 1.5, "steady": 2.0, "last": 2.5})
    assert cliques(ranks, [("last", "first")]) == (("first", "last"),)
    assert cliques(ranks, []) == ()


def test_what_is_wrong_is_named():
    with pytest.raises(ValueError, match="needs two data sets and three methods; got 4 and 2"):
        friedman_test(np.ones((4, 2)))
    with pytest.raises(ValueError, match="the score of b on y is nan: every method needs"):
        average_ranks(pd.DataFrame({"a": [1, 2], "b": [1, np.nan]}, index=["x", "y"]))
    with pytest.raises(ValueError, match="a method stands twice among the scores: a"):
        average_ranks(pd.DataFrame([[1, 2]], columns=["a", "a"]))
    with pytest.raises(ValueError, match=r"data sets x methods, two methods at least; got \(3, 1\)"):
        average_ranks(np.ones((3, 1)))
