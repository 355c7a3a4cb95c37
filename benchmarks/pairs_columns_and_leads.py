"""Pairs of two column sets of one table, and of two leads of one recording: retrieval, the gap, and what a probe reads.

python benchmarks/pairs_columns_and_leads.py FOLDER_OF_DATA

**Columns**: the columns of a table are cut at random into two halves; methods of pairs learn from the training folds
without labels, on stratified 5-fold cross-validation, twice, with another cut each time. Shown are the retrieval of a
row's other half among those of the test fold, and the class from one half or both, beside the values themselves and the
same networks untrained, with all labels and 10 % of them.

**Leads**: windows of two seconds of both leads of ten ambulatory electrocardiograms (MIT-BIH) without labels, 60 a
record in training; two records are left out each time, five times, and the other lead is found among 100 windows of
them. What was learned of the first lead then embeds ECG200 (another set of people, one lead, 96 steps a beat): ridge on
its official split, beside the same network untrained. One configuration for all; nothing is chosen by a test part.

Intervals are of the corrected resampled t test over folds (Nadeau and Bengio).
"""

from __future__ import annotations

import argparse
import json
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from _intervals import interval
from joblib import Parallel, delayed
from sklearn.model_selection import RepeatedStratifiedKFold

import kinview
from kinview import PairedData
from kinview.data import label_subset
from kinview.diagnostics import modality_gap, retrieval, shifted
from kinview.evaluation import evaluate
from kinview.evaluation.probes import probes
from kinview.methods import RawFeatures, methods

TABLES = ("ionosphere", "breast_cancer")
PAIRED = ("paired_clip", "siglip", "mmcl")
FRACTIONS = (1.0, 0.1)
FOLDS, REPEATS = 5, 2
WINDOWS, TESTED = 60, 100
LEFT_OUT = 5  # times two of ten records


def trainer(steps: int) -> dict[str, Any]:
    """Training, the same for all."""
    return {"max_steps": steps, "max_epochs": 10_000, "batch_size": 128}


def found_sides(model: Any, test: PairedData) -> dict[str, float]:
    """Retrieval as the mean of both directions, and the gap, before and after it is closed."""
    A, B = (model.project(test, side) for side in test.names)
    before = modality_gap(A, B).gap
    moved = shifted(A, B, before)
    row, closed = retrieval(A, B).mean(), retrieval(*moved).mean()
    return {
        **{name: row[name] for name in ("recall@1", "recall@10", "chance@10", "mean_rank", "chance_rank")},
        "gap": before, "recall@10 closed": closed["recall@10"], "gap closed": modality_gap(*moved).gap,
    }  # fmt: skip


def columns(name: str, number: int, folder: str, steps: int) -> list[dict[str, Any]]:
    """One fold of a table."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", UserWarning)
    samples = kinview.load(name, data_dir=folder).pooled()
    X, y = samples.X.reset_index(drop=True), samples.y
    assert y is not None
    splitter = RepeatedStratifiedKFold(n_splits=FOLDS, n_repeats=REPEATS, random_state=0)
    fit, score = list(splitter.split(X, y))[number]
    order = np.random.default_rng(number).permutation(X.shape[1])
    halves = [X.columns[np.sort(part)] for part in np.array_split(order, 2)]
    pairs = PairedData(first=X[halves[0]], second=X[halves[1]])
    train, test = pairs[fit], pairs[score]
    found: list[dict[str, Any]] = []
    shown: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for kind in PAIRED:
        model = methods.build(kind).set_params(random_state=number, trainer=trainer(steps)).fit(train)
        found.append({"data": name, "fold": number, "method": kind, **found_sides(model, test)})
        for side in ("first", "both"):
            shown[f"{kind}, {side}"] = (model.transform(train, side=side), model.transform(test, side=side))
    untrained = methods.build("paired_clip").set_params(random_state=number).initialise(train)
    shown["untrained, both"] = (untrained.transform(train), untrained.transform(test))
    for side, own in (("first", halves[0]), ("both", X.columns)):
        raw = RawFeatures().fit(X.loc[fit, own])
        shown[f"values, {side}"] = (raw.transform(X.loc[fit, own]), raw.transform(X.loc[score, own]))
    for fraction in FRACTIONS:
        kept = label_subset(y[fit], fraction, number)
        for label, (Z, others) in shown.items():
            head = probes.build("ridge", random_state=number).fit(np.asarray(Z)[kept], y[fit][kept])
            auroc = evaluate(y[score], head.predict_scores(np.asarray(others)), head.classes_)["auroc"]
            found.append({"data": name, "fold": number, "method": label, "labels": fraction, "auroc": auroc})
    return found


def leads(number: int, folder: str, steps: int) -> list[dict[str, Any]]:
    """Two records left out: their leads, and ECG200 by what was learned of the first lead."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", UserWarning)
    samples = kinview.load("MITBIH_unlabelled", data_dir=folder, seconds=2, signals=[0, 1]).pooled()
    records = np.unique(samples.groups)
    out = records[2 * number : 2 * number + 2]
    draw = np.random.default_rng(number)

    def windows(chosen: np.ndarray, each: int) -> np.ndarray:
        rows = [draw.permutation(np.flatnonzero(samples.groups == record))[:each] for record in chosen]
        return samples.X[np.concatenate(rows)][:, :, ::4]  # 90 Hz

    parts = [windows(np.setdiff1d(records, out), WINDOWS), windows(out, TESTED // 2)]
    train, test = (PairedData(first=x[:, :1], second=x[:, 1:]) for x in parts)
    ecg = kinview.load("ECG200", data_dir=folder)
    found = []
    for kind in (*PAIRED, "untrained"):
        model = methods.build("paired_clip" if kind == "untrained" else kind).set_params(random_state=number)
        model.set_params(scaling="sample")  # leads of other devices differ in gain
        if kind == "untrained":
            model.initialise(train)
        else:
            model.set_params(trainer=trainer(steps)).fit(train)
        Z, others = (model.transform({"first": x}, side="first") for x in (ecg.X_train, ecg.X_test))
        head = probes.build("ridge", random_state=number).fit(Z, ecg.y_train)
        accuracy = float((head.predict(others) == ecg.y_test).mean())
        row = {"data": "leads", "fold": number, "method": kind, "ECG200": accuracy}
        found.append(row if kind == "untrained" else row | found_sides(model, test))
    return found


def print_sides(rows: pd.DataFrame, folds: int) -> None:
    """Retrieval and the gap of each method."""
    print("\n| method | recall@1 | recall@10 | mean rank | gap | recall@10, gap closed | gap then |")
    print("|---|---|---|---|---|---|---|")
    for name, own in rows.groupby("method", sort=False):
        recall = [interval(own[column], 1 / folds) for column in ("recall@1", "recall@10")]
        closed = interval(own["recall@10 closed"], 1 / folds)
        rank, gap, then = (own[column].mean() for column in ("mean_rank", "gap", "gap closed"))
        print(f"| {name} | {' | '.join(recall)} | {rank:.1f} | {gap:.2f} | {closed} | {then:.2f} |")
    print(f"| chance | | {rows['chance@10'].mean():.3f} | {rows['chance_rank'].mean():.1f} | | | |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", default=os.environ.get("KINVIEW_DATA"), help="folder of the data sets")
    parser.add_argument("--steps", type=int, default=200, help="steps of training")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", help="file for the rows of all folds")
    options = parser.parse_args()
    work = [delayed(columns)(name, i, options.data, options.steps) for name in TABLES for i in range(FOLDS * REPEATS)]
    work += [delayed(leads)(i, options.data, options.steps) for i in range(LEFT_OUT)]
    frame = pd.DataFrame([row for part in Parallel(n_jobs=options.workers)(work) for row in part])
    if options.json:
        Path(options.json).write_text(json.dumps(frame.to_dict("records")), encoding="utf-8")
    for name in TABLES:
        own = frame[frame["data"] == name]
        print(f"\n## {name}")
        print_sides(own.dropna(subset=["gap"]), FOLDS)
        print(f"\n| representation | {' | '.join(f'AUROC, {100 * one:g} % of the labels' for one in FRACTIONS)} |")
        print("|---|---|---|")
        for label, rows in own.dropna(subset=["auroc"]).groupby("method", sort=False):
            cells = [interval(rows.loc[rows["labels"] == one, "auroc"], 1 / FOLDS) for one in FRACTIONS]
            print(f"| {label} | {' | '.join(cells)} |")
    own = frame[frame["data"] == "leads"]
    print("\n## leads")
    print_sides(own.dropna(subset=["gap"]), LEFT_OUT)
    print("\n| method | accuracy on ECG200 |\n|---|---|")
    for label, rows in own.groupby("method", sort=False):
        print(f"| {label} | {interval(rows['ECG200'], 1 / LEFT_OUT)} |")


if __name__ == "__main__":
    main()
