"""The frame of the results store, put in order for a reader: cells that ran, cells that failed, and their names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pandas as pd

from kinview.evaluation.grid import distinct_labels
from kinview.evaluation.statistics import CONDITION, normalise_conditions

__all__ = ["CONTROLS", "METRICS", "PLAIN_NETWORKS", "Results", "base_name", "network_of", "read_results", "records"]

CONTROLS = ("raw", "random_init", "supervised")
"""What pre-training has to beat: the data itself, the same encoder before any training and, where labels train the
network too (the probe finetune), the same training from scratch."""

PLAIN_NETWORKS = ("ts2vec", "scarf")
"""Whose network the controls take that name none: the first on series, the second on tables."""

METRICS = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "Macro F1",
    "auroc": "AUROC",
    "auprc": "AUPRC",
}
_PROBES = ("linear", "svm", "knn", "xgboost", "finetune")
_REQUIRED = ("dataset", "method", "probe", "seed")


@dataclass(frozen=True, eq=False)
class Results:
    """Results of a benchmark in reading order.

    Attributes
    ----------
    cells : DataFrame
        One row per cell that ran, conditions normalised, with the column ``condition`` (its label).
    failed : DataFrame
        The cells without a result, in the same form.
    modalities : dict of str to str
        Data set → ``"time_series"`` or ``"tabular"``, in reading order.
    methods : tuple of str
        Controls first.
    probes, seeds : tuple
        As they occur.
    conditions : DataFrame
        One row per condition, in reading order, indexed by label.
    replaced : int
        Rows left out because a newer one describes the same cell.
    """

    cells: pd.DataFrame
    failed: pd.DataFrame
    modalities: dict[str, str]
    methods: tuple[str, ...]
    probes: tuple[str, ...]
    seeds: tuple[int, ...]
    conditions: pd.DataFrame
    replaced: int

    @property
    def controls(self) -> tuple[str, ...]:
        """The methods that are controls."""
        return tuple(method for method in self.methods if base_name(method) in CONTROLS)

    @property
    def learned(self) -> tuple[str, ...]:
        """The methods that are not controls."""
        return tuple(method for method in self.methods if base_name(method) not in CONTROLS)

    def methods_on(self, dataset: str, probe: str | None = None) -> list[str]:
        """Methods that were run (or failed) on a data set with a probe, or with any, in reading order."""
        present: set[str] = set()
        for part in (self.cells, self.failed):
            chosen = part["dataset"] == dataset
            present |= set(part.loc[chosen if probe is None else chosen & (part["probe"] == probe), "method"])
        return [method for method in self.methods if method in present]

    def controls_of(self, method: str, dataset: str) -> list[str]:
        """What a learned method is compared with on a data set, in reading order.

        A control that names whose network it is (``random_init(method=tstcc)``) is the control of that method alone.
        One that names none has the network of TS2Vec on series and of SCARF on tables: it is their control, and that
        of another method only where no control of the same kind on that data set names the method. The methods are
        told apart by their names, whatever their parameters; ``raw`` has no network and is the control of all.
        """
        present = [control for control in self.methods_on(dataset) if control in self.controls]
        base = base_name(method)
        owned = {base_name(control) for control in present if network_of(control) == base}

        def answers_for(control: str) -> bool:
            network = network_of(control)
            if network is not None:
                return network == base
            return base in PLAIN_NETWORKS or base_name(control) not in owned

        return [control for control in present if answers_for(control)]


def read_results(frame: pd.DataFrame) -> Results:
    """Put a frame of the results store in reading order.

    Raises
    ------
    ValueError
        If the frame is empty or lacks a column that every cell has.
    """
    absent = [column for column in _REQUIRED if column not in frame.columns]
    if absent:
        raise ValueError(
            f"these are not benchmark results: column {', '.join(map(repr, absent))} is missing; give the frame that "
            f"the results store returns"
        )
    if frame.empty:
        raise ValueError("there are no results to show: run the benchmark first, or check which store was opened")
    rows = normalise_conditions(frame)
    for column in ("dataset", "method", "probe"):
        rows[column] = rows[column].map(str)
    if "method_config" in rows:
        rows["method"] = distinct_labels(list(rows["method"]), list(rows["method_config"]))
    rows["modality"] = rows["modality"].map(str) if "modality" in rows else ""
    rows["status"] = rows["status"].map(str) if "status" in rows else "ok"
    conditions = _conditions(rows)
    labels = {tuple(row): label for label, row in zip(conditions.index, conditions[list(CONDITION)].to_numpy())}
    rows["condition"] = [labels[tuple(key)] for key in rows[list(CONDITION)].to_numpy()]
    kept = _newest(rows)
    failed = kept["status"] == "failed"
    first = rows.drop_duplicates("dataset").sort_values(["modality", "dataset"], ascending=[False, True])
    return Results(
        cells=kept[~failed].reset_index(drop=True),
        failed=kept[failed].reset_index(drop=True),
        modalities=dict(zip(first["dataset"], first["modality"])),
        methods=tuple(sorted(set(rows["method"]), key=_method_rank)),
        probes=tuple(sorted(set(rows["probe"]), key=_probe_rank)),
        seeds=tuple(sorted(set(rows["seed"].map(int)))),
        conditions=conditions,
        replaced=len(rows) - len(kept),
    )


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a frame as dictionaries with plain keys."""
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]


def base_name(method: str) -> str:
    """Registry name of a method that is written with its parameters.

    Examples
    --------
    >>> base_name("ts2vec(repr_dim=64)"), base_name("random_init")
    ('ts2vec', 'random_init')
    """
    found = re.match(r"[\w.-]+", method.lstrip("{'\" "))
    return found.group() if found else method


def network_of(control: str) -> str | None:
    """The method whose network a control has, where its parameters name one.

    Examples
    --------
    >>> network_of("random_init(method=tstcc)"), network_of("supervised(method.tfc.channel_independent=True)")
    ('tstcc', 'tfc')
    >>> network_of("random_init") is None
    True
    """
    if base_name(control) not in CONTROLS:
        return None
    found = re.search(r"[(,]\s*method(?:=|\.)([\w-]+)", control)
    return found.group(1) if found else None


def _newest(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per cell: a result rather than a failure, and the newest of several."""
    order = rows.assign(
        _ok=rows["status"] != "failed", _made=rows["created_at"].map(str) if "created_at" in rows else ""
    )
    key = ["dataset", "method", "probe", "seed", *CONDITION]
    order = order.sort_values(["_ok", "_made"], kind="stable").drop_duplicates(key, keep="last")
    return order.drop(columns=["_ok", "_made"]).sort_values(key, kind="stable")


def _conditions(rows: pd.DataFrame) -> pd.DataFrame:
    """All conditions of a grid in reading order: clean, one factor at a time, then the crossed ones."""
    kinds = set(rows["corruption"]) - {"none"}
    noises = set(rows["label_noise"]) - {"none"}
    unique = rows[list(CONDITION)].drop_duplicates()
    struck_train = unique[~unique["corrupt"].isin(["none", "test"])]
    both_pretrainings = struck_train["pretrain_on"].nunique() > 1

    def label(row: pd.Series) -> str:
        parts = []
        if row["corruption"] != "none":
            what = "missing" if len(kinds) == 1 and base_name(row["corruption"]) == "mcar" else row["corruption"]
            side = "" if row["corrupt"] == "both" else f" in {row['corrupt']}"
            before = f", pre-trained on {row['pretrain_on']} data" if both_pretrainings else ""
            parts.append(f"{what}{side} {_percent(row['severity'])}{before}")
        if row["label_noise"] != "none":
            what = "label noise" if len(noises) == 1 else f"{row['label_noise']} label noise"
            parts.append(f"{what} {_percent(row['label_noise_rate'])}")
        if row["label_fraction"] != 1:
            parts.append(f"{_percent(row['label_fraction'])} of labels")
        return " + ".join(parts) or "clean"

    missing, noisy, few = unique["corruption"] != "none", unique["label_noise"] != "none", unique["label_fraction"] != 1
    ordered = unique.assign(
        label=unique.apply(label, axis=1),
        factors=missing.astype(int) + noisy.astype(int) + few.astype(int),
        kind=noisy.astype(int) + 2 * few.astype(int),
        budget=-unique["label_fraction"],
    )
    by = [
        "factors",
        "kind",
        "corruption",
        "corrupt",
        "pretrain_on",
        "severity",
        "label_noise",
        "label_noise_rate",
        "budget",
    ]
    return ordered.sort_values(by).set_index("label")[[*CONDITION, "factors"]]


def _percent(rate: float) -> str:
    return f"{100 * rate:g}\N{NO-BREAK SPACE}%"


def _method_rank(method: str) -> tuple[int, str]:
    base = base_name(method)
    return (CONTROLS.index(base) if base in CONTROLS else len(CONTROLS), method)


def _probe_rank(probe: str) -> tuple[int, str]:
    base = base_name(probe)
    return (_PROBES.index(base) if base in _PROBES else len(_PROBES), probe)
