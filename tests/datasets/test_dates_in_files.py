"""Dates and stamps of files: exact far from today, by their declared format, never filled with the day."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kinview.datasets import from_long, read_long
from kinview.datasets.arff import read_arff_table
from kinview.datasets.dates import strptime_format

BASE = 1_700_000_000_000_000_000


def long(folder: Path, stamps: list[str], **options: object) -> pd.DataFrame:
    path = folder / "x.csv"
    path.write_text("id,t,x\n" + "".join(f"a,{stamp},{i}.5\n" for i, stamp in enumerate(stamps)))
    return read_long(path, id="id", time="t", **options).X  # type: ignore[arg-type]


@pytest.mark.parametrize("year", ["0001", "1066", "1677", "1678", "2024", "2180", "2261", "2262", "2300", "9000"])
def test_shifted_dates_are_resampled_where_they_are(tmp_path: Path, year: str) -> None:
    stamps = [f"{year}-03-01 00:10", f"{year}-03-01 00:50", f"{year}-03-01 02:10"]
    X = long(tmp_path, stamps, resample="1h")
    found = X.index.get_level_values(1).to_numpy().astype("datetime64[s]")
    assert [str(stamp) for stamp in found] == [f"{year}-03-01T{hour:02}:00:00" for hour in range(3)]
    np.testing.assert_array_equal(X["x"], [1.0, np.nan, 2.5])


def test_far_dates_stand_beside_near_ones(tmp_path: Path) -> None:
    stamps = ["2024-05-31 13:30:00.123456Z", "2300-01-01T02:00+02:00", "0900-01-01 00:00Z"]
    found = long(tmp_path, stamps).index.get_level_values(1).to_numpy().astype("datetime64[us]")
    assert [str(stamp) for stamp in found] == [
        "0900-01-01T00:00:00.000000",
        "2024-05-31T13:30:00.123456",
        "2300-01-01T00:00:00.000000",
    ]
    with pytest.raises(ValueError, match="'2300-01-01' in line 3"):  # no unit holds both
        long(tmp_path, ["2024-05-31 13:30:00.123456789", "2300-01-01"])


def test_far_dates_refuse_bins_of_nanoseconds(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has dates beyond 1678 to 2261, so give whole microseconds"):
        long(tmp_path, ["2300-03-01", "2300-03-02"], resample="1500ns")


def test_whole_stamps_beyond_2_53_keep_their_order(tmp_path: Path) -> None:
    X = long(tmp_path, [str(BASE + shift) for shift in (300, 100, 0, 50)])
    assert X.index.get_level_values(1).tolist() == [BASE, BASE + 50, BASE + 100, BASE + 300]
    assert X["x"].tolist() == [2.5, 3.5, 1.5, 0.5]
    binned = long(tmp_path, [str(BASE + shift) for shift in (300, 100, 0, 50)], resample=100)
    assert binned.index.get_level_values(1).tolist() == [BASE, BASE + 100, BASE + 200, BASE + 300]
    np.testing.assert_array_equal(binned["x"], [3.0, 1.5, np.nan, 0.5])
    with pytest.raises(ValueError, match=r"resample=0\.5: column 't' holds whole numbers beyond 2\^53"):
        long(tmp_path, [str(BASE)], resample=0.5)
    for stamps in ([str(2**63), "1"], [str(10**25), "1"], [f"{BASE}.0", str(BASE + 1)]):
        with pytest.raises(ValueError, match="'t' is"):
            long(tmp_path, stamps)
    assert long(tmp_path, ["3", "1"]).index.get_level_values(1).dtype == np.float64


@pytest.mark.parametrize("stamp", ["13:30", "T13:30", "31.05.2024", "05/31/2024", "2024-13-40"])
def test_what_names_no_day_is_refused(tmp_path: Path, stamp: str) -> None:
    with pytest.raises(ValueError, match=r"neither a number nor an ISO 8601 date"):
        long(tmp_path, [stamp, stamp])


def test_durations_are_seconds(tmp_path: Path) -> None:
    frame = pd.DataFrame({"id": 1, "t": pd.to_timedelta([0, 1800, 7200], unit="s"), "x": [1.0, 2.0, 4.0]})
    frame.to_parquet(tmp_path / "x.parquet")
    X = read_long(tmp_path / "x.parquet", id="id", time="t").X
    assert X.index.get_level_values(1).tolist() == [0, 1800, 7200]
    for width in ("1h", 3600):
        binned = read_long(tmp_path / "x.parquet", id="id", time="t", resample=width).X
        assert binned.index.get_level_values(1).tolist() == [0, 3600, 7200]
        np.testing.assert_array_equal(binned["x"], [1.5, np.nan, 4.0])
    frame.loc[1, "t"] = pd.NaT
    with pytest.raises(ValueError, match=r"time 't' is missing in row 2 \(counted from 1\)"):
        from_long(frame, id="id", time="t")


# --- ARFF


def arff(folder: Path, declared: str, cells: list[str]) -> pd.Series:
    path = folder / "x.arff"
    path.write_text(
        f"@relation d\n@attribute day date {declared}\n@attribute n numeric\n@data\n"
        + "".join(f"{cell},1\n" for cell in cells)
    )
    return read_arff_table(path)["day"]


@pytest.mark.parametrize(
    ("declared", "cell", "expected"),
    [
        ('"dd/MM/yyyy"', "03/04/2024", "2024-04-03"),
        ("'MM/dd/yyyy'", "03/04/2024", "2024-03-04"),
        ("\"yyyy-MM-dd'T'HH:mm:ss\"", "2024-04-03T13:30:05", "2024-04-03 13:30:05"),
        ('"yyyy-MM-dd HH:mm:ss.SSS"', "'2024-04-03 13:30:05.250'", "2024-04-03 13:30:05.250"),
        ("yyyyMMdd", "20240403", "2024-04-03"),
        ("", "2024-04-03T13:30:05", "2024-04-03 13:30:05"),
    ],
)
def test_a_declared_format_counts(tmp_path: Path, declared: str, cell: str, expected: str) -> None:
    found = arff(tmp_path, declared, [cell, "?"])
    assert found.iloc[0] == pd.Timestamp(expected) and found.isna().tolist() == [False, True]


@pytest.mark.parametrize(
    ("declared", "cell", "message"),
    [
        ('"HH:mm"', "13:30", r"attribute 'day': the date format 'HH:mm' has no year of four digits"),
        ('"dd.MM.yy"', "03.04.24", "has 'yy'; known are"),
        ('"dd/MM/yyyy"', "2024-04-03", r"'2024-04-03' is not a date of attribute 'day': expected dd/MM"),
        ("", "13:30", "'13:30' is not a date .*no format is declared"),
        ("", "03/04/2024", "is not a date of attribute 'day'"),
    ],
)
def test_dates_that_are_unclear_are_refused(tmp_path: Path, declared: str, cell: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        arff(tmp_path, declared, [cell])


def test_formats_in_the_signs_of_strptime() -> None:
    assert strptime_format("yyyy-MM-dd'T'HH:mm:ssXXX") == "%Y-%m-%dT%H:%M:%S%z"
    assert strptime_format("d MMM yyyy, h 'o''clock' a 100%") == "%d %b %Y, %I o'clock %p 100%%"
    with pytest.raises(ValueError, match="cannot be read from"):
        strptime_format("yyyy 'open")
