"""Views of embeddings: noise, dropped features, mixtures."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import torch
from torch import Tensor

from kinview.augmentations import augmentations
from kinview.augmentations._mixing import Mixed, Mixing, neighbour_of, realised
from kinview.augmentations._random import beta, normal, weights
from kinview.augmentations._tables import chosen_cells
from kinview.augmentations.base import Augmentation, Modality
from kinview.data.batch import Batch
from kinview.parameters import flag, real

__all__ = ["EmbeddingMixup", "EmbeddingNoise", "FeatureDropout"]


@augmentations.register(
    "embedding_noise", modality="embedding", family="embedding space", reference="DeVries & Taylor, ICLR workshop 2017"
)
@dataclasses.dataclass(frozen=True)
class EmbeddingNoise(Augmentation):
    r"""Add Gaussian noise to embeddings, in proportion to their spread.

    .. math:: v_{ij} = z_{ij} + \gamma\,s_i\,\epsilon_{ij}, \quad \epsilon_{ij} \sim N(0, 1)

    with s_i the standard deviation of the D features of embedding i.

    Parameters
    ----------
    gamma : float, default 0.5
        γ (paper). 0 is the identity.

    Notes
    -----
    The paper takes the standard deviation of each feature over the training set; here it is that of the row's own
    features, so that nothing has to be learned while the encoder changes, and a row's view does not depend on others.

    References
    ----------
    .. [1] DeVries and Taylor, Dataset Augmentation in Feature Space, ICLR workshop 2017, arXiv 1702.05538.

    Examples
    --------
    >>> z = 3 * torch.randn(100, 64, generator=torch.Generator().manual_seed(0))
    >>> round((EmbeddingNoise()(z, torch.Generator().manual_seed(1)) - z).std().item(), 1)
    1.5
    """

    gamma: float = real(0.5, low=0, neutral=0)

    modality: ClassVar[Modality] = "embedding"

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Embeddings ``(n, D)`` with noise."""
        if self.gamma == 0:
            return batch
        z = batch.x
        spread = (z - z.nanmean(dim=1, keepdim=True)).square().nanmean(dim=1, keepdim=True).nan_to_num().sqrt()
        return batch.replace(x=normal(tuple(z.shape), generator, z).mul_(self.gamma * spread).add_(z))


@augmentations.register(
    "feature_dropout", modality="embedding", family="embedding space", reference="Gao et al., SimCSE, EMNLP 2021"
)
@dataclasses.dataclass(frozen=True)
class FeatureDropout(Augmentation):
    r"""Set features of embeddings to zero at random.

    .. math:: v_{ij} = z_{ij}\,(1 - m_{ij}) / (1 - p), \quad m_{ij} \sim \mathrm{Bernoulli}(p)

    Parameters
    ----------
    p : float, default 0.1
        Probability of a feature (paper). 0 is the identity.
    rescale : bool, default True
        Divide what remains by 1 − p, so that the expectation stays (as dropout does); at p = 1 nothing remains.

    References
    ----------
    .. [1] Gao et al., SimCSE: Simple Contrastive Learning of Sentence Embeddings, EMNLP 2021, arXiv 2104.08821.

    Examples
    --------
    >>> view = FeatureDropout(0.25)(torch.ones(1000, 8), torch.Generator().manual_seed(0))
    >>> round((view == 0).float().mean().item(), 2), round(view.mean().item(), 2)
    (0.25, 1.0)
    """

    p: float = real(0.1, low=0, high=1, neutral=0)
    rescale: bool = flag(True)

    modality: ClassVar[Modality] = "embedding"

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Embeddings ``(n, D)`` without some features."""
        if self.p == 0:
            return batch
        z = batch.x
        dropped = weights(tuple(z.shape), self.p, generator, z)
        scaled = z / (1 - self.p) if self.rescale and self.p < 1 else z
        return batch.replace(x=chosen_cells(scaled, dropped, z.new_zeros(()).expand_as(z)))


@augmentations.register(
    "embedding_mixup", modality="embedding", family="embedding space", reference="Verma et al., ICML 2019"
)
@dataclasses.dataclass(frozen=True)
class EmbeddingMixup(Mixing):
    r"""Mix each embedding with that of another row.

    .. math:: v_i = \lambda_i z_i + (1 - \lambda_i) z_{b(i)}, \quad \lambda_i \sim \mathrm{Beta}(\alpha, \alpha)

    with b a random cycle through the rows, so that no row is its own partner.

    Parameters
    ----------
    alpha : float, default 2.0
        α (Manifold Mixup).
    dominant : bool, default True
        Take the larger of λ and 1 − λ, so that a view is closer to its own row than to its partner (kinview: for a
        contrastive loss without mixed targets). False leaves λ as it is drawn (paper).

    Notes
    -----
    ``extra["partner"]`` (n,) holds b(i), ``extra["coefficient"]`` (n,) the λ of each row; the paper draws one for a
    batch. A single row stays as it is, with coefficient 1. A feature that the partner misses stays as it is, and
    counts in the coefficient as the row's own.

    References
    ----------
    .. [1] Verma et al., Manifold Mixup: Better Representations by Interpolating Hidden States, ICML 2019,
       arXiv 1806.05236.

    Examples
    --------
    >>> view = EmbeddingMixup()(Batch.of(torch.eye(3)), torch.Generator().manual_seed(0))
    >>> bool((view.x.diagonal() == view.extra["coefficient"]).all())
    True
    """

    alpha: float = real(2.0, above=0, high=1e6)
    dominant: bool = flag(True)

    modality: ClassVar[Modality] = "embedding"

    def mixed(self, batch: Batch, partner: Tensor, generator: torch.Generator) -> Mixed:
        """A weighted sum."""
        z = batch.x
        weight = beta((len(batch),), self.alpha, generator, z)
        if self.dominant:
            weight = torch.maximum(weight, 1 - weight)
        return neighbour_of(z, partner).lerp_(z, weight[:, None]), {"coefficient": realised(weight, z, partner)}
