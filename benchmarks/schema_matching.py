"""Columns of two halves of a table matched without their names: every matcher, by how many columns are known.

python benchmarks/schema_matching.py FOLDER_OF_DATA

The rows of a table are cut into two halves that share none, the columns of the second half are shuffled and renamed,
and a fraction of them, drawn anew for each seed, is known. "distorted": the values of the second half, standardised,
are raised to the third power (their order stays). "partly": a quarter of the unknown columns is left out of each half,
so that some have no partner; "sure" are then the matches with a margin of at least 0.05.

Tables: nuclei of breast tumours (scikit-learn), returns of a radar from the ionosphere, and the means of the channels
over the first two days of 1,000 stays in intensive care (PhysioNet challenge 2012), of which many are missing. Defaults
of the matchers were chosen on others: sonar and vehicle, halves drawn alike, 25 % known.

Intervals are t intervals over seeds: halves, names and known columns.
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
from _intervals import mean_and_ends
from joblib import Parallel, delayed

import kinview
from kinview.schema_matching import ColumnMatches

TABLES = ("breast_cancer", "ionosphere", "physionet2012")
MATCHERS: dict[str, Any] = {
    "contrastive": "contrastive",
    "contrastive, quantile scaling": {"contrastive": {"scaling": "quantile"}},
    "correlation": "correlation",
    "correlation, pearson": {"correlation": {"dependence": "pearson"}},
    "kang_naughton": "kang_naughton",
    "kang_naughton, mutual information": {"kang_naughton": {"dependence": "mutual_information"}},
    "distribution": "distribution",
    "distribution, wasserstein": {"distribution": {"distance": "wasserstein"}},
    "distribution, own units": {"distribution": {"scaled": False}},
}
SCENARIOS = (("as it is", 0.1), ("as it is", 0.25), ("as it is", 0.5), ("distorted", 0.25), ("partly", 0.25))
MARGIN = 0.05


def table(name: str, folder: str | None) -> pd.DataFrame:
    """Numeric columns that vary, of all rows."""
    if name == "physionet2012":
        X = kinview.load(name, data_dir=folder, resample=1).pooled().X
        X = X.groupby(level=0).mean()
    else:
        X = kinview.load(name, **({} if name == "breast_cancer" else {"data_dir": folder})).pooled().X
    X = pd.DataFrame(np.asarray(X, dtype=np.float64), columns=list(map(str, X.columns)))
    return X.loc[:, (X.nunique() > 1) & (X.notna().sum() >= 50)]


def halves(X: pd.DataFrame, scenario: str, fraction: float, seed: int) -> tuple[pd.DataFrame, pd.DataFrame, Any, Any]:
    """Two halves, the pairs that are known, and all true pairs."""
    draw = np.random.default_rng(seed)
    rows = draw.permutation(len(X))
    parts = [X.iloc[part].reset_index(drop=True) for part in (rows[: len(X) // 2], rows[len(X) // 2 :])]
    columns = draw.permutation(X.columns)
    known = columns[: max(1, round(fraction * len(columns)))]
    if scenario == "partly":
        unknown = columns[len(known) :]
        quarter = len(unknown) // 4
        parts = [parts[0].drop(columns=unknown[:quarter]), parts[1].drop(columns=unknown[quarter : 2 * quarter])]
    if scenario == "distorted":
        parts[1] = ((parts[1] - parts[1].mean()) / parts[1].std()) ** 3
    names = dict(zip(X.columns, (f"v{i}" for i in draw.permutation(X.shape[1])), strict=True))
    B = parts[1].rename(columns=names)
    truth = {a: names[a] for a in parts[0].columns if a in parts[1].columns}
    return parts[0], B[draw.permutation(B.columns)], {a: names[a] for a in known}, truth


def scores(matches: ColumnMatches, truth: dict[str, str]) -> dict[str, float]:
    whole, sure = matches.score(truth), matches.kept(margin=MARGIN)
    found = {"f1": whole.f1, "precision": whole.precision, "recall": whole.recall, "sure": len(sure.pairs)}
    return found | {"sure_precision": sure.score(truth).precision if sure.pairs else np.nan}


def one(name: str, X: pd.DataFrame, scenario: str, fraction: float, seed: int) -> list[dict[str, Any]]:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", UserWarning)
    A, B, mapped, truth = halves(X, scenario, fraction, seed)
    what = {"table": name, "scenario": scenario, "known": fraction, "seed": seed, "columns": A.shape[1]}
    found = []
    for label, matcher in MATCHERS.items():
        if label == "contrastive, quantile scaling" and scenario != "distorted":
            continue
        started = time.perf_counter()
        matches = kinview.match_columns(A, B, mapped, matcher=matcher, random_state=seed)
        seconds = time.perf_counter() - started
        found.append({**what, "matcher": label, "seconds": seconds, **scores(matches, truth)})
    s = matches.similarity
    drawn = pd.DataFrame(np.random.default_rng(seed).random(s.shape), s.index, s.columns)
    found.append({**what, "matcher": "chance", "seconds": 0.0, **scores(ColumnMatches.of(drawn, mapped), truth)})
    return found


def shown(values: pd.Series) -> str:
    """Mean over seeds with half the width of its interval; the mean alone where all seeds agree."""
    mean, low, high = mean_and_ends(values)
    if np.isnan(mean):
        return "-"
    return f"{mean:.2f}" if np.isnan(low) else f"{mean:.2f} ± {(high - low) / 2:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", default=os.environ.get("KINVIEW_DATA"), help="folder of the data sets")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--json", help="file for the rows of all runs")
    options = parser.parse_args()
    runs = [
        (name, X, scenario, fraction, seed)
        for name, X in ((name, table(name, options.data)) for name in TABLES)
        for scenario, fraction in SCENARIOS
        for seed in range(options.seeds)
    ]
    parts = Parallel(n_jobs=options.workers)(delayed(one)(*run) for run in runs)
    frame = pd.DataFrame([row for part in parts for row in part])
    if options.json:
        Path(options.json).write_text(json.dumps(frame.to_dict("records")), encoding="utf-8")
    order = [*MATCHERS, "chance"]
    for name, rows in frame.groupby("table", sort=False):
        print(f"\n{name}, F1:\n")
        print("| matcher | " + " | ".join(f"{s}, {f:.0%} known" for s, f in SCENARIOS) + " | seconds |")
        print("|---|" + "---|" * (len(SCENARIOS) + 1))
        for label in order:
            own = rows[rows["matcher"] == label]
            cells = [shown(own.loc[(own["scenario"] == s) & (own["known"] == f), "f1"]) for s, f in SCENARIOS]
            print(f"| {label} | {' | '.join(cells)} | {own['seconds'].mean():.1f} |")
    partly = frame[frame["scenario"] == "partly"]
    print(f"\npartly, 25 % known: matches with a margin of at least {MARGIN}:\n")
    print("| matcher | " + " | ".join(f"{name}: sure, of them right" for name in TABLES) + " |")
    print("|---|" + "---|" * len(TABLES))
    for label in [label for label in order if label in set(partly["matcher"])]:
        own = [partly[(partly["matcher"] == label) & (partly["table"] == name)] for name in TABLES]
        print(f"| {label} | " + " | ".join(f"{p['sure'].mean():.1f}, {shown(p['sure_precision'])}" for p in own) + " |")


if __name__ == "__main__":
    main()
