"""TS2Vec beside its official code: steps, encoding and peak memory, in turns within one run.

python benchmarks/official_ts2vec.py FOLDER --threads 1 --json ts2vec.json

FOLDER holds a clone of the official repository. Each turn takes some steps of one and then of the other, with the same
crops; the first step of a turn is left out (memory and kernels are set up in it). Ratios are official over kinview, of
processor seconds (all threads) and of the clock, with the 10 and 90 % quantiles of the ratios of single turns. The last
column is the fraction of the processor time that the multiplications of a step would need at the speed of this
machine's own matrix product, of those that do not multiply padding.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from _memory import memory

from kinview.augmentations import crop
from kinview.methods import TS2Vec
from kinview.training import Callback

BATCH_SIZE = 8
HIDDEN, OUT, DEPTH = 64, 320, 10


class Clock(Callback):
    """Processor and clock seconds at the end of every step."""

    def __init__(self) -> None:
        self.ends: list[tuple[float, float]] = []

    def on_step_end(self, state: Any = None, method: Any = None) -> None:
        self.ends.append((time.process_time(), time.perf_counter()))

    def after(self, model: Any, loss: float) -> None:
        """The same, as the official code calls it."""
        self.on_step_end()

    @property
    def taken(self) -> np.ndarray:
        """(steps − 1, 2) seconds of each step but the first."""
        return np.diff(np.array(self.ends), axis=0)


@contextmanager
def recorded_crops() -> Iterator[list[tuple[int, ...]]]:
    """Draws of every pair of crops that is made inside."""
    draws: list[tuple[int, ...]] = []
    made = crop.crop_pair

    def noting(batch: Any, length: int, left: int, outer_left: int, outer_right: int, offsets: Any) -> Any:
        draws.append((length, left, outer_left, outer_right))
        return made(batch, length, left, outer_left, outer_right, offsets)

    with mock.patch.object(crop, "crop_pair", noting):
        yield draws


@contextmanager
def these_crops(draws: list[tuple[int, ...]]) -> Iterator[None]:
    """Let the official code draw the lengths of these crops; offsets of the rows are its own."""
    values = iter([value for one in draws for value in one])
    own = np.random.randint

    def drawn(low: int, high: int | None = None, size: int | None = None) -> Any:
        return own(low, high, size) if size is not None else next(values)

    with mock.patch("numpy.random.randint", drawn):
        yield


def a_turn(official: Any, X: np.ndarray, steps: int, seed: int) -> tuple[np.ndarray, np.ndarray, list[tuple[int, ...]]]:
    """(2,) seconds of official code and of kinview for the same steps, and their crops."""
    clock = Clock()
    with recorded_crops() as draws:
        trainer = {"batch_size": BATCH_SIZE, "max_steps": steps, "callbacks": [clock], "progress": False}
        TS2Vec(random_state=seed, trainer=trainer).fit(X)
    theirs = Clock()
    model = official(
        X.shape[1], OUT, HIDDEN, DEPTH, device="cpu", batch_size=BATCH_SIZE, after_iter_callback=theirs.after
    )
    with these_crops(draws):
        model.fit(X.transpose(0, 2, 1).copy(), n_iters=steps)
    return theirs.taken.sum(axis=0), clock.taken.sum(axis=0), draws[1:]


def multiplications(draws: list[tuple[int, ...]]) -> float:
    """Floating point operations of the matrix products of these steps that read no padding, forward and back."""
    total = 0.0
    for length, left, outer_left, outer_right in draws:
        for steps in (left + length - outer_left, outer_right - left):
            for i in range(DEPTH + 1):
                taps = 1 + 2 * max(0.0, 1 - 2**i / steps)
                if i < DEPTH:
                    total += 3 * 2 * BATCH_SIZE * steps * 2 * taps * HIDDEN**2
                else:
                    kept = length if 2**i >= steps else steps
                    total += 3 * 2 * BATCH_SIZE * kept * (HIDDEN * OUT * (taps + 1) + taps * OUT**2)
        level = length
        while level > 0:  # S is symmetric, and its gradient another product of its whole size
            total += 1.5 * 2 * OUT * ((2 * level) ** 2 * BATCH_SIZE + (2 * BATCH_SIZE) ** 2 * level)
            level //= 2
    return total


def speed_of_products(seconds: float = 1.0) -> float:
    """Floating point operations per processor second of a product of the encoder's sizes."""
    x, w, out = torch.randn(960, HIDDEN), torch.randn(HIDDEN, HIDDEN), torch.empty(960, HIDDEN)
    begin, count = time.process_time(), 0
    while time.process_time() - begin < seconds:
        for _ in range(50):
            torch.mm(x, w, out=out)
        count += 50
    return 2 * 960 * HIDDEN**2 * count / (time.process_time() - begin)


def row(name: str, theirs: np.ndarray, ours: np.ndarray, a_unit: float) -> dict[str, Any]:
    """Milliseconds a unit of both, and the ratios of all turns with those of single ones."""
    ratio, single = theirs.sum(axis=0) / ours.sum(axis=0), theirs / ours
    return {
        "work": name,
        "official_ms": 1e3 * theirs.sum(axis=0)[0] / a_unit,
        "kinview_ms": 1e3 * ours.sum(axis=0)[0] / a_unit,
        "processor": float(ratio[0]),
        "processor_10_90": np.percentile(single[:, 0], [10, 90]).tolist(),
        "clock": float(ratio[1]),
        "clock_10_90": np.percentile(single[:, 1], [10, 90]).tolist(),
    }


def steps_table(official: Any, length: int, channels: int, turns: int, steps: int) -> dict[str, Any]:
    """The row of a training step."""
    X = np.random.default_rng(0).normal(size=(4 * BATCH_SIZE, channels, length)).astype(np.float32)
    a_turn(official, X, 3, seed=99)
    found = [a_turn(official, X, steps + 1, seed) for seed in range(turns)]
    theirs, ours = (np.stack([one[k] for one in found]) for k in (0, 1))
    needed = sum(multiplications(one[2]) for one in found) / speed_of_products()
    name = f"step, B = {BATCH_SIZE}, C = {channels}, T = {length}"
    return {**row(name, theirs, ours, turns * steps), "of_products": needed / ours.sum(axis=0)[0]}


def encode_table(official: Any, n: int, length: int, turns: int, **window: Any) -> dict[str, Any]:
    """The row of encoding whole series, or each step by a window of its past."""
    X = np.random.default_rng(0).normal(size=(n, 1, length)).astype(np.float32)
    ours = TS2Vec(random_state=0, trainer={"batch_size": BATCH_SIZE, "max_steps": 1}).fit(X[:, :, :96])
    theirs = official(1, OUT, HIDDEN, DEPTH, device="cpu", batch_size=BATCH_SIZE)
    Y = X.transpose(0, 2, 1).copy()
    if window:
        works: list[Callable[[], Any]] = [
            lambda: theirs.encode(Y, causal=True, sliding_length=1, sliding_padding=window["padding"]),
            lambda: ours.encode(X, causal=True, sliding_length=1, sliding_padding=window["padding"]),
        ]
    else:
        works = [lambda: theirs.encode(Y, encoding_window="full_series"), lambda: ours.transform(X)]
    taken = np.array([[_seconds(work) for work in works] for _ in range(turns + 1)])[1:]
    what = f"causal windows, {length} steps, padding {window['padding']}" if window else f"encode {n} × {length}"
    return row(what, taken[:, 0], taken[:, 1], turns)


def _seconds(work: Callable[[], Any]) -> tuple[float, float]:
    start = time.process_time(), time.perf_counter()
    work()
    return time.process_time() - start[0], time.perf_counter() - start[1]


def peak_memory(folder: str, length: int, threads: int) -> dict[str, Any]:
    """MB that the peak of a training grows over the imports, each in a process of its own."""
    found = {}
    for whose in ("official", "kinview"):
        command = [sys.executable, __file__, folder, "--threads", str(threads), "--peak-of", whose, str(length)]
        found[whose] = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])
    return {"work": f"peak of 8 steps, T = {length}", **{f"{whose}_MB": mb for whose, mb in found.items()}} | {
        "ratio": found["official"] / found["kinview"]
    }


def _peak(official: Any, whose: str, length: int) -> float:
    X = np.random.default_rng(0).normal(size=(2 * BATCH_SIZE, 1, length)).astype(np.float32)
    before = memory()
    if whose == "kinview":
        TS2Vec(random_state=0, trainer={"batch_size": BATCH_SIZE, "max_steps": 8, "progress": False}).fit(X)
    else:
        with recorded_crops() as draws:
            generator = torch.Generator().manual_seed(0)
            for _ in range(8):
                crop.CropPair()(crop.Batch.of(torch.from_numpy(X)), generator)
        with these_crops(draws):
            official(1, OUT, HIDDEN, DEPTH, device="cpu", batch_size=BATCH_SIZE).fit(
                X.transpose(0, 2, 1).copy(), n_iters=8
            )
    return memory() - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="a clone of the official repository")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--turns", type=int, default=10)
    parser.add_argument("--json", type=Path, help="where to write the rows")
    parser.add_argument("--peak-of", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    sys.path.insert(0, options.folder)
    from ts2vec import TS2Vec as official

    if options.peak_of:
        print(_peak(official, options.peak_of[0], int(options.peak_of[1])))
        return
    turns = options.turns
    rows = [
        steps_table(official, 96, 1, turns, 20),
        steps_table(official, 500, 1, turns, 8),
        steps_table(official, 1460, 1, turns, 2),
        steps_table(official, 500, 12, turns, 8),
        encode_table(official, 1000, 96, turns),
        encode_table(official, 100, 2000, max(2, turns // 3)),
        encode_table(official, 1, 2000, turns, padding=50),
    ]
    print(f"{platform.processor() or platform.machine()}, torch {torch.__version__}, {options.threads} thread(s)")
    for one in rows:
        low, high = one["processor_10_90"]
        part = f", {one['of_products']:.0%} of it the products that are needed" if "of_products" in one else ""
        print(
            f"{one['work']:45s} {one['official_ms']:8.1f} / {one['kinview_ms']:8.1f} ms = {one['processor']:.2f} "
            f"[{low:.2f}, {high:.2f}], by the clock {one['clock']:.2f}{part}"
        )
    rows.append(peak_memory(options.folder, 1460, options.threads))
    print("{work}: {official_MB:.0f} / {kinview_MB:.0f} MB = {ratio:.2f}".format(**rows[-1]))
    if options.json is not None:
        options.json.write_text(
            json.dumps({"torch": torch.__version__, "threads": options.threads, "rows": rows}, indent=1)
        )


if __name__ == "__main__":
    main()
