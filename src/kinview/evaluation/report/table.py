"""The results as a text table for the terminal."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
from tabulate import tabulate

from kinview.evaluation.metrics.table import lower_is_better
from kinview.evaluation.report.averages import over_repetitions, spread_name
from kinview.evaluation.report.cells import METRICS, Results, average_word, mean_words, read_results, records
from kinview.evaluation.report.over_datasets import against_reference, difference_words, reference_lines
from kinview.evaluation.report.sweeps import sweep_lines
from kinview.evaluation.report.verdicts import p_words, verdicts
from kinview.printable import printable

__all__ = ["NOTHING", "Entry", "check_metric", "entries", "format_table"]

Key = tuple[str, str, str, str]
"""data set, method, probe, condition."""

_NAME_WIDTH = 28  # a longer name is folded
_HEAD_WIDTH = 13  # the width of "0.873 ± 0.012"


@dataclass(frozen=True)
class Entry:
    """One entry of a results table: a metric under one condition, over seeds; ``low`` and ``high`` are the spread."""

    mean: float
    std: float
    n: int
    expected: int
    cells: int
    failed: int
    best: bool
    convergence_failures: int
    low: float = float("nan")
    high: float = float("nan")

    @property
    def text(self) -> str:
        """Text of the cell: mean ± std, or median (lowest to highest), or why there is no number."""
        if self.n == 0:
            return "failed" if self.failed else "n/a" if self.cells else "–"
        return mean_words(self.mean, self.std, self.low, self.high)

    @property
    def marks(self) -> str:
        """``*`` best, ``~`` fewer seeds than the benchmark has, ``!`` a probe that did not converge."""
        fewer = 0 < self.n < self.expected
        return "*" * self.best + "~" * fewer + "!" * bool(self.convergence_failures)


NOTHING = Entry(float("nan"), float("nan"), 0, 0, 0, 0, False, 0)
"""The entry of a cell that was not run."""


def format_table(
    frame: pd.DataFrame,
    metric: str = "accuracy",
    *,
    probe: str | None = None,
    width: int = 100,
    reference: str | None = None,
) -> str:
    """Lay the results out as text: data sets and methods down, conditions across, mean ± std over seeds.

    Parameters
    ----------
    frame : DataFrame
        Frame of the results store, one row per cell.
    metric : str
        ``"accuracy"``, ``"balanced_accuracy"``, ``"macro_f1"``, ``"auroc"`` or ``"auprc"``; ``"mae"``, ``"rmse"`` or
        ``"r2"`` of numbers.
    probe : str, optional
        The probe to show; by default each in turn.
    width : int
        Columns of the terminal; conditions that do not fit are continued below.
    reference : str, optional
        ``METHOD`` or ``METHOD/PROBE``: a further table compares each method and probe with it over data sets.

    Returns
    -------
    str
        The table: mean ± std, or of a metric without a bound median (lowest to highest). ``*`` marks the best method
        of a data set under a condition, ``~`` fewer seeds than the rest, ``!`` probe fits that hit their iteration
        limit. Below stands how each method compares with the controls: it beats one where it is better over data sets
        by the signed-rank test at 5 %, corrected for its controls (Holm).

    Raises
    ------
    ValueError
        If the frame holds no results, or not this metric, probe or reference.

    Examples
    --------
    >>> cells = pd.DataFrame({"dataset": "wine", "probe": "svm", "seed": [0, 1] * 2,
    ...                       "method": ["raw"] * 2 + ["scarf"] * 2, "accuracy": [0.90, 0.92, 0.93, 0.97]})
    >>> print(format_table(cells))
    accuracy on the test set, mean ± std over 2 seeds, probe svm
    <BLANKLINE>
             clean
    wine
      raw    0.910 ± 0.014
      scarf  0.950 ± 0.028*
    <BLANKLINE>
    * best of its data set and condition
    scarf is not testable against raw (mean difference +0.040 over 1 data set: won 1, tied 0, lost 0)
    """
    results = read_results(frame)
    check_metric(frame, metric)
    if probe is not None and probe not in results.probes:
        raise ValueError(f"no results with probe={probe!r}; there are: {', '.join(results.probes)}")
    probes = results.probes if probe is None else (probe,)
    table = entries(results, metric)
    seeds = (
        spread_name(results, metric).replace("standard deviation", "std")
        if results.n_repetitions > 1
        else f"seed {results.seeds[0]}"
    )
    blocks = []
    for name in probes:
        title = f"{metric.replace('_', ' ')} on the test set, {seeds}, probe {name}"
        blocks.append(f"{title}\n\n" + "\n\n".join(_blocks(results, table, name, width)))
    blocks += sweep_lines(results, metric, probes, width)
    if reference is not None:
        blocks += reference_lines(against_reference(results, metric, reference), metric)
    shown = {key: entry for key, entry in table.items() if key[2] in probes}
    notes = [*_legend(shown), *_verdicts(results, metric, probes)]
    if len(results.failed):
        some = results.failed.iloc[0]
        notes.append(
            f"{len(results.failed)} cells failed, the first: {some['dataset']}, {some['method']}, {some['probe']}, "
            f"{_plain(some['condition'])}, seed {some['seed']}: {_one_line(some.get('message'))}"
        )
    folded = [
        textwrap.fill(note, width, subsequent_indent="  ", break_on_hyphens=False) for note in map(printable, notes)
    ]
    return printable("\n\n".join([*blocks, "\n".join(folded)])).rstrip()


def check_metric(frame: pd.DataFrame, metric: str) -> None:
    """Refuse a metric that is not in the results."""
    if metric not in METRICS or metric not in frame:
        known = ", ".join(name for name in METRICS if name in frame) or "none"
        raise ValueError(f"metric={metric!r} is not in the results; choose one of: {known}")


def entries(results: Results, metric: str) -> dict[Key, Entry]:
    """All entries of the results tables of one metric, by data set, method, probe and condition."""
    by = ["dataset", "method", "probe", "condition"]
    cells = results.cells
    failures = cells.groupby(by)["convergence_failures"].sum()
    failed = results.failed.groupby(by).size()
    counts = cells.groupby(by).size()
    summary = over_repetitions(cells, by, metric)
    summary["shown"] = summary["mean"].round(3)
    rated = summary.groupby(["dataset", "probe", "condition"])["shown"]
    lowest = lower_is_better(metric)
    summary["best"] = summary["shown"] == (rated.transform("min") if lowest else rated.transform("max"))
    rivals = summary[summary["n"] > 0].groupby(["dataset", "probe", "condition"])["method"].transform("nunique")
    summary["best"] &= rivals.reindex(summary.index, fill_value=0) > 1
    found: dict[Key, Entry] = {}
    for row in records(summary):
        key = (row["dataset"], row["method"], row["probe"], row["condition"])
        found[key] = Entry(
            mean=row["mean"],
            std=row["std"],
            low=row["low"],
            high=row["high"],
            n=row["n"],
            expected=results.n_repetitions,
            cells=int(counts[key]),
            failed=int(failed.get(key, 0)),
            best=row["best"],
            convergence_failures=int(failures[key]),
        )
    for row in records(failed.rename("failed").reset_index()):
        key = (row["dataset"], row["method"], row["probe"], row["condition"])
        found.setdefault(key, dataclasses.replace(NOTHING, expected=results.n_repetitions, failed=row["failed"]))
    return found


def _blocks(results: Results, table: Mapping[Key, Entry], probe: str, width: int) -> list[str]:
    """The table of one probe, in as many blocks of conditions as the width asks for."""
    names, columns = list[str](), {condition: list[str]() for condition in results.conditions.index}
    for dataset in results.modalities:
        methods = results.methods_on(dataset, probe)
        for method in [None, *methods] if methods else []:  # None: the line of the data set itself
            names.append(_folded(dataset) if method is None else _folded(method, "  "))
            for condition, column in columns.items():
                entry = table.get((dataset, method or "", probe, condition), NOTHING)
                column.append("" if method is None else entry.text + entry.marks)
    blocks, taken = list[str](), list[str]()
    for condition in columns:
        block = _block(names, {label: columns[label] for label in [*taken, condition]})
        if taken and max(map(len, block.split("\n"))) > width:
            blocks.append(_block(names, {label: columns[label] for label in taken}))
            taken = []
        taken.append(condition)
    return [*blocks, _block(names, {label: columns[label] for label in taken})]


def _block(names: Sequence[str], columns: Mapping[str, Sequence[str]]) -> str:
    heads = ["", *(textwrap.fill(printable(label), _HEAD_WIDTH, break_long_words=False) for label in columns)]
    rows = zip(names, *columns.values())
    return _plain(tabulate(rows, heads, tablefmt="plain", disable_numparse=True, preserve_whitespace=True))


def _folded(name: str, indent: str = "") -> str:
    return textwrap.fill(_one_line(name), _NAME_WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ")


def _legend(table: Mapping[Key, Entry]) -> list[str]:
    found = list(table.values())
    notes = []
    if any(entry.best for entry in found):
        notes.append("* best of its data set and condition")
    if any("~" in entry.marks for entry in found):
        notes.append("~ fewer seeds than the rest: some cells failed or have not run")
    failures = sum(entry.convergence_failures for entry in found)
    if failures:
        notes.append(f"! {failures} probe fits hit their iteration limit")
    return notes


def _verdicts(results: Results, metric: str, probes: Sequence[str]) -> list[str]:
    found = verdicts(results, metric, probes=probes)
    notes = []
    for row in found:
        sets = f"{row['datasets']} data set{'s' if row['datasets'] > 1 else ''}"
        known = "" if pd.isna(row["difference"]) else f"{average_word(metric)} difference {difference_words(row)} "
        p = f", p {p_words(row['p_holm'])}" if row["testable"] else ""
        notes.append(
            f"{row['method']} {row['words']} ({known}over {sets}: "
            f"won {row['wins']}, tied {row['ties']}, lost {row['losses']}{p})"
        )
    several = {row["method"] for row in found if row["beats_all"]}
    return [*sorted(notes), *(f"{method} beats every one of its controls" for method in sorted(several))]


def _plain(text: object) -> str:
    return str(text).replace("\N{NO-BREAK SPACE}", " ")


def _one_line(text: object) -> str:
    return " ".join(printable(str(text)).split())
