"""SAINT as a method and an estimator: contrast of a row with its mixture, and denoising of the mixture."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from kinview.augmentations.table_cutmix import TableCutMix
from kinview.data.batch import Batch
from kinview.losses.cell_error import cell_error, cell_outputs
from kinview.losses.info_nce import InfoNCE
from kinview.methods import methods
from kinview.methods.estimators import shared_parameters as shared
from kinview.methods.estimators.shared_parameters import TextRule
from kinview.methods.estimators.tabular import TabularEstimator
from kinview.methods.saint.network import RowColumnTransformer
from kinview.modules.decoders import ColumnDecoder
from kinview.modules.projector import Perceptron
from kinview.parameters import parameterised, real, whole
from kinview.training.method import LossResult, Method, Sizes

__all__ = ["SAINT", "SAINTMethod"]

_TOKEN_VALUES = 2**21  # of one chunk


class SAINTMethod(Method):
    """A row and its mixture with other rows go through the network; two projectors and a decoder serve training."""

    training_defaults: ClassVar[dict[str, Any]] = {
        "batch_size": 256,
        "lr": 1e-4,
        "optimizer": "adamw",
        "weight_decay": 0.01,
        "max_epochs": 50,
    }
    min_rows: ClassVar[int] = 2

    def __init__(self, parameters: SAINT, sizes: Sizes) -> None:
        super().__init__(sizes)
        dim = parameters.repr_dim
        self.encoder = RowColumnTransformer(
            sizes.cardinalities,
            dim,
            parameters.depth,
            parameters.heads,
            parameters.centroids,
            parameters.attention_dropout,
            parameters.feed_forward_dropout,
        )
        outputs = cell_outputs(sizes.cardinalities)
        head = Perceptron(hidden_dim=parameters.hidden_dim, out_dim=parameters.projection_dim, batch_norm=False)
        self.projectors = nn.ModuleList(head.build((1 + len(outputs)) * dim) for _ in range(2))
        self.decoder = ColumnDecoder(outputs, dim, 5 * dim)
        self.cutmix = TableCutMix(parameters.corruption_rate)
        self.contrast = InfoNCE(parameters.temperature)
        self.mixup = parameters.mixup
        self.contrastive_weight = parameters.contrastive_weight
        self.category_weight = parameters.category_weight
        self.number_weight = parameters.number_weight

    def views(self, batch: Batch, generator: torch.Generator, progress: float) -> list[Batch]:
        """The rows, and these after CutMix; ``extra["mixed"]`` of these holds the row that each is mixed with."""
        view = self.cutmix(batch, generator)
        other = torch.randperm(len(batch), generator=generator, device=generator.device).to(batch.x.device)
        return [batch, view.replace(extra={**view.extra, "mixed": view.x[other]})]

    def loss(self, views: list[Batch]) -> LossResult:
        """InfoNCE of the rows and their mixtures in both directions, and the error of the rows that these give back."""
        clean, noisy = views
        other = noisy.extra["mixed"]
        assert isinstance(other, Tensor)
        network = self.encoder
        mixed = (1 - self.mixup) * network.tokens(noisy.x) + self.mixup * network.tokens(other)
        encoded = [network(network.tokens(clean.x), among="batch"), network(mixed, among="batch")]
        a, b = (
            projector(F.normalize(tokens, dim=2).flatten(1))
            for projector, tokens in zip(self.projectors, encoded, strict=True)
        )
        contrastive = (self.contrast(a, b) + self.contrast(b, a)) / 2
        categories, numbers = self._denoising(encoded[1], clean.x)
        total = self.contrastive_weight * contrastive + self.category_weight * categories + self.number_weight * numbers
        terms = {"contrastive": contrastive, "categories": categories, "numbers": numbers}
        return LossResult(total, {name: float(term.detach()) for name, term in terms.items()})

    def _denoising(self, tokens: Tensor, clean: Tensor) -> tuple[Tensor, Tensor]:
        """Cross-entropy of the categories, a sum over columns of means, and mean squared error of the numbers."""
        cardinalities = self.sizes.cardinalities
        error, counts = cell_error(self.decoder(tokens[:, 1:]), clean, cardinalities)
        category = torch.tensor([size > 0 for size in cardinalities], device=error.device)
        by_column = error.sum(dim=0) / counts.sum(dim=0).clamp_min(1)
        numbers = error[:, ~category].sum() / counts[:, ~category].sum().clamp_min(1)
        return by_column[category].sum(), numbers

    def embed(self, batch: Batch) -> Float[Tensor, "n d"]:
        """What [CLS] has become, among the centroids; the projectors and the decoder serve training only."""
        out: Tensor = self.encoder(self.encoder.tokens(batch.x))[:, 0]
        return out

    def after_training(self, rows: Batch, rows_a_chunk: int, generator: torch.Generator) -> None:
        """Learn the centroids of the training rows."""
        self.encoder.learn_centroids(rows.x, rows_a_chunk, generator)


@methods.register("saint", modality="tabular", reference="Somepalli et al., 2021, arXiv 2106.01342")
@parameterised
class SAINT(TabularEstimator):
    r"""SAINT: a row finds its mixture with other rows in the batch, and the mixture gives back the row's cells.

    Each cell is a token. In a layer, tokens of a row attend to one another, then rows attend to rows
    (:class:`~kinview.methods.saint.RowColumnTransformer`). A view takes each cell from another row with probability p
    (CutMix), and its tokens are mixed with those of a further one, :math:`(1 - \alpha) E(x') + \alpha E(x'_b)`. With
    projections z, z' of all tokens of a row and of its view, the loss is

    .. math:: \lambda_c \tfrac{1}{2} \big(\text{InfoNCE}(z, z'; \tau) + \text{InfoNCE}(z', z; \tau)\big)
              + \lambda_k \sum_{j\;\text{category}} \mathrm{CE}_j + \lambda_n \operatorname{mean}_{ij\;\text{number}}
              (\hat x_{ij} - x_{ij})^2 .

    The representation of a row is what its token [CLS] has become.

    **Rows in use.** While training, a row attends to the rows of its batch. In :meth:`transform` it attends to itself
    and to centroids, means of at least 5 training rows each, which count as many times as they have rows: an embedding
    depends on no other row of the batch, and a saved model holds no training row.

    Notes
    -----
    ================  ==========================  ===============================  ===================================
    what              paper                       official code                    kinview
    ================  ==========================  ===============================  ===================================
    token width d     32 (recalled)               32; 4 above 100 columns          32
    layers, heads     6, 8 (recalled)             1, 4 whenever there is           1, 4
                                                  attention over rows
    normalisation     before each sublayer        before; the residual is the      before; the residual is what came in
                                                  normalised value
    feed-forward      of whole rows, after        the same, 12 (d (M + 1))²        of each token, so that 450 columns
                      attention over rows         weights                          fit
    dropout           0.8 (recalled)              0.8; that of attention is        0.1; none of attention
                                                  never applied
    CutMix            0.3 (recalled)              off; 0.1 if asked for            0.3
    mixup             own row 0.2 (recalled)      off; own row 0.3 if asked for    own row 0.8
    projection        two heads                   two heads over all tokens, not   two heads over all tokens, 256 wide,
                                                  normalised                       normalised
    τ                 0.7 (recalled)              0.7                              0.7
    weights           contrast 1, denoising 10    contrast 0.5, categories 1,      0.5, 1, 10
                      (recalled)                  numbers 10
    rows in use       of the test batch           of the test batch                centroids of training rows
    missing cells     not read                    vectors of their own             vectors of their own
    training          AdamW 1e-4 (recalled)       AdamW 1e-4, batch 256, 50        the same
                                                  epochs
    ================  ==========================  ===============================  ===================================

    *Deviations.* At the published weights of mixup the larger part of a view is another row, which the row is then to
    be drawn to; here the larger part is its own. Projections are compared by their cosine, so that their length cannot
    stand in for the temperature. A missing cell is no target of the denoising.

    Centroids are found by k-means on the encoded cells of the training rows, after training. With fewer than five
    training rows, or ``centroids=0``, a row attends to itself alone.

    References
    ----------
    .. [1] Somepalli, Goldblum, Schwarzschild, Bruss, Goldstein: SAINT: Improved Neural Networks for Tabular Data via
       Row Attention and Contrastive Pre-Training, 2021, arXiv 2106.01342.

    Examples
    --------
    >>> import pandas as pd
    >>> from kinview.methods import SAINT
    >>> df = pd.DataFrame({"age": [31.0, 45.0, None, 62.0] * 5, "smoker": [True, False, True, False] * 5})
    >>> model = SAINT(repr_dim=8, hidden_dim=16, trainer={"max_epochs": 2}, random_state=0).fit(df)
    >>> model.transform(df).shape
    (20, 8)
    """

    repr_dim: int = whole(32, low=1, doc="d, the width of a token and of a representation (official code).")
    depth: int = whole(1, low=1, doc="Layers (official code, with attention over rows).")
    heads: int = whole(4, low=1, doc="Attention heads (official code, with attention over rows).")
    centroids: int = whole(32, low=0, high=4096, doc="Centroids that a row attends to in use, at most.")
    attention_dropout: float = real(0.0, low=0, below=1, doc="Dropout of attention weights.")
    feed_forward_dropout: float = real(0.1, low=0, below=1, doc="Dropout inside the feed-forward layers.")
    corruption_rate: float = real(0.3, low=0, high=1, doc="p of CutMix (paper).")
    mixup: float = real(0.2, low=0, high=1, doc="α, how much of a view's tokens is another row's; 0 for none.")
    hidden_dim: int = whole(256, low=1, doc="Hidden width of the projectors.")
    projection_dim: int = whole(128, low=1, doc="Size of a projection z.")
    temperature: float = shared.temperature(0.7, "(official code).")
    contrastive_weight: float = real(0.5, low=0, doc="λ_c of the contrast (official code).")
    category_weight: float = real(1.0, low=0, doc="λ_k of the categories given back (official code).")
    number_weight: float = real(10.0, low=0, doc="λ_n of the numbers given back (official code).")
    text: TextRule = shared.text()
    trainer: Any = shared.trainer(
        "the published ones: AdamW with learning rate 1e-4 and weight decay 0.01, 50 epochs of batches of 256 "
        "(official code)."
    )
    random_state: Any = shared.random_state()
    scaling: Any = shared.scaling_of_columns()

    method_class: ClassVar[type[Method]] = SAINTMethod
    training_only: ClassVar[frozenset[str]] = frozenset({
        "attention_dropout", "feed_forward_dropout", "corruption_rate", "mixup", "hidden_dim", "projection_dim",
        "temperature", "contrastive_weight", "category_weight", "number_weight",
    })  # fmt: skip

    def _rows_a_chunk(self, batch: Batch) -> int:
        """So many that the tokens of a chunk stay within bounds."""
        return max(1, _TOKEN_VALUES // (self.repr_dim * (1 + batch.x.shape[1])))
