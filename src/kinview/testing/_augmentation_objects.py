"""Checks of an augmentation as an object: its parameters, its config, what it learns, its copies."""

from __future__ import annotations

import copy

from torch import Tensor, nn

from kinview.augmentations import augmentations
from kinview.augmentations.base import Augmentation
from kinview.testing._augmentation_case import Case, all_parts, same_views
from kinview.testing._suite import check_parameters, copied, in_config_and_back


def parameters(case: Case) -> None:
    """A bad parameter is refused at construction, by name and with what is allowed; parameters are frozen."""
    check_parameters(case.given, frozen=True, untyped=(object(),))


def config_round_trip(case: Case) -> None:
    """The config, through YAML, builds an equal augmentation, and holds nothing that was learned."""
    scaled = [case.part.strength_scaled(0.5)] if case.part.has_strength else []
    for part in (case.given, case.part, *scaled):
        again = in_config_and_back(augmentations, part)
        assert again == part.forget(), f"the config builds {again!r}, not {part!r}"
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
    """A copy, as worker processes make it, gives the same views, with what was learned."""
    batch = case.draw(gaps=True)
    twin = copy.deepcopy(case.part)  # one that is bound to a loss cannot be pickled
    assert same_views(case.views(batch), case.views(batch, part=twin)), "a deep copy gives another view"
    copied(case.fitted(case.given))
