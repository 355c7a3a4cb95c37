"""The type of intensive care unit of a stay, without a label: PhysioNet challenge 2012.

python benchmarks/zero_shot_physionet2012.py FOLDER_OF_DATA

Four types (coronary, cardiac surgery recovery, medical, surgical), from hourly means of 37 channels, on 300 of 1,000
stays, drawn anew five times. A method of pairs is trained on the series and the descriptors of the others, without the
type or with it, 300 steps, cells of the table left out at random. Then

- *described*: the type stood in the table; each class is a row that says the type and nothing else;
- *withheld*: the table has age, sex and height alone. Nothing describes a class, so each is the mean of the unit
  projections of k training stays of it: series (the side that asks) or rows of the table (the other side).

Shown are accuracy, mean rank of the right class (1 is best, 2.5 chance) and balanced accuracy, with the 95 % interval
of the corrected resampled t test over splits (Nadeau and Bengio), beside a ridge on the statistics of the series with
all labels, and always the most frequent class.
"""

from __future__ import annotations

import argparse
import os
import warnings
from typing import Any

import numpy as np
import pandas as pd
import torch
from _intervals import interval
from joblib import Parallel, delayed
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedShuffleSplit

import kinview
from kinview import PairedData
from kinview.evaluation.probes import probes
from kinview.methods import SideBySide, methods

METHODS = ("paired_clip", "siglip", "mmcl")
SHOTS = (1, 5, 10, 50)
SEEDS = 5
TESTED = 0.3  # of the stays


def one(seed: int, folder: str, steps: int) -> list[dict[str, Any]]:
    """One split."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", UserWarning)
    samples = kinview.load("physionet2012", data_dir=folder, resample=1).pooled()
    assert samples.static is not None
    pairs = samples.pairs()
    kinds = samples.static["ICUType"].astype(int).to_numpy()
    fit, score = next(StratifiedShuffleSplit(1, test_size=TESTED, random_state=seed).split(kinds, kinds))
    classes = np.unique(kinds)
    table = samples.static
    without = PairedData(series=pairs.side("series"), table=table.drop(columns="ICUType"))
    found: list[dict[str, Any]] = []

    def note(method: str, how: str, scores: np.ndarray) -> None:
        right = np.searchsorted(classes, kinds[score])
        own = scores[np.arange(len(score)), right]
        rank = 1 + (scores > own[:, None]).sum(axis=1) + ((scores == own[:, None]).sum(axis=1) - 1) / 2
        said = classes[scores.argmax(axis=1)]
        found.append({
            "seed": seed, "method": method, "how": how, "accuracy": float((said == kinds[score]).mean()),
            "balanced": balanced_accuracy_score(kinds[score], said), "rank": float(rank.mean()),
        })  # fmt: skip

    for name in METHODS:
        built = methods.build(name).set_params(
            random_state=seed, table_augmentation={"cell_dropout": {"p": 0.5}},
            trainer={"max_steps": steps, "max_epochs": 10_000, "batch_size": 128},
        )  # fmt: skip
        described = built.fit(pairs[fit])
        rows = pd.DataFrame({"ICUType": classes.astype(table["ICUType"].dtype)})
        note(name, "described", described.match(pairs[score], {"table": rows}, side="series"))
        withheld = methods.build(name).set_params(**built.get_params()).fit(without[fit])
        asks = withheld.project(without[score], "series")
        for side in ("series", "table"):
            known = withheld.project(without[fit], side)
            for k in SHOTS:
                means = np.stack([prototype(known, kinds[fit] == kind, k, seed) for kind in classes])
                note(name, f"{k} of the {side}", asks @ means.T)
    alone = PairedData(series=pairs.side("series"), table=None)
    statistics = SideBySide(second="none").fit(alone[fit])
    head = probes.build("ridge", random_state=seed).fit(statistics.transform(alone[fit]), kinds[fit])
    scores = head.predict_scores(statistics.transform(alone[score]))
    note("ridge on statistics", "all labels", scores)
    note("most frequent class", "", np.tile(np.bincount(kinds[fit])[classes], (len(score), 1)).astype(float))
    return found


def prototype(known: np.ndarray, of_class: np.ndarray, k: int, seed: int) -> np.ndarray:
    """Direction of the mean of k unit projections of a class."""
    rows = np.flatnonzero(of_class & np.isfinite(known).all(axis=1))
    mean: np.ndarray = known[np.random.default_rng(seed).permutation(rows)[:k]].mean(axis=0)
    return mean / np.linalg.norm(mean)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", default=os.environ.get("KINVIEW_DATA"), help="folder of the data sets")
    parser.add_argument("--steps", type=int, default=300, help="steps of training")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    parts = Parallel(n_jobs=options.workers)(delayed(one)(seed, options.data, options.steps) for seed in range(SEEDS))
    frame = pd.DataFrame([row for part in parts for row in part])
    print("| method | classes are | accuracy | balanced accuracy | mean rank |\n|---|---|---|---|---|")
    for (method, how), rows in frame.groupby(["method", "how"], sort=False):
        cells = [interval(rows[name], TESTED) for name in ("accuracy", "balanced", "rank")]
        print(f"| {method} | {how} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
