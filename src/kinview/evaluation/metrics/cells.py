"""Predictions of cells as the samples of a data set and what each cell said of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int64

from kinview.evaluation.metrics.bootstrap import Bootstrap, rarest_class
from kinview.evaluation.metrics.outputs import Classification, Regression
from kinview.evaluation.predictions import SCORE
from kinview.evaluation.statistics import CONDITION, normalise_conditions

__all__ = ["OF_A_COMPARISON", "Cell", "Samples", "listed", "read_samples"]

OF_A_COMPARISON = ("dataset", "method", "probe", "split", *CONDITION)
"""Columns that say what is compared; cells that differ in seed and fold alone are averaged."""

_AVERAGED = ("seed", "fold")
_OF_A_TEST_SET = ("dataset", "split")
_NEUTRAL = ("none", "clean", "official", 0, 1.0)  # conditions that change nothing
_SHOWN = 3


@dataclasses.dataclass(frozen=True, eq=False)
class Cell:
    """What one cell said.

    Parameters
    ----------
    which : dict
        The columns that say which cell it is.
    rows : ndarray
        Places of its samples among those of the test set.
    said : Classification or Regression
        What it said of them.
    """

    which: dict[str, Any]
    rows: Int64[np.ndarray, " rows"]
    said: Classification | Regression

    @property
    def shown(self) -> str:
        """Data set, method, probe, seed and fold, with the condition where it is not neutral."""
        return _shown(self.which)

    def restricted(self, member: Bool[np.ndarray, " n"]) -> Cell | None:
        """The cell with those of its samples that are members; None where there is none."""
        chosen = np.flatnonzero(member[self.rows])
        return dataclasses.replace(self, rows=self.rows[chosen], said=self.said.rows(chosen)) if len(chosen) else None


@dataclasses.dataclass(frozen=True, eq=False)
class Samples:
    """The samples of a test set, in the order of their names, and the cells that spoke of them.

    Parameters
    ----------
    names : ndarray of shape (n,)
        Names of the samples.
    groups : ndarray of shape (n,)
        Code of each sample's group; its own where there are no groups.
    y : ndarray of shape (n,)
        Code of each sample's label; all 0 of a regression.
    cells : list of Cell
        In order of appearance.
    """

    names: np.ndarray
    groups: Int64[np.ndarray, " n"]
    y: Int64[np.ndarray, " n"]
    cells: list[Cell]

    def bootstrap(self, n_resamples: int, seed: int | Sequence[int]) -> Bootstrap:
        """Resamples of the groups, stratified by the rarest of a group's labels."""
        return Bootstrap(self.groups, rarest_class(self.y, self.groups), n_resamples, seed)

    def compared(self, by: Sequence[str]) -> Iterator[tuple[dict[str, Any], list[Cell]]]:
        """Cells that are averaged, in an order of their own, with the columns that they share."""
        found: dict[tuple[Any, ...], list[Cell]] = {}
        for cell in self.cells:
            found.setdefault(tuple(cell.which[name] for name in by), []).append(cell)
        for key, cells in found.items():
            yield dict(zip(by, key, strict=True)), sorted(cells, key=lambda cell: str(cell.which))


def read_samples(
    predictions: pd.DataFrame,
    *,
    group: str | None = "group",
    by: Sequence[str] | None = None,
    positive: str | None = None,
) -> tuple[list[Samples], list[str]]:
    """Samples and cells of each test set (data set and split), and the columns that name a comparison.

    Parameters
    ----------
    predictions : DataFrame
        What :meth:`kinview.evaluation.Store.predictions` or :func:`kinview.evaluation.read_predictions` gives: one row
        a sample and cell, with ``sample``, ``y``, ``predicted`` and ``score:CLASS``; without scores ``y`` and
        ``predicted`` are numbers.
    group : str, optional
        Column that names the group (patient) of each sample; None, or a column without a value for the test set: each
        sample is one.
    by : sequence of str, optional
        Columns that name a comparison. Default: those of data set, method, probe, split and condition that there are.

    positive : str, optional
        The event, of two classes. Default: that of the second column of scores.

    Raises
    ------
    ValueError
        If a column is absent, two classes lack the positive one, a sample stands in a cell twice, has two labels or
        groups, or lacks its group, or a score or label is missing.
    """
    _check_columns(predictions, ["sample", "y", "predicted", *(by or ())])
    known = [name for name in (*OF_A_COMPARISON, *_AVERAGED, *(by or ())) if name in predictions]
    which = list(dict.fromkeys(known))
    chosen = [name for name in OF_A_COMPARISON if name in predictions] if by is None else list(by)
    if predictions.empty:
        raise ValueError("there are no predictions; cells that failed, and stores of before schema 3, have none")
    unlabelled = predictions["y"].isna()
    if unlabelled.any():
        raise ValueError(f"{int(unlabelled.sum())} of {len(predictions)} predictions have no label y; leave them out")
    codes, cells = _cells(predictions, which)
    test_sets: dict[tuple[str, ...], list[int]] = {}
    for code in range(len(cells)):
        own = tuple(str(cells[name].iloc[code]) for name in _OF_A_TEST_SET if name in cells)
        test_sets.setdefault(own, []).append(code)
    found = []
    for members in test_sets.values():
        rows = np.flatnonzero(np.isin(codes, members))
        found.append(_of_test_set(predictions.iloc[rows], group, codes[rows], cells, positive))
    return found, chosen


def _cells(predictions: pd.DataFrame, which: list[str]) -> tuple[Int64[np.ndarray, " n"], pd.DataFrame]:
    """Number of each row's cell, and what the cells are."""
    if not which:
        return np.zeros(len(predictions), dtype=np.int64), pd.DataFrame(index=[0])
    codes = predictions.groupby(which, dropna=False, sort=False).ngroup().to_numpy()
    cells = predictions[which].iloc[np.unique(codes, return_index=True)[1]]
    cells = normalise_conditions(cells)[which]  # one spelling for each condition
    spelled = cells.groupby(which, dropna=False, sort=False).ngroup().to_numpy()
    return spelled[codes], cells.iloc[np.unique(spelled, return_index=True)[1]]


def _groups(predictions: pd.DataFrame, group: str | None) -> np.ndarray:
    """Group of each row as text; the sample where there are no groups."""
    if group is None:
        return predictions["sample"].astype(str).to_numpy(dtype=object)
    _check_columns(predictions, [group], "; groups=None takes all samples as independent")
    missing = predictions[group].isna()
    if missing.all():
        return predictions["sample"].astype(str).to_numpy(dtype=object)
    if missing.any():
        names = listed(predictions.loc[missing, "sample"].astype(str).unique())
        raise ValueError(
            f"{group!r} is missing for some samples ({names}) and given for others; give each sample one, or "
            "groups=None to take all samples as independent"
        )
    return predictions[group].astype(str).to_numpy(dtype=object)


def _of_test_set(
    rows: pd.DataFrame, group: str | None, codes: Int64[np.ndarray, " n"], cells: pd.DataFrame, positive: str | None
) -> Samples:
    names = rows["sample"].astype(str).to_numpy(dtype=object)
    clusters = _groups(rows, group)
    scores = [name for name in map(str, rows) if name.startswith(SCORE)]
    distinct, first, place = np.unique(names, return_index=True, return_inverse=True)
    y = rows["y"].to_numpy(dtype=object)
    for values, what in ((y, "labels"), (clusters, "groups")):
        differing = values != values[first][place]
        if differing.any():
            raise ValueError(
                f"{listed(np.unique(names[differing]))} has several {what} in the predictions of one test set; the "
                "name of a sample has to be its own"
            )
    found = []
    for code in np.unique(codes):
        inside = np.flatnonzero(codes == code)
        inside = inside[np.argsort(place[inside], kind="stable")]
        which = cells.iloc[code].to_dict()
        twice = place[inside][1:] == place[inside][:-1]
        if twice.any():
            raise ValueError(
                f"{listed(distinct[place[inside][1:][twice]])} stands more than once in the cell {_shown(which)}: "
                "keep the newest of each cell, or name in `by` what tells the cells apart"
            )
        found.append(Cell(which, place[inside], _said(rows.iloc[inside], scores, positive, _shown(which))))
    of_classes = any(isinstance(cell.said, Classification) for cell in found)
    labels = np.unique(y[first].astype(str), return_inverse=True)[1] if of_classes else np.zeros(len(first), np.int64)
    return Samples(distinct, np.unique(clusters[first], return_inverse=True)[1], labels, found)


def _said(rows: pd.DataFrame, scores: list[str], positive: str | None, cell: str) -> Classification | Regression:
    own = [name for name in scores if rows[name].notna().any()]  # the others are classes of other cells
    try:
        if not own:
            return Regression.of(*(pd.to_numeric(rows[name]).to_numpy() for name in ("y", "predicted")))
        if positive is not None and len(own) == 2:
            own = _event_last(own, positive)
        classes = np.array([name.removeprefix(SCORE) for name in own], dtype=object)
        return Classification.of(
            rows["y"].map(str).to_numpy(dtype=object), rows[own].to_numpy(np.float64), classes,
            rows["predicted"].map(str).to_numpy(dtype=object),
        )  # fmt: skip
    except (ValueError, TypeError) as error:
        raise ValueError(f"predictions of the cell {cell}: {error}") from None


def _event_last(own: list[str], positive: str) -> list[str]:
    event = f"{SCORE}{positive}"
    if event not in own:
        known = ", ".join(repr(name.removeprefix(SCORE)) for name in own)
        raise ValueError(f"positive={positive!r} is none of the classes {known}")
    return [*(name for name in own if name != event), event]


def _check_columns(predictions: pd.DataFrame, needed: Sequence[str], hint: str = "") -> None:
    absent = [name for name in needed if name not in predictions]
    if absent:
        raise ValueError(
            f"the predictions have no column {', '.join(map(repr, absent))}; they have "
            f"{', '.join(map(str, predictions))}{hint}"
        )


def listed(names: Any) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(map(repr, map(str, names[:_SHOWN]))) + more


def _shown(which: dict[str, Any]) -> str:
    named = [str(which[name]) for name in ("dataset", "method", "probe") if name in which]
    others = [
        f"{name} {value}"
        for name, value in which.items()
        if name in _AVERAGED or (name in CONDITION and value not in _NEUTRAL)
    ]
    return ", ".join(named + others) or "the only cell"
