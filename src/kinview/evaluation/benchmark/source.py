"""Source files as pieces: what is written in them without docstrings, comments and imports, and what they refer to.

A module is one piece. A package's ``__init__`` has a piece for each name that it defines: a list of members or a table
of public names grows with every part and says nothing about the others.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import hashlib
import importlib.machinery
import importlib.util
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

__all__ = ["WHOLE", "Chain", "Piece", "Source", "modules_below", "read_source"]

WHOLE = ""  # name of the piece that is a whole module, or what a package's __init__ does besides defining names
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_SUFFIXES = (".py", *importlib.machinery.EXTENSION_SUFFIXES)

Chain = tuple[str, ...]  # names joined by dots in the source


@dataclasses.dataclass(frozen=True)
class Import:
    """``from module import name as local``, or ``import module as local``, inside the definition ``scope``."""

    scope: str
    local: str
    module: str
    name: str | None

    @property
    def start(self) -> Chain:
        """What of the module is bound."""
        return () if self.name is None else (self.name,)


class Piece:
    """Statements without docstrings, comments and imports, and what they refer to."""

    def __init__(self, module: str, is_package: bool, statements: Iterable[ast.AST]) -> None:
        self.imports: set[Import] = set()
        self.names: dict[str, set[Chain]] = {}  # what is read of each name: () of a, (b, c) of a.b.c
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
            self.names.setdefault(chain[0], set()).add(chain[1:])
            self._words.append(f"={'.'.join(chain)}")
        else:
            self._write_fields(node, scope)

    def _write_fields(self, node: ast.AST, scope: str) -> None:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            self.strings.add(node.value)
        if isinstance(node, ast.Call):
            node = self._call(node, scope)
        inner = f"{scope}.{node.name}" if isinstance(node, _SCOPES) else scope
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
            self.imports.add(Import(scope, "", first, None))
        if called != "Registry" or not isinstance(first, str):
            return node
        self.families.add(first)  # its members count when something names them
        others = [keyword for keyword in node.keywords if keyword.arg != "members"]
        return ast.Call(node.func, node.args[:1] + node.args[2:], others)


class Source:
    """The pieces of a file, and from where a package's ``__init__`` has the other names that it offers."""

    def __init__(self, name: str, path: Path) -> None:
        self.is_package = path.name == "__init__.py" or path.is_dir()
        self.imports: dict[str, Import] = {}  # by local name
        statements: list[ast.stmt] = []
        if path.suffix == ".py":
            statements = ast.parse(path.read_bytes(), str(path)).body
        elif path.is_file():  # compiled
            statements = [ast.Return(ast.Constant(hashlib.sha256(path.read_bytes()).hexdigest()))]
        defined: dict[str, list[ast.stmt]] = {WHOLE: [] if self.is_package else statements}
        for statement in statements if self.is_package else ():
            doors = statement.body if isinstance(statement, ast.If) and _is_for_types(statement) else [statement]
            for door in doors:
                if isinstance(door, ast.Import | ast.ImportFrom):
                    self.imports |= {one.local: one for one in _imported(door, name.split("."), "")}
            for one in _names_defined(statement, name.split(".")[0]):
                defined.setdefault(one, []).append(statement)
        self.pieces = {one: Piece(name, self.is_package, found) for one, found in defined.items()}


@functools.cache
def read_source(module: str) -> Source | None:
    """A module's pieces; None where there is no such file."""
    path = _file_of(module)
    return None if path is None else Source(module, path)


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
    if loaded is not None:
        folders, file = getattr(loaded, "__path__", None), getattr(loaded, "__file__", None)
    else:
        spec = importlib.util.find_spec(top)
        folders, file = (spec.submodule_search_locations, spec.origin) if spec is not None else (None, None)
    return [Path(folder) for folder in folders or ([file] if file else [])]


def modules_below(package: str) -> list[str]:
    """Names of the modules in a package's folder, directly or deeper."""
    folders = [path if path.is_dir() else path.parent for path in [_file_of(package)] if path is not None]
    found = [(folder, file) for folder in folders for file in folder.rglob("*.py")]
    return [
        ".".join([package, *file.relative_to(folder).with_suffix("").parts]).removesuffix(".__init__")
        for folder, file in found
    ]


def _imported(node: ast.Import | ast.ImportFrom, base: list[str], scope: str) -> Iterator[Import]:
    """The names that an import statement binds, in a module of the package ``base``."""
    if isinstance(node, ast.ImportFrom):
        parents = base[: len(base) - node.level + 1] if node.level else []
        module = ".".join([*parents, *([node.module] if node.module else [])])
        for alias in node.names:
            yield Import(scope, alias.asname or alias.name, module, alias.name)
        return
    for alias in node.names:
        if alias.asname is None and "." in alias.name:
            yield Import(scope, alias.name.split(".")[0], alias.name.split(".")[0], None)
        yield Import(scope, alias.asname or alias.name, alias.name, None)


def _names_defined(statement: ast.stmt, package: str) -> list[str]:
    """Names that a statement of a package defines; that of a piece for what it does otherwise."""
    if isinstance(statement, _SCOPES):
        return [statement.name]
    if isinstance(statement, ast.Import):  # of a module that is only imported for what it does
        return [WHOLE] if any(alias.name.startswith(f"{package}.") for alias in statement.names) else []
    if isinstance(statement, ast.ImportFrom):
        return []
    if not isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        return [WHOLE]
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    plain = all(isinstance(target, ast.Name | ast.Tuple | ast.List) for target in targets)
    names = [one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)]
    return names if plain else [WHOLE]


def _is_for_types(node: ast.If) -> bool:
    return (_chain(node.test) or ("",))[-1] == "TYPE_CHECKING"


def _chain(node: ast.AST) -> Chain | None:
    """Names of ``a.b.c``; None for anything else."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return (node.id, *reversed(names)) if isinstance(node, ast.Name) else None
