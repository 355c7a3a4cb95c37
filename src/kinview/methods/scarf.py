"""SCARF: contrastive representations of tables by random feature corruption (Bahri et al., ICLR 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from kinview.augmentations.column_corruption import ColumnCorruption
from kinview.data.batch import Batch
from kinview.encoders.mlp import MLPEncoder, mlp
from kinview.losses.info_nce import InfoNCE
from kinview.methods import methods
from kinview.methods.estimators.tabular import TabularEstimator
from kinview.training.method import Method

__all__ = ["SCARF", "SCARFMethod"]


class SCARFMethod(Method):
    """One corrupted view of each row must find its row; an MLP encoder and an MLP projector.

    Parameters
    ----------
    cardinalities : sequence of int
        See :class:`kinview.encoders.TableFrontEnd`.
    hidden_dim, depth, projector_depth : int
        Sizes of the encoder and of the projector.
    corruption_rate : float
        Share of the columns that is replaced in a row.
    temperature : float
        τ of InfoNCE.
    """

    training_defaults: ClassVar[dict[str, Any]] = {
        "batch_size": 128,
        "lr": 1e-3,
        "optimizer": "adam",
        "max_epochs": 1000,
        "drop_last": True,
        "validation_fraction": 0.125,
        "validation_passes": 10,
        "patience": 3,
    }
    min_rows: ClassVar[int] = 2

    def __init__(
        self,
        cardinalities: Sequence[int],
        hidden_dim: int = 256,
        depth: int = 4,
        projector_depth: int = 2,
        corruption_rate: float = 0.6,
        temperature: float = 1.0,
    ) -> None:
        super().__init__()
        self.encoder = MLPEncoder(cardinalities, hidden_dim, depth)
        self.projector = mlp(hidden_dim, hidden_dim, projector_depth, last_activation=False)
        self.corruption = ColumnCorruption(corruption_rate)
        self.contrast = InfoNCE(temperature)

    def views(self, batch: Batch, generator: torch.Generator, progress: float) -> list[Batch]:
        """The rows as they are, and corrupted."""
        return [batch, self.corruption(batch, generator)]

    def loss(self, views: list[Batch]) -> tuple[Float[Tensor, ""], dict[str, float]]:
        """InfoNCE from the rows to their corrupted views."""
        clean, corrupted = (self.projector(self.encoder(view.x)) for view in views)
        return self.contrast(clean, corrupted), {}

    def embed(self, batch: Batch) -> Float[Tensor, "n d"]:
        """The encoder's output; the projector serves training only."""
        out: Tensor = self.encoder(batch.x)
        return out


@methods.register("scarf", modality="tabular", reference="Bahri et al., ICLR 2022, arXiv 2106.15147")
class SCARF(TabularEstimator):
    r"""SCARF: self-supervised contrastive learning on tables by random feature corruption.

    In a corrupted view of a row, :math:`q = \max(1, \lfloor c M \rfloor)` of its M columns hold independent draws from
    their training marginals. With :math:`z_i = g(f(x_i))` and :math:`\tilde z_i = g(f(\tilde x_i))` the loss is
    InfoNCE, :math:`-\frac{1}{N}\sum_i \log \frac{\exp(\cos(z_i, \tilde z_i)/\tau)}{\sum_k \exp(\cos(z_i, \tilde
    z_k)/\tau)}`. The representation is f(x).

    Parameters
    ----------
    corruption_rate : float, default 0.6
        c (paper).
    hidden_dim : int, default 256
        Width of all layers, and size D of a representation (paper).
    depth : int, default 4
        Layers of the encoder f (paper).
    projector_depth : int, default 2
        Layers of the projector g (paper).
    temperature : float, default 1.0
        τ (paper).
    text : {"refuse", "categorical"}, default "refuse"
        What to do with text columns whose values are nearly all distinct (identifiers, free text).
    trainer : Trainer or mapping, optional
        Training values other than the published ones: Adam, learning rate 1e-3, batch 128, up to 1000 epochs, stopped
        after 3 epochs without a better loss on static views of held-out rows (one eighth of the training rows: the
        paper's 70/10/20 split without its test part; 10 passes), the best weights kept.
    random_state : int, optional
        Seed. The same seed, machine and number of threads give the same bits.

    Notes
    -----
    *Deviations from the paper.* Missing cells stay missing and are shown to the encoder by an indicator a column (the
    paper imputes). An epoch's last, smaller batch is left out. There is no official code; public re-implementations
    corrupt a share 1 − c, draw uniformly between the extremes or from one donor row, and use both directions.

    References
    ----------
    .. [1] Bahri, Jiang, Tay, Metzler: SCARF: Self-Supervised Contrastive Learning using Random Feature Corruption,
       ICLR 2022, arXiv 2106.15147.

    Examples
    --------
    >>> import pandas as pd
    >>> from kinview import SCARF
    >>> df = pd.DataFrame({"age": [31.0, 45.0, None, 62.0] * 5, "smoker": [True, False, True, False] * 5})
    >>> model = SCARF(hidden_dim=8, trainer={"max_epochs": 2}, random_state=0).fit(df)
    >>> model.transform(df).shape
    (20, 8)
    """

    def __init__(
        self,
        corruption_rate: float = 0.6,
        hidden_dim: int = 256,
        depth: int = 4,
        projector_depth: int = 2,
        temperature: float = 1.0,
        text: Literal["refuse", "categorical"] = "refuse",
        trainer: Any = None,
        random_state: Any = None,
    ) -> None:
        self.corruption_rate = corruption_rate
        self.hidden_dim = hidden_dim
        self.depth = depth
        self.projector_depth = projector_depth
        self.temperature = temperature
        self.text = text
        self.trainer = trainer
        self.random_state = random_state

    def _build(self, batch: Batch) -> Method:
        return SCARFMethod(
            self.schema_.cardinalities,
            hidden_dim=self.hidden_dim,
            depth=self.depth,
            projector_depth=self.projector_depth,
            corruption_rate=self.corruption_rate,
            temperature=self.temperature,
        )

    def _why_not_trainable(self, rows: Batch) -> str | None:
        if len(rows) < 2:
            return f"contrast needs at least two rows, there are {len(rows)}"
        return None
