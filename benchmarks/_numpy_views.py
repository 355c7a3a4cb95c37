"""The usual NumPy views of research code, per sample as they are commonly written, transcribed from their definitions.

Series are ``(n, C, T)`` float32, tables ``(n, columns)``; parameters are kinview's defaults. As in that code, NumPy's
legacy functions draw, each channel is warped by a curve of its own, and nothing knows gaps or ends of series.

The distribution is that of kinview's member, and what comes out is as there an array of its own, not a look into the
input. Where public code draws otherwise (each bin or cell by chance instead of an exact number, the same leads in all
rows), the peer follows the member; where public code is vectorised, so is the peer.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.ndimage
import scipy.signal
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

Array = NDArray[np.float32]
Random = np.random.RandomState
RATE = 250.0
SERIES: dict[str, Callable[[Array, Random], object]] = {}
TABLES: dict[str, Callable[[Array, Random], object]] = {}


def series(function: Callable[[Array, Random], object]) -> Callable[[Array, Random], object]:
    SERIES[function.__name__] = function
    return function


def table(function: Callable[[Array, Random], object]) -> Callable[[Array, Random], object]:
    TABLES[function.__name__] = function
    return function


# --- time domain -----------------------------------------------------------------------------------------------------


@series
def jitter(x: Array, random: Random) -> Array:
    return x + random.normal(0, 0.8, x.shape)


@series
def scaling(x: Array, random: Random) -> Array:
    return x * random.normal(1, 0.1, (*x.shape[:2], 1))


@series
def offset(x: Array, random: Random) -> Array:
    return x + np.clip(random.normal(0, 0.1, (*x.shape[:2], 1)), -0.2, 0.2)


@series
def sign_flip(x: Array, random: Random) -> Array:
    return np.where(random.random((*x.shape[:2], 1)) < 1.0, -1.0, 1.0) * x


@series
def channel_permutation(x: Array, random: Random) -> Array:
    out = np.empty_like(x)
    for i, row in enumerate(x):
        out[i] = row[random.permutation(x.shape[1])]
    return out


@series
def time_reverse(x: Array, random: Random) -> Array:
    return x[:, :, ::-1].copy()


@series
def permutation(x: Array, random: Random) -> Array:
    steps, out = np.arange(x.shape[2]), np.empty_like(x)
    for i, row in enumerate(x):
        segments = random.randint(2, 6)
        cuts = np.sort(random.choice(x.shape[2] - 2, segments - 1, replace=False) + 1)
        parts = np.split(steps, cuts)
        out[i] = row[:, np.concatenate([parts[k] for k in random.permutation(segments)])]
    return out


@series
def time_shift(x: Array, random: Random) -> Array:
    most = round(0.1 * x.shape[2])
    return np.stack([np.roll(row, random.randint(-most, most + 1), axis=1) for row in x])


def smooth_curves(x: Array, random: Random, sigma: float, knots: int, channels: int) -> NDArray[np.float64]:
    """One cubic spline through random knots for each sample and channel, as loops build them."""
    steps = np.arange(x.shape[2])
    places = np.linspace(0, x.shape[2] - 1, knots + 2)
    heights = random.normal(1, sigma, (len(x), channels, knots + 2))
    return np.array([[CubicSpline(places, h)(steps) for h in row] for row in heights])


@series
def magnitude_warp(x: Array, random: Random) -> Array:
    out = np.empty_like(x)
    for i, curves in enumerate(smooth_curves(x, random, 0.2, 4, x.shape[1])):
        out[i] = x[i] * curves
    return out


@series
def time_warp(x: Array, random: Random) -> Array:
    steps, out = np.arange(x.shape[2]), np.empty_like(x)
    for i, curves in enumerate(smooth_curves(x, random, 0.2, 4, x.shape[1])):
        for c, curve in enumerate(curves):
            clock = np.cumsum(curve)
            out[i, c] = np.interp(steps, (clock - clock[0]) * (x.shape[2] - 1) / (clock[-1] - clock[0]), x[i, c])
    return out


@series
def window_warp(x: Array, random: Random) -> Array:
    length = x.shape[2]
    size, out = int(np.ceil(0.1 * length)), np.empty_like(x)
    for i, row in enumerate(x):
        start, scale = random.randint(1, length - size - 1), random.choice([0.5, 2.0])
        for c, channel in enumerate(row):
            window = channel[start : start + size]
            warped = np.interp(np.linspace(0, size - 1, int(size * scale)), np.arange(size), window)
            whole = np.concatenate([channel[:start], warped, channel[start + size :]])
            out[i, c] = np.interp(np.linspace(0, len(whole) - 1, length), np.arange(len(whole)), whole)
    return out


def stretched(x: Array, starts: NDArray[np.int64], sizes: NDArray[np.int64]) -> Array:
    out = np.empty_like(x)
    for i, (row, start, size) in enumerate(zip(x, starts, sizes, strict=True)):
        for c, channel in enumerate(row):
            places = np.linspace(0, size - 1, x.shape[2])
            out[i, c] = np.interp(places, np.arange(size), channel[start : start + size])
    return out


@series
def window_slice(x: Array, random: Random) -> Array:
    size = int(np.ceil(0.9 * x.shape[2]))
    return stretched(x, random.randint(0, x.shape[2] - size + 1, len(x)), np.full(len(x), size))


@series
def random_crop_resize(x: Array, random: Random) -> Array:
    sizes = np.ceil(random.uniform(0.5, 1.0, len(x)) * x.shape[2]).astype(np.int64)
    return stretched(x, (random.random(len(x)) * (x.shape[2] - sizes + 1)).astype(np.int64), sizes)


@series
def crop_pair(x: Array, random: Random) -> tuple[Array, Array]:
    steps = x.shape[2]
    size = random.randint(2, steps + 1)
    left = random.randint(0, steps - size + 1)
    first, last = random.randint(0, left + 1), random.randint(left + size, steps + 1)
    moved = random.randint(-first, steps - last + 1, len(x))

    def taken(start: int, number: int) -> Array:  # one fancy index over steps and channels
        places = (moved + start)[:, None] + np.arange(number)
        return x.transpose(0, 2, 1)[np.arange(len(x))[:, None], places]

    return taken(first, left + size - first), taken(left, last - left)


@series
def resample(x: Array, random: Random) -> Array:
    out = np.empty_like(x)
    for i, row in enumerate(x):
        rate = random.uniform(0.5, 0.75)
        start = random.uniform(0, (1 - rate) * (x.shape[2] - 1))
        places = start + rate * np.arange(x.shape[2])
        for c, channel in enumerate(row):
            out[i, c] = np.interp(places, np.arange(x.shape[2]), channel)
    return out


@series
def smooth(x: Array, random: Random) -> Array:
    widths = random.uniform(0.5, 2.0, len(x))
    return np.stack([scipy.ndimage.gaussian_filter1d(row, s, axis=1) for row, s in zip(x, widths, strict=True)])


def filtered(x: Array, bands: list[object], kind: str) -> Array:
    out = np.empty_like(x)
    for i, (row, band) in enumerate(zip(x, bands, strict=True)):
        out[i] = scipy.signal.sosfiltfilt(scipy.signal.butter(4, band, kind, output="sos"), row)
    return out


@series
def low_pass(x: Array, random: Random) -> Array:
    return filtered(x, list(random.uniform(0.1, 0.5, len(x))), "lowpass")


@series
def high_pass(x: Array, random: Random) -> Array:
    return filtered(x, list(random.uniform(0.01, 0.1, len(x))), "highpass")


@series
def band_stop(x: Array, random: Random) -> Array:
    middles = random.uniform(0.028, 0.825, len(x))
    return filtered(x, [(m - 0.025, m + 0.025) for m in middles], "bandstop")


@series
def drift(x: Array, random: Random) -> Array:
    steps, places, out = np.arange(x.shape[2]), np.linspace(0, x.shape[2] - 1, 5), np.empty_like(x)
    for i, row in enumerate(x):
        for c, channel in enumerate(row):
            curve = CubicSpline(places, np.cumsum(random.normal(size=5)))(steps)
            curve -= curve[0]
            out[i, c] = channel + curve * 0.5 * np.ptp(channel) / np.abs(curve).max()
    return out


@series
def pool(x: Array, random: Random) -> Array:
    n, c, steps = x.shape
    return np.repeat(x[:, :, : steps // 2 * 2].reshape(n, c, -1, 2).mean(axis=3), 2, axis=2)


@series
def quantize(x: Array, random: Random) -> Array:
    low, high = x.min(axis=2, keepdims=True), x.max(axis=2, keepdims=True)
    level = np.clip(np.floor((x - low) / (high - low) * 10), 0, 9)
    return (level + 0.5) / 10 * (high - low) + low


@series
def convolve(x: Array, random: Random) -> Array:
    window = scipy.signal.get_window("hann", 7, fftbins=False)
    window /= window.sum()
    return np.stack([[np.convolve(channel, window, mode="same") for channel in row] for row in x])


# --- masking ---------------------------------------------------------------------------------------------------------


@series
def binomial_mask(x: Array, random: Random) -> Array:
    return np.where(random.binomial(1, 0.5, (len(x), 1, x.shape[2])).astype(bool), x, np.nan)


@series
def continuous_mask(x: Array, random: Random) -> Array:
    keep, size = np.ones((len(x), 1, x.shape[2]), dtype=bool), int(0.1 * x.shape[2])
    for row in keep:
        for _ in range(5):
            start = random.randint(0, x.shape[2] - size + 1)
            row[0, start : start + size] = False
    return np.where(keep, x, np.nan)


@series
def cutout(x: Array, random: Random) -> Array:
    out, size = x.copy(), int(0.25 * x.shape[2])
    for row in out:
        start = random.randint(0, x.shape[2] - size + 1)
        row[:, start : start + size] = 0
    return out


@series
def channel_dropout(x: Array, random: Random) -> Array:
    return x * (random.random((*x.shape[:2], 1)) >= 0.2)


@series
def history_cutout(x: Array, random: Random) -> Array:
    out = x.copy()
    for row in out:
        for channel in row:
            start = random.randint(0, x.shape[2] - 8)
            channel[start : start + 8] = 0
    return out


@series
def history_crop(x: Array, random: Random) -> Array:
    out = x.copy()
    for row in out:
        row[:, : int(random.uniform(0, 0.5) * x.shape[2])] = 0
    return out


@series
def observation_dropout(x: Array, random: Random) -> Array:
    return np.where(random.random(x.shape) < 0.2, np.nan, x)


@series
def last_mask(x: Array, random: Random) -> Array:
    out = x.copy()
    out[:, :, -1] = np.nan
    return out


# --- frequency domain and mixing -------------------------------------------------------------------------------------


def back(z: NDArray[np.complexfloating], x: Array) -> Array:
    return np.fft.irfft(z, x.shape[2], axis=2)


@series
def frequency_dropout(x: Array, random: Random) -> Array:
    z = np.fft.rfft(x, axis=2)
    number = round(0.1 * (z.shape[2] - 1))
    keys = random.random((*z.shape[:2], z.shape[2] - 1))
    np.put_along_axis(z, keys.argpartition(-number, axis=2)[:, :, -number:] + 1, 0, axis=2)
    return back(z, x)


@series
def frequency_addition(x: Array, random: Random) -> Array:
    z = np.fft.rfft(x, axis=2)
    size, number = np.abs(z), round(0.1 * (z.shape[2] - 1))
    size[:, :, 0] = 0
    goal = 0.5 * size.max(axis=2, keepdims=True)
    keys = np.where(size < goal, random.random(z.shape), -1)
    keys[:, :, 0] = -1
    where = keys.argpartition(-number, axis=2)[:, :, -number:]
    weak = np.take_along_axis(keys, where, axis=2) >= 0
    lines, lengths = np.take_along_axis(z, where, axis=2), np.take_along_axis(size, where, axis=2)
    np.put_along_axis(z, where, np.where(weak, lines / lengths * goal, lines), axis=2)
    return back(z, x)


@series
def amplitude_jitter(x: Array, random: Random) -> Array:
    z = np.fft.rfft(x, axis=2)
    return back(np.abs(z) * random.normal(1, 0.2, z.shape) * np.exp(1j * np.angle(z)), x)


@series
def phase_jitter(x: Array, random: Random) -> Array:
    z = np.fft.rfft(x, axis=2)
    return back(np.abs(z) * np.exp(1j * (np.angle(z) + random.normal(0, 0.3, z.shape))), x)


@series
def frequency_mask(x: Array, random: Random) -> Array:
    z = np.fft.rfft(x, axis=2)
    for row in z:
        for channel in row:
            size = random.randint(0, int(0.2 * z.shape[2]) + 1)
            start = random.randint(0, z.shape[2] - size + 1)
            channel[start : start + size] = 0
    return back(z, x)


@series
def band_shuffle(x: Array, random: Random) -> Array:
    z = np.fft.rfft(x, axis=2)
    for row in z:
        for channel in row:
            for band in np.array_split(channel[1:-1], 16):
                random.shuffle(band)
    return back(z, x)


@series
def amplitude_phase_mixup(x: Array, random: Random) -> Array:
    z = np.fft.rfft(x, axis=2)
    other = z[random.permutation(len(x))]
    a, p = random.uniform(0.7, 1, (len(x), 1, 1)), random.uniform(0.9, 1, (len(x), 1, 1))
    angle = np.angle(z)
    arc = (np.angle(other) - angle + np.pi) % (2 * np.pi) - np.pi
    return back((a * np.abs(z) + (1 - a) * np.abs(other)) * np.exp(1j * (angle + (1 - p) * arc)), x)


@series
def surrogate(x: Array, random: Random) -> Array:
    z = np.fft.rfft(x, axis=2)
    turn = np.exp(2j * np.pi * random.random((len(x), 1, z.shape[2])))
    turn[:, :, [0, -1]] = 1
    return back(z * turn, x)


@series
def spectrogram_mask(x: Array, random: Random) -> Array:
    out = np.empty_like(x)
    for i, row in enumerate(x):
        for c, channel in enumerate(row):
            z = scipy.signal.stft(channel, nperseg=64)[2]
            for axis, fraction in ((0, 0.3), (1, 0.1)):
                size = random.randint(0, int(fraction * z.shape[axis]) + 1)
                start = random.randint(0, z.shape[axis] - size + 1)
                z[(slice(None),) * axis + (slice(start, start + size),)] = 0
            out[i, c] = scipy.signal.istft(z, nperseg=64)[1][: x.shape[2]]
    return out


@series
def mixup(x: Array, random: Random) -> Array:
    weight = random.beta(0.2, 0.2, (len(x), 1, 1))
    return weight * x + (1 - weight) * x[random.permutation(len(x))]


@series
def cutmix(x: Array, random: Random) -> Array:
    out, partner = x.copy(), random.permutation(len(x))
    for i in range(len(x)):
        size = int(random.beta(1, 1) * x.shape[2])
        start = random.randint(0, x.shape[2] - size + 1)
        out[i, :, start : start + size] = x[partner[i], :, start : start + size]
    return out


@series
def dominant_shuffle(x: Array, random: Random) -> Array:
    z = np.fft.rfft(x, axis=2)
    for row in z:
        for channel in row:
            top = np.argsort(np.abs(channel[1:]))[-4:] + 1
            channel[top] = channel[random.permutation(top)]
    return back(z, x)


@series
def geometric_mixup(x: Array, random: Random) -> Array:
    weight, other = random.uniform(0.7, 1, (len(x), 1, 1)), x[random.permutation(len(x))]
    return np.sign(x) * np.abs(x) ** weight * np.abs(other) ** (1 - weight)


# --- clinical --------------------------------------------------------------------------------------------------------


@series
def baseline_wander(x: Array, random: Random) -> Array:
    time, out = np.arange(x.shape[2]) / RATE, x.copy()
    for row in out:
        for frequency in np.arange(0.01, 0.51, 0.01):
            row += 0.02 * random.random() * np.cos(2 * np.pi * (frequency * time + random.random()))
    return out


@series
def powerline(x: Array, random: Random) -> Array:
    time, out = np.arange(x.shape[2]) / RATE, x.copy()
    for row in out:
        for harmonic in (1, 2):
            row += 0.5 * random.random() * np.cos(2 * np.pi * (50 * harmonic * time + random.random()))
    return out


@series
def muscle_artifact(x: Array, random: Random) -> Array:
    out = x.copy()
    for row in out:
        size = int(random.uniform(0.25, 1) * x.shape[2])
        start = random.randint(0, x.shape[2] - size + 1)
        row[:, start : start + size] += 0.1 * random.normal(size=(x.shape[1], size)) * np.hanning(size)
    return out


@series
def electrode_motion(x: Array, random: Random) -> Array:
    out, steps = x.copy(), x.shape[2]
    for row in out:
        for channel in row:
            for _ in range(2):
                start, fall = random.randint(0, steps), random.uniform(0.1, 0.5) * RATE
                channel[start:] += random.normal() * np.exp(-np.arange(steps - start) / fall)
    return out


@series
def lead_dropout(x: Array, random: Random) -> Array:
    return x * (random.random((*x.shape[:2], 1)) >= 0.5)


@series
def adjacent_segments(x: Array, random: Random) -> tuple[Array, Array]:
    half = x.shape[2] // 2
    return x[:, :, :half].copy(), x[:, :, half : 2 * half].copy()


@series
def lead_views(x: Array, random: Random) -> list[Array]:
    rows, order = np.arange(len(x)), random.random(x.shape[:2]).argsort(axis=1)
    return [x[rows, order[:, c]][:, None] for c in range(3)]


# --- tables and embeddings -------------------------------------------------------------------------------------------


@table
def column_corruption(x: Array, random: Random) -> Array:
    out, q = x.copy(), int(0.6 * x.shape[1])
    for row in out:
        columns = random.choice(x.shape[1], q, replace=False)
        row[columns] = x[random.randint(0, len(x), q), columns]
    return out


def bernoulli(x: Array, random: Random, rate: float, replacement: object) -> Array:
    return np.where(random.random(x.shape) < rate, replacement, x)


@table
def swap_noise(x: Array, random: Random) -> Array:
    shuffled = np.empty_like(x)
    for column in range(x.shape[1]):
        shuffled[:, column] = x[random.permutation(len(x)), column]
    return bernoulli(x, random, 0.3, shuffled)


@table
def gaussian_noise(x: Array, random: Random) -> Array:
    return bernoulli(x, random, 0.3, x + random.normal(0, 0.1, x.shape))


@table
def zero_out(x: Array, random: Random) -> Array:
    return bernoulli(x, random, 0.3, 0.0)


@table
def mean_mask(x: Array, random: Random) -> Array:
    return bernoulli(x, random, 0.6, x.mean(axis=0))


@table
def uniform_range(x: Array, random: Random) -> Array:
    return bernoulli(x, random, 0.6, random.uniform(x.min(axis=0), x.max(axis=0), x.shape))


@table
def joint_row_swap(x: Array, random: Random) -> Array:
    q = int(0.6 * x.shape[1])
    columns = random.random(x.shape).argpartition(q, axis=1)[:, :q]
    out, donors = x.copy(), random.randint(0, len(x), (len(x), 1))
    np.put_along_axis(out, columns, x[donors, columns], axis=1)
    return out


@table
def column_subsets(x: Array, random: Random) -> list[Array]:
    size = x.shape[1] // 4
    views = []
    for k in range(4):
        columns = np.arange(k * size, (k + 1) * size + int(0.75 * size)) % x.shape[1]
        view = np.full_like(x, np.nan)
        view[:, columns] = x[:, columns]
        views.append(view)
    return views


@table
def table_cutmix(x: Array, random: Random) -> Array:
    order = random.permutation(len(x))
    partner = np.empty_like(order)
    partner[order] = np.roll(order, 1)  # never the row itself
    return bernoulli(x, random, 0.3, x[partner])


@table
def class_conditional_corruption(x: Array, random: Random) -> Array:
    out, y, q = x.copy(), np.arange(len(x)) % 2, int(0.6 * x.shape[1])
    rows = [np.flatnonzero(y == label) for label in (0, 1)]
    for row, label in zip(out, y, strict=True):
        columns = random.choice(x.shape[1], q, replace=False)
        row[columns] = x[random.choice(rows[label], q), columns]
    return out


@table
def embedding_noise(x: Array, random: Random) -> Array:
    return x + 0.5 * random.normal(size=x.shape)


@table
def feature_dropout(x: Array, random: Random) -> Array:
    return x * (random.random(x.shape) >= 0.1) / 0.9


@table
def embedding_mixup(x: Array, random: Random) -> Array:
    weight = random.beta(2, 2, (len(x), 1))
    weight = np.maximum(weight, 1 - weight)
    return weight * x + (1 - weight) * x[random.permutation(len(x))]
