"""ExpCLR: distances between embeddings follow the similarity of expert features."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from kinview.distributed import gather
from kinview.losses import losses
from kinview.losses.base import Loss
from kinview.tensor_checks import check_finite, check_positive, check_tensors, full_precision, widen

__all__ = ["ExpCLR", "exp_clr"]


def exp_clr(
    a: Float[Tensor, "n d"],
    features: Float[Tensor, "n f"],
    temperature: float = 1.0,
    delta: float | None = None,
    *,
    squared: bool = True,
    max_distance: float | None = None,
) -> Float[Tensor, ""]:
    r"""One view and no augmentation: rows with like expert features get near embeddings.

    .. math:: L = \tau \log \frac{1}{n^2} \sum_{i,j} \exp(L_{ij} / \tau), \quad
              L_{ij} = \big( (1 - s_{ij}) \Delta - D_{ij} \big)^2

    .. math:: s_{ij} = \Big( 1 - \frac{\|f_i - f_j\|}{\max_{k,l} \|f_k - f_l\|} \Big)^2, \quad
              D_{ij} = \frac{\|a_i - a_j\|}{\mu_i}, \quad \mu_i = \frac{1}{n} \sum_j \|a_i - a_j\|

    Parameters
    ----------
    a : Tensor
        Embeddings ``(n, d)``. Their scale does not count.
    features : Tensor
        Expert features ``(n, f)``, z-scored on training rows; no gradient flows to them.
    temperature : float, default 1.0
        τ (published default). Towards 0 the worst pair counts alone, towards infinity the mean of all pairs.
    delta : float, optional
        Δ. By default 1 / E[1 − s]: every row of D has mean 1, so that any other Δ, the published 1 among them, leaves a
        bias (E[1 − s] Δ − 1)² which no embedding can remove, and whose cheapest form is a cloud of equal distances.
    squared : bool, default True
        Square s (published default).
    max_distance : float, optional
        Largest distance between features, of the training rows; by default of the batch.

    Raises
    ------
    ValueError
        If the numbers of rows differ, a value is not finite, or a parameter is out of its range.

    References
    ----------
    .. [1] Nonnenmacher et al., Utilizing Expert Features for Contrastive Learning of Time-Series Representations,
           ICML 2022, arXiv 2206.11517.

    Examples
    --------
    >>> line = torch.tensor([[0.0], [1.0], [3.0]])
    >>> bool(exp_clr(line, line) < exp_clr(line[[1, 0, 2]], line))
    True
    """
    _check_inputs(a, features)
    _check_parameters(temperature, delta, max_distance)
    with full_precision(a):
        embeddings, known = gather(widen(a)), gather(widen(features.detach()))
        target = _dissimilarity(known, squared, max_distance).to(embeddings.dtype)
        if delta is None:
            mean = target.mean()
            delta_ = torch.where(mean > 0, 1 / mean, torch.ones_like(mean))
        else:
            delta_ = target.new_tensor(delta)
        distances = _distances(embeddings)
        mean_distance = distances.mean(dim=1, keepdim=True)
        # equal embeddings are at distance 0 whatever the unit
        relative = distances / torch.where(mean_distance > 0, mean_distance, torch.ones_like(mean_distance))
        pairs = (target * delta_ - relative).square()
        return _soft_mean(pairs, temperature)


@losses.register("exp_clr", modality="any", reference="Nonnenmacher et al., ExpCLR, ICML 2022")
class ExpCLR(Loss):
    """Module form of :func:`exp_clr`."""

    needs_negatives = True
    gathers = True

    def __init__(
        self,
        temperature: float = 1.0,
        delta: float | None = None,
        squared: bool = True,
        max_distance: float | None = None,
    ) -> None:
        super().__init__()
        _check_parameters(temperature, delta, max_distance)
        self.temperature = temperature
        self.delta = delta
        self.squared = squared
        self.max_distance = max_distance

    def forward(self, a: Float[Tensor, "n d"], features: Float[Tensor, "n f"]) -> Float[Tensor, ""]:
        """The loss of embeddings ``(n, d)`` and expert features ``(n, f)``."""
        return exp_clr(a, features, self.temperature, self.delta, squared=self.squared, max_distance=self.max_distance)


def _soft_mean(values: Tensor, temperature: float) -> Float[Tensor, ""]:
    """τ log mean exp(x/τ), around the mean, because τ times a difference of logarithms would cancel for large τ.

    exp(60) and its sums are normal numbers in float32; where the largest value is farther off, it is the reference.
    """
    fixed = values.detach()
    centre = torch.maximum(fixed.mean(), fixed.max() - 60 * temperature)
    return centre + temperature * torch.log1p(torch.expm1((values - centre) / temperature).mean())


def _dissimilarity(features: Float[Tensor, "n f"], squared: bool, largest: float | None) -> Float[Tensor, "n n"]:
    """1 − s."""
    distances = _distances(features)
    scale = distances.max() if largest is None else distances.new_tensor(largest)
    similarity = 1 - distances / torch.where(scale > 0, scale, torch.ones_like(scale))
    return 1 - similarity.square() if squared else 1 - similarity


def _distances(rows: Float[Tensor, "n d"]) -> Float[Tensor, "n n"]:
    """Differences first, then squares: the form with a matrix product loses the digits of small distances."""
    return torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist")


def _check_inputs(a: Tensor, features: Tensor) -> None:
    check_tensors("exp_clr", a=a, features=features)
    if a.ndim != 2 or features.ndim != 2 or len(a) != len(features) or 0 in (*a.shape, *features.shape):
        raise ValueError(
            "exp_clr needs embeddings (n, d) and features (n, f) of the same rows; "
            f"a is {tuple(a.shape)}, features is {tuple(features.shape)}"
        )
    check_finite("exp_clr", a=a, features=features)


def _check_parameters(temperature: float, delta: float | None, max_distance: float | None) -> None:
    check_positive(temperature, "temperature")
    for name, value in (("delta", delta), ("max_distance", max_distance)):
        if value is not None:
            check_positive(value, name)
