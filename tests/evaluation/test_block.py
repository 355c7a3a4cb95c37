"""Missing blocks: exact, contiguous, nested, and the same in every container."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from kinview.evaluation import Block, corrupt
from kinview.evaluation.corruptions import corruptions
from kinview.registry import to_config
from test_corruptions import as_panel, gappy, mixed_table


def runs(mask):
    """Lengths of the stretches of True."""
    edges = np.diff(np.concatenate([[0], mask.astype(int), [0]]))
    return (np.flatnonzero(edges == -1) - np.flatnonzero(edges == 1)).tolist()


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 1000),
    rates=st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted),
    length=st.one_of(st.integers(1, 10), st.floats(0.05, 0.9)),
    channels=st.sampled_from(["each", "together"]),
    shape=st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(10, 24)),
)
def test_the_rate_is_exact_and_severities_are_nested(seed, rates, length, channels, shape):
    x = np.random.default_rng(seed).normal(size=shape)
    x[np.random.default_rng(seed + 1).random(shape) < 0.2] = np.nan
    x[:, 0, -1] = 0.0  # every series has its full length
    masks = [Block(rate, length, channels).apply(x, seed)[1] for rate in rates]
    observed = ~np.isnan(x)
    assert [mask.sum() for mask in masks] == [round(rate * observed.sum()) for rate in rates]
    assert not (masks[0] & ~masks[1]).any()
    assert not (masks[1] & ~observed).any()


def test_stretches_have_the_length_that_was_asked_for():
    x = np.zeros((200, 1, 100))
    removed = Block(0.1, length=10).apply(x, seed=0)[1][:, 0]
    found = np.array([run for mask in removed for run in runs(mask)])
    inner = np.array([run for mask in removed if not mask[[0, -1]].any() for run in runs(mask)])
    assert removed.sum() == 2000
    assert (inner % 10 == 0).mean() > 0.99  # all but the last block of all; two that touch are twice as long
    assert (inner == 10).mean() > 0.8
    assert found.max() <= 40


def test_a_fraction_is_of_each_series_and_no_place_is_preferred():
    x = np.full((400, 1, 60), 0.0)
    x[:200, :, 20:] = np.nan
    removed = Block(0.2, length=0.25).apply(x, seed=0)[1][:, 0]
    short = [run for mask in removed[:200] if not mask[[0, 19]].any() for run in runs(mask)]
    long = [run for mask in removed[200:] if not mask[[0, 59]].any() for run in runs(mask)]
    assert np.median(short) == 5 and np.median(long) == 15
    share = removed[200:].mean(axis=0)
    assert abs(share - share.mean()).max() < 4.5 * np.sqrt(share.mean() * (1 - share.mean()) / 200)


def test_channels_go_each_on_its_own_or_together():
    x = np.zeros((50, 3, 40))
    each, together = (Block(0.2, 8, how).apply(x, 0)[1] for how in ("each", "together"))
    assert (each.any(axis=1) & ~each.all(axis=1)).sum() > 0
    cut = together.any(axis=1) & ~together.all(axis=1)
    assert cut.sum() <= 1  # the one step at which the rate ends
    assert each.sum() == together.sum() == 1200


def test_an_existing_gap_is_part_of_the_time_and_not_of_the_rate():
    x = np.zeros((1, 1, 20))
    x[0, 0, 5:15] = np.nan
    for seed in range(20):
        removed = Block(0.5, 20 - 1).apply(x, seed)[1][0, 0]
        assert removed.sum() == 5 and not removed[5:15].any()


@pytest.mark.parametrize("channels", ["each", "together"])
def test_one_seed_is_one_mask_in_every_container_and_padding(channels):
    x = gappy()
    mask = Block(0.3, 4, channels).apply(x, 7)[1]
    padded = np.concatenate([x, np.full((6, 3, 9), np.nan, np.float32)], axis=2)
    np.testing.assert_array_equal(Block(0.3, 4, channels).apply(padded, 7)[1][..., :20], mask)
    panel = as_panel(x)
    np.testing.assert_array_equal(
        Block(0.3, 4, channels).apply(panel, 7)[1], np.stack([mask[i, :, t] for i, t in panel.index])
    )
    shuffled = panel.sample(frac=1, random_state=0).sort_index(level=0, sort_remaining=False)
    found = Block(0.3, 4, channels).apply(shuffled, 7)[1]
    np.testing.assert_array_equal(found, np.stack([mask[i, :, t] for i, t in shuffled.index]))
    assert not (Block(0.3, 4, channels).apply(x, 8)[1] == mask).all()


def test_it_is_a_part_of_the_registry():
    built = corruptions.build({"block": {"length": 5}}, rate=0.2)
    assert built == Block(0.2, 5) and corruptions.build(to_config(built)) == built
    assert corruptions["block"].modality == "time_series"


def test_nothing_observed_and_nothing_at_all():
    for x in (np.full((2, 1, 4), np.nan), np.empty((0, 1, 4)), np.empty((3, 2, 0))):
        assert corrupt(x, "block", 0, rate=0.5)[1].sum() == 0


@pytest.mark.parametrize("length", [0, -1, 0.0, 1.0, 1.5, True, "3", None])
def test_lengths_that_are_none_are_refused(length):
    with pytest.raises(ValueError, match=r"is no length of a block; give steps"):
        Block(0.2, length)


def test_wrong_input_is_refused_by_name():
    with pytest.raises(ValueError, match="channels='all' is unknown; use 'each' or 'together'"):
        Block(0.2, 3, "all")
    for table in (np.ones((3, 2)), mixed_table()):
        with pytest.raises(ValueError, match=r"block needs time series: .* have no order in time, use mcar"):
            corrupt(table, "block", 0, rate=0.2)
    with pytest.raises(ValueError, match=r"length=50 steps is longer than every series \(the longest has 20\)"):
        corrupt(gappy(), {"block": {"length": 50}}, 0, rate=0.2)
