"""Long format: against a plain loop over the rows, and by the promises of its docstring."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

from kinview.data import read_panel
from kinview.datasets import from_long, load_path, read_long

ROWS = st.lists(
    st.tuples(st.sampled_from("cab"), st.integers(-4, 12), st.sampled_from(["hr", "bp"]), st.floats(-1e3, 1e3)),
    min_size=1,
    max_size=30,
)


def table(rows: list[tuple[str, int, str, float]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["id", "t", "what", "x"])


def as_dict(X: pd.DataFrame) -> dict[tuple[object, object, str], float]:
    return {(i, t, c): v for (i, t), row in X.iterrows() for c, v in row.items() if not np.isnan(v)}  # type: ignore[misc]


@settings(deadline=None, max_examples=60)
@given(ROWS)
def test_observed_steps_are_the_union_of_the_stamps(rows: list[tuple[str, int, str, float]]) -> None:
    rows = list({(i, t, w): (i, t, w, x) for i, t, w, x in rows}.values())
    X = from_long(table(rows), id="id", time="t", variable="what", value="x").X
    assert as_dict(X) == {(i, float(t), w): x for i, t, w, x in rows}
    assert list(X.index) == sorted({(i, float(t)) for i, t, _, _ in rows})
    assert list(X.columns) == sorted({w for _, _, w, _ in rows})


@pytest.mark.filterwarnings("ignore:resample=")
@settings(deadline=None, max_examples=60)
@given(ROWS, st.sampled_from([0.5, 1.0, 3.0]))
def test_resampling_equals_a_loop_over_bins(rows: list[tuple[str, int, str, float]], step: float) -> None:
    cells = defaultdict(list)
    bins = defaultdict(set)
    for i, t, w, x in rows:
        cells[i, t // step * step, w].append(x)
        bins[i].add(int(t // step))
    X = from_long(table(rows), id="id", time="t", variable="what", value="x", resample=step).X
    got, expected = as_dict(X), {key: np.mean(values) for key, values in cells.items()}
    assert got.keys() == expected.keys()
    np.testing.assert_allclose([got[key] for key in expected], list(expected.values()), rtol=1e-12, atol=1e-9)
    grid = [(i, k * step) for i in sorted(bins) for k in range(min(bins[i]), max(bins[i]) + 1)]
    assert list(X.index) == grid


@settings(deadline=None, max_examples=30)
@given(ROWS, st.randoms(use_true_random=False))
def test_order_of_the_rows_does_not_matter(rows: list[tuple[str, int, str, float]], random: object) -> None:
    rows = list({(i, t, w): (i, t, w, x) for i, t, w, x in rows}.values())
    frame = table(rows)
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = (from_long(f, id="id", time="t", variable="what", value="x").X for f in (frame, table(shuffled)))
    pd.testing.assert_frame_equal(one, other)


def test_one_column_a_channel_equals_one_row_a_measurement(tmp_path: Path) -> None:
    wide = pd.DataFrame(
        {"p": [2, 1, 1], "t": [0.5, 3.0, 1.0], "hr": [80.0, 70.0, np.nan], "bp": [1.0, 2.0, 3.0], "y": 1}
    )
    wide.to_csv(tmp_path / "wide.csv", index=False)
    wide.melt(["p", "t", "y"], var_name="what").to_parquet(tmp_path / "melted.parquet")
    one = read_long(tmp_path / "wide.csv", id="p", time="t", label="y")
    other = read_long(tmp_path / "melted.parquet", id="p", time="t", variable="what", value="value", label="y")
    assert list(one.X.columns) == ["hr", "bp"]  # every numeric column without another part
    pd.testing.assert_frame_equal(one.X[["bp", "hr"]], other.X, check_names=False)
    chosen = read_long(tmp_path / "wide.csv", id="p", time="t", columns=["bp"])
    pd.testing.assert_frame_equal(chosen.X, one.X[["bp"]])
    assert list(read_long(tmp_path / "wide.csv", id="p", time="t", value="hr").X.columns) == ["hr"]


def test_labels_and_groups_follow_the_series(tmp_path: Path) -> None:
    text = "rec,t,x,patient,y\nr2,0,1,p1,a\nr1,0,2,p1,\nr1,1,3,p1,b\nr3,0,4,p2,a\n"
    path = tmp_path / "x.csv"
    path.write_text(text)
    samples = read_long(path, id="rec", time="t", value="x", label="y", group="patient")
    assert samples.X.index.get_level_values(0).unique().tolist() == ["r1", "r2", "r3"]
    assert samples.y is not None and samples.y.tolist() == ["b", "a", "a"]
    assert samples.groups is not None and samples.groups.tolist() == ["p1", "p1", "p2"]


def test_several_id_columns_make_a_hierarchy_and_a_group() -> None:
    frame = pd.DataFrame({"p": ["b", "a", "a", "a"], "r": [1, 2, 1, 1], "t": [0, 0, 1, 0], "x": [1.0, 2.0, 3.0, 4.0]})
    samples = from_long(frame, id=["p", "r"], time="t", value="x")
    assert samples.X.index.names == ["p", "r", "t"]
    assert list(samples.X.index) == [("a", 1, 0.0), ("a", 1, 1.0), ("a", 2, 0.0), ("b", 1, 0.0)]
    assert len(samples) == 3 and samples.groups is not None and samples.groups.tolist() == ["a", "a", "b"]
    assert read_panel(samples.X).batch.x.shape == (3, 1, 2)


def test_dates_with_a_zone_become_utc_and_resample_by_duration(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("id,t,x\n1,2024-05-31T01:10+02:00,1\n1,2024-05-31T01:50+02:00,3\n1,2024-05-31 02:10Z,5\n")
    stamps = read_long(path, id="id", time="t").X.index.get_level_values(1)
    assert stamps[0] == pd.Timestamp("2024-05-30 23:10") and stamps.tz is None
    X = read_long(path, id="id", time="t", resample="1h").X
    assert X.index.get_level_values(1)[0] == pd.Timestamp("2024-05-30 23:00")
    np.testing.assert_array_equal(X["x"], [2, np.nan, np.nan, 5])


def test_the_input_frame_is_not_modified() -> None:
    frame = table([("a", 1, "hr", 2.0), ("a", 0, "hr", 1.0)])
    before = frame.copy(deep=True)
    from_long(frame, id="id", time="t", variable="what", value="x", resample=1)
    pd.testing.assert_frame_equal(frame, before)


def test_whole_groups_stay_on_one_side(tmp_path: Path) -> None:
    frame = pd.DataFrame({"id": np.repeat(np.arange(60), 2), "t": np.tile([0, 1], 60), "x": np.arange(120.0)})
    frame["patient"], frame["y"] = frame["id"] // 3, (frame["id"] // 3) % 2
    frame.to_csv(tmp_path / "x.csv", index=False)
    data = load_path(tmp_path / "x.csv", id="id", time="t", columns=["x"], label="y", group="patient")
    assert data.groups_train is not None and data.groups_test is not None
    assert not set(data.groups_train) & set(data.groups_test)
    assert len(data.groups_test) == 18 and np.bincount(data.y_test).tolist() == [9, 9]  # type: ignore[arg-type]
    for X, y in ((data.X_train, data.y_train), (data.X_test, data.y_test)):
        ids = X.index.get_level_values(0).unique().to_numpy()
        np.testing.assert_array_equal((ids // 3) % 2, y)
        np.testing.assert_array_equal(X["x"].to_numpy()[::2], ids * 2.0)
        assert X.index.levels[0].isin(ids).all()


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("id,t,x,y\na,0,1,0\na,1,1,1\n", {"label": "y"}, "column 'y' is not constant for id 'a': 0, 1"),
        ("id,t,x,g\na,0,1,\nb,1,1,p\n", {"group": "g"}, "column 'g' has no value for id 'a'"),
        ("id,t,x,g\na,0,1,p\na,1,1,q\n", {"group": "g"}, "column 'g' is not constant for id 'a': 'p', 'q'"),
        ("id,t,x\na,2,1\na,2,3\n", {}, r"id 'a' has time 2\.0 more than once; .*resample="),
        ("id,t,x\n,2,1\n", {}, "id column 'id' is empty in line 2"),
        ("id,t,x\na,,1\n", {}, r"time 't' is missing in line 2 \(id 'a'\)"),
        ("id,t,x\na,noon,1\n", {}, "time 't' is 'noon' in line 2 .* neither a number nor an ISO 8601 date"),
        ("id,t,x\na,inf,1\n", {}, "time 't' is inf"),
        ("id,t,x\na,0,low\n", {"value": "x"}, "column 'x' is 'low' in line 2; values must be numbers"),
        ("id,t,x\na,0,1\n", {"columns": ["z"]}, "no column 'z'"),
        ("id,t\na,0\n", {}, "no numeric column besides"),
        ("id,t,x\na,0,1\n", {"variable": "x"}, "needs value="),
        ("id,t,x\na,0,1\n", {"value": "x", "columns": ["x"]}, "not both"),
        ("id,t,v,x\na,0,hr,1\na,0,hr,2\n", {"variable": "v", "value": "x"}, "more than once for 'hr'"),
        ("id,t,v,x\na,0,,1\n", {"variable": "v", "value": "x"}, "column 'v' is empty in line 2"),
        ("id,t,x\na,0,1\n", {"resample": "1h"}, "holds numbers, so give a number"),
        ("id,t,x\na,0,1\n", {"resample": 0}, "must be a positive number"),
        ("id,t,x\na,2024-01-01,1\n", {"resample": 1.0}, "holds dates, so give a duration"),
        ("id,t,x\na,2024-01-01,1\n", {"resample": "soon"}, "holds dates, so give a duration"),
        ("id,t,x\na,0,1\na,1e9,1\n", {"resample": 0.5}, r"would make 2,000,000,001 steps"),
    ],
)
def test_errors_name_what_is_wrong(tmp_path: Path, text: str, options: dict[str, object], message: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_long(path, id="id", time="t", **options)  # type: ignore[arg-type]


def test_series_without_a_label_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("id,t,x,y\na,0,1,\na,1,1,\nb,1,1,1\nc,1,1,0\n")
    samples = read_long(path, id="id", time="t", label="y")
    assert len(samples) == 3 and samples.y is not None and samples.y.tolist() == [None, 1, 0]
