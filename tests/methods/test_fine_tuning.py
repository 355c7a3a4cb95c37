"""Classifiers on a pre-trained network: what is trained, what stays, and what early stopping may see."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.utils.estimator_checks import check_estimator
from torch import nn

import kinview
from helpers import gen
from kinview import SCARF, Batch, FineTunedClassifier, PairedData, Trainer, TS2Vec
from kinview.configs import read_config
from kinview.encoders import heads
from kinview.methods import RandomInit, Supervised, classifiers, methods
from kinview.methods.fine_tuning.classifier import FineTuningMethod
from kinview.methods.fine_tuning.layers import layers_of
from kinview.training import Callback, LossResult, Method
from kinview.training.randomness import forked_generators

SERIES = {"ts2vec": {"repr_dim": 8, "hidden_dim": 8, "depth": 3, "trainer": {"max_steps": 5}}}
TABLE = {"scarf": {"hidden_dim": 16, "depth": 2, "trainer": {"max_epochs": 3}}}
SHORT = {"max_epochs": 3}
SKIPPED = {"check_array_api_input"}  # see test_estimator_checks.py


def waves(n: int = 24, channels: int = 1, steps: int = 20, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Slow and fast sines with noise: a network tells them apart, gaps and all."""
    random = np.random.default_rng(seed)
    fast = np.arange(n) % 2
    phase = random.uniform(0, 2 * np.pi, (n, channels, 1))
    X = np.sin(np.arange(steps) * (0.4 + 1.2 * fast[:, None, None]) + phase) + random.normal(
        0, 0.1, (n, channels, steps)
    )
    X[random.random(X.shape) < 0.1] = np.nan
    X[:, :, 0] = 0.0
    return X, np.where(fast, "fast", "slow")


def patients(n: int = 40, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    random = np.random.default_rng(seed)
    ill = np.arange(n) % 2 == 1
    frame = pd.DataFrame(
        {"age": random.normal(50 + 20 * ill, 5), "ward": np.where(ill, "a", "b"), "score": random.random(n)}
    )
    return frame.mask(random.random(frame.shape) < 0.1), ill


def weights(estimator) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in estimator.method_.state_dict().items()}


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    assert one.keys() == other.keys()
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def ts2vec() -> TS2Vec:
    return methods.build(SERIES, random_state=0).fit(waves()[0])


@pytest.fixture(scope="module")
def scarf() -> SCARF:
    return methods.build(TABLE, random_state=0).fit(patients()[0])


@pytest.fixture
def fitted(request, ts2vec, scarf):
    return {"series": ts2vec, "table": scarf}[request.param]


both = pytest.mark.parametrize("fitted", ["series", "table"], indirect=True)


def samples(estimator, n: int = 40) -> tuple:
    return waves(n) if isinstance(estimator, TS2Vec) else patients(n)


# --------------------------------------------------------------------------------------------- what is trained


@both
def test_the_encoder_that_was_given_is_never_changed(fitted):
    before, X_y = weights(fitted), samples(fitted)
    for freeze in ("none", "gradual", "encoder"):
        FineTunedClassifier(fitted, freeze=freeze, trainer=SHORT, random_state=0).fit(*X_y)
        assert equal(before, weights(fitted))
    assert all(p.requires_grad for p in fitted.method_.parameters())


@both
def test_a_frozen_encoder_stays_bit_by_bit_and_a_free_one_does_not(fitted):
    before, (X, y) = weights(fitted), samples(fitted)
    frozen = FineTunedClassifier(fitted, freeze="encoder", trainer=SHORT, random_state=0).fit(X, y)
    assert equal(before, weights(frozen.encoder_))
    np.testing.assert_array_equal(np.asarray(frozen.encoder_.transform(X)), np.asarray(fitted.transform(X)))
    for freeze in ("none", "gradual"):
        after = weights(FineTunedClassifier(fitted, freeze=freeze, trainer=SHORT, random_state=0).fit(X, y).encoder_)
        trained = {name for name in before if ".completion." not in name}  # what fills gaps is no weight
        same = {name for name in trained if torch.equal(before[name], after[name])}
        assert {name.split(".")[0] for name in same} <= {"projector"}  # serves pre-training, not the embedding
        assert len(same) < len(trained)


class Tiny(Method):
    """Two layers with BatchNorm and dropout, and a projector that embedding does not use."""

    def __init__(self) -> None:
        super().__init__()
        self.bottom = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Dropout(0.5))
        self.projector = nn.Linear(4, 2)
        self.top = nn.Linear(4, 4)

    def views(self, batch, generator, progress):
        return [batch]

    def loss(self, views):
        return LossResult(self.embed(views[0]).square().mean())

    def embed(self, batch):
        return self.top(self.bottom(batch.x))


def tiny(freeze: str, encoder_lr: float | None = None) -> tuple[FineTuningMethod, Batch]:
    generator = gen()
    batch = Batch.of(torch.randn(32, 3, generator=generator) + 3.0, y=torch.arange(32) % 2)
    with forked_generators(0, torch.device("cpu")):
        encoder = Tiny()
        layers, repr_dim = layers_of(encoder, batch.rows(slice(0, 4)))
        head = heads.build("linear", in_features=repr_dim, n_classes=2)
    return FineTuningMethod(FineTunedClassifier(freeze=freeze, encoder_lr=encoder_lr), encoder, head, layers), batch


def train(method: FineTuningMethod, batch: Batch, **fields) -> None:
    values = {"max_steps": 8, "batch_size": 8, "lr": 0.01, "progress": False, **fields}
    with forked_generators(0, torch.device("cpu")):
        Trainer(**values).fit(method, batch, generator=gen())


def test_statistics_of_a_frozen_encoder_stay_and_its_dropout_is_off():
    method, batch = tiny("encoder")
    before = {name: value.clone() for name, value in method.encoder.state_dict().items()}
    method.train()
    assert method.head.training and not any(module.training for module in method.encoder.modules())
    with torch.no_grad():
        assert torch.equal(method.scores(batch), method.scores(batch))
    train(method, batch)
    assert equal(before, dict(method.encoder.state_dict()))
    free, batch = tiny("none")
    train(free, batch)
    assert not torch.equal(before["bottom.1.running_mean"], free.encoder.state_dict()["bottom.1.running_mean"])


def test_layers_are_what_an_embedding_rests_on_from_the_input_to_the_top(ts2vec, scarf):
    method, batch = tiny("none")
    names = {parameter: name for name, parameter in method.encoder.named_parameters()}
    layers, repr_dim = layers_of(method.encoder, batch.rows(slice(0, 4)))
    assert [[names[p] for p in layer.parameters] for layer in layers] == [
        ["bottom.0.weight", "bottom.0.bias"], ["bottom.1.weight", "bottom.1.bias"], ["top.weight", "top.bias"],
    ]  # fmt: skip
    assert repr_dim == 4
    for estimator, X, number in ((ts2vec, waves()[0], 5), (scarf, patients()[0], 2)):
        layers, _ = layers_of(estimator.method_, estimator.to_batch(X).rows(slice(0, 4)))
        names = {parameter: name for name, parameter in estimator.method_.named_parameters()}
        held = [names[p] for layer in layers for p in layer.parameters]
        assert held == [name for name in names.values() if name.startswith("encoder.")]
        assert len(layers) == number


def test_gradual_unfreezing_goes_from_the_top_to_the_input():
    method, _ = tiny("gradual")
    method.train()
    seen = []
    for step in range(101):
        method.before_step(step / 100)
        state = [all(p.requires_grad for p in layer.parameters) for layer in method._layers]
        assert state == [layer.modules[0].training for layer in method._layers]
        assert all(p.requires_grad for p in method.head.parameters())
        assert not any(p.requires_grad for p in method.encoder.projector.parameters())
        seen.append(sum(state))
        assert state == [False] * (3 - seen[-1]) + [True] * seen[-1]
        assert method.encoder.bottom[3].training == (seen[-1] == 3)
    # k of 3 layers from progress k / 8 on
    assert [seen.index(k) for k in range(4)] == [0, 13, 25, 38]
    assert seen == sorted(seen) and seen[50:] == [3] * 51


def test_gradual_unfreezing_trains_a_layer_only_when_its_time_has_come():
    method, batch = tiny("gradual")
    before = {name: value.clone() for name, value in method.encoder.state_dict().items()}
    changed = []

    class Watch(Callback):
        def on_train_begin(self, state, method): ...

        def on_step_end(self, state, method):
            now = method.encoder.state_dict()
            watched = ("bottom.0.weight", "bottom.1.weight", "bottom.1.running_mean", "top.weight")
            changed.append({name for name in watched if not torch.equal(now[name], before[name])})

        on_validation_end = on_train_end = on_train_begin

    train(method, batch, max_steps=16, callbacks=[Watch()])
    assert changed[1] == set()
    assert changed[2] == {"top.weight"}
    assert changed[4] == {"top.weight", "bottom.1.weight", "bottom.1.running_mean"}
    assert changed[6] == {"top.weight", "bottom.1.weight", "bottom.1.running_mean", "bottom.0.weight"}


def test_the_encoder_has_its_own_learning_rate(ts2vec):
    method, _ = tiny("none", encoder_lr=1e-5)
    head, encoder = method.parameter_groups()
    assert "lr" not in head and encoder["lr"] == 1e-5
    assert {id(p) for p in encoder["params"]} == {id(p) for layer in method._layers for p in layer.parameters}
    X, y = waves()
    moved = []
    for rate in (1e-7, None):
        classifier = FineTunedClassifier(ts2vec, encoder_lr=rate, trainer=SHORT, random_state=0).fit(X, y)
        after, before = weights(classifier.encoder_), weights(ts2vec)
        moved.append(max(float((after[name] - before[name]).abs().max()) for name in before))
    assert moved[0] < 1e-4 < 1e-3 < moved[1]


def test_a_network_without_a_gradient_is_refused_by_name():
    class Detached(Tiny):
        def embed(self, batch):
            return super().embed(batch).detach()

    with pytest.raises(ValueError, match="no gradient flows from an embedding of Detached"):
        layers_of(Detached(), Batch.of(torch.zeros(2, 3)))


# ---------------------------------------------------------------------------------------------- early stopping


def split_of(monkeypatch, classifier: FineTunedClassifier, X, y, **given) -> tuple[Batch, Batch | None]:
    """What the training loop is given."""
    caught = {}
    fit = Trainer.fit

    def watch(self, method, train, *, validation=None, **rest):
        if isinstance(method, FineTuningMethod):
            caught.update(train=train, validation=validation)
        return fit(self, method, train, validation=validation, **rest)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "fit", watch)
        classifier.fit(X, y, **given)
    return caught["train"], caught["validation"]


@both
def test_rows_for_early_stopping_are_cut_from_the_training_rows_by_class(fitted, monkeypatch):
    X, y = samples(fitted, 60)
    classifier = FineTunedClassifier(fitted, trainer=SHORT, random_state=0)
    train, held_out = split_of(monkeypatch, classifier, X, y)
    assert (len(train), len(held_out)) == (48, 12)
    assert sorted([*train.index.tolist(), *held_out.index.tolist()]) == list(range(60))
    assert int(held_out.y.sum()) == 6
    for batch in (train, held_out):
        assert np.array_equal(batch.y.numpy(), np.unique(y, return_inverse=True)[1][batch.index.numpy()])


@both
def test_rows_for_early_stopping_never_part_a_group(fitted, monkeypatch):
    X, y = samples(fitted, 60)
    groups = np.array([f"p{i // 4}" for i in range(60)])
    classifier = FineTunedClassifier(fitted, trainer=SHORT, random_state=0)
    train, held_out = split_of(monkeypatch, classifier, X, y, groups=groups)
    assert len(held_out) == 12
    assert not set(groups[train.index.numpy()]) & set(groups[held_out.index.numpy()])


def test_groups_come_from_a_hierarchical_index(ts2vec, monkeypatch):
    X, y = waves(60)
    rows = {(f"p{i // 4}", i): pd.DataFrame(np.nan_to_num(x.T), columns=["channel_0"]) for i, x in enumerate(X)}
    classifier = FineTunedClassifier(ts2vec, trainer=SHORT, random_state=0)
    train, held_out = split_of(monkeypatch, classifier, pd.concat(rows), y)
    assert len(held_out) == 12 and not set((train.index // 4).tolist()) & set((held_out.index // 4).tolist())


def test_without_enough_rows_for_a_split_all_rows_train(ts2vec, monkeypatch):
    classifier = FineTunedClassifier(ts2vec, trainer=SHORT, random_state=0)
    for n, held in ((4, None), (46, None), (50, 10)):
        train, held_out = split_of(monkeypatch, classifier, *waves(n))
        assert (None if held_out is None else len(held_out)) == held and len(train) == n - (held or 0)
        assert classifier.training_.epoch == 3
    groups = (np.arange(60) % 2).tolist()  # a group holds a class: holding one out would take the class away
    train, held_out = split_of(monkeypatch, classifier, *waves(60), groups=groups)
    assert len(train) == 60 and held_out is None


def test_a_small_set_makes_a_hundred_steps(ts2vec):
    budgets = {}
    for n, given in ((10, {}), (40, {}), (40, {"max_epochs": 3})):
        classifier = FineTunedClassifier(ts2vec, freeze="gradual", trainer=given, random_state=0)
        budgets[n, *given.values()] = classifier.fit(*waves(n, steps=8)).training_.step
    assert budgets == {(10,): 100, (40,): 34 * 3, (40, 3): 3 * 3}
    defaults = FineTunedClassifier(ts2vec)._training_defaults
    patience = {n: defaults(ts2vec.to_batch(waves(n)[0]))["patience"] for n in (10, 50, 500)}
    assert patience == {10: 50, 50: 17, 500: 5}
    assert [defaults(ts2vec.to_batch(waves(n)[0]))["max_epochs"] for n in (10, 50, 500)] == [100, 34, 20]


def test_the_best_weights_are_kept_and_patience_ends_the_training(ts2vec):
    X, y = waves(60)
    random = np.random.default_rng(0)
    classifier = FineTunedClassifier(ts2vec, trainer={"lr": 0.02, "patience": 2}, random_state=0)
    classifier.fit(X, random.permutation(y))
    losses = [record["loss"] for record in classifier.training_.validation]
    assert classifier.training_.stopped and len(losses) < 20
    assert classifier.training_.best == min(losses) == losses[-3]


# ------------------------------------------------------------------------------------------------ what it gives


@pytest.mark.parametrize("freeze", ["none", "gradual", "encoder"])
@pytest.mark.parametrize("head", ["linear", {"mlp": {"hidden_dim": 32}}])
def test_separable_series_are_classified(ts2vec, freeze, head):
    X, y = waves(48)
    trainer = {"lr": 0.01, "max_epochs": 100 if freeze == "encoder" else 20}
    classifier = FineTunedClassifier(ts2vec, head=head, freeze=freeze, trainer=trainer, random_state=0).fit(X, y)
    other, truth = waves(60, seed=1)
    assert (classifier.predict(other) == truth).mean() > (0.75 if freeze == "encoder" else 0.9)
    assert classifier.predict_proba(other).shape == (60, 2)
    np.testing.assert_allclose(classifier.predict_proba(other).sum(axis=1), 1.0)


def test_a_real_table_is_classified_and_permuted_labels_are_not():
    data = kinview.load("wine")
    accuracy = []
    for labels in (data.y_train, np.random.default_rng(0).permutation(data.y_train)):
        classifier = FineTunedClassifier(TABLE, trainer={"max_epochs": 20}, random_state=0).fit(data.X_train, labels)
        accuracy.append((classifier.predict(data.X_test) == data.y_test).mean())
    assert accuracy[0] > 0.9
    assert accuracy[1] < 0.6  # three classes, the largest 40 %


def test_real_series_are_classified():
    data = kinview.load("italy_power_demand")
    encoder = {"ts2vec": {"repr_dim": 16, "hidden_dim": 16, "depth": 3}}
    classifier = FineTunedClassifier(encoder, pretrain=False, random_state=0, trainer={"lr": 3e-3})
    assert (classifier.fit(data.X_train, data.y_train).predict(data.X_test) == data.y_test).mean() > 0.85


def test_containers_of_unequal_series_give_the_same_probabilities(ts2vec):
    X, y = waves()
    ragged = [x[:, : 20 - i % 5] for i, x in enumerate(np.nan_to_num(X))]
    padded = np.full((24, 1, 25), np.nan)
    for i, x in enumerate(ragged):
        padded[i, :, : x.shape[1]] = x
    frame = pd.concat({i: pd.DataFrame(x.T, columns=["channel_0"]) for i, x in enumerate(ragged)})
    nested = pd.DataFrame({"channel_0": [pd.Series(x[0]) for x in ragged]})
    classifier = FineTunedClassifier(ts2vec, trainer=SHORT, random_state=0)
    expected = classifier.fit(padded, y).predict_proba(padded)
    for container in (ragged, frame, nested):
        np.testing.assert_allclose(
            clone_with(classifier, ts2vec).fit(container, y).predict_proba(container), expected, atol=1e-5
        )


def clone_with(classifier: FineTunedClassifier, encoder) -> FineTunedClassifier:
    return clone(classifier).set_params(encoder=encoder)


@both
def test_a_row_does_not_depend_on_the_others(fitted):
    X, y = samples(fitted)
    classifier = FineTunedClassifier(fitted, trainer=SHORT, random_state=0).fit(X, y)
    alone = [classifier.predict_proba(X[i : i + 1]) for i in range(len(y))]
    np.testing.assert_allclose(np.concatenate(alone), classifier.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize(
    "labels",
    [
        np.array([7, -1]), np.array(["b", "a"]), np.array(["b", "a"], dtype=object), np.array([True, False]),
        np.array([2.0, 1.0]), pd.Categorical(["x", "y"]), pd.array([5, 3], dtype="Int64"), pd.array(["t", "s"]),
    ],
    ids=lambda labels: str(labels.dtype),
)  # fmt: skip
def test_labels_of_any_type_come_back(scarf, labels, tmp_path):
    X, ill = patients()
    y = pd.Series(labels).iloc[ill.astype(int)].reset_index(drop=True)
    classifier = FineTunedClassifier(scarf, trainer={"max_epochs": 30}, random_state=0).fit(X, y)
    assert classifier.classes_.tolist() == sorted(set(y))
    predicted = classifier.predict(X)
    assert (predicted == np.asarray(y)).mean() > 0.9
    loaded = kinview.load_model(classifier.save(tmp_path / "classifier.safetensors"))
    assert loaded.classes_.dtype == classifier.classes_.dtype
    assert loaded.predict(X).tolist() == predicted.tolist()


def test_same_seed_same_bits_other_seed_other_weights(ts2vec):
    X, y = waves()
    proba = [
        FineTunedClassifier(ts2vec, trainer=SHORT, random_state=seed).fit(X, y).predict_proba(X) for seed in (0, 0, 1)
    ]
    assert np.array_equal(proba[0], proba[1]) and not np.array_equal(proba[0], proba[2])
    state = torch.get_rng_state()
    FineTunedClassifier(SERIES, trainer=SHORT, random_state=0).fit(X, y)
    assert torch.equal(state, torch.get_rng_state())


# -------------------------------------------------------------------------------------------- where it starts


def test_a_spec_is_pre_trained_without_labels_or_starts_from_its_initial_weights(monkeypatch):
    X, y = waves()
    seen = []
    fit = TS2Vec.fit
    monkeypatch.setattr(
        TS2Vec, "fit", lambda self, *given, **named: seen.append((given, named)) or fit(self, *given, **named)
    )
    frozen = {"freeze": "encoder", "trainer": {"max_epochs": 1}, "random_state": 3}
    scratch = FineTunedClassifier(SERIES, pretrain=False, **frozen).fit(X, y)
    assert not seen
    initial = RandomInit(SERIES, random_state=3).fit(X)
    assert equal(weights(scratch.encoder_), weights(initial.estimator_))
    trained = FineTunedClassifier(SERIES, **frozen).fit(X, y)
    ((given, named),) = seen
    assert len(given) == 1 and set(named) == {"groups"}
    expected = methods.build(SERIES, random_state=3).fit(X)
    assert equal(weights(trained.encoder_), weights(expected))
    unfitted = FineTunedClassifier(methods.build(SERIES), **frozen).fit(X, y)
    assert equal(weights(unfitted.encoder_), weights(expected)) and not hasattr(unfitted.encoder, "method_")


@pytest.mark.parametrize(
    ("modality", "loss"), [("time_series", "sup_con"), ("tabular", "sup_con"), ("time_series", "group_nce")]
)
def test_an_unfitted_method_that_uses_labels_or_groups_is_pre_trained_with_them(modality: str, loss: str) -> None:
    series = modality == "time_series"
    X, y = waves() if series else patients()
    name, encoder = ("joint_embedding", "dilated_conv") if series else ("tabular_joint_embedding", "mlp")
    small = {encoder: {"hidden_dim": 8, "depth": 2, **({"repr_dim": 8} if series else {})}}
    spec = {name: {"encoder": small, "loss": loss, "trainer": {"max_steps": 3}, "random_state": 0}}
    groups = np.arange(len(y)) // 4
    frozen = {"freeze": "encoder", "trainer": SHORT, "random_state": 0}
    of_spec = FineTunedClassifier(spec, **frozen).fit(X, y, groups=groups)
    by_hand = methods.build(spec).fit(X, y, groups=groups)
    assert equal(weights(of_spec.encoder_), weights(by_hand))
    fitted = FineTunedClassifier(by_hand, **frozen).fit(X, y, groups=groups)
    assert np.array_equal(of_spec.predict_proba(X), fitted.predict_proba(X))
    other = FineTunedClassifier(spec, **frozen).fit(X, np.sort(y), groups=groups % 3)
    assert not equal(weights(other.encoder_), weights(by_hand))


def test_a_method_without_labels_is_pre_trained_without_them() -> None:
    X, y = waves()
    one, other = (FineTunedClassifier(SERIES, freeze="encoder", trainer=SHORT, random_state=0) for _ in range(2))
    half = np.where(np.arange(len(y)) % 4 < 2, "a", "b")
    assert equal(weights(one.fit(X, y).encoder_), weights(other.fit(X, half).encoder_))


def test_the_default_encoder_follows_the_data():
    tiny_trainer = {"max_epochs": 1}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = FineTunedClassifier(pretrain=False, trainer=tiny_trainer).fit(*patients())
        series = FineTunedClassifier(pretrain=False, trainer=tiny_trainer).fit(*waves(6))
    assert isinstance(table.encoder_, SCARF) and isinstance(series.encoder_, TS2Vec)
    assert table.n_features_in_ == 3 and list(table.feature_names_in_) == ["age", "ward", "score"]


def test_series_of_another_length_need_no_transfer(ts2vec):
    X, y = waves(steps=35)
    assert FineTunedClassifier(ts2vec, trainer=SHORT, random_state=0).fit(X, y).predict(X).shape == (24,)


def test_transfer_to_other_channels_keeps_what_fits_and_says_what_does_not(ts2vec, tmp_path):
    X, y = waves(channels=3, steps=31)
    X = 100.0 + 50.0 * X
    with pytest.raises(ValueError, match=r"3 channel\(s\), but 1 at fit"):
        FineTunedClassifier(ts2vec).fit(X, y)
    classifier = FineTunedClassifier(ts2vec, transfer=True, freeze="encoder", trainer=SHORT, random_state=0)
    with pytest.warns(
        UserWarning, match=r"has 3 channel\(s\).*with 1: these weights start anew: encoder.input_fc.weight$"
    ):
        classifier.fit(X, y)
    before, after = (
        {name: value for name, value in weights(model).items() if ".completion." not in name}
        for model in (ts2vec, classifier.encoder_)
    )
    assert {name for name in before if before[name].shape != after[name].shape} == {"encoder.input_fc.weight"}
    assert all(torch.equal(before[name], after[name]) for name in before if name != "encoder.input_fc.weight")
    assert classifier.encoder_.scaler_.mean.tolist() == pytest.approx([100.0] * 3, abs=10)
    assert ts2vec.scaler_.mean.tolist() == pytest.approx([0.0], abs=0.3) and len(ts2vec.channels_) == 1
    loaded = kinview.load_model(classifier.save(tmp_path / "model.safetensors"))
    np.testing.assert_array_equal(loaded.predict_proba(X), classifier.predict_proba(X))


def test_transfer_learns_the_scaling_of_the_other_set(ts2vec):
    X, y = waves()
    there, moved = (
        FineTunedClassifier(ts2vec, transfer=True, freeze="encoder", trainer=SHORT, random_state=0).fit(Z, y)
        for Z in (X, 7.0 + 3.0 * X)
    )
    np.testing.assert_allclose(there.predict_proba(X), moved.predict_proba(7.0 + 3.0 * X), atol=1e-4)


# --------------------------------------------------------------------------------------------- as an estimator


@both
def test_a_saved_classifier_predicts_the_same(fitted, tmp_path):
    X, y = samples(fitted)
    head = {"mlp": {"depth": 1, "hidden_dim": 8, "activation": "sigmoid"}}
    classifier = FineTunedClassifier(FrozenEstimator(fitted), head=head, trainer=SHORT, random_state=0).fit(X, y)
    path = classifier.save(tmp_path / "model.safetensors")
    loaded = kinview.load_model(path)
    assert isinstance(loaded, FineTunedClassifier)
    np.testing.assert_array_equal(loaded.predict_proba(X), classifier.predict_proba(X))
    assert loaded.head == head and loaded.get_params(deep=False)["trainer"] == SHORT
    np.testing.assert_array_equal(
        np.asarray(loaded.encoder_.transform(X)), np.asarray(classifier.encoder_.transform(X))
    )
    again = FineTunedClassifier(loaded.encoder_, trainer=SHORT).fit(X, y)  # the next training starts there
    assert not equal(weights(again.encoder_), weights(loaded.encoder_))


def test_clone_and_search_and_what_a_clone_forgets(scarf):
    X, y = patients()
    classifier = FineTunedClassifier(FrozenEstimator(scarf), trainer={"max_epochs": 2}, random_state=0)
    assert clone(classifier.fit(X, y)).get_params()["encoder"] is classifier.encoder
    search = GridSearchCV(classifier, {"freeze": ["none", "encoder"], "trainer__lr": [1e-3, 1e-2]}, cv=2).fit(X, y)
    assert search.best_estimator_.encoder.estimator is scarf
    assert search.cv_results_["mean_test_score"].shape == (4,)
    assert not hasattr(clone(FineTunedClassifier(scarf)).encoder, "method_")


def test_series_are_cross_validated(ts2vec):
    X, y = waves(24)
    classifier = FineTunedClassifier(FrozenEstimator(ts2vec), trainer={"lr": 0.02, "max_epochs": 10}, random_state=0)
    proba = cross_val_predict(classifier, X, y, cv=3, method="predict_proba")
    assert (np.array(["fast", "slow"])[proba.argmax(axis=1)] == y).mean() > 0.8


def test_an_interrupted_training_continues_to_the_same_bits(ts2vec, tmp_path):
    X, y = waves()
    for freeze in ("none", "gradual"):
        folder = str(tmp_path / freeze)
        trainer = {"max_epochs": 4, "checkpoint_dir": folder, "checkpoint_every": 1}
        whole = FineTunedClassifier(ts2vec, freeze=freeze, trainer={"max_epochs": 4}, random_state=0).fit(X, y)

        class Stop(Callback):
            def on_step_end(self, state, method):
                if state.step == 4:
                    raise KeyboardInterrupt

            def on_train_begin(self, state, method): ...

            on_validation_end = on_train_end = on_train_begin

        with pytest.raises(KeyboardInterrupt):
            FineTunedClassifier(ts2vec, freeze=freeze, trainer={**trainer, "callbacks": [Stop()]}, random_state=0).fit(
                X, y
            )
        resumed = FineTunedClassifier(ts2vec, freeze=freeze, trainer=trainer, random_state=0).fit(X, y)
        np.testing.assert_array_equal(resumed.predict_proba(X), whole.predict_proba(X))
        assert resumed.training_.history == whole.training_.history
        with pytest.raises(ValueError, match="belongs to another training: labels_and_weights"):
            FineTunedClassifier(ts2vec, freeze=freeze, trainer=trainer, random_state=0).fit(X, y[::-1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"freeze": "all"}, "freeze must be 'none', 'encoder' or 'gradual'; got 'all'"),
        ({"head": "mpl"}, "unknown head 'mpl'; did you mean 'mlp'"),
        ({"head": {"mlp": {"depth": 0}}}, "depth must be at least 1; got 0"),
        ({"head": {"mlp": {"activation": "tanh"}}}, "activation must be one of relu, gelu, sigmoid"),
        ({"encoder_lr": -1}, "encoder_lr must be above 0; got -1"),
        ({"pretrain": "no"}, "pretrain must be True or False; got the text 'no'"),
        ({"trainer": {"epochs": 3}}, "trainer has no field 'epochs'"),
        ({"trainer": {"batch_size": 0}}, r"Trainer\(batch_size=...\) must be at least 1; got 0"),
        ({"encoder": "raw"}, r"RawFeatures\(\) has no network to train with labels"),
        ({"encoder": "scraf"}, "did you mean 'scarf'"),
        ({"encoder": TABLE, "transfer": True}, "transfer=True needs a fitted encoder"),
        ({"transfer": True}, "transfer=True is for series .*: SCARF reads the columns"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(scarf, change, message):
    with pytest.raises(ValueError, match=message):
        FineTunedClassifier(**{"encoder": scarf, "trainer": SHORT, **change}).fit(*patients())


def test_labels_that_make_no_sense_are_refused(scarf):
    X, y = patients()
    classifier = FineTunedClassifier(scarf, trainer=SHORT)
    with pytest.raises(NotFittedError):
        classifier.predict(X)
    for labels, message in (
        (None, "requires y to be passed"),
        (np.zeros(40, dtype=int), "all 40 training labels are 0: a classifier needs more than one class"),
        (y[:39], "X has 40 samples and y 39 labels"),
        (np.where(y, "ill", None), "Input y contains NaN: y is missing for 20 of 40 rows"),
    ):
        with pytest.raises(ValueError, match=message):
            classifier.fit(X, labels)


@pytest.mark.parametrize(
    ("values", "dtype", "kind"),
    [([True, False], "boolean", "bool"), ([5, 3], "Int64", "int64"), ([5, 3], "UInt8", "uint8")],
)
def test_labels_of_a_nullable_column_keep_their_kind(scarf, values, dtype, kind, tmp_path):
    X, ill = patients()
    for y in (
        pd.Series(pd.array(values, dtype=dtype)).iloc[ill.astype(int)].reset_index(drop=True),
        pd.array(values, dtype=dtype).take(ill * 1),
    ):
        classifier = FineTunedClassifier(scarf, trainer=SHORT, random_state=0).fit(X, y)
        loaded = kinview.load_model(classifier.save(tmp_path / "classifier.safetensors"))
        for one in (classifier, loaded):
            assert one.classes_.dtype == one.predict(X).dtype == np.dtype(kind)
            assert one.classes_.tolist() == sorted(values)


def test_an_encoder_of_the_other_modality_says_what_it_reads(ts2vec, scarf):
    (X, y), (table, ill) = waves(), patients()
    for encoder, samples, labels, message in (
        (
            ts2vec,
            table,
            ill,
            r"ts2vec reads time series, and X, a DataFrame of shape \(40, .* tables: .*'scarf'",
        ),
        (
            "ts2vec",
            X[:, 0],
            y,
            r"ts2vec reads time series, and X, a ndarray .*, holds tables: .*X\[:, None, :\]",
        ),
        ({"random_init": {"method": "ts2vec"}}, table, ill, "ts2vec reads time series"),
        (scarf, X, y, r"scarf reads tables, and X, a ndarray of shape .*, holds time series: .*'ts2vec'"),
        ("scarf", list(X), y, "scarf reads tables, and X, a list, holds time series"),
    ):
        with pytest.raises(ValueError, match=message):
            FineTunedClassifier(encoder, trainer=SHORT).fit(samples, labels)
    visits = table.set_index(pd.MultiIndex.from_arrays([np.arange(40) // 2, np.arange(40) % 2]))
    assert FineTunedClassifier(scarf, trainer=SHORT).fit(visits, ill).predict(visits).shape == (40,)


def test_two_rows_are_enough(ts2vec, scarf):
    for encoder, (X, y) in ((ts2vec, waves(2)), (scarf, patients(2))):
        assert FineTunedClassifier(encoder, trainer=SHORT).fit(X, y).predict(X).shape == (2,)


def test_a_row_without_any_observation_is_classified_too(ts2vec, scarf):
    X, y = waves()
    X[3] = np.nan
    assert np.isfinite(FineTunedClassifier(ts2vec, trainer=SHORT).fit(X, y).predict_proba(X)).all()
    table, ill = patients()
    table.iloc[3] = None
    assert np.isfinite(FineTunedClassifier(scarf, trainer=SHORT).fit(table, ill).predict_proba(table)).all()


def test_the_published_protocol_of_scarf_is_a_config():
    classifier = classifiers.build(read_config("classifier", "scarf_fine_tuning"))
    assert (classifier.encoder, classifier.head, classifier.freeze) == ("scarf", "mlp", "none")
    head = heads.build(classifier.head, in_features=256, n_classes=3)
    assert [type(layer).__name__ for layer in head.layers] == ["Linear", "ReLU", "Linear", "ReLU", "Linear"]
    assert [layer.out_features for layer in head.layers[::2]] == [256, 256, 3]
    assert classifier.trainer == {
        "optimizer": "adam", "lr": 1e-3, "batch_size": 128, "max_epochs": 200, "patience": 3,
        "validation_fraction": 0.125,
    }  # fmt: skip


def test_every_network_of_the_registry_can_be_trained_with_labels():
    from kinview.methods.estimators.base import EstimatorCore

    tried = []
    for name in methods:
        if not issubclass(methods[name].target, EstimatorCore) or methods[name].target.control:
            continue  # fixed features have no network
        kind = methods[name].modality
        X, y = patients(12) if kind == "tabular" else waves(12)
        X = X if kind == "tabular" else X[:, :, :17]
        if kind == "paired":
            X = PairedData(series=X, table=patients(12)[0].reset_index(drop=True))
        scratch = FineTunedClassifier(name, pretrain=False, trainer={"max_epochs": 1}, random_state=0).fit(X, y)
        initial = weights(RandomInit(name, random_state=0).fit(X).estimator_)
        assert not equal(weights(scratch.encoder_), initial), name
        assert np.isfinite(scratch.predict_proba(X)).all()
        tried.append(name)
    assert {"ts2vec", "scarf"} <= set(tried)


def test_both_sides_of_pairs_are_trained_with_labels_whichever_a_sample_has(tmp_path):
    X, y = waves(24)
    table = pd.DataFrame({"age": np.arange(24.0), "sex": list("fm") * 12})
    pairs = PairedData(series=X, table=table).without("table", np.arange(24) < 8)
    encoder = {"paired_clip": {"series_encoder": {"dilated_conv": {"repr_dim": 6, "depth": 2}}, "table_encoder": "mlp"}}
    for head in ("linear", "gated"):
        classifier = FineTunedClassifier(encoder, head, pretrain=False, trainer={"max_epochs": 60}, random_state=0)
        classifier.fit(pairs, pd.Series(y)[::-1])  # in another order
        assert (classifier.predict(pairs) == y).mean() > 0.9
        loaded = kinview.load_model(classifier.save(tmp_path / "both.safetensors"))
        np.testing.assert_array_equal(loaded.predict_proba(pairs), classifier.predict_proba(pairs))
        assert np.isfinite(classifier.predict_proba({"table": table})).all()  # of samples with one side alone
    with pytest.raises(ValueError, match="X must be pairs"):
        FineTunedClassifier(encoder).fit(X, y)
    with pytest.raises(ValueError, match="'gated' joins the two sides of a pair, and the encoder reads one"):
        FineTunedClassifier("ts2vec", "gated").fit(X, y)


def test_a_gated_head_is_the_gated_multimodal_unit():
    head = heads.build({"gated": {"hidden_dim": 3}}, in_features=7, n_classes=2, first_features=5)
    z = torch.randn(4, 7, generator=torch.Generator().manual_seed(0))
    weights_of = {name: value.double() for name, value in head.state_dict().items()}
    a, b = z[:, :5].double(), z[:, 5:].double()
    gate = 1 / (1 + torch.exp(-z.double() @ weights_of["gate.weight"].T))
    h = gate * torch.tanh(a @ weights_of["sides.0.weight"].T) + (1 - gate) * torch.tanh(
        b @ weights_of["sides.1.weight"].T
    )
    expected = h @ weights_of["layer.weight"].T + weights_of["layer.bias"]
    torch.testing.assert_close(head(z).double(), expected, rtol=1e-5, atol=1e-6)
    for name in ("linear", "mlp", "gated"):
        for sizes in ({"in_features": 0, "n_classes": 2}, {"in_features": 7, "n_classes": 0}):
            wrong = next(size for size, value in sizes.items() if not value)
            with pytest.raises(ValueError, match=f"{wrong} must be at least 1; got 0"):
                heads.build(name, **sizes, **({"first_features": 5} if name == "gated" else {}))
    with pytest.raises(ValueError, match="first_features must leave some of 7"):
        heads.build("gated", in_features=7, n_classes=2, first_features=7)


def test_supervised_is_a_transformer_trained_with_labels(tmp_path):
    X, y = waves(16)
    control = Supervised(SERIES, random_state=0).fit(X, y)
    expected = FineTunedClassifier(SERIES, pretrain=False, random_state=0).fit(X, y)
    np.testing.assert_array_equal(control.transform(X), expected.encoder_.transform(X))
    loaded = kinview.load_model(control.save(tmp_path / "control.safetensors"))
    np.testing.assert_array_equal(loaded.transform(X), control.transform(X))
    with pytest.raises(ValueError, match="requires y"):
        Supervised(SERIES).fit(X)
    before = Supervised(SERIES, random_state=0).initialise(X)
    np.testing.assert_array_equal(before.transform(X), RandomInit(SERIES, random_state=0).fit(X).transform(X))


def assert_passes_all(estimator) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of single rows, which many of these checks fit on
        results = check_estimator(estimator, on_skip=None, on_fail=None)
    assert not {r["check_name"]: r["exception"] for r in results if r["status"] in ("failed", "xfail")}
    assert {r["check_name"] for r in results if r["status"] == "skipped"} <= SKIPPED
    assert sum(r["status"] == "passed" for r in results) >= 53


QUICK = {"scarf": {"hidden_dim": 16, "depth": 2, "trainer": {"max_steps": 2}}}


@pytest.mark.slow
def test_a_small_one_passes_all_of_scikit_learns_checks():
    assert_passes_all(FineTunedClassifier(QUICK, trainer={"lr": 0.02, "max_epochs": 8}, random_state=0))


@pytest.mark.slow
@pytest.mark.parametrize("freeze", ["encoder", "gradual"])
def test_one_that_freezes_passes_all_of_scikit_learns_checks(freeze):
    assert_passes_all(FineTunedClassifier(QUICK, head="mlp", freeze=freeze, trainer={"lr": 0.02, "max_epochs": 30}))


@pytest.mark.slow
def test_the_default_passes_all_of_scikit_learns_checks():
    assert_passes_all(FineTunedClassifier())
