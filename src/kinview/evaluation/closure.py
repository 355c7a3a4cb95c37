"""The code that parts rest on: whatever their imports name and their strings build, read from the syntax tree.

A module that is reached counts whole. Of a package's ``__init__`` only the statements count that define a name in use:
a list of members or a table of public names grows with every part and says nothing about the others.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import hashlib
import importlib
import importlib.machinery
import importlib.util
import inspect
import secrets
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from kinview.files import canonical_json, content_hash
from kinview.registry import Registry, families

__all__ = ["Closure"]

_WHOLE = ""  # name of the piece that is a whole module, or what a package's __init__ does besides defining names
_HOME = __name__.split(".", 1)[0]
_SUFFIXES = (".py", *importlib.machinery.EXTENSION_SUFFIXES)
_UNREADABLE = secrets.token_hex()  # code without a file is known in this process alone

Chain = tuple[str, ...]  # names joined by dots in the source
Target = tuple[str, Chain]  # a module, and what of it
Place = tuple[str, str]  # a module, and the name of a piece of it


@dataclasses.dataclass(frozen=True)
class _Import:
    """``from module import name as local``, or ``import module as local``, inside the definition ``scope``."""

    scope: str
    local: str
    module: str
    name: str | None

    @property
    def start(self) -> Chain:
        return () if self.name is None else (self.name,)


class _Piece:
    """Statements without docstrings, comments and imports, and what they refer to."""

    def __init__(self, module: str, is_package: bool, statements: Iterable[ast.AST]) -> None:
        self.imports: set[_Import] = set()
        self.chains: set[Chain] = set()
        self.strings: set[str] = set()
        self.families: set[str] = set()
        self._base = module.split(".") if is_package else module.split(".")[:-1]
        self._words: list[str] = []
        for statement in statements:
            self._write(statement, "")
        self.is_empty = not self._words and not self.imports
        self.digest = hashlib.sha256("\n".join(self._words).encode()).hexdigest()

    def _write(self, node: Any, scope: str) -> None:
        if isinstance(node, list | tuple):
            for one in node:
                self._write(one, scope)
        elif not isinstance(node, ast.AST):
            self._words.append(repr(node))
        elif isinstance(node, ast.Import | ast.ImportFrom):
            self.imports.update(_imported(node, self._base, scope))
        elif isinstance(node, ast.If) and _is_for_types(node):
            self._write(node.orelse, scope)
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            pass  # a docstring
        elif (chain := _chain(node)) is not None:
            self.chains.add(chain)
            self._words.append(".".join(chain))
        else:
            self._write_fields(node, scope)

    def _write_fields(self, node: ast.AST, scope: str) -> None:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            self.strings.add(node.value)
        if isinstance(node, ast.Call):
            node = self._call(node, scope)
        inner = f"{scope}.{node.name}" if isinstance(node, ast.FunctionDef | ast.ClassDef) else scope
        self._words.append(f"({type(node).__name__}")
        for field, value in ast.iter_fields(node):
            absent = value is None and not isinstance(node, ast.Constant)
            if not absent and value != [] and field not in ("ctx", "kind", "type_comment"):
                self._words.append(field)
                self._write(value, inner)
        self._words.append(")")

    def _call(self, node: ast.Call, scope: str) -> ast.Call:
        called = (_chain(node.func) or ("",))[-1]
        first = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None
        if called in ("import_module", "__import__") and isinstance(first, str):
            self.imports.add(_Import(scope, "", first, None))
        if called != "Registry" or not isinstance(first, str):
            return node
        self.families.add(first)  # its members count when something names them
        others = [keyword for keyword in node.keywords if keyword.arg != "members"]
        return ast.Call(node.func, node.args[:1] + node.args[2:], others)


class _Module:
    """The pieces of a file, and from where a package's ``__init__`` has the other names that it offers."""

    def __init__(self, name: str, path: Path) -> None:
        self.is_package = path.name == "__init__.py" or path.is_dir()
        self.imports: dict[str, _Import] = {}  # by local name
        statements: list[ast.stmt] = []
        if path.suffix == ".py":
            statements = ast.parse(path.read_bytes(), str(path)).body
        elif path.is_file():  # compiled
            statements = [ast.Return(ast.Constant(hashlib.sha256(path.read_bytes()).hexdigest()))]
        defined: dict[str, list[ast.stmt]] = {_WHOLE: [] if self.is_package else statements}
        for statement in statements if self.is_package else ():
            doors = statement.body if isinstance(statement, ast.If) and _is_for_types(statement) else [statement]
            for door in doors:
                if isinstance(door, ast.Import | ast.ImportFrom):
                    self.imports |= {one.local: one for one in _imported(door, name.split("."), "")}
            for one in _names_defined(statement):
                defined.setdefault(one, []).append(statement)
        self.pieces = {one: _Piece(name, self.is_package, found) for one, found in defined.items()}


class Closure:
    """Code that is reached from modules and registered parts, with its digest.

    Imports are followed inside kinview and inside the packages of the parts that are reached; other libraries count by
    their version. A string that is the name of a part, in code or in a config, reaches the part wherever the registry
    of its family is reached too, because parts are built by name. That may be more than what runs, never less.

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
        module, _ = place
        self._families = dict.fromkeys(_piece(place).families, module) | self._families
        self._strings |= _piece(place).strings
        around = module.rpartition(".")[0]
        further = self._reach((around, _WHOLE)) if around and _read(around) else []
        return [*further, *(target for _, targets in self._links(place) for target in targets)]

    def _name_parts(self) -> bool:
        """Reach the parts that strings name; whether there were new ones."""
        known = len(self._named)
        for family, module in sorted(self._families.items()):
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
        target = registry[name].target
        own = _module_of(target)
        self._packages.add(own.split(".", 1)[0])
        for one in inspect.getmro(target) if isinstance(target, type) else (target,):
            qualname = str(getattr(one, "__qualname__", ""))
            self._roots.append((_module_of(one), tuple(qualname.split(".")[:1])))
        return [str(getattr(target, "__qualname__", "")), "" if _read(own) else _UNREADABLE]

    def _resolve(self, module: str, chain: Chain) -> list[Place]:
        """Pieces that ``module.chain`` names; none where it is another library's."""
        source = _read(module) if module.split(".", 1)[0] in self._packages else None
        if source is None:
            return []
        if not source.is_package:
            return [(module, _WHOLE)]
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
        if _read(f"{module}.{name}") is not None:
            return self._resolve(f"{module}.{name}", rest)
        behind = {module, *(one.module for one in source.imports.values()), *_below(module)}  # made in a way of its own
        return [(one, piece) for one in behind if (found := _read(one)) is not None for piece in found.pieces]

    def _links(self, place: Place) -> Iterator[tuple[str, list[Target]]]:
        """What the names in a piece stand for: how it is imported, without a path, and the code that is meant."""
        module, name = place
        source, piece = _read(module), _piece(place)
        assert source is not None
        imports = set(piece.imports)
        if source.is_package:
            used = {chain[0] for chain in piece.chains}
            imports |= {one for local, one in source.imports.items() if local in used}
            yield "", [(module, (one,)) for one in sorted(used & set(source.pieces) - {name})]
        for one in imports:
            inside = one.module.split(".", 1)[0] in self._packages
            is_module = one.name is None or (inside and _read(f"{one.module}.{one.name}") is not None)
            label = [one.scope, one.local, "" if inside else one.module, "" if is_module else str(one.name)]
            rests = [chain[1:] for chain in piece.chains if chain[0] == one.local] or [()]
            yield ":".join(label), [(one.module, (*one.start, *rest)) for rest in sorted(rests)]

    def _record(self, place: Place) -> list[Any]:
        """A piece by its content, and each name that it imports by the content of what is meant."""
        meant = {
            label: sorted({_piece(found).digest for target in targets for found in self._resolve(*target)})
            for label, targets in self._links(place)
        }
        return [_piece(place).digest, meant]


@functools.cache
def _read(module: str) -> _Module | None:
    """A module's pieces; None where there is no such file."""
    path = _file_of(module)
    return None if path is None else _Module(module, path)


def _piece(place: Place) -> _Piece:
    source = _read(place[0])
    assert source is not None
    return source.pieces[place[1]]


def _file_of(module: str) -> Path | None:
    """File of a module, or folder of a package without an ``__init__``."""
    top, *inner = module.split(".")
    for origin in _origins(top):
        path = origin.joinpath(*inner)
        files = [path] if path.suffix == ".py" and not inner else [path / "__init__.py"]
        if inner:
            files += [path.with_name(f"{inner[-1]}{suffix}") for suffix in _SUFFIXES]
        for file in [*files, path]:
            if file.is_file() or (file == path and path.is_dir()):
                return file
    return None


def _origins(top: str) -> list[Path]:
    """Folders of a top-level package, or the file of a module."""
    loaded = sys.modules.get(top)
    spec = getattr(loaded, "__spec__", None) or (importlib.util.find_spec(top) if top != "__main__" else None)
    folders = spec.submodule_search_locations if spec is not None else None
    file = getattr(loaded, "__file__", None) or (spec.origin if spec is not None else None)
    return [Path(folder) for folder in folders or ([file] if file else [])]


def _below(package: str) -> list[str]:
    """Names of the modules in a package's folder, directly or deeper."""
    folders = [path if path.is_dir() else path.parent for path in [_file_of(package)] if path is not None]
    found = [(folder, file) for folder in folders for file in folder.rglob("*.py")]
    return [
        ".".join([package, *file.relative_to(folder).with_suffix("").parts]).removesuffix(".__init__")
        for folder, file in found
    ]


def _imported(node: ast.Import | ast.ImportFrom, base: list[str], scope: str) -> Iterator[_Import]:
    """The names that an import statement binds, in a module of the package ``base``."""
    if isinstance(node, ast.ImportFrom):
        parents = base[: len(base) - node.level + 1] if node.level else []
        module = ".".join([*parents, *([node.module] if node.module else [])])
        for alias in node.names:
            yield _Import(scope, alias.asname or alias.name, module, alias.name)
        return
    for alias in node.names:
        if alias.asname is None and "." in alias.name:
            yield _Import(scope, alias.name.split(".")[0], alias.name.split(".")[0], None)
        yield _Import(scope, alias.asname or alias.name, alias.name, None)


def _names_defined(statement: ast.stmt) -> list[str]:
    """Names that a statement of a package defines; that of a piece for what it does otherwise."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [statement.name]
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return []
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        names = [one for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)]
        plain = all(isinstance(target, ast.Name | ast.Tuple | ast.List) for target in targets)
        return [one.id for one in names] if plain else [_WHOLE]
    return [_WHOLE]


def _is_for_types(node: ast.If) -> bool:
    return (_chain(node.test) or ("",))[-1] == "TYPE_CHECKING"


def _chain(node: ast.AST) -> Chain | None:
    """Names of ``a.b.c``; None for anything else."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return (node.id, *reversed(names)) if isinstance(node, ast.Name) else None


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
