"""What ``kinview list FAMILY`` shows, read from the source: importing all parts of a family takes seconds."""

from __future__ import annotations

import ast
import functools
import importlib.metadata
import importlib.resources
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kinview.registry import Registry

__all__ = ["Listed", "listed_from_source"]

_CONTRACTS = ("row", "padding")
_Definition = ast.ClassDef | ast.FunctionDef


class Listed(NamedTuple):
    """A part as the list has it; ``depends`` names what it is not independent of, ``row`` or ``padding``."""

    name: str
    modality: str | None
    reference: str | None
    summary: str
    depends: tuple[str, ...]


class _UncertainError(Exception):
    """The source alone does not say what importing would show."""


class _Module(NamedTuple):
    """Top level of a module of the package: what it defines, its constants, and where its other names come from."""

    definitions: dict[str, _Definition]
    values: dict[str, ast.expr]
    origins: dict[str, tuple[str, str]]
    tree: ast.Module


def listed_from_source(registry: Registry) -> list[Listed] | None:
    """Parts of a family in the order of their names, without an import of the modules that define them.

    None where that is not certain to be what importing shows: parts are there that the package does not bring
    (plug-ins, files of one's own), or a module registers otherwise than by a decorator with plain text.
    """
    if registry.imported() or importlib.metadata.entry_points(group=f"kinview.{registry.family}"):
        return None
    try:
        return sorted(_parts(registry))
    except _UncertainError:
        return None


def _parts(registry: Registry) -> Iterator[Listed]:
    modules, recipes = registry.sources()
    found = {part.name: (part, module, of) for module in modules for part, of in _registered(module, registry.family)}
    for part, _, _ in found.values():
        yield part
    for name, content in recipes.items():
        modalities = list(content["modality"])
        spec = content["modality"][modalities[0]]
        base = found.get(spec if isinstance(spec, str) else next(iter(spec)))
        if base is None:
            raise _UncertainError
        modality = "any" if len(modalities) > 1 else modalities[0]
        summary = content["summary"].strip().split("\n", 1)[0]
        yield Listed(name, modality, content.get("reference"), summary, _depends(*base[1:]))


def _registered(module: str, family: str) -> Iterator[tuple[Listed, _Definition]]:
    """Parts that a module registers, with their definitions."""
    read = _read(module)
    calls = 0
    for definition in read.definitions.values():
        for decorator in definition.decorator_list:
            if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == f"{family}.register":
                calls += 1
                yield _listed(module, definition, decorator), definition
    names = [node for node in ast.walk(read.tree) if isinstance(node, ast.Attribute) and node.attr == "register"]
    if len([node for node in names if ast.unparse(node) == f"{family}.register"]) != calls:
        raise _UncertainError


def _listed(module: str, definition: _Definition, call: ast.Call) -> Listed:
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    doc = ast.get_docstring(definition)
    if len(call.args) != 1 or None in given or doc is None:
        raise _UncertainError
    name, reference = _text(module, call.args[0]), _text(module, given.get("reference"))
    modality = _text(module, given.get("modality"))
    if modality is None and (declared := _attribute(module, definition, "modality")) is not None:
        modality = declared if isinstance(declared, str) else None
    if name is None:
        raise _UncertainError
    return Listed(name, modality, reference, doc.split("\n", 1)[0], _depends(module, definition))


def _depends(module: str, definition: _Definition) -> tuple[str, ...]:
    return tuple(what for what in _CONTRACTS if _attribute(module, definition, f"{what}_independent") is False)


def _text(module: str, node: ast.expr | None) -> str | None:
    """Text that an expression stands for, a constant of this module or of another one."""
    if node is None:
        return None
    if isinstance(node, ast.Name):
        read = _read(module)
        if node.id in read.values:
            return _text(module, read.values[node.id])
        if node.id in read.origins:
            home, name = read.origins[node.id]
            return _text(home, ast.Name(name))
    if isinstance(node, ast.Constant) and (node.value is None or isinstance(node.value, str)):
        return node.value
    raise _UncertainError


def _attribute(module: str, definition: _Definition, name: str) -> object:
    """Value of an attribute of a class or of the first base that has it: a constant, ... for another, None for none."""
    if not isinstance(definition, ast.ClassDef):
        return None
    for statement in definition.body:
        if isinstance(statement, ast.FunctionDef) and statement.name == name:
            return ...
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            value = getattr(statement, "value", None)
            if value is not None:  # an annotation alone sets nothing
                return value.value if isinstance(value, ast.Constant) else _named(module, value)
    for base in definition.bases:
        place = _class(module, base.value if isinstance(base, ast.Subscript) else base)
        found = None if place is None else _attribute(*place, name)
        if found is not None:
            return found
    return None


def _named(module: str, value: ast.expr) -> object:
    try:
        return _text(module, value)
    except _UncertainError:
        return ...


def _class(module: str, base: ast.expr) -> tuple[str, ast.ClassDef] | None:
    """Module and definition of a class of the package; None for one of a library, or built in."""
    read = _read(module)
    root = ast.unparse(base).split(".", 1)[0]
    if isinstance(base, ast.Name) and isinstance(known := read.definitions.get(root), ast.ClassDef):
        return module, known
    home, name = read.origins.get(root, ("", root))
    if home.split(".", 1)[0] != "kinview":
        if root in read.values:
            raise _UncertainError
        return None
    if not isinstance(base, ast.Name):
        raise _UncertainError
    return _class(home, ast.Name(name))


@functools.cache
def _read(module: str) -> _Module:
    parts = module.split(".")[1:]
    folder = importlib.resources.files("kinview")
    file = folder.joinpath(*parts[:-1], f"{parts[-1]}.py") if parts else folder.joinpath("__init__.py")
    if not file.is_file():
        file = folder.joinpath(*parts, "__init__.py")
    if not file.is_file():
        raise _UncertainError
    read = _Module({}, {}, {}, ast.parse(file.read_text(encoding="utf-8")))
    for statement in _top(read.tree.body):
        if isinstance(statement, ast.ClassDef | ast.FunctionDef):
            read.definitions[statement.name] = statement
        elif isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            read.values.update({target.id: statement.value for target in targets if isinstance(target, ast.Name)})
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            home = statement.module or "" if isinstance(statement, ast.ImportFrom) else None
            for alias in statement.names:
                read.origins[alias.asname or alias.name.split(".", 1)[0]] = (home or alias.name, alias.name)
    return read


def _top(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements of a module, and those for type checkers, where packages name what they export."""
    for statement in body:
        if isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING":
            yield from statement.body
        else:
            yield statement
