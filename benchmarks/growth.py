"""How time and memory grow with samples, steps, channels, columns and the batch: log-log slopes.

python benchmarks/growth.py --json growth.json
python benchmarks/growth.py steps channels

Each size is measured in a process of its own, on one thread: processor seconds of ``fit`` with four steps and of
``transform``, and the MB by which the peak of memory grows over the imports. A slope is that between the last two
sizes, 1 where cost grows as the size does: constant parts of small sizes make it smaller. An axis ends before the size
after one that took longer than ``--limit`` seconds.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _memory import memory

from kinview.methods import methods

STEPS = 4


def series(n: int, channels: int, steps: int) -> np.ndarray:
    """Random walks with 5 % of the values missing."""
    random = np.random.default_rng(0)
    X = random.normal(size=(n, channels, steps)).astype(np.float32).cumsum(axis=2)
    X[random.random(X.shape) < 0.05] = np.nan
    return X


def table(n: int, columns: int) -> np.ndarray:
    """Normal values with 5 % missing."""
    random = np.random.default_rng(0)
    X = random.normal(size=(n, columns)).astype(np.float32)
    X[random.random(X.shape) < 0.05] = np.nan
    return X


# axis: method, sizes, data of a size, batch size of a size
AXES: Mapping[str, tuple[Any, tuple[int, ...], Callable[[int], np.ndarray], Callable[[int], int]]] = {
    "series": ("ts2vec", (100, 1_000, 10_000, 100_000), lambda n: series(n, 1, 64), lambda _: 8),
    "steps": ("ts2vec", (100, 1_000, 10_000, 100_000), lambda t: series(16, 1, t), lambda _: 8),
    "channels": ("ts2vec", (1, 8, 64, 512), lambda c: series(64, c, 64), lambda _: 8),
    "rows": ("scarf", (100, 1_000, 10_000, 100_000, 1_000_000), lambda n: table(n, 16), lambda _: 128),
    "columns": ("scarf", (10, 100, 1_000, 10_000), lambda c: table(500, c), lambda _: 128),
    "batch": ("tabular_simclr", (256, 1_024, 4_096, 16_384), lambda n: table(n, 16), lambda n: n),
    "minirocket, series": ("minirocket", (100, 1_000, 10_000), lambda n: series(n, 1, 64), lambda _: 8),
    "minirocket, steps": ("minirocket", (100, 1_000, 10_000), lambda t: series(100, 1, t), lambda _: 8),
}


def measured(axis: str, size: int) -> dict[str, float]:
    """Seconds of fit and transform, and MB of the peak, of one size in this process."""
    torch.set_num_threads(1)
    spec, _, data, batch = AXES[axis]
    estimator = methods.build(spec)
    if "trainer" in estimator.get_params():
        trainer = {"max_steps": STEPS, "batch_size": batch(size), "progress": False, "validation_fraction": 0.0}
        estimator.set_params(trainer=trainer)
    estimator.set_params(random_state=0)
    X = data(size)
    small = estimator.__class__(**estimator.get_params()).fit(data(AXES[axis][1][0]))  # imports, and memory they take
    del small
    before, start = memory(), time.process_time()
    fitted = estimator.fit(X)
    middle = time.process_time()
    fitted.transform(X)
    return {"size": size, "fit": middle - start, "transform": time.process_time() - middle, "MB": memory() - before}


def slope(points: list[dict[str, float]], what: str) -> float:
    """log-log slope between the last two sizes; NaN where nothing was to be measured."""
    (a, b) = points[-2:]
    if min(a[what], b[what]) <= 0:
        return float("nan")
    return math.log(b[what] / a[what]) / math.log(b["size"] / a["size"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("axes", nargs="*", help=f"some of {', '.join(AXES)}; all by default")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds of a size after which an axis ends")
    parser.add_argument("--json", type=Path, help="where to write the points")
    parser.add_argument("--point", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.point:
        print(json.dumps(measured(options.point[0], int(options.point[1]))))
        return
    found: dict[str, list[dict[str, float]]] = {}
    for axis in options.axes or AXES:
        points = found.setdefault(axis, [])
        for size in AXES[axis][1]:
            command = [sys.executable, __file__, "--point", axis, str(size)]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                print(f"{axis} {size:,}: {(done.stderr.strip().splitlines() or ['ended'])[-1]}")
                break
            points.append(json.loads(done.stdout.splitlines()[-1]))
            one = points[-1]
            print(f"{axis} {size:,}: fit {one['fit']:.2f} s, transform {one['transform']:.2f} s, {one['MB']:.0f} MB")
            if one["fit"] + one["transform"] > options.limit:
                break
        if len(points) > 1:
            slopes = ", ".join(f"{what} {slope(points, what):.2f}" for what in ("fit", "transform", "MB"))
            print(f"{axis} ({AXES[axis][0]}): slopes {slopes}")
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
