"""Perturbations that raise a loss."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kinview.augmentations import augmentations
from kinview.augmentations._random import normal, uniform
from kinview.augmentations._tables import discrete_columns
from kinview.augmentations.base import Augmentation, Modality
from kinview.data.batch import Batch
from kinview.data.gaps import observed_std
from kinview.parameters import choice, flag, real, whole

if TYPE_CHECKING:
    from kinview.data.table import TableSchema

__all__ = ["Adversarial"]


@augmentations.register("adversarial", modality="any", family="embedding space", reference="Madry et al., ICLR 2018")
@dataclasses.dataclass(frozen=True)
class Adversarial(Augmentation):
    r"""Perturb values by gradient ascent on a loss, within a ball of radius ε.

    .. math:: \delta \leftarrow \Pi_\epsilon\!\left(\delta + \eta\, d(\nabla_\delta \mathcal{L}(x + s\,\delta))\right)

    with d the sign (``"linf"``) or the direction of unit root mean square of each row's gradient (``"l2"``), and Π the
    projection onto \|δ\| ≤ ε in every cell, or onto a root mean square of at most ε over the observed cells of the row.
    s is the unit: the standard deviation of each series and channel; 1 for tables and embeddings.

    Parameters
    ----------
    epsilon : float, default 0.05
        ε, in units of s (kinview; published input-space attacks on contrastive learning use 0.03 to 0.1 standard
        deviations). 0 is the identity.
    norm : {"linf", "l2"}, default "linf"
        The ball.
    steps : int, default 1
        Steps of ascent (fast adversarial training [2]_; up to 5 are published for contrastive learning [3]_).
    step_size : float, optional
        η in units of s. Default: 1.25 ε for one step ([2]_) or two, 2.5 ε / ``steps`` for more ([1]_).
    random_start : bool, default True
        Start at a random point of the ball ([1]_, [2]_); at δ = 0 the loss between a row and itself has no gradient.

    Notes
    -----
    :meth:`bind_loss` gives it the loss: a function of the perturbed values (a tensor like ``batch.x``, NaN where
    something is missing) that returns one number: a sum of terms of one row each, if rows are to be independent. Close
    over whatever else it needs, ``lambda x: nt_xent(encoder(x), anchors)``. Gradients go to the perturbation alone: no
    parameter's ``.grad`` changes, and the view carries no graph. Statistics that an encoder gathers in training mode do
    move: switch it to ``eval()`` inside the loss. Missing cells stay missing, and categories and booleans of a table
    stay as they are once ``fit(batch, schema)`` has said which they are; without it every column counts as a number.

    Raises
    ------
    ValueError
        When called without a loss, or if the loss is not a number that depends on the values.

    References
    ----------
    .. [1] Madry et al., Towards Deep Learning Models Resistant to Adversarial Attacks, ICLR 2018, arXiv 1706.06083.
    .. [2] Wong, Rice, Kolter, Fast is better than free: Revisiting adversarial training, ICLR 2020, arXiv 2001.03994.
    .. [3] Ho and Vasconcelos, Contrastive Learning with Adversarial Examples, NeurIPS 2020, arXiv 2010.12050.

    Examples
    --------
    >>> attack = Adversarial(0.1, steps=5).bind_loss(lambda z: z.sum())
    >>> attack(torch.zeros(1, 3), torch.Generator().manual_seed(0))
    tensor([[0.1000, 0.1000, 0.1000]])
    """

    epsilon: float = real(0.05, low=0, neutral=0)
    norm: str = choice("linf", ("linf", "l2"))
    steps: int = whole(1, low=1, high=1000)
    step_size: float | None = real(None, above=0)
    random_start: bool = flag(True)
    _loss: Callable[[Tensor], Tensor] | None = dataclasses.field(default=None, init=False, repr=False, compare=False)
    _discrete: Bool[Tensor, " columns"] | None = dataclasses.field(default=None, init=False, repr=False, compare=False)

    modality: ClassVar[Modality] = "any"
    mixes_channels: ClassVar[bool] = True  # by its loss
    needs: ClassVar[frozenset[str]] = frozenset({"loss"})

    def bind_loss(self, loss: Callable[[Tensor], Tensor]) -> Adversarial:
        """Copy that attacks this loss, a function of the perturbed values."""
        return self._with(_loss=loss)

    def fit(
        self, batch: Batch, schema: TableSchema | None = None, generator: torch.Generator | None = None
    ) -> Adversarial:
        """Learn which columns of a table hold codes; returns a fitted copy. Series need no fit."""
        return self if schema is None or batch.x.ndim != 2 else self._with(_discrete=discrete_columns(batch, schema))

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Perturbed copy of ``(n, ...)`` values."""
        if self._loss is None:
            raise ValueError("adversarial needs a loss to raise: call bind_loss(loss) first, loss(values) -> number")
        if self.epsilon == 0 or batch.x.numel() == 0:
            return batch
        x = batch.x.detach()
        movable = ~torch.isnan(x)
        if self._discrete is not None:
            if len(self._discrete) != x.shape[1]:
                raise ValueError(f"adversarial was fitted on {len(self._discrete)} columns; got {x.shape[1]}")
            movable = movable & ~self._discrete.to(x.device)
        unit = observed_std(x) if x.ndim == 3 else torch.ones_like(x[:1, :1])
        delta = self._start(x, movable, generator)
        rate = 2.5 * self.epsilon / max(2, self.steps) if self.step_size is None else self.step_size
        for _ in range(self.steps):
            slope = self._slope(x, delta, unit).masked_fill_(~movable, 0)
            way = slope.sign() if self.norm == "linf" else slope / _root_mean_square(slope, movable)
            delta = self._projected(delta.add_(way, alpha=rate), movable)
        return batch.replace(x=torch.where(movable, x + unit * delta, x))

    def _start(self, x: Tensor, movable: Tensor, generator: torch.Generator) -> Tensor:
        """Uniform in the ball of the cells that may move."""
        if not self.random_start:
            return torch.zeros_like(x)
        if self.norm == "linf":
            return uniform(tuple(x.shape), generator, x, -self.epsilon, self.epsilon).masked_fill_(~movable, 0)
        drawn = normal(tuple(x.shape), generator, x).masked_fill_(~movable, 0)
        cells = movable.flatten(1).sum(dim=1).clamp_min(1)
        radius = self.epsilon * uniform((len(x),), generator, x).pow(1 / cells.to(x.dtype))
        return drawn / _root_mean_square(drawn, movable) * radius.reshape(-1, *[1] * (x.ndim - 1))

    def _slope(self, x: Tensor, delta: Tensor, unit: Tensor) -> Tensor:
        assert self._loss is not None
        with torch.enable_grad():
            at = delta.detach().requires_grad_(True)
            loss = self._loss(x + unit * at)
            if not isinstance(loss, Tensor) or loss.numel() != 1 or not loss.requires_grad:
                raise ValueError(
                    "the loss of adversarial must return one number that depends on the values it is given"
                )
            (slope,) = torch.autograd.grad(loss.sum(), at, allow_unused=True)
        if slope is None:
            raise ValueError("the loss of adversarial must return one number that depends on the values it is given")
        found: Tensor = slope.nan_to_num(nan=0.0)
        return found

    def _projected(self, delta: Float[Tensor, "n ..."], movable: Bool[Tensor, "n ..."]) -> Float[Tensor, "n ..."]:
        if self.norm == "linf":
            return delta.clamp_(-self.epsilon, self.epsilon)
        return delta * (self.epsilon / _root_mean_square(delta, movable)).clamp_max(1)


def _root_mean_square(values: Tensor, counted: Tensor) -> Tensor:
    """Of each row over its counted cells, shaped to divide the row."""
    cells = counted.flatten(1).sum(dim=1).clamp_min(1)
    found: Tensor = torch.linalg.vector_norm(values.flatten(1), dim=1) / cells.to(values.dtype).sqrt()
    return found.clamp_min(torch.finfo(values.dtype).tiny).reshape(-1, *[1] * (values.ndim - 1))
