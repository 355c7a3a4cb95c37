"""What a run would compute, and about how long that would take by the timings in the store."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kinview.evaluation.benchmark.grid import Cell, part_label
from kinview.evaluation.benchmark.plan import Benchmark
from kinview.evaluation.benchmark.shards import Shard, kept_failures, to_do

if TYPE_CHECKING:
    import pandas as pd

    from kinview.evaluation.store import Store

__all__ = ["Forecast", "forecast"]

_KINDS = {"source": "source models", "pretrain": "models", "embed": "embeddings", "probe": "cells"}


@dataclasses.dataclass(frozen=True)
class Forecast:
    """Steps of a run by kind, and the work that they are.

    Kinds are ``"pretrain"``, ``"embed"``, ``"probe"`` (cells), and, where the benchmark pre-trains on other data sets,
    ``"source"``: the models that are fitted there.

    Parameters
    ----------
    total, left : mapping of str to int
        Number of steps, and of those that are to be computed.
    failed : int
        Cells that failed earlier and stay so.
    timed : mapping of str to int
        Of the steps to compute those of which the store holds timings.
    seconds : float
        Work of these, in one process.
    workers : int
        Processes side by side.
    """

    total: Mapping[str, int]
    left: Mapping[str, int]
    failed: int
    timed: Mapping[str, int]
    seconds: float
    workers: int

    def lines(self) -> list[str]:
        """The forecast in words."""
        done = [
            f"{_counted(self.total[kind], name)} ({self._open(kind)})"
            for kind, name in _KINDS.items()
            if kind in self.total
        ]
        lines = [", ".join(done)]
        if self.failed:
            lines.append(kept_failures(self.failed))
        left, timed = sum(self.left.values()), sum(self.timed.values())
        if left == 0:
            lines.append("nothing is left to compute")
        elif timed == 0:
            lines.append("no estimate of the time: the store holds no timings of such steps yet")
        else:
            about = f"{_duration(self.seconds)} of work, {_duration(self.seconds / self.workers)} with {self.workers} "
            about += "process" if self.workers == 1 else "processes"
            untimed = [
                f"{_counted(n, _KINDS[kind])}" for kind in self.left if (n := self.left[kind] - self.timed[kind])
            ]
            rest = f"; without {', '.join(untimed)}, of which the store holds no timings yet" if untimed else ""
            lines.append(f"about {about}, by the timings in the store{rest}")
        return lines

    def _open(self, kind: str) -> str:
        return "done" if self.left[kind] == 0 else f"{self.left[kind]} to compute"


def forecast(
    benchmark: Benchmark,
    store: Store | None,
    *,
    cache_dir: str | os.PathLike[str],
    workers: int | None = None,
    shard: str | None = None,
    retry_failed: bool = False,
) -> Forecast:
    """What :func:`kinview.evaluation.run` would compute with the same arguments; it computes and writes nothing.

    A step takes as long as the median of those with the same data set, method and probe that the store holds, else of
    those with the same method or probe.

    Parameters
    ----------
    benchmark : Benchmark
        What would be run.
    store : Store, optional
        The results so far; None where there are none.
    cache_dir, workers, shard, retry_failed
        As for :func:`kinview.evaluation.run`.

    Returns
    -------
    Forecast
        Numbers of steps and seconds.

    Examples
    --------
    >>> grid = Benchmark("small", ["iris"], ["raw"], probes=["knn", "svm"], controls="none", seeds=[0, 1])
    >>> forecast(grid, None, cache_dir="nowhere").lines()[0]
    '2 models (2 to compute), 4 embeddings (4 to compute), 4 cells (4 to compute)'
    """
    cells = benchmark.cells()
    states = {} if store is None else store.states(cell.key for cell in cells)
    part = None if shard is None else Shard.of_text(shard)
    todo = to_do(cells, states, benchmark.data_dir, shard=part, retry_failed=retry_failed)
    everything = _steps(todo.cells, Path(cache_dir))
    left = _steps([cell for chain in todo.chains for cell in chain], Path(cache_dir))
    timings = _Timings(store)
    seconds = {kind: [timings.of(kind, cell) for cell, done in steps if not done] for kind, steps in left.items()}
    return Forecast(
        total={kind: len(steps) for kind, steps in everything.items()},
        left={kind: len(found) for kind, found in seconds.items()},
        failed=todo.kept,
        timed={kind: sum(one is not None for one in found) for kind, found in seconds.items()},
        seconds=sum(one for found in seconds.values() for one in found if one is not None),
        workers=workers or benchmark.workers,
    )


def _steps(cells: Sequence[Cell], cache: Path) -> dict[str, list[tuple[Cell, bool]]]:
    """Each step of some cells once, by kind: one of its cells, and whether its file is in the cache."""
    from kinview.evaluation.benchmark.cached import embedding_path, model_path
    from kinview.evaluation.probes import probes

    needs_model = {part_label(cell.probe): bool(probes.build(cell.probe).needs_model) for cell in cells}
    embedded = [cell for cell in cells if not needs_model[part_label(cell.probe)]]
    sources = {cell.source_key: cell for cell in cells if cell.sources is not None}
    models = {cell.pretrain_key: cell for cell in cells}
    embeddings = {cell.embed_key(part): cell for cell in embedded for part in ("train", "test")}
    pretrained = {"source": [(cell, model_path(cache, key).is_file()) for key, cell in sources.items()]}
    return {
        **(pretrained if sources else {}),
        "pretrain": [(cell, model_path(cache, key).is_file()) for key, cell in models.items()],
        "embed": [(cell, embedding_path(cache, key).is_file()) for key, cell in embeddings.items()],
        "probe": [(cell, False) for cell in cells],
    }


class _Timings:
    """Median seconds of steps in a store."""

    def __init__(self, store: Store | None) -> None:
        self._medians: dict[tuple[Any, ...], float] = {}
        if store is None:
            return
        made = store.steps()
        for by in (["kind", "dataset", "method"], ["kind", "method"]):
            self._add(made, by, ())
        done = store.frame()
        for by in (["dataset", "method", "probe"], ["dataset", "probe"], ["probe"]):
            self._add(done[done["status"] == "ok"], by, ("probe",))

    def _add(self, frame: pd.DataFrame, by: list[str], first: Iterable[str]) -> None:
        medians = frame.dropna(subset="seconds").groupby(by)["seconds"].median()
        for names, seconds in medians.items():
            self._medians[(*first, *(names if isinstance(names, tuple) else (names,)))] = float(seconds)

    def of(self, kind: str, cell: Cell) -> float | None:
        """Seconds of a step, by the closest that there is."""
        dataset, method, probe = cell.dataset, cell.method_label, part_label(cell.probe)
        probed = [("probe", dataset, method, probe), ("probe", dataset, probe), ("probe", probe)]
        keys = probed if kind == "probe" else [(kind, dataset, method), (kind, method)]
        return next((self._medians[key] for key in keys if key in self._medians), None)


def _counted(n: int, what: str) -> str:
    return f"{n} {what[:-1] if n == 1 else what}"


def _duration(seconds: float) -> str:
    """Text of a time.

    >>> _duration(3.2), _duration(200), _duration(7300)
    ('3 s', '3 min', '2.0 h')
    """
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
