"""Two tables in one space: the method that is trained, the rows of one step, and what a column does to an embedding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float64, Int64
from torch import Tensor, nn

from kinview.augmentations.base import Augmentation
from kinview.augmentations.cell_dropout import CellDropout
from kinview.augmentations.cell_noise import ZeroOut
from kinview.data.batch import Batch
from kinview.encoders.mlp import MLPEncoder
from kinview.losses.clip import clip
from kinview.losses.nt_xent import nt_xent
from kinview.training.method import LossResult, Method, PairSizes, Sizes

if TYPE_CHECKING:
    from kinview.schema_matching.contrastive import ContrastiveMatcher

__all__ = ["ContrastiveColumns", "signatures", "sizes_of", "unpaired"]

_CHUNK = 1024  # rows whose derivatives are taken at once


class ContrastiveColumns(Method):
    """Known columns and unknown columns of a row find each other; the known ones have one encoder for both tables.

    A batch has rows of A in ``x``, and in ``extra["B"]`` as many rows of B, which have nothing to do with them. The
    first ``known`` columns of both are the known ones.
    """

    training_defaults: ClassVar[dict[str, Any]] = {
        "batch_size": 128,
        "lr": 1e-2,
        "optimizer": "adam",
        "weight_decay": 1e-5,
        "max_steps": 50,
        "progress": False,
    }
    min_rows: ClassVar[int] = 2

    def __init__(self, parameters: ContrastiveMatcher, sizes: PairSizes, known: int) -> None:
        super().__init__(sizes)
        self.q = known
        self.dim = parameters.dim
        self.temperature = parameters.temperature
        mask = {"zero": ZeroOut, "missing": CellDropout}[parameters.mask]
        self.mask: Augmentation = mask(parameters.mask_rate)
        widths = {"known": known, "A": len(sizes.first.cardinalities) - known}
        widths["B"] = len(sizes.second.cardinalities) - known
        self.embeddings = nn.ModuleDict({name: _Embedding(width, parameters) for name, width in widths.items()})

    def views(self, batch: Batch, generator: torch.Generator, progress: float) -> list[Batch]:
        """Two copies of the rows as they are, each with cells of its own hidden."""
        return [self._masked(batch, generator) for _ in range(2)]

    def _masked(self, batch: Batch, generator: torch.Generator) -> Batch:
        first, second = self.mask(batch, generator), self.mask(_other(batch), generator)
        masked: Batch = first.replace(extra={"B": second})
        return masked

    def loss(self, views: list[Batch]) -> LossResult:
        """Sum over both tables of three contrasts: known with unknown, and the two copies of each."""
        first = self._table_loss("A", views)
        second = self._table_loss("B", [_other(view) for view in views])
        return LossResult(first + second, {"loss_A": float(first.detach()), "loss_B": float(second.detach())})

    def _table_loss(self, table: str, views: list[Batch]) -> Float[Tensor, ""]:
        rows = _each_once(views[0].index)  # the smaller table is gone through several times while the larger is once
        x = torch.cat([view.x[rows] for view in views])  # both copies at once
        known = self.embeddings["known"](x[:, : self.q]).chunk(2)
        unknown = self.embeddings[table](x[:, self.q :]).chunk(2)
        if len(rows) < self.min_rows:  # of a table that is small beside the other: nothing to contrast
            nothing: Tensor = (known[0].sum() + unknown[0].sum()) * 0.0
            return nothing
        # copy with copy, so that no row has its own other copy among its negatives
        across = [clip(k, u, self.temperature) for k, u in zip(known, unknown, strict=True)]
        within = [nt_xent(copies[0], copies[1], self.temperature) for copies in (known, unknown)]
        return torch.stack([*across, *within]).sum()

    def embed(self, batch: Batch) -> Float[Tensor, "n d"]:
        """Of the known columns, which both tables have."""
        out: Tensor = self.embeddings["known"](batch.x[:, : self.q])
        return out

    def embed_unknown(self, table: str, x: Float[Tensor, "n columns"]) -> Float[Tensor, "n d"]:
        """Of the unknown columns of a table, ``"A"`` or ``"B"``."""
        out: Tensor = self.embeddings[table](x)
        return out


class _Embedding(nn.Sequential):
    """An encoder of numbers, and a linear map into the space in which rows are compared."""

    def __init__(self, columns: int, parameters: ContrastiveMatcher) -> None:
        encoder = MLPEncoder([0] * columns, parameters.hidden_dim, parameters.depth)
        super().__init__(encoder, nn.Linear(encoder.repr_dim, parameters.dim))


def unpaired(A: Float[Tensor, "n columns"], B: Float[Tensor, "m others"]) -> Batch:
    """Rows of both tables side by side, without meaning: those of the table with fewer are repeated in order.

    Examples
    --------
    >>> batch = unpaired(torch.zeros(3, 1), torch.ones(2, 2))
    >>> batch.index.tolist(), batch.extra["B"].index.tolist()
    ([0, 1, 2], [0, 1, 0])
    """
    size = max(len(A), len(B))
    first, second = (Batch.of(x).rows(torch.arange(size) % len(x)) for x in (A, B))
    return first.replace(extra={"B": second})


def sizes_of(batch: Batch) -> PairSizes:
    """Sizes of both tables of a batch."""
    first, second = (
        Sizes(cardinalities=(0,) * part.x.shape[1], rows=len(_each_once(part.index))) for part in (batch, _other(batch))
    )
    return PairSizes.of(first, second)


def signatures(
    method: ContrastiveColumns, table: str, x: Float[Tensor, "n columns"]
) -> Float64[np.ndarray, "columns d"]:
    r"""What each unknown column does to the embedding: its mean derivative over the rows with a value there, as a unit.

    .. math:: v_j = \operatorname{mean}_{i : x_{ij} \text{ observed}} \frac{\partial E(x_i)}{\partial x_{ij}}, \qquad
              \frac{v_j}{\|v_j\|}

    Zero for a column that no row has.
    """
    device = next(method.parameters()).device
    total = torch.zeros(x.shape[1], method.dim, dtype=torch.float64)
    for part in torch.split(x, _CHUNK):
        rows = part.to(device, copy=True).requires_grad_()
        summed = method.embed_unknown(table, rows).sum(dim=0)  # rows are independent, so each keeps its own derivative
        each = [torch.autograd.grad(value, rows, retain_graph=True)[0].sum(dim=0) for value in summed]
        total += torch.stack(each, dim=1).double().cpu()
    count = (~torch.isnan(x)).sum(dim=0).clamp(min=1)
    return F.normalize(total / count[:, None], dim=1).numpy()


def _each_once(index: Int64[Tensor, " n"]) -> Int64[Tensor, " _"]:
    """Places at which each row stands first."""
    places = torch.arange(len(index), device=index.device)
    _, group = torch.unique(index, return_inverse=True)
    first = torch.full((int(group.max()) + 1,), len(index), device=index.device)
    return first.scatter_reduce(0, group, places, "amin").sort().values


def _other(batch: Batch) -> Batch:
    other = batch.extra["B"]
    assert isinstance(other, Batch)
    return other
