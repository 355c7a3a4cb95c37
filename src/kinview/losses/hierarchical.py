"""TS2Vec's hierarchical contrastive loss."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from kinview.losses import losses

__all__ = ["Hierarchical", "hierarchical", "instance_contrastive", "temporal_contrastive"]


def hierarchical(
    z1: Float[Tensor, "n d t"], z2: Float[Tensor, "n d t"], alpha: float = 0.5, temporal_unit: int = 0
) -> Float[Tensor, ""]:
    r"""Instance and temporal contrast at every level of a max-pooling pyramid over time.

    .. math:: L = \frac{1}{K} \sum_{k=0}^{K-1} \alpha L^{(k)}_{inst} + (1-\alpha) L^{(k)}_{temp}

    where level k is level k−1 max-pooled by 2 over time; the temporal term enters from level ``temporal_unit`` on, and
    at length 1 only the instance term is left.

    Parameters
    ----------
    z1, z2 : Tensor
        Representations ``(n, d, t)`` of the same steps in two views; dot products, neither normalised nor tempered.
    alpha : float, default 0.5
        Weight of the instance term (official code).
    temporal_unit : int, default 0
        First level with a temporal term (official code).

    References
    ----------
    .. [1] Yue et al., TS2Vec, AAAI 2022, arXiv 2106.10466.

    Examples
    --------
    >>> z = torch.zeros(4, 8, 1)
    >>> round(hierarchical(z, z).item(), 4)  # half of log 7
    0.973
    """
    if z1.shape != z2.shape or z1.ndim != 3:
        raise ValueError(
            f"hierarchical needs two (n, d, t) views of one shape; got {tuple(z1.shape)}, {tuple(z2.shape)}"
        )
    if z1.shape[2] == 0:
        raise ValueError(f"hierarchical needs views of at least one step; got {tuple(z1.shape)}")
    if not 0.0 <= alpha <= 1.0:
        raise ValueError(f"alpha must be in [0, 1]; got {alpha!r}")
    total = z1.new_zeros(())
    levels = 0
    while True:
        steps = z1.shape[2]
        if alpha > 0:
            total = total + alpha * instance_contrastive(z1, z2)
        if steps > 1 and levels >= temporal_unit and alpha < 1:
            total = total + (1 - alpha) * temporal_contrastive(z1, z2)
        levels += 1
        if steps <= 1:
            return total / levels
        z1, z2 = F.max_pool1d(z1, kernel_size=2), F.max_pool1d(z2, kernel_size=2)


def instance_contrastive(z1: Float[Tensor, "n d t"], z2: Float[Tensor, "n d t"]) -> Float[Tensor, ""]:
    """At one step, a row has to find its other view among the 2n − 1 other rows; mean over steps, rows, directions."""
    if z1.shape[0] == 1:
        return z1.new_zeros(())
    return _contrast(torch.cat([z1, z2], dim=0).permute(2, 0, 1))


def temporal_contrastive(z1: Float[Tensor, "n d t"], z2: Float[Tensor, "n d t"]) -> Float[Tensor, ""]:
    """Within one row, a step has to find itself in the other view among the 2t − 1 other steps; mean over all."""
    if z1.shape[2] == 1:
        return z1.new_zeros(())
    return _contrast(torch.cat([z1, z2], dim=2).permute(0, 2, 1))


def _contrast(z: Float[Tensor, "problems candidates d"]) -> Float[Tensor, ""]:
    """Mean cross-entropy of candidate i against its twin i ± m; the candidate itself is no alternative."""
    m = z.shape[1] // 2
    with torch.autocast(z.device.type, enabled=False):
        z = z.to(torch.promote_types(z.dtype, torch.float32)).contiguous()
        similarity = torch.bmm(z, z.transpose(1, 2))
        positive = torch.diagonal(similarity, offset=m, dim1=1, dim2=2)  # (problems, m), the same in both directions
        itself = torch.eye(2 * m, dtype=torch.bool, device=z.device)
        normaliser = torch.logsumexp(similarity.masked_fill(itself, -torch.inf), dim=2)
        return normaliser.mean() - positive.mean()


@losses.register("hierarchical", modality="time_series", reference="Yue et al., TS2Vec, AAAI 2022")
class Hierarchical(nn.Module):
    """Module form of :func:`hierarchical`."""

    def __init__(self, alpha: float = 0.5, temporal_unit: int = 0) -> None:
        super().__init__()
        if not 0.0 <= alpha <= 1.0:
            raise ValueError(f"alpha must be in [0, 1]; got {alpha!r}")
        if temporal_unit < 0:
            raise ValueError(f"temporal_unit must not be negative; got {temporal_unit!r}")
        self.alpha = alpha
        self.temporal_unit = temporal_unit

    def forward(self, z1: Float[Tensor, "n d t"], z2: Float[Tensor, "n d t"]) -> Float[Tensor, ""]:
        """The loss of two views ``(n, d, t)``."""
        return hierarchical(z1, z2, self.alpha, self.temporal_unit)
