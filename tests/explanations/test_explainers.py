"""Explainers against closed forms and slow oracles, on representations whose important cells are known."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import kinview
from helpers import NAN, SMALL, SMALL_ON_TABLES, gen
from kinview.data import PairedData, read_panel
from kinview.data.batch import Batch
from kinview.data.panel import Panel
from kinview.explanations import CoRTX, Explainer, IntegratedGradients, Occlusion
from kinview.explanations.cortx import _ExplanationEncoder, _UnitFeatures
from kinview.explanations.hiding import units_of
from kinview.explanations.samples import read_samples
from kinview.methods import LiT, MiniRocket, RawFeatures, TS2Vec, methods
from kinview.modules.projector import Perceptron
from kinview.training.method import LossResult, Method

TINY: dict[str, Any] = {"repr_dim": 6, "hidden_dim": 4, "depth": 2, "trainer": {"max_steps": 3}, "random_state": 0}
_GRADIENTS: Any = {"integrated_gradients": {"steps": 8}}
_FEW_ORDERS: Any = {"shapley": {"windows": 5, "permutations": 2}}
_LIGHT: Any = {"cortx": {"permutations": 2, "trainer": {"max_steps": 5}, "encoder": {"hidden_dim": 16, "out_dim": 8}}}


class Weighted:
    """A representation whose importance is known: the values times weights, what is missing as 0."""

    modality = "time_series"

    def __init__(self, weights: Any) -> None:
        self.weights = torch.as_tensor(weights, dtype=torch.float64)
        self.channels_ = tuple(f"channel_{i}" for i in range(len(self.weights)))

    def to_panel(self, X: Any) -> Panel:
        return read_panel(X, dtype=torch.float64)

    def to_batch(self, X: Any) -> Batch:
        return self.to_panel(X).batch

    def embed_batch(self, batch: Batch) -> torch.Tensor:
        return (torch.nan_to_num(batch.x) * self.weights[:, : batch.x.shape[2]]).flatten(1)


def series(n: int = 4, channels: int = 2, steps: int = 30, seed: int = 0) -> np.ndarray:
    X = np.random.default_rng(seed).normal(size=(n, channels, steps)).cumsum(axis=2)
    X[0, 0, 3:7] = NAN
    X[1, :, 7:9] = NAN
    return X


def table(n: int = 40) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(rng.normal(size=(n, 3)) * [1, 5, 20], columns=["age", "crp", "sodium"])
    frame["sex"] = np.where(rng.random(n) < 0.5, "f", "m")
    frame.iloc[0, 1] = NAN
    return frame


@pytest.fixture(scope="module")
def ts2vec() -> TS2Vec:
    return TS2Vec(**TINY).fit(series(12, seed=3))


@pytest.fixture(scope="module")
def scarf() -> Any:
    return methods.build({"scarf": SMALL["scarf"]}).fit(table())


# --- occlusion -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize(("window", "stride", "starts"), [(3, 2, [0, 2, 4, 6, 7]), (4, 4, [0, 4, 6]), (99, None, [0])])
def test_occlusion_of_a_linear_representation_has_a_closed_form(
    window: int, stride: int | None, starts: list[int], together: bool
) -> None:
    X = series(3, 2, 10)
    weights = np.random.default_rng(1).normal(size=(2, 10))
    channels = "together" if together else "each"
    found = kinview.explain(
        Weighted(weights), X, window=window, stride=stride, channels=channels, distance="euclidean"
    ).values
    moved = np.nan_to_num(X * weights) ** 2
    size = min(window, 10)
    for i, c, t in itertools.product(range(3), range(2), range(10)):
        lanes = slice(None) if together else slice(c, c + 1)
        covering = [np.sqrt(moved[i, lanes, s : s + size].sum()) for s in starts if s <= t < s + size]
        expected = NAN if np.isnan(X[i, c, t]) else np.mean(covering)
        np.testing.assert_allclose(found[i, c, t], expected, rtol=1e-9)


def test_occlusion_by_a_baseline_and_of_columns() -> None:
    X = series(3, 2, 10)
    weights = np.ones((2, 10))
    found = kinview.explain(Weighted(weights), X, window=1, distance="euclidean", baseline=2.0).values
    np.testing.assert_allclose(found, np.abs(X - 2.0), rtol=1e-9)
    frame = table()
    model = RawFeatures().fit(frame)
    values = kinview.explain(model, frame, distance="euclidean").values
    z = model.transform(frame)
    for column, name in enumerate(frame.columns):
        hidden = model.transform(frame.assign(**{name: frame[name].where(np.zeros(40, dtype=bool))}))
        expected = np.where(frame[name].isna(), NAN, np.linalg.norm(z - hidden, axis=1))
        np.testing.assert_allclose(values[:, column], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("explainer", ["occlusion", "shapley"])
def test_a_channel_that_is_ignored_has_no_importance(explainer: str) -> None:
    X = series()
    values = kinview.explain(Weighted(np.array([[1.0], [0.0]]) * np.ones(30)), X, explainer).values
    assert np.nanmax(np.abs(values[:, 1])) < 1e-12 and np.nanmax(values[:, 0]) > 1e-3


def test_hiding_the_end_of_a_series_does_not_shorten_it(ts2vec: TS2Vec) -> None:
    class Length(Weighted):
        def embed_batch(self, batch: Batch) -> torch.Tensor:
            from kinview.data.gaps import valid_lengths

            return valid_lengths(batch.x, batch.times)[:, None].double()

    values = kinview.explain(Length(np.ones((2, 30))), series(), channels="together", distance="euclidean").values
    assert np.nanmax(values) == 0


# --- what all explainers keep ----------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:integrated_gradients")  # too few steps to add up
@pytest.mark.parametrize(
    "explainer",
    ["occlusion", {"occlusion": {"baseline": 0.0, "channels": "together"}}, _GRADIENTS, _FEW_ORDERS, _LIGHT],
    ids=lambda spec: str(spec)[:30],
)
def test_unobserved_cells_have_no_importance_and_a_seed_gives_the_same(explainer: Any, ts2vec: TS2Vec) -> None:
    X = series(12)
    first, second = (kinview.explain(ts2vec, X, explainer, random_state=3) for _ in range(2))
    np.testing.assert_array_equal(np.isnan(first.values), np.isnan(X))
    np.testing.assert_array_equal(first.values, second.values)
    assert np.abs(first.values[~np.isnan(X)]).max() > 0
    torch.manual_seed(1)
    before = torch.get_rng_state()
    kinview.explain(ts2vec, X[:10], explainer)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.filterwarnings("ignore:integrated_gradients")
@pytest.mark.parametrize("explainer", ["occlusion", _GRADIENTS, _LIGHT], ids=lambda spec: str(spec)[:30])
def test_neither_padding_nor_other_rows_matter(explainer: Any, ts2vec: TS2Vec) -> None:
    X = series(12)
    part = kinview.explain(ts2vec, X, _LIGHT).explainer if explainer is _LIGHT else explainer
    alone = kinview.explain(ts2vec, [X[0]], part).values
    beside = kinview.explain(ts2vec, [X[0], np.concatenate([X[2], X[3]], axis=1)], part).values
    assert beside.shape[2] == 60 and np.isnan(beside[0, :, 30:]).all()
    np.testing.assert_allclose(beside[0, :, :30], alone[0], rtol=1e-4, atol=1e-6)


def test_parameters_out_of_range_are_refused() -> None:
    for build, message in (
        (lambda: Occlusion(window=0), "window must be at least 1"),
        (lambda: Occlusion(window=2, stride=3), "stride must be at most window, 2"),
        (lambda: Occlusion(distance="cos"), "distance must be"),  # type: ignore[arg-type]
        (lambda: IntegratedGradients(steps=0), "steps must be at least 1"),
        (lambda: CoRTX(explained=0.0), "explained must be"),
    ):
        with pytest.raises(ValueError, match=message):
            build()


# --- integrated gradients --------------------------------------------------------------------------------------------


def test_attributions_of_series_add_up(ts2vec: TS2Vec) -> None:
    X = series(3)
    values = kinview.explain(ts2vec, X, "integrated_gradients", steps=400).values
    z = ts2vec.transform(X).to_numpy()
    tolerance = {"rtol": 1e-3, "atol": 1e-3 * np.linalg.norm(z, axis=1).min()}
    start = np.where(np.isnan(X), NAN, ts2vec.scaler_.mean.numpy()[None, :, None])
    target = z / np.linalg.norm(z, axis=1, keepdims=True)
    expected = ((z - ts2vec.transform(start).to_numpy()) * target).sum(axis=1)
    np.testing.assert_allclose(np.nansum(values, axis=(1, 2)), expected, **tolerance)
    direction = np.eye(6)[2]
    values = kinview.explain(ts2vec, X, "integrated_gradients", steps=400, direction=direction).values
    expected = z[:, 2] - ts2vec.transform(start).to_numpy()[:, 2]
    np.testing.assert_allclose(np.nansum(values, axis=(1, 2)), expected, **tolerance)


def test_attributions_of_a_table_add_up_and_categories_are_named(scarf: Any) -> None:
    frame = table().iloc[:6]
    with pytest.warns(UserWarning, match=r"1 column\(s\) of categories have no gradient and stay as they are: sex"):
        values = kinview.explain(scarf, frame, "integrated_gradients", steps=100).values
    assert np.isnan(values[:, 3]).all() and np.isnan(values[0, 1]) and np.isfinite(values[1:, :3]).all()
    z = scarf.transform(frame)
    means = {column.name: column.mean for column in scarf.schema_.columns if column.kind == "numeric"}
    start = frame.assign(**{name: frame[name].where(frame[name].isna(), mean) for name, mean in means.items()})
    target = z / np.linalg.norm(z, axis=1, keepdims=True)
    expected = ((z - scarf.transform(start)) * target).sum(axis=1)
    np.testing.assert_allclose(np.nansum(values, axis=1), expected, rtol=1e-3, atol=1e-3)


def test_integrated_gradients_says_what_it_cannot_explain(scarf: Any, ts2vec: TS2Vec) -> None:
    X = series()
    with pytest.raises(ValueError, match="fixed features, through which no gradient flows: explain it by occlusion"):
        kinview.explain(RawFeatures().fit(X), X, "integrated_gradients")
    sexes = table()[["sex"]]
    model = methods.build({"scarf": SMALL["scarf"]}).fit(sexes)
    with pytest.raises(ValueError, match="all columns are categories"):
        kinview.explain(model, sexes, "integrated_gradients")
    with pytest.raises(ValueError, match=r"direction must be 6 finite numbers.*shape \(2,\)"):
        kinview.explain(ts2vec, X, "integrated_gradients", direction=[1.0, 2.0])


class Thresholds(Method):
    """A network through which no gradient flows."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(1, dtype=torch.float64))

    def views(self, batch: Batch, generator: torch.Generator, progress: float) -> list[Batch]:
        raise NotImplementedError

    def loss(self, views: list[Batch]) -> LossResult:
        raise NotImplementedError

    def embed(self, batch: Batch) -> torch.Tensor:
        return self.scale * (torch.nan_to_num(batch.x) > 0).double().flatten(1)


def test_attributions_that_do_not_add_up_are_told(ts2vec: TS2Vec, monkeypatch: pytest.MonkeyPatch) -> None:
    X = series()
    twin = ts2vec.clone().fit(X)
    twin.method_ = Thresholds()  # type: ignore[assignment]
    with pytest.warns(UserWarning, match="of 4 samples do not add up to what they explain"):
        values = kinview.explain(twin, X, "integrated_gradients", steps=4).values
    assert np.nanmax(np.abs(values)) == 0


# --- Shapley values --------------------------------------------------------------------------------------------------


def test_shapley_values_are_those_of_all_orders() -> None:
    X = np.array([[[2.0, 1.0, 0.5]], [[1.0, NAN, 3.0]]])
    model = Weighted([[1.0, 2.0, 1.0]])
    found = kinview.explain(model, X, {"shapley": {"windows": 3, "permutations": 600}}).values
    z = np.nan_to_num(X[:, 0]) * [1.0, 2.0, 1.0]
    for i in range(2):
        exact = np.zeros(3)
        for order in itertools.permutations(range(3)):
            shown, before = np.zeros(3), 0.0
            for unit in order:
                shown[unit] = z[i, unit]
                size = np.linalg.norm(shown) * np.linalg.norm(z[i])
                now = shown @ z[i] / size if size else 0.0
                exact[unit] += (now - before) / 6
                before = now
        np.testing.assert_allclose(np.nan_to_num(found[i, 0]), exact, atol=0.03)
        np.testing.assert_allclose(np.nansum(found[i]), 1.0, rtol=1e-9)  # exactly, whatever the orders


# --- CoRTX -----------------------------------------------------------------------------------------------------------


def test_cortx_predicts_shapley_values_of_rows_it_has_not_seen() -> None:
    X = np.random.default_rng(0).normal(size=(120, 4))
    model = RawFeatures().fit(X)
    spec = {"explained": 1.0, "permutations": 8, "trainer": {"max_steps": 60}, "encoder": {"hidden_dim": 64}}
    learned = kinview.explain(model, X[:1], {"cortx": spec}, X_train=X[:100])
    predicted = kinview.explain(model, X[100:], learned.explainer).values
    exact = kinview.explain(model, X[100:], "shapley").values
    agreement = np.corrcoef(predicted.ravel(), exact.ravel())[0, 1]
    shuffled = np.corrcoef(np.roll(predicted, 1, axis=0).ravel(), exact.ravel())[0, 1]
    assert agreement > 0.6 and agreement > shuffled + 0.3


def test_cortx_hides_by_the_mask_and_takes_the_nearest_copy() -> None:
    X = -np.abs(np.random.default_rng(0).normal(size=(12, 3))) - 1  # below 0: the official code would hide them all
    samples = read_samples(RawFeatures().fit(X), X)
    units = units_of(samples)
    features = _UnitFeatures.fit(samples, units, 20)
    method = _ExplanationEncoder(features, Perceptron(hidden_dim=4, out_dim=4, batch_norm=False), 4, 0.1)
    shows = torch.tensor([[True, False, True], [False, True, False], [True, True, False], [True, True, True]])
    batch = Batch.of(features.of(samples, units), extra={
        "shows": shows.expand(12, 4, 3), "distance": torch.tensor([[0.3, 0.1, 0.2, 0.4]]).expand(12, 4),
    })  # fmt: skip
    anchor, positive = method.views(batch, gen(), 0.0)
    kept = torch.tensor([False, False, True, True, False, False])  # a column has a number and whether it was observed
    assert torch.equal(positive.x[:, kept], anchor.x[:, kept]) and not bool(positive.x[:, ~kept].any())
    assert bool((anchor.x[:, 1::2] == 1).all())


def test_cortx_says_what_it_needs(ts2vec: TS2Vec, scarf: Any) -> None:
    with pytest.raises(ValueError, match="at least 10 samples, and there are 4: give the training samples as X_train"):
        kinview.explain(ts2vec, series(), "cortx")
    learned = kinview.explain(scarf, table(), _LIGHT).explainer
    with pytest.raises(ValueError, match=r"fitted to samples of 4 windows or columns, and these have 40"):
        kinview.explain(ts2vec, series(), learned)


# --- which models ----------------------------------------------------------------------------------------------------


def test_one_side_of_pairs_is_explained_by_its_own_cells() -> None:
    X, frame = series(16), table(16)
    pairs = PairedData(series=X, table=frame)
    model = methods.build({"paired_embedding": {"trainer": {"max_steps": 1}, "random_state": 0}}).fit(pairs)
    found = kinview.explain(model, pairs, side="table")
    assert found.names == tuple(frame.columns) and found.values.shape == (16, 4)
    np.testing.assert_array_equal(np.isnan(found.values), frame.isna().to_numpy())
    hidden = model.transform({"table": frame.assign(crp=NAN)}, side="table")
    z = model.transform({"table": frame}, side="table")
    cosine = (hidden * z).sum(axis=1) / np.linalg.norm(hidden, axis=1) / np.linalg.norm(z, axis=1)
    np.testing.assert_allclose(found.values[1:, 1], 1 - cosine[1:], atol=1e-5)
    found = kinview.explain(model, pairs[:2], "integrated_gradients", side="series", steps=32)
    np.testing.assert_array_equal(np.isnan(found.values), np.isnan(X[:2]))
    with pytest.raises(ValueError, match="side says whose representation is explained: 'series' or 'table'"):
        kinview.explain(model, pairs)


def test_a_side_that_a_locked_model_reads_is_explained_by_that_model() -> None:
    pairs = PairedData(series=series(16), table=table(16))
    small = {"table_encoder": {"mlp": {"hidden_dim": 8, "depth": 2}}, "trainer": {"max_steps": 1}, "random_state": 0}
    model = LiT(locked=MiniRocket(features=84), **small).fit(pairs)
    assert kinview.explain(model, pairs, side="table").values.shape == (16, 4)
    with pytest.raises(ValueError, match=r"the side 'series' is read by a fitted MiniRocket, .*: explain that model"):
        kinview.explain(model, pairs, side="series")


def test_what_has_no_representation_is_refused(ts2vec: TS2Vec) -> None:
    from sklearn.linear_model import LogisticRegression

    X = series()
    for model, given, options, message in (
        (LogisticRegression(), X, {}, "has no representation to explain: give a fitted estimator that embeds"),
        (ts2vec, X, {"side": "series"}, "TS2Vec does not read pairs"),
        (ts2vec, table(), {}, "TS2Vec"),
        (ts2vec, X, {"explainer": {"occlusion": {}}, "window": 3}, "write them into the spec"),
        (ts2vec, X, {"explainer": "saliency"}, "unknown explainer 'saliency'"),
        (ts2vec, X, {"explainer": object()}, "explainer must be a name, a spec or an Explainer"),
        (ts2vec, X, {"random_state": -1}, "random_state must be"),
    ):
        with pytest.raises(ValueError, match=message):
            kinview.explain(model, given, **options)


def test_an_explainer_of_ones_own() -> None:
    class Size(Explainer):
        def attribute(self, samples: Any, generator: torch.Generator) -> torch.Tensor:
            return samples.batch.x.abs()

    X = series()
    np.testing.assert_allclose(kinview.explain(Weighted(np.ones((2, 30))), X, Size()).values, np.abs(X))


def _embedders() -> list[str]:
    return [name for name in methods if methods[name].modality != "paired" and name != "supervised"]


@pytest.mark.slow
@pytest.mark.parametrize("name", _embedders())
def test_every_method_can_be_explained(name: str) -> None:
    modality = methods[name].modality
    frame = table(24)
    for tabular in {"tabular": [True], "time_series": [False]}.get(modality or "any", [True, False]):
        parameters = SMALL_ON_TABLES.get(name, SMALL.get(name, {})) if tabular else SMALL.get(name, {})
        if name == "random_init":
            parameters = {"method": {"scarf": SMALL["scarf"]} if tabular else {"ts2vec": SMALL["ts2vec"]}}
        X: Any = frame if tabular else series(24, 2, 40)
        model = methods.build({name: parameters}, for_modality="tabular" if tabular else "time_series")
        known: dict[str, Any] = {}
        uses = getattr(model, "uses", frozenset())
        if "groups" in uses:
            known["groups"] = np.arange(24) // 2
        if "extra" in uses:
            known["extra"] = {"features": np.random.default_rng(0).normal(size=(24, 2)), "time": np.arange(24.0)}
        model.fit(X, np.arange(24) % 2, **known)
        samples = read_samples(model, X)
        z = np.asarray(model.transform(X))
        np.testing.assert_allclose(samples.embedded.numpy(), z, rtol=1e-4, atol=1e-5)
        found = kinview.explain(model, X, window=None if tabular else 8)
        np.testing.assert_array_equal(np.isnan(found.values), pd.isna(X).to_numpy() if tabular else np.isnan(X))
        assert np.nanmax(found.values) > 0 and math.isfinite(np.nansum(found.values))
