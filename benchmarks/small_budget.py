"""What methods make of one small budget, from the store of `kinview bench methods_small` or `methods_small_tables`.

python benchmarks/small_budget.py STORE methods_small --metric accuracy

A row for each method: the score under a probe, clean and with 40 % of the values missing, as the mean over data sets of
the mean over seeds; beside it the paired difference to its own untrained network, and to raw features, with Student's
95 % interval over the data sets (of seed means); and in how many of its trainings the last tenth of the recorded losses
is below the first one.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from kinview.evaluation import Store, confidence_interval
from kinview.methods import methods

CLEAN, MISSING = "clean", "40 % missing"
SAME_NETWORK = {"cmlc": "cmsc", "cmsmlc": "cmsc"}  # as the recipe that has the control


def scores(store: Store, name: str, metric: str) -> pd.DataFrame:
    """Mean over seeds: a row for each method, probe, condition and data set."""
    frame = store.frame(benchmark=name)
    failed = int((frame["status"] == "failed").sum())
    print(f"{len(frame):,} cells, {failed} of them failed\n")
    frame = frame[frame["status"] == "ok"].copy()
    frame["condition"] = np.where(frame["corruption"].isna(), CLEAN, MISSING)
    frame["shown"] = [_named(config) for config in frame["method_config"]]
    by = ["shown", "is_control", "probe", "condition", "dataset"]
    return frame.groupby(by, as_index=False)[metric].mean()


def _named(config: Any) -> str:
    """Name of a method; of a control around a network that of the method that has it."""
    config = json.loads(config) if isinstance(config, str) and config.startswith(("{", '"')) else config
    if not isinstance(config, Mapping):
        return str(config)
    ((name, parameters),) = config.items()
    inner = parameters.get("method") if name == "random_init" else None
    return f"untrained {next(iter(inner)) if isinstance(inner, Mapping) else inner}" if inner else str(name)


def untrained_of(name: str, controls: set[str]) -> str:
    """The control that has a method's network before training."""
    own = f"untrained {SAME_NETWORK.get(name, name)}"
    usual = "untrained simclr" if "untrained simclr" in controls else "untrained tabular_simclr"
    return own if own in controls else usual


def difference(one: pd.Series, other: pd.Series) -> str:
    """Paired difference over data sets with its interval."""
    both = pd.concat([one, other], axis=1, join="inner").to_numpy()
    values = both[:, 0] - both[:, 1]
    if len(values) < 2:
        return f"{values.mean():+.3f}" if len(values) else ""
    low, high = confidence_interval(values)
    return f"{values.mean():+.3f} [{low:+.3f}, {high:+.3f}]"


def losses(store: Store) -> dict[str, str]:
    """In how many of its trainings a method's loss fell."""
    steps = store.steps()
    steps = steps[(steps["kind"] == "pretrain") & steps["history"].notna()]
    found: dict[str, list[bool]] = {}
    for label, text in zip(steps["method"], steps["history"], strict=True):
        values = json.loads(text).get("loss", [])
        if len(values) >= 10:
            tenth = len(values) // 10
            found.setdefault(label.partition("(")[0], []).append(np.mean(values[-tenth:]) < np.mean(values[:tenth]))
    return {name: f"{sum(fell)} of {len(fell)}" for name, fell in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store")
    parser.add_argument("name")
    parser.add_argument("--metric", default="accuracy")
    parser.add_argument("--probe", default="ridge")
    options = parser.parse_args()
    store = Store(options.store, create=False)
    frame = scores(store, options.name, options.metric)
    fell = losses(store)
    frame = frame[frame["probe"] == options.probe].drop(columns="probe")
    controls = set(frame.loc[frame["is_control"] == 1, "shown"])
    wide = frame.pivot(index="dataset", columns=["shown", "condition"], values=options.metric)
    learned = [name for name in methods if name in wide.columns.levels[0] and name not in controls]
    print(f"| method | {CLEAN} | minus untrained | minus raw | {MISSING} | minus untrained | minus raw | loss fell |")
    print("|---|---|---|---|---|---|---|---|")
    for name in [*learned, *sorted(controls)]:
        cells = []
        for condition in (CLEAN, MISSING):
            own = wide[name, condition].dropna()
            cells.append(f"{own.mean():.3f}")
            base = "" if name in controls else difference(own, wide[untrained_of(name, controls), condition])
            cells += [base, "" if name == "raw" else difference(own, wide["raw", condition])]
        print(f"| {name} | {' | '.join(cells)} | {fell.get(name, '')} |")


if __name__ == "__main__":
    main()
