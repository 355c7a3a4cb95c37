"""The report as a sequence of blocks, from which Markdown, LaTeX and workbooks are made."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from kinview.evaluation.metrics.table import has_units, is_unbounded
from kinview.evaluation.over_datasets import LEAST_DATASETS
from kinview.evaluation.report import sections
from kinview.evaluation.report.averages import spread_name
from kinview.evaluation.report.beside_metrics import embedding_tables, side_tables
from kinview.evaluation.report.cells import average_word, records
from kinview.evaluation.report.over_datasets import (
    difference_words,
    few_datasets,
    interval_name,
    units_note,
    value_words,
)
from kinview.evaluation.report.shift_matrix import shift_matrices
from kinview.evaluation.report.verdicts import has_rope, median_note, p_words, probability_words, test_name

if TYPE_CHECKING:
    from kinview.evaluation.report.content import Report

__all__ = ["Block", "Code", "Heading", "Items", "Paragraph", "Strong", "Table", "blocks"]

VERDICT_NOTE = (
    "of the method minus that of the control, averaged over seeds, folds, probes and conditions within each data set, "
    "then over data sets, with the {interval} over data sets; on how many of them the method is better, equal and "
    "worse; p of {test} over data sets, corrected for the controls of the method (Holm). With "
    f"fewer than {LEAST_DATASETS} data sets nothing is tested: read the values of each."
)
POSTERIOR_NOTE = (
    " The posterior are the probabilities, in percent, that it is better, practically equal (within 0.01) or worse "
    "(Bayesian signed-rank test)."
)


WINS_NOTE = (
    "Of the trials (data set, probe, condition) in which the two differ by Welch's t test over seeds at 5 %, the "
    "fraction that the row's method wins, and trials won / not different / lost. It describes: seeds are its cases "
    "(two methods without any spread over them are not told apart), and it proves nothing over data sets."
)
CONVERGENCE_NOTE = (
    "Fits that stopped at the iteration limit before they had converged, those of the search for hyper-parameters "
    "included. Their scores are kept."
)
COST_NOTE = (
    "Seconds of fitting a probe and predicting with it, embedding apart, on the machine that ran the cell; a probe "
    "that trains the network counts that training."
)
DATA_HEADS = (
    "data set", "kind", "training samples", "groups", "test samples", "test groups",
    "classes or numbers of the test part",
)  # fmt: skip
ERRORS_NOTE = (
    "Fraction of the recorded labels of the test part that look wrong by confident learning on the probabilities of "
    "clean cells, which were fitted on other samples: the lowest estimate over methods and probes, and the highest. "
    "Where classes overlap right labels look wrong, which makes an estimate too high; the lowest of many is by chance "
    "too low. It is no count."
)
ERRORS_HEADS = ("data set", "lowest", "from", "highest", "estimates")
MODEL_NOTE = (
    "Models of the cells on clean data with all labels: how many (seeds and folds), weights that training changes, "
    "median seconds to fit one, steps of its training, and its mean loss over the first hundredth of the steps "
    "and over the last tenth."
)
MODEL_HEADS = ("data set", "method", "models", "weights", "median s", "steps", "loss")
COST_HEADS = ("method", "probe", "cells", "median s", "highest s", "total s")
RECONSTRUCTED_NOTE = (
    "Reconstructed from the cells of the store (a reader's options and file paths are not stored): save it as "
    "benchmark.yaml and run kinview bench benchmark.yaml."
)


class Strong(str):
    """Text that stands out."""


@dataclasses.dataclass(frozen=True)
class Heading:
    """A heading; level 1 is the title."""

    level: int
    text: str


@dataclasses.dataclass(frozen=True)
class Paragraph:
    """A paragraph; one that the author of the report wrote may hold markup."""

    text: str
    authored: bool = False


@dataclasses.dataclass(frozen=True)
class Items:
    """A list."""

    texts: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Code:
    """Lines that are shown as they are."""

    text: str
    language: str = ""


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of texts, with a name of its own."""

    name: str
    heads: tuple[Any, ...]
    rows: tuple[tuple[Any, ...], ...]


Block = Heading | Paragraph | Items | Code | Table


def blocks(report: Report) -> Iterator[Block]:
    """The report block by block; figures, and tables of other metrics than the chosen one, are in its page alone."""
    yield Heading(1, report.heading)
    if report.description:
        yield Paragraph(report.description, authored=True)
    yield Paragraph(", ".join(f"{number} {noun}" for number, noun in sections.facts(report.results)) + ".")
    notices = sections.notices(report.results, report.metric)
    if notices:
        yield Items(tuple(notices))
    yield from _verdicts(report)
    yield from _all_methods(report)
    yield from _published(report)
    yield from _reference(report)
    yield from _results(report)
    yield from _differences(report)
    yield from _sweeps(report)
    yield from _shift_of_rates(report)
    yield from _beside_metrics(report)
    yield from _subgroups(report)
    yield from _described(report)
    yield from _checks(report)
    yield from _left_out(report)
    yield from _failed(report)
    yield from _made(report)


def _verdicts(report: Report) -> Iterator[Block]:
    rows = report.compared["verdicts"]
    if not rows:
        return
    average = average_word(report.metric)
    yield Heading(2, "Does pre-training beat the controls?")
    heads = ("method", "verdict", "data sets", f"{average} difference", "won / tied / lost", "p (Holm)", "posterior")
    yield Table("Verdicts", heads, tuple(
        (row["method"], row["words"], row["datasets"], difference_words(row),
         f"{row['wins']} / {row['ties']} / {row['losses']}", p_words(row["p_holm"]), probability_words(row))
        for row in rows
    ))  # fmt: skip
    note = VERDICT_NOTE.replace("{interval}", interval_name(report.metric)).replace(
        "{test}", test_name(report.metric)
    ) + median_note(report.metric)
    yield Paragraph(f"{report.metric_title} {note}{POSTERIOR_NOTE if has_rope(report.metric) else ''}")
    few = [row for row in rows if not row["testable"]]
    if few:
        yield Heading(3, "Values by data set, where there are too few to test")
        yield Table("Paired values", ("method", "control", "data set", "method's", "control's", "difference"), tuple(
            (row["method"], row["control"], one["dataset"], f"{one['mean']:.3f}", f"{one['reference']:.3f}",
             f"{one['difference']:+.3f}")
            for row in few for one in row["values"]
        ))  # fmt: skip


def _all_methods(report: Report) -> Iterator[Block]:
    average = average_word(report.metric)
    for one in report.all_methods:
        found = one.found
        yield Heading(2, f"All methods over data sets: {one.noun}")
        yield Paragraph(" ".join([one.friedman, *one.notes]))
        pooled = len(found.scores) == 1 or not has_units(report.metric)
        heads = ("method", "average rank", average) if pooled else ("method", "average rank")
        yield Table(f"Ranks, {one.noun}", heads, tuple(
            (name, f"{rank:.2f}", f"{found.scores[name].agg(average):.3f}")[: len(heads)]
            for name, rank in found.ranks.items()
        ))  # fmt: skip
        if not pooled:
            yield Paragraph(units_note(report.metric))
        if found.cliques:
            yield Items(tuple(f"not told apart: {', '.join(clique)}" for clique in found.cliques))
        yield Table(
            f"Pairs, {one.noun}", ("method", "other", "difference", "won / tied / lost", "p (Holm)", "verdict"),
            tuple(
                (row["method"], row["other"], difference_words(row),
                 f"{row['wins']} / {row['ties']} / {row['losses']}", p_words(row["p_holm"]), row["verdict"])
                for row in records(found.pairs)
            ),
        )  # fmt: skip
        if len(one.wins):
            yield Heading(3, f"Matrix of wins: {one.noun}")
            yield Table(f"Wins, {one.noun}", ("row against column", *found.ranks.index), tuple(
                (method, *(_win(one.win(method, other)) for other in found.ranks.index)) for method in found.ranks.index
            ))  # fmt: skip
            yield Paragraph(WINS_NOTE)


def _win(cell: Any) -> str:
    if cell is None:
        return ""
    ratio = "–" if cell["ratio"] != cell["ratio"] else f"{cell['ratio']:.2f}"
    return f"{ratio} ({cell['wins']} / {cell['ties']} / {cell['losses']})"


def _published(report: Report) -> Iterator[Block]:
    found = report.beside
    if found is None:
        return
    yield Heading(2, f"Beside published results ({found['name']})")
    yield Items(tuple(found["notes"]))
    yield Table("Published", ("method", "data sets", average_word(report.metric), *found["datasets"]), tuple(
        (row["name"] + (" (published)" if row["published"] else ""), row["datasets"], _value(row["mean"]),
         *map(_value, row["values"]))
        for row in found["rows"]
    ))  # fmt: skip
    yield Table("Against published", ("published", *(f"{name} minus it" for name in found["own"])), tuple(
        (row["name"], *("" if cell is None else _pair(cell) for cell in row["cells"])) for row in found["pairs"]
    ))  # fmt: skip


def _pair(cell: dict[str, Any]) -> str:
    p = f", p {p_words(cell['p_holm'])}" if cell["testable"] else ""
    return f"{difference_words(cell)}, {cell['wins']} / {cell['ties']} / {cell['losses']}{p}"


def _value(number: float) -> str:
    return "" if number != number else f"{number:.3f}"


def _reference(report: Report) -> Iterator[Block]:
    found = report.against
    if found is None:
        return
    yield Heading(2, f"Over data sets, against {found['reference']}")
    average = average_word(report.metric)
    units = f" {units_note(report.metric)}".rstrip()
    few = f" In part {few_datasets()}." if found["few"] else ""
    yield Paragraph(
        f"{report.metric_title}: {average} over data sets, difference to the reference on the same data sets with its "
        f"{interval_name(report.metric)} over data sets, and on how many of them it is better / equal / worse."
        f"{few}{units}"
    )
    for place, condition in enumerate(found["conditions"]):
        rows = []
        for row in found["rows"]:
            cell = row["cells"][place]
            if cell is not None:
                mine = row["is_reference"]
                difference = "reference" if mine else difference_words(cell)
                record = "" if mine else f"{cell['wins']} / {cell['ties']} / {cell['losses']}"
                rows.append(
                    (row["method"], row["probe"], cell["datasets"], value_words(cell["mean"]), difference, record)
                )
        heads = ("method", "probe", "data sets", average, "difference", "win / tie / loss")
        if rows:
            yield Heading(3, condition)
            yield Table(f"Against reference, {condition}", heads, tuple(rows))


def _results(report: Report) -> Iterator[Block]:
    results = report.results
    spread = f", {spread_name(results, report.metric)}" if results.n_repetitions > 1 else ""
    yield Heading(2, "Results")
    yield Paragraph(f"{report.metric_title} on the test set{spread}. The best of a data set and condition is bold.")
    for table in report.tables:
        rows = []
        for group in table["groups"]:
            for row in group["rows"]:
                entries = [cell["entry"] for cell in row["cells"]]
                texts = [Strong(one.text) if one.best else one.text for one in entries]
                rows.append((group["name"], row["method"] + (" (control)" if row["control"] else ""), *texts))
        yield Heading(3, f"Probe: {table['probe']}")
        yield Table(f"Results, {table['probe']}", ("data set", "method", *results.conditions.index), tuple(rows))
        if table["note"]:
            yield Paragraph(table["note"])


def differences_note(report: Report) -> str:
    """What a paired difference is, and what its interval covers."""
    results = report.results
    what = (
        f"{report.metric_title} of the method minus that of the control on the same data set, condition, probe, seed "
        "and fold: "
    )
    if len(results.seeds) < 2:
        return f"{what}one seed, and no interval."
    average = average_word(report.metric)
    folds = f" (of the {average} over folds)" if len(results.folds) > 1 else ""
    enough = ", of six seeds or more" if is_unbounded(report.metric) else ""
    return (
        f"{what}{average} over seeds{folds} and {interval_name(report.metric)}{enough}. Where the difference is the "
        "same for every seed there is no interval: seeds that agree by chance look like seeds that change nothing. The "
        "interval covers what changes with the seed (initial weights, batches, which values go missing, which labels "
        "are wrong). It does not cover which cases happen to be in the test set, and it is not corrected for the "
        "number of comparisons."
    )


def _differences(report: Report) -> Iterator[Block]:
    if not report.compared["tables"]:
        return
    yield Heading(2, "Paired differences")
    yield Paragraph(differences_note(report))
    for table in report.compared["tables"]:
        rows = tuple(
            (group["name"], row["method"], row["control"], *map(_over_seeds, row["cells"]))
            for group in table["groups"] for row in group["rows"]
        )  # fmt: skip
        heads = ("data set", "method", "minus", *report.results.conditions.index)
        yield Heading(3, f"Paired differences, probe {table['probe']}")
        yield Table(f"Paired differences, {table['probe']}", heads, rows)


def _over_seeds(cell: Any) -> str:
    if not cell:
        return ""
    interval = "" if cell["low"] != cell["low"] else f" [{cell['low']:+.3f}, {cell['high']:+.3f}]"
    return f"{cell['difference']:+.3f}{interval}"


def _sweeps(report: Report) -> Iterator[Block]:
    if report.sweeps:
        yield Heading(2, "Sweeps")
    for sweep in report.sweeps:
        for table in sweep["tables"]:
            name = f"{sweep['title']}, probe {table['probe']}"
            yield Heading(3, name)
            yield Paragraph(f"{report.metric_title}, {average_word(report.metric)}, {table['interval']}.")
            yield Table(name, (sweep["parameters"], *table["conditions"]), tuple(map(tuple, table["rows"])))


def _described(report: Report) -> Iterator[Block]:
    yield Heading(2, "Data sets")
    keys = ("name", "kind", "train", "groups", "test", "test_groups", "classes")
    yield Table("Data sets", DATA_HEADS, tuple(tuple(row[key] for key in keys) for row in report.data_sets))
    if report.transitions:
        yield Heading(2, "Noise of the training labels, as realised")
        yield Table("Label noise", ("data set", "condition", "wrong", "label", "samples", "labelled as"), tuple(
            (one["dataset"], one["condition"], f"{one['rate']:.3f}", row["label"], row["samples"],
             ", ".join(f"{name}: {_value(part) or '–'}"
                       for name, part in zip(one["classes"], row["fractions"], strict=True)))
            for one in report.transitions for row in one["rows"]
        ))  # fmt: skip
    if report.label_error_rows:
        yield Heading(2, "Recorded labels that look wrong")
        yield Table("Labels that look wrong", ERRORS_HEADS, tuple(report.label_error_rows))
        yield Paragraph(ERRORS_NOTE)
    if report.model_rows:
        yield Heading(2, "Models and their training")
        yield Table("Models", MODEL_HEADS, tuple(report.model_rows))
        yield Paragraph(MODEL_NOTE)
    if report.costs:
        yield Heading(2, "Cost")
        yield Table("Cost", COST_HEADS, report.cost_rows)
        yield Paragraph(COST_NOTE)


def _subgroups(report: Report) -> Iterator[Block]:
    for group in report.subgroup_tables:
        yield Heading(2, f"Subgroups of {group['dataset']} by {group['column']}")
        for part in group["parts"]:
            yield Table(f"{group['dataset']} by {group['column']}{part['words']}", part["heads"], part["rows"])
        if group["gaps"]:
            yield Table(f"Gaps of {group['dataset']} by {group['column']}", group["gap_heads"], group["gaps"])
        if group["no_gaps"]:
            yield Paragraph(group["no_gaps"])
        if group["notes"]:
            yield Items(group["notes"])


def _shift_of_rates(report: Report) -> Iterator[Block]:
    tables = shift_matrices(report.results, report.metric)
    if not tables:
        return
    yield Heading(2, "Shift of rates")
    yield Paragraph(
        f"{report.metric_title} by the rate of a corruption in the training part (rows) and in the test part "
        f"(columns), {average_word(report.metric)} over {report.results.repetitions}."
    )
    for table in tables:
        title = f"{table['dataset']}, {table['corruption']}, probe {table['probe']}"
        rows = tuple((row["method"], row["rate"], *(cell["text"] for cell in row["cells"])) for row in table["rows"])
        yield Heading(3, title)
        yield Table(title, ("method", "train rate", *(f"test {rate}" for rate in table["rates"])), rows)


def _beside_metrics(report: Report) -> Iterator[Block]:
    kinds = {"Clusters and neighbours": embedding_tables, "Two sides": side_tables}
    for heading, tables in ((heading, kind(report.results)) for heading, kind in kinds.items()):
        if tables:
            yield Heading(2, heading)
        for table in tables:
            title = f"{heading}: {table['dataset']}, {table['condition']}"
            rows = tuple((row["method"], *row["cells"]) for row in table["rows"])
            yield Heading(3, f"{table['dataset']}, {table['condition']}")
            yield Table(title, ("method", *table["heads"]), rows)


def _checks(report: Report) -> Iterator[Block]:
    checks = report.checks
    if checks["conditions"]:
        yield Heading(2, "Realised rates")
        yield Table("Realised rates", ("data set", *checks["conditions"]), tuple(
            (row["name"], *("; ".join(texts) for texts in row["cells"])) for row in checks["realised"]
        ))  # fmt: skip
        meanings = "; ".join(checks["meanings"])
        yield Paragraph(f"The head says what was asked for, the cells what was done, over all seeds: {meanings}.")
    if checks["convergence"]:
        yield Heading(2, "Probes that stopped at their limit")
        heads = ("data set", "method", "probe", "fits", "cells", "conditions")
        yield Table("Convergence", heads, tuple(
            (row["dataset"], row["method"], row["probe"], row["fits"], row["cells"], ", ".join(row["conditions"]))
            for row in checks["convergence"]
        ))  # fmt: skip
        yield Paragraph(CONVERGENCE_NOTE)


def _left_out(report: Report) -> Iterator[Block]:
    if report.left_out:
        yield Heading(2, "Not in the grid")
        yield Items(tuple(report.left_out))


def _failed(report: Report) -> Iterator[Block]:
    failed = report.checks["failed"]
    if failed:
        yield Heading(2, "Failed cells")
        heads = ("data set", "method", "cells", "message")
        rows = tuple((row["dataset"], row["method"], row["cells"], row["message"]) for row in failed)
        yield Table("Failed cells", heads, rows)


def _made(report: Report) -> Iterator[Block]:
    made = report.made
    yield Heading(2, "Reproduce")
    if made["config"] or made["reconstructed"]:
        yield Paragraph("Run kinview bench benchmark.yaml, with the file" if made["config"] else RECONSTRUCTED_NOTE)
        yield Code(made["config"] or made["reconstructed"], "yaml")
    facts = [f"seeds {made['seeds']}"]
    facts += [f"{key} {', '.join(values)}" for key, values in made["settings"].items()]
    facts += [f"{package} {', '.join(found)}" for package, found in made["versions"].items()]
    facts += [f"computing time: {made['seconds']}"] if made["seconds"] else []
    yield Paragraph("; ".join(facts) + ".")
    if report.methods_paragraph:
        text, *references = report.methods_paragraph
        yield Heading(3, "Methods paragraph")
        yield Paragraph(text)
        if references:
            yield Items(tuple(references))
