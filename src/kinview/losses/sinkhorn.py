"""Balanced assignments of rows to prototypes."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kinview.tensor_checks import check_finite, check_positive, full_precision, widen

__all__ = ["Sinkhorn", "sinkhorn"]


@torch.no_grad()
def sinkhorn(scores: Float[Tensor, "n k"], epsilon: float = 0.05, iterations: int = 3) -> Float[Tensor, "n k"]:
    r"""Soft assignments that use every prototype alike, by Sinkhorn-Knopp in the log domain.

    .. math:: Q^* = \arg\max_{Q} \mathrm{tr}(Q^T S) + \epsilon H(Q) \quad
              \text{with rows of sum 1, columns of sum } n / k

    Parameters
    ----------
    scores : Tensor
        S ``(n, k)``, rows by prototypes.
    epsilon : float, default 0.05
        Smoothness (SwAV). Logarithms keep exp(1 / ε) = 5e8 out of the sums, which half precision could not hold.
    iterations : int, default 3
        Passes over columns and rows (SwAV); the rows come last and sum to 1 exactly.

    Returns
    -------
    Tensor
        Assignments ``(n, k)`` without gradient, in float32 at least.

    References
    ----------
    .. [1] Cuturi, Sinkhorn Distances, NeurIPS 2013, arXiv 1306.0895.
    .. [2] Caron et al., SwAV, NeurIPS 2020, arXiv 2006.09882.

    Examples
    --------
    >>> sinkhorn(torch.tensor([[1.0, 0.9], [1.0, 0.0]])).argmax(dim=1)  # both prefer the first; each gets one
    tensor([1, 0])
    """
    if scores.ndim != 2 or 0 in scores.shape:
        raise ValueError(f"scores must be (n, k), rows by prototypes; got {tuple(scores.shape)}")
    check_finite("sinkhorn", scores=scores)
    _check_parameters(epsilon, iterations)
    with full_precision(scores):
        log_q = widen(scores) / epsilon
        n, k = log_q.shape
        for _ in range(iterations):
            log_q = log_q - log_q.logsumexp(dim=0, keepdim=True) - math.log(k)
            log_q = log_q - log_q.logsumexp(dim=1, keepdim=True) - math.log(n)
        return (log_q + math.log(n)).exp()


class Sinkhorn(nn.Module):
    """Module form of :func:`sinkhorn`."""

    def __init__(self, epsilon: float = 0.05, iterations: int = 3) -> None:
        super().__init__()
        _check_parameters(epsilon, iterations)
        self.epsilon = epsilon
        self.iterations = iterations

    def forward(self, scores: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
        """Assignments of scores ``(n, k)``."""
        return sinkhorn(scores, self.epsilon, self.iterations)


def _check_parameters(epsilon: float, iterations: int) -> None:
    check_positive(epsilon, "epsilon")
    if iterations < 1:
        raise ValueError(f"iterations must be at least 1; got {iterations!r}")
