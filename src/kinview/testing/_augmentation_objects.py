"""Checks of an augmentation as an object: its parameters, its config, what it learns, its copies."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Any

from torch import Tensor, nn

from kinview.augmentations import augmentations
from kinview.augmentations.base import Augmentation
from kinview.files import read_yaml, write_yaml
from kinview.testing._augmentation_case import Case, all_parts, same_views


def parameters(case: Case) -> None:
    """A bad parameter is refused at construction, by name and with what is allowed; parameters are frozen."""
    part = case.given
    assert dataclasses.is_dataclass(part), "an augmentation is a frozen dataclass: its fields are its parameters"
    given = {field.name: getattr(part, field.name) for field in dataclasses.fields(part) if field.init}
    for field in dataclasses.fields(part):
        if not field.init:
            continue
        try:
            setattr(part, field.name, given[field.name])
        except dataclasses.FrozenInstanceError:
            pass
        else:
            raise AssertionError(f"{field.name} could be assigned: write @dataclasses.dataclass(frozen=True)")
        rule = field.metadata.get("rule")
        for bad, promise in _bad_values(rule, given[field.name]):
            try:
                type(part)(**{**given, field.name: bad})
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


def _bad_values(rule: Any, value: Any) -> list[tuple[Any, str]]:
    """What a field must refuse, and what the error must say."""
    if rule is None:
        return [(object(), ""), ([], "")] if isinstance(value, tuple) else [(object(), "")]
    bad: list[tuple[Any, str]] = [(object(), "must be")] + ([] if rule.optional else [(None, "must be")])
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


def config_round_trip(case: Case) -> None:
    """The config, through YAML, builds an equal augmentation, and holds nothing that was learned."""
    scaled = [case.part.strength_scaled(0.5)] if case.part.has_strength else []
    for part in (case.given, case.part, *scaled):
        try:
            config = augmentations.to_config(part)
        except TypeError as error:
            name = case.name.lower()
            raise AssertionError(
                f"the augmentation has no config: {error}. Register the class, @augmentations.register({name!r}, "
                f"modality={part.modality!r}), or name it under the entry-point group kinview.augmentations"
            ) from error
        again = augmentations.build(read_yaml(write_yaml(config)))
        assert again == part.forget(), f"{config!r} builds {again!r}, not {part!r}"
        assert augmentations.to_config(again) == config, f"{config!r} comes back as {augmentations.to_config(again)!r}"
        assert repr(again) == repr(part), f"the repr holds more than the parameters: {part!r}"
    again = case.ready(augmentations.build(augmentations.to_config(case.given)))
    assert same_views(case.views(case.draw(), part=again), case.views(case.draw())), "built from its config it differs"


def learning(case: Case) -> None:
    """``fit`` leaves the original as it was, one seed learns one thing, and ``forget`` drops what was learned."""
    before = dict(vars(case.given))
    fitted = case.fitted(case.given)
    after = vars(case.given)
    assert before.keys() == after.keys() and all(before[k] is after[k] for k in before), "fit modified the original"
    assert isinstance(fitted, Augmentation), f"fit must return an augmentation; got {type(fitted).__name__}"
    twice = [case.views(case.draw(), part=case.ready(case.given)) for _ in range(2)]
    assert same_views(*twice), "one seed learns two things"
    forgotten = case.part.forget()
    for one in all_parts(forgotten):
        kept = [name for name, value in vars(one).items() if isinstance(value, Tensor | nn.Module)]
        assert not kept, f"forget keeps {', '.join(kept)}, which fit or bind_loss brought"
    assert forgotten == case.given, f"forget changes parameters: {forgotten!r}"
    for progress in (0.0, 0.5, 1.0):
        assert isinstance(case.part.at(progress), Augmentation), "at must return an augmentation"


def copies(case: Case) -> None:
    """A deep copy gives the same views, and what was learned can be pickled, as worker processes ask."""
    batch = case.draw(gaps=True)
    copied = case.views(batch, part=copy.deepcopy(case.part))
    assert same_views(case.views(batch), copied), "a deep copy gives another view"
    pickle.dumps(case.fitted(case.given))
