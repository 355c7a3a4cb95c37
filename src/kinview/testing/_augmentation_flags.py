"""Checks of the flags of an augmentation: each is proved in both directions."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import torch
from torch import nn

from kinview.augmentations.base import Augmentation
from kinview.data.batch import Batch
from kinview.testing._augmentation_case import KINDS, ROWS, SEEDS, Case, near, row, same, seeded, ticks, with_parts

NEEDS = ("groups", "y", "schema", "sampling_rate", "loss")


def flags_are_declared(case: Case) -> None:
    """The flags have their types."""
    part = case.part
    assert isinstance(part, Augmentation), "an augmentation is a subclass of kinview.augmentations.base.Augmentation"
    for flag in ("moves_time", "makes_gaps", "mixes_rows", "chooses_partners", "mixes_channels", "changes_length"):
        declared = getattr(part, flag)
        assert isinstance(declared, bool), f"{flag} must be declared True or False; got {declared!r}"
    assert type(part.n_views) is int and part.n_views >= 1, f"n_views must be at least 1; got {part.n_views!r}"
    assert type(part.min_channels) is int and part.min_channels >= 1, (
        f"min_channels must be at least 1; got {part.min_channels!r}"
    )
    assert isinstance(part.needs, frozenset) and part.needs <= set(NEEDS), (
        f"needs must be a frozenset of {', '.join(NEEDS)}; got {part.needs!r}"
    )
    if case.kind != "time_series":
        assert not part.moves_time or part.modality in ("any", "time_series"), "moves_time is declared, without time"


def modality(case: Case) -> None:
    """Works on what it declares, and refuses other shapes and whole numbers by name."""
    assert case.part.modality in (*KINDS, "any"), (
        f"modality must be one of {KINDS} or 'any'; got {case.part.modality!r}"
    )
    x = case.draw().x
    wrong = [(torch.zeros(2, 3, 4, 5), "values of four dimensions"), (torch.zeros(4), "values of one dimension")]
    if case.part.modality != "any":
        wrong.append((x[:, 0] if x.ndim == 3 else x[:, None, :], "values of another modality's shape"))
    wrong.append((x.nan_to_num().long(), "whole numbers"))
    for value, what in wrong:
        try:
            case.part(case.draw(len(value)).replace(x=value), seeded(0))
        except ValueError:
            continue
        except Exception as error:
            raise AssertionError(f"{what} must be refused with a ValueError; got {type(error).__name__}") from error
        raise AssertionError(f"{what} must be refused with a ValueError, as Augmentation.__call__ does")


def n_views(case: Case) -> None:
    """As many views as declared, a tuple if there are several."""
    for batch in (case.draw(), case.draw(1), case.draw(gaps=True)):
        made = case.part(batch, seeded(0))
        found = len(made) if isinstance(made, tuple) else 1
        assert found == case.part.n_views, f"n_views = {case.part.n_views} is declared; got {found}"
        assert isinstance(made, tuple) == (case.part.n_views > 1), "several views come in a tuple, one view without"


def moves_time(case: Case) -> None:
    """Time stamps stay, or move along with their steps, if and only if ``moves_time`` is declared."""
    if case.kind != "time_series":
        return
    batch = case.draw(gaps=True).replace(times=ticks(ROWS, case.draw().x.shape[2]))
    views = [view for seed in SEEDS for view in case.views(batch, seed)]
    for view in views:
        assert view.times is not None, "the time stamps are lost"
        assert view.times.shape == (len(batch), view.x.shape[2]), "there must be one stamp for each step of the view"
        assert view.times.dtype == torch.float64, f"time stamps are float64; got {view.times.dtype}"
    moved = any(not same(view.times, batch.times) for view in views)
    if not case.part.moves_time:
        assert case.part.changes_length or not moved, "the time stamps change: declare moves_time"
        return
    assert moved, "moves_time is declared, and the time stamps never change"
    assert _stamps_tell_the_step(dataclasses.replace(case, part=_steps_alone(case.part))) or _gaps_go_along(case), (
        "steps move, and their time stamps do not move along: where the values are the stamps, they part"
    )


def _steps_alone(part: Augmentation) -> Augmentation:
    """Of a composite what moves steps, the rest at strength 0."""
    if not hasattr(part, "parts"):
        return part
    return with_parts(part, lambda one: _steps_alone(one) if one.moves_time else _weakened(one))


def _weakened(part: Augmentation) -> Augmentation:
    return part.strength_scaled(0.0) if part.has_strength else part


def _stamps_tell_the_step(case: Case) -> bool:
    """Where the values are the stamps, does the view say so too."""
    batch = case.draw()
    steps, channels = batch.x.shape[2], batch.x.shape[1]
    times = ticks(len(batch), steps)
    marked = batch.replace(x=times[:, None, :].expand(-1, channels, -1).clone(), times=times)
    views = [view for seed in SEEDS for view in case.views(marked, seed)]
    return all(
        view.times is not None
        and bool(((view.x - view.times[:, None, :]).abs() < 1e-6).logical_or(view.x.isnan()).all())
        for view in views
    )


def _gaps_go_along(case: Case) -> bool:
    """Is every step of the view that carries an original stamp missing exactly where it was before."""
    batch = case.draw()
    steps = batch.x.shape[2]
    times = ticks(len(batch), steps)
    missing = torch.rand(len(batch), steps, generator=seeded(5)) < 0.4
    missing[:, -1] = False
    holed = batch.replace(x=batch.x.masked_fill(missing[:, None, :], torch.nan), times=times)
    compared = 0
    for seed in SEEDS:
        for view in case.views(holed, seed):
            if view.times is None:
                return False
            same_stamp = view.times[:, :, None] == times[:, None, :]
            known, origin = same_stamp.any(dim=2), same_stamp.long().argmax(dim=2)
            gone = view.x.isnan().all(dim=1)
            if bool((known & (missing.gather(1, origin) > gone)).any()):
                return False
            if not case.part.makes_gaps and bool((known & (missing.gather(1, origin) != gone)).any()):
                return False
            compared += int(known.sum())
    return compared > 0


def makes_gaps(case: Case) -> None:
    """NaN stays where it was, and nothing else becomes NaN, if and only if ``makes_gaps`` is not declared."""
    whole, holed = case.draw(), case.draw(gaps=True)
    new_gaps = any(bool(view.x.isnan().any()) for seed in SEEDS for view in case.views(whole, seed))
    views = [view for seed in SEEDS for view in case.views(holed, seed)] if case.keeps_shape else []
    moved = any(not torch.equal(view.x.isnan(), holed.x.isnan()) for view in views)
    if case.part.makes_gaps:
        assert new_gaps or moved or not case.keeps_shape, "makes_gaps is declared, and no gap is ever made"
        return
    assert not new_gaps, "values become missing that were observed: declare makes_gaps"
    spread = moved and all(bool((view.x.isnan() | ~holed.x.isnan()).all()) for view in views)
    assert not spread, (
        "NaN spreads: values become missing because others in their row or batch are. Compute over observed values "
        "only (kinview.data.gaps: observed_mean, observed_std, observed_peak, bridge), or declare makes_gaps"
    )
    assert not moved, "NaN does not stay exactly where it was: declare makes_gaps, or moves_time where steps move"


def mixes_rows(case: Case) -> None:
    """A row's view depends on other rows if and only if ``mixes_rows`` is declared; then the partner is named."""
    batch, other = (case.draw(8, seed=seed, dtype=torch.float64, gaps=True) for seed in (0, 1))
    first = torch.arange(8) == 0
    replaced = _rows_from(first, batch, other)
    before, after = case.views(batch), case.views(replaced)
    alone = all(_rows_agree(a, b, 0) for a, b in zip(before, after, strict=True))
    if not case.part.mixes_rows:
        assert alone, "a row's view changes with the other rows: declare mixes_rows"
        for view in before:
            assert "partner" not in view.extra, "extra['partner'] is there, and mixes_rows is not declared"
        return
    mixed = any(not _rows_agree(a, b, i) for i in range(8) for a, b in _pairs(case, i))
    assert mixed, "mixes_rows is declared, and no row's view depends on another row"
    for view in before:
        _check_partners(view, len(batch))
    for i, view, again in _beside_others(case, batch, other):
        if _partner(view, i) == _partner(again, i):
            assert _rows_agree(view, again, i), "a row's view depends on a row that is not its partner"
    for view in case.views(batch.rows(slice(0, 1))):
        _check_partners(view, 1)


def chooses_partners(case: Case) -> None:
    """Which row is the partner goes by what the rows hold if and only if ``chooses_partners`` is declared."""
    if not case.part.mixes_rows:
        assert not case.part.chooses_partners, "chooses_partners is declared, and mixes_rows is not"
        return
    batch, other = (case.draw(8, seed=seed, dtype=torch.float64, gaps=True) for seed in (0, 1))
    changed = any(_partner(view, i) != _partner(again, i) for i, view, again in _beside_others(case, batch, other))
    if case.part.chooses_partners:
        assert changed, "chooses_partners is declared, and partners are the same whatever the rows hold"
    else:
        assert not changed, "where other rows hold other values a row has another partner: declare chooses_partners"


def _beside_others(case: Case, batch: Batch, other: Batch) -> Iterator[tuple[int, Batch, Batch]]:
    """Each row, with its view, and that of a batch in which all rows but it and its partner are others."""
    for i in range(len(batch)):
        for j, view in enumerate(case.views(batch)):
            kept = (torch.arange(8) == i) | (torch.arange(8) == _partner(view, i))
            yield i, view, case.views(_rows_from(kept, batch, other))[j]


def _partner(view: Batch, i: int) -> int:
    partner = view.extra["partner"]
    assert isinstance(partner, torch.Tensor)
    return int(partner[i])


def _pairs(case: Case, i: int) -> list[tuple[Batch, Batch]]:
    batch, other = (case.draw(8, seed=seed, dtype=torch.float64, gaps=True) for seed in (0, 1))
    replaced = _rows_from(torch.arange(8) == i, batch, other)
    return list(zip(case.views(batch), case.views(replaced), strict=True))


def _rows_from(kept: torch.Tensor, batch: Batch, other: Batch) -> Batch:
    """The kept rows, and those of another batch elsewhere."""
    picked = torch.where(kept, torch.arange(len(kept)), torch.arange(len(kept)) + len(kept))
    x = torch.cat([batch.x, other.x])[picked]
    times = None if batch.times is None or other.times is None else torch.cat([batch.times, other.times])[picked]
    y = None if batch.y is None or other.y is None else batch.y
    return batch.replace(x=x, times=times, y=y)


def _rows_agree(one: Batch, other: Batch, i: int) -> bool:
    if one.x.shape != other.x.shape:
        return False
    return near(row(one, i).x, row(other, i).x) and same(row(one, i).times, row(other, i).times)


def _check_partners(view: Batch, n: int) -> None:
    partner, coefficient = view.extra.get("partner"), view.extra.get("coefficient")
    assert isinstance(partner, torch.Tensor) and isinstance(coefficient, torch.Tensor), (
        "mixes_rows is declared: extra['partner'] and extra['coefficient'] must name the other row and the own weight"
    )
    assert partner.shape == (n,) and partner.dtype == torch.int64, "extra['partner'] must be (n,) int64"
    assert coefficient.shape == (n,) and coefficient.is_floating_point(), "extra['coefficient'] must be (n,) floating"
    assert bool(((partner >= 0) & (partner < n)).all()), "extra['partner'] must be positions in the batch"
    assert bool(((coefficient >= 0) & (coefficient <= 1)).all()), "extra['coefficient'] must be in [0, 1]"
    own = partner == torch.arange(n)
    assert bool((coefficient[own] == 1).all()), "a row is its own partner, with a coefficient below 1"


def changes_length(case: Case) -> None:
    """The view has the batch's shape if and only if ``changes_length`` is not declared."""
    batches = [case.draw(), case.draw(gaps=True)]
    views = [(view.x.shape, batch.x.shape) for batch in batches for s in SEEDS for view in case.views(batch, s)]
    if case.part.changes_length:
        assert any(seen != given for seen, given in views), "changes_length is declared, and the shape never changes"
    else:
        for seen, given in views:
            assert seen == given, f"{tuple(given)} becomes {tuple(seen)}: declare changes_length"


def needs(case: Case) -> None:
    """It cannot do without what ``needs`` names, and uses it; it can do without all else."""
    batch = case.draw()
    for what in ("groups", "y"):
        if what in case.part.needs:
            _refused(case, case.part, batch.replace(**{what: None}), what, f"without {what}")
    plain = batch.replace(
        groups=batch.groups if "groups" in case.part.needs else None,
        y=batch.y if "y" in case.part.needs else None,
        times=batch.times if "sampling_rate" in case.part.needs else None,
    )
    try:
        views = case.views(plain)
    except Exception as error:
        absent = " and ".join(name for name in ("groups", "y", "times") if getattr(plain, name) is None)
        raise AssertionError(
            f"without {absent} it raises {type(error).__name__}: say in needs what it needs"
        ) from error
    for view in views:
        assert (view.times is None) == (plain.times is None), "a batch without time stamps has views without"
    if "sampling_rate" in case.part.needs and batch.times is not None and not case.sampling_rate_given():
        _refused(case, case.part, batch.replace(times=None), "sampling_rate", "without sampling rate and time stamps")
        slower = batch.replace(times=batch.times * 1.5)
        assert any(
            not same(a.x, b.x)
            for seed in SEEDS
            for a, b in zip(case.views(batch, seed), case.views(slower, seed), strict=True)
        ), "a sampling_rate is needed, and another one changes nothing"
    if "schema" not in case.part.needs:
        unfitted = case.given if "loss" not in case.part.needs else case.given.bind_loss(lambda x: x.sum())  # type: ignore[attr-defined]
        case.views(batch, part=unfitted)
    elif case.part.modality != "any" or case.kind == "tabular":
        _refused(case, case.given, batch, "fit", "before fit")
    if "loss" in case.part.needs:
        _refused(case, case.fitted(case.given), batch, "bind_loss", "without a loss")


def _refused(case: Case, part: Augmentation, batch: Batch, name: str, what: str) -> None:
    try:
        case.views(batch, part=part)
    except ValueError as error:
        assert name in str(error), f"{what}: the error must name {name}; it says {error}"
        return
    raise AssertionError(f"{name} is needed: {what} it must raise a ValueError")


def network(case: Case) -> None:
    """Gradients reach the weights of ``network`` if there is one; without one a view needs no gradient."""
    made = case.part(case.draw(), seeded(0))
    views = made if isinstance(made, tuple) else (made,)
    if case.part.network is None:
        assert not any(view.x.requires_grad for view in views), "a view needs a gradient: declare its network"
        return
    assert isinstance(case.part.network, nn.Module), "network must be a torch module"
    weights = list(case.part.network.parameters())
    found = torch.autograd.grad(sum(view.x.nan_to_num().square().sum() for view in views), weights, allow_unused=True)
    assert any(grad is not None and bool(grad.abs().max() > 0) for grad in found), "no gradient reaches the network"
