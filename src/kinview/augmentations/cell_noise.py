"""Cells of a table at a chance disturbed or blanked: Gaussian noise, zero, the training mean."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from kinview.augmentations import augmentations
from kinview.augmentations._random import normal
from kinview.augmentations._tables import CellCorruption, FittedToColumns, discrete_columns
from kinview.data.batch import Batch
from kinview.data.sorted_columns import sorted_columns
from kinview.parameters import real

if TYPE_CHECKING:
    from kinview.data.table import TableSchema

__all__ = ["GaussianNoise", "MeanMask", "ZeroOut"]


@augmentations.register(
    "gaussian_noise", modality="tabular", family="tables", reference="Ucar et al., SubTab, NeurIPS 2021"
)
@dataclasses.dataclass(frozen=True)
class GaussianNoise(FittedToColumns):
    r"""Add Gaussian noise to each number with probability p.

    .. math:: v_{ij} = x_{ij} + m_{ij}\,\sigma s_j \epsilon_{ij}, \quad m_{ij} \sim \mathrm{Bernoulli}(p),\
              \epsilon_{ij} \sim N(0, 1)

    with s_j the standard deviation of column j in training. Categories and booleans stay as they are, missing cells
    too.

    Parameters
    ----------
    sigma : float, default 0.1
        σ (SubTab). 0 is the identity.
    corruption_rate : float, default 0.3
        p (SubTab); 1 disturbs every number.

    Notes
    -----
    ``fit(batch, schema)`` learns s_j and which columns hold codes; without a schema every column is taken as a number.
    SubTab's columns lie in [0, 1] and its noise is absolute; here it is relative, so that it is the same on any scale.

    Raises
    ------
    ValueError
        When called before ``fit``, or on another number of columns.

    References
    ----------
    .. [1] Ucar et al., SubTab: Subsetting Features of Tabular Data for Self-Supervised Representation Learning,
       NeurIPS 2021, arXiv 2110.04361.

    Examples
    --------
    >>> train = torch.randn(1000, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 5.0, 0.0])
    >>> noise = GaussianNoise(corruption_rate=1.0).fit(Batch.of(train))
    >>> (noise(train, torch.Generator().manual_seed(1)) - train).std(dim=0).round(decimals=1)
    tensor([0.1000, 0.5000, 0.0000])
    """

    sigma: float = real(0.1, low=0, neutral=0)
    corruption_rate: float = real(0.3, low=0, high=1)
    _scale: Float[Tensor, " columns"] | None = dataclasses.field(default=None, init=False, repr=False, compare=False)

    def _learned(self, batch: Batch, schema: TableSchema | None) -> dict[str, Tensor]:
        """Spread of each number, 0 for codes."""
        x = batch.x.double()
        spread = (x - x.nanmean(dim=0)).square().nanmean(dim=0).sqrt().nan_to_num()
        return {"_scale": spread.masked_fill(discrete_columns(batch, schema), 0).to(batch.x.dtype)}

    def _keeps_all(self, x: Tensor, known: tuple[Tensor, ...]) -> bool:
        return self.sigma == 0 or super()._keeps_all(x, known)

    def _replacement(self, batch: Batch, known: tuple[Tensor, ...], generator: torch.Generator) -> Tensor:
        (scale,) = known
        noise = normal(tuple(batch.x.shape), generator, batch.x).mul_(self.sigma * scale.to(batch.x.dtype))
        return noise.add_(batch.x)


@augmentations.register("zero_out", modality="tabular", family="tables", reference="Ucar et al., SubTab, NeurIPS 2021")
@dataclasses.dataclass(frozen=True)
class ZeroOut(CellCorruption):
    r"""Set each cell to zero with probability p.

    Zero is the training mean of a standardised number, and of a category the code of those never seen. Missing cells
    stay missing.

    Parameters
    ----------
    corruption_rate : float, default 0.3
        p (SubTab). 0 is the identity.

    Notes
    -----
    Nothing is learned. Where the values are not those of a :class:`~kinview.data.TableSchema`, zero may be an
    ordinary value: ``mean_mask`` learns what is neutral.

    References
    ----------
    .. [1] Ucar et al., SubTab: Subsetting Features of Tabular Data for Self-Supervised Representation Learning,
       NeurIPS 2021, arXiv 2110.04361.

    Examples
    --------
    >>> view = ZeroOut()(torch.ones(2000, 5), torch.Generator().manual_seed(0))
    >>> round((view == 0).float().mean().item(), 2)
    0.3
    """

    corruption_rate: float = real(0.3, low=0, high=1, neutral=0)

    def _replacement(self, batch: Batch, known: tuple[Tensor, ...], generator: torch.Generator) -> Tensor:
        return batch.x.new_zeros(()).expand_as(batch.x)


@augmentations.register("mean_mask", modality="tabular", family="tables", reference="Bahri et al., SCARF, ICLR 2022")
@dataclasses.dataclass(frozen=True)
class MeanMask(FittedToColumns):
    r"""Set each cell with probability p to its column's training mean; a category or boolean to the most frequent one.

    Missing cells stay missing, and a column never observed in training stays as it is.

    Parameters
    ----------
    corruption_rate : float, default 0.6
        p (SCARF's rate, for its ablation "mean"). 0 is the identity.

    Notes
    -----
    ``fit(batch, schema)`` learns the values and which columns hold codes; without a schema every column is taken as a
    number. Of codes that are equally frequent the smallest is taken. SCARF replaces exactly a fraction of each row;
    here the number varies.

    Raises
    ------
    ValueError
        When called before ``fit``, or on another number of columns.

    References
    ----------
    .. [1] Bahri et al., SCARF: Self-Supervised Contrastive Learning using Random Feature Corruption, ICLR 2022,
       arXiv 2106.15147.

    Examples
    --------
    >>> mask = MeanMask(1.0).fit(Batch.of(torch.tensor([[1.0, 5.0], [3.0, float("nan")]])))
    >>> mask(torch.zeros(1, 2))
    tensor([[2., 5.]])
    """

    corruption_rate: float = real(0.6, low=0, high=1, neutral=0)
    _centre: Float[Tensor, " columns"] | None = dataclasses.field(default=None, init=False, repr=False, compare=False)

    def _learned(self, batch: Batch, schema: TableSchema | None) -> dict[str, Tensor]:
        """Mean or most frequent value of each column."""
        centre = batch.x.double().nanmean(dim=0).to(batch.x.dtype)
        return {"_centre": torch.where(discrete_columns(batch, schema), _modes(batch.x), centre)}

    def _replacement(self, batch: Batch, known: tuple[Tensor, ...], generator: torch.Generator) -> Tensor:
        (centre,) = known
        return centre.to(batch.x.dtype).expand_as(batch.x)


def _modes(x: Float[Tensor, "rows columns"]) -> Float[Tensor, " columns"]:
    """Most frequent observed value of each column, the smallest of several; NaN where nothing was observed."""
    if len(x) == 0:
        return x.new_full(x.shape[1:], torch.nan)
    values = sorted_columns(x)
    place = torch.arange(len(x), device=x.device)[:, None]
    new = torch.ones_like(values, dtype=torch.bool)
    new[1:] = values[1:] != values[:-1]
    run = place - torch.where(new, place, 0).cummax(dim=0).values  # place within the run of equal values
    run = run.masked_fill(torch.isnan(values), -1)
    longest = run == run.amax(dim=0)
    return values.gather(0, longest.int().argmax(dim=0, keepdim=True))[0]  # the first of them is the smallest
