"""Milliseconds of a training step, beside those of the official code.

python benchmarks/steps.py "{tstcc: {prediction_steps: 10}}" --batch-size 128 --length 178  (as the official Epilepsy)
python benchmarks/steps.py tstcc --batch-size 32 --length 96 --gaps 0.2
python benchmarks/steps.py "{tfc: {encoder: official, consistency: official}}" --batch-size 128 --length 178

python benchmarks/steps.py all --threads 1 --steps 20 --json steps.json  (every method of series and of tables)

A step is all that the trainer does for one: rows, views, loss, gradient, optimiser. With several threads on a machine
that others use, set OMP_WAIT_POLICY=passive. ``all`` also says which part of the processor time matrix products and
convolutions take, by torch's profiler: what is left is what a faster step could save at most.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from kinview.data.modality import SERIES, TABLE
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


PRODUCTS = ("mm", "addmm", "addmm_", "bmm", "baddbmm", "baddbmm_", "mkldnn_convolution", "convolution_backward",
            "thnn_conv2d", "_slow_conv2d_forward", "_scaled_dot_product_flash_attention_for_cpu",
            "_scaled_dot_product_flash_attention_for_cpu_backward")  # fmt: skip


def prepared(spec: Any, X: Any, batch_size: int, steps: int, clock: Clock) -> Any:
    """Estimator whose training is these steps."""
    trainer = {"batch_size": batch_size, "max_steps": steps, "callbacks": [clock], "progress": False}
    return methods.build(spec).set_params(random_state=0, trainer={**trainer, "validation_fraction": 0.0})


def data_of(spec: Any, batch_size: int, length: int, channels: int, gaps: float) -> np.ndarray:
    """Random series, or for a method of tables 16 columns."""
    name = spec if isinstance(spec, str) else next(iter(spec))
    random = np.random.default_rng(0)
    rows = 4 * batch_size
    shape = (rows, 16) if methods[name].modality == TABLE else (rows, channels, length)
    X = random.normal(size=shape).astype(np.float32)
    X[random.random(shape) < gaps] = np.nan
    return X


def measure(spec: Any, batch_size: int, length: int, channels: int, gaps: float, steps: int) -> np.ndarray:
    """(steps, 2) milliseconds of each step after the first ten, in which memory and kernels are set up."""
    clock, warm_up = Clock(), 10
    X = data_of(spec, batch_size, length, channels, gaps)
    prepared(spec, X, batch_size, steps + warm_up, clock).fit(X)
    return 1e3 * np.diff(clock.ends, axis=0)[warm_up - 1 :]


def part_of_products(spec: Any, batch_size: int, length: int, channels: int, gaps: float, steps: int) -> float:
    """Fraction of the processor time of these steps that matrix products and convolutions take."""
    X, found = data_of(spec, batch_size, length, channels, gaps), Profiled(10, 10 + steps)
    prepared(spec, X, batch_size, 11 + steps, found).fit(X)
    taken = {event.key.removeprefix("aten::"): event.self_cpu_time_total for event in found.profiler.key_averages()}
    return sum(taken.get(name, 0.0) for name in PRODUCTS) / sum(taken.values())


class Profiled(Clock):
    """Profiles the steps between two."""

    def __init__(self, first: int, last: int) -> None:
        super().__init__()
        self.first, self.last = first, last
        self.profiler = torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU])

    def on_step_end(self, state: Any, method: Any) -> None:
        super().on_step_end(state, method)
        if state.step == self.first:
            self.profiler.start()
        elif state.step == self.last:
            self.profiler.stop()


def table_of_all(options: argparse.Namespace) -> None:
    """Print the row of every method of series and of tables that can be trained on random values alone."""
    rows: dict[str, dict[str, float]] = {}
    for modality in (SERIES, TABLE):
        print(f"{modality}, B = {options.batch_size}, T = {options.length}, {options.threads} thread(s)")
        for name in [*(name for name in methods if methods[name].modality == modality), *methods.recipes()]:
            try:
                estimator = methods.build(name, for_modality=modality)
            except ValueError:  # a recipe of the other modality
                continue
            if "trainer" not in estimator.get_params():
                continue
            size = (name, options.batch_size, options.length, options.channels, options.gaps)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    taken = np.median(measure(*size, options.steps), axis=0)
                    part = part_of_products(*size, 5)
            except (TypeError, ValueError) as error:  # wants labels, groups, several tables, or trains nothing
                print(f"  {name:24s} -          {str(error).splitlines()[0][:80]}")
                continue
            rows[f"{modality}/{name}"] = {"clock_ms": taken[0], "processor_ms": taken[1], "products": part}
            print(f"  {name:24s} {taken[1]:8.1f} ms of processor time, {part:4.0%} of it products")
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("method", help="name of a method for series, or its spec in YAML")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--length", type=int, default=178)
    parser.add_argument("--channels", type=int, default=1)
    parser.add_argument("--gaps", type=float, default=0.0, help="fraction of the values that are missing")
    parser.add_argument("--steps", type=int, default=60, help="steps to measure")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, help="where to write the rows of all methods")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.method == "all":
        table_of_all(options)
        return
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
