"""The corruption inside another one, which applies it to some samples or to static columns."""

from __future__ import annotations

from typing import Any

from kinview.evaluation.corruptions import corruptions
from kinview.evaluation.corruptions.base import Corruption
from kinview.registry import to_config

__all__ = ["built_mechanism", "mechanism_modality", "mechanism_spec"]


def mechanism_spec(given: Any) -> Any:
    """Spec of a mechanism without its rate, which is that of the corruption around it; a spec stays as it is."""
    if not isinstance(given, Corruption):
        return given
    ((name, parameters),) = to_config(given).items()
    parameters = {key: value for key, value in parameters.items() if key != "rate"}
    return {name: parameters} if parameters else name


def built_mechanism(spec: Any, rate: float) -> Corruption:
    """The mechanism at a rate.

    Raises
    ------
    ValueError
        If it changes static columns or takes whole samples: it has nothing to do with single values then.
    """
    part: Corruption = corruptions.build(spec, rate=rate)
    if part.changes_static or part.counts == "samples":
        raise ValueError(
            f"mechanism must be a corruption of values, such as mcar; {type(part).__name__} takes whole samples or "
            "changes static columns"
        )
    return part


def mechanism_modality(part: Corruption) -> str:
    """Modality that a mechanism is registered for."""
    return str(corruptions[corruptions.name_of(part)].modality)
