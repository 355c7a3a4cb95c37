"""The statistics of ``summary`` and ``tsfresh_minimal`` against pandas and NumPy, series by series."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats

from kinview import load_model
from kinview.data import read_panel
from kinview.methods import Summary, TSFreshMinimal

SEVEN = ["last", "mean", "min", "max", "sd", "slope", "count"]
TEN = [
    "sum_values", "median", "mean", "length", "standard_deviation", "variance", "root_mean_square", "maximum",
    "absolute_maximum", "minimum",
]  # fmt: skip
KINDS = {Summary: SEVEN, TSFreshMinimal: TEN}
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


def holed(seed: int, n: int = 7, channels: int = 2, steps: int = 15, rate: float = 0.5) -> np.ndarray:
    rng = np.random.default_rng(seed)
    X = 100 + 20 * rng.normal(size=(n, channels, steps))
    X[rng.random(X.shape) < rate] = np.nan
    X[0] = np.nan  # a series without observation
    X[1, 0] = np.nan  # a channel without one
    X[2, 0] = np.nan
    X[2, 0, 4] = 3.0  # a channel with a single one
    return X


def by_pandas(kind: type, values: np.ndarray, times: np.ndarray) -> dict[str, float]:
    seen = np.isfinite(values)
    x, t = pd.Series(values[seen]), times[seen]
    if kind is TSFreshMinimal:
        return {
            "sum_values": x.sum(), "median": x.median(), "mean": x.mean(), "length": len(x),
            "standard_deviation": x.std(ddof=0), "variance": x.var(ddof=0),
            "root_mean_square": float(np.sqrt((x**2).mean())), "maximum": x.max(), "absolute_maximum": x.abs().max(),
            "minimum": x.min(),
        }  # fmt: skip
    return {
        "last": x.iloc[-1] if len(x) else np.nan, "mean": x.mean(), "min": x.min(), "max": x.max(), "sd": x.std(),
        "slope": stats.linregress(t, x).slope if len(x) > 1 else np.nan, "count": len(x),
    }  # fmt: skip


def expected(kind: type, X: np.ndarray, times: np.ndarray | None = None) -> np.ndarray:
    times = np.tile(np.arange(X.shape[2], dtype=float), (len(X), 1)) if times is None else times
    rows = [[by_pandas(kind, x, t) for x in channels] for channels, t in zip(X, times, strict=True)]
    return np.array([[one[name] for one in row for name in KINDS[kind]] for row in rows])


@every_kind
def test_the_statistics_are_those_of_pandas(kind: Any) -> None:
    X = holed(0)
    made = kind().fit(X).transform(X, missing="keep")
    assert list(made.columns) == [f"channel_{c}_{name}" for c in range(2) for name in KINDS[kind]]
    np.testing.assert_allclose(made, expected(kind, X), rtol=1e-6)  # NaN in the same places


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(1, 20), st.floats(0, 1))
def test_the_statistics_are_those_of_pandas_whatever_is_missing(
    seed: int, channels: int, steps: int, rate: float
) -> None:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(4, channels, steps))
    X[rng.random(X.shape) < rate] = np.nan
    for kind in KINDS:
        made = kind().fit(X).transform(X, missing="keep")  # type: ignore[call-arg]
        np.testing.assert_allclose(made, expected(kind, X), rtol=1e-5, atol=1e-6)


def test_a_slope_is_a_unit_of_real_time() -> None:
    times = np.array([0.0, 1.0, 5.0, 6.0])
    frame = pd.DataFrame(
        {"pressure": [*(10 + 2 * times), *(3 - times)]},
        index=pd.MultiIndex.from_product([[0, 1], times], names=["stay", "hour"]),
    )
    model = Summary().fit(frame)
    np.testing.assert_allclose(model.transform(frame)["pressure_slope"], [2.0, -1.0], rtol=1e-6)
    dated = frame.set_axis(
        pd.MultiIndex.from_product([[0, 1], pd.Timestamp("2020-01-01") + pd.to_timedelta(times, "h")])
    )
    np.testing.assert_allclose(
        Summary().fit(dated).transform(dated)["pressure_slope"], [2 / 3600, -1 / 3600], rtol=1e-6
    )
    with pytest.raises(ValueError, match="the time stamps of X are dates or durations, at fit they were numbers"):
        model.transform(dated)
    with pytest.raises(ValueError, match="the time stamps of X are none, at fit they were numbers"):
        model.transform(np.ones((1, 1, 4)))


@every_kind
def test_large_offsets_keep_their_digits(kind: Any) -> None:
    rng = np.random.default_rng(0)
    small = rng.normal(size=(6, 1, 40))
    name = "sd" if kind is Summary else "standard_deviation"
    made, shifted = (kind().fit(X).transform(X)[f"channel_0_{name}"] for X in (small, small + 1e8))
    np.testing.assert_allclose(shifted, made, rtol=1e-5)


@every_kind
def test_what_is_not_defined_is_the_training_mean_where_five_have_it(kind: Any) -> None:
    X = holed(1, n=12, rate=0.3)
    model = kind().fit(X)
    kept, filled = (model.transform(X, missing=how).to_numpy(dtype=float) for how in ("keep", "fill"))
    missing = np.isnan(kept)
    assert missing.any() and np.isfinite(filled).all()
    np.testing.assert_array_equal(filled[~missing], kept[~missing])
    means = np.broadcast_to(np.nanmean(expected(kind, X), axis=0), kept.shape)
    np.testing.assert_allclose(filled[missing], means[missing], rtol=1e-5)
    few = X.copy()
    few[4:, 1] = np.nan  # at most three series have this channel
    filled = kind().fit(few).transform(few).to_numpy(dtype=float)
    number = len(KINDS[kind])
    undefined = np.isnan(expected(kind, few))[:, number:]
    assert (filled[:, number:][undefined] == 0).all()


@every_kind
def test_a_file_holds_no_number_of_fewer_than_five_series(kind: Any, tmp_path: Path) -> None:
    X = holed(2, n=4, rate=0.1)
    model = kind().fit(X)
    assert not model.method_.typical.any()
    loaded = load_model(model.save(tmp_path / "few.safetensors"))  # nothing was learned, so nothing is refused
    for how in ("fill", "keep"):
        pd.testing.assert_frame_equal(loaded.transform(X, missing=how), model.transform(X, missing=how))


@every_kind
def test_keeping_what_is_missing_is_asked_for_each_time(kind: Any) -> None:
    X = holed(3)
    model = kind().fit(X)
    before = model.transform(X)
    assert model.transform(X, missing="keep").isna().any(axis=None)
    pd.testing.assert_frame_equal(model.transform(X), before)
    with pytest.raises(ValueError, match="missing must be 'fill' or 'keep'; got 'interpolate'"):
        model.transform(X, missing="interpolate")
    out = np.empty((len(X), before.shape[1]))
    model.transform(X, missing="keep", out=out)
    np.testing.assert_array_equal(np.isnan(out), model.transform(X, missing="keep").isna())


@every_kind
def test_huge_values_stay_finite(kind: Any) -> None:
    X = np.array([[[3e38, -3e38, 3e38, 0.0]]] * 6)
    assert np.isfinite(kind().fit(X).transform(X)).all(axis=None)
    with pytest.raises(ValueError, match="float32"):
        kind().fit(X * 1e10)


@every_kind
def test_unequal_lengths_are_read_to_their_own_end(kind: Any) -> None:
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(1, steps)) for steps in (3, 9, 1)]
    made = kind().fit(X).transform(X, missing="keep")
    padded = read_panel(X).batch.x.double().numpy()
    np.testing.assert_allclose(made, expected(kind, padded), rtol=1e-5)
