"""Noise-contrastive estimation: telling data from noise whose density is known."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from kinview.distributed import gather
from kinview.losses import losses
from kinview.losses.base import Loss
from kinview.tensor_checks import check_finite, check_rows, check_temperature, check_views, full_precision, widen

__all__ = ["NCE", "nce", "nce_pairs"]


def nce(
    data: Float[Tensor, " n"],
    noise: Float[Tensor, " m"],
    log_noise_of_data: Float[Tensor, " n"],
    log_noise_of_noise: Float[Tensor, " m"],
) -> Float[Tensor, ""]:
    r"""Noise-contrastive estimation: a logistic regression between data and noise.

    .. math:: L = -\frac{1}{n} \Big[ \sum_{x \in data} \ln h(x) + \sum_{y \in noise} \ln (1 - h(y)) \Big], \quad
              h(u) = \frac{p_m(u)}{p_m(u) + \nu p_n(u)}, \quad \nu = m / n

    Parameters
    ----------
    data, noise : Tensor
        The model's log-density ln p_m of the data ``(n,)`` and of the noise samples ``(m,)``, its learned
        log-normaliser included.
    log_noise_of_data, log_noise_of_noise : Tensor
        ln p_n of the same points under the noise distribution.

    References
    ----------
    .. [1] Gutmann and Hyvärinen, Noise-contrastive estimation, AISTATS 2010.

    Examples
    --------
    >>> even = torch.zeros(4)
    >>> round(nce(even, even, even, even).item(), 4)  # a model equal to the noise: 2 log 2
    1.3863
    """
    given = {"data": data, "noise": noise}
    given |= {"log_noise_of_data": log_noise_of_data, "log_noise_of_noise": log_noise_of_noise}
    check_finite("nce", **given)
    if data.ndim != 1 or noise.ndim != 1 or data.shape != log_noise_of_data.shape or len(data) == 0:
        raise ValueError(
            f"nce needs log-densities (n,) of the data and (m,) of the noise, twice each; got "
            f"{', '.join(f'{name} {tuple(value.shape)}' for name, value in given.items())}"
        )
    check_rows("nce", len(noise), log_noise_of_noise=log_noise_of_noise)
    with full_precision(data):
        ratio = math.log(len(noise) / len(data)) if len(noise) else -math.inf
        positive = F.softplus(widen(log_noise_of_data) + ratio - widen(data))
        negative = F.softplus(widen(noise) - widen(log_noise_of_noise) - ratio)
        return (positive.sum() + negative.sum()) / len(data)


def nce_pairs(
    a: Float[Tensor, "n d"],
    b: Float[Tensor, "n d"],
    temperature: float = 0.07,
    log_normalizer: float | Float[Tensor, ""] = 0.0,
    *,
    log_noise: Float[Tensor, " n"] | None = None,
) -> Float[Tensor, ""]:
    r"""NCE between two views: given row i of ``a``, row i of ``b`` is data and the other rows of ``b`` are noise.

    .. math:: L = -\frac{1}{n} \sum_i \Big[ \ln h_{ii} + \sum_{j \ne i} \ln (1 - h_{ij}) \Big], \quad
              h_{ij} = \sigma\big( \cos(a_i, b_j)/\tau + c - \ln \nu p_n(j) \big), \quad \nu = n - 1

    Parameters
    ----------
    a, b : Tensor
        Embeddings ``(n, d)``; normalised here.
    temperature : float, default 0.07
        τ (Wu et al.).
    log_normalizer : float or Tensor, default 0.0
        c, the logarithm of 1/Z.
    log_noise : Tensor, optional
        ln p_n of the rows ``(n,)``, how probable each is as a noise sample; uniform, ln 1/n, by default.

    Notes
    -----
    Wu et al. estimate Z once, from the first batch; here c is given, and learned in :class:`NCE`, as Gutmann and
    Hyvärinen do. With one row there is no noise and the loss is 0.

    References
    ----------
    .. [1] Gutmann and Hyvärinen, Noise-contrastive estimation, AISTATS 2010.
    .. [2] Wu et al., Unsupervised Feature Learning via Non-Parametric Instance Discrimination, CVPR 2018,
       arXiv 1805.01978.

    Examples
    --------
    >>> eye = torch.eye(2)
    >>> round(nce_pairs(eye, eye, temperature=1.0).item(), 4)  # log(1 + 1 / 2e) + log(1 + 2)
    1.2675
    """
    check_views("nce", a=a, b=b)
    check_temperature(temperature)
    if log_noise is not None:
        check_rows("nce", len(a), log_noise=log_noise)
    with full_precision(a):
        cosine = F.normalize(gather(widen(a)), dim=1) @ F.normalize(gather(widen(b)), dim=1).T
        n = len(cosine)
        if n == 1:
            return cosine.sum() * 0.0 + 0.0 * log_normalizer
        noise = cosine.new_full((n,), -math.log(n)) if log_noise is None else gather(log_noise.to(cosine.dtype))
        logits = cosine / temperature + log_normalizer - math.log(n - 1) - noise[None, :]
        itself = torch.eye(n, dtype=torch.bool, device=a.device)
        pairs = F.softplus(torch.where(itself, -logits, logits))
        return pairs.sum(dim=1).mean()


@losses.register("nce", modality="any", reference="Gutmann and Hyvärinen, AISTATS 2010")
class NCE(Loss):
    """Module form of :func:`nce_pairs`, with a learned log-normaliser; symmetric while the noise is uniform.

    Parameters
    ----------
    temperature : float, default 0.07
        τ.
    log_normalizer : float, default 0.0
        Where c starts; it is a parameter of the module.
    """

    needs_negatives = True
    symmetric = True
    gathers = True

    def __init__(self, temperature: float = 0.07, log_normalizer: float = 0.0) -> None:
        super().__init__()
        check_temperature(temperature)
        self.temperature = temperature
        self.log_normalizer = log_normalizer
        self.learned_log_normalizer = nn.Parameter(torch.tensor(float(log_normalizer)))

    def forward(
        self, a: Float[Tensor, "n d"], b: Float[Tensor, "n d"], *, log_noise: Float[Tensor, " n"] | None = None
    ) -> Float[Tensor, ""]:
        """The loss of two views ``(n, d)``."""
        return nce_pairs(a, b, self.temperature, self.learned_log_normalizer, log_noise=log_noise)
