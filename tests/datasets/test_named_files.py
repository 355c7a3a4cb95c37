"""Files under a name of one's own, values that stand twice, limits of detection, and long files read as tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st

import kinview
from kinview.datasets import from_long, read_long, read_wide

LONG = "".join(
    f"p{i // 2},{i},{t},{60 + i + t},{'<5' if t == 0 else 6 + t},{'fm'[i % 2]},{i % 2}\n"
    for i in range(12)
    for t in range(3)
)
VITALS = "patient,recording,hour,hr,crp,sex,died\n" + LONG
OPTIONS: dict[str, Any] = {
    "format": "long", "id": ["patient", "recording"], "group": "patient", "time": "hour", "label": "died",
    "static": ["sex"], "censored": "half", "duplicates": "mean",
}  # fmt: skip


def vitals(folder: Path, text: str = VITALS) -> Path:
    path = folder / "export.csv"
    path.write_text(text)
    return path


def test_a_file_has_the_name_that_it_is_given(tmp_path: Path) -> None:
    data = kinview.load("vitals", path=vitals(tmp_path), **OPTIONS)
    assert data.name == "vitals" and data.source == "export.csv"
    assert list(data.X_train) == ["hr", "crp"] and data.static_train is not None
    assert data.groups_train is not None and data.groups_test is not None
    assert not set(data.groups_train) & set(data.groups_test)
    by_path = kinview.datasets.load_path(tmp_path / "export.csv", **OPTIONS)
    assert by_path.fingerprint() == data.fingerprint()


def test_a_folder_has_the_name_that_it_is_given(tmp_path: Path) -> None:
    text = "age,sick\n" + "".join(f"{20 + i},{i % 2}\n" for i in range(10))
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "inner.csv").write_text(text)
    assert kinview.load("visits", path=tmp_path / "inner", label="sick").name == "visits"


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("iris", {}, "'iris' is a data set of kinview; give the file at path= a name of its own"),
        ("a/b", {}, "'a/b' cannot be the name of a data set"),
        (" a", {}, "' a' cannot be the name of a data set"),
        ("vitals", {"path": None, "format": "long"}, "format='long' describes a file: give path="),
        ("vitals", {"path": "nowhere.csv"}, "there is no file nowhere.csv"),
    ],
)
def test_names_and_paths_that_are_none_are_refused(
    tmp_path: Path, name: str, options: dict[str, Any], message: str
) -> None:
    given = {"path": vitals(tmp_path), **OPTIONS, **options}
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        kinview.load(name, **given)


ROWS = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 2), st.sampled_from(["hr", "bp"]), st.floats(-9, 9)), min_size=1
)


@settings(deadline=None, max_examples=60)
@given(ROWS, st.sampled_from(["mean", "first", "last"]), st.booleans())
def test_values_that_stand_twice_are_those_of_pandas(rows: list[Any], kept: Any, melted: bool) -> None:
    frame = pd.DataFrame(rows, columns=["id", "t", "what", "x"])
    expected = frame.groupby(["id", "t", "what"])["x"].agg(kept).unstack()
    if melted:
        found = from_long(frame, id="id", time="t", variable="what", value="x", duplicates=kept).X
    else:  # one column a channel, a row for each measurement: what is not observed there does not count
        table = frame.pivot(columns="what", values="x").join(frame[["id", "t"]])
        found = from_long(table, id="id", time="t", columns=list(expected.columns), duplicates=kept).X
    np.testing.assert_allclose(found[list(expected.columns)].to_numpy(), expected.to_numpy(), atol=1e-12)
    assert found.index.tolist() == [(i, float(t)) for i, t in expected.index]


@settings(deadline=None, max_examples=30)
@given(ROWS, st.sampled_from(["first", "last"]))
def test_bins_average_the_value_that_counts_of_each_time(rows: list[Any], kept: Any) -> None:
    frame = pd.DataFrame(rows, columns=["id", "t", "what", "x"])
    one = frame.groupby(["id", "t", "what"], as_index=False)["x"].agg(kept)
    options: dict[str, Any] = {"id": "id", "time": "t", "variable": "what", "value": "x", "resample": 2}
    expected, found = from_long(one, **options).X, from_long(frame, duplicates=kept, **options).X
    pd.testing.assert_frame_equal(found, expected)


def test_what_stands_twice_is_refused_unless_it_is_said_what_counts() -> None:
    frame = pd.DataFrame({"id": [1, 1], "t": [0, 0], "x": [1.0, 3.0]})
    with pytest.raises(ValueError, match=r"id 1 has time 0\.0 more than once; .*duplicates= mean, first or last"):
        from_long(frame, id="id", time="t")
    with pytest.raises(ValueError, match="more than once"):
        from_long(frame, id="id", time="t", resample=1, duplicates="error")
    assert from_long(frame, id="id", time="t", resample=1).X["x"].tolist() == [2.0]
    with pytest.raises(ValueError, match="duplicates='median' must be mean, first, last or error"):
        from_long(frame, id="id", time="t", duplicates="median")  # type: ignore[arg-type]


def test_more_than_ten_cells_for_one_are_warned_about() -> None:
    frame = pd.DataFrame({"id": ["a", "a"], "t": [0, 19], "x": [1.0, 3.0]})
    assert len(from_long(frame, id="id", time="t", resample=1).X) == 20  # ten times as many
    with pytest.warns(UserWarning, match=r"resample=0\.5 makes 39 time steps of 2 that were observed, 20 times"):
        from_long(frame, id="id", time="t", resample=0.5)
    dense = pd.DataFrame({"id": "a", "t": np.arange(40) / 40, "x": np.arange(40) % 7})
    far = pd.DataFrame({"id": ["a"], "t": [100.0], "x": [1.0]})
    from_long(pd.concat([dense, far]), id="id", time="t", resample=1)  # 101 steps of 41, though of two bins


@pytest.mark.parametrize(
    ("rule", "values"),
    [
        ("limit", [0.5, 100.0, 7.25, 2.0, np.nan]),
        ("half", [0.25, 100.0, 7.25, 1.0, np.nan]),
        ("missing", [np.nan, np.nan, 7.25, np.nan, np.nan]),
        ({"crp": "half"}, [0.25, 100.0, 7.25, 1.0, np.nan]),
    ],
)
@pytest.mark.parametrize("long", [True, False])
def test_values_beyond_a_limit_are_numbers_as_asked(tmp_path: Path, rule: Any, values: list[float], long: bool) -> None:
    path = tmp_path / "labs.csv"
    path.write_text("id;t;crp;hr\n1;0;<0,5;70\n1;1;> 100;71\n2;0;7,25;72\n2;1;≤2;73\n2;2;;74\n")
    if long:
        found = read_long(path, id="id", time="t", columns=["crp", "hr"], decimal=",", censored=rule).X
        assert list(found) == ["crp", "hr"]
    else:
        found = read_wide(path, decimal=",", drop=["id", "t"], censored=rule).X
    np.testing.assert_array_equal(found["crp"], values)
    assert found["hr"].tolist() == [70, 71, 72, 73, 74]


def test_limits_stay_what_they_are_where_nothing_or_another_column_is_named(tmp_path: Path) -> None:
    path = tmp_path / "labs.csv"
    path.write_text(
        "crp,age\n" + "".join(f"{'<5' if i == 0 else i + 5},{'<65' if i % 2 else '>=65'}\n" for i in range(20))
    )
    with pytest.raises(ValueError, match=r"'crp' is numeric but for '<5' .*say what it becomes \(censored=\)"):
        read_wide(path)
    X = read_wide(path, censored="half").X
    assert X["crp"].iloc[0] == 2.5 and set(X["age"]) == {"<65", ">=65"}  # bands, no numbers
    assert read_wide(path, censored={"crp": "missing", "age": "limit"}).X["age"].tolist() == [65.0] * 20
    with pytest.raises(ValueError, match=r"censored names column 'age' of labs\.csv, which holds no measurements"):
        read_wide(path, drop="age", censored={"age": "limit"})
    with pytest.raises(ValueError, match="censored='bound' is no rule for values beyond a limit"):
        read_wide(path, censored="bound")  # type: ignore[arg-type]
    path.write_text(path.read_text().replace("<5", "< five"))
    with pytest.raises(ValueError, match="'crp' is numeric but for '< five'"):
        read_wide(path, censored="half")


def test_a_long_file_that_is_read_as_a_table_is_warned_about(tmp_path: Path) -> None:
    path = tmp_path / "stays.csv"
    path.write_text("s,w,x\n" + "".join(f"{i},{t},{i + (t - 1) ** 2}\n" for i in range(6) for t in range(3)))
    with pytest.warns(UserWarning, match=r"long format, a row for each 'w' of each 's', .*id='s', time='w'"):
        read_wide(path)
    read_wide(path, group="s")  # visits of patients, kept together
    path.write_text("s,w,x\n" + "".join(f"{i},{3 - t},{i + (t - 1) ** 2}\n" for i in range(6) for t in range(3)))
    read_wide(path)  # no time that grows


def test_half_of_a_limit_below_zero_is_refused(tmp_path):
    path = tmp_path / "labs.csv"
    path.write_text("base_excess,died\n" + "".join(f"{'<-30' if i % 5 == 0 else i},{i % 2}\n" for i in range(20)))
    with pytest.raises(ValueError, match="'base_excess': half of '<-30' lies above it; give limit or missing"):
        read_wide(path, censored="half")
    assert read_wide(path, censored="limit").X["base_excess"].min() == -30
