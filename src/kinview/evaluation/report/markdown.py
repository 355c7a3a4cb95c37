"""The main tables of a report as Markdown, for a page of documentation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from kinview.evaluation.report import sections
from kinview.evaluation.report.cells import METRICS, Results, read_results
from kinview.evaluation.report.over_datasets import against_reference, difference_words, few_datasets
from kinview.evaluation.report.table import check_metric
from kinview.printable import printable

__all__ = ["as_text", "markdown_table", "render_markdown"]


def render_markdown(
    frame: pd.DataFrame,
    *,
    config: Mapping[str, Any] | None = None,
    title: str | None = None,
    description: str = "",
    metric: str = "accuracy",
    reference: str | None = None,
) -> str:
    """Text of the report that :func:`kinview.evaluation.write_report` writes to a ``.md`` file.

    It holds the facts, the notices, the verdict, the comparison with the reference over data sets, the results of each
    probe, failed cells and how it was made; figures and the differences of single data sets are in the HTML report.
    """
    results = read_results(frame)
    check_metric(frame, metric)
    made = sections.provenance(results, config)
    name = config.get("name") if config else ", ".join(made["names"])
    compared = sections.comparison(results, metric)
    parts = [f"# {as_text(title or ' '.join(['Benchmark', name or 'results']))}"]
    parts += [description] if description else []
    parts.append(", ".join(f"{number} {noun}" for number, noun in sections.facts(results)) + ".")
    parts += ["\n".join(f"- {as_text(notice)}" for notice in sections.notices(results, metric))]
    parts += _verdicts(compared["verdicts"], metric)
    if reference is not None:
        parts += _reference(against_reference(results, metric, reference), metric)
    parts += _results(results, metric)
    parts += _failed(sections.checks(results)["failed"])
    parts += _made(made)
    return "\n\n".join(part for part in parts if part) + "\n"


def _verdicts(verdicts: Sequence[Mapping[str, Any]], metric: str) -> list[str]:
    if not verdicts:
        return []
    rows = [
        (row["method"], row["words"], row["datasets"], difference_words(row), _p(row["p_holm"]),
         f"{row['better']} / {row['worse']} of {row['comparisons']}")
        for row in verdicts
    ]  # fmt: skip
    heads = ("method", "verdict", "data sets", "mean difference", "p (Holm)", "single comparisons better / worse")
    return [
        "## Does pre-training beat the controls?",
        markdown_table(heads, rows),
        f"{METRICS[metric]} of the method minus that of the control, averaged over seeds, folds, probes and conditions "
        "within each data set, then over data sets, with the 95 % t interval over data sets; p of the t test, "
        "corrected for the controls of the method. With fewer than 6 data sets nothing is tested.",
    ]


def _reference(found: Mapping[str, Any], metric: str) -> list[str]:
    parts = [
        f"## Over data sets, against {as_text(found['reference'])}",
        f"{METRICS[metric]}: mean over data sets, difference to the reference on the same data sets with its 95 % t "
        "interval over data sets, and on how many of them it is above / equal / below."
        + (f" In part {few_datasets()}." if found["few"] else ""),
    ]
    for place, condition in enumerate(found["conditions"]):
        rows = []
        for row in found["rows"]:
            cell = row["cells"][place]
            if cell is not None:
                mine = row["is_reference"]
                difference = "reference" if mine else difference_words(cell)
                record = "" if mine else f"{cell['wins']} / {cell['ties']} / {cell['losses']}"
                rows.append((row["method"], row["probe"], cell["datasets"], f"{cell['mean']:.3f}", difference, record))
        heads = ("method", "probe", "data sets", "mean", "difference", "win / tie / loss")
        parts += [f"### {as_text(condition)}", markdown_table(heads, rows)] if rows else []
    return parts


def _results(results: Results, metric: str) -> list[str]:
    conditions = list(results.conditions.index)
    spread = f", mean ± standard deviation over {results.repetitions}" if results.n_repetitions > 1 else ""
    parts = ["## Results", f"{METRICS[metric]} on the test set{spread}. The best of a data set and condition is bold."]
    for table in sections.result_tables(results, metric):
        rows = []
        for group in table["groups"]:
            for row in group["rows"]:
                entries = [cell["entry"] for cell in row["cells"]]
                texts = [f"**{one.text}**" if one.best else one.text for one in entries]
                rows.append((group["name"], row["method"] + (" (control)" if row["control"] else ""), *texts))
        parts += [f"### Probe: {as_text(table['probe'])}", markdown_table(("data set", "method", *conditions), rows)]
    return parts


def _failed(failed: Sequence[Mapping[str, Any]]) -> list[str]:
    if not failed:
        return []
    rows = [(row["dataset"], row["method"], row["cells"], row["message"]) for row in failed]
    return ["## Failed cells", markdown_table(("data set", "method", "cells", "message"), rows)]


def _made(made: Mapping[str, Any]) -> list[str]:
    parts = ["## Reproduce"]
    if made["config"]:
        parts += ["`kinview bench benchmark.yaml` with", f"```yaml\n{made['config']}\n```"]
    facts = [f"seeds {made['seeds']}"]
    facts += [f"{key} {', '.join(values)}" for key, values in made["settings"].items()]
    facts += [f"{package} {', '.join(found)}" for package, found in made["versions"].items()]
    facts += [f"computing time {made['seconds']}, summed over cells"] if made["seconds"] else []
    return [*parts, as_text("; ".join(facts)) + "."]


def markdown_table(heads: Iterable[Any], rows: Iterable[Iterable[Any]]) -> str:
    """A table of texts, escaped."""
    names = [as_text(head) for head in heads]
    lines = [names, ["---"] * len(names), *([as_text(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def as_text(value: Any) -> str:
    """One line in which nothing is taken for a column or markup of its own."""
    plain = " ".join(printable(str(value)).split())
    for mark in ("\\", "|", "<", "`"):
        plain = plain.replace(mark, f"\\{mark}")
    return plain


def _p(value: float) -> str:
    return "" if pd.isna(value) else "<0.001" if value < 0.001 else f"{value:.3f}"
