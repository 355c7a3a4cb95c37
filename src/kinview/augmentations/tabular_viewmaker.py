"""A view of tables that is learned: a bounded perturbation of the numbers, trained against the encoder."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kinview.augmentations import augmentations
from kinview.augmentations._random import given_or_fresh, uniform
from kinview.augmentations._tables import discrete_columns
from kinview.augmentations.base import Augmentation, Modality
from kinview.augmentations.viewmaker import reversed_gradient
from kinview.data.batch import Batch
from kinview.parameters import real, whole

if TYPE_CHECKING:
    from kinview.data.table import TableSchema

__all__ = ["TabularViewmaker"]

_NOISE = (-math.sqrt(3), math.sqrt(3))  # of unit variance, like standardised numbers


@augmentations.register(
    "tabular_viewmaker", modality="tabular", family="learned", reference="Tamkin et al., Viewmaker Networks, ICLR 2021"
)
@dataclasses.dataclass(frozen=True)
class TabularViewmaker(Augmentation):
    r"""Add a perturbation to the numbers of a row that a network learns, within a budget; it makes the task hard.

    .. math:: v = x + \delta, \quad
              \delta_j = \epsilon\, \frac{\tanh g_j(x, u)}{\frac{1}{m} \sum_k |\tanh g_k(x, u)|},
              \quad u \sim U(-\sqrt 3, \sqrt 3)

    where g is a perceptron that reads the numbers, where they are observed, and noise u, and m is the number of the
    observed numbers of the row: the mean size of their perturbation is ε.

    Parameters
    ----------
    epsilon : float, default 0.05
        ε (paper), in the units of the values, which should be standardised. 0 is the identity; a curriculum scales it.
    weight : float, default 1.0
        w of the network's own loss, −w times that of the encoder (paper).
    width : int, default 64
        Width of the two hidden layers (kinview).

    Notes
    -----
    ``fit(batch, schema, generator)`` makes the ``network``, untrained, and learns which columns hold codes: categories
    and booleans stay as they are, and are not read. Without a schema every column counts as a number. Who trains it
    is said at :class:`~kinview.augmentations.Viewmaker`, whose counterpart for tables this is.

    *Deviations from the paper*, which is about images: the network is a perceptron, and missing cells get no
    perturbation. As in the paper the budget is always used up, a sphere and not a ball.

    Raises
    ------
    ValueError
        When called before ``fit``, or on another number of columns.

    References
    ----------
    .. [1] Tamkin, Wu, Goodman, Viewmaker Networks: Learning Views for Unsupervised Representation Learning, ICLR 2021,
       arXiv 2010.07432.

    Examples
    --------
    >>> generator = torch.Generator().manual_seed(0)
    >>> x = torch.randn(4, 6, generator=generator)
    >>> viewmaker = TabularViewmaker(0.1).fit(Batch.of(x), generator=generator)
    >>> (viewmaker(x, generator) - x).abs().mean(dim=1)
    tensor([0.1000, 0.1000, 0.1000, 0.1000], grad_fn=<MeanBackward1>)
    """

    epsilon: float = real(0.05, low=0, neutral=0)
    weight: float = real(1.0, low=0)
    width: int = whole(64, low=1, high=4096)
    network: nn.Module | None = dataclasses.field(  # type: ignore[misc]  # of the class elsewhere, learned here
        default=None, init=False, repr=False, compare=False
    )
    _discrete: Bool[Tensor, " columns"] | None = dataclasses.field(default=None, init=False, repr=False, compare=False)

    modality: ClassVar[Modality] = "tabular"
    mixes_channels: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset({"schema"})

    def fit(
        self, batch: Batch, schema: TableSchema | None = None, generator: torch.Generator | None = None
    ) -> TabularViewmaker:
        """Make the network for tables like these, with weights drawn from the generator; returns a fitted copy."""
        self._check(batch)
        network = _Perceptron(batch.x.shape[1], self.width, given_or_fresh(generator)).to(batch.x.device)
        return self._with(network=network, _discrete=discrete_columns(batch, schema))

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Perturbed copy of ``(n, columns)`` rows; it carries the graph of the network."""
        network, discrete = self.network, self._discrete
        if not isinstance(network, _Perceptron) or discrete is None:
            raise ValueError("tabular_viewmaker has no network yet: call fit(batch, schema) on training rows first")
        if len(discrete) != batch.x.shape[1]:
            raise ValueError(f"tabular_viewmaker was fitted on {len(discrete)} columns; got {batch.x.shape[1]}")
        if self.epsilon == 0 or batch.x.numel() == 0:
            return batch
        x = batch.x.to(network.out.weight.dtype)
        movable = ~torch.isnan(x) & ~discrete.to(x.device)
        noise = uniform(tuple(x.shape), generator, x, *_NOISE)
        bounded = torch.where(movable, torch.tanh(network(torch.where(movable, x, 0), movable, noise)), 0)
        size = bounded.abs().sum(dim=1, keepdim=True) / movable.sum(dim=1, keepdim=True).clamp_min(1)
        delta = reversed_gradient(self.epsilon * bounded / size.clamp_min(1e-12), self.weight)
        return batch.replace(x=torch.where(movable, batch.x + delta.to(batch.x.dtype), batch.x))


class _Perceptron(nn.Module):
    """Two hidden layers from values, where they are observed, and noise to a perturbation."""

    def __init__(self, columns: int, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.first = _linear(3 * columns, width, generator)
        self.second = _linear(width, width, generator)
        self.out = _linear(width, columns, generator)

    def forward(
        self, x: Float[Tensor, "n columns"], seen: Bool[Tensor, "n columns"], noise: Float[Tensor, "n columns"]
    ) -> Float[Tensor, "n columns"]:
        """Output that becomes the perturbation, unbounded."""
        hidden = F.relu(self.first(torch.cat([x, seen.to(x.dtype), noise], dim=1)))
        out: Tensor = self.out(F.relu(self.second(hidden)))
        return out


def _linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """Linear layer with weights drawn from the generator; torch's own initialisation draws from the global one."""
    layer: nn.Linear = nn.utils.skip_init(nn.Linear, inputs, outputs)  # type: ignore[no-untyped-call]
    drawn = torch.empty(layer.weight.shape, device=generator.device)
    nn.init.kaiming_uniform_(drawn, nonlinearity="linear", generator=generator)
    with torch.no_grad():
        layer.weight.copy_(drawn)
        layer.bias.zero_()
    return layer
