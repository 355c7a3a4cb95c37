"""Checks of the values of a view, and of the conduct of an augmentation."""

from __future__ import annotations

import copy
import dataclasses
import functools
import re

import numpy as np
import torch
from torch import Tensor

from kinview.augmentations.base import Augmentation
from kinview.data.batch import Batch
from kinview.testing._augmentation_case import (
    SEEDS,
    STEPS,
    Case,
    all_parts,
    differs,
    near,
    row,
    same,
    same_views,
    seeded,
    with_parts,
)
from kinview.testing._augmentation_inside import calls_of, operations_of
from kinview.testing._suite import under_global_seeds

ROUNDING = 1e-6


def shape_and_type(case: Case) -> None:
    """One row for each row, in the batch's type, on its device; float32 and float64, half precision without a crash."""
    for dtype in (torch.float32, torch.float64, torch.bfloat16, torch.float16):
        batch = case.draw(gaps=True, dtype=dtype)
        try:
            views = case.views(batch)
        except (RuntimeError, NotImplementedError) as error:
            if dtype.itemsize < 4 and re.search("not implemented|not supported|[Uu]nsupported", str(error)):
                continue  # torch itself lacks the operation
            raise
        for view in views:
            assert view.x.dtype == dtype, f"{dtype} becomes {view.x.dtype}"
            assert view.x.device == batch.x.device, f"{batch.x.device} becomes {view.x.device}"
            assert len(view) == len(batch), f"{len(batch)} rows become {len(view)}"
            assert view.x.ndim == batch.x.ndim, f"{batch.x.ndim} dimensions become {view.x.ndim}"
            assert not bool(view.x.isinf().any()), f"{dtype}: a value becomes infinite"


def carried_along(case: Case) -> None:
    """Index, groups, labels and what is in ``extra`` stay with their rows."""
    batch = case.draw(gaps=True)
    for view in case.views(batch):
        for name in ("index", "groups", "y"):
            assert same(getattr(view, name), getattr(batch, name)), f"{name} must be carried over: batch.replace(x=...)"
        for name, value in batch.extra.items():
            assert name in view.extra and same(view.extra[name], value), f"extra[{name!r}] must be carried over"


def bare_tensor(case: Case) -> None:
    """A tensor gives the tensor that a batch would hold."""
    if case.part.needs & {"groups", "y"} or ("sampling_rate" in case.part.needs and not case.sampling_rate_given()):
        return
    x = case.draw().x
    made, views = case.part(x, seeded(0)), case.views(Batch.of(x))
    made = made if isinstance(made, tuple) else (made,)
    assert all(isinstance(one, Tensor) for one in made), "a bare tensor must give bare tensors"
    assert all(same(one.detach(), view.x) for one, view in zip(made, views, strict=True)), "tensor and batch differ"


def inputs_unchanged(case: Case) -> None:
    """Nothing is written into the batch, nor by ``fit`` into the training rows."""
    batch, train = case.draw(gaps=True), case.draw(64, gaps=True)
    for action, given in ((lambda: case.views(batch), batch), (lambda: _fit(case, train), train)):
        before = copy.deepcopy(given)
        action()
        for name in ("x", "times", "index", "groups", "y"):
            assert same(getattr(given, name), getattr(before, name)), f"{name} of the batch was modified"
        assert given.extra.keys() == before.extra.keys(), "extra of the batch was modified"
        for name, value in given.extra.items():
            assert same(value, before.extra[name]), f"extra[{name!r}] of the batch was modified"


def _fit(case: Case, train: Batch, seed: int = 1) -> Augmentation:
    return case.given.fit(train, case.schema(), seeded(seed))


def no_global_randomness(case: Case) -> None:
    """The global generators of torch, numpy and random are neither read nor moved, with a generator or without."""
    batch = case.draw(gaps=True)

    def draw() -> tuple[Batch, ...]:
        views = case.views(batch, part=case.ready(case.given))
        case.part(batch)
        return views

    one, again, other = under_global_seeds(draw)
    repeats = same_views(one, again)  # if not, another check fails
    assert not repeats or same_views(one, other), "the view depends on a global random state"


def strength(case: Case) -> None:
    """Strength 0 is the identity and 1 the augmentation itself; without one, asking for it says what to do."""
    if not case.part.has_strength:
        try:
            case.part.strength_scaled(0.5)
        except ValueError as error:
            assert "Sometimes" in str(error), f"the error must say what to do, Sometimes(...); it says {error}"
            return
        raise AssertionError("strength_scaled must refuse what has no strength, as Augmentation.strength_scaled does")
    for batch in (case.draw(), case.draw(gaps=True)):
        for seed in list(SEEDS)[:3]:
            assert same_views(case.views(batch, seed), case.views(batch, seed, case.part.strength_scaled(1.0))), (
                "strength 1 must be the augmentation itself"
            )
            for view in case.views(batch, seed, case.part.strength_scaled(0.0)):
                assert near(view.x, batch.x, ROUNDING), (
                    "strength 0 must be the identity; give fields their neutral= value"
                )
                assert same(view.times, batch.times), "strength 0 must leave the time stamps"
        for factor in (0.5, 2.0):
            case.views(batch, 0, case.part.strength_scaled(factor))


def changes_something(case: Case) -> None:
    """The default changes something observed in 99 % of random rows; one of probability ``p`` when p is 1."""
    batch, n = case.draw(400, steps=2 * STEPS), 400
    changed = _fraction_changed(case, batch, _surely(case.part))
    assert changed >= 0.99, (
        f"only {changed:.1%} of random rows are changed; at least 99 % must be (with p = 1, if it has p)"
    )
    p = float(np.prod([getattr(part, "p", 1.0) for part in all_parts(case.part) if hasattr(part, "p")] or [1.0]))
    assert p > 0, "the default never changes anything: p is 0"
    changed = _fraction_changed(case, batch, case.part)
    slack = 4 * (p * (1 - p) / n) ** 0.5
    assert changed >= 0.99 * p - slack, f"only {changed:.1%} of random rows are changed at p = {p:g}"


def _fraction_changed(case: Case, batch: Batch, part: Augmentation) -> float:
    changed = torch.stack([differs(view, batch) for view in case.views(batch, part=part)])
    return float(changed.any(dim=0).double().mean())


def _surely(part: Augmentation) -> Augmentation:
    """The augmentation with every probability ``p`` at 1."""
    if hasattr(part, "parts"):
        part = with_parts(part, _surely)
    return part._with(p=1.0) if _has_p(part) else part


def _has_p(part: Augmentation) -> bool:
    return any(field.name == "p" and field.init for field in dataclasses.fields(part))  # type: ignore[arg-type]


def loops(case: Case) -> None:
    """4,096 rows take no more operations, nor calls of functions, than 8, nor do 1,024 steps."""
    short, long = STEPS // 2, 8 * STEPS
    cases = [(f"8 rows of {short} steps", 8, short), (f"4,096 rows of {short} steps", 4096, short)]
    if case.kind == "time_series":
        cases.append((f"8 rows of {long:,} steps", 8, long))
    batches = [(what, case.draw(n, channels=2, steps=steps, gaps=True)) for what, n, steps in cases]
    case.views(batches[0][1])  # what is done once is done
    for what, count in (("torch operations", operations_of), ("function calls", calls_of)):
        least, *others = [(size, count(functools.partial(case.views, batch))) for size, batch in batches]
        for size, found in others:
            assert found <= 1.1 * least[1] + 10, (
                f"{least[0]} take {least[1]} {what}, {size} take {found}: work on the whole batch at once"
            )


def categories(case: Case) -> None:
    """In tables a category moves as one unit: whole codes of its own column, never fractions."""
    schema = case.schema()
    if schema is None or case.part.changes_length:
        return
    batch = case.draw(200, gaps=True)
    for view in case.views(batch):
        for column, codes in enumerate(schema.cardinalities):
            values = view.x[:, column]
            values = values[~values.isnan()]
            if codes:
                assert torch.equal(values, values.round()), (
                    f"column {column} holds codes, and the view fractions of them"
                )
                assert bool(((values >= 0) & (values < codes)).all()), f"column {column}: there is no such category"


def same_seed(case: Case) -> None:
    """One seed gives one view; another seed gives another where anything is drawn at all."""
    case = dataclasses.replace(case, part=_undecided(case.part))
    batch = case.draw(gaps=True)
    first = case.views(batch, 3)
    torch.rand(7, generator=seeded(1))
    assert same_views(first, case.views(batch, 3)), "the same seed gives another view"
    generator = seeded(3)
    before = generator.get_state()
    case.part(batch, generator)
    if torch.equal(before, generator.get_state()):
        others = [case.views(batch, seed) for seed in SEEDS]
        assert all(same_views(first, other) for other in others), "views differ, and the given generator is not used"
        return
    assert any(not same_views(first, case.views(batch, seed)) for seed in SEEDS), "another seed gives the same view"
    again = case.part(batch, generator)
    again = again if isinstance(again, tuple) else (again,)
    assert any(not same_views(first, case.views(batch, seed)) or not same_views(first, again) for seed in SEEDS), (
        "a second draw from one generator repeats the first"
    )


def _undecided(part: Augmentation) -> Augmentation:
    """What happens always or never, half of the time."""
    return part._with(p=0.5) if getattr(part, "p", None) in (0, 1) else part


def rows_draw_alone(case: Case) -> None:
    """Rows that are equal get different views where anything is drawn, unless rows are mixed."""
    if case.part.mixes_rows:
        return
    case = dataclasses.replace(case, part=_undecided(case.part))
    batch = case.draw(1).rows(torch.zeros(32, dtype=torch.long))
    random = any(not same_views(case.views(batch, 0), case.views(batch, seed)) for seed in SEEDS)
    apart = any(
        not same(row(view, 0).x, row(view, i).x)
        for seed in SEEDS
        for view in case.views(batch, seed)
        for i in (1, 2, 3)
    )
    assert apart or not random, "every row of a batch gets the same draw"
