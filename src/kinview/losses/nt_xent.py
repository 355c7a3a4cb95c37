"""NT-Xent, the loss of SimCLR."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from kinview.distributed import global_mean
from kinview.losses import losses
from kinview.losses._two_views import TwoViews
from kinview.losses.base import Loss
from kinview.tensor_checks import check_temperature, check_views, full_precision, softplus

__all__ = ["NTXent", "nt_xent"]


def nt_xent(a: Float[Tensor, "n d"], b: Float[Tensor, "n d"], temperature: float = 0.5) -> Float[Tensor, ""]:
    r"""NT-Xent: each of the 2n rows has to find its other view among the 2n − 1 other rows.

    .. math:: L = -\frac{1}{2n} \sum_{i=1}^{2n} \log
              \frac{\exp(s_{i,p(i)}/\tau)}{\sum_{k \ne i} \exp(s_{ik}/\tau)}, \quad s_{ik} = \cos(z_i, z_k)

    where z are the rows of ``a`` and then of ``b``, and p(i) is the other view of row i. The positive stays in the
    denominator, the anchor itself does not.

    Parameters
    ----------
    a, b : Tensor
        Two views ``(n, d)``; normalised here.
    temperature : float, default 0.5
        τ (SimCLR on small data; 0.1 on ImageNet).

    Notes
    -----
    Collapsed embeddings give log(2n − 1). Memory is linear in n.

    References
    ----------
    .. [1] Chen et al., A Simple Framework for Contrastive Learning of Visual Representations, ICML 2020,
       arXiv 2002.05709.

    Examples
    --------
    >>> import torch
    >>> collapsed = torch.ones(4, 3)
    >>> round(nt_xent(collapsed, collapsed).item(), 4)  # log 7
    1.9459
    """
    check_views("nt_xent", a=a, b=b)
    check_temperature(temperature)
    with full_precision(a):
        views = TwoViews(a, b)
        # log(1 + exp(negatives − positive)): nothing cancels, however well the positive is found
        return global_mean(softplus(views.negatives(temperature) - views.positives(temperature)))


@losses.register("nt_xent", modality="any", reference="Chen et al., SimCLR, ICML 2020")
class NTXent(Loss):
    """Module form of :func:`nt_xent`."""

    needs_negatives = True
    symmetric = True
    gathers = True

    def __init__(self, temperature: float = 0.5) -> None:
        super().__init__()
        check_temperature(temperature)
        self.temperature = temperature

    def forward(self, a: Float[Tensor, "n d"], b: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
        """The loss of two views ``(n, d)``."""
        return nt_xent(a, b, self.temperature)
