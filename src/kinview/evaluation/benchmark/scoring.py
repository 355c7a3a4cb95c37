"""Fit a probe and score it: classes, or numbers in a regression."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kinview.data.labels import encode_labels
from kinview.data.splits import TARGET_STRATA, label_subset, quantile_codes
from kinview.evaluation.label_noise.base import NoisyLabels
from kinview.evaluation.metrics.point_values import evaluate
from kinview.evaluation.metrics.regression import evaluate_numbers
from kinview.evaluation.predictions import Predictions

if TYPE_CHECKING:
    from kinview.datasets.dataset import Dataset
    from kinview.evaluation.probes.base import Probe

__all__ = ["known_rows", "scored", "true_labels"]


def scored(
    probe: Probe, dataset: Dataset, names: list[str], train: Any, y: Any, test: Any, **given: Any
) -> tuple[Predictions, dict[str, Any]]:
    """What a probe says of the test samples, and its metrics with their ``notes``.

    Parameters
    ----------
    probe : Probe
        Not fitted.
    dataset : Dataset
        Whose test labels count.
    names : list of str
        Names of its test samples.
    train, y, test
        Representations (or samples) and labels.
    **given : Any
        Further arguments of the probe's fit, such as ``groups``.
    """
    truth, groups = np.asarray(dataset.y_test), dataset.groups_test
    if dataset.task == "regression":
        found = probe.fit_numbers(train, y, **given).predict_numbers(test)
        said = Predictions(names, truth, found, np.empty((len(truth), 0)), np.empty(0), groups)
        return said, {**evaluate_numbers(truth, found)}
    probe.fit(train, y, **given)
    scores, predicted = probe.predict_scores(test), probe.predict(test)
    metrics = evaluate(truth, scores, probe.classes_, predicted)
    return Predictions(names, truth, predicted, scores, probe.classes_, groups), {**metrics}


def known_rows(dataset: Dataset, fraction: float, seed: Any, **groups: Any) -> Any:
    """Training rows whose label is known under a budget: stratified by class, or by tenths of a numeric target."""
    if fraction == 1:
        return np.arange(dataset.sizes[0])
    if dataset.task == "regression":
        return label_subset(quantile_codes(dataset.y_train, TARGET_STRATA), fraction, seed, **groups)
    return label_subset(encode_labels(dataset.y_train)[0], fraction, seed, **groups)


def true_labels(dataset: Dataset, rows: Any) -> NoisyLabels:
    """The labels of training rows without noise."""
    if dataset.task == "regression":
        y = np.asarray(dataset.y_train)[rows]
        return NoisyLabels(y, np.zeros(len(y), dtype=bool))
    codes, classes = encode_labels(dataset.y_train)
    return NoisyLabels.of(codes[rows], codes[rows], classes)
