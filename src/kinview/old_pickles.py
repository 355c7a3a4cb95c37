"""Pickles of earlier versions: a part that lacks a parameter which its class has gained since gets it here."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from kinview.complete_configs import earlier_defaults, frozen_defaults
from kinview.registry import VARIADIC, families

__all__ = ["FromPickle", "gained_parameters"]


class FromPickle:
    """Base class of parts that a pickle of an earlier version may hold: what the pickle does not know is filled in.

    A parameter that the class has gained since has the default of kinview 0.1.0 where that version had it, and the
    present one otherwise: a new parameter comes with the default that changes nothing, or with the value that does
    among those frozen.
    """

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = _filled(type(self), state)
        parent = getattr(super(), "__setstate__", None)
        if parent is None:
            self.__dict__.update(state)
        else:
            parent(state)


def _filled(target: type, state: dict[str, Any]) -> dict[str, Any]:
    """State of a part with the parameters that it lacks, as attributes, and in ``config`` where the part keeps one."""
    config = state.get("config")
    held = config if isinstance(config, Mapping) else state
    absent = [name for name in _parameters_with_defaults(target) if name not in held]
    if not absent:
        return state
    inside = {name for kind in ("_modules", "_parameters", "_buffers") for name in state.get(kind, ())}
    values = {name: _default_of(target, name) for name in absent if name not in inside}
    if isinstance(config, Mapping):
        state = {**state, "config": {**config, **values}}
    return {**values, **state}


@functools.cache
def _parameters_with_defaults(target: type) -> tuple[str, ...]:
    """Parameters that may be absent, without those that the class computes."""
    parameters = inspect.signature(target).parameters.values()
    given = [p.name for p in parameters if p.default is not p.empty and p.kind not in VARIADIC]
    return tuple(name for name in given if not isinstance(getattr(target, name, None), property))


def _default_of(target: type, name: str) -> Any:
    """Default that a parameter had in kinview 0.1.0, or what stands for it, else the one that it has now."""
    now = inspect.signature(target).parameters[name].default
    for family, part in _names_of(target):
        then = earlier_defaults(frozen_defaults("0.1.0"), family, part)
        if name in then:
            return tuple(then[name]) if isinstance(now, tuple) else copy.copy(then[name])
    return now


def _names_of(target: type) -> Iterator[tuple[str, str]]:
    """Family and name under which a part and its bases are registered."""
    for registry in families().values():
        for entry in registry.imported():
            if entry.target in target.__mro__:
                yield registry.family, entry.name


def gained_parameters(target: type) -> dict[str, Any]:
    """Parameters that a part of kinview 0.1.0 has gained since, with what changes nothing; none of a new part."""
    then = frozen_defaults("0.1.0")["parts"]
    known = {name for family, part in _names_of(target) for name in then.get(family, {}).get(part, {})}
    parameters = inspect.signature(target).parameters.values()
    gained = [p.name for p in parameters if known and p.name not in known and p.default is not p.empty]
    return {name: _default_of(target, name) for name in gained}
