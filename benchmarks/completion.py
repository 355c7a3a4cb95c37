"""What learning and using a completion of gaps costs: processor time on one thread, and numbers in the file of a model.

python benchmarks/completion.py

Random walks on a wave, 40 % of the values missing at random, in training series and in those completed. Medians of
``--rounds`` rounds, and the same for a line, which has nothing to learn.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from kinview.data import Completion, bridge

SIZES = ((200, 1, 24), (200, 1, 128), (100, 1, 500), (60, 1, 2000), (100, 3, 200), (50, 200, 20), (60, 12, 1000))


def seconds(work: Callable[[], object]) -> float:
    """Processor time of a call."""
    before = time.process_time()
    work()
    return time.process_time() - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    print("| series x channels x steps | learn, s | complete, s | a line, s | numbers |\n|---|--:|--:|--:|--:|")
    for n, channels, steps in SIZES:
        walks = torch.randn(n, channels, steps, generator=generator).cumsum(dim=2)
        x = walks + 3 * torch.sin(torch.arange(steps) / 2)
        train, test = (x.masked_fill(torch.rand(x.shape, generator=generator) < 0.4, torch.nan) for _ in range(2))
        completion = Completion.of(train)
        completion.weight.fill_(1.0)  # so that every gap is completed
        learned, completed, line = (
            statistics.median(seconds(work) for _ in range(options.rounds))
            for work in (
                lambda train=train: Completion.of(train),
                lambda test=test, learned=completion: bridge(test, how="completion", completion=learned),
                lambda test=test: bridge(test),
            )
        )
        numbers = sum(buffer.numel() for buffer in completion.buffers())
        print(
            f"| {n} x {channels} x {steps} | {learned:.2f} | {completed:.2f} | {line:.3f} | {numbers:,} |", flush=True
        )


if __name__ == "__main__":
    main()
