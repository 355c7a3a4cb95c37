"""Checks of the views in the time domain, each against SciPy, NumPy or a closed form."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import scipy.integrate
import scipy.interpolate
import scipy.ndimage
import scipy.signal
import scipy.stats
import torch
from torch import Tensor

from helpers import NAN, gen, same
from kinview.augmentations import (
    BandStop,
    ChannelPermutation,
    Convolve,
    Drift,
    HighPass,
    Jitter,
    LowPass,
    MagnitudeWarp,
    Offset,
    Permutation,
    Pool,
    Quantize,
    RandomCropResize,
    Resample,
    Scaling,
    SignFlip,
    Smooth,
    TimeReverse,
    TimeShift,
    TimeWarp,
    WindowSlice,
    WindowWarp,
    augmentations,
)
from kinview.augmentations._random import changed_orders
from kinview.augmentations._resampling import at_positions
from kinview.augmentations._splines import spline_curves
from kinview.data import Batch, complete, observed_bounds

IMPLAUSIBLE = 1e-4  # p-value below which a drawn frequency is not believed; seeds are fixed


def noise(n: int = 4, channels: int = 2, steps: int = 60, seed: int = 0) -> Tensor:
    return torch.randn(n, channels, steps, generator=gen(seed), dtype=torch.float64)


def ramp(n: int, steps: int) -> Tensor:
    """Series whose values are their steps: a view of it shows where it was taken from."""
    return torch.arange(steps, dtype=torch.float64).expand(n, 1, steps).clone()


def ragged(steps: int = 60) -> tuple[Tensor, list[int]]:
    """Series that end early, one of them not at all, one in a single step."""
    lengths = [steps, steps // 2, 7, 1, 3]
    x = noise(len(lengths), 2, steps, seed=9)
    for row, length in enumerate(lengths):
        x[row, :, length:] = NAN
    return x, lengths


def believed(counts: Any, expected: Any = None) -> bool:
    return bool(scipy.stats.chisquare(counts, expected).pvalue > IMPLAUSIBLE)


def follows(values: Tensor, distribution: Any) -> bool:
    return bool(scipy.stats.kstest(values.double().numpy().ravel(), distribution.cdf).pvalue > IMPLAUSIBLE)


# --- defaults are the sources' ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "defaults"),
    [
        ("jitter", {"sigma": 0.8}),  # TS-TCC
        ("scaling", {"sigma": 0.1, "mean": 1.0, "shared": False}),  # Um et al.
        ("offset", {"sigma": 0.1, "shared": False}),  # NCL
        ("sign_flip", {"p": 1.0, "shared": False}),  # Wen et al.
        ("channel_permutation", {}),
        ("time_reverse", {}),
        ("permutation", {"max_segments": 5, "min_segments": 2, "segments": "random"}),  # TS-TCC's code
        ("time_shift", {"max_shift": 0.1, "mode": "circular"}),
        ("magnitude_warp", {"sigma": 0.2, "knots": 4, "shared": False}),  # Um et al.
        ("time_warp", {"sigma": 0.2, "knots": 4}),  # Um et al.
        ("window_warp", {"window": 0.1, "scales": (0.5, 2.0)}),  # Le Guennec et al., Iwana & Uchida
        ("window_slice", {"ratio": 0.9}),  # Le Guennec et al.
        ("random_crop_resize", {"ratio": (0.5, 1.0)}),  # Mehari & Strodthoff
        ("crop_pair", {"temporal_unit": 0}),  # TS2Vec
        ("resample", {"rate": (0.5, 0.75)}),  # Qian et al.
        ("smooth", {"sigma": (0.5, 2.0)}),
        ("low_pass", {"cutoff": None, "order": 4, "sampling_rate": None}),
        ("high_pass", {"cutoff": None, "order": 4, "sampling_rate": None}),
        ("band_stop", {"center": None, "width": None, "order": 4, "sampling_rate": None}),
        ("drift", {"max_drift": 0.5, "points": 3, "kind": "additive", "shared": False}),  # tsaug
        ("pool", {"size": 2, "kind": "mean"}),  # tsaug
        ("quantize", {"levels": 10, "how": "uniform"}),  # tsaug
        ("convolve", {"window": "hann", "size": 7}),  # tsaug
    ],
)
def test_defaults(name: str, defaults: dict[str, Any]) -> None:
    part = augmentations.build(name)
    assert vars(part) == defaults
    assert augmentations[name].modality == part.modality == "time_series"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"jitter": {"sigma": -1}}, r"sigma must be at least 0; got -1"),
        ({"jitter": {"sigma": "0.1"}}, r"sigma must be a number; got the text '0\.1': write 0\.1"),
        ({"permutation": {"max_segments": 0}}, r"max_segments must be at least 1; got 0"),
        (
            {"permutation": {"max_segments": 3, "min_segments": 4}},
            r"min_segments must be at most max_segments=3; got 4",
        ),
        ({"permutation": {"segments": "even"}}, r"segments must be 'random' or 'equal'; got 'even'"),
        ({"time_shift": {"max_shift": 1.5}}, r"max_shift must be in \[0, 1\]; got 1\.5"),
        ({"window_slice": {"ratio": 0.0}}, r"ratio must be in \(0, 1\]; got 0\.0"),
        ({"window_warp": {"scales": [2.0, 0.5]}}, r"scales must be two numbers, the lower first; got \[2\.0, 0\.5\]"),
        ({"window_warp": {"window": 1.0}}, r"window must be in \(0, 1\); got 1\.0"),
        ({"low_pass": {"cutoff": [0.5, 1.0]}}, r"cutoff must be below the Nyquist frequency, 1; got 1\.0: frequencies"),
        (
            {"high_pass": {"cutoff": [1.0, 60.0], "sampling_rate": 100.0}},
            r"cutoff must be below the Nyquist frequency, 50 Hz, half the sampling_rate; got 60\.0$",
        ),
        (
            {"band_stop": {"center": [0.2, 50.0]}},
            r"center must be below the Nyquist frequency, 1; got 50\.0: .*sampling",
        ),
        ({"convolve": {"window": "hat"}}, r"window must be 'hann', .* or 'boxcar'; got 'hat'"),
    ],
)
def test_bad_parameters_are_refused(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        augmentations.build(spec)


# --- what they share -------------------------------------------------------------------------------------------------


def test_complete_means_that_nothing_is_missing() -> None:
    assert complete(torch.tensor([1.0, math.inf, -math.inf]))
    assert not complete(torch.tensor([1.0, NAN]))
    assert complete(torch.ones(0, 3))


def test_bounds_are_those_of_the_observed_values() -> None:
    x, _ = ragged()
    x[0, 1] = NAN
    low, high = observed_bounds(x)
    for row, channel in itertools.product(range(len(x)), range(2)):
        seen = x[row, channel][~x[row, channel].isnan()].numpy()
        assert low[row, channel].item() == (seen.min() if len(seen) else 0)
        assert high[row, channel].item() == (seen.max() if len(seen) else 0)


@pytest.mark.parametrize("k", [2, 3, 4, 5, 6, 11])
def test_splines_are_scipys(k: int) -> None:
    knots = noise(4, 3, k)
    for lengths in ([40, 40, 40, 40], [40, 17, 2, 9]):
        curves = spline_curves(knots, torch.tensor(lengths), 40)
        for row, length in enumerate(lengths):
            spline = scipy.interpolate.CubicSpline(np.linspace(0, length - 1, k), knots[row].numpy(), axis=1)
            assert np.allclose(curves[row, :, :length], spline(np.arange(length)), atol=1e-11)
            assert torch.allclose(curves[row, :, length:], knots[row, :, -1:])


def test_orders_that_change_something_are_equally_likely() -> None:
    drawn = changed_orders(torch.arange(5).repeat(6000), 5, gen())
    for size in range(5):
        counts = Counter(tuple(order) for order in drawn[size::5].tolist())
        old = tuple(range(5))
        expected = {(*order, *range(size, 5)) for order in itertools.permutations(range(size))} - {old} or {old}
        assert counts.keys() == expected
        if len(expected) > 1:
            assert believed(list(counts.values()))


def test_orders_of_many_things_are_orders_too() -> None:
    sizes = torch.tensor([1, 2, 18, 19, 40]).repeat(200)
    drawn = changed_orders(sizes, 40, gen())
    assert torch.equal(drawn.sort(dim=1).values, torch.arange(40).expand(1000, 40))
    moved = drawn != torch.arange(40)
    assert torch.equal(moved.any(dim=1), sizes > 1)
    assert not moved[torch.arange(40) >= sizes[:, None]].any()
    first = torch.bincount(drawn[4::5, 0], minlength=40)
    assert believed(first.numpy())


def test_values_between_steps_are_linear_and_missing_where_the_nearest_step_is() -> None:
    x = noise(3, 2, 30)
    x[torch.rand(x.shape, generator=gen(1)) < 0.3] = NAN
    x[:, :, [0, -1]] = 1.0
    position = torch.rand(3, 50, generator=gen(2), dtype=torch.float64) * 29
    position[:, :30] = torch.arange(30)
    found = at_positions(x, position)
    for row, channel in itertools.product(range(3), range(2)):
        series, at = x[row, channel].numpy(), position[row].numpy()
        seen = ~np.isnan(series)
        expected = np.interp(at, np.arange(30)[seen], series[seen])
        expected[np.isnan(series[np.rint(at).astype(int)])] = NAN
        assert np.allclose(found[row, channel], expected, equal_nan=True)
    assert same(found[:, :, :30], x)  # whole steps bit by bit


# --- jitter, scaling, offset, sign_flip, channel_permutation ---------------------------------------------------------


def test_jitter_adds_independent_gaussian_noise() -> None:
    x = noise(40, 3, 100)
    added = Jitter(sigma=0.5)(x, gen(1)) - x
    assert follows(added / 0.5, scipy.stats.norm)
    neighbours = (added[:, :, 1:] * added[:, :, :-1]).mean() / 0.25
    across = (added[:, 1:] * added[:, :-1]).mean() / 0.25
    assert abs(neighbours) < 5 / math.sqrt(40 * 3 * 99)
    assert abs(across) < 5 / math.sqrt(40 * 2 * 100)


@pytest.mark.parametrize("shared", [False, True])
def test_scaling_is_one_factor_for_each_series_and_channel(shared: bool) -> None:
    x = noise(1500, 2, 4)
    factor = Scaling(sigma=1.1, mean=2.0, shared=shared)(x, gen(1)) / x
    assert torch.allclose(factor, factor[:, :, :1].expand_as(factor))
    assert follows((factor[:, 0, 0] - 2) / 1.1, scipy.stats.norm)
    assert torch.allclose(factor[:, 0, 0], factor[:, 1, 0]) == shared
    if not shared:
        assert abs(np.corrcoef(factor[:, :, 0].T)[0, 1]) < 5 / math.sqrt(1500)


@pytest.mark.parametrize("shared", [False, True])
def test_offset_is_one_truncated_normal_for_each_series_and_channel(shared: bool) -> None:
    x = noise(1500, 2, 4)
    added = Offset(sigma=0.3, shared=shared)(x, gen(1)) - x
    assert torch.allclose(added, added[:, :, :1].expand_as(added))
    assert follows(added[:, 0, 0] / 0.3, scipy.stats.truncnorm(-2, 2))
    assert torch.allclose(added[:, 0, 0], added[:, 1, 0]) == shared


def test_a_sign_is_flipped_with_its_probability() -> None:
    x = noise(4000, 2, 3)
    assert torch.equal(SignFlip()(x), -x)
    sign = SignFlip(p=0.3)(x, gen(1)) / x
    assert ((sign == 1) | (sign == -1)).all()
    assert torch.equal(sign, sign[:, :, :1].expand_as(sign))
    both = Counter(map(tuple, sign[:, :, 0].tolist()))
    assert believed([both[1, 1], both[1, -1], both[-1, 1], both[-1, -1]], [4000 * p for p in (0.49, 0.21, 0.21, 0.09)])
    shared = SignFlip(p=0.3, shared=True)(x, gen(1)) / x
    assert torch.equal(shared[:, 0], shared[:, 1])
    assert scipy.stats.binomtest(int((shared[:, 0, 0] < 0).sum()), 4000, 0.3).pvalue > IMPLAUSIBLE


def test_channels_take_every_other_order_equally_often() -> None:
    x = torch.arange(3.0)[None, :, None].expand(3000, 3, 5)
    view = ChannelPermutation()(x, gen())
    assert torch.equal(view, view[:, :, :1].expand_as(view))
    orders = Counter(map(tuple, view[:, :, 0].tolist()))
    assert orders.keys() == set(itertools.permutations([0.0, 1.0, 2.0])) - {(0.0, 1.0, 2.0)}
    assert believed(list(orders.values()))


# --- time_reverse, permutation, time_shift ---------------------------------------------------------------------------


def test_reversed_within_its_own_length() -> None:
    x, lengths = ragged()
    x[0, 1, 5] = NAN
    times = torch.where(x.isnan().all(dim=1), NAN, torch.arange(60, dtype=torch.float64) ** 2)
    view = TimeReverse()(Batch.of(x, times=times))
    for row, length in enumerate(lengths):
        assert same(view.x[row, :, :length], x[row, :, :length].flip(1))
        assert same(view.times[row, :length], times[row, :length].flip(0))
        assert view.x[row, :, length:].isnan().all()
    assert same(TimeReverse()(view).x, x)


def test_a_finite_stamp_keeps_a_missing_step_in_the_series() -> None:
    x = torch.tensor([[[1.0, 2.0, NAN, NAN]]])
    batch = Batch.of(x, times=torch.tensor([[0.0, 1.0, 2.0, NAN]], dtype=torch.float64))
    assert same(TimeReverse()(batch).x, torch.tensor([[[NAN, 2.0, 1.0, NAN]]]))


def permutation_probabilities(part: Permutation, steps: int) -> dict[tuple[int, ...], Fraction]:
    """Probability of each order of the steps, by enumeration."""
    probabilities: dict[tuple[int, ...], Fraction] = {}
    numbers = range(part.min_segments, part.max_segments + 1)
    for drawn in numbers:
        number = min(drawn, steps)
        if part.segments == "equal":
            choices = [tuple(np.cumsum([len(piece) for piece in np.array_split(np.arange(steps), number)])[:-1])]
        else:
            choices = list(itertools.combinations(range(1, steps), number - 1))
        orders = [o for o in itertools.permutations(range(number)) if number == 1 or o != tuple(range(number))]
        for cuts, order in itertools.product(choices, orders):
            pieces = np.split(np.arange(steps), cuts)
            view = tuple(np.concatenate([pieces[i] for i in order]).tolist())
            probabilities[view] = probabilities.get(view, Fraction()) + Fraction(
                1, len(numbers) * len(choices) * len(orders)
            )
    assert sum(probabilities.values()) == 1
    return probabilities


@pytest.mark.parametrize("segments", ["random", "equal"])
@pytest.mark.parametrize(("least", "most", "steps"), [(2, 3, 5), (1, 2, 4), (4, 4, 5), (2, 5, 3)])
def test_permutation_follows_its_distribution(segments: str, least: int, most: int, steps: int) -> None:
    part = Permutation(max_segments=most, min_segments=least, segments=segments)
    probabilities, draws = permutation_probabilities(part, steps), 6000
    seen = Counter(map(tuple, part(ramp(draws, steps), gen(3))[:, 0].int().tolist()))
    assert seen.keys() == probabilities.keys()
    assert believed(
        [seen[view] for view in probabilities], [float(draws * chance) for chance in probabilities.values()]
    )


def test_permuted_steps_are_whole_and_within_their_own_series() -> None:
    x, lengths = ragged()
    x[0, 1, 5] = NAN
    times = torch.where(x.isnan().all(dim=1), NAN, torch.arange(60, dtype=torch.float64))
    view = Permutation(max_segments=8)(Batch.of(x, times=times), gen(4))
    assert view.times is not None
    for row, length in enumerate(lengths):
        source = view.times[row, :length].long()
        assert torch.equal(source.sort().values, torch.arange(length))
        assert same(view.x[row, :, :length], x[row][:, source])  # every channel of its own, all by one order
        assert view.x[row, :, length:].isnan().all()
        assert (source.diff() != 1).sum() < 8
        assert (source.diff() != 1).any() == (length > 1)


@pytest.mark.parametrize("mode", ["circular", "edge"])
def test_time_shift_is_numpys_roll(mode: str) -> None:
    steps = 20
    view = TimeShift(max_shift=0.2, mode=mode)(ramp(4000, steps), gen(5))[:, 0].long()
    middle = 10 - view[:, 10]
    shift = torch.where(middle > steps // 2, middle - steps, middle)
    for row in range(50):
        k, series = int(shift[row]), np.arange(steps)
        expected = np.roll(series, k) if mode == "circular" else np.clip(series - k, 0, steps - 1)
        assert np.array_equal(view[row], expected)
    counts = Counter(shift.tolist())
    assert counts.keys() == {-4, -3, -2, -1, 1, 2, 3, 4}
    assert believed(list(counts.values()))


def test_time_shift_stays_within_its_own_series() -> None:
    x, lengths = ragged()
    times = torch.where(x.isnan().all(dim=1), NAN, torch.arange(60, dtype=torch.float64))
    view = TimeShift(max_shift=1.0)(Batch.of(x, times=times), gen())
    assert view.times is not None
    for row, length in enumerate(lengths):
        source = view.times[row, :length].long()
        assert torch.equal(source.sort().values, torch.arange(length))
        assert same(view.x[row, :, :length], x[row][:, source])
        assert torch.equal(source, torch.arange(length)) == (length == 1)


# --- magnitude_warp, time_warp, drift --------------------------------------------------------------------------------


def test_magnitude_is_warped_by_a_spline_through_normal_knots() -> None:
    x = torch.ones(800, 2, 31, dtype=torch.float64)
    curve = MagnitudeWarp(sigma=0.3, knots=4)(x, gen(1))
    knots = curve[:, :, ::6]  # six knots on 31 steps
    assert follows((knots - 1) / 0.3, scipy.stats.norm)
    assert abs(np.corrcoef(knots.reshape(-1, 6).T) - np.eye(6)).max() < 5 / math.sqrt(1600)
    spline = scipy.interpolate.CubicSpline(np.arange(0, 31, 6), knots.numpy(), axis=2)
    assert np.allclose(curve, spline(np.arange(31)))
    shared = MagnitudeWarp(shared=True)(x, gen(1))
    assert torch.equal(shared[:, 0], shared[:, 1])
    assert not torch.equal(curve[:, 0], curve[:, 1])


def test_magnitude_is_warped_over_the_series_own_length() -> None:
    x, lengths = ragged()
    view = MagnitudeWarp()(x, gen(2))
    assert torch.equal(view.isnan(), x.isnan())
    for row, length in enumerate(lengths):
        drawn = torch.randn(len(lengths), 2, 6, generator=gen(2), dtype=torch.float64)[row] * 0.2 + 1
        spline = scipy.interpolate.CubicSpline(np.linspace(0, max(length - 1, 1), 6), drawn.numpy(), axis=1)
        assert np.allclose(view[row, :, :length], x[row, :, :length].numpy() * spline(np.arange(length)))


def test_time_is_warped_by_the_integral_of_a_spline() -> None:
    x, lengths = ragged()
    view = TimeWarp()(x, gen(3))
    speeds = torch.randn(len(lengths), 1, 6, generator=gen(3), dtype=torch.float64)[:, 0] * 0.2 + 1
    for row, length in enumerate(lengths):
        step = np.arange(length)
        speed = scipy.interpolate.CubicSpline(np.linspace(0, max(length - 1, 1), 6), speeds[row])(step)
        assert speed.min() > 0.1
        clock = scipy.integrate.cumulative_trapezoid(speed, initial=0)
        source = (length - 1) * clock / max(clock[-1], 1e-9)
        for channel in range(2):
            expected = np.interp(source, step, x[row, channel, :length])
            assert np.allclose(view[row, channel, :length], expected)
        assert view[row, :, length:].isnan().all()


@pytest.mark.parametrize("sigma", [0.05, 0.2, 1.0, 5.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_warped_time_increases_strictly_between_fixed_ends(sigma: float, dtype: torch.dtype) -> None:
    clock = TimeWarp(sigma=sigma)(ramp(500, 200).to(dtype), gen(4))[:, 0]
    assert (clock[:, 0] == 0).all()
    assert (clock[:, -1] == 199).all()
    assert (clock.diff(dim=1) > 0.005).all()  # a tenth of the usual speed, where the mean is at most twenty times that
    bend = clock.diff(n=2, dim=1).abs().amax()
    assert bend < 0.4 * clock.diff(dim=1).amax()  # smooth: no jump of the speed from a step to the next
    assert (clock - torch.arange(200)).abs().amax() > 200 * sigma * 0.05 / (1 + sigma)


def test_the_same_clock_for_all_channels() -> None:
    x = noise(20, 3, 50)
    for part in (TimeWarp(), WindowWarp(), WindowSlice(), RandomCropResize(), Resample(), Permutation(), TimeShift()):
        view = part(x, gen(5))
        for channel in range(3):
            alone = part(x[:, channel : channel + 1], gen(5))
            assert torch.equal(view[:, channel : channel + 1], alone), part


@pytest.mark.parametrize("kind", ["additive", "multiplicative"])
def test_drift_is_a_spline_through_a_random_walk(kind: str) -> None:
    x, lengths = ragged()
    view = Drift(max_drift=0.4, kind=kind)(x, gen(6))
    walks = torch.randn(len(lengths), 2, 5, generator=gen(6), dtype=torch.float64).cumsum(dim=2)
    assert torch.equal(view.isnan(), x.isnan())
    for row, length in enumerate(lengths):
        series = x[row, :, :length].numpy()
        spline = scipy.interpolate.CubicSpline(np.linspace(0, max(length - 1, 1), 5), walks[row].numpy(), axis=1)
        curve = spline(np.arange(length))
        curve -= curve[:, :1]
        curve *= 0.4 / np.maximum(abs(curve).max(axis=1, keepdims=True), 1e-12)
        expected = (
            series * (1 + curve) if kind == "multiplicative" else series + curve * np.ptp(series, axis=1)[:, None]
        )
        assert np.allclose(view[row, :, :length], expected)


def test_drift_begins_at_the_series_and_reaches_its_maximum() -> None:
    x = noise(50, 2, 80)
    moved = (Drift(max_drift=0.3)(x, gen(7)) - x) / (x.amax(dim=2) - x.amin(dim=2))[:, :, None]
    assert moved[:, :, 0].abs().max() < 1e-12
    assert torch.allclose(moved.abs().amax(dim=2), torch.tensor(0.3, dtype=torch.float64))
    shared = Drift(kind="multiplicative", shared=True)(x, gen(7)) / x
    assert torch.allclose(shared[:, 0], shared[:, 1])


# --- window_warp, window_slice, random_crop_resize, resample ---------------------------------------------------------


def test_window_warp_is_two_interpolations() -> None:
    x, lengths = ragged()
    generator = gen(8)
    begin = torch.rand(len(lengths), 1, generator=generator, dtype=torch.float64)
    longer = torch.rand(len(lengths), 1, generator=generator) < 0.5
    view = WindowWarp(window=0.25)(x, gen(8))
    for row, length in enumerate(lengths):
        last = length - 1
        width, scale = 0.25 * last, 2.0 if longer[row] else 0.5
        start = float(begin[row]) * (last - width)
        corners = [0, start, start + width * scale, last - width + width * scale]
        clock = np.linspace(0, corners[-1], length)
        source = np.interp(clock, corners, [0, start, start + width, last])
        for channel in range(2):
            expected = np.interp(source, np.arange(length), x[row, channel, :length])
            assert np.allclose(view[row, channel, :length], expected)


def test_window_warp_takes_both_scales_and_fixes_both_ends() -> None:
    clock = WindowWarp()(ramp(2000, 101), gen(9))[:, 0]
    assert clock[:, 0].abs().max() < 1e-9
    assert (clock[:, -1] - 100).abs().max() < 1e-9
    assert (clock.diff(dim=1) > 0).all()
    slow = clock.diff(dim=1).amin(dim=1) < 0.9  # a window twice as long runs at half the speed of the rest
    assert scipy.stats.binomtest(int(slow.sum()), 2000, 0.5).pvalue > IMPLAUSIBLE
    speeds = clock[slow].diff(dim=1)
    assert speeds.amin().item() == pytest.approx((1.1 / 2), abs=1e-6)
    assert speeds.amax().item() == pytest.approx(1.1, abs=1e-6)


@pytest.mark.parametrize(
    ("part", "low", "high"),
    [(WindowSlice(0.6), 0.6, 0.6), (RandomCropResize((0.3, 0.7)), 0.3, 0.7), (Resample((0.2, 0.9)), 0.2, 0.9)],
)
def test_slices_have_their_lengths_and_begin_anywhere(part: Any, low: float, high: float) -> None:
    clock = part(ramp(2000, 51), gen(10))[:, 0]
    speed = clock.diff(dim=1)
    assert torch.allclose(speed, speed[:, :1].expand_as(speed))
    ratio, begin = speed[:, 0], clock[:, 0]
    if low == high:
        assert torch.allclose(ratio, torch.tensor(low, dtype=torch.float64))
    else:
        assert follows((ratio - low) / (high - low), scipy.stats.uniform)
    assert follows(begin / (50 * (1 - ratio)), scipy.stats.uniform)
    x, lengths = ragged()
    view, drawn = part(x, gen(10)), part(torch.where(x.isnan(), x, torch.arange(60.0)), gen(10))
    for row, length in enumerate(lengths):
        source = drawn[row, 0, :length].numpy()
        assert ((source >= 0) & (source <= length - 1)).all()
        for channel in range(2):
            assert np.allclose(
                view[row, channel, :length], np.interp(source, np.arange(length), x[row, channel, :length])
            )
        assert view[row, :, length:].isnan().all()


def test_resampled_values_carry_their_interpolated_stamps() -> None:
    x, _ = ragged()
    times = torch.where(x.isnan().all(dim=1), NAN, torch.arange(60, dtype=torch.float64) ** 1.5)
    batch = Batch.of(torch.where(x.isnan(), x, times[:, None]), times=times)
    view = Resample()(batch, gen(11))
    assert view.times is not None
    assert torch.allclose(view.x[:, 0], view.times, equal_nan=True)
    assert torch.equal(view.times.isnan(), times.isnan())
    slice_ = RandomCropResize()(batch, gen(11))
    assert slice_.times is times  # a slice is distorted against the clock


@pytest.mark.parametrize("part", [TimeWarp(), WindowWarp(), WindowSlice(), RandomCropResize()])
def test_a_gap_is_stretched_with_its_neighbours(part: Any) -> None:
    x = noise(50, 2, 80)
    x[:, 1] = torch.arange(80.0)
    clock = part(x, gen(12))[:, 1]
    gap = (torch.arange(80) >= 30) & (torch.arange(80) < 45)
    holed = torch.where(gap, NAN, x)
    view = part(holed, gen(12))
    assert torch.equal(view.isnan(), gap[clock.round().long()][:, None].expand_as(view))
    far = (clock < 29) | (clock > 45)
    assert torch.equal(view[:, 0][far], part(x, gen(12))[:, 0][far])


# --- smooth, convolve, pool, quantize --------------------------------------------------------------------------------


def test_smooth_is_scipys_gaussian_filter() -> None:
    x, lengths = ragged()
    sigma = torch.rand(len(lengths), 1, generator=gen(13), dtype=torch.float64)[:, 0] * 1.5 + 0.5
    view = Smooth()(x, gen(13))
    assert torch.equal(view.isnan(), x.isnan())
    for row, length in enumerate(lengths):
        expected = scipy.ndimage.gaussian_filter1d(
            x[row, :, :length], sigma[row].item(), axis=1, mode="nearest", radius=8
        )
        assert np.allclose(view[row, :, :length], expected)


WINDOWS = ["hann", "hamming", "blackman", "bartlett", "boxcar"]


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize(("size", "steps"), [(2, 60), (3, 60), (7, 60), (12, 60), (90, 60), (10**12, 60), (600, 400)])
def test_convolve_is_scipys(window: str, size: int, steps: int) -> None:
    x, lengths = ragged(steps)
    view = Convolve(window, size)(x)
    for row, length in enumerate(lengths):
        own = min(size, 2 * length - 1)
        weights = scipy.signal.get_window(window, own + 2, fftbins=False)[1:-1]
        weights /= weights.sum()
        expected = scipy.ndimage.convolve1d(x[row, :, :length].numpy(), weights, axis=1, mode="nearest")
        assert np.allclose(view[row, :, :length], expected)


@pytest.mark.parametrize("window", WINDOWS)
def test_a_larger_window_smooths_more(window: str) -> None:
    x = torch.zeros(1, 1, 101, dtype=torch.float64)
    x[0, 0, 50] = 1.0
    power = []
    for size in range(1, 50):
        view = Convolve(window, size)(x)
        assert int((view > 1e-12).sum()) == size and bool((view > -1e-12).all())
        power.append(float(view.square().sum()))
    assert (np.diff(power) < 0).all()


def test_a_wide_blur_is_scipys_too() -> None:
    x = noise(2, 2, 300)
    expected = scipy.ndimage.gaussian_filter1d(x.numpy(), 40.0, axis=2, mode="nearest", radius=160)
    assert np.allclose(Smooth(sigma=(40.0, 40.0))(x, gen()), expected)


def test_a_gap_is_bridged_for_its_neighbours_and_stays() -> None:
    x = ramp(1, 30)
    x[0, 0, 12:15] = NAN
    for part in (Smooth(), Convolve(), LowPass()):
        view = part(x, gen())
        assert torch.equal(view.isnan(), x.isnan())
        inside = slice(10, 20)  # a straight line stays one across the gap
        assert torch.allclose(view[0, 0, inside], x[0, 0, inside], equal_nan=True, atol=1e-3)


@pytest.mark.parametrize("kind", ["mean", "max", "min"])
@pytest.mark.parametrize("size", [2, 7, 100])
def test_pool_is_numpys_block_by_block(kind: str, size: int) -> None:
    x, _ = ragged()
    x[torch.rand(x.shape, generator=gen(14)) < 0.2] = NAN
    for series in (x, noise(3, 2, 60)):
        view = Pool(size, kind)(series)
        function: Any = {"mean": np.nanmean, "max": np.nanmax, "min": np.nanmin}[kind]
        for row, channel in itertools.product(range(len(series)), range(2)):
            values = series[row, channel].numpy()
            expected = values.copy()
            for start in range(0, 60, size):
                block = values[start : start + size]
                if not np.isnan(block).all():
                    expected[start : start + size] = np.where(np.isnan(block), NAN, function(block))
            assert np.allclose(view[row, channel], expected, equal_nan=True)


@pytest.mark.parametrize("levels", [1, 2, 10, 33])
def test_quantize_puts_values_in_the_middle_of_bins_of_equal_width(levels: int) -> None:
    x, _ = ragged()
    view = Quantize(levels)(x)
    assert torch.equal(view.isnan(), x.isnan())
    low, high = observed_bounds(x)
    width = (high - low) / levels
    for row, channel in itertools.product(range(len(x)), range(2)):
        values, on = x[row, channel].numpy(), view[row, channel].numpy()
        seen = ~np.isnan(values)
        middles = low[row, channel].item() + width[row, channel].item() * (np.arange(levels) + 0.5)
        nearest = middles[abs(values[seen][:, None] - middles).argmin(axis=1)]
        assert np.allclose(on[seen], nearest)
    assert ((view - x).abs() <= width / 2 + 1e-12)[~x.isnan()].all()
    constant = torch.full((1, 1, 5), 3.25)
    assert torch.equal(Quantize(levels)(constant), constant)


@pytest.mark.parametrize("levels", [1, 2, 10])
def test_quantiles_are_numpys(levels: int) -> None:
    x, _ = ragged()
    x[torch.rand(x.shape, generator=gen(15)) < 0.2] = NAN
    x[4] = NAN
    view = Quantize(levels, how="quantile")(x)
    for row, channel in itertools.product(range(len(x)), range(2)):
        values = x[row, channel].numpy()
        expected = values.copy()
        seen = ~np.isnan(values)
        if seen.any():
            last = seen.sum() - 1
            edges, middles = (
                np.interp(halves * last / (2 * levels), np.arange(last + 1), np.sort(values[seen]))
                for halves in (np.arange(2, 2 * levels, 2), np.arange(1, 2 * levels, 2))
            )
            expected[seen] = middles[np.digitize(values[seen], edges)]
        assert np.allclose(view[row, channel], expected, equal_nan=True)
    even = Quantize(5, how="quantile")(noise(1, 1, 1000))
    assert torch.unique(even, return_counts=True)[1].tolist() == [200] * 5


# --- low_pass, high_pass, band_stop ----------------------------------------------------------------------------------

FILTERS = [
    (LowPass(cutoff=(0.2, 0.2)), (4, 0.2, "lowpass")),
    (LowPass(cutoff=(10.0, 10.0), order=2, sampling_rate=100.0), (2, 10 / 50, "lowpass")),
    (HighPass(cutoff=(0.05, 0.05)), (4, 0.05, "highpass")),
    (HighPass(cutoff=(5.0, 5.0), order=1, sampling_rate=100.0), (1, 5 / 50, "highpass")),
    (BandStop(center=(0.4, 0.4), width=0.1), (4, (0.35, 0.45), "bandstop")),
    (BandStop(center=(20.0, 20.0), width=5.0, order=2, sampling_rate=100.0), (2, (17.5 / 50, 22.5 / 50), "bandstop")),
]


@pytest.mark.parametrize(("part", "design"), FILTERS)
def test_filters_are_scipys_without_phase(part: Any, design: tuple[Any, ...]) -> None:
    x = noise(3, 2, 1500).cumsum(dim=2) / 10 + noise(3, 2, 1500, seed=1)
    sections = scipy.signal.butter(*design, output="sos")
    expected = scipy.signal.sosfiltfilt(sections, x.numpy(), axis=2)
    inner = slice(300, -300)
    assert np.allclose(part(x)[:, :, inner], expected[:, :, inner], atol=1e-5)
    assert np.allclose(part(x.float())[:, :, inner], expected[:, :, inner], atol=1e-4)
    # and the gain at every frequency is the design's power response
    impulse = torch.zeros(1, 1, 3001, dtype=torch.float64)
    impulse[0, 0, 1500] = 1
    response = np.fft.rfft(part(impulse)[0, 0].numpy())
    _, designed = scipy.signal.sosfreqz(sections, worN=np.arange(1501) * 2 * np.pi / 3001)
    assert np.allclose(abs(response), abs(designed) ** 2, atol=2e-3)


def test_cutoffs_are_uniform_and_one_for_each_row() -> None:
    impulse = torch.zeros(800, 2, 401, dtype=torch.float64)
    impulse[:, :, 200] = 1
    view = LowPass(cutoff=(0.2, 0.6), order=1)(impulse, gen(16))
    assert torch.allclose(view[:, 0], view[:, 1])
    # order 1: the gain at a quarter of the sampling rate is 1 / (1 + tan(pi / 4)^2 / w_c^2)
    phase = torch.polar(torch.ones(401, dtype=torch.float64), -torch.pi / 2 * torch.arange(401, dtype=torch.float64))
    gain = (view[:, 0] * phase).sum(dim=1).abs()
    cutoff = 2 / torch.pi * torch.atan((1 / (1 / gain - 1)).sqrt())
    assert follows((cutoff - 0.2) / 0.4, scipy.stats.uniform)


@pytest.mark.parametrize(("part", "design"), FILTERS)
def test_each_series_is_filtered_over_its_own_length(part: Any, design: tuple[Any, ...]) -> None:
    x, lengths = ragged()
    view = part(x, gen(17))
    for row, length in enumerate(lengths):
        alone = part(x[row : row + 1, :, :length], gen(17))
        assert torch.allclose(view[row, :, :length], alone[0], atol=1e-9)
        assert view[row, :, length:].isnan().all()
        if length < 3:
            assert torch.equal(alone[0], x[row, :, :length])


@pytest.mark.parametrize(
    ("name", "fractions"),
    [
        ("low_pass", {"cutoff": (0.1, 0.5)}),
        ("high_pass", {"cutoff": (0.01, 0.1)}),
        ("band_stop", {"center": (0.028, 0.825), "width": 0.05}),  # Mohsenvand et al.
    ],
)
def test_a_default_means_the_same_whatever_the_unit(name: str, fractions: dict[str, Any]) -> None:
    x = noise(20, 2, 200)
    view = augmentations.build(name)(x, gen())
    assert torch.equal(view, augmentations.build({name: fractions})(x, gen()))
    hertz = {key: tuple(125 * v for v in value) if key != "width" else 125 * value for key, value in fractions.items()}
    for given in ({}, hertz):
        part = augmentations.build({name: {"sampling_rate": 250.0, **given}})
        assert torch.allclose(part(x, gen()), view, atol=1e-9)
    if name == "band_stop":
        half = augmentations.build({name: {"sampling_rate": 250.0}}).strength_scaled(0.5)
        assert half.width == 0.025 * 125 and half.has_strength
        assert torch.equal(half.strength_scaled(0)(x, gen()), x)


def test_filters_keep_and_remove_level_and_trend() -> None:
    line = ramp(2, 100) * 0.5 + 3
    assert torch.allclose(LowPass()(line, gen()), line)
    assert torch.allclose(BandStop()(line, gen()), line)
    assert HighPass()(line, gen()).abs().max() < 1e-9


def test_a_band_at_the_edge_ends_there() -> None:
    x = noise(2, 1, 400)
    low = BandStop(center=(0.05, 0.05), width=0.2)(x)
    assert torch.allclose(low, HighPass(cutoff=(0.15, 0.15))(x), atol=1e-6)
    high = BandStop(center=(0.95, 0.95), width=0.2)(x)
    assert torch.allclose(high, LowPass(cutoff=(0.85, 0.85))(x), atol=1e-2)
