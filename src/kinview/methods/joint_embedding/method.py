"""Views of a sample are drawn together by any loss: the method that SimCLR, MoCo, BYOL, VICReg and others choose."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from kinview.data.batch import Batch
from kinview.data.gaps import offset_of, with_something_observed
from kinview.encoders.pooling import PoolingName, pooled
from kinview.losses import losses
from kinview.losses.base import Loss
from kinview.methods.estimators.components import encoder_of, gaps_of, view_of, with_gaps
from kinview.modules.feature_queue import FeatureQueue
from kinview.modules.momentum_encoder import MomentumEncoder, momentum_at
from kinview.modules.projector import Perceptron
from kinview.training.method import LossResult, Method, Sizes

__all__ = ["JointEmbeddingMethod", "fields_needed", "further_arguments", "loss_of"]

_FIELDS = {"labels": "y", "groups": "groups", "features": "extra"}  # what a loss takes by name: the field of a batch


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
        self.gaps = gaps_of(parameters)
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
            views = list(augmentation(batch, generator))
        else:
            views = [augmentation(batch, generator), augmentation(batch, generator)]
        return with_gaps(views, self.gaps, generator, progress)

    def loss(self, views: list[Batch]) -> LossResult:
        """Loss between the views, see the class; a row with a view in which nothing was observed is left out."""
        views = with_something_observed(views)
        if len(views[0]) < self.min_rows:  # nothing to contrast, and no batch statistics
            return self.nothing_to_learn()
        given = self._loss_arguments(views[0])
        projections = [self.projector(self.embed(view)) for view in views]
        if "features" in given:  # one view a sample, drawn towards what its features say
            return LossResult(torch.stack([self.contrast(z, **given) for z in projections]).mean())
        targets = self._targets(views, projections)
        carry = {} if self.queue is None else {"keys": targets[-1], "index": views[-1].index}
        alike = self.predictor is None and self.momentum_encoder is None and not self.stop_gradient
        queries = projections if self.predictor is None else [self.predictor(z) for z in projections]
        pairs = itertools.combinations(range(len(views)), 2)
        orders = [*pairs] if alike or not self.symmetric else [order for i, j in pairs for order in ((i, j), (j, i))]
        terms = torch.stack([self.contrast(queries[i], targets[j], **given) for i, j in orders])
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
            return pooled(encoder, batch.x, batch.times, self.pooling, offset_of(batch))
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

    def _loss_arguments(self, view: Batch) -> dict[str, Tensor]:
        """What the loss takes by name beside two views: labels, groups, features, and the queue."""
        takes = further_arguments(self.contrast)
        known: dict[str, Any] = {"labels": view.y, "groups": view.groups, **view.extra}
        if self.queue is not None:
            known |= {"queue": self.queue.features, "index": view.index, "queue_index": self.queue.labels}
        return {name: value for name, value in known.items() if name in takes and value is not None}


def loss_of(parameter: str, spec: Any) -> Loss:
    """Loss that a method's parameter describes, for two views ``(n, d)``.

    Raises
    ------
    ValueError
        If the spec is not a loss, or is one that needs what no pair of views gives.
    """
    loss = losses.build(spec)
    if not isinstance(loss, Loss):
        raise ValueError(f"{parameter} must be a loss or a spec of one; got {spec!r}")
    odd = [name for name, required in further_arguments(loss).items() if required and name not in _FIELDS]
    if odd:
        raise ValueError(
            f"{parameter}: {type(loss).__name__} needs {', '.join(odd)} beside two views, which this method does not "
            f"have; choose another loss"
        )
    return loss


def further_arguments(loss: Loss) -> dict[str, bool]:
    """What a loss takes beside two views, by name, and whether it must have it."""
    taken = list(inspect.signature(loss.forward).parameters.values())
    beside = [p for p in taken if p.kind is p.KEYWORD_ONLY]
    positional = [p for p in taken if p.kind is p.POSITIONAL_OR_KEYWORD]
    views = 1 if len(positional) > 1 and positional[1].name in _FIELDS else 2
    return {p.name: p.default is p.empty for p in [*positional[views:], *beside]}


def fields_needed(loss: Loss) -> frozenset[str]:
    """Which of ``y``, ``groups`` and ``extra`` a loss must have beside two views."""
    arguments = further_arguments(loss)
    return frozenset(field for name, field in _FIELDS.items() if arguments.get(name, False))
