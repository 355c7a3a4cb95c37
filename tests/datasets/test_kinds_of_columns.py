"""What a column is: numbers, dates, levels or codes, told by its distinct cells or by ``categorical``."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from helpers import written
from kinview.data import TableSchema
from kinview.datasets import Samples, from_long, load, read_long, read_wide

N = 200
MEASURED = [f"{value:.2f}" for value in np.random.default_rng(0).normal(4, 1, N)]
DAYS = [f"2024-{1 + i % 12:02}-{1 + i % 28:02}" for i in range(N)]


def column(folder: Path, cells: list[str], **options: Any) -> pd.Series:
    path = written(folder, "f,z\n" + "".join(f"{cell},{i * 7 % 5}.5\n" for i, cell in enumerate(cells)))
    return read_wide(path, **options).X["f"]


def heard_of(function: Any, *given: Any, **options: Any) -> tuple[Any, list[str]]:
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        result = function(*given, **options)
    return result, [str(warning.message) for warning in heard]


# --- how many distinct numbers and dates


@pytest.mark.parametrize(
    ("cells", "odd"),
    [
        ([cell if i % 7 else "hemolyzed" for i, cell in enumerate(MEASURED)], "hemolyzed"),
        ([cell if i % 2 else "hemolyzed" for i, cell in enumerate(MEASURED)], "hemolyzed"),
        ([f"{i % 50 + 100}" if i % 6 else f"E{i % 7}" for i in range(N)], "E0"),
        ([f"{i % 50 + 100}" if i % 6 else f"{i % 7 + 100}A" for i in range(N)], "100A"),
        ([f"{i % 60 + 20}" if i % 9 else "90+" for i in range(N)], "90\\+"),
        ([f"{i % 3}" + "\u200b" * (i % 5 == 0) for i in range(N)], r"0\\u200b"),
        ([f"{i % 10 + 30}+{i % 7}" for i in range(N)], r"30\+0"),
        ([f"{i % 10 + 30}+{i % 7}" if i % 3 else "38" for i in range(N)], r"31\+1"),
        ([f"{i % 9 + 1}_{i % 900:03}" for i in range(N)], "1_000"),
        (["True", "1", "0"] * 20, "True"),
        (["1.5", "2.5", "n.a."] * 20, "n.a."),
    ],
)
def test_many_distinct_numbers_beside_texts_are_refused(tmp_path: Path, cells: list[str], odd: str) -> None:
    with pytest.raises(ValueError, match=rf"column 'f' is .*'{odd}' in line \d+.*drop=.*categorical="):
        column(tmp_path, cells)
    found = column(tmp_path, cells, categorical="f")
    assert found.tolist() == cells and isinstance(found.dtype, pd.CategoricalDtype)


def test_a_text_among_many_numbers_is_read_once_it_is_named_as_missing(tmp_path: Path) -> None:
    cells = [cell if i % 7 else "hemolyzed" for i, cell in enumerate(MEASURED)]
    expected = [float(cell) if i % 7 else np.nan for i, cell in enumerate(MEASURED)]
    np.testing.assert_array_equal(column(tmp_path, cells, na_values="hemolyzed"), expected)


@pytest.mark.parametrize("days", [DAYS, [f"{day[8:]}.{day[5:7]}.2024" for day in DAYS]])
def test_many_distinct_dates_beside_texts_are_refused(tmp_path: Path, days: list[str]) -> None:
    cells = [day if i % 5 else "unknown" for i, day in enumerate(days)]
    with pytest.raises(ValueError, match="column 'f' looks like dates or times, but 'unknown' in line 2"):
        column(tmp_path, cells)
    assert column(tmp_path, cells, categorical="f").tolist() == cells


@pytest.mark.parametrize(
    "cells",
    [
        [*"0123" * 10, "5+"],
        ["0", "1", "2", ">=3"] * 10,
        ["1", "2", "3"] * 20 + ["<1"],
        ["1", "2", "3"] * 20 + ["trace"],
    ],
)
def test_few_distinct_numbers_with_limits_are_a_category_with_a_warning(tmp_path: Path, cells: list[str]) -> None:
    with pytest.warns(
        UserWarning, match="column 'f' holds few distinct numbers .* is a category now .*categorical='f'"
    ):
        assert column(tmp_path, cells).tolist() == cells
    assert column(tmp_path, cells, categorical="f").tolist() == cells  # said, so no warning


@pytest.mark.parametrize(
    "cells",
    [
        ["0", "1", "2", "3", "trace"] * 10,
        ["0.1", "0.2", "0.5", "1.0", "HM", "CC"] * 10,
        ["1", "1a", "1b", "2", "2a", "2b", "3", "3a", "3b", "4", "4a", "4b"] * 10,
        ["3+4", "4+3"] * 20,
        ["True", "False", "unclear"] * 10,
    ],
)
def test_levels_stay_levels_in_silence(tmp_path: Path, cells: list[str]) -> None:
    assert column(tmp_path, cells).tolist() == cells


def test_a_long_channel_is_refused_rather_than_left_out(tmp_path: Path) -> None:
    path = written(tmp_path, "id,t,hr,grade\n" + "".join(f"{i // 10},{i % 10},7.5,{i % 4}\n" for i in range(40)))
    path.write_text(path.read_text() + "4,0,8.5,5+\n")
    with pytest.raises(
        ValueError, match=r"column 'grade' is numeric but for '5\+' in line 42.*columns= names the others"
    ):
        read_long(path, id="id", time="t")


# --- categorical


def test_categorical_takes_codes_as_they_are_written(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "zip,room,x,y\n07919,101,0.5,0\n10115 ,103A,1.5,1\n,101,2.5,0\n" + "07919,101,0.5,0\n10115,103A,1.5,1\n" * 5,
    )
    X = read_wide(path, label="y", categorical=["zip", 1]).X
    assert X["zip"].tolist()[:2] == ["07919", "10115"] and X["zip"].isna().tolist()[:3] == [False, False, True]
    assert X["room"].tolist()[:3] == ["101", "103A", "101"] and X["x"].tolist()[:3] == [0.5, 1.5, 2.5]
    assert [c.kind for c in TableSchema.fit(X).columns] == ["categorical", "categorical", "numeric"]


def test_categorical_of_parquet(tmp_path: Path) -> None:
    frame = pd.DataFrame({"code": pd.array([3, None, 5], dtype="Int64"), "text": ["1", "2", "3"], "x": [0.5, 1.5, 2.5]})
    frame.to_parquet(tmp_path / "x.parquet")
    X = read_wide(tmp_path / "x.parquet", categorical=["code", "text"]).X
    assert X["code"].tolist()[::2] == ["3", "5"] and X["text"].tolist() == ["1", "2", "3"]


def test_categorical_goes_with_a_data_set(tmp_path: Path) -> None:
    (tmp_path / "visits").mkdir()
    rows = "".join(f"{100 + i % 3},{i}.5,{i % 2}\n" for i in range(40))
    (tmp_path / "visits" / "visits.csv").write_text("room,x,y\n" + rows)
    data = load("visits", data_dir=tmp_path, label="y", categorical="room")
    assert sorted(data.X_train["room"].unique()) == ["100", "101", "102"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"categorical": "y"}, "categorical='y' is no feature of x.csv"),
        ({"categorical": ["a", 0]}, "categorical= names column 'a' of x.csv twice"),
        ({"drop": ["a", "a"]}, "drop= names column 'a' of x.csv twice"),
        ({"index": ["a", "a"]}, "index= names column 'a' of x.csv twice"),
        ({"categorical": "q"}, "x.csv has no column 'q'"),
        ({"categorical": True}, "categorical=True is no name of a column"),
        ({"categorical": "a", "modality": "time_series"}, "categorical=.'a'. names categories of a table"),
    ],
)
def test_categorical_names_a_feature_once(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_wide(written(tmp_path, "a,b,y\n1,2,0\n3,5,1\n"), label="y", **options)


def test_a_channel_is_named_once(tmp_path: Path) -> None:
    path = written(tmp_path, "id,t,x\n1,0,2.5\n1,1,3.5\n")
    for columns in (["x", "x"], ["x", 2]):
        with pytest.raises(ValueError, match=r"columns= names column 'x' of x.csv twice"):
            read_long(path, id="id", time="t", columns=columns)
    with pytest.raises(ValueError, match=r"id= names column 'id' of x.csv twice"):
        read_long(path, id=["id", "id"], time="t")


# --- Parquet


def parquet(folder: Path, **columns: Any) -> Path:
    pd.DataFrame(columns).assign(z=lambda frame: [i * 7 % 5 + 0.5 for i in range(len(frame))]).to_parquet(
        folder / "x.parquet"
    )
    return folder / "x.parquet"


def test_texts_of_parquet_that_are_numbers_or_dates_are_named(tmp_path: Path) -> None:
    nearly = parquet(tmp_path, a=["1.5", "2.5", "n.a."] * 20)
    with pytest.raises(
        ValueError, match=r"column 'a' is numeric but for 'n.a.' in row 3 .*pandas.to_numeric.*categorical="
    ):
        read_wide(nearly)
    with pytest.raises(ValueError, match=r"column 'a' looks like dates or times, but '01.02.2024'"):
        read_wide(parquet(tmp_path, a=[f"{1 + i:02}.02.2024" for i in range(20)]))
    for cells, what in ((["1", "2", "3"], "numbers"), (["2024-05-31", "2024-06-01", "2024-06-01"], "dates")):
        with pytest.warns(UserWarning, match=rf"column 'a' holds {what} as text .* is a category now"):
            assert read_wide(parquet(tmp_path, a=cells)).X["a"].tolist() == cells
    for cells in (["07", "12", "7"], ["a", "b", "1"]):  # codes
        assert read_wide(parquet(tmp_path, a=cells)).X["a"].tolist() == cells


def test_an_empty_text_is_no_label_of_parquet(tmp_path: Path) -> None:
    y = read_wide(parquet(tmp_path, a=[1.5, 2.5, 3.5], y=["ill", "", "well"]), label="y").y
    assert y is not None and y.tolist() == ["ill", None, "well"]


def test_parquet_without_rows_and_with_a_name_twice_is_refused(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "x.parquet"
    pd.DataFrame({"a": np.zeros(0), "y": np.zeros(0)}).to_parquet(path)
    with pytest.raises(ValueError, match=r"has no rows \(columns: a, y\)"):
        read_wide(path)
    pq.write_table(pa.table([pa.array([1.5]), pa.array([2.5])], names=["a", "a"]), path)
    with pytest.raises(ValueError, match="two columns named 'a'"):
        read_wide(path)


def test_zones_of_parquet_become_utc(tmp_path: Path) -> None:
    stamps = pd.to_datetime(["2024-05-31 01:10", "2024-01-31 01:10"]).tz_localize("Europe/Berlin")
    day = read_wide(parquet(tmp_path, day=stamps)).X["day"]
    assert day.tolist() == [pd.Timestamp("2024-05-30 23:10"), pd.Timestamp("2024-01-31 00:10")] and day.dt.tz is None


@pytest.mark.parametrize(("kept", "expected"), [([3, 7, 9], [3, 7, 9]), ([0, 3, 6], [0, 3, 6]), ([0, 1, 2], None)])
def test_the_index_of_a_filtered_frame_is_kept_alike(
    tmp_path: Path, kept: list[int], expected: list[int] | None
) -> None:
    frame = pd.DataFrame({"a": np.arange(10) / 4}).loc[kept]
    if kept == [0, 3, 6]:
        frame = pd.DataFrame({"a": np.arange(10) / 4}).iloc[0:7:3]
        assert isinstance(frame.index, pd.RangeIndex)
    frame.to_csv(tmp_path / "x.csv")
    frame.to_parquet(tmp_path / "x.parquet")
    for name in ("x.csv", "x.parquet"):
        index = read_wide(tmp_path / name).X.index
        assert index.tolist() == (expected or [0, 1, 2]) and (index.name == "index") is (expected is not None)


# --- na_values, dates, months, numbers that stand for none


@pytest.mark.parametrize("decimal", [".", ","])
def test_a_number_of_na_values_names_every_cell_of_that_value(tmp_path: Path, decimal: str) -> None:
    path = written(tmp_path, f"a;b;c\n-9{decimal}0;00;1\n3{decimal}5;4;1\n-9;0;2\n")
    for given in ("-9", -9, -9.0, f"-9{decimal}0"):
        assert np.isnan(read_wide(path, na_values=given, decimal=decimal, drop="b").X["a"].to_numpy()).tolist() == [
            1,
            0,
            1,
        ]
    np.testing.assert_array_equal(read_wide(path, na_values="0", decimal=decimal).X["b"], [np.nan, 4, np.nan])
    np.testing.assert_array_equal(read_wide(path, na_values={"b": 4}, decimal=decimal, drop="b").X["a"], [-9, 3.5, -9])


def test_a_text_of_na_values_is_that_text(tmp_path: Path) -> None:
    samples = read_wide(written(tmp_path, "a,y\n1.5,07\n2.5,7\n"), label="y", na_values="7")
    assert samples.y is not None and samples.y.tolist() == ["07", None]  # codes


def test_dates_with_and_without_a_zone_are_refused(tmp_path: Path) -> None:
    said = r"has dates with a time zone \('2024-05-31T01:10Z' in line 3\) and without \('2024-05-31 02:10' in line 2\)"
    with pytest.raises(ValueError, match=f"x.csv: column 'f' {said}"):
        column(tmp_path, ["2024-05-31 02:10", "2024-05-31T01:10Z"])
    path = written(tmp_path, "id,t,x\n1,2024-05-31 02:10,0.5\n1,2024-05-31T01:10Z,1.5\n")
    with pytest.raises(ValueError, match=f"time 't' {said}"):
        read_long(path, id="id", time="t")


def test_months_as_whole_numbers_are_named(tmp_path: Path) -> None:
    months = ["202001", "202012", "202101"]
    with pytest.warns(UserWarning, match=r"column 'f' looks like months written as whole numbers \(202001\)"):
        assert column(tmp_path, months).tolist() == [202001, 202012, 202101]
    path = written(tmp_path, "id,t,x\n" + "".join(f"1,{month},0.5\n" for month in months))
    with pytest.raises(ValueError, match=r"time 't' is 202001 in line 2 .* look like dates written as whole numbers"):
        read_long(path, id="id", time="t")
    for others in (
        ["202001", "202012", "202013"],
        ["202001", "202002", "202003"],
        ["202001", "202101"],
        ["152001"] * 3,
    ):
        column(tmp_path, others)


def test_numbers_far_from_all_others_are_named(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"column 'f' holds -999 in 20 of 200 cells.*na_values=-999"):
        column(tmp_path, [cell if i % 10 else "-999" for i, cell in enumerate(MEASURED)])
    with pytest.warns(UserWarning, match=r"column 'f' holds 9999 in 20 of 200 cells"):
        column(tmp_path, [cell if i % 10 else "9999" for i, cell in enumerate(MEASURED)])
    for cells in (
        [cell if i else "-999" for i, cell in enumerate(MEASURED)],  # one cell: an outlier
        [str(i % 30 * 40) if i % 10 else "999" for i in range(N)],
        [str(i % 30 - 15) if i % 10 else "-9" for i in range(N)],
        [str(i % 4) if i % 10 else "999" for i in range(N)],  # four other numbers say little of what is far
    ):
        column(tmp_path, cells)


# --- series in a wide file


def series(folder: Path, text: str) -> Samples:
    return read_wide(written(folder, text), modality="time_series")


def test_an_id_is_no_step_of_a_series(tmp_path: Path) -> None:
    for name in ("pid", "id", "subject_id", "row_nr"):
        with pytest.raises(ValueError, match=f"column '{name}' is called an id, so it is not a step"):
            series(tmp_path, f"{name},x1,x2\n100,1,2\n101,5,6\n")
    rows = "".join(f"{100 + 7 * i},{i * 7 % 5}.5,{i % 3}.5\n" for i in range(6))
    with pytest.warns(UserWarning, match="the first column 'a' holds whole numbers, none of them twice"):
        assert series(tmp_path, "a,x1,x2\n" + rows).X.shape == (6, 1, 3)
    rows = "".join(f"{i},{i * 7 % 5}.5,{i % 3}.5\n" for i in range(40))
    _, heard = heard_of(series, tmp_path, "a,x1,x2\n" + rows)
    assert any("column 'a' numbers the rows" in said for said in heard)
    assert series(tmp_path, "x1,x2\n1,2\n3,2\n5,1\n1,9\n7,5\n").X.shape == (5, 1, 2)


def test_names_of_rows_of_series_are_not_dropped_in_silence(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"names of the rows \('p1', ...\) in the first column are left out"):
        samples = series(tmp_path, ",x1,x2\np1,1.5,2.5\np2,5.5,6.5\n")
    np.testing.assert_array_equal(samples.X, [[[1.5, 2.5]], [[5.5, 6.5]]])


# --- channels, labels and persons


def test_what_only_grows_is_a_channel_with_a_warning() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"id": np.repeat(np.arange(10), 3), "t": np.tile([0, 1, 2], 10), "hr": rng.normal(size=30)})
    frame["days"] = np.cumsum(rng.integers(1, 10**6, 30))
    X, heard = heard_of(from_long, frame, id="id", time="t")
    assert list(X.X.columns) == ["hr", "days"] and len(heard) == 1 and "'days' may number the rows" in heard[0]
    X, heard = heard_of(from_long, frame.rename(columns={"days": "event_id"}), id="id", time="t")
    assert list(X.X.columns) == ["hr"] and "event_id (numbers of rows)" in heard[0]


@pytest.mark.parametrize(
    ("labels", "warned"),
    [
        (["Na", "K"], False), (["ND", "D"], False), (["Na", "K", "Cl"], False), (["yes", "no", "nd"], True),
        (["ill", "unknown"], True),
    ],
)  # fmt: skip
def test_labels_that_read_like_no_value(tmp_path: Path, labels: list[str], warned: bool) -> None:
    path = written(tmp_path, "a,y\n" + "".join(f"{i * 7 % 5}.5,{labels[i % len(labels)]}\n" for i in range(12)))
    _, heard = heard_of(read_wide, path, label="y")
    assert any("reads like no value" in said for said in heard) is warned


def test_one_odd_label_among_few_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, "a,y\n0.5,0\n1.5,1\n0.5,1\n2.5,control\n0.5,0\n2.5,1\n")
    with pytest.warns(UserWarning, match="column 'y' holds whole numbers but for 'control' in line 5"):
        read_wide(path, label="y")


def test_topics_and_classes_are_no_persons(tmp_path: Path) -> None:
    for name, values in (("case", ["0", "1"]), ("subject", ["math", "bio"])):
        column_text = "".join(f"{values[i % 2]},{i * 7 % 5}.5\n" for i in range(12))
        read_wide(written(tmp_path, f"{name},a\n{column_text}"))
    rows = "".join(f"s{i % 12},{i * 7 % 5}.5\n" for i in range(36))
    with pytest.warns(UserWarning, match="'subject' looks like a patient"):
        read_wide(written(tmp_path, f"subject,a\n{rows}"))


def test_messages_show_ids_as_people_write_them() -> None:
    frame = pd.DataFrame({"id": [1, 1, 2], "t": [0, 1, 0], "x": [0.5, 1.5, 2.5], "y": [0, 1, 1]})
    with pytest.raises(ValueError, match=r"column 'y' is not constant for id 1: 0, 1;"):
        from_long(frame, id="id", time="t", columns="x", label="y")
    with pytest.raises(ValueError, match=r"id 1 has time 0\.0 more than once"):
        from_long(frame.assign(t=0), id="id", time="t", columns="x")
