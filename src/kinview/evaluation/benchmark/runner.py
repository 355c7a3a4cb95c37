"""Run a benchmark: chains of cells side by side, every result stored the moment it exists."""

from __future__ import annotations

import contextlib
import dataclasses
import multiprocessing
import os
import sys
import threading
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from kinview.evaluation.benchmark.fingerprint import own_version
from kinview.evaluation.benchmark.grid import Cell
from kinview.evaluation.benchmark.plan import Benchmark
from kinview.evaluation.store import Store
from kinview.printable import printable

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["run"]

_PARENT_AT_IMPORT = os.getppid()
_WATCH_SECONDS = 0.5


def run(
    benchmark: Benchmark,
    store: Store | str,
    *,
    cache_dir: str | os.PathLike[str],
    progress: bool = True,
    workers: int | None = None,
) -> pd.DataFrame:
    """Compute the cells of a benchmark that the store lacks, and return them all.

    Work is shared out in chains: the cells that rest on one fitted model. A chain's worker writes each result into the
    store as soon as it has it, so a run that was killed continues where it stopped; failed cells are tried again. The
    numbers do not depend on ``workers``, nor on the joblib backend that ``joblib.parallel_config`` chooses.

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

    Returns
    -------
    DataFrame
        One row a cell, as :meth:`Store.frame`; failed cells have the status ``"failed"`` and a ``message``.

    Raises
    ------
    ValueError
        If the benchmark cannot be planned (see :meth:`Benchmark.cells`), or the backend runs chains in threads.
    """
    from joblib import Parallel, delayed

    results = store if isinstance(store, Store) else Store(store)
    cache = Path(cache_dir).absolute()
    cache.mkdir(parents=True, exist_ok=True)
    cells = benchmark.cells()
    keys = [cell.key for cell in cells]
    results.plan(benchmark.name, keys)
    known = results.known(keys)
    chains = _chains([cell for cell in cells if cell.key not in known], benchmark.data_dir)
    runner = (os.getpid(), threading.get_ident())
    parallel = Parallel(n_jobs=workers or benchmark.workers, return_as="generator_unordered", batch_size=1)
    work = (delayed(_work)(chain, benchmark.name, benchmark.data_dir, cache, results, runner) for chain in chains)
    notes = [f"not in the grid: {what}" for what in benchmark.left_out(cells)]
    with _Progress(benchmark.name, len(cells), len(known), notes, enabled=progress) as shown, warnings.catch_warnings():
        # loky replaces a worker whose memory grew, between two chains, and says so; no work is lost
        warnings.filterwarnings("ignore", message="A worker stopped while some jobs")
        for outcome in parallel(work):
            shown.advance(outcome)
    return results.frame(benchmark=benchmark.name)


def _chains(cells: Sequence[Cell], data_dir: str | None) -> list[list[Cell]]:
    """Cells by the fitted model they rest on, the longest work first so that no worker is left with it at the end."""
    from kinview.evaluation.benchmark.steps import load_dataset
    from kinview.methods import methods

    def cost(chain: list[Cell]) -> tuple[bool, int]:
        cell = chain[0]
        trains = methods.build(cell.method, for_modality=cell.modality).trains
        return trains, len(chain) * int(load_dataset(cell.dataset, data_dir, cell.dataset_options).X_train.size)

    chains: dict[str, list[Cell]] = {}
    for cell in cells:
        chains.setdefault(cell.pretrain_key, []).append(cell)
    return sorted(chains.values(), key=cost, reverse=True)


@dataclasses.dataclass(frozen=True)
class _Outcome:
    """Outcome of a chain: cells per status, and seconds per step."""

    cells: Counter[str]
    seconds: dict[str, float]


def _work(
    chain: list[Cell], benchmark: str, data_dir: str | None, cache: Path, store: Store, runner: tuple[int, int]
) -> _Outcome:
    """Compute one chain; runs in a worker process."""
    from kinview.evaluation.benchmark.steps import run_chain

    if runner[0] == os.getpid() and runner[1] != threading.get_ident():
        raise ValueError(
            "a benchmark cannot run in threads: training seeds torch's generators, which threads share; use the "
            "joblib backend 'loky' (the default) or another one with processes"
        )
    here = {cell.key for cell in chain}
    known = store.known(here)  # another run may have been here since this one was planned
    counts: Counter[str] = Counter({"known": len(known)} if known else {})

    def report(cell: Cell, row: dict[str, Any]) -> None:
        if _orphaned(runner[0]):
            os._exit(1)
        installed = {**row["versions"], "kinview": own_version()}  # information: no part of the cell's key
        predictions = row.pop("predictions", None)
        store.add(cell.key, {**row, "versions": installed}, benchmark=benchmark, predictions=predictions)
        counts[row["status"]] += 1

    with _watched(runner[0]), store.kept_open():
        todo = [cell for cell in chain if cell.key not in known]
        seconds = run_chain(todo, data_dir=data_dir, cache=cache, report=report) if todo else {}
    return _Outcome(counts, seconds)


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


class _Progress:
    """A bar over the cells; where stderr is not a terminal, a line per tenth. Says in the end where the time went."""

    def __init__(self, name: str, total: int, known: int, notes: Sequence[str] = (), *, enabled: bool) -> None:
        self._name, self._total, self._done, self._enabled = name, total, known, enabled
        self._counts: Counter[str] = Counter()
        self._seconds: Counter[str] = Counter()
        self._bar: Any = None
        for note in notes:
            self._say(note)
        if enabled and sys.stderr.isatty():
            self._bar = tqdm(total=total, initial=known, desc=name, unit="cell", dynamic_ncols=True)
        else:
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

    def advance(self, outcome: _Outcome) -> None:
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
