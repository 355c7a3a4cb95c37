"""MiniRocket, MultiRocket, Hydra and both together: against plain loops, and what holds for each."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

import kinview
from kinview import Hydra, MiniRocket, MultiRocket, MultiRocketHydra
from kinview.methods.controls.rocket import pools
from kinview.methods.controls.rocket.hydra import CompetingKernels
from kinview.methods.controls.rocket.kernels import (
    KERNELS,
    channel_subsets,
    convolutions,
    dilations_for,
    quantile_levels,
    time_first,
)
from kinview.methods.controls.rocket.multirocket import differences
from kinview.methods.controls.rocket.multirocket_hydra import FeatureScaler
from kinview.methods.controls.rocket.pools import Pooling, pooled_features
from kinview.methods.controls.rocket.thresholds import learned_thresholds
from kinview.training.method import Sizes

SMALL = {
    "minirocket": lambda **given: MiniRocket(420, random_state=0, **given),
    "multirocket": lambda **given: MultiRocket(1_344, random_state=0, **given),
    "hydra": lambda **given: Hydra(groups=8, random_state=0, **given),
    "multirocket_hydra": lambda **given: MultiRocketHydra(1_344, groups=8, random_state=0, **given),
}
every_one = pytest.mark.parametrize("name", SMALL)


def walks(n: int, channels: int, steps: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, channels, steps)).cumsum(axis=2)


# --- oracles: loops in float64 ---------------------------------------------------------------------------------------


def convolved(x: np.ndarray, places: tuple[int, ...], dilation: int, early: bool = False) -> np.ndarray:
    """C(t) of a series (t,)."""
    result = np.zeros(len(x))
    for t, tap in itertools.product(range(len(x)), range(9)):
        at = t + (tap - 4) * dilation + (1 if early and tap < 4 else 0)
        if 0 <= at < len(x):
            result[t] += (2.0 if tap in places else -1.0) * x[at]
    return result


def pooled(c: np.ndarray, b: float, definition: str) -> tuple[float, float, float, float]:
    """PPV, LSPV, MPV and MIPV of a convolution over its span, in the words of the official code or of the paper."""
    above = [t for t in range(len(c)) if c[t] > b]
    if definition == "paper":
        runs = [len(list(run)) for is_above, run in itertools.groupby(c > b) if is_above]
        run, mean = max(runs, default=0), np.mean([c[t] - b for t in above]) if above else 0.0
    else:
        last = run = 0
        for t in range(len(c)):
            if c[t] < b:
                run, last = max(run, t - last), t
        run, mean = max(run, len(c) - 1 - last), np.mean([c[t] + b for t in above]) if above else 0.0
    return len(above) / len(c), run, mean, np.mean(above) if above else -1.0


def features_of(x: np.ndarray, dilations, thresholds, subsets, pooling: Pooling) -> np.ndarray:
    """Pools of one series (c, t) without padding: (pools, thresholds)."""
    found, start = [], 0
    for at, dilation in enumerate(dilations):
        for kernel, places in enumerate(KERNELS):
            members = [0] if subsets is None else np.flatnonzero(subsets[at * 84 + kernel])
            c = convolved(x[members].sum(axis=0), places, dilation.dilation, pooling.early)
            inner = len(x[0]) - 8 * dilation.dilation
            if (at + kernel) % 2 and inner > 0:
                c = c[4 * dilation.dilation :][:inner]
            for b in thresholds[start : start + dilation.thresholds]:
                found.append(pooled(c, float(b), pooling.definition))
            start += dilation.thresholds
    return np.array(found).T[: pooling.number]


LENGTHS = (30, 30, 17, 9, 5, 1)
POOLINGS = [Pooling(), Pooling(True), Pooling(True, "paper"), Pooling(True, early=True)]


@pytest.mark.parametrize("pooling", POOLINGS, ids=str)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("lengths", [(30,) * 4, LENGTHS], ids=["equal", "unequal"])
def test_pools_equal_plain_loops(pooling, channels, lengths):
    generator = torch.Generator().manual_seed(0)
    x = torch.tensor(walks(len(lengths), channels, 30)).mul(8).round().div(8).float()  # sums are exact, and tie
    for row, length in enumerate(lengths):
        x[row, :, length:] = torch.nan
    dilations = dilations_for(30, 84 * 5, 32)
    subsets = channel_subsets(84 * len(dilations), channels, generator) if channels > 1 else None
    thresholds = torch.randn(84 * 5, generator=generator).mul(3).round()
    found = pooled_features(x, torch.tensor(lengths), dilations, thresholds, subsets, pooling).numpy()
    for row, length in enumerate(lengths):
        own = x[row, :, :length].double().numpy()
        members = None if subsets is None else subsets.numpy()
        expected = features_of(own, dilations, thresholds.numpy(), members, pooling)
        got = found[row].reshape(pooling.number, -1)
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("early", [False, True])
def test_convolutions_equal_plain_loops(channels, early):
    x = torch.tensor(walks(3, channels, 25)).float()
    subsets = None if channels == 1 else channel_subsets(84, channels, torch.Generator().manual_seed(1)).numpy()
    for dilation in (1, 2, 3, 7):  # the last reaches beyond the series altogether
        blocks = dict(convolutions(time_first(x), dilation, subsets, early=early))
        found = np.concatenate([blocks[first] for first in sorted(blocks)])
        for kernel, places in enumerate(KERNELS):
            members = [0] if subsets is None else np.flatnonzero(subsets[kernel])
            for row in range(3):
                series = x[row].double().numpy()[members].sum(axis=0)
                np.testing.assert_allclose(found[kernel, :, row], convolved(series, places, dilation, early), atol=1e-4)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 700), st.integers(1, 3), st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_counts_and_runs_of_any_mask(steps, lanes, seed, share):
    mask = np.random.default_rng(seed).random((steps, lanes)) < share
    np.testing.assert_array_equal(pools._counted(mask.copy(), 0), mask.sum(axis=0))
    runs = [max((len(list(run)) for on, run in itertools.groupby(lane) if on), default=0) for lane in mask.T]
    np.testing.assert_array_equal(pools._longest_run(mask), runs)


def _pools_of_an_impulse(places: tuple[int, int, int], b: float, definition: str) -> list[float]:
    """Pools of one kernel; C is 2 at steps 8 - place, and -1 at the others."""
    kernel = KERNELS.index(places)
    assert kernel % 2 == 0  # pooled over all steps
    x = torch.zeros(1, 1, 9)
    x[0, 0, 4] = 1.0
    thresholds = torch.full((84,), b)
    found = pooled_features(x, torch.tensor([9]), dilations_for(9, 84, 1), thresholds, None, Pooling(True, definition))
    return found.view(4, 84)[:, kernel].tolist()


@pytest.mark.parametrize(
    ("places", "b", "paper", "official"),
    [
        ((0, 1, 4), 0.5, (3 / 9, 2, 1.5, 19 / 3), (3 / 9, 2, 2.5, 19 / 3)),  # the mean of C + b; a run at the end
        ((3, 4, 5), 0.0, (3 / 9, 3, 2.0, 4.0), (3 / 9, 4, 2.0, 4.0)),  # a run inside counts one more
        ((0, 1, 4), -1.0, (3 / 9, 2, 3.0, 19 / 3), (3 / 9, 8, 1.0, 19 / 3)),  # C = b does not end a run
        ((0, 1, 4), 2.0, (0, 0, 0, -1), (0, 2, 0, -1)),  # nothing above
    ],
)
def test_pools_of_convolutions_that_are_known(places, b, paper, official):
    assert _pools_of_an_impulse(places, b, "paper") == pytest.approx(paper)
    assert _pools_of_an_impulse(places, b, "official") == pytest.approx(official)


# --- what is drawn and learned ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("steps", "features"), [(24, 9_996), (150, 9_996), (1_000, 6_216), (9, 84), (3, 168)])
def test_dilations_share_out_all_features(steps, features):
    found = dilations_for(steps, features, 32)
    assert sum(one.thresholds for one in found) * 84 == features
    assert [one.dilation for one in found] == sorted({one.dilation for one in found})
    assert found[0].dilation == 1 and found[-1].dilation <= max(1, (steps - 1) / 8)


def test_thresholds_are_quantiles_of_training_rows():
    x = torch.tensor(walks(7, 1, 40)).float()
    x[3, :, 20:] = torch.nan
    lengths = torch.tensor([40, 40, 40, 20, 40, 40, 40])
    dilations = dilations_for(40, 420, 32)
    levels = quantile_levels(420)
    np.testing.assert_allclose(levels[:3], [(k * (1 + 5**0.5) / 2) % 1 for k in (1, 2, 3)])
    for how, a_kernel in (("published", 1), ("pooled", 5)):
        found = learned_thresholds(x, lengths, dilations, None, how, torch.Generator().manual_seed(3))
        generator, start = torch.Generator().manual_seed(3), 0
        for dilation in dilations:
            for places in KERNELS:
                rows = torch.randperm(7, generator=generator)[:a_kernel].tolist()
                stop = start + dilation.thresholds
                own = [x[row, 0, : lengths[row]].double().numpy() for row in rows]
                quantiles = [np.quantile(convolved(row, places, dilation.dilation), levels[start:stop]) for row in own]
                np.testing.assert_allclose(found[start:stop], np.mean(quantiles, axis=0), rtol=1e-4, atol=1e-4)
                start = stop


def test_each_kernel_reads_between_one_and_nine_channels():
    subsets = channel_subsets(4_000, 12, torch.Generator().manual_seed(0))
    sizes = subsets.sum(dim=1)
    assert sizes.min() == 1 and sizes.max() == 9
    expected = [(math.log2(k + 1) - math.log2(k)) / math.log2(10) for k in range(1, 10)]
    np.testing.assert_allclose(torch.bincount(sizes)[1:] / 4_000, expected, atol=0.03)
    np.testing.assert_allclose(subsets.float().mean(dim=0), sizes.float().mean() / 12, atol=0.04)


def test_differences_keep_the_length_of_each_series():
    nan = float("nan")
    x = torch.tensor([[[1.0, 3.0, 2.0]], [[1.0, 4.0, nan]], [[5.0, nan, nan]]])
    expected = torch.tensor([[[2.0, -1.0]], [[3.0, nan]], [[0.0, nan]]])
    torch.testing.assert_close(differences(x), expected, equal_nan=True)
    assert differences(x[:, :, :1]).flatten().tolist() == [0, 0, 0]


# --- Hydra -----------------------------------------------------------------------------------------------------------


class _Parameters:
    kernels, groups = 3, 4


@pytest.mark.parametrize("channels", [1, 5])
def test_hydra_counts_equal_plain_loops(channels):
    competing = CompetingKernels(_Parameters(), Sizes(channels=channels, length=20))
    competing.learn(channels, torch.Generator().manual_seed(0))
    x = torch.tensor(walks(2, channels, 20)).float()
    x[1, :, 13:] = torch.nan
    batch = kinview.Batch.of(x)
    found = competing(batch).numpy()
    for row, length in enumerate((20, 13)):
        own = x[row, :, :length].double().numpy()
        expected = []
        for octave, dilation in enumerate((1, 2)):
            for which, series in enumerate((own, np.diff(own, axis=1))):
                sums, counts = np.zeros((2, 2, 3))
                for group, t in itertools.product(range(2), range(series.shape[1])):
                    members = [0] if channels == 1 else competing.members[octave, which, group].tolist()
                    taps = [t + (tap - 4) * dilation for tap in range(9)]
                    inside = [0 <= at < series.shape[1] for at in taps]
                    window = [
                        series[members, at].sum() if is_in else 0.0 for at, is_in in zip(taps, inside, strict=True)
                    ]
                    response = competing.weights[octave, which, group].double().numpy() @ np.array(window)
                    sums[group, response.argmax()] += response.max()
                    counts[group, response.argmin()] += 1
                expected += [*sums.ravel(), *counts.ravel()]
        np.testing.assert_allclose(found[row], expected, rtol=1e-4, atol=1e-4)


def test_hydra_kernels_sum_to_zero_and_have_unit_weight():
    competing = CompetingKernels(_Parameters(), Sizes(channels=1, length=100))
    competing.learn(1, torch.Generator().manual_seed(0))
    assert competing.dilations == [1, 2, 4, 8]
    torch.testing.assert_close(competing.weights.sum(dim=-1), torch.zeros(4, 2, 2, 3), atol=1e-6, rtol=0)
    torch.testing.assert_close(competing.weights.abs().sum(dim=-1), torch.ones(4, 2, 2, 3))


def test_a_constant_stretch_is_no_contest_of_rounding_errors():
    X = np.full((3, 1, 40), 1000.1)
    Z = Hydra(groups=4, scaling=None, fill="linear", random_state=0).fit(X).transform(X).to_numpy().reshape(3, -1, 8)
    of_values, sums, counts = Z[:, 2:4], Z[:, 4:6], Z[:, 6:8]  # of dilation 1; the differences are 0 everywhere
    assert (sums == 0).all() and (counts[:, :, 0] == 39).all() and (counts[:, :, 1:] == 0).all()
    assert (of_values[:, :, 0] >= 32).all()  # all but the eight steps at which a kernel reaches beyond the ends


# --- both together ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sparse", [False, True])
def test_scalers_learned_in_chunks_equal_the_official_formulas(sparse):
    features = torch.tensor(np.random.default_rng(0).normal(size=(23, 6))).float()
    features[:, 5] = 2.0
    features[:, 4] = -1.0
    scaler = FeatureScaler(6, sparse=sparse)
    for part in features.split(5):
        scaler.see(part)
    scaler.settle()
    wide = features.double()
    if sparse:
        h = wide.clamp(0).sqrt()
        expected = (h - h.mean(0)) * (h != 0) / (h.std(0) + (h == 0).double().mean(0) ** 4 + 1e-8)
        expected[:, 5] = 0  # a constant divided by 1e-8: what is left is rounding
    else:
        expected = (wide - wide.mean(0)) / wide.std(0, correction=0).where(wide.std(0) > 0, torch.tensor(1.0).double())
    found = scaler(features.clone()).double()
    found[:, 5] = 0
    torch.testing.assert_close(found, expected.where(torch.arange(6) != 5, 0.0), atol=1e-5, rtol=1e-5)


def test_blocks_stand_side_by_side_scaled():
    X = walks(20, 1, 40)
    both = MultiRocketHydra(1_344, groups=8, random_state=0).fit(X)
    Z = both.transform(X).to_numpy()
    pooled_block = Z[:, : both.method_.pools.n_features]
    varying = pooled_block.std(axis=0) > 0.1
    np.testing.assert_allclose(pooled_block.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(pooled_block.std(axis=0)[varying], 1, atol=1e-3)
    raw = both.method_.pools(both.method_.prepared(both.to_batch(X)))
    mean, scale = both.method_.pools_scaler.mean, both.method_.pools_scaler.scale
    torch.testing.assert_close(torch.tensor(pooled_block), (raw - mean) / scale)


# --- any of them -----------------------------------------------------------------------------------------------------


@every_one
def test_defaults_have_the_published_number_of_features(name):
    sizes = {"minirocket": 9_996, "multirocket": 49_728, "hydra": 5 * 1_024, "multirocket_hydra": 49_728 + 5 * 1_024}
    method = kinview.methods.methods.build(name)
    made = method._build(Sizes(channels=1, length=150, rows=50))
    assert made.n_features == sizes[name]


@every_one
def test_threads_and_chunks_change_no_bit(name, monkeypatch):
    X = walks(30, 2, 40)
    X[::3, :, 25:] = np.nan  # of unequal length
    model = SMALL[name]().fit(X)
    expected = model.transform(X).to_numpy()
    threads = torch.get_num_threads()
    monkeypatch.setattr(pools, "_ROWS_TIMES_STEPS", 100)
    monkeypatch.setattr(pools, "_COMPARED", 500)
    try:
        torch.set_num_threads(1)
        np.testing.assert_allclose(model.transform(X), expected, rtol=0, atol=1e-5 if "hydra" in name else 0)
    finally:
        torch.set_num_threads(threads)


@every_one
def test_series_shorter_than_the_kernels_are_taken(name):
    X = [walks(1, 1, steps, seed=steps)[0] for steps in (1, 2, 3, 5, 8, 8)]
    Z = SMALL[name]().fit(X).transform(X).to_numpy()
    assert Z.shape[0] == 6 and np.isfinite(Z).all()


@every_one
def test_features_tell_classes_apart(name):
    data = kinview.load("italy_power_demand")
    model = SMALL[name]().fit(data.X_train)
    train, test = (model.transform(X).to_numpy() for X in (data.X_train, data.X_test[:300]))
    mean, std = train.mean(axis=0), train.std(axis=0) + 1e-9
    y = np.where(data.y_train == data.y_train[0], 1.0, -1.0)
    A, B = (train - mean) / std, (test - mean) / std
    scores = B @ A.T @ np.linalg.solve(A @ A.T + len(A.T) * np.eye(len(A)), y)
    assert np.mean((scores > 0) == (data.y_test[:300] == data.y_train[0])) > 0.9


def test_published_thresholds_are_not_saved_unless_allowed(tmp_path: Path):
    X = walks(12, 1, 30)
    for name in ("minirocket", "multirocket", "multirocket_hydra"):
        model = SMALL[name](thresholds="published").fit(X)
        with pytest.raises(ValueError, match=r"published.*one training row.*allow_row_statistics=True"):
            model.save(tmp_path / "model.safetensors")
        assert not (tmp_path / "model.safetensors").exists()
        loaded = kinview.load_model(model.save(tmp_path / "allowed.safetensors", allow_row_statistics=True))
        np.testing.assert_array_equal(loaded.transform(X), model.transform(X))


def test_pooled_thresholds_are_other_numbers_than_published_ones():
    X = walks(12, 1, 30)
    pooled_ones, published = (
        MiniRocket(420, thresholds=how, random_state=0).fit(X).method_.kernels.thresholds
        for how in ("pooled", "published")
    )
    assert not torch.isclose(pooled_ones, published).any()
    assert 0.3 < float(pooled_ones.std() / published.std()) < 1.0  # means of five vary less


def test_own_channels_for_each_kernel_matter():
    X = walks(10, 4, 30)
    model = MiniRocket(420, random_state=0).fit(X)
    expected = model.transform(X)
    model.method_.kernels.subsets[:] = True
    assert not np.array_equal(model.transform(X), expected)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"features": 50}, "features must be at least 84"),
        ({"thresholds": "median"}, "thresholds must be"),
        ({"fill": "spline"}, "fill must be"),
    ],
)
def test_parameters_out_of_range_are_named(given, message):
    with pytest.raises(ValueError, match=message):
        MiniRocket(**given).fit(walks(6, 1, 20))
