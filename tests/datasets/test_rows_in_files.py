"""Rows of files: those that are no samples are refused or named, and messages say in which line a cell stands."""

from __future__ import annotations

import csv
import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from kinview.datasets import Samples, from_long, read_long, read_wide
from kinview.datasets.rows import is_footer

WIDE = "pid,a,b,y\n" + "".join(f"{i},{60 + i * 7 % 13}.5,{100 + i * 5 % 17},{i % 2}\n" for i in range(1, 21))
LONG = "id,t,hr\n" + "".join(f"{i},{t},{60 + i * 7 % 13 + t}.5\n" for i in range(1, 8) for t in range(3))


def wide(folder: Path, text: str, **options: Any) -> Samples:
    path = folder / "x.csv"
    path.write_bytes(text.encode())
    return read_wide(path, **options)


def long(folder: Path, text: str, **options: Any) -> Samples:
    path = folder / "x.csv"
    path.write_bytes(text.encode())
    return read_long(path, id="id", time="t", **options)


# --- lines cut short


@pytest.mark.parametrize(
    ("last", "message"),
    [
        ("21,5.5", r"x\.csv: line 22 has 2 cells \('21,5\.5'\) instead of 4"),
        ("21,5.5,\n", r"line 22 has 3 cells"),
        ("21\n", r"line 22 has 1 cell \('21'\)"),
        ("\x1a", r"line 22 has 1 cell \(a Ctrl-Z, with which old programs end a file\)"),
        ("n = 120\n", r"line 22 has 1 cell \('n = 120'\)"),
        ("\n \n21,5.5\n", r"line 24 has 2 cells"),
        ("21,5.5\n22,1.5,3,1\n23\n24\n", r"line 22 has 2 cells .* so have too few lines 24 and 25"),
        ('"2\n1",5.5,7,1\n"22, b",5.5,8\n', r"line 24 has 3 cells"),
        ('"a,b,c,d",5.5\r\n', r"line 22 has 2 cells"),
    ],
)
def test_lines_that_are_cut_short_are_refused(tmp_path: Path, last: str, message: str) -> None:
    for options in ({"index": "pid"}, {"drop": "pid"}):
        with pytest.raises(ValueError, match=message):
            wide(tmp_path, WIDE + last, label="y", **options)


@pytest.mark.parametrize(
    ("last", "message"),
    [("8,1", "line 23 has 2 cells"), ("8\n", "line 23 has 1 cell"), ("\x1a\n", "line 23 has 1 cell .a Ctrl-Z")],
)
def test_lines_of_long_files_that_are_cut_short_are_refused(tmp_path: Path, last: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        long(tmp_path, LONG + last)


def test_what_has_all_its_cells_is_read(tmp_path: Path) -> None:
    """Empty cells at the end, separators at the ends of some lines, cells in quotes with breaks, tabs, blanks."""
    assert wide(tmp_path, 'a,"b"\n"1\n",\n"2",""\n3,4\n').X["b"].tolist()[2] == 4
    assert len(wide(tmp_path, "a,b,\n1,\n2,3\n").X) == 2
    assert len(wide(tmp_path, "a,b\n1,,\n2,3\n").X) == 2
    assert len(wide(tmp_path, "a\tb\n1\t\n2\t3\n").X) == 2
    assert wide(tmp_path, 'note,b\n5\' 3",\n"say ""a,b""",4\n').X["note"].tolist() == ["5' 3\"", 'say "a,b"']
    with pytest.raises(ValueError, match="line 3 has 1 cell"):
        wide(tmp_path, "a b\n1 2\n2\n3 4\n", sep=r"\s+")
    with pytest.raises(ValueError, match="line 4 has 1 cell"):  # a quote that stands twice does not end its cell
        wide(tmp_path, 'a,b\n",""\n""",1\n2\n3,4\n')
    with pytest.raises(ValueError, match="line 2 has 2 cells"):
        wide(tmp_path, "1,2,3\n4,5\n", header=False)


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.lists(st.sampled_from(["", "7", "x", 'a"b', "c,d", "e\nf", " g"]), min_size=3, max_size=3), min_size=3),
    st.integers(0, 100),
    st.integers(1, 2),
)
def test_cutting_any_line_is_told_by_its_number(tmp_path: Path, rows: list[list[str]], place: int, kept: int) -> None:
    place %= len(rows)
    rows[place] = rows[place][:kept]
    rows.append(["x", "x", "x"])  # no column is of numbers alone, over which the first line could be units
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["key", "u", "v", "w"])
    line = 0
    for number, row in enumerate(rows):
        line = out.getvalue().count("\n") + 1 if number == place else line
        writer.writerow([f"k{number}", *row])
    (tmp_path / "x.csv").write_text(out.getvalue(), newline="")
    with pytest.raises(ValueError, match=rf"x\.csv: line {line} has {kept + 1} cells .* instead of 4;"):
        read_wide(tmp_path / "x.csv", index="key", header=True, sep=",")


# --- blank rows and rows without a value


def test_blank_rows_are_left_out_and_named(tmp_path: Path) -> None:
    head, tail = WIDE[:40], WIDE[40:]
    with pytest.warns(UserWarning, match=r"x\.csv: line 22 was empty, and left out"):
        samples = wide(tmp_path, WIDE + ",,,\n", label="y", index="pid")
    assert len(samples) == 20 and samples.X.index.tolist() == list(range(1, 21))
    assert samples.X["b"].dtype == np.float64 and samples.y.tolist() == [1, 0] * 10  # type: ignore[union-attr]
    with pytest.warns(UserWarning, match="lines 3 and 23 were empty"):
        samples = wide(tmp_path, WIDE.replace("\n2,", "\n,,,\n2,") + "NA,, ,NULL\n", label="y", drop="pid")
    assert samples.X.index.tolist() == list(range(20)) and head + tail == WIDE
    with pytest.warns(UserWarning, match="line 23 was empty"):
        X = long(tmp_path, LONG + ",,\n").X
    assert len(X) == 21 and X["hr"].tolist() == long(tmp_path, LONG).X["hr"].tolist()


def test_rows_without_a_value_are_kept_and_named(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="lines 22 and 23 have no observed cell among the features, but count as sam"):
        samples = wide(tmp_path, WIDE + "21,,,1\n22,,,\n", label="y", index="pid")
    assert samples.X.index.tolist()[-2:] == [21, 22] and samples.y.tolist()[-2:] == [1, None]  # type: ignore[union-attr]
    pd.DataFrame({"a": [0.5, np.nan], "y": [0, 1]}).to_parquet(tmp_path / "x.parquet")
    with pytest.warns(UserWarning, match=r"row 2 \(counted from 1\) has no observed cell"):
        assert len(read_wide(tmp_path / "x.parquet", label="y")) == 2


# --- totals and notes


@pytest.mark.parametrize(
    "cell",
    ["Total", "Grand total", "mean", "SD", "n = 120", "N=7", "Source: hospital X", "(120 rows affected)", "Summe"],
)
def test_totals_and_notes_below_a_table_are_named(tmp_path: Path, cell: str) -> None:
    said = rf"'{cell.replace('(', '.').replace(')', '.')}' in line 22 looks like a total or a note below the table"
    with pytest.warns(UserWarning, match=said):
        assert len(wide(tmp_path, WIDE + f"{cell},99.9,120,\n", label="y", index="pid")) == 21
    with pytest.raises(ValueError, match=r"'pid' is numeric but for .* in line 22; remove the line if it is a total"):
        wide(tmp_path, WIDE + f"{cell},99.9,120,\n", label="y")
    with pytest.warns(UserWarning, match=said.replace("22", "23")):
        long(tmp_path, LONG + f"{cell},1,99.9\n")


def test_several_footers_are_told_from_their_first(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="'Mean' in line 22 looks like"):
        wide(tmp_path, WIDE + "Mean,1.5,2,0\nSD,0.5,1,0\nSource: a,2.5,1,0\n", label="y", index="pid")
    short = "pid,a\n1,0.5\n2,1.5\n3,2.5\nTotal,4.5\n"  # in fewer than ten rows too
    with pytest.raises(ValueError, match="column 'pid' is numeric but for 'Total' in line 5; remove the line if"):
        wide(tmp_path, short)


def test_one_text_among_whole_numbers_is_named(tmp_path: Path) -> None:
    for options in ({"index": "pid", "label": "y"}, {"group": "pid", "label": "y"}, {"label": "pid", "drop": "y"}):
        with pytest.warns(UserWarning, match="column 'pid' holds whole numbers but for 'ward 3' in line 22"):
            wide(tmp_path, WIDE + "ward 3,99.9,120,1\n", **options)
    with pytest.warns(UserWarning, match="column 'id' holds whole numbers but for 'all' in line 23"):
        assert len(long(tmp_path, LONG + "all,1,99.9\n").X) == 22


def test_ids_and_categories_that_are_texts_are_not_named(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        wide(tmp_path, "who,a\n1,0.5\n2,1.5\nother,2.5\nother,3.5\n", label="who")  # a class
        wide(tmp_path, "who,a\nkim,0.5\n7,1.5\nlee,2.5\n", index="who")
        wide(tmp_path, "kind,a\ntotal,0.5\npart,1.5\ntotal,2.5\n")  # stands twice
        wide(tmp_path, "a\n61\n47\n")
    assert not any(map(is_footer, ["meander", "Summer", "meaning", "totally", "n", "sdx"]))


# --- where a cell stands


def test_messages_name_the_line_or_count_from_one(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'-' in line 6"):
        wide(tmp_path, '\na,"b\nc"\n1,2\n\n-,3\n4,5\n')
    with pytest.raises(ValueError, match="'-' in line 3"):
        wide(tmp_path, "1,2\n3,5\n-,4\n", header=False)
    with pytest.raises(ValueError, match="'-' in line 3"), pytest.warns(UserWarning, match="line 2 was empty"):
        wide(tmp_path, "a,b\n,\n-,3\n4,5\n")
    with pytest.raises(ValueError, match="rows without a group, the first is line 3"):
        wide(tmp_path, "a,g\n1,x\n2,\n", group="g")
    frame = pd.DataFrame({"id": ["a", "a"], "t": [0, 1], "x": [0.5, np.inf]})
    with pytest.raises(ValueError, match=r"column 'x' is infinite in row 2 \(counted from 1\)"):
        from_long(frame, id="id", time="t", columns="x")
    with pytest.raises(ValueError, match=r"time 't' is missing in row 1 \(counted from 1\)"):
        from_long(frame.assign(t=[np.nan, 1], x=[0.5, 1.5]), id="id", time="t", columns="x")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_nul_byte_is_refused_by_line(tmp_path: Path, end: str) -> None:
    text = end.join(["id,t,hr", "1,0,70.5", "1,1,7\x001.5", "2,0,3.5"])
    with pytest.raises(ValueError, match=r"x\.csv, line 3: it holds NUL characters, so the file is damaged"):
        wide(tmp_path, text)
    with pytest.raises(ValueError, match=r"x\.csv, line 3: it holds NUL characters, so the file is damaged"):
        long(tmp_path, text)


@pytest.mark.parametrize("column", ["id", "label", "t"])
def test_a_nul_character_in_a_typed_column_is_refused_by_name(tmp_path: Path, column: str) -> None:
    frame = pd.DataFrame({"id": ["a", "a", "b"], "t": ["0", "1", "0"], "hr": [1.5, 2.0, 3.5], "label": ["p", "p", "q"]})
    frame[column] = [f"{cell}\0{cell}" for cell in frame[column]]
    with pytest.raises(ValueError, match=f"frame, column '{column}' holds NUL characters, the first in "):
        from_long(frame, id="id", time="t", columns="hr", label="label")
    for typed in (frame, frame.astype({column: "category"})):
        typed.to_parquet(tmp_path / "x.parquet")
        with pytest.raises(ValueError, match=f"x.parquet, column '{column}' holds NUL characters, the first in "):
            read_long(tmp_path / "x.parquet", id="id", time="t", columns="hr", label="label")


@pytest.mark.parametrize("cell", ["Inf", "-inf", "Infinity", "1e400"])
def test_infinite_numbers_are_refused_by_line(tmp_path: Path, cell: str) -> None:
    for read in (wide, long):
        with pytest.raises(ValueError, match="column 'hr' is infinite in line 3"):
            read(tmp_path, f"id,t,hr\n1,0,70.5\n1,1,{cell}\n2,0,3.5\n")
        X = read(tmp_path, f"id,t,hr\n1,0,70.5\n1,1,{cell}\n2,0,3.5\n", na_values=cell).X
        np.testing.assert_array_equal(X["hr"], [70.5, np.nan, 3.5])
