"""Stratified cross-validation, repeated, that never parts a group."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import numpy as np
from jaxtyping import Int64
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold as _StratifiedKFold

from kinview.data.labels import encode_labels
from kinview.data.splits import TARGET_STRATA
from kinview.datasets.dataset import Dataset
from kinview.datasets.samples import Samples
from kinview.evaluation.protocols import splits
from kinview.evaluation.protocols.base import Pool, Protocol, Rows, check_pool, strata_of
from kinview.parameters import check_integer

__all__ = ["StratifiedKFold"]


@splits.register("stratified_kfold", modality="any", reference="Kohavi 1995; scikit-learn")
@dataclasses.dataclass(frozen=True)
class StratifiedKFold(Protocol):
    """Each sample is tested once a repeat, by what was learned from the other folds.

    Folds hold the classes in proportion, or in a regression the tenths of the sorted target. Where a data set has
    groups (patients), a group is never parted: whole groups are dealt out, as evenly over the classes as they allow.
    The folds of repeat :math:`r` are drawn with the seed :math:`r`, whatever the seeds of the benchmark, so that every
    seed and every method has the same folds.

    Parameters
    ----------
    folds : int
        Folds :math:`K`, at least 2. Default 5, as scikit-learn.
    repeats : int
        How often the data set is cut anew; default once. Fold ``k`` of repeat ``r`` has the number ``r * folds + k``.
    pool : {"all", "train"}
        Which samples are cut. ``"all"`` (default): the training and the test part together, for a data set without a
        published split, or an estimate that does not hang on one. ``"train"``: the training part alone, and the
        published test part is not touched: for choices that are made before it is opened.

    Raises
    ------
    ValueError
        If a parameter is out of range, or a data set has fewer samples in every class, or fewer groups, than folds.

    Notes
    -----
    A class with fewer samples than folds is missing from the test part of some folds; metrics leave it out there and
    say so. Results of folds are not independent, because their training parts overlap: all statistics average over the
    folds of a data set first.

    References
    ----------
    .. [1] Kohavi, R. (1995). A study of cross-validation and bootstrap for accuracy estimation and model selection.
       IJCAI.

    Examples
    --------
    >>> import kinview
    >>> folds = StratifiedKFold(folds=5, repeats=2).cut(kinview.load("iris"))
    >>> len(folds), [len(test) for _, test in folds[:5]]
    (10, [30, 30, 30, 30, 30])
    """

    folds: int = 5
    repeats: int = 1
    pool: Pool = "all"

    def __post_init__(self) -> None:
        check_integer(self.folds, "folds", at_least=2)
        check_integer(self.repeats, "repeats", at_least=1)
        check_pool(self.pool)

    def _groups(self, data: Dataset, samples: Samples) -> Int64[np.ndarray, " n"] | None:
        """Number of each sample's group, which is never parted."""
        return None if samples.groups is None else encode_labels(samples.groups, name="groups")[0]

    def cut(self, data: Dataset) -> list[Rows]:
        """Rows of each fold, one repeat after the other."""
        samples = data.pooled(self.pool)
        if samples.y is None:
            raise ValueError(f"the data set {data.name!r} has no labels to stratify its folds by")
        codes = strata_of(data, samples, min(TARGET_STRATA, max(1, len(samples) // self.folds)))
        if codes is None:
            raise ValueError(
                f"the data set {data.name!r} has numbers as labels, no classes to stratify its folds by; ask for a "
                "regression (task: regression), or use holdout, temporal or leave_one_group_out"
            )
        most = int(np.bincount(codes).max())
        if most < self.folds:
            raise ValueError(
                f"the data set {data.name!r} has at most {most} samples of a class, too few for folds={self.folds}; "
                "use fewer folds"
            )
        groups = self._groups(data, samples)
        if groups is not None and int(groups.max()) + 1 < self.folds:
            raise ValueError(
                f"the data set {data.name!r} has {int(groups.max()) + 1} groups, too few for folds={self.folds}: a "
                "group is never parted; use fewer folds"
            )
        splitter: Any = _StratifiedKFold if groups is None else StratifiedGroupKFold
        found: list[Rows] = []
        for repeat in range(self.repeats):
            with warnings.catch_warnings():  # that a class is missing from some folds: the notes of the metrics say so
                warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
                cuts = list(splitter(self.folds, shuffle=True, random_state=repeat).split(codes, codes, groups))
            if not all(len(train) and len(test) for train, test in cuts):
                raise ValueError(
                    f"the groups of the data set {data.name!r} are too unequal for folds={self.folds}: a fold would be "
                    "empty; use fewer folds"
                )
            found += cuts
        return found
