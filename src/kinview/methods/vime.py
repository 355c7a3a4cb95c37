"""VIME's self-supervised part: which cells of a row are not its own, and what stood there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from kinview.augmentations.swap_noise import SwapNoise
from kinview.data.batch import Batch
from kinview.losses.cell_error import cell_error, cell_outputs
from kinview.methods import methods
from kinview.methods.estimators import shared_parameters as shared
from kinview.methods.estimators.components import encoder_of
from kinview.methods.estimators.shared_parameters import TextRule
from kinview.methods.estimators.tabular import TabularEstimator
from kinview.parameters import parameterised, real, spec
from kinview.training.method import LossResult, Method, Sizes
from kinview.training.rowwise import RowwiseMethod

__all__ = ["VIME", "VIMEMethod"]


class VIMEMethod(RowwiseMethod):
    """From a corrupted row, one linear head estimates the mask and another the row."""

    training_defaults: ClassVar[dict[str, Any]] = {
        "batch_size": 128,
        "lr": 1e-3,
        "optimizer": "adam",
        "max_epochs": 10,
    }

    def __init__(self, parameters: VIME, sizes: Sizes) -> None:
        super().__init__(sizes)
        outputs = sum(cell_outputs(sizes.cardinalities))
        one_layer = {"mlp": {"hidden_dim": outputs, "depth": 1}}
        self.encoder = encoder_of("encoder", parameters.encoder or one_layer, sizes)
        dim: Any = self.encoder.repr_dim
        self.mask_head = nn.Linear(dim, len(sizes.cardinalities))
        self.cell_head = nn.Linear(dim, outputs)
        self.corruption = SwapNoise(parameters.corruption_rate)
        self.mask_weight = parameters.mask_weight
        self.reconstruction_weight = parameters.reconstruction_weight

    def views(self, batch: Batch, generator: torch.Generator, progress: float) -> list[Batch]:
        """The corrupted rows; ``extra["clean"]`` holds them as they are."""
        return [self.corruption(batch, generator).replace(extra={**batch.extra, "clean": batch.x})]

    def representations(self, views: list[Batch]) -> list[Float[Tensor, "n d"]]:
        """The encoder's output for the corrupted rows."""
        return [self.embed(view) for view in views]

    def loss_of_representations(self, views: list[Batch], representations: Sequence[Tensor]) -> LossResult:
        """Cross-entropy of the mask and error of the cells, each a mean over what is observed."""
        (corrupted,), (h,) = views, representations
        clean = corrupted.extra["clean"]
        assert isinstance(clean, Tensor)
        changed = (corrupted.x != clean).to(h.dtype)
        unlike = F.binary_cross_entropy_with_logits(self.mask_head(h), changed, reduction="none")
        mask = _mean(unlike, ~torch.isnan(clean))
        reconstruction = _mean(*cell_error(self.cell_head(h), clean, self.sizes.cardinalities))
        total = self.mask_weight * mask + self.reconstruction_weight * reconstruction
        return LossResult(total, {"mask": float(mask.detach()), "reconstruction": float(reconstruction.detach())})

    def embed(self, batch: Batch) -> Float[Tensor, "n d"]:
        """The encoder's output; the heads serve training only."""
        out: Tensor = self.encoder(batch.x)
        return out


def _mean(values: Tensor, counts: Tensor) -> Tensor:
    """Mean over the cells that count; zero where none does."""
    return torch.where(counts, values, 0).sum() / counts.sum().clamp_min(1)


@methods.register("vime", modality="tabular", reference="Yoon et al., NeurIPS 2020")
@parameterised
class VIME(TabularEstimator):
    r"""VIME (self-supervised): from a corrupted row, estimate which cells were replaced and what stood there.

    Each cell is replaced with probability p by a draw from its column's training marginal
    (:class:`~kinview.augmentations.SwapNoise`), which gives :math:`\tilde x` and the mask :math:`m_{ij} = [\tilde
    x_{ij} \ne x_{ij}]`. With :math:`h = f(\tilde x)` and two linear heads the loss is

    .. math:: \lambda_m \operatorname{mean}_{ij} \mathrm{BCE}(\hat m_{ij}, m_{ij})
              + \alpha \operatorname{mean}_{ij} e(\hat x_{ij}, x_{ij}),

    e the squared error of a number and the cross-entropy of a category. The representation is f(x).

    Notes
    -----
    ==============  ==============================  ==============================  ================================
    what            paper                           official code                   kinview
    ==============  ==============================  ==============================  ================================
    columns         [0, 1] (recalled)               [0, 1], all of them numbers     standardised; categories; gaps
    corruption      p 0.3, from the marginal        p 0.3, each column permuted,    p 0.3, from the marginal, drawn
                    (recalled)                      once before training            anew at each step
    mask            of the cells drawn (recalled)   of the cells that changed       of the cells that changed
    encoder         perceptron (recalled)           one layer d → d, ReLU           the same, of d encoded columns
    heads           one for the mask, one for the   linear, both with a sigmoid     linear, a sigmoid for the mask
                    cells
    loss of cells   squared error                   squared error                   the same; cross-entropy of
                                                                                    categories
    α               2 (recalled)                    2                               2
    training        not read                        RMSprop, batch 128, 10 epochs   Adam 1e-3, the same batch and
                                                                                    epochs
    ==============  ==============================  ==============================  ================================

    *Deviations.* The official sigmoid on reconstructed cells asks for values in [0, 1]; standardised numbers have no
    such bounds. A mask drawn once lets the network learn it by heart within the ten epochs; here each step has its own.
    Cells that are missing are neither replaced nor targets. The second, semi-supervised stage of the paper needs labels
    and is no part of this method.

    References
    ----------
    .. [1] Yoon, Zhang, Jordon, van der Schaar: VIME: Extending the Success of Self- and Semi-supervised Learning to
       Tabular Domain, NeurIPS 2020.

    Examples
    --------
    >>> import pandas as pd
    >>> from kinview.methods import VIME
    >>> df = pd.DataFrame({"age": [31.0, 45.0, None, 62.0] * 5, "smoker": [True, False, True, False] * 5})
    >>> encoder = {"mlp": {"hidden_dim": 8, "depth": 1}}
    >>> VIME(encoder=encoder, trainer={"max_epochs": 2}, random_state=0).fit(df).transform(df).shape
    (20, 8)
    """

    corruption_rate: float = real(0.3, low=0, high=1, doc="p (official code).")
    encoder: Any = spec(
        None,
        "encoder",
        doc="Any registered encoder of tables. None: ``{mlp: {depth: 1}}``, one layer as wide as the columns are when "
        "categories are one-hot (official code).",
    )
    mask_weight: float = real(1.0, low=0, doc="λ_m of the mask (official code).")
    reconstruction_weight: float = real(2.0, low=0, doc="α of the reconstructed cells (official code).")
    text: TextRule = shared.text()
    trainer: Any = shared.trainer(
        "Adam with learning rate 1e-3, 10 epochs of batches of 128 (official code: the same, with RMSprop)."
    )
    random_state: Any = shared.random_state()
    scaling: Any = shared.scaling_of_columns()

    method_class: ClassVar[type[Method]] = VIMEMethod
    embeds_by_encoder: ClassVar[bool] = True
    training_only: ClassVar[frozenset[str]] = frozenset({"corruption_rate", "mask_weight", "reconstruction_weight"})
