"""Pairs: vital signs and laboratory values of 1,000 stays, and the four descriptors of each, PhysioNet challenge 2012.

python benchmarks/pairs_physionet2012.py FOLDER_OF_DATA

Series are means over each hour of 37 channels, the table has age, sex, height and type of intensive care unit.
Methods of pairs are trained on the training folds without labels (stratified 5-fold cross-validation, twice), one
configuration for all; LiT and Three Towers are given the network that was trained on series alone, and the critics of
FactorCL are 128 wide. Shown are the retrieval of a stay's other side among those of the test fold, and in-hospital
death from one side or both: from what the methods make of it, from the same networks untrained, from a network of
series trained on series alone (SimCLR) and from statistics of the values. With all labels, 10 % and 1 % of them (at
least one of each class), and with the descriptors of half of the test stays missing. Nothing is chosen by looking at
a test fold.

Intervals are of the corrected resampled t test (Nadeau and Bengio), because the training sets of folds overlap.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, delayed
from scipy import stats
from sklearn.model_selection import RepeatedStratifiedKFold

import kinview
from kinview.data import label_subset
from kinview.diagnostics import modality_gap, retrieval
from kinview.evaluation import evaluate
from kinview.evaluation.probes import probes
from kinview.methods import RawFeatures, SimCLR, Summary, methods

PAIRED = ("paired_clip", "siglip", "convirt", "mmcl", "lit", "three_towers", "factor_cl")
PROBES = ("linear", "xgboost")
GIVEN = {"lit": "locked", "three_towers": "third"}  # parameter that takes a model of series
SIZES = {"factor_cl": {"hidden_dim": 128}}  # of its critics: 512, the default, take nine times as long
METRICS = ("auroc", "auprc")
FRACTIONS = (1.0, 0.1, 0.01)
FOLDS, REPEATS = 5, 2


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
    lacking = np.random.default_rng(number).permutation(len(test)) < len(test) / 2
    tests = {"as it is": test, "half without descriptors": test.without("table", lacking)}
    found: list[dict[str, Any]] = []
    shown: dict[str, tuple[np.ndarray, dict[str, np.ndarray]]] = {}

    def show(name: str, transform: Any) -> None:
        shown[name] = transform(train), {kind: transform(part) for kind, part in tests.items()}

    values = data.pooled().X.drop(columns=list(data.static_train.columns), errors="ignore")
    series = values[values.index.get_level_values(0).isin(train.index)]
    alone = SimCLR(random_state=number, trainer=trainer).fit(series)
    for name in PAIRED:
        started = time.perf_counter()
        more = {GIVEN[name]: alone} if name in GIVEN else SIZES.get(name, {})
        model = methods.build(name).set_params(random_state=number, trainer=trainer, **more).fit(train)
        seconds = time.perf_counter() - started
        for direction, row in retrieved(model, test).iterrows():
            found.append({"fold": number, "method": name, "direction": direction, "seconds": seconds, **row})
        for side in ("series", "table", "both"):
            show(f"{name}, {side}", lambda part, m=model, s=side: m.transform(part, side=s))
    untrained = methods.build("paired_clip").set_params(random_state=number).initialise(train)
    for side in ("series", "table", "both"):
        show(f"untrained, {side}", lambda part, s=side: untrained.transform(part, side=s))
    statistics = Summary().fit(series)
    table = RawFeatures().fit(train.side("table").rows())

    def of_series(model: Any, part: Any) -> np.ndarray:
        return np.asarray(model.transform(values[values.index.get_level_values(0).isin(part.index)]).loc[part.index])

    def of_table(part: Any) -> np.ndarray:
        Z = np.asarray(table.transform(part.side("table").rows(), missing="keep"), dtype=np.float64)
        whole = np.full((len(part), Z.shape[1]), np.nan)
        whole[part.side("table").present] = Z
        return whole

    show("SimCLR, series", lambda part: of_series(alone, part))
    show("statistics, series", lambda part: of_series(statistics, part))
    show("values, table", of_table)
    show("statistics and values, both", lambda part: np.hstack([of_series(statistics, part), of_table(part)]))
    show("SimCLR and values, both", lambda part: np.hstack([of_series(alone, part), of_table(part)]))
    for fraction in FRACTIONS:
        kept = label_subset(y[fit], fraction, number)
        for name, (Z, others) in shown.items():
            mean = np.nan_to_num(np.nanmean(Z, axis=0))
            for probe in PROBES:
                fill = (
                    (lambda part: part)
                    if probe == "xgboost"
                    else (lambda part, m=mean: np.where(np.isnan(part), m, part))
                )
                head = probes.build(probe, random_state=number)
                head.fit(fill(Z)[kept], y[fit][kept])
                for kind, part in others.items():
                    if kind != "as it is" and fraction < 1:
                        continue
                    scored = evaluate(y[score], head.predict_scores(fill(part)), head.classes_)
                    what = {"fold": number, "method": name, "probe": probe, "labels": fraction, "test": kind}
                    found.append(what | {metric: scored[metric] for metric in METRICS})
    return found


def retrieved(model: Any, test: Any) -> pd.DataFrame:
    """Retrieval in both directions: by cosines, or by what the network says that compares both sides."""
    if model.projects:
        A, B = model.project(test, "series"), model.project(test, "table")
        return retrieval(A, B).assign(gap=modality_gap(A, B).gap)
    whole = test[test.complete]
    found = [retrieval(model.match(whole, whole, side=name), np.eye(len(whole))).iloc[[0]] for name in test.names]
    return pd.concat(found).set_axis(["first to second", "second to first"]).assign(gap=np.nan)


def interval(values: np.ndarray) -> str:
    """Mean over folds with its corrected 95 % interval."""
    n = len(values)
    half = stats.t.ppf(0.975, n - 1) * np.sqrt((1 / n + 1 / (FOLDS - 1)) * values.var(ddof=1))
    return f"{values.mean():.3f} [{values.mean() - half:.3f}, {values.mean() + half:.3f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", default=os.environ.get("KINVIEW_DATA"), help="folder of the data sets")
    parser.add_argument("--steps", type=int, default=200, help="steps of training")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folds", type=int, default=FOLDS * REPEATS, help="so many of the ten folds; all by default")
    parser.add_argument("--json", help="file for the rows of all folds")
    options = parser.parse_args()
    parts = Parallel(n_jobs=options.workers)(
        delayed(one)(number, options.data, options.steps) for number in range(options.folds)
    )
    frame = pd.DataFrame([row for part in parts for row in part])
    if options.json:
        Path(options.json).write_text(json.dumps(frame.to_dict("records")), encoding="utf-8")
    found = frame.dropna(subset=["direction"])
    print("| method | direction | recall@1 | recall@5 | recall@10 | mean rank of 200 | gap | seconds |")
    print("|---|---|---|---|---|---|---|---|")
    for (name, direction), rows in found.groupby(["method", "direction"], sort=False):
        shown = [interval(rows[f"recall@{k}"].to_numpy()) for k in (1, 5, 10)]
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
            cells = [interval(own.loc[own["probe"] == p, m].to_numpy()) for p in PROBES for m in METRICS]
            print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
