"""What is a feature: numbers of rows, values constant within a series and persons are no measurements."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from kinview.datasets import from_long, read_long, read_wide
from kinview.datasets.features import constant_within, numbers_rows, persons

SERIES = np.repeat(np.arange(10), 3)


def long(**columns: object) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"id": SERIES, "t": np.tile([0, 1, 2], 10), "hr": rng.normal(size=30)})
    return frame.assign(**columns)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.arange(30), True),
        (np.arange(1, 31), True),
        (np.arange(5), True),
        (np.arange(4), False),  # too few to tell
        (np.arange(70, 75), False),  # five heart rates that rise
        (np.arange(500, 530), True),
        (np.random.default_rng(0).permutation(30), True),  # a shuffled index
        (np.random.default_rng(0).permutation(30) / 2, False),
        (np.random.default_rng(0).integers(0, 30, 30), False),
        (np.random.default_rng(1).choice(10**6, 30, replace=False), False),  # wide range: chance may repeat none
        (np.cumsum(np.random.default_rng(0).integers(1, 10**6, 30)), True),  # a key that grows with the file
        (-np.arange(30), True),
        (np.r_[np.arange(29.0), np.nan], False),
        (np.r_[np.arange(29.0), np.inf], False),
        (np.zeros(30), False),
    ],
)
def test_numbers_of_rows(values: np.ndarray, expected: bool) -> None:
    assert numbers_rows(values.astype(np.float64), SERIES[: len(values)]) is expected


def test_unique_numbers_under_the_name_of_a_key_number_the_rows() -> None:
    sparse = np.random.default_rng(1).choice(10**6, 30, replace=False).astype(np.float64)
    for name in ("row_id", "ID", "Unnamed: 0", "index", "event no"):
        assert numbers_rows(sparse, name=name) and not numbers_rows(np.r_[sparse, sparse], name=name)
    assert not numbers_rows(sparse, name="platelets")


def test_what_grows_within_few_series_is_a_measurement() -> None:
    counts = np.cumsum(np.random.default_rng(0).integers(1, 10**6, 30)).astype(np.float64)
    assert not numbers_rows(counts) and not numbers_rows(counts, np.repeat([0, 1], 15))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(0, 3), st.one_of(st.none(), st.integers(0, 2))), min_size=5, max_size=20))
def test_constant_within_equals_a_loop(rows: list[tuple[int, int | None]]) -> None:
    series = np.array([s for s, _ in rows])
    column = pd.Series([np.nan if value is None else value for _, value in rows], dtype=np.float64)
    seen: dict[int, set[int]] = {}
    for number, value in rows:
        seen.setdefault(number, set()).update([] if value is None else [value])
    several = len(seen) < len(rows)
    expected = several and all(len(values) < 2 for values in seen.values())
    assert (constant_within(pd.DataFrame({"a": column}), series) == ["a"]) is expected


def test_what_is_no_measurement_is_left_out_by_name_unless_it_is_named(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = long(
        row=np.arange(30), outcome=SERIES % 2, age=61.5 + SERIES, event=rng.permutation(30) + 1000, note="x", count=1
    )
    frame.loc[::2, "age"] = np.nan
    frame.to_csv(tmp_path / "x.csv", index=False)
    said = (
        r"x\.csv: these columns are no channels: note \(no numbers\); outcome, age, count \(one value in each id\); "
        r"row, event \(numbers of rows\); name the channels"
    )
    with pytest.warns(UserWarning, match=said):
        X = read_long(tmp_path / "x.csv", id="id", time="t").X
    assert list(X.columns) == ["hr"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        named = read_long(tmp_path / "x.csv", id="id", time="t", columns=["hr", "row", "age"]).X
    assert list(named.columns) == ["hr", "row", "age"] and named["row"].tolist() == list(range(30))
    with pytest.raises(ValueError, match=r"no numeric column .*left out: outcome \(one value in each id\)"):
        from_long(long(outcome=SERIES % 2).drop(columns="hr"), id="id", time="t")


def test_one_row_an_id_leaves_nothing_out() -> None:
    frame = pd.DataFrame({"id": range(6), "t": 0, "x": [3, 1, 4, 1, 5, 9]})
    assert list(from_long(frame, id="id", time="t").X.columns) == ["x"]


def test_a_file_sorted_by_class_gives_nothing_away(tmp_path: Path) -> None:
    frame = long(row=np.arange(30), died=SERIES >= 5, died_again=SERIES >= 5)
    frame.to_csv(tmp_path / "x.csv")  # with an index, too
    with pytest.warns(UserWarning, match=r"died_again \(one value in each id\); row \(numbers of rows\)"):
        samples = read_long(tmp_path / "x.csv", id="id", time="t", label="died")
    assert list(samples.X.columns) == ["hr"]


def test_booleans_and_decimals_are_channels(tmp_path: Path) -> None:
    from decimal import Decimal

    frame = long(paced=np.arange(30) % 3 == 0, crea=[Decimal(i * i % 7) / 10 for i in range(30)])
    assert list(from_long(frame, id="id", time="t").X.columns) == ["hr", "paced", "crea"]
    frame.to_parquet(tmp_path / "x.parquet")
    X = read_long(tmp_path / "x.parquet", id="id", time="t").X
    assert list(X.columns) == ["hr", "paced", "crea"] and X["crea"].iloc[2] == 0.4
    frame["paced"] = frame["paced"].astype(object).where(np.arange(30) > 0, None)
    frame.to_csv(tmp_path / "x.csv", index=False)
    X = read_long(tmp_path / "x.csv", id="id", time="t").X
    assert np.isnan(X["paced"].iloc[0]) and X["paced"].iloc[3] == 1


def test_a_channel_that_is_nearly_numeric_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("id,t,hr,lactate\n1,0,70,1.1\n1,1,71,-\n2,0,80,2.2\n")
    with pytest.raises(ValueError, match=r"column 'lactate' is numeric but for '-' in line 3; .*na_values='-'"):
        read_long(path, id="id", time="t")
    X = read_long(path, id="id", time="t", na_values="-").X
    np.testing.assert_array_equal(X["lactate"], [1.1, np.nan, 2.2])
    assert list(read_long(path, id="id", time="t", columns=["hr"]).X.columns) == ["hr"]
    with pytest.raises(ValueError, match="column 'lactate' is '-' in line 3"):
        read_long(path, id="id", time="t", columns=["lactate"])


def test_a_wide_feature_that_numbers_the_rows_is_warned_about(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"number": range(1, 31), "a": rng.normal(size=30), "y": SERIES >= 5})
    frame.to_csv(path, index=False)
    with pytest.warns(UserWarning, match=r"column 'number' numbers the rows"):
        X = read_wide(path, label="y").X
    assert list(X.columns) == ["number", "a"]
    read_wide(path, label="y", index="number")
    read_wide(path, label="y", drop="number")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("patient_id", True),
        ("PatientID", True),
        ("patient", True),
        ("subject", False),  # too few to be no topic
        ("Subject No", True),
        ("pid", True),
        ("mrn", True),
        ("hadm_id", True),
        ("participant.nr", True),
        ("patients_seen", False),
        ("id_of_ward", False),
        ("rapid", False),
        ("age", False),
    ],
)
def test_names_of_persons(name: str, expected: bool) -> None:
    assert (persons(pd.DataFrame({name: [1, 1, 2]}), [name]) == [name]) is expected
    assert persons(pd.DataFrame({name: [1, 3, 2]}), [name]) == []


def test_several_rows_of_one_person_ask_for_the_group(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("patient_id,a,y\n7,0.5,0\n7,1.5,1\n8,0.5,0\n")
    for options in ({}, {"drop": "patient_id"}):
        with pytest.warns(UserWarning, match=r"'patient_id' looks like a patient .* \(group='patient_id', --group\)"):
            read_wide(path, label="y", **options)  # type: ignore[arg-type]
    assert read_wide(path, label="y", group="patient_id").groups.tolist() == [7, 7, 8]  # type: ignore[union-attr]
    path.write_text("stay,t,hr,subject_id\n1,0,70,a\n2,0,71,a\n3,0,80,b\n3,1,81,b\n")
    with pytest.warns(UserWarning, match="'subject_id' looks like a patient or subject with several series"):
        read_long(path, id="stay", time="t", columns=["hr"])
    read_long(path, id="stay", time="t", columns=["hr"], group="subject_id")
