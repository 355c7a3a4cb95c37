"""VIME's corruption: each cell at a chance replaced by a draw from its column's training marginal."""

from __future__ import annotations

import dataclasses

from kinview.augmentations import augmentations
from kinview.augmentations._tables import Marginals
from kinview.parameters import real

__all__ = ["SwapNoise"]


@augmentations.register("swap_noise", modality="tabular", family="tables", reference="Yoon et al., VIME, NeurIPS 2020")
@dataclasses.dataclass(frozen=True)
class SwapNoise(Marginals):
    r"""Replace each cell with probability p by a draw from its column's training marginal.

    .. math:: v_{ij} = (1 - m_{ij})\,x_{ij} + m_{ij}\,\bar x_{ij}, \quad m_{ij} \sim \mathrm{Bernoulli}(p)

    where the replacement is the value that a training row, chosen uniformly among those where column j was observed,
    has there: independent for every cell. A category moves as one unit. A missing cell stays missing, and a column
    never observed in training stays as it is.

    Parameters
    ----------
    corruption_rate : float, default 0.3
        p, the paper's p_m (SubTab's default too). 0 is the identity.

    Notes
    -----
    ``column_corruption`` replaces exactly a fraction of each row; here the number varies, and a row of few columns may
    stay whole. VIME's code shuffles each column of all rows, SubTab's each column of a batch; both draw without
    replacement, and SubTab's view of a row depends on its batch: here it does not. The mask that VIME's second head
    predicts is that of the cells that changed, ``view.x != batch.x``, as in its code.

    Raises
    ------
    ValueError
        When called before ``fit``, or on another number of columns.

    References
    ----------
    .. [1] Yoon et al., VIME: Extending the Success of Self- and Semi-supervised Learning to Tabular Domain,
       NeurIPS 2020.
    .. [2] Ucar et al., SubTab, NeurIPS 2021, arXiv 2110.04361.

    Examples
    --------
    >>> import torch
    >>> from kinview.data import Batch
    >>> swap = SwapNoise().fit(Batch.of(torch.arange(50.0).reshape(10, 5)))
    >>> view = swap(torch.full((2000, 5), -1.0), torch.Generator().manual_seed(0))
    >>> round((view != -1).float().mean().item(), 2)
    0.3
    """

    corruption_rate: float = real(0.3, low=0, high=1, neutral=0)
