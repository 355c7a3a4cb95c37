"""A variational autoencoder of single series, with a Gaussian likelihood of the values that were observed."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from kinview.modules.decoders import VectorDecoder

__all__ = ["VariationalAutoencoder", "gaussian_kl"]

_FARTHEST = 100.0  # standard deviations: what lies beyond counts as that far
_LEAST_VARIANCE = 1e-4  # of the likelihood, of standardised values: series that are given back exactly end there
_LARGEST_LOG_VARIANCE = 10.0


class VariationalAutoencoder(nn.Module):
    r"""A Gaussian variational autoencoder of series of one channel: a network of its latents, and one back to values.

    .. math:: q(z | x) = N(\mu(x), \operatorname{diag} \sigma^2(x)), \quad p(z) = N(0, I), \quad
              p(x_t | z) = N(\hat x_t(z), s^2)

    trained to lower the negative evidence lower bound of the observed values (:meth:`negative_elbo`).

    Parameters
    ----------
    length : int
        Steps T that are encoded and decoded; of a longer series the first T are read, a shorter one has none beyond.
    latent_dim : int, default 10
        Size of z (official code of Finding Order in Chaos).
    width : int, default 16
        Channels of the three strided convolutions of the encoder (kinview).
    hidden_dim : int, default 64
        Width of the decoder's hidden layer (kinview).
    generator : torch.Generator
        Source of the first weights.

    Notes
    -----
    Shapes: x ``(n, time)``, NaN where nothing was observed; μ and log σ² ``(n, latent_dim)``. The encoder reads the
    values, zero in gaps, and where they are observed. Neither what lies in a gap nor how far a batch is padded has any
    say in latents or bound. Values are standardised by one mean and one standard deviation, those of the training
    values (:meth:`learn`).

    The variance s² is the one of greatest likelihood, that of the residuals of the batch [2]_: no balance between
    the likelihood and the divergence has to be chosen for the data.

    Raises
    ------
    ValueError
        For a size below 1.

    References
    ----------
    .. [1] Kingma, Welling: Auto-Encoding Variational Bayes, ICLR 2014, arXiv 1312.6114.
    .. [2] Rybkin, Daniilidis, Levine: Simple and Effective VAE Training with Calibrated Decoders, ICML 2021,
       arXiv 2006.13202.

    Examples
    --------
    >>> generator = torch.Generator().manual_seed(0)
    >>> phases = 6.28 * torch.rand(64, 1, generator=generator)
    >>> x = torch.sin(phases + torch.arange(32.0) / 4)
    >>> autoencoder = VariationalAutoencoder(32, latent_dim=2, generator=generator)
    >>> before, after = autoencoder.learn(x, generator, steps=200)
    >>> bool(after < before), autoencoder.encode(x)[0].shape
    (True, torch.Size([64, 2]))
    """

    location: Tensor
    scale: Tensor

    def __init__(
        self,
        length: int,
        latent_dim: int = 10,
        width: int = 16,
        hidden_dim: int = 64,
        *,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        sizes = {"length": length, "latent_dim": latent_dim, "width": width, "hidden_dim": hidden_dim}
        for name, size in sizes.items():
            if size < 1:
                raise ValueError(f"{name} must be at least 1; got {size}")
        self.length, self.latent_dim = length, latent_dim
        with torch.device("meta"):  # torch's own initialisation would draw from the global generator
            layers: list[nn.Module] = []
            for inputs in (2, width, width):
                layers += [nn.Conv1d(inputs, width, 5, stride=2, padding=2), nn.ReLU()]
            self.encoder = nn.Sequential(*layers, nn.Flatten(), nn.Linear(width * -(-length // 8), 2 * latent_dim))
            self.decoder = VectorDecoder(latent_dim, length, hidden_dim=hidden_dim)
        self.to_empty(device="cpu")
        _draw_weights(self, generator)
        self.register_buffer("location", torch.zeros(()))
        self.register_buffer("scale", torch.ones(()))

    def encode(self, x: Float[Tensor, "n time"]) -> tuple[Float[Tensor, "n latent_dim"], Float[Tensor, "n latent_dim"]]:
        """Mean μ and log-variance log σ² of the latents of each series."""
        values, observed = self._standardised(x)
        mean, log_variance = self.encoder(torch.stack([values, observed.to(values)], dim=1)).chunk(2, dim=1)
        return mean, log_variance.clamp(-_LARGEST_LOG_VARIANCE, _LARGEST_LOG_VARIANCE)

    def decode(self, z: Float[Tensor, "n latent_dim"]) -> Float[Tensor, "n length"]:
        """Means of the values given the latents, in the unit of the series."""
        decoded: Tensor = self.decoder(z)
        return decoded * self.scale + self.location

    def negative_elbo(
        self, x: Float[Tensor, "n time"], noise: Float[Tensor, "n latent_dim"], kl_weight: float = 1.0
    ) -> Float[Tensor, ""]:
        r"""Negative evidence lower bound of the observed values, the mean over the series.

        .. math:: \frac{1}{n} \Big[ \frac{m}{2} (\log 2 \pi s^2 + 1) + \beta \sum_i KL(q(z | x_i) \| p(z)) \Big],
                  \quad s^2 = \frac{1}{m} \sum_{(i, t)\ \text{observed}} (x_{it} - \hat x_{it})^2

        of the standardised values, m of which are observed, with :math:`\hat x` decoded from :math:`z = \mu + \sigma
        \epsilon`; a weight β other than 1 gives β-VAE.

        Parameters
        ----------
        x : Tensor
            Series ``(n, time)``.
        noise : Tensor
            ε ``(n, latent_dim)``, standard normal.
        kl_weight : float, default 1.0
            β.
        """
        values, observed = self._standardised(x)
        mean, log_variance = self.encode(x)
        decoded: Tensor = self.decoder(mean + (0.5 * log_variance).exp() * noise)
        count = observed.sum().clamp_min(1)
        variance = torch.where(observed, decoded - values, 0).square().sum() / count
        misfit = 0.5 * count * ((2 * math.pi * variance.clamp_min(_LEAST_VARIANCE)).log() + 1)
        return (misfit + kl_weight * gaussian_kl(mean, log_variance).sum()) / max(1, len(x))

    def learn(
        self,
        x: Float[Tensor, "n time"],
        generator: torch.Generator,
        *,
        steps: int,
        batch_size: int = 128,
        lr: float = 3e-3,
        kl_weight: float = 1.0,
    ) -> tuple[float, float]:
        """Learn of training series, by steps of Adam; returns the first and the last bound.

        Series without an observed value teach nothing, and where there is no other one the weights stay as they are.
        The network is an aid to the training of another one, which has the callbacks and checkpoints: with the same
        series and generator it becomes the same.

        Parameters
        ----------
        x : Tensor
            Series ``(n, time)``.
        generator : torch.Generator
            Source of the order of the series and of the noise.
        steps, batch_size, lr, kl_weight : int, int, float, float
            Steps, series a step, learning rate, and β of :meth:`negative_elbo`.

        Raises
        ------
        FloatingPointError
            If the bound is not finite.
        """
        x = x[(~torch.isnan(x)).any(dim=1)]
        if not len(x) or steps < 1:
            return math.nan, math.nan
        self._learn_unit(x)
        optimizer = torch.optim.Adam(self.parameters(), lr=lr)
        order = torch.empty(0, dtype=torch.int64, device=generator.device)
        size, first, value = min(batch_size, len(x)), math.nan, math.nan
        with torch.enable_grad():
            for step in range(steps):
                if len(order) < size:
                    order = torch.randperm(len(x), generator=generator, device=generator.device)
                rows, order = x[order[:size].to(x.device)], order[size:]
                noise = torch.randn(size, self.latent_dim, generator=generator, device=generator.device)
                bound = self.negative_elbo(rows, noise.to(rows.device), kl_weight)
                value = float(bound.detach())
                if not math.isfinite(value):
                    raise FloatingPointError(
                        f"the bound of the variational autoencoder is {value} at step {step + 1}: lower its learning "
                        f"rate ({lr}), or look for infinite values in the data"
                    )
                first = value if step == 0 else first
                optimizer.zero_grad(set_to_none=True)
                torch.autograd.backward(bound)
                optimizer.step()
        optimizer.zero_grad(set_to_none=True)  # copies of the network need none
        return first, value

    def _learn_unit(self, x: Tensor) -> None:
        """One mean and one standard deviation of all observed values; in double precision, where squares have room."""
        seen = x[~torch.isnan(x)].double()
        spread = seen.std(correction=0)
        self.location.copy_(seen.mean())
        self.scale.copy_(spread if bool(spread > 0) else torch.ones_like(spread))

    def _standardised(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The first T steps in standard deviations, zero in gaps and beyond the end; and which are observed."""
        x = x[:, : self.length].to(self.scale.dtype)
        x = F.pad(x, (0, self.length - x.shape[1]), value=math.nan)
        observed = ~torch.isnan(x)
        values = ((x - self.location) / self.scale).clamp(-_FARTHEST, _FARTHEST)
        return torch.where(observed, values, 0), observed


def gaussian_kl(mean: Float[Tensor, "n d"], log_variance: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
    r"""Divergence of :math:`N(\mu, \operatorname{diag} \sigma^2)` from the standard normal, one a row.

    .. math:: KL = \tfrac12 \sum_j (\mu_j^2 + \sigma_j^2 - \log \sigma_j^2 - 1)

    Examples
    --------
    >>> gaussian_kl(torch.tensor([[0.0, 0.0], [2.0, 0.0]]), torch.zeros(2, 2))
    tensor([0., 2.])
    """
    return 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).sum(dim=1)


def _draw_weights(network: nn.Module, generator: torch.Generator) -> None:
    """First weights of all layers from the generator: Kaiming's of ReLU, and no bias."""
    with torch.no_grad():
        for parameter in network.parameters():
            drawn = torch.zeros(parameter.shape, device=generator.device)
            if parameter.ndim > 1:
                nn.init.kaiming_normal_(drawn, nonlinearity="relu", generator=generator)
            parameter.copy_(drawn)
