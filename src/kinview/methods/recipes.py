"""Recipes of methods as classes: a paper that only chooses parts is a YAML file in ``configs/method``.

A recipe says its ``class``, ``summary``, ``reference`` and ``description``, and under ``modality`` the spec of the
method that it is, for each modality that it serves. Its class is that of the method with other defaults.
"""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kinview.parameters import parameterised
from kinview.registry import Entry

if TYPE_CHECKING:  # classes that are made when they are asked for, as a type checker sees them
    from kinview.methods.joint_embedding.estimators import JointEmbedding, TabularJointEmbedding

    class BYOL(JointEmbedding): ...

    class TabularBYOL(TabularJointEmbedding): ...

    class MoCo(JointEmbedding): ...

    class TabularMoCo(TabularJointEmbedding): ...

    class VICReg(JointEmbedding): ...

    class TabularVICReg(TabularJointEmbedding): ...


__all__ = ["classes_of"]

_KEYS = {"class", "summary", "reference", "description", "modality", "common"}
_WIDTH = 116  # of a line of documentation
_PREFIX = {"time_series": "", "tabular": "Tabular"}


class _Defaults(dict[str, Any]):
    """A mapping as the default of a field, which has to be hashable; nobody changes it."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(repr(sorted(self.items(), key=repr)))


def classes_of(
    name: str, content: Mapping[str, Any], entries: Mapping[str, Entry]
) -> dict[str, tuple[type, dict[str, Any]]]:
    """Make a class of a recipe for each of its modalities, with what is declared about it.

    Parameters
    ----------
    name : str
        Under which the recipe is registered.
    content : mapping
        What its file says.
    entries : mapping
        Registered methods by name.

    Raises
    ------
    ValueError
        If the recipe has an unknown key, lacks one, or names a method or a parameter that does not exist.
    """
    unknown, absent = set(content) - _KEYS, {"class", "summary", "modality"} - set(content)
    if unknown or absent:
        raise ValueError(
            f"the recipe {name!r} has the unknown keys {sorted(unknown) or 'none'} and lacks "
            f"{sorted(absent) or 'none'}; it takes {', '.join(sorted(_KEYS))}"
        )
    return {
        modality: _class_of(name, content, modality, spec, entries) for modality, spec in content["modality"].items()
    }


def _class_of(
    name: str, content: Mapping[str, Any], modality: str, spec: Any, entries: Mapping[str, Entry]
) -> tuple[type, dict[str, Any]]:
    base_name = spec if isinstance(spec, str) else next(iter(spec))
    chosen = {} if isinstance(spec, str) else dict(spec[base_name] or {})
    if base_name not in entries:
        raise ValueError(
            f"the recipe {name!r} is made of {base_name!r}, which is not a method; known: {', '.join(entries)}"
        )
    base: Any = entries[base_name].target
    trainer = chosen.pop("trainer", {})
    fields = {field.name: field for field in dataclasses.fields(base)}
    wrong = [key for key in chosen if key not in fields]
    if wrong:
        raise ValueError(f"the recipe {name!r} sets {wrong[0]!r}; {base_name} has {', '.join(fields)}")
    members: dict[str, Any] = {"__annotations__": dict.fromkeys(chosen, Any)}
    for key, value in chosen.items():
        default = _Defaults(value) if isinstance(value, Mapping) else tuple(value) if isinstance(value, list) else value
        members[key] = dataclasses.field(default=default, metadata=fields[key].metadata)
    members |= {
        "__module__": __name__,
        "__doc__": _document(content, base_name, trainer),
        "published_training": trainer,
    }
    made: type = type(base)(f"{_PREFIX.get(modality, '')}{content['class']}", (base,), members)
    metadata = {"parts": entries[base_name].metadata.get("parts", {}), "recipe": chosen}
    return parameterised(made), metadata


def _document(content: Mapping[str, Any], base_name: str, trainer: Mapping[str, Any]) -> str:
    notes = [f"A recipe over ``{base_name}``, whose parameters it has, with the defaults that are listed here."]
    if trainer:
        notes.append(f"Training values of its own: {', '.join(f'{key} {value}' for key, value in trainer.items())}.")
    said = [textwrap.fill(part, _WIDTH) for part in content.get("description", "").strip().split("\n\n")]
    notes = [textwrap.fill(note, _WIDTH) for note in notes]
    parts = [content["summary"], *said, "Notes\n-----\n" + "\n".join(notes)]
    if "reference" in content:
        reference = textwrap.fill(f".. [1] {content['reference']}.", _WIDTH, subsequent_indent="   ")
        parts.append(f"References\n----------\n{reference}")
    return "\n\n".join(part for part in parts if part) + "\n"


def __getattr__(name: str) -> Any:
    """Class of a recipe, by its name: so pickles find it."""
    from kinview.methods import methods

    if not name.startswith("_"):
        for entry in (methods[known] for known in methods):
            for target in entry.targets:
                if getattr(target, "__name__", "") == name and target.__module__ == __name__:
                    return target
    raise AttributeError(f"there is no recipe with the class {name!r}; `kinview list methods` shows those there are")
