"""Mixup contrastive learning: recognise both parts of a mixed sample, and how much of each."""

from __future__ import annotations

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from kinview.distributed import gather, global_mean
from kinview.losses import losses
from kinview.losses._blockwise import SameGroup, logsumexp_rows
from kinview.losses._two_views import unit
from kinview.losses.base import Loss
from kinview.tensor_checks import check_finite, check_rows, check_temperature, check_views, full_precision

__all__ = ["MixupContrastive", "mixup_contrastive"]


def mixup_contrastive(
    a: Float[Tensor, "n d"],
    b: Float[Tensor, "n d"],
    second: Float[Tensor, "n d"],
    coefficient: float | Float[Tensor, "*n"],
    temperature: float = 0.5,
    *,
    index: Shaped[Tensor, " n"] | None = None,
    second_index: Shaped[Tensor, " n"] | None = None,
) -> Float[Tensor, ""]:
    r"""A mixed row has to find its two parts among the 2n candidates of both batches.

    .. math:: L = -\frac{1}{n} \sum_i \big[ \lambda_i \log p_i(b_i) + (1 - \lambda_i) \log p_i(c_i) \big], \quad
              p_i(u) = \frac{\sum_{v \equiv u} \exp(\cos(a_i, v) / \tau)}{\sum_v \exp(\cos(a_i, v) / \tau)}

    where v runs over the rows of ``b`` and of ``second`` (c), and v ≡ u are the candidates of one sample.

    Parameters
    ----------
    a : Tensor
        Embeddings ``(n, d)`` of the mixed rows λ x + (1 − λ) x'.
    b, second : Tensor
        Embeddings ``(n, d)`` of x and of x'.
    coefficient : float or Tensor
        λ in [0, 1], one number or one a row ``(n,)``.
    temperature : float, default 0.5
        τ (published default).
    index, second_index : Tensor, optional
        Which sample each row of ``b`` and of ``second`` is, ``(n,)``. Give them where a sample can occur twice, above
        all where ``second`` is a permutation of ``b``: candidates of one sample then share the target. The official
        code has every part twice, once as positive and once as negative, which adds log 2 to the value, and separates
        both where they differ.

    Raises
    ------
    ValueError
        If the shapes differ, a value is not finite, λ is outside [0, 1], or only one of the indices is given.

    References
    ----------
    .. [1] Wickstrøm et al., Mixing up contrastive learning, Pattern Recognition Letters 2022, arXiv 2203.09270.

    Examples
    --------
    >>> z, swap = torch.eye(2), torch.tensor([1, 0])
    >>> both = mixup_contrastive(z, z, z[swap], 1.0, index=torch.arange(2), second_index=swap)
    >>> round(both.item(), 4)  # log(1 + exp(−2)): each sample is one candidate
    0.1269
    >>> round(mixup_contrastive(z, z, z[swap], 1.0).item(), 4)  # log 2 more
    0.8201
    """
    check_views("mixup_contrastive", a=a, b=b, second=second)
    check_temperature(temperature)
    weight = _weight(coefficient, a)
    if (index is None) != (second_index is None):
        raise ValueError("index and second_index go together: give both, or neither")
    with full_precision(a):
        mixed, one, other = unit(a), unit(b), unit(second)
        keys = torch.cat([gather(one), gather(other)])
        scale = 1 / temperature
        normaliser = logsumexp_rows(mixed, keys, scale)
        if index is None or second_index is None:
            of_one, of_other = (mixed * one).sum(dim=1) * scale, (mixed * other).sum(dim=1) * scale
        else:
            check_rows("mixup_contrastive", len(a), index=index, second_index=second_index)
            samples = torch.cat([gather(index), gather(second_index)])
            of_one, of_other = (
                logsumexp_rows(mixed, keys, scale, masks=[SameGroup(own, samples, keep=True)])
                for own in (index, second_index)
            )
        weight = weight.to(mixed.dtype)
        return global_mean(normaliser - weight * of_one - (1 - weight) * of_other)


@losses.register("mixup_contrastive", modality="any", reference="Wickstrøm et al., Mixing up, PRL 2022")
class MixupContrastive(Loss):
    """Module form of :func:`mixup_contrastive`."""

    needs_negatives = True
    gathers = True

    def __init__(self, temperature: float = 0.5) -> None:
        super().__init__()
        check_temperature(temperature)
        self.temperature = temperature

    def forward(
        self,
        a: Float[Tensor, "n d"],
        b: Float[Tensor, "n d"],
        second: Float[Tensor, "n d"],
        coefficient: float | Float[Tensor, "*n"],
        *,
        index: Shaped[Tensor, " n"] | None = None,
        second_index: Shaped[Tensor, " n"] | None = None,
    ) -> Float[Tensor, ""]:
        """The loss of mixed rows ``a`` and their parts ``b`` and ``second``, all ``(n, d)``."""
        return mixup_contrastive(a, b, second, coefficient, self.temperature, index=index, second_index=second_index)


def _weight(coefficient: float | Tensor, like: Tensor) -> Tensor:
    weight = torch.as_tensor(coefficient, device=like.device)
    weight = weight if weight.is_floating_point() else weight.to(torch.float32)
    if weight.ndim and weight.shape != (len(like),):
        raise ValueError(f"coefficient must be one number or one a row, ({len(like)},); got {tuple(weight.shape)}")
    check_finite("mixup_contrastive", coefficient=weight)
    if bool(((weight < 0) | (weight > 1)).any()):
        raise ValueError(f"coefficient must be in [0, 1]; got {weight.min().item():.3g} to {weight.max().item():.3g}")
    return weight
