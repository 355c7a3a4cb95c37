"""catch22 against numbers of the published library, and each feature's invariants."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from kinview.methods import Catch22
from kinview.methods.controls.catch22.features import NAMES, catch22, mean_and_std

TOLERANCE = 1e-9


def of_one(values: Any) -> np.ndarray:
    return catch22(np.asarray(values, dtype=np.float64)[None])[0]


def drawn(seed: int, steps: int) -> dict[str, np.ndarray]:
    """Series of kinds that features treat in their own way."""
    rng, step = np.random.default_rng(seed), np.arange(steps)
    return {
        "noise": rng.normal(size=steps),
        "walk": rng.normal(size=steps).cumsum(),
        "sine": np.sin(step * rng.uniform(0.1, 1.5)) + 0.1 * rng.normal(size=steps),
        "skewed": np.exp(1.5 * rng.normal(size=steps)),
        "offset": 1e6 + rng.normal(size=steps),
        "held": np.repeat(rng.normal(size=steps), 3)[:steps],
        "curve": step**2.1 - np.pi * step,
    }


@pytest.fixture(scope="module")
def published(golden: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((golden / "catch22.json").read_text("utf-8"))
    return found


def test_the_features_are_those_of_the_published_library(published: dict[str, Any]) -> None:
    assert published["names"] == [*NAMES, "mean", "std"]
    assert len(published["series"]) == 14
    for name, one in published["series"].items():
        expected = np.array([np.nan if value is None else value for value in one["features"]])
        np.testing.assert_allclose(of_one(one["values"]), expected[:22], TOLERANCE, TOLERANCE, err_msg=name)
        level = mean_and_std(np.array(one["values"])[None])[0]
        np.testing.assert_allclose(level, np.nan_to_num(expected[22:]), TOLERANCE, err_msg=name)


@pytest.mark.parametrize("steps", [3, 5, 8, 13, 33, 64, 79, 101, 250])
def test_the_features_are_those_of_the_library_that_is_installed(steps: int) -> None:
    library = pytest.importorskip("pycatch22", reason="pycatch22 is not installed; golden numbers are compared anyway")
    for seed in range(3):
        for kind, values in drawn(seed, steps).items():
            expected = library.catch22_all(values.tolist())["values"]
            np.testing.assert_allclose(of_one(values), expected, 1e-8, 1e-8, err_msg=f"{kind} {seed}")


def test_the_estimator_has_the_features_of_each_series_and_channel(published: dict[str, Any]) -> None:
    chosen = ["noise of 150", "walk of 96", "short of 7", "constant of 30"]
    series = [published["series"][name] for name in chosen]
    X = [np.stack([one["values"], one["values"][::-1]]) for one in series]
    made = Catch22(catch24=True).fit(X).transform(X)
    assert list(made.columns[:2]) == ["channel_0_mode_5", "channel_0_mode_10"]
    assert list(made.columns[-2:]) == ["channel_1_mean", "channel_1_std"] and made.shape == (4, 48)
    expected = np.array([one["features"] for one in series])
    np.testing.assert_allclose(made.iloc[:, :24], expected, 1e-6, 1e-6)
    turned = np.stack([of_one(one["values"][::-1]) for one in series])
    np.testing.assert_allclose(made.iloc[:, 24:46], turned, 1e-6, 1e-6)


def test_gaps_are_filled_by_lines_within_a_series_own_length() -> None:
    x = np.random.default_rng(0).normal(size=60).cumsum()
    holes = x.copy()
    holes[[0, 7, 8, 9, 30, 59]] = np.nan
    seen = np.isfinite(holes)
    bridged = np.interp(np.arange(59), np.flatnonzero(seen), holes[seen])  # the last step lies beyond its end
    padded = np.concatenate([holes, np.full(20, np.nan)])
    made = Catch22().fit(x[None, None]).transform([padded[None]])
    np.testing.assert_allclose(made.iloc[0], of_one(bridged), 1e-6, 1e-6)


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 90), st.floats(1e-3, 1e3), st.floats(-1e3, 1e3))
def test_level_and_spread_change_nothing_but_rounding(seed: int, steps: int, scale: float, level: float) -> None:
    x = np.random.default_rng(seed).normal(size=steps)
    before, after = of_one(x), of_one(x * scale + level)
    # thresholds may be met by one and missed by the other: no value of these features is continuous in the series
    steady = [i for i, name in enumerate(NAMES) if name in ("low_freq_power", "forecast_error", "trev")]
    np.testing.assert_allclose(after[steady], before[steady], 1e-5, 1e-5)
    assert np.isfinite(after).all()


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 70), st.integers(1, 6))
def test_a_series_has_the_features_that_it_has_alone(seed: int, steps: int, n: int) -> None:
    X = np.random.default_rng(seed).integers(-3, 4, size=(n, steps)).astype(float)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        together = catch22(X)
    assert np.isfinite(together).all()
    np.testing.assert_array_equal(together, np.stack([of_one(row) for row in X]))


def slow_outlier_timing(z: np.ndarray) -> float:
    """The definition, threshold by threshold."""
    if z.max() < 0.01:
        return 0.0
    medians, many, single = [], 0, None
    number = int(z.max() / 0.01 + 1)
    for j in range(number):
        places = np.flatnonzero(z >= j * 0.01) + 1
        medians.append(np.median(places) / (len(z) / 2) - 1)
        if (len(places) - 1) * 100 / (z >= 0).sum() > 2:
            many = j
        if len(places) == 1 and single is None:
            single = j
    last = min(many, number - 1 if single is None else single)
    return float(np.median(medians[: last + 1]))


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 60))
def test_the_timing_of_outliers_is_its_definition_threshold_by_threshold(seed: int, steps: int) -> None:
    x = np.random.default_rng(seed).normal(size=steps).round(1)
    if np.ptp(x) == 0:
        return
    z = (x - np.cumsum(x)[-1] / steps) / np.sqrt(np.cumsum((x - np.cumsum(x)[-1] / steps) ** 2)[-1] / (steps - 1))
    found = dict(zip(NAMES, of_one(x), strict=True))
    assert found["outlier_timing_pos"] == pytest.approx(slow_outlier_timing(z), abs=1e-12)
    assert found["outlier_timing_neg"] == pytest.approx(slow_outlier_timing(-z), abs=1e-12)


def test_what_the_features_say_of_series_that_everyone_knows() -> None:
    steps = np.arange(240)
    sine = dict(zip(NAMES, of_one(np.sin(2 * np.pi * (steps + 0.5) / 24)), strict=True))
    assert (sine["periodicity"], sine["acf_first_min"], sine["stretch_high"]) == (24, 12, 12)
    sawtooth = dict(zip(NAMES, of_one((steps % 20).astype(float)), strict=True))
    assert sawtooth["trev"] < 0 < dict(zip(NAMES, of_one(-(steps % 20.0)), strict=True))["trev"]
    late = dict(zip(NAMES, of_one((steps > 200).astype(float)), strict=True))
    assert late["outlier_timing_pos"] > 0.8
