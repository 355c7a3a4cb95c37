"""Modules that have moved, under the names by which pickles of earlier versions know them.

A pickle names each class by its module. :class:`Finder` stands behind all other finders of Python's import system, so
it is asked only for what is not there; for an old name of the table it serves a module that looks everything up in the
new one. Nothing is imported before a name is asked for, and nothing is said.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

__all__ = ["Finder", "moved_modules", "moved_names"]


@functools.cache
def moved_modules() -> Mapping[str, str]:
    """Each module that is gone, with the module that holds its names now."""
    return _table()["modules"]


@functools.cache
def moved_names() -> Mapping[tuple[str, str], str]:
    """Each (module, name) that is elsewhere now, with the module that holds it, or ``module:name`` if it was renamed.

    :class:`kinview.exports.LazyPackage` looks here for what it does not offer itself.
    """
    pairs = ((*old.split(":"), new) for old, new in _table()["names"].items())
    return {(package, name): new for package, name, new in pairs}


@functools.cache
def _table() -> dict[str, dict[str, str]]:
    import importlib.resources
    import json

    # a file of its own and not code: a new line in it changes no result, so it must not change the key of one
    text = importlib.resources.files("kinview").joinpath("configs", "moved.json").read_text(encoding="utf-8")
    table: dict[str, dict[str, str]] = json.loads(text)
    return table


def moved_value(module: str, name: str) -> Any:
    """Object that a name stood for in a module that is gone, or in a package that the name has left."""
    place, _, renamed = moved_names().get((module, name), moved_modules().get(module, "")).partition(":")
    return getattr(importlib.import_module(place), renamed or name)


class Finder:
    """Serves the modules of :func:`moved_modules`; it goes to the end of ``sys.meta_path``."""

    @classmethod
    def find_spec(cls, name: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        """Spec of an old module, or None."""
        if not name.startswith("kinview.") or name not in moved_modules():
            return None
        return ModuleSpec(name, cls(), is_package=any(old.startswith(f"{name}.") for old in moved_modules()))  # type: ignore[arg-type]

    @classmethod
    def install(cls) -> None:
        """Put the finder behind all others, once."""
        if cls not in sys.meta_path:
            sys.meta_path.append(cls)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The stand-in, which has nothing to execute."""
        return _Moved(spec.name, f"Moved to {moved_modules()[spec.name]}.")

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: names are looked up when they are asked for."""


class _Moved(ModuleType):
    """A module that looks its names up where they are now."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what the import system asks of a module concerns this one
            raise AttributeError(name)
        return moved_value(self.__name__, name)
