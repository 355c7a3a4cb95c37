"""The frame of the results store, put in order for a reader: cells that ran, cells that failed, and their names."""

from __future__ import annotations

import functools
import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from kinview.complete_configs import complete_config
from kinview.evaluation._database import METRICS as STORED
from kinview.evaluation.benchmark.controls import network_key
from kinview.evaluation.benchmark.grid import distinct_labels, method_identity
from kinview.evaluation.metrics import table as metrics_table
from kinview.evaluation.metrics.table import is_unbounded
from kinview.evaluation.report.corruption_words import CorruptionWords, corruption_words
from kinview.evaluation.statistics import CONDITION, normalise_conditions

__all__ = [
    "METRICS",
    "Identity",
    "Results",
    "mean_words",
    "percent_words",
    "read_results",
    "records",
    "texts",
    "within_sentence",
]

METRICS = {name: metrics_table.METRICS[name].title for name in STORED}
"""What a cell computes, and what a report calls it."""
_PROBES = (
    *("linear", "logistic", "ridge", "robust_ridge", "svm", "knn", "centroid", "lda", "forward_corrected", "confident"),
    *("selected", "xgboost", "tabpfn", "tabicl", "finetune"),
)
_REQUIRED = ("dataset", "method", "probe", "seed")
_IDENTITY = ("method_name", "method_of", "is_control")
_ABSENT: dict[str, Any] = {
    **dict.fromkeys(("modality", "message", "created_at", "benchmark", "spec", "versions"), ""),
    **dict.fromkeys(("realised_missing_train", "realised_missing_test", "realised_noise"), float("nan")),
    **dict.fromkeys(("labelled_samples", "labelled_groups"), float("nan")),
    **dict.fromkeys(("convergence_failures", "seconds"), 0.0),
    "own_probe": 0,
    "status": "ok",
}
"""Values of the columns that a given frame lacks."""


@dataclass(frozen=True)
class Identity:
    """Role of a method in the report, on one data set.

    Attributes
    ----------
    name : str
        Registered name.
    network : str
        What tells its network: its config without how it is trained, as JSON.
    of_name, of_network : str or None
        The same of the method whose network a control has.
    is_control : bool
        Whether it is a control.
    """

    name: str
    network: str
    of_name: str | None
    of_network: str | None
    is_control: bool


@dataclass(frozen=True, eq=False)
class Results:
    """Results of a benchmark in reading order.

    Attributes
    ----------
    cells : DataFrame
        One row per cell that ran, conditions normalised, with the column ``condition`` (its label). A column that the
        given frame lacks holds what is neutral.
    failed : DataFrame
        The cells without a result, in the same form.
    modalities : dict of str to str
        Data set → ``"time_series"`` or ``"tabular"``, in reading order.
    methods : tuple of str
        Controls first, and of these first those without a network.
    controls : tuple of str
        Those of them that are controls.
    identities : mapping of (str, str) to Identity
        (data set, method) → what the method is.
    probes, seeds, folds : tuple
        As they occur.
    split : str
        How the data sets were cut.
    conditions : DataFrame
        One row per condition, in reading order, indexed by label.
    replaced : int
        Rows left out because a newer one describes the same cell.
    """

    cells: pd.DataFrame
    failed: pd.DataFrame
    modalities: dict[str, str]
    methods: tuple[str, ...]
    controls: tuple[str, ...]
    identities: Mapping[tuple[str, str], Identity]
    probes: tuple[str, ...]
    seeds: tuple[int, ...]
    folds: tuple[int, ...]
    split: str
    conditions: pd.DataFrame
    replaced: int

    @property
    def n_repetitions(self) -> int:
        """How often each condition is meant to be run: once a seed and fold."""
        return len(self.seeds) * len(self.folds)

    @property
    def repetitions(self) -> str:
        """The seeds and folds that a mean is taken over, in words."""
        seeds = f"{len(self.seeds)} seed{'s' if len(self.seeds) > 1 else ''}"
        return f"{seeds} and {len(self.folds)} folds" if len(self.folds) > 1 else seeds

    @functools.cached_property
    def regressions(self) -> frozenset[str]:
        """Data sets of numbers: those with an error of the predicted numbers."""
        if "mae" not in self.cells:
            return frozenset()
        return frozenset(self.cells.loc[self.cells["mae"].notna(), "dataset"])

    def identity(self, method: str) -> Identity:
        """Identity of a method, wherever it was run; whose network a control has may differ between data sets."""
        return next(identity for (_, name), identity in self.identities.items() if name == method)

    def methods_on(self, dataset: str, probe: str | None = None) -> list[str]:
        """Methods that were run (or failed) on a data set with a probe, or with any, in reading order."""
        present: set[str] = set()
        for part in (self.cells, self.failed):
            chosen = part["dataset"] == dataset
            present |= set(part.loc[chosen if probe is None else chosen & (part["probe"] == probe), "method"])
        return [method for method in self.methods if method in present]

    def controls_of(self, method: str, dataset: str) -> list[str]:
        """Controls that a learned method is compared with on a data set, in reading order.

        A control around a network (``random_init(method=tstcc)``) is the control of the methods with that very network,
        by its own name or, where none has its name, another one (``random_init(method=simclr)`` of ``vicreg``); where
        of its kind none is, of the methods of that name, whatever their parameters. One that is written by its
        name alone has the network of the default method of the modality, and stands in for a method that has no other
        control of its kind on that data set. A control without a network (``raw``) is the control of all.
        """
        mine = self.identities[dataset, method]
        present = {name: self.identities[dataset, name] for name in self.methods_on(dataset) if name in self.controls}
        answering: set[str] = set()
        for kind in {identity.name for identity in present.values()}:
            same = {name: identity for name, identity in present.items() if identity.name == kind}
            plain = [name for name, identity in same.items() if identity.of_name is None]
            same_network = [name for name, identity in same.items() if identity.of_network == mine.network]
            exact = [name for name in same_network if same[name].of_name == mine.name] or same_network[:1]
            named = [name for name, identity in same.items() if identity.of_name == mine.name]
            answering |= {*plain, *(exact or named or [name for name in same if name == kind])}
        return [control for control in present if control in answering]


def read_results(frame: pd.DataFrame) -> Results:
    """Put a frame of the results store in reading order.

    Raises
    ------
    ValueError
        If the frame is empty, lacks a column that every cell has, or holds results of several splits.
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
    cuts = sorted(set(rows["split"].map(str)))
    if len(cuts) > 1:
        raise ValueError(
            f"these results are of several splits, which are not averaged: {', '.join(cuts)}; show one benchmark, or "
            "the rows of one split"
        )
    for column, neutral in _ABSENT.items():
        if column not in rows:
            rows[column] = neutral
    for column in ("modality", "status"):
        rows[column] = rows[column].map(str)
    if "method_config" in rows:
        rows["method"] = distinct_labels(list(rows["method"]), list(rows["method_config"]))
    identities = _identities(rows)
    controls = {method for (_, method), identity in identities.items() if identity.is_control}
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
        methods=_in_order(identities),
        controls=tuple(method for method in _in_order(identities) if method in controls),
        identities=identities,
        probes=tuple(sorted(set(rows["probe"]), key=_probe_rank)),
        seeds=tuple(sorted(set(rows["seed"].map(int)))),
        folds=tuple(sorted(set(rows["fold"].map(int)))),
        split=cuts[0],
        conditions=conditions,
        replaced=len(rows) - len(kept),
    )


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of a frame as dictionaries with plain keys."""
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]


def average_word(metric: str) -> str:
    """How a metric is averaged over conditions and data sets: ``"mean"``, or, without a bound, ``"median"``."""
    return "median" if is_unbounded(metric) else "mean"


def within_sentence(title: str) -> str:
    """What a report calls a metric, inside a sentence.

    Examples
    --------
    >>> within_sentence("Balanced accuracy"), within_sentence("AUROC"), within_sentence("Brier score")
    ('balanced accuracy', 'AUROC', 'Brier score')
    """
    named = title.startswith(("Brier", "Matthews"))
    return title if named or title.isupper() else title[0].lower() + title[1:]


def texts(frame: pd.DataFrame, column: str) -> list[str]:
    """A column as text, empty where there is none."""
    return ["" if pd.isna(value) else str(value) for value in frame[column]]


def _identities(rows: pd.DataFrame) -> dict[tuple[str, str], Identity]:
    """Identity of each method on each data set; derived from its config where the store did not know it yet."""
    found: dict[tuple[str, str], Identity] = {}
    columns = [column for column in ("method_config", *_IDENTITY) if column in rows]
    for row in records(rows[["dataset", "method", "modality", *columns]].drop_duplicates(["dataset", "method"])):
        config = _parsed(row.get("method_config"), row["method"])
        if set(_IDENTITY) <= set(columns) and not pd.isna(row["method_name"]):
            known = {**row, "method_of": _parsed(row["method_of"], None)}
        else:
            config, known = _completed(config, row["modality"]), method_identity(config, row["modality"])
        of = known["method_of"]
        found[row["dataset"], row["method"]] = Identity(
            name=str(known["method_name"]),
            network=network_key(config),
            of_name=next(iter(of)) if isinstance(of, Mapping) else of,
            of_network=None if of is None else network_key(of),
            is_control=bool(known["is_control"]),
        )
    return found


def _completed(config: Any, modality: str) -> Any:
    """Config with every parameter, as the store holds it; as it is where its method is not installed."""
    from kinview.methods import methods

    try:
        return complete_config(methods, config, for_modality=modality)
    except ValueError:
        return config


def _parsed(value: Any, absent: Any) -> Any:
    """A config from its column, which holds JSON text or, in a frame that no store gave, plain data."""
    if not isinstance(value, str):
        return value if isinstance(value, Mapping) else absent
    try:
        return json.loads(value)
    except ValueError:
        return value


def _newest(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per cell: a result rather than a failure, and the newest of several."""
    order = rows.assign(_ok=rows["status"] != "failed", _made=rows["created_at"].map(str))
    key = ["dataset", "method", "probe", "seed", "fold", *CONDITION]
    order = order.sort_values(["_ok", "_made"], kind="stable").drop_duplicates(key, keep="last")
    return order.drop(columns=["_ok", "_made"]).sort_values(key, kind="stable")


def _conditions(rows: pd.DataFrame) -> pd.DataFrame:
    """All conditions of a grid in reading order: clean, one factor at a time, then the crossed ones."""
    kinds = set(rows["corruption"]) - {"none"}
    noises = set(rows["label_noise"]) - {"none"}
    unique = rows[list(CONDITION)].drop_duplicates()
    corrupted_train = unique[~unique["corrupt"].isin(["none", "test"])]
    both_pretrainings = corrupted_train["pretrain_on"].nunique() > 1
    said = {kind: corruption_words(kind) for kind in kinds}
    alike = Counter(map(str, said.values()))
    said = {kind: words if alike[str(words)] == 1 else CorruptionWords(kind, "") for kind, words in said.items()}

    def label(row: pd.Series) -> str:
        parts = []
        if row["corruption"] != "none":
            words = said[row["corruption"]]
            what = "missing" if len(kinds) == 1 and _is(words.what, "mcar") else words.what
            whom = f" {words.whom}" if words.whom else ""
            side = "" if row["corrupt"] == "both" else f" in {row['corrupt']}"
            before = f", pre-trained on {row['pretrain_on']} data" if both_pretrainings else ""
            differs = row["corrupt"] == "both" and row["severity_test"] != row["severity"]
            rates = percent_words(row["severity"])
            rates += f", test {percent_words(row['severity_test'])}" if differs else ""
            parts.append(f"{what}{side} {rates}{whom}{before}")
        if row["label_noise"] != "none":
            what = "label noise" if len(noises) == 1 else f"{row['label_noise']} label noise"
            parts.append(f"{what} {percent_words(row['label_noise_rate'])}")
        if row["label_fraction"] != 1:
            parts.append(f"{percent_words(row['label_fraction'])} of labels")
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
        "severity_test",
        "label_noise",
        "label_noise_rate",
        "budget",
    ]
    return ordered.sort_values(by).set_index("label")[[*CONDITION, "factors"]]


def mean_words(mean: float, std: float, low: float = float("nan"), high: float = float("nan")) -> str:
    """An average with its spread, where there is one; ``n/a`` without an average.

    Examples
    --------
    >>> mean_words(0.873, 0.012), mean_words(-5.28, float("nan"), -896.3, -4.8)  # a mean, and a median
    ('0.873 ± 0.012', '-5.280 (-896.300 to -4.800)')
    """
    if math.isnan(mean):
        return "n/a"
    if not math.isnan(std):
        return f"{mean:.3f} ± {std:.3f}"
    return f"{mean:.3f}" + ("" if math.isnan(low) else f" ({low:.3f} to {high:.3f})")


def percent_words(rate: float) -> str:
    """A rate in percent, which no line breaks from its sign."""
    return f"{100 * rate:g}\N{NO-BREAK SPACE}%"


def _in_order(identities: Mapping[tuple[str, str], Identity]) -> tuple[str, ...]:
    """Methods in reading order: controls without a network, controls with one by their kind, all others."""

    def rank(method: str) -> tuple[bool, bool, str, str]:
        mine = [identity for (_, name), identity in identities.items() if name == method]
        control = any(identity.is_control for identity in mine)
        has_network = any(identity.of_name is not None for identity in mine)
        return (not control, has_network, mine[0].name if control else "", method)

    return tuple(sorted({method for _, method in identities}, key=rank))


def _probe_rank(probe: str) -> tuple[int, str]:
    return next((rank for rank, name in enumerate(_PROBES) if _is(probe, name)), len(_PROBES)), probe


def _is(label: str, name: str) -> bool:
    """Whether a label is that of a part of this name, with any parameters."""
    return label == name or label.startswith(f"{name}(")
