"""Scaling by median and range, or by quantiles: exact, from training rows alone, with gaps, and in model files."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, strategies as st
from scipy.stats import norm
from sklearn.preprocessing import QuantileTransformer, RobustScaler

from kinview import SCARF, TS2Vec, load_model
from kinview.data import TableSchema, fit_scaler
from kinview.data.scaling import Scaler
from kinview.data.scaling_rules import normal_scores, quantile_knots, robust_moments
from kinview.data.table import TableSchema as Schema
from kinview.files import parse_tensors
from kinview.methods import RawFeatures, methods


def skewed(n=60, columns=3, seed=0):
    return np.random.default_rng(seed).lognormal(sigma=1.5, size=(n, columns))


def with_gaps(values, seed=1):
    held = values.copy()
    held[np.random.default_rng(seed).random(held.shape) < 0.2] = np.nan
    return held


def test_robust_is_that_of_scikit_learn_with_gaps_too():
    train, test = with_gaps(skewed()), with_gaps(skewed(seed=5))
    wanted = RobustScaler(unit_variance=True).fit(train).transform(test)
    schema = TableSchema.fit(train, scaling="robust")
    assert schema.to_batch(test).x.numpy() == pytest.approx(wanted, nan_ok=True, rel=1e-5)
    series = fit_scaler(torch.from_numpy(train).T[None].transpose(0, 2), "robust")  # (60, 3, 1)
    assert series.apply(torch.from_numpy(test)[..., None])[..., 0].numpy() == pytest.approx(
        wanted, nan_ok=True, rel=1e-5
    )


def test_quantiles_are_normal_scores_as_of_scikit_learn_between_the_outermost():
    train = skewed(505)[:, 0]
    knots = quantile_knots(train, 505)
    assert len(knots) == 100 and quantile_knots(train, 40).shape == (8,) and quantile_knots(train, 4) is None
    whole = QuantileTransformer(n_quantiles=505, output_distribution="normal").fit(train[:, None])
    inside = train[(train > knots[4]) & (train < knots[-5])]
    assert normal_scores(inside, knots) == pytest.approx(whole.transform(inside[:, None])[:, 0], abs=0.06)
    ends = normal_scores(np.array([-1e9, 1e9]), knots)
    assert ends == pytest.approx([norm.ppf(0.005), norm.ppf(0.995)])


@given(st.lists(st.sampled_from([0.0, 1.0, 2.0, 5.0]), min_size=5, max_size=60), st.randoms())
def test_scores_keep_the_order_and_do_not_hang_on_that_of_the_rows(values, random):
    knots = quantile_knots(np.array(values), len(values))
    if knots is None:
        assert np.quantile(values, 0.05) == np.quantile(values, 0.95) or len(set(values)) == 1 or len(values) < 60
        return
    shuffled = random.sample(values, len(values))
    np.testing.assert_array_equal(quantile_knots(np.array(shuffled), len(values)), knots)
    assert (np.diff(normal_scores(np.sort(values), knots)) >= 0).all()


def test_a_symmetric_atom_is_at_zero():
    knots = np.array([0.0, 1.0, 1.0, 1.0, 2.0])
    assert normal_scores(np.array([1.0]), knots).tolist() == pytest.approx([0.0])


@pytest.mark.parametrize("rule", ["robust", "quantile"])
def test_only_training_rows_count_and_outliers_do_not(rule):
    train = skewed(100)
    wild = np.vstack([train[:-1], np.full((1, 3), 1e9)])
    calm, shaken = (TableSchema.fit(rows, scaling=rule).to_batch(train).x.numpy() for rows in (train, wild))
    usual = np.abs(calm) < 1.5  # a skewed column has values far out in any case
    assert np.abs(calm - shaken)[usual].max() < 0.5
    standard = TableSchema.fit(wild).to_batch(train).x.numpy()
    assert np.ptp(standard) < 1e-4  # what they are for


def test_what_has_no_range_or_few_rows_is_standardised():
    frame = pd.DataFrame(
        {"rare": [1.0, 2.0, 4.0, 9.0] + [np.nan] * 36, "mostly": [0.0] * 38 + [1.0, 5.0], "flag": [True, False] * 20,
         "none": [np.nan] * 40, "same": [3.0] * 40}
    )  # fmt: skip
    usual = TableSchema.fit(frame).to_batch(frame).x
    for rule in ("robust", "quantile"):
        np.testing.assert_array_equal(TableSchema.fit(frame, scaling=rule).to_batch(frame).x, usual)
    series = torch.tensor(frame.drop(columns="flag").to_numpy(np.float64))[..., None]
    standard = fit_scaler(series, "dataset").apply(series)
    for rule in ("robust", "quantile"):
        np.testing.assert_array_equal(fit_scaler(series, rule).apply(series), standard)


def test_clip_cuts_scaled_values_and_leaves_gaps():
    train, far = skewed(), np.array([[1e6, -1e6, np.nan]])
    for rule in ("dataset", "robust"):
        schema = TableSchema.fit(train, scaling={rule: {"clip": 3}})
        assert schema.to_batch(far).x[0, :2].tolist() == [3.0, -3.0] and bool(schema.to_batch(far).x[0, 2].isnan())
        near = TableSchema.fit(train, scaling=rule).to_batch(train).x
        np.testing.assert_array_equal(schema.to_batch(train).x, near.clamp(-3, 3))
    series = torch.from_numpy(train)[..., None]
    for rule in ("dataset", "robust", "quantile", "sample"):
        clipped, plain = fit_scaler(series, {rule: {"clip": 0.5}}), fit_scaler(series, rule)
        np.testing.assert_array_equal(clipped.apply(series), plain.apply(series).clamp(-0.5, 0.5))


@pytest.mark.parametrize(
    ("scaling", "message"),
    [
        ("robuster", "scaling must be one of 'dataset', 'robust', 'quantile'"),
        ({"robust": {"cut": 3}}, "a rule, which takes clip and nothing else"),
        ({"robust": {"clip": 0}}, "must have a clip above 0"),
        ({"robust": 3}, "a rule, which takes clip and nothing else"),
        (True, "scaling must be one of"),
    ],
)
def test_rules_that_there_are_not_are_refused(scaling, message):
    for fit in (lambda: TableSchema.fit(skewed(), scaling=scaling), lambda: fit_scaler(torch.zeros(2, 1, 3), scaling)):
        with pytest.raises(ValueError, match=message):
            fit()
    with pytest.raises(ValueError, match="scaling"):
        SCARF(scaling=scaling).fit(skewed())
    with pytest.raises(ValueError, match="'dataset', 'robust', 'quantile'"):
        SCARF(scaling="sample").fit(skewed())


@pytest.mark.parametrize("scaling", ["robust", "quantile", {"quantile": {"clip": 1.5}}, {"dataset": {"clip": 2}}])
def test_model_files_and_configs_hold_it(scaling, tmp_path):
    X, T = skewed(40)[:, :, None].repeat(6, axis=2) * np.arange(1.0, 7), with_gaps(skewed(40))
    series = TS2Vec(scaling=scaling, repr_dim=4, hidden_dim=4, depth=1, trainer={"max_steps": 1}, random_state=0)
    table = SCARF(scaling=scaling, hidden_dim=4, depth=1, trainer={"max_steps": 1}, random_state=0)
    for place, (model, data) in enumerate(((series, X), (table, T))):
        model.fit(data)
        read = load_model(model.save(tmp_path / f"{place}.safetensors"))
        assert read.scaling == scaling and methods.to_config(read) == methods.to_config(model)
        np.testing.assert_array_equal(np.asarray(read.transform(data)), np.asarray(model.transform(data)))
    again = Scaler.from_config(series.scaler_.to_config())
    x = torch.from_numpy(X)
    np.testing.assert_array_equal(again.apply(x), series.scaler_.apply(x))
    assert Schema.from_config(table.schema_.to_config()).columns == table.schema_.columns


def test_what_scales_as_before_is_described_as_before(tmp_path):
    config = fit_scaler(torch.rand(6, 2, 3), "dataset").to_config()
    assert set(config) == {"scaling", "mean", "std"}
    column = TableSchema.fit(skewed()).to_config()["columns"][0]
    assert set(column) == {"name", "kind", "categories", "counts", "other", "median", "mean", "scale"}
    path = RawFeatures().fit(skewed()).save(tmp_path / "raw.safetensors")
    assert b"knots" not in path.read_bytes() and parse_tensors(path.read_bytes(), "x")


def test_a_damaged_description_is_refused():
    good = fit_scaler(torch.from_numpy(skewed())[..., None], "quantile").to_config()
    for knots in ([[1.0, 0.0]] * 3, [[0.0, 1.0]], [[0.0, float("nan")]] * 3):
        with pytest.raises(ValueError, match="rising finite quantiles"):
            Scaler.from_config({**good, "knots": knots})
    table = TableSchema.fit(skewed(), scaling="quantile").to_config()
    table["columns"][0]["knots"] = [2.0, 1.0]
    with pytest.raises(ValueError, match="does not hold together"):
        TableSchema.from_config(table)


def test_robust_moments_need_five_rows():
    assert robust_moments(np.arange(4.0), 4) is None and robust_moments(np.zeros(9), 9) is None
    assert robust_moments(np.arange(5.0), 5)[0] == 2.0
