"""``kinview probe``: what a saved model is worth on a data set."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kinview._cli.arguments import new_parser, parse as parse_words
from kinview._cli.data import DataOptions
from kinview._cli.models import adapted, check_output, check_reads, load_model, read_by, with_parameters
from kinview._cli.text import count, say, table
from kinview.files import atomic_write

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jsonargparse import Namespace

    from kinview.datasets.dataset import Dataset
    from kinview.datasets.seen import SeenCounts
    from kinview.evaluation.predictions import Predictions

__all__ = ["parse", "probe", "run"]

# Not registered as "auto": trainers have a setting of that name, and a benchmark takes any text in the code that runs
# for the part of that name, so that every cell would rest on every probe.
_SELECTED = "selected"


def probe(
    source: DataOptions,
    *,
    model: str,
    probe: dict[str, Any] | str = "linear",
    probe_parameters: dict[str, Any] | None = None,
    adapt: bool = False,
    embedding_metrics: bool = False,
    random_state: int = 0,
    output: str | None = None,
    predictions: str | None = None,
) -> None:
    """What to score.

    Parameters
    ----------
    source : DataOptions
        The data, with labels.
    model : str
        Model file that kinview pretrain saved.
    probe : str or mapping
        Probe by name (kinview list probes), or as {name: {parameter: value}}; auto is the probe
        "selected": it picks one by cross-validation on the training part, and says which.
    probe_parameters : mapping, optional
        Parameters of the probe: '{max_iter: 1000}', or one by one as --probe_parameters.max_iter 1000.
    adapt : bool
        For a model of series: first learn channels and scaling from the training part, and keep
        the weights. Those that read another number of channels start anew, with a warning.
    embedding_metrics : bool
        Also say how well the test embeddings cluster by class, and find their own class among their neighbours.
    random_state : int
        Seed of what the probe draws.
    output : str, optional
        File for the result as JSON.
    predictions : str, optional
        Parquet file to write, one row a test sample: label, prediction and scores with the name of the sample.
    """
    from kinview.datasets.description import describe
    from kinview.evaluation.metrics.embeddings import EMBEDDING_METRICS
    from kinview.evaluation.probes import probes
    from kinview.evaluation.report.cells import METRICS
    from kinview.methods import methods

    file = None if output is None else check_output(output, (".json",))
    samples = None if predictions is None else check_output(predictions, (".parquet",), "predictions")
    probe = _SELECTED if probe == "auto" else probe
    spec = with_parameters(probes, probe, probe_parameters or {}, random_state=random_state)
    estimator = load_model(model)
    data, names = source.load()
    data.require_target()
    if elsewhere := sorted(set(data.static_to) - {"probe", "pairs"}):
        raise ValueError(
            f"static_to names {', '.join(elsewhere)}, and kinview probe sends static columns to the probe and to pairs "
            "alone: the encoder of a saved model is fitted, and kinview metrics measures subgroups; give static_to: "
            "{probe: [...]}"
        )
    check_reads(estimator, data.modality, data.name)
    say(*describe(data).split("\n"), "")
    if adapt:
        estimator = adapted(estimator, data.X_train)
    seen = _seen(model, data)
    fitted = probes.build(spec)
    read = [read_by(estimator, data.part(part), source.pairs, data.name) for part in ("train", "test")]
    made, metrics = _predict(estimator, data, names, fitted, read)
    apart = _without_probe(estimator, data, fitted, random_state, read) if embedding_metrics else {}
    result = _with_findings(metrics, fitted)
    notes = result.pop("notes")
    failures = result.pop("convergence_failures")
    name = methods.name_of(estimator)
    say(f"{name} ({model}), probe {next(iter(spec))}", "")
    shown = {
        key: "not defined" if math.isnan(result[key]) else f"{result[key]:.4f}" for key in METRICS if key in result
    }
    say(*table([(f"  {METRICS[key]}", text) for key, text in shown.items()]))
    if apart:
        say("", "of the embeddings, without a probe:")
        say(*table([(f"  {title}", f"{apart[key]:.4f}") for key, title in EMBEDDING_METRICS.items()]))
    if failures:
        notes = [*notes, f"{count(failures, 'fit')} of the probe stopped before convergence"]
    say("", *(f"note: {note}" for note in [*notes, _seen_words(seen, data)]))
    if file is not None:
        described = {
            "dataset": data.name,
            "fingerprint": data.fingerprint(),
            "model": Path(model).name,
            "method": name,
            "adapt": adapt,
            "probe": spec,
            "convergence_failures": failures,
            "notes": notes,
            "seen": None if isinstance(seen, str) else dataclasses.asdict(seen),
        }
        _write_result(file, {**described, **({"embedding_metrics": apart} if apart else {})}, result)
    if samples is not None:
        say(f"saved {made.write_parquet(samples)}: {count(len(names), 'test sample')}, by name")


def _write_result(file: Path, described: Mapping[str, Any], result: Mapping[str, float]) -> None:
    import kinview

    metrics = {key: None if math.isnan(value) else value for key, value in result.items()}
    content = {**described, "metrics": metrics, "kinview": kinview.__version__}
    atomic_write(file, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def _seen(model: str, data: Dataset) -> SeenCounts | str:
    """How many test samples the model has seen, or why that is not known."""
    from kinview.datasets.seen import Seen, seen_file

    try:
        return Seen.read(model).count(data.part("test"))
    except FileNotFoundError:
        return f"there is no {seen_file(model)}"
    except ValueError as error:
        return str(error)


def _seen_words(seen: SeenCounts | str, data: Dataset) -> str:
    from kinview.data.modality import SAMPLE

    if isinstance(seen, str):
        return f"whether pre-training has seen test samples is not known: {seen}"
    unsure = "; groups (patients) were not compared, the model or the data have none" if seen.groups is None else ""
    if not seen.seen and not seen.groups:
        return f"none of the {count(seen.samples, 'test sample')} was seen in pre-training{unsure}"
    noun = SAMPLE[data.modality]
    how = f"{seen.values:,} by the values of the {noun}, {seen.names:,} by its name"
    others = f"; {seen.groups:,} others are of a group that was" if seen.groups else unsure
    return (
        f"{seen.seen:,} of {count(seen.samples, 'test sample')} were seen in pre-training ({how}){others}: "
        "--split with the same value and the same file in pretrain and probe keeps them apart"
    )


def _predict(
    estimator: Any, data: Dataset, names: list[str], probe: Any, read: Sequence[Any]
) -> tuple[Predictions, dict[str, Any]]:
    """What a probe fitted on the training part says of the test part, and its metrics; ``read`` are both parts."""
    import numpy as np

    from kinview.evaluation.benchmark.scoring import scored
    from kinview.evaluation.benchmark.static import with_static

    if probe.needs_model and "probe" in data.static_to:
        raise ValueError("a probe that trains the network itself takes no static columns; leave static_to out")
    if probe.needs_model:
        given = {"groups": data.groups_train, "model": estimator}
        return scored(probe, data, names, read[0], data.y_train, read[1], **given)
    # Raw features pass their gaps on to a probe that takes them, as in a benchmark.
    keeps = probe.accepts_missing and estimator.passes_missing
    gaps = {"missing": "keep"} if keeps else {}
    z_train, z_test = (np.asarray(estimator.transform(X, **gaps)) for X in read)
    columns = data.static_to.get("probe", ())
    static = (data.static_train, data.static_test)
    z_train, z_test = with_static(static, columns, (z_train, z_test), keep_missing=probe.accepts_missing)
    return scored(probe, data, names, z_train, data.y_train, z_test, groups=data.groups_train)


def _without_probe(estimator: Any, data: Dataset, probe: Any, seed: int, read: Sequence[Any]) -> dict[str, float]:
    """Clusters and neighbours of the test embeddings."""
    import numpy as np

    from kinview.evaluation.metrics.embeddings import embedding_metrics

    if data.task == "regression" or probe.needs_model:
        what = "numbers are predicted" if data.task == "regression" else "the probe trains the network"
        raise ValueError(f"embedding_metrics are of frozen embeddings and classes, and here {what}; leave them out")
    train, test = (np.asarray(estimator.transform(X)) for X in read)
    return embedding_metrics(train, test, data.y_test, groups=data.groups_test, seed=seed)


def _with_findings(metrics: Mapping[str, Any], probe: Any) -> dict[str, Any]:
    """Metrics with what the probe says of its fit: what it picked comes before the other notes."""
    notes = [*probe.findings(), *metrics["notes"]]
    return {**metrics, "notes": notes, "convergence_failures": probe.convergence_failures}


def parse(words: Sequence[str]) -> Namespace:
    """Options of the command."""
    parser = new_parser(
        "probe", "--model FILE  --dataset NAME | --data FILE  [options]",
        "Fit a probe on the embeddings of the training part and score the test part.",
    )  # fmt: skip
    parser.add_function_arguments(probe, as_positional=False, skip={"source"})
    parser.add_class_arguments(DataOptions)
    return parse_words(parser, words)


def run(options: Namespace) -> None:
    """Run the command."""
    source = DataOptions.taken_from(options)
    probe(source, **options.as_dict())
