"""The results as a text table for the terminal."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from tabulate import tabulate

from kinview.evaluation.over_datasets import difference_over_datasets, judged
from kinview.evaluation.report.cells import METRICS, Results, read_results, records
from kinview.evaluation.report.over_datasets import against_reference, difference_words, reference_lines
from kinview.evaluation.statistics import paired_differences, scoreboard, summarize
from kinview.printable import printable

__all__ = ["NOTHING", "Entry", "compare_with_controls", "entries", "format_table", "verdict_words", "verdicts"]

Key = tuple[str, str, str, str]
"""data set, method, probe, condition."""

_NAME_WIDTH = 28  # a longer name is folded
_HEAD_WIDTH = 13  # the width of "0.873 ± 0.012"


@dataclass(frozen=True)
class Entry:
    """One entry of a results table: a metric under one condition, over seeds."""

    mean: float
    std: float
    n: int
    expected: int
    cells: int
    failed: int
    best: bool
    convergence_failures: int

    @property
    def text(self) -> str:
        """Text of the cell: mean ± std, or why there is no number."""
        if self.n == 0:
            return "failed" if self.failed else "n/a" if self.cells else "–"
        return f"{self.mean:.3f}" + (f" ± {self.std:.3f}" if self.n > 1 else "")

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
        ``"accuracy"``, ``"balanced_accuracy"``, ``"macro_f1"``, ``"auroc"`` or ``"auprc"``.
    probe : str, optional
        The probe to show; by default each in turn.
    width : int
        Columns of the terminal; conditions that do not fit are continued below.
    reference : str, optional
        ``METHOD`` or ``METHOD/PROBE``: a further table compares each method and probe with it over data sets.

    Returns
    -------
    str
        The table. ``*`` marks the best method of a data set under a condition, ``~`` a mean over fewer seeds than the
        rest, ``!`` probe fits that hit their iteration limit. Below stands how each method compares with the controls:
        it beats one where its difference over data sets is above zero, tested at 5 % and corrected for its controls.

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
    scarf is not testable against raw (better 0, worse 0 of 1 comparisons, mean difference +0.040 over 1
      data set)
    """
    results = read_results(frame)
    check_metric(frame, metric)
    if probe is not None and probe not in results.probes:
        raise ValueError(f"no results with probe={probe!r}; there are: {', '.join(results.probes)}")
    probes = results.probes if probe is None else (probe,)
    table = entries(results, metric)
    seeds = f"mean ± std over {results.repetitions}" if results.n_repetitions > 1 else f"seed {results.seeds[0]}"
    blocks = []
    for name in probes:
        title = f"{metric.replace('_', ' ')} on the test set, {seeds}, probe {name}"
        blocks.append(f"{title}\n\n" + "\n\n".join(_blocks(results, table, name, width)))
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
    summary = summarize(cells, by, metric=metric)
    summary["shown"] = summary["mean"].round(3)
    summary["best"] = summary["shown"] == summary.groupby(["dataset", "probe", "condition"])["shown"].transform("max")
    rivals = summary[summary["n"] > 0].groupby(["dataset", "probe", "condition"])["method"].transform("nunique")
    summary["best"] &= rivals.reindex(summary.index, fill_value=0) > 1
    found: dict[Key, Entry] = {}
    for row in records(summary):
        key = (row["dataset"], row["method"], row["probe"], row["condition"])
        found[key] = Entry(
            mean=row["mean"],
            std=row["std"],
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


def compare_with_controls(results: Results, metric: str) -> pd.DataFrame:
    """Paired differences of each learned method to its controls, with the columns ``control`` and ``condition``.

    A control that was asked with a probe of its own is compared under it with every probe.

    Which controls are those of a method on a data set, :meth:`~kinview.evaluation.report.cells.Results.controls_of`
    says.
    """
    learned = results.cells[~results.cells["method"].isin(results.controls)]
    pairs = learned[["dataset", "method"]].drop_duplicates()
    answered = {(dataset, method): results.controls_of(method, dataset) for dataset, method in pairs.to_numpy()}
    parts = []
    for control in results.controls:
        reference = _reference(results.cells[results.cells["method"] == control], learned)
        compared = learned[
            [control in answered[pair] for pair in zip(learned["dataset"], learned["method"], strict=True)]
        ]
        if reference.empty or compared.empty:
            continue
        found = paired_differences(
            pd.concat([compared, reference]), control, metric=metric, by=("dataset", "method", "probe", "condition")
        )
        parts.append(found.assign(control=control))
    if not parts:
        return pd.DataFrame(columns=["dataset", "method", "probe", "condition", "control", "difference", "verdict"])
    return pd.concat(parts, ignore_index=True)


def _reference(cells: pd.DataFrame, learned: pd.DataFrame) -> pd.DataFrame:
    """Cells of a control; on each data set its own probe stands for every probe that it was not asked with there."""
    own = cells[cells["own_probe"].fillna(0).astype(bool)]
    parts = [cells]
    for dataset, there in own.groupby("dataset"):
        asked = set(cells.loc[cells["dataset"] == dataset, "probe"])
        others = sorted(set(learned.loc[learned["dataset"] == dataset, "probe"]) - asked)
        parts += [there.assign(probe=probe) for probe in others]
    return pd.concat(parts)


def verdicts(results: Results, differences: pd.DataFrame) -> list[dict[str, Any]]:
    """How each method stands to each of its controls, over data sets; methods and controls in reading order.

    Parameters
    ----------
    results : Results
        The results.
    differences : DataFrame
        Of :func:`compare_with_controls`: they are averaged within each data set first.

    Returns
    -------
    list of dict
        What :func:`scoreboard` counts, what :func:`judged` says of the mean difference, and ``words``.
    """
    if differences.empty:
        return []
    over = difference_over_datasets(differences, ["method", "control"])
    found = {(row["method"], row["control"]): row for row in records(judged(over, ["method"]))}
    rows = []
    for control in results.controls:
        chosen = differences[differences["control"] == control]
        for row in records(scoreboard(chosen)) if len(chosen) else ():
            one = {**row, **found[row["method"], control]}
            rows.append({**one, "words": verdict_words(one, control)})
    order = list(results.methods)
    return sorted(rows, key=lambda row: (order.index(row["method"]), order.index(row["control"])))


def verdict_words(row: Mapping[str, Any], control: str) -> str:
    """Say in words whether a method beats a control over data sets; a difference that is not shown may be of chance."""
    if row["verdict"] == "not testable":
        return f"is not testable against {control}"
    if row["verdict"] in ("better", "worse"):
        return f"beats {control}" if row["verdict"] == "better" else f"is worse than {control}"
    return f"is not shown to beat {control}" if row["difference"] > 0 else f"does not beat {control}"


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
    differences = compare_with_controls(results, metric)
    differences = differences[differences["probe"].isin(probes)]
    found = verdicts(results, differences)
    notes = [
        f"{row['method']} {row['words']} (better {row['better']}, worse {row['worse']} of {row['comparisons']} "
        f"comparisons, mean difference {difference_words(row)} over {row['datasets']} "
        f"data set{'s' if row['datasets'] > 1 else ''})"
        for row in found
    ]
    several = {row["method"] for row in found if row["beats_all"]}
    return [*sorted(notes), *(f"{method} beats every one of its controls" for method in sorted(several))]


def _plain(text: object) -> str:
    return str(text).replace("\N{NO-BREAK SPACE}", " ")


def _one_line(text: object) -> str:
    return " ".join(printable(str(text)).split())
