"""Checks of batches at the edge: small, empty, constant, long, padded."""

from __future__ import annotations

import functools
import re

import torch

from kinview.data.batch import Batch
from kinview.testing._augmentation_case import SEEDS, STEPS, Case, near, seeded
from kinview.testing._augmentation_inside import draws_by_position

ROUNDING = 1e-6


def sizes(case: Case) -> None:
    """No row and one row, one channel and many (unless ``min_channels`` refuses them), one step and some more."""
    for n in (0, 1, 2):
        for view in case.views(case.draw(n)):
            assert len(view) == n, f"a batch of {n} gives {len(view)} rows"
    for channels in (1, 2, 12):
        for steps in (1, 2, 3, 4, 5, 7, 10, 33) if case.kind == "time_series" else (1, 2, STEPS):
            for gaps in (False, True):
                batch = case.draw(2, channels=channels, steps=steps, gaps=gaps)
                batch = batch.replace(x=batch.x[:, :channels]) if case.kind == "time_series" else batch
                _short(case, batch, f"{channels} channel{'s' * (channels > 1)}, {steps} step{'s' * (steps > 1)}")


def _short(case: Case, batch: Batch, what: str) -> None:
    if batch.x.shape[1] < case.part.min_channels:
        _refused(case, batch, what)
        return
    try:
        views = case.views(batch)
    except ValueError as error:
        # what cannot be left as it is says how much it needs
        if case.part.changes_length and re.search(r"at least (\d+|two|one) (steps|columns|channels|leads)", str(error)):
            return
        raise AssertionError(f"{what}: leave what is too short as it is; it raises {error}") from error
    for view in views:
        if not case.part.makes_gaps and not bool(batch.x.isnan().any()):
            assert not bool(view.x.isnan().any()), f"{what}: a value becomes missing"
        assert not bool(view.x.isinf().any()), f"{what}: a value becomes infinite"


def _refused(case: Case, batch: Batch, what: str) -> None:
    """Fewer channels than ``min_channels`` are refused, with their number."""
    least = case.part.min_channels
    try:
        case.views(batch)
    except ValueError as error:
        assert f"at least {least}" in str(error), f"{what}: the error must say 'at least {least}'; it says {error}"
        return
    raise AssertionError(f"{what}: min_channels is {least}, and fewer are not refused")


def nothing_to_see(case: Case) -> None:
    """Rows without an observed value stay so; constant and zero rows, and a column never seen, stay finite."""
    batch = case.draw()
    empty = batch.replace(
        x=torch.where(torch.arange(len(batch)).view(-1, *[1] * (batch.x.ndim - 1)) < 2, torch.nan, batch.x)
    )
    for view in case.views(empty):
        assert bool(view.x[:2].isnan().all()), "a row in which nothing was observed gets values"
        assert case.part.makes_gaps or not bool(view.x[2:].isnan().any()), "empty rows make gaps in others"
    for view in case.views(batch.replace(x=torch.full_like(batch.x, torch.nan))):
        assert bool(view.x.isnan().all()), "a batch in which nothing was observed gets values"
    for value in (0.0, 1.0, -1000.0):
        for view in case.views(batch.replace(x=torch.full_like(batch.x, value))):
            assert not bool(view.x.isinf().any()), f"rows of {value:g}: a value becomes infinite"
            assert case.part.makes_gaps or not bool(view.x.isnan().any()), f"rows of {value:g}: a value becomes NaN"
    train = case.draw(64)
    train = train.replace(x=train.x.index_fill(1, torch.tensor([0]), torch.nan))
    fitted = case.given.fit(train, case.schema(), seeded(0))
    fitted = case.part if "loss" in fitted.needs else fitted
    for view in case.views(batch, part=fitted):
        assert case.part.makes_gaps or not bool(view.x.isnan().any()), "after a column never seen, a value becomes NaN"


def long_series(case: Case) -> None:
    """A series of 100,000 steps works."""
    if case.kind != "time_series":
        return
    batch = case.draw(1, channels=1, steps=100_000)
    for view in case.views(batch):
        assert case.part.changes_length or view.x.shape == batch.x.shape, "the shape of a long series changes"


def padding(case: Case) -> None:
    """Padding a batch further changes nothing, and what is beyond the end of a series stays missing."""
    if case.kind != "time_series" or case.part.changes_length:
        return
    # 28 steps more stay within one STEPS-wide draw
    batch = case.draw(steps=STEPS - 28, gaps=True, dtype=torch.float64)
    pad = functools.partial(torch.nn.functional.pad, pad=(0, 28), value=torch.nan)
    padded = batch.replace(x=pad(batch.x), times=None if batch.times is None else pad(batch.times))
    for seed in list(SEEDS)[:4]:
        with draws_by_position():
            before = case.views(batch, seed)
        with draws_by_position():
            after = case.views(padded, seed)
        for one, other in zip(before, after, strict=True):
            assert bool(other.x[:, :, -28:].isnan().all()), "values appear beyond the end of a series"
            assert near(other.x[:, :, :-28], one.x, ROUNDING), (
                "padding a batch further changes the view (where random numbers depend on their place alone): use each "
                "row's own length, kinview.data.gaps.valid_lengths, and statistics over observed values only"
            )
            if other.times is not None and one.times is not None:
                assert near(other.times[:, :-28], one.times), "padding a batch further changes the time stamps"
