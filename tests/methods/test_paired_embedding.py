"""Methods of pairs: their loss, what their parts are for, missing sides, files, and scikit-learn around them."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kinview import PairedData, load_model
from kinview.diagnostics import positive_rank
from kinview.methods import (
    CLAP,
    CLIP,
    MMCL,
    SCARF,
    ConVIRT,
    LiT,
    MiniRocket,
    PairedEmbedding,
    SigLIP,
    SimCLR,
    ThreeTowers,
)

SMALL = {
    "series_encoder": {"dilated_conv": {"repr_dim": 8, "hidden_dim": 8, "depth": 2}},
    "table_encoder": {"mlp": {"hidden_dim": 8, "depth": 2}},
}
TWO_STEPS = {"trainer": {"max_steps": 2}, "random_state": 0}


def waves(n=40, seed=0):
    """Waves and the rows that describe them; the class is that of the phase."""
    draw = np.random.default_rng(seed)
    phase = draw.uniform(0, 6, n)
    x = np.sin(np.linspace(0, 9, 30) + phase[:, None])[:, None, :] + draw.normal(0, 0.1, (n, 1, 30))
    table = pd.DataFrame({"sine": np.sin(phase), "cosine": np.cos(phase), "half": np.where(phase > 3, "late", "early")})
    names = [f"p{i:03d}" for i in range(n)]
    X = pd.DataFrame(
        {"wave": x.ravel()}, index=pd.MultiIndex.from_product([names, range(30)], names=["patient", "step"])
    )
    return PairedData(series=X, table=table.set_axis(names)), (phase > 3).astype(int)


# --- the loss, transcribed --------------------------------------------------------------------------------------------


def logits_of(model, pairs):
    """Cosines of both sides of a batch over the temperature, in float64, from the projections alone."""
    u, v = (torch.from_numpy(model.project(pairs, name)).double() for name in pairs.names)
    return u @ v.T * model.method_.scale.double()


def loss_of(model, pairs):
    with torch.no_grad():
        batch = model.to_batch(pairs)
        return float(model.method_.loss(model.method_.views(batch, torch.Generator().manual_seed(0), 0.0)).loss)


def test_clip_is_the_mean_of_the_cross_entropies_of_rows_and_columns():
    pairs, _ = waves()
    model = CLIP(**SMALL, **TWO_STEPS).fit(pairs)
    logits, target = logits_of(model, pairs), torch.arange(len(pairs))
    rows, columns = F.cross_entropy(logits, target), F.cross_entropy(logits.T, target)
    assert abs(float(rows - columns)) > 1e-4  # not the same computation
    assert loss_of(model, pairs) == pytest.approx(float(rows + columns) / 2, abs=1e-5)
    swapped = CLIP(**SMALL, **TWO_STEPS).fit({"table": pairs.side("table"), "series": pairs.side("series")})
    turned = logits_of(swapped, PairedData(table=pairs.side("table"), series=pairs.side("series")))
    expected = (F.cross_entropy(turned, target) + F.cross_entropy(turned.T, target)) / 2
    assert swapped.names_ == ("table", "series")
    assert loss_of(swapped, PairedData(table=pairs.side("table"), series=pairs.side("series"))) == pytest.approx(
        float(expected), abs=1e-5
    )


def test_clap_is_clip_after_a_fusion_and_projections_of_two_layers():
    pairs, _ = waves()
    series = {"fused_crops": {"encoder": SMALL["series_encoder"], "length": 12}}
    model = CLAP(**{**SMALL, "series_encoder": series}, **TWO_STEPS).fit(pairs)
    logits, target = logits_of(model, pairs), torch.arange(len(pairs))
    expected = (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
    model.method_.eval()
    assert loss_of(model, pairs) == pytest.approx(float(expected), abs=1e-5)
    assert model.method_.contrast.max_scale == 100 and model.method_.first.encoder.length == 12
    layers = [type(layer).__name__ for layer in model.method_.first.projector]
    assert layers == ["Linear", "ReLU", "Linear"] and model.method_.dims == (512, 512)
    assert CLAP().series_encoder == "fused_crops"


def test_convirt_weighs_the_two_directions():
    pairs, _ = waves()
    plain = {"series_augmentation": None, "table_augmentation": None}
    model = ConVIRT(**SMALL, **plain, **TWO_STEPS).fit(pairs)
    logits, target = logits_of(model, pairs), torch.arange(len(pairs))
    expected = 0.75 * F.cross_entropy(logits, target) + 0.25 * F.cross_entropy(logits.T, target)
    assert model.method_.scale == pytest.approx(10) and model.method_.first.projector[0].out_features == 512
    assert loss_of(model, pairs) == pytest.approx(float(expected), abs=1e-5)


def test_siglip_asks_of_each_pair_by_itself():
    pairs, _ = waves()
    model = SigLIP(**SMALL, **TWO_STEPS).fit(pairs)
    logits = logits_of(model, pairs) + model.method_.contrast.logit_bias.detach().double()
    signs = 2 * torch.eye(len(pairs)) - 1
    expected = -F.logsigmoid(signs * logits).sum() / len(pairs)
    assert loss_of(model, pairs) == pytest.approx(float(expected), rel=1e-5)


def test_mmcl_keeps_its_temperature_and_draws_views_of_both_sides():
    pairs, _ = waves()
    model = MMCL(**SMALL, **TWO_STEPS).fit(pairs)
    assert model.method_.scale == pytest.approx(10, rel=1e-5)
    assert [tower.view is not None for tower in model.method_.towers] == [True, True]
    batch = model.to_batch(pairs)
    model._fit_views(batch, torch.Generator().manual_seed(0))
    first, second = model.method_.views(batch, torch.Generator().manual_seed(1), 0.0)
    changed = (second.x != batch.extra["second"].x).float().mean(dim=0)
    assert 0.1 < float(changed.mean()) < 0.5 and not torch.equal(first.x, batch.x)
    assert set(second.x[:, 0].tolist()) <= set(batch.extra["second"].x[:, 0].tolist())  # drawn from its column
    model._forget_views()


def test_weight_decay_leaves_the_temperature_biases_and_norms_alone():
    pairs, _ = waves()
    method = ConVIRT(**SMALL, loss="clip", **TWO_STEPS).fit(pairs).method_
    decayed, kept = method.parameter_groups()
    assert kept["weight_decay"] == 0.0 and all(p.ndim > 1 for p in decayed["params"])
    assert any(p is method.contrast.log_scale for p in kept["params"])
    assert len(decayed["params"]) + len(kept["params"]) == len(list(method.parameters()))
    start = CLIP(**SMALL, trainer={"max_steps": 1, "lr": 0.5, "weight_decay": 0.5}, random_state=0)
    first = float(start.initialise(pairs).method_.contrast.log_scale.detach())
    moved = float(start.fit(pairs).method_.contrast.log_scale.detach()) - first
    assert abs(moved) == pytest.approx(0.5, abs=1e-3)  # one step of Adam; decay would have shortened it by a quarter


# --- what it learns ---------------------------------------------------------------------------------------------------


def test_partners_are_found_among_samples_that_it_has_not_seen():
    train, _ = waves(120)
    test, _ = waves(60, seed=1)
    model = CLIP(**SMALL, trainer={"max_steps": 200, "max_epochs": 1000, "lr": 3e-3}, random_state=0)
    rank = positive_rank(*(model.fit(train).project(test, name) for name in test.names)).rank
    lone = positive_rank(*(model.initialise(train).project(test, name) for name in test.names)).rank
    assert rank > 52 > lone  # of 60; chance 30.5


def test_classes_that_are_described_as_rows_are_told_apart_without_a_label():
    train, _ = waves(120)
    test, y = waves(60, seed=1)
    model = CLIP(
        **SMALL, table_augmentation={"cell_dropout": {"p": 0.5}},  # so that it meets rows of which little is known
        trainer={"max_steps": 300, "max_epochs": 1000, "lr": 3e-3}, random_state=0,
    ).fit(train)  # fmt: skip
    classes = pd.DataFrame({"sine": [np.nan] * 2, "cosine": [np.nan] * 2, "half": ["early", "late"]})
    said = model.match(test, {"table": classes}, side="series")
    np.testing.assert_allclose(said.sum(axis=1), 1, atol=1e-5)
    assert (said.argmax(axis=1) == y).mean() > 0.8
    u, v = model.project(test, "series"), model.project({"table": classes}, "table")
    logits = u @ v.T * float(model.method_.scale)
    np.testing.assert_allclose(said, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), rtol=1e-4)
    shorter = {"table": classes[["half"]]}  # other columns are missing too
    np.testing.assert_array_equal(model.match(test, shorter, side="series"), said)
    for half in (["early", None], ["early", "dawn"]):
        with pytest.raises(ValueError, match=r"1 of 2 candidates say nothing .* categories that it"):
            model.match(test, {"table": classes.assign(half=half)}, side="series")
    with pytest.raises(ValueError, match="candidates must be pairs"):
        model.match(test, classes, side="series")
    with pytest.raises(ValueError, match="side says which side X has: 'series' or 'table'"):
        model.match(test, {"table": classes}, side="both")


# --- sides that are missing -------------------------------------------------------------------------------------------


def test_samples_that_lack_a_side_are_not_trained_on_and_change_nothing_else():
    pairs, _ = waves()
    lacking = np.arange(40) % 4 == 0
    less = pairs.without("table", lacking)
    model = CLIP(**SMALL, **TWO_STEPS).fit(less)
    assert model.n_pairs_ == 30
    whole = CLIP(**SMALL, **TWO_STEPS, scaling=None).fit(pairs[~lacking])
    same = CLIP(**SMALL, **TWO_STEPS, scaling=None).fit(less[np.argsort(lacking, kind="stable")])
    np.testing.assert_array_equal(
        same.transform(pairs, side="table"), whole.transform(pairs, side="table")
    )  # the samples without a row are no part of a step
    Z = model.transform(less)
    assert (Z[lacking, 8:] == Z[lacking, 8:][0]).all()
    np.testing.assert_allclose(Z[lacking, 8:][0], Z[~lacking, 8:].mean(axis=0), atol=1e-5)
    np.testing.assert_array_equal(Z[:, :8], model.transform({"series": pairs.side("series")}, side="series"))


def test_the_mean_of_fewer_than_five_samples_is_in_no_model():
    pairs, _ = waves(12)
    numbers = PairedData(series=pairs.side("series"), table=pairs.side("table").rows()[["sine", "cosine"]])
    few = numbers.without("table", np.arange(12) >= 4)
    model = CLIP(**SMALL, **TWO_STEPS).fit(few)
    assert not model.method_.second.mean.any() and model.method_.first.mean.any()


def test_too_few_pairs_keep_the_initial_weights_and_say_so():
    pairs, _ = waves(12)
    with pytest.warns(
        UserWarning, match="CLIP keeps its initial weights: contrast needs at least two samples with both"
    ):
        CLIP(**SMALL, **TWO_STEPS).fit(pairs.without("table", np.arange(12) > 0))
    with pytest.raises(ValueError, match="no training sample has the side 'table'"):
        CLIP(**SMALL).fit(pairs.without("table", np.ones(12, dtype=bool)))


# --- files, parameters, scikit-learn ----------------------------------------------------------------------------------


def test_a_model_is_a_file_with_both_sides(tmp_path):
    pairs, _ = waves()
    model = MMCL(**SMALL, **TWO_STEPS, side="table").fit(pairs)
    loaded = load_model(model.save(tmp_path / "pairs.safetensors"))
    assert loaded.names_ == ("series", "table") and loaded.side == "table"
    less = pairs.without("series", np.arange(40) < 3)
    for side in ("both", "series", "table"):
        np.testing.assert_array_equal(loaded.transform(less, side=side), model.transform(less, side=side))
    np.testing.assert_array_equal(loaded.project(pairs, "series"), model.project(pairs, "series"))
    np.testing.assert_array_equal(
        loaded.match(pairs, pairs[:3], side="series"), model.match(pairs, pairs[:3], side="series")
    )
    twin = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(twin.transform(pairs), model.transform(pairs))
    assert loaded.get_feature_names_out().tolist()[:2] == ["mmcl0", "mmcl1"]
    assert len(loaded.get_feature_names_out()) == model.transform(pairs).shape[1] == 8


def test_a_file_that_claims_long_series_takes_no_memory_for_them():
    pairs, _ = waves(20)
    model = CLIP(**SMALL, **TWO_STEPS).fit(pairs)
    expected = model.transform({"table": pairs.side("table")}, side="table")
    facts, tensors = model.fitted_state()
    facts["sides"][0]["length"] = 2**22
    claimed = CLIP(**SMALL)
    claimed.restore_fitted_state(facts, tensors)  # 20 rows of it would be 335 MB
    found = claimed.transform({"table": pairs.side("table")}, side="table")
    np.testing.assert_allclose(found, expected, atol=1e-6)  # in smaller chunks
    for wrong in (2**40, 0, 3.5, "30"):
        facts["sides"][0]["length"] = wrong
        with pytest.raises(ValueError, match=r"its series are said to be of .* steps; at most 4,194,304"):
            CLIP(**SMALL).restore_fitted_state(facts, tensors)


def test_frames_are_given_where_they_are_asked_for():
    pairs, _ = waves(20)
    model = CLIP(**SMALL, **TWO_STEPS).set_output(transform="pandas").fit(pairs)
    for side, width in (("both", 16), ("series", 8)):
        frame = model.transform(pairs, side=side)
        assert frame.index.equals(pairs.index) and frame.columns[0] == "clip0" and frame.shape == (20, width)
    assert clone(model).fit(pairs).transform(pairs[:3]).index.tolist() == ["p000", "p001", "p002"]
    model.set_params(side="table")
    assert model.transform(pairs).shape == (20, 8) and len(model.get_feature_names_out()) == 8
    assert isinstance(model.set_output(transform="default").transform(pairs), np.ndarray)


def test_two_sides_of_one_kind():
    _, y = waves()
    draw = np.random.default_rng(0)
    leads = draw.normal(size=(40, 2, 20)) + y[:, None, None]
    two = PairedData(first=leads[:, :1], second=leads[:, 1:])
    model = CLIP(**SMALL, **TWO_STEPS).fit(two)
    assert model.transform(two).shape == (40, 16) and model.names_ == ("first", "second")
    for name, own in (("first", leads[:, :1]), ("second", leads[:, 1:])):  # one of them alone
        np.testing.assert_array_equal(model.transform({name: own}, side=name), model.transform(two, side=name))
    with pytest.raises(ValueError, match="projector: both sides must come to one size, and they have 8 and 12"):
        wider = {"mlp": {"hidden_dim": 12, "depth": 2}}
        mixed = PairedData(series=leads, table=leads[:, 0])
        CLIP(**{**SMALL, "table_encoder": wider}, projector={"depth": 0}, **TWO_STEPS).fit(mixed)
    columns = PairedData(vitals=pd.DataFrame(leads[:, 0, :3]), laboratory=pd.DataFrame(leads[:, 1, :5]))
    model = CLIP(**SMALL, **TWO_STEPS).fit(columns)
    assert model.names_ == ("vitals", "laboratory") and model.transform(columns, side="laboratory").shape == (40, 8)


def test_searches_and_pipelines_of_scikit_learn_work_on_pairs():
    pairs, y = waves(60)
    pipeline = make_pipeline(CLIP(**SMALL, **TWO_STEPS), StandardScaler(), LogisticRegression())
    search = GridSearchCV(
        pipeline, {"clip__side": ["series", "table"], "clip__projector": [None, {"out_dim": 4}]}, cv=3
    )
    search.fit(pairs, y)
    assert search.best_score_ > 0.8 and len(search.cv_results_["params"]) == 4
    assert cross_val_score(pipeline, pairs, y, cv=3).shape == (3,)
    assert clone(pipeline[0]).get_params() == pipeline[0].get_params()


def test_groups_keep_held_out_samples_apart_and_labels_change_nothing():
    pairs, y = waves()
    seen = []
    trainer = {"max_steps": 2, "validation_fraction": 0.25}
    model = CLIP(**SMALL, trainer=trainer, random_state=0)
    groups = pd.Series(np.arange(40) // 10, index=pairs.index).sample(frac=1, random_state=0)  # in any order
    train = CLIP._watched
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            CLIP, "_watched", lambda self, samples, *parts: seen.append(parts) or train(self, samples, *parts)
        )
        model.fit(pairs, y, groups=groups)
    kept, held_out = ({int(i) // 10 for i in part.index} for part in seen[0][:2])
    assert not kept & held_out and len(held_out) == 1
    without = CLIP(**SMALL, trainer=trainer, random_state=0).fit(pairs, groups=groups.loc[pairs.index])
    np.testing.assert_array_equal(without.transform(pairs), model.transform(pairs))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"loss": "sup_con"}, "loss: SupCon needs labels"),
        ({"loss": "nothing"}, "nothing"),
        ({"series_encoder": "mlp"}, "series_encoder must encode time series"),
        ({"series_augmentation": "crop_pair"}, "series_augmentation must make one view"),
        ({"table_augmentation": "jitter"}, "table_augmentation must work on tables"),
        ({"projector": {"width": 3}}, "projector has no size 'width'"),
        ({"side": "image"}, "side must be 'both', 'series' or 'table'; got 'image'"),
    ],
)  # fmt: skip
def test_parameters_that_make_no_sense_are_refused(given, message):
    pairs, _ = waves(12)
    with pytest.raises((ValueError, KeyError), match=message):
        PairedEmbedding(**{**SMALL, **TWO_STEPS, **given}).fit(pairs)


def test_data_other_than_at_fit_are_refused_by_the_name_of_the_side():
    pairs, _ = waves(12)
    model = CLIP(**SMALL, **TWO_STEPS).fit(pairs)
    series, table = np.ones((3, 1, 30)), pd.DataFrame({"sine": [0.0] * 3, "cosine": [1.0] * 3, "half": ["late"] * 3})
    for X, message in [
        ((np.ones((3, 2, 30)), table), "the side 'series': X has 2 channel"),
        ((series, table.drop(columns="half")), "the side 'table': X lacks the column"),
        ({"series": table, "table": table}, "the side 'series': X is a DataFrame without a MultiIndex"),
        ({"waves": series, "table": table}, "X has the sides 'waves', 'table', at fit they were"),
        ({"ecg": series}, "X has the sides 'ecg', at fit they were 'series', 'table'"),
        ({}, "X has the sides none, at fit they were 'series', 'table'"),
        (series, "X must be pairs"),
    ]:
        with pytest.raises(ValueError, match=message):
            model.transform(X)
    with pytest.raises(ValueError, match="side must be 'both', 'series' or 'table'; got 'left'"):
        model.transform(pairs, side="left")
    with pytest.raises(ValueError, match="each side has a projection of its own"):
        model.project(pairs, "both")


def test_gaps_unequal_lengths_and_time_stamps_come_in():
    pairs, _ = waves(20)
    frame = pairs.side("series").rows()
    long = pd.DataFrame(
        {"wave": frame.batch.x.numpy().ravel()},
        index=pd.MultiIndex.from_product(
            [frame.index, pd.date_range("2026-01-01", periods=30, freq="h")], names=["patient", "time"]
        ),
    )
    kept = long[np.random.default_rng(0).random(len(long)) > 0.3]
    stamped = PairedData(series=kept, table=pairs.side("table").rows())
    model = CLIP(**SMALL, **TWO_STEPS).fit(stamped)
    together = model.transform(stamped)
    alone = np.concatenate([model.transform(stamped[i]) for i in range(4)])
    np.testing.assert_allclose(alone, together[:4], atol=1e-5)
    told = {"dilated_conv": {**SMALL["series_encoder"]["dilated_conv"], "front_end": "values+mask+delta"}}
    model = CLIP(**{**SMALL, "series_encoder": told}, **TWO_STEPS).fit(stamped)
    with pytest.raises(ValueError, match="the side 'series': the time stamps of X are numbers, at fit they were dates"):
        model.transform(pairs)


# --- a model that stays as it is --------------------------------------------------------------------------------------

TABLE_ENCODER = {"table_encoder": SMALL["table_encoder"]}


def known_model(pairs):
    """A model of the series, trained before."""
    X = pairs.side("series").rows().batch.x.numpy()
    return SimCLR(encoder=SMALL["series_encoder"], **TWO_STEPS).fit(X), X


def test_a_locked_side_is_bit_for_bit_what_its_model_says(tmp_path):
    pairs, _ = waves(60)
    simclr, X = known_model(pairs)
    before = {name: value.clone() for name, value in simclr.method_.state_dict().items()}
    trainer = {"max_steps": 200, "max_epochs": 1000, "lr": 3e-3}
    model = LiT(locked=simclr, **TABLE_ENCODER, trainer=trainer, random_state=0).fit(pairs)
    Z = simclr.transform(X).to_numpy()
    np.testing.assert_array_equal(model.transform(pairs, side="series"), Z)
    assert all(torch.equal(value, before[name]) for name, value in simclr.method_.state_dict().items())
    unit = Z / np.linalg.norm(Z, axis=1, keepdims=True)
    np.testing.assert_allclose(model.project(pairs, "series"), unit, atol=1e-6)  # no head: the space is the model's
    trained = positive_rank(*(model.project(pairs, name) for name in pairs.names)).rank
    untrained = clone(model).set_params(locked=simclr).initialise(pairs)
    assert trained > 45 > positive_rank(*(untrained.project(pairs, name) for name in pairs.names)).rank  # chance 30.5
    loaded = load_model(model.save(tmp_path / "lit.safetensors"))
    for side in ("both", "series", "table"):
        np.testing.assert_array_equal(loaded.transform(pairs, side=side), model.transform(pairs, side=side))
    np.testing.assert_array_equal(loaded.match(pairs, pairs, side="table"), model.match(pairs, pairs, side="table"))


def test_any_model_of_either_side_can_be_locked():
    pairs, _ = waves()
    rows = pairs.side("table").rows()
    scarf = SCARF(hidden_dim=8, depth=2, **TWO_STEPS).fit(rows)
    model = LiT(locked=scarf, locked_side="table", series_encoder=SMALL["series_encoder"], **TWO_STEPS).fit(pairs)
    np.testing.assert_array_equal(model.transform(pairs, side="table"), scarf.transform(rows))
    rocket = LiT(locked=MiniRocket(features=84), locked_head=True, **TABLE_ENCODER, **TWO_STEPS).fit(pairs)
    assert rocket.transform(pairs, side="series").shape == (40, 84)
    assert rocket.method_.first.projector.weight.requires_grad and rocket.project(pairs, "series").shape == (40, 128)
    search = GridSearchCV(
        make_pipeline(LiT(locked=FrozenEstimator(scarf), locked_side="table", **TWO_STEPS), LogisticRegression()),
        {"lit__side": ["table", "both"]}, cv=2,
    )  # fmt: skip
    assert search.fit(pairs, waves()[1]).best_score_ > 0.7


def test_a_frozen_locked_model_is_in_the_file(tmp_path):
    pairs, _ = waves()
    rows = pairs.side("table").rows()
    scarf = SCARF(hidden_dim=8, depth=2, **TWO_STEPS).fit(rows)
    given = {"locked": FrozenEstimator(scarf), "locked_side": "table", "series_encoder": SMALL["series_encoder"]}
    model = LiT(**given, **TWO_STEPS)
    loaded = load_model(model.fit(pairs).save(tmp_path / "lit.safetensors"))
    assert loaded.locked["scarf"]["hidden_dim"] == 8
    np.testing.assert_array_equal(loaded.transform(pairs, side="table"), scarf.transform(rows))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"locked": "scarf"}, "locked must read time series, as its side holds; got SCARF"),
        ({"locked": "raw"}, "locked must be a method that makes a representation of time series"),
        ({"locked": "paired_clip"}, "locked must be a method that makes a representation of time series"),
        ({"locked_side": "image"}, "locked_side must be 'series' or 'table'; got 'image'"),
    ],
)
def test_what_cannot_be_locked_is_refused(given, message):
    pairs, _ = waves(12)
    with pytest.raises(ValueError, match=message):
        LiT(**{**TABLE_ENCODER, **TWO_STEPS, **given}).fit(pairs)


def test_the_third_tower_teaches_and_is_left_behind(tmp_path):
    pairs, _ = waves()
    simclr, X = known_model(pairs)
    assert "loss" not in ThreeTowers().get_params()  # its loss is its own
    model = ThreeTowers(third=simclr, **SMALL, **TWO_STEPS).fit(pairs)
    third = torch.tensor(simclr.transform(X).to_numpy()).double()
    batch = model.to_batch(pairs)
    with torch.no_grad():
        f, g = model.method_.first(batch).double(), model.method_.second(batch.extra["second"]).double()
        loss = model.method_.contrast
        heads = [(loss.a_to_third, f, loss.third_to_a), (loss.b_to_third, g, loss.third_to_b)]
        terms = [(f, g), *((head.double()(one), back.double()(third)) for head, one, back in heads)]
        target, scale = torch.arange(len(pairs)), loss.log_scale.double().exp()
        expected = 0.0
        for one, other in terms:
            logits = scale * F.normalize(one, dim=1) @ F.normalize(other, dim=1).T
            expected += float(F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 6
        loss.float()
        views = model.method_.views(
            batch.replace(extra={**batch.extra, "third": third.float()}), torch.Generator(), 0.0
        )
        assert float(model.method_.loss(views).loss) == pytest.approx(expected, abs=1e-5)
    stored = load_model(model.save(tmp_path / "towers.safetensors"))
    assert not any("third" in name for name in model.method_.inference_state())
    np.testing.assert_array_equal(stored.transform(pairs), model.transform(pairs))
    np.testing.assert_array_equal(stored.match(pairs, pairs, side="series"), model.match(pairs, pairs, side="series"))
    alone = ThreeTowers(third="summary", third_side="series", **SMALL, **TWO_STEPS).fit(pairs)
    assert not np.array_equal(alone.transform(pairs), model.transform(pairs))  # what it says changes what is learned
