"""What it costs to keep the predictions of a cell: time and space of ``Store.add`` with them and without.

    python benchmarks/predictions.py [--cells 200] [--rows 300] [--classes 2]

Writes the same cells into two new SQLite stores in turns, on the disk of the temporary folder, and prints the median
milliseconds of a cell on the clock and of processor time, their ratio, and the bytes that a cell takes.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from kinview.evaluation import Predictions, Store

CELL = {"dataset": "d", "method": "m", "probe": "p", "seed": 0, "status": "ok", "accuracy": 0.5}


def made(rows: int, classes: int, seed: int) -> Predictions:
    """Predictions of random scores."""
    random = np.random.default_rng(seed)
    names = np.arange(classes)
    scores = random.normal(size=(rows, classes))
    samples = [f"test[{i}]" for i in range(rows)]
    return Predictions(samples, random.choice(names, rows), scores.argmax(axis=1), scores, names)


def compared(seconds: dict[str, list[float]]) -> str:
    """Medians of both, and their ratio."""
    without, kept = (1e3 * float(np.median(seconds[name])) for name in ("without", "with"))
    return f"{without:.1f} ms without, {kept:.1f} ms with predictions (ratio {kept / without:.2f})"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("cells", 200), ("rows", 300), ("classes", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        stores = {name: Store(f"{folder}/{name}.db") for name in ("without", "with")}
        clock: dict[str, list[float]] = {name: [] for name in stores}
        processor: dict[str, list[float]] = {name: [] for name in stores}
        for i in range(options.cells):
            said = made(options.rows, options.classes, i)
            for name, store in stores.items():
                start, used = time.perf_counter(), time.process_time()
                store.add(f"cell {i}", CELL, predictions=said if name == "with" else None)
                clock[name].append(time.perf_counter() - start)
                processor[name].append(time.process_time() - used)
        start = time.perf_counter()
        n = len(stores["with"].predictions())
        reading = time.perf_counter() - start
        sizes = {}
        for name, store in stores.items():
            with store._engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            sizes[name] = Path(folder, f"{name}.db").stat().st_size / options.cells
    lines = [
        f"{options.rows} test samples, {options.classes} classes, {options.cells} cells",
        *(f"add, {what}: {compared(values)}" for what, values in (("clock", clock), ("processor", processor))),
        f"size: {sizes['without'] / 1e3:.1f} kB without, {sizes['with'] / 1e3:.1f} kB with, a cell",
        f"read back: {n:,} rows in {reading:.2f} s",
    ]
    print("\n".join(lines))


if __name__ == "__main__":
    main()
