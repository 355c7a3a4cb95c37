import json

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from helpers import gen
from kinview.data import Scaler, fit_scaler

values = st.floats(-1e6, 1e6, width=32) | st.just(float("nan"))
panels = hnp.arrays(np.float64, hnp.array_shapes(min_dims=3, max_dims=3, max_side=6), elements=values)


def slow_moments(cells):
    observed = [float(v) for v in np.ravel(cells) if not np.isnan(v)]
    if not observed:
        return 0.0, 1.0
    if len(set(observed)) == 1:
        return observed[0], 1.0
    mean = sum(observed) / len(observed)
    return mean, (sum((v - mean) ** 2 for v in observed) / len(observed)) ** 0.5


@given(panels)
@settings(max_examples=60, deadline=None)
def test_dataset_scaling_equals_the_slow_oracle_and_keeps_gaps(x):
    scaler = fit_scaler(torch.tensor(x), "dataset")
    for c in range(x.shape[1]):
        mean, std = slow_moments(x[:, c])
        assert scaler.mean[c].item() == pytest.approx(mean, rel=1e-9, abs=1e-9)
        assert scaler.std[c].item() == pytest.approx(std, rel=1e-6)
    scaled = scaler.apply(torch.tensor(x))
    assert scaled.dtype == torch.float32
    assert np.array_equal(np.isnan(scaled.numpy()), np.isnan(x))


@given(panels)
@settings(max_examples=60, deadline=None)
def test_sample_scaling_equals_the_slow_oracle(x):
    scaled = fit_scaler(torch.tensor(x), "sample").apply(torch.tensor(x)).numpy()
    for i, c in np.ndindex(x.shape[:2]):
        mean, std = slow_moments(x[i, c])
        np.testing.assert_allclose(scaled[i, c], (x[i, c] - mean) / std, rtol=1e-4, atol=1e-4)


def test_matches_the_standard_scaler_of_the_official_ts2vec_code():
    from sklearn.preprocessing import StandardScaler

    x = np.random.default_rng(0).normal(5, 3, (7, 3, 11))
    x[2, 1, 3:] = np.nan
    flat = np.swapaxes(x, 1, 2).reshape(-1, 3)
    expected = np.swapaxes(StandardScaler().fit_transform(flat).reshape(7, 11, 3), 1, 2)
    ours = fit_scaler(torch.tensor(x), "dataset").apply(torch.tensor(x)).numpy()
    np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-6)


def test_large_offsets_keep_their_digits():
    x = torch.tensor([[[1.6e9, 1.6e9 + 1, 1.6e9 + 2]]], dtype=torch.float64)
    expected = [-(1.5**0.5), 0.0, 1.5**0.5]
    for rule in ("dataset", "sample"):
        assert fit_scaler(x, rule).apply(x).flatten().tolist() == pytest.approx(expected, abs=1e-6)


def test_constants_and_channels_never_observed():
    x = torch.full((2, 2, 5), 0.1, dtype=torch.float64)
    x[:, 1] = torch.nan
    for rule in ("dataset", "sample"):
        scaled = fit_scaler(x, rule).apply(x)
        assert torch.equal(scaled[:, 0], torch.zeros(2, 5))
        assert bool(scaled[:, 1].isnan().all())
    assert fit_scaler(x, "dataset").std.tolist() == [1.0, 1.0]
    assert fit_scaler(x, "dataset").mean.tolist() == [0.1, 0.0]


def test_sample_scaling_does_not_look_at_other_rows():
    x = torch.randn(4, 2, 9, generator=gen())
    scaler = fit_scaler(x, "sample")
    assert torch.equal(scaler.apply(x)[2:3], scaler.apply(x[2:3]))


def test_no_scaling_keeps_values_and_input():
    x = torch.tensor([[[1.0, torch.nan, 3.0]]])
    before = x.clone()
    out = fit_scaler(x, None).apply(x)
    assert torch.equal(out.nan_to_num(-9), before.nan_to_num(-9))
    fit_scaler(x, "dataset").apply(x)
    assert torch.equal(x.nan_to_num(-9), before.nan_to_num(-9))


@given(panels)
@settings(max_examples=20, deadline=None)
def test_config_round_trip_through_json_is_exact(x):
    for rule in ("dataset", "sample", None):
        scaler = fit_scaler(torch.tensor(x), rule)
        again = Scaler.from_config(json.loads(json.dumps(scaler.to_config())))
        assert again.scaling == rule
        assert torch.equal(again.mean, scaler.mean)
        assert torch.equal(again.std, scaler.std)


def test_errors_say_what_to_do():
    x = torch.zeros(2, 3, 4)
    with pytest.raises(ValueError, match=r"scaling must be one of 'dataset', 'robust', .* got 'minmax'"):
        fit_scaler(x, "minmax")
    with pytest.raises(ValueError, match=r"shape \(n, channels, time\), got \(2, 4\)"):
        fit_scaler(x[:, 0], "dataset")
    with pytest.raises(ValueError, match=r"fitted on series \(n, 3, T\), got shape \(2, 1, 4\)"):
        fit_scaler(x, "dataset").apply(x[:, :1])
    with pytest.raises(ValueError, match="beyond float32"):
        fit_scaler(x, None).apply(torch.full((1, 3, 1), 1e300, dtype=torch.float64))
    for config in ({"mean": [0.0], "std": [0.0]}, {"mean": [0.0, 1.0], "std": [1.0]}, {"mean": [1e999], "std": [1.0]}):
        with pytest.raises(ValueError, match="one finite mean and one positive standard deviation"):
            Scaler.from_config({"scaling": "dataset", **config})
