"""InfoNCE across two views, in one direction."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from kinview.losses import losses

__all__ = ["InfoNCE", "info_nce"]


def info_nce(a: Float[Tensor, "n d"], b: Float[Tensor, "n d"], temperature: float = 1.0) -> Float[Tensor, ""]:
    r"""InfoNCE: row i of ``a`` has to find row i of ``b`` among all rows of ``b``.

    .. math:: L = -\frac{1}{n} \sum_i \log \frac{\exp(s_{ii}/\tau)}{\sum_k \exp(s_{ik}/\tau)}, \quad
              s_{ik} = \cos(a_i, b_k)

    Parameters
    ----------
    a, b : Tensor
        Embeddings ``(n, d)``; normalised here.
    temperature : float, default 1.0
        τ (SCARF). The value at chance is log n.

    Notes
    -----
    SCARF prints the sum in the denominator as a mean, which shifts the value by −log n and changes no gradient.

    References
    ----------
    .. [1] van den Oord et al., Representation Learning with Contrastive Predictive Coding, 2018, arXiv 1807.03748.
    .. [2] Bahri et al., SCARF, ICLR 2022, arXiv 2106.15147.

    Examples
    --------
    >>> collapsed = torch.ones(4, 3)
    >>> round(info_nce(collapsed, collapsed).item(), 4)  # log 4
    1.3863
    """
    if a.shape != b.shape or a.ndim != 2:
        raise ValueError(f"info_nce needs two (n, d) views of one shape; a is {tuple(a.shape)}, b is {tuple(b.shape)}")
    if not temperature > 0:
        raise ValueError(f"temperature must be positive; got {temperature!r}")
    for name, value in (("a", a), ("b", b)):
        if not bool(torch.isfinite(value).all()):
            raise ValueError(f"{name} holds non-finite values; info_nce needs finite embeddings")
    # cosines in float32 at least: half precision cannot resolve exp(s/τ) at small τ
    dtype = torch.promote_types(a.dtype, torch.float32)
    with torch.autocast(a.device.type, enabled=False):
        similarity = F.normalize(a.to(dtype), dim=1) @ F.normalize(b.to(dtype), dim=1).T
        return F.cross_entropy(similarity / temperature, torch.arange(len(a), device=a.device))


@losses.register("info_nce", reference="van den Oord et al., CPC, 2018")
class InfoNCE(nn.Module):
    """Module form of :func:`info_nce`."""

    def __init__(self, temperature: float = 1.0) -> None:
        super().__init__()
        if not temperature > 0:
            raise ValueError(f"temperature must be positive; got {temperature!r}")
        self.temperature = temperature

    def forward(self, a: Float[Tensor, "n d"], b: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
        """The loss of two views ``(n, d)``."""
        return info_nce(a, b, self.temperature)
