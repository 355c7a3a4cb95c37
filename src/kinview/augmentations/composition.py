"""One augmentation after another, several views side by side, and strength that follows the training."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, ClassVar

import torch

from kinview.augmentations import augmentations
from kinview.augmentations._composite import Composite, name_partners, refuse_two_mixers, views_of
from kinview.augmentations.base import Augmentation
from kinview.data.batch import Batch
from kinview.parameters import check_fraction, choice, real, whole

__all__ = ["Compose", "Curriculum", "Views"]


@augmentations.register("compose", modality="any", family="composition", parts={"augmentations": "augmentations"})
@dataclasses.dataclass(frozen=True)
class Compose(Composite):
    """One augmentation after another; in a config simply a list.

    Parameters
    ----------
    augmentations : list
        Augmentations or their specs, applied in this order. After a part with several views the rest is applied to each
        view, with draws of its own; so the number of views is the product of the parts'.

    Raises
    ------
    ValueError
        At construction for an empty list, parts of different modalities, or two parts that mix rows (a view names one
        partner for each row).

    Examples
    --------
    >>> weak = Compose(["sign_flip", "time_reverse"])
    >>> augmentations.build(["sign_flip", "time_reverse"]) == weak
    True
    >>> augmentations.to_config(weak)
    {'compose': {'augmentations': ['sign_flip', 'time_reverse']}}
    """

    augmentations: Sequence[Any]

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_two_mixers("Compose", self.parts)

    def _views_made(self) -> int:
        return math.prod(part.n_views for part in self.parts)

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch | tuple[Batch, ...]:
        """Apply the parts in turn."""
        views = [batch]
        for part in self.parts:
            views = [made for view in views for made in views_of(part, view, generator)]
        return tuple(views) if self.n_views > 1 else views[0]


@augmentations.register("views", modality="any", family="composition", parts={"augmentations": "augmentations"})
@dataclasses.dataclass(frozen=True)
class Views(Composite):
    """One view from each part, all of the same batch.

    Parameters
    ----------
    augmentations : list
        Augmentations or their specs; a list within the list is a :class:`Compose`. A part with several views adds them
        all; so the number of views is the sum of the parts'.

    Notes
    -----
    Where one part mixes rows, the rows of the other parts' views are their own partners, with coefficient 1.

    Raises
    ------
    ValueError
        At construction for an empty list or parts of different modalities.

    Examples
    --------
    >>> Views(["time_reverse", ["sign_flip", "time_reverse"]]).n_views
    2
    """

    augmentations: Sequence[Any]

    def _views_made(self) -> int:
        return sum(part.n_views for part in self.parts)

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch | tuple[Batch, ...]:
        """The views of all parts, in order."""
        views = tuple(view for part in self.parts for view in views_of(part, batch, generator))
        if self.mixes_rows:
            views = tuple(name_partners(view) for view in views)
        return views if self.n_views > 1 else views[0]


@augmentations.register(
    "curriculum",
    modality="any",
    family="composition",
    reference="Ye et al., EfficientCL, EMNLP 2021",
    parts={"augmentation": "augmentations"},
)
@dataclasses.dataclass(frozen=True)
class Curriculum(Composite):
    r"""Strength that follows the training: :math:`s(u) = start + (stop - start)\, g(u)` at progress u.

    Linear :math:`g = u`, cosine :math:`g = (1 - \cos \pi u) / 2`, or step
    :math:`g = \min(\lfloor k u \rfloor, k - 1) / (k - 1)` with k stages. A training loop asks :meth:`at` for the
    augmentation of the moment; called as it is, a curriculum stands at its end.

    Parameters
    ----------
    augmentation : augmentation or spec
        What becomes stronger; a list is a :class:`Compose`. Every part must have a strength.
    start : float, default 0
        Strength at the beginning of training: 0 is the identity, 1 the augmentation itself (kinview).
    stop : float, default 1
        Strength at the end of training (kinview).
    schedule : {"linear", "cosine", "step"}, default "linear"
        g.
    stages : int, default 4
        k of the step schedule (kinview).

    Raises
    ------
    ValueError
        At construction for an augmentation without a strength; by :meth:`at` for a progress outside [0, 1].

    References
    ----------
    .. [1] Ye et al., Efficient Contrastive Learning via Novel Data Augmentation and Curriculum Learning, EMNLP 2021,
       arXiv 2109.05941.

    Examples
    --------
    >>> stronger = Curriculum({"jitter": {"sigma": 1.0}}, start=0.5)
    >>> stronger.at(0.0).sigma, stronger.at(0.5).sigma, stronger.at(1.0).sigma
    (0.5, 0.75, 1.0)
    """

    augmentation: Any
    start: float = real(0.0, low=0, neutral=0)
    stop: float = real(1.0, low=0, neutral=0)
    schedule: str = choice("linear", ("linear", "cosine", "step"))
    stages: int = whole(4, low=2)

    parts_field: ClassVar[str] = "augmentation"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.augmentation.strength_scaled(1.0)  # refuses what has no strength, by name

    def _views_made(self) -> int:
        return self.parts[0].n_views

    def strength(self, progress: float) -> float:
        """Strength at this point of training, from 0 to 1."""
        check_fraction(progress, "progress")
        fraction = {
            "linear": progress,
            "cosine": (1 - math.cos(math.pi * progress)) / 2,
            "step": min(math.floor(self.stages * progress), self.stages - 1) / (self.stages - 1),
        }[self.schedule]
        return self.start + (self.stop - self.start) * fraction

    def at(self, progress: float) -> Augmentation:
        """The augmentation itself, as strong as it is at this point of training."""
        return self.parts[0].at(progress).strength_scaled(self.strength(progress))

    def strength_scaled(self, strength: float) -> Augmentation:
        """Same schedule between weaker or stronger ends."""
        return Augmentation.strength_scaled(self, strength)

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch | tuple[Batch, ...]:
        """View at the end of the schedule."""
        views: Batch | tuple[Batch, ...] = self.at(1.0)(batch, generator)
        return views
