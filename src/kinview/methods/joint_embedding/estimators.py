"""Joint embedding as estimators: any loss between two views, of series and of tables."""

from __future__ import annotations

import inspect
from typing import Any, ClassVar, get_args

import torch
from torch import Tensor

from kinview.data.batch import Batch
from kinview.encoders.pooling import PoolingName
from kinview.methods import methods
from kinview.methods.estimators import shared_parameters as shared
from kinview.methods.estimators.base import EstimatorCore
from kinview.methods.estimators.series import SeriesEstimator
from kinview.methods.estimators.shared_parameters import TextRule
from kinview.methods.estimators.tabular import TabularEstimator
from kinview.methods.joint_embedding.method import (
    JointEmbeddingMethod,
    Ungrouped,
    fields_needed,
    further_arguments,
    loss_needs_times,
    loss_of,
    takes_crops,
)
from kinview.modules.projector import Perceptron
from kinview.parameters import anything, check_fraction, choice, flag, parameterised, real, spec, whole
from kinview.training.method import Method

__all__ = ["JointEmbedding", "PairEstimator", "SeriesPairs", "TabularJointEmbedding", "TabularPairs"]

_TARGETS = ("momentum", "memory_bank", "weight_noise")  # where targets may come from
_PAPERS = "Chen et al., ICML 2020; He et al., CVPR 2020; Grill et al., NeurIPS 2020; Bardes et al., ICLR 2022"


class PairEstimator(EstimatorCore):
    """What the estimators of both modalities have in common, those of SimCLR too."""

    loss: Any
    # what a method has that does not make these its parameters
    queue: int = 0
    queue_start: float = 0.0
    freeze_loss: float = 0.0
    adversary: Any = None
    adversary_weight: float = 1.0
    predictor: Any = None
    momentum: Any = None
    memory_bank: Any = None
    weight_noise: Any = None
    stop_gradient: bool = False
    symmetric: bool = True
    reduction: str = "sum"
    ungrouped: Ungrouped = "refuse"
    default_augmentation: ClassVar[Any]
    method_class: ClassVar[type[Method]] = JointEmbeddingMethod
    embeds_by_encoder: ClassVar[bool] = True
    training_only: ClassVar[frozenset[str]] = frozenset({
        "augmentation", "projector", "predictor", "momentum", "queue", "loss", "stop_gradient", "symmetric", "gaps",
        "hidden_dim", "projection_dim", "temperature", "reduction", "memory_bank", "queue_start", "freeze_loss",
        "weight_noise", "adversary", "adversary_weight", "ungrouped",
    })  # fmt: skip

    @property
    def uses(self) -> frozenset[str]:
        """What the augmentation and the loss need; of ``extra`` the times of rows are a part."""
        loss = loss_of("loss", self.loss)
        return super().uses | fields_needed(loss) | ({"extra"} if loss_needs_times(loss) else set())

    @property
    def needs(self) -> frozenset[str]:
        """All that it uses, but groups where each sample may be one, and times where time stamps tell them."""
        loss = loss_of("loss", self.loss)
        without = {"groups"} if self.ungrouped == "own" else set()
        return self.uses - without - ({"extra"} if loss_needs_times(loss) else set())

    def _training_rows(self, batch: Batch) -> Batch:
        """Rows with the time of each, where the loss needs it: given, or that of the last time stamp."""
        rows: Batch = super()._training_rows(batch)
        if not loss_needs_times(loss_of("loss", self.loss)) or "time" in rows.extra:
            return rows
        if rows.times is not None:
            last = torch.nan_to_num(rows.times, nan=-torch.inf).amax(dim=1)
            return rows.replace(extra={**rows.extra, "time": last - last.min()})
        if rows.groups is None and self.ungrouped == "own":  # no other row is a neighbour, whenever it was
            return rows.replace(extra={**rows.extra, "time": torch.zeros(len(rows), dtype=torch.float64)})
        return rows

    def why_not_streamed(self) -> str | None:
        """Times of rows count from the first of all, where the loss compares them."""
        timed = loss_needs_times(loss_of("loss", self.loss))
        return "compares the times of all rows" if timed else super().why_not_streamed()

    def _check_fields_used(self, rows: Batch) -> None:
        """Refuse training rows without what the method needs, a time of each among it."""
        super()._check_fields_used(rows)
        if not loss_needs_times(loss_of("loss", self.loss)):
            return
        time = rows.extra.get("time")
        if not isinstance(time, Tensor) or time.shape != (len(rows),):
            given = "there are none" if time is None else f"extra['time'] is {tuple(getattr(time, 'shape', ()))}"
            raise ValueError(
                f"{type(self).__name__} with these parameters compares the times of {len(rows)} rows, and {given}: "
                f"give X time stamps (the last one of each series counts), one number a row by fit(X, extra={{'time': "
                f"hours}}), or a loss without a window"
            )

    def check_parameters(self) -> None:
        """Refuse parameters out of range, and parts that the loss has no place for or that exclude each other."""
        super().check_parameters()
        apart = {name: getattr(self, name) for name in (*_TARGETS, "predictor", "stop_gradient")}
        given = [f"{name}={value!r}" for name, value in apart.items() if value is not None and value is not False]
        if apart["memory_bank"] is not None and (apart["momentum"] is not None or self.queue):
            other = f"queue={self.queue}" if self.queue else given[0]
            raise ValueError(
                f"memory_bank={apart['memory_bank']} gives the targets and the further negatives, and so does {other}: "
                "choose one of them"
            )
        if apart["weight_noise"] is not None and (apart["momentum"] is not None or apart["memory_bank"] is not None):
            raise ValueError(
                f"weight_noise={apart['weight_noise']} gives the targets, and so does {given[0]}: choose one of them"
            )
        loss = loss_of("loss", self.loss)
        taken = further_arguments(loss)
        beside = [*given, *([] if self.adversary is None else [f"adversary={self.adversary!r}"])]
        if beside and "features" in taken:
            raise ValueError(
                f"{beside[0]} is for two views, and the loss {self.loss!r} compares one view with its features: "
                "leave it out, or choose another loss"
            )
        if apart["memory_bank"] is not None and "queue_groups" in taken:
            raise ValueError(
                f"memory_bank={apart['memory_bank']} keeps no groups, by which the loss {self.loss!r} seeks "
                "neighbours: give a queue instead"
            )
        if self.queue_start and not self.queue:
            raise ValueError(
                f"queue_start={self.queue_start} is of a queue, and there is none: give one, or leave it out"
            )
        if self.freeze_loss and not any(weight.requires_grad for weight in loss.parameters()):
            raise ValueError(
                f"freeze_loss={self.freeze_loss} is for a loss that learns something, and {self.loss!r} learns nothing"
            )
        if given and takes_crops(loss):
            raise ValueError(
                f"{given[0]} makes targets, and the loss {self.loss!r} takes all views and makes its own: leave "
                "it out, or choose another loss"
            )
        if self.queue and "queue" not in taken:
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
        encoder: dict[str, Any] = {"dilated_conv": {"repr_dim": 4, "hidden_dim": 4, "depth": 1}}
        if "channel_independent" in inspect.signature(cls).parameters["encoder"].default:
            encoder = {"channel_independent": {"encoder": encoder}}
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
    if isinstance(value, list | tuple) and len(ends) != 2:
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
        "``depth`` (2; 0 for no projector), ``batch_norm`` (True), ``bias`` (True), ``last_batch_norm`` (False); see "
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
    queue: int = whole(
        0,
        low=0,
        doc="Targets of this many earlier rows go to the loss, as further negatives (MoCo), neighbours (NNCLR), or "
        "rows that are assigned too (SwAV); 0 for none.",
    )
    loss: Any = spec("nt_xent", "loss", doc="Any registered loss of two views: ``{vicreg: {variance_weight: 10}}``.")
    stop_gradient: bool = flag(False, doc="Whether targets without a momentum encoder are constants (SimSiam).")
    symmetric: bool = flag(
        True,
        doc="Whether each of two views is once the query and once the target, and both terms are added (BYOL); where "
        "both sides are alike it makes no difference.",
    )
    reduction: str = choice(
        "sum",
        ("sum", "mean"),
        doc="Whether the terms of both orders are added (BYOL, MoCo v3) or averaged (SimSiam, NNCLR).",
    )
    memory_bank: float | None = real(
        None,
        low=0,
        below=1,
        doc="Targets come from a bank that holds a unit vector of every training row (Wu et al., 2018): it is blended "
        "with the newest projections of the row, and keeps this fraction of what it was. The other rows' are the "
        "negatives of a loss that takes a queue. The target of a row that was not met before is its other view.",
    )
    queue_start: float = real(
        0.0,
        low=0,
        high=1,
        doc="Fraction of the training after which the loss is given the queue (SwAV: 15 of 200 epochs); it is filled "
        "from the beginning.",
    )
    freeze_loss: float = real(
        0.0,
        low=0,
        high=1,
        doc="Fraction of the training during which what the loss itself learns stays as it is (prototypes of SwAV).",
    )
    weight_noise: float | None = real(
        None,
        low=0,
        doc="Targets come from a copy of the encoder, drawn anew at each step, with Gaussian noise of this many "
        "standard deviations of each weight tensor (SimGRACE); no gradient flows into them.",
    )
    adversary: Any = shared.augmentation(
        None,
        "Augmentation that raises a loss, such as ``{adversarial: {epsilon: 0.05}}``: the second view is moved so that "
        "its loss against the first one rises, and the loss of that pair is added.",
    )
    adversary_weight: float = real(1.0, low=0, doc="Weight of that term.")
    ungrouped: Ungrouped = choice(
        "refuse",
        get_args(Ungrouped),
        doc="What a loss that needs groups does without them: refuse, or take each sample for a group of its own.",
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
    a momentum encoder, a queue, a memory bank and a stopped gradient are there where they are asked for: MoCo, BYOL,
    SimSiam, NNCLR, SwAV, Barlow Twins, VICReg, SupCon and others are recipes over this method (``kinview list
    methods``). The representation is h.

    Notes
    -----
    With q = predictor(z), or z, and targets t, the loss of two views is :math:`L(q_1, t_2) + L(q_2, t_1)`; where both
    sides are alike it is :math:`L(z_1, z_2)`, and without ``symmetric`` :math:`L(q_1, t_2)`. A loss that takes crops
    (``swav``) gets all views that the augmentation makes: the first two as its views, the others as crops. A loss that
    needs labels, groups or expert features gets those of ``fit(X, y, groups=..., extra={"features": ...})``.

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

    scaling: Any = shared.scaling()
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
    scaling: Any = shared.scaling_of_columns()
