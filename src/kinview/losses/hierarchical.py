"""TS2Vec's hierarchical contrastive loss, also with SoftCLT's soft assignments."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from kinview.losses import losses
from kinview.losses._checks import check_one_of
from kinview.losses._pyramid import Mode, Plan, contrasted
from kinview.losses.base import Loss
from kinview.tensor_checks import check_finite, check_tensors

__all__ = ["Hierarchical", "hierarchical", "instance_contrastive", "soft_assignments", "temporal_contrastive"]


def hierarchical(
    z1: Float[Tensor, "n d t"],
    z2: Float[Tensor, "n d t"],
    alpha: float = 0.5,
    temporal_unit: int = 0,
    *,
    instance_weights: Float[Tensor, "n n"] | None = None,
    temporal_sharpness: float | None = None,
    mode: Mode = "auto",
) -> Float[Tensor, ""]:
    r"""Instance and temporal contrast at every level of a max-pooling pyramid over time.

    .. math:: L = \frac{1}{K} \sum_{k=0}^{K-1} \alpha L^{(k)}_{inst} + (1-\alpha) L^{(k)}_{temp}

    where level k is level k−1 max-pooled by 2 over time; the temporal term enters from level ``temporal_unit`` on, and
    at length 1 only the instance term is left. Both terms are cross-entropies over the 2m − 1 other candidates,

    .. math:: -\frac{1}{2m} \sum_i \sum_{j \ne i} w_{ij}
              \log \frac{\exp(z_i \cdot z_j)}{\sum_{k \ne i} \exp(z_i \cdot z_k)}

    with w = 1 for the other view of the same row (step) and 0 otherwise, or soft assignments [2]_.

    Parameters
    ----------
    z1, z2 : Tensor
        Representations ``(n, d, t)`` of the same steps in two views; dot products, neither normalised nor tempered.
    alpha : float, default 0.5
        Weight of the instance term (official code).
    temporal_unit : int, default 0
        First level with a temporal term (official code).
    instance_weights : Tensor, optional
        Soft assignments ``(n, n)`` between the rows of this batch, see :func:`soft_assignments`; both views share them.
    temporal_sharpness : float, optional
        τ_T of soft assignments between steps, w = 2σ(−τ_T 2ᵏ |t − t'|) at level k. Published runs tune it per data set.
    mode : {'auto', 'dense', 'tiled'}, default 'auto'
        Keep the similarities of one series between the two passes, or compute them twice in memory linear in t. By
        default they are kept while they take less than 256 MB.

    Raises
    ------
    ValueError
        If the views differ in shape, hold non-finite values, or a parameter is out of its range.

    Notes
    -----
    The gradient is analytic and computed with the value, so it is there for first derivatives only. Deviation from the
    official SoftCLT code: assignments below 1e-6 are kept as they are instead of being set to 0.

    References
    ----------
    .. [1] Yue et al., TS2Vec, AAAI 2022, arXiv 2106.10466.
    .. [2] Lee et al., Soft Contrastive Learning for Time Series, ICLR 2024, arXiv 2312.16424.

    Examples
    --------
    >>> z = torch.zeros(4, 8, 1)
    >>> round(hierarchical(z, z).item(), 4)  # half of log 7
    0.973
    """
    _check_views("hierarchical", z1, z2)
    _check_parameters(alpha, temporal_unit, temporal_sharpness, mode)
    if instance_weights is not None:
        _check_weights(instance_weights, len(z1))
    levels = z1.shape[2].bit_length()
    return contrasted(z1, z2, Plan(alpha, temporal_unit, levels, instance_weights, temporal_sharpness, mode))


def instance_contrastive(
    z1: Float[Tensor, "n d t"], z2: Float[Tensor, "n d t"], weights: Float[Tensor, "n n"] | None = None
) -> Float[Tensor, ""]:
    """At one step, a row has to find its other view among the 2n − 1 other rows; mean over steps, rows, directions.

    ``weights`` are soft assignments as in :func:`hierarchical`. One row alone has nothing to be told from: zero.

    Examples
    --------
    >>> z = torch.zeros(4, 8, 5)
    >>> round(instance_contrastive(z, z).item(), 4)  # log 7
    1.9459
    """
    _check_views("instance_contrastive", z1, z2)
    if weights is not None:
        _check_weights(weights, len(z1))
    return contrasted(z1, z2, Plan(alpha=1.0, instance_weights=weights))


def temporal_contrastive(
    z1: Float[Tensor, "n d t"], z2: Float[Tensor, "n d t"], sharpness: float | None = None
) -> Float[Tensor, ""]:
    """Within one row, a step has to find itself in the other view among the 2t − 1 other steps; mean over all.

    ``sharpness`` makes the assignments soft as in :func:`hierarchical`. One step alone gives zero.

    Examples
    --------
    >>> z = torch.zeros(4, 8, 5)
    >>> round(temporal_contrastive(z, z).item(), 4)  # log 9
    2.1972
    """
    _check_views("temporal_contrastive", z1, z2)
    _check_parameters(0.0, 0, sharpness, "auto")
    return contrasted(z1, z2, Plan(alpha=0.0, temporal_sharpness=sharpness))


def soft_assignments(
    distances: Float[Tensor, "n n"], sharpness: float, upper_bound: float = 0.5
) -> Float[Tensor, "n n"]:
    r"""SoftCLT's assignments between rows, from how far apart the raw series are.

    .. math:: w_{ij} = 2 \alpha \sigma(-\tau_I D_{ij}) + (1 - \alpha) [i = j]

    Parameters
    ----------
    distances : Tensor
        D ``(n, n)`` between raw series, zero on the diagonal, scaled to [0, 1] (the paper: dynamic time warping).
    sharpness : float
        τ_I. Published runs tune it per data set.
    upper_bound : float, default 0.5
        α, the largest assignment of a different row (official code); a row's own is 1.

    References
    ----------
    .. [1] Lee et al., Soft Contrastive Learning for Time Series, ICLR 2024, arXiv 2312.16424.

    Examples
    --------
    >>> soft_assignments(torch.tensor([[0.0, 1.0], [1.0, 0.0]]), sharpness=10.0)[0, 0].item()
    1.0
    """
    if distances.ndim != 2 or distances.shape[0] != distances.shape[1]:
        raise ValueError(f"distances must be a square matrix (n, n); got {tuple(distances.shape)}")
    check_finite("soft_assignments", distances=distances)
    if bool((distances < 0).any()):
        raise ValueError(f"distances must not be negative; the smallest is {distances.min().item():.3g}")
    if not 0 < sharpness < float("inf"):
        raise ValueError(f"sharpness must be positive and finite; got {sharpness!r}")
    if not 0 < upper_bound <= 1:
        raise ValueError(f"upper_bound must be in (0, 1]; got {upper_bound!r}")
    identity = torch.eye(len(distances), dtype=distances.dtype, device=distances.device)
    return 2 * upper_bound * torch.sigmoid(-sharpness * distances) + (1 - upper_bound) * identity


@losses.register("hierarchical", modality="time_series", reference="Yue et al., TS2Vec, AAAI 2022")
class Hierarchical(Loss):
    """Module form of :func:`hierarchical`."""

    needs_negatives = True
    symmetric = True

    def __init__(
        self,
        alpha: float = 0.5,
        temporal_unit: int = 0,
        temporal_sharpness: float | None = None,
        mode: Mode = "auto",
    ) -> None:
        super().__init__()
        _check_parameters(alpha, temporal_unit, temporal_sharpness, mode)
        self.alpha = alpha
        self.temporal_unit = temporal_unit
        self.temporal_sharpness = temporal_sharpness
        self.mode: Mode = mode

    def forward(
        self,
        z1: Float[Tensor, "n d t"],
        z2: Float[Tensor, "n d t"],
        *,
        instance_weights: Float[Tensor, "n n"] | None = None,
    ) -> Float[Tensor, ""]:
        """The loss of two views ``(n, d, t)``."""
        return hierarchical(
            z1,
            z2,
            self.alpha,
            self.temporal_unit,
            instance_weights=instance_weights,
            temporal_sharpness=self.temporal_sharpness,
            mode=self.mode,
        )


def _check_views(loss: str, z1: Tensor, z2: Tensor) -> None:
    check_tensors(loss, z1=z1, z2=z2)
    if z1.shape != z2.shape or z1.ndim != 3:
        raise ValueError(
            f"{loss} needs two (n, d, t) views of one shape; got {tuple(z1.shape)}, {tuple(z2.shape)} as z1 and z2"
        )
    if z1.shape[2] == 0:
        raise ValueError(f"{loss} needs views of at least one step; got {tuple(z1.shape)}")
    if z1.shape[0] == 0 or z1.shape[1] == 0:
        raise ValueError(f"{loss} needs at least one row and one dimension; got {tuple(z1.shape)}")
    check_finite(loss, z1=z1, z2=z2)


def _check_parameters(alpha: float, temporal_unit: int, temporal_sharpness: float | None, mode: str) -> None:
    if not 0.0 <= alpha <= 1.0:
        raise ValueError(f"alpha must be in [0, 1]; got {alpha!r}")
    if temporal_unit < 0:
        raise ValueError(f"temporal_unit must not be negative; got {temporal_unit!r}")
    if temporal_sharpness is not None and not 0 < temporal_sharpness < float("inf"):
        raise ValueError(f"temporal_sharpness must be positive and finite, or None; got {temporal_sharpness!r}")
    check_one_of(Mode, mode=mode)


def _check_weights(weights: Tensor, n: int) -> None:
    if weights.shape != (n, n):
        raise ValueError(f"instance_weights must be ({n}, {n}), one a pair of rows; got {tuple(weights.shape)}")
    check_finite("hierarchical", instance_weights=weights)
    if bool((weights < 0).any()):
        raise ValueError(f"instance_weights must not be negative; the smallest is {weights.min().item():.3g}")
