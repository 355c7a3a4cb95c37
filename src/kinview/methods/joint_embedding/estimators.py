"""Joint embedding as estimators: any loss between two views, of series and of tables."""

from __future__ import annotations

from typing import Any, ClassVar

from kinview.encoders.pooling import PoolingName
from kinview.methods import methods
from kinview.methods.estimators import shared_parameters as shared
from kinview.methods.estimators.base import EstimatorCore
from kinview.methods.estimators.series import SeriesEstimator
from kinview.methods.estimators.shared_parameters import Scaling, TextRule
from kinview.methods.estimators.tabular import TabularEstimator
from kinview.methods.joint_embedding.method import JointEmbeddingMethod, fields_needed, further_arguments, loss_of
from kinview.modules.projector import Perceptron
from kinview.parameters import anything, check_fraction, flag, parameterised, spec, whole
from kinview.training.method import Method

__all__ = ["JointEmbedding", "PairEstimator", "SeriesPairs", "TabularJointEmbedding", "TabularPairs"]

_PAPERS = "Chen et al., ICML 2020; He et al., CVPR 2020; Grill et al., NeurIPS 2020; Bardes et al., ICLR 2022"


class PairEstimator(EstimatorCore):
    """What the estimators of both modalities have in common, those of SimCLR too."""

    loss: Any
    queue: int
    default_augmentation: ClassVar[Any]
    method_class: ClassVar[type[Method]] = JointEmbeddingMethod

    @property
    def uses(self) -> frozenset[str]:
        """What the augmentation and the loss need."""
        return super().uses | fields_needed(loss_of("loss", self.loss))

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.queue and "queue" not in further_arguments(loss_of("loss", self.loss)):
            raise ValueError(
                f"queue={self.queue} needs a loss that takes a queue, such as 'info_nce' or 'nnclr'; got {self.loss!r}"
            )


# Fields of a base come before those of a class, and those of a later base before those of an earlier one: the bases are
# cut so that the parameters of each estimator stand in the order views, loss, data and training.


@parameterised
class SeriesPairs(PairEstimator, SeriesEstimator):
    """Views and encoder of series."""

    augmentation: Any = shared.augmentation(
        None,
        "Any registered augmentation, list of them, or recipe. None: the recipe ``simclr_har``. One that makes several "
        "views (``{views: ...}``, ``crop_pair``) gives the views of the pair itself.",
    )
    encoder: Any = spec("resnet1d", "encoder", doc="Any registered encoder of series.")
    pooling: PoolingName = shared.pooling("How features become one vector.")

    default_augmentation: ClassVar[Any] = "simclr_har"

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Cheap parameters for sktime's estimator checks."""
        encoder = {"dilated_conv": {"repr_dim": 4, "hidden_dim": 4, "depth": 1}}
        small = {"encoder": encoder, "trainer": {"max_steps": 2}, "random_state": 0}
        return [small, {**small, "augmentation": "crop_pair", "pooling": "max"}]


@parameterised
class TabularPairs(PairEstimator, TabularEstimator):
    """Views and encoder of tables."""

    augmentation: Any = shared.augmentation(
        None,
        "Any registered augmentation of tables, list of them, or recipe. None: ``{column_corruption: {corruption_rate: "
        "0.3}}`` (Hager et al., CVPR 2023).",
    )
    encoder: Any = spec("mlp", "encoder", doc="Any registered encoder of tables (SCARF's by default).")

    default_augmentation: ClassVar[Any] = {"column_corruption": {"corruption_rate": 0.3}}


def _check_momentum(value: Any, name: str) -> None:
    ends = value if isinstance(value, list | tuple) else [value]
    if len(ends) > 2 or not ends:
        raise ValueError(f"{name} must be a number, or two: at the start and at the end; got {value!r}")
    for end in ends:
        check_fraction(end, name)


def _check_sizes(value: Any, name: str) -> None:
    Perceptron.of(value, name)


@parameterised
class _AnyLoss(PairEstimator):
    """What lies between the representations of two views."""

    projector: Any = anything(
        None,
        "mapping",
        check=_check_sizes,
        doc="Sizes of the projector g: ``hidden_dim`` (that of the representation by default), ``out_dim`` (128), "
        "``depth`` (2; 0 for no projector), ``batch_norm`` (True), ``bias`` (True); see "
        ":class:`kinview.modules.Perceptron`.",
    )
    predictor: Any = anything(
        None,
        "mapping",
        check=_check_sizes,
        doc="Sizes of a predictor on top of the projector (BYOL, SimSiam), as for the projector; its output has the "
        "size of a projection.",
    )
    momentum: Any = anything(
        None,
        "float or two floats",
        check=_check_momentum,
        doc="Targets come from a momentum encoder, whose weights follow those of encoder and projector with this "
        "momentum; two numbers are its values at the start and at the end of training, with a half cosine between.",
    )
    queue: int = whole(0, low=0, doc="Targets of this many earlier rows are further negatives (MoCo); 0 for none.")
    loss: Any = spec("nt_xent", "loss", doc="Any registered loss of two views: ``{vicreg: {variance_weight: 10}}``.")
    stop_gradient: bool = flag(False, doc="Whether targets without a momentum encoder are constants (SimSiam).")
    symmetric: bool = flag(
        True,
        doc="Whether each of two views is once the query and once the target, and both terms are added (BYOL); where "
        "both sides are alike it makes no difference.",
    )


@methods.register(
    "joint_embedding",
    modality="time_series",
    reference=_PAPERS,
)
@parameterised
class JointEmbedding(_AnyLoss, SeriesPairs):
    r"""Joint embedding of series: views of a series are drawn together by any loss, with the parts that papers add.

    Each series is augmented twice; with h = f(view) and z = g(h) the loss is between the z of both views. A predictor,
    a momentum encoder, a queue and a stopped gradient are there where they are asked for: MoCo, BYOL, VICReg and others
    are recipes over this method (``kinview list methods``). The representation is h.

    Notes
    -----
    With q = predictor(z), or z, and targets t, the loss of two views is :math:`L(q_1, t_2) + L(q_2, t_1)`; where both
    sides are alike it is :math:`L(z_1, z_2)`, and without ``symmetric`` :math:`L(q_1, t_2)`. A loss that needs labels,
    groups or expert features gets those of ``fit(X, y, groups=..., extra={"features": ...})``.

    References
    ----------
    .. [1] Chen, Kornblith, Norouzi, Hinton: A Simple Framework for Contrastive Learning of Visual Representations,
       ICML 2020, arXiv 2002.05709.
    .. [2] He, Fan, Wu, Xie, Girshick: Momentum Contrast for Unsupervised Visual Representation Learning, CVPR 2020,
       arXiv 1911.05722.
    .. [3] Grill et al.: Bootstrap Your Own Latent, NeurIPS 2020, arXiv 2006.07733.

    Examples
    --------
    >>> import numpy as np
    >>> from kinview.methods import JointEmbedding
    >>> X = np.sin(np.arange(60.0)).reshape(4, 1, 15)
    >>> encoder = {"dilated_conv": {"repr_dim": 8, "depth": 2}}
    >>> JointEmbedding("jitter", encoder, loss="vicreg", trainer={"max_steps": 2}).fit(X).transform(X).shape
    (4, 8)
    """

    scaling: Scaling = shared.scaling()
    trainer: Any = shared.trainer("those of :class:`SimCLR`.")
    random_state: Any = shared.random_state()
    gaps: Any = shared.gaps()


@methods.register(
    "tabular_joint_embedding",
    modality="tabular",
    reference=_PAPERS,
)
@parameterised
class TabularJointEmbedding(_AnyLoss, TabularPairs):
    """Joint embedding of tables: the same method as :class:`JointEmbedding`, on rows.

    Examples
    --------
    >>> import pandas as pd
    >>> from kinview.methods import TabularJointEmbedding
    >>> df = pd.DataFrame({"age": [31.0, 45.0, None, 62.0] * 5, "smoker": [True, False, True, False] * 5})
    >>> encoder = {"mlp": {"hidden_dim": 8, "depth": 2}}
    >>> model = TabularJointEmbedding(encoder=encoder, loss="barlow_twins", trainer={"max_epochs": 2}, random_state=0)
    >>> model.fit(df).transform(df).shape
    (20, 8)
    """

    text: TextRule = shared.text()
    trainer: Any = shared.trainer("those of :class:`SimCLR`.")
    random_state: Any = shared.random_state()
