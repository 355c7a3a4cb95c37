"""Heads under wrong labels: probes on the same features, with 0, 20 and 40 % of the training labels wrong.

python benchmarks/heads.py FOLDER_OF_DATA --features raw
python benchmarks/heads.py FOLDER_OF_DATA --features minirocket --cache FOLDER

Accuracy on the official test parts of open archive sets of equal length, whose labels stay right; labels are wrong
symmetrically at the exact rate, the same for every probe. Per probe and rate: the mean over sets, and the difference to
``ridge`` with its 95 % interval over sets and the sets won and lost. Seeds are averaged within a set first. The open
sets are development data as a whole: robust_ridge was designed on them, one configuration for all.
"""

from __future__ import annotations

import argparse
import functools
import multiprocessing
import os
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

import kinview
from kinview.evaluation import SymmetricNoise, confidence_interval
from kinview.evaluation.probes import probes
from kinview.methods import methods

SETS = [
    "ACSF1",
    "ArrowHead",
    "BME",
    "BasicMotions",
    "Beef",
    "CBF",
    "CMJ",
    "Chinatown",
    "Coffee",
    "ECG200",
    "GunPoint",
    "GunPointAgeSpan",
    "GunPointMaleVersusFemale",
    "GunPointOldVersusYoung",
    "ItalyPowerDemand",
    "Lightning2",
    "Lightning7",
    "MelbournePedestrian",
    "OSULeaf",
    "SyntheticControl",
    "Trace",
    "UMD",
]
RATES = (0.0, 0.2, 0.4)


def features(name: str, method: str, folder: str, cache: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Features of the training and the test part, from the cache where they are there."""
    file = None if cache is None else Path(cache) / f"{method}-{name}.npz"
    if file is not None and file.exists():
        held = np.load(file)
        return held["train"], held["test"]
    data = kinview.load(name, data_dir=folder)
    model = methods.build(method).fit(data.X_train)
    train, test = (np.asarray(model.transform(X)) for X in (data.X_train, data.X_test))
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez(file, train=train, test=test)
    return train, test


def one(name: str, options: argparse.Namespace) -> list[dict[str, object]]:
    """Every probe on one set."""
    warnings.simplefilter("ignore", UserWarning)
    rows: list[dict[str, object]] = []
    with threadpool_limits(1):
        data = kinview.load(name, data_dir=options.data)
        train, test = features(name, options.features, options.data, options.cache)
        y, y_test = np.asarray(data.y_train), np.asarray(data.y_test)
        for rate in RATES:
            for seed in range(options.seeds if rate else 1):  # these probes draw nothing
                labels = SymmetricNoise(rate).apply(y, seed=seed).y
                for probe in options.probes:
                    start = time.perf_counter()
                    fitted = probes.build(probe).fit(train, labels)
                    accuracy = float(np.mean(fitted.predict(test) == y_test))
                    seconds = time.perf_counter() - start
                    rows.append({"set": name, "rate": rate, "probe": probe, "accuracy": accuracy, "seconds": seconds})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", default=os.environ.get("KINVIEW_DATA"), help="folder of the data sets")
    parser.add_argument("--features", default="raw", help="method without training whose embedding is probed")
    parser.add_argument("--cache", help="folder in which features are kept")
    parser.add_argument("--probes", nargs="+", default=["ridge", "robust_ridge", "linear", "svm"])
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    options.probes = list(dict.fromkeys(["ridge", *options.probes]))
    with multiprocessing.Pool(options.workers) as pool:
        found = pool.map(functools.partial(one, options=options), options.sets, chunksize=1)
    frame = pd.DataFrame([row for part in found for row in part])
    print(f"{len(options.sets)} sets, {options.seeds} seeds, features: {options.features}\n")
    print("| probe | " + " | ".join(f"{rate:.0%}: mean | to ridge [95 %], won/lost" for rate in RATES) + " | s a fit |")
    print("|---|" + "---|---|" * len(RATES) + "---|")
    by_set = frame.groupby(["probe", "rate", "set"])["accuracy"].mean().unstack()
    for probe in options.probes:
        cells = []
        for rate in RATES:
            accuracy, difference = by_set.loc[probe, rate], by_set.loc[probe, rate] - by_set.loc["ridge", rate]
            low, high = confidence_interval(difference.to_numpy()) if len(difference) > 1 else (np.nan, np.nan)
            won, lost = (difference > 1e-9).sum(), (difference < -1e-9).sum()
            shown = "" if probe == "ridge" else f"{difference.mean():+.4f} [{low:+.4f}, {high:+.4f}], {won}/{lost}"
            cells.append(f"{accuracy.mean():.4f} | {shown}")
        seconds = frame.loc[frame["probe"] == probe, "seconds"].mean()
        print(f"| {probe} | " + " | ".join(cells) + f" | {seconds:.2f} |")


if __name__ == "__main__":
    main()
