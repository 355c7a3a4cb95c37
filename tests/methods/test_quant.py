"""QUANT against a direct transcription of its definition, interval by interval."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from kinview.methods import Quant
from kinview.methods.controls.as_measured import brought_to_length
from kinview.methods.controls.quant import intervals


def slow_intervals(length: int, depth: int) -> list[tuple[int, int]]:
    found = []
    for level in range(min(depth, int(np.log2(length)) + 1)):
        edges = [int(i * length / 2**level) for i in range(2**level + 1)]
        found += list(itertools.pairwise(edges))
        if level and torch.tensor(edges).diff().median() > 1:  # the lower one of both middle widths
            shift = int(np.ceil(length / 2**level / 2))
            found += [(a + shift, b + shift) for a, b in list(itertools.pairwise(edges))[:-1]]
    return found


def slow_quantiles(part: np.ndarray, divisor: int) -> list[float]:
    if len(part) == 1:
        return part.tolist()
    number = 1 + (len(part) - 1) // divisor
    if number == 1:
        return [float(np.quantile(part, 0.5))]
    found = np.quantile(part, np.linspace(0, 1, number))
    found[1::2] -= part.mean()
    return found.tolist()


def slow(x: np.ndarray, depth: int = 6, divisor: int = 4) -> list[float]:
    step = np.diff(x)
    ends = np.concatenate([step[:1], step[:1], step, step[-1:], step[-1:]])
    smoothed = np.array([ends[i : i + 5].mean() for i in range(len(step))])
    made: list[float] = []
    for part in (x, smoothed, np.diff(step), np.abs(np.fft.rfft(x))):
        for a, b in slow_intervals(len(part), depth) if len(part) else []:
            made += slow_quantiles(part[a:b], divisor)
    return made


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 8, 24, 61, 140])
def test_the_features_are_those_of_the_definition(steps: int) -> None:
    X = np.random.default_rng(steps).normal(size=(5, 2, steps))
    made = Quant().fit(X).transform(X)
    expected = [slow(row[0]) + slow(row[1]) for row in X]
    np.testing.assert_allclose(made, expected, rtol=1e-5, atol=1e-5)


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 8), st.integers(1, 9))
def test_depth_and_divisor_are_those_of_the_definition(steps: int, depth: int, divisor: int) -> None:
    assert intervals(steps, depth) == slow_intervals(steps, depth)
    X = np.random.default_rng(steps).normal(size=(2, 1, steps))
    made = Quant(depth=depth, divisor=divisor).fit(X).transform(X)
    np.testing.assert_allclose(made, [slow(row[0], depth, divisor) for row in X], rtol=1e-5, atol=1e-5)


@settings(deadline=None)
@given(st.integers(1, 30), st.integers(1, 30))
def test_a_series_of_another_length_is_brought_to_that_of_fit(steps: int, length: int) -> None:
    x = np.random.default_rng(steps).normal(size=steps)
    expected = np.interp(np.linspace(0, steps - 1, length), np.arange(steps), x)
    found = brought_to_length(torch.from_numpy(x)[None, None], torch.tensor([steps]), length)[0, 0].numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)
    if steps == length:
        np.testing.assert_array_equal(found, x)
    model = Quant(depth=3).fit(np.random.default_rng(0).normal(size=(3, 1, length)))
    np.testing.assert_allclose(model.transform([x[None]]).iloc[0], slow(expected, 3), rtol=1e-5, atol=1e-5)


def test_gaps_are_filled_as_asked() -> None:
    x = np.random.default_rng(0).normal(size=24)
    x[[3, 4, 5, 12]] = np.nan
    seen = np.isfinite(x)
    bridged = np.interp(np.arange(24), np.flatnonzero(seen), x[seen])
    X = np.random.default_rng(1).normal(size=(4, 1, 24))
    np.testing.assert_allclose(Quant().fit(X).transform(x[None, None]).iloc[0], slow(bridged), rtol=1e-5, atol=1e-5)
    made = Quant(fill="zero").fit(X).transform(x[None, None]).iloc[0]
    np.testing.assert_allclose(made, slow(np.nan_to_num(x)), rtol=1e-5, atol=1e-5)


def test_repr_dim_keeps_the_first_directions_of_the_standardised_features(tmp_path: Path) -> None:
    X = np.random.default_rng(0).normal(size=(30, 1, 24))
    wide = Quant().fit(X).transform(X).to_numpy(dtype=float)
    few = Quant(repr_dim=3).fit(X).transform(X).to_numpy(dtype=float)
    std = wide.std(axis=0)
    standardised = (wide - wide.mean(axis=0)) / np.where(std > 0, std, 1)
    u, s, _ = np.linalg.svd(standardised, full_matrices=False)
    np.testing.assert_allclose(np.abs(few), np.abs(u[:, :3] * s[:3]), rtol=1e-3, atol=1e-3)
    with pytest.warns(UserWarning, match=r"all that Quant learned rests on 3 training row\(s\)"):
        Quant(repr_dim=1).fit(X[:3]).save(tmp_path / "few.safetensors")
