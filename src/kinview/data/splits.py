"""Splits of training rows: a part held out, a part that keeps its labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Int64
from numpy.typing import NDArray
from torch import Tensor

from kinview.data.labels import integer_codes

__all__ = ["TARGET_STRATA", "holdout", "label_subset", "quantile_codes"]

TARGET_STRATA = 10
"""Equal parts of a numeric target by which a cut of a regression is stratified, where there are samples enough."""


def holdout(
    n: int, fraction: float, generator: torch.Generator, *, groups: Any = None, y: Any = None
) -> tuple[Int64[Tensor, " train"], Int64[Tensor, " valid"]]:
    """Hold out a fraction of the rows, for early stopping and the like.

    Parameters
    ----------
    n : int
        Number of rows.
    fraction : float
        Fraction of the rows to hold out, in [0, 1). More than 0 holds out at least one row (or group) if there are two.
    generator : torch.Generator
        Source of randomness.
    groups : array-like, optional
        Group of each row; a group is never split. The fraction is met as closely as whole groups allow.
    y : array-like, optional
        Label of each row; each class is held out in proportion (a group counts for its most frequent class), so a class
        with few rows stays in the training part.

    Returns
    -------
    train, valid : Tensor
        Row numbers, sorted. ``train`` is never empty.

    Raises
    ------
    ValueError
        If there is no row, the fraction is out of range, or groups or labels do not fit the rows.

    Examples
    --------
    >>> train, valid = holdout(8, 0.25, torch.Generator().manual_seed(0), y=[0, 0, 0, 0, 1, 1, 1, 1])
    >>> len(train), len(valid), sorted((valid >= 4).tolist())
    (6, 2, [False, True])
    """
    if n < 1:
        raise ValueError("there are no rows to split (n=0); give at least one")
    if not 0 <= fraction < 1:
        raise ValueError(f"fraction={fraction} of the rows cannot be held out; use 0 <= fraction < 1")
    units = np.arange(n) if groups is None else integer_codes(groups, n, "groups")
    classes = np.zeros(n, dtype=np.int64) if y is None else integer_codes(y, n, "y")
    seed = int(torch.randint(2**62, (1,), generator=generator))
    order = _spread(_most_frequent(units, classes), np.random.default_rng(seed))
    held = np.cumsum(np.bincount(units)[order])
    count = 0 if fraction == 0 else 1 + int(np.abs(held - fraction * n).argmin())
    chosen = np.zeros(len(order), dtype=bool)
    chosen[order[: min(count, len(order) - 1)]] = True
    mask = torch.from_numpy(chosen[units])
    return torch.nonzero(~mask).flatten(), torch.nonzero(mask).flatten()


def label_subset(y: Any, fraction: float, seed: int | Sequence[int], *, groups: Any = None) -> NDArray[np.int64]:
    """Rows that keep their label when only a fraction of the labels is available.

    Stratified, at least one row of each class, and nested: with one seed, a smaller fraction is a subset of a larger.
    Usual fractions are 1, 5, 10, 25, 50 and 100 %.

    Parameters
    ----------
    y : array-like
        Label of each row, ``(n,)``.
    fraction : float
        Fraction of the rows, in (0, 1]; round(fraction · n) rows, or one a class if that is more.
    seed : int or sequence of int
        Source of randomness; a sequence tells apart what shares a seed, such as the folds of a data set.
    groups : array-like, optional
        Group (patient) of each row: whole groups are drawn, stratified by their most frequent class, until the fraction
        of the rows is met as closely as they allow; of each class at least one group is drawn.

    Returns
    -------
    ndarray
        Row numbers, sorted.

    Raises
    ------
    ValueError
        If the fraction is out of range, a label or group is missing, or there is not one group a row.

    Examples
    --------
    >>> y = ["a"] * 8 + ["b"] * 2
    >>> label_subset(y, 0.5, seed=0).tolist(), label_subset(y, 0.1, seed=0).tolist()
    ([2, 4, 6, 7, 9], [4, 9])
    >>> label_subset(y, 0.5, seed=0, groups=[0, 0, 0, 1, 1, 2, 2, 2, 3, 3]).tolist()
    [5, 6, 7, 8, 9]
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction={fraction} of the labels cannot be kept; use 0 < fraction <= 1")
    n = len(y)
    classes = integer_codes(y, n, "y")
    units = np.arange(n) if groups is None else integer_codes(groups, n, "groups")
    order = _spread(classes if groups is None else _most_frequent(units, classes), np.random.default_rng(seed))
    first = _one_of_each(np.argsort(order)[units], classes)
    order = np.concatenate([order[first], np.delete(order, first)])
    held = np.concatenate([[0], np.bincount(units)[order].cumsum()])
    count = int(np.abs(held - round(fraction * n)).argmin())
    return np.flatnonzero(np.isin(units, order[: max(len(first), count)]))


def quantile_codes(y: Any, parts: int) -> NDArray[np.int64]:
    """Which of so many equal parts of the sorted numbers each is in, from 0; equal numbers are in one part.

    By these a cut of a regression is stratified: each side has low, middle and high targets in proportion.

    Parameters
    ----------
    y : array-like of shape (n,)
        Numbers.
    parts : int
        How many parts; fewer are made where many numbers are equal.

    Examples
    --------
    >>> quantile_codes([1.0, 9.0, 2.0, 8.0, 3.0, 7.0], 3).tolist()
    [0, 2, 0, 2, 1, 1]
    >>> quantile_codes([5.0, 5.0, 5.0, 6.0], 2).tolist()
    [0, 0, 0, 1]
    """
    values = np.asarray(y, dtype=np.float64)
    below = np.searchsorted(np.sort(values), values, side="left")
    part = below * parts // max(len(values), 1)
    return np.asarray(np.unique(part, return_inverse=True)[1], dtype=np.int64)


def _one_of_each(ranks: NDArray[np.int64], classes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Ranks of units that together hold every class: the earliest of each that no choice before holds, rarest first."""
    held = pd.DataFrame({"rank": ranks, "label": classes}).drop_duplicates()
    chosen: set[int] = set()
    for label in held["label"].value_counts(ascending=True).index:
        of_class = held.loc[held["label"] == label, "rank"]
        if chosen.isdisjoint(of_class):
            chosen.add(int(of_class.min()))
    return np.array(sorted(chosen), dtype=np.int64)


def _most_frequent(units: NDArray[np.int64], classes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Most frequent class of each unit 0, 1, ..."""
    pairs = pd.DataFrame({"unit": units, "label": classes}).value_counts().reset_index()  # most frequent first
    return np.asarray(pairs.drop_duplicates("unit").sort_values("unit")["label"], dtype=np.int64)


def _spread(classes: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.int64]:
    """Random order of which every beginning holds each class in proportion (up to one row).

    The k-th row of a class of size m stands at (k + 1/2) / m; ties between classes fall at random.
    """
    shuffled = random.permutation(len(classes))
    labels = pd.Series(classes[shuffled])
    within = labels.groupby(labels).cumcount().to_numpy()
    place = (within + 0.5) / np.bincount(classes)[labels]
    return np.asarray(shuffled[np.argsort(place, kind="stable")], dtype=np.int64)
