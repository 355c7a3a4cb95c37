"""Resamples: whole patients, strata kept, the same whatever is computed; intervals that cover as often as they say."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from kinview.evaluation.metrics import bootstrap
from kinview.evaluation.metrics.bootstrap import Bootstrap, percentile_interval, rarest_class


def weights(drawn):
    return np.concatenate(list(drawn.blocks()))


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=8),
    strata=st.lists(st.integers(0, 2), min_size=8, max_size=8),
    seed=st.integers(0, 99),
)
def test_patients_stay_whole_and_strata_keep_their_size(sizes, strata, seed):
    groups, strata = np.repeat(np.arange(len(sizes)), sizes), np.array(strata[: len(sizes)])
    found = weights(Bootstrap(groups, strata, n_resamples=20, seed=seed))
    first = np.unique(groups, return_index=True)[1]
    np.testing.assert_array_equal(found, found[:, first][:, groups])  # one weight a patient
    for stratum in np.unique(strata):
        assert (found[:, first][:, strata == stratum].sum(axis=1) == (strata == stratum).sum()).all()


def test_each_patient_is_drawn_as_often_as_chance_has_it():
    found = weights(Bootstrap(np.arange(20), np.zeros(20, int), n_resamples=20_000, seed=0))
    assert found.mean(axis=0) == pytest.approx(1, abs=0.04)
    assert found.var() == pytest.approx(0.95, abs=0.02)  # binomial: 1 - 1/20
    assert np.corrcoef(found[:, 0], found[:, 1])[0, 1] == pytest.approx(-1 / 19, abs=0.03)
    assert abs(np.corrcoef(found[:-1, 0], found[1:, 0])[0, 1]) < 0.03


def test_neither_memory_nor_other_strata_change_the_resamples(monkeypatch):
    groups, strata = np.arange(30), np.arange(30) % 3
    whole = Bootstrap(groups, strata, n_resamples=50, seed=3)
    expected = weights(whole)
    for cells in (1, 30 * 7, 30 * 49):
        monkeypatch.setattr(bootstrap, "_CELLS", cells)
        blocks = list(whole.blocks())
        assert len(blocks) > 1
        np.testing.assert_array_equal(np.concatenate(blocks), expected)
    fewer = weights(Bootstrap(groups[:29], np.where(strata == 2, 3, strata)[:29], n_resamples=50, seed=3))
    np.testing.assert_array_equal(fewer[:, strata[:29] < 2], expected[:, strata < 2])


def test_seeds_are_told_apart():
    drawn = [weights(Bootstrap(np.arange(30), np.arange(30) % 2, 5, seed)) for seed in (0, 0, 1, (0, 1))]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2]) and not np.array_equal(drawn[0], drawn[3])
    assert not np.array_equal(drawn[0][:, ::2], drawn[0][:, 1::2])  # nor do strata share their draws


@pytest.mark.parametrize(
    ("options", "message"),
    [({"n_resamples": 0}, "n_resamples must be at least 1"), ({"seed": -1}, "seed must be an integer")],
)
def test_options_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        Bootstrap(np.arange(3), np.zeros(3, int), **options)


def test_a_patient_belongs_to_the_rarest_of_its_outcomes():
    y = np.array([0, 0, 1, 0, 0, 2, 1, 0])
    groups = np.array([0, 0, 1, 1, 2, 2, 2, 3])
    assert rarest_class(y, groups).tolist() == [0, 1, 2, 0]
    assert rarest_class(np.array([0, 1]), np.array([0, 0])).tolist() == [0]  # of equals the first


def test_the_percentiles_are_those_of_the_defined_resamples():
    draws = np.stack([np.arange(101.0), np.where(np.arange(101) < 51, np.arange(101.0), np.nan), np.full(101, np.nan)])
    low, high = percentile_interval(draws, 0.9)
    np.testing.assert_allclose(low, [5, 2.5, np.nan])
    np.testing.assert_allclose(high, [95, 47.5, np.nan])
    with pytest.raises(ValueError, match="confidence=95"):
        percentile_interval(draws, 95)
