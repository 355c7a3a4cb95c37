"""Stratified cross-validation of data that must have groups."""

from __future__ import annotations

import dataclasses

import numpy as np
from jaxtyping import Int64

from kinview.datasets.dataset import Dataset
from kinview.datasets.samples import Samples
from kinview.evaluation.protocols import splits
from kinview.evaluation.protocols.base import groups_by, refuse_parted_groups
from kinview.evaluation.protocols.stratified_kfold import StratifiedKFold

__all__ = ["StratifiedGroupKFold"]


@splits.register("stratified_group_kfold", modality="any", reference="scikit-learn's StratifiedGroupKFold")
@dataclasses.dataclass(frozen=True)
class StratifiedGroupKFold(StratifiedKFold):
    """Stratified folds that never part a group, of data that must have groups.

    As :class:`StratifiedKFold`, which takes groups where there are some: this one refuses a data set without, so that
    an option that was forgotten when the data were read (``group=patient``) is no silent leak. The groups may also be
    those of a static column (``group: site``).

    Parameters
    ----------
    folds, repeats, pool : int, int, {"all", "train"}
        As :class:`StratifiedKFold` has them.
    group : str, optional
        Static column of the groups; default: the groups of the data set.

    Raises
    ------
    ValueError
        As :class:`StratifiedKFold`; if a data set has no groups, no such column or a sample without a value in it; or
        if the column parts a group of the data set (a patient at two sites).

    Examples
    --------
    >>> import kinview
    >>> StratifiedGroupKFold(folds=3).cut(kinview.load("iris"))
    Traceback (most recent call last):
    ...
    ValueError: stratified_group_kfold needs groups, and the data set 'iris' has none: name their column when it is \
read (group=), or a static column here
    """

    group: str | None = None

    def _groups(self, data: Dataset, samples: Samples) -> Int64[np.ndarray, " n"]:
        groups = groups_by(data, samples, self.group, "stratified_group_kfold")
        refuse_parted_groups(data, samples, groups, f"{self.group}")
        return groups
