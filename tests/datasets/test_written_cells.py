"""Columns of numbers with a unit or a sign, of dates and of codes are refused or named; categories stay categories."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from kinview.datasets import from_long, read_long, read_wide
from kinview.datasets.ambiguous import are_days, are_days_and_months
from kinview.datasets.written import is_written_date, written_number


def column(folder: Path, cells: list[str], sep: str = ",", **options: Any) -> pd.Series:
    path = folder / "x.csv"
    quoted = [f'"{cell}"' if sep in cell else cell for cell in cells]
    path.write_text(f"f{sep}z\n" + "".join(f"{cell}{sep}{i * 7 % 5}.5\n" for i, cell in enumerate(quoted)))
    return read_wide(path, **options).X["f"]


MEASURED = [
    "{} mmHg", "1.{} mg/dl", "37.{}°C", "{} kg/m²", "{}ml/min/1.73m2", "{}mg", "{} years", "5.{} x10^9/l", "{} Schläge",
    "{}-", "\u2212{}", "\u2013{}", "- {}", "({})", "0x{}", "${}", "{} €", "EUR {}", "1.{}E 3", "{}½", "{} 1/2",
    "120/{}", "{} H", "{}*", "٣{}",
]  # fmt: skip


@pytest.mark.parametrize("pattern", MEASURED)
def test_numbers_with_something_more_are_no_categories(tmp_path: Path, pattern: str) -> None:
    cells = [pattern.format(i) for i in range(10, 22)]
    with pytest.raises(
        ValueError, match=r"column 'f' is .* in line 2, nearly a number; write it as a plain number.*drop="
    ):
        column(tmp_path, cells)
    with pytest.raises(ValueError, match="column 'f' is "):  # nine in ten are enough
        column(tmp_path, [*cells, "unknown"])


@pytest.mark.parametrize("cell", ["110 mmHg", "1234-", "(12)", "$5", "−5", "½", "7.5 mmol/l"])
def test_one_of_them_among_numbers_is_refused(tmp_path: Path, cell: str) -> None:
    with pytest.raises(ValueError, match=r"column 'f' is numeric but for .* in line 4"):
        column(tmp_path, ["1", "2", cell, "3"])


@pytest.mark.parametrize(
    "cells",
    [
        [f"stage {i}" for i in range(12)],
        [f"T{i}" for i in range(12)],
        [f"A{i}.1" for i in range(12)],
        [f"{i}nd" for i in range(12)],
        [f"{i}0-{i}9" for i in range(12)],
        [f"<{i}" for i in range(12)],
        [f"{i}+" for i in range(12)],
        [f"{i}{'abcdefghijkl'[i]}" for i in range(12)],
        [f"1{'ABC'[i % 3]}0{i}" for i in range(12)],
        ["<65", "≥65"] * 6,
        ["2D", "3D"] * 6,
        ["1a", "1b", "2a"] * 4,
        ["1", "2", "2a"] * 4,
        ["1st", "2nd"] * 6,
        ["1/2", "2/3"] * 6,
        ["yes", "5 mg"] * 6,
        [f"{i} Main St {i}" for i in range(12)],
        [f"1.{i}.3" for i in range(12)],
    ],
)
def test_categories_stay_categories(tmp_path: Path, cells: list[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert column(tmp_path, cells).tolist() == cells


@pytest.mark.parametrize(
    "cells", [["10mg", "20mg"], ["$5", "$10"], ["½", "1½"], ["08:00", "20:00"], ["31.12.20", "1.1.21"]]
)
def test_few_levels_are_a_category_by_name(tmp_path: Path, cells: list[str]) -> None:
    with pytest.warns(UserWarning, match=r"column 'f' holds .* in line 2, and is a category now \(distinct cells: 2\)"):
        assert column(tmp_path, cells * 6).tolist() == cells * 6


def test_blanks_between_thousands_are_named(tmp_path: Path) -> None:
    for blank in ("\u00a0", "\u202f", " "):
        cells = [f"1{blank}2{i:02}" for i in range(12)]
        with pytest.raises(ValueError, match=r"column 'f' is .* in line 2, nearly a number; .*thousands="):
            column(tmp_path, cells)
        assert column(tmp_path, cells, thousands=blank).tolist() == [1200 + i for i in range(12)]


# --- dates


DATED = [
    "{:02}.03.2020", "{}.3.20", "{}/3/2020", "3/{}/20", "2020/03/{:02}", "{}-May-2024", "{} May 2024", "May {}, 2024",
    "{:02}.03.2020 13:30", "12:{:02}", "12:{:02}:05", "{}:15 PM",
]  # fmt: skip


@pytest.mark.parametrize("pattern", DATED)
def test_dates_that_are_not_iso_are_no_categories(tmp_path: Path, pattern: str) -> None:
    cells = [pattern.format(i) for i in range(1, 13)]
    with pytest.raises(ValueError, match=r"column 'f' looks like dates or times, but .* in line 2 is none in ISO 8601"):
        column(tmp_path, cells)
    assert list(read_wide(tmp_path / "x.csv", drop="f").X.columns) == ["z"]


def test_dates_but_for_a_few_cells_are_refused_by_the_cell(tmp_path: Path) -> None:
    days = [f"2024-05-{i:02}" for i in range(1, 12)]
    for odd in ("unknown", "2024-13-40", "31.05.2024"):
        with pytest.raises(ValueError, match=f"looks like dates or times, but '{odd}' in line 13"):
            column(tmp_path, [*days, odd])
    assert column(tmp_path, [*days, "unknown"], na_values="unknown").tolist()[:11] == [
        pd.Timestamp(day) for day in days
    ]
    with pytest.raises(ValueError, match="but '2024-13-40' in line 2"):
        column(tmp_path, ["2024-13-40", "2024-02-30"])


def test_days_written_as_whole_numbers_are_refused(tmp_path: Path) -> None:
    cells = [f"202405{i:02}" for i in range(1, 13)]
    with pytest.raises(ValueError, match="column 'f' looks like dates or times, but 20240501 in line 2"):
        column(tmp_path, cells)
    assert column(tmp_path, [*cells, "20240532"]).iloc[-1] == 20240532
    pd.DataFrame({"f": [20200229, 20210101], "z": [0.5, 1.5]}).to_parquet(tmp_path / "x.parquet")
    with pytest.raises(ValueError, match=r"20200229 in row 1 \(counted from 1\)"):
        read_wide(tmp_path / "x.parquet")
    frame = pd.DataFrame({"id": [1, 1, 2, 2, 3], "t": [0, 1, 0, 1, 0], "hr": [70.5, 71, 72, 73, 74]})
    frame["day"] = [20200131, 20200201, 20200202, 20200301, 20200131]
    with pytest.warns(UserWarning, match=r"day \(days written as whole numbers\)"):
        assert list(from_long(frame, id="id", time="t").X.columns) == ["hr"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([20200131, 20240229], True),
        ([20200131.0, np.nan], True),
        ([202001312359, 202002010000], True),
        ([20200131235959], True),
        ([20200131, 20230229], False),
        ([20200131, 20200100], False),
        ([20201301], False),
        ([202001312460], False),
        ([20200131235960], False),
        ([17000101], False),
        ([0, 20200131], False),
        ([-20200131], False),
        ([20200131.5], False),
        ([np.nan], False),
        ([], False),
        ([2020], False),
    ],
)
def test_days_in_whole_numbers(values: list[float], expected: bool) -> None:
    assert are_days(np.array(values)) is expected


def test_days_and_months() -> None:
    days = np.array([day + month / 100 for day in range(1, 32) for month in range(1, 13)])
    assert are_days_and_months(days) and not are_days_and_months(days[:9]) and not are_days_and_months(days[::12])
    for other in (0.13, 0.99, 0.005):
        assert not are_days_and_months(np.r_[days, 5 + other])
    assert not are_days_and_months(np.arange(20.0)) and not are_days_and_months(np.arange(20) / 4)
    assert not are_days_and_months(np.r_[days, np.nan])


@pytest.mark.parametrize("stamps", [["20200131", "20200201"], ["202001311230", "202002010000"]])
def test_a_time_of_days_in_whole_numbers_is_refused(tmp_path: Path, stamps: list[str]) -> None:
    path = tmp_path / "x.csv"
    path.write_text("id,t,hr\n" + "".join(f"7,{stamp},70.5\n" for stamp in stamps))
    with pytest.raises(
        ValueError, match=rf"time 't' is {stamps[0]} in line 2 \(id '7'\), and all stamps look like dates"
    ):
        read_long(path, id="id", time="t")


def test_a_time_of_days_and_months_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    stamps = [f"{day}.{month:02}" for day, month in zip(range(10, 24), [1, 2, 3, 12] * 4)]
    path.write_text("id,t,hr\n" + "".join(f"{i % 2},{stamp},{i * 3 % 7}.5\n" for i, stamp in enumerate(stamps)))
    with pytest.warns(UserWarning, match=r"time 't' is 10\.01 in line 2 .* look like days and months"):
        assert read_long(path, id="id", time="t").X.index.get_level_values(1).tolist()[0] == 10.01


def test_dates_and_numbers_as_people_write_them() -> None:
    for cell in (
        "31.12.2020",
        "1/2/20",
        "2020/1/2",
        "31-Dec-2020",
        "31. Dezember 2020",
        "Dec 31, 2020",
        "7:05",
        "07:05 am",
    ):
        assert is_written_date(cell), cell
    for cell in ("32.13.2020", "1.2.3", "0.1.2020", "12", "40-49", "maybe 3", "1:2", "B12", "10/20", "2020-5"):
        assert not is_written_date(cell), cell
    assert written_number("60 ml/min/1.73m2") == ("unit", "ml/min/1.73m2")
    assert written_number("1.234,5 g") == ("unit", "g")
    for cell in ("7", "-7.5", "1e5", "", "-", "n.a.", "x", "C50.9", "J45", "3.", "40 - 49", "3e"):
        assert written_number(cell) is None, cell


# --- numbers that may be codes or thousands


def test_points_that_could_part_thousands_are_named(tmp_path: Path) -> None:
    cells = ["1.100", "2.345", "900"] * 4
    with pytest.warns(
        UserWarning, match=r"column 'f' has cells such as '1\.100', read as 1\.1, .* may mean 1100; say dec"
    ):
        assert column(tmp_path, cells, ";")[0] == 1.1
    german = [cell.replace(".5", ",5") for cell in cells]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert column(tmp_path, german, ";", drop="z", decimal=",", thousands=".")[0] == 1100
        assert column(tmp_path, cells, ";", thousands=",")[0] == 1.1
        assert column(tmp_path, cells)[0] == 1.1  # commas part the cells
        for others in (["0.500"], ["1.5"], ["1234.500"], ["1.1000"]):
            assert column(tmp_path, [*cells, *others], ";")[0] == 1.1
    with pytest.raises(ValueError, match=r"'1\.234\.567' in line 14.*thousands='\.'"):
        column(tmp_path, [*cells, "1.234.567"], ";")
    (tmp_path / "x.csv").write_text("id;t;hr\n1;0;1.100\n1;1;2.500\n2;0;1.250\n")
    with pytest.warns(UserWarning, match="column 'hr' has cells such as '1.100'"):
        read_long(tmp_path / "x.csv", id="id", time="t")


def test_numbers_that_look_like_codes_are_named(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"zeros in front look like codes, .* in column 'f' \(07919 as 7919\)"):
        assert column(tmp_path, ["07919", "10115"] * 6)[0] == 7919
    with pytest.warns(UserWarning, match=r"an exponent, .* in column 'f' \(2E11 as 200000000000\)"):
        column(tmp_path, ["2E11", "1E5"] * 6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for cells in (["05", "12"], ["1e5", "2"], ["1.5E5", "2"], ["1E+05", "2"], ["0.5", "07"], ["0", "10"]):
            column(tmp_path, cells * 6)
        (tmp_path / "x.csv").write_text("f,z\n07919,0.5\n10115,1.5\n")
        assert read_wide(tmp_path / "x.csv", index="f").X.index.tolist() == ["07919", "10115"]
