"""What explainers find, and how long they take: curves of deletion against random orders.

python benchmarks/explanations.py --samples 20 --seeds 3

GunPoint and ECG200 with TS2Vec, SimCLR and MiniRocket, pima with SCARF; data in the folder KINVIEW_DATA. Of the first
samples of the test part: the area between the curve of deletion (the most important windows or columns hidden first)
and that of random orders, with its 95 % interval over samples, each averaged over seeds of the model; the same as a
fraction of the area under the random curve; time of the processor for a sample, and for an explainer to learn.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from _intervals import interval

import kinview
from kinview.datasets import load
from kinview.explanations import deletion
from kinview.methods import methods

SMALL = {"max_steps": 100, "progress": False}
SETS = ("GunPoint", "ECG200", "pima")
MODELS: Mapping[str, Any] = {
    "TS2Vec": {"ts2vec": {"repr_dim": 64, "hidden_dim": 32, "depth": 6, "trainer": SMALL}},
    "SimCLR": {"simclr": {"trainer": SMALL}},
    "MiniRocket": "minirocket",
    "SCARF": {"scarf": {"trainer": {"max_steps": 200, "progress": False}}},
}
EXPLAINERS: Mapping[str, Any] = {
    "occlusion": "occlusion",
    "integrated_gradients": {"integrated_gradients": {"steps": 16}},
    "shapley": {"shapley": {"permutations": 8}},
    "cortx": {"cortx": {"permutations": 8}},
}


def measured(model: Any, X: Any, X_train: Any, spec: Any, seed: int) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Area of each sample, area under its random curve, seconds a sample and seconds to learn."""
    start = time.process_time()
    learned = kinview.explain(model, X[:1], spec, X_train=X_train, random_state=seed).explainer
    learning = time.process_time() - start
    start = time.process_time()
    found = kinview.explain(model, X, learned, random_state=seed)
    taken = (time.process_time() - start) / len(found)
    curves = deletion(model, X, found, random_state=seed)
    under = np.trapezoid(curves.random, curves.fractions, axis=1)
    return curves.areas, under, taken, learning if "cortx" in spec else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    given = parser.parse_args()
    print("| data | model | explainer | area [95 %] | of random | ms a sample | s to learn |")
    print("|---|---|---|---|---|---|---|")
    for name in given.sets:
        data = load(name)
        X, X_train = data.X_test[: given.samples], data.X_train
        for model_name in given.models:
            if (model_name == "SCARF") != (name == "pima"):
                continue
            models = [
                methods.build(MODELS[model_name]).set_params(random_state=seed).fit(X_train)
                for seed in range(given.seeds)
            ]
            for explainer, spec in EXPLAINERS.items():
                if explainer == "integrated_gradients" and model_name == "MiniRocket":
                    continue  # no gradient
                found = [measured(model, X, X_train, spec, seed) for seed, model in enumerate(models)]
                areas = np.mean([areas for areas, *_ in found], axis=0)
                under = np.mean([under for _, under, *_ in found])
                taken, learning = (np.mean([each[k] for each in found]) for k in (2, 3))
                learned = f"{learning:.1f}" if learning else "–"
                shown = interval(areas, form="+.4f")
                print(f"| {name} | {model_name} | {explainer} | {shown} | {areas.mean() / under:+.0%} | "
                      f"{1000 * taken:.2f} | {learned} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
