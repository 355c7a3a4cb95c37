"""One registry class for every family of parts, and the one config mechanism of the package.

A part is written as ``name``, as ``{name: {parameter: value}}``, as a list of these (families that compose), or as an
object. :meth:`Registry.build` turns a spec into an object and :func:`to_config` turns the object back; repr, YAML,
content hashes, file metadata and ``clone`` all rest on this pair.

A config leaves out what has its default; :mod:`kinview.complete_configs` makes those that files and stores hold.
"""

from __future__ import annotations

import copy
import dataclasses
import difflib
import functools
import importlib
import importlib.metadata
import importlib.resources
import inspect
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from kinview.files import read_yaml, write_yaml
from kinview.own_parts import refuse_imports

__all__ = [
    "VARIADIC",
    "Entry",
    "Registry",
    "changed_parameters",
    "default_values",
    "families",
    "merged_parameters",
    "name_and_parameters",
    "suggestion",
    "to_config",
]

_FAMILIES: dict[str, Registry] = {}
VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_COMPUTES = ("class", "modality", "common")  # keys of a recipe; the others are words about it
_ADVICE = "register its class (see CONTRIBUTING), or use a registered part"


@dataclasses.dataclass(frozen=True)
class Entry:
    """One registered part: its name, the class that builds it and what is declared about it."""

    name: str
    target: Callable[..., Any]
    modality: str | None = None
    reference: str | None = None
    metadata: Mapping[str, Any] = dataclasses.field(default_factory=lambda: MappingProxyType({}))

    def for_modality(self, modality: str | None) -> Entry:
        """Return this entry, or that of the class which a recipe has for a modality of its own."""
        twin: Entry = self.metadata.get("twins", {}).get(modality, self)
        return twin

    @property
    def targets(self) -> tuple[Any, ...]:
        """The class, and those that a recipe has for other modalities."""
        return (self.target, *(twin.target for twin in self.metadata.get("twins", {}).values()))

    @property
    def summary(self) -> str:
        """First line of the part's docstring."""
        return (inspect.getdoc(self.target) or "").split("\n", 1)[0]


class Registry:
    """The parts of one family, by name.

    Parameters
    ----------
    family : str
        Plural name of the family (``"augmentations"``). Other packages add members through the entry-point group
        ``kinview.<family>``, which is read when the registry is first consulted.
    members : sequence of str, or callable that returns one
        Modules that register the built-in members; they are imported when the registry is first consulted.
    compose : callable, optional
        Turns a list of built parts into one part. Without it a list is refused.
    recipes : str, optional
        Folder below ``kinview/configs`` whose YAML files are specs that :meth:`build` knows by their file's name.
    check : callable, optional
        Called with each part before it is added; it raises where the part does not declare what the family asks for.
    recipe_classes : str, optional
        Module whose ``classes_of(name, content, registry)`` makes a class of each recipe, by modality: then recipes are
        members like others, that take parameters. Plug-ins bring recipes as mappings.

    Examples
    --------
    >>> shapes = Registry("example_shapes")
    >>> @shapes.register("square")
    ... @dataclasses.dataclass(frozen=True)
    ... class Square:
    ...     side: float = 1.0
    >>> shapes.build({"square": {"side": 2.0}})
    Square(side=2.0)
    >>> shapes.to_config(Square(side=2.0))
    {'square': {'side': 2.0}}
    >>> shapes.build("sqare")
    Traceback (most recent call last):
    ...
    ValueError: unknown example shape 'sqare'; did you mean 'square'? Known: square
    """

    def __init__(
        self,
        family: str,
        members: Sequence[str] | Callable[[], Sequence[str]] = (),
        compose: Callable[[list[Any]], Any] | None = None,
        recipes: str | None = None,
        check: Callable[[Any], None] | None = None,
        recipe_classes: str | None = None,
    ) -> None:
        self.family = family
        self._members = members
        self._compose = compose
        self._recipes = recipes
        self._check = check
        self._recipe_classes = recipe_classes
        self._entries: dict[str, Entry] = {}
        self._loaded = False
        self._busy = False
        self._loading = threading.RLock()
        self._made_in = str(sys._getframe(1).f_globals.get("__name__", "__main__"))
        _FAMILIES[family] = self

    def __reduce__(self) -> tuple[Any, ...]:
        """By family and module: functions of a script that build parts go to worker processes with it."""
        return _registry_of, (self._made_in, self.family)

    def register(
        self, name: str, *, modality: str | None = None, reference: str | None = None, **metadata: Any
    ) -> Callable[[Any], Any]:
        """Class decorator that adds a part under an explicit name.

        Parameters
        ----------
        name : str
            Name of the part in specs and files.
        modality, reference : str, optional
            What it works on, by default what its class says in ``modality``; the paper.
        **metadata : Any
            Further facts. ``parts`` names the parameters that are parts themselves and whose fields do not say so
            (:func:`kinview.parameters.spec`), with their family: ``{"augmentation": "augmentations"}``, or
            ``{"encoder": ("encoders", "front_end")}`` where ``front_end`` has no default of its own but what this part
            makes of a spec that leaves it open.

        Raises
        ------
        ValueError
            If the name is taken by another part.
        TypeError
            If the part does not declare what the family asks for.
        """

        def add(target: Any) -> Any:
            if self._check is not None:
                self._check(target)
            taken = self._entries.get(name)
            if taken is not None and not _same_definition(taken.target, target):
                raise ValueError(
                    f"{self.noun} {name!r} is already registered by {_path(taken.target)}; "
                    f"{_path(target)} needs another name"
                )
            declared = getattr(target, "modality", None)  # of a class that answers by a property: no text
            of = declared if modality is None and isinstance(declared, str) else modality
            self._entries[name] = Entry(name, target, of, reference, MappingProxyType(dict(metadata)))
            return target

        return add

    def build(self, spec: Any, *, for_modality: Any = None, **context: Any) -> Any:
        """Build the part that a spec describes; an object that is already built is returned as it is.

        Parameters
        ----------
        spec : str, mapping, sequence or object
            ``name``, ``{name: {parameter: value}}``, a list of these, or a part.
        for_modality : str, optional
            Which of its classes a recipe gives that serves several modalities; by default the first.
        **context : Any
            Further constructor arguments, which a spec need not know (they win over the spec's).

        Raises
        ------
        ValueError
            If the name is unknown, a parameter does not exist, or the spec has another shape.
        """
        if isinstance(spec, str):
            if spec not in self and spec in self.recipes():
                return self.build(self.recipe(spec), **context)
            if spec not in self and any(mark in spec for mark in "{}[]:\n"):
                raise ValueError(self._unread(spec))
            return self._construct(spec, {}, context, for_modality)
        if isinstance(spec, Mapping):
            if len(spec) != 1:
                raise ValueError(
                    f"{self._a_noun} is written as one name with its parameters, {{name: {{parameter: value}}}}; "
                    f"got a mapping with {len(spec)} keys: {', '.join(map(repr, spec)) or 'none'}"
                )
            ((name, parameters),) = spec.items()
            if parameters is not None and not isinstance(parameters, Mapping):
                raise ValueError(
                    f"the parameters of {self.noun} {name!r} must be a mapping {{parameter: value}}, "
                    f"got {type(parameters).__name__}: {parameters!r}"
                )
            if not parameters and name not in self and name in self.recipes():
                return self.build(self.recipe(name), **context)
            return self._construct(str(name), dict(parameters or {}), context, for_modality)
        if isinstance(spec, Sequence):
            if self._compose is None:
                raise ValueError(f"{self.family} do not compose: give one {self.noun}, not a list of {len(spec)}")
            return self._compose([self.build(part, **context) for part in spec])
        if spec is None or isinstance(spec, bool | int | float):
            raise ValueError(
                f"{self._a_noun} is written as its name or as {{name: {{parameter: value}}}}; got {spec!r}"
            )
        return spec

    def to_config(self, part: Any) -> Any:
        """Describe a part so that :meth:`build` makes an equal one.

        Raises
        ------
        TypeError
            If the part is not registered in this family, or a parameter of it has no config: it is named.
        """
        if isinstance(part, str | Mapping):
            return to_config(part)
        if isinstance(part, list | tuple):
            return [self.to_config(one) for one in part]
        try:
            self.name_of(part)
        except ValueError as error:
            raise TypeError(f"{part!r} has no config: {error}; {_ADVICE}") from None
        return to_config(part)

    def name_of(self, part: Any) -> str:
        """Name under which a part, its class, or that of its spec, is registered here.

        Raises
        ------
        ValueError
            If it is not registered in this family.
        """
        self._load()
        name, _ = name_and_parameters(part)
        if name is not None:
            return self[name].name
        target = part if isinstance(part, type) else type(part)
        for entry in self._entries.values():
            if target in entry.targets:
                return entry.name
        raise ValueError(f"{_path(target)} is not a registered {self.noun}")

    def modality_served(self, part: Any) -> str | None:
        """Modality for which a recipe has the class of a part; None where the part is of no such recipe."""
        twins = self[self.name_of(part)].metadata.get("twins", {})
        return next((modality for modality, twin in twins.items() if twin.target is type(part)), None)

    def sources(self) -> tuple[tuple[str, ...], dict[str, Any]]:
        """Modules that register the built-in members, and the recipes that are members too by name; imports none."""
        members = self._members() if callable(self._members) else self._members
        names = self.recipes() if self._recipe_classes is not None else ()
        return tuple(members), {name: self.recipe(name) for name in names}

    def imported(self) -> tuple[Entry, ...]:
        """Entries that are there so far: no member is imported for it."""
        return tuple(self._entries.values())

    def recipes(self) -> tuple[str, ...]:
        """Names of the specs that ship with the package; :meth:`build` takes them like names of parts."""
        if self._recipes is None:
            return ()
        folder = importlib.resources.files("kinview") / "configs" / self._recipes
        return tuple(
            sorted(file.name.removesuffix(".yaml") for file in folder.iterdir() if file.name.endswith(".yaml"))
        )

    def recipe(self, name: str) -> Any:
        """Spec of a recipe, in plain data.

        Raises
        ------
        ValueError
            If there is none of this name.
        """
        if name not in self.recipes():
            self[name]  # an error that knows the parts too
            raise ValueError(f"{name!r} is not a recipe but a part by itself. Recipes: {', '.join(self.recipes())}")
        return copy.deepcopy(_read_recipe(str(self._recipes), name))

    def __getitem__(self, name: str) -> Entry:
        self._load()
        if name not in self._entries:
            if name in self.recipes():
                written = write_yaml(self.recipe(name), in_one_line=True)
                raise ValueError(
                    f"{name!r} is a recipe, and a recipe takes no parameters: write out its spec with others, {written}"
                )
            known = sorted({*self._entries, *self.recipes()})
            hint = suggestion(name, known, cutoff=0.5)
            raise ValueError(f"unknown {self.noun} {name!r}{hint} Known: {', '.join(known) or 'none'}")
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        self._load()
        return iter(sorted(self._entries))

    def __len__(self) -> int:
        self._load()
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        self._load()
        return name in self._entries

    def __repr__(self) -> str:
        rows = [f"Registry({self.family!r})"]
        rows += [f"  {e.name:<24} {e.modality or '-':<12} {e.summary}" for e in (self[name] for name in self)]
        return "\n".join(rows)

    @property
    def noun(self) -> str:
        """What one of its parts is called: ``"encoder"``."""
        return self.family.removesuffix("s").replace("_", " ") if self.family != "losses" else "loss"

    @property
    def _a_noun(self) -> str:
        return f"{'an' if self.noun[0] in 'aeiou' else 'a'} {self.noun}"

    def _unread(self, spec: str) -> str:
        """What is wrong with text that is not a name but looks like YAML."""
        import yaml

        try:
            read = read_yaml(spec)
        except yaml.YAMLError as error:
            place = getattr(error, "problem_mark", None)
            where = "" if place is None else f" at line {place.line + 1}, column {place.column + 1}"
            reason = getattr(error, "problem", None) or "it is not YAML"
            return f"the spec of {self._a_noun} does not parse as YAML{where} ({reason}): {spec!r}"
        if isinstance(read, str):
            return f"{self._a_noun} is written as its name or as {{name: {{parameter: value}}}}; got {spec!r}"
        return f"{spec!r} is text: give what it says, without the quotes: {read!r}"

    def _construct(
        self, name: str, parameters: dict[str, Any], context: dict[str, Any], modality: str | None = None
    ) -> Any:
        entry = self[name].for_modality(modality)
        target = entry.target
        parameters = merged_parameters(entry, parameters)
        known = inspect.signature(target).parameters
        takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in known.values())
        for key in parameters:
            if key not in known and not takes_any:
                raise ValueError(
                    f"{self.noun} {name!r} has no parameter {key!r}{suggestion(key, known)} "
                    f"It takes: {', '.join(known) or 'none'}"
                )
        given = {**parameters, **context}
        needed = [p.name for p in known.values() if p.default is p.empty and p.kind not in VARIADIC]
        absent = [key for key in needed if key not in given]
        if absent:
            raise ValueError(f"{self.noun} {name!r} needs {', '.join(absent)}: {{{name}: {{{absent[0]}: ...}}}}")
        return target(**given)

    def _load(self) -> None:
        """Import the built-in members and the plug-ins, once."""
        if self._loaded:
            return
        with self._loading:  # a second thread waits for the whole family; members may consult it while they load
            if self._loaded or self._busy:
                return
            self._busy = True
            try:
                modules, recipes = self.sources()
                for module in modules:
                    importlib.import_module(module)
                for name, content in recipes.items():
                    self._add_recipe(name, content)
                for plugin in importlib.metadata.entry_points(group=f"kinview.{self.family}"):
                    self._add_plugin(plugin)
                self._loaded = True
            finally:
                self._busy = False

    def _add_plugin(self, plugin: importlib.metadata.EntryPoint) -> None:
        try:
            target = plugin.load()
        except (ImportError, AttributeError) as error:
            owner = plugin.dist.name if plugin.dist else "an unknown package"
            raise ImportError(
                f"the {self.noun} {plugin.name!r} of the plug-in {owner} ({plugin.value}) cannot be loaded: "
                f"{error}; mend or uninstall {owner}"
            ) from error
        if isinstance(target, Mapping) and self._recipe_classes is not None:
            self._add_recipe(plugin.name, target)
        elif not any(entry.target is target for entry in self._entries.values()):
            self.register(plugin.name)(target)

    def _add_recipe(self, name: str, content: Mapping[str, Any]) -> None:
        """Make a recipe a member: one entry, with a class for each of its modalities."""
        if name in self._entries:
            raise ValueError(
                f"{self.noun} {name!r} is already registered by {_path(self._entries[name].target)}; the recipe "
                f"needs another name"
            )
        made = importlib.import_module(str(self._recipe_classes)).classes_of(name, content, self._entries)
        entries = {
            modality: Entry(name, target, modality, content.get("reference"), MappingProxyType(metadata))
            for modality, (target, metadata) in made.items()
        }
        first, *others = entries.values()
        chosen = {key: value for key, value in content.items() if key in _COMPUTES}
        metadata = {**first.metadata, "content": chosen, **({"twins": entries} if others else {})}
        modality = "any" if others else first.modality
        self._entries[name] = dataclasses.replace(first, modality=modality, metadata=MappingProxyType(metadata))


def merged_parameters(entry: Entry, given: Mapping[str, Any]) -> dict[str, Any]:
    """What is given, put over the values of a recipe: mappings key by key, but another part in place of a part."""
    recipe = entry.metadata.get("recipe", {})
    return {key: _merged(recipe.get(key), value) for key, value in given.items()}


def _merged(own: Any, given: Any) -> Any:
    if not isinstance(own, Mapping) or not isinstance(given, Mapping):
        return given
    if len(own) == 1 and len(given) == 1 and own.keys() != given.keys():
        return given
    return {**own, **{key: _merged(own.get(key), value) for key, value in given.items()}}


def suggestion(name: object, known: Iterable[str], *, most: int = 1, cutoff: float = 0.6) -> str:
    """End of a sentence that refuses a name: the known ones close to it, in whatever case, or a full stop.

    Examples
    --------
    >>> suggestion("Ligth", ["dark", "light"])
    "; did you mean 'light'?"
    >>> suggestion("blue", ["dark", "light"])
    '.'
    """
    spelled = {other.lower(): other for other in known}
    close = difflib.get_close_matches(str(name).lower(), spelled, n=most, cutoff=cutoff)
    return f"; did you mean {' or '.join(repr(spelled[one]) for one in close)}?" if close else "."


def _registry_of(module: str, family: str) -> Registry:
    """Registry that a module makes when it is imported."""
    importlib.import_module(module)
    return _FAMILIES[family]


def families() -> Mapping[str, Registry]:
    """Registries that exist in this process, by family."""
    return MappingProxyType(_FAMILIES)


def to_config(part: Any) -> Any:
    """Describe a part, or a plain value, in plain data: the inverse of :meth:`Registry.build`.

    A registered part becomes its name, or ``{name: {parameter: value}}`` with the parameters that differ from their
    defaults (a module that keeps no such attributes holds them in a mapping named ``config``). Mappings, sequences and
    plain values are described element by element, paths as text. What belongs to no family describes itself by a method
    ``to_config()`` (a :class:`~kinview.Trainer`: the mapping of its fields).

    Raises
    ------
    TypeError
        For a value without a config (a lambda, a module, an array): it is named, with what to do.
    """
    if hasattr(part, "dtype") and getattr(part, "ndim", None) == 0 and hasattr(part, "item"):
        return part.item()  # before the plain values: numpy.float64 is a float, which YAML does not know
    if part is None or isinstance(part, str | bool | int | float):
        return part
    if isinstance(part, os.PathLike):
        return os.fspath(part)
    if isinstance(part, Mapping):
        return {str(key): to_config(value) for key, value in part.items()}
    if isinstance(part, list | tuple):
        return [to_config(value) for value in part]
    for registry in _FAMILIES.values():
        for entry in registry._entries.values():
            if type(part) in entry.targets:
                parameters = changed_parameters(part)
                return {entry.name: parameters} if parameters else entry.name
    if hasattr(part, "to_config") and not isinstance(part, type | Registry):
        return part.to_config()
    if dataclasses.is_dataclass(part) and not isinstance(part, type):
        return changed_parameters(part)
    raise TypeError(f"{part!r} has no config, so it cannot be saved or run in a benchmark: {_ADVICE}")


def changed_parameters(part: Any) -> dict[str, Any]:
    """Parameters of a part that differ from their defaults, in plain data."""
    changed: dict[str, Any] = {}
    recorded = getattr(part, "config", None)
    for name, parameter in inspect.signature(type(part)).parameters.items():
        if parameter.kind in VARIADIC:
            continue
        value = recorded[name] if isinstance(recorded, Mapping) else getattr(part, name)
        default = parameter.default
        if value is default or (type(value) is type(default) and not hasattr(value, "shape") and value == default):
            continue
        if isinstance(value, Mapping) and isinstance(default, Mapping) and value == default:
            continue
        try:
            changed[name] = to_config(value)
        except TypeError as error:
            raise TypeError(f"{type(part).__name__}.{name}: {error}") from None
    return changed


@functools.cache
def _read_recipe(folder: str, name: str) -> Any:
    file = importlib.resources.files("kinview") / "configs" / folder / f"{name}.yaml"
    spec = read_yaml(file.read_text(encoding="utf-8"))
    refuse_imports(spec, f"the recipe {name!r}")
    return spec


@functools.cache
def default_values(target: Any) -> dict[str, Any]:
    """Defaults of a constructor, in plain data."""
    parameters = inspect.signature(target).parameters.values()
    return {p.name: to_config(p.default) for p in parameters if p.default is not p.empty and p.kind not in VARIADIC}


def name_and_parameters(spec: Any) -> tuple[str | None, Mapping[str, Any]]:
    """Name and parameters of a spec that is one name; None where it is something else."""
    if isinstance(spec, str):
        return spec, {}
    if isinstance(spec, Mapping) and len(spec) == 1:
        ((name, parameters),) = spec.items()
        if parameters is None or isinstance(parameters, Mapping):
            return str(name), parameters or {}
    return None, {}


def _same_definition(one: Any, other: Any) -> bool:
    return one is other or (_path(one) == _path(other) and getattr(one, "__module__", "") != "__main__")


def _path(target: Any) -> str:
    return f"{getattr(target, '__module__', '?')}.{getattr(target, '__qualname__', target)}"
