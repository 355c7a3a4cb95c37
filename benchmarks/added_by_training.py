"""Does self-supervised training add anything to fixed features? MiniRocket alone, and with what training can add.

python benchmarks/added_by_training.py FOLDER_OF_DATA

Everything is fitted on the complete training series, without labels; gaps are completed. Accuracy of ridge regression
on the official test parts: as they are, and with 40 % of the values removed from both parts, single ones or in
blocks. Each block of features is standardised on the training part and weighs as much as MiniRocket's. Beside every
learned block stands the same one of the untrained network, so that what training adds is told from what more features
add. Seeds are averaged within a set first; intervals are over sets. The open sets are development data as a whole:
one configuration for all.

ts2vec, simclr     representations of 200 steps of training
ts2vec quantiles   how often each representation of a step is above its training quantiles, instead of its maximum
nt_xent, vicreg    hidden layer of a projector of MiniRocket's features, trained on copies of the series with gaps
agreeing half      the half of MiniRocket's features that vary least between such copies, for how they vary over series
"""

from __future__ import annotations

import argparse
import functools
import multiprocessing
import os
import time
import warnings
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import RidgeClassifierCV
from sklearn.preprocessing import StandardScaler
from torch import nn

import kinview
from kinview.evaluation import confidence_interval, corrupt
from kinview.losses import NTXent, VICReg
from kinview.methods import methods

SETS = [
    "ArrowHead", "BME", "BasicMotions", "Beef", "Chinatown", "Coffee", "ECG200", "GunPoint", "ItalyPowerDemand",
    "JapaneseVowels", "PickupGestureWiimoteZ", "ShakeGestureWiimoteZ", "SyntheticControl", "Trace", "UMD",
]  # fmt: skip
CONDITIONS: dict[str, Any] = {"complete": None, "40 % missing": "mcar", "40 % in blocks": "block"}
QUANTILES = np.linspace(0.1, 0.9, 9)
STEPS, COPIES, HIDDEN = 200, 8, 256
ALONE = "minirocket"


def blocks(data: Any, conditions: dict[str, tuple[Any, Any]], seed: int) -> dict[str, dict[str, tuple[Any, Any]]]:
    """Name of the features → condition → those of the training and of the test part."""
    found: dict[str, dict[str, tuple[Any, Any]]] = {}

    def add(name: str, features: Any) -> None:
        found[name] = {where: (features(train), features(test)) for where, (train, test) in conditions.items()}

    rocket = methods.build({"minirocket": {"fill": "completion", "random_state": seed}}).fit(data.X_train)
    add(ALONE, lambda X: np.asarray(rocket.transform(X)))
    for name in ("ts2vec", "simclr"):
        spec = {name: {"random_state": seed, "trainer": {"max_steps": STEPS}}}
        untrained = {"random_init": {"method": spec, "random_state": seed}}
        for label, one in {name: spec, f"{name}, untrained": untrained}.items():
            model = methods.build(one).fit(data.X_train)
            add(label, lambda X, model=model: np.asarray(model.transform(X)))
            if label == "ts2vec":
                add("ts2vec quantiles", above_quantiles(model, data.X_train))
    still = kinview.TS2Vec(random_state=seed, trainer={"max_steps": 1, "lr": 1e-12}).fit(data.X_train)
    add("ts2vec quantiles, untrained", above_quantiles(still, data.X_train))
    views = [np.asarray(rocket.transform(gappy(data.X_train, seed, k))) for k in range(COPIES)]
    clean = found[ALONE]["complete"][0]
    scaler = StandardScaler().fit(clean)
    scaled = np.stack([scaler.transform(view) for view in views]).astype(np.float32)
    for name, loss in {"nt_xent": NTXent(), "vicreg": VICReg()}.items():
        for label, steps in {name: STEPS, f"{name}, untrained": 0}.items():
            network = projector(scaled, loss, steps, seed)
            found[label] = {
                where: tuple(hidden(network, scaler.transform(part)) for part in parts)
                for where, parts in found[ALONE].items()
            }
    return found | {"agreeing half": agreeing(found[ALONE], np.stack(views))}


def gappy(X: Any, seed: int, k: int) -> Any:
    """A copy with gaps: single values and blocks in turn, 10 to 60 % of the values."""
    rate = float(np.random.default_rng((seed, k)).uniform(0.1, 0.6))
    return corrupt(X, ("mcar", "block")[k % 2], seed=(seed, 100 + k), rate=rate)[0]


def above_quantiles(model: Any, X: Any) -> Any:
    """Function of series: for each dimension, the fraction of the steps above each training quantile."""

    def steps(Y: Any) -> tuple[np.ndarray, np.ndarray]:
        z = model.encode(Y)
        return z, (z != 0).any(axis=1)  # zeros stand beyond the end of a series

    z, inside = steps(X)
    at = np.quantile(z.transpose(0, 2, 1)[inside], QUANTILES, axis=0)

    def features(Y: Any) -> np.ndarray:
        z, inside = steps(Y)
        shown, counted = inside[:, None], inside.sum(axis=1)[:, None]
        return np.concatenate([((z > level[:, None]) & shown).sum(axis=2) / counted for level in at], axis=1)

    return features


def projector(views: np.ndarray, loss: Any, steps: int, seed: int) -> nn.Module:
    """Linear, batch normalisation, ReLU (the representation), linear; two copies of a series are a positive pair."""
    torch.manual_seed(seed)
    draw = np.random.default_rng(seed)
    network = nn.Sequential(nn.Linear(views.shape[2], HIDDEN), nn.BatchNorm1d(HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 64))
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=1e-4)
    network.train()
    for _ in range(steps):
        rows = draw.choice(views.shape[1], size=min(64, views.shape[1]), replace=False)
        one, other = draw.choice(len(views), size=2, replace=False)
        value = loss(*(network(torch.from_numpy(views[k][rows])) for k in (one, other)))
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
    if not steps:  # running statistics of the layer, and nothing else
        with torch.no_grad():
            for view in views:
                network(torch.from_numpy(view))
    return network.eval()


def hidden(network: Any, X: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return np.asarray(network[:3](torch.from_numpy(X.astype(np.float32))))


def agreeing(features: dict[str, tuple[Any, Any]], views: np.ndarray) -> dict[str, tuple[Any, Any]]:
    """Half of the columns: those with the smallest variance between copies, for their variance over series."""
    within, between = views.var(axis=0).mean(axis=0), views.mean(axis=0).var(axis=0)
    kept = np.argsort(within / np.maximum(between, 1e-12), kind="stable")[: views.shape[2] // 2]
    return {where: tuple(part[:, np.sort(kept)] for part in parts) for where, parts in features.items()}


def side_by_side(chosen: list[tuple[Any, Any]]) -> tuple[np.ndarray, np.ndarray]:
    """Blocks standardised on the training part, each weighing as much as the first."""
    train, test = [], []
    for one, other in chosen:
        scaler = StandardScaler().fit(one)
        weight = np.sqrt(chosen[0][0].shape[1] / one.shape[1])
        train.append(scaler.transform(one) * weight)
        test.append(scaler.transform(other) * weight)
    return np.concatenate(train, axis=1), np.concatenate(test, axis=1)


def one(job: tuple[str, int], folder: str) -> list[dict[str, Any]]:
    """Every choice of features on one set, one seed."""
    name, seed = job
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", UserWarning)
    data = kinview.load(name, data_dir=folder)
    started = time.perf_counter()
    conditions = {
        where: tuple(
            X if kind is None else corrupt(X, kind, seed=(seed, part), rate=0.4)[0]
            for part, X in enumerate((data.X_train, data.X_test))
        )
        for where, kind in CONDITIONS.items()
    }
    found = blocks(data, conditions, seed)
    choices = {
        ALONE: [ALONE],
        "agreeing half": ["agreeing half"],
        "ts2vec": ["ts2vec"],
        "ts2vec quantiles": ["ts2vec quantiles"],
    }
    choices |= {f"{ALONE} + {block}": [ALONE, block] for block in found if block not in (ALONE, "agreeing half")}
    rows = []
    for label, names in choices.items():
        for where in conditions:
            train, test = side_by_side([found[block][where] for block in names])
            head = RidgeClassifierCV(np.logspace(-3, 3, 10)).fit(train, data.y_train)
            accuracy = float(np.mean(head.predict(test) == data.y_test))
            rows.append({"set": name, "seed": seed, "features": label, "condition": where, "accuracy": accuracy})
    print(f"{name}, seed {seed}: {time.perf_counter() - started:.0f} s", flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", default=os.environ.get("KINVIEW_DATA"), help="folder of the data sets")
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    jobs = [(name, seed) for seed in range(options.seeds) for name in options.sets]
    with multiprocessing.Pool(options.workers) as pool:
        found = pool.map(functools.partial(one, folder=options.data), jobs, chunksize=1)
    frame = pd.DataFrame([row for part in found for row in part])
    by_set = frame.groupby(["features", "condition", "set"], sort=False)["accuracy"].mean().unstack()
    explained = f"difference to {ALONE} [95 % over sets], sets won/equal/lost"
    print(f"\n{len(options.sets)} sets, {options.seeds} seeds; {explained}\n")
    print("| features | " + " | ".join(CONDITIONS) + " |\n|---" + "|---" * len(CONDITIONS) + "|")
    for label in frame["features"].unique():
        cells = []
        for where in CONDITIONS:
            accuracy = by_set.loc[(label, where)]
            text = f"{accuracy.mean():.3f}"
            if label != ALONE and len(accuracy) > 1:
                difference = (accuracy - by_set.loc[(ALONE, where)]).to_numpy()
                low, high = confidence_interval(difference)
                won, lost = int((difference > 1e-9).sum()), int((difference < -1e-9).sum())
                text += f", {difference.mean():+.3f} [{low:+.3f}, {high:+.3f}]"
                text += f", {won}/{len(difference) - won - lost}/{lost}"
            cells.append(text)
        print(f"| {label} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
