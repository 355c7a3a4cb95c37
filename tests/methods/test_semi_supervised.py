"""Classifiers of partly labelled samples: their loss by transcription, without its parts, and what they are given."""

from __future__ import annotations

import math
import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import safe_open
from sklearn.frozen import FrozenEstimator
from sklearn.utils.estimator_checks import check_estimator
from torch import Tensor

import kinview
from helpers import NAN, SMALL, SMALL_ON_TABLES, draw, gen
from kinview import FineTunedClassifier
from kinview.augmentations import SwapNoise
from kinview.data import Batch
from kinview.data.labels import encode_partial_target
from kinview.methods import PseudoLabelClassifier, VIMESemiClassifier, classifiers, methods
from kinview.methods.fine_tuning.layers import layers_of
from kinview.methods.semi_supervised import SemiSupervisedMethod
from kinview.methods.semi_supervised.method import pseudo_label_loss, score_variance
from kinview.modules import heads
from kinview.training.method import Sizes
from kinview.training.randomness import forked_generators

TABLE = {"scarf": SMALL["scarf"]}
SERIES = {"ts2vec": SMALL["ts2vec"]}
QUICK = {"max_epochs": 3}
KINDS = ("pseudo_label", "vime_semi")
kinds = pytest.mark.parametrize("kind", KINDS)


def moons(n: int = 60, labelled: int = 8, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Two bent clouds; all labels, and those of a few."""
    random = np.random.default_rng(seed)
    y = np.arange(n) % 2
    angle = random.uniform(0, np.pi, n)
    x = np.where(y, 1 - np.cos(angle), np.cos(angle)) + random.normal(0, 0.1, n)
    z = np.where(y, 0.5 - np.sin(angle), np.sin(angle)) + random.normal(0, 0.1, n)
    given = np.array([str(label) if i < labelled else None for i, label in enumerate(y)], dtype=object)
    return pd.DataFrame({"x": x, "z": z}), y, given


def built(kind: str, n_classes: int = 3, **parameters: Any) -> SemiSupervisedMethod:
    classifier = classifiers.build({kind: parameters})
    with forked_generators(0, torch.device("cpu")):
        encoder = methods.build({"scarf": {"hidden_dim": 6, "depth": 2}})._build(Sizes(cardinalities=(0, 0)))
        layers, width = layers_of(encoder, Batch.of(draw(4, 2).float()))
        head = heads.build(
            classifier.head or {"mlp": {"hidden_dim": 5, "depth": 1}}, in_features=width, n_classes=n_classes
        )
    method = classifier.semi_supervised_class(classifier, encoder, head, layers).double()
    if kind == "vime_semi":
        method.corruptions = (SwapNoise(0.3).fit(pooled_rows()),)
    return method


def batch(n: int = 6) -> Batch:
    return Batch.of(draw(n, 2), y=torch.arange(n) % 3)


def pooled_rows(n: int = 10) -> Batch:
    return Batch.of(draw(n, 2, seed=5) * 2)


def scores_of(method: SemiSupervisedMethod, view: Batch) -> Any:
    return method.scores(view).detach().numpy()


def log_softmax(scores: Any) -> Any:
    return scores - np.log(np.exp(scores).sum())


def gradient(method: SemiSupervisedMethod, views: list[Batch]) -> tuple[float, Tensor]:
    loss = method.loss(views).loss
    trained = [parameter for parameter in method.parameters() if parameter.requires_grad]
    slopes = torch.autograd.grad(loss, trained, allow_unused=True, materialize_grads=True)
    return loss.item(), torch.cat([slope.flatten() for slope in slopes])


# --- labels ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("y", "codes", "classes"),
    [
        (["b", None, "a"], [1, -1, 0], ["a", "b"]),
        ([1.0, NAN, 0.0], [1, -1, 0], [0, 1]),
        (pd.Series([3, pd.NA, 2], dtype="Int64"), [1, -1, 0], [2, 3]),
        (pd.Series([True, None, False], dtype="boolean"), [1, -1, 0], [False, True]),
        (torch.tensor([1.0, NAN, 0.0]), [1, -1, 0], [0, 1]),
        ([-1, 1, -1], [0, 1, 0], [-1, 1]),
    ],
)
def test_missing_labels_have_the_code_minus_one(y: Any, codes: list[int], classes: list[Any]) -> None:
    found, known = encode_partial_target(y)
    assert (found.tolist(), known.tolist()) == (codes, classes)


@pytest.mark.parametrize(
    ("y", "message"),
    [([None, NAN], "all 2 labels are missing"), (["a", None, "a"], "class"), ([0.5, NAN, 1.5], "classes"), (None, "y")],
)
def test_labels_that_teach_nothing_are_refused(y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encode_partial_target(y)


# --- pseudo-labels ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threshold", [0.0, 0.5])
@pytest.mark.parametrize(("progress", "alpha"), [(0.0, 0.0), (0.1, 0.0), (0.35, 1.5), (0.6, 3.0), (1.0, 3.0)])
def test_pseudo_labels_are_the_papers_loss(progress: float, alpha: float, threshold: float) -> None:
    method = built("pseudo_label", threshold=threshold, unlabelled_ratio=2).train()
    method.pool = pooled_rows()
    method.before_step(progress)
    views = method.views(batch(), gen(), progress)
    assert [len(view) for view in views] == [6, 12]
    labelled, unlabelled = (scores_of(method, view) for view in views)
    expected, further = 0.0, 0.0
    for scores, label in zip(labelled, views[0].y.tolist(), strict=True):
        expected -= log_softmax(scores)[label] / 6
    for scores in unlabelled:
        p = np.exp(log_softmax(scores))
        if p.max() >= threshold:
            further -= math.log(p[p.argmax()]) / 12
    assert method.loss(views).loss.item() == pytest.approx(expected + alpha * further, abs=1e-12)


def test_a_pseudo_label_is_a_constant() -> None:
    scores = draw(5, 3).requires_grad_()
    (slope,) = torch.autograd.grad(pseudo_label_loss(scores), scores)
    labels = scores.detach().argmax(dim=1)
    (expected,) = torch.autograd.grad(torch.nn.functional.cross_entropy(scores, labels), scores)
    torch.testing.assert_close(slope, expected, rtol=0, atol=1e-15)


def test_without_their_weight_pseudo_labels_are_supervised_training() -> None:
    found = []
    for weight in (3.0, 0.0):
        method = built("pseudo_label", weight=weight).train()
        method.pool = pooled_rows()
        method.before_step(1.0)
        found.append(gradient(method, method.views(batch(), gen(), 1.0)))
    method = built("pseudo_label").train()
    supervised = gradient(method, [batch()])
    assert found[0][0] > found[1][0] == supervised[0]
    assert torch.equal(found[1][1], supervised[1])
    assert not torch.allclose(found[0][1], found[1][1], rtol=1e-3, atol=1e-6)


@pytest.mark.slow
def test_300_steps_of_pseudo_labels_make_unlabelled_rows_sure() -> None:
    X, y, given = moons(100)
    encoder = {"scarf": {"hidden_dim": 16, "depth": 2, "trainer": {"max_steps": 20}}}
    sure, right = [], []
    for weight in (3.0, 0.0):
        how = {"encoder": encoder, "trainer": {"max_steps": 300, "max_epochs": 600}, "random_state": 0}
        classifier = PseudoLabelClassifier(weight=weight, **how).fit(X, given)
        assert classifier.training_.step == 300
        p = classifier.predict_proba(X)[8:]
        sure.append(float(-np.log(p.max(axis=1)).mean()))
        right.append(float((classifier.predict(X)[8:] == y[8:].astype(str)).mean()))
    assert sure[0] < 0.75 * sure[1]
    assert min(right) > 0.7


# --- VIME's second stage ---------------------------------------------------------------------------------------------


def test_vime_semi_is_cross_entropy_and_the_variance_over_copies() -> None:
    method = built("vime_semi", weight=0.7, copies=3, unlabelled_ratio=2).train()
    method.pool = pooled_rows()
    method.before_step(0.3)
    views = method.views(batch(), gen(), 0.3)
    assert [len(view) for view in views] == [6, 12, 12, 12]
    assert torch.equal(views[1].index, views[3].index) and not torch.equal(views[1].x, views[3].x)
    labelled, *copies = (scores_of(method, view) for view in views)
    expected = -sum(log_softmax(s)[label] for s, label in zip(labelled, views[0].y.tolist(), strict=True)) / 6
    further = 0.0
    for i in range(12):
        for c in range(3):
            of_copies = [float(scores[i, c]) for scores in copies]
            mean = sum(of_copies) / 3
            further += sum((score - mean) ** 2 for score in of_copies) / 3 / (12 * 3)
    assert further > 0
    assert method.loss(views).loss.item() == pytest.approx(expected + 0.7 * further, abs=1e-12)
    assert method.loss(views).logs["unlabelled"] == pytest.approx(further)


@pytest.mark.parametrize("neutral", [{"weight": 0.0}, {"copies": 1}])
def test_without_its_copies_vime_semi_is_supervised_training(neutral: dict[str, Any]) -> None:
    found = []
    for parameters in ({}, neutral):
        method = built("vime_semi", **parameters).train()
        method.pool = pooled_rows()
        method.before_step(0.5)
        found.append(gradient(method, method.views(batch(), gen(), 0.5)))
    supervised = gradient(built("vime_semi").train(), [batch()])
    assert found[0][0] > found[1][0] == supervised[0]
    assert torch.equal(found[1][1], supervised[1])
    assert not torch.allclose(found[0][1], found[1][1], rtol=1e-3, atol=1e-6)


@pytest.mark.slow
def test_300_steps_of_consistency_make_copies_agree() -> None:
    X, _, given = moons(200)
    encoder = {"scarf": {"hidden_dim": 16, "depth": 2, "trainer": {"max_steps": 20}}}
    apart = []
    for weight in (1.0, 0.0):
        how = {"encoder": encoder, "trainer": {"max_steps": 300, "max_epochs": 600}, "random_state": 0}
        classifier = VIMESemiClassifier(weight=weight, **how).fit(X, given)
        rows = classifier.encoder_.to_batch(X)
        noise = SwapNoise(0.3).fit(rows)
        with torch.no_grad():
            apart.append(score_variance([classifier.method_.scores(noise(rows, gen(k))) for k in range(3)]).item())
    assert apart[0] < 0.5 * apart[1]


def test_what_swaps_cells_has_learned_from_all_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    X, _, given = moons(30, 6)
    seen: list[int] = []
    fit = SwapNoise.fit
    monkeypatch.setattr(SwapNoise, "fit", lambda self, rows, *how: (seen.append(len(rows)), fit(self, rows, *how))[1])
    scarf = methods.build(TABLE).fit(X)
    classifier = VIMESemiClassifier(scarf, trainer=QUICK, random_state=0).fit(X, given)
    assert seen == [30] and classifier.method_.corruptions == ()


@pytest.mark.parametrize(
    ("corruption", "message"),
    [
        ("class_conditional_corruption", "corruption must do with the samples alone"),
        ("column_subsets", "corruption must make one view"),
        ("jitter", "corruption must work on"),
    ],
)
def test_a_corruption_that_cannot_be_is_refused(corruption: str, message: str) -> None:
    X, _, given = moons(20, 6)
    with pytest.raises(ValueError, match=message):
        VIMESemiClassifier(TABLE, corruption=corruption, trainer=QUICK).fit(X, given)


# --- what all of them share ------------------------------------------------------------------------------------------


@kinds
def test_held_out_rows_are_judged_by_their_labels_alone(kind: str) -> None:
    method = built(kind).eval()
    method.pool = pooled_rows()
    method.before_step(1.0)
    views = method.views(batch(), gen(), 1.0)
    assert len(views) > 1
    assert method.loss(views).loss.item() == method.loss(views[:1]).loss.item()


@kinds
@pytest.mark.parametrize("freeze", ["none", "encoder", "gradual"])
def test_both_modalities_train_with_few_labels_and_with_all(kind: str, freeze: str) -> None:
    X, y, given = moons(20, 4)
    X = X.mask(np.random.default_rng(1).random(X.shape) < 0.1)
    series = draw(20, 2, 16).numpy()
    series[0, 0, 3:6] = series[1, :, 10:] = NAN
    for samples, encoder in ((X, TABLE), (series, SERIES)):
        for labels in (given, y.astype(str)):
            build = {"encoder": encoder, "freeze": freeze, "trainer": QUICK, "random_state": 0}
            classifier = classifiers.build({kind: build}).fit(samples, labels)
            assert classifier.classes_.tolist() == ["0", "1"]
            p = classifier.predict_proba(samples)
            assert p.shape == (20, 2) and np.isfinite(p).all()


@kinds
def test_the_rows_without_a_label_are_forgotten_and_no_file_holds_them(kind: str, tmp_path: Path) -> None:
    X, _, given = moons(30, 6)
    classifier = classifiers.build({kind: {"encoder": TABLE, "trainer": QUICK, "random_state": 0}}).fit(X, given)
    assert classifier.method_.pool is None
    path = classifier.save(tmp_path / "model.safetensors")
    with safe_open(path, "pt") as file:
        assert all(key.startswith(("encoder/", "head/")) for key in file.keys())  # noqa: SIM118 (a file)
    for again in (kinview.load_model(path), pickle.loads(pickle.dumps(classifier))):
        assert type(again) is type(classifier)
        np.testing.assert_array_equal(again.predict_proba(X), classifier.predict_proba(X))


@kinds
def test_the_order_of_labels_with_an_index_does_not_matter(kind: str) -> None:
    X, _, given = moons(20, 6)
    y = pd.Series(given, index=X.index)
    make = {kind: {"encoder": TABLE, "trainer": QUICK, "random_state": 0}}
    one, other = classifiers.build(make).fit(X, y), classifiers.build(make).fit(X, y[::-1])
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))


@kinds
def test_a_fitted_encoder_is_left_as_it_is(kind: str) -> None:
    X, _, given = moons(20, 6)
    encoder = methods.build(TABLE).fit(X)
    before = np.asarray(encoder.transform(X))
    classifiers.build({kind: {"trainer": QUICK, "random_state": 0}}).set_params(encoder=FrozenEstimator(encoder)).fit(
        X, given
    )
    np.testing.assert_array_equal(np.asarray(encoder.transform(X)), before)


@kinds
def test_an_encoder_that_needs_every_label_is_refused(kind: str) -> None:
    X, _, given = moons(20, 6)
    sup_con = {"tabular_joint_embedding": {**SMALL_ON_TABLES["tabular_joint_embedding"], "loss": "sup_con"}}
    with pytest.raises(ValueError, match="pre-trains with the label of every sample, and 14 of 20 are missing"):
        classifiers.build({kind: {"encoder": sup_con}}).fit(X, given)


@kinds
def test_a_checkpoint_with_other_unlabelled_rows_is_not_continued(kind: str, tmp_path: Path) -> None:
    X, _, given = moons(20, 6)
    encoder = methods.build(TABLE).fit(X)

    def fit(samples: Any, steps: int) -> Any:
        trainer = {"max_steps": steps, "max_epochs": 100, "checkpoint_dir": str(tmp_path), "checkpoint_every": 1}
        return (
            classifiers.build({kind: {"trainer": trainer, "random_state": 0}})
            .set_params(encoder=encoder)
            .fit(samples, given)
        )

    fit(X, 2)
    assert fit(X, 4).training_.step == 4
    with pytest.raises(ValueError, match="another training"):
        fit(X.assign(x=np.where(np.arange(20) > 10, 0.5, X["x"])), 6)


@kinds
def test_partly_labelled_training_resumes_bit_by_bit(kind: str, tmp_path: Path) -> None:
    X, _, given = moons(20, 6)
    encoder = methods.build(TABLE).fit(X)
    whole = {"max_steps": 6, "max_epochs": 100, "batch_size": 2, "scheduler": "constant"}
    folder = {"checkpoint_dir": str(tmp_path), "checkpoint_every": 1}
    fresh = {"encoder": encoder, "random_state": 0}
    target = classifiers[kind].target
    straight = target(trainer=whole, **fresh).fit(X, given)

    class Stop(Exception):
        pass

    class Killer(kinview.training.Callback):
        def on_step_end(self, state: Any, method: Any) -> None:
            if state.step == 4:
                raise Stop

    with pytest.raises(Stop):
        target(trainer={**whole, **folder, "callbacks": [Killer()]}, **fresh).fit(X, given)
    resumed = target(trainer={**whole, **folder}, **fresh).fit(X, given)
    np.testing.assert_array_equal(resumed.predict_proba(X), straight.predict_proba(X))


@kinds
def test_they_are_listed_beside_fine_tuning(kind: str) -> None:
    entry = classifiers[kind]
    assert entry.modality == "any" and entry.reference and entry.summary.endswith(".")
    assert issubclass(entry.target, FineTunedClassifier)
    assert "official code" in entry.target.__doc__


@pytest.mark.slow
@kinds
def test_they_pass_all_of_scikit_learns_checks(kind: str) -> None:
    quick = {"scarf": {"hidden_dim": 16, "depth": 2, "trainer": {"max_steps": 2}}}
    estimator = classifiers.build(
        {kind: {"encoder": quick, "trainer": {"lr": 0.02, "max_epochs": 8}, "random_state": 0}}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of single rows, which many of these checks fit on
        results = check_estimator(estimator, on_skip=None, on_fail=None)
    assert not {r["check_name"]: r["exception"] for r in results if r["status"] in ("failed", "xfail")}


def test_partly_missing_labels_may_stand_in_one_column_and_nothing_else_is_a_label() -> None:
    column = pd.DataFrame({"y": ["ill", None, "well"]})
    for y in (column, column.to_numpy()):
        codes, classes = encode_partial_target(y)
        assert codes.tolist() == [0, -1, 1] and classes.tolist() == ["ill", "well"]
    for y in ("ill", 3):
        with pytest.raises(ValueError, match="one label a sample"):
            encode_partial_target(y)


def test_a_ramp_of_no_length_is_a_step() -> None:
    X, y, _ = moons()
    trainer = {"max_steps": 4, "batch_size": 4}
    model = PseudoLabelClassifier({"scarf": SMALL_ON_TABLES["scarf"]} if "scarf" in SMALL_ON_TABLES else "scarf",
                                  ramp=(0.5, 0.5), trainer=trainer, random_state=0)  # fmt: skip
    assert model.fit(X, y).training_.step == 4
