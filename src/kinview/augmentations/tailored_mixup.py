"""Amplitudes and phases mixed with the most similar row, as much as both are alike (Finding Order in Chaos)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from scipy.stats import truncnorm
from torch import Tensor, nn

from kinview.augmentations import augmentations
from kinview.augmentations._mixing import with_partner
from kinview.augmentations._random import given_or_fresh, uniform
from kinview.augmentations._series import SeriesAugmentation
from kinview.augmentations.amplitude_phase_mixup import mixed_apart
from kinview.data.batch import Batch
from kinview.data.gaps import trimmed
from kinview.modules.variational_autoencoder import VariationalAutoencoder
from kinview.parameters import interval, real, whole

if TYPE_CHECKING:
    from kinview.data.table import TableSchema

__all__ = ["TailoredMixup"]


@augmentations.register(
    "tailored_mixup",
    modality="time_series",
    family="learned",
    reference="Demirel and Holz, Finding Order in Chaos, NeurIPS 2023",
)
@dataclasses.dataclass(frozen=True)
class TailoredMixup(SeriesAugmentation):
    r"""Mix amplitudes and phases with the most similar row of the batch, by weights that go by the similarity.

    With the means :math:`\mu` of a variational autoencoder that has learned of the training rows,

    .. math::
        s_{ij} = \cos(\mu_i, \mu_j), \quad j(i) = \arg\max_{j \neq i} s_{ij}, \quad
        \lambda_i \sim \begin{cases} U(l, u) & s_{i j(i)} > t \\ N(m, \sigma^2) \text{ on } [l, u] & \text{otherwise}
        \end{cases}

    one :math:`\lambda_A` for the amplitudes and one :math:`\lambda_P` for the phases of each row, which are mixed with
    those of :math:`j(i)` as in :class:`~kinview.augmentations.AmplitudePhaseMixup`.

    Parameters
    ----------
    amplitude_share : (float, float), default (0.7, 1.0)
        Range [l, u] of λ_A, the own row's weight in the amplitudes, in [0, 1] (official code). (1, 1) keeps them.
    phase_share : (float, float), default (0.9, 1.0)
        Range [l, u] of λ_P, the own row's weight in the phases, in [0, 1] (official code). (1, 1) keeps them.
    threshold : float, default 0.8
        t, above which a pair is similar (official code), in [-1, 1]. With 1 none is.
    amplitude_mean : float, default 0.9
        m of λ_A where a pair is not similar (official command line: 0.9 or 1, by the data set).
    phase_mean : float, default 1.0
        m of λ_P where a pair is not similar (official code).
    deviation : float, default 0.1
        σ of both (official code). 0 gives the mean, or the end of the range next to it.
    latent_dim : int, default 10
        Size of the latents (official code).
    kl_weight : float, default 1.0
        β of the divergence in the bound; 1 is the evidence lower bound (official code: an argument).
    learning_steps : int, default 300
        Steps of Adam, in batches of 128 series of one channel, by which the autoencoder learns (kinview).

    Notes
    -----
    ``extra`` holds the partner, its ``similarity``, and λ_A as ``coefficient`` and λ_P as ``phase_coefficient``, both
    as realised. A row in which nothing was observed is chosen by none while there is another one. A row that is alone
    is its own view.

    ``fit(batch, schema, generator)`` trains a :class:`~kinview.modules.VariationalAutoencoder` on the training rows:
    the likelihood is Gaussian, of the observed values alone. It is no part of the encoder's training, is the same for
    the same rows and generator, and is forgotten with the training. One network reads each channel by itself, over the
    first steps of a series, as many as the longest of fit has; the means of all channels side by side are μ, zero where
    a channel was not observed. So there may be other channels than in ``fit``, and spectra are those over each row's
    own length, whatever the autoencoder reads.

    In the official code the decoder's likelihood is Bernoulli, of standardised values outside [0, 1]; similarities are
    those of *sampled* latents; the one that is looked up is that of the partner and the first row of the batch; one
    draw serves all similar pairs; and a row can be its own partner. None of this is repeated here.

    Raises
    ------
    ValueError
        When called before ``fit``.
    FloatingPointError
        In ``fit``, if the bound of the autoencoder is not finite.

    References
    ----------
    .. [1] Demirel and Holz, Finding Order in Chaos: A Novel Data Augmentation Method for Time Series in Contrastive
       Learning, NeurIPS 2023, arXiv 2309.13439.

    Examples
    --------
    >>> generator = torch.Generator().manual_seed(0)
    >>> kind = torch.arange(32)[:, None] % 2
    >>> waves = torch.sin((1 + 3 * kind) * torch.arange(48.0) / 8) + 0.1 * torch.randn(32, 48, generator=generator)
    >>> batch = Batch.of(waves[:, None])
    >>> view = TailoredMixup().fit(batch, generator=generator)(batch, generator)
    >>> bool((kind[view.extra["partner"]] == kind).all())  # slow waves are mixed with slow ones
    True
    """

    amplitude_share: tuple[float, float] = interval((0.7, 1.0), low=0, high=1, neutral=1)
    phase_share: tuple[float, float] = interval((0.9, 1.0), low=0, high=1, neutral=1)
    threshold: float = real(0.8, low=-1, high=1)
    amplitude_mean: float = real(0.9, low=0, high=1, neutral=1)
    phase_mean: float = real(1.0, low=0, high=1, neutral=1)
    deviation: float = real(0.1, low=0)
    latent_dim: int = whole(10, low=1, high=4096)
    kl_weight: float = real(1.0, low=0)
    learning_steps: int = whole(300, low=0)
    _autoencoder: nn.Module | None = dataclasses.field(default=None, init=False, repr=False, compare=False)

    mixes_rows: ClassVar[bool] = True
    chooses_partners: ClassVar[bool] = True
    mixes_channels: ClassVar[bool] = True  # by the choice of the partner
    needs: ClassVar[frozenset[str]] = frozenset({"schema"})

    def fit(
        self, batch: Batch, schema: TableSchema | None = None, generator: torch.Generator | None = None
    ) -> TailoredMixup:
        """Train the autoencoder on series like these, all draws from the generator; returns a fitted copy."""
        self._check(batch)
        x = trimmed(batch).x  # how far it is padded says nothing
        generator = given_or_fresh(generator)
        autoencoder = VariationalAutoencoder(max(1, x.shape[2]), self.latent_dim, generator=generator)
        autoencoder.to(x.device).learn(
            x.detach().flatten(0, 1), generator, steps=self.learning_steps, kl_weight=self.kl_weight
        )
        return self._with(_autoencoder=autoencoder.eval().requires_grad_(False))

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """``(n, C, T)`` series mixed with their most similar ones."""
        partner, similarity = most_similar(self.latents(batch.x), ~torch.isnan(batch.x).flatten(1).all(dim=1))
        alike = similarity > self.threshold
        amplitude, phase = (
            self._weights(alike, share, mean, generator)
            for share, mean in ((self.amplitude_share, self.amplitude_mean), (self.phase_share, self.phase_mean))
        )
        like = torch.promote_types(batch.x.dtype, torch.float32)  # before the device, which may have no float64
        amplitude, phase = (weight.to(like).to(batch.x.device) for weight in (amplitude, phase))
        view = with_partner(batch, partner, mixed_apart(batch, partner, amplitude, phase))
        return view.replace(extra={**view.extra, "similarity": similarity.to(batch.x.dtype)})

    @torch.no_grad()
    def latents(self, x: Float[Tensor, "n c t"]) -> Float[Tensor, "n d"]:
        """Means of the latents of all channels side by side; zero of a channel that was not observed.

        Raises
        ------
        ValueError
            Before ``fit``.
        """
        autoencoder = self._autoencoder
        if not isinstance(autoencoder, VariationalAutoencoder):
            raise ValueError("tailored_mixup has no similarity yet: call fit(batch, generator=...) on training rows")
        single = x.flatten(0, 1)
        mean, _ = autoencoder.to(x.device).encode(single)
        seen = (~torch.isnan(single)).any(dim=1, keepdim=True)
        return torch.where(seen, mean, 0).reshape(len(x), x.shape[1] * self.latent_dim)

    def _weights(
        self, alike: Tensor, share: tuple[float, float], mean: float, generator: torch.Generator
    ) -> Float[Tensor, " n"]:
        """Own weight of each row: one uniform draw, brought to the distribution that the row's pair has."""
        low, high = share
        drawn = uniform((len(alike),), generator, torch.empty(0, dtype=torch.float64, device=generator.device))
        bounded = _truncated_normal(drawn, mean, self.deviation, low, high)
        return torch.where(alike.to(drawn.device), low + (high - low) * drawn, bounded)


def most_similar(
    latents: Float[Tensor, "n d"], observed: Tensor | None = None
) -> tuple[Int64[Tensor, " n"], Float[Tensor, " n"]]:
    """The other row whose latents have the largest cosine with a row's, and that cosine; alone, itself and 1.

    Of several the first one. Rows that are not observed come last.

    Examples
    --------
    >>> partner, similarity = most_similar(torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]))
    >>> partner, similarity
    (tensor([2, 2, 0]), tensor([0.7071, 0.7071, 0.7071]))
    """
    n = len(latents)
    if n < 2:
        return torch.zeros(n, dtype=torch.int64, device=latents.device), latents.new_ones(n)
    unit = F.normalize(latents, dim=1)
    cosine = (unit @ unit.T).clamp(-1, 1)
    preferred = cosine if observed is None else cosine.masked_fill(~observed[None, :], -2.0)
    own = torch.eye(n, dtype=torch.bool, device=latents.device)
    partner = preferred.masked_fill(own, -torch.inf).argmax(dim=1)
    return partner, cosine.gather(1, partner[:, None])[:, 0]


def _truncated_normal(drawn: Tensor, mean: float, deviation: float, low: float, high: float) -> Tensor:
    """Values of N(mean, deviation²) on [low, high] at uniform draws: the inverse of its distribution function.

    Examples
    --------
    >>> found = _truncated_normal(torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64), 0.0, 1.0, -1.0, 1.0)
    >>> bool(torch.allclose(found, torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64)))
    True
    """
    nearest = min(max(mean, low), high)
    if deviation == 0 or low == high:
        return torch.full_like(drawn, nearest)
    ends = ((end - mean) / deviation for end in (low, high))
    found = truncnorm.ppf(drawn.cpu().numpy(), *ends, loc=mean, scale=deviation)
    return torch.from_numpy(found).to(drawn).nan_to_num(nearest).clamp(low, high)
