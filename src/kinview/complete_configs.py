"""Configs as files and stores hold them: complete, so that they mean the same when a default changes; and short again.

A config is short or complete. The short one, for people, leaves out what has its default. The complete one holds every
parameter, those of the parts inside a part too. Which parameters are parts is known from their fields
(:func:`kinview.parameters.spec`), or from ``parts={"encoder": "encoders"}`` at registration. What was written while
only short configs were stored is completed with the defaults of that version: :func:`frozen_defaults`.
"""

from __future__ import annotations

import functools
import importlib.resources
import json
from collections.abc import Mapping, Sequence
from typing import Any

from kinview.parameters import part_nouns
from kinview.registry import (
    Entry,
    Registry,
    default_values,
    families,
    merged_parameters,
    name_and_parameters,
    to_config,
)

__all__ = [
    "complete_config",
    "complete_parameters",
    "earlier_defaults",
    "frozen_defaults",
    "register_fields",
    "short_config",
]

_FIELDS: dict[str, dict[str, Any]] = {}  # parameters that are mappings of fields, with their defaults
_ABSENT = object()


def complete_config(
    registry: Registry, spec: Any, *, frozen: Mapping[str, Any] | None = None, for_modality: str | None = None
) -> Any:
    """Config of a part, or of a spec, with every parameter, nested parts included; :meth:`Registry.build` takes it.

    Parameters
    ----------
    registry : Registry
        Where the part is registered.
    spec : str, mapping, sequence or object
        As :meth:`Registry.build` takes it. What names no part is left as it is.
    frozen : mapping, optional
        Defaults of an earlier version (:func:`frozen_defaults`) that stand for what the spec leaves out; a parameter
        that did not exist then has the present default.
    for_modality : str, optional
        As for :meth:`Registry.build`; a part that is built says it by its class.

    Examples
    --------
    >>> import dataclasses
    >>> shapes = Registry("example_forms")
    >>> @shapes.register("disc")
    ... @dataclasses.dataclass(frozen=True)
    ... class Disc:
    ...     radius: float = 1.0
    ...     filled: bool = True
    >>> complete_config(shapes, {"disc": {"radius": 2.0}})
    {'disc': {'radius': 2.0, 'filled': True}}
    >>> short_config(shapes, {"disc": {"radius": 2.0, "filled": True}})
    {'disc': {'radius': 2.0}}
    """
    if not isinstance(spec, str | Mapping | list | tuple) and spec is not None:
        for_modality = for_modality or registry.modality_served(spec)
        spec = to_config(spec)
    return _complete(registry, spec, frozen, (), for_modality)


def short_config(registry: Registry, config: Any, *, for_modality: str | None = None) -> Any:
    """Config without what has its default now: the inverse of :func:`complete_config`."""
    return _short(registry, config, (), for_modality)


def complete_parameters(
    target: type, values: Mapping[str, Any], frozen: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Values of the parameters of a class in plain data, the parts among them complete, as :func:`complete_config`."""
    entries = (entry for registry in families().values() for entry in registry.imported())
    own = next((entry for entry in entries if entry.target is target), Entry("", target))
    return {name: _complete_parameter(own, name, value, frozen) for name, value in values.items()}


@functools.cache
def frozen_defaults(version: str) -> dict[str, Any]:
    """Defaults of every part that a version of kinview had, with its recipes.

    ``gained`` holds parameters that a part has gained since and whose default is no longer what that version did, with
    the value that does it.

    Parameters
    ----------
    version : str
        One whose files hold short configs: ``"0.1.0"``.
    """
    file = importlib.resources.files("kinview") / "configs" / "defaults" / f"{version}.json"
    table: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return table


def earlier_defaults(frozen: Mapping[str, Any], family: str, name: str) -> dict[str, Any]:
    """Defaults that a part had, and what stands for those that it has gained since, where their default changed it."""
    return {**frozen["parts"].get(family, {}).get(name, {}), **frozen["gained"].get(family, {}).get(name, {})}


def register_fields(parameter: str, target: Any, *, without: Sequence[str] = ()) -> None:
    """Say that a parameter of this name is a mapping of fields (``trainer``), whose defaults a complete config holds.

    Parameters
    ----------
    parameter : str
        Name of the parameter, in whatever part.
    target : type
        The class whose parameters are the fields.
    without : sequence of str
        Fields that concern no result.
    """
    _FIELDS[parameter] = {key: value for key, value in default_values(target).items() if key not in without}


def _complete(
    registry: Registry, spec: Any, frozen: Mapping[str, Any] | None, left_open: Sequence[str], modality: str | None
) -> Any:
    if isinstance(spec, list | tuple):
        return [_complete(registry, part, frozen, left_open, modality) for part in spec]
    name, given = name_and_parameters(spec)
    if name is not None and name in registry:
        entry, values = registry[name].for_modality(modality), {}
        defaults = _defaults(registry, entry, frozen)
        given = merged_parameters(entry, given)
        for key, value in {**{key: defaults[key] for key in defaults if key not in left_open}, **given}.items():
            values[key] = _complete_parameter(entry, key, value, frozen, modality)
        return {name: values} if values else name
    if name is not None and not given:
        recipes = {} if frozen is None else frozen["recipes"].get(registry.family, {})
        if name in recipes or name in registry.recipes():
            recipe = recipes[name] if name in recipes else registry.recipe(name)
            return _complete(registry, recipe, frozen, left_open, modality)
    return to_config(spec)


def _complete_parameter(
    entry: Entry, name: str, value: Any, frozen: Mapping[str, Any] | None, modality: str | None = None
) -> Any:
    value, (inside, left_open) = to_config(value), _registry_of(entry, name)
    if inside is not None:
        return _complete(inside, value, frozen, left_open, modality)
    return {**_field_defaults(name, frozen), **value} if name in _FIELDS and isinstance(value, Mapping) else value


def _short(registry: Registry, config: Any, left_open: Sequence[str], modality: str | None) -> Any:
    if isinstance(config, list | tuple):
        recipe = _recipe_of(registry, config, left_open)
        return recipe or [_short(registry, part, left_open, modality) for part in config]
    name, given = name_and_parameters(config)
    if name is None or name not in registry:
        return config
    entry, kept = registry[name].for_modality(modality), {}
    defaults = _defaults(registry, entry, None)
    for key, value in given.items():
        inside, inner_open = _registry_of(entry, key)
        default = defaults.get(key, _ABSENT) if key not in left_open else _ABSENT
        if inside is not None:
            value = _short(inside, value, inner_open, modality)
            default = default if default is _ABSENT else _short(inside, default, inner_open, modality)
        elif key in _FIELDS and isinstance(value, Mapping):
            fields = _field_defaults(key, None)
            value = {k: v for k, v in value.items() if not _equal(v, fields.get(k, _ABSENT))} or default
        if not _equal(value, default):
            kept[key] = value
    return (_recipe_of(registry, config, left_open) or {name: kept}) if kept else name


def _recipe_of(registry: Registry, config: Any, left_open: Sequence[str]) -> str | None:
    """Name of the recipe that says the same as a config."""
    names = [name for name in registry.recipes() if name not in registry]
    whole = _complete(registry, config, None, left_open, None) if names else None
    return next((name for name in names if _complete(registry, name, None, left_open, None) == whole), None)


def _registry_of(entry: Entry, parameter: str) -> tuple[Registry | None, tuple[str, ...]]:
    """Registry of a parameter that is a part itself, and what of that part is left open."""
    declared = entry.metadata.get("parts", {}).get(parameter)
    if declared is not None:
        family, *left_open = (declared,) if isinstance(declared, str) else declared
        return families()[family], tuple(left_open)
    noun = part_nouns(entry.target).get(parameter)
    return next((registry for registry in families().values() if registry.noun == noun), None), ()


def _defaults(registry: Registry, entry: Entry, frozen: Mapping[str, Any] | None) -> dict[str, Any]:
    """Defaults of a part in plain data: those of now, and over them those of an earlier version."""
    then = {} if frozen is None else earlier_defaults(frozen, registry.family, entry.name)
    return _with_earlier(default_values(entry.target), then)


def _field_defaults(parameter: str, frozen: Mapping[str, Any] | None) -> dict[str, Any]:
    """Defaults of the fields of a parameter: those of now, and over them those of an earlier version."""
    return _with_earlier(_FIELDS[parameter], {} if frozen is None else frozen["fields"].get(parameter, {}))


def _with_earlier(now: Mapping[str, Any], then: Mapping[str, Any]) -> dict[str, Any]:
    return {**now, **{key: value for key, value in then.items() if key in now}}


def _equal(one: Any, other: Any) -> bool:
    return type(one) is type(other) and one == other
