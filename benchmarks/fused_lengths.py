"""Series of unequal length: the whole and three crops fused (`fused_crops`), against the same encoder over all steps.

python benchmarks/fused_lengths.py FOLDER_OF_DATA

SimCLR learns from the training part without labels, 200 steps in batches of 64, with the same small residual network
either as it is (it reads every series over its own steps, and no padding) or inside `fused_crops`; L is a quarter of
the longest training series, so that the four views of the longest one have as many steps as it. A ridge probe then
reads the official test part. Beside both stand the same networks untrained. Sets are those of unequal length; nothing
is chosen by a test part. Differences are paired by set and seed; the interval over sets (of means over seeds) is
Student's.
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

import kinview
from kinview.data import valid_lengths
from kinview.evaluation import confidence_interval
from kinview.evaluation.probes import probes
from kinview.methods import SimCLR

SETS = ("AllGestureWiimoteX", "PickupGestureWiimoteZ", "ShakeGestureWiimoteZ", "JapaneseVowels")
INNER = {"resnet1d": {"widths": [16, 32, 32], "kernel_sizes": [7, 5, 3]}}


def encoders_for(length: int) -> dict[str, Any]:
    """The network as it is, and inside the fusion."""
    return {"plain": INNER, "fused": {"fused_crops": {"encoder": INNER, "length": length}}}


def accuracies(name: str, seed: int, folder: str, steps: int) -> list[dict[str, Any]]:
    """Both networks on one set, trained and untrained."""
    data = kinview.load(name, data_dir=folder)
    lengths = valid_lengths(torch.from_numpy(np.asarray(data.X_train)))
    length = max(1, int(lengths.max()) // 4)
    found = []
    for kind, encoder in encoders_for(length).items():
        for trained in (True, False):
            trainer = {"max_steps": steps, "max_epochs": 10_000, "batch_size": 64}
            model = SimCLR(encoder=encoder, trainer=trainer, random_state=seed)
            (model.fit if trained else model.initialise)(data.X_train)
            Z, others = model.transform(data.X_train), model.transform(data.X_test)
            head = probes.build("ridge", random_state=seed).fit(Z, data.y_train)
            found.append(
                {
                    "data": name, "seed": seed, "network": kind if trained else f"{kind}, untrained",
                    "accuracy": float((head.predict(others) == data.y_test).mean()),
                    "L": length, "longer": float((lengths > length).double().mean()),
                }
            )  # fmt: skip
    return found


def difference(frame: pd.DataFrame, one: str, other: str) -> str:
    """Mean of the paired differences, and its interval over sets."""
    table = frame.pivot_table(index="data", columns="network", values="accuracy")
    values = (table[one] - table[other]).to_numpy()
    if len(values) < 2:
        return f"{values.mean():+.3f}"
    low, high = confidence_interval(values)
    return f"{values.mean():+.3f} [{low:+.3f}, {high:+.3f}], ahead on {(values > 0).sum()} of {len(values)} sets"


def print_tables(frame: pd.DataFrame) -> None:
    """Accuracy of each network by set, and what the fusion changes."""
    networks = list(frame["network"].unique())
    print(f"| set | L | longer than L | {' | '.join(networks)} | fused − plain, by seed |")
    print("|" + "---|" * (len(networks) + 4))
    for name, own in frame.groupby("data", sort=False):
        table = own.pivot(index="seed", columns="network", values="accuracy")
        cells = [f"{table[network].mean():.3f}" for network in networks]
        seeds = " ".join(f"{value:+.3f}" for value in table["fused"] - table["plain"])
        first = own.iloc[0]
        print(f"| {name} | {first['L']} | {first['longer']:.0%} | {' | '.join(cells)} | {seeds} |")
    print("\nfused − plain:", difference(frame, "fused", "plain"))
    print("the same untrained:", difference(frame, "fused, untrained", "plain, untrained"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", default=os.environ.get("KINVIEW_DATA"), help="folder of the data sets")
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=200, help="steps of training")
    parser.add_argument("--json", help="file for the rows")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", UserWarning)
    work = [(name, seed) for name in options.sets for seed in range(options.seeds)]
    frame = pd.DataFrame([row for each in work for row in accuracies(*each, options.data, options.steps)])
    if options.json:
        Path(options.json).write_text(json.dumps(frame.to_dict("records")), encoding="utf-8")
    print_tables(frame)


if __name__ == "__main__":
    main()
