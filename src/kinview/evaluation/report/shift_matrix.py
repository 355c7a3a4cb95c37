"""What changes when the rate of a corruption differs between training and test: a table of train rate by test rate."""

from __future__ import annotations

from typing import Any

import pandas as pd

from kinview.evaluation.report.averages import over_repetitions
from kinview.evaluation.report.cells import Results, mean_words, percent_words, records
from kinview.evaluation.report.corruption_words import corruption_words

__all__ = ["shift_matrices"]

_PLACE = ["severity_train", "severity_test"]


def shift_matrices(results: Results, metric: str) -> list[dict[str, Any]]:
    """Tables of a metric, one a data set, corruption and probe: a row a method and train rate, a column a test rate.

    Parameters
    ----------
    results : Results
        The results; of those with wrong or few labels too, only the others.
    metric : str
        Column to show: its mean over seeds and folds, or its median without a bound.

    Returns
    -------
    list of dict
        ``dataset``, ``corruption``, ``probe``, ``rates`` (the test rates as text), and ``rows``: ``method``,
        ``control``, ``rate`` (of the training part), ``first`` (of its method) and ``cells``: ``text``, and whether the
        rates are the ``same``. Empty where no cell has two rates.
    """
    cells = results.cells
    cells = cells[(cells["label_noise"] == "none") & (cells["label_fraction"] == 1)]
    trained_on = cells["severity"].where(cells["corrupt"].isin(["train", "both"]), 0.0)
    cells = cells.assign(severity_train=trained_on)
    two_rates = cells[(cells["severity_train"] != cells["severity_test"]) & (cells["corrupt"] == "both")]
    found = []
    for dataset in results.modalities:
        for corruption in sorted(set(two_rates.loc[two_rates["dataset"] == dataset, "corruption"])):
            own = cells[(cells["dataset"] == dataset) & cells["corruption"].isin([corruption, "none"])]
            table = over_repetitions(own, ["probe", "method", *_PLACE], metric)
            for probe in results.probes:
                rows = _rows(results, dataset, probe, table[table["probe"] == probe])
                if rows:
                    words = str(corruption_words(corruption))
                    rates = [percent_words(rate) for rate in sorted(set(table["severity_test"]))]
                    found.append(
                        {"dataset": dataset, "corruption": words, "probe": probe, "rates": rates, "rows": rows}
                    )
    return found


def _rows(results: Results, dataset: str, probe: str, table: pd.DataFrame) -> list[dict[str, Any]]:
    train, test = (sorted(set(table[name])) for name in _PLACE)
    rows = []
    for method in results.methods_on(dataset, probe):
        mine = table[table["method"] == method].set_index(_PLACE)
        for number, rate in enumerate(train):
            cells = [{"text": _text(mine, (rate, other)), "same": rate == other} for other in test]
            rows.append(
                {
                    "method": method, "control": method in results.controls, "rate": percent_words(rate),
                    "first": number == 0, "cells": cells,
                }
            )  # fmt: skip
    return rows


def _text(mine: pd.DataFrame, place: tuple[float, float]) -> str:
    if place not in mine.index:
        return "\N{EN DASH}"
    row = records(mine.loc[[place]])[0]
    return mean_words(*(row[name] for name in ("mean", "std", "low", "high")))
