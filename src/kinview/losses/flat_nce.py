"""FlatNCE: the contrast without the logarithm that saturates, for small batches."""

from __future__ import annotations

import math

from jaxtyping import Float
from torch import Tensor

from kinview.distributed import gather, global_mean, place
from kinview.losses import losses
from kinview.losses._blockwise import Diagonal, logsumexp_rows
from kinview.losses._two_views import unit
from kinview.losses.base import Loss
from kinview.tensor_checks import check_temperature, check_views, connected_zero, full_precision

__all__ = ["FlatNCE", "flat_nce", "log_contrasts"]


def log_contrasts(
    a: Float[Tensor, "n d"], b: Float[Tensor, "n d"], temperature: float | Float[Tensor, ""] = 0.1
) -> Float[Tensor, " n"] | None:
    r"""How much likelier the other rows of ``b`` are than the own one, on average, as a logarithm a row.

    .. math:: c_i = \log \frac{1}{n - 1} \sum_{j \ne i} e^{(s_{ij} - s_{ii}) / \tau}, \quad s_{ij} = \cos(a_i, b_j)

    None for one row alone.

    Examples
    --------
    >>> import torch
    >>> log_contrasts(torch.eye(3), torch.eye(3), 1.0)
    tensor([-1., -1., -1.])
    """
    start, n = place(len(a), a.device)
    if n == 1:
        return None
    anchors, own = unit(a), unit(b)
    others = logsumexp_rows(anchors, gather(own), 1 / temperature, masks=(Diagonal(start),))
    return others - (anchors * own).sum(dim=1) / temperature - math.log(n - 1)


def flat_nce(a: Float[Tensor, "n d"], b: Float[Tensor, "n d"], temperature: float = 0.1) -> Float[Tensor, ""]:
    r"""FlatNCE: row i of ``a`` is drawn to row i of ``b`` and away from the others, without InfoNCE's saturation.

    .. math:: \nabla L = \nabla \frac{1}{n} \sum_i \big[ e^{c_i - \mathrm{sg}(c_i)} - 1 \big], \quad
              L = \frac{1}{n} \sum_i c_i, \quad
              c_i = \log \frac{1}{n - 1} \sum_{j \ne i} e^{(s_{ij} - s_{ii}) / \tau}

    with :math:`s_{ij} = \cos(a_i, b_j)` and sg the stopped gradient. One row alone has nothing to tell it from: zero.

    Parameters
    ----------
    a, b : Tensor
        Two views ``(n, d)``; normalised here.
    temperature : float, default 0.1
        τ (kinview).

    Notes
    -----
    *Deviation from the paper.* The paper's expression is 0 whatever the rows are, so that neither a history nor early
    stopping sees anything. Here the value is the mean of c, which has the very same gradient: it is 0 at chance, and
    falls without a limit, where InfoNCE stops at −log n. It is :func:`~kinview.losses.decoupled` with the negatives of
    the other view alone, but for a constant.

    References
    ----------
    .. [1] Chen et al., Simpler, Faster, Stronger: Breaking the log-K Curse on Contrastive Learners with FlatNCE, 2021,
       arXiv 2107.01152.

    Examples
    --------
    >>> import torch
    >>> collapsed = torch.ones(4, 3)
    >>> abs(round(flat_nce(collapsed, collapsed).item(), 4))
    0.0
    >>> round(flat_nce(torch.eye(4), torch.eye(4)).item(), 4)  # −1 / τ
    -10.0
    """
    check_views("flat_nce", a=a, b=b)
    check_temperature(temperature)
    with full_precision(a):
        contrasts = log_contrasts(a, b, temperature)
        return connected_zero(a, b) if contrasts is None else global_mean(contrasts)


@losses.register("flat_nce", modality="any", reference="Chen et al., FlatNCE, 2021")
class FlatNCE(Loss):
    """Module form of :func:`flat_nce`."""

    needs_negatives = True
    gathers = True

    def __init__(self, temperature: float = 0.1) -> None:
        super().__init__()
        check_temperature(temperature)
        self.temperature = temperature

    def forward(self, a: Float[Tensor, "n d"], b: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
        """The loss of two views ``(n, d)``."""
        return flat_nce(a, b, self.temperature)
