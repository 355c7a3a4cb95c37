"""SAINT's CutMix of tables."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import torch

from kinview.augmentations import augmentations
from kinview.augmentations._random import partners, weights
from kinview.augmentations._tables import chosen_cells
from kinview.augmentations.base import Augmentation, Modality
from kinview.data.batch import Batch
from kinview.data.gaps import complete
from kinview.parameters import real

__all__ = ["TableCutMix"]


@augmentations.register("table_cutmix", modality="tabular", family="tables", reference="Somepalli et al., SAINT, 2021")
@dataclasses.dataclass(frozen=True)
class TableCutMix(Augmentation):
    r"""Replace each cell with probability p by that of one other row of the batch.

    .. math:: v_{ij} = (1 - m_{ij})\,x_{ij} + m_{ij}\,x_{b(i)j}, \quad m_{ij} \sim \mathrm{Bernoulli}(p)

    with b a random cycle through the rows, so that no row is its own partner. A category moves as one unit. A missing
    cell stays missing, and a cell that the partner misses stays as it is.

    Parameters
    ----------
    corruption_rate : float, default 0.3
        p (paper; the public code has 0.1). 0 is the identity.

    Notes
    -----
    ``extra["partner"]`` (n,) holds b(i), ``extra["coefficient"]`` (n,) the fraction of the row's columns that remained
    its own. A single row is its own partner and stays as it is. SAINT mixes embeddings afterwards: ``embedding_mixup``.

    References
    ----------
    .. [1] Somepalli et al., SAINT: Improved Neural Networks for Tabular Data via Row Attention and Contrastive
       Pre-Training, 2021, arXiv 2106.01342.

    Examples
    --------
    >>> batch = Batch.of(torch.arange(3.0)[:, None].expand(3, 5))
    >>> view = TableCutMix()(batch, torch.Generator().manual_seed(0))
    >>> view.x.int().tolist(), view.extra["partner"].tolist()
    ([[2, 2, 0, 0, 0], [1, 1, 1, 1, 1], [1, 1, 1, 2, 2]], [2, 0, 1])
    """

    corruption_rate: float = real(0.3, low=0, high=1, neutral=0)

    modality: ClassVar[Modality] = "tabular"
    mixes_rows: ClassVar[bool] = True

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Mixed copy of a table ``(n, columns)``."""
        x = batch.x
        n, columns = x.shape
        partner = partners(n, generator).to(x.device)
        if self.corruption_rate == 0 or n < 2 or columns == 0:
            extra = {**batch.extra, "partner": partner, "coefficient": x.new_ones(n)}
            return batch.replace(extra=extra)
        other = x.index_select(0, partner)
        weight = weights((n, columns), self.corruption_rate, generator, x)
        if not complete(x):
            weight = weight.masked_fill_(torch.isnan(x) | torch.isnan(other), 0)
        own = 1 - weight.to(torch.promote_types(x.dtype, torch.float32)).mean(dim=1)
        extra = {**batch.extra, "partner": partner, "coefficient": own.to(x.dtype)}
        return batch.replace(x=chosen_cells(x, weight, other), extra=extra)
