"""Where a series ends, what bridges its gaps, and statistics of what was observed; and spectra over own lengths."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings

from helpers import NAN, gen
from kinview.data import (
    bridge,
    inverse_spectrum,
    observed_mean,
    observed_peak,
    observed_std,
    spectrum,
    valid_lengths,
)


def drawn(n: int, channels: int, steps: int, seed: int, missing: float = 0.3) -> torch.Tensor:
    generator = gen(seed)
    x = torch.randn(n, channels, steps, generator=generator, dtype=torch.float64)
    x[torch.rand(x.shape, generator=generator) < missing] = NAN
    return x


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 12), st.integers(0, 1000), st.floats(0.0, 1.0))
def test_gaps_are_bridged_as_numpy_interpolates(steps: int, seed: int, missing: float) -> None:
    x = drawn(3, 2, steps, seed, missing)
    before = x.clone()
    filled = bridge(x)
    assert torch.equal(x.nan_to_num(7.0), before.nan_to_num(7.0))
    for row, out in zip(x.reshape(-1, steps).numpy(), filled.reshape(-1, steps).numpy()):
        seen = ~np.isnan(row)
        expected = np.interp(np.arange(steps), np.flatnonzero(seen), row[seen]) if seen.any() else np.zeros(steps)
        np.testing.assert_allclose(out, expected, atol=1e-12)
        assert np.array_equal(out[seen], row[seen])


def test_what_is_whole_is_given_back_without_a_copy() -> None:
    x = torch.ones(2, 1, 3)
    assert bridge(x) is x


def test_statistics_are_those_of_the_observed_values() -> None:
    x = drawn(20, 3, 15, seed=1)
    x[0, 0] = NAN
    rows = [row[~np.isnan(row)] for row in x.reshape(-1, 15).numpy()]
    for statistic, oracle in (
        (observed_mean, np.mean),
        (observed_std, np.std),
        (observed_peak, lambda row: np.abs(row).max()),
    ):
        expected = [oracle(row) if len(row) else 0.0 for row in rows]
        np.testing.assert_allclose(statistic(x).reshape(-1), expected, atol=1e-12)
    assert observed_peak(torch.zeros(2, 1, 0)).shape == (2, 1, 1)


def test_a_time_stamp_keeps_a_trailing_gap_inside() -> None:
    x = torch.tensor([[[1.0, NAN, NAN]], [[NAN, 2.0, NAN]]])
    assert valid_lengths(x).tolist() == [1, 2]
    times = torch.tensor([[0.0, 1.0, NAN], [0.0, 1.0, 2.0]])
    assert valid_lengths(x, times).tolist() == [2, 3]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.lists(st.integers(0, 40), min_size=1, max_size=6), st.integers(0, 1000))
def test_spectra_are_those_of_each_series_alone(steps: int, wanted: list[int], seed: int) -> None:
    lengths = torch.tensor([min(length, steps) for length in wanted])
    x = drawn(len(wanted), 2, steps, seed, missing=0.0)
    padded = torch.where((torch.arange(steps) < lengths[:, None])[:, None], x, torch.tensor(NAN, dtype=x.dtype))
    found = spectrum(padded, lengths)
    assert found.shape == (len(wanted), 2, steps // 2 + 1)
    for row, length in enumerate(lengths.tolist()):
        expected = np.zeros((2, steps // 2 + 1), dtype=complex)
        if length:
            expected[:, : length // 2 + 1] = np.fft.rfft(x[row, :, :length].numpy())
        np.testing.assert_allclose(found[row].numpy(), expected, atol=1e-10)
    back = inverse_spectrum(found, lengths, steps)
    inside = (torch.arange(steps) < lengths[:, None])[:, None]
    torch.testing.assert_close(back, torch.where(inside, x, 0.0), atol=1e-10, rtol=0)


def test_the_inverse_ignores_imaginary_parts_that_no_real_series_has() -> None:
    lengths = torch.tensor([4, 4])
    spectra = torch.tensor([[[1 + 2j, 0, 3 + 1j]], [[1, 0, 3]]], dtype=torch.complex128)
    one, other = inverse_spectrum(spectra, lengths, 4)
    torch.testing.assert_close(one, other)
    mixed = inverse_spectrum(torch.cat([spectra, spectra[:1]]), torch.tensor([4, 4, 3]), 4)
    torch.testing.assert_close(mixed[:2], torch.stack([one, other]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_type_of_the_values_is_kept(dtype: torch.dtype) -> None:
    for lengths in (torch.tensor([5, 5]), torch.tensor([5, 3]), torch.tensor([0, 0])):
        found = spectrum(torch.ones(2, 1, 5, dtype=dtype), lengths)
        assert found.dtype == (torch.complex64 if dtype == torch.float32 else torch.complex128)
        assert inverse_spectrum(found, lengths, 5).dtype == dtype


def test_unequal_lengths_agree_with_equal_ones_in_float32() -> None:
    x = torch.randn(4, 2, 500, generator=gen())
    together = spectrum(x, torch.tensor([500, 500, 499, 3]))
    alone = spectrum(x[:2], torch.tensor([500, 500]))
    torch.testing.assert_close(together[:2], alone, atol=1e-4, rtol=0)  # values reach 60
