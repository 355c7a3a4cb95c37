"""SubTab's views: overlapping subsets of the columns."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from kinview.augmentations import augmentations
from kinview.augmentations._random import given_or_fresh
from kinview.augmentations._tables import discrete_columns
from kinview.augmentations.base import Augmentation, Modality
from kinview.data.batch import Batch
from kinview.parameters import choice, real, whole

if TYPE_CHECKING:
    from kinview.data.table import TableSchema

__all__ = ["ColumnSubsets"]

_CODES = 32  # most frequent codes of a column that count in its correlation with others


@augmentations.register(
    "column_subsets", modality="tabular", family="tables", reference="Ucar et al., SubTab, NeurIPS 2021"
)
@dataclasses.dataclass(frozen=True)
class ColumnSubsets(Augmentation):
    r"""One view for each of K subsets of the columns, which overlap and together hold every column.

    The M columns, in an order π, are cut into K blocks of equal size but for a remainder, and each block is widened by
    :math:`\lfloor \rho \lfloor M/K \rfloor \rfloor` neighbours: the first to the right, the others to the left. All
    subsets have the same number of columns, :math:`w = \lceil M/K \rceil + \lfloor \rho \lfloor M/K \rfloor \rfloor`
    (M at most).

    Parameters
    ----------
    n_subsets : int, default 4
        K, the number of views (SubTab on MNIST).
    overlap : float, default 0.75
        ρ (SubTab on MNIST).
    grouping : {"contiguous", "random", "correlated"}, default "contiguous"
        The order π: as the columns stand (SubTab), random, or such that columns which correlate in training stand
        together (average-linkage clustering on 1 − \|r\|). The latter two are decided once, in ``fit``, so that an
        encoder meets the same subsets in training and in use.
    representation : {"missing", "narrow"}, default "missing"
        What a view is: ``(n, M)`` where the other columns are missing, which any encoder of the whole table takes, or
        ``(n, w)`` with the columns of the subset in the order π (SubTab), for an encoder of w columns.

    Notes
    -----
    SubTab's code leaves the last M − K ⌊M/K⌋ columns out; here none is lost: blocks differ by one column and are filled
    up to w with more neighbours. A table of fewer than K columns is refused: some subsets would be alike. The code also
    permutes the order of the subsets at every step, which no loss over all pairs can see.

    The correlation of two columns is \|Pearson's r\| over rows, missing values at the mean; categories and booleans
    count as indicators of their values, and the largest correlation of two indicators is that of the columns.

    ``extra["subset"]`` (n,) holds the number of the subset, ``extra["columns"]`` (n, w) its columns.

    Raises
    ------
    ValueError
        When called before ``fit`` with ``grouping`` other than "contiguous", or on another number of columns,
        or on fewer columns than subsets.

    References
    ----------
    .. [1] Ucar et al., SubTab: Subsetting Features of Tabular Data for Self-Supervised Representation Learning,
       NeurIPS 2021, arXiv 2110.04361.

    Examples
    --------
    >>> x = torch.arange(8.0)[None]
    >>> for view in ColumnSubsets(4, 0.5, representation="narrow")(x):
    ...     print(view.int().tolist())
    [[0, 1, 2]]
    [[1, 2, 3]]
    [[3, 4, 5]]
    [[5, 6, 7]]
    """

    n_subsets: int = whole(4, low=2, high=256)
    overlap: float = real(0.75, low=0, high=1)
    grouping: str = choice("contiguous", ("contiguous", "random", "correlated"))
    representation: str = choice("missing", ("missing", "narrow"))
    _order: Int64[Tensor, " columns"] | None = dataclasses.field(default=None, init=False, repr=False, compare=False)

    modality: ClassVar[Modality] = "tabular"
    n_views: ClassVar[int] = 4
    min_channels: ClassVar[int] = 4
    makes_gaps: ClassVar[bool] = True
    changes_length: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Check the parameters, and say what these make of the flags."""
        super().__post_init__()
        self._set(
            n_views=self.n_subsets,
            min_channels=self.n_subsets,
            makes_gaps=self.representation == "missing",
            mixes_channels=self.representation == "narrow",
            changes_length=self.representation == "narrow",
            needs=frozenset() if self.grouping == "contiguous" else frozenset({"schema"}),
        )

    def fit(
        self, batch: Batch, schema: TableSchema | None = None, generator: torch.Generator | None = None
    ) -> ColumnSubsets:
        """Decide on the order of the columns; returns a fitted copy."""
        self._check(batch)
        columns = batch.x.shape[1]
        if self.grouping == "random":
            generator = given_or_fresh(generator)
            order = torch.randperm(columns, generator=generator, device=generator.device)
        elif self.grouping == "correlated":
            order = _correlated_order(batch, schema)
        else:
            order = torch.arange(columns)
        return self._with(_order=order.to(batch.x.device))

    def apply(self, batch: Batch, generator: torch.Generator) -> tuple[Batch, ...]:
        """The subsets of a table ``(n, columns)``."""
        columns = batch.x.shape[1]
        order = self._order
        if order is None:
            if self.grouping != "contiguous":
                raise ValueError(
                    f"column_subsets with grouping={self.grouping!r} decides on its subsets in training: call "
                    "fit(batch, schema, generator) on training rows first"
                )
            order = torch.arange(columns)
        elif len(order) != columns:
            raise ValueError(f"column_subsets was fitted on {len(order)} columns; got {columns}")
        order = order.to(batch.x.device)
        return tuple(
            self._view(batch, order[start:stop], number)
            for number, (start, stop) in enumerate(subset_bounds(columns, self.n_subsets, self.overlap))
        )

    def _view(self, batch: Batch, subset: Tensor, number: int) -> Batch:
        n = len(batch)
        extra = {
            **batch.extra,
            "subset": torch.full((n,), number, device=batch.x.device),
            "columns": subset.expand(n, len(subset)),
        }
        if self.representation == "narrow":
            return batch.replace(x=batch.x[:, subset], extra=extra)
        gaps = batch.x.new_full((batch.x.shape[1],), torch.nan)
        gaps[subset] = 0
        return batch.replace(x=batch.x - gaps, extra=extra)  # a difference takes a fraction of the time of a choice


def subset_bounds(columns: int, n_subsets: int, overlap: float) -> list[tuple[int, int]]:
    """First and last-plus-one place of each subset in the order of the columns.

    Examples
    --------
    >>> subset_bounds(10, 4, 0.0)
    [(0, 3), (3, 6), (5, 8), (7, 10)]
    """
    small, longer = divmod(columns, n_subsets)
    width = min(columns, small + (longer > 0) + math.floor(overlap * small + 1e-9))
    stops = [(k + 1) * small + min(k + 1, longer) for k in range(n_subsets)]
    starts = [max(0, stop - width) for stop in stops]
    return [(start, start + width) for start in starts]


def partition_bounds(columns: int, partitions: int, overlap: float) -> list[tuple[int, int]]:
    """First and last-plus-one place of each partition: equal parts, widened by a fraction of their own width.

    Each reaches into the next, the last into the one before.

    Examples
    --------
    >>> partition_bounds(7, 3, 0.5)
    [(0, 5), (3, 6), (4, 7)]
    """
    parts = [part for part in np.array_split(np.arange(columns), min(partitions, columns)) if len(part)]
    bounds = []
    for number, part in enumerate(parts):
        start, stop = int(part[0]), int(part[-1]) + 1
        more = math.ceil(overlap * len(part) - 1e-9)
        last = number == len(parts) - 1
        bounds.append((max(0, start - more), stop) if last else (start, min(columns, stop + more)))
    return bounds


def _correlated_order(batch: Batch, schema: TableSchema | None) -> Tensor:
    """Columns in the order of the leaves of a clustering by correlation."""
    from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
    from scipy.spatial.distance import squareform

    columns = batch.x.shape[1]
    if columns < 3 or len(batch) < 2:
        return torch.arange(columns)
    distance = 1 - _association(batch.x.double().cpu(), discrete_columns(batch, schema).tolist())
    condensed = squareform(distance.clamp(0, 1).fill_diagonal_(0).numpy(), checks=False)
    tree = optimal_leaf_ordering(linkage(condensed, method="average"), condensed)
    return torch.from_numpy(leaves_list(tree).astype("int64"))


def _association(x: Float[Tensor, "rows columns"], discrete: list[bool]) -> Float[Tensor, "columns columns"]:
    features, owners = [], []
    for j, coded in enumerate(discrete):  # once, in fit: columns have different numbers of codes
        column = x[:, j : j + 1]
        if coded:
            codes, counts = torch.unique(column[~torch.isnan(column)], return_counts=True)
            column = (column == codes[counts.topk(min(_CODES, len(codes))).indices]).double()
        features.append(column)
        owners += [j] * column.shape[1]
    table = torch.cat(features, dim=1)
    table = (table - table.nanmean(dim=0)).nan_to_num()
    norm = table.norm(dim=0)
    table = table / torch.where(norm > 0, norm, 1)
    owner = np.array(owners)
    close = (table.T @ table).abs().numpy()
    largest = np.zeros((x.shape[1], x.shape[1]))
    np.maximum.at(largest, (owner[:, None], owner[None, :]), close)
    return torch.from_numpy(largest)
