"""Checks of the clinical augmentations: artifacts of recordings, and CLOCS' views."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pytest
import scipy.signal
import scipy.stats
import torch
from torch import Tensor

from helpers import NAN, gen
from kinview.augmentations import (
    AdjacentSegments,
    BaselineWander,
    ElectrodeMotion,
    LeadDropout,
    LeadViews,
    MuscleArtifact,
    Powerline,
    augmentations,
)
from kinview.augmentations._clinical import peak_to_peak, sines
from kinview.augmentations._sampling import sampling_rates
from kinview.data import Batch

IMPLAUSIBLE = 1e-4
RATE = 200.0
ARTIFACTS = [
    BaselineWander(sampling_rate=RATE),
    Powerline(sampling_rate=RATE),
    MuscleArtifact(),
    ElectrodeMotion(sampling_rate=RATE),
]


def spikes(n: int, channels: int, steps: int, size: float = 2.0) -> Tensor:
    """Zeros with one value of ``size``, so that the peak-to-peak amplitude is ``size`` and what is added is plain."""
    x = torch.zeros(n, channels, steps, dtype=torch.float64)
    x[:, :, 0] = size
    return x


def added(part: Any, x: Tensor, seed: int = 0) -> Tensor:
    view: Tensor = part(x, gen(seed))
    return view - x


def test_peak_to_peak_is_numpys_over_observed_values() -> None:
    x = torch.randn(5, 3, 40, generator=gen())
    x[torch.rand(x.shape, generator=gen(1)) < 0.3] = NAN
    x[0, 0] = NAN
    x[1, 1] = 4.0
    with np.errstate(all="ignore"):
        expected = np.array([[np.ptp(c[~np.isnan(c)]) if (~np.isnan(c)).any() else 0.0 for c in r] for r in x.numpy()])
    assert np.array_equal(peak_to_peak(x)[:, :, 0].numpy(), expected)
    assert peak_to_peak(torch.zeros(2, 1, 0)).tolist() == [[[0.0]], [[0.0]]]


@pytest.mark.parametrize("rates", [[250.0, 250.0, 250.0], [100.0, 250.0, 360.0]])
def test_sines_are_the_sum_of_cosines(rates: list[float]) -> None:
    frequencies = torch.tensor([0.3, 7.0, 49.9], dtype=torch.float64)
    amplitudes, phases = torch.rand(2, 3, 2, 3, generator=gen(), dtype=torch.float64)
    found = sines(amplitudes, phases, frequencies, torch.tensor(rates, dtype=torch.float64), 500)
    time = np.arange(500) / np.array(rates)[:, None]
    angle = 2 * np.pi * frequencies.numpy()[:, None] * time[:, None, None, :] + phases.numpy()[..., None]
    assert np.allclose(found.numpy(), (amplitudes.numpy()[..., None] * np.cos(angle)).sum(axis=2), atol=1e-9)


def test_single_precision_keeps_the_phase_of_long_recordings() -> None:
    rate = torch.tensor([360.0], dtype=torch.float64)
    one = torch.ones(1, 1, 1)
    found = sines(one, 0 * one, torch.tensor([150.0], dtype=torch.float64), rate, 100_000)
    exact = np.cos(2 * np.pi * (150 * np.arange(100_000) / 360 % 1))
    assert np.abs(found[0, 0].numpy() - exact).max() < 2e-6


@pytest.mark.parametrize("chunk", [1, 1 << 24])
def test_rows_of_different_rates_are_as_if_alone(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr("kinview.augmentations._clinical._CHUNK", chunk)
    amplitudes = torch.rand(4, 2, 3, generator=gen(), dtype=torch.float64)
    rates = torch.tensor([100.0, 200.0, 100.0, 360.0], dtype=torch.float64)
    frequencies = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    together = sines(amplitudes, amplitudes, frequencies, rates, 50)
    for i in range(4):
        alone = sines(amplitudes[i : i + 1], amplitudes[i : i + 1], frequencies, rates[i : i + 1], 50)
        assert torch.allclose(together[i : i + 1], alone, atol=1e-12)


# --- the sampling rate -----------------------------------------------------------------------------------------------


def test_the_rate_is_one_over_the_median_step_of_each_row() -> None:
    times = torch.tensor([[0.0, 0.5, 1.0, 9.0], [0.0, 0.0, 0.1, NAN], [3.0, NAN, NAN, NAN]], dtype=torch.float64)
    batch = Batch.of(torch.zeros(3, 1, 4), times=times)
    rates, known = sampling_rates(batch, None, "it")
    assert rates.tolist() == pytest.approx([2.0, 10.0, 2.0])  # where it is not known, that of another row
    assert known.tolist() == [True, True, False]
    rates, known = sampling_rates(batch, 7.0, "it")
    assert rates.tolist() == [7.0, 7.0, 7.0] and known.all()


def test_stamps_apart_from_gaps_and_infinities_tell_the_rate() -> None:
    times = torch.tensor([[0.0, NAN, 1.0, NAN], [0.0, math.inf, 0.2, 0.3], [math.inf, -math.inf, NAN, 1.0]])
    rates, known = sampling_rates(Batch.of(torch.zeros(3, 1, 4), times=times.double()), None, "it")
    assert known.tolist() == [True, True, False]
    assert rates[:2].tolist() == pytest.approx([2.0, 10.0])


@pytest.mark.parametrize("name", ["baseline_wander", "powerline", "electrode_motion", "ecg_default"])
def test_a_row_whose_rate_is_unknown_is_left_alone(name: str) -> None:
    x = torch.randn(3, 2, 400, generator=gen())
    times = (torch.arange(400, dtype=torch.float64) / RATE).repeat(3, 1)
    times[1, 1:] = NAN
    batch = Batch.of(x, times=times)
    part = augmentations.build(name)
    if name == "ecg_default":
        view = part(batch, gen()).x  # powerline does not take the row for one of 1 Hz
        assert not view.isnan().any()
    else:
        view = part(batch, gen()).x
        assert torch.equal(view[1], x[1])
        assert (view[[0, 2]] != x[[0, 2]]).any(dim=2).all()
        given = augmentations.build({name: {"sampling_rate": RATE}})
        assert torch.allclose(view[[0, 2]], given(batch, gen()).x[[0, 2]], atol=1e-5)
    slow = batch.replace(times=times * 100)
    with pytest.raises(ValueError, match=r"sampled at 2 Hz"):
        augmentations.build("powerline")(slow, gen())


@pytest.mark.parametrize("name", ["baseline_wander", "powerline", "electrode_motion"])
def test_stamps_that_tell_no_rate_of_any_row_are_refused(name: str) -> None:
    x, times = torch.randn(2, 1, 20, generator=gen()), torch.full((2, 20), NAN, dtype=torch.float64)
    times[:, 0] = 1.0
    with pytest.raises(ValueError, match=rf"{name} needs the sampling rate: .* no row has two"):
        augmentations.build(name)(Batch.of(x, times=times), gen())
    one = Batch.of(x.index_fill(2, torch.arange(1, 20), NAN), times=times)  # nothing to have a rate
    assert torch.equal(augmentations.build(name)(one, gen()).x[:, :, 0], one.x[:, :, 0])


@pytest.mark.parametrize("name", ["baseline_wander", "powerline", "electrode_motion"])
def test_a_rate_is_asked_for_with_both_remedies(name: str) -> None:
    part = augmentations.build(name)
    x = torch.randn(2, 1, 400, generator=gen())
    with pytest.raises(ValueError, match=rf"{name} needs the sampling rate: give sampling_rate= .*times="):
        part(x, gen())
    stamped = Batch.of(x, times=(torch.arange(400, dtype=torch.float64) / RATE).expand(2, 400))
    given = augmentations.build({name: {"sampling_rate": RATE}})
    assert torch.allclose(part(stamped, gen()).x, given(x, gen()), atol=1e-5)


# --- baseline wander -------------------------------------------------------------------------------------------------


def test_wander_is_as_strong_as_a_sine_of_that_amplitude() -> None:
    # over whole periods of the resolution the mean square is exact: E a² = 1/3, K cosines of 1/2 each, gain 1
    part = BaselineWander(amplitude=0.3, shared=False, sampling_rate=10.0)
    noise = added(part, spikes(3000, 1, 1000))
    power = noise.square().mean(dim=2)[:, 0]
    expected = (0.3 * 2.0 / 2) ** 2 / 2
    assert abs(power.mean() - expected) < 5 * power.std() / math.sqrt(len(power))


def test_wander_stays_below_its_highest_frequency() -> None:
    noise = added(BaselineWander(sampling_rate=10.0), spikes(20, 2, 1000))
    power = torch.fft.rfft(noise).abs().square()  # bins of 0.01 Hz, the resolution
    assert float(power[:, :, 51:].sum() / power.sum()) < 1e-20
    assert float(power[:, :, 0].sum() / power.sum()) < 1e-20  # no offset
    fraction = (power[:, :, 1:51] / power.sum(dim=2, keepdim=True)).mean(dim=(0, 1))
    assert float(fraction.max() / fraction.min()) < 6  # every frequency takes part


def test_channels_share_the_wander_up_to_their_gain() -> None:
    x = spikes(2000, 3, 100)
    noise = added(BaselineWander(sampling_rate=10.0), x)
    scaled = noise / noise.norm(dim=2, keepdim=True)
    assert torch.allclose((scaled[:, 0] * scaled[:, 1]).sum(dim=1).abs(), torch.ones(2000, dtype=x.dtype))
    alone = added(BaselineWander(shared=False, sampling_rate=10.0), x)
    scaled = alone / alone.norm(dim=2, keepdim=True)
    assert float((scaled[:, 0] * scaled[:, 1]).sum(dim=1).abs().max()) < 0.9999
    ratio = (noise[:, 1] / noise[:, 0])[:, 0]  # of two gains, each ±N(1, 1)
    assert scipy.stats.binomtest(int((ratio > 0).sum()), 2000).pvalue > IMPLAUSIBLE


def test_a_wander_without_frequencies_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"resolution=2\.0 must divide highest=0\.5 into 1 to 10000 frequencies; got 0"
    ):
        BaselineWander(resolution=2.0)


# --- powerline -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("frequency", [50.0, 60.0])
def test_hum_has_its_lines_alone_and_its_law(frequency: float) -> None:
    part = Powerline(frequency=frequency, sampling_rate=500.0)
    noise = added(part, spikes(2000, 1, 500))  # bins of 1 Hz
    lines = torch.fft.rfft(noise)[:, 0] / 250  # amplitude and phase of each
    found = lines.abs()
    at = [int(k * frequency) for k in (1, 2, 3)]
    assert float(found.square().sum() - found[:, at].square().sum()) < 1e-18
    for line in at:  # a_k ~ U(0, 1) times A · P / K
        assert scipy.stats.kstest(found[:, line].numpy() / (0.5 * 2.0 / 3), "uniform").pvalue > IMPLAUSIBLE
    phase = lines[:, at].angle()
    assert torch.allclose((phase[:, 0] - phase[:, 1]).cos(), torch.ones(2000, dtype=torch.float64))  # one phase
    assert scipy.stats.kstest(phase[:, 0].numpy(), "uniform", (-np.pi, 2 * np.pi)).pvalue > IMPLAUSIBLE


def test_hum_reaches_each_channel_with_its_own_gain_and_never_more_than_its_amplitude() -> None:
    noise = added(Powerline(0.5, sampling_rate=1000.0), spikes(500, 3, 400))
    assert float(noise.abs().max()) <= 0.5 * 2.0
    size = noise.norm(dim=2)
    assert torch.allclose((noise[:, 0] * noise[:, 1]).sum(dim=1).abs(), size[:, 0] * size[:, 1])
    assert float((size[:, 0] / size[:, 1] - 1).abs().min()) > 0


def test_harmonics_above_half_the_rate_are_left_out() -> None:
    noise = added(Powerline(sampling_rate=240.0), spikes(50, 1, 240))
    power = torch.fft.rfft(noise).abs().square().mean(dim=(0, 1))
    assert set((power > 1e-12 * power.max()).nonzero().flatten().tolist()) == {50, 100}


def test_series_too_slow_for_hum_are_refused_by_their_rate() -> None:
    times = torch.arange(10, dtype=torch.float64)[None] / 80
    with pytest.raises(ValueError, match=r"sampled at 80 Hz hold nothing above 40 Hz, so no hum of frequency=50"):
        Powerline()(Batch.of(torch.zeros(1, 1, 10), times=times), gen())


# --- muscle artifact -------------------------------------------------------------------------------------------------


def test_a_burst_is_white_noise_under_its_envelope() -> None:
    steps, n = 400, 3000
    noise = added(MuscleArtifact(0.1, duration=(1.0, 1.0)), spikes(n, 1, steps))[:, 0]
    envelope = 0.2 * np.sin(np.pi * (np.arange(steps) + 0.5) / steps) ** 2
    assert scipy.stats.kstest((noise / torch.from_numpy(envelope)).flatten()[::40].numpy(), "norm").pvalue > IMPLAUSIBLE
    white = noise / torch.from_numpy(envelope)
    for lag in (1, 2, 7):
        correlation = float((white[:, :-lag] * white[:, lag:]).mean())
        assert abs(correlation) < 5 / math.sqrt(n * (steps - lag))


def test_bursts_lie_within_the_series_and_have_the_drawn_length() -> None:
    x = spikes(4000, 2, 120)
    x[::2, :, 60:] = NAN
    touched = added(MuscleArtifact(duration=(0.25, 0.5)), x)
    inside = touched.nan_to_num() != 0
    assert torch.equal(inside[:, 0], inside[:, 1])  # channels share the place
    count = inside[:, 0].sum(dim=1).numpy()
    for rows, length in ((slice(0, None, 2), 60), (slice(1, None, 2), 120)):
        assert count[rows].min() >= length * 0.25 - 1
        assert count[rows].max() <= length * 0.5 + 1
        assert abs(count[rows].mean() - 0.375 * length) < 5 * count[rows].std() / math.sqrt(2000)
    first = inside[1::2, 0].int().argmax(dim=1).numpy()
    position = (first / (120 - count[1::2]).clip(1)).clip(0, 1)
    assert scipy.stats.kstest(position, "uniform").statistic < 0.05  # up to the grid of steps


# --- electrode motion ------------------------------------------------------------------------------------------------


def test_jumps_decay_exponentially_from_their_onset() -> None:
    x = spikes(2000, 2, 300)
    noise = added(ElectrodeMotion(1.5, events=1, duration=(0.2, 0.2), sampling_rate=100.0), x)
    onset = (noise[:, 0] != 0).int().argmax(dim=1)
    assert torch.equal(onset, (noise[:, 1] != 0).int().argmax(dim=1))
    counts = torch.bincount(onset // 30, minlength=10)  # uniform over the steps
    assert scipy.stats.chisquare(counts.numpy()).pvalue > IMPLAUSIBLE
    jump = noise.gather(2, onset[:, None, None].expand(2000, 2, 1))
    since = torch.arange(300) - onset[:, None]
    expected = jump * torch.where(since >= 0, torch.exp(-since / (100.0 * 0.2)), 0)[:, None, :]
    assert torch.allclose(noise, expected, atol=1e-12)
    gains = (jump[:, :, 0] / (1.5 * 2.0)).numpy()
    assert scipy.stats.kstest(gains.ravel(), "uniform", (-1, 2)).pvalue > IMPLAUSIBLE
    assert abs(np.corrcoef(gains.T)[0, 1]) < 5 / math.sqrt(2000)


def test_events_add_up() -> None:
    noise = added(ElectrodeMotion(events=5, duration=(0.01, 0.01), sampling_rate=100.0), spikes(300, 1, 2000))
    jumps = (noise[:, 0].diff(dim=1).abs() > 1e-9) & (noise[:, 0, 1:].abs() > noise[:, 0, :-1].abs() + 1e-6)
    assert 4.5 < float(jumps.sum(dim=1).double().mean()) <= 5


@pytest.mark.parametrize("part", ARTIFACTS, ids=lambda part: type(part).__name__)
def test_artifacts_scale_with_the_series_and_pass_over_the_constant(part: Any) -> None:
    x = torch.randn(3, 2, 250, generator=gen(), dtype=torch.float64)
    assert torch.allclose(added(part, 10 * x), 10 * added(part, x))
    assert torch.allclose(added(part, x + 100), added(part, x), atol=1e-9)
    constant = torch.full((2, 1, 250), 3.0)
    assert torch.equal(part(constant, gen()), constant)


# --- lead dropout ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [0.2, 0.5, 0.9])
def test_dropped_leads_follow_the_truncated_binomial(p: float) -> None:
    n, channels = 20_000, 4
    dropped = (LeadDropout(p)(torch.ones(n, channels, 1), gen(1)) == 0)[:, :, 0]
    many = dropped.sum(dim=1)
    expected = scipy.stats.binom(channels, p).pmf(np.arange(1, channels))
    counts = torch.bincount(many, minlength=channels + 1)
    assert counts[0] == counts[channels] == 0
    assert scipy.stats.chisquare(counts[1:channels].numpy(), n * expected / expected.sum()).pvalue > IMPLAUSIBLE
    for number in range(1, channels):  # which ones is uniform
        subsets = Counter(tuple(row) for row in dropped[many == number].int().tolist())
        assert len(subsets) == math.comb(channels, number)
        assert scipy.stats.chisquare(list(subsets.values())).pvalue > IMPLAUSIBLE


def test_certain_dropout_leaves_one_lead_and_none_leaves_all() -> None:
    x = torch.ones(50, 5, 3)
    assert (LeadDropout(1.0)(x, gen())[:, :, 0] == 0).sum(dim=1).tolist() == [4] * 50
    assert torch.equal(LeadDropout(0.0)(x, gen()), x)
    assert torch.equal(LeadDropout()(x[:, :1], gen()), x[:, :1])


def test_fill_says_what_a_dropped_lead_becomes() -> None:
    x = torch.tensor([1.0, 2.0, NAN, 6.0]).expand(40, 3, 4)
    for fill, values in (("zero", [0.0, 0.0, NAN, 0.0]), ("mean", [3.0, 3.0, NAN, 3.0]), ("missing", [NAN] * 4)):
        part = LeadDropout(fill=fill)
        assert part.makes_gaps is (fill == "missing")
        view = part(x, gen())
        expected = torch.tensor(values)
        own = ((view == x) | (view.isnan() & x.isnan())).all(dim=2)
        gone = ((view == expected) | (view.isnan() & expected.isnan())).all(dim=2)
        assert bool((own ^ gone).all())
        assert 0 < int(gone.sum()) < 120


# --- CLOCS -----------------------------------------------------------------------------------------------------------


def stamped(x: Tensor) -> Batch:
    times = torch.where(x.isnan().all(dim=1), torch.nan, torch.arange(x.shape[2], dtype=torch.float64) / 100)
    return Batch.of(x, times=times, groups=torch.arange(len(x)) // 2)


def test_halves_are_the_two_halves_of_each_rows_own_length() -> None:
    x = torch.arange(60.0).reshape(3, 1, 20).repeat(1, 2, 1)
    x[1, :, 13:] = NAN
    x[2] = NAN
    batch = stamped(x)
    one, two = AdjacentSegments()(batch, gen())
    assert one.x.shape == two.x.shape == (3, 2, 10)
    assert torch.equal(one.x[0], x[0, :, :10])
    assert torch.equal(two.x[0], x[0, :, 10:])
    assert torch.equal(one.x[1, :, :6], x[1, :, :6])
    assert torch.equal(two.x[1, :, :6], x[1, :, 6:12])
    assert bool(one.x[1, :, 6:].isnan().all() and two.x[1, :, 6:].isnan().all() and two.x[2].isnan().all())
    assert batch.times is not None
    assert two.times is not None
    assert torch.equal(two.times[0], batch.times[0, 10:])
    assert torch.equal(two.times[1, :6], batch.times[1, 6:12])
    assert bool(two.times[1, 6:].isnan().all())
    assert [view.extra["segment"].tolist() for view in (one, two)] == [[0] * 3, [1] * 3]
    assert two.extra["offset"].tolist() == [10, 6, 0]
    assert two.groups is not None
    assert two.groups.tolist() == [0, 0, 1]


def test_segments_of_a_given_length_stand_side_by_side_anywhere() -> None:
    n, steps, length = 3000, 14, 4
    x = torch.arange(float(steps)).expand(n, 1, steps)
    views = AdjacentSegments(3, length)(stamped(x), gen())
    assert len(views) == AdjacentSegments(3, length).n_views == 3
    joined = torch.cat([view.x for view in views], dim=2)
    assert bool((joined.diff(dim=2) == 1).all())
    counts = torch.bincount(joined[:, 0, 0].long())
    assert len(counts) == steps - 3 * length + 1
    assert scipy.stats.chisquare(counts.numpy()).pvalue > IMPLAUSIBLE


def test_too_short_a_series_gives_overlapping_segments() -> None:
    views = AdjacentSegments(3, 4)(torch.arange(10.0).reshape(1, 1, 10))
    assert [view[0, 0].int().tolist() for view in views] == [[0, 1, 2, 3], [4, 5, 6, 7], [6, 7, 8, 9]]
    views = AdjacentSegments(3, 4)(torch.arange(2.0).reshape(1, 1, 2))
    assert [view[0, 0].int().tolist() for view in views] == [[0, 1]] * 3
    assert [view.tolist() for view in AdjacentSegments()(torch.ones(1, 1, 1))] == [[[[1.0]]]] * 2


def test_every_lead_is_a_view_once_and_in_any_order() -> None:
    n, channels = 6000, 3
    x = torch.arange(float(channels))[:, None].expand(n, channels, 5)
    batch = stamped(x)
    views = LeadViews(3)(batch, gen())
    leads = torch.stack([view.x[:, 0, 0] for view in views], dim=1).long()
    assert torch.equal(leads, torch.stack([view.extra["lead"] for view in views], dim=1))
    orders = Counter(tuple(row) for row in leads.tolist())
    assert sorted(orders) == sorted({(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)})
    assert scipy.stats.chisquare(list(orders.values())).pvalue > IMPLAUSIBLE
    assert all(view.x.shape == (n, 1, 5) and view.times is batch.times for view in views)


def test_fewer_leads_than_views_are_refused() -> None:
    x = torch.arange(2.0)[None, :, None].expand(1, 2, 3)
    for part in (LeadViews(), augmentations.build(["adjacent_segments", "lead_views"])):
        assert part.min_channels == 4
        with pytest.raises(ValueError, match=r"needs at least 4 channels; got 2: give more channels.*n_leads=4"):
            part(x, gen())
    assert sorted(int(view[0, 0, 0]) for view in LeadViews(2)(x, gen())) == [0, 1]


def test_wander_against_a_high_pass_filter() -> None:
    """What clinicians remove as wander is what was added."""
    clock = np.arange(4000) / RATE
    clean = torch.from_numpy(np.sin(2 * np.pi * 8 * clock)).reshape(1, 1, -1)
    dirty = BaselineWander(amplitude=1.0, sampling_rate=RATE)(clean, gen(2))
    sos = scipy.signal.butter(4, 2.0, "highpass", fs=RATE, output="sos")
    restored = scipy.signal.sosfiltfilt(sos, dirty[0, 0].numpy())
    assert np.abs(dirty[0, 0].numpy() - clean[0, 0].numpy()).max() > 0.2
    assert np.abs(restored - clean[0, 0].numpy())[1000:-1000].max() < 0.02
