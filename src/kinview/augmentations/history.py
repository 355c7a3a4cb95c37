"""Parts of a history blanked, never its last state (NCL)."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from kinview.augmentations import augmentations
from kinview.augmentations._masking import FILLS, Masking
from kinview.augmentations._random import bernoulli, integers
from kinview.augmentations._spans import spans
from kinview.data.batch import Batch
from kinview.data.gaps import complete, valid_lengths
from kinview.parameters import choice, real, whole

__all__ = ["HistoryCrop", "HistoryCutout"]

_REFERENCE = "Yèche et al., Neighborhood Contrastive Learning, ICML 2021"


@augmentations.register("history_cutout", modality="time_series", family="masking", reference=_REFERENCE)
@dataclasses.dataclass(frozen=True)
class HistoryCutout(Masking):
    r"""Blank a span of steps in all channels, never the last step.

    In a series of L steps, with probability p, the steps :math:`[s, s + w)` with :math:`w = \min(size, L - 1)` and
    :math:`s \sim U\{0 \dots L - w - 1\}`.

    Parameters
    ----------
    size : int, default 8
        Number of steps blanked (paper, on hours of MIMIC-III); all but the last one of a series that has no more.
    p : float, default 1.0
        Probability that a row is changed, in [0, 1]. The paper has 0.8; 1 is kinview's, so that every row has a view.
    fill : {"zero", "mean", "missing"}, default "zero"
        What takes the place of a value (paper: zero, the mean of its standardised channels).

    Notes
    -----
    L is each row's own length. "mean" is that of the observed values of the series and channel; what was missing stays
    missing. A series of one step stays as it is.

    References
    ----------
    .. [1] Yèche et al., Neighborhood Contrastive Learning Applied to Online Patient Monitoring, ICML 2021, arXiv
       2106.05142.

    Examples
    --------
    >>> HistoryCutout(size=3)(torch.arange(1.0, 9.0).reshape(1, 1, 8), torch.Generator().manual_seed(0))
    tensor([[[1., 2., 3., 4., 0., 0., 0., 8.]]])
    """

    size: int = whole(8, low=0, neutral=0)
    p: float = real(1.0, low=0, high=1)
    fill: str = choice("zero", FILLS)

    def hidden(self, batch: Batch, generator: torch.Generator) -> Tensor | None:
        """One span for each chosen row."""
        n, _, steps = batch.x.shape
        if self.size == 0 or steps < 2:
            return None
        own = valid_lengths(batch.x, batch.times)[:, None, None]
        width = (own - 1).clamp(0, self.size)
        start = integers((n, 1, 1), 0, (own - width).clamp_min(1).to(generator.device), generator).to(own.device)
        chosen = bernoulli((n, 1, 1), self.p, generator, batch.x)
        return spans(start, start + width * chosen, steps)


@augmentations.register("history_crop", modality="time_series", family="masking", reference=_REFERENCE)
@dataclasses.dataclass(frozen=True)
class HistoryCrop(Masking):
    r"""Blank the beginning of a history, in all channels, and keep at least a fraction of it up to the last step.

    With a the first observed step of a series and L its length, with probability p, the steps :math:`[a, s)` with
    :math:`s \sim U\{a + 1 \dots a + \lfloor (1 - min\_history)(L - a) \rfloor\}`.

    Parameters
    ----------
    min_history : float, default 0.5
        Smallest fraction of the history that is kept, in [0, 1] (paper). 1 is the identity.
    p : float, default 1.0
        Probability that a row is changed, in [0, 1]. The paper has 0.5; 1 is kinview's, so that every row has a view.
    fill : {"zero", "mean", "missing"}, default "zero"
        What takes the place of a value (paper: zero, as in the padding on the left of a short stay).

    Notes
    -----
    The official code takes a mean of zero over the channels for padding, so that true zeros count as such; here the
    history begins where the first value was observed. It may also draw s = a, which crops nothing. "mean" is that of
    the observed values of the series and channel; what was missing stays missing. A history too short to lose a step
    stays as it is.

    References
    ----------
    .. [1] Yèche et al., Neighborhood Contrastive Learning Applied to Online Patient Monitoring, ICML 2021, arXiv
       2106.05142.

    Examples
    --------
    >>> HistoryCrop()(torch.arange(1.0, 9.0).reshape(1, 1, 8), torch.Generator().manual_seed(0))
    tensor([[[0., 0., 0., 0., 5., 6., 7., 8.]]])
    """

    min_history: float = real(0.5, low=0, high=1, neutral=1)
    p: float = real(1.0, low=0, high=1)
    fill: str = choice("zero", FILLS)

    def hidden(self, batch: Batch, generator: torch.Generator) -> Tensor | None:
        """The steps before a random one."""
        n, _, steps = batch.x.shape
        if self.min_history == 1 or steps < 2:
            return None
        own = valid_lengths(batch.x, batch.times)[:, None, None]
        first = _first_observed(batch.x)[:, None, None].minimum(own)
        most = ((1 - self.min_history) * (own - first) + 1e-9).long().minimum((own - first - 1).clamp_min(0))
        lost = integers((n, 1, 1), 1, most.clamp_min(1).to(generator.device) + 1, generator).to(own.device)
        chosen = bernoulli((n, 1, 1), self.p, generator, batch.x) & (most > 0)
        return spans(first, first + lost * chosen, steps)


def _first_observed(x: Tensor) -> Tensor:
    """Position of the first step with an observed value, ``(n,)``; 0 where there is none."""
    if complete(x):
        return torch.zeros(len(x), dtype=torch.int64, device=x.device)
    return (~torch.isnan(x)).any(dim=1).to(torch.uint8).argmax(dim=1)
