"""C-MCR: joining two contrastive spaces through the modality they share."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from kinview.distributed import global_mean
from kinview.losses import losses
from kinview.losses._checks import check_not_negative
from kinview.losses._two_views import unit
from kinview.losses.base import Loss
from kinview.losses.clip import clip
from kinview.tensor_checks import check_finite, check_positive, check_temperature, check_views, full_precision

__all__ = ["CMCR", "cmcr", "retrieve", "spherical_noise"]


def cmcr(
    a: Float[Tensor, "n d"],
    b: Float[Tensor, "n d"],
    first: Float[Tensor, "n d"],
    second: Float[Tensor, "n d"],
    temperature: float = 0.02,
    pseudo_temperature: float = 0.02,
    intra_weight: float = 0.1,
) -> Float[Tensor, ""]:
    r"""Connect two spaces, A = (modality 1, shared) and B = (shared, modality 3), without pairs of 1 and 3.

    .. math:: L = L_{clip}(t^A, t^B; \tau_2) + L_{clip}(v, u; \tau_3)
              + \frac{\lambda}{2n} \sum_i \big( \|t^A_i - v_i\|^2 + \|t^B_i - u_i\|^2 \big)

    The first two terms align the spaces, the last closes the gap between modalities within each.

    Parameters
    ----------
    a, b : Tensor
        t^A and t^B ``(n, d)``: the shared items as A and as B have them, each after its projector.
    first, second : Tensor
        v and u ``(n, d)``: pseudo items of modality 1 (in A) and 3 (in B) for the same shared items, see
        :func:`retrieve`, after the same projectors. All four are normalised here.
    temperature : float, default 0.02
        τ₂, of the shared items (Wang et al.).
    pseudo_temperature : float, default 0.02
        τ₃, of the pseudo items (Wang et al.).
    intra_weight : float, default 0.1
        λ (Wang et al.).

    Notes
    -----
    Symmetric when both pairs are swapped, ``(b, a, second, first)``.

    References
    ----------
    .. [1] Wang et al., Connecting Multi-modal Contrastive Representations, NeurIPS 2023, arXiv 2305.14381.

    Examples
    --------
    >>> collapsed = torch.ones(4, 3)
    >>> round(cmcr(*[collapsed] * 4).item(), 4)  # 2 log 4
    2.7726
    """
    check_views("cmcr", a=a, b=b, first=first, second=second)
    _check(temperature, pseudo_temperature, intra_weight)
    inter = clip(a, b, temperature) + clip(first, second, pseudo_temperature)
    with full_precision(a):
        gaps = [(unit(x) - unit(y)).square().sum(dim=1) for x, y in ((a, first), (b, second))]
        return inter + intra_weight * global_mean(sum(gaps[1:], gaps[0]) / 2)


def retrieve(
    queries: Float[Tensor, "n d"], memory: Float[Tensor, "m d"], temperature: float = 0.01
) -> Float[Tensor, "n d"]:
    r"""Pseudo items of another modality: what a memory of its embeddings answers to a query.

    .. math:: \hat v_i = \operatorname{normalise} \sum_k \operatorname{softmax}_k (\cos(q_i, v_k)/\tau_1) \, v_k

    Parameters
    ----------
    queries : Tensor
        Shared items ``(n, d)``.
    memory : Tensor
        Embeddings ``(m, d)`` of the other modality in the same space.
    temperature : float, default 0.01
        τ₁ (Wang et al.).

    Examples
    --------
    >>> retrieve(torch.tensor([[0.0, 5.0]]), torch.eye(2)).round(decimals=4)
    tensor([[0., 1.]])
    """
    check_finite("retrieve", queries=queries, memory=memory)
    check_temperature(temperature)
    if queries.ndim != 2 or memory.ndim != 2 or queries.shape[1] != memory.shape[1] or len(memory) == 0:
        raise ValueError(
            f"retrieve needs queries (n, d) and a memory (m, d); got {tuple(queries.shape)}, {tuple(memory.shape)}"
        )
    with full_precision(queries):
        items = unit(memory)
        return F.normalize(torch.softmax(unit(queries) @ items.T / temperature, dim=1) @ items, dim=1)


def spherical_noise(
    rows: Float[Tensor, "n d"], variance: float = 0.004, generator: torch.Generator | None = None
) -> Float[Tensor, "n d"]:
    """Unit rows with Gaussian noise, brought back to length 1: it blurs what one point of a space stands for.

    Parameters
    ----------
    rows : Tensor
        Embeddings ``(n, d)``; normalised here.
    variance : float, default 0.004
        σ² of each coordinate (Wang et al.).
    generator : torch.Generator, optional
        Source of the noise.

    Examples
    --------
    >>> noisy = spherical_noise(torch.ones(2, 4), generator=torch.Generator().manual_seed(0))
    >>> noisy.norm(dim=1).round(decimals=4)
    tensor([1., 1.])
    """
    check_finite("spherical_noise", rows=rows)
    check_not_negative(variance=variance)
    with full_precision(rows):
        clean = unit(rows)
        source = clean.device if generator is None else generator.device
        noise = torch.randn(clean.shape, generator=generator, dtype=clean.dtype, device=source).to(clean.device)
        return F.normalize(clean + variance**0.5 * noise, dim=1)


def _check(temperature: float, pseudo_temperature: float, intra_weight: float) -> None:
    check_temperature(temperature)
    check_positive(pseudo_temperature, "pseudo_temperature")
    check_not_negative(intra_weight=intra_weight)


@losses.register("cmcr", modality="any", reference="Wang et al., C-MCR, NeurIPS 2023")
class CMCR(Loss):
    """Module form of :func:`cmcr`."""

    needs_negatives = True
    gathers = True

    def __init__(self, temperature: float = 0.02, pseudo_temperature: float = 0.02, intra_weight: float = 0.1) -> None:
        super().__init__()
        _check(temperature, pseudo_temperature, intra_weight)
        self.temperature = temperature
        self.pseudo_temperature = pseudo_temperature
        self.intra_weight = intra_weight

    def forward(
        self,
        a: Float[Tensor, "n d"],
        b: Float[Tensor, "n d"],
        first: Float[Tensor, "n d"],
        second: Float[Tensor, "n d"],
    ) -> Float[Tensor, ""]:
        """The loss of the shared items in both spaces and of their pseudo items, ``(n, d)`` each."""
        return cmcr(a, b, first, second, self.temperature, self.pseudo_temperature, self.intra_weight)
