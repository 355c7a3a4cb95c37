"""SCARF: contrastive representations of tables by random feature corruption (Bahri et al., ICLR 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from kinview.augmentations.column_corruption import ColumnCorruption
from kinview.data.batch import Batch
from kinview.encoders.mlp import MLPEncoder, mlp
from kinview.losses.info_nce import InfoNCE
from kinview.methods import methods
from kinview.methods.estimators import shared_parameters as shared
from kinview.methods.estimators.shared_parameters import TextRule
from kinview.methods.estimators.tabular import TabularEstimator
from kinview.parameters import parameterised, real, whole
from kinview.training.method import LossResult, Method, Sizes
from kinview.training.rowwise import RowwiseMethod

__all__ = ["SCARF", "SCARFMethod"]


class SCARFMethod(RowwiseMethod):
    """One corrupted view of each row must find its row; an MLP encoder and an MLP projector."""

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

    def __init__(self, parameters: SCARF, sizes: Sizes) -> None:
        super().__init__(sizes)
        width = parameters.hidden_dim
        self.encoder = MLPEncoder(sizes.cardinalities, width, parameters.depth)
        self.projector = mlp(width, width, parameters.projector_depth, last_activation=False)
        self.corruption = ColumnCorruption(parameters.corruption_rate)
        self.contrast = InfoNCE(parameters.temperature)

    def views(self, batch: Batch, generator: torch.Generator, progress: float) -> list[Batch]:
        """The rows as they are, and corrupted."""
        return [batch, self.corruption(batch, generator)]

    def representations(self, views: list[Batch]) -> list[Float[Tensor, "n d"]]:
        """The encoder's output for both views."""
        return [self.embed(view) for view in views]

    def loss_of_representations(self, views: list[Batch], representations: Sequence[Tensor]) -> LossResult:
        """InfoNCE from the rows to their corrupted views."""
        clean, corrupted = (self.projector(h) for h in representations)
        return LossResult(self.contrast(clean, corrupted))

    def embed(self, batch: Batch) -> Float[Tensor, "n d"]:
        """The encoder's output; the projector serves training only."""
        out: Tensor = self.encoder(batch.x)
        return out


@methods.register("scarf", modality="tabular", reference="Bahri et al., ICLR 2022, arXiv 2106.15147")
@parameterised
class SCARF(TabularEstimator):
    r"""SCARF: self-supervised contrastive learning on tables by random feature corruption.

    In a corrupted view of a row, :math:`q = \max(1, \lfloor c M \rfloor)` of its M columns hold independent draws from
    their training marginals. With :math:`z_i = g(f(x_i))` and :math:`\tilde z_i = g(f(\tilde x_i))` the loss is
    InfoNCE, :math:`-\frac{1}{N}\sum_i \log \frac{\exp(\cos(z_i, \tilde z_i)/\tau)}{\sum_k \exp(\cos(z_i, \tilde
    z_k)/\tau)}`. The representation is f(x).

    Notes
    -----
    An epoch's last, smaller batch is left out. There is no official code; public re-implementations corrupt a fraction
    1 − c, draw uniformly between the extremes or from one donor row, and use both directions.

    ============= ================================================== ============= =================================
    what          paper                                              official code kinview
    ============= ================================================== ============= =================================
    views         the row, and one view with q = ⌊cM⌋ columns        not released  the same, q at least 1
                  replaced, c = 0.6
    replacement   a draw from each column's training marginal        –             the same
    encoder       4 layers of 256, ReLU (recalled)                   –             the same, with an indicator of
                                                                                   missing cells a column
    projector     2 layers of 256 (recalled)                         –             the same; off after training
    loss          InfoNCE from rows to their views, cosine, τ = 1    –             the same without the constant log
                  (recalled), less log N                                           N
    optimiser     Adam, 1e-3, batch 128, up to 1,000 epochs,         –             the same
                  patience 3 (recalled)
    validation    static views of 10 % of all rows, 10 passes        –             of one eighth of the training
                  (recalled)                                                       rows
    missing cells mean or mode (recalled)                            –             stay missing, and are told
    ============= ================================================== ============= =================================

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

    corruption_rate: float = real(0.6, low=0, high=1, doc="c (paper).")
    hidden_dim: int = whole(256, low=1, doc="Width of all layers, and size D of a representation (paper).")
    depth: int = whole(4, low=1, doc="Layers of the encoder f (paper).")
    projector_depth: int = whole(2, low=0, doc="Layers of the projector g (paper).")
    temperature: float = shared.temperature(1.0, "(paper).")
    text: TextRule = shared.text()
    trainer: Any = shared.trainer(
        "the published ones: Adam, learning rate 1e-3, batch 128, up to 1000 epochs, stopped after 3 epochs without a "
        "better loss on static views of held-out rows (one eighth of the training rows: the paper's 70/10/20 split "
        "without its test part; 10 passes), the best weights kept."
    )
    random_state: Any = shared.random_state()
    scaling: Any = shared.scaling_of_columns()

    method_class: ClassVar[type[Method]] = SCARFMethod
    training_only: ClassVar[frozenset[str]] = frozenset({"corruption_rate", "projector_depth", "temperature"})
