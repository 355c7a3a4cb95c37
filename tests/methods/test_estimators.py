"""What every estimator promises beyond the checks of sktime and scikit-learn."""

from __future__ import annotations

import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sktime.exceptions import NotFittedError as SeriesNotFittedError

import helpers
from kinview import SCARF, TFC, TSTCC, Trainer, TS2Vec
from kinview.methods import RandomInit, RawFeatures, methods
from kinview.training import Callback

TOLERANCE = 1e-5
SERIES, TABLE = ({**helpers.SMALL[name], "depth": 2} for name in ("ts2vec", "scarf"))
SMALL = {
    "ts2vec": lambda: TS2Vec(**SERIES),
    "tstcc": lambda: TSTCC(**helpers.SMALL["tstcc"]),
    "tfc": lambda: TFC(**helpers.SMALL["tfc"]),
    "scarf": lambda: SCARF(**TABLE),
    "raw series": RawFeatures,
    "raw table": RawFeatures,
    "random series": lambda: RandomInit({"ts2vec": {k: v for k, v in SERIES.items() if k != "random_state"}}, 0),
    "random table": lambda: RandomInit({"scarf": {k: v for k, v in TABLE.items() if k != "random_state"}}, 0),
}
every_method = pytest.mark.parametrize("name", sorted(SMALL))
trained = pytest.mark.parametrize("name", ["ts2vec", "tstcc", "tfc", "scarf"])
OF_SERIES = ("ts2vec", "tstcc", "tfc", "raw series", "random series")
NOT_FITTED = (NotFittedError, SeriesNotFittedError)


def _of_series(name: str) -> bool:
    return name in OF_SERIES


def _series(n: int = 9, channels: int = 2, steps: int = 14, gaps: float = 0.2, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, channels, steps)).cumsum(axis=2) + 5.0
    X[random.random(X.shape) < gaps] = np.nan
    X[:, :, [0, -1]] = 1.0  # nothing is missing at the ends
    return X


def _table(n: int = 24, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "age": random.normal(60, 9, n),
            "sex": random.choice(["f", "m"], n),
            "ward": pd.Categorical(random.choice(["a", "b", "c"], n)),
            "smoker": pd.array(random.random(n) < 0.5, dtype="boolean"),
            "admitted": pd.Timestamp("2020-01-01") + pd.to_timedelta(random.integers(0, 999, n), unit="D"),
        }
    )
    return frame.mask(random.random(frame.shape) < 0.1)


def _data(name: str, n: int = 24, seed: int = 0):
    return _series(n, seed=seed) if _of_series(name) else _table(n, seed=seed)


def _rows(X, i):
    return X.iloc[i] if isinstance(X, pd.DataFrame) else X[i]


def _embed(estimator, X) -> np.ndarray:
    return np.asarray(estimator.transform(X), dtype=np.float64)


def _difference(one, other) -> float:
    one, other = np.asarray(one), np.asarray(other)
    assert one.shape == other.shape
    return float(np.abs(one - other).max())


def _flat(X: np.ndarray, stamps=None, hierarchy: bool = False) -> pd.DataFrame:
    """(n, C, T) as a DataFrame with a MultiIndex, without the NaN steps at the end."""
    parts = {}
    for i, x in enumerate(X):
        seen = np.flatnonzero(~np.isnan(x).all(axis=0))
        steps = np.arange(seen.max() + 1)
        index = pd.Index(steps if stamps is None else stamps[i][: len(steps)], name="time")
        key = (f"patient {i // 2}", f"stay {i}") if hierarchy else f"stay {i}"
        parts[key] = pd.DataFrame(x[:, steps].T, index=index, columns=[f"c{c}" for c in range(len(x))])
    return pd.concat(parts, names=["patient", "stay"] if hierarchy else ["stay"])


def _unequal(n: int = 9) -> np.ndarray:
    X = _series(n)
    for i in range(n):
        X[i, :, 14 - i % 4 :] = np.nan
    X[np.arange(n), :, 13 - np.arange(n) % 4] = 2.0
    return X


# ------------------------------------------------------------------------------------------------- the two invariants


VARIANTS = [
    {},
    {"missing": "timestep"},
    {"front_end": "values"},
    {"front_end": "values+mask+delta"},
    {"scaling": "sample"},
    {"depth": 5},
]


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: "-".join(map(str, v.values())) or "defaults")
def test_an_embedding_of_series_depends_on_nothing_but_the_series(variant):
    X = _unequal()
    model = TS2Vec(**{**SERIES, **variant}).fit(X)
    together = _embed(model, X)
    alone = np.concatenate([_embed(model, X[i : i + 1]) for i in range(len(X))])
    assert _difference(together, alone) < TOLERANCE
    cut = [x[:, : 1 + np.flatnonzero(~np.isnan(x).all(axis=0)).max()] for x in X]
    assert _difference(together, np.concatenate([_embed(model, [x]) for x in cut])) < TOLERANCE
    padded = np.concatenate([X, np.full((len(X), 2, 37), np.nan)], axis=2)
    assert _difference(together, _embed(model, padded)) < TOLERANCE
    for window in (None, 3, "full_series", "multiscale"):
        one, other = model.encode(X, window), model.encode(padded, window)
        if window == "multiscale":  # the number of scales follows the length of the batch
            other = other[:, : one.shape[1]]
        assert _difference(one, other[..., :14] if one.ndim == 3 else other) < TOLERANCE


@pytest.mark.parametrize("name", ["scarf", "raw table", "raw series", "random table", "random series"])
def test_an_embedding_does_not_depend_on_the_other_rows(name):
    X = _data(name)
    model = SMALL[name]().fit(X)
    alone = np.concatenate([_embed(model, _rows(X, slice(i, i + 1))) for i in range(len(X))])
    assert _difference(_embed(model, X), alone) < TOLERANCE
    order = np.random.default_rng(1).permutation(len(X))
    assert _difference(_embed(model, X)[order], _embed(model, _rows(X, order))) < TOLERANCE


def test_the_official_padding_says_that_an_embedding_depends_on_it():
    model = TS2Vec(**SERIES, padding="official").fit(_series())
    assert model.method_.encoder.padding_independent is False
    assert TS2Vec(**SERIES).fit(_series()).method_.encoder.padding_independent is True


# ------------------------------------------------------------------------------------------------ what goes in


@pytest.mark.parametrize("name", OF_SERIES)
def test_every_container_of_unequal_series_gives_the_same_embeddings(name):
    X = _unequal()
    ragged = [x[:, : 1 + np.flatnonzero(~np.isnan(x).all(axis=0)).max()] for x in X]
    flat, deep = _flat(X), _flat(X, hierarchy=True)
    frames = [group.droplevel(0) for _, group in flat.groupby(level=0, sort=False)]
    nested = pd.DataFrame({f"c{c}": [pd.Series(x[c]) for x in ragged] for c in range(2)})

    def small():
        model = SMALL[name]()
        if name == "tstcc":  # time stamps of a permuted view jump, and its gaps are not those of an even grid
            return model.set_params(fill="zero")
        # a bias before a batch normalisation has no gradient but rounding, of which Adam makes a whole step
        return model.set_params(trainer__optimizer="sgd") if name == "tfc" else model

    expected = _embed(small().fit(X), X)
    assert np.isfinite(expected).all() and np.std(expected) > 0
    for container in (ragged, tuple(ragged), torch.tensor(X), X.astype(np.float32), flat, deep, frames, nested):
        if name == "raw series" and isinstance(container, pd.DataFrame | list) and container is not ragged:
            continue  # time stamps put raw features on a grid over all of them
        model = small().fit(container)
        assert _difference(_embed(model, container), expected) < TOLERANCE, type(container)
        if name in ("ts2vec", "tstcc", "tfc"):
            assert _difference(_embed(model, X), expected) < TOLERANCE


def test_the_output_has_the_index_of_the_input():
    X = _unequal(6)
    model = TS2Vec(**SERIES).fit(X)
    assert list(model.transform(X).columns) == ["ts2vec0", "ts2vec1", "ts2vec2", "ts2vec3"]
    assert model.transform(X).index.equals(pd.RangeIndex(6))
    assert list(model.transform(_flat(X)).index) == [f"stay {i}" for i in range(6)]
    deep = model.transform(_flat(X, hierarchy=True)).index
    assert deep.names == ["patient", "stay"]
    assert list(deep) == [(f"patient {i // 2}", f"stay {i}") for i in range(6)]


def test_a_single_series_of_sktime_is_a_panel_of_one():
    X = _series(1, channels=2, gaps=0.0)
    one = pd.DataFrame(X[0].T, columns=["c0", "c1"])
    model = TS2Vec(**SERIES).fit(one)
    assert _difference(_embed(model, one), _embed(TS2Vec(**SERIES).fit(X), X)) < TOLERANCE
    assert _difference(model.encode(one), model.encode(X)) == 0.0
    assert TS2Vec(**SERIES).fit(one["c0"]).encode(one["c0"]).shape == (1, 4, 14)


@pytest.mark.parametrize("channels", [1, 2, 40])
def test_one_channel_and_many(channels):
    X = _series(6, channels=channels)
    assert np.isfinite(_embed(TS2Vec(**SERIES).fit(X), X)).all()


def test_groups_reach_the_training_whatever_the_container(monkeypatch):
    groups = []
    monkeypatch.setattr(TS2Vec, "_training_rows", lambda self, batch: groups.append(batch.groups) or batch)
    X = _unequal(4)
    nested = pd.DataFrame({"c": [pd.Series(x[0]) for x in X]})
    for container in (X, list(X), nested, _flat(X)):
        TS2Vec(**SERIES).fit(container, groups=["p", "p", "q", "q"])
    TS2Vec(**SERIES).fit(_flat(X, hierarchy=True))
    assert [codes.tolist() for codes in groups] == 5 * [[0, 0, 1, 1]]


def test_a_hierarchy_has_one_encoder_and_real_time_stamps():
    X = _unequal(6)
    stamps = [pd.date_range("2020-01-01", periods=14, freq="h") + pd.Timedelta(days=i) for i in range(6)]
    deep = _flat(X, stamps, hierarchy=True)
    model = TS2Vec(**SERIES, front_end="values+mask+delta").fit(deep)
    assert isinstance(model.method_, torch.nn.Module)
    assert model.method_.encoder.front_end.step == 3600.0
    assert model.transform(deep).shape == (6, 4)


def test_time_stamps_matter_to_the_front_end_that_shows_them():
    X = _unequal(6)
    random = np.random.default_rng(0)
    hours = [np.arange(14.0) for _ in X]
    uneven = [np.concatenate([[0.0], random.integers(1, 30, 13).cumsum()]) for _ in X]
    later = [stamps + 1000.0 for stamps in uneven]
    for front_end, matters in (("values+mask+delta", True), ("values+mask", False), ("values", False)):
        model = TS2Vec(**{**SERIES, "front_end": front_end, "fill": "zero", "trainer": {"max_steps": 4, "lr": 0.05}})
        model.fit(_flat(X, uneven))
        even, moved, shifted = (_embed(model, _flat(X, stamps)) for stamps in (hours, uneven, later))
        assert (_difference(even, moved) > 1e-3) == matters, front_end
        assert _difference(moved, shifted) < TOLERANCE, "only differences of time stamps count"


def test_a_value_missing_in_one_channel_does_not_blank_the_others():
    X = _series(6, channels=3)
    channel, timestep = (TS2Vec(**SERIES, missing=rule).fit(X) for rule in ("channel", "timestep"))
    changed = X.copy()
    where = np.isnan(X).any(axis=1) & ~np.isnan(X[:, 1])
    assert where.any()
    changed[:, 1][where] += 3.0  # values at steps at which another channel is missing
    assert _difference(_embed(channel, X), _embed(channel, changed)) > 1e-3
    assert _difference(_embed(timestep, X), _embed(timestep, changed)) == 0.0


def test_a_series_without_observation_is_the_zero_vector():
    X = _series(6)
    X[2] = np.nan
    model = TS2Vec(**SERIES).fit(X)
    z = _embed(model, X)
    assert (z[2] == 0.0).all() and np.isfinite(z).all() and (np.abs(np.delete(z, 2, axis=0)).max(axis=1) > 0).all()
    others = np.delete(X, 2, axis=0)
    assert _difference(_embed(TS2Vec(**SERIES).fit(others), others), np.delete(z, 2, axis=0)) < TOLERANCE
    assert (_embed(model, np.full((1, 2, 5), np.nan)) == 0.0).all()


def test_a_row_without_observation_has_a_finite_embedding():
    frame = _table()
    frame.iloc[3] = None
    z = _embed(SCARF(**TABLE).fit(frame), frame)
    assert np.isfinite(z).all()


@every_method
def test_the_input_is_never_modified(name):
    X = _data(name)
    containers = [X, *([_flat(X), list(X), torch.tensor(X)] if _of_series(name) else [X[["age"]].to_numpy()])]
    for container in containers:
        before = pickle.dumps(container)
        copied = pickle.loads(before)
        if isinstance(container, np.ndarray):
            container.flags.writeable = False
        model = SMALL[name]().fit(container)
        model.transform(container)
        if hasattr(model, "encode"):
            model.encode(container, **({"sliding_length": 3, "sliding_padding": 2} if name == "ts2vec" else {}))
        if isinstance(container, pd.DataFrame):
            pd.testing.assert_frame_equal(container, copied)
        else:
            for one, other in zip(container, copied, strict=True):
                assert np.array_equal(one, other, equal_nan=True)


# --------------------------------------------------------------------------------------------- as an estimator


@every_method
def test_fit_transform_is_fit_then_transform(name):
    X, y = _data(name), np.arange(24) % 2
    once = SMALL[name]().fit_transform(X, y)
    assert _difference(once, SMALL[name]().fit(X).transform(X)) == 0.0
    estimator = SMALL[name]()
    assert estimator.fit(X, y) is estimator
    assert len(once) == 24 and np.asarray(once).ndim == 2


@every_method
def test_a_clone_has_the_parameters_and_nothing_else(name):
    fitted = SMALL[name]().fit(_data(name))
    copy = clone(fitted)
    assert repr(copy) == repr(SMALL[name]())
    assert methods.to_config(copy) == methods.to_config(fitted)
    with pytest.raises(NOT_FITTED):
        copy.transform(_data(name))
    assert _difference(_embed(copy.fit(_data(name)), _data(name)), _embed(fitted, _data(name))) == 0.0


@every_method
def test_a_config_builds_an_equal_estimator(name):
    estimator = SMALL[name]()
    again = methods.build(methods.to_config(estimator))
    assert type(again) is type(estimator) and again.get_params() == estimator.get_params()


@every_method
@pytest.mark.parametrize("how", ["pickle", "joblib"])
def test_pickled_estimators_give_the_same_embeddings(name, how, tmp_path):
    X = _data(name)
    fitted = SMALL[name]().fit(X)
    if how == "pickle":
        again = pickle.loads(pickle.dumps(fitted))
    else:
        joblib.dump(fitted, tmp_path / "model.joblib")
        again = joblib.load(tmp_path / "model.joblib")
    assert _difference(_embed(fitted, X), _embed(again, X)) == 0.0


@trained
def test_the_seed_alone_decides(name):
    X = _data(name)

    def embedding(random_state):
        return _embed(SMALL[name]().set_params(random_state=random_state).fit(X), X)

    assert _difference(embedding(0), embedding(0)) == 0.0
    assert _difference(embedding(0), embedding(1)) > 1e-3
    assert _difference(embedding(None), embedding(None)) > 1e-6
    assert _difference(embedding(np.random.RandomState(3)), embedding(np.random.RandomState(3))) == 0.0
    assert _difference(embedding(np.random.default_rng(3)), embedding(np.random.default_rng(3))) == 0.0
    for wrong in (-1, "seed", 1.5, True):
        with pytest.raises(ValueError, match="random_state must be None, a non-negative integer or a NumPy generator"):
            embedding(wrong)


@trained
def test_an_estimator_can_be_fitted_again_on_other_data(name):
    first = _series(6, channels=2) if _of_series(name) else _table()
    other = _series(6, channels=3) if _of_series(name) else _table()[["age", "sex"]]
    again = SMALL[name]().fit(first).fit(other)
    assert _difference(_embed(again, other), _embed(SMALL[name]().fit(other), other)) == 0.0


@trained
def test_a_failed_fit_leaves_no_half_fitted_estimator(name):
    X = _data(name)
    for estimator in (SMALL[name](), SMALL[name]().fit(X)):
        with pytest.raises(ValueError, match="hidden_dim must be at least 1; got -1"):
            estimator.set_params(hidden_dim=-1).fit(X)
        with pytest.raises(NOT_FITTED):
            estimator.transform(X)


@every_method
def test_transform_before_fit_is_refused(name):
    with pytest.raises(NOT_FITTED):
        SMALL[name]().transform(_data(name))
    with pytest.raises(NOT_FITTED):
        SMALL[name]().save("never.safetensors")


def test_encode_before_fit_is_refused():
    with pytest.raises(NOT_FITTED):
        TS2Vec().encode(_series())


@trained
def test_pipelines_and_grid_search(name):
    X, y = _data(name), np.arange(24) % 2
    pipeline = make_pipeline(SMALL[name](), LogisticRegression())
    step = type(SMALL[name]()).__name__.lower()
    grid = {f"{step}__hidden_dim": [4, 5], f"{step}__trainer__lr": [0.01], "logisticregression__C": [1.0]}
    pipeline.set_params(**{f"{step}__trainer": Trainer(max_steps=2)})
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(X, y)
    assert set(search.best_params_) == set(grid)
    assert search.predict(X).shape == (24,)
    assert search.best_estimator_[0].trainer_.lr == 0.01


def test_scarf_names_its_output():
    frame = _table()
    model = SCARF(**TABLE).fit(frame)
    assert list(model.get_feature_names_out()) == ["scarf0", "scarf1", "scarf2", "scarf3"]
    assert isinstance(model.transform(frame), np.ndarray)
    named = model.set_output(transform="pandas").transform(frame.set_axis(range(100, 124)))
    assert list(named.columns) == list(model.get_feature_names_out()) and list(named.index) == list(range(100, 124))
    assert list(model.feature_names_in_) == list(frame.columns) and model.n_features_in_ == 5


# ----------------------------------------------------------------------------------------------- small samples


def _initial(name: str, X) -> np.ndarray:
    return _embed(SMALL[name]().initialise(X), X)


def test_what_cannot_be_trained_on_keeps_its_initial_weights():
    cases = [
        ("scarf", _table(1), "SCARF keeps its initial weights: contrast needs at least two rows, there are 1"),
        ("ts2vec", _series(5, steps=1), "TS2Vec keeps its initial weights: its crops need series of at least 2 steps"),
        ("ts2vec", np.full((3, 1, 8), np.nan), "no training series has an observed value"),
        ("tstcc", _series(1), "TSTCC keeps its initial weights: contrast needs at least two series"),
        ("tfc", _series(1), "TFC keeps its initial weights: contrast needs at least two series with an observation"),
    ]
    for name, X, reason in cases:
        with pytest.warns(UserWarning, match=reason):
            model = SMALL[name]().fit(X)
        assert model.training_ is None
        assert _difference(_embed(model, X), _initial(name, X)) == 0.0


def test_one_series_is_enough_for_ts2vec():
    X = _series(1)
    model = TS2Vec(**SERIES).fit(X)
    assert model.training_.step == 2
    assert _difference(_embed(model, X), _initial("ts2vec", X)) > 0.0


@trained
@pytest.mark.filterwarnings("ignore:column '(sex|ward)' has . categories, none of 5 training rows:UserWarning")
@pytest.mark.parametrize("n", [2, 3, 5])
def test_fewer_rows_than_a_batch(name, n):
    X = _data(name, n)
    model = SMALL[name]().fit(X)
    assert model.training_.step == 2 and np.isfinite(_embed(model, X)).all()


def test_a_late_temporal_unit_needs_longer_series():
    with pytest.warns(UserWarning, match="series of at least 16 steps, the longest has 14"):
        TS2Vec(**SERIES, temporal_unit=3).fit(_series())
    with pytest.raises(ValueError, match="max_train_length must be at least 16; got 8"):
        TS2Vec(**SERIES, temporal_unit=3, max_train_length=8).fit(_series())


def test_long_series_are_trained_on_in_windows():
    X = _series(3, steps=100)
    model = TS2Vec(**SERIES, max_train_length=12).fit(X)
    assert model.training_.step == 2
    assert model.transform(X).shape == (3, 4) and model.encode(X).shape == (3, 4, 100)


# ---------------------------------------------------------------------------------------------------- refusals


BAD_SERIES = [
    (np.zeros((50, 150)), r"for 50 series of 150 steps give X\[:, None, :\], for one series .* give X\.T\[None\]"),
    (np.zeros(7), r"one series of one channel is X\[None, None, :\]"),
    (np.zeros((0, 1, 5)), "series"),
    (np.zeros((3, 0, 5)), "channels"),
    (np.zeros((3, 1, 0)), "time steps"),
    ([], "an empty list"),
    ([np.zeros(0)], "time steps"),
    (np.full((2, 1, 5), np.inf), "infinite"),
    (np.zeros((2, 1, 5), dtype=complex), "complex"),
    (np.full((2, 1, 5), "a"), "number"),
    ([np.zeros((1, 5)), np.zeros((2, 5))], r"series 1 has 2 channel\(s\), series 0 has 1"),
]


@pytest.mark.parametrize(("X", "message"), BAD_SERIES)
def test_what_is_not_a_panel_is_refused(X, message):
    for name in OF_SERIES:
        fitted = SMALL[name]().fit(_series(3, channels=1))
        with pytest.raises(ValueError, match=message):
            fitted.transform(X)
        if name != "raw series" or isinstance(X, list) or X.ndim == 3:  # to it, a 2-D array is a table
            with pytest.raises(ValueError, match=message):
                SMALL[name]().fit(X)


@pytest.mark.parametrize("name", OF_SERIES)
def test_channels_other_than_at_fit_are_refused(name):
    model = SMALL[name]().fit(_series(4, channels=2))
    with pytest.raises(ValueError, match=r"X has 3 channel\(s\), but 2 at fit"):
        model.transform(_series(4, channels=3))
    if name == "ts2vec":
        with pytest.raises(ValueError, match=r"X has 3 channel\(s\), but 2 at fit"):
            model.encode(_series(4, channels=3))
    named = SMALL[name]().fit(_flat(_unequal()))
    swapped = _flat(_unequal())[["c1", "c0"]]
    assert _difference(_embed(named, swapped), _embed(named, _flat(_unequal()))) == 0.0
    with pytest.raises(
        ValueError, match=r"lacks the channel.*'c1' of fit and has the channel.*'x' that fit did not see"
    ):
        named.transform(_flat(_unequal()).rename(columns={"c1": "x"}))


@pytest.mark.parametrize("name", ["scarf", "raw table", "random table"])
def test_columns_other_than_at_fit_are_refused(name):
    frame = _table()
    model = SMALL[name]().fit(frame)
    with pytest.raises(ValueError, match=r"lacks the column.*'age'"):
        model.transform(frame.drop(columns="age"))
    with pytest.raises(ValueError, match="'height' that fit did not see"):
        model.transform(frame.assign(height=1.0))
    assert _difference(_embed(model, frame[frame.columns[::-1]]), _embed(model, frame)) == 0.0


def test_ids_are_refused_by_name_unless_asked_for():
    frame = _table().assign(record=[f"no. {i}" for i in range(24)])
    with pytest.raises(ValueError, match="'record'"):
        SCARF(**TABLE).fit(frame)
    with pytest.warns(UserWarning, match="column 'record' has 24 categories, none of 5 training rows or more"):
        model = SCARF(**TABLE, text="categorical").fit(frame)
    assert model.transform(frame).shape == (24, 4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"repr_dim": 0}, "repr_dim must be at least 1; got 0"),
        ({"hidden_dim": 2.5}, "hidden_dim must be a whole number; got 2.5"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\); got 1.0"),
        ({"mask": "all"}, "mask must be 'binomial' or 'all_true'; got 'all'"),
        ({"missing": "cell"}, "missing must be 'channel' or 'timestep'; got 'cell'"),
        ({"front_end": "mask"}, "front_end must be 'values', 'values.mask' or 'values.mask.delta'; got 'mask'"),
        ({"padding": "zero"}, "padding must be 'masked' or 'official'; got 'zero'"),
        (
            {"scaling": "minmax"},
            "scaling must be one of 'dataset', 'robust', 'quantile', 'sample', None, or .* got 'minmax'",
        ),
        ({"temporal_unit": -1}, "temporal_unit must be at least 0; got -1"),
    ],
)
def test_parameters_of_ts2vec_out_of_range_are_refused_at_fit(changes, message):
    with pytest.raises(ValueError, match=message):
        TS2Vec(**{**SERIES, **changes}).fit(_series())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"corruption_rate": 1.5}, r"corruption_rate must be in \[0, 1\]; got 1.5"),
        ({"hidden_dim": 0}, "hidden_dim must be at least 1; got 0"),
        ({"temperature": 0.0}, "temperature must be above 0; got 0.0"),
        ({"text": "keep"}, "text must be 'refuse' or 'categorical'; got 'keep'"),
    ],
)
def test_parameters_of_scarf_out_of_range_are_refused_at_fit(changes, message):
    with pytest.raises(ValueError, match=message):
        SCARF(**{**TABLE, **changes}).fit(_table())


# ------------------------------------------------------------------------------------------------------ encode


@pytest.fixture(scope="module")
def encoder():
    return TS2Vec(**SERIES).fit(_series())


def test_windows_are_maxima_over_the_steps_around(encoder):
    X = _series(3)
    z = encoder.encode(X)
    assert z.shape == (3, 4, 14)
    padded = np.pad(z, ((0, 0), (0, 0), (2, 2)), constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 5, axis=2).max(axis=3)
    assert _difference(encoder.encode(X, 5), windows) < TOLERANCE
    assert _difference(encoder.encode(X, 1), z) < TOLERANCE
    assert _difference(encoder.encode(X, "full_series"), z.max(axis=2)) < TOLERANCE
    zeros = TS2Vec(**SERIES, fill="zero").fit(X)
    observed = np.where(np.isnan(X).all(axis=1)[:, None], -np.inf, zeros.encode(X))
    assert _difference(zeros.encode(X, "full_series"), observed.max(axis=2)) < TOLERANCE
    assert _difference(encoder.encode(X, "full_series"), _embed(encoder, X)) < TOLERANCE
    scales = [encoder.encode(X, 2**k + 1) for k in (1, 2, 3, 4)]
    assert _difference(encoder.encode(X, "multiscale"), np.concatenate(scales, axis=1)) < TOLERANCE


def test_a_window_with_enough_context_equals_the_whole_series(encoder):
    X = _series(3, steps=50, gaps=0.0)
    whole = encoder.encode(X)
    # an output step sees 2·(1 + 2 + 4) = 14 steps to each side; before the start a window sees a gap, not nothing
    for length in (1, 3, 5, 14):
        z = encoder.encode(X, sliding_length=length, sliding_padding=14)
        assert _difference(z[:, :, 28:], whole[:, :, 28:]) < TOLERANCE, length
    assert _difference(encoder.encode(X, sliding_length=3)[:, :, 28:], whole[:, :, 28:]) > 1e-3


@pytest.mark.parametrize("window", [None, 3, "multiscale"])
def test_causal_encodings_do_not_know_the_future(encoder, window):
    X = _series(3, gaps=0.0)
    changed = X.copy()
    changed[:, :, 8:] += 10.0
    gone = X[:, :, :8]
    for length in (1, 2, 4):
        options = {"window": window, "causal": True, "sliding_length": length, "sliding_padding": 9}
        z = encoder.encode(X, **options)
        assert _difference(z[:, :, :8], encoder.encode(changed, **options)[:, :, :8]) == 0.0
        assert _difference(z[:, :, 8:], encoder.encode(changed, **options)[:, :, 8:]) > 1e-3
        assert _difference(z[:, :, :8], encoder.encode(gone, **options)) < TOLERANCE
    two_sided = {"window": window, "sliding_length": 1, "sliding_padding": 9}
    ahead = encoder.encode(X, **two_sided), encoder.encode(changed, **two_sided)
    assert _difference(ahead[0][:, :, :8], ahead[1][:, :, :8]) > 1e-3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 0}, "window must be at least 1; got 0"),
        ({"window": "all"}, "window must be a whole number, 'full_series', 'multiscale' or None; got 'all'"),
        ({"window": True}, "window must be a whole number; got True"),
        ({"window": 2.0}, "window must be a whole number; got 2.0"),
        ({"sliding_length": 0}, "sliding_length must be at least 1; got 0"),
        ({"sliding_length": 2.5}, "sliding_length must be a whole number; got 2.5"),
        ({"sliding_length": 2, "sliding_padding": -1}, "sliding_padding must be at least 0; got -1"),
        ({"causal": True}, "give sliding_length too"),
        ({"sliding_padding": 3}, "give sliding_length too"),
    ],
)
def test_wrong_arguments_of_encode_are_refused(encoder, options, message):
    with pytest.raises(ValueError, match=message):
        encoder.encode(_series(3), **options)
    with pytest.raises(ValueError, match="at least 3 steps; these have 2"):
        encoder.encode(_series(3, steps=2), "multiscale")


# ---------------------------------------------------------------------------------------------------- controls


def test_raw_features_of_series_interpolate_within_the_series():
    nan = np.nan
    X = np.array([[[1.0, nan, 3.0, nan, nan, 6.0]], [[nan, 2.0, nan, nan, 8.0, 8.0]], [[0.0] * 6]])
    raw = RawFeatures().fit(X)
    assert raw.transform(X).tolist() == [[1, 2, 3, 4, 5, 6], [2, 2, 4, 6, 8, 8], [0] * 6]
    kept = raw.transform(X, missing="keep")
    assert np.array_equal(kept, X[:, 0], equal_nan=True)
    with pytest.raises(ValueError, match="missing must be 'interpolate' or 'keep'; got 'drop'"):
        raw.transform(X, missing="drop")


def test_raw_features_bring_every_series_to_the_training_length():
    raw = RawFeatures().fit([np.array([0.0, 1.0, 2.0, 3.0, 4.0]), np.array([10.0, 20.0, 30.0])])
    assert raw.transform([np.array([10.0, 20.0, 30.0])]).tolist() == [[10.0, 15.0, 20.0, 25.0, 30.0]]
    longer = np.arange(9.0)
    assert raw.transform([longer]).tolist() == [[0.0, 2.0, 4.0, 6.0, 8.0]]
    unseen = raw.transform(np.full((1, 1, 4), np.nan))
    assert unseen == pytest.approx(np.full((1, 5), (10 + 60) / 8))  # the training mean of the channel
    assert np.isnan(raw.transform(np.full((1, 1, 4), np.nan), missing="keep")).all()


def test_raw_features_of_irregular_series_lie_on_a_grid_over_the_training_times():
    index = pd.MultiIndex.from_tuples([("a", 0.0), ("a", 1.0), ("a", 4.0), ("b", 2.0)], names=["stay", "hour"])
    raw = RawFeatures().fit(pd.DataFrame({"x": [0.0, 10.0, 40.0, 7.0]}, index=index))
    z = raw.transform(pd.DataFrame({"x": [0.0, 10.0, 40.0, 7.0]}, index=index))
    assert z.tolist() == [[0.0, 20.0, 40.0], [7.0, 7.0, 7.0]]  # hours 0, 2, 4


def test_raw_features_of_tables_fill_with_the_median_and_the_most_frequent_category():
    frame = pd.DataFrame({"x": [1.0, 2.0, None, 9.0, 2.0], "c": ["a", "b", "b", None, "b"], "b": [True] * 5})
    raw = RawFeatures().fit(pd.concat([frame] * 5))
    z = raw.transform(frame)
    mean, scale = 3.5, np.std([1.0, 2.0, 9.0, 2.0])
    assert z[:, 0] == pytest.approx((np.array([1.0, 2.0, 2.0, 9.0, 2.0]) - mean) / scale, abs=1e-6)
    assert z[:, 1:3].tolist() == [[1, 0], [0, 1], [0, 1], [0, 1], [0, 1]]
    assert z[:, 3].tolist() == [0.0] * 5
    kept = raw.transform(frame, missing="keep")
    assert np.isnan(kept).sum() == 3 and np.isnan(kept[2, 0]) and np.isnan(kept[3, 1:3]).all()
    unseen = raw.transform(pd.DataFrame({"x": [2.0], "c": ["z"], "b": [True]}))
    assert unseen[0, 1:3].tolist() == [0.0, 0.0]


@trained
def test_random_init_is_the_untrained_network_of_the_same_seed(name):
    X = _data(name)
    control = RandomInit(SMALL[name](), random_state=0).fit(X)
    weights: dict[str, torch.Tensor] = {}

    class Begin(Callback):
        def on_train_begin(self, state, method):
            weights.update({k: v.clone() for k, v in method.state_dict().items()})

    full = SMALL[name]().set_params(trainer__callbacks=[Begin()]).fit(X)
    untrained = control.estimator_.method_.state_dict()
    if name == "ts2vec":
        weights.pop("encoder.front_end.step", None)
    assert all(torch.equal(untrained[k], weights[k]) for k in weights)
    assert _difference(_embed(control, X), _initial(name, X)) == 0.0
    assert _difference(_embed(control, X), _embed(full, X)) > 0.0
    assert control.estimator_.training_ is None


def test_random_init_leaves_the_method_it_is_given_alone():
    given = TS2Vec(**{**SERIES, "random_state": 5})
    control = RandomInit(given, random_state=0).fit(_series())
    assert not given.is_fitted and given.random_state == 5
    assert control.estimator_.random_state == 0


def test_random_init_takes_the_network_of_the_modality():
    assert isinstance(RandomInit(random_state=0).fit(_series(3)).estimator_, TS2Vec)
    assert isinstance(RandomInit(random_state=0).fit(_table()).estimator_, SCARF)


def test_time_stamps_of_another_kind_are_refused_where_they_count(tmp_path):
    import kinview

    hours = np.arange(12) * 0.5
    dates = pd.Timestamp("2026-01-01") + pd.to_timedelta(hours, unit="h")
    numbers, stamped = (
        pd.DataFrame(
            {"hr": np.sin(np.arange(36.0))},
            index=pd.MultiIndex.from_arrays([np.repeat(range(3), 12), np.tile(stamps, 3)], names=["id", "time"]),
        )
        for stamps in (hours, dates)
    )
    small = {**SERIES, "trainer": {"max_steps": 1}}
    model = TS2Vec(**small, front_end="values+mask+delta").fit(numbers)
    model.save(tmp_path / "model.safetensors")
    for fitted in (model, kinview.load_model(tmp_path / "model.safetensors")):
        assert fitted.transform(numbers).shape == (3, 4)
        with pytest.raises(ValueError, match="time stamps of X are dates or durations, at fit they were numbers"):
            fitted.transform(stamped)
        with pytest.raises(ValueError, match="time stamps of X are none"):
            fitted.encode(np.zeros((2, 1, 12)))
    ignoring = TS2Vec(**small, fill="zero").fit(numbers)
    assert ignoring.transform(stamped).shape == (3, 4)
    assert TS2Vec(**small).fit(numbers).transform(stamped).shape == (3, 4)  # three series teach no completion
    shape = np.sin(np.arange(12) * 1.3) + 0.1 * np.random.default_rng(0).normal(size=(40, 12))
    many, dated = (
        pd.DataFrame({"hr": shape.ravel()}, index=pd.MultiIndex.from_product([range(40), stamps], names=["id", "time"]))
        for stamps in (hours, dates)
    )
    completing = TS2Vec(**small).fit(many)  # knows the typical step of the training series
    with pytest.raises(ValueError, match="time stamps of X are dates or durations, at fit they were numbers"):
        completing.transform(dated)
    assert completing.transform(np.zeros((2, 1, 12))).shape == (2, 4)


def test_saving_to_a_folder_is_refused(tmp_path):
    model = TS2Vec(**SERIES).fit(np.zeros((3, 1, 8)))
    with pytest.raises(IsADirectoryError, match=r"is a folder; name a file in it, such as model\.safetensors"):
        model.save(tmp_path)
