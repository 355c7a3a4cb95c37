"""Folds of the inner cross-validation: stratified, and by group where groups are given."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float, Int64
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

__all__ = ["inner_folds", "out_of_fold"]

_FOLDS = 5  # official TS2Vec evaluation, and scikit-learn's default

Rows = Int64[np.ndarray, " rows"]


def inner_folds(codes: Int64[np.ndarray, " n"], groups: Int64[np.ndarray, " n"] | None) -> list[tuple[Rows, Rows]]:
    """Training and validation rows of at most 5 stratified folds that part no group; none of them is empty.

    There is no fold where there is nothing to part: a single group, or no class with a second row.
    """
    # A fold per row of the largest class at most; smaller classes are then missing from some folds, of which
    # scikit-learn would warn: the notes of the probes say so instead.
    n_folds = min(_FOLDS, int(np.bincount(codes).max()))
    if groups is not None:
        n_folds = min(n_folds, len(np.unique(groups)))
    if n_folds < 2:
        return []
    splitter: Any = StratifiedKFold(n_folds) if groups is None else StratifiedGroupKFold(n_folds)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        folds = list(splitter.split(codes, codes, groups))
    return [(train, valid) for train, valid in folds if len(train) and len(valid)]


def out_of_fold(
    fit: Callable[[Rows], Callable[[Rows], Float[np.ndarray, "rows classes"]]],
    codes: Int64[np.ndarray, " n"],
    folds: list[tuple[Rows, Rows]],
) -> Float[np.ndarray, "n classes"]:
    """Probability of each class for each row, by a model that was fitted without it.

    Parameters
    ----------
    fit : callable
        From training rows to a function from rows to the probabilities of the classes that the training rows hold, in
        order. It is not called with rows of a single class: that class has probability 1.
    codes : ndarray of shape (n,)
        Labels 0..K-1.
    folds : list of (ndarray, ndarray)
        Training and validation rows; each row is validated once.
    """
    probabilities = np.zeros((len(codes), int(codes.max()) + 1))
    for train, valid in folds:
        present = np.unique(codes[train])
        found = fit(train)(valid) if len(present) > 1 else np.ones((len(valid), 1))
        probabilities[np.ix_(valid, present)] = found
    return probabilities
