"""One fold a group: how well what was learned elsewhere holds at a site that was never seen."""

from __future__ import annotations

import dataclasses

import numpy as np

from kinview.datasets.dataset import Dataset
from kinview.evaluation.protocols import splits
from kinview.evaluation.protocols.base import Pool, Protocol, Rows, check_pool, groups_by, refuse_parted_groups

__all__ = ["LeaveOneGroupOut"]


@splits.register("leave_one_group_out", modality="any", reference="scikit-learn; internal-external: Steyerberg 2016")
@dataclasses.dataclass(frozen=True)
class LeaveOneGroupOut(Protocol):
    """Each group is tested once, by what was learned from all the others, in the sorted order of the groups.

    With the hospital as group this is internal-external validation [1]_: it asks how a model does at a place that it
    was not made at.

    Parameters
    ----------
    group : str, optional
        Static column of the groups (``site``); default: the groups of the data set.
    pool : {"all", "train"}
        Which samples are cut, as for :class:`StratifiedKFold`.

    Raises
    ------
    ValueError
        If a data set has no groups, no such column or a sample without a value in it; if there is one group only; or if
        the column parts a group of the data set (a patient at two sites).

    Notes
    -----
    A fold holds the classes as its group does: one with a single class has no AUROC, which the metrics say. Averages
    over folds weigh each group alike, whatever its size.

    References
    ----------
    .. [1] Steyerberg, E. W., Harrell, F. E. (2016). Prediction models need appropriate internal, internal-external, and
       external validation. Journal of Clinical Epidemiology 69, 245-247.

    Examples
    --------
    >>> import pandas as pd
    >>> site = pd.DataFrame({"site": ["A", "B", "B"]})
    >>> data = Dataset(np.zeros((3, 1, 4)), [0, 1, 0], np.zeros((3, 1, 4)), [1, 0, 1], "demo", static_train=site,
    ...                static_test=site)
    >>> [(train.tolist(), test.tolist()) for train, test in LeaveOneGroupOut(group="site").cut(data)]
    [([1, 2, 4, 5], [0, 3]), ([0, 3], [1, 2, 4, 5])]
    """

    group: str | None = None
    pool: Pool = "all"

    def __post_init__(self) -> None:
        check_pool(self.pool)

    def cut(self, data: Dataset) -> list[Rows]:
        """Rows of each fold, one a group."""
        samples = data.pooled(self.pool)
        groups = groups_by(data, samples, self.group, "leave_one_group_out")
        refuse_parted_groups(data, samples, groups, f"{self.group}")
        number = int(groups.max(initial=-1)) + 1
        if number < 2:
            raise ValueError(
                f"the data set {data.name!r} has {number} group: leaving it out leaves nothing to learn from"
            )
        return [(np.flatnonzero(groups != one), np.flatnonzero(groups == one)) for one in range(number)]
