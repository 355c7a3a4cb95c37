"""VISReg: views agree; centre, scale and shape of their distribution are those of a Gaussian, each by its own term."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from kinview.distributed import gather
from kinview.losses import losses
from kinview.losses._checks import check_not_negative
from kinview.losses._sketches import directions
from kinview.losses.base import Loss
from kinview.tensor_checks import check_fraction, check_integer, check_positive, check_views, full_precision, widen

__all__ = ["VISReg", "visreg"]


def visreg(
    a: Float[Tensor, "n d"],
    b: Float[Tensor, "n d"],
    weight: float = 0.9,
    n_directions: int = 4096,
    center_weight: float = 1.0,
    scale_weight: float = 1.0,
    shape_weight: float = 1.0,
    eps: float = 1e-4,
    *,
    seed: Int64[Tensor, " n"] | None = None,
) -> Float[Tensor, ""]:
    r"""VISReg: two views agree; each dimension has mean 0 and variance 1, each direction a Gaussian's quantiles.

    .. math:: L = (1 - \lambda) \frac{\|a - b\|^2}{4 n d} + \frac{\lambda}{2} \sum_{z \in \{a, b\}} \Big[
              \frac{\mu_c}{d} \sum_j \bar z_j^2 + \frac{\mu_s}{d} \sum_j (1 - s_j)^2
              + \frac{\mu_h}{n A} \sum_a \sum_i \big( p_{a(i)} - \Phi^{-1}(\tfrac{i}{n + 1}) \big)^2 \Big]

    with means :math:`\bar z_j` and standard deviations :math:`s_j` of the dimensions (divisor n), and
    :math:`p_{a(i)}` the i-th smallest of :math:`a^\top (z - \bar z) / (s + \epsilon)` for each of A random unit
    vectors a; no gradient flows into s there, so that shape and scale do not interfere.

    Parameters
    ----------
    a, b : Tensor
        Embeddings ``(n, d)``, not normalised.
    weight : float, default 0.9
        λ (paper, for large data; it recommends 0.6 for small data).
    n_directions : int, default 4096
        A (popular code).
    center_weight : float, default 1.0
        μ_c, of means other than 0 (paper).
    scale_weight : float, default 1.0
        μ_s, of standard deviations other than 1 (paper).
    shape_weight : float, default 1.0
        μ_h, of quantiles other than a Gaussian's (paper).
    eps : float, default 1e-4
        ε (popular code).
    seed : Tensor, optional
        One number a row ``(n,)``, the same for all rows, from which the directions are drawn: a method draws it with
        the views of each step. Without one the directions are the same at each call.

    Notes
    -----
    Time is that of sorting n values along each direction. The gradient of the scale term stays as large as embeddings
    collapse, which that of :func:`~kinview.losses.sigreg` does not. One row has neither scale nor shape: the first term
    and the centre are left. The paper was read in popular code (lightly), not in its text.

    References
    ----------
    .. [1] Wu et al., VISReg: Variance-Invariance-Sketching Regularization for JEPA training, 2026, arXiv 2606.02572.

    Examples
    --------
    >>> z = torch.randn(500, 4, generator=torch.Generator().manual_seed(0))
    >>> visreg(z, z).item() < 0.1 < visreg(z * 0, z * 0).item()
    True
    """
    check_views("visreg", a=a, b=b)
    _check(weight, n_directions, center_weight, scale_weight, shape_weight, eps)
    with full_precision(a):
        along = directions("visreg", widen(a), n_directions, seed)
        a, b = gather(widen(a)), gather(widen(b))
        total = (1 - weight) * (a - b).square().mean() / 4
        for z in (a, b):
            mean = z.mean(dim=0)
            total = total + weight / 2 * center_weight * mean.square().mean()
            if len(z) > 1:
                spread = _standard_deviation(z - mean)
                total = total + weight / 2 * scale_weight * (1 - spread).square().mean()
                shape = _shape((z - mean) / (spread.detach() + eps), along)
                total = total + weight / 2 * shape_weight * shape
        return total


def _standard_deviation(centred: Float[Tensor, "n d"]) -> Float[Tensor, " d"]:
    """With the divisor n; where all are equal it is 0, with the gradient 0 and not NaN."""
    variance = centred.square().mean(dim=0)
    some = variance > 0
    return torch.where(some, torch.where(some, variance, 1.0).sqrt(), 0.0)


def _shape(z: Float[Tensor, "n d"], along: Float[Tensor, "d count"]) -> Float[Tensor, ""]:
    """Squared distance of the sorted values along each direction to the quantiles of a Gaussian."""
    n = len(z)
    positions = torch.arange(1, n + 1, dtype=torch.float64) / (n + 1)
    quantiles = torch.special.ndtri(positions).to(z)
    distance: Tensor = ((z @ along).sort(dim=0).values - quantiles[:, None]).square().mean()
    return distance


def _check(
    weight: float, n_directions: int, center_weight: float, scale_weight: float, shape_weight: float, eps: float
) -> None:
    check_fraction(weight, "weight")
    check_integer(n_directions, "n_directions", at_least=1)
    check_not_negative(center_weight=center_weight, scale_weight=scale_weight, shape_weight=shape_weight)
    check_positive(eps, "eps")


@losses.register("visreg", modality="any", reference="Wu et al., VISReg, 2026")
class VISReg(Loss):
    """Module form of :func:`visreg`; where a row is pushed depends on where the others lie."""

    needs_negatives = True
    symmetric = True
    gathers = True

    def __init__(
        self,
        weight: float = 0.9,
        n_directions: int = 4096,
        center_weight: float = 1.0,
        scale_weight: float = 1.0,
        shape_weight: float = 1.0,
        eps: float = 1e-4,
    ) -> None:
        super().__init__()
        _check(weight, n_directions, center_weight, scale_weight, shape_weight, eps)
        self.weight = weight
        self.n_directions = n_directions
        self.center_weight = center_weight
        self.scale_weight = scale_weight
        self.shape_weight = shape_weight
        self.eps = eps

    def forward(
        self, a: Float[Tensor, "n d"], b: Float[Tensor, "n d"], *, seed: Int64[Tensor, " n"] | None = None
    ) -> Float[Tensor, ""]:
        """The loss of two views ``(n, d)``."""
        weights = self.center_weight, self.scale_weight, self.shape_weight
        return visreg(a, b, self.weight, self.n_directions, *weights, self.eps, seed=seed)
