"""Where a series ends, what bridges its gaps, and statistics of what was observed; and spectra over own lengths."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pandas as pd
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


@pytest.mark.parametrize("how", ["zero", "hold", "linear"])
def test_what_is_whole_is_given_back_without_a_copy(how: Any) -> None:
    x = torch.ones(2, 1, 3)
    assert bridge(x, how=how) is x


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 12), st.integers(0, 1000), st.floats(0.0, 1.0))
def test_a_line_goes_by_time_where_there_are_time_stamps(steps: int, seed: int, missing: float) -> None:
    x = drawn(3, 2, steps, seed, missing)
    times = torch.rand(3, steps, generator=gen(seed), dtype=torch.float64).cumsum(dim=1) * 100 + 7
    filled = bridge(x, times)
    for row in range(3):
        for channel in range(2):
            seen = ~np.isnan(x[row, channel].numpy())
            clock, values = times[row].numpy(), x[row, channel].numpy()
            expected = np.interp(clock, clock[seen], values[seen]) if seen.any() else np.zeros(steps)
            np.testing.assert_allclose(filled[row, channel], expected, atol=1e-9)
            assert np.array_equal(filled[row, channel].numpy()[seen], values[seen])
    torch.testing.assert_close(bridge(x, times * 3600.0), filled)  # in any unit


def test_between_equal_or_unknown_time_stamps_a_line_goes_by_position() -> None:
    x = torch.tensor([[[0.0, NAN, 3.0, NAN, 1.0]]])
    for times in (torch.full((1, 5), 4.0), torch.full((1, 5), NAN)):
        assert bridge(x, times)[0, 0].tolist() == [0.0, 1.5, 3.0, 2.0, 1.0]
    ends = torch.tensor([[0.0, 2.0, 3.0, NAN, NAN]])
    assert bridge(torch.tensor([[[0.0, NAN, 3.0, NAN, NAN]]]), ends)[0, 0].tolist() == [0.0, 2.0, 3.0, 3.0, 3.0]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 12), st.integers(0, 1000), st.floats(0.0, 1.0))
def test_the_last_observed_value_is_carried_on(steps: int, seed: int, missing: float) -> None:
    x = drawn(3, 2, steps, seed, missing)
    for row, out in zip(x.reshape(-1, steps), bridge(x, how="hold").reshape(-1, steps)):
        expected = pd.Series(row.numpy()).ffill().bfill().fillna(0.0).to_numpy()
        assert np.array_equal(out.numpy(), expected)
    assert torch.equal(bridge(x, how="zero"), x.nan_to_num(0.0))


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(["zero", "hold", "linear"]), st.integers(0, 1000), st.booleans(), st.integers(1, 5))
def test_what_is_filled_depends_neither_on_other_rows_nor_on_padding(
    how: Any, seed: int, timed: bool, more: int
) -> None:
    x = drawn(4, 2, 9, seed, 0.5)
    times = torch.rand(4, 9, generator=gen(seed)).cumsum(dim=1) if timed else None
    together = bridge(x, times, how)
    for row in range(4):
        alone = None if times is None else times[row : row + 1]
        assert torch.equal(bridge(x[row : row + 1], alone, how)[0], together[row])
    padded = torch.nn.functional.pad(x, (0, more), value=NAN)
    stamps = None if times is None else torch.nn.functional.pad(times, (0, more), value=NAN)
    assert torch.equal(bridge(padded, stamps, how)[:, :, :9], together)


@pytest.mark.parametrize("how", ["zero", "hold", "linear"])
def test_bridging_is_differentiable_in_the_observed_values(how: Any) -> None:
    x = drawn(2, 2, 6, seed=3)
    observed = ~torch.isnan(x)

    def of(values: torch.Tensor) -> torch.Tensor:
        return bridge(torch.full_like(x, NAN).masked_scatter(observed, values), how=how)

    assert torch.autograd.gradcheck(of, x[observed].requires_grad_())


def test_an_unknown_bridge_and_a_completion_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="how must be one of zero, hold, linear, completion; got 'spline'"):
        bridge(torch.zeros(1, 1, 2), how="spline")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"completion=Completion.of\(x_train\)"):
        bridge(torch.tensor([[[NAN, 1.0]]]), how="completion")


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
