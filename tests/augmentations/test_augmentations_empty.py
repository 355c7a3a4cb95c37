"""Series without steps or observations, tables without rows: every view makes something of them, or says why not."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from helpers import NAN, gen
from kinview.augmentations import Augmentation, augmentations
from kinview.augmentations._tables import FittedToColumns
from kinview.data import Batch
from test_augmentations_contract import SPECS

SERIES = [name for name in augmentations if augmentations[name].modality in ("time_series", "any")]
RATED = ["baseline_wander", "electrode_motion", "powerline"]  # they need a sampling rate, which default to none
TOO_SHORT = {"crop_pair"}  # two overlapping crops need two steps


def built(name: str, **parameters: Any) -> Augmentation:
    part: Augmentation = augmentations.build({name: parameters} if parameters else SPECS.get(name, name))
    if "loss" in part.needs:
        part = part.bind_loss(lambda values: values.square().mean())  # type: ignore[attr-defined]
    return part


def views(part: Augmentation, x: Tensor, times: Tensor | None = None) -> tuple[Batch, ...]:
    rows = torch.arange(len(x))
    batch = Batch.of(x, times=times, y=rows % 2, groups=rows // 2)
    made = part.fit(batch, None, gen())(batch, gen())
    return (made,) if isinstance(made, Batch) else made


def options(name: str) -> list[dict[str, Any]]:
    """The default, and every word and flag that is not one."""
    found: list[dict[str, Any]] = [{}]
    for field in dataclasses.fields(augmentations[name].target):  # type: ignore[arg-type]
        rule = field.metadata.get("rule")
        if name not in SPECS and rule is not None and rule.kind in (bool, str):
            others = rule.options if rule.kind is str else (True, False)
            found += [{field.name: value} for value in others if value != field.default]
    return found


@pytest.mark.parametrize("name", SERIES)
@pytest.mark.parametrize("stamped", [False, True])
def test_series_without_steps_stay_without_steps(name: str, stamped: bool) -> None:
    for parameters in options(name):
        rate = {"sampling_rate": 100.0} if name in RATED and not stamped else {}
        part = built(name, **parameters, **rate)
        x = torch.zeros(3, max(part.min_channels, 2), 0)
        times = torch.zeros(3, 0, dtype=torch.float64) if stamped else None
        if name in TOO_SHORT:
            with pytest.raises(ValueError, match="needs series of at least 2 steps; these have 0"):
                views(part, x, times)
            continue
        for view in views(part, x, times):
            assert len(view) == 3
            assert view.x.shape[2] == 0 or part.changes_length
            assert part.mixes_channels or view.x.shape[1] == x.shape[1]
            assert not torch.isinf(view.x).any()


@pytest.mark.parametrize("name", SERIES)
def test_series_without_an_observation_stay_without_one(name: str) -> None:
    for parameters in options(name):
        part = built(name, **parameters, **({"sampling_rate": 100.0} if name in RATED else {}))
        channels = max(part.min_channels, 2)
        x = torch.full((3, channels, 8), NAN)
        x[1] = torch.arange(8.0 * channels).reshape(channels, 8)
        for view in views(part, x):
            assert not torch.isinf(view.x).any()
            if not part.mixes_rows:
                assert torch.isnan(view.x[[0, 2]]).all(), parameters
        for view in views(part, torch.full((3, channels, 8), NAN)):
            assert torch.isnan(view.x).all(), parameters


@pytest.mark.parametrize("name", SERIES)
@pytest.mark.parametrize("steps", [0, 4])
def test_a_batch_without_rows_stays_without_rows(name: str, steps: int) -> None:
    part = built(name, **({"sampling_rate": 100.0} if name in RATED else {}))
    if name in TOO_SHORT and steps == 0:
        pytest.skip("refused for its steps")
    batch = Batch.of(torch.zeros(0, max(part.min_channels, 2), steps), y=torch.zeros(0), groups=torch.zeros(0).long())
    if name in ("viewmaker", "tabular_viewmaker", "tailored_mixup"):  # they bring their network from fit
        part = part.fit(Batch.of(torch.ones(3, *batch.x.shape[1:])), None, gen())
    made = part(batch, gen())
    for view in (made,) if isinstance(made, Batch) else made:
        assert len(view) == 0


FITTED = [name for name in augmentations if isinstance(built(name), FittedToColumns)]


@pytest.mark.parametrize("name", FITTED)
def test_a_table_without_rows_teaches_nothing(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} learns from training rows, and these are none: fit it on one row"):
        built(name).fit(Batch.of(torch.zeros(0, 3), y=torch.zeros(0)), None, gen())
    one = built(name).fit(Batch.of(torch.ones(1, 3), y=torch.zeros(1)), None, gen())
    assert isinstance(view := one(Batch.of(torch.ones(2, 3), y=torch.zeros(2)), gen()), Batch) and view.x.shape == (
        2,
        3,
    )


def test_which_views_of_tables_learn_from_rows() -> None:
    assert {"column_corruption", "class_conditional_corruption", "swap_noise"} <= set(FITTED)
