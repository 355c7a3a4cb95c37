"""Checks of a method's part in the training loop: what validation leaves alone, what is frozen, what thaws."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from kinview.data.batch import Batch
from kinview.testing._method_case import TOLERANCE, Case, fit_views_of, rows_of
from kinview.training.callbacks import Callback, TrainingState
from kinview.training.gradient_cache import GradientCache
from kinview.training.method import Method
from kinview.training.randomness import forked_generators
from kinview.training.trainer import Trainer

__all__ = ["RUNNING_STATISTICS", "views_seen"]

RUNNING_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
_COURSE = (0.0, 0.25, 0.5, 0.75, 1.0)
_CHUNK = 7  # rows, which do not divide those of a case
# a training in which each step moves every parameter that has a gradient
_EVERY_STEP = {"scheduler": "constant", "warmup_steps": 0, "averaging": "none", "validation_fraction": 0.0}


@contextmanager
def views_seen(method: type[Method]) -> Iterator[list[Batch]]:
    """The batches of which methods of a class are asked for views, as they are asked."""
    seen: list[Batch] = []
    make = method.views

    def views(self: Method, batch: Batch, generator: torch.Generator, progress: float) -> list[Batch]:
        seen.append(batch)
        return make(self, batch, generator, progress)

    with mock.patch.object(method, "views", views):
        yield seen


# --- validation ------------------------------------------------------------------------------------------------------


def validation_changes_nothing(case: Case) -> None:
    """In eval mode the loss changes no tensor, in train mode running statistics alone; held-out rows leave no trace."""
    method, views = _before_first_step(case)
    with torch.no_grad():
        changed = _changed_by_loss(method.eval(), views)
    assert not changed, (
        f"in eval mode loss() changes {', '.join(changed)}: write these in after_step, from what loss carried"
    )
    statistics = {
        f"{name}.{buffer}" if name else buffer
        for name, module in method.named_modules()
        for buffer in RUNNING_STATISTICS
        if hasattr(module, "running_mean")
    }
    changed = [name for name in _changed_by_loss(method.train(), views) if name not in statistics]
    assert not changed, (
        f"in train mode loss() changes {', '.join(changed)}, beside the running statistics of normalisation layers: "
        "write these in after_step, from what loss carried"
    )
    ends = [_trained_beside(case, held_out_rows_are_others) for held_out_rows_are_others in (False, True)]
    traces = [name for name, value in ends[0].items() if not torch.equal(value, ends[1][name])]
    assert not traces, f"with other held-out rows training leaves other {', '.join(traces)}"


def _before_first_step(case: Case) -> tuple[Method, list[Batch]]:
    """A method as its training begins, and views of the training rows."""
    estimator = case.build(max_steps=2).initialise(case.X)
    method = copy.deepcopy(estimator.method_)
    generator = torch.Generator().manual_seed(7)
    rows = case.training_rows(estimator)
    with forked_generators(7, torch.device("cpu")):
        fit_views_of(estimator, method, rows, generator)
        method.train()
        method.before_step(0.0)
        return method, method.views(rows, generator, 0.0)


def _changed_by_loss(method: Method, views: list[Batch]) -> list[str]:
    before = {name: value.detach().clone() for name, value in _tensors(method).items()}
    with forked_generators(7, torch.device("cpu")):
        method.loss(views)
    after = _tensors(method)
    return sorted(
        name for name in before.keys() | after.keys() if name not in after or not _same(before.get(name), after[name])
    )


def _tensors(method: nn.Module) -> dict[str, Tensor]:
    """All parameters and buffers, those that a checkpoint leaves out too."""
    return {**dict(method.named_parameters()), **dict(method.named_buffers())}


def _same(one: Tensor | None, other: Tensor) -> bool:
    return one is not None and one.shape == other.shape and bool(torch.equal(one, other))


def _trained_beside(case: Case, others: bool) -> dict[str, Tensor]:
    """State after the last step of two epochs; with others, what is held out is not that but training rows again."""
    fit = Trainer.fit
    held_out: list[Batch] = []

    def fit_beside(self: Trainer, method: Method, train: Batch, **how: Any) -> TrainingState:
        if how["validation"] is not None:
            held_out.append(how["validation"])
            if others:
                how["validation"] = train.rows(torch.arange(len(how["validation"])) % len(train))
        return fit(self, method, train, **how)

    watch = _Watch()
    with mock.patch.object(Trainer, "fit", fit_beside):
        batch = max(2, case.n // 4)
        case.fitted(
            max_epochs=2, max_steps=6, batch_size=batch, validation_fraction=0.25, patience=None, callbacks=[watch]
        )
    assert held_out, f"validation_fraction=0.25 of {case.n} samples holds none of them out"
    return watch.state


class _Watch(Callback):
    """Keeps what can be seen of a method after each step."""

    def __init__(self) -> None:
        self.first: dict[str, Tensor] = {}
        self.state: dict[str, Tensor] = {}
        self.moved: set[str] = set()
        self.awake: set[str] = set()

    def on_train_begin(self, state: TrainingState, method: Method) -> None:
        self.first = {name: value.detach().clone() for name, value in method.named_parameters()}

    def on_step_end(self, state: TrainingState, method: Method) -> None:
        self.state = {name: value.clone() for name, value in method.state_dict().items()}
        self.moved |= {
            name for name, p in method.named_parameters() if p.grad is not None and bool(p.grad.count_nonzero())
        }
        self.awake |= set(_frozen_in_train_mode(method))


# --- freezing and thawing --------------------------------------------------------------------------------------------


def thawed_parameters_train(case: Case) -> None:
    """What requires a gradient at any time is in the first parameter groups, and what gets one changes."""
    method = copy.deepcopy(case.build(max_steps=2).initialise(case.X).method_)
    grouped = {id(parameter) for group in method.parameter_groups() for parameter in group["params"]}
    method.train()
    for progress in _COURSE:
        method.before_step(progress)
        left_out = [name for name, p in method.named_parameters() if p.requires_grad and id(p) not in grouped]
        assert not left_out, (
            f"at progress {progress} these parameters require a gradient, and parameter_groups(), which is called once "
            f"before the first step, has them not: {', '.join(left_out)}"
        )
    watch = _Watch()
    case.fitted(max_steps=4, callbacks=[watch], **_EVERY_STEP)
    kept = [name for name in sorted(watch.moved) if torch.equal(watch.first[name], watch.state[name])]
    assert not kept, f"these parameters get a gradient and never change: {', '.join(kept)}"


def frozen_parts_in_eval_mode(case: Case) -> None:
    """A part whose parameters are all frozen is in eval mode at every time, and its statistics stay as they are."""
    method, views = _before_first_step(case)
    for progress in _COURSE:
        method.train()
        method.before_step(progress)
        _check_asleep(_frozen_in_train_mode(method), f"after train() and before_step({progress})")
        parts = [name for name, part in method.named_modules() if _is_frozen(part)]
        changed = [
            name for name in _changed_by_loss(method, views) if any(name.startswith(f"{part}.") for part in parts)
        ]
        assert not changed, f"the loss changes {', '.join(changed)} of frozen parts"
    watch = _Watch()
    case.fitted(max_steps=3, validation_fraction=0.25, batch_size=max(2, case.n // 2), callbacks=[watch])
    _check_asleep(sorted(watch.awake), "in training")


def _check_asleep(awake: list[str], when: str) -> None:
    assert not awake, (
        f"{when} these parts, whose parameters are all frozen, are in train mode: {', '.join(awake)}; "
        "Method.train() sees to this, and before_step() calls it where it freezes or thaws"
    )


def _frozen_in_train_mode(method: nn.Module) -> list[str]:
    return [
        name or type(method).__name__
        for name, part in method.named_modules()
        if _is_frozen(part) and any(module.training for module in part.modules())
    ]


def _is_frozen(part: nn.Module) -> bool:
    parameters = list(part.parameters())
    return bool(parameters) and not any(parameter.requires_grad for parameter in parameters)


# --- chunks ----------------------------------------------------------------------------------------------------------


def chunks(case: Case) -> None:
    """With ``chunk_size`` a step has the gradient of the whole batch, or it is refused by that name."""
    refusal = _refusal_of_chunks(case)
    method, views = _before_first_step(case)
    try:
        GradientCache(method, views, _CHUNK)
    except ValueError:
        assert refusal, "its loss cannot be divided into chunks, and fit takes chunk_size without a word"
        return
    if not refusal:  # with dropout and all
        _check_gradients(method.train(), views, len(views[0]), "in one chunk")
    method.eval()  # statistics of a batch, for which training is refused, and dropout are not those of a chunk
    if all(getattr(part, "row_independent", True) for part in method.modules()):
        _check_gradients(method, views, _CHUNK, f"in chunks of {_CHUNK} rows")


def _refusal_of_chunks(case: Case) -> str | None:
    """What fit says against chunks; None where it trains."""
    try:
        case.fitted(rows_of(case.X, slice(0, 2 * _CHUNK)), max_steps=1, chunk_size=_CHUNK)
    except ValueError as error:
        assert "chunk_size" in str(error), f"fit with chunk_size={_CHUNK} must be refused by that name: {error}"
        return str(error)
    return None


def _check_gradients(method: Method, views: list[Batch], chunk_size: int, how: str) -> None:
    (whole, expected), (divided, found) = (_gradients(method, views, size) for size in (None, chunk_size))
    largest = max([1.0, *(float(value.abs().max()) for value in expected.values())])
    assert abs(whole - divided) <= TOLERANCE * max(1.0, abs(whole)), f"{how} the loss is {divided}, and {whole} at once"
    for name in expected.keys() | found.keys():
        one, other = expected.get(name), found.get(name)
        assert one is not None and other is not None, f"{how} other weights get a gradient: {name}"
        difference = float((one - other).abs().max())
        assert difference <= TOLERANCE * largest, (
            f"{how} the gradient of {name} differs by {difference:.2g} from that of the whole batch: "
            "representations() must make of each row what it makes of it alone"
        )


def _gradients(method: Method, views: list[Batch], chunk_size: int | None) -> tuple[float, dict[str, Tensor]]:
    """Loss and gradients of the views, at once or in chunks, always with the same random numbers."""
    method = copy.deepcopy(method)
    cache = None if chunk_size is None else GradientCache(method, views, chunk_size)
    with forked_generators(7, torch.device("cpu")):
        loss = (method.loss(views) if cache is None else cache.loss()).loss
        if loss.requires_grad:
            torch.autograd.backward(loss)
        if cache is not None:
            cache.replay()
    gradients = {name: p.grad for name, p in method.named_parameters() if p.grad is not None}
    return float(loss.detach()), gradients
