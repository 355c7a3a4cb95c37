"""Transfer: pre-trained on one ECG set, fine-tuned on another with few labels, against training from scratch.

python benchmarks/transfer.py FOLDER_OF_DATA

Pre-training: windows of the ten unlabelled MIT-BIH recordings (360 Hz, brought to 120 Hz, so that a beat has about as
many steps as in ECG200). TS-TCC and CMSC (CLOCS), whose positives are the segments of one recording, read the lead
MLII, which nine of them have; TF-C, channel by channel, both signals of all ten, whatever the leads. Fine-tuning: 10 %
of the training labels of ECG200 (96 steps, one channel), all of the network, test scores on its 100 test series. The
two sets differ in length, and for TF-C in the number of channels. Nothing is chosen by looking at the test part.
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
from joblib import Parallel, delayed
from scipy.signal import decimate

import kinview
from kinview.data import label_subset
from kinview.evaluation import confidence_interval, evaluate
from kinview.methods import methods

SPECS: dict[str, Any] = {"tstcc": {"tstcc": {}}, "tfc": {"tfc": {"channel_independent": True}}, "cmsc": {"cmsc": {}}}
SIGNALS: dict[str, list[Any]] = {"tstcc": ["MLII"], "tfc": [0, 1], "cmsc": ["MLII"]}
STEPS = {"tstcc": 128, "tfc": 128, "cmsc": 256}  # CLOCS draws two segments that follow one another from a window
METRICS = ("accuracy", "auroc", "auprc")


def recordings(folder: str, signals: list[Any], steps: int, rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Windows (rows, signals, steps) at 120 Hz of all recordings that have the signals, and which each is of."""
    whole = kinview.load("MITBIH_unlabelled", data_dir=folder, seconds=10.0, signals=signals)
    long = decimate(np.concatenate([whole.X_train, whole.X_test]), 3, axis=2, zero_phase=True)
    number = long.shape[2] // steps
    cut = long[:, :, : number * steps].reshape(*long.shape[:2], number, steps)
    windows = cut.swapaxes(1, 2).reshape(-1, len(signals), steps)
    patients = np.repeat(np.concatenate([whole.groups_train, whole.groups_test]), number)
    drawn = np.random.default_rng(seed).choice(len(windows), size=min(rows, len(windows)), replace=False)
    return windows[drawn], patients[drawn]


def one(name: str, seed: int, folder: str, rows: int, epochs: int, fraction: float) -> list[dict[str, Any]]:
    """Pre-trained and from scratch, with the same labels and the same seed."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", UserWarning)
    started = time.perf_counter()
    X, patients = recordings(folder, SIGNALS[name], steps=STEPS[name], rows=rows, seed=seed)
    estimator = methods.build(SPECS[name]).set_params(random_state=seed, trainer={"max_epochs": epochs})
    pretrained = estimator.fit(X, groups=patients)
    seconds = time.perf_counter() - started
    data = kinview.load("ECG200", data_dir=folder)
    kept = label_subset(data.y_train, fraction, seed)
    starts = {
        "pre-trained": kinview.FineTunedClassifier(pretrained, transfer=True, random_state=seed),
        "from scratch": kinview.FineTunedClassifier(SPECS[name], pretrain=False, random_state=seed),
        "pre-trained, frozen": kinview.FineTunedClassifier(
            pretrained, transfer=True, freeze="encoder", random_state=seed
        ),
    }
    found = []
    for start, classifier in starts.items():
        classifier.fit(data.X_train[kept], data.y_train[kept])
        scores = evaluate(data.y_test, classifier.predict_proba(data.X_test), classifier.classes_)
        values = {metric: scores[metric] for metric in METRICS}
        found.append({"method": name, "seed": seed, "start": start, "labels": len(kept), "seconds": seconds, **values})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", default=os.environ.get("KINVIEW_DATA"), help="folder of the data sets")
    parser.add_argument("--rows", type=int, default=4000, help="windows to pre-train on")
    parser.add_argument("--epochs", type=int, default=10, help="epochs of pre-training")
    parser.add_argument("--fraction", type=float, default=0.1, help="fraction of the training labels")
    parser.add_argument("--methods", nargs="+", choices=list(SPECS), default=list(SPECS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    jobs = [(name, seed) for seed in range(options.seeds) for name in options.methods]
    rows = Parallel(n_jobs=options.workers)(
        delayed(one)(name, seed, options.data, options.rows, options.epochs, options.fraction) for name, seed in jobs
    )
    frame = pd.DataFrame([row for part in rows for row in part])
    labels, seconds = frame["labels"].iloc[0], frame["seconds"].mean()
    print(f"{labels} labels, {options.seeds} seeds, {options.rows} windows, {seconds:.0f} s of pre-training a model\n")
    print("| method | start | " + " | ".join(METRICS) + " |\n|---|---|" + "---|" * len(METRICS))
    for (name, start), part in frame.groupby(["method", "start"], sort=False):
        print(
            f"| {name} | {start} | " + " | ".join(f"{part[m].mean():.3f} ± {part[m].std():.3f}" for m in METRICS) + " |"
        )
    print("\nPaired difference to training from scratch (mean, 95 % interval over seeds):\n")
    for name, part in frame.groupby("method", sort=False):
        wide = part.pivot(index="seed", columns="start", values=list(METRICS))
        for start in ("pre-trained", "pre-trained, frozen"):
            texts = []
            for metric in METRICS:
                difference = (wide[metric][start] - wide[metric]["from scratch"]).to_numpy()
                low, high = confidence_interval(difference)
                texts.append(f"{metric} {difference.mean():+.3f} [{low:+.3f}, {high:+.3f}]")
            print(f"- {name}, {start}: " + ", ".join(texts))


if __name__ == "__main__":
    main()
