"""SwAV: a view predicts to which prototypes another view was assigned."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from kinview.distributed import gather, global_mean, place
from kinview.losses import losses
from kinview.losses._two_views import unit
from kinview.losses.base import Loss, own_generator
from kinview.losses.sinkhorn import sinkhorn
from kinview.tensor_checks import (
    check_finite,
    check_integer,
    check_positive,
    check_queue,
    check_temperature,
    check_tensors,
    check_views,
    full_precision,
    widen,
)

__all__ = ["SwAV", "swav"]


def swav(
    a: Float[Tensor, "n d"],
    b: Float[Tensor, "n d"],
    prototypes: Float[Tensor, "k d"],
    temperature: float = 0.1,
    *,
    crops: Sequence[Float[Tensor, "n d"]] = (),
    queue: Float[Tensor, "m d"] | None = None,
    epsilon: float = 0.05,
    iterations: int = 3,
) -> Float[Tensor, ""]:
    r"""Swapped prediction between views of the assignments to prototypes.

    .. math:: L = \frac{1}{2 n} \sum_{u \in \{a, b\}} \frac{1}{V - 1} \sum_{v \ne u} \sum_i
              - q^u_i \cdot \log \mathrm{softmax}\!\Big(\frac{\cos(v_i, c)}{\tau}\Big)

    where q are the balanced assignments (:func:`~kinview.losses.sinkhorn`) of the two long views, and v runs
    over all V = 2 + len(crops) views.

    Parameters
    ----------
    a, b : Tensor
        Embeddings ``(n, d)`` of the two long views, from which assignments are made.
    prototypes : Tensor
        c ``(k, d)``; only their directions count.
    temperature : float, default 0.1
        τ (SwAV).
    crops : sequence of Tensor, optional
        Embeddings ``(n, d)`` of short views, which only predict.
    queue : Tensor, optional
        Earlier embeddings ``(m, d)`` which take part in the assignment, needed where the batch has fewer rows than
        there are prototypes.
    epsilon, iterations : float and int, default 0.05 and 3
        See :func:`sinkhorn`.

    Raises
    ------
    ValueError
        If the shapes differ, a value is not finite, or a parameter is out of its range.

    Notes
    -----
    Deviation from the official code: prototypes are normalised where they are used, with gradient, instead of in place
    before each step. One queue serves both long views.

    References
    ----------
    .. [1] Caron et al., Unsupervised Learning of Visual Features by Contrasting Cluster Assignments, NeurIPS 2020,
           arXiv 2006.09882.

    Examples
    --------
    >>> z = torch.eye(3)
    >>> round(swav(z, z, z).item(), 4)  # one prototype each: log(1 + 2 exp(−10))
    0.0001
    """
    views = {"a": a, "b": b} | {f"crops[{k}]": crop for k, crop in enumerate(crops)}
    check_views("swav", **views)
    check_temperature(temperature)
    _check_prototypes(prototypes, a)
    if queue is not None:
        check_queue("swav", a, queue=queue)
    with full_precision(a):
        directions = unit(prototypes.to(widen(a).dtype))
        scores = [unit(view) @ directions.T for view in views.values()]
        predictions = [F.log_softmax(score / temperature, dim=1) for score in scores]
        older = None if queue is None or not len(queue) else unit(queue.detach().to(directions.dtype)) @ directions.T
        losses_of_rows = scores[0].new_zeros(len(a))
        for u in (0, 1):
            targets = _assign(scores[u], older, epsilon, iterations)
            for v, prediction in enumerate(predictions):
                if v != u:
                    losses_of_rows = losses_of_rows - (targets * prediction).sum(dim=1)
        return global_mean(losses_of_rows) / (2 * (len(views) - 1))


def _assign(
    scores: Float[Tensor, "n k"], older: Float[Tensor, "m k"] | None, epsilon: float, iterations: int
) -> Float[Tensor, "n k"]:
    """Assignments of this process's rows, balanced over those of all processes and over the queue."""
    first, _ = place(len(scores), scores.device)
    everything = gather(scores.detach())
    if older is not None:
        everything = torch.cat([everything, older.detach()])
    return sinkhorn(everything, epsilon, iterations)[first : first + len(scores)]


@losses.register("swav", modality="any", reference="Caron et al., SwAV, NeurIPS 2020")
class SwAV(Loss):
    """:func:`swav` with its prototypes, which are parameters of the module.

    Parameters
    ----------
    dim : int, default 128
        Dimension of the embeddings (SwAV).
    n_prototypes : int, default 3000
        k (SwAV on ImageNet); small data: 5 to 10 times the number of classes one expects.
    temperature, epsilon, iterations : float, float and int, default 0.1, 0.05 and 3
        See :func:`swav`.

    Notes
    -----
    The official recipe keeps the prototypes fixed during the first steps: ``loss.prototypes.requires_grad_(False)``.

    Examples
    --------
    >>> loss = SwAV(dim=8, n_prototypes=5)
    >>> loss.prototypes.shape
    torch.Size([5, 8])
    """

    symmetric = True
    gathers = True

    def __init__(
        self,
        dim: int = 128,
        n_prototypes: int = 3000,
        temperature: float = 0.1,
        epsilon: float = 0.05,
        iterations: int = 3,
    ) -> None:
        super().__init__()
        for name, value in (("dim", dim), ("n_prototypes", n_prototypes), ("iterations", iterations)):
            check_integer(value, name, at_least=1)
        check_temperature(temperature)
        check_positive(epsilon, "epsilon")
        self.dim = dim
        self.n_prototypes = n_prototypes
        self.temperature = temperature
        self.epsilon = epsilon
        self.iterations = iterations
        self.prototypes = nn.Parameter(
            F.normalize(nn.init.normal_(torch.empty(n_prototypes, dim), generator=own_generator()), dim=1)
        )

    def forward(
        self,
        a: Float[Tensor, "n d"],
        b: Float[Tensor, "n d"],
        *,
        crops: Sequence[Float[Tensor, "n d"]] = (),
        queue: Float[Tensor, "m d"] | None = None,
    ) -> Float[Tensor, ""]:
        """The loss of two long views and any number of short ones, all ``(n, d)``."""
        return swav(
            a,
            b,
            self.prototypes,
            self.temperature,
            crops=crops,
            queue=queue,
            epsilon=self.epsilon,
            iterations=self.iterations,
        )


def _check_prototypes(prototypes: Tensor, like: Tensor) -> None:
    check_tensors("swav", prototypes=prototypes)
    if prototypes.ndim != 2 or len(prototypes) == 0 or prototypes.shape[1] != like.shape[1]:
        raise ValueError(
            f"prototypes must be (k, {like.shape[1]}), of the embeddings' dimension; got {tuple(prototypes.shape)}"
        )
    check_finite("swav", prototypes=prototypes)
