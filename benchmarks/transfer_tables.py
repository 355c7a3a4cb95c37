"""Transfer between tables: TransTab pre-trained on four tables, used on a fifth whose columns it has not seen.

python benchmarks/transfer_tables.py FOLDER_OF_DATA

Pre-training: the training parts of heart-c, hepatitis, breast-cancer and credit-g together, without labels. Use:
heart-h, of whose thirteen columns twelve have the names that they have in heart-c, with 10 % of its training labels and
with all, fine-tuned and frozen, against the same network from scratch, pre-training on the training rows of heart-h
alone, and XGBoost on raw features. Scores are of its test part; the pre-training and the labels differ by seed.
Tables and sizes were fixed before the first run; nothing is chosen by looking at the test part.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from typing import Any

import pandas as pd
import torch
from joblib import Parallel, delayed

import kinview
from kinview.data import label_subset
from kinview.evaluation import confidence_interval, evaluate
from kinview.evaluation.probes import probes
from kinview.methods import RawFeatures, TransTab

SOURCES = ("heart-c", "hepatitis", "breast-cancer", "credit-g")
TARGET = "heart-h"
METRICS = ("accuracy", "auroc")
SCRATCH = "from scratch"


def one(seed: int, folder: str, steps: int, fractions: tuple[float, ...]) -> list[dict[str, Any]]:
    """Scores of every start with the labels of this seed."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", UserWarning)
    trainer = {"max_steps": steps}
    started = time.perf_counter()
    tables = [kinview.load(name, data_dir=folder).X_train for name in SOURCES]
    elsewhere = TransTab(random_state=seed, trainer=trainer).fit(tables)
    seconds = time.perf_counter() - started
    data = kinview.load(TARGET, data_dir=folder)
    at_home = TransTab(random_state=seed, trainer=trainer).fit(data.X_train)
    raw = RawFeatures().fit(data.X_train)
    found = []
    for fraction in fractions:
        kept = label_subset(data.y_train, fraction, seed)
        tuned = {
            "four other tables": kinview.FineTunedClassifier(elsewhere, transfer=True, random_state=seed),
            "four other tables, frozen": kinview.FineTunedClassifier(
                elsewhere, transfer=True, freeze="encoder", random_state=seed
            ),
            "its own rows": kinview.FineTunedClassifier(at_home, random_state=seed),
            "its own rows, frozen": kinview.FineTunedClassifier(at_home, freeze="encoder", random_state=seed),
            SCRATCH: kinview.FineTunedClassifier("transtab", pretrain=False, random_state=seed),
        }
        said = {}
        for start, classifier in tuned.items():
            classifier.fit(data.X_train.iloc[kept], data.y_train[kept])
            said[start] = classifier.predict_proba(data.X_test), classifier.classes_
        trees = probes.build("xgboost", random_state=seed)
        trees.fit(raw.transform(data.X_train.iloc[kept], missing="keep"), data.y_train[kept])
        said["XGBoost on raw features"] = (
            trees.predict_scores(raw.transform(data.X_test, missing="keep")),
            trees.classes_,
        )
        for start, (scores, classes) in said.items():
            values = evaluate(data.y_test, scores, classes)
            found.append(
                {"seed": seed, "labels": len(kept), "start": start, "seconds": seconds}
                | {metric: values[metric] for metric in METRICS}
            )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", default=os.environ.get("KINVIEW_DATA"), help="folder of the data sets")
    parser.add_argument("--steps", type=int, default=500, help="steps of pre-training")
    parser.add_argument("--fractions", type=float, nargs="+", default=[0.1, 1.0], help="of the training labels")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    rows = Parallel(n_jobs=options.workers)(
        delayed(one)(seed, options.data, options.steps, tuple(options.fractions)) for seed in range(options.seeds)
    )
    frame = pd.DataFrame([row for part in rows for row in part])
    print(f"{options.seeds} seeds, {options.steps} steps, {frame['seconds'].mean():.0f} s of pre-training\n")
    print(
        "| labels | start | " + " | ".join(METRICS) + " | minus from scratch |\n|---|---|" + "---|" * (len(METRICS) + 1)
    )
    for labels, part in frame.groupby("labels"):
        base = part[part["start"] == SCRATCH].set_index("seed")
        for start, own in part.groupby("start", sort=False):
            values = " | ".join(f"{own[metric].mean():.3f} ± {own[metric].std():.3f}" for metric in METRICS)
            texts = []
            for metric in METRICS:
                difference = (own.set_index("seed")[metric] - base[metric]).to_numpy()
                low, high = confidence_interval(difference)
                texts.append(f"{metric} {difference.mean():+.3f} [{low:+.3f}, {high:+.3f}]")
            print(f"| {labels} | {start} | {values} | {'' if start == SCRATCH else ', '.join(texts)} |")


if __name__ == "__main__":
    main()
