"""Steps of a series masked: at random, in spans, at the end (TS2Vec's masks), and the single span of cutout."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from kinview.augmentations import augmentations
from kinview.augmentations._masking import FILLS, Masking
from kinview.augmentations._random import integers, uniform
from kinview.augmentations._spans import spans
from kinview.data.batch import Batch
from kinview.data.gaps import complete, none_ends_early, valid_lengths
from kinview.parameters import choice, flag, real, whole

__all__ = ["BinomialMask", "ContinuousMask", "Cutout", "LastMask"]

_TS2VEC = "Yue et al., TS2Vec, AAAI 2022"


@augmentations.register("binomial_mask", modality="time_series", family="masking", reference=_TS2VEC)
@dataclasses.dataclass(frozen=True)
class BinomialMask(Masking):
    r"""Mask every step independently: :math:`m_t \sim \text{Bernoulli}(p)` for each row and step.

    Parameters
    ----------
    p : float, default 0.5
        Probability that a step is masked, in [0, 1] (paper).
    shared : bool, default True
        Whether a masked step is masked in all channels (paper); with False each channel has a mask of its own.
    fill : {"missing", "zero", "mean"}, default "missing"
        What takes the place of a masked value. TS2Vec masks behind the input projection, since any raw value may be a
        real one; a missing step comes to the same there, as the encoder blanks it at that place.

    Notes
    -----
    "mean" is that of the observed values of the series and channel. What was missing stays missing. A mask of the
    official code can fall on padding; here too, where it changes nothing.

    References
    ----------
    .. [1] Yue et al., TS2Vec: Towards Universal Representation of Time Series, AAAI 2022, arXiv 2106.10466.

    Examples
    --------
    >>> BinomialMask()(torch.arange(1.0, 9.0).reshape(1, 1, 8), torch.Generator().manual_seed(0))
    tensor([[[nan, 2., nan, nan, nan, 6., nan, 8.]]])
    """

    p: float = real(0.5, low=0, high=1, neutral=0)
    shared: bool = flag(True)
    fill: str = choice("missing", FILLS)

    def hidden(self, batch: Batch, generator: torch.Generator) -> Tensor | None:
        """Independent steps."""
        like = torch.empty((), device=batch.x.device)
        return uniform(self._each(batch.x, batch.x.shape[2]), generator, like).lt_(self.p) if self.p else None


class _Spans(Masking):
    """Spans of a fraction ``length`` of each series, at independent places."""

    length: float

    def _placed(self, number: int, batch: Batch, generator: torch.Generator) -> Tensor | None:
        """1 within so many spans, half as many as there are steps at most."""
        if self.length == 0:
            return None
        own = valid_lengths(batch.x, batch.times)[:, None, None]
        width = torch.maximum((self.length * own + 1e-9).long(), own.clamp_max(1))
        size = self._each(batch.x, number)
        start = integers(size, 0, (own - width + 1).to(generator.device), generator).to(own.device)
        counts = torch.arange(number, device=own.device) < (own // 2).clamp_min(1)
        return spans(start, start + width * counts, batch.x.shape[2])


@augmentations.register("continuous_mask", modality="time_series", family="masking", reference=_TS2VEC)
@dataclasses.dataclass(frozen=True)
class ContinuousMask(_Spans):
    r"""Mask several spans of steps, each of the same fraction of the series, at independent places.

    In a series of L steps, :math:`\min(spans, \max(1, \lfloor L / 2 \rfloor))` spans of
    :math:`l = \max(1, \lfloor length \cdot L \rfloor)` steps start at :math:`s \sim U\{0 \dots L - l\}`; they may
    overlap.

    Parameters
    ----------
    spans : int, default 5
        Number of spans (official code).
    length : float, default 0.1
        Fraction of the series in one span, in [0, 1] (official code).
    shared : bool, default True
        Whether all channels are masked together (official code); with False each has spans of its own.
    fill : {"missing", "zero", "mean"}, default "missing"
        What takes the place of a masked value; see :class:`BinomialMask`.

    Notes
    -----
    L is each row's own length, where the official code takes that of the padded batch. What was missing stays missing.

    References
    ----------
    .. [1] Yue et al., TS2Vec: Towards Universal Representation of Time Series, AAAI 2022, arXiv 2106.10466.

    Examples
    --------
    >>> ContinuousMask(spans=2, length=0.25)(torch.arange(1.0, 9.0).reshape(1, 1, 8), torch.Generator().manual_seed(0))
    tensor([[[1., 2., 3., 4., nan, nan, nan, nan]]])
    """

    spans: int = whole(5, low=1)
    length: float = real(0.1, low=0, high=1, neutral=0)
    shared: bool = flag(True)
    fill: str = choice("missing", FILLS)

    def hidden(self, batch: Batch, generator: torch.Generator) -> Tensor | None:
        """Spans that may overlap."""
        return self._placed(self.spans, batch, generator)


@augmentations.register(
    "cutout", modality="time_series", family="masking", reference="after DeVries and Taylor, Cutout, 2017"
)
@dataclasses.dataclass(frozen=True)
class Cutout(_Spans):
    r"""Mask one span of steps at a random place.

    In a series of L steps, the :math:`l = \max(1, \lfloor length \cdot L \rfloor)` steps from
    :math:`s \sim U\{0 \dots L - l\}` on.

    Parameters
    ----------
    length : float, default 0.25
        Fraction of the series that is cut out, in [0, 1] (paper: on CIFAR-10 a square of 16 by 16 of 32 by 32 pixels, a
        quarter).
    shared : bool, default True
        Whether all channels lose the same steps (paper); with False each has a span of its own.
    fill : {"zero", "mean", "missing"}, default "zero"
        What takes the place of a value (paper: zero, in normalised data, where it is the mean).

    Notes
    -----
    The paper's square may lie partly outside the image; the span lies within the series. "mean" is that of the observed
    values of the series and channel. What was missing stays missing.

    References
    ----------
    .. [1] DeVries and Taylor, Improved Regularization of Convolutional Neural Networks with Cutout, 2017, arXiv
       1708.04552.

    Examples
    --------
    >>> Cutout()(torch.arange(1.0, 9.0).reshape(1, 1, 8), torch.Generator().manual_seed(0))
    tensor([[[1., 2., 3., 4., 5., 6., 0., 0.]]])
    """

    length: float = real(0.25, low=0, high=1, neutral=0)
    shared: bool = flag(True)
    fill: str = choice("zero", FILLS)

    def hidden(self, batch: Batch, generator: torch.Generator) -> Tensor | None:
        """One span."""
        return self._placed(1, batch, generator)


@augmentations.register("last_mask", modality="time_series", family="masking", reference=_TS2VEC)
@dataclasses.dataclass(frozen=True)
class LastMask(Masking):
    """Mask the last steps of each series, in all channels.

    Parameters
    ----------
    steps : int, default 1
        Number of steps (official code: the last one).
    fill : {"missing", "zero", "mean"}, default "missing"
        What takes the place of a masked value; see :class:`BinomialMask`.

    Notes
    -----
    The last steps are those before the end of each row's own series, where the official code takes those of the padded
    batch. Nothing is drawn. Filled as missing, the series ends earlier, unless finite ``times`` keep the steps as a
    gap. A series with no more steps than are masked keeps its first one.

    References
    ----------
    .. [1] Yue et al., TS2Vec: Towards Universal Representation of Time Series, AAAI 2022, arXiv 2106.10466.

    Examples
    --------
    >>> LastMask(steps=2, fill="zero")(torch.arange(1.0, 9.0).reshape(1, 1, 8))
    tensor([[[1., 2., 3., 4., 5., 6., 0., 0.]]])
    """

    steps: int = whole(1, low=0, neutral=0)
    fill: str = choice("missing", FILLS)

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """View of ``(n, C, T)`` series; where none ends early and nothing is averaged, one cut through all rows."""
        x, steps = batch.x, batch.x.shape[2]
        cut = self.fill == "missing" or (self.fill == "zero" and complete(x))
        if self.steps == 0 or not cut or not none_ends_early(x):
            return super().apply(batch, generator)
        view = x.clone()
        view[:, :, max(1, steps - self.steps) :] = torch.nan if self.fill == "missing" else 0
        return batch.replace(x=view)

    def hidden(self, batch: Batch, generator: torch.Generator) -> Tensor | None:
        """The last steps."""
        if self.steps == 0:
            return None
        own = valid_lengths(batch.x, batch.times)[:, None, None]
        return spans((own - self.steps).clamp_min(1), own, batch.x.shape[2])
