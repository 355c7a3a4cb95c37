"""Negative cosine similarity between a prediction and a target: BYOL and SimSiam."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from kinview.losses import losses
from kinview.losses.base import Loss
from kinview.tensor_checks import check_views, full_precision, widen

__all__ = ["NegativeCosine", "negative_cosine"]


def negative_cosine(
    a: Float[Tensor, "n d"], b: Float[Tensor, "n d"], stop_gradient: bool = True, squared_distance: bool = False
) -> Float[Tensor, ""]:
    r"""Negative cosine: a prediction points where the target of its row does.

    .. math:: L = -\frac{1}{n} \sum_i \cos(a_i, \operatorname{sg}(b_i)) \quad \text{(SimSiam)}, \qquad
              2 + 2 L = \frac{1}{n} \sum_i \| \bar a_i - \operatorname{sg}(\bar b_i) \|^2 \quad \text{(BYOL)}

    One direction; the papers call it twice, ½ L(p₁, z₂) + ½ L(p₂, z₁) in SimSiam, the sum in BYOL.

    Parameters
    ----------
    a : Tensor
        Predictions ``(n, d)``.
    b : Tensor
        Targets ``(n, d)``.
    stop_gradient : bool, default True
        Whether the targets are constants, without which the embeddings collapse.
    squared_distance : bool, default False
        Whether to return BYOL's squared distance of unit vectors.

    References
    ----------
    .. [1] Grill et al., Bootstrap Your Own Latent, NeurIPS 2020, arXiv 2006.07733.
    .. [2] Chen and He, Exploring Simple Siamese Representation Learning, CVPR 2021, arXiv 2011.10566.

    Examples
    --------
    >>> import torch
    >>> one, other = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    >>> negative_cosine(one, one).item(), negative_cosine(one, other, squared_distance=True).item()
    (-1.0, 2.0)
    """
    check_views("negative_cosine", a=a, b=b)
    with full_precision(a):
        target = widen(b).detach() if stop_gradient else widen(b)
        cosine = (F.normalize(widen(a), dim=1) * F.normalize(target, dim=1)).sum(dim=1).mean()
        return 2 - 2 * cosine if squared_distance else -cosine


@losses.register("negative_cosine", modality="any", reference="Chen and He, SimSiam, CVPR 2021")
class NegativeCosine(Loss):
    """Module form of :func:`negative_cosine`; symmetric in its value, not in its gradient."""

    symmetric = True

    def __init__(self, stop_gradient: bool = True, squared_distance: bool = False) -> None:
        super().__init__()
        self.stop_gradient = stop_gradient
        self.squared_distance = squared_distance

    def forward(self, a: Float[Tensor, "n d"], b: Float[Tensor, "n d"]) -> Float[Tensor, ""]:
        """The loss of predictions and targets ``(n, d)``."""
        return negative_cosine(a, b, self.stop_gradient, self.squared_distance)
