"""Memory and time of a step of 16,384 pairs, at once and in chunks, and how far the gradients are apart.

python benchmarks/gradient_caching.py                     (paired_clip: series of 2 channels and 100 steps, 10 columns)
python benchmarks/gradient_caching.py --batch 4096 --chunks 1024 256

Each setting runs in a process of its own, with one thread. The peak is that of its resident memory above what it has
before the step (network, samples and libraries), as Linux counts it; seconds are of the processor, for views, loss and
gradient, after a step of 64 rows. The gradient is compared without dropout, whose draws for a chunk are not those for a
batch.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from _memory import memory
from safetensors.torch import load_file, save_file
from torch import nn

from kinview import PairedData
from kinview.data import Batch
from kinview.methods import CLIP
from kinview.training import GradientCache, Method

ENCODER = {"dilated_conv": {"repr_dim": 64, "hidden_dim": 32, "depth": 4}}


def one(batch_size: int, chunk_size: int, place: Path) -> None:
    """Take a step without an optimiser, and print megabytes, seconds and loss; 0 rows stand for the whole batch."""
    torch.set_num_threads(1)
    draw = np.random.default_rng(0)
    table = draw.normal(size=(batch_size, 10)).astype(np.float32)
    series = draw.normal(size=(batch_size, 2, 100)).astype(np.float32) + table[:, :2, None]
    columns = [f"column {i}" for i in range(10)]
    pairs = PairedData(series=series, table=pd.DataFrame(table, columns=columns))
    estimator = CLIP(ENCODER, random_state=0).initialise(pairs)
    method, batch = estimator.method_.train(), estimator.to_batch(pairs)
    for part in method.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    step(method, batch.rows(slice(0, 64)), chunk_size)
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the peak is that from here on
    before, started = memory("VmRSS"), time.process_time()
    loss = step(method, batch, chunk_size)
    seconds, peak = time.process_time() - started, memory("VmHWM") - before
    save_file({name: p.grad.contiguous() for name, p in method.named_parameters() if p.grad is not None}, place)
    print(peak, seconds, loss)


def step(method: Method, batch: Batch, chunk_size: int) -> float:
    """Leave the gradient of a batch in the weights; its loss."""
    method.zero_grad(set_to_none=True)
    views = method.views(batch, torch.Generator().manual_seed(0), 0.0)
    cache = GradientCache(method, views, chunk_size) if chunk_size else None
    loss = (method.loss(views) if cache is None else cache.loss()).loss
    torch.autograd.backward(loss)
    if cache is not None:
        cache.replay()
    return float(loss.detach())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=16384)
    parser.add_argument("--chunks", type=int, nargs="+", default=[4096, 1024, 256, 64])
    parser.add_argument("--one", nargs=2, metavar=("CHUNK", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        one(options.batch, int(options.one[0]), Path(options.one[1]))
        return
    print(
        "| rows at once | peak memory, MB | seconds | loss | largest difference of a gradient, of its largest entry |"
    )
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        places = {size: Path(folder) / f"{size}.safetensors" for size in (0, *options.chunks)}
        for size, place in places.items():
            command = [sys.executable, __file__, "--batch", str(options.batch), "--one", str(size), str(place)]
            told = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
            peak, seconds, loss = (float(word) for word in told)
            whole, found = load_file(places[0]), load_file(place)
            apart = max(float((found[k] - v).abs().max()) for k, v in whole.items())
            largest = max(float(v.abs().max()) for v in whole.values())
            rows = f"{size:,}" if size else f"all {options.batch:,}"
            print(f"| {rows} | {peak:,.0f} | {seconds:.1f} | {loss:.6f} | {apart / largest:.1e} |", flush=True)


if __name__ == "__main__":
    main()
