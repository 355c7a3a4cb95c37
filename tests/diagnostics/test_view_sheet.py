"""Sheets of views: what the picture shows, read off its lines and cells."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import kinview
from helpers import gen
from kinview.augmentations import Augmentation, augmentations
from kinview.data import Batch, TableSchema
from kinview.diagnostics import view_sheet
from kinview.diagnostics.sheet import figure_bytes


class Plus(Augmentation):
    """Add one; the second view is the first half of the series."""

    modality = "time_series"

    def apply(self, batch: Batch, generator: torch.Generator) -> Any:
        return batch.replace(x=batch.x + 1)


class Halves(Augmentation):
    modality = "time_series"
    n_views = 2
    changes_length = True

    def apply(self, batch: Batch, generator: torch.Generator) -> Any:
        half = batch.x.shape[2] // 2
        return batch.replace(x=batch.x[:, :, :half]), batch.replace(x=batch.x[:, :, half:])


class Mean(Augmentation):
    modality = "any"
    mixes_rows = True

    def apply(self, batch: Batch, generator: torch.Generator) -> Any:
        partner = torch.arange(len(batch)).roll(1)
        weight = torch.full((len(batch),), 0.75)
        return batch.replace(
            x=0.75 * batch.x + 0.25 * batch.x[partner],
            extra={**batch.extra, "partner": partner, "coefficient": weight},
        )


class Backwards(Augmentation):
    modality = "time_series"
    moves_time = True

    def apply(self, batch: Batch, generator: torch.Generator) -> Any:
        times = None if batch.times is None else batch.times.flip(1)
        return batch.replace(x=batch.x.flip(2), times=times)


def series(n: int = 6, channels: int = 1, steps: int = 20) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(n, channels, steps))


def panels(figure: Any) -> list[Any]:
    return [axes for axes in figure.axes if axes.get_label() != "key"]


def lines(axes: Any, kind: str) -> list[np.ndarray]:
    return [np.asarray(line.get_ydata()) for line in axes.lines if line.get_gid() == kind]


def texts(axes: Any) -> list[str]:
    return [text.get_text() for text in axes.texts]


def frames(axes: Any) -> set[tuple[int, int]]:
    """Row and column of each cell that is marked as changed."""
    found = [patch for patch in axes.patches if patch.get_gid() == "changed"]
    return {(int(patch.get_y()), int(patch.get_x())) for patch in found}


def test_one_row_a_sample_originals_left_and_views_right() -> None:
    X = series()
    figure = view_sheet(X, Plus(), samples=3, views=2, scaling="none")
    assert [axes.get_title() for axes in panels(figure)[:3]] == ["original", "view 1", "view 2"]
    assert len(panels(figure)) == 9
    for row in range(3):
        original, *views = panels(figure)[3 * row : 3 * row + 3]
        number = int(texts(original)[0].removeprefix("series "))
        np.testing.assert_allclose(lines(original, "original")[0], X[number, 0], rtol=1e-6)
        for view in views:
            np.testing.assert_allclose(lines(view, "view")[0], X[number, 0] + 1, rtol=1e-6)
            np.testing.assert_allclose(lines(view, "original")[0], X[number, 0], rtol=1e-6)  # pale, below
            assert view.get_ylim() == original.get_ylim() and view.get_xlim() == original.get_xlim()


def test_several_views_at_once_and_whole_draws() -> None:
    figure = view_sheet(series(), Halves(), samples=1, views=3, scaling="none")
    titles = [axes.get_title() for axes in panels(figure)]
    assert titles == ["original", *(f"draw {draw}, view {view}" for draw in (1, 2) for view in (1, 2))]
    assert all(len(lines(axes, "view")[0]) == 10 for axes in panels(figure)[1:])
    assert all(lines(axes, "original") == [] for axes in panels(figure)[1:])  # another length is not compared by step
    assert [axes.get_title() for axes in panels(view_sheet(series(), Halves(), samples=1))][1:] == ["view 1", "view 2"]


def test_gaps_stay_open_lone_values_are_dots_and_shorter_series_end() -> None:
    X = series(1, 1, 12)
    X[0, 0, [3, 5]] = np.nan
    X[0, 0, 9:] = np.nan
    original, view, *_ = panels(view_sheet(X, Plus(), scaling="none"))
    for axes, kind in ((original, "original"), (view, "view")):
        assert np.flatnonzero(np.isnan(lines(axes, kind)[0])).tolist() == [3, 5, 9, 10, 11]
        (dots,) = [line for line in axes.lines if line.get_gid() == f"{kind}-dots"]
        assert dots.get_xdata().tolist() == [4] and dots.get_marker() == "."
    assert 8 < original.get_xlim()[1] < 9  # nothing was observed after step 8


def test_channels_stand_in_lanes_by_name_and_can_be_chosen() -> None:
    frame = pd.DataFrame(series(1, 6, 40)[0].T, columns=list("abcdef"))
    frame.index = pd.MultiIndex.from_product([["p1", "p2"], np.arange(20) / 2], names=["patient", "hour"])
    first = panels(view_sheet(frame, Plus(), samples=1))
    assert [label.get_text() for label in first[0].get_yticklabels()] == ["a", "b", "c", "d"]
    assert first[1].get_yticklabels() == []
    heights = [np.nanmean(values) for values in lines(first[1], "view")]
    assert heights == sorted(heights, reverse=True) and len(heights) == 4
    low, high = first[1].get_ylim()
    assert all(low <= values.min() and values.max() <= high for values in lines(first[1], "view"))
    chosen = view_sheet(frame, Plus(), samples=1, channels=["e", 0])
    assert [label.get_text() for label in panels(chosen)[0].get_yticklabels()] == ["e", "a"]
    assert "2 of 6 channels" in [text.get_text() for text in chosen.texts][-1]


def test_time_stamps_are_on_the_axis_and_moved_steps_are_drawn_in_their_new_order() -> None:
    frame = pd.DataFrame({"x": np.arange(5.0)})
    hours = [0.0, 1.0, 2.5, 4.0, 8.0]
    frame.index = pd.MultiIndex.from_product([["p"], hours], names=["patient", "hour"])
    original, view, *_ = panels(view_sheet(frame, Backwards(), scaling="none"))
    assert original.get_xlabel() == "hour" and texts(original) == ["series p"]
    np.testing.assert_array_equal(original.lines[0].get_xdata(), hours)
    (line,) = [line for line in view.lines if line.get_gid() == "view"]
    np.testing.assert_array_equal(line.get_xdata(), hours)
    np.testing.assert_array_equal(line.get_ydata(), np.arange(5.0)[::-1])


def test_a_sampling_rate_gives_seconds() -> None:
    original = panels(view_sheet(series(steps=11), Plus(), samples=1, sampling_rate=5.0))[0]
    assert original.get_xlabel() == "time (s)"
    np.testing.assert_allclose(original.lines[0].get_xdata(), np.arange(11) / 5)
    frame = pd.DataFrame({"x": np.arange(4.0)}, index=pd.MultiIndex.from_product([["p"], range(4)]))
    with pytest.raises(ValueError, match="time stamps of their own; leave out sampling_rate"):
        view_sheet(frame, Plus(), sampling_rate=5.0)
    with pytest.raises(ValueError, match="sampling_rate is about time series"):
        view_sheet(np.eye(3), "column_corruption", sampling_rate=5.0)


def test_the_partner_is_drawn_and_named() -> None:
    X = series(5)
    figure = view_sheet(X, Mean(), samples=2, views=1, scaling="none", y=list("abcde"))
    for row in range(2):
        original, view = panels(figure)[2 * row : 2 * row + 2]
        own = int(texts(original)[0].split(",")[0].removeprefix("series "))
        (note,) = texts(view)
        assert note.startswith("75 % own, with series ")
        partner = int(note.split("series ")[1].split(",")[0])
        assert note.endswith(f"class {'abcde'[partner]}")
        np.testing.assert_allclose(lines(view, "partner")[0], X[partner, 0], rtol=1e-6)
        np.testing.assert_allclose(lines(view, "view")[0], 0.75 * X[own, 0] + 0.25 * X[partner, 0], atol=1e-6)
    assert [text.get_text() for text in figure.legends[0].texts] == ["view", "original", "partner"]


def test_crops_stand_where_they_were_cut_with_the_shared_part_shaded() -> None:
    X = series(3, 1, 50)
    _, one, two = panels(view_sheet(X, "crop_pair", samples=1, scaling="none"))
    spans = []
    for axes in (one, two):
        (line,) = [line for line in axes.lines if line.get_gid() == "view"]
        (whole,) = lines(axes, "original")
        np.testing.assert_array_equal(line.get_ydata(), whole[line.get_xdata().astype(int)])
        (shade,) = [patch for patch in axes.patches if patch.get_gid() == "shared"]
        spans.append((shade.get_x(), shade.get_x() + shade.get_width()))
    assert spans[0] == spans[1]


@pytest.fixture
def patients() -> pd.DataFrame:
    draw = np.random.default_rng(1)
    frame = pd.DataFrame({"age": draw.normal(60, 9, 30), "lactate": draw.normal(2, 1, 30)})
    frame["ward"] = draw.choice(["icu", "surgery", "medicine"], 30)
    frame.loc[::4, "lactate"] = np.nan
    return frame


def test_a_table_is_a_heat_map_with_the_changed_cells_framed(patients: pd.DataFrame) -> None:
    figure = view_sheet(patients, "column_corruption", samples=8, views=2, seed=3)
    original, *views = panels(figure)
    assert [axes.get_title(loc="left") for axes in panels(figure)] == ["original", "view 1", "view 2"]
    assert [label.get_text() for label in original.get_xticklabels()] == ["age", "lactate", "ward"]
    assert frames(original) == set()
    rows = [int(label.get_text().removeprefix("row ")) for label in original.get_yticklabels()]
    assert len(rows) == 8

    missing = [patch for patch in original.patches if patch.get_gid() == "missing"]
    assert {int(patch.get_y()) for patch in missing} == {i for i, row in enumerate(rows) if row % 4 == 0}
    assert all(patch.get_hatch() for patch in missing)
    assert texts(original) == [patients["ward"][row] for row in rows]  # categories as such, numbers as colours

    schema = TableSchema.fit(patients)
    generator = gen(3)
    order = torch.randperm(30, generator=generator)
    batch = schema.to_batch(patients)
    part = augmentations.build("column_corruption").fit(batch, schema, generator)
    for axes in views:
        made = part(batch.rows(order), generator).x[:8]
        before = batch.x[order][:8]
        changed = (made != before) & ~(made.isnan() & before.isnan())
        assert frames(axes) == {(int(row), int(column)) for row, column in changed.nonzero()}


def test_a_wide_table_is_stacked_and_names_its_columns_once() -> None:
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(20, 30)), columns=[f"gene {i}" for i in range(30)])
    original, view = panels(view_sheet(X, "column_corruption", views=1))
    assert original.get_position().x0 == view.get_position().x0 and original.get_position().y0 > view.get_position().y1
    assert [label.get_text() for label in original.get_xticklabels()] == [f"gene {i}" for i in range(24)]
    assert {label.get_text() for label in view.get_xticklabels()} == {""}


def test_partners_of_rows_are_named_beside_them() -> None:
    _, view = panels(view_sheet(np.random.default_rng(0).normal(size=(9, 3)), Mean(), samples=4, views=1))
    assert len(texts(view)) == 4 and all(text.startswith("75 % own, with row ") for text in texts(view))


def test_what_is_fitted_is_fitted_on_training_rows() -> None:
    train, test = pd.DataFrame({"a": [5.0, 5.0, 6.0]}), pd.DataFrame({"a": np.arange(20.0)})
    figure = view_sheet(test, {"column_corruption": {"corruption_rate": 1.0}}, X_train=train, views=1, samples=20)
    view = panels(figure)[1]
    colours = {patch.get_facecolor() for patch in view.patches if patch.get_gid() == "number"}
    assert len(colours) <= 2  # 5 and 6, the only values that training rows have


def test_embeddings_are_heat_maps_of_vectors() -> None:
    z = np.random.default_rng(0).normal(size=(20, 6))
    original, view, _ = panels(view_sheet(z, {"feature_dropout": {"p": 0.5, "rescale": False}}, samples=5))
    rows = [int(label.get_text().removeprefix("row ")) for label in original.get_yticklabels()]
    colours = {(int(p.get_y()), int(p.get_x())): p.get_facecolor() for p in view.patches if p.get_gid() == "number"}
    before = {(int(p.get_y()), int(p.get_x())): p.get_facecolor() for p in original.patches if p.get_gid() == "number"}
    assert len(rows) == 5 and len(colours) == 30 and 0 < len(frames(view)) < 30
    assert {cell for cell in colours if colours[cell] != before[cell]} == frames(view)


def test_where_everything_changed_the_title_says_so_and_nothing_is_framed() -> None:
    _, view = panels(view_sheet(np.random.default_rng(0).normal(size=(20, 6)), "embedding_noise", views=1))
    assert view.get_title(loc="left") == "view 1, all changed" and frames(view) == set()


def test_a_view_of_one_lead_stands_in_the_lane_of_that_lead() -> None:
    X = series(4, 3, 30)
    figure = view_sheet(X, {"lead_views": {"n_leads": 2}}, samples=1)
    original, one, other = panels(figure)
    for view in (one, other):
        (shown,) = lines(view, "view")
        assert any(np.allclose(shown, lane, atol=1e-6) for lane in lines(original, "original"))


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_one_seed_gives_one_picture(kind: str) -> None:
    X, y = series(9, 2), list("aabbccdde")

    def picture(seed: int) -> bytes:
        return figure_bytes(view_sheet(X, "jitter", y=y, seed=seed, samples=2), kind, dpi=50)

    assert picture(0) == picture(0)
    assert picture(0) != picture(1)


def test_strength_zero_shows_the_original() -> None:
    sheet = panels(view_sheet(series(), "jitter", strength=0.0, samples=2))
    pairs = [(view, lines(axes, "original")[0]) for axes in sheet for view in lines(axes, "view")]
    assert pairs
    for view, original in pairs:
        np.testing.assert_array_equal(view, original)


def test_nothing_of_a_figure_is_left_behind() -> None:
    import matplotlib
    import matplotlib.pyplot as plt

    before, settings = plt.get_fignums(), dict(matplotlib.rcParams)
    figure_bytes(view_sheet(series(), Plus()), "png", dpi=30)
    assert plt.get_fignums() == before and dict(matplotlib.rcParams) == settings


def test_series_without_an_observed_value_and_of_one_step() -> None:
    X = series(3, 2, 1)
    X[0] = np.nan
    X[1, 0] = np.nan
    assert figure_bytes(view_sheet(X, Plus()), "png", dpi=30).startswith(b"\x89PNG")
    assert figure_bytes(view_sheet(np.full((2, 1, 6), np.nan), Plus()), "png", dpi=30).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"augmentation": "column_corruption"}, "column_corruption makes views of tables, and X holds time series"),
        ({"augmentation": "permutatoin"}, "unknown augmentation 'permutatoin'"),
        ({"samples": 0}, "samples must be at least 1; got 0"),
        ({"views": 1.5}, "views must be a whole number; got 1.5"),
        ({"strength": -1}, "strength must be at least 0; got -1"),
        ({"channels": ["hr"]}, "there is no channel 'hr'. Known: channel_0, or positions 0-0"),
        ({"channels": []}, "channels must name at least one channel"),
        ({"scaling": "z"}, "scaling must be 'dataset', 'sample' or 'none'; got 'z'"),
        ({"sampling_rate": 0}, "sampling_rate must be positive; got 0"),
    ],
)
def test_errors_name_what_to_mend(options: dict[str, Any], message: str) -> None:
    import re

    with pytest.raises(ValueError, match=re.escape(message)):
        view_sheet(series(), **{"augmentation": "jitter", **options})


def test_real_series_of_unequal_length() -> None:
    data = kinview.load("japanese_vowels")
    figure = view_sheet(data.X_train, "permutation", y=data.y_train, samples=3, name=data.name)
    ends = {int(np.isfinite(lines(axes, "original")[0]).sum()) for axes in panels(figure)[::3]}
    assert len(ends) > 1
    for row in range(3):
        original, *views = panels(figure)[3 * row : 3 * row + 3]
        for view in views:  # re-ordered within the row's own length
            np.testing.assert_allclose(
                np.sort(lines(view, "view")[0]), np.sort(lines(original, "original")[0]), rtol=1e-6
            )
