"""SimCLR on series and tables: joint embedding with NT-Xent (Chen et al., ICML 2020)."""

from __future__ import annotations

from typing import Any

from kinview.encoders.pooling import PoolingName
from kinview.methods import methods
from kinview.methods.estimators import shared_parameters as shared
from kinview.methods.estimators.shared_parameters import TextRule
from kinview.methods.joint_embedding.estimators import PairEstimator, SeriesPairs, TabularPairs
from kinview.parameters import parameterised, spec

__all__ = ["SimCLR", "TabularSimCLR"]


@parameterised
class _SimCLRLoss(PairEstimator):
    """The projector and the temperature are parameters of their own, and nothing else is chosen."""

    hidden_dim: int | None = shared.projector_hidden_dim()
    projection_dim: int = shared.projection_dim()
    temperature: float = shared.temperature(
        0.2,
        "The paper has 0.1 for large batches and finds 0.5 for few epochs and small ones; TS-TCC uses 0.2 on series.",
    )

    @property
    def projector(self) -> dict[str, Any]:
        """Sizes of the projector."""
        return {"hidden_dim": self.hidden_dim, "out_dim": self.projection_dim}

    @property
    def loss(self) -> dict[str, Any]:
        """NT-Xent at this temperature."""
        return {"nt_xent": {"temperature": self.temperature}}


@methods.register(
    "simclr",
    modality="time_series",
    reference="Chen et al., ICML 2020; Tang et al., 2020",
)
@parameterised
class SimCLR(_SimCLRLoss, SeriesPairs):
    r"""SimCLR on time series: views of the same series must find each other in the batch.

    Each series is augmented twice; with h = f(view), z = g(h) and 2N views in a batch the loss is NT-Xent,
    :math:`-\frac{1}{2N} \sum_i \log \frac{\exp(\cos(z_i, z_{p(i)})/\tau)}{\sum_{k \ne i} \exp(\cos(z_i, z_k)/\tau)}`.
    The representation is h.

    Notes
    -----
    More than two views are contrasted in all pairs alike. A view that learns (``viewmaker``) is trained by the same
    loss through a reversed gradient; its weights leave with the training.

    ========= ====================================== ============= =================================================
    what      paper                                  official code kinview
    ========= ====================================== ============= =================================================
    views     crop, colour, blur (Tang et al.: pairs –             recipe ``simclr_har``: two of seven for each
              of 8 views of sensors)                               series
    encoder   ResNet-50 (Tang et al.: 3              –             ``resnet1d``, mean over time
              convolutions)
    projector d → d → 128, ReLU                      with batch    d → d → 128, BN, ReLU
                                                     normalisation
                                                     (recalled)
    loss      NT-Xent over 2N                        –             the same; without an N × N matrix where that is
                                                                   large
    τ         0.1; 0.5 for small batches (Tang et    –             0.2, TS-TCC's on series
              al.: 0.1)
    optimiser LARS, batch 4,096, 100 to 1,000        –             AdamW, 1e-3, weight decay 1e-4, batch 128, 100
              epochs, cosine                                       epochs, cosine
    gaps      –                                      –             value and mask, gaps completed; each series over
                                                                   its own length
    ========= ====================================== ============= =================================================

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

    encoder: Any = spec(
        "resnet1d",
        "encoder",
        doc="Any registered encoder of series (the paper's is a residual network too, on images).",
    )
    pooling: PoolingName = shared.pooling("How features become one vector (paper: global average pooling).")
    scaling: Any = shared.scaling()
    trainer: Any = shared.trainer(
        "AdamW with learning rate 1e-3 and weight decay 1e-4, a cosine down to 0 over 100 epochs of batches of 128, an "
        "epoch's smaller last batch left out. (The paper trains images with LARS in batches of 4096; these values are "
        "kinview's, for sets of hundreds to a million samples.)"
    )
    random_state: Any = shared.random_state()
    gaps: Any = shared.gaps()

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Cheap parameters for sktime's estimator checks."""
        return [{**small, "projection_dim": 2} for small in super().get_test_params()]


@methods.register(
    "tabular_simclr",
    modality="tabular",
    reference="Chen et al., ICML 2020; Bahri et al., ICLR 2022",
)
@parameterised
class TabularSimCLR(_SimCLRLoss, TabularPairs):
    """SimCLR on tables: two corrupted views of the same row must find each other in the batch.

    Notes
    -----
    The same method as :class:`SimCLR`, on other data. It differs from :class:`~kinview.SCARF` in that both views are
    corrupted, both directions are contrasted, and views of other rows in both views are negatives.

    =============== ============================ ============= =====================================================
    what            paper                        official code kinview
    =============== ============================ ============= =====================================================
    views           of images                    –             30 % of the columns corrupted in both (Hager et al.,
                                                               CVPR 2023)
    encoder         ResNet-50                    –             ``mlp``: 4 layers of 256, SCARF's
    projector, loss d → d → 128; NT-Xent over 2N –             the same
    τ               0.5 for small batches        –             0.5
    optimiser       LARS, batch 4,096, cosine    –             that of :class:`SimCLR`
    =============== ============================ ============= =====================================================

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
    temperature: float = shared.temperature(0.5, "(the paper's value for small data).")
    text: TextRule = shared.text()
    trainer: Any = shared.trainer("those of :class:`SimCLR`.")
    random_state: Any = shared.random_state()
    scaling: Any = shared.scaling_of_columns()
