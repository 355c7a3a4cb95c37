"""Checks of methods."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import rankdata
from sklearn.base import clone

from kinview.data.batch import Batch
from kinview.data.paired import PairedData
from kinview.diagnostics.effective_rank import effective_rank
from kinview.methods import methods
from kinview.methods.estimators.model_file import load_model
from kinview.testing._method_case import Case, close, finite, fit_views_of, rows_of, same_samples, values_of
from kinview.testing._method_training import RUNNING_STATISTICS
from kinview.training.callbacks import Callback, TrainingState
from kinview.training.method import Method
from kinview.training.randomness import forked_generators

__all__: list[str] = []


# --- an estimator ----------------------------------------------------------------------------------------------------


def config_round_trip(case: Case) -> None:
    """The config builds an equal estimator, and a clone has the same parameters."""
    estimator = case.build()
    config = methods.to_config(estimator)
    twin = methods.build(config)
    assert methods.to_config(twin) == config, f"the config {config} builds an estimator with {methods.to_config(twin)}"
    assert methods.to_config(clone(estimator)) == config, "a clone must have the same parameters"


def one_vector_a_sample(case: Case) -> None:
    """Fit returns the estimator, transform one finite vector a sample, and neither touches its input."""
    X = copy.deepcopy(case.X)
    estimator = case.build(max_steps=2)
    assert case.fit(estimator, X) is estimator, "fit must return the estimator itself"
    finite(case.embedded(estimator, X), case.n, "transform")
    assert same_samples(X, case.X), "the input was changed"


def seed(case: Case) -> None:
    """The seed alone decides, bit by bit, and another seed gives other embeddings."""
    one, same = case.embedded(case.trained), case.embedded(case.fitted())
    assert np.array_equal(one, same), "two fits with one random_state differ"
    if "random_state" in case.build().get_params(deep=False):
        other = case.fit(case.build(max_steps=2).set_params(random_state=1), case.X)
        assert not np.array_equal(one, case.embedded(other)), "random_state changes nothing"


def no_global_randomness(case: Case) -> None:
    """The global generators of torch and NumPy are neither read nor moved."""
    expected = case.embedded(case.trained)
    with forked_generators(12345, torch.device("cpu")):
        before = torch.get_rng_state(), _numpy_state()
        found = case.embedded(case.fitted())
        assert torch.equal(before[0], torch.get_rng_state()), "torch's global generator was moved"
        assert before[1] == _numpy_state(), "NumPy's global generator was moved"
    assert np.array_equal(expected, found), "embeddings depend on torch's global generator"


def _numpy_state() -> bytes:
    return repr(np.random.get_state()).encode()  # noqa: NPY002


def saved_and_loaded(case: Case) -> None:
    """A loaded model embeds bit for bit as the saved one."""
    estimator = case.trained
    with tempfile.TemporaryDirectory() as folder:
        loaded = load_model(estimator.save(Path(folder) / "model.safetensors"))
    close(case.embedded(loaded), case.embedded(estimator), "a loaded model must embed as the saved one", 0.0)


# --- training --------------------------------------------------------------------------------------------------------


class _Killed(Exception):
    """Ends a training from within."""


class _Kill(Callback):
    """End the training after a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, state: TrainingState, method: Method) -> None:
        if state.step == self.step:
            raise _Killed


def resumed(case: Case) -> None:
    """A training that ends after any step continues from its checkpoint to the same weights, bit by bit."""
    batch = {"batch_size": max(2, case.n // 3), "max_steps": 4}
    whole = case.fitted(**batch)
    for step in (1, 3):
        with tempfile.TemporaryDirectory() as folder:
            saved = {**batch, "checkpoint_dir": folder, "checkpoint_every": 1}
            try:
                case.fitted(**saved, callbacks=[_Kill(step)])
            except _Killed:
                found = case.fitted(**saved)
            else:
                raise AssertionError(f"the training never came to step {step}")
        differing = [
            name
            for name, value in whole.method_.state_dict().items()
            if not torch.equal(value, found.method_.state_dict()[name])
        ]
        assert not differing, f"resumed after step {step}, these weights differ: {', '.join(differing)}"


def few_samples(case: Case) -> None:
    """Fewer samples than a batch, two, and a batch of one left over, can be trained on."""
    for n, trainer in ((2, {}), (min(case.n, 7), {"batch_size": 64}), (5, {"batch_size": 4, "drop_last": False})):
        X = rows_of(case.X, slice(0, n))
        estimator = case.fitted(X, **{"max_steps": 3, **trainer})
        assert estimator.training_ is not None and estimator.training_.step == 3, (
            f"{n} samples with {trainer or 'the default batch'} must be trained on for 3 steps; "
            f"training_ is {estimator.training_}"
        )
        finite(case.embedded(estimator, X), n, f"{n} samples with {trainer or 'the default batch'}")


def one_sample(case: Case) -> None:
    """One sample alone keeps the initial weights or trains; either way it is embedded."""
    X = rows_of(case.X, slice(0, 1))
    finite(case.embedded(case.fitted(X), X), 1, "one sample")


def loss_falls(case: Case) -> None:
    """After training the loss is lower than before, on the same views and with the same memory of earlier rows."""
    steps = 30
    estimator = case.fitted(max_steps=steps)
    untrained = case.build(max_steps=steps).initialise(case.X).method_
    trained = copy.deepcopy(estimator.method_)
    memory = dict(untrained.named_buffers())  # beside a queue that is full the loss of any weights is higher
    for name, buffer in trained.named_buffers():
        if name in memory and name.rpartition(".")[2] not in RUNNING_STATISTICS:
            buffer.copy_(memory[name])
    before, after = (_loss(case, method, estimator) for method in (untrained, trained))
    assert after < before, (
        f"the loss on the same views must fall within {steps} steps; it went from {before} to {after}"
    )


def _loss(case: Case, method: Method, estimator: Any) -> float:
    """Mean loss of twenty draws of views in training mode, from one seed; dropout hides a little gain in fewer.

    They follow a first step that does not count: where a queue holds all negatives, as MoCo's, the loss beside the
    empty one is 0 for any weights. A step is a draw, its loss and what the method does after it; no weight learns.
    """
    method = copy.deepcopy(method).train()
    generator = torch.Generator().manual_seed(7)
    with forked_generators(7, torch.device("cpu")), torch.no_grad():
        batch = case.training_rows(estimator)
        forget = fit_views_of(estimator, method, batch, generator)
        losses = [_step(method, batch, generator) for _ in range(21)]
        forget()
    return float(np.mean(losses[1:]))


def _step(method: Method, batch: Batch, generator: torch.Generator) -> float:
    """Loss of one draw of views; the method then does what it does after a step."""
    views = method.views(batch, generator, 1.0)
    result = method.loss(views)
    method.after_step(1.0, views, result.carry)
    return float(result.loss)


def effective_rank_kept(case: Case) -> None:
    """Trained embeddings use at least half as many dimensions as those of the untrained network."""
    steps = 30
    trained = effective_rank(case.embedded(case.fitted(max_steps=steps)))
    untrained = effective_rank(case.embedded(case.build().initialise(case.X)))
    assert trained >= untrained / 2, (
        f"the effective rank of the embeddings fell from {untrained:.2f} (untrained) to {trained:.2f} in {steps} steps"
    )


# --- data ------------------------------------------------------------------------------------------------------------


def gaps(case: Case) -> None:
    """Data with gaps everywhere, and a sample without any observation, are trained on and embedded."""
    gappy = case.with_gaps()
    finite(case.embedded(case.fitted(gappy), gappy), case.n, "data with gaps")
    finite(case.embedded(case.trained, gappy), case.n, "gaps at transform only")


def row_independent(case: Case) -> None:
    """An embedding does not depend on the other rows of its batch."""
    estimator, gappy = case.trained, case.with_gaps()
    if _declares(estimator, "row_independent"):
        together = case.embedded(estimator, gappy)
        alone = np.concatenate([case.embedded(estimator, rows_of(gappy, slice(i, i + 1))) for i in range(8)])
        close(alone, together[:8], "a sample must be embedded alone as among others")


def columns(case: Case) -> None:
    """A table of one column is trained on and embedded."""
    X = case.X.iloc[:, :1]
    finite(case.embedded(case.fitted(X), X), case.n, "one column")


def channels(case: Case) -> None:
    """The fewest channels, and two more of which one was never observed, are trained on and embedded."""
    one = np.asarray(case.X, dtype=np.float64)[:, : getattr(case.build(), "min_channels", 1)]
    many = np.concatenate([one, np.roll(one[:, :1], 1, axis=0), np.full_like(one[:, :1], np.nan)], axis=1)
    for X in (one, many):
        finite(case.embedded(case.fitted(X), X), case.n, f"{X.shape[1]} channels")


def unequal_length(case: Case) -> None:
    """Series of unequal length are trained on; each is embedded as if it stood alone."""
    X = np.asarray(case.X, dtype=np.float64)
    steps = X.shape[2]
    cut = [x[:, : steps - i % (steps // 2)] for i, x in enumerate(X)]
    estimator = case.fitted(cut)
    together = case.embedded(estimator, cut)
    finite(together, case.n, "series of unequal length")
    if _declares(estimator, "padding_independent") and _declares(estimator, "row_independent"):
        alone = np.concatenate([case.embedded(estimator, [x]) for x in cut[:8]])
        close(alone, together[:8], "a series must be embedded alone as among longer ones")


def padding_independent(case: Case) -> None:
    """An embedding does not depend on how far the batch was padded."""
    estimator, X = case.trained, np.asarray(case.X, dtype=np.float64)
    if _declares(estimator, "padding_independent"):
        further = np.concatenate([X, np.full((*X.shape[:2], 17), np.nan)], axis=2)
        close(case.embedded(estimator, further), case.embedded(estimator), "padding further must change no embedding")


def any_length(case: Case) -> None:
    """A fitted model embeds shorter and longer series than it was trained on."""
    estimator, X = case.trained, np.asarray(case.X, dtype=np.float64)
    if not _declares(estimator, "padding_independent"):
        return
    for Y in (X[:, :, : max(1, X.shape[2] // 3)], X[:, :, :1], np.concatenate([X, X, X], axis=2)):
        finite(case.embedded(estimator, Y), case.n, f"series of {Y.shape[2]} steps, trained on {X.shape[2]}")


def sides(case: Case) -> None:
    """What a sample has on one side is embedded alike whatever it has on the other, and missing sides are legal."""
    estimator = case.trained
    lacking = np.arange(case.n) % 3 == 0
    for name, other in (case.X.names, case.X.names[::-1]):
        whole, less = case.X, case.X.without(other, lacking)
        own = [np.asarray(estimator.transform(X, side=name)) for X in (whole, less)]
        close(own[1], own[0], f"the side {name!r} must be embedded alike where the other one is missing")
        finite(case.embedded(estimator, less), case.n, f"samples without the side {other!r}")
        finite(case.embedded(case.fitted(less)), case.n, f"training samples without the side {other!r}")


def projections(case: Case) -> None:
    """Each side has unit vectors where there is a common space; what a sample lacks has none, and no match."""
    lacking = np.arange(case.n) % 3 == 0
    for name in case.X.names:
        less = case.X.without(name, lacking)
        said = case.trained.match(less, case.X, side=name)
        assert np.array_equal(np.isnan(said).any(axis=1), lacking), "what a sample lacks has no match"
        if not case.trained.projects:
            continue
        projected = case.trained.project(less, name)
        assert np.array_equal(np.isnan(projected).any(axis=1), lacking), "what a sample lacks has no projection"
        close(np.linalg.norm(projected[~lacking], axis=1), np.ones((~lacking).sum()), "projections must have length 1")


def pairs_matter(case: Case) -> None:
    """Training on true pairs brings the sides of a sample nearer to each other than training on shuffled ones."""
    first, second = case.X.names
    plain = {name: values_of(case.X, name) for name in case.X.names}  # without names, so that they go by position
    shuffled = PairedData({first: plain[first], second: _rolled(plain[second], 7)})
    ranks = []
    for X in (case.X, shuffled):
        estimator = case.fitted(X, max_steps=600, max_epochs=1000, lr=3e-3)  # published: for millions of pairs
        said = np.stack([estimator.match(case.X, case.X, side=name) for name in (first, second)])
        ranks.append(float(np.diagonal(rankdata(said, axis=2), axis1=1, axis2=2).mean()))
    assert ranks[0] > ranks[1] + case.n / 10, (
        f"the partner of a sample stands at rank {ranks[0]:.1f} of {case.n} after training on pairs, and at "
        f"{ranks[1]:.1f} after training on shuffled ones (chance {(case.n + 1) / 2:.1f})"
    )


def _rolled(X: Any, by: int) -> Any:
    order = np.roll(np.arange(len(X)), by)
    return rows_of(X, order).reset_index(drop=True) if hasattr(X, "columns") else rows_of(X, order)


def _declares(estimator: Any, flag: str) -> bool:
    """Whether no part of the network says that it is excused by its paper's definition."""
    method = getattr(estimator, "method_", None)
    return method is None or all(getattr(module, flag, True) for module in method.modules())
