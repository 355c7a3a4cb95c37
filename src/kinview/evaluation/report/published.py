"""Results that others have published for the same data sets, laid beside those of a benchmark."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kinview.evaluation.metrics.table import METRICS, has_units, is_unbounded, lower_is_better
from kinview.evaluation.over_datasets import averages_within_datasets, difference_over_datasets, side, verdict
from kinview.evaluation.report.cells import Results, average_word, records, within_sentence
from kinview.evaluation.report.over_datasets import units_note
from kinview.evaluation.statistics import holm

__all__ = ["Published", "beside_published", "read_published"]

_LARGEST_FILE = 10_000_000  # bytes
_SHOWN = 12  # names in a message


@dataclasses.dataclass(frozen=True, eq=False)
class Published:
    """Published results.

    Parameters
    ----------
    scores : DataFrame
        A row a data set, a column a method; in the unit of the metric, NaN where nothing was published.
    name : str
        What the report calls them: the name of the file.
    unit : str
        What the file was read as.
    """

    scores: pd.DataFrame
    name: str
    unit: str


def read_published(path: str | os.PathLike[str], metric: str = "accuracy") -> Published:
    r"""Read published results: a CSV file with a row a data set and a column a method.

    The first column names the data sets. Values of a metric between 0 and 1 are taken for percent where any of them is
    above 1, for fractions otherwise; those of another metric (``"mae"``, ``"rmse"``, ``"r2"``) as they are. An empty
    cell is a result that was not published.

    Parameters
    ----------
    path : path-like
        The file, text in UTF-8, its columns separated by commas.
    metric : str
        What the values are of.

    Returns
    -------
    Published
        The scores, percent as fractions.

    Raises
    ------
    ValueError
        If the file is no such table, a cell is no number, a value lies outside the range of the metric (0 to 100 where
        that is a fraction), some methods seem to be in percent and others in fractions, or a data set or method stands
        twice.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "theirs.csv"
    ...     written = file.write_text("dataset,1NN-DTW,ROCKET\nGunPoint,90.7,100\nWine,57.4,81.3\n")
    ...     read_published(file).scores.round(3).to_dict("index")
    {'GunPoint': {'1NN-DTW': 0.907, 'ROCKET': 1.0}, 'Wine': {'1NN-DTW': 0.574, 'ROCKET': 0.813}}
    """
    file = Path(path)
    if file.is_file() and file.stat().st_size > _LARGEST_FILE:
        raise ValueError(f"{file} has {file.stat().st_size:,} bytes: no table of published results is as large")
    try:
        text = pd.read_csv(file, dtype=str, keep_default_na=False, encoding="utf-8-sig", skipinitialspace=True)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} is no CSV table of published results: {error}") from None
    if text.shape[1] < 2 or text.empty:
        raise ValueError(
            f"{file} has {text.shape[0]} rows and {text.shape[1]} columns; published results have a row a data set "
            "and, after the column with their names, a column a method, separated by commas"
        )
    text = text.set_index(text.columns[0])
    text.index = [str(name).strip() for name in text.index]
    text.columns = [str(name).strip() for name in text.columns]
    _refuse_twice(text.columns, "method", file)
    _refuse_twice([_key(name) for name in text.index], "data set", file)
    text = text.map(str.strip)
    scores = text.map(_number).astype(np.float64)
    unread = scores.isna() & ~text.map(str.lower).isin(["", "na", "nan"])
    low, high = METRICS[metric].range
    fractions = (low, high) == (0, 1)
    wrong = (unread | np.isinf(scores) | (scores < low) | (scores > (100 if fractions else high))).to_numpy()
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise ValueError(
            f"{file}: the value {text.iloc[row, column]!r} of {text.columns[column]} on {text.index[row]} is no "
            + (
                "fraction between 0 and 1 and no percentage between 0 and 100"
                if fractions
                else f"{within_sentence(METRICS[metric].title)}, a number from {low:g} to {high:g}"
            )
            + "; leave empty what was not published"
        )
    return (
        _published(scores, file) if fractions else Published(scores, file.name, within_sentence(METRICS[metric].title))
    )


def _published(scores: pd.DataFrame, file: Path) -> Published:
    """Scores as fractions; all methods of a file are in one unit."""
    highest = scores.max()
    percent = bool((highest > 1).any())
    small = [str(name) for name in highest.index[highest <= 1]] if percent else []
    if small:
        raise ValueError(
            f"{file}: {', '.join(small[:_SHOWN])} seem to be fractions (none above 1) and the other methods percent; "
            "give all in one unit"
        )
    return Published(scores / 100 if percent else scores, file.name, "percent" if percent else "fractions")


def beside_published(results: Results, metric: str, published: Published) -> dict[str, Any]:
    """Results under the clean condition beside published ones, on the data sets that both have.

    Data sets are matched by name, whatever the case, and whatever stands for a space (``gun_point``, ``GunPoint``).

    Returns
    -------
    dict
        ``datasets``, the matched ones; ``rows``, one a method (own ones with their probe): ``name``, ``published``,
        ``datasets`` with a value, ``mean`` over them (the median of a metric without a bound) and ``values`` by data
        set; ``pairs``, published methods down and own ones across, each the comparison over data sets; ``own``;
        ``notes``.

    Raises
    ------
    ValueError
        If no data set of the benchmark is among the published ones.
    """
    theirs = {_key(name): name for name in published.scores.index}
    clean = results.cells[results.cells["condition"] == "clean"]
    matched = {dataset: theirs[_key(dataset)] for dataset in results.modalities if _key(dataset) in theirs}
    matched = {dataset: name for dataset, name in matched.items() if (clean["dataset"] == dataset).any()}
    if not matched:
        raise ValueError(
            f"{published.name} holds none of the data sets with clean results here: it has "
            f"{_some(list(published.scores.index))}; the benchmark has {_some(list(results.modalities))}"
        )
    median = is_unbounded(metric)
    within = averages_within_datasets(
        clean[clean["dataset"].isin(matched)].astype({metric: np.float64}), ["method", "probe"], [metric], median=median
    )
    within = within.assign(entry=within["method"] + " / " + within["probe"])
    own = within.pivot(index="dataset", columns="entry", values=metric).reindex(list(matched))
    order = [f"{method} / {probe}" for method in results.methods for probe in results.probes]
    own = own[[name for name in order if name in own]]
    other = published.scores.loc[list(matched.values())].set_axis(list(matched), axis=0)
    lower, units, average = lower_is_better(metric), has_units(metric), average_word(metric)
    rows = [
        {
            "name": str(name), "published": table is other, "datasets": int(table[name].notna().sum()),
            "mean": float("nan") if units and table[name].count() > 1 else float(table[name].agg(average)),
            "values": table[name].tolist(),
        }
        for table in (own, other) for name in table
    ]  # fmt: skip
    return {
        "name": published.name,
        "datasets": list(matched),
        "rows": sorted(rows, key=lambda row: (-row["datasets"], row["mean"] if lower else -row["mean"], row["name"])),
        "own": list(own.columns),
        "pairs": _pairs(own, other, lower, median, has_units(metric)),
        "notes": [*_notes(results, published, matched), *filter(None, [units_note(metric)])],
    }


def _pairs(own: pd.DataFrame, other: pd.DataFrame, lower: bool, median: bool, units: bool) -> list[dict[str, Any]]:
    """Each own method minus each published one, over the data sets with both; p corrected over the published ones."""
    parts = [
        pd.DataFrame({
            "own": mine, "published": name, "dataset": own.index, "difference": (own[mine] - other[name]).to_numpy()
        })
        for mine in own for name in other
    ]  # fmt: skip
    long = pd.concat(parts, ignore_index=True).dropna(subset=["difference"])
    found = difference_over_datasets(long, ["own", "published"], lower_is_better=lower, median=median, units=units)
    found["p_holm"] = found.groupby("own")["p"].transform(lambda p: holm(p.to_numpy()))
    lookup: Mapping[tuple[str, str], dict[str, Any]] = {
        (row["own"], row["published"]): {
            **row,
            "verdict": verdict(row["p_holm"], side(row, lower), bool(row["testable"]), lower_is_better=lower),
        }
        for row in records(found)
    }  # fmt: skip
    return [{"name": str(name), "cells": [lookup.get((str(mine), str(name))) for mine in own]} for name in other]


def _notes(results: Results, published: Published, matched: Mapping[str, str]) -> list[str]:
    found = [f"{published.name} was read as {published.unit}."]
    lacking = [dataset for dataset in results.modalities if dataset not in matched]
    if lacking:
        found.append(f"Data sets of the benchmark without published results: {', '.join(lacking)}.")
    unused = [name for name in published.scores.index if name not in set(matched.values())]
    if unused:
        found.append(f"Published data sets without results here: {', '.join(map(str, unused))}.")
    if results.split != "official":
        found.append(
            f"The benchmark cuts the data sets by {results.split}; published results are mostly of the official split, "
            "and then of other test samples."
        )
    return found


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return float("nan")


def _key(name: object) -> str:
    """Name without case and without what stands between words."""
    return re.sub(r"[\s_.-]+", "", str(name)).casefold()


def _refuse_twice(names: Any, kind: str, file: Path) -> None:
    index = pd.Index(names)
    if not index.is_unique:
        twice = sorted(set(index[index.duplicated()]))
        raise ValueError(f"{file}: a {kind} stands twice: {_some(twice)}; keep one of each")


def _some(names: list[Any]) -> str:
    shown = ", ".join(map(str, names[:_SHOWN]))
    return shown + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
