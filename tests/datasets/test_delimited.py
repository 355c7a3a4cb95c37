"""Text files: header or data, separators, cells that are nearly numbers, and options that say how one is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from helpers import written
from kinview.datasets import Samples, read_path, read_wide
from kinview.datasets.cells import cell_kind
from kinview.datasets.delimited import TextFormat, read_delimited


def wide(folder: Path, text: str, **options: Any) -> Samples:
    return read_wide(written(folder, text), **options)


# --- header or data


@pytest.mark.parametrize(
    ("text", "names", "rows"),
    [
        ("age,NA,died\n61,140,0\n47,138,1\n", ["age", "NA", "died"], 2),
        ("age,null,died\n61,140,0\n", ["age", "null", "died"], 1),
        ("age,2019,2020\n61,140,0\n", ["age", "2019", "2020"], 1),
        ("age,hr,\n61,140,\n47,138,\n", ["age", "hr"], 2),  # a comma at the ends of all lines
        ("age,hr,\n61,140\n47,138\n", ["age", "hr"], 2),  # only of the first
        ("age,hr\n61,140,\n47,138,\n", ["age", "hr"], 2),  # only of the others
        ("visit,NA\n2024-05-31,2024-06-01\n", ["visit", "NA"], 1),
        ("ill,?\nTrue,False\n", ["ill", "?"], 1),
        (",0,1,2\n0,5.5,6,7\n1,8,9,9.5\n", ["0", "1", "2"], 2),  # pandas' names of a frame without any
        ("0.5,1,2\n3,4,5\n", ["x0", "x1", "x2"], 2),
        ("-1,2\n3,4\n", ["x0", "x1"], 2),
        ("1,2\n3,4\n", ["x0", "x1"], 2),
        ("p,x,s,p\ne,x,s,p\np,y,s,e\n", ["x0", "x1", "x2", "x3"], 3),  # texts that come again are data
        ("p,x\ne,y\n", ["p", "x"], 1),
        ("M,15\nM,7\nF,9\n", ["x0", "x1"], 3),
        ("2024-05-31,x\n2024-06-01,x\n", ["x0", "x1"], 2),
        ("\ufeffage,hr\r\n61,1\r\n", ["age", "hr"], 1),
        ("\n\nage,hr\n61,1\n", ["age", "hr"], 1),
        ("age\n61\n47\n", ["age"], 2),
        ("patient age\n61\n47\n", ["patient age"], 2),
        ('"a, b","c""d"\n1,2\n', ["a, b", 'c"d'], 1),
        ('"a\nb",c\n1,2\n', ["a\nb", "c"], 1),
    ],
)
def test_the_first_line_is_names_or_data(tmp_path: Path, text: str, names: list[str], rows: int) -> None:
    X = wide(tmp_path, text).X
    assert list(X.columns) == names and len(X) == rows


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hr,hr,died\n61,140,0\n", "two columns named 'hr'"),
        ("hr,hr ,died\n61,140,0\n", "two columns named 'hr'"),
        ("a,b,c\n.,5,6\n1,0.5,3\n", r"column 'a' is numeric but for '\.' in line 2"),
        ("98%,x\n97%,y\n", "column '98%' is '97%' in line 2, nearly a number"),
        ("0,1,2\n5,3,7\n8,8,9\n", "the first line .0, 1, 2. could be names or data: it counts the columns"),
        ("name,null\nbob,x\namy,y\n", "could be names or data: no column tells; say header=True or header=False"),
        ("hr,0.5\n61,0.25\n", "'hr' looks like a name and '0.5' like data"),
        ("a,x\na,x\nb,y\na,x\n", "most of its cells stand in the lines below too"),
        ("age,,hr\n61,5,1\n47,6,2\n", r"column 1 \(the first is 0\) has no name, but '5' in row 1"),
    ],
)
def test_what_could_be_either_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        wide(tmp_path, text)


def test_header_says_what_the_first_line_is(tmp_path: Path) -> None:
    text = "name,null\nbob,x\namy,y\n"
    assert list(wide(tmp_path, text, header=True).X.columns) == ["name", "null"]
    assert len(wide(tmp_path, text, header=False).X) == 3
    assert wide(tmp_path, "0,1,2\n5,3,7\n", header=False).X.shape == (2, 3)
    long = read_path(written(tmp_path, "1,0,70\n1,1,71\n"), id=0, time="1", header=False)
    assert list(long.X.columns) == ["x2"] and long.X.index.names == ["x0", "x1"]


# --- names of rows


def test_a_first_column_without_a_name_holds_the_names_of_the_rows(tmp_path: Path) -> None:
    counted = wide(tmp_path, ',age\n0,"61"\n1,47\n').X
    assert list(counted.columns) == ["age"] and counted.index.name is None
    counted_by_r = wide(tmp_path, '"","age"\n"1",61\n"2",47\n').X
    pd.testing.assert_frame_equal(counted_by_r, counted)
    named = wide(tmp_path, ",age\n007,61\n7,47\n").X
    assert named.index.tolist() == ["007", "7"] and named.index.name == "index"
    chosen = wide(tmp_path, ",age,who\nr1,61,a\nr2,47,b\n", index="who").X
    assert chosen.index.tolist() == ["a", "b"] and list(chosen.columns) == ["age"]
    assert wide(tmp_path, ",age\nr1,61\nr1,47\n", group=0).groups.tolist() == ["r1", "r1"]  # type: ignore[union-attr]
    long = read_path(written(tmp_path, ",id,t,hr\n0,a,0,70\n1,a,1,71\n"), id="id", time="t")
    assert list(long.X.columns) == ["hr"]


# --- separators


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("weight, kg\theight, cm, sd\ty\n61.5\t170\t0\n72.0\t181\t1\n", ["weight, kg", "height, cm, sd", "y"]),
        ("a|b\n1|2\n3|4\n", ["a", "b"]),
        ("a;b\n1;2\n3;4\n", ["a", "b"]),
        ('"a;b","c;d;e"\n1,2\n3,4\n', ["a;b", "c;d;e"]),
        ('a,b\n"x;y;z",2\n"x;y",4\n', ["a", "b"]),
        ('note;b\n5\' 3";2\n"say ""a;b""";4\n', ["note", "b"]),
        ("a  b\n1  2\n3 4\n", ["a", "b"]),
        ("a,b\nx|y,1\nz,2\n", ["a", "b"]),
    ],
)
def test_the_separator_stands_equally_often_outside_quotes(tmp_path: Path, text: str, names: list[str]) -> None:
    assert list(wide(tmp_path, text).X.columns) == names


def test_a_separator_that_is_not_clear_is_asked_for(tmp_path: Path) -> None:
    text = "a,b;c\n1,5;2\n2,5;3\n"
    with pytest.raises(ValueError, match="could be separated by ';' or ','; say which with sep="):
        wide(tmp_path, text)
    assert wide(tmp_path, text, sep=";", decimal=",").X["a,b"].tolist() == [1.5, 2.5]
    assert list(wide(tmp_path, text, decimal=",").X.columns) == ["a,b", "c"]
    assert list(wide(tmp_path, "a^b\n1^2\n", sep="^").X.columns) == ["a", "b"]
    assert list(wide(tmp_path, "a\tb\n1\t2\n", sep="\\t").X.columns) == ["a", "b"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sep": ";;"}, "sep=';;' must be one sign"),
        ({"sep": "x"}, "sep='x' must be one sign"),
        ({"decimal": ";"}, "decimal=';' must be"),
        ({"thousands": "."}, "decimal and thousands are both '.'"),
        ({"thousands": "7"}, "thousands='7' must be one sign"),
        ({"na_values": {"lactat": "-"}}, "no column 'lactat'"),
    ],
)
def test_wrong_options_are_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        wide(tmp_path, "a,b\n1,2\n", **options)


# --- cells


@pytest.mark.parametrize(
    ("cells", "odd", "row", "remedy"),
    [
        (["1.1", ".", "2"], ".", 1, "na_values='.'"),
        (["1.1", "2", "-"], "-", 2, "na_values='-'"),
        (["1.1", "n.a.", "-"], "n.a.", 1, "na_values='n.a.'"),
        (["90", "91", "98%"], "98%", 2, "write it as a plain number"),
        (["90%", "91%", "98%"], "90%", 0, "write it as a plain number"),
        (["1,234", "17"], "1,234", 0, "decimal=',' or thousands=','"),
        (["1.234,5", "1.234"], "1.234,5", 0, r"thousands='\.'"),
        (["1,5", "2,5"], "1,5", 0, "decimal=','"),
        (["<5", "7", "9"], "<5", 0, "na_values='<5'"),
        (["1_000", *map(str, range(20))], "1_000", 0, "na_values='1_000'"),
        (["haemolysed", *map(str, range(20))], "haemolysed", 0, "na_values='haemolysed'"),
        (["missing", "3"], "missing", 0, "na_values='missing'"),
    ],
)
def test_a_column_that_is_nearly_numeric_is_refused_by_name(
    tmp_path: Path, cells: list[str], odd: str, row: int, remedy: str
) -> None:
    text = "lactate;y\n" + "".join(f"{cell};a\n" for cell in cells)
    with pytest.raises(ValueError, match=rf"column 'lactate' is .*'{odd}' in line {row + 2}.*{remedy}.*drop="):
        wide(tmp_path, text)
    assert list(wide(tmp_path, text, drop="lactate").X.columns) == ["y"]


@pytest.mark.parametrize(
    ("cells", "dtype"),
    [
        (["1", "2", "3B", "x"], "text"),  # codes of wards
        (["<5", "5-9", ">9"], "text"),  # age bands
        (["-", "+", "++"], "text"),
        (["None", "x", "1"], "text"),
        (["NaN ", "1", " 2 "], "f"),
        (["1", "2", "\\N"], "f"),
        (["True", "", "FALSE"], "boolean"),
        (["True", "False", "true"], "b"),
        (["7", "12", "3 "], "i"),
    ],
)
def test_types_follow_the_cells(tmp_path: Path, cells: list[str], dtype: str) -> None:
    column = wide(tmp_path, "a,b\n" + "".join(f"{cell},u\n" for cell in cells)).X["a"]
    found = "boolean" if str(column.dtype) == "boolean" else "text" if column.dtype.kind == "O" else column.dtype.kind
    assert found == dtype


def test_na_values_decimal_and_thousands(tmp_path: Path) -> None:
    text = "a;b;c\n1.234,5;-;-999\n-7,25;x;3\nn.d.;y;-999\n"
    X = wide(tmp_path, text, decimal=",", thousands=".", na_values=["n.d.", -999]).X
    np.testing.assert_array_equal(X["a"], [1234.5, -7.25, np.nan])
    np.testing.assert_array_equal(X["c"], [np.nan, 3, np.nan])
    assert X["b"].tolist() == ["-", "x", "y"]
    by_column = wide(tmp_path, text, decimal=",", thousands=".", na_values={"a": "n.d.", "b": ["-"]}).X
    assert by_column["c"].tolist() == [-999, 3, -999] and by_column["b"].isna().tolist() == [True, False, False]
    with pytest.raises(ValueError, match=r"column 'a' is .*'1,5' in line 2"):  # no group of thousands
        wide(tmp_path, 'a,b\n"1,5",u\n"2,5",v\n', thousands=",")
    assert wide(tmp_path, 'a,b\n"1,234",u\n17,v\n', thousands=",").X["a"].tolist() == [1234, 17]
    with pytest.raises(ValueError, match=r"column 'a' looks like dates or times, but '31\.05\.2024' in line 2"):
        wide(tmp_path, "a;b\n31.05.2024;1,5\n", decimal=",", thousands=".")


def test_how_text_is_written_says_nothing_about_parquet(tmp_path: Path) -> None:
    pd.DataFrame({"a": [1.5]}).to_parquet(tmp_path / "x.parquet")
    with pytest.raises(ValueError, match=r"x\.parquet is not delimited text, so sep=, decimal= says nothing"):
        read_wide(tmp_path / "x.parquet", sep=";", decimal=",")


def test_whole_numbers_that_a_float_would_round_are_no_features(tmp_path: Path) -> None:
    for cells in (["9007199254740993", "1"], ["9007199254740993", ""], [str(10**21), "5"], [str(2**63), "5"]):
        text = "barcode,y\n" + "".join(f"{cell},0\n" for cell in cells)
        with pytest.raises(ValueError, match=f"column 'barcode' is {cells[0]} in line 2, a whole number beyond"):
            wide(tmp_path, text, label="y")
        named = text.replace(",0", ",0,1").replace("y", "y,z")
        if "" in cells:
            with pytest.warns(UserWarning, match="line 3 has no name in column 'barcode'"):
                index = wide(tmp_path, named, label="y", index="barcode").X.index
        else:
            index = wide(tmp_path, named, label="y", index="barcode").X.index
        assert [None if name is None else str(name) for name in index] == [cell or None for cell in cells]
    assert wide(tmp_path, "a,b\n1e300,1\n,2\n").X["a"].tolist()[0] == 1e300


def test_compressed_files_and_workbooks_say_what_to_do(tmp_path: Path) -> None:
    for name, remedy in (("x.csv.gz", "gunzip"), ("x.xlsx", "save the sheet as CSV"), ("x.ZIP", "unzip")):
        path = written(tmp_path, "", name)
        for options in ({}, {"format": "wide"}, {"id": "a", "time": "b"}):
            with pytest.raises(ValueError, match=remedy):
                read_path(path, **options)  # type: ignore[arg-type]


def test_files_that_are_no_text_are_named(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(b"a,b\n1,\xe9\n")
    with pytest.raises(ValueError, match=r"x\.csv is not UTF-8 text .*at byte 6"):
        read_wide(path)
    path.write_bytes(b"a,b\n1,\xc3")
    with pytest.raises(ValueError, match="is not UTF-8 text"):
        read_wide(path)
    for empty in (b"", b"\n \n", b"\xef\xbb\xbf"):
        path.write_bytes(empty)
        with pytest.raises(ValueError, match="is empty"):
            read_wide(path)


def test_a_long_file_is_read_beyond_the_lines_that_are_looked_at(tmp_path: Path) -> None:
    lines = "".join(f"{i / 8},name {i}\n" for i in range(150_000))
    frame = read_delimited(written(tmp_path, "a,b\n" + lines), TextFormat())
    assert len(frame) == 150_000 and frame["a"].iloc[-1] == 149_999 / 8
    with pytest.raises(ValueError, match="column 'a' is numeric but for '-' in line 150002"):
        wide(tmp_path, "a,b\n" + lines + "-,x\n")


@pytest.mark.parametrize(
    ("cell", "kind"),
    [
        ("1_000", "text"),
        ("0x1f", "text"),
        ("٣", "text"),
        ("1.5e-3", "number"),
        (".5", "number"),
        ("5.", "number"),
        ("12 345", "nearly"),
        ("1'234.5", "nearly"),
        ("€ 5", "nearly"),
        ("--", "nearly"),
        ("#DIV/0!", "nearly"),
        ("not done", "nearly"),
        ("30-40", "text"),
        ("3B", "text"),
    ],
)
def test_kinds_of_cells(cell: str, kind: str) -> None:
    assert cell_kind(cell) == kind
