from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from helpers import NAN
from kinview.data import Batch


def a_batch() -> Batch:
    x = torch.arange(24.0).reshape(4, 2, 3)
    second = Batch.of(torch.arange(8.0).reshape(4, 2), times=torch.arange(4.0, dtype=torch.float64)[:, None] + 1e9)
    return Batch.of(
        x,
        times=torch.tensor([[1e9, 1e9 + 0.5, NAN]] * 4, dtype=torch.float64) + torch.arange(4.0)[:, None],
        groups=torch.tensor([5, 5, 7, 7]),
        y=torch.tensor([0, 1, 0, 1]),
        extra={"position": torch.tensor([10, 11, 12, 13]), "notes": second},
    )


def check_rows(taken: Batch, rows: list[int]) -> None:
    batch = a_batch()
    assert len(taken) == len(rows)
    for name in ("x", "index", "times", "groups", "y"):
        expected = torch.stack([getattr(batch, name)[row] for row in rows])
        torch.testing.assert_close(getattr(taken, name), expected, rtol=0, atol=0, equal_nan=True)
    assert torch.equal(taken.index, torch.tensor(rows))
    second = taken.extra["notes"]
    assert isinstance(second, Batch)
    assert torch.equal(second.index, torch.tensor(rows))
    assert torch.equal(second.x[:, 0], 2.0 * torch.tensor(rows))
    position = taken.extra["position"]
    assert isinstance(position, Tensor)
    assert torch.equal(position, torch.tensor(rows) + 10)


def test_rows_take_everything_along_in_the_given_order() -> None:
    batch = a_batch()
    check_rows(batch.rows(torch.tensor([2, 0, 2])), [2, 0, 2])
    check_rows(batch.rows(slice(1, 3)), [1, 2])
    check_rows(batch.rows(torch.tensor([False, True, False, True])), [1, 3])
    check_rows(batch.rows(torch.tensor([3, 1])).rows(torch.tensor([1])), [1])


def test_no_rows_are_legal() -> None:
    empty = a_batch().rows(torch.tensor([], dtype=torch.int64))
    assert len(empty) == 0
    assert empty.x.shape == (0, 2, 3)
    assert empty.groups is not None
    assert empty.groups.shape == (0,)


def test_what_is_absent_stays_absent() -> None:
    batch = Batch.of(torch.zeros(2, 3)).rows(torch.tensor([1])).to("cpu")
    assert (batch.times, batch.groups, batch.y, batch.extra) == (None, None, None, {})


def test_a_batch_is_frozen_and_replace_copies() -> None:
    batch = a_batch()
    with pytest.raises(dataclasses.FrozenInstanceError):
        batch.x = torch.zeros(1)  # type: ignore[misc]
    changed = batch.replace(x=torch.zeros(4, 2, 3))
    assert changed.groups is batch.groups
    assert batch.x.sum() > 0


def test_defaults_are_not_shared() -> None:
    assert Batch.of(torch.zeros(1)).extra is not Batch.of(torch.zeros(1)).extra


def test_moving_within_the_cpu_keeps_times_as_they_are() -> None:
    batch = a_batch()
    moved = batch.to("cpu")
    assert moved.times is not None
    assert moved.times.dtype == torch.float64
    torch.testing.assert_close(moved.times, batch.times, rtol=0, atol=0, equal_nan=True)


def test_moving_elsewhere_moves_all_with_times_in_float32() -> None:
    moved = a_batch().to("meta")
    second = moved.extra["notes"]
    assert isinstance(second, Batch)
    tensors = [moved.x, moved.index, moved.times, moved.groups, moved.y, moved.extra["position"], second.x]
    assert all(isinstance(value, Tensor) and value.device.type == "meta" for value in tensors)
    assert moved.times is not None
    assert second.times is not None
    assert moved.times.dtype == second.times.dtype == torch.float32  # nested ones too: not every backend has float64


def test_times_elsewhere_are_differences_that_keep_their_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    # no accelerator is needed to see the values: keep the tensors where they are
    plain = Tensor.to

    def stay(tensor: Tensor, *to: object) -> Tensor:
        return tensor if to == (torch.device("meta"),) else plain(tensor, *to)

    monkeypatch.setattr(Tensor, "to", stay)
    moved = a_batch().to("meta")
    assert moved.times is not None
    torch.testing.assert_close(moved.times, torch.tensor([[0.0, 0.5, NAN]] * 4), rtol=0, atol=0, equal_nan=True)
