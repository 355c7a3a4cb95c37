"""Metrics of subgroups of the test patients, and the gaps between them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from kinview.evaluation.metrics.bootstrap import percentile_interval
from kinview.evaluation.metrics.cells import Cell, Samples, listed, read_samples
from kinview.evaluation.metrics.intervals import metric_rows, table_of
from kinview.evaluation.metrics.resampling import MetricSpec, Resampled, Undefined, chosen_metrics, described, resampled
from kinview.evaluation.metrics.table import Metric
from kinview.evaluation.statistics import holm
from kinview.evaluation.validation import text_of

__all__ = ["Subgroups", "subgroup_metrics"]

Bands = Mapping[str, Sequence[float]]

_MANY_VALUES = 20  # numbers with more are a measurement that needs bands
_MISSING = "(missing)"


class Subgroups(NamedTuple):
    """Result of :func:`subgroup_metrics`."""

    table: pd.DataFrame
    gaps: pd.DataFrame


class _Level(NamedTuple):
    """One subgroup for one comparison, with what was computed for it."""

    name: str
    facts: dict[str, Any]
    small: str
    found: Resampled


def subgroup_metrics(
    predictions: pd.DataFrame,
    columns: pd.DataFrame,
    subgroups: Sequence[str | Bands],
    metrics: Sequence[MetricSpec] | None = None,
    *,
    groups: str | None = "group",
    by: Sequence[str] | None = None,
    positive: str | None = None,
    undefined: Undefined = "refuse",
    least: int = 10,
    n_resamples: int = 2000,
    confidence: float = 0.95,
    seed: int | Sequence[int] = 0,
) -> Subgroups:
    r"""Every metric with its interval in each subgroup, the worst subgroup, and the gap between subgroups.

    All subgroups are measured in the same resamples of the whole test set, so that gaps are paired. With the values
    :math:`\theta_g` of the subgroups and :math:`\theta_g^*` in a resample, the p-value of equal subgroups is the part
    of the resamples in which the range of the deviations :math:`\theta_g^* - \theta_g` is at least the gap
    :math:`\max_g \theta_g - \min_g \theta_g`. Their number and that highest and lowest were picked is in it.

    Parameters
    ----------
    predictions, metrics, groups, by, positive, undefined, n_resamples, confidence, seed
        As :func:`kinview.evaluation.metrics_with_intervals`.
    columns : DataFrame
        What is known of the samples, which the encoder need not have seen: one row a sample, named by the index or by a
        column ``sample``.
    subgroups : sequence of str or mapping
        Columns, as they are or cut into bands: ``["sex", "site", {"age": [0, 40, 65, 120]}]``. A band holds its lower
        edge; the last one holds its upper edge too. Samples without a value are a subgroup of their own.
    least : int
        Subgroups with fewer patients with, or without, the outcome are shown and named, but not compared; of more
        classes, or of numbers, those with fewer patients. Default 10: of fewer an estimate of a rate of 0.8 has a
        standard error of .13 and more.

    Returns
    -------
    table : DataFrame
        One row a comparison, subgroup and metric: the columns of ``by``, ``subgroup`` (the column), ``level``,
        ``metric``, and what :func:`kinview.evaluation.metrics_with_intervals` gives. ``note`` names subgroups that are
        too small.
    gaps : DataFrame
        One row a comparison, column and metric: ``worst``, the subgroup farthest from a perfect value; ``highest`` and
        ``lowest`` with the ``gap`` between them and its interval ``low``, ``high``, that of these two; ``p``, and
        ``p_holm``, corrected for all gaps of a comparison; ``note`` with what was not compared.

    Raises
    ------
    ValueError
        As :func:`kinview.evaluation.metrics_with_intervals`; if a sample is not among the ``columns`` or stands there
        twice, a number has no bands, or a value lies outside them.

    Notes
    -----
    The whole test set keeps its number of events in every resample; that of a subgroup varies, which the intervals of
    its predictive values, net benefit and AUPRC cover. With B resamples p is at least 1 / (B + 1); ask for few metrics
    where several columns are compared. A subgroup in which many metrics were looked at has one by chance: a gap is a
    reason to look, not a verdict.

    References
    ----------
    .. [1] Efron, B. & Tibshirani, R. J. (1993). An introduction to the bootstrap. Chapman & Hall, chapter 16.

    Examples
    --------
    >>> y, place = np.arange(80) % 2, np.arange(80)
    >>> p = np.where(place < 40, 0.1 + 0.8 * y, place * 37 % 41 / 41)  # of the men it knows nothing
    >>> said = pd.DataFrame({"sample": place, "y": y, "predicted": 1 * (p > 0.5), "score:0": 1 - p, "score:1": p})
    >>> known = pd.DataFrame({"sex": np.where(place < 40, "f", "m"), "age": 30 + place}, index=place)
    >>> found = subgroup_metrics(said, known, ["sex", {"age": [0, 65, 120]}], ["accuracy"], groups=None)
    >>> found.table[["subgroup", "level", "n", "events", "value"]].round(2)
      subgroup      level   n  events  value
    0      sex          f  40      20   1.00
    1      sex          m  40      20   0.40
    2      age    [0, 65)  35      17   1.00
    3      age  [65, 120]  45      23   0.47
    >>> found.gaps[["subgroup", "worst", "gap", "p_holm"]].round(3)
      subgroup      worst    gap  p_holm
    0      sex          m  0.600   0.001
    1      age  [65, 120]  0.533   0.001
    """
    if isinstance(subgroups, str | Mapping) or not subgroups:
        raise ValueError(f"subgroups is a list of columns and bands, at least one; got {subgroups!r}")
    test_sets, comparison = read_samples(predictions, group=groups, by=by, positive=positive)
    known = _by_sample(columns)
    rows: list[dict[str, Any]] = []
    gaps: list[dict[str, Any]] = []
    for samples in test_sets:
        levels = {name: _levels(known, samples, name, bands) for name, bands in map(_named, subgroups)}
        compared = [
            (key, cells, chosen_metrics(metrics, cells, undefined)) for key, cells in samples.compared(comparison)
        ]
        wanted = [
            (key, column, level, [part for cell in cells if (part := cell.restricted(member)) is not None], chosen)
            for key, cells, chosen in compared
            for column, members in levels.items()
            for level, member in members.items()
        ]
        wanted = [one for one in wanted if one[3]]
        found = resampled(samples.bootstrap(n_resamples, seed), [(cells, chosen) for *_, cells, chosen in wanted])
        measured: dict[tuple[int, str], list[_Level]] = {}
        keys = [key for key, _, _ in compared]
        for (key, column, level, cells, chosen), values in zip(wanted, found, strict=True):
            facts = described(samples, cells)
            small = _too_small(samples, cells, facts, least)
            measured.setdefault((keys.index(key), column), []).append(_Level(level, facts, small, values))
            for metric, row in zip(chosen, metric_rows(values, cells, confidence), strict=True):
                row["note"] = "; ".join(filter(None, [small, row["note"]]))
                rows.append({**key, "subgroup": column, "level": level, "metric": metric.label, **row, **facts})
        for place, (key, _, chosen) in enumerate(compared):
            of_key = [
                {
                    **key,
                    "subgroup": column,
                    "metric": metric.label,
                    **_gap(measured[place, column], m, metric, confidence),
                }
                for column in levels
                for m, metric in enumerate(chosen)
            ]
            corrected = holm([row["p"] for row in of_key])
            gaps += [{**row, "p_holm": p} for row, p in zip(of_key, corrected, strict=True)]
    shown = pd.DataFrame(gaps)
    order = [name for name in shown if name != "note"]
    return Subgroups(table_of(rows, [*comparison, "subgroup", "level", "metric"]), shown[[*order, "note"]])


def _gap(levels: Sequence[_Level], m: int, metric: Metric, confidence: float) -> dict[str, Any]:
    """The range of a metric over the subgroups that are large enough."""
    left_out = [f"{level.name}: {level.small}" for level in levels if level.small]
    undefined = [level.name for level in levels if not level.small and np.isnan(level.found.values[m])]
    left_out += [f"{name}: not defined" for name in undefined]
    note = f"not compared: {'; '.join(left_out)}" if left_out else ""
    chosen = [level for level in levels if not level.small and level.name not in undefined]
    if len(chosen) < 2:
        nothing = dict.fromkeys(("worst", "highest", "lowest"), "") | dict.fromkeys(("gap", "low", "high", "p"), np.nan)
        return {**nothing, "note": "; ".join(["fewer than two subgroups are large enough", *filter(None, [note])])}
    values = np.array([level.found.values[m] for level in chosen])
    draws = np.stack([level.found.draws[m] for level in chosen])  # (levels, resamples)
    high, low = int(values.argmax()), int(values.argmin())
    bounds = percentile_interval(draws[high] - draws[low], confidence)
    return {
        "worst": chosen[int(np.abs(values - metric.best).argmax())].name,
        "highest": chosen[high].name,
        "lowest": chosen[low].name,
        "gap": float(values[high] - values[low]),
        "low": float(bounds[0]),
        "high": float(bounds[1]),
        "p": _p_of_range(values, draws),
        "note": note,
    }


def _p_of_range(values: Float[np.ndarray, " levels"], draws: Float[np.ndarray, "levels resamples"]) -> float:
    """Part of the resamples whose deviations range as far as the values, both counted with one more."""
    defined = draws[:, ~np.isnan(draws).any(axis=0)]
    if not defined.shape[1]:
        return float("nan")
    reached = np.ptp(defined - values[:, None], axis=0) >= np.ptp(values) - 1e-12
    return float((1 + reached.sum()) / (1 + len(reached)))


def _too_small(samples: Samples, cells: Sequence[Cell], facts: Mapping[str, Any], least: int) -> str:
    """How few patients there are; empty where they are enough."""
    if facts["events"] is None:
        return "" if facts["groups"] >= least else f"too small, {facts['groups']} patients"
    rows = np.concatenate([cell.rows for cell in cells])
    label = np.concatenate([cell.said.y for cell in cells])
    events, others = (len(np.unique(samples.groups[rows[label == k]])) for k in (1, 0))
    if min(events, others) >= least:
        return ""
    return f"too small, {events} patients with and {others} without the outcome"


def _named(subgroup: str | Bands) -> tuple[str, Sequence[float] | None]:
    if isinstance(subgroup, str):
        return subgroup, None
    if not isinstance(subgroup, Mapping) or len(subgroup) != 1:
        raise ValueError(
            f"a subgroup is a column, or a mapping of one column to the edges of its bands; got {subgroup!r}"
        )
    ((name, edges),) = subgroup.items()
    if len(edges) < 2 or any(high <= low for low, high in itertools.pairwise(edges)):
        raise ValueError(f"the edges of the bands of {name!r} have to ascend, at least two of them; got {list(edges)}")
    return name, edges


def _by_sample(columns: pd.DataFrame) -> pd.DataFrame:
    """The columns with the names of the samples, as text, as their index."""
    named = columns.set_index("sample") if "sample" in columns else columns
    named = named.set_axis(named.index.astype(str), axis=0)
    twice = named.index[named.index.duplicated()].unique()
    if len(twice):
        raise ValueError(f"the columns of the subgroups hold samples more than once: {listed(twice)}")
    return named


def _levels(
    known: pd.DataFrame, samples: Samples, name: str, edges: Sequence[float] | None
) -> dict[str, Bool[np.ndarray, " n"]]:
    """Which samples are in each subgroup of a column; bands in their order, other levels sorted."""
    if name not in known:
        raise ValueError(f"there is no column {name!r} for subgroups; there are {', '.join(map(repr, known))}")
    absent = pd.Index(samples.names).difference(known.index)
    if len(absent):
        raise ValueError(
            f"{len(absent)} of {len(samples.names)} samples are not among the columns of the subgroups, such as "
            f"{listed(absent)}; name the rows as the samples are named in the predictions (a store that was exported "
            "without ids has codes)"
        )
    values = known.loc[samples.names, name]
    missing = values.isna().to_numpy()
    levels = _bands(values, name, edges) if edges is not None else _values(values, name)
    return levels | ({_MISSING: missing} if missing.any() else {})


def _values(values: pd.Series, name: str) -> dict[str, Bool[np.ndarray, " n"]]:
    distinct = values.dropna().unique()
    if pd.api.types.is_numeric_dtype(values) and len(distinct) > _MANY_VALUES:
        raise ValueError(
            f"{name!r} holds {len(distinct)} different numbers; cut it into bands, for example "
            f"{{{name}: [0, 40, 65, 120]}}"
        )
    ordered = sorted(distinct) if pd.api.types.is_numeric_dtype(values) else sorted(distinct, key=str)
    return {text_of(value): (values == value).fillna(False).to_numpy(dtype=bool) for value in ordered}


def _bands(values: pd.Series, name: str, edges: Sequence[float]) -> dict[str, Bool[np.ndarray, " n"]]:
    try:
        numbers = pd.to_numeric(values).to_numpy(dtype=np.float64, na_value=np.nan)
    except (ValueError, TypeError):
        raise ValueError(f"{name!r} is to be cut into bands and holds {values.dropna().iloc[0]!r}, no number") from None
    outside = (numbers < edges[0]) | (numbers > edges[-1])
    if outside.any():
        raise ValueError(
            f"{int(outside.sum())} values of {name!r} lie outside {edges[0]} to {edges[-1]}, such as "
            f"{numbers[outside][0]:g}; widen the bands"
        )
    found = {}
    for low, high in itertools.pairwise(edges):
        last = high == edges[-1]
        found[f"[{low}, {high}{']' if last else ')'}"] = (numbers >= low) & (
            (numbers <= high) if last else (numbers < high)
        )
    return found
