"""Mixing-up: a mixed series must tell both of its parts, and how much of each it is (Wickstrøm et al., 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from kinview.augmentations.mixing import Mixup
from kinview.data.batch import Batch
from kinview.data.gaps import offset_of, with_something_observed
from kinview.encoders.pooling import PoolingName, pooled
from kinview.losses.mixup_contrastive import MixupContrastive
from kinview.methods import methods
from kinview.methods.estimators import shared_parameters as shared
from kinview.methods.estimators.components import encoder_of, gaps_of, width_of, with_gaps
from kinview.methods.estimators.series import SeriesEstimator
from kinview.modules.projector import projector
from kinview.parameters import flag, parameterised, real, spec
from kinview.training.method import LossResult, Method, Sizes
from kinview.training.rowwise import RowwiseMethod

__all__ = ["MixingUp", "MixingUpMethod"]


class MixingUpMethod(RowwiseMethod):
    """Each series, and its mixture with another one of the batch; an encoder, a projector, a loss between them."""

    training_defaults: ClassVar[dict[str, Any]] = {
        "batch_size": 128,
        "lr": 1e-3,
        "optimizer": "adam",
        "max_epochs": 200,
        "drop_last": True,
    }
    min_rows: ClassVar[int] = 2

    def __init__(self, parameters: MixingUp, sizes: Sizes) -> None:
        super().__init__(sizes)
        self.encoder = encoder_of("encoder", parameters.encoder, sizes)
        width = width_of(self.encoder)
        self.projector = projector(width, parameters.hidden_dim or width, parameters.projection_dim)
        self.mixup = Mixup(parameters.alpha, shared=parameters.shared_coefficient)
        self.gaps = gaps_of(parameters)
        self.contrast = MixupContrastive(parameters.temperature)
        self.pooling: PoolingName = parameters.pooling

    def views(self, batch: Batch, generator: torch.Generator, progress: float) -> list[Batch]:
        """The series as they are, and each mixed with another one: ``extra`` of the second view says which and how."""
        (batch,) = with_something_observed(with_gaps([batch], self.gaps, generator, progress))
        return [batch, self.mixup(batch, generator)] if len(batch) else [batch, batch]

    def representations(self, views: list[Batch]) -> list[Float[Tensor, "n d"]]:
        """The encoder's output for both views."""
        return [self.embed(view) for view in views]

    def loss_of_representations(self, views: list[Batch], representations: Sequence[Tensor]) -> LossResult:
        """Loss of the mixtures among both batches, the second being the partners of the rows of the first."""
        z, mixed = (self.projector(h) for h in representations)
        partner, coefficient = views[1].extra["partner"], views[1].extra["coefficient"]
        assert isinstance(partner, Tensor) and isinstance(coefficient, Tensor)
        index = views[0].index
        value = self.contrast(mixed, z, z[partner], coefficient, index=index, second_index=index[partner])
        return LossResult(value)

    def embed(self, batch: Batch) -> Float[Tensor, "n d"]:
        """The encoder's output; the projector serves training only."""
        return pooled(self.encoder, batch.x, batch.times, self.pooling, offset_of(batch))


@methods.register("mixing_up", modality="time_series", reference="Wickstrøm et al., Pattern Recognition Letters 2022")
@parameterised
class MixingUp(SeriesEstimator):
    r"""Mixing-up: a mixture of two series must tell both of its parts, and how much of each it is.

    With :math:`\tilde x_i = \lambda x_i + (1 - \lambda) x_{j(i)}`, :math:`\lambda \sim \text{Beta}(\alpha, \alpha)`,
    and z = g(f(x)), the loss is :math:`-\frac{1}{n} \sum_i [\lambda \log p_i(x_i) + (1 - \lambda) \log
    p_i(x_{j(i)})]`, where :math:`p_i` is the softmax of :math:`\cos(\tilde z_i, \cdot)/\tau` over the series of both
    batches, candidates that are the same series counting as one. The representation is h = f(x).

    Notes
    -----
    λ is that of the values in which both series are observed: a mixture with a shorter or gappy series counts the more
    as the own one (:class:`~kinview.augmentations.Mixup`). As the second batch is a permutation of the first, each
    candidate is there twice: the official loss, which counts one of both as a negative, is log 2 higher, with the same
    gradient.

    ============== =========================== ============================================ ==========================
    what           paper                       official code                                kinview
    ============== =========================== ============================================ ==========================
    mixture        two batches; one λ for a    the second batch is a permutation of the     the same, no series with
                   batch, α 0.2                first, fixed points among it; α 1 in the     itself; α 0.2
                                               notebook
    candidates     the 2n series               each series twice, once as positive and      a series that is there
                                               once as negative                             twice shares its target
    loss           cross-entropy with soft     the same                                     the same
                   targets, τ 0.5
    encoder        fully convolutional:        the same, dilations 2, 4, 8                  the same (``fcn``)
                   128, 256, 128; mean over
                   time
    projector      128 → 128 → 128             the same, with batch normalisation           the same
    optimiser      Adam, 1,000 epochs          Adam, 1e-3, 200 epochs, the whole training   Adam, 1e-3, 200 epochs,
                   (recalled)                  set as a batch                               batch 128
    evaluation     nearest neighbour on h      the same, test accuracy at every epoch       any probe
    ============== =========================== ============================================ ==========================

    References
    ----------
    .. [1] Wickstrøm, Kampffmeyer, Mikalsen, Jenssen: Mixing up contrastive learning: Self-supervised representation
       learning for time series, Pattern Recognition Letters 2022, arXiv 2203.09270.

    Examples
    --------
    >>> import numpy as np
    >>> from kinview.methods import MixingUp
    >>> X = np.sin(np.arange(60.0)).reshape(4, 1, 15)
    >>> model = MixingUp(encoder={"fcn": {"widths": [4, 8], "kernel_sizes": [5, 3]}}, trainer={"max_steps": 2})
    >>> model.fit(X).transform(X).shape
    (4, 8)
    """

    alpha: float = real(0.2, above=0, doc="α of the weights of a mixture (paper; its notebook has 1).")
    shared_coefficient: bool = flag(True, doc="Whether one λ counts for a batch (paper), or each row has its own.")
    encoder: Any = spec("fcn", "encoder", doc="Any registered encoder of series (the paper's by default).")
    pooling: PoolingName = shared.pooling("How features become one vector (paper: mean).")
    hidden_dim: int | None = shared.projector_hidden_dim()
    projection_dim: int = shared.projection_dim()
    temperature: float = shared.temperature(0.5, "(paper).")
    scaling: Any = shared.scaling()
    trainer: Any = shared.trainer(
        "Adam with learning rate 1e-3 and 200 epochs, as in the official code, in batches of 128 (there: the whole "
        "training set), an epoch's smaller last batch left out."
    )
    random_state: Any = shared.random_state()
    gaps: Any = shared.gaps()

    method_class: ClassVar[type[Method]] = MixingUpMethod
    embeds_by_encoder: ClassVar[bool] = True
    training_only: ClassVar[frozenset[str]] = frozenset({
        "alpha", "shared_coefficient", "hidden_dim", "projection_dim", "temperature", "gaps",
    })  # fmt: skip

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Cheap parameters for sktime's estimator checks."""
        encoder = {"fcn": {"widths": [4, 4], "kernel_sizes": [3, 3]}}
        small = {"encoder": encoder, "projection_dim": 2, "trainer": {"max_steps": 2}, "random_state": 0}
        return [small, {**small, "shared_coefficient": False, "pooling": "max"}]
