import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings, strategies as st

from helpers import gen
from kinview.data import holdout, label_subset


@given(st.integers(1, 60), st.floats(0, 0.99), st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_holdout_is_a_partition_of_the_asked_size(n, fraction, seed):
    train, valid = holdout(n, fraction, gen(seed))
    assert sorted(torch.cat([train, valid]).tolist()) == list(range(n))
    assert len(train) >= 1
    assert train.dtype == valid.dtype == torch.int64
    if n > 1 and fraction > 0:
        assert len(valid) >= 1
        assert abs(len(valid) - fraction * n) <= 1
    if fraction == 0:
        assert len(valid) == 0


@given(st.lists(st.integers(0, 6), min_size=1, max_size=50), st.floats(0.01, 0.9), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_groups_are_never_split(groups, fraction, seed):
    groups = np.array(groups)
    train, valid = holdout(len(groups), fraction, gen(seed), groups=groups)
    assert not set(groups[train.numpy()]) & set(groups[valid.numpy()])
    assert len(train) >= 1
    assert (len(valid) >= 1) == (len(set(groups.tolist())) > 1)


@given(st.lists(st.sampled_from("abc"), min_size=2, max_size=80), st.floats(0.1, 0.5), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_classes_are_held_out_in_proportion(labels, fraction, seed):
    y = np.array(labels)
    _, valid = holdout(len(y), fraction, gen(seed), y=y)
    for label in set(labels):
        size = (y == label).sum()
        assert abs((y[valid.numpy()] == label).sum() - size * len(valid) / len(y)) <= 1.5


def test_a_class_of_one_row_stays_in_train():
    for seed in range(10):
        train, _ = holdout(21, 0.2, gen(seed), y=["common"] * 20 + ["rare"])
        assert 20 in train.tolist()


def test_stratified_groups_hold_out_both_classes():
    groups = np.repeat(np.arange(20), 3)
    y = np.repeat(np.arange(20) % 2, 3)
    _, valid = holdout(60, 0.3, gen(), groups=groups, y=y)
    assert len(valid) == 18
    assert (y[valid.numpy()] == 1).sum() == 9


def test_many_classes_and_groups_need_no_square_table():
    n = 30_000
    train, valid = holdout(n, 0.1, gen(), groups=np.arange(n), y=np.arange(n))
    assert (len(train), len(valid)) == (27_000, 3_000)


def test_same_generator_same_split_and_the_global_state_is_left_alone():
    torch.manual_seed(7)
    state = torch.get_rng_state()
    first, second, other = (holdout(40, 0.3, gen(seed))[1].tolist() for seed in (1, 1, 2))
    assert first == second
    assert first != other
    assert torch.equal(torch.get_rng_state(), state)


@given(st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=1, max_size=80), st.integers(0, 4))
@settings(max_examples=60, deadline=None)
def test_label_subsets_are_nested_and_hold_every_class(labels, seed):
    before: set[int] = set()
    y = np.array(labels)
    for fraction in (0.01, 0.1, 0.3, 0.5, 0.9, 1.0):
        rows = label_subset(y, fraction, seed)
        assert set(y[rows]) == set(labels)
        assert before <= set(rows.tolist())
        assert len(rows) == len(set(rows.tolist())) == max(len(set(labels)), round(fraction * len(y)))
        before = set(rows.tolist())
    assert before == set(range(len(y)))


def test_label_subset_is_stratified_and_takes_any_labels():
    y = pd.Series(["x"] * 60 + ["y"] * 40, index=range(100, 200))
    rows = label_subset(y, 0.2, 3)
    assert (rows < 60).sum() == 12
    assert label_subset(torch.tensor([0] * 60 + [1] * 40), 0.2, 3).tolist() == rows.tolist()
    assert label_subset(y, 0.2, 4).tolist() != rows.tolist()


@given(
    st.lists(st.tuples(st.integers(0, 12), st.sampled_from("abc")), min_size=1, max_size=80),
    st.integers(0, 4),
)
@settings(max_examples=80, deadline=None)
def test_label_subsets_of_groups_are_whole_nested_and_hold_every_class(rows_of, seed):
    groups, y = (np.array(values) for values in zip(*rows_of, strict=True))
    n, largest = len(y), int(np.bincount(groups).max())
    before: set[int] = set()
    for fraction in (0.01, 0.05, 0.1, 0.25, 0.5, 1.0):
        rows = label_subset(y, fraction, seed, groups=groups)
        chosen = set(groups[rows].tolist())
        assert set(np.flatnonzero(np.isin(groups, list(chosen))).tolist()) == set(rows.tolist())
        assert set(y[rows]) == set(y) and before <= set(rows.tolist())
        if len(chosen) > len(set(y)):  # more than what every class has to have
            assert abs(len(rows) - round(fraction * n)) <= largest / 2
        before = set(rows.tolist())
    assert len(before) == n


def test_label_subset_of_groups_is_stratified():
    groups = np.repeat(np.arange(100), 3)
    y = np.array(["ill"] * 60 + ["well"] * 240)  # 20 groups against 80
    rows = label_subset(y, 0.1, 0, groups=groups)
    assert len(rows) == 30 and (y[rows] == "ill").sum() == 6
    assert label_subset(y, 0.1, 1, groups=groups).tolist() != rows.tolist()
    alone = label_subset(y, 0.1, 0, groups=np.arange(300))
    assert alone.tolist() == label_subset(y, 0.1, 0).tolist()


def test_errors_say_what_to_do():
    with pytest.raises(ValueError, match="there are no rows to split"):
        holdout(0, 0.1, gen())
    with pytest.raises(ValueError, match=r"fraction=1\.0 of the rows cannot be held out; use 0 <= fraction < 1"):
        holdout(5, 1.0, gen())
    with pytest.raises(ValueError, match="groups has 3 entries for 5 rows"):
        holdout(5, 0.1, gen(), groups=[1, 2, 3])
    with pytest.raises(ValueError, match="groups is missing for 1 of 3 rows"):
        holdout(3, 0.1, gen(), groups=["a", None, "b"])
    with pytest.raises(ValueError, match="y is missing for 1 of 2 rows"):
        label_subset([1.0, float("nan")], 0.5, 0)
    with pytest.raises(ValueError, match="groups has 1 entries for 2 rows"):
        label_subset([1, 2], 0.5, 0, groups=["a"])
    with pytest.raises(ValueError, match="use 0 < fraction <= 1"):
        label_subset([1, 2], 0.0, 0)


@pytest.mark.parametrize("code", [">i8", ">i2", ">f8", ">u4"])
def test_labels_and_groups_of_another_byte_order(code):
    y = np.array([0, 1] * 10)
    assert label_subset(y.astype(code), 0.5, 0).tolist() == label_subset(y, 0.5, 0).tolist()
    native, other = (holdout(20, 0.3, gen(0), groups=part, y=part) for part in (y, y.astype(code)))
    assert all(torch.equal(a, b) for a, b in zip(native, other, strict=True))


def test_no_more_groups_are_drawn_than_the_classes_need():
    y, groups = ["a"] * 9 + ["b"], ["p"] * 5 + ["q"] * 5
    for seed in range(6):
        kept = label_subset(y, 0.1, seed=seed, groups=groups)
        assert kept.tolist() == [5, 6, 7, 8, 9]  # q holds both classes, and p would be one too many
    wide = ["a", "b", "c", "a", "b", "c"] * 5
    kept = label_subset(wide, 0.2, seed=1, groups=np.repeat(np.arange(5), 6))
    assert len(kept) == 6 and set(np.array(wide)[kept]) == set("abc")
