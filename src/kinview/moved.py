"""Modules that have moved, under the names by which pickles of earlier versions know them.

A pickle names each class by its module. :class:`Finder` stands behind all other finders of Python's import system, so
it is asked only for what is not there; for an old name of the table it serves a module that looks everything up in the
new one. Nothing is imported before a name is asked for, and nothing is said.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

__all__ = ["MOVED_NAMES", "OLD_TO_NEW", "Finder", "former_names"]

OLD_TO_NEW: dict[str, str] = {}
"""Module that is gone to the module that holds its names now, both in full."""

MOVED_NAMES: dict[tuple[str, str], str] = {}
"""Name that left a module which is still there, as (module, name), to the module that holds it now."""


class Finder:
    """Serves the modules of :data:`OLD_TO_NEW`; it goes to the end of ``sys.meta_path``."""

    @classmethod
    def find_spec(cls, name: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        """Spec of an old module, or None."""
        if name not in OLD_TO_NEW:
            return None
        return ModuleSpec(name, cls(), is_package=any(old.startswith(f"{name}.") for old in OLD_TO_NEW))  # type: ignore[arg-type]

    @classmethod
    def install(cls) -> None:
        """Put the finder behind all others, once."""
        if cls not in sys.meta_path:
            sys.meta_path.append(cls)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The stand-in, which has nothing to execute."""
        return _Moved(spec.name, f"Moved to {OLD_TO_NEW[spec.name]}.")

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: names are looked up when they are asked for."""


class _Moved(ModuleType):
    """A module that looks its names up where they are now.

    The import system binds a module in its package, over a function of the same name that the package may offer: then
    the module answers a call as the function would.
    """

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what the import system asks of a module concerns this one
            raise AttributeError(name)
        return getattr(importlib.import_module(OLD_TO_NEW[self.__name__]), name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return getattr(self, self.__name__.rpartition(".")[2])(*args, **kwargs)


def former_names(module: str) -> Callable[[str], Any]:
    """Make the ``__getattr__`` of a module that names of :data:`MOVED_NAMES` have left.

    The module says ``__getattr__ = former_names(__name__)``.
    """

    def find(name: str) -> Any:
        if (module, name) not in MOVED_NAMES:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        return getattr(importlib.import_module(MOVED_NAMES[module, name]), name)

    return find
