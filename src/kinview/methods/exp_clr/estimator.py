"""ExpCLR: distances between representations follow those of expert features (Nonnenmacher et al., ICML 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from kinview.data.batch import Batch
from kinview.data.gaps import offset_of, with_something_observed
from kinview.encoders.pooling import PoolingName, pooled
from kinview.losses.exp_clr import ExpCLR as ExpCLRLoss
from kinview.methods import methods
from kinview.methods.estimators import shared_parameters as shared
from kinview.methods.estimators.components import encoder_of, gaps_of, with_gaps
from kinview.methods.estimators.series import SeriesEstimator
from kinview.methods.exp_clr.features import expert_features, standardised
from kinview.parameters import flag, parameterised, real, spec
from kinview.training.method import LossResult, Method, Sizes
from kinview.training.rowwise import RowwiseMethod

__all__ = ["ExpCLR", "ExpCLRMethod"]


class ExpCLRMethod(RowwiseMethod):
    """One view of each series, not changed, and its expert features; an encoder and the loss between them."""

    training_defaults: ClassVar[dict[str, Any]] = {
        "batch_size": 128,
        "lr": 1e-3,
        "optimizer": "adam",
        "max_epochs": 100,
        "drop_last": True,
    }
    min_rows: ClassVar[int] = 2

    def __init__(self, parameters: ExpCLR, sizes: Sizes) -> None:
        super().__init__(sizes)
        self.encoder = encoder_of("encoder", parameters.encoder, sizes)
        self.gaps = gaps_of(parameters)
        self.contrast = ExpCLRLoss(parameters.temperature, parameters.delta, parameters.squared)
        self.pooling: PoolingName = parameters.pooling

    def views(self, batch: Batch, generator: torch.Generator, progress: float) -> list[Batch]:
        """The series as they are."""
        return with_gaps([batch], self.gaps, generator, progress)

    def rows_of_loss(self, views: list[Batch]) -> list[Batch]:
        """Series in which something was observed."""
        return with_something_observed(views)

    def representations(self, views: list[Batch]) -> list[Float[Tensor, "n d"]]:
        """The encoder's output."""
        return [self.embed(view) for view in views]

    def loss_of_representations(self, views: list[Batch], representations: Sequence[Tensor]) -> LossResult:
        """Loss of the representations and the expert features, with the dimensions that the former use."""
        (h,), features = representations, views[0].extra["features"]
        assert isinstance(features, Tensor)
        return LossResult(self.contrast(h, features), {"effective_dimension": effective_dimension(h)})

    def embed(self, batch: Batch) -> Float[Tensor, "n d"]:
        """The encoder's output."""
        return pooled(self.encoder, batch.x, batch.times, self.pooling, offset_of(batch))


@torch.no_grad()
def effective_dimension(rows: Float[Tensor, "n d"]) -> float:
    r"""Participation ratio :math:`(\sum_k \lambda_k)^2 / \sum_k \lambda_k^2` of the eigenvalues of a covariance.

    Examples
    --------
    >>> round(effective_dimension(torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])), 4)
    2.0
    """
    variance = torch.linalg.svdvals(rows.double() - rows.double().mean(dim=0)).square()
    return float(variance.sum().square() / variance.square().sum().clamp_min(torch.finfo(torch.float64).tiny))


@methods.register("exp_clr", modality="time_series", reference="Nonnenmacher et al., ICML 2022, arXiv 2206.11517")
@parameterised
class ExpCLR(SeriesEstimator):
    r"""ExpCLR: the distances between representations follow those of expert features; no views, no augmentation.

    With the similarities :math:`s_{ij}` of expert features and the relative distances :math:`D_{ij}` of representations
    h = f(x), the loss is :math:`\tau \log \frac{1}{n^2} \sum_{ij} \exp(((1 - s_{ij}) \Delta - D_{ij})^2 / \tau)`; see
    :func:`kinview.losses.exp_clr`. The history holds the effective dimension of h beside the loss.

    Raises
    ------
    ValueError
        If a parameter is out of range; in ``fit``, if further features stand under other names than ``"features"``
        alone, or are no array.

    Notes
    -----
    Give ``fit(X, extra={"features": array})``, one row of expert features a series. Without them sixteen numbers of
    each channel stand in (:func:`kinview.methods.exp_clr.expert_features`: level, spread, shape, rhythm, spectrum).
    Either are standardised over the training series, and neither is needed to embed.

    ========== ============================== ============= ==========================================================
    what       paper                          official code kinview
    ========== ============================== ============= ==========================================================
    features   561 (HAR), 29 (SleepEDF), 176  none is       given, or 16 of each channel; standardised on training
               (AFIB), recalled               published     series
    similarity squared; largest distance of   –             squared; largest distance of the batch
               batch or training set
               (recalled)
    Δ          1 (recalled)                   –             1 / E[1 − s], without which a bias stays (``delta=1``: the
                                                            paper's)
    τ          1 (recalled)                   –             1
    encoder    TCN, ResNet of 8 blocks; 100   –             ``resnet1d``, mean over time; its own size
               dimensions (recalled)
    optimiser  –                              –             Adam, 1e-3, batch 128, 100 epochs
    ========== ============================== ============= ==========================================================

    References
    ----------
    .. [1] Nonnenmacher, Oldenburg, Steinwart, Reeb: Utilizing Expert Features for Contrastive Learning of Time-Series
       Representations, ICML 2022, arXiv 2206.11517.

    Examples
    --------
    >>> import numpy as np
    >>> from kinview.methods import ExpCLR
    >>> X = np.sin(np.arange(60.0)).reshape(4, 1, 15)
    >>> model = ExpCLR({"dilated_conv": {"repr_dim": 8, "depth": 2}}, trainer={"max_steps": 2})
    >>> model.fit(X, extra={"features": [[0.2], [0.4], [0.1], [0.9]]}).transform(X).shape
    (4, 8)
    """

    encoder: Any = spec("resnet1d", "encoder", doc="Any registered encoder of series (the paper has a ResNet too).")
    pooling: PoolingName = shared.pooling("How features become one vector.")
    temperature: float = shared.temperature(
        1.0, "(recalled from the paper): towards 0 the worst pair counts alone, towards infinity the mean of all pairs."
    )
    delta: float | None = real(None, above=0, doc="Δ; by default 1 / E[1 − s] of each batch (paper, recalled: 1).")
    squared: bool = flag(True, doc="Whether the similarity of features is squared (paper, recalled).")
    scaling: Any = shared.scaling()
    trainer: Any = shared.trainer(
        "Adam with learning rate 1e-3 over 100 epochs of batches of 128, an epoch's smaller last batch left out "
        "(kinview; the paper's are not known)."
    )
    random_state: Any = shared.random_state()
    gaps: Any = shared.gaps()

    method_class: ClassVar[type[Method]] = ExpCLRMethod
    embeds_by_encoder: ClassVar[bool] = True
    training_only: ClassVar[frozenset[str]] = frozenset({"temperature", "delta", "squared", "gaps"})

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Cheap parameters for sktime's estimator checks."""
        encoder = {"dilated_conv": {"repr_dim": 4, "hidden_dim": 4, "depth": 1}}
        small = {"encoder": encoder, "trainer": {"max_steps": 2}, "random_state": 0}
        return [small, {**small, "delta": 1.0, "pooling": "max"}]

    @property
    def uses(self) -> frozenset[str]:
        """Expert features, and what a view that makes gaps needs."""
        return super().uses | {"extra"}

    @property
    def needs(self) -> frozenset[str]:
        """What its views need: where no features are given those of kinview stand in."""
        return super().uses

    def why_not_streamed(self) -> str | None:
        """Expert features are standardised over all series."""
        return "standardises its expert features over all series"

    def _training_rows(self, batch: Batch) -> Batch:
        """Series with an observation, each with its expert features, standardised.

        Raises
        ------
        ValueError
            If further features are given under other names only.
        """
        rows = super()._training_rows(batch)
        given = rows.extra.get("features")
        if given is None and rows.extra:
            raise ValueError(
                f"ExpCLR takes expert features under the name 'features', fit(X, extra={{'features': array}}); got "
                f"{', '.join(rows.extra)}"
            )
        if isinstance(given, Batch):
            raise ValueError("ExpCLR takes expert features as an array (n, features); got another modality")
        if given is None:
            given = expert_features(rows.x, rows.times)
        features = given.flatten(1) if given.ndim > 1 else given[:, None]
        return rows.replace(extra={**rows.extra, "features": standardised(features)})
