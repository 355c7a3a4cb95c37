"""Frequency-domain members against NumPy's spectra: which lines change, by how much, and that the rest does not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import signal, stats

from helpers import NAN, gen
from kinview.augmentations import (
    AmplitudeJitter,
    AmplitudePhaseMixup,
    BandShuffle,
    FrequencyAddition,
    FrequencyDropout,
    FrequencyMask,
    PhaseJitter,
    SpectrogramMask,
    Surrogate,
    augmentations,
)
from kinview.data import Batch, bridge

MEMBERS = (
    "frequency_dropout",
    "frequency_addition",
    "amplitude_jitter",
    "phase_jitter",
    "frequency_mask",
    "band_shuffle",
    "amplitude_phase_mixup",
    "surrogate",
    "spectrogram_mask",
    "dominant_shuffle",
)


def noise(n: int, channels: int, steps: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(n, channels, steps, generator=gen(seed), dtype=torch.float64)


def lines(x: torch.Tensor) -> np.ndarray:
    return np.fft.rfft(x.numpy(), axis=-1)


# --- all members -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MEMBERS)
@pytest.mark.parametrize("steps", [100, 101])
def test_sign_and_mean_are_not_rectified(name: str, steps: int) -> None:
    x = noise(20, 2, steps)
    member = augmentations.build(name)
    view = member(x, gen())
    assert (view.abs() - x.abs()).abs().amax() > 1e-3
    torch.testing.assert_close(member(-x, gen()), -view)
    torch.testing.assert_close(member(x + 5, gen()), view + 5)
    torch.testing.assert_close(member(3 * x, gen()), 3 * view)
    if name != "spectrogram_mask":  # whose mask may fall on the slowest frequencies of a frame
        torch.testing.assert_close(view.mean(dim=2), x.mean(dim=2))


@pytest.mark.parametrize("name", sorted(set(MEMBERS) - {"surrogate", "dominant_shuffle", "band_shuffle"}))
def test_a_view_resembles_its_series(name: str) -> None:
    x = noise(200, 1, 128)
    view = augmentations.build(name)(x, gen())
    rows = [float(torch.corrcoef(torch.stack([one[0], other[0]]))[0, 1]) for one, other in zip(x, view)]
    assert np.mean(rows) > 0.7


@pytest.mark.parametrize("name", sorted(set(MEMBERS) - {"amplitude_phase_mixup"}))
def test_a_gap_is_bridged_for_the_spectrum_and_stays_a_gap(name: str) -> None:
    x = noise(6, 2, 60)
    x[torch.rand(x.shape, generator=gen(2)) < 0.2] = NAN
    x[:, :, 59] = 0.5  # all rows end at the same step
    view = augmentations.build(name)(x, gen())
    bridged = augmentations.build(name)(bridge(x), gen())
    torch.testing.assert_close(view, torch.where(torch.isnan(x), x, bridged), equal_nan=True)


# --- lines removed and raised ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [40, 41])
def test_frequency_dropout_removes_exactly_its_lines(steps: int) -> None:
    x = noise(300, 2, steps)
    for member, number in (
        (FrequencyDropout(), 2),
        (FrequencyDropout(lines=3, share=0.0), 3),
        (FrequencyDropout(0, 1.0), 20),
    ):
        after, before = lines(member(x, gen())), lines(x)
        gone = np.abs(after) < 1e-9
        assert (gone[..., 1:].sum(axis=-1) == number).all() and not gone[..., 0].any()
        np.testing.assert_allclose(after[~gone], before[~gone], atol=1e-9)
    counts = (np.abs(lines(FrequencyDropout()(noise(3000, 1, steps), gen()))) < 1e-9).sum(axis=(0, 1))
    assert counts[0] == 0 and stats.chisquare(counts[1:]).pvalue > 1e-4


def test_frequency_dropout_counts_the_lines_of_each_rows_own_length() -> None:
    x = noise(40, 1, 60)
    ends = [60, 41, 20, 3, 2, 1, 0, 33]
    for row in range(40):
        x[row, :, ends[row % 8] :] = NAN
    view = FrequencyDropout(lines=1, share=0.2)(x, gen())
    for row in range(40):
        end = ends[row % 8]
        if end:
            after = lines(view[row, 0, :end])
            expected = min(end // 2, max(1, int(0.2 * (end // 2) + 0.5)))
            assert (np.abs(after[1:]) < 1e-9).sum() == expected
            np.testing.assert_allclose(after[0], lines(x[row, 0, :end])[0], atol=1e-9)


@pytest.mark.parametrize("steps", [40, 41])
def test_frequency_addition_raises_weak_lines_to_their_share_of_the_largest(steps: int) -> None:
    x = noise(300, 2, steps)
    after, before = lines(FrequencyAddition(lines=3, share=0, alpha=0.5)(x, gen())), lines(x)
    half = 0.5 * np.abs(before)[..., 1:].max(axis=-1, keepdims=True)
    changed = np.abs(after - before) > 1e-9
    assert (changed.sum(axis=-1) == 3).all() and not changed[..., 0].any()
    np.testing.assert_allclose(np.abs(after)[changed], np.broadcast_to(half, after.shape)[changed], atol=1e-9)
    assert (np.abs(before)[changed] < np.broadcast_to(half, after.shape)[changed]).all()
    np.testing.assert_allclose(np.angle(after[changed] / before[changed]), 0, atol=1e-9)


def test_frequency_addition_gives_silent_lines_a_random_phase_and_keeps_the_series_real() -> None:
    tone = torch.sin(2 * torch.pi * 2 * torch.arange(8, dtype=torch.float64) / 8).expand(4000, 1, 8)
    after = lines(FrequencyAddition(lines=3, share=0, alpha=0.5)(tone, gen()))[:, 0]
    np.testing.assert_allclose(np.abs(after[:, 1:]), [[2, 4, 2, 2]] * 4000, atol=1e-6)
    # the tone's other lines are not quite 0 in floating point, so this is a test of truly silent ones
    square = torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=torch.float64).expand(4000, 1, 4)
    line = lines(FrequencyAddition(lines=1, share=0)(square, gen()))[:, 0, 1]
    assert stats.kstest(np.angle(line) / (2 * np.pi) + 0.5, "uniform").pvalue > 1e-4


def test_frequency_addition_of_the_official_code_adds_a_uniform_share_to_any_line() -> None:
    x = noise(500, 1, 101)
    after, before = lines(FrequencyAddition(share=0.1, alpha=0.1, mode="add")(x, gen())), lines(x)
    gain = (np.abs(after) - np.abs(before)) / (0.1 * np.abs(before)[..., 1:].max(axis=-1, keepdims=True))
    changed = np.abs(gain) > 1e-9
    assert (changed.sum(axis=-1) == 5).all()
    assert stats.kstest(gain[changed], "uniform").pvalue > 1e-4


def test_frequency_addition_has_the_papers_number_of_lines_and_an_alpha_for_each_mode() -> None:
    x = noise(300, 1, 100)
    largest = np.abs(lines(x))[..., 1:].max(axis=-1, keepdims=True)
    for mode, alpha in (("raise", 0.5), ("add", 0.1)):
        part = FrequencyAddition(mode=mode)
        assert (part.lines, part.share, part.alpha) == (1, 0.0, None)
        changed = np.abs(lines(part(x, gen())) - lines(x)) > 1e-9
        assert (changed.sum(axis=-1) == 1).all()
        assert torch.equal(part(x, gen()), FrequencyAddition(alpha=alpha, mode=mode)(x, gen()))
        half = part.strength_scaled(0.5)
        assert half == FrequencyAddition(alpha=alpha / 2, mode=mode)
        gain = np.abs(lines(half(x, gen()))) - np.abs(lines(x))
        assert 1e-3 < (gain / largest).max() <= alpha / 2 + 1e-9
        assert torch.equal(part.strength_scaled(0)(x, gen()), x)


@pytest.mark.parametrize("name", [*MEMBERS, "low_pass", "high_pass", "band_stop"])
@pytest.mark.parametrize("peak", [1e37, 1e-37, 1e-40])
@pytest.mark.parametrize("gaps", [False, True])
def test_very_large_and_very_small_values_stay_finite(name: str, peak: float, gaps: bool) -> None:
    x = noise(8, 2, 200).float().clamp(-1, 1)
    if gaps:
        x[torch.rand(x.shape, generator=gen(2)) < 0.1] = NAN
        x[::2, :, 150:] = NAN
    member = augmentations.build(name)
    view = member(x * peak, gen())
    assert torch.equal(torch.isnan(view), torch.isnan(x)) and not torch.isinf(view).any()
    if peak == 1e37:
        close = torch.isclose(view / peak, member(x, gen()), atol=1e-4, equal_nan=True)
        assert close.double().mean() > 0.98  # rounding may decide which line is the larger
    mixed = x * torch.tensor([1.0, peak]).repeat(4)[:, None, None]
    mixed[3, 0] = 0.0
    view = member(mixed, gen())
    assert torch.equal(torch.isnan(view), torch.isnan(mixed)) and not torch.isinf(view).any()


# --- amplitudes and phases -------------------------------------------------------------------------------------------


def test_amplitude_jitter_is_log_normal_and_keeps_phases() -> None:
    x = noise(200, 2, 100)
    ratio = lines(AmplitudeJitter(sigma=0.4)(x, gen()))[..., 1:] / lines(x)[..., 1:]
    np.testing.assert_allclose(np.angle(ratio), 0, atol=1e-9)
    assert stats.kstest(np.log(np.abs(ratio)).ravel() / 0.4, "norm").pvalue > 1e-4
    both = lines(AmplitudeJitter(shared=True)(x, gen()))[..., 1:] / lines(x)[..., 1:]
    np.testing.assert_allclose(both[:, 0], both[:, 1], atol=1e-9)


@pytest.mark.parametrize("steps", [100, 101])
def test_phase_jitter_turns_by_a_normal_angle_and_keeps_amplitudes(steps: int) -> None:
    x = noise(200, 2, steps)
    ratio = lines(PhaseJitter(sigma=0.3)(x, gen())) / lines(x)
    np.testing.assert_allclose(np.abs(ratio), 1, atol=1e-9)
    own = slice(1, (steps + 1) // 2)
    assert stats.kstest(np.angle(ratio[..., own]).ravel() / 0.3, "norm").pvalue > 1e-4
    np.testing.assert_allclose(np.delete(ratio, range(1, (steps + 1) // 2), axis=-1), 1, atol=1e-9)


@pytest.mark.parametrize("steps", [64, 65])
def test_a_surrogate_keeps_the_spectrum_and_draws_the_phases(steps: int) -> None:
    x = noise(200, 3, steps)
    view = Surrogate()(x, gen())
    np.testing.assert_allclose(np.abs(lines(view)), np.abs(lines(x)), atol=1e-9)
    torch.testing.assert_close(view.var(dim=2), x.var(dim=2))
    ratio = (lines(view) / lines(x))[..., 1 : (steps + 1) // 2]
    assert stats.kstest(np.angle(ratio[:, 0]).ravel() / (2 * np.pi) + 0.5, "uniform").pvalue > 1e-4
    half = (lines(Surrogate(spread=0.5)(x, gen())) / lines(x))[..., 1 : (steps + 1) // 2]
    assert stats.kstest(np.angle(half[:, 0]).ravel() / np.pi + 0.5, "uniform").pvalue > 1e-4


def test_a_surrogate_keeps_cross_correlations_where_channels_share_their_angles() -> None:
    x = noise(20, 2, 64)
    x[:, 1] = 0.5 * x[:, 0].roll(3, dims=1) + x[:, 1]

    def cross(series: torch.Tensor) -> np.ndarray:
        spectra = lines(series)
        return np.fft.irfft(spectra[:, 0] * spectra[:, 1].conj())

    np.testing.assert_allclose(cross(Surrogate()(x, gen())), cross(x), atol=1e-8)
    assert np.abs(cross(Surrogate(shared=False)(x, gen())) - cross(x)).max() > 1


# --- bands -----------------------------------------------------------------------------------------------------------


def test_frequency_mask_removes_one_band_of_neighbouring_lines() -> None:
    x = noise(3000, 1, 80)
    after, before = lines(FrequencyMask(width=0.2)(x, gen()))[:, 0], lines(x)[:, 0]
    gone = np.abs(after) < 1e-9
    np.testing.assert_allclose(after[~gone], before[~gone], atol=1e-9)
    width = gone.sum(axis=1)
    assert stats.chisquare(np.bincount(width, minlength=9)[1:]).pvalue > 1e-4  # 1 … 8 of 40 lines
    edges = np.diff(gone.astype(int), axis=1, prepend=0, append=0)
    assert (np.abs(edges).sum(axis=1) == 2).all() and not gone[:, 0].any()
    first = gone.argmax(axis=1)[width == 8]
    assert stats.chisquare(np.bincount(first, minlength=34)[1:]).pvalue > 1e-4
    two = np.abs(lines(FrequencyMask(masks=2, shared=True)(noise(50, 2, 80), gen()))) < 1e-9
    assert (two[:, 0] == two[:, 1]).all()


@pytest.mark.parametrize(("steps", "bands"), [(100, 4), (101, 4), (101, 1), (64, 16), (9, 16), (12_000, 7)])
def test_band_shuffle_moves_every_line_within_its_band(steps: int, bands: int) -> None:
    x = noise(3, 2, steps)
    after, before = lines(BandShuffle(bands=bands)(x, gen())), lines(x)
    own = (steps + 1) // 2 - 1  # lines with a phase
    width = max(2, -(-own // bands))
    np.testing.assert_allclose(after[..., 0], before[..., 0], atol=1e-7)
    np.testing.assert_allclose(after[..., own + 1 :], before[..., own + 1 :], atol=1e-7)
    for start in range(1, own + 1, width):
        band = slice(start, min(start + width, own + 1))
        for one, other in zip(after[..., band].reshape(6, -1), before[..., band].reshape(6, -1)):
            np.testing.assert_allclose(np.sort_complex(one.round(7)), np.sort_complex(other.round(7)), atol=1e-6)
            assert one.size == 1 or (np.abs(one - other) > 1e-7).all()


def test_band_shuffle_shuffles_a_band_with_probability_p_and_each_row_over_its_own_lines() -> None:
    x = noise(500, 1, 66)  # 32 lines with a phase, four bands of eight
    moved = np.abs(lines(BandShuffle(bands=4, p=0.3)(x, gen())) - lines(x))[:, 0, 1:33].reshape(500, 4, 8) > 1e-9
    assert (moved.all(axis=2) == moved.any(axis=2)).all()
    assert stats.binomtest(int(moved[..., 0].sum()), 2000, 0.3).pvalue > 1e-4
    x[::2, :, 50:] = NAN
    view = BandShuffle(bands=4)(x, gen())
    short, before = lines(view[::2, 0, :50]), lines(x[::2, 0, :50])
    np.testing.assert_allclose((np.abs(short) ** 2)[:, 1:7].sum(1), (np.abs(before) ** 2)[:, 1:7].sum(1))
    np.testing.assert_allclose(short[:, 25], before[:, 25], atol=1e-9)
    assert (np.abs(short - before)[:, 1:25] > 1e-9).all()


# --- amplitude and phase mixed with another row ----------------------------------------------------------------------


def mixed_by_the_formula(own: np.ndarray, other: np.ndarray, amplitude: float, phase: float) -> np.ndarray:
    """One channel by the paper's text: shortest arc, own mean and sign of the Nyquist line."""
    one, two = np.fft.rfft(own - own.mean()), np.fft.rfft(other)
    difference = (np.angle(one) - np.angle(two)) % (2 * np.pi)
    difference = np.where(difference > np.pi, difference - 2 * np.pi, difference)
    angle = np.angle(one) - (1 - phase) * difference
    if own.size % 2 == 0:
        angle[-1] = np.angle(one[-1]) if phase >= 0.5 else np.angle(two[-1])
    spectrum = (amplitude * np.abs(one) + (1 - amplitude) * np.abs(two)) * np.exp(1j * angle)
    spectrum[0] = 0
    return np.fft.irfft(spectrum, n=own.size) + own.mean()


@pytest.mark.parametrize("weights", [((0.7, 1.0), (0.9, 1.0)), ((0.0, 1.0), (0.0, 1.0)), ((0.0, 0.0), (0.0, 0.0))])
@pytest.mark.parametrize("steps", [30, 31])
def test_amplitude_phase_mixup_follows_the_formula(weights: tuple, steps: int) -> None:
    x = noise(12, 2, steps)
    view = AmplitudePhaseMixup(*weights)(Batch.of(x), gen())
    partner, amplitude, phase = (view.extra[key] for key in ("partner", "coefficient", "phase_coefficient"))
    assert sorted(partner.tolist()) == list(range(12)) and (partner != torch.arange(12)).all()
    for row in range(12):
        for channel in range(2):
            other = x[partner[row], channel].numpy()
            expected = mixed_by_the_formula(
                x[row, channel].numpy(), other - other.mean(), float(amplitude[row]), float(phase[row])
            )
            np.testing.assert_allclose(view.x[row, channel].numpy(), expected, atol=1e-9)
    if weights == ((0.0, 0.0), (0.0, 0.0)):  # nothing own but the mean
        torch.testing.assert_close(view.x - x.mean(2, keepdim=True), (x - x.mean(2, keepdim=True))[partner])


def test_amplitude_phase_mixup_draws_its_weights_uniformly() -> None:
    extra = AmplitudePhaseMixup()(Batch.of(noise(3000, 1, 4)), gen()).extra
    assert stats.kstest((extra["coefficient"].numpy() - 0.7) / 0.3, "uniform").pvalue > 1e-4
    assert stats.kstest((extra["phase_coefficient"].numpy() - 0.9) / 0.1, "uniform").pvalue > 1e-4


def test_amplitude_phase_mixup_reads_a_partner_over_the_rows_own_length() -> None:
    x = noise(10, 1, 40)
    ends = [40, 31, 30, 12, 7] * 2
    for row, end in enumerate(ends):
        x[row, :, end:] = NAN
    view = AmplitudePhaseMixup()(Batch.of(x), gen())
    assert torch.equal(torch.isnan(view.x), torch.isnan(x))
    for row, end in enumerate(ends):
        other = x[view.extra["partner"][row], 0].numpy()
        other = np.nan_to_num(other - np.nanmean(other))[:end]
        both = min(end, int((~torch.isnan(x[view.extra["partner"][row], 0])).sum())) / end  # of the own values
        weights = (1 - (1 - float(view.extra[key][row])) / both for key in ("coefficient", "phase_coefficient"))
        np.testing.assert_allclose(
            view.x[row, 0, :end].numpy(), mixed_by_the_formula(x[row, 0, :end].numpy(), other, *weights), atol=1e-9
        )


def test_amplitude_phase_mixup_leaves_a_channel_that_the_partner_lacks_and_a_row_that_is_alone() -> None:
    x = noise(2, 2, 20)
    x[1, 0] = NAN
    view = AmplitudePhaseMixup()(Batch.of(x), gen())
    assert torch.equal(view.x[0, 0], x[0, 0]) and not torch.equal(view.x[0, 1], x[0, 1])
    assert torch.isnan(view.x[1, 0]).all() and not torch.isnan(view.x[:, 1]).any()
    alone = AmplitudePhaseMixup()(Batch.of(x[:1]), gen())
    assert torch.equal(alone.x, x[:1])
    assert {key: value.tolist() for key, value in alone.extra.items()} == {
        "partner": [0],
        "coefficient": [1.0],
        "phase_coefficient": [1.0],
    }


# --- spectrogram -----------------------------------------------------------------------------------------------------


def masked_by_loops(x: np.ndarray, masked: np.ndarray, window: int) -> np.ndarray:
    """Frame by frame: transform, mask, transform back, overlap, add, divide by the sum of squared windows."""
    hop, mean = window // 4, x.mean()
    taper = signal.get_window("hann", window)
    place = np.arange(-3 * hop, x.size + 4 * window)
    total, weight = np.zeros(place.size), np.zeros(place.size)
    padded = np.zeros(place.size)
    padded[3 * hop : 3 * hop + x.size] = x - mean
    for frame in range(masked.shape[0]):
        part = slice(frame * hop, frame * hop + window)
        spectrum = np.fft.rfft(padded[part] * taper)
        spectrum[masked[frame]] = 0
        total[part] += np.fft.irfft(spectrum, n=window) * taper
        weight[part] += taper**2
    inside = slice(3 * hop, 3 * hop + x.size)
    return total[inside] / weight[inside] + mean


@pytest.mark.parametrize("window", [4, 16, 64])
@pytest.mark.parametrize("steps", [50, 97])
def test_spectrogram_mask_is_the_masked_transform_and_back(window: int, steps: int) -> None:
    x = noise(4, 2, steps)
    member = SpectrogramMask(window=window, frequency_width=0.5, time_width=0.4, time_masks=2)
    view = member(x, gen(4))
    frames = (steps - 1) // (window // 4) + 4
    shape = (4, 2, frames, window // 2 + 1)
    masked = member._masked(torch.full((4,), steps), shape, gen(4)).expand(shape).bool().numpy()
    assert masked.any() and not masked.all()
    for row in range(4):
        for channel in range(2):
            expected = masked_by_loops(x[row, channel].numpy(), masked[row, channel], window)
            np.testing.assert_allclose(view[row, channel].numpy(), expected, atol=1e-9)


def test_spectrogram_mask_widths_and_places() -> None:
    frequency = SpectrogramMask(window=32, frequency_width=0.5, time_width=0.0)
    masked = frequency._masked(torch.full((3000,), 100), (3000, 1, 16, 17), gen())
    assert masked.shape == (3000, 1, 1, 17)
    width = masked.flatten(1).sum(dim=1).int().numpy()
    assert stats.chisquare(np.bincount(width, minlength=9)[1:]).pvalue > 1e-4  # 1 … 8
    time = SpectrogramMask(window=32, frequency_width=0.0, time_width=0.25)
    lengths = torch.tensor([100, 40, 0]).repeat(1000)
    masked = time._masked(lengths, (3000, 1, 16, 17), gen())[:, 0, :, 0]  # frames 8 steps apart: 16, 8 and none
    assert stats.chisquare(np.bincount(masked[0::3].sum(dim=1).int(), minlength=5)[1:]).pvalue > 1e-4
    assert int(masked[1::3].sum(dim=1).max()) == 2 and not masked[1::3, 8:].any() and not masked[2::3].any()
    with pytest.raises(ValueError, match="window must be a multiple of 4; got 30"):
        SpectrogramMask(window=30)


@pytest.mark.parametrize("name", sorted(set(MEMBERS) - {"dominant_shuffle"}))
def test_no_strength_is_the_identity_and_little_strength_changes_little(name: str) -> None:
    x = noise(30, 2, 128)
    whole = augmentations.build(name)
    assert torch.equal(whole.strength_scaled(0)(x, gen()), x)
    weak, strong = ((augmentations.build(name).strength_scaled(by)(x, gen()) - x).square().mean() for by in (0.25, 1.0))
    assert 0 < weak < strong
