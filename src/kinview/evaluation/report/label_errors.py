"""How many recorded labels of the test parts look wrong, by confident learning on stored predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from kinview.evaluation.metrics.cells import read_samples
from kinview.evaluation.metrics.outputs import Classification
from kinview.evaluation.noise_estimate import estimate_label_noise

__all__ = ["label_errors"]


def label_errors(
    predictions: Mapping[str, pd.DataFrame], methods: Sequence[str], probes: Sequence[str]
) -> list[dict[str, Any]]:
    """Lowest estimate of each data set over methods and probes, and the range of all of them.

    The predictions are of samples that no probe was fitted on, so that they can be held against the recorded labels,
    see :func:`kinview.evaluation.estimate_label_noise`. Where classes overlap in a representation, right labels look
    wrong; the lowest estimate suffers least from it, and is by chance too low where there are many. Folds without a
    sample of some class are left out.

    Parameters
    ----------
    predictions : mapping of str to DataFrame
        Data set → predictions on clean data with all labels.
    methods, probes : sequence of str
        In reading order.

    Returns
    -------
    list of dict
        ``dataset``, ``rate`` (the lowest, a mean over seeds and folds), ``method`` and ``probe`` that gave it,
        ``highest``, and ``estimates``, the number of pairs of method and probe with probabilities.
    """
    found = []
    for dataset, said in predictions.items():
        rates = {
            (method, probe): rate
            for probe in probes
            for method, rate in _rates(said[said["probe"] == probe], methods).items()
        }
        if rates:
            method, probe = min(rates, key=lambda pair: rates[pair])
            found.append({
                "dataset": dataset, "rate": rates[method, probe], "method": method, "probe": probe,
                "highest": max(rates.values()), "estimates": len(rates),
            })  # fmt: skip
    return found


def _rates(said: pd.DataFrame, methods: Sequence[str]) -> dict[str, float]:
    """Estimate of each method with a probe, averaged over seeds and folds."""
    if said.empty:
        return {}
    (samples,), by = read_samples(said, by=["method"])
    cells = {str(key["method"]): [cell.said for cell in group] for key, group in samples.compared(by)}
    estimates = {
        name: [
            estimate_label_noise(one.scores, one.y, probabilities=True).rate
            for one in cells.get(name, ())
            if isinstance(one, Classification)
            and one.gives_probabilities
            and len(np.unique(one.y)) == one.scores.shape[1]
        ]
        for name in methods
    }
    return {name: float(np.mean(rates)) for name, rates in estimates.items() if rates}
