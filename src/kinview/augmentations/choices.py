"""Augmentations that each row has or has not."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import torch

from kinview.augmentations import augmentations
from kinview.augmentations._composite import Composite, chosen_rows, refuse_in_choices, refuse_two_mixers
from kinview.augmentations._random import bernoulli, integers, orders
from kinview.augmentations.base import Augmentation
from kinview.data.batch import Batch
from kinview.parameters import real, whole

__all__ = ["OneOf", "SomeOf", "Sometimes"]


class _Choice(Composite):
    """Each row has some of the parts; a part is applied to the whole batch, and the rows that have it keep it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_in_choices(type(self).__name__, self.parts)

    def _views_made(self) -> int:
        return 1


@augmentations.register("one_of", modality="any", family="composition", parts={"augmentations": "augmentations"})
@dataclasses.dataclass(frozen=True)
class OneOf(_Choice):
    r"""For each row one of the augmentations, all equally likely.

    Parameters
    ----------
    augmentations : list
        Augmentations or their specs; a list within the list is a :class:`~kinview.augmentations.Compose`.

    Notes
    -----
    Every part works on the whole batch and the rows that drew it keep its view, so the cost is that of all parts, and
    nothing loops over rows. What a part adds to ``extra`` says of the rows without it that nothing happened: partner
    the row itself, coefficients and similarity 1, all else 0.

    Raises
    ------
    ValueError
        At construction for an empty list, parts of different modalities, and parts that change the length or give
        several views.

    Examples
    --------
    >>> x = torch.arange(6.0).reshape(2, 1, 3) + 1
    >>> OneOf(["sign_flip", "time_reverse"])(x, torch.Generator().manual_seed(0)).shape
    torch.Size([2, 1, 3])
    """

    augmentations: Sequence[Any]

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Each row's own choice."""
        drawn = integers((len(batch),), 0, len(self.parts), generator).to(batch.x.device)
        result = batch
        for i, part in enumerate(self.parts):
            result = chosen_rows(drawn == i, part(batch, generator), result)
        return result


@augmentations.register(
    "some_of",
    modality="any",
    family="composition",
    reference="Cubuk et al., RandAugment, NeurIPS 2020",
    parts={"augmentations": "augmentations"},
)
@dataclasses.dataclass(frozen=True)
class SomeOf(_Choice):
    """For each row k different ones of the augmentations, applied in the order of the list.

    Parameters
    ----------
    augmentations : list
        Augmentations or their specs; a list within the list is a :class:`~kinview.augmentations.Compose`.
    k : int, default 2
        How many each row has (RandAugment's N; there drawn with repetition, here without).

    Notes
    -----
    See :class:`OneOf` for cost and ``extra``.

    Raises
    ------
    ValueError
        At construction as :class:`OneOf`; for a k above the number of parts; for two parts that mix rows where k > 1 (a
        view names one partner for each row).

    References
    ----------
    .. [1] Cubuk et al., RandAugment: Practical Automated Data Augmentation with a Reduced Search Space, NeurIPS 2020.

    Examples
    --------
    >>> SomeOf(["sign_flip", "time_reverse"], k=3)
    Traceback (most recent call last):
    ...
    ValueError: k must be in [1, 2], the number of augmentations; got 3
    """

    augmentations: Sequence[Any]
    k: int = whole(2, low=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.k > len(self.parts):
            raise ValueError(f"k must be in [1, {len(self.parts)}], the number of augmentations; got {self.k}")
        if self.k > 1:
            refuse_two_mixers("SomeOf", self.parts)

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Each row's own choice."""
        place = orders(len(batch), len(self.parts), generator).to(batch.x.device)
        for i, part in enumerate(self.parts):
            batch = chosen_rows(place[:, i] < self.k, part(batch, generator), batch)
        return batch


@augmentations.register("sometimes", modality="any", family="composition", parts={"augmentation": "augmentations"})
@dataclasses.dataclass(frozen=True)
class Sometimes(_Choice):
    """An augmentation that each row has with probability p.

    Parameters
    ----------
    augmentation : augmentation or spec
        What happens; a list is a :class:`~kinview.augmentations.Compose`.
    p : float, default 0.5
        Probability (SimCLR's for a flip). 0 is the identity.

    Notes
    -----
    Its strength is that of the augmentation; where that has none, it is the probability. See :class:`OneOf` for cost
    and ``extra``.

    Raises
    ------
    ValueError
        At construction for a p outside [0, 1] and for an augmentation that changes the length or gives several views.

    Examples
    --------
    >>> x = torch.arange(1.0, 7.0).reshape(6, 1, 1)
    >>> Sometimes({"sign_flip": {"p": 1.0}}, p=0.5)(x, torch.Generator().manual_seed(0)).flatten().sign().abs().sum()
    tensor(6.)
    """

    augmentation: Any
    p: float = real(0.5, low=0, high=1, neutral=0)

    parts_field: ClassVar[str] = "augmentation"

    @property
    def has_strength(self) -> bool:
        """Always: that of the augmentation, or the probability."""
        return True

    def strength_scaled(self, strength: float) -> Augmentation:
        """Same with a weaker or stronger augmentation; where that has no strength, less or more often."""
        if self.parts[0].has_strength:
            return super().strength_scaled(strength)
        return Augmentation.strength_scaled(self, strength)

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """The view of the rows that were drawn."""
        drawn = bernoulli((len(batch),), self.p, generator, batch.x)
        return chosen_rows(drawn, self.parts[0](batch, generator), batch)
