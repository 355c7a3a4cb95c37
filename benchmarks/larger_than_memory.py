"""Memory and time of fit and transform of a set twice as large as a cap, read block by block and in memory.

python benchmarks/larger_than_memory.py                   (a cap of 256 MiB: series in .npy, a table in Parquet)
python benchmarks/larger_than_memory.py --cap 1024 --what series

Each run is a process of its own, with one thread. The cap is on what the process allocates beyond the libraries that it
has loaded (RLIMIT_DATA: the kernel refuses more); pages of a file that is mapped into memory are no such memory, since
the kernel takes them back when it needs them. The peak is that of its resident anonymous memory beyond the same point
(RssAnon), looked at every 5 ms; seconds are of the processor. Embeddings go to a Parquet file. Linux only.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from _memory import memory

from kinview import SCARF, TS2Vec
from kinview.data import NpySource, WideParquetSource

STEPS = {"max_steps": 100, "batch_size": 64, "validation_fraction": 0, "progress": False}
MODELS: dict[str, Any] = {
    "series": lambda: TS2Vec(repr_dim=16, hidden_dim=8, depth=3, trainer=STEPS, random_state=0),
    "table": lambda: SCARF(hidden_dim=32, trainer=STEPS, random_state=0),
}
SHAPES = {"series": (3, 100), "table": (64,)}
FILES = {"series": "series.npy", "table": "table.parquet"}
AT_ONCE = 2**20  # values that are drawn and written at once


def write(what: str, folder: Path, size: int) -> int:
    """Write a set of so many bytes in float32, a part at a time; its number of rows."""
    shape, draw = SHAPES[what], np.random.default_rng(0)
    rows, part = size // (4 * int(np.prod(shape))), AT_ONCE // int(np.prod(shape))
    firsts = range(0, rows, part)
    parts = (draw.normal(size=(min(part, rows - first), *shape)).astype(np.float32) for first in firsts)
    if what == "series":
        array = np.lib.format.open_memmap(folder / FILES[what], "w+", np.float32, (rows, *shape))
        for first, values in zip(firsts, parts, strict=True):
            array[first : first + len(values)] = values
        array.flush()
        return rows
    names = [f"column {i}" for i in range(shape[0])]
    with pq.ParquetWriter(folder / FILES[what], pa.schema([(name, pa.float32()) for name in names])) as writer:
        for values in parts:
            writer.write_table(pa.table(dict(zip(names, values.T.copy(), strict=True))))
    return rows


def one(what: str, how: str, folder: Path, cap: int) -> None:
    """Fit and transform, and print the peak in MiB and seconds of both; a cap of 0 is none."""
    torch.set_num_threads(1)
    MODELS[what]().fit(np.random.default_rng(1).normal(size=(64, *SHAPES[what])))  # loads what both ways need
    pq.ParquetFile(pa.BufferReader(_small_file()))
    if cap:
        limit = int((memory("VmData") + cap) * 2**20)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    path = folder / FILES[what]
    before = memory("RssAnon")
    with peak_of("RssAnon") as peak:
        started = time.process_time()
        if how == "blocks":
            X: Any = NpySource(path) if what == "series" else WideParquetSource(path)
        else:
            X = np.load(path) if what == "series" else pd.read_parquet(path)
        model = MODELS[what]().fit(X)
        fitted = time.process_time()
        model.transform(X, out=folder / f"{how}.parquet")
        embedded = time.process_time()
    print(max(peak) - before, fitted - started, embedded - fitted)


def _small_file() -> bytes:
    """A Parquet file, so that what reads it is loaded."""
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"a": [1.0]}), sink)
    return bytes(sink.getvalue())


@contextmanager
def peak_of(field: str) -> Iterator[list[float]]:
    """MB of a field, looked at in a thread while the block runs."""
    seen, over = [memory(field)], threading.Event()

    def look() -> None:
        while not over.wait(0.005):
            seen.append(max(seen.pop(), memory(field)))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def run(what: str, how: str, folder: Path, cap: int) -> list[float] | None:
    """Peak and seconds of a process of its own; None where it had too little memory."""
    words = [sys.executable, __file__, "--one", what, how, str(folder), str(cap)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return [float(word) for word in done.stdout.split()]
    said = done.stderr.strip().splitlines()[-1:] or ["no message"]
    if not any(word in done.stderr for word in ("MemoryError", "allocate", "bad_alloc", "malloc")):
        raise RuntimeError(done.stderr)
    print(f"  {what}, {how}, capped: {said[0][:110]}", file=sys.stderr)
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cap", type=int, default=256, help="MiB beyond the libraries")
    parser.add_argument("--what", choices=sorted(MODELS), action="append", help="series, table; both by default")
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        what, how, folder, cap = given.one
        one(what, how, Path(folder), int(cap))
        return
    print("| set | how | cap, MiB | peak, MiB | fit, s | transform, s |")
    print("|---|---|---|---|---|---|")
    for what in given.what or sorted(MODELS):
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            rows = write(what, folder, 2 * given.cap * 2**20)
            name = f"{rows:,} {'series' if what == 'series' else 'rows'}, {2 * given.cap} MiB"
            for how, cap in (("blocks", given.cap), ("memory", given.cap), ("memory", 0)):
                found = run(what, how, folder, cap)
                cells = ["ended: no memory", "", ""] if found is None else [f"{value:.0f}" for value in found]
                print(f"| {name} | {how} | {cap or 'none'} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
