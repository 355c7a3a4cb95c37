"""The code that parts rest on: whatever their imports name and their strings build, read from the syntax tree."""

from __future__ import annotations

import functools
import importlib
import inspect
import secrets
from collections.abc import Iterator, Mapping
from typing import Any

from kinview.evaluation.benchmark.source import WHOLE, Chain, Piece, modules_below, read_source
from kinview.files import canonical_json, content_hash
from kinview.registry import Registry, families

__all__ = ["Closure"]

_HOME = __name__.split(".", 1)[0]
_BY_VERSION = {"builtins", "numpy", "sklearn", "torch", "xgboost"}  # a key holds the versions of these
_ONLOOKERS = {"callbacks"}  # families whose parts look on while a result is made, and change none
_UNREADABLE = secrets.token_hex()  # code without a file is known in this process alone

Target = tuple[str, Chain]  # a module, and what of it
Place = tuple[str, str]  # a module, and the name of a piece of it


class Closure:
    """Code that is reached from modules and registered parts, with its digest.

    Imports are followed inside kinview and inside the packages of the parts that are reached. A module that is reached
    counts whole; of a package's ``__init__`` only the names count that are used. A string that is the name of a part,
    in code or in a config, reaches the part wherever the registry of its family is reached too, because parts are built
    by name. That may be more than what runs, never less.

    Examples
    --------
    >>> from kinview.losses import losses
    >>> closure = Closure()
    >>> closure.add(losses, "nt_xent")
    >>> "kinview.losses.nt_xent" in closure.modules, "kinview.losses.vicreg" in closure.modules
    (True, False)
    >>> len(closure.digest())
    64
    """

    def __init__(self) -> None:
        self._packages = {_HOME}
        self._roots: list[Target] = []
        self._places: set[Place] = set()
        self._families: dict[str, str] = {}  # to the module that makes the registry
        self._strings: set[str] = set()
        self._named: dict[tuple[str, str], list[str]] = {}  # family and name of a part: what it is

    def add(self, registry: Registry, config: Any) -> None:
        """Add a part of a registry, and those inside its config (plain data)."""
        self._families.setdefault(registry.family, "")
        self._strings.update(_strings_in(config))
        self._follow()

    def add_module(self, module: str) -> None:
        """Add a module and what it uses."""
        self._roots.append((module, ()))
        self._follow()

    @property
    def modules(self) -> set[str]:
        """Names of the modules that are reached."""
        return {module for module, _ in self._places}

    def digest(self) -> str:
        """SHA-256 of the code: of its content, wherever the files are."""
        records = {canonical_json(self._record(place)) for place in self._places if not _piece(place).is_empty}
        return content_hash([sorted(records), sorted(self._named.values())])

    def _follow(self) -> None:
        """Reach everything, from the start when a string names a new part: its package may not be another library's."""
        news = True
        while news:
            self._places.clear()
            todo = list(self._roots)
            while todo:
                for place in self._resolve(*todo.pop()):
                    todo += self._reach(place)
            news = self._name_parts()

    def _reach(self, place: Place) -> list[Target]:
        """Add a piece, and what the packages around it do when they are imported; returns what these refer to."""
        if place in self._places:
            return []
        self._places.add(place)
        (module, name), piece = place, _piece(place)
        self._families = dict.fromkeys(piece.families, module) | self._families
        self._strings |= piece.strings
        around = module if name != WHOLE else module.rpartition(".")[0]
        further = self._reach((around, WHOLE)) if around and read_source(around) else []
        return [*further, *(target for _, targets in self._links(place) for target in targets)]

    def _name_parts(self) -> bool:
        """Reach the parts that strings name; whether there were new ones."""
        known = len(self._named)
        for family, module in sorted(self._families.items()):
            if family in _ONLOOKERS:
                continue
            if family not in families():
                importlib.import_module(module)
            registry = families()[family]
            for name in self._strings.intersection({*registry, *registry.recipes()}):
                if (family, name) not in self._named:
                    self._named[family, name] = [family, name, *self._described(registry, name)]
        return len(self._named) > known

    def _described(self, registry: Registry, name: str) -> list[str]:
        """What a name stands for: a recipe's content, or a definition whose module is reached from now on."""
        if name not in set(registry):
            spec = registry.recipe(name)
            self._strings.update(_strings_in(spec))
            return [canonical_json(spec)]
        content = registry[name].metadata.get("content", registry[name].metadata.get("recipe"))
        if content is not None:  # a recipe that is a class
            self._strings.update(_strings_in(content))
        target = registry[name].target
        while isinstance(target, functools.partial):
            target = target.func
        own = _module_of(target)
        self._packages |= {own.split(".", 1)[0]} - _BY_VERSION
        for one in inspect.getmro(target) if isinstance(target, type) else (target,):
            qualname = str(getattr(one, "__qualname__", ""))
            self._roots.append((_module_of(one), tuple(qualname.split(".")[:1])))
        said = [] if content is None else [canonical_json(content)]
        return [str(getattr(target, "__qualname__", "")), "" if read_source(own) else _UNREADABLE, *said]

    def _resolve(self, module: str, chain: Chain) -> list[Place]:
        """Pieces that ``module.chain`` names; none where it is another library's."""
        source = read_source(module) if module.split(".", 1)[0] in self._packages else None
        if source is None:
            return []
        if not source.is_package:
            return [(module, WHOLE)]
        if not chain:
            return [(module, name) for name in source.pieces]
        name, rest = chain[0], chain[1:]
        if name.startswith("__"):  # __name__, __version__: about the package, not of it
            return []
        if name in source.pieces:
            return [(module, name)]
        found = source.imports.get(name)
        if found is not None and (found.module, found.name) != (module, name):
            return self._resolve(found.module, (*found.start, *rest))
        if read_source(f"{module}.{name}") is not None:
            return self._resolve(f"{module}.{name}", rest)
        behind = {
            module,
            *(one.module for one in source.imports.values()),
            *modules_below(module),
        }  # made in a way of its own
        return [(one, piece) for one in behind if (read := read_source(one)) is not None for piece in read.pieces]

    def _links(self, place: Place) -> Iterator[tuple[str, list[Target]]]:
        """What the names in a piece stand for: how it is imported, without a path, and the code that is meant."""
        module, name = place
        source, piece = read_source(module), _piece(place)
        assert source is not None
        imports = set(piece.imports)
        if source.is_package:
            imports |= {one for local, one in source.imports.items() if local in piece.names}
            yield "", [(module, (other,)) for other in sorted(piece.names.keys() & source.pieces.keys() - {name})]
        for one in imports:
            inside = one.module.split(".", 1)[0] in self._packages
            is_module = one.name is None or (inside and read_source(f"{one.module}.{one.name}") is not None)
            label = [one.scope, one.local, "" if inside else one.module, "" if is_module else str(one.name)]
            rests = piece.names.get(one.local, {()})
            yield ":".join(label), [(one.module, (*one.start, *rest)) for rest in rests]

    def _record(self, place: Place) -> list[Any]:
        """A piece by its content, and each name that it imports by the content of what is meant."""
        meant = [
            [label, *sorted({_piece(found).digest for target in targets for found in self._resolve(*target)})]
            for label, targets in self._links(place)
        ]
        return [_piece(place).digest, sorted(meant)]


def _piece(place: Place) -> Piece:
    source = read_source(place[0])
    assert source is not None
    return source.pieces[place[1]]


def _module_of(target: Any) -> str:
    return str(getattr(target, "__module__", None) or type(target).__module__)


def _strings_in(config: Any) -> Iterator[str]:
    """Texts anywhere in plain data, keys of mappings included."""
    if isinstance(config, str):
        yield config
    elif isinstance(config, Mapping):
        for key, value in config.items():
            yield str(key)
            yield from _strings_in(value)
    elif isinstance(config, list | tuple):
        for value in config:
            yield from _strings_in(value)
