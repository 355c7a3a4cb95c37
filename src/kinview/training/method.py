"""What a pre-training method is to the rest of the package."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kinview.data.batch import Batch

__all__ = ["Method", "Sizes"]


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Sizes of the data that a network is built for: what a method has to know of them before its first batch.

    Parameters
    ----------
    channels, length : int
        Of series; 0 for a table, or where the length is not known.
    cardinalities : tuple of int
        One a column of a table, 0 for a number; see :class:`kinview.encoders.TableFrontEnd`. Empty for series.
    rows : int
        Training rows; 0 where there are none.

    Examples
    --------
    >>> Sizes(channels=3, length=140).modality
    'time_series'
    >>> Sizes.from_config(Sizes(cardinalities=(0, 4), rows=50).to_config())
    Sizes(channels=0, length=0, cardinalities=(0, 4), rows=50)
    """

    channels: int = 0
    length: int = 0
    cardinalities: tuple[int, ...] = ()
    rows: int = 0

    @property
    def modality(self) -> Literal["time_series", "tabular"]:
        """Which of both these are sizes of."""
        return "tabular" if self.cardinalities else "time_series"

    def to_config(self) -> dict[str, Any]:
        """Plain data for a model file."""
        return {**dataclasses.asdict(self), "cardinalities": list(self.cardinalities)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_config`."""
        return cls(**{**config, "cardinalities": tuple(config["cardinalities"])})


class Method(nn.Module, ABC):
    """A paper's recipe: which views, which encoder, which loss.

    A method knows no loop, no file and no data type. All its state is parameters and buffers, so that a checkpoint is
    its ``state_dict``. It is made by ``Method(parameters, sizes)``: an estimator whose fields are the parameters, which
    the method reads and does not keep, and the :class:`Sizes` of the data. It declares no parameter of its own.

    Attributes
    ----------
    training_defaults : dict
        The paper's values of :class:`~kinview.Trainer` fields.
    min_rows : int
        Fewest rows of which a step can be made: 2 where the loss contrasts the rows of a batch with one another.
    """

    training_defaults: ClassVar[dict[str, Any]] = {}
    min_rows: ClassVar[int] = 1

    @abstractmethod
    def views(self, batch: Batch, generator: torch.Generator, progress: float) -> list[Batch]:
        """Views of one batch; ``progress`` runs from 0 to 1 over training."""

    @abstractmethod
    def loss(self, views: list[Batch]) -> tuple[Float[Tensor, ""], dict[str, float]]:
        """Scalar loss of the views, and what to log beside it."""

    @abstractmethod
    def embed(self, batch: Batch) -> Float[Tensor, "n d"]:
        """Representation of each row; a row's does not depend on the other rows."""

    def after_step(self, progress: float) -> None:
        """Whatever follows an optimiser step (momentum encoders, queues, clamps); nothing by default."""

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Parameters for the optimiser, as torch's parameter groups."""
        return [{"params": [p for p in self.parameters() if p.requires_grad]}]
