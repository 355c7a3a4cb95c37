"""SCARF's corruption with donors of the row's own class."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor

from kinview.augmentations import augmentations
from kinview.augmentations._random import integers
from kinview.augmentations._tables import ExactCorruption
from kinview.data.batch import Batch
from kinview.data.sorted_columns import sorted_columns
from kinview.parameters import real

if TYPE_CHECKING:
    from kinview.data.table import TableSchema

__all__ = ["ClassConditionalCorruption"]


@augmentations.register(
    "class_conditional_corruption", modality="tabular", family="tables", reference="Cui et al., 2024"
)
@dataclasses.dataclass(frozen=True)
class ClassConditionalCorruption(ExactCorruption):
    r"""In every row exactly q columns, drawn afresh, take independent draws from the marginals of the row's own class.

    :math:`q = \max(1, \lfloor c M \rfloor)` of the M columns; each drawn cell takes the value that a training row of
    the same class, chosen uniformly among those where the column was observed, has in that column. A corrupted row so
    stays a plausible row of its class. A category moves as one unit. A missing cell stays missing; a column never
    observed in the class stays as it is.

    Parameters
    ----------
    corruption_rate : float, default 0.6
        c (SCARF). 0 is the identity.

    Notes
    -----
    Classes are ``batch.y``, in ``fit`` and in the call; any numbers serve, pseudo-labels of a model too. A row whose
    class is unknown (NaN, or not seen in ``fit``) draws from the marginals of all training rows.

    *Labels enter the view.* A representation trained with it is no longer self-supervised: fit it on training rows
    alone, compare it with methods that know as many labels, and give pseudo-labels to rows whose label a benchmark
    hides. A class of one training row has marginals that are this row.

    Raises
    ------
    ValueError
        Without ``y``, when called before ``fit``, or on another number of columns.

    References
    ----------
    .. [1] Cui et al., Tabular Data Contrastive Learning via Class-Conditioned and Feature-Correlation Based
       Augmentation, 2024, arXiv 2404.17489.
    .. [2] Bahri et al., SCARF: Self-Supervised Contrastive Learning using Random Feature Corruption, ICLR 2022,
       arXiv 2106.15147.

    Examples
    --------
    >>> train = Batch.of(torch.tensor([[1.0], [2.0], [10.0], [20.0]]), y=torch.tensor([0, 0, 1, 1]))
    >>> corrupt = ClassConditionalCorruption(1.0).fit(train)
    >>> rows = Batch.of(torch.zeros(100, 1), y=torch.arange(100) % 2)
    >>> view = corrupt(rows, torch.Generator().manual_seed(0)).x
    >>> view[0::2].unique(), view[1::2].unique()
    (tensor([1., 2.]), tensor([10., 20.]))
    """

    corruption_rate: float = real(0.6, low=0, high=1, neutral=0)
    # all rows sorted column by column, then the rows of each class: block k starts at _starts[k]
    _marginals: Float[Tensor, "rows columns"] | None = dataclasses.field(
        default=None, init=False, repr=False, compare=False
    )
    _classes: Shaped[Tensor, " classes"] | None = dataclasses.field(default=None, init=False, repr=False, compare=False)
    _starts: Int64[Tensor, " blocks"] | None = dataclasses.field(default=None, init=False, repr=False, compare=False)
    _counts: Int64[Tensor, "blocks columns"] | None = dataclasses.field(
        default=None, init=False, repr=False, compare=False
    )

    needs: ClassVar[frozenset[str]] = frozenset({"schema", "y"})

    def _learned(self, batch: Batch, schema: TableSchema | None) -> dict[str, Tensor]:
        """Observed training values of every column in every class."""
        assert batch.y is not None
        x, y = batch.x, batch.y.to(batch.x.device)
        known = y == y  # not NaN
        classes, code = torch.unique(y[known], return_inverse=True)
        values = x[known].sort(dim=0)  # by value, NaN last, then stably by class
        by_class = code[values.indices].sort(dim=0, stable=True).indices
        everything = sorted_columns(x)
        marginals = torch.cat([everything, values.values.gather(0, by_class)])
        sizes = torch.bincount(code, minlength=len(classes))
        starts = torch.cat([sizes.new_zeros(1), len(x) + sizes.cumsum(0) - sizes])
        seen = torch.zeros(len(classes), x.shape[1], dtype=torch.int64, device=x.device)
        seen.index_add_(0, code, (~torch.isnan(x[known])).long())
        counts = torch.cat([(~torch.isnan(x)).sum(dim=0, keepdim=True), seen])
        return {"_marginals": marginals, "_classes": classes, "_starts": starts, "_counts": counts}

    def _replacement(self, batch: Batch, known: tuple[Tensor, ...], generator: torch.Generator) -> Tensor:
        marginals, classes, starts, counts = known
        block = self._blocks(batch, classes)
        counts = counts[block]
        donors = integers(tuple(batch.x.shape), 0, counts.to(generator.device), generator).to(batch.x.device)
        donors = (donors + starts[block][:, None]).clamp_max(len(marginals) - 1)
        return marginals.gather(0, donors).to(batch.x.dtype).masked_fill_(counts == 0, torch.nan)

    def _blocks(self, batch: Batch, classes: Tensor) -> Int64[Tensor, " n"]:
        """Block of each row's class; 0, all rows, where it is unknown."""
        assert batch.y is not None
        y = batch.y.to(batch.x.device)
        classes = classes.to(y)
        if len(classes) == 0:
            return torch.zeros(len(y), dtype=torch.int64, device=y.device)
        place = torch.searchsorted(classes, y.contiguous()).clamp_max(len(classes) - 1)
        return torch.where(classes[place] == y, place + 1, 0)
