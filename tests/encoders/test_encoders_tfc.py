"""Encoders of TF-C: the residual network, the frequency branch, and the official transformer."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from torch import Tensor, nn

from helpers import NAN, gen, pad, seeded, with_gaps
from kinview.encoders import FrequencyEncoder, ResNet1d, TFCTransformer, magnitude_spectrum
from kinview.encoders.tfc_transformer import resampled

SMALL: dict[str, Any] = {"widths": [4, 6, 5], "kernel_sizes": [7, 5, 3]}


def trained(build: Callable[..., Any], *args: Any, **parameters: Any) -> Any:
    """A module in evaluation mode whose biases and running statistics matter, as after training."""

    def changed() -> Any:
        built = build(*args, **parameters)
        for module in built.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.running_mean.uniform_(-0.5, 0.5)
                module.running_var.uniform_(0.5, 2.0)
                nn.init.uniform_(module.bias, -0.5, 0.5)
        return built.eval()

    return seeded(changed)


def resnet(**changed: Any) -> ResNet1d:
    return trained(ResNet1d, **{"channels": 2, **SMALL, **changed})


def frequency(**changed: Any) -> FrequencyEncoder:
    return trained(FrequencyEncoder, **{"channels": 2, "encoder": {"resnet1d": SMALL}, "bins": 16, **changed})


def gappy(n: int = 5, channels: int = 2, steps: int = 23) -> Tensor:
    return with_gaps(torch.randn(n, channels, steps, generator=gen(1)).cumsum(dim=2))


# --- the residual network --------------------------------------------------------------------------------------------


def test_resnet_follows_the_formula() -> None:
    network = resnet(front_end="values")
    x = torch.randn(3, 2, 21, generator=gen())
    h = x
    for block, kernel in zip(network.blocks, (7, 5, 3), strict=True):
        inner = F.relu(block.norm1(F.conv1d(h, block.conv1.weight, stride=2, padding=kernel // 2)))
        inner = block.norm2(F.conv1d(inner, block.conv2.weight, padding=kernel // 2))
        h = F.relu(inner + block.shortcut_norm(F.conv1d(h, block.shortcut.weight, stride=2)))
    torch.testing.assert_close(network(x), h, rtol=0, atol=1e-5)
    assert h.shape[2] == 3


def test_resnet_has_the_size_and_the_reach_that_its_documentation_says() -> None:
    network = ResNet1d(1)
    assert sum(p.numel() for p in network.parameters()) == 123_712
    assert network.receptive_field == 67
    assert "receptive_field=67, parameters=123712" in repr(network)
    assert network.feature_lengths(torch.tensor([178, 8, 1, 0])).tolist() == [23, 1, 1, 0]


@pytest.mark.parametrize(
    "changed",
    [{}, {"kernel_sizes": [3, 3, 3]}, {"stride": 1}, {"widths": [3], "kernel_sizes": [5]}, {"stride": 3}],
)
def test_the_receptive_field_is_what_a_feature_sees(changed: dict[str, Any]) -> None:
    network = seeded(ResNet1d, **{"channels": 1, **SMALL, **changed}).eval().double()
    for module in network.modules():  # a rectifier that is always open hides nothing
        if isinstance(module, nn.BatchNorm1d):
            nn.init.constant_(module.bias, 100.0)
    steps = 2 * network.receptive_field + 41
    x = torch.randn(1, 1, steps, generator=gen(), dtype=torch.float64).requires_grad_()
    features = network(x)
    slope = torch.autograd.grad(features[0, :, features.shape[2] // 2].sum(), x)[0][0, 0]
    seen = slope.nonzero()[:, 0]
    assert int(seen[-1] - seen[0]) + 1 == network.receptive_field


def test_batch_statistics_run_over_valid_steps_alone() -> None:
    x = gappy()[[0, 1, 2, 4]]
    short, long = (seeded(ResNet1d, 2, **SMALL).train() for _ in range(2))
    torch.testing.assert_close(long(pad(x, 50))[:, :, :3], short(x), rtol=0, atol=1e-5)
    for one, other in zip(short.buffers(), long.buffers(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"widths": []}, r"widths must be whole numbers, one a block; got \[\]"),
        ({"widths": [4, 0, 4]}, r"widths\[1\] must be at least 1; got 0"),
        ({"widths": 4}, "widths must be whole numbers, one a block; got 4"),
        ({"kernel_sizes": [3, 3]}, "must have one entry a block; they have: widths 3, kernel_sizes 2"),
        ({"kernel_sizes": [8, 5, 3]}, r"kernel_sizes must be odd, so that a feature is centred; got \(8, 5, 3\)"),
        ({"stride": 0}, "stride must be at least 1; got 0"),
    ],
)
def test_parameters_of_resnet_are_checked(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        resnet(**changed)


# --- spectra ---------------------------------------------------------------------------------------------------------


def slow_spectrum(series: np.ndarray, bins: int) -> np.ndarray:
    """Mean of the piecewise linear curve through |X_k| / √L over each cell, by exact quadrature on all its corners."""
    length = len(series)
    magnitude = np.abs(np.fft.rfft(series)) / np.sqrt(length)
    known = np.arange(len(magnitude)) / length
    edges = np.linspace(0.0, 0.5, bins + 1)
    means = []
    for left, right in itertools.pairwise(edges):
        corners = np.unique(np.concatenate([[left, right], known[(known > left) & (known < right)]]))
        means.append(np.trapezoid(np.interp(corners, known, magnitude), corners) / (right - left))
    return np.array(means)


@settings(deadline=None, max_examples=60)
@given(lengths=st.lists(st.integers(1, 40), min_size=1, max_size=4), bins=st.integers(2, 50), seed=st.integers(0, 99))
def test_the_spectrum_of_each_series_is_that_of_its_own_length(lengths: list[int], bins: int, seed: int) -> None:
    x = torch.full((len(lengths), 2, 41), NAN, dtype=torch.float64)
    for row, length in enumerate(lengths):
        x[row, :, :length] = torch.randn(2, length, generator=gen(seed), dtype=torch.float64)
    spectra = magnitude_spectrum(x, bins)
    for row, length in enumerate(lengths):
        for channel in range(2):
            expected = slow_spectrum(x[row, channel, :length].numpy(), bins)
            np.testing.assert_allclose(spectra[row, channel].numpy(), expected, rtol=1e-9, atol=1e-9)


def test_padding_does_not_change_a_spectrum() -> None:
    x = gappy()
    torch.testing.assert_close(magnitude_spectrum(pad(x, 100), 32), magnitude_spectrum(x, 32), rtol=0, atol=1e-5)
    zeros = torch.cat([x[4:], torch.zeros(1, 2, 23)], dim=2)  # zeros are observations: they do
    assert (magnitude_spectrum(zeros, 32) - magnitude_spectrum(x[4:], 32)).abs().max() > 0.1


def test_gaps_are_bridged_before_the_spectrum() -> None:
    line = torch.linspace(0.0, 3.0, 31)[None, None]
    holes = line.clone()
    holes[:, :, [4, 5, 17]] = NAN
    torch.testing.assert_close(magnitude_spectrum(holes), magnitude_spectrum(line), rtol=0, atol=1e-5)


def test_spectra_of_other_lengths_are_comparable() -> None:
    def tone(steps: int) -> Tensor:
        return magnitude_spectrum(torch.cos(0.4 * torch.arange(float(steps)))[None, None], 16)[0, 0]

    assert {int(tone(steps).argmax()) for steps in (40, 128, 1000)} == {2}  # 0.4 / 2π of 0.5 in 16 bins: 2.04
    noise = [magnitude_spectrum(torch.randn(400, 1, t, generator=gen()), 16)[:, 0, 2:-2].mean() for t in (30, 100, 300)]
    torch.testing.assert_close(torch.stack(noise), torch.full((3,), torch.pi**0.5 / 2), rtol=0, atol=0.02)  # Rayleigh


def test_a_spectrum_does_not_see_when_something_happened() -> None:
    x = torch.randn(3, 2, 24, generator=gen())
    network = frequency()
    torch.testing.assert_close(network(x.roll(7, dims=2)), network(x), rtol=0, atol=1e-5)
    assert (resnet()(x.roll(7, dims=2)) - resnet()(x)).abs().max() > 1e-2


def test_the_frequency_branch_shows_spectra_without_a_mask_unless_asked() -> None:
    assert frequency().encoder.front_end.mode == "values"
    asked = frequency(encoder={"resnet1d": {**SMALL, "front_end": "values+mask"}})
    assert asked.encoder.front_end.mode == "values+mask"
    assert frequency().receptive_field is None and frequency().repr_dim == 5


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"bins": 1}, "bins must be at least 2; got 1"),
        ({"bins": True}, "bins must be a whole number; got True"),
        ({"encoder": None}, "the encoder of spectra is given as a name or"),
        ({"encoder": "resnet2d"}, "unknown encoder 'resnet2d'; did you mean 'resnet1d'"),
        ({"encoder": {"resnet1d": {"depth": 3}}}, "encoder 'resnet1d' has no parameter 'depth'"),
    ],
)
def test_parameters_of_the_frequency_branch_are_checked(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        frequency(**changed)


# --- the official transformer ----------------------------------------------------------------------------------------


def test_the_official_transformer_attends_along_the_batch() -> None:
    network = trained(TFCTransformer, 1, 12)
    x = torch.randn(4, 1, 12, generator=gen())
    tokens = x[:, 0][:, None]  # the batch is the sequence
    torch.testing.assert_close(network(x), network.transformer(tokens)[:, 0])


def test_the_official_transformer_does_not_depend_on_empty_rows() -> None:
    network = trained(TFCTransformer, 2, 12, "frequency")
    x = gappy()
    kept = [0, 1, 2, 4]
    torch.testing.assert_close(network(x[kept]), network(x)[kept], rtol=0, atol=1e-5)


def test_series_are_brought_to_one_length_from_their_own() -> None:
    x = torch.tensor([[[0.0, 1.0, 2.0, 3.0, 9.0]], [[4.0, 8.0, 9.0, 9.0, 9.0]], [[5.0, 9.0, 9.0, 9.0, 9.0]]])
    lengths = torch.tensor([4, 2, 1])
    assert resampled(x, lengths, 7)[:, 0].tolist() == [
        [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0],
        pytest.approx([4 + 4 * i / 6 for i in range(7)]),
        [5.0] * 7,
    ]
    assert resampled(x, torch.tensor([5, 5, 5]), 5) is x
    assert (resampled(x, torch.zeros(3, dtype=torch.int64), 4) == 0).all()
    even = torch.randn(3, 2, 9, generator=gen())
    grid = F.interpolate(even, size=14, mode="linear", align_corners=True)
    torch.testing.assert_close(resampled(even, torch.tensor([9, 9, 9]), 14), grid)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"length": 7}, "length must be a multiple of heads=2 and at least 2; got 7"),
        ({"length": 0}, "length must be at least 1; got 0"),
        ({"length": 1, "heads": 1}, "length must be a multiple of heads=1 and at least 2; got 1"),
        ({"domain": "phase"}, "domain must be 'time' or 'frequency'; got 'phase'"),
    ],
)
def test_parameters_of_the_official_transformer_are_checked(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TFCTransformer(**{"channels": 1, "length": 8, **changed})
