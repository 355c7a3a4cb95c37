"""Information between vital signs and the descriptors of stays, PhysioNet challenge 2012, before and after training.

python benchmarks/information_physionet2012.py FOLDER_OF_DATA

Pairs as in the benchmark pairs_physionet2012: hourly means of 37 channels, and age, sex, height and type of unit. A
method of pairs is trained without labels on one half of the 1,000 stays and the information is measured on the other
half, then the other way around; the control is the same network untrained. Shown are means over the two halves.
"""

from __future__ import annotations

import argparse
import os
import warnings

import numpy as np
import pandas as pd
import torch
from sklearn.model_selection import StratifiedKFold

import kinview
from kinview.diagnostics import information
from kinview.methods import methods


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", default=os.environ.get("KINVIEW_DATA"), help="folder of the data sets")
    parser.add_argument("--steps", type=int, default=200, help="steps of training")
    parser.add_argument("--methods", nargs="+", default=["paired_clip"], help="names of methods of pairs")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", UserWarning)
    data = kinview.load("physionet2012", data_dir=options.data, resample=1)
    pairs, y = data.pairs(), np.asarray(data.pooled().y)
    trainer = {"max_steps": options.steps, "max_epochs": 1000, "batch_size": 128}
    parts = []
    for fit, score in StratifiedKFold(2, shuffle=True, random_state=0).split(y, y):
        for name in options.methods:
            estimator = methods.build(name).set_params(random_state=0, trainer=trainer)
            for kind in ("untrained", "trained"):
                model = estimator.initialise(pairs[fit]) if kind == "untrained" else estimator.fit(pairs[fit])
                shown = {
                    "representations": [np.asarray(model.transform(pairs[score], side=s)) for s in pairs.names],
                    "projections": [np.asarray(model.project(pairs[score], s)) for s in pairs.names],
                }
                for what, (A, B) in shown.items():
                    found = information(A, B).rename_axis("estimator").reset_index()
                    parts.append(found.assign(network=f"{name}, {kind}", of=what))
                    print(parts[-1].round(3).to_string(), flush=True)
    frame = pd.concat(parts).groupby(["network", "of", "estimator"], sort=False).mean()
    print("\n| network | of | estimator | nats | 95 % interval | cap | stays |\n|---|---|---|---|---|---|---|")
    for (network, of, estimator), row in frame.iterrows():
        interval = f"[{row['low']:.2f}, {row['high']:.2f}]"
        print(
            f"| {network} | {of} | {estimator} | {row['nats']:.2f} | {interval} | {row['cap']:.2f} | {row['n']:.0f} |"
        )


if __name__ == "__main__":
    main()
