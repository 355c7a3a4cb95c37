"""Pairs: vital signs and laboratory values of 1,000 stays, and the four descriptors of each, PhysioNet challenge 2012.

python benchmarks/pairs_physionet2012.py FOLDER_OF_DATA

Series are means over each hour of 37 channels, the table has age, sex, height and type of intensive care unit.
Methods of pairs are trained on the training folds without labels (stratified 5-fold cross-validation, twice), one
configuration for all. Shown are the retrieval of a stay's other side among those of the test fold, and in-hospital
death from one side or both: from what the methods make of it, from the same networks untrained, from a network of
series trained on series alone (SimCLR) and from statistics of the values. With all labels, 10 % and 1 % of them (at
least one of each class), and with the descriptors of half of the test stays missing. Nothing is chosen by looking at
a test fold.

Intervals are of the corrected resampled t test (Nadeau and Bengio), because the training sets of folds overlap.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from _intervals import interval
from joblib import Parallel, delayed
from sklearn.model_selection import RepeatedStratifiedKFold

import kinview
from kinview.data import label_subset
from kinview.datasets import Dataset
from kinview.diagnostics import modality_gap, retrieval
from kinview.evaluation import evaluate
from kinview.evaluation.probes import probes
from kinview.methods import RawFeatures, SimCLR, Summary, methods

PAIRED = ("paired_clip", "siglip", "convirt", "mmcl")
PROBES = ("linear", "xgboost")
METRICS = ("auroc", "auprc")
FRACTIONS = (1.0, 0.1, 0.01)
FOLDS, REPEATS = 5, 2


Transform = Callable[[kinview.PairedData], np.ndarray]


def one(number: int, folder: str, steps: int) -> list[dict[str, Any]]:
    """Retrieval and scores of every representation on one fold."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", UserWarning)
    data = kinview.load("physionet2012", data_dir=folder, resample=1)
    pairs, y = data.pairs(), data.pooled().y
    splitter = RepeatedStratifiedKFold(n_splits=FOLDS, n_repeats=REPEATS, random_state=0)
    fit, score = list(splitter.split(np.zeros(len(y)), y))[number]
    train, test = pairs[fit], pairs[score]
    trainer = {"max_steps": steps, "max_epochs": 1000, "batch_size": 128}
    found: list[dict[str, Any]] = []
    transforms: dict[str, Transform] = {}
    for name in PAIRED:
        started = time.perf_counter()
        model = methods.build(name).set_params(random_state=number, trainer=trainer).fit(train)
        what = {"fold": number, "method": name, "seconds": time.perf_counter() - started}
        found += [what | row for row in retrieved(model, test)]
        transforms |= by_side(name, model)
    transforms |= by_side("untrained", methods.build("paired_clip").set_params(random_state=number).initialise(train))
    transforms |= of_one_side(data, train, SimCLR(random_state=number, trainer=trainer))
    lacking = np.random.default_rng(number).permutation(len(test)) < len(test) / 2
    tests = {"as it is": test, "half without descriptors": test.without("table", lacking)}
    shown = {
        name: (transform(train), {kind: transform(part) for kind, part in tests.items()})
        for name, transform in transforms.items()
    }
    for fraction in FRACTIONS:
        kept = label_subset(y[fit], fraction, number)
        for name, (Z, others) in shown.items():
            asked = others if fraction == 1 else {"as it is": others["as it is"]}
            what = {"fold": number, "method": name, "labels": fraction}
            found += [what | row for row in scored(Z, y[fit], kept, asked, y[score], number)]
    return found


def retrieved(model: Any, test: kinview.PairedData) -> list[dict[str, Any]]:
    """Retrieval of the test stays' other sides in both directions, and the gap between the sides."""
    A, B = model.project(test, "series"), model.project(test, "table")
    gap = modality_gap(A, B).gap
    return [{"direction": direction, "gap": gap, **row} for direction, row in retrieval(A, B).iterrows()]


def by_side(name: str, model: Any) -> dict[str, Transform]:
    """What a method of pairs makes of each side, and of both."""
    return {f"{name}, {side}": functools.partial(model.transform, side=side) for side in ("series", "table", "both")}


def of_one_side(data: Dataset, train: kinview.PairedData, network: SimCLR) -> dict[str, Transform]:
    """Representations of series alone and of the table alone, and of both beside each other."""
    values = data.pooled().X.drop(columns=list(data.static_train.columns), errors="ignore")
    table = RawFeatures().fit(train.side("table").rows())

    def series_of(part: kinview.PairedData) -> pd.DataFrame:
        return values[values.index.get_level_values(0).isin(part.index)]

    def of_series(model: Any, part: kinview.PairedData) -> np.ndarray:
        return np.asarray(model.transform(series_of(part)).loc[part.index])

    def of_table(part: kinview.PairedData) -> np.ndarray:
        Z = np.asarray(table.transform(part.side("table").rows(), missing="keep"), dtype=np.float64)
        whole = np.full((len(part), Z.shape[1]), np.nan)
        whole[part.side("table").present] = Z
        return whole

    alone: Transform = functools.partial(of_series, network.fit(series_of(train)))
    statistics: Transform = functools.partial(of_series, Summary().fit(series_of(train)))
    return {
        "SimCLR, series": alone,
        "statistics, series": statistics,
        "values, table": of_table,
        "statistics and values, both": lambda part: np.hstack([statistics(part), of_table(part)]),
        "SimCLR and values, both": lambda part: np.hstack([alone(part), of_table(part)]),
    }


def scored(
    Z: np.ndarray, y: np.ndarray, kept: np.ndarray, tests: dict[str, np.ndarray], y_test: np.ndarray, seed: int
) -> list[dict[str, Any]]:
    """Metrics of each probe on each test part, from the training rows that keep their label."""
    mean = np.nan_to_num(np.nanmean(Z, axis=0))
    found = []
    for probe in PROBES:
        fill = mean if probe != "xgboost" else np.nan  # it takes what is missing
        head = probes.build(probe, random_state=seed)
        head.fit(np.where(np.isnan(Z), fill, Z)[kept], y[kept])
        for kind, part in tests.items():
            of_metrics = evaluate(y_test, head.predict_scores(np.where(np.isnan(part), fill, part)), head.classes_)
            found.append({"probe": probe, "test": kind} | {metric: of_metrics[metric] for metric in METRICS})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", default=os.environ.get("KINVIEW_DATA"), help="folder of the data sets")
    parser.add_argument("--steps", type=int, default=200, help="steps of training")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", help="file for the rows of all folds")
    options = parser.parse_args()
    parts = Parallel(n_jobs=options.workers)(
        delayed(one)(number, options.data, options.steps) for number in range(FOLDS * REPEATS)
    )
    frame = pd.DataFrame([row for part in parts for row in part])
    if options.json:
        Path(options.json).write_text(json.dumps(frame.to_dict("records")), encoding="utf-8")
    found = frame.dropna(subset=["direction"])
    print("| method | direction | recall@1 | recall@5 | recall@10 | mean rank of 200 | gap | seconds |")
    print("|---|---|---|---|---|---|---|---|")
    for (name, direction), rows in found.groupby(["method", "direction"], sort=False):
        shown = [interval(rows[f"recall@{k}"], 1 / FOLDS) for k in (1, 5, 10)]
        more = f"{rows['mean_rank'].mean():.1f} | {rows['gap'].mean():.2f} | {rows['seconds'].mean():.0f}"
        print(f"| {name} | {direction} | {' | '.join(shown)} | {more} |")
    row = found.iloc[0]
    chance = " | ".join(f"{row[f'chance@{k}']:.3f}" for k in (1, 5, 10))
    print(f"| chance | | {chance} | {row['chance_rank']:.1f} | | |")
    scores = frame.dropna(subset=["probe"])
    for (fraction, kind), rows in scores.groupby(["labels", "test"], sort=False):
        print(f"\n{fraction:.0%} of the labels, test stays {kind}:\n")
        print("| representation | " + " | ".join(f"{metric}, {probe}" for probe in PROBES for metric in METRICS) + " |")
        print("|---|" + "---|" * (len(PROBES) * len(METRICS)))
        for name, own in rows.groupby("method", sort=False):
            cells = [interval(own.loc[own["probe"] == p, m], 1 / FOLDS) for p in PROBES for m in METRICS]
            print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
