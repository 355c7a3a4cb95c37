"""The training loop: its settings, its averages, its stops, and that it leaves the caller's process as it was."""

from __future__ import annotations

import copy
import io
import json
import math
import os
import signal
import sys
import threading
import types
from itertools import chain
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from helpers import SIZES, gen
from kinview import SCARF, Trainer, TS2Vec, files
from kinview.data import Batch
from kinview.files import read_tensors
from kinview.progress import in_notebook
from kinview.training import Callback, LossResult, Method, TrainingState, WeightAverage, trainer as trainer_module
from kinview.training.checkpoint import CHECKPOINT_NAME, GrowingRecords, Running, load_checkpoint, save_checkpoint
from kinview.training.randomness import forked_generators
from kinview.training.settings import Settings, settings_of

pytestmark = pytest.mark.usefixtures("ctrl_c_interrupts")
CPU = torch.device("cpu")
SERIES, TABLE = ({**SIZES[name], "random_state": 0} for name in ("ts2vec", "scarf"))


class Toy(Method):
    """A linear map towards zero, with noise from the passed generator and dropout from the global one."""

    training_defaults: ClassVar = {"batch_size": 4, "lr": 0.1, "optimizer": "sgd", "max_steps": 6}

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 3)
        self.register_buffer("steps", torch.tensor(0))
        self.seen: list[list[int]] = []

    def views(self, batch, generator, progress):
        if self.training:
            self.seen.append(batch.index.tolist())
        return [batch.replace(x=batch.x + 0.1 * torch.randn(batch.x.shape, generator=generator))]

    def loss(self, views):
        z = nn.functional.dropout(self.layer(views[0].x), 0.5, self.training)
        return LossResult(z.square().mean(), {"size": float(len(views[0]))})

    def embed(self, batch):
        return self.layer(batch.x)

    def after_step(self, progress, views, carry):
        self.steps += 1


class Spy(Callback):
    """Runs a function after every step."""

    def __init__(self, function) -> None:
        self.function = function

    def on_step_end(self, state, method):
        self.function(state, method)


def _rows(n: int = 10) -> Batch:
    return Batch.of(torch.randn(n, 2, generator=gen(7)))


def _train(method: Method | None = None, rows: Batch | None = None, *, seed: int = 0, validation=None, **fields):
    with forked_generators(seed, CPU):
        method = Toy() if method is None else method
        trainer = Trainer(**fields).merged(method.training_defaults)
        generator = gen(seed)
        state = trainer.fit(method, rows or _rows(), generator=generator, validation=validation)
    return method, state


def _weights(method: nn.Module) -> torch.Tensor:
    return nn.utils.parameters_to_vector(method.parameters()).detach().clone()


def _series(n: int = 9, steps: int = 12) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, 1, steps))


def _table(n: int = 40) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, 3))


def _state(estimator) -> dict[str, torch.Tensor]:
    return estimator.method_.state_dict()


def _same(one, other) -> bool:
    one, other = (x if isinstance(x, dict) else _state(x) for x in (one, other))
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


# ---------------------------------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"max_steps": 0}, r"max_steps=\.\.\.\) must be at least 1; got 0"),
        ({"max_steps": 2.5}, "must be a whole number; got 2.5"),
        ({"max_steps": "many"}, "must be a whole number; got the text 'many'"),
        ({"max_epochs": -1}, "max_epochs"),
        ({"batch_size": True}, "batch_size"),
        ({"batch_size": float("nan")}, "batch_size"),
        ({"patience": 0}, "patience"),
        ({"checkpoint_every": 0}, "checkpoint_every"),
        ({"validation_passes": 0}, "validation_passes"),
        ({"warmup_steps": -1}, "at least 0; got -1"),
        ({"warmup_steps": 1.5}, "whole number; got 1.5"),
        ({"lr": 0.0}, "lr=...\\) must be above 0; got 0.0"),
        ({"lr": math.inf}, "must be above 0; got inf"),
        ({"lr": "fast"}, "must be a number; got the text 'fast'"),
        ({"gradient_clip": -1.0}, "gradient_clip"),
        ({"weight_decay": -0.1}, "at least 0; got -0.1"),
        ({"weight_decay": math.nan}, "at least 0"),
        ({"validation_fraction": 1.0}, r"in \[0, 1\); got 1.0"),
        ({"drop_last": "no"}, "must be True or False; got the text 'no'"),
        ({"optimizer": "lion"}, "must be 'adam', 'adamw', 'sgd' or None; got 'lion'"),
        ({"scheduler": "step"}, "must be 'constant', 'cosine' or None"),
        ({"averaging": "mean"}, "must be 'none', 'swa', 'ema' or None"),
        ({"precision": "float64"}, "must be 'float32', 'bfloat16', 'float16' or None"),
        ({"resume": "yes"}, "must be 'auto', 'never' or None"),
        ({"device": "toaster"}, "device must be 'cpu', 'cuda', 'cuda:0', 'mps' or 'auto'; got 'toaster'"),
        ({"precision": "float16"}, "needs a CUDA device"),
    ],
)
def test_a_field_out_of_range_is_refused_with_its_range(fields, message):
    with pytest.raises(ValueError, match=message):
        settings_of(Trainer(**{"max_steps": 3, "batch_size": 4, "lr": 0.1, **fields}))
    for estimator in (TS2Vec(**SERIES, trainer=fields), TS2Vec(**SERIES, trainer=Trainer(**fields))):
        with pytest.raises(ValueError, match=message):
            estimator.fit(_series())


def test_what_no_one_gave_is_named():
    with pytest.raises(ValueError, match="needs lr: the method has no published value"):
        settings_of(Trainer(max_steps=1, batch_size=2))
    with pytest.raises(ValueError, match="max_steps or max_epochs, otherwise training never ends"):
        settings_of(Trainer(lr=0.1, batch_size=2))


def test_an_unavailable_device_is_named():
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    with pytest.raises(ValueError, match="'cuda' is not available on this machine"):
        TS2Vec(**SERIES, trainer={"device": "cuda"}).fit(_series())


def test_numpy_numbers_are_as_good_as_pythons(tmp_path):
    fields = {"max_steps": np.int64(2), "batch_size": np.int32(4), "lr": np.float32(0.01), "checkpoint_dir": tmp_path}
    TS2Vec(**SERIES, trainer=fields).fit(_series())
    assert (tmp_path / CHECKPOINT_NAME).exists()


def test_the_users_value_wins_over_the_methods_and_that_over_the_general_one():
    merged = Trainer(lr=0.5).merged({"lr": 0.1, "batch_size": 8})
    assert (merged.lr, merged.batch_size, merged.optimizer, merged.precision) == (0.5, 8, "adam", "float32")
    fitted = TS2Vec(**SERIES, trainer={"max_steps": 2, "batch_size": 3}).fit(_series()).trainer_
    for value in ("max_steps=2", "batch_size=3", "lr=0.001", "optimizer='adamw'", "averaging='swa'", "device='cpu'"):
        assert value in repr(fitted)
    assert fitted.get_params() == {**fitted.get_params(), "scheduler": "constant", "drop_last": True, "patience": None}


@pytest.mark.parametrize("kind", [TS2Vec, SCARF])
@pytest.mark.parametrize("before", [None, {"max_steps": 2}, Trainer(max_steps=2)], ids=["none", "mapping", "trainer"])
def test_set_params_reaches_into_the_trainer(kind, before):
    before = copy.deepcopy(before)
    estimator = kind(trainer=before).set_params(trainer__lr=0.5, random_state=3)
    assert estimator.trainer.lr == 0.5
    assert estimator.trainer.max_steps == (None if before is None else 2)
    assert estimator.random_state == 3
    assert estimator.get_params()["trainer__lr"] == 0.5
    both = kind().set_params(trainer={"lr": 0.1}, trainer__max_steps=4).trainer
    assert (both.lr, both.max_steps) == (0.1, 4)
    if isinstance(before, Trainer):
        assert estimator.trainer is before  # nested parameters are set on the nested object, as in scikit-learn
    else:
        assert before in (None, {"max_steps": 2}), "the mapping of the caller was written to"


@pytest.mark.parametrize("kind", [TS2Vec, SCARF])
def test_what_is_no_trainer_is_refused(kind):
    X = _series() if kind is TS2Vec else _table()
    with pytest.raises(ValueError, match=r"no field 'learning_rate'; it has .*lr"):
        kind(trainer={"learning_rate": 1}).fit(X)
    with pytest.raises(ValueError, match="must be None, a mapping of Trainer fields, or a Trainer; got 3"):
        kind(trainer=3).fit(X)
    with pytest.raises(ValueError, match="speed"):
        kind().set_params(trainer__speed=1)


# ------------------------------------------------------------------------------------------------- optimisation


def test_the_learning_rate_follows_its_closed_form(monkeypatch):
    groups, rates = [], []
    make = Settings.make_optimizer

    def recording(self, parameters):
        optimizer = make(self, parameters)
        groups.extend(optimizer.param_groups)
        return optimizer

    monkeypatch.setattr(Settings, "make_optimizer", recording)
    spy = Spy(lambda state, method: rates.append(groups[0]["lr"]))
    _train(lr=0.2, max_steps=10, warmup_steps=4, scheduler="cosine", callbacks=[spy])
    warm = [0.2 * k / 4 for k in (1, 2, 3, 4)]
    cosine = [0.2 * (1 + math.cos(math.pi * k / 6)) / 2 for k in range(6)]
    assert rates == pytest.approx(warm + cosine)
    settings = settings_of(Trainer(lr=0.2, max_steps=10, batch_size=4, scheduler="cosine"))
    assert settings.lr_factor(10, 10) == 0.0
    assert settings_of(Trainer(lr=0.2, max_steps=10, batch_size=4)).lr_factor(7, 10) == 1.0


def test_cosine_over_epochs_counts_their_steps():
    for drop_last, steps in ((False, 3), (True, 2)):
        trainer = Trainer(max_epochs=5, lr=0.1, batch_size=4, scheduler="cosine", drop_last=drop_last)
        assert settings_of(trainer).total_steps(10) == 5 * steps


class Slope(Method):
    """A loss with the constant gradient (3, 4)·scale."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0, 2.0]))
        self.scale = scale

    def views(self, batch, generator, progress):
        return [batch]

    def loss(self, views):
        return LossResult(self.scale * (self.weight * torch.tensor([3.0, 4.0])).sum())

    def embed(self, batch):
        return batch.x


@pytest.mark.parametrize(("clip", "step"), [(None, 5.0), (1.0, 1.0), (7.0, 5.0)])
def test_the_gradient_is_clipped_by_its_whole_norm(clip, step):
    method, _ = _train(Slope(1.0), max_steps=1, lr=1.0, optimizer="sgd", batch_size=4, gradient_clip=clip)
    moved = torch.tensor([1.0, 2.0]) - _weights(method)
    assert torch.allclose(moved, step * torch.tensor([0.6, 0.8]), atol=1e-5)


@pytest.mark.parametrize(("optimizer", "factor"), [("sgd", 1 - 0.1 * 0.5), ("adamw", 1 - 0.1 * 0.5), ("adam", None)])
def test_each_optimiser_decays_weights_by_its_own_rule(optimizer, factor):
    method, _ = _train(Slope(0.0), max_steps=1, lr=0.1, optimizer=optimizer, weight_decay=0.5, batch_size=4)
    # Adam puts the decay into the gradient, and its first step has the length of the learning rate
    expected = torch.tensor([1.0, 2.0]) * factor if factor else torch.tensor([0.9, 1.9])
    assert torch.allclose(_weights(method), expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["swa", "ema", "none"])
def test_averages_equal_their_closed_forms(kind):
    path = []

    class Recorder(Callback):
        def on_train_begin(self, state, method):
            path.append(_weights(method))

        def on_step_end(self, state, method):
            path.append(_weights(method))

    method, _ = _train(averaging=kind, max_steps=7, callbacks=[Recorder()])
    assert len(path) == 8
    m = 0.999
    ema = m**7 * path[0] + (1 - m) * sum(m ** (7 - i) * path[i] for i in range(1, 8))
    expected = {"swa": torch.stack(path).mean(dim=0), "ema": ema, "none": path[-1]}[kind]
    assert torch.allclose(_weights(method), expected, atol=1e-6)
    with pytest.raises(ValueError, match="averaging must be"):
        WeightAverage(method, "median")


@pytest.mark.parametrize(
    ("n", "drop_last", "sizes"),
    [(10, False, [4, 4, 2]), (10, True, [4, 4]), (8, True, [4, 4]), (8, False, [4, 4]), (3, True, [3]), (1, True, [1])],
)
def test_an_epoch_uses_every_row_once(n, drop_last, sizes):
    method, state = _train(rows=_rows(n), max_steps=99, max_epochs=3, drop_last=drop_last)
    assert [len(rows) for rows in method.seen] == 3 * sizes
    assert [record["size"] for record in state.history] == [float(size) for size in 3 * sizes]
    epochs = [list(chain(*method.seen[i : i + len(sizes)])) for i in range(0, 3 * len(sizes), len(sizes))]
    assert all(len(set(epoch)) == sum(sizes) for epoch in epochs)
    assert (state.step, state.epoch) == (3 * len(sizes), 3)
    assert n < 8 or epochs[0] != epochs[1]


class Contrasting(Toy):
    """A method that cannot make a step of one row."""

    min_rows: ClassVar = 2


@pytest.mark.parametrize(("n", "drop_last", "sizes"), [(9, False, [4, 4]), (10, False, [4, 4, 2]), (9, True, [4, 4])])
def test_no_step_has_fewer_rows_than_the_method_needs(n, drop_last, sizes):
    fields = {"max_steps": 99, "max_epochs": 3, "drop_last": drop_last, "batch_size": 4}
    method, state = _train(Contrasting(), _rows(n), **fields, validation=_rows(5))
    assert [len(rows) for rows in method.seen] == [4, *3 * sizes], "of the validation's 5 rows, 4 make a batch"
    assert (state.step, state.epoch, len(state.validation)) == (3 * len(sizes), 3, 3)
    settings = settings_of(Trainer(**fields, lr=0.1))
    assert settings.total_steps(n, min_rows=2) == state.step
    assert settings.total_steps(9) == (9 if not drop_last else 6)


def test_batches_and_sets_of_fewer_rows_than_the_method_needs_are_refused():
    with pytest.raises(
        ValueError, match=r"batch_size=1\) is too small: Contrasting contrasts .*give batch_size=2 or more"
    ):
        _train(Contrasting(), batch_size=1)
    with pytest.raises(ValueError, match=r"Contrasting contrasts .* and there are 1 training rows; give 2 or more"):
        _train(Contrasting(), _rows(1))
    with pytest.raises(ValueError, match="SCARFMethod contrasts the rows of a batch"):
        SCARF(**TABLE, trainer={"batch_size": 1}).fit(_table())
    assert TS2Vec(**SERIES, trainer={"batch_size": 1, "max_steps": 1}).fit(_series()).training_.step == 1


def test_a_training_that_leaves_a_row_out_continues_to_the_same_bits(tmp_path):
    fields = {"max_epochs": 3, "batch_size": 4, "drop_last": False, "validation_fraction": 0, "scheduler": "cosine"}
    whole = SCARF(**TABLE, trainer=fields).fit(_table(9))
    assert whole.training_.step == 6
    for stop in (2, 3):  # after the last step of an epoch, and after the first of the next
        saved = {**fields, "checkpoint_dir": str(tmp_path / str(stop))}
        with pytest.raises(KeyboardInterrupt):
            SCARF(**TABLE, trainer={**saved, "callbacks": [_press_at(stop)]}).fit(_table(9))
        assert _same(SCARF(**TABLE, trainer=saved).fit(_table(9)), whole)


def test_training_ends_at_the_first_limit():
    assert _train(max_steps=4, max_epochs=1)[1].step == 3
    assert _train(max_steps=2, max_epochs=1)[1].step == 2


# ------------------------------------------------------------------------------------------------ early stopping


class Scripted(Method):
    """A validation loss that follows a script, one entry an epoch; its weight is the number of steps taken."""

    script = (5.0, 4.0, 3.0, 3.5, 3.2, 1.0)

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(0.0))
        self.validated: list[torch.Tensor] = []

    def views(self, batch, generator, progress):
        return [batch.replace(x=batch.x + torch.randn(batch.x.shape, generator=generator))]

    def loss(self, views):
        if self.training:
            return LossResult(0.0 * self.weight)
        self.validated.append(views[0].x)
        return LossResult(torch.tensor(self.script[int(self.weight) - 1]))

    def embed(self, batch):
        return batch.x

    def after_step(self, progress, views, carry):
        self.weight.data += 1


def test_training_stops_after_patience_and_the_best_weights_return():
    method = Scripted()
    fields = {"batch_size": 4, "lr": 0.1, "patience": 2, "validation_passes": 3}
    _, state = _train(method, _rows(4), validation=_rows(6), max_epochs=6, **fields)
    assert [record["loss"] for record in state.validation] == pytest.approx([5.0, 4.0, 3.0, 3.5, 3.2])
    assert (state.step, state.stopped, state.best, state.waited) == (5, True, 3.0, 2)
    assert method.weight.item() == 3.0
    assert not method.training
    # the views of validation rows are drawn once: three passes of two batches, the same in every epoch
    assert [len(x) for x in method.validated] == 5 * [4, 2, 4, 2, 4, 2]
    for i, x in enumerate(method.validated):
        assert torch.equal(x, method.validated[i % 6])
    assert not torch.equal(method.validated[0], method.validated[2])


def test_without_patience_the_best_weights_return_at_the_end():
    method, state = _train(Scripted(), _rows(4), validation=_rows(6), max_epochs=6, batch_size=4, lr=0.1)
    assert (state.step, state.stopped, method.weight.item()) == (6, False, 6.0)


def test_a_validation_loss_that_is_not_finite_stops_training(monkeypatch, tmp_path):
    monkeypatch.setattr(Scripted, "script", (5.0, math.nan, 3.0))
    with pytest.raises(FloatingPointError, match="the validation loss is nan after step 2"):
        fields = {"batch_size": 4, "lr": 0.1, "checkpoint_dir": tmp_path, "checkpoint_every": 1}
        _train(Scripted(), _rows(4), validation=_rows(6), max_epochs=3, **fields)
    assert read_tensors(tmp_path / CHECKPOINT_NAME)[0]["method/weight"] == 1.0


@pytest.fixture
def splits(monkeypatch):
    """(training rows, validation rows) of each Trainer.fit."""
    found = []
    fit = Trainer.fit

    def spying(self, method, train, **options):
        found.append((train, options["validation"]))
        return fit(self, method, train, **options)

    monkeypatch.setattr(trainer_module.Trainer, "fit", spying)
    return found


def test_rows_are_held_out_by_group(splits):
    groups = np.repeat(np.arange(10), 4)
    SCARF(**TABLE, trainer={"max_epochs": 1}).fit(_table(), groups=groups)
    index = pd.MultiIndex.from_product([["a", "b", "c", "d"], range(3), range(6)], names=["patient", "visit", "hour"])
    frame = pd.DataFrame({"x": np.arange(72.0)}, index=index)
    TS2Vec(**SERIES, trainer={"max_steps": 1, "validation_fraction": 0.25}).fit(frame)
    for (train, validation), group in zip(splits, (groups, np.repeat(np.arange(4), 3)), strict=True):
        assert len(validation) and not set(group[train.index]) & set(group[validation.index])
        assert train.groups is None and validation.groups is None  # they do not concern the method
    assert [len(part) for part in splits[1]] == [9, 3]
    SCARF(**TABLE, trainer={"max_epochs": 1}).fit(_table())
    assert [len(part) for part in splits[2]] == [35, 5]


def test_too_few_rows_to_hold_out_are_all_trained_on(splits):
    SCARF(**TABLE, trainer={"max_epochs": 1}).fit(_table(3))
    ((train, validation),) = splits
    assert len(train) == 3 and validation is None


# ----------------------------------------------------------------------------------- precision and global state


@pytest.fixture(scope="module")
def alone():
    """Weights of a float32 and a bfloat16 training, each by itself."""
    return {p: _state(_in_precision(p).fit(_series())) for p in ("float32", "bfloat16")}


def _in_precision(precision: str, callbacks=None) -> TS2Vec:
    return TS2Vec(**SERIES, trainer={"max_steps": 4, "precision": precision, "callbacks": callbacks})


def test_trainers_of_two_precisions_run_inside_one_another(alone):
    assert not _same(alone["float32"], alone["bfloat16"])
    inner = []
    spy = Spy(lambda state, method: inner.append(_in_precision("bfloat16").fit(_series())))
    outer = _in_precision("float32", [spy]).fit(_series())
    assert _same(outer, alone["float32"])
    assert len(inner) == 4 and all(_same(one, alone["bfloat16"]) for one in inner)
    assert all(t.dtype == torch.float32 for t in _state(inner[0]).values())
    assert np.isfinite(inner[0].transform(_series()).to_numpy()).all()


def test_trainers_of_two_precisions_run_in_two_threads(alone):
    fitted = {}
    jobs = [
        threading.Thread(target=lambda p=p: fitted.update({p: _in_precision(p).fit(_series())}))
        for p in ("float32", "bfloat16")
    ]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert _same(fitted["float32"], alone["float32"]) and _same(fitted["bfloat16"], alone["bfloat16"])


@pytest.mark.parametrize("kind", [TS2Vec, SCARF])
def test_the_callers_random_state_is_neither_read_nor_changed(kind):
    parameters, X = (SERIES, _series()) if kind is TS2Vec else (TABLE, _table())
    fitted = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
        fitted.append(kind(**parameters, trainer={"max_steps": 3}).fit(X))
        fitted[-1].transform(X)
        assert torch.equal(torch.get_rng_state(), before[0])
        assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert _same(*fitted)


def test_the_callers_random_state_returns_after_an_error():
    torch.manual_seed(3)
    before = torch.get_rng_state()

    def fail(state, method):
        raise RuntimeError("a callback failed")

    with pytest.raises(RuntimeError, match="a callback failed"):
        TS2Vec(**SERIES, trainer={"max_steps": 3, "callbacks": [Spy(fail)]}).fit(_series())
    assert torch.equal(torch.get_rng_state(), before)


# -------------------------------------------------------------------------------------------------- not finite


class Broken(Toy):
    """Breaks in its third step."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what = what

    def loss(self, views):
        loss, logs, _ = super().loss(views)
        if self.steps < 2:
            return LossResult(loss, logs)
        if self.what == "loss":
            return LossResult(loss * math.nan, logs)
        if self.what == "gradient":
            return LossResult(loss + (self.layer.weight * 0).abs().sqrt().sum(), logs)
        return LossResult(loss, logs)

    def after_step(self, progress, views, carry):
        super().after_step(progress, views, carry)
        if self.what == "weights" and self.steps == 3:
            self.layer.weight.data[0, 0] = math.inf


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("loss", "the loss is nan at step 3: lower the learning rate"),
        ("gradient", "the gradient is not finite at step 3"),
        ("weights", "the weights are not finite after step 3"),
    ],
)
def test_what_is_not_finite_stops_training_and_leaves_a_finite_checkpoint(tmp_path, what, message):
    method = Broken(what)
    with pytest.raises(FloatingPointError, match=message):
        _train(method, checkpoint_dir=tmp_path, checkpoint_every=1)
    tensors, _ = read_tensors(tmp_path / CHECKPOINT_NAME)
    assert tensors["method/steps"] == 2
    assert all(bool(torch.isfinite(t.double()).all()) for t in tensors.values())
    if what != "weights":
        assert bool(torch.isfinite(_weights(method)).all())


def test_weights_that_overflow_in_the_last_step_do_not_become_a_model():
    method = Broken("weights")
    with pytest.raises(FloatingPointError, match="after step 3"):
        _train(method, max_steps=3)


def test_an_estimator_passes_the_error_on():
    model = TS2Vec(**SERIES, trainer={"lr": 1e20, "max_steps": 20})
    with pytest.raises(FloatingPointError, match=r"at step \d+"):
        model.fit(_series())
    assert not model.is_fitted


# ------------------------------------------------------------------------------------------------------ Ctrl-C


def _press_at(step: int, times: int = 1) -> Spy:
    def press(state, method):
        if state.step == step:
            for _ in range(times):
                os.kill(os.getpid(), signal.SIGINT)

    return Spy(press)


@pytest.mark.parametrize("kind", [TS2Vec, SCARF])
def test_an_interrupted_training_continues_to_the_same_bits(tmp_path, kind):
    parameters, X = (SERIES, _series()) if kind is TS2Vec else ({**TABLE, "random_state": 1}, _table())
    fields = {"max_steps": 9, "batch_size": 4, "checkpoint_dir": str(tmp_path)}
    whole = kind(**parameters, trainer={**fields, "checkpoint_dir": None}).fit(X)
    with pytest.raises(KeyboardInterrupt):
        kind(**parameters, trainer={**fields, "callbacks": [_press_at(5)]}).fit(X)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    seen = []
    resumed = kind(**parameters, trainer={**fields, "callbacks": [Spy(lambda s, m: seen.append(s.step))]}).fit(X)
    assert seen == [6, 7, 8, 9]
    assert _same(resumed, whole)
    assert resumed.training_ == whole.training_


def test_a_second_ctrl_c_acts_at_once(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        _train(checkpoint_dir=tmp_path, checkpoint_every=2, callbacks=[_press_at(3, times=2)])
    assert read_tensors(tmp_path / CHECKPOINT_NAME)[0]["method/steps"] == 2


def test_a_handler_of_the_caller_stays():
    heard = []
    before = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    try:
        _, state = _train(callbacks=[_press_at(2)])
        assert heard == [signal.SIGINT] and state.step == 6
    finally:
        signal.signal(signal.SIGINT, before)


# ------------------------------------------------------------------------------------------------- checkpoints


def _fitted(tmp_path, X=None, callbacks=None, **changes) -> TS2Vec:
    fields = {"max_steps": 4, "batch_size": 4, "checkpoint_dir": tmp_path, "checkpoint_every": 3}
    fields |= {k.removeprefix("trainer__"): v for k, v in changes.items() if k.startswith("trainer__")}
    parameters = {**SERIES, **{k: v for k, v in changes.items() if not k.startswith("trainer__")}}
    return TS2Vec(**parameters, trainer={**fields, "callbacks": callbacks}).fit(_series() if X is None else X)


def _steps_of(tmp_path, **changes) -> tuple[TS2Vec, list[int]]:
    steps: list[int] = []
    return _fitted(tmp_path, callbacks=[Spy(lambda s, m: steps.append(s.step))], **changes), steps


def test_resume_never_starts_anew(tmp_path):
    first = _fitted(tmp_path)
    again, steps = _steps_of(tmp_path)
    assert steps == [] and _same(again, first)
    anew, steps = _steps_of(tmp_path, trainer__resume="never")
    assert steps == [1, 2, 3, 4] and _same(anew, first)


def test_a_longer_training_continues_a_finished_one(tmp_path):
    _fitted(tmp_path)
    longer, steps = _steps_of(tmp_path, trainer__max_steps=7)
    assert steps == [5, 6, 7]
    assert _same(longer, _fitted(None, trainer__max_steps=7))


def test_how_often_to_save_and_what_to_show_may_change(tmp_path):
    _fitted(tmp_path)
    _, steps = _steps_of(tmp_path, trainer__checkpoint_every=1, trainer__progress=False, trainer__max_steps=5)
    assert steps == [5]


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"X": _series(8)}, "data was '[0-9a-f]{64}' and is '[0-9a-f]{64}'"),
        ({"X": np.where(_series() > 2, np.nan, _series())}, "data was"),
        ({"repr_dim": 5}, r"parameters\.repr_dim was 4 and is 5"),
        ({"missing": "timestep"}, r"parameters\.missing was 'channel' and is 'timestep'"),
        ({"scaling": "sample"}, r"parameters\.scaling was 'dataset' and is 'sample'"),
        ({"random_state": 1}, "seed was 0 and is 1"),
        ({"trainer__lr": 0.5}, r"trainer\.lr was 0\.001 and is 0\.5"),
        ({"trainer__batch_size": 3}, r"trainer\.batch_size was 4 and is 3"),
        ({"trainer__precision": "bfloat16"}, r"trainer\.precision was 'float32' and is 'bfloat16'"),
        ({"trainer__scheduler": "cosine"}, r"trainer\.scheduler was 'constant' and is 'cosine'"),
    ],
)
def test_a_checkpoint_of_another_training_is_refused(tmp_path, changes, difference):
    _fitted(tmp_path)
    content = (tmp_path / CHECKPOINT_NAME).read_bytes()
    with pytest.raises(ValueError, match=f"belongs to another training: .*{difference}.*another checkpoint_dir"):
        _fitted(tmp_path, **changes)
    assert (tmp_path / CHECKPOINT_NAME).read_bytes() == content


def test_a_cosine_schedule_cannot_become_longer(tmp_path):
    _fitted(tmp_path, trainer__scheduler="cosine")
    with pytest.raises(ValueError, match=r"trainer\.max_steps was 4 and is 8"):
        _fitted(tmp_path, trainer__scheduler="cosine", trainer__max_steps=8)


def test_a_checkpoint_of_another_method_is_refused(tmp_path):
    _fitted(tmp_path)
    with pytest.raises(ValueError, match="method was 'TS2Vec' and is 'SCARF'"):
        SCARF(**TABLE, trainer={"max_steps": 1, "checkpoint_dir": tmp_path}).fit(_table())


@pytest.mark.parametrize("damage", ["truncated", "empty", "flipped", "model"])
def test_a_damaged_or_foreign_checkpoint_is_refused(tmp_path, damage):
    model = _fitted(tmp_path)
    path = tmp_path / CHECKPOINT_NAME
    content = bytearray(path.read_bytes())
    if damage == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "flipped":
        content[-1] ^= 1
        path.write_bytes(content)
    else:
        model.set_params(trainer=None)
        TS2Vec(**SERIES, trainer={"max_steps": 1}).fit(_series()).save(path)
    with pytest.raises(ValueError, match=r"truncated|damaged|not a kinview checkpoint"):
        _fitted(tmp_path)


def test_without_a_seed_the_checkpoints_is_continued(tmp_path):
    def fit(**fields):
        trainer = {"max_epochs": 3, "batch_size": 8, "checkpoint_dir": tmp_path, **fields}
        return SCARF(**{**TABLE, "random_state": None}, trainer=trainer).fit(_table())

    with pytest.raises(KeyboardInterrupt):
        fit(callbacks=[_press_at(2)])
    resumed = fit()
    assert _same(resumed, fit())
    assert not _same(resumed, fit(resume="never"))


def test_a_history_of_any_length_fits_into_a_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_HEADER_LIMIT", 10_000)
    method = Toy()
    optimizer = torch.optim.SGD(method.parameters(), lr=0.1)
    history = [{"loss": 1.0 / 3.0, "size": 128.0}] * 1000  # more than a header may hold here

    def running(state):
        scaler = torch.amp.GradScaler("cpu", enabled=False)
        return Running(method, optimizer, scaler, None, torch.Generator(), CPU, state, torch.arange(3))

    save_checkpoint(tmp_path, running(TrainingState(step=1000, history=history)), {"seed": 1})
    found = running(TrainingState())
    load_checkpoint(tmp_path / CHECKPOINT_NAME, found, {"seed": 1})
    assert found.state.history == history


# --------------------------------------------------------------------------------------------------- callbacks


def test_callbacks_are_called_in_order():
    calls = []

    class Witness(Callback):
        def __init__(self, name):
            self.name = name

        def on_train_begin(self, state, method):
            calls.append((self.name, "begin", state.step))

        def on_step_end(self, state, method):
            calls.append((self.name, "step", state.step))

        def on_validation_end(self, state, method):
            calls.append((self.name, "validation", state.step))

        def on_train_end(self, state, method):
            assert not method.training
            calls.append((self.name, "end", state.step))

    _train(rows=_rows(8), validation=_rows(4), max_steps=3, callbacks=[Witness("a"), Witness("b")])
    hooks = [("begin", 0), ("step", 1), ("step", 2), ("validation", 2), ("step", 3), ("end", 3)]
    assert calls == [(name, hook, step) for hook, step in hooks for name in "ab"]


def test_json_lines_hold_one_record_a_step(tmp_path):
    path = tmp_path / "log.jsonl"
    model = _fitted(None, callbacks=[{"json_lines": {"path": str(path)}}])
    records = [json.loads(line) for line in path.read_text().splitlines()]
    assert [record["step"] for record in records] == [1, 2, 3, 4]
    assert [record["loss"] for record in records] == [record["loss"] for record in model.training_.history]
    with pytest.raises(ValueError, match="unknown callback 'json_line'; did you mean 'json_lines'"):
        _fitted(None, callbacks=["json_line"])


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_shown_on_a_terminal_only(monkeypatch, capsys):
    _train()
    assert capsys.readouterr() == ("", "")
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    _fitted(None)
    assert "TS2Vec" in terminal.getvalue() and "/4" in terminal.getvalue()
    shown = len(terminal.getvalue())
    _fitted(None, trainer__progress=False)
    assert len(terminal.getvalue()) == shown


def test_progress_is_shown_in_a_notebook_too(monkeypatch, capsys):
    shell = types.SimpleNamespace(config={"IPKernelApp": {}})
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    assert in_notebook()
    _fitted(None)
    assert "TS2Vec" in capsys.readouterr().err
    monkeypatch.setattr(shell, "config", {})  # IPython in a terminal, or a script that imports it
    assert not in_notebook()
    _fitted(None)
    assert capsys.readouterr().err == ""


def test_the_progress_bar_is_closed_after_an_error(monkeypatch):
    from tqdm.auto import tqdm

    monkeypatch.setattr(sys, "stderr", _Terminal())
    with pytest.raises(FloatingPointError):
        _train(Broken("loss"))
    assert not [bar for bar in getattr(tqdm, "_instances", []) if not bar.disable]


def test_a_batch_larger_than_the_training_set_is_said_by_name_where_it_was_asked_for():
    X = np.random.default_rng(0).normal(size=(12, 3))
    with pytest.warns(UserWarning, match="SCARF: batch_size=64 is larger than the 12 training rows, so every step"):
        SCARF(trainer={"batch_size": 64, "max_steps": 1}, random_state=0).fit(X)
    with pytest.warns(UserWarning, match="batch_size=10 is larger than the 9 training rows"):  # 3 are held out
        SCARF(trainer={"batch_size": 10, "max_steps": 1, "validation_fraction": 0.25}, random_state=0).fit(X)
    SCARF(trainer={"max_steps": 1}, random_state=0).fit(X)  # the published batch is no request


def test_a_long_history_is_written_record_by_record():
    """A file of any moment has the records as they are then, also where a callback wrote into the last one later."""
    text, records = GrowingRecords(), []
    for step in range(5):
        records.append({"loss": 1.0 / (step + 1)})
        if step % 2:
            records[-1]["rank"] = float(step)
        assert json.loads(text.of(records)) == records
        records[-1]["late"] = -1.0
        assert json.loads(text.of(records)) == json.loads(text.of(records)) == records
    assert GrowingRecords().of([]) == b"[]"
