"""How a suite is run, and what suites of several families ask in the same words."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import random
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
import torch

from kinview.files import read_yaml, write_yaml
from kinview.registry import Registry

__all__ = [
    "check_parameters",
    "check_rate",
    "check_rising",
    "copied",
    "in_config_and_back",
    "run_checks",
    "under_global_seeds",
]

_Case = TypeVar("_Case")
_Result = TypeVar("_Result")


def run_checks(
    name: str,
    checks: Mapping[str, Callable[[_Case], None]],
    case: Callable[[], _Case],
    *,
    on: str = "",
    remedies: Mapping[str, str] = MappingProxyType({}),
) -> tuple[str, ...]:
    """Run checks in their order; the error of one that fails names the part, the check and what was seen.

    ``case`` is called within each check, so that what it raises has a check's name. ``on`` says on which data.

    Raises
    ------
    AssertionError
        Whatever a check raises.
    """
    for check, run in checks.items():
        failed = f"{name} fails the check {check!r}{f' ({on})' if on else ''}"
        try:
            run(case())
        except AssertionError as error:
            raise AssertionError(f"{failed}: {error}{remedies.get(check, '')}") from error
        except Exception as error:
            raised = f"{type(error).__name__}: {error}"
            raise AssertionError(f"{failed}: it raises {raised}{remedies.get(check, '')}") from error
    return tuple(checks)


# --- randomness ------------------------------------------------------------------------------------------------------


def under_global_seeds(draw: Callable[[], _Result]) -> list[_Result]:
    """Results of a draw under the global seeds 0, 0 and 1, which it leaves as they are.

    Raises
    ------
    AssertionError
        If a global generator of torch, NumPy or ``random`` was moved.
    """
    results = []
    for seed in (0, 0, 1):
        with _global_seed(seed):
            before = _global_states()
            results.append(draw())
            moved = [name for name, state in _global_states().items() if state != before[name]]
            assert not moved, f"the global random generator of {' and '.join(moved)} was used; draw from the given one"
    return results


def _global_states() -> dict[str, Any]:
    numpy_state = np.random.get_state()  # noqa: NPY002
    return {"torch": torch.get_rng_state().tolist(), "numpy": str(numpy_state), "random": random.getstate()}


@contextmanager
def _global_seed(seed: int) -> Iterator[None]:
    numpy_state, state = np.random.get_state(), random.getstate()  # noqa: NPY002
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            np.random.seed(seed)  # noqa: NPY002
            random.seed(seed)
            yield
    finally:
        np.random.set_state(numpy_state)  # noqa: NPY002
        random.setstate(state)


# --- copies, parameters and configs -----------------------------------------------------------------------------------


def copied(part: _Result) -> _Result:
    """A copy by the protocol of pickles, as worker processes make it; that it can be pickled is seen on the way."""
    pickle.dumps(part)
    return copy.deepcopy(part)


def in_config_and_back(registry: Registry, part: Any) -> Any:
    """The part that is built from the config of another one, which went through YAML.

    Raises
    ------
    AssertionError
        If there is no config, or what it builds has another one.
    """
    try:
        config = registry.to_config(part)
    except TypeError as error:
        raise AssertionError(
            f"the {registry.noun} has no config: {error}. Register the class, "
            f"@{registry.family}.register({type(part).__name__.lower()!r}), or name it under the entry-point group "
            f"kinview.{registry.family}"
        ) from error
    again = registry.build(read_yaml(write_yaml(config)))
    assert type(again) is type(part), f"{config!r} builds a {type(again).__name__}"
    assert registry.to_config(again) == config, f"{config!r} comes back as {registry.to_config(again)!r}"
    return again


def check_parameters(
    part: Any, *, frozen: bool = False, untyped: Sequence[Any] = (), use: Callable[[Any], Any] | None = None
) -> None:
    """Try bad values of each parameter of a dataclass; every one has to be refused by name.

    Parameters
    ----------
    part : dataclass instance
        Fields with a rule (:mod:`kinview.parameters`) are tried around their range, others by their type hint: what is
        no number, no option, neither true nor false, no sequence.
    frozen : bool
        Whether a parameter must not be assignable.
    untyped : sequence
        What a field with the type hint ``Any`` has to refuse.
    use : callable, optional
        What is done with a part whose parameters need not be refused before.

    Raises
    ------
    AssertionError
        If a bad value is taken, or its error does not say what is wrong with what.
    """
    assert dataclasses.is_dataclass(part), f"{type(part).__name__} is no dataclass: its fields are its parameters"
    kind: Any = type(part)
    given = {field.name: getattr(part, field.name) for field in dataclasses.fields(part) if field.init}
    for field in dataclasses.fields(part):
        if not field.init:
            continue
        if frozen:
            _check_frozen(part, field.name)
        rule = field.metadata.get("rule")
        for bad, promise in _bad_values(rule) if rule is not None else _bad_for(part, field.name, untyped):
            try:
                made = kind(**{**given, field.name: bad})
                if use is not None:
                    use(made)
            except ValueError as error:
                assert rule is None or field.name in str(error), f"{bad!r}: the error must name {field.name}: {error}"
                assert promise in str(error), f"{field.name}={bad!r}: the error must say {promise!r}; it says {error}"
                continue
            except TypeError as error:
                raise AssertionError(f"{field.name}={bad!r}: raise a ValueError; got TypeError: {error}") from error
            raise AssertionError(
                f"{field.name}={bad!r} must be refused: make the field with real, whole, interval, choice or flag from "
                "kinview.parameters, or check it in __post_init__"
            )


def check_rate(at: Callable[[Any], Any]) -> None:
    """Try bad rates; every one has to be refused by name.

    Parameters
    ----------
    at : callable
        Makes the part with a rate.

    Raises
    ------
    AssertionError
        What was not refused, or not by name.
    """
    for bad in (1.5, -0.1, float("nan"), "0.2", True):
        try:
            at(bad)
        except ValueError as error:
            assert "rate" in str(error), f"rate={bad!r}: the error must name rate: {error}"
            continue
        raise AssertionError(f"rate={bad!r} must be refused: call super().__post_init__()")


def check_rising(rates: Sequence[float]) -> None:
    """Refuse the rates of a suite where they do not rise.

    Raises
    ------
    ValueError
        That says so.
    """
    if list(rates) != sorted(set(rates)) or not rates:
        raise ValueError(f"rates must rise, and be at least one; got {tuple(rates)}")


def _check_frozen(part: Any, name: str) -> None:
    try:
        setattr(part, name, getattr(part, name))
    except dataclasses.FrozenInstanceError:
        return
    raise AssertionError(f"{name} could be assigned: write @dataclasses.dataclass(frozen=True)")


def _bad_values(rule: Any) -> list[tuple[Any, str]]:
    """What a field with a rule must refuse, and what the error must say."""
    bad: list[tuple[Any, str]] = [(object(), "must be")] + ([] if rule.optional else [(None, "must be")])
    if rule.kind is object:
        return bad if rule.check is not None else []
    if rule.kind is bool:
        return [*bad, ("yes", "True or False"), (1, "True or False")]
    if rule.kind is str:
        return [*bad, ("no such option", repr(rule.options[-1])), (3, repr(rule.options[-1]))]
    outside = [edge for edge in (_beyond(rule, below=True), _beyond(rule, below=False)) if edge is not None]
    if rule.kind is tuple:
        bad += [(0.5, "two numbers"), ((0.5,), "two numbers"), (("a", "b"), "number")]
        return bad + [((edge, edge), rule._range()) for edge in outside]
    bad += [("abc", "number"), (True, "number")]
    if rule.kind is int:
        bad.append((1.5, "whole number"))
        outside = [int(edge) for edge in outside]
    else:
        bad += [(float(edge), rule._range()) for edge in ("nan", "inf", "-inf")]
    return bad + [(edge, rule._range()) for edge in outside]


def _beyond(rule: Any, below: bool) -> float | None:
    end, is_open = (rule.low, rule.open_low) if below else (rule.high, rule.open_high)
    if abs(end) == float("inf"):
        return None
    return float(end) if is_open else float(end) - 1 if below else float(end) + 1


def _bad_for(part: Any, name: str, untyped: Sequence[Any]) -> list[tuple[Any, str]]:
    """What a field without a rule must refuse by its type hint, and what the error must say."""
    try:
        hint = typing.get_type_hints(type(part)).get(name, Any)
    except NameError:  # a name that exists for type checkers alone
        return []
    if hint is Any:
        return [(value, "") for value in untyped]
    if typing.get_origin(hint) is typing.Literal:
        return [("no such option", str(typing.get_args(hint)[-1]))]
    if typing.get_origin(hint) is Sequence:
        return [(object(), ""), ([], "")]
    if hint in (bool, int, float):
        return [("abc", name), (object(), name)]
    return []
