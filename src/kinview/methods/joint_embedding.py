"""SimCLR for time series and for tables: two views of a sample must find each other (Chen et al., ICML 2020)."""

from __future__ import annotations

import itertools
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from kinview.data.batch import Batch
from kinview.data.gaps import with_something_observed
from kinview.encoders.pooling import PoolingName, pooled
from kinview.losses.nt_xent import NTXent
from kinview.methods import methods
from kinview.methods.estimators import shared_parameters as shared
from kinview.methods.estimators.components import encoder_of, view_of
from kinview.methods.estimators.series import SeriesEstimator
from kinview.methods.estimators.shared_parameters import Scaling, TextRule
from kinview.methods.estimators.tabular import TabularEstimator
from kinview.modules.projector import projector
from kinview.parameters import parameterised, spec
from kinview.training.method import LossResult, Method, Sizes

__all__ = ["SimCLR", "SimCLRMethod", "TabularSimCLR"]


class SimCLRMethod(Method):
    """Views of one sample, an encoder, a projector, NT-Xent; for series and for tables."""

    training_defaults: ClassVar[dict[str, Any]] = {
        "batch_size": 128,
        "lr": 1e-3,
        "optimizer": "adamw",
        "weight_decay": 1e-4,
        "scheduler": "cosine",
        "max_epochs": 100,
        "drop_last": True,
    }
    min_rows: ClassVar[int] = 2

    def __init__(self, parameters: SimCLR | TabularSimCLR, sizes: Sizes) -> None:
        super().__init__(sizes)
        self.encoder = encoder_of("encoder", parameters.encoder, sizes)
        view = parameters.default_augmentation if parameters.augmentation is None else parameters.augmentation
        self.augmentation = view_of("augmentation", view, sizes.modality)
        width = int(getattr(self.encoder, "repr_dim"))  # noqa: B009 (an attribute that torch's types do not know)
        self.projector = projector(width, parameters.hidden_dim or width, parameters.projection_dim)
        self.contrast = NTXent(parameters.temperature)
        self.pooling: PoolingName = parameters.pooling if isinstance(parameters, SimCLR) else "max"

    def views(self, batch: Batch, generator: torch.Generator, progress: float) -> list[Batch]:
        """Two draws of the augmentation, or the views that it makes."""
        augmentation = self.augmentation.at(progress)
        if augmentation.n_views > 1:
            return list(augmentation(batch, generator))
        return [augmentation(batch, generator), augmentation(batch, generator)]

    def loss(self, views: list[Batch]) -> LossResult:
        """Mean of NT-Xent over all pairs of views; a row with a view in which nothing was observed is left out."""
        views = with_something_observed(views)
        if len(views[0]) < 2:  # nothing to contrast, and no batch statistics
            return self.nothing_to_learn()
        projections = [self.projector(self.embed(view)) for view in views]
        pairs = list(itertools.combinations(projections, 2))
        return LossResult(torch.stack([self.contrast(one, other) for one, other in pairs]).mean())

    def embed(self, batch: Batch) -> Float[Tensor, "n d"]:
        """The encoder's output; the projector serves training only."""
        if batch.x.ndim == 3:
            return pooled(self.encoder, batch.x, batch.times, self.pooling)
        out: Tensor = self.encoder(batch.x)
        return out


@methods.register(
    "simclr",
    modality="time_series",
    reference="Chen et al., ICML 2020; Tang et al., 2020",
    parts={"augmentation": "augmentations", "encoder": "encoders"},
)
@parameterised
class SimCLR(SeriesEstimator):
    r"""SimCLR on time series: views of the same series must find each other in the batch.

    Each series is augmented twice; with h = f(view), z = g(h) and 2N views in a batch the loss is NT-Xent,
    :math:`-\frac{1}{2N} \sum_i \log \frac{\exp(\cos(z_i, z_{p(i)})/\tau)}{\sum_{k \ne i} \exp(\cos(z_i, z_k)/\tau)}`.
    The representation is h.

    Notes
    -----
    *Deviations from the paper.* Images became series, and with them the views, the encoder and the optimiser. The
    projector's first layer is followed by batch normalisation, as in the official code.

    References
    ----------
    .. [1] Chen, Kornblith, Norouzi, Hinton: A Simple Framework for Contrastive Learning of Visual Representations,
       ICML 2020, arXiv 2002.05709.
    .. [2] Tang et al.: Exploring Contrastive Learning in Human Activity Recognition for Healthcare, 2020,
       arXiv 2011.11542.

    Examples
    --------
    >>> import numpy as np
    >>> from kinview import SimCLR
    >>> X = np.sin(np.arange(60.0)).reshape(4, 1, 15)
    >>> model = SimCLR("jitter", encoder={"dilated_conv": {"repr_dim": 8, "depth": 2}}, trainer={"max_steps": 2})
    >>> model.fit(X).transform(X).shape
    (4, 8)
    """

    augmentation: Any = shared.augmentation(
        None,
        "Any registered augmentation, list of them, or recipe. None: the recipe ``simclr_har``. One that makes several "
        "views (``{views: ...}``, ``crop_pair``) gives the views of the pair itself.",
    )
    encoder: Any = spec(
        "resnet1d",
        "encoder",
        doc="Any registered encoder of series (the paper's is a residual network too, on images).",
    )
    pooling: PoolingName = shared.pooling("How features become one vector (paper: global average pooling).")
    hidden_dim: int | None = shared.projector_hidden_dim()
    projection_dim: int = shared.projection_dim()
    temperature: float = shared.temperature(
        0.2,
        "The paper has 0.1 for large batches and finds 0.5 for few epochs and small ones; TS-TCC uses 0.2 on series.",
    )
    scaling: Scaling = shared.scaling()
    trainer: Any = shared.trainer(
        "AdamW with learning rate 1e-3 and weight decay 1e-4, a cosine down to 0 over 100 epochs of batches of 128, an "
        "epoch's smaller last batch left out. (The paper trains images with LARS in batches of 4096; these values are "
        "kinview's, for sets of hundreds to a million samples.)"
    )
    random_state: Any = shared.random_state()

    method_class: ClassVar[type[Method]] = SimCLRMethod
    default_augmentation: ClassVar[Any] = "simclr_har"

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Cheap parameters for sktime's estimator checks."""
        encoder = {"dilated_conv": {"repr_dim": 4, "hidden_dim": 4, "depth": 1}}
        small = {"encoder": encoder, "projection_dim": 2, "trainer": {"max_steps": 2}, "random_state": 0}
        return [small, {**small, "augmentation": "crop_pair", "pooling": "max"}]

    def _training_rows(self, batch: Batch) -> Batch:
        return batch.rows(~torch.isnan(batch.x).all(dim=2).all(dim=1))

    def _prepare_method(self, batch: Batch) -> None:
        front_end = getattr(self.method_.encoder, "front_end", None)
        if front_end is not None:
            front_end.set_step(batch.times)

    def _why_not_trainable(self, rows: Batch) -> str | None:
        return (
            None if len(rows) >= 2 else f"contrast needs at least two series with an observation, there are {len(rows)}"
        )

    def _reads_times(self) -> bool:
        return getattr(getattr(self.method_.encoder, "front_end", None), "mode", None) == "values+mask+delta"


@methods.register(
    "tabular_simclr",
    modality="tabular",
    reference="Chen et al., ICML 2020; Bahri et al., ICLR 2022",
    parts={"augmentation": "augmentations", "encoder": "encoders"},
)
@parameterised
class TabularSimCLR(TabularEstimator):
    """SimCLR on tables: two corrupted views of the same row must find each other in the batch.

    Notes
    -----
    The same method as :class:`SimCLR`, on other data. It differs from :class:`~kinview.SCARF` in that both views are
    corrupted, both directions are contrasted, and views of other rows in both views are negatives.

    References
    ----------
    .. [1] Chen, Kornblith, Norouzi, Hinton: A Simple Framework for Contrastive Learning of Visual Representations,
       ICML 2020, arXiv 2002.05709.

    Examples
    --------
    >>> import pandas as pd
    >>> from kinview import TabularSimCLR
    >>> df = pd.DataFrame({"age": [31.0, 45.0, None, 62.0] * 5, "smoker": [True, False, True, False] * 5})
    >>> encoder = {"mlp": {"hidden_dim": 8, "depth": 2}}
    >>> TabularSimCLR(encoder=encoder, trainer={"max_epochs": 2}, random_state=0).fit(df).transform(df).shape
    (20, 8)
    """

    augmentation: Any = shared.augmentation(
        None,
        "Any registered augmentation of tables, list of them, or recipe. None: ``{column_corruption: {corruption_rate: "
        "0.3}}`` (Hager et al., CVPR 2023): both views are corrupted, and at SCARF's 0.6 they would share 16 % of a "
        "row.",
    )
    encoder: Any = spec("mlp", "encoder", doc="Any registered encoder of tables (SCARF's by default).")
    hidden_dim: int | None = shared.projector_hidden_dim()
    projection_dim: int = shared.projection_dim()
    temperature: float = shared.temperature(0.5, "(the paper's value for small data).")
    text: TextRule = shared.text()
    trainer: Any = shared.trainer("those of :class:`SimCLR`.")
    random_state: Any = shared.random_state()

    method_class: ClassVar[type[Method]] = SimCLRMethod
    default_augmentation: ClassVar[Any] = {"column_corruption": {"corruption_rate": 0.3}}

    def _why_not_trainable(self, rows: Batch) -> str | None:
        return None if len(rows) >= 2 else f"contrast needs at least two rows, there are {len(rows)}"
