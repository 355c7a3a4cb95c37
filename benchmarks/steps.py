"""Milliseconds of a training step, beside those of the official code.

python benchmarks/steps.py "{tstcc: {prediction_steps: 10}}" --batch-size 128 --length 178  (as the official Epilepsy)
python benchmarks/steps.py tstcc --batch-size 32 --length 96 --gaps 0.2
python benchmarks/steps.py "{tfc: {encoder: official, consistency: official}}" --batch-size 128 --length 178

A step is all that the trainer does for one: rows, views, loss, gradient, optimiser. With several threads on a machine
that others use, set OMP_WAIT_POLICY=passive.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import torch
import yaml

from kinview.methods import methods
from kinview.training import Callback

# median milliseconds of the official code's iteration by method, batch size and length (one channel);
# measured on a 2-core machine (AMD EPYC with AVX-512), 2 threads, torch 2.13, spread of a median about 8 %
OFFICIAL = {
    ("tstcc", 128, 178): 280.0,
    ("tstcc", 32, 96): 73.0,
    ("tfc", 128, 178): 1285.0,
    ("tfc", 32, 96): 38.7,
    ("ts2vec", 8, 96): 102.0,
}


class Clock(Callback):
    """Seconds at the end of every step, by the clock and of the processor (all threads)."""

    def __init__(self) -> None:
        self.ends: list[tuple[float, float]] = []

    def on_step_end(self, state: Any, method: Any) -> None:
        self.ends.append((time.perf_counter(), time.process_time()))


def measure(spec: Any, batch_size: int, length: int, channels: int, gaps: float, steps: int) -> np.ndarray:
    """(steps, 2) milliseconds of each step after the first ten, in which memory and kernels are set up."""
    random = np.random.default_rng(0)
    X = random.normal(size=(4 * batch_size, channels, length)).astype(np.float32)
    X[random.random(X.shape) < gaps] = np.nan
    clock, warm_up = Clock(), 10
    estimator = methods.build(spec)
    trainer = {"batch_size": batch_size, "max_steps": steps + warm_up, "callbacks": [clock], "progress": False}
    estimator.set_params(random_state=0, trainer=trainer).fit(X)
    return 1e3 * np.diff(clock.ends, axis=0)[warm_up - 1 :]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("method", help="name of a method for series, or its spec in YAML")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--length", type=int, default=178)
    parser.add_argument("--channels", type=int, default=1)
    parser.add_argument("--gaps", type=float, default=0.0, help="fraction of the values that are missing")
    parser.add_argument("--steps", type=int, default=60, help="steps to measure")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    spec = yaml.safe_load(options.method)
    name = spec if isinstance(spec, str) else next(iter(spec))
    size = (options.batch_size, options.length)
    taken = measure(spec, *size, options.channels, options.gaps, options.steps)
    (low, median, high), processor = np.percentile(taken[:, 0], [10, 50, 90]), np.median(taken[:, 1])
    print(
        f"{options.method}, B = {size[0]}, T = {size[1]}, C = {options.channels}, {options.gaps:.0%} missing, "
        f"{options.threads} thread(s): {median:.1f} ms a step "
        f"(10 to 90 %: {low:.1f} to {high:.1f}, {len(taken)} steps), {processor:.1f} ms of processor time"
    )
    official = OFFICIAL.get((name, *size)) if options.channels == 1 else None
    if official is not None:
        print(f"official code, measured on a 2-core machine with 2 threads: {official:g} ms ({official / median:.1f}x)")


if __name__ == "__main__":
    main()
