"""Checks of what a view is made of: each channel of itself, and of values with their sign."""

from __future__ import annotations

import torch
from torch import Tensor

from kinview.data.batch import Batch
from kinview.testing._augmentation_case import SEEDS, Case, near

_CHANNELS = 2  # so many are changed in turn
_ROUNDING = 1e-12


def mixes_channels(case: Case) -> None:
    """A channel of the view is made of that channel alone, if and only if ``mixes_channels`` is not declared."""
    if case.kind == "embedding" or case.draw().x.shape[1] < 2:
        return
    for gaps in (False, True):
        batch = case.draw(gaps=gaps, dtype=torch.float64)
        other = case.draw(seed=1, dtype=torch.float64).x
        for channel in range(min(_CHANNELS, batch.x.shape[1])):
            changed = batch.x.clone()
            changed[:, channel] = torch.where(changed[:, channel].isnan(), torch.nan, other[:, channel])
            reached = _others_change(case, batch, batch.replace(x=changed), channel)
            if reached and case.part.mixes_channels:
                return
            assert not reached, (
                f"where channel {channel} is another, the view of the other channels changes as well (same seed): "
                "declare mixes_channels if that is meant"
            )
    if case.part.mixes_channels and (case.part.modality != "any" or case.kind == "time_series"):
        raise AssertionError("mixes_channels is declared, and no channel's view depends on another channel")


def _others_change(case: Case, batch: Batch, changed: Batch, channel: int) -> bool:
    for seed in SEEDS:
        for one, two in zip(case.views(batch, seed), case.views(changed, seed), strict=True):
            if one.x.shape != two.x.shape:
                return True
            others = torch.arange(one.x.shape[1]) != channel
            if one.x.shape[1] != batch.x.shape[1]:  # a channel cannot be told by its place
                others[:] = True
            if not near(one.x[:, others], two.x[:, others]):
                return True
    return False


def sign(case: Case) -> None:
    """Values of the other sign have another view, in the rows that the view changes at all."""
    batch = case.draw(dtype=torch.float64)
    flipped = batch.replace(x=torch.where(_numbers(case, batch), -batch.x, batch.x))
    changed = alike = 0
    for seed in SEEDS:
        for one, two in zip(case.views(batch, seed), case.views(flipped, seed), strict=True):
            if one.x.shape != two.x.shape:
                continue
            moved = torch.ones(len(batch), dtype=torch.bool) if one.x.shape != batch.x.shape else _apart(one.x, batch.x)
            changed += int(moved.sum())
            alike += int((moved & ~_apart(one.x, two.x, _ROUNDING)).sum())
    assert 2 * alike <= changed, (
        f"x and -x have the same view (same seed) in {alike} of {changed} rows that were changed: the sign is lost"
    )


def _numbers(case: Case, batch: Batch) -> Tensor:
    """Cells that are numbers, shaped to go with the batch; the codes of a category have no sign."""
    schema = case.schema()
    if schema is None:
        return torch.ones((), dtype=torch.bool)
    return torch.tensor([not codes for codes in schema.cardinalities]).expand_as(batch.x)


def _apart(one: Tensor, other: Tensor, tolerance: float = 0.0) -> Tensor:
    """Rows ``(n,)`` that differ."""
    return ~torch.isclose(one, other, rtol=tolerance, atol=tolerance, equal_nan=True).flatten(1).all(dim=1)
