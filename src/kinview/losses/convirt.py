"""ConVIRT: the two directions of a paired InfoNCE, weighted."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from kinview.distributed import global_mean
from kinview.losses import losses
from kinview.losses._two_views import unit
from kinview.losses.base import Loss
from kinview.losses.clip import pair_losses
from kinview.tensor_checks import check_fraction, check_temperature, check_views, full_precision

__all__ = ["ConVIRT", "convirt"]


def convirt(
    a: Float[Tensor, "n d"], b: Float[Tensor, "n d"], temperature: float = 0.1, weight: float = 0.75
) -> Float[Tensor, ""]:
    r"""Weighted bidirectional InfoNCE between two modalities.

    .. math:: L = \frac{1}{n} \sum_i \big[ \lambda \ell_i^{a \to b} + (1 - \lambda) \ell_i^{b \to a} \big], \quad
              \ell_i^{a \to b} = -\log \frac{e^{s_{ii}/\tau}}{\sum_k e^{s_{ik}/\tau}}, \quad s_{ik} = \cos(a_i, b_k)

    Parameters
    ----------
    a, b : Tensor
        The two modalities ``(n, d)``; normalised here. In the paper ``a`` is the image and ``b`` the text.
    temperature : float, default 0.1
        τ (Zhang et al.).
    weight : float, default 0.75
        λ, the weight of the direction from ``a`` to ``b`` (Zhang et al.).

    Notes
    -----
    At λ = ½ it is ``clip`` with a fixed temperature. Memory is linear in n.

    References
    ----------
    .. [1] Zhang et al., Contrastive Learning of Medical Visual Representations from Paired Images and Text, MLHC 2022,
       arXiv 2010.00747.

    Examples
    --------
    >>> import torch
    >>> collapsed = torch.ones(4, 3)
    >>> round(convirt(collapsed, collapsed).item(), 4)  # log 4
    1.3863
    """
    check_views("convirt", a=a, b=b)
    _check(temperature, weight)
    with full_precision(a):
        one, other = unit(a), unit(b)
        forth, back = pair_losses(one, other, 1 / temperature)
        return global_mean(weight * forth + (1 - weight) * back)


def _check(temperature: float, weight: float) -> None:
    check_temperature(temperature)
    check_fraction(weight, "weight")


@losses.register("convirt", modality="any", reference="Zhang et al., ConVIRT, MLHC 2022")
class ConVIRT(Loss):
    """Module form of :func:`convirt`."""

    needs_negatives = True
    gathers = True

    def __init__(self, temperature: float = 0.1, weight: float = 0.75) -> None:
        super().__init__()
        _check(temperature, weight)
        self.temperature = temperature
        self.weight = weight

    def forward(self, a: Float[Tensor, "n d"], b: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
        """The loss of two modalities ``(n, d)``."""
        return convirt(a, b, self.temperature, self.weight)
