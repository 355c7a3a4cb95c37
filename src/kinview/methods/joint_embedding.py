"""Joint embedding: views of a sample are drawn together by any loss (SimCLR, MoCo, BYOL, VICReg, ...)."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from kinview.data.batch import Batch
from kinview.data.gaps import with_something_observed
from kinview.encoders.pooling import PoolingName, pooled
from kinview.losses import losses
from kinview.losses.base import Loss
from kinview.methods import methods
from kinview.methods.estimators import shared_parameters as shared
from kinview.methods.estimators.base import EstimatorCore
from kinview.methods.estimators.components import encoder_of, view_of
from kinview.methods.estimators.series import SeriesEstimator
from kinview.methods.estimators.shared_parameters import Scaling, TextRule
from kinview.methods.estimators.tabular import TabularEstimator
from kinview.modules.feature_queue import FeatureQueue
from kinview.modules.momentum_encoder import MomentumEncoder, momentum_at
from kinview.modules.projector import Perceptron
from kinview.parameters import anything, check_fraction, flag, parameterised, spec, whole
from kinview.training.method import LossResult, Method, Sizes

__all__ = ["JointEmbedding", "JointEmbeddingMethod", "SimCLR", "TabularJointEmbedding", "TabularSimCLR"]

_GIVEN = {"labels": "y", "groups": "groups", "features": "extra"}  # what a loss takes by name, and where it travels


class JointEmbeddingMethod(Method):
    r"""Views of one sample, an encoder f, a projector g, and a loss between what they give.

    With z = g(f(view)), and q = predictor(z) where there is a predictor. Targets t are z themselves, or those of a
    momentum encoder; no gradient flows into them under ``stop_gradient``, nor into a momentum encoder. Where both sides
    are alike (no predictor, no momentum, no stop of the gradient) the loss is L(z₁, z₂), otherwise L(q₁, t₂) + L(q₂,
    t₁), or L(q₁, t₂) alone where not ``symmetric``; of more than two views, its mean over all pairs.
    """

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

    def __init__(self, parameters: Any, sizes: Sizes) -> None:
        super().__init__(sizes)
        self.encoder = encoder_of("encoder", parameters.encoder, sizes)
        view = parameters.default_augmentation if parameters.augmentation is None else parameters.augmentation
        self.augmentation = view_of("augmentation", view, sizes.modality)
        width = int(getattr(self.encoder, "repr_dim"))  # noqa: B009 (an attribute that torch's types do not know)
        projector = Perceptron.of(parameters.projector or {}, "projector")
        self.projector = projector.build(width)
        dim = projector.out_dim if projector.depth else width
        self.contrast = loss_of("loss", parameters.loss)
        self.pooling: PoolingName = getattr(parameters, "pooling", "max")
        self.stop_gradient, self.symmetric = parameters.stop_gradient, parameters.symmetric
        # what follows draws after everything above, so that these options change no weight of the others
        predictor = parameters.predictor
        self.predictor = (
            None if predictor is None else Perceptron.of(predictor, "predictor", out_dim=dim, hidden_dim=dim).build(dim)
        )
        self.momentum = parameters.momentum
        self.momentum_encoder = None if parameters.momentum is None else MomentumEncoder(self.encoder, self.projector)
        self.queue = FeatureQueue(parameters.queue, dim) if parameters.queue else None

    def views(self, batch: Batch, generator: torch.Generator, progress: float) -> list[Batch]:
        """Two draws of the augmentation, or the views that it makes."""
        augmentation = self.augmentation.at(progress)
        if augmentation.n_views > 1:
            return list(augmentation(batch, generator))
        return [augmentation(batch, generator), augmentation(batch, generator)]

    def loss(self, views: list[Batch]) -> LossResult:
        """Loss between the views, see the class; a row with a view in which nothing was observed is left out."""
        views = with_something_observed(views)
        if len(views[0]) < self.min_rows:  # nothing to contrast, and no batch statistics
            return self.nothing_to_learn()
        company = self._company(views[0])
        projections = [self.projector(self.embed(view)) for view in views]
        if "features" in company:  # one view a sample, drawn towards what its features say
            return LossResult(torch.stack([self.contrast(z, **company) for z in projections]).mean())
        targets = self._targets(views, projections)
        carry = {} if self.queue is None else {"keys": targets[-1], "index": views[-1].index}
        alike = self.predictor is None and self.momentum_encoder is None and not self.stop_gradient
        queries = projections if self.predictor is None else [self.predictor(z) for z in projections]
        pairs = itertools.combinations(range(len(views)), 2)
        orders = [*pairs] if alike or not self.symmetric else [order for i, j in pairs for order in ((i, j), (j, i))]
        terms = torch.stack([self.contrast(queries[i], targets[j], **company) for i, j in orders])
        return LossResult(terms.mean() if alike or not self.symmetric else terms.mean() * 2, carry=carry)

    def after_step(self, progress: float, views: list[Batch], carry: Mapping[str, Tensor]) -> None:
        """Let the momentum encoder follow, and queue the keys of this step."""
        if self.momentum_encoder is not None:
            assert self.momentum is not None
            self.momentum_encoder.follow(momentum_at(self.momentum, progress), self.encoder, self.projector)
        if self.queue is not None and "keys" in carry:
            self.queue.enqueue(carry["keys"], carry["index"])

    def embed(self, batch: Batch) -> Tensor:
        """The encoder's output; the projector serves training only."""
        return self._features(self.encoder, batch)

    def _features(self, encoder: torch.nn.Module, batch: Batch) -> Tensor:
        if self.sizes.modality == "time_series":
            return pooled(encoder, batch.x, batch.times, self.pooling)
        out: Tensor = encoder(batch.x)
        return out

    @torch.no_grad()
    def _followed(self, batch: Batch) -> Tensor:
        assert self.momentum_encoder is not None
        encoder, projector = self.momentum_encoder.copies
        out: Tensor = projector(self._features(encoder, batch))
        return out

    def _targets(self, views: Sequence[Batch], projections: Sequence[Tensor]) -> list[Tensor]:
        if self.momentum_encoder is not None:
            return [self._followed(view) for view in views]
        return [z.detach() if self.stop_gradient else z for z in projections]

    def _company(self, view: Batch) -> dict[str, Tensor]:
        """What the loss takes by name beside two views: labels, groups, features, and the queue."""
        takes = _keywords(self.contrast)
        known: dict[str, Any] = {"labels": view.y, "groups": view.groups, **view.extra}
        if self.queue is not None:
            known |= {"queue": self.queue.features, "index": view.index, "queue_index": self.queue.labels}
        return {name: value for name, value in known.items() if name in takes and value is not None}


class _Parts(EstimatorCore):
    """What the estimators of both modalities share."""

    loss: Any
    queue: int
    default_augmentation: ClassVar[Any]

    @property
    def uses(self) -> frozenset[str]:
        """What the augmentation and the loss need."""
        takes = _keywords(loss_of("loss", self.loss))
        needed = {_GIVEN[name] for name, required in takes.items() if name in _GIVEN and required}
        return super().uses | needed

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.queue and "queue" not in _keywords(loss_of("loss", self.loss)):
            raise ValueError(
                f"queue={self.queue} needs a loss that takes a queue, such as 'info_nce' or 'nnclr'; got {self.loss!r}"
            )


def loss_of(parameter: str, spec: Any) -> Loss:
    """Loss that a method's parameter describes, for two views ``(n, d)``.

    Raises
    ------
    ValueError
        If the spec is no loss, or one that needs what no pair of views gives.
    """
    loss = losses.build(spec)
    if not isinstance(loss, Loss):
        raise ValueError(f"{parameter} must be a loss or a spec of one; got {spec!r}")
    odd = [name for name, required in _keywords(loss).items() if required and name not in _GIVEN]
    if odd:
        raise ValueError(
            f"{parameter}: {type(loss).__name__} needs {', '.join(odd)} beside two views, which this method does not "
            f"have; choose another loss"
        )
    return loss


def _keywords(loss: Loss) -> dict[str, bool]:
    """What a loss takes beside two views, by name, and whether it must have it."""
    taken = list(inspect.signature(loss.forward).parameters.values())
    beside = [p for p in taken if p.kind is p.KEYWORD_ONLY]
    positional = [p for p in taken if p.kind is p.POSITIONAL_OR_KEYWORD]
    views = 1 if len(positional) > 1 and positional[1].name in _GIVEN else 2
    return {p.name: p.default is p.empty for p in [*positional[views:], *beside]}


def _check_momentum(value: Any, name: str) -> None:
    ends = value if isinstance(value, list | tuple) else [value]
    if len(ends) > 2 or not ends:
        raise ValueError(f"{name} must be a number, or two: at the start and at the end; got {value!r}")
    for end in ends:
        check_fraction(end, name)


def _check_sizes(value: Any, name: str) -> None:
    Perceptron.of(value, name)


def _projector() -> Any:
    return anything(
        None,
        "mapping",
        check=_check_sizes,
        doc="Sizes of the projector g: ``hidden_dim`` (that of the representation by default), ``out_dim`` (128), "
        "``depth`` (2; 0 for no projector), ``batch_norm`` (True), ``bias`` (True); see "
        ":class:`kinview.modules.Perceptron`.",
    )


def _predictor() -> Any:
    return anything(
        None,
        "mapping",
        check=_check_sizes,
        doc="Sizes of a predictor on top of the projector (BYOL, SimSiam), as for the projector; its output has the "
        "size of a projection.",
    )


def _momentum() -> Any:
    return anything(
        None,
        "float or two floats",
        check=_check_momentum,
        doc="Targets come from a momentum encoder, whose weights follow those of encoder and projector with this "
        "momentum; two numbers are its values at the start and at the end of training, with a half cosine between.",
    )


def _queue() -> Any:
    return whole(0, low=0, doc="Targets of this many earlier rows are further negatives (MoCo); 0 for none.")


def _loss() -> Any:
    return spec("nt_xent", "loss", doc="Any registered loss of two views: ``{vicreg: {variance_weight: 10}}``.")


def _stop_gradient() -> Any:
    return flag(False, doc="Whether targets without a momentum encoder are constants (SimSiam).")


def _symmetric() -> Any:
    return flag(
        True,
        doc="Whether each of two views is once the query and once the target, and both terms are added (BYOL); where "
        "both sides are alike it makes no difference.",
    )


class _SeriesParts(_Parts, SeriesEstimator):
    """Series."""

    default_augmentation: ClassVar[Any] = "simclr_har"
    method_class: ClassVar[type[Method]] = JointEmbeddingMethod

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Cheap parameters for sktime's estimator checks."""
        encoder = {"dilated_conv": {"repr_dim": 4, "hidden_dim": 4, "depth": 1}}
        small = {"encoder": encoder, "trainer": {"max_steps": 2}, "random_state": 0}
        return [small, {**small, "augmentation": "crop_pair", "pooling": "max"}]


class _TableParts(_Parts, TabularEstimator):
    """Tables."""

    default_augmentation: ClassVar[Any] = {"column_corruption": {"corruption_rate": 0.3}}
    method_class: ClassVar[type[Method]] = JointEmbeddingMethod


@methods.register(
    "joint_embedding",
    modality="time_series",
    reference="Chen et al., ICML 2020; He et al., CVPR 2020; Grill et al., NeurIPS 2020; Bardes et al., ICLR 2022",
    parts={"augmentation": "augmentations", "encoder": "encoders", "loss": "losses"},
)
@parameterised
class JointEmbedding(_SeriesParts):
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

    augmentation: Any = shared.augmentation(
        None,
        "Any registered augmentation, list of them, or recipe. None: the recipe ``simclr_har``. One that makes several "
        "views (``{views: ...}``, ``crop_pair``) gives the views of the pair itself.",
    )
    encoder: Any = spec("resnet1d", "encoder", doc="Any registered encoder of series.")
    pooling: PoolingName = shared.pooling("How features become one vector.")
    projector: Any = _projector()
    predictor: Any = _predictor()
    momentum: Any = _momentum()
    queue: int = _queue()
    loss: Any = _loss()
    stop_gradient: bool = _stop_gradient()
    symmetric: bool = _symmetric()
    scaling: Scaling = shared.scaling()
    trainer: Any = shared.trainer("those of :class:`SimCLR`.")
    random_state: Any = shared.random_state()


@methods.register(
    "tabular_joint_embedding",
    modality="tabular",
    reference="Chen et al., ICML 2020; He et al., CVPR 2020; Grill et al., NeurIPS 2020; Bardes et al., ICLR 2022",
    parts={"augmentation": "augmentations", "encoder": "encoders", "loss": "losses"},
)
@parameterised
class TabularJointEmbedding(_TableParts):
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

    augmentation: Any = shared.augmentation(
        None,
        "Any registered augmentation of tables, list of them, or recipe. None: ``{column_corruption: {corruption_rate: "
        "0.3}}`` (Hager et al., CVPR 2023).",
    )
    encoder: Any = spec("mlp", "encoder", doc="Any registered encoder of tables (SCARF's by default).")
    projector: Any = _projector()
    predictor: Any = _predictor()
    momentum: Any = _momentum()
    queue: int = _queue()
    loss: Any = _loss()
    stop_gradient: bool = _stop_gradient()
    symmetric: bool = _symmetric()
    text: TextRule = shared.text()
    trainer: Any = shared.trainer("those of :class:`SimCLR`.")
    random_state: Any = shared.random_state()


class _SimCLRParts(_Parts):
    """SimCLR: the projector and the temperature are parameters of their own, and nothing else is chosen."""

    hidden_dim: int | None
    projection_dim: int
    temperature: float
    predictor: ClassVar[None] = None
    momentum: ClassVar[None] = None
    queue: ClassVar[int] = 0  # type: ignore[misc]
    stop_gradient: ClassVar[bool] = False
    symmetric: ClassVar[bool] = True

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
    parts={"augmentation": "augmentations", "encoder": "encoders"},
)
@parameterised
class SimCLR(_SimCLRParts, _SeriesParts):
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

    @classmethod
    def get_test_params(cls, parameter_set: str = "default") -> list[dict[str, Any]]:
        """Cheap parameters for sktime's estimator checks."""
        return [{**small, "projection_dim": 2} for small in super().get_test_params()]


@methods.register(
    "tabular_simclr",
    modality="tabular",
    reference="Chen et al., ICML 2020; Bahri et al., ICLR 2022",
    parts={"augmentation": "augmentations", "encoder": "encoders"},
)
@parameterised
class TabularSimCLR(_SimCLRParts, _TableParts):
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
