"""One number for a whole series: a factor, an offset, a sign."""

from __future__ import annotations

import dataclasses
import math

import torch

from kinview.augmentations import augmentations
from kinview.augmentations._random import bernoulli, normal, uniform
from kinview.augmentations._series import SeriesAugmentation
from kinview.data.batch import Batch
from kinview.parameters import flag, real

__all__ = ["Offset", "Scaling", "SignFlip"]


@augmentations.register("scaling", modality="time_series", family="time domain", reference="Um et al., ICMI 2017")
@dataclasses.dataclass(frozen=True)
class Scaling(SeriesAugmentation):
    r"""Multiply a series by one random factor: :math:`y = a x`, :math:`a \sim N(\mu, \sigma^2)` for each channel.

    Parameters
    ----------
    sigma : float, default 0.1
        Standard deviation of the factor (Um et al.). TS-TCC's weak view takes 1.1 for human activities and 0.001 for
        EEG. 0 is the identity, at ``mean`` 1.
    mean : float, default 1.0
        Mean of the factor (Um et al.). TS-TCC takes 2.
    shared : bool, default False
        One factor for all channels of a series, instead of one for each (Um et al.).

    Notes
    -----
    The public code of TS-TCC draws a factor for every *time step*, which is multiplicative noise; this is the factor of
    a whole series that its paper describes. At ``sigma`` 1.1 a factor may be negative. A missing value stays missing.

    References
    ----------
    .. [1] Um et al., Data augmentation of wearable sensor data for Parkinson's disease monitoring, ICMI 2017.
    .. [2] Eldele et al., TS-TCC, IJCAI 2021.

    Examples
    --------
    >>> x = torch.tensor([[[1.0, 2.0, 4.0], [1.0, 2.0, 4.0]]])
    >>> y = Scaling()(x, torch.Generator().manual_seed(0))
    >>> (y / y[:, :, :1]).tolist(), y[0, 0, 0].item() == y[0, 1, 0].item()
    ([[[1.0, 2.0, 4.0], [1.0, 2.0, 4.0]]], False)
    """

    sigma: float = real(0.1, low=0, neutral=0)
    mean: float = real(1.0, neutral=1)
    shared: bool = flag(False)

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """``(n, C, T)`` series, each times its factor."""
        if self.sigma == 0 and self.mean == 1:
            return batch
        factor = normal(self._each(batch.x, 1), generator, batch.x)
        return batch.replace(x=batch.x * factor.mul_(self.sigma).add_(self.mean))


@augmentations.register(
    "offset", modality="time_series", family="time domain", reference="Yèche et al., NCL, ICML 2021"
)
@dataclasses.dataclass(frozen=True)
class Offset(SeriesAugmentation):
    r"""Add one random number to a series: :math:`y = x + b`, one b for each channel.

    :math:`b \sim N(0, \sigma^2)`, redrawn where :math:`|b| > 2\sigma`: the truncated normal of NCL's channel bias.

    Parameters
    ----------
    sigma : float, default 0.1
        Standard deviation of the offset before truncation, in the units of the values (NCL). 0 is the identity.
    shared : bool, default False
        One offset for all channels of a series, instead of one for each (NCL).

    Notes
    -----
    NCL's code marks what is missing by the value 0 and adds nothing there; here a missing value is NaN and stays
    missing, and a true zero is moved with its series.

    References
    ----------
    .. [1] Yèche et al., Neighborhood contrastive learning applied to online patient monitoring, ICML 2021.

    Examples
    --------
    >>> y = Offset(sigma=1.0)(torch.zeros(1000, 1, 2), torch.Generator().manual_seed(0))
    >>> bool((y[:, :, 0] == y[:, :, 1]).all()), bool((y.abs() <= 2).all())
    (True, True)
    """

    sigma: float = real(0.1, low=0, neutral=0)
    shared: bool = flag(False)

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """``(n, C, T)`` series, each plus its offset."""
        if self.sigma == 0:
            return batch
        edge = math.erf(math.sqrt(2.0))  # probability of two standard deviations
        wide = batch.x.new_empty(0, dtype=torch.float64)
        level = uniform(self._each(batch.x, 1), generator, wide, -edge, edge)
        return batch.replace(x=batch.x + (torch.erfinv(level) * (math.sqrt(2.0) * self.sigma)).to(batch.x.dtype))


@augmentations.register("sign_flip", modality="time_series", family="time domain", reference="Wen et al., IJCAI 2021")
@dataclasses.dataclass(frozen=True)
class SignFlip(SeriesAugmentation):
    r"""Turn a series upside down: :math:`y = -x` with probability p.

    Parameters
    ----------
    p : float, default 1.0
        Probability of the change of sign (Wen et al. always change it; Iwana & Uchida draw it for each channel with
        0.5). 0 is the identity.
    shared : bool, default False
        All channels of a series turn together, instead of each by its own draw (Iwana & Uchida).

    Notes
    -----
    A missing value stays missing.

    References
    ----------
    .. [1] Wen et al., Time series data augmentation for deep learning: a survey, IJCAI 2021.
    .. [2] Iwana and Uchida, An empirical survey of data augmentation for time series classification, PLoS ONE 2021.

    Examples
    --------
    >>> SignFlip()(torch.tensor([[[1.0, -2.0]]])).tolist()
    [[[-1.0, 2.0]]]
    """

    p: float = real(1.0, low=0, high=1, neutral=0)
    shared: bool = flag(False)

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """``(n, C, T)`` series, some of them negated."""
        if self.p == 0:
            return batch
        turned = bernoulli(self._each(batch.x, 1), self.p, generator, batch.x)
        return batch.replace(x=batch.x * (1 - 2 * turned.to(batch.x.dtype)))
