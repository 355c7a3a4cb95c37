"""``kinview probe``: what a saved model is worth on a data set."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kinview._cli.arguments import new_parser, parse as parse_words
from kinview._cli.data import DataOptions
from kinview._cli.models import adapted, check_output, check_reads, with_parameters
from kinview._cli.text import count, say, table
from kinview.files import atomic_write

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from jsonargparse import Namespace
    from numpy.typing import NDArray

    from kinview.datasets.dataset import Dataset
    from kinview.datasets.seen import SeenCounts

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
    random_state : int
        Seed of what the probe draws.
    output : str, optional
        File for the result as JSON.
    predictions : str, optional
        Parquet file to write, one row a test sample: label, prediction and scores with the name of the sample.
    """
    import kinview
    from kinview.evaluation.metrics.point_values import evaluate
    from kinview.evaluation.predictions import Predictions
    from kinview.evaluation.probes import probes
    from kinview.evaluation.report.cells import METRICS
    from kinview.methods import methods

    file = None if output is None else check_output(output, (".json",))
    samples = None if predictions is None else check_output(predictions, (".parquet",))
    probe = _SELECTED if probe == "auto" else probe
    spec = with_parameters(probes, probe, probe_parameters or {}, random_state=random_state)
    estimator = kinview.load_model(model)
    data, names = source.load()
    data.require_classes()
    check_reads(estimator, data.modality, data.name)
    if adapt:
        estimator = adapted(estimator, data.X_train)
    seen = _seen(model, data)
    fitted = probes.build(spec)
    predicted, scores = _predict(estimator, data, fitted)
    result = _with_findings(evaluate(data.y_test, scores, fitted.classes_, predicted), fitted)
    notes = result.pop("notes")
    failures = result.pop("convergence_failures")
    name = methods.name_of(estimator)
    say(data.describe(), f"{name} ({model}), probe {next(iter(spec))}", "")
    rows = [
        (f"  {label}", "not defined" if math.isnan(result[key]) else f"{result[key]:.4f}")
        for key, label in METRICS.items()
    ]
    say(*table(rows))
    if failures:
        notes = [*notes, f"{count(failures, 'fit')} of the probe stopped before convergence"]
    say("", *(f"note: {note}" for note in [*notes, _seen_words(seen, model, data)]))
    if file is not None:
        described = {
            "dataset": data.name, "fingerprint": data.fingerprint(), "model": Path(model).name, "method": name,
            "adapt": adapt, "probe": spec, "convergence_failures": failures, "notes": notes,
            "seen": None if seen is None else dataclasses.asdict(seen),
            "metrics": {key: None if math.isnan(value) else value for key, value in result.items()},
            "kinview": kinview.__version__,
        }  # fmt: skip
        atomic_write(file, json.dumps(described, indent=2, ensure_ascii=False) + "\n")
    if samples is not None:
        assert data.y_test is not None  # require_classes has seen them
        made = Predictions(names, data.y_test, predicted, scores, fitted.classes_, data.groups_test)
        say(f"saved {made.write_parquet(samples)}: {count(len(names), 'test sample')}, by name")


def _seen(model: str, data: Dataset) -> SeenCounts | None:
    """How many test samples the model has seen; None where no file beside it says so."""
    from kinview.datasets.seen import Seen, seen_file

    file = seen_file(model)
    return Seen.read(file).count(data.part("test")) if file.is_file() else None


def _seen_words(seen: SeenCounts | None, model: str, data: Dataset) -> str:
    from kinview.data.modality import SAMPLE
    from kinview.datasets.seen import seen_file

    if seen is None:
        return f"whether pre-training has seen test samples is not known: there is no {seen_file(model)}"
    if not seen.seen and not seen.groups:
        return f"none of the {count(seen.samples, 'test sample')} was seen in pre-training"
    noun = SAMPLE[data.modality]
    how = f"{seen.values:,} by the values of the {noun}, {seen.names:,} by its name"
    others = f"; {seen.groups:,} others are of a group that was" if seen.groups else ""
    return (
        f"{seen.seen:,} of {count(seen.samples, 'test sample')} were seen in pre-training ({how}){others}: "
        "--split with the same value in pretrain and probe keeps them apart"
    )


def _predict(estimator: Any, data: Dataset, probe: Any) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Predicted labels and scores of the test part, by a probe fitted on the training part."""
    import numpy as np

    if probe.needs_model:
        probe.fit(data.X_train, data.y_train, groups=data.groups_train, model=estimator)
        return probe.predict(data.X_test), probe.predict_scores(data.X_test)
    # Raw features pass their gaps on to a probe that takes them, as in a benchmark.
    keeps = probe.accepts_missing and estimator.passes_missing
    gaps = {"missing": "keep"} if keeps else {}
    z_train, z_test = (np.asarray(estimator.transform(X, **gaps)) for X in (data.X_train, data.X_test))
    probe.fit(z_train, data.y_train, groups=data.groups_train)
    return probe.predict(z_test), probe.predict_scores(z_test)


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
