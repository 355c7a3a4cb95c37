"""What C-MCR trains: a projector on each of two spaces, which meet at shared items and at pseudo items."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from kinview.data.batch import Batch
from kinview.losses.cmcr import CMCR as CMCRLoss, spherical_noise
from kinview.methods.estimators.paired import other_side
from kinview.methods.paired_embedding import LockedTower, PairedEmbeddingMethod, Tower
from kinview.training.method import LossResult, PairSizes, Sizes

__all__ = ["PSEUDO", "CMCRMethod"]

PSEUDO = "pseudo"
"""Where ``extra`` of a batch holds what a memory answers to the shared items."""


class CMCRMethod(PairedEmbeddingMethod):
    """A projector for each of two spaces that stay as they are."""

    training_defaults: ClassVar[dict[str, Any]] = {"batch_size": 1024, "lr": 1e-3, "optimizer": "adam"}

    def __init__(self, parameters: Any, sizes: Sizes) -> None:
        super().__init__(parameters, sizes)
        self.variance = parameters.noise_variance

    def _towers(self, parameters: Any, sizes: PairSizes) -> tuple[Tower, Tower]:
        widths = [len(own.cardinalities) for own in (sizes.first, sizes.second)]
        out = parameters.projection_dim or max(widths)
        first, second = (LockedTower(w, _projector(w, parameters.hidden_dim or 2 * w, out)) for w in widths)
        return first, second

    def _contrast(self, parameters: Any) -> nn.Module:
        return CMCRLoss(parameters.temperature, parameters.pseudo_temperature, parameters.intra_weight)

    def views(self, batch: Batch, generator: torch.Generator, progress: float) -> list[Batch]:
        """Shared items in both spaces, each with its pseudo item; noise on all four."""
        return [
            side.replace(
                x=spherical_noise(side.x, self.variance, generator),
                extra={PSEUDO: spherical_noise(_pseudo(side), self.variance, generator)},
            )
            for side in (batch, other_side(batch))
        ]

    def loss(self, views: list[Batch]) -> LossResult:
        """Both spaces meet at the shared items and at the pseudo items, which go through a projector together."""
        if len(views[0]) < self.min_rows:
            return self.nothing_to_learn()
        (a, first), (b, second) = (
            tower.projector(torch.cat([side.x, _pseudo(side)])).chunk(2)
            for tower, side in zip(self.towers, views, strict=True)
        )
        return LossResult(self.contrast(a, b, first, second))

    def after_training(self, rows: Batch, rows_a_chunk: int, generator: torch.Generator) -> None:
        """Nothing: what stands for a side that is lacking was learned of the memories."""


def _projector(width: int, hidden: int, out: int) -> nn.Module:
    return nn.Sequential(
        nn.Linear(width, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, out), nn.BatchNorm1d(out)
    )


def _pseudo(side: Batch) -> Tensor:
    found = side.extra[PSEUDO]
    assert isinstance(found, Tensor)
    return found
