"""Augmentations made of augmentations: building the parts, flags that follow from them, rows chosen between views."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from kinview.augmentations import augmentations
from kinview.augmentations.base import Augmentation, Modality
from kinview.data.batch import Batch

if TYPE_CHECKING:
    from typing import Self

    from kinview.data.table import TableSchema

__all__ = ["Composite", "chosen_rows", "name_partners", "refuse_in_choices", "refuse_two_mixers", "views_of"]


class Composite(Augmentation):
    """An augmentation made of others, whose flags follow from theirs.

    The field named by ``parts_field`` takes augmentations and their specs, which the registry builds; what is learned,
    the point of training and the strength are handed through to the parts.
    """

    parts_field: ClassVar[str] = "augmentations"

    def __post_init__(self) -> None:
        super().__post_init__()
        given = getattr(self, self.parts_field)
        built = _built_list(type(self).__name__, given) if self.parts_field == "augmentations" else _built(given)
        self._set(**{self.parts_field: built})
        parts = self.parts
        networks = [part.network for part in parts if part.network is not None]
        self._set(
            modality=_common_modality(type(self).__name__, parts),
            n_views=self._views_made(),
            moves_time=any(part.moves_time for part in parts),
            makes_gaps=any(part.makes_gaps for part in parts),
            mixes_rows=any(part.mixes_rows for part in parts),
            chooses_partners=any(part.chooses_partners for part in parts),
            mixes_channels=any(part.mixes_channels for part in parts),
            changes_length=any(part.changes_length for part in parts),
            min_channels=max(part.min_channels for part in parts),
            needs=frozenset[str]().union(*(part.needs for part in parts)),
            network=nn.ModuleList(networks) if len(networks) > 1 else networks[0] if networks else None,
        )

    @property
    def parts(self) -> tuple[Augmentation, ...]:
        """The augmentations that it is made of."""
        held = getattr(self, self.parts_field)
        return held if isinstance(held, tuple) else (held,)

    @abstractmethod
    def _views_made(self) -> int:
        """Number of views, from those of the parts."""

    @property
    def has_strength(self) -> bool:
        """Whether every part has a strength, so that 0 is the identity."""
        return all(part.has_strength for part in self.parts)

    def fit(
        self, batch: Batch, schema: TableSchema | None = None, generator: torch.Generator | None = None
    ) -> Augmentation:
        """Let every part learn from the same training rows; returns a copy."""
        return self._map(lambda part: part.fit(batch, schema, generator))

    def forget(self) -> Augmentation:
        """Copy whose parts hold nothing that was learned from training rows."""
        return self._map(lambda part: part.forget())

    def at(self, progress: float) -> Augmentation:
        """Self with every part at this point of training, from 0 to 1."""
        return self._map(lambda part: part.at(progress))

    def bind_loss(self, loss: Any) -> Augmentation:
        """Copy whose parts that need a loss are given it."""
        return self._map(lambda part: part.bind_loss(loss) if "loss" in part.needs else part)  # type: ignore[attr-defined]

    def strength_scaled(self, strength: float) -> Augmentation:
        """Same augmentation with every part weaker or stronger: 0 is the identity, 1 the augmentation itself.

        Raises
        ------
        ValueError
            If a part has no strength.
        """
        if not strength >= 0:
            raise ValueError(f"strength must be at least 0; got {strength!r}")
        return self._map(lambda part: part.strength_scaled(strength))

    def _map(self, change: Callable[[Augmentation], Augmentation]) -> Self:
        changed = tuple(change(part) for part in self.parts)
        if all(new is old for new, old in zip(changed, self.parts, strict=True)):
            return self
        return self._with(**{self.parts_field: changed if self.parts_field == "augmentations" else changed[0]})


def views_of(part: Augmentation, batch: Batch, generator: torch.Generator) -> tuple[Batch, ...]:
    """The view, or the views, of a part, as a tuple."""
    views = part(batch, generator)
    return views if isinstance(views, tuple) else (views,)


def chosen_rows(chosen: Tensor, one: Batch, other: Batch) -> Batch:
    """One batch where a row was chosen ``(n,)``, the other elsewhere.

    What only one of them has in ``extra`` says of the rows of the other that nothing happened: their partner is the row
    itself, their coefficients and similarity 1, and all else 0.
    """
    extra = dict(other.extra)
    for name in {**other.extra, **one.extra}:
        value, before = one.extra.get(name), other.extra.get(name)
        value = _nothing_happened(name, before) if value is None else value
        before = _nothing_happened(name, value) if before is None else before
        extra[name] = value if value is before else _either(chosen, value, before)
    times = one.times
    if times is not other.times and times is not None and other.times is not None:
        times = _where(chosen, times, other.times)
    return one.replace(x=_where(chosen, one.x, other.x), times=times, extra=extra)


def name_partners(view: Batch) -> Batch:
    """The view, each row its own partner where nothing was mixed."""
    if "partner" in view.extra:
        return view
    partner = torch.arange(len(view), device=view.x.device)
    return view.replace(extra={**view.extra, "partner": partner, "coefficient": view.x.new_ones(len(view))})


def refuse_in_choices(owner: str, parts: Sequence[Augmentation]) -> None:
    """Refuse parts between which rows of one batch cannot choose."""
    for part in parts:
        name = type(part).__name__
        if part.n_views > 1:
            raise ValueError(
                f"{owner} chooses for each row, so every part must give one view; {name} gives {part.n_views}: put it "
                f"before or around the choice, Compose([{name}(...), {owner}(...)])"
            )
        if part.changes_length:
            raise ValueError(
                f"{owner} chooses for each row, and the rows of a batch have one length; {name} changes it: put it "
                f"before or around the choice, Compose([{name}(...), {owner}(...)])"
            )


def refuse_two_mixers(owner: str, parts: Sequence[Augmentation]) -> None:
    """Refuse to mix rows twice: one partner could not name both."""
    mixers = [type(part).__name__ for part in parts if part.mixes_rows]
    if len(mixers) > 1:
        raise ValueError(
            f"{owner} can hold one part that mixes rows, whose partner it names; {' and '.join(mixers)} would mix a "
            "row twice: let each row have one of them, OneOf([...])"
        )


def _where(chosen: Tensor, one: Tensor, other: Tensor) -> Tensor:
    return torch.where(chosen.view(-1, *[1] * (one.ndim - 1)), one, other)


def _either(chosen: Tensor, one: Any, other: Any) -> Any:
    return chosen_rows(chosen, one, other) if isinstance(one, Batch) else _where(chosen, one, other)


def _nothing_happened(name: str, value: Any) -> Any:
    if isinstance(value, Batch):
        return value
    if name == "partner":
        return torch.arange(len(value), dtype=value.dtype, device=value.device)
    whole = name.endswith("coefficient") or name == "similarity"  # of a row with itself
    return torch.ones_like(value) if whole else torch.zeros_like(value)


def _built_list(owner: str, given: Any) -> tuple[Augmentation, ...]:
    if isinstance(given, str | Mapping) or not isinstance(given, Sequence):
        raise ValueError(f"augmentations of {owner} must be a list of augmentations; got {given!r}: write [...]")
    if not given:
        raise ValueError(f"augmentations of {owner} must hold at least one augmentation; got none")
    return tuple(_built(spec) for spec in given)


def _built(spec: Any) -> Augmentation:
    part = augmentations.build(spec)
    if isinstance(part, Augmentation):
        return part
    if isinstance(part, type):
        raise ValueError(f"an augmentation is an object, not its class: write {part.__name__}(...)")
    raise ValueError(f"a part must be an augmentation, its name, or {{name: {{parameter: value}}}}; got {part!r}")


def _common_modality(owner: str, parts: Sequence[Augmentation]) -> Modality:
    found: Modality = "any"
    for part in parts:
        if part.modality == "any" or part.modality == found:
            continue
        if found != "any":
            kinds = ", ".join(f"{type(part).__name__} ({part.modality})" for part in parts)
            raise ValueError(f"the parts of {owner} must work on the same kind of data; got {kinds}")
        found = part.modality
    return found
