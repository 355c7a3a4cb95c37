"""Metrics of predictions with their intervals, and paired differences between methods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from jaxtyping import Float

from kinview.evaluation.metrics.bootstrap import percentile_interval
from kinview.evaluation.metrics.cells import Cell, Samples, read_samples
from kinview.evaluation.metrics.delong import delong_interval
from kinview.evaluation.metrics.outputs import Classification
from kinview.evaluation.metrics.resampling import MetricSpec, Resampled, Undefined, chosen_metrics, described, resampled
from kinview.evaluation.metrics.table import Metric

__all__ = ["differences_with_intervals", "metrics_with_intervals"]


def metrics_with_intervals(
    predictions: pd.DataFrame,
    metrics: Sequence[MetricSpec] | None = None,
    *,
    groups: str | None = "group",
    by: Sequence[str] | None = None,
    positive: str | None = None,
    undefined: Undefined = "refuse",
    n_resamples: int = 2000,
    confidence: float = 0.95,
    auroc_interval: Literal["bootstrap", "delong"] = "bootstrap",
    seed: int | Sequence[int] = 0,
) -> pd.DataFrame:
    r"""Metrics of predictions, each with its interval over test patients.

    Patients are drawn anew within strata of their outcome (the rarest label that a patient has), with all their
    samples; the interval is that between the quantiles of the metric in the resamples. One set of resamples serves
    everything that is computed on a test set. Cells that differ in seed and fold alone are averaged, in each resample
    too.

    Parameters
    ----------
    predictions : DataFrame
        What :meth:`kinview.evaluation.Store.predictions` or :func:`kinview.evaluation.read_predictions` gives. Without
        columns of scores ``y`` and ``predicted`` are numbers, and the metrics those of regression.
    metrics : sequence of str, mapping or Metric, optional
        Names, or mappings of a name to its parameters: ``["auroc", {"net_benefit": {"threshold": 0.1}}]``. Default: all
        of :data:`kinview.evaluation.metrics.METRICS` that are defined for the predictions and need no parameter.
    groups : str, optional
        Column that names each sample's patient. None, or a column without a value for a data set: each sample is one.
    by : sequence of str, optional
        Columns that name what is compared. Default: those of data set, method, probe, split and condition.
    positive : str, optional
        The event, where there are two classes. Default: that of the second column of scores, as a cell has it: labels
        are sorted, so that of ``died`` and ``survived`` it is ``survived``.
    undefined : {"refuse", "leave_out"}
        What becomes of a metric that was asked for where some predictions do not define it, such as a Brier score of
        decision values. Default: an error that says why.
    n_resamples : int
        How many resamples, 2,000 by default.
    confidence : float
        Coverage of the intervals.
    auroc_interval : {"bootstrap", "delong"}
        ``"delong"``: the interval of AUROC is that of :func:`delong_interval`, on the logit scale, for two classes and
        independent samples; of several seeds that of their mean.
    seed : int or sequence of int
        Determines the resamples.

    Returns
    -------
    DataFrame
        One row a comparison and metric: the columns of ``by``; ``metric``; ``value``, ``low``, ``high``; ``interval``,
        the kind of it; ``resamples``, in how many the metric was defined; ``cells``, how many are averaged; ``n``
        samples, ``groups`` (patients); of two classes the ``positive`` one with its ``events`` and ``prevalence``;
        ``note``.

    Raises
    ------
    ValueError
        If the predictions do not fit, a metric is not defined for them (one of probabilities for decision values), or
        an option is out of range.

    Notes
    -----
    The interval covers which patients were tested. It does not cover training: the spread over seeds and folds does
    (see :func:`kinview.evaluation.summarize`). A fold or subgroup without a class leaves a metric undefined in some
    resamples; these do not count. Rows in another order give the same result, bit for bit.

    References
    ----------
    .. [1] Efron, B. & Tibshirani, R. J. (1993). An introduction to the bootstrap. Chapman & Hall.
    .. [2] Field, C. A. & Welsh, A. H. (2007). Bootstrapping clustered data. Journal of the Royal Statistical Society B
       69, 369-390.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = np.arange(60) % 3 == 0
    >>> p = 1 / (1 + np.exp(-rng.normal(2.0 * y - 1)))
    >>> said = pd.DataFrame({"sample": range(60), "y": y.astype(int), "predicted": (p > 0.5).astype(int),
    ...                      "score:0": 1 - p, "score:1": p})
    >>> found = metrics_with_intervals(said, ["auroc", "auprc", "brier_score"], groups=None, seed=0)
    >>> found[["metric", "value", "low", "high", "events", "prevalence"]].round(2)
            metric  value   low  high  events  prevalence
    0        auroc   0.92  0.82  0.98      20        0.33
    1        auprc   0.88  0.78  0.96      20        0.33
    2  brier_score   0.13  0.09  0.16      20        0.33
    """
    if auroc_interval not in ("bootstrap", "delong"):
        raise ValueError(f"auroc_interval={auroc_interval!r} is unknown; use 'bootstrap' or 'delong'")
    test_sets, columns = read_samples(predictions, group=groups, by=by, positive=positive)
    rows: list[dict[str, Any]] = []
    for samples in test_sets:
        compared = list(samples.compared(columns))
        wanted = [(cells, chosen_metrics(metrics, cells, undefined)) for _, cells in compared]
        for (key, cells), (_, chosen), found in zip(
            compared, wanted, resampled(samples.bootstrap(n_resamples, seed), wanted), strict=True
        ):
            facts = described(samples, cells)
            for metric, of_metric in zip(chosen, metric_rows(found, cells, confidence), strict=True):
                row = {**key, "metric": metric.label, **of_metric, **facts}
                if metric.name == "auroc" and auroc_interval == "delong":
                    row |= _delong(samples, cells, confidence)
                rows.append(row)
    return table_of(rows, [*columns, "metric"])


def differences_with_intervals(
    predictions: pd.DataFrame,
    reference: str | tuple[str, str],
    metrics: Sequence[MetricSpec] | None = None,
    *,
    groups: str | None = "group",
    by: Sequence[str] | None = None,
    positive: str | None = None,
    undefined: Undefined = "refuse",
    n_resamples: int = 2000,
    confidence: float = 0.95,
    seed: int | Sequence[int] = 0,
) -> pd.DataFrame:
    """Differences of every method to a reference on the same patients, each with its interval.

    Both are computed from the same resamples, so that what both find hard does not count as spread.

    Parameters
    ----------
    predictions, metrics, groups, by, positive, undefined, n_resamples, confidence, seed
        As :func:`metrics_with_intervals`; there has to be a column ``method``.
    reference : str or (str, str)
        A method, which each method is compared with under the same probe; or a method and a probe, which every method
        with every probe is compared with.

    Returns
    -------
    DataFrame
        One row a comparison and metric: the columns of ``by``; ``metric``; ``value`` and ``reference``, of both;
        ``difference`` with ``low``, ``high`` and ``p``, two-sided: twice the smaller part of the resamples on one side
        of zero, at least 2 / (resamples + 1), not corrected for how many there are; then as
        :func:`metrics_with_intervals`.

    Raises
    ------
    ValueError
        As :func:`metrics_with_intervals`; and if the reference is not among the predictions.

    Notes
    -----
    Only pairs count: a cell without its counterpart of the same condition, seed and fold is left out of both. It is a
    statement about one data set; over data sets use :func:`kinview.evaluation.paired_difference_over_datasets`.

    Examples
    --------
    >>> y, noise = np.arange(40) % 2, np.random.default_rng(0).normal(size=40)
    >>> said = pd.concat([
    ...     pd.DataFrame({"method": method, "probe": "svm", "sample": range(40), "y": y, "predicted": 1 * (score > 0),
    ...                   "score:0": -score, "score:1": score})
    ...     for method, score in [("raw", noise), ("ts2vec", noise + y - 0.5)]
    ... ])
    >>> found = differences_with_intervals(said, "raw", ["auroc"], groups=None)
    >>> found[["method", "metric", "value", "reference", "difference", "low", "high", "p"]].round(3)
       method metric  value  reference  difference    low   high      p
    0  ts2vec  auroc  0.908      0.645       0.262  0.152  0.367  0.001
    """
    test_sets, columns = read_samples(predictions, group=groups, by=by, positive=positive)
    own = ["method"] if isinstance(reference, str) else ["method", "probe"]
    absent = [name for name in own if name not in columns]
    if absent:
        raise ValueError(
            f"methods are compared by the columns {' and '.join(own)}; there is no {' and no '.join(absent)}"
        )
    wanted_key = (reference,) if isinstance(reference, str) else tuple(reference)
    rows: list[dict[str, Any]] = []
    for samples in test_sets:
        counterparts = {
            _without(cell, own): cell for cell in samples.cells if tuple(cell.which[name] for name in own) == wanted_key
        }
        pairs = []
        for key, cells in samples.compared(columns):
            paired = [cell for cell in cells if _without(cell, own) in counterparts]
            if paired and tuple(key[name] for name in own) != wanted_key:
                pairs.append((key, paired, [counterparts[_without(cell, own)] for cell in paired]))
        chosen = [chosen_metrics(metrics, [*cells, *others], undefined) for _, cells, others in pairs]
        wanted = [(side, names) for (_, *sides), names in zip(pairs, chosen, strict=True) for side in sides]
        found = resampled(samples.bootstrap(n_resamples, seed), wanted)
        for place, ((key, cells, _), names) in enumerate(zip(pairs, chosen, strict=True)):
            rows += _difference_rows(
                key, names, found[2 * place : 2 * place + 2], described(samples, cells), confidence
            )
    if not rows:
        known = ", ".join(
            sorted({" / ".join(str(cell.which[name]) for name in own) for s in test_sets for cell in s.cells})
        )
        raise ValueError(f"nothing to compare with {' / '.join(wanted_key)!r}: there are predictions of {known}")
    return table_of(rows, [*columns, "metric"])


def two_sided_p(draws: Float[np.ndarray, " resamples"]) -> float:
    """Twice the smaller part of the defined resamples on one side of zero, both counted with one more; at most 1."""
    defined = draws[~np.isnan(draws)]
    if not len(defined):
        return float("nan")
    smaller = min(int((defined <= 0).sum()), int((defined >= 0).sum()))
    return min(1.0, 2 * (1 + smaller) / (1 + len(defined)))


def metric_rows(found: Resampled, cells: Sequence[Cell], confidence: float) -> list[dict[str, Any]]:
    """Value, interval and note of each metric."""
    lows, highs = percentile_interval(found.draws, confidence)
    known = list(dict.fromkeys(note for cell in cells for note in cell.said.notes))
    rows = []
    for value, low, high, draws in zip(found.values, lows, highs, found.draws, strict=True):
        notes = [*known, *(["not defined for these samples"] if np.isnan(value) else [])]
        if low == high:
            notes.append("the same in all resamples: the interval says nothing about the spread")
        rows.append(
            {
                "value": value, "low": low, "high": high, "interval": "bootstrap",
                "resamples": int((~np.isnan(draws)).sum()), "note": "; ".join(notes),
            }
        )  # fmt: skip
    return rows


def table_of(rows: list[dict[str, Any]], first: Sequence[str]) -> pd.DataFrame:
    """Rows as a frame, with the note at its end and whole numbers that may be missing."""
    if not rows:
        raise ValueError("none of the metrics is defined for these predictions; ask for others, such as auroc")
    frame = pd.DataFrame(rows)
    order = [*first, *(name for name in frame if name not in (*first, "note")), "note"]
    return frame[order].astype({"events": "Int64"})


def _difference_rows(
    key: dict[str, Any], metrics: Sequence[Metric], pair: Sequence[Resampled], facts: dict[str, Any], confidence: float
) -> list[dict[str, Any]]:
    ours, theirs = pair
    draws = ours.draws - theirs.draws
    lows, highs = percentile_interval(draws, confidence)
    return [
        {
            **key, "metric": metric.label, "value": ours.values[m], "reference": theirs.values[m],
            "difference": ours.values[m] - theirs.values[m], "low": lows[m], "high": highs[m],
            "p": two_sided_p(draws[m]), "resamples": int((~np.isnan(draws[m])).sum()), **facts,
            "note": "the same in all resamples" if lows[m] == highs[m] else "",
        }
        for m, metric in enumerate(metrics)
    ]  # fmt: skip


def _without(cell: Cell, names: Sequence[str]) -> tuple[tuple[str, Any], ...]:
    """What a cell shares with its counterpart."""
    return tuple((name, value) for name, value in cell.which.items() if name not in names)


def _delong(samples: Samples, cells: Sequence[Cell], confidence: float) -> dict[str, Any]:
    said = [cell.said for cell in cells]
    if not all(isinstance(one, Classification) and one.binary for one in said):
        raise ValueError("DeLong's interval is of two classes; use auroc_interval='bootstrap'")
    if len(np.unique(samples.groups)) < len(samples.groups):
        raise ValueError(
            "DeLong's interval takes samples as independent, and some patients have several; use "
            "auroc_interval='bootstrap', which keeps them together, or groups=None if they are independent"
        )
    if any(not np.array_equal(cell.rows, cells[0].rows) for cell in cells):
        raise ValueError(
            "DeLong's interval is of classifiers that were tested on the same samples, not of folds; use "
            "auroc_interval='bootstrap', or name 'fold' in `by`"
        )
    scores = np.stack([one.scores[:, 1] for one in said if isinstance(one, Classification)], axis=1)
    positive = cells[0].said.y == 1
    if positive.all() or not positive.any():
        return {"low": np.nan, "high": np.nan, "interval": "delong (logit)", "resamples": 0}
    _, low, high = delong_interval(positive, scores, confidence=confidence)
    note = "no spread: the interval is not defined" if np.isnan(low) else ""
    return {"low": low, "high": high, "interval": "delong (logit)", "resamples": 0, "note": note}
