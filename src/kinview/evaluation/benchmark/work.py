"""What a worker does: claim a chain of cells, compute what the store lacks of it, write each result at once."""

from __future__ import annotations

import contextlib
import dataclasses
import multiprocessing
import os
import threading
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kinview.evaluation.benchmark.fingerprint import own_version
from kinview.evaluation.benchmark.grid import Cell
from kinview.evaluation.benchmark.spent import Spent
from kinview.evaluation.claims import Mark, claimed
from kinview.evaluation.store import Store

__all__ = ["Outcome", "Task", "compute", "compute_here"]

_PARENT_AT_IMPORT = os.getppid()
_WATCH_SECONDS = 0.5


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """A chain of cells to compute, with all that a worker needs.

    Parameters
    ----------
    key : str
        Content hash of the fitted model that the cells rest on: what is claimed.
    cells : sequence of Cell
        To compute.
    failed : mapping of str to int
        Of the cells that failed before and are to be tried again: how often they were computed until then.
    benchmark : str
        Its name.
    data_dir : str, optional
        For :func:`kinview.load`.
    cache : Path
        Folder of models and embeddings.
    store : Store
        Where the results go.
    stale : tuple, optional
        A claim that may be taken over.
    """

    key: str
    cells: Sequence[Cell]
    failed: Mapping[str, int]
    benchmark: str
    data_dir: str | None
    cache: Path
    store: Store
    stale: Mark | None = None


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Outcome of a chain: cells per status, and seconds per step; or that another process holds it."""

    key: str
    cells: Counter[str]
    seconds: dict[str, float]
    held: bool = False


def compute(task: Task) -> Outcome:
    """Compute a chain unless another process holds it; what is in the store by now is left as it is."""
    return _compute(task, runner=None)


def compute_here(task: Task, runner: tuple[int, int]) -> Outcome:
    """The same in a process that ends with the runner, given by the ids of its process and thread.

    Raises
    ------
    ValueError
        If this is a thread of the runner's process.
    """
    if runner[0] == os.getpid() and runner[1] != threading.get_ident():
        raise ValueError(
            "a benchmark cannot run in threads: training seeds torch's generators, which threads share; use the "
            "joblib backend 'loky' (the default) or another one with processes"
        )
    with _watched(runner[0]):
        return _compute(task, runner=runner[0])


def _compute(task: Task, runner: int | None) -> Outcome:
    from kinview.evaluation.benchmark.steps import run_chain

    store, counts = task.store, Counter[str]()
    with store.kept_open(), claimed(store, task.key, stale=task.stale) as claim, warnings.catch_warnings():
        if claim is None:
            return Outcome(task.key, counts, {}, held=True)
        there = store.states(cell.key for cell in task.cells)  # another run may have been here since this was planned
        todo = [cell for cell in task.cells if _is_open(cell.key, there, task.failed)]
        if len(todo) < len(task.cells):
            counts["known"] = len(task.cells) - len(todo)

        def report(cell: Cell, row: dict[str, Any]) -> None:
            if claim.lost:
                raise _Lost
            if runner is not None and _orphaned(runner):
                os._exit(1)
            installed = {**row["versions"], "kinview": own_version()}  # information: no part of the cell's key
            predictions = row.pop("predictions", None)
            store.add(cell.key, {**row, "versions": installed}, benchmark=task.benchmark, predictions=predictions)
            counts[row["status"]] += 1

        def note(kind: str, key: str, spent: Spent | None) -> None:
            of, made = todo[0], {} if spent is None else dataclasses.asdict(spent)
            store.note_step(key, kind=kind, dataset=of.dataset, method=of.method_label, **made)

        try:
            seconds = {}
            if todo:
                # the run has said it once
                warnings.filterwarnings("ignore", message=".* is larger than the .* training rows")
                seconds = run_chain(todo, data_dir=task.data_dir, cache=task.cache, report=report, note=note)
        except _Lost:  # this process was stopped, and another one has gone on with the chain
            return Outcome(task.key, Counter(), {}, held=True)
    return Outcome(task.key, counts, seconds)


class _Lost(Exception):
    """The claim on the chain is another process's."""


def _is_open(key: str, there: Mapping[str, tuple[str, int]], failed: Mapping[str, int]) -> bool:
    """Whether a cell is to be computed: it was not, or it failed as often as when it was to be tried again."""
    return key not in there or (there[key][0] == "failed" and failed.get(key) == there[key][1])


def _orphaned(runner: int) -> bool:
    """Whether the process that this worker serves is gone."""
    if os.getpid() == runner:
        return False
    is_loky = multiprocessing.current_process().name.startswith("LokyProcess")
    return os.getppid() != (runner if is_loky else _PARENT_AT_IMPORT)


@contextlib.contextmanager
def _watched(runner: int) -> Iterator[None]:
    """End this worker soon after its parent was killed: nobody waits for its work, and the next run would repeat it."""
    if os.getpid() == runner:
        yield
        return
    over = threading.Event()

    def watch() -> None:
        while not over.wait(_WATCH_SECONDS):
            if _orphaned(runner):
                os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        over.set()
