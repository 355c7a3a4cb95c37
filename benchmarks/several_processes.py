"""Milliseconds a step: of one process with two threads, and of two processes with one thread each.

OMP_NUM_THREADS=2 python benchmarks/several_processes.py
OMP_NUM_THREADS=1 torchrun --nproc-per-node 2 benchmarks/several_processes.py

On a shared machine the clock on the wall says little; beside it stands what a step takes of the processors in the first
process, without the time in which it waits for the other.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
import torch

from kinview.distributed import is_first, number_of_processes, process_group
from kinview.methods import methods
from kinview.training import Callback

STEPS, WARM = 13, 3
CASES: dict[str, tuple[dict[str, Any], int, tuple[int, ...]]] = {  # method, rows a step, shape of the data
    "ts2vec": ({"ts2vec": {}}, 16, (64, 2, 200)),
    "simclr": ({"simclr": {}}, 128, (256, 2, 200)),
    "moco": ({"moco": {}}, 128, (256, 2, 200)),
    "simclr, 2,000 steps": ({"simclr": {"encoder": {"resnet1d": {"fill": "linear"}}}}, 128, (256, 2, 2000)),
    "scarf": ({"scarf": {}}, 1024, (4096, 40)),
}


class Clock(Callback):
    """Notes when each step ended."""

    def __init__(self) -> None:
        self.at: list[tuple[float, float]] = []

    def on_step_end(self, state: Any, method: Any) -> None:
        self.at.append((time.perf_counter(), time.process_time()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="*", default=list(CASES))
    options = parser.parse_args()
    with process_group():
        for name in options.methods:
            spec, batch_size, shape = CASES[name]
            ((method, parameters),) = spec.items()
            clock = Clock()
            trainer = {"max_steps": STEPS, "batch_size": batch_size, "callbacks": [clock], "patience": STEPS}
            estimator = methods.build({method: {**parameters, "random_state": 0, "trainer": trainer}})
            estimator.fit(np.random.default_rng(0).normal(size=shape))
            if is_first():
                wall, processor = np.median(np.diff(clock.at, axis=0)[WARM:], axis=0) * 1000
                print(
                    f"{name}: {wall:.0f} ms a step, {processor:.0f} ms of the processors, "
                    f"{number_of_processes()} process(es) of {torch.get_num_threads()} thread(s)"
                )


if __name__ == "__main__":
    main()
