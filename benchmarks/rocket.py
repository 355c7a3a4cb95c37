"""Speed of the Rocket family beside sktime's, and its accuracy on sets of the archive.

python benchmarks/rocket.py speed --rows 200 --steps 150
python benchmarks/rocket.py accuracy GunPoint ECG200 --rates 0 0.4 --seeds 2

Speed: features a second and the peak of memory of each method, and the ratio of its time to that of sktime's numba
code after warm-up, where sktime's extra (numba<0.68) is installed. Seconds are of the processor, over all threads, and
of the clock; on a machine that others use, the former say more.

Accuracy: RidgeClassifierCV on 10 penalties from 1e-3 to 1e3 (the published head) on standardised features, of archive
sets in the folder KINVIEW_DATA, with a share of the values missing in training and test parts.
"""

from __future__ import annotations

import argparse
import resource
import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import kinview
from kinview.evaluation import corrupt
from kinview.methods import methods

SPECS: Mapping[str, Any] = {
    "minirocket": "minirocket",
    "minirocket, published thresholds": {"minirocket": {"thresholds": "published"}},
    "multirocket_hydra": "multirocket_hydra",
    "multirocket_hydra, completion": {"multirocket_hydra": {"fill": "completion"}},
}


def seconds(work: Callable[[], Any], repeats: int) -> tuple[float, float]:
    """Fewest seconds of the processor and of the clock."""
    taken = []
    for _ in range(repeats):
        start = time.process_time(), time.perf_counter()
        work()
        taken.append((time.process_time() - start[0], time.perf_counter() - start[1]))
    return min(cpu for cpu, _ in taken), min(clock for _, clock in taken)


def sktime_transforms(X: np.ndarray, threads: int) -> dict[str, Callable[[], Any]]:
    """Transforms of sktime, fitted and warm; empty where its extra is not installed."""
    try:
        import numba  # noqa: F401
    except ImportError:
        return {}
    from sktime.transformations.rocket import MiniRocket, MiniRocketMultivariate, MultiRocket, MultiRocketMultivariate

    one = X.shape[1] == 1
    classes = {
        "minirocket": MiniRocket if one else MiniRocketMultivariate,
        "multirocket": MultiRocket if one else MultiRocketMultivariate,
    }
    made = {}
    for name, cls in classes.items():
        transformer = cls(random_state=0, n_jobs=threads).fit(X)
        transformer.transform(X[:2])
        made[name] = lambda transformer=transformer: transformer.transform(X)
    return made


def speed(rows: int, steps: int, channels: int, repeats: int) -> None:
    """Print a line a method."""
    X = np.random.default_rng(0).normal(size=(rows, channels, steps)).cumsum(axis=2).astype(np.float32)
    X = (X - X.mean(axis=2, keepdims=True)) / X.std(axis=2, keepdims=True)
    others = sktime_transforms(X, torch.get_num_threads())
    print(f"{rows} series, {channels} channel(s), {steps} steps, {torch.get_num_threads()} thread(s)")
    for name in ("minirocket", "multirocket", "hydra", "multirocket_hydra"):
        model = methods.build(name).set_params(random_state=0).fit(X)
        features = model.transform(X[:2]).shape[1]
        cpu, clock = seconds(lambda model=model: model.transform(X), repeats)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
        line = f"{name:18} {rows * features / clock:12,.0f} features/s, {clock:.3f} s (processor {cpu:.3f} s)"
        if name in others:
            their_cpu, their_clock = seconds(others[name], repeats)
            line += f"; sktime {their_clock:.3f} s ({their_cpu:.3f} s): {clock / their_clock:.2f} x its time"
        print(f"{line}; memory so far {peak:,.0f} MiB", flush=True)


def accuracy(names: list[str], rates: list[float], seeds: int, specs: list[str]) -> None:
    """Print a line a set, rate and method, then means and paired differences to the first method."""
    found: dict[tuple[str, float], list[float]] = {}
    for dataset in names:
        data = kinview.load(dataset)
        for rate in rates:
            for spec in specs:
                scores = [_accuracy(data, rate, SPECS[spec], seed) for seed in range(seeds)]
                found.setdefault((spec, rate), []).append(float(np.mean(scores)))
                print(f"{dataset:18} {rate:.1f} {spec:34} {np.mean(scores):.4f}", flush=True)
    for (spec, rate), values in found.items():
        difference = np.subtract(values, found[specs[0], rate])
        error = difference.std(ddof=1) / len(difference) ** 0.5 if len(difference) > 1 else np.nan
        print(f"mean {rate:.1f} {spec:34} {np.mean(values):.4f}  difference {difference.mean():+.4f} ± {error:.4f}")


def _accuracy(data: Any, rate: float, spec: Any, seed: int) -> float:
    X_train, X_test = data.X_train, data.X_test
    if rate:
        X_train = corrupt(X_train, "mcar", (seed, 0), rate=rate)[0]
        X_test = corrupt(X_test, "mcar", (seed, 1), rate=rate)[0]
    model = methods.build(spec).set_params(random_state=seed).fit(X_train)
    head = make_pipeline(StandardScaler(), RidgeClassifierCV(alphas=np.logspace(-3, 3, 10)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        head.fit(model.transform(X_train).to_numpy(), data.y_train)
    return float(head.score(model.transform(X_test).to_numpy(), data.y_test))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    timed = commands.add_parser("speed")
    timed.add_argument("--rows", type=int, default=200)
    timed.add_argument("--steps", type=int, default=150)
    timed.add_argument("--channels", type=int, default=1)
    timed.add_argument("--repeats", type=int, default=5)
    scored = commands.add_parser("accuracy")
    scored.add_argument("names", nargs="+")
    scored.add_argument("--rates", type=float, nargs="+", default=[0.0, 0.4])
    scored.add_argument("--seeds", type=int, default=2)
    scored.add_argument("--methods", nargs="+", default=list(SPECS), choices=list(SPECS))
    given = parser.parse_args()
    if given.command == "speed":
        speed(given.rows, given.steps, given.channels, given.repeats)
    else:
        accuracy(given.names, given.rates, given.seeds, given.methods)


if __name__ == "__main__":
    main()
