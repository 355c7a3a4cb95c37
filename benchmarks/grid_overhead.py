"""What a benchmark costs beside its probes: milliseconds a cell of a grid of cheap cells.

    python benchmarks/grid_overhead.py [--seeds 10] [--store postgresql+psycopg://user@host/database]

Runs a grid of wine with raw features and the nearest class mean in this process, 75 cells a seed, into a new SQLite
store (or the one given), and prints what a cell takes by the clock and of the processor: all of it, the fit and the
scores of the probe, and the rest, which is splits, masks, labels, metrics, predictions, claims and the store. A first
grid of one seed sets up imports and digests of the code, whose time is printed apart.
"""

from __future__ import annotations

import argparse
import functools
import tempfile
import time
from collections.abc import Callable
from typing import Any

from kinview.evaluation import Benchmark, Probe, Store, run

GRID: dict[str, Any] = {
    "name": "overhead", "datasets": ["wine"], "methods": ["raw"], "probes": ["centroid"], "controls": "none",
    "corruptions": ["mcar"], "severities": [0.1, 0.2, 0.3, 0.4], "corrupt": "test",
    "label_noise": ["symmetric"], "label_noise_rates": [0.1, 0.2, 0.3, 0.4], "label_fractions": [0.25, 0.5],
    "crossed": True,
}  # fmt: skip


class Clock:
    """Seconds by the clock and of the processor; a call inside another one counts once."""

    def __init__(self) -> None:
        self.wall = self.processor = 0.0
        self._depth = 0

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, with its time added here."""

        @functools.wraps(function)
        def timed(*args: Any, **options: Any) -> Any:
            wall, processor = time.perf_counter(), time.process_time()
            self._depth += 1
            try:
                return function(*args, **options)
            finally:
                self._depth -= 1
                if not self._depth:
                    self.wall += time.perf_counter() - wall
                    self.processor += time.process_time() - processor

        return timed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--store", help="URL of the store; by default a new SQLite file")
    options = parser.parse_args()
    whole, first, probing = Clock(), Clock(), Clock()
    with tempfile.TemporaryDirectory() as folder:
        store = Store(options.store or f"{folder}/results.db")
        given = {"cache_dir": f"{folder}/cache", "progress": False}
        first.around(run)(Benchmark(**GRID, seeds=[10**6]), store, **given)
        for name in ("fit", "predict_scores", "predict"):
            setattr(Probe, name, probing.around(getattr(Probe, name)))
        frame = whole.around(run)(Benchmark(**GRID, seeds=list(range(options.seeds))), store, **given)
    n = len(frame)
    assert set(frame["status"]) == {"ok"} and set(frame["attempts"]) == {1}, "the store held these cells already"
    print(f"{n} cells; the first grid, with imports and digests of the code: {first.wall:.1f} s")
    for name, wall, processor in (
        ("all", whole.wall, whole.processor),
        ("probe", probing.wall, probing.processor),
        ("beside the probe", whole.wall - probing.wall, whole.processor - probing.processor),
    ):
        print(f"{name:<17}{1e3 * wall / n:7.1f} ms by the clock {1e3 * processor / n:7.1f} ms of the processor, a cell")


if __name__ == "__main__":
    main()
