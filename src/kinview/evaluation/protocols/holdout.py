"""Test parts that are drawn, once or several times."""

from __future__ import annotations

import dataclasses

import torch

from kinview.data.splits import TARGET_STRATA, holdout
from kinview.datasets.dataset import Dataset
from kinview.evaluation.protocols import splits
from kinview.evaluation.protocols.base import Pool, Protocol, Rows, check_pool, strata_of
from kinview.parameters import check_integer

__all__ = ["Holdout"]


@splits.register("holdout", modality="any", reference="Kohavi 1995")
@dataclasses.dataclass(frozen=True)
class Holdout(Protocol):
    """A test part drawn from all samples, or several, each drawn anew from all of them.

    The classes stand in both parts in proportion, and a group (patient) is never parted. The test part of repeat
    :math:`r` is drawn with the seed ``seed + r``, whatever the seeds of the benchmark.

    Parameters
    ----------
    test_fraction : float
        Fraction of the samples in the test part, between 0 and 1; whole groups meet it as closely as they can. Default
        0.3, as :func:`kinview.load` draws one.
    repeats : int
        How many test parts are drawn. Default 1.
    seed : int
        Seed of the first draw. Default 0.
    pool : {"all", "train"}
        Which samples are cut, as for :class:`StratifiedKFold`.

    Raises
    ------
    ValueError
        If a parameter is out of range, or there are too few samples or groups for two parts.

    Notes
    -----
    Test parts of several repeats overlap, and so do their training parts: a sample may be tested twice or never. For an
    estimate that uses each sample once, use :class:`StratifiedKFold`.

    References
    ----------
    .. [1] Kohavi, R. (1995). A study of cross-validation and bootstrap for accuracy estimation and model selection.
       IJCAI.

    Examples
    --------
    >>> import kinview
    >>> cuts = Holdout(test_fraction=0.2, repeats=2).cut(kinview.load("iris"))
    >>> [(len(train), len(test)) for train, test in cuts]
    [(120, 30), (120, 30)]
    """

    test_fraction: float = 0.3
    repeats: int = 1
    seed: int = 0
    pool: Pool = "all"

    def __post_init__(self) -> None:
        if not 0 < self.test_fraction < 1:
            raise ValueError(f"test_fraction={self.test_fraction} must lie between 0 and 1, both excluded")
        check_integer(self.repeats, "repeats", at_least=1)
        check_integer(self.seed, "seed", at_least=0)
        check_pool(self.pool)

    def cut(self, data: Dataset) -> list[Rows]:
        """Rows of each repeat."""
        samples = data.pooled(self.pool)
        y = strata_of(data, samples, TARGET_STRATA) if data.task == "regression" else samples.strata
        found: list[Rows] = []
        for repeat in range(self.repeats):
            generator = torch.Generator().manual_seed(self.seed + repeat)
            train, test = holdout(len(samples), self.test_fraction, generator, groups=samples.groups, y=y)
            if not len(test):
                raise ValueError(
                    f"the data set {data.name!r} has too few samples or groups to hold out {self.test_fraction:g} of "
                    "them; give another test_fraction"
                )
            found.append((train.numpy(), test.numpy()))
        return found
