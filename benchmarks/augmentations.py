"""Throughput of the augmentations, side by side with the usual NumPy code and with tsaug where it is installed.

python benchmarks/augmentations.py --threads 1
python benchmarks/augmentations.py permutation time_warp window_warp --rounds 21

Members and peers take turns in each round, so that a busy machine is busy for all; a turn is at least three calls in a
row, and as many as fit into 50 ms, since the caches left by the other's turn are not part of a view's cost. Figures are
million values of the input a second at the median time of a call (processor time with one thread, wall time with
several); the ratio is the median over the rounds of the faster peer's time over kinview's. NumPy's code is in
_numpy_views.py; it knows neither gaps nor ends of series, draws from the member's distribution, and like it returns
arrays of its own. A peer that cannot run says why below.
With several threads on a machine that others use, set OMP_WAIT_POLICY=passive: threads that spin wait for each other.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import _numpy_views
import numpy as np
import pandas as pd
import torch

from kinview.augmentations import Augmentation, augmentations
from kinview.data import Batch, TableSchema

SPECS: dict[str, Any] = {
    "compose": [{"jitter": {"sigma": 0.1}}, "permutation"],
    "one_of": {"one_of": {"augmentations": ["sign_flip", "permutation"]}},
    "some_of": {"some_of": {"augmentations": ["sign_flip", "permutation"], "k": 1}},
    "sometimes": {"sometimes": {"augmentation": "permutation"}},
    "views": {"views": {"augmentations": ["jitter", "permutation"]}},
    "curriculum": {"curriculum": {"augmentation": "jitter"}},
    "lead_views": {"lead_views": {"n_leads": 3}},  # as many as there are by default
}
TSAUG: dict[str, tuple[str, dict[str, Any]]] = {  # the same operation, at parameters as near as tsaug has them
    "jitter": ("AddNoise", {"scale": 0.8}),
    "time_reverse": ("Reverse", {}),
    "time_warp": ("TimeWarp", {}),
    "random_crop_resize": ("Crop", {"size": 750, "resize": 1000}),
    "drift": ("Drift", {"max_drift": 0.5}),
    "pool": ("Pool", {"size": 2}),
    "quantize": ("Quantize", {"n_levels": 10}),
    "convolve": ("Convolve", {"window": "hann", "size": 7}),
    "observation_dropout": ("Dropout", {"p": 0.2, "fill": float("nan")}),
}
Call = Callable[[], object]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="members; all unless given")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch; NumPy's loops have one")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--shape", type=int, nargs=3, default=(256, 3, 1000), metavar=("N", "C", "T"))
    parser.add_argument("--table", type=int, nargs=2, default=(4096, 50), metavar=("N", "COLUMNS"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    np.ones((1 << 25) - (1 << 16), dtype=np.uint8)  # glibc keeps blocks of up to this size in the heap from now on
    random = np.random.default_rng(0)
    x = np.cumsum(random.normal(size=options.shape), axis=2).astype(np.float32) / 10
    rows = random.normal(size=options.table).astype(np.float32)
    sizes = f"series {' x '.join(map(str, options.shape))}, tables and embeddings {' x '.join(map(str, options.table))}"
    print(f"torch {torch.__version__}, NumPy {np.__version__}, {options.threads} thread(s), {options.rounds} rounds")
    print(f"float32, {sizes}; million values a second\n")
    print("| member | kinview | NumPy | tsaug | ratio |\n|---|--:|--:|--:|--:|")
    notes: list[str] = []
    ratios: dict[str, float] = {}
    for name in options.names or list(augmentations):
        part = prepared(name)
        on_table = part.modality in ("tabular", "embedding") or name in _numpy_views.TABLES
        values = rows if on_table else x
        calls = {"kinview": own_call(part, values), **peers(name, values, notes)}
        spent = in_turns(calls, options.rounds, time.process_time if options.threads == 1 else time.perf_counter)
        own = spent["kinview"]
        rate = {peer: values.size / statistics.median(each) / 1e6 for peer, each in spent.items()}
        others = [
            statistics.median(theirs / ours for theirs, ours in zip(each, own, strict=True))
            for peer, each in spent.items()
            if peer != "kinview"
        ]
        if others:
            ratios[name] = min(others)
        cells = [f"{rate[peer]:,.1f}" if peer in rate else "" for peer in ("kinview", "NumPy", "tsaug")]
        print(f"| {name} | {' | '.join(cells)} | {f'{ratios[name]:.1f}' if others else ''} |", flush=True)
    slower = [f"{name} ({ratio:.2f})" for name, ratio in sorted(ratios.items(), key=lambda item: item[1]) if ratio < 1]
    print(f"\nslower than a peer: {', '.join(slower) or 'none'} of {len(ratios)} compared")
    for note in notes:
        print(note)


def prepared(name: str) -> Augmentation:
    part: Augmentation = augmentations.build(SPECS.get(name, name))
    if "sampling_rate" in part.needs:
        part = augmentations.build({name: {"sampling_rate": _numpy_views.RATE}})
    if "loss" in part.needs:
        part = part.bind_loss(lambda view: view.square().sum())  # type: ignore[attr-defined]
    return part


def own_call(part: Augmentation, values: np.ndarray) -> Call:
    """A view of the whole batch, fitted beforehand: fitting is done once, before training."""
    x = torch.from_numpy(values)
    batch = Batch.of(x, y=torch.arange(len(x)) % 2)
    schema = TableSchema.fit(pd.DataFrame(values)) if part.modality == "tabular" else None
    fitted = part.fit(batch, schema, torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(0)
    return lambda: fitted(batch, generator)


def peers(name: str, values: np.ndarray, notes: list[str]) -> dict[str, Call]:
    random = np.random.RandomState(0)
    found: dict[str, Call] = {}
    usual = {**_numpy_views.SERIES, **_numpy_views.TABLES}.get(name)
    if usual is not None:
        found["NumPy"] = lambda: usual(values, random)
    if name in TSAUG and values.ndim == 3:
        kind, parameters = TSAUG[name]
        last = np.ascontiguousarray(values.transpose(0, 2, 1))
        try:
            import tsaug

            augmenter = getattr(tsaug, kind)(seed=0, **parameters)
            augmenter.augment(last)
        except Exception as error:  # whatever an old package meets in a new NumPy
            notes.append(f"tsaug's {kind} takes no part: {type(error).__name__}: {' '.join(str(error).split())}")
        else:
            found["tsaug"] = lambda: augmenter.augment(last)
    return found


def in_turns(calls: dict[str, Call], rounds: int, clock: Callable[[], float]) -> dict[str, list[float]]:
    """Seconds of a call in each turn, after two calls that do not count."""
    spent: dict[str, list[float]] = {peer: [] for peer in calls}
    number: dict[str, int] = {}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for peer, call in calls.items():
            call()
            start = clock()
            call()
            number[peer] = max(3, int(0.05 / max(clock() - start, 1e-6)))
        for _ in range(rounds):
            for peer, call in calls.items():
                start = clock()
                for _ in range(number[peer]):
                    call()
                spent[peer].append((clock() - start) / number[peer])
    return spent


if __name__ == "__main__":
    main()
