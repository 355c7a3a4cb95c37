"""Static columns: read from files, kept beside their samples through splits and folds, and shown to no encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import kinview
from kinview.datasets import Dataset, Samples, from_long, read_long, read_wide, split

LONG = """id,t,hr,site,age,died
b,0,80,01,60.5,1
b,1,81,,60.5,1
a,0,70,02,,0
c,0,71,01,50,0
d,3,1,02,40,1
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "data.csv"
    path.write_text(text)
    return path


def test_long_format_has_one_value_a_series_and_no_channel_of_it(tmp_path: Path) -> None:
    samples = read_long(written(tmp_path, LONG), id="id", time="t", static=["site", "age"], label="died")
    assert list(samples.X.columns) == ["hr"] and samples.static is not None
    assert samples.static.index.tolist() == ["a", "b", "c", "d"]
    assert samples.static["site"].tolist() == ["02", "01", "01", "02"]  # a code: 01 is no 1
    np.testing.assert_array_equal(samples.static["age"], [np.nan, 60.5, 50.0, 40.0])
    frame = pd.read_csv(written(tmp_path, LONG), dtype={"site": "category"})
    again = from_long(frame, id="id", time="t", static=["site", "age"], columns="hr")
    assert again.static is not None and again.static.equals(samples.static)


def test_a_static_column_that_changes_within_a_series_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, LONG.replace("b,1,81,,60.5", "b,1,81,02,60.5"))
    with pytest.raises(ValueError, match="'site' is not constant for id 'b': '01', '02'"):
        read_long(path, id="id", time="t", static="site", columns="hr")


@pytest.mark.parametrize("modality", ["tabular", "time_series"])
def test_wide_tables_keep_static_columns_by_row_whatever_names_the_rows(tmp_path: Path, modality: Any) -> None:
    # Names of rows that are numbers in another order must not be taken for positions.
    path = written(tmp_path, "pid,a,b,sex,y\n2,1.5,2,m,0\n0,3,4,f,1\n1,5,6,,0\n")
    options: dict[str, Any] = {"index": "pid"} if modality == "tabular" else {"drop": "pid"}
    samples = read_wide(path, label="y", static="sex", modality=modality, **options)
    assert samples.static is not None and samples.static["sex"].fillna("?").tolist() == ["m", "f", "?"]
    kept = samples.rows(np.array([2, 0]))
    assert kept.static is not None and kept.static["sex"].fillna("?").tolist() == ["m", "?"]
    assert (kept.X.iloc[:, 0] if modality == "tabular" else kept.X[:, 0, 0]).tolist() == [1.5, 5.0]


def test_options_that_name_a_column_twice_or_not_at_all_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "a,b,sex,y\n1,2,m,0\n3,4,f,1\n")
    with pytest.raises(ValueError, match=r"static= names column 'sex' of data\.csv twice"):
        read_wide(path, label="y", static=["sex", 2])
    with pytest.raises(ValueError, match=r"categorical='sex' is no feature .* static="):
        read_wide(path, label="y", static="sex", categorical="sex")
    with pytest.raises(ValueError, match="'sx'"):
        read_wide(path, label="y", static="sx")
    with pytest.raises(ValueError, match="static=False is no name of a column"):
        read_wide(path, label="y", static=False)


def series(names: list[Any]) -> pd.DataFrame:
    index = pd.MultiIndex.from_product([names, [0, 1]], names=["id", "time"])
    return pd.DataFrame({"x": np.arange(len(index), dtype=float)}, index=index)


def test_an_index_that_names_the_samples_is_followed() -> None:
    static = pd.DataFrame({"age": [30, 20, 10]}, index=["c", "b", "a"])
    assert Samples(series(["a", "b", "c"]), static=static).static["age"].tolist() == [10, 20, 30]  # type: ignore[index]
    assert Samples(np.zeros((3, 1, 2)), static=static).static["age"].tolist() == [30, 20, 10]  # type: ignore[index]
    with pytest.raises(ValueError, match="the index of static holds other samples"):
        Samples(series(["a", "b", "d"]), static=static)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (pd.DataFrame({"age": [1, 2]}), "static has 2 rows for 3 samples"),
        ([1, 2, 3], "static must be a DataFrame of one row a sample; got list"),
        (pd.DataFrame(np.zeros((3, 2)), columns=["a", "a"]), "static has two columns named 'a'"),
    ],
)
def test_what_is_no_table_of_one_row_a_sample_is_refused(given: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Samples(np.zeros((3, 1, 2)), static=given)


@pytest.mark.parametrize("names", [["a", "b", "c", "d", "e", "f"], [5, 3, 0, 1, 4, 2], None])
def test_splits_and_folds_keep_each_sample_with_its_static_columns(names: list[Any] | None) -> None:
    values = np.arange(6.0)
    X: Any = values[:, None, None] * np.ones((6, 1, 2))
    if names is not None:
        X = series(names)
        X["x"] = np.repeat(values, 2)
    static = pd.DataFrame({"number": values, "sex": list("fmfmfm")})
    if names is not None:
        static.index = pd.Index(names)
    data = split(Samples(X, np.arange(6) % 2, static=static), name="d", source="", test_fraction=0.5)

    def firsts(part: Samples) -> list[float]:
        return (part.X[:, 0, 0] if names is None else part.X["x"].iloc[::2]).tolist()  # type: ignore[no-any-return]

    folded = data.fold(np.array([4, 0, 5]), np.array([1, 3]))
    for one in (data, folded):
        for part in (one.part("train"), one.part("test"), one.pooled(), one.pooled("train")):
            assert part.static is not None and part.static["number"].tolist() == firsts(part)
    assert len(folded.part("train").static) == 3  # type: ignore[arg-type]


def test_both_parts_have_the_same_static_columns_and_they_count_in_the_fingerprint() -> None:
    X = np.zeros((2, 1, 3))
    plain = Dataset(X, np.array([0, 1]), X, np.array([0, 1]), "d")
    age = [pd.DataFrame({"age": [a, 50]}) for a in (40, 41)]
    made = [Dataset(X, plain.y_train, X, plain.y_test, "d", static_train=one, static_test=one) for one in age]
    assert len({data.fingerprint() for data in (plain, *made)}) == 3
    other = Dataset(
        X,
        plain.y_train,
        X,
        plain.y_test,
        "d",
        static_train=age[0],
        static_test=pd.DataFrame({"sex": "mf"}, index=[0, 1]),
    )
    with pytest.raises(ValueError, match="only one part has age, sex"):
        other.pooled()
    assert plain.pooled().static is None


def test_stays_of_the_challenge_have_their_general_descriptors(tmp_path: Path) -> None:
    folder = tmp_path / "challenge" / "set-a"
    folder.mkdir(parents=True)
    for stay, rows in ((9, "00:00,Age,54\n00:00,Gender,1\n01:30,HR,80\n"), (7, "00:00,Age,61\n00:00,Height,-1\n")):
        (folder / f"{stay}.txt").write_text(f"Time,Parameter,Value\n00:00,RecordID,{stay}\n{rows}")
    (folder.parent / "Outcomes-a.txt").write_text("RecordID,In-hospital_death\n7,0\n9,1\n")
    samples = kinview.datasets.read_path(folder.parent, descriptors=False)
    assert samples.static is not None and samples.static.index.tolist() == [7, 9]
    assert samples.static.columns.tolist() == ["Age", "Gender", "Height", "ICUType"]
    np.testing.assert_array_equal(samples.static["Gender"], [np.nan, 1.0])
    assert "Age" not in samples.X.columns
