"""Two sides of a sample, each with an encoder of its own, learn to find each other: CLIP and what follows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from kinview.augmentations.base import Augmentation
from kinview.data.batch import Batch
from kinview.data.few_rows import FEWEST_ROWS
from kinview.data.gaps import offset_of, something_observed, with_something_observed
from kinview.encoders.pooling import PoolingName, pooled
from kinview.methods import methods
from kinview.methods.estimators import shared_parameters as shared
from kinview.methods.estimators.components import encoder_of, one_view_of, width_of
from kinview.methods.estimators.paired import PairedEstimator, other_side
from kinview.methods.estimators.shared_parameters import TextRule
from kinview.methods.joint_embedding.method import further_arguments, loss_of
from kinview.modules.projector import Perceptron
from kinview.parameters import anything, parameterised, spec
from kinview.training.method import LossResult, Method, PairSizes, Sizes
from kinview.training.rowwise import RowwiseMethod

__all__ = ["LockedTower", "PairedEmbedding", "PairedEmbeddingMethod", "Tower", "TwoTowers", "projector_sizes"]


class Tower(nn.Module):
    """One side: a view that is drawn at each step, an encoder, and a projector into the common space.

    Parameters
    ----------
    encoder : Module
        Of series or tables.
    projector : Module
        From the encoder's size to that of the common space.
    view : Augmentation, optional
        What training sees of this side.
    pooling : {"max", "mean", "last"}
        How features over time become one vector; of no use on tables.

    Attributes
    ----------
    mean : Tensor
        Mean representation of the training samples ``(d,)``, which stands for what a sample lacks.
    """

    gives_loss: ClassVar[frozenset[str]] = frozenset()
    mean: Tensor

    def __init__(
        self, encoder: nn.Module, projector: nn.Module, view: Augmentation | None, pooling: PoolingName
    ) -> None:
        super().__init__()
        self.encoder, self.projector = encoder, projector
        self.view, self.pooling = view, pooling
        self.register_buffer("mean", torch.zeros(width_of(encoder)))

    @classmethod
    def of(cls, parameters: Any, sizes: Sizes, **projection: Any) -> Tower:
        """Tower for a side of these sizes, as the parameters of a method say; keywords are sizes of its projector."""
        kind = "series" if sizes.modality == "time_series" else "table"
        encoder = encoder_of(f"{kind}_encoder", getattr(parameters, f"{kind}_encoder"), sizes)
        name = f"{kind}_augmentation"
        given = getattr(parameters, name)
        given_sizes = getattr(parameters, "projector", None) or {}
        projector = Perceptron.of({**given_sizes, **projection}, "projector", depth=1, bias=False)
        view = None if given is None else one_view_of(name, given, sizes.modality)
        return cls(encoder, projector.build(width_of(encoder)), view, parameters.pooling)

    @property
    def dim(self) -> int:
        """Size of a projection."""
        layers = [layer for layer in self.projector.modules() if isinstance(layer, nn.Linear)]
        return layers[-1].out_features if layers else len(self.mean)

    def features(self, batch: Batch) -> Float[Tensor, "n d"]:
        """Representation of each row ``(n, d)`` by the encoder, of series pooled over time; before the projector."""
        if batch.x.ndim == 3:
            return pooled(self.encoder, batch.x, batch.times, self.pooling, offset_of(batch))
        out: Tensor = self.encoder(batch.x)
        return out

    def forward(self, batch: Batch) -> Float[Tensor, "n e"]:
        """Projection of each row."""
        out: Tensor = self.projector(self.features(batch))
        return out


class LockedTower(Tower):
    """A side as a fitted model says it, and a head on that.

    Parameters
    ----------
    width : int
        Numbers that the model makes of a sample.
    head : Module
        From these into the common space; the identity where that is the model's own.
    """

    def __init__(self, width: int, head: nn.Module) -> None:
        nn.Module.__init__(self)
        self.encoder, self.projector = nn.Identity(), head
        self.view = None
        self.register_buffer("mean", torch.zeros(width))

    def features(self, batch: Batch) -> Float[Tensor, "n d"]:
        """What the model said of each sample ``(n, width)``, as it came."""
        return batch.x


class PairedEmbeddingMethod(RowwiseMethod):
    r"""A tower for each side, and a loss between the projections of both.

    With the encoders f, g and the projectors P, Q the loss is :math:`L(P f(a), Q g(b))` over the samples of a batch
    that have something observed on both sides. ``embed`` gives f(a) beside g(b), each the mean of the training samples
    where a sample lacks that side.
    """

    training_defaults: ClassVar[dict[str, Any]] = dict(shared.SIMCLR_TRAINING)
    min_rows: ClassVar[int] = 2

    def __init__(self, parameters: Any, sizes: Sizes) -> None:
        super().__init__(sizes)
        assert isinstance(sizes, PairSizes)
        self.first, self.second = self._towers(parameters, sizes)
        self.dims = (self.first.dim, self.second.dim)
        self.contrast = self._contrast(parameters)

    def _towers(self, parameters: Any, sizes: PairSizes) -> tuple[Tower, Tower]:
        """Networks of both sides."""
        return Tower.of(parameters, sizes.first), Tower.of(parameters, sizes.second)

    def _contrast(self, parameters: Any) -> nn.Module:
        """Loss between the projections of both sides."""
        self._common_dim()
        return loss_of("loss", parameters.loss)

    def _common_dim(self) -> int:
        """Size of the projections of both sides.

        Raises
        ------
        ValueError
            If they have two.
        """
        one, other = self.dims
        if one != other:
            raise ValueError(
                f"projector: both sides must come to one size, and they have {one} and {other}; give a depth of 1 or "
                "more, or encoders of one size"
            )
        return one

    @property
    def towers(self) -> tuple[Tower, Tower]:
        """Both sides."""
        return self.first, self.second

    @property
    def widths(self) -> tuple[int, int]:
        """Size of the representation of each side."""
        return len(self.first.mean), len(self.second.mean)

    def views(self, batch: Batch, generator: torch.Generator, progress: float) -> list[Batch]:
        """Both sides, each as its augmentation shows it."""
        return [
            side if tower.view is None else tower.view.at(progress)(side, generator)
            for tower, side in zip(self.towers, self._sides(batch), strict=True)
        ]

    def _sides(self, batch: Batch) -> tuple[Batch, Batch]:
        """Both sides as they are."""
        return batch.replace(extra={}), other_side(batch).replace(index=batch.index, groups=batch.groups)

    def rows_of_loss(self, views: list[Batch]) -> list[Batch]:
        """Samples that have both sides."""
        return with_something_observed(views)

    def representations(self, views: list[Batch]) -> list[Float[Tensor, "n d"]]:
        """Representation of each side by its encoder."""
        return [tower.features(view) for tower, view in zip(self.towers, views, strict=True)]

    def loss_of_representations(self, views: list[Batch], representations: Sequence[Tensor]) -> LossResult:
        """Loss between the projections of both sides."""
        value = self.contrast(*self._projections(representations))
        return LossResult(value, {"scale": float(self.scale)} if hasattr(self.contrast, "log_scale") else {})

    def _projections(self, representations: Sequence[Tensor]) -> list[Float[Tensor, "n e"]]:
        return [tower.projector(h) for tower, h in zip(self.towers, representations, strict=True)]

    @property
    def scale(self) -> Tensor:
        """1/τ of the loss, by which cosines become logits; 1 where the loss has no temperature."""
        learned = getattr(self.contrast, "log_scale", None)
        if learned is not None:
            return learned.detach().exp()  # type: ignore[no-any-return]
        return torch.tensor(1 / getattr(self.contrast, "temperature", 1.0), device=self.first.mean.device)

    def compared(self, views: list[Batch]) -> list[Float[Tensor, "n e"]]:
        """Unit projections of both sides."""
        return [F.normalize(tower(view), dim=1) for tower, view in zip(self.towers, views, strict=True)]

    def logits(self, of: Float[Tensor, "n e"], among: Float[Tensor, "m f"], number: int) -> Float[Tensor, "n m"]:
        """How well the candidates fit samples, of which this side is known: cosines over the temperature."""
        return of @ among.T * self.scale

    def embed(self, batch: Batch) -> Float[Tensor, "n d"]:
        """Representations of both sides beside each other."""
        return torch.cat([self.side(batch, 0), self.side(batch, 1)], dim=1)

    def side(self, batch: Batch, number: int) -> Float[Tensor, "n d"]:
        """Representation of one side; the mean of the training samples where a sample lacks it."""
        own = other_side(batch) if number else batch
        tower, seen = self.towers[number], something_observed(own)
        if not bool(seen.any()):  # one side alone was given
            return tower.mean.expand(len(own), -1).clone()
        return torch.where(seen[:, None], self._features(own, number), tower.mean)

    def projected(self, batch: Batch, number: int) -> Float[Tensor, "n e"]:
        """What one side is compared with the other by, its unit projection; NaN where a sample lacks it."""
        own = other_side(batch) if number else batch
        seen = something_observed(own)
        if not bool(seen.any()):
            return torch.full((len(own), self.dims[number]), torch.nan, device=own.x.device)
        return torch.where(seen[:, None], self._projection(own, number), torch.nan)

    def _features(self, own: Batch, number: int) -> Float[Tensor, "n d"]:
        """Representation of one side, which all of these samples have."""
        return self.towers[number].features(own)

    def _projection(self, own: Batch, number: int) -> Float[Tensor, "n e"]:
        """What one side, which all of these samples have, is compared with the other by."""
        return F.normalize(self.towers[number](own), dim=1)

    def after_training(self, rows: Batch, rows_a_chunk: int, generator: torch.Generator) -> None:
        """Learn what stands for a side that a sample lacks: the mean of those that have it, from five on."""
        for number, tower in enumerate(self.towers):
            own = other_side(rows) if number else rows.replace(extra={})
            (known,) = with_something_observed([own])
            total, n = torch.zeros_like(tower.mean, dtype=torch.float64), len(known)
            for chunk in torch.split(torch.arange(n), rows_a_chunk):
                part = known.rows(chunk).to(tower.mean.device)
                total += self._features(part, number).double().sum(dim=0)
            tower.mean.copy_(total / n if n >= FEWEST_ROWS else torch.zeros_like(total))

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Weights with weight decay; biases, scales of normalisations and what the loss learns without (CLIP)."""
        with_decay: list[nn.Parameter] = []
        without: list[nn.Parameter] = []
        for name, parameter in self.named_parameters():
            plain = parameter.ndim > 1 and not name.startswith("contrast.")
            (with_decay if plain else without).append(parameter)
        return [{"params": with_decay}, {"params": without, "weight_decay": 0.0}]

    def inference_state(self) -> dict[str, Tensor]:
        """Towers, and what the loss learned: projections and their scale say how probable a partner is."""
        return self.state_dict()


def _check_projector(value: Any, name: str) -> None:
    Perceptron.of(value, name)


def projector_sizes() -> Any:
    """Parameter of the projectors of both sides."""
    return anything(
        None,
        "mapping",
        check=_check_projector,
        doc="Sizes of the projectors P and Q: ``out_dim`` of the common space (128), ``depth`` (1: linear, as CLIP), "
        "``hidden_dim``, ``batch_norm``, ``bias`` (False); see :class:`kinview.modules.Perceptron`.",
    )


@parameterised
class TwoTowers(PairedEstimator):
    """What estimators share whose network has a tower for each side."""

    series_encoder: Any = spec("resnet1d", "encoder", doc="Any registered encoder of series, for a side of series.")
    table_encoder: Any = spec("mlp", "encoder", doc="Any registered encoder of tables, for a side of tables.")
    pooling: PoolingName = shared.pooling("How features over time become one vector.")
    series_augmentation: Any = shared.augmentation(
        None,
        "Any registered augmentation of one view, which training sees of a side of series; CLIP has none.",
    )
    table_augmentation: Any = shared.augmentation(
        None, "The same of a side of tables, such as ``{column_corruption: {corruption_rate: 0.3}}``."
    )
    side: str = shared.side()
    scaling: Any = shared.scaling()
    table_scaling: Any = shared.scaling_of_columns()
    text: TextRule = shared.text()
    trainer: Any = shared.trainer("those of :class:`SimCLR`.")
    random_state: Any = shared.random_state()

    training_only: ClassVar[frozenset[str]] = frozenset({"series_augmentation", "table_augmentation"})


@methods.register("paired_embedding", reference="Radford et al., CLIP, ICML 2021")
@parameterised
class PairedEmbedding(TwoTowers):
    r"""Two sides of the same samples, each with an encoder, drawn together in one space by any loss of two views.

    A side is a series or a row of a table (:class:`~kinview.PairedData`): an ECG and the patient's laboratory values,
    or two sets of columns. With encoders f, g and projectors P, Q the loss is

    .. math:: L\big(P f(a_i), \; Q g(b_i)\big),

    over the samples of a batch that have both sides. ``transform`` gives f(a) beside g(b), or one of them (``side``);
    ``project`` unit vectors in the common space. CLIP, ConVIRT, SigLIP and others are recipes over this method.

    Notes
    -----
    A sample that lacks a side is left out of training, and takes part in scales and categories of the side that it has.
    In ``transform`` the mean representation of the training samples stands for what is lacking (zeros with fewer than
    five of them); a series of which nothing was observed, and a row without a value, lack that side. Encoders and views
    are chosen by kind: two sides of series have encoders of one spec and weights of their own. What a loss learns
    (temperature, bias), biases and normalisation are left out of weight decay, as in CLIP.

    References
    ----------
    .. [1] Radford et al.: Learning Transferable Visual Models From Natural Language Supervision, ICML 2021,
       arXiv 2103.00020.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from kinview import PairedData
    >>> from kinview.methods import PairedEmbedding
    >>> t, phase = np.linspace(0, 6, 40), np.arange(20) / 3
    >>> waves = np.sin(t + phase[:, None])[:, None, :]
    >>> pairs = PairedData(series=waves, table=pd.DataFrame({"phase": phase, "ward": list("ab") * 10}))
    >>> encoder = {"dilated_conv": {"repr_dim": 8, "depth": 2}}
    >>> model = PairedEmbedding(encoder, {"mlp": {"hidden_dim": 8, "depth": 2}}, trainer={"max_steps": 2})
    >>> model.fit(pairs).transform(pairs).shape, model.transform({"table": pairs.side("table")}, side="table").shape
    ((20, 16), (20, 8))
    >>> model.project(pairs[:3], "series").shape
    (3, 128)
    """

    projector: Any = projector_sizes()
    loss: Any = spec("clip", "loss", doc="Any registered loss of two views that needs nothing besides.")

    method_class: ClassVar[type[Method]] = PairedEmbeddingMethod
    training_only: ClassVar[frozenset[str]] = TwoTowers.training_only | {"loss"}

    def check_parameters(self) -> None:
        """Refuse parameters out of range, and a loss that needs more than two sides give."""
        super().check_parameters()
        loss = loss_of("loss", self.loss)
        needed = [name for name, required in further_arguments(loss).items() if required]
        if needed:
            raise ValueError(
                f"loss: {type(loss).__name__} needs {', '.join(needed)} beside both sides; choose one such as clip, "
                f"convirt, sigmoid or vicreg"
            )
