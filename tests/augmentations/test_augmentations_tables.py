"""Checks of the augmentations of tables (``column_corruption`` has its own in test_augmentations)."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from torch import Tensor

from helpers import NAN, extra, gen
from kinview.augmentations import (
    Augmentation,
    CellDropout,
    ClassConditionalCorruption,
    ColumnCorruption,
    ColumnSubsets,
    GaussianNoise,
    JointRowSwap,
    MeanMask,
    SwapNoise,
    TableCutMix,
    UniformRange,
    ZeroOut,
    augmentations,
)
from kinview.augmentations._random import among_largest, largest
from kinview.augmentations._tables import chosen_cells, exactly
from kinview.augmentations.column_subsets import subset_bounds
from kinview.data import Batch, TableSchema

IMPLAUSIBLE = 1e-4
BERNOULLI = ["swap_noise", "gaussian_noise", "zero_out", "mean_mask", "uniform_range", "table_cutmix"]
EXACT = ["column_corruption", "joint_row_swap", "class_conditional_corruption"]


def frame(n: int = 300) -> pd.DataFrame:
    draw = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "age": draw.normal(50, 10, n),
            "sex": draw.choice(np.array(["f", "m", None]), n, p=[0.6, 0.3, 0.1]),
            "income": np.where(draw.random(n) < 0.2, np.nan, draw.exponential(1000, n)),
            "smoker": draw.random(n) < 0.3,
            "ward": draw.choice(list("abcde"), n, p=[0.4, 0.3, 0.2, 0.05, 0.05]),
        }
    )


def mixed(name: str, rate: float = 1.0) -> tuple[Augmentation, Batch, TableSchema]:
    """A fitted augmentation of a mixed table, and that table."""
    schema = TableSchema.fit(frame())
    batch = schema.to_batch(frame(), y=np.arange(300) % 2)
    part = augmentations.build({name: {"corruption_rate": rate}})
    return part.fit(batch, schema, gen()), batch, schema


# --- all of them -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BERNOULLI + EXACT)
def test_categories_and_booleans_are_never_fractional(name: str) -> None:
    part, batch, _ = mixed(name)
    view = part(batch, gen(1)).x
    assert torch.equal(view.isnan(), batch.x.isnan())
    for column in (1, 3, 4):  # sex, smoker, ward
        allowed = set(batch.x[:, column][~batch.x[:, column].isnan()].tolist()) | {0.0}
        assert set(view[:, column][~view[:, column].isnan()].tolist()) <= allowed, name


LEARNING = [name for name in BERNOULLI + EXACT if name not in ("zero_out", "table_cutmix")]


@pytest.mark.parametrize("name", LEARNING)
def test_they_learn_from_training_rows_alone(name: str) -> None:
    part, batch, _ = mixed(name)
    with pytest.raises(ValueError, match=rf"{name} learns from training rows: call fit\(batch, schema\)"):
        part.forget()(batch, gen())
    with pytest.raises(ValueError, match=f"{name} was fitted on 5 columns; got 4"):
        part(batch.replace(x=batch.x[:, :4]), gen())
    learned = [value for value in vars(part).values() if isinstance(value, Tensor)]
    assert learned
    assert not any(isinstance(value, Tensor) for value in vars(part.forget()).values())
    assert augmentations.to_config(part) == augmentations.to_config(part.forget())


@pytest.mark.parametrize("name", [name for name in LEARNING if name != "joint_row_swap"])
def test_what_they_learned_holds_no_training_row(name: str) -> None:
    batch = Batch.of(torch.randn(50, 4, generator=gen()), y=torch.arange(50) % 2)
    part = augmentations.build(name).fit(batch)
    rows = {tuple(row) for row in batch.x.tolist()}
    learned = [value for value in vars(part).values() if isinstance(value, Tensor) and value.shape[-1] == 4]
    assert learned
    assert not rows & {tuple(row) for value in learned for row in value.reshape(-1, 4).tolist()}


@pytest.mark.parametrize("name", [name for name in BERNOULLI if name != "gaussian_noise"])
@pytest.mark.parametrize("rate", [0.1, 0.3, 0.8])
def test_each_cell_is_replaced_with_that_probability(name: str, rate: float) -> None:
    n, columns = 3000, 7
    train = 5 + torch.rand(100, columns, generator=gen())
    part = augmentations.build({name: {"corruption_rate": rate}}).fit(Batch.of(train))
    rows = torch.arange(1.0, n + 1)[:, None].expand(n, columns) * 1000  # none equal to a replacement
    replaced = part(rows, gen(1)) != rows
    assert scipy.stats.binomtest(int(replaced.sum()), n * columns, rate).pvalue > IMPLAUSIBLE
    per_row = torch.bincount(replaced.sum(dim=1), minlength=columns + 1).numpy()
    expected = scipy.stats.binom(columns, rate).pmf(np.arange(columns + 1)) * n
    enough = expected > 5  # cells alone: independent columns and rows
    assert (
        scipy.stats.chisquare(
            np.append(per_row[enough], per_row[~enough].sum() + 1e-9),
            np.append(expected[enough], expected[~enough].sum() + 1e-9),
        ).pvalue
        > IMPLAUSIBLE
    )


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize(("rate", "q"), [(0.6, 6), (0.29, 2), (0.05, 1), (1.0, 10)])
def test_exactly_q_columns_of_every_row(name: str, rate: float, q: int) -> None:
    train = Batch.of(torch.rand(50, 10, generator=gen()), y=torch.arange(50) % 2)
    part = augmentations.build({name: {"corruption_rate": rate}}).fit(train)
    rows = Batch.of(torch.full((200, 10), -1.0), y=torch.arange(200) % 2)
    assert (part(rows, gen()).x != -1).sum(dim=1).tolist() == [q] * 200


def test_every_choice_of_columns_is_equally_likely() -> None:
    chosen = exactly(8000, 5, 3, gen(3))
    counts = Counter(tuple(row) for row in chosen.int().tolist())
    assert len(counts) == math.comb(5, 3)
    assert scipy.stats.chisquare(list(counts.values())).pvalue > IMPLAUSIBLE


@pytest.mark.parametrize("coarse", [False, True], ids=["different", "alike"])
def test_the_largest_keys_are_as_many_as_asked_for_also_where_keys_are_alike(coarse: bool) -> None:
    keys = torch.rand(50, 3, 40, generator=gen())
    keys = (keys * 4).floor() if coarse else keys
    same, own = torch.full((50, 3), 7), torch.arange(50)[:, None].expand(50, 3) % 9
    for number in (same, own):
        weight = among_largest(keys, number)
        assert bool(((weight == 0) | (weight == 1)).all()) and bool((weight.sum(dim=2) == number).all())
        least = keys.masked_fill(weight == 0, torch.inf).amin(dim=2)
        assert bool((keys.masked_fill(weight > 0, -torch.inf).amax(dim=2) <= least).all())
    found, expected = keys.gather(2, largest(keys, 7)), keys.topk(7, dim=2).values
    assert torch.equal(found.sort(dim=2, descending=True).values, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_cells_are_chosen_bit_by_bit_and_nothing_missing_or_infinite_spreads(dtype: torch.dtype) -> None:
    weight = (torch.rand(40, 6, generator=gen()) < 0.5).to(dtype)
    own, other = torch.randn(2, 40, 6, generator=gen(1)).to(dtype)
    assert torch.equal(chosen_cells(own, weight, other), torch.where(weight > 0, other, own))
    most = torch.finfo(dtype).max
    own[0], own[1], own[2], other[3], other[4], other[2] = (
        NAN,
        torch.inf,
        most,
        NAN,
        -torch.inf,
        -most,
    )
    expected = torch.where((weight > 0) & ~own.isnan() & ~other.isnan(), other, own)
    torch.testing.assert_close(chosen_cells(own, weight, other), expected, rtol=0, atol=0, equal_nan=True)


# --- swap_noise ------------------------------------------------------------------------------------------------------


def test_swapped_values_are_independent_draws_from_the_marginal() -> None:
    codes = torch.arange(8.0).repeat(5)
    train = torch.stack([codes, codes, torch.full((40,), NAN)], dim=1)
    train[:4, 0] = NAN  # 0, 1, 2 and 3 are seen 4 times, the others 5 times
    view = SwapNoise(1.0).fit(Batch.of(train))(torch.full((8000, 3), -1.0), gen())
    assert bool((view[:, 2] == -1).all())  # never observed in training
    counts = torch.bincount(view[:, 0].long()).numpy()
    assert scipy.stats.chisquare(counts, 8000 * np.array([4] * 4 + [5] * 4) / 36).pvalue > IMPLAUSIBLE
    joint = np.histogram2d(view[:, 0].numpy(), view[:, 1].numpy(), bins=8)[0]
    assert scipy.stats.chi2_contingency(joint).pvalue > IMPLAUSIBLE  # although equal in training


# --- gaussian_noise --------------------------------------------------------------------------------------------------


def test_noise_is_normal_in_units_of_the_column() -> None:
    train = torch.randn(5000, 3, generator=gen(), dtype=torch.float64) * torch.tensor([1.0, 10.0, 0.01]) + 100
    part = GaussianNoise(0.2, corruption_rate=1.0).fit(Batch.of(train))
    noise = (part(train, gen(1)) - train) / (0.2 * train.std(dim=0, correction=0))
    for column in range(3):
        assert scipy.stats.kstest(noise[:, column].numpy(), "norm").pvalue > IMPLAUSIBLE
    disturbed = GaussianNoise(0.2).fit(Batch.of(train))(train, gen(1)) != train
    assert scipy.stats.binomtest(int(disturbed.sum()), disturbed.numel(), 0.3).pvalue > IMPLAUSIBLE


def test_noise_leaves_codes_alone() -> None:
    schema = TableSchema.fit(frame())
    batch = schema.to_batch(frame())
    view = GaussianNoise(corruption_rate=1.0).fit(batch, schema)(batch, gen()).x
    assert torch.equal(view[:, [1, 3, 4]].nan_to_num(-1), batch.x[:, [1, 3, 4]].nan_to_num(-1))
    assert bool((view[:, 0] != batch.x[:, 0]).all())
    with pytest.raises(ValueError, match="the schema has 5 columns, the rows have 2"):
        GaussianNoise().fit(batch.replace(x=batch.x[:, :2]), schema)


# --- zero_out, mean_mask, uniform_range ------------------------------------------------------------------------------


def test_zero_out_needs_nothing_learned() -> None:
    x = torch.full((40, 6), 3.0)
    x[0, 0] = NAN
    assert set(ZeroOut(1.0)(x, gen()).nan_to_num(-1).unique().tolist()) == {-1.0, 0.0}
    assert ZeroOut().fit(Batch.of(x)) == ZeroOut()


def test_cell_dropout_hides_observed_cells_at_its_rate() -> None:
    x = torch.full((4000, 6), 3.0)
    x[:, 0] = NAN
    view = CellDropout(0.3)(x, gen())
    gone = view[:, 1:].isnan()
    assert bool(view[:, 0].isnan().all()) and set(view[:, 1:][~gone].tolist()) == {3.0}
    assert gone.float().mean().item() == pytest.approx(0.3, abs=0.015)
    assert bool(CellDropout(1.0)(x, gen()).isnan().all()) and CellDropout(0.0)(x, gen()) is x


def test_mean_mask_is_the_mean_or_the_most_frequent() -> None:
    schema = TableSchema.fit(frame())
    batch = schema.to_batch(frame())
    view = MeanMask(1.0).fit(batch, schema)(torch.zeros(1, 5), gen())[0]
    x = batch.x
    assert view[0] == pytest.approx(float(x[:, 0].double().mean()), abs=1e-6)
    assert view[2] == pytest.approx(float(x[:, 2].double().nanmean()), abs=1e-6)
    for column in (1, 3, 4):
        values, counts = np.unique(x[:, column][~x[:, column].isnan()].numpy(), return_counts=True)
        assert float(view[column]) == values[counts.argmax()]  # numpy: the smallest of several


@settings(deadline=None, max_examples=40)
@given(st.lists(st.lists(st.sampled_from([NAN, 1.0, 2.0, 3.0]), min_size=3, max_size=3), min_size=1, max_size=12))
def test_the_most_frequent_code_is_numpys(rows: list[list[float]]) -> None:
    from kinview.augmentations.cell_noise import _modes

    x = torch.tensor(rows)
    for found, column in zip(_modes(x).tolist(), x.T.numpy(), strict=True):
        values, counts = np.unique(column[~np.isnan(column)], return_counts=True)
        assert math.isnan(found) if len(values) == 0 else found == values[counts.argmax()]


def test_a_column_never_observed_stays_as_it_is() -> None:
    train = torch.rand(20, 3, generator=gen())
    train[:, 1] = NAN
    rows = torch.full((30, 3), -9.0)
    for part in (MeanMask(1.0), UniformRange(1.0), SwapNoise(1.0), JointRowSwap(1.0)):
        view = part.fit(Batch.of(train))(rows, gen())
        assert bool((view[:, 1] == -9).all())
        assert bool((view[:, [0, 2]] != -9).all())


def test_uniform_range_is_uniform_between_the_extremes() -> None:
    train = torch.tensor([[0.0, -3.0], [1.0, NAN], [10.0, 5.0], [2.0, 4.0]])
    view = UniformRange(1.0).fit(Batch.of(train))(torch.zeros(5000, 2), gen())
    for column, (low, high) in enumerate([(0, 10), (-3, 5)]):
        assert scipy.stats.kstest(view[:, column].numpy(), "uniform", (low, high - low)).pvalue > IMPLAUSIBLE


def test_uniform_range_of_codes_is_uniform_over_those_seen() -> None:
    schema = TableSchema.fit(frame())
    batch = schema.to_batch(frame())
    view = UniformRange(1.0).fit(batch, schema)(torch.zeros(6000, 5), gen())
    for column, number in ((1, 2), (3, 2), (4, 5)):
        values, counts = np.unique(view[:, column].numpy(), return_counts=True)
        assert len(values) == number
        assert set(values) <= set(batch.x[:, column].tolist())
        assert scipy.stats.chisquare(counts).pvalue > IMPLAUSIBLE


# --- joint_row_swap --------------------------------------------------------------------------------------------------


def test_one_donor_for_all_columns_of_a_row() -> None:
    train = torch.arange(30.0)[:, None] + torch.tensor([0.0, 100.0, 200.0, 300.0])
    view = JointRowSwap(0.5).fit(Batch.of(train))(torch.full((6000, 4), -1.0), gen())
    donors = torch.where(view == -1, torch.nan, view - torch.tensor([0.0, 100.0, 200.0, 300.0]))
    assert torch.equal(donors.nanmean(dim=1), donors.nan_to_num(-1).amax(dim=1))
    counts = torch.bincount(donors.nanmean(dim=1).long(), minlength=30)
    assert scipy.stats.chisquare(counts.numpy()).pvalue > IMPLAUSIBLE


def test_a_donors_gap_leaves_the_own_cell() -> None:
    view = JointRowSwap(1.0).fit(Batch.of(torch.tensor([[1.0, NAN]])))(torch.tensor([[5.0, 6.0], [NAN, 7.0]]), gen())
    assert view.nan_to_num(-1).tolist() == [[1.0, 6.0], [-1.0, 7.0]]


# --- table_cutmix ----------------------------------------------------------------------------------------------------


def test_cutmix_takes_cells_of_the_partner_it_names() -> None:
    x = torch.randn(500, 8, generator=gen())
    x[torch.rand(x.shape, generator=gen(1)) < 0.2] = NAN
    batch = Batch.of(x, extra={"static": torch.zeros(500, 1)})
    view = TableCutMix()(batch, gen(2))
    partner, fraction = extra(view, "partner"), extra(view, "coefficient")
    assert sorted(partner.tolist()) == list(range(500))
    assert not bool((partner == torch.arange(500)).any())
    changed = (view.x != x) & ~x.isnan()
    assert torch.equal(view.x[changed], x[partner][changed])
    assert not bool((changed & x[partner].isnan()).any())
    assert torch.allclose(fraction, 1 - changed.float().mean(dim=1))
    assert "static" in view.extra
    alone = TableCutMix()(batch.rows(slice(0, 1)), gen())
    assert (extra(alone, "partner").tolist(), extra(alone, "coefficient").tolist()) == ([0], [1.0])


# --- class_conditional_corruption ------------------------------------------------------------------------------------


def test_cells_follow_the_marginal_of_their_own_class() -> None:
    y = torch.tensor([7, 3, 7, 7, 3, 3, 3, 7, 7, 7])
    train = torch.arange(10.0)[:, None].repeat(1, 3)
    train[0, 1] = NAN  # a value of class 7
    train[y == 3, 2] = NAN  # a column never observed in class 3
    part = ClassConditionalCorruption(1.0).fit(Batch.of(train, y=y))
    labels = torch.tensor([3, 7]).repeat(4000)
    view = part(Batch.of(torch.full((8000, 3), -1.0), y=labels), gen()).x
    for column in range(3):
        for label in (3, 7):
            allowed = [v for v in train[y == label, column].tolist() if not math.isnan(v)]
            drawn = Counter(view[labels == label, column].tolist())
            if not allowed:
                assert drawn.keys() == {-1.0}
                continue
            assert sorted(drawn) == allowed
            assert scipy.stats.chisquare([drawn[v] for v in allowed]).pvalue > IMPLAUSIBLE
    joint = np.histogram2d(view[labels == 7, 0].numpy(), view[labels == 7, 1].numpy(), bins=6)[0]
    joint = joint[joint.any(axis=1)][:, joint.any(axis=0)]
    assert scipy.stats.chi2_contingency(joint).pvalue > IMPLAUSIBLE


@pytest.mark.parametrize("unknown", [NAN, 9.0, -1.0])
def test_a_row_of_unknown_class_draws_from_all(unknown: float) -> None:
    train = Batch.of(torch.arange(6.0)[:, None], y=torch.tensor([0.0, 0.0, 1.0, 1.0, 1.0, NAN]))
    part = ClassConditionalCorruption(1.0).fit(train)
    view = part(Batch.of(torch.full((6000, 1), -1.0), y=torch.full((6000,), unknown)), gen()).x
    assert scipy.stats.chisquare(torch.bincount(view[:, 0].long(), minlength=6).numpy()).pvalue > IMPLAUSIBLE


def test_labels_are_asked_for() -> None:
    with pytest.raises(ValueError, match=r"ClassConditionalCorruption needs y, one for each row"):
        ClassConditionalCorruption().fit(Batch.of(torch.zeros(3, 2)))


# --- column_subsets --------------------------------------------------------------------------------------------------


def official_bounds(columns: int, subsets: int, overlap: float) -> list[tuple[int, int]]:
    """SubTab's: blocks of ⌊M/K⌋, the first widened to the right and the others to the left."""
    block = columns // subsets
    wide = int(overlap * block)
    return [(0, block + wide)] + [(k * block - wide, (k + 1) * block) for k in range(1, subsets)]


@pytest.mark.parametrize(("columns", "subsets", "overlap"), [(784, 4, 0.75), (12, 3, 0.5), (8, 2, 0.25), (20, 4, 0.0)])
def test_subsets_are_subtabs_where_nothing_remains(columns: int, subsets: int, overlap: float) -> None:
    assert subset_bounds(columns, subsets, overlap) == official_bounds(columns, subsets, overlap)


@settings(deadline=None, max_examples=200)
@given(columns=st.integers(1, 60), subsets=st.integers(2, 12), overlap=st.floats(0, 1))
def test_no_column_is_lost_and_all_subsets_are_as_wide(columns: int, subsets: int, overlap: float) -> None:
    bounds = subset_bounds(columns, subsets, overlap)
    assert len(bounds) == subsets
    assert set().union(*(range(*pair) for pair in bounds)) == set(range(columns))
    (width,) = {stop - start for start, stop in bounds}
    assert width == min(columns, -(-columns // subsets) + math.floor(overlap * (columns // subsets) + 1e-9))
    assert all(start >= 0 and stop <= columns for start, stop in bounds)


@pytest.mark.parametrize("representation", ["missing", "narrow"])
def test_fewer_columns_than_subsets_are_refused(representation: str) -> None:
    part = ColumnSubsets(5, representation=representation)
    assert (part.min_channels, ColumnSubsets().min_channels) == (5, 4)
    message = r"ColumnSubsets needs at least 5 columns; got 4: give more columns.*n_subsets=5"
    with pytest.raises(ValueError, match=message):
        part(torch.zeros(3, 4), gen())
    with pytest.raises(ValueError, match=message):
        ColumnSubsets(5, grouping="random").fit(Batch.of(torch.zeros(3, 4)), None, gen())
    views = part(torch.arange(5.0)[None], gen())
    assert len({tuple(view.nan_to_num(-1.0).flatten().tolist()) for view in views}) == 5


@pytest.mark.parametrize("grouping", ["contiguous", "random", "correlated"])
def test_both_representations_hold_the_same_columns(grouping: str) -> None:
    x = torch.randn(40, 11, generator=gen())
    x[3, 4] = NAN
    blank: Any = ColumnSubsets(3, 0.4, grouping).fit(Batch.of(x), generator=gen(1))
    narrow: Any = ColumnSubsets(3, 0.4, grouping, "narrow").fit(Batch.of(x), generator=gen(1))
    assert (blank.n_views, blank.makes_gaps, blank.changes_length) == (3, True, False)
    assert (narrow.n_views, narrow.makes_gaps, narrow.changes_length) == (3, False, True)
    for number, (wide, small) in enumerate(zip(blank(Batch.of(x)), narrow(Batch.of(x)), strict=True)):
        columns = extra(small, "columns")[0]
        assert torch.equal(columns, extra(wide, "columns")[0])
        assert extra(small, "subset").tolist() == [number] * 40
        assert torch.equal(small.x.nan_to_num(9), x[:, columns].nan_to_num(9))
        kept = torch.zeros(11, dtype=torch.bool).index_fill(0, columns, True)
        assert torch.equal(wide.x.nan_to_num(9), x.masked_fill(~kept, 9).nan_to_num(9))


def test_random_groups_are_drawn_once_from_the_generator() -> None:
    train = Batch.of(torch.randn(20, 30, generator=gen()))
    orders = []
    for seed in (1, 1, 2):
        part = ColumnSubsets(grouping="random").fit(train, generator=gen(seed))
        first, second = part(train, gen(5)), part(train, gen(6))
        assert all(torch.equal(a.x.isnan(), b.x.isnan()) for a, b in zip(first, second, strict=True))
        orders.append(extra(first[0], "columns")[0].tolist())
    assert orders[0] == orders[1] != orders[2]
    with pytest.raises(ValueError, match=r"grouping='random' decides on its subsets in training: call fit\("):
        ColumnSubsets(grouping="random")(train, gen())


def test_correlated_columns_stand_together() -> None:
    sources = torch.randn(400, 3, generator=gen())
    group = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1, 2])
    x = sources[:, group] * torch.tensor([1.0, -2, 3, -1, 2, -3, 1, 5, 1]) + 0.1 * torch.randn(400, 9, generator=gen(1))
    x[torch.rand(x.shape, generator=gen(2)) < 0.1] = NAN
    part = ColumnSubsets(3, 0.0, "correlated").fit(Batch.of(x))
    subsets = [extra(view, "columns")[0] for view in part(Batch.of(x))]
    assert sorted(int(torch.unique(group[subset])) for subset in subsets) == [0, 1, 2]  # each of one source


def test_categories_correlate_through_their_indicators() -> None:
    draw = np.random.default_rng(0)
    ward = draw.choice(list("abcd"), 400)
    table = pd.DataFrame(
        {
            "ward": ward,
            "noise": draw.normal(size=400),
            "other": draw.normal(size=400),
            "floor": pd.Series(ward).map({"a": 0.0, "b": 5.0, "c": 0.1, "d": 0.2}) + 0.1 * draw.normal(size=400),
        }
    )
    table["other"] += 2 * table["noise"]
    schema = TableSchema.fit(table)
    batch = schema.to_batch(table)
    views = ColumnSubsets(2, 0.0, "correlated").fit(batch, schema)(batch)
    assert {frozenset(extra(view, "columns")[0].tolist()) for view in views} == {
        frozenset({0, 3}),
        frozenset({1, 2}),
    }


def test_scarf_still_draws_as_it_did() -> None:
    """The helper that others share has not changed which cells a seed replaces."""
    train = torch.arange(40.0).reshape(8, 5)
    view = ColumnCorruption().fit(Batch.of(train))(torch.full((3, 5), -1.0), gen(0))
    generator = gen(0)
    chosen = torch.zeros(3, 5, dtype=torch.bool)
    chosen.scatter_(1, torch.rand(3, 5, generator=generator).topk(3, dim=1).indices, True)
    donors = (torch.rand(3, 5, generator=generator, dtype=torch.float64) * 8).long()
    assert torch.equal(view, torch.where(chosen, train.gather(0, donors), -1.0))
