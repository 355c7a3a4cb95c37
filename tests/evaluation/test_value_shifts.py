"""Corruptions that change values, or times, and leave alone what is observed."""

import dataclasses
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings, strategies as st

from kinview.data.panel import read_panel
from kinview.evaluation import Benchmark, Shift, Store, corrupt, observed_mask, run
from kinview.evaluation.corruptions import corruptions
from kinview.registry import to_config
from test_corruptions import as_panel, gappy, mixed_table

SHIFTS = {
    "noise": "any",
    "clipping": "any",
    "resolution": "any",
    "drift": "time_series",
    "jittered_times": "time_series",
}
VALUES = tuple(name for name in SHIFTS if name != "jittered_times")
every_shift = pytest.mark.parametrize("name", VALUES)
NUMBERS = ["float", "int", "uint", "Int8", "Float64", "arrow_int", "arrow_nan", "sparse"]


def shifted(X, name, seed=0, rate=0.4, **given):
    return corruptions.build(name, rate=rate).corrupted(X, seed, **given)


def stamped(dates=False, seed=0):
    """A panel with irregular time stamps, its rows in any order."""
    panel = as_panel(gappy(seed=seed))
    rng = np.random.default_rng(seed)
    hours = np.array([1.3 * t + rng.uniform(0, 1) for t in panel.index.get_level_values(1)])
    times = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(hours, unit="h") if dates else hours
    panel.index = pd.MultiIndex.from_arrays([panel.index.get_level_values(0), times], names=["patient", "time"])
    return panel.sample(frac=1, random_state=seed)


def times_of(panel):
    stamps = panel.index.get_level_values(-1)
    return (
        (stamps - pd.Timestamp("2024-01-01", tz="UTC")).total_seconds().to_numpy() if stamps.dtype != float else stamps
    )


def test_they_are_registered_for_what_they_can_change():
    assert {name: corruptions[name].modality for name in SHIFTS} == SHIFTS
    assert set(SHIFTS) == {name for name in corruptions if corruptions[name].target.counts == "severity"}
    for name in SHIFTS:
        part = corruptions.build(name, rate=0.2)
        assert part == corruptions.build(to_config(part)) == pickle.loads(pickle.dumps(part))


@every_shift
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), rate=st.floats(0.01, 1))
def test_gaps_stay_gaps_zero_is_the_identity_and_the_seed_decides(name, seed, rate):
    x = gappy(seed=seed)
    before = x.copy()
    result, changed = corrupt(x, name, (seed, 1), rate=rate)
    np.testing.assert_array_equal(np.isnan(result), np.isnan(x))
    np.testing.assert_array_equal(result[~changed], x[~changed])
    assert result.dtype == x.dtype and not (changed & np.isnan(x)).any()
    np.testing.assert_array_equal(result, corrupt(x, name, (seed, 1), rate=rate)[0])
    same, none = corrupt(x, name, (seed, 1), rate=0.0)
    np.testing.assert_array_equal(same, x)
    assert not none.any() and shifted(x, name, rate=0.0).realised == 0.0
    np.testing.assert_array_equal(x, before)
    draws = name in ("noise", "drift")
    assert (corrupt(x, name, (seed, 2), rate=rate)[0] != result)[~np.isnan(x)].any() == draws


@every_shift
def test_one_seed_is_one_shift_in_every_container_and_padding(name):
    x = gappy()
    result, changed = corrupt(x, name, 7, rate=0.4)
    padded = np.concatenate([x, np.full((6, 3, 9), np.nan, np.float32)], axis=2)
    np.testing.assert_array_equal(corrupt(padded, name, 7, rate=0.4)[0][..., :20], result)
    tensor, mask = corrupt(torch.from_numpy(x), name, 7, rate=0.4)
    np.testing.assert_array_equal(tensor.numpy(), result)
    np.testing.assert_array_equal(mask.numpy(), changed)
    panel = as_panel(x)
    frame, lost = corrupt(panel, name, 7, rate=0.4)
    np.testing.assert_array_equal(lost, np.stack([changed[i, :, t] for i, t in panel.index]))
    np.testing.assert_array_equal(frame.to_numpy(), np.stack([result[i, :, t] for i, t in panel.index]))
    pd.testing.assert_index_equal(frame.index, panel.index)


@pytest.mark.parametrize("name", [name for name in VALUES if SHIFTS[name] == "any"])
def test_in_tables_columns_of_numbers_change_and_all_else_stays(name):
    table = mixed_table()
    result, changed = corrupt(table, name, 3, rate=0.3)
    pd.testing.assert_frame_equal(table, mixed_table())
    np.testing.assert_array_equal(observed_mask(result), observed_mask(table))
    others = [column for column in table if column not in (*NUMBERS, "big")]
    pd.testing.assert_frame_equal(result[others], table[others])
    assert set(table.columns[changed.any(axis=0)]) >= set(NUMBERS) - {"sparse"}
    with pytest.raises(ValueError, match="drift needs time series"):
        corrupt(table, "drift", 0, rate=0.3)


@every_shift
def test_nothing_observed_nothing_at_all_and_what_is_constant(name):
    for x in (np.full((3, 2, 4), np.nan), np.empty((0, 2, 4)), np.empty((3, 2, 0)), np.ones((3, 2, 4))):
        result, changed = corrupt(x, name, 0, rate=0.5)
        np.testing.assert_array_equal(result, x)
        assert not changed.any() and shifted(x, name).realised == 0.0
    x = np.random.default_rng(0).normal(size=(5, 1, 30))
    x[0, 0, :2] = np.inf, -np.inf
    assert np.isinf(corrupt(x, name, 0, rate=0.5)[0]).sum() == 2


def test_noise_is_one_draw_in_proportion_to_the_spread_of_the_training_part():
    rng = np.random.default_rng(0)
    train = rng.normal(size=(200, 2, 40)) * np.array([1.0, 50.0])[:, None] + 7
    test = rng.normal(size=(100, 2, 40)) * 3
    mechanism = corruptions.build({"noise": {"amplitude": 2.0}}, rate=0.2)
    learned = mechanism.learn(train, 0)
    found = mechanism.corrupted(test, (0, 1), learned=learned)
    noise = found.X - test
    assert noise.std(axis=(0, 2)) == pytest.approx([0.4, 20.0], rel=0.05)
    assert found.realised == pytest.approx(0.4, rel=0.02)
    stronger = corruptions.build("noise", rate=0.8).corrupted(test, (0, 1), learned=learned).X - test
    np.testing.assert_allclose(stronger, 2 * noise, rtol=1e-9)
    assert abs(np.corrcoef(noise[:, 0].ravel(), noise[:, 1].ravel())[0, 1]) < 0.05


def test_drift_begins_at_zero_reaches_the_rate_and_is_one_curve_made_larger():
    x = np.random.default_rng(1).normal(size=(8, 2, 50))
    x[:, :, 45:] = np.nan
    half, whole = (shifted(x, "drift", rate=rate).X - x for rate in (0.4, 0.8))
    np.testing.assert_allclose(np.nan_to_num(whole), 2 * np.nan_to_num(half), atol=1e-9)
    largest = np.nanmax(np.abs(half), axis=2) / (np.nanmax(x, axis=2) - np.nanmin(x, axis=2))
    np.testing.assert_allclose(largest, 0.4, rtol=1e-6)
    np.testing.assert_allclose(half[:, :, 0], 0.0, atol=1e-12)
    assert np.abs(np.diff(half[:, :, :45], axis=2)).max() < 0.3 * np.abs(half[:, :, :45]).max()  # smooth


def test_clipping_is_exact_nested_and_at_the_quantiles_of_the_training_part():
    rng = np.random.default_rng(2)
    train, test = rng.normal(size=(100, 2, 50)), rng.normal(size=(40, 2, 50))
    learned = corruptions.build("clipping", rate=0.1).learn(train, 0)
    previous, spans = np.zeros(test.shape, dtype=bool), []
    for rate in (0.1, 0.2, 0.5):
        mechanism = corruptions.build("clipping", rate=rate)
        found = mechanism.corrupted(test, (0, 1), learned=learned)
        assert found.removed.sum() == round(rate * test.size) and found.realised == pytest.approx(rate)
        assert not (previous & ~found.removed).any()
        previous = found.removed
        low, high = found.X.min(axis=(0, 2)), found.X.max(axis=(0, 2))
        np.testing.assert_allclose(low, np.quantile(train, rate / 2, axis=(0, 2)), atol=0.1)
        np.testing.assert_allclose(high, np.quantile(train, 1 - rate / 2, axis=(0, 2)), atol=0.1)
        np.testing.assert_array_equal(found.X, np.clip(test, low[:, None], high[:, None]))
        spans.append(high - low)
    assert (np.diff(spans, axis=0) < 0).all()


def test_resolution_rounds_by_half_a_step_and_a_multiple_keeps_no_more_apart():
    x = np.random.default_rng(3).normal(size=(50, 1, 40))
    centre, width = np.median(x), np.diff(np.quantile(x, [0.01, 0.99]))[0]
    found = {rate: shifted(x, "resolution", rate=rate) for rate in (0.1, 0.2, 0.4)}
    for rate, one in found.items():
        assert np.abs(one.X - x).max() <= rate * width / 2 + 1e-12
        steps = (one.X - centre) / (rate * width)
        np.testing.assert_allclose(steps, np.floor(steps) + 0.5, atol=1e-9)
    fine, coarse = found[0.1].X.round(9), found[0.2].X.round(9)
    assert all(len(np.unique(coarse[fine == level])) == 1 for level in np.unique(fine))
    assert found[0.1].realised == pytest.approx(0.1 * width / np.sqrt(12) / x.std(), rel=0.05)  # of uniform errors


@pytest.mark.parametrize("dates", [False, True])
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), rates=st.lists(st.floats(0, 1), min_size=2, max_size=3).map(sorted))
def test_moved_times_keep_order_values_and_half_the_gap_and_are_nested(dates, seed, rates):
    panel = stamped(dates, seed)
    before, earlier = times_of(panel).copy(), np.zeros(len(panel))
    patient = panel.index.get_level_values(0).to_numpy()
    order = np.lexsort((before, patient))
    inside = np.diff(patient[order]) == 0
    for rate in rates:
        result, removed = corrupt(panel, "jittered_times", (seed, 1), rate=rate)
        np.testing.assert_array_equal(result.to_numpy(), panel.to_numpy())
        assert not removed.any() and result.index.names == panel.index.names
        moves = times_of(result) - before
        gaps, kept = np.diff(before[order])[inside], np.diff(times_of(result)[order])[inside]
        tiny = 3e-6  # dates move by whole microseconds
        assert (kept >= (1 - rate) * gaps - tiny).all() and (np.abs(moves) >= np.abs(earlier) - tiny).all()
        assert (moves * earlier >= -tiny).all()
        earlier = moves
    assert stamped(dates, seed).index.equals(panel.index)


def test_moved_times_are_those_of_the_definition():
    times = np.array([0.0, 10.0, 11.0, 31.0])
    index = pd.MultiIndex.from_product([["a"], times])
    panel = pd.DataFrame({"x": [1.0, np.nan, 3.0, 4.0]}, index=index)
    largest = np.zeros((4, 2))
    for seed in range(400):
        moves = times_of(shifted(panel, "jittered_times", seed, rate=0.5).X) - times
        largest = np.stack([np.minimum(largest[:, 0], moves), np.maximum(largest[:, 1], moves)], axis=1)
    bounds = 0.25 * np.array([[-10.0, 10.0], [-10.0, 1.0], [-1.0, 20.0], [-20.0, 20.0]])
    assert (np.abs(largest) <= np.abs(bounds)).all() and (np.abs(largest) > 0.9 * np.abs(bounds)).all()


def test_what_moved_times_report_is_the_mean_move_in_gaps():
    index = pd.MultiIndex.from_product([range(200), np.arange(20.0)])
    panel = pd.DataFrame({"x": np.zeros(len(index))}, index=index)
    assert shifted(panel, "jittered_times", rate=0.8).realised == pytest.approx(0.2, rel=0.03)
    alone = pd.DataFrame({"x": [1.0, 2.0]}, index=pd.MultiIndex.from_tuples([("a", 5), ("b", 7)]))
    found = shifted(alone, "jittered_times", rate=0.8)
    assert times_of(found.X).tolist() == [5.0, 7.0] and found.realised == 0.0
    twice = pd.DataFrame({"x": [1.0, 2.0, 3.0]}, index=pd.MultiIndex.from_product([["a"], [1.0, 1.0, 2.0]]))
    assert times_of(shifted(twice, "jittered_times", rate=1.0).X)[:2].min() <= 1.0


def test_a_reader_of_time_stamps_sees_the_moved_ones():
    panel = stamped()
    moved = shifted(panel, "jittered_times", rate=0.9).X
    before, after = read_panel(panel).batch, read_panel(moved).batch
    np.testing.assert_array_equal(before.x.numpy(), after.x.numpy())
    assert not torch.equal(before.times.nan_to_num(), after.times.nan_to_num())


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (gappy(), r"cannot be moved: its steps have no time stamps; give a frame"),
        (mixed_table(), "needs time series, and X is a table"),
        (
            as_panel(gappy()).set_axis(
                pd.MultiIndex.from_product([range(3), pd.period_range("2024", periods=35, freq="D")])
            ),
            "cannot be moved: its times are periods",
        ),
    ],
    ids=["array", "table", "periods"],
)
def test_times_that_cannot_be_moved_are_refused(X, message):
    with pytest.raises(ValueError, match=message):
        corrupt(X, "jittered_times", 0, rate=0.2)


def test_a_subgroup_alone_is_shifted():
    x, site = gappy(), list("AABBCC")
    result, changed = corrupt(x, {"subgroup": {"where": "B", "mechanism": "noise"}}, 0, rate=0.5, groups=site)
    assert changed[2:4].any() and not changed[[0, 1, 4, 5]].any()
    np.testing.assert_array_equal(np.isnan(result), np.isnan(x))
    panel = stamped()
    spec = {"subgroup": {"where": "B", "mechanism": "jittered_times"}}
    patients = pd.Index(range(6), name="patient")
    moved = corrupt(panel, spec, 0, rate=0.5, groups=pd.Series(site, index=patients))[0]
    elsewhere = ~panel.index.get_level_values(0).isin([2, 3])
    differs = times_of(moved) != times_of(panel)
    assert differs[~elsewhere].all() and not differs[elsewhere].any()


def test_a_shift_of_ones_own_is_one_method():
    class Offset(Shift):
        def shifted(self, cells, generator):
            return cells.values + self.rate * cells.learned.spread

    x = gappy()
    found = Offset(0.3).corrupted(x, 0)
    assert found.realised == pytest.approx(0.3, rel=1e-6) and found.removed.sum() == (~np.isnan(x)).sum()


def test_a_shift_of_ones_own_that_loses_values_is_refused():
    @dataclasses.dataclass(frozen=True)
    class Loses(Shift):
        def shifted(self, cells, generator):
            return np.where(cells.values > 0, np.nan, cells.values)

    X = np.random.default_rng(0).normal(size=(4, 1, 9))
    with pytest.raises(ValueError, match=r"Loses\.shifted returned NaN for [0-9]+ values, and a shift removes none"):
        Loses(rate=0.5).corrupted(X, seed=0)


def test_a_benchmark_shifts_values_stores_the_severity_and_leaves_out_what_has_no_time_stamps(tmp_path, capsys):
    benchmark = Benchmark(
        name="shifts", datasets=["gunpoint"], methods=["raw"], controls="none", corrupt="test",
        corruptions=["noise", "jittered_times"], severities=[0.5],
    )  # fmt: skip
    frame = run(benchmark, Store(f"sqlite:///{tmp_path}/r.db"), cache_dir=tmp_path)
    assert (frame["status"] == "ok").all() and set(frame["corruption"].dropna()) == {"noise"}
    noisy = frame[frame["corruption"] == "noise"].iloc[0]
    assert noisy["realised_missing_test"] == pytest.approx(0.5, rel=0.05) and noisy["realised_missing_train"] == 0
    assert "jittered_times on gunpoint: its steps have no time stamps" in capsys.readouterr().err
