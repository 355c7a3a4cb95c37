"""Text files that would be read as what they are not: decimal commas, rows as names, files that are no tables."""

from __future__ import annotations

import bz2
import gzip
import io
import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from helpers import written
from kinview.datasets import read_long, read_path, read_wide
from kinview.datasets.foreign_files import _MAGIC


def wide(folder: Path, text: str | bytes, **options: Any) -> pd.DataFrame:
    X = read_wide(written(folder, text), **options).X
    assert isinstance(X, pd.DataFrame)
    return X


# --- decimal commas and quotes of another kind


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("wert\n1,5\n2,5\n3,7\n", r"names 1 column, the lines below it have 2 cells .*say decimal=',' .*header=True"),
        ("a,b\n1,5,2\n2,5,3\n3,5,4\n", r"names 2 columns.*sep=';', decimal=','.*header=True"),
        ("a,b\n1,5,2,5\n2,5,3,5\n", r"line 1 \('a,b'\) has 2 cells.*below it 4: if a comma is the decimal sign"),
        ("wert\n1,5\n2\n3,7\n", r"below it 2: if a comma is the decimal sign, say decimal=','"),
        ("wert\n1\n2\n3,7\n", r"line 4 has 2 cells.*if a comma is the decimal sign, say decimal=','"),
        ("a,b\n'x, y',2\n'z',3\n", r"cells in single quotes \('x\) .*put double quotes"),
        ("a,b\nz,2\n'x, y',2\n", r"line 3 has 3 cells.*cells in single quotes \('x\)"),
    ],
)
def test_what_looks_like_rows_too_long_is_told_by_its_kind(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        wide(tmp_path, text)


def test_the_advice_about_decimal_commas_helps(tmp_path: Path) -> None:
    assert wide(tmp_path, "wert\n1,5\n2,5\n3,7\n", decimal=",")["wert"].tolist() == [1.5, 2.5, 3.7]
    assert wide(tmp_path, "wert\n1,5\n2,5\n3,7\n", decimal=",", sep=";")["wert"].tolist() == [1.5, 2.5, 3.7]
    assert wide(tmp_path, "n\n1,234\n2,345\n", thousands=",", sep=";")["n"].tolist() == [1234, 2345]
    assert wide(tmp_path, "a;b\n1,5;2,5\n2,5;3\n", decimal=",", sep=";")["b"].tolist() == [2.5, 3]
    assert wide(tmp_path, "a,b\n1,5,2\n2,5,3\n", header=True).to_dict("list") == {"a": [5, 5], "b": [2, 3]}
    long = written(tmp_path, "id,t,x\n1,0,1,5\n2,0,2,5\n", "long.csv")
    with pytest.raises(ValueError, match="names 3 columns, the lines below it have 4 cells"):
        read_long(long, id="id", time="t")


def test_names_of_rows_that_are_texts_stay_with_a_warning_where_a_comma_may_be_decimal(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="the first is read as the name of the row.*sep=';', decimal=','"):
        X = wide(tmp_path, "id,wert\np1,1,5\np2,2,7\n")
    assert X.index.tolist() == ["p1", "p2"] and X["wert"].tolist() == [5, 7]
    for text in (
        "age,hr\nr1,61,80.5\nr2,47,75\n",
        '"age","hr"\n"r1",61,80\n"r2",47,75\n',
        "age hr\n1 61 80\n2 47 75\n",
    ):
        assert wide(tmp_path, text)["age"].tolist() == [61, 47]
    assert wide(tmp_path, "id,wert\np1,1,5\np2,2,7\n", header=True)["wert"].tolist() == [5, 7]


# --- long files without names


@pytest.mark.parametrize(
    "text",
    ["7,1,1.5\n7,2,2.5\n8,1,2.5\n", "7,1,2\n7,2,3\n8,1,4\n", "7,1,\n7,2,3\n8,1,4\n",
     "a,2024-01-01,1.5\na,2024-01-02,2\n"],
)  # fmt: skip
def test_a_first_row_of_a_long_file_is_no_names(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(
        ValueError, match=r"names or data: the columns are given by position.*header=True or header=False"
    ):
        read_long(path, id=0, time=1)
    assert len(read_long(path, id=0, time=1, columns=[2], header=False).X) == text.count("\n")


def test_names_of_a_long_file_stay(tmp_path: Path) -> None:
    for name in ("x", "2020"):
        path = written(tmp_path, f"id,t,{name}\n7,1,1.5\n7,2,2.5\n8,1,2.5\n")
        for options in ({"id": 0, "time": 1}, {"id": "id", "time": "t"}):
            X = read_long(path, columns=[name], **options).X  # type: ignore[arg-type]
            assert list(X.columns) == [name] and len(X) == 3
    numbers = written(tmp_path, "0,1,2\n7,1,1.5\n7,2,2.5\n8,1,2.5\n")
    with pytest.raises(ValueError, match="could be names or data"):
        read_long(numbers, id=0, time=1)
    assert len(read_long(numbers, id=0, time=1, columns=[2], header=True).X) == 3
    assert len(read_long(numbers, id="0", time="1", columns=["2"]).X) == 3  # given by their names
    frame = pd.DataFrame({"id": [7, 7, 8], "t": [0, 1, 0], "x": [0.5, 1.5, 2.5]})
    frame.to_parquet(tmp_path / "x.parquet")
    assert len(read_long(tmp_path / "x.parquet", id=0, time=1).X) == 3


# --- files that are no tables


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 12345\n",
         "the pointer of Git LFS.*git lfs pull"),
        ("<!DOCTYPE html>\n<html><body>x</body></html>\n", "a page of HTML.*pandas.read_html"),
        ("\ufeff\n<html lang='en'>\n", "a page of HTML"),
        ("<?xml version='1.0'?>\n<a/>\n", r"is XML.*pandas\.read_xml\('x\.csv'\)"),
        ("<root>\n <row>1</row>\n</root>\n", "is XML"),
        ('[{"a": 1, "b": 2}]\n', "is JSON.*lines=True"),
        ('{"a": 1, "b": 2}\n{"a": 2, "b": 3}\n', "is JSON"),
        ('{\n  "a": [1, 2]\n}\n', "is JSON"),
        ("[[1, 2], [3, 4]]\n", "is JSON"),
        ("%PDF-1.4\n%abc\n", "is a PDF"),
        ("{\\rtf1\\ansi a,b}\n", "word processor"),
        ("+----+----+\n| a  | b  |\n+----+----+\n|  1 |  2 |\n+----+----+\n", "drawn with signs .*mysql --batch"),
        ("| a | b |\n|---|--:|\n| 1 | 2 |\n", "drawn with signs"),
        (" a | b \n---+---\n 1 | 2\n", "drawn with signs .*psql --csv"),
    ],
)  # fmt: skip
def test_text_that_is_no_table_is_refused_by_what_it_is(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=rf"x\.csv is .*{message}|{message}"):
        wide(tmp_path, text)
    with pytest.raises(ValueError, match=message):
        read_long(written(tmp_path, text), id="a", time="b")


def test_a_pointer_is_told_in_every_format(tmp_path: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 12345\n"
    for name in ("x.parquet", "x.arff", "x.tsv", "x.ts"):
        with pytest.raises(ValueError, match="the pointer of Git LFS"):
            read_path(written(tmp_path, pointer, name))


def test_the_first_bytes_of_other_programs(tmp_path: Path) -> None:
    archive, book, table = io.BytesIO(), io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a.csv", "a,b\n1,2\n")
    with zipfile.ZipFile(book, "w") as file:
        file.writestr("[Content_Types].xml", "x")
    pd.DataFrame({"a": [1]}).to_parquet(table)
    for data, message in (
        (gzip.compress(b"a,b\n1,2\n"), r"is .*: rename it to x\.csv\.gz.*gunzip"),
        (bz2.compress(b"a,b\n1,2\n"), r"is .*: rename it to x\.csv\.bz2.*bunzip2"),
        (archive.getvalue(), r"is .*: rename it to x\.csv\.zip.*unzip"),
        (book.getvalue(), r"is .*: rename it to x\.xlsx.*save the sheet as CSV"),
        (table.getvalue(), r"is a Parquet file by its first bytes.*x\.parquet"),
    ):
        with pytest.raises(ValueError, match=rf"x\.csv {message}"):
            wide(tmp_path, data, encoding="latin-1")
    for magic, extension in _MAGIC:
        with pytest.raises(ValueError, match=rf"rename it to x(\.csv)?\{extension}\."):
            wide(tmp_path, magic + b"\x00\x01\x02")


@pytest.mark.parametrize(
    "names",
    ["[id],[name]", "ORC,b", "BZh,b", "PAR1,PK", "a <b>,<c>", "[0],[1)", "PDF,%", "-,+", "version,size", "<a,b>"],
)
def test_names_that_begin_like_other_files_stay(tmp_path: Path, names: str) -> None:
    X = wide(tmp_path, f"{names}\n1,0.5\n5,0.25\n")
    assert ",".join(X.columns) == names and X.to_numpy().tolist() == [[1, 0.5], [5, 0.25]]


def test_a_separator_that_the_file_has_not(tmp_path: Path) -> None:
    for text, given, other in (
        ("a,b\n1,2\n3,4\n", ";", ","),
        ("a;b\n1,5;2\n2,5;3\n", ",", ";"),
        ("a\tb\n1\t2\n", "|", "\t"),
    ):
        with pytest.raises(
            ValueError, match=rf"sep='\{given}' does not stand in the first line.*give sep={re.escape(repr(other))}"
        ):
            wide(tmp_path, text, sep=given)
    assert wide(tmp_path, "name\nSmith, John\nDoe, Jane\n", sep=";")["name"].tolist() == ["Smith, John", "Doe, Jane"]
    assert wide(tmp_path, '"last, first"\n"Smith, John"\n', sep=";", header=True).columns.tolist() == ["last, first"]


def test_cells_of_one_column_in_a_list_of_missing_ones(tmp_path: Path) -> None:
    text = "id,crp\n1,5\n2,3\n"
    for given in ("crp:5", ["-9", "crp: 5"]):
        with pytest.raises(
            ValueError, match=r"begins with the name of a column.*na_values=\{'crp': \['5'\]\}.*--na_value"
        ):
            wide(tmp_path, text, na_values=given)
    assert wide(tmp_path, text, na_values={"crp": ["5"]})["crp"].isna().tolist() == [True, False]
    assert wide(tmp_path, "at,crp\n5,1\n3,x:5\n", na_values="x:5")["crp"].isna().tolist() == [False, True]
    assert wide(tmp_path, text, na_values=[-9, "n.d."])["crp"].tolist() == [5, 3]  # that match no cell


# --- rows that are no samples


def test_a_row_without_a_name_is_named(tmp_path: Path) -> None:
    rows = "1,61,10\n2,55,20\n3,50,30\n,166,60\n"
    with pytest.warns(UserWarning, match="line 5 has no name in column 'id', but counts as a sample.*such as a total"):
        assert wide(tmp_path, "id,age,cost\n" + rows, index="id").index.tolist() == [1, 2, 3, None]
    with pytest.warns(UserWarning, match="line 5 has no name in column 'index'"):
        wide(tmp_path, ",age,cost\n" + rows)
    with pytest.warns(UserWarning, match="lines 2 and 3 have no name in column 'visit', but count as samples"):
        wide(tmp_path, "id,visit,x\n1,,5.5\n2,,6.5\n3,1,7.5\n", index=["id", "visit"])


def test_remarks_and_classes_in_the_last_row_are_no_footers(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        wide(tmp_path, "age,note\n" + "".join(f"{i * 7 % 11}.5,note {i}\n" for i in range(196)))
        wide(tmp_path, "note,age\n" + "".join(f"note {i},{i * 7 % 11}.5\n" for i in range(196)))
        wide(tmp_path, "age,hr,sex,rem\n61,5,F,ok\n47,6,M,fine\n50,5,F,Note: patient moved\n")
        samples = read_wide(written(tmp_path, "age,hr,resp\n61,80,Partial\n50,70,None\n44,60,Total\n"), label="resp")
        assert samples.y is not None and samples.y.tolist() == ["Partial", "None", "Total"]


@pytest.mark.parametrize(
    "text",
    [
        "who,age,hr\na,5,6\nb,6,7\nTotal,12,14\n",
        "age,hr,ward,x\n61,80,A,5\n50,70,B,6\n111,150,Total,11\n",
        "age,hr,ward,x\n61,80,A,5\n50,70,B,6\n55.5,75,Mean,5.5\n",
        "age,hr,ward,x,y\n61,80,A,5,3\n50,70,B,6,2\n,,Source: H,,\n",
    ],
)
def test_footers_are_told_by_their_row(tmp_path: Path, text: str) -> None:
    with pytest.warns(UserWarning, match="in line 4 looks like a total or a note below the table"):
        wide(tmp_path, text)


def test_a_footer_among_the_numbers_of_a_group_is_told(tmp_path: Path) -> None:
    rows = "".join(f"{i * 7 % 11}.5,{i}\n" for i in range(20))
    with pytest.warns(UserWarning, match="'Total' in line 22 looks like a total or a note"):
        read_wide(written(tmp_path, f"age,who\n{rows}60.5,Total\n"), group="who")
