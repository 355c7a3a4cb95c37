"""Rows mixed with other rows: mixup, cutmix, geometric mixup."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from kinview.augmentations import augmentations
from kinview.augmentations._mixing import Mixed, Mixing, neighbour_of, realised
from kinview.augmentations._random import beta, integers, uniform
from kinview.augmentations._spans import spans
from kinview.data.batch import Batch
from kinview.data.gaps import valid_lengths
from kinview.parameters import flag, interval, real

__all__ = ["CutMix", "GeometricMixup", "Mixup"]

_COPY = 2.0**-10  # a weight this close to 0 or 1 would make the view a copy


@augmentations.register(
    "mixup", modality="time_series", family="mixing", reference="Zhang et al., mixup, ICLR 2018; Wickstrøm et al., 2022"
)
@dataclasses.dataclass(frozen=True)
class Mixup(Mixing):
    r"""Mix each row linearly with another: :math:`\tilde x = \lambda x + (1 - \lambda) x'`.

    :math:`\lambda = s + (1 - s) \beta` with :math:`\beta \sim \text{Beta}(\alpha, \alpha)`, s the smallest weight.

    Parameters
    ----------
    alpha : float, default 0.2
        α, positive (Wickstrøm et al.; 1 is uniform, smaller ones are nearer to 0 and 1).
    smallest_share : float, default 0.0
        s, smallest weight of the own row, in [0, 1] (paper: 0, so that either row may prevail). 1 is the identity.
    shared : bool, default False
        Whether one λ counts for the whole batch (Wickstrøm et al.); by default each row has its own.

    Notes
    -----
    β keeps a distance of 2⁻¹⁰ from 0 and 1: with α = 0.2 a float32 would be exactly 1 in one row of sixty, a view that
    is a copy. The official code draws the partners by a permutation that may leave a row with itself; here never. Where
    the partner has no value the own one stays; a gap stays a gap. ``extra["coefficient"]`` is the realised weight:
    1 − (1 − λ) r, with r the fraction of the row's observed values where the partner has one too.

    References
    ----------
    .. [1] Zhang et al., mixup: Beyond Empirical Risk Minimization, ICLR 2018, arXiv 1710.09412.
    .. [2] Wickstrøm et al., Mixing up contrastive learning: Self-supervised representation learning for time series,
       Pattern Recognition Letters, 2022, arXiv 2203.09270.

    Examples
    --------
    >>> batch = Batch.of(torch.tensor([0.0, 1.0]).reshape(2, 1, 1))
    >>> view = Mixup()(batch, torch.Generator().manual_seed(0))
    >>> view.extra["partner"], bool(torch.isclose(view.x[1, 0, 0], view.extra["coefficient"][1]))
    (tensor([1, 0]), True)
    """

    alpha: float = real(0.2, above=0)
    smallest_share: float = real(0.0, low=0, high=1, neutral=1)
    shared: bool = flag(False)

    def mixed(self, batch: Batch, partner: Tensor, generator: torch.Generator) -> Mixed:
        """A weighted sum."""
        n = len(batch)
        drawn = beta((1 if self.shared else n,), self.alpha, generator, batch.x).clamp(_COPY, 1 - _COPY)
        weight = (self.smallest_share + (1 - self.smallest_share) * drawn).expand(n)
        view = neighbour_of(batch.x, partner).lerp_(batch.x, weight[:, None, None])
        return view, {"coefficient": realised(weight, batch.x, partner)}


@augmentations.register("cutmix", modality="time_series", family="mixing", reference="Yun et al., CutMix, ICCV 2019")
@dataclasses.dataclass(frozen=True)
class CutMix(Mixing):
    r"""Paste a span of another row, in all channels, at the same steps.

    In a series of L steps, :math:`w = \max(1, \lfloor m (1 - \beta) L + 1/2 \rfloor)` steps from
    :math:`s \sim U\{0 \dots L - w\}` on, with :math:`\beta \sim \text{Beta}(\alpha, \alpha)` and m the largest
    fraction.

    Parameters
    ----------
    alpha : float, default 1.0
        α, positive (paper: 1, uniform).
    largest_share : float, default 1.0
        m, largest fraction of the series that is replaced, in [0, 1] (paper: 1). 0 is the identity.

    Notes
    -----
    The paper's box may reach over the edge of the image; the span lies within the series. ``extra["coefficient"]`` is
    the realised fraction: of the row's observed values, those that are still its own. Where the partner has no value
    the own one stays; a gap stays a gap.

    References
    ----------
    .. [1] Yun et al., CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features, ICCV 2019,
       arXiv 1905.04899.

    Examples
    --------
    >>> batch = Batch.of(torch.tensor([[0.0], [1.0]]).expand(2, 8).reshape(2, 1, 8))
    >>> view = CutMix()(batch, torch.Generator().manual_seed(2))
    >>> view.x[0, 0], view.extra["coefficient"][0]
    (tensor([0., 0., 0., 0., 0., 1., 0., 0.]), tensor(0.8750))
    """

    alpha: float = real(1.0, above=0)
    largest_share: float = real(1.0, low=0, high=1, neutral=0)

    def mixed(self, batch: Batch, partner: Tensor, generator: torch.Generator) -> Mixed:
        """A span of the partner within the own row."""
        x = batch.x
        if self.largest_share == 0:
            return x, {"coefficient": x.new_ones(len(batch))}
        own = valid_lengths(x, batch.times)[:, None, None]
        drawn = beta((len(batch), 1, 1), self.alpha, generator, own.double())
        width = (self.largest_share * (1 - drawn) * own + 0.5).long().clamp_min(1).minimum(own)
        start = integers((len(batch), 1, 1), 0, (own - width + 1).to(generator.device), generator).to(own.device)
        inside = spans(start, start + width, x.shape[2])
        other = x.index_select(0, partner)
        if bool(torch.isfinite(x.sum())):  # else 0 would meet a gap or an infinity
            weight = inside.to(x.dtype)
            view = other.mul_(weight).addcmul_(x, 1 - weight)
            return view, {"coefficient": (1 - width.double() / own).flatten().to(x.dtype)}
        pasted = (inside > 0) & ~torch.isnan(x) & ~torch.isnan(other)
        observed = (~torch.isnan(x)).sum(dim=(1, 2)).clamp_min(1)
        fraction = (1 - pasted.sum(dim=(1, 2)).double() / observed).to(x.dtype)
        return torch.where(pasted, other, x), {"coefficient": fraction}


@augmentations.register(
    "geometric_mixup",
    modality="time_series",
    family="mixing",
    reference="Verma et al., Towards Domain-Agnostic Contrastive Learning, ICML 2021",
)
@dataclasses.dataclass(frozen=True)
class GeometricMixup(Mixing):
    r"""Mix the magnitudes of two rows geometrically, with the own sign: :math:`|x|^\lambda \, |x'|^{1 - \lambda}`.

    :math:`\tilde x = \text{sign}(x) \, |x|^\lambda \, |x'|^{1 - \lambda}`, :math:`\lambda \sim U(a, b)` for each row.

    Parameters
    ----------
    share : (float, float), default (0.7, 1.0)
        a and b, the range of the own row's weight, in [0, 1] (Demirel and Holz's code). (1, 1) is the identity.

    Notes
    -----
    The papers write :math:`x^\lambda x'^{(1 - \lambda)}`, which is not a real number where a value is negative: their
    code turns such values into NaN. With magnitudes and the own sign it is the same formula for positive series and
    defined for all. A zero of either row gives zero. Where the partner has no value the own one stays; a gap stays a
    gap. ``extra["coefficient"]`` is the realised weight, as for :class:`Mixup`.

    References
    ----------
    .. [1] Verma et al., Towards Domain-Agnostic Contrastive Learning, ICML 2021, arXiv 2011.04419.
    .. [2] Demirel and Holz, Finding Order in Chaos: A Novel Data Augmentation Method for Time Series in Contrastive
       Learning, NeurIPS 2023, arXiv 2309.13439.

    Examples
    --------
    >>> batch = Batch.of(torch.tensor([-4.0, 9.0]).reshape(2, 1, 1))
    >>> GeometricMixup(share=(0.5, 0.5))(batch, torch.Generator().manual_seed(0)).x.flatten().round()
    tensor([-6.,  6.])
    """

    share: tuple[float, float] = interval((0.7, 1.0), low=0, high=1, neutral=1)

    def mixed(self, batch: Batch, partner: Tensor, generator: torch.Generator) -> Mixed:
        """A weighted product."""
        x = batch.x
        low, high = self.share
        weight = uniform((len(batch),), generator, x, low=low, high=high)
        told = {"coefficient": realised(weight, x, partner)}
        if low == 1:
            return x, told
        # x · (|x'| / |x|)^(1 − λ) in logarithms; by the root twice, as the whole may overflow
        rest = (1 - weight)[:, None, None]
        logarithm = x.abs().log_()
        plain = bool(torch.isfinite(logarithm.sum()))  # neither a gap nor a zero
        root = (logarithm.index_select(0, partner) if plain else neighbour_of(logarithm, partner)).sub_(logarithm)
        view = root.mul_(rest / 2).exp_().mul(x).mul_(root)
        return view if plain else torch.where((x == 0) | (rest == 0), x, view), told
