"""TF-C's time-frequency consistency."""

from __future__ import annotations

import math

from jaxtyping import Float
from torch import Tensor

from kinview.losses import losses
from kinview.losses.base import Loss
from kinview.losses.nt_xent import nt_xent
from kinview.tensor_checks import check_temperature, check_views

__all__ = ["Consistency", "consistency"]


def consistency(
    a: Float[Tensor, "n d"],
    b: Float[Tensor, "n d"],
    a_augmented: Float[Tensor, "n d"],
    b_augmented: Float[Tensor, "n d"],
    temperature: float = 0.2,
    margin: float = 1.0,
) -> Float[Tensor, ""]:
    r"""A sample's own time and frequency embeddings are to be closer than those of which one is augmented.

    .. math:: L = \sum_{(u, v)} \big( S(z_t, z_f) - S(u, v) + \delta \big), \quad
              (u, v) \in \{(z_t, \tilde z_f), (\tilde z_t, z_f), (\tilde z_t, \tilde z_f)\}

    with S the contrastive loss of a pair, NT-Xent with cosines.

    Parameters
    ----------
    a, b : Tensor
        Embeddings ``(n, d)`` of the samples in the joint space: z_t from time, z_f from frequency.
    a_augmented, b_augmented : Tensor
        The same of the augmented samples.
    temperature : float, default 0.2
        τ of S (official code).
    margin : float, default 1.0
        δ (the paper). It shifts the value by 3δ and changes no gradient, since the paper has no hinge.

    Notes
    -----
    The paper's total is λ (L_T + L_F) + (1 − λ) L_C with this as L_C. The official code computes L_C, throws it away,
    and trains on 0.2 (L_T + L_F) + S(z_t, z_f).

    References
    ----------
    .. [1] Zhang et al., Self-Supervised Contrastive Pre-Training for Time Series via Time-Frequency Consistency,
           NeurIPS 2022, arXiv 2206.08496.

    Examples
    --------
    >>> import torch
    >>> z = torch.ones(4, 3)
    >>> round(consistency(z, z, z, z).item(), 4)  # nothing is closer than anything else: 3δ
    3.0
    """
    check_views("consistency", a=a, b=b, a_augmented=a_augmented, b_augmented=b_augmented)
    check_temperature(temperature)
    _check_margin(margin)
    own = nt_xent(a, b, temperature)
    others = (
        nt_xent(a, b_augmented, temperature)
        + nt_xent(a_augmented, b, temperature)
        + nt_xent(a_augmented, b_augmented, temperature)
    )
    return 3 * (own + margin) - others


@losses.register("consistency", modality="time_series", reference="Zhang et al., TF-C, NeurIPS 2022")
class Consistency(Loss):
    """Module form of :func:`consistency`."""

    needs_negatives = True
    gathers = True

    def __init__(self, temperature: float = 0.2, margin: float = 1.0) -> None:
        super().__init__()
        check_temperature(temperature)
        _check_margin(margin)
        self.temperature = temperature
        self.margin = margin

    def forward(
        self,
        a: Float[Tensor, "n d"],
        b: Float[Tensor, "n d"],
        a_augmented: Float[Tensor, "n d"],
        b_augmented: Float[Tensor, "n d"],
    ) -> Float[Tensor, ""]:
        """The loss of the embeddings of two domains and of their augmented forms, all ``(n, d)``."""
        return consistency(a, b, a_augmented, b_augmented, self.temperature, self.margin)


def _check_margin(margin: float) -> None:
    if not math.isfinite(margin):
        raise ValueError(f"margin must be finite; got {margin!r}")
