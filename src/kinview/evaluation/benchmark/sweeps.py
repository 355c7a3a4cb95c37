"""Grids: an entry of a benchmark that stands for several variants of one method."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from kinview.evaluation.benchmark.grid import part_label
from kinview.files import canonical_json

__all__ = ["MOST_VARIANTS", "Variant", "shown_value", "variants", "without_grids"]

MOST_VARIANTS = 100
"""What the grids of one entry may make together: each variant is trained on each data set with each seed."""

_GRID = "grid"
_FORM = "write {corruption_rate: {grid: [0.1, 0.3]}}, in place of the value of a parameter"


@dataclasses.dataclass(frozen=True)
class Variant:
    """One of the methods that an entry stands for.

    Parameters
    ----------
    spec : spec
        The method, without grids.
    values : mapping of str to value
        What the grids put where: ``{"trainer.batch_size": 32}``; empty for an entry without grids.
    """

    spec: Any
    values: Mapping[str, Any]

    @property
    def words(self) -> str:
        """The values as text, as a label shows them."""
        return ", ".join(f"{path}={shown_value(value)}" for path, value in self.values.items())


def variants(spec: Any) -> list[Variant]:
    """The methods that a spec stands for: one without grids, with grids one for each combination of their values.

    Parameters
    ----------
    spec : spec
        A part, in which ``{grid: [...]}`` may stand for the value of any parameter, those of nested parts and of the
        trainer included.

    Raises
    ------
    ValueError
        If a grid is empty, has a value twice, or stands where no parameter is, or there are more than 100 variants.

    Examples
    --------
    >>> for one in variants({"scarf": {"depth": 2, "trainer": {"batch_size": {"grid": [32, 64]}}}}):
    ...     print(one.spec, one.values)
    {'scarf': {'depth': 2, 'trainer': {'batch_size': 32}}} {'trainer.batch_size': 32}
    {'scarf': {'depth': 2, 'trainer': {'batch_size': 64}}} {'trainer.batch_size': 64}
    >>> variants("raw")
    [Variant(spec='raw', values={})]
    """
    grids = dict(_grids(spec, ()))
    number = 1
    for path, values in grids.items():
        _check(path, values)
        number *= len(values)
    if number > MOST_VARIANTS:
        sizes = " x ".join(f"{len(values)} ({_text(path)})" for path, values in grids.items())
        raise ValueError(
            f"the grids of {next(iter(spec))} make {sizes} = {number} variants, and an entry may have {MOST_VARIANTS}: "
            "take values out, or vary one parameter at a time, each in an entry of its own"
        )
    found = []
    for chosen in itertools.product(*grids.values()):
        values = dict(zip(grids, chosen, strict=True))
        found.append(Variant(_filled(spec, (), values), {_text(path): value for path, value in values.items()}))
    return found


def without_grids(spec: Any) -> Any:
    """The spec without the parameters that its grids vary.

    Examples
    --------
    >>> without_grids({"scarf": {"depth": 2, "trainer": {"batch_size": {"grid": [32, 64]}}}})
    {'scarf': {'depth': 2}}
    >>> without_grids({"scarf": {"trainer": {"batch_size": {"grid": [32, 64]}}}})
    {'scarf': {}}
    """
    if not isinstance(spec, Mapping):
        return spec
    ((name, parameters),) = spec.items()
    return {name: _pruned(parameters)}


def shown_value(value: Any) -> str:
    """A value of a grid as text; of a part its label.

    Examples
    --------
    >>> shown_value(0.3), shown_value({"resnet1d": {"repr_dim": 64}}), shown_value(None)
    ('0.3', 'resnet1d(repr_dim=64)', 'None')
    """
    named = isinstance(value, Mapping) and len(value) == 1 and isinstance(next(iter(value.values())), Mapping)
    return part_label(value) if named else str(value)


def _is_grid(value: Any) -> bool:
    return isinstance(value, Mapping) and _GRID in value and not isinstance(value[_GRID], Mapping)


def _grids(spec: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Grids below a place of a spec, by their path; the name of the part stands first."""
    if _is_grid(spec):
        if len(spec) > 1 or len(path) < 2:
            raise ValueError(f"{_where(path)}: {dict(spec)} is no grid of a parameter; {_FORM}")
        yield path, spec[_GRID]
    elif isinstance(spec, Mapping):
        for key, value in spec.items():
            yield from _grids(value, (*path, key))
    elif isinstance(spec, list | tuple):
        for index, value in enumerate(spec):
            yield from _grids(value, (*path, index))


def _check(path: tuple[Any, ...], values: Any) -> None:
    if not isinstance(values, list | tuple) or not values:
        raise ValueError(f"{_where(path)}: a grid is a list of at least one value; got {values!r}")
    if any(True for value in values for _ in _grids([value], path)):
        raise ValueError(f"{_where(path)}: a grid inside a grid; write out the variants as entries of their own")
    written = [canonical_json(value) for value in values]
    twice = next((value for value, text in zip(values, written, strict=True) if written.count(text) > 1), None)
    if len(set(written)) < len(written):
        raise ValueError(f"{_where(path)}: the grid has {twice!r} twice; give each value once")


def _pruned(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    kept = {key: _pruned(inner) for key, inner in value.items() if not _is_grid(inner)}
    return {key: inner for key, inner in kept.items() if inner != {} or value[key] == {}}


def _filled(spec: Any, path: tuple[Any, ...], values: Mapping[tuple[Any, ...], Any]) -> Any:
    if path in values:
        return values[path]
    if isinstance(spec, Mapping):
        return {key: _filled(value, (*path, key), values) for key, value in spec.items()}
    if isinstance(spec, list | tuple):
        return [_filled(value, (*path, index), values) for index, value in enumerate(spec)]
    return spec


def _text(path: tuple[Any, ...]) -> str:
    """A path without the name of the part itself."""
    return ".".join(map(str, path[1:]))


def _where(path: tuple[Any, ...]) -> str:
    return ".".join(map(str, path)) or "a method"
