"""TS-TCC: temporal and contextual contrasting of two augmented views of series (Eldele et al., IJCAI 2021)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from kinview.data.batch import Batch
from kinview.data.gaps import trimmed, valid_lengths, with_something_observed
from kinview.data.modality import SERIES
from kinview.encoders.front_end import FillRule, FrontEndMode, MissingRule
from kinview.encoders.pooling import PoolingName, pool_segments
from kinview.encoders.tstcc_cnn import TSTCCEncoder
from kinview.losses.nt_xent import NTXent
from kinview.losses.temporal_cpc import TemporalCPC
from kinview.methods import methods
from kinview.methods.estimators import shared_parameters as shared
from kinview.methods.estimators.components import gaps_of, one_view_of, series_encoder_arguments, with_gaps
from kinview.methods.estimators.series import SeriesEstimator
from kinview.methods.tstcc.context import TemporalPredictor, features_after, split_in_time
from kinview.methods.tstcc.official_weights import official_state
from kinview.modules.projector import projector
from kinview.parameters import parameterised, real, whole
from kinview.training.method import LossResult, Method, Sizes
from kinview.training.rowwise import RowwiseMethod

__all__ = ["TSTCC", "TSTCCMethod"]


class TSTCCMethod(RowwiseMethod):
    """A weak and a strong view predict each other's next features, and their contexts find each other."""

    training_defaults: ClassVar[dict[str, Any]] = dict(shared.TSTCC_TRAINING)
    min_rows: ClassVar[int] = 2

    def __init__(self, parameters: TSTCC, sizes: Sizes) -> None:
        super().__init__(sizes)
        self.encoder = TSTCCEncoder(
            **series_encoder_arguments(parameters, sizes), kernel_size=parameters.kernel_size, stride=parameters.stride
        )
        self.predictor = TemporalPredictor(
            parameters.repr_dim,
            parameters.prediction_steps,
            parameters.context_dim,
            parameters.context_depth,
            parameters.context_heads,
        )
        weak, strong = (
            one_view_of(name, getattr(parameters, name), SERIES)
            for name in ("weak_augmentation", "strong_augmentation")
        )
        width = parameters.repr_dim  # hidden layer and output in the official code's proportions
        self.projector = projector(self.predictor.context.dim, max(1, width // 2), max(1, width // 4))
        self.prediction = TemporalCPC()
        self.contrast = NTXent(parameters.temperature)
        self.temporal_weight = float(parameters.temporal_weight)
        self.contextual_weight = float(parameters.contextual_weight)
        self.pooling = parameters.pooling
        self.segments = parameters.segments
        self.weak, self.strong = weak, strong
        self.gaps = gaps_of(parameters)

    def views(self, batch: Batch, generator: torch.Generator, progress: float) -> list[Batch]:
        """Weak and strong view; ``extra["split_point"]`` places the step t that ends the contexts, a draw a batch."""
        split_point = torch.rand((), generator=generator).to(batch.x.device)
        views = [augmentation.at(progress)(batch, generator) for augmentation in (self.weak, self.strong)]
        return [
            view.replace(extra={**view.extra, "split_point": split_point.expand(len(view))})
            for view in with_gaps(views, self.gaps, generator, progress)
        ]

    def rows_of_loss(self, views: list[Batch]) -> list[Batch]:
        """Rows with something observed in each view."""
        return with_something_observed(views)

    def representations(self, views: list[Batch]) -> list[Float[Tensor, "n d s"]]:
        """Normalised features over time of both views."""
        return [F.normalize(self.features(view), dim=1) for view in views]

    def loss_of_representations(self, views: list[Batch], representations: Sequence[Tensor]) -> LossResult:
        """λ1 (TC of weak → strong + TC of strong → weak) + λ2 NT-Xent of the projected contexts; see :class:`TSTCC`."""
        weak, strong = representations
        temporal, contexts = self.temporal_contrast(weak, strong, *(self._split(views)))
        contextual = self.contrast(*(self.projector(context) for context in contexts))
        total = self.temporal_weight * temporal + self.contextual_weight * contextual
        parts = torch.stack([temporal, contextual]).detach().tolist()
        return LossResult(total, dict(zip(("temporal", "contextual"), parts, strict=True)))

    def temporal_contrast(
        self, weak: Float[Tensor, "n d t"], strong: Float[Tensor, "n d s"], last: Tensor, ahead: Tensor
    ) -> tuple[Float[Tensor, ""], tuple[Tensor, Tensor]]:
        """Sum of both directions, and the two contexts.

        Parameters
        ----------
        weak, strong : Tensor
            Normalised features ``(n, D, T')``.
        last, ahead : Tensor
            Last step of each row's context, and which of the next steps it has; see
            :func:`~kinview.methods.tstcc.context.split_in_time`.
        """
        n, steps = ahead.shape
        end = int(last.max()) + 1  # both views in one call: no layer of the predictor looks at other rows
        context, predicted = self.predictor(
            torch.cat([weak[:, :, :end], strong[:, :, :end]]), torch.cat([last, last]), steps
        )
        contexts = context[:n], context[n:]
        if steps == 0:  # nothing follows the first feature of any row
            return context.sum() * 0.0, contexts
        observed = None if bool(ahead.all()) else ahead
        forward = self.prediction(predicted[:n], features_after(strong, last, steps), observed=observed)
        backward = self.prediction(predicted[n:], features_after(weak, last, steps), observed=observed)
        return forward + backward, contexts

    def features(self, batch: Batch) -> Float[Tensor, "n d s"]:
        """Features over time; zero beyond those that belong to a series."""
        z: Tensor = self.encoder(batch.x, times=batch.times)
        return z

    def embed(self, batch: Batch) -> Float[Tensor, "n d"]:
        """Features summed up over those that belong to each series; zero for a series without observations."""
        batch = trimmed(batch)
        z = pool_segments(self.features(batch), self._lengths(batch), self.segments, self.pooling)
        return z.masked_fill(torch.isnan(batch.x).flatten(1).all(dim=1, keepdim=True), 0.0)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """All parameters, with the β of the official code."""
        return [{**group, "betas": shared.TSTCC_BETAS} for group in super().parameter_groups()]

    def _lengths(self, batch: Batch) -> Tensor:
        return self.encoder.feature_lengths(valid_lengths(batch.x, batch.times))

    def _split(self, views: list[Batch]) -> tuple[Tensor, Tensor]:
        lengths = torch.minimum(*(self._lengths(view) for view in views))
        split_point = views[0].extra["split_point"]
        assert isinstance(split_point, Tensor)
        return split_in_time(lengths, self.predictor.prediction_steps, split_point)


@methods.register(
    "tstcc",
    modality="time_series",
    reference="Eldele et al., IJCAI 2021, arXiv 2106.14112",
)
@parameterised
class TSTCC(SeriesEstimator):
    r"""TS-TCC: representations of series by temporal and contextual contrasting.

    A weak and a strong view of each series go through a convolutional encoder, whose features z are normalised at every
    step. *Temporal contrasting*: a transformer sums the features of one view up to a step t up in a context c, from
    which K linear maps predict the next K features **of the other view**; each of these has to find its context among
    those of the batch. *Contextual contrasting*: the projected contexts of the two views of a series have to find each
    other among all 2n.

    .. math:: L = \lambda_1 (L_{TC}^{w \to s} + L_{TC}^{s \to w}) + \lambda_2 L_{CC}, \quad
              L_{TC}^{w \to s} = -\frac{1}{nK} \sum_{k=1}^{K} \sum_i \log
              \frac{\exp(z^s_{i,t+k} \cdot W_k c^w_i)}{\sum_j \exp(z^s_{i,t+k} \cdot W_k c^w_j)}

    with t uniform on 0 … T' − K − 1, one draw a batch, and :math:`L_{CC}` = NT-Xent with temperature τ. The
    representation is the encoder's features, pooled.

    Notes
    -----
    *Representation.* The official code classifies the features of all steps side by side. That fixes the length of the
    series and lets padding in, so here they are pooled over the steps that belong to a series, whole or in ``segments``
    of its own length; ``encode`` gives the features by themselves.

    *Gaps and unequal lengths.* Each row carries its length through the encoder. A row's step t has the same place
    relative to its own length as the others'; steps that a short series does not have are left out of the loss. A
    series without any observation is left out of the training, and represented by the zero vector.

    *Deviations from the official code* stand in the table. With the same weights features, temporal loss and
    projections agree to 1e-5 (:meth:`from_official`); with as many ``segments`` as features (24 for 178 steps) a
    representation is what the official classifier reads. On a hundred series 40 epochs are 40 steps: give
    ``trainer={"max_epochs": ...}`` or a smaller ``batch_size`` where that is too few.

    ============== =============== =============================================== =================================
    what           paper           official code                                   kinview
    ============== =============== =============================================== =================================
    encoder        3 convolutional 8 taps (25 for Sleep-EDF), 32, 64 and 128       the same, masked so that neither
                   blocks          channels, no bias, BN, ReLU, max-pool; dropout  padding nor other rows are seen
                                   0.35
    weak view      jitter and      each *time step* times its own N(2, σ)          one factor for each series and
                   scaling                                                         channel
    strong view    permutation,    a permutation that copies channel 0 into all    steps move, all channels with
                   jitter          channels, then jitter                           them; jitter
    views drawn    –               once, before the first epoch                    afresh at every step
    step t         one, random     one for each direction of a batch               one a batch, at the same place
                                                                                   relative to each series' length
    K              –               6 (HAR), 10 (Epilepsy)                          6, at most T' − 1
    context        transformer     4 layers, pre-norm, width 100, 4 heads,         the same
                   with a token in attention scale 100^−½, no positions
                   front
    softmax        over the        over its contexts                               over its contexts; the loss
                   futures of the                                                  ``temporal_cpc`` has both
                   batch
    projector      non-linear      64, BN, ReLU, 32                                the same
    τ, λ1, λ2      0.2, 1, 0.7     0.2, 1, 0.7                                     the same
    optimiser      Adam, 3e-4      Adam, 3e-4, β (0.9, 0.99), weight decay 3e-4;   the same
                                   batch 128, 40 epochs
    fewer than 128 –               no step is made, without a word                 one batch
    gaps           –               –                                               value and mask, gaps completed
    representation features        those of all steps side by side                 their mean, or by ``segments``
    frozen probe   encoder frozen  dropout on, statistics of BN move               eval mode
    ============== =============== =============================================== =================================

    References
    ----------
    .. [1] Eldele, Ragab, Chen, Wu, Kwoh, Li, Guan: Time-Series Representation Learning via Temporal and Contextual
       Contrasting, IJCAI 2021, arXiv 2106.14112.

    Examples
    --------
    >>> import numpy as np
    >>> from kinview import TSTCC
    >>> X = np.sin(np.arange(120.0)).reshape(4, 1, 30)
    >>> model = TSTCC(repr_dim=8, hidden_dim=4, context_dim=8, trainer={"max_steps": 2}, random_state=0)
    >>> model.fit(X).transform(X).shape
    (4, 8)
    >>> model.encode(X).shape  # one feature for about 8 steps
    (4, 8, 6)
    """

    repr_dim: int = whole(128, low=1, doc="Channels D of the features, and size of a representation (official code).")
    hidden_dim: int = whole(32, low=1, doc="Channels of the first block; the second has twice as many (official code).")
    kernel_size: int = whole(
        8, low=1, doc="Of the first convolution (official code: 8 for HAR and Epilepsy, 25 for Sleep-EDF)."
    )
    stride: int = whole(
        1, low=1, doc="Of the first convolution (official code: 1 for HAR and Epilepsy, 3 for Sleep-EDF)."
    )
    dropout: float = real(0.35, low=0, below=1, doc="After the first block (official code).")
    prediction_steps: int = whole(
        6,
        low=1,
        doc="K (official code: 6 for HAR, 10 for Epilepsy). A series with T' features predicts at most T' − 1.",
    )
    context_dim: int = whole(100, low=1, doc="Width of the context transformer (official code).")
    context_depth: int = whole(4, low=1, doc="Layers of the context transformer (official code).")
    context_heads: int = whole(
        4, low=1, doc="Attention heads of the context transformer, which divide its width (official code)."
    )
    temperature: float = shared.temperature(0.2, "(paper).")
    temporal_weight: float = real(1.0, low=0, doc="λ1 (paper).")
    contextual_weight: float = real(0.7, low=0, doc="λ2 (paper).")
    weak_augmentation: Any = shared.augmentation(
        "tstcc_weak",
        "Weak view, drawn afresh at every step. The recipe is the paper's: one scaling factor for each series and "
        "channel.",
    )
    strong_augmentation: Any = shared.augmentation(
        "tstcc_strong",
        "Strong view, drawn afresh at every step. The recipe is the paper's: permutation and jitter.",
    )
    pooling: PoolingName = shared.pooling(
        "How the features of a series become one vector. The mean is what the official classifier, linear on the "
        "features of all steps side by side, can read with the same weights at every step."
    )
    segments: int = whole(
        1,
        low=1,
        doc="Pool each of so many equal parts of a series by itself: a representation then has repr_dim · segments "
        "values, and with as many segments as features it is the official input of the classifier.",
    )
    missing: MissingRule = shared.missing()
    front_end: FrontEndMode = shared.front_end()
    scaling: Any = shared.scaling()
    trainer: Any = shared.trainer(shared.TSTCC_TRAINING_IN_WORDS)
    random_state: Any = shared.random_state()
    fill: FillRule = shared.fill()
    gaps: Any = shared.gaps()

    method_class: ClassVar[type[Method]] = TSTCCMethod
    training_only: ClassVar[frozenset[str]] = frozenset({
        "dropout", "prediction_steps", "context_dim", "context_depth", "context_heads", "temperature", "gaps",
        "temporal_weight", "contextual_weight", "weak_augmentation", "strong_augmentation",
    })  # fmt: skip

    def encode(self, X: Any) -> Float[np.ndarray, "n d s"]:
        """Features over time, not pooled.

        Parameters
        ----------
        X : panel
            Series ``(n, C, T)``.

        Returns
        -------
        ndarray
            ``(n, D, T')``: with the defaults about one feature for 8 steps, each of which sees 57. Features beyond
            those that belong to a series are zero.
        """
        self.check_is_fitted()
        result: np.ndarray = self._in_chunks(self.to_batch(X), self._method.features).numpy()
        return result

    @classmethod
    def from_official(cls, path: str | os.PathLike[str], stride: int = 1) -> Self:
        """Estimator with the weights of an official checkpoint, and the official network.

        Parameters
        ----------
        path : path
            A file ``ckp_last.pt`` of the official code: the state dicts of encoder and temporal module. It is read
            without executing anything in it. The classifier on top is left out; the number of steps that it reads
            becomes ``segments``, so that series of the official length are represented as in the official code.
        stride : int, default 1
            Of the first convolution, which no weight tells (official code: 1; 3 for Sleep-EDF).

        Raises
        ------
        ValueError
            If the file is not such a checkpoint.

        Notes
        -----
        The official loaders leave the data as they are, so the estimator does too (``scaling=None``); a gap is shown as
        zeros.
        """
        state, sizes = official_state(path)
        channels = sizes.pop("channels")
        parameters: dict[str, Any] = {**sizes, "stride": stride, "front_end": "values", "fill": "zero", "scaling": None}
        return cls(**parameters)._take_official(path, state, channels=channels)

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Cheap parameters for sktime's estimator checks."""
        sizes = {"repr_dim": 4, "hidden_dim": 2, "context_dim": 4, "context_depth": 1, "context_heads": 1}
        small = {**sizes, "trainer": {"max_steps": 2}, "random_state": 0}
        return [small, {**small, "pooling": "max", "front_end": "values", "scaling": None}]

    @property
    def _method(self) -> TSTCCMethod:
        assert isinstance(self.method_, TSTCCMethod)
        return self.method_

    def check_parameters(self) -> None:
        """Refuse parameters out of range, and weights of which none is left."""
        super().check_parameters()
        if self.temporal_weight == 0 and self.contextual_weight == 0:
            raise ValueError("temporal_weight and contextual_weight are both 0: nothing is left to train; raise one")
