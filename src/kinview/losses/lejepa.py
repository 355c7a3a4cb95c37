"""LeJEPA: views agree, and their embeddings have the distribution of an isotropic Gaussian (SIGReg)."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from kinview.distributed import gather
from kinview.losses import losses
from kinview.losses._sketches import directions
from kinview.losses.base import Loss
from kinview.tensor_checks import check_fraction, check_integer, check_positive, check_views, full_precision, widen

__all__ = ["LeJEPA", "lejepa", "sigreg"]


def sigreg(
    z: Float[Tensor, "n d"],
    n_directions: int = 1024,
    knots: int = 17,
    largest_frequency: float = 3.0,
    *,
    seed: Int64[Tensor, " n"] | None = None,
) -> Float[Tensor, ""]:
    r"""SIGReg: how far embeddings are from an isotropic Gaussian, seen along random directions.

    .. math:: L = \frac{n}{A} \sum_a \int_{-T}^{T} |\hat\varphi_a(t) - e^{-t^2/2}|^2\, e^{-t^2/2}\, dt, \quad
              \hat\varphi_a(t) = \frac1n \sum_i e^{\mathrm{i}\, t\, a^\top z_i}

    the mean over A unit vectors a of the statistic of Epps and Pulley, by the trapezoid rule; the integrand is even.

    Parameters
    ----------
    z : Tensor
        Embeddings ``(n, d)``, not normalised.
    n_directions : int, default 1024
        A (the paper's, as popular code has it; the official minimal example has 256).
    knots : int, default 17
        Frequencies from 0 to T at which the integrand is taken (official code).
    largest_frequency : float, default 3.0
        T (official code).
    seed : Tensor, optional
        One number a row ``(n,)``, the same for all rows, from which the directions are drawn: a method draws it with
        the views of each step. Without one the directions are the same at each call.

    Notes
    -----
    Time and memory are linear in n. The statistic holds the factor n, as in the official code: of two batches from one
    distribution that is no Gaussian the larger has the larger value.

    References
    ----------
    .. [1] Balestriero and LeCun, LeJEPA: Provable and Scalable Self-Supervised Learning Without the Heuristics, 2025,
       arXiv 2511.08544.
    .. [2] Epps and Pulley, A test for normality based on the empirical characteristic function, Biometrika 1983.

    Examples
    --------
    >>> z = torch.randn(500, 4, generator=torch.Generator().manual_seed(0))
    >>> sigreg(z).item() < 2 < sigreg(z * 0).item()  # a collapse has 0.4 n
    True
    """
    check_views("sigreg", z=z)
    _check(0.05, n_directions, knots, largest_frequency)
    with full_precision(z):
        return _statistic(
            gather(widen(z)), directions("sigreg", widen(z), n_directions, seed), knots, largest_frequency
        )


def lejepa(
    a: Float[Tensor, "n d"],
    b: Float[Tensor, "n d"],
    weight: float = 0.05,
    n_directions: int = 1024,
    knots: int = 17,
    largest_frequency: float = 3.0,
    *,
    seed: Int64[Tensor, " n"] | None = None,
) -> Float[Tensor, ""]:
    r"""LeJEPA: two views lie close to their mean, and each of them has the distribution of an isotropic Gaussian.

    .. math:: L = (1 - \lambda) \frac{1}{2 n d} \sum_{z \in \{a, b\}} \Big\| z - \frac{a + b}{2} \Big\|^2
              + \frac{\lambda}{2} \big[ \mathrm{SIGReg}(a) + \mathrm{SIGReg}(b) \big]

    with :func:`sigreg`; the directions are the same for both views.

    Parameters
    ----------
    a, b : Tensor
        Embeddings ``(n, d)``, not normalised.
    weight : float, default 0.05
        λ (official code; the paper explores 0.01 to 0.1).
    n_directions, knots, largest_frequency, seed
        See :func:`sigreg`.

    Notes
    -----
    There is no stop of the gradient, no momentum encoder, no temperature and no negative pair. Both views are global
    ones; where a method has more than two, it takes the mean over their pairs, and the first term is then that of the
    official code but for a factor :math:`2 (V - 1) / V` in the weight against the second.

    References
    ----------
    .. [1] Balestriero and LeCun, LeJEPA: Provable and Scalable Self-Supervised Learning Without the Heuristics, 2025,
       arXiv 2511.08544.

    Examples
    --------
    >>> collapsed = torch.zeros(4, 3)
    >>> round(lejepa(collapsed, collapsed).item(), 4) == round(0.05 * sigreg(collapsed).item(), 4)
    True
    """
    check_views("lejepa", a=a, b=b)
    _check(weight, n_directions, knots, largest_frequency)
    with full_precision(a):
        along = directions("lejepa", widen(a), n_directions, seed)
        a, b = gather(widen(a)), gather(widen(b))
        agreement = (a - b).square().mean() / 4
        shape = sum(_statistic(z, along, knots, largest_frequency) for z in (a, b)) / 2
        return (1 - weight) * agreement + weight * shape


def _statistic(
    z: Float[Tensor, "n d"], along: Float[Tensor, "d count"], knots: int, largest_frequency: float
) -> Float[Tensor, ""]:
    seen = z @ along  # (n, directions)
    step = largest_frequency / (knots - 1)
    total = seen.new_zeros(along.shape[1])
    for k in range(1, knots):  # at frequency 0 both characteristic functions are 1
        t = torch.tensor(k * step, dtype=z.dtype, device=z.device)
        gaussian = torch.exp(-t.square() / 2)
        phase = seen * t
        error = (phase.cos().mean(dim=0) - gaussian).square() + phase.sin().mean(dim=0).square()
        total = total + (step if k == knots - 1 else 2 * step) * gaussian * error
    return len(z) * total.mean()


def _check(weight: float, n_directions: int, knots: int, largest_frequency: float) -> None:
    check_fraction(weight, "weight")
    check_integer(n_directions, "n_directions", at_least=1)
    check_integer(knots, "knots", at_least=2)
    check_positive(largest_frequency, "largest_frequency")


@losses.register("lejepa", modality="any", reference="Balestriero and LeCun, LeJEPA, 2025")
class LeJEPA(Loss):
    """Module form of :func:`lejepa`; where a row is pushed depends on where the others lie."""

    needs_negatives = True
    symmetric = True
    gathers = True

    def __init__(
        self, weight: float = 0.05, n_directions: int = 1024, knots: int = 17, largest_frequency: float = 3.0
    ) -> None:
        super().__init__()
        _check(weight, n_directions, knots, largest_frequency)
        self.weight = weight
        self.n_directions = n_directions
        self.knots = knots
        self.largest_frequency = largest_frequency

    def forward(
        self, a: Float[Tensor, "n d"], b: Float[Tensor, "n d"], *, seed: Int64[Tensor, " n"] | None = None
    ) -> Float[Tensor, ""]:
        """The loss of two views ``(n, d)``."""
        return lejepa(a, b, self.weight, self.n_directions, self.knots, self.largest_frequency, seed=seed)
