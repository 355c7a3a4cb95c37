"""SCARF's corruption: cells replaced by draws from their column's training marginal."""

from __future__ import annotations

import dataclasses

from kinview.augmentations import augmentations
from kinview.augmentations._tables import ExactCorruption, Marginals
from kinview.parameters import real

__all__ = ["ColumnCorruption"]


@augmentations.register(
    "column_corruption", modality="tabular", family="tables", reference="Bahri et al., SCARF, ICLR 2022"
)
@dataclasses.dataclass(frozen=True)
class ColumnCorruption(Marginals, ExactCorruption):
    r"""In every row exactly q columns, drawn afresh, take independent draws from their training marginals.

    :math:`q = \max(1, \lfloor c M \rfloor)` of the M columns; each drawn cell takes the value that a training row,
    chosen uniformly among those where the column was observed, has in that column. A category moves as one unit. A
    missing cell stays missing, and a column never observed in training stays as it is.

    Parameters
    ----------
    corruption_rate : float, default 0.6
        c (paper). 0 is the identity.

    Notes
    -----
    ``fit`` learns the marginals from training rows. They are not a parameter: a config, a repr and a saved model hold
    none of them. Public re-implementations differ from the paper, in the fraction of replaced cells (1 − c), the
    distribution (uniform between the extremes, or one donor row for all columns) and the count (Bernoulli); this one
    follows the paper.

    Raises
    ------
    ValueError
        At construction for a rate outside [0, 1]; when called before ``fit``, or on another number of columns.

    References
    ----------
    .. [1] Bahri et al., SCARF: Self-Supervised Contrastive Learning using Random Feature Corruption, ICLR 2022,
       arXiv 2106.15147.

    Examples
    --------
    >>> import torch
    >>> from kinview.data import Batch
    >>> train = Batch.of(torch.arange(12.0).reshape(4, 3))
    >>> corrupt = ColumnCorruption(0.6).fit(train)
    >>> rows = Batch.of(torch.full((2, 3), -1.0))
    >>> (corrupt(rows, torch.Generator().manual_seed(0)).x != -1).sum(dim=1)  # q = 1 of 3 columns
    tensor([1, 1])
    """

    corruption_rate: float = real(0.6, low=0, high=1, neutral=0)
