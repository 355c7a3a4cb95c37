"""What holds for every registered corruption: exact, nested, seeded, the same in every container, learned on train."""

import copy
import dataclasses
import inspect
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings, strategies as st

from kinview.evaluation import corrupt, observed_mask
from kinview.evaluation.corruptions import corruptions
from kinview.registry import to_config
from test_corruptions import as_panel, gappy, mixed_table

SPECS = (
    "mcar",
    {"mcar": {"mode": "timestep"}},
    "mar",
    {"mar": {"drivers": [1], "steepness": 3.0}},
    "mnar_high",
    "mnar_low",
    "mnar_extreme",
    {"self_masking": {"values": "high"}},
    {"self_masking": {"values": "low"}},
    {"self_masking": {"values": "extreme"}},
    "detection_limit",
    {"detection_limit": {"limit": "upper"}},
    {"block": {"length": 4}},
    {"block": {"length": 0.3, "channels": "together"}},
    "sequence",
    {"sequence": {"length": 3}},
    "irregular",
    "sensor",
    {"sensor": {"scope": "set"}},
    "censoring",
    {"censoring": {"side": "left"}},
    "natural",
    "informative",
    {"informative": {"steepness": -1.0}},
    {"subgroup": {"where": "B"}},
    {"subgroup": {"where": ["A", "C"], "mechanism": {"mnar_high": {"steepness": 5.0}}}},
    {"subgroup": {"where": "C", "mechanism": {"censoring": {"side": "left"}}}},
)
NOT_FOR_TABLES = {"block", "censoring", "irregular", "sequence"}
N, CHANNELS, STEPS = 12, 4, 20


def name_of(spec):
    return spec if isinstance(spec, str) else next(iter(spec))


def label_of(spec):
    return str(spec).translate(str.maketrans("", "", "{}' "))


every_corruption = pytest.mark.parametrize("spec", SPECS, ids=label_of)
on_tables = pytest.mark.parametrize(
    "spec",
    [
        spec
        for spec in SPECS
        if name_of(spec) not in NOT_FOR_TABLES
        and spec not in ("sensor", {"mcar": {"mode": "timestep"}}, {"mar": {"drivers": [1], "steepness": 3.0}})
        and "censoring" not in str(spec)
    ],
    ids=label_of,
)


def series(n=N, seed=0):
    return gappy(n, CHANNELS, STEPS, seed=seed)


def of_samples(n):
    return {"groups": np.array(list("ABC"))[np.arange(n) % 3], "y": np.arange(n) % 2}


def units(spec, x, rate):
    """How many cells go, for those that count cells, and how many of which other units for the rest."""
    observed = ~np.isnan(x)
    if spec == {"mcar": {"mode": "timestep"}} or name_of(spec) == "irregular":
        observed = observed.any(axis=1)
    elif name_of(spec) == "sensor":
        observed = observed.any(axis=2)
        observed = observed.any(axis=0) if spec == {"sensor": {"scope": "set"}} else observed
    elif name_of(spec) == "subgroup":
        observed = observed[np.isin(of_samples(len(x))["groups"], spec["subgroup"]["where"])]
    return round(rate * observed.sum())


def units_gone(spec, x, removed):
    if spec == {"mcar": {"mode": "timestep"}} or name_of(spec) == "irregular":
        return ((~np.isnan(x)).any(axis=1) & (removed | np.isnan(x)).all(axis=1)).sum()
    if name_of(spec) == "sensor":
        lost = (~np.isnan(x)).any(axis=2) & (removed | np.isnan(x)).all(axis=2)
        return lost.all(axis=0).sum() if spec == {"sensor": {"scope": "set"}} else lost.sum()
    return removed.sum()


def test_every_registered_corruption_is_held_to_the_contract():
    assert {name_of(spec) for spec in SPECS} == set(corruptions)
    for name in corruptions:
        entry = corruptions[name]
        assert entry.modality == ("time_series" if name in NOT_FOR_TABLES else "any") and entry.reference
        assert "y" not in entry.target.needs or "label" in entry.summary


@every_corruption
@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 1000), rates=st.lists(st.floats(0, 0.6), min_size=2, max_size=4).map(sorted))
def test_the_rate_is_exact_severities_are_nested_and_existing_gaps_stay_apart(spec, seed, rates):
    x = series(seed=seed)
    before, given = x.copy(), of_samples(N)
    previous = np.zeros(x.shape, dtype=bool)
    rates = [rate / 2 for rate in rates] if spec == "natural" else rates  # the gaps of twelve series reach no further
    for rate in rates:
        result, removed = corrupt(x, spec, (seed, 1), rate=rate, **given)
        assert units_gone(spec, x, removed) == units(spec, x, rate)
        assert not (previous & ~removed).any()
        np.testing.assert_array_equal(np.isnan(result), np.isnan(x) | removed)
        np.testing.assert_array_equal(result[~removed], x[~removed])
        assert not (removed & np.isnan(x)).any()
        previous = removed
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(removed, corrupt(x, spec, (seed, 1), rate=rates[-1], **given)[1])


@every_corruption
def test_the_seed_decides_and_the_global_state_does_not(spec):
    x = series()
    np.random.seed(1)  # noqa: NPY002
    masks = [corrupt(x, spec, seed, rate=0.4, **of_samples(N))[1] for seed in range(3)]
    np.random.seed(2)  # noqa: NPY002
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    np.testing.assert_array_equal(masks[0], corrupt(x, spec, 0, rate=0.4, **of_samples(N))[1])
    np.testing.assert_array_equal(state, np.random.get_state()[1])  # noqa: NPY002
    without_chance = name_of(spec) in ("self_masking", "detection_limit")
    assert any((masks[0] != other).any() for other in masks[1:]) is not without_chance


@every_corruption
def test_one_seed_is_one_mask_in_every_container_and_padding(spec):
    x, given = series(), of_samples(N)
    result, removed = corrupt(x, spec, 7, rate=0.4, **given)

    padded = np.concatenate([x, np.full((N, CHANNELS, 9), np.nan, np.float32)], axis=2)
    np.testing.assert_array_equal(corrupt(padded, spec, 7, rate=0.4, **given)[1][..., :STEPS], removed)

    tensor, mask = corrupt(torch.from_numpy(x), spec, 7, rate=0.4, **given)
    np.testing.assert_array_equal(tensor.numpy(), result)
    np.testing.assert_array_equal(mask.numpy(), removed)

    panel = as_panel(x)
    if spec == {"mar": {"drivers": [1], "steepness": 3.0}}:
        spec = {"mar": {"drivers": ["c1"], "steepness": 3.0}}
    frame, lost = corrupt(panel, spec, 7, rate=0.4, **given)
    np.testing.assert_array_equal(lost, np.stack([removed[i, :, t] for i, t in panel.index]))
    np.testing.assert_array_equal(observed_mask(frame), observed_mask(panel) & ~lost)
    pd.testing.assert_index_equal(frame.index, panel.index)
    pd.testing.assert_frame_equal(panel, as_panel(x))


@on_tables
def test_tables_of_every_kind_of_column_lose_what_the_rate_says(spec):
    table, before = mixed_table(60), mixed_table(60)
    masks = [corrupt(table, spec, 3, rate=rate, **of_samples(60))[1] for rate in (0.1, 0.3)]
    observed = observed_mask(table)
    for rate, removed in zip((0.1, 0.3), masks):
        if name_of(spec) == "sensor":
            assert (removed == (observed & removed.any(axis=0))).all()
            assert removed.any(axis=0).sum() == round(rate * table.shape[1])
        else:
            rows = np.ones(60, dtype=bool)
            if name_of(spec) == "subgroup":
                rows = np.isin(of_samples(60)["groups"], spec["subgroup"]["where"])
            assert removed.sum() == round(rate * observed[rows].sum())
    assert not (masks[0] & ~masks[1]).any() and not (masks[1] & ~observed).any()
    pd.testing.assert_frame_equal(table, before)


@pytest.mark.parametrize("name", sorted(NOT_FOR_TABLES))
def test_what_rests_on_time_refuses_a_table(name):
    with pytest.raises(ValueError, match=rf"(?i){name} needs time series"):
        corrupt(mixed_table(), name, 0, rate=0.2, **of_samples(40))


@every_corruption
def test_what_is_learned_on_the_training_part_does_not_know_rate_or_test_part(spec):
    train, test = series(seed=1), series(6, seed=2) * 3 + 1
    low, high = (corruptions.build(spec, rate=rate) for rate in (0.1, 0.5))
    learned = low.learn(train, 0, **of_samples(N))
    assert pickle.dumps(learned) == pickle.dumps(high.learn(train, 0, **of_samples(N)))
    before = pickle.dumps(learned)
    masks = [part.apply(test, (0, 1), **of_samples(6), learned=learned)[1] for part in (low, high)]
    assert not (masks[0] & ~masks[1]).any() and masks[1].any()
    assert [units_gone(spec, test, one) for one in masks] == [units(spec, test, rate) for rate in (0.1, 0.5)]
    assert pickle.dumps(learned) == before


@every_corruption
def test_nothing_observed_and_nothing_at_all(spec):
    for x in (np.full((3, 2, 4), np.nan), np.empty((0, 2, 4)), np.empty((3, 2, 0))):
        assert corrupt(x, spec, 0, rate=0.0, **of_samples(len(x)))[1].sum() == 0
        assert corrupt(x, spec, 0, rate=0.5, **of_samples(len(x)))[1].sum() == 0


@on_tables
def test_a_table_without_rows_or_columns_stays_as_it_is(spec):
    assert corrupt(mixed_table()[:0], spec, 0, rate=0.3, **of_samples(0))[1].shape == (0, 20)
    if name_of(spec) != "mar":  # which has no column to go by, and says so
        assert corrupt(pd.DataFrame(index=range(3)), spec, 0, rate=0.3, **of_samples(3))[1].shape == (3, 0)


@every_corruption
def test_a_corruption_is_a_config_and_a_value(spec):
    part = corruptions.build(spec, rate=0.2)
    assert dataclasses.is_dataclass(part) and part == corruptions.build(to_config(part))
    assert pickle.loads(pickle.dumps(part)) == part == copy.deepcopy(part)
    assert pickle.loads(pickle.dumps(part)).needs == part.needs
    assert "Parameters" in inspect.getdoc(type(part)) and "Examples" in inspect.getdoc(type(part))
    with pytest.raises(ValueError, match=r"rate=1\.5 is not a fraction"):
        corruptions.build(spec, rate=1.5)
