"""Views of a sample are drawn together by any loss: the method that SimCLR, MoCo, BYOL, VICReg and others choose."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from kinview.data.batch import Batch
from kinview.data.gaps import offset_of, with_something_observed
from kinview.encoders.channel_independent import ChannelIndependent
from kinview.encoders.pooling import PoolingName, pooled
from kinview.losses import losses
from kinview.losses.base import Loss
from kinview.methods.estimators import shared_parameters as shared
from kinview.methods.estimators.components import encoder_of, gaps_of, view_of, width_of, with_gaps
from kinview.methods.joint_embedding.crafted import adversary_of, crafted_view
from kinview.modules.feature_queue import FeatureQueue
from kinview.modules.memory_bank import MemoryBank
from kinview.modules.momentum_encoder import MomentumEncoder, momentum_at
from kinview.modules.noisy_copy import noisy_copy
from kinview.modules.projector import Perceptron
from kinview.training.method import LossResult, Sizes
from kinview.training.rowwise import RowwiseMethod

__all__ = [
    "JointEmbeddingMethod",
    "Ungrouped",
    "fields_needed",
    "further_arguments",
    "loss_needs_times",
    "loss_of",
    "takes_crops",
]

Ungrouped = Literal["refuse", "own"]
_FIELDS = {"labels": "y", "groups": "groups", "features": "extra"}  # what a loss takes by name: the field of a batch


class JointEmbeddingMethod(RowwiseMethod):
    r"""Views of one sample, an encoder f, a projector g, and a loss between what they give.

    With z = g(f(view)), and q = predictor(z) where there is a predictor. Targets t are z themselves, or those of a
    momentum encoder, or what a memory bank holds of the row; no gradient flows into them under ``stop_gradient``, nor
    into a momentum encoder or a bank. Where both sides are alike (no predictor, momentum, bank, or stop of the
    gradient) the loss is L(z₁, z₂), otherwise L(q₁, t₂) + L(q₂, t₁), or the mean of both, or L(q₁, t₂) alone where not
    ``symmetric``; of more than two views, its mean over all pairs. A loss that takes ``crops`` gets all views at once:
    the first two as its views, and the others as crops. Under ``weight_noise`` targets come from a noisy copy of f;
    with an ``adversary`` the loss of the first view and of one that is crafted against it, by projections of the
    present encoder, is added with its weight.
    """

    training_defaults: ClassVar[dict[str, Any]] = dict(shared.SIMCLR_TRAINING)
    min_rows: ClassVar[int] = 2
    gives_loss: ClassVar[frozenset[str]] = frozenset({"adversary"})

    def __init__(self, parameters: Any, sizes: Sizes) -> None:
        super().__init__(sizes)
        self.encoder = encoder_of("encoder", parameters.encoder, sizes)
        view = parameters.default_augmentation if parameters.augmentation is None else parameters.augmentation
        self.augmentation = view_of("augmentation", view, sizes.modality)
        self.gaps = gaps_of(parameters)
        width = width_of(self.encoder)
        projector = Perceptron.of(parameters.projector or {}, "projector")
        self.projector = projector.build(width)
        dim = projector.out_dim if projector.depth else width
        self.contrast = loss_of("loss", parameters.loss)
        self.pooling: PoolingName = getattr(parameters, "pooling", "max")
        self.stop_gradient, self.symmetric = parameters.stop_gradient, parameters.symmetric
        self.weight_noise, self.adversary_weight = parameters.weight_noise, parameters.adversary_weight
        self.adversary = adversary_of(parameters.adversary, sizes.modality)
        self.draws = "seed" in further_arguments(self.contrast) or self.weight_noise is not None  # anew at each step
        # what follows draws after everything above, so that these options change no weight of the others
        predictor = parameters.predictor
        self.predictor = (
            None if predictor is None else Perceptron.of(predictor, "predictor", out_dim=dim, hidden_dim=dim).build(dim)
        )
        self.momentum = parameters.momentum
        self.momentum_encoder = None if parameters.momentum is None else MomentumEncoder(self.encoder, self.projector)
        self.timed = loss_needs_times(self.contrast)
        self.queue = FeatureQueue(parameters.queue, dim, with_times=self.timed) if parameters.queue else None
        self.ungrouped: Ungrouped = parameters.ungrouped
        bank = parameters.memory_bank
        self.bank = None if bank is None else MemoryBank(max(1, sizes.rows), dim, bank)
        self.reduction, self.freeze_loss = parameters.reduction, parameters.freeze_loss
        self.queue_start = parameters.queue_start
        self.queue_in_use = parameters.queue_start == 0
        expected = getattr(self.contrast, "dim", dim)
        if expected != dim:
            raise ValueError(
                f"loss: {type(self.contrast).__name__} is for embeddings of size {expected}, and the projections have "
                f"{dim}; give the loss dim={dim}, or projector out_dim={expected}"
            )

        self._learned = [weight for weight in self.contrast.parameters() if weight.requires_grad]

    def before_step(self, progress: float) -> None:
        """Begin to use the queue, and to train what the loss learns, when their time has come."""
        self.queue_in_use = progress >= self.queue_start
        trains = progress >= self.freeze_loss
        if self.freeze_loss and any(weight.requires_grad != trains for weight in self._learned):
            for weight in self._learned:
                weight.requires_grad_(trains)
            self.train()

    def views(self, batch: Batch, generator: torch.Generator, progress: float) -> list[Batch]:
        """Two draws of the augmentation, or the views that it makes."""
        augmentation = self.augmentation.at(progress)
        if augmentation.n_views > 1:
            views = list(augmentation(batch, generator))
        else:
            views = [augmentation(batch, generator), augmentation(batch, generator)]
        self._check_channels(views)
        views = with_gaps(views, self.gaps, generator, progress)
        if self.draws:
            views = with_seed(views, generator)
        if self.adversary is not None:
            views.append(crafted_view(self, self.adversary, views[0], views[1], generator))
        return views

    def loss(self, views: list[Batch]) -> LossResult:
        """Loss between the views, see the class; a row with a view in which nothing was observed is left out."""
        if self.adversary is None:
            return super().loss(views)
        *plain, crafted = views
        found, against = super().loss(plain), super().loss([plain[0], crafted])
        return LossResult(found.loss + self.adversary_weight * against.loss, found.logs, found.carry)

    def why_not_in_chunks(self) -> str | None:
        """An adversary moves its view by the gradient of the whole batch."""
        return None if self.adversary is None else "its adversary crafts views by the gradient of the whole batch"

    def rows_of_loss(self, views: list[Batch]) -> list[Batch]:
        """Rows with something observed in each view."""
        return with_something_observed(views)

    def representations(self, views: list[Batch]) -> list[Tensor]:
        """The encoder's output for each view; after these those of a momentum encoder, or of a noisy copy."""
        return [self.embed(view) for view in views] + self._followed(views)

    def loss_of_representations(self, views: list[Batch], representations: Sequence[Tensor]) -> LossResult:
        """Loss between the projections and their targets, see the class."""
        given = self.loss_arguments(views[0])
        projections = [self.projector(h) for h in representations[: len(views)]]
        if "features" in given:  # one view a sample, drawn towards what its features say
            return LossResult(torch.stack([self.contrast(z, **given) for z in projections]).mean())
        if takes_crops(self.contrast):
            value = self.contrast(*projections[:2], crops=projections[2:], **given)
            return LossResult(value, carry=self._carry(views[:2], projections[:2], projections[:2]))
        targets = self._targets(views, projections, representations[len(views) :])
        both = self.symmetric and not self._alike
        queries = projections if self.predictor is None else [self.predictor(z) for z in projections]
        pairs = itertools.combinations(range(len(views)), 2)
        orders = [order for i, j in pairs for order in (((i, j), (j, i)) if both else ((i, j),))]
        terms = torch.stack([self.loss_of_pair(queries[i], targets[j], given) for i, j in orders])
        value = terms.mean() * 2 if both and self.reduction == "sum" else terms.mean()
        return LossResult(value, carry=self._carry(views, projections, targets))

    @property
    def _alike(self) -> bool:
        """Whether queries and targets are one thing, so that the order of two views makes no difference."""
        apart = (self.predictor, self.momentum_encoder, self.bank, self.weight_noise)
        return all(part is None for part in apart) and not self.stop_gradient

    def loss_of_pair(self, query: Tensor, target: Tensor, given: Mapping[str, Tensor]) -> Tensor:
        """Loss of the queries against the targets; ``given`` as of :meth:`loss_arguments`."""
        value: Tensor = (
            self.contrast(target, query, **given)
            if self.contrast.target_first
            else self.contrast(query, target, **given)
        )
        return value

    def _carry(
        self, views: Sequence[Batch], projections: Sequence[Tensor], targets: Sequence[Tensor]
    ) -> dict[str, Tensor]:
        """What is remembered of this step: the targets of the last view in a queue, the queries' rows in a bank."""
        if self.bank is not None:
            kept = range(len(views) if self.symmetric else len(views) - 1)
            return {
                "keys": torch.cat([projections[k] for k in kept]), "index": torch.cat([views[k].index for k in kept])
            }  # fmt: skip
        return {} if self.queue is None else {"keys": targets[-1], **self._facts_of_keys(views[-1])}

    def after_step(self, progress: float, views: list[Batch], carry: Mapping[str, Tensor]) -> None:
        """Let the momentum encoder follow, and remember what the loss carried."""
        if self.momentum_encoder is not None:
            assert self.momentum is not None
            self.momentum_encoder.follow(momentum_at(self.momentum, progress), self.encoder, self.projector)
        if "keys" in carry:
            if self.bank is not None:
                self.bank.update(carry["index"], carry["keys"])
            elif self.queue is not None:
                self.queue.enqueue(carry["keys"], carry["labels"], carry.get("times"))

    def embed(self, batch: Batch) -> Tensor:
        """The encoder's output; the projector serves training only."""
        return self._features(self.encoder, batch)

    def _features(self, encoder: torch.nn.Module, batch: Batch) -> Tensor:
        if self.sizes.modality == "time_series":
            return pooled(encoder, batch.x, batch.times, self.pooling, offset_of(batch))
        out: Tensor = encoder(batch.x)
        return out

    @torch.no_grad()
    def _followed(self, views: Sequence[Batch]) -> list[Tensor]:
        """Output for each view of the encoder that makes the targets, where that is another one."""
        if self.momentum_encoder is not None:
            encoder = self.momentum_encoder.copies[0]
        elif self.weight_noise is not None:
            seed = views[0].extra["seed"]  # the same in all rows
            assert isinstance(seed, Tensor)
            encoder = noisy_copy(self.encoder, self.weight_noise, torch.Generator().manual_seed(int(seed[0])))
        else:
            return []
        return [self._features(encoder, view) for view in views]

    def _targets(
        self, views: Sequence[Batch], projections: Sequence[Tensor], followed: Sequence[Tensor]
    ) -> list[Tensor]:
        if followed:
            projector = self.projector if self.momentum_encoder is None else self.momentum_encoder.copies[1]
            with torch.no_grad():
                return [projector(h) for h in followed]
        if self.bank is not None:
            index = views[0].index
            known, held = self.bank.known[index, None], self.bank.stored[index].to(projections[0])
            return [torch.where(known, held, F.normalize(z.detach(), dim=1)) for z in projections]
        return [z.detach() if self.stop_gradient else z for z in projections]

    def loss_arguments(self, view: Batch) -> dict[str, Tensor]:
        """What the loss takes by name beside two views: labels, groups, times, features, the queue, and a seed."""
        takes = further_arguments(self.contrast)
        known: dict[str, Any] = {"labels": view.y, "groups": self._groups(view), **view.extra}
        known["times"] = view.extra.get("time") if self.timed else None
        if self.queue is not None and self.queue_in_use:
            known |= {"queue": self.queue.features, "index": view.index, "queue_index": self.queue.labels}
            known |= {"queue_groups": self.queue.labels, "queue_times": self.queue.times if self.timed else None}
        if self.bank is not None:
            held = self.bank.known.clone()
            if getattr(self.contrast, "in_batch", False):  # rows of the batch are negatives already
                held[view.index] = False
            known |= {"queue": self.bank.stored[held], "index": view.index, "queue_index": held.nonzero()[:, 0]}
        return {name: value for name, value in known.items() if name in takes and value is not None}

    def _groups(self, view: Batch) -> Tensor | None:
        """Group of each row, or the row itself where none are given and that is asked for."""
        return view.index if view.groups is None and self.ungrouped == "own" else view.groups

    def _facts_of_keys(self, view: Batch) -> dict[str, Tensor]:
        """What is queued with the keys of a view: groups where the loss asks for them, else which sample; times."""
        groups = self._groups(view) if "queue_groups" in further_arguments(self.contrast) else None
        labels = {"labels": view.index if groups is None else groups}
        time = view.extra.get("time") if self.timed else None
        return {**labels, "times": time} if isinstance(time, Tensor) else labels

    def _check_channels(self, views: Sequence[Batch]) -> None:
        """Refuse views with other channels than the encoder reads, such as single leads."""
        if self.sizes.modality != "time_series" or isinstance(self.encoder, ChannelIndependent):
            return
        for view in views:
            if view.x.shape[1] != self.sizes.channels:
                raise ValueError(
                    f"the views have {view.x.shape[1]} channel(s), and the encoder reads {self.sizes.channels} "
                    f"together: choose one that reads each by itself, encoder={{'channel_independent': {{'encoder': "
                    f"...}}}}"
                )


def with_seed(views: list[Batch], generator: torch.Generator) -> list[Batch]:
    """The views with one number in ``extra["seed"]``, the same in all rows: what is drawn of it belongs to the step.

    So a loss that draws (random directions) is a function of the views, and validation draws the same each time.
    """
    seed = torch.randint(2**32, (1,), generator=generator, device=generator.device)
    return [view.replace(extra={**view.extra, "seed": seed.to(view.x.device).expand(len(view))}) for view in views]


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


def takes_crops(loss: Loss) -> bool:
    """Whether a loss takes, beside two views, any number of further ones that only predict."""
    return "crops" in further_arguments(loss)


def loss_needs_times(loss: Loss) -> bool:
    """Whether a loss, with these parameters, needs the time of each row."""
    return bool(getattr(loss, "needs_times", False))


def fields_needed(loss: Loss) -> frozenset[str]:
    """Which of ``y``, ``groups`` and ``extra`` a loss must have beside two views."""
    arguments = further_arguments(loss)
    return frozenset(field for name, field in _FIELDS.items() if arguments.get(name, False))
