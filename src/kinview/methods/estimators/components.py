"""Views and encoders from an estimator's parameters; what does not fit is refused under the parameter's name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from kinview.augmentations import augmentations
from kinview.augmentations.base import Augmentation
from kinview.data.batch import Batch
from kinview.data.modality import NOUNS, SERIES
from kinview.encoders import encoders
from kinview.training.method import Sizes

__all__ = ["encoder_of", "gaps_of", "maker_of_gaps", "one_view_of", "series_encoder_arguments", "view_of", "with_gaps"]


def view_of(parameter: str, spec: Any, modality: str) -> Augmentation:
    """Augmentation that a method's parameter describes.

    Raises
    ------
    ValueError
        If the spec is not an augmentation, or is one for another modality; the parameter is named.
    """
    view = augmentations.build(spec)
    if not isinstance(view, Augmentation):
        raise ValueError(f"{parameter} must be an augmentation or a spec of one; got {spec!r}")
    if view.modality not in (modality, "any"):
        raise ValueError(
            f"{parameter} must work on {NOUNS[modality]}; {type(view).__name__} works on {NOUNS[view.modality]}"
        )
    return view


def one_view_of(parameter: str, spec: Any, modality: str) -> Augmentation:
    """As :func:`view_of`; one that makes several views is refused too."""
    view = view_of(parameter, spec, modality)
    if view.n_views != 1:
        raise ValueError(f"{parameter} must make one view; {view!r} makes {view.n_views}")
    return view


def gaps_of(parameters: Any) -> Augmentation | None:
    """Augmentation that makes gaps in every view, where the parameter ``gaps`` asks for one."""
    spec = getattr(parameters, "gaps", None)
    return None if spec is None else maker_of_gaps("gaps", spec, SERIES)


def maker_of_gaps(parameter: str, spec: Any, modality: str) -> Augmentation:
    """Augmentation of one view that makes gaps, as a method's parameter describes it.

    Raises
    ------
    ValueError
        If it makes no gaps, or does more: steps stay where they are, because two views may have them in common.
    """
    view = one_view_of(parameter, spec, modality)
    if not view.makes_gaps or view.moves_time or view.changes_length:
        does = "makes no gaps" if not view.makes_gaps else "moves steps"
        example = "{observation_dropout: {p: 0.4}}" if modality == SERIES else "{cell_dropout: {p: 0.4}}"
        stay = "the steps where they are" if modality == SERIES else "the others as they are"
        raise ValueError(
            f"{parameter} must be an augmentation that takes values away and leaves {stay}, such as {example}; "
            f"{view!r} {does}"
        )
    return view


def with_gaps(
    views: list[Batch], gaps: Augmentation | None, generator: torch.Generator, progress: float
) -> list[Batch]:
    """The views, each with gaps of its own draw."""
    return views if gaps is None else [gaps.at(progress)(view, generator) for view in views]


def encoder_of(parameter: str, spec: Any, sizes: Sizes) -> nn.Module:
    """Encoder that a method's parameter describes, for data of these sizes.

    Raises
    ------
    ValueError
        If the spec is neither a name nor a mapping, or is an encoder of the other modality; the parameter is named.
    """
    if not isinstance(spec, str | Mapping):
        raise ValueError(
            f"{parameter} must be the name of a registered encoder or {{name: {{parameter: value}}}} (each fit builds "
            f"a new one); got {spec!r}"
        )
    name = spec if isinstance(spec, str) else next(iter(spec), "")
    entry = encoders[str(name)]
    if entry.modality != sizes.modality:
        raise ValueError(
            f"{parameter} must encode {NOUNS[sizes.modality]}; {name} encodes {NOUNS[str(entry.modality)]}"
        )
    given = {"channels": sizes.channels} if sizes.modality == SERIES else {"cardinalities": sizes.cardinalities}
    built: nn.Module = encoders.build(spec, **given)
    return built


def width_of(encoder: nn.Module) -> int:
    """Size D of what an encoder makes."""
    return int(getattr(encoder, "repr_dim"))  # noqa: B009 (an attribute that torch's types do not know)


def series_encoder_arguments(parameters: Any, sizes: Sizes) -> dict[str, Any]:
    """Arguments of an encoder of series that are parameters of the method itself, under the same names."""
    return {
        "channels": sizes.channels,
        "repr_dim": parameters.repr_dim,
        "hidden_dim": parameters.hidden_dim,
        "dropout": parameters.dropout,
        "front_end": parameters.front_end,
        "missing": parameters.missing,
        "fill": parameters.fill,
    }
