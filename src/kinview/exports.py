"""Public names of a package that load on first use, and stay what they are in whatever order modules are imported."""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from kinview.moved import moved_names, moved_value

__all__ = ["LazyPackage", "lazy_exports"]

_ONLY_AST = 0x400  # ast.PyCF_ONLY_AST: importing ast for one flag would take longer than all that is done here


class LazyPackage(ModuleType):
    """A package whose ``if TYPE_CHECKING:`` block lists its public names and the modules that define them.

    Type checkers and editors read that block as it stands; at run time a name is imported when it is first asked for.
    Importing a submodule binds it as an attribute of its package, where it would hide a function of the same name
    (``kinview.losses.nt_xent``): a public name is never replaced by a module.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        """By its name: functions of a script or notebook that use the package go to worker processes with it."""
        return importlib.import_module, (self.__name__,)

    @property
    def _homes(self) -> Mapping[str, tuple[str, str]]:
        """Each public name, with the module that defines it and the name it has there."""
        return _homes_of(self.__name__, getattr(self.__spec__, "loader", None))

    def exported_modules(self) -> tuple[str, ...]:
        """Modules that define the public names, in the order in which the package lists them."""
        return tuple(dict.fromkeys(module for module, _ in self._homes.values()))

    def __getattr__(self, name: str) -> Any:
        if name == "__all__":
            return self.__dir__()
        if not name.startswith("__"):
            if name in self._homes:
                module, original = self._homes[name]
                value = getattr(importlib.import_module(module), original)
                self.__dict__[name] = value
                return value
            if (self.__name__, name) in moved_names():
                return moved_value(self.__name__, name)
        raise AttributeError(
            f"module {self.__name__!r} has no attribute {name!r}; it offers {', '.join(self.__dir__())}"
        )

    def __setattr__(self, name: str, value: Any) -> None:
        if not (isinstance(value, ModuleType) and name in self._homes):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        own = {
            name
            for name, value in vars(self).items()
            if not name.startswith("_")
            and (type(value).__name__ == "Registry" or getattr(value, "__module__", None) == self.__name__)
        }
        return sorted({*self._homes, *own} | {"__version__"} & vars(self).keys())


@functools.cache  # not in the package itself, whose names others may be walking through
def _homes_of(name: str, loader: Any) -> Mapping[str, tuple[str, str]]:
    source = loader.get_source(name) if hasattr(loader, "get_source") else None
    if source is None:
        raise ImportError(f"the source of {name} is needed to find its public names")
    tree: Any = compile(source, name, "exec", _ONLY_AST)
    return {
        alias.asname or alias.name: (line.module, alias.name)
        for block in tree.body
        if type(block).__name__ == "If" and getattr(block.test, "id", "") == "TYPE_CHECKING"
        for line in block.body
        if type(line).__name__ == "ImportFrom" and line.module != "typing"
        for alias in line.names
    }


def lazy_exports(package: str) -> LazyPackage:
    """Make a package load its public names on first use; call it in the package's ``__init__``.

    Parameters
    ----------
    package : str
        ``__name__`` of the package.

    Examples
    --------
    >>> import kinview.losses.nt_xent  # the module
    >>> from kinview.losses import nt_xent  # the function of the same name
    >>> nt_xent.__module__
    'kinview.losses.nt_xent'
    """
    module = sys.modules[package]
    module.__class__ = LazyPackage
    assert isinstance(module, LazyPackage)
    return module
