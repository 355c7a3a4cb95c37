"""``kinview probe``: what a saved model is worth on a data set."""

from __future__ import annotations

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

    from jsonargparse import Namespace

    from kinview.datasets.dataset import Dataset

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
    """
    import kinview
    from kinview.evaluation.probes import probes
    from kinview.evaluation.report.cells import METRICS
    from kinview.methods import methods

    file = None if output is None else check_output(output, (".json",))
    probe = _SELECTED if probe == "auto" else probe
    spec = with_parameters(probes, probe, probe_parameters or {}, random_state=random_state)
    estimator = kinview.load_model(model)
    data = source.load()
    data.require_classes()
    check_reads(estimator, data.modality, data.name)
    if adapt:
        estimator = adapted(estimator, data.X_train)
    result = _score(estimator, data, probes.build(spec))
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
    if notes:
        say("", *(f"note: {note}" for note in notes))
    if file is not None:
        described = {
            "dataset": data.name, "fingerprint": data.fingerprint(), "model": Path(model).name, "method": name,
            "adapt": adapt, "probe": spec, "convergence_failures": failures, "notes": notes,
            "metrics": {key: None if math.isnan(value) else value for key, value in result.items()},
            "kinview": kinview.__version__,
        }  # fmt: skip
        atomic_write(file, json.dumps(described, indent=2, ensure_ascii=False) + "\n")


def _score(estimator: Any, data: Dataset, probe: Any) -> dict[str, Any]:
    """Metrics on the test part, by a probe fitted on the training part."""
    import numpy as np

    from kinview.evaluation.metrics.point_values import evaluate

    if probe.needs_model:
        probe.fit(data.X_train, data.y_train, groups=data.groups_train, model=estimator)
        metrics = evaluate(data.y_test, probe.predict_scores(data.X_test), probe.classes_, probe.predict(data.X_test))
        return _with_findings(metrics, probe)
    # Raw features pass their gaps on to a probe that takes them, as in a benchmark.
    keeps = probe.accepts_missing and estimator.passes_missing
    gaps = {"missing": "keep"} if keeps else {}
    z_train, z_test = (np.asarray(estimator.transform(X, **gaps)) for X in (data.X_train, data.X_test))
    probe.fit(z_train, data.y_train, groups=data.groups_train)
    metrics = evaluate(data.y_test, probe.predict_scores(z_test), probe.classes_, probe.predict(z_test))
    return _with_findings(metrics, probe)


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
