"""Measurements while a method trains: what they measure, that they change nothing, and where labels go."""

from __future__ import annotations

import json
import pickle
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import torch
from torch import Tensor

from kinview import SCARF, TSTCC, FineTunedClassifier, TS2Vec
from kinview.cli import main
from kinview.data import Batch
from kinview.diagnostics import (
    OnlinePositivePairs,
    OnlineProbe,
    OnlineRank,
    effective_rank,
    lidar,
    positive_rank,
    rank_me,
)
from kinview.losses import alignment, uniformity
from kinview.methods import BYOL, JointEmbedding, MoCo, PseudoLabelClassifier, TabularSimGRACE
from kinview.training import Callback, LossResult, Method, Sizes, Trainer, WatchedSamples, callbacks

NET = {"dilated_conv": {"repr_dim": 6, "hidden_dim": 4, "depth": 1, "fill": "zero"}}
TINY = {"repr_dim": 6, "hidden_dim": 4, "depth": 1, "fill": "zero"}
ALL = [{"probe": {"every": 2}}, {"rank": {"every": 2, "views": 4}}, {"positive_pairs": {"every": 2}}]


def series(n: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """Two classes of series of two channels, with gaps and an end of their own."""
    random = np.random.default_rng(0)
    y = np.arange(n) % 2
    X = np.sin(np.arange(20.0) * (0.3 + 0.5 * y[:, None, None])) + 0.3 * random.normal(size=(n, 2, 20))
    X[random.random(X.shape) < 0.1] = np.nan
    X[0, :, 15:] = np.nan
    return X, y


def table(n: int = 40) -> tuple[pd.DataFrame, np.ndarray]:
    random = np.random.default_rng(0)
    y = np.arange(n) % 2
    return pd.DataFrame({"a": random.normal(size=n) + 2 * y, "b": random.normal(size=n), "c": y.astype(str)}), y


def small(kind: str, **trainer: Any) -> Any:
    trainer = {"max_steps": 5, "batch_size": 8, **trainer}
    if kind == "scarf":
        return SCARF(hidden_dim=6, depth=2, trainer=trainer, random_state=0)
    if kind == "ts2vec":
        return TS2Vec(**TINY, trainer=trainer, random_state=0)
    if kind == "tstcc":
        sizes = {"repr_dim": 8, "hidden_dim": 4, "context_dim": 8, "context_depth": 1, "fill": "zero"}
        return TSTCC(**sizes, trainer=trainer, random_state=0)
    method = {"moco": MoCo, "byol": BYOL}[kind]
    return method(encoder=NET, trainer=trainer, random_state=0)


def fitted(kind: str, **trainer: Any) -> Any:
    X, y = table() if kind == "scarf" else series()
    return small(kind, **trainer).fit(X, y)


def state_of(model: Any) -> dict[str, Tensor]:
    return dict(model.method_.state_dict())


# --- they change nothing ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", ["ts2vec", "scarf", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("tstcc", "moco", "byol"))]
)
def test_training_gives_the_same_bits_with_and_without_them(kind: str) -> None:
    watched, alone = fitted(kind, callbacks=ALL), fitted(kind)
    assert all(torch.equal(value, state_of(alone)[name]) for name, value in state_of(watched).items())
    assert [record["loss"] for record in watched.training_.history] == [r["loss"] for r in alone.training_.history]


def test_values_stand_at_the_steps_where_they_were_measured_and_say_what_came_before() -> None:
    history = fitted("ts2vec", callbacks=ALL).training_.history
    names = {"knn_accuracy", "linear_accuracy", "accuracy_chance", "rank_me", "effective_rank", "lidar", "spread"}
    names |= {"alignment", "uniformity", "positive_rank", "positive_rank_chance", "loss"}
    assert set(history[2]) == {"loss"}
    assert all(set(history[i]) == names for i in (0, 1, 3, 4))  # before the first step, every second one, at the end
    untrained = small("ts2vec", max_steps=1).initialise(series()[0])
    assert history[0]["effective_rank"] == pytest.approx(effective_rank(untrained.transform(series()[0])), rel=1e-5)
    trained = fitted("ts2vec")  # averaged weights, which training leaves
    assert history[4]["effective_rank"] == pytest.approx(effective_rank(trained.transform(series()[0])), rel=1e-5)


def interrupt_at(step: int) -> Callback:
    class Press(Callback):
        def on_step_end(self, state: Any, method: Method) -> None:
            if state.step == step:
                signal.raise_signal(signal.SIGINT)

    return Press()


@pytest.mark.usefixtures("ctrl_c_interrupts")
@pytest.mark.parametrize("kind", ["ts2vec", pytest.param("tstcc", marks=pytest.mark.slow)])
def test_a_training_that_is_continued_measures_the_same_bits(kind: str, tmp_path: Path) -> None:
    saved = {"checkpoint_dir": str(tmp_path), "checkpoint_every": 2}
    with pytest.raises(KeyboardInterrupt):
        fitted(kind, callbacks=[*ALL, interrupt_at(3)], **saved)
    continued, whole = fitted(kind, callbacks=ALL, **saved), fitted(kind, callbacks=ALL)
    assert continued.training_.history == whole.training_.history
    assert all(torch.equal(value, state_of(whole)[name]) for name, value in state_of(continued).items())


def test_json_lines_hold_what_was_measured_whatever_the_order(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    fitted("ts2vec", callbacks=[{"json_lines": {"path": str(path)}}, {"rank": {"every": 2}}], max_steps=2)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert "rank_me" in lines[0] and "rank_me" in lines[1]


def test_no_sample_and_no_label_is_kept() -> None:
    hooks = [OnlineProbe(every=2), OnlineRank(every=2), OnlinePositivePairs(every=2)]
    X, y = series()
    X[3, 0, 4] = 987.125
    model = small("ts2vec", callbacks=hooks, max_steps=2).fit(X, y)
    assert b"_watched_labels" not in pickle.dumps(model)
    for hook in hooks:
        assert not any(isinstance(value, Batch | WatchedSamples | tuple) for value in vars(hook).values()), hook
    with pytest.raises(ValueError, match="two classes"):
        small("ts2vec", callbacks=hooks).fit(X, np.zeros(len(y)))
    assert all(hook._samples is None for hook in hooks)


# --- labels ----------------------------------------------------------------------------------------------------------


def test_labels_reach_the_probe_and_not_the_method(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def watch(name: str) -> None:
        real = getattr(TS2Vec.method_class, name)

        def watched(self: Method, batch: Batch, *given: Any) -> Any:
            seen.append((batch.y, batch.groups))
            return real(self, batch, *given)

        monkeypatch.setattr(TS2Vec.method_class, name, watched)

    watch("views")
    watch("embed")
    X, y = series()
    first = small("ts2vec", callbacks=ALL).fit(X, y, groups=np.arange(24) // 2)
    assert seen and all(given == (None, None) for given in seen)
    other = small("ts2vec", callbacks=ALL).fit(X, y[::-1].copy(), groups=np.arange(24) // 2)
    assert all(torch.equal(value, state_of(other)[name]) for name, value in state_of(first).items())


def test_labels_of_any_kind_and_in_any_order_say_the_same() -> None:
    X, y = table()
    wanted = small("scarf", callbacks=["probe"]).fit(X, y).training_.history[-1]
    assert wanted["linear_accuracy"] > wanted["accuracy_chance"]
    text = pd.Series(np.where(y == 1, "ill", "well"), index=X.index).sample(frac=1, random_state=1)
    found = small("scarf", callbacks=["probe"]).fit(X, text).training_.history[-1]
    assert {name: found[name] for name in ("knn_accuracy", "linear_accuracy")} == {
        name: wanted[name] for name in ("knn_accuracy", "linear_accuracy")
    }
    given = small("scarf", callbacks=[{"probe": {"labels": y.tolist()}}]).fit(X).training_.history[-1]
    assert given == wanted


@pytest.mark.parametrize(
    ("y", "hook", "message"),
    [
        (None, "probe", r"'probe' needs a label of each sample: fit\(X, y\)"),
        (np.zeros(24), "probe", "two classes to fit on"),
        (np.arange(24) + 0.5, "probe", "labels holds real numbers"),
        (None, {"probe": {"labels": [0, 1]}}, "labels has 2 entries for 24 samples"),
        (None, {"probe": {"labels": ["a"] * 24}}, "labels must be a whole number; got the text 'a'"),
        (None, {"probe": {"labels": "y"}}, "labels must be whole numbers, one a sample"),
        (None, {"rank": {"every": 0}}, "every must be at least 1; got 0"),
    ],
)
def test_what_cannot_be_measured_is_refused_by_name(y: Any, hook: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small("ts2vec", callbacks=[hook]).fit(series()[0], y)


@pytest.mark.parametrize("wrong", ["probe", {"probe": {}}, 3])
def test_callbacks_that_are_no_list_are_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"callbacks.*must be a list, such as \[probe"):
        small("ts2vec", callbacks=wrong).fit(series()[0])


def test_a_method_trained_with_all_labels_has_none_to_be_scored_on() -> None:
    X, y = series()
    model = JointEmbedding(encoder=NET, loss="sup_con", trainer={"max_steps": 2, "callbacks": ["probe"]})
    with pytest.raises(ValueError, match="the method is trained with the labels of all samples"):
        model.fit(X, y)
    history = model.set_params(trainer__validation_fraction=0.25).fit(X, y).training_.history
    assert "linear_accuracy" in history[-1]


def parts_of(X: Any, y: Any, groups: Any = None, held_out: float = 0.0) -> tuple[set[int], set[int]]:
    """Samples that the probe was fitted on, and those that it was scored on."""
    found: list[Any] = []

    class Watched(OnlineProbe):
        def on_train_begin(self, state: Any, method: Method) -> None:
            found.append(self._parts)

    trainer = {"max_steps": 1, "callbacks": [Watched()], "validation_fraction": held_out}
    TS2Vec(**TINY, trainer=trainer, random_state=0).fit(X, y, groups=groups)
    fit, scored, known, wanted = found[0]
    assert np.array_equal(known, y[fit.index]) and np.array_equal(wanted, y[scored.index])
    return set(fit.index.tolist()), set(scored.index.tolist())


def test_rows_held_out_for_early_stopping_are_the_ones_that_are_scored() -> None:
    X, y = series()
    trained: set[int] = set()

    class Rows(Callback):
        def on_samples(self, samples: WatchedSamples) -> None:
            trained.update(samples.rows.index.tolist())

    TS2Vec(**TINY, trainer={"max_steps": 1, "callbacks": [Rows()], "validation_fraction": 0.25}, random_state=0).fit(X)
    fit, scored = parts_of(X, y, held_out=0.25)
    assert fit == trained and scored == set(range(24)) - trained and len(scored) == 6
    fit, scored = parts_of(X, y)  # nothing is held out: a part is cut off, which the method is trained on
    assert not fit & scored and fit | scored == set(range(24)) and len(scored) == 6


def test_no_group_and_no_long_series_is_parted() -> None:
    X, y = series()
    groups = np.arange(24) // 3
    fit, scored = parts_of(X, y, groups)
    assert not {groups[i] for i in fit} & {groups[i] for i in scored}
    X[5] = np.nan  # nothing observed: no training row
    fit, scored = parts_of(X, y)
    assert fit | scored == set(range(24)) - {5} and not fit & scored
    model = TS2Vec(**TINY, max_train_length=10, trainer={"max_steps": 2, "callbacks": ALL})
    assert "knn_accuracy" in model.fit(X, y).training_.history[-1]


def test_a_classifier_scores_the_rows_of_its_early_stopping() -> None:
    X, y = series(60)
    model = FineTunedClassifier(
        small("ts2vec", max_steps=1), trainer={"max_epochs": 2, "patience": 5, "callbacks": ["probe"]}, random_state=0
    )
    assert "linear_accuracy" in model.fit(X, y).training_.history[-1]


def test_fewer_rows_than_a_batch() -> None:
    X, y = series(6)
    history = small("byol", callbacks=ALL, batch_size=None).fit(X, y).training_.history
    assert "lidar" in history[-1] and history[-1]["positive_rank_chance"] == 3.5


# --- what they measure -----------------------------------------------------------------------------------------------


def slow_lidar(Z: np.ndarray, delta: float) -> float:
    n, views, dim = Z.shape
    means = [np.mean(Z[i], axis=0) for i in range(n)]
    centre = np.mean(means, axis=0)
    between, within = np.zeros((dim, dim)), delta * np.eye(dim)
    for i in range(n):
        between += np.outer(means[i] - centre, means[i] - centre) / n
        for view in range(views):
            within += np.outer(Z[i, view] - means[i], Z[i, view] - means[i]) / (n * views)
    values, vectors = np.linalg.eigh(within)
    root = vectors @ np.diag(values**-0.5) @ vectors.T
    spectrum = np.clip(np.linalg.eigvalsh(root @ between @ root), 0, None)
    p = spectrum / spectrum.sum() + 1e-7
    return float(np.exp(-(p * np.log(p)).sum()))


@pytest.mark.parametrize(("n", "views", "dim"), [(5, 2, 3), (20, 4, 8), (3, 2, 40)])
def test_lidar_equals_its_transcription(n: int, views: int, dim: int) -> None:
    random = np.random.default_rng(dim)
    Z = random.normal(size=(n, 1, dim)) + 0.3 * random.normal(size=(n, views, dim))
    # in the span of the samples alone there are fewer terms of 1e-7
    assert lidar(Z, 0.01) == pytest.approx(slow_lidar(Z, 0.01), rel=1e-4 if dim > 3 * n else 1e-8)


def test_lidar_of_directions_that_only_views_vary_in_is_small() -> None:
    random = np.random.default_rng(0)
    Z = np.zeros((50, 6, 4))
    Z[:, :, :2] = random.normal(size=(50, 1, 2))  # what tells samples apart
    Z[:, :, 2:] = 10 * random.normal(size=(50, 6, 2))  # what tells views apart
    assert 1.9 < lidar(Z) < 2.1 < effective_rank(Z.reshape(300, 4))
    assert lidar(np.ones((4, 3, 2))) == 0.0


def test_ranks_equal_their_formulas() -> None:
    Z = np.random.default_rng(0).normal(size=(30, 5)) + 3
    sigma = np.sqrt(np.linalg.eigvalsh(Z.T @ Z))
    p = sigma / sigma.sum() + 1e-7
    assert rank_me(Z) == pytest.approx(np.exp(-(p * np.log(p)).sum()))
    assert rank_me(Z) < effective_rank(Z), "the mean counts as a direction"
    assert rank_me(np.zeros((3, 2))) == 0.0


def test_the_rank_of_the_positive_equals_a_loop_and_has_its_limits() -> None:
    random = np.random.default_rng(0)
    A, B = random.normal(size=(2, 9, 4))
    cosine = [[a @ b / np.linalg.norm(a) / np.linalg.norm(b) for b in B] for a in A]
    expected = np.mean([scipy.stats.rankdata(row)[i] for i, row in enumerate(cosine)])
    assert positive_rank(A, B) == (pytest.approx(expected), 5.0)
    assert positive_rank(A, 3 * A).rank == 9 and positive_rank(A, -A).rank == 1
    assert positive_rank(np.zeros((4, 2)), np.zeros((4, 2))) == (2.5, 2.5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: lidar(np.zeros((3, 1, 2))), "two samples and two views"),
        (lambda: lidar(np.full((3, 2, 2), np.nan)), "needs a finite array"),
        (lambda: lidar(np.zeros((3, 2, 2)), 0.0), "delta must be positive"),
        (lambda: rank_me(np.zeros(3)), "rank_me needs a finite matrix"),
        (lambda: positive_rank(np.zeros((3, 2)), np.zeros((2, 2))), "of one shape"),
    ],
)
def test_wrong_arguments_are_refused(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


class Fixed(Method):
    """A network of one weight, whose representation is given by a function of the samples."""

    def __init__(self, represent: Any, views: int = 2) -> None:
        super().__init__(Sizes(cardinalities=(0,) * 6, rows=20))
        self.weight = torch.nn.Parameter(torch.ones(()))
        self.represent, self.count = represent, views

    def views(self, batch: Batch, generator: torch.Generator, progress: float) -> list[Batch]:
        assert progress in (0.0, 0.5, 1.0)
        noise = [0.1 * torch.randn(batch.x.shape, generator=generator) for _ in range(self.count)]
        return [batch.replace(x=batch.x + each) for each in noise]

    def loss(self, views: list[Batch]) -> LossResult:
        return LossResult(self.weight.square())

    def embed(self, batch: Batch) -> Tensor:
        out: Tensor = self.represent(batch.x)
        return out


def trained(method: Method, *hooks: Any) -> list[dict[str, float]]:
    rows = Batch.of(torch.randn(20, 6, generator=torch.Generator().manual_seed(1)))
    trainer = Trainer(max_steps=2, batch_size=20, lr=1e-3, callbacks=list(hooks))
    return trainer.fit(method, rows, generator=torch.Generator().manual_seed(0)).history


def test_a_collapsed_representation_is_warned_about_once() -> None:
    with pytest.warns(UserWarning, match=r"collapsed at step 2: its spread is 0 and its effective rank 0") as found:
        trained(Fixed(lambda x: x * 0 + 1), {"rank": {"every": 1}})
    assert len(found) == 1
    line = torch.arange(1.0, 7)
    with pytest.warns(UserWarning, match="effective rank 1"):
        trained(Fixed(lambda x: x[:, :1] * line), {"rank": {"every": 1}})
    trained(Fixed(lambda x: x[:, :1]), "rank")  # one dimension has no more than a line
    trained(Fixed(lambda x: x), "rank")


def test_positive_pairs_are_those_of_the_views() -> None:
    history = trained(Fixed(lambda x: x), OnlinePositivePairs(samples=20, every=1))
    rows = Batch.of(torch.randn(20, 6, generator=torch.Generator().manual_seed(1)))
    one, two = (view.x.double() for view in Fixed(None).views(rows, torch.Generator().manual_seed(0), 1.0))
    assert history[0]["alignment"] == pytest.approx(float(alignment(one, two)))
    assert history[0]["uniformity"] == pytest.approx(float(uniformity(one)))
    assert history[0]["positive_rank"] == positive_rank(one.numpy(), two.numpy()).rank > 19
    assert history[0]["positive_rank_chance"] == 10.5
    assert history[0]["alignment"] == history[1]["alignment"], "other views were drawn"


def test_a_method_with_one_view_has_no_pairs() -> None:
    history = trained(Fixed(lambda x: x, views=1), "positive_pairs", "rank")
    assert set(history[-1]) == {"loss", "rank_me", "effective_rank", "spread"}


def test_at_most_so_many_samples_are_embedded() -> None:
    sizes: list[int] = []

    def represent(x: Tensor) -> Tensor:
        sizes.append(len(x))
        return x

    trained(Fixed(represent), {"rank": {"samples": 7}})
    assert set(sizes) == {7}


def test_callbacks_have_configs() -> None:
    for hook in (OnlineProbe(every=3, labels=[0, 1]), OnlineRank(views=3), OnlinePositivePairs()):
        assert vars(callbacks.build(callbacks.to_config(hook))) == vars(hook)


# --- on the command line ---------------------------------------------------------------------------------------------


def test_pretrain_and_inspect_say_what_was_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--dataset", "italy_power_demand", "--method", "ts2vec", "--output", str(tmp_path / "m.safetensors")]
    words += ["--parameters", "{repr_dim: 4, hidden_dim: 4, depth: 1}", "--trainer.max_steps", "3"]
    words += ["--trainer.checkpoint_dir", str(tmp_path / "ck"), "--trainer.callbacks", "[probe, {rank: {every: 2}}]"]
    assert main(["pretrain", *words]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    for name in ("linear_accuracy 0.", "knn_accuracy 0.", "rank_me ", "lidar ", "(untrained "):
        assert name in last, last
    assert main(["inspect", str(tmp_path / "ck" / "checkpoint.safetensors")]) == 0
    assert "measured    rank_me " in (out := capsys.readouterr().out) and " at step 2 (untrained " in out


def test_rows_that_are_other_samples_or_alike_are_no_pairs() -> None:
    X, y = table()
    some = np.where(np.arange(len(y)) % 3 == 0, y, None)
    trainer = {"max_steps": 2, "batch_size": 8, "callbacks": ["rank", "positive_pairs"]}
    classifier = PseudoLabelClassifier(small("scarf"), unlabelled_ratio=1, trainer=trainer, random_state=0).fit(X, some)
    assert classifier.training_ is not None and "alignment" not in classifier.training_.history[-1]
    model = TabularSimGRACE(encoder={"mlp": {"hidden_dim": 4, "depth": 1}}, trainer=trainer, random_state=0).fit(X)
    assert {"alignment", "positive_rank", "lidar"}.isdisjoint(model.training_.history[-1])
    assert "rank_me" in model.training_.history[-1]
