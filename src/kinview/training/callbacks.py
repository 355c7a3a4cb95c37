"""Callbacks of the training loop."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from kinview.progress import progress_bar
from kinview.registry import Registry

if TYPE_CHECKING:
    from kinview.training.method import Method
    from kinview.training.watched import WatchedSamples

__all__ = ["Callback", "JSONLines", "TrainingState", "callbacks"]

callbacks = Registry("callbacks", members=("kinview.diagnostics.online",))


@dataclasses.dataclass
class TrainingState:
    """Where a training stands; what a callback gets and what a checkpoint keeps.

    ``position`` counts the rows of the present epoch that were used; ``best`` is the best validation loss so far and
    ``waited`` the validations since; ``history`` holds one record a step, ``validation`` one a validation. What a
    callback measures stands in the records of the steps at which it was measured.
    """

    step: int = 0
    epoch: int = 0
    position: int = 0
    best: float | None = None
    waited: int = 0
    stopped: bool = False
    history: list[dict[str, float]] = dataclasses.field(default_factory=list)
    validation: list[dict[str, float]] = dataclasses.field(default_factory=list)


class Callback:
    """Hooks of the training loop; a subclass overrides what it needs.

    A callback must not change weights or draw random numbers from the global generators: training would no longer be
    resumable bit by bit.

    Attributes
    ----------
    measures : bool
        Whether it writes into the last record of the history; it is then called before those that do not.
    needs_labels : bool
        Whether it needs a label of each sample: those of ``fit(X, y)`` are then handed to it, and not to the method.
    """

    measures: bool = False
    needs_labels: bool = False

    def on_samples(self, samples: WatchedSamples) -> None:
        """Called first, with what the training rests on; see :class:`~kinview.training.WatchedSamples`."""

    def on_train_begin(self, state: TrainingState, method: Method) -> None:
        """Called before the first step of this call (a resumed one included)."""

    def on_step_end(self, state: TrainingState, method: Method) -> None:
        """Called after every optimiser step."""

    def on_validation_end(self, state: TrainingState, method: Method) -> None:
        """Called after every validation."""

    def on_train_end(self, state: TrainingState, method: Method) -> None:
        """Called after the last step, with the averaged or best weights in place."""

    def close(self) -> None:
        """Called at the very end, also after an error: let go of samples and files."""


@callbacks.register("json_lines")
class JSONLines(Callback):
    """Append one JSON object a step to a file, for plotting and for trackers that read files.

    Parameters
    ----------
    path : str
        File to append to; its folder must exist.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def on_step_end(self, state: TrainingState, method: Method) -> None:
        """Write the last record."""
        import json
        from pathlib import Path

        with Path(self.path).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"step": state.step, "epoch": state.epoch, **state.history[-1]}) + "\n")


class ProgressBar(Callback):
    """One line with the step, the speed and the loss, in a terminal or a notebook; silent elsewhere."""

    def __init__(self, total: int | None, description: str) -> None:
        self.total = total
        self.description = description
        self._bar: Any = None

    def on_train_begin(self, state: TrainingState, method: Method) -> None:
        """Open the bar."""
        self._bar = progress_bar(total=self.total, initial=state.step, desc=self.description, unit="step", leave=False)

    def on_step_end(self, state: TrainingState, method: Method) -> None:
        """Advance by one step."""
        if self._bar is not None:
            self._bar.update(1)
            self._bar.set_postfix(loss=f"{state.history[-1]['loss']:.4f}", refresh=False)

    def on_train_end(self, state: TrainingState, method: Method) -> None:
        """Close the bar."""
        self.close()

    def close(self) -> None:
        """Close the bar, also where training was stopped."""
        if self._bar is not None:
            self._bar.close()
