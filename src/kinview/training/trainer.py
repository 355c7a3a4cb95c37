"""The only training loop."""

from __future__ import annotations

import json
import math
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Literal

import torch
from sklearn.base import BaseEstimator
from torch import Tensor

from kinview.complete_configs import register_fields
from kinview.data.batch import Batch
from kinview.data.sources.rows import StreamedRows
from kinview.distributed import alone, from_first, is_distributed, is_first, number_of_processes, whole_batches
from kinview.old_pickles import FromPickle
from kinview.parameters import anything, choice, flag, parameterised, real, whole
from kinview.registry import changed_parameters
from kinview.training.averaging import WeightAverage
from kinview.training.callbacks import Callback, ProgressBar, TrainingState, callbacks
from kinview.training.checkpoint import CHECKPOINT_NAME, Running, load_checkpoint, save_checkpoint
from kinview.training.gradient_cache import GradientCache
from kinview.training.method import LossResult, Method
from kinview.training.processes import average_gradients, check_alike
from kinview.training.randomness import global_states
from kinview.training.rowwise import check_divisible
from kinview.training.settings import RUN_FIELDS, Settings, general_values, settings_of
from kinview.training.watched import WatchedSamples

__all__ = ["Trainer", "as_trainer"]


def _check_callbacks(value: Any, name: str) -> None:
    if isinstance(value, str | Mapping) or not isinstance(value, Sequence):
        raise ValueError(f"{name} must be a list, such as [probe, {{rank: {{every: 20}}}}]; got {value!r}")


@parameterised
class Trainer(FromPickle, BaseEstimator):  # type: ignore[misc]
    """How a method is trained; a field that is None takes the method's published value.

    Examples
    --------
    >>> trainer = Trainer(max_steps=50, lr=3e-4)
    >>> trainer
    Trainer(lr=0.0003, max_steps=50)
    >>> trainer.set_params(lr=1e-3).lr
    0.001
    """

    max_steps: int | None = whole(None, low=1, doc="Training ends after so many steps, or earlier at ``max_epochs``.")
    max_epochs: int | None = whole(None, low=1, doc="Training ends after so many epochs, or earlier at ``max_steps``.")
    batch_size: int | None = whole(
        None,
        low=1,
        doc="Rows a step; a training set smaller than this is one batch. A method that contrasts the rows of a batch "
        "with one another needs two or more (:attr:`~kinview.training.Method.min_rows`); a last batch of fewer "
        "is left out.",
    )
    lr: float | None = real(None, above=0, doc="Learning rate.")
    optimizer: Literal["adam", "adamw", "sgd"] | None = choice(
        None, ("adam", "adamw", "sgd"), fallback="adam", doc='"sgd" has momentum 0.9.'
    )
    weight_decay: float | None = real(None, low=0, fallback=0.0, doc="Weight decay.")
    scheduler: Literal["constant", "cosine"] | None = choice(
        None,
        ("constant", "cosine"),
        fallback="constant",
        doc='Course of the learning rate after the warm-up; "cosine" needs ``max_steps`` or ``max_epochs`` and ends at '
        "0.",
    )
    warmup_steps: int | None = whole(None, low=0, fallback=0, doc="Steps over which the learning rate rises linearly.")
    gradient_clip: float | None = real(None, above=0, doc="Largest norm of the whole gradient; unlimited by default.")
    averaging: Literal["none", "swa", "ema"] | None = choice(
        None,
        ("none", "swa", "ema"),
        fallback="none",
        doc="Average of the weights that replaces them at the end; see :class:`kinview.training.WeightAverage`.",
    )
    drop_last: bool | None = flag(
        None, fallback=False, doc="Leave out an epoch's last batch if it is smaller than the others."
    )
    validation_fraction: float | None = real(
        None,
        low=0,
        below=1,
        fallback=0.0,
        doc="Fraction of the training rows held out for early stopping, by group where groups are known; 0 for none.",
    )
    validation_passes: int | None = whole(
        None,
        low=1,
        fallback=1,
        doc="How many times the held-out rows are viewed when the static validation views are drawn, once, before "
        "training.",
    )
    patience: int | None = whole(
        None,
        low=1,
        doc="Validations without a better loss after which training stops; the best weights are kept.",
    )
    precision: Literal["float32", "bfloat16", "float16"] | None = choice(
        None,
        ("float32", "bfloat16", "float16"),
        fallback="float32",
        doc='Arithmetic under autocast; "float16" needs a CUDA device.',
    )
    device: str | None = anything(
        None, "str", fallback="cpu", doc='"cpu", "cuda", "mps" or "auto" (the fastest there is; the default is "cpu").'
    )
    callbacks: Sequence[Any] | None = anything(
        None,
        "list",
        check=_check_callbacks,
        doc=":class:`~kinview.training.Callback` objects or specs of registered ones, such as ``[probe, {rank: {every: "
        "20}}]``.",
    )
    checkpoint_dir: str | None = anything(None, "str", doc="Folder of the checkpoint; without it none is written.")
    checkpoint_every: int | None = whole(None, low=1, fallback=100, doc="Steps between checkpoints, 100 by default.")
    resume: Literal["auto", "never"] | None = choice(
        None,
        ("auto", "never"),
        fallback="auto",
        doc='"auto" (default) continues a checkpoint found in ``checkpoint_dir``; "never" starts anew and overwrites '
        "it.",
    )
    progress: bool | None = flag(None, fallback=True, doc="Show a progress bar (only on a terminal); True by default.")
    chunk_size: int | None = whole(
        None,
        low=1,
        doc="Rows of a batch that go through the network at once; all by default. The gradient stays that of the whole "
        "batch (gradient caching), for the memory of a chunk and one more pass through the network. For methods whose "
        "loss is one of representations of single rows (:class:`kinview.training.RowwiseMethod`), and encoders without "
        "batch normalisation; others are refused.",
    )

    def merged(self, defaults: dict[str, Any]) -> Trainer:
        """Copy with all effective values: a method's, or the general ones, where this trainer has None."""
        given = {name: value for name, value in self.get_params(deep=False).items() if value is not None}
        return Trainer(**{**general_values(self), **defaults, **given})

    def hooks(self) -> list[Callback]:
        """The callbacks, built."""
        return [callbacks.build(spec) for spec in self.callbacks or []]

    def to_config(self) -> dict[str, Any]:
        """The fields that are given, in plain data; an estimator takes them as its ``trainer``."""
        return changed_parameters(self)

    def fit(
        self,
        method: Method,
        train: Batch | StreamedRows,
        *,
        generator: torch.Generator,
        validation: Batch | None = None,
        identity: dict[str, Any] | None = None,
        description: str = "training",
        watched: WatchedSamples | None = None,
    ) -> TrainingState:
        """Train a method in place.

        Call it inside :func:`~kinview.training.randomness.forked_generators`, which the estimators do. In a process
        group all processes call it, each with all rows; they share the work of a batch, and the first of them calls the
        callbacks and writes the checkpoint.

        Parameters
        ----------
        method : Method
            Its weights are changed, and replaced by their average or their best where that is asked for.
        train : Batch or StreamedRows
            Training rows, on the CPU; or rows that are read when a step needs them. These are drawn in the order of
            :meth:`StreamedRows.permutation <kinview.data.sources.rows.StreamedRows.permutation>`, and ``watched`` has
            to be given.
        generator : torch.Generator
            Source of the permutations and views, on the CPU.
        validation : Batch, optional
            Rows for early stopping.
        identity : dict, optional
            What the training is (data fingerprint, method config), for checkpoints.
        description : str
            Label of the progress bar.
        watched : WatchedSamples, optional
            What callbacks may look at; the rows themselves by default.

        Returns
        -------
        TrainingState
            Steps, epochs and the history of the losses.

        Raises
        ------
        ValueError
            For a parameter out of range, fewer rows than a step of the method needs, or a checkpoint of another
            training; among several processes for a method whose rows cannot be divided, and where these have different
            rows, weights or settings.
        FloatingPointError
            If the loss, the gradient or a weight is not finite; the step is named, and no checkpoint holds it.
        KeyboardInterrupt
            After Ctrl-C, when the present step is whole and the checkpoint written.
        """
        settings = settings_of(self)
        _check_rows(method, settings, len(train))
        if watched is None:
            if not isinstance(train, Batch):
                raise ValueError("give watched, the samples that callbacks may look at: the rows are read as needed")
            watched = WatchedSamples.of(train, validation)
        hooks: list[Callback] = sorted(self.hooks(), key=lambda hook: not hook.measures) if is_first() else []
        with whole_batches() if is_distributed() else nullcontext():
            loop = _Loop(settings, method, train, generator, identity or {}, hooks)
            loop.validation_views = loop.static_views(validation) if validation is not None else []
            loop.resume()
            if settings.progress and is_first():
                hooks.append(ProgressBar(loop.total, description))
            try:
                with alone():
                    for hook in hooks:
                        hook.on_samples(watched)
                return loop.run()
            finally:
                for hook in hooks:
                    hook.close()


def as_trainer(trainer: Any) -> Trainer:
    """A trainer from an estimator's ``trainer`` parameter: None, a mapping of fields, or a Trainer.

    Raises
    ------
    ValueError
        For an unknown field or another type.
    """
    if trainer is None:
        return Trainer()
    if isinstance(trainer, Trainer):
        return trainer
    if isinstance(trainer, Mapping):
        unknown = set(trainer) - set(Trainer().get_params(deep=False))
        if unknown:
            raise ValueError(
                f"trainer has no field {', '.join(map(repr, sorted(unknown)))}; "
                f"it has {', '.join(sorted(Trainer().get_params(deep=False)))}"
            )
        return Trainer(**trainer)
    raise ValueError(f"trainer must be None, a mapping of Trainer fields, or a Trainer; got {trainer!r}")


def _check_rows(method: Method, settings: Settings, rows: int) -> None:
    """Refuse batches, or a training set, of fewer rows than a step needs."""
    reason = f"{type(method).__name__} contrasts the rows of a batch with one another"
    if settings.batch_size < method.min_rows:
        raise ValueError(
            f"Trainer(batch_size={settings.batch_size}) is too small: {reason}; give "
            f"batch_size={method.min_rows} or more"
        )
    if rows < method.min_rows:
        raise ValueError(f"{reason}, and there are {rows} training rows; give {method.min_rows} or more")


def _to_compare(train: Batch | StreamedRows) -> list[Tensor | None]:
    """Tensors that say whether processes have the same rows; of rows that are read as needed the first and the last."""
    ends = train if isinstance(train, Batch) else train.rows(torch.tensor([0, len(train) - 1]))
    return [torch.tensor(len(train)), *ends.tensors()]


def _shuffled(train: Batch | StreamedRows, generator: torch.Generator) -> Tensor:
    """Order of the rows in an epoch; a checkpoint holds it, so that a training continues at the same place."""
    if isinstance(train, StreamedRows):
        return train.permutation(generator)
    return torch.randperm(len(train), generator=generator)


register_fields("trainer", Trainer, without=RUN_FIELDS)


class _Loop:
    """One call of :meth:`Trainer.fit`."""

    def __init__(
        self,
        settings: Settings,
        method: Method,
        train: Batch | StreamedRows,
        generator: torch.Generator,
        identity: dict[str, Any],
        hooks: list[Callback],
    ) -> None:
        self.settings = settings
        self.train = train
        self.hooks = hooks
        self.divided = number_of_processes() > 1
        self.batch_size = min(settings.batch_size, len(train))
        self.least_rows = settings.least_rows(len(train), method.min_rows)
        self.total = settings.total_steps(len(train), method.min_rows)
        self.identity = {**identity, "trainer": settings.identity()}
        self.validation_views: list[list[Batch]] = []
        method.to(settings.device)
        self.running = Running(
            method=method,
            optimizer=settings.make_optimizer(method.parameter_groups()),
            scaler=torch.amp.GradScaler(settings.device.type, enabled=settings.precision == "float16"),
            average=WeightAverage(method, settings.averaging) if settings.averaging != "none" else None,
            generator=generator,
            device=settings.device,
            state=TrainingState(),
            permutation=_shuffled(train, generator),
        )
        self._base_lr = [group["lr"] for group in self.running.optimizer.param_groups]

    def resume(self) -> None:
        """Go on from a checkpoint where there is one; then all processes have to stand at the same place."""
        settings, running = self.settings, self.running
        path = None if settings.checkpoint_dir is None else Path(settings.checkpoint_dir) / CHECKPOINT_NAME
        found = path is not None and settings.resume == "auto" and path.exists()
        if self.divided:
            check_divisible(running.method)
            check_alike({
                "training rows": _to_compare(self.train),
                "settings": json.dumps([settings.identity(), settings.max_steps, settings.max_epochs], default=str),
                "weights": running.method.state_dict().values(),
                "random_state": [running.generator.get_state(), *global_states(running.device).values()],
                "checkpoints (checkpoint_dir has to lie where all of them read it)": str(found),
            })  # fmt: skip
        if path is not None and found:
            load_checkpoint(path, running, self.identity)

    def run(self) -> TrainingState:
        method = self.running.method
        self._tell(lambda hook: hook.on_train_begin)
        method.train()
        with _deferred_interrupt() as interrupted:
            while not self._finished():
                stop_together = self._step(interrupted)
                self._tell(lambda hook: hook.on_step_end)
                if self._epoch_is_over():
                    self._end_epoch()
                stop = stop_together if self.divided else interrupted()
                if stop or self._checkpoint_is_due():
                    self._save()
                if stop:
                    raise KeyboardInterrupt
        self._check_weights()
        self._save()  # before the weights are replaced: a longer training can continue from here
        self._settle()
        method.eval()
        self._tell(lambda hook: hook.on_train_end)
        return self.running.state

    def _tell(self, event: Callable[[Callback], Callable[[TrainingState, Method], None]]) -> None:
        """Call what one event of the callbacks calls; they know of no other process."""
        with alone():
            for hook in self.hooks:
                event(hook)(self.running.state, self.running.method)

    def static_views(self, validation: Batch) -> list[list[Batch]]:
        """Validation views, drawn once so that every epoch is judged on the same ones."""
        views = []
        for _ in range(self.settings.validation_passes):
            for rows in torch.split(torch.arange(len(validation)), self.batch_size):
                if len(rows) < self.running.method.min_rows:
                    continue
                batch = validation.rows(rows).to(self.settings.device)
                views.append(self.running.method.views(batch, self.running.generator, 0.0))
        return views

    def _step(self, interrupted: Callable[[], bool]) -> bool:
        """One step; of several processes, whether one of them was interrupted, which then all of them know."""
        running, state, settings = self.running, self.running.state, self.settings
        rows = running.permutation[state.position : state.position + self.batch_size]
        progress = state.step / self.total if self.total else 0.0
        batch = self.train.rows(rows).to(settings.device)
        for group, base in zip(running.optimizer.param_groups, self._base_lr, strict=True):
            group["lr"] = base * settings.lr_factor(state.step, self.total)
        running.method.before_step(progress)
        views = running.method.views(batch, running.generator, progress)
        cache = self._cache(views)
        try:
            loss, logs, carry = self._loss(views, cache)
            value = float(loss.detach())
        except FloatingPointError as error:  # a loss that looks at its input first
            raise self._diverged("not finite") from error
        if not math.isfinite(value):
            raise self._diverged(str(value))
        running.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(running.scaler.scale(loss))
        if cache is not None:
            cache.replay()
        stop = self.divided and average_gradients(self._parameters(), interrupted())
        running.scaler.unscale_(running.optimizer)
        self._check_and_clip_gradient()
        running.scaler.step(running.optimizer)
        running.scaler.update()
        state.step += 1
        carried = {name: tensor.detach() for name, tensor in carry.items()}
        running.method.after_step(state.step / self.total if self.total else 0.0, views, carried)
        if running.average is not None:
            running.average.update()
        state.position += len(rows)
        state.history.append({"loss": value, **logs})
        return stop

    def _cache(self, views: list[Batch]) -> GradientCache | None:
        """What goes through the network in chunks; None where the batch goes as a whole."""
        size = self.settings.chunk_size
        return None if size is None else GradientCache(self.running.method, views, size, self._autocast)

    def _loss(self, views: list[Batch], cache: GradientCache | None) -> LossResult:
        if cache is not None:
            return cache.loss()
        with self._autocast():
            return self.running.method.loss(views)

    def _diverged(self, value: str) -> FloatingPointError:
        return FloatingPointError(
            f"the loss is {value} at step {self.running.state.step + 1}: lower the learning rate "
            f"(lr={self.settings.lr}), clip the gradient (gradient_clip=1.0), or look for extreme values in the data"
        )

    def _check_and_clip_gradient(self) -> None:
        parameters = self._parameters()
        norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        if not bool(torch.isfinite(norm)) and not self.running.scaler.is_enabled():  # a scaler skips such a step itself
            raise FloatingPointError(
                f"the gradient is not finite at step {self.running.state.step + 1}: lower the learning rate "
                f"(lr={self.settings.lr}), or look for extreme values in the data"
            )
        limit = self.settings.gradient_clip
        if limit is not None:
            torch.nn.utils.clip_grads_with_norm_(parameters, limit, norm)

    def _parameters(self) -> list[torch.nn.Parameter]:
        return [p for group in self.running.optimizer.param_groups for p in group["params"]]

    def _epoch_is_over(self) -> bool:
        return len(self.train) - self.running.state.position < self.least_rows

    def _end_epoch(self) -> None:
        running, state = self.running, self.running.state
        state.epoch += 1
        state.position = 0
        if self.validation_views:
            self._validate()
            self._tell(lambda hook: hook.on_validation_end)
        running.permutation = _shuffled(self.train, running.generator)

    @torch.no_grad()
    def _validate(self) -> None:
        running, state = self.running, self.running.state
        running.method.eval()
        losses, rows = 0.0, 0
        for views in self.validation_views:
            losses += float(self._loss(views, self._cache(views)).loss) * len(views[0])
            rows += len(views[0])
        running.method.train()
        loss = from_first(losses / rows)  # all processes stop, or keep these weights, together
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"the validation loss is {loss} after step {state.step}: lower the learning rate "
                f"(lr={self.settings.lr}), or look for extreme values in the data"
            )
        state.validation.append({"epoch": float(state.epoch), "loss": loss})
        if state.best is None or loss < state.best:
            state.best, state.waited = loss, 0
            running.best_weights = {k: v.detach().clone() for k, v in running.method.state_dict().items()}
        else:
            state.waited += 1
            state.stopped = self.settings.patience is not None and state.waited >= self.settings.patience

    def _finished(self) -> bool:
        state, settings = self.running.state, self.settings
        return (
            state.stopped
            or (settings.max_steps is not None and state.step >= settings.max_steps)
            or (settings.max_epochs is not None and state.epoch >= settings.max_epochs)
        )

    def _checkpoint_is_due(self) -> bool:
        settings = self.settings
        return settings.checkpoint_dir is not None and self.running.state.step % settings.checkpoint_every == 0

    def _save(self) -> None:
        if self.settings.checkpoint_dir is not None:
            self._check_weights()
            if is_first():
                save_checkpoint(Path(self.settings.checkpoint_dir), self.running, self.identity)

    def _check_weights(self) -> None:
        if not all(bool(torch.isfinite(p).all()) for p in self.running.method.parameters()):
            raise FloatingPointError(
                f"the weights are not finite after step {self.running.state.step}: lower the learning rate "
                f"(lr={self.settings.lr})"
            )

    def _settle(self) -> None:
        """The weights that a finished training leaves: the best, the averaged, or the last."""
        running = self.running
        if running.best_weights:
            running.method.load_state_dict(running.best_weights)
        elif running.average is not None:
            running.average.copy_to(running.method)

    def _autocast(self) -> Any:
        if self.settings.precision == "float32":
            return nullcontext()
        return torch.autocast(self.settings.device.type, dtype=getattr(torch, self.settings.precision))


@contextmanager
def _deferred_interrupt() -> Iterator[Callable[[], bool]]:
    """Hold Ctrl-C back until a step is whole, so that a valid checkpoint can be written; a second one acts at once.

    A handler that the caller has set, or SIGINT ignored (a background job), stays as it is.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield lambda: False
        return
    pressed = 0

    def handle(number: int, frame: Any) -> None:
        nonlocal pressed
        pressed += 1
        if pressed > 1:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, handle)
    try:
        yield lambda: pressed > 0
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
