"""Parts of a sample as views: windows of series, columns of rows."""

from __future__ import annotations

import pytest
import torch

from helpers import gen
from kinview.augmentations import RandomColumns, RandomWindow
from kinview.data import Batch


def test_a_window_is_a_piece_of_the_series_with_its_stamps() -> None:
    x = torch.arange(80.0).reshape(2, 2, 20)
    times = (10 * torch.arange(20.0, dtype=torch.float64)).repeat(2, 1)
    for seed in range(20):
        view = RandomWindow((0.2, 0.5))(Batch.of(x, times=times), gen(seed))
        start, length = view.extra["offset"], view.x.shape[2]
        assert 4 <= length <= 10 and view.times is not None
        for i in range(2):
            piece = slice(int(start[i]), int(start[i]) + length)
            torch.testing.assert_close(view.x[i], x[i, :, piece])
            torch.testing.assert_close(view.times[i], times[i, piece])


def test_windows_lie_anywhere_within_each_series() -> None:
    x = torch.ones(400, 1, 20)
    x[200:, :, 12:] = torch.nan
    view = RandomWindow((0.25, 0.25))(Batch.of(x), gen())
    assert view.x.shape == (400, 1, 5) and not bool(view.x.isnan().any())
    assert set(view.extra["offset"][:200].tolist()) == set(range(16))
    assert set(view.extra["offset"][200:].tolist()) == set(range(8))


def test_a_series_shorter_than_the_window_is_kept_whole() -> None:
    x = torch.arange(20.0).repeat(3, 1, 1)
    x[1, :, 3:] = torch.nan
    view = RandomWindow((0.5, 0.5))(Batch.of(x), gen())
    assert view.x[1, 0, :3].tolist() == [0.0, 1.0, 2.0] and bool(view.x[1, 0, 3:].isnan().all())


def test_a_window_of_a_window_knows_its_place_in_the_series() -> None:
    x = torch.arange(40.0).repeat(5, 1, 1)
    once = RandomWindow((0.5, 0.5))(Batch.of(x), gen(0))
    twice = RandomWindow((0.5, 0.5))(once, gen(1))
    torch.testing.assert_close(twice.x[:, 0, 0], twice.extra["offset"].float())


@pytest.mark.parametrize(("fraction", "columns", "kept"), [(0.5, 8, 4), (0.3, 10, 3), (0.1, 5, 1), (1.0, 5, 5)])
def test_each_row_keeps_its_own_columns_and_so_many(fraction: float, columns: int, kept: int) -> None:
    x = torch.arange(50.0 * columns).reshape(50, columns)
    view = RandomColumns(fraction)(x, gen())
    observed = ~view.isnan()
    assert (observed.sum(dim=1) == kept).all() and torch.equal(view[observed], x[observed])
    assert kept == columns or len(torch.unique(observed, dim=0)) > 4
    assert bool(observed.any(dim=0).all())
