"""C-MCR: its loss from memories and noise, what it finds without a pair, its file, and what it refuses."""

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from kinview import FineTunedClassifier, PairedData, load_model
from kinview.diagnostics import positive_rank
from kinview.methods import CLIP, CMCR, FactorCL, PairedEmbedding, connections
from kinview.methods.estimators.model_file import model_metadata

SMALL = {"table_encoder": {"mlp": {"hidden_dim": 8, "depth": 2}}, "projector": {"out_dim": 6}, "random_state": 0}


def columns(name, causes, seed=0):
    """Three columns that are mixtures of the causes; a row has its number for a name."""
    draw = np.random.default_rng([len(name), ord(name[0]), seed])
    mixed = causes @ np.random.default_rng([ord(name[0])]).normal(size=(causes.shape[1], 3))
    values = mixed + draw.normal(0, 0.05, mixed.shape)
    return pd.DataFrame(values, columns=[f"{name}{i}" for i in range(3)])


def hospitals(n=60, seed=0, **trainer):
    """Pairs of two hospitals, and a model of each."""
    causes = np.random.default_rng(seed).normal(size=(2 * n, 2))
    here, there = causes[:n], causes[n:]
    pairs = (
        PairedData(vitals=columns("vitals", here), laboratory=columns("laboratory", here)),
        PairedData(laboratory=columns("laboratory", there, 1), scores=columns("scores", there, 1)),
    )
    models = [CLIP(**SMALL, trainer={"max_steps": 2, **trainer}).fit(one) for one in pairs]
    return pairs, models


def test_the_loss_equals_its_transcription():
    pairs, models = hospitals()
    model = CMCR(*models, trainer={"max_steps": 2}, noise_variance=0.01, intra_weight=0.3, random_state=0)
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        fit = CMCR._fit_batch
        patch.setattr(CMCR, "_fit_batch", lambda self, batch, **how: seen.append(batch) or fit(self, batch, **how))
        model.fit(pairs)
    (batch,) = seen
    t = [
        np.concatenate([one.project({"laboratory": each.side("laboratory")}, "laboratory") for each in pairs])
        for one in models
    ]
    assert model.n_shared_ == 120 and len(batch) == 120
    answers = []
    for one, name, own, items in zip(models, ("vitals", "scores"), pairs, t, strict=True):
        memory = one.project(own, name)
        weights = np.exp(items @ memory.T / 0.01 - (items @ memory.T / 0.01).max(axis=1, keepdims=True))
        mean = (weights / weights.sum(axis=1, keepdims=True)) @ memory
        answers.append(mean / np.linalg.norm(mean, axis=1, keepdims=True))
    sides = batch, batch.extra["second"]
    for side, items, answer in zip(sides, t, answers, strict=True):
        np.testing.assert_allclose(side.x.numpy(), items, atol=1e-6)
        np.testing.assert_allclose(side.extra["pseudo"].numpy(), answer, atol=1e-5)

    method = model.method_.eval()
    views = method.views(batch, torch.Generator().manual_seed(3), 0.0)
    draw = torch.Generator().manual_seed(3)
    four = []
    for side in sides:
        for z in (side.x, side.extra["pseudo"]):
            four.append(F.normalize(z + 0.1 * torch.randn(z.shape, generator=draw), dim=1))
    with torch.no_grad():
        projectors = [method.first.projector] * 2 + [method.second.projector] * 2
        a, v, b, u = (F.normalize(p(z), dim=1).double() for p, z in zip(projectors, four, strict=True))
        target, expected = torch.arange(120), 0.0
        for one, other in ((a, b), (v, u)):
            logits = one @ other.T / 0.02
            expected += float(F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
        expected += 0.3 / 2 * float(((a - v).square().sum(dim=1) + (b - u).square().sum(dim=1)).mean())
        assert float(method.loss(views).loss) == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
def test_sides_that_were_never_seen_together_are_matched():
    pairs, models = hospitals(200, max_steps=150, max_epochs=1000, lr=3e-3)
    model = CMCR(*models, trainer={"max_steps": 100}, random_state=0)
    before = [{k: v.clone() for k, v in one.method_.state_dict().items()} for one in models]
    causes = np.random.default_rng(9).normal(size=(60, 2))
    test = PairedData(vitals=columns("vitals", causes, 5), scores=columns("scores", causes, 5))
    joined = model.fit({"first": pairs[0], "second": pairs[1]})
    ranks = []
    for one in (joined, CMCR(*models, random_state=0).initialise(pairs)):
        ranks.append(positive_rank(*(one.project(test, name) for name in test.names)).rank)
    assert ranks[0] > 45 > 40 > ranks[1]  # of 60; chance 30.5
    for one, weights in zip(models, before, strict=True):  # both models stay as they are
        assert all(torch.equal(value, weights[name]) for name, value in one.method_.state_dict().items())
    np.testing.assert_allclose(
        joined.transform(test, side="vitals"), models[0].project({"vitals": test.side("vitals")}, "vitals"), atol=1e-6
    )


def test_a_file_has_both_models_and_no_memory(tmp_path):
    pairs, models = hospitals()
    lacking = np.arange(60) < 20
    given = (pairs[0].without("laboratory", lacking), pairs[1])
    model = CMCR(*models, trainer={"max_steps": 2}, random_state=0).fit(given)
    assert model.n_shared_ == 100  # samples without the shared side are in the memory all the same
    path = model.save(tmp_path / "connected.safetensors")
    loaded = load_model(path)
    assert isinstance(loaded, CMCR) and loaded.names_ == ("vitals", "scores")
    test = PairedData(vitals=pairs[0].side("vitals"), scores=pairs[1].side("scores").rows().set_axis(range(60)))
    less = test.without("scores", lacking)
    np.testing.assert_array_equal(loaded.transform(less), model.transform(less))
    memory = models[1].project(pairs[1], "scores")
    np.testing.assert_allclose(model.transform(less, side="scores")[0], memory.mean(axis=0), atol=1e-5)
    for side in test.names:
        np.testing.assert_array_equal(loaded.project(less, side), model.project(less, side))
        np.testing.assert_array_equal(loaded.match(less, test, side=side), model.match(less, test, side=side))
    np.testing.assert_array_equal(loaded.models_[0].transform(pairs[0]), models[0].transform(pairs[0]))
    metadata, tensors = model_metadata(path)
    assert metadata["method"] == "cmcr" and "cmcr" in connections
    rows = [models[0].project(pairs[0], name) for name in models[0].names_]
    rows += [models[1].project(pairs[1], name) for name in models[1].names_]
    for tensor in tensors.values():
        if tensor.ndim == 2 and tensor.shape[1] == 6:
            held = tensor.numpy()
            assert not any((np.abs(held[:, None] - each[None]).max(axis=2) < 1e-6).any() for each in rows)
    again = CMCR(*models, trainer={"max_steps": 2}, random_state=0).fit(given)
    np.testing.assert_array_equal(again.project(test, "vitals"), model.project(test, "vitals"))


def test_names_of_sides():
    causes = np.random.default_rng(0).normal(size=(80, 2))
    names = ("vitals", "laboratory", "scores")
    parts = [columns(name, causes) for name in names]
    one, other = (parts[0][:40], parts[1][:40]), (parts[1][40:], parts[2][40:])
    models = [CLIP(**SMALL, trainer={"max_steps": 2}).fit(pair) for pair in (one, other)]  # first and second, twice
    with pytest.raises(ValueError, match=r"share by shared_sides=\[name in the first, name in the second\]"):
        CMCR(*models).fit((one, other))
    model = CMCR(*models, shared_sides=("second", "first"), trainer={"max_steps": 2}).fit((one, other))
    assert model.names_ == ("first", "second") and model.n_shared_ == 80
    swapped = CMCR(models[0], models[0], shared_sides=("second", "second"), trainer={"max_steps": 2}).fit((one, one))
    assert swapped.names_ == ("first", "second")  # both have the name first
    assert swapped.project({"second": parts[0]}, "second").shape == (80, 6)


@pytest.mark.parametrize(
    ("parameters", "X", "message"),
    [
        ({"first": None}, None, "first must be a fitted model of pairs with a common space, .*, and no CMCR; got None"),
        ({"second": PairedEmbedding()}, None, "second must be .* got PairedEmbedding.*, which is not fitted"),
        ({"second": "factor_cl"}, None, "second must be a fitted model of pairs with a common space"),
        ({"shared_sides": "table"}, None, "shared_sides must be the names that both models have"),
        ({"shared_sides": ("laboratory", "vitals")}, None, r"shared_sides is .*, and the sides of the models are"),
        ({}, {"first": None}, r"X must be the pairs of both models, .* got dict with 'first'"),
        ({}, "no vitals", "no sample of first has the side 'vitals'; the memory of its space is made of these"),
        ({}, "no laboratory", r"no sample has the shared side \('laboratory'\)"),
        ({"side": "laboratory"}, None, "side must be 'both', 'vitals', 'scores'|'vitals' or 'scores'"),
    ],
)
def test_what_cannot_be_connected_is_refused(parameters, X, message):
    pairs, models = hospitals(10)
    if parameters.get("second") == "factor_cl":
        small = {"table_encoder": SMALL["table_encoder"], "hidden_dim": 8, "trainer": {"max_steps": 1}}
        parameters = {"second": FactorCL(**small).fit(pairs[1])}
    everyone = np.ones(10, dtype=bool)
    given = {
        None: pairs,
        "no vitals": (pairs[0].without("vitals", everyone), pairs[1]),
        "no laboratory": tuple(one.without("laboratory", everyone) for one in pairs),
    }
    with pytest.raises(ValueError, match=message):
        CMCR(**{"first": models[0], "second": models[1], **parameters}).fit(X if isinstance(X, dict) else given[X])


def test_a_connected_model_is_not_connected_further():
    pairs, models = hospitals(10)
    joined = CMCR(*models, trainer={"max_steps": 1}, random_state=0).fit(pairs)
    with pytest.raises(ValueError, match=r"second must be a fitted model of pairs .*, and no CMCR; got CMCR\("):
        CMCR(models[0], joined).fit(pairs)


def test_frozen_models_survive_a_clone_and_a_file(tmp_path):
    pairs, models = hospitals(10)
    short = {"trainer": {"max_steps": 2}, "random_state": 0}
    frozen = clone(CMCR(*map(FrozenEstimator, models), **short)).fit(pairs)
    expected = CMCR(*models, **short).fit(pairs)
    vitals = {"vitals": pairs[0].side("vitals")}
    loaded = load_model(frozen.save(tmp_path / "connected.safetensors"))
    for model in (frozen, loaded):
        np.testing.assert_array_equal(model.project(vitals, "vitals"), expected.project(vitals, "vitals"))
    with pytest.raises(ValueError, match=r"first must be .* got FrozenEstimator.*, which is not fitted"):
        CMCR(FrozenEstimator(CLIP()), models[1]).fit(pairs)


def test_groups_have_no_part_in_it():
    pairs, models = hospitals(10)
    with pytest.raises(ValueError, match="CMCR uses neither groups nor extra"):
        CMCR(*models).fit(pairs, groups=np.arange(10))


def test_there_is_no_network_to_train_with_labels_but_those_of_its_models():
    pairs, models = hospitals(10)
    joined = CMCR(*models, trainer={"max_steps": 1}, random_state=0)
    fitted = joined.fit(pairs)
    y = np.arange(10) % 2
    X = {"vitals": pairs[0].side("vitals"), "scores": pairs[1].side("scores")}
    for encoder in (joined, fitted):
        with pytest.raises(ValueError, match=r"CMCR connects two models of pairs, .* train one of them on"):
            FineTunedClassifier(encoder).fit(X, y)
    short = FineTunedClassifier(fitted.models_[0], trainer={"max_steps": 1}, random_state=0)
    assert short.fit(pairs[0], y).predict(pairs[0]).shape == (10,)
