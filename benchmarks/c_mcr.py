"""Two models of pairs with a side in common: can the sides that were never seen together be matched?

python benchmarks/c_mcr.py [FOLDER_OF_DATA]

The columns of a table are dealt into three sets by the seed: first, shared and last. A fifth of the rows is held out.
Of one half of the others a model (CLIP) learns pairs of first and shared, of the other half pairs of shared and last:
no row has first and last. C-MCR connects the two models at the shared columns of both halves. Shown is how well the
last columns of a held-out row are found by its first ones, and the reverse, among all held-out rows. Beside it:

- Procrustes: the rotation of the first space that brings the shared items nearest to where the second one has them;
- ridge: first to shared by ridge regression, shared to last by another one; no model of pairs is used;
- with pairs: CLIP of first and last, on all training rows with all their columns: what real pairs give;
- not connected: the two models as they are.

Tables, methods and sizes were fixed before the first run; all have their default parameters but for the steps of CLIP.
Intervals are of the corrected resampled t test (Nadeau and Bengio) over seeds, which deal other columns and hold out
other rows of the same table.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from typing import Any

import numpy as np
import pandas as pd
import torch
from _intervals import interval
from scipy.linalg import orthogonal_procrustes
from sklearn.linear_model import RidgeCV
from sklearn.preprocessing import StandardScaler

import kinview
from kinview import PairedData
from kinview.diagnostics import retrieval
from kinview.methods import CLIP, CMCR

TABLES = ("vehicle", "breast_cancer")
COLUMNS = {"recall@1": ".3f", "recall@10": ".3f", "mean_rank": ".1f"}
HELD_OUT = 5  # one row in so many
ALPHAS = np.logspace(-2, 4, 13)


def chained(first: pd.DataFrame, shared: list[pd.DataFrame], last: pd.DataFrame, test: pd.DataFrame) -> np.ndarray:
    """Last columns that two ridge regressions expect of the first ones, standardised."""
    one = RidgeCV(ALPHAS).fit(first, shared[0])
    other = RidgeCV(ALPHAS).fit(shared[1], last)
    expected: np.ndarray = other.predict(one.predict(test))
    return expected


def one(name: str, seed: int, folder: str | None, steps: int) -> list[dict[str, Any]]:
    """Retrieval by every method on one table, with the columns and rows of one seed."""
    draw = np.random.default_rng(seed)
    X = kinview.load(name, data_dir=folder).pooled().X.reset_index(drop=True)
    sets = [list(X.columns[part]) for part in np.array_split(draw.permutation(X.shape[1]), 3)]
    rows = draw.permutation(len(X))
    test, half, rest = np.split(rows, [len(X) // HELD_OUT, (len(X) + len(X) // HELD_OUT) // 2])
    first, shared, last = (X[columns] for columns in sets)
    trainer = {"max_steps": steps, "max_epochs": 1000}
    models = []
    pairs = (
        PairedData(first=first.iloc[half], shared=shared.iloc[half]),
        PairedData(shared=shared.iloc[rest], last=last.iloc[rest]),
    )
    for one_of in pairs:
        models.append(CLIP(trainer=trainer, random_state=seed).fit(one_of))
    started = time.perf_counter()
    connected = CMCR(*models, random_state=seed).fit({"first": pairs[0], "second": pairs[1]})
    seconds = time.perf_counter() - started
    held_out = {"first": first.iloc[test], "last": last.iloc[test]}
    train = np.concatenate([half, rest])
    paired = CLIP(trainer=trainer, random_state=seed).fit(PairedData(first=first.iloc[train], last=last.iloc[train]))
    apart = [model.project({side: held_out[side]}, side) for model, side in zip(models, held_out, strict=True)]
    items = [model.project({"shared": shared.iloc[train]}, "shared") for model in models]
    rotation, _ = orthogonal_procrustes(*items)
    scaled = pd.DataFrame(StandardScaler().fit(X.iloc[train]).transform(X), columns=X.columns)
    z, s, y = (scaled[columns] for columns in sets)
    expected = chained(z.iloc[half], [s.iloc[half], s.iloc[rest]], y.iloc[rest], z.iloc[test])
    spaces = {
        "C-MCR": [connected.project(held_out, side) for side in held_out],
        "Procrustes": [apart[0] @ rotation, apart[1]],
        "ridge": [expected, y.iloc[test].to_numpy()],
        "with pairs": [paired.project(held_out, side) for side in held_out],
        "not connected": apart,
    }
    found = []
    for method, (A, B) in spaces.items():
        table = retrieval(A, B)
        mean = table[[*COLUMNS, "chance@1", "chance@10", "chance_rank"]].mean()
        found.append({"table": name, "seed": seed, "method": method, "n": len(test), "seconds": seconds, **mean})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", default=os.environ.get("KINVIEW_DATA"), help="folder of the data sets")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=150, help="steps of the training of each CLIP")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", UserWarning)
    started = time.perf_counter()
    runs = [(name, seed) for name in TABLES for seed in range(options.seeds)]
    frame = pd.DataFrame([row for name, seed in runs for row in one(name, seed, options.data, options.steps)])
    print("| table | method | recall@1 | recall@10 | mean rank |\n|---|---|---|---|---|")
    for (name, method), own in frame.groupby(["table", "method"], sort=False):
        cells = [interval(own[column], 1 / HELD_OUT, form=form) for column, form in COLUMNS.items()]
        print(f"| {name} | {method} | {' | '.join(cells)} |")
    for name, own in frame.groupby("table", sort=False):
        row = own.iloc[0]
        chance = f"{row['chance@1']:.3f} | {row['chance@10']:.3f} | {row['chance_rank']:.1f}"
        print(f"| {name} | chance ({row['n']} rows) | {chance} |")
    print("\nrecall@10 of C-MCR less that of Procrustes, paired over seeds:")
    for name, own in frame.groupby("table", sort=False):
        ways = own.pivot(index="seed", columns="method", values="recall@10")
        print(f"- {name}: {interval(ways['C-MCR'] - ways['Procrustes'], 1 / HELD_OUT, form='+.3f')}")
    print(f"\n{time.perf_counter() - started:.0f} s in all, {frame['seconds'].mean():.1f} s to connect two models")


if __name__ == "__main__":
    main()
