"""Run a benchmark: chains of cells side by side, every result stored the moment it exists."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kinview.evaluation.benchmark.batches import larger_batches
from kinview.evaluation.benchmark.data import described
from kinview.evaluation.benchmark.entries import shown_names, with_drawn_splits
from kinview.evaluation.benchmark.plan import Benchmark
from kinview.evaluation.benchmark.shards import Shard, kept_failures, to_do
from kinview.evaluation.benchmark.work import Outcome, Task, compute_here
from kinview.evaluation.claims import Watch, drop_dead_claims
from kinview.evaluation.store import Store
from kinview.printable import printable
from kinview.progress import progress_bar

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["run"]

_POLL_SECONDS = 0.5  # between two looks at what other processes hold

Computer = Callable[[Sequence[Task]], Iterable[Outcome]]


def run(
    benchmark: Benchmark,
    store: Store | str,
    *,
    cache_dir: str | os.PathLike[str],
    progress: bool = True,
    workers: int | None = None,
    shard: str | None = None,
    retry_failed: bool = False,
    dask: str | None = None,
) -> pd.DataFrame:
    """Compute the cells of a benchmark that the store lacks, and return them all.

    Work goes out in chains: the cells that rest on one fitted model. A worker claims a chain in the store and
    writes each result there as soon as it has it. So a run that was killed continues where it stopped, and several
    runs on one store, on one machine or many, compute nothing twice. The numbers do not depend on ``workers``,
    ``shard`` or ``dask``, nor on the joblib backend that ``joblib.parallel_config`` chooses.

    Parameters
    ----------
    benchmark : Benchmark
        What to run.
    store : Store or str
        Where the results go; a string is the URL.
    cache_dir : path
        Folder for fitted models and embeddings; what is there is used. It may be deleted between runs.
    progress : bool
        Show a bar over the cells (a line per tenth where stderr is not a terminal).
    workers : int, optional
        Processes side by side; default ``benchmark.workers``.
    shard : str, optional
        Compute one part of the grid, ``"3/16"`` the third of sixteen. Cells that share a fitted model are in one part.
    retry_failed : bool, default False
        Try cells again that the store holds as failed; otherwise they stay as they are.
    dask : str, optional
        Run on a Dask cluster: ``"local"`` for one of ``workers`` processes on this machine, or the address of a
        scheduler, ``"tcp://host:8786"``. Its workers reach the store and ``cache_dir`` by the same names. Needs
        kinview[dask].

    Returns
    -------
    DataFrame
        One row a cell, as :meth:`Store.frame`; failed cells have the status ``"failed"`` and a ``message``. With
        ``shard`` all that the store holds of the benchmark.

    Raises
    ------
    ValueError
        If the benchmark cannot be planned (see :meth:`Benchmark.cells`), the shard is none, the backend runs chains in
        threads, or the cluster cannot be used.
    ModuleNotFoundError
        If Dask is asked for and not installed.
    """
    results = store if isinstance(store, Store) else Store(store)
    part = None if shard is None else Shard.of_text(shard)
    cache = Path(cache_dir).absolute()
    cache.mkdir(parents=True, exist_ok=True)
    cells = benchmark.cells()
    keys = [cell.key for cell in cells]
    known_as = with_drawn_splits(shown_names(benchmark, cells), cells, benchmark.data_dir)
    results.plan(benchmark.name, keys, shown=known_as)
    drop_dead_claims(results)
    todo = to_do(cells, results.states(keys), benchmark.data_dir, shard=part, retry_failed=retry_failed)
    shared = (todo.failed, benchmark.name, benchmark.data_dir, cache, results)
    tasks = [Task(chain[0].pretrain_key, chain, *shared) for chain in todo.chains]
    total = len(todo.cells)
    notes = [*(described(benchmark) if progress else ()), *(f"not in the grid: {x}" for x in benchmark.left_out(cells))]
    notes += larger_batches(benchmark, cells)
    if part is not None:
        notes.append(f"shard {part.number}/{part.of}: {total} of {len(cells)} cells")
    if todo.kept:
        notes.append(kept_failures(todo.kept))
    known = total - sum(map(len, todo.chains))
    with (
        _Progress(benchmark.name, total, known, notes, enabled=progress) as shown,
        _computer(dask, workers or benchmark.workers) as computer,
    ):
        for outcome in _outcomes(tasks, results, computer):
            shown.advance(outcome)
    return results.frame(benchmark=benchmark.name)


def _outcomes(tasks: Sequence[Task], store: Store, computer: Computer) -> Iterator[Outcome]:
    """Outcomes of all tasks; those that another run holds are asked for again, until it is done with them or dead."""
    left, watch = {task.key: task for task in tasks}, Watch(store)
    while left:
        free = watch.free(left)
        if not free:
            time.sleep(_POLL_SECONDS)
        for outcome in computer([dataclasses.replace(left[key], stale=stale) for key, stale in free.items()]):
            if not outcome.held:
                del left[outcome.key]
                yield outcome


@contextlib.contextmanager
def _computer(dask: str | None, workers: int) -> Iterator[Computer]:
    """What computes tasks, in any order: processes of joblib, or a Dask cluster."""
    if dask is not None:
        from kinview.evaluation.benchmark.cluster import dask_computer

        with dask_computer(dask, workers) as computer:
            yield computer
        return
    from joblib import Parallel, delayed

    runner = (os.getpid(), threading.get_ident())
    parallel = Parallel(n_jobs=workers, return_as="generator_unordered", batch_size=1)
    with warnings.catch_warnings():
        # loky replaces a worker whose memory grew, between two chains, and says so; no work is lost
        warnings.filterwarnings("ignore", message="A worker stopped while some jobs")
        yield lambda tasks: parallel(delayed(compute_here)(task, runner) for task in tasks)


class _Progress:
    """A bar over the cells, or in a log a line per tenth. Says in the end where the time went."""

    def __init__(self, name: str, total: int, known: int, notes: Sequence[str] = (), *, enabled: bool) -> None:
        self._name, self._total, self._done, self._enabled = name, total, known, enabled
        self._counts: Counter[str] = Counter()
        self._seconds: Counter[str] = Counter()
        self._bar: Any = None
        for note in notes:
            self._say(note)
        if enabled:
            self._bar = progress_bar(total=total, initial=known, desc=name, unit="cell", dynamic_ncols=True)
        if self._bar is None:
            self._say(f"{total} cells, {known} of them in the store")

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.close()
        if self._counts:
            counts = ", ".join(f"{n} {status}" for status, n in self._counts.items())
            spent = ", ".join(f"{step} {seconds:.1f}" for step, seconds in self._seconds.items())
            self._say(f"cells: {counts}; seconds of work: {spent or 'none'}")

    def advance(self, outcome: Outcome) -> None:
        """Count the cells of a chain."""
        before, self._done = self._done, self._done + outcome.cells.total()
        self._counts.update(outcome.cells)
        self._seconds.update(outcome.seconds)
        if self._bar is not None:
            self._bar.update(self._done - before)
            if self._counts["failed"]:
                self._bar.set_postfix(failed=self._counts["failed"])
        elif 10 * before // self._total < 10 * self._done // self._total:
            self._say(f"{self._done} of {self._total} cells")

    def _say(self, text: str) -> None:
        if self._enabled:
            sys.stderr.write(printable(f"{self._name}: {text}\n"))
            sys.stderr.flush()
